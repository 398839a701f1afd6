"""A run killed with SIGKILL again and again, at random moments of any of its stages: the same bytes in the end."""

import os
import random
import subprocess
import time

import pytest
from conftest import contents_of
from jobs import PROGRAM, make_job

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
    moments, n_killed = random.Random(seed), 0
    while True:
        process = subprocess.Popen(command, cwd=tmp_path)
        try:
            process.wait(timeout=moments.uniform(0.2, 1 if n_killed else 0.7) * seconds if n_killed < 3 else None)
            break
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            n_killed += 1
    assert process.returncode == 0 and n_killed
    assert contents_of(tmp_path, TIMES) == undisturbed
