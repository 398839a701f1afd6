"""The shape of an effect: known curves are told apart, a line is called a line, and the fast fit agrees with a slow."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from finished_runs import chain_effects, dataset_of
from known_curves import CURVES, MARKS, Known, simulate
from statsmodels.stats.multitest import multipletests

from kipoi_deepmr import instruments, shape
from kipoi_deepmr.mr.block import Block, LeaveOut
from kipoi_deepmr.plots import shape_figure
from kipoi_deepmr.shape import fit as fits
from kipoi_deepmr.shape.curve import slopes_of_loci, weights_of_loci
from kipoi_deepmr.shape.result import ShapeResult
from kipoi_deepmr.shape.spline import Bends, calibrated, sides
from kipoi_deepmr.shape.spread import spread_of
from kipoi_deepmr.shape.state import Covariate, _holm
from kipoi_deepmr.shape.words import (
    COOPERATIVE,
    GROWS,
    INDEPENDENT,
    IRREGULAR,
    LINEAR,
    NO_EFFECT,
    REDUNDANT,
    SATURATING,
    SHRINKS,
    SIGMOID,
    THRESHOLD,
    TURNS,
    UNKNOWN,
    dependence_of,
    shape_of,
)


def folds_of(known, z=1.75, pair=(0, 1)):
    n_loci, _, n_variants, _ = known.effects.shape
    effects = dataset_of(known.effects, MARKS, np.full((n_loci, n_variants // 3), ord("A"), np.uint8))
    return shape.gather(effects, instruments.rule_for(effects, "own", z), *pair)


def levels(known, folds):
    return [shape.level(mark, known.reference[..., i], folds, mark == "M") for i, mark in enumerate(MARKS)]


def curves_of(curve, seeds, **more):
    for seed in seeds:
        known = simulate(curve, seed=seed, **more)
        folds = folds_of(known)
        yield known, folds, shape.curve_of(shape.ablating(folds))


def test_known_curves_are_told_apart():
    """Five members, 40 loci: at least 95 % right. AND is a line at each locus, whose slope depends on the partner."""
    expected = {"linear": LINEAR, "saturating": SATURATING, "threshold": THRESHOLD, "and": COOPERATIVE}
    right = []
    for name in CURVES:
        for known, folds, curve in curves_of(name, range(15), n_loci=40):
            on_partner = shape.dependences(folds, levels(known, folds))[2].verdict
            right.append((on_partner if on_partner == COOPERATIVE else curve.shape.word) == expected[name])
    assert len(right) == 60 and np.mean(right) >= 0.95


@pytest.mark.parametrize("name, low, high", [("threshold", -0.6, -0.1), ("saturating", -0.75, -0.4)])
def test_a_curve_turns_where_it_was_made_to(name, low, high):
    (_, _, curve), = curves_of(name, [3])
    assert low < curve.shape.turn < high and curve.full == pytest.approx(-0.8, abs=0.15)


@pytest.mark.parametrize("more", [{}, {"leak": 0.1}, {"n_members": 3}, {"slopes": 0.6}, {"noise": 0.1}])
def test_a_line_is_called_a_line(more):
    """At most 5 % of 40 get another name, where slopes differ between loci, members have bends of their own, or err."""
    words = Counter(curve.shape.word for _, _, curve in curves_of("linear", range(40), n_loci=30, **more))
    assert words[LINEAR] >= 38


@pytest.mark.parametrize("n_loci", [8, 30])
def test_pvalues_hold_where_members_err_apart(n_loci):
    """Without errors that all members share the test against an exact line rejects at most 5 % (of 100: 10 at most)."""
    p = [curve.pvalue for _, _, curve in curves_of("linear", range(100), n_loci=n_loci, shared=0.0)]
    assert np.mean(np.array(p) < 0.05) <= 0.1 and min(p) >= 0


def test_single_loci_that_are_linear_are_called_so():
    folds = folds_of(simulate("linear", seed=1))
    words = Counter(shape.curve_of(folds.of_locus(locus)).shape.word for locus in range(60))
    assert words[LINEAR] >= 54
    words = Counter(shape.curve_of(folds_of(simulate("threshold", seed=1)).of_locus(locus)).shape.word
                    for locus in range(20))
    assert words[THRESHOLD] >= 16


def test_noise_on_the_exposure_does_not_flatten_the_curve():
    """Errors of a third of the typical effect: the slope on the others' effects is too small, ours is not."""
    known = simulate("linear", n_loci=60, noise=0.25, shared=0, slopes=0, seed=2)
    folds = folds_of(known, z=1.0)
    naive = (folds.others * folds.outcome).sum() / (folds.others ** 2).sum()
    curve = shape.curve_of(shape.ablating(folds))
    assert naive < 0.92
    np.testing.assert_allclose(curve.slopes, 1, atol=0.08)
    x = calibrated(folds.others, folds.exposure, folds.locus)
    assert np.abs(x).sum() < 0.95 * np.abs(folds.others).sum()  # drawn towards 0, as they are too large


