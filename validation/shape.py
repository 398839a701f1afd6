"""The shape of effects in trained networks whose graph is known: rounds that `simulate --graph` left in a folder.

    python validation/shape.py graphs/chain [graphs/fork ...]

For each round it asks for the shape of every ordered pair whose exposure has instruments, and prints how many pairs
with an effect and without got which name. With linear labels every effect is a line: other names are false. With
saturating labels outcomes respond less the higher they are, so that a pair is a line or saturating, never a threshold;
the truth column counts by the curve that the labels themselves follow, where it bends by more than the minimum.
"""

import argparse
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

from kipoi_deepmr import effects_store, instruments, shape
from kipoi_deepmr.instruments.moments import moments
from kipoi_deepmr.options import EstimatorOptions, NetworkOptions, ShapeOptions


def shapes_of(folder):
    """Exposure, outcome, whether there is an effect, and the name of its shape, for each pair of one round."""
    effects = effects_store.open_effects(str(folder / "effects.zarr"))
    options, min_bend = EstimatorOptions(), ShapeOptions.default_of("min_bend")
    viewed = instruments.with_se_shrinkage(effects, options.se_shrinkage)
    rule = instruments.rule_for(viewed, options.instruments, options.instrument_z)
    marks, sd = [str(mark) for mark in effects["mark"].values], moments(effects)[1]
    truth = pd.read_csv(folder / "graph.tsv", sep="\t").set_index(["exposure", "outcome"])
    for x, y in ((x, y) for x in range(len(marks)) for y in range(len(marks)) if x != y):
        folds = shape.gather(viewed, rule, x, y)
        if len(folds.loci) == 0 or (marks[x], marks[y]) not in truth.index:
            continue
        least = NetworkOptions.default_of("network_min_effect") * sd[y] / sd[x]
        curve = shape.curve_of(folds, min_bend, least)
        total = truth.loc[(marks[x], marks[y]), "true_total"]
        yield marks[x], marks[y], abs(total) * sd[x] / sd[y] > 0.05, curve


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folders", nargs="+", type=Path, help="folders that `simulate --graph` wrote")
    counts, bends = {}, {}
    for folder in parser.parse_args().folders:
        for store in sorted(folder.rglob("effects.zarr")):
            labels = "saturating" if "saturating" in store.parts else "linear"
            for x, y, has_effect, curve in shapes_of(store.parent):
                kind = labels, "effect" if has_effect else "no effect"
                counts.setdefault(kind, Counter())[curve.shape.word] += 1
                if has_effect:
                    bends.setdefault(labels, []).append(curve.slopes[2] / curve.slopes[0])
                print(store.parent, f"{x} -> {y}", *kind, curve.shape.word, *np.round(curve.slopes, 3),
                      f"{curve.pvalue:.2g}", f"{curve.pvalue_min_bend:.2g}", sep="\t", file=sys.stderr)
    for (labels, effect), of_kind in sorted(counts.items()):
        print(labels, effect, sum(of_kind.values()), *(f"{word}: {n}" for word, n in of_kind.most_common()), sep="\t")
    for labels, ratios in bends.items():
        print(labels, f"slope at full ablation over that at the reference, median: {np.median(ratios):.3f}", sep="\t")


if __name__ == "__main__":
    main()
