"""Effects on any number of marks, as a cheap ensemble of linear models would give them, and local effects of these."""

from unittest import mock

import numpy as np

from kipoi_deepmr import dna, pipeline
from kipoi_deepmr.effects_store import Writer, local_effects
from kipoi_deepmr.loci import Loci, Locus


def make_store(folder, n_marks, n_loci, length=12, n_members=3, edges_per_mark=1, seed=0, name_length=0):
    """Write effects.zarr and genome.fa into a folder, and return the store's path.

    Each mutant acts on one mark, which acts on others: `d = a T`, T = (I - G)^-1, with an error of each member's own.
    """
    rng, sequence, g = _begun(n_marks, n_loci, length, edges_per_mark, seed)
    (folder / "genome.fa").write_text(f">chr1\n{sequence}\n")
    loci = Loci.from_list([Locus("chr1", i * length, (i + 1) * length, "+", f"locus{i}",
                                 dna.encode(sequence[i * length:(i + 1) * length])) for i in range(n_loci)])
    marks = [f"mark{j}".ljust(name_length, "x") for j in range(n_marks)]
    members = [f"m{k}" for k in range(n_members)]
    total = np.linalg.inv(np.eye(n_marks) - g)
    path = str(folder / "effects.zarr")
    writer = Writer(path, loci, marks, members, {"settings": {"made": [n_marks, n_loci, length, n_members, seed]},
                                                 "fasta_file": str(folder / "genome.fa")})
    for block in writer.blocks():
        writer.write(block, _effects(loci.sequences[block], total, n_members, rng))
    writer.close()
    return path


def make_array(folder, n_marks, methods):
    """A store in a folder, and beside it local effects as an array of several groups of exposures: local.tsv."""
    store = make_store(folder, n_marks, n_loci=10, length=8)
    with mock.patch.multiple(local_effects, BLOCK_PAIRS=4 * len(methods) * n_marks ** 2, CHUNK_PAIRS=60):
        pipeline.estimate(store, str(folder / "local.tsv"), method=methods, tables="none", vcf="none")
    return folder


def direct_effects(n_marks, n_loci, length, edges_per_mark=1, seed=0):
    """G of the store that `make_store` makes: (mark, mark), cause by outcome."""
    return _begun(n_marks, n_loci, length, edges_per_mark, seed)[2]


def _begun(n_marks, n_loci, length, edges_per_mark, seed):
    rng = np.random.default_rng(seed)
    sequence = "".join(rng.choice(list("ACGT"), n_loci * length))
    g = np.zeros((n_marks, n_marks))
    for _ in range(edges_per_mark * n_marks if n_marks > 1 else 0):
        i, j = sorted(rng.choice(n_marks, 2, replace=False))
        g[i, j] = rng.choice([-1, 1]) * rng.uniform(0.3, 0.7) / edges_per_mark
    return rng, sequence, g


def _effects(sequences, total, n_members, rng):
    n_loci, n_variants, n_marks = len(sequences), 3 * sequences.shape[1], len(total)
    acted_on = rng.integers(n_marks, size=(n_loci, n_variants))
    size = rng.choice([-1, 1], acted_on.shape) * rng.uniform(0.5, 2, acted_on.shape)
    true = size[..., None] * total[acted_on]
    of_member = (true[:, None] * rng.normal(1, 0.05, (n_loci, n_members, n_variants, 1))
                 + rng.normal(0, 0.03, (n_loci, n_members, n_variants, n_marks))).astype(np.float32)
    ref = np.array([[base for base in dna.decode(s) for _ in range(3)] for s in sequences])
    alt = np.array([[other for base in dna.decode(s) for other in "ACGT" if other != base] for s in sequences])
    return {"effect": of_member.mean(1, dtype=np.float64).astype(np.float32),
            "effect_se": of_member.std(1, ddof=1, dtype=np.float64).astype(np.float32),
            "reference": np.zeros((n_loci, n_members, n_marks), np.float32), "member_effect": of_member,
            "ref_base": ref, "alt_base": alt}
