"""The sentences with which the report begins."""

import pandas as pd
import pytest

from kipoi_deepmr.network.verdicts import COPIES, DIRECT, HIDDEN, INDIRECT, NONE
from kipoi_deepmr.report.glance import MOST_SENTENCES, sentences


def table(*rows):
    columns = ["exposure", "outcome", "verdict", "standardised", "estimate"]
    made = pd.DataFrame(rows, columns=columns).assign(method="egger", se=0.1, n_loci=30)
    return made.assign(ci_low=made["estimate"] - 0.1, ci_high=made["estimate"] + 0.2)


def shares(**red):
    """Shares of red loci of two flags, by pair of one-letter marks."""
    return pd.DataFrame([(*pair, 30, *values) for pair, values in red.items()],
                        columns=["exposure", "outcome", "n_loci", "egger_heterogeneity", "weak"])


def test_each_verdict_has_its_sentence():
    found = sentences(table(
        ("A", "B", DIRECT, 0.8, 2.0), ("B", "C", DIRECT, -0.5, -1.0), ("A", "C", INDIRECT.format(m="B"), -0.4, -2.0),
        ("C", "D", HIDDEN, 0.3, 1.0), ("D", "C", HIDDEN, 0.2, 1.0), ("B", "A", NONE, 0.01, 0.0),
        ("C", "A", NONE, 0.02, 0.0), ("D", "A", COPIES.format(x="D", m="E"), 0.1, 1.0)))
    assert found == [
        "A raises B directly by 0.8 (0.76 to 0.88; 30 loci).",
        "B lowers C directly by 0.5 (0.4 to 0.55; 30 loci).",
        "A lowers C through B, not directly, by 0.4 (0.36 to 0.42; 30 loci).",
        "C and D may have a common cause that is no mark of the model.",
        "2 other ordered pairs show no effect beyond the minimum.",
        "1 other ordered pair cannot be told."]


def test_a_direct_effect_is_that_of_the_network():
    """Its sign, size and interval, also where the total effect is none; the strongest of what is said comes first."""
    effects = table(("A", "B", DIRECT, 0.8, 2.0), ("A", "C", DIRECT, 0.01, 0.02), ("C", "B", NONE, 0.0, 0.0))
    direct = pd.DataFrame([("A", "B", 2.0, 0.7, 1.0, 3.0), ("A", "C", -4.0, -0.9, -5.0, -3.0)],
                          columns=["exposure", "outcome", "direct", "direct_std", "ci_low", "ci_high"])
    assert sentences(effects, direct=direct)[:2] == [
        "A lowers C directly by 0.9 (0.68 to 1.1; 30 loci); in total, through other marks too, the effect is 0.01.",
        "A raises B directly by 0.7 (0.35 to 1; 30 loci)."]


def test_nothing_found_and_no_verdicts():
    assert sentences(table(("A", "B", NONE, 0.0, 0.0))) == ["1 ordered pair shows no effect beyond the minimum."]
    assert sentences(table(("A", "B", None, 0.0, 0.0))) == []


def test_many_effects_are_counted():
    found = sentences(table(*((f"A{i}", "B", DIRECT, 1 - i / 100, 1.0) for i in range(14))))
    assert len(found) == MOST_SENTENCES and found[0].startswith("A0 raises B")
    assert found[-1] == "5 other ordered pairs with an effect or a possible hidden cause are in the table."


def test_both_directions_of_a_hidden_cause_count_as_two_pairs():
    rows = [(x, y, HIDDEN, 1 - i / 100, 1.0) for i in range(12) for x, y in ((f"A{i}", f"B{i}"), (f"B{i}", f"A{i}"))]
    assert sentences(table(*rows))[-1].startswith(f"{24 - 2 * (MOST_SENTENCES - 1)} other ordered pairs")


@pytest.mark.parametrize("red, sentence", [
    ({"AB": (0.5, 0.9), "BC": (0.0, 0.4), "CA": (1.0, 1.0)},
     "Look closer at both effects: diagnostics are red at more than a third of the loci "
     "(weak, egger heterogeneity)."),
    ({"AB": (0.5, 0.0), "BC": (0.1, 0.2)},
     "Look closer at 1 of these 2 effects: diagnostics are red at more than a third of the loci "
     "(egger heterogeneity)."),
    ({"AB": (0.3, float("nan")), "BC": (0.1, 0.2)}, "No diagnostic is red for any of these effects."),
])
def test_what_speaks_against_the_effects(red, sentence):
    """Only pairs with an effect count, and only what is red at more than a third of their loci."""
    effects = table(("A", "B", DIRECT, 0.8, 2.0), ("B", "C", DIRECT, -0.5, -1.0), ("C", "A", NONE, 0.0, 0.0))
    assert sentences(effects, shares(**red))[2] == sentence
