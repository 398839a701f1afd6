"""Estimators of tau^2, the variance of effects between studies, and its Q-profile interval.

Each takes a model (`model.MeanModel` or `linear.LinearModel`) and returns tau^2 and its standard error, one an
analysis. Tolerances are relative: effects may be of any size.
"""

import numpy as np
from scipy import special

from ..options import TAU2_METHODS

EPS = np.finfo(np.float64).eps

# An interval of tau^2 + (smallest variance) this narrow is not cut further in search of two roots of the score: between
# them the likelihood could rise by no more than rounding.
NARROW = 1.01


def dersimonian_laird(model):
    zero = np.zeros(len(model.k))
    s = model.sums(zero, ("q0", "tr2"))
    tau2 = np.maximum(0.0, (s.q0 - model.df) / s.tr1)
    return tau2, np.sqrt(_variance_of_q(model, s, tau2, zero)) / s.tr1


def hunter_schmidt(model):
    zero = np.zeros(len(model.k))
    s = model.sums(zero, ("q0", "tr2"))
    tau2 = np.maximum(0.0, (s.q0 - model.k) / s.w1)
    return tau2, np.sqrt(_variance_of_q(model, s, tau2, zero)) / s.w1


def hedges(model):
    trace1, trace2 = model.variance_traces()
    tau2 = np.maximum(0.0, (model.spread() - trace1) / model.df)
    return tau2, np.sqrt(2 * trace2 + 4 * tau2 * trace1 + 2 * tau2**2 * model.df) / model.df


def sidik_jonkman(model):
    start = model.total_spread() / model.k
    s = model.sums(start, ("q0", "tr2"))
    tau2 = start * s.q0 / model.df
    return tau2, start * np.sqrt(_variance_of_q(model, s, tau2, start)) / model.df


def paule_mandel(model):
    tau2 = solve_q(model, model.df.astype(np.float64))
    s = model.sums(tau2, ())
    return tau2, model.k * np.sqrt(2 / model.df) / s.w1


def reml(model):
    tau2 = _maximise_likelihood(model, restricted=True)
    return tau2, np.sqrt(2 / model.sums(tau2, ("tr2",)).tr2)


def maximum_likelihood(model):
    tau2 = _maximise_likelihood(model, restricted=False)
    return tau2, np.sqrt(2 / model.sums(tau2, ()).w2)


_ESTIMATORS = {
    "DL": dersimonian_laird,
    "PM": paule_mandel,
    "REML": reml,
    "ML": maximum_likelihood,
    "HE": hedges,
    "HS": hunter_schmidt,
    "SJ": sidik_jonkman,
    "EB": paule_mandel,  # the same equation: Morris's empirical Bayes estimate is Paule and Mandel's
}
assert set(_ESTIMATORS) == set(TAU2_METHODS)


def estimate_tau2(model, method):
    """tau^2 and its standard error by one of TAU2_METHODS, for analyses of at least n_coefficients + 1 studies.

    Parameters
    ----------
    model : MeanModel or LinearModel
    method : str

    Returns
    -------
    tau2, tau2_se : numpy.ndarray, shape (m,)

    References
    ----------
    metafor::rma.uni, whose equations these are, solved to machine precision; Viechtbauer (2005), J Educ Behav Stat 30.
    """
    with np.errstate(all="ignore"):
        return _ESTIMATORS[method](model)


def _variance_of_q(model, s, tau2, weights_tau2):
    """Variance of y'Py when P has weights 1/(v + weights_tau2) and the truth is v + tau2."""
    excess = tau2 - weights_tau2
    return 2 * (model.df + 2 * excess * s.tr1 + excess**2 * s.tr2)


def solve_q(model, target, start=None, max_iterations=1000):
    """tau^2 >= 0 at which the generalised Q statistic y'Py falls to target; 0 where it starts below it.

    Newton's method on 1/Q, which is concave and increasing in tau^2: from 0 it climbs to the root and never passes it.

    Parameters
    ----------
    model : MeanModel or LinearModel
    target : numpy.ndarray, shape (m,)
        Positive.
    start : numpy.ndarray, shape (m,), optional
        A tau^2 known not to exceed the root.

    Returns
    -------
    numpy.ndarray, shape (m,)
    """
    tau2 = np.zeros(len(target)) if start is None else start.copy()
    active = np.arange(len(target))
    part, goal = model, target
    with np.errstate(all="ignore"):
        for _ in range(max_iterations):
            s = part.sums(tau2[active], ("q0", "q1"))
            step = (s.q0 / goal - 1) * s.q0 / s.q1
            step = np.where((step > 0) & np.isfinite(step), step, np.where(np.isnan(s.q0), np.nan, 0.0))
            tau2[active] += step
            going = step > 2 * EPS * tau2[active]
            if not going.any():
                break
            active, part, goal = active[going], _narrow(part, going), goal[going]
    return tau2


