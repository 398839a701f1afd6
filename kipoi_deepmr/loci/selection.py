"""Which loci are used, which are dropped and why."""

import os
import warnings
from dataclasses import dataclass, field, fields, replace
from typing import NamedTuple

import numpy as np

from .. import display, dna
from ..errors import InputError
from .assembly import DroppedLocus, check_place, compare
from .bed import read_bed
from .genome import Genome
from .mutants import Plan, single_mutants
from .mutate import Mutated
from .resize import common_length, resized
from .sequences import places_of

OF_ALL = ("plan", "fasta_file", "dropped")  # attributes of `Loci` that are no array of the loci

DUPLICATE = "duplicate of an earlier locus"
AMBIGUOUS = "has N or other ambiguous letters"
RNA = "has U, so that the FASTA is of RNA; DNA (T for U) is needed"


class Locus(NamedTuple):
    """One locus; `sequence` is what the model sees: (L,) uint8, reverse-complemented where strand is -.

    `item` is its number in the model's own dataloader, where the model needs more of it than DNA; else -1.
    """

    chrom: str
    start: int
    end: int
    strand: str
    name: str
    sequence: np.ndarray
    item: int = -1


@dataclass(frozen=True)
class Loci:
    """n loci of one length L.

    Attributes
    ----------
    chrom, strand, name : (n,) str
    start, end : (n,) int64
        0-based, half open, on the forward strand.
    sequences : (n, L) uint8
        Upper-case bases as the model sees them: reverse-complemented where strand is -.
    item : (n,) int64
        Number of each in the model's own dataloader, where the model needs more of it than DNA; else -1.
    mutated : (n, L) bool
        Which positions are mutated; all by default.
    plan : Plan or None
        Of mutants other than all single ones.
    fasta_file : str or None
        That they were read from, if it is known.
    dropped : dict of str to list of str
        Names of the candidates that could not be used, by reason.
    """

    chrom: np.ndarray
    start: np.ndarray
    end: np.ndarray
    strand: np.ndarray
    name: np.ndarray
    sequences: np.ndarray
    item: np.ndarray = None
    mutated: np.ndarray = None
    plan: Plan | None = None
    fasta_file: str | None = field(default=None, kw_only=True)
    dropped: dict = field(default_factory=dict, kw_only=True)

    def __post_init__(self):
        if self.mutated is None:
            object.__setattr__(self, "mutated", np.ones(np.shape(self.sequences), bool))
        if self.item is None:
            object.__setattr__(self, "item", np.full(len(self.chrom), -1))

    def item_of(self, number):
        """Number of a locus in the model's own dataloader, or None where it needs none."""
        item = int(self.item[number])
        return None if item < 0 else item

    def positions_of(self, number):
        """Positions of a locus that may be mutated, ascending; None where all may."""
        return None if self.mutated[number].all() else np.flatnonzero(self.mutated[number])

    @property
    def n_variants(self):
        """Mutants that a locus has at most, and for which there is a place in a store."""
        return len(self.mutants_of(0).kind)

    @property
    def sequences_per_locus(self):
        """Sequences by which the mutants of a locus are predicted, in the mean."""
        if not self.plan:
            return round(3 * self.mutated.sum(1).mean())
        tables = [self.mutants_of(number) for number in range(len(self))]
        return round(np.mean([self.plan.draws_of(table)[table.length > 0].sum() for table in tables]))

    def mutants_of(self, number):
        """The `Mutants` of a locus."""
        mutated = self.mutated[number]
        return self.plan.table(number, mutated) if self.plan else single_mutants(mutated)

    @classmethod
    def from_list(cls, loci, mutated=None):
        """Loci from `Locus` tuples of equal length, and which of their positions are mutated."""
        *columns, sequences, items = zip(*loci, strict=True)
        dtypes = ("U", "int64", "int64", "U", "U")
        columns = [np.array(column, dtype) for column, dtype in zip(columns, dtypes, strict=True)]
        return cls(*columns, np.stack(sequences), np.array(items), mutated)

    @classmethod
    def from_bed(cls, intervals_file, fasta_file, length=None, n_loci=None, seed=42, resize=None, mutate=None):
        """Usable loci of a BED or narrowPeak file, with their sequences from a FASTA file.

        Warnings say how intervals were resized, and name the loci that were dropped.

        Parameters
        ----------
        intervals_file, fasta_file : str
        length : int, optional
            What the model takes; by default the length of the intervals, if all have the same.
        n_loci, seed
            As for `select`.
        resize : {"summit", "center", "none"}, optional
            How intervals of other lengths are resized: around the summit of narrowPeak, around the middle, or not at
            all. By default around the summit if the file is narrowPeak, else around the middle.
        mutate : str, optional
            `START:END` or a BED file: mutate only these positions, as `Mutated` takes it.

        Raises
        ------
        InputError
            A file is missing, empty or malformed, of another assembly than the other, an interval has another length
            and `resize` is none, or no locus is usable.
        """
        intervals = read_bed(intervals_file, below_zero=True)
        with Genome(fasta_file) as genome:
            source = BedSource(intervals, genome, length or common_length(intervals, intervals_file), intervals_file,
                               resize)
            selection = select(source, n_loci, seed, Mutated(mutate) if mutate else None)
        for note in source.notes:
            warnings.warn(note, stacklevel=2)
        _warn_of(selection)
        return replace(selection.loci, fasta_file=os.path.abspath(fasta_file), dropped=selection.dropped)

    @classmethod
    def from_sequences(cls, sequences):
        """Loci of sequences, which need no place in a genome; a warning names those that cannot be used.

        Parameters
        ----------
        sequences : sequence of str, dict of str to str, or pandas.DataFrame
            Of one length, as the model sees them. The keys of a dict are their names; otherwise they are called
            sequence1, sequence2, ... A table has a column `sequence`, and may have `name`, and `chrom`, `start`, `end`
            and `strand` together.

        Returns
        -------
        Loci
            Without a place, each sequence is a contig of its own, from 0 to its length.

        Raises
        ------
        InputError
            There is none, one is no text or holds other letters than those of DNA, lengths differ, a name stands
            twice, or none is usable.
        """
        selection = select([Locus(*each) for each in places_of(sequences)])
        _warn_of(selection)
        return replace(selection.loci, dropped=selection.dropped)

    def __repr__(self):
        return display.as_text(f"Loci: {self._title}", [display.on_one_line("  ".join(row)) for row in self._rows()],
                               len(self))

    def _repr_html_(self):
        return display.as_html(self._title, ("name", "place", "strand"), self._rows(), n_all=len(self))

    @property
    def _title(self):
        n_dropped = sum(map(len, self.dropped.values()))
        dropped = f", {n_dropped:,} dropped" if n_dropped else ""
        return f"{display.of_loci(len(self))} of {self.sequences.shape[1]:,} bases{dropped}"

    def _rows(self):
        """Name, place and strand of the first ones."""
        n = min(len(self), display.MAX_ROWS)
        return [(str(self.name[i]), f"{self.chrom[i]}:{self.start[i]}-{self.end[i]}", str(self.strand[i]))
                for i in range(n)]

    def __len__(self):
        return len(self.chrom)

    def __getitem__(self, index):
        """The loci of a slice or of an array of indices."""
        columns = (getattr(self, f.name)[index] for f in fields(self) if f.name not in OF_ALL)
        return Loci(*columns, plan=self.plan and self.plan[index], fasta_file=self.fasta_file)


