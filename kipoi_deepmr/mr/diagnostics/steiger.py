"""Steiger's test of direction: do the instruments explain more of the exposure than of the outcome?"""

import numpy as np
from scipy import special


def steiger(r2_exposure, r2_outcome, n_exposure, n_outcome):
    """Direction of the effect from what the instruments explain of either mark.

    Parameters
    ----------
    r2_exposure, r2_outcome : arrays
        Shares of variance that the instruments explain.
    n_exposure, n_outcome : arrays
        Numbers of individuals.

    Returns
    -------
    right : array of bool
        The instruments explain more of the exposure.
    pvalue : array
        Two-sided, of Fisher's z of the difference of the two correlations; NaN where a share is 1 or not known.

    References
    ----------
    Hemani G, Tilling K, Davey Smith G (2017). PLoS Genet 13: e1007081. R: TwoSampleMR::mr_steiger, psych::r.test.
    """
    with np.errstate(all="ignore"):
        r_exposure, r_outcome = np.sqrt(r2_exposure), np.sqrt(r2_outcome)
        difference = np.arctanh(r_exposure) - np.arctanh(r_outcome)
        z = difference / np.sqrt(1 / (np.asarray(n_exposure) - 3.0) + 1 / (np.asarray(n_outcome) - 3.0))
        return r_exposure > r_outcome, 2 * special.ndtr(-np.abs(z))


def r2_of_statistics(b, se, n):
    """Share of variance that each instrument explains, from its effect and standard error in n individuals.

    R: TwoSampleMR::get_r_from_bsen, squared.
    """
    f = (np.asarray(b, dtype=np.float64) / se) ** 2
    return f / (n - 2.0 + f)


def r2_of_mutants(effect, instruments):
    """Share of each mark's variance over a locus and its mutants that instruments explain.

    The individuals are the reference and its V mutants; the explanation is the regression on the instruments'
    genotypes, which sets each instrument apart and leaves one mean to all other sequences.

    Parameters
    ----------
    effect : (..., V, T) array
        Mutant minus reference.
    instruments : (..., V, X) bool

    Returns
    -------
    (..., X, T) float64
        For the instruments of each of X exposures; NaN where a mark does not vary.
    """
    effect, chosen = np.asarray(effect, dtype=np.float64), np.swapaxes(instruments, -1, -2).astype(np.float64)
    known = ~np.isnan(effect).all(-1, keepdims=True)  # mutants that were predicted
    n = known.sum(-2, keepdims=True) + 1
    with np.errstate(all="ignore"):
        mean = np.where(known, effect, 0.0).sum(-2, keepdims=True) / n
        centred = np.where(known, effect - mean, 0.0)
        total = (centred ** 2).sum(-2, keepdims=True) + mean ** 2
        # others: what remains of the sum of 0 over all individuals, the reference among them
        others = (chosen @ centred) ** 2 / (n - chosen.sum(-1, keepdims=True))
        return np.clip((chosen @ centred ** 2 + others) / total, 0.0, 1.0)
