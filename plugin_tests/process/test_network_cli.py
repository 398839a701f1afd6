"""`network`, the verdicts of `run` and `aggregate`, and their files: by the real command, on a chain A -> B -> C."""

import json
import re
import shutil

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from finished_runs import chain_effects, write_run
from report_pages import held

from kipoi_deepmr import effects_store, pipeline
from kipoi_deepmr.cli import main
from kipoi_deepmr.cli.tables import MAX_LINES

FILES = {"network.tsv", "network_marks.tsv", "network.graphml", "network.json", "network.png"}
TRUE = {("A", "B"): 0.8, ("B", "C"): 0.7}
DIRECT = ("exposure outcome direct se ci_low ci_high pvalue qvalue direct_std pvalue_min_effect qvalue_min_effect "
          "posterior_mean se_loci se_members df total_implied total_ci_low total_ci_high n_instruments n_loci "
          "f_conditional shared_share note direct_1 direct_2 direct_3 direct_4").split()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("chain") / "OUT"
    write_run(folder, effects=chain_effects())
    return folder


@pytest.fixture(scope="module")
def copies(tmp_path_factory):
    """A run of marks that are near copies of each other."""
    folder = tmp_path_factory.mktemp("copies") / "OUT"
    write_run(folder)
    return folder


def read(path):
    return pd.read_csv(path, sep="\t", keep_default_na=False, na_values=["NA"])


def store(effects, path):
    effects.to_zarr(str(path), zarr_format=2)
    return str(path)


def refused(capsys, words):
    assert main([str(word) for word in words]) == 2
    told = capsys.readouterr()
    assert told.err.count("\n") == 1, told.err
    return told.err


def test_a_run_has_the_files_of_the_network(run):
    assert {p.name for p in run.iterdir()} >= FILES
    table = read(run / "network.tsv")
    assert list(table) == DIRECT and len(table) == 12
    effect = table.set_index(["exposure", "outcome"])
    for pair, row in effect.iterrows():
        assert row["ci_low"] - 0.02 < TRUE.get(pair, 0) < row["ci_high"] + 0.02, pair
        assert (row["qvalue_min_effect"] < 0.05) == (pair in TRUE)
    marks = read(run / "network_marks.tsv").set_index("mark")
    assert (marks["cause"] == "yes").all() and (marks["n_own_mutants"] > 100).all()
    assert marks["out_degree"].tolist() == [1, 1, 0, 0] and marks["in_degree"].tolist() == [0, 1, 1, 0]


def test_other_programs_read_the_graph(run):
    graph = nx.read_graphml(run / "network.graphml")
    assert set(graph.edges) == set(TRUE) and set(graph) == set("ABCD")
    assert graph.edges["A", "B"]["direct"] == pytest.approx(0.8, abs=0.05) and graph.nodes["A"]["cause"] is True
    other = nx.cytoscape_graph(json.loads((run / "network.json").read_text()))
    assert set(other.edges) == set(TRUE)
    assert other.edges["B", "C"]["qvalue_min_effect"] == pytest.approx(graph.edges["B", "C"]["qvalue_min_effect"])


def test_global_effects_have_verdicts(run):
    table = read(run / "global.tsv")
    assert list(table)[-4:] == ["standardised", "qvalue", "verdict", "reason"] and table["reason"].notna().all()
    verdict = table.drop_duplicates(["exposure", "outcome"]).set_index(["exposure", "outcome"])["verdict"]
    for pair, words in verdict.items():
        expected = "direct effect" if pair in TRUE else "indirect effect (through B)" if pair == ("A", "C") else \
            "no effect beyond the minimum"
        assert words == expected, pair
    sd = chain_effects()["effect"].std(("locus", "variant")).to_series()
    unit = table["exposure"].map(sd) / table["outcome"].map(sd)
    np.testing.assert_allclose(table["standardised"], table["estimate"] * unit, rtol=1e-4)


def test_q_values_are_those_of_benjamini_and_hochberg(run):
    """By their definition, within each method."""
    for _, table in read(run / "global.tsv").groupby("method"):
        p = table["pvalue"].to_numpy()
        rank = p.argsort().argsort() + 1
        expected = [min(1, min(len(p) * q / r for q, r in zip(p, rank, strict=True) if q >= one)) for one in p]
        np.testing.assert_allclose(table["qvalue"], expected, rtol=1e-12)


def test_the_command_makes_what_a_run_made(run, tmp_path, capsys):
    for k, source in enumerate((run, run / "effects.zarr")):
        assert main(["network", str(source), "-o", str(tmp_path / f"n{k}.tsv")]) == 0
        told = capsys.readouterr().out
        assert re.search("A +B +direct effect.*no effect beyond the minimum", told, re.DOTALL)
        for ending, name in ((".tsv", "network.tsv"), (".marks.tsv", "network_marks.tsv"), (".png", "network.png"),
                             (".graphml", "network.graphml"), (".json", "network.json")):
            assert (tmp_path / f"n{k}{ending}").read_bytes() == (run / name).read_bytes(), name


