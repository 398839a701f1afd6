"""Engines gradient, integrated_gradients and deeplift: runs labelled as approximated, and how well they do."""

import dataclasses
import gzip
import json
import re

import numpy as np
import pytest
from conftest import EXAMPLES, environment_python, write_model
from report_pages import held

from kipoi_deepmr import effects_store, mutagenesis
from kipoi_deepmr.cli import main
from kipoi_deepmr.errors import InputError
from kipoi_deepmr.loci import BedSource, Genome, read_bed, select
from kipoi_deepmr.models import Ensemble
from kipoi_deepmr.mutagenesis import agreement, approximate, engines

SOURCE = EXAMPLES / "tf_cooperativity"
MODELS = [str(SOURCE / str(k)) for k in (1, 2)]


@pytest.fixture(scope="module")
def fasta(tmp_path_factory):
    """A FASTA gets an index beside it."""
    path = tmp_path_factory.mktemp("genome") / "loci.fa"
    path.write_bytes((SOURCE / "test_loci.fa").read_bytes())
    return str(path)


@pytest.fixture(scope="module")
def loci(fasta):
    bed = str(SOURCE / "test_loci.bed")
    with Genome(fasta) as genome:
        return select(BedSource(read_bed(bed), genome, 100, bed)).loci[:7]


@pytest.fixture(scope="module")
def ensemble():
    with Ensemble.from_kipoi(MODELS, "dir") as ensemble:
        yield ensemble


def arguments(fasta, *more):
    given = {"intervals_file": str(SOURCE / "test_loci.bed"), "fasta_file": fasta}
    return [*MODELS, "--source", "dir", "--dataloader_args", json.dumps(given), "--n_loci", "6", *more]


# A run, from the command line to its files


