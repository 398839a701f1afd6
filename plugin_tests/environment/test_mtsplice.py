"""MTSplice's own nets, trained weights and all, in their own Python."""

import json

import numpy as np
from conftest import EXAMPLES, environment_python, run_python

from kipoi_deepmr.loci import BedSource, Genome, read_bed, select
from kipoi_deepmr.models import Ensemble

FOLDER = EXAMPLES / "MTSplice"

# The nets of the package, without Kipoi, our model.py or our worker.
DIRECT = """
import json, sys
import numpy as np
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from tensorflow.keras.models import load_model
package = Path(find_spec("mmsplice").origin).parent
spec = spec_from_file_location("layers", package / "layers.py")
layers = module_from_spec(spec)
spec.loader.exec_module(layers)
sequences = json.load(sys.stdin)
x = np.array([["ACGT".index(base) for base in sequence] for sequence in sequences])
x = np.eye(4, dtype="float32")[x]
answers = []
for k in (0, 1):
    net = load_model(package / "models" / f"mtsplice_deep{k}.h5", custom_objects=vars(layers), compile=False)
    answers.append(net.predict_on_batch([x[:, :400], x[:, -400:]]).tolist())
print(json.dumps(answers))
"""


def test_predictions_are_those_of_the_nets_themselves(tmp_path):
    python = environment_python("keras2-py38")
    fasta = tmp_path / "exons.fa"
    fasta.write_bytes((FOLDER / "exons.fa").read_bytes())
    bed = str(FOLDER / "exons.bed")
    with Ensemble.from_kipoi([str(FOLDER / "deep0"), str(FOLDER / "deep1")], "dir",
                             pythons=2 * [python], settings={"length": 705}) as ensemble, Genome(str(fasta)) as genome:
        loci = select(BedSource(read_bed(bed), genome, 705, bed)).loci
        predicted = ensemble.predict(loci.sequences)
    assert predicted.shape == (2, 4, 56) and "RPE/Choroid/Sclera - Eye" in ensemble.marks
    exons = [bytes(sequence).decode() for sequence in loci.sequences]
    assert all(exon[298:300] == "AG" and exon[405:407] == "GT" for exon in exons)
    done = run_python(python, "-c", DIRECT, input=json.dumps(exons))
    np.testing.assert_allclose(predicted, json.loads(done.stdout.splitlines()[-1]), rtol=1e-5, atol=1e-6)
    assert np.abs(predicted[0] - predicted[1]).max() > 0.01
