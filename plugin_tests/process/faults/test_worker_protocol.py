"""Workers that answer what was not asked: ended with one line, in time, and without the memory that they announce."""

import os
import resource
import subprocess
import sys
import textwrap
import time

import pytest

from kipoi_deepmr import process_groups
from kipoi_deepmr.models import answers, worker

PARTNER = '''
import json, struct, sys, time
def send(listed=(), payload=b"", **header):
    whole = dict({"reply": "done", "value": None, "number": 0, "part": 0, "arrays": listed}, **header)
    text = json.dumps(whole).encode()
    out.write(struct.pack("<I", len(text)) + text + payload)
out = sys.stdout.buffer.raw
def floats(n, dtype="<f4", **header):
    size = 2 * n * 3 * int(dtype[2])
    send([[dtype, [2, n, 3]]], bytes(size), **header)
def request():
    size, = struct.unpack("<I", sys.stdin.buffer.read(4))
    header = json.loads(sys.stdin.buffer.read(size))
    sys.stdin.buffer.read(sum(shape[0] for _, shape in header["arrays"]))
request()
'''
DESCRIBED = {"replicates": ["", "mask"], "marks": ["A", "B", "C"]}


@pytest.fixture
def partner(tmp_path):
    """Makes a `Process` that does what a code says, whatever is run in it."""
    made = []

    def start(code):
        script = tmp_path / "python"
        script.write_text(f"#!{sys.executable} -IS\n{PARTNER}{textwrap.dedent(code)}\ntime.sleep(60)\n")
        script.chmod(0o755)
        made.append(worker.Process(str(script), None))
        return made[-1]

    yield start
    for process in made:
        process.kill()


def ask(process, n=4, batch_size=2, limit=20.0):
    return process.ask({"request": "predict"}, (), limit, lambda number: answers.Predictions(number, DESCRIBED, n,
                                                                                             batch_size))


def test_an_answer_in_parts_is_read(partner):
    _, arrays = ask(partner("floats(3, reply='part')\nfloats(1, part=1)"))
    assert [array.shape for array in arrays] == [(2, 3, 3), (2, 1, 3)]


WRONG = {
    "of another request": ("floats(4, number=7)", "part 0 of request 7, and part 0 of request 0 comes next"),
    "without a number": ("floats(4, number=None)", "part 0 of request None"),
    "out of order": ("floats(2, reply='part')\nfloats(2, part=2)", "part 2 of request 0, and part 1"),
    "a part twice": ("floats(2, reply='part')\nfloats(2, reply='part')", "part 0 of request 0, and part 1"),
    "too many rows": ("floats(2, reply='part')\nfloats(3, part=1)", r"\[\['<f4', \[2, 3, 3\]\]\], which are no arrays"),
    "too few rows": ("floats(3)", r"\[2, 3, 3\].*which are no arrays"),
    "parts without end": ("for k in range(10 ** 6): floats(1, reply='part', part=k)", "which are no arrays"),
    "parts without rows": ("for k in range(10 ** 6): floats(0, reply='part', part=k)", "which are no arrays"),
    "other marks": ("send([['<f4', [2, 4, 5]]], bytes(160))", r"\[2, 4, 5\].*which are no arrays"),
    "another dtype": ("send([['|u1', [2, 4, 3]]], bytes(24))", "u1.*which are no arrays"),
    "two dtypes": ("floats(2, reply='part')\nfloats(2, '<f8', part=1)", "<f8.*which are no arrays"),
    "two arrays": ("send([['<f4', [2, 4, 3]]] * 2, bytes(192))", "which are no arrays"),
    "2 GB announced": ("send([['<f4', [2, 2 ** 25, 3]]])", "which are no arrays"),
    "another value": ("floats(4, value={'a': 1})", "which is not what the request asks for"),
    "another kind of reply": ("floats(4, reply='perhaps')", "which are no arrays"),
    "an error without a message": ("send(reply='error')", "its error has another form"),
    "no frame": ("out.write(b'hello, how are you')", "a header of 1819043176 bytes; at most"),
    "cut off, and then the end": ("out.write(b'\\0')\nsys.exit(3)", "its process ended with exit code 3"),
    "a closed pipe": ("import os\nos.close(1)", "its process closed the pipe by which it answers"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_answer_ends_the_worker_with_one_line(partner, wrong):
    code, said = WRONG[wrong]
    process = partner(code)
    with pytest.raises(worker.WorkerFailed, match=said) as failed:
        ask(process)
    assert "\n" not in str(failed.value) and not process.idle
    assert process_groups.has_ended(process._process)


def test_an_answer_twice_is_noticed_at_the_next_request(partner):
    process = partner("floats(4)\nfloats(4)\nrequest()\nfloats(4, number=1)")
    ask(process)
    with pytest.raises(worker.WorkerFailed, match="part 0 of request 0, and part 0 of request 1 comes next"):
        ask(process)


@pytest.mark.parametrize("code", [
    "out.write(struct.pack('<I', 4000))\nfor k in range(600): out.write(b' '); time.sleep(.05)",  # a byte at a time
    "for k in range(600): floats(1, reply='part', part=k); time.sleep(.4)",  # each part in time, all of them too late
    "time.sleep(30)", ""])
def test_time_limits_are_of_the_whole_request(partner, code):
    process, start = partner(code), time.monotonic()
    with pytest.raises(worker.WorkerFailed, match="no answer within 0.5 s"):
        ask(process, n=100, batch_size=50, limit=0.5)
    assert time.monotonic() - start < 20


def test_memory_is_taken_as_bytes_come(partner):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(worker.WorkerFailed, match="exit code 0"):
        ask(partner("send([['<f4', [2, 2 ** 25, 3]]])\nout.write(bytes(1000))\nsys.exit()"), 2 ** 25, 2 ** 25)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # of the 805 MB announced, in kB


def test_a_number_that_may_be_another_processs_is_not_signalled(monkeypatch):
    """Once a process is reaped, the system gives its number to others."""
    process = subprocess.Popen(["true"], start_new_session=True)
    assert process_groups.wait_for_end(process, 20)
    assert os.path.exists(f"/proc/{process.pid}") and process.returncode is None  # not reaped by looking
    assert process_groups.kill_group(process) == 0
    killed = []
    monkeypatch.setattr(os, "killpg", lambda *arguments: killed.append(arguments))
    assert process_groups.kill_group(process) == 0 and killed == []


def test_all_that_a_process_has_started_ends_with_it():
    command = ["sh", "-c", "sleep 1000 & echo $!"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as process:
        child = int(process.stdout.readline())
        assert process_groups.wait_for_end(process, 20)
        process_groups.kill_group(process)
        latest = time.monotonic() + 20
        while os.path.exists(f"/proc/{child}") and open(f"/proc/{child}/stat").read().split()[2] != "Z":
            assert time.monotonic() < latest
            time.sleep(0.01)
