"""Instruments of one pair with each member left out: the others choose and order them, the member itself is plotted."""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from ..effects_store import StoredMutants, each_block
from ..mr.block import Block, LeaveOut

LEAST_POSITIONS = 4  # of instruments at each locus
RELIABLE = 0.5  # share of the other members' effects on the exposure that the left-out members must confirm
LEAST_RELIABLE = 0.1  # share that each of them must confirm, for its own slope to mean anything
NONE = "no instruments"
FEW = f"instruments at fewer than {LEAST_POSITIONS} positions without some member"
DISAGREE = "the members disagree on how much the instruments move the exposure"


@dataclass(frozen=True, eq=False)
class Folds:
    """Instruments of all loci and folds, one after the other; fold k leaves member k out.

    Attributes
    ----------
    fold, locus, variant, position : (n,) int
        Of each instrument; loci count from 0 among those used.
    others : (n,) float64
        Effect on the exposure, mean of the other members.
    exposure, outcome : (n,) float64
        Effects of the member that is left out.
    loci : (locus,) int
        Numbers in the Dataset of the loci used.
    note : (all loci,) object
        Why a locus of the Dataset is not used; empty for one that is.
    n_folds : int
    """

    fold: np.ndarray
    locus: np.ndarray
    variant: np.ndarray
    position: np.ndarray
    others: np.ndarray
    exposure: np.ndarray
    outcome: np.ndarray
    loci: np.ndarray
    note: np.ndarray
    n_folds: int

    def of_locus(self, locus):
        """Those of one locus alone."""
        rows = self.locus == locus
        arrays = {name: getattr(self, name)[rows] for name in ("fold", "variant", "position", "others",
                                                               "exposure", "outcome")}
        return replace(self, **arrays, locus=np.zeros(rows.sum(), int), loci=self.loci[[locus]])

    @property
    def n_instruments(self):
        """Mean over folds of the number of instruments at each locus: (locus,) float64."""
        return np.bincount(self.locus, minlength=len(self.loci)) / self.n_folds


def gather(effects, rule, exposure, outcome, map_blocks=None):
    """The `Folds` of a pair.

    Parameters
    ----------
    effects : xarray.Dataset
        With every member's effects, of three members or more.
    rule : kipoi_deepmr.instruments.InstrumentRule
    exposure, outcome : int
        Numbers of the marks.
    map_blocks : callable, optional
        As `kipoi_deepmr.effects_store.each_block`, which is the default.

    Returns
    -------
    Folds
    """
    parts = (map_blocks or each_block)(partial(_of_block, rule=rule, pair=(exposure, outcome)), effects)
    fold, locus, variant, position, *numbers = (np.concatenate(each) for each in zip(*parts, strict=True))
    n_loci, n_folds = effects.sizes["locus"], effects.sizes["member"]
    note = _notes(fold, locus, position, *numbers[:2], n_loci, n_folds)
    used = note == ""
    rows = used[locus]
    number = np.cumsum(used) - 1
    return Folds(fold[rows], number[locus[rows]], variant[rows], position[rows], *(each[rows] for each in numbers),
                 np.flatnonzero(used), note, n_folds)


def _of_block(effects, loci, rule, pair):
    """Fold, locus, variant, its position, effect of the others on the exposure, and of the member on both marks."""
    block, leave_out, found = Block.read(effects, loci, rule, with_members=True), LeaveOut.of(effects, rule), []
    position, _ = StoredMutants(effects).places(loci)
    for k in range(effects.sizes["member"]):
        view = leave_out.without(block, k)
        locus, variant = np.nonzero(view.instruments.of_pairs(*pair))
        own = view.effect[locus, variant]
        others = view.members[locus, :, variant, pair[0]].mean(1)
        found.append((np.full(len(locus), k), loci.start + locus, variant, position[locus, variant], others,
                      own[:, pair[0]], own[:, pair[1]]))
    return [np.concatenate(each) for each in zip(*found, strict=True)]


def _notes(fold, locus, position, others, own, n_loci, n_folds):
    """Why each locus cannot be used; empty for those that can."""
    every = np.bincount(locus, minlength=n_loci)
    places = np.unique(np.stack([locus, fold, position]), axis=1)[:2]
    counts = np.zeros((n_loci, n_folds), int)
    np.add.at(counts, tuple(places), 1)
    strength, confirmed = np.zeros((2, n_loci, n_folds))
    np.add.at(strength, (locus, fold), others ** 2)
    np.add.at(confirmed, (locus, fold), others * own)
    enough = (counts >= LEAST_POSITIONS).all(1)
    reliable = (confirmed.sum(1) > RELIABLE * strength.sum(1)) & (confirmed > LEAST_RELIABLE * strength).all(1)
    note = np.full(n_loci, "", object)
    note[enough & ~reliable] = DISAGREE
    note[~enough] = FEW
    note[every == 0] = NONE
    return note
