"""Meta-analysis over loci: random effects, leave-one-out, meta-regression, plain mean, the global table, strata."""

from .plain import MeanResult, mean
from .pooled import ADHOC, CI, PREDICTION, TAU2_CI, leave_one_out, random_effects
from .regression import RegressionResult, meta_regression
from .result import MetaResult
from .rules import compare_rules
from .strata import aggregate_strata, between_strata, compare_strata, regress
from .table import GLOBAL_COLUMNS, KEYS, aggregate, aggregate_pieces, iter_pooled
from .tau2 import TAU2_METHODS

__all__ = [
    "ADHOC",
    "CI",
    "GLOBAL_COLUMNS",
    "KEYS",
    "PREDICTION",
    "TAU2_CI",
    "TAU2_METHODS",
    "MeanResult",
    "MetaResult",
    "RegressionResult",
    "aggregate",
    "aggregate_pieces",
    "aggregate_strata",
    "between_strata",
    "compare_rules",
    "compare_strata",
    "iter_pooled",
    "leave_one_out",
    "mean",
    "meta_regression",
    "random_effects",
    "regress",
]
