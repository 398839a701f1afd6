"""One locus and pair: its instruments' effects on the outcome against those on the exposure, and the fitted lines."""

import numpy as np

from .axes import CYCLE, axes_of
from .styles import ink

LINES = ("-", "--", ":")


def plot_local_scatter(bx, sx, by, sy, fits, ax=None):
    """Instruments with bars of +-1 standard error, turned so that the exposure's effect is positive, and fitted lines.

    Parameters
    ----------
    bx, sx, by, sy : (n,) arrays
        Effects of n instruments on exposure and outcome, and their standard errors.
    fits : pandas.DataFrame
        Columns method, estimate, intercept, one row a line: the rows of local.tsv of the locus and pair. Rows without
        an estimate are left out; a missing intercept is 0.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = axes_of(ax, 4.5, 4)
    bx, sx, by, sy = (np.asarray(values, np.float64) for values in (bx, sx, by, sy))
    sign = np.where(bx < 0, -1.0, 1.0)
    ax.axhline(0, color="0.7", linewidth=0.8, zorder=0)
    ax.errorbar(sign * bx, sign * by, xerr=sx, yerr=sy, fmt="o", color=ink(), ecolor="0.6", markersize=3.5,
                elinewidth=0.8)
    ends = np.array([0.0, float(np.max(np.abs(bx) + sx, initial=0))])
    for number, row in enumerate(fits[fits["estimate"].notna()].itertuples()):
        intercept = row.intercept if np.isfinite(row.intercept) else 0.0
        ax.plot(ends, intercept + row.estimate * ends, label=row.method, linewidth=1.5,
                color=CYCLE[number % len(CYCLE)], linestyle=LINES[number // len(CYCLE) % len(LINES)])
    ax.set_xlim(left=min(0.0, float(np.min(np.abs(bx) - sx, initial=0))))
    ax.set_xlabel("effect on the exposure")
    ax.set_ylabel("effect on the outcome")
    if ax.get_legend_handles_labels()[0]:
        ax.legend(frameon=False, fontsize="small")
    return ax
