"""A run that is killed goes on where it stopped, and gives the same bytes as an undisturbed one."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import contents_of, heed_interrupts, member_weights, write_model

from kipoi_deepmr import effects_store
from kipoi_deepmr.cli import main

L, N_LOCI = 1000, 18
COMMAND = [str(Path(sys.executable).parent / "kipoi-deepmr"), "predict", "--quiet"]


def written_in(folder):
    """Models, loci and a genome in a folder: the arguments of a `predict` of three blocks."""
    models = [write_model(folder / str(k), w) for k, w in enumerate(member_weights(4, length=L))]
    bases = np.random.default_rng(5).choice(list("ACGT"), N_LOCI * L)
    (folder / "genome.fa").write_text(">chr1\n" + "".join(bases) + "\n")
    (folder / "loci.bed").write_text("".join(f"chr1\t{i * L}\t{(i + 1) * L}\n" for i in range(N_LOCI)))
    return [*models, "--source", "dir", "--intervals_file", str(folder / "loci.bed"),
            "--fasta_file", str(folder / "genome.fa"), "-o", "effects.zarr"]


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """Arguments of a `predict` of three blocks, and what it writes when nobody disturbs it."""
    folder = tmp_path_factory.mktemp("job")
    arguments = written_in(folder)
    (folder / "undisturbed").mkdir()
    subprocess.run([*COMMAND, *arguments], cwd=folder / "undisturbed", check=True)
    return arguments, contents_of(folder / "undisturbed")


@pytest.mark.parametrize("number", [pytest.param(signal.SIGKILL, marks=pytest.mark.main_job), signal.SIGTERM,
                                    signal.SIGINT])
def test_killed_and_resumed(job, tmp_path, number):
    arguments, undisturbed = job
    pause = random.Random(int(number)).uniform(0, 0.5)
    process = subprocess.Popen([*COMMAND, *arguments], cwd=tmp_path, stderr=subprocess.PIPE, text=True,
                               preexec_fn=heed_interrupts)
    record = tmp_path / f"effects.zarr{effects_store.PARTIAL_SUFFIX}" / effects_store.RECORD
    while process.poll() is None and not (record.exists() and len(record.read_text().splitlines()) > 1):
        time.sleep(0.01)
    time.sleep(pause)
    process.send_signal(number)
    _, said = process.communicate(timeout=30)
    assert process.returncode == {signal.SIGKILL: -9, signal.SIGTERM: 143, signal.SIGINT: 130}[number]
    assert not (tmp_path / "effects.zarr").exists()
    if number != signal.SIGKILL:
        assert "the same command goes on" in said and len(said.splitlines()) == 1
    kept = {p.name: os.stat(p).st_mtime_ns for p in (record.parent / "effect").iterdir() if p.name[0].isdigit()}
    assert kept
    subprocess.run([*COMMAND, *arguments], cwd=tmp_path, check=True)
    assert contents_of(tmp_path) == undisturbed
    assert os.stat(tmp_path / "effects.zarr" / "effect" / "0.0.0").st_mtime_ns == kept["0.0.0"]


KILLER = """
        if os.path.exists({flag!r}) and os.path.exists({record!r}) and len(open({record!r}).readlines()) > 2:
            os.kill(os.getpid(), 9)
"""


@pytest.mark.parametrize(("mutants", "n_finite"), [("single", 21), ("single,windows:3:1,deletions:2:1", 21 + 5 + 6)])
def test_killed_and_resumed_with_some_positions_mutated(tmp_path, monkeypatch, mutants, n_finite):
    """Killed after two of three blocks; other positions in each locus, none in one of them."""
    flag, record = tmp_path / "flag", tmp_path / "killed" / f"effects.zarr{effects_store.PARTIAL_SUFFIX}"
    (tmp_path / "mutate.bed").write_text("".join(
        f"chr1\t{i * L + 50 * i}\t{i * L + 50 * i + 7}\n" for i in range(N_LOCI) if i != 7))
    arguments = [*written_in(tmp_path), "--mutate", str(tmp_path / "mutate.bed"), "--mutants", mutants]
    code = tmp_path / "0" / "model.py"
    kill = KILLER.format(flag=str(flag), record=str(record / effects_store.RECORD))
    code.write_text("import os\n" + code.read_text().replace("        predicted =", kill + "        predicted =", 1))
    for name in ("killed", "undisturbed"):
        (tmp_path / name).mkdir()
    flag.write_text("")
    died = subprocess.run([*COMMAND, *arguments], cwd=tmp_path / "killed")
    assert died.returncode == -9
    kept = {p.name: os.stat(p).st_mtime_ns for p in (record / "effect").iterdir() if p.name[0].isdigit()}
    assert sorted(kept) == ["0.0.0", "1.0.0"]
    flag.unlink()
    for name in ("killed", "undisturbed"):
        monkeypatch.chdir(tmp_path / name)
        assert main([*COMMAND[1:], *arguments]) == 0
    assert contents_of(tmp_path / "killed") == contents_of(tmp_path / "undisturbed")
    for name, time_of in kept.items():
        assert os.stat(tmp_path / "killed" / "effects.zarr" / "effect" / name).st_mtime_ns == time_of
    effects = effects_store.open_effects("effects.zarr")["effect"].values[..., 0]
    assert (np.isfinite(effects[1:-1]).sum(1) == n_finite).all()  # the genome ends at either end
