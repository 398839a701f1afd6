"""Steiger's filter: instruments that move the exposure more than the outcome, against loops over loci and pairs."""


import numpy as np
import pytest
from finished_runs import effects_of
from hypothesis import given
from hypothesis import strategies as st
from mr_problems import effects_with_members, more_of_outcome
from profiles import fewer

from kipoi_deepmr import instruments, mr
from kipoi_deepmr.mr import pairs
from kipoi_deepmr.mr.block import Block
from kipoi_deepmr.mr.diagnostics.steiger import r2_of_mutants
from kipoi_deepmr.mr.overlap import psi_of_members

MARKS = ("A", "B", "C")
CLOSED = ["ivw", "egger", "wald_mean"]


@pytest.fixture(scope="module")
def effects():
    """Five members; B follows A by 2 and C by -1, with errors of their own."""
    return effects_with_members()


def slow_kept(effect, effect_se, rule, z, scale, x, y, of_all):
    """The mutants of one locus that are instruments of a pair, one by one."""
    kept = []
    for v in range(len(effect)):
        if rule == "own":
            chosen = abs(effect[v, x]) >= z * effect_se[v, x]
        else:
            chosen = abs(effect[v, x] - of_all[x].mean()) / of_all[x].std() >= z
        if chosen and abs(effect[v, x]) / scale[x] > abs(effect[v, y]) / scale[y]:
            kept.append(v)
    return kept


def arrays_of(effects):
    return [effects[name].values.astype(float) for name in ("effect", "effect_se", "member_effect")]


def scale_of(effect):
    return [np.sqrt(np.mean([(e - effect[..., m].mean()) ** 2 for e in effect[..., m].ravel()])) for m in range(3)]


def test_by_hand():
    """Standard deviations 2 and 1: effects of 4 and 3 count as 2 and 3."""
    rule = instruments.InstrumentRule("own", 3.0, scale=np.array([2.0, 1.0]))
    effect = np.array([[4.0, 1.0], [4.0, 3.0], [-4.0, -1.9], [4.0, 2.0], [0.0, 5.0]])
    found = rule.instruments(effect, np.ones((5, 2)))
    assert found.mask.T.tolist() == [[True] * 4 + [False], [False, True, False, False, True]]
    assert found.of_pairs(0, 1).tolist() == [True, False, True, False, False]  # equal shares speak for neither
    assert found.of_pairs(1, 0).tolist() == [False, True, False, False, True]
    assert found.of_pairs([0, 1], [1, 0]).T.tolist() == [found.of_pairs(*p).tolist() for p in ((0, 1), (1, 0))]
    plain = instruments.InstrumentRule("own", 3.0).instruments(effect, np.ones((5, 2)))
    assert plain.size is None and plain.of_pairs([0, 1], [1, 0]).tolist() == found.mask.tolist()


def test_a_mark_that_does_not_vary():
    """Nothing moves it: as an outcome it keeps all instruments, as an exposure it has none."""
    rule = instruments.InstrumentRule("own", 1.0, scale=np.array([0.0, 1.0]))
    found = rule.instruments(np.array([[2.0, 2.0]]), np.ones((1, 2)))
    assert found.of_pairs(1, 0).tolist() == [True] and found.of_pairs(0, 1).tolist() == [False]


def test_the_scale_is_that_of_all_mutants_without_lost_loci(effects):
    lost = effects.copy(deep=True)
    lost["effect"][2] = np.nan
    kept = np.delete(effects["effect"].values.astype(float), 2, axis=0)
    for rule in ("own", "pooled"):
        np.testing.assert_allclose(instruments.rule_for(lost, rule, steiger=True).scale, scale_of(kept), rtol=1e-12)
        assert instruments.rule_for(lost, rule).scale is None
    assert instruments.rule_for(lost, "own", steiger=True).sd is None


