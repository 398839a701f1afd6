"""DeepLIFT (the rescale rule) by captum for PyTorch and by shap for Keras: contributions of inputs to one number.

The number is a weighted sum of a network's outputs. Contributions are of inputs (1, ...) against others, of the same
form: their sum is the difference that the inputs make to the number (Shrikumar, Greenside, Kundaje, ICML 2017).
"""

import sys
import warnings
from importlib import import_module

import numpy as np

from . import nested
from .errors import ModelError

# Linear operations that shap has no rule for: those around TensorFlow's dilated convolution
UNKNOWN_TO_SHAP = ("SpaceToBatchND", "BatchToSpaceND")


def by_captum(network, given, base, weights, tensor):
    """Contributions of a PyTorch module's inputs.

    Parameters
    ----------
    network : torch.nn.Module
    given, base : [list of arguments, dict of options]
        As `gradients.TorchNetwork.given` gives them.
    weights : list of (1, ...) array
        Of the outputs.
    tensor : callable
        From an array to a tensor where the network is.

    Returns
    -------
    list of (1, ...) array, zeros where an input is no number

    Raises
    ------
    ModelError
        There is no captum, or it cannot follow the module.
    """
    captum = _package("captum", "captum.attr")
    import torch

    leaves, others = ([tensor(value) for _, value in nested.leaves(each)] for each in (given, base))
    active = [number for number, leaf in enumerate(leaves) if torch.is_tensor(leaf) and leaf.is_floating_point()]
    weights = [tensor(each) for each in weights]

    class Number(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.network = network

        def forward(self, *inputs):
            values = list(leaves)
            for number, value in zip(active, inputs):
                values[number] = value
            arguments, options = nested.rebuilt(given, iter(values))
            outputs = [output for _, output in nested.leaves(self.network(*arguments, **options))]
            return sum((output * weight.to(output)).flatten(1).sum(1) for output, weight in zip(outputs, weights))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # captum tells that it sets hooks
        found = captum.DeepLift(Number()).attribute(
            tuple(leaves[number] for number in active), tuple(others[number] for number in active))
    contributions = [np.zeros(np.shape(value)) for _, value in nested.leaves(given)]
    for number, contribution in zip(active, found):
        contributions[number] = contribution.detach().cpu().numpy()
    return contributions


class ByShap:
    """Contributions of a Keras network's inputs on TensorFlow 2.

    Parameters
    ----------
    network : Keras model
    given : arrays in lists and dicts
        The form of its inputs.
    weights : list of (1, ...) array
        The form of its outputs.

    Raises
    ------
    ModelError
        There is no shap.
    """

    def __init__(self, network, given, weights):
        shap = _package("shap", "shap")
        handlers = _package("shap", "shap.explainers._deep.deep_tf")
        for name in UNKNOWN_TO_SHAP:
            handlers.op_handlers.setdefault(name, handlers.passthrough)
        import keras
        import tensorflow as tf

        self._weights = [tf.Variable(np.asarray(each, np.float32), trainable=False) for each in weights]
        self._base = None
        inputs = [keras.Input(shape=np.shape(value)[1:], dtype="float32") for _, value in nested.leaves(given)]

        class Number(keras.layers.Layer):
            def call(layer, values):
                values = list(values) if isinstance(values, (list, tuple)) else [values]
                answer = network(nested.rebuilt(given, iter(values)), training=False)
                outputs = [output for _, output in nested.leaves(answer)]
                return sum(tf.reduce_sum(tf.reshape(output * weight, [tf.shape(output)[0], -1]), 1, keepdims=True)
                           for output, weight in zip(outputs, self._weights))

            def compute_output_shape(layer, _):
                return None, 1

        number = keras.Model(inputs, Number()(inputs if len(inputs) > 1 else inputs[0]))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # shap warns of every TensorFlow since 2.4
            self._explainer = shap.DeepExplainer(number, lambda _: self._base)

    def contributions(self, given, base, weights):
        """See `by_captum`."""
        for variable, value in zip(self._weights, weights):
            variable.assign(value)
        values, self._base = ([np.asarray(value, np.float32) for _, value in nested.leaves(each)]
                              for each in (given, base))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Keras finds a list of one input odd
            found = self._explainer.shap_values(values if len(values) > 1 else values[0], check_additivity=False)
        found = found if isinstance(found, list) and len(values) > 1 else [found]
        return [np.asarray(each).reshape(value.shape) for each, value in zip(found, values)]


def _package(name, module):
    """A module of an optional package."""
    try:
        return import_module(module)
    except ImportError as error:
        raise ModelError(f"DeepLIFT needs the package {name}, which {sys.executable} cannot import ({error}): "
                         f"pip install {name}") from error
