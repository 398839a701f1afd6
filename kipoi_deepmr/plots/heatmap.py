"""Effects of all ordered pairs as a heat map, marks that behave alike beside each other."""

import math
from typing import NamedTuple

import numpy as np
from matplotlib import colormaps
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex
from matplotlib.patches import Patch
from matplotlib.transforms import ScaledTranslation
from scipy.cluster.hierarchy import leaves_list, linkage

from ..display import shortened
from ..errors import InputError
from ..network import MIN_EFFECT
from ..network.significance import FALSE_DISCOVERY_RATE
from ..network.verdicts import DIRECT as DIRECT_VERDICT
from .axes import CYCLE, OF_EFFECTS, axes_of
from .styles import MM, SMALLEST, inches_of, small

DIRECT = "direct effect\n(sd of outcome\nper sd of exposure)"
FONT, INCHES_OF_LETTER = 7, 0.6 * 7 / 72
CELL = 0.2  # inches
WRITTEN_UP_TO = 15  # marks: more numbers cannot be read
NAMED_UP_TO = 200  # marks: more names cannot be read
MOST_CELLS = 1_500  # in a row: more are smaller than a pixel, and take gigabytes while they are drawn
COMPARED_UP_TO = 1_000  # marks: beyond, distances come from products of matrices
MARKS_AT_A_TIME = 250
WIDEST, WIDEST_UNNAMED = 24.0, 10.0  # inches of all cells, with the names of the marks and without
# of a figure whose width is given
LETTERS = 26  # of a name
BESIDE, ABOVE = 0.35, 0.95  # inches, of titles beside, and of titles and colours below
WIDEST_CELL = 0.9  # inches
DOT = 1.5  # points
STRIP = 0.09  # inches, of the colours of groups
GROUPS_UP_TO = 20  # more colours cannot be told apart


def heatmap_figure(direct, value="direct_std", label=DIRECT, groups=None, width=None):
    """A figure with `plot_heatmap` alone."""
    return plot_heatmap(direct, value, label, groups=groups, width=width).figure


def plot_heatmap(direct, value="direct_std", label=DIRECT, ax=None, groups=None, width=None):
    """A row for each exposure, a column for each outcome, the colour their effect.

    Marks are in the order of a hierarchical clustering (average linkage) of their effects on others and others' on
    them. Cells without an estimate are grey. A dot marks effects beyond the minimum (qvalue_min_effect < 0.05). Beyond
    1,500 marks a cell is for some neighbours, and shows the strongest of their effects.

    Parameters
    ----------
    direct : pandas.DataFrame
        One row a pair: columns exposure, outcome and `value`.
    value, label : str
        The column that is shown, and what to call it.
    ax : matplotlib.axes.Axes, optional
    groups : dict of str to str, optional
        The group of each mark: a strip of colours beside the rows and columns, with a legend.
    width : float, optional
        Inches of the figure, in which names that cannot be read are left out; by default so many that names can be.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        There are more than 20 groups.
    """
    names = marks_of(direct)
    effects = matrix_of(direct, names, direct[value])
    order = clustered(effects)
    effects = effects[np.ix_(order, order)]
    clear = (matrix_of(direct, names, is_clear(direct)) == 1)[np.ix_(order, order)]
    names = [str(names[i]) for i in order]
    layout = _Layout.of(names, width)
    ax = axes_of(ax, *layout.size)
    _draw(ax, effects, clear, label, layout)
    if layout.font:
        shown = list(map(layout.shown.get, names))
        ax.set_xticks(range(len(names)), shown, rotation=90, fontsize=layout.font, parse_math=False)
        ax.set_yticks(range(len(names)), shown, fontsize=layout.font, parse_math=False)
    else:
        ax.set(xticks=[], yticks=[])
    drawn = "in bold" if layout.written else "with a dot"
    ax.set_xlabel(f"outcome\n({drawn}: beyond the\nminimum effect, q < 0.05)" if width is None else
                  f"outcome\n({drawn}: beyond the minimum, q < 0.05){layout.note}", fontsize=layout.title)
    ax.set_ylabel("exposure", fontsize=layout.title)
    if groups:
        _draw_groups(ax, [groups[name] for name in names])
    return ax


