"""Estimators on batches: against slow, obvious versions, under symmetries, and on bad input."""

import dataclasses
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mr_problems import FINITE, random_problem
from profiles import fewer
from scipy import optimize, stats

from kipoi_deepmr import mr
from kipoi_deepmr.errors import InputError

VARIANTS = [("wald_mean", {}), ("ivw", {}), ("ivw", {"model": "fixed"}), ("ivw", {"model": "random"}),
            ("ivw", {"weights": "delta"}), ("ivw", {"weights": "delta", "psi": 0.6, "model": "random"}),
            ("egger", {}), ("egger", {"distribution": "t", "alpha": 0.2})]
NUMBERS = [f.name for f in dataclasses.fields(mr.MRResult) if f.name != "note"]


def slow(method, bx, sx, by, sy, model="default", weights="simple", psi=0.0, distribution="normal", alpha=0.05):
    """One problem by lstsq: estimate, se, interval, pvalue, intercept, intercept_se, residual_se, q, q_pvalue."""
    n = len(bx)
    if method == "wald_mean":
        ratios = [y / x for x, y in zip(bx, by, strict=True)]
        estimate, se = np.mean(ratios), np.std(ratios, ddof=1)
        intercept = intercept_se = sigma = q = q_p = np.nan
    else:
        variance = sy ** 2
        if weights == "delta":
            variance = sy ** 2 + by ** 2 * sx ** 2 / bx ** 2 - 2 * psi * by * sx * sy / bx
        root = 1 / np.sqrt(variance)
        if method == "egger":
            by, bx = by * np.sign(bx), np.abs(bx)
        design = np.stack([bx, np.ones(n)], 1)[:, : 2 if method == "egger" else 1] * root[:, None]
        beta = np.linalg.lstsq(design, by * root, rcond=None)[0]
        df = n - len(beta)
        q = np.sum((by * root - design @ beta) ** 2)
        sigma, q_p = np.sqrt(q / df), stats.chi2.sf(q, df)
        if method == "ivw" and (model == "fixed" or (model == "default" and n < 4)):
            factor = 1.0
        else:
            factor = max(sigma, 1.0)
        errors = factor * np.sqrt(np.diag(np.linalg.inv(design.T @ design)))
        estimate, se = beta[0], errors[0]
        intercept, intercept_se = (beta[1], errors[1]) if method == "egger" else (np.nan, np.nan)
    law = stats.t(n - 2) if distribution == "t" else stats.norm
    half = optimize.brentq(lambda t: law.sf(t) - alpha / 2, 0, 1e3) * se  # t.isf of older SciPy has 9 digits only
    return (estimate, se, estimate - half, estimate + half, 2 * law.sf(abs(estimate / se)), intercept, intercept_se,
            sigma, q, q_p)


@pytest.mark.parametrize("junk", [0.0, np.nan, np.inf, -1e308])
@pytest.mark.parametrize("method,options", VARIANTS)
def test_batches_with_masks_against_loops(method, options, junk):
    rng = np.random.default_rng(1)
    data = [np.array(a) for a in random_problem(rng, 6, 5, 40)]
    mask = rng.random((6, 5, 40)) < rng.uniform(0.12, 0.9, size=(6, 5, 1))
    for a in data:
        a[~mask] = junk
    ours = mr.ESTIMATORS[method](*data, mask, **options)
    assert (ours.note == "").all() and (ours.n_instruments == mask.sum(-1)).all()
    fields = ("estimate", "se", "ci_low", "ci_high", "pvalue", "intercept", "intercept_se", "residual_se", "q",
              "q_pvalue")
    for i in np.ndindex(6, 5):
        expected = slow(method, *(a[i][mask[i]] for a in data), **options)
        np.testing.assert_allclose([getattr(ours, f)[i] for f in fields], expected, rtol=1e-9)


