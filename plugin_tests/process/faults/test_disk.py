"""Disks that are full, outputs that cannot be written, chunks that are damaged, and two runs into one output."""

import os
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from finished_runs import PLAIN_WORDS, write_run
from jobs import BLOCK, LENGTH, N_LOCI, PROGRAM, make_job

from kipoi_deepmr import effects_store, files
from kipoi_deepmr.cli import main
from kipoi_deepmr.meta import order
from kipoi_deepmr.pipeline import many_pairs, stratification


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
    assert 0.5 * told < taken <= told  # these models are linear: effects repeat exactly, and compress
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
    assert f"{tmp_path / store}: another command is writing there" in told and told.count("\n") == 1
    running.kill()
    running.wait()
    assert main([*second, *given, "-q", "-o", out]) == 0
    assert not list(tmp_path.rglob("*.lock"))


@pytest.fixture(scope="module")
def finished_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished_run") / "OUT"
    write_run(folder)
    (folder.parent / "covariates.tsv").write_text("locus\tkind\n" + "".join(f"locus{i}\t{i % 2}\n" for i in range(8)))
    header = "##fileformat=VCFv4.3\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    (folder.parent / "v.vcf").write_text(header + "".join(
        f"chr1\t{100 * i + k}\t.\tA\tC\t.\tPASS\t{'x' * 99}\n" for i in range(8) for k in range(1, 300)))
    return folder


def observed_for(given, folder):
    """Sequences with values that their models do not quite predict, for `calibrate`."""
    rng = np.random.default_rng(1)
    rows = ["\t".join(["".join(rng.choice(list("ACGT"), LENGTH)), *map(str, rng.normal(size=3))]) for _ in range(200)]
    (folder / "observed.tsv").write_text("sequence\tA\tB\tC\n" + "\n".join(rows) + "\n")
    return [*given[:4], "--source", "dir", "--observed", str(folder / "observed.tsv")]


COMMANDS = {
    "estimate": "estimate {out}/effects.zarr --vcf none -o {disk}/a.tsv",
    "aggregate": "aggregate {out}/local.tsv -o {disk}/a.tsv",
    "strata": "aggregate {out}/local.tsv --strata {out}/../covariates.tsv -o {disk}/a.tsv",
    "network": "network {out}/effects.zarr -o {disk}/a.tsv",
    "report": "report {disk}/OUT",
    "plot png": "plot global {out}/global.tsv -o {disk}/a.png",
    "plot pdf": "plot global {out}/global.tsv -o {disk}/a.pdf",
    "plot svg": "plot global {out}/global.tsv -o {disk}/a.svg",
    "plot tracks": "plot tracks {out} --locus locus0 --exposure A --outcome B -o {disk}/a.png",
    "annotate": "annotate {out} --input_vcf {out}/../v.vcf -o {disk}/a.vcf",
    "annotate gz": "annotate {out} --input_vcf {out}/../v.vcf -o {disk}/a.vcf.gz",
    "tracks": "tracks {out} -o {disk}/TRACKS",
    "run --effects": "run --effects {out}/effects.zarr --vcf none -o {disk}/NEW",
    "calibrate": "calibrate {calibrated} -o {disk}/a.json",
}


def command(name, finished_run, disk, given):
    calibrated = " ".join(observed_for(given, finished_run.parent)) if name == "calibrate" else ""
    return [*COMMANDS[name].format(out=finished_run, disk=disk, calibrated=calibrated).split(), "-q"]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_disk_that_is_full_whatever_is_written(given, finished_run, small_disk, capsys, name):
    """Exit code 1, one line that says so and what to do, nothing half-written; with some room it works."""
    if name == "report":
        shutil.copytree(finished_run, small_disk / "OUT", ignore=shutil.ignore_patterns("effects.zarr"))
    before = set(small_disk.rglob("*"))
    words = command(name, finished_run, small_disk, given)
    fill(small_disk / "filler")
    assert main(words) == 1
    told = capsys.readouterr().err
    assert "No space left on device; " in told and told.count("\n") == 1 and ".kipoi_deepmr" not in told
    assert str(small_disk) in told
    assert set(small_disk.rglob("*")) - {small_disk / "NEW"} == {*before, small_disk / "filler"}
    (small_disk / "filler").unlink()
    assert main(words) == 0


