"""predict, estimate, aggregate, and run: the three in a row; annotate, network, shape, tracks: what a run tells."""

from .aggregation import StrataResult, aggregate, stratify
from .annotation import AnnotationResult, annotate
from .estimation import estimate
from .network import Judged, judge, network
from .parts import parts
from .prediction import predict, predict_settings
from .result import Result
from .running import RunResult, run, run_again
from .selection import select_loci
from .shape import shape
from .tracks import TracksResult, tracks

__all__ = ["AnnotationResult", "Judged", "Result", "RunResult", "StrataResult", "TracksResult", "aggregate", "annotate",
           "estimate", "judge", "network", "parts", "predict", "predict_settings", "run", "run_again", "select_loci",
           "shape", "stratify", "tracks"]
