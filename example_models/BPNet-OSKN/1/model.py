"""The class of Kipoi's BPNet-OSKN: a BPNet saved by Keras 2.2, of any size."""

import keras.backend as K
import numpy as np
from bpnet.functions import softmax
from bpnet.seqmodel import SeqModel
from keras.models import load_model
from kipoi.model import BaseModel


class BPNetOldSeqModel(BaseModel, SeqModel):
    """BPNet from its Keras file, one head pair (profile, counts) for each task in the file's order.

    Constructing one ends the Keras session of the process, and with it every other model there: one per process.

    Parameters
    ----------
    model_file : str
        What `model.save` of the SeqModel's Keras model wrote: inputs `seq`, `bias/<task>/profile` and
        `bias/<task>/counts`.
    """

    def __init__(self, model_file):
        K.clear_session()
        self.model = load_model(model_file, compile=False)
        bias_inputs = self.model.input_names[1:]
        self.target_names = [name.split("/", 1)[1] for name in bias_inputs]
        self.tasks = [name.split("/")[0] for name in self.target_names[::2]]
        self.postproc_fns = [softmax, None] * len(self.tasks)
        self.seqlen = K.int_shape(self.model.inputs[0])[1]

    def predict_on_batch(self, seq):
        """(n, L, 4) one-hot DNA -> task: (n, L, 2) expected counts at each position and strand."""
        heads = self.predict(seq, batch_size=None)
        return {task: heads[task + "/profile"] * np.exp(heads[task + "/counts"][:, np.newaxis]) for task in self.tasks}

    def neutral_bias_inputs(self, length, seqlen):
        """The control track of a sequence without bias, for each head."""
        shapes = {"profile": (length, seqlen, 4), "counts": (length, 2)}
        return {"bias/" + target: np.zeros(shapes[target.split("/")[1]]) for target in self.target_names}
