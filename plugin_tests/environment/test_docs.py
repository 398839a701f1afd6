"""The documentation: every code block runs and prints what it says; the site is built without a warning."""

import contextlib
import gzip
import importlib.util
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import cffconvert
import numpy as np
import pyfaidx
import pytest
import yaml
from conftest import write_model

from kipoi_deepmr import __version__
from kipoi_deepmr.cli import main
from kipoi_deepmr.cli.parser import make_parser, subcommands

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
EXAMPLE = ROOT / "example_models" / "tf_cooperativity"

LANGUAGES = {"bash", "python", "yaml", "json", "text"}
FENCE = re.compile(r"(?:^<!-- (?P<kind>[a-z ]+?)(?:: (?P<what>.*?))? -->\n)?"
                   r"^```(?P<language>[^\n]*)\n(?P<text>.*?)^```$", re.M | re.S)
KINDS = {None, "not run", "needs", "file", "output"}
NOT_RUN = 25  # fences of commands that cannot run here, each with its reason before it

OUR_COMMAND = re.compile(r"(kipoi postproc deepmr|kipoi deepmr|kipoi-deepmr) ")
SHELL = set("|&;<>()")
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")
TOLERANCE = 0.02

NET = """import torch


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weights = torch.nn.Parameter(torch.zeros(100, 4, 2))

    def forward(self, x):
        return torch.einsum("nlp,plm->nm", x, self.weights)
"""

TOO_LONG = "kipoi deepmr simulate"  # test_simulation.py runs it


class Block(NamedTuple):
    """A fence of a page, and the comment before it: what kind of block it is, and what for."""

    kind: str
    what: str
    language: str
    text: str


def blocks_of(page):
    return [Block(*(match[name] for name in Block._fields)) for match in FENCE.finditer(page.read_text())
            if not match["language"].startswith("{")]


def test_every_fence_is_one_that_we_know():
    for page in PAGES:
        text = page.read_text()
        assert text.count("\n```") == 2 * len(FENCE.findall(text)) - text.startswith("```"), page
        for block in blocks_of(page):
            assert block.language in LANGUAGES and block.kind in KINDS, (page.name, block)
            assert (block.language == "text") == (block.kind == "output") or block.kind in ("file", None), page.name
            assert block.kind != "not run" or len(block.what) > 10, (page.name, "say why it is not run")


