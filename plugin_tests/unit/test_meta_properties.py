"""Meta-analysis: slow and obvious versions, invariances, and inputs that could break a solver."""

import math
from dataclasses import fields
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from profiles import fewer
from scipy import optimize, stats

from kipoi_deepmr import meta
from kipoi_deepmr.errors import InputError
from kipoi_deepmr.meta import model
from kipoi_deepmr.meta.jackson import probability_below

SHIFTED = ("estimate", "ci_low", "ci_high", "pi_low", "pi_high", "common_estimate", "common_ci_low", "common_ci_high")
SQUARED = ("tau2", "tau2_se", "tau2_ci_low", "tau2_ci_high", "typical_variance")
FEW = fewer(4)


@st.composite
def problems(draw, smallest=2, largest=12):
    """Effects and standard errors; the spread of both varies over orders of magnitude, so some have several optima."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    k = draw(st.integers(smallest, largest))
    ses = np.exp(rng.normal(0, draw(st.sampled_from([0, 0.5, 2, 4])), k))
    tau = draw(st.sampled_from([0, 0.3, 1, 5]))
    return rng.normal(0.2, 1, k) * np.sqrt(ses**2 + tau**2), ses


def slow_likelihood(effects, ses, tau2, restricted, x=None):
    x = np.ones((len(ses), 1)) if x is None else x
    variance = ses**2 + tau2
    root = 1 / np.sqrt(variance)
    beta = np.linalg.lstsq(x * root[:, None], effects * root, rcond=None)[0]
    value = np.log(variance).sum() + np.sum(((effects - x @ beta) * root) ** 2)
    if restricted:
        value += np.linalg.slogdet(x.T @ (x / variance[:, None]))[1]
    return -value / 2


def slow_optimum(likelihood, largest):
    """The best of a dense grid and 0, polished between its neighbours."""
    grid = np.concatenate([[0.0], np.geomspace(1e-9 * largest, largest, 600)])
    heights = np.array([likelihood(tau2) for tau2 in grid])
    best = int(np.argmax(heights))
    if best == 0:
        return 0.0, heights[0]
    bounds = grid[best - 1], grid[min(best + 1, len(grid) - 1)]
    found = optimize.minimize_scalar(lambda t: -likelihood(t), bounds=bounds, method="bounded", options={"xatol": 0})
    return found.x, -found.fun


def assert_same(one, other, scale=1.0, rtol=1e-9, skip=()):
    for field in fields(one):
        name = field.name
        if name in ("note", *skip):
            continue
        factor = scale**2 if name in SQUARED else scale if name in SHIFTED or name in ("se", "common_se") else 1.0
        expected = np.asarray(getattr(one, name)) * factor
        # an interval's end near 0 and a tau^2 near 0 keep the precision of what they are differences of
        size = np.nanmax(np.abs([getattr(one, n) for n in SHIFTED])) if name in SHIFTED else 0
        np.testing.assert_allclose(getattr(other, name), expected, rtol=rtol, atol=1e-9 * size * factor, err_msg=name)


@pytest.mark.parametrize("method", ["REML", "ML"])
@FEW
@given(problems())
def test_likelihood_against_dense_grid(method, problem):
    effects, ses = problem
    restricted = method == "REML"
    tau2, height = slow_optimum(
        lambda t: slow_likelihood(effects, ses, t, restricted), np.sum((effects - effects.mean()) ** 2)
    )
    ours = meta.random_effects(effects, ses, tau2_method=method, tau2_ci=None)
    ours_height = slow_likelihood(effects, ses, ours.tau2, restricted)
    assert ours_height >= height - 1e-9 * max(1, abs(height))
    if ours_height - height < 1e-12 and tau2 > 1e-3 * np.min(ses) ** 2:
        # a maximum is flat: a search by height alone knows half of the digits
        np.testing.assert_allclose(ours.tau2, tau2, rtol=1e-3)


def test_likelihood_with_several_optima():
    """Standard errors over many orders of magnitude often give a local optimum beside the global one."""
    rng = np.random.default_rng(0)
    several = 0
    for _ in range(300):
        ses = np.exp(rng.normal(0, 3.5, 6))
        effects = rng.normal(0, 3 * np.median(ses), 6)

        def likelihood(tau2, effects=effects, ses=ses):
            w = 1 / (ses**2 + np.atleast_1d(tau2)[:, None])
            r = effects - (w @ effects / w.sum(axis=1))[:, None]
            return 0.5 * (np.log(w).sum(axis=1) - np.log(w.sum(axis=1)) - (w * r**2).sum(axis=1))

        spread = np.sum((effects - effects.mean()) ** 2)
        heights = likelihood(np.concatenate([[0.0], np.geomspace(1e-6 * ses.min() ** 2, spread, 3000)]))
        padded = np.concatenate([[-np.inf], heights, [-np.inf]])
        several += np.sum((padded[1:-1] > padded[:-2]) & (padded[1:-1] > padded[2:])) > 1
        ours = meta.random_effects(effects, ses, tau2_ci=None).tau2
        assert likelihood(ours)[0] >= heights.max() - 1e-9
    assert several >= 5


@FEW
@given(problems(largest=5))
def test_moment_estimators_against_exact_matrices(problem):
    """The textbook's matrices, of fractions: of doubles they lose digits where one study is far more precise."""
    effects, ses = problem
    k = len(effects)
    exact = np.vectorize(Fraction, otypes=[object])
    y, v, one = exact(effects), np.diag(exact(ses) ** 2), exact(np.eye(k, dtype=int))

    def projection(weights):
        return np.diag(weights) - np.outer(weights, weights) / weights.sum()

    start = np.sum((y - y.sum() / k) ** 2) / k
    precision = 1 / np.diagonal(v)
    p, p_start = projection(precision), projection(1 / (np.diagonal(v) + start))
    centring = projection(np.diagonal(one))
    slow = {
        "DL": ((y @ p @ y - (k - 1)) / np.trace(p), p, 1 / np.trace(p)),
        "HS": ((y @ p @ y - k) / precision.sum(), p, 1 / precision.sum()),
        "HE": ((y @ centring @ y - np.trace(centring @ v)) / (k - 1), centring, Fraction(1, k - 1)),
        "SJ": (start * (y @ p_start @ y) / (k - 1), p_start, start / (k - 1)),
    }
    size = max(np.var(effects), np.min(ses) ** 2)
    for method, (tau2, weights, factor) in slow.items():
        ours = meta.random_effects(effects, ses, tau2_method=method, tau2_ci=None)
        tau2 = max(Fraction(0), tau2)
        np.testing.assert_allclose(ours.tau2, float(tau2), rtol=1e-9, atol=1e-12 * size, err_msg=method)
        spread = weights @ (v + tau2 * one)
        se = math.sqrt(2 * np.trace(spread @ spread)) * float(factor)
        np.testing.assert_allclose(ours.tau2_se, se, rtol=1e-8, err_msg=method)


