"""The network inside a model: what the model gives it, what the model makes of its answer, and its derivative.

A model's own Python stands before and after its network. It is run as it is, with the network replaced for the time: by
a stop, to see what the network is given, or by a given answer, to see what the model makes of it. The derivative is the
framework's own: TensorFlow 2's tape, TensorFlow 1's graph, PyTorch's autograd.
"""

from collections import namedtuple
from contextlib import contextmanager

import numpy as np

from . import deeplift, keras_masks, masks, nested, torch_masks
from .errors import ModelError
from .tensors import as_array


class Linear(namedtuple("Linear", "outputs pull")):
    """A network near some inputs.

    Attributes
    ----------
    outputs : list of (n, ...) array
        What it answers.
    pull : callable
        From the derivative of a number by the outputs, as a list of their shapes, to that by the inputs: a list of
        (n, ...) arrays of the inputs' shapes.
    """


class _Reached(BaseException):
    """The network was called; no Exception, so that no handler of the model takes it for its own."""

    def __init__(self, given):
        super().__init__()
        self.given = given


class DifferentiableNetwork:
    """A network, and by which of its methods a model may call it; see `find_network`."""

    def __init__(self, network, methods):
        self.network, self._methods = network, methods
        self._form = None  # the lists and dicts around its outputs

    def given(self, call):
        """What a model gives its network in `call()`: arrays in lists and dicts. The network itself is not run."""
        def stop(*arguments, **options):
            raise _Reached(self._tree(arguments, options))

        try:
            with self._replaced(stop):
                call()
        except _Reached as reached:
            values = [_array(value) for _, value in nested.leaves(reached.given)]
            return nested.rebuilt(reached.given, iter(values))
        raise ModelError("its Python calls its network in a way that cannot be followed")

    def answering(self, call, outputs):
        """What a model answers in `call()` where its network answers `outputs`, a list of arrays."""
        calls = []

        def answer(*_, **__):
            calls.append(None)
            return nested.rebuilt(self._form, map(self._as_answered, outputs))

        with self._replaced(answer):
            answered = call()
        if len(calls) != 1:
            raise ModelError(f"its Python calls its network {len(calls)} times for one batch")
        return answered

    @contextmanager
    def _replaced(self, function):
        """Within this context the network is a function; how often which method calls another does not matter."""
        for name in self._methods:
            setattr(self.network, name, function)
        try:
            yield
        finally:
            for name in self._methods:
                delattr(self.network, name)

    def _tree(self, arguments, options):
        return arguments[0] if arguments else next(iter(options.values()))

    def _as_answered(self, output):
        return output

    def deeplift(self, given, base, weights):
        """DeepLIFT's contributions to a weighted sum of outputs; see `deeplift.by_captum`."""
        raise ModelError("DeepLIFT is for networks of PyTorch (by captum) and of Keras on TensorFlow 2 (by shap)")


class TorchNetwork(DifferentiableNetwork):
    """A PyTorch module; what it is given is a list of its arguments and a dict of its options."""

    def __init__(self, network):
        super().__init__(network, ["forward"])

    def _tree(self, arguments, options):
        return [list(arguments), options]

    def _as_answered(self, output):
        return self._tensor(output)

    def _tensor(self, value):
        import torch

        if not isinstance(value, np.ndarray):
            return value
        known = next(self.network.parameters(), None)
        made = torch.from_numpy(np.ascontiguousarray(value))
        return made if known is None else made.to(known.device)

    def linearised(self, given):
        """The network near inputs in the form of `given`; see `Linear`."""
        import torch

        leaves = [self._tensor(value) for _, value in nested.leaves(given)]
        active = [leaf.requires_grad_() for leaf in leaves if torch.is_tensor(leaf) and leaf.is_floating_point()]
        arguments, options = nested.rebuilt(given, iter(leaves))
        with torch.enable_grad():
            self._form = self.network(*arguments, **options)
        tensors = [tensor for _, tensor in nested.leaves(self._form)]
        if not all(tensor.requires_grad for tensor in tensors):
            raise ModelError("its PyTorch network cuts its derivative off (detach, argmax, a conversion to numpy)")

        def pull(weights):
            seeds = [torch.from_numpy(np.ascontiguousarray(each)).to(tensor) for each, tensor in zip(weights, tensors)]
            found = iter(torch.autograd.grad(tensors, active, seeds, retain_graph=True, allow_unused=True))
            return [_or_zeros(next(found) if torch.is_tensor(leaf) and leaf.requires_grad else None, value)
                    for leaf, (_, value) in zip(leaves, nested.leaves(given))]

        return Linear([_array(tensor) for tensor in tensors], pull)

    def deeplift(self, given, base, weights):
        """See `DifferentiableNetwork.deeplift`."""
        return deeplift.by_captum(self.network, given, base, weights, self._tensor)


