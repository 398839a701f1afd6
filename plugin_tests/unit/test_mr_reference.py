"""IVW, MR-Egger and the Wald-ratio baseline against the numbers of R's MendelianRandomization and TwoSampleMR."""


import numpy as np
import pytest
from mr_problems import DATASETS
from scipy import stats

from kipoi_deepmr import mr

IVW = {
    "MR.ivw.default.simple": {},
    "MR.ivw.default.delta": {"weights": "delta"},
    "MR.ivw.fixed.simple": {"model": "fixed"},
    "MR.ivw.fixed.delta": {"model": "fixed", "weights": "delta"},
    "MR.ivw.random.simple": {"model": "random"},
    "MR.ivw.random.delta": {"model": "random", "weights": "delta"},
    "MR.ivw.random.delta.psi0.3": {"model": "random", "weights": "delta", "psi": 0.3},
}
PENALIZED = {
    "MR.ivw.penalized.simple": ("ivw", {}),
    "MR.ivw.penalized.delta": ("ivw", {"weights": "delta"}),
    "MR.ivw.penalized.fixed": ("ivw", {"model": "fixed"}),
    "MR.egger.penalized": ("egger", {}),
}
ROBUST = {
    "MR.ivw.robust.simple": ("ivw", {}),
    "MR.ivw.robust.delta": ("ivw", {"weights": "delta"}),
    "MR.ivw.robust.fixed": ("ivw", {"model": "fixed"}),
    "MR.ivw.robust.penalized.simple": ("ivw", {"penalized": True}),
    "MR.ivw.robust.penalized.delta": ("ivw", {"penalized": True, "weights": "delta"}),
    "MR.egger.robust": ("egger", {}),
    "MR.egger.robust.penalized": ("egger", {"penalized": True}),
}
EDGES = ("edge_exact_fit", "edge_equal_bx", "edge_large_outlier")  # R stops, or divides rounding errors
EXACT_FIT = "edge_exact_fit"  # residuals are rounding errors, and R divides by the residual standard error
ZERO_BX = "edge_zero_bx"


def fitted(name, **options):
    inputs = DATASETS[name]["inputs"]
    return mr.fit(*(inputs[key] for key in ("bx", "sx", "by", "sy")), **options)


def reference(name, key):
    result = DATASETS[name]["results"][key]
    return {field: float("nan") if value is None else value for field, value in result.items()}


def agree(ours, theirs, rtol=1e-9, atol=1e-14):
    np.testing.assert_allclose(float(ours), float(theirs), rtol=rtol, atol=atol)


def agree_pvalue(ours, theirs):
    # R computes 2 (1 - Phi(|z|)), whose absolute error is a unit of rounding of 1
    np.testing.assert_allclose(ours, float(theirs), rtol=1e-9, atol=4e-16)


@pytest.mark.parametrize("key", IVW)
@pytest.mark.parametrize("name", DATASETS)
def test_ivw(name, key):
    r, ours = reference(name, key), fitted(name, method="ivw", **IVW[key])
    agree(ours.estimate, r["Estimate"])
    if r["StdError"] == "NaN":
        assert name == EXACT_FIT
        inputs = DATASETS[name]["inputs"]
        agree(ours.se, 1 / np.sqrt(np.sum((np.array(inputs["bx"]) / inputs["sy"]) ** 2)))
        return
    agree(ours.se, r["StdError"])
    agree(ours.ci_low, r["CILower"])
    agree(ours.ci_high, r["CIUpper"])
    np.testing.assert_allclose(ours.pvalue, r["Pvalue"], rtol=1e-9)
    if ours.n_instruments == 1:
        assert np.isnan([ours.residual_se, ours.q, ours.q_pvalue]).all() and ours.q_df == 0
        return
    agree(ours.residual_se, r["RSE"])
    zero_weight = name == ZERO_BX and "delta" in key
    # R leaves the instrument of bx = 0 out of sigma, but counts it again in Q = sigma^2 (n - 1)
    agree(ours.q, r["Heter.Stat"][0] * (4 / 5 if zero_weight else 1))
    assert ours.n_instruments == r["SNPs"] - zero_weight
    if not zero_weight:
        np.testing.assert_allclose(ours.q_pvalue, r["Heter.Stat"][1], rtol=1e-9)


