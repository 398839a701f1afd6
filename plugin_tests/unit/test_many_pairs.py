"""Global effects of very many pairs, pooled and written piece by piece: the bytes of the table held as a whole."""

import numpy as np
import pandas as pd
import pytest
from report_pages import held
from wide_case import make_array
from wide_tables import write_tables

from kipoi_deepmr import pipeline
from kipoi_deepmr.meta import order
from kipoi_deepmr.mr import wide
from kipoi_deepmr.pipeline import many_pairs
from kipoi_deepmr.pipeline.result import Result
from kipoi_deepmr.report import contents, write_report
from kipoi_deepmr.runs import global_effects, tables
from kipoi_deepmr.runs.finished import FinishedRun

METHODS = ("ivw", "egger")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store, its folder, and the local effects of two methods as an array of several groups of exposures."""
    return make_array(tmp_path_factory.mktemp("many"), 7, METHODS)


@pytest.fixture
def few_at_once(monkeypatch):
    """A table of 84 rows is too long, and comes in pieces."""
    monkeypatch.setattr(order, "MOST_ROWS", 50)
    monkeypatch.setattr(order, "STRONGEST", 5)
    monkeypatch.setattr(many_pairs, "ROWS", 20)


@pytest.mark.parametrize("network", ["direct", "none"])
@pytest.mark.parametrize("ending", ["tsv", "parquet"])
def test_the_bytes_are_those_of_the_table_held_as_a_whole(store, tmp_path, monkeypatch, request, network, ending):
    if ending == "parquet":
        pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    monkeypatch.setattr(wide, "PIECE_FITS", 100)  # which decides the last digits

    def aggregated(name):
        path = tmp_path / f"{name}.{ending}"
        return path, pipeline.aggregate(str(store / "local.tsv"), str(path), network_options={"network": network})

    whole, table = aggregated("whole")
    request.getfixturevalue("few_at_once")
    piecewise, strongest = aggregated("piecewise")
    assert whole.read_bytes() == piecewise.read_bytes()
    first = table[table["method"] == "ivw"]
    chosen = first.loc[order.strongest_first(first)[:5], ["exposure", "outcome"]]
    expected = table[pd.MultiIndex.from_frame(table[["exposure", "outcome"]]).isin(pd.MultiIndex.from_frame(chosen))]
    pd.testing.assert_frame_equal(strongest, expected.reset_index(drop=True))
    assert strongest.attrs["pairs"] == 42 and table.attrs["notes"] == strongest.attrs["notes"]


@pytest.mark.parametrize("seed", range(5))
def test_the_strongest_of_pieces_are_those_of_all(seed):
    """With ties, missing effects and missing standardised effects."""
    rng = np.random.default_rng(seed)
    n, n_methods = 300, 2
    table = pd.DataFrame({"pair": np.arange(n).repeat(n_methods), "estimate": rng.integers(-5, 6, n * n_methods) / 4,
                          "se": 1.0, "standardised": rng.integers(-9, 10, n * n_methods) / 8})
    table.loc[rng.random(len(table)) < 0.3, "standardised"] = np.nan
    table.loc[rng.random(len(table)) < 0.2, "estimate"] = np.nan
    held = order.Strongest(most_rows=100, most_pairs=10)
    for first in range(0, len(table), 14):
        held.add(table.iloc[first:first + 14], n_methods)
    firsts = table.iloc[::n_methods]
    chosen = firsts.loc[order.strongest_first(firsts)[:10], "pair"]
    assert not held.is_whole and held.n_rows == len(table)
    pd.testing.assert_frame_equal(held.table(), table[table["pair"].isin(chosen)].reset_index(drop=True))


def test_the_page_of_very_many_pairs_is_that_of_the_table_held_as_a_whole(store, tmp_path, monkeypatch):
    """If all pairs are among the strongest; the heat map, the verdicts and the network take all in any case."""
    out = str(tmp_path / "OUT")
    pipeline.run_again(str(store / "effects.zarr"), out, estimate_options={"method": METHODS, "tables": "effects",
                                                                           "vcf": "none"}, report=False)
    whole, piecewise, few = (tmp_path / f"{name}.html" for name in ("whole", "piecewise", "few"))
    write_report(out, str(whole))
    monkeypatch.setattr(global_effects, "MOST_ROWS", 50)
    monkeypatch.setattr(tables, "PIECE", 15)
    write_report(out, str(piecewise))
    assert whole.read_bytes() == piecewise.read_bytes()
    monkeypatch.setattr(order, "STRONGEST", 20)
    write_report(out, str(few))
    pages = [held(each)["data"] for each in (whole, few)]
    for name in ("heat", "network", "sentences", "marks"):
        assert pages[0][name] == pages[1][name]
    assert len(pages[1]["effects"]["exposure"]) == 20
    result = Result(out, None, strongest_of(out), None, {}, _told={})
    assert result.heatmap().images[0].get_array().shape == (7, 7)


@pytest.mark.parametrize("held_as_a_whole", [True, False])
def test_a_page_that_cannot_list_all_pairs_lists_direct_effects_before_stronger_others(tmp_path, monkeypatch,
                                                                                       held_as_a_whole):
    """In the order of all, by their sizes."""
    out = str(write_tables(tmp_path / "OUT", [f"m{i}" for i in range(12)], n_edges=15))
    every = contents.listed(FinishedRun(out))[["exposure", "outcome", "verdict", "standardised"]]
    direct = every["verdict"] == "direct effect"
    assert len(every) == 132 and 5 < direct.sum() < 20 and not direct.iloc[:direct.sum()].all()
    monkeypatch.setattr(contents, "MAX_GLOBAL_ROWS", 20)
    if not held_as_a_whole:
        monkeypatch.setattr(global_effects, "MOST_ROWS", 50)
        monkeypatch.setattr(order, "STRONGEST", 25)
        monkeypatch.setattr(tables, "PIECE", 15)
    few = contents.listed(FinishedRun(out))[list(every)]
    others = every.index[~direct][:20 - direct.sum()]
    expected = every[direct | every.index.isin(others)]
    pd.testing.assert_frame_equal(few.reset_index(drop=True), expected.reset_index(drop=True))


def strongest_of(out):
    """Global effects as a run of very many pairs gives them."""
    table = FinishedRun(out).strongest.head(3).copy()
    table.attrs["pairs"] = 42
    return table
