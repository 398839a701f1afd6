"""What people expect of a command line: help that teaches, exit codes, streams, completion. All by the real one."""

import fcntl
import io
import os
import pty
import shutil
import struct
import subprocess
import sys
import termios

import pytest
from finished_runs import PLAIN_WORDS, write_run

from kipoi_deepmr import __version__
from kipoi_deepmr.cli.examples import EXIT_CODES
from kipoi_deepmr.cli.parser import make_parser, subcommands

KIPOI = (sys.executable, "-m", "kipoi", "postproc", "deepmr")
OURS = (sys.executable, "-c", "from kipoi_deepmr.cli import console_main; console_main()")


def started(*words, program=OURS, cwd=None, env=None, **options):
    return subprocess.run([*program, *map(str, words)], cwd=cwd, env={**os.environ, **(env or {})}, timeout=300,
                          capture_output=True, text=True, **options)


def leaves(parser, *words):
    """Every subcommand that does something, with its words."""
    if not subcommands(parser):
        yield words, parser
    for name, command in subcommands(parser).items():
        yield from leaves(command, *words, name)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("manners") / "OUT"
    write_run(folder)
    return folder


def test_version():
    for program in (KIPOI, OURS):
        done = started("--version", program=program)
        assert (done.returncode, done.stdout) == (0, f"kipoi_deepmr {__version__}\n")


def test_help_teaches():
    """Every command explains itself, groups its options if it has many, and shows an example."""
    for words, command in leaves(make_parser("kipoi deepmr")):
        text = command.format_help()
        assert command.description and command.epilog and f"kipoi deepmr {' '.join(words)} " in command.epilog % {
            "prog": command.prog}, words
        in_no_group = [a for a in command._optionals._group_actions if a.option_strings]
        assert len(in_no_group) <= 12, f"{words}: group the options"
        undocumented = [a.dest for a in command._actions if not a.help and a.dest != "table"]
        assert set(undocumented) <= {"locus", "exposure", "outcome"} and "==SUPPRESS==" not in text


@pytest.mark.parametrize("words", [("run",), ("predict",), ("check",)])
def test_help_shows_the_basics_and_help_all_the_rest(words, capsys):
    command = dict(leaves(make_parser("kipoi deepmr")))[words]
    command.print_help()
    short = capsys.readouterr().out
    sections = short.split("what most runs need:\n")[1].split("\n\n")[0]
    assert sum(line.startswith(("  -", "  MODEL")) for line in sections.splitlines()) == len(command.basics) <= 8
    assert f"kipoi deepmr {words[0]} --help-all" in short and len(short.splitlines()) <= 45
    with pytest.raises(SystemExit) as ended:
        make_parser("kipoi deepmr").parse_args([*words, "--help-all"])
    assert ended.value.code == 0 and capsys.readouterr().out == command.format_help()


def test_help_and_the_documentation_tell_the_exit_codes():
    help_text = started("--help").stdout
    assert EXIT_CODES in help_text
    assert EXIT_CODES.count("\n  ") == 5


def test_the_example_is_copied_with_what_to_type(tmp_path):
    """The command that it prints is read by our parser, in the new folder, and names what is there."""
    done = started("example", "-o", "a b", cwd=tmp_path)
    cd, command = (line.split() for line in done.stdout.splitlines() if line.startswith(("  cd", "  kipoi deepmr run")))
    assert cd == ["cd", "'a", "b'"]
    arguments = make_parser("kipoi deepmr").parse_args(command[2:])
    assert {*arguments.models, arguments.intervals_file, arguments.fasta_file} <= set(os.listdir(tmp_path / "a b"))
    again = started("example", "-o", "a b", cwd=tmp_path)
    assert again.returncode == 2 and "a b: there is something already; name a new folder" in again.stderr
    assert started("example", "-o", "no/where", cwd=tmp_path).returncode == 2


@pytest.mark.parametrize("words, code", [
    (["--help"], 0), (["run", "--help"], 0), (["aggregate", "no.tsv", "-o", "x.tsv"], 2), (["nonsense"], 2), ([], 0),
])
def test_exit_codes(words, code, tmp_path):
    assert started(*words, cwd=tmp_path).returncode == code and not list(tmp_path.iterdir())


def test_tables_on_standard_output(run, tmp_path, capfd):
    """The table and nothing else, the same bytes as in a file; what is told goes to standard error."""
    how = [*PLAIN_WORDS, "--method", "ivw,egger", "--instrument_z", "1.5"]
    done = started("estimate", run / "effects.zarr", *how, "-o", "-", program=KIPOI, cwd=tmp_path)
    assert done.returncode == 0 and done.stdout == (run / "local.tsv").read_text()
    assert "instruments a locus" in done.stderr
    done = started("aggregate", run / "local.tsv", "-o", "-", "-q", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "") and done.stdout == (run / "global.tsv").read_text()
    assert not list(tmp_path.iterdir())


def test_a_failure_leaves_standard_output_empty(run, tmp_path):
    (tmp_path / "cut.tsv").write_text((run / "local.tsv").read_text()[:-40])
    done = started("aggregate", tmp_path / "cut.tsv", "-o", "-")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)


def test_a_reader_that_goes_away(run):
    """`| head` ends us without a stack trace, with what a shell makes of SIGPIPE."""
    writing = subprocess.Popen([*OURS, "estimate", str(run / "effects.zarr"), "-o", "-", "-q"], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)
    writing.stdout.close()
    said = writing.stderr.read()
    writing.stderr.close()
    assert (writing.wait(timeout=120), said) == (141, b"")


