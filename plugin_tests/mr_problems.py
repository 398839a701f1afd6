"""Problems of MR that several tests share: single ones, effects of loci drawn at random, and those with R's answers."""

import json
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

from kipoi_deepmr import effects_store
from kipoi_deepmr.loci import Loci

MARKS = ["Oct4", "Sox2", "Nanog"]
DATASETS = {d["name"]: d for d in json.loads(
    (Path(__file__).parent / "data" / "mr_reference.json").read_text(encoding="utf-8"))["datasets"]}
FINITE = st.one_of(st.floats(allow_nan=False, allow_infinity=False),
                   st.sampled_from([0.0, -0.0, 1.0, -1.0, 2.0, 1e-310, 1e308]))


def random_problem(rng, *shape):
    bx, by = rng.normal(size=(2, *shape))
    sx, sy = rng.uniform(0.1, 1.0, size=(2, *shape))
    return bx, sx, by + 0.7 * bx, sy


def made_loci(n_loci, length):
    start = 100 * np.arange(n_loci)
    return Loci(np.array([f"chr{1 + i % 2}" for i in range(n_loci)]), start, start + length,
                np.array(["+-"[i % 2] for i in range(n_loci)]), np.array([f"peak{i}" for i in range(n_loci)]),
                np.full((n_loci, length), ord("A"), np.uint8))


def made_data(n_loci, length, n_marks, seed=0):
    rng = np.random.default_rng(seed)
    shape = (n_loci, 3 * length, n_marks)
    effect = rng.standard_t(3, size=shape) + rng.standard_t(2, size=shape[:2])[..., None]
    effect[-1] *= 0.01  # a locus without instruments under the pooled rule
    return {"effect": effect.astype("float32"), "effect_se": rng.uniform(0.1, 0.6, shape).astype("float32"),
            "reference": np.zeros((n_loci, 2, n_marks), "float32"),
            "ref_base": np.full(shape[:2], "A"), "alt_base": np.tile(list("CGT"), (n_loci, length))}


def effects_with_members(n_members=5, seed=0, keep=True, ddof=1, n_loci=6, length=20):
    """Mark B follows A by 2 and C by -1; members err, and their errors of all marks go together."""
    rng = np.random.default_rng(seed)
    shape = (n_loci, n_members, 3 * length)
    cause = rng.normal(size=(n_loci, 1, 3 * length)) * (rng.random((n_loci, 1, 3 * length)) < 0.4)
    error = 0.2 * rng.normal(size=shape) * np.exp(rng.normal(size=(n_loci, 1, 3 * length)) / 2)
    members = np.stack([cause + error, 2 * cause + 2 * error + 0.3 * rng.normal(size=shape),
                        -cause + 0.3 * rng.normal(size=shape)], axis=-1).astype(np.float32)
    members[-1, :, :, 0] = 0.01 * rng.normal(size=shape[1:])  # no instrument of A
    bases = np.full((n_loci, length), ord("A"), np.uint8)
    names = np.array([f"locus{i}" for i in range(n_loci)])
    start = np.arange(n_loci) * length
    loci = Loci(np.full(n_loci, "chr1"), start, start + length, np.full(n_loci, "+"), names, bases,
                np.full(n_loci, -1))
    data = {"effect": members.mean(1), "effect_se": members.std(1, ddof=ddof),
            "ref_base": np.full((n_loci, 3 * length), "A"), "alt_base": np.tile(list("CGT"), (n_loci, length)),
            "reference": np.zeros((n_loci, n_members, 3), np.float32)}
    return effects_store.dataset(loci, ("A", "B", "C"), [str(k) for k in range(n_members)],
                                 {**data, "member_effect": members} if keep else data, {"ddof": ddof})


def more_of_outcome(effect, chosen, x, y):
    """Share of some mutants that move mark y more than x, by a tenth, in units of the marks' effects at the locus."""
    x, y = (np.abs(effect[chosen, mark]) / np.sqrt((effect[:, mark] ** 2).mean()) for mark in (x, y))
    return np.mean(y > 1.1 * x)
