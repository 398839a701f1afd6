"""Models in their own Python: the same numbers from real old interpreters, and all ways in which a process fails."""

import contextlib
import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import pythons
from conftest import LENGTH, heed_interrupts
from portable_models import DNA, MODEL_CODE, MODEL_YAML, weights_in_eighths, write
from processes import is_alive, wait_until

from kipoi_deepmr import dna, mutagenesis, pipeline
from kipoi_deepmr.errors import InputError, ModelFailed
from kipoi_deepmr.loci import Loci, select
from kipoi_deepmr.models import Ensemble, worker
from kipoi_deepmr.models.environments import check_interpreter, interpreters
from kipoi_deepmr.models.host import frames
from kipoi_deepmr.models.kipoi_model import KipoiModel
from kipoi_deepmr.mutagenesis.engines import naive

ALL_A = np.frombuffer(b"A" * LENGTH, dtype=np.uint8)



@pytest.fixture
def folders(tmp_path):
    return [write(tmp_path / "models" / str(k), k) for k in range(2)]


@pytest.fixture(scope="session", params=["3.6", "3.7", pythons.OURS])
def python(request):
    return pythons.with_kipoi(request.param, request.config.cache)


def closed_form(folder, sequence):
    """Marks of a sequence and its mutants, by loops."""
    weights = np.load(Path(folder) / "weights.npy")
    text = dna.decode(sequence)
    mutants = [text] + [text[:i] + b + text[i + 1:] for i, a in enumerate(text) for b in "ACGT" if b != a]
    return np.array([sum(weights[i, "ACGT".index(base)] for i, base in enumerate(m)) for m in mutants])


# The same numbers


def test_effects_equal_those_in_this_process_bit_for_bit(folders, python, bed_file, genome_file):
    loci = Loci.from_bed(bed_file, genome_file)
    here = mutagenesis.saturate(Ensemble.from_kipoi(folders, "dir", batch_size=10), loci)
    with Ensemble.from_kipoi(folders, "dir", batch_size=10, pythons=[python] * 2) as ensemble:
        there = mutagenesis.saturate(ensemble, loci)
    for name in ("effect", "effect_se", "reference", "member_effect", "ref_base", "alt_base"):
        assert here[name].values.tobytes() == there[name].values.tobytes(), name
    for k, folder in enumerate(folders):
        expected = closed_form(folder, loci.sequences[1])
        np.testing.assert_array_equal(here["member_effect"][1, k], expected[1:] - expected[0])


def test_descriptions_are_the_same_but_for_versions(folders, python):
    here, there = KipoiModel(folders[0], "dir"), KipoiModel(folders[0], "dir", python=python)
    assert here.describe()._replace(versions={}, framework="") == there.describe()._replace(versions={}, framework="")
    assert there.describe().versions["python"] == python_version(python)
    np.testing.assert_array_equal(here.probe(), there.probe())
    there.close()


@pytest.mark.parametrize("has_side", [False, True])
def test_mutants_of_some_positions_alone(tmp_path, bed_file, genome_file, has_side):
    """A range and single positions, others in each locus; also where each locus has side inputs."""
    models = [write(tmp_path / str(k), k, has_side=has_side) for k in range(2)]
    arguments = {"intervals_file": bed_file, "fasta_file": genome_file}
    (tmp_path / "m.bed").write_text("".join(f"chr1\t{start}\t{start + 2}\n" for start in range(1, 300, 5)))
    found = []
    for pythons_of in (None, [sys.executable] * 2):
        with Ensemble.from_kipoi(models, "dir", pythons=pythons_of, **arguments) as ensemble:
            loci = pipeline.select_loci(ensemble, **arguments, mutate=str(tmp_path / "m.bed")).loci
            found.append(mutagenesis.saturate(ensemble, loci))
    variants = np.repeat(loci.mutated, 3, axis=1)
    assert 0 < variants.mean() < 1 and (loci.item >= 0).all() == has_side
    for name in ("effect", "effect_se", "reference", "member_effect"):
        assert found[0][name].values.tobytes() == found[1][name].values.tobytes(), name
    for i, k in np.ndindex(len(loci), len(models)):
        expected = closed_form(models[k], loci.sequences[i]) * (loci.item[i] + 2 if has_side else 1)
        np.testing.assert_array_equal(found[1]["member_effect"].values[i, k][variants[i]],
                                      (expected[1:] - expected[0])[variants[i]])
        assert np.isnan(found[1]["member_effect"].values[i, k][~variants[i]]).all()


