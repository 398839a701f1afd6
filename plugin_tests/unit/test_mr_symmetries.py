"""Medians, modes, RAPS, likelihood, mixture and lasso: symmetries, batches with masks, and any finite input."""

import dataclasses
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mr_problems import FINITE
from profiles import fewer

from kipoi_deepmr import mr

FEW = {"n_bootstrap": 20}
VARIANTS = [("median_simple", FEW), ("median_weighted", FEW), ("median_penalized", {**FEW, "weights": "delta"}),
            ("mode_simple", FEW), ("mode_weighted", {**FEW, "weights": "simple", "phi": 0.7}),
            ("raps", {}), ("raps", {"loss": "huber"}), ("raps", {"loss": "tukey", "overdispersion": False}),
            ("divw", {}), ("max_likelihood", {}), ("max_likelihood", {"psi": 0.6, "model": "fixed"}),
            ("contamination_mixture", {}), ("lasso", {}), ("egger_simex", {}),
            ("egger_simex", {"variance": "jackknife", "extrapolation": "linear"})]
NUMBERS = [f.name for f in dataclasses.fields(mr.MRResult) if f.name != "note"]
EFFECTS = ("estimate", "se", "ci_low", "ci_high")


def random_problem(rng, *shape):
    gamma = rng.uniform(0.3, 2.0, shape) * rng.choice([-1, 1], shape)
    sx, sy = rng.uniform(0.02, 0.2, (2, *shape))
    by = 0.7 * gamma + sy * rng.standard_normal(shape) + (rng.random(shape) < 0.2) * rng.normal(0.5, 0.3, shape)
    return gamma + sx * rng.standard_normal(shape), sx, by, sy


def agree(after, before, rtol=1e-7):
    assert after.note == before.note
    for name in NUMBERS:
        np.testing.assert_allclose(getattr(after, name), getattr(before, name), rtol=rtol, atol=1e-12, err_msg=name)


@given(seed=st.integers(0, 10**6), n=st.integers(3, 40), variant=st.sampled_from(VARIANTS))
def test_flipping_signs_and_permuting_instruments_change_nothing(seed, n, variant):
    method, options = variant
    rng = np.random.default_rng(seed)
    bx, sx, by, sy = random_problem(rng, n)
    sign, order = rng.choice([-1.0, 1.0], n), rng.permutation(n)
    agree(mr.fit((sign * bx)[order], sx[order], (sign * by)[order], sy[order], method, **options),
          mr.fit(bx, sx, by, sy, method, **options))


@given(seed=st.integers(0, 10**6), n=st.integers(3, 30), variant=st.sampled_from(VARIANTS),
       x=st.floats(1e-6, 1e6), y=st.floats(1e-6, 1e6))
def test_units_change_the_estimate_by_their_ratio(seed, n, variant, x, y):
    method, options = variant
    bx, sx, by, sy = random_problem(np.random.default_rng(seed), n)
    before = mr.fit(bx, sx, by, sy, method, **options)
    after = mr.fit(x * bx, x * sx, y * by, y * sy, method, **options)
    scaled = dataclasses.replace(before, tau2=before.tau2 * y ** 2, i2_gx=after.i2_gx, f_statistic=after.f_statistic,
                                 **{name: getattr(before, name) * y / x for name in EFFECTS},
                                 **{name: getattr(before, name) * y for name in ("intercept", "intercept_se")})
    assert after.note == scaled.note
    for name in NUMBERS:
        size = y ** 2 if name == "tau2" else before.se * y / x if name in EFFECTS else \
            before.intercept_se * y if name in ("intercept", "intercept_se") else 1.0
        np.testing.assert_allclose(getattr(after, name), getattr(scaled, name), rtol=1e-6, atol=1e-9 * size,
                                   err_msg=name)


@given(seed=st.integers(0, 10**6), n=st.integers(3, 20),
       variant=st.sampled_from([("raps", {}), ("raps", {"overdispersion": False, "loss": "huber"}), ("divw", {}),
                                ("max_likelihood", {"model": "fixed"})]))
@fewer(4)
def test_duplicated_instruments_halve_the_variance(seed, n, variant):
    method, options = variant
    data = random_problem(np.random.default_rng(seed), n)
    once = mr.fit(*data, method=method, **options)
    twice = mr.fit(*(np.tile(a, 2) for a in data), method=method, **options)
    assert once.note == twice.note
    np.testing.assert_allclose([twice.estimate, twice.se], [once.estimate, once.se / np.sqrt(2)], rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("junk", [0.0, np.nan, np.inf, -1e308])
@pytest.mark.parametrize("method,options", VARIANTS)
def test_batches_with_masks_equal_single_fits(method, options, junk):
    rng = np.random.default_rng(1)
    bx, sx, _, _ = (a[:, None] for a in random_problem(rng, 4, 30))
    _, _, by, sy = random_problem(rng, 4, 3, 30)
    by = by + 0.7 * bx
    mask = rng.random((4, 1, 30)) < 0.4
    mask[2] = False
    for a in (bx, sx, by, sy):
        a[~np.broadcast_to(mask, a.shape)] = junk
    ours = mr.ESTIMATORS[method](bx, sx, by, sy, mask, **options)
    for i in np.ndindex(4, 3):
        m = mask[i[0], 0]
        one = mr.fit(bx[i[0], 0, m], sx[i[0], 0, m], by[i][m], sy[i][m], method=method, **options)
        assert one.note == ours.note[i] and ours.n_instruments[i] == m.sum()
        for name in NUMBERS:
            np.testing.assert_allclose(getattr(ours, name)[i], getattr(one, name), rtol=1e-9, err_msg=name)


@given(data=st.data(), n=st.integers(0, 6), variant=st.sampled_from(VARIANTS))
def test_no_finite_input_raises_warns_or_hangs(data, n, variant):
    method, options = variant
    arrays = [data.draw(st.lists(FINITE, min_size=n, max_size=n)) for _ in range(4)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = mr.fit(*arrays, method=method, **options)
    if result.note and not result.note.startswith("the interval spans"):
        assert all(np.isnan(getattr(result, name)) for name in NUMBERS if name != "n_instruments")
    else:
        assert np.isfinite([result.estimate, result.se]).all() and result.se > 0
        assert result.ci_low <= result.estimate <= result.ci_high and 0 <= result.pvalue <= 1


@pytest.mark.parametrize("method,options", VARIANTS)
def test_many_instruments_and_many_problems(method, options):
    """600 instruments take another way through the medians, and 100 problems several threads."""
    data = random_problem(np.random.default_rng(5), 100, 30)
    batch = mr.ESTIMATORS[method](*data, **options)
    one = mr.fit(*(a[99] for a in data), method=method, **options)
    assert (batch.estimate[99], batch.se[99]) == (one.estimate, one.se)
    large = random_problem(np.random.default_rng(6), 600)
    result = mr.fit(*large, method=method, **options)
    assert result.note == "" and abs(result.estimate - 0.7) < 0.2
