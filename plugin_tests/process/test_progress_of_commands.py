"""Every command tells that it works: a line every ten seconds from whatever part of it takes long."""

import argparse
import importlib
import re
import time

import pytest

from kipoi_deepmr.cli import commands
from kipoi_deepmr.cli.parser import COMMANDS
from kipoi_deepmr.pipeline import progress

ENTRY = importlib.import_module("kipoi_deepmr.cli.main")
INSTANT = {"completion"}  # prints a constant


def run(monkeypatch, name, work, **given):
    """Run a command whose work is a function, with lines every hundredth of a second; the exit code."""
    arguments = argparse.Namespace(command=name, **{"quiet": False, "verbose": False, "debug": False, "output": None,
                                                    **given})
    monkeypatch.setattr(progress, "SECONDS", 0.01)
    monkeypatch.setattr(ENTRY.config, "parse", lambda *_: arguments)
    monkeypatch.setattr(ENTRY, "check_together", lambda _: ())
    monkeypatch.setattr(commands, name, work)
    return ENTRY.main([name])


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - INSTANT))
def test_a_command_whose_stages_say_nothing_says_that_it_works(monkeypatch, capsys, name):
    assert run(monkeypatch, name, lambda *_: time.sleep(0.2)) == 0
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) > 2 and all(re.fullmatch(f"{name}: 00:00", line) for line in lines)
    assert run(monkeypatch, name, lambda *_: time.sleep(0.1), quiet=True) == 0
    assert capsys.readouterr().err == ""


def test_a_stage_that_tells_of_itself_takes_the_place_of_the_command(monkeypatch, capsys):
    def work(*_):
        with progress.working("network"):
            time.sleep(0.2)

    assert run(monkeypatch, "estimate", work) == 0
    lines = capsys.readouterr().err.splitlines()
    assert sum(line.startswith("network: ") for line in lines) > 2
    assert sum(line.startswith("estimate: ") for line in lines) <= 1  # under way when the stage began


def test_a_result_that_is_printed_on_a_terminal_has_no_such_lines_in_it(monkeypatch, capsys):
    monkeypatch.setattr(ENTRY.streams, "prints_on_terminal", lambda arguments: arguments.output == "-")
    assert run(monkeypatch, "table", lambda *_: time.sleep(0.1), output="-") == 0
    assert capsys.readouterr().err == ""