def python_version(python):
    return subprocess.run([python, "-c", "import platform; print(platform.python_version())"], capture_output=True,
                          text=True).stdout.strip()


def test_loci_of_the_dataloader_and_its_side_inputs(tmp_path, python, bed_file, genome_file):
    """The k-th item multiplies all marks by k + 2: an item that goes with another locus would show."""
    models = [write(tmp_path / str(k), k, has_side=True) for k in range(2)]
    arguments = {"intervals_file": bed_file, "fasta_file": genome_file}
    with Ensemble.from_kipoi(models, "dir", pythons=[python, None], dataloader_args=arguments) as ensemble:
        assert ensemble.needs_item and ensemble.length == LENGTH
        loci = select(ensemble.dataloader(arguments), n_loci=4, seed=3).loci
        assert len(set(loci.item)) == 4 and (loci.item >= 0).all()
        effects = mutagenesis.saturate(ensemble, loci)
    for i, item in enumerate(loci.item):
        for k, folder in enumerate(models):
            expected = closed_form(folder, loci.sequences[i]) * (item + 2)
            np.testing.assert_array_equal(effects["member_effect"][i, k], expected[1:] - expected[0])


def test_bed_and_fasta_through_the_dataloader_where_dna_is_not_all(tmp_path, bed_file, genome_file):
    models = [write(tmp_path / str(k), k, has_side=True) for k in range(2)]
    with pytest.raises(InputError, match='must see loci.*dataloader_args'):
        Ensemble.from_kipoi(models, "dir")
    ensemble = Ensemble.from_kipoi(models, "dir", intervals_file=bed_file, fasta_file=genome_file)
    loci = select(ensemble.bed(bed_file, genome_file)).loci
    assert loci.item.tolist() == list(range(9))
    sequence = loci.sequences[5]
    np.testing.assert_array_equal(naive(ensemble).mutants(sequence, 5)[1], closed_form(models[1], sequence) * 7)
    with pytest.raises(InputError, match="takes more than DNA"):
        naive(ensemble).mutants(sequence)


def test_whatever_is_printed_does_not_reach_the_answers(folders):
    (Path(folders[0]) / "do").write_text(textwrap.dedent("""
        print("x" * 3_000_000)
        sys.stdout.flush()
        os.write(1, b"y" * 3_000_000)
        subprocess.check_call(["echo", "a child speaks"])
        sys.stdin.read()
    """))
    member = KipoiModel(folders[0], "dir", python=sys.executable)
    np.testing.assert_array_equal(member.mutants(ALL_A)[0], closed_form(folders[0], ALL_A))
    member.close()


RUDE = """
    os.chdir("/")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    os.write(1, b"not a frame")
    if not os.fork() and len(x) != 7:
        raise SystemExit("in a copy")
"""


@pytest.mark.parametrize("python", [None, sys.executable])
def test_a_model_that_changes_its_process(folders, tmp_path, monkeypatch, capfd, python):
    """It moves to another folder, forks a copy that comes back, sets handlers of signals, writes to descriptor 1."""
    monkeypatch.chdir(tmp_path)
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    (Path(folders[0]) / "do").write_text(textwrap.dedent(RUDE))
    member = KipoiModel(folders[0], "dir", {"batch_size": 30}, python=python)
    for _ in range(2):
        np.testing.assert_array_equal(member.mutants(ALL_A)[0], closed_form(folders[0], ALL_A))
    member.close()
    assert os.getcwd() == str(tmp_path)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers


@pytest.mark.parametrize("code, said", [
    ("os.closerange(3, 256)", "ended with exit code 76; its last words:.*closed descriptor [0-9]+, which its process"),
    ("os.closerange(0, 256)\nfor k in range(40): os.open(path, os.O_RDONLY)", "ended with exit code 76")])
