"""The table of global effects of a finished run: whole, or of very many pairs what a page needs of all of them."""

import numpy as np
import pandas as pd

from ..errors import InputError
from ..meta.order import Strongest
from ..network.verdicts import DIRECT
from .tables import VERDICT, Lean, read_in_pieces

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
        All rows; where there are more than `MOST_ROWS`, those of the strongest pairs and of the strongest of those
        with a direct effect.
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
        lean, direct = Lean(OF_ALL, TEXT), Strongest(MOST_ROWS)
        held, self.methods = _strongest(path, TEXT, NUMBERS, lean, direct)
        self.rows, self.n_rows = held.table(), held.n_rows
        if not held.is_whole and direct.n_rows:
            every = pd.concat([self.rows, direct.table()], ignore_index=True)
            self.rows = every[~every.duplicated([*PAIR, "method"])].reset_index(drop=True)
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


def strongest_rows(path, numbers):
    """The rows of a table of global effects, of any stage, or those of the strongest pairs of a very long one.

    Parameters
    ----------
    path : str
    numbers : sequence of str
        Columns that it must have beside exposure, outcome and method.

    Returns
    -------
    pandas.DataFrame
        All columns; `attrs["pairs"]` is how many pairs there are, if these are not all rows.

    Raises
    ------
    InputError
        As `GlobalEffects`.
    """
    held, methods = _strongest(path, (*PAIR, "method"), numbers)
    table = held.table()
    if not held.is_whole:
        table.attrs["pairs"] = held.n_rows // len(methods)
    return table


def _strongest(path, text, numbers, lean=None, direct=None):
    """What `Strongest` holds of a table, and its methods; the first method's rows go to `lean`, too.

    `direct` holds the pairs with a direct effect by that method.
    """
    held, methods = Strongest(MOST_ROWS), []
    for piece, methods in _whole_pairs(read_in_pieces(path, text, numbers)):
        held.add(piece, len(methods))
        if lean:
            lean.add(piece.iloc[::len(methods)])
            chosen = piece[np.repeat((piece["verdict"].iloc[::len(methods)] == DIRECT).to_numpy(), len(methods))]
            if len(chosen):
                direct.add(chosen, len(methods))
    if not held.n_rows:
        raise InputError(f"{path}: the table holds no rows")
    return held, methods
