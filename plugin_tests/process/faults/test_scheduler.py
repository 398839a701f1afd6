"""A Dask scheduler that is killed and started again in mid-run: the run ends, and the same command goes on."""

import os
import subprocess
import time
from pathlib import Path

import pytest
from conftest import Scheduler
from jobs import BLOCK, N_LOCI, PROGRAM, make_job

from kipoi_deepmr import effects_store

pytest.importorskip("distributed")

PATIENCE = {"DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "3s"}  # 30 s by default
SLOW = '        predicted = __import__("time").sleep(0.02) or '


@pytest.fixture
def given(tmp_path):
    """The job, with models that take 4 s for its loci."""
    given = make_job(tmp_path)
    for model in given[:2]:
        path = Path(model) / "model.py"
        path.write_text(path.read_text().replace("        predicted = ", SLOW))
    return given


def started(folder, port=0):
    scheduler = Scheduler(folder, port)
    scheduler.add_worker("--no-nanny")
    return scheduler


def test_a_scheduler_that_is_killed_and_started_again(given, tmp_path):
    (tmp_path / "undisturbed").mkdir()
    subprocess.run([PROGRAM, "predict", *given, "-q", "-o", "e.zarr"], cwd=tmp_path / "undisturbed", check=True)
    scheduler = started(tmp_path)
    command = [PROGRAM, "predict", *given, "-q", "-o", "e.zarr", "--dask_scheduler_file", str(scheduler.file)]
    try:
        process = subprocess.Popen(command, cwd=tmp_path, env={**os.environ, **PATIENCE}, stderr=subprocess.PIPE,
                                   text=True)
        record = tmp_path / f"e.zarr{effects_store.PARTIAL_SUFFIX}" / effects_store.RECORD
        while process.poll() is None and not (record.exists() and len(record.read_text().splitlines()) > 1):
            time.sleep(0.01)
        port = scheduler.port
        scheduler.close()
        scheduler.file.unlink()
        scheduler = started(tmp_path, port)
        _, said = process.communicate(timeout=90)
        assert process.returncode == 1
        assert "the Dask scheduler is gone" in said
        assert f"{BLOCK} of {N_LOCI} loci are kept: the same command goes on from there" in said
        kept = os.stat(record.parent / "effect" / "0.0.0").st_mtime_ns
        subprocess.run(command, cwd=tmp_path, check=True)
    finally:
        scheduler.close()
    assert os.stat(tmp_path / "e.zarr" / "effect" / "0.0.0").st_mtime_ns == kept
    for chunk in (tmp_path / "undisturbed" / "e.zarr").glob("*/*"):
        assert chunk.read_bytes() == (tmp_path / "e.zarr" / chunk.parent.name / chunk.name).read_bytes()
