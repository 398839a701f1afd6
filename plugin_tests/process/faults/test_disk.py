"""Disks that are full, outputs that cannot be written, chunks that are damaged, and two runs into one output."""

import os
import re
import shutil
import subprocess
import threading
import time
from pathlib import Path

import pytest
from jobs import BLOCK, N_LOCI, PROGRAM, make_job

from kipoi_deepmr import effects_store
from kipoi_deepmr.cli import main


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    return make_job(tmp_path_factory.mktemp("given"))


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 12 MB; the effects of the job take 4."""
    if os.geteuid():
        pytest.skip("only root may mount")
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(folder)], capture_output=True).returncode:
        pytest.skip("no tmpfs can be mounted here")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def after_first_block(record, act):
    """Act in another thread as soon as a block is on record."""
    def wait():
        while not (record.exists() and len(record.read_text().splitlines()) > 1):
            time.sleep(0.002)
        act()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


def record_of(path):
    return Path(f"{path}{effects_store.PARTIAL_SUFFIX}") / effects_store.RECORD


def fill(path, keep=0):
    """Write to a file until the disk is full, but for some bytes."""
    with open(path, "wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
        while file.write(bytes(1 << 16)):
            pass
    with open(path, "rb+") as file:
        file.truncate(max(0, os.path.getsize(path) - keep))


def test_a_disk_that_cannot_hold_the_effects_is_refused_at_once(given, small_disk, capsys):
    assert main(["predict", *given, "-o", str(small_disk / "e.zarr")]) == 0
    expected = r"disk: at most (3\.\d) MB for .*e.zarr, 12\.\d MB free"
    told = float(re.match(expected, capsys.readouterr().err)[1]) * 1e6
    taken = sum(p.stat().st_size for p in (small_disk / "e.zarr").rglob("*") if p.is_file())
    assert 0.6 * told < taken <= told
    shutil.rmtree(small_disk / "e.zarr")
    fill(small_disk / "filler", keep=2_000_000)
    assert main(["run", *given, "-o", str(small_disk / "OUT")]) == 1
    told = capsys.readouterr().err
    assert re.search(r"error: .*effects.zarr: the effects take up to 3\.\d MB, and the disk has 2\.\d MB free; take "
                     r"fewer loci .*--keep summary.*, or another disk$", told.strip()) and told.count("\n") == 1
    assert [p.name for p in small_disk.iterdir()] == ["filler"]


@pytest.mark.parametrize("command, store", [("run", "OUT/effects.zarr"), ("predict", "OUT")])
def test_a_disk_that_fills_up_in_mid_run(given, small_disk, capsys, command, store):
    path, filler = small_disk / store, small_disk / "filler"
    filling = after_first_block(record_of(path), lambda: fill(filler))
    assert main([command, *given, "-q", "-o", str(small_disk / "OUT")]) == 1
    filling.join()
    told = capsys.readouterr().err
    assert re.search(f"No space left on device; ({BLOCK}|{2 * BLOCK}) of {N_LOCI} loci are kept: the same command goes "
                     "on from there$", told.strip()) and told.count("\n") == 1
    kept = os.stat(record_of(path).parent / "effect" / "0.0.0").st_mtime_ns
    filler.unlink()
    assert main([command, *given, "-q", "-o", str(small_disk / "OUT")]) == 0
    assert os.stat(path / "effect" / "0.0.0").st_mtime_ns == kept and not list(path.rglob("*.partial"))


@pytest.mark.parametrize("keep", [20_000, 200_000])
def test_a_disk_that_has_no_room_for_the_tables(given, small_disk, capsys, keep):
    assert main(["predict", *given, "-q", "-o", str(small_disk / "e.zarr")]) == 0
    fill(small_disk / "filler", keep)
    command = ["estimate", str(small_disk / "e.zarr"), "-q", "--vcf", "all", "-o", str(small_disk / "local.tsv")]
    assert main(command) == 1
    told = capsys.readouterr().err
    assert "No space left on device; the effects are kept" in told and told.count("\n") == 1
    assert {p.name for p in small_disk.iterdir()} == {"e.zarr", "filler"}
    (small_disk / "filler").unlink()
    assert main(command) == 0


@pytest.fixture
def read_only(tmp_path):
    """A file system that nobody, root included, can write to."""
    if os.geteuid():
        folder = tmp_path / "disk"
        folder.mkdir(mode=0o555)
        yield folder
        return
    folder = tmp_path / "disk"
    (folder / "OUT").mkdir(parents=True)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(folder)], capture_output=True).returncode:
        pytest.skip("no tmpfs can be mounted here")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.parametrize("command, said", [("run", "the folder cannot be made"), ("predict", "cannot be written")])
def test_an_output_that_cannot_be_written(given, read_only, capsys, command, said):
    assert main([command, *given, "-q", "-o", str(read_only / "OUT")]) == 2
    told = capsys.readouterr().err
    assert said in told and told.count("\n") == 1 and not list(read_only.iterdir())


@pytest.mark.parametrize("damage", ["bit", "cut"])
@pytest.mark.parametrize("variable", ["effect", "member_effect", "ref_base"])
def test_a_damaged_chunk_is_computed_again(given, tmp_path, capsys, variable, damage):
    """The run stops after a block, which is then damaged."""
    path = tmp_path / "e.zarr"
    command = ["predict", *given, "-q", "-o"]
    assert main([*command, str(tmp_path / "whole.zarr")]) == 0
    after_first_block(record_of(path), lambda: os.kill(os.getpid(), 15))
    assert main([*command, str(path)]) == 143
    chunk = next((record_of(path).parent / variable).glob("0.*"))
    content = bytearray(chunk.read_bytes())
    content[len(content) // 2] ^= 16
    chunk.write_bytes(content if damage == "bit" else content[:-1])
    assert main([*command, str(path)]) == 0
    whole, mended = (sorted((p.relative_to(f), p.read_bytes()) for p in f.rglob("*.0"))
                     for f in (tmp_path / "whole.zarr", path))
    assert whole == mended and len(whole) >= 18


@pytest.mark.parametrize("variable, damage", [("effect", "bit"), ("effect", "cut"), ("effect_se", "gone"),
                                              ("member_effect", "bit"), ("ref_base", "bit"), ("name", "bit")])
def test_a_damaged_chunk_of_a_finished_store(given, finished, tmp_path, capsys, variable, damage):
    """It is not estimated from; the same command computes its block, and no other, again."""
    path = tmp_path / "e.zarr"
    shutil.copytree(finished, path)
    chunk = sorted((path / variable).glob("[0-9]*"))[-1]
    whole, kept = chunk.read_bytes(), os.stat(path / "effect" / "0.0.0").st_mtime_ns
    flipped = whole[:len(whole) // 2] + bytes([whole[len(whole) // 2] ^ 16]) + whole[len(whole) // 2 + 1:]
    chunk.write_bytes({"bit": flipped, "cut": whole[:-1]}.get(damage, b""))
    if damage == "gone":
        chunk.unlink()
    (tmp_path / "tables").mkdir()
    assert main(["estimate", str(path), "-q", "-o", str(tmp_path / "tables" / "local.tsv")]) == 2
    told = capsys.readouterr().err
    assert f"{chunk}: damaged since it was written" in told and told.count("\n") == 1
    assert "the same `predict` or `run` as before computes that block" in told and not list(tmp_path.glob("tables/*"))
    assert main(["predict", *given, "-q", "-o", str(path)]) == 0
    again = 0 if variable == "name" else N_LOCI - 2 * BLOCK
    assert f"{path}: damaged since it was written; {again} of {N_LOCI} loci are predicted again" in \
        capsys.readouterr().err
    assert chunk.read_bytes() == whole and os.stat(path / "effect" / "0.0.0").st_mtime_ns == kept
    assert {p.relative_to(path) for p in path.rglob("*")} == {p.relative_to(finished) for p in finished.rglob("*")}
    assert main(["estimate", str(path), "-q", "-o", str(tmp_path / "tables" / "local.tsv")]) == 0


@pytest.fixture(scope="module")
def finished(given, tmp_path_factory):
    path = tmp_path_factory.mktemp("finished") / "e.zarr"
    assert main(["predict", *given, "-q", "-o", str(path)]) == 0
    return path


def test_a_finished_run_whose_store_is_damaged(given, tmp_path, capsys):
    """Its report is refused; the same `run` mends it, and its tables are as they were."""
    out = tmp_path / "OUT"
    assert main(["run", *given, "-q", "-o", str(out)]) == 0
    before = (out / "local.tsv").read_bytes()
    (out / "effects.zarr" / "effect" / "1.0.0").write_bytes(b"")
    assert main(["report", str(out), "-q"]) == 2
    assert "effect/1.0.0: damaged since it was written" in capsys.readouterr().err
    assert main(["run", *given, "-q", "-o", str(out)]) == 0
    assert f"{BLOCK} of {N_LOCI} loci are predicted again" in capsys.readouterr().err
    assert main(["report", str(out), "-q"]) == 0 and (out / "local.tsv").read_bytes() == before


@pytest.mark.parametrize("first, second, store", [
    (["run"], ["run"], "OUT/effects.zarr"), (["predict"], ["predict"], "OUT"),
    (["run"], ["run", "--overwrite"], "OUT/effects.zarr")])
def test_two_runs_at_once(given, tmp_path, capsys, first, second, store):
    """The second is refused while the first works; that one's death, by SIGKILL, frees the output."""
    out = str(tmp_path / "OUT")
    running = subprocess.Popen([PROGRAM, *first, *given, "-q", "-o", out])
    while not record_of(tmp_path / store).exists():
        assert running.poll() is None
        time.sleep(0.01)
    os.kill(running.pid, 19)  # stopped, so that it is surely not done before the other one looks
    assert main([*second, *given, "-q", "-o", out]) == 2
    told = capsys.readouterr().err
    assert f"{tmp_path / store}: another run is writing there" in told and told.count("\n") == 1
    running.kill()
    running.wait()
    assert main([*second, *given, "-q", "-o", out]) == 0
    assert not list(tmp_path.rglob("*.lock"))
