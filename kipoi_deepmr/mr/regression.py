"""Estimators by weighted least squares: inverse-variance weighted (IVW) and MR-Egger."""

import numpy as np

from ..errors import InputError
from .problems import OUT_OF_RANGE, SE_ZERO, check_choice, finish, prepare

MODELS = ("default", "fixed", "random")
WEIGHTS = ("simple", "delta")
DISTRIBUTIONS = ("normal", "t")
RANDOM_FROM = 4  # instruments from which the default model is random, as in MendelianRandomization
COLLINEAR = 1e-7  # R's lm: a column whose part not explained by the others is smaller than this share is collinear
NO_EXPOSURE = "all exposure effects are zero"
NO_VARIATION = "no variation in the exposure effects"


def ivw(bx, sx, by, sy, mask=None, *, model="default", weights="simple", psi=0.0, alpha=0.05):
    """Inverse-variance weighted estimate: regression of by on bx through the origin.

    With w = 1 / sy^2 and sigma the residual standard error, the standard error is 1 / sqrt(sum w bx^2) under the
    fixed model and max(sigma, 1) times that under the (multiplicative) random one. One instrument gives its Wald
    ratio, with neither residual standard error nor heterogeneity. Interval and p-value are normal.

    Parameters
    ----------
    bx, sx, by, sy : arrays of shape (..., V)
        Effects and standard errors on exposure and outcome, for V variants; broadcast against each other.
    mask : (..., V) bool, optional
        Which entries are instruments; what the others hold does not matter. All by default.
    model : {"default", "fixed", "random"}
        The default is fixed for fewer than 4 instruments, else random.
    weights : {"simple", "delta"}
        1 / sy^2, or the delta method's 1 / (sy^2 + by^2 sx^2 / bx^2 - 2 psi by sx sy / bx). With delta weights an
        instrument of bx = 0 has weight 0 and does not count as one.
    psi : float
        Correlation of an instrument's two errors; only delta weights use it.
    alpha : float
        The interval covers 1 - alpha.

    Returns
    -------
    MRResult
        Arrays of shape (...); NaN with a note where there is no instrument, a standard error is not positive and
        finite (`sx` matters for delta weights only) or all exposure effects are 0.

    Raises
    ------
    InputError
        An unknown model or weights, psi outside [-1, 1], or alpha outside (0, 1).

    References
    ----------
    Burgess S, Butterworth A, Thompson SG (2013). Genet Epidemiol 37: 658-665. Thompson SG, Sharp SJ (1999). Stat Med
    18: 2693-2708. R: MendelianRandomization::mr_ivw.
    """
    check_choice("model", model, MODELS)
    check_choice("weights", weights, WEIGHTS)
    if not -1 <= psi <= 1:
        raise InputError(f"psi is a correlation, between -1 and 1, not {psi!r}")
    with np.errstate(all="ignore"):
        if weights == "delta":
            counted = np.asarray(bx, dtype=np.float64) != 0
            mask = counted if mask is None else mask & counted
        problems = prepare(bx, by, mask, minimum=1)
        s, smallest = problems.standard_errors(sy)
        if weights == "delta":
            s, smallest = _delta_errors(problems, sx, s, psi)
        w = np.where(problems.mask, (smallest / s) ** 2, 0.0)
        wx = w * problems.bx
        sxx = (wx * problems.bx).sum(-1)
        problems.refuse(sxx == 0, NO_EXPOSURE)
        estimate = (wx * problems.by).sum(-1) / sxx
        smallest, q_df = smallest[..., 0], problems.n - 1.0
        q = _q(w, problems.by - estimate[..., None] * problems.bx, smallest, q_df)
        spread = np.sqrt(q / q_df)
        random = (q_df > 0) & ((problems.n >= RANDOM_FROM) if model == "default" else model == "random")
        se = np.where(random, np.maximum(spread, 1.0), 1.0) * smallest / np.sqrt(sxx)
        return finish(problems, alpha, estimate, se, q=q, q_df=q_df)


