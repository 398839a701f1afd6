"""Meta-analyses in compiled loops, one analysis after the other: its studies, their sums, its likelihood's maximum."""

import math

import numpy as np

from ..compiled import compiled_fast
from .tau2 import EPS, NARROW

DEPTH = 64  # intervals that wait to be searched: one for each time that 1e300 is halved down to NARROW, some 17
INTERVAL = 10  # its ends, and four parts of the score at each


def rows_of_studies(effects, ses, largest):
    """As `model.mean_model`, of analyses as rows.

    Parameters
    ----------
    effects, ses : numpy.ndarray, shape (m, k)
        Each row has at least one usable study.
    largest : float
        Beyond this a scaled variance or squared effect has no answer.

    Returns
    -------
    y, v : numpy.ndarray, shape (m, k - 1)
    v0, k, centre, scale : numpy.ndarray, shape (m,)
    """
    m, width = effects.shape
    y, v = np.empty((2, m, max(0, width - 1)))
    v0, centre, scale = np.empty((3, m))
    k = np.empty(m, np.int64)
    _rows_of_studies(effects, ses, largest, y, v, v0, centre, scale, k)
    return y, v, v0, k, centre, scale


@compiled_fast
def _is_usable(effect, se):
    return se > 0 and se < np.inf and abs(effect) < np.inf


@compiled_fast
def _rows_of_studies(effects, ses, largest, y, v, v0, centre, scale, k):
    for i in range(len(effects)):
        n, best, least, middle = 0, 0, np.inf, 0.0
        for j in range(effects.shape[1]):
            if _is_usable(effects[i, j], ses[i, j]):
                if ses[i, j] < least:
                    best, least, middle = n, ses[i, j], effects[i, j]
                n += 1
        unit = math.ldexp(0.5, math.frexp(least)[1])  # a power of two: scaling by it is exact
        v0[i], centre[i], scale[i], k[i] = (least / unit) ** 2, middle, unit, n
        y[i, max(0, n - 1):], v[i, max(0, n - 1):] = 0.0, np.inf
        n, most = 0, 0.0
        for j in range(effects.shape[1]):
            if _is_usable(effects[i, j], ses[i, j]):
                if n != best:  # whose place the first one takes
                    place = best - 1 if n == 0 else n - 1
                    y[i, place] = (effects[i, j] - middle) / unit
                    v[i, place] = (ses[i, j] / unit) ** 2
                    size = v[i, place] + y[i, place] ** 2
                    if not size <= most:
                        most = size
                n += 1
        if not most < largest:
            v0[i] = np.nan


def sums_of_studies(y, v, k, v0, tau2):
    """As `model.MeanModel.of_studies`, all of them: (8, m) float64."""
    found = np.empty((8, len(tau2)))
    _sums_of_rows(y, v, k, v0, tau2, np.empty(y.shape[1]), found)
    return found


@compiled_fast
def _sums_of_rows(y, v, k, v0, tau2, w, found):
    for i in range(len(y)):
        found[:, i] = _sums(y[i], v[i], k[i] - 1, v0[i], tau2[i], w)


@compiled_fast
def _sums(y, v, n, v0, tau2, w):
    """Sums over n studies of one analysis; `w` is room for their weights."""
    others, others2, others3, total = 0.0, 0.0, 0.0, 0.0
    for j in range(n):
        of_study = 1 / (v[j] + tau2)
        w[j] = of_study
        others += of_study
        others2 += of_study * of_study
        others3 += of_study * of_study * of_study
        total += of_study * y[j]
    mean = total / (1 / (v0 + tau2) + others)
    q0, q1, a, q2 = 0.0, 0.0, 0.0, 0.0
    for j in range(n):
        r = y[j] - mean
        wr = w[j] * r
        q0 += wr * r
        q1 += wr * wr
        a += w[j] * wr
        q2 += w[j] * wr * wr
    return others, others2, others3, mean, q0, q1, a, q2


def most_likely(y, v, k, v0, restricted):
    """As `tau2._maximise_likelihood`, of analyses of at least two studies."""
    found = np.empty(len(y))
    _most_likely_of_rows(y, v, k, v0, restricted, np.empty(y.shape[1]), np.empty((DEPTH, INTERVAL)), found)
    return found


@compiled_fast
def _most_likely_of_rows(y, v, k, v0, restricted, w, waiting, found):
    for i in range(len(y)):
        found[i] = _most_likely(y[i], v[i], k[i] - 1, v0[i], restricted, w, waiting)


@compiled_fast
def _score_parts(y, v, n, v0, tau2, restricted, w, out):
    """As `tau2._score_parts`, into the first four of `out`."""
    others, others2, others3, mean, _, q1, a, q2 = _sums(y, v, n, v0, tau2, w)
    w0 = 1 / (v0 + tau2)
    w1 = w0 + others
    out[0] = (w0 * mean) ** 2 + q1
    out[2] = w0 ** 3 * mean ** 2 * others / w1 + (2 * w0 ** 2 * mean * a - a ** 2) / w1 + q2
    if restricted:
        out[1] = others - others2 / w1 + w0 * others / w1
        out[3] = others2 - 2 * others3 / w1 + (w0 / w1) ** 2 * (others ** 2 + 2 * others2) + (others2 / w1) ** 2
    else:
        out[1], out[3] = w1, w0 ** 2 + others2


