"""Which effects of so many are larger than a smallest one that counts."""

import numpy as np
from scipy import special

FALSE_DISCOVERY_RATE = 0.05
SORTED = 500_000  # p-values that are sorted at a time


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
    """Benjamini and Hochberg's q-values of all tests together; NaN where there was none.

    Sorted some at a time, the largest first, so that millions neither take much memory nor make a signal wait.
    """
    q, part, n_tests = _parts(pvalues)
    rank, least = n_tests, 1.0
    for number in range(part.max(initial=-1), -1, -1):
        here = np.flatnonzero(part == number)
        order = here[np.argsort(-pvalues[here])]
        of_part = pvalues[order] * n_tests / np.arange(rank, rank - len(order), -1)
        q[order] = np.minimum.accumulate(np.minimum(of_part, least))
        rank, least = rank - len(order), q[order[-1]] if len(order) else least
    return q


def _parts(pvalues):
    """NaN for each test; its part, of some `SORTED` tests with larger p-values than the last, or -1; how many."""
    q, part, n_tests = np.full(len(pvalues), np.nan), np.empty(len(pvalues), np.int16), 0
    sample = pvalues[::max(1, len(pvalues) // SORTED)]
    sample = np.sort(sample[np.isfinite(sample)])
    edges = sample[::max(1, len(sample) * SORTED // max(1, len(pvalues)))][1:]
    for first in range(0, len(pvalues), SORTED):
        some = slice(first, first + SORTED)
        tested = np.isfinite(pvalues[some])
        part[some] = np.where(tested, np.searchsorted(edges, pvalues[some], "right"), -1)
        n_tests += int(tested.sum())
    return q, part, n_tests
