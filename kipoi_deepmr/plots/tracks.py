"""Effects along the sequence: letters as tall as what is lost when they are changed."""

import numpy as np
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.path import Path

from ..dna import ALPHABET
from .axes import axes_of
from .letters import COLOURS, outline

WIDTH = 0.92  # of a letter, in bases


def heights_of(effect):
    """Heights of letters: what the mark loses, on average over the three mutants, when the base is changed.

    Parameters
    ----------
    effect : (3 L,) array
        Effects of all mutants of a locus on one mark, three a position.

    Returns
    -------
    (L,) float64
    """
    return -np.asarray(effect, np.float64).reshape(-1, 3).mean(1)


def plot_track(sequence, heights, instruments=(), start=0, ax=None):
    """Letters of a sequence, as tall as `heights`; negative ones hang below the line, upside down.

    Parameters
    ----------
    sequence : str
    heights : (L,) array
        As `heights_of` gives them.
    instruments : sequence of int
        Positions (from 0, in `sequence`) that get a triangle.
    start : int
        Number of the first position, for the axis.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = axes_of(ax, max(4.0, min(20.0, 0.12 * len(sequence))), 1.6)
    heights, letters = np.asarray(heights, np.float64), np.array(list(sequence))
    for letter in ALPHABET:
        glyph, places = outline(letter), np.flatnonzero((letters == letter) & np.isfinite(heights) & (heights != 0))
        paths = [Path(glyph.vertices * (WIDTH, heights[i]) + (start + i + (1 - WIDTH) / 2 - 0.5, 0), glyph.codes)
                 for i in places]
        ax.add_collection(PathCollection(paths, facecolor=COLOURS[letter], edgecolor="none"))
    ax.axhline(0, color="0.3", linewidth=0.6)
    low, high = min(0.0, np.nanmin(heights, initial=0)), max(0.0, np.nanmax(heights, initial=0))
    room = 0.08 * (high - low) or 1.0
    ax.set_xlim(start - 0.5, start + len(sequence) - 0.5)
    ax.set_ylim(low - 2.5 * room, high + room)
    ax.plot(start + np.asarray(instruments, float), np.full(len(instruments), low - 1.6 * room), "^", color="0.3",
            markersize=3, linestyle="none")
    ax.set_xlabel("position in the locus, from 0")
    return ax


def tracks_figure(sequence, heights_by_mark, instruments=(), start=0):
    """A figure with one `plot_track` a mark, one below the other; arguments as there, heights by name of the mark."""
    figure = Figure(figsize=(max(5.0, min(20.0, 0.12 * len(sequence))), 1.6 * len(heights_by_mark) + 0.3),
                    layout="constrained")
    panels = figure.subplots(len(heights_by_mark), 1, sharex=True, squeeze=False)[:, 0]
    for ax, (mark, heights) in zip(panels, heights_by_mark.items(), strict=True):
        plot_track(sequence, heights, instruments, start, ax)
        ax.set_ylabel(mark, parse_math=False)
    for ax in panels[:-1]:
        ax.set_xlabel("")
    return figure
