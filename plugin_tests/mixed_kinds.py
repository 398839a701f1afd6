"""Effects in memory of single mutants, windows, deletions and regions, of a network that adds up what letters do."""

from functools import partial

import numpy as np

import kipoi_deepmr
from kipoi_deepmr import dna
from kipoi_deepmr.loci import Loci, Plan, parse_mutants
from kipoi_deepmr.models import Ensemble
from kipoi_deepmr.mutagenesis import saturate

MARKS = ("A", "B")
LENGTH = 24
REGIONS = [[(2, 7, 0), (12, 16, 1)], [(3, 9, 0), (8, 12, 1)], [(-1, -1, -1), (-1, -1, -1)]]  # first, last, mark


def mixed_effects(kinds="single,windows:4,regions", n_members=3, seed=0, mutated=None):
    """The Dataset of three loci; the letters of each position weigh anew for each mark, by members a little apart."""
    rng = np.random.default_rng(seed)
    weight = rng.normal(size=(LENGTH, 4, len(MARKS)))
    members = [weight + 0.1 * rng.normal(size=weight.shape) for _ in range(n_members)]
    functions = [lambda x, w=w: np.einsum("nla,lam->nm", x, w) for w in members]
    return saturate(Ensemble.from_function(functions, length=LENGTH, marks=MARKS), planned_loci(kinds, rng, mutated))


def planned_loci(kinds, rng=None, mutated=None):
    """Three loci of random letters, with `REGIONS` and a plan of these kinds of mutants."""
    rng, start = rng or np.random.default_rng(0), 100 * np.arange(3)
    plan = Plan(parse_mutants(kinds), 3, "background", 1, np.array(REGIONS, np.int32),
                np.full((3, 2, 9), ord("A"), np.uint8))
    return Loci(np.full(3, "chr1"), start, start + LENGTH, np.array(["+", "+", "-"]), np.array(["p", "q", "r"]),
                rng.choice(np.frombuffer(b"ACGT", np.uint8), (3, LENGTH)), mutated=mutated, plan=plan)


def write_regions(folder):
    """`REGIONS` as a BED file; its path."""
    path = folder / "regions.bed"
    path.write_text("".join(f"chr1\t{100 * locus + first}\t{100 * locus + last}\t{MARKS[mark]}\n"
                            for locus, regions in enumerate(REGIONS) for first, last, mark in regions if mark >= 0))
    return str(path)


def cooperative_effects(kinds, n_loci=40, n_members=4, seed=0):
    """The Dataset of loci of 40 bases that hold a motif of A and two of B, which binds in full only where A does."""
    rng = np.random.default_rng(seed)
    sites, letters = [[(4, 12)], [(16, 24), (28, 36)]], np.frombuffer(b"ACGT", np.uint8)

    def marks(x, slopes):
        bound = [max_bound(x, places) for places in sites]
        small = np.einsum("nla,lam->nm", x, slopes)
        return np.stack([10 * bound[0], 10 * bound[1] * (0.4 + 0.6 * bound[0])], 1) + small

    def max_bound(x, places):
        return np.mean([1 / (1 + np.exp(4 - 2 * (x[:, first:last, 0].sum(1) - 4))) for first, last in places], axis=0)

    functions = [partial(marks, slopes=0.05 * rng.normal(size=(40, 4, 2))) for _ in range(n_members)]
    sequences = rng.choice(letters, (n_loci, 40))
    for first, last in [*sites[0], *sites[1]]:
        sequences[:, first:last] = ord("A")
    start = 100 * np.arange(n_loci)
    plan = Plan(parse_mutants(kinds), 10, "background", 1, np.zeros((n_loci, 0, 3), np.int32),
                np.zeros((n_loci, 2, 0), np.uint8))
    loci = Loci(np.full(n_loci, "chr1"), start, start + 40, np.full(n_loci, "+"), start.astype("U"), sequences,
                plan=plan)
    return saturate(Ensemble.from_function(functions, length=40, marks=MARKS), loci)


CONTIG = dna.decode(np.random.default_rng(8).choice(dna.BASES, 200))
PLACES = [(0, "+", "begin"), (0, "-", "turned"), (40, "-", "a;b"), (50, "+", "over"), (176, "+", "end")]


def weights(n_members=3, seed=5):
    """What each letter at each position adds to each mark, by members a little apart: (member, L, 4, mark)."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(LENGTH, 4, len(MARKS))) + 0.1 * rng.normal(size=(n_members, LENGTH, 4, len(MARKS)))


def run_of_kinds(folder, mutants, **options):
    """The folder of a run on five loci of `CONTIG`, at its ends, on both strands and overlapping, in its FASTA."""
    folder.mkdir(exist_ok=True)
    fasta, bed = folder / "genome.fa", folder / "loci.bed"
    fasta.write_text(f">c1\n{CONTIG}\n")
    bed.write_text("".join(f"c1\t{start}\t{start + LENGTH}\t{name}\t0\t{strand}\n" for start, strand, name in PLACES))
    functions = [lambda x, w=w: np.einsum("nla,lam->nm", x, w) for w in weights()]
    kipoi_deepmr.run(Ensemble.from_function(functions, length=LENGTH, marks=MARKS),
                     Loci.from_bed(str(bed), str(fasta)), str(folder / "OUT"), quiet=True, mutants=mutants,
                     **{"method": ["ivw"], "instruments": "pooled", "instrument_z": 1.0, "se_shrinkage": "none",
                        "network": "none", "diagnostics": "none", "min_instruments": 1, "report": False, **options})
    return folder / "OUT"
