"""The shape of an effect: the outcome's curve against the exposure, tested against a line, and the effect's state."""

from .curve import Curve, curve_of
from .folds import Folds, gather
from .result import ShapeResult, loci_table
from .state import Covariate, Dependence, dependences, level
from .words import Shape

__all__ = ["Covariate", "Curve", "Dependence", "Folds", "Shape", "ShapeResult", "curve_of", "dependences", "gather",
           "level", "loci_table"]
