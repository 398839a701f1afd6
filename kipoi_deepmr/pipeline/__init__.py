"""predict, estimate, aggregate, and run: the three in a row; annotate, interaction, network, shape, tracks."""

from .aggregation import aggregate
from .annotation import AnnotationResult, annotate
from .estimation import estimate
from .interaction import interaction
from .mutants import planned
from .network import Judged, judge, network
from .parts import parts
from .prediction import predict, predict_settings
from .result import Result
from .running import RunResult, run, run_again
from .selection import select_loci
from .shape import shape
from .stratification import ManyStrata, StrataResult, stratify
from .tracks import TracksResult, tracks

__all__ = ["AnnotationResult", "Judged", "ManyStrata", "Result", "RunResult", "StrataResult", "TracksResult",
           "aggregate", "annotate", "estimate", "interaction", "judge", "network", "parts", "planned", "predict",
           "predict_settings", "run", "run_again", "select_loci", "shape", "stratify", "tracks"]