def test_a_model_that_closes_descriptors_is_named(folders, caplog, code, said):
    with member_that(folders[0], ONCE.replace("remove(path)", "rename(path, path + '.')") + code.replace(
            "(path,", "(path + '.',")) as member:
        np.testing.assert_array_equal(member.mutants(ALL_A)[0], closed_form(folders[0], ALL_A))
    told, = caplog.messages
    assert re.search(said, told, re.DOTALL)


def test_the_archive_holds_the_host_alone_and_is_the_same_each_time():
    with zipfile.ZipFile(worker.host_archive()) as archive:
        names = archive.namelist()
        assert {name.split("/")[0] for name in names} == {worker.PACKAGE, "__main__.py"}
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    first = Path(worker.host_archive()).read_bytes()
    Path(worker.host_archive()).unlink()  # as who cleans temporary folders does
    assert Path(worker.host_archive()).read_bytes() == first
    shutil.rmtree(Path(worker.host_archive()).parent)
    assert Path(worker.host_archive()).read_bytes() == first


def test_the_archive_goes_when_the_driver_ends():
    code = "from kipoi_deepmr.models.worker import host_archive; print(host_archive())"
    path = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert path.endswith(".pyz") and not os.path.exists(path)


# Faults, in real processes


@contextlib.contextmanager
def member_that(folder, code, **settings):
    """A member in a worker that runs `code` when it predicts the sequence of A alone."""
    (Path(folder) / "do").write_text(textwrap.dedent(code))
    member = KipoiModel(folder, "dir", settings, python=sys.executable)
    try:
        yield member
    finally:
        member.close()


ONCE = "os.remove(path)\n"
KILL = "print('about to go')\nsys.stdout.flush()\nos.kill(os.getpid(), signal.SIGKILL)\n"
NOTE_PID = "open(os.path.join(self.folder, 'pid'), 'w').write(str(os.getpid()))\n"


@pytest.mark.parametrize("code, said", [
    (ONCE + KILL, "killed by SIGKILL; its last words:\n  about to go"),
    (ONCE + "os._exit(3)", "ended with exit code 3; it said nothing"),
    (ONCE + "print('waiting')\nsys.stdout.flush()\ntime.sleep(1000)", "no answer within 1 s.*\n  waiting"),
])
def test_a_failure_is_told_and_the_locus_repeated(folders, caplog, code, said):
    with member_that(folders[0], code, worker_timeout=1.0) as member, caplog.at_level(logging.WARNING):
        np.testing.assert_array_equal(member.mutants(ALL_A)[0], closed_form(folders[0], ALL_A))
    told, = caplog.messages
    assert re.search(said, told, re.DOTALL)


def test_a_batch_that_is_too_large_is_halved_until_it_fits(folders, caplog):
    code = "open(os.path.join(self.folder, 'sizes'), 'a').write('%d ' % len(x))\nif len(x) > 5: raise MemoryError()"
    with member_that(folders[0], code, batch_size=20) as member:
        for _ in range(2):
            np.testing.assert_array_equal(member.mutants(ALL_A)[0], closed_form(folders[0], ALL_A))
    sizes = (Path(folders[0]) / "sizes").read_text().split()
    assert sizes == ["20", "10", "5", "5"], "what did not fit is not tried again"


def test_a_process_that_always_dies_stops_the_run(folders, caplog):
    with member_that(folders[0], "open(os.path.join(self.folder, 'n'), 'a').write('x')\n" + KILL) as member:
        with pytest.raises(ModelFailed, match="SIGKILL.*(?s:.)*about to go(?s:.)*failed 4 times") as failed:
            member.mutants(ALL_A)
        assert failed.value.exit_code == 1
        assert len((Path(folders[0]) / "n").read_text()) == 4
        (Path(folders[0]) / "do").unlink()
        np.testing.assert_array_equal(member.mutants(ALL_A)[0], closed_form(folders[0], ALL_A))


@pytest.mark.parametrize("python", [None, sys.executable])
@pytest.mark.parametrize("code, said", [
    ("raise ValueError('never\\nthis')", "failed to predict 37 sequences: ValueError: never this$"),
    ("sys.exit('enough')", "failed to predict 37 sequences: SystemExit: enough$"),
])
def test_an_error_of_the_model_is_told_once_and_not_tried_again(folders, caplog, python, code, said):
    (Path(folders[0]) / "do").write_text("open(os.path.join(self.folder, 'n'), 'a').write('x')\n" + code)
    member = KipoiModel(folders[0], "dir", python=python)
    with pytest.raises(InputError, match=said) as error:
        member.mutants(ALL_A)
    assert not isinstance(error.value, ModelFailed) and not caplog.records
    assert (Path(folders[0]) / "n").read_text() == "x"
    member.close()


