"""Instruments that act on the exposure alone: the rules direct and regions, and exact zeros."""

import logging

import numpy as np
import pandas as pd
import pytest
from linear_sem import simulate
from mr_problems import effects_with_members

from kipoi_deepmr import effects_store, instruments, mr
from kipoi_deepmr.effects_store import blocks
from kipoi_deepmr.errors import InputError
from kipoi_deepmr.instruments.direct_effects import total_of_direct
from kipoi_deepmr.instruments.regions import read_regions
from kipoi_deepmr.loci import Loci

DIRECT = {"method": "egger", "instruments": "direct", "instrument_z": 1.0, "se_shrinkage": "trend",
          "uncertainty": "ensemble"}


def effects_of(members, marks=None, length=None):
    """A Dataset of members' effects (locus, member, variant, mark)."""
    n_loci, n_members, n_variants, n_marks = members.shape
    length = length or n_variants // 3
    start = 1000 * np.arange(n_loci)
    loci = Loci(np.full(n_loci, "chr1"), start, start + length, np.array(["+-"[i % 2] for i in range(n_loci)]),
                np.array([f"locus{i}" for i in range(n_loci)]), np.full((n_loci, length), ord("A"), np.uint8))
    letters = np.full((n_loci, n_variants), "A")
    data = {"effect": members.mean(1), "effect_se": members.std(1, ddof=1), "member_effect": members,
            "reference": np.zeros((n_loci, n_members, n_marks)), "ref_base": letters, "alt_base": letters}
    data = {name: a.astype(np.float32) if a.dtype.kind == "f" else a for name, a in data.items()}
    return effects_store.dataset(loci, marks or [f"m{j}" for j in range(n_marks)],
                                 [str(k) for k in range(n_members)], data)


@pytest.fixture(scope="module")
def confounded():
    """Four marks of a linear model, one hidden cause; 90 loci."""
    made = simulate(n_marks=4, n_loci=90, seed=3, hidden=1)
    variants = 3 * (made.effects.shape[2] // 3)
    return made, effects_of(made.effects[:, :, :variants])


def test_direct_instruments_are_those_of_the_assignment(confounded):
    """Mutant by mutant, for all members and for those that another leaves out; loci one by one, and in blocks."""
    _, effects = confounded
    view = instruments.moderated(effects, trend=True)
    assignment, members = instruments.assign(effects), effects["member_effect"].values.astype(np.float64)
    whole = instruments.rule_for(view, "direct", 1.5)
    known = instruments.rule_for(view.drop_vars("member_effect"), "direct", 1.5, assignment=assignment)
    others = np.delete(members, 2, axis=1)
    moderation = instruments.moderation_of(view)
    cases = [(whole, effects["effect"].values.astype(np.float64), view["effect_se"].values, 5),
             (known, effects["effect"].values.astype(np.float64), view["effect_se"].values, 5),
             (whole.without_member(2), others.mean(1), moderation.moderated(others.std(1, ddof=1), others.mean(1)), 4)]
    for rule, effect, se, n_members in cases:
        mask = rule.mask(effect, se, slice(0, 90))
        for locus in (0, 41, 89):
            one = slice(locus, locus + 1)
            acts = assignment.of_block(effect[one], one, se[one] / np.sqrt(n_members))
            action = assignment.action_of_mutants(effect[locus], np.full(effect.shape[1], locus))
            expected = [[acts.clean[0, v] and acts.acts_on[0, v] == x
                         and min(abs(effect[locus, v, x]), abs(action[v, x])) >= 1.5 * se[locus, v, x]
                         for x in range(4)] for v in range(effect.shape[1])]
            np.testing.assert_array_equal(mask[locus], expected)
            np.testing.assert_array_equal(rule.mask(effect[locus], se[locus], locus), expected)
        np.testing.assert_array_equal(rule.mask(effect[50:60], se[50:60], slice(50, 60)), mask[50:60])
        assert mask.any((0, 1)).all() and mask.sum(-1).max() == 1


def test_without_moderation_the_rule_moderates_for_itself(confounded):
    """Errors of few members are unsure; those by which rays are compared are moderated whatever the fits take."""
    _, effects = confounded
    rule, view = instruments.rule_for(effects, "direct", 0.0), instruments.moderated(effects, trend=True)
    effect, se = (effects[name].values.astype(np.float64) for name in ("effect", "effect_se"))
    expected = instruments.rule_for(view, "direct", 0.0).mask(effect, view["effect_se"].values, slice(0, 90))
    np.testing.assert_array_equal(rule.mask(effect, se, slice(0, 90)), expected)


def test_direct_instruments_find_total_effects(confounded, monkeypatch):
    """Where a hidden cause acts: mean error of the medians over loci below 0.1 sd; of the rule own it is twice that."""
    made, effects = confounded
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 8 * effects.sizes["variant"] * 4 * 20)
    sd = effects["effect"].values.std((0, 1))
    true = total_of_direct(made.direct)[:4, :4] * sd[:, None] / sd
    errors = {}
    for rule in ("direct", "own"):
        table = mr.fit_pairs(effects, **{**DIRECT, "instruments": rule}).groupby(["exposure", "outcome"])["estimate"]
        found = table.median().unstack().reindex(index=effects["mark"].values, columns=effects["mark"].values)
        off = ~np.eye(4, dtype=bool)
        errors[rule] = np.abs(found.to_numpy() * sd[:, None] / sd - true)[off].mean()
    assert errors["direct"] < 0.1 and errors["own"] > 2 * errors["direct"]


