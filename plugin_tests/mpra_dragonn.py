"""The zoo's MPRA-DragoNN with its real weights, where they are at hand: they are not in the repository."""

import importlib.util
import shutil

import pytest
from conftest import EXAMPLES

FOLDER = EXAMPLES / "MPRA-DragoNN"
SHARED = EXAMPLES.parent.parent / "shared"
COPY, GENOME = SHARED / "zoo" / "mpra_dragonn_convmodel", SHARED / "genome" / "hg38_chr22_32000000_32300000.fa"


def fetch_script(here):
    """The module fetch_weights.py, which writes into `here`."""
    spec = importlib.util.spec_from_file_location("fetch_weights", FOLDER / "fetch_weights.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.HERE = here
    return module


def write(folder):
    """A model directory with weights; skips the test where these are not at hand."""
    if not COPY.is_dir() or not GENOME.is_file():
        pytest.skip("neither MPRA-DragoNN's weights nor the genome region are at hand (they are not in the repository)")
    shutil.copytree(FOLDER, folder, ignore=shutil.ignore_patterns("*.hdf5", "model.json"))
    fetch_script(folder).fetch(COPY)
    return str(folder)