def plot_global_heatmap(table, method=None, ax=None, groups=None, width=None):
    """`plot_heatmap` of standardised global effects.

    Parameters
    ----------
    table : pandas.DataFrame
        global.tsv: columns exposure, outcome, method and standardised at least.
    method : str, optional
        By default the first one.
    ax, groups, width
        As for `plot_heatmap`.

    Returns
    -------
    matplotlib.axes.Axes
    """
    method = table["method"].iloc[0] if method is None else method
    label = f"global effect, {method}\n(sd of outcome\nper sd of exposure)"
    return plot_heatmap(table[table["method"] == method], "standardised", label, ax, groups, width)


class _Layout(NamedTuple):
    """Sizes: inches of a cell and of the figure, points of names (0: there are none) and of titles, names as they are
    shown, whether numbers are written, what to say of names that are left out, and where the colours are explained."""

    cell: float
    size: tuple
    font: float
    title: float | None
    shown: dict
    written: bool
    note: str = ""
    colours: str = "right"

    @classmethod
    def of(cls, names, width):
        return cls._as_wide_as_needed(names) if width is None else cls._in(names, width)

    @classmethod
    def _as_wide_as_needed(cls, names):
        n, few = len(names), len(names) <= WRITTEN_UP_TO
        cell = min(0.45 if few else CELL, (WIDEST if n <= NAMED_UP_TO else WIDEST_UNNAMED) / n)
        font = min(FONT, 72 * cell / 1.25) if n <= NAMED_UP_TO else 0
        side = cell * n + (max(map(len, names)) * INCHES_OF_LETTER if font else 0) + 0.5
        return cls(cell, (max(side + 1.4, 4), max(side + 1.0, 3.4)), font, None, dict(zip(names, names, strict=True)),
                   few)

    @classmethod
    def _in(cls, names, width):
        n, title = len(names), small()
        shown = shortened(names, LETTERS)
        beside = inches_of(max(map(len, shown.values())), title) + BESIDE
        font = min(title, 72 * (width - beside) / n / 1.15)
        if font < SMALLEST:
            needed = beside + n * SMALLEST * 1.15 / 72
            cell = (width - BESIDE) / n
            return cls(cell, (width, cell * n + ABOVE), 0, title, {}, False,
                       f"\nnames of {n} marks need a width of {math.ceil(needed / MM):d} mm", "bottom")
        cell = min((width - beside) / n, WIDEST_CELL)
        return cls(cell, (width, cell * n + beside + ABOVE), font, title, shown, cell > inches_of(5.5, title), "",
                   "bottom")


def _draw(ax, effects, clear, label, layout):
    ax.set_facecolor("0.85")
    (cells, side), n_marks = _cells(effects), len(effects)
    most, end = np.nanmax(np.abs(cells), initial=0) or 1.0, side * len(cells) - 0.5
    image = ax.imshow(cells, cmap=OF_EFFECTS, vmin=-most, vmax=most, aspect="equal", interpolation="nearest",
                      extent=(-0.5, end, end, -0.5))
    ax.set(xlim=(-0.5, n_marks - 0.5), ylim=(n_marks - 0.5, -0.5))
    if layout.colours == "right":
        ax.figure.colorbar(image, ax=ax, label=label, shrink=min(1.0, 0.3 + 3 / len(effects)), aspect=15)
    else:
        bar = ax.figure.colorbar(image, ax=ax, location="bottom", aspect=30, pad=0.02)
        what, *unit = label.split("\n")
        bar.set_label(f"{what}\n{' '.join(unit)}", fontsize=layout.title)
    shown = np.isfinite(effects) if layout.written else np.isfinite(effects) & clear
    places = np.argwhere(shown)
    colours = np.where(np.abs(effects[shown]) > 0.65 * most, "white", "black")
    if layout.written:
        for (i, j), colour in zip(places, colours, strict=True):
            ax.text(j, i, f"{round(effects[i, j], 2) + 0.0:.2f}", ha="center", va="center", fontsize=layout.font,
                    weight="bold" if clear[i, j] else "normal", color=colour)
    elif len(places):
        ax.scatter(*places.T[::-1], s=min(DOT, 30 * layout.cell) ** 2, c=colours.tolist(), linewidths=0)


