"""Which global effects stand out among so many."""

import numpy as np

from ..errors import InputError

FALSE_DISCOVERY_RATE = 0.05


def adjusted_pvalues(pvalues, groups, method="fdr_bh"):
    """p-values corrected for the number of tests, within groups.

    Parameters
    ----------
    pvalues : (n,) array
        NaN where there was no test.
    groups : (n,) array
        Tests with the same value are corrected together: in the report, all ordered pairs of one method.
    method : str
        As in statsmodels: "fdr_bh", Benjamini and Hochberg's false discovery rate, by default.

    Returns
    -------
    (n,) float64

    Raises
    ------
    InputError
        A p-value is not between 0 and 1.

    References
    ----------
    Benjamini and Hochberg (1995), J R Stat Soc B 57; statsmodels.stats.multitest.multipletests.
    """
    # Here, since it takes a second that no other command need wait for.
    from statsmodels.stats.multitest import multipletests

    pvalues, groups = np.asarray(pvalues, np.float64), np.asarray(groups)
    tested = np.isfinite(pvalues)
    if ((pvalues[tested] < 0) | (pvalues[tested] > 1)).any():
        raise InputError("a p-value is not between 0 and 1")
    adjusted = np.full(len(pvalues), np.nan)
    for group in np.unique(groups[tested]):
        of_group = tested & (groups == group)
        adjusted[of_group] = multipletests(pvalues[of_group], method=method)[1]
    return adjusted
