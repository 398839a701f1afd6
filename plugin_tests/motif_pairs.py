"""Models of which it is known how two motifs combine, loci that have both, and the regions of the motifs."""

import numpy as np

from kipoi_deepmr import dna
from kipoi_deepmr.loci import Loci, Locus
from kipoi_deepmr.models import Ensemble

L, N_LOCI, MARKS = 40, 12, ("A", "B", "AND", "OR", "SUM")
MOTIFS = (("AGATAAGG", 5), ("CAGCTGTT", 24))  # of the first two marks
REGIONS = {"mutants": "regions,pairs", "mutant_draws": 4}


def ensemble_of(marks, n_members=5):
    """Five marks under these names: each motif's, and what an AND, an OR and a sum make of the two."""
    return Ensemble.from_function([_member(k) for k in range(n_members)], length=L, marks=list(marks))


def _one_hot_of(text):
    return (np.frombuffer(text.encode(), np.uint8)[:, None] == dna.BASES).astype(float)


def _member(number):
    """Whether each motif is there, between 0 and 1, and what follows."""
    own = 1 + 0.05 * np.random.default_rng(number).normal(size=5)

    def predict(one_hot):
        windows = np.lib.stride_tricks.sliding_window_view(one_hot, 8, axis=1)
        a, b = ((np.einsum("nobk,kb->no", windows, _one_hot_of(motif)).max(1) / 8) ** 6 for motif, _ in MOTIFS)
        return own * np.stack([a, b, a * b, a + b - a * b, 2 * a + b], 1)

    return predict


def loci_with_motifs():
    """Random sequences with both motifs."""
    rng, sequences = np.random.default_rng(1), []
    for _ in range(N_LOCI):
        text = dna.decode(rng.choice(dna.BASES, L))
        for motif, start in MOTIFS:
            text = text[:start] + motif + text[start + len(motif):]
        sequences.append(np.frombuffer(text.encode(), np.uint8))
    return Loci.from_list([Locus("chr1", 100 * i, 100 * i + L, "+", f"locus{i}", s) for i, s in enumerate(sequences)])


def write_bed(path, marks):
    """Write the motifs as regions of the first two marks, and return the path as text."""
    path.write_text("".join(f"chr1\t{100 * i + start}\t{100 * i + start + len(motif)}\t{mark}\n"
                            for i in range(N_LOCI) for mark, (motif, start) in zip(marks, MOTIFS, strict=False)))
    return str(path)
