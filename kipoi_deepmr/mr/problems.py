"""A batch of MR problems: numbers of the instruments, and why a problem cannot be solved.

All estimators start with `prepare` and end with `finish`; between them they need not care about padding or bad input.
"""

from dataclasses import dataclass, fields

import numpy as np

from ..inference import check_alpha, chi2_pvalue, interval, two_sided_pvalue
from . import notes
from .result import MRResult


@dataclass(frozen=True)
class Problems:
    """Problems of shape (...), each with up to V instruments.

    Attributes
    ----------
    bx, by : (..., V) float64
        Effects on exposure and outcome; 0 where `mask` is False. `bx` may keep axes of length 1. None, with the mask,
        where a result is made from sums.
    mask : (..., V) bool
        Which entries are instruments.
    n : (...) int
        How many instruments each problem has.
    note : (...) object
        Why a problem cannot be solved; empty where nothing is wrong so far.
    """

    bx: np.ndarray
    by: np.ndarray
    mask: np.ndarray
    n: np.ndarray
    note: np.ndarray

    def refuse(self, where, reason):
        """Note a reason for the problems in which `where` (...) holds, unless they have one already."""
        if where.any():
            self.note[where & (self.note == "")] = reason

    def need(self, minimum):
        """Note the problems with fewer instruments than the estimator needs."""
        for few in range(minimum):
            self.refuse(self.n == few, notes.too_few(few, minimum))

    def standard_errors(self, values):
        """Standard errors with 1 in place of those of masked-out entries; impossible ones are noted.

        Parameters
        ----------
        values : (..., V) array

        Returns
        -------
        values : (..., V) float64
        smallest : (..., 1) float64
        """
        values = np.where(self.mask, values, 1.0)
        smallest, largest = values.min(-1, initial=np.inf), values.max(-1, initial=-np.inf)
        if not ((smallest > 0) & (largest < np.inf)).all():
            self.refuse(np.isnan(smallest) | (np.isinf(values) & self.mask).any(-1), notes.SE_NOT_FINITE)
            self.refuse(smallest < 0, notes.SE_NEGATIVE)
            self.refuse(smallest == 0, notes.SE_ZERO)
        return values, smallest[..., None]


def prepare(bx, by, mask, minimum):
    """Problems of broadcast shape (..., V), noting those with too few instruments or effects that are not numbers.

    Parameters
    ----------
    bx, by : arrays of shape (..., V)
        They may be broadcast against each other.
    mask : (..., V) bool, or None for all
    minimum : int
        How many instruments the estimator needs.
    """
    bx, by = (np.asarray(b, dtype=np.float64) for b in (bx, by))
    mask = np.asarray(True if mask is None else mask, dtype=bool)
    shape = np.broadcast_shapes(bx.shape, by.shape, mask.shape)
    mask = np.broadcast_to(mask, np.broadcast_shapes(mask.shape, shape[-1:]))
    n = np.broadcast_to(mask.sum(-1), shape[:-1]).copy()
    bx, by = np.where(mask, bx, 0.0), np.where(mask, by, 0.0)
    problems = Problems(bx, by, mask, n, np.full(shape[:-1], "", dtype=object))
    problems.need(minimum)
    problems.refuse(~(np.isfinite(bx).all(-1) & np.isfinite(by).all(-1)), notes.NOT_FINITE)
    return problems


def finish(problems, alpha, estimate, se, df=None, intercept=np.nan, intercept_se=np.nan, q=np.nan, q_df=np.nan,
           phi=np.nan, tau2=np.nan, residual_se=None):
    """The MRResult of a batch: intervals and p-values added, NaN where a problem has a note.

    Parameters
    ----------
    problems : Problems
    alpha : float or None
        None: estimates, standard errors and degrees of freedom alone, and NaN for all else; the rest takes most of the
        time.
    estimate, se, intercept, intercept_se, q, q_df, phi, tau2 : arrays of shape (...)
    df : array of shape (...), optional
        Degrees of freedom of the t distribution of estimate / se; by default it is normal.
    residual_se : array of shape (...), optional
        sqrt(q / q_df) by default.
    """
    problems.refuse(~(np.isfinite(estimate) & np.isfinite(se) & (se > 0)), notes.OUT_OF_RANGE)
    solved = problems.note == ""
    if alpha is None:
        few = {"estimate": estimate, "se": se, "df": np.inf if df is None else df}
        return MRResult(**{**unknown(problems.note.shape), **{name: np.where(solved, values, np.nan)
                                                              for name, values in few.items()}},
                        n_instruments=problems.n, note=problems.note)
    check_alpha(alpha)
    low, high = interval(estimate, se, alpha, df)
    numbers = {
        "estimate": estimate, "se": se, "ci_low": low, "ci_high": high, "pvalue": two_sided_pvalue(estimate, se, df),
        "intercept": intercept, "intercept_se": intercept_se,
        "intercept_pvalue": two_sided_pvalue(intercept, intercept_se, df),
        "residual_se": np.sqrt(q / q_df) if residual_se is None else residual_se,
        "q": q, "q_df": q_df, "q_pvalue": chi2_pvalue(q, q_df),
        "df": np.inf if df is None else df, "i2": i_squared(q, q_df), "phi": phi, "tau2": tau2,
        "i2_gx": np.nan, "f_statistic": np.nan,  # `with_strength` knows sx and sy
    }
    numbers = {name: np.where(solved, values, np.nan) for name, values in numbers.items()}
    return MRResult(**numbers, n_instruments=problems.n, note=problems.note)


def unknown(shape):
    """All numbers of an `MRResult` of a shape but n_instruments, NaN."""
    nothing = np.broadcast_to(np.nan, shape)
    return {field.name: nothing for field in fields(MRResult) if field.name not in ("n_instruments", "note")}


def i_squared(q, q_df):
    """Share of Q beyond its degrees of freedom; NaN where there are none."""
    q, q_df = np.broadcast_arrays(np.asarray(q, dtype=np.float64), q_df)
    share = np.divide(q - q_df, q, out=np.zeros(q.shape), where=q > 0)
    return np.where(q_df > 0, np.where(np.isnan(q), np.nan, np.maximum(share, 0.0)), np.nan)
