"""What models with many marks take: seconds, memory and bytes of each stage, beside what was announced.

    python benchmarks/wide.py [--marks 919] [--loci 200] [--length 30] [--instruments own] [--folder FOLDER]

The store is simulated (`plugin_tests/wide_case.py`), so that only our own work is measured. Each stage runs in a
process of its own. Seconds are of processors, which other work on the machine changes little; memory is the most that
the process held.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "plugin_tests"))

STAGES = {
    "network": "pipeline.network(store, folder + '/network.tsv')",
    "estimate": "pipeline.estimate(store, folder + '/local.tsv', {options})",
    "aggregate": "pipeline.aggregate(folder + '/local.tsv', folder + '/global.tsv', "
                 "network_options={'network': 'none'})",
    "run": "pipeline.run_again(store, folder + '/OUT', estimate_options={options})",
}
PROGRAM = """
import json, resource, sys, time
from kipoi_deepmr import pipeline
store, folder = sys.argv[1:]
start, used = time.perf_counter(), time.process_time()
{}
print(json.dumps([time.perf_counter() - start, time.process_time() - used,
                  resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024]))
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("marks", 919), ("loci", 200), ("length", 30), ("members", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--instruments", default="own")
    parser.add_argument("--method", default="ivw")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--stages", nargs="+", choices=list(STAGES), default=list(STAGES))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        measure(Path(folder), args)


def measure(folder, args):
    """Make the store, run each stage, and print what it takes beside what is announced."""
    from wide_case import make_store

    store = make_store(folder, args.marks, args.loci, args.length, args.members)
    for name in args.stages:
        options = {"method": args.method, "instruments": args.instruments, "vcf": "none",
                   "tables": "effects" if name == "run" else "none"}
        said = announced(store, options, name)
        program = PROGRAM.format(STAGES[name].replace("{options}", repr(options)))
        done = subprocess.run([sys.executable, "-c", program, store, str(folder)],
                              capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"{name:10} {done.stderr.strip().splitlines()[-1]}", flush=True)
            continue
        wall, seconds, memory = json.loads(done.stdout.splitlines()[-1])
        expected = sum(said.seconds.values()) if name == "run" else said.seconds[name]
        print(f"{name:10} {seconds:8.1f} s of processors (announced {expected:.1f}; {wall:.1f} s went by), "
              f"{memory / 1e9:.2f} GB (announced {said.memory / 1e9:.2f})", flush=True)
        if name == "estimate":
            print(f"{'':10} {said.rows / seconds:,.0f} local effects a second of one processor", flush=True)
    for path, size in sizes_below(folder):
        expected = said.files.get(path.name.replace("local.estimates.zarr", "local.zarr"))
        print(f"{str(path.relative_to(folder)):40} {size / 1e6:10.1f} MB"
              + (f" (announced {expected / 1e6:.1f})" if expected else ""))


def announced(store, options, stage):
    """What is said before a stage of these effects begins."""
    from kipoi_deepmr import effects_store
    from kipoi_deepmr.options import EstimateOptions
    from kipoi_deepmr.pipeline import sizes

    effects, options = effects_store.open_effects(store), EstimateOptions(**options)
    said = [sizes.sizes_of(options, effects["mark"].values.tolist(), effects.sizes, whole_run=whole,
                           share=sizes.share_with_estimate(effects, options)) for whole in (True, False)]
    return said[0]._replace(memory=said[1].memory) if stage == "estimate" else said[0]


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
