"""Mendelian randomization: one file per family of estimators, fits over all loci and pairs, diagnostics."""

from ..methods import METHODS
from .diagnostics import count_red, diagnose, diagnose_pairs, iter_diagnostics, share_of_red
from .fit import ESTIMATORS, fit
from .pairs import check_pairs, fit_pairs, iter_pairs
from .result import MRResult
from .wide import Estimation, Trial, empty_table, pieces, rows

__all__ = ["ESTIMATORS", "METHODS", "Estimation", "MRResult", "Trial", "check_pairs", "count_red", "diagnose",
           "diagnose_pairs", "empty_table", "fit", "fit_pairs", "iter_diagnostics", "iter_pairs", "pieces",
           "rows", "share_of_red"]