def test_an_array_of_local_effects_for_which_there_is_no_room(finished_run, small_disk, tmp_path, capsys):
    """What is finished of it is kept, nothing else is there, and with room it has the bytes of any other."""
    words = ["estimate", str(finished_run / "effects.zarr"), "-q", "--tables", "none", "--vcf", "none", "-o"]
    for keep in (0, 8_000, 24_000):
        fill(small_disk / "filler", keep)
        assert main([*words, str(small_disk / "a.tsv")]) == 1
        told = capsys.readouterr().err
        assert "No space left on device; the effects are kept" in told and told.count("\n") == 1
        assert {path.name for path in small_disk.iterdir()} <= {"filler", "a.estimates.zarr.partial"}
        (small_disk / "filler").unlink()
    assert main([*words, str(small_disk / "a.tsv")]) == main([*words, str(tmp_path / "a.tsv")]) == 0
    array, fresh = (folder / "a.estimates.zarr" for folder in (small_disk, tmp_path))
    written = [path.relative_to(array) for path in array.rglob("*") if path.is_file()]
    assert len(written) > 20 and all((array / name).read_bytes() == (fresh / name).read_bytes() for name in written)
    before = set(small_disk.rglob("*"))
    fill(small_disk / "filler")
    words = ["aggregate", str(small_disk / "a.tsv"), "-q", "-o", str(small_disk / "g.tsv")]
    assert main(words) == 1
    assert "No space left on device; " in capsys.readouterr().err
    assert set(small_disk.rglob("*")) == {*before, small_disk / "filler"}
    (small_disk / "filler").unlink()
    assert main(words) == 0


@pytest.mark.parametrize("ending", ["tsv", "parquet"])
def test_very_many_pairs_for_which_there_is_no_room(finished_run, small_disk, tmp_path, capsys, monkeypatch, ending):
    """Pooled into a temporary file, written piece by piece, strata too: with ever more room, until there is enough."""
    if ending == "parquet":
        pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    monkeypatch.setattr(order, "MOST_ROWS", 1)
    monkeypatch.setattr(many_pairs, "ROWS", 1)
    monkeypatch.setattr(stratification, "MOST_PAIRS", 1)
    monkeypatch.setattr(stratification, "ROWS", 1)
    local = str(tmp_path / "a.tsv")
    assert main(["estimate", str(finished_run / "effects.zarr"), "-q", "--tables", "none", "--vcf", "none",
                 "-o", local]) == 0
    capsys.readouterr()
    (tmp_path / "c.tsv").write_text("locus\tx\n" + "".join(f"locus{i}\t{i}\n" for i in range(4)))
    words = ["aggregate", local, "-q", "--strata", str(tmp_path / "c.tsv"), "--bins=-1,1,9", "-o"]
    failed = 0
    for keep in (0, *(4_096 << i for i in range(0, 10, 2))):
        fill(small_disk / "filler", keep)
        if main([*words, str(small_disk / f"g.{ending}")]) == 0:
            break
        told, failed = capsys.readouterr().err, failed + 1
        assert "No space left on device; " in told and told.count("\n") == 1 and ".kipoi_deepmr" not in told
        assert [path.name for path in small_disk.iterdir()] == ["filler"]
        (small_disk / "filler").unlink()
    assert failed > 2
    assert main([*words, str(tmp_path / f"g.{ending}")]) == 0
    for name in (f"g.{ending}", f"g.strata.{ending}", f"g.strata_tests.{ending}"):
        assert (small_disk / name).read_bytes() == (tmp_path / name).read_bytes()


@pytest.mark.parametrize("words", ["estimate {out}/effects.zarr -o -", "aggregate {out}/local.tsv -o /dev/stdout",
                                   "annotate {out} --input_vcf {out}/../v.vcf -o -", "check {model} --source dir",
                                   "aggregate {out}/local.tsv -o {out}/../g.tsv", "--help", "completion bash"])
