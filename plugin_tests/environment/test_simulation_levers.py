"""Levers of an analysis of stored rounds, on one small round of networks with dropout: views, masks, calibration."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from conftest import simulate

from kipoi_deepmr import dna
from kipoi_deepmr.cli import main
from kipoi_deepmr.effects_store import open_effects
from kipoi_deepmr.options import LeverOptions
from kipoi_deepmr.simulation.binding import MARKS
from kipoi_deepmr.simulation.rounds import Design, random_streams
from kipoi_deepmr.simulation.scenarios import SCENARIOS, draw_parameters, pwms_of, training_data

pytest.importorskip("tensorflow")

SMALL = ("--rounds", "1", "--scenarios", "sequence", "--members", "4", "--n_training", "400", "--dropout", "0.1")
STORED = ("simulate", "--stored", "--rounds", "1", "--scenarios", "sequence", "--method", "ivw")
DESIGN = Design(n_members=4, n_training=400, dropout=0.1)


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    """Made in a process of its own: TensorFlow's determinism, once switched on, is for all that a process computes."""
    folder = tmp_path_factory.mktemp("levers")
    simulate(folder, *SMALL, "--method", "ivw")
    return folder


@pytest.fixture(scope="module")
def observed(experiment):
    """The round's validation sequences and labels as a table for `calibrate`, drawn by the parts of a round."""
    parameters = draw_parameters(np.random.default_rng([1, 1]), SCENARIOS["sequence"])
    rng = random_streams(DESIGN, "sequence", 1)[0]
    _, (bases, labels) = training_data(pwms_of(SCENARIOS["sequence"]), parameters, rng, 400)
    table = pd.DataFrame(labels.astype(np.float64), columns=MARKS)
    table.insert(0, "sequence", [dna.decode(dna.BASES[each]) for each in bases])
    table.to_csv(experiment / "observed.tsv", sep="\t", index=False)
    return experiment / "observed.tsv"


def analyse(folder, name, *words):
    assert main([*STORED, "--analysis", name, *words, "-o", str(folder)]) == 0
    return folder / "analyses" / name / "sequence" / "round-01"


