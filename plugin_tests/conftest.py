"""Small real things that tests share: a genome, BED files, and Kipoi models whose effects are known in closed form."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
if "PYTEST_XDIST_WORKER" in os.environ:  # tests run side by side: each takes one processor
    for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ.setdefault(name, "1")

import numpy as np  # noqa: E402
import profiles  # noqa: E402
import pytest  # noqa: E402

profiles.register()
pytest_plugins = ["tiers"]

LENGTH = 12
MARKS = ("A", "B", "C")
N_MARKS = len(MARKS)
EXAMPLES = Path(__file__).resolve().parent.parent / "example_models"

MODEL_CODE = '''
import numpy as np
from kipoi.model import BaseModel


class PositionWeights(BaseModel):
    """Sum over positions of the weight of the base there; NaN for sequences that start with `nan_start`."""

    def __init__(self, weights, nan_start=""):
        self.weights = np.load(weights)
        self.nan_start = ["ACGT".index(base) for base in nan_start]

    def predict_on_batch(self, x):
        predicted = np.einsum("nla,lam->nm", x, self.weights)
        if self.nan_start:
            starts = (x[:, :len(self.nan_start)].argmax(-1) == self.nan_start).all(1)
            predicted[starts] = np.nan
        return predicted
'''

MODEL_YAML = '''
defined_as: model.PositionWeights
args:
  weights: weights.npy
  nan_start: "{nan_start}"
default_dataloader:
  defined_as: kipoiseq.dataloaders.SeqIntervalDl
  default_args: {{ {dataloader} }}
info:
  authors: [{{name: test}}]
  doc: test
schema:
  inputs: {{shape: "({length}, 4)", doc: dna}}
  targets: {{shape: "({n_marks},)", doc: marks, column_labels: [{marks}]}}
'''


def write_model(folder, weights, marks=MARKS, nan_start="", dataloader="ignore_targets: True"):
    """A Kipoi model directory; weights is (length, 4, marks)."""
    folder.mkdir(parents=True)
    (folder / "model.py").write_text(MODEL_CODE)
    np.save(folder / "weights.npy", weights)
    (folder / "model.yaml").write_text(MODEL_YAML.format(
        nan_start=nan_start, length=len(weights), n_marks=weights.shape[2], marks=", ".join(marks),
        dataloader=dataloader))
    return str(folder)


def member_weights(n_members=3, n_marks=N_MARKS, length=LENGTH, seed=0):
    """Weights (member, length, 4, mark): mark 1 follows mark 0 with slope 2, the members differ by noise."""
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(length, 4, n_marks))
    weights[..., 1] = 2 * weights[..., 0]
    return weights + 0.1 * rng.normal(size=(n_members, *weights.shape))


def without_checksums(record):
    """A store's record (bytes) without the checksums of attributes, which hold folders and Pythons, and of lines."""
    return re.sub(rb'"(\.zattrs|\.zmetadata|crc32)": \d+', b"", record)


def contents_of(folder, but=()):
    """Every file below a folder, but for some names; without what differs by the folder: its own name, checksums."""
    name = str(folder).encode()
    return {str(path.relative_to(folder)): without_checksums(path.read_bytes().replace(name, b""))
            for path in folder.rglob("*") if path.is_file() and path.name not in but}


def environment_python(name):
    """The interpreter of an environment in .envs/; skips the test where it was not made."""
    environment = EXAMPLES.parent / ".envs" / name
    if not (environment / ".created").is_file():
        pytest.skip(f"needs .envs/{name}: make {name.split('-')[0]}-env")
    return str(environment / "bin" / "python")


