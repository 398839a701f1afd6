"""Multivariable MR: against statsmodels and R's numbers, in batches, in extreme units, and over pairs of marks."""

import dataclasses
import json
import pathlib
import warnings

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from mr_problems import FINITE
from scipy import stats

from kipoi_deepmr import mr
from kipoi_deepmr.errors import InputError
from kipoi_deepmr.options import EstimateOptions

METHODS = ("mvmr_ivw", "mvmr_egger")
VARIANTS = [("mvmr_ivw", {}), ("mvmr_ivw", {"model": "fixed"}), ("mvmr_ivw", {"model": "random"}),
            ("mvmr_ivw", {"distribution": "t", "alpha": 0.2}), ("mvmr_egger", {}),
            ("mvmr_egger", {"distribution": "t", "alpha": 0.01})]
NUMBERS = [f.name for f in dataclasses.fields(mr.MRResult) if f.name != "note"]
REFERENCE = pathlib.Path(__file__).parents[1] / "data" / "mr_reference.json"
# effects of the 28 variants of the dataset ldlc_chd on HDL cholesterol and triglycerides (Waterworth et al. 2010)
HDLC = [0.002, 0.005, 0.003, 0.001, 0.011, 0.031, -0.003, -0.007, -0.021, 0.018, -0.017, -0.047, 0.022, -0.029, 0.016,
        0.034, 0.035, 0.019, 0.028, 0.0001, 0.016, 0.005, -0.01, -0.023, 0.012, 0.018, -0.006, 0.004]
TRIG = [0.016, -0.004, -0.009, 0.003, -0.039, -0.142, 0.007, 0.095, 0.042, -0.023, 0.036, 0.097, 0.013, 0.142, -0.005,
        0.019, 0.003, -0.018, -0.02, 0.035, -0.036, -0.054, 0.054, 0.067, -0.04, -0.067, 0.028, -0.07]


def random_problem(rng, n, n_covariates=2, *shape, spread=1.0):
    """bx, sx, by, sy (..., n) and covariates, covariates_se (..., A, n)."""
    c = rng.normal(size=(*shape, n_covariates, n))
    bx = rng.normal(size=(*shape, n)) + 0.5 * c.sum(-2)
    sx, sy = rng.uniform(0.1, 1.0, size=(2, *shape, n))
    by = 0.7 * bx - c.sum(-2) + spread * sy * rng.normal(size=(*shape, n))
    return bx, sx, by, sy, c, rng.uniform(0.1, 1.0, size=c.shape)


def slow(method, bx, sx, by, sy, c, sc, model="default", distribution="normal", alpha=0.05):
    """One problem by statsmodels, in the words of R's mr_mvivw, mr_mvegger and strength_mvmr."""
    n = len(bx)
    egger = method == "mvmr_egger"
    sign = np.where(bx < 0, -1, 1) if egger else np.ones(n)
    design = np.column_stack([sign * bx, *(sign * c), *([np.ones(n)] if egger else [])])
    fit = sm.WLS(sign * by, design, weights=sy ** -2.0).fit()
    sigma, df = np.sqrt(fit.scale), n - design.shape[1]
    fixed = not egger and (model == "fixed" or (model == "default" and n < 4))
    errors = fit.bse / (sigma if fixed else min(sigma, 1.0))
    law = stats.t(df) if distribution == "t" else stats.norm
    half = law.isf(alpha / 2) * errors[0]
    delta = sm.OLS(bx, c.T).fit().params if len(c) else np.zeros(0)
    expected = {
        "estimate": fit.params[0], "se": errors[0], "ci_low": fit.params[0] - half, "ci_high": fit.params[0] + half,
        "pvalue": 2 * law.sf(abs(fit.params[0]) / errors[0]), "n_instruments": n, "residual_se": sigma,
        "q": fit.scale * df, "q_df": df, "q_pvalue": stats.chi2.sf(fit.scale * df, df),
        "i2": max(0.0, 1 - 1 / fit.scale), "df": df if distribution == "t" else np.inf,
        "f_statistic": np.mean((bx - delta @ c) ** 2 / (sx ** 2 + delta ** 2 @ sc ** 2)),
    }
    if egger:
        expected |= {"intercept": fit.params[-1], "intercept_se": errors[-1],
                     "intercept_pvalue": 2 * law.sf(abs(fit.params[-1]) / errors[-1])}
    return expected | {name: np.nan for name in NUMBERS if name not in expected}


