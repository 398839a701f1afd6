"""Folders of finished runs, made without models: effects drawn at random, everything after them by the real stages."""

import numpy as np

from kipoi_deepmr import effects_store, pipeline
from kipoi_deepmr.loci import Loci, Locus
from kipoi_deepmr.runs import manifest
from kipoi_deepmr.runs.folder import RunFolder

METHODS = ("ivw", "egger")
# Instruments by the size of their effect and intervals of each method's own: quick, and easy to check by hand
PLAIN = {"preset": "paper", "min_instruments": 1}
PLAIN_WORDS = ("--preset", "paper", "--min_instruments", "1")


def seal(folder):
    """Make run.json that of the tables as they are."""
    manifest.write(str(folder), {**manifest.read(str(folder)), "files": manifest.checksums(str(folder))})


def effects_of(marks, n_loci=8, length=30, n_members=3, seed=0):
    """Effects in memory: mark j is j + 1 times mark 0 but for noise; each locus has a motif of 8 bases."""
    rng = np.random.default_rng(seed)
    sequences = rng.choice(np.frombuffer(b"ACGT", np.uint8), (n_loci, length))
    first = 0.05 * rng.normal(size=(n_loci, 3 * length))
    first[:, 30:54] += rng.normal(-2, 1, (n_loci, 24))
    slopes = np.arange(1, len(marks) + 1)
    members = first[:, None, :, None] * slopes + 0.1 * rng.normal(size=(n_loci, n_members, 3 * length, len(marks)))
    return dataset_of(members, marks, sequences)


def chain_effects(n_loci=40, length=30, n_members=4, seed=0, noise=0.05):
    """Effects in memory: marks A -> B -> C by 0.8 and 0.7, and D apart; a mutant acts on one mark or on none."""
    rng = np.random.default_rng(seed)
    marks, g = list("ABCD"), np.zeros((4, 4))
    g[0, 1], g[1, 2] = 0.8, 0.7
    acts = np.where(rng.random((n_loci, 3 * length, 1)) < 0.4, rng.integers(4, size=(n_loci, 3 * length, 1)), -1)
    own = np.where(acts == np.arange(4), rng.normal(size=(n_loci, 3 * length, 4)), 0)
    true = own @ np.linalg.inv(np.eye(4) - g)
    members = true[:, None] + noise * rng.normal(size=(n_loci, n_members, *true.shape[1:]))
    return dataset_of(members, marks, rng.choice(np.frombuffer(b"ACGT", np.uint8), (n_loci, length)))


def dataset_of(members, marks, sequences):
    """The Dataset of effects (locus, member, variant, mark) of members at loci with these sequences."""
    n_loci, length = sequences.shape
    loci = Loci.from_list([Locus("chr1", 100 * i, 100 * i + length, "+-"[i % 2], f"locus{i}", s)
                           for i, s in enumerate(sequences)])
    ref = np.repeat(sequences, 3, axis=1)
    alt = np.stack([[b for base in s for b in b"ACGT" if b != base] for s in sequences])
    data = {"effect": members.mean(1), "effect_se": members.std(1, ddof=1), "member_effect": members,
            "reference": np.zeros((n_loci, members.shape[1], len(marks))),
            **{name: letters.astype(np.uint8).view("S1").astype("U1") for name, letters in
               (("ref_base", ref), ("alt_base", alt))}}
    data = {name: values.astype(np.float32) if values.dtype.kind == "f" else values for name, values in data.items()}
    return effects_store.dataset(loci, marks, [str(k) for k in range(members.shape[1])], data)


def write_run(folder, marks=("A", "B", "C"), diagnostics="quick", methods=METHODS, instrument_z=1.5, effects=None,
              **more):
    """A folder as `run` leaves it, without the VCF; returns its effects."""
    folder.mkdir()
    effects = effects_of(list(marks), **more) if effects is None else effects
    marks = effects["mark"].values.tolist()
    effects.to_zarr(str(folder / "effects.zarr"), zarr_format=2)
    options = {**PLAIN, "method": list(methods), "instrument_z": instrument_z, "diagnostics": diagnostics}
    predicted = {"models": ["abc"], "marks": list(marks), "loci": len(effects["name"])}
    run = RunFolder(str(folder), {**predicted, **options}, predicted, made=True)
    pipeline.estimate(run.file("effects.zarr"), run.target("estimate"), vcf="none", **options)
    pipeline.aggregate(run.file("local.tsv"), run.target("aggregate"),
                       judged=pipeline.judge(effects_store.open_effects(run.file("effects.zarr"))))
    run.finish({"command": ["kipoi deepmr", "run", "<b>model</b>"], "dropped": {"too short": ["<i>x</i>"]},
                "versions": {"numpy": np.__version__}}, "2026-01-01T00:00:00+00:00")
    return effects
