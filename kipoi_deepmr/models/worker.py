"""A Kipoi model in its own Python: one worker process, its requests, time limits and restarts."""

import functools
import io
import logging
import os
import select
import subprocess
import tempfile
import threading
import time
import weakref
import zipfile
from collections.abc import Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from ..errors import InputError, ModelFailed, how_it_ended
from ..process_groups import has_ended, kill_group, wait_for_end
from . import answers
from .environments import check_interpreter
from .host import errors, frames
from .host.file_model import is_file
from .host.session import DEFAULT_BATCH_SIZE
from .host.torch_graph import BATCH

DEFAULT_TIMEOUT = 600.0
LOAD_SECONDS = 3600.0  # a zoo model's weights may have to be downloaded first
MOST_FAILURES = 4
TAIL_LINES, TAIL_BYTES = 12, 8192
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS",
                    "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
PACKAGE = "kipoi_deepmr_host"
ERRORS = {kind.__name__: kind for kind in (errors.ModelError, errors.ItemError)}

log = logging.getLogger(__name__)


class WorkerFailed(Exception):
    """The process died, hung, ran out of memory or sent what is no frame; the message says which."""


class Worker:
    """A `host.session.HostedModel` in another Python, with the same methods.

    The model is loaded after a call of `load`; several workers may load theirs at the same time. A process that fails
    while it predicts is started again, and the request repeated with half the batch.

    Parameters
    ----------
    model, source, settings
        As for `HostedModel`.
    python : str
        The interpreter; it needs numpy and kipoi, and nothing of ours.
    threads : int, optional
        That the model may use.
    timeout : float
        Seconds that one batch, or one item of the dataloader, may take.
    name : str, optional
        What the model is called in messages and descriptions; by default as `model`.

    Raises
    ------
    InputError
        The interpreter cannot be used.
    """

    def __init__(self, model: str, source: str, settings: Mapping, python: str, threads: int | None = None,
                 timeout: float = DEFAULT_TIMEOUT, name: str | None = None):
        check_interpreter(python, source == "dir" and is_file(str(model)))
        self._name, self._python, self._threads, self._timeout = str(name or model), python, threads, timeout
        self._model = {"model": str(model), "source": source, "settings": dict(settings), "name": self._name}
        self._largest = None  # batch that did not fail, once one has
        self._loci = None  # arguments of the opened dataloader
        self._lock = threading.Lock()
        self._closed = False
        self._process = self._description = None
        with self._loading():
            self._begin()

    def load(self):
        """Wait until the model is loaded.

        Raises
        ------
        InputError
            The process fails before.
        ModelError
            As `HostedModel`.
        """
        with self._lock, self._loading():
            self._finish()

    @contextmanager
    def _loading(self):
        try:
            yield
        except BaseException as error:
            self._stop()
            if isinstance(error, WorkerFailed):
                raise InputError(f"model {self._name} cannot be loaded by {self._python}: {error}") from error
            raise

    def describe(self):
        """See `HostedModel.describe`."""
        return self._description

    def open_loci(self, arguments):
        """See `HostedModel.open_loci`."""
        self._loci = None
        value, _ = self._ask({"request": "open_loci", "arguments": arguments}, limit=LOAD_SECONDS,
                             is_value=answers.is_opened)
        self._loci, self._description = arguments, value["description"]
        return value["n_items"]

    def locus(self, number):
        """See `HostedModel.locus`."""
        ranges, arrays = self._ask({"request": "locus", "item": int(number)}, is_value=answers.are_ranges,
                                   are_arrays=answers.is_sequence)
        return {"ranges": ranges, "sequence": arrays[0]}

    def probe(self, again=False):
        """See `HostedModel.probe`."""
        _, arrays = self._ask({"request": "probe", "again": again}, are_arrays=answers.are_probed(self._description))
        return arrays[0] if arrays else None

    def measure_batch(self):
        """See `HostedModel.measure_batch`."""
        return self._ask({"request": "measure_batch"}, is_value=answers.is_batch_size)[0]

    def outputs(self, sequences):
        """See `HostedModel.outputs`."""
        return self._ask({"request": "outputs"}, [np.ascontiguousarray(sequences, dtype=np.uint8)],
                         are_arrays=answers.are_floats(len(sequences)))[1]

    def masks_of(self, number):
        """See `HostedModel.masks_of`."""
        names, arrays = self._ask({"request": "masks", "mask": number}, is_value=answers.are_names,
                                  are_arrays=answers.are_floats())
        return list(zip(names, arrays, strict=True))

    def recorded(self, batch=BATCH):
        """See `HostedModel.recorded`."""
        return self._ask({"request": "recorded", "batch": batch}, limit=LOAD_SECONDS, is_value=answers.is_recorded,
                         are_arrays=answers.are_floats())

    def rest(self, plan, arrays, mask=None, batch_size=None):
        """See `HostedModel.rest`."""
        request = {"request": "rest", "plan": plan, "mask": mask, "batch_size": batch_size}
        return self._ask(request, arrays, are_arrays=answers.are_floats(len(arrays[0]), len(plan["wanted"])))[1]

    def cpu_seconds(self):
        """CPU time that the process has taken, since some moment."""
        return self._ask({"request": "cpu_seconds"}, is_value=answers.is_number)[0]

    def predict(self, sequences, item=None, batch_size=None):
        """See `HostedModel.predict`."""
        return self._predicted({"request": "predict", "item": _number(item), "batch_size": batch_size}, sequences,
                               len(sequences))

    def mutants(self, sequence, item=None, batch_size=None):
        """See `HostedModel.mutants`."""
        return self._predicted({"request": "mutants", "item": _number(item), "batch_size": batch_size}, sequence,
                               1 + 3 * len(sequence))

    def approximate(self, sequence, item=None, method="gradient"):
        """See `HostedModel.approximate`."""
        request = {"request": "approximate", "method": method, "item": _number(item)}
        return self._predicted(request, sequence, 1 + 3 * len(sequence))

    def close(self):
        """End the process, whatever it is doing."""
        self._closed = True
        process = self._process
        if process is not None:
            process.end()
        with self._lock:
            self._stop()

    def _predicted(self, request, array, n):
        _, parts = self._ask(request, [np.ascontiguousarray(array, dtype=np.uint8)], n=n)
        return np.concatenate(parts, axis=1)

    def _ask(self, header, arrays=(), limit=None, **expected):
        """The value and arrays of the reply to one request, which is repeated after a failure.

        `expected` are `n`, how many sequences are predicted, or else the arguments of `answers.Answer`.
        """
        with self._lock:
            for n_failures in range(1, MOST_FAILURES + 1):
                try:
                    return self._ask_once(header, arrays, limit or self._timeout, **expected)
                except WorkerFailed as failure:
                    message = f"model {self._name}: {failure}"
                    self._halve_batch(header)
                    if self._closed:
                        break
                    log.warning("%s\n(failure %d of at most %d)", message, n_failures, MOST_FAILURES)
            raise ModelFailed(f"{message}\nIt failed {n_failures} times, with ever smaller batches")

    def _ask_once(self, header, arrays, limit, n=None, **expected):
        if self._closed:
            raise WorkerFailed("its process was ended before")
        try:
            if self._process is None:
                self._begin()
                self._finish()
            if self._largest and "batch_size" in header:
                header = {**header, "batch_size": min(header["batch_size"] or self._largest, self._largest)}
            if n is not None:
                size = n if "batch_size" not in header else self._batch_size(header)
                return self._process.ask(header, arrays, limit,
                                         lambda number: answers.Predictions(number, self._description, n, size))
            return self._process.ask(header, arrays, limit, lambda number: answers.Answer(number, **expected))
        finally:
            if self._process is not None and not self._process.idle:
                self._stop()

    def _batch_size(self, header):
        return header.get("batch_size") or self._model["settings"].get("batch_size") or DEFAULT_BATCH_SIZE

    def _halve_batch(self, header):
        tried = self._batch_size(header)
        self._largest = self._model["settings"]["batch_size"] = max(1, min(tried, self._largest or tried) // 2)

    def _begin(self):
        self._process = Process(self._python, self._threads)
        self._process.send({"request": "load", **self._model}, limit=LOAD_SECONDS)

    def _finish(self):
        self._description, _ = self._process.receive(
            LOAD_SECONDS, lambda number: answers.Answer(number, answers.is_description))
        if self._loci is not None:
            value, _ = self._process.ask({"request": "open_loci", "arguments": self._loci}, (), LOAD_SECONDS,
                                         lambda number: answers.Answer(number, answers.is_opened))
            self._description = value["description"]

    def _stop(self):
        if self._process is not None:
            self._process.kill()
        self._process = None


class Process:
    """One worker process; its methods raise `WorkerFailed` when it is of no more use.

    Attributes
    ----------
    idle : bool
        Whether it has answered all that it was asked.
    """

    def __init__(self, python, threads):
        self.idle = True
        self._number = -1  # of the last request
        self._process = subprocess.Popen(
            [python, "-E", "-u", host_archive()], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            bufsize=0, env=_environment(python, threads), start_new_session=True)
        self._tail = _Tail(self._process.stderr)
        self._end = weakref.finalize(self, kill_group, self._process)
        self._pipes = _Pipes(self._process)

    def ask(self, header, arrays, limit, answer):
        """Send a request and receive its reply; see `send` and `receive`."""
        self.send(header, arrays, limit)
        return self.receive(limit, answer)

    def send(self, header, arrays=(), limit=None):
        """Send a request within `limit` seconds."""
        self.idle = False
        self._number += 1
        with self._failures(limit):
            self._pipes.deadline = time.monotonic() + limit
            frames.write(self._pipes, {**header, "number": self._number}, arrays)

    def receive(self, limit, answer):
        """The value and the arrays of the reply to the last request, all parts in one list.

        Parameters
        ----------
        limit : float
            Seconds that may pass until each part is there, and for each of the parts that the answer may have at most
            until all of it is.
        answer : callable
            Makes an `answers.Answer` for the number of the request.
        """
        expected, results = answer(self._number), []
        latest = time.monotonic() + limit * expected.most_parts
        with self._failures(limit):
            reply = {"reply": "part"}
            while reply["reply"] == "part":
                self._pipes.deadline = min(time.monotonic() + limit, latest)
                frame = frames.read(self._pipes, expected.check)
                if frame is None:
                    raise EOFError
                reply, received = frame
                results += received
        if reply["reply"] == "error":
            self._raise(reply)
        self.idle = True
        return reply["value"], results

    @contextmanager
    def _failures(self, limit):
        try:
            yield
        except TimeoutError as error:
            raise WorkerFailed(f"no answer within {limit:g} s (--worker_timeout); {self._last_words()}") from error
        except (EOFError, OSError, frames.FrameError) as error:
            raise WorkerFailed(f"{self._how_it_ended(error)}; {self._last_words()}") from error

    def _raise(self, reply):
        if reply["kind"] == errors.OutOfMemory.__name__:
            raise WorkerFailed(f"its process ran out of memory: {reply['message']}; {self._last_words()}")
        self.idle = True
        if reply["kind"] in ERRORS:
            raise ERRORS[reply["kind"]](reply["message"])
        raise RuntimeError(f"in the model's process: {reply['message']}") from RuntimeError(reply.get("trace"))

    def kill(self):
        """End the process and all that it has started."""
        self.end()
        self._pipes.close()
        self._tail.close()

    def end(self):
        """End it, for its asker in another thread to notice."""
        self.idle = False
        self._end()

    def _how_it_ended(self, error):
        if isinstance(error, frames.FrameError) and not isinstance(error, frames.CutOff):
            return f"its process sent what is no answer ({error})"
        if not wait_for_end(self._process, 5):
            return "its process closed the pipe by which it answers"
        return how_it_ended(kill_group(self._process))

    def _last_words(self):
        self._end()
        text = self._tail.text()
        return f"its last words:\n{text}" if text else "it said nothing"


class _Pipes:
    """Both pipes of a process; reading and writing raise TimeoutError after the deadline, EOFError once it is dead."""

    def __init__(self, process):
        self._process = process
        self._requests, self._replies = process.stdin.fileno(), process.stdout.fileno()
        self.deadline = 0.0
        for pipe in (self._requests, self._replies):
            os.set_blocking(pipe, False)

    def write(self, data):
        left = memoryview(data)
        while left:
            self._check_time()
            try:
                left = left[os.write(self._requests, left[:1 << 20]):]
            except BlockingIOError:
                self._wait(self._requests, select.POLLOUT)

    def readinto(self, buffer):
        while True:
            self._check_time()  # also while bytes come, but too slowly
            try:
                return os.readv(self._replies, [buffer])
            except BlockingIOError:
                self._wait(self._replies, select.POLLIN)

    def _wait(self, pipe, event):
        poll = select.poll()
        poll.register(pipe, event)
        while not poll.poll(500):
            # a process that the model has started may hold the pipe open after the worker's death
            if has_ended(self._process):
                raise EOFError
            self._check_time()

    def _check_time(self):
        if time.monotonic() > self.deadline:
            raise TimeoutError

    def close(self):
        for pipe in (self._process.stdin, self._process.stdout):
            pipe.close()


class _Tail:
    """Reads a process's standard error, so that it never blocks, and keeps the end of it."""

    def __init__(self, stream):
        self._stream = stream
        self._kept = b""
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        for piece in iter(lambda: self._stream.read(1 << 16), b""):
            self._kept = (self._kept + piece)[-TAIL_BYTES:]

    def text(self):
        """The last lines, of a process that has ended."""
        self._thread.join(2)
        lines = self._kept.decode("utf-8", "replace").splitlines()
        return "\n".join("  " + line[:500] for line in lines[-TAIL_LINES:])

    def close(self):
        self._thread.join(2)
        self._stream.close()


def host_archive():
    """Path of one file that any Python runs as a worker.

    It is made once, and again if somebody who cleans temporary folders has removed or changed it; this process removes
    it when it ends.
    """
    with _archive_lock:
        content = _archive()
        if _archives:
            path = os.path.join(_archives[-1].name, "host.pyz")
            with suppress(OSError), open(path, "rb") as file:
                if file.read() == content:
                    return path
        _archives.append(tempfile.TemporaryDirectory(prefix="kipoi_deepmr_", ignore_cleanup_errors=True))
        path = os.path.join(_archives[-1].name, "host.pyz")
        with open(path, "wb") as file:
            file.write(content)
        return path


@functools.cache
def _archive():
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for module in sorted((Path(__file__).parent / "host").glob("*.py")):
            archive.writestr(zipfile.ZipInfo(f"{PACKAGE}/{module.name}"), module.read_bytes())
        archive.writestr(zipfile.ZipInfo("__main__.py"), f"from {PACKAGE}.__main__ import main\n\nmain()\n")
    return content.getvalue()


_archives, _archive_lock = [], threading.Lock()


def _environment(python, threads):
    """Environment variables of a worker: its share of threads, and its environment's programs first."""
    variables = {**os.environ, "PATH": os.pathsep.join([os.path.dirname(python), os.environ.get("PATH", os.defpath)])}
    variables.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    variables.pop("TF2_BEHAVIOR", None)  # set by a TensorFlow 2 that this process has imported; it breaks TensorFlow 1
    if threads:
        variables.update({name: str(threads) for name in THREAD_VARIABLES})
    return variables


def _number(item):
    return None if item is None else int(item)
