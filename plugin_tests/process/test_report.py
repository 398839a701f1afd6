"""report.html: what it holds of a run, and what it says that it leaves out."""

import base64
import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from finished_runs import METHODS, PLAIN, chain_effects, seal, write_run
from report_pages import held
from wide_case import make_store
from wide_tables import long_names, write_tables

from kipoi_deepmr import instruments, pipeline
from kipoi_deepmr.cli import main
from kipoi_deepmr.errors import InputError
from kipoi_deepmr.mr.diagnostics.influence import leave_one_out
from kipoi_deepmr.mr.diagnostics.table import RED
from kipoi_deepmr.report import contents, details, genome, lights, write_report
from kipoi_deepmr.report import heat as heat_map
from kipoi_deepmr.report.letters import outlines
from kipoi_deepmr.runs.finished import FinishedRun

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report") / "out"
    effects = write_run(folder)
    return folder, effects, held(write_report(str(folder)))


@pytest.mark.main_job
def test_tables_are_those_of_the_run(finished):
    folder, _, blocks = finished
    table = pd.read_csv(folder / "global.tsv", sep="\t")
    data = blocks["data"]
    effects = data["effects"]
    for method in METHODS:
        rows = table[table["method"] == method]
        rows = rows.loc[rows["standardised"].abs().sort_values(ascending=False).index]
        if method == METHODS[0]:
            shown = rows[["exposure", "outcome"]]
            for role in shown:
                assert [data["marks"][i] for i in effects[role]] == shown[role].tolist()
            assert [effects["verdicts"][i] for i in effects["verdict"]] == rows["verdict"].tolist()
        rows = rows.set_index(["exposure", "outcome"]).loc[list(shown.itertuples(index=False, name=None))]
        assert np.allclose(effects["methods"][method]["estimate"], rows["estimate"], rtol=1e-4)
    local = pd.read_csv(folder / "local.tsv", sep="\t")
    assert len(data["pairs"]) == 6 and data["left_out"] == []
    for i, (x, y) in enumerate(data["pairs"]):
        for method in METHODS:
            rows = local[(local["exposure"] == data["marks"][x]) & (local["outcome"] == data["marks"][y])
                         & (local["method"] == method)]
            shown = blocks[f"pair-{i}"]["methods"][method]
            assert [data["loci"]["locus"][j] for j in blocks[f"pair-{i}"]["locus"]] == rows["locus"].tolist()
            assert np.allclose(np.array(shown["estimate"], float), rows["estimate"], rtol=1e-3, equal_nan=True)


def test_flags_of_each_locus(finished):
    folder, _, blocks = finished
    diagnostics = pd.read_csv(folder / "diagnostics.tsv", sep="\t", keep_default_na=False)
    marks = blocks["data"]["marks"]
    assert diagnostics["red"].ne("").any()
    for i, (x, y) in enumerate(blocks["data"]["pairs"]):
        rows = diagnostics[(diagnostics["exposure"] == marks[x]) & (diagnostics["outcome"] == marks[y])]
        shown = blocks[f"pair-{i}"]["red"]
        assert [",".join(f for bit, f in enumerate(RED) if bits >> bit & 1) for bits in shown] == rows["red"].tolist()


def test_details_are_the_instruments_and_their_effects(finished):
    _, effects, blocks = finished
    rule = instruments.rule_for(effects, "pooled", 1.5)
    for number in range(8):
        shown, effect = blocks[f"locus-{number}"], effects["effect"].values[number].astype(float)
        se = effects["effect_se"].values[number].astype(float)
        mask = rule.mask(effect, se)
        assert shown["variants"] == np.flatnonzero(mask.any(1)).tolist()
        assert shown["sequence"] == "".join(effects["ref_base"].values[number, ::3])
        for m, mark in enumerate("ABC"):
            for indices in shown["instruments"][mark].values():
                assert np.array(shown["variants"])[indices].tolist() == np.flatnonzero(mask[:, m]).tolist()
            assert np.allclose(shown["effect"][mark], effect[shown["variants"], m], rtol=1e-3)
            assert np.allclose(shown["track"][mark], -effect[:, m].reshape(-1, 3).mean(1), rtol=1e-2)
        chosen = mask[:, 0]
        expected = leave_one_out(effect[chosen, 0], se[chosen, 0], effect[chosen, 1], se[chosen, 1]).estimate
        assert np.allclose(np.array(shown["without"]["A"]["B"]["estimate"], float), expected, rtol=1e-3, equal_nan=True)


