"""bpnet's own model directories, which `bpnet train` writes, in the form of a Kipoi model."""

import os
import sys

import numpy as np

from .errors import ModelError, model_code, one_line

PICKLE = "seq_model.pkl"


def is_seq_model(path):
    """Whether a folder is a SeqModel directory of bpnet and not also a Kipoi model."""
    kipoi = any(os.path.isfile(os.path.join(path, "model." + suffix)) for suffix in ("yaml", "yml"))
    return os.path.isfile(os.path.join(path, PICKLE)) and not kipoi


def load(path, in_worker):
    """The model of a SeqModel directory.

    Parameters
    ----------
    path : str
    in_worker : bool
        Whether this process is the worker of a Python that the user named for this model.

    Returns
    -------
    SeqModelDirectory

    Raises
    ------
    ModelError
        This is no worker: the directory holds a pickle, and loading a pickle runs the code in it. Or bpnet is missing,
        the pickle cannot be loaded, or its heads are others than a profile and a counts head for each task.
    """
    if not in_worker:
        raise ModelError(f"{path} is a model directory of bpnet, a pickle that runs code as it is loaded: it is loaded "
                         "only in a Python of its own; give one that has bpnet with --python")
    try:
        from bpnet.seqmodel import SeqModel
    except ImportError as error:
        raise ModelError(f"{path} is a model directory of bpnet, and {sys.executable} cannot import bpnet: "
                         f"{one_line(error)}") from error
    with model_code(f"{os.path.join(path, PICKLE)} cannot be loaded"):
        seq_model = SeqModel.from_mdir(path)
    return SeqModelDirectory(path, seq_model)


class SeqModelDirectory:
    """A `bpnet.seqmodel.SeqModel` with what a loaded Kipoi model has.

    Attributes
    ----------
    model : keras.Model
    schema : kipoi.specs.ModelSchema
        Of the zoo's BPNet-OSKN: one-hot DNA (L, 4) in; for each task expected counts (L, 2) out.
    default_dataloader : class or None
        Kipoiseq's SeqIntervalDl; None for a model of variable length.
    """

    def __init__(self, path, seq_model):
        import keras

        needed = [f"{task}/{head}" for task in seq_model.tasks for head in ("profile", "counts")]
        if sorted(seq_model.target_names) != sorted(needed):
            raise ModelError("{}: heads {}; a BPNet with a profile and a counts head for each task is needed".format(
                path, ", ".join(seq_model.target_names)))
        self._seq_model = seq_model
        self.model = seq_model.model
        self.name, self.source_dir, self.args = path, path, {"seq_model": PICKLE}
        length = keras.backend.int_shape(self.model.inputs[0])[1]
        self.schema = _schema(length, seq_model.tasks)
        self.default_dataloader = _dataloader(length) if length else None

    def predict_on_batch(self, inputs):
        """(n, L, 4) one-hot DNA -> task: (n, L, 2) expected counts at each position and strand."""
        heads = self._seq_model.predict(inputs, batch_size=None)
        return {task: heads[task + "/profile"] * np.exp(heads[task + "/counts"][:, np.newaxis])
                for task in self._seq_model.tasks}


def _schema(length, tasks):
    from kipoi.specs import ModelSchema

    targets = {task: {"shape": str((length, 2)), "doc": f"expected counts of {task}"} for task in tasks}
    return ModelSchema.from_config({
        "inputs": {"name": "seq", "shape": str((length, 4)), "special_type": "DNASeq", "doc": "one-hot DNA, ACGT"},
        "targets": targets})


def _dataloader(length):
    from kipoi.specs import DataLoaderImport

    return DataLoaderImport(defined_as="kipoiseq.dataloaders.SeqIntervalDl", default_args={
        "auto_resize_len": length, "label_dtype": "str", "ignore_targets": True}).get()