def test_memory_that_runs_out_here_is_a_failure_too(folders):
    (Path(folders[0]) / "do").write_text("raise MemoryError()")
    with pytest.raises(ModelFailed, match="failed to predict 1 sequences: it ran out of memory.*smaller --batch_size"):
        KipoiModel(folders[0], "dir").mutants(ALL_A)


def test_the_dataloader_is_opened_again_after_a_failure(tmp_path, caplog, bed_file, genome_file):
    folder = write(tmp_path / "m", has_side=True)
    with member_that(folder, ONCE + KILL) as member:
        locus = select(member.dataloader({"intervals_file": bed_file, "fasta_file": genome_file})).loci[3:4]
        np.testing.assert_array_equal(member.mutants(ALL_A, 7)[0], closed_form(folder, ALL_A) * 9)
        np.testing.assert_array_equal(member.mutants(locus.sequences[0], locus.item[0])[0],
                                      closed_form(folder, locus.sequences[0]) * 5)
    assert len(caplog.records) == 1


def test_a_model_that_dies_as_it_loads(tmp_path, folders):
    path = Path(folders[0]) / "model.py"
    path.write_text(path.read_text() + "\nprint('illegal instruction')\nos.kill(os.getpid(), signal.SIGABRT)\n")
    with pytest.raises(InputError, match="(?s)cannot be loaded by .*killed by SIGABRT.*illegal instruction"):
        KipoiModel(folders[0], "dir", python=sys.executable)


DRIVER = """
import sys
import numpy as np
from kipoi_deepmr.models.kipoi_model import KipoiModel
member = KipoiModel(sys.argv[1], "dir", python=sys.executable)
member.mutants(np.frombuffer(b"A" * 12, dtype=np.uint8))
"""


HANGS = {"Python": "time.sleep(1000)",
         "a call of C code that holds the interpreter": "import ctypes; ctypes.PyDLL(None).sleep(1000)"}


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
@pytest.mark.parametrize("hang", HANGS)
def test_a_hanging_worker_and_its_children_go_with_their_driver(folders, how, hang):
    (Path(folders[0]) / "do").write_text(NOTE_PID + textwrap.dedent("""
        child = subprocess.Popen(["sleep", "1000"])
        open(os.path.join(self.folder, "child"), "w").write(str(child.pid))
    """) + HANGS[hang])
    driver = subprocess.Popen([sys.executable, "-c", DRIVER, folders[0]], stderr=subprocess.DEVNULL,
                              preexec_fn=heed_interrupts)
    noted = [Path(folders[0]) / name for name in ("pid", "child")]
    assert wait_until(lambda: all(path.exists() and path.read_text() for path in noted))
    pids = [int(path.read_text()) for path in noted]
    assert all(map(is_alive, pids))
    driver.send_signal(how)
    driver.wait(60)
    assert wait_until(lambda: not any(map(is_alive, pids)))


BAD = {
    "a BED that is none": lambda bed, fasta: bed.write_text("chr1\t10\t22\nchr1\tx\t34\n"),
    "a BED of another assembly": lambda bed, fasta: bed.write_text("chr1\t900000\t900022\nchr1\t990000\t990052\n"),
    "loci that cannot be used": lambda bed, fasta: bed.write_text("chr7\t10\t22\n"),
    "a FASTA that is none": lambda bed, fasta: fasta.write_text("no bases\n"),
    "a FASTA that is gone": lambda bed, fasta: fasta.unlink(),
}


@pytest.mark.parametrize("wrong, command", [
    *((wrong, ["predict"]) for wrong in BAD), ("loci that cannot be used", ["check"]),
    ("a BED of another assembly", ["run", "--no_report"]),
    ("nothing", ["run", "--instruments", "variants", "--input_vcf", "none.vcf"])])
