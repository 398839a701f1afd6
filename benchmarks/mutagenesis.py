"""How long all mutants of a sequence take: the exact engine against TensorFlow predicting each as a whole.

    python benchmarks/mutagenesis.py [--models bpnet basset cnn spliceai] [--bpnet FILE] [--rounds 5] [--threads 2]
                                     [--windows W]

Mutants are all single ones, or, with --windows, side by side windows of W bases, ten draws of each.
Every round runs each engine once, one after the other, in CPU-seconds of the process with TensorFlow held to one
thread; the ratios are medians over rounds of the same round's times, so that a busy machine tells in both. TensorFlow
predicts a share of the mutants, and its time is scaled to all; of the CNN, also mutants of several sequences at once.
The last column is the largest difference of an effect from the same network in float64, and in brackets TensorFlow's
own, over the largest effect.
"""

import argparse
import os
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

from kipoi_deepmr import dna, exact  # noqa: E402
from kipoi_deepmr.mutagenesis import saturation_mutants  # noqa: E402

EXAMPLE = Path(__file__).resolve().parent.parent / "example_models" / "tf_cooperativity" / "1" / "model.keras"
BATCHES = {"bpnet": (16, 64), "basset": (64, 256), "cnn": (301, 1204, 4816), "spliceai": (1, 4)}
SHARE = {"bpnet": 192, "basset": 512, "cnn": 16 * 301, "spliceai": 4}  # mutants that TensorFlow predicts
TOGETHER = 32  # sequences that go through the CNN together
WITHIN = 200  # of SpliceAI's centre: bases whose mutants are wanted
CHECKED = 60  # mutants that are compared with float64


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", choices=list(BATCHES), default=list(BATCHES))
    parser.add_argument("--bpnet", metavar="FILE", help="a trained BPNet (.keras) in place of random weights")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--windows", metavar="W", type=int, help="mutants of W bases in place of single ones")
    arguments = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    keras.utils.set_random_seed(0)
    for name in arguments.models:
        if name == "bpnet":
            network = keras.saving.load_model(arguments.bpnet, compile=False) if arguments.bpnet else bpnet()
            counts = [output for output in network.output_names if "counts" in output]
            run(f"BPNet{' (trained)' if arguments.bpnet else ''}, counts", name, network, counts, arguments)
            profiles = [exact.Output(output, summary) for output in network.output_names
                        for summary in (["average"] if output in counts else ["softmax_mean"])]
            run("BPNet, counts and profile-weighted logits", name, network, profiles, arguments)
        elif name == "spliceai":
            run(f"SpliceAI-10k, the centre, mutants within {WITHIN} bases", name, spliceai(), None, arguments)
        else:
            network = basset() if name == "basset" else keras.saving.load_model(EXAMPLE, compile=False)
            run({"basset": "Basset-like", "cnn": "the paper's CNN"}[name], name, network, None, arguments)


def bpnet(length=1000, filters=64, framework=keras):
    """BPNet: nine dilated residual layers, two heads for each of four marks."""
    k = framework.layers
    first = k.Input((length, 4), name="seq")
    x = k.Conv1D(filters, 25, padding="same", activation="relu")(first)
    for i in range(1, 10):
        x = k.Add()([x, k.Conv1D(filters, 3, padding="same", activation="relu", dilation_rate=2**i)(x)])
    outputs = []
    for mark in ("Oct4", "Sox2", "Nanog", "Klf4"):
        outputs.append(k.Conv1DTranspose(2, 25, padding="same", name=f"{mark}_profile")(x))
        outputs.append(k.Dense(2, name=f"{mark}_counts")(k.GlobalAveragePooling1D()(x)))
    return framework.Model(first, outputs)