def heed_interrupts():
    """For a child process of a test: a shell's background jobs, and what they start, ignore SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def run_python(python, *arguments, **options):
    """Run another Python, without what a TensorFlow 2 in this process sets and a TensorFlow 1 there would heed."""
    variables = {name: value for name, value in os.environ.items() if name != "TF2_BEHAVIOR"}
    return subprocess.run([python, *map(str, arguments)], env=variables, capture_output=True, text=True, **options)


class Scheduler:
    """A Dask scheduler and its workers in processes of their own, as on a cluster; with a file that says where."""

    def __init__(self, folder, port=0):
        self.file, self._folder, self._processes = folder / "scheduler.json", folder, []
        self.process = self._start("scheduler", "--port", str(port), "--host", "127.0.0.1")
        while not self.file.exists():
            assert self.process.poll() is None
            time.sleep(0.05)

    def add_worker(self, *options):
        return self._start("worker", "--nthreads", "1", "--death-timeout", "60", *options)

    def _start(self, name, *options):
        process = subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.dask_{name}", "--no-dashboard", "--scheduler-file", str(self.file),
             *options], cwd=self._folder, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        self._processes.append(process)
        return process

    @property
    def port(self):
        return int(json.loads(self.file.read_text())["address"].rpartition(":")[2])

    def kill(self):
        self.process.kill()

    def close(self):
        for process in reversed(self._processes):
            process.kill()
            process.wait()


@pytest.fixture
def models(tmp_path):
    """Three members, as directories."""
    return [write_model(tmp_path / "models" / str(k), w) for k, w in enumerate(member_weights())]


@pytest.fixture
def genome_file(tmp_path):
    """A FASTA of two contigs, chr1 (400 bases, lower case in part, N at 200-210) and chr2 (100 bases)."""
    rng = np.random.default_rng(1)
    chr1 = "".join(rng.choice(list("ACGT"), 400))
    chr1 = chr1[:40].lower() + chr1[40:200] + "N" * 9 + "R" + chr1[210:]
    chr2 = "".join(rng.choice(list("ACGT"), 100))
    path = tmp_path / "genome.fa"
    wrapped = ["\n".join(seq[i:i + 50] for i in range(0, len(seq), 50)) for seq in (chr1, chr2)]
    path.write_text(f">chr1 test\n{wrapped[0]}\n>chr2\n{wrapped[1]}\n")
    return str(path)


@pytest.fixture
def bed_file(tmp_path):
    """Nine loci of the genome, of both strands, with names."""
    lines = [f"chr1\t{s}\t{s + LENGTH}\tlocus{i}\t0\t{'+-'[i % 2]}" for i, s in enumerate(range(10, 180, 20))]
    path = tmp_path / "loci.bed"
    path.write_text("track name=test\n# comment\n" + "\n".join(lines) + "\n")
    return str(path)


@pytest.fixture
def cooperativity():
    """The five members of the example, and the arguments of its dataloader."""
    folder = EXAMPLES / "tf_cooperativity"
    arguments = {"intervals_file": str(folder / "test_loci.bed"), "fasta_file": str(folder / "test_loci.fa")}
    return [str(folder / str(k)) for k in range(1, 6)], arguments


OURS = "from kipoi_deepmr.cli import console_main; console_main()"


def simulate(folder, *words):
    """As a user does; what TensorFlow says while it trains is kept from them."""
    done = run_python(sys.executable, "-c", OURS, "simulate", *words, "-o", folder, timeout=300)
    said = [line for line in done.stderr.splitlines() if not re.fullmatch(r"simulate: [\d:]+", line)]  # every 10 s
    assert (done.returncode, said) == (0, [])
    return done.stdout


@pytest.fixture(scope="session")
def mpra_dragonn(tmp_path_factory):
    """The zoo's MPRA-DragoNN, as a directory that no test changes."""
    import mpra_dragonn

    return mpra_dragonn.write(tmp_path_factory.mktemp("zoo") / "MPRA-DragoNN")


@pytest.fixture(scope="session")
def browser():
    """A headless Chromium; skips the test where there is none."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not chromium:
        pytest.skip("needs the program chromium")
    sync_playwright = pytest.importorskip("playwright.sync_api").sync_playwright
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield opened
        opened.close()
