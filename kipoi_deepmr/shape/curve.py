"""The curve of an outcome against an exposure over loci, or at one, its slopes, and the test against a line."""

from dataclasses import dataclass

import numpy as np

from .. import meta
from ..network.significance import beyond_pvalue
from ..options import NetworkOptions
from .fit import Sums, fit
from .spline import Bends, calibrated, sides
from .spread import spread_of
from .words import ALPHA, Shape, shape_of

KNOTS, FEW_KNOTS = 5, 3
FEW_LOCI = 10  # below: errors from position to position, not from locus to locus, and one bend
POINTS = 101


@dataclass(frozen=True, eq=False)
class Curve:
    """Outcome against exposure, both as effects of mutants: mutant minus reference.

    Attributes
    ----------
    n_loci : int
    n_instruments : float
        Mean over the members that are left out.
    full : float
        Effect on the exposure of full ablation: that of a locus's strongest instrument, at the median locus.
    slopes, slopes_se, slopes_df : (3,) float64
        At the reference, at half of full ablation, and at full ablation; outcome per unit of the exposure.
    x, y, se, df : (point,) float64
        The curve.
    pvalue : float
        That it is a line.
    pvalue_min_bend : float
        That it bends by no more than the minimum.
    shape : Shape
    """

    n_loci: int
    n_instruments: float
    full: float
    slopes: np.ndarray
    slopes_se: np.ndarray
    slopes_df: np.ndarray
    x: np.ndarray
    y: np.ndarray
    se: np.ndarray
    df: np.ndarray
    pvalue: float
    pvalue_min_bend: float
    shape: Shape


def curve_of(folds, min_bend=0.2, min_slope=0.0):
    """The `Curve` of `Folds`: over all loci together, each with a slope of its own and with the same bends.

    Parameters
    ----------
    folds : Folds
    min_bend : float
        The least difference between slopes that counts, as a share of the mean slope.
    min_slope : float
        The least slope, and difference between slopes, that counts: outcome per unit of the exposure.

    Returns
    -------
    Curve
    """
    many = len(folds.loci) >= FEW_LOCI
    n_knots = KNOTS if many else FEW_KNOTS
    x = calibrated(folds.others, folds.exposure, folds.locus, n_knots)
    low, high = sides(x, folds.locus)
    bends = Bends.between(low, high, n_knots)
    sums = Sums.of(folds, x, bends, *_groups(folds, many))
    found = fit(sums, bends, weights_of_loci(folds), many)
    errors = spread_of(found.leave_one_out, found.members, found.member_influence)
    full, along = low if -low >= high else high, np.linspace(low, high, POINTS)
    values, slopes = _values(bends, along), _slopes(bends, np.array([0.0, full / 2, full]))
    tests = _Tests(found, errors, full, min_bend, min_slope)
    path = np.linspace(min(0.0, full), max(0.0, full), POINTS)
    shape = shape_of(tests.has_effect, tests.pvalue_min_bend, path, _slopes(bends, path) @ found.coefficients,
                     tests.bends)
    return Curve(len(folds.loci), float(folds.n_instruments.sum()), float(full), slopes @ found.coefficients,
                 *errors.of(slopes), along, values @ found.coefficients, *errors.of(values),
                 errors.wald(found.free, slice(1, None)), tests.pvalue_min_bend, shape)


def least_slope(sd, exposure, outcome):
    """The least slope that counts: that of the least effect in the network, in the marks' units.

    Parameters
    ----------
    sd : (mark,) float64
        Of the effects over all mutants of all loci.
    exposure, outcome : int
        Numbers of the marks.

    Returns
    -------
    float
    """
    return NetworkOptions.default_of("network_min_effect") * sd[outcome] / sd[exposure]


class _Tests:
    """What the fit of a curve says of its slope and its bends."""

    def __init__(self, found, errors, full, min_bend, min_slope):
        at = _slopes(found.bends, np.array([0.0, full / 2, full]))
        mean = _values(found.bends, np.array([full]))[0] / full
        chord = mean @ found.free
        sign = 1.0 if chord >= 0 else -1.0
        upwards = 1.0 if full < 0 else -1.0  # the reference is the upper end
        bends = sign * np.stack([upwards * (at[0] - at[2]), at[1] - (at[0] + at[2]) / 2])
        if len(found.free) == 2:  # one bend says one thing
            bends = bends[:1]
        values = bends @ found.free
        tests = beyond_pvalue(values, *errors.of(bends), max(min_bend * abs(chord), min_slope))
        self.pvalue_min_bend = float(np.minimum(len(tests) * tests.min(), 1.0))
        self.bends = np.append(values, 0.0)[:2]
        moved = np.vstack([mean, at])
        of_slopes = beyond_pvalue(moved @ found.free, *errors.of(moved), min_slope)
        self.has_effect = bool(len(moved) * of_slopes.min() < ALPHA)


def weights_of_loci(folds):
    """Weight of each locus's slope among all: that of a random-effects meta-analysis.

    Parameters
    ----------
    folds : Folds

    Returns
    -------
    (locus,) float64
    """
    slope, strength = (each.mean(0) for each in slopes_of_loci(folds))
    off = folds.outcome - slope[folds.locus] * folds.exposure
    variance = (off ** 2).mean() / strength
    if len(slope) < 2 or not (variance > 0).all():
        return np.ones(len(slope))
    return 1 / (variance + meta.random_effects(slope, np.sqrt(variance), tau2_ci=None).tau2)


def slopes_of_loci(folds):
    """Slope of a line through the reference at each locus, by each left-out member, and how strong its instruments are.

    Parameters
    ----------
    folds : Folds

    Returns
    -------
    slope, strength : (fold, locus) float64
        Strength is the sum of products of the others' and the member's effects on the exposure.
    """
    strength, along = np.zeros((2, folds.n_folds, len(folds.loci)))
    np.add.at(strength, (folds.fold, folds.locus), folds.others * folds.exposure)
    np.add.at(along, (folds.fold, folds.locus), folds.others * folds.outcome)
    return along / strength, strength


def _values(bends, x):
    """Rows that coefficients are multiplied with for the curve at x (point,)."""
    return np.column_stack([x, bends(x)])


def _slopes(bends, x):
    """The same for its slope."""
    return np.column_stack([np.ones_like(x), bends.slope(x)])


def _groups(folds, many):
    """Number of each instrument's group, and the locus of each group."""
    if many:
        return folds.locus, np.arange(len(folds.loci))
    places, group = np.unique(np.stack([folds.locus, folds.position]), axis=1, return_inverse=True)
    return group.ravel(), places[0]