def test_what_is_not_run_is_counted():
    found = [(page.name, block.what) for page in PAGES for block in blocks_of(page) if block.kind == "not run"]
    print(*found, sep="\n")
    assert len(found) == NOT_RUN


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    """What the pages' commands speak of: three small models, loci, annotations and a finished run."""
    folder = tmp_path_factory.mktemp("docs")
    (folder / "tracks.tsv").write_text("name\tassay\nGATA\tChIP-seq\nTAL1\tATAC-seq\n")
    rng = np.random.default_rng(0)
    motif = 0.01 * rng.normal(size=(100, 4, 1)) + np.pad(rng.normal(size=(20, 4, 1)), ((30, 50), (0, 0), (0, 0)))
    for k in (1, 2, 3):
        weights = np.concatenate([motif, 3 * motif], 2) + 0.02 * rng.normal(size=(100, 4, 2))
        write_model(folder / "model" / str(k), weights, ("GATA", "TAL1"))
        if importlib.util.find_spec("torch"):
            import torch

            torch.save({"weights": torch.tensor(weights, dtype=torch.float32)}, folder / f"fold{k}.pt")
    (folder / "net.py").write_text(NET)
    lines = (EXAMPLE / "test_loci.bed").read_text().splitlines()[:20]
    (folder / "loci.bed").write_text("\n".join(lines) + "\n")
    shutil.copy(EXAMPLE / "test_loci.fa", folder / "genome.fa")
    (folder / "example_models").symlink_to(ROOT / "example_models")
    loci = [line.split("\t") for line in lines]
    sites = [(chrom, int(start) + at, mark) for k, (chrom, start, *_) in enumerate(loci)
             for mark, at in (("GATA", 5), ("TAL1", 20 + 3 * k))]
    (folder / "motifs.bed").write_text("".join(f"{chrom}\t{at}\t{at + 10}\t{mark}\n" for chrom, at, mark in sites))
    (folder / "peaks.narrowPeak").write_text("".join(
        f"{chrom}\t{int(start) + 20}\t{int(start) + 60}\tpeak\t0\t.\t1\t-1\t-1\t30\n" for chrom, start, *_ in loci))
    (folder / "enhancers.bed").write_text("".join(f"{chrom}\t{start}\t{end}\n" for chrom, start, end, *_ in loci[::2]))
    (folder / "covariates.tsv").write_text("locus\tgc\n" + "".join(f"{locus[3]}\t{k / 20}\n" for k, locus in
                                                                   enumerate(loci)))
    (folder / "observed.tsv").write_text("locus\tGATA\tTAL1\n" + "".join(
        f"{locus[3]}\t{a}\t{b}\n" for locus, (a, b) in zip(loci, rng.normal(size=(20, 2)), strict=True)))
    (folder / "rounds.tsv").write_text("scenario\ttrue_effect\testimate\tse\ttau\tcoverage\n" + "".join(
        f"none\t{k}\t{k + 0.1}\t0.1\t0.2\t0.9\n" for k in range(1, 6)))
    with pyfaidx.Fasta(str(folder / "genome.fa")) as genome, gzip.open(folder / "variants.vcf.gz", "wt") as vcf:
        vcf.write("##fileformat=VCFv4.3\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n")
        for chrom, start, *_ in loci:
            for at in range(int(start) + 32, int(start) + 48):
                ref = str(genome[chrom][at]).upper()
                vcf.write(f"{chrom}\t{at + 1}\t.\t{ref}\t{'ACGT'['ACGT'.index(ref) - 1]}\t.\t.\t.\n")
    with contextlib.chdir(folder) if hasattr(contextlib, "chdir") else in_folder(folder):
        ours("kipoi deepmr run 'model/*' --source dir --intervals_file loci.bed --fasta_file genome.fa "
             "--instrument_z 1 --method ivw,egger -q -o OUT")
        ours("kipoi deepmr aggregate OUT/local.tsv --motifs motifs.bed -q -o OUT/global.tsv")
        shutil.copy("OUT/instruments.vcf.gz", "variants.vcf.gz")
    return folder


@contextlib.contextmanager
def in_folder(folder):
    """Until Python 3.11's contextlib.chdir is everywhere."""
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def ours(line):
    """Run one of our commands as its entry point does, in this process, which has imported what takes seconds."""
    said, told = io.TextIOWrapper(io.BytesIO(), write_through=True), io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(told):
        try:
            code = main(shlex.split(line)[len(OUR_COMMAND.match(line)[0].split()):], prog="kipoi deepmr")
        except SystemExit as stopped:
            code = stopped.code
    assert code == 0, f"{line}\nends with {code}: {told.getvalue()}"
    return said.buffer.getvalue().decode()