def fitted(method, bx, sx, by, sy, c, sc, **options):
    return mr.fit(bx, sx, by, sy, method, covariates=c, covariates_se=sc, **options)


@pytest.mark.parametrize("spread", [0.3, 3.0])
@pytest.mark.parametrize("n, n_covariates", [(5, 1), (3, 1), (12, 0), (30, 3), (200, 5)])
@pytest.mark.parametrize("method, options", VARIANTS)
def test_against_weighted_least_squares(method, options, n, n_covariates, spread):
    if n <= n_covariates + 1 + (method == "mvmr_egger"):
        return
    data = random_problem(np.random.default_rng(n), n, n_covariates, spread=spread)
    ours, expected = fitted(method, *data, **options), slow(method, *data, **options)
    assert ours.note == ""
    for name in NUMBERS:
        np.testing.assert_allclose(getattr(ours, name), expected[name], rtol=1e-8, atol=1e-12, err_msg=name)


def test_against_mendelian_randomization_of_r():
    """What mr_mvivw of MendelianRandomization 0.10.0 (R 4.5.2) gives for its own example data, to 17 digits."""
    known = {d["name"]: d["inputs"] for d in json.loads(REFERENCE.read_text(encoding="utf-8"))["datasets"]}["ldlc_chd"]
    bx, sx, by, sy = (np.array(known[name]) for name in ("bx", "sx", "by", "sy"))
    ours = mr.fit(bx, sx, by, sy, "mvmr_ivw", covariates=[HDLC])
    np.testing.assert_allclose([ours.estimate, ours.se, ours.residual_se],
                               [2.3976404650193675, 0.47806357950055367, 1.6596696633720807], rtol=1e-12)
    lipids = np.array([bx, HDLC, TRIG])
    below_1 = [mr.fit(lipids[i], sx, by, 3 * sy, "mvmr_ivw", covariates=np.delete(lipids, i, 0)) for i in range(3)]
    np.testing.assert_allclose([r.estimate for r in below_1],
                               [1.9251826624660213, -0.58971335721968732, 0.72253817973183354], rtol=1e-12)
    np.testing.assert_allclose([r.se for r in below_1],
                               [0.91973585910031153, 1.161631798590018, 0.48160685257019609], rtol=1e-12)
    np.testing.assert_allclose([r.residual_se for r in below_1], 0.47777222431786015, rtol=1e-12)


@pytest.mark.parametrize("junk", [0.0, np.nan, np.inf, -1e308])
@pytest.mark.parametrize("method, options", VARIANTS)
def test_batches_with_masks_equal_single_fits(method, options, junk):
    rng = np.random.default_rng(1)
    bx, sx, _, _, c, sc = random_problem(rng, 25, 2, 4, 1)
    _, _, by, sy, _, _ = random_problem(rng, 25, 2, 4, 3)
    by = by + bx
    mask = rng.random((4, 1, 25)) < 0.5
    mask[2] = False
    mask[3, 0, 4:] = False
    for a in (bx, sx, by, sy):
        a[~np.broadcast_to(mask, a.shape)] = junk
    for a in (c, sc):
        a[~np.broadcast_to(mask[..., None, :], a.shape)] = junk
    ours = mr.ESTIMATORS[method](bx, sx, by, sy, mask, covariates=c, covariates_se=sc, **options)
    for i in np.ndindex(4, 3):
        m = mask[i[0], 0]
        one = fitted(method, bx[i[0], 0, m], sx[i[0], 0, m], by[i][m], sy[i][m], c[i[0], 0][:, m], sc[i[0], 0][:, m],
                     **options)
        assert one.note == ours.note[i] and ours.n_instruments[i] == m.sum()
        for name in NUMBERS:
            np.testing.assert_allclose(getattr(ours, name)[i], getattr(one, name), rtol=1e-9, err_msg=name)


