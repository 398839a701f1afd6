"""Jackson's confidence interval of tau^2: a generalised Q statistic with weights 1/se, and its exact distribution."""

import numpy as np
from scipy import optimize

# The contour of the inversion leans to the left by this angle: up to 45 degrees the integrand falls along it.
LEAN = np.pi / 6


def jackson(model, alpha):
    """Interval of tau^2 by inverting the distribution of Q with weights 1/se.

    Parameters
    ----------
    model : MeanModel
    alpha : float

    Returns
    -------
    low, high : numpy.ndarray, shape (m,)
        Both 0 when Q is too small for any tau^2. One analysis at a time: a few seconds for 2,000 studies.

    References
    ----------
    Jackson (2013), Res Synth Methods 4; R's meta::metagen(method.tau.ci = "J"), which calls metafor's GENQ.
    """
    bounds = [_bounds(*_one(model, row), alpha) for row in range(len(model.k))]
    return tuple(np.array(bounds).T)


def _one(model, row):
    used = np.isfinite(model.v[row])
    return np.append(model.y[row, used], 0.0), np.append(model.v[row, used], model.v0[row])


def _bounds(y, v, alpha):
    a = 1 / np.sqrt(v)
    q = np.sum(a * (y - np.sum(a * y) / np.sum(a)) ** 2)
    return tuple(_root(a, v, q, level) for level in (1 - alpha / 2, alpha / 2))


def _root(a, v, q, level):
    """tau^2 at which the probability of a Q no larger than q falls to level; 0 where it starts below."""

    def excess(log_tau2):
        return probability_below(q, a, v + np.exp(log_tau2)) - level

    if not np.isfinite(q):
        return np.nan
    if q == 0 or probability_below(q, a, v) <= level:
        return 0.0
    low = high = np.log(v.min())
    while excess(high) > 0:
        low, high = high, high + 2.0
    while excess(low) < 0:
        low, high = low - 2.0, low
    return float(np.exp(optimize.brentq(excess, low, high, xtol=1e-14, rtol=1e-14)))


def probability_below(q, a, variance):
    """P(Q <= q) for Q the sum of a (y - mean_a)^2 over independent normal y of the given variances and equal means.

    Q is a sum of k - 1 weighted chi-squares, whose weights are never computed: the determinant of
    I + 2 s A diag(variance), A = diag(a) - a a' / sum(a), has a closed form. The Laplace transform
    det^(-1/2) / s is inverted along a hyperbola through its saddle point by the trapezoidal rule, halving the step
    until the result stands still.

    Parameters
    ----------
    q : float
        Positive.
    a, variance : numpy.ndarray, shape (k,)

    Returns
    -------
    float
    """
    weight = a * variance / q
    if not 1e-4 < weight.sum() < 1e100:  # beyond, the probability is 0 or 1 to the last digit
        return float(weight.sum() <= 1e-4)
    share = a / a.sum()
    saddle, width = _saddle(weight)

    def integrand(theta):
        s = saddle + width * (1j * np.sinh(theta) * np.cos(LEAN) - (np.cosh(theta) - 1) * np.sin(LEAN))
        slope = width * (1j * np.cosh(theta) * np.cos(LEAN) - np.sinh(theta) * np.sin(LEAN))
        d = 1 + 2 * s[:, None] * weight
        exponent = s - 0.5 * (np.log(d).sum(axis=1) + np.log((share / d).sum(axis=1))) - np.log(s)
        return (np.exp(exponent) * slope).imag / np.pi

    step, count = 0.25, 32
    total = integrand(np.zeros(1))[0] / 2 + integrand(step * np.arange(1, count + 1)).sum()
    for _ in range(6):
        between = integrand(step * (np.arange(count) + 0.5)).sum()
        before, total, step, count = total * step, total + between, step / 2, count * 2
        if abs(total * step - before) <= 1e-14:
            break
    return float(min(max(total * step, 0.0), 1.0))


def _saddle(weight):
    """Near the saddle point of exp(s) det^(-1/2) / s on the positive axis, and the width of the peak across it."""

    def slope(log_s):
        s = np.exp(log_s)
        return 1 - np.sum(weight / (1 + 2 * s * weight)) - 1 / s

    low, high = -1.0, 1.0
    while slope(high) < 0:
        high += 2.0
    while slope(low) > 0:
        low -= 2.0
    s = np.exp(optimize.brentq(slope, low, high, xtol=1e-3))
    return s, 1 / np.sqrt(np.sum(2 * (weight / (1 + 2 * s * weight)) ** 2) + 1 / s**2)
