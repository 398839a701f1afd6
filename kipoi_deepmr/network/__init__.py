"""The causal network of the marks of an ensemble: direct effects, a graph, and a verdict for every pair."""

from . import inspre
from .fit import METHODS, MIN_EFFECT, Network, fit
from .verdicts import verdicts

__all__ = ["METHODS", "MIN_EFFECT", "Network", "fit", "inspre", "verdicts"]
