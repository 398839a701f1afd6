"""The paper's network, its training, and members as Kipoi model directories."""

import hashlib
import json
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .binding import EXPOSURE, LENGTH, MARKS, OUTCOME
from .sequences import one_hot

N_MEMBERS = 5
PATIENCE = 10


class Schedule(NamedTuple):
    """How a network is trained with Adam: at most so many epochs, until validation loss has not fallen for `PATIENCE`.

    With `warmup`, the learning rate rises to `learning_rate` over that share of all steps and falls as a cosine;
    without, it is the same all along. `execution` is how many steps TensorFlow takes in one call.
    """

    batch_size: int
    learning_rate: float
    epochs: int
    warmup: float = 0.0
    execution: int = 1


# The paper's, but for batches of 100 sequences, not 1,000, with which Adam takes too few steps in 100 epochs.
# Validation R^2 (GATA, TAL1) of member 1 of the example: 0.54, 0.65 with batches of 1,000; 0.91, 0.90 with 250;
# 0.94, 0.96 with 100. The true affinities, which know all but the Poisson noise, reach 0.98, 1.00.
CONSTANT = Schedule(batch_size=100, learning_rate=1e-3, epochs=100)
# 0.94 to 0.97 for both marks in a quarter of the epochs (docs/simulation.md: unconfounded rounds, means of members).
ONE_CYCLE = Schedule(batch_size=50, learning_rate=5e-3, epochs=20, warmup=0.15, execution=32)


class Size(NamedTuple):
    """Of a network: filters of each convolution, units of each dense layer, and the rate of dropout after each.

    The defaults are the paper's.
    """

    filters: int = 15
    units: int = 30
    dropout: float = 0.0


PAPER_SIZE = Size()


class Card(NamedTuple):
    """What an ensemble's model.yaml says: its name, what made the data, what it predicts, and in which unit."""

    name: str
    source: str
    subject: str = ("the Anscombe-transformed binding of {marks}\n    in a simulation in which "
                    f"{EXPOSURE}'s binding raises {OUTCOME}'s")
    unit: str = "Anscombe-transformed counts, 2 * sqrt(count + 3/8)"


def build_network(n_marks, length=LENGTH, size=PAPER_SIZE):
    """The paper's CNN: three convolutions of width 7, two dense layers, an output a mark."""
    import keras

    layers = keras.layers

    def dropped(*blocks):
        after = [layers.Dropout(size.dropout)] if size.dropout else []
        return [layer for block in blocks for layer in (block, *after)]

    return keras.Sequential(
        [
            keras.Input((length, 4), name="sequence"),
            *dropped(*(layers.Conv1D(size.filters, 7, activation="relu") for _ in range(3))),
            layers.Flatten(),
            *dropped(*(layers.Dense(size.units, activation="relu") for _ in range(2))),
            layers.Dense(n_marks, name="marks"),
        ]
    )


def _learning_rate(schedule, n):
    """Keras' schedule of the learning rate for n training sequences."""
    import keras

    if not schedule.warmup:
        return schedule.learning_rate
    steps = schedule.epochs * -(-n // schedule.batch_size)
    rising = int(schedule.warmup * steps)
    return keras.optimizers.schedules.CosineDecay(
        0.1 * schedule.learning_rate, steps - rising, alpha=0.01, warmup_target=schedule.learning_rate,
        warmup_steps=rising)


def train_member(seed, train, valid, schedule=CONSTANT, size=PAPER_SIZE, balanced=False):
    """Fit one network from its own random start; returns it and the number of epochs it took.

    With `balanced` the squared error of each mark is taken over the variance of its labels.
    """
    import keras

    scale = train[1].std(axis=0) if balanced else np.float32(1)
    train, valid = ((sequences, labels / scale) for sequences, labels in (train, valid))
    keras.utils.set_random_seed(seed)
    network = build_network(train[1].shape[1], train[0].shape[1], size)
    # XLA takes 1.7 times as long for these convolutions on a processor
    network.compile(optimizer=keras.optimizers.Adam(_learning_rate(schedule, len(train[0]))), loss="mse",
                    steps_per_execution=schedule.execution, jit_compile=False)
    history = network.fit(
        *train,
        validation_data=valid,
        batch_size=schedule.batch_size,
        epochs=schedule.epochs,
        callbacks=[keras.callbacks.EarlyStopping(patience=PATIENCE, restore_best_weights=True)],
        verbose=0,
    )
    last = network.layers[-1]
    last.set_weights([weights * scale for weights in last.get_weights()])
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
  name: {name}/{member}
  version: "1.0"
  license: MIT
  trained_on: Simulated sequences ({source})
  doc: >
    Member {member} of a five-member deep ensemble that predicts {subject}. After the simulation of the DeepMR paper
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
    shape: "({n_marks},)"
    doc: {unit}
    column_labels:
{labels}
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


def write_member(folder, member, network, card, marks=MARKS):
    """Write the Kipoi model directory ``folder/member``; returns the SHA-256 of its weights.

    Parameters
    ----------
    folder : path
    member : int
    network : keras.Model
    card : Card
    marks : sequence of str
        Names of the outputs.
    """
    import keras

    directory = Path(folder) / str(member)
    directory.mkdir(parents=True, exist_ok=True)
    # A network that was never compiled carries no optimizer state, which would triple the file.
    bare = keras.models.clone_model(network)
    bare.set_weights(network.get_weights())
    bare.save(directory / "model.keras")
    repack(directory / "model.keras")
    subject = card.subject.format(marks=f"{', '.join(marks[:-1])} and {marks[-1]}")
    text = MODEL_YAML.format(member=member, length=network.input_shape[1], name=card.name, source=card.source,
                             subject=subject, unit=card.unit, n_marks=len(marks),
                             labels="\n".join(f"      - {mark}" for mark in marks))
    (directory / "model.yaml").write_text(text)
    return hashlib.sha256(b"".join(weights.tobytes() for weights in bare.get_weights())).hexdigest()


def train_ensemble(folder, seeds, train, valid, schedule, card, each=None, marks=MARKS, size=PAPER_SIZE,
                   balanced=False):
    """Train and write the members ``folder/1`` and so on, one a seed; returns one record per member.

    Parameters
    ----------
    folder : path
    seeds : sequence of int
    train, valid : (bases, labels)
    schedule : Schedule
    card : Card
    each : callable, optional
        Gets each record when its member is done.
    marks : sequence of str
        Names of the labels' columns.
    size : Size
    balanced : bool
        As for `train_member`.
    """
    import tensorflow as tf

    tf.config.experimental.enable_op_determinism()
    train, valid = ((one_hot(bases), labels) for bases, labels in (train, valid))
    records = []
    for member, seed in enumerate(seeds, 1):
        network, epochs = train_member(seed, train, valid, schedule, size, balanced)
        r2 = explained_variance(valid[1], network.predict(valid[0], verbose=0))
        record = {"member": member, "seed": seed, "epochs": epochs}
        record["validation_r2"] = {mark: round(float(value), 4) for mark, value in zip(marks, r2, strict=True)}
        if each:
            each(record)
        records.append(record | {"weights_sha256": write_member(folder, member, network, card, marks)})
    return records
