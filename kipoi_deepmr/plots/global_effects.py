"""Global causal effects of ordered pairs, in the manner of the paper's Fig 3."""

import numpy as np
from matplotlib.figure import Figure

MAX_PAIRS = 60  # more cannot be read in one figure


def plot_global_effects(table, ax=None):
    """Effect per ordered pair with bars of +-2 standard errors and +-2 tau.

    Parameters
    ----------
    table : pandas.DataFrame
        Global effects of one method, as `kipoi_deepmr.meta.aggregate` returns them. Pairs without an estimate are
        left out; beyond 60, those with the smallest `|estimate / se|`.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    shown, n_pairs = _strongest(table), len(table)
    if ax is None:
        ax = Figure(figsize=(6, 1.5 + 0.3 * len(shown)), layout="constrained").add_subplot()
    rows = np.arange(len(shown))[::-1]
    ax.axvline(0, color="0.7", linewidth=0.8, zorder=0)
    ax.errorbar(shown["estimate"], rows, xerr=2 * shown["tau"].fillna(0), fmt="none", ecolor="tab:orange", elinewidth=2,
                label="±2 τ (spread over loci)")
    ax.errorbar(shown["estimate"], rows, xerr=2 * shown["se"], fmt="o", color="tab:blue", markersize=4, elinewidth=4,
                label="±2 standard errors")
    labels = [f"{x} → {y}" for x, y in zip(shown["exposure"], shown["outcome"], strict=True)]
    ax.set_yticks(rows, labels, parse_math=False)
    ax.set_ylim(-0.8, len(shown) - 0.2)
    ax.set_xlabel("global causal effect")
    left_out = f", {n_pairs - len(shown)} of {n_pairs} pairs not shown" if len(shown) < n_pairs else ""
    methods = ", ".join(dict.fromkeys(table["method"]))
    ax.set_title(f"{methods}{left_out}", fontsize="medium")
    if len(shown):
        ax.legend(fontsize="small", frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.12 - 0.5 / len(shown)),
                  ncols=2)
    return ax


def global_effects_figure(table):
    """A figure with one panel of `plot_global_effects` for each method of the table, side by side."""
    methods = list(dict.fromkeys(table["method"]))
    n_rows = min(len(table) // len(methods), MAX_PAIRS)
    figure = Figure(figsize=(5 * len(methods) + 1, 1.5 + 0.3 * n_rows), layout="constrained")
    for ax, method in zip(np.atleast_1d(figure.subplots(1, len(methods))), methods, strict=True):
        plot_global_effects(table[table["method"] == method], ax)
    return figure


def _strongest(table):
    estimated = table[np.isfinite(table["estimate"]) & np.isfinite(table["se"])]
    if len(estimated) <= MAX_PAIRS:
        return estimated
    strength = (estimated["estimate"] / estimated["se"]).abs()
    return estimated.loc[strength.nlargest(MAX_PAIRS).index.sort_values()]
