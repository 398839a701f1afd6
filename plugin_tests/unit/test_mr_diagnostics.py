"""Diagnostics: against the numbers of TwoSampleMR, MRPRESSO and MendelianRandomization, slow versions, and tables."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mr_problems import DATASETS, FINITE, MARKS, made_data, made_loci, more_of_outcome, random_problem
from profiles import fewer
from scipy import stats

from kipoi_deepmr import effects_store, instruments, mr
from kipoi_deepmr.effects_store import blocks
from kipoi_deepmr.mr.diagnostics import table as diagnostics
from kipoi_deepmr.mr.diagnostics.influence import leave_one_out
from kipoi_deepmr.mr.diagnostics.linearity import linearity
from kipoi_deepmr.mr.diagnostics.presso import presso
from kipoi_deepmr.mr.diagnostics.steiger import r2_of_mutants, r2_of_statistics, steiger


def inputs(name):
    return [np.array(DATASETS[name]["inputs"][key], float) for key in ("bx", "sx", "by", "sy")]


def results(name, key):
    """A record of R, or {} where R had none or an error."""
    record = DATASETS[name]["results"].get(key)
    return {} if not isinstance(record, dict) or "error" in record else record


def number(value):
    return np.nan if value in (None, "NaN") else float(value)


# --- against R -------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", DATASETS)
def test_strength_against_r(name):
    ours, theirs = mr.fit(*inputs(name), method="ivw"), results(name, "Isq_GX")
    np.testing.assert_allclose([ours.i2_gx, ours.f_statistic],
                               [number(theirs["tsmr_weighted"]), number(theirs["meanF"])], rtol=1e-9)


@pytest.mark.parametrize("name", DATASETS)
def test_heterogeneity_and_pleiotropy_against_r(name):
    ours, q, test = mr.diagnose(*inputs(name)), results(name, "TSMR.mr_heterogeneity"), results(
        name, "TSMR.mr_pleiotropy_test")
    expected = {"q": q.get("Inverse variance weighted", {}), "rucker_q": q.get("MR Egger", {})}
    for column, theirs in expected.items():
        if theirs and not np.isnan(number(theirs["Q"])) and ours["n_instruments"] > 2:
            np.testing.assert_allclose([ours[column], ours[column + "_pvalue"]],
                                       [number(theirs["Q"]), number(theirs["Q_pval"])], rtol=1e-9, atol=1e-14)
    if test and not np.isnan(number(test["egger_intercept"])):
        np.testing.assert_allclose([ours["intercept"], ours["intercept_se"], ours["intercept_pvalue"]],
                                   [number(test[k]) for k in ("egger_intercept", "se", "pval")], rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("name", DATASETS)
def test_leave_one_out_against_r(name):
    theirs = results(name, "TSMR.mr_leaveoneout")
    if not isinstance(theirs.get("b"), list) or len(theirs["b"]) < 3:
        pytest.skip("R leaves none out")
    ours, n = leave_one_out(*inputs(name)), len(theirs["b"]) - 1
    np.testing.assert_allclose(ours.estimate, [number(b) for b in theirs["b"][:n]], rtol=1e-9, atol=1e-14)
    if n > 4:  # R's model is random for fewer too
        se = np.array([number(s) for s in theirs["se"][:n]])  # NaN where nothing is left over
        np.testing.assert_allclose(np.where(np.isnan(se), np.nan, ours.se), se, rtol=1e-9)


@pytest.mark.parametrize("name", DATASETS)
def test_presso_against_r(name):
    theirs, full = results(name, "PRESSO.RSSobs_exact"), results(name, "PRESSO.full")
    bx, sx, by, sy = inputs(name)
    ours = presso(bx, sx, np.sign(np.abs(bx)) * by, sy)  # R turns instruments by sign(bx)
    if not theirs:
        assert np.isnan(ours.rss) and np.isnan(ours.pvalue) and np.isnan(ours.outlier_pvalue).all()
        return
    np.testing.assert_allclose(ours.rss, number(theirs["RSSobs"]), rtol=1e-9, atol=1e-14)
    if not full:
        return

    def close(p, text, tests=1):
        """R's p-value is a share of 1,000 draws: within five standard errors, times the number of tests."""
        at_most = float(text.lstrip("<")) / tests
        sd = np.sqrt(max(p / tests * (1 - p / tests), 1e-3) / full["NbDistribution"])
        assert p / tests < at_most + 5 * sd and (text[0] == "<" or p / tests > at_most - 5 * sd or at_most * tests >= 1)

    close(float(ours.pvalue), str(full["global_p"]))
    for p, text in zip(ours.outlier_pvalue, full["outlier_p"], strict=True) if full["outlier_p"] else ():
        close(p, text, len(ours.outlier_pvalue))


