"""Random-effects and common-effect meta-analysis, of one or of many columns at once; leave-one-out."""

import numpy as np

from ..errors import InputError
from ..inference import check_alpha, check_choice, chi2_pvalue, quantile, two_sided_pvalue
from .jackson import jackson
from .model import is_large, mean_model
from .result import MetaResult
from .studies import TOO_FAR, UNWEIGHTABLE, blocks, read_studies
from .tau2 import TAU2_METHODS, estimate_tau2, q_profile

CI = ("wald", "t", "hartung-knapp")
ADHOC = (None, "se", "ci")
PREDICTION = ("t_k1", "hts", "normal", "hk")
TAU2_CI = ("q_profile", "jackson", None)

_COUNTS = ("n_studies", "n_excluded", "q_df")
_NUMBERS = [name for name in MetaResult.__dataclass_fields__ if name != "note" and name not in _COUNTS]


def random_effects(
    effects,
    ses,
    tau2_method="REML",
    ci="wald",
    adhoc=None,
    prediction="t_k1",
    tau2_ci="q_profile",
    alpha=0.05,
):
    """Random-effects meta-analysis of each column, with the common-effect model beside it.

    Parameters
    ----------
    effects, ses : array_like, shape (k,) or (k, n)
        Effects of k studies and their standard errors; n analyses, one a column. NaN in either is a missing study.
        A study with an infinite effect or a zero, negative or infinite standard error is excluded, counted in
        `n_excluded` and named in `note`.
    tau2_method : {"REML", "DL", "PM", "ML", "HE", "HS", "SJ", "EB"}
    ci : {"wald", "t", "hartung-knapp"}
        Normal; t with k - 1 degrees of freedom; Hartung and Knapp's standard error with t(k - 1).
    adhoc : {None, "se", "ci"}
        Only with "hartung-knapp", which can be too narrow (its se is 0 when all effects are equal): "se" takes the
        larger of both standard errors, "ci" the Wald interval where it is the wider one.
    prediction : {"t_k1", "hts", "normal", "hk"}
        Quantiles of t(k - 1), t(k - 2) (Higgins, Thompson, Spiegelhalter), normal, or t(k - 1) with Hartung and
        Knapp's standard error (never corrected ad hoc).
    tau2_ci : {"q_profile", "jackson", None}
        Interval of tau^2; None skips it.
    alpha : float
        1 - alpha is the coverage of every interval.

    Returns
    -------
    MetaResult
        Numbers for 1-D input, arrays of shape (n,) for 2-D. Without usable studies all is NaN. With one, the estimate
        is the study's own with its normal interval, and tau^2, I^2 and the prediction interval are NaN.

    Raises
    ------
    InputError
        If shapes differ or an option is unknown.

    References
    ----------
    R's meta::metagen 8.3-0 and metafor::rma.uni 5.0-1; Hartung and Knapp (2001), Stat Med 20; Jackson et al. (2017),
    Stat Med 36; Higgins, Thompson and Spiegelhalter (2009), J R Stat Soc A 172.
    """
    check_choice("tau2_method", tau2_method, TAU2_METHODS)
    check_choice("ci", ci, CI)
    check_choice("adhoc", adhoc, ADHOC)
    check_choice("prediction", prediction, PREDICTION)
    check_choice("tau2_ci", tau2_ci, TAU2_CI)
    check_alpha(alpha)
    studies = read_studies(effects, ses)
    out = numbers_of(studies, tau2_method, ci, adhoc, prediction, tau2_ci, alpha)
    out["note"] = _notes(out["se"], out["n_studies"], studies.n_excluded)
    if studies.one_column:
        return MetaResult(**{name: values[0] if name == "note" else values[0].item() for name, values in out.items()})
    return MetaResult(**out)


def numbers_of(studies, tau2_method, ci, adhoc, prediction, tau2_ci, alpha):
    """All numbers of `random_effects`, by name; an array (n,) each.

    Parameters
    ----------
    studies : Studies
    tau2_method, ci, adhoc, prediction, tau2_ci, alpha
        As in `random_effects`, checked.
    """
    n_studies, is_compiled = studies.usable.sum(axis=0), is_large(studies.effects.size)
    out = {name: np.full(len(n_studies), np.nan) for name in _NUMBERS}
    for block in blocks(n_studies, is_compiled):
        found = _pool(studies.columns(block), is_compiled, tau2_method, ci, adhoc, prediction, tau2_ci, alpha)
        for name, values in found.items():
            out[name][block] = values
    return {**out, "n_studies": n_studies, "n_excluded": studies.n_excluded, "q_df": np.maximum(n_studies - 1, 0)}


def _pool(columns, is_compiled, tau2_method, ci, adhoc, prediction, tau2_ci, alpha):
    """Analyse the columns of one block: effects, standard errors, and which are usable, at least one of each."""
    model, centre, scale = mean_model(*columns, is_compiled)
    with np.errstate(all="ignore"):
        several = np.flatnonzero(model.k > 1)
        part = model.rows(several)
        tau2, tau2_se, tau2_low, tau2_high = np.full((4, len(model.k)), np.nan)
        if len(several):
            tau2[several], tau2_se[several] = estimate_tau2(part, tau2_method)
            if tau2_ci:
                interval = q_profile if tau2_ci == "q_profile" else jackson
                tau2_low[several], tau2_high[several] = interval(part, alpha)
        out = _common(model, alpha)
        out.update(_mean(model, np.where(model.k > 1, tau2, 0.0), ci, adhoc, prediction, alpha))
        variances = {"tau2": tau2, "tau2_se": tau2_se, "tau2_ci_low": tau2_low, "tau2_ci_high": tau2_high}
        variances["typical_variance"] = out.pop("typical_variance")
        out.update({name: values * scale**2 for name, values in variances.items()})
        for name in ("", "common_"):
            for end in ("estimate", "ci_low", "ci_high"):
                out[name + end] = centre + scale * out[name + end]
            out[name + "se"] = scale * out[name + "se"]
            df = out.pop(name + "df")
            out[name + "pvalue"] = two_sided_pvalue(out[name + "estimate"], out[name + "se"], df)
        out["pi_low"], out["pi_high"] = centre + scale * out["pi_low"], centre + scale * out["pi_high"]
    return out


