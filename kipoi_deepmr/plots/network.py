"""The causal network as a graph: marks around a circle, direct effects as arrows between them."""

import re
from typing import NamedTuple

import networkx as nx
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ..display import shortened
from .axes import BLUE, ORANGE
from .heatmap import heatmap_figure, is_clear, marks_of
from .styles import SMALLEST, background, inches_of, ink, small

MOST_MARKS = 40  # of a graph that can be read; beyond, a heat map shows the same
NUMBERS_UP_TO = 30  # arrows with their effect written beside them
LEVEL_UP_TO = 12  # marks whose names are level
LINE = 27  # letters of a name on one line
FONT = 7.5  # points
INCHES_OF_LETTER = 0.6 * FONT / 72
WIDTHS = 0.8, 4.5  # points, of the weakest and the strongest arrow
NAME_SHARE = 0.3  # of a figure whose width is given, for names on one side


def network_figure(direct, width=None):
    """The network as a graph, or as a clustered heat map beyond 40 marks.

    Parameters
    ----------
    direct : pandas.DataFrame
        network.tsv: columns exposure, outcome, direct_std and qvalue_min_effect at least.
    width : float, optional
        Inches of the figure, for which names are shortened; by default so many that whole names have room.

    Returns
    -------
    matplotlib.figure.Figure
    """
    if len(marks_of(direct)) > MOST_MARKS:
        return heatmap_figure(direct, width=width)
    return plot_network(direct, width=width).figure


