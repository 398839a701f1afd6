"""The workflow files of docs/workflows, run by the real programs where they are installed."""

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import member_weights, write_model

from kipoi_deepmr.cli import main

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = ROOT / "docs" / "workflows"
SAMPLES = ("s1", "sample two")
TABLES = ("local.tsv", "global.tsv", "global.network.tsv")


def program(name, *asks):
    """Where a program is that can be started: on PATH or in the environment that `make workflow-env` makes."""
    path = shutil.which(name) or shutil.which(name, path=str(ROOT / ".envs" / "workflows" / "bin"))
    if not path or subprocess.run([path, *asks], capture_output=True, timeout=60).returncode:
        pytest.skip(f"{name} is not installed, or cannot start: make workflow-env")
    return path


@pytest.fixture
def here(tmp_path):
    """A folder with three models, a genome and a BED file for each of two samples."""
    for k, weights in enumerate(member_weights(n_members=3)):
        write_model(tmp_path / "model" / str(k), weights)
    length = member_weights(n_members=1).shape[1]
    sequence = "".join(np.random.default_rng(1).choice(list("ACGT"), 40 * length))
    (tmp_path / "genome.fa").write_text(f">chr1\n{sequence}\n")
    for number, sample in enumerate(SAMPLES):
        starts = range(number * length, 40 * length, 2 * length)
        (tmp_path / f"{sample}.bed").write_text("".join(f"chr1\t{s}\t{s + length}\n" for s in starts))
    return tmp_path


def run(words, folder):
    env = {**os.environ, "PATH": os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])}
    done = subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def by_hand(folder, sample):
    """The tables of the same stages, started one after another here."""
    out = folder / "by_hand"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    models = [str(folder / "model" / str(k)) for k in range(3)]
    for words in (["predict", *models, "--source", "dir", "--intervals_file", str(folder / f"{sample}.bed"),
                   "--fasta_file", str(folder / "genome.fa"), "-o", str(out / "effects.zarr")],
                  ["estimate", str(out / "effects.zarr"), "-o", str(out / "local.tsv")],
                  ["aggregate", str(out / "local.tsv"), "-o", str(out / "global.tsv")]):
        assert main([*words, "-q"]) == 0
    return {name: pd.read_csv(out / name, sep="\t") for name in TABLES}


def check_results(folder):
    for sample in SAMPLES:
        for name, expected in by_hand(folder, sample).items():
            pd.testing.assert_frame_equal(pd.read_csv(folder / "results" / sample / name, sep="\t"), expected)


def test_snakemake(here):
    """The same tables as by hand; a second start does nothing; what follows a stage is made again with it."""
    snakemake = program("snakemake", "--version")
    config = {"models": [f"model/{k}" for k in range(3)], "fasta": "genome.fa",
              "samples": {sample: f"{sample}.bed" for sample in SAMPLES}}
    (here / "config.yaml").write_text(yaml.safe_dump(config))
    words = [snakemake, "--snakefile", str(WORKFLOWS / "Snakefile"), "--configfile", "config.yaml", "--cores", "2"]
    run(words, here)
    check_results(here)
    assert "Nothing to be done" in run(words, here)
    again = run([*words, "--forcerun", "estimate", "--dry-run"], here)
    assert "estimate" in again and "aggregate" in again and "rule predict" not in again


def test_nextflow(here):
    nextflow = program("nextflow", "-version")
    with open(here / "samples.csv", "w", newline="") as file:
        csv.writer(file).writerows([("sample", "bed"), *((s, here / f"{s}.bed") for s in SAMPLES)])
    run([nextflow, "run", str(WORKFLOWS / "deepmr.nf"), "--models", str(here / "model" / "*"), "--fasta",
         str(here / "genome.fa"), "--samples", str(here / "samples.csv"), "--results", str(here / "results")], here)
    check_results(here)
