"""IVW and MR-Egger by generalised least squares, for instruments whose outcome errors are correlated."""

import numpy as np

from ...errors import InputError
from ...inference import check_choice
from ...methods import METHODS
from .. import notes
from ..problems import prepare
from .regression import DISTRIBUTIONS, MODELS, egger_result, ivw_result

SMALLEST_EIGENVALUE = 1e-12  # of the correlation matrix, as a share of the largest


def ivw_correlated(bx, sx, by, sy, mask=None, *, covariance=None, by_members=None, model="default", alpha=0.05):
    """IVW for correlated instruments: generalised least squares of by on bx through the origin.

    The covariance of the outcome errors is given, or estimated from the members: their correlation matrix over the
    instruments, of rank K - 1 at most, is shrunk towards the identity by Ledoit and Wolf's share, and at least by
    1 / K, so that it can be inverted for any number of instruments. It keeps the instruments' own standard errors `sy`.

    Parameters
    ----------
    bx, sx, by, sy, mask
        As for `ivw`; `sx` is not used.
    covariance : (..., V, V) array, optional
        Of the errors of by; `sy` is then not used. What stands in rows and columns of no instrument does not matter.
    by_members : (..., K, V) array, optional
        Every member's effects on the outcome; `fit_pairs` gives them.
    model : {"default", "fixed", "random"}
    alpha : float

    Returns
    -------
    MRResult
        NaN with a note as for `ivw`, and where the covariance is singular.

    Raises
    ------
    InputError
        Neither or both of covariance and members, one of another shape, or as for `ivw`.

    References
    ----------
    Burgess S, Dudbridge F, Thompson SG (2016). Stat Med 35: 1880-1906. R: MendelianRandomization::mr_ivw with correl.
    Ledoit O, Wolf M (2004). J Multivar Anal 88: 365-411.
    """
    check_choice("model", model, MODELS)
    with np.errstate(all="ignore"):
        problems, smallest, inverse = _prepare(bx, by, sy, mask, covariance, by_members, "ivw_correlated")
        weighted = inverse(problems.bx)
        sxx = (weighted * problems.bx).sum(-1)
        estimate = (weighted * problems.by).sum(-1) / sxx
        residual = problems.by - estimate[..., None] * problems.bx
        return ivw_result(problems, estimate, sxx, (inverse(residual) * residual).sum(-1), smallest, model, alpha)


def egger_correlated(bx, sx, by, sy, mask=None, *, covariance=None, by_members=None, distribution="normal",
                     alpha=0.05):
    """MR-Egger for correlated instruments: generalised least squares of by on bx with an intercept.

    Instruments, and with them their errors, are turned so that bx > 0. The covariance is that of `ivw_correlated`.

    Parameters
    ----------
    bx, sx, by, sy, mask, covariance, by_members
        As for `ivw_correlated`.
    distribution : {"normal", "t"}
        As for `egger`.
    alpha : float

    Returns
    -------
    MRResult
        NaN with a note as for `egger`, and where the covariance is singular.

    Raises
    ------
    InputError
        As for `ivw_correlated` and `egger`.

    References
    ----------
    R: MendelianRandomization::mr_egger with correl.
    """
    check_choice("distribution", distribution, DISTRIBUTIONS)
    with np.errstate(all="ignore"):
        problems, smallest, inverse = _prepare(bx, by, sy, mask, covariance, by_members, "egger_correlated")
        # turning an instrument turns its row and column of the covariance: the same as an intercept of its sign
        one = np.where(problems.mask, np.where(problems.bx < 0, -1.0, 1.0), 0.0)
        weighted = inverse(one)
        total = (weighted * one).sum(-1)
        mean_x, mean_y = ((weighted * b).sum(-1) / total for b in (problems.bx, problems.by))
        x, y = problems.bx - mean_x[..., None] * one, problems.by - mean_y[..., None] * one
        weighted = inverse(x)
        sxx = (weighted * x).sum(-1)
        estimate = (weighted * y).sum(-1) / sxx
        residual = y - estimate[..., None] * x
        rss = (inverse(residual) * residual).sum(-1)
        return egger_result(problems, estimate, total, mean_x, mean_y, sxx, rss, smallest, distribution, alpha)


