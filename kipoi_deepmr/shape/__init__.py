"""The shape of an effect: the outcome's curve against the exposure, the effect's state, the interaction of regions."""

from .curve import Curve, curve_of, least_slope
from .folds import Folds, ablating, gather, gather_several
from .interaction import Interaction, interactions
from .interaction_result import InteractionResult, pairs_table
from .region_pairs import NO_PAIRS, RegionPairs, gather_pairs, has_pairs
from .result import ShapeResult, loci_table
from .state import Covariate, Dependence, dependences, level, levels
from .words import Shape

__all__ = ["Covariate", "Curve", "Dependence", "Folds", "Interaction", "InteractionResult", "NO_PAIRS", "RegionPairs",
           "Shape", "ShapeResult", "ablating", "curve_of", "dependences", "gather", "gather_pairs", "gather_several",
           "has_pairs", "interactions", "least_slope", "level", "levels", "loci_table", "pairs_table"]
