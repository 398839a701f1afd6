"""Kipoi models that need numpy and kipoi alone, so that any Python from 3.6 on runs them."""

import numpy as np
from conftest import LENGTH

MODEL_CODE = '''
import os
import signal
import subprocess
import sys
import time

import numpy as np
from kipoi.model import BaseModel


class Weights(BaseModel):
    """Position weights times a side input, if there is one; does what its file `do` says once a sequence is all A."""

    def __init__(self, weights):
        self.weights = np.load(weights)
        self.folder = os.path.dirname(os.path.abspath(weights))

    def predict_on_batch(self, x):
        side = x["side"] if isinstance(x, dict) else 1.0
        x = x["dna"] if isinstance(x, dict) else x
        if (x[:, :, 0] == 1).all(1).any():
            self.act(x, os.path.join(self.folder, "do"))
        return np.tensordot(x, self.weights, 2) * side

    def act(self, x, path):
        if os.path.exists(path):
            with open(path) as code:
                exec(code.read())
'''

LOADER_CODE = '''
import numpy as np
from kipoi.data import Dataset
from kipoi.metadata import GenomicRanges


class Loader(Dataset):
    """defined_as: dataloader.Loader"""

    def __init__(self, intervals_file, fasta_file):
        self.rows = [line.split() for line in open(intervals_file)]
        self.genome = {record.split()[0]: "".join(record.split("\\n")[1:]).upper()
                       for record in open(fasta_file).read().split(">")[1:]}

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, i):
        chrom, start, end = self.rows[i][0], int(self.rows[i][1]), int(self.rows[i][2])
        letters = self.genome[chrom][start:end]
        dna = np.array([[letter == base for base in "ACGT"] for letter in letters], dtype="float32")
        return {"inputs": INPUTS, "metadata": {"ranges": GenomicRanges(chrom, start, end, str(i), "+")}}
'''

LOADER_YAML = '''
defined_as: dataloader.Loader
args: {intervals_file: {doc: bed}, fasta_file: {doc: genome}}
info: {authors: [{name: test}], doc: test}
output_schema:
  inputs: INPUTS
  metadata: {ranges: {type: GenomicRanges, doc: place}}
'''

MODEL_YAML = '''
defined_as: model.Weights
args: {weights: weights.npy}
default_dataloader: .
info: {authors: [{name: test}], doc: test}
schema:
  inputs: INPUTS
  targets: {shape: "(3,)", doc: marks, column_labels: [A, B, C]}
'''

DNA = '{shape: "(12, 4)", doc: dna}'
DNA_AND_SIDE = '{dna: {shape: "(12, 4)", doc: dna}, side: {shape: "(1,)", doc: how far away}}'


def weights_in_eighths(seed):
    """Sums of them are exact in any order, so that any numpy gives the same."""
    return np.random.default_rng(seed).integers(-20, 20, (LENGTH, 4, 3)) / 8


def write(folder, seed=0, has_side=False):
    """A model directory that needs numpy and kipoi alone, in any Python."""
    folder.mkdir(parents=True)
    inputs, given = (DNA_AND_SIDE, '{"dna": dna, "side": np.array([float(i + 2)])}') if has_side else (DNA, "dna")
    (folder / "model.py").write_text(MODEL_CODE)
    (folder / "dataloader.py").write_text(LOADER_CODE.replace("INPUTS", given))
    (folder / "dataloader.yaml").write_text(LOADER_YAML.replace("INPUTS", inputs))
    (folder / "model.yaml").write_text(MODEL_YAML.replace("INPUTS", inputs))
    np.save(folder / "weights.npy", weights_in_eighths(seed))
    return str(folder)
