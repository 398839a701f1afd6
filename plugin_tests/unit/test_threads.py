"""How many threads a pool may start: one function, and every pool asks it."""

import ast
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import ThreadpoolController

from kipoi_deepmr import threads
from kipoi_deepmr.mr.kernels.rows import in_threads
from kipoi_deepmr.mutagenesis import exact_engine

PACKAGE = Path(threads.__file__).parent


@pytest.fixture
def processors(monkeypatch):
    monkeypatch.setattr(threads, "cpu_count", lambda: 12)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


@pytest.mark.parametrize("said, expected", [(None, 12), ("3", 3), ("5,2", 5), ("64", 12), ("0", 12), ("many", 12),
                                            ("", 12), ("-1", 12)])
def test_the_environment_is_heeded(processors, monkeypatch, said, expected):
    if said is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", said)
    assert threads.n_threads() == expected


def test_limits_are_of_a_thread_and_end_with_their_context(processors):
    with threads.limited(4):
        assert threads.n_threads() == 4
        with threads.limited(9):
            assert threads.n_threads() == 4
        with threads.limited(None):
            assert threads.n_threads() == 4
        elsewhere = []
        other = threading.Thread(target=lambda: elsewhere.append(threads.n_threads()))
        other.start()
        other.join()
        assert elsewhere == [12]
    assert threads.n_threads() == 12


def most_at_once(run):
    """The largest number of threads in which `run(function)` calls the function at the same time."""
    lock, inside, most = threading.Lock(), set(), [0]

    def function(*_):
        with lock:
            inside.add(threading.get_ident())
            most[0] = max(most[0], len(inside))
        time.sleep(0.02)
        with lock:
            inside.discard(threading.get_ident())

    run(function)
    return most[0]


def test_pools_within_pools_have_no_more_threads_together(processors):
    for limit in (1, 2, 6):
        with threads.limited(limit):
            assert most_at_once(lambda f: threads.mapped(f, range(40))) == limit
            assert most_at_once(lambda f: threads.mapped(lambda _: threads.mapped(f, range(8)), range(8))) <= limit
            assert most_at_once(lambda f: in_threads(f, [np.arange(1000)])) <= limit
        assert threads.mapped(lambda a, b: a * b, range(5), range(5)) == [0, 1, 4, 9, 16]


def test_what_a_thread_raises_is_raised(processors):
    with pytest.raises(ZeroDivisionError):
        threads.mapped(lambda number: 1 / number, [2, 1, 0])


def test_long_sequences_are_cut_alike_whatever_the_threads(processors):
    """Last bits depend on whether there are several pieces, so that this is not for the machine to decide."""
    with threads.limited(1):
        assert exact_engine.threads(exact_engine.LONG) == 2 and exact_engine.threads(exact_engine.LONG - 1) == 1
    assert exact_engine.threads(exact_engine.LONG) == 12


def test_no_module_starts_threads_or_counts_processors_on_its_own():
    """But for the threads that wait for other processes."""
    waiting = {"models/ensemble.py"}
    for path in PACKAGE.rglob("*.py"):
        name = str(path.relative_to(PACKAGE))
        names = {node.id if isinstance(node, ast.Name) else getattr(node, "attr", None) or getattr(node, "name", None)
                 for node in ast.walk(ast.parse(path.read_text()))}
        if name != "threads.py":
            assert not names & {"cpu_count", "get_num_threads", "process_cpu_count"}, name
            assert name in waiting or "ThreadPoolExecutor" not in names, name


def test_blas_is_held_to_one_thread_until_the_last_leaves():
    """Whoever leaves first does not give the others' threads back, and the last one leaves BLAS as it was."""
    controller = ThreadpoolController()
    with controller.limit(limits=3, user_api="blas"):
        def of_blas():
            return {each["num_threads"] for each in controller.info() if each["user_api"] == "blas"}

        before = of_blas()
        first, second = threads.single_threaded_blas, threads.single_threaded_blas
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert of_blas() == {1}
        second.__exit__(None, None, None)
        assert of_blas() == before
