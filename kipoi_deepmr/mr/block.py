"""A block of loci: effects, standard errors, members and instruments, as the fits and the diagnostics use them."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from ..effects_store import ddof_of, not_predicted, predicted_mutants
from ..instruments.moderation import Moderation, moderation_of
from ..instruments.rules import InstrumentRule, Instruments


class PairData(NamedTuple):
    """What estimators take of one exposure and several outcomes, cut to the instruments.

    Attributes
    ----------
    bx, sx : (locus, 1, n) float64
    by, sy : (locus, outcome, n) float64
    mask : (locus, 1 or outcome, n) bool
        Which places hold an instrument: loci with fewer than n are padded.
    """

    bx: np.ndarray
    sx: np.ndarray
    by: np.ndarray
    sy: np.ndarray
    mask: np.ndarray


@dataclass(frozen=True, eq=False)
class Block:
    """Some loci of a Dataset.

    Attributes
    ----------
    loci : slice
        Their numbers in the Dataset.
    effect, effect_se : (locus, variant, mark) float64
    instruments : Instruments
    members : (locus, member, variant, mark) array, optional
        Every member's effects.
    """

    loci: slice
    effect: np.ndarray
    effect_se: np.ndarray
    instruments: Instruments
    members: np.ndarray | None = None

    @classmethod
    def read(cls, effects, loci, rule, with_members=False):
        """Read loci (a slice) of a Dataset of effects, and find their instruments by a rule."""
        effect, effect_se = (effects[name][loci].values.astype(np.float64) for name in ("effect", "effect_se"))
        members = effects["member_effect"][loci].values if with_members else None
        return cls(loci, effect, effect_se, rule.instruments(effect, effect_se, loci), members)

    @property
    def lost(self):
        """Which loci have no effects, since the model's predictions were not finite: (locus,) bool."""
        return not_predicted(self.effect)

    def part(self, loci):
        """Some of the loci, by a slice or a mask within the block."""
        members = None if self.members is None else self.members[loci]
        return replace(self, effect=self.effect[loci], effect_se=self.effect_se[loci],
                       instruments=self.instruments.at(loci), members=members)

    def of_member(self, k):
        """The block with the effects of member k, and the instruments and standard errors of all."""
        return replace(self, effect=self.members[:, k].astype(np.float64))

    def of_pairs(self, exposure, outcomes):
        """`PairData` of one exposure and a list of outcomes.

        A locus has tens of instruments among thousands of variants: this is what makes all pairs of many marks
        feasible.
        """
        variant, filled = self._chosen(self.instruments.mask[..., exposure])
        locus = np.arange(len(variant))[:, None]
        b, s = self.effect[locus, variant], self.effect_se[locus, variant]
        bx, sx = b[..., exposure][:, None], s[..., exposure][:, None]
        by, sy = (np.ascontiguousarray(np.moveaxis(values[..., outcomes], 2, 1)) for values in (b, s))
        if self.instruments.size is None:
            return PairData(bx, sx, by, sy, filled[:, None])
        size = self.instruments.size[locus, variant]
        moves_it_more = size[..., exposure, None] > size[..., outcomes]
        return PairData(bx, sx, by, sy, filled[:, None] & np.moveaxis(moves_it_more, 2, 1))

    def members_of_pairs(self, exposure, outcomes):
        """Members' effects on an exposure (locus, 1, member, n) and on outcomes (locus, outcome, member, n).

        In the order of the instruments in `of_pairs`.
        """
        variant, _ = self._chosen(self.instruments.mask[..., exposure])
        locus, member = np.arange(len(variant))[:, None, None], np.arange(self.members.shape[1])[:, None]
        chosen = self.members[locus, member, variant[:, None]].astype(np.float64)
        return chosen[:, None, ..., exposure], np.moveaxis(chosen[..., outcomes], 3, 1)

    def adjusted_pair(self, exposure, outcome, covariates):
        """What a multivariable estimator takes of one pair: arrays (locus, 1, n), of covariates (locus, 1, A, n)."""
        variant, filled = self._chosen(self.instruments.of_pairs([exposure, *covariates], outcome).any(-1))
        locus = np.arange(len(variant))[:, None]
        b, s = (np.moveaxis(values[locus[..., None], variant[..., None], [exposure, outcome, *covariates]], 2, 1)
                for values in (self.effect, self.effect_se))
        return {"bx": b[:, :1], "sx": s[:, :1], "by": b[:, 1:2], "sy": s[:, 1:2], "mask": filled[:, None],
                "covariates": b[:, None, 2:], "covariates_se": s[:, None, 2:]}


    def _chosen(self, mask):
        """Each locus's instruments (locus, n), padded with its first mutant that has effects; which hold one."""
        counts = mask.sum(1)
        filled = np.arange(counts.max()) < counts[:, None]
        first = predicted_mutants(self.effect).argmax(1)
        variant = np.broadcast_to(first[:, None], filled.shape).copy()
        variant[filled] = np.nonzero(mask)[1]
        return variant, filled


@dataclass(frozen=True, eq=False)
class LeaveOut:
    """How a block looks to all members but one.

    Attributes
    ----------
    rule : InstrumentRule
        By which all members choose.
    ddof : int
        That of the Dataset's standard errors.
    moderation : Moderation, optional
        Of the others' standard errors.
    """

    rule: InstrumentRule
    ddof: int
    moderation: Moderation | None

    @classmethod
    def of(cls, effects, rule):
        """That of a Dataset and its rule."""
        moderation = moderation_of(effects)
        return cls(rule, ddof_of(effects), moderation and replace(moderation, df=moderation.df - 1))

    def without(self, block, k):
        """Member k's effects, over instruments and with standard errors that the other members give."""
        own = block.members[:, k].astype(np.float64)
        others = np.delete(block.members, k, axis=1).astype(np.float64)
        effect = others.mean(1)
        effect_se = self._effect_se(others, effect)
        instruments = self.rule.without_member(k).instruments(effect, effect_se, block.loci)
        return Block(block.loci, own, effect_se, instruments, others)

    def of_marks(self, members, k, marks):
        """Effects and standard errors (locus, variant, mark) on some marks, as all members but k give them.

        Parameters
        ----------
        members : (locus, member, variant, mark) array
        k : int
        marks : list of int
        """
        others = np.delete(members, k, axis=1)
        effect = others.mean(1, dtype=np.float64)
        return effect[..., marks], self._effect_se(others[..., marks].astype(np.float64), effect, marks)

    def _effect_se(self, others, effect, marks=slice(None)):
        effect_se = others.std(1, ddof=self.ddof)
        return self.moderation.moderated(effect_se, effect, marks) if self.moderation else effect_se
