"""Tables as TSV: full precision, missing values `NA`; written whole or not at all.

A spreadsheet computes a cell that begins with = + - or @. `safe_cells` puts a ' before names that begin so. A name that
begins with ' and then one of these has one more in every table, so that `unquoted` gives all names back.
"""

import contextlib
import contextvars
import re

import pandas as pd

from ..files import replacing

# How to read every digit: pandas 3 does so by itself and warns of the option, pandas 2 needs it.
EXACT = {} if int(pd.__version__.split(".")[0]) >= 3 else {"float_precision": "round_trip"}


_COMPUTED = re.compile(r"[=+\-@\t\r].")  # a lone + or - is a strand
_QUOTED = re.compile(r"'+[=+\-@\t\r].", re.DOTALL)
_SAFE = contextvars.ContextVar("safe", default=False)


@contextlib.contextmanager
def safe_cells(safe=True):
    """Tables that are written within have no cell that a spreadsheet would compute."""
    token = _SAFE.set(bool(safe))
    try:
        yield
    finally:
        _SAFE.reset(token)


def unquoted(column):
    """Names as they were before `write_tsv` quoted them: a column of text."""
    return _changed(column, lambda name: name[1:] if _QUOTED.match(name) else name)


def _quoted(column):
    return _changed(column, lambda name: "'" + name if _QUOTED.match(name) or (_SAFE.get() and _COMPUTED.match(name))
                    else name)


def _changed(column, change):
    known = {name: change(name) for name in column.dropna().unique() if isinstance(name, str)}
    known = {name: changed for name, changed in known.items() if changed != name}
    if not known:
        return column
    dtype = object if isinstance(column.dtype, pd.CategoricalDtype) else column.dtype
    return pd.Series([known.get(name, name) for name in column], column.index, dtype, column.name)


def write_tsv(path, pieces):
    """Write tables, one after the other, as one TSV with one header line.

    Parameters
    ----------
    path : str
    pieces : iterable of pandas.DataFrame
        With the same columns; at least one.
    """
    with replacing(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as out:
        for number, piece in enumerate(pieces):
            noted = piece.assign(note=piece["note"].replace("", "NA")) if "note" in piece else piece
            text = [name for name in noted if not pd.api.types.is_numeric_dtype(noted[name])]
            noted = noted.assign(**{name: _quoted(noted[name]) for name in text})
            noted.to_csv(out, sep="\t", index=False, header=number == 0, na_rep="NA", lineterminator="\n")
