"""What models with many marks take: seconds, memory and bytes of each stage, beside what was announced.

    python benchmarks/wide.py [--marks 919] [--loci 200] [--length 10] [--members 5] [--folder FOLDER]

The store is simulated (`plugin_tests/wide_case.py`), so that only our own work is measured. Each stage runs in a
process of its own; memory is the most that it held.
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
    "estimate": "pipeline.estimate(store, folder + '/local.tsv', method='ivw', tables='none', vcf='none')",
    "aggregate": "pipeline.aggregate(folder + '/local.tsv', folder + '/global.tsv', "
                 "network_options={'network': 'none'})",
    "run": "pipeline.run_again(store, folder + '/OUT', estimate_options={'method': 'ivw', 'tables': 'effects'})",
}
PROGRAM = """
import json, resource, sys, time
from kipoi_deepmr import pipeline
store, folder = sys.argv[1:]
start = time.perf_counter()
{}
print(json.dumps([time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024]))
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("marks", 919), ("loci", 200), ("length", 10), ("members", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--stages", nargs="+", choices=list(STAGES), default=list(STAGES))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        measure(Path(folder), args)


def measure(folder, args):
    """Make the store, say what is announced, and run each stage."""
    from wide_case import make_store

    from kipoi_deepmr.options import EstimateOptions
    from kipoi_deepmr.pipeline import sizes

    store = make_store(folder, args.marks, args.loci, args.length, args.members)
    marks = [f"mark{j}" for j in range(args.marks)]
    shape = {"locus": args.loci, "member": args.members, "variant": 3 * args.length, "mark": args.marks}
    print(sizes.sizes_of(EstimateOptions(method="ivw", tables="effects"), marks, shape).text, flush=True)
    for name in args.stages:
        done = subprocess.run([sys.executable, "-c", PROGRAM.format(STAGES[name]), store, str(folder)],
                              capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"{name:10} {done.stderr.strip().splitlines()[-1]}", flush=True)
            continue
        seconds, memory = json.loads(done.stdout.splitlines()[-1])
        print(f"{name:10} {seconds:8.1f} s {memory / 1e9:6.2f} GB", flush=True)
    for path in sorted(folder.rglob("*")):
        if path.is_dir() and path.suffix == ".zarr":
            size = sum(each.stat().st_size for each in path.rglob("*") if each.is_file())
        elif path.is_file() and not any(each.suffix == ".zarr" for each in path.parents):
            size = path.stat().st_size
        else:
            continue
        print(f"{str(path.relative_to(folder)):40} {size / 1e6:10.1f} MB")


if __name__ == "__main__":
    begun = time.perf_counter()
    main()
    print(f"{time.perf_counter() - begun:.0f} s in all")