@pytest.mark.parametrize("name", DATASETS)
def test_steiger_against_r(name):
    bx, sx, by, sy = inputs(name)
    theirs = results(name, "TSMR.steiger_bsen")
    if "r2_exp" not in theirs:
        pytest.skip("R has none")
    n_exp, n_out = theirs["n_exp"], theirs["n_out"]
    r2 = [r2_of_statistics(b, s, n).sum() for b, s, n in ((bx, sx, n_exp), (by, sy, n_out))]
    np.testing.assert_allclose(r2, [theirs["r2_exp"], theirs["r2_out"]], rtol=1e-9)
    right, pvalue = steiger(*r2, n_exp, n_out)
    assert right == theirs["correct_causal_direction"]
    np.testing.assert_allclose(pvalue, number(theirs["steiger_test"]), rtol=1e-9)


# --- against slow versions -------------------------------------------------------------------------------------------

def problem(seed, n=12):
    return random_problem(np.random.default_rng(seed), n)


@pytest.mark.parametrize("n", [2, 3, 4, 5, 9])
def test_leave_one_out_against_fits(n):
    data = problem(n, n)
    ours = leave_one_out(*data)
    for i in range(n):
        one = mr.fit(*(np.delete(a, i) for a in data), method="ivw")
        np.testing.assert_allclose([ours.estimate[i], ours.se[i]], [one.estimate, one.se], rtol=1e-9)


def test_outlier_test_is_the_limit_of_draws():
    data = bx, sx, by, sy = problem(3, 6)
    ours, rng = presso(*data, n_draws=0), np.random.default_rng(0)
    theta = leave_one_out(*data).estimate
    x = bx + sx * rng.normal(size=(200_000, 6))
    y = theta * bx + sy * rng.normal(size=(200_000, 6))
    drawn = np.mean(np.abs(y - theta * x) > np.abs(by - theta * bx), axis=0) * 6
    np.testing.assert_allclose(ours.outlier_pvalue, np.minimum(drawn, 1), atol=0.03)


def test_global_test_against_a_loop_over_draws():
    data = bx, sx, by, sy = problem(5, 8)
    ours, rng, above = presso(*data, n_draws=20_000), np.random.default_rng(1), 0
    theta = leave_one_out(*data).estimate
    for _ in range(2_000):
        x, y = rng.normal(bx, sx), rng.normal(theta * bx, sy)
        again = leave_one_out(x, sx, y, sy).estimate
        above += np.sum(((y - again * x) / sy) ** 2) > ours.rss
    assert 0.02 < ours.pvalue < 0.98 and abs(ours.pvalue - above / 2_000) < 0.05


def test_global_test_holds_its_level():
    """Without pleiotropy, p < 0.05 in 5 % of 2,000 problems (four standard errors: 2 %)."""
    rng = np.random.default_rng(0)
    bx, sx, sy = rng.uniform(1, 3, (2000, 10)), np.full((2000, 10), 0.05), np.full((2000, 10), 0.3)
    by = 0.7 * bx + sy * rng.normal(size=bx.shape)
    found = presso(rng.normal(bx, sx), sx, by, sy)
    assert abs(np.mean(found.pvalue < 0.05) - 0.05) < 0.02


def test_seeds():
    data = problem(6)
    again = [presso(*data, n_draws=50, seed=s).pvalue for s in (1, 1, 2, 3, 4)]
    assert again[0] == again[1] and len(set(map(float, again))) > 1


@pytest.mark.parametrize("n", [3, 4, 20])
def test_linearity_against_lstsq(n):
    bx, sx, by, sy = problem(n, n)
    design = np.stack([bx, bx ** 2], 1) / sy[:, None]
    beta = np.linalg.lstsq(design, by / sy, rcond=None)[0]
    sigma = np.sqrt(np.sum((by / sy - design @ beta) ** 2) / (n - 2))
    se = np.sqrt(np.linalg.inv(design.T @ design)[1, 1]) * max(sigma, 1)
    ours = linearity(bx, sx, by, sy)
    np.testing.assert_allclose([ours.quadratic, ours.se, ours.pvalue],
                               [beta[1], se, 2 * stats.t.sf(abs(beta[1] / se), n - 2)], rtol=1e-9)


