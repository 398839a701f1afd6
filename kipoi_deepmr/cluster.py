"""Blocks of loci on a Dask cluster: which one, what its workers hold, and what comes back from them."""

import functools
import hashlib
import json
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path

import yaml

from . import effects_store
from .effects_store import locus_blocks
from .errors import ClusterFailed, InputError, Stopped, one_line
from .loci import Loci
from .models import Ensemble, Recipe
from .mutagenesis import effects_of_block
from .mutagenesis.engines import Engines
from .mutagenesis.engines import again as engines_again
from .threads import limited

AHEAD = 2  # blocks that wait for each thread of the cluster, so that none is idle while results travel
CONNECT_SECONDS = 60
POLL_SECONDS = 0.02
ALONE_SECONDS = 300  # a busy machine starts a process in a minute
KEPT = "; the effects are kept: the same command estimates from them"
TLS_KEYS = {"tls_ca_file": ("ca-file",), "tls_client_cert": ("client", "cert"), "tls_client_key": ("client", "key")}

log = logging.getLogger(__name__)


class Cluster:
    """A Dask cluster, as a context: one that runs, or one of processes of this machine for as long as the context.

    Parameters
    ----------
    address : str, optional
        A scheduler, such as tcp://host:8786 or tls://host:8786; or local:N for N processes on this machine.
    scheduler_file : str, optional
        The file that `dask scheduler --scheduler-file` wrote, in place of an address.
    tls_config : str, optional
        A Dask configuration file (YAML) that names certificates under distributed.comm.tls.
    resources : dict of str to float, optional
        What a worker must declare (`dask worker --resources GPU=1`) to predict a block, and how much of it that takes.

    Raises
    ------
    InputError
        dask.distributed is not installed, a file cannot be read, or there is no scheduler.
    """

    def __init__(self, address: str | None = None, scheduler_file: str | None = None, tls_config: str | None = None,
                 resources: dict[str, float] | None = None):
        try:
            import distributed
        except ImportError as error:
            raise InputError(f"--dask needs dask.distributed ({error}): pip install 'kipoi-deepmr[dask]'") from error
        self._processes, self._resources = None, resources
        security = _security(tls_config) if tls_config else None
        try:
            if address and address.startswith("local:"):
                if resources:
                    raise InputError("--dask_resources is for a cluster whose workers declare them, not for local:N")
                self._processes = _local(address)
                address, security = self._processes.scheduler_address, self._processes.security
            if scheduler_file and not os.path.isfile(scheduler_file):
                raise InputError(f"--dask_scheduler_file {scheduler_file}: no such file")
            self._client = distributed.Client(address, scheduler_file=scheduler_file, security=security,
                                              timeout=CONNECT_SECONDS, set_as_default=False)
            if self._processes:
                from .local_cluster import EndsWithDriver

                self._client.register_plugin(EndsWithDriver())
        except (OSError, ValueError, TypeError) as error:
            raise InputError(f"--dask {address or scheduler_file}: no scheduler answers ({one_line(error)})") from error

    def effects(self, engines: Engines, loci: Loci, blocks: Iterable[slice], ddof: int, keep: str,
                each: Callable) -> Iterator[tuple]:
        """Effects of blocks of loci, in the order in which they are done.

        Parameters
        ----------
        engines : Engines
            Of an ensemble that was made from a recipe. Each worker makes its own from it, once.
        loci : Loci
        blocks : sequence of slice
        ddof, keep
            As for `mutagenesis.effects_of_block`.
        each : callable
            Called with the number of loci of a block that is done.

        Yields
        ------
        block, data, dropped
            As `mutagenesis.effects_of_block`.

        Raises
        ------
        InputError
            As in this process, or a worker finds other models than this process.
        ClusterFailed
            The scheduler is gone, or workers die again and again on the same block.
        """
        import distributed

        recipe, checksums = _recipe(engines), engines.ensemble.checksums
        waiting, pending, done = iter(blocks), {}, distributed.as_completed(loop=self._client.loop)

        def submit(n):
            for block in islice(waiting, n):
                future = self._client.submit(_effects, recipe, checksums, loci[block], ddof, keep, pure=False,
                                             resources=self._resources)
                pending[future] = block
                done.add(future)

        try:
            with _failures():
                self._tell_of_missing_resources()
                submit(self._places())
                while pending:
                    self._wait_until(done.has_ready)
                    future = next(done)
                    data, dropped = future.result()
                    block = pending.pop(future)
                    submit(self._places() - len(pending))
                    yield block, data, dropped
                    each(block.stop - block.start)
        finally:
            if self._client.status == "running":
                with suppress(Exception):  # whatever is wrong with the cluster has been told
                    self._client.cancel(list(pending))
                    self._client.run(_forget, recipe)

    def _tell_of_missing_resources(self):
        if self._resources and not _asked(self._client.run_on_scheduler, _is_declared, self._resources):
            wanted = " ".join(f"{name}={amount:g}" for name, amount in self._resources.items())
            log.warning("no worker of the cluster declares %s (dask worker --resources); waiting for one", wanted)

    def sees(self, path: str) -> bool:
        """Whether all workers find at `path` the store that this process finds there."""
        with _failures():
            return set(_asked(self._client.run, _identity, os.path.abspath(path)).values()) == {_identity(path)}

    def map_blocks(self, path: str, function: Callable, effects, blocks: Iterable[slice] | None = None) -> Iterator:
        """What `function(effects, block)` gives for each block of loci, as `effects_store.each_block` has it.

        A worker reads from disk what it needs of a block, after it has compared its files with their checksums.

        Parameters
        ----------
        path : str
            The store.
        function : callable
        effects : xarray.Dataset
            Opened from `path`, as an absolute one.
        blocks : iterable of slice, optional
            By default those of `locus_blocks`.

        Yields
        ------
        object
            In the order of blocks.

        Raises
        ------
        InputError
            As `function`, or a worker does not find this store.
        ClusterFailed
        """
        blocks, pending = iter(locus_blocks(effects) if blocks is None else blocks), deque()
        arguments = os.path.abspath(path), _identity(path), function, effects
        try:
            with _failures(KEPT):
                while True:
                    for block in islice(blocks, max(0, self._places() - len(pending))):
                        pending.append(self._client.submit(_of_block, *arguments, block, pure=False))
                    if not pending:
                        return
                    self._wait_until(pending[0].done)
                    yield pending.popleft().result()
        finally:
            if self._client.status == "running":
                with suppress(Exception):
                    self._client.cancel(list(pending))

    def _wait_until(self, ready):
        """Wait for processes of this machine, but not for ever once all have died; other clusters queue."""
        seen = asked = time.monotonic()
        while self._processes and not ready():
            time.sleep(POLL_SECONDS)
            now = time.monotonic()
            if now - asked < 1:
                continue
            asked = now
            if _asked(self._client.nthreads):
                seen = now
            elif now - seen > ALONE_SECONDS:
                raise ClusterFailed(f"all processes of --dask local:N died, and in {ALONE_SECONDS} s none could be "
                                    "started again: out of memory? (fewer processes)")

    def _places(self):
        """How many blocks the cluster, which may grow or shrink, is given at a time."""
        return max(AHEAD, AHEAD * sum(_asked(self._client.nthreads).values()))

    def close(self) -> None:
        """Leave the cluster; end it if it is of this machine's processes."""
        self._client.close()
        if self._processes:
            self._processes.close()

    def __enter__(self) -> "Cluster":
        return self

    def __exit__(self, *_) -> None:
        self.close()


