"""A Kipoi model, loaded into this process, as a member of an ensemble."""

import hashlib
import logging
import os
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from .. import dna
from ..errors import InputError, one_line
from . import legacy_keras
from .dataloader import DataloaderSource, dataloader_defaults
from .member import Description


class KipoiMember:
    """A Kipoi model that takes one-hot DNA of shape (L, 4) and returns one number per mark.

    Parameters
    ----------
    model : str
        Name of a model in its source, or a directory with a model.yaml when the source is `dir`.
    source : str
        A Kipoi model source: `kipoi` (the model zoo), `dir`, or one of ~/.kipoi/config.yaml.
    batch_size : int
        Most sequences in one call of the model.

    Raises
    ------
    InputError
        The model cannot be loaded, or is of a form that we cannot use; the message says which.
    """

    def __init__(self, model, source="kipoi", batch_size=512):
        self._name = str(model)
        self._batch_size = batch_size
        with _quiet():
            self._model = _load(self._name, source)
        self._length = _input_length(self._name, self._model.schema.inputs)
        self._marks = _marks(self._name, self._model.schema.targets)
        self._alphabet = "".join(dataloader_defaults(self._model).get("alphabet") or dna.ALPHABET)

    def describe(self):
        """See `Member.describe`."""
        return Description(self._name, self._marks, self._length, dna.ALPHABET, _checksum(self._model))

    def predict(self, sequences):
        """See `Member.predict`.

        Raises
        ------
        InputError
            The model fails, or its output is not (n, marks).
        """
        starts = range(0, len(sequences), self._batch_size)
        return np.concatenate([self._predict_batch(sequences[i:i + self._batch_size]) for i in starts])

    def _predict_batch(self, sequences):
        try:
            predicted = self._model.predict_on_batch(dna.one_hot(sequences, self._alphabet))
        except Exception as error:
            raise InputError(f"model {self._name} failed to predict {len(sequences)} sequences: "
                             f"{one_line(error)}") from error
        shape = getattr(predicted, "shape", type(predicted).__name__)
        if shape != (len(sequences), len(self._marks)):
            raise InputError(f"model {self._name} returned {shape} for {len(sequences)} sequences, but its model.yaml "
                             f"declares {len(self._marks)} targets for each")
        return np.asarray(predicted)

    def dataloader(self, arguments, genome=None):
        """The loci that the model's own dataloader gives, with the arguments of `--dataloader_args`.

        Returns
        -------
        DataloaderSource
        """
        return DataloaderSource(self._model, self._name, self._length, arguments, genome)


def _load(name, source):
    import kipoi

    logging.getLogger("kipoi").setLevel(logging.WARNING)
    known = kipoi.config.model_sources()
    if source not in known:
        raise InputError(f"--source {source}: unknown; Kipoi's config.yaml has {', '.join(known)}")
    if source == "dir" and not any(Path(name, f"model.{suffix}").is_file() for suffix in ("yaml", "yml")):
        raise InputError(f"{name}: no model.yaml there; with --source dir a MODEL is a Kipoi model directory")
    try:
        return kipoi.get_model(name, source=source)
    except Exception as error:
        if _is_keras_model(name, source) and legacy_keras.is_available():
            return _load_with_legacy_keras(name, source, error)
        raise InputError(f"model {name} cannot be loaded: {one_line(error)}") from error


def _load_with_legacy_keras(name, source, first_error):
    import kipoi

    try:
        with legacy_keras.as_keras():
            return kipoi.get_model(name, source=source)
    except Exception as error:
        raise InputError(f"model {name} cannot be loaded: with Keras 3: {one_line(first_error)}; "
                         f"with tf_keras: {one_line(error)}") from error


def _is_keras_model(name, source):
    import kipoi

    try:
        described = kipoi.get_source(source).get_model_descr(name)
    except Exception:  # the model.yaml itself is unreadable: the first error tells more
        return False
    return described.type == "keras" or described.defined_as == "kipoi.model.KerasModel"


def _input_length(name, schema):
    shape = getattr(schema, "shape", None)
    if shape is None:
        raise InputError(f"model {name} takes several inputs; only models with one input array can be used")
    if len(shape) != 2 or shape[1] != 4 or not shape[0]:
        raise InputError(f"model {name} takes input of shape {tuple(shape)}; "
                         "only one-hot DNA of a fixed length, (L, 4), can be used")
    return int(shape[0])


def _marks(name, schema):
    shape = getattr(schema, "shape", None)
    if shape is None or len(shape) != 1 or not shape[0]:
        given = "several outputs" if shape is None else f"output of shape {tuple(shape)}"
        raise InputError(f"model {name} has {given}; only models with one output, one number per mark, can be used")
    labels = list(schema.column_labels or (f"mark_{i}" for i in range(shape[0])))
    if len(labels) != shape[0] or len(set(labels)) != len(labels):
        raise InputError(f"model {name}: its model.yaml names {len(set(labels))} different column_labels "
                         f"for {shape[0]} targets")
    return tuple(str(label) for label in labels)


def _checksum(model):
    """SHA-256 over the model's description, code and the files among its arguments."""
    folder = Path(model.source_dir)
    files = [*folder.glob("model.y*ml"), *folder.glob("*.py")]
    for value in model.args.values():
        if isinstance(value, str) and (folder / value).exists():
            path = folder / value
            files += [p for p in path.rglob("*") if p.is_file()] if path.is_dir() else [path]
    digest = hashlib.sha256()
    for path in sorted(set(files)):
        content = path.read_bytes()
        digest.update(f"{path.name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


@contextmanager
def _quiet():
    """Keep deep-learning frameworks from writing to stderr while they load, at the level below Python too."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    own = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(own, 2)
        os.close(own)
        os.close(nowhere)