def test_exact_fit_takes_the_fixed_standard_error():
    ours = fitted(EXACT_FIT, method="ivw")
    assert ours.note == "" and ours.residual_se < 1e-12 and ours.q < 1e-12 and ours.q_pvalue == 1


@pytest.mark.parametrize("name", [n for n in DATASETS if n != ZERO_BX])
def test_egger_normal(name):
    r, ours = reference(name, "MR.egger"), fitted(name, method="egger")
    if "Estimate" not in r:
        assert np.isnan(ours.estimate) and np.isnan(ours.q) and ours.note
        return
    assert ours.note == "" and ours.n_instruments == r["SNPs"]
    for field, theirs in (("estimate", "Estimate"), ("se", "StdError.Est"), ("ci_low", "CILower.Est"),
                          ("ci_high", "CIUpper.Est"), ("intercept", "Intercept"), ("intercept_se", "StdError.Int"),
                          ("residual_se", "RSE")):
        agree(getattr(ours, field), r[theirs])
    agree_pvalue(ours.pvalue, r["Pvalue.Est"])
    agree_pvalue(ours.intercept_pvalue, r["Pvalue.Int"])
    agree(ours.q, r["Heter.Stat"][0])
    np.testing.assert_allclose(ours.q_pvalue, float(r["Heter.Stat"][1]), rtol=1e-9)


@pytest.mark.parametrize("name", DATASETS)
def test_egger_t(name):
    r, ours = reference(name, "TSMR.mr_egger_regression"), fitted(name, method="egger", distribution="t")
    if np.isnan(r["b"]):
        assert np.isnan(ours.estimate) and ours.note
        return
    for field, theirs in (("estimate", "b"), ("se", "se"), ("pvalue", "pval"), ("intercept", "b_i"), ("q", "Q"),
                          ("intercept_se", "se_i"), ("intercept_pvalue", "pval_i"), ("q_df", "Q_df"),
                          ("q_pvalue", "Q_pval")):
        agree(getattr(ours, field), r[theirs])
    # the interval ends where the p-value is alpha (the t quantile of older SciPy has 9 digits only)
    agree(2 * stats.t.sf((ours.ci_high - ours.ci_low) / 2 / ours.se, ours.n_instruments - 2), 0.05)
    theirs = reference(name, "MR.egger.tdist")
    if theirs["RSE"] > 1 and name != ZERO_BX:  # below 1 its interval and p-value use two different standard errors
        agree(ours.ci_low, theirs["CILower.Est"])
        agree(ours.ci_high, theirs["CIUpper.Est"])


def coefficients_agree(ours, r, rtol):
    """Estimate, standard errors, intervals, and the residual standard error; in R's names for IVW and for Egger."""
    egger = "Intercept" in r
    fields = {"estimate": "Estimate", "se": "StdError.Est" if egger else "StdError", "residual_se": "RSE",
              "ci_low": "CILower.Est" if egger else "CILower", "ci_high": "CIUpper.Est" if egger else "CIUpper"}
    if egger:
        fields |= {"intercept": "Intercept", "intercept_se": "StdError.Int"}
    for field, theirs in fields.items():
        agree(getattr(ours, field), r[theirs], rtol=rtol)
    np.testing.assert_allclose(ours.pvalue, r["Pvalue.Est" if egger else "Pvalue"], rtol=100 * rtol, atol=1e-15)


