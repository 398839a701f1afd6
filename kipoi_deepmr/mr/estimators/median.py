"""Medians of the instruments' Wald ratios."""

import numpy as np
from scipy import special

from ...compiled import compiled
from ...inference import check_choice
from ...methods import METHODS
from .. import notes
from ..kernels.rows import in_threads, rows_of
from ..problems import finish, prepare
from .bootstrap import by_ratio, check_bootstrap, normal_draws, ratio_weights
from .regression import WEIGHTS

PENALTY = 20.0
SORTED = 24  # instruments that are sorted; of more, those around the median are found first


def median_simple(bx, sx, by, sy, mask=None, *, n_bootstrap=1000, seed=42, alpha=0.05):
    """Median of the Wald ratios by / bx: right while more than half of the instruments are valid.

    Parameters and results are those of `median_weighted`, whose weights are equal here.
    """
    return _median(bx, sx, by, sy, mask, "equal", False, n_bootstrap, seed, alpha)


def median_weighted(bx, sx, by, sy, mask=None, *, weights="simple", n_bootstrap=1000, seed=42, alpha=0.05):
    """Weighted median of the Wald ratios: right while valid instruments hold more than half of the weight.

    The ratios' distribution function is interpolated linearly between the middles of its steps. The standard error is
    the standard deviation over parametric bootstrap samples, which draw bx and by from their normal distributions and
    keep the weights. Interval and p-value are normal.

    Parameters
    ----------
    bx, sx, by, sy : arrays of shape (..., V)
        Effects and standard errors on exposure and outcome, for V variants; broadcast against each other.
    mask : (..., V) bool, optional
        Which entries are instruments; what the others hold does not matter. All by default.
    weights : {"simple", "delta"}
        (bx / sy)^2 as in MendelianRandomization, or 1 / (sy^2 / bx^2 + by^2 sx^2 / bx^4) as in TwoSampleMR.
    n_bootstrap : int
        Bootstrap samples: the standard error's own standard error is 1 / sqrt(2 n_bootstrap) of it.
    seed : int
        The same seed gives the same result, in a batch or alone.
    alpha : float
        The interval covers 1 - alpha.

    Returns
    -------
    MRResult
        Arrays of shape (...); NaN with a note for fewer than 3 instruments, a standard error that is not positive and
        finite, exposure effects that are all 0, or weights that are. The ratio of an instrument of bx = 0 is infinite,
        as in R.

    Raises
    ------
    InputError
        Unknown weights, n_bootstrap below 2, a negative seed, or alpha outside (0, 1).

    References
    ----------
    Bowden J, Davey Smith G, Haycock PC, Burgess S (2016). Genet Epidemiol 40: 304-314. R:
    MendelianRandomization::mr_median, TwoSampleMR::mr_weighted_median.
    """
    return _median(bx, sx, by, sy, mask, weights, False, n_bootstrap, seed, alpha)


def median_penalized(bx, sx, by, sy, mask=None, *, weights="simple", n_bootstrap=1000, seed=42, alpha=0.05):
    """Weighted median in which instruments far from the weighted median lose weight.

    Weights are multiplied by min(1, 20 p), p being the chi-square p-value (1 degree of freedom) of the instrument's
    squared deviation from the weighted median times its weight. Parameters and results are those of
    `median_weighted`.
    """
    return _median(bx, sx, by, sy, mask, weights, True, n_bootstrap, seed, alpha)


def _median(bx, sx, by, sy, mask, weights, penalized, n_bootstrap, seed, alpha):
    check_choice("weights", weights, (*WEIGHTS, "equal"))
    check_bootstrap(n_bootstrap, seed)
    with np.errstate(all="ignore"):
        problems = prepare(bx, by, mask, METHODS["median_simple"].fewest)
        rows = rows_of(problems, sx, sy)
        data = by_ratio(rows, rows.mask * 1.0 if weights == "equal" else ratio_weights(rows, weights))
        ratio, w = data[:, 2] / data[:, 0], data[:, 4]
        estimate = _weighted_median(ratio, w, rows.n)
        if penalized:
            w *= np.where(w > 0, np.minimum(1, PENALTY * special.chdtrc(1, w * (ratio - estimate[:, None]) ** 2)), 0.0)
            estimate = _weighted_median(ratio, w, rows.n)
        problems.refuse(rows.to_shape(w.sum(-1) == 0), notes.NO_WEIGHT)
        se = np.empty(rows.n.size)
        draws = normal_draws(seed, n_bootstrap, data.shape[2])
        in_threads(_bootstrap, (data, rows.n, se), (draws,))
        return finish(problems, alpha, rows.to_effect(estimate), rows.to_effect(se))


