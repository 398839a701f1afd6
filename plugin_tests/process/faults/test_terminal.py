"""What is shown on a terminal holds none of its control characters, whatever names hold."""

import logging
import os
import pty

import pytest

from kipoi_deepmr import errors, files
from kipoi_deepmr.cli import main, streams

HOSTILE = "A\x1b]0;owned\x07\x1b[2J\r\x08\x7f\x9b31m\u202eB\u2066"
SHOWN = "A\\x1b]0;owned\\x07\\x1b[2J\\r\\x08\\x7f\\x9b31m\\u202eB\\u2066"


def test_control_characters_become_escapes_and_all_else_stays():
    assert errors.printable(HOSTILE) == SHOWN
    plain = "\u03b1 \u00e9 \u4e2d\t|\n\U0001f9ec \u05d0"
    assert errors.printable(plain) == plain


@pytest.mark.parametrize("words", [
    ["estimate", f"{HOSTILE}.zarr", "-o", "x.tsv"], ["check", HOSTILE, "--source", "dir"], ["plot", HOSTILE], [HOSTILE],
    ["check", "m", f"--{HOSTILE}"], ["run", "--config", f"{HOSTILE}.yaml"],
    ["annotate", HOSTILE, "--input_vcf", "x", "-o", "x.vcf"]])
def test_messages(words, capsys):
    try:
        assert main(words) == 2
    except SystemExit as stopped:
        assert stopped.code == 2
    told = "".join(capsys.readouterr())
    assert "owned" in told and not set(told) & set("\x1b\x07\r\x08\x7f\x9b\u202e\u2066")


def test_warnings(capsys):
    with streams.logging_to_stderr("x", verbose=False):
        logging.getLogger("kipoi_deepmr.x").warning("model %s", HOSTILE)
    assert SHOWN in capsys.readouterr().err


def test_a_table_that_is_shown_on_a_terminal():
    """A pipe gets the bytes as they are."""
    master, terminal = pty.openpty()
    line = f"{HOSTILE}\t\u00e9\n".encode()
    with files.stream_of(f"/dev/fd/{terminal}") as stream:
        half = line.index("\u00e9".encode()) + 1
        stream.write(line[:half])
        stream.write(line[half:])
        stream.flush()
    assert os.read(master, 1000).decode().replace("\r\n", "\n").split("\t")[0] == SHOWN
    out, into = os.pipe()
    with files.stream_of(f"/dev/fd/{into}") as stream:
        stream.write(line)
    assert os.read(out, 1000) == line
    for number in (master, terminal, out, into):
        os.close(number)
