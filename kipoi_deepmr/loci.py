"""Loci: BED and FASTA in, sampled and checked; which are used, which are dropped and why."""

import gzip
import os
import warnings
import zlib
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
import pyfaidx

from . import dna
from .errors import InputError

DUPLICATE = "duplicate of an earlier locus"
OVER_THE_END = "runs over the end of its contig"
AMBIGUOUS = "has N or other ambiguous letters"
ABSENT_CONTIG = "its contig is not in the FASTA"
PREFIX_MISMATCH = 'its contig is in the FASTA only with another "chr" prefix'


class Interval(NamedTuple):
    """One line of a BED file; `strand` is +, - or . (none given); `rest` holds the columns after the third."""

    chrom: str
    start: int
    end: int
    strand: str
    name: str
    line: int
    rest: tuple


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


class DroppedLocus(Exception):
    """Raised by a source of loci for a locus that cannot be used."""

    def __init__(self, name, reason):
        super().__init__(f"{name}: {reason}")
        self.name = name
        self.reason = reason


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
    """

    chrom: np.ndarray
    start: np.ndarray
    end: np.ndarray
    strand: np.ndarray
    name: np.ndarray
    sequences: np.ndarray
    item: np.ndarray = None

    def __post_init__(self):
        if self.item is None:
            object.__setattr__(self, "item", np.full(len(self.chrom), -1))

    def item_of(self, number):
        """Number of a locus in the model's own dataloader, or None where it needs none."""
        item = int(self.item[number])
        return None if item < 0 else item

    @classmethod
    def from_list(cls, loci):
        """Loci from `Locus` tuples of equal length."""
        *columns, sequences, items = zip(*loci, strict=True)
        dtypes = ("U", "int64", "int64", "U", "U")
        columns = [np.array(column, dtype) for column, dtype in zip(columns, dtypes, strict=True)]
        return cls(*columns, np.stack(sequences), np.array(items))

    @classmethod
    def from_bed(cls, intervals_file, fasta_file, length=None, n_loci=None, seed=42):
        """Usable loci of a BED file, with their sequences from a FASTA file; a warning names those dropped.

        Parameters
        ----------
        intervals_file, fasta_file : str
        length : int, optional
            What the model takes; by default the length of the first interval.
        n_loci, seed
            As for `select`.

        Raises
        ------
        InputError
            A file is missing, empty or malformed, an interval has another length, or no locus is usable.
        """
        intervals = read_bed(intervals_file)
        length = length or intervals[0].end - intervals[0].start
        with Genome(fasta_file) as genome:
            selection = select(BedSource(intervals, genome, length, intervals_file), n_loci, seed)
        for reason, names in selection.dropped.items():
            warnings.warn(f"{len(names)} of {len(intervals)} loci dropped: {reason}: {', '.join(names)}", stacklevel=2)
        return selection.loci

    def __len__(self):
        return len(self.chrom)

    def __getitem__(self, index):
        """The loci of a slice or of an array of indices."""
        return Loci(*(getattr(self, f.name)[index] for f in fields(self)))


@dataclass(frozen=True)
class Selection:
    """What `select` chose: the loci used, the names of those dropped by reason, and the FASTA, if one is known."""

    loci: Loci
    dropped: dict
    n_candidates: int
    fasta_file: str | None = None


