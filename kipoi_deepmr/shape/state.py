"""Whether an effect depends on the state of the locus: meta-regression of local slopes on levels and distances."""

from typing import NamedTuple

import numpy as np

from ..inference import interval, two_sided_pvalue
from .curve import slopes_of_loci, weights_of_loci
from .spread import spread_of
from .words import UNKNOWN, dependence_of

LEAST_LOCI = 5
LOW, HIGH = 0.1, 0.9  # quantiles over loci at which effects are compared


class Covariate(NamedTuple):
    """What differs between loci.

    Attributes
    ----------
    name : str
    values : (fold, locus) float64
        Of the loci of `Folds`, as the members that are not left out have them; NaN where not known.
    on_other : bool
        Whether it is the level of a mark that is neither exposure nor outcome.
    """

    name: str
    values: np.ndarray
    on_other: bool = False


class Dependence(NamedTuple):
    """How an effect changes with one covariate: a row of the table of states."""

    covariate: str
    n_loci: int
    change: float
    change_se: float
    change_ci_low: float
    change_ci_high: float
    pvalue: float
    low: float
    effect_low: float
    effect_low_ci_low: float
    effect_low_ci_high: float
    high: float
    effect_high: float
    effect_high_ci_low: float
    effect_high_ci_high: float
    pvalue_adjusted: float
    verdict: str
    note: str


def level(name, reference, folds, on_other):
    """The level of a mark at the reference, as the members that are not left out predict it.

    An error of a member's reference is part of its effects, too: its own level would go with its own slope.

    Parameters
    ----------
    name : str
    reference : (locus, member) array
        Of all loci of the Dataset.
    folds : Folds
    on_other : bool

    Returns
    -------
    Covariate
    """
    known = np.asarray(reference, np.float64)[folds.loci]
    others = (known.sum(1, keepdims=True) - known) / (known.shape[1] - 1)
    return Covariate(name, others.T, on_other)


def levels(effects, marks, pair, folds):
    """The levels of some marks as covariates of a pair's effect.

    Parameters
    ----------
    effects : xarray.Dataset
    marks : list of int
        Numbers of the marks.
    pair : (exposure, outcome)
        Numbers of the marks whose effect it is.
    folds : Folds

    Returns
    -------
    list of Covariate
    """
    names, reference = effects["mark"].values, effects["reference"].values
    return [level(str(names[mark]), reference[..., mark], folds, mark not in pair) for mark in marks]


def dependences(folds, covariates, min_slope=0.0, alpha=0.05):
    """How the slopes of loci change with each covariate.

    Parameters
    ----------
    folds : Folds
    covariates : list of Covariate
    min_slope : float
        The least difference between slopes that counts.
    alpha : float

    Returns
    -------
    list of Dependence
        P-values are adjusted for the number of covariates by Holm's method.
    """
    slope, weights = slopes_of_loci(folds)[0], weights_of_loci(folds)
    rows = [_regression(slope, weights, covariate, alpha) for covariate in covariates]
    adjusted = _holm(np.array([row.pvalue for row in rows]))
    return [row._replace(pvalue_adjusted=p, verdict=dependence_of(p, row.effect_low, row.effect_high, each.on_other,
                                                                  min_slope))
            for row, p, each in zip(rows, adjusted, covariates, strict=True)]


def _regression(slope, weights, covariate, alpha):
    known = np.isfinite(covariate.values).all(0) & np.isfinite(slope).all(0)
    values, slope, weights = covariate.values[:, known], slope[:, known], weights[known]
    n = int(known.sum())
    if n < LEAST_LOCI:
        return _nothing(covariate.name, n, f"fewer than {LEAST_LOCI} loci")
    mean = values.mean(0)
    if not np.ptp(mean) > 1e-9 * np.abs(mean).max():
        return _nothing(covariate.name, n, "the same at every locus")
    centre, scale = mean.mean(), mean.std()
    z = (values - centre) / scale
    without = np.array([_lines(z[:, kept], slope[:, kept], weights[kept]) for kept in ~np.eye(n, dtype=bool)])
    members = _lines(z, slope, weights)
    estimate = members.mean(0)
    errors = spread_of(without.mean(1), members, members[:, None] - np.swapaxes(without, 0, 1))
    ends = np.quantile(mean, [LOW, HIGH])
    contrasts = np.array([[0.0, 1.0], *([1.0, (end - centre) / scale] for end in ends)])
    se, df = errors.of(contrasts)
    found, (low, high) = contrasts @ estimate, interval(contrasts @ estimate, se, alpha, df)
    found[0], se[0], low[0], high[0] = (each[0] / scale for each in (found, se, low, high))
    return Dependence(covariate.name, n, found[0], se[0], low[0], high[0],
                      float(two_sided_pvalue(found[0], se[0], df[0])), ends[0], found[1], low[1], high[1], ends[1],
                      found[2], low[2], high[2], np.nan, "", "")


def _lines(z, slope, weights):
    """Weighted regressions (fold, locus), one for each fold: intercept and slope, (fold, 2)."""
    share = weights / weights.sum()
    centre, mean = (z * share).sum(1, keepdims=True), (slope * share).sum(1)
    off = z - centre
    change = (share * off * slope).sum(1) / (share * off ** 2).sum(1)
    return np.stack([mean - change * centre[:, 0], change], 1)


def _holm(pvalues):
    """P-values adjusted by Holm's method; NaN where there was no test."""
    adjusted = np.full(len(pvalues), np.nan)
    tested = np.flatnonzero(np.isfinite(pvalues))
    order = tested[np.argsort(pvalues[tested], kind="stable")]
    adjusted[order] = np.minimum(np.maximum.accumulate(pvalues[order] * np.arange(len(order), 0, -1)), 1)
    return adjusted


def _nothing(name, n_loci, note):
    return Dependence(name, n_loci, *[np.nan] * 14, UNKNOWN, note)
