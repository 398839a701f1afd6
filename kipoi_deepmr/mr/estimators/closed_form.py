"""Estimators from sums of one regression, for all loci and ordered pairs at once.

The same numbers as those of the estimators, up to the order of sums.
"""

import inspect
from dataclasses import replace

import numpy as np

from ..kernels.sums import (
    ADDITIVE_INTERCEPT,
    ADDITIVE_ORIGIN,
    INTERCEPT,
    ORIGIN,
    RATIO,
    REASONS,
    pair_sums,
)
from ..notes import Coded
from ..problems import Problems, i_squared
from .ratio import ratio_result
from .regression import egger_result, ivw_result


def _ivw(problems, sums, **options):
    return ivw_result(problems, sums.estimate, sums.sxx, sums.rss, sums.unit, **options)


def _egger(problems, sums, **options):
    return egger_result(problems, sums.estimate, sums.total, sums.mean_x, sums.mean_y, sums.sxx, sums.rss, sums.unit,
                        **options)


def _wald_mean(problems, sums, **options):
    return ratio_result(problems, sums.estimate, sums.rss, **options)


# closed form of a method: kind of regression, result from sums, options that the result takes
CLOSED = {"origin": (ORIGIN, _ivw, {"model", "alpha"}), "line": (INTERCEPT, _egger, {"distribution", "alpha"}),
          "ratios": (RATIO, _wald_mean, {"alpha"}), "additive_origin": (ADDITIVE_ORIGIN, _ivw, {"alpha"}),
          "additive_line": (ADDITIVE_INTERCEPT, _egger, {"distribution", "alpha"})}
ADDITIVE = (ADDITIVE_ORIGIN, ADDITIVE_INTERCEPT)


def has_closed_form(estimator):
    """Whether `closed_form` gives an estimator, as `bind` gives it, with the values of its options."""
    if not estimator.method.closed_form:
        return False
    defaults = inspect.signature(estimator.function).parameters
    changed = {name for name, value in estimator.options.items() if value != defaults[name].default}
    return changed <= CLOSED[estimator.method.closed_form][2]


def closed_form(estimator, block, layout, texts=None):
    """Fits of all pairs of a block of loci: MRResult of arrays (locus, pair).

    Parameters
    ----------
    estimator : Estimator
        One that `has_closed_form`.
    block : Block
    layout : Layout
        The pairs.
    texts : list of str, optional
        Notes are numbers of these (`notes.Coded`) instead of texts.
    """
    regression, from_sums, taken = CLOSED[estimator.method.closed_form]
    whole = estimator.options.get("alpha", 0) is not None
    n, reason, sums = pair_sums(block, layout, regression, whole)
    note = np.full(n.shape, "", dtype=object) if texts is None else Coded(np.zeros(n.shape, np.int16), texts)
    problems = Problems(None, None, None, n, note)
    problems.need(estimator.method.fewest)
    for code in range(1, len(REASONS)) if reason.any() else ():
        problems.refuse(reason == code, REASONS[code])
    with np.errstate(all="ignore"):
        options = {name: value for name, value in estimator.options.items() if name in taken}
        result = from_sums(problems, sums, **options)
        if not whole:
            return result
        solved = problems.note == ""
        if regression in ADDITIVE:
            result = replace(result, tau2=np.where(solved & np.isfinite(result.q), sums.tau2, np.nan))
        return replace(result, f_statistic=np.where(solved, sums.f_statistic, np.nan),
                       i2_gx=np.where(solved, i_squared(sums.q_gx, n - 1.0), np.nan))
