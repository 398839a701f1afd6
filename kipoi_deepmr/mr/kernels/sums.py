"""Sums of weighted regressions for all loci and ordered pairs at once, without arrays padded to the largest problem."""

import math
from typing import NamedTuple

import numpy as np

from ...compiled import compiled
from .. import notes
from .pleiotropy import solution

# regressions through the origin, of oriented effects with an intercept, of ratios; and the first two with weights that
# allow for a variance of direct effects
ORIGIN, INTERCEPT, RATIO, ADDITIVE_ORIGIN, ADDITIVE_INTERCEPT = range(5)
REASONS = np.array(["", notes.NOT_FINITE, notes.SE_NOT_FINITE, notes.SE_NEGATIVE, notes.SE_ZERO, notes.ZERO_EXPOSURE],
                   dtype=object)


class Sums(NamedTuple):
    """Arrays (locus, pair); weights are relative to that of a standard error of `unit`.

    Attributes
    ----------
    unit
        A power of two of the size of the outcome's smallest standard error; 1 for ratios, whose weights are equal.
    total, mean_x, mean_y
        Sum of weights, and weighted means (0 for a regression through the origin).
    sxx, estimate, rss
        Weighted sum of squares of the exposure about its mean, slope, and weighted sum of squared residuals.
    tau2
        The variance of direct effects, for the additive regressions; else 0.
    f_statistic, q_gx
        Mean F, and Cochran's Q of bx / sy with standard errors sx / sy.
    """

    unit: np.ndarray
    total: np.ndarray
    mean_x: np.ndarray
    mean_y: np.ndarray
    sxx: np.ndarray
    estimate: np.ndarray
    rss: np.ndarray
    tau2: np.ndarray
    f_statistic: np.ndarray
    q_gx: np.ndarray


class Layout:
    """Which pairs are fitted, as arrays.

    Parameters
    ----------
    pairs : dict of int to list of int
        Outcomes of each exposure, none of them the exposure itself.

    Attributes
    ----------
    exposures, outcomes : (exposure,) and (outcome,) int
        The outcomes ascend.
    place : (exposure, outcome) int
        Number of each pair, -1 for none.
    exposure, outcome : (pair,) int
    """

    def __init__(self, pairs):
        self.exposures = np.array(list(pairs), np.intp)
        self.exposure = np.repeat(self.exposures, [len(several) for several in pairs.values()])
        self.outcome = np.concatenate([np.zeros(0, np.intp), *(np.array(each, np.intp) for each in pairs.values())])
        self.outcomes = np.flatnonzero(np.bincount(self.outcome))
        self.place = np.full((len(self.exposures), len(self.outcomes)), -1)
        row = np.repeat(np.arange(len(self.exposures)), [len(several) for several in pairs.values()])
        self.place[row, np.searchsorted(self.outcomes, self.outcome)] = np.arange(self.n_pairs)

    @property
    def n_pairs(self):
        """How many pairs there are."""
        return len(self.outcome)

    def of_outcomes(self, values):
        """Those columns of (..., mark) values that are outcomes, side by side in memory."""
        if len(self.outcomes) == values.shape[-1]:
            return np.ascontiguousarray(values)
        return np.ascontiguousarray(values[..., self.outcomes])


def pair_sums(block, layout, regression, with_strength=True):
    """Sums of one regression for each locus and pair.

    Parameters
    ----------
    block : Block
    layout : Layout
    regression : {ORIGIN, INTERCEPT, RATIO, ADDITIVE_ORIGIN, ADDITIVE_INTERCEPT}
    with_strength : bool
        Whether `f_statistic` and `q_gx` are made; they are 0 otherwise.

    Returns
    -------
    n : (locus, pair) int64
    reason : (locus, pair) int8
        Index of `REASONS`.
    sums : Sums
    """
    instruments = block.instruments
    bx, sx, mask = (a[..., layout.exposures] for a in (block.effect, block.effect_se, instruments.mask))
    by, sy = map(layout.of_outcomes, (block.effect, block.effect_se))
    shape = len(bx), layout.n_pairs
    n, reason, sums = np.empty(shape, np.int64), np.empty(shape, np.int8), np.zeros((len(Sums._fields), *shape))
    if instruments.size is None:
        _all_sums(bx, sx, by, sy, mask, layout.place, regression, with_strength, n, reason, sums)
    else:
        sizes = instruments.size[..., layout.exposures], layout.of_outcomes(instruments.size)
        _sums_of_filtered(bx, sx, by, sy, mask, *sizes, layout.place, regression, with_strength, n, reason, sums)
    return n, reason, Sums(*sums)


