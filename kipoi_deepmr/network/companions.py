"""Marks that go together: near copies, marks that others explain, and mutants that act on two marks at once."""

from typing import NamedTuple

import numpy as np

COPY = 0.95  # correlation of effects over strong mutants
EXPLAINED = 0.9  # share of a mark's motion that slopes of other marks explain


class Companions(NamedTuple):
    """Which marks go together.

    Attributes
    ----------
    copy : (mark, mark) bool
    explained : (mark,) bool
    both, either : (mark, mark) int32
        Loci with mutants that act on two marks at once, and loci with mutants of either.
    """

    copy: np.ndarray
    explained: np.ndarray
    both: np.ndarray
    either: np.ndarray


def companions_of(assignment):
    """`Companions` of the marks of an assignment."""
    return Companions(copies(assignment), explained(assignment), *shared_loci(assignment))


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
    return ~assignment.causes & (assignment.strong_actions.share <= 1 - EXPLAINED)


def shared_loci(assignment):
    """Loci with mutants that act on two marks at once, over loci with mutants of either: two (mark, mark) counts."""
    sample, found = assignment.sample, assignment.found
    n_marks = len(assignment.marks)
    clean = found.on & (found.ray < n_marks)
    hit = assignment.strong_actions.hit
    own = np.zeros((sample.n_loci, n_marks), bool)
    own[sample.locus[clean], found.ray[clean]] = True
    both = np.zeros((n_marks, n_marks), np.int32)
    acted = own.copy()
    several = np.flatnonzero(~clean)
    for locus in np.unique(sample.locus[several]):
        h = hit[several[sample.locus[several] == locus]]
        marks = np.flatnonzero(h.any(0))
        h = h[:, marks].astype(np.float32)  # counts are exact, and multiplied by BLAS
        both[np.ix_(marks, marks)] += h.T @ h > 0
        acted[locus, marks] = True
    a = acted.astype(np.float64)
    either, one = a.T @ a, a.T @ (1 - a)
    either += one
    either += one.T
    return both, either.astype(np.int32)
