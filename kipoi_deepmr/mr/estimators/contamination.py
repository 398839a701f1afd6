"""The contamination mixture."""

from dataclasses import replace

import numpy as np
from scipy import special

from ...compiled import compiled
from ...errors import InputError
from ...inference import quantile
from ...methods import METHODS
from .. import notes
from ..kernels.rows import in_threads, rows_of
from ..problems import finish, prepare

FOUND = ("estimate", "low", "high", "count", "statistic")


def contamination_mixture(bx, sx, by, sy, mask=None, *, invalid_sd=None, ci_min=None, ci_max=None, alpha=0.05):
    """Contamination mixture: the causal effect that most instruments agree on, by profile likelihood.

    An instrument's ratio is normal around the causal effect if the instrument is valid, and around 0 with the
    additional standard deviation `invalid_sd` if it is not; each effect is given every instrument's better likelihood.
    The estimate has the highest likelihood. The interval holds the effects whose likelihood ratio, divided by the valid
    instruments' overdispersion (at least 1), is not significant; the p-value tests 0 in the same way. Where that is
    several intervals, ci_low and ci_high are the outermost ends and `note` gives their number. The standard error is
    the interval's width over that of a standard normal's.

    Maximum and ends are exact. R's lie on a grid of 0.01, whatever the size of the effect.

    Parameters
    ----------
    bx, sx, by, sy : arrays of shape (..., V)
        Effects and standard errors on exposure and outcome, for V variants; broadcast against each other.
    mask : (..., V) bool, optional
        Which entries are instruments; what the others hold does not matter. All by default.
    invalid_sd : float, optional
        R's psi, which elsewhere is a correlation. 1.5 times the standard deviation of the ratios by default.
    ci_min, ci_max : float, optional
        Effects outside are not considered; by default those two standard errors beyond all ratios.
    alpha : float
        The interval covers 1 - alpha.

    Returns
    -------
    MRResult
        Arrays of shape (...); NaN with a note for fewer than 2 instruments (1, if `invalid_sd` is given), a standard
        error that is not positive and finite, an exposure effect of 0, or a likelihood that does not depend on the
        effect.

    Raises
    ------
    InputError
        invalid_sd not above 0, ci_min not below ci_max, or alpha outside (0, 1).

    References
    ----------
    Burgess S, Foley CN, Allara E, Staley JR, Howson JMM (2020). Nat Commun 11: 376. R:
    MendelianRandomization::mr_conmix; its p-value multiplies by the overdispersion instead of dividing by it.
    """
    if invalid_sd is not None and not 0 < invalid_sd < np.inf:
        raise InputError(f"invalid_sd must be a number above 0, not {invalid_sd!r}")
    if not (-np.inf if ci_min is None else ci_min) < (np.inf if ci_max is None else ci_max):
        raise InputError(f"ci_min must be below ci_max, but they are {ci_min!r} and {ci_max!r}")
    with np.errstate(all="ignore"):
        problems = prepare(bx, by, mask, METHODS["contamination_mixture"].fewest if invalid_sd is None else 1)
        problems.refuse(((problems.bx == 0) & problems.mask).any(-1), notes.ZERO_EXPOSURE)
        rows = rows_of(problems, sx, sy)
        unit = (rows.unit_y / rows.unit_x).ravel()
        ratio = rows.data[:, 2] / rows.data[:, 0]
        se_ratio = np.where(rows.mask, rows.data[:, 3] / np.abs(rows.data[:, 0]), 0.0)
        lowest = np.where(rows.mask, ratio - 2 * se_ratio, np.inf).min(-1) if ci_min is None else ci_min / unit
        highest = np.where(rows.mask, ratio + 2 * se_ratio, -np.inf).max(-1) if ci_max is None else ci_max / unit
        spread = 1.5 * _sd(ratio, rows) if invalid_sd is None else invalid_sd / unit
        found = np.empty((rows.n.size, len(FOUND)))
        reach, cuts = _cuts(ratio, se_ratio, spread[:, None], lowest[:, None], highest[:, None], rows)
        in_threads(_mixtures, (ratio, se_ratio ** -2.0, reach, cuts, rows.n, found), (quantile(alpha) ** 2,))
        found = dict(zip(FOUND, found.T, strict=True))
        problems.refuse(rows.to_shape(np.isnan(found["estimate"]) & (found["count"] > 0)), notes.FLAT)
        low, high = (rows.to_effect(found[end]) for end in ("low", "high"))
        result = finish(problems, alpha, rows.to_effect(found["estimate"]), (high - low) / (2 * quantile(alpha)))
        solved, count = result.note == "", rows.to_shape(found["count"])
        for several in np.unique(count[solved & (count > 1)]):
            result.note[solved & (count == several)] = notes.separate_intervals(several)
        numbers = {"ci_low": low, "ci_high": high,
                   "pvalue": rows.to_shape(special.chdtrc(1, found["statistic"]))}
        return replace(result, **{name: np.where(solved, values, np.nan) for name, values in numbers.items()})


