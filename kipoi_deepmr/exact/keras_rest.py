"""Layers of a live Keras model run as they are, from the activations that layers before them gave."""

import sys
from collections.abc import Callable, Sequence

import numpy as np

from .keras_config import Call, filled


def keras_rest(calls: Sequence[Call], known: Sequence[tuple], wanted: Sequence[tuple],
               layer_of: Callable[[tuple], object]) -> Callable:
    """What `rest.Rest.compute` is.

    Parameters
    ----------
    calls : list of keras_config.Call
        Each after its inputs.
    known : list of tuple
        Keys of the tensors that are given.
    wanted : list of tuple
        Keys of those that are returned.
    layer_of : callable
        Path of a layer to the layer.
    """
    layers = [layer_of(call.path) for call in calls]

    def run(tensors):
        values = dict(zip(known, tensors, strict=True))
        for call, layer in zip(calls, layers, strict=True):
            results = layer(*filled(call.args, values), **filled(call.kwargs, values))
            results = results if isinstance(results, (list, tuple)) else [results]
            values.update({(*call.key[:2], i): result for i, result in enumerate(results)})
        return [values[key] for key in wanted]

    if not _is_tensorflow(layers):
        return lambda arrays: [_array(result) for result in run(arrays)]
    import tensorflow as tf

    traced = tf.function(run, reduce_retracing=True, autograph=False)
    return lambda arrays: [result.numpy() for result in traced([tf.constant(array) for array in arrays])]


def _is_tensorflow(layers):
    keras = sys.modules.get("keras")
    is_keras3 = keras is not None and any(isinstance(layer, keras.Operation) for layer in layers)
    return not is_keras3 or keras.backend.backend() == "tensorflow"


def _array(tensor):
    return np.asarray(sys.modules["keras"].ops.convert_to_numpy(tensor))

