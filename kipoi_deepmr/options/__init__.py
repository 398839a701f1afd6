"""Every option, declared once: the parser, `--config`, run.json, Python and the pages are made from it.

Imports nothing heavy, so that `--help` answers at once.
"""

from .declare import Declared, Option, Options, without_effect
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
    InteractionOptions,
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
    REPLACEMENTS,
    RESIZE,
    SCALES,
    ClusterOptions,
    EngineOptions,
    LociOptions,
    ModelOptions,
    MutantOptions,
    PredictClusterOptions,
    PredictOptions,
)

__all__ = ["AggregateOptions", "AnnotateOptions", "COMPARED", "CROSS_FITTED", "CalibrateOptions", "ClusterOptions",
           "Declared", "ENGINES", "EffectsOptions", "EngineOptions", "EstimateOptions", "EstimatorOptions", "FORMATS",
           "ForestFigureOptions", "GRAPHS", "GlobalFigureOptions", "HeatmapFigureOptions", "InteractionOptions",
           "LABELS", "LARGEST_STRENGTH", "LEAST_TO_CROSS_FIT", "LeverOptions", "LociOptions", "LocusFigureOptions",
           "MARK_SUMMARIES", "ModelOptions", "MutantOptions", "NetworkOptions", "Option", "Options", "OverwriteOptions",
           "PartOptions", "PredictClusterOptions", "PredictOptions", "RECALIBRATIONS", "REPLACEMENTS", "RESIZE",
           "RoundOptions", "RunOptions", "SCALES", "SCENARIOS", "ShapeOptions", "SpacingFigureOptions", "StrataOptions",
           "StyleOptions", "TAU2_METHODS", "TableOptions", "TracksFigureOptions", "TracksOptions", "indices_of",
           "without_effect"]
