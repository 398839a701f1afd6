"""Calibration: moves of members, their fit, reliability, and calibrated effects, beside slow and obvious versions."""

import json
import pickle
import tracemalloc
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest
from finished_runs import effects_of
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from profiles import fewer
from sklearn.isotonic import IsotonicRegression

from kipoi_deepmr import calibration, mr
from kipoi_deepmr.calibration import Quantiles, Scaling, evaluate, fit, miscalibration_area, moved, observed_proportions
from kipoi_deepmr.calibration.moves import fit_quantiles, fit_scaling
from kipoi_deepmr.errors import InputError
from kipoi_deepmr.plots import plot_reliability, reliability_figure

NORMAL = NormalDist()
REFERENCE = json.loads((Path(__file__).parents[1] / "data" / "calibration_reference.json").read_text())


def ensembles(n, factor, members=10, marks=1, seed=0, spread=0.3):
    """Members whose spread is `factor` times too small, and observed values: (member, n, mark), (n, mark)."""
    rng = np.random.default_rng(seed)
    sd = np.exp(spread * rng.normal(size=(n, marks)))
    mean = rng.normal(size=(n, marks))
    return mean + sd * rng.normal(size=(members, n, marks)), mean + factor * sd * rng.normal(size=(n, marks))


def slowly_moved(predictions, move, ddof):
    """One sequence and mark at a time, in plain Python."""
    k = len(predictions)
    mean = sum(predictions) / k
    sd = (sum((p - mean) ** 2 for p in predictions) / (k - ddof)) ** 0.5
    return [mean + sd * move((p - mean) / sd) if sd else p for p in predictions]


# Moves


def test_scaling_by_hand():
    """Residuals 1, -2, 2 in units of sd: factor sqrt(9 / 3); members 1 and 3 about 2 go to 2 -+ sqrt(3)."""
    move = fit_scaling(np.array([1.0, -4.0, 1.0]), np.array([1.0, 2.0, 0.5]))
    assert move.factor == pytest.approx(3**0.5, rel=1e-15)
    assert moved(np.array([[1.0], [3.0]]), [move], 1)[:, 0] == pytest.approx([2 - 3**0.5, 2 + 3**0.5])


def test_the_factor_is_the_most_likely_one():
    rng = np.random.default_rng(0)
    sd = rng.uniform(0.2, 2, 50)
    residual = 1.5 * sd * rng.normal(size=50)
    for noise in (0.0, 0.3):
        def log_likelihood(factor, noise=noise):
            return sum(np.log(NormalDist(0, float(np.hypot(factor * s, noise))).pdf(r))
                       for s, r in zip(sd, residual, strict=True))

        best = log_likelihood(fit_scaling(residual, sd, noise).factor)
        assert best >= max(log_likelihood(factor) for factor in np.linspace(0.2, 4, 400))


def test_noise_is_not_taken_for_spread():
    """Observed values with noise of sd 1: the factor is 2 if that is told, and near sqrt(4 + 1 / mean sd^2) if not."""
    rng = np.random.default_rng(1)
    sd = np.exp(0.5 * rng.normal(size=20_000))
    residual = 2 * sd * rng.normal(size=sd.size) + rng.normal(size=sd.size)
    assert fit_scaling(residual, sd, 1.0).factor == pytest.approx(2, rel=0.02)
    assert fit_scaling(residual, sd).factor == pytest.approx(np.sqrt(4 + np.mean(1 / sd**2)), rel=0.02)


def test_noise_larger_than_all_residuals_is_refused():
    with pytest.raises(InputError, match="noise of standard deviation 9 explains"):
        fit_scaling(np.array([0.1, -0.2, 0.3]), np.ones(3), 9.0)


def test_quantiles_by_hand():
    """Four values: proportions 1/8, 3/8, 5/8, 7/8 are observed at deviations -3, -1, 1, 3."""
    move = fit_quantiles(np.array([1.0, -3.0, 3.0, -1.0]))
    scores = [NORMAL.inv_cdf(p) for p in (1 / 8, 3 / 8, 5 / 8, 7 / 8)]
    assert move.score[[0, -1]] == pytest.approx([scores[0], scores[3]])
    assert move(np.array([scores[0], 0.0, scores[3]])) == pytest.approx([-3, 0, 3])
    assert move(np.array([-9.0, 9.0])) == pytest.approx([-3, 3])  # clipped at the ends
    knots = np.interp(move.score, scores, [-3, -1, 1, 3])
    assert move.deviation == pytest.approx(knots)


