"""How a calibration moves the members of an ensemble: as a function of their deviations in standard deviations."""

from dataclasses import dataclass

import numpy as np
from scipy import optimize, special
from sklearn.isotonic import IsotonicRegression

from ..errors import InputError

KNOTS = 101  # of a quantile recalibration in a file: every 0.07 standard deviations with 2,500 observed values
LEAST_FACTOR = 1e-3  # of a scaling: less is none


@dataclass(frozen=True)
class Scaling:
    """Deviations times a factor; 1 moves nothing."""

    factor: float

    def __call__(self, deviation):
        return self.factor * deviation


@dataclass(frozen=True, eq=False)
class Quantiles:
    """Deviations moved along a growing line through knots; those beyond the first and the last are clipped to them.

    Attributes
    ----------
    score : (k,) float64
        Normal scores `Phi^-1` of observed proportions, growing.
    deviation : (k,) float64
        Standard deviations from the ensemble's mean below which that proportion of observed values lies.
    """

    score: np.ndarray
    deviation: np.ndarray

    def __call__(self, deviation):
        return np.interp(deviation, self.score, self.deviation)


def fit_scaling(residual, sd, noise_sd=0.0):
    """The factor that makes observed values most likely: they are N(mean, (factor sd)^2 + noise_sd^2).

    Without noise it is the root of the mean squared deviation in standard deviations.

    Parameters
    ----------
    residual : (n,) float64
        Observed value minus mean over members.
    sd : (n,) float64
        Over members, above 0.
    noise_sd : float
        Standard deviation of the noise in the observed values.

    Returns
    -------
    Scaling

    Raises
    ------
    InputError
        Noise of this size explains the residuals without any spread of the members.
    """
    size = np.abs(residual / sd)
    if not noise_sd:
        return Scaling(float(np.sqrt(np.mean(size**2))))

    def minus_log_likelihood(log_factor):
        variance = np.square(np.exp(log_factor) * sd) + noise_sd**2
        return np.mean(np.log(variance) + residual**2 / variance)

    # above the largest deviation all terms grow; a likelihood may have several tops, so that a grid finds the highest
    grid = np.linspace(np.log(LEAST_FACTOR), np.log(max(1.0, size.max())), 200)
    best = int(np.argmin([minus_log_likelihood(x) for x in grid]))
    if best == 0:
        raise InputError(f"noise of standard deviation {noise_sd:g} explains how far observed values are from the "
                         "members' mean, without any spread of the members: give less, or none")
    around = grid[best - 1], grid[min(best + 1, len(grid) - 1)]
    found = optimize.minimize_scalar(minus_log_likelihood, bounds=around, method="bounded", options={"xatol": 1e-9})
    return Scaling(float(np.exp(found.x)))


def fit_quantiles(deviation):
    """Isotonic regression of expected on observed proportions (Kuleshov et al. 2018, algorithm 1, inverted).

    The observed proportion at a value is the share of values at or below it, less half of the share at it, which is
    never 0 or 1; the expected one is `Phi(deviation)`. Both are taken on the scale of the normal distribution
    (`Phi^-1`), on which no proportion is lost to rounding near 1 and none is infinite.

    Parameters
    ----------
    deviation : (n,) float64
        (observed - mean) / sd over members; two different values at least.

    Returns
    -------
    Quantiles

    References
    ----------
    Kuleshov V, Fenner N, Ermon S (2018). Accurate uncertainties for deep learning using calibrated regression. ICML.
    """
    values, counts = np.unique(deviation, return_counts=True)
    score = special.ndtri((np.cumsum(counts) - counts / 2) / len(deviation))
    regression = IsotonicRegression(out_of_bounds="clip").fit(score, values)
    knots = np.linspace(score[0], score[-1], KNOTS)
    return Quantiles(knots, regression.predict(knots))


def moved(predicted, moves, ddof):
    """Predictions of the members after calibration: mean + sd * move((prediction - mean) / sd).

    Parameters
    ----------
    predicted : (member, ..., mark) array
    moves : sequence of Scaling or Quantiles
        One a mark.
    ddof : int
        Of the standard deviation over members.

    Returns
    -------
    (member, ..., mark) float64
        Where all members agree they stay as they are; where one is not finite all are NaN.
    """
    predicted = np.asarray(predicted, np.float64)
    mean, sd = predicted.mean(0), predicted.std(0, ddof=ddof)
    deviation = np.divide(predicted - mean, sd, out=np.zeros_like(predicted), where=sd > 0)
    for mark, move in enumerate(moves):
        deviation[..., mark] = move(deviation[..., mark])
    return mean + sd * deviation
