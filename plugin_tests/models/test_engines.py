"""`--engine`: the exact engine gives what the models themselves give, and is not used where it would not."""

import functools
import json
import logging
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import EXAMPLES, environment_python

from kipoi_deepmr import dna, pipeline
from kipoi_deepmr.cli import main
from kipoi_deepmr.effects_store import RECORD, open_effects
from kipoi_deepmr.errors import InputError
from kipoi_deepmr.models import Ensemble
from kipoi_deepmr.mutagenesis import engines, exact_engine, trust, worth

LENGTH = 40
EXAMPLE = EXAMPLES / "tf_cooperativity"
BPNET, MTSPLICE = EXAMPLES / "BPNet-OSKN", EXAMPLES / "MTSplice"

YAML = """
defined_as: {defined_as}
args: {{ {arguments} }}
default_dataloader:
  defined_as: kipoiseq.dataloaders.SeqIntervalDl
  default_args: {{ignore_targets: True, auto_resize_len: {length}}}
info: {{authors: [{{name: test}}], doc: test}}
schema:
  inputs: {{shape: "{shape}", doc: dna}}
  targets: {targets}
"""

CODE = """
import keras
import numpy as np
from kipoi.model import BaseModel


class Model(BaseModel):
    def __init__(self, net):
        self.model = keras.saving.load_model(net, compile=False)

    def predict_on_batch(self, x):
        out = self.model.predict_on_batch(x)
        {code}
"""


@functools.cache  # tests write it, and do not change it
def network(seed, outputs="vector", layer=None):
    """A small network with random weights; `profile` outputs: logits (L, 2) of a profile, and counts (2,)."""
    import keras

    keras.utils.set_random_seed(seed)
    k = keras.layers
    first = k.Input((LENGTH, 4), name="seq")
    x = k.Conv1D(12, 5, padding="same", activation="relu")(first)
    x = k.Dropout(0.2)(k.Conv1D(8, 3, padding="same", activation="relu")(x))
    x = layer(k)(x) if layer else x
    pooled = k.GlobalAveragePooling1D()(x)
    if outputs == "profile":
        return keras.Model(first, [k.Conv1D(2, 9, padding="same", name="shape")(x), k.Dense(2, name="size")(pooled)])
    return keras.Model(first, k.Dense(3)(k.Dense(10, activation="relu")(k.Flatten()(x))))


def write(folder, net, code="return out", targets='{shape: "(3,)", doc: marks}'):
    """A Kipoi model of a class of its own around a network."""
    folder.mkdir(parents=True)
    net.save(folder / "net.keras")
    (folder / "model.py").write_text(CODE.format(code=code))
    (folder / "model.yaml").write_text(YAML.format(defined_as="model.Model", arguments="net: net.keras", length=LENGTH,
                                                   shape=(LENGTH, 4), targets=targets))
    return str(folder)


def random_sequence(length, seed=0):
    return np.random.default_rng(seed).choice(dna.BASES, length)


def compared(ensemble, wanted="exact", **tolerance):
    """Predictions of mutants by the engine that auto chooses, after they were compared with naive ones."""
    sequence = random_sequence(ensemble.length)
    chosen = engines.choose(ensemble)
    assert {choice.engine for choice in chosen.choices} == {wanted}, chosen.choices
    found = chosen.mutants(sequence)
    assert_same(found, engines.choose(ensemble, "naive").mutants(sequence), **tolerance)
    return found


def assert_same(found, naive, tolerance=2e-5):
    """Predictions to a tolerance of the largest prediction, effects to the same of the largest effect."""
    assert found.shape == naive.shape
    assert np.abs(found - naive).max() <= tolerance * np.abs(naive).max()
    effects, expected = (each[:, 1:] - each[:, :1].astype(np.float64) for each in (found, naive))
    assert np.abs(effects - expected).max() <= tolerance * np.abs(expected).max() + trust.ROUNDING * np.abs(naive).max()


# Real models


