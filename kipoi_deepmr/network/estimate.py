"""Total and direct effects of all ordered pairs with their errors, from the clean mutants of an assignment."""

from typing import NamedTuple

import numpy as np

from ..instruments import direct_of_total
from ..instruments.direct_effects import change_of_direct, inverse_of_total, variance_of_direct
from ..instruments.rays import LEAST_TAU, slopes_by_locus

CAUSES = 50  # whose errors are computed at a time


class Estimate(NamedTuple):
    """Effects (cause, outcome) in standard deviations of outcome per standard deviation of cause.

    Attributes
    ----------
    value, se_loci, se_members, se_background : (cause, mark) float64
        Over all loci; standard error from the loci (sandwich); standard deviation over members; bias that effects of
        typical mutants on all marks alike would make. NaN for effects of a mark on itself or on one that nothing moves.
    by_member : (member, cause, mark) float64, or None of total effects
    df : (cause, mark) float64
        Of the sum of the errors, after Satterthwaite.
    """

    value: np.ndarray
    se_loci: np.ndarray
    se_members: np.ndarray
    se_background: np.ndarray
    by_member: np.ndarray
    df: np.ndarray

    @property
    def se(self):
        """All errors together."""
        return together(self.se_loci, self.se_members, self.se_background)


class Strength(NamedTuple):
    """What effects are estimated from, by mark: numbers of its own mutants and of their loci, F of its own effect."""

    n_instruments: np.ndarray
    n_loci: np.ndarray
    f: np.ndarray


def together(*errors):
    """Independent errors together."""
    return np.sqrt(sum(error ** 2 for error in errors))


def estimate(assignment):
    """Total effects R of each cause, and direct effects G = I - V D of them (`direct_of_total`).

    Parameters
    ----------
    assignment : kipoi_deepmr.instruments.Assignment

    Returns
    -------
    total, direct : Estimate
    strength : Strength

    Notes
    -----
    R_ij is the mean over loci of the slopes of clean mutants of i, weighted by `1 / (variance + tau^2)`. A locus'
    influence on it is `w_l (R_lij - R_ij) / sum w`, that on G follows to first order; the sandwich is the sum of
    squares over loci. A member's slope at a locus is that of its effects on the other members' mean, so that no product
    is one of a member with itself.
    """
    sample, found, causes = assignment.sample, assignment.found, assignment.rows.numbers
    shape, n_marks, n_members = (len(causes), len(assignment.marks)), len(assignment.marks), len(sample.members)
    by_member, influences = np.empty((n_members, *shape)), []
    total, squares, background = np.empty((3, *shape))
    strength = Strength(*np.zeros((2, n_marks), int), np.full(n_marks, np.nan))
    for row, i in enumerate(causes):
        mutants = np.flatnonzero(found.on & (found.ray == i))
        loci, slope, variance = slopes_by_locus(sample, assignment.noise, i, mutants)
        weight = 1 / (variance + np.maximum(assignment.rays.tau[row], LEAST_TAU) ** 2)
        weight /= weight.sum(0)
        total[row] = (weight * slope).sum(0)
        influence = weight * (slope - total[row])
        influence[:, i] = 0
        squares[row] = (influence ** 2).sum(0)
        influences.append((np.full(len(loci), row), loci, influence))
        by_member[:, row] = total[row] + (weight * _members_departures(sample, i, mutants, loci, slope)).sum(1)
        background[row] = sample.background[i] * sample.background / (sample.effect[mutants, i] ** 2).mean()
        strength.n_instruments[i], strength.n_loci[i] = len(mutants), len(loci)
        strength.f[i] = _f(sample, i, mutants)
    itself = np.arange(len(causes)), causes
    total[itself], background[itself], none = 1, 0, np.tile(~(assignment.sd > 0), (len(causes), 1))
    by_member[(slice(None), *itself)], none[itself] = 1, True
    direct, of_direct = direct_of_total(total, causes), _squares_of_direct(total, causes, influences)
    del influences
    bias = np.sqrt(variance_of_direct(total, background ** 2, causes))
    n_loci = strength.n_loci[causes]
    of_total = _with_errors(total, squares, by_member, background, n_loci, none)
    for k in range(n_members):
        by_member[k] = direct_of_total(by_member[k], causes)
    of_direct = _with_errors(direct, of_direct, by_member, bias, n_loci, none)
    np.copyto(by_member, np.nan, where=none)
    return of_total, of_direct._replace(by_member=by_member), strength