def test_flags_of_strength_are_about_the_mean_where_the_rule_is(confounded):
    """Weak instruments are let in on purpose: K times their F, and I^2_GX with a K-th of the errors' variance."""
    _, effects = confounded
    options = {"instruments": "direct", "instrument_z": 1.0, "se_shrinkage": "trend", "n_draws": 0}
    table = mr.diagnose_pairs(effects, **options)
    flags = table["red"].str.get_dummies(",").reindex(columns=["weak", "dilution"], fill_value=0).astype(bool)
    np.testing.assert_array_equal(flags["weak"], 5 * table["f_statistic"] < 10)
    np.testing.assert_array_equal(flags["dilution"], 1 - table["i2_gx"] > 5 * 0.1)
    assert flags.any().all() and not flags.all().any()


def local_model(rng, n_loci=40, n_variants=60, n_members=5, alone=0.8, nonzero=1):
    """Two marks that see few mutants each, and leave the others exactly alone; effects of A on B, 0 at some loci."""
    members = np.zeros((n_loci, n_members, n_variants, 2))
    seen = rng.random((2, n_loci, n_variants)) > alone
    seen[:, :, :6] = True
    acts = rng.normal(size=(2, n_loci, n_variants)) * seen
    acts[0, :, 30:], acts[1, :, :30] = 0.0, 0.0
    slope = np.maximum(rng.normal(0.2, 0.3, (n_loci, 1)), 0.0) * nonzero
    for k in range(n_members):
        a, b = (each * (1 + 0.05 * rng.normal(size=each.shape)) for each in acts)
        of_member = slope * (1 + 0.1 * rng.normal(size=slope.shape))
        members[:, k, :, 0], members[:, k, :, 1] = a, b + of_member * a
    return effects_of(members, ["A", "B"]), slope[:, 0]


def test_a_zero_is_not_an_error():
    """Most mutants leave a mark exactly alone in all members: no locus is lost to that, and none is biased."""
    effects, slope = local_model(np.random.default_rng(0))
    assert (effects["effect_se"].values == 0).mean() > 0.6
    plain = mr.fit_pairs(effects, "A", "B", "egger", "own", 1.0, uncertainty="cross_fitted")
    assert (plain["estimate"].isna() == (slope == 0)).all() and (slope == 0).sum() > 4
    for rule in ("direct", "own"):
        table = mr.fit_pairs(effects, "A", "B", **{**DIRECT, "instruments": rule})
        solved = table["estimate"].notna()
        assert solved.mean() > 0.9, table["note"].unique()
        assert np.abs(table["estimate"] - slope)[solved].median() < 0.02
        held = table["ci_low"].le(slope) & table["ci_high"].ge(slope)
        assert held[solved].mean() > 0.8


def test_members_that_agree_exactly_have_an_interval():
    """All members say exactly 0: the spread at other loci stands in for none, or the regression's error, if all do."""
    for nonzero, fewest in ((1, 8), (0, 40)):
        effects, slope = local_model(np.random.default_rng(1), nonzero=nonzero)
        for rule in ("own", "direct"):
            table = mr.fit_pairs(effects, "A", "B", **{**DIRECT, "instruments": rule})
            exactly = table["estimate"] == 0
            assert exactly.sum() >= fewest and (table["se"][exactly] > 0).all() and (slope[exactly] == 0).all()
            assert (table["pvalue"][exactly] == 1).all()


def test_the_ensembles_interval_is_that_of_the_mean():
    """Standard errors are those of cross_fitted times the root of 1 / K + 0.35; estimates are the same."""
    one, mean = (mr.fit_pairs(effects_with_members(4), method=["ivw", "egger"], instruments="own", instrument_z=2.0,
                              uncertainty=u) for u in ("cross_fitted", "ensemble"))
    pd.testing.assert_series_equal(mean["estimate"], one["estimate"])
    solved = one["estimate"].notna()
    np.testing.assert_allclose(mean["se"][solved], one["se"][solved] * np.sqrt(0.25 + 0.35), rtol=1e-12)
    half = [((t["ci_high"] - t["ci_low"]) / t["se"])[solved] for t in (one, mean)]
    np.testing.assert_allclose(*half, rtol=1e-12)  # the same t quantiles


