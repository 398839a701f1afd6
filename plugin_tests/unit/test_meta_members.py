"""The global effect's share of the members' error: against loops, its coverage, and tables that lack an estimate."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from kipoi_deepmr import meta
from kipoi_deepmr.errors import InputError
from kipoi_deepmr.inference import added, many_quantiles, quantile
from kipoi_deepmr.output import tables
from kipoi_deepmr.runs import tables as reading

OWN = ["estimate_1", "estimate_2", "estimate_3", "estimate_4"]


def local_table(n_loci=12, unit=1.0, seed=0):
    """Two pairs; members that lie off the truth by the same at every locus, and by something at each."""
    rng = np.random.default_rng(seed)
    pairs = [("A", "B"), ("B", "A")]
    local = pd.DataFrame([{"exposure": x, "outcome": y, "method": "ivw"} for _ in range(n_loci) for x, y in pairs])
    shared = rng.normal(size=(1, 2, 4)) * 0.3
    by_member = (rng.normal(2, 0.5, (n_loci, 2, 1)) + shared + 0.2 * rng.normal(size=(n_loci, 2, 4))).reshape(-1, 4)
    local["estimate"], local["se"] = unit * by_member.mean(axis=1), unit * by_member.std(axis=1, ddof=1)
    local[OWN] = unit * by_member
    return local


@pytest.mark.parametrize("options, df, new_df", [
    ({}, np.inf, 10), ({"ci": "t", "prediction": "hts", "alpha": 0.1, "tau2_method": "DL"}, 10, 9),
    ({"ci": "hartung-knapp", "prediction": "hk"}, 10, 10), ({"prediction": "normal"}, np.inf, np.inf),
])
@pytest.mark.parametrize("unit", [1.0, 1e120, 1e-120])
def test_against_loops(options, df, new_df, unit):
    local = local_table(unit=unit)
    local.loc[[3, 4], ["estimate", "se", *OWN]] = np.nan
    found, plain = meta.aggregate(local, **options), meta.aggregate(local.drop(columns=OWN), **options)
    alpha = options.get("alpha", 0.05)
    for i, row in found.iterrows():
        mine = local[(local["exposure"] == row["exposure"]) & local["se"].notna()]
        weight = 1 / ((mine["se"] / unit) ** 2 + row["tau2"] / unit ** 2)
        each = [np.average(mine[name], weights=weight) for name in OWN]
        np.testing.assert_allclose(np.mean(each), row["estimate"], rtol=1e-9)
        spread = np.std(np.array(each) / unit, ddof=1)
        np.testing.assert_allclose(row["se_members"] / unit, spread, rtol=1e-9)
        se = plain["se"][i] / unit
        assert row["se_loci"] == plain["se"][i] and row["estimate"] == plain["estimate"][i]
        total = np.sqrt(se ** 2 + spread ** 2)
        both_df = total ** 4 / (se ** 4 / df + spread ** 4 / 3)
        half = stats.t.isf(alpha / 2, both_df) * total
        np.testing.assert_allclose([row["se"] / unit, (row["ci_high"] - row["ci_low"]) / 2 / unit], [total, half],
                                   rtol=1e-8)
        np.testing.assert_allclose(row["pvalue"], 2 * stats.t.sf(row["estimate"] / row["se"], both_df), rtol=1e-7)
        new = (plain["pi_high"][i] - plain["estimate"][i]) / unit / stats.t.isf(alpha / 2, new_df)
        new_df_both = (new ** 2 + spread ** 2) ** 2 / (new ** 4 / new_df + spread ** 4 / 3)
        half = stats.t.isf(alpha / 2, new_df_both) * np.sqrt(new ** 2 + spread ** 2)
        np.testing.assert_allclose((row["pi_high"] - row["pi_low"]) / 2 / unit, half, rtol=1e-7)


def test_errors_that_all_loci_share_are_held():
    """Five members, each off by its own error at all of 200 loci: the truth lies in the interval, without them not."""
    rng = np.random.default_rng(1)
    held, narrow = [], []
    for _ in range(200):
        off = 0.1 * rng.normal(size=5)
        by_member = 1 + off + 0.2 * rng.normal(size=(200, 5))
        local = pd.DataFrame(by_member, columns=[f"estimate_{k}" for k in range(1, 6)])
        local = local.assign(exposure="A", outcome="B", method="ivw", estimate=by_member.mean(axis=1),
                             se=by_member.std(axis=1, ddof=1))
        row, plain = (meta.aggregate(table).iloc[0] for table in (local, local[local.columns[5:]]))
        held.append(row["ci_low"] <= 1 <= row["ci_high"])
        narrow.append(plain["ci_low"] <= 1 <= plain["ci_high"])
    assert np.mean(held) >= 0.95 and np.mean(narrow) < 0.6


def test_strata_are_compared_without_what_they_share():
    local = local_table(20)
    strata = meta.aggregate_strata(local, np.tile([0, 0, 1, 1], 10))
    plain = meta.aggregate_strata(local.drop(columns=OWN), np.tile([0, 0, 1, 1], 10))
    assert (strata["se"] > plain["se"]).all()
    pd.testing.assert_frame_equal(meta.between_strata(strata), meta.between_strata(plain))


def test_one_locus_and_none():
    local = local_table(1)
    local.loc[1, ["estimate", "se", *OWN]] = np.nan
    one, none = (row for _, row in meta.aggregate(local).iterrows())
    np.testing.assert_allclose([one["se_loci"], one["se_members"]], [local["se"][0]] * 2)
    assert none["n_loci"] == 0 and none[["se", "se_members", "ci_low"]].isna().all()


def test_a_missing_member_s_estimate_is_named(tmp_path):
    local = local_table()
    local.loc[4, "estimate_2"] = np.nan
    with pytest.raises(InputError, match="its estimate_2 is nan"):
        meta.aggregate(local)


def test_the_table_is_read_back(tmp_path):
    local = local_table().assign(chrom="chr1", start=np.repeat(np.arange(12), 2), end=99, strand="+", locus="a",
                                 note="", n_instruments=3)
    local = local.reindex(columns=[*reading.LOCAL_TEXT, *reading.LOCAL_NUMBERS, *OWN])
    local.loc[3, ["estimate", "se", *OWN]] = np.nan
    tables.write_tsv(str(tmp_path / "local.tsv"), [local])
    read = reading.read_estimates(str(tmp_path / "local.tsv"))
    np.testing.assert_array_equal(read[OWN], local[OWN])
    pd.testing.assert_frame_equal(reading.read_local(str(tmp_path / "local.tsv"))[OWN], local[OWN])
    text = (tmp_path / "local.tsv").read_text().replace(f"\t{float(local['estimate_3'][5])!r}\t", "\tx\t")
    (tmp_path / "bad.tsv").write_text(text)
    with pytest.raises(InputError, match=r'line 7: estimate_3 must be a number or NA, not "x"'):
        reading.read_estimates(str(tmp_path / "bad.tsv"))


def test_a_sum_of_errors():
    se, df = added(3.0, 5.0, 4.0, np.inf)
    np.testing.assert_allclose([se, df], [5.0, 625 / (81 / 5)])


@pytest.mark.parametrize("alpha", [0.05, 0.9, 1e-3, 1e-8])
def test_quantiles_of_many_degrees_of_freedom(alpha):
    rng = np.random.default_rng(0)
    df = np.concatenate([1 / rng.random(500), 1 + 0.01 * rng.random(50), np.exp(rng.uniform(0, 30, 500)),
                         rng.random(20), [1, 2, np.inf, np.nan, 0, -3]])
    np.testing.assert_allclose(many_quantiles(alpha, df), quantile(alpha, df), rtol=5e-13)
    assert many_quantiles(alpha, np.array([np.inf]))[0] == quantile(alpha) and not len(many_quantiles(alpha, df[:0]))
