"""Cross-fitting: each member's fit over instruments that the others chose, against a slow, obvious version."""

import numpy as np
import pytest
from mr_problems import effects_with_members
from scipy import stats

from kipoi_deepmr import instruments, mr
from kipoi_deepmr.errors import InputError

MARKS = ("A", "B", "C")


def slow(members, locus, x, y, method, z, ddof=1, **options):
    """Estimate, se and mean number of instruments of one locus and pair; None where a member cannot be fitted."""
    estimates, counts = [], []
    n_members = members.shape[1]
    for k in range(n_members):
        bx, by, sx, sy = [], [], [], []
        for v in range(members.shape[2]):
            others = [members[locus, j, v].astype(float) for j in range(n_members) if j != k]
            mean, sd = np.mean(others, axis=0), np.std(others, axis=0, ddof=ddof)
            if abs(mean[x]) >= z * sd[x]:
                bx.append(members[locus, k, v, x])
                by.append(members[locus, k, v, y])
                sx.append(sd[x])
                sy.append(sd[y])
        estimates.append(mr.fit(bx, sx, by, sy, method, **options).estimate)
        counts.append(len(bx))
    return np.mean(estimates), np.std(estimates, ddof=1), np.mean(counts)


@pytest.mark.parametrize("method, ddof", [("ivw", 1), ("egger", 1), ("median_weighted", 1), ("wald_mean", 1),
                                          ("ivw", 0)])
def test_it_agrees_with_the_slow_version(method, ddof):
    effects = effects_with_members(ddof=ddof)
    table = mr.fit_pairs(effects, method=method, instruments="own", instrument_z=3, uncertainty="cross_fitted",
                         spread_shrinkage="none")
    members = effects["member_effect"].values
    assert table["estimate"].notna().sum() > 20
    for row in table.itertuples():
        locus, x, y = int(row.locus[-1]), MARKS.index(row.exposure), MARKS.index(row.outcome)
        estimate, se, n = slow(members, locus, x, y, method, 3, ddof)
        assert row.n_instruments == np.rint(n)
        if np.isnan(estimate):
            assert np.isnan(row.estimate) and row.note.startswith("member ")
            continue
        half = stats.t.ppf(0.975, 4) * se
        np.testing.assert_allclose([row.estimate, row.se, row.ci_low, row.ci_high],
                                   [estimate, se, estimate - half, estimate + half], rtol=1e-6)
        np.testing.assert_allclose(row.pvalue, 2 * stats.t.sf(abs(estimate) / se, 4), rtol=1e-5)
        assert row.note == ""


def test_the_choosers_errors_are_not_selected():
    """Mutants without any effect: those that pass the test of their own choosers look large, to others they do not."""
    rng = np.random.default_rng(3)
    members = rng.normal(size=(1, 5, 200_000, 1))
    rule = instruments.InstrumentRule("own", 3.0)
    own = rule.mask(members.mean(1), members.std(1, ddof=1))[0, :, 0]
    others = members[:, :4]
    chosen = rule.mask(others.mean(1), others.std(1, ddof=1))[0, :, 0]
    assert np.abs(members.mean(1)[0, own, 0]).mean() > 1.5 * np.abs(members.mean(1)[0, :, 0]).mean()
    assert abs(np.abs(members[0, 4, chosen, 0]).mean() / np.abs(members[0, 4, :, 0]).mean() - 1) < 0.07


def test_moderation_counts_the_members_that_choose():
    """The prior is that of all members; what it is added to has one degree of freedom less."""
    effects = effects_with_members()
    table = mr.fit_pairs(effects, "A", "B", "ivw", "own", 3, "moderated", "cross_fitted")
    moderation, members = instruments.moderation_for(effects), effects["member_effect"].values.astype(float)
    estimates = []
    for k in range(5):
        others = np.delete(members[0], k, 0)
        prior, d0 = moderation.prior_variance, moderation.prior_df
        sd = np.sqrt((d0 * prior + 3 * others.var(0, ddof=1)) / (d0 + 3))
        chosen = np.abs(others.mean(0)[:, 0]) >= 3 * sd[:, 0]
        weight = sd[chosen, 1] ** -2.0
        x, y = members[0, k, chosen, 0], members[0, k, chosen, 1]
        estimates.append((weight * x * y).sum() / (weight * x * x).sum())
    np.testing.assert_allclose(table["estimate"][0], np.mean(estimates), rtol=1e-6)


@pytest.mark.parametrize("rule, z", [("pooled", 1.0), ("own", 3.0)])
def test_every_method_that_can_be_cross_fitted_is(rule, z):
    methods = [name for name in mr.METHODS if name != "two_stage_least_squares" and not name.startswith("mvmr_")]
    table = mr.fit_pairs(effects_with_members(), "A", "B", methods, rule, z, uncertainty="cross_fitted")
    found = table[table["locus"] == "locus0"].set_index("method")
    assert (found["note"] == "").all() and (found["se"] > 0).all()
    assert ((found["estimate"] - 2).abs() < 1).all()


@pytest.mark.parametrize("effects, method, said", [
    (effects_with_members(2), "ivw", "needs 3 members or more, not 2"),
    (effects_with_members(keep=False), "ivw", "--keep members"),
    (effects_with_members(), "two_stage_least_squares", "cannot be cross-fitted"),
])
def test_what_is_refused(effects, method, said):
    with pytest.raises(InputError, match=said):
        mr.fit_pairs(effects, method=method, instruments="own", uncertainty="cross_fitted")
