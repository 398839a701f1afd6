"""The stages and the run, on toy models of known effects and on the real example."""

import dataclasses
import json
import os
import shutil
import sys

import numpy as np
import pandas as pd
import pytest
from conftest import MARKS, member_weights, write_model
from finished_runs import PLAIN
from report_pages import held

from kipoi_deepmr import effects_store, meta, mr, mutagenesis, pipeline
from kipoi_deepmr.errors import InputError, Stopped
from kipoi_deepmr.loci import Genome
from kipoi_deepmr.models import Ensemble, Recipe
from kipoi_deepmr.options import AggregateOptions, EstimateOptions
from kipoi_deepmr.pipeline.running import FILES
from kipoi_deepmr.runs.finished import FinishedRun

LOCAL = ("chrom start end strand locus exposure outcome method n_instruments estimate se ci_low ci_high pvalue "
         "intercept intercept_se intercept_pvalue q q_pvalue i2 i2_gx f_statistic phi tau2 note").split()
GLOBAL = ("exposure outcome method n_loci estimate se ci_low ci_high pvalue tau tau2 i2 q q_pvalue pi_low "
          "pi_high se_loci se_members standardised qvalue verdict reason").split()
METHODS = ("egger", "ivw", "wald_mean")


@pytest.fixture
def ensemble(models):
    return Ensemble.from_kipoi(models, "dir")


@pytest.fixture
def selection(ensemble, bed_file, genome_file):
    return pipeline.select_loci(ensemble, intervals_file=bed_file, fasta_file=genome_file)


@pytest.fixture
def options(genome_file):
    return {**PLAIN, "method": METHODS, "instrument_z": 1.0, "fasta_file": genome_file}


def run(ensemble, selection, out, options, **more):
    return pipeline.run(ensemble, selection, str(out), estimate_options=options, quiet=True, **more)


def contents(folder, names=("local.tsv", "global.tsv", "instruments.vcf.gz", "instruments.vcf.gz.tbi")):
    return [open(os.path.join(folder, name), "rb").read() for name in names]


@pytest.mark.main_job
def test_run_is_the_three_stages(ensemble, selection, tmp_path, options):
    run(ensemble, selection, tmp_path / "out", options)
    alone = tmp_path / "alone"
    alone.mkdir()
    pipeline.predict(ensemble, selection, str(alone / "effects.zarr"), quiet=True)
    pipeline.estimate(str(alone / "effects.zarr"), str(alone / "local.tsv"), **options)
    pipeline.aggregate(str(alone / "local.tsv"), str(alone / "global.tsv"), preset="paper",
                       network_options={"preset": "paper"})
    stages = ("local.tsv", "global.tsv", "local.vcf.gz", "local.vcf.gz.tbi")
    assert contents(tmp_path / "out") == contents(alone, stages)
    plain = {"local.diagnostics.tsv": "diagnostics.tsv", "local.diagnostics_by_pair.tsv": "diagnostics_by_pair.tsv",
             "local.vcf.gz": "instruments.vcf.gz", "local.vcf.gz.tbi": "instruments.vcf.gz.tbi"}
    assert {p.name for p in (tmp_path / "out").iterdir()} == {
        *(plain.get(p.name, p.name.replace("global.network", "network")) for p in alone.iterdir()), "run.json",
        "report.html"}


@pytest.mark.parametrize("changed", [{}, {"vcf": "all"}, {"method": ("ivw",), "uncertainty": "members"}])
def test_no_file_is_larger_than_was_said(ensemble, selection, tmp_path, options, changed):
    """Some overheads, of headers and of few records, are not in what is said of long files."""
    options = {**options, **changed}
    run(ensemble, selection, tmp_path / "out", options)
    sizes = {"locus": 9, "member": 3, "variant": 36, "mark": 3}
    said = pipeline.sizes.sizes_of(EstimateOptions(**options), MARKS, sizes).files
    assert {"local.tsv", "diagnostics.tsv", "instruments.vcf.gz", "global.tsv", "report.html"} <= set(said)
    for name, most in said.items():
        assert name == "network.tsv" or os.path.getsize(tmp_path / "out" / name) <= most + 3000, name


