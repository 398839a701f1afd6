"""The exceptions that a user meets, and the exit codes that go with them."""

import difflib
import errno
import re
import signal


class InputError(ValueError):
    """Something given to us is wrong; the message says what, where and what to do.

    The command line prints the message alone and exits with code 2.
    """

    exit_code = 2


class Stopped(InputError):
    """A run cannot go on; what was computed is kept.

    The command line prints the message alone and exits with code 1.
    """

    exit_code = 1


class ModelFailed(Stopped):
    """A model's process died, hung or ran out of memory again and again."""


class DiskFull(Stopped):
    """The disk filled up, or a quota was used up."""


class ClusterFailed(Stopped):
    """The Dask cluster was lost, or lost a worker again and again on the same loci."""


def is_disk_full(error):
    """Whether an OSError says that a disk or a quota is used up."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def how_it_ended(code):
    """What there is to say of a process that ended with an exit code, as `subprocess` has it: negative for a signal."""
    if code < 0:
        return f"its process was killed by {signal.Signals(-code).name}"
    return f"its process ended with exit code {code}"


def one_line(error):
    """Kind and text of an exception from elsewhere, on one line, for the message of an `InputError`."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error))  # Keras prints in bold
    return f"{type(error).__name__}: {' '.join(text.split())[:500]}"


def on_one_line(text):
    """A text on one line: line ends, tabs and all else that is not printed are escapes."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in str(text))


def listed(names):
    """Names from a file, for a message: with commas between, and on one line whatever they hold."""
    return ", ".join(map(on_one_line, names))


# Codes by which a terminal moves, hides or answers: all below the blank but tab and line end, those of 8 bits, and
# those that turn the direction of writing.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def printable(text):
    """Text for a terminal: control characters, which names from models and files may hold, become escapes."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def nearest(name, known):
    """A hint `; did you mean "x"?` for a misspelt name, or the known names when none is near."""
    by_small_letters = {str(k).casefold(): k for k in known}
    close = difflib.get_close_matches(str(name).casefold(), by_small_letters, n=1, cutoff=0.4)
    if close:
        return f'; did you mean "{listed([by_small_letters[close[0]]])}"?'
    return f"; there are: {listed(list(known)[:20])}{', ...' if len(known) > 20 else ''}"