def _weighted_median(ratio, w, n):
    """(P,) medians of the first n ratios (P, V), which are in ascending order."""
    middle = (np.cumsum(w, -1) - w / 2) / w.sum(-1, keepdims=True)
    after = (middle < 0.5).sum(-1)
    ends = np.stack([after - 1, after], -1).clip(0, np.maximum(n - 1, 0)[:, None])
    low, high = np.take_along_axis(middle, ends, 1).T
    ratio_low, ratio_high = np.take_along_axis(ratio, ends, 1).T
    share = np.where(high > low, (0.5 - low) / (high - low), 0.0)
    return ratio_low + np.where(share > 0, share * (ratio_high - ratio_low), 0.0)


@compiled
def _bootstrap(data, n, out, draws):
    """Write the standard deviations of the bootstrapped medians of P problems to out (P,)."""
    ratio, w, medians = np.empty(data.shape[2]), np.empty(data.shape[2]), np.empty(len(draws))
    for i in range(n.size):
        k = n[i]
        bx, sx, by, sy, weights = data[i, 0, :k], data[i, 1, :k], data[i, 2, :k], data[i, 3, :k], data[i, 4, :k]
        half = weights.sum() / 2
        for b in range(len(draws) if k else 0):
            dx, dy = draws[b, 0], draws[b, 1]
            for j in range(k):
                ratio[j] = (by[j] + sy[j] * dy[j]) / (bx[j] + sx[j] * dx[j])
                w[j] = weights[j]
            medians[b] = _one_median(ratio[:k], w[:k], half)
        out[i] = medians.std() * np.sqrt(len(draws) / (len(draws) - 1)) if k else np.nan


@compiled
def _one_median(ratio, w, half):
    """The weighted median of ratios in any order, which is changed; half is that of the sum of the weights."""
    first, last, below = _around(ratio, w, half)
    _sort(ratio[first:last], w[first:last])
    c = first
    while c < last - 1 and below + w[c] < half:
        below += w[c]
        c += 1
    middle = below + w[c] / 2
    if middle < half:
        if c + 1 == w.size:
            return ratio[c]
        d = c + 1 if c + 1 < last else last + np.argmin(ratio[last:])
        other = below + w[c] + w[d] / 2
    else:
        if c == 0:
            return ratio[c]
        d = c - 1 if c > first else np.argmax(ratio[:first])
        other = below - w[d] / 2
    if other == middle:
        return ratio[c]
    return ratio[c] + (ratio[d] - ratio[c]) * (half - middle) / (other - middle)


@compiled
def _around(ratio, w, half):
    """Move ratios until few are left around the median, [first, last), with the weight below them: quickselect."""
    first, last, below = 0, w.size, 0.0
    while last - first > SORTED:
        a, b, c = ratio[first], ratio[(first + last) // 2], ratio[last - 1]
        pivot = max(min(a, b), min(max(a, b), c))
        i, j, left = first, last - 1, 0.0
        while i <= j:
            while ratio[i] < pivot:
                left += w[i]
                i += 1
            while ratio[j] > pivot:
                j -= 1
            if i <= j:
                ratio[i], ratio[j], w[i], w[j] = ratio[j], ratio[i], w[j], w[i]
                left += w[i]
                i += 1
                j -= 1
        if below + left >= half:
            last = i
        else:
            first, below = i, below + left
    return first, last, below


@compiled
def _sort(ratio, w):
    for i in range(1, w.size):
        r, v, j = ratio[i], w[i], i
        while j > 0 and ratio[j - 1] > r:
            ratio[j], w[j] = ratio[j - 1], w[j - 1]
            j -= 1
        ratio[j], w[j] = r, v
