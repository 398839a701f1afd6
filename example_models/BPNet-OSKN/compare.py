"""Print the causal effects of a run on the test loci beside the true ones.

    python example_models/BPNet-OSKN/compare.py OUT

OUT is the output folder of ``kipoi postproc deepmr run``; ``global.tsv`` and ``local.tsv`` are read from it.
"""

import argparse
import json
import sys
from pathlib import Path

import pandas as pd

HERE = Path(__file__).parent
PAIR = ["exposure", "outcome"]

NOTE = """\
drives       share of the exposure's binding that carries the outcome along, in the simulation
truth        mean true effect over the loci that have an estimate: mutants within the exposure's motifs, without noise
all mutants  the same slope over all mutants of a locus: what instruments outside the exposure's motifs make of it"""


def compare(global_effects, local, truth, drives):
    """One row per pair and method: the global estimate beside the simulation's share and true slopes."""
    estimated = truth.merge(local.dropna(subset=["estimate"]), on=["locus", *PAIR], validate="one_to_many")
    grouped = estimated.groupby([*PAIR, "method"], sort=False)
    rows = grouped[["true_effect", "all_mutants"]].mean().reset_index()
    rows.insert(2, "drives", [drives.get(f"{x} -> {y}", 0.0) for x, y in zip(rows["exposure"], rows["outcome"])])
    return rows.merge(global_effects[[*PAIR, "method", "n_loci", "estimate", "ci_low", "ci_high", "tau"]])


def formatted(table):
    """The table as aligned text, pair and interval in one column each."""
    text = {name: table[name].map("{:.2f}".format) for name in table.select_dtypes("float")}
    return pd.DataFrame({
        "pair": table["exposure"] + " -> " + table["outcome"],
        "method": table["method"],
        "loci": table["n_loci"],
        "estimate": text["estimate"],
        "95 % interval": "[" + text["ci_low"] + ", " + text["ci_high"] + "]",
        "tau": text["tau"],
        "drives": text["drives"],
        "truth": text["true_effect"],
        "all mutants": text["all_mutants"],
    }).to_string(index=False)


def main(argv=None):
    """Read, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="output folder of a run on the test loci")
    out = parser.parse_args(argv).out
    for name in ("global.tsv", "local.tsv"):
        if not (out / name).is_file():
            parser.error(f"{out / name} does not exist: is {out} the output folder of a finished run?")
    tables = [pd.read_csv(path, sep="\t") for path in (out / "global.tsv", out / "local.tsv", HERE / "truth.tsv")]
    table = compare(*tables, json.loads((HERE / "training.json").read_text())["drives"])
    if table.empty:
        parser.error(f"no locus of {out / 'local.tsv'} with an estimate is named in {HERE / 'truth.tsv'}")
    print(formatted(table))
    print(NOTE)


if __name__ == "__main__":
    sys.exit(main())
