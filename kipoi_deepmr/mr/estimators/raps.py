"""The robust adjusted profile score (RAPS)."""

from functools import cache

import numpy as np
from scipy import integrate, stats

from ...inference import check_choice
from ...methods import METHODS
from .. import notes
from ..kernels.profile import HUBER_K, TUKEY_K, lowest_minima, neighbourhoods, overdispersed_solutions
from ..kernels.rows import in_threads, rows_of
from ..problems import finish, prepare

LOSSES = ("l2", "huber", "tukey")


def raps(bx, sx, by, sy, mask=None, *, overdispersion=True, loss="l2", alpha=0.05):
    """Robust adjusted profile score: allows for the errors of bx, for pleiotropy of all instruments and for outliers.

    Minimizes the loss rho of the residuals (by - beta bx) / sqrt(tau2 + sy^2 + beta^2 sx^2). With overdispersion, tau2,
    the variance of the instruments' direct effects on the outcome, solves its own equation in turn, as in mr.raps;
    else it is 0. The standard error is the sandwich of mr.raps; interval and p-value are normal. Q is the residuals'
    sum of squares, without overdispersion only.

    The equations may have several solutions. Without overdispersion ours is the lowest minimum, while the search of
    mr.raps may end in another (seen with the Tukey loss and many outliers). With it, ours is the one that mr.raps
    comes to, free of its limit on tau2 and solved to the last digits.

    Parameters
    ----------
    bx, sx, by, sy : arrays of shape (..., V)
        Effects and standard errors on exposure and outcome, for V variants; broadcast against each other.
    mask : (..., V) bool, optional
        Which entries are instruments; what the others hold does not matter. All by default.
    overdispersion : bool
    loss : {"l2", "huber", "tukey"}
        Tuning constants are those of mr.raps: 1.345 for Huber's, 4.685 for Tukey's.
    alpha : float
        The interval covers 1 - alpha.

    Returns
    -------
    MRResult
        Arrays of shape (...); NaN with a note where there is no instrument, a standard error is not positive and
        finite, all exposure effects are 0, or no finite solution is found.

    Raises
    ------
    InputError
        An unknown loss, or alpha outside (0, 1).

    References
    ----------
    Zhao Q, Wang J, Hemani G, Bowden J, Small DS (2020). Ann Stat 48: 1742-1769. R: mr.raps::mr.raps 0.4.3 (0.4.2 takes
    a maximum over all instruments for one over each in its overdispersed robust equations).
    """
    check_choice("loss", loss, LOSSES)
    with np.errstate(all="ignore"):
        problems = prepare(bx, by, mask, METHODS["raps"].fewest)
        rows = rows_of(problems, sx, sy)
        kind, (delta, c1, c2, c3) = LOSSES.index(loss), _moments(loss)
        beta, tau2, places = np.empty(rows.n.size), np.zeros(rows.n.size), neighbourhoods(rows)
        if overdispersion:
            in_threads(overdispersed_solutions, (rows.data, places, rows.n, beta, tau2), (kind, delta))
        else:
            in_threads(lowest_minima, (rows.data, places, rows.n, beta), (0.0, kind))
        problems.refuse(rows.to_shape(np.isnan(beta)), notes.NO_SOLUTION if overdispersion else notes.NO_MINIMUM)
        beta, tau2 = beta[:, None], tau2[:, None]
        x, u, y, s = (np.where(rows.mask, rows.data[:, i], 0.0) for i in range(4))
        direct = tau2 + s ** 2
        v = np.where(rows.mask, direct + (beta * u) ** 2, 1.0)
        signal = (x ** 2 - u ** 2) * direct + (y ** 2 - direct) * u ** 2
        slope = delta * (signal / v ** 2).sum(-1)
        variance = c1 * ((signal + u ** 2 * direct) / v ** 2).sum(-1) / slope ** 2
        if overdispersion:
            cross = delta * (u ** 2 * beta / v ** 2).sum(-1)
            slope_tau2 = (delta + c3) / 2 * (u ** 2 / v ** 2).sum(-1)
            variance += c2 * (u ** 4 / v ** 2).sum(-1) * (cross / (slope * slope_tau2)) ** 2
        problems.refuse(rows.to_shape((slope <= 0) | (variance <= 0)), notes.TOO_WEAK)
        q, q_df = ((y - beta * x) ** 2 / v).sum(-1), problems.n - 1.0
        return finish(problems, alpha, rows.to_effect(beta[:, 0]), rows.to_effect(np.sqrt(variance)),
                      q=np.where(q_df > 0, rows.to_shape(q), np.nan) if not overdispersion else np.nan, q_df=q_df,
                      tau2=rows.to_shape(tau2[:, 0]) * rows.unit_y ** 2)


@cache
def _moments(loss):
    """E[t rho'], E[rho'^2], Var(t rho') and E[t^2 rho''] of a standard normal t."""
    if loss == "l2":
        return 1.0, 1.0, 2.0, 1.0
    if loss == "huber":
        k, first, second = HUBER_K, lambda t: min(t, HUBER_K), lambda t: float(t < HUBER_K)
    else:
        k = TUKEY_K
        first = lambda t: t * max(1 - (t / k) ** 2, 0.0) ** 2  # noqa: E731
        second = lambda t: max(1 - (t / k) ** 2, 0.0) * (1 - 5 * (t / k) ** 2)  # noqa: E731

    def mean(function):
        parts = (integrate.quad(lambda t: function(t) * stats.norm.pdf(t), *ends, epsabs=1e-14)[0]
                 for ends in ((0, k), (k, np.inf)))
        return 2 * sum(parts)

    delta = mean(lambda t: t * first(t))
    return (delta, mean(lambda t: first(t) ** 2), mean(lambda t: (t * first(t)) ** 2) - delta ** 2,
            mean(lambda t: t ** 2 * second(t)))
