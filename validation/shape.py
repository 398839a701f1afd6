"""The shape of effects in trained networks where it is known: rounds that lie in folders.

    python validation/shape.py graphs/chain [graphs/fork ...]
    python validation/shape.py curves

Rounds of `kipoi deepmr simulate --graph` with linear labels have lines alone: other names are false. With saturating
labels outcomes respond less the higher they are, so that a pair is a line or saturating, never a threshold; they bend
little. Rounds of `validation/curve_networks.py` have curves that bend. For each ordered pair whose exposure has
instruments it asks for the shape, and of those it made for the state by all marks; it prints how many pairs of each
curve got which name. Stores that an older version wrote cannot be read: make those rounds again.
"""

import argparse
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

from kipoi_deepmr import effects_store, instruments, shape
from kipoi_deepmr.errors import InputError
from kipoi_deepmr.instruments.moments import moments
from kipoi_deepmr.options import EstimatorOptions, ShapeOptions
from kipoi_deepmr.shape.words import INDEPENDENT

LEAST = 0.05  # of an effect, in standard deviations


def shapes_of(folder, n_loci=None):
    """Exposure, outcome, the true curve, its estimate, and how it depends on levels, for each pair of a round."""
    effects = effects_store.open_effects(str(folder / "effects.zarr"))
    options, min_bend = EstimatorOptions(), ShapeOptions.default_of("min_bend")
    viewed = instruments.with_se_shrinkage(effects, options.se_shrinkage)
    rule = instruments.rule_for(viewed, options.instruments, options.instrument_z)
    marks, sd = [str(mark) for mark in effects["mark"].values], moments(effects)[1]
    truth = pd.read_csv(folder / "graph.tsv", sep="\t").set_index(["exposure", "outcome"])
    pairs = [(x, y) for x in range(len(marks)) for y in range(len(marks)) if (marks[x], marks[y]) in truth.index]
    blocks = None if n_loci is None else [slice(0, n_loci)]
    for (x, y), folds in zip(pairs, shape.gather_several(viewed, rule, pairs, blocks=blocks), strict=True):
        if not len(folds.loci) or not len((ablating := shape.ablating(folds)).loci):
            continue
        row = truth.loc[(marks[x], marks[y])]
        least = shape.least_slope(sd, x, y)
        curve = shape.curve_of(ablating, min_bend, least)
        states = shape.dependences(folds, shape.levels(viewed, range(len(marks)), (x, y), folds), least)
        yield marks[x], marks[y], _kind(folder, row, sd[x] / sd[y]), curve, states


def _kind(folder, row, unit):
    """What a pair's true curve is called."""
    if "curve" in row:
        return row["curve"]
    labels = "saturating labels" if "saturating" in folder.parts else "linear labels"
    return f"{labels}, {'effect' if abs(row['true_total']) * unit > LEAST else 'none'}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folders", nargs="+", type=Path, help="of rounds")
    parser.add_argument("--loci", type=int, help="only so many of each round, the first")
    asked, counts, partners, slopes = parser.parse_args(), {}, {}, {}
    for store in (store for folder in asked.folders for store in sorted(folder.rglob("effects.zarr"))):
        try:
            found = list(shapes_of(store.parent, asked.loci))
        except InputError as error:
            sys.exit(f"{error}\nThe networks are still there: remove {store} and predict them again, or make the round "
                     "again.")
        for x, y, kind, curve, states in found:
            of_others = {state.covariate: state.verdict for state in states
                         if state.covariate not in (x, y) and state.verdict != INDEPENDENT}
            counts.setdefault(kind, Counter())[curve.shape.word] += 1
            partners.setdefault(kind, Counter())[", ".join(sorted(of_others.values())) or INDEPENDENT] += 1
            slopes.setdefault(kind, []).append(curve.slopes)
            print(store.parent, f"{x} -> {y}", kind, curve.shape.word, *np.round(curve.slopes, 3),
                  f"{curve.pvalue:.2g}", f"{curve.pvalue_min_bend:.2g}", of_others or "", sep="\t", file=sys.stderr)
    for kind, words in sorted(counts.items()):
        print(kind, words.total(), *(f"{word}: {n}" for word, n in words.most_common()), sep="\t")
        print(kind, "median slopes at the reference, half, full", *np.round(np.median(slopes[kind], axis=0), 3),
              sep="\t")
        print(kind, "by levels of other marks", *(f"{word}: {n}" for word, n in partners[kind].most_common()), sep="\t")


if __name__ == "__main__":
    main()
