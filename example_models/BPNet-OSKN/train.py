"""Simulate four transcription factors of which some drive others, and train an ensemble of three small BPNets on them.

A factor binds its own motif, and a share of that binding carries each factor that it drives to the same place. With
b_S the affinity of factor S summed over the sequence, the expected ChIP-nexus counts of mark T on each strand are

    BASE * L + COUNTS * (b_T + sum over S of DRIVES[S, T] * b_S)

in footprints on either side of the motifs, and the data are Poisson counts with these means. The networks are made and
trained with the package bpnet and have the layers, heads and inputs of the zoo's BPNet-OSKN, but fewer: 16 filters and
3 dilated layers in place of 64 and 9, and 200 bases in place of 1,000.

Written to the output folder: the Kipoi models ``1/`` to ``3/`` (``model.yaml`` and ``bpnet.model.h5``), test loci that
no model has seen (``test_loci.fa``, ``test_loci.bed``), their true local causal effects (``truth.tsv``) and a record of
the run (``training.json``).

    .envs/bpnet-py37/bin/python example_models/BPNet-OSKN/train.py

Needs the environment that `make bpnet-env` makes (TensorFlow 1.14, Keras 2.2.4, bpnet 0.0.23 on Python 3.7).

References
----------
Avsec et al., Nature Genetics 2021, https://doi.org/10.1038/s41588-021-00782-6: BPNet.
"""

import argparse
import hashlib
import json
import os
import platform
import random
import sys
import time
from itertools import permutations
from pathlib import Path

import numpy as np

BASES = "ACGT"
LENGTH = 200
MOTIFS = {"Oct4": "ATGCAAAT", "Sox2": "GAACAATGG", "Nanog": "AGCCATCA", "Klf4": "CCACACCC"}
MARKS = tuple(MOTIFS)
DRIVES = {("Oct4", "Sox2"): 0.5, ("Sox2", "Oct4"): 0.4, ("Oct4", "Nanog"): 0.3, ("Sox2", "Nanog"): 0.6,
          ("Sox2", "Klf4"): 0.3}

INSTANCES = [0.45, 0.4, 0.15]  # probability of no, one and two instances of a motif in a sequence
MISMATCH = 0.05  # probability that a base of an instance is not the consensus's
SLOT = 20  # one instance at most in each stretch of so many bases, none in the first and last: motifs never overlap
BASE = 0.05  # counts per position and strand without any motif
COUNTS = 100  # counts per strand of a motif without mismatch
FOOTPRINT_OFFSET, FOOTPRINT_SD = 5, 3  # bases from the motif's centre, upstream on one strand, downstream on the other

N_TRAINING, N_VALIDATION, N_TEST = 8_000, 1_000, 80
N_MEMBERS = 3
FILTERS, DILATED_LAYERS = 16, 3
EPOCHS = ((20, 0.003), (10, 0.002), (5, 0.001), (3, 0.0005))  # how many with which learning rate
BATCH_SIZE = 32
COUNTS_WEIGHT = 200  # of the counts heads' squared error beside the profile heads' log-likelihood

CONTIG = "chrSim"
SPACER = 50  # random bases before, between and after the test loci
FASTA_WIDTH = 60


# The simulation


def encode(motif):
    """Base codes 0 to 3 of a sequence of letters."""
    return np.array([BASES.index(base) for base in motif], dtype=np.uint8)


def reverse_complement(codes):
    """The other strand of base codes."""
    return 3 - codes[::-1]


