"""The error that all loci share: each member's own global effect, and intervals that take in how these differ."""

import numpy as np

from ..errors import InputError
from ..inference import added, many_quantiles, two_sided_pvalue
from .model import is_large
from .pooled import prediction_df, prediction_quantile

OF_MEMBER = r"^estimate_\d+$"  # columns of the local table with the estimates from each member's own effects


def members_global_effects(estimates, ses, tau2):
    """Every member's global effect: the mean of its local effects by the weights of the meta-analysis.

    Parameters
    ----------
    estimates : iterable of (locus, analysis) arrays
        Of one member after the other.
    ses : (locus, analysis) array
        Standard error of the ensemble's estimate, positive and finite; NaN where a locus is not used.
    tau2 : (analysis,) array
        Variance between loci; NaN, of a single locus, counts as 0.

    Returns
    -------
    (analysis, K) float64
        NaN for an analysis without loci. None without members.

    Raises
    ------
    InputError
        An estimate is not a finite number.
    """
    mean_of = (_compiled_means if is_large(ses.size) else _means)(ses, np.nan_to_num(tau2))
    found = []
    for number, own in enumerate(estimates, 1):
        mean = mean_of(own)
        lost = ~np.isfinite(mean)
        if lost.any():
            bad = own[:, lost][~(np.isfinite(own[:, lost]) | np.isnan(ses[:, lost]))]
            if len(bad):
                raise InputError("a locus of the local table has an estimate and a standard error, but its "
                                 f"estimate_{number} is {bad[0]}")
        found.append(mean)
    return np.stack(found, axis=1) if found else None


def _means(ses, tau2):
    """A function that gives the weighted means (analysis,) of estimates (locus, analysis)."""
    error = np.hypot(ses, np.sqrt(tau2))
    smallest = np.fmin.reduce(error, axis=0, initial=np.inf)
    weight = (smallest / error) ** 2
    unused = np.isnan(error)
    weight[unused] = 0.0
    total = weight.sum(0)

    def means(own):
        with np.errstate(invalid="ignore"):
            return (np.where(unused, 0.0, own) * weight).sum(0) / total

    return means


def _compiled_means(ses, tau2):
    """As `_means`, by compiled loops."""
    from .loops import means_of_rows, weights_of_studies  # which imports numba

    weights = weights_of_studies(np.ascontiguousarray(ses.T), tau2)
    return lambda own: means_of_rows(np.ascontiguousarray(own.T), weights)


def with_members(table, effects, ci, prediction, alpha):
    """Global effects with the members' spread added to their standard errors and intervals.

    Parameters
    ----------
    table : dict of str to array
        n_loci, estimate, se, ci_low, ci_high, pvalue, pi_low and pi_high of meta-analyses, an array (n,) each.
    effects : (n, K) array
        As `members_global_effects` gives them.
    ci, prediction : str
        What the intervals of the table are; see `random_effects`.
    alpha : float

    Returns
    -------
    dict of str to array
        With se_loci, the standard error before, and se_members.
    """
    k, df = table["n_loci"].astype(np.float64), effects.shape[1] - 1.0
    estimate, se = table["estimate"], table["se"]
    of_new = prediction_df(prediction, k)
    with np.errstate(all="ignore"):
        spread = effects.std(axis=1, ddof=1)
        both, both_df = added(se, np.where((ci == "wald") | (k <= 1), np.inf, k - 1), spread, df)
        half = many_quantiles(alpha, both_df) * both
        new = (table["pi_high"] - estimate) / prediction_quantile(prediction, k, alpha)
        new, new_df = added(new, of_new, spread, df)
        new_half = many_quantiles(alpha, new_df) * new
        return {**table, "se": both, "ci_low": estimate - half, "ci_high": estimate + half,
                "pvalue": two_sided_pvalue(estimate, both, both_df), "pi_low": estimate - new_half,
                "pi_high": estimate + new_half, "se_loci": se, "se_members": spread}