def _prepare(bx, by, sy, mask, covariance, by_members, method):
    """Problems, the smallest standard error (...), and the product with the inverse covariance in its square's unit."""
    problems = prepare(bx, by, mask, METHODS[method].fewest)
    if problems.bx.size and (covariance is None) == (by_members is None):
        raise InputError("correlated instruments need either the covariance of their outcome errors or by_members")
    if covariance is not None:
        covariance = _shaped("covariance", covariance, problems, problems.bx.shape[-1])
        sy = np.sqrt(np.diagonal(covariance, axis1=-2, axis2=-1))
    s, smallest = problems.standard_errors(sy)
    if covariance is not None:
        solve = _solve_dense(problems, covariance / (s[..., None] * s[..., None, :]))
    elif by_members is not None:
        members = _shaped("by_members", by_members, problems, None)
        solve = _solve_low_rank(*shrunk_correlation(members, problems.mask))
    else:
        solve = np.copy
    scale = np.where(problems.mask, smallest / s, 0.0)
    return problems, np.broadcast_to(smallest[..., 0], problems.n.shape), lambda v: scale * solve(scale * v)


def _shaped(name, values, problems, rows):
    values = np.asarray(values, dtype=np.float64)
    n = problems.bx.shape[-1]
    if values.ndim < 2 or values.shape[-1] != n or (rows is not None and values.shape[-2] != rows):
        raise InputError(f"{name} has the shape {values.shape}, and there are {n} instruments")
    return values


def _solve_dense(problems, correlation):
    """Product with the inverse of (..., V, V) correlations; singular ones are noted."""
    both = problems.mask[..., None] & problems.mask[..., None, :]
    correlation = np.where(both & np.isfinite(correlation), correlation, np.where(both, 0, np.eye(both.shape[-1])))
    values, vectors = np.linalg.eigh(correlation)
    small = values[..., :1] <= SMALLEST_EIGENVALUE * values[..., -1:]
    problems.refuse(np.broadcast_to(small[..., 0], problems.n.shape), notes.SINGULAR)
    values = np.where(small, 1.0, values)

    def solve(v):
        return (vectors @ ((np.swapaxes(vectors, -1, -2) @ v[..., None]) / values[..., None]))[..., 0]

    return solve


def shrunk_correlation(members, mask):
    """Correlation matrix of the instruments' errors over members, shrunk: diag(diagonal) + factor factor^T.

    Parameters
    ----------
    members : (..., K, V) array
        Every member's effects.
    mask : (..., V) bool

    Returns
    -------
    diagonal : (..., V) float64
    factor : (..., V, K) float64
        Zero where there is no instrument.

    References
    ----------
    Ledoit O, Wolf M (2004), with the target's scale known: standardised errors have variance 1.
    """
    k = members.shape[-2]
    errors = np.where(mask[..., None, :], members - members.mean(-2, keepdims=True), 0.0)
    sd = np.sqrt((errors ** 2).mean(-2, keepdims=True))
    z = np.divide(errors, sd, out=np.zeros(np.broadcast_shapes(errors.shape, sd.shape)), where=sd > 0)
    gram = z @ np.swapaxes(z, -1, -2)
    p = np.maximum(mask.sum(-1), 1)
    squares = (gram ** 2).sum((-1, -2)) / k ** 2
    distance = squares - (np.trace(gram, axis1=-2, axis2=-1) / k) ** 2 / p
    error = ((np.diagonal(gram, axis1=-2, axis2=-1) ** 2).sum(-1) - k * squares) / k ** 2
    share = np.divide(error, distance, out=np.ones(error.shape), where=distance > 1e-12 * squares)
    share = np.clip(share, 1 / k, 1.0)[..., None]
    varies = (sd > 0)[..., 0, :]
    return np.where(varies & mask, share, 1.0), np.sqrt((1 - share[..., None]) / k) * np.swapaxes(z, -1, -2)


def _solve_low_rank(diagonal, factor):
    """Product with the inverse of diag(diagonal) + factor factor^T, by Woodbury's identity: only K by K is inverted."""
    transposed = np.swapaxes(factor, -1, -2)
    inner = np.eye(factor.shape[-1]) + transposed @ (factor / diagonal[..., None])

    def solve(v):
        scaled = v / diagonal
        return scaled - (factor @ np.linalg.solve(inner, transposed @ scaled[..., None]))[..., 0] / diagonal

    return solve
