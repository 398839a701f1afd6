"""The table of global effects of a finished run: whole, or of very many pairs what a page needs of all of them."""

import numpy as np
import pandas as pd

from ..errors import InputError, one_line
from ..meta.order import Strongest
from .tables import VERDICT, chunks_of

MOST_ROWS = 100_000  # that are held as a whole; a page lists 30,000
PAIR = ["exposure", "outcome"]
TEXT = (*PAIR, "method", *VERDICT)
NUMBERS = ("n_loci", "estimate", "se", "standardised", "qvalue")
OF_ALL = [*PAIR, "estimate", "standardised", "qvalue", "verdict"]  # that are held of all pairs


class GlobalEffects:
    """A table of global effects.

    Parameters
    ----------
    path : str

    Attributes
    ----------
    rows : pandas.DataFrame
        All rows, or those of the strongest pairs, where there are more than `MOST_ROWS`.
    first : pandas.DataFrame
        Of the first method the rows of all pairs; if `rows` has not all, their columns `OF_ALL` alone, of which texts
        are categories.
    methods : list of str
    n_rows : int
        Of the table.

    Raises
    ------
    InputError
        The file or a column is missing, or a cell is not a number where one is needed.
    """

    def __init__(self, path):
        held, lean = Strongest(MOST_ROWS), _Lean()
        try:
            for piece, self.methods in _whole_pairs(chunks_of(path, TEXT, NUMBERS, None)):
                held.add(piece, len(self.methods))
                lean.add(piece.iloc[::len(self.methods)])
        except (ValueError, UnicodeDecodeError) as error:
            raise InputError(f"{path}: cannot be read as a table of DeepMR ({one_line(error)})") from error
        if not held.n_rows:
            raise InputError(f"{path}: the table holds no rows")
        self.rows, self.n_rows = held.table(), held.n_rows
        self.first = self.of_method(self.methods[0]) if held.is_whole else lean.table()

    def of_method(self, method):
        """Those of `rows` that are of a method."""
        return self.rows[self.rows["method"] == method]


def _whole_pairs(pieces):
    """Pieces without the rows of a pair that goes on in the next one, and the methods."""
    rest = methods = None
    for piece in pieces:
        piece = piece if rest is None else pd.concat([rest, piece], ignore_index=True)
        methods = methods or piece["method"].unique().tolist()
        n = len(piece) - len(piece) % max(1, len(methods))
        rest = piece.iloc[n:]
        if n:
            yield piece.iloc[:n], methods
    if rest is not None and len(rest):
        yield rest, methods


class _Lean:
    """Holds a few columns, texts as numbers."""

    def __init__(self):
        self._known = {name: {} for name in OF_ALL if name in TEXT}
        self._parts = {name: [] for name in OF_ALL}

    def add(self, piece):
        for name, parts in self._parts.items():
            if name not in self._known:
                parts.append(np.array(piece[name], np.float64))  # a view would keep the whole piece
                continue
            known = self._known[name]
            code, unique = pd.factorize(piece[name])
            numbers = [known.setdefault(value, len(known)) for value in unique]
            parts.append(np.array([*numbers, -1], np.int32)[code])

    def table(self):
        """What is held, as a table; nothing is held afterwards."""
        columns = {}
        for name in OF_ALL:
            values = np.concatenate(self._parts.pop(name))
            known = self._known.get(name)
            columns[name] = values if known is None else pd.Categorical.from_codes(values, list(known))
        return pd.DataFrame(columns, copy=False)
