"""Models that do not answer for each sequence alone, or not always the same: unfit, named, refused."""

import sys
from pathlib import Path

import numpy as np
import portable_models
import pytest
from conftest import LENGTH, MARKS, MODEL_CODE, member_weights, write_model

from kipoi_deepmr.cli import main
from kipoi_deepmr.errors import InputError
from kipoi_deepmr.models import Description, Ensemble, Model
from kipoi_deepmr.mutagenesis import saturate

FIT = {
    "as it is": "",
    "rounded to float32": "predicted = predicted.astype(np.float32)",
    "added in another order in large batches": "predicted = predicted.astype(np.float32) + np.float32(len(x) * 1e-7)",
    "the input changed in place": "x[:] = 0",
}
UNFIT = {
    "batch normalisation in training mode": "predicted = (predicted - predicted.mean(0)) / (predicted.std(0) + 1e-3)",
    "a little of the others": "predicted = predicted + 0.01 * predicted.mean(0)",
    "the sequence before": "predicted = predicted + 0.1 * np.roll(predicted, 1, 0)",
    "sorted by the batch": "predicted = np.sort(predicted, 0)",
    "the largest of the batch": "predicted = predicted / np.abs(predicted).max()",
    "padded to 32 with zeros": "predicted = predicted + np.r_[predicted, np.zeros((-len(x) % 32, 3))].mean(0)",
    "the number of sequences": "predicted = predicted + np.log(len(x))",
    "the place in the batch": "predicted = predicted + np.arange(len(x))[:, None]",
    "one mark alone": "predicted[:, 2] -= predicted[:, 2].mean()",
    "NaN with others": "predicted[1:2] = np.nan",
}
CHANGING = {
    "random numbers": "predicted = predicted + np.random.normal(size=predicted.shape)",
    "how often it was asked": "self.n = getattr(self, 'n', 0) + 1; predicted = predicted * self.n",
    "a running mean": "self.m = getattr(self, 'm', 0) * 0.9 + 0.1 * predicted.mean(0); predicted = predicted - self.m",
    "whether it was asked for many": "self.n = max(len(x), getattr(self, 'n', 0)); predicted = predicted + self.n",
}


def write(folder, code, n=2):
    """Members whose predictions go through some code."""
    models = [write_model(folder / f"m{k}", weights) for k, weights in enumerate(member_weights(n))]
    for model in models:
        path = folder / model / "model.py"
        text = f"        {code or 'pass'}\n        return predicted"
        path.write_text(MODEL_CODE.replace("        return predicted", text))
    return models


@pytest.mark.parametrize("kind", FIT)
def test_models_that_answer_for_themselves(tmp_path, kind):
    Ensemble.from_kipoi(write(tmp_path, FIT[kind]), "dir")


@pytest.mark.parametrize("kind", UNFIT)
@pytest.mark.parametrize("batch_size", [None, 8])
def test_models_whose_answers_depend_on_the_batch(tmp_path, kind, batch_size):
    models = write(tmp_path, UNFIT[kind])
    with pytest.raises(InputError, match="m0 predicts .* of the same sequence, .* in a?i?t?s? ?batch.*batch "
                                         "normalisation in training mode"):
        Ensemble.from_kipoi(models, "dir", batch_size=batch_size)
    with Ensemble.from_kipoi(models, "dir", strict=False) as ensemble:
        assert len(ensemble.problems) == 2
    Ensemble.from_kipoi(models, "dir", batch_size=1)  # each is alone


@pytest.mark.parametrize("options", [{}, {"member_columns": {"a": ["A"], "b": ["B"]}}], ids=str)
def test_marks_that_are_not_used_may_be_unfit(tmp_path, options):
    """They are chosen before anything is checked; so are columns of members, and the marks of a stack."""
    models = write(tmp_path, UNFIT["one mark alone"])
    if options:
        assert not Ensemble.from_kipoi(models[:1], "dir", strict=False, **options).problems
        with Ensemble.from_kipoi(models[:1], "dir", strict=False, member_columns={"a": ["A"], "c": ["C"]}) as ensemble:
            assert "for mark C" in ensemble.problems[0]
        return
    assert Ensemble.from_kipoi(models, "dir", marks=["B", "A"]).marks == ("B", "A")
    with pytest.raises(InputError, match="for mark C"):
        Ensemble.from_kipoi(models, "dir", marks=["A", "C"])
    parts = [[("X", model), ("D", write_model(tmp_path / f"n{k}", member_weights(4)[k + 2][..., :1], ["D"]))]
             for k, model in enumerate(models)]
    flat = [model for stack in parts for _, model in stack]
    assert Ensemble.from_kipoi(flat, "dir", stacks=parts, marks=["X/A", "D"]).marks == ("X/A", "D")
    with pytest.raises(InputError, match="for mark X/C"):
        Ensemble.from_kipoi(flat, "dir", stacks=parts)


