"""From validation predictions and observed values to a calibration."""

from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from ..errors import InputError
from ..inference import check_choice
from ..options import RECALIBRATIONS
from .moves import Scaling, fit_quantiles, fit_scaling

MIN_VALUES = 20  # observed values of a mark, at least
MIN_MEMBERS_TO_SCALE = 4


class Counts(NamedTuple):
    """Sequences that a mark's calibration rests on, those without an observed value, and those left out.

    Left out are those for which all members predict the same, or one predicts no finite number.
    """

    used: int
    missing: int
    left_out: int


@dataclass(frozen=True, eq=False)
class Calibration:
    """How each mark's members are moved.

    Attributes
    ----------
    recalibration : {"quantile", "scale", "none"}
    ddof : int
        Of the standard deviations over members.
    moves : dict of str to Scaling or Quantiles
        By mark.
    counts : dict of str to Counts
        By mark.
    settings : dict
        What the models' predictions depend on, as `settings_of_models` gives it; empty if not known.
    """

    recalibration: str
    ddof: int
    moves: dict
    counts: dict
    settings: dict = field(default_factory=dict)

    def of_models(self, settings):
        """The same calibration, for models of these settings."""
        return replace(self, settings=settings)


class Residuals(NamedTuple):
    """Of one mark: members' predictions (member, n) that can be used, their mean, sd, and observed value minus mean."""

    predicted: np.ndarray
    mean: np.ndarray
    sd: np.ndarray
    residual: np.ndarray


def fit(predicted, observed, marks, recalibration="scale", ddof=1, noise_sd=0.0):
    """Fit a calibration to validation sequences.

    Parameters
    ----------
    predicted : (member, n, mark) array
        Predictions of n sequences.
    observed : (n, mark) array
        On the scale of the predictions; NaN where missing.
    marks : sequence of str
    recalibration : {"quantile", "scale", "none"}
        Isotonic quantile recalibration, one factor a mark, or nothing.
    ddof : int
        Of the standard deviation over members: that of the effects to be calibrated.
    noise_sd : float
        Standard deviation of the noise in the observed values, which the members' spread is not to stand for; for
        scale and none.

    Returns
    -------
    Calibration

    Raises
    ------
    InputError
        A mark has fewer than `MIN_VALUES` values that can be used, members are too few, or noise is too large.
    """
    check_options(len(predicted), recalibration, ddof, noise_sd)
    moves, counts = {}, {}
    for i, mark in enumerate(marks):
        residuals, _, counts[mark] = residuals_of(predicted[..., i], observed[:, i], mark, ddof)
        try:
            moves[mark] = fit_move(residuals.residual, residuals.sd, recalibration, noise_sd)
        except InputError as error:
            raise InputError(f"mark {mark}: {error}") from error
    return Calibration(recalibration, ddof, moves, counts)


def check_options(n_members, recalibration, ddof, noise_sd):
    """Raise `InputError` where so many members cannot be calibrated in this way."""
    check_choice("recalibration", recalibration, RECALIBRATIONS)
    if n_members < 2:
        raise InputError("a calibration needs two members or more: one has no spread")
    if ddof not in (0, 1):
        raise InputError(f"ddof must be 0 or 1, not {ddof!r}")
    if not 0 <= noise_sd < np.inf:
        raise InputError(f"noise_sd must be a number of at least 0, not {noise_sd!r}")
    if noise_sd and recalibration == "quantile":
        raise InputError("noise_sd goes with recalibration scale: quantile cannot tell noise from spread")
    if recalibration == "scale" and n_members < MIN_MEMBERS_TO_SCALE:
        raise InputError(f"recalibration scale needs {MIN_MEMBERS_TO_SCALE} members or more: the few sequences on "
                         f"which {n_members} nearly agree by chance would decide the factor; take quantile")


def residuals_of(predicted, observed, mark, ddof):
    """Residuals of one mark's observed values, those that can be used.

    Parameters
    ----------
    predicted : (member, n) array
    observed : (n,) array
    mark : str
    ddof : int

    Returns
    -------
    residuals : Residuals
    usable : (n,) bool
        Which of the values they are of.
    counts : Counts

    Raises
    ------
    InputError
        Fewer than `MIN_VALUES` can be used, or all deviate alike.
    """
    predicted = np.asarray(predicted, np.float64)
    mean, sd, known = predicted.mean(0), predicted.std(0, ddof=ddof), ~np.isnan(observed)
    usable = known & np.isfinite(mean) & (sd > 0)
    counts = Counts(int(usable.sum()), int((~known).sum()), int((known & ~usable).sum()))
    if counts.used < MIN_VALUES:
        raise InputError(f"mark {mark}: {counts.used} of {len(observed)} sequences can be used ({counts.missing} "
                         f"without an observed value, {counts.left_out} on which all members agree or are not finite); "
                         f"a calibration needs {MIN_VALUES}: leave the mark out by --marks")
    residual = (observed - mean)[usable]
    if not np.ptp(residual / sd[usable]):
        raise InputError(f"mark {mark}: every observed value deviates alike from the members' mean: that is no spread")
    return Residuals(predicted[:, usable], mean[usable], sd[usable], residual), usable, counts


def fit_move(residual, sd, recalibration, noise_sd=0.0):
    """The move of one mark, from residuals and standard deviations over members: (n,) float64."""
    if recalibration == "none":
        return Scaling(1.0)
    return fit_quantiles(residual / sd) if recalibration == "quantile" else fit_scaling(residual, sd, noise_sd)