def read_bed(path):
    """Intervals of a BED file (plain or gzip; track, browser and comment lines are skipped).

    Raises
    ------
    InputError
        The file is missing, empty, or has a malformed line; the message names the line and its value.
    """
    if not os.path.isfile(path):
        raise InputError(f"{path}: no such BED file")
    opener = gzip.open if str(path).endswith(".gz") else open
    intervals = []
    try:
        with opener(path, "rt", encoding="utf-8-sig") as lines:  # spreadsheets begin UTF-8 with a mark
            for number, line in enumerate(lines, 1):
                line = line.rstrip("\r\n")
                if line.strip() and not line.startswith(("#", "track", "browser")):
                    intervals.append(_parse_bed_line(path, number, line))
    except (UnicodeDecodeError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise InputError(f"{path}: not a BED file ({error})") from error
    if not intervals:
        raise InputError(f"{path}: the BED file is empty: it holds no interval")
    return intervals


def _parse_bed_line(path, number, line):
    columns = line.split("\t") if "\t" in line else line.split()
    where = f"{path}, line {number}"
    if len(columns) < 3:
        raise InputError(f"{where}: a BED line needs chrom, start and end, separated by tabs: {line!r}")
    chrom, *bounds = columns[:3]
    try:
        start, end = (int(b) for b in bounds)
    except ValueError:
        raise InputError(f"{where}: start and end must be whole numbers: {line!r}") from None
    if not 0 <= start < end:
        raise InputError(f"{where}: start must be at least 0 and less than end: {line!r}")
    strand = columns[5] if len(columns) > 5 else "."
    if strand not in ("+", "-", "."):
        raise InputError(f"{where}: the strand (column 6) must be +, - or ., not {strand!r}")
    name = columns[3] if len(columns) > 3 and columns[3] not in ("", ".") else f"{chrom}:{start}-{end}"
    return Interval(chrom, start, end, strand, name, number, tuple(columns[3:]))


def check_lengths(intervals, length, path):
    """Raise `InputError` naming the first interval of the BED file `path` that is not `length` bases long."""
    for interval in intervals:
        size = interval.end - interval.start
        if size != length:
            raise InputError(f"{path}, line {interval.line}: the interval {interval.chrom}:{interval.start}-"
                             f"{interval.end} is {size} bases long, but the model takes {length}")


class Genome:
    """A FASTA file (plain or BGZF) with its index: contig lengths and bases.

    Raises
    ------
    InputError
        The file is missing, empty, not FASTA, or its index cannot be written.
    """

    def __init__(self, path):
        self.path = path
        if not os.path.isfile(path):
            raise InputError(f"{path}: no such FASTA file")
        if not os.path.getsize(path):
            raise InputError(f"{path}: the FASTA file is empty")
        try:
            self._fasta = pyfaidx.Fasta(str(path), as_raw=True, sequence_always_upper=True)
        except PermissionError as error:
            raise InputError(f"{path}: its index {path}.fai cannot be written ({error.strerror}); "
                             "make it once with `samtools faidx`") from error
        except Exception as error:
            raise InputError(f"{path}: not a FASTA file that can be indexed ({error})") from error
        self.contigs = {name: len(record) for name, record in self._fasta.items()}
        if not self.contigs:
            raise InputError(f"{path}: the FASTA file holds no sequence")

    def fetch(self, chrom, start, end):
        """Bases of [start, end) on the forward strand: (end - start,) uint8, upper case.

        Raises
        ------
        InputError
            The file ends before, or holds no sequence there, so that its index is that of another file.
        """
        try:
            bases = dna.encode(self._fasta[chrom][start:end])
        except Exception as error:
            where = f"{self.path}: cannot be read at {chrom}:{start}-{end}"
            raise InputError(f"{where} ({error}); is it cut off?") from error
        if len(bases) != end - start or (bases < ord("A")).any():
            raise InputError(f"{self.path}: its index {self.path}.fai has other bases at {chrom}:{start}-{end} than it "
                             "holds: it is cut off, or the index is that of another file; remove the index, or make "
                             "both anew")
        return bases

    def check(self, interval):
        """Raise `DroppedLocus` if the interval is not wholly within a contig of the FASTA."""
        if interval.chrom not in self.contigs:
            other = interval.chrom[3:] if interval.chrom.startswith("chr") else "chr" + interval.chrom
            raise DroppedLocus(interval.name, PREFIX_MISMATCH if other in self.contigs else ABSENT_CONTIG)
        if interval.start < 0 or interval.end > self.contigs[interval.chrom]:
            raise DroppedLocus(interval.name, OVER_THE_END)

    def close(self):
        self._fasta.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class BedSource:
    """Loci of a BED file read from a FASTA file; those whose BED strand is - are reverse-complemented.

    Raises
    ------
    InputError
        An interval is longer or shorter than `length`.
    """

    def __init__(self, intervals, genome, length, path):
        check_lengths(intervals, length, path)
        self._intervals, self._genome = intervals, genome

    def __len__(self):
        return len(self._intervals)

    def __getitem__(self, index):
        """The locus of one interval; raises `DroppedLocus`."""
        interval = self._intervals[index]
        self._genome.check(interval)
        sequence = self._genome.fetch(interval.chrom, interval.start, interval.end)
        strand = "-" if interval.strand == "-" else "+"
        if strand == "-":
            sequence = dna.reverse_complement(sequence)
        return Locus(interval.chrom, interval.start, interval.end, strand, interval.name, sequence)


def select(source, n_loci=None, seed=42):
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

    Returns
    -------
    Selection

    Raises
    ------
    InputError
        No locus is usable.
    """
    order = np.arange(len(source)) if n_loci is None else np.random.default_rng(seed).permutation(len(source))
    chosen, seen, dropped = {}, set(), {}
    for index in order:
        if n_loci is not None and len(chosen) == n_loci:
            break
        try:
            chosen[index] = _checked(source[index], seen)
        except DroppedLocus as refused:
            dropped.setdefault(refused.reason, []).append(refused.name)
    if not chosen:
        reasons = "; ".join(f"{len(names)} {reason} (such as {names[0]})" for reason, names in dropped.items())
        raise InputError(f"none of the {len(source)} loci can be used: {reasons}")
    return Selection(Loci.from_list([chosen[i] for i in sorted(chosen)]), dropped, len(source))


def _checked(locus, seen):
    key = (locus.chrom, locus.start, locus.end, locus.strand)
    if key in seen:
        raise DroppedLocus(locus.name, DUPLICATE)
    if dna.is_ambiguous(locus.sequence).any():
        raise DroppedLocus(locus.name, AMBIGUOUS)
    seen.add(key)
    return locus
