"""Errors of what is estimated over loci by the members of an ensemble: one part from loci, one from the members."""

from typing import NamedTuple

import numpy as np
from scipy import linalg, special

from ..mr.uncertainty import SHARED

NEARLY_NOTHING = 1e-9  # of a variance: keeps a metric of full rank


class Spread(NamedTuple):
    """Errors of p estimates.

    Attributes
    ----------
    loci, members : (p, p) float64
        Covariance from one group of instruments to the next (jackknife), and what members differ by beyond that.
    loci_df, members_df : float
        Degrees of freedom of either.
    """

    loci: np.ndarray
    members: np.ndarray
    loci_df: float
    members_df: float

    def of(self, contrast):
        """Standard error and degrees of freedom of a linear combination (..., p) of the estimates."""
        loci, members = (np.maximum(np.einsum("...i,ij,...j->...", contrast, each, contrast), 0.0)
                         for each in (self.loci, self.members))
        total = loci + members
        share = np.divide(members, total, out=np.zeros_like(total), where=total > 0)
        return np.sqrt(total), self._df(share)

    def _df(self, share):
        """Satterthwaite's degrees of freedom where the members have a share of the variance."""
        return 1 / ((1 - share) ** 2 / self.loci_df + share ** 2 / self.members_df)

    def wald(self, estimate, which):
        """P-value that some of the estimates (a slice) are all 0: Hotelling's T squared.

        Degrees of freedom are Satterthwaite's, of the two parts' mean shares.
        """
        total = self.loci[which, which] + self.members[which, which]
        values = estimate[which]
        inverse = linalg.pinvh(total)  # no error at all is possible
        df = self._df(np.trace(inverse @ self.members[which, which]) / len(values))
        rest = df - len(values) + 1
        if rest <= 0:
            return np.nan
        size = values @ inverse @ values * rest / (df * len(values))
        return float(special.fdtrc(len(values), rest, size))


def spread_of(leave_one_out, members, influence):
    """The `Spread` of estimates.

    Parameters
    ----------
    leave_one_out : (group, p) float64
        Estimates without one group each.
    members : (member, p) float64
        Estimates by each member.
    influence : (member, group, p) float64
        What each group adds to those.

    Returns
    -------
    Spread
        What members differ by because their errors differ from group to group is part of `loci` already; the rest is
        theirs at all groups, and counts as in `--uncertainty ensemble`.
    """
    n, n_members = len(leave_one_out), len(members)
    off = leave_one_out - leave_one_out.mean(0)
    loci = (n - 1) / n * off.T @ off
    off = influence - influence.mean(0)
    by_chance = np.einsum("kgi,kgj->ij", off, off) / (n_members - 1)
    beyond = _positive(np.cov(members, rowvar=False).reshape(by_chance.shape) - by_chance, loci)
    return Spread(loci, (1 / n_members + SHARED) * beyond, n - 1.0, n_members - 1.0)


def _positive(matrix, metric):
    """The part of a difference of covariances that is a covariance, whatever the units of the estimates."""
    unit = np.sqrt(np.diag(metric))
    unit = np.where(unit > 0, unit, 1.0)
    matrix, metric = (each / np.outer(unit, unit) for each in (matrix, metric))
    metric = metric + NEARLY_NOTHING * np.eye(len(unit))
    values, vectors = linalg.eigh(matrix, metric)
    back = unit[:, None] * (metric @ vectors)
    return (back * np.maximum(values, 0)) @ back.T