def egger(bx, sx, by, sy, mask=None, *, distribution="normal", alpha=0.05):
    """MR-Egger: regression of by on bx with an intercept, all instruments turned so that bx > 0.

    Weights are 1 / sy^2; standard errors are multiplied by max(sigma, 1) / sigma, sigma being the residual standard
    error, so they never fall below those of the fixed model. An instrument of bx = 0 keeps its by, as in TwoSampleMR
    (MendelianRandomization sets by to 0). `sx` is not used.

    Parameters
    ----------
    bx, sx, by, sy : arrays of shape (..., V)
        Effects and standard errors on exposure and outcome, for V variants; broadcast against each other.
    mask : (..., V) bool, optional
        Which entries are instruments; what the others hold does not matter. All by default.
    distribution : {"normal", "t"}
        Of the estimates over their standard errors: normal as in MendelianRandomization, or t with n - 2 degrees of
        freedom as in TwoSampleMR; intervals follow it too (MendelianRandomization's distribution = "t-dist" mixes
        two standard errors when sigma < 1, this does not).
    alpha : float
        The interval covers 1 - alpha.

    Returns
    -------
    MRResult
        Arrays of shape (...); NaN with a note for fewer than 3 instruments, a `sy` that is not positive and finite,
        or exposure effects of one size (by the tolerance of R's lm, 1e-7).

    Raises
    ------
    InputError
        An unknown distribution, or alpha outside (0, 1).

    References
    ----------
    Bowden J, Davey Smith G, Burgess S (2015). Int J Epidemiol 44: 512-525. R: MendelianRandomization::mr_egger,
    TwoSampleMR::mr_egger_regression.
    """
    check_choice("distribution", distribution, DISTRIBUTIONS)
    with np.errstate(all="ignore"):
        problems = prepare(bx, by, mask, minimum=3)
        s, smallest = problems.standard_errors(sy)
        x, y = np.abs(problems.bx), np.where(problems.bx < 0, -problems.by, problems.by)
        w = np.where(problems.mask, (smallest / s) ** 2, 0.0)
        total = w.sum(-1)
        mean_x, mean_y = (w * x).sum(-1) / total, (w * y).sum(-1) / total
        x, y = x - mean_x[..., None], y - mean_y[..., None]
        wx = w * x
        sxx = (wx * x).sum(-1)
        problems.refuse(sxx <= COLLINEAR ** 2 * (sxx + total * mean_x ** 2), NO_VARIATION)
        estimate = (wx * y).sum(-1) / sxx
        intercept = mean_y - estimate * mean_x
        smallest, q_df = smallest[..., 0], problems.n - 2.0
        q = _q(w, y - estimate[..., None] * x, smallest, q_df)
        factor = np.maximum(np.sqrt(q / q_df), 1.0) * smallest
        se, intercept_se = factor / np.sqrt(sxx), factor * np.sqrt(1 / total + mean_x ** 2 / sxx)
        df = np.maximum(q_df, 1.0) if distribution == "t" else None
        return finish(problems, alpha, estimate, se, df, intercept, intercept_se, q, q_df)


def _delta_errors(problems, sx, sy, psi):
    """Standard errors of by - theta bx at each instrument's own ratio; written as a sum of squares, never negative."""
    sx, _ = problems.standard_errors(sx)
    scaled = np.where(problems.mask, problems.by / problems.bx * sx, 0.0)
    s = np.hypot(sy - psi * scaled, np.sqrt(1 - psi ** 2) * scaled)
    smallest = s.min(-1, initial=np.inf)
    problems.refuse(smallest == 0, SE_ZERO)
    problems.refuse(~np.isfinite(s).all(-1), OUT_OF_RANGE)
    return s, smallest[..., None]


def _q(w, residuals, smallest, q_df):
    """Sum of squared standardized residuals, from weights relative to that of the smallest standard error."""
    q = (np.sqrt((w * residuals ** 2).sum(-1)) / smallest) ** 2
    return np.where(q_df > 0, q, np.nan)
