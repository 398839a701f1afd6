"""Machine code of our numba functions, kept between runs in a folder of the user's cache.

numba would keep it beside our modules, where it outlives an uninstall, and would not notice that a function which
another module compiled in has changed: our folder bears the hash of all sources beside the function's own.
NUMBA_CACHE_DIR, where set, decides. Where nothing can be written, functions are compiled in each process.
"""

import functools
import hashlib
import logging
import os
import pickle
from contextlib import contextmanager
from pathlib import Path

import numba
from numba.core.caching import FunctionCache, IndexDataCacheFile

from .files import user_cache

log = logging.getLogger(__name__)

# what changes sums only by rounding; infinities and NaN keep their meaning
FAST = frozenset({"reassoc", "contract", "nsz", "arcp"})


def compiled(function, fastmath=False, forceinline=False):
    """numba's njit of a function: without the GIL, division by zero as in numpy, cached.

    Parameters
    ----------
    function : callable
        Of a module, not within another function; all that it calls is in the same folder.
    fastmath : bool or set of str
        As in numba, such as `FAST`.
    forceinline : bool
        As in numba: for what a hot loop calls in one place with many arguments, each call of which would cost.
    """
    options = {"nogil": True, "error_model": "numpy", "boundscheck": False,
               "fastmath": fastmath if isinstance(fastmath, bool) else set(fastmath), "forceinline": forceinline}
    try:
        with _folder_of_numba(Path(function.__code__.co_filename).parent):
            dispatcher = numba.njit(cache=True, **options)(function)
            dispatcher._cache = _Cache(function)
            return dispatcher
    except RuntimeError:  # nowhere to keep it
        return numba.njit(**options)(function)


class _Files(IndexDataCacheFile):
    """numba's files of a function, each behind its checksum: a damaged one counts as missing, and is written again."""

    def _load_index(self):
        try:
            version, stamp, overloads = pickle.loads(_verified(self._index_path))
        except (OSError, _Damaged):
            return {}
        return overloads if (version, stamp) == (self._version, self._source_stamp) else {}

    def _save_index(self, overloads):
        self._write(self._index_path, (self._version, self._source_stamp, overloads))

    def _load_data(self, name):
        try:
            return pickle.loads(_verified(self._data_path(name)))
        except _Damaged:
            return None

    def _save_data(self, name, data):
        self._write(self._data_path(name), data)

    def _write(self, path, content):
        content = self._dump(content)
        with self._open_for_write(path) as file:
            file.write(hashlib.sha256(content).digest() + content)


class _Damaged(Exception):
    """A file is cut off, or is not what was written."""


def _verified(path):
    content = Path(path).read_bytes()
    size = hashlib.sha256().digest_size
    if hashlib.sha256(content[size:]).digest() != content[:size]:
        raise _Damaged
    return content[size:]


class _Cache(FunctionCache):
    """numba's cache of a function, which does without where a full disk or home quota lets it keep nothing."""

    def __init__(self, function):
        super().__init__(function)
        self._cache_file = _Files(self.cache_path, self._impl.filename_base, self._impl.locator.get_source_stamp())

    def save_overload(self, sig, data):
        try:
            super().save_overload(sig, data)
        except OSError as error:
            _warn_once(os.path.dirname(self.cache_path), os.strerror(error.errno))


@functools.cache
def _warn_once(path, reason):
    log.warning("%s: compiled functions cannot be kept there (%s), so they are compiled in each process; free some "
                "space, or name another folder in XDG_CACHE_HOME", path, reason)


compiled_fast = functools.partial(compiled, fastmath=FAST)
compiled_inline = functools.partial(compiled, fastmath=FAST, forceinline=True)


def is_cached(function):
    """Whether some earlier process left machine code of a compiled function (for this Python) behind."""
    path = function.stats.cache_path
    return bool(path) and any(Path(path).glob(f"*.{function.py_func.__name__}-*.nbi"))


@functools.cache
def folder(sources):
    """Where the machine code of the functions in a folder of sources is kept."""
    content = b"".join(path.read_bytes() for path in sorted(sources.glob("*.py")))
    return Path(user_cache()) / hashlib.sha256(content).hexdigest()[:16]


@contextmanager
def _folder_of_numba(sources):
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = before or str(folder(sources))
    try:
        yield
    finally:
        numba.config.CACHE_DIR = before
