"""Mendelian randomization: instruments, one file per family of estimators, fits over all loci and pairs."""

from .diagnostics import count_red, diagnose, diagnose_pairs, iter_diagnostics, share_of_red
from .fit import METHODS, fit
from .instruments import InstrumentRule, each_block, rule_for
from .moderation import SE_SHRINKAGES, Moderation, fit_prior, moderation_for
from .pairs import check_pairs, fit_pairs, iter_pairs
from .result import MRResult
from .uncertainty import check_number, wants_members

__all__ = ["METHODS", "SE_SHRINKAGES", "InstrumentRule", "MRResult", "Moderation", "check_number", "check_pairs",
           "count_red", "diagnose", "diagnose_pairs", "each_block", "fit", "fit_pairs", "fit_prior",
           "iter_diagnostics", "iter_pairs", "moderation_for", "rule_for", "share_of_red", "wants_members"]
