"""How much memory a process can have: limits of control groups of both versions, and of the process itself."""

import resource
import subprocess
import sys

import numpy as np
import pytest

from kipoi_deepmr.effects_store import reading
from kipoi_deepmr.pipeline.memory import memory_of_machine

ALL = memory_of_machine("/nothing", "/nothing")


@pytest.fixture
def system(tmp_path):
    """Writes files as the system has them, and gives the memory that they leave."""
    def memory(cgroup, limits):
        (tmp_path / "self").mkdir()
        (tmp_path / "self" / "cgroup").write_text(cgroup)
        for name, limit in limits.items():
            (tmp_path / "fs" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "fs" / name).write_text(f"{limit}\n")
        return memory_of_machine(str(tmp_path / "fs"), str(tmp_path / "self"))

    return memory


@pytest.mark.parametrize(("cgroup", "limits", "expected"), [
    ("", {}, ALL),
    ("0::/\n", {"memory.max": 10 ** 6}, 10 ** 6),
    ("0::/slurm/job:7/step\n", {"slurm/job:7/memory.max": 10 ** 6, "slurm/job:7/step/memory.max": "max"}, 10 ** 6),
    ("0::/slurm/job\n", {"slurm/memory.max": 10 ** 6, "slurm/job/memory.max": 10 ** 7}, 10 ** 6),
    ("5:cpu:/a\n4:memory:/a/b\n0::/\n", {"memory/a/b/memory.limit_in_bytes": 10 ** 6}, 10 ** 6),
    ("4:cpu,memory:/a\n", {"memory/memory.limit_in_bytes": 10 ** 6, "memory/a/memory.limit_in_bytes": 2 ** 63 - 4096},
     10 ** 6),
    ("4:cpuset:/a\n", {"memory/a/memory.limit_in_bytes": 10 ** 6}, ALL),
    ("no such line\n", {"memory.max": "many"}, ALL)])
def test_the_smallest_limit_of_the_groups_of_a_process_counts(system, cgroup, limits, expected):
    assert system(cgroup, limits) == expected


def test_a_limit_of_addresses_counts_without_those_that_hold_no_memory():
    code = ("import resource; from kipoi_deepmr.pipeline.memory import memory_of_machine as known\n"
            "page = resource.getpagesize(); size, resident = map(int, open('/proc/self/statm').read().split()[:2])\n"
            "limit = size * page + 10 ** 8; resource.setrlimit(resource.RLIMIT_AS, (limit, limit))\n"
            "print(known() - resident * page)")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) == pytest.approx(10 ** 8, abs=10 ** 7)
    assert resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY


def test_memory_that_runs_out_is_not_taken_for_a_store_that_cannot_be_read(tmp_path, monkeypatch):
    def full(*_, **__):
        raise MemoryError("Unable to allocate 9 GiB")

    monkeypatch.setattr(reading, "check_metadata", full)
    with pytest.raises(MemoryError):
        reading.open_zarr(str(tmp_path))
    values = type("Values", (), {"dims": (), "values": property(full), "name": "effect", "nbytes": np.int64(8)})()
    with pytest.raises(MemoryError):
        reading._check_readable("e.zarr", values, None)
