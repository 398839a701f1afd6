"""True direct and total effects of a graph's marks on each other, at loci and over all of them."""

import itertools

import numpy as np
import pandas as pd

from .graph_activity import WIDTH, activity, own_input, saturate
from .graphs import acts_on, total_effects
from .sequences import motif_mutants
from .truth import MIN_EXPOSURE_CHANGE, locus_names

LOCAL = ["locus", "exposure", "outcome", "true_effect", "visible_effect", "true_direct"]


def local_truth(sequences, pwms, graph, labels):
    """True effects at each sequence that holds the exposure's motif.

    Over all single mutants within the motif: regressions through the origin on the exposure's changes, without noise.
    For ``true_effect``, the total effect, the mutants' change of the exposure's own input is passed through the graph,
    all other own inputs as they are. For ``true_direct`` the outcome alone moves, all other marks are held where they
    are. ``visible_effect`` is that of the mutated sequence, in which the mutant may touch another mark's binding as
    well: what a perfect network shows. Sequences are left out where no mutant moves the exposure by
    `MIN_EXPOSURE_CHANGE`: the effect is 0/0 there.

    Parameters
    ----------
    sequences : Sequences
    pwms : dict
    graph : Graph
    labels : {"linear", "saturating"}

    Returns
    -------
    pandas.DataFrame
        Columns `LOCAL`, ordered by exposure, locus and outcome.
    """
    own = own_input(sequences.bases, pwms)
    reference = activity(own, graph.direct, labels)
    names = np.array(locus_names(len(own)))
    tables = [_of_exposure(i, names, sequences, own, reference, pwms, graph, labels) for i in range(graph.n_marks)]
    return pd.concat(tables, ignore_index=True)[LOCAL]


def _of_exposure(i, names, sequences, own, reference, pwms, graph, labels):
    """The rows of exposure i."""
    at = np.flatnonzero(sequences.starts[:, i] >= 0)
    mutants = motif_mutants(sequences.bases[at], sequences.starts[at, i], WIDTH)
    mutated = own_input(mutants.reshape(-1, mutants.shape[-1]), pwms).reshape(*mutants.shape[:2], len(pwms))
    alone = np.repeat(own[at, None], mutants.shape[1], axis=1)
    alone[..., i] = mutated[..., i]
    total, visible = (activity(each, graph.direct, labels) - reference[at, None] for each in (alone, mutated))
    direct = _direct_change(total[..., i], i, own[at], reference[at], graph.direct, labels)
    kept = np.abs(total[..., i]).max(axis=1) >= MIN_EXPOSURE_CHANGE
    others = [j for j in range(graph.n_marks) if j != i]
    slopes = {"true_effect": _slopes(total[..., i], total), "visible_effect": _slopes(visible[..., i], visible),
              "true_direct": _slopes(total[..., i], direct)}
    marks = graph.names
    return pd.DataFrame({"locus": np.repeat(names[at[kept]], len(others)), "exposure": marks[i],
                         "outcome": np.tile([marks[j] for j in others], kept.sum()),
                         **{name: each[kept][:, others].ravel() for name, each in slopes.items()}})


def _direct_change(moved, i, own, reference, direct, labels):
    """(n, mutant, n_nodes) change of each mark if exposure i alone moves, by `moved` (n, mutant)."""
    added = moved[..., None] * direct[i]
    if labels == "linear":
        return added
    return saturate((own + reference @ direct)[:, None] + added) - reference[:, None]


def _slopes(x, y):
    """(n, n_nodes) regressions through the origin of y (n, mutant, n_nodes) on x (n, mutant); NaN if x is 0."""
    squares = (x**2).sum(axis=1)
    return np.einsum("nm,nmj->nj", x, y) / np.where(squares > 0, squares, np.nan)[:, None]


def global_truth(local, graph):
    """One row per ordered pair of marks: what the graph says, and the means of the true local effects.

    Returns
    -------
    pandas.DataFrame
        Columns exposure, outcome, edge, weight (the graph's entry), acts (whether there is a path), weight_total (the
        linear model's total effect), hidden (whether a hidden cause acts directly on both), n_loci, and the means over
        these loci true_direct and true_total (NaN without loci).
    """
    n, marks = graph.n_marks, graph.names
    weights = graph.direct[:n, :n]
    totals, reached = total_effects(weights), acts_on(weights)
    shared = (graph.direct[n:, :n] != 0).T.astype(int) @ (graph.direct[n:, :n] != 0)
    rows = [{"exposure": marks[i], "outcome": marks[j], "edge": bool(weights[i, j]), "weight": weights[i, j],
             "acts": bool(reached[i, j]), "weight_total": totals[i, j], "hidden": bool(shared[i, j])}
            for i, j in itertools.permutations(range(n), 2)]
    means = local.groupby(["exposure", "outcome"])
    means = means.agg(n_loci=("locus", "size"), true_direct=("true_direct", "mean"), true_total=("true_effect", "mean"))
    table = pd.DataFrame(rows).merge(means.reset_index(), how="left", on=["exposure", "outcome"])
    return table.assign(n_loci=table["n_loci"].fillna(0).astype(int))