@pytest.mark.parametrize("kind", CHANGING)
def test_models_that_answer_differently_each_time(tmp_path, kind):
    with pytest.raises(InputError, match="m0.*(differently each time|the same sequence)"):
        Ensemble.from_kipoi(write(tmp_path, CHANGING[kind]), "dir")


@pytest.mark.parametrize("options", [{"pythons": [sys.executable] * 2}, {"settings": {"augment": ["rc", "shift=1"]}}])
def test_in_a_process_of_its_own_and_seen_in_several_ways(tmp_path, options):
    with pytest.raises(InputError, match="m0 predicts"):
        Ensemble.from_kipoi(write(tmp_path, UNFIT["a little of the others"]), "dir", **options)


def test_a_model_that_needs_more_than_dna_must_answer_for_itself(tmp_path, bed_file, genome_file):
    """It is asked about random sequences with the item of its dataloader that showed its marks."""
    models = [portable_models.write(tmp_path / f"m{k}", k, has_side=True) for k in range(2)]
    files = {"intervals_file": bed_file, "fasta_file": genome_file}
    with Ensemble.from_kipoi(models, "dir", **files) as ensemble:
        assert ensemble.needs_item and ensemble.described[0].item is not None
    for model in models:
        path = Path(model) / "model.py"
        mean = "(np.tensordot(x, self.weights, 2) * side).mean(0)"
        path.write_text(path.read_text().replace("* side", f"* side - {mean}"))
    with pytest.raises(InputError, match="m0 predicts .* training mode"):
        Ensemble.from_kipoi(models, "dir", **files)


def test_check_says_so_and_run_and_predict_refuse(tmp_path, bed_file, genome_file, capsys):
    models = write(tmp_path, UNFIT["batch normalisation in training mode"])
    files = ["--intervals_file", bed_file, "--fasta_file", genome_file]
    assert main(["check", *models, "--source", "dir", *files, "-q"]) == 1
    assert main(["check", *models, "--source", "dir"]) == 1
    said = capsys.readouterr().out
    assert "fit for DeepMR: no" in said and f"model {models[0]} predicts" in said and "training mode" in said
    for command in ("run", "predict"):
        assert main([command, *models, "--source", "dir", *files, "-o", str(tmp_path / command)]) == 2
        said = capsys.readouterr().err
        assert f"error: model {models[0]} predicts" in said and said.count("\n") == 1
        assert not (tmp_path / command).exists()


def test_torch_in_training_mode_is_named_and_eval_mends_it(tmp_path):
    torch = pytest.importorskip("torch")

    class Net(Model):
        """The same small network with batch normalisation, in one mode or the other."""

        def __init__(self, k, training):
            torch.manual_seed(k)
            self.net = torch.nn.Sequential(torch.nn.Conv1d(4, 8, 5), torch.nn.BatchNorm1d(8), torch.nn.ReLU(),
                                           torch.nn.Flatten(), torch.nn.Linear(8 * (LENGTH - 4), 3)).train(training)
            self.k = k

        def describe(self):
            return Description(f"net{self.k}", MARKS, LENGTH, "ACGT", str(self.k))

        def predict(self, sequences, item=None):
            one_hot = np.equal.outer(np.frombuffer(b"ACGT", np.uint8), sequences).swapaxes(0, 1).astype(np.float32)
            with torch.no_grad():
                return self.net(torch.from_numpy(one_hot)).numpy()[None]

    with pytest.raises(InputError, match="net0 (predicts|answers)"):
        Ensemble([Net(0, True), Net(1, True)])
    Ensemble([Net(0, False), Net(1, False)])


# The interface


class Plain(Model):
    """A model that answers by a function of its sequences."""

    def __init__(self, k, answer):
        self.k, self.answer = k, answer

    def describe(self):
        return Description(f"plain{self.k}", ("A", "B"), LENGTH, "ACGT", str(self.k))

    def predict(self, sequences, item=None):
        return self.answer(self.k, sequences.astype(np.int64))


def test_a_model_without_predict_cannot_be_made():
    class Nothing(Model):
        def describe(self):
            return Description("nothing", ("A", "B"), LENGTH, "ACGT", "0")

    with pytest.raises(TypeError, match="abstract"):
        Nothing()


@pytest.mark.parametrize("answer", [
    lambda k, x: None, lambda k, x: np.zeros((len(x), 2)), lambda k, x: np.zeros((1, 2, len(x))),
    lambda k, x: np.zeros((1, len(x), 3)), lambda k, x: np.full((1, len(x), 2), "x"), lambda k, x: 0.0])
def test_answers_of_another_form_are_errors_and_not_zeros(answer):
    with pytest.raises(InputError, match="model plain0: predict returned"):
        Ensemble([Plain(0, answer), Plain(1, answer)])