@FEW
@given(problems())
def test_q_reaches_its_targets(problem):
    effects, ses = problem
    df = len(effects) - 1
    result = meta.random_effects(effects, ses, tau2_method="PM")
    low, high = stats.chi2.isf([0.025, 0.975], df)
    targets = ((result.tau2, df), (result.tau2_ci_low, low), (result.tau2_ci_high, high))
    for tau2, target in targets:
        w = 1 / (ses**2 + tau2)
        q = np.sum(w * (effects - np.sum(w * effects) / np.sum(w)) ** 2)
        if tau2 > 0:
            np.testing.assert_allclose(q, target, rtol=1e-8)
        else:
            assert q <= target * (1 + 1e-12)


@pytest.mark.parametrize("method", meta.TAU2_METHODS)
@fewer(10)
@given(problems(), st.floats(-12, 12), st.integers(0, 1000))
def test_scale_order_and_padding(method, problem, log_scale, seed):
    effects, ses = problem
    options = {"tau2_method": method, "ci": "hartung-knapp", "adhoc": "se", "prediction": "hts"}
    base = meta.random_effects(effects, ses, **options)
    scale = 10.0**log_scale
    assert_same(base, meta.random_effects(effects * scale, ses * scale, **options), scale=scale, rtol=1e-6)
    order = np.random.default_rng(seed).permutation(len(effects))
    assert_same(base, meta.random_effects(effects[order], ses[order], **options), rtol=1e-6)
    padded = np.full((2, len(effects) + 5, 3), np.nan)
    padded[0, 2 : 2 + len(effects), 1], padded[1, 2 : 2 + len(effects), 1] = effects, ses
    padded[0, 0, :2], padded[1, 1, 2] = 1.0, 1.0  # halves of pairs
    columns = meta.random_effects(*padded, **options)
    assert list(columns.n_studies) == [0, len(effects), 0] and not columns.n_excluded.any()
    for field in fields(base):
        np.testing.assert_array_equal(getattr(columns, field.name)[1], getattr(base, field.name), err_msg=field.name)


