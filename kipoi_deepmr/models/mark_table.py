"""A table of a model's outputs (`--mark_table`): their names, and columns by which marks are chosen and grouped."""

import codecs
import csv
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ..errors import InputError, listed, nearest
from .host.errors import ModelError
from .host.naming import chosen_marks, matching

NAME, INDEX = "name", "index"


class Row(NamedTuple):
    """The cells of one output, by column, and the line of the file on which they end."""

    line: int
    cells: dict[str, str]


class MarkTable:
    """What a table says of each output of a model; made by `read_mark_table`.

    Parameters
    ----------
    path : str
        For messages.
    columns : sequence of str
    rows : sequence of Row
        One for each output, in the model's order.

    Attributes
    ----------
    names : list of str
        Of the outputs.
    """

    def __init__(self, path: str, columns: Sequence[str], rows: Sequence[Row]):
        self._path, self._columns, self._rows = path, columns, rows
        self.names = [row.cells[NAME] for row in rows]

    def is_filter(self, word: str) -> bool:
        """Whether a word of `--marks` is of the form COLUMN=VALUE; a mark of exactly this name goes first."""
        return "=" in word and word not in self.names

    def numbers_of(self, words: Sequence[str]) -> list[int]:
        """Numbers of the outputs that any of some words of `--marks` chooses, in the order of the words.

        Parameters
        ----------
        words : sequence of str
            Each a filter COLUMN=VALUE, where VALUE may be a pattern, or a mark by name, pattern or number from 0.

        Raises
        ------
        InputError
            There is no such column, value or mark, or a cell of the column is empty.
        """
        chosen: dict[int, None] = {}
        for word in words:
            chosen.update(dict.fromkeys(self._filtered(word) if self.is_filter(word) else self._named(word)))
        return list(chosen)

    def groups(self, column: str, numbers: Sequence[int]) -> dict[str, list[str]]:
        """Names of some outputs by their values in a column, in the order of these outputs.

        Parameters
        ----------
        column : str
        numbers : sequence of int
            Of the outputs.

        Raises
        ------
        InputError
            There is no such column, or one of its cells is empty.
        """
        values = self.values(column, "--mark_groups_by")
        groups: dict[str, list[str]] = {}
        for number in numbers:
            groups.setdefault(values[number], []).append(self.names[number])
        return groups

    def values(self, column: str, option: str) -> list[str]:
        """The values of all outputs in a column that an option names.

        Parameters
        ----------
        column, option : str
            The option is for messages.

        Raises
        ------
        InputError
            There is no such column, or one of its cells is empty.
        """
        if column not in self._columns:
            raise InputError(f'{self._path}: {option}: the table has no column "{column}"'
                             + nearest(column, self._columns))
        for row in self._rows:
            if not row.cells[column]:
                raise InputError(f"{self._path}, line {row.line}: column {column} is empty, but {option} uses it; "
                                 "write a value such as none")
        return [row.cells[column] for row in self._rows]

    def described(self, groups: Mapping[str, Sequence[str]] | None = None) -> dict[str, dict[str, str]]:
        """What the further columns say of each output, or of each group: the value that all its outputs have.

        Parameters
        ----------
        groups : mapping of str to sequence of str, optional
            Names of outputs by group, which take the place of the outputs.

        Returns
        -------
        dict of str to dict
            By column, and there by output or group; without empty cells.
        """
        of_name = {row.cells[NAME]: row.cells for row in self._rows}
        members = groups or {name: [name] for name in self.names}
        found = {}
        for column in self._columns:
            values = {mark: {of_name[name][column] for name in names if name in of_name}
                      for mark, names in members.items()}
            found[column] = {mark: next(iter(each)) for mark, each in values.items() if len(each) == 1 and each != {""}}
        return {column: values for column, values in found.items() if values and column not in (NAME, INDEX)}

    def _named(self, word):
        try:
            return chosen_marks(self.names, [word], nearest)
        except ModelError as error:
            raise InputError(f"{self._path}: {error}") from None

    def _filtered(self, word):
        columns = [column for column in self._columns if word.startswith(f"{column}=")]
        column = max(columns, key=len, default=word.partition("=")[0])
        value = word[len(column) + 1:]
        values = self.values(column, f"--marks {word}")
        chosen = matching(values, value)
        if not chosen:
            raise InputError(f'{self._path}: --marks {word}: column {column} has no value "{value}"'
                             + nearest(value, dict.fromkeys(values)))
        return chosen