def test_ties_share_a_proportion():
    """-1, 0, 0, 1: half of the values at 0 count as below it."""
    move = fit_quantiles(np.array([0.0, -1.0, 1.0, 0.0]))
    assert move(np.array([NORMAL.inv_cdf(1 / 8), 0.0, NORMAL.inv_cdf(7 / 8)])) == pytest.approx([-1, 0, 1])


def test_quantiles_are_the_isotonic_regression_of_proportions():
    """On proportions themselves, as Kuleshov et al. and the paper have it: Phi^-1(iso(q))."""
    rng = np.random.default_rng(2)
    deviation = 1.6 * rng.normal(size=3000) + 0.2
    expected = np.array([NORMAL.cdf(d) for d in deviation])
    observed = (expected[:, None] >= expected).mean(1)
    regression = IsotonicRegression(out_of_bounds="clip").fit(observed, expected)
    move, q = fit_quantiles(deviation), np.linspace(0.02, 0.98, 60)
    published = [NORMAL.inv_cdf(p) for p in regression.predict(q)]
    ours = move(np.array([NORMAL.inv_cdf(p) for p in q]))
    assert np.abs(ours - published).max() < 0.03  # half a value of 3,000, and 101 knots


def test_far_deviations_stay_finite():
    """Phi of these is 0 or 1 in double precision: proportions would give infinities."""
    deviation = np.linspace(-60, 60, 50)
    move = fit_quantiles(deviation)
    assert np.isfinite(move.deviation).all() and move(np.array([-1e9, 0, 1e9])) == pytest.approx([-60, 0, 60])


@fewer(4)
@given(st.integers(2, 6), st.sampled_from([0, 1]), st.lists(st.floats(-5, 5), min_size=2, max_size=9, unique=True),
       st.integers(0, 2**32 - 1))
def test_moved_is_the_slow_version(k, ddof, values, seed):
    rng = np.random.default_rng(seed)
    score = np.sort(rng.normal(size=len(values)))
    moves = [Quantiles(score, np.sort(values)), Scaling(float(rng.uniform(0.1, 3)))]
    predicted = rng.normal(size=(k, 4, 2))
    predicted[:, 0] = 1.25
    found = moved(predicted, moves, ddof)
    for i in range(4):
        for mark, move in enumerate(moves):
            assert found[:, i, mark] == pytest.approx(slowly_moved(predicted[:, i, mark].tolist(), move, ddof))


def test_two_members_read_the_line_at_two_places():
    """With two members deviations are +-sqrt(1/2) whatever they predict: a recalibration is a shift and a factor."""
    move = Quantiles(np.array([-2.0, 0.0, 2.0]), np.array([-6.0, 0.0, 2.0]))
    found = moved(np.array([[0.0, 10.0], [2.0, 20.0]]), [move, move], 1)
    # sd sqrt(2) and 10 sqrt(1/2): deviations -3 sqrt(1/2) and 1 sqrt(1/2)
    assert found[:, 0] == pytest.approx([1 - 3, 1 + 1]) and found[:, 1] == pytest.approx([15 - 15, 15 + 5])


# Reliability


