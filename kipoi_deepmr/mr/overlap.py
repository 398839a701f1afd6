"""Sample overlap, measured: how an instrument's exposure and outcome errors go together over the members."""

import numpy as np

from ..effects_store import locus_blocks
from .block import Block

LARGEST = 0.9999  # in size, of a correlation that estimators can use


def psi_of_members(effects, rule):
    """Correlation of the errors of each exposure's instruments on that mark and on every other.

    An error is a member's effect minus the ensemble's, in units of the mutant's standard error, so that every
    instrument of every locus counts alike.

    Parameters
    ----------
    effects : xarray.Dataset
        With `member_effect`; read block by block.
    rule : InstrumentRule

    Returns
    -------
    (mark, mark) float64
        Rows are exposures; NaN where there are no instruments, and at most `LARGEST` in size.
    """
    n = effects.sizes["mark"]
    xy, xx, yy = np.zeros((3, n, n))
    for block in locus_blocks(effects):
        known = Block.read(effects, block, rule, with_members=True)
        known = known.part(~known.lost)
        instruments, effect_se, members = known.instruments, known.effect_se, known.members.astype(np.float64)
        usable = (effect_se > 0) & np.isfinite(effect_se)
        scale = np.where(usable, 1 / np.where(usable, effect_se, 1.0), 0.0)
        error = np.moveaxis((members - members.mean(1, keepdims=True)) * scale[:, None], 1, 2)
        for x in range(n):
            found = instruments.mask[..., x]
            serves, errors = instruments.at(found).of_pairs(x, np.arange(n)), error[found]
            square = errors ** 2
            xy[x] += ((errors[..., x, None] * errors).sum(1) * serves).sum(0)
            xx[x] += (square[..., x].sum(1)[:, None] * usable[found] * serves).sum(0)
            yy[x] += (square.sum(1) * serves).sum(0)
    with np.errstate(all="ignore"):
        return np.clip(xy / np.sqrt(xx * yy), -LARGEST, LARGEST)
