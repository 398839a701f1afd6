"""Effects on two small contigs, from which tests write VCF files of instruments."""

import gzip

import numpy as np
import pandas as pd

from kipoi_deepmr import dna
from kipoi_deepmr.effects_store import dataset
from kipoi_deepmr.instruments.rules import InstrumentRule
from kipoi_deepmr.loci import Genome, Loci, Locus
from kipoi_deepmr.output.vcf import write_vcf

#                0123456789012345678901
CONTIGS = {"c2": "ACGTTGCAAGTCCATGACGTAC", "c1": "GGATCCTTAAGC"}  # the order of the FASTA is not that of the alphabet
LENGTH = 5
# chrom, start, strand, name: out of order, overlapping on both strands, on two contigs
LOCI = [("c1", 2, "+", "late"), ("c2", 6, "-", "minus; 100%"), ("c2", 4, "+", "plus"), ("c2", 4, "-", "plus")]
MARKS = ["H3K27ac (rep 1)", "a;b=c,d", "1mark", "a b", "a_b", 'say "x>y"\\']
KEYS = ["H3K27ac__rep_1_", "a_b_c_d", "1mark", "a_b_2", "a_b", "say__x_y__"]
METHODS = ["egger", "ivw"]


class Case:
    """Files and arguments for `write_vcf`."""

    def __init__(self, folder, places=tuple(LOCI), contigs=None, seed=0, length=LENGTH):
        self.folder = folder
        contigs = contigs or CONTIGS
        fasta = folder / "genome.fa"
        fasta.write_text("".join(f">{name}\n{sequence}\n" for name, sequence in contigs.items()))
        self.genome = Genome(str(fasta))
        self.contigs = contigs
        self.loci = Loci.from_list([self._locus(length, *place) for place in places])
        self.effects = dataset(self.loci, MARKS, ["m1", "m2"], self._data(np.random.default_rng(seed)))
        self.exposures, self.outcomes = MARKS[:3], MARKS
        self.rule = InstrumentRule("own", 2.0)

    def _locus(self, length, chrom, start, strand, name):
        sequence = dna.encode(self.contigs[chrom][start : start + length])
        seen = dna.reverse_complement(sequence) if strand == "-" else sequence
        return Locus(chrom, start, start + length, strand, name, seen)

    def _data(self, rng):
        ref = [[base for base in dna.decode(s) for _ in range(3)] for s in self.loci.sequences]
        alt = [[other for base in dna.decode(s) for other in "ACGT" if other != base] for s in self.loci.sequences]
        shape = (len(ref), len(ref[0]), len(MARKS))
        return {
            "effect": rng.normal(size=shape).astype("float32"),
            "effect_se": rng.uniform(0.2, 1, size=shape).astype("float32"),
            "reference": np.zeros((shape[0], 2, shape[2]), "float32"),
            "ref_base": np.array(ref), "alt_base": np.array(alt),
        }

    @property
    def pairs(self):
        return [(x, y) for x in self.exposures for y in self.outcomes if x != y]

    @property
    def local(self):
        rng = np.random.default_rng(1)
        rows = [
            (chrom, start, x, y, method, rng.normal() if method == "ivw" else np.nan, rng.uniform())
            for chrom, start in zip(self.loci.chrom, self.loci.start, strict=True)
            for x, y in self.pairs for method in METHODS
        ]
        return pd.DataFrame(rows, columns=["chrom", "start", "exposure", "outcome", "method", "estimate", "se"])

    def write(self, name="out.vcf.gz", **changes):
        path = str(self.folder / name)
        arguments = {"effects": self.effects, "genome": self.genome, "local": self.local, "rule": self.rule,
                     "exposures": self.exposures, "outcomes": self.outcomes, **changes}
        return path, write_vcf(path, **arguments)

    def mask(self):
        return self.rule.mask(self.effects["effect"].values, self.effects["effect_se"].values)


def text(path):
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return file.read()


def columns(path):
    """The columns of each record line."""
    return [line.split("\t") for line in text(path).splitlines() if not line.startswith("#")]
