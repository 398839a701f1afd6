"""Instruments: which variants serve for a mark as exposure."""

import logging
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from ..effects_store import StoredMutants
from ..errors import InputError, nearest
from ..loci.mutants import REGIONS, SINGLE
from ..options import EstimatorOptions
from .answers import Answers
from .assignment import Assignment, assign
from .moderation import Moderation, moderation_for, moderation_of
from .moments import moments, moments_of_kinds
from .regions import Regions, read_regions

log = logging.getLogger(__name__)

RULES = EstimatorOptions.choices_of("instruments")


class Instruments(NamedTuple):
    """Instruments of some loci, or of one (then without the axis locus).

    Attributes
    ----------
    mask : (locus, variant, mark) bool
        Which variants are instruments for a mark as exposure.
    size : (locus, variant, mark) float64, or None
        With Steiger's filter: how much a variant moves each mark, in that mark's standard deviations. An instrument of
        the exposure then serves for the outcomes that it moves less.
    """

    mask: np.ndarray
    size: np.ndarray | None = None

    def at(self, index):
        """Those at an index of the first axes, such as a slice of loci."""
        return Instruments(self.mask[index], None if self.size is None else self.size[index])

    def of_pairs(self, exposure, outcome):
        """Which variants are instruments of ordered pairs of marks.

        Parameters
        ----------
        exposure, outcome : int or (pair,) sequences of int
            Broadcast against each other.

        Returns
        -------
        (locus, variant) or (locus, variant, pair) bool
        """
        exposure, outcome = np.broadcast_arrays(exposure, outcome)
        chosen = self.mask[..., exposure]
        return chosen if self.size is None else chosen & (self.size[..., exposure] > self.size[..., outcome])


@dataclass(frozen=True, eq=False)
class Direct:
    """What tells on which mark a mutant acts directly.

    Attributes
    ----------
    assignment : Assignment
    n_members : int
        Those whose mean the effects are.
    moderation : Moderation, optional
        Of the mutants' standard errors, where these are not moderated already: few members give unsure ones.
    """

    assignment: Assignment
    n_members: int
    moderation: Moderation | None = None

    def acts(self, effect, effect_se, locus):
        """On which mark mutants act.

        Parameters
        ----------
        effect, effect_se : (mutant, mark) float64
        locus : (mutant,) int
            Number of each one's locus; ascending.

        Returns
        -------
        Acts
            Arrays (mutant,).
        """
        if self.moderation:
            effect_se = self.moderation.moderated(effect_se, effect)
        return self.assignment.of_mutants(effect, locus, effect_se / np.sqrt(self.n_members))

    def own(self, effect, effect_se, locus, z):
        """Which mutants act on each mark alone, by at least z of their standard errors: (mutant, mark) bool.

        Parameters are those of `acts`.
        """
        clean = self.acts(effect, effect_se, locus).instruments(effect.shape[-1])
        rows = clean.any(1)
        action = self.assignment.action_of_mutants(effect[rows], locus[rows])
        clean[rows] &= np.abs(action) >= z * effect_se[rows]
        return clean

    def without_a_member(self):
        """The same for effects that are the mean of one member less."""
        moderation = self.moderation and replace(self.moderation, df=self.moderation.df - 1)
        return replace(self, n_members=self.n_members - 1, moderation=moderation)