def slow_folds(effects, rule, exposure, outcome):
    """Fold, locus, variant, effect of the others on the exposure and of the member on both: one row at a time."""
    block, leave_out = Block.read(effects, slice(0, effects.sizes["locus"]), rule, True), LeaveOut.of(effects, rule)
    members, found = effects["member_effect"].values.astype(np.float64), []
    for k in range(members.shape[1]):
        chosen = leave_out.without(block, k).instruments.of_pairs(exposure, outcome)
        for i, v in zip(*np.nonzero(chosen), strict=True):
            others = np.delete(members[i, :, v, exposure], k).mean()
            found.append((k, i, v, others, *members[i, k, v, [exposure, outcome]]))
    return np.array(found)


@pytest.mark.parametrize("rule, shrinkage, steiger", [("direct", "trend", False), ("direct", "none", True),
                                                      ("own", "moderated", False), ("pooled", "none", False)])
def test_pairs_together_have_the_instruments_of_each_alone(rule, shrinkage, steiger):
    effects = instruments.with_se_shrinkage(chain_effects(n_loci=25), shrinkage)
    found = instruments.rule_for(effects, rule, 1.0 if rule == "pooled" else 1.75, steiger=steiger)
    pairs = [(0, 1), (1, 2), (0, 3)]
    for pair, folds in zip(pairs, shape.gather_several(effects, found, pairs), strict=True):
        slow = slow_folds(effects, found, *pair)
        slow = slow[np.isin(slow[:, 1], folds.loci)]
        fast = np.column_stack([folds.fold, folds.loci[folds.locus], folds.variant, folds.others, folds.exposure,
                                folds.outcome])
        order = [np.lexsort(each[:, :3].T) for each in (slow, fast)]
        assert len(folds.loci) >= 15 and len(fast) > 500
        np.testing.assert_allclose(fast[order[1]], slow[order[0]], rtol=1e-5, atol=1e-7)
        some = shape.gather_several(effects, found, [pair], blocks=[slice(3, 5), slice(10, 12)])[0]
        assert set(some.loci) <= {3, 4, 10, 11} and (some.note[5:10] == "not read").all()
        of_them = np.isin(folds.loci[folds.locus], some.loci)
        assert len(some.loci) >= 3 and sorted(some.outcome) == sorted(folds.outcome[of_them])


def at_levels(curve, slope, high, low=0, seed=0):
    """Folds of loci with a high level of the exposure, that mutants lower, and a low one, that they raise; and truth.

    An outcome is `curve(level)`, the truth its mean `slope` at the loci of high levels: there, at half and at full
    ablation of the median locus.
    """
    rng = np.random.default_rng(seed)
    level = np.append(rng.uniform(6, 9, high), np.full(low, 0.5))
    x = np.repeat(rng.beta(0.5, 0.5, (high + low, 10)), 3, axis=1) * rng.uniform(0.9, 1, (high + low, 30))
    x *= np.append(-level[:high], np.full(low, 7.0))[:, None]
    true = np.stack([x, curve(level[:, None] + x) - curve(level)[:, None], np.zeros_like(x)], -1)
    effects = true[:, None] + 0.05 * rng.normal(size=(high + low, 5, 30, 3))
    folds = folds_of(Known(effects, None))
    full = np.median(level[:high])
    return folds, [slope(np.maximum(level[:high] - at, 0)).mean() for at in (0, full / 2, full)]


@pytest.mark.parametrize("curve, slope, tolerance", [
    (lambda a: 0.006 * a ** 3, lambda a: 0.018 * a ** 2, 0.25),
    (lambda a: 6 * np.tanh(a / 5), lambda a: 1.2 / np.cosh(a / 5) ** 2, 0.1)])
def test_loci_where_the_exposure_is_low_do_not_bend_the_curve_of_ablation(curve, slope, tolerance):
    """Their mutants raise it along another part of the curve: the slopes are those of the loci that can lose it."""
    folds, truth = at_levels(curve, slope, high=30, low=20)
    ablating = shape.ablating(folds)
    assert ablating.loci.tolist() == list(range(30)) and (ablating.others < 0).all()
    assert all("lower the exposure" in note for note in ablating.note[30:])
    np.testing.assert_allclose(shape.curve_of(ablating).slopes, truth, atol=tolerance)
    assert np.abs(shape.curve_of(folds).slopes - truth).max() > 1.3 * tolerance


