"""Print the causal effects of a run on the test loci beside the true ones.

    python example_models/tf_cooperativity/compare.py OUT

OUT is the output folder of ``kipoi postproc deepmr run``; ``global.tsv`` and ``local.tsv`` are read from it.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd

PAIR = ["exposure", "outcome"]
TRUTH = Path(__file__).with_name("truth.tsv")

NOTE = """\
truth     mean true effect over the loci that have an estimate
covered   share of local 95 % intervals that hold the local truth
r         correlation of local estimates with local truths, which differ little between loci
TAL1 -> GATA is truly 0. With --preset paper it is not estimated as 0: mutants in the GATA motif change TAL1 through
GATA, so they count as instruments of TAL1. The default uses mutants that act on TAL1 alone."""


def with_truth(local, truth):
    """The local estimates whose true effect is known, with the column ``true_effect``; rows without an estimate go."""
    estimated = local.dropna(subset=["estimate"])
    return truth[["locus", *PAIR, "true_effect"]].merge(estimated, on=["locus", *PAIR], validate="one_to_many")


def correlation(x, y):
    """Pearson's correlation; NaN where either side does not vary."""
    return np.corrcoef(x, y)[0, 1] if len(x) > 2 and np.ptp(x) > 0 and np.ptp(y) > 0 else np.nan


def compare(global_effects, local, truth):
    """One row per pair and method: the global estimate beside the truth, and how the local ones fare."""
    rows = []
    for (exposure, outcome, method), loci in with_truth(local, truth).groupby([*PAIR, "method"], sort=False):
        held = loci["true_effect"].between(loci["ci_low"], loci["ci_high"])
        row = {"exposure": exposure, "outcome": outcome, "method": method, "loci": len(loci)}
        row["truth"] = loci["true_effect"].mean()
        row["covered"] = held[loci["ci_low"].notna()].mean()
        row["r"] = correlation(loci["estimate"], loci["true_effect"])
        rows.append(row)
    shown = [*PAIR, "method", "estimate", "ci_low", "ci_high", *(["verdict"] if "verdict" in global_effects else [])]
    estimates = global_effects[shown]
    return pd.DataFrame(rows, columns=[*PAIR, "method", "loci", "truth", "covered", "r"]).merge(estimates, how="left")


def formatted(table):
    """The table as aligned text, pair and interval in one column each."""
    text = table.map(lambda value: value if isinstance(value, str) else "NA" if pd.isna(value) else f"{value:.3f}")
    columns = {
        "pair": text["exposure"] + " -> " + text["outcome"],
        "method": text["method"],
        "loci": table["loci"],
        "estimate": text["estimate"],
        "95 % interval": "[" + text["ci_low"] + ", " + text["ci_high"] + "]",
    }
    last = [name for name in ("truth", "covered", "r", "verdict") if name in text]
    return pd.DataFrame(columns).join(text[last]).to_string(index=False)


def main(argv=None):
    """Read, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="output folder of a run on the test loci")
    out = parser.parse_args(argv).out
    for name in ("global.tsv", "local.tsv"):
        if not (out / name).is_file():
            parser.error(f"{out / name} does not exist: is {out} the output folder of a finished run?")
    tables = [pd.read_csv(path, sep="\t") for path in (out / "global.tsv", out / "local.tsv", TRUTH)]
    table = compare(*tables)
    if table.empty:
        parser.error(f"no locus of {out / 'local.tsv'} with an estimate is named in {TRUTH}")
    print(formatted(table))
    print(NOTE)


if __name__ == "__main__":
    sys.exit(main())
