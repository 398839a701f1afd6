"""Simulate GATA binding that drives TAL1 binding, and train a deep ensemble of five CNNs on it.

The unconfounded scenario of the DeepMR paper's simulation. Sequences of 100 bases hold a GATA and a TAL1 motif with
probability 1/2 each. With q the probability that a factor binds anywhere on the sequence,

    GATA (exposure)  affinity  1 + alpha * q_GATA
    TAL1 (outcome)   affinity  1 + alpha * gamma * q_GATA * q_TAL1

and the labels are Poisson counts with these means, Anscombe-transformed. GATA thus acts on TAL1 and not the reverse.

Written to the output folder: the Kipoi models ``1/`` to ``5/`` (``model.yaml`` and ``model.keras``), test loci that no
model has seen (``test_loci.fa``, ``test_loci.bed``), their true local causal effects (``truth.tsv``) and a record of
the run (``training.json``).

    python example_models/tf_cooperativity/train.py

Simulation and training are those of `kipoi_deepmr.simulation`, with the schedule `CONSTANT`, which says its one
departure from the paper: batches of 100 sequences, not 1,000.

Needs kipoi_deepmr, tensorflow and simdna: ``pip install '.[simulation]'``.

References
----------
The DeepMR paper, PLOS Computational Biology 2022, https://doi.org/10.1371/journal.pcbi.1009880, Methods: Simulation.
"""

import argparse
import json
import platform
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from kipoi_deepmr.simulation.binding import load_pwms
from kipoi_deepmr.simulation.rounds import RULE
from kipoi_deepmr.simulation.scenarios import draw_parameters, training_data
from kipoi_deepmr.simulation.training import CONSTANT, N_MEMBERS, Card, train_ensemble
from kipoi_deepmr.simulation.truth import draw_test_loci, true_global_effect, write_test_loci


def simulation(seed):
    """PWMs, parameters and the random generators of training data, test loci and spacers, all fixed by the seed."""
    parameters, *others = (np.random.default_rng([seed, stream]) for stream in range(4))
    return load_pwms(), draw_parameters(parameters), others


def versions():
    """Versions that the numbers may depend on."""
    import keras
    import tensorflow as tf

    modules = {"numpy": np, "pandas": pd, "tensorflow": tf, "keras": keras}
    return {"python": platform.python_version()} | {name: module.__version__ for name, module in modules.items()}


def main(argv=None):
    """Simulate, train, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path(__file__).parent, help="folder to write to (default: here)")
    parser.add_argument("--seed", type=int, default=2, help="seed of data and networks (default: %(default)s)")
    args = parser.parse_args(argv)
    args.output.mkdir(parents=True, exist_ok=True)

    pwms, parameters, (training_rng, test_rng, spacer_rng) = simulation(args.seed)
    print(f"alpha {parameters.alpha:.3f}, gamma {parameters.gamma:.3f}")
    bases, truth, counts = draw_test_loci(pwms, parameters, test_rng)
    write_test_loci(args.output, bases, truth, spacer_rng)
    members = train_ensemble(args.output, [10 * args.seed + member for member in range(1, N_MEMBERS + 1)],
                             *training_data(pwms, parameters, training_rng), CONSTANT,
                             Card("tf_cooperativity", "train.py beside this folder"),
                             each=lambda record: print(record, flush=True))
    record = {"seed": args.seed, "alpha": parameters.alpha, "gamma": parameters.gamma,
              "true_global_effect": true_global_effect(truth),
              "test_loci": {"rule": RULE, **counts, "kept": len(bases)}, "members": members, "versions": versions()}
    (args.output / "training.json").write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
