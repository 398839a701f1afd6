"""A run killed with SIGKILL again and again, at random moments of any of its stages: the same bytes in the end."""

import os
import random
import re
import subprocess
import time

import pytest
from jobs import PROGRAM, make_job

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
    return command, contents(folder / "undisturbed"), time.monotonic() - begun


def contents(folder):
    """Every file below a folder but run.json, which holds times; without the name of the folder itself, which
    attributes hold, and their checksums."""
    name, sums = str(folder).encode(), rb'"(\.zattrs|\.zmetadata|crc32)": \d+'
    return {str(p.relative_to(folder)): re.sub(sums, b"", p.read_bytes().replace(name, b""))
            for p in folder.rglob("*") if p.is_file() and p.name != "run.json"}


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
    assert contents(tmp_path) == undisturbed
