"""Models as a deep ensemble: sequences in, one number per mark and member out."""

from .dataloader import parse_dataloader_args
from .ensemble import Ensemble
from .model import Description, Model
from .recipe import Recipe

__all__ = ["Description", "Ensemble", "Model", "Recipe", "parse_dataloader_args"]
