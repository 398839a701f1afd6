"""One small round of the simulation through the command: what it leaves, going on, further analyses, refusals."""

import json
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from conftest import run_python

from kipoi_deepmr.cli import main
from kipoi_deepmr.simulation.experiment import analyse, places
from kipoi_deepmr.simulation.scores import score_round, summarise

pytest.importorskip("tensorflow")

METHODS = "egger_robust,ivw,wald_mean"
SMALL = ("--rounds", "1", "--scenarios", "both", "--members", "2", "--n_training", "400", "--method", METHODS)
OURS = "from kipoi_deepmr.cli import console_main; console_main()"


def simulate(folder, *words):
    """In a process of its own: TensorFlow's determinism, once switched on, is for all that a process computes."""
    done = run_python(sys.executable, "-c", OURS, "simulate", *words, "-o", folder, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    folder = tmp_path_factory.mktemp("simulation")
    (folder / "both" / "round-01.partial" / "1").mkdir(parents=True)
    (folder / "both" / "round-01.partial" / "1" / "left_by_a_killed_run").touch()
    return folder, simulate(folder, *SMALL)


def test_a_round_and_its_analysis(experiment):
    folder, said = experiment
    assert "both round 1: gamma" in said and "removed" in said and "table1.tsv" in said
    made, analysed = folder / "both" / "round-01", folder / "analyses" / "main"
    assert sorted(path.name for path in folder.glob("both/*")) == ["round-01"]
    record = json.loads((made / "round.json").read_text())
    assert record["parameters"]["eta"] == 20 and record["parameters"]["tau"] == 25
    assert len(record["members"]) == 2 and record["members"][0]["seed"] != record["members"][1]["seed"]
    truth = pd.read_csv(made / "truth.tsv", sep="\t")
    forward = truth[truth["exposure"] == "GATA"]
    assert record["test_loci"]["kept"] == len(forward) and record["true_global_effect"]["mean"] == pytest.approx(
        forward["true_effect"].mean(), abs=1e-8)
    local, global_ = (pd.read_csv(analysed / "both" / "round-01" / f"{name}.tsv", sep="\t")
                      for name in ("local", "global"))
    assert len(local) == 2 * 3 * len(forward)
    rounds, table = (pd.read_csv(analysed / f"{name}.tsv", sep="\t") for name in ("rounds", "table1"))
    expected = score_round(local, global_, truth)
    pd.testing.assert_frame_equal(rounds[expected.columns], expected, check_dtype=False, rtol=1e-6)
    pd.testing.assert_frame_equal(table, summarise(rounds), check_dtype=False)
    for method in METHODS.split(","):
        assert (analysed / f"{method}.png").stat().st_size > 10_000


def test_the_same_command_makes_nothing_anew_and_a_lost_round_is_made_the_same(experiment, capsys):
    folder, said = experiment
    made = folder / "both" / "round-01"
    before = {path: path.stat().st_mtime_ns for path in made.rglob("*") if path.is_file()}
    assert main(["simulate", *SMALL, "-o", str(folder)]) == 0
    assert capsys.readouterr().out.splitlines() == said.splitlines()[1:]
    assert {path: path.stat().st_mtime_ns for path in made.rglob("*") if path.is_file()} == before
    record = json.loads((made / "round.json").read_text())
    shutil.rmtree(made)
    assert "both round 1" in simulate(folder, *SMALL)
    anew = json.loads((made / "round.json").read_text())
    assert anew["true_global_effect"] == record["true_global_effect"]
    assert [m["epochs"] for m in anew["members"]] == [m["epochs"] for m in record["members"]]
    assert [m["weights_sha256"] for m in anew["members"]] == [m["weights_sha256"] for m in record["members"]]


def test_stored_rounds_are_analysed_without_being_made(experiment, capsys):
    folder, _ = experiment
    stored = ["simulate", "--stored", "--scenarios", "both", "--rounds", "9", "-o", str(folder)]
    assert main([*stored, "--analysis", "members", "--method", "ivw", "--uncertainty", "members"]) == 0
    one = pd.read_csv(folder / "analyses" / "members" / "table1.tsv", sep="\t")
    two = pd.read_csv(folder / "analyses" / "main" / "table1.tsv", sep="\t")
    two = two[two["method"] == "ivw"].reset_index(drop=True)
    assert (one["rounds"] == 1).all() and (one["width"] != two["width"]).all()
    np.testing.assert_array_equal(sorted(one["true_effect"]), sorted(two["true_effect"]))
    assert main([*stored, "--analysis", "members", "--method", "ivw"]) == 2
    assert 'uncertainty: "members" -> "instrument"' in capsys.readouterr().err


def test_two_analyses_at_once_wait_for_each_other(experiment):
    folder, _ = experiment
    wanted, options = places(["both"], 1), {"method": ["ivw"], "instrument_z": 2.0}
    with ThreadPoolExecutor(2) as threads:
        done = [threads.submit(analyse, str(folder), "at_once", wanted, options) for _ in range(2)]
        (one, _), (two, _) = (each.result() for each in done)
    pd.testing.assert_frame_equal(one, two)


@pytest.mark.parametrize("words, said", [
    (["--seed", "2"], "seed: 1 -> 2"), (["--members", "3"], "n_members: 2 -> 3"),
    (["--scenarios", "bth"], 'unknown scenario "bth"; did you mean "both"?'),
    (["--stored", "--scenarios", "none"], "none of the rounds is stored"),
    (["--stored", "--analysis", "misspelt", "--method", "ivv"], 'unknown method "ivv"; did you mean "ivw"?'),
])
def test_what_is_refused(experiment, words, said, capsys):
    folder, _ = experiment
    assert main(["simulate", *SMALL, *words, "-o", str(folder)]) == 2
    told = capsys.readouterr().err
    assert said in told.replace("'", '"') and told.count("\n") == 1
    assert not (folder / "analyses" / "misspelt").exists()
