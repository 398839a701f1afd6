"""How long the causal network takes: streamed from a store of many loci, and in memory for many marks.

    python benchmarks/network.py [--loci 2000] [--mutants 3000] [--folder FOLDER]

The store is simulated (`plugin_tests/linear_sem.py`, a hundred loci with new errors each time), four marks and five
members, in FOLDER (a temporary one by default; 0.5 GB), which is not timed. Seconds are those of the CPU; memory is the
most that the process has held until then.
"""

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import xarray as xr

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "plugin_tests"))

import linear_sem  # noqa: E402
import wide_case  # noqa: E402

from kipoi_deepmr import network  # noqa: E402
from kipoi_deepmr.effects_store import open_effects  # noqa: E402
from kipoi_deepmr.instruments.assignment import assignment_of  # noqa: E402
from kipoi_deepmr.instruments.sample import sample  # noqa: E402

PIECE = 100


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--loci", type=int, default=2000)
    parser.add_argument("--mutants", type=int, default=3000)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--only", choices=("store", "30", "164", "919"))
    args = parser.parse_args()
    if args.only in (None, "store"):
        with tempfile.TemporaryDirectory(dir=args.folder) as folder:
            store = write(Path(folder) / "effects.zarr", args.loci, args.mutants)
            report(f"4 marks, {args.loci} loci x {args.mutants} mutants x 5 members, store",
                   lambda: network.fit(xr.open_zarr(store, chunks=None)))
    for n_marks, n_loci, n_null in ((30, 200, 60), (164, 290, 40)):
        if args.only not in (None, str(n_marks)):
            continue
        simulated = linear_sem.simulate(n_marks, n_loci, seed=7, n_null=n_null, dtype=np.float32)
        gathered = sample(linear_sem.dataset(simulated.effects))
        names = tuple(f"m{j}" for j in range(n_marks))
        fitted = report(f"{n_marks} marks, {len(gathered.effect)} strong mutants x 5 members, in memory",
                        lambda s=gathered, m=names: network.fit(None, assignment=assignment_of(s, m)))
        off = ~np.eye(n_marks, dtype=bool)
        error = np.nan_to_num(fitted.direct["direct_std"]) - simulated.standardised[off]
        print(f"{'':20}RMSE of standardised direct effects {np.sqrt(np.mean(error ** 2)):.3f}")
    if args.only in (None, "919"):
        with tempfile.TemporaryDirectory(dir=args.folder) as folder:
            wide(Path(folder))


def wide(folder, n_marks=919, n_loci=200, length=50):
    """A network of many marks from a store, each of which acts on one other on average."""
    store = wide_case.make_store(folder, n_marks, n_loci, length, 5)
    fitted = report(f"{n_marks} marks, {n_loci} loci x {3 * length} mutants x 5 members, store, with verdicts",
                    lambda: _with_verdicts(network.fit(open_effects(store))))
    off = ~np.eye(n_marks, dtype=bool)
    true, sd = wide_case.direct_effects(n_marks, n_loci, length), fitted.instruments.sd
    size = np.abs(true * sd[:, None] / sd)[off]
    edge, known = fitted.is_edge, fitted.direct["direct"].notna().to_numpy()
    error = (np.nan_to_num(fitted.direct["direct"]) - true[off])[known & (size > 0)]
    print(f"{'':20}{fitted.instruments.causes.sum()} causes; {edge.sum()} direct effects, {(edge & (size == 0)).sum()} "
          f"of them false; {(edge & (size > fitted.min_effect)).sum()} of {(size > fitted.min_effect).sum()} true ones "
          f"beyond the minimum; RMSE of true effects {np.sqrt(np.mean(error ** 2)):.3f}")


def _with_verdicts(fitted):
    fitted.verdicts  # noqa: B018, computed when it is first asked for
    return fitted


def write(path, n_loci, n_mutants):
    """A store of simulated effects, written in pieces."""
    simulated = linear_sem.simulate(4, n_loci=PIECE, seed=1, n_null=0)
    motifs = np.zeros((PIECE, 5, n_mutants, 4), np.float32)
    motifs[:, :, :simulated.effects.shape[2]] = simulated.effects[:, :, :n_mutants]
    rng = np.random.default_rng(0)
    for start in range(0, n_loci, PIECE):
        members = motifs * rng.normal(1, 0.1, (PIECE, 5, 1, 4)).astype(np.float32)
        members += rng.normal(0, 0.02, members.shape).astype(np.float32)
        piece = linear_sem.dataset(members).chunk(locus=10)
        if start:
            piece.drop_vars("mark").to_zarr(path, append_dim="locus", zarr_format=2)
        else:
            piece.to_zarr(path, zarr_format=2)
    return path


def report(what, work):
    start = time.process_time()
    result = work()
    seconds, held = time.process_time() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"{what:72}{seconds:8.1f} s{held / 1024:8.0f} MB", flush=True)
    return result


if __name__ == "__main__":
    main()