def test_standard_output_that_is_full(given, finished_run, words):
    with open("/dev/full", "w") as full:
        done = subprocess.run([PROGRAM, *words.format(out=finished_run, model=given[0]).split()], stdout=full,
                              stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1 and "standard output: No space left on device" in done.stderr
    assert "Traceback" not in done.stderr and "Exception" not in done.stderr


@pytest.mark.parametrize("name, held", [
    ("estimate", "a.tsv"), ("estimate", "a.vcf.gz"), ("aggregate", "a.tsv"), ("aggregate", "a.png"),
    ("network", "a.tsv"), ("network", "a.graphml"),
    ("report", "OUT/effects.zarr"), ("plot png", "a.png"), ("annotate gz", "a.vcf.gz"), ("annotate gz", "a.vcf.gz.tbi"),
    ("calibrate", "a.json"), ("calibrate", "a.png"), ("run --effects", "NEW/effects.zarr")])
def test_two_commands_that_write_the_same_file(given, finished_run, tmp_path, capsys, name, held):
    if name == "report":
        shutil.copytree(finished_run, tmp_path / "OUT")
    (tmp_path / held).parent.mkdir(exist_ok=True)
    before = sorted(tmp_path.rglob("*"))
    with files.locked(str(tmp_path / held)):
        assert main(command(name, finished_run, tmp_path, given)) == 2
    told = capsys.readouterr().err
    assert "another command is writing there" in told and told.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_overwriting_that_is_interrupted_goes_on(given, tmp_path, capsys):
    """The message says that the same command goes on, and it does, --overwrite or not."""
    out = tmp_path / "OUT"
    assert main(["run", *given, "-q", "-o", str(out)]) == 0
    again = ["run", *given, "-q", "--ddof", "0", "--overwrite", "-o", str(out)]
    after_first_block(record_of(out / "effects.zarr"), lambda: os.kill(os.getpid(), 15))
    assert main(again) == 143
    told = capsys.readouterr().err
    assert re.search(f"interrupted; (0|{BLOCK}|{2 * BLOCK}) of {N_LOCI} loci are kept: the same command goes on", told)
    kept = os.stat(record_of(out / "effects.zarr").parent / "effect" / "0.0.0").st_mtime_ns
    assert main(again) == 0
    assert os.stat(out / "effects.zarr" / "effect" / "0.0.0").st_mtime_ns == kept
    assert main(["run", *given, "-q", "--ddof", "0", "-o", str(tmp_path / "fresh")]) == 0
    assert (out / "local.tsv").read_bytes() == (tmp_path / "fresh" / "local.tsv").read_bytes()
    assert main(again) == 0  # a finished run is replaced
    assert os.stat(out / "effects.zarr" / "effect" / "0.0.0").st_mtime_ns != kept


def test_a_full_home_is_named_and_nothing_is_lost(small_disk, tmp_path):
    """The folder of compiled functions has no room: they are compiled all the same, and one line says where and why."""
    (tmp_path / "functions.py").write_text("".join(f"def f{k}(x):\n    return x + {k}\n\n\n" for k in range(2)))
    code = ("import logging; logging.basicConfig(); import functions; from kipoi_deepmr.compiled import compiled\n"
            "print([compiled(f)(1.0) for f in (functions.f0, functions.f1)])")
    fill(small_disk / "filler")
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True,
                          env={**os.environ, "XDG_CACHE_HOME": str(small_disk / "cache")})
    assert (done.returncode, done.stdout) == (0, "[1.0, 2.0]\n"), done.stderr
    assert done.stderr.count("compiled functions cannot be kept there (No space left on device)") == 1
    assert f"{small_disk}/cache/kipoi_deepmr" in done.stderr and "XDG_CACHE_HOME" in done.stderr


# ---- what stands at the name of an output

