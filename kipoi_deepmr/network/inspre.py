"""Sparse direct effects from a matrix of total effects: the estimator of bimmer and inspre, by ADMM.

References
----------
Brown BC, Knowles DA (2020). bioRxiv 2020.06.18.160176. R: bimmer.
Brown BC, Morris JA, Lappalainen T, Knowles DA (2023). bioRxiv 2023.10.17.562905. R: inspre.
"""

from typing import NamedTuple

import numpy as np

ZERO = 1e-8  # smaller numbers are zero to the coordinate descent
UV, VU = "UV", "VU"


class Settings(NamedTuple):
    """Of the ADMM; the defaults are those of inspre 1.0.1.

    Attributes
    ----------
    rho : float
        Weight of the constraint at the start.
    iterations : int
        At most so many.
    tolerance : float
        Relative change of the Lagrangian that ends it, twice in a row.
    balance, factor : float
        rho is multiplied or divided by `factor` where one residual is more than `balance` times the other.
    sweeps : int
        Of coordinate descent in each step.
    constraint : {"UV", "VU"}
        U V = I or V U = I; the papers have the second, the programs the first by default.
    warm_start : bool
        Whether a fit starts where the one with the next larger lambda ended.
    """

    rho: float = 100.0
    iterations: int = 100
    tolerance: float = 1e-4
    balance: float = 10.0
    factor: float = 1.5
    sweeps: int = 10
    constraint: str = UV
    warm_start: bool = False


class State(NamedTuple):
    """U, V and the multipliers theta of the constraint, (mark, mark) each; the Lagrangian and rho at the end."""

    u: np.ndarray
    v: np.ndarray
    theta: np.ndarray
    lagrangian: float
    rho: float


class Path(NamedTuple):
    """Fits along a path of penalties.

    Attributes
    ----------
    penalty : (lambda,) float64
        Largest first.
    u, v : (lambda, mark, mark) float64
        Approximations of the total effects and of their inverse.
    direct : (lambda, mark, mark) float64
        `G_ij = -V_ij / V_jj`, zeros on the diagonal.
    lagrangian, rho : (lambda,) float64
    test_error : (lambda,) float64, or None
        Root mean square of the weighted differences of left-out total effects, mean over folds.
    stability : (lambda,) float64, or None
        Mean over pairs of `2 xi (1 - xi)`, xi the share of folds in which the pair has an edge (StARS).
    """

    penalty: np.ndarray
    u: np.ndarray
    v: np.ndarray
    direct: np.ndarray
    lagrangian: np.ndarray
    rho: np.ndarray
    test_error: np.ndarray = None
    stability: np.ndarray = None

    @property
    def best(self):
        """Index of the penalty with the least test error."""
        return int(self.test_error.argmin())


def weights(se, most_ratio=None):
    """Weights of total effects, `1 / se^2` over their mean.

    Parameters
    ----------
    se : (mark, mark) float64
        0 for what is known exactly, such as the diagonal; NaN for what is not known, whose weight is 0.
    most_ratio : float, optional
        Weights are at most so many times their median.

    Returns
    -------
    (mark, mark) float64
    """
    with np.errstate(divide="ignore"):
        weight = 1 / np.asarray(se, np.float64) ** 2
    weight[np.isnan(weight)] = 0
    exact = np.isinf(weight)
    if most_ratio is not None:
        most = np.median(weight[~exact]) * most_ratio
        weight[(weight > most) & ~exact] = most
    weight[exact] = weight[~exact].max()
    return weight / weight.mean()


def path(total, weight=None, n_penalties=20, least_ratio=0.01, masks=None, settings=None, least_edge=0.01):
    """Sparse inverses of total effects along a path of penalties.

    Parameters
    ----------
    total : (mark, mark) float64
        Total effects R per standard deviation, cause by outcome, ones on the diagonal; NaN where not known.
    weight : (mark, mark) float64, optional
    n_penalties : int
    least_ratio : float
        The smallest penalty over the largest, which is the largest total effect.
    masks : (fold, mark, mark) bool, optional
        Total effects from which each fold is fitted; the others test it. Without, nothing is tested.
    settings : Settings, optional
    least_edge : float
        A pair has an edge if `|V_ij|` is more.

    Returns
    -------
    Path

    Notes
    -----
    Minimises ``1/2 sum W_ij (R_ij - U_ij)^2 + lambda sum_{i != j} |V_ij|`` under the constraint. As in the programs the
    Lagrangian by which it stops has W^2, not W. Unlike the programs, direct effects are scaled by columns.
    """
    settings = settings or Settings()
    total = np.asarray(total, np.float64)
    n_marks = len(total)
    off = ~np.eye(n_marks, dtype=bool)
    weight = np.ones_like(total) if weight is None else np.where(np.isfinite(total), weight, 0.0)
    largest = np.nanmax(np.abs(total[off]))
    penalty = np.exp(np.linspace(np.log(largest), np.log(least_ratio * largest), n_penalties))
    states = _along(total, weight, penalty, settings)
    v = np.array([s.v for s in states])
    direct = np.eye(n_marks) - v / np.diagonal(v, axis1=1, axis2=2)[:, None, :]
    fitted = (penalty, np.array([s.u for s in states]), v, direct, np.array([s.lagrangian for s in states]),
              np.array([s.rho for s in states]))
    if masks is None:
        return Path(*fitted)
    error, edges = np.zeros(n_penalties), np.zeros((n_penalties, n_marks, n_marks))
    for mask in masks:
        train, test = mask | ~off, ~mask & (weight > 0) | ~off
        of_train, of_test = (np.where(m, weight, 0.0) for m in (train, test))
        of_test = of_test / of_test.mean()
        for k, state in enumerate(_along(total, of_train / of_train.mean(), penalty, settings)):
            difference = np.where(np.isfinite(total), of_test * (total - state.u), 0.0)[off]
            error[k] += np.sqrt(np.mean(difference ** 2)) / len(masks)
            edges[k] += (np.abs(state.v) > least_edge) / len(masks)
    return Path(*fitted, error, (2 * edges * (1 - edges)).mean((1, 2)))


