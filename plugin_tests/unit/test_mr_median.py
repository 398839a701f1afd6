"""Medians and modes of the Wald ratios: R's numbers, and slow, obvious versions of bootstrap and density()."""

import json
import pathlib

import numpy as np
import pytest
from scipy import stats

from kipoi_deepmr import mr
from kipoi_deepmr.errors import InputError

DATASETS = {d["name"]: d for d in json.loads(
    (pathlib.Path(__file__).parents[1] / "data" / "mr_reference.json").read_text(encoding="utf-8"))["datasets"]}
MEDIANS = {
    "MR.median.simple": ("median_simple", {}),
    "MR.median.weighted": ("median_weighted", {}),
    "MR.median.penalized": ("median_penalized", {}),
    "TSMR.mr_simple_median": ("median_simple", {}),
    "TSMR.mr_weighted_median": ("median_weighted", {"weights": "delta"}),
    "TSMR.mr_penalised_weighted_median": ("median_penalized", {"weights": "delta"}),
}
MODES = {
    "MR.mbe.unweighted.simple": ("mode_simple", {"weights": "simple"}),
    "MR.mbe.unweighted.delta": ("mode_simple", {}),
    "MR.mbe.weighted.simple": ("mode_weighted", {"weights": "simple"}),
    "MR.mbe.weighted.delta": ("mode_weighted", {}),
    "MR.mbe.weighted.delta.phi0.25": ("mode_weighted", {"phi": 0.25}),
    "MR.mbe.weighted.delta.phi0.5": ("mode_weighted", {"phi": 0.5}),
    "TSMR.mr_mode/Simple mode": ("mode_simple", {}),
    "TSMR.mr_mode/Weighted mode": ("mode_weighted", {}),
    "TSMR.mr_mode/Simple mode (NOME)": ("mode_simple", {"weights": "simple"}),
    "TSMR.mr_mode/Weighted mode (NOME)": ("mode_weighted", {"weights": "simple"}),
}
TIES = "sim_n2", "MR.mbe.unweighted"  # two points are equally high; R gives both


def inputs(name):
    return [DATASETS[name]["inputs"][key] for key in ("bx", "sx", "by", "sy")]


def reference(name, key):
    """Estimate and standard error, or None where R has neither."""
    key, _, part = key.partition("/")
    result = DATASETS[name]["results"].get(key) or {}
    result = result.get(part) if part else result
    estimate, se = (result.get("Estimate", result.get("b")), result.get("StdError", result.get("se"))) if result else (
        None, None)
    return None if estimate in (None, []) else (estimate, se)


@pytest.mark.parametrize("key", MEDIANS)
@pytest.mark.parametrize("name", DATASETS)
def test_median(name, key):
    method, options = MEDIANS[key]
    expected, ours = reference(name, key), mr.fit(*inputs(name), method=method, **options)
    if expected is None:
        assert ours.note == f"{name[-1]} instrument{'s' * (name != 'sim_n1')}, needs 3" or (
            name == "edge_zero_bx" and method == "median_penalized" and ours.note == "")  # R: NaN for an infinite ratio
        return
    np.testing.assert_allclose(ours.estimate, expected[0], rtol=1e-9)
    # 1,000 samples here and up to 10,000 there: standard deviations of 2.2 % and 0.7 to 2.2 %
    np.testing.assert_allclose(ours.se, expected[1], rtol=0.13)


@pytest.mark.parametrize("name,key", [(name, key) for name in DATASETS for key in MODES
                                      if key.partition("/")[0] in DATASETS[name]["results"]])
def test_mode(name, key):
    method, options = MODES[key]
    expected, ours = reference(name, key), mr.fit(*inputs(name), method=method, n_bootstrap=2, **options)
    if expected is None:
        assert ours.note or name in ("edge_exact_fit", "edge_large_outlier", "sim_n2")
        return
    estimate = expected[0][0] if (name, key[:17]) == TIES else expected[0]
    # TwoSampleMR sets a bandwidth of 0 to 1e-8, and the highest point of its grid is 3 of these beside the mode
    np.testing.assert_allclose(ours.estimate, estimate, rtol=1e-7 if name == "edge_large_outlier" else 1e-9)


