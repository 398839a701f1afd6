"""How well an ensemble's intervals hold observed values: reliability curve, miscalibration area, sharpness."""

from typing import NamedTuple

import numpy as np
from scipy import special

from .fit import check_options, fit_move, residuals_of

LEVELS = np.linspace(0, 1, 100)  # expected proportions, those of uncertainty-toolbox
FOLDS = 5
COVERAGE = np.array([0.95])
MIDPOINTS = special.ndtri((np.arange(1000) + 0.5) / 1000)  # of the standard normal distribution


class Reliability(NamedTuple):
    """Of one mark and one distribution.

    Attributes
    ----------
    mark : str
    distribution : {"before", "after", "quantiles"}
        before: the Gaussian of the members; after: that of the moved members, from which effects are computed;
        quantiles: the recalibrated distribution itself, which members of the quantile recalibration are drawn towards.
    n : int
        Observed values.
    miscalibration_area, coverage, sharpness : float
        coverage is that of 95 % intervals of observed values, noise included; so is sharpness.
    observed : (level,) float64
        Proportions within the central interval of each of `LEVELS`: the reliability curve.
    """

    mark: str
    distribution: str
    n: int
    miscalibration_area: float
    coverage: float
    sharpness: float
    observed: np.ndarray


def observed_proportions(deviation, move=None, levels=LEVELS):
    """Share of observed values within the central interval of each level.

    Parameters
    ----------
    deviation : (n,) float64
        (observed - mean) / sd.
    move : callable, optional
        Moves the ends of the Gaussian's intervals; they stay by default.
    levels : (level,) float64

    Returns
    -------
    (level,) float64
    """
    low, high = (special.ndtri(0.5 + sign * np.asarray(levels) / 2) for sign in (-1, 1))
    if move:
        low, high = move(low), move(high)
    ordered = np.sort(deviation)
    inside = np.searchsorted(ordered, high, "right") - np.searchsorted(ordered, low, "left")
    return np.maximum(inside, 0) / len(ordered)


def miscalibration_area(observed, levels=LEVELS):
    """Area between the reliability curve and the diagonal, pieces above and below it alike.

    Parameters
    ----------
    observed, levels : (level,) float64

    Returns
    -------
    float
        As uncertainty-toolbox's `miscalibration_area`.

    References
    ----------
    Chung Y, Char I, Guo H, Schneider J, Neiswanger W (2021). Uncertainty Toolbox. arXiv:2109.10254.
    """
    above = observed - levels
    left, right = above[:-1], above[1:]
    sizes = np.abs(left) + np.abs(right)
    crossing = left * right < 0  # two triangles, not a trapezoid
    height = np.where(crossing, (left**2 + right**2) / np.where(crossing, sizes, 1), sizes)
    return float((np.diff(levels) * height / 2).sum())


def sharpness(sd):
    """Root of the mean variance of predictive distributions, from their standard deviations (n,)."""
    return float(np.sqrt(np.mean(np.square(sd))))


def evaluate(predicted, observed, marks, recalibration="scale", ddof=1, noise_sd=0.0, seed=42):
    """Reliability before and after, each value by a calibration fitted to the other four fifths of the sequences.

    Parameters
    ----------
    predicted, observed, marks, recalibration, ddof, noise_sd
        As for `fit`.
    seed : int
        Of the division into fifths.

    Returns
    -------
    list of Reliability
        For each mark `before`, `after`, and for the quantile recalibration `quantiles`; for none, `before` alone.

    Raises
    ------
    InputError
        As `fit`.
    """
    check_options(len(predicted), recalibration, ddof, noise_sd)
    fold = np.random.default_rng(seed).permutation(len(observed)) % FOLDS
    found = []
    for i, mark in enumerate(marks):
        residuals, usable, _ = residuals_of(predicted[..., i], observed[:, i], mark, ddof)
        found.append(_gaussian(mark, "before", residuals.residual, np.hypot(residuals.sd, noise_sd)))
        if recalibration != "none":
            found += _after(mark, residuals, fold[usable], recalibration, ddof, noise_sd)
    return found


def _after(mark, of, fold, recalibration, ddof, noise_sd):
    """Reliability of the moved members and, for the quantile recalibration, of the distribution itself."""
    members, spread, inside, curve = np.empty_like(of.predicted), np.empty_like(of.sd), 0.0, 0.0
    for k in np.unique(fold):
        out = fold == k
        move = fit_move(of.residual[~out], of.sd[~out], recalibration, noise_sd)
        members[:, out] = of.mean[out] + of.sd[out] * move((of.predicted[:, out] - of.mean[out]) / of.sd[out])
        spread[out] = of.sd[out] * move(MIDPOINTS).std()
        share, deviation = out.mean(), of.residual[out] / of.sd[out]
        curve += share * observed_proportions(deviation, move)
        inside += share * observed_proportions(deviation, move, COVERAGE)[0]
    residual = of.residual + of.mean - members.mean(0)
    yield _gaussian(mark, "after", residual, np.hypot(members.std(0, ddof=ddof), noise_sd))
    if recalibration == "quantile":
        yield Reliability(mark, "quantiles", len(fold), miscalibration_area(curve), inside, sharpness(spread), curve)


def _gaussian(mark, distribution, residual, sd):
    """Reliability of Gaussian intervals, from residuals and standard deviations (n,)."""
    curve = observed_proportions(residual / sd)
    return Reliability(mark, distribution, len(sd), miscalibration_area(curve),
                       float(observed_proportions(residual / sd, levels=COVERAGE)[0]), sharpness(sd), curve)
