"""Moderated standard errors against limma's published formulas, and what they do to fits."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mr_problems import MARKS, made_data, made_loci
from scipy import optimize, special, stats

from kipoi_deepmr import effects_store, instruments, mr
from kipoi_deepmr.effects_store import blocks
from kipoi_deepmr.errors import InputError
from kipoi_deepmr.instruments import moderation, trend


def by_the_paper(variances, df):
    """Prior df and variance by Smyth (2004), section 6.2, in its own words, the trigamma inverted by bisection."""
    z = np.log(variances)
    e = z - special.psi(df / 2) + np.log(df / 2)
    target = np.mean((e - e.mean()) ** 2 * len(e) / (len(e) - 1) - special.polygamma(1, df / 2))
    half = optimize.brentq(lambda y: special.polygamma(1, y) - target, 1e-4, 1e8, xtol=1e-14, rtol=1e-14)
    return 2 * half, np.exp(e.mean() + special.psi(half) - np.log(half))


def drawn(rng, n, df, prior_df, prior_variance):
    """Variances of `df` degrees of freedom whose true values follow the prior."""
    true = prior_variance * prior_df / rng.chisquare(prior_df, n) if np.isfinite(prior_df) else prior_variance
    return true * rng.chisquare(df, n) / df


@pytest.mark.parametrize("df", [1, 2, 4, 20])
@pytest.mark.parametrize("prior_df", [0.5, 3.0, 30.0])
@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e9])
def test_prior_against_the_paper(df, prior_df, scale):
    variances = drawn(np.random.default_rng(3), 4000, df, prior_df, scale)
    expected = by_the_paper(np.maximum(variances, 1e-5 * np.median(variances)), df)
    np.testing.assert_allclose(instruments.fit_prior(variances, df), expected, rtol=1e-8)


def test_priors_of_many_rows_are_those_of_each():
    """Whatever the other rows are, to the last bit; left out are numbers that are no variances."""
    rng = np.random.default_rng(8)
    variances = rng.chisquare(4, (30, 40)) * rng.lognormal(0, rng.uniform(0, 2, (30, 1)), (30, 40))
    variances[rng.random(variances.shape) < 0.2] = np.nan
    variances[0], variances[1, 1:], variances[2] = 0, np.nan, 3.0
    for layout in (np.ascontiguousarray, np.asfortranarray):
        together = np.transpose(instruments.fit_prior(layout(variances), 4))
        np.testing.assert_array_equal(together, [instruments.fit_prior(row, 4) for row in variances])
    assert together[0, 0] == together[1, 0] == 0 and together[2].tolist() == [np.inf, 3.0]


def test_prior_by_hand():
    """Two variances of two degrees of freedom: the whole computation on paper.

    e = log(v) + gamma, since digamma(1) = -gamma and log(1) = 0; e's variance is log(9)^2 / 2 = 2.4139, less
    trigamma(1) = pi^2 / 6 leaves 0.76899, and trigamma(y) is that at y = 1.7414.
    """
    prior_df, prior_variance = instruments.fit_prior(np.array([1.0, 9.0]), 2)
    left = np.log(9) ** 2 / 2 - np.pi ** 2 / 6
    half = prior_df / 2
    np.testing.assert_allclose(half, 1.7414, atol=1e-4)
    np.testing.assert_allclose(special.zeta(2, half), left, rtol=1e-12)
    mean = np.log(3) + np.euler_gamma
    np.testing.assert_allclose(prior_variance, np.exp(mean + special.psi(half)) / half, rtol=1e-12)
    moderation = instruments.Moderation(2.0, np.array([prior_df]), np.array([prior_variance]))
    squeezed = moderation.moderated([[1.0], [3.0]]) ** 2
    expected = [(2 * v + prior_df * prior_variance) / (2 + prior_df) for v in (1.0, 9.0)]
    np.testing.assert_allclose(squeezed[:, 0], expected, rtol=1e-12)


@pytest.mark.parametrize("prior_df", [2.0, 8.0])
def test_the_prior_that_variances_were_drawn_from_is_found(prior_df):
    """80,000 variances: the prior's degrees of freedom within 5 %, its scale within 2 %."""
    found_df, found_variance = instruments.fit_prior(drawn(np.random.default_rng(0), 80_000, 4, prior_df, 0.3), 4)
    assert found_df == pytest.approx(prior_df, rel=0.05) and found_variance == pytest.approx(0.3, rel=0.02)


