"""All single mutants of a sequence by this package and by others, in one process: CPU-seconds, one thread each.

    python -m venv PEERS && PEERS/bin/pip install tangermeme onnx onnxruntime onnxscript fastISM tf_keras
    python benchmarks/peers.py --packages PEERS/lib/python3.11/site-packages [--models bpnet basset] [--rounds 5]

The folder of `--packages` is searched after our own, so that all use one numpy and one PyTorch. Every round runs each
peer once, one after the other; ratios are medians over rounds of the same round's times. PyTorch, ONNX Runtime and
tangermeme's `fast=False` predict the mutants of `N_POSITIONS` positions, scaled to all. tangermeme's `fast=True` (its
fastISM) captures a network only for a job of more than thirty seconds, and fastISM batches over sequences, so both get
several; of fastISM one letter of the four is measured, once, on a network of the same architecture in Keras 2. What
does not run says why. Errors are the largest difference of an effect from PyTorch's over the largest effect.
"""

import argparse
import io
import os
import sys
import time
import warnings
from collections.abc import Callable
from importlib import metadata
from typing import NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["TF_USE_LEGACY_KERAS"] = "1"  # fastISM imports tf.keras

import numpy as np  # noqa: E402
import torch  # noqa: E402
from torch import nn  # noqa: E402

from kipoi_deepmr import dna, exact  # noqa: E402
from kipoi_deepmr.models.host import saturation  # noqa: E402

N_POSITIONS = 64
BATCH = 64
PACKAGES = ("torch", "onnxruntime", "tangermeme", "fastISM", "tensorflow", "tf_keras", "numpy", "numba")


class Task(NamedTuple):
    """What all peers do; rows are numbers of mutants, 0 for the sequence itself."""

    network: nn.Module
    in_keras: str  # the function of mutagenesis.py that makes the same architecture
    sequence: np.ndarray
    rows: np.ndarray
    n_sequences: int  # for peers that take several
    n_in_keras: int  # for fastISM


class Peer(NamedTuple):
    """One way to predict mutants."""

    call: Callable  # the predictions of the task's rows; None where the weights are not the task's
    share: float  # of the mutants of one sequence, that a call predicts
    is_slow: bool = False  # called once, without warming up


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--packages", help="a folder of packages that is searched after our own")
    parser.add_argument("--models", nargs="+", choices=list(TASKS), default=list(TASKS))
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    if arguments.packages:
        sys.path.append(arguments.packages)
    torch.set_num_threads(1)
    for name in arguments.models:
        torch.manual_seed(0)
        report(name, *measured(TASKS[name](), arguments.rounds))
    print("\n" + ", ".join(f"{package} {version(package)}" for package in PACKAGES))


def version(package):
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "(not installed)"


def measured(task, rounds):
    """Seconds of each round, and predictions, by the name of the peer."""
    peers = {}
    for name, make in MAKERS.items():
        try:
            peers[name] = make(task)
            if not peers[name].is_slow:
                peers[name].call()  # compiles
        except Exception as error:  # a benchmark of others' packages: whatever they raise is what it reports
            peers.pop(name, None)
            print(f"{name} does not run: {type(error).__name__}: {str(error).strip().splitlines()[0][:200]}")
    seconds, predictions = {name: [] for name in peers}, {}
    for number in range(rounds):
        for name, peer in peers.items():
            if peer.is_slow and number:
                continue
            start = time.process_time()
            predictions[name] = peer.call()
            seconds[name].append((time.process_time() - start) / peer.share)
    return seconds, predictions


def report(name, seconds, predictions):
    print(f"\n| {name} | CPU-seconds | times ours | error |\n|---|---|---|---|")
    effects = {peer: found[1:].astype(np.float64) - found[0] for peer, found in predictions.items()
               if found is not None}
    true = effects["PyTorch"]
    for peer, each in seconds.items():
        ratio = np.median(np.divide(each, seconds["exact"][:len(each)]))
        error = f"{np.abs(effects[peer] - true).max() / np.abs(true).max():.0e}" if peer in effects else ""
        print(f"| {peer} | {np.median(each):.2f} | {ratio:.1f} | {error} |", flush=True)


class BPNet(nn.Module):
    """BPNet's trunk with the counts of four marks."""

    def __init__(self, filters=64):
        super().__init__()
        self.first = nn.Conv1d(4, filters, 25, padding=12)
        self.blocks = nn.ModuleList(nn.Conv1d(filters, filters, 3, padding=2**i, dilation=2**i) for i in range(1, 10))
        self.counts = nn.Linear(filters, 8)

    def forward(self, x):
        x = torch.relu(self.first(x))
        for block in self.blocks:
            x = x + torch.relu(block(x))
        return self.counts(x.mean(2))


