"""Commands killed with SIGKILL again and again, at random moments of any of their stages: the same bytes in the end."""

import os
import random
import shutil
import subprocess
import sys
import time

import pytest
from conftest import contents_of
from jobs import PROGRAM, make_job
from wide_case import make_store

from kipoi_deepmr import pipeline

TIMES = ("run.json",)  # which hold those of the run
SEEDS = range(int(os.environ.get("KIPOI_DEEPMR_KILLS", 2)))


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """A run, what it writes when nobody disturbs it, and how long that takes once machine code is cached."""
    folder = tmp_path_factory.mktemp("job")
    command = [PROGRAM, "run", *make_job(folder, nan_start="ACG"), "-q", "--instrument_z", "2", "--no_report", "-o",
               "OUT"]
    for name in ("first", "undisturbed"):
        (folder / name).mkdir()
        begun = time.monotonic()
        subprocess.run(command, cwd=folder / name, check=True)
    return command, contents_of(folder / "undisturbed", TIMES), time.monotonic() - begun


@pytest.mark.parametrize("seed", SEEDS)
def test_killed_at_random_moments(job, tmp_path, seed):
    command, undisturbed, seconds = job
    killed_until_it_ends(command, tmp_path, random.Random(seed), seconds)
    assert contents_of(tmp_path, TIMES) == undisturbed


def killed_until_it_ends(command, folder, moments, seconds, times=3):
    """Kill a command, which takes so many seconds, once or up to so many times, and then let it end."""
    n_killed = 0
    while True:
        process = subprocess.Popen(command, cwd=folder)
        try:
            process.wait(timeout=moments.uniform(0.2, 1 if n_killed else 0.7) * seconds if n_killed < times else None)
            break
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            n_killed += 1
    assert process.returncode == 0 and n_killed


@pytest.fixture(scope="module")
def wide_run(tmp_path_factory):
    """A run of 20 marks whose local effects are an array."""
    folder = tmp_path_factory.mktemp("wide")
    store = make_store(folder, n_marks=20, n_loci=10, length=20)
    pipeline.run_again(store, str(folder / "OUT"), estimate_options={"tables": "effects", "vcf": "none"})
    return folder / "OUT"


ESTIMATE = """
from kipoi_deepmr import effects_store, pipeline
effects_store.local_effects.BLOCK_PAIRS = 2 * 400
pipeline.estimate("OUT/effects.zarr", "local.tsv", tables="effects")
"""


@pytest.mark.parametrize("command, times", [
    ([PROGRAM, *"network OUT/effects.zarr -o net.tsv -q".split()], 1), ([PROGRAM, *"report OUT -q".split()], 1),
    ([sys.executable, "-c", ESTIMATE], 3)])
def test_commands_on_many_marks_killed(wide_run, tmp_path, command, times):
    """The network, the report, and local effects in five blocks by the rule direct."""
    for name in ("undisturbed", "killed"):
        shutil.copytree(wide_run, tmp_path / name / "OUT")
        (tmp_path / name / "OUT/report.html").unlink()
    begun = time.monotonic()
    subprocess.run(command, cwd=tmp_path / "undisturbed", check=True)
    killed_until_it_ends(command, tmp_path / "killed", random.Random(1), time.monotonic() - begun, times)
    assert contents_of(tmp_path / "killed", TIMES) == contents_of(tmp_path / "undisturbed", TIMES)


@pytest.mark.parametrize("words", ["network OUT/effects.zarr -o OUT/net.tsv -q", "report OUT -q"])
def test_the_network_and_the_report_of_many_marks_end_when_they_are_told_to(wide_run, tmp_path, words):
    """SIGTERM at random moments: exit code 143 within ten seconds, and nothing half-written."""
    shutil.copytree(wide_run, tmp_path / "OUT")
    before, moments = contents_of(tmp_path), random.Random(2)
    ended = 0
    for _ in range(2):
        process = subprocess.Popen([PROGRAM, *words.split()], cwd=tmp_path, stderr=subprocess.PIPE)
        time.sleep(moments.uniform(1.2, 2))
        begun = time.monotonic()
        process.terminate()
        process.communicate()
        assert time.monotonic() - begun < 10
        if process.returncode == 143:
            ended += 1
            assert contents_of(tmp_path) == before
    assert ended
