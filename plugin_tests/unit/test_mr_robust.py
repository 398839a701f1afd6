"""MM-regression: against a slow, obvious lmrob, under symmetries, with outliers, and where there is no answer."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mr_problems import FINITE
from profiles import fewer
from scipy import optimize

from kipoi_deepmr import mr

C_CHI, C_PSI = 1.54764, 4.685061
NUMBERS = ("estimate", "se", "ci_low", "ci_high", "pvalue", "intercept", "intercept_se", "residual_se", "q")
VARIANTS = [("egger_robust", {}), ("egger_robust", {"penalized": True, "distribution": "t"}), ("ivw", {"robust": True}),
            ("ivw", {"robust": True, "penalized": True, "weights": "delta", "model": "fixed"}),
            ("ivw", {"penalized": True}), ("egger", {"penalized": True})]


def random_problem(rng, *shape, outliers=0.2):
    bx, sx = rng.uniform(0.2, 2.0, shape) * rng.choice([-1, 1], shape), rng.uniform(0.05, 0.2, shape)
    sy = rng.uniform(0.1, 0.5, shape)
    by = 0.7 * bx + rng.normal(size=shape) * sy + (rng.random(shape) < outliers) * rng.normal(2, 2, shape)
    return bx, sx, by, sy


# --- the slow, obvious version ---------------------------------------------------------------------------------------

def bisquare_chi(r):
    return 1 - np.maximum(0, 1 - (r / C_CHI) ** 2) ** 3


def weights_of(r, c):
    return np.maximum(0, 1 - (r / c) ** 2) ** 2


def wls(x, y, w):
    return np.linalg.solve(x.T @ (x * w[:, None]), x.T @ (w * y))


def refine(x, y, beta, scale, steps, tolerance=1e-7):
    """lmrob's refine_fast_s: one step of the scale, then one of the coefficients."""
    n, p = x.shape
    for _ in range(steps):
        scale *= np.sqrt(2 * bisquare_chi((y - x @ beta) / scale).sum() / (n - p))
        new = wls(x, y, weights_of((y - x @ beta) / scale, C_CHI))
        done = np.linalg.norm(new - beta) <= tolerance * np.linalg.norm(beta)
        beta = new
        if done:
            break
    return beta, scale


def m_scale(r, p):
    def excess(scale):
        return 2 * bisquare_chi(r / scale).sum() - (len(r) - p)

    return optimize.brentq(excess, 1e-9 * np.abs(r).max(), 1e3 * np.abs(r).max(), rtol=1e-10)


def slow_lmrob(x, y, kept=2):
    """lmrob(y ~ x - 1) from every subset of p rows: coefficients, standard errors, scale."""
    n, p = x.shape
    starts = []
    for rows in itertools.combinations(range(n), p):
        beta = np.linalg.solve(x[list(rows)], y[list(rows)])
        beta, _ = refine(x, y, beta, 1.4826 * np.median(np.abs(y - x @ beta)), 1)
        starts.append((m_scale(y - x @ beta, p), tuple(beta)))
    beta_s, scale = min((refine(x, y, np.array(b), s, 500) for s, b in sorted(starts)[:kept]), key=lambda fit: fit[1])
    beta = beta_s
    for _ in range(200):
        beta = wls(x, y, weights_of((y - x @ beta) / scale, C_PSI))
    return beta, np.sqrt(np.diag(avar1(x, (y - x @ beta) / scale, (y - x @ beta_s) / scale, scale))), scale


def avar1(x, r, r0, scale):
    """The matrices of robustbase's .vcov.avar1, in its own names."""
    n = len(r)
    inside = np.maximum(0, 1 - (r / C_PSI) ** 2)
    psi, dpsi = r * inside ** 2, inside * (1 - 5 * (r / C_PSI) ** 2)
    chi, dchi = bisquare_chi(r0), 6 / C_CHI ** 2 * r0 * weights_of(r0, C_CHI)
    A = np.linalg.inv(x.T @ (x * dpsi[:, None])) * scale
    a = A @ (x.T @ (dpsi * r)) / np.mean(dchi * r0)
    xww = x.T @ (psi * chi)
    u1 = A @ (x.T @ (x * (psi ** 2)[:, None])) @ (n * A)
    u2, u3 = np.outer(a, A @ xww), np.outer(A @ xww, a)
    return (u1 - u2 - u3 + np.mean(chi ** 2 - 0.25) * np.outer(a, a)) / n


@pytest.mark.parametrize("n", [6, 7, 9, 14])
@pytest.mark.parametrize("method,options", [("egger_robust", {}), ("ivw", {"robust": True, "model": "random"})])
def test_against_a_slow_lmrob(method, options, n):
    rng = np.random.default_rng(n)
    for _ in range(4):
        bx, sx, by, sy = random_problem(rng, n)
        x, y = np.abs(bx) / sy, by * np.sign(bx) / sy
        x = np.stack([x, 1 / sy], 1) if method == "egger_robust" else x[:, None]
        beta, se, scale = slow_lmrob(x, y)
        ours = mr.fit(bx, sx, by, sy, method, **options)
        np.testing.assert_allclose([ours.estimate, ours.se, ours.residual_se],
                                   [beta[0], se[0] / min(scale, 1), scale], rtol=1e-5)
        if method == "egger_robust":
            np.testing.assert_allclose([ours.intercept, ours.intercept_se, ours.q],
                                       [beta[1], se[1] / min(scale, 1), np.sum((y - x @ beta) ** 2)], rtol=1e-5)


