"""Estimators from the instruments' Wald ratios."""

import numpy as np

from ...methods import METHODS
from .. import notes
from ..problems import finish, prepare


def wald_mean(bx, sx, by, sy, mask=None, *, alpha=0.05):
    """Mean of the Wald ratios by / bx: the baseline of the DeepMR paper.

    Its standard error is the standard deviation (ddof = 1) of the ratios over the instruments, as in the paper: the
    spread of one ratio, not the standard error of their mean. Interval and p-value are normal. `sx` and `sy` are not
    used; heterogeneity is not defined.

    Parameters
    ----------
    bx, sx, by, sy : arrays of shape (..., V)
        Effects and standard errors on exposure and outcome, for V variants; broadcast against each other.
    mask : (..., V) bool, optional
        Which entries are instruments; what the others hold does not matter. All by default.
    alpha : float
        The interval covers 1 - alpha.

    Returns
    -------
    MRResult
        Arrays of shape (...); NaN with a note for fewer than 2 instruments, an exposure effect of 0 or ratios that
        are all equal.

    Raises
    ------
    InputError
        alpha is not between 0 and 1.

    References
    ----------
    Malina S, Cizin D, Knowles DA (2022). Deep Mendelian randomization. PLoS Comput Biol 18(10): e1009880.
    """
    with np.errstate(all="ignore"):
        problems = prepare(bx, by, mask, METHODS["wald_mean"].fewest)
        problems.refuse(((problems.bx == 0) & problems.mask).any(-1), notes.ZERO_EXPOSURE)
        ratios = problems.by / np.where(problems.mask, problems.bx, 1.0)
        mean = ratios.sum(-1) / problems.n
        deviations = np.where(problems.mask, ratios - mean[..., None], 0.0)
        return ratio_result(problems, mean, (deviations ** 2).sum(-1), alpha)


def ratio_result(problems, mean, squares, alpha=0.05):
    """The mean ratio from sums of shape (...): the mean, and the sum of squared deviations from it."""
    sd = np.sqrt(squares / (problems.n - 1))
    rounding = 4 * np.finfo(np.float64).eps * np.abs(mean)
    problems.refuse(sd <= rounding, notes.EQUAL_RATIOS)
    return finish(problems, alpha, mean, sd)
