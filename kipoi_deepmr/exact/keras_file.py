"""Graphs from what Keras 1 and 2 saved, without any Keras: HDF5 files, and JSON configurations with weights beside."""

import json

import h5py
import numpy as np

from .errors import UnknownLayer
from .graph import Graph
from .keras_config import calls
from .keras_layers import build


def read_keras_file(path: str, weights: str | None = None, sequence_input: str | None = None,
                    constants: dict | None = None, alphabet: str = "ACGT") -> Graph:
    """Graph of a saved Keras 1 or 2 model.

    Parameters
    ----------
    path : str
        HDF5 of `model.save`, or JSON of `model.to_json`.
    weights : str, optional
        HDF5 of `model.save_weights`, with a JSON configuration.
    sequence_input : str, optional
        Which input takes the sequence; by default the first.
    constants : dict of str to array, optional
        What the other inputs are held at, for one sequence; a number fills the input.
    alphabet : str
        Order of the letters along the one-hot axis.

    Returns
    -------
    Graph

    Raises
    ------
    UnknownLayer
    """
    with h5py.File(weights or path, "r") as file:
        if weights is None:
            if "model_config" not in file.attrs:
                raise UnknownLayer(f"{path} holds weights without a model")
            config = file.attrs["model_config"]
        else:
            with open(path) as text:
                config = text.read()
        model = json.loads(config)
        group = file["model_weights"] if "model_weights" in file else file
        version = _text(model.get("keras_version") or group.attrs.get("keras_version") or "1")
        if "layer_names" not in group.attrs:
            raise UnknownLayer(f"{weights or path} does not name its layers, as files of Keras before 1.0")
        stored = {_text(name): _arrays(group[_text(name)]) for name in group.attrs["layer_names"]}
        backend = _text(group.attrs.get("backend") or model.get("backend") or _backend(stored))
    layer_calls, outputs = calls(model)
    _check(layer_calls, stored, weights or path)
    return build(layer_calls, outputs, lambda path: _weights_of(path, stored), sequence_input, constants, alphabet,
                 version, is_theano=backend == "theano")


def _backend(stored):
    """What a file of Keras 1 was saved with, which it does not say: only TensorFlow's names end in the output's number.

    Theano's convolutions go through their kernels backwards.
    """
    names = [name for arrays in stored.values() for name in arrays]
    return "theano" if names and not any(name.endswith(":0") for name in names) else "tensorflow"


def _text(value):
    return value.decode() if isinstance(value, bytes) else str(value)


def _arrays(group):
    """A layer's weights by their names, in order."""
    return {_text(name): np.asarray(group[_text(name)]) for name in group.attrs["weight_names"]}


def _weights_of(path, stored):
    """Weights of a layer; those of a nested model lie with the outermost, each under its own layer's name."""
    if len(path) == 1:
        return list(stored.get(path[0], {}).values())
    return [array for name, array in stored.get(path[0], {}).items() if path[-1] in name.split("/")[:-1]]


def _check(layer_calls, stored, path):
    """Every layer that must have weights has some."""
    for call in layer_calls:
        if "kernel_initializer" in call.config and not _weights_of(call.path, stored):
            raise UnknownLayer(f"layer {call.name} has no weights in {path}")
