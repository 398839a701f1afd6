"""From local to global table: one row a pair and method, in order, equal to single analyses."""

import numpy as np
import pandas as pd
import pytest

from kipoi_deepmr import meta
from kipoi_deepmr.errors import InputError
from kipoi_deepmr.meta import table


def local_table(seed=0, n_loci=20):
    rng = np.random.default_rng(seed)
    rows = [
        {"locus": f"l{locus}", "exposure": x, "outcome": y, "method": method}
        for locus in range(n_loci)
        for x, y in (("Sox2", "Nanog"), ("Nanog", "Sox2"), ("Klf4", "Oct4"))
        for method in ("egger", "wald_mean")
    ]
    local = pd.DataFrame(rows)
    local["estimate"], local["se"] = rng.normal(1, 0.5, len(local)), rng.gamma(2, 0.2, len(local))
    local.loc[local["exposure"] == "Klf4", ["estimate", "se"]] = np.nan
    local.loc[rng.random(len(local)) < 0.2, "se"] = np.nan
    return local


def assert_rows_are_single_analyses(found, local, **options):
    for row in found.itertuples():
        mine = (local["exposure"] == row.exposure) & (local["outcome"] == row.outcome) & (local["method"] == row.method)
        single = meta.random_effects(local.loc[mine, "estimate"], local.loc[mine, "se"], **options)
        assert row.n_loci == single.n_studies
        assert np.array_equal(row.se_loci, row.se, equal_nan=True) and np.isnan(row.se_members)
        for name in meta.GLOBAL_COLUMNS[4:-2]:
            np.testing.assert_allclose(getattr(row, name), getattr(single, name), rtol=1e-10, err_msg=name)


@pytest.mark.parametrize("options", [{}, {"tau2_method": "DL", "ci": "t", "prediction": "hts", "alpha": 0.1}])
def test_rows_are_single_analyses(options):
    local = local_table()
    found = meta.aggregate(local, **options)
    assert (
        list(found.columns)
        == (
            "exposure outcome method n_loci estimate se ci_low ci_high pvalue tau tau2 i2 q q_pvalue pi_low pi_high "
            "se_loci se_members"
        ).split()
    )
    assert [tuple(row) for row in found.to_numpy()[:, :3]] == [
        ("Sox2", "Nanog", "egger"),
        ("Sox2", "Nanog", "wald_mean"),
        ("Nanog", "Sox2", "egger"),
        ("Nanog", "Sox2", "wald_mean"),
        ("Klf4", "Oct4", "egger"),
        ("Klf4", "Oct4", "wald_mean"),
    ]
    assert_rows_are_single_analyses(found, local, **options)
    assert list(found["n_loci"])[4:] == [0, 0] and found.loc[4:, "estimate":].isna().all(axis=None)


def test_pairs_are_cut_into_slices(monkeypatch):
    local = local_table().sample(frac=1, random_state=1).iloc[:70]
    whole = meta.aggregate(local)
    monkeypatch.setattr(table, "PADDED_ELEMENTS", 30)
    pd.testing.assert_frame_equal(meta.aggregate(local), whole)
    assert_rows_are_single_analyses(whole, local)


def test_what_cannot_be_weighted_is_reported():
    local = local_table()
    local.loc[0, ["estimate", "se"]] = 1.0, 0.0
    found = meta.aggregate(local)
    assert found.attrs["notes"] == [
        "Sox2 Nanog egger: 1 loci with infinite effect or zero, negative or infinite standard error not used"
    ]
    assert meta.aggregate(local_table()).attrs["notes"] == []


def test_empty_and_categorical_tables():
    found = meta.aggregate(local_table().iloc[:0])
    assert len(found) == 0 and list(found.columns) == meta.GLOBAL_COLUMNS
    local = local_table()
    categorical = local.astype({"exposure": "category", "outcome": "category", "method": "category"})
    numbers = meta.GLOBAL_COLUMNS[3:]
    pd.testing.assert_frame_equal(meta.aggregate(categorical)[numbers], meta.aggregate(local)[numbers])


def test_bad_tables_are_refused():
    local = local_table()
    with pytest.raises(InputError, match="no column outcome, se;"):
        meta.aggregate(local.drop(columns=["outcome", "se"]))
    text = local.astype({"estimate": object})
    text.loc[4, "estimate"] = "high"
    with pytest.raises(InputError, match='column estimate of the local table, data row 5: "high" is not a number'):
        meta.aggregate(text)
    empty = local.copy()
    empty.loc[2, "method"] = None
    with pytest.raises(InputError, match="column method of the local table, data row 3: empty"):
        meta.aggregate(empty)
    with pytest.raises(InputError, match="tau2_method=.* is not known"):
        meta.aggregate(local, tau2_method="reml?")


def test_a_stratum_without_a_row_keeps_numbers_numbers():
    """Categories of strata that no locus has: their rows are empty, and what is made of all rows works."""
    local = pd.DataFrame({"exposure": "A", "outcome": "B", "method": "ivw", "estimate": [0.1, 0.2, 0.4, 0.5],
                          "se": [0.1, 0.1, 0.2, 0.2]})
    stratum = pd.Categorical(["near", "near", "far", "far"], categories=["near", "middle", "far"])
    table = meta.aggregate_strata(local, stratum)
    assert table["n_loci"].tolist() == [2, 0, 2] and table["se_loci"].dtype == np.float64
    assert meta.between_strata(table)["n_strata"].tolist() == [2]
    assert meta.aggregate(local.iloc[:0]).empty
