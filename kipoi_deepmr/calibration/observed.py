"""Observed values of validation sequences: read from a table, matched with loci or with sequences of its own."""

import os
import warnings
import zlib
from typing import NamedTuple

import numpy as np
import pandas as pd

from .. import dna
from ..errors import InputError, listed, nearest, one_line
from ..tabular import to_numbers

KEYS = ("locus", "sequence")
MISSING = ["", "NA", "NaN", "nan"]
AMBIGUOUS = "sequences with N or other ambiguous letters"


class Observed(NamedTuple):
    """Sequences and their observed values.

    Attributes
    ----------
    sequences : (n, L) uint8
        As the model sees them.
    item : (n,) int64
        As `kipoi_deepmr.loci.Loci` has it.
    values : (n, mark) float64
        NaN where missing.
    left_out : dict of str to int
        What of the table or the loci was not used, and how many.
    """

    sequences: np.ndarray
    item: np.ndarray
    values: np.ndarray
    left_out: dict


def read_observed(path, marks):
    """Read a TSV of observed values: a column locus or sequence, and one a mark on the scale of the model's output.

    Parameters
    ----------
    path : str
    marks : sequence of str
        Further columns are passed over.

    Returns
    -------
    key : {"locus", "sequence"}
    names : (n,) str
        Loci or sequences.
    values : (n, mark) float64
        NaN where the table has NA or nothing.

    Raises
    ------
    InputError
        No such file, a column is missing, a locus is empty or named twice, or a cell is not a finite number or NA.
    """
    if not os.path.isfile(path):
        raise InputError(f"{path}: no such file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # cells without a header, which it would drop
            table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False, na_values=[], index_col=False)
    except (ValueError, OSError, EOFError, zlib.error, pd.errors.ParserWarning) as error:
        raise InputError(f"{path}: not a table of observed values ({one_line(error)})") from error
    keys = [key for key in KEYS if key in table]
    if len(keys) != 1:
        raise InputError(f"{path}: a table of observed values has a column locus, or one sequence; it has: "
                         f"{listed(table.columns[:20])}")
    for mark in marks:
        if mark not in table:
            others = [name for name in table if name not in KEYS]
            raise InputError(f"{path}: it has no column {mark}{nearest(mark, others) if others else ''}; "
                             "--marks leaves marks out")
    names = table[keys[0]].fillna("").str.strip()
    if not len(table) or (names == "").any():
        where = f"line {(names == '').idxmax() + 2} has no {keys[0]}" if len(table) else "it holds no rows"
        raise InputError(f"{path}: {where}")
    if keys[0] == "locus" and names.duplicated().any():
        row = names.duplicated().idxmax()
        raise InputError(f"{path}, line {row + 2}: locus {names[row]} is named twice")
    return keys[0], names.to_numpy(dtype=str), np.column_stack([_numbers(path, table[mark]) for mark in marks])


def observed_at_loci(path, names, values, selection):
    """Match observed values with loci by name.

    Parameters
    ----------
    path : str
        Of the table, for messages.
    names, values
        As `read_observed` gives them.
    selection : Selection

    Returns
    -------
    Observed

    Raises
    ------
    InputError
        Two loci of one name, or no locus has a row.
    """
    loci, row_of = selection.loci, {name: row for row, name in enumerate(names.tolist())}
    unique, counts = np.unique(loci.name, return_counts=True)
    if (counts > 1).any():
        raise InputError(f"two loci are named {unique[counts > 1][0]}: their observed values cannot be told apart")
    rows = np.array([row_of.get(name, -1) for name in loci.name.tolist()])
    known = rows >= 0
    if not known.any():
        raise InputError(f"{path}: it names no locus that is used, such as {loci.name[0]}")
    left_out = {reason: len(dropped) for reason, dropped in selection.dropped.items()}
    left_out.update({f"loci without a row in {path}": int((~known).sum()),
                     f"rows of {path} without a locus": len(names) - int(known.sum())})
    return Observed(loci.sequences[known], loci.item[known], values[rows[known]], _counted(left_out))


def observed_of_sequences(path, names, values, length):
    """Observed values of a table that holds its sequences.

    Parameters
    ----------
    path, names, values
        As for `observed_at_loci`; the names are the sequences, on the strand that the model shall see.
    length : int
        What the model takes.

    Returns
    -------
    Observed

    Raises
    ------
    InputError
        A sequence has another length, or none is usable.
    """
    for row, name in enumerate(names.tolist()):
        if len(name) != length or not name.isascii():
            raise InputError(f"{path}, line {row + 2}: the sequence {name[:20]!r} is {len(name)} letters long, but the "
                             f"model takes {length} bases")
    sequences = dna.encode("".join(names.tolist())).reshape(len(names), length)
    usable = ~dna.is_ambiguous(sequences).any(1)
    if not usable.any():
        raise InputError(f"{path}: no sequence is made of A, C, G and T")
    return Observed(sequences[usable], np.full(usable.sum(), -1), values[usable],
                    _counted({AMBIGUOUS: int((~usable).sum())}))


def _counted(left_out):
    return {reason: n for reason, n in left_out.items() if n}


def _numbers(path, column):
    """A column's numbers; NaN where missing."""
    text = column.fillna("").str.strip()
    numbers = to_numbers(text.where(~text.isin(MISSING))).to_numpy(dtype=np.float64)
    wrong = ~(np.abs(numbers) <= np.finfo(np.float32).max) & ~text.isin(MISSING).to_numpy()
    if wrong.any():
        row = int(wrong.argmax())
        raise InputError(f'{path}, line {row + 2}: {column.name} must be a finite number or NA, not "{text[row]}"')
    return numbers
