"""Compiled loops of the estimators that profile the instruments' true exposure effects out: RAPS, maximum likelihood.

At a causal effect beta, instrument j's standardized residual is t_j = (by_j - beta bx_j) / sqrt(v_j), where
v_j = tau2 + sy_j^2 - 2 psi beta sx_j sy_j + beta^2 sx_j^2. The estimate minimizes sum rho(t_j); it may have several
minima, so that many places are tried first.

`data` holds bx, sx, by and sy of one problem; the equation of beta is the slope of the loss.
"""

import numpy as np

from ...compiled import compiled

L2, HUBER, TUKEY = 0, 1, 2
HUBER_K, TUKEY_K = 1.345, 4.685
DIRECTIONS, FARTHEST, RATIOS = 40, 6, 64  # how many of each kind `neighbourhoods` has
ALTERNATIONS = 500
GLOBAL_STEPS = 20  # alternations in which the l2 loss is minimized globally, as in mr.raps; then from the last beta
PRECISION = 1e-13
BETA, TAU2 = 0, 1


def neighbourhoods(rows):
    """(P, C) values of beta in ascending order, among which every minimum has its neighbourhood, then NaN.

    They are the instruments' ratios (of many, some), and directions of the line by = beta bx, of which the farthest are
    nearly vertical.
    """
    bx, sx, by, sy = np.moveaxis(np.where(rows.mask[:, None], rows.data, 0.0), 1, 0)
    ratios = np.sort(np.where(np.isfinite(by / bx), by / bx, np.nan), -1)
    kept = np.linspace(0, np.maximum(np.isfinite(ratios).sum(-1) - 1, 0), min(RATIOS, ratios.shape[-1]), axis=-1)
    ratios = np.take_along_axis(ratios, np.round(kept).astype(int), -1)
    angles = np.pi * ((np.arange(DIRECTIONS) + 0.5) / DIRECTIONS - 0.5)
    far = 10.0 ** (np.arange(FARTHEST) + 1.5)
    unit = sy.sum(-1, keepdims=True) / sx.sum(-1, keepdims=True)
    return np.sort(np.concatenate([ratios, unit * np.concatenate([np.tan(angles), far, -far])], -1), -1)


@compiled
def lowest_minima(data, places, n, out, psi, loss):
    """Write the beta of the lowest minimum of P problems to out (P,); NaN where there is none at a finite beta."""
    for i in range(n.size):
        out[i] = _lowest(data[i, :, :n[i]], places[i], psi, 0.0, loss) if n[i] else np.nan


@compiled
def overdispersed_solutions(data, places, n, out_beta, out_tau2, loss, delta):
    """Write beta and tau2 of P problems to out_beta and out_tau2 (P,); NaN where none is found.

    As mr.raps does, start from the minimum without overdispersion, solve the l2 loss's equations, and start another
    loss from there. Where that leads nowhere, start from that loss's minimum without overdispersion.
    """
    for i in range(n.size):
        out_beta[i] = out_tau2[i] = np.nan
        if n[i] == 0:
            continue
        one = data[i, :, :n[i]]
        for start in (L2, loss):
            beta = _lowest(one, places[i], 0.0, 0.0, start)
            if start != loss:
                beta, _ = _alternate(beta, one, places[i], L2, 1.0)
            out_beta[i], out_tau2[i] = _alternate(beta, one, places[i], loss, delta)
            if not np.isnan(out_beta[i]):
                break


@compiled
def _alternate(beta, data, places, loss, delta):
    """Solve the equations of tau2 and beta in turn until neither moves; NaN where they keep moving."""
    tau2, se = 0.0, 0.0
    for j in range(data.shape[1]):
        se = max(se, data[3, j])
    for i in range(ALTERNATIONS):
        old_beta, old_tau2 = beta, tau2
        tau2 = _overdispersion(beta, data, loss, delta)
        if loss == L2 and i < GLOBAL_STEPS:
            beta = _lowest(data, places, 0.0, tau2, loss)
        else:
            beta = _downhill(beta, data, tau2, loss)
        steps = abs(beta - old_beta) / (abs(beta) + se), abs(tau2 - old_tau2) / (tau2 + se * se)
        if max(steps) <= PRECISION:
            return beta, tau2
        if np.isnan(beta + tau2):
            break
    return np.nan, np.nan


@compiled
def _lowest(data, places, psi, tau2, loss):
    """The beta of the lowest of the minima around some places."""
    best, lowest, first = np.nan, np.inf, np.nan
    a = b = f_a = f_b = np.nan
    for c in places:
        if np.isnan(c) or c == b:
            continue
        f_c = _loss(c, data, psi, tau2, loss)
        if np.isnan(first):
            first = f_c
        if f_b <= f_a and f_b < f_c:
            beta = _minimum_between(a, b, c, data, psi, tau2, loss)
            value = _loss(beta, data, psi, tau2, loss)
            if value < lowest:
                best, lowest = beta, value
        a, b, f_a, f_b = b, c, f_b, f_c
    return best if lowest < min(first, f_b) else np.nan


