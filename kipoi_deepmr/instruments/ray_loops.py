"""Rays of many marks in compiled loops: their slopes, medians and spreads over loci, and what lies on them."""

import numpy as np

from ..compiled import compiled, compiled_fast

TOGETHER = 8  # errors whose product is taken before its logarithm is


def scores(effect, tried, place, own, slope, variance, mark, slack, size):
    """Deviance and distance of mutants from a ray, as `rays.score` has them.

    Parameters
    ----------
    effect : (mutant, mark) float64
    tried : (n,) int
        The mutants.
    place : (n,) int
        Where each one's slopes are.
    own : (1 or mutant, mark) float64
        Noise.
    slope, variance : (place, mark) array
        Of the ray.
    mark : int
        In units of which its slopes are.
    slack, size : float
        `rays.SLACK` and `rays.SIZE`.

    Returns
    -------
    deviance, distance : (n,) float32
    """
    deviance, distance = np.empty((2, len(tried)), np.float32)
    _score(effect, tried, place, own, slope, variance, mark, slack ** 2, size ** 2, deviance, distance)
    return deviance, distance


@compiled_fast
def _score(effect, tried, place, own, slope, variance, mark, slack, size, deviance, distance):
    n_marks = effect.shape[1]
    square, error = np.empty(n_marks), np.empty(n_marks)
    for k in range(len(tried)):
        x, noise = effect[tried[k]], own[tried[k] if len(own) > 1 else 0]
        slopes, variances = slope[place[k]], variance[place[k]]
        c, noise_of_ray = x[mark], noise[mark] * noise[mark]
        total = 0.0
        for j in range(n_marks):
            error[j] = (noise[j] * noise[j] + slopes[j] * slopes[j] * noise_of_ray + c * c * (slack + variances[j]))
            off = x[j] - c * slopes[j]
            square[j] = off * off / error[j]
        square[mark], error[mark] = 0.0, size
        for j in range(n_marks):
            total += square[j]
        largest = 0.0
        for j in range(n_marks):
            largest = max(largest, square[j])
        deviance[k] = total + _log_product(error) + c * c / size
        distance[k] = np.sqrt(largest)


@compiled_fast
def _log_product(values):
    """Sum of the logarithms of numbers none of which is beyond 1e+-38."""
    total, n = 0.0, len(values) - len(values) % TOGETHER
    for first in range(0, n, TOGETHER):
        product = 1.0
        for j in range(first, first + TOGETHER):
            product *= values[j]
        total += np.log(product)
    for j in range(n, len(values)):
        total += np.log(values[j])
    return total


def products(effect, members, mutants, starts, mark):
    """Sums, over each locus' mutants, of products of different members' effects: on one mark, and on each mark.

    Parameters
    ----------
    effect : (mutant, mark) float64
        Mean over members.
    members : (member, mutant, mark) array
    mutants : (n,) int
        Ascending.
    starts : (locus,) int
        Where each locus begins among them.
    mark : int

    Returns
    -------
    (locus, mark) float64
    """
    sums = np.zeros((len(starts), effect.shape[1]))
    _add_products(effect, members, mutants, np.append(starts, len(mutants)), mark, sums)
    return sums


@compiled_fast
def _add_products(effect, members, mutants, bounds, mark, sums):
    n_members, n_marks = len(members), effect.shape[1]
    weight = 1 / (n_members * (n_members - 1))
    for s in range(len(sums)):
        for m in mutants[bounds[s]:bounds[s + 1]]:
            x = effect[m]
            size = x[mark] * n_members ** 2 * weight
            for j in range(n_marks):
                sums[s, j] += size * x[j]
            for k in range(n_members):
                x_k = members[k, m]
                of_member = np.float64(x_k[mark]) * weight
                for j in range(n_marks):
                    sums[s, j] -= of_member * x_k[j]


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
