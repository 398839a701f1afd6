"""Sums of weighted regressions for all loci and ordered pairs at once, without arrays padded to the largest problem."""

from typing import NamedTuple

import numpy as np

from ...compiled import compiled
from .. import notes

ORIGIN, INTERCEPT, RATIO = range(3)  # regressions through the origin, of oriented effects with an intercept, of ratios
REASONS = np.array(["", notes.NOT_FINITE, notes.SE_NOT_FINITE, notes.SE_NEGATIVE, notes.SE_ZERO, notes.ZERO_EXPOSURE],
                   dtype=object)


class Sums(NamedTuple):
    """Arrays (locus, pair); weights are relative to that of the smallest standard error.

    Attributes
    ----------
    smallest
        The smallest standard error of the outcome.
    total, mean_x, mean_y
        Sum of weights, and weighted means (0 for a regression through the origin).
    sxx, estimate, rss
        Weighted sum of squares of the exposure about its mean, slope, and weighted sum of squared residuals.
    f_statistic, q_gx
        Mean F, and Cochran's Q of bx / sy with standard errors sx / sy.
    """

    smallest: np.ndarray
    total: np.ndarray
    mean_x: np.ndarray
    mean_y: np.ndarray
    sxx: np.ndarray
    estimate: np.ndarray
    rss: np.ndarray
    f_statistic: np.ndarray
    q_gx: np.ndarray


def pair_sums(block, pairs, regression):
    """Sums of one regression for each locus and pair.

    Parameters
    ----------
    block : Block
    pairs : dict of int to list of int
        Outcomes of each exposure, none of them the exposure itself.
    regression : {ORIGIN, INTERCEPT, RATIO}

    Returns
    -------
    n : (locus, pair) int64
    reason : (locus, pair) int8
        Index of `REASONS`.
    sums : Sums
    """
    exposures, outcomes = list(pairs), sorted({y for several in pairs.values() for y in several})
    place = np.full((len(exposures), len(outcomes)), -1)
    first = 0
    for row, several in enumerate(pairs.values()):
        place[row, np.searchsorted(outcomes, several)] = np.arange(first, first + len(several))
        first += len(several)
    instruments = block.instruments
    bx, sx, mask = (a[..., exposures] for a in (block.effect, block.effect_se, instruments.mask))
    by, sy = (np.ascontiguousarray(a[..., outcomes]) for a in (block.effect, block.effect_se))
    shape = len(bx), first
    n, reason, sums = np.empty(shape, np.int64), np.empty(shape, np.int8), np.empty((len(Sums._fields), *shape))
    if instruments.size is None:
        _all_sums(bx, sx, by, sy, mask, place, regression, n, reason, sums)
    else:
        sizes = instruments.size[..., exposures], np.ascontiguousarray(instruments.size[..., outcomes])
        _sums_of_filtered(bx, sx, by, sy, mask, *sizes, place, regression, n, reason, sums)
    return n, reason, Sums(*sums)


@compiled
def _all_sums(bx, sx, by, sy, mask, place, regression, n, reason, sums):
    for locus in range(bx.shape[0]):
        for j in range(bx.shape[2]):
            chosen = np.nonzero(mask[locus, :, j])[0]
            x, s = bx[locus, :, j][chosen], sx[locus, :, j][chosen]
            found, why = _outcomes_of_one(x, s, by[locus], sy[locus], chosen, regression)
            for k in range(place.shape[1]):
                if place[j, k] >= 0:
                    n[locus, place[j, k]] = len(chosen)
                    reason[locus, place[j, k]] = why[k]
                    for field in range(len(found)):
                        sums[field, locus, place[j, k]] = found[field, k]


@compiled
def _sums_of_filtered(bx, sx, by, sy, mask, size_x, size_y, place, regression, n, reason, sums):
    """As `_all_sums`, where each pair has instruments of its own: those that move the exposure more."""
    for locus in range(bx.shape[0]):
        for j in range(bx.shape[2]):
            chosen = np.nonzero(mask[locus, :, j])[0]
            x, s, size = bx[locus, :, j][chosen], sx[locus, :, j][chosen], size_x[locus, :, j][chosen]
            y, se, other = by[locus][chosen], sy[locus][chosen], size_y[locus][chosen]
            for k in range(place.shape[1]):
                if place[j, k] >= 0:
                    kept = np.nonzero(size > other[:, k])[0]
                    found, why = _outcomes_of_one(x[kept], s[kept], y[:, k][kept].reshape((-1, 1)),
                                                  se[:, k][kept].reshape((-1, 1)), np.arange(len(kept)), regression)
                    n[locus, place[j, k]] = len(kept)
                    reason[locus, place[j, k]] = why[0]
                    for field in range(len(found)):
                        sums[field, locus, place[j, k]] = found[field, 0]