def test_run_without_a_report(ensemble, selection, tmp_path, options):
    run(ensemble, selection, tmp_path / "out", options, report=False)
    assert not (tmp_path / "out" / "report.html").exists() and (tmp_path / "out" / "global.tsv").exists()


def test_python_does_the_same(ensemble, selection, tmp_path, options):
    result = run(ensemble, selection, tmp_path / "out", options)
    effects = mutagenesis.saturate(ensemble, selection.loci)
    local = mr.fit_pairs(effects, method=METHODS, instrument_z=1.0)
    pd.testing.assert_frame_equal(result.local, local)
    of_meta = meta.aggregate(local, tau2_method="DL")
    pd.testing.assert_frame_equal(result.global_[of_meta.columns], of_meta)


def test_tables_and_known_effect(ensemble, selection, tmp_path, options):
    """Mark B is twice mark A in every weight but for noise: the effect of A on B is 2, up to a few per cent."""
    run(ensemble, selection, tmp_path / "out", options)
    local = pd.read_csv(tmp_path / "out" / "local.tsv", sep="\t", keep_default_na=False, na_values=["NA"])
    assert list(local) == LOCAL and len(local) == 9 * 6 * 3
    assert local["locus"].tolist() == np.repeat([f"locus{i}" for i in range(9)], 18).tolist()
    found = pd.read_csv(tmp_path / "out" / "global.tsv", sep="\t")
    assert list(found) == GLOBAL and len(found) == 18
    effect = found.set_index(["exposure", "outcome", "method"])["estimate"]
    assert effect["A", "B", "ivw"] == pytest.approx(2, abs=0.1)
    assert effect["B", "A", "ivw"] == pytest.approx(0.5, abs=0.05)


def test_a_run_takes_a_correlation_that_is_measured(ensemble, selection, tmp_path, options):
    """As `estimate` does; the check before the predictions used to refuse it."""
    options = {**options, "method": ("max_likelihood",), "method_args": {"psi": "members"}}
    local = run(ensemble, selection, tmp_path / "out", options).local
    effects = mutagenesis.saturate(ensemble, selection.loci)
    expected = mr.fit_pairs(effects, method="max_likelihood", instrument_z=1.0, psi="members")
    pd.testing.assert_frame_equal(local, expected)


@pytest.mark.parametrize("of_two", [True, False])
def test_a_run_that_can_have_no_network_says_why(models, bed_file, genome_file, tmp_path, of_two):
    """Two members, or no member's effects: refused before anything is predicted if it was asked for by name."""
    ensemble = Ensemble.from_kipoi(models[:2] if of_two else models, "dir")
    selection = pipeline.select_loci(ensemble, intervals_file=bed_file, fasta_file=genome_file)
    more = {} if of_two else {"predict_options": {"keep": "summary"}}
    options = {"method": "ivw", "instrument_z": 1.0, "min_instruments": 1, "fasta_file": genome_file}
    with pytest.raises(InputError, match="--network direct needs the effects of 3 members"):
        run(ensemble, selection, tmp_path / "out", options, network_options={"network": "direct"}, **more)
    assert not (tmp_path / "out").exists()
    table = run(ensemble, selection, tmp_path / "out", options, network_options={"preset": "default"}, **more).global_
    assert table["verdict"].isna().all() and table["reason"].str.contains("3 members or more").all()
    assert table["standardised"].notna().all() and not (tmp_path / "out" / "network.tsv").exists()


def test_same_inputs_give_the_same_bytes(ensemble, selection, tmp_path, options):
    for name in ("one", "two"):
        run(ensemble, selection, tmp_path / name, options)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_too_few_instruments_are_rows_with_a_reason(ensemble, selection, tmp_path, options):
    local = run(ensemble, selection, tmp_path / "out", {**options, "instrument_z": 50.0}).local
    assert len(local) == 9 * 6 * 3 and local["estimate"].isna().all() and local["note"].str.contains("needs").all()
    text = (tmp_path / "out" / "global.tsv").read_text().splitlines()
    assert all(line.split("\t")[3:5] == ["0", "NA"] for line in text[1:])


