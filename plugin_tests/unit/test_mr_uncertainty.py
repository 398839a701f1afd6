"""Intervals from the members: against loops over single fits, their coverage, and stores without members."""

import numpy as np
import pandas as pd
import pytest
from mr_problems import MARKS, made_data, made_loci
from scipy import stats

from kipoi_deepmr import effects_store, instruments, mr
from kipoi_deepmr.errors import InputError

MEMBERS = ["m1", "m2", "m3", "m4"]
METHODS = ["ivw", "egger", "wald_mean"]


@pytest.fixture(scope="module")
def effects():
    """Seven loci, three marks, four members whose mean and standard deviation are effect and effect_se."""
    rng = np.random.default_rng(2)
    data = made_data(7, 20, 3)
    members = data["effect"][:, None] + 0.3 * rng.normal(size=(7, 4, 60, 3))
    data["member_effect"] = members.astype("float32")
    data["effect"], data["effect_se"] = members.mean(1).astype("float32"), members.std(1, ddof=1).astype("float32")
    data["reference"] = np.zeros((7, 4, 3), "float32")
    return effects_store.dataset(made_loci(7, 20), MARKS, MEMBERS, data)


def looped(effects, locus, exposure, outcome, method, uncertainty, alpha=0.05):
    """Estimate, se, interval, p-value, intercept_se and its p-value of one problem, in the plainest words."""
    rule = instruments.rule_for(effects, z=2.0)
    arrays = {name: effects[name].values[locus].astype(float) for name in ("effect", "effect_se", "member_effect")}
    x, y = MARKS.index(exposure), MARKS.index(outcome)
    chosen = rule.mask(arrays["effect"], arrays["effect_se"])[:, x]
    se = arrays["effect_se"][chosen]
    one = mr.fit(arrays["effect"][chosen, x], se[:, x], arrays["effect"][chosen, y], se[:, y], method)
    each = [mr.fit(e[chosen, x], se[:, x], e[chosen, y], se[:, y], method) for e in arrays["member_effect"]]
    results = [one.estimate]
    for value, value_se, own in ((one.estimate, one.se, [m.estimate for m in each]),
                                 (one.intercept, one.intercept_se, [m.intercept for m in each])):
        total, df = np.std(own, ddof=1), 3.0
        if uncertainty == "combined":
            a, b = value_se ** 2, total ** 2
            total, df = np.sqrt(a + b), (a + b) ** 2 * 3 / b ** 2
        half = stats.t.isf(alpha / 2, df) * total
        results += [total, value - half, value + half, 2 * stats.t.sf(abs(value / total), df)]
    return [results[i] for i in (0, 1, 2, 3, 4, 5, 8)]


