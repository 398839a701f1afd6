"""Marks that go together: near copies, marks that others explain, and mutants that act on two marks at once."""

from typing import NamedTuple

import numpy as np

from ..instruments.rays import pieces

COPY = 0.95  # correlation of effects over strong mutants
EXPLAINED = 0.9  # share of a mark's motion that slopes of other marks explain
MARKS = 250  # that are compared with all others at a time


class Companions(NamedTuple):
    """Which marks go together.

    Attributes
    ----------
    copy : (mark, mark) bool
    explained : (mark,) bool
    both, either : (mark, mark) array of the smallest integers that count loci
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
    x, causes = assignment.sample.effect, assignment.causes
    alike = np.zeros((x.shape[1], x.shape[1]), bool)
    if len(x) < 2:
        return alike
    x = x - x.mean(0)
    with np.errstate(all="ignore"):
        x /= np.sqrt((x ** 2).sum(0))
        for some in pieces(len(alike), MARKS):
            alike[some] = np.abs(x[:, some].T @ x) > COPY
    alike[np.ix_(causes, causes)] = False
    np.fill_diagonal(alike, False)
    return alike


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
    both, either = np.zeros((2, n_marks, n_marks), np.min_scalar_type(sample.n_loci))
    acted = own.copy()
    several = np.flatnonzero(~clean)
    for locus in np.unique(sample.locus[several]):
        h = hit[several[sample.locus[several] == locus]]
        marks = np.flatnonzero(h.any(0))
        h = h[:, marks].astype(np.float32)  # counts are exact, and multiplied by BLAS
        both[np.ix_(marks, marks)] += h.T @ h > 0
        acted[locus, marks] = True
    acted, n_acted = acted.astype(np.float32), acted.sum(0)
    for some in pieces(n_marks, MARKS):
        either[some] = n_acted[some, None] + n_acted - acted[:, some].T @ acted
    return both, either
