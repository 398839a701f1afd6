"""Multivariable MR: the effect of the exposure on the outcome while other marks, the covariates, are held fixed."""

from dataclasses import replace

import numpy as np

from ...errors import InputError
from ...inference import check_choice
from .. import notes
from ..problems import finish, prepare
from .regression import COLLINEAR, DISTRIBUTIONS, MODELS, is_random


def mvmr_ivw(bx, sx, by, sy, mask=None, *, covariates=None, covariates_se=None, model="default",
             distribution="normal", alpha=0.05):
    """Multivariable IVW: regression of by on bx and the effects on A covariates, through the origin.

    Weights are 1 / sy^2. With sigma the residual standard error, the standard error is that of the fixed model, and
    max(sigma, 1) times it under the (multiplicative) random one. The estimate is the direct effect: what the exposure
    does to the outcome while the covariates stay as they are. Without covariates (A = 0) it is that of `ivw`.

    Parameters
    ----------
    bx, sx, by, sy : arrays of shape (..., V)
        Effects and standard errors on exposure and outcome, for V variants; broadcast against each other. `sx` serves
        the F statistic only.
    mask : (..., V) bool, optional
        Which entries are instruments, of the exposure or of a covariate; what the others hold does not matter. All by
        default.
    covariates, covariates_se : (..., A, V) arrays
        The same on the covariates; `fit_pairs` gives them. Without their standard errors there is no F statistic.
    model : {"default", "fixed", "random"}
        The default is fixed for fewer than 4 instruments, else random.
    distribution : {"normal", "t"}
        Of the estimate over its standard error; t with n - A - 1 degrees of freedom.
    alpha : float
        The interval covers 1 - alpha.

    Returns
    -------
    MRResult
        Arrays of shape (...), `f_statistic` being that of `conditional_f`, and `i2_gx` not defined; NaN with a note for
        n < A + 2 instruments (with covariates), a `sy` that is not positive and finite, and exposure and covariates
        that are collinear (by the tolerance of R's lm, 1e-7).

    Raises
    ------
    InputError
        No covariates, arrays of another shape, an unknown model or distribution, or alpha outside (0, 1).

    References
    ----------
    Burgess S, Thompson SG (2015). Am J Epidemiol 181: 251-260. R: MendelianRandomization::mr_mvivw.
    """
    check_choice("model", model, MODELS)
    return _fit(bx, sx, by, sy, mask, covariates, covariates_se, False, model, distribution, alpha)


def mvmr_egger(bx, sx, by, sy, mask=None, *, covariates=None, covariates_se=None, distribution="normal", alpha=0.05):
    """Multivariable MR-Egger: as `mvmr_ivw` with an intercept, all instruments turned so that bx > 0.

    Standard errors are those of the random model. An instrument of bx = 0 keeps its by, as in `egger`
    (MendelianRandomization sets all of its effects to 0). Without covariates (A = 0) the estimate is that of `egger`.

    Parameters
    ----------
    bx, sx, by, sy, mask, covariates, covariates_se
        As for `mvmr_ivw`.
    distribution : {"normal", "t"}
        t with n - A - 2 degrees of freedom (MendelianRandomization's p-value has one more, its interval has not).
    alpha : float

    Returns
    -------
    MRResult
        As of `mvmr_ivw`, and NaN with a note for n < A + 3 instruments.

    Raises
    ------
    InputError
        As for `mvmr_ivw`.

    References
    ----------
    Rees JMB, Wood AM, Burgess S (2017). Stat Med 36: 4705-4718. R: MendelianRandomization::mr_mvegger, orientate = 1.
    """
    return _fit(bx, sx, by, sy, mask, covariates, covariates_se, True, "random", distribution, alpha)


def _fit(bx, sx, by, sy, mask, covariates, covariates_se, intercept, model, distribution, alpha):
    check_choice("distribution", distribution, DISTRIBUTIONS)
    covariates = _shaped("covariates", covariates, bx, by)
    n_columns = covariates.shape[-2] + 1 + intercept
    with np.errstate(all="ignore"):
        problems = prepare(bx, by, mask, n_columns + 1 if n_columns > 1 else 1)
        known = np.where(problems.mask[..., None, :], covariates, 0.0)
        problems.refuse(~np.broadcast_to(np.isfinite(known).all((-1, -2)), problems.n.shape), notes.NOT_FINITE)
        s, smallest = problems.standard_errors(sy)
        slope, slope_se, first, first_se, left = _least_squares(problems, known, smallest / s, intercept)
        smallest, q_df = smallest[..., 0], problems.n - float(n_columns)
        q = np.where(q_df > 0, (left / smallest) ** 2, np.nan)
        spread = np.where((q_df > 0) & is_random(problems, model), np.maximum(np.sqrt(q / q_df), 1.0), 1.0)
        factor = spread * smallest
        df = np.maximum(q_df, 1.0) if distribution == "t" else None
        result = finish(problems, alpha, slope, slope_se * factor, df, first, first_se * factor, q, q_df)
        if covariates_se is None:
            return result
        f_statistic = conditional_f(bx, sx, covariates, _shaped("covariates_se", covariates_se, bx, by), problems.mask)
        return replace(result, f_statistic=np.where(np.isfinite(result.estimate), f_statistic, np.nan))


