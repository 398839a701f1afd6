"""One small round of the simulation through the command: what it leaves, going on, further analyses, refusals."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import psutil
import pytest
from conftest import OURS, heed_interrupts, simulate

from kipoi_deepmr import effects_store
from kipoi_deepmr.cli import main
from kipoi_deepmr.simulation.experiment import analyse, places
from kipoi_deepmr.simulation.scores import score_round, summarise

pytest.importorskip("tensorflow")

METHODS = "egger_robust,ivw,wald_mean"
SMALL = ("--rounds", "1", "--scenarios", "both", "--members", "2", "--n_training", "400", "--method", METHODS)
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


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_killed_command_leaves_no_process(experiment, tmp_path, how):
    """Ctrl-C goes to all processes of a terminal; the kernel, out of memory, kills one."""
    folder, _ = experiment
    command = subprocess.Popen([sys.executable, "-c", OURS, "simulate", *SMALL, "-o", str(tmp_path)], text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
                               preexec_fn=heed_interrupts)
    while not list(tmp_path.glob("both/*.partial/truth.tsv")) and command.poll() is None:
        time.sleep(0.05)
    children = psutil.Process(command.pid).children(recursive=True)
    (os.killpg if how == signal.SIGINT else os.kill)(command.pid, how)
    said = command.communicate(timeout=60)
    assert command.returncode == (130 if how == signal.SIGINT else -9)
    assert said == ("", "" if how == signal.SIGKILL else "kipoi-deepmr: interrupted\n")
    assert len(children) == 1 and psutil.wait_procs(children, timeout=30)[1] == []
    assert not (tmp_path / "both" / "round-01").exists()


def test_a_sweep_makes_rounds_with_the_confounder_as_a_mark(tmp_path, capsys):
    words = ["simulate", "--rounds", "1", "--scenarios", "none,both", "--members", "2", "--n_training", "100",
             "--method", "ivw", "--sweep", "0.5", "-o", str(tmp_path)]
    assert main([*words, "--confounder_mark"]) == 0
    said = capsys.readouterr().out
    assert "scenario none, which has no confounder, is left out" in said and "strength 0.5: both round 1" in said
    made = tmp_path / "strength-0.5" / "both" / "round-01"
    record = json.loads((made / "round.json").read_text())
    assert [record["parameters"][name] for name in ("eta", "nu", "tau")] == [10, 15, 12.5]
    assert list(record["members"][0]["validation_r2"]) == ["GATA", "TAL1", "SOX2"]
    assert list(effects_store.open_effects(str(made / "effects.zarr"))["mark"].values) == ["GATA", "TAL1", "SOX2"]
    table = pd.read_csv(tmp_path / "sweep.tsv", sep="\t")
    assert list(zip(table["exposure"], table["outcome"], strict=True)) == [("GATA", "TAL1"), ("TAL1", "GATA")]
    assert main(words) == 2
    assert "confounder_mark: true -> null" in capsys.readouterr().err


def test_a_sweep_is_one_table_of_ordinary_experiments(experiment, tmp_path, capsys):
    folder, _ = experiment
    design = json.loads((folder / "simulation.json").read_text())
    for factor in (0.5, 1.0):
        shutil.copytree(folder / "both", tmp_path / f"strength-{factor:g}" / "both")
        strengths = {name: factor * design["strengths"][name] for name in ("eta", "nu", "tau")} | {"gamma": None}
        text = json.dumps(design | {"strengths": strengths})
        (tmp_path / f"strength-{factor:g}" / "simulation.json").write_text(text)
    words = ["simulate", *SMALL[:-2], "--method", "ivw,wald_mean", "-o", str(tmp_path)]
    assert main([*words, "--sweep", "1,0.5"]) == 0
    assert "round 1" not in capsys.readouterr().out  # all were there
    table = pd.read_csv(tmp_path / "sweep.tsv", sep="\t")
    assert table["strength"].tolist() == [1] * 4 + [0.5] * 4
    for factor, of_one in table.groupby("strength"):
        alone = pd.read_csv(tmp_path / f"strength-{factor:g}" / "analyses" / "main" / "table1.tsv", sep="\t")
        pd.testing.assert_frame_equal(of_one.drop(columns="strength").reset_index(drop=True), alone)
    assert (tmp_path / "sweep.png").stat().st_size > 10_000
    assert main([*words, "--stored", "--sweep", "0.5,1", "--analysis", "own", "--instruments", "own"]) == 0
    assert "sweep_own.tsv" in capsys.readouterr().out and (tmp_path / "sweep_own.png").exists()
    assert main([*words, "--stored", "--sweep", "1,3"]) == 2
    assert "strength-3: none of the rounds is stored" in capsys.readouterr().err


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
    wanted, options = places(["both"], 1), {"preset": "paper", "method": ["ivw"]}
    with ThreadPoolExecutor(2) as threads:
        done = [threads.submit(analyse, str(folder), "at_once", wanted, options) for _ in range(2)]
        (one, _), (two, _) = (each.result() for each in done)
    pd.testing.assert_frame_equal(one, two)


@pytest.mark.parametrize("words, said", [
    (["--seed", "2"], "seed: 1 -> 2"), (["--members", "3"], "n_members: 2 -> 3"),
    (["--stored", "--scenarios", "none"], "none of the rounds is stored"),
    (["--stored", "--seed", "2"], "seed: 1 -> 2"), (["--stored", "--eta", "3"], "eta: 20.0 -> 3.0"),
])
def test_what_is_refused(experiment, words, said, capsys):
    folder, _ = experiment
    assert main(["simulate", *SMALL, *words, "-o", str(folder)]) == 2
    told = capsys.readouterr().err
    assert said in told and told.count("\n") == 1


@pytest.mark.parametrize("words, said", [(["--scenarios", "bth"], 'did you mean "both"?'),
                                         (["--method", "ivv"], 'did you mean "ivw"?')])
def test_misspelt_names_are_refused(words, said, tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["simulate", *SMALL, *words, "-o", str(tmp_path / "x")])
    assert said in capsys.readouterr().err and not (tmp_path / "x").exists()


@pytest.mark.parametrize("words", ["0.5,x", "1,1.0", "", "1,,2", "-1", "1e9", "nan"])
def test_strengths_that_cannot_be_swept_are_refused(words, tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["simulate", "--sweep", words, "-o", str(tmp_path / "x")])
    assert "argument --sweep: " in capsys.readouterr().err and not (tmp_path / "x").exists()
