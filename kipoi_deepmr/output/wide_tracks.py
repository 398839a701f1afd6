"""Mutants of several bases for genome browsers: a BED feature as wide as the bases that change."""

import os
import tempfile

import numpy as np

from ..effects_store import StoredMutants
from ..loci.mutants import SINGLE
from .vcf import encoded

ENDING = ".mutants.bed"
RAISES, LOWERS = "0,114,178", "213,94,0"  # as in plots/axes.py


def zeros_in(file, shape):
    """float32 numbers of a shape that are kept in an empty file."""
    if not np.prod(shape):
        return np.zeros(shape, np.float32)
    for _ in range(shape[0]):
        file.write(bytes(4 * int(np.prod(shape[1:]))))  # of a file with holes, a full disk would end us by a signal
    file.flush()
    return np.memmap(file, np.float32, "r+", shape=shape)


class WideMutants:
    """Gathers the mutants of several bases of all loci, and writes a BED file a mark; effects are held in a file.

    Parameters
    ----------
    effects : xarray.Dataset
    marks : sequence of int
    folder : str
        Where that file is, without a name.
    """

    def __init__(self, effects, marks, folder):
        self._effects, self._marks, self._mutants = effects, marks, StoredMutants(effects)
        self._others = np.flatnonzero(self._mutants.kind != SINGLE)
        shape = len(marks), effects.sizes["locus"], len(self._others)
        self._file = tempfile.TemporaryFile(dir=folder)
        self._effect = zeros_in(self._file, shape)
        self._position, self._length = np.zeros((2, *shape[1:]), np.int64)

    def add(self, block, effect):
        """Take the effects (locus, variant, mark) of a block of loci."""
        self._effect[:, block] = np.moveaxis(effect[:, self._others][..., self._marks], -1, 0)
        there = ~np.isnan(effect[:, self._others]).all(-1)
        for i, one in enumerate(self._mutants.on_contig(block)):
            self._position[block.start + i] = one.position[self._others]
            self._length[block.start + i] = np.where(there[i], one.length[self._others], 0)

    def write(self, folder, names, contigs):
        """Write a file for each of the marks' names; how many features each has.

        Columns are those of BED9, where score is 1000 for the largest absolute effect on the mark, and the effect.
        """
        loci, others = np.nonzero(self._length > 0)
        chrom, rank = self._effects["chrom"].values, {contig: i for i, contig in enumerate(contigs)}
        contig = np.array([rank[str(each)] for each in chrom])[loci]
        start, length = self._position[loci, others], self._length[loci, others]
        order = np.lexsort((others, loci, start + length, start, contig))
        loci, others, start, length = (each[order] for each in (loci, others, start, length))
        labels = [encoded(name) for name in self._effects["name"].values]
        kind = self._mutants.kind[self._others]
        for name, of_mark in zip(names, self._effect, strict=True):
            effect = of_mark[loci, others].tolist()
            most = max(map(abs, effect), default=0) or 1.0
            with open(os.path.join(folder, name + ENDING), "w") as file:
                for locus, other, p, n, x in zip(*(each.tolist() for each in (loci, others, start, length)), effect,
                                                 strict=True):
                    file.write(f"{chrom[locus]}\t{p}\t{p + n}\t{labels[locus]}:{kind[other]}\t"
                               f"{round(1000 * abs(x) / most)}\t.\t{p}\t{p + n}\t{RAISES if x > 0 else LOWERS}\t"
                               f"{x:.9g}\n")
        return len(loci)

    def close(self):
        """Close the file of effects."""
        del self._effect
        self._file.close()