def test_what_does_not_fit_is_left_out_and_told(finished, tmp_path, monkeypatch):
    folder = tmp_path / "out"
    shutil.copytree(finished[0], folder)
    monkeypatch.setattr(contents, "MAX_PAIRS", 2)
    size = len(json.dumps(finished[2]["locus-0"]))
    monkeypatch.setattr(details, "MAX_BYTES", 3 * size)
    blocks = held(write_report(str(folder)))
    told = blocks["data"]["left_out"]
    assert len(blocks["data"]["pairs"]) == 2 and "pair-2" not in blocks and "for 2 pairs of" in told[0]
    assert "of 6" in told[0]
    n_detailed = sum(name.startswith("locus-") for name in blocks)
    assert 1 <= n_detailed < 8 and f"{n_detailed} loci" in told[1]
    strength = pd.read_csv(folder / "global.tsv", sep="\t").query("method == 'ivw'").eval("abs(standardised)")
    assert len(blocks["data"]["effects"]["exposure"]) == 6
    best = strength.nlargest(2).index
    table = pd.read_csv(folder / "global.tsv", sep="\t").loc[best]
    assert [blocks["data"]["marks"][x] for x, _ in blocks["data"]["pairs"]] == table["exposure"].tolist()


def test_the_loci_that_weigh_most_come_first(finished):
    run = FinishedRun(str(finished[0]))
    local = run.local_of([("A", "B")])
    loci = contents.loci_of(local)
    order = details._order(run, contents.numbered(local, loci), len(loci))
    tau2 = run.global_.rows.query("exposure == 'A' and outcome == 'B' and method == 'ivw'")["tau"].iloc[0] ** 2
    weight = 1 / (local[local["method"] == "ivw"]["se"] ** 2 + tau2)
    assert order == np.argsort(-weight.fillna(0).to_numpy(), kind="stable").tolist()


def test_without_effects(finished, tmp_path):
    shutil.copytree(finished[0], tmp_path / "out", ignore=shutil.ignore_patterns("effects.zarr"))
    blocks = held(write_report(str(tmp_path / "out")))
    assert "pair-0" in blocks and "locus-0" not in blocks
    assert "effects.zarr is not in the folder" in blocks["data"]["left_out"][0]


def test_tables_of_other_settings_are_noticed(finished, tmp_path):
    shutil.copytree(finished[0], tmp_path / "out")
    told = json.loads((tmp_path / "out" / "run.json").read_text())
    told["settings"]["instrument_z"] = 0.5
    (tmp_path / "out" / "run.json").write_text(json.dumps(told))
    blocks = held(write_report(str(tmp_path / "out")))
    assert "locus-0" not in blocks and "other settings" in blocks["data"]["left_out"][0]


def test_instruments_that_no_weight_counts_are_not_other_settings(tmp_path):
    """Delta weights count no instrument whose exposure effect is exactly 0, which a z of 0 lets in."""
    folder, zero = tmp_path / "out", [0, 5, 40]
    effects = write_run(folder, instrument_z=0.0, n_loci=3)
    for name in ("effect", "member_effect"):
        effects[name][{"variant": zero}] = 0.0
    effects.to_zarr(str(folder / "effects.zarr"), zarr_format=2, mode="w")
    pipeline.estimate(str(folder / "effects.zarr"), str(folder / "local.tsv"), vcf="none", method=("ivw",),
                      instrument_z=0.0, method_args={"weights": "delta"}, diagnostics="none", **PLAIN)
    assert (pd.read_csv(folder / "local.tsv", sep="\t")["n_instruments"] == 90 - len(zero)).all()
    pipeline.aggregate(str(folder / "local.tsv"), str(folder / "global.tsv"))
    seal(folder)
    assert "locus-0" in held(write_report(str(folder)))


