"""Exact mutagenesis: a point mutation changes a window of each layer, and only the difference is carried on."""

from .engine import Engine, Output
from .errors import UnknownLayer
from .graph import Graph
from .keras_file import read_keras_file
from .keras_live import read_keras, read_keras_recorded
from .splitting import outputs_of
from .torch_module import BATCH_OF_REST, read_recorded, read_torch

__all__ = ["BATCH_OF_REST", "Engine", "Graph", "Output", "UnknownLayer", "outputs_of", "read_keras", "read_keras_file",
           "read_keras_recorded", "read_recorded", "read_torch"]