def test_mpra_dragonn(mpra_dragonn):
    """The zoo's own weights: columns as members, dropout masks, the reverse complement; live, and from its files."""
    columns = {"rep1": [0, 3], "rep2": [1, 4]}
    with Ensemble.from_kipoi([mpra_dragonn], "dir", member_columns=columns) as ensemble:
        live = compared(ensemble)
    with Ensemble.from_kipoi([mpra_dragonn], "dir", settings={"mc_dropout": 2, "augment": ["rc"]}) as ensemble:
        compared(ensemble)
        assert ensemble.names[1::2] == ("MPRA-DragoNN:dropout1,rc", "MPRA-DragoNN:dropout2,rc")
    with Ensemble.from_kipoi([mpra_dragonn], "dir", member_columns=columns, pythons=[sys.executable]) as ensemble:
        np.testing.assert_array_equal(compared(ensemble), live)


@pytest.mark.parametrize("settings", [
    {}, {"mark_summary": "mean", "scale": "log1p"}, {"mark_summary": "max", "mark_window": [50, 120]},
    {"mark_summary": "profile_mean", "mark_window": [50, 120]},
])
@pytest.mark.environment
def test_bpnet_of_tensorflow_1(settings):
    """Its HDF5 file is read here, while Python 3.7 runs it; softmax(profile) exp(counts) is recognised."""
    python = environment_python("bpnet-py37")
    with Ensemble.from_kipoi([str(BPNET / "1")], "dir", pythons=[python], settings=settings, strict=False) as ensemble:
        assert ensemble.marks == ("Oct4", "Sox2", "Nanog", "Klf4")
        compared(ensemble)


@pytest.mark.environment
def test_mtsplice_is_predicted_as_a_whole():
    """Its class cuts the sequence into two inputs of 400 bases."""
    python = environment_python("keras2-py38")
    with Ensemble.from_kipoi([str(MTSPLICE / "deep0")], "dir", pythons=[python], settings={"length": 610},
                             strict=False) as ensemble:
        chosen = engines.choose(ensemble)
        assert chosen.choices[0].why == "its network takes 400 bases, not 610"
        assert chosen.choices[0].engine == "naive" and chosen.by_model[0].is_naive
        with pytest.raises(InputError, match="--engine exact: model .*deep0: its network takes 400"):
            engines.choose(ensemble, "exact")


TORCH = """
import torch

net = torch.nn.Sequential(torch.nn.Conv1d(4, 8, 5), torch.nn.ReLU(), torch.nn.Dropout(0.3), torch.nn.MaxPool1d(2),
                          torch.nn.Flatten(), torch.nn.Linear(144, 3))
"""


def torch_models(tmp_path, code=TORCH):
    """Two Kipoi models of PyTorch."""
    torch = pytest.importorskip("torch")
    names, folders = {}, []
    exec(code, names)  # ours, above
    for k in range(2):
        torch.manual_seed(k)
        names["net"].apply(lambda module: hasattr(module, "reset_parameters") and module.reset_parameters())
        folder = tmp_path / f"m{k}"
        folder.mkdir()
        torch.save(names["net"].state_dict(), folder / "weights.pth")
        (folder / "net.py").write_text(code)
        (folder / "model.yaml").write_text(YAML.format(
            defined_as="kipoi.model.PyTorchModel", length=LENGTH, shape=(4, LENGTH),
            arguments="module_file: net.py, module_obj: net, weights: weights.pth",
            targets='{shape: "(3,)", doc: marks}').replace("ignore_targets", "alphabet_axis: 0, ignore_targets"))
        folders.append(str(folder))
    return folders


@pytest.mark.parametrize("settings", [{}, {"mc_dropout": 2, "augment": ["rc"]}])
def test_torch(settings, tmp_path):
    """In this process and in the model's own, which sends a record of its network's calls: the same to the bit."""
    folders = torch_models(tmp_path)
    with Ensemble.from_kipoi(folders, "dir", settings=settings) as ensemble:
        live = compared(ensemble)
    with Ensemble.from_kipoi(folders, "dir", pythons=2 * [sys.executable], settings=settings) as ensemble:
        np.testing.assert_array_equal(compared(ensemble), live)


