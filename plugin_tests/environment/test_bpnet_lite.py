"""bpnet-lite's own class, as PyPI has it, with random weights: folds of two factors as one model of two marks."""

import os
import re
import subprocess
import sys

import pytest

PACKAGES = ("bpnet-lite==1.1.0", "tangermeme==1.6.0", "memelite==0.5.0")

WRITE = """
import os
import sys
import torch
from bpnetlite.bpnet import BPNet

for name, n_outputs in (("CTCF", 1), ("SPI1", 2)):
    for fold in ("0", "1"):
        os.makedirs(f"{name}/{fold}")
        torch.manual_seed(2 * n_outputs + int(fold))
        settings = dict(n_filters=8, n_layers=2, n_outputs=n_outputs, n_control_tracks=0, trimming=30)
        torch.save(BPNet(**settings, verbose=False).state_dict(), f"{name}/{fold}/weights.pth")
        with open(f"{name}/{fold}/net.py", "w") as file:
            file.write("from bpnetlite.bpnet import BPNet\\n")
        with open(f"{name}/{fold}/model.yaml", "w") as file:
            file.write(sys.argv[1].replace("SETTINGS", str(settings)))
"""

YAML = """
defined_as: kipoi.model.PyTorchModel
args: {weights: weights.pth, module_file: net.py, module_class: BPNet, module_kwargs: SETTINGS}
default_dataloader:
  defined_as: kipoiseq.dataloaders.SeqIntervalDl
  default_args: {alphabet_axis: 0, dtype: np.float32, ignore_targets: true}
info: {authors: [{name: test}], doc: test}
schema:
  inputs: {shape: "(4, 160)", doc: one-hot DNA}
  targets: {shape: "(None,)", doc: profile and counts}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Run this Python with the packages, in a folder of four models; their dependencies are those of the tests."""
    pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("bpnet_lite")
    packages = str(folder / "packages")
    installed = subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", packages,
                                *PACKAGES], capture_output=True, text=True)
    if installed.returncode:
        pytest.skip(f"needs PyPI: {installed.stderr[-300:]}")

    def run(*words):
        return subprocess.run([sys.executable, *words], cwd=folder, capture_output=True, text=True,
                              env={**os.environ, "PYTHONPATH": packages})

    written = run("-c", WRITE, YAML)
    assert written.returncode == 0, written.stderr
    return run


@pytest.mark.parametrize("options, said", [
    ([], "log counts, without the profile"),
    (["--mark_summary", "total", "--mark_window", "20:60"], "sum over positions 20 to 60 of softmax(profile)")])
def test_a_stack_of_two_factors(run, options, said):
    command = ["-c", "from kipoi_deepmr.cli.main import console_main; console_main()", "check"]
    options = ["--source", "dir", "--engine", "exact", *options]
    found = run(*command, "--stack", "CTCF=CTCF/*", "SPI1=SPI1/*", *options)
    assert found.returncode == 0, found.stdout + found.stderr
    assert "2 marks, predictions of" in found.stdout and "fit for DeepMR: yes" in found.stdout
    assert re.search(r"^  CTCF +\S+ +\S+\n  SPI1 +\S+", found.stdout, re.M) and said in found.stdout
    alone = run(*command, "SPI1/0", "SPI1/1", *options)
    assert alone.returncode == 1 and said in alone.stdout and "one mark only (mark_0)" in alone.stdout