def test_equal_true_variances_give_an_infinite_prior():
    variances = np.random.default_rng(5).chisquare(4, 300) / 4
    variances = np.sort(variances)[30:-30]  # less spread than chance has
    prior_df, prior_variance = instruments.fit_prior(variances, 4)
    assert prior_df == np.inf and prior_variance == variances.mean()
    moderation = instruments.Moderation(4.0, np.array([prior_df]), np.array([prior_variance]))
    np.testing.assert_allclose(moderation.moderated([[0.0], [5.0]])[:, 0], np.sqrt(prior_variance), rtol=1e-14)
    assert moderation.total_df == np.inf


@pytest.mark.parametrize("variances", [[], [1.0], [np.nan, np.inf, 2.0], [0.0, 0.0, 1.0]])
def test_too_little_to_go_by_leaves_a_mark_as_it_is(variances):
    prior = instruments.fit_prior(np.array(variances, dtype=float), 4)
    assert prior[0] == 0
    moderation = instruments.Moderation(4.0, *np.array(prior)[:, None])
    assert moderation.moderated([[0.0], [0.3]])[:, 0].tolist() == [0.0, 0.3] and moderation.total_df == 4


def test_zeros_are_not_the_priors_matter_and_get_a_finite_error():
    """A real model leaves a mark exactly alone in most mutants, which say nothing of the others' errors."""
    variances = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 90.0])
    for zeros in (1, 1000):
        with_zeros = np.concatenate([np.zeros(zeros), variances])
        np.testing.assert_allclose(instruments.fit_prior(with_zeros, 4), instruments.fit_prior(variances, 4),
                                   rtol=1e-14)
    np.testing.assert_allclose(instruments.fit_prior(variances, 4), by_the_paper(variances, 4), rtol=1e-10)
    found = instruments.Moderation(4.0, *np.array(instruments.fit_prior(with_zeros, 4))[:, None])
    assert 0 < found.moderated([[0.0]])[0, 0] < found.moderated([[1.0]])[0, 0]


@given(x=st.floats(1e-9, 1e9))
def test_inverse_trigamma(x):
    np.testing.assert_allclose(special.polygamma(1, trend.inverse_trigamma(x)), x, rtol=1e-6)


@given(seed=st.integers(0, 10**6), factor=st.floats(1e-100, 1e100))
def test_scaling_the_variances_scales_the_prior(seed, factor):
    variances = drawn(np.random.default_rng(seed), 50, 4, 3.0, 1.0)
    once, scaled = instruments.fit_prior(variances, 4), instruments.fit_prior(factor * variances, 4)
    np.testing.assert_allclose(scaled, [once[0], factor * once[1]], rtol=1e-9)


@given(st.lists(st.floats(0) | st.just(np.nan), max_size=6), st.integers(1, 30))
def test_no_number_raises(variances, df):
    with np.errstate(over="ignore"):
        prior = instruments.fit_prior(np.array(variances), df)
    assert prior[0] >= 0


@pytest.fixture(scope="module")
def effects():
    """Seven loci of three marks with members; one mark's standard errors are 0 here and there."""
    data = made_data(7, 20, 3)
    rng = np.random.default_rng(1)
    data["effect_se"] = np.sqrt(drawn(rng, data["effect_se"].size, 4, 6.0, 0.04)).reshape(data["effect_se"].shape)
    data["effect_se"][rng.random(data["effect_se"].shape) < 0.05] = 0.0
    data["reference"] = np.zeros((7, 5, 3), "float32")
    return effects_store.dataset(made_loci(7, 20), MARKS, [f"m{k}" for k in range(5)], data)


def test_one_prior_a_mark_over_all_loci(effects, monkeypatch):
    whole = instruments.moderation_for(effects)
    monkeypatch.setattr(moderation, "MARKS_BYTES", 1)  # one mark at a time
    apart = instruments.moderation_for(effects)
    assert whole.df == 4.0
    for mark in range(3):
        expected = instruments.fit_prior(effects["effect_se"].values[..., mark].ravel() ** 2, 4)
        for found in (whole, apart):
            np.testing.assert_allclose([found.prior_df[mark], found.prior_variance[mark]], expected, rtol=1e-14)


