"""Derivatives of the summaries and scales of `summaries.py`: how a mark changes with a model's output."""

import numpy as np

from .summaries import CLIP


def _at_maximum(values, total):
    """1 at the first position of the maximum, as the subgradient that frameworks take."""
    return (np.arange(values.shape[1]).reshape((1, -1) + (1,) * (values.ndim - 2)) == values.argmax(1)[:, None]) * 1.0


# the derivative of each summary by the values (n, P, ...), of which `total` (n, 1, ...) is the sum
SUMMARIES = {
    "sum": lambda values, total: np.ones(values.shape),
    "mean": lambda values, total: np.full(values.shape, 1 / values.shape[1]),
    "max": _at_maximum,
    "log_sum": lambda values, total: np.broadcast_to(1 / total, values.shape),
    "profile_mean": lambda values, total: (2 * values - (values * values).sum(1, keepdims=True) / total) / total,
}

SCALES = {
    "identity": lambda values: np.ones(values.shape),
    "logit": lambda values: np.where((values > CLIP) & (values < 1 - CLIP), 1 / (values * (1 - values)), 0.0),
    "log": lambda values: 1 / values,
    "log1p": lambda values: 1 / (1 + values),
    "anscombe": lambda values: 1 / np.sqrt(values + 0.375),
}


def of_summary(values, summary):
    """Derivative of a summary of values (n, P, ...) by each of them, in float64."""
    values = values.astype(np.float64)
    return SUMMARIES[summary](values, values.sum(1, keepdims=True))


def of_scale(values, scale):
    """Derivative of a scale at values (n,) inside its domain."""
    with np.errstate(divide="ignore", invalid="ignore"):  # of the logit of 0 and 1, which are clipped
        return SCALES[scale](values)
