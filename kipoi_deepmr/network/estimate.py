"""Total and direct effects of all ordered pairs with their errors, from the clean mutants of an assignment."""

from typing import NamedTuple

import numpy as np

from ..instruments import direct_of_total
from ..instruments.direct_effects import change_of_direct, inverted, variance_of_direct
from ..instruments.rays import LEAST_TAU, slopes_by_locus

CAUSES = 50  # whose errors are computed at a time


class Estimate(NamedTuple):
    """Effects (cause, outcome) in standard deviations of outcome per standard deviation of cause.

    Attributes
    ----------
    value, se_loci, se_members, se_background : (mark, mark) float64
        Over all loci; standard error from the loci (sandwich); standard deviation over members; bias that effects of
        typical mutants on all marks alike would make. NaN for causes without instruments.
    by_member : (member, mark, mark) float64, or None of total effects
    df : (mark, mark) float64
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
        return np.sqrt(self.se_loci ** 2 + self.se_members ** 2 + self.se_background ** 2)


class Strength(NamedTuple):
    """What effects are estimated from: of each cause the number of mutants and loci, F of its own effect by mark."""

    n_instruments: np.ndarray
    n_loci: np.ndarray
    f: np.ndarray


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
    sample, found = assignment.sample, assignment.found
    n_marks, n_members = len(assignment.marks), len(sample.members)
    total, by_member = np.eye(n_marks), np.tile(np.eye(n_marks), (n_members, 1, 1))
    squares, influences = np.zeros((n_marks, n_marks)), []
    background = np.zeros((n_marks, n_marks))
    strength = Strength(*np.zeros((2, n_marks), int), np.full(n_marks, np.nan))
    for i in np.flatnonzero(assignment.causes):
        mutants = np.flatnonzero(found.on & (found.ray == i))
        loci, slope, variance = slopes_by_locus(sample, assignment.noise, i, mutants)
        weight = 1 / (variance + np.maximum(assignment.rays.tau[i], LEAST_TAU) ** 2)
        weight /= weight.sum(0)
        total[i] = (weight * slope).sum(0)
        influence = weight * (slope - total[i])
        influence[:, i] = 0
        squares[i] = (influence ** 2).sum(0)
        influences.append((np.full(len(loci), i), loci, influence))
        by_member[:, i] = total[i] + (weight * _members_departures(sample, i, mutants, loci, slope)).sum(1)
        background[i] = sample.background[i] * sample.background / (sample.effect[mutants, i] ** 2).mean()
        strength.n_instruments[i], strength.n_loci[i] = len(mutants), len(loci)
        strength.f[i] = _f(sample, i, mutants)
    diagonal = np.arange(n_marks)
    total[diagonal, diagonal], by_member[:, diagonal, diagonal], background[diagonal, diagonal] = 1, 1, 0
    direct, of_direct = direct_of_total(total), _squares_of_direct(total, influences)
    del influences
    bias = np.sqrt(variance_of_direct(total, background ** 2))
    none = ~assignment.causes[:, None] | ~(assignment.sd > 0) | np.eye(n_marks, dtype=bool)
    of_total = _with_errors(total, squares, by_member, background, strength.n_loci, none)
    for k in range(n_members):
        by_member[k] = direct_of_total(by_member[k])
    of_direct = _with_errors(direct, of_direct, by_member, bias, strength.n_loci, none)
    np.copyto(by_member, np.nan, where=none)
    return of_total, of_direct._replace(by_member=by_member), strength


def _squares_of_direct(total, influences):
    """Sum over loci of the squares of their influence on direct effects, from (cause, locus, influence on its row).

    Only causes with mutants at a locus have an influence there: with many marks these are few.
    """
    squares = np.zeros_like(total)
    if not influences:
        return squares
    cause, locus = (np.concatenate(part) for part in list(zip(*influences, strict=True))[:2])
    influence, inverse = [row for *_, of_cause in influences for row in of_cause], inverted(total)
    for rows in np.split(np.argsort(locus, kind="stable"), np.flatnonzero(np.diff(np.sort(locus))) + 1):
        squares += change_of_direct(inverse, cause[rows], np.array([influence[row] for row in rows])) ** 2
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


def conditional_f(total, f):
    """F of each cause given the other causes of an outcome: (mark, mark), cause by outcome.

    Parameters
    ----------
    total : (mark, mark) float64
        Ones on the diagonal, and no missing values.
    f : (mark,) float64
    """
    inverse = inverted(total)
    scale = np.diag(inverse)
    # the diagonal of the inverse of R without row and column j
    without = scale[:, None] - inverse * inverse.T / scale
    return f[:, None] / np.maximum(without, 1)
