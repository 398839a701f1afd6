"""The same weights in workers of Python 3.7, 3.8 and PyTorch, and in this process, give the same effects.

The Keras files are written by Keras 2.2.4 on Python 3.7: Keras 2.13 on Python 3.8 reads them as they are, this process
through tf_keras.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import pythons
from conftest import environment_python, run_python

from kipoi_deepmr import dna
from kipoi_deepmr.models.host import session
from kipoi_deepmr.models.kipoi_model import KipoiModel

LENGTH, FILTERS, WIDTH, MARKS = 24, 6, 5, ("A", "B", "C")

YAML = """
defined_as: {defined_as}
args: {{ {arguments} }}
default_dataloader:
  defined_as: kipoiseq.dataloaders.SeqIntervalDl
  default_args: {{ignore_targets: True}}
info: {{authors: [{{name: test}}], doc: test}}
schema:
  inputs: {{shape: "({length}, 4)", doc: dna}}
  targets: {{shape: "({n_marks},)", doc: marks, column_labels: [{marks}]}}
"""

KERAS = """
import sys
import keras
import numpy as np

folder, length, filters, width, n_marks = sys.argv[1], *map(int, sys.argv[2:])
network = keras.models.Sequential([
    keras.layers.Conv1D(filters, width, activation="relu", input_shape=(length, 4)),
    keras.layers.MaxPooling1D(2),
    keras.layers.Flatten(),
    keras.layers.Dense(n_marks),
])
with np.load(folder + "/weights.npz") as weights:
    network.set_weights([weights[name] for name in ("kernel", "bias", "dense_kernel", "dense_bias")])
with open(folder + "/model.json", "w") as architecture:
    architecture.write(network.to_json())
network.save_weights(folder + "/weights.h5")
"""

TORCH = """
import torch


class Network(torch.nn.Module):
    def __init__(self, length, filters, width, n_marks):
        super().__init__()
        self.convolution = torch.nn.Conv1d(4, filters, width)
        self.dense = torch.nn.Linear((length - width + 1) // 2 * filters, n_marks)

    def forward(self, x):
        hidden = torch.nn.functional.max_pool1d(torch.relu(self.convolution(x.transpose(1, 2))), 2)
        return self.dense(hidden.transpose(1, 2).flatten(1))
"""


@pytest.fixture(scope="module")
def weights():
    """Of the network, as Keras lays them out."""
    rng = np.random.default_rng(5)
    n_hidden = (LENGTH - WIDTH + 1) // 2 * FILTERS
    shapes = {"kernel": (WIDTH, 4, FILTERS), "bias": FILTERS, "dense_kernel": (n_hidden, len(MARKS)),
              "dense_bias": len(MARKS)}
    return {name: 0.3 * rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


@pytest.fixture(scope="module")
def sequences():
    return np.random.default_rng(6).choice(dna.BASES, (3, LENGTH))


@pytest.fixture(scope="module")
def expected(weights, sequences):
    """Effects (sequence, 3 L, mark), one mutant after the other in float64."""
    effects = []
    for sequence in sequences:
        reference = forward(weights, sequence)
        effects.append([forward(weights, np.concatenate([sequence[:i], [base], sequence[i + 1:]])) - reference
                        for i in range(LENGTH) for base in dna.BASES if base != sequence[i]])
    return np.array(effects)


def forward(weights, sequence):
    kernel, bias, dense_kernel, dense_bias = (weights[name].astype(float)
                                              for name in ("kernel", "bias", "dense_kernel", "dense_bias"))
    codes = ["ACGT".index(base) for base in dna.decode(sequence)]
    hidden = [bias + sum(kernel[k, codes[i + k]] for k in range(WIDTH)) for i in range(LENGTH - WIDTH + 1)]
    pooled = [np.maximum(0, np.maximum(hidden[i], hidden[i + 1])) for i in range(0, len(hidden) - 1, 2)]
    return np.concatenate(pooled) @ dense_kernel + dense_bias


def write_yaml(folder, defined_as, arguments):
    (folder / "model.yaml").write_text(YAML.format(
        defined_as=defined_as, arguments=arguments, length=LENGTH, n_marks=len(MARKS), marks=", ".join(MARKS)))


@pytest.fixture(scope="module")
def keras_model(weights, tmp_path_factory):
    folder = tmp_path_factory.mktemp("keras")
    np.savez(folder / "weights.npz", **weights)
    sizes = LENGTH, FILTERS, WIDTH, len(MARKS)
    done = run_python(environment_python("bpnet-py37"), "-c", KERAS, folder, *sizes)
    assert done.returncode == 0, done.stderr[-3000:]
    (folder / "weights.npz").unlink()
    write_yaml(folder, "kipoi.model.KerasModel", "arch: model.json, weights: weights.h5")
    return str(folder)


@pytest.fixture(scope="module")
def torch_model(weights, tmp_path_factory):
    torch = pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("torch")
    (folder / "network.py").write_text(TORCH)
    kernel, dense = weights["kernel"].transpose(2, 1, 0), weights["dense_kernel"].T
    named = {"convolution.weight": kernel, "convolution.bias": weights["bias"],
             "dense.weight": dense, "dense.bias": weights["dense_bias"]}
    torch.save({name: torch.from_numpy(array.copy()) for name, array in named.items()}, folder / "weights.pth")
    sizes = f"length: {LENGTH}, filters: {FILTERS}, width: {WIDTH}, n_marks: {len(MARKS)}"
    write_yaml(folder, "kipoi.model.PyTorchModel",
               f"module_file: network.py, module_class: Network, module_kwargs: {{ {sizes} }}, weights: weights.pth")
    return str(folder)


def effects(model, python, sequences):
    member = KipoiModel(model, "dir", python=python)
    try:
        assert member.describe().marks == MARKS
        predicted = np.stack([member.mutants(sequence)[0] for sequence in sequences])
    finally:
        member.close()
    return predicted[:, 1:] - predicted[:, :1], member.describe().versions


@pytest.mark.parametrize("environment, versions", [
    ("bpnet-py37", {"python": "3.7", "keras": "2.2.4", "tensorflow": "1.14"}),
    ("keras2-py38", {"python": "3.8", "keras": "2.13", "tensorflow": "2.13"}),
])
def test_keras_in_its_own_python(environment, versions, keras_model, sequences, expected):
    found, told = effects(keras_model, environment_python(environment), sequences)
    assert all(told[name].startswith(version) for name, version in versions.items()), told
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("python", [None, sys.executable], ids=["in this process", "in a worker"])
def test_tf_keras_here(python, keras_model, sequences, expected):
    pytest.importorskip("tf_keras")
    found, _ = effects(keras_model, python, sequences)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("python", [None, sys.executable], ids=["in this process", "in a worker"])
def test_torch(python, torch_model, sequences, expected):
    found, _ = effects(torch_model, python, sequences)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_the_effects_are_large_enough_to_compare(expected):
    assert np.abs(expected).max() > 0.3 and (np.abs(expected).max(axis=(0, 1)) > 0.1).all()



def test_host_compiles_in_python_3_6(tmp_path):
    python = pythons.installed("3.6")
    if python is None:
        pytest.skip("there is no Python 3.6 here")
    files = [str(path) for path in Path(session.__file__).parent.glob("*.py")]
    code = "import sys\nfor path in sys.argv[1:]: compile(open(path, encoding='utf-8').read(), path, 'exec')"
    compiled = subprocess.run([python, "-c", code, *files], capture_output=True, text=True)
    assert compiled.returncode == 0, compiled.stderr
