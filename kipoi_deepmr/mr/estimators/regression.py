"""Estimators by weighted regression: inverse-variance weighted (IVW) and MR-Egger, plain, penalized and robust."""

import numpy as np
from scipy import special

from ...errors import InputError
from ...inference import check_choice
from ...methods import METHODS
from .. import notes
from ..problems import finish, prepare
from .robust import mm_regression

MODELS = ("default", "fixed", "random")
WEIGHTS = ("simple", "delta")
DISTRIBUTIONS = ("normal", "t")
RANDOM_FROM = 4  # instruments from which the default model is random, as in MendelianRandomization
COLLINEAR = 1e-7  # R's lm: a column whose part not explained by the others is smaller than this share is collinear
PENALTY = {"simple": 100.0, "delta": 20.0}  # factors of p, from MendelianRandomization's r.weights and r.weights.delta


def ivw(bx, sx, by, sy, mask=None, *, model="default", weights="simple", psi=0.0, robust=False, penalized=False,
        alpha=0.05):
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
    robust : bool
        MM-regression as R's lmrob instead of least squares, from 2 instruments on: sigma is its scale; the standard
        error is that of its own covariance over min(sigma, 1) (random) or sigma (fixed), and Q is sigma^2 (n - 1).
    penalized : bool
        Weights are multiplied by min(1, 100 p), p being the chi-square(1) p-value of an instrument's distance from
        the line through the median of the ratios; by min(1, 20 p) with delta weights. Q is not defined.
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
        problems = prepare(bx, by, mask, METHODS["ivw"].fewest)
        s, smallest = problems.standard_errors(sy)
        if weights == "delta":
            s, smallest = _delta_errors(problems, sx, s, psi)
        w = np.where(problems.mask, (smallest / s) ** 2, 0.0)
        smallest, n = smallest[..., 0], None
        if penalized:
            w, n = _penalized(problems, w, (problems.by - _median_ratio(problems) * problems.bx) / s, PENALTY[weights])
        wx = w * problems.bx
        sxx = (wx * problems.bx).sum(-1)
        estimate = (wx * problems.by).sum(-1) / sxx
        if robust:
            return _robust_ivw(problems, estimate, w, sxx, smallest, model, alpha, n)
        rss = (w * (problems.by - estimate[..., None] * problems.bx) ** 2).sum(-1)
        return ivw_result(problems, estimate, sxx, rss, smallest, model, alpha, n)


def ivw_result(problems, estimate, sxx, rss, unit, model="default", alpha=0.05, penalized_n=None):
    """IVW from sums of shape (...), with weights relative to that of a standard error of `unit`.

    `penalized_n` (...) says how many instruments penalties have left a weight, where there are penalties.
    """
    problems.refuse(sxx == 0, notes.NO_EXPOSURE)
    q_df = (problems.n if penalized_n is None else penalized_n) - 1.0
    q = _q(rss, unit, q_df)
    spread = np.sqrt(q / q_df)
    se = np.where((q_df > 0) & is_random(problems, model), np.maximum(spread, 1.0), 1.0) * unit / np.sqrt(sxx)
    return _finish(problems, alpha, estimate, se, spread, q, q_df, penalized_n)


def _robust_ivw(problems, ratio, w, sxx, smallest, model, alpha, penalized_n):
    """IVW by MM-regression; `ratio`, the least-squares estimate, is that of a single instrument."""
    problems.refuse(sxx == 0, notes.NO_EXPOSURE)
    n = problems.n if penalized_n is None else penalized_n
    problems.refuse((n == 1) & (problems.n > 1), notes.ALL_PENALIZED)
    alone = problems.n == 1
    x, y = np.abs(problems.bx), np.where(problems.bx < 0, -problems.by, problems.by)
    estimate, se, _, _, scale, _ = mm_regression(problems, x, y, w, smallest, False, ~alone)
    se = se / np.where(is_random(problems, model), np.minimum(scale, 1.0), scale)
    estimate, se = np.where(alone, ratio, estimate), np.where(alone, smallest / np.sqrt(sxx), se)
    return _finish(problems, alpha, estimate, se, scale, scale ** 2 * (n - 1), n - 1.0, penalized_n)