@pytest.mark.parametrize("key", PENALIZED)
@pytest.mark.parametrize("name", [n for n in DATASETS if n not in EDGES])
def test_penalized(name, key):
    method, options = PENALIZED[key]
    r, ours = reference(name, key), fitted(name, method=method, penalized=True, **options)
    if "Estimate" not in r:
        assert np.isnan(ours.estimate) and ours.note
    elif name == ZERO_BX and key != "MR.ivw.penalized.delta":
        # R's median of ratios has an infinite one, and the instrument's weight is NaN; Egger sets its by to 0
        assert ours.note == "" and abs(ours.estimate - r["Estimate"]) < 2 * ours.se
    else:
        if ours.n_instruments == 1:
            r["RSE"] = np.nan  # R's says 1
        coefficients_agree(ours, r, rtol=1e-9)
        assert np.isnan(ours.q) and np.isnan(ours.q_pvalue)


@pytest.mark.parametrize("key", ROBUST)
@pytest.mark.parametrize("name", [n for n in DATASETS if n not in EDGES])
def test_robust(name, key):
    """R draws 500 pairs of instruments; its own results differ by up to 4e-6 between seeds."""
    method, options = ROBUST[key]
    r, ours = reference(name, key), fitted(name, method=method, robust=True, **options)
    if method == "egger" and DATASETS[name]["inputs"]["n"] < 5:
        assert ours.note.endswith(", needs 5")
    elif name == ZERO_BX and key in ("MR.egger.robust", "MR.egger.robust.penalized", "MR.ivw.robust.penalized.simple"):
        assert ours.note == "" and abs(ours.estimate - r["Estimate"]) < 2 * ours.se
    else:
        if ours.n_instruments == 1:
            r["RSE"] = np.nan
        coefficients_agree(ours, r, rtol=1e-5)
        if np.isfinite(ours.q):  # of IVW, where an instrument of bx = 0 and delta weights does not count here
            agree(ours.q, r["Heter.Stat"][0] * (4 / 5 if (name, key) == (ZERO_BX, "MR.ivw.robust.delta") else 1), 1e-5)


@pytest.mark.parametrize("name", [n for n in DATASETS if n not in EDGES and DATASETS[n]["inputs"]["n"] >= 5])
def test_egger_robust_is_lmrob(name):
    """Where bx is 0 as well, and the same as egger(robust = True)."""
    r, ours = reference(name, "lmrob.MM.int.oriented"), fitted(name, method="egger_robust")
    factor = min(r["scale"], 1)
    agree(ours.intercept, r["coef"][0], 1e-5)
    agree(ours.estimate, r["coef"][1], 1e-5)
    agree(ours.intercept_se, r["se"][0] / factor, 1e-5)
    agree(ours.se, r["se"][1] / factor, 1e-5)
    agree(ours.residual_se, r["scale"], 1e-5)
    assert ours.estimate == pytest.approx(fitted(name, method="egger", robust=True).estimate, rel=1e-12)


@pytest.mark.parametrize("name", DATASETS)
def test_wald_mean(name):
    r, ours = reference(name, "wald_ratios"), fitted(name, method="wald_mean")
    if name in ("sim_n1", EXACT_FIT, ZERO_BX):
        assert np.isnan(ours.estimate) and np.isnan(ours.se) and ours.note
        return
    agree(ours.estimate, r["mean"])
    agree(ours.se, r["sd"])
    assert ours.n_instruments == DATASETS[name]["inputs"]["n"] and ours.note == ""


def test_reasons_where_r_has_no_answer():
    assert fitted("sim_n1").note == "1 instrument, needs 3"
    assert fitted("sim_n2").note == "2 instruments, needs 3"
    assert fitted("edge_equal_bx").note == "no variation in the exposure effects"
    assert fitted("sim_n1", method="wald_mean").note == "1 instrument, needs 2"
    assert fitted(EXACT_FIT, method="wald_mean").note == "the ratios do not vary"
    assert fitted(ZERO_BX, method="wald_mean").note == "an exposure effect is zero"
