"""A round in a process of its own, since Keras and TensorFlow keep memory of every network that they have trained.

The process reads one line of JSON, the request, and writes lines of JSON: what is logged on the way, then the reply.
When its standard input ends, whoever asked is gone, and so is the process.
"""

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
import traceback

from .. import errors
from ..process_groups import kill_group, wait_for_end

START = "import sys; sys.path[:] = sys.argv[1:]; from kipoi_deepmr.simulation.child import main; main()"
LOG = "kipoi_deepmr"
# The number of threads decides the order of sums: one, so that a seed gives the same networks whatever the processors.
ONE_THREAD = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
SECONDS_TO_END = 60.0  # after its last line
TAIL_LINES, TAIL_BYTES = 12, 8192


def make_round_in_child(folder, design, scenario, number):
    """`design.make` in a process that ends with it, or with this one.

    Parameters
    ----------
    folder : str
    design : Design or GraphDesign
    scenario : str
    number : int

    Returns
    -------
    dict
        The contents of round.json.

    Raises
    ------
    InputError
        As `design.make` raises it, or `Stopped`: the process was killed.
    """
    request = {"folder": folder, "design": design.as_json(), "scenario": scenario, "number": number,
               "level": logging.getLogger(LOG).getEffectiveLevel()}
    with tempfile.TemporaryFile() as said, _started(said) as process:
        with contextlib.suppress(BrokenPipeError):  # how it ended is told below
            process.stdin.write(json.dumps(request).encode() + b"\n")
        for line in process.stdout:
            if not line.endswith(b"\n"):
                break  # it was killed while it wrote
            reply = json.loads(line)
            if "logged" in reply:
                name, level, text = reply["logged"]
                logging.getLogger(name).log(level, "%s", text)
            elif "error" in reply:
                kind = getattr(errors, reply["error"], RuntimeError)
                raise kind(reply["message"]) from RuntimeError(reply["trace"])
            else:
                return reply["record"]
        wait_for_end(process, SECONDS_TO_END)
        raise errors.Stopped(f"{folder}: {errors.how_it_ended(kill_group(process))}; {_last_words(said)}")


@contextlib.contextmanager
def _started(said):
    """The process, in a session of its own: Ctrl-C is for the one who asks, and ends this one as all else does."""
    variables = {"TF_CPP_MIN_LOG_LEVEL": "2", **ONE_THREAD, **os.environ}
    with subprocess.Popen([sys.executable, "-c", START, *sys.path], env=variables, bufsize=0, stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, stderr=said, start_new_session=True) as process:
        try:
            yield process
        finally:
            kill_group(process)


def _last_words(said):
    said.seek(max(0, said.seek(0, os.SEEK_END) - TAIL_BYTES))
    lines = said.read().decode("utf-8", "replace").splitlines()
    return "\n  ".join(["its last words:", *lines[-TAIL_LINES:]]) if lines else "it said nothing"


def main():
    """Answer the request on standard input."""
    asked, replies = os.fdopen(os.dup(0), "rb", 0), os.fdopen(os.dup(1), "w", encoding="utf-8")
    # standard output is for replies alone: what TensorFlow and others print goes where errors go
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    request = json.loads(asked.readline())
    threading.Thread(target=_end_with_asker, args=(asked,), daemon=True).start()
    log = logging.getLogger(LOG)
    log.setLevel(request.pop("level"))
    log.addHandler(_Logged(replies))
    _tell(replies, _answer(**request))


def _answer(folder, design, scenario, number):
    from .designs import read_design

    try:
        return {"record": read_design(design).make(folder, scenario, number)}
    except errors.InputError as error:
        kind, message = type(error).__name__, str(error)
    except OSError as error:
        kind, message = "InputError", f"{error.filename or folder}: {error.strerror or error}"
    except Exception as error:
        kind, message = "RuntimeError", errors.one_line(error)
    return {"error": kind, "message": message, "trace": traceback.format_exc()}


class _Logged(logging.Handler):
    def __init__(self, replies):
        super().__init__()
        self._replies = replies

    def emit(self, record):
        _tell(self._replies, {"logged": [record.name, record.levelno, record.getMessage()]})


def _tell(replies, answer):
    replies.write(json.dumps(answer) + "\n")
    replies.flush()


def _end_with_asker(asked):
    asked.read()
    os.kill(os.getpid(), signal.SIGKILL)