def _along(total, weight, penalty, settings):
    states, start = [], None
    for value in penalty:
        states.append(solve(total, weight, value, settings, start))
        start = states[-1] if settings.warm_start else None
    return states


def solve(total, weight, penalty, settings=None, start=None):
    """One fit by ADMM, from U = V = I or from another fit; a `State`."""
    settings = settings or Settings()
    if settings.constraint == VU:  # V U = I is U V = I of the transposed matrices
        turned = start and start._replace(u=start.u.T, v=start.v.T, theta=start.theta.T)
        state = solve(total.T, weight.T, penalty, settings._replace(constraint=UV), turned)
        return state._replace(u=state.u.T, v=state.v.T, theta=state.theta.T)
    eye = np.eye(len(total))
    u, v, theta = (eye, eye, np.zeros_like(eye)) if start is None else start[:3]
    rho = settings.rho
    known = np.where(np.isfinite(total), total, 0.0)
    lagrangian = sum(_parts(known, weight, penalty, u, v, theta, rho))
    met = worse = 0
    for _ in range(settings.iterations):
        new_u = _update_u(known, weight, u, v, theta, rho, settings.sweeps)
        new_v = _descend(new_u, eye - theta / rho, v, penalty / rho, settings.sweeps)
        constraint = new_u @ new_v - eye
        dual = rho * new_u @ (v - new_v) @ new_v.T
        theta = theta + rho * constraint
        parts = _parts(known, weight, penalty, new_u, new_v, theta, rho)
        rho = _balanced(rho, constraint, dual, theta @ v.T, parts[0], settings)
        worse = worse + 1 if sum(parts) > lagrangian else 0
        if worse >= 3:
            break
        u, v, change = new_u, new_v, abs(sum(parts) - lagrangian) / lagrangian
        lagrangian = sum(parts)
        met = 0 if change > settings.tolerance else met + 1
        if met >= 2:
            break
    return State(u, v, theta, lagrangian, rho)


def _parts(total, weight, penalty, u, v, theta, rho):
    """Terms of the Lagrangian: misfit, penalty, multipliers, augmentation."""
    constraint = u @ v - np.eye(len(u))
    off = ~np.eye(len(u), dtype=bool)
    return (0.5 * ((weight * (total - u)) ** 2).sum(), penalty * np.abs(v[off]).sum(), (theta * constraint).sum(),
            0.5 * rho * (constraint ** 2).sum())


def _balanced(rho, constraint, dual, scaled, misfit, settings):
    """rho for the next round, so that neither the constraint nor the optimality is far behind."""
    n = len(constraint)
    of_constraint = max(np.sqrt(((constraint + np.eye(n)) ** 2).sum()), np.sqrt(n))
    of_dual = max(np.sqrt(2 * misfit), np.sqrt((scaled ** 2).sum()))
    primal, dual = np.sqrt((constraint ** 2).mean()) / of_constraint, np.sqrt((dual ** 2).mean()) / of_dual
    if primal > settings.balance * dual:
        return rho * settings.factor
    return rho / settings.factor if dual > settings.balance * primal else rho


def _update_u(total, weight, u, v, theta, rho, sweeps):
    """Rows of U by their normal equations, all rows at once, one coordinate after the other."""
    n = len(u)
    right = (weight * total + rho * v.T - theta @ v.T)
    a = np.broadcast_to(rho * v @ v.T, (n, n, n)).copy()
    a[:, np.arange(n), np.arange(n)] += weight
    x = u.copy()
    residual = right - np.einsum("dij,dj->di", a, x)
    squares = (a ** 2).sum(1)
    for _ in range(sweeps):
        for p in range(n):
            old = np.where(np.abs(x[:, p]) > ZERO, x[:, p], 0.0)
            moment = (a[:, :, p] * residual).sum(1) + squares[:, p] * old
            new = np.where(np.abs(moment) > ZERO, moment, 0.0) / squares[:, p]
            residual += a[:, :, p] * (old - new)[:, None]
            x[:, p] = new
    return x


def _descend(a, b, x, penalty, sweeps):
    """Columns x_d of X: coordinate descent on `1/2 |B_d - A x_d|^2 + penalty |x_d|_1`."""
    x = x.copy()
    residual = b - a @ x
    squares = (a ** 2).sum(0)
    for _ in range(sweeps):
        for p in range(a.shape[1]):
            old = np.where(np.abs(x[p]) > ZERO, x[p], 0.0)
            moment = a[:, p] @ residual + squares[p] * old
            size = np.abs(moment) - penalty
            new = np.where(np.abs(moment) > ZERO, np.sign(moment), 0) * np.where(size > ZERO, size, 0.0) / squares[p]
            residual += np.outer(a[:, p], old - new)
            x[p] = new
    return x
