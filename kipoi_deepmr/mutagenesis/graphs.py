"""A model's network as a graph of the exact engine: as the process that has it records it, or from its files."""

import json

import h5py

from .. import exact
from ..models.host.errors import ModelError
from ..models.host.masks import KERAS, TORCH
from ..models.internals import Internals
from .unusable import Unusable


def graph_of(internals: Internals) -> exact.Graph:
    """The graph of a model's network, with inputs other than the sequence held at zero.

    What is not known of a recorded network is left to the network: the graph's `rest`.

    Parameters
    ----------
    internals : Internals

    Returns
    -------
    exact.Graph

    Raises
    ------
    Unusable
    """
    if internals.shape is None:
        raise Unusable("it takes more than one-hot DNA")
    try:
        if TORCH in internals.networks:
            return _of_torch(internals)
        if KERAS in internals.networks:
            return _of_keras(internals)
        return _of_files(internals)
    except (exact.UnknownLayer, ModelError) as error:
        raise Unusable(str(error)) from error


def _of_torch(internals):
    recorded = internals.recorded()
    try:
        return exact.read_recorded(*recorded, internals.shape, internals.letters)
    except exact.UnknownLayer:
        recorded = internals.recorded(exact.BATCH_OF_REST)
    return exact.read_recorded(*recorded, internals.shape, internals.letters, internals.rest)


def _of_keras(internals):
    recorded, weights = internals.recorded()
    return exact.read_keras_recorded(recorded, weights, **_inputs(recorded["config"], internals), rest=internals.rest)


def _of_files(internals):
    hdf5 = [path for path in internals.files.values() if h5py.is_hdf5(path)]
    whole = [path for path in hdf5 if _config(path)]
    if whole:
        return exact.read_keras_file(whole[0], **_inputs(_config(whole[0])["config"], internals))
    described = [path for path in internals.files.values() if _is_architecture(path)]
    if hdf5 and described:
        with open(described[0], encoding="utf-8") as text:
            config = json.load(text)["config"]
        return exact.read_keras_file(described[0], hdf5[0], **_inputs(config, internals))
    raise Unusable("it holds no Keras or PyTorch network, and none of its files is a whole Keras model of HDF5")


def _config(path):
    """The configuration in an HDF5 file of a whole model, None in one of weights."""
    with h5py.File(path, "r") as file:
        text = file.attrs.get("model_config")
    return text and json.loads(text)


def _is_architecture(path):
    try:
        with open(path, encoding="utf-8") as text:
            return text.read(1) == "{" and "class_name" in json.loads("{" + text.read())
    except (UnicodeDecodeError, ValueError):
        return False


def _inputs(config, internals):
    """Which input is the sequence, and what the others are held at, as arguments of exact's readers of Keras."""
    layers = config["layers"] if isinstance(config, dict) else config
    names = [layer["config"].get("name", layer.get("name")) for layer in layers if layer["class_name"] == "InputLayer"]
    sequence = internals.input if internals.input in names else next(iter(names), None)
    return {"sequence_input": sequence, "constants": {name: 0.0 for name in names if name != sequence},
            "alphabet": internals.letters}
