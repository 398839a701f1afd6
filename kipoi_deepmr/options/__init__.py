"""Every option, declared once: the parser, `--config`, run.json, Python and the pages are made from it.

Imports nothing heavy, so that `--help` answers at once.
"""

from .declare import Declared, Option, Options
from .estimation import COMPARED, CROSS_FITTED, LEAST_TO_CROSS_FIT, EstimateOptions, EstimatorOptions, indices_of
from .later import (
    FORMATS,
    GRAPHS,
    LABELS,
    LARGEST_STRENGTH,
    RECALIBRATIONS,
    SCENARIOS,
    TAU2_METHODS,
    AggregateOptions,
    AnnotateOptions,
    CalibrateOptions,
    EffectsOptions,
    ForestFigureOptions,
    GlobalFigureOptions,
    HeatmapFigureOptions,
    LeverOptions,
    LocusFigureOptions,
    NetworkOptions,
    OverwriteOptions,
    PartOptions,
    RoundOptions,
    RunOptions,
    ShapeOptions,
    SpacingFigureOptions,
    StrataOptions,
    StyleOptions,
    TableOptions,
    TracksFigureOptions,
    TracksOptions,
)
from .models import (
    ENGINES,
    MARK_SUMMARIES,
    RESIZE,
    SCALES,
    ClusterOptions,
    EngineOptions,
    LociOptions,
    ModelOptions,
    PredictClusterOptions,
    PredictOptions,
)

__all__ = ["COMPARED", "CROSS_FITTED", "ENGINES", "FORMATS", "GRAPHS", "LABELS", "LARGEST_STRENGTH",
           "LEAST_TO_CROSS_FIT", "MARK_SUMMARIES", "RECALIBRATIONS", "RESIZE", "SCALES", "SCENARIOS", "TAU2_METHODS",
           "AggregateOptions", "AnnotateOptions", "CalibrateOptions", "ClusterOptions", "Declared", "EffectsOptions",
           "EngineOptions", "EstimateOptions", "EstimatorOptions", "ForestFigureOptions", "GlobalFigureOptions",
           "HeatmapFigureOptions", "LeverOptions", "LociOptions", "LocusFigureOptions", "ModelOptions",
           "NetworkOptions", "Option", "Options", "OverwriteOptions", "PartOptions", "PredictClusterOptions",
           "PredictOptions", "RoundOptions", "RunOptions", "ShapeOptions", "SpacingFigureOptions", "StrataOptions",
           "StyleOptions", "TableOptions", "TracksFigureOptions", "TracksOptions", "indices_of"]