def test_r2_of_mutants_against_regression():
    rng = np.random.default_rng(4)
    effect, chosen = rng.normal(size=(2, 30, 3)), rng.random((2, 30, 3)) < 0.2
    ours = r2_of_mutants(effect, chosen)
    for locus, x, t in np.ndindex(2, 3, 3):
        y = np.concatenate([[0.0], effect[locus, :, t]])
        genotypes = np.vstack([np.zeros(chosen[locus, :, x].sum()), np.eye(30)[:, chosen[locus, :, x]]])
        design = np.column_stack([np.ones(31), genotypes])
        residual = y - design @ np.linalg.lstsq(design, y, rcond=None)[0]
        expected = 1 - np.sum(residual ** 2) / np.sum((y - y.mean()) ** 2)
        np.testing.assert_allclose(ours[locus, x, t], expected, rtol=1e-9)


def test_batches_equal_single_problems():
    rng = np.random.default_rng(8)
    bx, sx, _, _ = random_problem(rng, 5, 1, 14)
    _, _, by, sy = random_problem(rng, 5, 3, 14)
    mask = rng.random((5, 1, 14)) < np.array([0, 0.1, 0.3, 0.6, 1])[:, None, None]
    ours = mr.diagnose(bx, sx, by, sy, mask, n_draws=40)
    for i in np.ndindex(5, 3):
        m = mask[i[0], 0]
        one = mr.diagnose(bx[i[0], 0, m], sx[i[0], 0, m], by[i][m], sy[i][m], n_draws=40)
        for name in one:
            if name == "note":
                assert ours[name][i] == one[name].item()
            else:
                np.testing.assert_allclose(ours[name][i], one[name], rtol=1e-9, err_msg=name)


# --- symmetries ------------------------------------------------------------------------------------------------------

@given(seed=st.integers(0, 10**6), n=st.integers(4, 20), factor=st.floats(1e-4, 1e4))
@fewer(10)
def test_scaling_the_outcome(seed, n, factor):
    bx, sx, by, sy = problem(seed, n)
    before, after = mr.diagnose(bx, sx, by, sy, n_draws=20), mr.diagnose(bx, sx, factor * by, factor * sy, n_draws=20)
    for name in before:
        scale = factor if name in ("intercept", "intercept_se", "loo_low", "loo_high", "quadratic",
                                   "quadratic_se") else 1
        if name != "note":
            np.testing.assert_allclose(after[name], before[name] * scale, rtol=1e-6, atol=1e-9 * scale, err_msg=name)


@given(seed=st.integers(0, 10**6), n=st.integers(4, 20))
@fewer(10)
def test_turning_and_permuting_instruments(seed, n):
    """Only the quadratic term asks which way an instrument goes; draws go with an instrument's place."""
    rng = np.random.default_rng(seed)
    bx, sx, by, sy = problem(seed, n)
    sign, order = rng.choice([-1.0, 1.0], n), rng.permutation(n)
    before = mr.diagnose(bx, sx, by, sy, n_draws=0)
    turned = mr.diagnose((sign * bx)[order], sx[order], (sign * by)[order], sy[order], n_draws=0)
    moved = mr.diagnose(bx[order], sx[order], by[order], sy[order], n_draws=0)
    for name in before:
        if name != "note":
            np.testing.assert_allclose(moved[name], before[name], rtol=1e-6, atol=1e-9, err_msg=name)
            if not name.startswith("quadratic"):
                np.testing.assert_allclose(turned[name], before[name], rtol=1e-6, atol=1e-9, err_msg=name)


@given(data=st.data(), n=st.integers(0, 6))
def test_no_finite_input_raises(data, n):
    arrays = [np.array(data.draw(st.lists(FINITE, min_size=n, max_size=n)), float) for _ in range(4)]
    found = mr.diagnose(*arrays, n_draws=5)
    if found["note"].item():
        assert all(np.isnan(v) for k, v in found.items() if k not in ("note", "n_instruments"))
    for name, value in found.items():
        if name.endswith("pvalue"):
            assert np.isnan(value) or 0 <= value <= 1


# --- tables ----------------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def effects():
    return effects_store.dataset(made_loci(7, 20), MARKS, ["m1", "m2"], made_data(7, 20, 3))


