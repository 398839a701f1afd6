"""Effects of all ordered pairs as a heat map, marks that behave alike beside each other."""

import numpy as np
from matplotlib import colormaps
from matplotlib.collections import LineCollection
from matplotlib.patches import Patch
from matplotlib.transforms import ScaledTranslation
from scipy.cluster.hierarchy import leaves_list, linkage

from ..errors import InputError
from ..network import MIN_EFFECT
from ..network.significance import FALSE_DISCOVERY_RATE
from ..network.verdicts import DIRECT as DIRECT_VERDICT
from .axes import OF_EFFECTS, axes_of

DIRECT = "direct effect\n(sd of outcome\nper sd of exposure)"
FONT, INCHES_OF_LETTER = 7, 0.6 * 7 / 72
CELL = 0.2  # inches
WRITTEN_UP_TO = 15  # marks: more numbers cannot be read
NAMED_UP_TO = 200  # marks: more names cannot be read
WIDEST = 24.0  # inches of all cells
STRIP = 0.09  # inches, of the colours of groups
GROUPS_UP_TO = 20  # more colours cannot be told apart


def heatmap_figure(direct, value="direct_std", label=DIRECT, groups=None):
    """A figure with `plot_heatmap` alone."""
    return plot_heatmap(direct, value, label, groups=groups).figure


def plot_heatmap(direct, value="direct_std", label=DIRECT, ax=None, groups=None):
    """A row for each exposure, a column for each outcome, the colour their effect.

    Marks are in the order of a hierarchical clustering (average linkage) of their effects on others and others' on
    them. Cells without an estimate are grey. A dot marks effects beyond the minimum (qvalue_min_effect < 0.05).

    Parameters
    ----------
    direct : pandas.DataFrame
        One row a pair: columns exposure, outcome and `value`.
    value, label : str
        The column that is shown, and what to call it.
    ax : matplotlib.axes.Axes, optional
    groups : dict of str to str, optional
        The group of each mark: a strip of colours beside the rows and columns, with a legend.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        There are more than 20 groups.
    """
    names = marks_of(direct)
    effects, clear = (matrix_of(direct, names, values) for values in (direct[value], is_clear(direct).astype(float)))
    order = clustered(effects)
    names = [str(names[i]) for i in order]
    effects, clear = effects[np.ix_(order, order)], clear[np.ix_(order, order)]
    cell = min(_cell(names), WIDEST / len(names))
    room = (max(map(len, names)) * INCHES_OF_LETTER if len(names) <= NAMED_UP_TO else 0) + 0.5
    side = cell * len(names) + room
    ax = axes_of(ax, max(side + 1.4, 4), max(side + 1.0, 3.4))
    _draw(ax, effects, clear, label)
    if len(names) <= NAMED_UP_TO:
        size = min(FONT, 72 * cell / 1.25)
        ax.set_xticks(range(len(names)), names, rotation=90, fontsize=size, parse_math=False)
        ax.set_yticks(range(len(names)), names, fontsize=size, parse_math=False)
    else:
        ax.set(xticks=[], yticks=[])
    drawn = "in bold" if len(names) <= WRITTEN_UP_TO else "with a dot"
    ax.set_xlabel(f"outcome\n({drawn}: beyond the\nminimum effect, q < 0.05)")
    ax.set_ylabel("exposure")
    if groups:
        _draw_groups(ax, [groups[name] for name in names])
    return ax


def plot_global_heatmap(table, method=None, ax=None, groups=None):
    """`plot_heatmap` of standardised global effects.

    Parameters
    ----------
    table : pandas.DataFrame
        global.tsv: columns exposure, outcome, method and standardised at least.
    method : str, optional
        By default the first one.
    ax, groups
        As for `plot_heatmap`.

    Returns
    -------
    matplotlib.axes.Axes
    """
    method = table["method"].iloc[0] if method is None else method
    label = f"global effect, {method}\n(sd of outcome\nper sd of exposure)"
    return plot_heatmap(table[table["method"] == method], "standardised", label, ax, groups)


def _cell(names):
    return 0.45 if len(names) <= WRITTEN_UP_TO else CELL


def _draw(ax, effects, clear, label):
    n = len(effects)
    ax.set_facecolor("0.85")
    most = np.nanmax(np.abs(effects), initial=0) or 1.0
    image = ax.imshow(effects, cmap=OF_EFFECTS, vmin=-most, vmax=most, aspect="equal", interpolation="nearest")
    ax.figure.colorbar(image, ax=ax, label=label, shrink=min(1.0, 0.3 + 3 / n), aspect=15)
    for i, j in np.argwhere(np.isfinite(effects)):
        dark = abs(effects[i, j]) > 0.65 * most
        if n <= WRITTEN_UP_TO:
            ax.text(j, i, f"{round(effects[i, j], 2) + 0.0:.2f}", ha="center", va="center", fontsize=FONT,
                    weight="bold" if clear[i, j] == 1 else "normal", color="white" if dark else "black")
        elif clear[i, j] == 1:
            ax.plot(j, i, ".", markersize=3, color="white" if dark else "black")


def _draw_groups(ax, group_of_mark):
    """A colour for each mark, between the cells and the names."""
    shown = list(dict.fromkeys(group_of_mark))
    if len(shown) > GROUPS_UP_TO:
        raise InputError(f"the marks have {len(shown)} groups, and only {GROUPS_UP_TO} colours can be told apart: "
                         "use a column with fewer values")
    colours = colormaps["tab10" if len(shown) <= 10 else "tab20"].colors
    few = len(colours) // 5  # blue and orange, the colours of effects, come last
    colours = dict(zip(shown, [*colours[few:], *colours[:few]], strict=False))
    along = np.arange(len(group_of_mark))[:, None] + [-0.5, 0.5]
    beside = np.zeros_like(along)
    for ends, transform, shift in (((beside, along), ax.get_yaxis_transform(), (-STRIP / 2, 0)),
                                   ((along, beside), ax.get_xaxis_transform(), (0, -STRIP / 2))):
        strip = LineCollection(np.stack(ends, -1), colors=[colours[group] for group in group_of_mark],
                               linewidths=72 * STRIP, capstyle="butt", clip_on=False,
                               transform=transform + ScaledTranslation(*shift, ax.figure.dpi_scale_trans))
        ax.add_collection(strip, autolim=False)
    ax.tick_params(length=0, pad=72 * STRIP + 2)
    if len(group_of_mark) > NAMED_UP_TO:  # the axes' labels have no names to keep them off the strips
        ax.xaxis.labelpad = ax.yaxis.labelpad = 72 * STRIP + 4
    legend = ax.legend(handles=[Patch(color=colour, label=f" {group}") for group, colour in colours.items()],
                       loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False, fontsize=FONT)
    for text in legend.get_texts():
        text.set_parse_math(False)


def marks_of(direct):
    """Names of the marks of a table of pairs, in the order of the model."""
    return list(dict.fromkeys([*direct["exposure"][:1], *direct["outcome"], *direct["exposure"]]))


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
    matrix[direct["exposure"].map(place), direct["outcome"].map(place)] = values
    return matrix


def clustered(effects):
    """The order in which marks that behave alike are neighbours."""
    if len(effects) < 3:
        return np.arange(len(effects))
    filled = np.nan_to_num(effects)
    return leaves_list(linkage(np.hstack([filled, filled.T]), "average", optimal_ordering=len(effects) <= NAMED_UP_TO))
