"""The folder of a round of any simulation: it appears when all in it is complete."""

import contextlib
import json
import os
import shutil

from .. import pipeline
from ..models import Ensemble
from ..runs.manifest import versions

RECORD = "round.json"


@contextlib.contextmanager
def round_folder(folder, record):
    """A folder to make a round in; it gets its name, and `record` as round.json, unless an exception leaves it."""
    partial = f"{folder}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    os.makedirs(partial)
    yield partial
    record["versions"] = versions()
    with open(os.path.join(partial, RECORD), "w", encoding="utf-8") as file:
        json.dump(record, file, indent=2)
    os.rename(partial, folder)


def read_record(folder):
    """The contents of a round's round.json."""
    with open(os.path.join(folder, RECORD), encoding="utf-8") as file:
        return json.load(file)


def member_seeds(design, rng):
    """A seed for each network."""
    return [int(seed) for seed in rng.integers(0, 2**31, design.n_members)]


def predict_round(folder, n_members):
    """effects.zarr of the networks ``1/`` and so on at the loci of test_loci.bed."""
    models = [os.path.join(folder, str(member)) for member in range(1, n_members + 1)]
    files = {"intervals_file": os.path.join(folder, "test_loci.bed"),
             "fasta_file": os.path.join(folder, "test_loci.fa")}
    with Ensemble.from_kipoi(models, source="dir") as ensemble:
        selection = pipeline.select_loci(ensemble, **files)
        pipeline.predict(ensemble, selection, os.path.join(folder, "effects.zarr"), quiet=True)
