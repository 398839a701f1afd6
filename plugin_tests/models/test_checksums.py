"""The checksum of a model: all of its folder, nothing that running it writes."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import member_weights, write_model

from kipoi_deepmr.models.host.checksums import WRITTEN, files_below
from kipoi_deepmr.models.host.session import HostedModel
from kipoi_deepmr.models.kipoi_model import KipoiModel

# opens a file that model.yaml does not name, and writes three: as it loads, as it predicts, and in a new folder
BY_ITSELF = '''
import os
import numpy as np
from kipoi.model import BaseModel


class PositionWeights(BaseModel):
    def __init__(self, weights, nan_start=""):
        self.weights = np.load(weights) + np.load("more/offset.npy")
        open("loaded.txt", "a").write("loaded\\n")
        os.makedirs("logs", exist_ok=True)
        open(os.path.join("logs", "%d.txt" % len(os.listdir("logs"))), "w").write("x")

    def predict_on_batch(self, x):
        open(os.path.join(HERE, "predictions.txt"), "a").write("%d\\n" % len(x))
        return np.einsum("nla,lam->nm", x, self.weights)


HERE = os.path.dirname(os.path.abspath(__file__))
'''


@pytest.fixture
def folder(tmp_path):
    """A model that opens weights of its own and writes into its folder."""
    folder = Path(write_model(tmp_path / "model", member_weights()[0]))
    (folder / "model.py").write_text(BY_ITSELF)
    (folder / "more").mkdir()
    np.save(folder / "more" / "offset.npy", np.zeros(1))
    return folder


def checksum(folder):
    return HostedModel(str(folder), "dir").describe()["checksum"]


def test_it_stays_the_same_after_the_model_has_run(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "elsewhere")
    first = checksum(folder)
    assert {"loaded.txt", "predictions.txt", "logs"} <= {path.name for path in folder.iterdir()}
    assert (folder / WRITTEN).read_text().splitlines()[1:] == ["loaded.txt", "logs/", "predictions.txt"]
    assert checksum(folder) == first == checksum(tmp_path / "elsewhere")
    worker = KipoiModel(str(folder), "dir", python=sys.executable)
    try:
        assert worker.describe().checksum == first
    finally:
        worker.close()


def test_every_file_that_the_code_opens_is_in_it(folder):
    seen = {checksum(folder)}
    for change in (lambda: np.save(folder / "more" / "offset.npy", np.ones(1)),
                   lambda: (folder / "helper.py").write_text("x = 1"),
                   lambda: (folder / "more" / "table.tsv").write_text("a"),
                   lambda: (folder / "more" / "table.tsv").rename(folder / "more" / "other.tsv"),
                   lambda: np.save(folder / "weights.npy", member_weights()[1])):
        change()
        seen.add(checksum(folder))
    assert len(seen) == 6


def test_caches_and_what_we_write_are_not_in_it(folder):
    first = checksum(folder)
    for name in (".git/HEAD", "__pycache__/model.cpython-311.pyc", "downloaded/x", "genome.fa.fai", "more/.DS_Store",
                 "effects.zarr/.zgroup", "out/effects.zarr.partial/.zgroup", "out/local.tsv", ".cache/y"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")
    assert checksum(folder) == first


def test_links_are_followed_once(tmp_path):
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "a").write_text("a")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "linked").symlink_to(tmp_path / "weights")
    (tmp_path / "model" / "loop").symlink_to(tmp_path / "model")
    (tmp_path / "model" / "gone").symlink_to(tmp_path / "nothing")
    assert list(files_below(tmp_path / "model")) == ["linked/a"]


def test_the_folder_of_a_read_only_model_is_left_alone(tmp_path, models):
    before = sorted(path.name for path in Path(models[0]).rglob("*"))
    first = checksum(models[0])
    assert checksum(models[0]) == first
    assert sorted(path.name for path in Path(models[0]).rglob("*") if "__pycache__" not in str(path)) == before
