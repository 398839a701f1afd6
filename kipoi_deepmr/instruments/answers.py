"""Of which mark each mutant is an instrument by the rule direct: kept, so that it is computed once."""

from functools import lru_cache
from math import prod
from uuid import uuid4

import numpy as np

MOST_BYTES = 200_000_000  # that answers may take; beyond it they are computed each time
UNKNOWN, NO_MARK, FIRST_MARK = range(3)


class Answers:
    """Of which mark each mutant of a Dataset is an instrument, as all members see it and as all but one do.

    The products of matrices that give an answer take longer than the fits that use it, and an estimation reads each
    locus several times. A worker of a cluster begins without answers, and keeps its own from one block to the next.

    Parameters
    ----------
    name : str
        Of no other answers in any process.
    marks : (view, locus, variant) int16
        `UNKNOWN`, `NO_MARK`, or `FIRST_MARK` plus the number of a mark; the first view is that of all members, the
        others those of all but each one.
    view : int
    """

    def __init__(self, name, marks, view=0):
        self._name, self._marks, self._view = name, marks, view

    @classmethod
    def of(cls, sizes):
        """Those of a Dataset with dimensions of these sizes; None if they would take more than `MOST_BYTES`."""
        shape = 1 + sizes["member"], sizes["locus"], sizes["variant"]
        if np.dtype(np.int16).itemsize * prod(shape) > MOST_BYTES:
            return None
        return cls(uuid4().hex, np.zeros(shape, np.int16))

    def without(self, k):
        """Those of all members but member k, which are kept in the same place."""
        return Answers(self._name, self._marks, k + 1)

    def mask(self, loci, n_marks):
        """Which mutants are instruments of each mark, or None if that is not known of all loci.

        Parameters
        ----------
        loci : slice or array of int
            Numbers of the loci in the Dataset.
        n_marks : int

        Returns
        -------
        (locus, variant, mark) bool, or None
        """
        marks = self._marks[self._view, loci]
        if (marks == UNKNOWN).any():
            return None
        mask = np.zeros((*marks.shape, n_marks), bool)
        chosen = np.nonzero(marks >= FIRST_MARK)
        mask[(*chosen, marks[chosen] - FIRST_MARK)] = True
        return mask

    def keep(self, loci, mask):
        """Keep a mask as `mask` gives it, with one mark a mutant at most."""
        self._marks[self._view, loci] = np.where(mask.any(-1), mask.argmax(-1) + FIRST_MARK, NO_MARK)

    def __reduce__(self):
        return _in_worker, (self._name, self._marks.shape, self._view)


def _in_worker(name, shape, view):
    return Answers(name, _marks_in_worker(name, shape), view)


@lru_cache(1)
def _marks_in_worker(name, shape):
    """What a process that was sent answers has found since."""
    return np.zeros(shape, np.int16)
