"""What goes where: tables to a file or standard output, messages and progress to standard error."""

import contextlib
import logging
import os
import shutil
import sys
import tempfile

from ..errors import InputError

STDOUT = "-"


@contextlib.contextmanager
def file_or_stdout(output):
    """The name of a file to write: `output`, or for `-` one that is copied to standard output when it is complete."""
    if output != STDOUT:
        yield output
        return
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "table.tsv")
        yield path
        with open(path, "rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer)
        sys.stdout.buffer.flush()


def refuse_stdout(arguments, what):
    """Raise `InputError` if a command that writes `what` was told `-o -`."""
    if arguments.output == STDOUT:
        raise InputError(f"-o -: {arguments.command} writes {what}, which standard output cannot take; give a name")


def stream_of_messages(arguments):
    """Standard output, unless the result goes there."""
    return sys.stderr if getattr(arguments, "output", None) == STDOUT else sys.stdout


class _BesideTheProgressBar(logging.Handler):
    def emit(self, record):
        from tqdm import tqdm

        tqdm.write(self.format(record), file=sys.stderr)


@contextlib.contextmanager
def logging_to_stderr(prog, verbose):
    """Our warnings, and with `verbose` what we tell on the way, on standard error; Kipoi's log there, too."""
    handler = _BesideTheProgressBar()
    timed = f"{prog}: %(asctime)s %(message)s"
    handler.setFormatter(logging.Formatter(timed if verbose else "%(message)s", "%H:%M:%S"))
    ours = logging.getLogger("kipoi_deepmr")
    level = ours.level
    ours.addHandler(handler)
    ours.setLevel(logging.INFO if verbose else logging.WARNING)
    for other in logging.getLogger("kipoi").handlers:
        if getattr(other, "stream", None) is sys.stdout:
            other.setStream(sys.stderr)
    try:
        yield
    finally:
        ours.removeHandler(handler)
        ours.setLevel(level)