@pytest.mark.parametrize("words, said", [
    (["run", "m", "-o", "-"], "run writes a folder"), (["predict", "m", "-o", "-"], "predict writes a store"),
    (["plot", "global", "{run}/global.tsv", "-o", "-"], "whose name tells its format"),
    (["aggregate", "{run}/local.tsv", "--strata", "x.tsv", "-o", "-"], "tables of strata"),
    (["estimate", "{run}/effects.zarr", "--vcf", "all", "-o", "-"], "--vcf all is about files beside the table"),
])
def test_what_standard_output_cannot_take(run, words, said, capsys):
    from kipoi_deepmr.cli import main

    assert main([word.format(run=run) for word in words]) == 2
    told = capsys.readouterr()
    assert said in told.err and told.out == "" and told.err.count("\n") == 1


@pytest.fixture(scope="module")
def three_models(tmp_path_factory):
    from conftest import LENGTH, member_weights, write_model

    folder = tmp_path_factory.mktemp("three")
    for k, weights in enumerate(member_weights()):
        write_model(folder / str(k), weights)
    (folder / "g.fa").write_text(">chr1\n" + "ACGTTGCAAC" * 20 + "\n")
    (folder / "l.bed").write_text("".join(f"chr1\t{s}\t{s + LENGTH}\n" for s in range(0, 150, 7)))
    return ["0", "1", "2", "--source", "dir", "--intervals_file", "l.bed", "--fasta_file", "g.fa"], folder


def test_loudness(three_models):
    words, folder = three_models
    normal, quiet, loud = (started("predict", *words, "--keep", "summary", "-o", f"{k}.zarr", *more, cwd=folder)
                           for k, more in enumerate(([], ["-q"], ["-v"])))
    assert "loci: 22 used" in normal.stdout and "disk: " in normal.stderr and "options:" not in normal.stderr
    assert (quiet.returncode, quiet.stdout) == (0, "") and "locus" not in quiet.stderr
    assert loud.stdout.splitlines()[0] == normal.stdout.splitlines()[0]
    assert "options: {'command': 'predict'" in loud.stderr and "models: 3, which make 3 members" in loud.stderr
    assert started("predict", *words, "-q", "-v", "-o", "x").returncode == 2


def on_a_terminal(words, cwd, **env):
    """Exit code, and what a command writes when standard output and error are a terminal."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))  # else tqdm sees no room for its bar
    process = subprocess.Popen([*KIPOI, *words], cwd=cwd, env={**os.environ, **env}, stdout=theirs, stderr=theirs)
    os.close(theirs)
    said = io.BytesIO()
    try:
        while piece := os.read(ours, 4096):
            said.write(piece)
    except OSError:  # the other end is closed
        pass
    os.close(ours)
    return process.wait(timeout=120), said.getvalue().decode()


def test_no_color(three_models):
    words, folder = three_models
    code, said = on_a_terminal(["predict", *words, "--keep", "summary", "-o", "t.zarr"], folder, NO_COLOR="1")
    assert code == 0 and "locus/s" in said and "\x1b[" not in said


COMPLETE_IN_BASH = """
source <("$@" completion bash)
complete_words() {
    COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
    $(complete -p "$1" | sed 's/.*-F \\([^ ]*\\).*/\\1/') 2> /dev/null
    echo "${COMPREPLY[*]}"
}
"""


@pytest.mark.parametrize("program, prefix", [
    (OURS, ["kipoi-deepmr"]), ((sys.executable, "-m", "kipoi", "deepmr"), ["kipoi", "deepmr"]),
    (KIPOI, ["kipoi", "postproc", "deepmr"]),
])
def test_completion_in_bash(program, prefix, tmp_path):
    (tmp_path / "loci.bed").write_text("")
    lines = [["run", "--instr"], ["run", "--instruments", ""], ["plot", "tr"], ["run", "--fasta_file", "lo"], ["agg"]]
    script = COMPLETE_IN_BASH + "\n".join("complete_words " + " ".join(f"'{w}'" for w in prefix + line)
                                          for line in lines)
    done = subprocess.run(["bash", "-c", script, "bash", *program], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.splitlines() == ["--instrument_regions --instruments --instrument_z",
                                        "direct regions pooled own variants", "tracks", "loci.bed",
                                        "aggregate"], done.stderr


def test_completion_leaves_kipois_own_commands_their_files():
    script = COMPLETE_IN_BASH + "complete_words kipoi pre; cd /; complete_words kipoi predict et"
    done = subprocess.run(["bash", "-c", script, "bash", *KIPOI], capture_output=True, text=True)
    assert done.stdout.splitlines() == ["predict preproc", "etc"]


@pytest.mark.skipif(not shutil.which("zsh"), reason="zsh is not installed")
def test_completion_in_zsh():
    script = 'autoload -U compinit; compinit -D; eval "$($@ completion zsh)"; echo $_comps[kipoi]; ' \
             '_arguments() { print -l -- $*; }; words=(kipoi); CURRENT=2; $_comps[kipoi] 2>&1 | head -c 300'
    done = subprocess.run(["zsh", "-f", "-c", script, "zsh", *KIPOI], capture_output=True, text=True)
    assert done.stdout.startswith("_shtab_kipoi_completion\n"), done.stderr
    for shell in ("zsh", "tcsh"):
        assert started("completion", shell).returncode == 0
