"""Rounds of a simulation, in the manner of the paper's Fig 2: true against estimated effects, and coverage."""

import numpy as np
from matplotlib.figure import Figure

from .axes import BLUE, GREY, ORANGE, SPREAD, axes_of


def plot_true_effects(rounds, ax=None):
    """Estimated global effects against the true ones, one point a round, bars of +-2 standard errors and +-2 tau.

    Parameters
    ----------
    rounds : pandas.DataFrame
        Columns true_effect, estimate, se, tau.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = axes_of(ax, 4, 4)
    true = rounds["true_effect"]
    ax.axline((true.mean(), true.mean()), slope=1, color=GREY, linewidth=0.8, zorder=0)
    ax.errorbar(true, rounds["estimate"], yerr=2 * rounds["tau"].fillna(0), fmt="none", ecolor=SPREAD, elinewidth=1,
                label="±2 τ (spread over loci)")
    ax.errorbar(true, rounds["estimate"], yerr=2 * rounds["se"], fmt="o", color=BLUE, markersize=3, elinewidth=2,
                label="±2 standard errors")
    ax.set_xlabel("true global effect")
    ax.set_ylabel("estimated global effect")
    ax.legend(frameon=False, fontsize="small")
    return ax


def plot_coverage(coverage, ax=None):
    """Histogram over rounds of the share of local intervals that hold the local truth, with its mean.

    Parameters
    ----------
    coverage : (n,) array
        Between 0 and 1.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = axes_of(ax, 4, 2.5)
    coverage = np.asarray(coverage, np.float64)
    coverage = coverage[np.isfinite(coverage)]
    ax.hist(coverage, bins=np.linspace(0, 1, 21), color=BLUE)
    if len(coverage):
        ax.axvline(coverage.mean(), color=ORANGE, label=f"mean {coverage.mean():.2f}")
        ax.legend(frameon=False, fontsize="small")
    ax.set_xlim(0, 1)
    ax.set_xlabel("share of local 95 % intervals that hold the truth")
    ax.set_ylabel("rounds")
    return ax


def simulation_figure(rounds):
    """A figure with both plots for each scenario, side by side; `rounds` has columns scenario and coverage too."""
    scenarios = list(dict.fromkeys(rounds["scenario"]))
    figure = Figure(figsize=(4 * len(scenarios), 6.5), layout="constrained")
    panels = figure.subplots(2, len(scenarios), squeeze=False, height_ratios=(3, 2))
    for (above, below), scenario in zip(panels.T, scenarios):
        of_scenario = rounds[rounds["scenario"] == scenario]
        plot_true_effects(of_scenario, above).set_title(scenario, parse_math=False, fontsize="medium")
        plot_coverage(of_scenario["coverage"], below)
    return figure
