"""Fits of a curve over the instruments of many loci, each of which has a slope of its own, from sums over loci."""

from dataclasses import dataclass

import numpy as np

from .spline import Bends

PENALTIES = np.concatenate([[0.0], 10.0 ** np.arange(-4, 5)])  # times what makes data and penalty weigh the same
LINE = 1e10
NOTHING = 1e-10  # of the largest singular value: smaller ones are none


@dataclass(frozen=True, eq=False)
class Sums:
    """Products of instruments and regressors, summed over the instruments of each group.

    A group is a locus, or a position of a locus.

    Attributes
    ----------
    products : (fold, group, 1 + n, 2 + n) float64
        Rows: the other members' effect on the exposure, and n bends; columns: the left-out member's effect on the
        exposure, the n bends, and its effect on the outcome.
    locus : (group,) int
        Number of each group's locus.
    """

    products: np.ndarray
    locus: np.ndarray

    @classmethod
    def of(cls, folds, x, bends, group, locus):
        """Sums of `Folds` whose exposure's axis is `x`, by the number of each instrument's group (n,)."""
        values = bends(x)
        rows = np.column_stack([folds.others, values])
        columns = np.column_stack([folds.exposure, values, folds.outcome])
        products = np.zeros((folds.n_folds, len(locus), rows.shape[1], columns.shape[1]))
        np.add.at(products, (folds.fold, group), rows[:, :, None] * columns[:, None, :])
        return cls(products, locus)

    @property
    def n_loci(self):
        return int(self.locus.max()) + 1

    def by_locus(self, products):
        """Products (group, ...) summed over the groups of each locus."""
        total = np.zeros((self.n_loci, *products.shape[1:]))
        np.add.at(total, self.locus, products)
        return total


def parts(products):
    """Of each locus: the matrix and the right side of the bends' equation, and what the locus's slope is made of.

    Each locus's slope is solved for first, by the other members' effects as instruments, so that errors of the
    left-out member's effects do not flatten it, and what is left says how all loci bend.

    Parameters
    ----------
    products : (..., 1 + n, 2 + n) float64

    Returns
    -------
    matrix : (..., n, n) float64
    right : (..., n) float64
    slope : (...) float64
        Of a line through the reference.
    share : (..., n) float64
        What of each bend such a line takes up.
    """
    strength = products[..., 0, 0]
    slope, share = products[..., 0, -1] / strength, products[..., 0, 1:-1] / strength[..., None]
    on_exposure = products[..., 1:, 0]
    matrix = products[..., 1:, 1:-1] - on_exposure[..., :, None] * share[..., None, :]
    return matrix, products[..., 1:, -1] - on_exposure * slope[..., None], slope, share


@dataclass(frozen=True, eq=False)
class Fit:
    """A curve: the mean slope at the reference, and n bends.

    Attributes
    ----------
    bends : Bends
    coefficients : (1 + n,) float64
        With a roughness penalty chosen by the loci that a fit leaves out.
    free : (1 + n,) float64
        Without it.
    leave_one_out : (group, 1 + n) float64
        `free` without one group each.
    members : (member, 1 + n) float64
        `free` as each left-out member's effects would have it.
    member_influence : (member, group, 1 + n) float64
        What each group adds to their departures from `free`.
    """

    bends: Bends
    coefficients: np.ndarray
    free: np.ndarray
    leave_one_out: np.ndarray
    members: np.ndarray
    member_influence: np.ndarray


def fit(sums, bends, weights, whole_loci=True):
    """Fit a curve to `Sums`.

    Parameters
    ----------
    sums : Sums
    bends : Bends
    weights : (locus,) float64
        Of each locus's slope in the mean slope.
    whole_loci : bool
        Whether groups are loci, which choose the penalty; else there is none.

    Returns
    -------
    Fit
    """
    mean = sums.products.mean(0)
    free, without = _solved_without(sums, mean, weights)
    influence = _influence(sums, mean, weights, free[1:])
    penalty = _penalty(mean, bends) * bends.roughness if whole_loci else 0.0
    smooth = _solved(sums.by_locus(mean), weights, penalty)
    return Fit(bends, smooth, free, without, free + influence.sum(1), influence)


