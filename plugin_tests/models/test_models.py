"""Kipoi models as members: real Kipoi directories, real Keras."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import LENGTH, MARKS, member_weights, write_model

from kipoi_deepmr import dna
from kipoi_deepmr.errors import InputError
from kipoi_deepmr.models import Ensemble, Recipe
from kipoi_deepmr.models.kipoi_model import KipoiModel
from kipoi_deepmr.mutagenesis import engines


@pytest.fixture
def sequences():
    return np.random.default_rng(3).choice(dna.BASES, (7, LENGTH))


def closed_form(weights, sequences):
    """Predictions (n, marks) of position weights, by loops."""
    return np.array([sum(weights[i, "ACGT".index(base)] for i, base in enumerate(dna.decode(s))) for s in sequences])


def test_members_describe_themselves_and_predict(models, sequences):
    member = KipoiModel(models[0], "dir", {"batch_size": 3})
    described = member.describe()
    assert (described.marks, described.length, described.alphabet) == (MARKS, LENGTH, "ACGT")
    np.testing.assert_allclose(member.predict(sequences)[0], closed_form(member_weights()[0], sequences), rtol=1e-6)


def test_ensemble_predicts_member_by_member(models, sequences):
    ensemble = Ensemble.from_kipoi(models, source="dir", marks=["C", "A"])
    assert ensemble.names == ("0", "1", "2") and ensemble.marks == ("C", "A") and ensemble.length == LENGTH
    predicted = ensemble.predict(sequences)
    assert predicted.shape == (3, 7, 2) and predicted.dtype == np.float64
    for k, weights in enumerate(member_weights()):
        np.testing.assert_allclose(predicted[k], closed_form(weights, sequences)[:, [2, 0]], rtol=1e-6)


def test_an_ensemble_cannot_be_changed(models):
    ensemble = Ensemble.from_kipoi(models, source="dir")
    before = dict(vars(ensemble))
    for name in ("marks", "names", "batch_size", "recipe", "models", "anything"):
        with pytest.raises(AttributeError, match="an Ensemble cannot be changed"):
            setattr(ensemble, name, ())
    with pytest.raises(TypeError):
        ensemble.settings["augment"] = ["rc"]
    for engine in ("naive", "auto"):
        chosen = engines.choose(ensemble, engine)
        with pytest.raises(AttributeError):
            chosen.choices = ()
        chosen.mutants(np.frombuffer(b"ACGTACGTACGT", np.uint8))
    assert vars(ensemble) == before


def test_a_recipe_is_plain_and_says_what_is_none(models, tmp_path, monkeypatch, bed_file):
    monkeypatch.chdir(tmp_path)
    names = [os.path.relpath(model) for model in models]
    stacks = [[("A", names[0]), (None, names[1])]]
    recipe = Recipe.of(names, "dir", stacks=stacks, marks=None, member_columns={"r": (np.int64(1), 2)}, batch_size=3,
                       pythons=["python3", None, None], jobs=None, settings={"mark_window": (1, 2)}, strict=True,
                       dataloader_args={"intervals_file": "loci.bed", "also": ["loci.bed", "none.bed"], "n": 3},
                       intervals_file=Path("loci.bed"), fasta_file=None)
    assert recipe.models == models and recipe.names == names and os.path.isabs(recipe.pythons[0])
    assert recipe.dataloader_args == {"intervals_file": bed_file, "also": [bed_file, "none.bed"], "n": 3}
    assert recipe.intervals_file == bed_file and recipe.stacks == [["A", None]]
    assert recipe.member_columns == {"r": [1, 2]} and recipe.settings == {"mark_window": [1, 2]}
    assert Recipe.from_json(json.loads(json.dumps(recipe.to_json()))) == recipe
    with pytest.raises(InputError, match="made of JSON values.*object"):
        Ensemble.from_kipoi(models, "dir", settings={"augment": object()})
    for values in ({}, {**recipe.to_json(), "color": "red"}):
        with pytest.raises(InputError, match="not the recipe of an ensemble"):
            Recipe.from_json(values)


def test_letter_order_of_the_model_is_respected(tmp_path, sequences):
    weights = member_weights()[0]
    reordered = write_model(tmp_path / "agct", weights[:, [0, 2, 1, 3]], dataloader='alphabet: "AGCT"')
    np.testing.assert_allclose(KipoiModel(reordered, "dir").predict(sequences)[0], closed_form(weights, sequences),
                               rtol=1e-6)


def test_member_columns_are_members_of_one_model(tmp_path, sequences):
    weights = member_weights(n_marks=5)[0]
    labels = ["K562_rep1", "K562_rep2", "HepG2_rep1", "HepG2_rep2", "pooled"]
    model = write_model(tmp_path / "m", weights, labels)
    ensemble = Ensemble.from_kipoi([model], "dir", member_columns={"rep1": ["0", "2"], "rep2": ["K562_rep2", "3"]})
    assert ensemble.names == ("rep1", "rep2") and ensemble.marks == ("K562", "HepG2")
    expected = closed_form(weights, sequences)
    np.testing.assert_allclose(ensemble.predict(sequences), [expected[:, [0, 2]], expected[:, [1, 3]]], rtol=1e-6)


@pytest.mark.parametrize("columns, said", [
    ({"a": ["0", "1"], "b": ["2"]}, "a has 2, b has 1"),
    ({"a": ["0", "1"], "b": ["2", "7"]}, 'no column "7"'),
    ({"a": ["0", "1"], "b": ["2", "0"]}, "named twice"),
    ({"a": ["0", "1"]}, "names one member"),
])
def test_bad_member_columns(models, columns, said):
    with pytest.raises(InputError, match=said):
        Ensemble.from_kipoi(models[:1], "dir", member_columns=columns)


def test_member_columns_of_several_models(models):
    with pytest.raises(InputError, match="columns of one model, but 3"):
        Ensemble.from_kipoi(models, "dir", member_columns={"a": ["0"], "b": ["1"]})


def test_one_model_is_refused_with_the_reason(models):
    with pytest.raises(InputError, match="no standard errors.*--member_columns"):
        Ensemble.from_kipoi(models[:1], "dir")


def test_the_same_model_twice_is_refused(models):
    with pytest.raises(InputError, match="the same model"):
        Ensemble.from_kipoi([models[0], models[1], models[0]], "dir")


def test_members_that_disagree(tmp_path, models):
    other_marks = write_model(tmp_path / "x", member_weights()[0], ("A", "B", "D"))
    with pytest.raises(InputError, match="the marks of .*0 is A, B, C and that of .*x is A, B, D"):
        Ensemble.from_kipoi([models[0], other_marks], "dir")
    longer = write_model(tmp_path / "y", member_weights(length=13)[0])
    with pytest.raises(InputError, match="sequence length of .* is 12 and that of .* is 13"):
        Ensemble.from_kipoi([models[0], longer], "dir")


def test_single_task_models_are_refused(tmp_path):
    single = [write_model(tmp_path / str(k), w, ("A",)) for k, w in enumerate(member_weights(n_marks=2)[..., :1])]
    with pytest.raises(InputError, match="one mark"):
        Ensemble.from_kipoi(single, "dir")


def test_unknown_mark_suggests_the_nearest(models):
    with pytest.raises(InputError, match='no mark "a"; did you mean|no mark "a"; there are: A, B, C'):
        Ensemble.from_kipoi(models, "dir", marks=["a", "B"])
    with pytest.raises(InputError, match="named twice"):
        Ensemble.from_kipoi(models, "dir", marks=["A", "A"])


@pytest.mark.parametrize("change, said", [
    (("(12, 4)", "(13, 4)"), "failed to predict 4 sequences: ValueError"),
    (("model.PositionWeights", "model.NoSuchClass"), "cannot be loaded"),
    (("weights.npy", "nothing.npy"), "cannot be loaded"), (("schema:", "scheme:"), "cannot be loaded"),
])
def test_models_that_cannot_be_used(tmp_path, change, said):
    folder = tmp_path / "m"
    write_model(folder, member_weights()[0])
    text = (folder / "model.yaml").read_text()
    assert change[0] in text
    (folder / "model.yaml").write_text(text.replace(*change))
    with pytest.raises(InputError, match=said):
        KipoiModel(str(folder), "dir")


@pytest.mark.parametrize("labels, marks, note", [("[A, B, B]", ("A", "B", "B.1"), "column_labels repeats names")])
def test_labels_that_are_odd_are_told(tmp_path, labels, marks, note):
    model = write_model(tmp_path / "m", member_weights()[0])
    path = tmp_path / "m" / "model.yaml"
    path.write_text(path.read_text().replace("[A, B, C]", labels))
    described = KipoiModel(model, "dir").describe()
    assert described.marks == marks and note in " ".join(described.notes)


def test_labels_that_do_not_fit_the_output_are_refused(tmp_path):
    model = write_model(tmp_path / "m", member_weights()[0])
    path = tmp_path / "m" / "model.yaml"
    path.write_text(path.read_text().replace("[A, B, C]", "[A, B, C, D]"))
    with pytest.raises(InputError, match=r"column_labels names 4 columns, but the output \(3,\) has 3"):
        KipoiModel(model, "dir")


def test_a_model_of_any_length_takes_that_of_the_loci(tmp_path, bed_file, genome_file, sequences):
    """The model reads 12 of however many bases; its length is that of the intervals, whichever way they come."""
    weights = member_weights()
    folders = [write_model(tmp_path / str(k), w) for k, w in enumerate(weights)]
    for folder in folders:
        path = tmp_path / folder / "model.yaml"
        path.write_text(path.read_text().replace("(12, 4)", "(None, 4)"))
    assert KipoiModel(folders[0], "dir").describe().length is None
    with pytest.raises(InputError, match="must see loci"):
        Ensemble.from_kipoi(folders, "dir")
    loci = {"intervals_file": bed_file, "fasta_file": genome_file}
    for where in (loci, {"dataloader_args": loci}):
        ensemble = Ensemble.from_kipoi(folders, "dir", **where)
        assert ensemble.length == LENGTH
        np.testing.assert_allclose(ensemble.predict(sequences)[1], closed_form(weights[1], sequences), rtol=1e-6)


def test_missing_model_and_unknown_source(tmp_path):
    with pytest.raises(InputError, match="no model.yaml there"):
        KipoiModel(str(tmp_path), "dir")
    with pytest.raises(InputError, match="--source nowhere: unknown"):
        KipoiModel("x", "nowhere")


def test_unnamed_targets_are_numbered(tmp_path):
    model = write_model(tmp_path / "m", member_weights()[0])
    path = tmp_path / "m" / "model.yaml"
    path.write_text(path.read_text().replace(", column_labels: [A, B, C]", ""))
    assert KipoiModel(model, "dir").describe().marks == ("mark_0", "mark_1", "mark_2")


def test_checksum_follows_weights_and_code(tmp_path):
    weights = member_weights()
    folder = tmp_path / "m"
    first = KipoiModel(write_model(folder, weights[0]), "dir").describe().checksum
    assert KipoiModel(str(folder), "dir").describe().checksum == first
    np.save(folder / "weights.npy", weights[1])
    assert KipoiModel(str(folder), "dir").describe().checksum != first


def test_keras_members_equal_keras_itself(cooperativity):
    folders, _ = cooperativity
    sequences = np.random.default_rng(0).choice(dna.BASES, (20, 100))
    ensemble = Ensemble.from_kipoi(folders[:2], "dir")
    predicted = ensemble.predict(sequences)
    import keras

    assert keras.__version__.startswith("3")
    for k, folder in enumerate(folders[:2]):
        model = keras.saving.load_model(folder + "/model.keras", compile=False)
        expected = np.asarray(model(np.eye(4, dtype="float32")[np.searchsorted(dna.BASES, sequences)]))
        np.testing.assert_allclose(predicted[k], expected, rtol=1e-5, atol=1e-5)
    assert not np.allclose(predicted[0], predicted[1])


KERAS_YAML = '''
defined_as: kipoi.model.KerasModel
args: {arch: model.json, weights: weights.h5}
default_dataloader: {defined_as: kipoiseq.dataloaders.SeqIntervalDl}
info: {authors: [{name: test}], doc: test}
schema:
  inputs: {shape: "(12, 4)", doc: dna}
  targets: {shape: "(2,)", doc: marks}
'''


def test_models_of_keras_2_load_beside_keras_3(tmp_path, sequences):
    tf_keras = pytest.importorskip("tf_keras")
    tf_keras.utils.set_random_seed(1)
    model = tf_keras.Sequential([tf_keras.layers.Conv1D(3, 5, input_shape=(LENGTH, 4)), tf_keras.layers.Flatten(),
                                 tf_keras.layers.Dense(2)])
    folder = tmp_path / "old"
    folder.mkdir()
    (folder / "model.json").write_text(model.to_json())
    model.save_weights(folder / "weights.h5")
    (folder / "model.yaml").write_text(KERAS_YAML)
    import keras

    loaded = KipoiModel(str(folder), "dir").predict(sequences)[0]
    expected = np.asarray(model(np.eye(4, dtype="float32")[np.searchsorted(dna.BASES, sequences)]))
    np.testing.assert_allclose(loaded, expected, rtol=1e-5, atol=1e-6)
    assert sys.modules["keras"] is keras and keras.__version__.startswith("3")


def test_keras_model_that_neither_keras_reads(tmp_path):
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "model.json").write_text("{}")
    (folder / "weights.h5").write_bytes(b"")
    (folder / "model.yaml").write_text(KERAS_YAML)
    with pytest.raises(InputError, match="with Keras 3: .*with tf_keras: "):
        KipoiModel(str(folder), "dir")