def test_without_diagnostics(tmp_path):
    write_run(tmp_path / "out", diagnostics="none", n_loci=3)
    blocks = held(write_report(str(tmp_path / "out")))
    assert blocks["data"]["lights"] is None and "red" not in blocks["pair-0"]


def test_bad_folders_are_told(tmp_path, finished, capsys):
    assert main(["report", str(tmp_path)]) == 2
    assert "not a run folder: it has no run.json" in capsys.readouterr().err
    folder = tmp_path / "out"
    shutil.copytree(finished[0], folder)
    text = (folder / "global.tsv").read_text()
    (folder / "global.tsv").write_text(text.replace("\tse\t", "\tstderr\t"))
    seal(folder)
    with pytest.raises(InputError, match="global.tsv: it has no column se"):
        write_report(str(folder))
    (folder / "global.tsv").write_text(text)
    (folder / "local.tsv").write_text((folder / "local.tsv").read_text().replace("\tivw\t", "\tivw\tmany", 1))
    seal(folder)
    with pytest.raises(InputError, match="local.tsv: cannot be read as a table of DeepMR"):
        write_report(str(folder))


def test_the_same_run_gives_the_same_page(finished, tmp_path):
    shutil.copytree(finished[0], tmp_path / "out")
    assert main(["report", str(tmp_path / "out"), "-q"]) == 0
    assert (tmp_path / "out" / "report.html").read_bytes() == (finished[0] / "report.html").read_bytes()


def test_nothing_is_loaded_from_elsewhere(finished):
    tags = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: tags.append((tag, dict(attributes)))
    parser.feed((finished[0] / "report.html").read_text())
    policy = next(a["content"] for tag, a in tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; script-src 'sha256-") and "eval" not in policy
    loaded = [a[name] for tag, a in tags for name in ("src", "href") if name in a]
    assert all(link.startswith("#") for link in loaded) and not {"link", "img", "iframe"} & {tag for tag, _ in tags}


def test_sentences_are_those_of_the_documentation():
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*?) \|$", (DOCS / "diagnostics.md").read_text(), re.M)
    assert rows == [(flag, *lights.SENTENCES[flag]) for flag in RED]


@pytest.mark.parametrize("share, colour", [(0.0, "green"), (0.1, "green"), (0.2, "amber"), (0.5, "red"),
                                           (np.nan, "none")])
def test_colours(share, colour):
    assert lights.colour_of(share) == colour and lights.colour_of(share, tested=False) == "none"


def test_outlines_fill_their_box():
    for letter, path in outlines().items():
        numbers = np.array(re.findall(r"(-?[\d.]+),(-?[\d.]+)", path), float)
        assert path[0] == "M" and path[-1] == "Z", letter
        assert np.allclose([numbers.min(0), numbers.max(0)], [(0, -1), (1, 0)], atol=0.03), letter


def test_the_heat_map_has_every_effect_and_its_doubts(finished):
    """By the bytes of the page: the order is a permutation, a cell its effect, a dot the verdict of its pair."""
    folder, _, blocks = finished
    heat, table = blocks["data"]["heat"], pd.read_csv(folder / "global.tsv", sep="\t").query("method == 'ivw'")
    n = len(heat["marks"])
    cells = np.frombuffer(base64.b64decode(heat["cells"]), np.int8).reshape(n, n)
    bits = np.unpackbits(np.frombuffer(base64.b64decode(heat["dots"]), np.uint8), bitorder="little")
    dots = (bits[::2] + 2 * bits[1::2])[:n * n].reshape(n, n)
    assert sorted(heat["marks"]) == ["A", "B", "C"] and (np.diag(cells) == -128).all() and (np.diag(dots) == 0).all()
    for row in table.itertuples():
        at = heat["marks"].index(row.exposure), heat["marks"].index(row.outcome)
        assert cells[at] / 127 * heat["most"] == pytest.approx(row.standardised, abs=heat["most"] / 127)
        believed = row.verdict == "direct effect" or row.verdict.startswith("indirect effect")
        doubtful = not believed and row.qvalue < 0.05 and row.verdict != "no effect beyond the minimum"
        assert dots[at] == believed + 2 * doubtful
    assert set(dots[~np.eye(n, dtype=bool)]) - {0}


