"""Figures. Every function takes Axes, or makes them, and returns them."""

from .global_effects import plot_global_effects

__all__ = ["plot_global_effects"]
