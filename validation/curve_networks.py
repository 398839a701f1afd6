"""Trained networks in which outcomes follow exposures along known curves: rounds for `validation/shape.py`.

    python validation/curve_networks.py curves 1 [2 ...]

Makes the rounds of these numbers in the folder `curves`. In each, five networks learn six marks from sequences of 72
bases. Every mark has a motif of its own, which adds between 0 and 10 to it. A and B are exposures. On the marks P, Q, R
they act along `CURVES`, each along a linear, a saturating and a threshold curve, and S responds to the product of both.
`graph.tsv` says which pair follows which curve.
"""

import argparse
import itertools
import os
from pathlib import Path

import numpy as np
import pandas as pd

from kipoi_deepmr.output.tables import write_tsv
from kipoi_deepmr.simulation.graph_activity import NOISE, OWN, length_of, motifs_of, own_input
from kipoi_deepmr.simulation.graph_rounds import OF_MANY_MARKS
from kipoi_deepmr.simulation.graph_truth import LOCAL
from kipoi_deepmr.simulation.round_folder import predict_round, round_folder
from kipoi_deepmr.simulation.sequences import hold_out, sample_sequences, with_mutated_copies
from kipoi_deepmr.simulation.training import N_MEMBERS, Card, train_ensemble
from kipoi_deepmr.simulation.truth import write_test_loci

MARKS = ("A", "B", "P", "Q", "R", "S")
MOST = 6.0  # what an exposure at its highest level adds to an outcome
CURVES = {
    "linear": lambda level: MOST * level / OWN,
    "saturating": lambda level: MOST * (1 - np.exp(-level / 2)),
    "threshold": lambda level: MOST * (level / OWN) ** 3,
}
FOLLOWS = {("A", "P"): "linear", ("B", "P"): "saturating", ("A", "Q"): "saturating", ("B", "Q"): "threshold",
           ("A", "R"): "threshold", ("B", "R"): "linear", ("A", "S"): "and", ("B", "S"): "and"}
N_TEST = 200
SEED = 21


def labels_of(bases, pwms):
    """(n, mark) labels without noise."""
    y = own_input(bases, pwms)
    level = dict(zip(MARKS, y.T.copy(), strict=True))
    for (exposure, outcome), curve in FOLLOWS.items():
        if curve in CURVES:
            y[:, MARKS.index(outcome)] += CURVES[curve](level[exposure])
    y[:, MARKS.index("S")] += MOST * level["A"] * level["B"] / OWN**2
    return y


def make_round(folder, number):
    """The networks, their test loci and the effects of all mutants, in ``folder/round-NN``."""
    pwms = motifs_of(MARKS)
    data, test, spacers, seeds = (np.random.default_rng([SEED, number, stream]) for stream in range(4))
    training, length = OF_MANY_MARKS, length_of(len(MARKS))
    with round_folder(str(folder / f"round-{number:02d}"), record := {"round": number}) as partial:
        bases, copied = with_mutated_copies(sample_sequences(training.n, pwms, data, length), pwms, data)
        y = labels_of(bases, pwms)
        y = (y + data.normal(0, NOISE, y.shape)).astype(np.float32)
        valid = hold_out(training.n, copied, data)
        loci = sample_sequences(N_TEST, pwms, test, length).bases
        write_test_loci(partial, loci, pd.DataFrame(columns=LOCAL), spacers)
        pairs = pd.DataFrame(itertools.permutations(MARKS, 2), columns=["exposure", "outcome"])
        curves = [FOLLOWS.get(pair, "none") for pair in pairs.itertuples(index=False, name=None)]
        write_tsv(os.path.join(partial, "graph.tsv"), [pairs.assign(curve=curves)])
        card = Card(f"simulation/curves/{number}", f"known curves, round {number}")
        record["members"] = train_ensemble(
            partial, [int(seed) for seed in seeds.integers(0, 2**31, N_MEMBERS)], (bases[~valid], y[~valid]),
            (bases[valid], y[valid]), training.schedule, card, marks=MARKS, size=training.size, balanced=True)
        predict_round(partial, N_MEMBERS)
    return record


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("rounds", nargs="+", type=int)
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    for number in asked.rounds:
        if not (asked.folder / f"round-{number:02d}").exists():
            record = make_round(asked.folder, number)
            fitted = pd.DataFrame([member["validation_r2"] for member in record["members"]]).mean()
            print(f"round {number}: mean validation R^2", fitted.round(3).to_dict(), flush=True)


if __name__ == "__main__":
    main()
