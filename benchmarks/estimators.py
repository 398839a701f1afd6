"""Fits a second: every method of `mr.METHODS` on batches of problems, and `fit_pairs` on the marks of a large model.

    python benchmarks/estimators.py [--method NAME,NAME] [--marks 164] [--mutants 1800] [--loci 24]

R's times are those of one fit by MendelianRandomization. The column "first" is what the first call takes: Numba
compiles once a process, and not while the clock of the other columns runs.
"""

import argparse
import inspect
import time

import numpy as np

from kipoi_deepmr import effects_store, mr
from kipoi_deepmr.loci import Loci

R_SECONDS = {"ivw": 1e-3, "egger": 1e-3, "egger_robust": 3.5e-3, "median_weighted": 45e-3}
INSTRUMENTS = (15, 60)
CLOSED_FORM = ("egger", "ivw", "wald_mean")
AT_LEAST = 1.0  # seconds that a rate is measured for


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--method", type=lambda text: text.split(","), default=list(mr.METHODS))
    parser.add_argument("--marks", type=int, default=164)
    parser.add_argument("--mutants", type=int, default=1800)
    parser.add_argument("--loci", type=int, default=24)
    arguments = parser.parse_args()
    print(f"{'method':24}{'first, s':>10}" + "".join(f"{f'n = {n}, /s':>14}{'R / ours':>10}" for n in INSTRUMENTS))
    for method in arguments.method:
        start = time.perf_counter()
        run(method, problems(INSTRUMENTS[0], 64))
        first = time.perf_counter() - start
        row = f"{method:24}{first:10.2f}"
        for n in INSTRUMENTS:
            fits = rate(method, n)
            row += f"{fits:14,.0f}" + (f"{fits * R_SECONDS[method]:10,.0f}" if method in R_SECONDS else f"{'':10}")
        print(row, flush=True)
    effects = dataset(arguments.loci, arguments.mutants, arguments.marks)
    print(f"\nfit_pairs, {arguments.marks} marks, {arguments.mutants} mutants, {arguments.loci} loci, as a table")
    for method in arguments.method:
        if method in CLOSED_FORM:
            mr.fit_pairs(effects, method=method)  # compiles
            start = time.perf_counter()
            rows = len(mr.fit_pairs(effects, method=method))
            print(f"{method:24}{rows / (time.perf_counter() - start):24,.0f} fits/s", flush=True)


def run(method, data):
    """Fit problems, of which some methods want each member's effects as well, or those on two further marks."""
    wanted = inspect.signature(mr.ESTIMATORS[method]).parameters
    more = zip(("bx_members", "by_members", "covariates", "covariates_se"), data[4:], strict=True)
    mr.ESTIMATORS[method](*data[:4], **{name: values for name, values in more if name in wanted})


def problems(n, size, seed=0, n_members=5):
    """bx, sx, by, sy (size, n) of problems whose outcomes have a fifth of outliers, members' bx and by, covariates."""
    rng = np.random.default_rng(seed)
    bx = rng.uniform(0.2, 2.0, (size, n)) * rng.choice([-1, 1], (size, n))
    sx, sy = rng.uniform(0.02, 0.1, (2, size, n))
    by = 0.7 * bx + rng.normal(size=(size, n)) * np.hypot(sy, 0.1)
    by += (rng.random((size, n)) < 0.2) * rng.normal(1, 1, (size, n))
    members = [b[:, None] + s[:, None] * rng.normal(size=(size, n_members, n)) for b, s in ((bx, sx), (by, sy))]
    covariates = rng.normal(size=(size, 2, n))
    return bx, sx, by, sy, *members, covariates, np.full(covariates.shape, 0.1)


def rate(method, n):
    """Fits a second, in batches that take about a second."""
    size = 64
    while True:
        data = problems(n, size)
        start = time.perf_counter()
        run(method, data)
        seconds = time.perf_counter() - start
        if seconds > AT_LEAST / 2 or size >= 200_000:
            return size / seconds
        size = int(min(200_000, size * min(8.0, AT_LEAST / seconds)))


def dataset(n_loci, n_mutants, n_marks, seed=0):
    """Effects of which a few are large: about 2 % of the mutants are instruments of a mark."""
    rng = np.random.default_rng(seed)
    length, start = n_mutants // 3, 1000 * np.arange(n_loci)
    loci = Loci(np.full(n_loci, "chr1"), start, start + length, np.full(n_loci, "+"),
                np.array([f"locus{i}" for i in range(n_loci)]), np.full((n_loci, length), ord("A"), np.uint8))
    shape = (n_loci, 3 * length, n_marks)
    data = {"effect": rng.standard_t(3, shape).astype("float32"),
            "effect_se": rng.uniform(0.1, 0.6, shape).astype("float32"),
            "reference": np.zeros((n_loci, 2, n_marks), "float32"),
            "ref_base": np.full(shape[:2], "A"), "alt_base": np.full(shape[:2], "C")}
    return effects_store.dataset(loci, [f"mark{i}" for i in range(n_marks)], ["m1", "m2"], data)


if __name__ == "__main__":
    main()
