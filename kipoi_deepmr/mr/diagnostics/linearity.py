"""Is the outcome's effect proportional to the exposure's? A quadratic term says where it is not."""

from typing import NamedTuple

import numpy as np

from ...inference import two_sided_pvalue
from ..problems import prepare


class Linearity(NamedTuple):
    """Arrays (...)

    Attributes
    ----------
    quadratic, se, pvalue
        Coefficient of bx^2, its standard error, and its p-value from t with n - 2 degrees of freedom.
    """

    quadratic: np.ndarray
    se: np.ndarray
    pvalue: np.ndarray


def linearity(bx, sx, by, sy, mask=None):
    """Test of the quadratic term in by = theta bx + gamma bx^2, weights 1 / sy^2.

    The sign of an effect matters here, as it does in a mutant minus its reference: gamma is not 0 where mutants that
    raise the exposure do more, or less, than those that lower it. The standard error is at least the one of the fixed
    model. Quadratic local terms are what a saturating outcome leaves.

    Parameters
    ----------
    bx, sx, by, sy, mask
        As for the estimators; `sx` is not used.

    Returns
    -------
    Linearity
        NaN for fewer than 3 instruments, impossible numbers, or exposure effects of one size.
    """
    with np.errstate(all="ignore"):
        problems = prepare(bx, by, mask, minimum=3)
        s, smallest = problems.standard_errors(sy)
        w = np.where(problems.mask, (smallest / s) ** 2, 0.0)
        unit = np.abs(problems.bx).max(-1, initial=0.0, keepdims=True)
        x = problems.bx / unit
        wx = w * x
        sxx = (wx * x).sum(-1, keepdims=True)
        # the part of x^2 that x does not explain
        square = x * x - (wx * x * x).sum(-1, keepdims=True) / sxx * x
        total = (w * square ** 2).sum(-1)
        known = (problems.note == "") & (total > 1e-14 * (wx * x ** 3).sum(-1))
        residual = problems.by - (wx * problems.by).sum(-1, keepdims=True) / sxx * x
        quadratic = (w * square * residual).sum(-1) / total
        df = problems.n - 2.0
        rss = (w * (residual - quadratic[..., None] * square) ** 2).sum(-1)
        se = np.maximum(np.sqrt(rss / df) / smallest[..., 0], 1.0) * smallest[..., 0] / np.sqrt(total)
        unit = unit[..., 0] ** 2
        numbers = quadratic / unit, se / unit, two_sided_pvalue(quadratic, se, np.maximum(df, 1.0))
        return Linearity(*(np.where(known, values, np.nan) for values in numbers))
