"""Marks that go together: near copies, marks that others explain, and mutants that act on two marks at once."""

import numpy as np

from ..instruments.rays import CUT
from ..instruments.search import direct_action

COPY = 0.95  # correlation of effects over strong mutants
EXPLAINED = 0.9  # share of a mark's motion that slopes of other marks explain


def copies(assignment):
    """(mark, mark) bool: pairs whose effects are so alike that nothing tells which acts on which.

    If both have clean mutants of their own, these tell.
    """
    x = assignment.sample.effect
    if len(x) < 2:
        return np.zeros((x.shape[1], x.shape[1]), bool)
    with np.errstate(all="ignore"):
        correlation = np.corrcoef(x.T)
    alike = (np.abs(correlation) > COPY) & ~np.eye(len(correlation), dtype=bool)
    return alike & ~(assignment.causes[:, None] & assignment.causes)


def explained(assignment):
    """(mark,) bool: marks without instruments whose motion other marks' mutants explain, locus by locus."""
    sample = assignment.sample
    action = direct_action(sample.effect, sample.locus, assignment.rays, assignment.noise)[0]
    with np.errstate(all="ignore"):
        left = (action ** 2).sum(0) / (sample.effect ** 2).sum(0)
    return ~assignment.causes & (left <= 1 - EXPLAINED)


def shared_loci(assignment):
    """Loci with mutants that act on two marks at once, over loci with mutants of either: two (mark, mark) counts."""
    sample, found = assignment.sample, assignment.found
    n_marks = len(assignment.marks)
    clean = found.on & (found.ray < n_marks)
    hit = direct_action(sample.effect, sample.locus, assignment.rays, assignment.noise)[1] > CUT
    own = np.zeros((sample.n_loci, n_marks), bool)
    own[sample.locus[clean], found.ray[clean]] = True
    both = np.zeros((n_marks, n_marks), int)
    acted = own.copy()
    several = np.flatnonzero(~clean)
    for locus in np.unique(sample.locus[several]):
        h = hit[several[sample.locus[several] == locus]].astype(int)
        together = h.T @ h > 0
        both += together
        acted[locus] |= np.diag(together)
    a = acted.astype(int)
    one = a.T @ (1 - a)
    return both, a.T @ a + one + one.T


def shared_share(assignment):
    """(mark, mark): of the loci with mutants of either mark, the share with mutants that act on both at once."""
    both, either = shared_loci(assignment)
    return np.where(either > 0, both / np.maximum(either, 1), np.nan)