def shell(line, folder):
    """Run a line of shell where `kipoi`, `kipoi-deepmr` and `python` are this Python's."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(["bash", "-c", f"set -eo pipefail; {line}"], cwd=folder, timeout=300, text=True,
                          capture_output=True, env={**os.environ, "PATH": path})
    assert done.returncode == 0, f"{line}\n{done.stderr}"
    return done.stdout


def run_commands(text, folder):
    """Run lines of commands; ours in this process unless the shell has a part in them."""
    said = []
    for line in text.replace("\\\n", " ").splitlines():
        words = list(shlex.shlex(line, posix=True, punctuation_chars=True))
        line = line.strip() if not words else line[:line.find(" #")].strip() if " #" in line else line.strip()
        if words:
            needs_shell = not OUR_COMMAND.match(line) or any(set(word) <= SHELL for word in words)
            said.append(shell(line, folder) if needs_shell else ours(line))
    return "".join(said)


def run_python(text, names, folder):
    said = io.StringIO()
    sys.path.insert(0, str(folder))
    try:
        with contextlib.redirect_stdout(said):
            exec(compile(text, "block", "exec"), names)
    finally:
        sys.path.remove(str(folder))
    return said.getvalue()


def check_output(shown, said):
    """Each shown line is said, in this order; between them others only where `...` stands."""
    lines, gap = said.splitlines(), True
    for line in shown.splitlines():
        if line.strip() == "...":
            gap = True
            continue
        while lines and not alike(line, lines[0]):
            assert gap or not lines[0].strip(), f"shown:\n{line}\nsaid:\n{lines[0]}"
            lines.pop(0)
        assert lines, f"nobody says:\n{line}\nbut:\n{said}"
        lines.pop(0)
        gap = False


def alike(shown, said):
    """The same words, and numbers within the tolerance."""
    start = shown.split(" ...")[0] if shown.endswith(" ...") else None
    words, others = (shown if start is None else start).split(), said.split()
    if start is not None:
        others = others[:len(words)]
    return len(words) == len(others) and all(map(word_alike, words, others))


def word_alike(shown, said):
    numbers = [list(map(float, NUMBER.findall(word))) for word in (shown, said)]
    return (NUMBER.sub("#", shown) == NUMBER.sub("#", said)
            and np.allclose(*numbers, rtol=TOLERANCE, atol=1e-12))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_code_blocks(page, sandbox, tmp_path, monkeypatch):
    blocks = blocks_of(page)
    if not blocks:
        pytest.skip("no code on this page")
    folder = tmp_path / "folder"
    if page.name == "tutorial.md":  # begins with nothing but the repository
        folder.mkdir()
        (folder / "example_models").symlink_to(ROOT / "example_models")
    else:
        shutil.copytree(sandbox, folder, symlinks=True)
    monkeypatch.chdir(folder)
    names, said = {}, ""
    for block in blocks:
        if block.kind == "not run" or block.kind == "needs" and not importlib.util.find_spec(block.what):
            continue
        if block.kind == "output":
            check_output(block.text, said)
        elif block.kind == "file":
            Path(block.what).write_text(block.text)
        elif block.language == "bash":
            said = run_commands(block.text, folder)
        elif block.language == "python":
            said = run_python(block.text, names, folder)
        else:
            {"yaml": yaml.safe_load, "json": json.loads, "text": str}[block.language](block.text)
    sys.modules.pop("net", None)


def test_examples_of_the_help(sandbox, tmp_path, monkeypatch):
    """Every example below a command's options runs as it stands."""
    folder = tmp_path / "folder"
    shutil.copytree(sandbox, folder, symlinks=True)
    monkeypatch.chdir(folder)

    def examples(parser):
        lines = (parser.epilog or "").replace("\\\n", " ").splitlines()
        yield from (line.strip() % {"prog": parser.prog} for line in lines
                    if line.startswith(("  %(prog)s", "  kipoi deepmr")))
        for command in subcommands(parser).values():
            yield from examples(command)

    found = [line for line in examples(make_parser("kipoi deepmr")) if not line.startswith(TOO_LONG)]
    assert len(found) >= 18
    if not importlib.util.find_spec("torch"):
        found = [line for line in found if "fold1.pt" not in line]
    for number, line in enumerate(sorted(found, key=lambda line: " estimate " in line or " aggregate " in line)):
        run_commands(re.sub(r"-o OUT\b", f"-o NEW{number}", line), folder)  # OUT stays as the others need it


def test_comparing_output_can_fail():
    check_output("a 1.00 b\n...\nz ...\n", "a 1.01 b\nc\nz 5 6\n")
    for shown in ("a 1.05 b", "a 1.0", "z", "b 1.01 a", "a 1.01 b\nz 5 6", "z ...\na ..."):
        with pytest.raises(AssertionError):
            check_output(shown, "a 1.01 b\nc\nz 5 6\n")


def test_the_site_is_built_without_a_warning(tmp_path):
    """Links, references, docstrings, and that every page is in a table of contents."""
    done = subprocess.run([sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", ROOT / "docs",
                           tmp_path / "html"], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "html" / "command_line.html").read_text()
    assert "--instrument_z" in page and "kipoi deepmr plot tracks" in page and "exit codes:" in page
    assert 'id="kipoi_deepmr.mr.fit_pairs"' in (tmp_path / "html" / "python.html").read_text()


def test_citation():
    """Valid by the format's own schema, and of this version."""
    text = (ROOT / "CITATION.cff").read_text()
    cffconvert.Citation(text).validate()
    cited = yaml.safe_load(text)
    assert cited["version"] == __version__ and cited["license"] == "MIT"
    assert cited["preferred-citation"]["doi"] in (ROOT / "README.md").read_text()