def test_the_table_alone_on_standard_output(run, tmp_path, capfdbinary, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["network", str(run), "-q", "-o", "-"]) == 0
    assert capfdbinary.readouterr().out == (run / "network.tsv").read_bytes() and not list(tmp_path.iterdir())


def test_aggregate_takes_the_effects_beside_its_table_or_by_name(run, tmp_path, capsys):
    assert main(["aggregate", str(run / "local.tsv"), "-q", "-o", str(tmp_path / "a.tsv")]) == 0
    shutil.copy(run / "local.tsv", tmp_path / "l.tsv")
    assert main(["aggregate", str(tmp_path / "l.tsv"), "--effects", str(run / "effects.zarr"), "-q", "-o",
                 str(tmp_path / "b.tsv")]) == 0
    for name in ("a", "b"):
        assert (tmp_path / f"{name}.tsv").read_bytes() == (run / "global.tsv").read_bytes()
        assert {p.name for p in tmp_path.glob(f"{name}.network*")} == {f"{name}.{file}" for file in FILES}
    assert main(["aggregate", str(tmp_path / "l.tsv"), "-o", str(tmp_path / "b.tsv")]) == 0
    assert ": the effects are not known: give --effects" in capsys.readouterr().out
    table = read(tmp_path / "b.tsv")
    assert table["verdict"].isna().all() and table["standardised"].isna().all() and table["qvalue"].notna().all()
    assert not list(tmp_path.glob("b.network*"))  # none is left standing
    assert "needs the effects: --effects" in refused(capsys, ["aggregate", tmp_path / "l.tsv", "--network", "direct",
                                                              "-o", tmp_path / "c.tsv"])


def test_a_network_that_is_not_wanted(run, tmp_path, capsys):
    assert main(["aggregate", str(run / "local.tsv"), "--network", "none", "-o", str(tmp_path / "a.tsv")]) == 0
    assert ": no network was inferred (--network none)" in capsys.readouterr().out
    assert read(tmp_path / "a.tsv")["standardised"].notna().all() and not list(tmp_path.glob("*network*"))
    assert "infers a network" in refused(capsys, ["network", run, "--network", "none", "-o", tmp_path / "n.tsv"])


def test_the_summary_leads_with_verdicts_the_strongest_first(run, tmp_path, capsys):
    assert main(["aggregate", str(run / "local.tsv"), "-o", str(tmp_path / "a.tsv")]) == 0
    told = capsys.readouterr().out
    assert told.startswith("verdicts on 12 ordered pairs: ") and len(told.splitlines()) <= MAX_LINES
    shown = read(run / "global.tsv").query("method == 'ivw'").set_index(["exposure", "outcome"])["standardised"].abs()
    first = [tuple(line.split()[:2]) for line in told.splitlines()[2:5]]
    assert set(first) == set(shown.nlargest(3).index)


def test_the_report_leads_with_verdicts(run, tmp_path):
    shutil.copytree(run, tmp_path / "OUT")
    assert main(["report", str(tmp_path / "OUT"), "-q"]) == 0
    text, data = (tmp_path / "OUT" / "report.html").read_text(), held(tmp_path / "OUT" / "report.html")["data"]
    assert text.index('id="overview"') < text.index('id="global"') and data["network"]["exposure"]
    assert "indirect effect (through B)" in data["effects"]["verdicts"]


@pytest.mark.parametrize("figure, source", [("network", ""), ("network", "network.tsv"), ("heatmap", ""),
                                            ("heatmap", "network.tsv"), ("heatmap", "global.tsv")])
def test_figures(run, tmp_path, figure, source):
    for ending in (".png", ".pdf", ".svg"):
        assert main(["plot", figure, str(run / source), "-q", "-o", str(tmp_path / f"x{ending}")]) == 0
    assert ">A<" in (tmp_path / "x.svg").read_text()


@pytest.mark.parametrize("source", ["", "global.tsv"])
def test_a_heat_map_with_colours_of_a_table(run, tmp_path, source):
    marks = [*dict.fromkeys(pd.read_csv(run / "global.tsv", sep="\t")["exposure"]), "unused"]
    (tmp_path / "t.tsv").write_text("name\tassay\n" + "".join(f"{m}\tassay of {m}\n" for m in marks))
    assert main(["plot", "heatmap", str(run / source), "--mark_table", str(tmp_path / "t.tsv"), "--color_by", "assay",
                 "-q", "-o", str(tmp_path / "x.svg")]) == 0
    text = (tmp_path / "x.svg").read_text()
    assert all(f"assay of {m}<" in text for m in marks[:-1]) and "assay of unused" not in text