def test_an_answer_that_is_missing_later(tmp_path):
    """It may answer first and then not."""
    def answer(k, x):
        return (k + 1.0) * np.stack([x.sum(1), x[:, 0]], 1)[None] if len(x) != 3 else None

    ensemble = Ensemble([Plain(0, answer), Plain(1, answer)])
    with pytest.raises(InputError, match="plain0: predict returned nothing"):
        ensemble.predict(np.full((3, LENGTH), 65, np.uint8))


@pytest.mark.parametrize("other", [object(), "a name", None])
def test_what_is_no_model(other):
    with pytest.raises(InputError, match="is no model: its class must derive from kipoi_deepmr.models.Model"):
        Ensemble([other, other])


# Precision


def test_small_differences_beside_a_large_number_survive(loci_of_genome):
    """Effects of 1e-6 on 1e6: float64 holds them, float32 does not."""
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(256, LENGTH, 2))

    def answer(k, x):
        return 1e6 + 1e-6 * (k + 1) * weights[x, np.arange(LENGTH)].sum(1)[None]

    effects = saturate(Ensemble([Plain(0, answer), Plain(1, answer)]), loci_of_genome)
    sequence = loci_of_genome.sequences[0].astype(int)
    base = next(b for b in b"ACGT" if b != sequence[0])
    expected = 1.5e-6 * (weights[base, 0] - weights[sequence[0], 0])
    np.testing.assert_allclose(effects["effect"].values[0, 0], expected, atol=3e-10)


@pytest.mark.parametrize("python", [None, sys.executable])
def test_the_precision_of_a_kipoi_model_is_kept(tmp_path, loci_of_genome, python):
    for kind, offset, tolerance in (("np.float64", 1e6, 1e-3), ("np.float32", 0.0, 1e-5)):
        folder = tmp_path / kind
        models = write(folder, f"predicted = (predicted + {offset}).astype({kind})")
        plain = write(folder / "plain", "")
        with Ensemble.from_kipoi(models, "dir", pythons=[python] * 2) as ensemble:
            found = saturate(ensemble, loci_of_genome)["effect"].values
            assert ensemble.predict(loci_of_genome.sequences).dtype == kind.removeprefix("np.")
        expected = saturate(Ensemble.from_kipoi(plain, "dir"), loci_of_genome)["effect"].values
        np.testing.assert_allclose(found, expected, atol=tolerance * np.abs(expected).max())


@pytest.mark.parametrize("code, said", [
    ("import torch; predicted = torch.tensor(predicted).to(torch.bfloat16)", "bfloat16"),
    ("predicted = (predicted + 300).astype(np.float16)", "float16"),
    ("predicted = (predicted + 1e6).astype(np.float32)", "float32"),
    ("predicted = (predicted + 1e6).astype(np.float32).astype(float)", "float64"),
    ("predicted = (predicted + 1e6).astype(float)", None),
    ("predicted = predicted.astype(np.float32)", None),
    ("predicted = 1e-30 * predicted", None),
])
def test_numbers_that_lie_far_apart_are_warned_of(tmp_path, caplog, code, said):
    if "torch" in code:
        pytest.importorskip("torch")
    with Ensemble.from_kipoi(write(tmp_path, code), "dir") as ensemble:
        assert len(ensemble.warnings) == (2 if said else 0)
    if said:
        assert f"m0 answers in {said}" in ensemble.warnings[0] and "its effects are coarse" in caplog.text


@pytest.fixture
def loci_of_genome(bed_file, genome_file):
    from kipoi_deepmr.loci import Loci

    return Loci.from_bed(bed_file, genome_file, n_loci=4)


def test_the_rounding_of_a_deep_network_is_no_dependence():
    """Its marks hardly depend on the sequence, so that rounding is much of what they differ by."""
    torch = pytest.importorskip("torch")

    class Deep(Model):
        def __init__(self, k):
            torch.manual_seed(k)
            layers = [torch.nn.Conv1d(4, 16, 5, padding=2)]
            for _ in range(12):
                layers += [torch.nn.Conv1d(16, 16, 5, padding=2), torch.nn.BatchNorm1d(16), torch.nn.GELU()]
            self.k, self.net = k, torch.nn.Sequential(*layers, torch.nn.AdaptiveAvgPool1d(4), torch.nn.Flatten(),
                                                      torch.nn.Linear(64, 8)).eval()

        def describe(self):
            return Description(f"deep{self.k}", tuple("ABCDEFGH"), 60, "ACGT", str(self.k))

        def predict(self, sequences, item=None):
            one_hot = np.equal.outer(np.frombuffer(b"ACGT", np.uint8), sequences).swapaxes(0, 1).astype(np.float32)
            with torch.no_grad():
                return self.net(torch.from_numpy(one_hot)).numpy()[None]

    assert Ensemble([Deep(0), Deep(1)]).problems == ()
