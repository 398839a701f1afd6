"""Plain mean and standard deviation over studies, which need no standard errors."""

from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..inference import check_alpha, interval, two_sided_pvalue


@dataclass(frozen=True)
class MeanResult:
    """Mean over studies: numbers for 1-D input, arrays of shape (n,) for n columns.

    Attributes
    ----------
    estimate, sd : float
        Mean and standard deviation (k - 1 in its denominator) of the effects.
    se, ci_low, ci_high, pvalue : float
        sd / sqrt(k), and the t interval and p-value with k - 1 degrees of freedom.
    n_studies, n_excluded : int
        Finite effects; infinite ones, which are left out (NaN is missing and in neither).
    note : str
    """

    estimate: float | np.ndarray
    sd: float | np.ndarray
    se: float | np.ndarray
    ci_low: float | np.ndarray
    ci_high: float | np.ndarray
    pvalue: float | np.ndarray
    n_studies: int | np.ndarray
    n_excluded: int | np.ndarray
    note: str | np.ndarray


def mean(effects, alpha=0.05):
    """Plain mean and standard deviation of effects over studies.

    Parameters
    ----------
    effects : array_like, shape (k,) or (k, n)
        NaN is a missing study.
    alpha : float

    Returns
    -------
    MeanResult

    Raises
    ------
    InputError
        If effects are not numbers or not 1-D or 2-D, or alpha is not between 0 and 1.

    References
    ----------
    The baseline of Finkelstein et al. (2022), PLoS Comput Biol; R's mean, sd and t.test.
    """
    check_alpha(alpha)
    try:
        effects = np.asarray(effects, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"effects must be numbers: {error}") from None
    if effects.ndim not in (1, 2):
        raise InputError(f"effects must be 1-D (studies) or 2-D (studies, analyses), not {effects.ndim}-D")
    columns = effects if effects.ndim == 2 else effects[:, None]
    used = np.isfinite(columns)
    k = used.sum(axis=0)
    excluded = np.isinf(columns).sum(axis=0)
    with np.errstate(all="ignore"):
        centre = np.where(used, columns, 0.0).sum(axis=0) / k
        deviation = np.where(used, columns - centre, 0.0)
        # the second term corrects the rounding of the mean
        estimate = centre + deviation.sum(axis=0) / k
        sd = np.sqrt(np.where(used, (columns - estimate) ** 2, 0.0).sum(axis=0) / (k - 1))
        sd = np.where(k > 1, sd, np.nan)
        se = sd / np.sqrt(k)
        low, high = interval(estimate, se, alpha, k - 1)
        pvalue = two_sided_pvalue(estimate, se, k - 1)
    note = np.array([_note(*pair) for pair in zip(k, excluded, strict=True)], dtype=object)
    values = (estimate, sd, se, low, high, pvalue, k, excluded, note)
    if effects.ndim == 1:
        values = [value[0].item() if value.dtype != object else value[0] for value in values]
    return MeanResult(*values)


def _note(n_studies, n_excluded):
    parts = [f"excluded {n_excluded} infinite effects"] if n_excluded else []
    if n_studies < 2:
        parts.append("no usable study" if n_studies == 0 else "one study: no standard deviation")
    return "; ".join(parts)