def times(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_dropout_is_part_of_a_design_that_has_it(experiment):
    assert "dropout" not in Design().as_json() and Design.from_json(Design().as_json()) == Design()
    stored = json.loads((experiment / "simulation.json").read_text())
    assert Design.from_json(stored) == DESIGN


@pytest.mark.parametrize("words", [["scale", "--noise_sd", "1"], ["quantile"]])
def test_a_calibration_is_what_calibrate_makes_of_the_validation_sequences(experiment, observed, words, tmp_path):
    made = experiment / "sequence" / "round-01"
    before = times(made)
    analysed = analyse(experiment, words[0], "--recalibration", *words)
    assert times(made) == before and not (analysed / "effects.zarr").exists()
    models, file = [str(made / str(member)) for member in range(1, 5)], tmp_path / "calibration.json"
    assert main(["calibrate", *models, "--source", "dir", "--observed", str(observed), "--recalibration", *words,
                 "-q", "-o", str(file)]) == 0
    ours, theirs = (json.loads(path.read_text()) for path in (analysed / "calibration.json", file))
    assert ours["settings"] == theirs["settings"] and ours["noise_sd"] == theirs["noise_sd"]
    for mark in MARKS:
        for key, value in theirs["marks"][mark].items():
            np.testing.assert_allclose(ours["marks"][mark][key], value, rtol=1e-5, atol=1e-6)
    assert main(["estimate", str(made / "effects.zarr"), "--calibration", str(analysed / "calibration.json"), "--vcf",
                 "none", "--diagnostics", "none", "--method", "ivw", "--instruments", "pooled", "--instrument_z", "2",
                 "--se_shrinkage", "none", "--uncertainty", "instrument", "-q", "-o", str(tmp_path / "local.tsv")]) == 0
    assert (tmp_path / "local.tsv").read_text() == (analysed / "local.tsv").read_text()
    plain = experiment / "analyses" / "main" / "sequence" / "round-01" / "local.tsv"
    assert plain.read_text() != (analysed / "local.tsv").read_text()


def test_views_of_one_network_are_members(experiment, capsys):
    made = experiment / "sequence" / "round-01"
    before, words = times(made), ("--use_members", "1", "--augment", "shift=-1:1", "--uncertainty", "cross_fitted")
    analysed = analyse(experiment, "views", *words)
    effects, stored = open_effects(str(analysed / "effects.zarr")), open_effects(str(made / "effects.zarr"))
    assert effects["member"].values.tolist() == ["1", "1:shift-1", "1:shift+1"]
    first = effects["member_effect"][:, 0].values
    np.testing.assert_allclose(first, stored["member_effect"][:, 0].values, atol=1e-4)
    assert np.abs(effects["member_effect"][:, 1].values - first).max() > 0.01
    said, kept = capsys.readouterr().out, times(analysed / "effects.zarr")
    (analysed / "scores.tsv").unlink()
    analyse(experiment, "views", *words)
    assert capsys.readouterr().out == said and times(analysed / "effects.zarr") == kept and times(made) == before


def test_masks_of_each_network_are_members_and_are_calibrated_together(experiment):
    analysed = analyse(experiment, "masks", "--use_members", "2", "--mc_dropout", "2", "--recalibration", "scale")
    effects = open_effects(str(analysed / "effects.zarr"))
    members = effects["member_effect"].values
    assert effects["member"].values.tolist() == [f"{n}:dropout{k}" for n in (1, 2) for k in (1, 2)]
    assert effects.attrs["settings"]["seed"] == 1
    assert min(np.abs(members[:, i] - members[:, j]).max() for i in range(4) for j in range(i)) > 0.01
    calibration = json.loads((analysed / "calibration.json").read_text())
    assert calibration["settings"]["members"] == effects["member"].values.tolist()
    assert (analysed / "local.calibration.json").exists()


def test_other_mutants_are_predicted_at_all_loci(experiment, capsys):
    """Also at those that the round left out, whose estimates the summary counts."""
    made = experiment / "sequence" / "round-01"
    before = times(made)
    analysed = analyse(experiment, "windows", "--mutants", "single,windows:8", "--uncertainty", "instrument")
    said, removed = capsys.readouterr().out, json.loads((made / "round.json").read_text())["test_loci"]["removed"]
    effects, stored = (open_effects(str(folder / "effects.zarr")) for folder in (analysed, made))
    truth = pd.read_csv(analysed / "loci" / "truth.tsv", sep="\t").query("exposure == 'GATA'")
    assert set(effects["kind"].values) == {"single", "windows"} and times(made) == before
    assert effects.sizes["locus"] == stored.sizes["locus"] + removed and (truth["kept"] == 0).sum() == removed > 0
    kept = np.flatnonzero(truth["kept"])
    n = stored.sizes["variant"]
    np.testing.assert_allclose(effects["effect"].values[kept, :n], stored["effect"].values, atol=1e-4)
    table = pd.read_csv(experiment / "analyses" / "windows" / "table1.tsv", sep="\t").query("exposure == 'GATA'")
    local = pd.read_csv(analysed / "local.tsv", sep="\t").query("exposure == 'GATA'").merge(truth, on="locus")
    has = np.isfinite(local["ci_low"])
    np.testing.assert_allclose(table["loci_estimated"], has.mean(), rtol=1e-6)
    np.testing.assert_allclose(table["left_out_estimated"], has[local["kept"] == 0].mean(), rtol=1e-6)
    assert "loci_estimated" in said and "left_out_estimated" in said
    assert not refused(capsys, experiment, "--mutants", "windows").startswith("kipoi-deepmr: internal")


def refused(capsys, folder, *words):
    assert main([*STORED, "--analysis", "refused", *words, "-o", str(folder)]) == 2
    return capsys.readouterr().err


def test_an_analysis_that_does_not_name_an_option_has_its_default(experiment):
    path = experiment / "analyses" / "main" / "analysis.json"
    whole = path.read_text()
    settings = json.loads(whole)
    assert {*LeverOptions.names(), "instrument_z", "tau2_method"} <= set(settings)
    path.write_text(json.dumps({name: value for name, value in settings.items() if name not in LeverOptions.names()}))
    analyse(experiment, "main")
    path.write_text(whole)


@pytest.mark.parametrize("words, said", [
    (["--noise_sd", "1"], "--noise_sd goes with --recalibration scale"),
    (["--noise_sd", "1", "--recalibration", "quantile"], "--noise_sd goes with --recalibration scale, not quantile"),
    (["--use_members", "3", "--recalibration", "scale"], "recalibration scale needs 4 members or more"),
    (["--use_members", "5"], "--use_members 5: the rounds have 4 networks each"),
    (["--use_members", "1"], "one model alone gives no standard errors"),
    (["--augment", "shft=1"], 'augment: "shft=1" is not understood'),
])
def test_what_is_refused(experiment, words, said, capsys):
    assert main([*STORED, "--analysis", "refused", *words, "-o", str(experiment)]) == 2
    told = capsys.readouterr().err
    assert said in told and told.count("\n") == 1
    assert not (experiment / "analyses" / "refused").exists()


def test_other_validation_sequences_than_the_rounds_are_not_used(experiment, tmp_path, capsys):
    shutil.copytree(experiment / "sequence", tmp_path / "sequence")
    design = json.loads((experiment / "simulation.json").read_text())
    (tmp_path / "simulation.json").write_text(json.dumps({**design, "seed": 2}))
    assert main([*STORED, "--recalibration", "scale", "-o", str(tmp_path)]) == 2
    assert "its validation sequences cannot be drawn again: member 1 explains" in capsys.readouterr().err
