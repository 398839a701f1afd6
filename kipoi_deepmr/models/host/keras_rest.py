"""Layers of a Keras network run as they are, from the activations that layers before them gave."""

import numpy as np

from .keras_masks import backend_of, is_graph
from .tensors import as_array


class KerasRest:
    """What is left of a network after a cut.

    Parameters
    ----------
    network : keras.Model
        Of any Keras; its dropout layers are taken as they are when the rest is first computed.
    operations : dict of tuple of str to layer
        By their paths.
    plan : dict of JSON values
        calls : list of dict of path, args, kwargs and results, a list of [number of the result, number of the tensor];
        n_known : how many tensors are given, those that have the first numbers; wanted : numbers of those that are
        returned. Among the arguments {"tensor": number}, {"slice": [start, stop, step]}, {"tuple": list},
        {"dict": dict}, {"ellipsis": None} and {"array": [list, type]} stand for what JSON does not have.
    """

    def __init__(self, network, operations, plan):
        self._network, self._wanted, self._n_known = network, plan["wanted"], plan["n_known"]
        self._calls = [(operations[tuple(call["path"])], call["args"], call["kwargs"], call["results"])
                       for call in plan["calls"]]
        self._run = None

    def __call__(self, arrays):
        """The tensors wanted for a batch of any size: list of (n, ...) arrays, from a list of them."""
        if self._run is None:
            self._run = self._compiled(arrays)
        return [as_array(result) for result in self._run(arrays)]

    def _compiled(self, arrays):
        if is_graph(self._network):
            return self._graph_function(arrays)
        if backend_of(self._network).backend() != "tensorflow":
            return self._results
        import tensorflow as tf

        specs = [tf.TensorSpec((None,) + array.shape[1:], tf.float32) for array in arrays]
        traced = tf.function(self._results, input_signature=[specs], autograph=False)
        return lambda given: traced([tf.constant(array) for array in given])

    def _graph_function(self, arrays):
        """A function of TensorFlow 1 or Theano."""
        backend = backend_of(self._network)
        given = [backend.placeholder(shape=(None,) + array.shape[1:]) for array in arrays]
        phase = backend.learning_phase()
        phases = [] if isinstance(phase, int) else [phase]
        function = backend.function(given + phases, self._results(given, _shaped))
        return lambda tensors: function(list(tensors) + [0] * len(phases))

    def _results(self, tensors, callable_of=lambda layer: layer):
        values = dict(enumerate(tensors))
        for layer, args, kwargs, numbers in self._calls:
            results = callable_of(layer)(*_filled(args, values), **_filled({"dict": kwargs}, values))
            results = results if isinstance(results, (list, tuple)) else [results]
            values.update({number: results[index] for index, number in numbers})
        return [values[number] for number in self._wanted]


def _shaped(layer):
    """The layer's `call`, whose result knows its shape as Keras does; TensorFlow need not know that."""
    int_shape = backend_of(layer).int_shape

    def call(x, *args, **kwargs):
        result = layer.call(x, *args, **kwargs)
        if not isinstance(result, (list, tuple)) and hasattr(layer, "compute_output_shape"):
            result._keras_shape = layer.compute_output_shape(
                [int_shape(each) for each in x] if isinstance(x, (list, tuple)) else int_shape(x))
        return result

    return call


def _filled(value, values):
    """Arguments with tensors in their places."""
    if isinstance(value, list):
        return [_filled(each, values) for each in value]
    if not isinstance(value, dict):
        return value
    (kind, content), = value.items()
    if kind == "tensor":
        return values[content]
    if kind == "slice":
        return slice(*content)
    if kind == "ellipsis":
        return Ellipsis
    if kind == "tuple":
        return tuple(_filled(content, values))
    if kind == "array":
        return np.asarray(*content)
    return {name: _filled(each, values) for name, each in content.items()}