def test_shared_is_red_for_the_reverse_of_an_effect_and_not_for_it():
    """A acts on B by 0.8 at 60 loci, and each has mutants of its own: half of the instruments of B are those of A."""
    rng, shape = np.random.default_rng(2), (60, 60)
    acts = rng.normal(size=(*shape, 2)) * np.repeat(rng.permuted(np.eye(2)[np.arange(60) % 2], axis=0)[None], 60, 0)
    effect = acts.copy()
    effect[..., 1] += 0.8 * effect[..., 0]
    data = {**made_data(60, 20, 2), "effect": effect.astype("float32"),
            "effect_se": np.full((*shape, 2), 0.05, "float32")}
    table = mr.diagnose_pairs(effects_store.dataset(made_loci(60, 20), ["A", "B"], ["m1", "m2"], data),
                              instruments="own", n_draws=0)
    shares = mr.share_of_red([mr.count_red(table)]).set_index("exposure")
    assert shares.loc["A", ["shared", "direction"]].max() < 0.05
    assert table.groupby("exposure")["shared_share"].median()["B"] > 0.3


def test_the_table_against_single_problems(effects, monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 8 * 60 * 3 * 2)  # two loci
    ours = mr.diagnose_pairs(effects, instrument_z=2.0, n_draws=30)
    assert list(ours.columns)[7:] == list(diagnostics.COLUMNS) and len(ours) == 42
    rule = instruments.rule_for(effects, z=2.0)
    effect, effect_se = (effects[name].values.astype(float) for name in ("effect", "effect_se"))
    mask = rule.mask(effect, effect_se)
    for row_number, row in ours.iterrows():
        locus, x, y = row_number // 6, MARKS.index(row["exposure"]), MARKS.index(row["outcome"])
        chosen = mask[locus, :, x]
        one = mr.diagnose(effect[locus, chosen, x], effect_se[locus, chosen, x], effect[locus, chosen, y],
                          effect_se[locus, chosen, y], n_draws=30)
        for name, value in one.items():
            if name != "note":
                np.testing.assert_allclose(row[name], value, rtol=1e-9, err_msg=name)
        if chosen.any():
            np.testing.assert_allclose(row["shared_share"], more_of_outcome(effect[locus], chosen, x, y))
            r2 = r2_of_mutants(effect[locus], mask[locus])
            assert (row["r2_exposure"], row["r2_outcome"]) == pytest.approx((r2[x, x], r2[x, y]))
        else:
            assert np.isnan(row["shared_share"]) and row["red"] == "" and row["note"]
    assert ours["red"].str.len().gt(0).any()


def test_flags_say_what_the_columns_say(effects):
    table = mr.diagnose_pairs(effects, instrument_z=1.0, n_draws=100)
    seen = set()
    for flag, is_red in diagnostics.RED.items():
        up = table["red"].str.split(",").map(lambda names, flag=flag: flag in names)
        assert (up == is_red(table)).all()
        seen |= {flag} if up.any() else set()
    assert len(seen) >= 6


def test_shares_by_pair(effects):
    table = mr.diagnose_pairs(effects, instrument_z=2.0, n_draws=0)
    halves = mr.share_of_red([mr.count_red(table[:18]), mr.count_red(table[18:])])
    assert list(halves.columns) == ["exposure", "outcome", "n_loci", *diagnostics.RED] and len(halves) == 6
    for row in halves.itertuples():
        there = table[(table["exposure"] == row.exposure) & (table["outcome"] == row.outcome) & (table["note"] == "")]
        assert row.n_loci == len(there) >= 5
        assert row.heterogeneity == np.mean(there["q_pvalue"] < 0.05)
    none = mr.share_of_red([mr.count_red(mr.diagnose_pairs(effects, instrument_z=50.0, n_draws=0))])
    assert (none["n_loci"] == 0).all() and none["weak"].isna().all()


def test_moderated_standard_errors_reach_the_diagnostics(effects):
    shrunk = effects.copy(deep=True)
    moderated = instruments.moderation_for(effects).moderated(effects["effect_se"].values)
    shrunk["effect_se"] = effects["effect_se"].dims, moderated
    ours = mr.diagnose_pairs(effects, instruments="own", se_shrinkage="moderated", n_draws=0)
    pd.testing.assert_frame_equal(ours, mr.diagnose_pairs(shrunk, instruments="own", n_draws=0))
