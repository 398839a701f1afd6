"""Machine code of our numba functions, kept between runs in a folder of the user's cache.

numba would keep it beside our modules, where it outlives an uninstall, and would not notice that a function which
another module compiled in has changed: our folder bears the hash of all sources beside the function's own.
NUMBA_CACHE_DIR, where set, decides. Where nothing can be written, functions are compiled in each process.
"""

import functools
import hashlib
import logging
import os
from contextlib import contextmanager
from pathlib import Path

import numba
from numba.core.caching import FunctionCache

log = logging.getLogger(__name__)

# what changes sums only by rounding; infinities and NaN keep their meaning
FAST = frozenset({"reassoc", "contract", "nsz", "arcp"})


def compiled(function, fastmath=False):
    """numba's njit of a function: without the GIL, division by zero as in numpy, cached.

    Parameters
    ----------
    function : callable
        Of a module, not within another function; all that it calls is in the same folder.
    fastmath : bool or set of str
        As in numba, such as `FAST`.
    """
    options = {"nogil": True, "error_model": "numpy", "boundscheck": False,
               "fastmath": fastmath if isinstance(fastmath, bool) else set(fastmath)}
    try:
        with _folder_of_numba(Path(function.__code__.co_filename).parent):
            dispatcher = numba.njit(cache=True, **options)(function)
            dispatcher._cache = _Cache(function)
            return dispatcher
    except RuntimeError:  # nowhere to keep it
        return numba.njit(**options)(function)


class _Cache(FunctionCache):
    """numba's cache of a function, which does without where a full disk or home quota lets it keep nothing."""

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


def is_cached(function):
    """Whether some earlier process left machine code of a compiled function (for this Python) behind."""
    path = function.stats.cache_path
    return bool(path) and any(Path(path).glob(f"*.{function.py_func.__name__}-*.nbi"))


@functools.cache
def folder(sources):
    """Where the machine code of the functions in a folder of sources is kept."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    content = b"".join(path.read_bytes() for path in sorted(sources.glob("*.py")))
    return cache / "kipoi_deepmr" / hashlib.sha256(content).hexdigest()[:16]


@contextmanager
def _folder_of_numba(sources):
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = before or str(folder(sources))
    try:
        yield
    finally:
        numba.config.CACHE_DIR = before
