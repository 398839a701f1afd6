"""How many threads a pool may start: one function decides for all of them."""

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from joblib import cpu_count
from threadpoolctl import ThreadpoolController

_of_thread = threading.local()


def n_threads() -> int:
    """Threads that a pool started here may have, at least one.

    The processors that this process may use, or fewer: what OMP_NUM_THREADS says, and what `limited` says. Within a
    thread of `mapped` it is that thread's share, so that pools within a pool have no more threads together.
    """
    limits = [cpu_count(), _of_environment(), getattr(_of_thread, "limit", None)]
    return max(1, min(limit for limit in limits if limit))


def _of_environment():
    """OMP_NUM_THREADS as a number (the first, where it lists several), None without."""
    text = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return int(text) if text.isdecimal() else None


@contextmanager
def limited(most: int | None) -> Iterator[None]:
    """Within this context pools that this thread starts have so many threads at most; None changes nothing."""
    before = getattr(_of_thread, "limit", None)
    _of_thread.limit = min(limit for limit in (before, most) if limit) if before or most else None
    try:
        yield
    finally:
        _of_thread.limit = before


class _SingleThreadedBlas:
    """Holds BLAS to one thread within a context; several threads may be within it, and leave it in any order."""

    def __init__(self):
        self._lock, self._n, self._controller, self._limits = threading.Lock(), 0, None, None

    def __enter__(self):
        with self._lock:
            if not self._n:
                self._controller = self._controller or ThreadpoolController()
                self._limits = self._controller.limit(limits=1, user_api="blas")
            self._n += 1

    def __exit__(self, *_):
        with self._lock:
            self._n -= 1
            if not self._n:
                self._limits.restore_original_limits()


single_threaded_blas = _SingleThreadedBlas()


def mapped(function: Callable, *arguments: Iterable) -> list[Any]:
    """What a function gives for each of its arguments, as `map` has them; computed in `n_threads` threads."""
    calls = list(zip(*arguments, strict=True))
    total = n_threads() if len(calls) > 1 else 1
    workers = min(total, len(calls))
    if workers < 2:
        return [function(*call) for call in calls]

    def within_share(call):
        with limited(max(1, total // workers)):
            return function(*call)

    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(within_share, calls))