@pytest.mark.parametrize("seed", range(2))
def test_no_line_of_many_instruments_has_a_smaller_scale(seed):
    """With 25 instruments our search starts from 136 of the 300 pairs; a fit from all of them finds nothing better."""
    bx, sx, by, sy = random_problem(np.random.default_rng(seed), 25, outliers=0.35)
    x, y = np.stack([np.abs(bx), np.ones(25)], 1) / sy[:, None], by * np.sign(bx) / sy
    _, _, smallest = slow_lmrob(x, y, kept=10)
    np.testing.assert_allclose(mr.fit(bx, sx, by, sy, "egger_robust").residual_se, smallest, rtol=1e-5)


# --- batches ---------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("junk", [0.0, np.nan, np.inf])
@pytest.mark.parametrize("method,options", VARIANTS)
def test_batches_equal_single_fits(method, options, junk):
    """Also beside problems without an answer, with masked-out junk, and in several threads."""
    rng = np.random.default_rng(1)
    data = [np.array(a) for a in random_problem(rng, 9, 10, 30)]
    mask = rng.random((9, 10, 30)) < rng.uniform(0.05, 0.9, (9, 10, 1))
    for a in data:
        a[~mask] = junk
    ours = mr.ESTIMATORS[method](*data, mask, **options)
    for i in np.ndindex(9, 10):
        one = mr.fit(*(a[i][mask[i]] for a in data), method=method, **options)
        assert one.note == ours.note[i]
        for name in NUMBERS:
            # sums over padded arrays round differently, which nearly singular problems magnify
            np.testing.assert_allclose(getattr(ours, name)[i], getattr(one, name), rtol=1e-5)


def test_batch_broadcasts():
    bx, sx, _, _ = random_problem(np.random.default_rng(2), 3, 1, 12)
    _, _, by, sy = random_problem(np.random.default_rng(3), 3, 4, 12)
    ours = mr.ESTIMATORS["egger_robust"](bx, sx, by, sy)
    assert ours.estimate.shape == (3, 4)
    assert ours.estimate[1, 2] == mr.fit(bx[1, 0], sx[1, 0], by[1, 2], sy[1, 2], "egger_robust").estimate


# --- symmetries ------------------------------------------------------------------------------------------------------

SCALED = ("estimate", "se", "ci_low", "ci_high", "intercept", "intercept_se")


@given(seed=st.integers(0, 10**6), n=st.integers(6, 40), variant=st.sampled_from(VARIANTS), factor=st.floats(1e-6, 1e6))
@fewer(4)
def test_scaling_the_outcome_scales_the_estimate(seed, n, variant, factor):
    method, options = variant
    bx, sx, by, sy = random_problem(np.random.default_rng(seed), n)
    before, after = (mr.fit(bx, sx, by * f, sy * f, method, **options) for f in (1.0, factor))
    assert before.note == after.note
    for name in NUMBERS:
        unit = factor if name in SCALED else 1.0
        # effects are about 1: a fit whose se is 1e-7 goes through most of its instruments, and its se is of rounding
        np.testing.assert_allclose(getattr(after, name) / unit, getattr(before, name), rtol=1e-5, atol=1e-8)


@given(seed=st.integers(0, 10**6), n=st.integers(6, 40), variant=st.sampled_from(VARIANTS))
@fewer(4)
def test_flipping_signs_and_permuting_instruments_change_nothing(seed, n, variant):
    method, options = variant
    rng = np.random.default_rng(seed)
    bx, sx, by, sy = random_problem(rng, n)
    sign, order = rng.choice([-1.0, 1.0], n), rng.permutation(n)
    before = mr.fit(bx, sx, by, sy, method, **options)
    after = mr.fit((sign * bx)[order], sx[order], (sign * by)[order], sy[order], method, **options)
    assert before.note == after.note
    for name in NUMBERS:
        np.testing.assert_allclose(getattr(after, name), getattr(before, name), rtol=1e-5, atol=1e-8)