def is_random(problems, model):
    return problems.n >= RANDOM_FROM if model == "default" else np.full(problems.n.shape, model == "random")


def egger(bx, sx, by, sy, mask=None, *, robust=False, penalized=False, distribution="normal", alpha=0.05):
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
    robust : bool
        As `egger_robust`.
    penalized : bool
        Weights are multiplied by min(1, 100 p), p being the chi-square(1) p-value of an instrument's distance from
        the line of the plain fit. Q is not defined.
    distribution : {"normal", "t"}
        Of the estimates over their standard errors: normal as in MendelianRandomization, or t with n - 2 degrees of
        freedom as in TwoSampleMR; intervals follow it too (MendelianRandomization's distribution = "t-dist" mixes
        two standard errors when sigma < 1, this does not).
    alpha : float
        The interval covers 1 - alpha.

    Returns
    -------
    MRResult
        Arrays of shape (...); NaN with a note for fewer than 3 instruments (5 if robust), a `sy` that is not positive
        and finite, or exposure effects of one size (by the tolerance of R's lm, 1e-7).

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
        minimum = METHODS["egger_robust" if robust else "egger"].fewest
        problems = prepare(bx, by, mask, minimum)
        s, smallest = problems.standard_errors(sy)
        smallest, n = smallest[..., 0], None
        x, y = np.abs(problems.bx), np.where(problems.bx < 0, -problems.by, problems.by)
        w = np.where(problems.mask, (smallest[..., None] / s) ** 2, 0.0)
        line = _line(x, y, w)
        if penalized:
            _refuse_collinear(problems, *line[1:3], line[4])
            estimate, _, mean_x, mean_y = (numbers[..., None] for numbers in line[:4])
            w, n = _penalized(problems, w, (y - mean_y - estimate * (x - mean_x)) / s, PENALTY["simple"])
            problems.refuse(n < minimum, notes.ALL_PENALIZED)
            line = _line(x, y, w)
        if robust:
            return _robust_egger(problems, x, y, w, line, smallest, distribution, alpha, n)
        return egger_result(problems, *line, smallest, distribution, alpha, n)


def egger_robust(bx, sx, by, sy, mask=None, *, penalized=False, distribution="normal", alpha=0.05):
    """MR-Egger by MM-regression, the estimator of the DeepMR paper: outlying instruments lose their weight.

    Tukey's bisquare with the constants of R's lmrob: an S-estimate (breakdown 0.5, c = 1.54764) gives the scale sigma,
    an M-estimate from there (c = 4.685061, efficiency 0.95) the line. Standard errors are those of the covariance
    .vcov.avar1 over min(sigma, 1). Nothing is random: where lmrob draws 500 pairs of instruments to start from, all
    are tried, or a fixed selection of many (see `mm`). Otherwise as `egger`.

    Parameters
    ----------
    bx, sx, by, sy, mask, penalized, distribution, alpha
        As for `egger`; with `penalized`, plain Egger gives the distances.

    Returns
    -------
    MRResult
        Arrays of shape (...), `residual_se` being sigma; NaN with a note where `egger` has one, for fewer than 5
        instruments, and where more than half of them lie on one line, so that sigma is 0.

    Raises
    ------
    InputError
        An unknown distribution, or alpha outside (0, 1).

    References
    ----------
    Yohai VJ (1987). Ann Stat 15: 642-656. Rees JMB, Wood AM, Dudbridge F, Burgess S (2019). PLoS One 14: e0222362.
    R: MendelianRandomization::mr_egger(robust = TRUE), robustbase::lmrob.
    """
    return egger(bx, sx, by, sy, mask, robust=True, penalized=penalized, distribution=distribution, alpha=alpha)


def _line(x, y, w):
    """Weighted least squares: slope, sum of weights, means of x and y, and sums of squares of x and of residuals."""
    total = w.sum(-1)
    mean_x, mean_y = (w * x).sum(-1) / total, (w * y).sum(-1) / total
    x, y = x - mean_x[..., None], y - mean_y[..., None]
    wx = w * x
    sxx = (wx * x).sum(-1)
    estimate = (wx * y).sum(-1) / sxx
    return estimate, total, mean_x, mean_y, sxx, (w * (y - estimate[..., None] * x) ** 2).sum(-1)


def egger_result(problems, estimate, total, mean_x, mean_y, sxx, rss, unit, distribution="normal", alpha=0.05,
                 penalized_n=None):
    """MR-Egger from what `_line` gives, with weights relative to that of a standard error of `unit`.

    `penalized_n` (...) says how many instruments penalties have left a weight, where there are penalties.
    """
    _refuse_collinear(problems, total, mean_x, sxx)
    q_df = (problems.n if penalized_n is None else penalized_n) - 2.0
    q = _q(rss, unit, q_df)
    spread = np.sqrt(q / q_df)
    factor = np.maximum(spread, 1.0) * unit
    se, intercept_se = factor / np.sqrt(sxx), factor * np.sqrt(1 / total + mean_x ** 2 / sxx)
    return _finish(problems, alpha, estimate, se, spread, q, q_df, penalized_n, mean_y - estimate * mean_x,
                   intercept_se, distribution)


def _robust_egger(problems, x, y, w, line, smallest, distribution, alpha, penalized_n):
    _refuse_collinear(problems, *line[1:3], line[4])
    estimate, se, intercept, intercept_se, scale, q = mm_regression(problems, x, y, w, smallest, True)
    factor = np.minimum(scale, 1.0)
    return _finish(problems, alpha, estimate, se / factor, scale, q, problems.n - 2.0, penalized_n, intercept,
                   intercept_se / factor, distribution)


def _finish(problems, alpha, estimate, se, residual_se, q, q_df, penalized_n, intercept=np.nan, intercept_se=np.nan,
            distribution="normal"):
    """As `finish`; penalties take the meaning from Q, but not from the residual standard error."""
    df = np.maximum(problems.n - 2.0, 1.0) if distribution == "t" else None
    if penalized_n is not None:
        q = np.nan
    return finish(problems, alpha, estimate, se, df, intercept, intercept_se, q, q_df, residual_se=residual_se)


def _refuse_collinear(problems, total, mean_x, sxx):
    problems.refuse(sxx <= COLLINEAR ** 2 * (sxx + total * mean_x ** 2), notes.NO_VARIATION)


def _penalized(problems, w, deviations, factor):
    """Weights (..., V) times min(1, factor p), p being those of the deviations, and how many (...) remain above 0."""
    w = np.where(problems.mask, w * np.minimum(1.0, factor * special.erfc(np.abs(deviations) / np.sqrt(2))), 0.0)
    n = np.count_nonzero(w, -1)
    problems.refuse((n == 0) & (problems.n > 0), notes.ALL_PENALIZED)
    return w, n


def _median_ratio(problems):
    """Median (..., 1) of the instruments' ratios; an instrument of bx = 0 has none."""
    has_ratio = problems.mask & (problems.bx != 0)
    ratios = np.sort(np.where(has_ratio, problems.by / problems.bx, np.inf), -1)
    n = has_ratio.sum(-1, keepdims=True)
    problems.refuse(n[..., 0] == 0, notes.NO_EXPOSURE)
    ratios, n = np.broadcast_arrays(ratios, np.maximum(n, 1))
    low, high = (np.take_along_axis(ratios, middle[..., :1], -1) for middle in ((n - 1) // 2, n // 2))
    return (low + high) / 2


def _delta_errors(problems, sx, sy, psi):
    """Standard errors of by - theta bx at each instrument's own ratio; written as a sum of squares, never negative."""
    sx, _ = problems.standard_errors(sx)
    scaled = np.where(problems.mask, problems.by / problems.bx * sx, 0.0)
    s = np.hypot(sy - psi * scaled, np.sqrt(1 - psi ** 2) * scaled)
    smallest = s.min(-1, initial=np.inf)
    problems.refuse(smallest == 0, notes.SE_ZERO)
    problems.refuse(~np.isfinite(s).all(-1), notes.OUT_OF_RANGE)
    return s, smallest[..., None]


def _q(rss, unit, q_df):
    """Sum of squared standardized residuals, from weights relative to that of a standard error of `unit`."""
    q = (np.sqrt(rss) / unit) ** 2
    return np.where(q_df > 0, q, np.nan)
