"""The debiased inverse-variance weighted estimator."""

import numpy as np

from ...methods import METHODS
from .. import notes
from ..kernels.rows import rows_of
from ..problems import finish, prepare


def divw(bx, sx, by, sy, mask=None, *, overdispersion=True, alpha=0.05):
    """Debiased IVW: corrects the dilution of IVW by the errors of bx, which is what many weak instruments suffer from.

    The estimate is sum(bx by / sy^2) / sum((bx^2 - sx^2) / sy^2). With overdispersion, the variance of the
    instruments' direct effects (`tau2`, by moments, at least 0) enters the standard error. Interval and p-value are
    normal.

    Parameters
    ----------
    bx, sx, by, sy : arrays of shape (..., V)
        Effects and standard errors on exposure and outcome, for V variants; broadcast against each other.
    mask : (..., V) bool, optional
        Which entries are instruments; what the others hold does not matter. All by default.
    overdispersion : bool
    alpha : float
        The interval covers 1 - alpha.

    Returns
    -------
    MRResult
        Arrays of shape (...); NaN with a note where there is no instrument, a standard error is not positive and
        finite, all exposure effects are 0, or the denominator is not positive (R divides by it all the same).

    Raises
    ------
    InputError
        alpha is not between 0 and 1.

    References
    ----------
    Ye T, Shao J, Kang H (2021). Ann Stat 49: 2079-2100. R: MendelianRandomization::mr_divw.
    """
    with np.errstate(all="ignore"):
        problems = prepare(bx, by, mask, METHODS["divw"].fewest)
        rows = rows_of(problems, sx, sy)
        x, u, y, s = (np.where(rows.mask, rows.data[:, i], float(i == 3)) for i in range(4))
        smallest = s.min(-1, initial=np.inf, keepdims=True, where=rows.mask)
        w = np.where(rows.mask, (smallest / s) ** 2, 0.0)
        strength = (w * (x ** 2 - u ** 2)).sum(-1)
        problems.refuse(rows.to_shape(strength <= 0), notes.TOO_WEAK)
        beta = ((w * x * y).sum(-1) / strength)[:, None]
        tau2 = np.zeros_like(beta)
        if overdispersion:
            excess = (y - beta * x) ** 2 - s ** 2 - (beta * u) ** 2
            tau2 = np.maximum((w * excess).sum(-1) / w.sum(-1), 0.0)[:, None]
        terms = w ** 2 * (x ** 2 * (s ** 2 + tau2) + (beta * u) ** 2 * (x ** 2 + u ** 2))
        se = np.sqrt(terms.sum(-1)) / strength
        return finish(problems, alpha, rows.to_effect(beta[:, 0]), rows.to_effect(se),
                      tau2=rows.to_shape(tau2[:, 0]) * rows.unit_y ** 2 if overdispersion else np.nan)
