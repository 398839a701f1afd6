"""Figures. Every `plot_` function takes Axes, or makes them, and returns them."""

from .axes import check_path, save
from .forest import forest_figure
from .global_effects import global_effects_figure, plot_global_effects
from .heatmap import heatmap_figure, plot_global_heatmap, plot_heatmap
from .interaction import interaction_figure, plot_effects_of_both, plot_interaction
from .local_scatter import plot_local_scatter
from .network import network_figure, plot_network
from .reliability import plot_reliability, reliability_figure
from .shape import plot_curve, plot_dependence, shape_figure
from .simulation import (
    graph_figure,
    levers_figure,
    plot_coverage,
    plot_coverage_against_width,
    plot_direct_effects,
    plot_sweep,
    plot_true_effects,
    simulation_figure,
    sweep_figure,
)
from .spacing import plot_strata, strata_figure
from .styles import STYLES, styled
from .tracks import Spans, heights_of, plot_spans, plot_track, tracks_figure

__all__ = ["STYLES", "Spans", "check_path", "forest_figure", "global_effects_figure", "graph_figure",
           "heatmap_figure", "heights_of", "interaction_figure", "levers_figure", "network_figure", "plot_coverage",
           "plot_coverage_against_width", "plot_curve", "plot_dependence", "plot_direct_effects",
           "plot_effects_of_both", "plot_global_effects", "plot_global_heatmap", "plot_heatmap", "plot_interaction",
           "plot_local_scatter", "plot_network", "plot_reliability", "plot_spans", "plot_strata", "plot_sweep",
           "plot_track", "plot_true_effects", "reliability_figure", "save", "shape_figure", "simulation_figure",
           "strata_figure", "styled", "sweep_figure", "tracks_figure"]
