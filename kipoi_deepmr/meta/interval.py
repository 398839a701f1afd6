"""Quantiles, and p-values from survival functions (far tails keep their digits); checks of options."""

import numpy as np
from scipy import special

from ..errors import InputError, nearest


def quantile(alpha, df):
    """Two-sided critical value at level alpha; df (array) may be infinite (normal) and NaN gives NaN."""
    df = np.asarray(df, dtype=np.float64)
    finite = np.isfinite(df) & (df > 0)
    safe = np.where(finite, df, 1.0)
    t = -special.stdtrit(safe, alpha / 2)
    # older SciPy inverts the t distribution to ten digits; a Newton step doubles them
    log_density = special.gammaln((safe + 1) / 2) - special.gammaln(safe / 2) - 0.5 * np.log(safe * np.pi)
    density = np.exp(log_density - (safe + 1) / 2 * np.log1p(t**2 / safe))
    t = t + (special.stdtr(safe, -t) - alpha / 2) / density
    return np.where(np.isposinf(df), -special.ndtri(alpha / 2), np.where(finite, t, np.nan))


def two_sided_p(statistic, df):
    """Two-sided p-value of a statistic with df degrees of freedom (infinite: normal)."""
    size = np.abs(statistic)
    df = np.asarray(df, dtype=np.float64)
    finite = np.isfinite(df) & (df > 0)
    t = 2 * special.stdtr(np.where(finite, df, 1.0), -size)
    return np.where(np.isposinf(df), 2 * special.ndtr(-size), np.where(finite, t, np.nan))


def chi2_p(q, df):
    """Upper tail of chi-square; NaN without degrees of freedom, as R's meta has it."""
    df = np.asarray(df, dtype=np.float64)
    return np.where(df > 0, special.chdtrc(np.maximum(df, 1.0), q), np.nan)


def check_choice(value, choices, name):
    """Raise InputError unless value is one of choices."""
    if value not in choices:
        raise InputError(f"unknown {name} {value!r}{nearest(value, choices)}")


def check_alpha(alpha):
    """Raise InputError unless 0 < alpha < 1."""
    if not 0 < alpha < 1:
        raise InputError(f"alpha must lie between 0 and 1, not {alpha!r}")