def _squares_of_direct(total, causes, influences):
    """Sum over loci of the squares of their influence on direct effects, from (row, locus, influence on that row).

    Only causes with mutants at a locus have an influence there: with many marks these are few.
    """
    squares = np.zeros_like(total)
    if not influences:
        return squares
    row, locus = (np.concatenate(part) for part in list(zip(*influences, strict=True))[:2])
    influence, inverse = [each for *_, of_cause in influences for each in of_cause], inverse_of_total(total, causes)
    for some in np.split(np.argsort(locus, kind="stable"), np.flatnonzero(np.diff(np.sort(locus))) + 1):
        change = np.array([influence[k] for k in some])
        squares += change_of_direct(inverse, causes, row[some], change) ** 2
    return squares


def _with_errors(value, squares, by_member, se_background, n_loci, none):
    """`Estimate` without members, in the arrays that are passed, since with many marks they are large."""
    n = np.maximum(n_loci, 2)[:, None]
    squares *= n
    squares /= n - 1
    se_loci, se_members, df = np.sqrt(squares, out=squares), np.empty_like(value), np.empty_like(value)
    for rows in (slice(first, first + CAUSES) for first in range(0, len(value), CAUSES)):
        se_members[rows] = by_member[:, rows].std(0, ddof=1)
        loci, members, background = se_loci[rows], se_members[rows], se_background[rows]
        with np.errstate(all="ignore"):
            df[rows] = ((loci ** 2 + members ** 2 + background ** 2) ** 2
                        / (loci ** 4 / (n[rows] - 1) + members ** 4 / (len(by_member) - 1)))
    for part in (value, se_loci, se_members, se_background, df):
        np.copyto(part, np.nan, where=none)
    return Estimate(value, se_loci, se_members, se_background, None, df)


def _members_departures(sample, mark, mutants, loci, slope):
    """(member, locus, mark): how far each member's slopes at loci are from those of all.

    One step from the slope of all, over the strength of all: a member's own strength may be near 0, or 0.
    """
    n_members = len(sample.members)
    locus, x = sample.locus[mutants], sample.effect[mutants]
    kept = np.isin(locus, loci)
    locus, x, mutants = locus[kept], x[kept], mutants[kept]
    starts = np.flatnonzero(np.diff(locus, prepend=-1))
    of_locus = slope[np.repeat(np.arange(len(loci)), np.diff(np.append(starts, len(locus))))]
    departures = np.empty((n_members, len(loci), x.shape[1]))
    for k, member in enumerate(sample.members):
        m = member[mutants].astype(np.float64)
        other = (n_members * x[:, mark] - m[:, mark]) / (n_members - 1)
        residual = other[:, None] * (m - m[:, [mark]] * of_locus)
        departures[k] = np.add.reduceat(residual, starts) / np.add.reduceat(other * x[:, mark], starts)[:, None]
    return departures


def _f(sample, mark, mutants):
    """Mean over mutants of the squared effect over its squared standard error, both means over mutants."""
    own = sample.members[:, mutants, mark].astype(np.float64)
    error = own.var(0, ddof=1).mean() / len(own)
    return (own.mean(0) ** 2).mean() / error if error > 0 else np.inf


def conditional_f(total, f, causes):
    """F of each cause given the other causes of an outcome: (cause, mark).

    Parameters
    ----------
    total : (cause, mark) float64
        Ones for the effect of a mark on itself, and no missing values.
    f : (cause,) float64
    causes : (cause,) int
        Numbers of the marks that are causes.
    """
    own = inverse_of_total(total, causes)[:, causes]
    scale = np.diag(own)
    # the diagonal of the inverse of R without row and column j
    without = np.repeat(scale[:, None], total.shape[1], axis=1)
    without[:, causes] -= own * own.T / scale
    return f[:, None] / np.maximum(without, 1)
