"""Estimators that know how errors are correlated, against dense algebra and two regressions in a row."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mr_problems import FINITE, MARKS, made_data, made_loci
from profiles import fewer
from sklearn.covariance import ledoit_wolf

from kipoi_deepmr import effects_store, instruments, mr
from kipoi_deepmr.effects_store import blocks
from kipoi_deepmr.errors import InputError
from kipoi_deepmr.mr.estimators.correlated import shrunk_correlation
from kipoi_deepmr.mr.overlap import psi_of_members

METHODS = ["ivw_correlated", "egger_correlated"]


def made(seed, n, k=5, psi=0.8):
    """Effects of n instruments, and those of k members whose errors are shared between instruments and marks."""
    rng = np.random.default_rng(seed)
    true = rng.normal(size=n) * 3
    x = true + rng.normal(size=(k, 1)) * 0.2 * true + 0.3 * rng.normal(size=(k, n))
    y = 0.7 * true + psi * (x - true) + 0.3 * rng.normal(size=(k, n))
    return x.mean(0), x.std(0, ddof=1), y.mean(0), y.std(0, ddof=1), x, y


def generalised(bx, by, covariance, intercept):
    """Slope, its fixed standard error, and the residuals' Mahalanobis distance, by inverting the covariance."""
    if intercept:
        sign = np.where(bx < 0, -1.0, 1.0)
        bx, by, covariance = sign * bx, sign * by, sign[:, None] * covariance * sign
    design = np.column_stack([bx, np.ones(len(bx))])[:, : 2 if intercept else 1]
    inverse = np.linalg.inv(covariance)
    middle = np.linalg.inv(design.T @ inverse @ design)
    beta = middle @ design.T @ inverse @ by
    residual = by - design @ beta
    return beta, np.sqrt(np.diag(middle)), residual @ inverse @ residual


def check(result, expected, n):
    beta, se, q = expected
    df = n - len(beta)
    factor = max(np.sqrt(q / df), 1.0) if n >= 4 or len(beta) == 2 else 1.0
    np.testing.assert_allclose([result.estimate, result.se, result.q], [beta[0], se[0] * factor, q], rtol=1e-8)
    if len(beta) == 2:
        np.testing.assert_allclose([result.intercept, result.intercept_se], [beta[1], se[1] * factor], rtol=1e-8)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n", [3, 4, 12])
def test_given_covariance(method, n):
    bx, sx, by, sy, *_ = made(n, n)
    root = np.random.default_rng(n).normal(size=(n, n)) * sy[:, None]
    covariance = root @ root.T
    ours = mr.fit(bx, sx, by, sy, method, covariance=covariance)
    check(ours, generalised(bx, by, covariance, method == "egger_correlated"), n)


@pytest.mark.parametrize("method,plain", list(zip(METHODS, ["ivw", "egger"], strict=True)))
def test_no_correlation_is_the_plain_fit(method, plain):
    bx, sx, by, sy, *_ = made(1, 9)
    ours, expected = mr.fit(bx, sx, by, sy, method, covariance=np.diag(sy ** 2)), mr.fit(bx, sx, by, sy, plain)
    for name in ("estimate", "se", "pvalue", "q", "intercept", "intercept_se"):
        np.testing.assert_allclose(getattr(ours, name), getattr(expected, name), rtol=1e-10)


def dense(by_members, sy):
    """The shrunk covariance of one problem with sklearn's share."""
    k, n = by_members.shape
    errors = by_members - by_members.mean(0)
    z = errors / np.sqrt((errors ** 2).mean(0))
    share = max(ledoit_wolf(z, assume_centered=True)[1], 1 / k) if n > 1 else 1.0
    return (share * np.eye(n) + (1 - share) * z.T @ z / k) * sy[:, None] * sy


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("k", [2, 5, 40])
@pytest.mark.parametrize("n", [3, 4, 30])
def test_covariance_from_members(method, n, k):
    bx, sx, by, sy, _, by_members = made(10 * n + k, n, k)
    ours = mr.fit(bx, sx, by, sy, method, by_members=by_members)
    check(ours, generalised(bx, by, dense(by_members, sy), method == "egger_correlated"), n)


@pytest.mark.parametrize("n", [1, 2, 7])
def test_correlation_matrix_has_ones_and_can_be_inverted(n):
    *_, by_members = made(3, n)
    by_members[:, 0] = 1.0  # an instrument whose outcome no member moves
    diagonal, factor = shrunk_correlation(by_members, np.ones(n, bool))
    matrix = np.diag(diagonal) + factor @ factor.T
    np.testing.assert_allclose(np.diag(matrix), 1.0)
    assert np.linalg.eigvalsh(matrix).min() >= 0.19


