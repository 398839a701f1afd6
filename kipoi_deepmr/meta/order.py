"""The order in which global effects are shown, and the strongest of very many."""

import numpy as np
import pandas as pd

MOST_ROWS = 2_000_000  # of a table of global effects that is held as a whole
STRONGEST = 30_000  # pairs whose rows are held of a table with more


def strongest_first(table):
    """Index of a table of global effects, the largest absolute standardised effect first.

    Rows without one come after them, by `|estimate / se|`, and rows without an estimate last.
    """
    size, strength = _keys(table)
    keys = table.assign(_size=size, _strength=strength)
    return keys.sort_values(["_size", "_strength"], ascending=False, kind="stable").index


def _keys(table):
    """What the order goes by: absolute standardised effects, and `|estimate / se|`; -1 where there is none."""
    strength = (table["estimate"] / table["se"]).abs()
    size = table["standardised"].abs() if "standardised" in table else strength * float("nan")
    return size.fillna(-1), strength.fillna(-1)


class Strongest:
    """Holds a table of global effects that comes piece by piece: all of it, or the rows of its strongest pairs.

    Which pairs are strongest says their row of the first method, in the order of `strongest_first`.

    Attributes
    ----------
    n_rows : int
        That there have been.
    """

    def __init__(self, most_rows=None, most_pairs=None):
        self._most_rows = MOST_ROWS if most_rows is None else most_rows
        self._most_pairs = STRONGEST if most_pairs is None else most_pairs
        self._held, self._least, self._n_methods, self.n_rows = [], None, 1, 0

    @property
    def is_whole(self):
        """Whether all rows are held."""
        return self.n_rows <= self._most_rows

    def add(self, piece, n_methods):
        """Take whole pairs, in whose rows the methods follow each other."""
        self.n_rows += len(piece)
        self._n_methods = n_methods
        if self._least is not None:
            size, strength = _keys(piece.iloc[::n_methods])
            chosen = (size > self._least[0]) | ((size == self._least[0]) & (strength > self._least[1]))
            piece = piece[np.repeat(chosen.to_numpy(), n_methods)]
        self._held.append(piece)
        if not self.is_whole and sum(map(len, self._held)) > 4 * self._most_pairs * n_methods:
            self._leave_out_weak()

    def _leave_out_weak(self):
        table = pd.concat(self._held, ignore_index=True)
        first = table.iloc[::self._n_methods]
        chosen = strongest_first(first)[:self._most_pairs]
        kept = np.isin(first.index, chosen)
        if kept.sum() == self._most_pairs:
            self._least = tuple(each[chosen[-1]] for each in _keys(first))
        self._held = [table[np.repeat(kept, self._n_methods)]]

    def table(self):
        """What is held, in the order in which it came: a pandas.DataFrame."""
        if not self.is_whole:
            self._leave_out_weak()
        return pd.concat(self._held, ignore_index=True)


class Smallest:
    """Holds the rows with the smallest p-values of a table that comes piece by piece, in the order in which they came.

    Parameters
    ----------
    most : int
        Rows.
    columns : sequence of str
        Of p-values, of which the smallest counts.

    Attributes
    ----------
    n_rows : int
        That there have been.
    """

    def __init__(self, most, columns):
        self._most, self._columns, self._held, self.n_rows = most, list(columns), None, 0

    def add(self, piece):
        """Take the next rows."""
        self.n_rows += len(piece)
        held = piece if self._held is None else pd.concat([self._held, piece], ignore_index=True)
        if len(held) > self._most:
            first = held[self._columns].min(axis=1).sort_values(kind="stable").index[:self._most]
            held = held.loc[first.sort_values()].reset_index(drop=True)
        self._held = held

    def table(self):
        """The rows that are held: a pandas.DataFrame, without columns if there was no piece."""
        return pd.DataFrame() if self._held is None else self._held
