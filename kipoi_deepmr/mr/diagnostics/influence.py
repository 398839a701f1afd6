"""How much the estimate hangs on single instruments: leave-one-out."""

from typing import NamedTuple

import numpy as np

from ..estimators.regression import RANDOM_FROM
from ..problems import prepare


class LeaveOneOut(NamedTuple):
    """IVW without each instrument: arrays (..., V), NaN where there is no instrument to leave out.

    Attributes
    ----------
    estimate, se
        Of the fit without that instrument.
    """

    estimate: np.ndarray
    se: np.ndarray


def leave_one_out(bx, sx, by, sy, mask=None):
    """IVW estimates without each instrument in turn, all from one fit.

    With hat values h = w bx^2 / sum w bx^2, leaving out instrument i changes the estimate by
    -w_i bx_i r_i / (sum w bx^2 (1 - h_i)) and the residual sum of squares by -w_i r_i^2 / (1 - h_i).

    Parameters
    ----------
    bx, sx, by, sy, mask
        As for the estimators; `sx` is not used.

    Returns
    -------
    LeaveOneOut
        NaN for fewer than 2 instruments, or where IVW has no answer.

    References
    ----------
    R: TwoSampleMR::mr_leaveoneout. The model is that of `ivw`'s default: fixed for fewer than 4 remaining instruments.
    """
    with np.errstate(all="ignore"):
        problems = prepare(bx, by, mask, minimum=2)
        s, smallest = problems.standard_errors(sy)
        w = np.where(problems.mask, (smallest / s) ** 2, 0.0)
        x, y = problems.bx, problems.by
        sxx = (w * x * x).sum(-1, keepdims=True)
        estimate = (w * x * y).sum(-1, keepdims=True) / sxx
        residual = y - estimate * x
        left = 1 - w * x * x / sxx
        rss = (w * residual ** 2).sum(-1, keepdims=True)
        without = estimate - w * x * residual / (sxx * left)
        df = problems.n[..., None] - 2.0
        sigma = np.sqrt(np.maximum(rss - w * residual ** 2 / left, 0.0) / df) / smallest
        factor = np.where(problems.n[..., None] - 1 >= RANDOM_FROM, np.maximum(sigma, 1.0), 1.0)
        se = factor * smallest / np.sqrt(sxx * left)
        known = problems.mask & (problems.note == "")[..., None] & (left > 0)
        return LeaveOneOut(np.where(known, without, np.nan), np.where(known, se, np.nan))