def two_regressions(x, y):
    """2SLS by least squares twice, over members' references and mutants; theta, se, Sargan's statistic."""
    k, n = x.shape
    exposure, outcome = (np.column_stack([np.zeros(k), m]).ravel() for m in (x, y))
    member = np.kron(np.eye(k), np.ones((n + 1, 1)))
    genotype = np.tile(np.eye(n + 1)[:, 1:], (k, 1))
    instruments = np.hstack([member, genotype])
    fitted = instruments @ np.linalg.lstsq(instruments, exposure, rcond=None)[0]
    design = np.column_stack([fitted, member])
    beta = np.linalg.lstsq(design, outcome, rcond=None)[0]
    residual = outcome - np.column_stack([exposure, member]) @ beta
    variance = residual @ residual / (len(outcome) - k - 1)
    se = np.sqrt(variance * np.linalg.inv(design.T @ design)[0, 0])
    explained = instruments @ np.linalg.lstsq(instruments, residual, rcond=None)[0]
    return beta[0], se, explained @ explained / variance


@pytest.mark.parametrize("n,k", [(1, 2), (2, 5), (8, 3), (30, 5)])
def test_two_stage_least_squares_is_two_regressions(n, k):
    bx, sx, by, sy, x, y = made(n, n, k)
    ours = mr.fit(bx, sx, by, sy, "two_stage_least_squares", bx_members=x, by_members=y)
    estimate, se, q = two_regressions(x, y)
    np.testing.assert_allclose([ours.estimate, ours.se], [estimate, se], rtol=1e-9)
    assert ours.q_df == n - 1
    if n > 1:
        np.testing.assert_allclose(ours.q, q, rtol=1e-8)


@pytest.fixture(scope="module")
def effects():
    rng = np.random.default_rng(2)
    data = made_data(7, 20, 3)
    shared = rng.normal(size=(7, 4, 60, 1))
    members = data["effect"][:, None] * (1 + 0.1 * shared) + 0.3 * shared + 0.1 * rng.normal(size=(7, 4, 60, 3))
    data["member_effect"] = members.astype("float32")
    data["effect"], data["effect_se"] = members.mean(1).astype("float32"), members.std(1, ddof=1).astype("float32")
    data["reference"] = np.zeros((7, 4, 3), "float32")
    return effects_store.dataset(made_loci(7, 20), MARKS, ["m1", "m2", "m3", "m4"], data)


@pytest.mark.parametrize("method", [*METHODS, "two_stage_least_squares"])
def test_all_pairs_against_loops(effects, method):
    ours = mr.fit_pairs(effects, method=method, instrument_z=2.0)
    arrays = {name: effects[name].values.astype(float) for name in ("effect", "effect_se", "member_effect")}
    mask = instruments.rule_for(effects, z=2.0).mask(arrays["effect"], arrays["effect_se"])
    for number, row in enumerate(ours.itertuples()):
        locus, x, y = number // 6, MARKS.index(row.exposure), MARKS.index(row.outcome)
        chosen = mask[locus, :, x]
        effect, se, members = (arrays[name][locus] for name in ("effect", "effect_se", "member_effect"))
        data = {"by_members": members[:, chosen, y]}
        if method == "two_stage_least_squares":
            data["bx_members"] = members[:, chosen, x]
        one = mr.fit(effect[chosen, x], se[chosen, x], effect[chosen, y], se[chosen, y], method, **data)
        assert row.note == one.note and row.n_instruments == one.n_instruments
        np.testing.assert_allclose([row.estimate, row.se, row.q], [one.estimate, one.se, one.q], rtol=1e-8)
    assert (ours["note"] == "").sum() > 20


@given(seed=st.integers(0, 10**6), n=st.integers(3, 12), factor=st.floats(1e-4, 1e4),
       method=st.sampled_from([*METHODS, "two_stage_least_squares"]))
@fewer(4)
def test_symmetries(seed, n, factor, method):
    rng = np.random.default_rng(seed)
    bx, sx, by, sy, x, y = made(seed, n)

    def fit(sign=1.0, scale=1.0, order=slice(None)):
        data = {"by_members": (scale * sign * y)[:, order]}
        if method == "two_stage_least_squares":
            data["bx_members"] = (sign * x)[:, order]
        return mr.fit((sign * bx)[order], sx[order], (scale * sign * by)[order], scale * sy[order], method, **data)

    before, scaled, moved = fit(), fit(scale=factor), fit(order=rng.permutation(n))
    turned = fit(sign=rng.choice([-1.0, 1.0], n))
    for name in ("estimate", "se", "ci_low", "ci_high", "q", "pvalue"):
        value, tolerance = getattr(before, name), {"rtol": 1e-6, "atol": 1e-9}
        np.testing.assert_allclose(getattr(moved, name), value, **tolerance)
        if method != "two_stage_least_squares":  # which has an intercept, and the reference at 0
            np.testing.assert_allclose(getattr(turned, name), value, **tolerance)
        scale = 1 if name in ("q", "pvalue") else factor
        np.testing.assert_allclose(getattr(scaled, name), scale * value, rtol=1e-6, atol=1e-9 * scale)


