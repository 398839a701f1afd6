"""Modes of the instruments' Wald ratios."""

import numpy as np

from ...compiled import compiled
from ...errors import InputError
from ...inference import check_choice
from ...methods import METHODS
from .. import notes
from ..kernels.rows import in_threads, rows_of
from ..problems import finish, prepare
from .bootstrap import by_ratio, check_bootstrap, normal_draws, ratio_weights
from .lanes import CUT, GRID, LANES, MAD, MARGIN, MOST_POINTS, comparators, highest_of_lanes, highest_point
from .regression import WEIGHTS

REACH = 8.5  # bandwidths at which the kernel has fallen below rounding
# The coarse density, by which most points of the grid need not be computed
PER_WIDTH = 3  # its points per bandwidth
PLACES = 24  # of these that a ratio reaches: 4 bandwidths to either side
FRACTIONS = 64  # places of a ratio between two of them that are told apart
COARSE_ERROR = 0.0025  # of the total weight: by the fractions (0.607 / 3 / 128) and beyond the places (exp(-8) / 2)
COARSEST = 0.125  # of the grid's steps in bandwidths, beyond which all points are computed


def mode_simple(bx, sx, by, sy, mask=None, *, weights="delta", phi=1.0, n_bootstrap=1000, seed=42, alpha=0.05):
    """Mode of the Wald ratios: right if the largest group of instruments with one ratio is the valid one.

    Parameters and results are those of `mode_weighted`. The weights enter the bootstrap samples only.
    """
    return _mode(bx, sx, by, sy, mask, weights, False, phi, n_bootstrap, seed, alpha)


def mode_weighted(bx, sx, by, sy, mask=None, *, weights="delta", phi=1.0, n_bootstrap=1000, seed=42, alpha=0.05):
    """Weighted mode of the Wald ratios: right if the group of one ratio that holds most weight is the valid one.

    The highest point of the ratios' weighted kernel density, on the grid of 512 points and with the linear binning of
    R's density() (before R 4.4). The bandwidth is phi times 0.9 min(sd, mad) / n^(1/5). Where more than half of the
    ratios are equal it is 0, and the estimate the ratio of most weight. The standard error is the (normal-consistent)
    median absolute deviation over parametric bootstrap samples, which draw the ratios from normal distributions with
    variances 1 / weight. Interval and p-value are normal.

    Parameters
    ----------
    bx, sx, by, sy : arrays of shape (..., V)
        Effects and standard errors on exposure and outcome, for V variants; broadcast against each other.
    mask : (..., V) bool, optional
        Which entries are instruments; what the others hold does not matter. All by default.
    weights : {"delta", "simple"}
        1 / (sy^2 / bx^2 + by^2 sx^2 / bx^4), the default in R too, or (bx / sy)^2.
    phi : float
        Factor of the bandwidth, above 0.
    n_bootstrap : int
        Bootstrap samples.
    seed : int
        The same seed gives the same result, in a batch or alone.
    alpha : float
        The interval covers 1 - alpha.

    Returns
    -------
    MRResult
        Arrays of shape (...); NaN with a note for fewer than 2 instruments, a standard error that is not positive and
        finite, or an exposure effect of 0.

    Raises
    ------
    InputError
        Unknown weights, phi not above 0, n_bootstrap below 2, a negative seed, or alpha outside (0, 1).

    References
    ----------
    Hartwig FP, Davey Smith G, Bowden J (2017). Int J Epidemiol 46: 1985-1998. R: MendelianRandomization::mr_mbe,
    TwoSampleMR::mr_mode.
    """
    return _mode(bx, sx, by, sy, mask, weights, True, phi, n_bootstrap, seed, alpha)


def _mode(bx, sx, by, sy, mask, weights, weighted, phi, n_bootstrap, seed, alpha):
    check_choice("weights", weights, WEIGHTS)
    check_bootstrap(n_bootstrap, seed)
    if not 0 < phi < np.inf:
        raise InputError(f"phi must be a number above 0, not {phi!r}")
    with np.errstate(all="ignore"):
        problems = prepare(bx, by, mask, METHODS["mode_simple"].fewest)
        problems.refuse(((problems.bx == 0) & problems.mask).any(-1), notes.ZERO_EXPOSURE)
        rows = rows_of(problems, sx, sy)
        data = by_ratio(rows, ratio_weights(rows, weights))
        ratio, se_ratio = data[:, 2] / data[:, 0], 1 / np.sqrt(data[:, 4])
        w = np.where(rows.mask, data[:, 4], 0.0) if weighted else rows.mask * 1.0
        w /= w.sum(-1, keepdims=True)
        estimate, se = np.empty((2, rows.n.size))
        draws = normal_draws(seed, n_bootstrap, data.shape[2])
        in_threads(_modes, (ratio, se_ratio, w, rows.n, estimate, se), (float(phi), draws))
        return finish(problems, alpha, rows.to_effect(estimate), rows.to_effect(se), phi=phi)


