"""A Keras network as the configuration of its layers and their weights, in plain values and arrays.

A model or layer of a class of its own says nothing of what it computes. Its `call` is run once on symbolic tensors, and
what it calls stands in its place; where that fails, a layer stands by its class alone.
"""

import json
import sys
from contextlib import contextmanager
from importlib import import_module

import numpy as np

from .errors import ModelError, one_line
from .keras_masks import PACKAGES, backend_of, is_graph, package_of
from .tensors import as_array

MODELS = ("Functional", "Model", "Sequential")
FUNCTIONS = ("Lambda",)  # layers of Keras itself that hold code of the user


class KerasGraph:
    """The layers of a network.

    Parameters
    ----------
    network : keras.Model
        Of any Keras.
    shape : tuple, optional
        Of one sequence as the network takes it; needed where its class is its own.

    Attributes
    ----------
    operations : dict of tuple of str to layer
        Layers, and what Keras 3 calls operations, by their paths: names of the models that they are in, and their own.

    Raises
    ------
    ModelError
        Its class is its own, and its code cannot be followed.
    """

    def __init__(self, network, shape=None):
        self.operations = {}
        self._keras, self._backend = _keras_of(network), backend_of(network).backend()
        self._traced = []  # models made here, whose operations live as long as they do
        self._kind, self._config = type(network).__name__, _config(network)
        with _unmarked(_inner(network)):
            if self._kind not in MODELS or not _layers(self._config):
                self._kind = "Functional"
                network, self._config = self._followed(network, shape)
            self._add(network, self._config, ())

    def described(self):
        """The record of the network.

        Returns
        -------
        dict of JSON values
            class_name and config as Keras has them; version of Keras, and backend, what it runs on; layers, a list of
            [path, number of weights].
        list of array
            The weights of all layers, one after the other: float32 or float64.
        """
        weights = [[_weight(array) for array in getattr(layer, "get_weights", list)()]
                   for layer in self.operations.values()]
        layers = [[list(path), len(each)] for path, each in zip(self.operations, weights)]
        return ({"class_name": self._kind, "config": self._config, "version": str(self._keras.__version__),
                 "backend": self._backend, "layers": layers}, [array for each in weights for array in each])

    def _followed(self, network, shape):
        """A model of a class of its own as the functional one that its `call` amounts to, and its configuration."""
        if shape is None or is_graph(network):
            raise ModelError(f"the model is of class {type(network).__name__}, which is not among {', '.join(MODELS)}")
        try:
            return self._trace(network, shape)
        except Exception as error:  # whatever its code raises on symbolic tensors
            raise ModelError(f"the model is of class {type(network).__name__}, whose code cannot be followed: "
                             f"{one_line(error)}") from error

    def _add(self, network, config, path):
        """Note the operations of a network, and put what layers of classes of their own consist of in their places."""
        known = {operation.name: operation for operation in _operations(network)}
        for entry in _layers(config):
            name = entry.get("name", entry["config"].get("name"))
            operation = known.get(name)
            if operation is None:  # an input that was added here
                continue
            inner = None
            if entry["class_name"] in MODELS and _layers(entry["config"]):
                inner = operation
            elif _is_own(operation):
                inner = self._inside(operation, entry)
            if inner is None:
                self.operations[path + (name,)] = operation
            else:
                self._add(inner, entry["config"], path + (name,))

    def _inside(self, layer, entry):
        """What a layer of a class of its own consists of, in its entry of the configuration, too; None if unknown."""
        shape = _input_shape(layer)
        if shape is None:
            return None
        try:
            inner, config = self._trace(layer, shape)
        except Exception:  # its code does more than call layers and Keras's operations
            return None
        entry.update(class_name="Functional", config=dict(config, name=layer.name))
        return inner

    def _trace(self, layer, shape):
        """A functional model of what a layer calls, and its configuration."""
        sequence = self._keras.Input(tuple(shape))
        traced = self._keras.Model(sequence, layer.call(sequence))
        if any(_holds_weights(operation) for operation in _operations(traced)):
            raise ModelError("it computes with weights of its own")
        self._traced.append(traced)
        return traced, _config(traced)