@pytest.fixture(scope="module")
def out(fasta, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "out"
    assert main(["run", *arguments(fasta, "--engine", "gradient", "--method", "ivw", "-q", "-o", str(folder))]) == 0
    return folder


def test_everything_that_is_written_says_that_it_is_approximated(out):
    told = json.loads((out / "run.json").read_text())
    assert told["settings"]["engine"] == "gradient"
    assert {one["engine"] for one in told["engines"]["used"]} == {"gradient"}
    assert all(one["why"].startswith("an approximation") for one in told["engines"]["used"])
    stored = effects_store.open_effects(str(out / "effects.zarr")).attrs
    assert stored["approximation"] == told["approximation"] and stored["settings"]["engine"] == "gradient"
    assert "effects are approximated (gradient), not predicted" in json.dumps(held(out / "report.html")["data"])
    assert "##effects_approximated_by=gradient\n" in gzip.open(out / "instruments.vcf.gz", "rt").read()


def test_the_agreement_told_is_that_of_the_sample(out, ensemble, fasta):
    told = json.loads((out / "run.json").read_text())["approximation"]
    assert len(told["loci"]) == 5 and told["mutants"] == 1500 and told["top"] == 100
    with effects_store.open_effects(str(out / "effects.zarr")) as effects:
        chosen = [effects["name"].values.tolist().index(name) for name in told["loci"]]
        approximated = effects["effect"].values[chosen]
        letters = effects["ref_base"].values[chosen][:, ::3]
    naive = engines.choose(ensemble, "naive")
    sequences = ["".join(row).encode() for row in letters]
    exact = [naive.mutants(np.frombuffer(sequence, np.uint8)).astype(float) for sequence in sequences]
    exact = np.stack([(each[:, 1:] - each[:, :1]).mean(0) for each in exact])
    for k, mark in enumerate(("GATA", "TAL1")):
        x, y = exact[..., k].ravel(), approximated[..., k].ravel()
        found = told["marks"][mark]
        assert found["pearson"] == pytest.approx(np.corrcoef(x, y)[0, 1], abs=1e-4)
        assert found["rmse"] == pytest.approx(np.sqrt(np.mean((x - y) ** 2)) / x.std(), rel=1e-3)
        assert found["rmse"] > 0.05, "an approximation"


def test_the_summary_tells_how_well_it_does(fasta, tmp_path, capsys):
    assert main(["predict", *arguments(fasta, "--engine", "integrated_gradients", "-o", str(tmp_path / "e.zarr"))]) == 0
    said = capsys.readouterr().out
    assert "caution: effects are approximated (integrated_gradients), not predicted; against exact effects of " \
           "1,500 mutants at 5 loci:" in said
    assert re.search(r"correlation 0\.\d+ to 0\.\d+, error 0\.\d+ to 0\.\d+ of their standard deviation, share of the "
                     r"100 largest 0\.\d+ to 0\.\d+\n", said)


def test_check_tells_it_before_a_run(fasta, capsys):
    assert main(["check", *arguments(fasta, "--engine", "gradient")]) == 0
    said = capsys.readouterr().out
    assert "engine: gradient: an approximation, as asked" in said and "caution: effects are approximated" in said


def test_an_exact_run_says_nothing_of_it(fasta, tmp_path, capsys):
    assert main(["predict", *arguments(fasta, "-o", str(tmp_path / "e.zarr"))]) == 0
    assert "approximated" not in capsys.readouterr().out
    assert "approximation" not in effects_store.open_effects(str(tmp_path / "e.zarr")).attrs


def test_effects_of_another_engine_are_other_effects(fasta, tmp_path):
    path = str(tmp_path / "e.zarr")
    assert main(["predict", *arguments(fasta, "--engine", "gradient", "-q", "-o", path)]) == 0
    assert main(["predict", *arguments(fasta, "--engine", "naive", "-q", "-o", path)]) == 2


# Engines


def test_none_is_ever_chosen_by_itself():
    assert not set(engines.AUTO) & set(approximate.MAKERS)
    assert set(approximate.MAKERS) == {"gradient", "integrated_gradients", "deeplift"} < set(engines.ENGINES)


@pytest.mark.parametrize("engine", ["gradient", "integrated_gradients", "deeplift"])
def test_effects_are_near_the_exact_ones(ensemble, loci, engine):
    if engine == "deeplift":
        pytest.importorskip("shap")
    exact = effects_of(ensemble, "naive", loci)
    found = effects_of(ensemble, engine, loci)
    np.testing.assert_allclose(found["reference"], exact["reference"], rtol=1e-6)
    assert np.corrcoef(found["effect"].values.ravel(), exact["effect"].values.ravel())[0, 1] > 0.3
    assert (found["effect_se"].values > 0).any() and not np.allclose(found["effect"], exact["effect"])


def effects_of(ensemble, engine, loci):
    return mutagenesis.saturate(ensemble, loci, engines=engines.choose(ensemble, engine, loci))


@pytest.mark.parametrize("engine", ["exact", "gradient"])
def test_mutants_of_some_positions_alone(ensemble, loci, engine):
    mutated = np.zeros(loci.sequences.shape, bool)
    mutated[:, 10:14], mutated[:, -3:] = True, True
    whole, some = (effects_of(ensemble, engine, each[:2])["effect"].values
                   for each in (loci, dataclasses.replace(loci, mutated=mutated)))
    variants = np.repeat(mutated[0], 3)
    assert np.isnan(some[:, ~variants]).all()
    np.testing.assert_allclose(some[:, variants], whole[:, variants], atol=1e-5)


def test_a_stack_is_approximated_part_by_part(loci):
    with Ensemble.from_kipoi(MODELS, "dir", stacks=[list(zip("ab", MODELS, strict=True))], strict=False) as stacked:
        found = engines.choose(stacked, "gradient", loci).mutants(loci.sequences[0])
    with Ensemble.from_kipoi(MODELS, "dir") as apart:
        each = engines.choose(apart, "gradient", loci).mutants(loci.sequences[0])
    np.testing.assert_allclose(found[0], np.concatenate(list(each), axis=-1), rtol=1e-6)


def test_what_no_framework_differentiates_is_refused(tmp_path, fasta, capsys):
    models = [write_model(tmp_path / str(k), np.random.default_rng(k).normal(size=(100, 4, 3))) for k in range(2)]
    options = arguments(fasta, "--engine", "gradient", "-o", str(tmp_path / "e.zarr"))[2:]
    assert main(["predict", *models, *options]) == 2
    said = capsys.readouterr().err
    assert f"--engine gradient: model {models[0]}: it holds no networks of Keras or PyTorch" in said
    assert said.count("\n") == 1
    assert not (tmp_path / "e.zarr").exists()


@pytest.mark.environment
def test_deeplift_in_a_worker_without_its_package_names_both():
    python = environment_python("keras2-py38")
    with Ensemble.from_kipoi([str(EXAMPLES / "MTSplice" / "deep0")], "dir", pythons=[python], settings={"length": 705},
                             strict=False) as ensemble:
        with pytest.raises(InputError, match="deep0: DeepLIFT needs the package shap, which .*keras2-py38"):
            engines.choose(ensemble, "deeplift")
        sequence = np.frombuffer(b"ACGT", np.uint8)[np.random.default_rng(0).integers(0, 4, 705)]
        exact, found = (engines.choose(ensemble, engine).mutants(sequence)[0, :, 0] for engine in ("naive", "gradient"))
        assert np.corrcoef(found, exact)[0, 1] > 0.5


# Agreement


def test_compare_is_its_definition():
    rng = np.random.default_rng(0)
    exact = rng.normal(size=(4, 30))
    approximated = exact + rng.normal(size=(4, 30))
    found = agreement.compare(exact, approximated)
    a, b = exact.ravel(), approximated.ravel()
    assert found["pearson"] == pytest.approx(np.corrcoef(a, b)[0, 1])
    assert found["rmse"] == pytest.approx(np.sqrt(((a - b) ** 2).mean()) / a.std())
    shared = []
    for one, other in zip(exact, approximated, strict=True):
        best, theirs = (set(sorted(range(30), key=lambda i: -abs(each[i]))[:10]) for each in (one, other))
        shared.append(len(best & theirs) / 10)
    assert found["top"] == pytest.approx(np.mean(shared)) and agreement.n_top(30) == 10 and agreement.n_top(9000) == 100
    assert agreement.compare(exact, exact) == {"pearson": pytest.approx(1), "rmse": 0, "top": 1}


def test_compare_of_what_does_not_vary_is_not_a_number():
    flat = np.zeros((2, 30))
    assert agreement.compare(flat, flat)["pearson"] is None and agreement.compare(flat, flat)["rmse"] is None
    assert agreement.compare(np.arange(60.0).reshape(2, 30), flat)["pearson"] is None
