"""Maximum likelihood, with errors in both the exposure and the outcome effects."""

import numpy as np

from ...errors import InputError
from ...inference import check_choice
from ...methods import METHODS
from .. import notes
from ..kernels.profile import L2, lowest_minima, neighbourhoods
from ..kernels.rows import in_threads, rows_of
from ..problems import finish, prepare
from .regression import MODELS, RANDOM_FROM


def max_likelihood(bx, sx, by, sy, mask=None, *, model="default", psi=0.0, alpha=0.05):
    """Maximum likelihood estimate: the true exposure effects of the instruments are parameters too.

    The optimum is the true one. R's search (Nelder-Mead over n + 1 parameters) often stops before it: 0.376 instead of
    0.580 in the body mass and blood pressure data of mr.raps. Without psi, the estimate is that of `raps` with
    overdispersion=False. The standard error comes from the curvature of the likelihood; under the random model it is
    multiplied by max(sqrt(Q / (n - 1)), 1), Q being twice the negative log-likelihood. Interval and p-value are
    normal.

    Parameters
    ----------
    bx, sx, by, sy : arrays of shape (..., V)
        Effects and standard errors on exposure and outcome, for V variants; broadcast against each other.
    mask : (..., V) bool, optional
        Which entries are instruments; what the others hold does not matter. All by default.
    model : {"default", "fixed", "random"}
        The default is fixed for fewer than 4 instruments, else random.
    psi : float
        Correlation of an instrument's two errors.
    alpha : float
        The interval covers 1 - alpha.

    Returns
    -------
    MRResult
        Arrays of shape (...); NaN with a note where there is no instrument, a standard error is not positive and
        finite, all exposure effects are 0, psi is 1 or -1, or the likelihood has no maximum at a finite effect.

    Raises
    ------
    InputError
        An unknown model, psi outside [-1, 1], or alpha outside (0, 1).

    References
    ----------
    Burgess S, Butterworth A, Thompson SG (2013). Genet Epidemiol 37: 658-665. R: MendelianRandomization::mr_maxlik,
    TwoSampleMR::mr_two_sample_ml.
    """
    check_choice("model", model, MODELS)
    if not -1 <= psi <= 1:
        raise InputError(f"psi is a correlation, between -1 and 1, not {psi!r}")
    with np.errstate(all="ignore"):
        problems = prepare(bx, by, mask, METHODS["max_likelihood"].fewest)
        rows = rows_of(problems, sx, sy)
        problems.refuse(np.full(problems.n.shape, abs(psi) == 1), notes.DEGENERATE)
        beta = np.full(rows.n.size, np.nan)
        in_threads(lowest_minima, (rows.data, neighbourhoods(rows), rows.n, beta), (float(psi), L2))
        problems.refuse(rows.to_shape(np.isnan(beta)), notes.NO_MINIMUM)
        information, q = _curvature(beta[:, None], *(rows.data[:, i] for i in range(4)), psi, rows.mask)
        q_df, q = problems.n - 1.0, rows.to_shape(q)
        random = (q_df > 0) & ((problems.n >= RANDOM_FROM) if model == "default" else model == "random")
        se = rows.to_effect(1 / np.sqrt(information)) * np.where(random, np.maximum(np.sqrt(q / q_df), 1.0), 1.0)
        return finish(problems, alpha, rows.to_effect(beta), se, q=np.where(q_df > 0, q, np.nan), q_df=q_df)


def _curvature(beta, bx, sx, by, sy, psi, mask):
    """Second derivative in beta of the profiled negative log-likelihood, and twice its value; sums over instruments."""
    rest = 1 - psi ** 2
    xx, xy, yy = 1 / (rest * sx ** 2), -psi / (rest * sx * sy), 1 / (rest * sy ** 2)
    true_true = xx + 2 * xy * beta + yy * beta ** 2
    true = (xx * bx + xy * (by + beta * bx) + yy * beta * by) / true_true
    dx, dy = bx - true, by - beta * true
    true_beta = true * (xy + yy * beta) - xy * dx - yy * dy
    curvature = yy * true ** 2 - true_beta ** 2 / true_true
    q = (by - beta * bx) ** 2 / ((sy - psi * beta * sx) ** 2 + rest * (beta * sx) ** 2)
    return np.where(mask, curvature, 0.0).sum(-1), np.where(mask, q, 0.0).sum(-1)
