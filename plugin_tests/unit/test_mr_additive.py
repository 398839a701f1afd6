"""Additive random effects: against meta-regression, which metafor's numbers check, and what they are there for."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kipoi_deepmr import meta, mr

NUMBERS = [field.name for field in dataclasses.fields(mr.MRResult) if field.name != "note"]


def problem(seed):
    """bx, sx, by, sy of 3 to 60 instruments that disagree a little or a lot, in units of any size."""
    rng = np.random.default_rng(seed)
    n = rng.integers(3, 60)
    bx = rng.normal(size=n) * 10 ** rng.uniform(-3, 3)
    sy = np.exp(rng.normal(size=n) * rng.uniform(0, 3)) * 10 ** rng.uniform(-4, 4)
    return bx, sy, rng.normal() * bx + rng.normal(size=n) * sy * rng.uniform(0.1, 30), sy


@given(st.integers(0, 10 ** 9))
def test_egger_is_a_meta_regression_of_the_outcome_on_the_exposure(seed):
    bx, sx, by, sy = problem(seed)
    result = mr.fit(bx, sx, by, sy, method="egger_additive")
    expected = meta.meta_regression(by * np.sign(bx), sy, np.abs(bx), tau2_method="PM", tau2_ci=None)
    size = np.array([expected.estimate[1], expected.estimate[0], expected.se[1], expected.se[0]])
    found = [result.estimate, result.intercept, result.se, result.intercept_se]
    np.testing.assert_allclose(found, size, rtol=1e-5, atol=1e-5 * expected.se.min())
    np.testing.assert_allclose(result.tau2, expected.tau2, rtol=1e-5, atol=1e-6 * sy.min() ** 2)


@pytest.mark.parametrize("method", ["ivw", "egger"])
def test_q_is_what_is_expected_or_the_variance_is_zero(method):
    rng = np.random.default_rng(2)
    bx, sx, sy = rng.normal(size=(40, 3, 25)), np.full((40, 3, 25), 0.1), np.exp(rng.normal(size=(40, 3, 25)))
    by = bx + rng.normal(size=sy.shape) * sy * np.exp(rng.normal(0, 0.3, size=(40, 3, 1)))
    plain, additive = (mr.ESTIMATORS[name](bx, sx, by, sy) for name in (method, f"{method}_additive"))
    agree = plain.q <= plain.q_df
    assert 5 < agree.sum() < agree.size - 5
    np.testing.assert_array_equal(additive.tau2[agree], 0)
    for name in set(NUMBERS) - {"tau2"}:
        np.testing.assert_array_equal(getattr(additive, name)[agree], getattr(plain, name)[agree], err_msg=name)
    assert (additive.tau2[~agree] > 0).all()
    np.testing.assert_allclose(additive.q[~agree], additive.q_df[~agree], rtol=1e-9)


@pytest.mark.parametrize("method", ["ivw_additive", "egger_additive"])
def test_problems_are_refused_as_without_additive_effects(method):
    bx, by, s = np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 2.5, 2.0, 5.0]), np.full(4, 0.1)
    for data in ((bx, s, by, np.where(bx == 2, 0, s)), (bx, s, by, np.where(bx == 2, np.nan, s)),
                 (np.zeros(4), s, by, s), (np.ones(4), s, by, s), (bx, s, np.where(bx == 2, np.inf, by), s),
                 (bx[:0], s[:0], by[:0], s[:0]), (bx, s, 1e300 * by, 1e-300 * s)):
        plain, additive = (mr.fit(*data, method=name) for name in (method.removesuffix("_additive"), method))
        assert (plain.note == additive.note) and (np.isnan(additive.estimate) == np.isnan(plain.estimate))


def test_many_weak_instruments_that_disagree_do_not_decide_the_slope():
    """As in a splicing model: most mutants move one site a little and the other not at all, and do so surely."""
    rng = np.random.default_rng(3)
    strong, weak = rng.uniform(1, 4, 20), rng.uniform(0.01, 0.3, 180)
    bx = np.concatenate([strong, weak])
    by = np.concatenate([0.65 * strong + rng.normal(0, 0.1, 20), rng.normal(0, 0.02, 180)])
    sy = 0.02 * bx
    estimates = {name: mr.fit(bx, 0.02 * bx, by, sy, method=name).estimate
                 for name in ("egger", "egger_additive", "ivw", "ivw_additive")}
    assert estimates["egger"] < 0.3 and abs(estimates["egger_additive"] - 0.65) < 0.05
    assert estimates["ivw"] < 0.3 and abs(estimates["ivw_additive"] - 0.65) < 0.05
