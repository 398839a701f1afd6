"""Meta-regression: effects explained by covariates of the loci, with residual heterogeneity."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import special

from ..errors import InputError
from ..inference import check_alpha, check_choice, chi2_pvalue, interval, two_sided_pvalue
from .linear import LinearModel
from .model import mean_model
from .studies import TOO_FAR, UNWEIGHTABLE, read_studies
from .tau2 import TAU2_METHODS, estimate_tau2, q_profile

_CI = ("wald", "t", "hartung-knapp")
_ADHOC = (None, "se")
_TAU2_CI = ("q_profile", None)


@dataclass(frozen=True)
class RegressionResult:
    """Mixed-effects meta-regression; p coefficients, the intercept first.

    Attributes
    ----------
    names : tuple of str, length p
    estimate, se, ci_low, ci_high, pvalue : numpy.ndarray, shape (p,)
    covariance : numpy.ndarray, shape (p, p)
        Of the coefficients.
    tau2, tau2_se, tau2_ci_low, tau2_ci_high : float
        Residual variance between studies.
    r2 : float
        Share of tau^2 that the covariates explain, max(0, 1 - tau2 / tau2 without covariates); NaN if that one is 0.
    q_e, q_e_df, q_e_pvalue : float, int, float
        Test of residual heterogeneity.
    q_m, q_m_df, q_m_pvalue : float, int, float
        Test that all coefficients but the intercept are 0: chi-square with q_m_df degrees of freedom for ci="wald",
        otherwise F with q_m_df and n_studies - p. Equals metafor's QM.
    i2, h2 : float
        Residual heterogeneity from tau^2, as metafor: tau2 / (tau2 + typical variance), between 0 and 1, and
        1 + tau2 / typical variance.
    n_studies, n_excluded : int
        As in `MetaResult`; a study with a missing covariate is missing.
    note : str
    """

    names: tuple
    estimate: np.ndarray
    se: np.ndarray
    ci_low: np.ndarray
    ci_high: np.ndarray
    pvalue: np.ndarray
    covariance: np.ndarray
    tau2: float
    tau2_se: float
    tau2_ci_low: float
    tau2_ci_high: float
    r2: float
    q_e: float
    q_e_df: int
    q_e_pvalue: float
    q_m: float
    q_m_df: int
    q_m_pvalue: float
    i2: float
    h2: float
    n_studies: int
    n_excluded: int
    note: str

    @property
    def tau(self):
        """Residual standard deviation of effects between studies."""
        return np.sqrt(self.tau2)


def meta_regression(
    effects, ses, covariates, tau2_method="REML", ci="wald", adhoc=None, tau2_ci="q_profile", alpha=0.05
):
    """Mixed-effects meta-regression of effects on covariates, with an intercept.

    Parameters
    ----------
    effects, ses : array_like, shape (k,)
        As in `random_effects`.
    covariates : array_like, shape (k,) or (k, c), or pandas.DataFrame
        NaN is missing. Columns of a table that are not numbers are strata: each level but the first becomes a 0/1
        covariate `column[level]`.
    tau2_method : str
        As in `random_effects`.
    ci : {"wald", "t", "hartung-knapp"}
        Normal; t with k - p degrees of freedom; Knapp and Hartung's standard errors with t(k - p).
    adhoc : {None, "se"}
        "se": Knapp and Hartung's factor is never below 1.
    tau2_ci : {"q_profile", None}
    alpha : float

    Returns
    -------
    RegressionResult
        With no more than p usable studies all is NaN and `note` says so.

    Raises
    ------
    InputError
        If shapes differ, covariates are not numbers, linearly dependent or constant, or an option is unknown.

    References
    ----------
    R's metafor::rma.uni(mods = ) 5.0-1; Knapp and Hartung (2003), Stat Med 22; Raudenbush (2009).
    """
    check_choice("tau2_method", tau2_method, TAU2_METHODS)
    check_choice("ci", ci, _CI)
    check_choice("adhoc", adhoc, _ADHOC)
    check_choice("tau2_ci", tau2_ci, _TAU2_CI)
    check_alpha(alpha)
    studies = read_studies(effects, ses)
    if not studies.one_column:
        raise InputError("meta_regression takes one analysis: 1-D effects and standard errors")
    names, design = _design(covariates, len(studies.effects))
    used = studies.usable[:, 0] & np.isfinite(design).all(axis=1)
    n_excluded, p = int(studies.n_excluded[0]), design.shape[1] + 1
    note = [f"excluded {n_excluded} {UNWEIGHTABLE}"] if n_excluded else []
    if used.sum() <= p:
        note.append(f"{used.sum()} usable studies for {p} coefficients")
        return _nothing(names, int(used.sum()), n_excluded, "; ".join(note))
    x, back = _standardise(design[used], names)
    null, centre, scale = mean_model(studies.effects[used], studies.ses[used], studies.usable[used])
    if np.isnan(null.v0).any():
        return _nothing(names, int(used.sum()), n_excluded, "; ".join([*note, TOO_FAR]))
    y = (studies.effects[used, 0] - centre) / scale
    v = (studies.ses[used, 0] / scale) ** 2
    order = np.argsort(v, kind="stable")  # the QR decomposition is accurate for rows of very different weight if sorted
    model = LinearModel(y[order], v[order], x[order])
    with np.errstate(all="ignore"):
        try:
            out = _heterogeneity(model, null, tau2_method, tau2_ci, scale[0], alpha)
            out.update(_coefficients(model, out.pop("tau2_scaled"), back, ci, adhoc, centre[0], scale[0], alpha))
        except np.linalg.LinAlgError:
            return _nothing(names, int(used.sum()), n_excluded, "; ".join([*note, TOO_FAR]))
    return RegressionResult(names=names, **out, n_excluded=n_excluded, note="; ".join(note))


def _design(covariates, k):
    """Names (the intercept first) and columns of the covariates as numbers."""
    if isinstance(covariates, pd.Series):
        covariates = covariates.to_frame()
    if not isinstance(covariates, pd.DataFrame):
        try:
            values = np.asarray(covariates, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise InputError(f"covariates must be numbers, or strata in a pandas table: {error}") from None
        values = values[:, None] if values.ndim == 1 else values
        covariates = pd.DataFrame(values, columns=[f"covariate{i + 1}" for i in range(values.shape[1])])
    if len(covariates) != k:
        raise InputError(f"covariates have {len(covariates)} rows but there are {k} effects")
    names, columns = ["intercept"], []
    for name, column in covariates.items():
        if pd.api.types.is_numeric_dtype(column):
            names.append(str(name))
            columns.append(column.to_numpy(dtype=np.float64, na_value=np.nan))
            continue
        strata = column.astype("category").cat.remove_unused_categories()
        for code, level in enumerate(strata.cat.categories[1:], start=1):
            names.append(f"{name}[{level}]")
            columns.append(np.where(strata.isna(), np.nan, strata.cat.codes == code))
    return tuple(names), np.stack(columns, axis=1) if columns else np.empty((k, 0))


def _standardise(design, names):
    """Design matrix of centred, scaled covariates, and the matrix that takes its coefficients to the original's.

    Linear dependence is judged after scaling, so that a covariate in base pairs and one in fractions are alike.
    """
    centre = design.mean(axis=0)
    deviation = design - centre
    size = np.sqrt((deviation**2).mean(axis=0))
    flat = np.flatnonzero(~(size > 1e-12 * np.abs(design).max(axis=0, initial=0)))
    if len(flat):
        raise InputError(f"covariate {names[1 + flat[0]]} is the same in every usable study: leave it out")
    x = np.column_stack([np.ones(len(design)), deviation / size])
    if np.linalg.matrix_rank(x) < x.shape[1]:
        raise InputError(f"covariates {', '.join(names[1:])} are linearly dependent: leave one out")
    back = np.diag(np.concatenate([[1.0], 1 / size]))
    back[0, 1:] = -centre / size
    return x, back


def _heterogeneity(model, null, tau2_method, tau2_ci, scale, alpha):
    """Residual tau^2 and everything that needs no coefficients."""
    tau2, tau2_se = estimate_tau2(model, tau2_method)
    without, _ = estimate_tau2(null, tau2_method)
    low, high = q_profile(model, alpha) if tau2_ci else np.full((2, 1), np.nan)
    s = model.sums(np.zeros(1))
    df, typical = model.df, model.df / s.tr1
    return {
        "tau2_scaled": tau2,
        "tau2": (tau2 * scale**2).item(),
        "tau2_se": (tau2_se * scale**2).item(),
        "tau2_ci_low": (low * scale**2).item(),
        "tau2_ci_high": (high * scale**2).item(),
        "r2": max(0.0, 1 - tau2.item() / without.item()) if without.item() > 0 else np.nan,
        "q_e": s.q0.item(),
        "q_e_df": int(df.item()),
        "q_e_pvalue": chi2_pvalue(s.q0, df).item(),
        "i2": (tau2 / (tau2 + typical)).item(),
        "h2": (1 + tau2 / typical).item(),
        "n_studies": len(model.y),
    }


def _coefficients(model, tau2, back, ci, adhoc, centre, scale, alpha):
    """Coefficients with their tests, in the units of the input."""
    w, basis, triangle, r = (part[0] for part in model.fit(tau2))
    df, p = float(model.df[0]), model.n_coefficients
    # coefficients are solved from y - r, which lies in the span of the covariates
    beta = np.linalg.solve(triangle, basis.T @ (np.sqrt(w) * (model.y - r)))
    inverse = np.linalg.inv(triangle)
    factor = (w * r**2).sum() / df if ci == "hartung-knapp" else 1.0
    factor = max(factor, 1.0) if adhoc == "se" else factor
    covariance = factor * inverse @ inverse.T
    test_df = np.inf if ci == "wald" else df
    q_m, q_m_pvalue = np.nan, np.nan
    if p > 1:
        q_m = beta[1:] @ np.linalg.solve(covariance[1:, 1:], beta[1:]) if factor > 0 else np.nan
        q_m = q_m if ci == "wald" else q_m / (p - 1)
        q_m_pvalue = chi2_pvalue(q_m, p - 1).item() if ci == "wald" else float(special.fdtrc(p - 1, df, q_m))
    estimate = scale * (back @ beta)
    estimate[0] += centre
    covariance = scale**2 * back @ covariance @ back.T
    se = np.sqrt(np.diag(covariance))
    low, high = interval(estimate, se, alpha, test_df)
    return {
        "estimate": estimate,
        "se": se,
        "ci_low": low,
        "ci_high": high,
        "pvalue": two_sided_pvalue(estimate, se, test_df),
        "covariance": covariance,
        "q_m": float(q_m),
        "q_m_df": p - 1,
        "q_m_pvalue": q_m_pvalue,
    }


def _nothing(names, n_studies, n_excluded, note):
    """A result without numbers."""
    p = len(names)
    fields = dict.fromkeys(RegressionResult.__dataclass_fields__, np.nan)
    fields.update({name: np.full(p, np.nan) for name in ("estimate", "se", "ci_low", "ci_high", "pvalue")})
    fields.update(names=names, covariance=np.full((p, p), np.nan), q_e_df=max(0, n_studies - p), q_m_df=p - 1)
    return RegressionResult(**{**fields, "n_studies": n_studies, "n_excluded": n_excluded, "note": note})
