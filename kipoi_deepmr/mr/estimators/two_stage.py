"""Two-stage least squares from the members' own predictions."""

import numpy as np

from ...errors import InputError
from ...methods import METHODS
from .. import notes
from ..problems import finish, prepare


def two_stage_least_squares(bx, sx, by, sy, mask=None, *, bx_members=None, by_members=None, alpha=0.05):
    """Two-stage least squares over predicted individuals, with the mutants' genotypes as instruments.

    The individuals are, for each of K members, the reference and its n instruments' sequences; exposure and outcome are
    what that member predicts for them, minus what it predicts for the reference. The regressions have an intercept for
    each member. The first stage then gives every member the ensemble's mean exposure of a genotype, and the second is
    the ordinary regression of by on bx over the n instruments and the reference, which sits at (0, 0), with an
    intercept. The residuals by - theta bx are taken member by member, so that errors which an instrument's exposure and
    outcome share do not count twice; Kn - 1 degrees of freedom are left. Interval and p-value are normal. `q` is
    Sargan's statistic of overidentification, with n - 1 degrees of freedom.

    Parameters
    ----------
    bx, sx, by, sy, mask
        As for the estimators; `sx` and `sy` are not used.
    bx_members, by_members : (..., K, V) arrays
        Every member's effects on exposure and outcome; `fit_pairs` gives them.
    alpha : float

    Returns
    -------
    MRResult
        Arrays of shape (...); NaN with a note without instruments or where the exposure does not vary.

    Raises
    ------
    InputError
        No members, or arrays of another shape.

    References
    ----------
    Wooldridge JM (2010). Econometric Analysis of Cross Section and Panel Data, 2nd ed., chapter 5. Sargan JD (1958).
    Econometrica 26: 393-415.
    """
    with np.errstate(all="ignore"):
        problems = prepare(bx, by, mask, METHODS["two_stage_least_squares"].fewest)
        individuals = problems.n + 1.0
        sxx = _dot(problems.bx, problems.bx, individuals)
        problems.refuse(~(sxx > 0), notes.NO_EXPOSURE)
        estimate = _dot(problems.bx, problems.by, individuals) / sxx
        if not problems.bx.size:
            return finish(problems, alpha, estimate, estimate)
        x, y = (_members(values, problems) for values in (bx_members, by_members))
        k = x.shape[-2]
        residual = y - estimate[..., None, None] * x
        variance = _dot(residual, residual, individuals[..., None]).sum(-1) / (k * problems.n - 1.0)
        mean, q_df = residual.mean(-2), problems.n - 1.0
        q = np.where(q_df > 0, k * _dot(mean, mean, individuals) / variance, np.nan)
        return finish(problems, alpha, estimate, np.sqrt(variance / (k * sxx)), q=q, q_df=q_df)


def _dot(a, b, individuals):
    """Sum of products about the mean over the individuals, the reference's 0 among them."""
    return (a * b).sum(-1) - a.sum(-1) * b.sum(-1) / individuals


def _members(values, problems):
    if values is None:
        raise InputError("two_stage_least_squares needs every member's effects: bx_members and by_members")
    values = np.asarray(values, dtype=np.float64)
    if values.ndim < 2 or values.shape[-1] != problems.bx.shape[-1]:
        raise InputError(f"members' effects have the shape {values.shape}, and there are {problems.bx.shape[-1]} "
                         "instruments")
    return np.where(problems.mask[..., None, :], values, 0.0)