def test_run_json_repeats_the_run(ensemble, selection, tmp_path, options):
    run(ensemble, selection, tmp_path / "out", options, details={"command": ["x"], "arguments": {"seed": 1}})
    told = json.loads((tmp_path / "out" / "run.json").read_text())
    assert told["settings"]["models"] == list(ensemble.checksums) and told["settings"]["method"] == list(METHODS)
    assert told["finished"] and told["versions"]["numpy"] == np.__version__ and told["command"] == ["x"]
    assert effects_store.open_effects(str(tmp_path / "out" / "effects.zarr")).attrs["arguments"] == {"seed": 1}


def test_same_run_again_keeps_predictions(ensemble, selection, tmp_path, options):
    run(ensemble, selection, tmp_path / "out", options)
    before = os.stat(tmp_path / "out" / "effects.zarr").st_ino, contents(tmp_path / "out")
    run(ensemble, selection, tmp_path / "out", options)
    assert (os.stat(tmp_path / "out" / "effects.zarr").st_ino, contents(tmp_path / "out")) == before


def test_a_copy_of_the_genome_is_the_same_run(ensemble, selection, tmp_path, options, genome_file):
    run(ensemble, selection, tmp_path / "out", options)
    before = contents(tmp_path / "out")
    shutil.copy(genome_file, tmp_path / "copy.fa")
    run(ensemble, selection, tmp_path / "out", {**options, "fasta_file": str(tmp_path / "copy.fa")})
    assert contents(tmp_path / "out") == before


def test_other_effects_are_refused_and_overwritten_on_demand(ensemble, selection, tmp_path, options):
    run(ensemble, selection, tmp_path / "out", options)
    before = contents(tmp_path / "out")
    with pytest.raises(InputError, match="ddof: 1 -> 0.*run --effects .*/out/effects.zarr -o NEW"):
        run(ensemble, selection, tmp_path / "out", options, predict_options={"ddof": 0})
    assert contents(tmp_path / "out") == before
    run(ensemble, selection, tmp_path / "out", options, predict_options={"ddof": 0}, overwrite=True)
    assert contents(tmp_path / "out") != before


def whole(folder):
    """Every file that a run makes but run.json, which has times; the report without the lines that say how."""
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file() and p.suffix not in (".json", ".html")}


def test_estimating_again_without_predicting_again(ensemble, selection, tmp_path, options, monkeypatch):
    """`run` into the same folder with other options, and from its store into a new one: as a run from the beginning."""
    other = {**options, "instrument_z": 2.0, "method": ("ivw",), "vcf": "all"}
    run(ensemble, selection, tmp_path / "fresh", other)
    run(ensemble, selection, tmp_path / "out", options)
    (tmp_path / "out" / "strata.tsv").write_text("left by an earlier command")
    kept = os.stat(tmp_path / "out" / "effects.zarr").st_ino
    monkeypatch.setattr(Ensemble, "predict", None)
    run(ensemble, selection, tmp_path / "out", other)
    pipeline.run_again(str(tmp_path / "out" / "effects.zarr"), str(tmp_path / "new"), estimate_options=other)
    assert os.stat(tmp_path / "out" / "effects.zarr").st_ino == kept
    for name in ("out", "new"):
        assert whole(tmp_path / name) == whole(tmp_path / "fresh") and (tmp_path / name / "report.html").exists()
        FinishedRun(str(tmp_path / name))
    told = [json.loads((tmp_path / name / "run.json").read_text()) for name in ("fresh", "out", "new")]
    for key in ("settings", "effects", "files", "engines", "dropped"):
        assert told[0][key] == told[1][key] == told[2][key], key
    pipeline.run_again(str(tmp_path / "new" / "effects.zarr"), str(tmp_path / "new"), estimate_options=options,
                       overwrite=True)
    assert contents(tmp_path / "new") != contents(tmp_path / "fresh")
    FinishedRun(str(tmp_path / "new"))


