"""Graphs from Keras models in memory, of Keras 3 or tf_keras."""

import sys

import numpy as np

from .errors import UnknownLayer
from .graph import Graph
from .keras_config import MODELS, calls
from .keras_layers import build


def read_keras(model: object, sequence_input: str | None = None, constants: dict | None = None,
               alphabet: str = "ACGT", split: bool = False) -> Graph:
    """Graph of a Keras 3 or tf_keras model (Sequential or functional).

    Parameters
    ----------
    model : keras.Model or tf_keras.Model
    sequence_input, constants, alphabet
        As in `read_keras_file`.
    split : bool
        Let the model itself compute what follows the layers that are known: the graph's `rest`.

    Returns
    -------
    Graph

    Raises
    ------
    UnknownLayer
    """
    name = type(model).__name__
    if name not in MODELS:
        raise UnknownLayer(f"the model is of class {name}, which is not among {', '.join(MODELS)}")
    version = sys.modules[type(model).__module__.partition(".")[0]].__version__
    layer_calls, outputs = calls({"class_name": name, "config": _config(model)})

    def layer_of(path):
        layer = model
        for part in path:
            layer = next(each for each in _operations(layer) if each.name == part)
        return layer

    def weights_of(path):
        layer = layer_of(path)
        return [np.asarray(weight) for weight in layer.get_weights()] if hasattr(layer, "get_weights") else []

    return build(layer_calls, outputs, weights_of, sequence_input, constants, alphabet, version,
                 layer_of if split else None)


def _operations(model):
    """Layers of a model, and of Keras 3 the operations that are no layers, `x + 1` for example."""
    return getattr(model, "operations", None) or model.layers


def _config(model):
    config = model.get_config()
    if isinstance(config, dict) and config["layers"] and config["layers"][0]["class_name"] != "InputLayer":
        if type(model).__name__ == "Sequential" and model.inputs:
            first = {"class_name": "InputLayer",
                     "config": {"name": f"{model.name}_input", "batch_shape": tuple(model.inputs[0].shape)}}
            config = {**config, "layers": [first, *config["layers"]]}
    return config