@compiled
def _outcomes_of_one(x, s, by, sy, chosen, regression):
    """Sums (field, outcome) and reason (outcome) of one exposure at one locus; the inner loops run over outcomes."""
    n_outcomes = by.shape[1]
    found, reason = np.zeros((9, n_outcomes)), np.zeros(n_outcomes, np.int8)
    smallest, total, mean_x, mean_y, sxx, estimate, rss, f_statistic, q_gx = found
    _check(x, by, sy, chosen, smallest, reason)
    _strength(x, s, sy, chosen, f_statistic, q_gx)
    q_gx[reason > 1] = np.nan
    w, y = np.ones((len(chosen), n_outcomes)), np.empty((len(chosen), n_outcomes))
    if regression == RATIO:
        reason[reason > 1] = 0
        reason[reason == 0] = 5 * (x == 0).any()
        smallest[:] = 1.0
    else:
        for i in range(len(chosen)):
            row, se = w[i], sy[chosen[i]]
            for k in range(n_outcomes):
                row[k] = smallest[k] / se[k]
                row[k] *= row[k]
    x = _oriented(x, by, chosen, regression, y)
    if regression == INTERCEPT:
        _centre(x, y, w, total, mean_x, mean_y)
    _slope(x, y, w, mean_x, sxx, estimate, rss)
    return found, reason


@compiled
def _check(x, by, sy, chosen, smallest, reason):
    """Smallest standard error of each outcome, and why it cannot be fitted."""
    # 0 times a number is 0 unless it is infinite or NaN
    effect_check, se_check = np.full(len(smallest), (0 * x).sum()), np.zeros(len(smallest))
    smallest[:] = np.inf
    for v in chosen:
        effect, se = by[v], sy[v]
        for k in range(len(smallest)):
            effect_check[k] += 0 * effect[k]
            se_check[k] += 0 * se[k]
            smallest[k] = se[k] if se[k] < smallest[k] else smallest[k]
    for k in range(len(smallest)):
        if effect_check[k] != 0:
            reason[k] = 1
        elif se_check[k] != 0:
            reason[k] = 2
        elif smallest[k] < 0:
            reason[k] = 3
        elif smallest[k] == 0:
            reason[k] = 4


@compiled
def _strength(x, s, sy, chosen, f_statistic, q_gx):
    """As `strength.strength` has it, for each outcome."""
    usable = ((s > 0) & np.isfinite(s)).all()
    z = np.abs(x) / s if usable else np.full(len(x), np.nan)
    f_statistic[:] = (z * z).sum() / len(x)
    mean, below = np.zeros(len(q_gx)), np.zeros(len(q_gx))
    for i in range(len(chosen)):
        se, scale, size = sy[chosen[i]], 1 / s[i], z[i]
        for k in range(len(q_gx)):
            ratio = se[k] * scale
            mean[k] += size * ratio
            below[k] += ratio * ratio
    mean /= below
    for i in range(len(chosen)):
        se, scale, size = sy[chosen[i]], 1 / s[i], z[i]
        for k in range(len(q_gx)):
            q_gx[k] += (size - mean[k] * (se[k] * scale)) ** 2


@compiled
def _oriented(x, by, chosen, regression, y):
    """Exposure effects as the regression takes them, and the outcomes' in `y`."""
    if regression == RATIO:
        divisor, x = x, np.ones(len(x))
    elif regression == INTERCEPT:
        divisor, x = np.where(x < 0, -1.0, 1.0), np.abs(x)
    else:
        divisor = np.ones(len(x))
    for i in range(len(chosen)):
        row, effect, d = y[i], by[chosen[i]], divisor[i]
        for k in range(y.shape[1]):
            row[k] = effect[k] / d
    return x


@compiled
def _centre(x, y, w, total, mean_x, mean_y):
    """Weighted means; those of y are taken from y."""
    for i in range(len(x)):
        weight, effect = w[i], y[i]
        for k in range(len(total)):
            total[k] += weight[k]
            mean_x[k] += weight[k] * x[i]
            mean_y[k] += weight[k] * effect[k]
    mean_x /= total
    mean_y /= total
    y -= mean_y


@compiled
def _slope(x, y, w, mean_x, sxx, estimate, rss):
    for i in range(len(x)):
        weight, effect, xi = w[i], y[i], x[i]
        for k in range(len(sxx)):
            d = xi - mean_x[k]
            sxx[k] += weight[k] * d * d
            estimate[k] += weight[k] * d * effect[k]
    estimate /= sxx
    for i in range(len(x)):
        weight, effect, xi = w[i], y[i], x[i]
        for k in range(len(sxx)):
            residual = effect[k] - estimate[k] * (xi - mean_x[k])
            rss[k] += weight[k] * residual * residual
