"""How estimates fare against the truth: in one round, and over rounds."""

import os

import numpy as np
import pandas as pd

from ..output.tables import EXACT

PAIR = ["exposure", "outcome"]
EFFECTS = ["true_effect", "visible_effect"]
KEPT = "kept"  # whether a single mutant moves GATA at a locus, of an analysis that has all loci
SIGNIFICANT = 0.05


def score_round(local, global_, truth):
    """One row per ordered pair and method: global and local estimates of one round beside the truth.

    Parameters
    ----------
    local, global_ : pandas.DataFrame
        As `kipoi_deepmr.pipeline.estimate` and `aggregate` give them.
    truth : pandas.DataFrame
        Columns locus, exposure, outcome, true_effect, visible_effect, NaN where neither is known; and, where loci that
        no single mutant moves are among them, kept, 0 for these.

    Returns
    -------
    pandas.DataFrame
        true_effect and visible_effect are means over all loci; estimate to se_members those of global_; in_2tau, in_ci
        and in_pi whether estimate +- 2 tau, the global interval and the prediction interval hold the truth; coverage
        and coverage_visible the shares of local intervals that hold the local true and visible effect, out of
        n_intervals, where the effect is known; width their median; significant the share of local p-values below 0.05;
        n_left_out and n_left_out_intervals loci that are not kept, and those of them with an interval.
    """
    columns = ["locus", *PAIR, *EFFECTS, *({KEPT} & set(truth))]
    known = truth[columns].merge(local, on=["locus", *PAIR], validate="one_to_many")
    rows = [_of_loci(loci) for _, loci in known.groupby([*PAIR, "method"], sort=False)]
    means = truth.groupby(PAIR, sort=False)[EFFECTS].mean().reset_index()
    columns = [*PAIR, "method", "estimate", "se", "ci_low", "ci_high", "pvalue", "tau", "pi_low", "pi_high",
               "se_members"]
    table = means.merge(global_[columns], on=PAIR).merge(pd.DataFrame(rows), on=[*PAIR, "method"])
    table["in_2tau"] = (table["estimate"] - table["true_effect"]).abs() <= 2 * table["tau"].fillna(0)
    table["in_ci"] = table["true_effect"].between(table["ci_low"], table["ci_high"])
    table["in_pi"] = table["true_effect"].between(table["pi_low"], table["pi_high"])
    for column in ("in_2tau", "in_ci", "in_pi"):
        table[column] = table[column].astype(float).where(table["estimate"].notna())
    return table


def _of_loci(loci):
    """Scores of the local estimates of one pair and method."""
    given = loci[np.isfinite(loci["ci_low"]) & np.isfinite(loci["ci_high"])]
    low, high = (given[name].to_numpy() for name in ("ci_low", "ci_high"))
    held, visible = (_mean(given[name].between(low, high)[given[name].notna()]) for name in EFFECTS)
    first = loci.iloc[0]
    left_out = {"n_left_out": (loci[KEPT] == 0).sum(), "n_left_out_intervals": (given[KEPT] == 0).sum()} \
        if KEPT in loci else {}
    return {**{name: first[name] for name in (*PAIR, "method")}, "n_loci": len(loci), "n_intervals": len(given),
            "coverage": held, "coverage_visible": visible,
            "width": float(np.median(high - low)) if len(given) else np.nan,
            "local_bias": _mean((loci["estimate"] - loci["true_effect"]).dropna()),
            "local_rmse": _mean((loci["estimate"] - loci["true_effect"]).dropna() ** 2) ** 0.5,
            "significant": _mean(given["pvalue"] < SIGNIFICANT), **left_out}


def _mean(values):
    return float(np.mean(values)) if len(values) else np.nan


def summarise(rounds):
    """The table in the manner of the paper: scores over the rounds of each scenario, ordered pair and method.

    Parameters
    ----------
    rounds : pandas.DataFrame
        Of all rounds, as `score_round` gives them, with a column scenario.

    Returns
    -------
    pandas.DataFrame
        r2 is the squared correlation of estimated and true global effects, bias the mean of their difference over the
        mean truth (bias_visible: over the mean visible effect), error the mean absolute difference; in_2tau, in_ci and
        in_pi are shares of rounds, global_width the median width of the global interval over the truth; coverage (with
        its lowest and highest round), median width over rounds, and the share of loci with an interval, and of those
        that no single mutant moves, where they are among them (left_out_estimated); significant
        and global_significant the shares of loci and of rounds with p below 0.05, which is power where the truth is
        not 0, and the rate of false positives where it is.
    """
    keys = ["scenario", *PAIR, "method"]
    return pd.DataFrame([{**dict(zip(keys, key, strict=True)), **_over_rounds(group)}
                         for key, group in rounds.groupby(keys, sort=False)])


def _over_rounds(group):
    true, estimate, visible = group["true_effect"], group["estimate"], group["visible_effect"]
    difference = estimate - true
    scale = true.mean() or np.nan
    return {
        "rounds": len(group), "true_effect": true.mean(), "estimate": estimate.mean(),
        "r2": _squared_correlation(true, estimate), "bias": difference.mean() / scale,
        "bias_visible": (estimate - visible).mean() / (visible.mean() or np.nan),
        "error": difference.abs().mean(), "in_2tau": group["in_2tau"].mean(), "in_ci": group["in_ci"].mean(),
        "in_pi": group["in_pi"].mean(),
        "global_width": _median((group["ci_high"] - group["ci_low"]) / true.where(true != 0)),
        "coverage": group["coverage"].mean(), "coverage_visible": group["coverage_visible"].mean(),
        "coverage_lowest": group["coverage"].min(), "coverage_highest": group["coverage"].max(),
        "width": _median(group["width"]),
        "relative_width": _median(group["width"] / true.where(true != 0)),
        "local_rmse": (group["local_rmse"] ** 2).mean() ** 0.5,
        "loci_estimated": group["n_intervals"].sum() / group["n_loci"].sum(),
        "significant": group["significant"].mean(),
        "global_significant": (group["pvalue"] < SIGNIFICANT).where(group["pvalue"].notna()).astype(float).mean(),
        **({"left_out_estimated": group["n_left_out_intervals"].sum() / (group["n_left_out"].sum() or np.nan)}
           if "n_left_out" in group else {}),
    }


def _median(values):
    """Of those that are numbers; of none NaN, of which older NumPy warns."""
    return float(np.median(values.dropna())) if values.notna().any() else np.nan


def _squared_correlation(x, y):
    both = x.notna() & y.notna()
    if both.sum() < 3 or np.ptp(x[both]) == 0 or np.ptp(y[both]) == 0:
        return np.nan
    return np.corrcoef(x[both], y[both])[0, 1] ** 2


def all_tables(folder):
    """The table1.tsv of all analyses in a folder, one below the other, with a first column analysis."""
    tables = {name: os.path.join(folder, name, "table1.tsv") for name in sorted(os.listdir(folder))}
    table = pd.concat([pd.read_csv(path, sep="\t", **EXACT).assign(analysis=name) for name, path in tables.items()
                       if os.path.exists(path)], ignore_index=True)
    return table.set_index("analysis").reset_index()
