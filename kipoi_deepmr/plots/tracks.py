"""Effects along the sequence: letters as tall as what is lost when they are changed, and bars as wide as a stretch."""

from typing import NamedTuple

import numpy as np
from matplotlib import rcParams
from matplotlib.collections import PathCollection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.path import Path

from ..display import without_middle
from ..dna import ALPHABET
from .axes import BLUE, axes_of
from .letters import COLOURS, outline
from .styles import inches_of, ink

WIDTH = 0.92  # of a letter, in bases
NARROWEST = 5.5  # points a base; narrower letters cannot be read
BAR_ROW = 0.7  # as tall as this of a row of letters
INSTRUMENT, OTHER = 0.9, 0.2  # opacity of bars
BAR = Path([(0, 0), (0, 1), (1, 1), (1, 0), (0, 0)], [Path.MOVETO, *[Path.LINETO] * 3, Path.CLOSEPOLY])


class Spans(NamedTuple):
    """Mutants of several bases, of one kind, at one locus.

    Attributes
    ----------
    position, length : (n,) int
        First base that changes, from 0, and bases that change.
    heights : dict of str to (n,) array
        What each mark loses by the change, by its name.
    is_instrument : (n,) bool
    """

    position: np.ndarray
    length: np.ndarray
    heights: dict
    is_instrument: np.ndarray


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
    legible = ax.figure.get_figwidth() * 72 / max(len(sequence), 1) >= NARROWEST
    for letter in ALPHABET:
        glyph = outline(letter) if legible else BAR
        places = np.flatnonzero((letters == letter) & np.isfinite(heights) & (heights != 0))
        paths = [Path(glyph.vertices * (WIDTH, heights[i]) + (start + i + (1 - WIDTH) / 2 - 0.5, 0), glyph.codes)
                 for i in places]
        ax.add_collection(PathCollection(paths, facecolor=COLOURS[letter], edgecolor="none"))
    if not legible:
        ax.legend(handles=[Patch(color=COLOURS[letter], label=letter) for letter in ALPHABET], loc="upper right",
                  ncols=len(ALPHABET), frameon=False, fontsize="small", handlelength=0.7, handletextpad=0.4,
                  columnspacing=0.8, borderpad=0)
    ax.axhline(0, color=ink(), linewidth=0.6)
    low, high = min(0.0, np.nanmin(heights, initial=0)), max(0.0, np.nanmax(heights, initial=0))
    room = 0.08 * (high - low) or 1.0
    high += 0 if legible else 2 * room  # for the legend
    ax.set_xlim(start - 0.5, start + len(sequence) - 0.5)
    ax.set_ylim(low - 2.5 * room, high + room)
    ax.plot(start + np.asarray(instruments, float), np.full(len(instruments), low - 1.6 * room), "^", color=ink(),
            markersize=3, linestyle="none")
    ax.set_xlabel("position in the locus, from 0")
    return ax


def plot_spans(spans, mark, start, end, ax=None):
    """Bars as wide as the bases that a mutant changes, and as tall as what the mark loses; instruments are dark.

    Parameters
    ----------
    spans : Spans
    mark : str
    start, end : int
        Positions in the locus between which they are drawn; end is one after the last.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = axes_of(ax, max(4.0, min(20.0, 0.12 * (end - start))), 1.0)
    heights = np.nan_to_num(np.asarray(spans.heights[mark], np.float64))
    colours = [to_rgba(BLUE, INSTRUMENT if chosen else OTHER) for chosen in spans.is_instrument]
    ax.bar(np.asarray(spans.position) - 0.5, heights, spans.length, align="edge", color=colours, edgecolor=BLUE,
           linewidth=0.4)
    ax.axhline(0, color=ink(), linewidth=0.6)
    ax.set_xlim(start - 0.5, end - 0.5)
    ax.margins(y=0.1)
    ax.set_xlabel("position in the locus, from 0")
    return ax


def tracks_figure(sequence, heights_by_mark, instruments=(), start=0, width=None, spans=None):
    """A figure with one `plot_track` a mark, one below the other; arguments as there, heights by name of the mark.

    `width`, if given, is that of the figure in inches. Bars stand for letters that would be narrower than 5 points.
    `spans` are the `Spans` of mutants of several bases, by their kind: a row of bars below the letters of each mark,
    or, where `heights_by_mark` is empty, instead of them.
    """
    spans, height = spans or {}, 1.6 if width is None else 0.3 * width
    marks = list(heights_by_mark) or list(next(iter(spans.values())).heights)
    rows = [(mark, kind) for mark in marks for kind in ([None] if heights_by_mark else []) + list(spans)]
    ratios = [1.0 if kind is None else BAR_ROW for _, kind in rows]
    figure = Figure(figsize=(width or max(5.0, min(20.0, 0.12 * len(sequence))), height * sum(ratios) + 0.3),
                    layout="constrained")
    panels = figure.subplots(len(rows), 1, sharex=True, squeeze=False, height_ratios=ratios)[:, 0]
    for ax, (mark, kind), ratio in zip(panels, rows, ratios, strict=True):
        letters = max(int(0.6 * ratio * height / inches_of(1, rcParams["font.size"])), 8)  # of a name beside a panel
        if kind is None:
            plot_track(sequence, heights_by_mark[mark], instruments, start, ax)
        else:
            plot_spans(spans[kind], mark, start, start + len(sequence), ax)
        name = without_middle(mark, letters)
        ax.set_ylabel(name if kind is None else f"{name}\n{kind}", parse_math=False)
    for ax in panels[:-1]:
        ax.set_xlabel("")
    return figure
