"""Global causal effects of ordered pairs with their intervals, in the manner of the paper's Fig 3."""

from textwrap import wrap

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ..display import shortened
from .axes import BLUE, ORANGE
from .styles import background, inches_of, small

MAX_PAIRS = 60  # more cannot be read in one figure
PAIR = ["exposure", "outcome"]
VERDICT_LINE = 34  # letters of a verdict on one line
ONE_LINE = 40  # letters of a label; a longer one takes two lines
LONGEST_NAME = 80  # letters; of a longer name the middle is left out
FONT_SIZE = 8  # points
MAX_IN_PAGE = 36  # pairs of a figure whose width is given
LABEL_SHARE = 0.3  # of its width, for labels
AXIS_LABEL = "global causal effect"
PANEL_WIDTHS = (3.5, 2.5)  # inches, of up to four methods and of more


def plot_global_effects(table, ax=None, pairs=None, labels=None):
    """Effect of each ordered pair with its confidence interval and its prediction interval for a new locus.

    Parameters
    ----------
    table : pandas.DataFrame
        Global effects of one method, as `kipoi_deepmr.meta.aggregate` returns them.
    ax : matplotlib.axes.Axes, optional
    pairs : list of (exposure, outcome), optional
        The rows from the top; by default `ordered_pairs` of the table.
    labels : list of str, optional
        What to call the pairs; by default exposure → outcome.

    Returns
    -------
    matplotlib.axes.Axes
    """
    pairs = ordered_pairs(table) if pairs is None else pairs
    labels = labels_of(pairs) if labels is None else labels
    if ax is None:
        ax = Figure(figsize=_size(labels, 1), layout="constrained").add_subplot()
    row_of = {pair: len(pairs) - 1 - number for number, pair in enumerate(pairs)}
    rows = pd.Series([row_of.get(pair) for pair in zip(*map(table.get, PAIR), strict=True)], table.index, float)
    shown = table[rows.notna() & table["estimate"].notna()]
    draw_intervals(ax, shown, rows[shown.index].astype(int))
    ax.set_yticks(range(len(pairs))[::-1], labels, parse_math=False, fontsize=_font())
    ax.set_ylim(-0.8, max(len(pairs), 1) - 0.2)
    ax.set_xlabel(AXIS_LABEL)
    ax.set_title(", ".join(dict.fromkeys(table["method"])), fontsize="medium")
    return ax


def draw_intervals(ax, shown, rows, prediction="95 % prediction interval of a new locus"):
    """Effects with their intervals, each in a row of Axes whose limits leave out what lies far from all estimates.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    shown : pandas.DataFrame
        Columns estimate, ci_low, ci_high; pi_low and pi_high, if there are prediction intervals.
    rows : (n,) sequence of int
        Where each is drawn.
    prediction : str
        What the legend calls the second interval.
    """
    width = min(1.0, matplotlib.rcParams["font.size"] / 10)
    ax.grid(axis="y", color="0.5", alpha=0.15, linewidth=0.8)
    ax.set_axisbelow(True)
    ax.axvline(0, color="0.7", linewidth=0.8, zorder=0.6)
    if {"pi_low", "pi_high"} <= set(shown):
        ax.hlines(rows, shown["pi_low"], shown["pi_high"], color=ORANGE, linewidth=width, label=prediction)
    ax.hlines(rows, shown["ci_low"], shown["ci_high"], color=BLUE, linewidth=3 * width, label="confidence interval")
    ax.plot(shown["estimate"], rows, "o", color=BLUE, markersize=5 * width, markeredgecolor=background(),
            markeredgewidth=width, label="effect")
    ax.set_xlim(*_limits(shown))
    ax.tick_params(axis="y", length=0)


