"""Mean and standard deviation of effects over all mutants of all loci, read block by block."""

from functools import partial

import numpy as np

from ..effects_store import StoredMutants, each_block, predicted_mutants


def moments(effects, map_blocks=None):
    """Mean and standard deviation (ddof = 0) of each mark's effects, of single mutants where there are any.

    So the unit of effects, and what counts as a strong one, are the same whatever other kinds of mutants are there.

    Parameters
    ----------
    effects : xarray.Dataset
        With `effect` (locus, variant, mark). Loci whose effects are all NaN do not count.
    map_blocks : callable, optional
        As `each_block`, which is the default: where blocks are read.

    Returns
    -------
    mean, sd : (mark,) float64
        NaN where no locus has effects.
    """
    mean, sd = _of_groups(effects, [population(effects)], map_blocks)
    return mean[0], sd[0]


def population(effects):
    """The variants by which others are measured, a slice: single mutants, or all where there are none."""
    return slice(StoredMutants(effects).n_single or None)


def moments_of_kinds(effects, map_blocks=None):
    """The same of each kind of mutants, since those of several bases are larger.

    Returns
    -------
    mean, sd : (kind, mark) float64
        In the order of `StoredMutants.kinds`. NaN where no locus has effects.
    """
    mutants = StoredMutants(effects)
    groups = [np.flatnonzero(mutants.of_kind == kind) for kind in range(len(mutants.kinds))]
    return _of_groups(effects, groups, map_blocks)


def _of_groups(effects, groups, map_blocks):
    """Moments of groups of variants: two (group, mark) arrays."""
    merged = [(0, 0.0, 0.0)] * len(groups)
    with np.errstate(all="ignore"):
        for found in (map_blocks or each_block)(partial(_of_block, groups=groups), effects):
            merged = [_merged(*pair) for pair in zip(merged, found, strict=True)]
        missing = np.full((2, effects.sizes["mark"]), np.nan)
        return np.swapaxes([(mean, np.sqrt(squares / count)) if count else missing for count, mean, squares in merged],
                           0, 1)


def _merged(one, other):
    """Count, mean and sum of squares of two parts together, by Chan's formula, which does not cancel."""
    (count, mean, squares), (n, other_mean, other_squares) = one, other
    if not n:
        return one
    shift = other_mean - mean
    return (count + n, mean + shift * (n / (count + n)),
            squares + other_squares + shift ** 2 * (count * n / (count + n)))


def _of_block(effects, block, groups):
    """Of each group, how many numbers there are, their mean and their sum of squares about it, by mark."""
    values = effects["effect"][block].values
    return [_of_values(values[:, group]) for group in groups]


def _of_values(values):
    values = values[predicted_mutants(values)].astype(np.float64)
    if not len(values):
        return 0, None, None
    with np.errstate(all="ignore"):
        mean = values.mean(0)
        return len(values), mean, ((values - mean) ** 2).sum(0)