@pytest.mark.parametrize("source", ["", "global.tsv"])
def test_a_heat_map_with_the_colours_that_the_run_was_given(run, tmp_path, source, capsys):
    """As of groups (`--mark_groups_by`), which have no row in the table; a mark may have no value."""
    shutil.copytree(run, tmp_path / "OUT")
    told = json.loads((tmp_path / "OUT" / "run.json").read_text())
    told["mark_columns"] = {"assay": {"A": "of A", "B": "of both", "C": "of both"}}
    (tmp_path / "OUT" / "run.json").write_text(json.dumps(told))
    words = ["plot", "heatmap", tmp_path / "OUT" / source, "-q", "-o", tmp_path / "x.svg", "--color_by"]
    assert main([*map(str, words), "assay"]) == 0
    text = (tmp_path / "x.svg").read_text()
    assert all(f"{group}<" in text for group in ("of A", "of both", "(none)"))
    assert 'the marks of the run have no column "asay"; did you mean "assay"?' in refused(capsys, [*words, "asay"])
    (tmp_path / "t.tsv").write_text("name\tassay\nx\ty\n")
    assert "leave out --mark_table" in refused(capsys, [*words, "assay", "--mark_table", tmp_path / "t.tsv"])


@pytest.mark.parametrize("options, said", [
    (["--color_by", "assay"], "was not made with a table of marks; give one by --mark_table"),
    (["--mark_table", "t.tsv", "--color_by", "asay"], 'the table has no column "asay"; did you mean "assay"?'),
    (["--mark_table", "t.tsv", "--color_by", "assay"], "t.tsv: no row is called A, which is a mark of")])
def test_bad_colours_of_a_heat_map(run, tmp_path, monkeypatch, capsys, options, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.tsv").write_text("name\tassay\nB\tx\n")
    assert said in refused(capsys, ["plot", "heatmap", run, *options, "-o", tmp_path / "x.svg"])
    assert not (tmp_path / "x.svg").exists()


# ---- bad input: one clear message or a table of reasons

def test_two_members_are_too_few(tmp_path, capsys):
    path = store(chain_effects(n_members=2), tmp_path / "e.zarr")
    assert "3 members" in refused(capsys, ["network", path, "--network", "direct", "-o", tmp_path / "n.tsv"])
    judged = pipeline.judge(effects_store.open_effects(path))
    assert judged.network is None and "3 members" in judged.reason and judged.sd["A"] > 0


def test_a_store_without_member_effects(tmp_path, capsys):
    path = store(chain_effects().drop_vars("member_effect"), tmp_path / "e.zarr")
    assert "members" in refused(capsys, ["network", path, "--network", "direct", "-o", tmp_path / "n.tsv"])
    assert not list(tmp_path.glob("n.*"))


def test_one_mark(tmp_path, capsys):
    path = store(chain_effects().isel(mark=[0]), tmp_path / "e.zarr")
    assert "two marks" in refused(capsys, ["network", path, "-o", tmp_path / "n.tsv"])


def test_effects_that_are_all_zero(tmp_path, capsys):
    effects = chain_effects()
    for name in ("effect", "effect_se", "member_effect"):
        effects[name][:] = 0
    path = store(effects, tmp_path / "e.zarr")
    assert "zero" in refused(capsys, ["network", path, "-o", tmp_path / "n.tsv"])


def test_marks_without_mutants_of_their_own_are_a_table_of_reasons(copies, tmp_path):
    table = read(copies / "global.tsv")
    assert table["verdict"].str.startswith("cannot be told: ").all() and table["reason"].str.len().gt(10).all()
    assert not table["verdict"].str.contains("nan").any()


def test_two_identical_marks(tmp_path):
    effects = chain_effects()
    for name in ("effect", "effect_se", "member_effect"):
        effects[name][..., 3] = effects[name][..., 0].values
    net = pipeline.network(store(effects, tmp_path / "e.zarr"), str(tmp_path / "n.tsv"))
    verdict = net.verdicts.set_index(["exposure", "outcome"])["verdict"]
    assert "near copies" in verdict["A", "D"] and "near copies" in verdict["D", "A"]
    assert "near copies" in read(tmp_path / "n.tsv").set_index(["exposure", "outcome"])["note"]["A", "D"]


@pytest.mark.parametrize("name", ["A B", "x>y", "<&\"'>", "ΔΨ", "K562_" * 16])
def test_names_of_any_kind(tmp_path, name):
    effects = chain_effects(n_loci=12).assign_coords(mark=np.array([name, "B", "C", "D"]))
    pipeline.network(store(effects, tmp_path / "e.zarr"), str(tmp_path / "n.tsv"))
    assert name in nx.read_graphml(tmp_path / "n.graphml")
    assert name in nx.cytoscape_graph(json.loads((tmp_path / "n.json").read_text()))
    assert name in set(read(tmp_path / "n.tsv")["exposure"])
