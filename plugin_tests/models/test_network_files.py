"""Networks in files: what is refused, in which words; what the file does not say is found by trying."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from kipoi_deepmr.errors import InputError
from kipoi_deepmr.models import Ensemble, Recipe
from kipoi_deepmr.models.host import file_model, network_file
from kipoi_deepmr.models.kipoi_model import KipoiModel
from kipoi_deepmr.models.patterns import matching_models, short_name, source_of
from kipoi_deepmr.models.sharing import write_kipoi_models
from kipoi_deepmr.mutagenesis import engines

torch = pytest.importorskip("torch")

LENGTH = 20
NET = """
import torch
import parts


class Net(torch.nn.Module):
    def __init__(self, filters=3):
        super().__init__()
        self.convolution = torch.nn.Conv1d(4, filters, 5)
        self.norm = torch.nn.BatchNorm1d(filters)
        self.dense = parts.head(filters * 16)

    def forward(self, x):
        return self.dense(torch.relu(self.norm(self.convolution(x))).flatten(1))


class Flat(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.dense = torch.nn.Linear(80, 2)

    def forward(self, x):
        return self.dense(x.flatten(1))


def no_network():
    return 3


def fails():
    raise RuntimeError("no such thing")
"""
PARTS = "import torch\n\n\ndef head(n):\n    return torch.nn.Linear(n, 2)\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """net.py, parts.py and three files of weights; the process stands there."""
    (tmp_path / "net.py").write_text(NET)
    (tmp_path / "parts.py").write_text(PARTS)
    monkeypatch.chdir(tmp_path)
    for k in range(3):
        torch.manual_seed(k)
        torch.save(made().state_dict(), f"fold{k}.pt")
    return tmp_path


def made(name="Net", **arguments):
    return network_file.make_network(f"net.py:{name}", arguments).eval()


def loaded(path, **settings):
    return KipoiModel(str(path), "dir", settings)


def refused(path, **settings):
    with pytest.raises(InputError) as raised:
        loaded(path, **settings)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_weights_with_their_class_predict_as_the_network(folder):
    model = loaded("fold1.pt", module="net.py:Net", interval_length=LENGTH)
    described = model.describe()
    assert (described.length, described.marks) == (LENGTH, ("mark_0", "mark_1"))
    assert described.layout == "input (4, 20): letters ACGT on axis 0, float32"
    sequences = np.random.default_rng(0).choice(np.frombuffer(b"ACGT", np.uint8), (5, LENGTH))
    network = made()
    network.load_state_dict(torch.load("fold1.pt", weights_only=True))
    one_hot = (sequences[:, None] == np.frombuffer(b"ACGT", np.uint8)[:, None]).astype(np.float32)
    with torch.no_grad():
        np.testing.assert_array_equal(model.predict(sequences)[0], network(torch.from_numpy(one_hot)).numpy())


def test_each_file_is_a_member_by_the_exact_engine_and_the_recipe_makes_the_same(folder, monkeypatch):
    ensemble = Ensemble.from_kipoi(matching_models(["fold*.pt"]), marks=["GATA", "TAL1"],
                                   settings={"module": "net.py:Net", "length": LENGTH})
    assert (ensemble.names, ensemble.marks) == (("fold0", "fold1", "fold2"), ("GATA", "TAL1"))
    assert {choice.engine for choice in engines.choose(ensemble).choices} == {"exact"}
    recipe = Recipe.from_json(json.loads(json.dumps(ensemble.recipe.to_json())))
    monkeypatch.chdir("/")
    again = Ensemble.from_recipe(recipe)
    assert (again.checksums, again.marks) == (ensemble.checksums, ensemble.marks)
    assert "module" not in ensemble.settings and recipe.module == f"{folder}/net.py:Net"


def test_the_checksum_covers_weights_and_all_of_their_python(folder):
    def checksum():
        return loaded("fold0.pt", module=f"{os.getcwd()}/net.py:Net", length=LENGTH).describe().checksum

    first = checksum()
    assert sorted(file_model.own_sources("net.py")) == ["net.py", "parts.py"]
    (folder / "unrelated.py").write_text("x = 1")
    assert checksum() == first
    (folder / "parts.py").write_text(PARTS + "# changed\n")
    second = checksum()
    Path("fold0.pt").write_bytes(Path("fold1.pt").read_bytes())
    assert len({first, second, checksum()}) == 3


@pytest.mark.parametrize("settings, said", [
    ({"length": LENGTH}, "fold0.pt: it holds weights without a network; name its class with --module FILE.py:CLASS"),
    ({"module": "net.py:Nett"}, "--module net.py:Nett: no class Nett there; its classes are: Net, Flat"),
    ({"module": "nett.py:Net"}, "--module nett.py:Net: no such file: nett.py"),
    ({"module": "net.py"}, "--module net.py: give FILE.py:CLASS"),
    ({"module": "no_such_package:Net"}, "--module no_such_package:Net: it cannot be imported: ModuleNotFoundError"),
    ({"module": "net.py:no_network"}, "no_network makes a int, no PyTorch or Keras network"),
    ({"module": "net.py:fails"}, "fails() failed: RuntimeError: no such thing"),
    ({"module": "net.py:Net", "module_args": {"filter": 2}},
     'Net(filters=3) cannot be called with {"filter": 2}: got an unexpected keyword argument'),
    ({"module": "net.py:Net"}, "its file does not tell how many bases the network takes; give --length"),
    ({"module": "net.py:Net", "length": 21}, "does not take one-hot DNA of 21 bases in any layout; as (4, 21): "
                                             "RuntimeError: mat1 and mat2 shapes cannot be multiplied"),
    ({"module": "net.py:Net", "module_args": {"filters": 4}, "length": LENGTH},
     "its weights do not fit net.py:Net: convolution.weight: (3, 4, 5) in the file, (4, 4, 5) in the network; "
     "convolution.bias: (3,) in the file, (4,) in the network; norm.weight: (3,) in the file, (4,) in the network; "
     "and 4 more"),
    ({"module": "net.py:Flat", "length": LENGTH},
     "its weights do not fit net.py:Flat: dense.weight: (2, 48) in the file, (2, 80) in the network; "
     "convolution.weight: not in the network"),
])
def test_what_does_not_fit_is_told_with_the_way_out(folder, settings, said):
    assert said in refused("fold0.pt", **settings)


def test_a_pickled_module_is_not_loaded(folder, monkeypatch):
    import sys

    monkeypatch.syspath_prepend(folder)
    import net

    torch.save(net.Net(), "whole.pt")
    torch.save({"state_dict": net.Net().state_dict(), "config": net.Net}, "partly.pt")
    del sys.modules["net"], sys.modules["parts"]
    (folder / "net.py").write_text("raise SystemExit('it was run')")
    for name in ("whole.pt", "partly.pt"):
        said = refused(name, module="json:JSONEncoder", length=LENGTH)
        assert "JSONEncoder makes" in said
    for name in ("whole.pt", "partly.pt"):
        said = refused(name, module="torch.nn:Flatten", length=LENGTH)
        assert "it holds pickled Python objects (net.Net), not only weights" in said
        assert "runs any code in the file, so it is not loaded; save torch.save(net.state_dict(), FILE)" in said


@pytest.mark.parametrize("before, after", [
    (b"torch.ops.aten.relu.default", b"torch.os.system"),
    (b"Symbol('s", b"exec('raise SystemExit')or Symbol('s"),
])
def test_a_program_of_torch_export_calls_nothing_but_operations(folder, before, after):
    import zipfile

    program = torch.export.export(made(), (torch.zeros(2, 4, LENGTH),), dynamic_shapes=({0: torch.export.Dim("n")},))
    torch.export.save(program, "good.pt2")
    assert loaded("good.pt2").describe().length == LENGTH
    with zipfile.ZipFile("good.pt2") as good, zipfile.ZipFile("bad.pt2", "w") as bad:
        contents = {name: good.read(name) for name in good.namelist()}
        assert any(before in content for content in contents.values())
        for name, content in contents.items():
            bad.writestr(name, content.replace(before, after))
    said = refused("bad.pt2")
    assert "it holds more than PyTorch's operations" in said and "so it is not loaded" in said


def test_a_keras_file_with_python_code_is_not_loaded(folder):
    keras = pytest.importorskip("keras")

    network = keras.Sequential([keras.Input((LENGTH, 4)), keras.layers.Lambda(lambda x: 2 * x), keras.layers.Flatten(),
                                keras.layers.Dense(2)])
    for name in ("code.h5", "code.keras"):
        network.save(name)
        assert "it holds a Lambda layer, Python code that loading the file would run" in refused(name)
    (folder / "build.py").write_text(f"""
import keras


def build():
    return keras.Sequential([keras.Input(({LENGTH}, 4)), keras.layers.Lambda(lambda x: 2 * x), keras.layers.Flatten(),
                             keras.layers.Dense(2)])
""")
    sequences = np.random.default_rng(2).choice(np.frombuffer(b"ACGT", np.uint8), (3, LENGTH))
    one_hot = (sequences[..., None] == np.frombuffer(b"ACGT", np.uint8)).astype(np.float32)
    predicted = loaded("code.h5", module="build.py:build").predict(sequences)[0]
    np.testing.assert_allclose(predicted, network.predict_on_batch(one_hot), rtol=1e-5)


def test_ambiguous_and_named_layouts(folder):
    torch.save(made("Flat").state_dict(), "flat.pt")
    said = refused("flat.pt", module="net.py:Flat", length=LENGTH)
    assert "takes DNA as (4, L) and as (L, 4)" in said and "--seq_layout says which is right" in said
    assert "letters ACGT on axis 1" in loaded("flat.pt", module="net.py:Flat", length=LENGTH,
                                              seq_layout="L,4").describe().layout


@pytest.mark.parametrize("name, content, said", [
    ("a.pt", b"hello world, this is text", "a.pt: not a network that we know (it begins with b'hello world,')"),
    ("a.pt", b"", "a.pt: not a network that we know (an empty file)"),
    ("a.pt", b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "a Git LFS pointer: run `git lfs pull`"),
    ("a.h5", b"\x89HDF\r\n\x1a\n" + b"\0" * 99, "a.h5: it cannot be read: OSError"),
    ("a.pt", b"PK\x03\x04" + b"\0" * 99, "a.pt: not a network that we know"),
    ("a.pt", b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19." + b"\0" * 9, "a.pt: it "),
    ("a.safetensors", b"\x09\0\0\0\0\0\0\0{\"a\": 3}x", "a.safetensors: it cannot be read: "),
])
def test_files_that_are_no_networks(tmp_path, monkeypatch, name, content, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_bytes(content)
    assert said in refused(name, module=None if name == "a.h5" else "torch.nn:Flatten")


def test_which_source_paths_and_names_have(folder):
    (folder / "model").mkdir()
    (folder / "model" / "model.yaml").write_text("")
    (folder / "Basset").mkdir()
    assert source_of(["fold1.pt"]) == source_of(["model", "fold*.pt"]) == source_of(["./x"]) == "dir"
    assert source_of(["Basset", "DeepSEA/predict"]) == source_of(["CpGenie/*"]) == "kipoi"
    assert source_of(["model"], "kipoi") == "kipoi" and source_of(["x.keras"]) == "dir"
    with pytest.raises(InputError, match="no model matches fold/x..pt in --source dir"):
        matching_models(["fold/x*.pt"])
    with pytest.raises(InputError, match="Basset: no such file or model directory, but fold1.pt is one"):
        source_of(["fold1.pt", "Basset"])
    assert matching_models(["*"]) == ["model"] and matching_models(["f*"]) == ["fold0.pt", "fold1.pt", "fold2.pt"]
    assert matching_models(["n*.py"]) == ["net.py"]
    assert [short_name(name) for name in ("a/fold1.pt", "m.0.keras", "Basset", "a/b/", ".pt", "x.weights.h5")] == [
        "fold1", "m.0", "Basset", "b", ".pt", "x"]


def test_marks_name_the_outputs_of_networks_that_name_none(folder):
    def marks(*chosen):
        return loaded("fold0.pt", module="net.py:Net", length=LENGTH, marks=list(chosen)).describe().marks

    assert marks("GATA", "TAL1") == ("GATA", "TAL1")
    assert marks("mark_1", "0") == ("mark_1", "mark_0")
    for chosen in (["GATA"], ["A", "A"], ["m*", "TAL1"]):
        with pytest.raises(InputError, match="--marks: the model has no mark"):
            marks(*chosen)


def test_init_writes_kipoi_directories_that_predict_the_same(folder):
    settings = {"module": "net.py:Net", "length": LENGTH}
    files = matching_models(["fold*.pt"])
    with Ensemble.from_kipoi(files, marks=["GATA", "TAL1"], settings=settings) as ensemble:
        written = write_kipoi_models("shared", ensemble)
        assert written == ["shared/fold0", "shared/fold1", "shared/fold2"] == matching_models(["shared/*"])
        with pytest.raises(InputError, match="shared: there is something already; name a new folder"):
            write_kipoi_models("shared", ensemble)
        for name in ("net.py", "parts.py", *files):  # the directories need nothing else
            (folder / name).rename(folder / f"moved_{name}")
        with Ensemble.from_kipoi(written) as again:
            assert (again.names, again.marks, again.length) == (ensemble.names, ensemble.marks, LENGTH)
            sequences = np.random.default_rng(1).choice(np.frombuffer(b"ACGT", np.uint8), (3, LENGTH))
            np.testing.assert_array_equal(again.predict(sequences), ensemble.predict(sequences))
    assert {path.name for path in (folder / "shared" / "fold1").iterdir()} >= {
        "model.yaml", "model.py", "fold1.pt", "net.py", "parts.py"}
    with pytest.raises(InputError, match="it is a Kipoi model already"), Ensemble.from_kipoi(written) as again:
        write_kipoi_models("more", again)
    assert not [name for name in os.listdir(folder) if "more" in name]


def test_a_written_directory_is_one_of_plain_kipoi(folder):
    import kipoi

    settings = {"module": "net.py:Net", "length": LENGTH, "alphabet": "AGCT"}
    with Ensemble.from_kipoi(["fold0.pt"], settings=settings, strict=False) as ensemble:
        write_kipoi_models("shared", ensemble)
    (folder / "genome.fa").write_text(">chr1\n" + "ACGGT" * 10 + "\n")
    (folder / "loci.bed").write_text("chr1\t5\t25\tpeak\n")
    predicted = kipoi.get_model("shared/fold0", source="dir").pipeline.predict(
        {"intervals_file": "loci.bed", "fasta_file": "genome.fa"})
    sequences = np.frombuffer(("ACGGT" * 4).encode(), np.uint8)[None]
    expected = loaded("fold0.pt", **settings).predict(sequences)[0]
    np.testing.assert_allclose(predicted, expected, rtol=1e-6)
