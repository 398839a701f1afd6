"""Empirical Bayes for many effects: their common distribution from all of them, and each one's posterior mean."""

import numpy as np
from scipy import special

LEAST_SCALE = 0.005
ROUNDS = 2000
AT_ZERO = 10.0  # weight of the prior of the component at 0, as in ashr
MOST = 1_000_000  # effects from which their distribution is found; of more, as many, evenly spaced
ROWS = 50_000  # effects at a time, each of which has a density by component


def posterior_mean(estimate, se):
    """Posterior mean of effects that come from a mixture of normal distributions about 0.

    Parameters
    ----------
    estimate, se : (n,) float64
        NaN where there is none.

    Returns
    -------
    (n,) float64

    References
    ----------
    Stephens M (2017). False discovery rates: a new deal. Biostatistics 18: 275-294. R: ashr.
    """
    usable = np.isfinite(estimate) & np.isfinite(se) & (se > 0)
    mean = np.where(np.isfinite(se) & (se == 0), estimate, np.nan)
    if not usable.any():
        return mean
    x, error = estimate[usable], se[usable]
    scale = _scales(x, error)
    share = _shares(x[::-(-len(x) // MOST)], error[::-(-len(x) // MOST)], scale)
    shrunk = np.empty_like(x)
    for rows in _pieces(len(x)):
        belongs = _densities(x[rows], error[rows], scale) * share
        belongs /= belongs.sum(1, keepdims=True)
        of_component = x[rows, None] * scale ** 2 / (scale ** 2 + error[rows, None] ** 2)
        shrunk[rows] = (belongs * of_component).sum(1)
    mean[usable] = shrunk
    return mean


def _shares(x, error, scale):
    """How many of the effects each component has, by expectation and maximisation."""
    density = np.empty((len(x), len(scale)))
    for rows in _pieces(len(x)):
        density[rows] = _densities(x[rows], error[rows], scale)
    share = np.full(len(scale), 1 / len(scale))
    for _ in range(ROUNDS):
        new = share * (density.T @ (1 / (density @ share)))
        new[0] += AT_ZERO - 1
        new /= new.sum()
        done = np.abs(new - share).max() < 1e-6
        share = new
        if done:
            break
    return share


def _densities(x, error, scale):
    """Density of each effect under each component, over the sum of these: (n, component)."""
    width = np.hypot(error[:, None], scale)
    log_density = -0.5 * (x[:, None] / width) ** 2 - np.log(width)
    return np.exp(log_density - special.logsumexp(log_density, axis=1, keepdims=True))


def _pieces(n):
    return (slice(first, first + ROWS) for first in range(0, n, ROWS))


def _scales(x, error):
    """Standard deviations of the components: 0, then a grid up to twice the largest effect."""
    largest = 2 * max(np.sqrt(max((x ** 2 - error ** 2).max(), 0)), LEAST_SCALE)
    steps = np.arange(np.ceil(2 * np.log2(largest / LEAST_SCALE)) + 1)
    return np.concatenate([[0.0], LEAST_SCALE * np.sqrt(2) ** steps])