def _keras_of(network):
    """The Keras that a network is of."""
    package = package_of(network)
    return import_module("tensorflow").keras if package == "tensorflow" else sys.modules[package]


def _config(network):
    """The configuration of a network in JSON values; of layers without one, their names."""
    with _configured(_inner(network)):
        config = network.get_config()
    if type(network).__name__ == "Sequential" and isinstance(config, dict) and getattr(network, "inputs", None):
        layers = config.get("layers")
        if layers and layers[0]["class_name"] != "InputLayer":
            shape = [None if size is None else int(size) for size in network.inputs[0].shape]
            first = {"class_name": "InputLayer", "config": {"name": network.name + "_input", "batch_shape": shape}}
            config = dict(config, layers=[first] + list(layers))
    return json.loads(json.dumps(config, default=_plain, skipkeys=True))


def _layers(config):
    """Entries of the layers in a configuration of a model."""
    return config if isinstance(config, list) else config.get("layers", []) if isinstance(config, dict) else []


def _operations(network):
    """Layers of a model, and of Keras 3 the operations that are no layers, `x + 1` for example."""
    return getattr(network, "operations", None) or getattr(network, "layers", None) or []


def _inner(layer):
    """A layer and all operations within it, each once."""
    found, waiting = {}, [layer]
    while waiting:
        one = waiting.pop()
        if id(one) not in found:
            found[id(one)] = one
            waiting += list(_operations(one))
            if hasattr(one, "_flatten_layers"):
                waiting += list(one._flatten_layers(include_self=False))
    return list(found.values())


@contextmanager
def _configured(operations):
    """Within this context layers tell their names, whatever their own `get_config` says."""
    replaced = []
    for operation in operations:
        try:
            config = operation.get_config()
        except Exception:  # a class of the user's own need not have one
            config = {}
        if isinstance(config, dict) and config.get("name") != operation.name:
            operation.get_config = lambda named=dict(config, name=operation.name): named
            replaced.append(operation)
    try:
        yield
    finally:
        for operation in replaced:
            del operation.get_config


@contextmanager
def _unmarked(operations):
    """Afterwards the layers do not know of the calls that were made within this context."""
    marks = [(nodes, len(nodes)) for operation in operations
             for nodes in (getattr(operation, "_inbound_nodes", []), getattr(operation, "_outbound_nodes", []))]
    try:
        yield
    finally:
        for nodes, n in marks:
            del nodes[n:]


def _is_own(operation):
    """Whether an operation runs code of the user."""
    kind = type(operation)
    return not is_graph(operation) and (kind.__name__ in FUNCTIONS or
                                        kind.__module__.split(".")[0] not in PACKAGES)


def _input_shape(layer):
    """Shape of the only tensor that a layer takes, without the batch axis; None if it takes others."""
    nodes = getattr(layer, "_inbound_nodes", None)
    if not nodes:
        return None
    tensors = getattr(nodes[0], "input_tensors", None)
    tensors = tensors if isinstance(tensors, (list, tuple)) else [tensors]
    return tuple(tensors[0].shape)[1:] if len(tensors) == 1 and hasattr(tensors[0], "shape") else None


def _holds_weights(operation):
    """Whether an operation was called with weights, which its configuration cannot tell."""
    node = operation._inbound_nodes[-1] if operation._inbound_nodes else None
    arguments = getattr(node, "arguments", None)
    given = [arguments.args, arguments.kwargs] if arguments is not None else [
        getattr(node, "call_args", ()), getattr(node, "call_kwargs", {})]
    return any(hasattr(value, "assign") for value in _leaves(given))


def _leaves(value):
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else None
    return [value] if inner is None else [leaf for one in inner for leaf in _leaves(one)]


def _plain(value):
    """What JSON does not have, by what Keras's own files have in its place."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if hasattr(value, "as_list"):  # a shape of TensorFlow
        return value.as_list()
    return {"class_name": type(value).__name__, "config": {}}


def _weight(value):
    array = as_array(value)
    return array if array.dtype in (np.float32, np.float64) else array.astype(np.float32)