def _influence(sums, mean, weights, bends):
    """What each group adds to the departure of each member's coefficients from those of all: (member, group, 1 + n).

    To first order, over the instruments of all members: a member's own may say nothing of a bend.
    """
    of_locus = sums.by_locus(mean)
    matrix, _, slope, share = parts(of_locus)
    slope = slope - share @ bends
    coefficients = np.column_stack([slope, np.broadcast_to(bends, share.shape)])[sums.locus]
    moments = sums.products[..., -1] - np.einsum("kgij,gj->kgi", sums.products[..., :-1], coefficients)
    strength, on_exposure = (of_locus[sums.locus][:, which, 0] for which in (0, slice(1, None)))
    along = moments[..., 0] / strength
    of_bends = _divided(matrix.sum(0), np.moveaxis(moments[..., 1:] - along[..., None] * on_exposure, -1, 0))
    share_of_all, weight = np.average(share, axis=0, weights=weights), (weights / weights.sum())[sums.locus]
    of_slope = weight * along - np.einsum("i,ikg->kg", share_of_all, of_bends)
    return np.concatenate([of_slope[..., None], np.moveaxis(of_bends, 0, -1)], axis=-1)


def _solved(products, weights, penalty=0.0):
    """Coefficients of a curve from the products of all loci."""
    matrix, right, slope, share = parts(products)
    bends = _divided(matrix.sum(0) + penalty, right.sum(0))
    return np.append(np.average(slope - share @ bends, weights=weights), bends)


def _solved_without(sums, products, weights):
    """`_solved` of all groups, and without one group each: (1 + n,), (group, 1 + n)."""
    whole = sums.by_locus(products)
    matrix, right, slope, share = parts(whole)
    all_loci = [matrix.sum(0), right.sum(0), weights @ slope, weights @ share, weights.sum()]
    left = []
    for group, locus in enumerate(sums.locus):
        old = matrix[locus], right[locus], weights[locus] * slope[locus], weights[locus] * share[locus], weights[locus]
        rest = whole[locus] - products[group]
        if (sums.locus == locus).sum() > 1:
            m, r, s, h = parts(rest)
            new = m, r, weights[locus] * s, weights[locus] * h, weights[locus]
        else:
            new = [0.0] * 5
        left.append(_of_totals(*(total - o + n for total, o, n in zip(all_loci, old, new, strict=True))))
    return _of_totals(*all_loci), np.array(left)


def _of_totals(matrix, right, slope, share, weight):
    bends = _divided(matrix, right)
    return np.append((slope - share @ bends) / weight, bends)


def _divided(matrix, right):
    """The solution of `matrix @ x = right` (n, ...); 0 for bends of which nothing is known."""
    right = np.asarray(right)
    found = np.linalg.lstsq(matrix, right.reshape(len(matrix), -1), rcond=NOTHING)[0]
    return found.reshape(right.shape)


def _penalty(products, bends):
    """The roughness penalty with which loci that a fit leaves out are described best."""
    matrix, right, _, _ = parts(products)
    matrix = (matrix + np.swapaxes(matrix, 1, 2)) / 2
    total, wanted = matrix.sum(0), right.sum(0)
    scale = np.trace(total) / np.trace(bends.roughness)
    errors = []
    for penalty in [*(scale * PENALTIES), scale * LINE]:
        found = np.linalg.solve(total - matrix + penalty * bends.roughness, (wanted - right)[..., None])[..., 0]
        errors.append((np.einsum("li,lij,lj->l", found, matrix, found) - 2 * (found * right).sum(1)).sum())
    return [*(scale * PENALTIES), scale * LINE][int(np.argmin(errors))]