@given(data=st.data(), n=st.integers(0, 5), method=st.sampled_from([*METHODS, "two_stage_least_squares"]))
def test_no_finite_input_raises(data, n, method):
    def draw():
        return data.draw(st.lists(FINITE, min_size=n, max_size=n))

    more = {"by_members": np.array([draw(), draw(), draw()]).reshape(3, n)}
    if method == "two_stage_least_squares":
        more["bx_members"] = np.array([draw(), draw(), draw()]).reshape(3, n)
    result = mr.fit(draw(), draw(), draw(), draw(), method, **more)
    assert result.note or (np.isfinite(result.estimate) and result.se > 0 and 0 <= result.pvalue <= 1)


def test_a_singular_covariance_says_so():
    bx, sx, by, sy, *_ = made(1, 4)
    result = mr.fit(bx, sx, by, sy, "ivw_correlated", covariance=np.ones((4, 4)))
    assert result.note == "the covariance of the outcome errors is singular" and np.isnan(result.estimate)


def test_what_is_missing_or_does_not_fit_is_said(effects):
    bx, sx, by, sy, x, y = made(1, 4)
    for arguments, message in (
            ({"method": "ivw_correlated"}, "either the covariance of their outcome errors or by_members"),
            ({"method": "ivw_correlated", "covariance": np.eye(4), "by_members": y}, "either the covariance"),
            ({"method": "ivw_correlated", "covariance": np.eye(3)}, "unequal lengths"),
            ({"method": "ivw_correlated", "covariance": np.ones((3, 4))}, r"covariance has the shape \(3, 4\)"),
            ({"method": "ivw_correlated", "covariance": np.ones(4)}, "covariance must have two dimensions, not 1"),
            ({"method": "two_stage_least_squares", "by_members": y}, "needs every member's effects"),
            ({"method": "ivw", "covariance": np.eye(4)}, "method 'ivw' does not take covariance")):
        with pytest.raises(InputError, match=message):
            mr.fit(bx, sx, by, sy, **arguments)
    for method in (*METHODS, "two_stage_least_squares"):
        with pytest.raises(InputError, match=f"method {method} needs every member's effects"):
            mr.fit_pairs(effects.drop_vars("member_effect"), method=method)


# --- psi, measured ---------------------------------------------------------------------------------------------------

def test_psi_against_a_loop(effects, monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 8 * 60 * 3 * 2)  # two loci
    rule = instruments.rule_for(effects, z=2.0)
    ours = psi_of_members(effects, rule)
    effect, effect_se, members = (effects[name].values.astype(float)
                                  for name in ("effect", "effect_se", "member_effect"))
    mask = rule.mask(effect, effect_se)
    for x, y in np.ndindex(3, 3):
        pairs = [((members[i, k, v, x] - members[i, :, v, x].mean()) / effect_se[i, v, x],
                  (members[i, k, v, y] - members[i, :, v, y].mean()) / effect_se[i, v, y])
                 for i, v in np.argwhere(mask[..., x]) for k in range(4)]
        a, b = np.array(pairs).T
        expected = a @ b / np.sqrt((a @ a) * (b @ b))
        np.testing.assert_allclose(ours[x, y], min(expected, 0.9999), rtol=1e-9)
    assert 0.5 < ours[0, 1] < 0.99  # the members of `effects` share most of their errors


def test_psi_of_members_reaches_the_methods_that_take_one(effects):
    psi = psi_of_members(effects, instruments.rule_for(effects, z=2.0))
    methods = {"ivw": {"weights": "delta"}, "max_likelihood": {}}
    for method, options in methods.items():
        ours = mr.fit_pairs(effects, method=method, instrument_z=2.0, psi="members", **options)
        key = ["locus", "exposure", "outcome"]
        for exposure, outcome in (("Oct4", "Nanog"), ("Sox2", "Oct4")):
            value = psi[MARKS.index(exposure), MARKS.index(outcome)]
            expected = mr.fit_pairs(effects, exposure, outcome, method, instrument_z=2.0, psi=value, **options)
            same = expected[key].merge(ours, on=key)
            np.testing.assert_allclose(same["estimate"], expected["estimate"], rtol=1e-9)
            np.testing.assert_allclose(same["se"], expected["se"], rtol=1e-9)
    plain = mr.fit_pairs(effects, method="ivw", instrument_z=2.0, weights="delta")
    assert not np.allclose(plain["estimate"], mr.fit_pairs(effects, method="ivw", instrument_z=2.0, weights="delta",
                                                           psi="members")["estimate"], equal_nan=True)


def test_psi_needs_members_and_a_method_that_takes_it(effects):
    with pytest.raises(InputError, match="psi='members' needs every member's effects"):
        mr.fit_pairs(effects.drop_vars("member_effect"), method="ivw", weights="delta", psi="members")
    with pytest.raises(InputError, match="no option 'psi' for egger"):
        mr.fit_pairs(effects, method="egger", psi="members")