@dataclass(frozen=True, eq=False)
class InstrumentRule:
    """Which variants are instruments for each mark.

    Attributes
    ----------
    rule : {"pooled", "own", "variants", "direct", "regions"}
        pooled, the paper's: `|effect - mean| / sd >= z`, against all mutants of all loci. own:
        `|effect| / effect_se >= z`, against the variant's own standard error; a variant whose effect_se is 0 or not a
        number is no instrument. variants: as pooled, and the mutant is one of `variants`. direct: the mutant acts on
        the mark alone, and both its effect and its own action are at least z times effect_se. regions: it lies in a
        region of the mark and of no other, and `|effect| / effect_se >= z`.
    z : float
    mean, sd : (mark,) or (kind, mark) float64, or None for the rule own
        Of the effects over all mutants of all loci, or over those of each kind. A mark whose sd is 0 has none.
    variants : (n,) int64, for the rule variants
        Mutants, as the number of the locus times mutants a locus plus the mutant's number in it; sorted.
    scale : (mark,) or (kind, mark) float64, optional
        Steiger's filter: an instrument of X serves for the pair X -> Y only if `|effect| / scale` is larger on X than
        on Y. `rule_for` gives the standard deviation over all mutants of all loci; 0 means that nothing moves the mark.
    direct : Direct, for the rule direct
    regions : Regions, for the rule regions
    of_kind : (variant,) int, where there are kinds
        The row of `mean`, `sd` and `scale` that each mutant is measured by.
    answers : Answers, optional
        For the rule direct: what it has said, which it says again of the same loci. See `remembering`.

    References
    ----------
    Hemani G, Tilling K, Davey Smith G (2017). PLoS Genet 13: e1007081. R: TwoSampleMR::steiger_filtering, here with the
    same genotypes for all mutants, so that shares of variance compare as squares of `|effect| / scale`.
    """

    rule: str
    z: float
    mean: np.ndarray | None = None
    sd: np.ndarray | None = None
    variants: np.ndarray | None = None
    scale: np.ndarray | None = None
    direct: Direct | None = None
    regions: Regions | None = None
    of_kind: np.ndarray | None = None
    answers: Answers | None = None

    def __post_init__(self):
        if self.rule not in RULES:
            raise InputError(f"unknown instrument rule {self.rule!r}{nearest(self.rule, RULES)}")
        if not 0 <= self.z < np.inf:
            raise InputError(f"the instruments' z must be a number of at least 0, not {self.z!r}")
        if (self.rule == "variants") != (self.variants is not None):
            raise InputError("the instrument rule variants, and no other, goes with the variants of a VCF")

    def mask(self, effect, effect_se, loci=None):
        """Which variants are instruments for a mark as exposure, before Steiger's filter.

        Parameters
        ----------
        effect, effect_se : (..., mark) arrays
            (locus, variant, mark) or (variant, mark) for the rules variants, direct and regions.
        loci : slice, array of int or int
            Numbers of the loci in the Dataset; what these rules need.

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
            usable = (effect_se > 0) & np.isfinite(effect_se)
            return usable & (np.abs(effect) >= self.z * np.where(usable, effect_se, 1.0))
        if self.rule in ("direct", "regions"):
            if effect.ndim == 2:
                return self.mask(effect[None], effect_se[None], [loci])[0]
            return self._known_or_own(effect, effect_se, loci)
        if np.shape(self.mean)[-1:] != effect.shape[-1:]:
            raise InputError(f"the instrument rule is for {np.shape(self.mean)[-1]} marks, the effects have "
                             f"{effect.shape[-1]}")
        mean, sd = self._by_variant(self.mean), self._by_variant(self.sd)
        chosen = (np.abs(effect - mean) >= self.z * sd) & (sd > 0)
        return chosen & self._among_variants(loci, effect.shape[-2]) if self.rule == "variants" else chosen

    def instruments(self, effect, effect_se, loci=None):
        """The `Instruments` that the rule finds; arguments and errors are those of `mask`."""
        return Instruments(self.mask(effect, effect_se, loci), self.size(effect))

    def acts(self, effect, effect_se, locus):
        """On which mark mutants of one locus act directly, by the rule direct: `Acts` of arrays (variant,); else None.

        Parameters
        ----------
        effect, effect_se : (variant, mark) arrays
        locus : int
        """
        if not self.direct:
            return None
        effect, effect_se = np.asarray(effect, np.float64), np.asarray(effect_se, np.float64)
        return self.direct.acts(effect, effect_se, np.full(len(effect), locus))

    def without_member(self, k):
        """The rule for effects that are the mean of all members but member k."""
        if not self.direct:
            return self
        return replace(self, direct=self.direct.without_a_member(), answers=self.answers and self.answers.without(k))

    def remembering(self, sizes):
        """The rule, which computes once what it says of a locus: for use with the effects of one Dataset alone.

        Parameters
        ----------
        sizes : mapping of str to int
            Of the Dataset's dimensions.
        """
        return replace(self, answers=Answers.of(sizes)) if self.direct else self

    def _known_or_own(self, effect, effect_se, loci):
        """As `_own`; what is known of all these loci is not computed again."""
        known = self.answers and self.answers.mask(loci, effect.shape[-1])
        if known is not None:
            return known
        mask = self._own(effect, effect_se, loci)
        if self.answers:
            self.answers.keep(loci, mask)
        return mask

    def _own(self, effect, effect_se, loci):
        """Large mutants of the rules direct and regions; arrays (locus, variant, mark), `loci` a slice or numbers."""
        chosen = (effect != 0) & (np.abs(effect) >= self.z * effect_se)
        if self.regions:
            return chosen & self.regions.of_block(loci)
        rows = chosen.any(-1)
        numbers = np.arange(loci.start, loci.stop) if isinstance(loci, slice) else np.asarray(loci)
        locus = np.broadcast_to(numbers[:, None], rows.shape)[rows]
        chosen[rows] &= self.direct.own(effect[rows], effect_se[rows], locus, self.z)
        return chosen

    def size(self, effect, variant=slice(None)):
        """How much variants move each mark, in units of `scale`; None without Steiger's filter.

        `effect` is that of all variants (..., variant, mark), or of those numbered `variant`, a slice or an int.
        """
        if self.scale is None:
            return None
        scale = self._by_variant(self.scale, variant)
        moves = scale > 0
        return np.where(moves, np.abs(np.asarray(effect, np.float64)) / np.where(moves, scale, 1.0), 0.0)

    def _by_variant(self, of_kinds, variant=slice(None)):
        """Values (kind, mark) as (variant, mark); those that all kinds share as they are."""
        return of_kinds if self.of_kind is None else of_kinds[self.of_kind[variant]]

    def _among_variants(self, loci, n_mutants):
        """Which mutants of loci are natural: (locus, variant, 1) bool, without locus for a single one."""
        numbers = np.arange(loci.start, loci.stop) if isinstance(loci, slice) else np.asarray(loci)
        mutants = numbers[..., None] * n_mutants + np.arange(n_mutants)
        place = np.searchsorted(self.variants, mutants)
        return (place < np.searchsorted(self.variants, mutants, "right"))[..., None]


def rule_for(effects, rule="pooled", z=3.0, variants=None, steiger=False, map_blocks=None, regions=None,
             assignment=None):
    """The instrument rule for a Dataset of effects.

    Parameters
    ----------
    effects : xarray.Dataset
        With `effect` (locus, variant, mark): read block by block; not at all for own and regions without `steiger`.
    rule : {"pooled", "own", "variants", "direct", "regions"}
    z : float
        3 in the paper's analysis of BPNet, 2 in its simulation.
    variants : (n,) int64, for the rule variants
        As `InstrumentRule` has them.
    steiger : bool
        Steiger's filter: of the instruments of X, those alone serve for X -> Y that move X more than Y, each in
        standard deviations of that mark's effects.
    map_blocks : callable, optional
        As `each_block`, which is the default: where blocks are read.
    regions : str, for the rule regions
        A BED file whose names are marks.
    assignment : Assignment, for the rule direct
        That of these effects, if it is known already.

    Returns
    -------
    InstrumentRule
        For the rules pooled and variants, and for `steiger`, mean and standard deviation are those of all mutants of
        all loci, without the loci whose effects are all NaN, since the model's predictions were not finite. These are
        the whole population that the rule speaks about, so the divisor is their number (ddof = 0). Where there are
        several kinds of mutants, each is its own population, but for ablated regions: all of these are meant to act,
        so they are measured by the single mutants.

    Raises
    ------
    InputError
        An unknown rule, a z that is not a number of at least 0, effects that are not finite, or the rule variants
        without single mutants; as `assign` for direct and `read_regions` for regions.

    References
    ----------
    Malina S, Cizin D, Knowles DA (2022). Deep Mendelian randomization. PLoS Comput Biol 18(10): e1009880.
    """
    InstrumentRule(rule, z, variants=variants)  # refuses bad ones before the effects are read
    if rule == "variants":
        check_natural(StoredMutants(effects).kinds)
    if (rule == "regions") != bool(regions):
        raise InputError("the instrument rule regions, and no other, goes with regions of marks: --instrument_regions")
    found = {"regions": read_regions(regions, effects, effects["mark"].values)} if regions else {}
    for note in found["regions"].left_out if regions else ():
        log.warning("%s", note)
    if rule == "direct":
        found["direct"] = direct_of(effects, map_blocks, assignment)
    unscaled = rule in ("own", "direct", "regions")
    if unscaled and not steiger:
        return InstrumentRule(rule, z, **found)
    mean, sd, of_kind = _population(effects, map_blocks)
    bad = effects["mark"].values[~np.isfinite(sd).reshape(-1, sd.shape[-1]).all(0)]
    if len(bad):
        raise InputError(f"effects on {', '.join(map(str, bad[:5]))} are not finite numbers: predict them again")
    of_all = {} if unscaled else {"mean": mean, "sd": sd}
    return InstrumentRule(rule, z, **of_all, **found, variants=variants, scale=sd if steiger else None,
                          of_kind=of_kind)


def _population(effects, map_blocks):
    """Mean and sd of all mutants, and None; or of each kind, and the row that each mutant is measured by."""
    mutants = StoredMutants(effects)
    if len(mutants.kinds) == 1:
        return *moments(effects, map_blocks), None
    row = np.arange(len(mutants.kinds))
    if REGIONS in mutants.kinds:  # which never come without single mutants
        row[mutants.kinds.index(REGIONS)] = mutants.kinds.index(SINGLE)
    mean, sd = moments_of_kinds(effects, map_blocks)
    return mean[row], sd[row], mutants.of_kind


def check_natural(kinds):
    """Raise `InputError` unless single mutants, which natural variants are, are among these kinds of mutants."""
    if SINGLE not in kinds:
        raise InputError(f"the instrument rule variants needs single mutants, and here are only {', '.join(kinds)}: "
                         "predict with single among --mutants")


def direct_of(effects, map_blocks=None, assignment=None):
    """`Direct` of a Dataset with every member's effects, and their assignment if it is known; errors as `assign`."""
    # the sample and what was found would travel with every block
    assignment = replace(assignment or assign(effects, map_blocks), sample=None, found=None)
    moderation = None if moderation_of(effects) else moderation_for(effects, True, map_blocks)
    return Direct(assignment, effects.sizes["member"], moderation)