def plot_network(direct, ax=None, width=None):
    """Marks around a circle; an arrow for each direct effect beyond the minimum (see `is_clear`).

    Parameters
    ----------
    direct, width
        As for `network_figure`.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    names = marks_of(direct)
    shown = direct[is_clear(direct)]
    edges = [(names.index(row.exposure), names.index(row.outcome), row.direct_std) for row in shown.itertuples()]
    graph = nx.DiGraph()
    graph.add_nodes_from(_order(len(names), edges))
    graph.add_weighted_edges_from(edges)
    is_level = len(names) <= LEVEL_UP_TO
    labels, layout = _as_wide_as_needed(names) if width is None else _in(names, width)
    radius, margin = layout.radius, layout.margin
    high = 0.8 * layout.scale if is_level else margin
    place = {node: radius * np.array(xy) for node, xy in nx.circular_layout(graph).items()}
    bottom, top = (limit(y for _, y in place.values()) for limit in (min, max))
    if ax is None:
        size = 2 * (radius + margin), top - bottom + 2 * high + 0.9
        ax = Figure(figsize=size, layout="constrained").add_subplot()
    causes = set(direct["exposure"][direct["direct_std"].notna()])
    _draw_arrows(ax, graph, place, edges, layout)
    for node, (x, y) in place.items():
        ax.plot(x, y, "o", markersize=9 * layout.scale, color=ink() if names[node] in causes else background(),
                markeredgecolor=ink(), markeredgewidth=1.2 * layout.scale, zorder=3)
        _write(ax, labels[node], x, y, layout, is_level)
    ax.set(xlim=(-radius - margin, radius + margin), ylim=(bottom - high, top + high), aspect="equal")
    ax.axis("off")
    ax.set_title(f"direct effects beyond the minimum: {len(edges)} of {len(direct)} pairs", fontsize=layout.title)
    ax.legend(handles=_legend(), loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=layout.columns, frameon=False,
              fontsize=layout.legend)
    return ax


def _order(n, edges):
    """Marks so that those with strong effects on each other are neighbours."""
    strength = np.zeros((n, n))
    for i, j, effect in edges:
        strength[i, j] += abs(effect)
    strength += strength.T
    order, left = [], list(range(n))
    while left:
        following = max(left, key=lambda node: (strength[order[-1], node] if order else strength[node].sum(), -node))
        order.append(following)
        left.remove(following)
    return order


class _Layout(NamedTuple):
    """Inches of the circle and of the room around it, points of names, title and legend, how large arrows and circles
    are, how many arrows may have numbers, and columns of the legend."""

    radius: float
    margin: float
    font: float = FONT
    title: float | str = "medium"
    legend: float | str = "small"
    scale: float = 1.0
    numbers: int = NUMBERS_UP_TO
    columns: int = 2


def _as_wide_as_needed(names):
    labels = [_wrapped(name, LINE) for name in names]
    around = len(labels) * (_most_lines(labels) * FONT * 1.3 + 3) / 72
    return labels, _Layout(max(1.6, around / (2 * np.pi)), 0.35 + _longest(labels) * INCHES_OF_LETTER)


def _in(names, width):
    """Labels and sizes in a figure of a width: short names, on two lines where there are few."""
    font = small()
    line = max(int((NAME_SHARE * width - 0.3) / inches_of(1, font)), 8)
    n_lines = 2 if len(names) <= LEVEL_UP_TO else 1
    short = shortened(names, n_lines * (line - 2) if n_lines > 1 else line)
    labels = [_wrapped(short[name], line) for name in names]
    margin = 0.3 + inches_of(_longest(labels), font)
    radius = width / 2 - margin
    if len(names) > LEVEL_UP_TO:
        font = min(font, max((2 * np.pi * radius * 72 / len(names) - 1.5) / 1.2 / _most_lines(labels), SMALLEST))
    return labels, _Layout(radius, margin, font, small(), small(), max(0.6, min(width / 6, 2.0)),
                           int(NUMBERS_UP_TO * min(width / 6, 1) ** 2), 1 + (width > 4.5))


def _wrapped(name, line):
    """A name on lines of its own, broken after punctuation where there is some; nothing of it is left out."""
    lines = [""]
    for piece in re.findall(rf"[^_\-./ ]{{1,{line - 1}}}[_\-./ ]?|[_\-./ ]", name):
        if len(lines[-1]) + len(piece) > line:
            lines.append("")
        lines[-1] += piece
    return "\n".join(lines)


def _most_lines(labels):
    return max(label.count("\n") + 1 for label in labels)


def _longest(labels):
    return max(len(line) for label in labels for line in label.split("\n"))


def _write(ax, label, x, y, layout, is_level):
    """A name outside the circle: level, or pointing outwards where there are many, and never upside down."""
    angle, radius = np.degrees(np.arctan2(y, x)), layout.radius
    left, upright = abs(angle) > 90.001, abs(x) < 0.05 * radius
    out = 1 + 0.16 * layout.scale / radius
    across = "center" if is_level and upright else "right" if left else "left"
    along = ("bottom" if y > 0 else "top") if is_level and upright else "center"
    ax.text(x * out, y * out, label, rotation=0 if is_level else angle + 180 * left, rotation_mode="anchor",
            fontsize=layout.font, ha=across, va=along, multialignment=across, parse_math=False)


def _draw_arrows(ax, graph, place, edges, layout):
    if not edges:
        return
    most = max(abs(effect) for *_, effect in edges)
    for i, j, effect in edges:
        share = abs(effect) / most
        nx.draw_networkx_edges(
            graph, place, [(i, j)], ax=ax, node_size=150 * layout.scale ** 2, alpha=0.85,
            width=layout.scale * (WIDTHS[0] + share * (WIDTHS[1] - WIDTHS[0])),
            edge_color=BLUE if effect > 0 else ORANGE, connectionstyle="arc3,rad=0.18",
            arrowsize=layout.scale * (9 + 7 * share))
        if len(edges) <= layout.numbers:
            middle, across = (place[i] + place[j]) / 2, place[j] - place[i]
            x, y = middle + 0.09 * np.array([across[1], -across[0]])
            ax.text(x, y, f"{effect:.2f}", fontsize=layout.font, ha="center", va="center", zorder=4,
                    bbox={"facecolor": background(), "edgecolor": "none", "pad": 0.8, "alpha": 0.9})


def _legend():
    return [Line2D([], [], color=BLUE, linewidth=2.5, label="raises the outcome"),
            Line2D([], [], color=ORANGE, linewidth=2.5, label="lowers the outcome"),
            Line2D([], [], marker="o", linestyle="", color=ink(), label="mark with mutants of its own"),
            Line2D([], [], marker="o", linestyle="", color=background(), markeredgecolor=ink(),
                   label="mark without: an outcome only")]