def read_mark_table(path: str) -> MarkTable:
    """Read a tab-separated table with a header and one row for each output of a model.

    The column `name` names the outputs. The rows are in the model's order; with a column `index`, the number of each
    output from 0, they may be in any order. Further columns have any name.

    Parameters
    ----------
    path : str

    Raises
    ------
    InputError
        It is not such a table; the message names the line.
    OSError
        It cannot be read.
    """
    try:
        with open(path, encoding=_encoding(path), newline="") as file:
            reader = csv.reader(file, delimiter="\t", strict=True)
            lines = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader]
    except (UnicodeError, csv.Error) as error:
        raise InputError(f"{path}: --mark_table takes a tab-separated text file ({error}); unpack it, or save "
                         "it as text with tabs, in UTF-8") from error
    for line, cells in lines:
        if any(set("\n\r\t") & set(cell) for cell in cells):
            raise InputError(f"{path}, line {line}: a cell in quotes holds a tab or a line break; take it out")
    while lines and not any(lines[-1][1]):
        lines.pop()
    if not lines:
        raise InputError(f"{path}: the file is empty; --mark_table takes a header with a column {NAME}, and a row for "
                         "each output of the model")
    columns = _columns(path, lines[0][1])
    rows = [_row(path, line, cells, columns) for line, cells in lines[1:]]
    if not rows:
        raise InputError(f"{path}: there are no rows below the header; give one for each output of the model")
    _check_different(path, rows, NAME)
    return MarkTable(path, columns, _by_index(path, rows) if INDEX in columns else rows)


def _encoding(path):
    """UTF-8, or the UTF-16 of a spreadsheet's "Unicode text"."""
    with open(path, "rb") as file:
        return "utf-16" if file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"


def _columns(path, columns):
    if NAME not in columns:
        raise InputError(f"{path}, line 1: the header has no column {NAME}, only {listed(columns[:20])}; call the "
                         f"column with the names of the marks {NAME}, and separate columns by tabs")
    for number, column in enumerate(columns):
        if not column:
            raise InputError(f"{path}, line 1: column {number + 1} has no name; give it one in the header")
        if column in columns[:number]:
            raise InputError(f"{path}, line 1: two columns are called {column}; rename one")
    return columns


def _row(path, line, cells, columns):
    if len(cells) != len(columns):
        raise InputError(f"{path}, line {line}: there are {len(cells)} cells in this row and {len(columns)} in the "
                         "header; separate the cells by tabs, and leave out empty lines")
    row = Row(line, dict(zip(columns, cells, strict=True)))
    if not row.cells[NAME]:
        raise InputError(f"{path}, line {line}: column {NAME} is empty; every output needs a name")
    return row


def _check_different(path, rows, column):
    line_of: dict[str, int] = {}
    for line, cells in rows:
        first = line_of.setdefault(cells[column], line)
        if first != line:
            raise InputError(f"{path}, line {line}: {column} {listed([cells[column]])} is on line {first} already; "
                             "each output needs its own")


def _by_index(path, rows):
    """The rows in the order of their column `index`."""
    for line, cells in rows:
        text = cells[INDEX]
        # as long as the last number at most, because int() refuses thousands of digits
        if not (text.isascii() and text.isdigit() and len(text) <= len(str(len(rows))) and int(text) < len(rows)):
            raise InputError(f"{path}, line {line}: {INDEX} {text[:20]!r} is not one of 0 to {len(rows) - 1}; outputs "
                             f"count from 0, and each needs a row; without a column {INDEX}, rows are in their order")
    ordered = sorted(rows, key=lambda row: int(row.cells[INDEX]))
    _check_different(path, [Row(row.line, {INDEX: str(int(row.cells[INDEX]))}) for row in rows], INDEX)
    return ordered
