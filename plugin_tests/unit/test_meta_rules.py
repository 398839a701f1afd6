"""Two instrument rules compared: the difference of global effects, and its error, against slow versions."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from kipoi_deepmr import meta
from kipoi_deepmr.errors import InputError

MEMBERS = 4


def tables(n_loci=40, seed=0, bias=0.0, se=None, members=True):
    """Local effects of two pairs by two rules, of the same loci and with errors that go together."""
    rng = np.random.default_rng(seed)
    out = {}
    common = rng.normal(0.5, 0.3, (2, n_loci))
    of_members = 0.05 * rng.normal(size=(2, 1, MEMBERS))
    for rule in ("direct", "regions"):
        estimate = common + 0.1 * rng.normal(size=common.shape) + bias * (rule == "direct")
        ses = np.full(2 * n_loci, se) if se else rng.uniform(0.05, 0.3, 2 * n_loci)
        columns = {"estimate": estimate.ravel(), "se": ses}
        own = estimate[..., None] + of_members + 0.02 * rng.normal(size=(2, 1, MEMBERS))
        if members:
            columns.update({f"estimate_{k + 1}": own[..., k].ravel() for k in range(MEMBERS)})
        out[rule] = pd.DataFrame({"exposure": np.repeat(["A", "B"], n_loci), "outcome": np.repeat(["B", "A"], n_loci),
                                  "method": "egger", **columns})
    return out


def test_equal_weights_are_a_paired_t_test():
    """Without weights that differ the mean of differences, and its usual standard error."""
    both = tables(se=0.2, members=False, bias=0.1)
    found = meta.compare_rules(both, tau2_method="DL")
    for number, (_, row) in enumerate(found.iterrows()):
        part = slice(40 * number, 40 * number + 40)
        first, second = (table["estimate"].to_numpy()[part] for table in both.values())
        test = stats.ttest_rel(first, second)
        assert row["difference"] == pytest.approx((first - second).mean(), rel=1e-10)
        assert row["pvalue"] == pytest.approx(test.pvalue, rel=1e-6)
        low, high = test.confidence_interval()
        np.testing.assert_allclose(row[["ci_low", "ci_high"]].astype(float), (low, high), rtol=1e-6)
        assert row["spearman"] == pytest.approx(stats.spearmanr(first, second)[0], rel=1e-12) and row["n_loci"] == 40


def test_effects_are_those_of_aggregate_and_the_error_that_of_the_jackknife():
    both = tables(members=False)
    found = meta.compare_rules(both)
    for rule, table in both.items():
        np.testing.assert_array_equal(found[rule], meta.aggregate(table)["estimate"])
        np.testing.assert_array_equal(found[f"{rule}_ci_low"], meta.aggregate(table)["ci_low"])
    for number in range(2):
        left = []
        for out in range(40):
            means = []
            for table in both.values():
                rows = table.iloc[40 * number:40 * number + 40]
                weight = 1 / (rows["se"] ** 2 + meta.aggregate(rows)["tau2"].iloc[0])
                keep = np.arange(40) != out
                means.append(np.average(rows["estimate"][keep], weights=weight[keep]))
            left.append(means[0] - means[1])
        slow = np.sqrt(39 / 40 * ((np.array(left) - np.mean(left)) ** 2).sum())
        assert found["se"][number] == pytest.approx(slow, rel=0.05)


def test_what_members_differ_by_is_in_the_error():
    plain, with_members = (meta.compare_rules(tables(members=members)) for members in (False, True))
    pd.testing.assert_series_equal(plain["difference"], with_members["difference"])
    spreads = []
    for rule in tables().values():
        rows = rule.iloc[:40]
        weight = 1 / (rows["se"] ** 2 + meta.aggregate(rows)["tau2"].iloc[0])
        spreads.append([np.average(rows[f"estimate_{k}"], weights=weight) for k in range(1, MEMBERS + 1)])
    spread = np.subtract(*spreads).std(ddof=1)
    assert with_members["se"][0] == pytest.approx(np.hypot(plain["se"][0], spread), rel=1e-9)


def test_loci_without_an_estimate_by_one_rule():
    both = tables(members=False)
    both["regions"].loc[[0, 1, 2], ["estimate", "se"]] = np.nan
    both["direct"].loc[[2, 3], ["estimate", "se"]] = np.nan
    both["direct"].loc[40:, ["estimate", "se"]] = np.nan
    found = meta.compare_rules(both)
    assert found["n_loci"].tolist() == [36, 0]
    np.testing.assert_array_equal(found["direct"], meta.aggregate(both["direct"])["estimate"])
    assert np.isfinite(found.loc[0, ["difference", "se", "pvalue", "spearman"]].astype(float)).all()
    assert found.loc[1, ["difference", "ci_low", "pvalue", "spearman"]].isna().all()


def test_intervals_hold_the_difference():
    """A difference of 0.05 is in most of 80 intervals of 95 %, by DerSimonian and Laird, which is quick."""
    found = pd.concat([meta.compare_rules(tables(seed=seed, bias=0.05, members=False), "DL") for seed in range(40)])
    covered = found["ci_low"].le(0.05) & found["ci_high"].ge(0.05)
    assert 0.88 < covered.mean() < 1


def test_tables_of_other_rows_are_refused():
    both = tables()
    both["regions"] = both["regions"].iloc[::-1]
    with pytest.raises(InputError, match="not made together"):
        meta.compare_rules(both)