@pytest.mark.parametrize("method, plain", [("mvmr_ivw", "ivw"), ("mvmr_egger", "egger")])
@pytest.mark.parametrize("n", range(6))
def test_without_covariates_it_is_the_plain_estimator(method, plain, n):
    bx, sx, by, sy, c, sc = random_problem(np.random.default_rng(5), n, 0)
    ours, theirs = fitted(method, bx, sx, by, sy, c, sc), mr.fit(bx, sx, by, sy, plain)
    assert ours.note == theirs.note
    for name in set(NUMBERS) - {"i2_gx"}:
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-9, err_msg=name)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("x, y, z", [(1e-150, 1.0, 1.0), (1.0, 1e150, 1e-150), (1e150, 1e150, 1e150),
                                     (1e-150, 1e-150, 1.0), (1e150, 1.0, 1e-150), (3e-7, 2e9, 1e4)])
def test_units(method, x, y, z):
    """Of exposure, outcome and the first covariate; numbers without unit stay as they are."""
    bx, sx, by, sy, c, sc = random_problem(np.random.default_rng(2), 20)
    scale = np.array([[z], [1.0]])
    before = fitted(method, bx, sx, by, sy, c, sc)
    after = fitted(method, x * bx, x * sx, y * by, y * sy, scale * c, scale * sc)
    assert after.note == ""
    for name in NUMBERS:
        unit = {"intercept": y, "intercept_se": y}.get(
            name, y / x if name in ("estimate", "se", "ci_low", "ci_high") else 1.0)
        np.testing.assert_allclose(getattr(after, name), getattr(before, name) * unit, rtol=1e-9, err_msg=name)


