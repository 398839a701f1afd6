"""Meta-analysis against R's metafor and meta: every data set, estimator, interval and p-value."""

import json
from pathlib import Path

import numpy as np
import pytest

from kipoi_deepmr import meta

DATASETS = {
    dataset["name"]: dataset
    for dataset in json.loads((Path(__file__).parents[1] / "data" / "meta_reference.json").read_text())["datasets"]
}
RTOL = 1e-9
# tau^2 = 2e-17 where the data's variances are 0.02: the tight runs of metafor stop that near to the edge at 0
EDGE = 1e-15

TESTS = {"z": ("wald", "normal"), "t": ("t", "t_k1"), "knha": ("hartung-knapp", "hk")}
METAFOR = {
    "estimate": "b",
    "se": "se",
    "ci_low": "ci.lb",
    "ci_high": "ci.ub",
    "pvalue": "pval",
    "tau2": "tau2",
    "tau2_se": "se.tau2",
    "q": "QE",
    "q_pvalue": "QEp",
    "pi_low": "pi.lb",
    "pi_high": "pi.ub",
    "h2_tau2": "H2",
    "typical_variance": "vt",
}
METAGEN = {
    "estimate": "TE.random",
    "se": "seTE.random",
    "ci_low": "lower.random",
    "ci_high": "upper.random",
    "pvalue": "pval.random",
    "tau2": "tau2",
    "tau2_se": "se.tau2",
    "tau": "tau",
    "q": "Q",
    "q_df": "df.Q",
    "q_pvalue": "pval.Q",
    "i2": "I2",
    "pi_low": "lower.predict",
    "pi_high": "upper.predict",
    "common_estimate": "TE.fixed",
    "common_se": "seTE.fixed",
    "common_ci_low": "lower.fixed",
    "common_ci_high": "upper.fixed",
    "common_pvalue": "pval.fixed",
}
CLOSED_FORM = ("DL", "HS", "HE", "SJ")
VARIANTS = {
    "classic": {},
    "classic.predHTS": {"prediction": "hts"},
    "classic.predS": {"prediction": "normal"},
    "HK": {"ci": "hartung-knapp", "prediction": "hk"},
    "HK.adhoc_se": {"ci": "hartung-knapp", "adhoc": "se", "prediction": "hk"},
    "HK.adhoc_ci": {"ci": "hartung-knapp", "adhoc": "ci"},
}


def numbers(name):
    inputs = DATASETS[name]["inputs"]
    return np.array(inputs["TE"]), np.array(inputs["seTE"])


def agree(result, record, fields, rtol=RTOL, skip=()):
    compared = 0
    for ours, theirs in fields.items():
        expected = record.get(theirs)
        if ours in skip or expected is None or isinstance(expected, str):
            continue
        np.testing.assert_allclose(getattr(result, ours), expected, rtol=rtol, atol=EDGE, err_msg=f"{ours} ({theirs})")
        compared += 1
    assert compared > 8


def records(*keys):
    """Those of the keys that the data sets have: (data set, key, record)."""
    return [
        pytest.param(name, key, dataset["results"][key], id=f"{name}-{key}")
        for name, dataset in DATASETS.items()
        for key in keys
        if key in dataset["results"]
    ]


def metafor_keys():
    tight = [f"metafor_tight.{method}.{test}" for method in meta.TAU2_METHODS for test in ("z", "knha")]
    return tight + [f"metafor.{method}.{test}" for method in CLOSED_FORM for test in TESTS]


@pytest.mark.parametrize(("name", "key", "record"), records(*metafor_keys()))
def test_metafor_converged(name, key, record):
    _, method, test = key.split(".")
    ci, prediction = TESTS[test]
    result = meta.random_effects(*numbers(name), tau2_method=method, ci=ci, prediction=prediction)
    agree(result, record, METAFOR)
    np.testing.assert_allclose(100 * result.i2_tau2, record["I2"], rtol=RTOL, atol=1e-12)


@pytest.mark.parametrize(("name", "key", "record"), records("metafor.EE"))
def test_metafor_common_effect(name, key, record):
    result = meta.random_effects(*numbers(name))
    fields = {"estimate": "b", "se": "se", "ci_low": "ci.lb", "ci_high": "ci.ub", "pvalue": "pval"}
    for ours, theirs in fields.items():
        np.testing.assert_allclose(getattr(result, f"common_{ours}"), record[theirs], rtol=RTOL)


@pytest.mark.parametrize(("name", "key", "record"), records("metafor_tight.REML.z", "metafor_tight.DL.z"))
def test_q_profile(name, key, record):
    result = meta.random_effects(*numbers(name))
    if "confint" in record:
        np.testing.assert_allclose(result.tau2_ci_low, record["confint"]["tau2.lb"], rtol=RTOL, atol=EDGE)
        np.testing.assert_allclose(result.tau2_ci_high, record["confint"]["tau2.ub"], rtol=RTOL)


@pytest.mark.parametrize(
    ("name", "key", "record"),
    records(*(f"meta.{method}.{variant}" for method in meta.TAU2_METHODS for variant in VARIANTS)),
)
def test_metagen(name, key, record):
    """The closed forms agree; an iterative one is compared where metagen's absolute tolerance let it converge."""
    _, method, variant = key.split(".", 2)
    result = meta.random_effects(*numbers(name), tau2_method=method, **VARIANTS[variant])
    if method not in CLOSED_FORM and abs(result.tau2 - record["tau2"]) > 1e-7 * result.tau2:
        np.testing.assert_allclose(result.tau2, record["tau2"], rtol=0, atol=1.3e-4)
        return
    # metagen's prediction interval for this correction is an older kind, t(k - 2) around the Hartung-Knapp se
    skip = ("pi_low", "pi_high") if variant == "HK.adhoc_ci" else ()
    agree(result, record, METAGEN, rtol=RTOL if method in CLOSED_FORM else 1e-6, skip=skip)


@pytest.mark.parametrize(("name", "key", "record"), records("meta.DL.taucI_J"))
def test_jackson_interval(name, key, record):
    """metagen finds its bounds to an absolute 1e-4."""
    result = meta.random_effects(*numbers(name), tau2_method="DL", tau2_ci="jackson")
    np.testing.assert_allclose(result.tau2_ci_low, record["lower.tau2"], rtol=1e-6, atol=1.3e-4)
    np.testing.assert_allclose(result.tau2_ci_high, record["upper.tau2"], rtol=1e-6, atol=1.3e-4)


def test_published_meta_regression():
    """BCG vaccine against latitude, as in metafor's documentation (four digits are published)."""
    effects, ses = numbers("bcg_logRR")
    latitude = [44, 55, 42, 52, 13, 44, 19, 13, 27, 42, 18, 33, 33]
    result = meta.meta_regression(effects, ses, latitude)
    np.testing.assert_allclose(result.estimate, [0.2515, -0.0291], atol=6e-5)
    np.testing.assert_allclose(result.se, [0.2491, 0.0072], atol=6e-5)
    np.testing.assert_allclose([result.tau2, result.tau2_se], [0.0764, 0.0591], atol=6e-5)
    np.testing.assert_allclose([result.q_e, result.r2, result.i2], [30.7331, 0.7562, 0.6839], atol=2e-4)
    assert (result.q_e_df, result.q_m_df) == (11, 1)
    np.testing.assert_allclose([result.q_m, result.q_e_pvalue], [16.357, 0.0012], atol=2e-3)