def test_metrics_are_those_of_uncertainty_toolbox():
    deviation = (np.array(REFERENCE["observed"]) - REFERENCE["mean"]) / REFERENCE["sd"]
    curve = observed_proportions(deviation)
    assert calibration.LEVELS == pytest.approx(REFERENCE["expected_proportions"], abs=1e-15)
    assert curve == pytest.approx(REFERENCE["observed_proportions"], abs=1e-12)
    assert miscalibration_area(curve) == pytest.approx(REFERENCE["miscalibration_area"], rel=1e-12)
    assert calibration.sharpness(np.array(REFERENCE["sd"])) == pytest.approx(REFERENCE["sharpness"], rel=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_metrics_beside_uncertainty_toolbox_itself(seed):
    toolbox = pytest.importorskip("uncertainty_toolbox")
    rng = np.random.default_rng(seed)
    mean, sd = rng.normal(size=300), rng.uniform(0.1, 2, 300)
    observed = mean + rng.uniform(0.3, 3) * sd * rng.standard_t(4, 300)
    curve = observed_proportions((observed - mean) / sd)
    assert miscalibration_area(curve) == pytest.approx(toolbox.miscalibration_area(mean, sd, observed), rel=1e-9)


def test_area_by_hand():
    """Always 0.1 above the diagonal but for its ends; and a curve that crosses it, which makes two triangles."""
    levels = np.array([0.0, 0.5, 1.0])
    assert miscalibration_area(np.array([0.0, 0.6, 1.0]), levels) == pytest.approx(0.05)
    assert miscalibration_area(np.array([0.2, 0.3, 1.0]), levels) == pytest.approx(2 * 0.2 * 0.25 / 2 + 0.2 * 0.5 / 2)


def test_proportions_by_counting():
    rng = np.random.default_rng(3)
    deviation = np.append(1.5 * rng.normal(size=40), [0.0])
    for level, found in zip(calibration.LEVELS[1:-1], observed_proportions(deviation)[1:-1], strict=True):
        half = NORMAL.inv_cdf(0.5 + level / 2)
        assert found == sum(abs(d) <= half for d in deviation) / 41


@pytest.mark.parametrize("recalibration, members", [("scale", 10), ("quantile", 10), ("quantile", 5), ("scale", 20)])
def test_overconfident_ensembles_become_calibrated(recalibration, members):
    """A spread of half its size: 95 % intervals hold two thirds before, and nearly what they say after."""
    predicted, observed = ensembles(6000, 2, members)
    before, after, *distribution = evaluate(predicted, observed, ["A"], recalibration)
    assert before.miscalibration_area > 0.2 and before.coverage < 0.7
    assert after.miscalibration_area < 0.03 and abs(after.coverage - 0.95) < (0.015 if members > 5 else 0.035)
    assert after.sharpness > before.sharpness
    for found in distribution:  # of the quantile recalibration itself, however few the members
        assert found.miscalibration_area < 0.01 and abs(found.coverage - 0.95) < 0.01


def test_the_distribution_of_quantiles_is_calibrated_even_for_two_members():
    predicted, observed = ensembles(6000, 2, 2)
    before, after, distribution = evaluate(predicted, observed, ["A"], "quantile")
    assert before.coverage < 0.5 and abs(distribution.coverage - 0.95) < 0.01
    assert 0.7 < after.coverage < 0.9  # the Gaussian of two moved members cannot hold what is Cauchy-like


def test_calibrated_ensembles_stay_as_they_are():
    """Twenty members and observed values from the same distribution: factor near sqrt(19 / 17 * 21 / 20)."""
    predicted, observed = ensembles(8000, 1, 20)
    assert fit(predicted, observed, ["A"], "scale").moves["A"].factor == pytest.approx(
        np.sqrt(19 / 17 * 21 / 20), rel=0.02)
    move = fit(predicted, observed, ["A"], "quantile").moves["A"]
    inside = np.linspace(-1.5, 1.5, 7)
    assert np.abs(move(inside) - inside).max() < 0.15


def test_evaluation_is_out_of_sample():
    """Thirty values of pure chance: a curve fitted to them all would look perfect."""
    predicted, observed = ensembles(30, 3, 5, seed=4)
    _, _, distribution = evaluate(predicted, observed, ["A"], "quantile")
    deviation = (observed[:, 0] - predicted[..., 0].mean(0)) / predicted[..., 0].std(0, ddof=1)
    fitted = observed_proportions(deviation, fit_quantiles(deviation))
    assert miscalibration_area(fitted) < 0.02 < distribution.miscalibration_area


def test_noise_in_the_metrics():
    predicted, truth = ensembles(6000, 1, 20)
    observed = truth + 2 * np.random.default_rng(5).normal(size=truth.shape)
    blind, = evaluate(predicted, observed, ["A"], "none")
    told, = evaluate(predicted, observed, ["A"], "none", noise_sd=2)
    assert blind.coverage < 0.7 and abs(told.coverage - 0.95) < 0.01


def test_figures():
    predicted, observed = ensembles(300, 2, marks=3)
    found = evaluate(predicted, observed, ["A", "$B_", "C"], "quantile")
    ax = Figure().add_subplot()
    assert plot_reliability(found[:3], ax) is ax and plot_reliability(found[:1]).has_data()
    diagonal, before, after, distribution = ax.get_lines()
    assert np.array_equal(before.get_ydata(), found[0].observed)
    assert np.array_equal(distribution.get_ydata(), found[2].observed)
    assert after.get_label() == f"after: area {found[1].miscalibration_area:.3f}"
    assert [a.get_title() for a in reliability_figure(found).axes] == ["A", "$B_", "C"]
    many = reliability_figure([one._replace(mark=f"{one.mark}{i}") for i in range(9) for one in found])
    assert len(many.axes) == 24 and many.get_suptitle() == "3 of 27 marks not shown"


# What is refused or counted


def test_missing_values_and_members_that_agree_are_counted():
    predicted, observed = ensembles(100, 1, 4, marks=2)
    observed[:7, 0] = np.nan
    predicted[:, 10:15, 1] = 3.0
    predicted[2, 20, 1] = np.nan
    counts = fit(predicted, observed, ["A", "B"], "scale").counts
    assert counts["A"] == (93, 7, 0) and counts["B"] == (94, 0, 6)
    used = fit(np.delete(predicted, [*range(10, 15), 20], 1), np.delete(observed, [*range(10, 15), 20], 0), ["A", "B"])
    assert used.moves["B"] == fit(predicted, observed, ["A", "B"]).moves["B"]


def test_a_constant_mark_is_refused():
    predicted, observed = ensembles(100, 1, 4, marks=2)
    predicted[..., 1] = 0.5
    with pytest.raises(InputError, match="mark B: 0 of 100 sequences can be used .*100 on which all members agree"):
        fit(predicted, observed, ["A", "B"])


def test_a_constant_observed_value_is_fine():
    predicted, observed = ensembles(100, 1, 4)
    fit(predicted, np.ones_like(observed), ["A"], "quantile")


@pytest.mark.parametrize("options, said", [
    ({"members": 1}, "two members"), ({"members": 3}, "scale needs 4 members"), ({"n": 19}, "needs 20"),
    ({"recalibration": "isotonic"}, "is not known"), ({"recalibration": "quantile", "noise_sd": 1.0}, "noise_sd goes"),
    ({"noise_sd": -1.0}, "at least 0"), ({"noise_sd": np.nan}, "at least 0"), ({"ddof": 2}, "ddof must be"),
])
def test_refused(options, said):
    options = dict(options)
    predicted, observed = ensembles(options.pop("n", 50), 1, options.pop("members", 5))
    for function in (fit, evaluate):
        with pytest.raises(InputError, match=said):
            function(predicted, observed, ["A"], **{"recalibration": "scale", **options})


def test_observed_values_that_all_deviate_alike():
    predicted, _ = ensembles(50, 1, 4)
    with pytest.raises(InputError, match="deviates alike"):
        fit(predicted, predicted.mean(0), ["A"])


# Effects


def fitted(effects, recalibration, ddof=1, seed=0):
    """A calibration for a Dataset's marks, from ensembles that are over-confident."""
    members, marks = effects.sizes["member"], [str(m) for m in effects["mark"].values]
    predicted, observed = ensembles(400, 2, members, len(marks), seed)
    return fit(predicted, observed, marks, recalibration, ddof)


def slowly_calibrated(effects, found):
    """effect, effect_se, member_effect and reference, one number at a time."""
    reference, members = effects["reference"].values.astype(float), effects["member_effect"].values.astype(float)
    out = {name: np.empty(effects[name].shape) for name in ("effect", "effect_se", "member_effect", "reference")}
    for locus, variant, j in np.ndindex(effects["effect"].shape):
        move = found.moves[str(effects["mark"].values[j])]
        r = slowly_moved(reference[locus, :, j].tolist(), move, found.ddof)
        m = slowly_moved((reference[locus, :, j] + members[locus, :, variant, j]).tolist(), move, found.ddof)
        d = [a - b for a, b in zip(m, r, strict=True)]
        mean = sum(d) / len(d)
        out["effect"][locus, variant, j] = mean
        out["effect_se"][locus, variant, j] = (sum((x - mean) ** 2 for x in d) / (len(d) - found.ddof)) ** 0.5
        out["member_effect"][locus, :, variant, j] = d
        out["reference"][locus, :, j] = r
    return out


@pytest.fixture
def effects():
    made = effects_of(["A", "B", "C"], n_loci=5, length=20, n_members=5)
    rng = np.random.default_rng(6)
    made["reference"][:] = rng.normal(size=made["reference"].shape)
    made["member_effect"][:, :, 7] = 0.0
    return made.assign_attrs(ddof=1)


@pytest.mark.parametrize("recalibration", ["quantile", "scale", "none"])
def test_calibrated_effects_are_the_slow_version(effects, recalibration):
    found = fitted(effects, recalibration)
    quick, slow = calibration.calibrated(effects, found), slowly_calibrated(effects, found)
    for name, values in slow.items():
        assert quick[name].dtype == np.float32 and quick[name].attrs == effects[name].attrs
        assert quick[name].values == pytest.approx(values, abs=2e-6), name
    assert not quick["effect"].values[:, 7].any() and not quick["effect_se"].values[:, 7].any()


def test_scaling_leaves_effects_and_scales_their_standard_errors(effects):
    found = fitted(effects, "scale")
    quick = calibration.calibrated(effects, found)
    factors = [found.moves[m].factor for m in "ABC"]
    members = effects["member_effect"].values
    assert quick["effect"].values == pytest.approx(members.mean(1), abs=1e-6)
    assert quick["effect_se"].values == pytest.approx(members.std(1, ddof=1) * factors, rel=1e-4, abs=1e-6)
    local = [mr.fit_pairs(e, method="ivw", instrument_z=1.5, model="fixed") for e in (
        effects.assign(effect=quick["effect"], effect_se=effects["effect_se"] * 0 + members.std(1, ddof=1)), quick)]
    before, after = (t[t["note"] == ""] for t in local)
    assert len(before) > 10 and after["estimate"].to_numpy() == pytest.approx(before["estimate"].to_numpy(), rel=1e-4)
    ratio = (after["se"] / before["se"]).to_numpy()
    assert ratio == pytest.approx(after["outcome"].map(lambda m: found.moves[m].factor).to_numpy(), rel=1e-3)


def test_reading_pieces_is_reading_all(effects):
    quick = calibration.calibrated(effects, fitted(effects, "quantile"))
    whole = {name: quick[name].values for name in ("effect", "effect_se", "reference", "member_effect")}
    for name in ("effect", "effect_se"):
        for piece in ((slice(1, 3),), (2,), (slice(None), slice(3, 40, 7), slice(1, 2)), (-1, 5, 0),
                      (slice(None, None, -1), slice(None), 2)):
            assert np.array_equal(quick[name][piece].values, whole[name][piece]), (name, piece)
        chosen = np.array([4, 0, 2])
        assert np.array_equal(quick[[name]].isel(locus=chosen)[name].values, whole[name][chosen])
    assert np.array_equal(quick["member_effect"][1, 2, 3:9, 1:].values, whole["member_effect"][1, 2, 3:9, 1:])
    assert np.array_equal(quick["reference"][3, 1:4].values, whole["reference"][3, 1:4])


def test_a_cluster_takes_them_along(effects):
    """Calibrated effects are sent as what computes them, without the block that was read last."""
    quick = calibration.calibrated(effects, fitted(effects, "quantile"))
    before = len(pickle.dumps(quick))
    values = quick["effect_se"].values
    sent = pickle.dumps(quick)
    assert len(sent) == before and np.array_equal(pickle.loads(sent)["effect_se"][2:4].values, values[2:4])


def test_loci_without_predictions_stay_without(effects):
    for name in ("effect", "effect_se", "reference", "member_effect"):
        effects[name][2] = np.nan
    quick = calibration.calibrated(effects, fitted(effects, "quantile"))
    for name in ("effect", "effect_se", "reference", "member_effect"):
        missing = np.isnan(quick[name].values).reshape(5, -1)
        assert missing[2].all() and not missing[[0, 1, 3, 4]].any()


def test_marks_go_by_name(effects):
    found = fitted(effects, "scale")
    fewer = calibration.calibrated(effects.isel(mark=[2, 0]), found)
    assert np.array_equal(fewer["effect_se"].values,
                          calibration.calibrated(effects, found)["effect_se"].values[..., [2, 0]])


def test_what_cannot_be_calibrated(effects):
    found = fitted(effects, "scale")
    with pytest.raises(InputError, match="--keep members"):
        calibration.calibrated(effects.drop_vars("member_effect"), found)
    with pytest.raises(InputError, match="ddof = 0, the calibration with 1: calibrate with --ddof 0"):
        calibration.calibrated(effects.assign_attrs(settings={"ddof": 0}), found)
    with pytest.raises(InputError, match="mark D is not in the calibration"):
        calibration.calibrated(effects.assign_coords(mark=["A", "D", "C"]), found)


def test_memory_is_that_of_a_block(monkeypatch):
    """Reading the effects of all loci does not hold all members' predictions, but those of a block of loci."""
    monkeypatch.setattr("kipoi_deepmr.calibration.effects.BLOCK_BYTES", 500_000)
    effects = effects_of(["A", "B"], n_loci=100, length=200, n_members=16).assign_attrs(ddof=1)
    quick = calibration.calibrated(effects, fitted(effects, "quantile"))
    tracemalloc.start()
    quick["effect_se"].values  # noqa: B018
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    members, summaries = (8 * effects[name].size for name in ("member_effect", "effect"))
    assert peak < 10 * 500_000 + 2 * summaries < members / 2