@compiled_fast
def _log_likelihood(y, v, n, v0, tau2, restricted, w):
    others, _, _, mean, q0, _, _, _ = _sums(y, v, n, v0, tau2, w)
    logs = 0.0
    for j in range(n):
        logs += math.log(v[j] + tau2)
    w0 = 1 / (v0 + tau2)
    last = math.log1p(others / w0) if restricted else math.log(v0 + tau2)
    return -0.5 * (logs + last + w0 * mean ** 2 + q0)


@compiled_fast
def _spread(y, n):
    total, squares = 0.0, 0.0
    for j in range(n):
        total += y[j]
    mean = total / (n + 1)
    for j in range(n):
        squares += (y[j] - mean) ** 2
    return mean ** 2 + squares


@compiled_fast
def _most_likely(y, v, n, v0, restricted, w, waiting):
    """The search of `tau2._brackets` and `tau2._polish`, the intervals of one analysis on a stack."""
    first = waiting[0]
    first[0], first[1] = 0.0, min(_spread(y, n), 1e300)
    _score_parts(y, v, n, v0, first[0], restricted, w, first[2:6])
    _score_parts(y, v, n, v0, first[1], restricted, w, first[6:])
    best, height = np.nan, np.nan
    if first[2] <= first[3]:
        best = 0.0
    left = 1
    while left > 0:
        here = waiting[left - 1]
        left -= 1
        low, high = here[0], here[1]
        crossing = here[2] > here[3] and here[6] <= here[7]
        decided = here[5] < 2 * here[8] or not high + v0 > NARROW * (low + v0)
        for part in range(2, 6):
            decided = decided or not abs(here[part] + here[part + 4]) < np.inf  # overflow: no likelihood to search
        if crossing and decided:
            root = _polished(y, v, n, v0, low, high, restricted, w, here)
            if np.isnan(best):
                best = root
            else:
                if np.isnan(height):
                    height = _log_likelihood(y, v, n, v0, best, restricted, w)
                other = _log_likelihood(y, v, n, v0, root, restricted, w)
                if other > height or (other == height and root < best):
                    best, height = root, other
        elif not (decided or here[6] > here[3] or here[2] < here[7]):
            middle = math.sqrt((low + v0) * (high + v0)) - v0
            above = waiting[left + 1]  # the interval above, then that below in its own place
            above[0], above[1] = middle, high
            above[6:] = here[6:]
            _score_parts(y, v, n, v0, middle, restricted, w, above[2:6])
            here[1] = middle
            here[6:] = above[2:6]
            left += 2
    return best


@compiled_fast
def _polished(y, v, n, v0, low, high, restricted, w, parts):
    """Root of the score between low (where it is positive) and high: Newton's method, halving where it strays."""
    x, last = math.sqrt(low * high) if low > 0 else 0.5 * high, np.inf
    for _ in range(200):
        _score_parts(y, v, n, v0, x, restricted, w, parts)
        f, slope = parts[0] - parts[1], parts[3] - 2 * parts[2]
        if f > 0:
            low = x
        else:
            high = x
        if f == 0:
            return x
        step = -f / slope
        if not (x + step > low and x + step < high):
            step = 0.5 * (low + high) - x
        size = abs(step)
        if size <= 2 * EPS * x or (size < 1e-9 * x and size >= 0.5 * last):
            return x + step
        x, last = x + step, size
    return x


def weights_of_studies(ses, tau2):
    """Weights 1 / (se^2 + tau2) over that of the most precise study, of analyses as rows; NaN where a se is."""
    weights = np.empty(ses.shape)
    _weights_of_rows(ses, tau2, weights)
    return weights


@compiled_fast
def _weights_of_rows(ses, tau2, weights):
    for i in range(len(ses)):
        least = np.inf
        for j in range(ses.shape[1]):
            if ses[i, j] < least:
                least = ses[i, j]
        tau = math.sqrt(tau2[i])
        unit = math.hypot(least, tau)
        between = (tau / unit) ** 2
        for j in range(ses.shape[1]):
            weights[i, j] = 1 / ((ses[i, j] / unit) ** 2 + between)


def means_of_rows(values, weights):
    """Weighted means of rows; a weight that is NaN counts as none."""
    found = np.empty(len(values))
    _means_of_rows(values, weights, found)
    return found


@compiled_fast
def _means_of_rows(values, weights, found):
    for i in range(len(values)):
        of_all, total = 0.0, 0.0
        for j in range(values.shape[1]):
            used = weights[i, j] >= 0
            of_all += weights[i, j] if used else 0.0
            total += weights[i, j] * values[i, j] if used else 0.0
        found[i] = total / of_all