def _least_squares(problems, covariates, root, intercept):
    """Slope, its standard error for weights root^2, the same of the intercept (or NaN), and the residuals' norm.

    By one QR decomposition of all columns and by together, each in units of its own size.
    """
    shape, used = problems.n.shape, problems.note == ""
    sign = np.where(problems.bx < 0, -1.0, 1.0) if intercept else np.ones(problems.bx.shape)
    columns = [np.where(problems.mask, 1.0, 0.0)] if intercept else []
    columns += [sign * covariates[..., a, :] for a in range(covariates.shape[-2])]
    columns += [sign * problems.bx, sign * problems.by]
    design = np.stack([np.broadcast_to(root * c, (*shape, problems.bx.shape[-1])) for c in columns], -1)
    size = len(columns)
    rows = [(0, max(0, size - design.shape[-2]))]
    design = np.pad(np.where(used[..., None, None], design, 0.0), [(0, 0)] * len(shape) + rows + [(0, 0)])
    unit = _unit(np.swapaxes(design, -1, -2))[..., 0]
    problems.refuse((design[..., -2] == 0).all(-1), notes.NO_EXPOSURE)
    r = np.linalg.qr(design / unit[..., None, :], mode="r")
    triangle, right = r[..., :-1, :-1], r[..., :-1, -1:]
    apart = np.abs(np.diagonal(triangle, axis1=-2, axis2=-1))  # what of a column those before it do not explain
    problems.refuse((apart <= COLLINEAR * np.sqrt((triangle ** 2).sum(-2))).any(-1), notes.TOO_ALIKE)
    inverse = np.linalg.inv(np.where((problems.note == "")[..., None, None], triangle, np.eye(size - 1)))
    estimate, errors = (inverse @ right)[..., 0], np.sqrt((inverse ** 2).sum(-1))
    unit_x, unit_y = unit[..., -2], unit[..., -1]
    first = (estimate[..., 0] / unit[..., 0] * unit_y, errors[..., 0] / unit[..., 0]) if intercept else (np.nan, np.nan)
    return (estimate[..., -1] * (unit_y / unit_x), errors[..., -1] / unit_x, *first,
            np.abs(r[..., -1, -1]) * unit_y)


def conditional_f(bx, sx, covariates, covariates_se, mask):
    """Conditional F statistic: how strong the instruments are for the exposure beyond what they do to the covariates.

    With delta the coefficients of the unweighted regression of bx on the covariates through the origin, the mean over
    the n instruments of (bx - delta c)^2 / (sx^2 + sum delta^2 sc^2): the errors of exposure and covariates are taken
    for uncorrelated. Without covariates it is the mean F of `strength`.

    Parameters
    ----------
    bx, sx : (..., V) arrays
    covariates, covariates_se : (..., A, V) arrays
    mask : (..., V) bool

    Returns
    -------
    (...) float64
        NaN without instruments or where a standard error is not positive and finite.

    References
    ----------
    Sanderson E, Davey Smith G, Windmeijer F, Bowden J (2019). Int J Epidemiol 48: 713-727. R: MVMR::strength_mvmr with
    gencov = 0, which divides by n too.
    """
    with np.errstate(all="ignore"):
        mask = np.asarray(mask)
        bx, sx = np.where(mask, bx, 0.0), _positive(sx, mask)
        c, sc = np.where(mask[..., None, :], covariates, 0.0), _positive(covariates_se, mask[..., None, :])
        unit_x, unit_c = _unit(bx), _unit(c)
        bx, sx, c, sc = bx / unit_x, sx / unit_x, c / unit_c, sc / unit_c
        shape = np.broadcast_shapes((*c.shape[:-2], 1, 1), bx[..., None, :].shape)[:-2]
        columns = np.concatenate([np.broadcast_to(a, (*shape, *a.shape[-2:])) for a in (c, bx[..., None, :])], -2)
        columns = np.swapaxes(np.where(np.isfinite(columns), columns, 0.0), -1, -2)
        r = np.linalg.qr(columns, mode="r")[..., :c.shape[-2], :]
        delta = np.linalg.pinv(r[..., :-1]) @ r[..., -1:]
        z = (bx - (delta * c).sum(-2)) / np.hypot(sx, np.hypot.reduce(delta * sc, axis=-2))
        return np.where(mask, z ** 2, 0.0).sum(-1) / mask.sum(-1)


def _unit(values):
    """Powers of 2 (..., 1) between half the largest number (..., V) and that number."""
    return np.ldexp(1.0, np.frexp(np.abs(values).max(-1, keepdims=True, initial=0.0))[1] - 1)


def _positive(values, mask):
    """Standard errors with 1 in place of those of masked-out entries, and NaN in place of impossible ones."""
    values = np.asarray(values, dtype=np.float64)
    return np.where(~mask, 1.0, np.where((values > 0) & np.isfinite(values), values, np.nan))


def _shaped(name, values, bx, by):
    shape = np.broadcast_shapes(np.shape(bx), np.shape(by))
    if values is None:
        if 0 in shape:
            return np.empty((0, shape[-1]))
        raise InputError(f"multivariable MR needs the effects of what is held fixed: {name}")
    values = np.asarray(values, dtype=np.float64)
    if values.ndim < 2 or values.shape[-1] != shape[-1]:
        raise InputError(f"{name} has the shape {values.shape}, and there are {shape[-1]} instruments")
    return values
