"""MR-Lasso: instruments with direct effects are found by a penalty and left out."""

import numpy as np

from ...compiled import compiled
from ...methods import METHODS
from ..kernels.rows import in_threads, rows_of
from ..problems import finish, prepare

LAMBDAS, SMALLEST = 100, 1e-4  # glmnet's path: so many penalties, down to this share of the largest
FIRST_STOP, LEAST_GAIN, ENOUGH = 5, 1e-5, 0.999  # glmnet stops where R^2 hardly rises any more, or is so high
CHI2 = 3.841458820694124  # 95 % quantile of the chi-square distribution with 1 degree of freedom


def lasso(bx, sx, by, sy, mask=None, *, alpha=0.05):
    """MR-Lasso: every instrument may have a direct effect on the outcome, and the sum of their sizes is penalized.

    The penalty is the smallest before the residual standard error of the instruments without a direct effect jumps
    (by the heterogeneity criterion of MendelianRandomization, on the path of glmnet). The estimate, its standard error
    and Q are those of the random-effects IVW of these instruments, of which there are q_df + 1; what the choice costs
    is not in them. Interval and p-value are normal. An instrument of bx = 0 keeps its by (R sets it to 0). `sx` is not
    used.

    For a given penalty the problem is Huber's regression of by on bx, each instrument having its own constant (She and
    Owen 2011), which is solved exactly.

    Parameters
    ----------
    bx, sx, by, sy : arrays of shape (..., V)
        Effects and standard errors on exposure and outcome, for V variants; broadcast against each other.
    mask : (..., V) bool, optional
        Which entries are instruments; what the others hold does not matter. All by default.
    alpha : float
        The interval covers 1 - alpha.

    Returns
    -------
    MRResult
        Arrays of shape (...); NaN with a note for fewer than 2 instruments, a standard error that is not positive and
        finite, or exposure effects that are all 0.

    Raises
    ------
    InputError
        alpha is not between 0 and 1.

    References
    ----------
    Rees JMB, Wood AM, Dudbridge F, Burgess S (2019). PLoS One 14: e0222362. She Y, Owen AB (2011). J Am Stat Assoc
    106: 626-639. R: MendelianRandomization::mr_lasso.
    """
    with np.errstate(all="ignore"):
        problems = prepare(bx, by, mask, METHODS["lasso"].fewest)
        rows = rows_of(problems, sx, sy)
        sign_over_se = np.copysign(1.0, rows.data[:, 0]) / rows.data[:, 3]
        x, y = rows.data[:, 0] * sign_over_se, rows.data[:, 2] * sign_over_se
        found = np.empty((rows.n.size, 4))
        in_threads(_lassos, (x, y, _scales(x, rows), rows.n, found))
        estimate, sxx, squares, kept = found.T
        q, q_df = rows.to_shape(squares), rows.to_shape(kept) - 1
        se = rows.to_effect(1 / np.sqrt(sxx)) * np.maximum(np.sqrt(q / q_df), 1.0)
        return finish(problems, alpha, rows.to_effect(estimate), se, q=q, q_df=q_df)


def _scales(x, rows):
    """How hard glmnet penalizes each direct effect: n times the standard deviation of its column in the design."""
    x, n = np.where(rows.mask, x, 0.0), rows.n[:, None]
    u = x / np.sqrt((x * x).sum(-1, keepdims=True))
    variance = n * (1 - u * u) - (1 - u * u.sum(-1, keepdims=True)) ** 2
    return np.where(variance > 0, np.sqrt(variance), np.inf)


@compiled
def _lassos(x, y, scale, n, out):
    """Write estimate, sum of squares of x, residual sum of squares and number of the instruments kept to out (P, 4)."""
    valid = np.empty((LAMBDAS, x.shape[1]), np.bool_)
    for i in range(n.size):
        out[i, 0] = out[i, 1] = out[i, 2] = out[i, 3] = np.nan
        k = n[i]
        if k:
            n_lambdas = _path(x[i, :k], y[i, :k], scale[i, :k], valid)
            m = _choice(x[i, :k], y[i, :k], valid, n_lambdas)
            out[i, 0], out[i, 1], out[i, 2], out[i, 3] = _line(x[i, :k], y[i, :k], valid[m])


@compiled
def _path(x, y, scale, valid):
    """Mark the instruments without a direct effect, at each penalty of glmnet's path; return how many it has."""
    valid[:] = True
    theta, _, total, _ = _line(x, y, valid[0])
    largest, gain = 0.0, 0.0
    for j in range(x.size):
        largest = max(largest, abs(y[j] - theta * x[j]) / scale[j])
    for m in range(1, LAMBDAS):
        penalty = largest * SMALLEST ** (m / (LAMBDAS - 1))
        theta = _huber(x, y, scale, penalty, theta)
        squares = 0.0
        for j in range(x.size):
            residual = abs(y[j] - theta * x[j])
            valid[m, j] = residual <= penalty * scale[j]
            squares += min(residual, penalty * scale[j]) ** 2
        before, gain = gain, 1 - squares / total
        if m + 1 >= FIRST_STOP and (gain - before < LEAST_GAIN * gain or gain > ENOUGH):
            return m + 1
    return LAMBDAS


@compiled
def _huber(x, y, scale, penalty, theta):
    """The slope at which the sum of x times the residuals, cut at penalty * scale, is 0: Newton in a bracket."""
    low, high = np.inf, -np.inf
    for j in range(x.size):
        if x[j] != 0:
            low, high = min(low, y[j] / x[j]), max(high, y[j] / x[j])
    for _ in range(200):
        total = weight = 0.0
        for j in range(x.size):
            r = y[j] - theta * x[j]
            if abs(r) <= penalty * scale[j]:
                total += x[j] * r
                weight += x[j] * x[j]
            else:
                total += x[j] * penalty * scale[j] * np.sign(r)
        if total > 0:
            low = max(low, theta)
        else:
            high = min(high, theta)
        ahead = theta + total / weight if weight > 0 else low + (high - low) / 2
        if not low <= ahead <= high:
            ahead = low + (high - low) / 2
        if abs(ahead - theta) <= 1e-15 * abs(ahead):
            return ahead
        theta = ahead
    return theta


@compiled
def _choice(x, y, valid, n_lambdas):
    """The penalty that mr_lasso chooses, as its place in the path from the largest on."""
    chosen, enough = 0, 0
    sigma = kept = np.nan
    for m in range(n_lambdas):
        before, kept_before = sigma, kept
        _, _, squares, kept = _line(x, y, valid[m])
        # of one instrument, R's is a rounding error over 0 degrees of freedom
        sigma = np.sqrt(squares / (kept - 1)) if kept > 1 else np.nan
        if before > 1 and before - sigma > CHI2 / kept_before:
            chosen = m
        if kept > 1:
            enough = m
    return min(chosen, enough)


@compiled
def _line(x, y, valid):
    """Slope through the origin of some instruments, their sums of squares of x and of residuals, and their number."""
    sxx = sxy = squares = kept = 0.0
    for j in range(x.size):
        if valid[j]:
            sxx += x[j] * x[j]
            sxy += x[j] * y[j]
            kept += 1
    for j in range(x.size):
        if valid[j]:
            squares += (y[j] - sxy / sxx * x[j]) ** 2
    return sxy / sxx, sxx, squares, kept