def _common(model, alpha):
    """Common-effect mean, Q and what follows from it, in the model's own units."""
    s = model.sums(np.zeros(len(model.k)))
    df = model.df.astype(np.float64)
    several = df > 0
    half = -quantile(alpha, np.full(len(df), np.inf)) / np.sqrt(s.w1)
    return {
        "common_estimate": s.mean,
        "common_se": 1 / np.sqrt(s.w1),
        "common_ci_low": s.mean + half,
        "common_ci_high": s.mean - half,
        "common_df": np.full(len(df), np.inf),
        "q": s.q0,
        "q_pvalue": chi2_pvalue(s.q0, df),
        "i2": np.where(several, np.maximum(0.0, (s.q0 - df) / s.q0), np.nan),
        "h2": np.where(several, np.maximum(1.0, s.q0 / df), np.nan),
        "typical_variance": np.where(several, df / s.tr1, np.nan),
    }


def _mean(model, tau2, ci, adhoc, prediction, alpha):
    """Random-effects mean with its confidence and prediction intervals, in the model's own units."""
    s = model.sums(tau2)
    k = model.k.astype(np.float64)
    one = k == 1
    classic = 1 / np.sqrt(s.w1)
    hartung_knapp = np.sqrt(s.q0 / (k - 1) / s.w1)
    se, df = classic, np.full(len(k), np.inf)
    if ci == "t":
        df = np.where(one, np.inf, k - 1)
    elif ci == "hartung-knapp":
        se, df = np.where(one, classic, hartung_knapp), np.where(one, np.inf, k - 1)
        if adhoc == "se":
            se = np.maximum(se, classic)
        elif adhoc == "ci":
            narrow = se * quantile(alpha, df) < classic * quantile(alpha, np.inf)
            se, df = np.where(narrow, classic, se), np.where(narrow, np.inf, df)
    half = quantile(alpha, df) * se
    new_se = np.sqrt((hartung_knapp if prediction == "hk" else classic) ** 2 + tau2)
    new_half = prediction_quantile(prediction, k, alpha) * new_se
    return {
        "estimate": s.mean,
        "se": se,
        "df": df,
        "ci_low": s.mean - half,
        "ci_high": s.mean + half,
        "pi_low": s.mean - new_half,
        "pi_high": s.mean + new_half,
    }


def prediction_df(prediction, k):
    """Degrees of freedom of the prediction interval of k studies, an array; NaN where there is none."""
    return {"t_k1": k - 1, "hts": k - 2, "normal": np.where(k == 1, np.nan, np.inf), "hk": k - 1}[prediction]


def prediction_quantile(prediction, k, alpha):
    """What the prediction intervals of k studies, an array, have of the standard error on each side."""
    known, place = np.unique(k, return_inverse=True)  # few numbers, and a quantile takes long
    return quantile(alpha, prediction_df(prediction, known))[place.reshape(np.shape(k))]


def _notes(se, n_studies, n_excluded):
    """One note an analysis: what was excluded, and why something is NaN."""
    notes = np.full(len(n_studies), "", dtype=object)
    for i in np.flatnonzero((n_studies < 2) | (n_excluded > 0) | ~(se > 0)):
        parts = []
        if n_excluded[i]:
            parts.append(f"excluded {n_excluded[i]} {UNWEIGHTABLE}")
        if n_studies[i] == 0:
            parts.append("no usable study")
        elif n_studies[i] == 1:
            parts.append("one study: no heterogeneity, normal interval")
        elif se[i] == 0:
            parts.append("standard error 0, since all effects are equal: use the ad hoc correction")
        elif not np.isfinite(se[i]):
            parts.append(TOO_FAR)
        notes[i] = "; ".join(parts)
    return notes


def leave_one_out(effects, ses, **options):
    """Random-effects meta-analysis without each study in turn.

    Parameters
    ----------
    effects, ses : array_like, shape (k,)
    **options
        As in `random_effects`.

    Returns
    -------
    MetaResult
        Arrays of shape (k,): entry i is the analysis without study i (of all studies, where study i is not usable).

    Raises
    ------
    InputError
        If the input is not 1-D, or an option is unknown.

    References
    ----------
    R's metafor::leave1out and meta::metainf.
    """
    studies = read_studies(effects, ses)
    if not studies.one_column:
        raise InputError("leave_one_out takes one analysis: 1-D effects and standard errors")
    k = len(studies.effects)
    parts = []
    width = max(1, 4_000_000 // max(1, k))  # columns at a time: 32 MB an array
    for start in range(0, k, width):
        left_out = np.arange(start, min(start + width, k))
        columns = np.repeat(studies.effects, len(left_out), axis=1)
        columns[left_out, np.arange(len(left_out))] = np.nan
        parts.append(random_effects(columns, np.repeat(studies.ses, len(left_out), axis=1), **options))
    if not parts:
        return random_effects(np.empty((0, 0)), np.empty((0, 0)), **options)
    fields = MetaResult.__dataclass_fields__
    return MetaResult(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in fields})
