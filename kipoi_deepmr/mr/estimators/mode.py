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
from .regression import WEIGHTS

GRID = 512  # points of R's density()
CUT, MARGIN = 3, 4  # bandwidths that its grid reaches beyond the ratios, and its convolution beyond the grid
REACH = 8.5  # bandwidths at which the kernel has fallen below rounding
MAD = 1.4826  # makes the median absolute deviation that of a normal distribution's standard deviation


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
    work, sample, modes = np.empty((3, 2 * GRID)), np.empty(ratio.shape[1]), np.empty(len(draws))
    for i in range(n.size):
        k = n[i]
        estimate[i] = se[i] = np.nan
        if k:
            estimate[i] = _highest(ratio[i, :k], w[i, :k], phi, work)
            for b in range(len(draws)):
                for j in range(k):
                    sample[j] = ratio[i, j] + se_ratio[i, j] * draws[b, 0, j]
                modes[b] = _highest(sample[:k], w[i, :k], phi, work)
            se[i] = _mad(modes)


@compiled
def _mad(x):
    return MAD * np.median(np.abs(x - np.median(x)))


@compiled
def _highest(ratio, w, phi, work):
    """Where the kernel density of the ratios is highest, on R's grid."""
    n = ratio.size
    if not np.isfinite(ratio.sum()):
        return np.nan
    spread = min(np.sqrt(((ratio - ratio.mean()) ** 2).sum() / (n - 1)), _mad(ratio))
    if not spread > 1e-15 * np.abs(ratio).max():
        return _most_frequent(ratio, w)
    width = phi * 0.9 * spread / n ** 0.2
    start, end = ratio.min() - CUT * width, ratio.max() + CUT * width
    low, high = start - MARGIN * width, end + MARGIN * width
    step = (high - low) / (GRID - 1)
    if not (width > 0 and 0 < step < np.inf):
        return np.nan
    density = _density(ratio, w, low, step, width, work)
    best, where = -1.0, 0
    offset, slope = MARGIN * width / step, (end - start) / (high - low)
    for m in range(GRID):
        place = offset + m * slope
        left = min(int(place), GRID - 2)
        value = density[left] + (density[left + 1] - density[left]) * (place - left)
        if value > best:
            best, where = value, m
    return start + where * (end - start) / (GRID - 1)


@compiled
def _density(ratio, w, low, step, width, work):
    """Density at the places low + step m of R's convolution, up to a factor.

    R's distances in the convolution are (2 GRID - 2) / (2 GRID - 1) of the grid's (old.coords in R 4.4).
    """
    binned, density, bell = work[0, :GRID], work[1, :GRID], work[2]
    binned[:], density[:] = 0.0, 0.0
    for j in range(ratio.size):
        place = (ratio[j] - low) / step
        left = min(int(place), GRID - 2)
        binned[left] += w[j] * (left + 1 - place)
        binned[left + 1] += w[j] * (place - left)
    unit = step * (2 * GRID - 2) / (2 * GRID - 1) / width
    reach = min(int(REACH / unit) + 1, GRID - 1)
    value, ratio_of_next, ratio_of_ratios = 1.0, np.exp(-0.5 * unit ** 2), np.exp(-unit ** 2)
    for m in range(reach + 1):
        bell[reach + m] = bell[reach - m] = value
        value *= ratio_of_next
        ratio_of_next *= ratio_of_ratios
    for i in range(GRID):
        if binned[i] != 0:
            first, last = max(i - reach, 0), min(i + reach, GRID - 1)
            for m in range(first, last + 1):
                density[m] += binned[i] * bell[reach + m - i]
    return density


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
