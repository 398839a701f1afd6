"""The assignment: on which mark each mutant acts directly, and whether on that mark alone."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from .rays import CUT, LEAST_NOISE, Rays, score
from .rows import Rows
from .sample import Sample, sample, standardise
from .search import Found, direct_action, direct_actions, direct_of_rays, search

OWN, SHARED, NOTHING_MOVES, DENSE, FEW = "own", "shared", "nothing moves it", "dense", "few"
REASONS = {
    OWN: "",
    SHARED: "its mutants act on other marks, through which their effects on it can be explained",
    NOTHING_MOVES: "no mutant moves it",
    DENSE: "most mutants move it, and hardly any acts on it alone",
    FEW: "too few strong mutants act on it alone; more loci may help",
}
LEAST_SIZE = 2.0  # in standard errors of a typical strong mutant: below it a mutant acts on nothing that can be seen


class Acts(NamedTuple):
    """On which mark mutants act directly.

    Attributes
    ----------
    acts_on : (locus, variant) int16
        Number of the mark on which a mutant acts, most if on several; -1 for none: it moves nothing, a hidden common
        cause moves what it moves, or the marks on which it acts have no instruments.
    clean : (locus, variant) bool
        Whether it acts on no other mark. Clean mutants are the instruments of their mark.
    """

    acts_on: np.ndarray
    clean: np.ndarray

    def instruments(self, n_marks):
        """(locus, variant, mark) bool: which mutants are clean instruments of each mark."""
        return self.clean[..., None] & (self.acts_on[..., None] == np.arange(n_marks))


class StrongActions(NamedTuple):
    """What strong mutants do directly: of each mark's motion the share, (mark,); and where, (mutant, mark) bool."""

    share: np.ndarray
    hit: np.ndarray


