"""What a curve is called: a line, saturating, with a threshold, or both; and what an effect's dependence is called."""

from typing import NamedTuple

import numpy as np

NO_EFFECT = "no clear effect"
LINEAR = "linear"
SATURATING = "saturating"
THRESHOLD = "threshold"
SIGMOID = "threshold and saturating"
IRREGULAR = "irregular"
UNKNOWN = "cannot be told"

INDEPENDENT = "independent"
GROWS, SHRINKS = "grows with it", "shrinks with it"
COOPERATIVE, REDUNDANT = "cooperative (AND)", "redundant (OR)"
TURNS = "changes sign with it"

ALPHA = 0.05
FEW = 1 / 3  # an effect at one end that is so small a part of that at the other is as good as none
LEAST_CHANGE = 0.25  # of the larger of two effects: by how much they must differ to be called different


class Shape(NamedTuple):
    """A word for a curve, read from little of the exposure to much of it.

    Attributes
    ----------
    word : str
    turn : float
        Effect on the exposure above which the slope is less than half of the steepest (saturating), or below which it
        is (threshold); NaN for other shapes.
    """

    word: str
    turn: float = np.nan


def shape_of(has_effect, pvalue, x, slope, bends):
    """The `Shape` of a curve between the reference and full ablation.

    Parameters
    ----------
    has_effect : bool
        Whether the exposure moves the outcome at all.
    pvalue : float
        That the curve bends by no more than the minimum.
    x : (point,) float64
        Effects on the exposure, ascending.
    slope : (point,) float64
        Of the curve there.
    bends : (2,) float64
        By how much the slope at the upper end exceeds that at the lower end, and the slope half-way the mean of both;
        positive where it is steeper.

    Returns
    -------
    Shape
    """
    if not np.isfinite(pvalue):
        return Shape(UNKNOWN)
    if not has_effect:
        return Shape(NO_EFFECT)
    if pvalue >= ALPHA:
        return Shape(LINEAR)
    rise, hump = bends
    if abs(hump) > abs(rise):
        return Shape(SIGMOID if hump > 0 else IRREGULAR)
    steep = np.flatnonzero(np.abs(slope) > np.abs(slope).max() / 2)
    if len(steep) == len(x):
        return Shape(SATURATING if rise < 0 else THRESHOLD)
    return Shape(SATURATING, x[steep[-1]]) if rise < 0 else Shape(THRESHOLD, x[steep[0]])


def dependence_of(pvalue, low, high, on_other, min_slope=0.0):
    """What the dependence of an effect on a level is called.

    Parameters
    ----------
    pvalue : float
        That there is none; NaN where it is not known.
    low, high : float
        The effect where the level is low, and where it is high.
    on_other : bool
        Whether the level is that of a mark which is neither exposure nor outcome.
    min_slope : float
        The least difference between effects that counts.

    Returns
    -------
    str
    """
    if not np.isfinite(pvalue):
        return UNKNOWN
    least, most = sorted((abs(low), abs(high)))
    if pvalue >= ALPHA or abs(high - low) < max(LEAST_CHANGE * most, min_slope):
        return INDEPENDENT
    if least < FEW * most and on_other:
        return COOPERATIVE if abs(high) > abs(low) else REDUNDANT
    if low * high < 0 and least >= FEW * most:
        return TURNS
    return GROWS if abs(high) > abs(low) else SHRINKS