def basset(marks=164):
    layers, channels = [], 4
    for filters, width, pool in ((300, 19, 3), (200, 11, 4), (200, 7, 4)):
        layers += [nn.Conv1d(channels, filters, width, padding=width // 2), nn.BatchNorm1d(filters), nn.ReLU(),
                   nn.MaxPool1d(pool)]
        channels = filters
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(12 * 200, 1000), nn.BatchNorm1d(1000), nn.ReLU(),
                         nn.Linear(1000, 1000), nn.ReLU(), nn.Linear(1000, marks))


def task_of(network, in_keras, length, n_sequences, n_in_keras):
    sequence = np.random.default_rng(0).choice(dna.BASES, length)
    first = (length - N_POSITIONS) // 2
    rows = np.r_[0, 1 + 3 * first:1 + 3 * (first + N_POSITIONS)]
    return Task(network.eval(), in_keras, sequence, rows, n_sequences, n_in_keras)


TASKS = {"bpnet": lambda: task_of(BPNet(), "bpnet", 1000, 4, 8),
         "basset": lambda: task_of(basset(), "basset", 600, 20, 8)}


def one_hot(sequences):
    """(n, 4, L) float32, as PyTorch takes it."""
    return torch.from_numpy(np.ascontiguousarray(dna.one_hot(sequences).swapaxes(1, 2)))


def batches(task, predict):
    """A peer that predicts the task's rows by a function of (n, 4, L) tensors, a batch at a time."""
    mutants = one_hot(saturation.some_rows(task.sequence, task.rows))
    return Peer(lambda: np.concatenate([predict(batch) for batch in mutants.split(BATCH)]),
                len(task.rows) / (1 + 3 * len(task.sequence)))


def by_exact(task):
    engine = exact.Engine(exact.read_torch(task.network, (4, len(task.sequence))))
    return Peer(lambda: engine.mutants(task.sequence)[task.rows], 1)


def by_torch(task):
    def predict(batch):
        with torch.no_grad():
            return task.network(batch).numpy()

    return batches(task, predict)


def by_onnx(task):
    import onnxruntime

    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(task.network, (one_hot(task.sequence[None]),), file, dynamo=False, input_names=["x"],
                          dynamic_axes={"x": {0: "n"}})
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(file.getvalue(), options, providers=["CPUExecutionProvider"])
    return batches(task, lambda batch: session.run(None, {"x": batch.numpy()})[0])


def by_fast_tangermeme(task):
    return _by_tangermeme(task, task.n_sequences, 0, len(task.sequence), True)


def by_slow_tangermeme(task):
    first = (task.rows[1] - 1) // 3
    return _by_tangermeme(task, 1, first, first + N_POSITIONS, False)


def _by_tangermeme(task, n_sequences, start, end, fast):
    from tangermeme.saturation_mutagenesis import saturation_mutagenesis
    from tangermeme.utils import TangermemeWarning

    others = np.random.default_rng(1).choice(dna.BASES, (n_sequences - 1, len(task.sequence)))
    x = one_hot(np.concatenate([task.sequence[None], others]))
    is_mutant = (dna.BASES != task.sequence[:, None])[start:end]

    def call():
        with warnings.catch_warnings():
            warnings.simplefilter("error", TangermemeWarning)  # that it is not fast after all
            reference, found = saturation_mutagenesis(task.network, x, start=start, end=end, batch_size=BATCH,
                                                      device="cpu", raw_outputs=True, fast=fast)
        mutants = found[0].numpy().swapaxes(0, 1)[is_mutant]
        return np.concatenate([reference[:1].numpy(), mutants[task.rows[1:] - 1 - 3 * start]])

    return Peer(call, n_sequences * (end - start) / len(task.sequence))


def by_fast_ism(task):
    import fastism
    import mutagenesis
    import tensorflow
    import tf_keras

    tensorflow.config.threading.set_intra_op_parallelism_threads(1)
    tensorflow.config.threading.set_inter_op_parallelism_threads(1)
    network = getattr(mutagenesis, task.in_keras)(framework=tf_keras)
    scalars = [output for output in network.outputs if output.shape.rank == 2]
    engine = fastism.FastISM(tf_keras.Model(network.inputs, scalars), test_correctness=False)
    sequences = np.random.default_rng(1).choice(dna.BASES, (task.n_in_keras, len(task.sequence)))
    x, letter = tensorflow.constant(dna.one_hot(sequences)), tensorflow.constant(np.eye(4, dtype=np.float32)[0])

    def call():
        engine(x, [letter])

    return Peer(call, task.n_in_keras / 4, is_slow=True)


MAKERS = {"exact": by_exact, "PyTorch": by_torch, "ONNX Runtime": by_onnx, "tangermeme": by_fast_tangermeme,
          "tangermeme, `fast=False`": by_slow_tangermeme, "fastISM": by_fast_ism}


if __name__ == "__main__":
    main()
