"""Two regions on the page: what `interaction` computes, from the effects or from its table; nothing without pairs."""

import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from finished_runs import chain_effects, write_run
from motif_pairs import N_LOCI, REGIONS, ensemble_of, loci_with_motifs, write_bed
from report_pages import Opened, held

import kipoi_deepmr
from kipoi_deepmr.cli import main
from kipoi_deepmr.report import interactions, write_report

LONG = "ENCFF001ABC_\u4e2d_" + 70 * "x"
NAMES = ["<img src=x onerror=alert(1)>", "B \"q\" '&amp; </script>", "AND", "OR", LONG]
COLUMNS = ("effect", "effect_2_ci_low", "effect_both", "interaction", "interaction_ci_high", "qvalue_beyond")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of models of which it is known how two regions combine, and its page."""
    folder = tmp_path_factory.mktemp("pairs")
    ensemble, bed = ensemble_of(NAMES), write_bed(folder / "motifs.bed", NAMES)
    kipoi_deepmr.run(ensemble, loci_with_motifs(), folder / "OUT", instrument_regions=bed, instruments="regions",
                     method="ivw", network="none", quiet=True, **REGIONS)
    return folder / "OUT"


@pytest.fixture(scope="module")
def computed(finished, tmp_path_factory):
    """What `interaction` writes of the run, elsewhere."""
    path = tmp_path_factory.mktemp("computed") / "i.tsv"
    assert main(["interaction", str(finished), "-q", "-o", str(path)]) == 0
    return pd.read_csv(path, sep="\t"), pd.read_csv(path.with_suffix(".loci.tsv"), sep="\t")


@pytest.fixture
def copy(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "OUT")


def blocks_of(folder):
    blocks = held(write_report(str(folder)))
    return blocks["data"]["interactions"], {name: each for name, each in blocks.items() if name.startswith("interac")}


def test_the_page_holds_what_interaction_computes(finished, computed):
    table, loci = computed
    told, figures = blocks_of(finished)
    rows = [tuple(row) for row in zip(told["exposure"], told["exposure_2"], told["outcome"], strict=True)]
    assert set(rows) == {(*NAMES[:2], outcome) for outcome in NAMES} and len(rows) == 5
    of_pair = table.set_index(["exposure", "exposure_2", "outcome"]).loc[rows]
    assert told["verdict"] == of_pair["verdict"].tolist() and told["model"] == of_pair["model"].tolist()
    assert {"cooperative", "redundant"} == set(told["verdict"][:2])  # the clearest come first
    for name in COLUMNS:
        np.testing.assert_allclose(np.array(told[name], float), of_pair[name], rtol=1e-3, atol=1e-6)
    assert told["scale"] == "identity" and told.get("source") == "" and told["note"] == ""
    assert told["figures"] == list(range(5)) and len(figures) == 5
    for number, row in enumerate(rows):
        of_row = loci[(loci[["exposure", "exposure_2", "outcome"]] == list(row)).all(axis=1)].set_index("locus")
        points = figures[f"interaction-{number}"]
        assert points["n"] == N_LOCI == len(points["locus"])
        np.testing.assert_allclose(points["both"], of_row["effect_both"][points["locus"]], rtol=1e-3, atol=1e-6)
        np.testing.assert_allclose(points["sum"], (of_row["effect"] + of_row["effect_2"])[points["locus"]], rtol=1e-3,
                                   atol=1e-6)
    text = Path(finished / "report.html").read_bytes()
    assert Path(write_report(str(finished))).read_bytes() == text


def test_a_table_in_the_folder_is_shown_instead(copy):
    """With its own options, also where the effects are gone; as TSV and as Parquet; not if it is older than the run."""
    words = ["interaction", str(copy), "--outcomes", "AND", "--min_interaction", "0.9", "-q"]
    assert main([*words, "-o", str(copy / "interaction.tsv")]) == 0
    told, figures = blocks_of(copy)
    assert told["source"] == "interaction.tsv" and told["outcome"] == ["AND"]
    assert told["verdict"] == ["independent"]  # by that minimum
    assert figures["interaction-0"]["n"] == N_LOCI
    os.utime(copy / "interaction.tsv", (1, 1))
    told, _ = blocks_of(copy)
    assert len(told["outcome"]) == 5 and "interaction.tsv is older than this run" in told["note"]
    assert main([*words, "-o", str(copy / "interaction.tsv")]) == 0  # which takes its own place
    assert blocks_of(copy)[0]["source"] == "interaction.tsv"
    (copy / "interaction.tsv").unlink()
    pytest.importorskip("pyarrow")
    assert main([*words, "-o", str(copy / "interaction.parquet")]) == 0
    (copy / "interaction.loci.parquet").unlink()
    shutil.rmtree(copy / "effects.zarr")
    told, figures = blocks_of(copy)
    assert told["source"] == "interaction.parquet" and told["verdict"] == ["independent"] and figures == {}


def test_a_table_that_is_none_is_one_message(copy, capsys):
    (copy / "interaction.tsv").write_text("exposure\toutcome\nA\tB\n")
    before = (copy / "report.html").read_bytes()
    assert main(["report", str(copy)]) == 2
    assert f"error: {copy}/interaction.tsv: it has no column exposure_2" in capsys.readouterr().err.splitlines()[-1]
    assert (copy / "report.html").read_bytes() == before


def test_what_would_take_long_is_not_computed(finished, monkeypatch):
    """A sentence says how to have it; rows and points of the page have an upper limit, however many there are."""
    page = str(finished.parent / "few.html")
    for name in ("MOST_ROWS", "MOST_NUMBERS"):
        monkeypatch.setattr(interactions, name, 4)
        told = held(write_report(str(finished), page))["data"]["interactions"]
        assert told["note"].startswith("1 pair of regions on 5 outcomes") and "verdict" not in told
        monkeypatch.undo()


def test_the_clearest_of_a_long_table_are_held(copy, computed, monkeypatch):
    table, loci = computed
    many = pd.concat([table.assign(exposure=f"X{k}", qvalue_beyond=k / 1000) for k in range(900)])
    many.sample(frac=1, random_state=0).to_csv(copy / "interaction.tsv", sep="\t", index=False)
    pd.concat([loci.assign(exposure=f"X{k}") for k in range(30)]).to_csv(copy / "interaction.loci.tsv", sep="\t",
                                                                         index=False)
    monkeypatch.setattr(interactions, "MOST_POINTS", 7)
    told, figures = blocks_of(copy)
    assert len(told["verdict"]) == 2000 and "2,000 clearest of 4,500" in told["note"]
    known = np.array(told["qvalue_beyond"], float)
    judged = np.array(told["verdict"]) != "cannot be told"
    assert (np.diff(known[judged]) >= 0).all() and set(told["exposure"][:5]) == {"X0"}
    assert len(figures) == 12 and {len(each["sum"]) for each in figures.values()} == {7}
    assert {each["n"] for each in figures.values()} == {N_LOCI}


def test_runs_without_pairs_have_nothing(browser, tmp_path):
    write_run(tmp_path / "out", effects=chain_effects(n_loci=10).isel(mark=[0, 1]))
    told, figures = blocks_of(tmp_path / "out")
    assert told == {"note": "", "figures": []} and figures == {}
    opened = Opened(browser, tmp_path / "out" / "report.html")
    assert opened.tab.locator("#interactions").is_hidden() and opened.tab.locator("#interactions-link").is_hidden()
    assert opened.complaints == []
    opened.tab.close()


@pytest.mark.parametrize("width, scheme", [(1280, "light"), (400, "dark")])
def test_a_chosen_row_shows_its_figure(browser, finished, width, scheme):
    """Names that are HTML stay text, and long ones are cut in the middle; nothing runs out of the page."""
    opened = Opened(browser, finished / "report.html", viewport={"width": width, "height": 900}, color_scheme=scheme)
    opened.drawn("interaction-means", "interaction-loci").shows("#interaction-summary", "cooperative")
    assert opened.column("interactions-table", 4)[:2] == ["cooperative", "redundant"]
    assert opened.whole("interactions-table", 1) == {NAMES[0]}
    assert opened.whole("interactions-table", 2) == {NAMES[1]} and LONG in opened.whole("interactions-table", 3)
    assert "onerror" in opened.tab.inner_text("#interaction-summary")
    row = held(finished / "report.html")["data"]["interactions"]["outcome"].index(LONG)
    opened.tab.locator("#interactions-table tbody tr").nth(row).locator("button").first.click()
    opened.shows("#interaction-summary", "independent")
    assert opened.tab.locator("#interaction-means svg.marks").is_visible()
    end = opened.tab.evaluate("document.documentElement.scrollWidth")
    assert end <= width and opened.complaints == [] and opened.requests == [opened.address]
    opened.tab.close()
