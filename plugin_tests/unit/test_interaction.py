"""The interaction of two regions: known ones are told apart, effects that add up are called so, and who is a pair."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from known_pairs import TRUTHS, simulate
from statsmodels.stats.multitest import multipletests

from kipoi_deepmr import dna, mutagenesis, shape
from kipoi_deepmr.loci import Loci, Plan, parse_mutants
from kipoi_deepmr.models import Ensemble
from kipoi_deepmr.mr.uncertainty import SHARED
from kipoi_deepmr.plots import interaction_figure
from kipoi_deepmr.shape import InteractionResult, interactions, pairs_table
from kipoi_deepmr.shape.interaction import COOPERATIVE, INDEPENDENT, NO_EFFECT, NOT_ENOUGH, OTHER, REDUNDANT, UNKNOWN

MARKS = ["A", "B", "Y"]


def row_of(pairs, min_interaction=0.2, min_effect=0.02):
    row, = interactions([pairs], MARKS, [2], min_interaction, min_effect)
    return row


def rows_of(truth, n, **more):
    return [row_of(simulate(truth, seed=seed, **more)) for seed in range(n)]


def changed(pairs, change):
    """The pairs with other effects; `change` takes and gives (locus, member, 3, outcome)."""
    return pairs._replace(effects=change(pairs.effects), product=np.full_like(pairs.product, np.nan))


@pytest.mark.parametrize("more", [{"n_loci": 5}, {"n_loci": 40}, {"n_members": 3, "n_loci": 10}, {"leak": 0.2},
                                  {"noise": 0.4}, {"shared": 0.8}, {"differ": 0.8}])
def test_effects_that_add_up_are_seldom_called_otherwise(more):
    """At most 5 % of 60 (none was; 3 are allowed), where members share errors, differ at all loci, or loci differ."""
    words = Counter(row.verdict for row in rows_of("additive", 60, **more))
    assert words[COOPERATIVE] + words[REDUNDANT] + words[OTHER] <= 3, words
    if "leak" not in more:
        assert words[INDEPENDENT] >= 45


def test_without_a_minimum_the_test_has_its_level():
    """400 data sets at 5 %: at most 30, which has a probability of 2 % if exactly 5 % were wrong."""
    rows = [row_of(simulate("additive", n_loci=20, seed=seed), 0.0, 0.0) for seed in range(400)]
    assert sum(row.pvalue < 0.05 for row in rows) <= 30
    np.testing.assert_allclose([row.pvalue_beyond for row in rows], [row.pvalue for row in rows], rtol=1e-9)


@pytest.mark.parametrize("truth, verdict, model", [("and", COOPERATIVE, "AND"), ("or", REDUNDANT, "OR"),
                                                   ("additive", INDEPENDENT, "additive"),
                                                   ("nothing", NO_EFFECT, UNKNOWN)])
@pytest.mark.parametrize("n_loci", [10, 40])
def test_known_interactions_are_told_apart(truth, verdict, model, n_loci):
    rows = rows_of(truth, 40, n_loci=n_loci)
    assert sum(row.verdict == verdict for row in rows) >= 38
    assert sum(model in row.model for row in rows) >= 38
    if truth == "and":
        assert np.mean([row.share for row in rows]) == pytest.approx(-0.5, abs=0.01)


def test_a_multiplicative_model_is_recognised_and_needs_amounts():
    rows = rows_of("multiplicative", 40)
    assert sum(row.model == "multiplicative" for row in rows) >= 38
    assert {row.verdict for row in rows} <= {COOPERATIVE, UNKNOWN}
    row = row_of(changed(simulate("multiplicative"), lambda effects: effects))
    assert np.isnan(row.misfit_multiplicative) and "multiplicative" not in row.model


@pytest.mark.parametrize("truth", [truth for truth in TRUTHS if truth != "nothing"])
def test_the_verdict_does_not_depend_on_sign_unit_or_order(truth):
    pairs, names = simulate(truth, seed=3), ("share", "pvalue", "pvalue_beyond", "pvalue_within")
    row = row_of(pairs)
    for other in (row_of(changed(pairs, np.negative)), row_of(changed(pairs, lambda x: 100 * x), min_effect=2.0),
                  row_of(changed(pairs, lambda x: x[:, :, [1, 0, 2]]))):
        np.testing.assert_allclose([getattr(other, name) for name in names], [getattr(row, name) for name in names],
                                   rtol=1e-9, atol=1e-12)
        assert other.verdict == row.verdict


def test_regions_that_act_in_opposite_directions_are_neither():
    """The second takes back what the first costs, but only if the first is there; alone, each is clear."""
    def opposite(effects):
        effects = effects.copy()
        effects[:, :, 1] *= -0.5
        effects[:, :, 2] = effects[:, :, 0]
        return effects

    assert row_of(changed(simulate("additive", seed=1), opposite)).verdict == OTHER


def test_errors_by_loops():
    """Jackknife over loci, and what members differ by beyond chance, for the interaction itself."""
    pairs = simulate("additive", n_loci=8, seed=5, leak=0.3)
    each = pairs.effects[..., 0] @ np.array([-1, -1, 1])  # (locus, member)
    n, k = each.shape
    without = np.array([np.delete(each, i, 0).mean() for i in range(n)])
    loci = (n - 1) / n * ((without - without.mean()) ** 2).sum()
    influence = np.array([[each[:, m].mean() - np.delete(each[:, m], i).mean() for i in range(n)] for m in range(k)])
    by_chance = ((influence - influence.mean(0)) ** 2).sum() / (k - 1)
    members = (1 / k + SHARED) * max(each.mean(0).var(ddof=1) - by_chance, 0)
    row = row_of(pairs)
    assert members > loci  # the case that matters
    assert row.interaction == pytest.approx(each.mean())
    assert row.interaction_se == pytest.approx(np.sqrt(loci + members), rel=0.15)  # that is of all three together


def test_the_spread_between_loci():
    for differ in (0.15, 0.4):
        pairs = simulate("and", n_loci=200, seed=2, differ=differ)
        assert row_of(pairs).tau == pytest.approx(np.exp(differ ** 2 / 2) * np.sqrt(np.expm1(differ ** 2)), rel=0.15)
    assert row_of(simulate("additive", n_loci=200, seed=2)).tau < 0.1


def test_too_few_loci_have_no_verdict_and_pairs_are_tested_together():
    few = row_of(simulate("and", n_loci=4))
    assert few.verdict == NOT_ENOUGH and np.isnan(few.pvalue)
    many = interactions([simulate("additive", seed=seed, n_loci=6, noise=0.3) for seed in range(20)]
                        + [simulate("and", n_loci=4)], MARKS, [2])
    p = np.array([row.pvalue_beyond for row in many])
    tested = np.isfinite(p)
    np.testing.assert_allclose([row.qvalue_beyond for row in many if np.isfinite(row.pvalue_beyond)],
                               multipletests(p[tested], method="fdr_bh")[1])
    assert np.isnan(many[-1].qvalue_beyond)


L = 24


def member(seed):
    weights = np.random.default_rng(seed).normal(size=(3, L, 4))

    def predict(one_hot):
        a, b, c = (np.tanh(np.einsum("nlb,lb->n", one_hot, each) / 5) for each in weights)
        return np.stack([a, b + 2, a * b + c], 1)

    return predict


@pytest.fixture(scope="module")
def effects():
    rng = np.random.default_rng(0)
    loci = Loci.from_sequences([dna.decode(rng.choice(dna.BASES, L)) for _ in range(4)])
    regions = np.full((4, 4, 3), -1, np.int32)
    regions[0] = [(1, 4, 1), (6, 9, 0), (12, 16, 1), (20, 22, 0)]  # two of each mark
    regions[1, :2] = [(2, 6, 0), (4, 9, 1)]  # which share bases
    regions[2, :3] = [(10, 14, 0), (3, 6, 1), (16, 19, 2)]
    regions[3, :2] = [(5, 9, 1), (15, 18, 0)]
    loci = replace(loci, plan=Plan(parse_mutants("pairs"), 3, "background", 1, regions, np.zeros((4, 2, 0), np.uint8)))
    ensemble = Ensemble.from_function([member(k) for k in range(3)], length=L, marks=MARKS)
    return mutagenesis.saturate(ensemble, loci)


def slow_pairs(effects, first, second):
    """Effects (member, 3, outcome) of each pair of regions of two marks, by locus: dict of number to list."""
    found = {}
    kind, members = effects["kind"].values, effects["member_effect"].values
    told = {name: effects[name].values for name in ("position", "length", "target", "position_2", "target_2")}
    for i in range(effects.sizes["locus"]):
        alone = {(told["target"][i, v], told["position"][i, v]): members[i, :, v]
                 for v in np.flatnonzero(kind == "regions")}
        for v in np.flatnonzero((kind == "pairs") & (told["length"][i] > 0)):
            places = [(told["target" + end][i, v], told["position" + end][i, v]) for end in ("", "_2")]
            places.sort()
            if (places[0][0], places[1][0]) == (first, second):
                found.setdefault(i, []).append([alone[places[0]], alone[places[1]], members[i, :, v]])
    return found


def test_pairs_of_a_store(effects):
    gathered = {(pair.first, pair.second): pair for pair in shape.gather_pairs(effects, range(3), range(3))}
    assert {marks: (pair.loci.tolist(), pair.n_pairs.tolist()) for marks, pair in gathered.items()} == {
        (0, 0): ([0], [1]), (0, 1): ([0, 2, 3], [4, 1, 1]), (0, 2): ([2], [1]), (1, 1): ([0], [1]), (1, 2): ([2], [1])}
    reference = effects["reference"].values.astype(np.float64)
    for (first, second), pair in gathered.items():
        for row, (i, each) in enumerate(sorted(slow_pairs(effects, first, second).items())):
            each = np.array(each, np.float64)  # (pair, 3, member, outcome)
            np.testing.assert_allclose(pair.effects[row], each.mean(0).swapaxes(0, 1), rtol=1e-6)
            amounts = reference[i, :, 1:2]  # of B alone, which is never below 1
            factors = 1 + each[:, :2, :, 1:2] / amounts
            multiplied = amounts * (factors.prod(1) - 1) - each[:, :2, :, 1:2].sum(1)
            np.testing.assert_allclose(pair.product[row, :, 1:2], multiplied.mean(0), rtol=1e-6, atol=1e-9)
            assert np.isnan(pair.product[row, :, 0]).any() or (reference[i, :, 0] > 0).all()


def test_some_marks_and_loci_alone(effects):
    pair, = shape.gather_pairs(effects, [0, 1], [2])[1:2]
    assert pair.effects.shape == (3, 3, 3, 1) and (pair.first, pair.second) == (0, 1)
    lost = effects.copy(deep=True)
    lost["member_effect"].values[2] = np.nan
    assert shape.gather_pairs(lost, [0, 1], [2])[1].loci.tolist() == [0, 3]
    assert shape.gather_pairs(effects, [2], [0]) == []


def test_tables_and_figures(effects):
    pairs = shape.gather_pairs(effects, range(3), [0, 2])
    found = InteractionResult(interactions(pairs, MARKS, [0, 2]), pairs_table(effects, pairs, [0, 2]), "identity")
    assert len(found.table) == 10 and set(found.table["verdict"]) == {NOT_ENOUGH} and len(found.loci) == 2 * 7
    np.testing.assert_allclose(found.loci["interaction"],
                               found.loci["effect_both"] - found.loci["effect"] - found.loci["effect_2"], atol=1e-12)
    assert (found.loci["interaction_se"] > 0).all()
    assert interaction_figure(found).axes == []
    known = [simulate("and"), simulate("or", seed=1)._replace(first=1)]
    rows = interactions(known, MARKS, [2], min_effect=0.02)
    loci = [{"exposure": MARKS[pair.first], "exposure_2": "B", "outcome": "Y", "effect": a, "effect_2": b,
             "effect_both": both} for pair in known for a, b, both in pair.effects[..., 0].mean(1)]
    found = InteractionResult(rows, pd.DataFrame(loci), "identity")
    figure = interaction_figure(found)
    assert [ax.get_title() for ax in figure.axes[:2]] in (["A, B → Y\ncooperative", "B, B → Y\nredundant"],
                                                          ["B, B → Y\nredundant", "A, B → Y\ncooperative"])
    assert "cooperative" in repr(found) and "<table>" in found._repr_html_()
