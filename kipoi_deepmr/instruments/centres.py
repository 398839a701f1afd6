"""Weighted medians and robust spreads of slopes over loci, for many marks in a compiled loop."""

import numpy as np

from ..compiled import compiled


def centres(slope, variance, start, rounds):
    """What `rays.centre_and_tau` computes for arrays (locus, mark), with tau of `start` before the first round."""
    slope, variance = (np.ascontiguousarray(values.T) for values in (slope, variance))
    centre, tau = np.empty((2, len(slope)))
    _of_marks(slope, variance, np.argsort(slope, axis=1), np.argsort(variance, axis=1), start, rounds, centre, tau)
    return centre, tau


@compiled
def _of_marks(slope, variance, by_slope, by_variance, start, rounds, centre, tau):
    n_marks, n = slope.shape
    ascending, weight, reached, distance = np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    error, smallest = np.empty(n), np.empty(n)  # variances in the order of slopes, and in their own
    for j in range(n_marks):
        for k in range(n):
            ascending[k], error[k] = slope[j, by_slope[j, k]], variance[j, by_slope[j, k]]
            smallest[k] = variance[j, by_variance[j, k]]
        tau[j] = start
        for _ in range(rounds):
            square = tau[j] * tau[j]
            total = 0.0
            for k in range(n):
                weight[k] = 1 / (error[k] + square)
                total += weight[k]
                reached[k] = total
            middle = _half(reached)
            centre[j] = ascending[middle]
            _outwards(ascending, weight, middle, distance, reached)
            spread = 1.4826 * distance[_half(reached)]
            total = 0.0
            for k in range(n):
                total += 1 / (smallest[k] + square)
                reached[k] = total
            tau[j] = np.sqrt(max(spread * spread - smallest[_half(reached)], 0.0))


@compiled
def _half(reached):
    """Where sums of weights, in the order of their values, reach half of all."""
    place = 0
    while reached[place] < reached[-1] / 2:
        place += 1
    return place


@compiled
def _outwards(ascending, weight, middle, distance, reached):
    """Distances from the value in the middle, ascending, and sums of weights up to each."""
    low, high, total = middle - 1, middle, 0.0
    for k in range(len(ascending)):
        left = high == len(ascending) or (
            low >= 0 and ascending[middle] - ascending[low] < ascending[high] - ascending[middle])
        at = low if left else high
        distance[k] = abs(ascending[at] - ascending[middle])
        total += weight[at]
        reached[k] = total
        if left:
            low -= 1
        else:
            high += 1