FLOATS = st.floats(allow_nan=True, allow_infinity=True)


@given(
    st.lists(st.tuples(FLOATS, FLOATS), max_size=6),
    st.sampled_from(meta.TAU2_METHODS),
    st.sampled_from(meta.CI),
    st.sampled_from(meta.PREDICTION),
    st.sampled_from(meta.TAU2_CI),
)
def test_no_floats_raise_or_hang(pairs, method, ci, prediction, tau2_ci):
    effects, ses = np.array(pairs, dtype=float).reshape(-1, 2).T
    result = meta.random_effects(effects, ses, method, ci, prediction=prediction, tau2_ci=tau2_ci)
    assert result.n_studies + result.n_excluded <= len(pairs)
    assert np.isfinite(result.estimate) or result.note
    assert not result.n_excluded or "excluded" in result.note
    assert np.isnan(result.tau2) or result.tau2 >= 0


@fewer(4)
@given(st.lists(st.tuples(FLOATS, FLOATS, st.floats(-1e6, 1e6)), min_size=4, max_size=7))
def test_meta_regression_of_any_floats(rows):
    effects, ses, covariate = np.array(rows, dtype=float).T
    try:
        result = meta.meta_regression(effects, ses, covariate)
    except InputError as error:
        assert "the same in every usable study" in str(error)
    else:
        assert np.isfinite(result.estimate).all() or result.note


def test_columns_equal_single_analyses():
    rng = np.random.default_rng(4)
    effects, ses = rng.normal(size=(30, 40)), rng.gamma(1, 0.5, (30, 40))
    effects[rng.random(effects.shape) < 0.4] = np.nan
    effects[:, 7] = np.nan
    ses[3, 8], ses[4, 8], effects[5, 8] = 0.0, -1.0, np.inf
    columns = meta.random_effects(effects, ses)
    for i in range(effects.shape[1]):
        single = meta.random_effects(effects[:, i], ses[:, i])
        for field in fields(single):
            expected, got = getattr(single, field.name), getattr(columns, field.name)[i]
            if field.name == "note":
                assert got == expected
            else:
                np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-13, err_msg=field.name)
    assert columns.n_studies[7] == 0 and columns.note[7] == "no usable study" and np.isnan(columns.estimate[7])
    assert columns.note[8].startswith(f"excluded {columns.n_excluded[8]}")


def test_one_study_is_returned_as_it_is():
    for ci in meta.CI:
        result = meta.random_effects([0.3, np.nan], [0.1, 0.2], ci=ci)
        assert (result.estimate, result.se, result.n_studies, result.q, result.q_df) == (0.3, 0.1, 1, 0.0, 0)
        half = stats.norm.isf(0.025) * 0.1
        np.testing.assert_allclose([result.ci_low, result.ci_high], [0.3 - half, 0.3 + half])
        np.testing.assert_allclose(result.pvalue, 2 * stats.norm.sf(3))
        missing = (result.tau2, result.i2, result.h2, result.pi_low, result.pi_high, result.q_pvalue)
        assert np.isnan(missing).all()
        assert result.note.startswith("one study")


def test_two_studies_have_a_closed_form():
    """REML of two: half of the squared difference less the mean variance; any size of effects."""
    for scale in (1e-9, 1e-5, 1.0, 1e6):
        result = meta.random_effects(np.array([0.0, 3.0]) * scale, np.array([1.0, 0.5]) * scale)
        np.testing.assert_allclose(result.tau2, (9 - 1.25) / 2 * scale**2, rtol=1e-12)
        result = meta.random_effects(np.array([0.0, 1.0]) * scale, np.array([1.0, 0.5]) * scale)
        assert result.tau2 == 0 and result.tau2_ci_low == 0


def test_identical_effects():
    ses = np.array([0.1, 0.2, 0.3])
    for method in meta.TAU2_METHODS:
        result = meta.random_effects(np.full(3, 0.1), ses, tau2_method=method)
        assert (result.estimate, result.tau2, result.q, result.i2, result.h2) == (0.1, 0, 0, 0, 1)
        np.testing.assert_allclose(result.se, np.sum(ses**-2) ** -0.5)
        assert (result.tau2_ci_low, result.tau2_ci_high) == (0, 0)
    plain = meta.random_effects(np.full(3, 0.1), ses, ci="hartung-knapp")
    assert plain.se == 0 and "ad hoc" in plain.note
    corrected = meta.random_effects(np.full(3, 0.1), ses, ci="hartung-knapp", adhoc="se")
    np.testing.assert_allclose(corrected.se, np.sum(ses**-2) ** -0.5)


