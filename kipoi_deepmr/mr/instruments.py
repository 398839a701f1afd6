"""Instruments: which variants serve for a mark as exposure."""

from dataclasses import dataclass
from typing import Optional

import numpy as np

from ..errors import InputError, nearest
from ..inference import check_choice
from .moderation import SE_SHRINKAGES, Moderation, moderation_for

RULES = ("pooled", "own")
NOT_PREDICTED = "the model's predictions are not finite"
BLOCK_BYTES = 16_000_000  # of effects in float64 held at a time


@dataclass(frozen=True, eq=False)
class InstrumentRule:
    """Which variants are instruments for each mark.

    Attributes
    ----------
    rule : {"pooled", "own"}
        pooled, the paper's: |effect - mean| / sd >= z, against all mutants of all loci. own: |effect| / effect_se >= z,
        against the variant's own standard error; a variant whose effect_se is 0 or not a number is no instrument.
    z : float
    mean, sd : (mark,) float64, or None for the rule own
        Of the effects over all mutants of all loci. A mark whose sd is 0 has no instruments.
    moderation : Moderation, optional
        Of the standard errors, for whatever is done with them.
    """

    rule: str
    z: float
    mean: Optional[np.ndarray] = None
    sd: Optional[np.ndarray] = None
    moderation: Optional[Moderation] = None

    def __post_init__(self):
        if self.rule not in RULES:
            raise InputError(f"unknown instrument rule {self.rule!r}{nearest(self.rule, RULES)}")
        if not 0 <= self.z < np.inf:
            raise InputError(f"the instruments' z must be a number of at least 0, not {self.z!r}")

    def mask(self, effect, effect_se):
        """Which variants are instruments for a mark as exposure.

        Parameters
        ----------
        effect, effect_se : (..., mark) arrays

        Returns
        -------
        (..., mark) bool

        Raises
        ------
        InputError
            The rule was made for another number of marks.
        """
        effect, effect_se = np.asarray(effect, np.float64), np.asarray(effect_se, np.float64)
        if self.rule == "own":
            if self.moderation:
                effect_se = self.moderation.moderated(effect_se)
            usable = (effect_se > 0) & np.isfinite(effect_se)
            return usable & (np.abs(effect) >= self.z * np.where(usable, effect_se, 1.0))
        if np.shape(self.mean) != effect.shape[-1:]:
            raise InputError(f"the instrument rule is for {np.size(self.mean)} marks, the effects have "
                             f"{effect.shape[-1]}")
        return (np.abs(effect - self.mean) >= self.z * self.sd) & (self.sd > 0)


def rule_for(effects, rule="pooled", z=3.0, se_shrinkage="none"):
    """The instrument rule for a Dataset of effects.

    Parameters
    ----------
    effects : xarray.Dataset
        With `effect` (locus, variant, mark): read once, block by block, for the rule pooled; not at all for own.
    rule : {"pooled", "own"}
    z : float
        3 in the paper's analysis of BPNet, 2 in its simulation.
    se_shrinkage : {"none", "moderated"}
        moderated: the rule holds the moderation of the standard errors, as `moderation_for` finds it.

    Returns
    -------
    InstrumentRule
        For the rule pooled, mean and standard deviation are those of all mutants of all loci, without the loci whose
        effects are all NaN, since the model's predictions were not finite. These are the whole population that the rule
        speaks about, so the divisor is their number (ddof = 0).

    Raises
    ------
    InputError
        An unknown rule or se_shrinkage, a z that is not a number of at least 0, or effects that are not finite.

    References
    ----------
    Malina S, Cizin D, Knowles DA (2022). Deep Mendelian randomization. PLoS Comput Biol 18(10): e1009880.
    """
    check_choice("se_shrinkage", se_shrinkage, SE_SHRINKAGES)
    InstrumentRule(rule, z)  # refuses bad ones before the effects are read
    moderation = moderation_for(effects) if se_shrinkage == "moderated" else None
    if rule != "pooled":
        return InstrumentRule(rule, z, moderation=moderation)
    mean, sd = _moments(effects)
    bad = effects["mark"].values[~np.isfinite(sd)]
    if len(bad):
        raise InputError(f"effects on {', '.join(map(str, bad[:5]))} are not finite numbers: predict them again")
    return InstrumentRule(rule, z, mean, sd, moderation)


def locus_blocks(effects):
    """Slices of loci whose effects fit in `BLOCK_BYTES`."""
    sizes = effects.sizes
    block = max(1, BLOCK_BYTES // (8 * max(1, sizes["variant"] * sizes["mark"])))
    return [slice(i, min(i + block, sizes["locus"])) for i in range(0, sizes["locus"], block)]


def not_predicted(effect):
    """Which loci have no effects, since a model's predictions were not finite: (locus, variant, mark) to (locus,)."""
    return np.isnan(effect).all((1, 2))


def _moments(effects):
    """Mean and sd over all loci and variants; blocks are merged by Chan's formula, which does not cancel."""
    count, mean, squares = 0, 0.0, 0.0
    with np.errstate(all="ignore"):
        for block in locus_blocks(effects):
            values = effects["effect"][block].values
            values = values[~not_predicted(values)].astype(np.float64)
            n = values.shape[0] * values.shape[1]
            if not n:
                continue
            block_mean = values.mean((0, 1))
            shift = block_mean - mean
            squares = squares + ((values - block_mean) ** 2).sum((0, 1)) + shift ** 2 * (count * n / (count + n))
            mean = mean + shift * (n / (count + n))
            count += n
    if not count:
        return np.full((2, effects.sizes["mark"]), np.nan)
    return mean, np.sqrt(squares / count)
