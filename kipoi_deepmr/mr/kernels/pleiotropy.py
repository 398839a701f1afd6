"""The variance of the instruments' direct effects on the outcome, by Paule and Mandel's equation."""

import numpy as np

from ...compiled import compiled, compiled_fast

MOST_STEPS = 200
TOLERANCE = 1e-13


@compiled
def pleiotropy_variance(x, y, s, mask, variance, with_intercept):
    """Solve Q(variance) = n - p for each problem of n instruments and p (1 or 2) coefficients; 0 where Q(0) <= n - p.

    Q is the smallest weighted sum of squared residuals of y on x with weights 1 / (s^2 + variance). It falls as the
    variance grows, so that there is one solution. Newton's steps on 1 / Q, which is nearly a straight line, find it in
    a few; a step that leaves the bounds known so far is replaced by bisection.

    Parameters
    ----------
    x, y, s : (problem, V) float64
        The smallest s is about 1.
    mask : (problem, V) bool
        Which places hold an instrument.
    variance : (problem,) float64
        What is written. Where x does not vary it is that of y about its mean; no line can be fitted there.
    with_intercept : bool
    """
    for j in range(len(variance)):
        chosen = np.nonzero(mask[j])[0]
        variance[j] = solution(x[j][chosen], y[j][chosen], s[j][chosen] ** 2, with_intercept)


@compiled
def solution(x, y, error, with_intercept):
    """The variance for one problem; arrays (instrument,) of effects and of squared standard errors."""
    w, target = np.empty(len(x)), len(x) - 1.0 - with_intercept
    low, high, variance = 0.0, np.inf, 0.0
    for _ in range(MOST_STEPS if target > 0 else 0):
        q, fall = _q(x, y, error, variance, w, with_intercept)
        if q <= target and variance == 0:
            break
        if q > target:
            low = variance
        else:
            high = variance
        wanted = variance + (q / target - 1.0) * q / fall
        if not low <= wanted <= high:
            wanted = low + (high - low) / 2 if high < np.inf else 2 * low + 1.0
        moved, variance = abs(wanted - variance), wanted
        if moved <= TOLERANCE * variance:
            break
    return variance


@compiled_fast
def _q(x, y, error, variance, w, with_intercept):
    """The smallest sum of squared residuals, with weights `w` of 1 / (error + variance), and what it falls by."""
    for i in range(len(x)):
        w[i] = 1 / (error[i] + variance)
    total = sum_x = sum_y = 0.0
    if with_intercept:
        for i in range(len(x)):
            total += w[i]
            sum_x += w[i] * x[i]
            sum_y += w[i] * y[i]
    mean_x, mean_y = (sum_x / total, sum_y / total) if with_intercept else (0.0, 0.0)
    sxx = sxy = 0.0
    for i in range(len(x)):
        d = w[i] * (x[i] - mean_x)
        sxx += d * (x[i] - mean_x)
        sxy += d * (y[i] - mean_y)
    slope = sxy / sxx if sxx > 0 else 0.0
    q = fall = 0.0
    for i in range(len(x)):
        r = y[i] - mean_y - slope * (x[i] - mean_x)
        term = w[i] * r * r
        q += term
        fall += term * w[i]
    return q, fall
