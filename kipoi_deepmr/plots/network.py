"""The causal network as a graph: marks around a circle, direct effects as arrows between them."""

import re

import networkx as nx
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from .axes import BLUE, ORANGE
from .heatmap import heatmap_figure, is_clear, marks_of

MOST_MARKS = 40  # of a graph that can be read; beyond, a heat map shows the same
NUMBERS_UP_TO = 30  # arrows with their effect written beside them
LEVEL_UP_TO = 12  # marks whose names are level
LINE = 27  # letters of a name on one line
FONT = 7.5  # points
INCHES_OF_LETTER = 0.6 * FONT / 72
WIDTHS = 0.8, 4.5  # points, of the weakest and the strongest arrow


def network_figure(direct):
    """The network as a graph, or as a clustered heat map beyond 40 marks.

    Parameters
    ----------
    direct : pandas.DataFrame
        network.tsv: columns exposure, outcome, direct_std and qvalue_min_effect at least.

    Returns
    -------
    matplotlib.figure.Figure
    """
    return heatmap_figure(direct) if len(marks_of(direct)) > MOST_MARKS else plot_network(direct).figure


def plot_network(direct, ax=None):
    """Marks around a circle; an arrow for each direct effect beyond the minimum (see `is_clear`).

    Parameters
    ----------
    direct : pandas.DataFrame
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
    labels = [_wrapped(name) for name in names]
    radius, margin = _sizes(labels)
    high = 0.8 if len(names) <= LEVEL_UP_TO else margin
    place = {node: radius * np.array(xy) for node, xy in nx.circular_layout(graph).items()}
    bottom, top = (limit(y for _, y in place.values()) for limit in (min, max))
    if ax is None:
        size = 2 * (radius + margin), top - bottom + 2 * high + 0.9
        ax = Figure(figsize=size, layout="constrained").add_subplot()
    causes = set(direct["exposure"][direct["direct_std"].notna()])
    _draw_arrows(ax, graph, place, edges)
    for node, (x, y) in place.items():
        ax.plot(x, y, "o", markersize=9, color="0.25" if names[node] in causes else "white",
                markeredgecolor="0.25", markeredgewidth=1.2, zorder=3)
        _write(ax, labels[node], x, y, radius, len(names) <= LEVEL_UP_TO)
    ax.set(xlim=(-radius - margin, radius + margin), ylim=(bottom - high, top + high), aspect="equal")
    ax.axis("off")
    ax.set_title(f"direct effects beyond the minimum: {len(edges)} of {len(direct)} pairs", fontsize="medium")
    ax.legend(handles=_legend(), loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=2, frameon=False,
              fontsize="small")
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


def _wrapped(name):
    """A name on lines of its own, broken after punctuation where there is some; nothing of it is left out."""
    lines = [""]
    for piece in re.findall(rf"[^_\-./ ]{{1,{LINE - 1}}}[_\-./ ]?|[_\-./ ]", name):
        if len(lines[-1]) + len(piece) > LINE:
            lines.append("")
        lines[-1] += piece
    return "\n".join(lines)


def _sizes(labels):
    """Radius of the circle, and the room around it for names, in inches."""
    lines = max(label.count("\n") + 1 for label in labels)
    longest = max(len(line) for label in labels for line in label.split("\n"))
    around = len(labels) * (lines * FONT * 1.3 + 3) / 72
    return max(1.6, around / (2 * np.pi)), 0.35 + longest * INCHES_OF_LETTER


def _write(ax, label, x, y, radius, is_level):
    """A name outside the circle: level, or pointing outwards where there are many, and never upside down."""
    angle = np.degrees(np.arctan2(y, x))
    left, upright = abs(angle) > 90.001, abs(x) < 0.05 * radius
    out = 1 + 0.16 / radius
    across = "center" if is_level and upright else "right" if left else "left"
    along = ("bottom" if y > 0 else "top") if is_level and upright else "center"
    ax.text(x * out, y * out, label, rotation=0 if is_level else angle + 180 * left, rotation_mode="anchor",
            fontsize=FONT, ha=across, va=along, multialignment=across, parse_math=False)


def _draw_arrows(ax, graph, place, edges):
    if not edges:
        return
    most = max(abs(effect) for *_, effect in edges)
    for i, j, effect in edges:
        share = abs(effect) / most
        nx.draw_networkx_edges(
            graph, place, [(i, j)], ax=ax, node_size=150, width=WIDTHS[0] + share * (WIDTHS[1] - WIDTHS[0]),
            edge_color=BLUE if effect > 0 else ORANGE, connectionstyle="arc3,rad=0.18", arrowsize=9 + 7 * share,
            alpha=0.85)
        if len(edges) <= NUMBERS_UP_TO:
            middle, across = (place[i] + place[j]) / 2, place[j] - place[i]
            x, y = middle + 0.09 * np.array([across[1], -across[0]])
            ax.text(x, y, f"{effect:.2f}", fontsize=FONT, ha="center", va="center", zorder=4,
                    bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8, "alpha": 0.9})


def _legend():
    return [Line2D([], [], color=BLUE, linewidth=2.5, label="raises the outcome"),
            Line2D([], [], color=ORANGE, linewidth=2.5, label="lowers the outcome"),
            Line2D([], [], marker="o", linestyle="", color="0.25", label="mark with mutants of its own"),
            Line2D([], [], marker="o", linestyle="", color="white", markeredgecolor="0.25",
                   label="mark without: an outcome only")]