@pytest.mark.parametrize("method,options", VARIANTS)
def test_batch_broadcasts_and_equals_single_fits(method, options):
    rng = np.random.default_rng(2)
    bx, sx, _, _ = random_problem(rng, 3, 1, 12)
    _, _, by, sy = random_problem(rng, 3, 4, 12)
    mask = rng.random((3, 1, 12)) < 0.3
    mask[0] = False
    ours = mr.ESTIMATORS[method](bx, sx, by, sy, mask, **options)
    for i in np.ndindex(3, 4):
        m = mask[i[0], 0]
        one = mr.fit(bx[i[0], 0, m], sx[i[0], 0, m], by[i][m], sy[i][m], method=method, **options)
        assert one.note == ours.note[i]
        for name in NUMBERS:
            np.testing.assert_allclose(getattr(ours, name)[i], getattr(one, name), rtol=1e-12)


def test_one_problem_gives_numbers():
    result = mr.fit([1.0, 2, 3, 4], [0.1] * 4, [1.1, 1.9, 3.2, 4.0], [0.1] * 4)
    assert all(type(getattr(result, name)) is float for name in NUMBERS if name != "n_instruments")
    assert result.n_instruments == 4 and result.note == ""
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.estimate = 0.0


@pytest.mark.parametrize("shift", [1e3, 1e6])
def test_egger_does_not_cancel(shift):
    """Exposure effects far from 0 with little spread: the slope is that of the centred data."""
    x = np.array([0.0, 1, 2, 3, 4, 5])
    y = np.array([0.1, 0.9, 2.2, 2.8, 4.1, 5.0])
    near, far = (mr.fit(x + s, x, y, np.full(6, 0.1)) for s in (1.0, shift))
    np.testing.assert_allclose([far.estimate, far.se, far.q], [near.estimate, near.se, near.q], rtol=1e-9)


# --- tails -----------------------------------------------------------------------------------------------------------

def normal_sf(z, terms=200):
    """Upper tail by Laplace's continued fraction of Mills' ratio."""
    fraction = z
    for k in range(terms, 0, -1):
        fraction = z + k / fraction
    return np.exp(-z * z / 2) / np.sqrt(2 * np.pi) / fraction


@pytest.mark.parametrize("z", [3.0, 8.5, 20.0, 37.0])
def test_pvalues_in_the_far_tail(z):
    result = mr.fit([1.0], [0.1], [z], [1.0], method="ivw")
    assert result.pvalue > 0
    np.testing.assert_allclose(result.pvalue, 2 * normal_sf(z), rtol=1e-9)
    np.testing.assert_allclose(result.pvalue, 2 * stats.norm.sf(z), rtol=1e-12)
    assert mr.fit([1.0], [0.1], [-z], [1.0], method="ivw").pvalue == result.pvalue


@pytest.mark.parametrize("slope", [1.0, 1e4, 1e8])
@pytest.mark.parametrize("alpha", [0.05, 1e-6])
def test_t_tails_and_quantiles(slope, alpha):
    """With 1 and 2 degrees of freedom the t distribution has a closed form."""
    for n in (3, 4):
        x = np.arange(1.0, n + 1)
        y = slope * x + np.array([0.3, -0.5, 0.1, 0.2])[:n]
        result = mr.fit(x, x, y, np.ones(n), distribution="t", alpha=alpha)
        t, half = result.estimate / result.se, (result.ci_high - result.ci_low) / 2 / result.se
        if n == 3:
            pvalue, quantile = 2 / np.pi * np.arctan(1 / t), 1 / np.tan(np.pi * alpha / 2)
        else:
            pvalue = 2 / (np.sqrt(2 + t * t) * (np.sqrt(2 + t * t) + t))
            quantile = (1 - alpha) * np.sqrt(2 / (alpha * (2 - alpha)))
        np.testing.assert_allclose(result.pvalue, pvalue, rtol=1e-9)
        np.testing.assert_allclose(half, quantile, rtol=1e-7 if slope > 1e6 else 1e-9)


def test_heterogeneity_in_the_far_tail():
    result = mr.fit([1.0, 1.0, 1.0], [0.1] * 3, [0.0, 20.0, 40.0], [1.0] * 3, method="ivw")
    np.testing.assert_allclose(result.q_pvalue, np.exp(-result.q / 2), rtol=1e-9)  # chi-square with 2 df


# --- symmetries ------------------------------------------------------------------------------------------------------