def test_a_pipe_is_written_through(finished_run, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    how = [*PLAIN_WORDS, "--method", "ivw,egger", "--instrument_z", "1.5"]
    estimate = ["estimate", f"{finished_run}/effects.zarr", *how]
    for words, expected in ((estimate, "local.tsv"), (["aggregate", f"{finished_run}/local.tsv"], "global.tsv")):
        reader = subprocess.Popen(["cat", str(tmp_path / "fifo")], stdout=subprocess.PIPE)
        assert main([*words, "-q", "-o", str(tmp_path / "fifo")]) == 0
        assert reader.communicate(timeout=60)[0] == (finished_run / expected).read_bytes()
    assert [p.name for p in tmp_path.iterdir()] == ["fifo"] and (tmp_path / "fifo").is_fifo()


def test_process_substitution(finished_run, tmp_path):
    done = subprocess.run(["bash", "-c", f"{PROGRAM} aggregate {finished_run}/local.tsv -q -o >(cat > copy); rc=$?; "
                                         "while [ ! -s copy ]; do sleep 0.1; done; exit $rc"], cwd=tmp_path,
                          timeout=120)
    assert done.returncode == 0 and (tmp_path / "copy").read_bytes() == (finished_run / "global.tsv").read_bytes()
    assert [p.name for p in tmp_path.iterdir()] == ["copy"]


def test_dev_stdout_is_standard_output(finished_run, tmp_path):
    """Also where that is a file, which what ran before has written to and what runs next will."""
    done = subprocess.run(["bash", "-c", f"(echo before; {PROGRAM} aggregate {finished_run}/local.tsv -o /dev/stdout; "
                                         "echo after) > file"], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    assert "verdicts on 6 ordered pairs" in done.stderr
    assert (tmp_path / "file").read_text() == f"before\n{(finished_run / 'global.tsv').read_text()}after\n"


def test_an_output_that_is_an_input(given, finished_run, tmp_path, capsys, monkeypatch):
    """Of every command, by the same name, another one, a link or a hard link."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(finished_run / "local.tsv", "l.tsv")
    shutil.copy(finished_run / "global.tsv", "g.tsv")
    shutil.copy(finished_run.parent / "v.vcf", "v.vcf")
    shutil.copy(finished_run.parent / "covariates.tsv", "c.tsv")
    models, store = observed_for(given, tmp_path), f"{finished_run}/effects.zarr"
    os.symlink("l.tsv", "link.tsv")
    os.link("g.tsv", "g.png")
    os.link("c.tsv", "hard.tsv")
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    for words in (["aggregate", "l.tsv", "-o", "./l.tsv"], ["aggregate", "l.tsv", "-o", "link.tsv"],
                  ["aggregate", "l.tsv", "--strata", "c.tsv", "-o", "hard.tsv"],
                  ["plot", "global", "g.tsv", "-o", "g.png"],
                  ["annotate", str(finished_run), "--input_vcf", "v.vcf", "-o", "v.vcf"],
                  ["calibrate", *models, "-o", "observed.tsv"],
                  ["estimate", store, "--vcf", "none", "-o", f"{store}/x"]):
        assert main([*words, "-q"]) == 2, words
        told = capsys.readouterr().err
        assert ("also an input" in told or "it lies in the store" in told) and told.count("\n") == 1, told
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_a_stage_that_writes_into_a_run_makes_its_report_refuse(finished_run, tmp_path, capsys):
    shutil.copytree(finished_run, tmp_path / "OUT")
    out = str(tmp_path / "OUT")
    assert main(["estimate", f"{out}/effects.zarr", "--vcf", "none", "-q", "--instrument_z", "2", "-o",
                 f"{out}/local.tsv"]) == 0
    for words in (["report", out], ["annotate", out, "--input_vcf", f"{finished_run}/../v.vcf", "-o",
                                    str(tmp_path / "a.vcf")]):
        assert main([*words, "-q"]) == 2
        told = capsys.readouterr().err
        assert "local.tsv" in told and "from another command" in told and "global.tsv" not in told
    assert not (tmp_path / "a.vcf").exists()
