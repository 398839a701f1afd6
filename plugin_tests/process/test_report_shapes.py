"""The shapes on the page: those of the strongest direct effects, as `shape` computes them, in a browser too."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from finished_runs import chain_effects, write_run
from report_pages import Opened, held

from kipoi_deepmr.options import ShapeOptions
from kipoi_deepmr.pipeline.shape import shape_of_run
from kipoi_deepmr.report import shapes, write_report
from kipoi_deepmr.runs.finished import FinishedRun

HOSTILE = "<img src=x onerror=alert(1)>"


def bent_effects():
    """The chain A -> B -> C, where mutants lower A and B does not respond to small losses of it."""
    effects = chain_effects(n_loci=40, n_members=5)
    members, rng = effects["member_effect"].values.copy(), np.random.default_rng(1)
    on_a = np.abs(members[..., 0].mean(1)) > 0.3
    members *= np.where(on_a & (members[..., 0].mean(1) > 0), -1, 1)[:, None, :, None]
    b = -2 * np.maximum(-members[..., 0] - 0.7, 0) + 0.05 * rng.normal(size=members.shape[:-1])
    members[..., 2] += np.where(on_a[:, None], 0.7 * (b - members[..., 1]), 0)
    members[..., 1] = np.where(on_a[:, None], b, members[..., 1])
    for name, values in (("effect", members.mean(1)), ("effect_se", members.std(1, ddof=1)),
                         ("member_effect", members),
                         ("reference", rng.uniform(0, 5, (40, 1, 4)) + rng.normal(0, 0.1, (40, 5, 4)))):
        effects[name].values[:] = values
    return effects


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shapes") / "out"
    effects = bent_effects()
    write_run(folder, effects=effects.assign_coords(mark=[HOSTILE, "B", "C", "D"]))
    return folder, write_report(str(folder))


def test_the_page_holds_what_shape_computes(finished):
    """For direct effects alone; the same bytes each time; and nothing but the page is written."""
    folder, path = finished
    before = {each: each.stat().st_mtime_ns for each in folder.rglob("*") if each.name != "report.html"}
    blocks, table = held(path), pd.read_csv(folder / "global.tsv", sep="\t")
    direct = table[(table["verdict"] == "direct effect") & (table["method"] == "ivw")]
    data = blocks["data"]
    names = [tuple(data["marks"][i] for i in data["pairs"][number]) for number in data["shapes"]["pairs"]]
    assert len(names) >= 2 and set(names) <= set(direct[["exposure", "outcome"]].itertuples(index=False, name=None))
    assert [name for name in blocks if name.startswith("shape-")] == [f"shape-{n}" for n in data["shapes"]["pairs"]]
    assert "saturating" in data["shapes"]["word"]
    for number, (x, y), word in zip(data["shapes"]["pairs"], names, data["shapes"]["word"], strict=True):
        block = blocks[f"shape-{number}"]
        found = shape_of_run(FinishedRun(str(folder)), ShapeOptions(exposure=x, outcome=y))
        assert block["word"] == word == found.curve.shape.word and block["n_loci"] == found.curve.n_loci
        np.testing.assert_allclose([each[0] for each in block["slopes"]], found.curve.slopes, rtol=1e-3)
        np.testing.assert_allclose(block["curve"]["ci_low"], found.curve_table["ci_low"], rtol=1e-3, atol=1e-4)
        assert block["n_points"] == len(found.points) and len(block["points"]["x"]) == min(600, len(found.points))
        assert {x, y} <= set(block["levels"])
    text = Path(path).read_bytes()
    assert Path(write_report(str(folder))).read_bytes() == text
    assert {each: each.stat().st_mtime_ns for each in folder.rglob("*") if each.name != "report.html"} == before


def test_few_loci_are_read_where_all_would_take_long(finished, monkeypatch):
    """Those at which most of the pairs have an estimate; the page says how many there are."""
    folder, _ = finished
    monkeypatch.setattr(shapes, "MOST_SECONDS", 12 * shapes.OF_NUMBER * 4 * 5 * 90 * 1.01)
    data = held(write_report(str(folder), str(folder.parent / "few.html")))["data"]
    assert data["shapes"]["note"].startswith("Shapes are those at 12 loci of 40")


def test_runs_without_members_have_none(finished, tmp_path):
    effects = bent_effects().drop_vars("member_effect")
    run = FinishedRun(str(finished[0]))
    run.effects = effects.assign_coords(mark=[HOSTILE, "B", "C", "D"])
    pairs = [(HOSTILE, "B")]
    found, note = shapes.shapes(run, pairs, run.local_of(pairs), pd.DataFrame())
    assert found == {} and "3 members or more" in note


@pytest.mark.parametrize("width, scheme", [(1200, "light"), (400, "dark")])
def test_a_chosen_pair_shows_its_curve(browser, finished, width, scheme):
    _, path = finished
    opened = Opened(browser, path, viewport={"width": width, "height": 900}, color_scheme=scheme).drawn("telling")
    word = held(path)["data"]["shapes"]["word"]
    assert opened.column("shapes-table", 3) == word
    opened.tab.locator("#shapes-table tbody tr").nth(word.index("saturating")).locator("button").first.click()
    opened.drawn("shape").shows("#shape-summary", "saturating (").shows("#shape-summary", "at half of full ablation")
    assert opened.tab.locator("#shape svg.marks").is_visible()
    held_pairs = held(path)["data"]
    without = next(i for i in range(len(held_pairs["pairs"])) if i not in held_pairs["shapes"]["pairs"])
    opened.tab.select_option("#pair-select", str(without))
    opened.shows("#shape-summary", "run kipoi deepmr shape")
    assert opened.tab.locator("#shape-figure").is_hidden()
    assert opened.complaints == [] and opened.requests == [opened.address]
    opened.tab.close()