@dataclass(frozen=True, eq=False)
class Assignment:
    """What tells for any mutant of the Dataset on which mark it acts: small, and the same for every block of loci.

    Attributes
    ----------
    marks : tuple of str
    sd : (mark,) float64
        Of the effects over all mutants of all loci: the unit of everything below.
    noise : (mark,) float64
        Standard error of a typical strong mutant's effect.
    rays : Rays
        Slopes of each mark's own mutants over all loci and at each locus, and of hidden causes' after them.
    reason : tuple of str
        Of each mark: "" for one with instruments of its own, else why it has none (a key of `REASONS`).
    sample : Sample
        The strong mutants from which rays were found.
    found : Found
        Rays, and the sample's mutants on them.
    """

    marks: tuple
    sd: np.ndarray
    noise: np.ndarray
    rays: Rays
    reason: tuple
    sample: Sample
    found: Found

    @property
    def causes(self):
        """(mark,) bool: marks with instruments of their own; the others can only be outcomes."""
        return self.rays.active[:len(self.marks)]

    @property
    def rows(self):
        """Which marks have a row in arrays (cause, mark)."""
        return Rows.of(self.causes)

    @cached_property
    def strong_actions(self):
        """`StrongActions` of the sample's mutants; NaN where nothing moves a mark."""
        effect, acted, moved = self.sample.effect, *np.zeros((2, len(self.marks)))
        hit = np.zeros(effect.shape, bool)
        for rows, action, z in direct_actions(self.sample, self.rays, self.noise):
            acted += (action ** 2).sum(0)
            moved += (effect[rows] ** 2).sum(0)
            hit[rows] = z > CUT
        with np.errstate(all="ignore"):
            return StrongActions(acted / moved, hit)

    def reason_text(self, mark):
        """Why a mark has no instruments of its own, in words; "" for one that has."""
        return REASONS[self.reason[mark]]

    def of_block(self, effect, loci, error=None):
        """On which mark mutants of some loci act.

        Parameters
        ----------
        effect : (locus, variant, mark) array
            In units of the marks. The mean over members, or over those that are to choose another member's
            instruments.
        loci : slice or array of int
            Numbers of the loci in the Dataset.
        error : (locus, variant, mark) array, optional
            As for `of_mutants`.

        Returns
        -------
        Acts
            Arrays (locus, variant).
        """
        shape = np.shape(effect)
        acts = self.of_mutants(*_flat(effect, loci), None if error is None else np.reshape(error, (-1, shape[-1])))
        return Acts(*(values.reshape(shape[:2]) for values in acts))

    def of_mutants(self, effect, locus, error=None):
        """On which mark mutants act.

        Parameters
        ----------
        effect : (mutant, mark) float64
            In units of the marks.
        locus : (mutant,) int
            Ascending.
        error : (mutant, mark) array, optional
            Standard errors of `effect`; by default those of typical strong mutants. Small mutants have smaller ones,
            and without these they lie near every ray.

        Returns
        -------
        Acts
            Arrays (mutant,).
        """
        x, n_marks = standardise(effect, self.sd), len(self.marks)
        noise = np.broadcast_to(self.noise, x.shape)
        if error is not None:
            known = standardise(error, self.sd)
            noise = np.where(np.isfinite(known), np.maximum(known, LEAST_NOISE), noise)
        ray, on = score(x, locus, self.rays, noise).best()
        acts_on = np.where(on & (ray < n_marks), ray, -1)
        off = np.flatnonzero(~on)
        if len(off) and self.causes.any():
            z = direct_action(x[off], locus[off], self.rays, noise[off], self._direct_at)[1]
            acts_on[off] = np.where(self.causes, z, -1).argmax(1)
            acts_on[off[~self.causes[z.argmax(1)]]] = -1
        moves = (np.abs(x) >= LEAST_SIZE * noise).any(1) & np.isfinite(x).all(1)
        acts_on = np.where(moves, acts_on, -1).astype(np.int16)
        return Acts(acts_on, on & (acts_on >= 0))

    def action_of_mutants(self, effect, locus):
        """What mutants do to each mark directly: (mutant, mark) float64, in units of the marks.

        Parameters are those of `of_mutants`.
        """
        return direct_action(standardise(effect, self.sd), locus, self.rays, self.noise, self._direct_at)[0] * self.sd

    @cached_property
    def _direct_at(self):
        return direct_of_rays(self.rays)

    def __getstate__(self):
        return {name: value for name, value in vars(self).items() if name != "_direct_at"}


def _flat(effect, loci):
    """Effects (mutant, mark), and the number of each mutant's locus."""
    numbers = np.arange(loci.start, loci.stop) if isinstance(loci, slice) else np.asarray(loci)
    _, n_variants, n_marks = np.shape(effect)
    return np.asarray(effect, np.float64).reshape(-1, n_marks), np.repeat(numbers, n_variants)


def assign(effects, map_blocks=None):
    """Find on which marks the mutants of an ensemble act directly.

    Parameters
    ----------
    effects : xarray.Dataset
        With `effect` and `member_effect` of at least three members; read twice, block by block.
    map_blocks : callable, optional
        As `kipoi_deepmr.effects_store.each_block`, which is the default: where blocks are read.

    Returns
    -------
    Assignment
        It does not depend on the order of marks, loci or members, nor on the marks' units.

    Raises
    ------
    InputError
        Fewer than two marks or three members, no members' effects, effects that are all zero or not finite.
    """
    gathered = sample(effects, map_blocks)
    return assignment_of(gathered, tuple(map(str, effects["mark"].values)))


def assignment_of(gathered, marks):
    """The `Assignment` from a `Sample` of strong mutants and the names of the marks."""
    found = search(gathered)
    n_marks = len(marks)
    reason = tuple(_reason(found, gathered, i) for i in range(n_marks))
    return Assignment(marks, gathered.sd, found.noise, found.rays, reason, gathered, found)


def _reason(found, gathered, mark):
    if found.rays.active[mark]:
        return OWN
    if not gathered.sd[mark] > 0:
        return NOTHING_MOVES
    if mark in found.too_few:
        return DENSE if gathered.dense[mark] else FEW
    return SHARED
