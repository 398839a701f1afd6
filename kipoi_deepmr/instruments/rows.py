"""Arrays with a row for some marks, or rays, alone: those that have mutants of their own."""

from typing import NamedTuple

import numpy as np


class Rows(NamedTuple):
    """Which of n marks, or rays, have a row.

    Attributes
    ----------
    numbers : (row,) int
        Those that have one, ascending.
    place : (n,) int
        The row of each; -1 for one that has none.
    """

    numbers: np.ndarray
    place: np.ndarray

    @classmethod
    def of(cls, has_row):
        """From (n,) bool."""
        return cls(np.flatnonzero(has_row), np.where(has_row, np.cumsum(has_row) - 1, -1))

    def at(self, values, i, j, missing=np.nan):
        """Values (row, mark) of some i and marks j, two (n,) int arrays; `missing` where i has no row."""
        found, row = np.full(len(i), missing, values.dtype), self.place[i]
        known = row >= 0
        found[known] = values[row[known], j[known]]
        return found
