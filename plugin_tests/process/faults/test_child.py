"""A simulation's own process that ends without an answer: how it ended is told, and nothing else is signalled."""

import os

import pytest

from kipoi_deepmr.errors import Stopped
from kipoi_deepmr.simulation import child


class Design:
    """What a round is made of, which no process reads here."""

    def as_json(self):
        return {}


@pytest.mark.parametrize("code, said", [
    ("import os; os.kill(os.getpid(), 9)", "killed by SIGKILL; it said nothing"),
    ("import sys; sys.stderr.write('no memory'); sys.exit(3)", "ended with exit code 3; its last words:\n  no memory"),
    ("print('half a line', end='')", "ended with exit code 0"),
])
def test_how_it_ended_is_told(tmp_path, monkeypatch, code, said):
    monkeypatch.setattr(child, "START", code)
    killed, kill = [], os.killpg
    monkeypatch.setattr(os, "killpg", lambda group, number: (killed.append(group), kill(group, number)))
    with pytest.raises(Stopped, match=said):
        child.make_round_in_child(str(tmp_path), Design(), "both", 1)
    assert len(killed) == 1  # before it is reaped, and never again
