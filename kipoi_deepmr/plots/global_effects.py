"""Global causal effects of ordered pairs with their intervals, in the manner of the paper's Fig 3."""

from textwrap import wrap

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ..display import shortened
from .axes import BLUE, ORANGE

MAX_PAIRS = 60  # more cannot be read in one figure
PAIR = ["exposure", "outcome"]
VERDICT_LINE = 34  # letters of a verdict on one line
ONE_LINE = 40  # letters of a label; a longer one takes two lines
LONGEST_NAME = 80  # letters; of a longer name the middle is left out
FONT_SIZE, LETTER_WIDTH = 8, 0.6  # points, and em
PANEL_WIDTHS = (3.5, 2.5)  # inches, of up to four methods and of more


def plot_global_effects(table, ax=None, pairs=None):
    """Effect of each ordered pair with its confidence interval and its prediction interval for a new locus.

    Parameters
    ----------
    table : pandas.DataFrame
        Global effects of one method, as `kipoi_deepmr.meta.aggregate` returns them.
    ax : matplotlib.axes.Axes, optional
    pairs : list of (exposure, outcome), optional
        The rows from the top; by default `ordered_pairs` of the table.

    Returns
    -------
    matplotlib.axes.Axes
    """
    pairs = ordered_pairs(table) if pairs is None else pairs
    labels = _labels(pairs)
    if ax is None:
        ax = Figure(figsize=_size(labels, 1), layout="constrained").add_subplot()
    row_of = {pair: len(pairs) - 1 - number for number, pair in enumerate(pairs)}
    rows = table[PAIR].apply(tuple, axis=1).map(row_of) if len(table) else pd.Series(dtype=float)
    shown = table[rows.notna() & table["estimate"].notna()]
    rows = rows[shown.index].astype(int)
    ax.grid(axis="y", color="0.93", linewidth=0.8)
    ax.set_axisbelow(True)
    ax.axvline(0, color="0.7", linewidth=0.8, zorder=0.6)
    if {"pi_low", "pi_high"} <= set(shown):
        ax.hlines(rows, shown["pi_low"], shown["pi_high"], color=ORANGE, linewidth=1,
                  label="95 % prediction interval of a new locus")
    ax.hlines(rows, shown["ci_low"], shown["ci_high"], color=BLUE, linewidth=3, label="confidence interval")
    ax.plot(shown["estimate"], rows, "o", color=BLUE, markersize=5, markeredgecolor="white", label="effect")
    ax.set_xlim(*_limits(shown))
    ax.set_yticks(range(len(pairs))[::-1], labels, parse_math=False, fontsize=FONT_SIZE)
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(-0.8, max(len(pairs), 1) - 0.2)
    ax.set_xlabel("global causal effect")
    ax.set_title(", ".join(dict.fromkeys(table["method"])), fontsize="medium")
    return ax


def global_effects_figure(table):
    """A panel of `plot_global_effects` for each method of the table, side by side, with the same pairs in each row.

    If the table has verdicts, they stand on the right.
    """
    methods, pairs = list(dict.fromkeys(table["method"])), ordered_pairs(table)
    verdicts = _verdicts(table, pairs)
    width, height = _size(_labels(pairs), len(methods))
    width += max(map(len, "\n".join(verdicts).split("\n"))) * FONT_SIZE * LETTER_WIDTH / 72
    figure = Figure(figsize=(width, height), layout="constrained")
    panels = figure.subplots(1, len(methods), squeeze=False, sharey=True)[0]
    for ax, method in zip(panels, methods, strict=True):
        plot_global_effects(table[table["method"] == method], ax, pairs).label_outer(remove_inner_ticks=True)
        ax.set_xlabel("global causal effect")
    if any(verdicts):
        right = panels[-1].secondary_yaxis("right")
        right.set_yticks(range(len(pairs))[::-1], verdicts, parse_math=False, fontsize=FONT_SIZE)
        right.tick_params(axis="y", length=0)
    n_pairs = table.groupby(PAIR, sort=False, observed=True).ngroups
    if len(pairs) < n_pairs:
        figure.suptitle(f"{n_pairs - len(pairs)} of {n_pairs} pairs not shown", fontsize="medium")
    if pairs:
        figure.legend(*panels[0].get_legend_handles_labels(), fontsize="small", frameon=False,
                      loc="outside lower center", ncols=3 if len(methods) > 1 else 1)
    return figure


def ordered_pairs(table):
    """Pairs with an estimate by any method, by the first method's effect, the largest first.

    If the table has standardised effects, the largest absolute one comes first. Beyond 60 pairs, those that come first,
    or without standardised effects those with the largest ``|estimate / se|`` of any method.

    Parameters
    ----------
    table : pandas.DataFrame

    Returns
    -------
    list of (exposure, outcome)
    """
    table = table[np.isfinite(table["estimate"]) & np.isfinite(table["se"])]
    standardised = "standardised" in table and table["standardised"].notna().any()
    size = table["standardised"].abs() if standardised else table["estimate"]
    strength = size.fillna(0) if standardised else (table["estimate"] / table["se"]).abs().fillna(0)
    strength = strength.groupby([table[name] for name in PAIR], observed=True).max()
    chosen = table[table.set_index(PAIR).index.isin(strength.nlargest(MAX_PAIRS).index)]
    rank = {method: number for number, method in enumerate(dict.fromkeys(table["method"]))}
    chosen = chosen.assign(rank=chosen["method"].map(rank), smallness=-size[chosen.index])
    return list(dict.fromkeys(chosen.sort_values(["rank", "smallness"])[PAIR].itertuples(index=False, name=None)))


def _verdicts(table, pairs):
    """The verdict of each pair, in two lines at most; empty where there is none."""
    if "verdict" not in table:
        return [""] * len(pairs)
    of_pair = table.drop_duplicates(PAIR).set_index(PAIR)["verdict"].astype(object).fillna("")
    return ["\n".join(wrap(str(of_pair[pair]), VERDICT_LINE, max_lines=2, placeholder="…")) for pair in pairs]


def _labels(pairs):
    """One line or two for each pair; names that are too long are cut in the middle, so that all still differ."""
    shown = shortened((name for pair in pairs for name in pair), LONGEST_NAME)
    labels = [f"{shown[x]} → {shown[y]}" for x, y in pairs]
    return labels if max(map(len, labels), default=0) <= ONE_LINE else [f"{shown[x]}\n→ {shown[y]}" for x, y in pairs]


def _size(labels, n_panels):
    """Inches of a figure with these labels on its left."""
    lines = [line for label in labels for line in label.split("\n")]
    letters, height = max(map(len, lines), default=0), 0.38 if len(lines) > len(labels) else 0.22
    width = letters * FONT_SIZE * LETTER_WIDTH / 72 + PANEL_WIDTHS[n_panels > 4] * n_panels
    return width + 0.4, 1.6 + height * len(labels)


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
