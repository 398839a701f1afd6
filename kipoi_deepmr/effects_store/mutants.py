"""What the mutants of a Dataset of effects are, whichever version of the format it has."""

from typing import NamedTuple

import numpy as np

from .. import dna
from ..loci.mutants import PAIRS, SINGLE

LOCI_AT_ONCE = 64
_COMPLEMENT = str.maketrans(dna.ALPHABET, dna.decode(dna.complement(dna.BASES)))


class OnContig(NamedTuple):
    """The mutants of a locus in the genome, on the forward strand: (variant,) arrays.

    Attributes
    ----------
    position, length : int64
        First base that changes, 0-based on the contig, and bases that change; length 0 where there is no such mutant.
    ref, alt : str
        Bases before and after; alt is empty for a deletion, and `loci.mutants.AVERAGED` for a mean over draws.
    """

    position: np.ndarray
    length: np.ndarray
    ref: np.ndarray
    alt: np.ndarray


class StoredMutants:
    """The mutants of a Dataset of effects.

    Parameters
    ----------
    effects : xarray.Dataset

    Attributes
    ----------
    kind : (variant,) str
    kinds : list of str
        In the order of the variants.
    of_kind : (variant,) int
        The number of each variant's kind among `kinds`.
    n_single : int
        Single mutants, three a position, which come first; 0 where there are none.
    length : int
        Bases of a locus.
    draws : (variant,) int64
        Replacements over which each effect is averaged.
    """

    def __init__(self, effects):
        self._effects = effects
        n = effects.sizes["variant"]
        self.kind = effects["kind"].values.astype(str) if "kind" in effects.coords else np.full(n, SINGLE)
        self.kinds = list(dict.fromkeys(self.kind.tolist()))
        self.of_kind = np.array([self.kinds.index(kind) for kind in self.kind.tolist()], np.intp)
        self.n_single = int((self.kind == SINGLE).sum())
        self.length = effects.sizes["base"] if "base" in effects.sizes else n // 3
        self.draws = effects["draws"].values if "draws" in effects.coords else np.ones(n, np.int64)

    @property
    def are_single(self):
        """Whether there are no others than single mutants."""
        return self.n_single == len(self.kind)

    def places(self, loci):
        """First base and number of bases that change, of some loci: two (locus, variant) int64; 0 bases: no mutant.

        Parameters
        ----------
        loci : slice or array of int
        """
        if "kind" not in self._effects.coords:
            position = self._effects["position"].values
            shape = len(np.arange(self._effects.sizes["locus"])[loci]), len(position)
            return np.broadcast_to(position, shape), np.ones(shape, np.int64)
        return tuple(self._effects[name][loci].values for name in ("position", "length"))

    def sequences(self, loci):
        """Bases of some loci as the model sees them: (locus, L) uint8."""
        letters = (self._effects["sequence"][loci] if "kind" in self._effects.coords else
                   self._effects["ref_base"][loci, ::3]).values
        return np.ascontiguousarray(letters).astype("S1").view(np.uint8)

    def alternatives(self, locus):
        """Bases after each mutant of one locus, by its number, as the model sees them: (variant,) str."""
        return np.asarray(self._effects["alt_base"][locus].values, "U")

    def on_contig(self, loci):
        """Each locus's `OnContig`, of some loci: an iterator.

        Parameters
        ----------
        loci : slice or array of int
        """
        start, end, strand = (self._effects[name].values[loci] for name in ("start", "end", "strand"))
        position, length = self.places(loci)
        ref, alt = (np.asarray(self._effects[name][loci].values, "U") for name in ("ref_base", "alt_base"))
        for i in range(len(start)):
            if strand[i] == "-":
                yield OnContig(end[i] - position[i] - length[i], length[i], self._turned(ref[i]), self._turned(alt[i]))
            else:
                yield OnContig(start[i] + position[i], length[i], ref[i], alt[i])

    def _turned(self, texts):
        """Bases on the other strand, (variant,) str."""
        if self.are_single:
            return dna.complement(texts.astype("S1").view(np.uint8)).view("S1").astype("U1")
        return np.array([text.translate(_COMPLEMENT)[::-1] for text in texts.tolist()])

    def by_position(self, of_variants):
        """Of the single mutants, the three of each position: (..., variant, mark) to (..., L, 3, mark).

        Where there are no single mutants, there are no positions either, instead of L.
        """
        before, n_marks = of_variants.shape[:-2], of_variants.shape[-1]
        return of_variants[..., :self.n_single, :].reshape(*before, self.n_single // 3, 3, n_marks)

    def single_positions(self, variants):
        """Positions, in the order of the locus, at which some variants are single mutants: (n,) int64.

        Parameters
        ----------
        variants : (n,) int
            Numbers of variants; those that are no single mutants are passed over.
        """
        return np.unique(variants[variants < self.n_single] // 3)

    def without_pairs(self, effects):
        """The Dataset without the mutants that are pairs, which come last."""
        n = int((self.kind != PAIRS).sum())
        return effects if n == len(self.kind) else effects.isel(variant=slice(0, n))

    def fit(self, length):
        """Whether mutants are where those of loci of this length can be."""
        if self.length != length or self.n_single not in (0, 3 * length) or (self.kind[:self.n_single] != SINGLE).any():
            return False
        for first in range(0, self._effects.sizes["locus"], LOCI_AT_ONCE):
            position, n = self.places(slice(first, first + LOCI_AT_ONCE))
            inside = (position >= 0) & (n >= 0) & (position + n <= length)
            singles = position[:, :self.n_single] == np.arange(self.n_single) // 3
            if not (inside.all() and singles.all() and (n[:, :self.n_single] <= 1).all()):
                return False
        return True
