"""Regions of marks on loci: a mutant in a region of one mark, and of no other, is that mark's own."""

from dataclasses import dataclass

import numpy as np

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

    def of_block(self, loci):
        """Which mutants of some loci (a slice, or numbers) lie in regions of one mark alone: (locus, variant, mark)."""
        numbers = np.arange(loci.start, loci.stop) if isinstance(loci, slice) else np.asarray(loci)
        edges = np.zeros((len(numbers), self.length + 1, self.n_marks), np.int32)
        for place, number in enumerate(numbers):
            parts = slice(*np.searchsorted(self.locus, [number, number + 1]))
            np.add.at(edges[place], (self.first[parts], self.mark[parts]), 1)
            np.add.at(edges[place], (self.last[parts], self.mark[parts]), -1)
        inside = np.repeat(edges.cumsum(1)[:, :-1] > 0, 3, axis=1)
        return inside & (inside.sum(-1, keepdims=True) == 1)


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
    return Regions(file_checksum(path), tuple(left_out), *columns, length, len(marks))
