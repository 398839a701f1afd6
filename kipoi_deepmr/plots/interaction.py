"""The interaction of two regions: effects of each alone, their sum and that of both, over loci and at each locus."""

import numpy as np
from matplotlib.figure import Figure

from .axes import BLUE, GREY, ORANGE, axes_of

MOST_SHOWN = 6


def plot_interaction(row, ax=None):
    """Mean effects with their 95 % intervals, and the sum that both would have if they were independent.

    Parameters
    ----------
    row : kipoi_deepmr.shape.Interaction
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = axes_of(ax, 3, 3)
    names = ("effect", "effect_2", "effect_both")
    means, lows, highs = (np.array([getattr(row, name + end) for name in names]) for end in ("", "_ci_low", "_ci_high"))
    expected = means[0] + means[1]
    ax.axhline(0, color=GREY, linewidth=0.8, zorder=0)
    ax.errorbar([0, 1, 3], means, yerr=[means - lows, highs - means], fmt="o", color=BLUE, markersize=4, capsize=3)
    ax.plot([2], [expected], "D", color=ORANGE, markersize=4)
    ax.plot([2, 3], [expected, expected], color=ORANGE, linewidth=1, linestyle="--")
    ax.set_xlim(-0.5, 3.5)
    ax.set_xticks(range(4), [row.exposure, row.exposure_2, "sum", "both"], rotation=30, parse_math=False)
    ax.set_ylabel(f"effect on {row.outcome}", parse_math=False)
    ax.set_title(f"{row.exposure}, {row.exposure_2} → {row.outcome}\n{row.verdict}", fontsize="medium",
                 parse_math=False)
    return ax


def plot_effects_of_both(loci, row, ax=None):
    """The effect of both regions against the sum of their effects, a point a locus; independent ones lie on the line.

    Parameters
    ----------
    loci : pandas.DataFrame
        The `loci` of an `InteractionResult`.
    row : kipoi_deepmr.shape.Interaction
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = axes_of(ax, 3, 3)
    of_row = loci[(loci["exposure"] == row.exposure) & (loci["exposure_2"] == row.exposure_2)
                  & (loci["outcome"] == row.outcome)]
    expected = of_row["effect"] + of_row["effect_2"]
    ends = np.array([min(expected.min(), of_row["effect_both"].min(), 0),
                     max(expected.max(), of_row["effect_both"].max(), 0)])
    ax.plot(ends, ends, color=ORANGE, linewidth=1, linestyle="--", label="independent")
    ax.plot(expected, of_row["effect_both"], ".", color=BLUE, markersize=4, rasterized=len(of_row) > 5000)
    ax.set_xlabel("sum of the two effects")
    ax.set_ylabel("effect of both")
    ax.legend(frameon=False, fontsize="small")
    return ax


def interaction_figure(found):
    """Means over loci of an `InteractionResult` above, loci below, of the pairs with the clearest interactions."""
    shown = [row for row in found.ordered() if np.isfinite(row.effect_both)][:MOST_SHOWN]
    if not shown:
        figure = Figure(figsize=(4, 1), layout="constrained")
        figure.suptitle("no pair of regions with enough loci", fontsize="medium")
        return figure
    figure = Figure(figsize=(3 * len(shown), 6), layout="constrained")
    above, below = figure.subplots(2, len(shown), squeeze=False)
    for row, top, bottom in zip(shown, above, below, strict=True):
        plot_interaction(row, top)
        plot_effects_of_both(found.loci, row, bottom)
    return figure