@compiled
def _modes(ratio, se_ratio, w, n, estimate, se, phi, draws):
    """Write the modes of P problems and their bootstrap standard errors to estimate and se (P,)."""
    work, ordered = np.empty((4, 2 * GRID + PLACES)), np.empty(ratio.shape[1])
    modes, bells = np.empty(len(draws)), _coarse_bells()
    for i in range(n.size):
        k = n[i]
        estimate[i] = se[i] = np.nan
        if k:
            estimate[i] = _highest(ratio[i, :k], w[i, :k], phi, ordered[:k], work, bells)
            _draw_modes(ratio[i, :k], se_ratio[i, :k], w[i, :k], phi, draws, modes, work, bells)
            modes.sort()
            se[i] = _mad(modes) if np.isfinite(modes.sum()) else np.nan


@compiled
def _draw_modes(ratio, se_ratio, w, phi, draws, modes, work, bells):
    """Modes of bootstrap samples: eight side by side, but one by one where lanes.py leaves out a lane."""
    n, pairs, ordered = ratio.size, comparators(ratio.size), np.empty(ratio.size)
    drawn, lanes = np.empty((n, LANES)), np.empty((4, n + 1, LANES))
    density, found = np.empty((MOST_POINTS, LANES)), np.empty(LANES)
    for b in range(0, len(draws), LANES):
        for m in range(LANES):
            normal = draws[min(b + m, len(draws) - 1), 0]
            for j in range(n):
                drawn[j, m] = ratio[j] + se_ratio[j] * normal[j]
        highest_of_lanes(drawn, w, phi, pairs, lanes, density, found)
        for m in range(min(LANES, len(draws) - b)):
            modes[b + m] = found[m]
            if np.isnan(found[m]):
                modes[b + m] = _highest(drawn[:, m].copy(), w, phi, ordered, work, bells)