def basset(length=600, marks=164, framework=keras):
    """Basset's three convolutions and two wide dense layers."""
    k = framework.layers
    layers = [k.Input((length, 4))]
    for filters, width, pool in ((300, 19, 3), (200, 11, 4), (200, 7, 4)):
        layers += [k.Conv1D(filters, width, padding="same"), k.BatchNormalization(), k.ReLU(), k.MaxPooling1D(pool)]
    layers += [k.Flatten(), k.Dense(1000), k.BatchNormalization(), k.ReLU(), k.Dense(1000), k.ReLU(), k.Dense(marks)]
    return framework.Sequential(layers)


def spliceai(context=10000):
    """SpliceAI-10k's architecture, for one position: Jaganathan K et al (2019), Cell, figure 1; random weights."""
    k = keras.layers
    first = k.Input((context + 1, 4))
    x = k.Conv1D(32, 1)(first)
    skip = k.Conv1D(32, 1)(x)
    for i, (width, dilation) in enumerate(4 * [(11, 1)] + 4 * [(11, 4)] + 4 * [(21, 10)] + 4 * [(41, 25)]):
        y = x
        for _ in range(2):
            y = k.Conv1D(32, width, padding="same", dilation_rate=dilation)(k.ReLU()(k.BatchNormalization()(y)))
        x = k.Add()([x, y])
        if i % 4 == 3:
            skip = k.Add()([skip, k.Conv1D(32, 1)(x)])
    network = keras.Model(first, k.Conv1D(3, 1, activation="softmax")(k.Cropping1D(context // 2)(skip)))
    rng = np.random.default_rng(0)
    for layer in network.layers:
        if isinstance(layer, k.BatchNormalization):  # as training leaves them, lest values grow from block to block
            gamma, beta, mean, variance = layer.get_weights()
            layer.set_weights([gamma * rng.uniform(0.3, 0.7, 32), rng.normal(0, 0.2, 32), mean,
                               variance * rng.uniform(0.5, 2, 32)])
    return network


def run(title, name, network, outputs, arguments):
    sequence = np.random.default_rng(0).choice(dna.BASES, network.input_shape[1])
    positions = np.arange(len(sequence))
    if name == "spliceai":
        positions = np.arange(len(sequence) // 2 - WITHIN, len(sequence) // 2 + WITHIN + 1)
    changed = (in_windows(sequence, arguments.windows) if arguments.windows else
               saturation_mutants(sequence)[0].reshape(len(sequence), 3, -1)[positions].reshape(-1, len(sequence)))
    mutants = np.concatenate([sequence[None], changed])
    graph = exact.read_keras(network)
    wanted = outputs or graph.outputs
    one, several = exact.Engine(graph, wanted), exact.Engine(graph, wanted, threads=arguments.threads)
    start = time.perf_counter()

    def ours(engine):
        return engine.changed(sequence, changed) if arguments.windows else engine.mutants(sequence, positions)

    predicted = ours(one)
    first = time.perf_counter() - start
    naive = network if outputs is None else keras.Model(network.inputs, summarized(network, wanted))
    function = tf.function(lambda x: naive(x, training=False))
    some = mutants[:: max(1, len(mutants) // SHARE[name])][:SHARE[name]]
    one_hot = dna.one_hot(np.resize(some, (SHARE[name], len(sequence))))

    def tensorflow(batch):
        for i in range(0, len(one_hot), batch):
            function(tf.constant(one_hot[i:i + batch]))

    engines = {f"tf.function, batches of {batch}": (lambda batch=batch: tensorflow(batch), len(one_hot))
               for batch in BATCHES[name]}
    engines["model.predict"] = (lambda: network.predict(one_hot, verbose=0), len(one_hot))
    engines["exact"] = (lambda: ours(one), len(mutants))
    engines[f"exact, {arguments.threads} threads"] = (lambda: ours(several), len(mutants))
    if name == "cnn" and not arguments.windows:
        sequences = np.random.default_rng(1).choice(dna.BASES, (TOGETHER, len(sequence)))
        engines[f"exact, {TOGETHER} sequences together"] = (lambda: one.mutants_of(sequences), TOGETHER * len(mutants))
    repeats = {engine: 20 if name == "cnn" and n <= len(mutants) else 1 for engine, (_, n) in engines.items()}
    cpu, wall = ({engine: [] for engine in engines} for _ in range(2))
    for round_ in range(arguments.rounds + 1):
        for engine, (call, n) in engines.items():
            begin = time.process_time(), time.perf_counter()
            for _ in range(repeats[engine]):
                call()
            spent = time.process_time() - begin[0], time.perf_counter() - begin[1]
            if round_:  # the first warms up
                cpu[engine].append(spent[0] / repeats[engine] * len(mutants) / n)
                wall[engine].append(spent[1] / repeats[engine] * len(mutants) / n)
    report(title, cpu, wall, first, error(naive, network, wanted if outputs else None, mutants, predicted))


def in_windows(sequence, width, n_draws=10):
    """Mutants with random bases in a window, windows side by side: (mutants, L) uint8."""
    rng, made = np.random.default_rng(1), []
    for start in range(0, len(sequence), width):
        for mutant in np.repeat(sequence[None], n_draws, axis=0):
            mutant[start:start + width] = rng.choice(dna.BASES, len(mutant[start:start + width]))
            made.append(mutant)
    return np.array(made)


def summarized(network, wanted):
    """The network's outputs, or the scalars that are wanted of them, as tensors."""
    outputs = []
    for output in wanted:
        tensor = network.get_layer(getattr(output, "name", output)).output
        if getattr(output, "summary", None) == "softmax_mean":
            tensor = keras.ops.sum(keras.ops.softmax(tensor, axis=1) * tensor, axis=1)
        outputs.append(tensor)
    return outputs


def error(naive, network, wanted, mutants, predicted):
    """Largest difference of effects from float64, of the engine and of TensorFlow, over the largest effect."""
    rows = np.unique(np.r_[0, 1, 2, 3, len(mutants) - 3:len(mutants),
                           np.linspace(0, len(mutants) - 1, CHECKED if len(mutants[0]) < 5000 else 8).astype(int)])
    keras.config.set_dtype_policy("float64")

    def in_float64(layer):
        return layer.__class__.from_config({**layer.get_config(), "dtype": "float64"})

    double = keras.models.clone_model(network, clone_function=in_float64)
    double.set_weights(network.get_weights())
    double = double if wanted is None else keras.Model(double.inputs, summarized(double, wanted))
    keras.config.set_dtype_policy("float32")

    def effects(model, dtype):
        found = model(tf.constant(dna.one_hot(mutants[rows], dtype=dtype)), training=False)
        found = found if isinstance(found, (list, tuple)) else [found]
        found = np.concatenate([np.asarray(each, np.float64).reshape(len(rows), -1) for each in found], axis=1)
        return found - found[0]

    true = effects(double, np.float64)
    ours = predicted[rows].astype(np.float64) - predicted[0]
    return [np.abs(found - true).max() / np.abs(true).max() for found in (ours, effects(naive, np.float32))]


def report(title, cpu, wall, first, errors):
    best = min((engine for engine in cpu if engine.startswith("tf")), key=lambda engine: np.median(cpu[engine]))
    print(f"\n{title}: first call {first:.1f} s; effects differ from float64 by {errors[0]:.1e} of the largest "
          f"(TensorFlow {errors[1]:.1e})")
    print(f"{'engine':32}{'CPU s':>10}{'wall s':>10}{'tf CPU / its':>14}{'predict CPU / its':>20}"
          f"{'exact wall / its':>18}")
    for engine in cpu:
        ratios = [np.median(np.divide(times[other], times[engine])) for times, other in
                  ((cpu, best), (cpu, "model.predict"), (wall, "exact"))]
        print(f"{engine:32}{np.median(cpu[engine]):10.4f}{np.median(wall[engine]):10.4f}{ratios[0]:14.1f}"
              f"{ratios[1]:20.1f}{ratios[2]:18.2f}", flush=True)


if __name__ == "__main__":
    main()
