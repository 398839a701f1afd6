"""What is printed of the local table: counts of the first pairs, and why a pair has no estimate at all."""

import itertools

import numpy as np
import pandas as pd
import pytest

from kipoi_deepmr.cli.local_summary import ELSE, REMEDIES, LocalCounts, of_local
from kipoi_deepmr.cli.tables import MAX_ROWS
from kipoi_deepmr.mr import notes


def local(note, n_instruments=5, estimate=np.nan, marks="AB", n_loci=3, method="egger"):
    rows = [(x, y, method) for _ in range(n_loci) for x, y in itertools.permutations(marks, 2)]
    return pd.DataFrame(rows, columns=["exposure", "outcome", "method"]).assign(
        n_instruments=n_instruments, estimate=estimate, note=note)


def said(*tables):
    counts = LocalCounts()
    for table in tables:
        counts.add(table)
    return of_local(counts)


@pytest.mark.parametrize("note, n, reason, remedy", [
    (notes.SE_ZERO, 5, "a standard error is zero", "--se_shrinkage trend"),
    (notes.of_member(2, notes.SE_ZERO), 5, "a standard error is zero", "--se_shrinkage trend"),
    (notes.too_few(2, 3), 2, "too few instruments, needs 3", "lower --instrument_z"),
    (notes.of_member(1, notes.too_few(1, 3)), 1, "too few instruments, needs 3", "lower --instrument_z"),
    (notes.too_few(0, 3), 0, "0 instruments", "--instrument_z 1 or less"),
    (notes.NOT_PREDICTED, 0.0, "0 instruments", "--instrument_z"),
    (notes.EQUAL_MEMBERS, 9, notes.EQUAL_MEMBERS, "trained independently"),
    (notes.FLAT, 9, notes.FLAT, ELSE),
])
def test_a_table_of_nothing_says_why_and_what_to_try(note, n, reason, remedy):
    text = said(local(note, n), local(note, n))
    line, = (line for line in text.splitlines() if line.startswith("no estimate"))
    assert line.startswith("no estimate at any locus for A -> B (egger), B -> A (egger): ")
    assert f": {reason}. Try " in line and remedy in line


def test_the_commonest_reason_counts_and_pairs_with_an_estimate_are_not_named():
    table = local(notes.SE_ZERO)
    table.loc[table.index[:2], "note"] = notes.TOO_WEAK
    some = table.copy()
    some.loc[0, ["estimate", "note"]] = 1.0, ""
    assert "A -> B (egger), B -> A" in said(table) and notes.SE_ZERO in said(table)
    assert "no estimate at any locus for B -> A (egger): a standard error is zero" in said(some)
    assert "no estimate" not in said(local("", estimate=1.0))


def test_many_pairs_are_counted_and_the_first_are_shown():
    text = said(local(notes.SE_ZERO, marks="ABCDEFGH"))
    assert f"and {8 * 7 - MAX_ROWS} more" in text and f"and {MAX_ROWS - 3} more: a standard error" in text


def test_remedies_are_for_notes_that_there_are():
    texts = {value for value in vars(notes).values() if isinstance(value, str)}
    assert set(REMEDIES) - {"0 instruments", "few"} <= texts