def test_an_input_that_the_run_would_replace_is_refused(ensemble, selection, tmp_path, options):
    run(ensemble, selection, tmp_path / "out", options)
    before = whole(tmp_path / "out")
    wrong = {**options, "instruments": "variants", "input_vcf": str(tmp_path / "out" / "instruments.vcf.gz")}
    with pytest.raises(InputError, match="instruments.vcf.gz: this output is also an input"):
        run(ensemble, selection, tmp_path / "out", wrong, overwrite=True)
    assert whole(tmp_path / "out") == before


def test_estimating_again_that_fails_leaves_the_run_as_it_was(ensemble, selection, tmp_path, options):
    run(ensemble, selection, tmp_path / "out", options)
    before = {p: p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()}
    (tmp_path / "other.fa").write_text(f">chr1\n{'A' * 400}\n")
    with pytest.raises(InputError, match="the FASTA has A"):
        pipeline.run_again(str(tmp_path / "out" / "effects.zarr"), str(tmp_path / "out"),
                           estimate_options={**options, "fasta_file": str(tmp_path / "other.fa")})
    assert {p: p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()} == before


def test_a_store_made_alone_becomes_that_of_a_run(ensemble, selection, tmp_path, options):
    pipeline.predict(ensemble, selection, str(tmp_path / "out" / "effects.zarr"), quiet=True)
    kept = os.stat(tmp_path / "out" / "effects.zarr").st_ino
    run(ensemble, selection, tmp_path / "out", options)
    assert os.stat(tmp_path / "out" / "effects.zarr").st_ino == kept


@pytest.mark.parametrize("overwrite", [False, True])
def test_predict_replaces_nothing_that_is_no_store(ensemble, selection, tmp_path, overwrite):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "thesis.doc").write_text("precious")
    os.mkfifo(tmp_path / "fifo")
    for name in ("folder", "folder/thesis.doc", "fifo"):
        with pytest.raises(InputError, match="not a store of effects"):
            pipeline.predict(ensemble, selection, str(tmp_path / name), overwrite=overwrite, quiet=True)
    shutil.move(tmp_path / "folder", tmp_path / "e.zarr.partial")
    with pytest.raises(InputError, match="not one of our unfinished stores"):
        pipeline.predict(ensemble, selection, str(tmp_path / "e.zarr"), overwrite=overwrite, quiet=True)
    assert (tmp_path / "e.zarr.partial" / "thesis.doc").read_text() == "precious"


def test_a_link_to_a_store_stays_one(ensemble, selection, tmp_path):
    os.symlink("real.zarr", tmp_path / "link.zarr")
    for ddof in (1, 0):
        pipeline.predict(ensemble, selection, str(tmp_path / "link.zarr"), ddof=ddof, overwrite=True, quiet=True)
        assert os.path.islink(tmp_path / "link.zarr")
        assert effects_store.open_effects(str(tmp_path / "real.zarr")).attrs["settings"]["ddof"] == ddof


def test_predict_refuses_other_effects(ensemble, selection, tmp_path):
    path = str(tmp_path / "effects.zarr")
    pipeline.predict(ensemble, selection, path, quiet=True)
    pipeline.predict(ensemble, selection, path, quiet=True)
    with pytest.raises(InputError, match="other effects .ddof: 1 -> 0"):
        pipeline.predict(ensemble, selection, path, ddof=0, quiet=True)
    pipeline.predict(ensemble, selection, path, ddof=0, keep="summary", overwrite=True, quiet=True)
    assert "member_effect" not in effects_store.open_effects(path)