def test_colours_end_where_the_effects_that_matter_do():
    """Of many marks, a few wild effects lie beyond the ends; the page says on which side."""
    rng = np.random.default_rng(0)
    assert heat_map._most(np.array([0.5, -2.0, np.nan, 0.0]), 1.0) == 2.0
    assert heat_map._most(np.append(rng.uniform(0.1, 1, 99), 50.0), 0.9) < 1
    assert heat_map._most(np.array([np.nan]), 0.9) == 1.0


def test_the_network_has_the_direct_effects(tmp_path):
    """Solid where the verdict is a direct effect; every mark has a place of its own, edges or not."""
    write_run(tmp_path / "out", effects=chain_effects())
    data = held(write_report(str(tmp_path / "out")))["data"]
    network, marks = data["network"], data["marks"]
    edges = {(marks[x], marks[y]): doubt for x, y, doubt in
             zip(network["exposure"], network["outcome"], network["doubtful"], strict=True)}
    table = pd.read_csv(tmp_path / "out" / "network.tsv", sep="\t").set_index(["exposure", "outcome"])
    verdict = pd.read_csv(tmp_path / "out" / "global.tsv", sep="\t").drop_duplicates(["exposure", "outcome"])
    verdict = verdict.set_index(["exposure", "outcome"])["verdict"]
    assert set(edges) == set(table.index[table["qvalue_min_effect"] < 0.05]) >= {("A", "B"), ("B", "C")}
    assert edges == {pair: int(verdict[pair] != "direct effect") for pair in edges}
    assert np.allclose(network["effect"], [table.loc[pair, "direct_std"] for pair in edges], rtol=1e-3)
    places = set(zip(network["x"], network["y"], strict=True))
    assert len(places) == len(network["marks"]) == 4 and network["alone"] == 0
    assert all(0 <= v <= 1 for place in places for v in place)


def test_the_network_of_some_exposures_and_outcomes_has_their_direct_effects_alone(tmp_path):
    """The other pairs have no verdict, which says whether an arrow is dashed."""
    store = make_store(tmp_path, n_marks=6, n_loci=20, length=12, edges_per_mark=2)
    roles = {"exposures": ["mark[0-2]"], "outcomes": ["mark[1-3]"]}
    pipeline.run_again(store, str(tmp_path / "out"), estimate_options={"method": "ivw", **roles, "vcf": "none"})
    data = held(tmp_path / "out" / "report.html")["data"]
    network, marks = data["network"], data["marks"]
    edges = {(marks[x], marks[y]) for x, y in zip(network["exposure"], network["outcome"], strict=True)}
    table = pd.read_csv(tmp_path / "out" / "network.tsv", sep="\t").query("qvalue_min_effect < 0.05")
    every = set(zip(table["exposure"], table["outcome"], strict=True))
    assert edges == {(x, y) for x, y in every if x <= "mark2" and "mark1" <= y <= "mark3"} != every
    assert edges


def test_the_network_of_many_marks_has_believed_effects_alone(tmp_path):
    write_tables(tmp_path / "out", long_names(50), n_edges=40)
    data = held(write_report(str(tmp_path / "out")))["data"]
    network, verdict = data["network"], pd.read_csv(tmp_path / "out" / "global.tsv", sep="\t")["verdict"]
    assert len(network["exposure"]) == (verdict == "direct effect").sum() and not any(network["doubtful"])
    assert set(network["marks"]) == {*network["exposure"], *network["outcome"]}
    assert network["alone"] == 50 - len(network["marks"])


