"""One net of MTSplice's ensemble (PyPI package mmsplice), from the sequence of an exon and its introns' ends."""

import os
from importlib.util import find_spec, module_from_spec, spec_from_file_location

from kipoi.model import BaseModel

SITE = 400  # bases around each splice site that the net sees: 300 of the intron, 100 of the exon


class MTSplice(BaseModel):
    """Effect of sequence on the inclusion of an exon in 56 tissues (logit scale, relative to their mean).

    Input is (n, L, 4): 300 bases of intron, the exon (at least 100 bases), 300 bases of intron, on the exon's strand.

    Parameters
    ----------
    net : str
        Name of a weights file in mmsplice/models, such as mtsplice_deep0.
    """

    def __init__(self, net):
        from tensorflow.keras.models import load_model

        package = os.path.dirname(find_spec("mmsplice").origin)
        layers = _module(os.path.join(package, "layers.py"))
        self.model = load_model(os.path.join(package, "models", net + ".h5"), compile=False,
                                custom_objects={"SplineWeight1D": layers.SplineWeight1D})

    def predict_on_batch(self, x):
        """(n, L, 4) one-hot DNA to (n, 56)."""
        return self.model.predict_on_batch([x[:, :SITE], x[:, -SITE:]])


def _module(path):
    """A module by its path: importing mmsplice itself needs packages that the nets do not."""
    spec = spec_from_file_location("mmsplice_layers", path)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
