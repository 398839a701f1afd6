"""A forest plot: the effect of one mark on another at each locus, and over all."""

import numpy as np
from matplotlib import rcParams
from matplotlib.figure import Figure
from matplotlib.patches import Polygon

from ..display import shortened
from .axes import ORANGE
from .global_effects import draw_intervals
from .styles import small

NAMED_UP_TO = 50  # loci: more names do not fit on a page
MOST_INCHES = 4.5  # of all loci without names
LETTERS = 24  # of a locus's name


def forest_figure(local, overall, width=None):
    """Effects at loci with their intervals, the largest on top; below them the global effect as a diamond.

    Parameters
    ----------
    local : pandas.DataFrame
        Local effects of one pair by one method: columns locus, estimate, ci_low, ci_high. Loci without an estimate are
        left out, and counted in the title.
    overall : pandas.Series
        Global effect: estimate, ci_low, ci_high, pi_low, pi_high.
    width : float, optional
        Inches; 5 by default.

    Returns
    -------
    matplotlib.figure.Figure
    """
    shown = local[np.isfinite(local["estimate"])].sort_values("estimate", kind="stable")
    n, named = len(shown), len(shown) <= NAMED_UP_TO
    row = 1.3 * small() / 72 if named else min(1.3 * small() / 72, MOST_INCHES / n)
    figure = Figure(figsize=(width or 5.0, row * (n + 3.2) + 0.19 * rcParams["font.size"]), layout="constrained")
    ax = figure.add_subplot()
    draw_intervals(ax, shown, np.arange(n) + 2)
    for lines in ax.collections:
        lines.set_linewidth(min(1.5, 36 * row))
    ax.lines[-1].set(markersize=min(3.5, 60 * row), markeredgewidth=0.5 if named else 0)
    ax.set_xlim(*_limits(shown, overall))
    _draw_overall(ax, overall)
    if named:
        names = shown["locus"].astype(str).map(shortened(shown["locus"].astype(str), LETTERS))
        ax.set_yticks([0, *(np.arange(n) + 2)], ["all loci", *names], parse_math=False, fontsize=small())
    else:
        ax.set_yticks([0], ["all loci"], fontsize=small())
        ax.set_ylabel(f"{n} loci, by effect")
    ax.set_ylim(-1.2, n + 2)
    ax.grid(False)
    figure.legend(*ax.get_legend_handles_labels(), frameon=False, fontsize="small", loc="outside lower center")
    ax.set_xlabel("local causal effect")
    left_out = len(local) - n
    ax.set_title(f"{left_out} of {len(local)} loci without an estimate" if left_out else "", fontsize=small())
    return figure


def _limits(shown, overall):
    """All estimates, zero, the global interval, and of local intervals what lies near the estimates."""
    room = 3 * (shown["ci_high"] - shown["ci_low"]).median()
    room = room if np.isfinite(room) and room > 0 else 1.0
    values = [0.0, *shown["estimate"], *(overall[name] for name in ("ci_low", "ci_high") if np.isfinite(overall[name]))]
    low, high = (limit([limit(values), *(bound for bound in shown[name] if abs(bound - near) <= room)])
                 for limit, name, near in ((min, "ci_low", min(values)), (max, "ci_high", max(values))))
    margin = 0.04 * (high - low) or 1.0
    return low - margin, high + margin


def _draw_overall(ax, overall):
    middle, low, high = overall["estimate"], overall["ci_low"], overall["ci_high"]
    if not np.isfinite([middle, low, high]).all():
        return
    ax.hlines([0], overall["pi_low"], overall["pi_high"], color=ORANGE, linewidth=1,
              label="95 % prediction interval of a new locus")
    ax.add_patch(Polygon([(low, 0), (middle, 0.7), (high, 0), (middle, -0.7)], facecolor=ORANGE, edgecolor="none",
                         zorder=3, label="global effect"))
