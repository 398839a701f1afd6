"""From a per-position output to one number, and the scales on which marks may be read."""

import numpy as np

from .errors import ModelError

CLIP = 1e-6  # of probabilities, before their logit

# what each summary is called for people, whether the sum must be positive, and how it follows from values and sum
SUMMARIES = {
    "sum": ("sum over positions", False, lambda values, total: total),
    "mean": ("mean over positions", False, lambda values, total: total / values.shape[1]),
    "max": ("maximum over positions", False, lambda values, total: values.max(1)),
    "log_sum": ("log of the sum over positions", True, lambda values, total: np.log(total)),
    "profile_mean": ("mean over positions weighted by the profile itself", True,
                     lambda values, total: np.einsum("np...,np...->n...", values, values, dtype=np.float64) / total),
}

# of a profile and its log counts: these counts alone; and the sum of the counts expected at each position
OF_PAIRS = {"counts": None, "total": "sum"}


def _logit(values):
    values = np.clip(values, CLIP, 1 - CLIP)
    return np.log(values) - np.log1p(-values)


# the least and greatest value of each scale's domain, whether they belong to it, how it is computed and called
SCALES = {
    "identity": (-np.inf, np.inf, True, lambda values: values, "as they are"),
    "logit": (0, 1, True, _logit, f"logit of probabilities clipped to [{CLIP:g}, 1 - {CLIP:g}]"),
    "log": (0, np.inf, False, np.log, "natural logarithm"),
    "log1p": (-1, np.inf, False, np.log1p, "log(1 + x)"),
    "anscombe": (-0.375, np.inf, True, lambda values: 2 * np.sqrt(values + 0.375), "2 sqrt(x + 3/8), Anscombe's"),
}


def summarised(values, summary, names):
    """One number from the positions of an output.

    Parameters
    ----------
    values : (n, P, T, ...) array
    summary : str
        A key of `SUMMARIES`.
    names : sequence of str
        Of the T marks, for the message.

    Returns
    -------
    (n, ...) float64
        Sums are taken in float64 whatever the dtype of the output.

    Raises
    ------
    ModelError
        The summary needs a positive sum and there is none; the message names the mark. NaN passes.
    """
    _, is_positive, function = SUMMARIES[summary]
    total = np.einsum("np...->n...", values, dtype=np.float64)  # much faster than values.sum(1) for few columns
    wrong = np.argwhere(total <= 0) if is_positive else ()
    if len(wrong):
        raise ModelError(f"--mark_summary {summary}: the sum over positions must be positive, but that of mark "
                         f"{names[wrong[0][1]]} is {total[tuple(wrong[0])]:g}")
    return function(values, total)


def scaled(values, scale, names):
    """Values (n, T) on another scale, a key of `SCALES`; `names` are those of the T marks.

    Raises
    ------
    ModelError
        A value is outside the scale's domain; the message names its mark. NaN passes.
    """
    least, greatest, with_ends, function, _ = SCALES[scale]
    outside = (values < least) | (values > greatest)
    if not with_ends:
        outside |= values == least
    if outside.any():
        row, column = np.argwhere(outside)[0]
        raise ModelError("--scale {}: mark {} is {:g}, but it must be {} {:g}{}".format(
            scale, names[column], values[row, column], "at least" if with_ends else "above", least,
            "" if np.isinf(greatest) else f" and at most {greatest:g}"))
    return function(values)