@given(seed=st.integers(0, 10**6), n=st.integers(6, 20))
@fewer(4)
def test_duplicates_halve_the_penalized_fixed_variance(seed, n):
    data = random_problem(np.random.default_rng(seed), n, outliers=0.0)
    once, twice = (mr.fit(*(np.tile(a, k) for a in data), "ivw", penalized=True, model="fixed") for k in (1, 2))
    np.testing.assert_allclose([twice.estimate, twice.se], [once.estimate, once.se / np.sqrt(2)], rtol=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_duplicates_halve_the_robust_variance_where_degrees_of_freedom_do_not_matter(seed):
    data = random_problem(np.random.default_rng(seed), 40)
    many, more = (mr.fit(*(np.tile(a, k) for a in data), "egger_robust") for k in (20, 40))
    np.testing.assert_allclose(more.estimate, many.estimate, atol=0.05 * more.se)
    np.testing.assert_allclose(more.se * np.sqrt(2), many.se, rtol=0.02)


# --- what it is for --------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("n", [15, 60])
def test_outliers_do_not_matter(n):
    """A third of the instruments on another line, far off: the rest decide, and least squares is led astray."""
    rng = np.random.default_rng(4)
    bx = rng.uniform(0.2, 2.0, (50, n))
    sy = rng.uniform(0.05, 0.1, (50, n))
    by = 0.3 + 0.7 * bx + rng.normal(size=(50, n)) * sy
    by[:, : n // 3] = 8 - 3 * bx[:, : n // 3]
    robust, plain = (mr.ESTIMATORS[m](bx, sy, by, sy) for m in ("egger_robust", "egger"))
    assert (np.abs(robust.estimate - 0.7) < 5 * robust.se).all() and (np.abs(robust.intercept - 0.3) < 0.3).all()
    assert np.median(np.abs(plain.estimate - 0.7)) > 0.5


def test_penalties_take_weight_from_outliers_only():
    rng = np.random.default_rng(5)
    bx, sx, by, sy = random_problem(rng, 20, outliers=0.0)
    by = 0.7 * bx + 0.5 * sy * rng.choice([-1, 1], 20)
    for method in ("ivw", "egger"):
        plain, penalized = (mr.fit(bx, sx, by, sy, method, penalized=p) for p in (False, True))
        assert plain.estimate == penalized.estimate and plain.se == penalized.se
        assert np.isnan(penalized.q) and penalized.residual_se == plain.residual_se
    by[0] += 30 * sy[0]
    assert abs(mr.fit(bx, sx, by, sy, "ivw", penalized=True).estimate - plain.estimate) < 1e-6 + 2 * plain.se


# --- no answer -------------------------------------------------------------------------------------------------------

X = np.array([1.0, 2, 3, 4, 5, 6])
Y = np.array([0.5, 1.2, 1.4, 2.1, 2.4, 3.2])
S = np.full(6, 0.2)


@pytest.mark.parametrize("data,method,options,note", [
    ((X[:4], S[:4], Y[:4], S[:4]), "egger_robust", {}, "4 instruments, needs 5"),
    ((X[:4], S[:4], Y[:4], S[:4]), "egger", {"robust": True}, "4 instruments, needs 5"),
    ((X[:0],) * 4, "ivw", {"robust": True}, "0 instruments, needs 1"),
    ((X, S, 0.5 * X, S), "egger_robust", {}, "more than half of the instruments lie exactly on one line"),
    ((X, S, [0.5, 1, 1.5, 2, 9, 7], S), "egger_robust", {},
     "more than half of the instruments lie exactly on one line"),
    ((X, S, 0 * X, S), "ivw", {"robust": True}, "more than half of the instruments lie exactly on one line"),
    ((0 * X + 1, S, Y, S), "egger_robust", {}, "no variation in the exposure effects"),
    ((0 * X, S, Y, S), "ivw", {"robust": True}, "all exposure effects are zero"),
    ((0 * X, S, Y, S), "ivw", {"penalized": True}, "all exposure effects are zero"),
    ((X, S, Y, [0, *S[1:]]), "egger_robust", {}, "a standard error is zero"),
    ((X, S, [np.nan, *Y[1:]], S), "egger_robust", {}, "an effect is not a finite number"),
    ((X, S, [99, -99, 99, -99, 99, -99], 0.001 * S), "egger", {"penalized": True},
     "penalties leave too few instruments a weight"),
    ((X[:2], S[:2], [99, -99], 0.001 * S[:2]), "ivw", {"penalized": True},
     "penalties leave too few instruments a weight"),
])
def test_impossible_problems_say_why(data, method, options, note):
    result = mr.fit(*data, method=method, **options)
    assert result.note == note
    assert np.isnan([getattr(result, name) for name in NUMBERS]).all()


def test_one_instrument_has_nothing_to_be_robust_against():
    plain, robust = (mr.fit(X[:1], S[:1], Y[:1], S[:1], "ivw", robust=r, penalized=r) for r in (False, True))
    assert (robust.estimate, robust.se, robust.note) == (plain.estimate, plain.se, "")


@given(problem=st.integers(0, 12).flatmap(lambda n: st.lists(st.tuples(*[FINITE] * 4), min_size=n, max_size=n)),
       variant=st.sampled_from(VARIANTS))
def test_finite_numbers_never_raise(problem, variant):
    method, options = variant
    bx, sx, by, sy = np.array(problem).reshape(-1, 4).T
    result = mr.fit(bx, np.abs(sx), by, np.abs(sy), method, **options)
    assert result.note or np.isfinite([result.estimate, result.se, result.ci_low, result.ci_high]).all()