@pytest.mark.parametrize("key", MODES)
@pytest.mark.parametrize("name", ["ldlc_chd", "calcium_fastgluc", "bmi_sbp", "presso_E1", "sim_n5_balanced",
                                  "sim_n10_directional", "sim_n50_outliers", "edge_equal_bx"])
def test_bootstrap_of_the_mode(name, key):
    """R's standard error, of 300 to 10,000 samples, is as far from ours as one seed's from another's."""
    method, options = MODES[key]
    samples = min(DATASETS[name]["results"][key.partition("/")[0]].get("iterations", 1000), 1000)
    ours = np.log([mr.fit(*inputs(name), method=method, n_bootstrap=samples, seed=s, **options).se for s in range(10)])
    assert abs(np.log(reference(name, key)[1]) - ours.mean()) < 4.5 * max(ours.std(ddof=1), 0.02)


def test_an_instrument_without_effect_has_an_infinite_ratio_as_in_r():
    for method in ("mode_simple", "mode_weighted"):
        assert mr.fit(*inputs("edge_zero_bx"), method=method).note == "an exposure effect is zero"
    bx, sx, by, sy = (np.array(a) for a in inputs("edge_zero_bx"))
    with_it, without = (mr.fit(bx[i:], sx[i:], by[i:], sy[i:], method="median_weighted").estimate for i in (0, 1))
    np.testing.assert_allclose(with_it, without, rtol=1e-12)


# --- slow, obvious versions ------------------------------------------------------------------------------------------

def weighted_median(ratio, w):
    order = np.argsort(ratio)
    ratio, w = ratio[order], w[order]
    middle = (np.cumsum(w) - w / 2) / w.sum()
    return np.interp(0.5, middle, ratio)


def problem(seed, n):
    rng = np.random.default_rng(seed)
    bx, by = rng.normal(size=(2, n))
    sx, sy = rng.uniform(0.05, 0.5, size=(2, n))
    return bx, sx, by + 0.7 * bx, sy


@pytest.mark.parametrize("n", [3, 4, 15, 24, 25, 26, 60, 333])
@pytest.mark.parametrize("weighted", [False, True])
def test_bootstrapped_medians_one_by_one(n, weighted):
    """The same draws, in the order of the ratios, through numpy's interpolation."""
    bx, sx, by, sy = problem(n, n)
    w = (bx / sy) ** 2 if weighted else np.ones(n)
    draws = np.random.default_rng(7).standard_normal((n, 2, 50))
    order = np.argsort(by / bx)
    x, u, y, s = (np.abs(bx)[order], sx[order], (by * np.sign(bx))[order], sy[order])
    medians = [weighted_median((y + s * draws[:, 1, b]) / (x + u * draws[:, 0, b]), w[order]) for b in range(50)]
    ours = mr.fit(bx, sx, by, sy, "median_weighted" if weighted else "median_simple", n_bootstrap=50, seed=7)
    np.testing.assert_allclose(ours.estimate, weighted_median(by / bx, w), rtol=1e-12)
    np.testing.assert_allclose(ours.se, np.std(medians, ddof=1), rtol=1e-9)
    np.testing.assert_allclose([ours.ci_low, ours.ci_high],
                               ours.estimate + np.array([-1, 1]) * stats.norm.isf(0.025) * ours.se, rtol=1e-12)
    np.testing.assert_allclose(ours.pvalue, 2 * stats.norm.sf(abs(ours.estimate / ours.se)), rtol=1e-12)


def r_mode(ratio, w, phi):
    """The highest point of R's density(ratio, weights = w, bw = h), by its own steps."""
    mad = 1.4826 * np.median(np.abs(ratio - np.median(ratio)))
    h = 0.9 * min(ratio.std(ddof=1), mad) / len(ratio) ** 0.2 * phi
    start, end = ratio.min() - 3 * h, ratio.max() + 3 * h
    low, high = start - 4 * h, end + 4 * h
    y = np.zeros(1024)
    place = (ratio - low) / (high - low) * 511
    left = np.floor(place).astype(int)
    np.add.at(y, left, w / w.sum() * (1 - (place - left)))
    np.add.at(y, left + 1, w / w.sum() * (place - left))
    distance = np.linspace(0, 2 * (high - low), 1024)
    distance[513:] = -distance[511:0:-1]
    bell = stats.norm.pdf(distance / h) / h
    density = np.fft.ifft(np.fft.fft(y) * np.conj(np.fft.fft(bell))).real[:512]
    x = np.linspace(start, end, 512)
    return x[np.argmax(np.interp(x, np.linspace(low, high, 512), density))]