class EagerNetwork(DifferentiableNetwork):
    """A Keras network on TensorFlow 2: Keras 3, tf_keras, Keras 2 from TensorFlow 2.2 on."""

    def __init__(self, network):
        super().__init__(network, ["predict_on_batch", "predict", "call"])
        self._explained = None

    def linearised(self, given):
        """The network near inputs in the form of `given`; see `Linear`."""
        import tensorflow as tf

        inputs = [tf.convert_to_tensor(np.asarray(value, dtype=np.float32)) for _, value in nested.leaves(given)]
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            tape.watch(inputs)
            self._form = self.network(nested.rebuilt(given, iter(inputs)), training=False)
        tensors = [tensor for _, tensor in nested.leaves(self._form)]
        if not all(tf.is_tensor(tensor) for tensor in tensors):
            raise ModelError("its Keras does not run on TensorFlow")

        def pull(weights):
            seeds = [tf.cast(each, tensor.dtype) for each, tensor in zip(weights, tensors)]
            found = tape.gradient(tensors, inputs, output_gradients=seeds)
            return [_or_zeros(each, value) for each, (_, value) in zip(found, nested.leaves(given))]

        return Linear([tensor.numpy() for tensor in tensors], pull)

    def deeplift(self, given, base, weights):
        """See `DifferentiableNetwork.deeplift`."""
        self._explained = self._explained or deeplift.ByShap(self.network, given, weights)
        return self._explained.contributions(given, base, weights)


class GraphNetwork(DifferentiableNetwork):
    """A Keras network (Keras 1 and 2) in a TensorFlow 1 graph."""

    def __init__(self, network):
        super().__init__(network, ["predict_on_batch", "predict"])
        self._backend = keras_masks.backend_of(network)
        if self._backend.backend() != "tensorflow":
            raise ModelError(f"its Keras runs on {self._backend.backend()}, not on TensorFlow")
        outputs = list(network.outputs)
        self._form = outputs if len(outputs) > 1 else outputs[0]
        with outputs[0].graph.as_default():
            self._weights = [self._backend.placeholder(ndim=len(output.shape)) for output in outputs]
            self._gradients = _graph_gradients(outputs, list(network.inputs), self._weights)

    def linearised(self, given):
        """The network near inputs in the form of `given`; see `Linear`."""
        network, session = self.network, self._backend.get_session()
        places = dict(zip(network.input_names, network.inputs))
        values = [value for _, value in nested.leaves(given)]
        order = [places[path[0]] for path, _ in nested.leaves(given)] if isinstance(given, dict) else network.inputs
        feed = dict(zip(order, values))
        phase = self._backend.learning_phase()
        feed.update({} if isinstance(phase, int) else {phase: 0})

        def pull(weights):
            found = dict(zip(network.inputs, self._gradients))
            wanted = [place for place in order if found[place] is not None]
            weighted = dict(feed)
            weighted.update(zip(self._weights, weights))
            known = dict(zip(wanted, session.run([found[place] for place in wanted], feed_dict=weighted)))
            return [_or_zeros(known.get(place), value) for place, value in zip(order, values)]

        return Linear(session.run(list(network.outputs), feed_dict=feed), pull)


def find_network(model):
    """The one network that a loaded Kipoi model holds.

    Returns
    -------
    DifferentiableNetwork

    Raises
    ------
    ModelError
        It holds none of Keras or PyTorch, or several.
    """
    found = masks.networks_of(model)
    if len(found) != 1:
        raise ModelError("it holds {} networks of Keras or PyTorch; one can be differentiated".format(
            len(found) or "no"))
    network = found[0]
    if torch_masks.is_network(network):
        return TorchNetwork(network)
    core = keras_masks.core_of(network)
    return (GraphNetwork if keras_masks.is_graph(core) else EagerNetwork)(core)


def _graph_gradients(outputs, inputs, weights):
    import tensorflow as tf

    return getattr(tf, "compat", tf).v1.gradients(outputs, inputs, grad_ys=weights)


def _array(value):
    """A tensor or array as an array; anything else as it is."""
    return as_array(value) if hasattr(value, "shape") else value


def _or_zeros(gradient, value):
    """A gradient as an array, zeros where there is none."""
    return np.zeros(np.shape(value)) if gradient is None else _array(gradient)