@pytest.mark.environment
def test_older_torch(tmp_path):
    """PyTorch 1.13, which has no torch.export, in Python 3.8, with dropout masks."""
    with Ensemble.from_kipoi(torch_models(tmp_path), "dir", pythons=2 * [environment_python("torch-py38")],
                             settings={"mc_dropout": 2}) as ensemble:
        assert ensemble.models[0].describe().versions["torch"].startswith("1.13")
        compared(ensemble)


@pytest.mark.parametrize("name", [None, pytest.param("torch-py38", marks=pytest.mark.environment)])
def test_torch_that_cannot_be_recorded_in_a_worker(tmp_path, name):
    code = TORCH + """

class Looks(torch.nn.Sequential):
    def forward(self, x):
        return super().forward(x) * (1 if x.sum() > 0 else 2)


net = Looks(*net)
"""
    python = environment_python(name) if name else sys.executable
    with Ensemble.from_kipoi(torch_models(tmp_path, code)[:1], "dir", pythons=[python], strict=False) as ensemble:
        chosen = engines.choose(ensemble).choices[0]
    assert chosen.engine == "naive" and "looks at the values of its input (__bool__ of a tensor)" in chosen.why


# The command


@pytest.fixture
def run(tmp_path, capsys):
    """Run a command on the example; its exit code, the folder and what it says."""
    loci = {"intervals_file": str(tmp_path / "loci.bed"), "fasta_file": str(EXAMPLE / "test_loci.fa")}
    (tmp_path / "loci.bed").write_text("".join(
        line for line in (EXAMPLE / "test_loci.bed").open().readlines()[:6]))

    def run(out, *options, models=tuple(str(EXAMPLE / k) for k in "12")):
        code = main(["run", *models, "--source", "dir", "--dataloader_args", json.dumps(loci), "--method", "ivw",
                     "-o", str(tmp_path / out), *options])
        return code, tmp_path / out, capsys.readouterr().err

    return run


def told(folder):
    return json.loads((folder / "run.json").read_text())


def test_the_example_by_both_engines(run):
    (code, exact, said), (other, naive, _) = run("exact"), run("naive", "--engine", "naive")
    assert code == other == 0 and "engine" not in said.replace("compiling the mutagenesis engine", "")
    assert told(exact)["settings"]["engine"] == "exact" and told(naive)["settings"]["engine"] == "naive"
    assert told(exact)["engines"]["asked"] == "auto" and told(naive)["engines"]["used"][0]["why"] == "as asked"
    for choice in told(exact)["engines"]["used"]:
        assert choice["engine"] == "exact" and "within 0.0001" in choice["why"]
    stores = [open_effects(str(folder / "effects.zarr")) for folder in (exact, naive)]
    assert stores[0].attrs["engines"] == told(exact)["engines"] and stores[0].attrs["settings"]["engine"] == "exact"
    for name in ("effect", "effect_se", "member_effect", "reference"):
        ours, expected = (store[name].values for store in stores)
        assert 0 < np.abs(ours - expected).max() < 2e-5 * np.abs(expected).max(), name


def test_a_run_never_mixes_engines(run):
    """auto that came to exact is the same run as exact, and another one than naive."""
    assert run("out")[0] == 0
    assert run("out", "--engine", "exact")[0] == 0
    code, _, said = run("out", "--engine", "naive")
    assert code == 2 and 'engine: "exact" -> "naive"' in said


def test_the_same_bytes_on_a_cluster(run):
    pytest.importorskip("distributed")
    code, here, _ = run("here", "-q")
    other, there, _ = run("there", "-q", "--dask", "local:2")
    assert code == other == 0 and told(there)["settings"]["engine"] == "exact"
    for path in (here / "effects.zarr").rglob("*.*"):
        if path.is_file() and not path.name.startswith(".z") and path.name != RECORD:  # their checksums
            assert path.read_bytes() == (there / path.relative_to(here)).read_bytes()


def test_check_tells_the_engine(capsys, monkeypatch):
    monkeypatch.setattr("kipoi_deepmr.mutagenesis.check.SECONDS", 0.02)
    models = [str(EXAMPLE / k) for k in "12"]
    costs = []
    for options, said in (((), "engine: exact: it predicts what the model does"),
                          (("--engine", "naive"), "engine: naive: as asked")):
        assert main(["check", *models, "--source", "dir", *options]) == 0
        out = capsys.readouterr().out
        assert said in out
        costs.append(float(re.search(r"cost: ([\d,]+) mutants", out)[1].replace(",", "")))
    assert min(costs) > 100


