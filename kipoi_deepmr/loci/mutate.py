"""Which positions of the loci are mutated: all, a range of positions, or those that intervals cover."""

import re

import numpy as np

from ..errors import InputError
from .assembly import DroppedLocus
from .bed import read_bed

NOT_MUTATED = "none of its positions is to be mutated (--mutate)"

_RANGE = re.compile(r"(\d+):(\d+)")


class Mutated:
    """Which positions of a locus are mutated.

    Parameters
    ----------
    text : str
        `START:END`, positions of the locus as the model sees it, from 0 and without END; or a BED file.

    Raises
    ------
    InputError
        The file is missing or malformed.
    """

    def __init__(self, text):
        match = _RANGE.fullmatch(text)
        self._range = tuple(map(int, match.groups())) if match else None
        if not match:
            self._starts, self._ends = _merged(read_bed(text))

    def of(self, locus):
        """Which positions of a `Locus` are mutated, as the model sees it: (L,) bool.

        Raises
        ------
        DroppedLocus
            None.
        InputError
            The range does not lie in the locus.
        """
        mutated = np.zeros(len(locus.sequence), bool)
        if self._range:
            start, end = self._range
            if not start < end <= len(mutated):
                raise InputError(f"--mutate {start}:{end}: a locus has {len(mutated):,} positions; give START:END, "
                                 f"START below END, and END at most {len(mutated)}")
            mutated[start:end] = True
            return mutated
        starts, ends = self._starts.get(locus.chrom, ()), self._ends.get(locus.chrom, ())
        for k in range(np.searchsorted(ends, locus.start, "right"), np.searchsorted(starts, locus.end, "left")):
            mutated[max(0, starts[k] - locus.start):ends[k] - locus.start] = True
        if not mutated.any():
            raise DroppedLocus(locus.name, NOT_MUTATED)
        return mutated[::-1] if locus.strand == "-" else mutated


def _merged(intervals):
    """Starts and ends of intervals without overlaps, ascending, by contig."""
    starts, ends = {}, {}
    for interval in sorted(intervals, key=lambda one: one.start):
        of_contig = ends.setdefault(interval.chrom, [])
        if of_contig and interval.start <= of_contig[-1]:
            of_contig[-1] = max(of_contig[-1], interval.end)
        else:
            starts.setdefault(interval.chrom, []).append(interval.start)
            of_contig.append(interval.end)
    return starts, ends
