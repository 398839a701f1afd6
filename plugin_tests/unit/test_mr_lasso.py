"""MR-Lasso and the contamination mixture: R's numbers, and slow, obvious versions."""

import json
import pathlib

import numpy as np
import pytest
from scipy import stats

from kipoi_deepmr import mr
from kipoi_deepmr.errors import InputError

DATASETS = {d["name"]: d for d in json.loads(
    (pathlib.Path(__file__).parents[1] / "data" / "mr_reference.json").read_text(encoding="utf-8"))["datasets"]}
EXACT_FITS = ("edge_exact_fit", "edge_large_outlier")  # the valid ratios are equal, and R's standard error is NaN


def inputs(name):
    return [np.array(DATASETS[name]["inputs"][key], float).ravel() for key in ("bx", "sx", "by", "sy")]


def problem(seed, n, outliers=3):
    rng = np.random.default_rng(seed)
    bx, sy = rng.uniform(0.2, 2.0, n) * rng.choice([-1, 1], n), rng.uniform(0.05, 0.3, n)
    by = 0.5 * bx + sy * rng.standard_normal(n)
    by[:outliers] += rng.uniform(3, 20, outliers) * sy[:outliers]
    return bx, sy, by, sy


# --- lasso -----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", [name for name in DATASETS if "MR.lasso" in DATASETS[name]["results"]])
def test_lasso(name):
    theirs, ours = DATASETS[name]["results"]["MR.lasso"], mr.fit(*inputs(name), method="lasso")
    if "error" in theirs:
        assert name == "sim_n1" and ours.note == "1 instrument, needs 2"
        return
    np.testing.assert_allclose(ours.estimate, theirs["Estimate"], rtol=1e-9)
    if name in EXACT_FITS:
        assert ours.note == "" and ours.residual_se < 1e-12
        return
    for field, key in (("se", "StdError"), ("ci_low", "CILower"), ("ci_high", "CIUpper")):
        np.testing.assert_allclose(getattr(ours, field), theirs[key], rtol=1e-9)
    np.testing.assert_allclose(ours.pvalue, theirs["Pvalue"], rtol=1e-9, atol=1e-300)
    # R sets the by of an instrument of bx = 0 to 0; ours keeps it, and here it is an outlier
    assert ours.q_df + 1 == theirs["Valid"] - (name == "edge_zero_bx")


def coordinate_descent(design, y, penalty, weights, a, sweeps=3000):
    """Coefficients that minimize |y - design a|^2 / (2 n) + penalty sum weights |a|, one after the other."""
    n, a, residual = len(y), a.copy(), y - design @ a
    squares = (design ** 2).sum(0) / n
    for _ in range(sweeps):
        before = a.copy()
        for j in range(len(a)):
            gradient = design[:, j] @ residual / n + squares[j] * a[j]
            new = np.sign(gradient) * max(abs(gradient) - penalty * weights[j], 0) / squares[j]
            residual += design[:, j] * (a[j] - new)
            a[j] = new
        if np.abs(a - before).max() < 1e-12:
            break
    return a


def slow_lasso(bx, by, sy):
    """mr_lasso by its own steps, on the path of penalties of glmnet."""
    by, bx, n = by * np.sign(bx), np.abs(bx), len(bx)
    b = bx / sy
    project = np.eye(n) - np.outer(b, b) / (b @ b)
    design, y = project / sy, project @ (by / sy)
    weights = design.std(0)
    largest = (np.abs(design.T @ y) / n / weights).max()
    valid, gains, a = [], [], np.zeros(n)
    for penalty in largest * 1e-4 ** (np.arange(100) / 99):
        a = coordinate_descent(design, y, penalty * (1 + 1e-12), weights, a)
        valid.append(a == 0)
        gains.append(1 - ((y - design @ a) ** 2).sum() / (y @ y))
        if len(gains) >= 5 and (gains[-1] - gains[-2] < 1e-5 * gains[-1] or gains[-1] > 0.999):
            break
    fits = [np.linalg.lstsq(b[v, None], (by / sy)[v], rcond=None) for v in valid]
    sigma = [np.sqrt(f[1][0] / (v.sum() - 1)) if v.sum() > 1 else np.nan for f, v in zip(fits, valid, strict=True)]
    jumps = [m + 1 for m in range(len(valid) - 1)
             if sigma[m] > 1 and sigma[m] - sigma[m + 1] > stats.chi2.isf(0.05, 1) / valid[m].sum()]
    chosen = max(jumps, default=0)
    while valid[chosen].sum() < 2:
        chosen -= 1
    v = valid[chosen]
    return fits[chosen][0][0], max(sigma[chosen], 1) / np.sqrt(b[v] @ b[v]), v.sum()


