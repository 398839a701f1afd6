"""The variance that mutants' standard errors are expected to have, by how much the mutants move the marks.

Read block by block: mutants are counted in bins of their size, and everything is fitted to the bins.
"""

from functools import partial
from typing import NamedTuple

import numpy as np
from scipy import special

from ..effects_store import each_block, predicted_mutants
from .moments import moments, population

EDGES = np.logspace(-6, 4, 401)  # of sizes; 6 % a bin
ROUNDS = 100
SMALLEST = 1e-5  # the constant is at least this share of the mean variance


class Trend(NamedTuple):
    """The variance expected of mutants by their size: `constant + slope * size ** 2`.

    The size of a mutant is the root of the sum, over marks, of its squared effects in units of `sd`.

    Attributes
    ----------
    sd : (mark,) float64
        Of the effects over all mutants of all loci; a mark whose sd is 0 does not count.
    constant, slope : (mark,) float64
    """

    sd: np.ndarray
    constant: np.ndarray
    slope: np.ndarray

    def expected(self, effect, marks=slice(None)):
        """Variances of some marks' effects, of mutants with these effects on all marks: two (..., mark) arrays."""
        return self.constant[marks] + self.slope[marks] * squared_size(effect, self.sd)[..., None]


def squared_size(effect, sd):
    """Squared sizes of mutants: (..., mark) effects to (...)."""
    return np.square(np.asarray(effect, np.float64) * np.where(sd > 0, 1 / np.where(sd > 0, sd, 1.0), 0.0)).sum(-1)


def fit_trend(effects, df, map_blocks=None):
    """Trend of a Dataset's variances, and the priors of what they are over the trend.

    Both are those of single mutants where there are any, whatever other kinds are there. Windows of several bases err
    less than single mutants of their size would, by this trend; but what they say of a slope is the less exact the
    larger they are, since effects bend. With a trend for each kind the windows of a locus would outweigh its single
    mutants, and local intervals would be too narrow (docs/simulation.md).

    Parameters
    ----------
    effects : xarray.Dataset
        With `effect` and `effect_se`.
    df : float
        Degrees of freedom of each variance.
    map_blocks : callable, optional
        As `each_block`, which is the default.

    Returns
    -------
    trend : Trend
    priors : list of (float, float)
        Of each mark, degrees of freedom and scale; (0, NaN) for a mark with fewer than two variances above 0.

    References
    ----------
    Law CW, Chen Y, Shi W, Smyth GK (2014). Genome Biol 15: R29 (limma's trend; here a parabola instead of a spline).
    """
    sd = moments(effects, map_blocks)[1]
    bins = sum((map_blocks or each_block)(partial(_bins_of_block, sd=sd, variants=population(effects)), effects))
    fitted = [_of_mark(bins[..., mark], df) for mark in range(len(sd))]
    constant, slope, prior_df, scale = np.array(fitted).T
    return Trend(sd, constant, slope), list(zip(prior_df, scale, strict=True))


def _bins_of_block(effects, block, sd, variants):
    """Of each bin and mark: count, and sums of squared size, variance, its logarithm and the square of that.

    (5, bin, mark) float64; of variances above 0 alone, of some variants (a slice).
    """
    effect, effect_se = (effects[name][block, variants].values.astype(np.float64) for name in ("effect", "effect_se"))
    known = predicted_mutants(effect)
    square, variance = squared_size(effect[known], sd).ravel(), effect_se[known].reshape(-1, len(sd)) ** 2
    place = np.searchsorted(EDGES, np.sqrt(square))
    usable = (variance > 0) & np.isfinite(variance)
    logs = np.log(np.where(usable, variance, 1.0))
    columns = usable, usable * square[:, None], np.where(usable, variance, 0.0), logs, logs ** 2
    return np.stack([np.stack([np.bincount(place, column[:, mark], len(EDGES) + 1) for mark in range(len(sd))], -1)
                     for column in columns])


def _of_mark(bins, df):
    """Constant, slope, prior degrees of freedom and scale from one mark's bins (5, bin)."""
    count, square, variance, log_sum, log_squares = bins[:, bins[0] > 0]
    total = count.sum()
    if total < 2:
        return 0.0, 0.0, 0.0, np.nan
    square, variance = square / count, variance / count
    constant, slope = _parabola(square, variance, count)
    expected = np.log(constant + slope * square)
    mean = (log_sum - count * expected).sum() / total
    squares = (log_squares - 2 * expected * log_sum + count * expected ** 2).sum()
    prior_df, scale = prior_of_logs(mean, (squares - total * mean ** 2) / (total - 1), df)
    return constant, slope, prior_df, scale


def _parabola(square, variance, count):
    """Constant and slope of variances on squared sizes, each weighted by how many and by how small it is."""
    mean = (count * variance).sum() / count.sum()
    least = SMALLEST * mean
    constant, slope = mean, 0.0
    for _ in range(ROUNDS):
        weight = count / (constant + slope * square) ** 2
        w, x, xx, y, xy = (np.sum(weight * values) for values in (1.0, square, square ** 2, variance,
                                                                 square * variance))
        determinant = w * xx - x * x
        before = constant, slope
        if determinant > 1e-12 * w * xx:
            constant, slope = (xx * y - x * xy) / determinant, (w * xy - x * y) / determinant
        if slope < 0 or determinant <= 1e-12 * w * xx:
            constant, slope = y / w, 0.0
        elif constant < least:
            constant, slope = least, max((xy - least * x) / xx, 0.0)
        if np.allclose((constant, slope), before, rtol=1e-8, atol=0):
            break
    return constant, slope


def prior_of_logs(mean, variance, df):
    """Degrees of freedom and scale of a scaled inverse chi-square prior, from the logarithms of variances.

    Parameters
    ----------
    mean, variance : (...) float64
        Of the logarithms; the variance with ddof = 1.
    df : float
        Degrees of freedom of each variance.

    Returns
    -------
    prior_df, scale : (...) float64
        Infinite degrees of freedom where the variances differ by no more than chance.

    References
    ----------
    Smyth GK (2004). Stat Appl Genet Mol Biol 3: 3, section 6.2. R: limma::fitFDist, without covariate.
    """
    half = df / 2
    mean = np.asarray(mean - special.digamma(half) + np.log(half))
    excess = np.asarray(variance - special.polygamma(1, half))
    differ = excess > 0
    prior_half = inverse_trigamma(np.where(differ, excess, 1.0))
    shift = special.digamma(prior_half) - np.log(prior_half)
    return np.where(differ, 2 * prior_half, np.inf), np.exp(np.where(differ, mean + shift, mean))


def inverse_trigamma(x):
    """The y > 0 whose trigamma is x > 0: Newton's method on 1 / trigamma, which is convex and nearly linear.

    Parameters
    ----------
    x : (...) float64

    Returns
    -------
    (...) float64

    References
    ----------
    Smyth GK (2004), appendix.
    """
    x = np.asarray(x, np.float64)
    y = np.where(x > 1e7, 1 / np.sqrt(x), 1 / x).ravel()
    active = np.flatnonzero((x >= 1e-6) & (x <= 1e7))
    goal = x.ravel()[active]
    y[active] = 0.5 + 1 / goal
    for _ in range(50):
        if not len(active):
            break
        trigamma = special.polygamma(1, y[active])
        step = trigamma * (1 - trigamma / goal) / special.polygamma(2, y[active])
        y[active] += step
        going = -step / y[active] >= 1e-8
        active, goal = active[going], goal[going]
    return y.reshape(x.shape)