@dataclass(frozen=True)
class Selection:
    """What `select` chose.

    Attributes
    ----------
    loci : Loci
        Those used.
    dropped : dict of str to list of str
        The names of the others by reason.
    n_candidates : int
    fasta_file : str or None
        If one is known.
    notes : tuple of str
        What to know of all candidates, a line each: how they were resized, signs of another assembly.
    """

    loci: Loci
    dropped: dict
    n_candidates: int
    fasta_file: str | None = None
    notes: tuple = ()


class BedSource:
    """Loci of a BED file read from a FASTA file; those whose BED strand is - are reverse-complemented.

    Parameters
    ----------
    intervals : list of Interval
    genome : Genome
    length : int
        What the model takes.
    path : str
        Of the intervals.
    resize : str, optional
        As `resized` takes it.

    Attributes
    ----------
    notes : tuple of str
        As those of `Selection`.

    Raises
    ------
    InputError
        As `resized`, or the intervals are of another assembly.
    """

    def __init__(self, intervals, genome, length, path, resize=None):
        notes = compare(intervals, path, genome)
        self._intervals, note = resized(intervals, length, path, resize)
        self._genome, self.notes = genome, tuple(filter(None, [note, *notes]))

    def __len__(self):
        return len(self._intervals)

    def __getitem__(self, index):
        """The locus of one interval; raises `DroppedLocus`."""
        interval = self._intervals[index]
        check_place(interval, self._genome)
        sequence = self._genome.fetch(interval.chrom, interval.start, interval.end)
        strand = "-" if interval.strand == "-" else "+"
        if strand == "-":
            sequence = dna.reverse_complement(sequence)
        return Locus(interval.chrom, interval.start, interval.end, strand, interval.name, sequence)