@compiled
def _all_sums(bx, sx, by, sy, mask, place, regression, with_strength, n, reason, sums):
    for locus in range(bx.shape[0]):
        chosen_by_any = np.zeros(mask.shape[1], np.bool_)
        for v in range(mask.shape[1]):
            chosen_by_any[v] = mask[locus, v].any()
        unit, weights = _weights(sy[locus], chosen_by_any, regression)
        sound = _all_sound(by[locus], sy[locus], chosen_by_any)
        for j in range(bx.shape[2]):
            chosen = np.nonzero(mask[locus, :, j])[0]
            x, s = bx[locus, :, j][chosen], sx[locus, :, j][chosen]
            found, why = _outcomes_of_one(x, s, by[locus], sy[locus], unit, weights, sound, chosen, regression,
                                          with_strength)
            for k in range(place.shape[1]):
                if place[j, k] >= 0:
                    n[locus, place[j, k]] = len(chosen)
                    reason[locus, place[j, k]] = why[k]
            for field in range(len(found) if with_strength else len(found) - 2):
                for k in range(place.shape[1]):
                    if place[j, k] >= 0:
                        sums[field, locus, place[j, k]] = found[field, k]


@compiled
def _sums_of_filtered(bx, sx, by, sy, mask, size_x, size_y, place, regression, with_strength, n, reason, sums):
    """As `_all_sums`, where each pair has instruments of its own: those that move the exposure more."""
    for locus in range(bx.shape[0]):
        for j in range(bx.shape[2]):
            chosen = np.nonzero(mask[locus, :, j])[0]
            x, s, size = bx[locus, :, j][chosen], sx[locus, :, j][chosen], size_x[locus, :, j][chosen]
            y, se, other = by[locus][chosen], sy[locus][chosen], size_y[locus][chosen]
            for k in range(place.shape[1]):
                if place[j, k] >= 0:
                    kept = np.nonzero(size > other[:, k])[0]
                    effect, error = y[:, k][kept].reshape((-1, 1)), se[:, k][kept].reshape((-1, 1))
                    unit, weights = _weights(error, np.ones(len(kept), np.bool_), regression)
                    found, why = _outcomes_of_one(x[kept], s[kept], effect, error, unit, weights, False,
                                                  np.arange(len(kept)), regression, with_strength)
                    n[locus, place[j, k]] = len(kept)
                    reason[locus, place[j, k]] = why[0]
                    for field in range(len(found)):
                        sums[field, locus, place[j, k]] = found[field, 0]


@compiled
def _weights(sy, chosen, regression):
    """Unit (outcome) and weights (variant, outcome), (unit / se)^2; those of variants that are not chosen are 0.

    Units are powers of two, so that a weight's digits do not depend on which other variants are chosen.
    """
    unit, weights = np.full(sy.shape[1], np.inf), np.zeros(sy.shape)
    if regression == RATIO:
        return np.ones(sy.shape[1]), np.ones(sy.shape)
    for v in range(len(sy)):
        if chosen[v]:
            se = sy[v]
            for k in range(len(unit)):
                unit[k] = se[k] if 0 < se[k] < unit[k] else unit[k]
    for k in range(len(unit)):
        unit[k] = math.ldexp(0.5, math.frexp(unit[k])[1]) if unit[k] < np.inf else 1.0
    for v in range(len(sy)):
        if chosen[v]:
            row, se = weights[v], sy[v]
            for k in range(len(unit)):
                row[k] = unit[k] / se[k]
                row[k] *= row[k]
    return unit, weights


@compiled
def _all_sound(by, sy, chosen):
    """Whether all effects of the chosen variants are finite, and all standard errors finite and above 0."""
    for v in range(len(by)):
        if chosen[v]:
            effect, se = by[v], sy[v]
            check, positive = 0.0, True
            for k in range(len(effect)):
                check += 0 * effect[k] + 0 * se[k]
                positive &= se[k] > 0
            if check != 0 or not positive:
                return False
    return True