@pytest.mark.parametrize("wrong, said", [
    ({"exposures": ["a"]}, "unknown exposure"), ({"outcomes": ["Z"]}, "unknown outcome"), ({"method": ["iwv"]}, "ivw"),
    ({"exposures": ["A"], "outcomes": ["A"]}, "no pair"), ({"fasta_file": "none.fa"}, "no such FASTA"),
    ({"uncertainty": "member"}, "did you mean \"members\""),
    ({"se_shrinkage": "moderate"}, "did you mean \"moderated\""), ({"diagnostics": "quik"}, "did you mean \"quick\""),
    ({"instrumentz": 2}, "did you mean \"instrument_z\""), ({"instrument_z": -1}, "at least 0"),
    ({"method_args": {"mode": "fixed"}}, "did you mean \"model\""), ({"vcf": "al"}, "did you mean \"all\""),
])
def test_bad_options_are_told_before_anything_is_predicted(ensemble, selection, tmp_path, options, wrong, said):
    with pytest.raises(InputError, match=said):
        run(ensemble, selection, tmp_path / "out", {**options, **wrong})
    assert not (tmp_path / "out").exists()


def test_a_default_that_is_spelt_out_is_the_same_run(ensemble, selection, tmp_path, genome_file):
    run(ensemble, selection, tmp_path / "out", {"fasta_file": genome_file})
    before = contents(tmp_path / "out")
    spelt_out = {**EstimateOptions().to_json(), "fasta_file": genome_file}
    for chosen in ({"instrument_z": 1.75, "fasta_file": genome_file}, spelt_out, EstimateOptions(**spelt_out)):
        run(ensemble, selection, tmp_path / "out", chosen, predict_options={"engine": "auto", "keep": "members"},
            aggregate_options={"tau2_method": "REML"})
        assert contents(tmp_path / "out") == before
    settings = json.loads((tmp_path / "out" / "run.json").read_text())["settings"]
    named = {*EstimateOptions.names(), *AggregateOptions.names(), "ddof", "keep"} - {*FILES}
    assert named <= set(settings) and settings["instrument_z"] == 1.75


@pytest.mark.parametrize("n_models, keep, said", [(2, "members", "there are 2 members, and it takes 3"),
                                                  (3, "summary", "--keep summary")])
def test_too_few_members_step_back_to_the_paper_and_say_so_once(models, selection, tmp_path, genome_file, caplog,
                                                                n_models, keep, said):
    out, few = tmp_path / "out", Ensemble.from_kipoi(models[:n_models], "dir")
    run(few, selection, out, {"fasta_file": genome_file}, predict_options={"keep": keep})
    cautions = [record.getMessage() for record in caplog.records if "caution" in record.getMessage()]
    assert len(cautions) == 1 and said in cautions[0]
    assert cautions[0].startswith("caution: --preset default cannot be used")
    told, left_out = json.loads((out / "run.json").read_text()), held(out / "report.html")["data"]["left_out"]
    assert told["caution"] == cautions[0] and any(cautions[0][1:] in each for each in left_out)
    paper = {**EstimateOptions(preset="paper").to_json(), **AggregateOptions(preset="paper").to_json()}
    for name in ("preset", "method", "instruments", "instrument_z", "uncertainty", "tau2_method"):
        assert told["settings"][name] == paper[name]
    caplog.clear()
    alone = tmp_path / "alone.tsv"
    table = pipeline.estimate(str(out / "effects.zarr"), str(alone), vcf="none")
    assert sum("caution" in record.getMessage() for record in caplog.records) == 1
    assert set(table["method"]) == {"egger_robust"}
    run(few, selection, out, {"fasta_file": genome_file, "preset": "paper"}, predict_options={"keep": keep})
    assert "caution" not in json.loads((out / "run.json").read_text())
    with pytest.raises(InputError, match="uncertainty='cross_fitted' needs"):
        pipeline.estimate(str(out / "effects.zarr"), str(alone), vcf="none", uncertainty="cross_fitted")


