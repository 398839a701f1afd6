"""IVW and MR-Egger with additive random effects: the instruments' direct effects on the outcome have a variance."""

from dataclasses import replace

import numpy as np

from ...methods import METHODS
from ..kernels.pleiotropy import pleiotropy_variance
from ..kernels.rows import in_threads
from ..problems import prepare
from .regression import egger, ivw


def ivw_additive(bx, sx, by, sy, mask=None, *, alpha=0.05):
    """IVW with weights 1 / (sy^2 + tau2), tau2 being the variance of the instruments' direct effects on the outcome.

    As `egger_additive`, through the origin: `tau2` solves Q = n - 1.

    Parameters
    ----------
    bx, sx, by, sy, mask, alpha
        As for `ivw`; `sx` is not used.

    Returns
    -------
    MRResult
        Arrays of shape (...); NaN with a note as `ivw` has them.

    Raises
    ------
    InputError
        Alpha outside (0, 1).

    References
    ----------
    Bowden J et al. (2017). Stat Med 36: 1783-1802. R's metafor::rma(yi = by, sei = sy, mods = ~ 0 + bx, method = "PM").
    """
    tau2, sy = _pleiotropy(bx, by, sy, mask, "ivw_additive")
    return _with_tau2(ivw(bx, sx, by, sy, mask, alpha=alpha), tau2)


def egger_additive(bx, sx, by, sy, mask=None, *, distribution="normal", alpha=0.05):
    """MR-Egger with weights 1 / (sy^2 + tau2), tau2 being the variance of the instruments' direct effects.

    `egger` keeps the weights 1 / sy^2 however much the instruments disagree, so that many weak ones with small errors
    decide the slope. Here instruments that disagree weigh nearly alike, and the strong ones decide it. `tau2` solves
    Paule and Mandel's equation Q = n - 2; it is 0 where the instruments disagree no more than their errors say, and
    then both estimators are the same.

    Parameters
    ----------
    bx, sx, by, sy, mask, distribution, alpha
        As for `egger`; `sx` is not used.

    Returns
    -------
    MRResult
        Arrays of shape (...), `tau2` among them, and `q` with the weights that it gives; NaN with a note as `egger` has
        them.

    Raises
    ------
    InputError
        An unknown distribution, or alpha outside (0, 1).

    References
    ----------
    Bowden J et al. (2017). Stat Med 36: 1783-1802. Paule RC, Mandel J (1982). J Res Natl Bur Stand 87: 377-385. R's
    metafor::rma(yi = by, sei = sy, mods = ~ bx, method = "PM"), effects turned so that bx > 0.
    """
    tau2, sy = _pleiotropy(bx, by, sy, mask, "egger_additive")
    return _with_tau2(egger(bx, sx, by, sy, mask, distribution=distribution, alpha=alpha), tau2)


def _pleiotropy(bx, by, sy, mask, method):
    """The variance of direct effects (...), and the standard errors (..., V) with it; impossible ones as they are."""
    with np.errstate(all="ignore"):
        problems, with_intercept = prepare(bx, by, mask, METHODS[method].fewest), method == "egger_additive"
        s, smallest = problems.standard_errors(sy)
        fit = (problems.note == "")[..., None] & problems.mask
        turned = np.where(problems.bx < 0, -1.0, 1.0) if with_intercept else 1.0
        widest = np.abs(problems.bx).max(-1, initial=0.0)[..., None]
        shape = (problems.note.size, problems.mask.shape[-1])
        x, y, s, fit = (np.broadcast_to(values, (*problems.note.shape, shape[1])).reshape(shape) for values in (
            problems.bx * turned / widest, problems.by * turned / smallest, s / smallest, fit))
        relative = np.zeros(len(x))
        in_threads(pleiotropy_variance, (x, y, s, fit, relative), (with_intercept,))
        tau2 = relative.reshape(problems.note.shape) * smallest[..., 0] ** 2
        sy = np.asarray(sy, np.float64)
        return tau2, np.where(sy > 0, np.hypot(sy, np.sqrt(tau2)[..., None]), sy)


def _with_tau2(result, tau2):
    return replace(result, tau2=np.where(np.isnan(result.q), np.nan, tau2))
