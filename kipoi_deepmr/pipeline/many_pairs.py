"""Global effects of very many pairs: pooled into a temporary file, then judged and passed on piece by piece.

A q-value needs the p-values of all pairs, so that no row is complete before all are pooled.
"""

import numpy as np
import pandas as pd

from ..meta import GLOBAL_COLUMNS, KEYS
from ..network.significance import qvalues

ROWS = 100_000  # that are read at a time
MOST_NOTES = 1_000  # that are held
NUMBERS = [name for name in GLOBAL_COLUMNS if name not in KEYS]


class ManyPairs:
    """Global effects of very many pairs while they are pooled.

    Parameters
    ----------
    file : binary file
        A temporary one, open for reading and writing.
    local : kipoi_deepmr.effects_store.LocalEffects
        What they are pooled from: methods follow each other in the rows of a pair.

    Attributes
    ----------
    notes : list of str
        Those of the pairs, the first `MOST_NOTES`, and how many more there are.
    """

    def __init__(self, file, local):
        self._file = file
        self._names = [pd.CategoricalDtype(names) for names in (local.exposures, local.outcomes, local.methods)]
        self._pvalues, self._notes, self._n_notes = [], [], 0
        self._row = np.dtype([*((name, np.int32) for name in KEYS), *((name, np.float64) for name in NUMBERS)])

    def add(self, table, notes):
        """Take the rows of some pairs, whose names are categories as `mr.pieces` makes them."""
        rows = np.empty(len(table), self._row)
        for name in KEYS:
            rows[name] = table[name].cat.codes
        for name in NUMBERS:
            rows[name] = table[name]
        self._file.write(rows.data)
        self._pvalues.append(rows["pvalue"].copy())
        self._n_notes += len(notes)
        self._notes += notes[:MOST_NOTES - len(self._notes)]

    @property
    def n_methods(self):
        """How many rows each pair has."""
        return len(self._names[-1].categories)

    @property
    def notes(self):
        more = self._n_notes - len(self._notes)
        return [*self._notes, *([f"and {more:,} more pairs of which loci were not used"] if more else [])]

    def judged(self, judged):
        """The table with its verdicts, `ROWS` rows at a time; whole pairs.

        Parameters
        ----------
        judged : kipoi_deepmr.pipeline.network.Judged

        Yields
        ------
        pandas.DataFrame
        """
        n_methods = self.n_methods
        pvalues = np.concatenate(self._pvalues).reshape(-1, n_methods)
        self._pvalues = []
        q = np.empty_like(pvalues)
        for method in range(n_methods):
            q[:, method] = qvalues(pvalues[:, method])
        q = q.ravel()
        self._file.seek(0)
        size = max(1, ROWS // n_methods) * n_methods
        for first in range(0, len(q), size):
            rows = np.frombuffer(self._file.read(size * self._row.itemsize), self._row)
            table = pd.DataFrame({
                **{name: pd.Categorical.from_codes(rows[name], dtype=known, validate=False)
                   for name, known in zip(KEYS, self._names, strict=True)},
                **{name: rows[name].astype(np.int64 if name == "n_loci" else np.float64) for name in NUMBERS}})
            yield judged.of_table(table[GLOBAL_COLUMNS], q[first:first + size])