@compiled
def _mad(x):
    """Normal-consistent median absolute deviation of values that ascend: the deviations ascend on either side."""
    n = x.size
    median = 0.5 * (x[(n - 1) // 2] + x[n // 2])
    left, right = (n - 1) // 2, (n - 1) // 2 + 1
    before = last = 0.0
    for _ in range(n // 2 + 1):
        before = last
        below = median - x[left] if left >= 0 else np.inf
        above = x[right] - median if right < n else np.inf
        if below <= above:
            last, left = below, left - 1
        else:
            last, right = above, right + 1
    return MAD * (last if n % 2 else 0.5 * (before + last))


@compiled
def _sort(x, out):
    """The values of x, which nearly ascend, in order."""
    for j in range(x.size):
        value, m = x[j], j
        while m > 0 and out[m - 1] > value:
            out[m] = out[m - 1]
            m -= 1
        out[m] = value


@compiled
def _highest(ratio, w, phi, ordered, work, bells):
    """Where the kernel density of the ratios is highest, on R's grid."""
    n = ratio.size
    if not np.isfinite(ratio.sum()):
        return np.nan
    _sort(ratio, ordered)
    mean, square = ratio.mean(), 0.0
    for j in range(n):
        square += (ratio[j] - mean) ** 2
    spread = min(np.sqrt(square / (n - 1)), _mad(ordered))
    if not spread > 1e-15 * max(abs(ordered[0]), abs(ordered[n - 1])):
        return _most_frequent(ratio, w)
    width = phi * 0.9 * spread / n ** 0.2
    start, end = ordered[0] - CUT * width, ordered[n - 1] + CUT * width
    low, high = start - MARGIN * width, end + MARGIN * width
    step = (high - low) / (GRID - 1)
    if not (width > 0 and 0 < step < np.inf):
        return np.nan
    unit = step * (2 * GRID - 2) / (2 * GRID - 1) / width
    offset, slope = MARGIN * width / step, (end - start) / (high - low)
    where = _highest_place(ratio, w, low, step, unit, offset, slope, work, bells)
    return start + where * (end - start) / (GRID - 1)


@compiled
def _highest_place(ratio, w, low, step, unit, offset, slope, work, bells):
    """Number of the grid's highest point: only those near high points of a coarse density are computed."""
    span = GRID - 1 if unit > COARSEST else int(GRID - 1 - 2 * (CUT + MARGIN - 1) / unit)
    _set_bell(unit, work[2], min(span, GRID - 1))
    if unit > COARSEST:
        return _highest_between(0, GRID - 1, ratio, w, low, step, unit, offset, slope, work)[1]
    coarse, spacing = work[3], 1 / (PER_WIDTH * unit)
    n_coarse = int((GRID - 1) / spacing) + 1
    coarse[:n_coarse + PLACES] = 0.0
    for j in range(ratio.size):
        place = (ratio[j] - low) / step / spacing
        left = int(place)
        out, bell, weight = coarse[left:left + PLACES], bells[int((place - left) * FRACTIONS)], w[j]
        for m in range(PLACES):
            out[m] += weight * bell[m]
    coarse = coarse[PLACES // 2 - 1:]  # point c lies at c * spacing
    near = 0.625 * unit ** 2
    least = coarse[:n_coarse + 1].max() - w.sum() * (
        0.125 / PER_WIDTH ** 2 + np.sqrt(2 * near) / (2 * PER_WIDTH) + near + 2 * COARSE_ERROR)
    best, where, c = -1.0, 0, 0
    while c <= n_coarse:
        if coarse[c] < least:
            c += 1
            continue
        first = c
        while c <= n_coarse and coarse[c] >= least:
            c += 1
        a = int(((first - 0.5) * spacing - offset) / slope)
        b = int(((c - 0.5) * spacing - offset) / slope) + 1
        if a < GRID and b >= 0:
            value, place = _highest_between(max(a, 0), min(b, GRID - 1), ratio, w, low, step, unit, offset, slope, work)
            if value > best:
                best, where = value, place
    return where


@compiled
def _highest_between(a, b, ratio, w, low, step, unit, offset, slope, work):
    """Value and number of the highest of the grid's points a to b."""
    first, last = int(offset + a * slope), min(int(offset + b * slope), GRID - 2) + 1
    density, reach = work[1], min(int(REACH / unit) + 1, GRID - 1)
    density[first:last + 1] = 0.0
    for j in range(ratio.size):
        place = (ratio[j] - low) / step
        left = min(int(place), GRID - 2)
        for i, weight in ((left, w[j] * (left + 1 - place)), (left + 1, w[j] * (place - left))):
            begin, stop = max(i - reach, first), min(i + reach, last) + 1
            if begin < stop:
                out, near = density[begin:stop], work[2][GRID + begin - i:GRID + stop - i]
                for m in range(stop - begin):
                    out[m] += weight * near[m]
    return highest_point(density, 0, a, b, offset, slope)


@compiled
def _set_bell(unit, bell, span):
    """exp(-(unit m)^2 / 2) at bell[GRID + m], for m from -span - 1 to span + 1; four by one recurrence.

    R's distances in the convolution are (2 GRID - 2) / (2 GRID - 1) of the grid's (old.coords in R 4.4).
    """
    right, reach = bell[GRID:], min(int(REACH / unit) + 1, span + 1)
    half, four = -0.5 * unit ** 2, np.exp(-16 * unit ** 2)
    v0, v1, v2, v3 = 1.0, np.exp(half), np.exp(4 * half), np.exp(9 * half)
    f0, f1, f2, f3 = np.exp(16 * half), np.exp(24 * half), np.exp(32 * half), np.exp(40 * half)
    for m in range(0, reach + 1, 4):
        right[m], right[m + 1], right[m + 2], right[m + 3] = v0, v1, v2, v3
        v0, v1, v2, v3 = v0 * f0, v1 * f1, v2 * f2, v3 * f3
        f0, f1, f2, f3 = f0 * four, f1 * four, f2 * four, f3 * four
    right[reach + 1:span + 2] = 0.0
    for m in range(1, span + 2):
        bell[GRID - m] = right[m]


@compiled
def _coarse_bells():
    """The kernel at the `PLACES` coarse points around a ratio, by where between two of them the ratio lies."""
    bells = np.empty((FRACTIONS, PLACES))
    for f in range(FRACTIONS):
        for m in range(PLACES):
            bells[f, m] = np.exp(-0.5 * ((m - (PLACES // 2 - 1) - (f + 0.5) / FRACTIONS) / PER_WIDTH) ** 2)
    return bells


@compiled
def _most_frequent(ratio, w):
    """The ratio that holds most weight, ratios that differ by rounding being one."""
    best, where = -1.0, 0
    for i in range(ratio.size):
        total = 0.0
        for j in range(ratio.size):
            if abs(ratio[j] - ratio[i]) <= 1e-15 * abs(ratio[i]):
                total += w[j]
        if total > best:
            best, where = total, i
    return ratio[where]