@pytest.mark.parametrize("uncertainty", ["members", "combined"])
@pytest.mark.parametrize("method", METHODS)
def test_against_loops(effects, uncertainty, method):
    ours = mr.fit_pairs(effects, method=method, instrument_z=2.0, uncertainty=uncertainty, spread_shrinkage="none")
    columns = ["estimate", "se", "ci_low", "ci_high", "pvalue", "intercept_se", "intercept_pvalue"]
    compared = 0
    for number, row in enumerate(ours.itertuples()):
        if row.note:
            assert np.isnan([getattr(row, c) for c in columns]).all()
            continue
        expected = looped(effects, number // 6, row.exposure, row.outcome, method, uncertainty)
        np.testing.assert_allclose([getattr(row, c) for c in columns], expected, rtol=1e-8)
        compared += 1
    assert compared > 20


@pytest.mark.parametrize("uncertainty", ["members", "combined", "cross_fitted"])
def test_moderated_spreads(effects, uncertainty):
    """limma's moderation of the variance of the members' estimates, a prior for each pair and method over its loci."""
    plain, ours = (mr.fit_pairs(effects, method=METHODS, instrument_z=2.0, uncertainty=uncertainty, spread_shrinkage=s)
                   for s in ("none", "moderated"))
    instrument = mr.fit_pairs(effects, method=METHODS, instrument_z=2.0)
    own = [f"estimate_{k}" for k in (1, 2, 3, 4)]
    assert list(ours.columns) == [*instrument.columns, *own]
    pd.testing.assert_frame_equal(ours[own], plain[own])
    for _, group in ours.groupby(["exposure", "outcome", "method"]):
        estimated = group[group["note"] == ""]
        variance = estimated[own].var(axis=1, ddof=1).to_numpy()
        prior_df, prior = instruments.fit_prior(variance, 3)
        prior_df = min(prior_df, 3 * (len(variance) - 1))
        moderated, df = (prior_df * prior + 3 * variance) / (prior_df + 3), prior_df + 3
        if uncertainty == "combined":
            variance = instrument.loc[estimated.index, "se"] ** 2
            df = df * (variance + moderated) ** 2 / moderated ** 2
            moderated = moderated + variance
        np.testing.assert_allclose(estimated["se"], np.sqrt(moderated), rtol=1e-10)
        half = stats.t.isf(0.025, df) * np.sqrt(moderated)
        np.testing.assert_allclose(estimated["ci_low"], estimated["estimate"] - half, rtol=1e-8)
        pvalue = 2 * stats.t.sf(abs(estimated["estimate"] / estimated["se"]), df)
        np.testing.assert_allclose(estimated["pvalue"], pvalue, rtol=1e-8)
    same = [name for name in plain if name not in ("se", "ci_low", "ci_high", "pvalue")]
    if uncertainty != "combined":  # whose intercept has the estimate's degrees of freedom
        pd.testing.assert_frame_equal(ours[same], plain[same])
    assert ours.groupby("exposure")["se"].std().mean() < plain.groupby("exposure")["se"].std().mean()


def test_a_member_s_estimate_is_that_of_its_own_effects(effects):
    """With the ensemble's instruments and standard errors; cross-fitted, their mean is the estimate."""
    table = mr.fit_pairs(effects, "Oct4", "Sox2", "ivw", instrument_z=2.0, uncertainty="members")
    mask = instruments.rule_for(effects, z=2.0).mask(effects["effect"], effects["effect_se"])[..., 0]
    se, own = effects["effect_se"].values, effects["member_effect"].values[:, 2]
    for locus, found in enumerate(table["estimate_3"]):
        chosen = mask[locus]
        if chosen.any():
            effect, error = own[locus, chosen], se[locus, chosen]
            alone = mr.fit(effect[:, 0], error[:, 0], effect[:, 1], error[:, 1], "ivw")
            np.testing.assert_allclose(found, alone.estimate, rtol=1e-8)
    assert table["estimate_3"].notna().sum() > 3
    crossed = mr.fit_pairs(effects, method="egger", instruments="own", instrument_z=1.0, uncertainty="cross_fitted")
    np.testing.assert_allclose(crossed.filter(regex=r"^estimate_\d$").mean(axis=1), crossed["estimate"], rtol=1e-12)


@pytest.mark.parametrize("uncertainty", ["members", "combined"])
def test_only_errors_change(effects, uncertainty):
    kept = ["estimate", "n_instruments", "intercept", "q", "q_pvalue", "i2", "i2_gx", "f_statistic", "note"]
    plain, ours = (mr.fit_pairs(effects, method=METHODS, instrument_z=2.0, uncertainty=u)
                   for u in ("instrument", uncertainty))
    pd.testing.assert_frame_equal(ours[kept], plain[kept])
    assert ((ours["se"] >= plain["se"]) | ours["se"].isna()).all() == (uncertainty == "combined")


def test_other_estimators_are_fitted_member_by_member(effects):
    """Those that need members themselves, and one that solves an equation."""
    few = effects.isel(locus=[0, 1])
    for method in ("divw", "raps", "ivw_correlated", "egger_correlated", "two_stage_least_squares"):
        table = mr.fit_pairs(few, "Oct4", "Sox2", method, instrument_z=1.0, uncertainty="members")
        assert table["estimate"].notna().all() and (table["se"] > 0).all(), method


def test_equal_members_have_no_spread(effects):
    same = effects.copy(deep=True)
    same["member_effect"][:] = same["effect"].values[:, None]
    ours = mr.fit_pairs(same, method="ivw", instrument_z=2.0, uncertainty="members")
    told = ours[ours["n_instruments"] > 0]
    assert (told["note"] == "the members' estimates do not vary").all() and told["estimate"].isna().all()
    plain, combined = (mr.fit_pairs(same, method="ivw", instrument_z=2.0, uncertainty=u)
                       for u in ("instrument", "combined"))
    pd.testing.assert_frame_equal(combined[plain.columns], plain)


def test_a_member_without_an_answer_is_named(effects):
    broken = effects.copy(deep=True)
    broken["member_effect"][:, 2, :, 0] = 0.0
    ours = mr.fit_pairs(broken, "Oct4", "Sox2", "ivw", instrument_z=2.0, uncertainty="members")
    told = ours[ours["n_instruments"] > 0]
    assert len(told) and (told["note"] == "member 3: all exposure effects are zero").all()


def test_coverage_of_what_a_model_of_the_kind_would_say():
    """Members whose exposure and outcome errors are almost the same, as trained models' are (psi = 0.97).

    Each locus has a true effect of 2 and five members whose own slopes vary about it: the interval of `members` holds
    the truth in at least 95 % of 400 loci, that of the regression, which takes the instruments' errors for
    independent, in far fewer.
    """
    rng = np.random.default_rng(0)
    n_loci, length, k = 400, 20, 5
    shape = (n_loci, 1, 3 * length)
    exposure = rng.normal(size=shape) * (rng.random(shape) < 0.5) * 3
    slope = 2 * (1 + 0.3 * rng.normal(size=(n_loci, k, 1)))
    shared = 1 + 0.05 * rng.normal(size=(n_loci, k, 3 * length))
    members = np.stack([exposure * shared, exposure * shared * slope + 0.02 * rng.normal(size=shared.shape)], -1)
    data = {"effect": members.mean(1), "effect_se": members.std(1, ddof=1), "member_effect": members,
            "reference": np.zeros((n_loci, k, 2)), "ref_base": np.full((n_loci, 3 * length), "A"),
            "alt_base": np.full((n_loci, 3 * length), "C")}
    effects = effects_store.dataset(made_loci(n_loci, length), ["X", "Y"], [f"m{i}" for i in range(k)], data)
    covered = {}
    for uncertainty in ("instrument", "members", "combined"):
        table = mr.fit_pairs(effects, "X", "Y", "ivw", instrument_z=1.0, uncertainty=uncertainty)
        covered[uncertainty] = ((table["ci_low"] <= 2) & (table["ci_high"] >= 2)).mean()
    assert covered["members"] >= 0.95 and covered["combined"] >= covered["members"]
    assert covered["instrument"] < 0.8


def test_stores_without_members_say_so(effects):
    without = effects.drop_vars("member_effect")
    for uncertainty in ("members", "combined"):
        with pytest.raises(InputError, match="predict with --keep members"):
            mr.fit_pairs(without, uncertainty=uncertainty)
    with pytest.raises(InputError, match="two members or more"):
        mr.fit_pairs(effects.isel(member=[0]), uncertainty="members")
    with pytest.raises(InputError, match='did you mean "members"'):
        mr.fit_pairs(effects, uncertainty="member")
