"""A Kipoi model as a member of an ensemble, in this process or in its own Python."""

from contextlib import contextmanager

from ..errors import InputError, ModelFailed
from .dataloader import DataloaderSource
from .host import loading
from .host.errors import ItemError, ModelError, OutOfMemory
from .host.session import HostedModel
from .member import Description, Member
from .network import network_of
from .worker import DEFAULT_TIMEOUT, Worker


class KipoiMember(Member):
    """A Kipoi model that takes DNA and returns one number per mark.

    Parameters
    ----------
    model : str
        Name of a model in its source, or a directory when the source is `dir`.
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

    Raises
    ------
    InputError
        The model cannot be loaded, or is of a form that we cannot use; the message says which.
    """

    def __init__(self, model, source="kipoi", settings=None, python=None, threads=None, wait=True):
        settings = dict(settings or {})
        timeout = settings.pop("worker_timeout", None) or DEFAULT_TIMEOUT
        self.own_process = python is not None
        self._source = None
        with _input_errors():
            if self.own_process:
                self._host = Worker(model, source, settings, python, threads, timeout)
            else:
                with loading.quiet():
                    self._host = HostedModel(model, source, settings)
        if wait:
            self.load()

    def load(self):
        """Wait until the model is loaded; raises as the constructor does."""
        if self.own_process:
            with _input_errors():
                self._host.load()

    def describe(self):
        """See `Member.describe`."""
        told = self._host.describe()
        return Description(**{**told, **{name: tuple(told[name]) for name in ("marks", "replicates", "notes")}})

    def predict(self, sequences, item=None):
        """See `Member.predict`.

        Raises
        ------
        InputError
            The model fails, or its output is not of the form that it had at first.
        ModelFailed
            Its process died, hung or ran out of memory again and again.
        """
        with _input_errors():
            return self._host.predict(sequences, item)

    def mutants(self, sequence, item=None):
        """See `Member.mutants`; raises as `predict` does."""
        with _input_errors():
            return self._host.mutants(sequence, item)

    def approximate(self, sequence, item=None, method="gradient"):
        """`mutants`, approximated by a method of `host.attributions`; raises as `predict` does, or if it cannot be."""
        with _input_errors():
            return self._host.approximate(sequence, item, method)

    def probe(self, again=False):
        """See `Member.probe`."""
        with _input_errors():
            return self._host.probe(again)

    def network(self):
        """What an engine needs to know of the model.

        Returns
        -------
        network.Network

        Raises
        ------
        ModelError
            See `network.network_of`.
        """
        return network_of(self._host, self.host.networks() if self.host else [])

    @property
    def host(self):
        """The `HostedModel` itself, None where it is in another process."""
        return None if self.own_process else self._host

    def measure_batch(self):
        """How many sequences the model should be given at once; see `HostedModel.measure_batch`."""
        with _input_errors():
            return self._host.measure_batch()

    def use_batch_size(self, size):
        """Give the model so many sequences at once."""
        with _input_errors():
            self._host.use_batch_size(size)

    def open_loci(self, arguments):
        """Open the model's own dataloader; returns the number of its items."""
        with _input_errors():
            return self._host.open_loci(arguments)

    def locus(self, number):
        """One item of the dataloader; see `HostedModel.locus`. Raises `ItemError` if the dataloader fails on it."""
        with _input_errors(ItemError):
            return self._host.locus(number)

    def dataloader(self, arguments, genome=None):
        """The loci that the model's own dataloader gives, with the arguments of `--dataloader_args`.

        Returns
        -------
        DataloaderSource
        """
        # kept, since the files that it makes are read again by a worker that is started anew
        self._source = DataloaderSource(self, arguments, genome)
        return self._source

    def close(self):
        """End the worker, if there is one."""
        if self.own_process:
            self._host.close()


@contextmanager
def _input_errors(*passing):
    try:
        yield
    except passing:
        raise
    except OutOfMemory as error:
        raise ModelFailed(f"{error}; try a smaller --batch_size") from error
    except ModelError as error:
        raise InputError(str(error)) from error
