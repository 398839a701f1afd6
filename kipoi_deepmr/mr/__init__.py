"""Mendelian randomization: instruments, one file per family of estimators, fits over all loci and pairs."""

from .fit import METHODS, fit
from .instruments import InstrumentRule, rule_for
from .pairs import check_pairs, fit_pairs, iter_pairs
from .result import MRResult

__all__ = ["METHODS", "InstrumentRule", "MRResult", "check_pairs", "fit", "fit_pairs", "iter_pairs", "rule_for"]
