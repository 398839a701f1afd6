"""How long meta-analysis takes: one analysis of 2,000 studies, leave-one-out, and all pairs of a large model at once.

    python benchmarks/meta.py [--pairs 26732] [--studies 2000]

R's meta::metagen (REML, Q-profile, 2,000 studies) takes about 25 s an analysis. The last row draws its numbers in
slices, whose drawing is not timed, so that it needs 200 MB of memory and not 2 GB.
"""

import argparse
import time
from functools import partial

import numpy as np

from kipoi_deepmr import meta

METAGEN_SECONDS = 25.0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=26_732, help="columns of the last benchmark")
    parser.add_argument("--studies", type=int, default=2_000)
    arguments = parser.parse_args()
    effects, ses = draw(arguments.studies, 1)
    print(f"{'what':56}{'seconds':>12}{'metagen / ours':>16}")
    for method in meta.TAU2_METHODS:
        for tau2_ci in ("q_profile", None):
            seconds = best(partial(meta.random_effects, effects[:, 0], ses[:, 0], method, tau2_ci=tau2_ci))
            report(f"{method}, tau2_ci={tau2_ci}, {arguments.studies} studies", seconds, METAGEN_SECONDS)
    seconds = best(lambda: meta.random_effects(effects[:, 0], ses[:, 0], tau2_ci="jackson"), repeats=3)
    report(f"REML, tau2_ci=jackson, {arguments.studies} studies", seconds, METAGEN_SECONDS)
    seconds = best(lambda: meta.leave_one_out(effects[:, 0], ses[:, 0]), repeats=1)
    report(f"leave_one_out REML, {arguments.studies} studies", seconds, METAGEN_SECONDS * arguments.studies)
    n_pairs = arguments.pairs
    seconds = pairs(arguments.studies, n_pairs)
    report(f"REML, q_profile, {n_pairs} pairs x {arguments.studies}", seconds, METAGEN_SECONDS * n_pairs)


def draw(n_studies, n_columns, seed=0):
    """Effects with tau = 1, and standard errors over four orders of magnitude, as few members give."""
    rng = np.random.default_rng(seed)
    ses = rng.gamma(1.0, 0.5, (n_studies, n_columns))
    return rng.normal(0.2, np.sqrt(1 + ses**2)), ses


def pairs(n_studies, n_columns, slice_columns=2_000):
    """Seconds for all columns, in slices."""
    total = 0.0
    for first in range(0, n_columns, slice_columns):
        effects, ses = draw(n_studies, min(slice_columns, n_columns - first), seed=first)
        start = time.perf_counter()
        meta.random_effects(effects, ses)
        total += time.perf_counter() - start
    return total


def best(function, repeats=15):
    """Shortest of several runs, in seconds."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def report(what, seconds, reference):
    print(f"{what:56}{seconds:12.5f}{reference / seconds:16,.0f}", flush=True)


if __name__ == "__main__":
    main()
