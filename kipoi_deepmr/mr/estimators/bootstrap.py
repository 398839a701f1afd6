"""Parametric bootstrap of the estimators that work on the instruments' Wald ratios.

Bootstrap sample b gives the instrument with the j-th smallest ratio the draws (b, j) of the seed, whichever problem it
belongs to. So a result depends neither on the batch that a problem is in nor on the order or signs of its instruments;
the Monte Carlo errors of different problems are not independent of each other.
"""

from functools import lru_cache

import numpy as np

from ...errors import InputError

PAGE = 16  # draws are made for multiples of so many instruments


def check_bootstrap(n_bootstrap, seed):
    """Raise InputError unless a standard deviation over so many samples exists, and the seed is one."""
    if not (isinstance(n_bootstrap, (int, np.integer)) and n_bootstrap >= 2):
        raise InputError(f"n_bootstrap must be a whole number of at least 2, not {n_bootstrap!r}")
    if not (isinstance(seed, (int, np.integer)) and seed >= 0):
        raise InputError(f"seed must be a whole number of at least 0, not {seed!r}")


def normal_draws(seed, n_bootstrap, n):
    """(n_bootstrap, 2, at least n) standard normal draws; an instrument's do not depend on how many there are."""
    return _draws(seed, n_bootstrap, -(-n // PAGE) * PAGE)


@lru_cache(maxsize=1)
def _draws(seed, n_bootstrap, n):
    draws = np.random.default_rng(seed).standard_normal((n, 2, n_bootstrap))
    return np.ascontiguousarray(draws.transpose(2, 1, 0))


def by_ratio(rows, weights):
    """Instruments turned so that bx > 0, in the order of their ratios by / bx.

    Parameters
    ----------
    rows : Rows
    weights : (P, V) array

    Returns
    -------
    (P, 5, V) float64
        bx, sx, by, sy and weight.
    """
    sign = np.copysign(1.0, rows.data[:, 0])
    data = np.concatenate([rows.data, weights[:, None]], 1)
    data[:, 0] *= sign
    data[:, 2] *= sign
    order = np.lexsort((data[:, 3], data[:, 1], data[:, 0], weights, data[:, 2] / data[:, 0], ~rows.mask), -1)
    return np.take_along_axis(data, order[:, None], 2)


def ratio_weights(rows, weights):
    """(P, V) inverse variances of the ratios: (bx / sy)^2 if simple, with the error of bx too if delta."""
    bx, sx, by, sy = np.moveaxis(rows.data, 1, 0)
    variance = sy ** 2
    if weights == "delta":
        variance = variance + np.where(bx == 0, 0.0, by / bx * sx) ** 2
    return np.where(rows.mask, bx ** 2 / variance, 0.0)
