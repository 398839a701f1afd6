"""Figures. Every `plot_` function takes Axes, or makes them, and returns them."""

from .global_effects import global_effects_figure, plot_global_effects

__all__ = ["global_effects_figure", "plot_global_effects"]
