"""What models with many marks take: seconds, memory and bytes of each stage, beside what was announced.

    python benchmarks/wide.py [--marks 919] [--loci 200] [--length 30] [--instruments own] [--folder FOLDER]

The store is simulated (`plugin_tests/wide_case.py`), so that only our own work is measured. Each stage runs in a
process of its own; `run` runs all of them in one, and each is measured there. As a user's process does, it announces
before it begins. Seconds are of processors, which other work on the machine changes little; memory is the most that the
process held during the stage.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "plugin_tests"))

STAGES = {
    "network": "pipeline.network(store, folder + '/network.tsv')",
    "estimate": "pipeline.estimate(store, folder + '/local.tsv', options)",
    "aggregate": "pipeline.aggregate(folder + '/local.tsv', folder + '/global.' + ending, "
                 "network_options={'network': 'none'})",
    "report": "report.write_report(folder + '/OUT')",
    "run": "pipeline.run_again(store, folder + '/OUT', estimate_options=options, "
           "network_options={'network': network}, table_format=ending, overwrite=True)",
}
PROGRAM = """
import json, sys, time
from kipoi_deepmr import effects_store, pipeline, report
from kipoi_deepmr.options import EstimateOptions
from kipoi_deepmr.pipeline import running
from kipoi_deepmr.pipeline.announcement import expected

store, folder, options, network, ending = json.loads(sys.argv[1])
begun, effects = time.process_time(), effects_store.open_effects(store)
stages = [*(["network"] if network != "none" else []), "estimate", "aggregate", "report"]
said = expected(EstimateOptions(**options), effects["mark"].values.tolist(), effects.sizes, store, effects=effects,
                stages=stages, like="." + ending)
print("announced", json.dumps({"took": time.process_time() - begun, "rows": said.counts.rows, "memory": said.memory,
                               "seconds": said.seconds.of_stage if said.seconds else {}, "files": said.files}))


def measured(name, function):
    def call(*arguments, **options):
        with open("/proc/self/clear_refs", "w") as file:  # begin to measure the most memory anew
            file.write("5")
        start, used = time.perf_counter(), time.process_time()
        found = function(*arguments, **options)
        with open("/proc/self/status") as file:
            memory = next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))
        print("measured", json.dumps([name, time.perf_counter() - start, time.process_time() - used, 1024 * memory]))
        return found
    return call


for name, function in {"network": "judge", "estimate": "estimate", "aggregate": "aggregate",
                       "report": "write_report"}.items():
    setattr(running, function, measured(name, getattr(running, function)))
"""
ALONE = "measured('{name}', lambda: {call})()"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("marks", 919), ("loci", 200), ("length", 30), ("members", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--instruments", default="own", help='"" for the default of `run`')
    parser.add_argument("--method", default="ivw", help='one or more, with commas, or "" for the default of `run`')
    parser.add_argument("--network", default="direct")
    parser.add_argument("--tables", default="none")
    parser.add_argument("--format", default="tsv")
    parser.add_argument("--folder", type=Path, help="keep store and results there, and use what it holds")
    parser.add_argument("--stages", nargs="+", choices=list(STAGES),
                        default=["network", "estimate", "aggregate", "run"])
    args = parser.parse_args()
    if args.folder:
        args.folder.mkdir(exist_ok=True)
        measure(args.folder, args)
        return
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder), args)


def measure(folder, args):
    """Make the store, run each stage, and print what it takes beside what is announced."""
    from wide_case import make_store

    store = str(folder / "effects.zarr")
    if not Path(store).exists():
        make_store(folder, args.marks, args.loci, args.length, args.members)
    options = {"vcf": "none", "tables": args.tables}
    options.update({"method": args.method.split(",")} if args.method else {})
    options.update({"instruments": args.instruments} if args.instruments else {})
    print(f"{args.marks} marks, {args.loci} loci, {3 * args.length} mutants, {args.members} members, {options}")
    said = {}
    for name in args.stages:
        call = STAGES[name] if name == "run" else ALONE.format(name=name, call=STAGES[name])
        arguments = json.dumps([store, str(folder), options, args.network, args.format])
        done = subprocess.run([sys.executable, "-c", f"{PROGRAM}\n{call}", arguments],
                              capture_output=True, text=True, check=False)
        for line in done.stdout.splitlines():
            if line.startswith("announced"):
                said = json.loads(line.removeprefix("announced"))
                print(f"{name}: {said['rows']:,} local effects, announced in {said['took']:.1f} s of processors")
            elif line.startswith("measured"):
                tell(said, *json.loads(line.removeprefix("measured")))
        if done.returncode:
            print(f"{name:10} {done.stderr.strip().splitlines()[-1]}", flush=True)
    for path, size in sizes_below(folder):
        expected = said.get("files", {}).get(path.name.replace("local.estimates.zarr", "local.zarr"))
        print(f"{str(path.relative_to(folder)):40} {size / 1e6:10.1f} MB"
              + (f" (announced {expected / 1e6:.1f})" if expected else ""))


def tell(said, name, wall, seconds, memory):
    """Print what a stage took."""
    expected = said["seconds"].get(name, np.nan)
    print(f"{name:10} {seconds:8.1f} s of processors (announced {expected:.1f}; {wall:.1f} s went by), "
          f"{memory / 1e9:.2f} GB (announced {said['memory'].get(name, np.nan) / 1e9:.2f})", flush=True)
    if name == "estimate":
        print(f"{'':10} {said['rows'] / seconds:,.0f} local effects a second of one processor", flush=True)


def sizes_below(folder):
    """Files, and arrays as a whole, with their bytes."""
    for path in sorted(folder.rglob("*")):
        if path.is_dir() and path.suffix == ".zarr":
            yield path, sum(each.stat().st_size for each in path.rglob("*") if each.is_file())
        elif path.is_file() and not any(each.suffix == ".zarr" for each in path.parents):
            yield path, path.stat().st_size


if __name__ == "__main__":
    begun = time.perf_counter()
    main()
    print(f"{time.perf_counter() - begun:.0f} s in all")