def global_effects_figure(table, width=None):
    """A panel of `plot_global_effects` for each method of the table, side by side, with the same pairs in each row.

    If the table has verdicts, they stand on the right.

    Parameters
    ----------
    table : pandas.DataFrame
        Where it holds the strongest pairs alone, `attrs["pairs"]` says how many there are.
    width : float, optional
        Inches of the figure, in which the first methods are shown if there is no room for all; by default so many that
        all have room.

    Returns
    -------
    matplotlib.figure.Figure
    """
    methods = list(dict.fromkeys(table["method"]))
    pairs = ordered_pairs(table, MAX_PAIRS if width is None else MAX_IN_PAGE)
    if width is None:
        labels, verdicts = labels_of(pairs), _verdicts(table, pairs, VERDICT_LINE)
    else:
        letters = int(LABEL_SHARE * width / inches_of(1, small()))
        labels, verdicts = labels_of(pairs, letters, letters), _verdicts(table, pairs, max(letters - 2, 16))
    beside = inches_of(_longest(labels) + _longest(verdicts), _font()) + 0.4
    points = matplotlib.rcParams["font.size"]
    narrowest = inches_of(len(AXIS_LABEL) + 2, points)
    shown = methods if width is None else methods[:max(1, int((width - beside) / narrowest))]
    two_lines = any("\n" in text for text in labels + verdicts)
    row = (0.38 if width is None else 0.3) if two_lines else 0.22
    height = (1.6 if width is None else 0.21 * points) + row * len(pairs) * _font() / FONT_SIZE
    figure = Figure(figsize=(width or beside + PANEL_WIDTHS[len(methods) > 4] * len(methods), height),
                    layout="constrained")
    panels = figure.subplots(1, len(shown), squeeze=False, sharey=True)[0]
    for ax, method in zip(panels, shown, strict=True):
        plot_global_effects(table[table["method"] == method], ax, pairs, labels).label_outer(remove_inner_ticks=True)
        ax.set_xlabel(AXIS_LABEL)
    if any(verdicts):
        right = panels[-1].secondary_yaxis("right")
        right.set_yticks(range(len(pairs))[::-1], verdicts, parse_math=False, fontsize=_font())
        right.tick_params(axis="y", length=0)
    n_pairs = table.attrs.get("pairs") or table.groupby(PAIR, sort=False, observed=True).ngroups
    left_out = [f"{all_ - there} of {all_} {what} not shown" for there, all_, what in (
        (len(pairs), n_pairs, "pairs"), (len(shown), len(methods), "methods")) if there < all_]
    if left_out:
        figure.suptitle(", ".join(left_out), fontsize="medium")
    if pairs:
        figure.legend(*panels[0].get_legend_handles_labels(), fontsize="small", frameon=False,
                      loc="outside lower center", ncols=3 if len(shown) > 1 and width is None else 1)
    return figure


def _longest(texts):
    return max((len(line) for text in texts for line in text.split("\n")), default=0)


def ordered_pairs(table, most=MAX_PAIRS):
    """Pairs with an estimate by any method, by the first method's effect, the largest first.

    If the table has standardised effects, the largest absolute one comes first. Beyond `most` pairs, those that come
    first, or without standardised effects those with the largest ``|estimate / se|`` of any method.

    Parameters
    ----------
    table : pandas.DataFrame
    most : int

    Returns
    -------
    list of (exposure, outcome)
    """
    table = table[np.isfinite(table["estimate"]) & np.isfinite(table["se"])]
    standardised = "standardised" in table and table["standardised"].notna().any()
    size = table["standardised"].abs() if standardised else table["estimate"]
    strength = size.fillna(0) if standardised else (table["estimate"] / table["se"]).abs().fillna(0)
    strength = strength.groupby([table[name] for name in PAIR], observed=True).max()
    chosen = table[table.set_index(PAIR).index.isin(strength.nlargest(most).index)]
    rank = {method: number for number, method in enumerate(dict.fromkeys(table["method"]))}
    chosen = chosen.assign(rank=chosen["method"].map(rank), smallness=-size[chosen.index])
    return list(dict.fromkeys(chosen.sort_values(["rank", "smallness"])[PAIR].itertuples(index=False, name=None)))


def _verdicts(table, pairs, line):
    """The verdict of each pair, in two lines at most; empty where there is none."""
    if "verdict" not in table:
        return [""] * len(pairs)
    of_pair = table.drop_duplicates(PAIR).set_index(PAIR)["verdict"].astype(object).fillna("")
    return ["\n".join(wrap(str(of_pair[pair]), line, max_lines=2, placeholder="…")) for pair in pairs]


def labels_of(pairs, one_line=ONE_LINE, longest=LONGEST_NAME):
    """One line or two for each pair; names that are too long are cut in the middle, so that all still differ."""
    shown = shortened((name for pair in pairs for name in pair), longest)
    labels = [f"{shown[x]} → {shown[y]}" for x, y in pairs]
    return labels if max(map(len, labels), default=0) <= one_line else [f"{shown[x]}\n→ {shown[y]}" for x, y in pairs]


def _font():
    return 0.8 * matplotlib.rcParams["font.size"] if matplotlib.rcParams["font.size"] >= 10 else small()


def _size(labels, n_panels):
    """Inches of a figure with these labels on its left."""
    height = 0.38 if any("\n" in label for label in labels) else 0.22
    width = inches_of(_longest(labels), FONT_SIZE) + PANEL_WIDTHS[n_panels > 4] * n_panels + 0.4
    return width, 1.6 + height * len(labels)


def _limits(shown):
    """What to show of the axis: all estimates, and of intervals what lies near them."""
    estimates = shown["estimate"].dropna()
    if estimates.empty:
        return -1, 1
    widths = (shown["ci_high"] - shown["ci_low"]).dropna()
    reach = max(np.ptp(estimates), widths.median() if len(widths) else 0.0) or abs(estimates.iloc[0]) or 1.0
    bounds = np.concatenate([shown[name].dropna() for name in ("ci_low", "ci_high", "pi_low", "pi_high")
                             if name in shown] + [estimates, [0.0]])
    low, high = max(bounds.min(), estimates.min() - 2 * reach), min(bounds.max(), estimates.max() + 2 * reach)
    return min(low, 0) - 0.05 * (high - low), max(high, 0) + 0.05 * (high - low)
