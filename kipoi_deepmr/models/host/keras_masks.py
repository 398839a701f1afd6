"""Dropout layers of Keras networks (Keras 1, 2 and 3, tf.keras, tf_keras), with masks held fixed.

The layers' own `call` is replaced while a network is traced, so that nothing is rebuilt or copied, and layers of any
custom class may stand around them. Masks are variables that the traced function reads: another mask is an assignment.
"""

from contextlib import contextmanager
from importlib import import_module

import numpy as np

from .errors import ModelError

PACKAGES = ("keras", "tf_keras", "tensorflow")
KINDS = ("Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D")


def is_network(value):
    """Whether a value is a Keras model."""
    return package_of(value) is not None and hasattr(value, "predict_on_batch") and hasattr(value, "layers")


def dropouts(networks):
    """The dropout layers of networks: at most one object for those of TensorFlow 2 and one for older ones."""
    groups = {GraphDropouts: [], EagerDropouts: []}
    for network in networks:
        groups[GraphDropouts if is_graph(core_of(network)) else EagerDropouts].append(network)
    return [kind(group) for kind, group in groups.items() if group]


class _Dropouts:
    """The dropout layers of some networks.

    Attributes
    ----------
    rates : list of float
        One for each layer that drops anything.
    """

    def __init__(self, networks):
        self._networks = [core_of(network) for network in networks]
        found = {id(layer): layer for network in self._networks for layer in _layers(network) if _drops(layer)}
        self._layers = list(found.values())
        self.rates = [_rate(layer) for layer in self._layers]
        self._masks = {}

    def arrays(self, draw):
        """Masks as `masked` uses them: list of (name of the layer, array)."""
        return [(self._layers[number].name, self._mask(draw, number, shape)) for number, shape in sorted(self._masks)]

    @contextmanager
    def _replaced(self, multiply):
        """Within this context layer number i is `multiply(i, inputs)`."""
        for number, layer in enumerate(self._layers):
            layer.call = _call(multiply, number)
        try:
            yield
        finally:
            for layer in self._layers:
                del layer.call

    @contextmanager
    def _predicting_with(self, functions):
        """Within this context the networks predict with these functions; gives back what they are at its end."""
        own = [network.predict_function for network in self._networks]
        for network, function in zip(self._networks, functions):
            network.predict_function = function
        try:
            yield
        finally:
            for number, (network, function) in enumerate(zip(self._networks, own)):
                functions[number] = network.predict_function
                network.predict_function = function

    def _mask(self, draw, number, shape):
        """The mask of a layer for inputs of a shape (the batch axis left out), in full."""
        mask = draw(number, self.rates[number], _noise_shape(self._layers[number], shape))
        return np.ascontiguousarray(np.broadcast_to(mask, shape))


class EagerDropouts(_Dropouts):
    """Keras 3, and Keras 2 on TensorFlow 2.2 or later: the network is traced when it first predicts."""

    def __init__(self, networks):
        super().__init__(networks)
        self._functions = [None] * len(self._networks)
        self._draw = None

    @contextmanager
    def masked(self, draw):
        """Within this context the layers multiply by the masks that `draw(number, rate, shape)` gives."""
        self._draw = draw
        for (number, shape), variable in self._masks.items():
            variable.assign(self._mask(draw, number, shape))
        with self._replaced(self._multiply), self._predicting_with(self._functions):
            yield

    def _multiply(self, number, inputs):
        import tensorflow as tf

        if not tf.is_tensor(inputs):
            raise ModelError("--mc_dropout: Keras must run on TensorFlow")
        shape = _known(inputs.shape.as_list()[1:])
        if (number, shape) not in self._masks:
            with tf.init_scope():
                self._masks[number, shape] = tf.Variable(self._mask(self._draw, number, shape), trainable=False)
        return inputs * tf.cast(self._masks[number, shape], inputs.dtype)


