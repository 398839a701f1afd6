"""A job for the tests of faults: models, genome and loci that make a store of three blocks."""

import sys
from pathlib import Path

import numpy as np
from conftest import member_weights, write_model

PROGRAM = str(Path(sys.executable).parent / "kipoi-deepmr")
LENGTH, N_LOCI, BLOCK = 100, 150, 64


def make_job(folder, nan_start=""):
    """Options of `run` and `predict`; the second model fails on sequences that begin with `nan_start`."""
    weights = member_weights(4, length=LENGTH)
    models = [write_model(folder / str(k), w, nan_start=nan_start if k == 1 else "") for k, w in enumerate(weights)]
    bases = np.random.default_rng(5).choice(list("ACGT"), N_LOCI * LENGTH)
    (folder / "genome.fa").write_text(">chr1\n" + "".join(bases) + "\n")
    (folder / "loci.bed").write_text("".join(f"chr1\t{i * LENGTH}\t{(i + 1) * LENGTH}\n" for i in range(N_LOCI)))
    return [*models, "--source", "dir", "--intervals_file", str(folder / "loci.bed"), "--fasta_file",
            str(folder / "genome.fa")]