@pytest.mark.parametrize("rule, z", [("own", 3.0), ("pooled", 1.0)])
@pytest.mark.parametrize("compiled", [False, True])
def test_fits_against_loops(effects, monkeypatch, rule, z, compiled):
    monkeypatch.setattr(pairs, "COMPILED_FROM", 1 if compiled else 10 ** 9)
    if compiled:
        monkeypatch.setattr(Block, "of_pairs", None)
    methods = CLOSED if compiled else [*CLOSED, "median_weighted", "raps"]
    table = mr.fit_pairs(effects, method=methods, instruments=rule, instrument_z=z, steiger=True)
    plain = mr.fit_pairs(effects, method=methods, instruments=rule, instrument_z=z)
    effect, effect_se, _ = arrays_of(effects)
    of_all, scale = [effect[..., m].ravel() for m in range(3)], scale_of(effect)
    assert (table["n_instruments"] <= plain["n_instruments"]).all()
    assert (table["n_instruments"] < plain["n_instruments"]).mean() > 0.5
    for row in table.itertuples():
        i, x, y = int(row.locus[-1]), MARKS.index(row.exposure), MARKS.index(row.outcome)
        kept = slow_kept(effect[i], effect_se[i], rule, z, scale, x, y, of_all)
        one = mr.fit(effect[i, kept, x], effect_se[i, kept, x], effect[i, kept, y], effect_se[i, kept, y], row.method)
        assert row.n_instruments == len(kept) and row.note == one.note
        np.testing.assert_allclose([row.estimate, row.se, row.q, row.i2_gx, row.f_statistic, row.intercept],
                                   [one.estimate, one.se, one.q, one.i2_gx, one.f_statistic, one.intercept], rtol=1e-8)
    assert table["note"].nunique() > 1


@pytest.mark.parametrize("uncertainty", ["members", "cross_fitted"])
@pytest.mark.parametrize("compiled", [False, True])
def test_every_member_has_the_instruments_of_those_who_choose(effects, monkeypatch, uncertainty, compiled):
    """The ensemble chooses for all members; when cross-fitting, the others' mean, against the scale of all."""
    monkeypatch.setattr(pairs, "COMPILED_FROM", 1 if compiled else 10 ** 9)
    table = mr.fit_pairs(effects, method=["ivw", "egger"], instruments="own", instrument_z=2.0,
                         uncertainty=uncertainty, spread_shrinkage="none", steiger=True)
    effect, effect_se, members = arrays_of(effects)
    scale, n_solved = scale_of(effect), 0
    for row in table.itertuples():
        i, x, y = int(row.locus[-1]), MARKS.index(row.exposure), MARKS.index(row.outcome)
        estimates, counts = [], []
        for k in range(5):
            others = np.delete(members[i], k, 0)
            b, s = (others.mean(0), others.std(0, ddof=1)) if uncertainty == "cross_fitted" else (
                effect[i], effect_se[i])
            kept = slow_kept(b, s, "own", 2.0, scale, x, y, None)
            own = members[i, k, kept]
            estimates.append(mr.fit(own[:, x], s[kept, x], own[:, y], s[kept, y], row.method).estimate)
            counts.append(len(kept))
        assert row.n_instruments == np.rint(np.mean(counts))
        if np.isfinite(row.estimate):
            n_solved += 1
            np.testing.assert_allclose(row.se, np.std(estimates, ddof=1), rtol=1e-6)
            if uncertainty == "cross_fitted":
                np.testing.assert_allclose(row.estimate, np.mean(estimates), rtol=1e-6)
        else:
            assert row.note and np.isnan(estimates).any()
    assert n_solved > 30


def test_methods_that_take_members_or_a_correlation(effects):
    """GLS has the members' effects of the same instruments; the measured correlation is that of each pair's own."""
    effect, effect_se, members = arrays_of(effects)
    scale, rule = scale_of(effect), instruments.rule_for(effects, "own", 3.0, steiger=True)
    psi = psi_of_members(effects, rule)
    table = mr.fit_pairs(effects, method=["ivw_correlated", "max_likelihood"], instruments="own", instrument_z=3.0,
                         steiger=True, psi="members").set_index(["locus", "exposure", "outcome", "method"])
    n_fitted = 0
    for x, y in [(x, y) for x in range(3) for y in range(3) if x != y]:
        errors = [np.zeros((0, 2))]
        for i in range(6):
            kept = slow_kept(effect[i], effect_se[i], "own", 3.0, scale, x, y, None)
            error = (members[i] - members[i].mean(0)) / effect_se[i]
            errors.append(error[:, kept][..., [x, y]].reshape(-1, 2))
            row = table.loc[(f"locus{i}", MARKS[x], MARKS[y])]
            b, s = effect[i, kept], effect_se[i, kept]
            n_fitted += len(kept) > 1
            if len(kept) > 1:
                gls = mr.fit(b[:, x], s[:, x], b[:, y], s[:, y], "ivw_correlated", by_members=members[i][:, kept, y])
                likely = mr.fit(b[:, x], s[:, x], b[:, y], s[:, y], "max_likelihood", psi=psi[x, y])
                np.testing.assert_allclose(row["estimate"], [gls.estimate, likely.estimate], rtol=1e-6)
        a, b = np.concatenate(errors).T
        np.testing.assert_allclose(psi[x, y], np.clip(a @ b / np.sqrt((a @ a) * (b @ b)), -0.9999, 0.9999), rtol=1e-6)
    assert n_fitted > 15


