"""Global effects within strata of loci, such as bins of motif spacing, in the manner of the paper's S1 Fig."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from .axes import OF_EFFECTS, axes_of
from .global_effects import MAX_PAIRS, labels_of
from .styles import small

WRITTEN_UP_TO = 240  # cells: more numbers cannot be read


def plot_strata(strata, ax=None):
    """Heat map: a row for each ordered pair, a column for each stratum, the colour its global effect.

    Parameters
    ----------
    strata : pandas.DataFrame
        Of one covariate and one method, as `kipoi_deepmr.meta.aggregate_strata` gives them: columns exposure, outcome,
        stratum, estimate, se. Cells without an estimate stay grey; beyond 60 pairs, those with the smallest
        `|estimate / se|` are left out. `attrs["pairs"]`, if there, says how many pairs there are in all.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    columns = list(dict.fromkeys(strata["stratum"]))
    strength = (strata["estimate"] / strata["se"]).abs()
    strength = strength.groupby([strata["exposure"], strata["outcome"]], sort=False).max().fillna(-1)
    strongest = set(strength.nlargest(MAX_PAIRS).index)
    pairs = [pair for pair in strength.index if pair in strongest]
    n_pairs = strata.attrs.get("pairs", len(strength))
    strata = strata[[pair in strongest for pair in zip(strata["exposure"], strata["outcome"], strict=True)]]
    effects = np.full((len(pairs), len(columns)), np.nan)
    for row in strata.itertuples():
        effects[pairs.index((row.exposure, row.outcome)), columns.index(row.stratum)] = row.estimate
    ax = axes_of(ax, 3 + 0.8 * len(columns), 1.2 + 0.3 * len(pairs))
    ax.set_facecolor("0.85")
    most = np.nanmax(np.abs(effects), initial=0) or 1.0
    image = ax.imshow(effects, cmap=OF_EFFECTS, vmin=-most, vmax=most, aspect="auto", interpolation="nearest")
    narrow = ax.figure.get_figwidth() < 5
    ax.figure.colorbar(image, ax=ax, label="global causal effect", location="bottom" if narrow else "right",
                       **{"aspect": 30} if narrow else {})
    ax.set_xticks(range(len(columns)), columns, rotation=30, ha="right", parse_math=False)
    ax.set_yticks(range(len(pairs)), labels_of(pairs, 20, 18) if narrow else [f"{x} → {y}" for x, y in pairs],
                  parse_math=False)
    if effects.size <= WRITTEN_UP_TO:
        for (i, j), effect in np.ndenumerate(effects):
            if np.isfinite(effect):
                ax.text(j, i, f"{effect:.2g}", ha="center", va="center", fontsize=small() if narrow else "small",
                        color="white" if abs(effect) > 0.65 * most else "black")
    if n_pairs > len(pairs):
        ax.set_title(f"{n_pairs - len(pairs)} of {n_pairs} pairs not shown", fontsize="medium")
    return ax


def strongest_strata(strata, most):
    """The rows of a table of strata that belong to the pairs with the largest `|estimate / se|` in any stratum.

    Parameters
    ----------
    strata : pandas.DataFrame
        strata.tsv.
    most : int
        Pairs of each covariate and method.

    Returns
    -------
    pandas.DataFrame
    """
    keys = ["covariate", "method", "exposure", "outcome"]
    strength = (strata["estimate"] / strata["se"]).abs().groupby([strata[name] for name in keys], sort=False).max()
    strongest = strength.fillna(-1).groupby(keys[:2], sort=False, group_keys=False).nlargest(most)
    return strata[pd.MultiIndex.from_frame(strata[keys]).isin(strongest.index)].reset_index(drop=True)


def strata_figure(strata, width=None):
    """A figure with one panel of `plot_strata` for each covariate and method of strata.tsv, one below the other.

    `width`, if given, is that of the figure in inches; by default it is as wide as the panels need.
    """
    groups = list(strata.groupby(["covariate", "method"], sort=False))
    heights = [1.5 + 0.3 * min(MAX_PAIRS, len(table[["exposure", "outcome"]].drop_duplicates())) for _, table in groups]
    needed = 3 + 0.8 * max(table["stratum"].nunique() for _, table in groups)
    figure = Figure(figsize=(width or max(needed, 5), sum(heights)), layout="constrained")
    panels = figure.subplots(len(groups), 1, squeeze=False, height_ratios=heights)[:, 0]
    for ax, ((covariate, method), table) in zip(panels, groups, strict=True):
        shown = plot_strata(table, ax).get_title()
        ax.set_title(", ".join(filter(None, (covariate, method, shown))), fontsize="medium", parse_math=False)
    return figure
