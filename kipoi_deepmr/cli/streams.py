"""What goes where: tables to a file or standard output, messages and progress to standard error."""

import contextlib
import logging
import os
import sys
import warnings

from ..errors import InputError, printable
from ..files import is_stream, open_file_of, standard_output_for_results

STDOUT, STDERR = 1, 2  # their numbers


def prepare():
    """Make standard output and standard error take any text, and be there: a command may be started without them.

    Were they left closed, the next file that is opened would get their numbers, and what libraries print.

    Returns
    -------
    bool
        Whether standard output was there.
    """
    has_output = sys.stdout is not None
    for number, name in ((STDOUT, "stdout"), (STDERR, "stderr")):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_WRONLY if number == STDERR else os.O_RDONLY)
            if null != number:
                os.dup2(null, number)
                os.close(null)
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8", errors="backslashreplace"))
        elif hasattr(getattr(sys, name), "reconfigure"):
            getattr(sys, name).reconfigure(errors="backslashreplace")
    return has_output


def refuse_stream(arguments, what):
    """Raise `InputError` if a command that writes `what` is to write to standard output, a pipe or a device."""
    if is_stream(arguments.output):
        raise InputError(f"-o {arguments.output}: {arguments.command} writes {what}, which a stream cannot take; give "
                         "a name")


def stream_of_messages(arguments):
    """Standard output, unless the result goes there."""
    output = getattr(arguments, "output", None)
    return sys.stderr if output and open_file_of(output) == STDOUT else sys.stdout


def prints_on_terminal(arguments):
    """Whether the result itself is printed on a terminal, where a line of progress would stand in it."""
    prints = stream_of_messages(arguments) is sys.stderr or (arguments.command == "table" and not arguments.output)
    return prints and sys.stdout.isatty()


def own_standard_output(arguments):
    """A context in which nothing but the result goes to standard output, if that is where it goes."""
    if stream_of_messages(arguments) is sys.stderr:
        return standard_output_for_results()
    return contextlib.nullcontext()


@contextlib.contextmanager
def without_warnings(verbose):
    """Hide what other packages warn programmers of; with `verbose`, and where Python was told of warnings, show it."""
    with warnings.catch_warnings():
        if not (verbose or sys.warnoptions):
            warnings.simplefilter("ignore")
        yield


class _BesideTheProgressBar(logging.Handler):
    def emit(self, record):
        from tqdm import tqdm

        tqdm.write(printable(self.format(record)), file=sys.stderr)


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