def test_where_mutants_raise_the_exposure_the_curve_goes_up():
    folds, _ = at_levels(np.sqrt, np.sqrt, high=2, low=12)
    ablating = shape.ablating(folds)
    assert ablating.loci.tolist() == list(range(2, 14)) and (ablating.others > 0).all()
    assert shape.curve_of(ablating).full > 5 and "raise the exposure" in ablating.note[0]


def slow_fit(folds, x, bends, weights, rows=slice(None), more=1.0):
    """Two-stage least squares with a column for each locus's slope, written out; `more` is a weight of each row."""
    loci = np.unique(folds.locus[rows])
    own = folds.locus[rows][:, None] == loci
    values = bends(x[rows])
    instrument = np.column_stack([own * folds.others[rows][:, None], values])
    regressor = np.column_stack([own * folds.exposure[rows][:, None], values])
    instrument = instrument * np.broadcast_to(more, folds.fold.shape)[rows][:, None]
    found = np.linalg.solve(instrument.T @ regressor, instrument.T @ folds.outcome[rows])
    return np.append(np.average(found[:len(loci)], weights=weights[loci]), found[len(loci):])


@pytest.mark.parametrize("whole", [True, False])
def test_the_fit_against_a_slow_version(whole):
    """All coefficients, without one group each, and of single members; groups are loci or positions."""
    folds = folds_of(simulate("saturating", n_loci=12, seed=4))
    x = calibrated(folds.others, folds.exposure, folds.locus)
    bends, weights = Bends.between(*sides(x, folds.locus), 5), weights_of_loci(folds)
    places, group = np.unique(np.stack([folds.locus, folds.position]), axis=1, return_inverse=True)
    group, locus = (folds.locus, np.arange(12)) if whole else (group.ravel(), places[0])
    found = fits.fit(fits.Sums.of(folds, x, bends, group, locus), bends, weights, whole)
    np.testing.assert_allclose(found.free, slow_fit(folds, x, bends, weights), rtol=1e-8)
    for g in (0, 7, len(locus) - 1):
        rows = np.flatnonzero(group != g)
        np.testing.assert_allclose(found.leave_one_out[g], slow_fit(folds, x, bends, weights, rows), rtol=1e-7)
    for k, g in ((0, None), (4, 7)):  # what a small weight more on some rows changes
        more = 1 + 1e-6 * ((folds.fold == k) & ((group == g) if g is not None else True))
        step = 1e6 * 5 * (slow_fit(folds, x, bends, weights, more=more) - found.free)
        of_all = found.members[k] - found.free
        np.testing.assert_allclose(step, of_all if g is None else found.member_influence[k, g], rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(found.members.mean(0), found.free)
    if not whole:
        np.testing.assert_allclose(found.coefficients, found.free)


def test_bends_are_natural_splines_beside_a_line():
    bends = Bends.between(-2.0, 0.5, 5)
    x = np.linspace(-4, 2, 6001)
    values = bends(x)
    assert bends.n == 3 and values.shape == (6001, 3)
    np.testing.assert_allclose(bends(np.array([0.0])), 0, atol=1e-12)
    np.testing.assert_allclose(bends.slope(np.array([0.0])), 0, atol=1e-12)
    np.testing.assert_allclose(np.gradient(values, x, axis=0)[1:-1], bends.slope(x)[1:-1], atol=2e-3)
    outside = (x < -2.01) | (x > 0.51)
    curvature = np.gradient(np.gradient(values, x, axis=0), x, axis=0)
    assert np.abs(curvature[2:-2][outside[2:-2]]).max() < 1e-6 < np.abs(curvature).max()
    inside = (x > -2) & (x < 0.5)
    np.testing.assert_allclose(np.einsum("ni,nj->ij", curvature[inside], curvature[inside]) * (x[1] - x[0]),
                               bends.roughness, atol=0.02 * np.abs(bends.roughness).max())


def test_units_and_signs_change_no_test():
    """Nor the name, but that less of the exposure is more of its opposite: what saturates has a threshold then."""
    folds = folds_of(simulate("saturating", n_loci=20, seed=5))
    there = shape.curve_of(folds, min_slope=0.1)
    for a, b in ((100.0, 1.0), (1.0, 0.01), (1.0, -1.0), (-1.0, 1.0)):
        other = shape.curve_of(replace(folds, others=a * folds.others, exposure=a * folds.exposure,
                                       outcome=b * folds.outcome), min_slope=0.1 * abs(b / a))
        assert (there.shape.word, other.shape.word) == (SATURATING, SATURATING if a > 0 else THRESHOLD)
        np.testing.assert_allclose(other.slopes * a / b, there.slopes, rtol=1e-6)
        np.testing.assert_allclose([other.pvalue, other.pvalue_min_bend], [there.pvalue, there.pvalue_min_bend],
                                   rtol=1e-4, atol=1e-12)
        np.testing.assert_allclose([other.full, other.shape.turn], [a * there.full, a * there.shape.turn], rtol=1e-6)


def test_errors_of_members_count_beyond_those_of_loci():
    """Members that differ only by chance from locus to locus add nothing in the mean; what they differ by at all adds
    `1 / K + 0.35` of its variance."""
    rng = np.random.default_rng(0)
    added = []
    for spread in (0.0, 1.0):
        sums = []
        for _ in range(200):
            own = rng.normal(0, spread, (5, 1, 1)) + rng.normal(0, 1, (5, 50, 1))  # (member, locus, 1)
            without = (own.sum(1, keepdims=True) - own) / 49
            found = spread_of(without.mean(0), own.mean(1), own.mean(1)[:, None] - without)
            sums.append([found.loci.item(), found.members.item()])
        added.append(np.mean(sums, axis=0))
    np.testing.assert_allclose([added[0][0], added[1][0]], 1 / 250, rtol=0.1)
    assert added[0][1] < 0.01 and added[1][1] == pytest.approx(0.55, rel=0.15)


def test_the_level_of_a_locus_is_that_of_other_members():
    """An error of a member's reference changes its own level and not those that its slopes are compared with."""
    known = simulate("linear", n_loci=15, seed=6)
    folds = folds_of(known)
    moved = known.reference.copy()
    moved[:, 2] += 10
    values = [shape.level("Y", reference[..., 1], folds, False).values for reference in (known.reference, moved)]
    np.testing.assert_allclose(values[1][2], values[0][2])
    np.testing.assert_allclose(values[1][0], values[0][0] + 10 / 4)
    expected = np.delete(known.reference[..., 1], 3, axis=1).mean(1)
    np.testing.assert_allclose(values[0][3], expected[folds.loci])


def test_dependences_against_weighted_least_squares():
    known = simulate("and", seed=7)
    folds = folds_of(known)
    rows = shape.dependences(folds, levels(known, folds))
    slope, weights = slopes_of_loci(folds)[0], weights_of_loci(folds)
    for row, covariate in zip(rows, levels(known, folds), strict=True):
        found = [np.polyfit(values, of_member, 1, w=np.sqrt(weights))
                 for values, of_member in zip(covariate.values, slope, strict=True)]
        assert row.change == pytest.approx(np.mean(found, axis=0)[0], rel=1e-3)
        assert row.effect_high == pytest.approx(row.effect_low + row.change * (row.high - row.low))
        assert row.change_ci_low < row.change < row.change_ci_high
    np.testing.assert_allclose([row.pvalue_adjusted for row in rows],
                               multipletests([row.pvalue for row in rows], method="holm")[1])
    np.testing.assert_allclose(_holm(np.array([0.01, np.nan, 0.04])), [0.02, np.nan, 0.04])


def test_an_effect_that_does_not_depend_on_a_level_is_called_independent():
    """At most 5 % of 60 for each of three levels that have nothing to do with the effect."""
    rng, n = np.random.default_rng(0), 0
    for seed in range(60):
        folds = folds_of(simulate("linear", n_loci=25, seed=seed))
        random = [Covariate(str(i), np.tile(rng.lognormal(0, 1, 25), (5, 1))) for i in range(3)]
        n += any(row.verdict != INDEPENDENT for row in shape.dependences(folds, random))
    assert n <= 3 + 2 * np.sqrt(60 * 0.05 * 0.95)


def test_a_covariate_that_says_nothing_has_a_note():
    folds = folds_of(simulate("linear", n_loci=12, seed=8))
    few = np.full((5, 12), np.nan)
    few[:, :4] = np.arange(4)
    same, missing = shape.dependences(folds, [Covariate("same", np.ones((5, 12))), Covariate("few", few)])
    assert same.note == "the same at every locus" and missing.note == "fewer than 5 loci" and missing.n_loci == 4
    assert same.verdict == missing.verdict == UNKNOWN and np.isnan(same.pvalue_adjusted)


def test_words():
    x = np.linspace(-1, 0, 11)
    falling, rising = np.linspace(2, 0, 11), np.linspace(0, 2, 11)
    assert shape_of(True, 0.2, x, falling, [-2, 0]).word == LINEAR
    assert shape_of(True, np.nan, x, falling, [-2, 0]).word == UNKNOWN
    assert shape_of(False, 0.01, x, falling, [-2, 0]).word == NO_EFFECT
    for slope, rise, expected, place in ((falling, -2, SATURATING, -0.6), (-rising, 2, THRESHOLD, -0.4)):
        word, turn = shape_of(True, 0.01, x, slope, [rise, 0])
        assert word == expected and turn == pytest.approx(place)
    assert shape_of(True, 0.01, x, falling + 3, [-2, 0]).word == SATURATING
    assert shape_of(True, 0.01, x, falling, [0.5, 2]).word == SIGMOID
    assert shape_of(True, 0.01, x, falling, [0.5, -2]).word == IRREGULAR
    cases = [(0.01, 0.1, 1.0, True, COOPERATIVE), (0.01, 1.0, 0.1, True, REDUNDANT), (0.01, 0.1, 1.0, False, GROWS),
             (0.01, 0.6, 1.0, True, GROWS), (0.01, 1.0, 0.6, True, SHRINKS), (0.01, -1.0, 1.0, True, TURNS),
             (0.2, 0.1, 1.0, True, INDEPENDENT), (0.01, 0.9, 1.0, True, INDEPENDENT), (np.nan, 1, 2, True, UNKNOWN)]
    assert dependence_of(0.01, -0.02, 0.03, True, min_slope=0.06) == INDEPENDENT  # as good as no effect at all
    for *values, expected in cases:
        assert dependence_of(*values) == expected, values


def test_loci_that_cannot_be_used_say_why():
    known = simulate("linear", n_loci=12, seed=9)
    effects = known.effects.copy()
    effects[0] *= 1e-3 * np.sign(np.arange(5) - 2.5)[:, None, None]  # members disagree
    effects[1, :, 9:] = 0.0  # three positions are left
    effects[2] = np.nan
    effects[3] = 0.0
    folds = folds_of(known._replace(effects=effects))
    note = folds.note.tolist()
    assert "positions" in note[1] and note[2] == note[3] == "no instruments" and set(note[4:]) == {""}
    assert note[0] != "" and folds.loci.tolist() == list(range(4, 12))


def test_a_figure_shows_the_curve_and_what_the_effect_depends_on():
    known = simulate("and", n_loci=15, seed=10)
    folds = folds_of(known)
    covariates = levels(known, folds)
    found = shape.ShapeResult("X", "Y", shape.curve_of(folds), shape.dependences(folds, covariates), None, folds,
                              covariates)
    figure = shape_figure(found)
    curve, *states = figure.axes
    assert curve.get_xlabel() == "effect on X" and [ax.get_xlabel() for ax in states] == [
        "level of X", "level of Y", "level of M"]
    assert states[2].get_title() == COOPERATIVE and len(states[2].lines[0].get_xdata()) == 15
    lines = {line.get_label(): line for line in curve.lines}
    np.testing.assert_array_equal(lines["curve"].get_ydata(), found.curve.y)
    ends = lines["a line"].get_ydata()
    assert ends[0] == pytest.approx(np.interp(found.curve.full, found.curve.x, found.curve.y))


@pytest.mark.parametrize("n_loci", [1, 6, 12])
def test_members_that_agree_exactly(n_loci):
    """No errors at all: a line is a line, at one locus and at many, and nothing is divided by zero."""
    known = simulate("linear", n_loci=n_loci, noise=0, leak=0, pleiotropy=0, slopes=0, seed=11)
    effects = dataset_of(known.effects, MARKS, np.full((n_loci, 20), ord("A"), np.uint8))
    folds = shape.gather(effects, instruments.rule_for(effects, "pooled", 0.3), 0, 1)
    with np.errstate(all="raise"):
        curve = shape.curve_of(shape.ablating(folds))
    assert curve.shape.word == LINEAR
    np.testing.assert_allclose(curve.slopes, 1, rtol=1e-4)
    assert np.isfinite(curve.slopes_se).all() and np.isfinite(curve.slopes_df).all() and curve.slopes_se.max() < 1e-3


def test_a_result_shows_itself_in_a_few_lines():
    _, folds, curve = next(curves_of("linear", [1]))
    found = ShapeResult("<b>X\n", "Y", curve, [], pd.DataFrame(), folds, [])
    text, page = repr(found), found._repr_html_()
    assert text.startswith("Shape: <b>X") and len(text.splitlines()) == 4 and "slope, half: " in text
    assert "&lt;b&gt;X" in page and "<b>X" not in page and page.count("<tr>") == 4
