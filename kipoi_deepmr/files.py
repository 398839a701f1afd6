"""Files: checksums, locks, and files that appear whole and together or not at all."""

import codecs
import contextlib
import ctypes
import errno
import glob
import hashlib
import os
import re
import shutil
import stat
import sys
import tempfile
import time

import filelock

from .errors import DiskFull, InputError, is_disk_full, printable

STDOUT = "-"
LOCK_SUFFIX = ".kipoi_deepmr.lock"
READ_BYTES = 1 << 20
ARRAYS = ".zarr"  # the ending of arrays, which are folders
SECONDS_FOR_READER = 60  # of a named pipe to begin
INDEXES = (".tbi", ".csi")  # each describes the file beside it, and must never stand beside another one

_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")  # UTF-16's halves of one character
_STAGING = ".kipoi_deepmr-"
_OPEN_FILE = re.compile(r"/dev/(?:fd/(\d+)|std(out|err))|/proc/(?:self|\d+)/fd/(\d+)")


def escaped(text):
    """A name as any file and terminal can hold it: half characters are put together, or escaped as `\\ud83d`.

    A byte of a path or a label that is no UTF-8 is such a half character in Python.
    """
    whole = _PAIR.sub(lambda pair: pair[0].encode("utf-16", "surrogatepass").decode("utf-16"), text)
    return whole.encode("utf-8", "backslashreplace").decode("utf-8")


def user_cache():
    """The folder of what is kept between commands; it may be removed at any time."""
    return os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache"),
                        "kipoi_deepmr")


