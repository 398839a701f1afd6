"""P-values and intervals that stay right in the far tail."""

import numpy as np
from scipy import special

from ..errors import InputError


def check_alpha(alpha):
    """Raise InputError unless alpha, the share of intervals that may miss, lies between 0 and 1."""
    if not 0 < alpha < 1:
        raise InputError(f"alpha must be between 0 and 1, not {alpha!r}")


def two_sided_pvalue(estimate, se, df=None):
    """P-value against 0: from the normal distribution, or from t with `df` degrees of freedom.

    The lower tail is evaluated directly, so that it does not underflow at |z| = 8.3 as 2 (1 - Phi(|z|)) does.

    Parameters
    ----------
    estimate, se, df : arrays of one shape

    Returns
    -------
    array of that shape
    """
    z = -np.abs(estimate / se)
    return 2 * (special.ndtr(z) if df is None else special.stdtr(df, z))


def interval(estimate, se, alpha, df=None):
    """Lower and upper end of the 1 - alpha interval, from the same distribution as `two_sided_pvalue`."""
    half_width = -(special.ndtri(alpha / 2) if df is None else _t_quantile(df, alpha / 2)) * se
    return estimate - half_width, estimate + half_width


def _t_quantile(df, p):
    """Quantile of t, improved by a Newton step: the stdtrit of older SciPy is right to 9 digits only."""
    t = special.stdtrit(df, p)
    density = (1 + t ** 2 / df) ** (-(df + 1) / 2) / (np.sqrt(df) * special.beta(df / 2, 0.5))
    return t - (special.stdtr(df, t) - p) / density


def chi2_pvalue(q, df):
    """Upper tail of the chi-square distribution; NaN where there is no degree of freedom."""
    return np.where(df > 0, special.chdtrc(np.maximum(df, 1), q), np.nan)
