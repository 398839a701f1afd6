"""Tables as TSV or Parquet, by the ending of their names: full precision; written whole or not at all.

A missing value is `NA` in TSV, and null in Parquet.

A spreadsheet computes a cell of a TSV that begins with = + - or @. `safe_cells` puts a ' before names that begin so.
A name that begins with ' and then one of these has one more in every TSV, so that `unquoted` gives all names back.
"""

import contextlib
import contextvars
import re

import pandas as pd

from ..errors import InputError, one_line
from ..files import is_stream, replacing
from ..options import FORMATS
from . import tsv_rows

TSV, PARQUET = (f".{name}" for name in FORMATS)

# How to read every digit: pandas 3 does so by itself and warns of the option, pandas 2 needs it.
EXACT = {} if int(pd.__version__.split(".")[0]) >= 3 else {"float_precision": "round_trip"}


OURS = "kipoi_deepmr"  # in the metadata of a Parquet file
ROWS_OF_GROUP = 100_000
TEXT = pd.Series(["A"]).dtype  # object in pandas 2

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


def is_parquet(path):
    """Whether the name of a table says that it is, or will be, Parquet."""
    return path.endswith(PARQUET)


def in_format_of(name, like):
    """The name of a table, or its ending, in the format of the table `like`; other names as they are."""
    if not name.endswith((TSV, PARQUET)):
        return name
    return name.removesuffix(TSV).removesuffix(PARQUET) + (PARQUET if is_parquet(like) else TSV)


def parquet():
    """pyarrow's module of Parquet.

    Raises
    ------
    InputError
        It is not installed.
    """
    try:
        import pyarrow.compute
        import pyarrow.parquet
    except ImportError as error:
        raise InputError("Parquet needs pyarrow, which is not installed: pip install pyarrow, or use TSV") from error
    return pyarrow.parquet


def check_format(path, name):
    """Raise `InputError` unless tables can be written to `path` (`-` and other streams take TSV) in a format.

    Parameters
    ----------
    path : str
    name : str or None
        One of `FORMATS` if the user chose it.
    """
    if is_parquet(path):
        parquet()
    if name == FORMATS[1] and is_stream(path) and not is_parquet(path):
        raise InputError(f"-o {path}: --format parquet needs a file; give -o NAME{PARQUET}")
    if name and is_parquet(path) != (name == FORMATS[1]):
        raise InputError(f"-o {path}: --format {name} does not go with this name; give -o NAME.{name}")


def ending_of(name):
    """The ending of tables in a format: one of `FORMATS`, or None for the first.

    Raises
    ------
    InputError
        There is no such format, or it needs what is not installed.
    """
    name = name or FORMATS[0]
    if name not in FORMATS:
        raise InputError(f"unknown format of tables {name!r}; known: {', '.join(FORMATS)}")
    check_format(f".{name}", name)
    return f".{name}"


def write_table(path, pieces):
    """Write tables, one after the other, as one; the name's ending sets the format: .parquet, else TSV.

    Parameters
    ----------
    path : str
    pieces : iterable of pandas.DataFrame
        With the same columns; at least one.

    Raises
    ------
    InputError
        Parquet is asked for, and pyarrow is not installed.
    """
    with table_writer(path) as add:
        for piece in pieces:
            add(piece)


def write_tsv(path, pieces):
    """Write tables as `write_table`, as TSV with one header line."""
    with _tsv_writer(path) as add:
        for piece in pieces:
            add(piece)


def table_writer(path):
    """As `write_table`: a context manager that gives a function, which takes the pieces."""
    return (_parquet_writer if is_parquet(path) else _tsv_writer)(path)