# Models whose class computes something after its network


POSTPROCESSING = {
    "sigmoid": ("vector", "return 1 / (1 + np.exp(-out))", '{shape: "(3,)", doc: marks}', {}),
    "softmax": ("vector", "return np.exp(out) / np.exp(out).sum(1, keepdims=True)", '{shape: "(3,)", doc: marks}', {}),
    "some columns": ("vector", "return out[:, [2, 0]]", '{shape: "(2,)", doc: marks}', {}),
    "columns, each by another function": (
        "vector", "return np.stack([np.exp(out[:, 1]), out[:, 2], -out[:, 0]], 1)", '{shape: "(3,)", doc: marks}', {}),
    "two outputs side by side": ("profile", "return np.concatenate([out[1], out[0].max(1)], 1)",
                                 '{shape: "(4,)", doc: marks}', {}),
    "mean over strands": ("profile", "return np.stack([out[1].mean(1), out[0].sum(1).mean(1)], 1)",
                          '{shape: "(2,)", doc: marks}', {}),
    "log counts of a profile": ("profile", "p = np.exp(out[0] - out[0].max(1, keepdims=True))\n        "
                                "return {'A': p / p.sum(1, keepdims=True) * np.exp(out[1])[:, None],"
                                "'B': np.exp(out[0])}", None, {}),
    "a window of a function of a profile": (
        "profile", "return {'A': np.exp(out[0]), 'B': np.log1p(np.exp(out[0]))}", None, {"mark_window": [3, 20]}),
    "means of a profile": ("profile", "return {'A': out[0] + 0, 'B': out[0].swapaxes(1, 2)}", None,
                           {"mark_summary": "mean"}),
}


@pytest.mark.parametrize("kind", POSTPROCESSING)
def test_what_a_class_computes_is_recognised_by_value(tmp_path, kind):
    outputs, code, targets, settings = POSTPROCESSING[kind]
    if targets is None:
        shape = f'shape: "({LENGTH}, 2)", doc: p'
        targets = f"{{A: {{{shape}}}, B: {{{shape}}}}}"
    models = [write(tmp_path / str(k), network(k, outputs), code, targets) for k in range(2)]
    with Ensemble.from_kipoi(models, "dir", settings=settings) as ensemble:
        compared(ensemble, tolerance=5e-5)


def letter_that_no_probe_has():
    """A position that the trust check mutates, and a letter that none of the first sequences tried has there."""
    tried = dna.BASES[np.random.default_rng(exact_engine.SEED).integers(0, 4, (exact_engine.N_PROBES, LENGTH))]
    for position in trust.sample(LENGTH):
        missing = set(b"ACGT") - set(tried[:, position].tolist())
        if missing:
            return position, b"ACGT".index(min(missing))
    raise AssertionError("the probes have every letter at every position")


UNTRUSTED = {
    "a function that is not known": ("return out / (1 + np.abs(out))", "is computed from its network's in a way"),
    "a number that rarely matters": ("return out * (1 + 0.001 * x[:, {}, {}])[:, None]", "its predictions differ"),
    "a difference that is small beside predictions": (
        "return out + 1000 + 0.001 * out.std() * x[:, {}, {}][:, None]", "is computed from its network's in a way"),
}


