"""What a model may return, and what it may raise while it is imported, made and asked."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import LENGTH, MARKS, member_weights, write_model

from kipoi_deepmr.cli import main
from kipoi_deepmr.errors import InputError
from kipoi_deepmr.models import Ensemble
from kipoi_deepmr.models.host import tensors
from kipoi_deepmr.models.host.errors import ModelError
from kipoi_deepmr.models.kipoi_model import KipoiModel

SEQUENCES = np.random.default_rng(5).choice(np.frombuffer(b"ACGT", np.uint8), (6, LENGTH))

# what is done with float64 predictions, the framework that it takes, and how precise the answer is then
RETURNED = {
    "a tensor that needs a gradient": ("torch.tensor(predicted, requires_grad=True)", "torch", "float64"),
    "a tensor of a graph": ("torch.tensor(predicted, requires_grad=True) * 1", "torch", "float64"),
    "torch's bfloat16": ("torch.tensor(predicted).to(torch.bfloat16)", "torch", "bfloat16"),
    "torch's bfloat16 with a gradient": (
        "torch.tensor(predicted, requires_grad=True).to(torch.bfloat16)", "torch", "bfloat16"),
    "torch's float16": ("torch.tensor(predicted).half()", "torch", "float16"),
    "a sparse tensor": ("torch.tensor(predicted).to_sparse()", "torch", "float64"),
    "a tensor turned round": ("torch.tensor(predicted.T.copy()).T", "torch", "float64"),
    "a list of tensors": ("[torch.tensor(predicted[:, k]) for k in range(3)]", "torch", "float64"),
    "a tensor for each sequence, one number each": (
        "[torch.tensor(value, requires_grad=True) for value in predicted[:, 0]]", "torch", "float64"),
    "TensorFlow's tensor": ("tf.constant(predicted)", "tensorflow", "float64"),
    "TensorFlow's variable": ("tf.Variable(predicted)", "tensorflow", "float64"),
    "TensorFlow's bfloat16": ("tf.cast(predicted, tf.bfloat16)", "tensorflow", "bfloat16"),
    "TensorFlow's float16": ("tf.cast(predicted, tf.float16)", "tensorflow", "float16"),
    "numpy's float16": ("predicted.astype(np.float16)", None, "float16"),
    "big-endian numbers": ("predicted.astype('>f4')", None, "float32"),
    "long doubles": ("predicted.astype(np.longdouble)", None, "float64"),
    "a matrix": ("np.asmatrix(predicted)", None, "float64"),
    "a subclass of arrays": ("predicted.view(Marked)", None, "float64"),
    "a masked array without a mask": ("np.ma.masked_array(predicted)", None, "float64"),
    "a table": ("pd.DataFrame(predicted)", "pandas", "float64"),
    "a sparse matrix": ("sparse.csr_matrix(predicted)", "scipy", "float64"),
    "nested lists": ("predicted.tolist()", None, None),
}
IMPORTS = {"torch": "import torch", "tensorflow": "import tensorflow as tf", "pandas": "import pandas as pd",
           "scipy": "from scipy import sparse"}


def write(folder, k=0, answer="predicted", head="", start=""):
    """A model whose prediction goes through an expression; code at its import and at its start."""
    model = write_model(folder / f"m{k}", member_weights()[k])
    path = Path(model) / "model.py"
    path.write_text(head + "\n" + path.read_text().replace("return predicted", f"return {answer}").replace(
        "        self.weights =", f"        {start or 'pass'}\n        self.weights =")
        + "\n\nclass Marked(np.ndarray):\n    pass\n")
    return model


@pytest.mark.parametrize("kind", RETURNED)
def test_what_a_model_returns_becomes_numbers(tmp_path, kind):
    answer, framework, precision = RETURNED[kind]
    if framework:
        pytest.importorskip(framework)
    expected = KipoiModel(write(tmp_path / "plain"), "dir").predict(SEQUENCES)
    if kind == "nested lists":  # of numbers, which are no arrays: refused as what they are
        with pytest.raises(InputError, match="m0.*(shape|output)"):
            KipoiModel(write(tmp_path, 0, answer), "dir")
        return
    folder = write(tmp_path, 0, answer, IMPORTS.get(framework, ""))
    if "one number each" in kind:
        text = (Path(folder) / "model.yaml").read_text()
        (Path(folder) / "model.yaml").write_text(re.sub(r"column_labels: \[.*?\]", "column_labels: [A]", text))
    model = KipoiModel(folder, "dir")
    found, described = model.predict(SEQUENCES), model.describe()
    assert type(found) is np.ndarray and found.dtype in (np.float32, np.float64)
    tolerance = {"bfloat16": 2 ** -8, "float16": 2 ** -11, "float32": 1e-7, "float64": 1e-15}[precision]
    expected = expected[..., :found.shape[-1]]
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=1e-12)
    assert described.precision == precision
    assert precision == "float64" or found.dtype == np.float32 and not np.array_equal(found, expected)


def test_what_is_masked_is_no_number():
    masked = np.ma.masked_array([[1.0, 2.0]], mask=[[False, True]])
    np.testing.assert_array_equal(tensors.as_array(masked), [[1.0, np.nan]])


@pytest.mark.parametrize("value", [object(), "text", {1, 2}])
def test_what_is_no_array(value):
    with pytest.raises(ModelError, match="holds (object|<U4), not numbers"):
        from kipoi_deepmr.models.host.columns import arrays_of
        arrays_of(value, 3)


def test_a_tensor_on_another_device_is_fetched():
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("needs a graphics card")
    value = torch.ones(2, 3, device="cuda", requires_grad=True).to(torch.bfloat16)
    np.testing.assert_array_equal(tensors.as_array(value), np.ones((2, 3), np.float32))


@pytest.mark.parametrize("python", [None, sys.executable])
def test_small_numbers_beside_tensors_are_the_same_in_a_process_of_its_own(tmp_path, python):
    pytest.importorskip("torch")
    answer = "torch.tensor(predicted, requires_grad=True)"
    model = KipoiModel(write(tmp_path, 0, answer, IMPORTS["torch"]), "dir", python=python)
    expected = KipoiModel(write(tmp_path / "plain"), "dir").predict(SEQUENCES)
    try:
        np.testing.assert_array_equal(model.predict(SEQUENCES), expected)
    finally:
        model.close()


# What it may raise

RAISED = ["sys.exit(3)", "sys.exit()", "exit(1)", "raise SystemExit('no licence')", "raise GeneratorExit", "1 / 0",
          "raise StopIteration", "raise type('Own', (BaseException,), {})('mine')", "raise AssertionError",
          "import argparse; argparse.ArgumentParser().parse_args(['--none'])", "raise RuntimeError('a' * 3)"]


@pytest.mark.parametrize("raised", RAISED)
@pytest.mark.parametrize("python", [None, sys.executable])
def test_whatever_is_raised_is_an_error_of_the_model(tmp_path, raised, python):
    code = f"import sys; {raised}"
    for k, options in enumerate(({"head": code}, {"start": code})):
        with pytest.raises(InputError, match="model .*m0 cannot be loaded: [A-Z]") as caught:
            KipoiModel(write(tmp_path / str(k), **options), "dir", python=python)
        assert "\n" not in str(caught.value)
    if python is None:
        call = f"exec({code!r}) or predicted"
        with pytest.raises(InputError, match="model .*m0 failed to predict 4 sequences: [A-Z]"):
            KipoiModel(write(tmp_path / "call", answer=call), "dir")


@pytest.mark.parametrize("where", ["head", "start"])
def test_the_command_ends_with_exit_code_2_and_names_the_model(tmp_path, capsys, where):
    models = [write(tmp_path, k, **{where: "import sys; sys.exit(7)"}) for k in range(2)]
    assert main(["check", *models, "--source", "dir"]) == 2
    said = capsys.readouterr().err
    assert f"error: model {models[0]} cannot be loaded: SystemExit: 7" in said and said.count("\n") == 1


def test_an_interrupt_of_the_user_is_none_of_the_models(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        KipoiModel(write(tmp_path, start="raise KeyboardInterrupt"), "dir")


def test_an_exit_while_it_predicts_later(tmp_path):
    """Of some sequences alone, as bad code does; the ensemble ends with the model's name."""
    answer = "predicted if len(x) != 5 else exit(1)"
    ensemble = Ensemble.from_kipoi([write(tmp_path, k, answer) for k in range(2)], "dir")
    with pytest.raises(InputError, match="m0 failed to predict 5 sequences: SystemExit: 1"):
        ensemble.predict(SEQUENCES[:5])


def test_a_dataloader_that_exits(tmp_path, bed_file, genome_file, monkeypatch):
    model = KipoiModel(write(tmp_path), "dir")
    monkeypatch.setattr(model._host._model.default_dataloader, "__init__", lambda *_, **__: sys.exit(4))
    with pytest.raises(InputError, match="the dataloader of model .*m0 cannot be opened: SystemExit: 4"):
        model.dataloader({"intervals_file": bed_file, "fasta_file": genome_file})


def test_marks_are_named_as_before(tmp_path):
    assert KipoiModel(write(tmp_path), "dir").describe().marks == MARKS