@pytest.mark.parametrize("options, message", [
    ({"instruments": "direct"}, "needs 3 members or more, not 2"),
    ({"uncertainty": "ensemble"}, "needs 3 members or more, not 2"),
    ({"instruments": "regions"}, "--instrument_regions"),
])
def test_what_the_rules_need(options, message):
    with pytest.raises(InputError, match=message):
        mr.fit_pairs(effects_with_members(2), **options)
    if options == {"instruments": "direct"}:
        with pytest.raises(InputError, match="needs every member's effects"):
            mr.fit_pairs(effects_with_members(5, keep=False), **options)


BED = """track name=sites
chr1\t2\t5\tm0\t0\t-
chr1\t4\t6\tm0
chr1\t5\t8\tm1
chr1\t1017\t1030\tm1
chr1\t1008\t1011\tm0
chr1\t500\t510\tm0
chr2\t1\t5\tm1
chr1\t3\t9\tother
"""


@pytest.fixture
def sites(tmp_path):
    path = tmp_path / "sites.bed"
    path.write_text(BED)
    return str(path)


def slow_regions(intervals, effects, n_marks):
    """Base by base."""
    inside = np.zeros((effects.sizes["locus"], effects.sizes["variant"], n_marks), bool)
    marks = effects["mark"].values.tolist()
    for locus in range(len(inside)):
        start, end, strand = (effects[name].values[locus] for name in ("start", "end", "strand"))
        for variant, position in enumerate(effects["position"].values):
            base = start + position if strand == "+" else end - 1 - position
            for chrom, first, last, name in intervals:
                if name in marks and chrom == effects["chrom"].values[locus] and first <= base < last:
                    inside[locus, variant, marks.index(name)] = True
    return inside & (inside.sum(-1, keepdims=True) == 1)


def test_regions_against_a_slow_version(sites, caplog):
    effects = effects_of(np.random.default_rng(0).normal(size=(3, 3, 60, 2)))
    intervals = [(c[0], int(c[1]), int(c[2]), c[3]) for c in (line.split("\t") for line in BED.splitlines()[1:])]
    expected = slow_regions(intervals, effects, 2)
    rule = instruments.rule_for(effects, "regions", 0.0, regions=sites)
    np.testing.assert_array_equal(rule.regions.of_block(slice(0, 3)), expected)
    np.testing.assert_array_equal(rule.regions.of_block([1, 0]), expected[[1, 0]])
    assert expected.any((1, 2)).tolist() == [True, True, False] and expected.any((0, 1)).all()
    text = " ".join(record.getMessage() for record in caplog.records if record.levelno == logging.WARNING)
    assert "1 of 8 regions name no mark: other" in text and "2 of 7 regions lie outside all loci" in text


def test_regions_choose_the_instruments_for_two_members_too(sites):
    effects = effects_of(np.random.default_rng(0).normal(size=(3, 2, 60, 2)))
    effect, se = (effects[name].values.astype(np.float64) for name in ("effect", "effect_se"))
    rule = instruments.rule_for(effects, "regions", 0.5, regions=sites)
    expected = rule.regions.of_block(slice(0, 3)) & (np.abs(effect) >= 0.5 * se)
    np.testing.assert_array_equal(rule.mask(effect, se, slice(0, 3)), expected)
    np.testing.assert_array_equal(rule.mask(effect[1], se[1], 1), expected[1])
    table = mr.fit_pairs(effects, method="ivw", instruments="regions", instrument_z=0.5, instrument_regions=sites)
    counts = table.groupby(["locus", "exposure"], sort=False)["n_instruments"].first().to_numpy().reshape(3, 2)
    np.testing.assert_array_equal(counts, expected.sum(1))


@pytest.mark.parametrize("text, message", [
    ("chr1\t5\tx\tm0\n", "line 1: start and end must be whole numbers"),
    ("chr1\t5\t8\tm0\nchr1\t5\t8\n", "line 2: a region needs a name in column 4"),
    ("chr1\t5\t8\tM1\n", "no region is named as a mark .m0, m1.; the first name is 'M1'"),
    ("chr9\t5\t8\tm0\n", "no region of a mark lies in a locus"),
    ("", "it holds no interval"),
])
def test_bad_regions(text, message, tmp_path):
    path = tmp_path / "bad.bed"
    path.write_text(text)
    effects = effects_of(np.zeros((3, 3, 60, 2)))
    with pytest.raises(InputError, match=message) as caught:
        read_regions(str(path), effects, ["m0", "m1"])
    assert str(path) in str(caught.value)