def test_a_misspelt_value_never_does_something_else(ensemble, selection, tmp_path):
    path, table = str(tmp_path / "effects.zarr"), tmp_path / "local.tsv"
    with pytest.raises(InputError, match="keep: 'member' is not .* did you mean \"members\""):
        pipeline.predict(ensemble, selection, path, keep="member", quiet=True)
    assert not os.path.exists(path)
    pipeline.predict(ensemble, selection, path, quiet=True)
    with pytest.raises(InputError, match="diagnostics: 'al' is not .* did you mean \"all\""):
        pipeline.estimate(path, str(table), diagnostics="al", vcf="none")
    assert not table.exists()
    as_list, as_text = (pipeline.estimate(path, str(table), vcf="none", method=method)
                        for method in (["egger_additive"], "egger_additive"))
    pd.testing.assert_frame_equal(as_list, as_text)
    pd.testing.assert_frame_equal(as_text, pipeline.estimate(path, str(table), EstimateOptions(vcf="none")))


def test_the_fasta_of_the_loci_is_that_of_the_vcf(ensemble, selection, tmp_path, options, genome_file):
    """A run that read its loci from a FASTA needs not be told of it again; loci of unknown origin need one."""
    del options["fasta_file"]
    assert selection.fasta_file == genome_file
    run(ensemble, selection, tmp_path / "out", options)
    assert (tmp_path / "out" / "instruments.vcf.gz").exists()
    assert json.loads((tmp_path / "out" / "run.json").read_text())["fasta_file"] == genome_file
    pipeline.predict(ensemble, selection, str(tmp_path / "e.zarr"), quiet=True)
    assert effects_store.open_effects(str(tmp_path / "e.zarr")).attrs["fasta_file"] == genome_file
    with pytest.raises(InputError, match="give --fasta_file, or --vcf none"):
        run(ensemble, dataclasses.replace(selection, fasta_file=None), tmp_path / "other", options)
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("fails", ["select", "select from a dataloader", "estimate", "nothing"])
def test_genomes_are_closed_on_every_path(ensemble, selection, tmp_path, options, genome_file, bed_file, monkeypatch,
                                          fails):
    opened, closed = [], []

    def recorded(own, seen):
        def method(self, *arguments):
            seen.append(self)
            return own(self, *arguments)

        return method

    monkeypatch.setattr(Genome, "__init__", recorded(Genome.__init__, opened))
    monkeypatch.setattr(Genome, "close", recorded(Genome.close, closed))
    files = {"intervals_file": bed_file, "fasta_file": genome_file}
    if fails.startswith("select"):
        monkeypatch.setattr(pipeline.selection, "select", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            pipeline.select_loci(ensemble, **({"dataloader_args": files} if "dataloader" in fails else files))
    elif fails == "estimate":
        monkeypatch.setattr(pipeline.estimation, "rule_for", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run(ensemble, selection, tmp_path / "out", options)
    else:
        pipeline.select_loci(ensemble, files)
        run(ensemble, selection, tmp_path / "out", options)
    assert opened and {*map(id, opened)} == {*map(id, closed)}


def test_the_recipe_of_a_run_makes_its_models_in_any_folder(models, selection, tmp_path, options, monkeypatch):
    """A run that Python started, by relative names; run.json is all that another process needs."""
    monkeypatch.chdir(tmp_path)
    names = [os.path.relpath(model) for model in models]
    ensemble = Ensemble.from_kipoi(names, "dir", marks=["C", "A"], batch_size=7, settings={"augment": ["rc"]},
                                   pythons=[None, sys.executable, None])
    with ensemble:
        run(ensemble, selection, tmp_path / "out", options)
        predicted = ensemble.predict(selection.loci.sequences)
    monkeypatch.chdir("/")
    told = json.loads((tmp_path / "out" / "run.json").read_text())
    with Ensemble.from_recipe(Recipe.from_json(told["recipe"])) as again:
        assert again.recipe == ensemble.recipe and list(again.names) == told["settings"]["members"]
        for name in ("marks", "checksums", "settings", "batch_size", "length"):
            assert getattr(again, name) == getattr(ensemble, name), name
        np.testing.assert_array_equal(again.predict(selection.loci.sequences), predicted)


@pytest.mark.parametrize("wanting", [{"uncertainty": "members"}, {"method": ["ivw", "ivw_correlated"]}])
def test_what_needs_members_is_refused_where_they_are_not_kept(ensemble, selection, tmp_path, options, wanting):
    with pytest.raises(InputError, match="needs every member's effects: predict with --keep members"):
        run(ensemble, selection, tmp_path / "out", {**options, **wanting}, predict_options={"keep": "summary"})
    assert not (tmp_path / "out").exists()


def test_estimate_with_another_genome_leaves_nothing_behind(ensemble, selection, tmp_path, genome_file):
    pipeline.predict(ensemble, selection, str(tmp_path / "out" / "effects.zarr"), quiet=True)
    (tmp_path / "other.fa").write_text(f">chr1\n{'A' * 400}\n")
    with pytest.raises(InputError, match="other.fa: locus locus0: at chr1:.* the FASTA has A"):
        pipeline.estimate(str(tmp_path / "out" / "effects.zarr"), str(tmp_path / "out" / "local.tsv"),
                          fasta_file=str(tmp_path / "other.fa"))
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["effects.zarr"]


def test_a_locus_without_finite_predictions_is_dropped(tmp_path, bed_file, genome_file, options):
    """`AC` at the start is what the model fails on: some loci begin so, or have mutants that do."""
    weights = member_weights()
    models = [write_model(tmp_path / "m" / str(k), w, nan_start="AC" if k else "") for k, w in enumerate(weights)]
    ensemble = Ensemble.from_kipoi(models, "dir")
    selection = pipeline.select_loci(ensemble, intervals_file=bed_file, fasta_file=genome_file)
    begins = [bytes(sequence[:2]).decode() for sequence in selection.loci.sequences]
    expected = [f"locus{i}" for i, two in enumerate(begins) if two[0] == "A" or two[1] == "C"]
    assert 0 < len(expected) < 9
    result = run(ensemble, selection, tmp_path / "out", {**options, "uncertainty": "members"})
    assert result.dropped == {mutagenesis.NOT_FINITE: expected}
    assert json.loads((tmp_path / "out" / "run.json").read_text())["dropped"] == result.dropped
    store = effects_store.open_effects(str(tmp_path / "out" / "effects.zarr"))
    assert store.attrs["dropped"] == result.dropped
    lost = np.isin(selection.loci.name, expected)
    for name in ("effect", "effect_se", "reference", "member_effect"):
        np.testing.assert_array_equal(np.isnan(store[name].values), np.broadcast_to(
            lost.reshape(-1, *[1] * (store[name].ndim - 1)), store[name].shape))
    noted = result.local["note"] == "the model's predictions are not finite"
    assert set(result.local["locus"][noted]) == set(expected) and noted.sum() == len(expected) * 6 * len(METHODS)
    assert (result.global_["n_loci"] <= 9 - len(expected)).all() and (result.global_["n_loci"] > 0).any()
    assert run(ensemble, selection, tmp_path / "out", {**options, "uncertainty": "members"}).dropped == result.dropped
    without = selection.loci[~lost]
    alone = mr.fit_pairs(mutagenesis.saturate(ensemble, without), method=METHODS, instrument_z=1.0,
                         uncertainty="members")
    pd.testing.assert_frame_equal(result.local[~noted].reset_index(drop=True), alone)


def test_no_finite_predictions_at_all_leave_nothing_behind(tmp_path, bed_file, genome_file, options):
    weights = member_weights()
    models = [write_model(tmp_path / "m" / str(k), w * (np.nan if k == 1 else 1)) for k, w in enumerate(weights)]
    ensemble = Ensemble.from_kipoi(models, "dir")
    selection = pipeline.select_loci(ensemble, intervals_file=bed_file, fasta_file=genome_file)
    with pytest.raises(InputError, match="no locus has predictions .*locus locus0: member 1 predicts nan"):
        run(ensemble, selection, tmp_path / "out", options)
    assert not (tmp_path / "out").exists()


def test_an_error_of_a_model_does_not_take_away_what_was_finished(tmp_path, models, bed_file, genome_file, options,
                                                                  monkeypatch):
    """One model fails on the seventh of nine loci, in the second block of three."""
    monkeypatch.setattr(effects_store.variables, "MAX_LOCI_PER_CHUNK", 4)
    selection = pipeline.select_loci(Ensemble.from_kipoi(models, "dir"), intervals_file=bed_file,
                                     fasta_file=genome_file)
    start = ["ACGT".index(letter) for letter in bytes(selection.loci.sequences[6]).decode()]
    code = os.path.join(models[0], "model.py")
    with open(code) as file:
        text = file.read()
    with open(code, "w") as file:
        file.write(text.replace("        if self.nan", f"        if (x.argmax(-1) == {start}).all(1).any():\n"
                                "            raise ValueError('no such luck')\n        if self.nan"))
    with pytest.raises(Stopped, match="ValueError: no such luck\n4 of 9 loci are kept: the same command goes on"):
        run(Ensemble.from_kipoi(models, "dir"), selection, tmp_path / "out", options)
    assert (tmp_path / "out" / "effects.zarr.partial").exists()


def test_a_run_killed_on_the_way_can_be_started_again(ensemble, selection, tmp_path, options, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("kipoi_deepmr.pipeline.running.estimate", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(ensemble, selection, tmp_path / "out", options)
    assert json.loads((tmp_path / "out" / "run.json").read_text())["finished"] is None
    kept = os.stat(tmp_path / "out" / "effects.zarr").st_ino
    run(ensemble, selection, tmp_path / "out", options)
    run(ensemble, selection, tmp_path / "fresh", options)
    assert os.stat(tmp_path / "out" / "effects.zarr").st_ino == kept
    assert contents(tmp_path / "out") == contents(tmp_path / "fresh")


def test_loci_come_from_one_place(ensemble, bed_file, genome_file):
    arguments = {"intervals_file": bed_file, "fasta_file": genome_file}
    with pytest.raises(InputError, match="give one"):
        pipeline.select_loci(ensemble)
    with pytest.raises(InputError, match="give one"):
        pipeline.select_loci(ensemble, arguments, bed_file, genome_file)
    with pytest.raises(InputError, match="needs --fasta_file"):
        pipeline.select_loci(ensemble, intervals_file=bed_file)


def test_sampled_loci(ensemble, bed_file, genome_file):
    chosen = [pipeline.select_loci(ensemble, intervals_file=bed_file, fasta_file=genome_file, n_loci=4, seed=s).loci
              for s in (1, 1, 2)]
    assert chosen[0].name.tolist() == chosen[1].name.tolist() != chosen[2].name.tolist()


@pytest.mark.main_job
def test_the_example_finds_the_true_effect(cooperativity, tmp_path):
    """60 of the example's loci; truth.tsv holds the effects that the simulation was made with, about 3.2.

    The estimates of both weighted methods are within 10 % of it (measured: 1 % and 4 %).
    """
    folders, arguments = cooperativity
    ensemble = Ensemble.from_kipoi(folders, "dir")
    selection = pipeline.select_loci(ensemble, arguments, n_loci=60, seed=1)
    result = run(ensemble, selection, tmp_path / "out", {"method": METHODS, "instrument_z": 2.0,
                                                         "fasta_file": arguments["fasta_file"]})
    truth = pd.read_csv(os.path.join(os.path.dirname(folders[0]), "truth.tsv"), sep="\t")
    true = truth.query("exposure == 'GATA' and outcome == 'TAL1'").set_index("locus")["true_effect"]
    used = result.local.query("exposure == 'GATA' and method == 'ivw' and estimate == estimate")["locus"]
    assert len(used) > 20
    found = result.global_.set_index(["exposure", "outcome", "method"])["estimate"]
    for method in ("ivw", "egger"):
        assert found["GATA", "TAL1", method] == pytest.approx(true[used].mean(), rel=0.1)
    assert abs(found["TAL1", "GATA", "ivw"]) < 0.1 * found["GATA", "TAL1", "ivw"]