class GraphDropouts(_Dropouts):
    """Keras 1 and 2 on Theano or as a TensorFlow 1 graph: a second graph on the same weights, with the masks in it."""

    def __init__(self, networks):
        super().__init__(networks)
        self._functions = [self._function(network) for network in self._networks]

    @contextmanager
    def masked(self, draw):
        """Within this context the layers multiply by the masks that `draw(number, rate, shape)` gives."""
        for (number, shape), (backend, variable) in self._masks.items():
            backend.set_value(variable, self._mask(draw, number, shape))
        with self._replaced(self._multiply), self._predicting_with(self._functions):
            yield

    def _function(self, network):
        """What `network.predict_function` becomes: inputs, then the learning phase, to outputs."""
        backend = backend_of(network)
        inputs = [backend.placeholder(shape=backend.int_shape(x), dtype=backend.dtype(x)) for x in network.inputs]
        with self._replaced(self._multiply):
            outputs = network.call(inputs if len(inputs) > 1 else inputs[0])
        phase = backend.learning_phase()
        phases = [] if isinstance(phase, int) else [phase]
        function = backend.function(inputs + phases, outputs if isinstance(outputs, (list, tuple)) else [outputs])
        return lambda given: function(list(given)[:len(inputs)] + [0] * len(phases))

    def _multiply(self, number, inputs):
        backend = backend_of(self._layers[number])
        shape = _known(backend.int_shape(inputs)[1:])
        if (number, shape) not in self._masks:
            self._masks[number, shape] = backend, backend.variable(np.ones(shape, dtype=np.float32))
        return inputs * self._masks[number, shape][1]


def _call(multiply, number):
    def call(inputs, *_, **__):
        return multiply(number, inputs)

    call.autograph_info__ = {}  # TensorFlow's mark of a function to leave as it is
    return call


def package_of(value):
    """The Keras that a model or layer is of: keras, tf_keras or tensorflow."""
    roots = [kind.__module__.split(".") for kind in type(value).__mro__]
    known = (root[0] for root in roots if root[0] in PACKAGES and (root[0] != "tensorflow" or "keras" in root))
    return next(known, None)


def backend_of(network):
    """The backend module of the Keras that a model or layer is of."""
    package = package_of(network)
    return import_module("tensorflow").keras.backend if package == "tensorflow" else import_module(package + ".backend")


def is_graph(network):
    """Whether a Keras network is a TensorFlow 1 or Theano graph."""
    return hasattr(network, "_make_predict_function")


def core_of(network):
    """The network itself: Keras before 2.2 wraps it in a Sequential, which has no predict_function."""
    wrapped = type(network).__name__ == "Sequential" and not hasattr(network, "predict_function")
    return network.model if wrapped else network


def _layers(network):
    """Layers of a network, nested ones included."""
    if hasattr(network, "_flatten_layers"):
        return list(network._flatten_layers(include_self=False))
    nested = list(getattr(network, "layers", [])) + [layer for layer in [getattr(network, "layer", None)] if layer]
    return nested + [inner for layer in nested for inner in _layers(layer)]


def _drops(layer):
    if not 0 < _rate(layer) < 1:
        return False
    if _kind(layer) is None and type(layer).__name__.endswith("Dropout"):
        raise ModelError(f"--mc_dropout: the dropout of a layer {type(layer).__name__} cannot be held fixed")
    return _kind(layer) is not None


def _rate(layer):
    """Fraction dropped; Keras 1 names it `p`."""
    rate = getattr(layer, "rate", getattr(layer, "p", 0))
    return rate if isinstance(rate, (int, float)) else 0


def _kind(layer):
    names = [kind.__name__ for kind in type(layer).__mro__ if kind.__module__.split(".")[0] in PACKAGES]
    return next((name for name in names if name in KINDS), None)


def _noise_shape(layer, shape):
    """Shape of a mask, without the batch axis: what is dropped together shares one number."""
    if _kind(layer) != "Dropout":
        first = "channels_first" in _channels(layer)
        return shape[:1] + (1,) * (len(shape) - 1) if first else (1,) * (len(shape) - 1) + shape[-1:]
    given = getattr(layer, "noise_shape", None)
    return shape if given is None else tuple(b if a is None else a for a, b in zip(tuple(given)[1:], shape))


def _channels(layer):
    if getattr(layer, "dim_ordering", None) == "th":  # Keras 1
        return "channels_first"
    return getattr(layer, "data_format", None) or "channels_last"


def _known(shape):
    if any(size is None for size in shape):
        raise ModelError("--mc_dropout needs a network whose layers have a fixed size; one drops an input of "
                         f"{tuple(shape)}")
    return tuple(int(size) for size in shape)
