"""Which effects of so many are larger than a smallest one that counts."""

import numpy as np
from scipy import special

FALSE_DISCOVERY_RATE = 0.05


def beyond_pvalue(value, se, df, least):
    """P-value of an effect against all effects of at most `least` in size.

    References
    ----------
    McCarthy DJ, Smyth GK (2009). Bioinformatics 25: 765-771. R: limma::treat.
    """
    size = np.abs(value)
    with np.errstate(all="ignore"):
        upper, lower = (special.stdtr(df, -(size - side * least) / se) for side in (1, -1))
    return np.where(se > 0, np.minimum(upper + lower, 1), np.where(np.isfinite(value), size <= least, np.nan))


def qvalues(pvalues):
    """Benjamini and Hochberg's q-values of all tests together; NaN where there was none."""
    q = np.full(len(pvalues), np.nan)
    tested = np.flatnonzero(np.isfinite(pvalues))
    order = tested[np.argsort(-pvalues[tested], kind="stable")]
    rank = np.arange(len(order), 0, -1)
    q[order] = np.minimum.accumulate(np.minimum(pvalues[order] * len(order) / rank, 1))
    return q