@given(seed=st.integers(0, 10**6), n=st.integers(4, 30), variant=st.sampled_from(VARIANTS),
       factor=st.floats(1e-6, 1e6))
@fewer(4)
def test_scaling_the_outcome_scales_the_estimate(seed, n, variant, factor):
    method, options = variant
    bx, sx, by, sy = random_problem(np.random.default_rng(seed), n)
    before = mr.fit(bx, sx, by, sy, method, **options)
    after = mr.fit(bx, sx, factor * by, factor * sy, method, **options)
    for name in NUMBERS:
        scaled = name in ("estimate", "se", "ci_low", "ci_high", "intercept", "intercept_se")
        np.testing.assert_allclose(getattr(after, name), getattr(before, name) * (factor if scaled else 1), rtol=1e-7,
                                   atol=1e-9 * factor * before.se if scaled else 0)


@given(seed=st.integers(0, 10**6), n=st.integers(3, 30), variant=st.sampled_from(VARIANTS))
@fewer(4)
def test_flipping_signs_and_permuting_instruments_change_nothing(seed, n, variant):
    method, options = variant
    rng = np.random.default_rng(seed)
    bx, sx, by, sy = random_problem(rng, n)
    before = mr.fit(bx, sx, by, sy, method, **options)
    sign, order = rng.choice([-1.0, 1.0], n), rng.permutation(n)
    after = mr.fit((sign * bx)[order], sx[order], (sign * by)[order], sy[order], method, **options)
    for name in NUMBERS:
        np.testing.assert_allclose(getattr(after, name), getattr(before, name), rtol=1e-7, atol=1e-9)


@given(seed=st.integers(0, 10**6), n=st.integers(4, 20))
@fewer(4)
def test_duplicated_instruments_halve_the_fixed_variance(seed, n):
    data = random_problem(np.random.default_rng(seed), n)
    once = mr.fit(*data, method="ivw", model="fixed")
    twice = mr.fit(*(np.tile(a, 2) for a in data), method="ivw", model="fixed")
    np.testing.assert_allclose([twice.estimate, twice.se, twice.q],
                               [once.estimate, once.se / np.sqrt(2), 2 * once.q], rtol=1e-9)


