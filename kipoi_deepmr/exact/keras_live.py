"""Graphs from Keras models in memory, in this process or another, of any Keras; see `models.host.keras_graph`."""

from collections.abc import Callable

import numpy as np

from ..models.host.errors import ModelError
from ..models.host.keras_graph import KerasGraph
from ..models.host.keras_rest import KerasRest
from .errors import UnknownLayer
from .graph import Graph
from .keras_config import calls
from .keras_layers import build


def read_keras(model: object, sequence_input: str | None = None, constants: dict | None = None,
               alphabet: str = "ACGT", split: bool = False, shape: tuple | None = None) -> Graph:
    """Graph of a Keras 3 or tf_keras model.

    Parameters
    ----------
    model : keras.Model or tf_keras.Model
    sequence_input, constants, alphabet
        As in `read_keras_file`.
    split : bool
        Let the model itself compute what follows the layers that are known: the graph's `rest`.
    shape : tuple of int, optional
        Of one sequence, as (L, 4); needed for a model of a class of its own, whose code is followed.

    Returns
    -------
    Graph

    Raises
    ------
    UnknownLayer
    """
    try:
        layers = KerasGraph(model, shape)
        recorded, weights = layers.described()
    except ModelError as error:
        raise UnknownLayer(str(error)) from error
    rests = []

    def rest(plan, given, _):
        if not rests:
            rests.append(KerasRest(model, layers.operations, plan))
        return rests[0](given)

    return read_keras_recorded(recorded, weights, sequence_input, constants, alphabet, rest if split else None)


def read_keras_recorded(recorded: dict, weights: list[np.ndarray], sequence_input: str | None = None,
                        constants: dict | None = None, alphabet: str = "ACGT", rest: Callable | None = None) -> Graph:
    """Graph of a Keras model that was recorded in any process.

    Parameters
    ----------
    recorded, weights
        As `keras_graph.KerasGraph.described` returns them.
    sequence_input, constants, alphabet
        As in `read_keras_file`.
    rest : callable, optional
        `HostedModel.rest` of whoever has the model; with it, what is not known becomes the graph's `rest`.

    Returns
    -------
    Graph

    Raises
    ------
    UnknownLayer
    """
    weights_of, start = {}, 0
    for path, n in recorded["layers"]:
        weights_of[tuple(path)] = weights[start:start + n]
        start += n
    if start != len(weights):
        raise UnknownLayer(f"the record of the model has {len(weights)} arrays for {start} weights")
    try:
        layer_calls, outputs = calls(recorded)
        return build(layer_calls, outputs, lambda path: weights_of.get(path, []), sequence_input, constants, alphabet,
                     recorded["version"], rest, recorded["backend"] == "theano")
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise UnknownLayer(f"the model's configuration is of a form that is not known ({error!r})") from error
