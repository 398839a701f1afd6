"""Stages that take long show that they work: a line that is renewed on a terminal, plain lines elsewhere."""

import io
import re
import sys
import time

import pytest

from kipoi_deepmr.pipeline import progress as shown


class Terminal(io.StringIO):
    """Standard error that somebody looks at."""

    def isatty(self):
        return True


def wait_for(stderr, text):
    end = time.monotonic() + 20
    while text not in stderr.getvalue():
        assert time.monotonic() < end, stderr.getvalue()
        time.sleep(0.01)


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_a_stage_says_what_it_does_and_for_how_long(monkeypatch, stream):
    stderr = stream()
    monkeypatch.setattr(sys, "stderr", stderr)
    monkeypatch.setattr(shown, "DELAY", 0.02)
    monkeypatch.setattr(shown, "SECONDS", 0.02)

    def blocks(function, effects, chosen):
        for block in chosen:
            wait_for(stderr, "network: 00:00" if block == 0 else f"network, block {block} of 3: 0")
            yield function(effects, block)

    with shown.working("network") as doing:
        assert list(doing.counted(blocks)(lambda effects, block: effects * block, 2, iter(range(3)))) == [0, 2, 4]
        assert doing.text == ""
    text = stderr.getvalue()
    if isinstance(stderr, Terminal):
        assert "\n" not in text and text.endswith("\r")  # cleared
    else:
        assert all(re.fullmatch(r"network(, block [123] of 3)?: 00:0\d", line) for line in text.splitlines())
    time.sleep(0.1)
    assert stderr.getvalue() == text


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_steps_are_counted(monkeypatch, stream):
    stderr = stream()
    monkeypatch.setattr(sys, "stderr", stderr)
    monkeypatch.setattr(shown, "SECONDS", 0.02)
    with shown.counting("predict", 5, "locus", done=2) as add:
        for n, more in (3, 1), (5, 2):
            add(more)
            if stream is io.StringIO:
                wait_for(stderr, f"locus {n} of 5: 0")
    text = stderr.getvalue()
    if stream is Terminal:
        assert "5/5" in text
    else:
        assert "\r" not in text
        assert all(re.fullmatch(r"predict(, locus [35] of 5)?: 00:0\d(, 00:0\d left)?", line)
                   for line in text.splitlines())


def test_items_are_passed_on_and_an_unknown_total_is_not_invented(monkeypatch):
    stderr = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stderr)
    monkeypatch.setattr(shown, "SECONDS", 0.02)
    seen = []
    for item in shown.progress("VCF")(iter("ab")):
        if seen:
            wait_for(stderr, "VCF, block 1: 0")
        seen.append(item)
    assert seen == ["a", "b"] and "left" not in stderr.getvalue() and "\r" not in stderr.getvalue()


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_short_and_quiet_stages_show_nothing(monkeypatch, stream):
    stderr = stream()
    monkeypatch.setattr(sys, "stderr", stderr)
    with shown.working("report"):
        time.sleep(0.05)
    monkeypatch.setattr(shown, "DELAY", 0.001)
    monkeypatch.setattr(shown, "SECONDS", 0.001)
    with shown.working("report", quiet=True):
        time.sleep(0.05)
    assert stderr.getvalue() == ""


def test_an_error_ends_it_and_a_stream_that_nobody_reads_does_not_matter(monkeypatch):
    class Broken(io.StringIO):
        def write(self, text):
            raise BrokenPipeError(text)

    monkeypatch.setattr(sys, "stderr", Broken())
    monkeypatch.setattr(shown, "SECONDS", 0.001)
    with pytest.raises(KeyError, match="why"), shown.working("report"):
        time.sleep(0.05)
        raise KeyError("why")


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_of_stages_within_each_other_the_innermost_alone_is_told(monkeypatch, stream):
    stderr = stream()
    monkeypatch.setattr(sys, "stderr", stderr)
    monkeypatch.setattr(shown, "DELAY", 0.02)
    monkeypatch.setattr(shown, "SECONDS", 0.02)
    with shown.working("run"):
        wait_for(stderr, "run: 00:00")
        with shown.working("network"):
            wait_for(stderr, "network: 00:00")
            time.sleep(0.05)  # one line of "run" may have been under way
            before = stderr.getvalue().count("run: ")
            time.sleep(0.2)
            assert stderr.getvalue().count("run: ") == before
        with shown.alone():
            time.sleep(0.2)
            assert stderr.getvalue().count("run: ") == before
        seen = len(stderr.getvalue())
        end = time.monotonic() + 20
        while "run: 0" not in stderr.getvalue()[seen:]:
            assert time.monotonic() < end
            time.sleep(0.01 if stream is io.StringIO else 0.3)