def sample_sequences(n, rng):
    """n random sequences with embedded motif instances.

    Returns
    -------
    codes : ndarray (n, LENGTH) uint8
    starts : list of dict
        For each sequence, mark -> starts of its motif's instances.
    """
    codes = rng.randint(0, 4, size=(n, LENGTH)).astype(np.uint8)
    starts = []
    for sequence in codes:
        slots = list(rng.permutation(np.arange(1, LENGTH // SLOT - 1)))
        starts.append({mark: [embed(sequence, mark, slots.pop(), rng) for _ in range(rng.choice(3, p=INSTANCES))]
                       for mark in MARKS})
    return codes, starts


def embed(sequence, mark, slot, rng):
    """Write an instance of the mark's motif somewhere into a slot of the sequence; returns its start."""
    motif = encode(MOTIFS[mark])
    mismatch = rng.rand(len(motif)) < MISMATCH
    motif = np.where(mismatch, (motif + rng.randint(1, 4, len(motif))) % 4, motif)
    if rng.rand() < 0.5:
        motif = reverse_complement(motif)
    start = slot * SLOT + rng.randint(0, SLOT - len(motif) + 1)
    sequence[start:start + len(motif)] = motif
    return int(start)


def affinity(codes, motif):
    """(n, LENGTH) affinity of a factor to the motif centred at each position, both strands together.

    A motif without mismatch has affinity 1; a mismatch costs a factor of exp(-0.9) at its ends to exp(-2.5) in between.
    """
    width = len(motif)
    penalty = 0.5 + 2 * np.sin(np.pi * (np.arange(width) + 0.5) / width)
    n_offsets = codes.shape[1] - width + 1
    found = np.zeros(codes.shape)
    for strand in (encode(motif), reverse_complement(encode(motif))):
        cost = sum(penalty[k] * (codes[:, k:k + n_offsets] != base) for k, base in enumerate(strand))
        found[:, width // 2:width // 2 + n_offsets] += np.exp(-cost)
    return found


def footprints():
    """(strand, LENGTH, LENGTH): how a motif centred at the second axis's position spreads over the third's."""
    position = np.arange(LENGTH)
    shape = np.array([np.exp(-0.5 * ((position - position[:, None] - offset) / FOOTPRINT_SD) ** 2)
                      for offset in (-FOOTPRINT_OFFSET, FOOTPRINT_OFFSET)])
    return shape / (FOOTPRINT_SD * np.sqrt(2 * np.pi))


def expected_profiles(codes):
    """mark -> (n, LENGTH, 2) expected counts at each position and strand."""
    spread = footprints()
    own = {mark: np.einsum("nc,scl->nls", affinity(codes, motif), spread, optimize=True)
           for mark, motif in MOTIFS.items()}
    return {mark: BASE + COUNTS * (own[mark] + sum(DRIVES.get((driver, mark), 0) * own[driver] for driver in MARKS))
            for mark in MARKS}


def log_counts(profiles):
    """(n, marks) log(1 + counts of the sequence), mean over the strands."""
    return np.stack([np.log1p(profiles[mark].sum(axis=1)).mean(axis=1) for mark in MARKS], axis=1)


def training_data(n, rng):
    """One-hot sequences and the labels of each head, Poisson counts and their logarithms."""
    codes, _ = sample_sequences(n, rng)
    expected = expected_profiles(codes)
    labels = {}
    for mark in MARKS:
        profile = rng.poisson(expected[mark]).astype(np.float32)
        labels[mark + "/profile"] = profile
        labels[mark + "/counts"] = np.log1p(profile.sum(axis=1))
    return one_hot(codes), labels


def one_hot(codes):
    """(n, L, 4) float32."""
    return np.eye(4, dtype=np.float32)[codes]


# Test loci and their true effects


def draw_test_loci(rng):
    """Codes and motif starts of N_TEST sequences that hold an instance of every motif."""
    codes, starts = sample_sequences(20 * N_TEST, rng)
    kept = [i for i, held in enumerate(starts) if all(held.values())][:N_TEST]
    return codes[kept], [starts[i] for i in kept]


def all_mutants(sequence):
    """(3 L, L) the single mutants of one sequence, three for each position in turn."""
    rows = np.arange(3 * len(sequence))
    mutants = np.repeat(sequence[None], len(rows), axis=0)
    mutants[rows, rows // 3] = (sequence[rows // 3] + 1 + rows % 3) % 4
    return mutants


def slope(exposure, outcome):
    """Regression through the origin."""
    return float(exposure @ outcome / (exposure @ exposure))


def true_effects(codes, starts):
    """Rows of truth.tsv: locus number, exposure, outcome, true effect, slope over all mutants.

    The true effect of an exposure is the slope of the outcome's differences on its own over the mutants within its
    motif's instances, of noise-free log counts; the other slope is over all mutants of the locus.
    """
    rows = []
    for locus, (sequence, held) in enumerate(zip(codes, starts)):
        counts = log_counts(expected_profiles(np.concatenate([sequence[None], all_mutants(sequence)])))
        change = (counts[1:] - counts[0]).T
        for (i, exposure), (j, outcome) in permutations(enumerate(MARKS), 2):
            width = len(MOTIFS[exposure])
            within = np.concatenate([np.arange(3 * start, 3 * (start + width)) for start in held[exposure]])
            rows.append((locus, exposure, outcome, slope(change[i, within], change[j, within]),
                         slope(change[i], change[j])))
    return rows


def write_test_loci(folder, codes, rng):
    """Write test_loci.fa and test_loci.bed, one contig with the loci between stretches of random bases; locus names."""
    step = LENGTH + SPACER
    contig = rng.randint(0, 4, size=len(codes) * step + SPACER)
    starts = SPACER + step * np.arange(len(codes))
    contig[starts[:, None] + np.arange(LENGTH)] = codes
    text = "".join(np.array(list(BASES))[contig])
    lines = [text[i:i + FASTA_WIDTH] for i in range(0, len(text), FASTA_WIDTH)]
    (folder / "test_loci.fa").write_text("\n".join([">" + CONTIG] + lines + [""]))
    names = [f"locus{i + 1:02d}" for i in range(len(codes))]
    bed = [f"{CONTIG}\t{s}\t{s + LENGTH}\t{name}\t0\t+\n" for s, name in zip(starts, names)]
    (folder / "test_loci.bed").write_text("".join(bed))
    return names


def write_truth(folder, rows, names):
    """Write truth.tsv."""
    lines = ["locus\texposure\toutcome\ttrue_effect\tall_mutants\n"]
    lines += ["{}\t{}\t{}\t{:.6f}\t{:.6f}\n".format(names[row[0]], *row[1:]) for row in rows]
    (folder / "truth.tsv").write_text("".join(lines))


# The ensemble


def set_seed(seed):
    """Fixed seeds and one thread: as near to the same weights again as TensorFlow 1 comes (README.md says how near)."""
    import keras.backend as K
    import tensorflow as tf

    K.clear_session()
    random.seed(seed)
    np.random.seed(seed)
    tf.compat.v1.set_random_seed(seed)
    # -1 is the caller's own thread: a pool of one thread still runs operations in an order that varies
    threads = tf.compat.v1.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=-1)
    K.set_session(tf.compat.v1.Session(config=threads))


def build_model(filters=FILTERS, dilated_layers=DILATED_LAYERS, length=LENGTH):
    """A `bpnet.seqmodel.SeqModel` of the zoo's layers, heads and inputs, at the weights of its random start."""
    from bpnet.functions import softmax
    from bpnet.heads import ProfileHead, ScalarHead
    from bpnet.layers import DeConv1D, DilatedConv1D, GlobalAvgPoolFCN
    from bpnet.losses import multinomial_nll
    from bpnet.seqmodel import SeqModel
    from keras.optimizers import Adam

    body = DilatedConv1D(filters=filters, conv1_kernel_size=25, n_dil_layers=dilated_layers, padding="same",
                         skip_type="residual")
    profile = ProfileHead("{task}/profile", DeConv1D(n_tasks=2, filters=filters, tconv_kernel_size=25, padding="same"),
                          loss=multinomial_nll, postproc_fn=softmax, use_bias=True, bias_shape=(None, 4))
    counts = ScalarHead("{task}/counts", GlobalAvgPoolFCN(n_tasks=2), loss="mse", loss_weight=COUNTS_WEIGHT,
                        use_bias=True, bias_input="bias/{task}/counts", bias_shape=(2,))
    return SeqModel(body, [profile, counts], list(MARKS), optimizer=Adam(), seqlen=length)


def train_member(seed, sequences, labels):
    """Fit one network from its own random start."""
    import keras.backend as K

    set_seed(seed)
    network = build_model()
    inputs = {"seq": sequences}
    inputs.update(network.neutral_bias_inputs(len(sequences), LENGTH))
    for epochs, rate in EPOCHS:
        K.set_value(network.model.optimizer.lr, rate)
        network.model.fit(inputs, labels, batch_size=BATCH_SIZE, epochs=epochs, verbose=0)
    return network


def correlations(network, sequences, labels):
    """mark -> correlation of predicted with observed log counts, means over the strands."""
    predicted = network.predict(sequences)
    return {mark: round(float(np.corrcoef(predicted[mark + "/counts"].mean(axis=1),
                                          labels[mark + "/counts"].mean(axis=1))[0, 1]), 4) for mark in MARKS}


MODEL_YAML = """\
defined_as: model.BPNetOldSeqModel
args:
  model_file: bpnet.model.h5
default_dataloader:
  defined_as: kipoiseq.dataloaders.SeqIntervalDl
  default_args:
    auto_resize_len: {length}
    label_dtype: str  # BED names are text: without it the dataloader reads every column after the third as a number
    ignore_targets: True
info:
  authors:
    - name: kipoi_deepmr developers
  name: BPNet-OSKN/{member}
  version: "1.0"
  license: MIT
  trained_on: Simulated sequences (train.py beside this folder)
  doc: >
    Member {member} of a three-member deep ensemble of small BPNets, of the layers and file format of the zoo's
    BPNet-OSKN, that predict the binding profiles of Oct4, Sox2, Nanog and Klf4 in a simulation in which some of
    these drive others.
  cite_as: https://doi.org/10.1038/s41588-021-00782-6
  tags:
    - DNA binding
dependencies:
  conda:
    - python=3.7
  pip:
    - tensorflow==1.14.0
    - keras==2.2.4
    - bpnet==0.0.23
    - kipoiseq
schema:
  inputs:
    name: seq
    shape: "({length}, 4)"
    special_type: DNASeq
    doc: One-hot encoded DNA, columns ACGT
    associated_metadata: ranges
  targets:
"""

TARGET_YAML = """\
    {mark}:
      shape: "({length}, 2)"
      doc: Expected counts of {mark} at each position and strand
"""


def write_member(folder, member, network):
    """Write the Kipoi model directory ``folder/member``; returns the SHA-256 of its weights."""
    directory = folder / str(member)
    directory.mkdir(parents=True, exist_ok=True)
    network.model.save(str(directory / "bpnet.model.h5"), include_optimizer=False)
    code = directory / "model.py"
    if not code.exists():
        code.symlink_to("../model.py")
    text = MODEL_YAML.format(member=member, length=LENGTH)
    text += "".join(TARGET_YAML.format(mark=mark, length=LENGTH) for mark in MARKS)
    (directory / "model.yaml").write_text(text)
    return hashlib.sha256(b"".join(weights.tobytes() for weights in network.model.get_weights())).hexdigest()


def train_ensemble(folder, seed, training, validation):
    """Train and write the members; returns one record per member."""
    records = []
    for member in range(1, N_MEMBERS + 1):
        began = time.process_time()
        network = train_member(10 * seed + member, *training)
        record = {"member": member, "seed": 10 * seed + member, "cpu_seconds": round(time.process_time() - began),
                  "validation_correlation": correlations(network, *validation)}
        record["weights_sha256"] = write_member(folder, member, network)
        print(json.dumps(record), flush=True)
        records.append(record)
    return records


# The run


def streams(seed):
    """Random generators of training data, validation data, test loci and spacers."""
    return [np.random.RandomState([seed, stream]) for stream in range(4)]


def versions():
    """Versions that the weights may depend on."""
    import bpnet
    import keras
    import tensorflow

    modules = {"numpy": np, "tensorflow": tensorflow, "keras": keras, "bpnet": bpnet}
    return dict({"python": platform.python_version()}, **{name: m.__version__ for name, m in modules.items()})


def main(argv=None):
    """Simulate, train, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path(__file__).parent, help="folder to write to (default: here)")
    parser.add_argument("--seed", type=int, default=1, help="seed of data and networks (default: %(default)s)")
    args = parser.parse_args(argv)
    args.output.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

    training_rng, validation_rng, test_rng, spacer_rng = streams(args.seed)
    codes, starts = draw_test_loci(test_rng)
    names = write_test_loci(args.output, codes, spacer_rng)
    write_truth(args.output, true_effects(codes, starts), names)
    members = train_ensemble(args.output, args.seed, training_data(N_TRAINING, training_rng),
                             training_data(N_VALIDATION, validation_rng))
    record = {"seed": args.seed, "drives": {"{} -> {}".format(*pair): share for pair, share in DRIVES.items()}}
    record.update(members=members, versions=versions())
    (args.output / "training.json").write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