def file_checksum(path):
    """SHA-256 of a file."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(READ_BYTES):
            digest.update(block)
    return digest.hexdigest()


@contextlib.contextmanager
def locked(path):
    """Hold the right to write to `path`, which no two processes have at once; a process that died does not hold it.

    Raises
    ------
    InputError
        Another process holds it, or the folder cannot be written.
    """
    lock = filelock.FileLock(lock_of(path), timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise InputError(f"{path}: another command is writing there; wait until it ends, or choose another "
                         "name") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from error
    try:
        yield
    finally:
        # while it is held, so that nobody's lock is removed
        with contextlib.suppress(FileNotFoundError):
            os.remove(lock.lock_file)
        lock.release()


def lock_of(path):
    """The file that stands for the right to write to `path`; the same for a link and its target."""
    folder, name = os.path.split(os.path.realpath(path))
    return os.path.join(folder, f".{name}{LOCK_SUFFIX}")


def open_file_of(path):
    """Number of the file of this process that a name such as /dev/stdout or /dev/fd/63 stands for; None for others."""
    path = os.fspath(path)
    match = _OPEN_FILE.fullmatch(os.path.abspath(path))
    if not match:
        return 1 if path == STDOUT else None
    return {"out": 1, "err": 2}.get(match[2]) or int(match[1] or match[3])


def is_stream(path):
    """Whether `path` is `-`, a pipe or a device: written to, never replaced, and with no place for files beside it."""
    if open_file_of(path) is not None:
        return True
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


@contextlib.contextmanager
def stream_of(path):
    """A binary file that writes to what `is_stream` knows."""
    number = open_file_of(path)
    if number == 1:
        sys.stdout.flush()
        if not _is_standard_output(sys.stdout):  # somebody redirected it within this process
            yield sys.stdout.buffer
            return
    number = _results.get(number, number)
    with open(_opened(path) if number is None else os.dup(number), "wb") as stream:
        yield _ForTerminal(stream) if stream.isatty() else stream


def _opened(path):
    """A pipe or a device, open for writing; a pipe that nobody reads would be waited for without end."""
    latest = time.monotonic() + SECONDS_FOR_READER
    while stat.S_ISFIFO(os.stat(path).st_mode):
        try:
            opened = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            if time.monotonic() > latest:
                raise InputError(f"{path}: nobody has read from this pipe for {SECONDS_FOR_READER} s; start the "
                                 "program that reads it first") from error
            time.sleep(0.05)
        else:
            os.set_blocking(opened, True)
            return opened
    return path


class _ForTerminal:
    """Writes lines of UTF-8 to a terminal, without its control characters."""

    def __init__(self, stream):
        self._stream = stream
        self._decoded = codecs.getincrementaldecoder("utf-8")("replace")  # a letter may come in two pieces

    def write(self, data):
        self._stream.write(printable(self._decoded.decode(data)).encode())
        return len(data)

    def flush(self):
        self._stream.flush()


@contextlib.contextmanager
def standard_output_for_results():
    """Within, standard output is for what `stream_of` writes; what else is written there goes to standard error.

    A model in this process may print whatever it likes, also from C.
    """
    if not _is_standard_output(sys.stdout) or _results:
        yield
        return
    sys.stdout.flush()
    _results[1] = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        ctypes.CDLL(None).fflush(None)
        os.dup2(_results[1], 1)
        os.close(_results.pop(1))


_results = {}  # descriptors in place of others


def _is_standard_output(file):
    try:
        return file.fileno() == 1
    except OSError:
        return False


@contextlib.contextmanager
def together(remove=()):
    """Files that get their names together at the end, indexes last, or none of them where something fails.

    Each is written in a new folder of an unguessable name beside its target, which nobody else can open. Where the
    target is a symbolic link the file that it points to is replaced; a pipe or a device is written to.

    Parameters
    ----------
    remove : list of str
        Files that are removed when the others appear. The caller may add to the list until then.

    Yields
    ------
    callable
        For each target, gives the name to write to.
    """
    staging = _Staging()
    try:
        yield staging.beside
        staging.publish(remove)
    finally:
        staging.clear()


@contextlib.contextmanager
def replacing(path):
    """A name to write to; `together` for a single file."""
    with together() as beside:
        yield beside(path)


def remove_leftovers(path):
    """Remove what a killed process staged for `path`; for one who holds the lock."""
    folder, name = os.path.dirname(os.path.realpath(path)), os.path.basename(path)
    for left in glob.glob(os.path.join(glob.escape(folder), glob.escape(f".{name}{_STAGING}") + "*")):
        shutil.rmtree(left, ignore_errors=True)


class _Staging:
    def __init__(self):
        self._targets, self._folders = {}, {}

    def beside(self, target):
        """The name to write to for a target."""
        name = os.path.basename(target)
        if is_stream(target):
            target, folder = str(target), tempfile.gettempdir()
        else:
            target = os.path.realpath(target)
            folder = os.path.dirname(target)
            if os.path.isdir(target) and not target.endswith(ARRAYS):
                raise InputError(f"{target}: cannot be written, since it is a folder")
        if folder not in self._folders:
            self._folders[folder] = tempfile.mkdtemp(prefix=f".{name}{_STAGING}", dir=folder)
        self._targets[target] = os.path.join(self._folders[folder], name)
        return self._targets[target]

    def publish(self, remove):
        """Give all files their names."""
        for target, temporary in self._targets.items():
            if not is_stream(target) and os.path.exists(target):
                shutil.copymode(target, temporary)
        old_indexes = [target for target in self._targets if target.endswith(INDEXES)]
        for path in (*old_indexes, *remove):
            _remove(path)
        for target in sorted(self._targets, key=lambda name: name.endswith(INDEXES)):
            if is_stream(target):
                with open(self._targets[target], "rb") as file, stream_of(target) as stream:
                    shutil.copyfileobj(file, stream)
            else:
                if os.path.isdir(target):  # a folder that is not empty cannot be replaced
                    os.replace(target, f"{self._targets[target]}.old")
                os.replace(self._targets[target], target)

    def clear(self):
        for folder in self._folders.values():
            shutil.rmtree(folder, ignore_errors=True)


def _remove(path):
    """Remove a file, or an array's folder, that need not be there."""
    if os.path.isdir(path):
        shutil.rmtree(path)
    else:
        with contextlib.suppress(FileNotFoundError):
            os.remove(path)


@contextlib.contextmanager
def disk_full_told(kept, path="output"):
    """Say in one line that the disk is full, while writing which `path`, and what is `kept` (a function)."""
    try:
        yield
    except OSError as error:
        if not is_disk_full(error):
            raise
        other = error.filename and _STAGING not in str(error.filename)
        where = error.filename if other else "standard output" if open_file_of(path) == 1 else path
        raise DiskFull(f"{where}: {os.strerror(error.errno)}; {kept()}") from error
