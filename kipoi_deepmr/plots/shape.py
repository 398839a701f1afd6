"""The shape of an effect: the outcome's curve against the exposure, and local slopes against the state of the locus."""

import numpy as np
from matplotlib.figure import Figure

from ..inference import interval
from ..shape.curve import slopes_of_loci
from .axes import BLUE, GREY, ORANGE, axes_of

ALPHA = 0.05
MAX_COVARIATES = 3


def plot_curve(found, ax=None):
    """Instruments of all loci, and the curve over them with its 95 % band, beside a line of the same mean slope.

    Parameters
    ----------
    found : kipoi_deepmr.shape.ShapeResult
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax, curve, points = axes_of(ax, 4.5, 4), found.curve, found.points
    low, high = interval(curve.y, curve.se, ALPHA, curve.df)
    ax.plot(points["x"], points["y"], ".", color=GREY, markersize=2, zorder=1, rasterized=len(points) > 5000)
    ends = np.array([curve.x[0], curve.x[-1]])
    mean_slope = np.interp(curve.full, curve.x, curve.y) / curve.full
    ax.plot(ends, mean_slope * ends, color=ORANGE, linewidth=1, linestyle="--", label="a line")
    ax.fill_between(curve.x, low, high, color=BLUE, alpha=0.25, linewidth=0, zorder=2, label="95 % interval")
    ax.plot(curve.x, curve.y, color=BLUE, linewidth=2, zorder=3, label="curve")
    ax.axvline(0, color=GREY, linewidth=0.8, zorder=0)
    if np.isfinite(curve.shape.turn):
        ax.axvline(curve.shape.turn, color=BLUE, linewidth=0.8, linestyle=":", label="turn")
    ax.set_xlim(*_limits(points["x"], ends))
    ax.set_ylim(*_limits(points["y"], np.array([low.min(), high.max()])))
    ax.set_xlabel(f"effect on {found.exposure}", parse_math=False)
    ax.set_ylabel(f"effect on {found.outcome}", parse_math=False)
    ax.set_title(curve.shape.word, fontsize="medium")
    ax.legend(frameon=False, fontsize="small")
    return ax


def plot_dependence(found, number, ax=None):
    """Slope at each locus against one covariate, and the line of the meta-regression.

    Parameters
    ----------
    found : kipoi_deepmr.shape.ShapeResult
    number : int
        Of the covariate.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax, row, covariate = axes_of(ax, 4, 4), found.dependences[number], found.covariates[number]
    values, slopes = covariate.values.mean(0), slopes_of_loci(found.folds)[0].mean(0)
    ax.plot(values, slopes, ".", color=GREY, markersize=4)
    ax.axhline(0, color=GREY, linewidth=0.8, zorder=0)
    if np.isfinite(row.change):
        ends = np.array([row.low, row.high])
        effect = np.array([row.effect_low, row.effect_high])
        bars = [effect - [row.effect_low_ci_low, row.effect_high_ci_low],
                np.array([row.effect_low_ci_high, row.effect_high_ci_high]) - effect]
        ax.errorbar(ends, effect, yerr=bars, color=BLUE, linewidth=2, capsize=3)
    ax.set_xlabel(f"level of {row.covariate}" if row.covariate != "motif_distance" else "motif distance (bp)",
                  parse_math=False)
    ax.set_ylabel("slope at the locus")
    ax.set_title(row.verdict, fontsize="medium")
    return ax


def shape_figure(found):
    """The curve of a `ShapeResult`, and beside it the covariates that say most."""
    order = [np.nan_to_num(row.pvalue, nan=2.0) for row in found.dependences]
    shown = sorted(sorted(range(len(order)), key=order.__getitem__)[:MAX_COVARIATES])
    figure = Figure(figsize=(4.5 + 3.5 * len(shown), 4), layout="constrained")
    left, *right = figure.subplots(1, 1 + len(shown), squeeze=False)[0]
    plot_curve(found, left)
    for number, ax in zip(shown, right, strict=True):
        plot_dependence(found, number, ax)
    figure.suptitle(f"{found.exposure} → {found.outcome}", fontsize="medium", parse_math=False)
    return figure


def _limits(values, ends):
    """All that is drawn, but for a few points far off."""
    low, high = np.quantile(values, [0.002, 0.998])
    low, high = min(low, ends[0]), max(high, ends[1])
    room = 0.05 * (high - low)
    return low - room, high + room
