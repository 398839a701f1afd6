"""Reads the tables that stages write, piece by piece, and checks them."""

import contextlib
import os
import re

import numpy as np
import pandas as pd

from ..errors import InputError, one_line
from ..meta.members import OF_MEMBER
from ..output.tables import EXACT, is_parquet, names_in_parquet, read_parquet, unquoted
from ..tabular import to_numbers

LOCAL_TEXT = ("chrom", "strand", "locus", "exposure", "outcome", "method", "note")
LOCAL_NUMBERS = ("start", "end", "n_instruments", "estimate", "se", "ci_low", "ci_high", "pvalue", "intercept",
                 "intercept_se", "intercept_pvalue", "q", "q_pvalue")
LOCAL_MORE = ("i2", "i2_gx", "f_statistic", "phi", "tau2")  # numbers that older tables lack
ROW = ["chrom", "start", "strand", "exposure", "outcome", "method"]  # what a table holds one row for
NAMES = ("chrom", "locus", "exposure", "outcome")  # that are a user's or a model's
ROWS_AT_A_TIME = 100_000
PIECE = 500_000  # rows of a table that is only sifted
MISSING = ["NA", ""]
VERDICT = ("verdict", "reason")
MAY_LACK = ("note", "red", *VERDICT)  # texts that may be missing


def read_local(path):
    """Read a table of local effects as `estimate` writes it.

    Returns
    -------
    pandas.DataFrame
        Missing numbers are NaN, a missing note is empty.

    Raises
    ------
    InputError
        The file is missing or empty, a column is missing, a cell is not a number where one is needed, or a locus,
        strand, exposure, outcome and method stand there twice; the message names line, column and value.
    """
    seen = _Rows()
    table = pd.concat(map(seen.add, pieces_of(path)), ignore_index=True)
    seen.check(path)
    return table


def read_estimates(path):
    """What `aggregate` needs of a table of local effects; all of the file is checked, but not held.

    Returns
    -------
    pandas.DataFrame
        Columns exposure, outcome and method (categories), estimate and se; estimate_1 to estimate_K if the file has
        them.

    Raises
    ------
    InputError
        As `read_local`.
    """
    names = {key: {} for key in ("exposure", "outcome", "method")}
    codes, numbers, seen = {key: [] for key in names}, {}, _Rows()
    for piece in map(seen.add, pieces_of(path)):
        numbers = numbers or {name: [] for name in ("estimate", "se", *_of_members(piece))}
        for key, known in names.items():
            code, unique = pd.factorize(piece[key])
            codes[key].append(np.array([known.setdefault(name, len(known)) for name in unique], np.int32)[code])
        for name, parts in numbers.items():
            parts.append(piece[name].to_numpy())
    seen.check(path)
    categories = {key: pd.Categorical.from_codes(np.concatenate(codes[key]), list(known))
                  for key, known in names.items()}
    return pd.DataFrame({**categories, **{name: np.concatenate(parts) for name, parts in numbers.items()}})


class _Rows:
    """Finds rows that would be counted twice, by 8 bytes for each row."""

    def __init__(self):
        self._hashes = []

    def add(self, piece):
        """Remember the rows of a piece, which is given back."""
        self._hashes.append(self._hash(piece))
        return piece

    def check(self, path):
        """Raise `InputError` if the table at `path`, whose rows were added, holds one twice."""
        ordered = np.sort(np.concatenate(self._hashes))
        repeated = ordered[1:][ordered[1:] == ordered[:-1]]
        if not len(repeated):
            return
        rows = pd.concat([piece[ROW][np.isin(self._hash(piece), repeated)] for piece in pieces_of(path)])
        twice = rows[rows.duplicated()]  # two rows may have one hash
        if len(twice):
            row = twice.iloc[0]
            earlier = rows.index[(rows == row).all(axis=1)][0]
            raise InputError(f"{path}, line {twice.index[0] + 2}: {row.exposure} -> {row.outcome} by {row.method} at "
                             f"{row.chrom}:{row.start:.0f} ({row.strand}) stands in line {earlier + 2} already, and "
                             "would be counted twice; leave one of them out")

    @staticmethod
    def _hash(piece):
        return pd.util.hash_pandas_object(piece[ROW], index=False).to_numpy()


def pieces_of(path):
    """A table of local effects in pieces of `ROWS_AT_A_TIME`; see `read_local`."""
    if not os.path.isfile(path):
        raise InputError(f"{path}: no such file")
    n_rows = 0
    try:
        with _opened(path) as pieces:
            for piece in pieces:
                n_rows += len(piece)
                yield _checked(path, piece)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a table of local effects ({one_line(error)})") from error
    if not n_rows:
        raise InputError(f"{path}: the table of local effects holds no rows")


def _opened(path):
    if is_parquet(path):
        found = names_in_parquet(path)
        return contextlib.closing(
            piece.fillna(dict.fromkeys(set(LOCAL_TEXT) & set(found), "NA"))
            for piece in read_parquet(path, found, LOCAL_TEXT, ROWS_AT_A_TIME))
    header = pd.read_csv(path, sep="\t", nrows=0)
    numbers = dict.fromkeys((*LOCAL_NUMBERS, *LOCAL_MORE, *_of_members(header)), ["NA"])
    return pd.read_csv(path, sep="\t", dtype=dict.fromkeys(LOCAL_TEXT, str), na_values=numbers, keep_default_na=False,
                       chunksize=ROWS_AT_A_TIME, **EXACT)


