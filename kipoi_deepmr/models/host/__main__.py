"""A worker's request loop: frames in on standard input, frames out on standard output.

Standard output is kept for frames alone: whatever else is written there, by Python or below it, goes to standard error.
When standard input ends, the driver is gone, and so is this process, whatever it is doing: a second process, the guard,
sees to that.
"""

import os
import signal
import sys
import time
import traceback

from . import guard

CANNOT_ANSWER = 76  # exit code; EX_PROTOCOL of sysexits.h

def main():
    requests, replies = _private_pipes()
    guard.start(requests, replies)  # while this process is small and has one thread
    # after the pipes are safe, since importing numpy may print
    from . import frames

    own = [_Pipe(stream) for stream in (requests, replies)]
    session = Session(lambda header, arrays=(): _send(frames.write, replies, header, arrays))
    for frame in iter(lambda: frames.read(requests), None):
        session.answer(*frame, check=lambda: [pipe.check() for pipe in own])
    _end()


class Session:
    """Answers requests about one model; each reply is zero or more `part` frames and then `done` or `error`.

    Requests are numbered from 0. A frame says which request it answers, and which of its parts it is.
    """

    def __init__(self, send):
        self._write = send
        self._model = None
        self._process = os.getpid()
        self._number, self._part = -1, 0
        self._check = None
        self._requests = {"load": self._load, "open_loci": self._open_loci, "locus": self._locus, "probe": self._probe,
                          "predict": self._predict, "mutants": self._mutants, "outputs": self._outputs,
                          "masks": self._masks, "recorded": self._recorded, "measure_batch": self._measure_batch,
                          "approximate": self._approximate, "rest": self._rest, "cpu_seconds": self._cpu_seconds}

    def answer(self, header, arrays, check=None):
        """Answer one request; `check` is called before each frame is sent."""
        from .errors import ModelError, OutOfMemory, is_out_of_memory, one_line

        self._number, self._part, self._check = self._number + 1, 0, check
        if header.get("number") != self._number:
            _die("request {} came, and {} comes next".format(header.get("number"), self._number))
        try:
            done, results = self._requests[header["request"]](header, arrays)
            self._send({"reply": "done", "value": done}, results)
        except ModelError as error:
            self._send({"reply": "error", "kind": type(error).__name__, "message": str(error)})
        except BaseException as error:  # a model's own code may raise anything
            kind = OutOfMemory.__name__ if is_out_of_memory(error) else "internal"
            self._send({"reply": "error", "kind": kind, "message": one_line(error), "trace": traceback.format_exc()})

    def _send(self, header, arrays=()):
        if os.getpid() != self._process:
            os._exit(0)  # a process that the model has forked, which came back from the model's code
        if self._check:
            self._check()
        self._write(dict(header, number=self._number, part=self._part), arrays)
        self._part += 1

    def _load(self, header, arrays):
        from .session import HostedModel

        self._model = HostedModel(header["model"], header["source"], header["settings"], in_worker=True,
                                  name=header.get("name"))
        return self._model.describe(), []

    def _open_loci(self, header, arrays):
        n_items = self._model.open_loci(header["arguments"])
        return {"n_items": n_items, "description": self._model.describe()}, []

    def _locus(self, header, arrays):
        locus = self._model.locus(header["item"])
        return locus["ranges"], [locus["sequence"]]

    def _probe(self, header, arrays):
        predicted = self._model.probe(header["again"])
        return None, [] if predicted is None else [predicted]

    def _measure_batch(self, header, arrays):
        return self._model.measure_batch(), []

    def _outputs(self, header, arrays):
        return None, self._model.outputs(arrays[0])

    def _masks(self, header, arrays):
        named = self._model.masks_of(header["mask"])
        return [name for name, _ in named], [array for _, array in named]

    def _recorded(self, header, arrays):
        return self._model.recorded(header["batch"])

    def _rest(self, header, arrays):
        return None, self._model.rest(header["plan"], arrays, header["mask"], header["batch_size"])

    def _cpu_seconds(self, header, arrays):
        return time.process_time(), []

    def _predict(self, header, arrays):
        sequences = arrays[0]
        batches = self._model.iter_predict(sequences, header["item"], header.get("batch_size"))
        return self._parts(batches, len(sequences))

    def _mutants(self, header, arrays):
        sequence = arrays[0]
        batches = self._model.iter_mutants(sequence, header["item"], header.get("batch_size"))
        return self._parts(batches, 1 + 3 * len(sequence))

    def _approximate(self, header, arrays):
        return None, [self._model.approximate(arrays[0], header["item"], header["method"])]

    def _parts(self, batches, n_sequences):
        """Send each batch as soon as it is there, the last one with `done`."""
        n_done = 0
        for batch in batches:
            n_done += batch.shape[1]
            if n_done == n_sequences:
                return None, [batch]
            self._send({"reply": "part"}, [batch])
        raise RuntimeError(f"{n_done} of {n_sequences} sequences were predicted")


def _private_pipes():
    """Standard input and output for this module alone; all others read nothing and write to standard error."""
    requests, replies = os.fdopen(os.dup(0), "rb", 0), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    return requests, replies


class _Pipe:
    """A pipe to the driver, which the model's code may close, and whose number a file of the model may have then."""

    def __init__(self, stream):
        self._number = stream.fileno()
        self._identity = self._found()

    def check(self):
        if self._found() != self._identity:
            _die(f"the model's code closed descriptor {self._number}, which its process needs to answer")

    def _found(self):
        try:
            found = os.fstat(self._number)
        except OSError:
            return None
        return found.st_dev, found.st_ino


def _die(message):
    try:
        sys.__stderr__.write(message + "\n")
        sys.__stderr__.flush()
    except (OSError, ValueError):  # it has closed that, too
        pass
    os._exit(CANNOT_ANSWER)


def _end():
    os.killpg(os.getpid(), signal.SIGKILL)  # with whatever the model or its dataloader has started


def _send(write, stream, header, arrays):
    write(stream, header, arrays)
    stream.flush()


if __name__ == "__main__":
    main()
