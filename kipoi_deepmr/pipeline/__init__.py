"""predict, estimate, aggregate, and run: the three in a row."""

from .aggregation import StrataResult, aggregate, stratify
from .estimation import estimate
from .prediction import predict, predict_settings
from .running import RunResult, run
from .selection import select_loci

__all__ = ["RunResult", "StrataResult", "aggregate", "estimate", "predict", "predict_settings", "run", "select_loci",
           "stratify"]
