"""Networks and functions that this process holds, as what `session.HostedModel` sees of a Kipoi model."""

import hashlib
import inspect
from contextlib import contextmanager

import numpy as np

from . import nested
from .tensors import as_array

N_ANSWERS = 4  # sequences whose answers stand for a function
DEPTH = 3  # of lists and dicts among the attributes of a module


class Array:
    """What a schema says of an input or an output: its name and its shape for one sequence, None where not known."""

    def __init__(self, shape=None, name=None):
        self.shape, self.name = shape, name


class Schema:
    """As `schema` of a Kipoi model: `Array`, or (nested) list or dict of them."""

    def __init__(self, inputs, targets):
        self.inputs, self.targets = inputs, targets


class LiveModel:
    """A network or a function with what `HostedModel` needs of a Kipoi model. It has no files and no dataloader.

    Parameters
    ----------
    inputs, targets : Array, or list or dict of them

    Attributes
    ----------
    schema : Schema
    """

    default_dataloader, args, source_dir = None, {}, ""

    def __init__(self, inputs, targets=None):
        self.schema = Schema(inputs, targets)
        self._checksum = None

    def predict_on_batch(self, inputs):
        """What it answers for encoded sequences: arrays or tensors, in lists and dicts."""
        raise NotImplementedError

    def contents(self):
        """All that its answers depend on, as bytes, one after the other."""
        raise NotImplementedError

    @contextmanager
    def predicting(self):
        """Within this context it answers as it does when it predicts; afterwards it is as it was."""
        yield

    def checksum(self):
        """SHA-256 of its contents as they were when it was asked for first."""
        if self._checksum is None:
            self._checksum = self.checksum_now()
        return self._checksum

    def checksum_now(self):
        """SHA-256 of its contents."""
        digest = hashlib.sha256()
        for content in self.contents():
            digest.update(f"{len(content)}\0".encode())
            digest.update(content)
        return digest.hexdigest()


class TorchModel(LiveModel):
    """A PyTorch module, on whatever device it is."""

    def __init__(self, network, inputs):
        super().__init__(inputs)
        self.network = network

    def predict_on_batch(self, inputs):
        """See `LiveModel`."""
        import torch

        like = next((value for _, value in _tensors(self.network) if value.is_floating_point()), None)
        given = torch.from_numpy(inputs) if like is None else torch.from_numpy(inputs).to(like.device, like.dtype)
        with self.predicting(), torch.no_grad():
            return self.network(given)

    @contextmanager
    def predicting(self):
        """See `LiveModel`."""
        with evaluating(self.network):
            yield

    def contents(self):
        """Its classes, their attributes and code, its parameters and buffers."""
        for name, module in self.network.named_modules():
            yield f"{name} {_kind(module)}".encode()
            public = {key: value for key, value in sorted(vars(module).items())
                      if key != "training" and not key.startswith("_")}
            yield _told(public).encode()
        yield from _code_of({type(module) for module in self.network.modules()}, "torch")
        for name, value in _tensors(self.network):
            yield f"{name} {value.dtype} {tuple(value.shape)}".encode()
            yield _bytes_of_tensor(value)


class KerasModel(LiveModel):
    """A Keras 3 or tf_keras model."""

    def __init__(self, network, inputs, targets=None):
        super().__init__(inputs, targets)
        self.network = network

    def predict_on_batch(self, inputs):
        """See `LiveModel`."""
        return self.network.predict_on_batch(inputs)

    def contents(self):
        """Its class and configuration, the code of classes that are not Keras's, its weights."""
        yield _kind(self.network).encode()
        try:
            yield self.network.to_json().encode()
        except Exception:  # a class of the user's own need not have a configuration
            yield _told(sorted(key for key in vars(self.network) if not key.startswith("_"))).encode()
        layers = getattr(self.network, "layers", [])
        yield from _code_of({type(layer) for layer in [self.network, *layers]}, "keras", "tf_keras")
        for weight in self.network.get_weights():
            yield _told(np.asarray(weight)).encode()


class FunctionModel(LiveModel):
    """A function of one-hot sequences (n, length, 4), float32.

    What its answers depend on cannot be seen, so that its answers to a few sequences stand for it.
    """

    def __init__(self, function, length):
        super().__init__(Array((length, 4)))
        self.function, self._length = function, length

    def predict_on_batch(self, inputs):
        """See `LiveModel`."""
        return self.function(inputs)

    def contents(self):
        """Its answers to a few random sequences."""
        drawn = np.random.RandomState(7).randint(0, 4, (N_ANSWERS, self._length))
        answers = self.function(np.eye(4, dtype=np.float32)[drawn])
        for _, answer in nested.leaves(answers):
            yield _told(as_array(answer)).encode()


@contextmanager
def evaluating(network):
    """Within this context a PyTorch module is in `eval` mode; afterwards each of its modules is in its own."""
    modes = [(module, module.training) for module in network.modules()]
    try:
        network.eval()
    except NotImplementedError:  # what torch.export wrote stays as it was exported
        pass
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def _tensors(network):
    """Names and values of the parameters and buffers of a module."""
    return list(network.named_parameters()) + list(network.named_buffers())


def _bytes_of_tensor(value):
    import torch

    return value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def _kind(value):
    kind = value if isinstance(value, type) else type(value)
    return f"{kind.__module__}.{kind.__qualname__}"


def _code_of(kinds, *libraries):
    """Source of classes that are not a library's, where it is known; in the order of their names."""
    for kind in sorted(kinds, key=_kind):
        if kind.__module__.split(".")[0] not in libraries:
            try:
                yield inspect.getsource(kind).encode()
            except (OSError, TypeError):  # typed at a prompt that keeps nothing
                yield _kind(kind).encode()


def _told(value, depth=DEPTH):
    """A value as text that is the same in every process: plain values and arrays in full, of others what they are."""
    if value is None or isinstance(value, (bool, int, float, complex, str, bytes)):
        return repr(value)
    if hasattr(value, "detach") or isinstance(value, (np.ndarray, np.generic)):
        array = as_array(value)
        content = array.tobytes() if array.dtype.kind != "O" else b""
        return f"{array.dtype} {array.shape} {hashlib.sha256(content).hexdigest()}"
    if depth and isinstance(value, dict):
        return "{" + ", ".join(f"{key!r}: {_told(item, depth - 1)}" for key, item in value.items()) + "}"
    if depth and isinstance(value, (list, tuple)):
        return "[" + ", ".join(_told(item, depth - 1) for item in value) + "]"
    if callable(value) and hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}"
    return _kind(value)
