"""Instruments of one pair with each member left out: the others choose and order them, the member itself is plotted."""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from ..effects_store import StoredMutants, each_block, locus_blocks
from ..mr.block import Block, LeaveOut
from .spline import sides

LEAST_POSITIONS = 4  # of instruments at each locus
RELIABLE = 0.5  # share of the other members' effects on the exposure that the left-out members must confirm
LEAST_RELIABLE = 0.1  # share that each of them must confirm, for its own slope to mean anything
NEARLY = 0.999  # of what an instrument needs: sums in another order must not lose one
MUCH_FURTHER = 2.0
NONE = "no instruments"
NOT_READ = "not read"
FEW = f"instruments at fewer than {LEAST_POSITIONS} positions without some member"
DISAGREE = "the members disagree on how much the instruments move the exposure"


@dataclass(frozen=True, eq=False)
class Folds:
    """Instruments of all loci and folds, one after the other; fold k leaves member k out.

    Attributes
    ----------
    fold, locus, variant, position : (n,) int
        Of each instrument; loci count from 0 among those used. The position is the first base that changes.
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
        return replace(self, **self._arrays(rows), locus=np.zeros(rows.sum(), int), loci=self.loci[[locus]])

    def among(self, rows, what=""):
        """Some of the instruments (n,) bool alone, at the loci that have enough of them; `what` names them in notes."""
        arrays, locus = self._arrays(rows), self.locus[rows]
        note = _notes(locus=locus, n_loci=len(self.loci), n_folds=self.n_folds,
                      **{name: arrays[name] for name in ("fold", "position", "others", "exposure")})
        used = note == ""
        notes = self.note.copy()
        notes[self.loci] = [each and each + what for each in note]
        rows, number = used[locus], np.cumsum(used) - 1
        return replace(self, **{name: values[rows] for name, values in arrays.items()}, locus=number[locus[rows]],
                       loci=self.loci[used], note=notes)

    def _arrays(self, rows):
        return {name: getattr(self, name)[rows] for name in ("fold", "variant", "position", "others", "exposure",
                                                             "outcome")}

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
    return gather_several(effects, rule, [(exposure, outcome)], map_blocks)[0]


def gather_several(effects, rule, pairs, map_blocks=None, blocks=None):
    """The `Folds` of several pairs, for which the effects are read once.

    Parameters
    ----------
    effects, rule, map_blocks
        As for `gather`.
    pairs : list of (exposure, outcome)
        Numbers of the marks.
    blocks : list of slice, optional
        Of loci that are read; by default all.

    Returns
    -------
    list of Folds
        One a pair.
    """
    blocks = locus_blocks(effects) if blocks is None else blocks
    parts = list((map_blocks or each_block)(partial(_of_block, rule=rule, pairs=tuple(pairs)), effects, blocks))
    read = np.zeros(effects.sizes["locus"], bool)
    for block in blocks:
        read[block] = True
    return [_folds(effects, read, [part[number] for part in parts]) for number in range(len(pairs))]


def ablating(folds):
    """The instruments that lower the exposure, as they break motifs; those that raise it where they get much further.

    Loci at which it is low already have mutants that raise it: another part of the curve, and other loci.

    Parameters
    ----------
    folds : Folds

    Returns
    -------
    Folds
    """
    low, high = sides(folds.others, folds.locus)
    lowers = -MUCH_FURTHER * low >= high
    return folds.among(folds.others < 0 if lowers else folds.others > 0,
                       f" (of those that {'lower' if lowers else 'raise'} the exposure)")


def _folds(effects, read, parts):
    """The `Folds` of what `_of_block` gives of one pair in each block."""
    fold, locus, variant, position, others, exposure, outcome = (
        np.concatenate(each) for each in zip(*parts, strict=True))
    note = np.where(read, "", NOT_READ).astype(object)
    number = np.cumsum(read) - 1
    found = Folds(fold, number[locus], variant, position, others, exposure, outcome, np.flatnonzero(read), note,
                  effects.sizes["member"])
    return found.among(np.full(len(fold), True))


def _of_block(effects, loci, rule, pairs):
    """Fold, locus, variant, position, effect of the others on the exposure, of the member on both: of each pair."""
    leave_out, members = LeaveOut.of(effects, rule), effects["member_effect"][loci].values
    position = StoredMutants(effects).places(loci)[0]
    variant = np.broadcast_to(np.arange(members.shape[2]), (len(members), members.shape[2]))
    # who acts on what takes long for many marks, and most mutants move none of the exposures
    if rule.direct and rule.of_kind is None:
        variant = _candidates(members, leave_out, sorted({exposure for exposure, _ in pairs}))
        members = np.take_along_axis(members, variant[:, None, :, None], axis=2)
    block, found = Block(loci, None, None, None, members), [[] for _ in pairs]
    for k in range(members.shape[1]):
        view = leave_out.without(block, k)
        for of_pair, (exposure, outcome) in zip(found, pairs, strict=True):
            locus, column = np.nonzero(view.instruments.of_pairs(exposure, outcome))
            own = view.effect[locus, column]
            others = view.members[locus, :, column, exposure].mean(1)
            at = variant[locus, column]
            of_pair.append((np.full(len(locus), k), loci.start + locus, at, position[locus, at], others,
                            own[:, exposure], own[:, outcome]))
    return [[np.concatenate(each) for each in zip(*of_pair, strict=True)] for of_pair in found]


def _candidates(members, leave_out, exposures):
    """Mutants that move an exposure enough for the rule without some member: numbers (locus, n), different at a locus.

    Loci with fewer are filled up with other mutants, which the rule refuses as it would among all.
    """
    chosen = np.zeros((len(members), members.shape[2]), bool)
    for k in range(members.shape[1]):
        effect, effect_se = leave_out.of_marks(members, k, exposures)
        chosen |= (np.abs(effect) >= NEARLY * leave_out.rule.z * effect_se).any(-1)
    return np.sort(np.argsort(~chosen, axis=1, kind="stable")[:, :max(1, chosen.sum(1).max())], axis=1)


def _notes(fold, locus, position, others, exposure, n_loci, n_folds):
    """Why each locus cannot be used; empty for those that can."""
    every = np.bincount(locus, minlength=n_loci)
    places = np.unique(np.stack([locus, fold, position]), axis=1)[:2]
    counts = np.zeros((n_loci, n_folds), int)
    np.add.at(counts, tuple(places), 1)
    strength, confirmed = np.zeros((2, n_loci, n_folds))
    np.add.at(strength, (locus, fold), others ** 2)
    np.add.at(confirmed, (locus, fold), others * exposure)
    enough = (counts >= LEAST_POSITIONS).all(1)
    reliable = (confirmed.sum(1) > RELIABLE * strength.sum(1)) & (confirmed > LEAST_RELIABLE * strength).all(1)
    note = np.full(n_loci, "", object)
    note[enough & ~reliable] = DISAGREE
    note[~enough] = FEW
    note[every == 0] = NONE
    return note