def select(source, n_loci=None, seed=42, mutated=None):
    """Choose usable loci: all of them, or a random sample.

    Candidates are examined in random order (in the source's order when all are wanted) until `n_loci` usable ones
    are found; the chosen ones keep the source's order. Loci that are duplicates, ambiguous or refused by the source
    are dropped and named.

    Parameters
    ----------
    source : sequence of Locus
        Has a length; indexing gives a `Locus` or raises `DroppedLocus`.
    n_loci : int, optional
        How many to sample; all by default.
    seed : int
    mutated : Mutated, optional
        Which positions are mutated; loci without any are dropped.

    Returns
    -------
    Selection

    Raises
    ------
    InputError
        No locus is usable.
    """
    order = np.arange(len(source)) if n_loci is None else np.random.default_rng(seed).permutation(len(source))
    chosen, masks, seen, dropped = {}, {}, set(), {}
    for index in order:
        if n_loci is not None and len(chosen) == n_loci:
            break
        try:
            locus = _checked(source[index], seen)
            if mutated:
                masks[index] = mutated.of(locus)
            chosen[index] = locus
        except DroppedLocus as refused:
            dropped.setdefault(refused.reason, []).append(refused.name)
    if not chosen:
        reasons = "; ".join(f"{len(names)} {reason} (such as {names[0]})" for reason, names in dropped.items())
        raise InputError(f"none of the {len(source)} loci can be used: {reasons}")
    kept = sorted(chosen)
    loci = Loci.from_list([chosen[i] for i in kept], np.stack([masks[i] for i in kept]) if mutated else None)
    return Selection(loci, dropped, len(source))


def _warn_of(selection):
    """A warning for each reason for which loci were dropped, for the caller of a method of `Loci`."""
    for reason, names in selection.dropped.items():
        warnings.warn(f"{len(names)} of {selection.n_candidates} loci dropped: {reason}: {', '.join(names)}",
                      stacklevel=3)


def _checked(locus, seen):
    key = (locus.chrom, locus.start, locus.end, locus.strand)
    if key in seen:
        raise DroppedLocus(locus.name, DUPLICATE)
    if (locus.sequence == ord("U")).any():
        raise DroppedLocus(locus.name, RNA)
    if dna.is_ambiguous(locus.sequence).any():
        raise DroppedLocus(locus.name, AMBIGUOUS)
    seen.add(key)
    return locus
