"""Rounds of a simulation, in the manner of the paper's Fig 2: true against estimated effects, and coverage."""

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter, ScalarFormatter

from .axes import BLUE, CYCLE, GREY, ORANGE, SPREAD, axes_of

MARKERS = "osD^v<>PX*hd"
COLOURS = matplotlib.colormaps["tab20"].colors
LEGEND_ROWS = 28  # what fits beside a panel
# scores against the strength of confounders: label of the axis, and what is wanted
SWEPT = {"bias": ("global bias / true effect", (-0.05, 0.05)), "coverage": ("local coverage", (0.93, 0.97)),
         "relative_width": ("local width / true effect", None)}


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


def names_in(table, column):
    """A column's names, each once, in the order of the table."""
    return list(dict.fromkeys(table[column]))


def plot_coverage_against_width(table, ax=None, analyses=None, methods=None):
    """Coverage of local 95 % intervals against their width, one point a way of estimating.

    Parameters
    ----------
    table : pandas.DataFrame
        Columns analysis, method, relative_width (over the true effect) and coverage.
    ax : matplotlib.axes.Axes, optional
    analyses, methods : list of str, optional
        In whose order colours and shapes are given; by default that of the table.

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = axes_of(ax, 5, 4)
    ax.axhspan(0.93, 0.97, color=GREY, alpha=0.4, linewidth=0, zorder=0)
    analyses, methods = analyses or names_in(table, "analysis"), methods or names_in(table, "method")
    for row in table.itertuples():
        ax.plot(row.relative_width, row.coverage, MARKERS[methods.index(row.method) % len(MARKERS)],
                color=COLOURS[analyses.index(row.analysis) % len(COLOURS)], markersize=5)
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter(ScalarFormatter())
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_xticks([0.05, 0.1, 0.2, 0.5, 1, 2, 5])
    ax.set_xlim(0.04, 6)
    ax.set_ylim(0, 1.02)
    ax.set_xlabel("median width of local intervals / true effect")
    ax.set_ylabel("coverage of the true local effects")
    return ax


def levers_figure(table):
    """`plot_coverage_against_width` for each scenario, with one legend; `table` has a column scenario too."""
    scenarios, analyses, methods = (names_in(table, column) for column in ("scenario", "analysis", "method"))
    columns = -(-(len(analyses) + len(methods)) // LEGEND_ROWS)
    figure = Figure(figsize=(4 * len(scenarios) + 2.5 * columns, 6), layout="constrained")
    panels = figure.subplots(1, len(scenarios), squeeze=False, sharey=True)[0]
    for ax, scenario in zip(panels, scenarios, strict=True):
        plot_coverage_against_width(table[table["scenario"] == scenario], ax, analyses, methods)
        ax.set_title(scenario, parse_math=False, fontsize="medium")
    colours = [Line2D([], [], color=COLOURS[i % len(COLOURS)], marker="o", linestyle="", label=name)
               for i, name in enumerate(analyses)]
    shapes = [Line2D([], [], color="k", marker=MARKERS[i % len(MARKERS)], linestyle="", label=name)
              for i, name in enumerate(methods)]
    figure.legend(handles=colours + shapes, loc="outside right center", frameon=False, fontsize="small", ncols=columns)
    return figure


def plot_sweep(table, column, ax=None):
    """A score against the strength of the confounders, one line a scenario.

    Parameters
    ----------
    table : pandas.DataFrame
        Columns strength, scenario and that of the score.
    column : {"bias", "coverage", "relative_width"}
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = axes_of(ax, 4, 2.5)
    ax.set_prop_cycle(color=CYCLE)
    label, wanted = SWEPT[column]
    if wanted:
        ax.axhspan(*wanted, color=GREY, alpha=0.4, linewidth=0, zorder=0)
    for scenario in names_in(table, "scenario"):
        line = table[table["scenario"] == scenario].sort_values("strength")
        ax.plot(line["strength"], line[column], marker="o", markersize=4, label=scenario)
    ax.set_xlabel("strength of the confounders")
    ax.set_ylabel(label)
    return ax


def sweep_figure(table):
    """`plot_sweep` of bias, coverage and width, one below the other, a column for each method of the table."""
    methods = names_in(table, "method")
    figure = Figure(figsize=(3.2 * len(methods) + 1.5, 7.5), layout="constrained")
    panels = figure.subplots(len(SWEPT), len(methods), squeeze=False, sharex=True, sharey="row")
    for method, axes in zip(methods, panels.T, strict=True):
        for ax, column in zip(axes, SWEPT, strict=True):
            plot_sweep(table[table["method"] == method], column, ax).label_outer()
        axes[0].set_title(method, parse_math=False, fontsize="medium")
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside right center", frameon=False)
    return figure


def simulation_figure(rounds, width=None):
    """A figure with both plots for each scenario, side by side; `rounds` has columns scenario and coverage too.

    `width`, if given, is that of the figure in inches: a row of both plots for each scenario.
    """
    scenarios = names_in(rounds, "scenario")
    if width is None:
        figure = Figure(figsize=(4 * len(scenarios), 6.5), layout="constrained")
        panels = figure.subplots(2, len(scenarios), squeeze=False, height_ratios=(3, 2)).T
    else:
        figure = Figure(figsize=(width, 0.45 * width * len(scenarios)), layout="constrained")
        panels = figure.subplots(len(scenarios), 2, squeeze=False, sharex="col")
    for (effects, coverage), scenario in zip(panels, scenarios, strict=True):
        of_scenario = rounds[rounds["scenario"] == scenario]
        plot_true_effects(of_scenario, effects).set_title(scenario, parse_math=False, fontsize="medium")
        plot_coverage(of_scenario["coverage"], coverage)
        if width is not None:
            coverage.set_xlabel("local coverage")
    if width is not None:
        for ax in panels[:-1].flat:
            ax.set_xlabel("")
        handles = panels[0, 0].get_legend_handles_labels()
        for ax in panels[:, 0]:
            ax.get_legend().remove()
        figure.legend(*handles, loc="outside lower center", ncols=2, frameon=False, fontsize="small")
    return figure


def plot_direct_effects(edges, ax=None):
    """Estimated direct effects against the true ones with their 95 % intervals; pairs without an edge stand at 0.

    Parameters
    ----------
    edges : pandas.DataFrame
        Columns edge, true_direct, direct, ci_low, ci_high.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = axes_of(ax, 4, 4)
    ax.axline((0, 0), slope=1, color=GREY, linewidth=0.8, zorder=0)
    for edge, color, label in ((False, GREY, "no edge"), (True, BLUE, "edge")):
        pairs = edges[edges["edge"].astype(bool) == edge].dropna(subset=["true_direct", "direct"])
        bars = [pairs["direct"] - pairs["ci_low"], pairs["ci_high"] - pairs["direct"]]
        ax.errorbar(pairs["true_direct"], pairs["direct"], yerr=bars, fmt="o", color=color, markersize=3, elinewidth=1,
                    label=label)
    ax.set_xlabel("true direct effect")
    ax.set_ylabel("estimated direct effect")
    ax.legend(frameon=False, fontsize="small")
    return ax


def graph_figure(edges):
    """`plot_direct_effects` for each scenario, side by side; `edges` has a column scenario too."""
    scenarios = names_in(edges, "scenario")
    figure = Figure(figsize=(4 * len(scenarios), 4), layout="constrained")
    for ax, scenario in zip(figure.subplots(1, len(scenarios), squeeze=False)[0], scenarios, strict=True):
        plot_direct_effects(edges[edges["scenario"] == scenario], ax).set_title(scenario, parse_math=False,
                                                                               fontsize="medium")
    return figure