def test_one_huge_standard_error_changes_nothing():
    rng = np.random.default_rng(2)
    effects, ses = rng.normal(0, 1, 9), rng.uniform(0.3, 0.6, 9)
    for method in ("REML", "ML"):  # the moment estimators count the study in their degrees of freedom
        without = meta.random_effects(effects, ses, tau2_method=method)
        huge = meta.random_effects(np.append(effects, 50.0), np.append(ses, 1e7), tau2_method=method)
        np.testing.assert_allclose(huge.estimate, without.estimate, rtol=1e-9)
        np.testing.assert_allclose(huge.tau2, without.tau2, rtol=1e-9)


def test_one_tiny_standard_error_keeps_digits():
    """tr P cancels in its textbook form; the same equation in rational arithmetic does not."""
    effects, ses = [0.0, 1.0, -0.5, 2.0], [2.0**-40, 0.5, 1.0, 0.75]
    w = [1 / Fraction(se) ** 2 for se in ses]
    y = [Fraction(effect) for effect in effects]
    total = sum(w)
    mean = sum(a * b for a, b in zip(w, y, strict=True)) / total
    q = sum(a * (b - mean) ** 2 for a, b in zip(w, y, strict=True))
    trace = total - sum(a * a for a in w) / total
    result = meta.random_effects(effects, ses, tau2_method="DL")
    np.testing.assert_allclose(result.q, float(q), rtol=1e-14)
    np.testing.assert_allclose(result.typical_variance, float(3 / trace), rtol=1e-14)
    np.testing.assert_allclose(result.tau2, float((q - 3) / trace), rtol=1e-13)


def test_far_tail_pvalues():
    result = meta.random_effects(np.full(4, 3.0), np.full(4, 0.2))
    np.testing.assert_allclose(result.pvalue, 2 * stats.norm.sf(30), rtol=1e-12)
    assert result.pvalue > 0


def test_jackson_distribution():
    """Equal standard errors give a chi-square; unequal ones are compared with draws."""
    for k in (2, 3, 10, 300):
        for p in (0.001, 0.025, 0.5, 0.975, 0.999):
            q = stats.chi2.ppf(p, k - 1)
            np.testing.assert_allclose(probability_below(2.5 * q, np.ones(k), np.full(k, 2.5)), p, rtol=1e-12)
    rng = np.random.default_rng(3)
    ses = np.exp(rng.normal(0, 1.5, 6))
    effects = rng.normal(0, 3, 6)
    result = meta.random_effects(effects, ses, tau2_ci="jackson")
    a = 1 / ses
    q = np.sum(a * (effects - np.sum(a * effects) / np.sum(a)) ** 2)
    for tau2, level in ((result.tau2_ci_low, 0.975), (result.tau2_ci_high, 0.025)):
        y = rng.normal(size=(200_000, 6)) * np.sqrt(ses**2 + tau2)
        drawn = ((y - (y @ a / a.sum())[:, None]) ** 2) @ a
        assert tau2 == 0 or abs(np.mean(drawn <= q) - level) < 0.002


def test_jackson_equals_q_profile_for_equal_standard_errors():
    effects = np.random.default_rng(1).normal(0, 1, 12)
    ses = np.full(12, 0.4)
    one = meta.random_effects(effects, ses, tau2_ci="jackson")
    other = meta.random_effects(effects, ses, tau2_ci="q_profile")
    np.testing.assert_allclose(one.tau2_ci_low, other.tau2_ci_low, rtol=1e-10)
    np.testing.assert_allclose(one.tau2_ci_high, other.tau2_ci_high, rtol=1e-10)


def test_leave_one_out():
    rng = np.random.default_rng(5)
    effects, ses = rng.normal(size=8), rng.uniform(0.2, 1, 8)
    effects[2] = np.nan
    result = meta.leave_one_out(effects, ses, tau2_method="DL", ci="t")
    for i in range(8):
        kept = np.arange(8) != i
        single = meta.random_effects(effects[kept], ses[kept], tau2_method="DL", ci="t")
        for name in ("estimate", "se", "pvalue", "tau2", "q", "n_studies"):
            np.testing.assert_allclose(getattr(result, name)[i], getattr(single, name), rtol=1e-12)
    assert meta.leave_one_out([], []).estimate.shape == (0,)