@pytest.mark.parametrize("kind", UNTRUSTED)
def test_models_whose_class_does_something_else_are_predicted_as_a_whole(tmp_path, capsys, kind):
    """The reason is in run.json and one line of standard error; `--engine exact` refuses."""
    code, reason = UNTRUSTED[kind]
    models = [write(tmp_path / f"m{k}", network(k), code.format(*letter_that_no_probe_has())) for k in range(2)]
    bases = "".join(map(chr, random_sequence(4 * LENGTH)))
    (tmp_path / "genome.fa").write_text(f">chr1\n{bases}\n")
    (tmp_path / "loci.bed").write_text("".join(f"chr1\t{i}\t{i + LENGTH}\n" for i in range(0, 4 * LENGTH, LENGTH)))
    command = ["run", *models, "--source", "dir", "--intervals_file", str(tmp_path / "loci.bed"),
               "--fasta_file", str(tmp_path / "genome.fa"), "--preset", "paper", "--method", "ivw", "--instrument_z",
               "1", "-o"]
    assert main([*command, str(tmp_path / "out")]) == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("engine naive for")]
    assert len(lines) == 1 and reason in lines[0] and "m0 and 1 more" in lines[0]
    used = told(tmp_path / "out")["engines"]["used"]
    assert [choice["engine"] for choice in used] == ["naive", "naive"] and reason in used[0]["why"]
    assert main([*command, str(tmp_path / "exact"), "--engine", "exact"]) == 2
    said = capsys.readouterr().err
    assert "--engine exact: model" in said and reason in said and said.count("\n") == 1
    assert not (tmp_path / "exact").exists()


def test_marks_that_are_not_used_need_not_be_trusted(tmp_path):
    """As OpenSpliceAI's `neither`, which is 1 to within rounding almost everywhere."""
    code = "return np.stack([out[:, 0], out[:, 1] / (1 + np.abs(out[:, 1])), out[:, 2]], 1)"
    models = [write(tmp_path / str(k), network(k), code) for k in range(2)]
    with Ensemble.from_kipoi(models, "dir") as ensemble:
        assert {choice.engine for choice in engines.choose(ensemble).choices} == {"naive"}
    with Ensemble.from_kipoi(models, "dir", marks=["mark_2", "mark_0"]) as ensemble:
        assert ensemble.marks == ("mark_2", "mark_0")
        compared(ensemble)


@pytest.fixture
def with_memory(tmp_path):
    """Two models with a recurrent layer."""
    return [write(tmp_path / f"m{k}", network(k, layer=lambda k: k.LSTM(4, return_sequences=True, name="memory")))
            for k in range(2)]


@pytest.mark.parametrize("taken, engine", [(0.25, "exact"), (2.0, "naive")])
def test_a_layer_that_is_not_known_is_named_and_left_to_the_model_if_that_pays(with_memory, monkeypatch, taken, engine):
    """Whichever engine it is, one line says why; asked for by name, the exact engine does it in any case."""
    monkeypatch.setattr("kipoi_deepmr.mutagenesis.worth.time_by_naive", lambda *_: taken)
    with Ensemble.from_kipoi(with_memory, "dir") as ensemble:
        compared(ensemble, engine)
        chosen = engines.choose(ensemble)
        line, = chosen.notes()
        assert line.startswith(f"engine {engine} for {with_memory[0]} and 1 more: ") and "memory" in line
        assert "LSTM" in line and f"{taken:.1f}"[:3] in line
        assert chosen.to_json()["engines"]["used"][0]["why"] in line
        by_name = engines.choose(ensemble, "exact")
        assert by_name.setting == "exact"
        sequence = random_sequence(LENGTH)
        assert_same(by_name.mutants(sequence), chosen.mutants(sequence))
        again = engines.again(ensemble, [("exact", None)] * 2)
        np.testing.assert_array_equal(again.mutants(sequence), by_name.mutants(sequence))


# in any Keras, with a recurrent layer and dropout before and after it
OLD_KERAS = """
import keras
import numpy as np
from kipoi.model import BaseModel


class Model(BaseModel):
    def __init__(self):
        k = keras.layers
        first = k.Input((40, 4), name="seq")
        x = k.Dropout(0.2)(k.MaxPooling1D(2)(k.Conv1D(12, 5, activation="relu")(first)))
        x = k.Dropout(0.3)(k.Bidirectional(k.LSTM(4, return_sequences=True), name="memory")(x))
        self.model = keras.models.Model(first, k.Dense(3)(k.GlobalMaxPooling1D()(x)))
        random = np.random.RandomState(0)
        self.model.set_weights([random.normal(size=each.shape) / 2 for each in self.model.get_weights()])

    def predict_on_batch(self, x):
        return self.model.predict_on_batch(x)
"""


