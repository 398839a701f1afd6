"""Which parts of intervals lie in loci, as the model sees these."""

from typing import NamedTuple

import numpy as np


class Parts(NamedTuple):
    """Parts of intervals that lie in loci, one for each interval and locus that share a base: (part,) arrays.

    Attributes
    ----------
    interval, locus : int64
        Their numbers.
    first, last : int64
        Positions in the locus, 0-based on the strand that the model sees; last is one after the end.
    is_whole : bool
        Whether the locus holds the whole interval.
    """

    interval: np.ndarray
    locus: np.ndarray
    first: np.ndarray
    last: np.ndarray
    is_whole: np.ndarray


def parts_in_loci(intervals, loci):
    """Parts of intervals in loci.

    Parameters
    ----------
    intervals : list of Interval
    loci : Loci or xarray.Dataset
        With chrom, start, end and strand; of one length.

    Returns
    -------
    Parts
        In the order of intervals, and of the loci's starts.
    """
    chrom, start, end, strand = map(np.asarray, (loci.chrom, loci.start, loci.end, loci.strand))
    length, parts = int((end - start).max()), []
    on_chrom = {name: np.flatnonzero(chrom == name) for name in np.unique(chrom)}
    on_chrom = {name: loci[np.argsort(start[loci], kind="stable")] for name, loci in on_chrom.items()}
    for number, each in enumerate(intervals):
        sorted_loci = on_chrom.get(each.chrom, np.zeros(0, np.intp))
        near = sorted_loci[slice(*np.searchsorted(start[sorted_loci], [each.start - length + 1, each.end]))]
        for locus in near[end[near] > each.start]:
            first, last = max(each.start, start[locus]), min(each.end, end[locus])
            where = (end[locus] - last, end[locus] - first) if strand[locus] == "-" else (
                first - start[locus], last - start[locus])
            parts.append((number, locus, *where, last - first == each.end - each.start))
    columns = np.array(parts, np.int64).reshape(-1, 5).T
    return Parts(*columns[:4], columns[4].astype(bool))
