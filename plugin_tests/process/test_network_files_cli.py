"""Networks' files on the command line: from weights and peaks to a report; in a Python of their own; resumed."""

import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import run_python

from kipoi_deepmr.cli import main
from kipoi_deepmr.effects_store import open_effects

torch = pytest.importorskip("torch")

LENGTH = 30
NET = """
import torch


class Net(torch.nn.Module):
    def __init__(self, length):
        super().__init__()
        self.weights = torch.nn.Parameter(torch.zeros(length, 4, 2))

    def forward(self, x):
        return torch.einsum("nlp,plm->nm", x, self.weights)
"""
CLASS = ["--module", "net.py:Net", "--module_args", '{"length": 30}', "--marks", "GATA,TAL1"]
LOCI = ["--intervals_file", "peaks.narrowPeak", "--fasta_file", "genome.fa"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Three files of weights, peaks of several lengths with summits, and a genome; the process stands there."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    first = rng.normal(size=(LENGTH, 4, 1))
    Path("net.py").write_text(NET)
    for k in range(3):
        weights = np.concatenate([first, 2 * first], 2) + 0.05 * rng.normal(size=(LENGTH, 4, 2))
        torch.save({"state_dict": {"module.weights": torch.tensor(weights, dtype=torch.float32)}}, f"fold{k}.pt")
    Path("genome.fa").write_text(">chr1\n" + "".join(rng.choice(list("ACGT"), 600)) + "\n")
    Path("peaks.narrowPeak").write_text("".join(
        f"chr1\t{start}\t{start + 20 + start % 7}\tpeak{start}\t0\t.\t1\t-1\t-1\t9\n" for start in range(50, 500, 40)))
    return tmp_path


def ours(*words):
    return main([str(word) for word in words], prog="kipoi deepmr")


def test_from_weights_and_peaks_to_a_report_in_two_commands(folder, capfd):
    assert ours("check", "fold0.pt", "fold1.pt", "fold2.pt", *CLASS, "--length", LENGTH) == 0
    assert ours("run", "fold*.pt", *CLASS, "--length", LENGTH, *LOCI, "-o", "OUT") == 0
    said = capfd.readouterr()
    assert "Warning" not in said.err and "Warning" not in said.out
    assert (folder / "OUT" / "report.html").stat().st_size > 10_000
    effects = open_effects("OUT/effects.zarr")
    assert list(effects["member"].values) == ["fold0", "fold1", "fold2"]
    assert list(effects["mark"].values) == ["GATA", "TAL1"]


def test_in_a_python_of_their_own_and_resumed_only_with_the_same_python_file(folder, capfd):
    words = ["predict", "fold*.pt", *CLASS, "--length", LENGTH, *LOCI, "-q"]
    assert ours(*words, "-o", "here.zarr") == 0
    assert ours(*words, "-o", "there.zarr", "--python", sys.executable) == 0
    here, there = open_effects("here.zarr"), open_effects("there.zarr")
    np.testing.assert_allclose(there["member_effect"].values, here["member_effect"].values, atol=1e-5)
    Path("net.py").write_text(NET + "\n# another network\n")
    assert ours(*words, "-o", "here.zarr") == 2
    assert "models" in capfd.readouterr().err


@pytest.mark.parametrize("words, said", [
    (["fold0.pt", "genome.fa", *CLASS, "--length", "30"], "genome.fa: not a network that we know (it begins with"),
    (["fold0.pt", "Basset", *CLASS], "Basset: no such file or model directory, but fold0.pt is one"),
    (["fold0.pt", "gone.pt", *CLASS], "gone.pt: no such file or folder"),
    (["fold*.pt", "--module", "net.py:Nets"], "no class Nets there; its classes are: Net"),
    (["fold*.pt", *CLASS[:2], "--module_args", "{length: 30}"], "neither a JSON object such as"),
    (["fold*.pt", *CLASS, "--length", "31"], "does not take one-hot DNA of 31 bases"),
    (["fold*.pt", *CLASS], "its file does not tell how many bases the network takes; give --length"),
])
def test_one_line_for_what_is_wrong(folder, capfd, words, said):
    code = 0
    try:
        code = ours("run", *words, *LOCI, "-o", "OUT")
    except SystemExit as stopped:
        code = stopped.code
    told = capfd.readouterr().err
    assert code == 2 and said in told and "Traceback" not in told and not Path("OUT").exists()


@pytest.mark.parametrize("program", ["kipoi", "kipoi_deepmr"])
def test_nothing_of_kipoi_reaches_the_user(folder, models, program):
    """Not the warning that kipoi itself prints of pkg_resources, nor what it says of a short model.yaml."""
    command = ["-m", "kipoi", "deepmr"] if program == "kipoi" else [
        "-c", "from kipoi_deepmr.cli import console_main; console_main()"]
    done = run_python(sys.executable, *command, "check", *models, "-q", timeout=200)
    assert (done.returncode, done.stderr) == (0, "")