@given(factors=st.lists(st.floats(1e-3, 1e3), min_size=3, max_size=3), rule=st.sampled_from(["own", "pooled"]))
@fewer(10)
def test_units_do_not_matter(factors, rule):
    effects = effects_with_members(seed=1)
    scaled = effects.copy(deep=True)
    for name in ("effect", "effect_se"):
        scaled[name] = effects[name].astype(float) * np.array(factors)
    before, after = (instruments.rule_for(e, rule, 1.0, steiger=True).instruments(*arrays_of(e)[:2])
                     for e in (effects, scaled))
    for x, y in [(x, y) for x in range(3) for y in range(3) if x != y]:
        np.testing.assert_array_equal(before.of_pairs(x, y), after.of_pairs(x, y))


def test_diagnostics_are_of_the_instruments_of_the_pair(effects):
    effect, effect_se, _ = arrays_of(effects)
    table = mr.diagnose_pairs(effects, instruments="own", instrument_z=3.0, steiger=True, n_draws=0)
    scale = scale_of(effect)
    for row in table.itertuples():
        i, x, y = int(row.locus[-1]), MARKS.index(row.exposure), MARKS.index(row.outcome)
        kept = slow_kept(effect[i], effect_se[i], "own", 3.0, scale, x, y, None)
        one = mr.diagnose(effect[i, kept, x], effect_se[i, kept, x], effect[i, kept, y], effect_se[i, kept, y],
                          n_draws=0)
        for name in ("n_instruments", "q", "i2_gx", "loo_low", "n_outliers", "weak_share"):
            np.testing.assert_allclose(getattr(row, name), one[name], rtol=1e-9, err_msg=name)
        if kept:
            np.testing.assert_allclose(row.shared_share, more_of_outcome(effect[i], kept, x, y))
            chosen = np.isin(np.arange(60), kept)[:, None]
            r2 = r2_of_mutants(effect[i], chosen)[0]
            np.testing.assert_allclose([row.r2_exposure, row.r2_outcome], r2[[x, y]])
        else:
            assert np.isnan([row.shared_share, row.r2_exposure]).all() and row.note
    plain = mr.diagnose_pairs(effects, instruments="own", instrument_z=3.0, n_draws=0)
    share = [d["red"].str.contains("direction").sum() for d in (plain, table)]
    assert share[1] < share[0]


def test_the_reverse_of_an_effect_is_not_seen():
    """B follows A, and has motifs of its own that do nothing to A: without the filter, B seems to move A too."""
    rng = np.random.default_rng(4)
    effects, shape = effects_of(["A", "B"], n_loci=20, length=40, n_members=5), (20, 1, 120)
    cause = np.where(rng.random(shape) < 0.15, rng.normal(0, 2, shape), 0)
    own = np.where((cause == 0) & (rng.random(shape) < 0.3), rng.normal(0, 6, shape), 0)
    members = np.stack([cause + 0.1 * rng.normal(size=(20, 5, 120)),
                        2 * cause + own + 0.1 * rng.normal(size=(20, 5, 120))], -1).astype(np.float32)
    effects["member_effect"].values[:] = members
    effects["effect"].values[:], effects["effect_se"].values[:] = members.mean(1), members.std(1, ddof=1)
    found = {steiger: mr.fit_pairs(effects, method="ivw", instruments="own", instrument_z=4.0, steiger=steiger,
                                   uncertainty="cross_fitted").groupby("exposure") for steiger in (False, True)}
    false = {s: (table.get_group("B")["pvalue"] < 0.05).mean() for s, table in found.items()}
    assert false[False] > 0.7 and false[True] < 0.2, false
    for table in found.values():
        np.testing.assert_allclose(table.get_group("A")["estimate"].median(), 2.0, atol=0.05)