def test_the_divisor_of_the_variances_does_not_matter(effects):
    other = effects.copy(deep=True)
    other["effect_se"] = other["effect_se"] * np.sqrt(0.8)  # ddof = 0 instead of 1 for five members
    one, two = map(instruments.moderation_for, (effects, other))
    np.testing.assert_allclose(two.prior_df, one.prior_df, rtol=1e-9)
    np.testing.assert_allclose(two.prior_variance, 0.8 * one.prior_variance, rtol=1e-9)


@pytest.mark.parametrize("rule,z", [("pooled", 2.0), ("own", 3.0)])
def test_fits_take_the_moderated_standard_errors(effects, rule, z):
    """The same as fits of a Dataset that holds them; an outcome's standard error of 0 is then no reason."""
    before = mr.fit_pairs(effects, method=["ivw", "egger"], instruments=rule, instrument_z=z)
    assert (before["note"] == "a standard error is zero").any()
    ours = mr.fit_pairs(effects, method=["ivw", "egger"], instruments=rule, instrument_z=z, se_shrinkage="moderated")
    assert not (ours["note"] == "a standard error is zero").any() and (ours["note"] == "").sum() > 20
    shrunk = effects.copy(deep=True)
    moderated = instruments.moderation_for(effects).moderated(effects["effect_se"].values)
    shrunk["effect_se"] = effects["effect_se"].dims, moderated
    expected = mr.fit_pairs(shrunk, method=["ivw", "egger"], instruments=rule, instrument_z=z)
    assert ours.equals(expected)


@pytest.mark.parametrize("by_size", [False, True])
def test_moderated_standard_errors_are_a_view(effects, by_size):
    """The Dataset's own stay; any slice of the view is that slice of all; it travels to another process."""
    before, moderation = effects["effect_se"].values.copy(), instruments.moderation_for(effects, by_size)
    view = pickle.loads(pickle.dumps(instruments.moderated(effects, by_size)))
    expected = moderation.moderated(before, effects["effect"].values)
    np.testing.assert_array_equal(view["effect_se"].values, expected)
    np.testing.assert_array_equal(view["effect_se"][2:5, ::7, [2, 0]].values, expected[2:5, ::7, [2, 0]])
    np.testing.assert_array_equal(view["effect_se"][3].values, expected[3])
    np.testing.assert_array_equal(effects["effect_se"].values, before)
    assert instruments.moderation_of(effects) is None
    np.testing.assert_array_equal(instruments.moderation_of(view).prior_df, moderation.prior_df)
    with pytest.raises(InputError, match="already moderated"):
        instruments.moderated(view)


def test_moderated_t_has_the_degrees_of_freedom_that_it_says():
    """Effects of 0: |effect / moderated se| beyond the 5 % quantile of t(total_df) in 5 % of 40,000 mutants."""
    rng = np.random.default_rng(9)
    true = np.sqrt(5.0 / rng.chisquare(5.0, 40_000))
    members = rng.normal(size=(5, 40_000)) * true
    se = members.std(0, ddof=1)
    prior = instruments.fit_prior(se ** 2, 4)
    found = instruments.Moderation(4.0, *np.array(prior)[:, None])
    t = members.mean(0) * np.sqrt(5) / found.moderated(se[:, None])[:, 0]
    beyond = np.mean(np.abs(t) > stats.t.isf(0.025, found.total_df[0]))
    assert abs(beyond - 0.05) < 0.004


def test_bad_choices(effects):
    with pytest.raises(InputError, match='did you mean "moderated"'):
        instruments.with_se_shrinkage(effects, "moderate")
    with pytest.raises(InputError, match="two members or more"):
        instruments.moderation_for(effects.isel(member=[0]))


def sized(rng, n, df, prior_df, constant=0.04, slope=0.5):
    """Effects (n, 2), and variances (n, 2) whose mean grows with the size of the mutant."""
    effect = rng.normal(size=(n, 2)) * np.exp(rng.normal(size=(n, 1))) * [1.0, 30.0]
    square = ((effect / effect.std(0)) ** 2).sum(1)
    true = (constant + slope * square) * prior_df / rng.chisquare(prior_df, n)
    return effect, (true[:, None] * rng.chisquare(df, (n, 2)) / df) * [1.0, 900.0], square


