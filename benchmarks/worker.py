"""How much a model's own Python costs: a worker against this process on the same model, side by side.

    python benchmarks/worker.py [--python PATH] [--repeats 7]

Two models, a member of the example and a BPNet-sized network (64 filters, 9 dilated layers, 1,000 bases; random
weights), and for each one with the same input and output that computes nothing: what its loci take longer in the worker
than in this process is what transport costs. Worker and process take turns; of each locus the shortest repeat counts.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np  # noqa: E402

from kipoi_deepmr.models.kipoi_model import KipoiModel  # noqa: E402

EXAMPLE = Path(__file__).resolve().parent.parent / "example_models" / "tf_cooperativity" / "1"
LENGTH, MARKS = 1000, 4

YAML = """
defined_as: {defined_as}
args: {args}
default_dataloader:
  defined_as: kipoiseq.dataloaders.SeqIntervalDl
  default_args: {{ignore_targets: True}}
info: {{authors: [{{name: benchmark}}], doc: benchmark}}
schema:
  inputs: {{shape: "({length}, 4)", doc: dna}}
  targets: {{shape: "({marks},)", doc: marks}}
"""

NOTHING = """
import numpy as np
from kipoi.model import BaseModel


class Nothing(BaseModel):
    def predict_on_batch(self, x):
        return x[:, 0, :{marks}]
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", default=sys.executable, help="of the worker; with the same frameworks as this one")
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        models = {"example, 100 bases": (str(EXAMPLE), write_nothing(folder / "small", 100, 2), 100, 40),
                  "BPNet-sized, 1,000 bases": (write_bpnet(folder / "bpnet"),
                                               write_nothing(folder / "large", LENGTH, MARKS), LENGTH, 1)}
        print(f"{'sequences a second':28}{'this process':>14}{'worker':>10}{'ratio':>8}{'transport':>12}{'differ':>12}")
        for what, (model, nothing, length, n_loci) in models.items():
            idle = seconds(nothing, length, max(n_loci, 10), arguments)[:2]
            here, there, difference = seconds(model, length, n_loci, arguments)
            n_sequences = 1 + 3 * length
            print(f"{what:28}{n_sequences / here:14,.0f}{n_sequences / there:10,.0f}{here / there:8.3f}"
                  f"{(idle[1] - idle[0]) / there:12.2%}{difference:12.1g}", flush=True)


def seconds(model, length, n_loci, arguments):
    """Seconds for a locus in this process and in a worker, and the largest difference between their answers."""
    loci = np.random.default_rng(0).choice(np.frombuffer(b"ACGT", dtype=np.uint8), (n_loci, length))
    members = [KipoiModel(model, "dir"), KipoiModel(model, "dir", python=arguments.python)]
    here, there = (member.mutants(loci[0]) for member in members)
    taken = best_in_turn(members, loci, arguments.repeats)
    members[1].close()
    return taken[0] / n_loci, taken[1] / n_loci, np.abs(here - there).max()


def best_in_turn(members, loci, repeats):
    """Seconds of each member for all loci, for each locus the shortest of the repeats."""
    taken = np.empty((repeats, len(loci), len(members)))
    for r in range(repeats):
        for k, member in enumerate(members):
            for i, locus in enumerate(loci):
                start = time.perf_counter()
                member.mutants(locus)
                taken[r, i, k] = time.perf_counter() - start
    return taken.min(0).sum(0)


def write_nothing(folder, length, marks):
    """A model directory whose model returns the first base."""
    folder.mkdir()
    (folder / "model.py").write_text(NOTHING.format(marks=marks))
    (folder / "model.yaml").write_text(YAML.format(defined_as="model.Nothing", args="{}", length=length, marks=marks))
    return str(folder)


def write_bpnet(folder):
    """A model directory with a network of BPNet's trunk: 64 filters, nine dilated layers with skips, a head each."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(0)
    sequence = layers.Input((LENGTH, 4))
    x = layers.Conv1D(64, 25, padding="same", activation="relu")(sequence)
    for i in range(1, 10):
        x = layers.add([x, layers.Conv1D(64, 3, padding="same", activation="relu", dilation_rate=2**i)(x)])
    model = keras.Model(sequence, layers.Dense(MARKS)(layers.GlobalAveragePooling1D()(x)))
    folder.mkdir()
    model.save(folder / "model.keras")
    (folder / "model.yaml").write_text(YAML.format(defined_as="kipoi.model.KerasModel",
                                                   args="{weights: model.keras}", length=LENGTH, marks=MARKS))
    return str(folder)


if __name__ == "__main__":
    main()