@pytest.mark.parametrize("n", [3, 10, 40, 150])
@pytest.mark.parametrize("phi", [0.02, 0.3, 1.0, 3.0])
def test_bootstrapped_modes_one_by_one(n, phi):
    bx, sx, by, sy = problem(n + 50, n)
    ratio = by / bx
    order = np.argsort(ratio)
    ratio, w = ratio[order], (1 / (sy ** 2 / bx ** 2 + by ** 2 * sx ** 2 / bx ** 4))[order]
    draws = np.random.default_rng(3).standard_normal((n, 2, 40))[:, 0]
    modes = np.array([r_mode(ratio + draws[:, b] / np.sqrt(w), w, phi) for b in range(40)])
    ours = mr.fit(bx, sx, by, sy, "mode_weighted", phi=phi, n_bootstrap=40, seed=3)
    np.testing.assert_allclose(ours.estimate, r_mode(ratio, w, phi), rtol=1e-12)
    np.testing.assert_allclose(ours.se, 1.4826 * np.median(np.abs(modes - np.median(modes))), rtol=1e-9)
    assert ours.phi == phi


def test_the_bootstrap_measures_the_spread_of_repeated_experiments():
    """Strong instruments: medians of independent data vary as their bootstrap standard errors say (within 10 %)."""
    rng = np.random.default_rng(0)
    bx = rng.uniform(1.0, 2.0, 21)
    sx, sy = np.full((2, 2000, 21), 0.05)
    observed = bx + 0.05 * rng.standard_normal((2000, 21)), 0.5 * bx + 0.05 * rng.standard_normal((2000, 21))
    result = mr.ESTIMATORS["median_weighted"](observed[0], sx, observed[1], sy, n_bootstrap=200)
    # the bootstrap adds the noise to observed data that already hold it once: theory for the median of normal ratios
    # with spread s resampled with spread s gives at most sqrt(2) of the truth
    truth = result.estimate.std(ddof=1)
    assert 1.0 * truth < result.se.mean() < 1.45 * truth


def test_seeds_and_batches():
    data = [np.stack(a) for a in zip(*(problem(s, 15) for s in range(40)), strict=True)]
    for method in ("median_weighted", "mode_weighted"):
        batch = mr.ESTIMATORS[method](*data, n_bootstrap=100)
        alone = mr.fit(*(a[17] for a in data), method=method, n_bootstrap=100)
        assert (batch.estimate[17], batch.se[17]) == (alone.estimate, alone.se)
        other = mr.ESTIMATORS[method](*data, n_bootstrap=100, seed=1)
        assert (other.estimate == batch.estimate).all() and (other.se != batch.se).all()


def test_ratios_that_agree_have_a_mode():
    bx = np.array([1.0, 2.0, -3.0, 0.7])
    result = mr.fit(bx, [0.1] * 4, 0.3 * bx, [0.1] * 4, method="mode_weighted")
    assert result.note == "" and result.se > 0
    np.testing.assert_allclose(result.estimate, 0.3, rtol=1e-15)


@pytest.mark.parametrize("options,message", [
    ({"n_bootstrap": 1}, "n_bootstrap must be a whole number of at least 2, not 1"),
    ({"n_bootstrap": 10.5}, "n_bootstrap must be a whole number of at least 2, not 10.5"),
    ({"seed": -1}, "seed must be a whole number of at least 0, not -1"),
    ({"weights": "dleta"}, 'did you mean "delta"'),
])
@pytest.mark.parametrize("method", ["median_weighted", "median_penalized", "mode_weighted", "mode_simple"])
def test_bad_options(method, options, message):
    with pytest.raises(InputError, match=message):
        mr.fit(*inputs("ldlc_chd"), method=method, **options)


def test_bad_bandwidth():
    with pytest.raises(InputError, match="phi must be a number above 0, not 0"):
        mr.fit(*inputs("ldlc_chd"), method="mode_simple", phi=0)