def _local(address):
    """Processes on this machine, as `local_cluster` starts them."""
    from .local_cluster import start

    number = address.removeprefix("local:")
    if not number.isdecimal() or int(number) < 1:
        raise InputError(f"--dask {address}: local:N needs a number of processes, as in local:4")
    return start(int(number))


def _security(path):
    """Certificates from a Dask configuration file."""
    from distributed.security import Security

    try:
        with open(path, encoding="utf-8") as file:
            tls = yaml.safe_load(file)["distributed"]["comm"]["tls"]
        named = {argument: functools.reduce(lambda section, key: section[key], keys, tls)
                 for argument, keys in TLS_KEYS.items()}
    except OSError as error:
        raise InputError(f"--dask_tls_config {path}: {error.strerror}") from error
    except (yaml.YAMLError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise InputError(f"--dask_tls_config {path}: a Dask configuration with distributed.comm.tls, its ca-file, "
                         f"client.cert and client.key is needed ({one_line(error)})") from error
    for file in named.values():
        if not os.path.isfile(file):
            raise InputError(f"--dask_tls_config {path}: {file}: no such file")
    return Security(require_encryption=True, **named)


def _asked(call, *arguments):
    """What the scheduler answers; one that cannot be reached any more is told as one that hangs up."""
    from distributed.comm import CommClosedError

    try:
        return call(*arguments)
    except OSError as error:
        raise CommClosedError(str(error)) from error


@contextmanager
def _failures(kept=""):
    """Tell what goes wrong with a cluster as `ClusterFailed`, and what is `kept`."""
    from distributed.client import FutureCancelledError
    from distributed.comm import CommClosedError
    from distributed.scheduler import KilledWorker

    try:
        yield
    except KilledWorker as error:
        raise ClusterFailed(f"workers of the cluster died again and again, the last at {error.last_worker.address}, on "
                            f"one block of loci: out of memory? (a smaller --batch_size, fewer threads a worker){kept}"
                            ) from error
    except (CancelledError, FutureCancelledError, CommClosedError, TimeoutError) as error:
        raise ClusterFailed(f"the Dask scheduler is gone ({one_line(error)}){kept}") from error


def _recipe(engines):
    """What makes an ensemble and its engines in another process, as text.

    Raises
    ------
    InputError
        The ensemble was made of objects of this process.
    """
    if engines.ensemble.recipe is None:
        raise InputError("a cluster's workers load models from files, and these exist only in this Python: save them "
                         "(docs/own_model.md) and name the files in Ensemble.from_kipoi, or run without a cluster")
    return json.dumps({"ensemble": engines.ensemble.recipe.to_json(),
                       "engines": [(choice.engine, choice.batch_size) for choice in engines.choices]})


def _is_declared(resources, dask_scheduler):
    """Whether some worker declares resources; called in the scheduler."""
    return any(all(dask_scheduler.resources.get(name, {}).get(worker, 0) >= amount
                   for name, amount in resources.items()) for worker in dask_scheduler.workers)


def _identity(path):
    """What tells a store from others; None if there is none."""
    try:
        return hashlib.sha256(Path(path, ".zmetadata").read_bytes()).hexdigest()
    except OSError:
        return None


def _of_block(path, identity, function, effects, block):
    """`function` of one block of a store, in a worker."""
    if _identity(path) != identity:
        raise InputError(f"a worker of the cluster ({os.uname().nodename}) does not find at {path} the store that this "
                         "process finds there")
    effects_store.check_chunks(path, block)
    with limited(1):  # a worker's other threads have blocks of their own
        return function(effects, block)


# In a worker: the engines that it holds, one set for each recipe. Models are not asked by two threads at once.
_loaded = {}
_lock = threading.Lock()


def _effects(recipe, checksums, loci, ddof, keep):
    """Effects of one block, in a worker."""
    with _lock, limited(_threads_of_worker()):
        if recipe not in _loaded:
            _loaded[recipe] = _made(json.loads(recipe), checksums)
        try:
            return effects_of_block(_loaded[recipe], loci, ddof, keep)
        except (Stopped, OSError):  # not of use any more
            _loaded.pop(recipe).ensemble.close()
            raise


def _made(recipe, checksums):
    ensemble = Ensemble.from_recipe(Recipe.from_json(recipe["ensemble"]))
    try:
        if list(ensemble.checksums) != list(checksums):
            raise InputError(f"a worker of the cluster ({os.uname().nodename}) finds other models than this process at "
                             f"{', '.join(ensemble.recipe.models[:3])}: the files there differ")
        return engines_again(ensemble, recipe["engines"])
    except BaseException:
        ensemble.close()
        raise


def _threads_of_worker():
    """Threads of the worker that this is called in: a block that holds the lock may use them all."""
    from distributed import get_worker

    return get_worker().state.nthreads


def _forget(recipe):
    """End what a worker holds."""
    with _lock:
        engines = _loaded.pop(recipe, None)
    if engines:
        engines.ensemble.close()