@given(data=st.data(), n=st.integers(0, 6), variant=st.sampled_from(VARIANTS))
def test_no_finite_input_raises_or_warns(data, n, variant):
    method, options = variant
    arrays = [data.draw(st.lists(FINITE, min_size=n, max_size=n)) for _ in range(4)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = mr.fit(*arrays, method=method, **options)
    if result.note:
        assert all(np.isnan(getattr(result, name)) for name in NUMBERS if name != "n_instruments")
    else:
        assert np.isfinite(result.estimate) and np.isfinite(result.se) and result.se > 0
        assert 0 <= result.pvalue <= 1


# --- problems without an answer --------------------------------------------------------------------------------------

BX, SX, BY, SY = [1.0, 2, -3, 4], [0.1, 0.2, 0.1, 0.2], [1.1, 1.9, -3.2, 4.0], [0.3, 0.2, 0.3, 0.1]


def replaced(values, value):
    return [value, *values[1:]]


@pytest.mark.parametrize("arrays,method,options,note", [
    (([], [], [], []), "ivw", {}, "0 instruments, needs 1"),
    ((BX[:1], SX[:1], BY[:1], SY[:1]), "wald_mean", {}, "1 instrument, needs 2"),
    ((BX[:2], SX[:2], BY[:2], SY[:2]), "egger", {}, "2 instruments, needs 3"),
    ((BX, SX, BY, replaced(SY, 0.0)), "ivw", {}, "a standard error is zero"),
    ((BX, SX, BY, replaced(SY, 0.0)), "egger", {}, "a standard error is zero"),
    ((BX, SX, BY, replaced(SY, -0.1)), "ivw", {}, "a standard error is negative"),
    ((BX, SX, BY, replaced(SY, -np.inf)), "ivw", {}, "a standard error is not a finite number"),
    ((BX, SX, BY, replaced(SY, np.nan)), "egger", {}, "a standard error is not a finite number"),
    ((BX, SX, BY, replaced(SY, np.inf)), "egger", {}, "a standard error is not a finite number"),
    ((BX, replaced(SX, 0.0), BY, SY), "ivw", {"weights": "delta"}, "a standard error is zero"),
    ((BX, replaced(SX, np.nan), BY, SY), "ivw", {"weights": "delta"}, "a standard error is not a finite number"),
    ((BX, SX, replaced(BY, np.nan), SY), "ivw", {}, "an effect is not a finite number"),
    ((replaced(BX, np.inf), SX, BY, SY), "wald_mean", {}, "an effect is not a finite number"),
    (([0.0] * 4, SX, BY, SY), "ivw", {}, "all exposure effects are zero"),
    (([0.0] * 4, SX, BY, SY), "ivw", {"weights": "delta"}, "0 instruments, needs 1"),
    (([0.0] * 4, SX, BY, SY), "egger", {}, "no variation in the exposure effects"),
    (([0.3, -0.3, 0.3, 0.3], SX, BY, SY), "egger", {}, "no variation in the exposure effects"),
    (([1.0, -2, 0, 3], SX, BY, SY), "wald_mean", {}, "an exposure effect is zero"),
    (([1.0, -2, 5, 3], SX, [0.1, -0.2, 0.5, 0.3], SY), "wald_mean", {}, "the ratios do not vary"),
    (([1.0], [1.0], [1.0], [1.0]), "ivw", {"weights": "delta", "psi": 1.0}, "a standard error is zero"),
    ((BX, SX, [1e308] * 4, [1e-10] * 4), "ivw", {}, "the numbers are too large or too small to compute with"),
])
def test_impossible_problems_say_why(arrays, method, options, note):
    result = mr.fit(*arrays, method=method, **options)
    assert result.note == note
    assert all(np.isnan(getattr(result, name)) for name in NUMBERS if name != "n_instruments")


def test_one_impossible_problem_leaves_the_rest_of_the_batch():
    data = [np.tile(a, (3, 1)) for a in (BX, SX, BY, SY)]
    data[3][1, 2] = 0.0
    ours = mr.ESTIMATORS["egger"](*data)
    assert ours.note.tolist() == ["", "a standard error is zero", ""]
    assert np.isnan(ours.estimate).tolist() == [False, True, False]


def test_standard_errors_of_the_exposure_matter_only_where_used():
    bad = replaced(SX, np.nan)
    for method in ("wald_mean", "ivw", "egger"):
        result = mr.fit(BX, bad, BY, SY, method=method)
        assert result.note == "" and result.estimate == mr.fit(BX, SX, BY, SY, method=method).estimate


@pytest.mark.parametrize("arguments,message", [
    ({"method": "eger"}, 'unknown method \'eger\'; did you mean "egger"'),
    ({"method": "egger", "distributoin": "t"}, 'did you mean "distribution"'),
    ({"method": "egger", "model": "fixed"}, "no option 'model' for egger"),
    ({"method": "ivw", "model": "fixd"}, 'did you mean "fixed"'),
    ({"method": "ivw", "weights": "Delta"}, 'did you mean "delta"'),
    ({"method": "egger", "distribution": "T"}, "distribution='T' is not known"),
    ({"method": "ivw", "psi": 1.5}, "psi is a correlation"),
    ({"method": "ivw", "alpha": 0.0}, "alpha must be between 0 and 1"),
    ({"method": "egger", "mask": [True] * 4}, "no option 'mask'"),
])
def test_unknown_methods_and_options(arguments, message):
    with pytest.raises(InputError, match=message.replace("(", r"\(")):
        mr.fit(BX, SX, BY, SY, **arguments)


def test_arrays_that_do_not_fit():
    with pytest.raises(InputError, match="unequal lengths: bx 4, sx 3, by 4, sy 4"):
        mr.fit(BX, SX[:3], BY, SY)
    with pytest.raises(InputError, match="by must have one dimension, not 2"):
        mr.fit(BX, SX, [BY], SY)
    with pytest.raises(InputError, match="sy must hold numbers"):
        mr.fit(BX, SX, BY, ["a", "b", "c", "d"])
