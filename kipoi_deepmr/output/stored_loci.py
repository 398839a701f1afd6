"""Loci of a store, read chunk by chunk when they are asked for: letters, effects, standard errors, instruments."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from .. import effects_store
from ..effects_store import StoredMutants
from ..instruments.rules import Instruments
from ..loci.mutants import SINGLE
from ..variants import LocusIndex, keys_of

HELD_BYTES = 256_000_000  # of each, letters and effects
OTHERS_HELD = 1000  # loci whose mutants of several bases are held


class StoredLocus(NamedTuple):
    """Effects and standard errors (variant, mark), and the mask of `Instruments` (variant, mark) bool."""

    effect: np.ndarray
    effect_se: np.ndarray
    mask: np.ndarray


class StoredLoci:
    """The effects of a store's loci; those used last are held, up to `HELD_BYTES`.

    Parameters
    ----------
    effects : xarray.Dataset
        As `effects_store.open_effects` gives it.
    rule : kipoi_deepmr.instruments.InstrumentRule
    """

    def __init__(self, effects, rule):
        self._effects, self._rule = effects, rule
        self._block = _loci_of_chunk(effects)
        self._read = lru_cache(_chunks_held(effects, 9 * effects.sizes["mark"]))(self._read_chunk)

    def __getitem__(self, locus):
        """The `StoredLocus` of a number."""
        chunk, place = divmod(locus, self._block)
        return StoredLocus(*(values[place] for values in self._read(chunk)))

    def instruments_of(self, locus, mutant):
        """What one mutant of a locus is an instrument of: `Instruments` of arrays (mark,)."""
        stored = self[locus]
        return Instruments(stored.mask[mutant], self._rule.size(stored.effect[mutant], mutant))

    @property
    def tells_acts(self):
        """Whether the rule knows on which mark a mutant acts."""
        return self._rule.direct is not None

    def acts_on(self, locus, mutant):
        """Number of the mark on which one mutant acts directly, or -1."""
        stored, one = self[locus], slice(mutant, mutant + 1)
        return int(self._rule.acts(stored.effect[one], stored.effect_se[one], locus).acts_on[0])

    def _read_chunk(self, chunk):
        loci = slice(chunk * self._block, (chunk + 1) * self._block)
        effect, effect_se = (self._effects[name][loci].values for name in ("effect", "effect_se"))
        numbers = np.arange(loci.start, loci.start + len(effect))
        return effect, effect_se, self._rule.mask(effect, effect_se, numbers)


def index_of(effects):
    """The `LocusIndex` of a store; loci whose predictions were not finite count as lost."""
    size = _loci_of_chunk(effects)

    mutants = StoredMutants(effects)

    @lru_cache(_chunks_held(effects, 1))
    def sequences(chunk):
        return mutants.sequences(slice(chunk * size, (chunk + 1) * size))

    @lru_cache(_chunks_held(effects, 1))
    def mutated(chunk):
        effect = mutants.by_position(effects["effect"][chunk * size:(chunk + 1) * size].values)
        return effects_store.predicted_mutants(effect).any(-1)

    @lru_cache(OTHERS_HELD)
    def others(locus):
        one, = mutants.on_contig(slice(locus, locus + 1))
        there = (mutants.kind != SINGLE) & (one.length > 0)
        numbers = {None: there, **{kind: there & (mutants.kind == kind) for kind in mutants.kinds}}
        return {kind: _keys(one, np.flatnonzero(some), index.forward(locus), index.start[locus])
                for kind, some in numbers.items()}

    lost = np.isnan(effects["reference"][:, 0, 0].values)
    index = LocusIndex(effects["chrom"].values, effects["start"].values, effects["strand"].values, mutants.length,
                       lambda locus: sequences(locus // size)[locus % size], lost,
                       lambda locus, position: bool(lost[locus] or mutated(locus // size)[locus % size, position]),
                       others=None if mutants.are_single else others, has_single=mutants.n_single > 0,
                       n_variants=effects.sizes["variant"], names=effects["name"].values)
    return index


def _keys(on_contig, numbers, forward, start):
    columns = (each[numbers].tolist() for each in (on_contig.position, on_contig.ref, on_contig.alt))
    return keys_of(zip(numbers.tolist(), *columns, strict=True), forward, start)


def _loci_of_chunk(effects):
    sizes = effects.sizes
    return effects_store.loci_per_block(sizes["member"], sizes["variant"], sizes["mark"])


def _chunks_held(effects, bytes_of_mutant):
    return max(1, HELD_BYTES // (_loci_of_chunk(effects) * effects.sizes["variant"] * bytes_of_mutant))
