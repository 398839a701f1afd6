"""Sample overlap, measured: how an instrument's exposure and outcome errors go together over the members."""

import numpy as np

from ..effects_store import locus_blocks, not_predicted

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
        effect, effect_se, members = (effects[name][block].values.astype(np.float64)
                                      for name in ("effect", "effect_se", "member_effect"))
        known = ~not_predicted(effect)
        instruments = rule.instruments(effect, effect_se, block).at(known)
        effect_se, members = effect_se[known], members[known]
        if rule.moderation:
            effect_se = rule.moderation.moderated(effect_se)
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
