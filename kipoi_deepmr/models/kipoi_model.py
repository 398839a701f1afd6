"""A Kipoi model as a model of ours, in this process or in its own Python; or a network that this process holds."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np

from ..errors import InputError, ModelFailed
from ..loci import Genome
from ..options import MARK_SUMMARIES, SCALES
from .dataloader import DataloaderSource
from .host import sources, summaries
from .host.errors import ItemError, ModelError, OutOfMemory
from .host.live import LiveModel
from .host.session import HostedModel
from .internals import Internals, internals_of
from .model import Description, Model
from .worker import DEFAULT_TIMEOUT, Worker

# the host is sent to other Pythons without the options
assert {*summaries.SUMMARIES, *summaries.OF_PAIRS} == set(MARK_SUMMARIES) and set(summaries.SCALES) == set(SCALES)


class KipoiModel(Model):
    """A Kipoi model that takes DNA and returns one number per mark.

    Parameters
    ----------
    model : str or host.live.LiveModel
        Name of a model in its source, or a directory when the source is `dir`; or what this process holds.
    source : str
        A Kipoi model source: `kipoi` (the model zoo), `dir`, or one of ~/.kipoi/config.yaml.
    settings : dict, optional
        As for `host.session.HostedModel`; `worker_timeout` is how many seconds a worker may take for one batch.
    python : str, optional
        The interpreter of the worker that the model runs in; by default it runs in this process.
    threads : int, optional
        That a worker may use; by default as many as its frameworks like.
    wait : bool
        Whether to wait until a worker has loaded the model, or to leave that to `load`.
    name : str, optional
        What it is called in messages and descriptions; by default as `model`.

    Raises
    ------
    InputError
        The model cannot be loaded, or is of a form that we cannot use; the message says which.
    """

    def __init__(self, model: str | LiveModel, source: str = "kipoi", settings: Mapping | None = None,
                 python: str | None = None, threads: int | None = None, wait: bool = True, name: str | None = None):
        settings = dict(settings or {})
        timeout = settings.pop("worker_timeout", None) or DEFAULT_TIMEOUT
        self.own_process = python is not None
        self._source = None
        with _input_errors():
            if self.own_process:
                self._host = Worker(model, source, settings, python, threads, timeout, name)
            else:
                with sources.quiet():
                    self._host = HostedModel(model, source, settings, name=name)
        if wait:
            self.load()

    def load(self) -> None:
        """Wait until the model is loaded; raises as the constructor does."""
        if self.own_process:
            with _input_errors():
                self._host.load()

    def describe(self) -> Description:
        """See `Model.describe`."""
        described = self._host.describe()
        return Description(**{**described,
                              **{name: tuple(described[name]) for name in ("marks", "replicates", "notes")}})

    def predict(self, sequences: np.ndarray, item: int | None = None, batch_size: int | None = None) -> np.ndarray:
        """See `Model.predict`; `batch_size` is the most sequences in one call of the model.

        Raises
        ------
        InputError
            The model fails, or its output is not of the form that it had at first.
        ModelFailed
            Its process died, hung or ran out of memory again and again.
        """
        with _input_errors():
            return self._host.predict(sequences, item, batch_size)

    def mutants(self, sequence: np.ndarray, item: int | None = None, batch_size: int | None = None) -> np.ndarray:
        """See `Model.mutants`; `batch_size` as for `predict`, and raises as it does."""
        with _input_errors():
            return self._host.mutants(sequence, item, batch_size)

    def approximate(self, sequence: np.ndarray, item: int | None = None, method: str = "gradient") -> np.ndarray:
        """`mutants`, approximated by a method of `host.attributions`; raises as `predict` does, or if it cannot be."""
        with _input_errors():
            return self._host.approximate(sequence, item, method)

    def probe(self, again: bool = False) -> np.ndarray | None:
        """See `Model.probe`."""
        with _input_errors():
            return self._host.probe(again)

    def has_changed(self) -> bool:
        """Whether it is a network of this process that has changed since it was first described."""
        return not self.own_process and self._host.has_changed()

    def internals(self) -> Internals:
        """What an engine needs to know of the model.

        Returns
        -------
        Internals

        Raises
        ------
        ModelError
            See `internals.internals_of`.
        """
        return internals_of(self._host)

    def measure_batch(self) -> int:
        """How many sequences the model should be given at once; see `HostedModel.measure_batch`."""
        with _input_errors():
            return self._host.measure_batch()

    def open_loci(self, arguments: Mapping) -> int:
        """Open the model's own dataloader; returns the number of its items."""
        with _input_errors():
            return self._host.open_loci(arguments)

    def locus(self, number: int) -> dict:
        """One item of the dataloader; see `HostedModel.locus`. Raises `ItemError` if the dataloader fails on it."""
        with _input_errors(ItemError):
            return self._host.locus(number)

    def dataloader(self, arguments: Mapping, genome: Genome | None = None,
                   resize: str | None = None) -> DataloaderSource:
        """The loci that the model's own dataloader gives, with the arguments of `--dataloader_args`.

        Returns
        -------
        DataloaderSource
        """
        # kept, since the files that it makes are read again by a worker that is started anew
        self._source = DataloaderSource(self, arguments, genome, resize)
        return self._source

    def close(self) -> None:
        """End the worker, if there is one."""
        if self.own_process:
            self._host.close()


@contextmanager
def _input_errors(*passing: type[Exception]) -> Iterator[None]:
    try:
        yield
    except passing:
        raise
    except OutOfMemory as error:
        raise ModelFailed(f"{error}; try a smaller --batch_size") from error
    except ModelError as error:
        raise InputError(str(error)) from error