@compiled
def _minimum_between(low, middle, high, data, psi, tau2, loss):
    """A minimum between low and high, given a lower point than both: golden sections until the slope brackets it."""
    f_middle = _loss(middle, data, psi, tau2, loss)
    g_middle = _equation(BETA, middle, tau2, data, psi, loss, 0.0)
    for _ in range(80):
        end = low if g_middle > 0 else high
        g_end = _equation(BETA, end, tau2, data, psi, loss, 0.0)
        if g_end * g_middle <= 0:
            return _root(BETA, end, g_end, middle, g_middle, tau2, data, psi, loss, 0.0)
        right = high - middle > middle - low
        x = middle + 0.382 * (high - middle) if right else middle - 0.382 * (middle - low)
        f = _loss(x, data, psi, tau2, loss)
        if f < f_middle:
            low, high = (middle, high) if right else (low, middle)
            middle, f_middle = x, f
            g_middle = _equation(BETA, x, tau2, data, psi, loss, 0.0)
        elif right:
            high = x
        else:
            low = x
    return middle


@compiled
def _downhill(beta, data, tau2, loss):
    """The minimum that lies downhill of beta; NaN where there is none, or every instrument is an outlier."""
    g = _equation(BETA, beta, tau2, data, 0.0, loss, 0.0)
    information, rejected = 0.0, True
    for j in range(data.shape[1]):
        v = tau2 + data[3, j] ** 2 + (beta * data[1, j]) ** 2
        information += data[0, j] ** 2 / v
        rejected &= _weight((data[2, j] - beta * data[0, j]) ** 2 / v, loss) == 0
    if rejected:
        return np.nan
    step = -g / information
    for _ in range(60):
        ahead = beta + step
        g_ahead = _equation(BETA, ahead, tau2, data, 0.0, loss, 0.0)
        if g_ahead * g <= 0:
            return _root(BETA, beta, g, ahead, g_ahead, tau2, data, 0.0, loss, 0.0)
        beta, g, step = ahead, g_ahead, 2 * step
    return np.nan


@compiled
def _overdispersion(beta, data, loss, delta):
    """The smallest tau2 at which its equation falls through 0; 0 where the equation is not above 0 there."""
    low, f_low = 0.0, _equation(TAU2, 0.0, beta, data, 0.0, loss, delta)
    if not f_low > 0:
        return 0.0
    largest = 0.0
    for j in range(data.shape[1]):
        largest = max(largest, (data[2, j] - beta * data[0, j]) ** 2)
    for i in range(16, -5, -2):
        high = largest * 0.5 ** i
        f_high = _equation(TAU2, high, beta, data, 0.0, loss, delta)
        if f_high <= 0:
            return _root(TAU2, low, f_low, high, f_high, beta, data, 0.0, loss, delta)
        low, f_low = high, f_high
    return np.nan


@compiled
def _root(which, low, f_low, high, f_high, other, data, psi, loss, delta):
    """Where an equation changes its sign between low and high: Ridders' method, to the last digits."""
    for _ in range(200):
        middle = low + (high - low) / 2
        if f_low == 0:
            return low
        if f_high == 0 or not min(low, high) < middle < max(low, high):
            return high
        f_middle = _equation(which, middle, other, data, psi, loss, delta)
        if f_middle == 0 or abs(high - low) <= 4e-16 * abs(middle):
            return middle
        move = (middle - low) * f_middle / np.sqrt(f_middle * f_middle - f_low * f_high)
        x = middle + move if f_low > f_high else middle - move
        if not min(low, high) < x < max(low, high):
            x = middle
        f = _equation(which, x, other, data, psi, loss, delta)
        if (f > 0) != (f_middle > 0):
            low, f_low, high, f_high = x, f, middle, f_middle
        elif (f > 0) != (f_low > 0):
            high, f_high = x, f
        else:
            low, f_low = x, f
    return low


@compiled
def _equation(which, value, other, data, psi, loss, delta):
    """The equation of beta (given tau2 as other) or that of tau2 (given beta); 0 at the solution."""
    beta, tau2 = (value, other) if which == BETA else (other, value)
    total = 0.0
    for j in range(data.shape[1]):
        x, u, s = data[0, j], data[1, j], data[3, j]
        r, a, b = data[2, j] - beta * x, s - psi * beta * u, beta * u
        v = tau2 + a * a + (1 - psi * psi) * b * b
        w = _weight(r * r / v, loss)
        if which == BETA:
            total -= w * r / v * (x + r / v * u * (b - psi * s))
        else:
            total += u * u * (w * r * r / v - delta) / v
    return total


@compiled
def _loss(beta, data, psi, tau2, loss):
    total = 0.0
    for j in range(data.shape[1]):
        r, a, b = data[2, j] - beta * data[0, j], data[3, j] - psi * beta * data[1, j], beta * data[1, j]
        t2 = r * r / (tau2 + a * a + (1 - psi * psi) * b * b)
        if loss == L2:
            total += t2 / 2
        elif loss == HUBER:
            total += t2 / 2 if t2 <= HUBER_K ** 2 else HUBER_K * (np.sqrt(t2) - HUBER_K / 2)
        else:
            total += 1 - max(1 - t2 / TUKEY_K ** 2, 0.0) ** 3
    return total


@compiled
def _weight(t2, loss):
    """rho'(t) / t, given t^2; Tukey's rho is scaled so that this is 1 at 0."""
    if loss == L2:
        return 1.0
    if loss == HUBER:
        return 1.0 if t2 <= HUBER_K ** 2 else HUBER_K / np.sqrt(t2)
    return max(1 - t2 / TUKEY_K ** 2, 0.0) ** 2
