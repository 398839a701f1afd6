"""Effects of all ordered pairs as a heat map, marks that behave alike beside each other."""

import numpy as np
from scipy.cluster.hierarchy import leaves_list, linkage

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


def heatmap_figure(direct, value="direct_std", label=DIRECT):
    """A figure with `plot_heatmap` alone."""
    return plot_heatmap(direct, value, label).figure


def plot_heatmap(direct, value="direct_std", label=DIRECT, ax=None):
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

    Returns
    -------
    matplotlib.axes.Axes
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
    return ax


def plot_global_heatmap(table, method=None, ax=None):
    """`plot_heatmap` of standardised global effects.

    Parameters
    ----------
    table : pandas.DataFrame
        global.tsv: columns exposure, outcome, method and standardised at least.
    method : str, optional
        By default the first one.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    method = table["method"].iloc[0] if method is None else method
    label = f"global effect, {method}\n(sd of outcome\nper sd of exposure)"
    return plot_heatmap(table[table["method"] == method], "standardised", label, ax)


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
