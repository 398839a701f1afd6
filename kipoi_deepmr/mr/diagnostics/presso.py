"""MR-PRESSO: do the instruments scatter more than their errors, and which of them are outliers?"""

from typing import NamedTuple

import numpy as np
from scipy import special

from ...compiled import compiled
from ..kernels.rows import in_threads
from ..problems import prepare
from .influence import leave_one_out

FEWEST = 4


class Presso(NamedTuple):
    """Results of MR-PRESSO, for problems of shape (...) with up to V instruments.

    Attributes
    ----------
    rss : (...)
        Sum of (by - estimate without i * bx)^2 / sy^2.
    pvalue : (...)
        Global test: (1 + draws with a larger rss) / (1 + draws). NaN if nothing was drawn.
    outlier_pvalue : (..., V)
        Of each instrument, times their number, at most 1.
    """

    rss: np.ndarray
    pvalue: np.ndarray
    outlier_pvalue: np.ndarray


def presso(bx, sx, by, sy, mask=None, *, n_draws=1000, seed=42):
    """MR-PRESSO's global and outlier tests.

    Under no pleiotropy instrument i has exposure bx_i + sx_i e and outcome theta_i bx_i + sy_i e', where theta_i is the
    IVW estimate without it. The global test draws from that, the same normal numbers for every problem. The outlier
    test, which R draws as well, needs no draws: by_i - theta_i bx_i then has variance sy_i^2 + theta_i^2 sx_i^2.

    Parameters
    ----------
    bx, sx, by, sy, mask
        As for the estimators.
    n_draws : int
        0 leaves out the global test.
    seed : int

    Returns
    -------
    Presso
        NaN for fewer than 4 instruments, or where IVW has no answer.

    References
    ----------
    Verbanck M, Chen C-Y, Neale B, Do R (2018). Nat Genet 50: 693-698. R: MRPRESSO::mr_presso, whose p-value is 0 where
    ours is 1 / (1 + draws), and which takes by for 0 where bx is 0.
    """
    with np.errstate(all="ignore"):
        problems = prepare(bx, by, mask, minimum=FEWEST)
        sx, sy = (np.where(problems.mask, s, 1.0) for s in (sx, sy))
        without = leave_one_out(bx, sx, by, sy, mask).estimate
        without = np.where((problems.note == "")[..., None], without, np.nan)
        difference = np.where(problems.mask, problems.by - without * problems.bx, 0.0)
        rss = ((difference / sy) ** 2).sum(-1)
        z = np.abs(difference) / np.hypot(sy, without * sx)
        outlier = np.where(problems.mask, np.minimum(1.0, problems.n[..., None] * 2 * special.ndtr(-z)), np.nan)
        pvalue = _global(problems, sx, sy, without, rss, n_draws, seed) if n_draws else np.full(rss.shape, np.nan)
        return Presso(np.where(problems.note == "", rss, np.nan), pvalue, outlier)


def _global(problems, sx, sy, without, rss, n_draws, seed):
    shape = without.shape
    order = np.argsort(~np.broadcast_to(problems.mask, shape), axis=-1, kind="stable")

    def rows(values):
        return np.take_along_axis(np.broadcast_to(values, shape), order, -1).reshape(rss.size, shape[-1])

    n = np.where(np.isfinite(rss) & (problems.note == ""), problems.n, 0).ravel()
    # a row of normal numbers for each instrument: the same ones whatever the largest problem
    normal = np.random.default_rng(seed).standard_normal((n.max(initial=0), 2, n_draws))
    pvalue = np.full(n.size, np.nan)
    in_threads(_share_above, (rows(problems.bx / sy), rows(sx / sy), rows(without * problems.bx / sy), n, rss.ravel(),
                              pvalue), (normal,))
    return pvalue.reshape(rss.shape)


@compiled
def _share_above(x, x_error, y, n, rss, pvalue, normal):
    """Share of draws whose rss exceeds the observed; everything in units of sy."""
    n_draws = normal.shape[2]
    for problem in range(len(n)):
        if n[problem] == 0:
            continue
        sxx, slope, drawn = np.zeros(n_draws), np.zeros(n_draws), np.zeros(n_draws)
        for i in range(n[problem]):
            a, b, c, first, second = x[problem, i], x_error[problem, i], y[problem, i], normal[i, 0], normal[i, 1]
            for d in range(n_draws):
                u = a + b * first[d]
                sxx[d] += u * u
                slope[d] += u * (c + second[d])
        slope /= sxx
        for i in range(n[problem]):
            a, b, c, first, second = x[problem, i], x_error[problem, i], y[problem, i], normal[i, 0], normal[i, 1]
            for d in range(n_draws):
                u = a + b * first[d]
                # what is left of a residual when its instrument is left out of the fit
                residual = (c + second[d] - slope[d] * u) / (1 - u * u / sxx[d])
                drawn[d] += residual * residual
        pvalue[problem] = (1 + (drawn > rss[problem]).sum()) / (1 + n_draws)
