"""Regions of marks on loci: a mutant in a region of one mark, and of no other, is that mark's own."""

from dataclasses import dataclass

import numpy as np

from ..effects_store import StoredMutants
from ..errors import InputError, nearest
from ..files import file_checksum
from ..loci import parts_in_loci, read_bed

FEW = 5  # names that a message lists


@dataclass(frozen=True, eq=False)
class Regions:
    """Regions of marks, as parts of loci.

    Attributes
    ----------
    sha256 : str
        Checksum of the BED file.
    left_out : tuple of str
        What of the file is not used, in words.
    locus, mark : (part,) int
        Number of the locus and of the mark; sorted by locus.
    first, last : (part,) int
        Positions in the locus, 0-based on the strand that the model sees; last is one after the end.
    is_whole : (part,) bool
        Whether the locus holds the whole region.
    length, n_marks : int
        Bases of a locus; marks.
    n_single : int
        Single mutants of a locus, three a base, which come first; 0 where there are none.
    stretches : (2, locus or 1, n) int32
        First base and number of bases of the mutants after them; one row if all loci have them at the same places. 0
        bases: no mutant.
    """

    sha256: str
    left_out: tuple
    locus: np.ndarray
    mark: np.ndarray
    first: np.ndarray
    last: np.ndarray
    is_whole: np.ndarray
    length: int
    n_marks: int
    n_single: int
    stretches: np.ndarray

    def of_block(self, loci):
        """Which mutants of some loci (a slice, or numbers) lie in regions of one mark alone: (locus, variant, mark).

        A mutant of several bases does if all of them lie in the mark's regions and none in those of another.
        """
        numbers = np.arange(loci.start, loci.stop) if isinstance(loci, slice) else np.asarray(loci)
        edges = np.zeros((len(numbers), self.length + 1, self.n_marks), np.int32)
        for place, number in enumerate(numbers):
            parts = slice(*np.searchsorted(self.locus, [number, number + 1]))
            np.add.at(edges[place], (self.first[parts], self.mark[parts]), 1)
            np.add.at(edges[place], (self.last[parts], self.mark[parts]), -1)
        inside = edges.cumsum(1)[:, :-1] > 0
        parts = [np.repeat(inside, 3, axis=1)[:, :self.n_single], *self._stretches_in(inside, numbers)]
        touched, within = (np.concatenate(each, axis=1) for each in ((parts[0], parts[1]), (parts[0], parts[2])))
        return within & (touched.sum(-1, keepdims=True) == 1)

    def _stretches_in(self, inside, numbers):
        """Whether a base of each stretch, and whether all, lie in regions of each mark: two (locus, n, mark) bool."""
        position, length = self.stretches[:, numbers if self.stretches.shape[1] > 1 else np.zeros_like(numbers)]
        n_before = np.pad(inside.cumsum(1, dtype=np.int32), ((0, 0), (1, 0), (0, 0)))
        first, last = (np.take_along_axis(n_before, place[..., None], 1) for place in (position, position + length))
        return last > first, (last - first == length[..., None]) & (length[..., None] > 0)


def read_regions(path, loci, marks):
    """Regions of a BED file on loci.

    Parameters
    ----------
    path : str
        BED, plain or gzip, whose names are marks; those of one mark may overlap, and their strand does not matter.
    loci : Loci or xarray.Dataset
        With chrom, start, end and strand; of one length.
    marks : sequence of str

    Returns
    -------
    Regions

    Raises
    ------
    InputError
        The file is missing or has a malformed line, names no mark, or has no region in a locus.
    """
    intervals, marks = read_bed(path), [str(mark) for mark in marks]
    unnamed = next((each for each in intervals if not each.rest), None)
    if unnamed:
        raise InputError(f"{path}, line {unnamed.line}: a region needs a name in column 4, that of a mark")
    known = [each for each in intervals if each.name in marks]
    others = list(dict.fromkeys(each.name for each in intervals if each.name not in marks))
    if not known:
        raise InputError(f"{path}: no region is named as a mark ({', '.join(marks[:FEW])}); the first name is "
                         f"{others[0]!r}{nearest(others[0], marks)}")
    parts = parts_in_loci(known, loci)
    if not len(parts.locus):
        raise InputError(f"{path}: no region of a mark lies in a locus; are they of the same genome?")
    unnamed, outside = len(intervals) - len(known), len(known) - len(np.unique(parts.interval))
    left_out = [f"{path}: {unnamed} of {len(intervals)} regions name no mark: {', '.join(others[:FEW])}"] * bool(others)
    left_out += [f"{path}: {outside} of {len(known)} regions lie outside all loci"] * bool(outside)
    order = np.lexsort((parts.first, parts.locus))
    mark = np.array([marks.index(each.name) for each in known])[parts.interval]
    columns = (each[order] for each in (parts.locus, mark, parts.first, parts.last, parts.is_whole))
    length = int(np.asarray(loci.end)[0] - np.asarray(loci.start)[0])
    return Regions(file_checksum(path), tuple(left_out), *columns, length, len(marks), *_mutants(loci, length))


def _mutants(loci, length):
    """`n_single` and `stretches` of a Dataset's mutants; of loci that are not predicted yet, all single mutants."""
    if "variant" not in getattr(loci, "sizes", ()):
        return 3 * length, np.zeros((2, 1, 0), np.int32)
    stored = StoredMutants(loci)
    if stored.are_single:
        return stored.n_single, np.zeros((2, 1, 0), np.int32)
    stretches = np.array(stored.places(slice(None)), np.int32)[:, :, stored.n_single:]
    position, n = stretches
    if (position == position[0]).all() and np.isin(n, (0, n.max())).all():
        stretches = stretches.max(1, keepdims=True)  # where a locus lacks one, it has no effect
    return stored.n_single, stretches