def test_no_worker_outlives_the_message(folders, tmp_path, bed_file, genome_file, capsys, monkeypatch, wrong, command):
    """Input that is found wrong once models are loaded."""
    from kipoi_deepmr.cli import main

    note = f"import os\nopen({str(tmp_path / 'pids')!r}, 'a').write(f'{{os.getpid()}}\\n')\n"
    for folder in folders:
        path = Path(folder) / "model.py"
        path.write_text(note + path.read_text())
    BAD.get(wrong, print)(Path(bed_file), Path(genome_file))
    alive, shown = [], print

    def noticed(*arguments, **options):
        pids = (tmp_path / "pids").read_text().split() if (tmp_path / "pids").exists() else []
        alive.extend(pid for pid in map(int, pids) if "error:" in str(arguments) and is_alive(pid))
        shown(*arguments, **options)

    monkeypatch.setattr("builtins.print", noticed)
    name, *options = command
    output = [] if name == "check" else ["-o", str(tmp_path / "out")]
    assert main([name, *folders, "--source", "dir", "--python", sys.executable, "--intervals_file", bed_file,
                 "--fasta_file", genome_file, *options, *output]) == 2
    assert "error:" in capsys.readouterr().err and alive == []
    assert not (tmp_path / "out").exists()


def test_a_workers_children_go_with_it(folders):
    """Whoever kills it."""
    (Path(folders[0]) / "do").write_text(textwrap.dedent("""
        child = subprocess.Popen(["sleep", "1000"])
        open(os.path.join(self.folder, "child"), "w").write(str(child.pid))
        os.kill(os.getpid(), signal.SIGKILL)
    """))
    process = subprocess.Popen([sys.executable, "-E", worker.host_archive()], stdin=subprocess.PIPE, bufsize=0,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    frames.write(process.stdin, {"number": 0, "request": "load", "model": folders[0], "source": "dir", "settings": {}})
    frames.write(process.stdin, {"number": 1, "request": "mutants", "item": None}, [ALL_A])
    assert process.wait(60) == -signal.SIGKILL
    pid = int((Path(folders[0]) / "child").read_text())
    assert wait_until(lambda: not is_alive(pid))
    process.stdin.close()


def test_a_worker_does_not_end_with_the_thread_that_started_it(folders):
    """As pools and Dask's workers start some."""
    members = []
    starter = threading.Thread(target=lambda: members.append(KipoiModel(folders[0], "dir", python=sys.executable)))
    starter.start()
    starter.join()
    with contextlib.closing(members[0]) as member:
        time.sleep(1.5)
        np.testing.assert_array_equal(member.mutants(ALL_A)[0], closed_form(folders[0], ALL_A))


def test_closing_ends_the_process_in_the_middle_of_a_request(folders):
    with member_that(folders[0], NOTE_PID + "time.sleep(1000)") as member:
        raised = []
        asking = threading.Thread(target=lambda: raised.append(pytest.raises(ModelFailed, member.mutants, ALL_A)))
        asking.start()
        assert wait_until(lambda: (Path(folders[0]) / "pid").exists() and (Path(folders[0]) / "pid").read_text())
        pid = int((Path(folders[0]) / "pid").read_text())
        member.close()
        asking.join(10)
        assert raised and not is_alive(pid)


def test_the_run_keeps_what_was_computed(folders, tmp_path, bed_file, genome_file, capsys):
    """The second locus kills its process again and again; with the fault gone, the same command goes on."""
    from kipoi_deepmr.cli import main

    genome = Path(genome_file).read_text().split("\n")
    fasta = tmp_path / "with_a.fa"
    fasta.write_text("\n".join([*genome, ">chr3", "A" * 40, ""]))
    bed = tmp_path / "with_a.bed"
    bed.write_text("".join(f"chr1\t{s}\t{s + LENGTH}\n" for s in range(10, 190, 2)) + "chr3\t5\t17\n")
    flag = tmp_path / "fault"
    flag.write_text("")
    (Path(folders[1]) / "do").write_text(f"if os.path.exists({str(flag)!r}):\n" + textwrap.indent(KILL, "    "))
    command = ["predict", *folders, "--source", "dir", "--intervals_file", str(bed), "--fasta_file", str(fasta), "-q",
               "--python", sys.executable, "-o", str(tmp_path / "e.zarr")]
    assert main(command) == 1
    said = capsys.readouterr().err
    assert "SIGKILL" in said and "64 of 91 loci are kept" in said and "Traceback" not in said
    flag.unlink()
    assert main(command) == 0


# Several at once


@pytest.fixture
def seven_processors(monkeypatch):
    monkeypatch.setattr("kipoi_deepmr.threads.cpu_count", lambda: 7)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


def test_workers_compute_at_the_same_time_with_their_share_of_threads(folders, seven_processors):
    """Each waits until the other has begun: they would wait for ever if they were asked in turn."""
    code = textwrap.dedent("""
        folder = os.path.dirname(self.folder)
        open(os.path.join(folder, "began" + os.path.basename(self.folder)), "w").write(os.environ["OMP_NUM_THREADS"])
        while sum(name.startswith("began") for name in os.listdir(folder)) < 2:
            time.sleep(0.01)
    """)
    for folder in folders:
        (Path(folder) / "do").write_text(code)
    with Ensemble.from_kipoi(folders, "dir", pythons=[sys.executable] * 2, settings={"worker_timeout": 20}) as ensemble:
        naive(ensemble).mutants(ALL_A)
    began = sorted(Path(folders[0]).parent.glob("began*"))
    assert [path.read_text() for path in began] == ["3", "3"]


def test_one_job_takes_all_threads(folders, seven_processors):
    code = "open(os.path.join(self.folder, 'n'), 'w').write(os.environ['MKL_NUM_THREADS'])"
    (Path(folders[0]) / "do").write_text(code)
    with Ensemble.from_kipoi(folders, "dir", pythons=[sys.executable] * 2, jobs=1) as ensemble:
        naive(ensemble).mutants(ALL_A)
    assert (Path(folders[0]) / "n").read_text() == "7"


GLOBAL_STATE = '''
import kipoi
import numpy as np
from kipoi.model import BaseModel


class Session(BaseModel):
    """Keeps its weights where every model of the process keeps them, as TensorFlow 1 does after clear_session."""

    def __init__(self, weights):
        kipoi.session_of_the_test = np.load(weights)

    def predict_on_batch(self, x):
        return np.tensordot(x, kipoi.session_of_the_test, 2)
'''


def test_models_with_global_state_are_refused_in_one_process_and_right_in_two(folders, bed_file, genome_file):
    for folder in folders:
        (Path(folder) / "model.py").write_text(GLOBAL_STATE)
        described = MODEL_YAML.replace("INPUTS", DNA).replace("model.Weights", "model.Session")
        (Path(folder) / "model.yaml").write_text(described)
    with pytest.raises(InputError, match="changed what .*/0 predicts.*all models of a process share.*--python"):
        Ensemble.from_kipoi(folders, "dir")
    with Ensemble.from_kipoi(folders, "dir", pythons=[sys.executable, sys.executable]) as ensemble:
        predicted = naive(ensemble).mutants(ALL_A)
    for k, folder in enumerate(folders):
        np.testing.assert_array_equal(predicted[k], closed_form(folder, ALL_A))


@pytest.mark.parametrize("python", [None, sys.executable])
def test_members_that_answer_alike_are_refused(folders, python):
    np.save(Path(folders[1]) / "weights.npy", weights_in_eighths(0))
    (Path(folders[1]) / "model.py").write_text(MODEL_CODE + "\n# another file, the same model\n")
    with pytest.raises(InputError, match="0 and .*1 give exactly the same answers"):
        Ensemble.from_kipoi(folders, "dir", pythons=[python, python])


def test_a_model_that_draws_random_numbers_is_refused(folders):
    path = Path(folders[0]) / "model.py"
    path.write_text(path.read_text().replace("* side", "* side + np.random.rand()"))
    with pytest.raises(InputError, match="differently each time"):
        Ensemble.from_kipoi(folders, "dir")


# Which Python


def test_one_interpreter_for_all_or_one_each(folders):
    assert interpreters(folders) == [None, None]
    ours = os.path.abspath(sys.executable)
    assert interpreters(folders, [sys.executable]) == [ours] * 2
    assert interpreters(["a", "b"], [ours, os.path.relpath(ours)]) == [ours, ours]
    with pytest.raises(InputError, match="2 interpreters for 3 models"):
        interpreters(["a", "b", "c"], [sys.executable] * 2)
    with pytest.raises(InputError, match="give one$"):
        interpreters(folders, [sys.executable], "an-env")


def test_interpreters_that_cannot_host_a_model(tmp_path, folders):
    bare = pythons.without_kipoi(tmp_path / "bare")
    for python, said in ((bare, "has no numpy and no kipoi"), ("/no/such/python", "no such program"),
                         (shutil.which("true"), "not a Python interpreter"), (shutil.which("ls"), "not a Python")):
        with pytest.raises(InputError, match=said) as error:
            interpreters(folders, [python])
        assert "\n" not in str(error.value)
    with pytest.raises(InputError, match="has no numpy and no kipoi"):
        KipoiModel(folders[0], "dir", python=bare)


def test_a_python_that_is_too_old():
    old = pythons.installed("2.7")
    if old is None:
        pytest.skip("there is no Python 2.7 here")
    with pytest.raises(InputError, match="Python 2.7; .* 3.6 or newer"):
        check_interpreter(old)


@pytest.fixture
def environments(tmp_path, monkeypatch):
    """Kipoi's database of environments: one that was made twice, one whose files are gone, one not finished."""
    import kipoi
    from kipoi.env_db import EnvCreateArgs, EnvDb, EnvDbEntry

    path = tmp_path / "envs.json"
    database = EnvDb(str(path))
    here = os.path.join(os.path.dirname(sys.executable), "kipoi")
    for time_made, (name, cli) in enumerate([("mine", "/gone/bin/kipoi"), ("mine", here), ("lost", "/gone/bin/kipoi"),
                                             ("half", None)]):
        made_with = EnvCreateArgs(model=["m"], source="kipoi", env=name)
        database.append(EnvDbEntry(conda_version="4", kipoi_version="0.8.6", timestamp=float(time_made),
                                   successful=True, compatible_models=["m"], create_args=made_with, cli_path=cli))
    database.save()
    monkeypatch.setattr(kipoi.config, "_env_db_path", str(path))
    return path


def test_environments_of_kipoi(environments, folders):
    ours = os.path.join(os.path.dirname(os.path.abspath(sys.executable)), "python")
    assert interpreters(folders, env="mine") == [ours] * 2
    for name, said in (("min", 'did you mean "mine"'), ("lost", "/gone/bin/kipoi.* no python beside it"),
                       ("half", "no kipoi executable")):
        with pytest.raises(InputError, match=said):
            interpreters(folders, env=name)


def test_databases_that_are_not_there_or_none(environments, folders):
    environments.write_text("{")
    with pytest.raises(InputError, match="not Kipoi's database"):
        interpreters(folders, env="mine")
    environments.unlink()
    with pytest.raises(InputError, match="knows no environments"):
        interpreters(folders, env="mine")


def test_requests_and_replies_are_plain_frames(folders):
    """Another program can speak to a worker: what it says on standard output is frames and nothing else."""
    process = subprocess.Popen([sys.executable, "-E", worker.host_archive()], stdin=subprocess.PIPE, bufsize=0,
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True)
    settings = {"batch_size": 30}
    frames.write(process.stdin, {"number": 0, "request": "load", "model": folders[0], "source": "dir",
                                 "settings": settings})
    frames.write(process.stdin, {"number": 1, "request": "nonsense"})
    frames.write(process.stdin, {"number": 2, "request": "mutants", "item": None}, [ALL_A])
    described, refused, part, done = [frames.read(process.stdout) for _ in range(4)]
    assert described[0]["value"]["marks"] == ["A", "B", "C"] and json.dumps(described[0])
    assert refused[0]["kind"] == "internal"
    assert part[0]["reply"] == "part" and part[1][0].shape == (1, 30, 3)
    assert done[0]["reply"] == "done" and done[1][0].shape == (1, 7, 3)
    assert [(frame[0]["number"], frame[0]["part"]) for frame in (described, refused, part, done)] == [
        (0, 0), (1, 0), (2, 0), (2, 1)]
    process.stdin.close()
    assert process.wait(10) == -signal.SIGKILL and process.stdout.read() == b""
    process.stdout.close()