@given(seed=st.integers(0, 10**6), n=st.integers(5, 40), variant=st.sampled_from(VARIANTS))
def test_signs_and_orders_change_nothing(seed, n, variant):
    method, options = variant
    rng = np.random.default_rng(seed)
    bx, sx, by, sy, c, sc = random_problem(rng, n)
    sign, order, turn = rng.choice([-1.0, 1.0], n), rng.permutation(n), np.array([[-1.0], [1.0]])
    before = fitted(method, bx, sx, by, sy, c, sc, **options)
    after = fitted(method, (sign * bx)[order], sx[order], (sign * by)[order], sy[order],
                   (turn * sign * c)[::-1, order], sc[::-1, order], **options)
    for name in NUMBERS:
        np.testing.assert_allclose(getattr(after, name), getattr(before, name), rtol=1e-7, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("method", METHODS)
def test_why_there_is_no_estimate(method):
    bx, sx, by, sy, c, sc = random_problem(np.random.default_rng(3), 20)
    needs = 4 + (method == "mvmr_egger")
    few = fitted(method, *(a[..., :needs - 1] for a in (bx, sx, by, sy, c, sc)))
    assert few.note == f"{needs - 1} instruments, needs {needs}" and np.isnan(few.estimate)
    assert fitted(method, *(a[..., :needs] for a in (bx, sx, by, sy, c, sc))).note == ""
    for covariates in (np.stack([bx, c[0]]), np.stack([c[0], 3 * c[0]]), np.stack([c[0], 0 * bx]),
                       np.stack([c[0], bx + c[0]]), np.stack([c[0], bx + 1e-9 * c[1]])):
        result = fitted(method, bx, sx, by, sy, covariates, sc)
        assert result.note == "the effects on exposure and covariates are collinear"
        assert np.isnan([getattr(result, name) for name in NUMBERS if name != "n_instruments"]).all()
    assert fitted(method, 0 * bx, sx, by, sy, c, sc).note == "all exposure effects are zero"
    c[0, 4] = np.nan
    assert fitted(method, bx, sx, by, sy, c, sc).note == "an effect is not a finite number"
    c[0, 4], sy[7] = 1.0, 0.0
    assert fitted(method, bx, sx, by, sy, c, sc).note == "a standard error is zero"


def test_nearly_collinear_covariates_cost_precision_and_no_truth():
    """A hundred times the tolerance away: five digits of the estimate are left, and its standard error is honest."""
    bx, sx, by, sy, c, sc = random_problem(np.random.default_rng(4), 50, 1)
    ours = fitted("mvmr_ivw", bx, sx, by, sy, bx + 1e-5 * c, sc)
    exact = fitted("mvmr_ivw", 1e-5 * c[0], sx, by, sy, bx[None], sc)
    np.testing.assert_allclose(ours.estimate, -exact.estimate, rtol=1e-5)
    np.testing.assert_allclose(ours.se, exact.se, rtol=1e-5)


@given(data=st.data(), n=st.integers(0, 6), n_covariates=st.integers(0, 2), variant=st.sampled_from(VARIANTS))
def test_no_finite_input_raises_or_warns(data, n, n_covariates, variant):
    method, options = variant
    bx, sx, by, sy = (np.array(data.draw(st.lists(FINITE, min_size=n, max_size=n))) for _ in range(4))
    c, sc = (np.array(data.draw(st.lists(FINITE, min_size=n * n_covariates, max_size=n * n_covariates))).reshape(
        n_covariates, n) for _ in range(2))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = fitted(method, bx, sx, by, sy, c, sc, **options)
    if result.note:
        assert np.isnan(result.estimate) and np.isnan(result.se)
    else:
        assert np.isfinite(result.estimate) and 0 < result.se < np.inf and result.ci_low <= result.ci_high


@pytest.mark.parametrize("options, said", [
    ({}, "needs the effects of what is held fixed: covariates"),
    ({"covariates": np.ones((2, 3))}, "unequal lengths"), ({"covariates": np.ones(4)}, "two dimensions"),
    ({"covariates": np.ones((1, 4)), "model": "some"}, "model='some'"),
    ({"covariates": np.ones((1, 4)), "psi": 0.1}, "psi"),
])
def test_what_is_refused(options, said):
    with pytest.raises(InputError, match=said):
        mr.fit(*np.ones((4, 4)), method="mvmr_ivw", **options)
    with pytest.raises(InputError, match="does not take covariates"):
        mr.fit(*np.ones((4, 4)), method="ivw", covariates=np.ones((1, 4)))


# --- over loci and pairs ---------------------------------------------------------------------------------------------

MARKS = ("X", "Y", "C", "D")


def dataset(n_loci=4, n_members=5, n_variants=60, seed=0):
    """Y follows X with slope 2 and C with slope 3; X follows C with slope 1."""
    rng = np.random.default_rng(seed)
    c, d, own = rng.normal(size=(3, n_loci, 1, n_variants)) * rng.choice([0.02, 1.0], (3, n_loci, 1, n_variants))
    true = np.stack([own + c, 2 * (own + c) + 3 * c, c, d + 0.3 * own], -1)
    members = (true + 0.1 * rng.normal(size=(n_loci, n_members, n_variants, 4))).astype(np.float32)
    names = {name: ("locus", [f"{name}{i}" for i in range(n_loci)]) for name in ("name", "chrom", "strand")}
    return xr.Dataset({
        "member_effect": (("locus", "member", "variant", "mark"), members),
        "effect": (("locus", "variant", "mark"), members.mean(1, dtype=float).astype(np.float32)),
        "effect_se": (("locus", "variant", "mark"), members.std(1, ddof=1, dtype=float).astype(np.float32)),
        **names, "start": ("locus", np.arange(n_loci)), "end": ("locus", np.arange(n_loci) + n_variants),
    }, coords={"mark": list(MARKS)})


def of_locus(effect, se, chosen, x, y, held, method):
    data = (effect[chosen, x], se[chosen, x], effect[chosen, y], se[chosen, y], effect[chosen][:, held].T,
            se[chosen][:, held].T)
    return slow(method, *data)


@pytest.mark.parametrize("adjust, named, steiger", [
    (["C"], ["C"], False), ("C", ["C"], True), (["D", "C"], ["D", "C"], True), ("all", MARKS, False),
    (["all"], MARKS, True),
])
def test_pairs_against_a_loop(adjust, named, steiger):
    effects = dataset()
    table = mr.fit_pairs(effects, method=[*METHODS, "ivw"], instruments="own", instrument_z=3, adjust=adjust,
                         steiger=steiger)
    effect, se = (effects[name].values.astype(float) for name in ("effect", "effect_se"))
    size = np.abs(effect) / effect.std((0, 1))
    for row in table[table["method"] != "ivw"].itertuples():
        locus, x, y = int(row.locus[-1]), MARKS.index(row.exposure), MARKS.index(row.outcome)
        held = [MARKS.index(m) for m in named if m not in (row.exposure, row.outcome)]
        passing = np.abs(effect[locus]) >= 3 * se[locus]
        chosen = np.zeros(passing.shape[0], dtype=bool)
        for mark in (x, *held):
            chosen |= passing[:, mark] & (size[locus, :, mark] > size[locus, :, y] if steiger else True)
        expected = of_locus(effect[locus], se[locus], chosen, x, y, held, row.method)
        assert row.note == ""
        for name in ("n_instruments", "estimate", "se", "ci_low", "ci_high", "q", "intercept", "f_statistic"):
            np.testing.assert_allclose(getattr(row, name), expected[name], rtol=1e-6, err_msg=name)
    plain = mr.fit_pairs(effects, method="ivw", instruments="own", instrument_z=3, steiger=steiger)
    pd.testing.assert_frame_equal(table[table["method"] == "ivw"].reset_index(drop=True), plain)


def test_what_the_covariate_does_is_taken_out():
    """Both the covariate's own effect on the outcome and what it does through the exposure's instruments."""
    table = mr.fit_pairs(dataset(20), "X", "Y", ["ivw", *METHODS], "own", 3, adjust="C").groupby("method")["estimate"]
    assert table.mean()["ivw"] > 3
    assert abs(table.mean()["mvmr_ivw"] - 2) < 0.1 and abs(table.mean()["mvmr_egger"] - 2) < 0.1


@pytest.mark.parametrize("method", METHODS)
def test_cross_fitted_against_a_loop(method):
    effects = dataset(2)
    table = mr.fit_pairs(effects, "X", "Y", method, "own", 2, uncertainty="cross_fitted", spread_shrinkage="none",
                         adjust="C")
    members = effects["member_effect"].values.astype(float)
    for locus in range(2):
        estimates = []
        for k in range(5):
            others = np.delete(members[locus], k, 0)
            se = others.std(0, ddof=1)
            passing = np.abs(others.mean(0)) >= 2 * se
            estimates.append(of_locus(members[locus, k], se, passing[:, 0] | passing[:, 2], 0, 1, [2], method))
        estimates = [one["estimate"] for one in estimates]
        row = table.iloc[locus]
        np.testing.assert_allclose([row["estimate"], row["se"]], [np.mean(estimates), np.std(estimates, ddof=1)],
                                   rtol=1e-6)
        np.testing.assert_allclose([row[f"estimate_{k}"] for k in range(1, 6)], estimates, rtol=1e-6)


@pytest.mark.parametrize("options", [
    {"uncertainty": "members"}, {"uncertainty": "combined"}, {"se_shrinkage": "moderated"},
    {"uncertainty": "cross_fitted", "se_shrinkage": "moderated", "steiger": True},
])
def test_goes_with_what_else_can_be_asked(options):
    table = mr.fit_pairs(dataset(10), "X", "Y", METHODS, "own", 3, adjust=["C", "D"], **options)
    assert (table["note"] == "").all() and (table["se"] > 0).all()
    assert ((table["estimate"] - 2).abs() < 4 * table["se"]).mean() > 0.9


@pytest.mark.parametrize("methods, adjust, said", [
    (("ivw",), ["C"], "--adjust is for the methods mvmr_ivw and mvmr_egger, not for ivw"),
    (("ivw", "mvmr_egger"), None, "mvmr_egger needs marks to hold fixed"), (("mvmr_ivw",), [], "is an empty list"),
    (("mvmr_ivw",), ["Cc"], "unknown mark to adjust for 'Cc'; did you mean \"C\""),
    (("mvmr_ivw",), "Cc", "unknown mark to adjust for 'Cc'"),
    (("mvmr_ivw",), ["C", "C"], "'C' is named twice"),
])
def test_adjust_and_methods_go_together(methods, adjust, said):
    with pytest.raises(InputError, match=said):
        EstimateOptions(method=methods, adjust=adjust).check(MARKS, 3)
