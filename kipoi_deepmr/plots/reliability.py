"""Reliability: how many observed values lie within the intervals that should hold a given share of them."""

import math

from matplotlib.figure import Figure

from ..calibration import LEVELS
from .axes import BLUE, GREY, ORANGE, axes_of

STYLES = {"before": {"color": ORANGE}, "after": {"color": BLUE}, "quantiles": {"color": BLUE, "linestyle": ":"}}
LABELS = {"before": "before", "after": "after", "quantiles": "after, distribution"}
MAX_MARKS = 24


def plot_reliability(found, ax=None):
    """Reliability curves of one mark.

    Parameters
    ----------
    found : sequence of kipoi_deepmr.calibration.Reliability
        Of one mark; the miscalibration area stands in the legend.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = axes_of(ax, 3.5, 3.5)
    ax.plot([0, 1], [0, 1], color=GREY, linewidth=0.8)
    for one in found:
        ax.plot(LEVELS, one.observed, label=f"{LABELS[one.distribution]}: area {one.miscalibration_area:.3f}",
                **STYLES[one.distribution])
    ax.set_aspect("equal")
    ax.set_xlabel("expected share within interval")
    ax.set_ylabel("observed share")
    ax.set_title(found[0].mark, fontsize="medium", parse_math=False)
    ax.legend(frameon=False, fontsize="small")
    return ax


def reliability_figure(found):
    """Reliability of each mark, side by side; of the first `MAX_MARKS` if there are more, as the title says.

    Parameters
    ----------
    found : sequence of kipoi_deepmr.calibration.Reliability

    Returns
    -------
    matplotlib.figure.Figure
    """
    marks = list(dict.fromkeys(one.mark for one in found))
    shown = marks[:MAX_MARKS]
    columns = min(4, len(shown))
    figure = Figure(figsize=(3.5 * columns, 3.8 * math.ceil(len(shown) / columns)), layout="constrained")
    for number, mark in enumerate(shown, 1):
        ax = figure.add_subplot(math.ceil(len(shown) / columns), columns, number)
        plot_reliability([one for one in found if one.mark == mark], ax)
    if len(shown) < len(marks):
        figure.suptitle(f"{len(marks) - len(shown)} of {len(marks)} marks not shown")
    return figure
