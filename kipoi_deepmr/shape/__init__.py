"""The shape of an effect: the outcome's curve against the exposure, the effect's state, the interaction of regions."""

from .curve import Curve, curve_of, least_slope
from .folds import Folds, ablating, gather, gather_several
from .interaction import LEAST_MEMBERS, Interaction, interactions
from .interaction_result import InteractionResult, clearest_first, interactions_in, pairs_table
from .region_pairs import NO_PAIRS, RegionPairs, count_pairs, gather_pairs, has_pairs
from .result import ShapeResult, loci_table
from .state import Covariate, Dependence, dependences, level, levels
from .words import Shape

__all__ = ["Covariate", "Curve", "Dependence", "Folds", "Interaction", "InteractionResult", "LEAST_MEMBERS", "NO_PAIRS",
           "RegionPairs", "Shape", "ShapeResult", "ablating", "clearest_first", "count_pairs", "curve_of",
           "dependences", "gather", "gather_pairs", "gather_several", "has_pairs", "interactions", "interactions_in",
           "least_slope", "level", "levels", "loci_table", "pairs_table"]
