"""Natural cubic splines as deviations from a line through the reference, and the calibration of the exposure's axis."""

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.linalg import null_space

SMALL_SIDE = 0.1  # of the larger side: a smaller one gets no knots


@dataclass(frozen=True, eq=False)
class Bends:
    """Functions with value and slope 0 at the reference, linear beyond the outer knots: what a curve is beside a line.

    Attributes
    ----------
    knots : (n,) float64
        Ascending effects on the exposure, of which 0 is within or at the end.
    basis : scipy.interpolate.CubicSpline
        The n - 2 functions.
    """

    knots: np.ndarray
    basis: CubicSpline

    @classmethod
    def between(cls, low, high, n_knots):
        """Those of equally spaced knots from `low` to `high`, between which 0 lies."""
        knots = np.linspace(low, high, n_knots)
        cardinal = CubicSpline(knots, np.eye(n_knots), bc_type="natural")
        free = null_space(np.stack([cardinal(0.0), cardinal(0.0, 1)]))
        return cls(knots, CubicSpline(knots, free, bc_type="natural"))

    @property
    def n(self):
        """How many functions there are."""
        return len(self.knots) - 2

    def __call__(self, x):
        """Values at x (...): (..., n) float64."""
        inside = np.clip(x, self.knots[0], self.knots[-1])
        return self.basis(inside) + (np.asarray(x) - inside)[..., None] * self.basis(inside, 1)

    def slope(self, x):
        """Derivatives at x (...): (..., n) float64."""
        return self.basis(np.clip(x, self.knots[0], self.knots[-1]), 1)

    @property
    def roughness(self):
        """Integral of the product of second derivatives: (n, n) float64."""
        ends = self.basis(self.knots, 2)
        middle = (ends[1:] + ends[:-1]) / 2  # second derivatives are linear between knots, so that Simpson is exact
        product = np.einsum("ki,kj->kij", ends, ends)
        between = 4 * np.einsum("ki,kj->kij", middle, middle)
        return (np.diff(self.knots)[:, None, None] * (product[1:] + product[:-1] + between)).sum(0) / 6


def sides(x, locus):
    """How far a locus's instruments move the exposure down and up, at the median locus.

    Parameters
    ----------
    x : (n,) float64
    locus : (n,) int
        From 0.

    Returns
    -------
    low, high : float
        At most 0, at least 0; the smaller side is 0 if it is less than a tenth of the larger.
    """
    lowest, highest = np.zeros((2, locus.max() + 1))
    np.minimum.at(lowest, locus, x)
    np.maximum.at(highest, locus, x)
    low, high = np.median(lowest), np.median(highest)
    least = SMALL_SIDE * max(-low, high)
    return (low if -low >= least else 0.0), (high if high >= least else 0.0)


def calibrated(others, own, locus, n_knots=5):
    """What a member's effect on the exposure is expected to be, given that of the other members.

    The other members' mean holds errors of its own, and chose the instruments. Where it is large, it is too large: a
    curve against it would be flatter than the truth. The mean of a member that had no say in it is not.

    Parameters
    ----------
    others, own : (n,) float64
        Effects on the exposure: mean of the other members, and of the member itself.
    locus : (n,) int
    n_knots : int

    Returns
    -------
    (n,) float64

    References
    ----------
    Carroll RJ, Ruppert D, Stefanski LA, Crainiceanu CM (2006). Measurement Error in Nonlinear Models, chapter 4
    (regression calibration).
    """
    bends = Bends.between(*sides(others, locus), n_knots)
    design = np.column_stack([others, bends(others)])
    return design @ np.linalg.lstsq(design, own, rcond=None)[0]
