"""Exit codes: every command, whatever ends it."""

import errno
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kipoi_deepmr.cli import commands, main
from kipoi_deepmr.cli.parser import COMMANDS, FIGURES
from kipoi_deepmr.errors import ClusterFailed, DiskFull, InputError, ModelFailed, Stopped

ROOT = Path(__file__).parents[3]
WORDS = {  # of each command, naming inputs that are not there
    "example": "-o {here}/none/x/y", "check": "{here}/m --source dir",
    "calibrate": "{here}/m --source dir --observed x.tsv -o c.json",
    "init": "{here}/none/x {here}/m.pt --module {here}/net.py:Net", "table": "l.tsv",
    "run": "{here}/m --source dir -o OUT", "predict": "{here}/m --source dir -o e.zarr", "estimate": "e.zarr -o l.tsv",
    "aggregate": "l.tsv -o g.tsv", "network": "e.zarr -o n.tsv", "report": "OUT",
    "annotate": "OUT --input_vcf v.vcf -o a.vcf", "tracks": "OUT -o T",
    "shape": "OUT --exposure A --outcome B -o s.tsv", "interaction": "e.zarr -o i.tsv",
    "simulate": "-o SIM --stored",
    **{f"plot {name}": "none -o x.png" for name in FIGURES}}
WORDS["plot forest"] = "none --exposure A --outcome B -o x.png"
WORDS["plot local"] = WORDS["plot tracks"] = "none --locus a --exposure A --outcome B -o x.png"


def raising(error):
    def act(*_):
        raise error
    return act


def killing(number):
    def act(*_):
        os.kill(os.getpid(), number)
        signal.sigtimedwait([], 1)  # until the signal is there
        raise AssertionError("it went on")
    return act


CAUSES = {  # what happens within a command, the code and what is said
    "nothing": (lambda *_: None, 0, ""),
    "unfit models": (lambda *_: 1, 1, ""),
    "bad input": (raising(InputError("x.bed, line 3: no")), 2, "error: x.bed, line 3: no"),
    "a file that cannot be read": (raising(PermissionError(errno.EACCES, "Permission denied", "x")), 2,
                                   "error: x: Permission denied"),
    "a full disk": (raising(OSError(errno.ENOSPC, "No space left on device", "x")), 1, "x: No space left on device"),
    "a used-up quota": (raising(OSError(errno.EDQUOT, "Disk quota exceeded")), 1, "output: Disk quota exceeded"),
    "a full disk that was told": (raising(DiskFull("x: No space left on device; kept")), 1, "; kept"),
    "a model that fails": (raising(ModelFailed("model m: its process was killed")), 1, "model m: its process"),
    "a lost cluster": (raising(ClusterFailed("the Dask scheduler is gone")), 1, "scheduler is gone"),
    "what stops a run": (raising(Stopped("3 of 4 loci are kept")), 1, "3 of 4 loci are kept"),
    "a closed pipe": (raising(BrokenPipeError(errno.EPIPE, "Broken pipe")), 141, ""),
    "Ctrl-C": (killing(signal.SIGINT), 130, "interrupted"),
    "SIGTERM": (killing(signal.SIGTERM), 143, "interrupted"),
    "a mistake of ours": (raising(ZeroDivisionError("division by zero")), 1, "internal error: ZeroDivisionError"),
    "memory that runs out": (raising(MemoryError("Unable to allocate 9 GiB")), 1,
                             "error: the memory is used up (Unable to allocate 9 GiB); what was finished is kept"),
}


@pytest.fixture
def restored(monkeypatch):
    """What a command changes of its process."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which background jobs ignore
    module = sys.modules["kipoi_deepmr.cli.main"]  # the package has a function of that name
    monkeypatch.setattr(module, "_silence_standard_output", lambda: None)  # which would be pytest's
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_every_command_is_here():
    assert set(WORDS) == {*COMMANDS, *(f"plot {name}" for name in FIGURES)}


@pytest.mark.parametrize("cause", CAUSES)
@pytest.mark.parametrize("name", WORDS)
def test_what_happens_within_a_command(name, cause, tmp_path, monkeypatch, capsys, restored):
    act, code, said = CAUSES[cause]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(commands, name.split()[0], act)
    assert main([*name.split(), *WORDS[name].format(here=tmp_path).split()]) == code
    told = capsys.readouterr().err
    assert said in told and told.count("\n") == bool(said) and "Traceback" not in told


@pytest.mark.parametrize("name", WORDS)
def test_inputs_that_are_not_there(name, tmp_path, monkeypatch, capsys):
    """Code 2, one line, and nothing is left behind."""
    (tmp_path / "none").write_text("")  # a file where a folder is needed
    monkeypatch.chdir(tmp_path)
    assert main([*name.split(), *WORDS[name].format(here=tmp_path).split()]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and "error: " in err
    assert [path.name for path in tmp_path.iterdir()] == ["none"]


@pytest.mark.parametrize("name", [*WORDS, "plot", "completion", ""])
def test_words_that_no_command_has(name, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([*name.split(), "--no_such_option"])
    assert stopped.value.code == 2 and "error: " in capsys.readouterr().err


@pytest.mark.parametrize("words, said", [("--help", "exit codes"), ("--version", "kipoi_deepmr"),
                                         ("plot --help", "plot"), ("completion bash", "complete")])
def test_what_is_asked_for(words, said, capsys):
    try:
        assert main(words.split()) == 0
    except SystemExit as stopped:
        assert not stopped.code
    assert said in capsys.readouterr().out


def test_a_reader_that_has_gone():
    """A real pipe, and Python's own flush at the end."""
    read, write = os.pipe()
    os.close(read)
    code = "import sys; from kipoi_deepmr.cli import main; sys.exit(main(['--help']))"
    done = subprocess.run([sys.executable, "-c", code], stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, "")


def test_the_table_of_the_documentation_has_these_codes():
    page = (ROOT / "docs" / "command_line.md").read_text().partition("## Exit codes")[2].partition("\n## ")[0]
    documented = {int(code) for row in re.findall(r"^\| ([\d, ]+) \|", page, re.M) for code in row.split(", ")}
    assert documented == {code for _, code, _ in CAUSES.values()}