def as_dataset(effect, variance, n_loci, n_members=5):
    """Loci of 60 mutants and two marks."""
    data = made_data(n_loci, 20, 2)
    data["effect"], data["effect_se"] = (a.reshape(n_loci, 60, 2) for a in (effect, np.sqrt(variance)))
    data["reference"] = np.zeros((n_loci, n_members, 2), "float32")
    return effects_store.dataset(made_loci(n_loci, 20), ["A", "B"], [f"m{k}" for k in range(n_members)], data)


def test_the_trend_that_variances_follow_is_found(monkeypatch):
    """60,000 mutants: constant and slope within 6 %, prior degrees of freedom within 15 %; blocks do not matter."""
    effect, variance, square = sized(np.random.default_rng(2), 60_000, 4, 6.0)
    variance[:30_000:3] = 0.0  # zeros change nothing
    found = instruments.moderation_for(as_dataset(effect, variance, 1000), trend=True)
    mean = found.prior_variance * found.prior_df / (found.prior_df - 2)  # of the prior's variances; here 1.5
    np.testing.assert_allclose(found.trend.constant / [1, 900], 0.04 * 1.5, rtol=0.06)
    np.testing.assert_allclose(found.trend.slope / [1, 900], 0.5 * 1.5, rtol=0.06)
    np.testing.assert_allclose(found.prior_df, 6.0, rtol=0.15)
    np.testing.assert_allclose(mean, 1.0, rtol=0.1)
    np.testing.assert_allclose(found.trend.expected(effect)[:, 0], found.trend.constant[0]
                               + found.trend.slope[0] * square, rtol=1e-6)
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 8 * 60 * 2 * 7)  # seven loci
    again = instruments.moderation_for(as_dataset(effect, variance, 1000), trend=True)
    np.testing.assert_allclose(again.trend.slope, found.trend.slope, rtol=1e-9)
    np.testing.assert_allclose(again.prior_df, found.prior_df, rtol=1e-9)


def test_the_trend_against_a_slow_version():
    """Every mutant for itself instead of bins: least squares with weights 1 / expected^2, then the paper's formulas."""
    effect, variance, square = sized(np.random.default_rng(4), 6_000, 4, 8.0)
    found = instruments.moderation_for(as_dataset(effect, variance, 100), trend=True)
    constant, slope = 1.0, 1.0
    for _ in range(100):
        expected = constant + slope * square
        design = np.stack([np.ones_like(square), square], 1) / expected[:, None]
        constant, slope = np.linalg.lstsq(design, variance[:, 0] / expected, rcond=None)[0]
    np.testing.assert_allclose([found.trend.constant[0], found.trend.slope[0]], [constant, slope], rtol=0.01)
    prior = by_the_paper(variance[:, 0] / (constant + slope * square), 4)
    np.testing.assert_allclose([found.prior_df[0], found.prior_variance[0]], prior, rtol=0.01)
    se = np.sqrt(variance[:, 0])
    by_hand = np.sqrt((4 * variance[:, 0] + prior[0] * prior[1] * (constant + slope * square)) / (4 + prior[0]))
    np.testing.assert_allclose(found.moderated(se[:, None], effect, [0])[:, 0], by_hand, rtol=0.01)


def test_zeros_get_the_error_of_mutants_of_their_size():
    effect, variance, _ = sized(np.random.default_rng(6), 6_000, 4, 6.0)
    found = instruments.moderation_for(as_dataset(effect, variance, 100), trend=True)
    small, large = (found.moderated([[0.0, 0.0]], [[size, 0.0]])[0, 1] for size in (0.01, 20.0))
    assert 0 < 5 * small < large


def test_a_mark_without_errors_is_named(caplog):
    effect, variance, _ = sized(np.random.default_rng(6), 60, 4, 6.0)
    variance[:, 1] = 0.0
    effects = as_dataset(effect, variance, 1)
    for by_size in (False, True):
        caplog.clear()
        view = instruments.moderated(effects, by_size)
        assert "standard errors on B are not moderated" in caplog.text
        assert (view["effect_se"].values[..., 1] == 0).all() and (view["effect_se"].values[..., 0] > 0).all()