def _cells(effects):
    """What cells show, and how many marks are in one: of more marks than a picture has room for, the strongest effect
    of some neighbours on some."""
    n_marks, side = len(effects), -(-len(effects) // MOST_CELLS)
    n = -(-n_marks // side)
    cells = np.empty((n, n))
    for i in range(n):
        rows = np.full((side, n * side), np.nan)
        rows[:len(effects[i * side:(i + 1) * side]), :n_marks] = effects[i * side:(i + 1) * side]
        of_cell = rows.reshape(side, n, side).swapaxes(0, 1).reshape(n, -1)
        cells[i] = of_cell[np.arange(n), np.nan_to_num(np.abs(of_cell), nan=-1).argmax(1)]
    return cells, side


def _draw_groups(ax, group_of_mark):
    """A colour for each mark, between the cells and the names."""
    shown = list(dict.fromkeys(group_of_mark))
    if len(shown) > GROUPS_UP_TO:
        raise InputError(f"the marks have {len(shown)} groups, and only {GROUPS_UP_TO} colours can be told apart: "
                         "use a column with fewer values")
    colours = dict(zip(shown, group_colours(shown), strict=True))
    along = np.arange(len(group_of_mark))[:, None] + [-0.5, 0.5]
    beside = np.zeros_like(along)
    for ends, transform, shift in (((beside, along), ax.get_yaxis_transform(), (-STRIP / 2, 0)),
                                   ((along, beside), ax.get_xaxis_transform(), (0, -STRIP / 2))):
        strip = LineCollection(np.stack(ends, -1), colors=[colours[group] for group in group_of_mark],
                               linewidths=72 * STRIP, capstyle="butt", clip_on=False,
                               transform=transform + ScaledTranslation(*shift, ax.figure.dpi_scale_trans))
        ax.add_collection(strip, autolim=False)
    ax.tick_params(length=0, pad=72 * STRIP + 2)
    if not len(ax.get_xticks()):  # the axes' labels have no names to keep them off the strips
        ax.xaxis.labelpad = ax.yaxis.labelpad = 72 * STRIP + 4
    legend = ax.legend(handles=[Patch(color=colour, label=f" {group}") for group, colour in colours.items()],
                       loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False, fontsize=FONT)
    for text in legend.get_texts():
        text.set_parse_math(False)


def group_colours(groups):
    """A colour (#rrggbb) for each of up to 20 groups; blue and orange, the colours of effects, come last."""
    few = len(groups) <= len(CYCLE)
    colours = [*CYCLE[2:], *CYCLE[:2]] if few else colormaps["tab20"].colors
    return [to_hex(colour) for colour in colours[:len(groups)]]


def marks_of(direct):
    """Names of the marks of a table of pairs, in the order of the model."""
    return list(dict.fromkeys([*direct["exposure"][:1], *direct["outcome"].unique(), *direct["exposure"].unique()]))


def is_clear(direct):
    """Which effects are beyond the minimum: by their q-value; by size where a sparse network has none."""
    if direct.get("qvalue_min_effect") is None:
        return direct["verdict"] == DIRECT_VERDICT if "verdict" in direct else direct["exposure"].isna()
    tested = direct["qvalue_min_effect"]
    return tested < FALSE_DISCOVERY_RATE if tested.notna().any() else direct["direct_std"].abs() > MIN_EFFECT


def matrix_of(direct, names, values):
    """Values of a table of pairs as (exposure, outcome), NaN for pairs that it has not."""
    place = {name: i for i, name in enumerate(names)}
    matrix = np.full((len(names), len(names)), np.nan)
    matrix[tuple(np.asarray(direct[role].map(place), np.intp) for role in ("exposure", "outcome"))] = values
    return matrix


def clustered(effects):
    """The order in which marks that behave alike are neighbours."""
    if len(effects) < 3:
        return np.arange(len(effects))
    filled = np.nan_to_num(effects)
    if len(effects) <= COMPARED_UP_TO:
        return leaves_list(linkage(np.hstack([filled, filled.T]), "average",
                                   optimal_ordering=len(effects) <= NAMED_UP_TO))
    return leaves_list(linkage(_distances(filled), "average"))


def _distances(effects):
    """Distances between marks by their effects on others and others' on them, condensed as SciPy has them.

    As products of matrices, some marks at a time: comparing 5,000 one with the other takes minutes. Marks without any
    effect on others, often most of them, add nothing to the products.
    """
    n, parts = len(effects), []
    squares = (effects ** 2).sum(1) + (effects ** 2).sum(0)
    on_others, by_others = effects[:, effects.any(0)], effects[effects.any(1)]
    for first in range(0, n, MARKS_AT_A_TIME):
        some = slice(first, first + MARKS_AT_A_TIME)
        product = on_others[some] @ on_others[first:].T + by_others[:, some].T @ by_others[:, first:]
        distance = np.sqrt(np.maximum(squares[some, None] + squares[first:] - 2 * product, 0))
        parts += [row[i + 1:] for i, row in enumerate(distance)]
    return np.concatenate(parts)
