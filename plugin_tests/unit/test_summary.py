"""What the terminal says of numbers, and in how many lines."""

import numpy as np
import pandas as pd
import pytest

from kipoi_deepmr.cli import summary
from kipoi_deepmr.cli.tables import MAX_LINES, Part, fitted, said, table_of
from kipoi_deepmr.network.verdicts import NONE, NOT_CLEAR


def effects(n=2, **columns):
    return pd.DataFrame({
        "exposure": [f"A{i}" for i in range(n)], "outcome": "B", "method": "egger", "n_loci": 9, "se": 0.05,
        "estimate": np.linspace(2, 0.1, n), "ci_low": 1.9, "ci_high": 2.1, "pvalue": 0.04, "tau": 0.0,
        "standardised": np.linspace(0.9, 0.1, n), "verdict": "direct effect", "reason": "", **columns})


def test_a_p_value_too_small_for_a_number_is_no_zero():
    strongest, other = str(summary.of_global(effects(pvalue=[0.0, 0.04]), "x.tsv")).splitlines()[-2:]
    assert strongest.split() == ["A0", "B", "direct", "effect", "2", "[1.9,", "2.1]", "0.9", "9", "<1e-300"]
    assert other.split()[-1] == "0.04"


def test_verdicts_are_counted_and_those_that_are_not_clear_are_told_apart():
    table = effects(6, verdict=["direct effect", "indirect effect (through M)", "indirect effect (through N, O)", NONE,
                                NONE, "cannot be told: A5 and M are near copies"],
                    reason=["", "", "", "0.01, minimum 0.05", f"0.5: {NOT_CLEAR} 0.05, but not clearly so", ""])
    first, _, *rows = str(summary.of_global(table, "x.tsv")).splitlines()
    assert first == ("verdicts on 6 ordered pairs: 1 direct effect, 2 indirect effects, 2 with no effect beyond the "
                     "minimum (1 of them estimated beyond it, but not clearly), 1 that cannot be told:")
    assert [f"{NONE} (not clear)" in row for row in rows] == [False] * 4 + [True, False]


def test_no_verdicts_say_why():
    table = effects(verdict=None, reason="no network was inferred")
    assert str(summary.of_global(table, "x.tsv")).startswith("no verdicts on 2 ordered pairs: no network was inferred")


def test_of_several_methods_the_first_is_shown():
    table = pd.concat([effects(), effects(method="ivw")], ignore_index=True)
    text = str(summary.of_global(table, "x.tsv"))
    assert "verdicts on 2 ordered pairs" in text and "by egger, the first of 2 methods" in text
    assert len(text.splitlines()) == 4


def test_long_names_are_shortened_and_stay_different():
    names = [f"mark{i}" + "x" * 80 + "end" for i in range(12)] + ["a" * 40 + c + "a" * 40 for c in "bc"]
    rows = str(table_of(("exposure", "p"), [(name, "1") for name in names], "t")).splitlines()[2:]
    assert len(set(rows)) == len(names) and max(map(len, rows)) < 100


@pytest.mark.parametrize("sizes, most", [((3, 3), 20), ((30, 2, 1), 20), ((30, 30, 30), 20), ((1, 1, 40, 9), 20),
                                         ((5,), 3), ((26_000, 12, 8, 8, 8), 20)])
def test_parts_take_no_more_lines_than_there_are(sizes, most):
    """The longest lose lines; each keeps its head, and the lines that are left out are counted."""
    parts = [Part((f"head {i}",), tuple(f"{i} row {k}" for k in range(min(n, 25))), n, "f.tsv")
             for i, n in enumerate(sizes)]
    lines = fitted([*parts, None]).splitlines() if most == MAX_LINES else fitted(parts, most).splitlines()
    assert len(lines) <= most and lines[0] == "head 0"
    for i, n in enumerate(sizes):
        shown = sum(line.startswith(f"{i} row") for line in lines)
        assert f"head {i}" in lines
        assert shown == n or f"  and {n - shown:,} more in f.tsv" in lines


def test_heads_are_never_left_out():
    assert fitted([said("a\nb"), said("c")], 2) == "a\nb\n\nc"
