"""Mean and standard deviation of effects over all mutants of all loci, read block by block."""

import numpy as np

from ..effects_store import each_block, predicted_mutants


def moments(effects, map_blocks=None):
    """Mean and standard deviation (ddof = 0) of each mark's effects.

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
    count, mean, squares = 0, 0.0, 0.0
    with np.errstate(all="ignore"):
        for n, block_mean, block_squares in (map_blocks or each_block)(_of_block, effects):
            if not n:
                continue
            shift = block_mean - mean  # merged by Chan's formula, which does not cancel
            squares = squares + block_squares + shift ** 2 * (count * n / (count + n))
            mean = mean + shift * (n / (count + n))
            count += n
    if not count:
        return np.full((2, effects.sizes["mark"]), np.nan)
    return mean, np.sqrt(squares / count)


def _of_block(effects, block):
    """How many numbers there are, their mean and their sum of squares about it, by mark."""
    values = effects["effect"][block].values
    values = values[predicted_mutants(values)].astype(np.float64)
    n = len(values)
    if not n:
        return 0, None, None
    with np.errstate(all="ignore"):
        mean = values.mean(0)
        return n, mean, ((values - mean) ** 2).sum(0)