def _checked(path, table):
    missing = [column for column in (*LOCAL_TEXT, *LOCAL_NUMBERS) if column not in table]
    if missing:
        raise InputError(f"{path}: not a table of local effects: it has no column {', '.join(missing)}")
    for column in (*LOCAL_NUMBERS, *(name for name in LOCAL_MORE if name in table), *_of_members(table)):
        table[column] = _numbers(path, table[column])
    names = {} if is_parquet(path) else {name: unquoted(table[name]) for name in NAMES}
    return table.assign(note=table["note"].replace("NA", ""), **names)


def _of_members(table):
    return [name for name in table if re.match(OF_MEMBER, str(name))]


def _numbers(path, column):
    converted = to_numbers(column)
    wrong = converted.isna() & column.notna()
    if wrong.any():
        row = wrong.idxmax()
        raise InputError(f'{path}, line {row + 2}: {column.name} must be a number or NA, not "{column[row]}"')
    return converted


def read_table(path, text, numbers, more=None):
    """A table of ours with these columns of text and of numbers, and `more` (None: all); `NA` is missing in TSV.

    Raises
    ------
    InputError
        The file or a column is missing, or a cell is not a number where one is needed.
    """
    table = pd.concat(read_in_pieces(path, text, numbers, more), ignore_index=True)
    if table.empty:
        raise InputError(f"{path}: the table holds no rows")
    return table


def read_in_pieces(path, text, numbers, more=None):
    """The same piece by piece, which may hold no rows: an iterator of tables."""
    try:
        yield from _chunks_of(path, text, numbers, more)
    except InputError:
        raise
    except ValueError as error:  # of a number, of a row, or of a character
        raise InputError(f"{path}: cannot be read as a table of DeepMR ({one_line(error)})") from error


def _header(path):
    return names_in_parquet(path) if is_parquet(path) else list(pd.read_csv(path, sep="\t", nrows=0).columns)


def read_lean(path, text, numbers, may_lack=(), where=None):
    """As `read_table`, for tables of very many rows: texts are categories, and there are no other columns.

    Parameters
    ----------
    path : str
    text, numbers : sequences of str
    may_lack : sequence of str
        Further columns of text, of `MAY_LACK`, that are read where there are any.
    where : dict of str to str, optional
        Rows that are read: columns of text, and what they must say.

    Returns
    -------
    pandas.DataFrame
        Without rows, if `where` fits none.
    """
    text = [*text, *(name for name in may_lack if os.path.isfile(path) and name in _header(path))]
    lean, n_rows = Lean([*text, *numbers], text), 0
    for piece in read_in_pieces(path, text, numbers, ()):
        n_rows += len(piece)
        for name, value in (where or {}).items():
            piece = piece[piece[name] == value]
        lean.add(piece)
    if not n_rows:
        raise InputError(f"{path}: the table holds no rows")
    return lean.table()


class Lean:
    """Holds some columns of a table that comes piece by piece: those of text as categories, others as float64."""

    def __init__(self, columns, text):
        self._known, self._parts = {name: {} for name in columns if name in text}, {name: [] for name in columns}

    def add(self, piece):
        """Take the next rows."""
        for name, parts in self._parts.items():
            known = self._known.get(name)
            if known is None:
                parts.append(np.array(piece[name], np.float64))  # a view would keep the whole piece
                continue
            code, unique = pd.factorize(piece[name])
            numbers = [known.setdefault(value, len(known)) for value in unique]
            parts.append(np.array([*numbers, -1], np.int32)[code])

    def table(self):
        """What is held, as a pandas.DataFrame; nothing is held afterwards."""
        columns = {}
        for name in list(self._parts):
            values = np.concatenate(self._parts.pop(name))
            known = self._known.get(name)
            columns[name] = values if known is None else pd.Categorical.from_codes(values, list(known))
        return pd.DataFrame(columns, copy=False)


def _chunks_of(path, text, numbers, more):
    """Pieces of a table: columns of text and numbers, and those of `more` that there are (None: all)."""
    if not os.path.isfile(path):
        raise InputError(f"{path}: no such file")
    header = _header(path)
    missing = [name for name in (*text, *numbers) if name not in header]
    if missing:
        raise InputError(f"{path}: it has no column {', '.join(missing)}")
    used = list(header) if more is None else [n for n in header if n in {*text, *numbers, *more}]
    if is_parquet(path):
        known = dict.fromkeys(set(text) - set(MAY_LACK), "NA")
        return (piece.fillna(known).astype(dict.fromkeys(numbers, float))
                for piece in read_parquet(path, used, text, PIECE))
    named = {name: (MISSING if name in MAY_LACK else []) if name in text else MISSING for name in used}
    dtype = {**dict.fromkeys(text, str), **dict.fromkeys(numbers, float)}
    pieces = pd.read_csv(path, sep="\t", usecols=used, dtype=dtype, na_values=named, keep_default_na=False,
                         chunksize=PIECE, **EXACT)
    return (piece.assign(**{name: unquoted(piece[name]) for name in text if name in piece}) for piece in pieces)