OWN_KERAS = """
import keras
import numpy as np
from kipoi.model import BaseModel

k = keras.layers


class Own(k.Layer):
    def __init__(self, width):
        super().__init__(name="own")
        self.width = width

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1],), initializer="ones", name="kernel")

    def call(self, x):
        return keras.ops.cumsum(x, 1) * self.kernel / self.width


class Block(k.Layer):
    def __init__(self):
        super().__init__()
        self.conv, self.drop = k.Conv1D(12, 5, activation="relu"), k.Dropout(0.2)

    def call(self, x):
        return self.drop(self.conv(x))


class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.block, self.both, self.own = Block(), k.Lambda(lambda x: x + x[:, ::-1]), Own(9)
        self.drop, self.last = k.Dropout(0.3), k.Dense(3)

    def call(self, x):
        x = self.own(self.both(self.block(x)))
        return self.last(self.drop(keras.ops.max(x, 1)))


class Model(BaseModel):
    def __init__(self):
        keras.utils.set_random_seed(0)
        self.model = Net()

    def predict_on_batch(self, x):
        return self.model.predict_on_batch(x)
"""


def in_code(folder, code):
    """A Kipoi model that makes its network."""
    folder.mkdir()
    (folder / "model.py").write_text(code)
    (folder / "model.yaml").write_text(YAML.format(defined_as="model.Model", arguments="", length=LENGTH,
                                                   shape=(LENGTH, 4), targets='{shape: "(3,)", doc: marks}'))
    return [str(folder)]


TORCH_WITH_MEMORY = """
import torch


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first = torch.nn.Sequential(torch.nn.Conv1d(4, 8, 5), torch.nn.ReLU(), torch.nn.Dropout(0.3),
                                         torch.nn.MaxPool1d(2))
        self.memory, self.last = torch.nn.GRU(8, 5, batch_first=True, bidirectional=True), torch.nn.Linear(10, 3)
        self.drop = torch.nn.Dropout(0.2)

    def forward(self, x):
        x = self.first(x).transpose(1, 2)
        return self.last(self.drop(self.drop(self.memory(x)[0]).mean(1)))


net = Net()
"""


def split_as_naive(models, settings, python, layer):
    """Mutants by a split network are those of the model, each member with its own dropout masks."""
    with Ensemble.from_kipoi(models, "dir", settings=settings, pythons=python and len(models) * [python],
                             strict=False) as ensemble:
        chosen = engines.choose(ensemble, "exact")
        assert layer in chosen.choices[0].why and chosen.choices[0].why.startswith(exact_engine.SPLIT)
        assert chosen.by_model[0].is_apart == bool(python)
        sequence = random_sequence(LENGTH)
        found = chosen.mutants(sequence)
        assert_same(found, engines.naive(ensemble).mutants(sequence))
        if settings:
            members = found.reshape(-1, 2, *found.shape[1:])[:2, 0]
            assert np.abs(members[0] - members[1]).max() > 1e-3 * np.abs(found).max()
        return found


@pytest.mark.parametrize("settings", [{}, {"mc_dropout": 2, "augment": ["rc"]}])
@pytest.mark.parametrize("kind, layer", [("keras", "memory is of class Bidirectional"), ("torch", "operation gru")])
def test_a_network_is_split_in_any_process(tmp_path, kind, layer, settings):
    """In this process and in the model's own, to which the changed activations go."""
    models = in_code(tmp_path / "m", OLD_KERAS) if kind == "keras" else torch_models(tmp_path, TORCH_WITH_MEMORY)[:1]
    found = [split_as_naive(models, settings, python, layer) for python in (None, sys.executable)]
    assert_same(*found, tolerance=1e-6)


def test_a_keras_network_of_a_class_of_its_own_is_split(tmp_path):
    """In its own process: its layers are known or followed, but for one that has weights of its own."""
    split_as_naive(in_code(tmp_path / "m", OWN_KERAS), {"mc_dropout": 2, "augment": ["rc"]}, sys.executable,
                   "layer own is of class Own")


