"""One small round of the simulation of graphs through the command: what it leaves, going on, refusals."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from conftest import simulate

from kipoi_deepmr import network
from kipoi_deepmr.cli import main
from kipoi_deepmr.effects_store import open_effects
from kipoi_deepmr.simulation import graph_activity, graph_scores, graph_truth, graphs

pytest.importorskip("tensorflow")

SMALL = ("--graph", "chain", "--hidden", "1", "--rounds", "1", "--members", "4", "--n_training", "200", "--method",
         "ivw", "--scenarios", "saturating")


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    folder = tmp_path_factory.mktemp("graphs")
    return folder, simulate(folder, *SMALL)


def test_a_round_of_a_graph_and_its_analysis(experiment):
    folder, said = experiment
    assert "saturating round 1: 3 edges among 4 marks, 200 loci" in said and "table1.tsv" in said
    made, analysed = folder / "saturating" / "round-01", folder / "analyses" / "main"
    record = json.loads((made / "round.json").read_text())
    graph = graphs.Graph(np.array(record["direct"]), 4)
    assert record["names"] == ["A", "B", "C", "D", "U1"]
    assert set(zip(*np.nonzero(graph.direct[:4]), strict=True)) == {(0, 1), (1, 2), (2, 3)}
    effects = open_effects(str(made / "effects.zarr"))
    assert effects["mark"].values.tolist() == list("ABCD") and effects.sizes["locus"] == 200
    truth, whole = (pd.read_csv(made / f"{name}.tsv", sep="\t") for name in ("truth", "graph"))
    pd.testing.assert_frame_equal(graph_truth.global_truth(truth, graph), whole, check_dtype=False, atol=1e-7)
    rounds, table = (pd.read_csv(analysed / f"{name}.tsv", sep="\t") for name in ("rounds", "table1"))
    assert len(rounds) == 12 and rounds["acts"].sum() == 6 and table["pairs"].tolist() == [6, 6]
    local = pd.read_csv(analysed / "saturating" / "round-01" / "local.tsv", sep="\t")
    expected = graph_scores.score_totals(local, pd.read_csv(
        analysed / "saturating" / "round-01" / "global.tsv", sep="\t"), truth, whole)
    pd.testing.assert_frame_equal(rounds[expected.columns], expected, check_dtype=False, rtol=1e-6)


def test_direct_effects_are_scored(experiment):
    """edges.tsv of a round is the network of its effects beside graph.tsv; that of the analysis has all rounds."""
    folder, _ = experiment
    made, analysed = folder / "saturating" / "round-01", folder / "analyses" / "main"
    direct = network.fit(open_effects(str(made / "effects.zarr"))).direct
    expected = graph_scores.score_edges(direct, pd.read_csv(made / "graph.tsv", sep="\t"))
    edges = pd.read_csv(analysed / "edges.tsv", sep="\t")
    assert (edges["scenario"] == "saturating").all() and (edges["round"] == 1).all()
    pd.testing.assert_frame_equal(edges[expected.columns], expected, check_dtype=False, rtol=1e-6)
    table = pd.read_csv(analysed / "edges_table.tsv", sep="\t")
    pd.testing.assert_frame_equal(table, graph_scores.summarise_edges(edges), check_dtype=False, rtol=1e-6)
    assert (analysed / "edges.png").stat().st_size > 10_000


def test_stored_loci_are_those_of_the_truth(experiment):
    """The sequences in the store, with the graph of round.json, have the effects of truth.tsv."""
    made = experiment[0] / "saturating" / "round-01"
    graph = graphs.Graph(np.array(json.loads((made / "round.json").read_text())["direct"]), 4)
    pwms, effects = graph_activity.motifs_of(graph.names), open_effects(str(made / "effects.zarr"))
    truth = pd.read_csv(made / "truth.tsv", sep="\t")
    fasta = "".join((made / "test_loci.fa").read_text().split("\n")[1:])
    bed = [line.split("\t") for line in (made / "test_loci.bed").read_text().splitlines()]
    assert [line[3] for line in bed] == effects["name"].values.tolist()
    own = graph_activity.own_input(np.array([["ACGT".index(b) for b in fasta[int(x[1]):int(x[2])]] for x in bed],
                                            dtype=np.uint8), pwms)
    for mark, column in zip("ABCD", own.T[:4], strict=True):
        with_motif = truth.loc[truth["exposure"] == mark, "locus"].unique()
        held = np.isin(effects["name"].values, with_motif)
        assert column[held].mean() > 6 and column[~held].mean() < 2


def test_a_graph_experiment_goes_on_and_a_lost_round_is_made_the_same(experiment, capsys):
    folder, said = experiment
    made = folder / "saturating" / "round-01"
    assert main(["simulate", *SMALL, "-o", str(folder)]) == 0
    assert capsys.readouterr().out.splitlines() == said.splitlines()[1:]
    record = json.loads((made / "round.json").read_text())
    before = pd.read_csv(made / "truth.tsv", sep="\t")
    shutil.rmtree(made)
    assert "saturating round 1" in simulate(folder, *SMALL)
    assert json.loads((made / "round.json").read_text())["members"] == record["members"]
    pd.testing.assert_frame_equal(pd.read_csv(made / "truth.tsv", sep="\t"), before)


def test_validation_sequences_are_drawn_once_more(experiment):
    """Calibration draws them again and compares what each member explains of their labels."""
    folder, _ = experiment
    made = folder / "saturating" / "round-01"
    assert main(["simulate", "--stored", *SMALL, "--analysis", "scaled", "--recalibration", "scale", "-o",
                 str(folder)]) == 0
    assert (folder / "analyses" / "scaled" / "saturating" / "round-01" / "calibration.json").exists() and made.exists()


@pytest.mark.parametrize("words, said", [
    (["--graph", "cycle"], "graph: chain -> cycle"), (["--hidden", "0"], "n_hidden: 1 -> 0"),
    (["--scenarios", "none"], 'unknown scenario "none"'), (["--gamma", "1"], "--gamma goes without --graph"),
    (["--sweep", "1,2"], "--sweep goes without --graph"), (["--marks", "1"], "--marks 1: --graph chain needs"),
    (["--stored", "--hidden", "2"], "n_hidden: 1 -> 2"),
])
def test_what_is_refused(experiment, words, said, capsys):
    assert main(["simulate", *SMALL, *words, "-o", str(experiment[0])]) == 2
    told = capsys.readouterr().err
    told = told.replace("'", '"').replace('"chain"', "chain").replace('"cycle"', "cycle")
    assert said in told and told.count("\n") == 1


def test_marks_need_a_graph(tmp_path, capsys):
    assert main(["simulate", "--marks", "5", "-o", str(tmp_path / "x")]) == 2
    assert "--marks goes with --graph" in capsys.readouterr().err and not (tmp_path / "x").exists()