@pytest.mark.parametrize("seed", range(5))
def test_lasso_by_coordinate_descent(seed):
    bx, sx, by, sy = problem(seed, 6 + 2 * seed)
    ours = mr.fit(bx, sx, by, sy, method="lasso")
    estimate, se, kept = slow_lasso(bx, by, sy)
    assert ours.q_df + 1 == kept < len(bx)
    np.testing.assert_allclose([ours.estimate, ours.se], [estimate, se], rtol=1e-9)


def test_lasso_leaves_outliers_out():
    bx, sx, by, sy = problem(1, 30, outliers=6)
    ours = mr.fit(bx, sx, by, sy, method="lasso")
    clean = mr.fit(bx[6:], sx[6:], by[6:], sy[6:], method="ivw")
    assert ours.q_df == 23
    np.testing.assert_allclose([ours.estimate, ours.se, ours.q], [clean.estimate, clean.se, clean.q], rtol=1e-9)


# --- contamination mixture -------------------------------------------------------------------------------------------

def mixture_on_grid(bx, by, sy, grid, psi, alpha=0.05):
    """mr_conmix by its own steps: estimate, interval's points, and the p-value with the overdispersion put right."""
    ratio, se = by / bx, np.abs(sy / bx)
    psi = 1.5 * ratio.std(ddof=1) if psi is None else psi
    excluded = stats.norm.logpdf(ratio, 0, np.hypot(psi, se))

    def profiled(theta):
        return np.maximum(stats.norm.logpdf(ratio, theta[:, None], se), excluded).sum(1)

    profile = profiled(grid)
    best = grid[profile.argmax()]
    valid, phi2 = stats.norm.logpdf(ratio, best, se) > excluded, 1.0
    if valid.sum() > 1:
        mean = np.average(ratio[valid], weights=se[valid] ** -2)
        phi2 = max((((ratio[valid] - mean) / se[valid]) ** 2).sum() / (valid.sum() - 1), 1)
    points = grid[2 * profile > 2 * profile.max() - stats.chi2.isf(alpha, 1) * phi2]
    return best, points, stats.chi2.sf(2 * (profile.max() - profiled(np.zeros(1))[0]) / phi2, 1), phi2


CONMIX = [(name, key) for name in DATASETS for key, record in DATASETS[name]["results"].items()
          if key.startswith("MR.conmix") and "Estimate" in record]


@pytest.mark.parametrize("name,key", CONMIX)
def test_contamination_mixture(name, key):
    theirs = DATASETS[name]["results"][key]
    bx, sx, by, sy = inputs(name)
    low, high, step = theirs["CIMin"], theirs["CIMax"], theirs["CIStep"]
    psi = 1.0 if "psi1" in key else None
    ours = mr.fit(bx, sx, by, sy, "contamination_mixture", invalid_sd=psi, ci_min=low, ci_max=high)
    # R's numbers lie on its grid: the nearest points to the exact ones
    assert abs(ours.estimate - theirs["Estimate"]) <= 0.51 * step
    starts, ends = np.atleast_1d(theirs["CILower"]), np.atleast_1d(theirs["CIUpper"])
    assert -1e-9 <= (starts[0] - ours.ci_low) / step <= 1.01 and -1e-9 <= (ours.ci_high - ends[-1]) / step <= 1.01
    assert ours.note == ("" if len(starts) == 1 else f"the interval spans {len(starts)} separate ones")
    assert abs(ours.se - (ours.ci_high - ours.ci_low) / 2 / stats.norm.isf(0.025)) < 1e-12
    if (high - low) / step < 5000:
        grid = low + step * np.arange(int((high - low) / step + 1e-9) + 1)
        best, points, pvalue, phi2 = mixture_on_grid(bx, by, sy, grid, psi)
        np.testing.assert_allclose([best, points[0], points[-1]], [theirs["Estimate"], starts[0], ends[-1]], rtol=1e-9)
        np.testing.assert_allclose(np.log(ours.pvalue), np.log(pvalue), rtol=2 * step)
        if phi2 == 1:  # else R multiplies by the overdispersion where its interval divides by it
            np.testing.assert_allclose(np.log(ours.pvalue), np.log(theirs["Pvalue"]), rtol=2 * step)