def test_without_a_network(tmp_path):
    shutil.copytree(_plain(tmp_path), tmp_path / "out", ignore=shutil.ignore_patterns("network.*"))
    seal(tmp_path / "out")
    assert held(write_report(str(tmp_path / "out")))["data"]["network"] == {"none": "the run inferred no network"}


def _plain(tmp_path):
    write_run(tmp_path / "plain", n_loci=3)
    return tmp_path / "plain"


def test_marks_are_coloured_by_the_columns_of_the_table_of_marks(tmp_path):
    """Columns with one group, or with more groups than colours, are left out; a mark may have no value."""
    folder = write_tables(tmp_path / "out", [f"m{i}" for i in range(30)], n_edges=5)
    told = json.loads((folder / "run.json").read_text())
    told["mark_columns"].update(lab=dict.fromkeys(told["settings"]["marks"], "one"), tissue={"m0": "a", "m3": "b"},
                                donor={f"m{i}": str(i) for i in range(30)})
    (folder / "run.json").write_text(json.dumps(told))
    groups = held(write_report(str(folder)))["data"]["groups"]
    assert [by["column"] for by in groups] == ["assay", "tissue"]
    assert [groups[0]["groups"][i] for i in groups[0]["of"]] == list(told["mark_columns"]["assay"].values())
    assert groups[1]["of"] == [0, -1, -1, 1] + [-1] * 26
    assert all(len(set(by["colours"])) == len(by["groups"]) and re.fullmatch("#[0-9a-f]{6}", by["colours"][0])
               for by in groups)


def test_the_command_can_be_pasted_into_a_shell(tmp_path):
    """A shell runs the line in the run's folder, with the words as they were, however odd."""
    (tmp_path / "a folder").mkdir()
    program, words = f"{sys.executable} -c", ["import json, os, sys; print(json.dumps([os.getcwd(), *sys.argv[1:]]))",
                                             "$(touch x)", "it's", "--marks", "a b"]
    run = SimpleNamespace(told={"command": [program, *words], "directory": str(tmp_path / "a folder")})
    line = contents._command(run)
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [str(tmp_path / "a folder"), *words[1:]]
    assert contents._command(SimpleNamespace(told={})) == ""


@pytest.mark.parametrize("name, assembly", [
    ("/data/hg38.fa", "hg38"), ("GRCh38.primary_assembly.genome.fa.gz", "hg38"), ("hg38_chr22.fa", "hg38"),
    ("GCA_mm10.fa", "mm10"), ("GRCm39.fa", "mm39"), ("genome.fa", ""), (None, ""), ("hg19_to_hg38.fa", ""),
    ("thg38x.fa", ""), ("hg381.fa", "")])
def test_the_assembly_is_read_from_the_name_of_the_genome(name, assembly):
    assert genome.assembly_of(SimpleNamespace(told={"fasta_file": name})) == assembly


def test_a_page_does_not_grow_with_loci_times_pairs(tmp_path, monkeypatch):
    """Four times the loci: local effects and details stay within their limits."""
    monkeypatch.setattr(contents, "MAX_LOCAL_ROWS", 60)
    monkeypatch.setattr(details, "MAX_BYTES", 30_000)
    sizes = []
    for n_loci in (8, 32):
        write_run(tmp_path / str(n_loci), n_loci=n_loci, methods=("ivw",))
        blocks = held(write_report(str(tmp_path / str(n_loci))))
        sizes.append([sum(len(json.dumps(block)) for name, block in blocks.items() if name.startswith(kind))
                      for kind in ("pair-", "locus-")])
        assert len(blocks["data"]["pairs"]) * n_loci <= 60
    assert sizes[1][0] < 1.5 * sizes[0][0] and sizes[1][1] <= 30_000 + 5_000