def _sd(ratio, rows):
    mean = np.where(rows.mask, ratio, 0.0).sum(-1) / rows.n
    return np.sqrt(np.where(rows.mask, (ratio - mean[:, None]) ** 2, 0.0).sum(-1) / (rows.n - 1))


def _cuts(ratio, se_ratio, spread, lowest, highest, rows):
    """How far from its ratio an instrument is taken as valid, and the effects where that changes; between two of them,
    and between the bounds, the log-likelihood is one parabola."""
    reach = se_ratio * np.sqrt(np.log1p((spread / se_ratio) ** 2) + ratio ** 2 / (spread ** 2 + se_ratio ** 2))
    cuts = np.where(rows.mask, np.stack([ratio - reach, ratio + reach]), np.nan)
    cuts = np.concatenate([*cuts, lowest, highest], -1)
    return reach, np.sort(np.where((cuts >= lowest) & (cuts <= highest), cuts, np.nan), -1)


@compiled
def _mixtures(ratio, weight, reach, cuts, n, out, critical):
    """Write estimate, interval, how many intervals it spans and the test statistic of P problems to out (P, FOUND)."""
    for i in range(n.size):
        k = n[i]
        r, w, d = ratio[i, :k], weight[i, :k], reach[i, :k]
        best, highest, null = np.nan, 0.0, 0.0
        for m in range(cuts.shape[1] - 1 if k else 0):
            center, height, curvature = _parabola(r, w, d, cuts[i, m], cuts[i, m + 1])
            theta = min(max(center, cuts[i, m]), cuts[i, m + 1])
            value = height - curvature * (theta - center) ** 2 / 2
            if value > highest:
                best, highest = theta, value
        for j in range(k):
            null += max(0.0, w[j] * (d[j] * d[j] - r[j] * r[j]) / 2)
        phi2 = _overdispersion(r, w, d, best)
        out[i, 0], out[i, 4] = best, max(2 * (highest - null) / phi2, 0.0)
        out[i, 1], out[i, 2], out[i, 3] = _intervals(r, w, d, cuts[i], highest - critical * phi2 / 2)


@compiled
def _parabola(r, w, reach, left, right):
    """Where the parabola between two cuts is highest, its height there, and minus its curvature."""
    middle = left + (right - left) / 2
    weight = shift = height = 0.0
    for j in range(r.size):
        if abs(middle - r[j]) < reach[j]:
            weight += w[j]
            shift += w[j] * (r[j] - middle)
    center = middle + shift / weight if weight > 0 else middle
    for j in range(r.size):
        if abs(middle - r[j]) < reach[j]:
            height += w[j] * (reach[j] ** 2 - (center - r[j]) ** 2) / 2
    return center, height, weight


@compiled
def _overdispersion(r, w, reach, theta):
    """Squared residual standard error of the ratios valid at theta around their weighted mean, at least 1."""
    count, weight, total, squares = 0, 0.0, 0.0, 0.0
    for j in range(r.size):
        if abs(theta - r[j]) < reach[j]:
            count += 1
            weight += w[j]
            total += w[j] * r[j]
    for j in range(r.size):
        if abs(theta - r[j]) < reach[j]:
            squares += w[j] * (r[j] - total / weight) ** 2
    return max(squares / (count - 1), 1.0) if count > 1 else 1.0


@compiled
def _intervals(r, w, reach, cuts, threshold):
    """The outermost ends of the intervals where the log-likelihood is above a threshold, and their number."""
    low, high, count = np.nan, np.nan, 0.0
    for m in range(cuts.size - 1 if r.size else 0):
        center, height, curvature = _parabola(r, w, reach, cuts[m], cuts[m + 1])
        half = np.sqrt(2 * (height - threshold) / curvature) if curvature > 0 else np.inf
        left, right = max(center - half, cuts[m]), min(center + half, cuts[m + 1])
        if height > threshold and left < right:
            if count == 0:
                low = left
            if not left <= high:
                count += 1
            high = right
    return low, high, count