def q_profile(model, alpha):
    """Q-profile confidence interval of tau^2.

    Returns
    -------
    low, high : numpy.ndarray, shape (m,)
        Both 0 when Q is too small for any tau^2 (R reports an empty interval).

    References
    ----------
    Viechtbauer (2007), Stat Med 26; metafor::confint.rma.uni.
    """
    df = model.df.astype(np.float64)
    low = solve_q(model, special.chdtri(df, alpha / 2))
    return low, solve_q(model, special.chdtri(df, 1 - alpha / 2), start=low)


def _narrow(model, mask):
    return model if mask.all() else model.rows(np.flatnonzero(mask))


def _score_parts(model, tau2, restricted):
    """The score is parts[0] - parts[1] (times 1/2), its derivative parts[3] - 2 parts[2]; each part falls with tau2."""
    s = model.sums(tau2, ("q1", "q2", "tr2"))
    return np.stack([s.q1, s.tr1, s.q2, s.tr2] if restricted else [s.q1, s.w1, s.q2, s.w2])


def _maximise_likelihood(model, restricted):
    """Global maximum over tau^2 >= 0 of the profile likelihood, which can have several."""
    if model.is_compiled:
        from .loops import most_likely  # which imports numba

        return most_likely(model.y, model.v, model.k, model.v0, restricted)
    row, low, high = _brackets(model, restricted)
    root = np.zeros(len(row))
    inner = np.flatnonzero(high > 0)
    if len(inner):
        root[inner] = _polish(model.rows(row[inner]), low[inner], high[inner], restricted)
    count = np.bincount(row, minlength=len(model.k))
    tau2 = np.full(len(model.k), np.nan)
    single = count[row] == 1
    tau2[row[single]] = root[single]
    rival = np.flatnonzero(~single)
    if len(rival):
        height = model.rows(row[rival]).log_likelihood(root[rival], restricted)
        order = np.lexsort((-root[rival], height))  # the best last; of equals, the smallest tau^2
        tau2[row[rival][order]] = root[rival][order]
    return tau2


def _brackets(model, restricted):
    """Every local maximum of the likelihood: its row and the bounds of tau^2 around it (0 and 0 at the edge).

    With a basis of contrasts the score is a sum of z_j^2 / (l_j + tau^2)^2 - 1 / (l_j + tau^2): no root lies beyond
    the sum of the z_j^2, which is the unweighted sum of squares. Since both of its parts fall with tau^2, their values
    at the ends of an interval can prove that it holds no root, or one at most; intervals without proof are halved.
    """
    n = len(model.k)
    row, low, high = np.arange(n), np.zeros(n), np.minimum(model.spread(), 1e300)
    at_low, at_high = _score_parts(model, low, restricted), _score_parts(model, high, restricted)
    at_edge = np.flatnonzero(at_low[0] <= at_low[1])
    found = [(at_edge, np.zeros(len(at_edge)), np.zeros(len(at_edge)))]
    while len(row):
        v0 = model.v0[row]
        crossing = (at_low[0] > at_low[1]) & (at_high[0] <= at_high[1])
        decided = (at_low[3] < 2 * at_high[2]) | ~(high + v0 > NARROW * (low + v0))
        decided |= ~np.isfinite(at_low + at_high).all(axis=0)  # overflow: no likelihood to search
        peak = crossing & decided
        found.append((row[peak], low[peak], high[peak]))
        split = ~(decided | (at_high[0] > at_low[1]) | (at_low[0] < at_high[1]))
        row, low, high, v0 = row[split], low[split], high[split], v0[split]
        at_low, at_high = at_low[:, split], at_high[:, split]
        middle = np.sqrt((low + v0) * (high + v0)) - v0
        at_middle = _score_parts(model.rows(row), middle, restricted)
        row = np.concatenate([row, row])
        low, high = np.concatenate([low, middle]), np.concatenate([middle, high])
        at_low, at_high = np.hstack([at_low, at_middle]), np.hstack([at_middle, at_high])
    return tuple(np.concatenate(part) for part in zip(*found, strict=True))


def _polish(model, low, high, restricted, max_iterations=200):
    """Root of the score between low (where it is positive) and high: Newton's method, halving where it strays."""
    root = np.empty(len(low))
    active = np.arange(len(low))
    low, high = low.copy(), high.copy()
    x = np.where(low > 0, np.sqrt(low * high), 0.5 * high)
    last = np.full(len(low), np.inf)
    for _ in range(max_iterations):
        parts = _score_parts(model, x, restricted)
        f, slope = parts[0] - parts[1], parts[3] - 2 * parts[2]
        low, high = np.where(f > 0, x, low), np.where(f > 0, high, x)
        step = -f / slope
        inside = (x + step > low) & (x + step < high)
        step = np.where(inside, step, 0.5 * (low + high) - x)
        size = np.abs(step)
        done = (size <= 2 * EPS * x) | (f == 0) | ((size < 1e-9 * x) & (size >= 0.5 * last))
        root[active] = x + np.where(f == 0, 0.0, step)
        if done.all():
            break
        keep = ~done
        active, model = active[keep], _narrow(model, keep)
        x, low, high, last = (x + step)[keep], low[keep], high[keep], size[keep]
    return root