@compiled
def _outcomes_of_one(x, s, by, sy, unit, weights, sound, chosen, regression, with_strength):
    """Sums (field, outcome) and reason (outcome) of one exposure at one locus; the inner loops run over outcomes.

    `sound` says that neither effects nor errors of outcomes need a look.
    """
    n_outcomes = by.shape[1]
    found, reason = np.zeros((10, n_outcomes)), np.zeros(n_outcomes, np.int8)
    _, total, mean_x, mean_y, sxx, estimate, rss, tau2, f_statistic, q_gx = found
    found[0] = unit
    if len(chosen) == 0:
        found[4:] = np.nan
        return found, reason
    if not sound:
        _check(by, sy, chosen, reason)
    if (0 * x).sum() != 0:
        reason[:] = 1
    if with_strength:
        _strength(x, s, sy, chosen, f_statistic, q_gx)
        q_gx[reason > 1] = np.nan
    if regression == RATIO:
        reason[reason > 1] = 0
        reason[reason == 0] = 5 * (x == 0).any()
    if regression == ORIGIN:
        _slope(x, by, chosen, weights, chosen, mean_x, sxx, estimate, rss)
        return found, reason
    y, rows = np.empty((len(chosen), n_outcomes)), np.arange(len(chosen))
    x = _oriented(x, by, chosen, regression, y)
    with_intercept = regression in (INTERCEPT, ADDITIVE_INTERCEPT)
    if regression in (ADDITIVE_ORIGIN, ADDITIVE_INTERCEPT):
        weights, chosen = _additive(x, y, unit, weights, chosen, reason, with_intercept, tau2), rows
    if with_intercept:
        _centre(x, y, weights, chosen, total, mean_x, mean_y)
    _slope(x, y, rows, weights, chosen, mean_x, sxx, estimate, rss)
    return found, reason


@compiled
def _additive(x, y, unit, weights, chosen, reason, with_intercept, tau2):
    """Weights (instrument, outcome) with the variance of direct effects, which is written to `tau2`."""
    wider, error = np.ones(y.shape), np.empty(len(x))
    for k in range(y.shape[1]):
        if reason[k] == 0:
            for i in range(len(x)):
                error[i] = 1 / weights[chosen[i], k]
            variance = solution(x, y[:, k] / unit[k], error, with_intercept)
            tau2[k] = variance * unit[k] ** 2
            for i in range(len(x)):
                wider[i, k] = 1 / (error[i] + variance)
    return wider


@compiled
def _check(by, sy, chosen, reason):
    """Why each outcome cannot be fitted."""
    # 0 times a number is 0 unless it is infinite or NaN
    effect_check, se_check = np.zeros(len(reason)), np.zeros(len(reason))
    smallest = np.full(len(reason), np.inf)
    for v in chosen:
        effect, se = by[v], sy[v]
        for k in range(len(reason)):
            effect_check[k] += 0 * effect[k]
            se_check[k] += 0 * se[k]
            smallest[k] = se[k] if se[k] < smallest[k] else smallest[k]
    for k in range(len(reason)):
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
    """Exposure effects as a regression with an intercept, or of ratios, takes them, and the outcomes' in `y`."""
    if regression == RATIO:
        divisor, x = x, np.ones(len(x))
    else:
        divisor, x = np.where(x < 0, -1.0, 1.0), np.abs(x)
    for i in range(len(chosen)):
        row, effect, d = y[i], by[chosen[i]], divisor[i]
        for k in range(y.shape[1]):
            row[k] = effect[k] / d
    return x


@compiled
def _centre(x, y, weights, chosen, total, mean_x, mean_y):
    """Weighted means; those of y are taken from y."""
    for i in range(len(x)):
        weight, effect = weights[chosen[i]], y[i]
        for k in range(len(total)):
            total[k] += weight[k]
            mean_x[k] += weight[k] * x[i]
            mean_y[k] += weight[k] * effect[k]
    mean_x /= total
    mean_y /= total
    y -= mean_y


@compiled
def _slope(x, y, rows, weights, chosen, mean_x, sxx, estimate, rss):
    """Sums of squares and slopes; `rows` and `chosen` are the instruments' rows of y and of weights."""
    for i in range(len(x)):
        weight, effect, xi = weights[chosen[i]], y[rows[i]], x[i]
        for k in range(len(sxx)):
            d = xi - mean_x[k]
            sxx[k] += weight[k] * d * d
            estimate[k] += weight[k] * d * effect[k]
    estimate /= sxx
    for i in range(len(x)):
        weight, effect, xi = weights[chosen[i]], y[rows[i]], x[i]
        for k in range(len(sxx)):
            residual = effect[k] - estimate[k] * (xi - mean_x[k])
            rss[k] += weight[k] * residual * residual
