"""MM-regression of a batch of MR problems: their numbers into the kernels of `mm` and back."""

import numpy as np

from .. import notes
from ..kernels import mm

REASONS = {mm.EXACT: notes.ON_ONE_LINE, mm.NOT_CONVERGED: notes.NOT_CONVERGED, mm.SINGULAR: notes.NO_ROBUST_VARIANCE}


def mm_regression(problems, x, y, w, smallest, intercept, where=True):
    """MM-estimates of the lines y = intercept + estimate x, as R's lmrob gives them.

    Parameters
    ----------
    problems : Problems
        Those that have no such estimate are noted.
    x, y, w : (..., V) float64
        Points, and weights relative to 1 / smallest^2; 0 where there is no point.
    smallest : (...) float64
    intercept : bool
        Whether the lines have one.
    where : (...) bool
        Which problems to fit; the others' numbers are NaN.

    Returns
    -------
    estimate, se, intercept, intercept_se : (...) float64
        Standard errors from the covariance .vcov.avar1; `intercept` is NaN for lines through the origin.
    scale : (...) float64
        The S-estimate's scale of the standardized residuals.
    q : (...) float64
        Sum of their squares.
    """
    shape = problems.note.shape
    todo = (problems.note == "") & where
    numbers = np.full((6, *shape), np.nan)
    if todo.any():
        x, y, w = (np.broadcast_to(values, (*shape, w.shape[-1]))[todo] for values in (x, y, w))
        smallest = np.broadcast_to(smallest, shape)[todo]
        root = np.sqrt(w)
        x_unit, y_unit = (np.max(np.abs(values), -1, where=w > 0, initial=0.0) for values in (x, y))
        x_unit, y_unit = np.where(x_unit > 0, x_unit, 1.0), np.where(y_unit > 0, y_unit, 1.0)
        fit = mm.fit(x / x_unit[:, None], x_unit, y / y_unit[:, None], root, intercept)
        slope_unit = y_unit / x_unit
        numbers[:, todo] = (fit["slope"] * slope_unit, fit["slope_se"] * slope_unit, fit["intercept"] * y_unit,
                            fit["intercept_se"] * y_unit, fit["scale"] * y_unit / smallest,
                            fit["rss"] * (y_unit / smallest) ** 2)
        status = np.full(shape, mm.SOLVED)
        status[todo] = fit["status"]
        for code, reason in REASONS.items():
            problems.refuse(status == code, reason)
    return numbers
