"""Estimators from sums of one regression, for all loci and ordered pairs at once.

The same numbers as those of the estimators, up to the order of sums.
"""

import inspect
from dataclasses import replace

import numpy as np

from ..kernels.sums import INTERCEPT, ORIGIN, RATIO, REASONS, pair_sums
from ..problems import Problems, i_squared
from .ratio import ratio_result
from .regression import egger_result, ivw_result


def _ivw(problems, sums, **options):
    return ivw_result(problems, sums.estimate, sums.sxx, sums.rss, sums.smallest, **options)


def _egger(problems, sums, **options):
    return egger_result(problems, sums.estimate, sums.total, sums.mean_x, sums.mean_y, sums.sxx, sums.rss,
                        sums.smallest, **options)


def _wald_mean(problems, sums, **options):
    return ratio_result(problems, sums.estimate, sums.rss, **options)


# closed form of a method: kind of regression, result from sums, options that the result takes
CLOSED = {"origin": (ORIGIN, _ivw, {"model", "alpha"}), "line": (INTERCEPT, _egger, {"distribution", "alpha"}),
          "ratios": (RATIO, _wald_mean, {"alpha"})}


def has_closed_form(estimator):
    """Whether `closed_form` gives an estimator, as `bind` gives it, with the values of its options."""
    if not estimator.method.closed_form:
        return False
    defaults = inspect.signature(estimator.function).parameters
    changed = {name for name, value in estimator.options.items() if value != defaults[name].default}
    return changed <= CLOSED[estimator.method.closed_form][2]


def closed_form(estimator, block, pairs):
    """Fits of all pairs of a block of loci: MRResult of arrays (locus, pair).

    Parameters
    ----------
    estimator : Estimator
        One that `has_closed_form`.
    block : Block
    pairs : dict of int to list of int
        Outcomes of each exposure.
    """
    regression, from_sums, taken = CLOSED[estimator.method.closed_form]
    n, reason, sums = pair_sums(block, pairs, regression)
    problems = Problems(None, None, None, n, np.full(n.shape, "", dtype=object))
    problems.need(estimator.method.fewest)
    for code in range(1, len(REASONS)):
        problems.refuse(reason == code, REASONS[code])
    with np.errstate(all="ignore"):
        options = {name: value for name, value in estimator.options.items() if name in taken}
        result = from_sums(problems, sums, **options)
        if options.get("alpha", 0) is None:
            return result
        solved = problems.note == ""
        return replace(result, f_statistic=np.where(solved, sums.f_statistic, np.nan),
                       i2_gx=np.where(solved, i_squared(sums.q_gx, n - 1.0), np.nan))