def exact_regression(effects, ses, tau2, x):
    """Coefficients, their covariance, Q and log det(X'WX) in rational arithmetic: matrices of doubles lose digits."""
    rows = [[Fraction(float(value)) for value in row] for row in x]
    y = [Fraction(float(value)) for value in effects]
    w = [1 / (Fraction(float(se)) ** 2 + Fraction(float(tau2))) for se in ses]
    p, determinant = len(rows[0]), Fraction(1)
    table = [
        [sum(c * row[a] * row[b] for c, row in zip(w, rows, strict=True)) for b in range(p)]
        + [sum(c * row[a] * value for c, row, value in zip(w, rows, y, strict=True))]
        + [Fraction(a == b) for b in range(p)]
        for a in range(p)
    ]
    for a in range(p):
        pivot = table[a][a]
        determinant *= pivot
        table[a] = [value / pivot for value in table[a]]
        for b in range(p):
            if b != a:
                table[b] = [value - table[b][a] * other for value, other in zip(table[b], table[a], strict=True)]
    beta = [row[p] for row in table]
    residuals = [value - sum(c * d for c, d in zip(row, beta, strict=True)) for row, value in zip(rows, y, strict=True)]
    q = sum(c * r**2 for c, r in zip(w, residuals, strict=True))
    inverse = [[float(value) for value in row[p + 1 :]] for row in table]
    return np.array([float(b) for b in beta]), np.array(inverse), float(q), math.log(determinant)


def exact_likelihood(effects, ses, tau2, restricted, x):
    _, _, q, log_determinant = exact_regression(effects, ses, tau2, x)
    return -(np.log(ses**2 + tau2).sum() + q + restricted * log_determinant) / 2


@FEW
@given(problems(smallest=6, largest=10), st.integers(0, 1000), st.sampled_from(["REML", "ML"]))
def test_meta_regression_against_exact_arithmetic(problem, seed, method):
    effects, ses = problem
    restricted = method == "REML"
    covariates = np.random.default_rng(seed).normal(5, 2, (len(effects), 2))
    x = np.column_stack([np.ones(len(effects)), covariates])
    result = meta.meta_regression(effects, ses, covariates, tau2_method=method)
    rss = np.sum((effects - x @ np.linalg.lstsq(x, effects, rcond=None)[0]) ** 2)
    rival, _ = slow_optimum(lambda t: slow_likelihood(effects, ses, t, restricted, x), rss)
    height = exact_likelihood(effects, ses, rival, restricted, x)
    assert exact_likelihood(effects, ses, result.tau2, restricted, x) >= height - 1e-9 * max(1, abs(height))
    beta, covariance, _, _ = exact_regression(effects, ses, result.tau2, x)
    np.testing.assert_allclose(result.estimate, beta, rtol=1e-10, atol=1e-12 * np.abs(beta).max())
    np.testing.assert_allclose(result.covariance, covariance, rtol=1e-10, atol=1e-12 * np.abs(covariance).max())
    np.testing.assert_allclose(result.q_e, exact_regression(effects, ses, 0, x)[2], rtol=1e-9)
    q_m = beta[1:] @ np.linalg.inv(covariance[1:, 1:]) @ beta[1:]
    np.testing.assert_allclose(result.q_m, q_m, rtol=1e-6)


def test_meta_regression_without_covariates_is_random_effects():
    rng = np.random.default_rng(6)
    effects, ses = rng.normal(size=12), rng.uniform(0.2, 1, 12)
    for method in meta.TAU2_METHODS:
        one = meta.random_effects(effects, ses, tau2_method=method, ci="hartung-knapp")
        other = meta.meta_regression(effects, ses, np.empty((12, 0)), tau2_method=method, ci="hartung-knapp")
        for ours, theirs in (("tau2", "tau2"), ("tau2_se", "tau2_se"), ("q", "q_e"), ("tau2_ci_high", "tau2_ci_high")):
            np.testing.assert_allclose(getattr(other, theirs), getattr(one, ours), rtol=1e-10)
        for name in ("estimate", "se", "ci_low", "ci_high", "pvalue"):
            np.testing.assert_allclose(getattr(other, name)[0], getattr(one, name), rtol=1e-10)


