"""How estimates fare against a true graph: direct effects by edge, total effects by pair."""

import numpy as np
import pandas as pd

from .scores import PAIR, SIGNIFICANT, score_round

# Columns of a table of direct effects; total_implied and its interval may be missing.
DIRECT = ["direct", "se", "ci_low", "ci_high", "pvalue_min_effect", "qvalue_min_effect"]
TOTAL = ["total_implied", "total_ci_low", "total_ci_high"]


def score_edges(direct, truth):
    """One row per ordered pair: the estimated direct effect beside the graph.

    Parameters
    ----------
    direct : pandas.DataFrame
        Columns exposure, outcome, `DIRECT` and, if it has them, posterior_mean and `TOTAL`. Pairs that it lacks, or
        whose effect is NaN, could not be told.
    truth : pandas.DataFrame
        As `kipoi_deepmr.simulation.graph_truth.global_truth` gives it.

    Returns
    -------
    pandas.DataFrame
        truth with these columns; called, whether the q-value of more than the minimum effect is below 0.05; in_ci and
        total_in_ci, whether the intervals hold the true effects, NaN where there is none.
    """
    wanted = [name for name in (*DIRECT, "posterior_mean", *TOTAL) if name in direct]
    table = truth.merge(direct[[*PAIR, *wanted]], how="left", on=PAIR, validate="one_to_one")
    table["called"] = table["qvalue_min_effect"] < SIGNIFICANT
    table["in_ci"] = _held(table, "true_direct", "ci_low", "ci_high")
    table["total_in_ci"] = _held(table, "true_total", *TOTAL[1:]) if TOTAL[1] in table else np.nan
    return table


def _held(table, true, low, high):
    """1 where an interval holds the truth, 0 where not, NaN without an interval or a truth."""
    known = table[[true, low, high]].notna().all(axis=1)
    return table[true].between(table[low], table[high]).astype(float).where(known)


def summarise_edges(edges):
    """Scores of direct effects over the rounds of each scenario.

    Parameters
    ----------
    edges : pandas.DataFrame
        Of all rounds, as `score_edges` gives them, with columns scenario and round.

    Returns
    -------
    pandas.DataFrame
        precision and recall of the pairs that were called, sign the share of called edges whose sign is right; rmse of
        all pairs with an estimate, rmse_posterior of posterior means; coverage of intervals, of edges and of pairs
        without an edge, and of implied total effects, where the exposure acts on the outcome and where not; untold the
        share of pairs without an estimate.
    """
    return pd.DataFrame([{"scenario": scenario, **_of_scenario(group)}
                         for scenario, group in edges.groupby("scenario", sort=False)])


def _of_scenario(group):
    edge, called, acts = (group[name].astype(bool) for name in ("edge", "called", "acts"))
    right = np.sign(group["direct"]) == np.sign(group["true_direct"])
    return {
        "rounds": group["round"].nunique(), "edges": int(edge.sum()), "zeros": int((~edge).sum()),
        "precision": _share(edge[called]), "recall": _share(called[edge]), "sign": _share(right[edge & called]),
        "rmse": _root_mean_square(group["direct"] - group["true_direct"]),
        "rmse_posterior": _root_mean_square(group.get("posterior_mean", np.nan) - group["true_direct"]),
        "coverage_edges": _share(group["in_ci"][edge]), "coverage_zeros": _share(group["in_ci"][~edge]),
        "coverage_totals": _share(group["total_in_ci"][acts]),
        "coverage_total_zeros": _share(group["total_in_ci"][~acts]),
        "width_edges": _share((group["ci_high"] - group["ci_low"])[edge]),
        "untold": _share(group["direct"].isna()),
    }


def _share(values):
    """Mean of those that are numbers."""
    values = values.dropna()
    return float(values.mean()) if len(values) else np.nan


def _root_mean_square(differences):
    return _share(differences**2) ** 0.5


def score_totals(local, global_, local_truth, truth):
    """`score_round` of a graph's round, with whether the exposure acts on the outcome, and whether it does so directly.

    Pairs whose exposure has no locus with a true effect are left out.
    """
    return score_round(local, global_, local_truth).merge(truth[[*PAIR, "edge", "acts", "hidden"]], on=PAIR)


def summarise_totals(rounds):
    """Scores of total effects over the rounds of each scenario, for pairs with and without an effect.

    Parameters
    ----------
    rounds : pandas.DataFrame
        Of all rounds, as `score_totals` gives them, with columns scenario and round.

    Returns
    -------
    pandas.DataFrame
        coverage, the mean over pairs and rounds of the share of local intervals that hold the local effect; width their
        median; significant the share of local p-values below 0.05; in_ci the share of global intervals that hold the
        global effect; rmse and largest_error of global estimates; global_significant the share of their p-values below
        0.05; loci_estimated the share of loci with an interval.
    """
    keys = ["scenario", "acts", "method"]
    return pd.DataFrame([{**dict(zip(keys, key, strict=True)), **_of_pairs(group)}
                         for key, group in rounds.groupby(keys, sort=False)])


def _of_pairs(group):
    error = group["estimate"] - group["true_effect"]
    return {
        "rounds": group["round"].nunique(), "pairs": len(group), "coverage": _share(group["coverage"]),
        "coverage_lowest": group["coverage"].min(), "width": group["width"].median(),
        "significant": _share(group["significant"]), "in_ci": _share(group["in_ci"]),
        "rmse": _root_mean_square(error), "largest_error": error.abs().max(),
        "global_significant": _share((group["pvalue"] < SIGNIFICANT).astype(float).where(group["pvalue"].notna())),
        "loci_estimated": group["n_intervals"].sum() / group["n_loci"].sum(),
    }
