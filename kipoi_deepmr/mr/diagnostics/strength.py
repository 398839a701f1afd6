"""How strong instruments are: mean F statistic, and I^2_GX."""

from dataclasses import replace
from functools import wraps

import numpy as np

from ..problems import i_squared


def strength(bx, sx, sy, mask=None):
    """Mean F statistic of the instruments, and I^2_GX.

    F is the mean of (bx / sx)^2. I^2_GX is the I^2 of |bx| / sy with standard errors sx / sy: Egger's estimate is
    diluted by about this factor, since its slope is fitted to exposure effects that have errors.

    Parameters
    ----------
    bx, sx, sy : arrays of shape (..., V)
        Broadcast against each other.
    mask : (..., V) bool, optional
        Which entries are instruments; all by default.

    Returns
    -------
    f_statistic, i2_gx : (...) float64
        NaN without instruments or where a standard error is not positive and finite; I^2_GX also with one instrument.

    References
    ----------
    Bowden J et al. (2016). Int J Epidemiol 45: 1961-1974. R: MendelianRandomization::mr_egger (I.sq),
    TwoSampleMR::Isq.
    """
    bx, sx, sy = (np.asarray(a, dtype=np.float64) for a in (bx, sx, sy))
    mask = np.asarray(True if mask is None else mask, dtype=bool)
    shape = np.broadcast_shapes(bx.shape, sx.shape, sy.shape, mask.shape)
    mask = np.broadcast_to(mask, np.broadcast_shapes(mask.shape, shape[-1:]))
    with np.errstate(all="ignore"):
        sx, sy = (np.where(~mask, 1.0, np.where((s > 0) & np.isfinite(s), s, np.nan)) for s in (sx, sy))
        z, ratio = np.where(mask, np.abs(bx), 0.0) / sx, np.where(mask, sy, 0.0) / sx
        mean = (z * ratio).sum(-1) / (ratio * ratio).sum(-1)
        q = ((z - mean[..., None] * ratio) ** 2).sum(-1)
        n = mask.sum(-1)
        return np.broadcast_to((z * z).sum(-1) / n, shape[:-1]), i_squared(q, np.broadcast_to(n - 1.0, shape[:-1]))


def with_strength(estimator):
    """The same estimator, whose results also hold `f_statistic` and `i2_gx` where there is an estimate."""
    @wraps(estimator)
    def measured(bx, sx, by, sy, mask=None, **options):
        result = estimator(bx, sx, by, sy, mask, **options)
        f_statistic, i2_gx = strength(bx, sx, sy, mask)
        solved = np.isfinite(result.estimate)
        return replace(result, f_statistic=np.where(solved, f_statistic, np.nan), i2_gx=np.where(solved, i2_gx, np.nan))

    return measured
