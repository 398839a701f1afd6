"""What the page of many marks shows first: effects that are believed, under names that can be told apart."""

import pandas as pd
import pytest
from report_pages import Opened, changed, held
from wide_tables import write_tables

from kipoi_deepmr.network.verdicts import DIRECT, HIDDEN
from kipoi_deepmr.report import contents, write_report

# as ENCODE has them: they begin and end alike, and most words are the same
NAMES = [f"ENCSR000{i:03d}_ENCFF{7 * i:06d}_{('ATAC', 'DNase', 'CTCF')[i % 3]}_of_K562_cells_treated_for_nothing_hg38"
         for i in range(60)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_tables(tmp_path_factory.mktemp("many") / "out", NAMES, n_edges=60)


@pytest.fixture(scope="module")
def page(folder):
    return write_report(str(folder))


def test_effects_that_are_believed_come_first(folder, monkeypatch, tmp_path):
    """Three quarters of the pairs; the others are the strongest, whatever their verdict."""
    monkeypatch.setattr(contents, "MAX_PAIRS", 8)
    data = held(write_report(str(folder), str(tmp_path / "r.html")))["data"]
    pairs = [tuple(data["marks"][i] for i in pair) for pair in data["pairs"]]
    table = pd.read_csv(folder / "global.tsv", sep="\t").set_index(["exposure", "outcome"])
    size = table["standardised"].abs().sort_values(ascending=False, kind="stable")
    believed = [pair for pair in size.index if table["verdict"][pair] == DIRECT][:6]
    others = [pair for pair in size.index if pair not in believed][:2]
    assert pairs == believed + others
    assert pairs != size.index[:8].tolist()  # the case that matters
    assert data["left_out"][0].startswith("Local effects are shown for 8 pairs of 3,540")
    assert not any("common cause" in said for said in data["sentences"])  # there are more direct effects than room


@pytest.mark.parametrize("width", [1280, 400])
def test_long_names_can_be_told_apart(browser, page, width):
    opened = Opened(browser, page, viewport={"width": width, "height": 900})
    opened.tab.fill("#matrix-search", "CTCF")
    opened.tab.wait_for_function("document.querySelectorAll('#heatmap svg text').length >= 40")
    labels = opened.tab.locator("#heatmap svg text").evaluate_all("texts => texts.map(text => text.firstChild.data)")
    assert len(labels) == 40 and len(set(labels)) == 20
    assert all("ENCSR000" not in label and "hg38" not in label and len(label) <= 26 for label in labels)
    assert opened.complaints == []
    opened.tab.close()


def test_direct_effects_are_listed_first_and_verdicts_have_short_names(browser, page, tmp_path):
    """Until the box is unticked, or a pair is opened that is not one of them."""
    def lengthen(data):
        verdicts = data["effects"]["verdicts"]
        verdicts[verdicts.index(HIDDEN)] = f"cannot be told: no mutant acts on {NAMES[5]} alone"
        return data

    other = tmp_path / "long.html"
    other.write_text(changed(page, lengthen), encoding="utf-8")
    opened = Opened(browser, other, viewport={"width": 1280, "height": 900})
    assert set(opened.column("global-table", 3)) == {DIRECT}
    opened.tab.uncheck("#global-table input[type=checkbox]")
    said = next(text for text in opened.column("global-table", 3) if text != DIRECT)
    assert said.startswith("cannot be told: no mutant acts on \u202605_ENCFF000035_CTCF_") and len(said) < 80
    assert f"cannot be told: no mutant acts on {NAMES[5]} alone" in opened.whole("global-table", 3)
    opened.tab.check("#global-table input[type=checkbox]")
    data = held(page)["data"]
    rows, shown = data["effects"], {tuple(pair) for pair in data["pairs"]}
    x, y = next(pair for pair in zip(rows["exposure"][::-1], rows["outcome"][::-1], strict=True) if pair not in shown)
    opened.tab.evaluate("link => { location.hash = link; }", f"pair={NAMES[x]}>{NAMES[y]}")
    opened.shows("#link-problem", "only those of 60 pairs")
    assert opened.count("global-table").startswith("1 to 2 of 2 ")  # one a direction
    assert opened.complaints == []
    opened.tab.close()
