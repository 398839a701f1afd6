"""What is printed of the local table: counts of the first pairs, and why a pair has no estimate at all."""

import itertools

import numpy as np
import pandas as pd
import pytest

from kipoi_deepmr.cli.local_summary import ELSE, MORE_INSTRUMENTS, REMEDIES, LocalCounts, of_local, of_pairs
from kipoi_deepmr.cli.tables import MAX_LINES
from kipoi_deepmr.mr import notes
from kipoi_deepmr.options import EstimatorOptions


def local(note, n_instruments=5, estimate=np.nan, marks="AB", n_loci=3, method="egger"):
    rows = [(x, y, method) for _ in range(n_loci) for x, y in itertools.permutations(marks, 2)]
    return pd.DataFrame(rows, columns=["exposure", "outcome", "method"]).assign(
        n_instruments=n_instruments, estimate=estimate, note=note)


def counted(*tables):
    counts = LocalCounts()
    for table in tables:
        counts.add(table)
    return counts


def said(*tables, rule="own"):
    return str(of_local(counted(*tables), rule))


@pytest.mark.parametrize("note, n, reason, remedy", [
    (notes.SE_ZERO, 5, "a standard error is zero", "--se_shrinkage trend"),
    (notes.of_member(2, notes.SE_ZERO), 5, "a standard error is zero", "--se_shrinkage trend"),
    (notes.too_few(2, 3), 2, "too few instruments, needs 3", "lower --instrument_z"),
    (notes.of_member(1, notes.too_few(1, 3)), 1, "too few instruments, needs 3", "lower --instrument_z"),
    (notes.too_few(0, 3), 0, "0 instruments", "a lower --instrument_z"),
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


def test_what_to_try_without_instruments_depends_on_the_rule():
    table = local(notes.too_few(0, 1), 0)
    for rule in EstimatorOptions.choices_of("instruments"):
        assert f"0 instruments. Try {MORE_INSTRUMENTS[rule]}" in said(table, rule=rule)
    assert "--instrument_z" not in said(table, rule="direct")


def test_all_pairs_are_counted_and_the_first_are_shown():
    """As many as there are, over tables that come in pieces, each pair with its own reason."""
    some = local(notes.SE_ZERO, marks="ABCDEFGH")
    other = local(notes.SE_ZERO, marks="ABCDEFGH", n_loci=2)
    some.loc[some.index[-1], ["estimate", "note"]] = 1.0, ""
    other.loc[other["outcome"] == "A", "note"] = notes.FLAT
    counts = counted(some, other, other)
    text, rows = str(of_local(counts, "own")), str(of_pairs(counts))
    assert "instruments at a locus: 5 (5-5); 1 of 56 pairs have an estimate, at 1 of 7 loci (median)" in text
    assert f"and {56 - 1 - 7 - 3} more: {notes.SE_ZERO}" in text and f"and {7 - 3} more: {notes.FLAT}" in text
    assert f"and {56 - MAX_LINES + 1} more" in rows and "0 of 7" in rows


def test_remedies_are_for_notes_that_there_are():
    texts = {value for value in vars(notes).values() if isinstance(value, str)}
    assert set(REMEDIES) - {"few"} <= texts