def test_meta_regression_strata_are_their_own_means():
    rng = np.random.default_rng(7)
    effects, ses = rng.normal(size=9), np.full(9, 0.5)
    strata = pd.DataFrame({"spacing": ["0-35", "36-70", "71-150"] * 3})
    result = meta.meta_regression(effects, ses, strata)
    assert result.names == ("intercept", "spacing[36-70]", "spacing[71-150]")
    means = [effects[i::3].mean() for i in range(3)]
    np.testing.assert_allclose(result.estimate, [means[0], means[1] - means[0], means[2] - means[0]], rtol=1e-10)


def test_meta_regression_refuses_and_explains():
    effects, ses = np.arange(5.0), np.ones(5)
    with pytest.raises(InputError, match="linearly dependent"):
        meta.meta_regression(effects, ses, np.column_stack([[1, 2, 4, 3, 0], [2, 4, 8, 6, 0]]))
    with pytest.raises(InputError, match="covariate1 is the same"):
        meta.meta_regression(effects, ses, np.ones(5))
    with pytest.raises(InputError, match="3 rows but there are 5"):
        meta.meta_regression(effects, ses, np.ones(3))
    short = meta.meta_regression(effects[:2], ses[:2], [1.0, 2.0])
    assert np.isnan(short.estimate).all() and short.note == "2 usable studies for 2 coefficients"


def test_plain_mean():
    effects = np.array([1.0, 2.0, 4.0, np.nan, np.inf])
    result = meta.mean(effects)
    expected = stats.ttest_1samp(effects[:3], 0)
    np.testing.assert_allclose([result.estimate, result.sd], [effects[:3].mean(), effects[:3].std(ddof=1)])
    np.testing.assert_allclose(result.pvalue, expected.pvalue)
    np.testing.assert_allclose([result.ci_low, result.ci_high], expected.confidence_interval())
    assert (result.n_studies, result.n_excluded) == (3, 1) and "1 infinite" in result.note
    columns = meta.mean(np.array([[1.0, np.nan], [3.0, np.nan]]))
    np.testing.assert_allclose(columns.estimate, [2.0, np.nan])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tau2_method": "REM"}, 'did you mean "REML"'),
        ({"ci": "normal"}, "ci=.* is not known"),
        ({"adhoc": "iqwig"}, "adhoc=.* is not known"),
        ({"prediction": "t"}, "prediction=.* is not known"),
        ({"tau2_ci": "profile"}, "tau2_ci=.* is not known"),
        ({"alpha": 5}, "alpha must be between"),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(InputError, match=message):
        meta.random_effects([1.0, 2.0], [0.1, 0.1], **options)


def test_shapes_are_checked():
    with pytest.raises(InputError, match="shape"):
        meta.random_effects([1.0, 2.0], [0.1])
    with pytest.raises(InputError, match="1-D"):
        meta.random_effects(1.0, 0.1)
    with pytest.raises(InputError, match="must be numbers"):
        meta.random_effects(["a"], [0.1])
    with pytest.raises(InputError, match="1-D"):
        meta.leave_one_out(np.ones((3, 2)), np.ones((3, 2)))


@pytest.mark.parametrize("method", ["REML", "DL", "PM", "HE"])
def test_compiled_loops_give_what_arrays_do(monkeypatch, method):
    """Many analyses of any number of studies, some of them missing, from very small to very large errors."""
    rng = np.random.default_rng(4)
    ses = np.exp(rng.normal(0, 1.5, (60, 200)) + rng.normal(0, 20, 200))
    effects = rng.normal(0, 2, 200) * ses.mean(0) + ses * rng.normal(size=ses.shape)
    effects[rng.random(ses.shape) < rng.random(200)] = np.nan
    found = []
    for size in (0, np.inf):
        monkeypatch.setattr(model, "COMPILED_FROM", size)
        found.append(meta.random_effects(effects, ses, tau2_method=method, prediction="hk"))
    assert np.isfinite(found[0].tau2).sum() > 150
    for field in fields(meta.MetaResult):
        loops, arrays = (getattr(each, field.name) for each in found)
        if field.name == "note":
            assert loops.tolist() == arrays.tolist()
        else:
            np.testing.assert_allclose(loops, arrays, rtol=1e-8, atol=1e-12, err_msg=field.name)