@contextlib.contextmanager
def _tsv_writer(path):
    how, begun = {"sep": "\t", "index": False, "na_rep": "NA", "lineterminator": "\n"}, False
    with replacing(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as out:
        def add(piece):
            nonlocal begun
            noted = piece.assign(note=piece["note"].replace("", "NA")) if "note" in piece else piece
            text = [name for name in noted if not pd.api.types.is_numeric_dtype(noted[name])]
            noted = noted.assign(**{name: _quoted(noted[name]) for name in text})
            if not begun:
                noted.iloc[:0].to_csv(out, **how)
                begun = True
            out.flush()
            if not tsv_rows.written(noted, out.buffer, how["na_rep"]):
                noted.to_csv(out, header=False, **how)

        yield add


@contextlib.contextmanager
def _parquet_writer(path):
    """A row group for every `ROWS_OF_GROUP` rows or a little more."""
    module = parquet()
    import pyarrow

    writer, held = None, []
    with contextlib.ExitStack() as opened:
        out = opened.enter_context(open(opened.enter_context(replacing(path)), "wb"))

        def write():
            writer.write_table(pyarrow.concat_tables(held))
            held.clear()

        def add(piece):
            nonlocal writer
            table = _to_arrow(pyarrow, piece, writer and writer.schema)
            writer = writer or opened.enter_context(module.ParquetWriter(out, table.schema))
            held.append(table)
            if sum(map(len, held)) >= ROWS_OF_GROUP:
                write()

        yield add
        if held:
            write()


def _to_arrow(pyarrow, piece, schema):
    """A table of Arrow, of the first piece's schema: text as strings, numbers of their own kind, no text as null."""
    text = [name for name in piece if not pd.api.types.is_numeric_dtype(piece[name])]
    if schema is None:
        schema = pyarrow.schema(
            [(name, pyarrow.string() if name in text else pyarrow.from_numpy_dtype(piece[name].to_numpy().dtype))
             for name in piece], metadata={OURS: ""})
    columns = []
    for name, kind in zip(schema.names, schema.types, strict=True):
        column = tsv_rows.text_of(pyarrow, piece[name]) if name in text else None
        if column is None:
            column = pyarrow.array(piece[name], kind, from_pandas=True)
        elif not kind.equals(column.type):
            column = column.cast(kind)
        if name in text:
            column = pyarrow.compute.if_else(pyarrow.compute.equal(column, ""), None, column)
        columns.append(column)
    return pyarrow.Table.from_arrays(columns, schema=schema)


def names_in_parquet(path):
    """Names of the columns of a Parquet file.

    Raises
    ------
    InputError
        It is none, or pyarrow is not installed.
    """
    with _readable(path) as file:
        return list(file.schema_arrow.names)


def read_parquet(path, columns, text, rows):
    """Pieces of a Parquet file as a TSV would give them, with the numbers of their rows from 0 as index.

    Parameters
    ----------
    path : str
    columns : sequence of str
    text : collection of str
        Columns of text.
    rows : int
        At most so many at a time.

    Yields
    ------
    pandas.DataFrame
        Missing values are NaN.

    Raises
    ------
    InputError
        It is no Parquet file, or a damaged one, or pyarrow is not installed.
    """
    start = 0
    with _readable(path) as file:
        batches = file.iter_batches(rows, columns=list(columns)) if file.metadata.num_rows else [
            file.schema_arrow.empty_table().select(list(columns))]
        for batch in batches:
            piece = batch.to_pandas()
            piece.index = pd.RangeIndex(start, start + len(piece))
            start += len(piece)
            yield piece.assign(**{name: _as_text(piece[name]) for name in text if name in piece})


def _as_text(column):
    column = column.astype(object)
    return column.where(column.isna(), column.map(str)).where(column.notna(), float("nan")).astype(TEXT)


@contextlib.contextmanager
def _readable(path):
    module = parquet()
    import pyarrow

    try:
        with module.ParquetFile(path, pre_buffer=False) as file:  # which would hold the whole file, compressed
            yield file
    except (pyarrow.ArrowException, OSError) as error:
        raise InputError(f"{path}: cannot be read as Parquet ({one_line(error)})") from error
