"""Tables of very many pairs read with few columns, in part, or some rows at a time: what reading them whole gives."""

import re
import sys

import numpy as np
import pandas as pd
import pytest
from scipy.cluster.hierarchy import linkage
from scipy.spatial.distance import pdist
from wide_case import make_store
from wide_tables import write_tables

from kipoi_deepmr import pipeline
from kipoi_deepmr.errors import InputError
from kipoi_deepmr.meta import order
from kipoi_deepmr.output.tables import write_table
from kipoi_deepmr.plots import heatmap, spacing
from kipoi_deepmr.runs import finished, global_effects, tables

PAIR = ["exposure", "outcome"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a run of 12 marks, whose comparison of rules has 132 rows."""
    out = write_tables(tmp_path_factory.mktemp("run") / "OUT", [f"mark{i}" for i in range(12)], n_edges=9)
    rng = np.random.default_rng(0)
    table = pd.read_csv(out / "global.tsv", sep="\t")[[*PAIR, "method", "n_loci"]]
    write_table(str(out / "rules.tsv"), [table.assign(difference=1.0, pvalue=rng.integers(0, 50, len(table)) / 50)])
    return out


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(tables, "PIECE", 17)
    monkeypatch.setattr(global_effects, "MOST_ROWS", 50)
    monkeypatch.setattr(order, "STRONGEST", 8)


@pytest.mark.parametrize("ending", ["tsv", "parquet"])
def test_lean_tables_have_the_values_of_whole_ones(run, tmp_path, small, ending):
    if ending == "parquet":
        pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    path = str(tmp_path / f"global.{ending}")
    whole = pd.read_csv(run / "global.tsv", sep="\t").astype({"verdict": object})
    whole.loc[:40, "verdict"] = np.nan  # so that the first pieces have none
    write_table(path, [whole, whole.assign(method="egger")])
    lean = tables.read_lean(path, (*PAIR, "method"), ("standardised",), tables.VERDICT, {"method": "egger"})
    assert isinstance(lean["verdict"].dtype, pd.CategoricalDtype)
    for name in (*PAIR, "standardised", "verdict"):
        expected = whole[name].to_numpy()
        assert np.array_equal(lean[name].to_numpy()[whole[name].notna()], expected[whole[name].notna()])
    assert lean["verdict"].isna().sum() == whole["verdict"].isna().sum()
    assert len(tables.read_lean(path, ("method",), (), where={"method": "x"})) == 0
    for wrong, told in ((path, "it has no column direct_std"), (f"no.{ending}", "no such file")):
        with pytest.raises(InputError, match=f"^{re.escape(wrong)}: {told}$"):
            tables.read_lean(wrong, PAIR, ("direct_std",))


def test_the_strongest_rows_of_a_long_table(run, small):
    whole = pd.read_csv(run / "global.tsv", sep="\t", keep_default_na=False)
    found = global_effects.strongest_rows(str(run / "global.tsv"), ("estimate", "se"))
    chosen = whole.loc[sorted(order.strongest_first(whole)[:8])].reset_index(drop=True)
    assert found.attrs["pairs"] == 132 and len(found) == 8
    for name in (*PAIR, "estimate", "standardised"):
        assert found[name].tolist() == chosen[name].tolist()


def test_rules_with_the_smallest_p_values(run, small, monkeypatch):
    whole = finished.FinishedRun(str(run)).rules
    assert len(whole) == 132
    monkeypatch.setattr(finished, "MOST_COMPARED", 20)
    some = finished.FinishedRun(str(run)).rules
    expected = whole.loc[whole["pvalue"].sort_values(kind="stable").index[:20].sort_values()]
    pd.testing.assert_frame_equal(some, expected.reset_index(drop=True))


def test_parts_of_the_array_come_some_exposures_at_a_time(tmp_path, monkeypatch):
    store = make_store(tmp_path, n_marks=5, n_loci=4, length=8)
    pipeline.estimate(store, str(tmp_path / "local.tsv"), method="ivw", tables="none", vcf="none")
    whole = pd.concat(pipeline.parts(str(tmp_path / "local.tsv")), ignore_index=True)
    monkeypatch.setattr(sys.modules[pipeline.parts.__module__], "ROWS_AT_A_TIME", 10)
    pieces = list(pipeline.parts(str(tmp_path / "local.tsv")))
    assert max(map(len, pieces)) <= 10 and len(whole) == 80
    pd.testing.assert_frame_equal(pd.concat(pieces, ignore_index=True), whole)


def test_distances_by_products_are_those_of_each_pair(monkeypatch):
    rng = np.random.default_rng(0)
    effects = rng.normal(size=(23, 23)) * np.exp(rng.normal(size=23))
    monkeypatch.setattr(heatmap, "MARKS_AT_A_TIME", 5)
    slow = pdist(np.hstack([effects, effects.T]))
    np.testing.assert_allclose(heatmap._distances(effects), slow, rtol=1e-10)
    monkeypatch.setattr(heatmap, "COMPARED_UP_TO", 10)
    monkeypatch.setattr(heatmap, "NAMED_UP_TO", 10)
    effects[2, 5] = np.nan
    filled = np.nan_to_num(effects)
    expected = heatmap.leaves_list(linkage(np.hstack([filled, filled.T]), "average"))
    assert heatmap.clustered(effects).tolist() == expected.tolist()


def test_strata_that_are_strongest_in_any_stratum():
    z = {"m0": (1, 5), "m1": (np.nan, np.nan), "m2": (3, 2), "m3": (-9, 0)}
    table = pd.DataFrame([("c", "ivw", name, "y", stratum, value, 1.0) for name, values in z.items()
                          for stratum, value in zip("ab", values, strict=True)],
                         columns=["covariate", "method", *PAIR, "stratum", "estimate", "se"])
    found = spacing.strongest_strata(table, 2)
    assert found["exposure"].tolist() == ["m0", "m0", "m3", "m3"]
