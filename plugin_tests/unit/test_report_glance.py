"""The sentences with which the report begins."""

import pandas as pd

from kipoi_deepmr.network.verdicts import COPIES, DIRECT, HIDDEN, INDIRECT, NONE
from kipoi_deepmr.report.glance import MOST_SENTENCES, sentences


def table(*rows):
    columns = ["exposure", "outcome", "verdict", "standardised", "estimate"]
    return pd.DataFrame(rows, columns=columns).assign(method="egger", se=0.1)


def test_each_verdict_has_its_sentence():
    found = sentences(table(
        ("A", "B", DIRECT, 0.8, 2.0), ("B", "C", DIRECT, -0.5, -0.1), ("A", "C", INDIRECT.format(m="B"), -0.4, -0.2),
        ("C", "D", HIDDEN, 0.3, 1.0), ("D", "C", HIDDEN, 0.2, 1.0), ("B", "A", NONE, 0.01, 0.0),
        ("C", "A", NONE, 0.02, 0.0), ("D", "A", COPIES.format(x="D", m="E"), 0.1, 1.0)))
    assert found == [
        "A raises B directly: 2 per unit, 0.8 standard deviations per standard deviation.",
        "B lowers C directly: -0.1 per unit, 0.5 standard deviations per standard deviation.",
        "A lowers C through B, not directly: -0.2 per unit, 0.4 standard deviations per standard deviation.",
        "C and D may have a common cause that is no mark of the model.",
        "1 other ordered pair cannot be told.",
        "2 other ordered pairs show no effect beyond the minimum."]


def test_nothing_found_and_no_verdicts():
    assert sentences(table(("A", "B", NONE, 0.0, 0.0))) == ["1 ordered pair shows no effect beyond the minimum."]
    assert sentences(table(("A", "B", None, 0.0, 0.0))) == []


def test_many_effects_are_counted():
    found = sentences(table(*((f"A{i}", "B", DIRECT, 1 - i / 100, 1.0) for i in range(14))))
    assert len(found) == MOST_SENTENCES + 1 and found[0].startswith("A0 raises B")
    assert found[-1] == "4 other ordered pairs with an effect or a possible hidden cause are in the table."