@pytest.mark.parametrize("settings", [{}, {"mc_dropout": 2, "augment": ["rc"]}])
@pytest.mark.parametrize("name", ["bpnet-py37", "keras2-py38"])
@pytest.mark.environment
def test_a_network_of_an_older_keras_is_split(tmp_path, name, settings):
    """TensorFlow 1 with Keras 2.2, and TensorFlow 2 with Keras 2.13."""
    split_as_naive(in_code(tmp_path / "m", OLD_KERAS), settings, environment_python(name),
                   "memory is of class Bidirectional")


@pytest.mark.parametrize("settings", [{}, {"mc_dropout": 2, "augment": ["rc"]}])
@pytest.mark.environment
def test_a_network_of_an_older_torch_is_split(tmp_path, settings):
    split_as_naive(torch_models(tmp_path, TORCH_WITH_MEMORY)[:1], settings, environment_python("torch-py38"), "gru")


@pytest.mark.parametrize("seconds", [
    lambda sequences: 1e-3 * sequences,  # more work takes longer
    lambda sequences: 1e-3,  # too little work to tell how much longer
    ])
@pytest.mark.parametrize("times", [0, 1, 4])
def test_what_a_split_takes_is_measured(with_memory, monkeypatch, seconds, times):
    """An engine that predicts each mutant so many times, by a clock that tells how many sequences were predicted."""
    with Ensemble.from_kipoi(with_memory[:1], "dir", strict=False) as ensemble:
        model, = ensemble.models
        predict, taken = model.predict, [0.0]

        def counted(sequences, item=None):
            taken.append(seconds(len(sequences)))
            return predict(sequences, item)

        def mutants_at(sequence, item, positions):
            for _ in range(times):
                model.predict(np.repeat(sequence[None], 3 * len(positions), 0), item)

        monkeypatch.setattr(model, "predict", counted)
        ratio = worth.time_by_naive(model, mutants_at, random_sequence(LENGTH), None, lambda: sum(taken))
        assert ratio == pytest.approx(times)


def test_members_choose_one_by_one(tmp_path):
    """Among members, and among the parts of a stack."""
    known, unknown = (write(tmp_path / name, network(k), code) for k, (name, code) in enumerate(
        [("known", "return out"), ("unknown", "return np.arctan(out)")]))
    for stacks in (None, [[("A", known), ("B", unknown)]]):
        with Ensemble.from_kipoi([known, unknown], "dir", stacks=stacks, strict=False) as ensemble:
            sequence = random_sequence(LENGTH)
            chosen = engines.choose(ensemble)
            assert [choice.engine for choice in chosen.choices] == chosen.setting == ["exact", "naive"]
            found = chosen.mutants(sequence)
            assert_same(found, engines.naive(ensemble).mutants(sequence))
            again = engines.again(ensemble, [("exact", None), ("naive", chosen.choices[1].batch_size)])
            np.testing.assert_array_equal(again.mutants(sequence), found)


def test_shifted_views_are_predicted_as_a_whole(tmp_path):
    model = write(tmp_path / "m", network(0))
    with Ensemble.from_kipoi([model], "dir", settings={"augment": ["shift=-1:1"]}) as ensemble:
        assert engines.choose(ensemble).choices[0][:3] == (model, "naive", "its shifted views hold unknown bases")
    with Ensemble.from_kipoi([model], "dir", settings={"augment": ["rc"], "mc_dropout": 2}) as ensemble:
        compared(ensemble)


def test_quiet_holds_back_the_message_of_compiling(caplog):
    logger = logging.getLogger("kipoi_deepmr")
    for is_told in (True, False):
        with exact_engine._telling(is_told):
            logger.warning("compiling")
    logger.warning("afterwards")
    assert [record.message for record in caplog.records] == ["compiling", "afterwards"]


def test_an_engine_that_nobody_knows(cooperativity):
    models, arguments = cooperativity
    with Ensemble.from_kipoi(models[:2], "dir") as ensemble:
        selection = pipeline.select_loci(ensemble, arguments, n_loci=2)
        with pytest.raises(InputError, match="engine: 'fast' is not one of its values"):
            pipeline.predict(ensemble, selection, str(Path("nowhere")), engine="fast")