@pytest.mark.parametrize("n", [2, 4, 12])
@pytest.mark.parametrize("seed", range(5))
def test_the_mixture_is_exact(seed, n):
    """A fine grid around our maximum and ends finds nothing better, and the ends where they are."""
    bx, sx, by, sy = problem(seed, n, outliers=n // 3)
    ours = mr.fit(bx, sx, by, sy, "contamination_mixture", ci_min=-3.0, ci_max=3.0)
    grid = np.linspace(-3, 3, 30001)
    best, points, pvalue, _ = mixture_on_grid(bx, by, sy, grid, None)
    np.testing.assert_allclose([ours.estimate, ours.ci_low, ours.ci_high], [best, points[0], points[-1]], atol=2.1e-4)
    np.testing.assert_allclose(ours.pvalue, pvalue, rtol=2e-4)
    assert (ours.note == "") == (np.diff(points).max() < 3e-4)


def test_effects_of_any_size():
    """Slopes of 1e-5: an absolute grid of 0.01 would see none of this."""
    bx, sx, by, sy = problem(0, 12)
    large, small = (mr.fit(bx, sx, by * f, sy * f, "contamination_mixture") for f in (1.0, 1e-5))
    np.testing.assert_allclose([small.estimate, small.ci_low, small.ci_high],
                               1e-5 * np.array([large.estimate, large.ci_low, large.ci_high]), rtol=1e-9)
    np.testing.assert_allclose(small.pvalue, large.pvalue, rtol=1e-9)


def test_interval_and_pvalue_agree():
    rng = np.random.default_rng(2)
    for seed in range(60):
        bx, sx, by, sy = problem(seed, 10)
        by -= bx * rng.uniform(0.3, 0.7)
        ours = mr.fit(bx, sx, by, sy, "contamination_mixture", ci_min=-5, ci_max=5)
        if ours.note == "":
            assert (ours.pvalue < 0.05) == (not ours.ci_low <= 0 <= ours.ci_high)


def test_one_instrument():
    assert mr.fit([1.0], [0.1], [0.5], [0.1], "contamination_mixture").note == "1 instrument, needs 2"
    one = mr.fit([1.0], [0.1], [0.5], [0.1], "contamination_mixture", invalid_sd=1.0)
    np.testing.assert_allclose([one.estimate, one.ci_low, one.ci_high], 0.5 + 0.1 * stats.norm.isf(0.025)
                               * np.array([0, -1, 1]), rtol=1e-12)
    assert mr.fit([1.0, 0.0], [0.1] * 2, [0.5] * 2, [0.1] * 2,
                  "contamination_mixture").note == "an exposure effect is zero"
    assert mr.fit([1.0, 1.0], [0.1] * 2, [0.0] * 2, [0.1] * 2,
                  "contamination_mixture").note == "no causal effect is likelier than none"


@pytest.mark.parametrize("options,message", [
    ({"invalid_sd": 0.0}, "invalid_sd must be a number above 0, not 0.0"),
    ({"ci_min": 1.0, "ci_max": 1.0}, "ci_min must be below ci_max, but they are 1.0 and 1.0"),
    ({"alpha": 1.0}, "alpha must be between 0 and 1"),
])
def test_bad_options(options, message):
    with pytest.raises(InputError, match=message):
        mr.fit(*problem(0, 5), "contamination_mixture", **options)
