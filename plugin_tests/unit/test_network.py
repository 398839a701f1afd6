"""The causal network: exact where effects are, honest where they are not; verdicts; tables; bad input."""

from dataclasses import replace

import linear_sem
import networkx as nx
import numpy as np
import pytest

from kipoi_deepmr import network
from kipoi_deepmr.errors import InputError
from kipoi_deepmr.instruments import assign, direct_of_total, total_of_direct
from kipoi_deepmr.instruments.direct_effects import change_of_direct, inverse_of_total, variance_of_direct
from kipoi_deepmr.network import significance
from kipoi_deepmr.network.estimate import conditional_f, estimate
from kipoi_deepmr.network.posterior import posterior_mean
from kipoi_deepmr.network.significance import beyond_pvalue, qvalues

EXACT = {"noise": 0, "tau": 0, "leak": 0, "pleiotropy": 0, "n_loci": 60}


def chain(hidden=0.7, n_loci=80, seed=1):
    """Effects on A -> B -> C and a bystander D, with mutants of a hidden cause of B and D."""
    rng = np.random.default_rng(seed)
    graph = np.zeros((5, 5))
    graph[0, 1], graph[1, 2], graph[4, 1], graph[4, 3] = 0.8, 0.7, hidden, hidden
    action = linear_sem.actions(4, n_loci, rng, np.full(5, 0.6), np.ones(5), 0.1, 60)
    effects = (action @ np.linalg.inv(np.eye(5) - graph))[..., :4]
    members = effects[:, None] * rng.normal(1, 0.05, (n_loci, 5, 1, 4))
    return linear_sem.dataset(members + rng.normal(0, 0.03, members.shape), list("ABCD"))


@pytest.fixture(scope="module")
def of_chain():
    return network.fit(chain())


@pytest.mark.parametrize("cyclic", [False, True])
def test_without_noise_direct_effects_are_exact(cyclic):
    simulated = linear_sem.simulate(6, seed=11, cyclic=cyclic, **EXACT)
    effects = linear_sem.dataset(simulated.effects)
    effects["member_effect"] = effects["member_effect"].dims, simulated.effects
    effects["effect"] = effects["effect"].dims, simulated.effects.mean(1)
    fitted = network.fit(effects)
    off = ~np.eye(6, dtype=bool)
    assert np.abs(fitted.direct["direct"].to_numpy() - simulated.direct[off]).max() < 1e-10
    assert np.abs(fitted.total["total"].to_numpy() - total_of_direct(simulated.direct)[off]).max() < 1e-10


def test_direct_effects_are_the_columns_of_the_inverse_of_slopes_over_clean_mutants():
    """The slow, obvious way: loops over loci and mutants, products of all pairs of different members."""
    found = assign(linear_sem.dataset(linear_sem.simulate(3, n_loci=40, seed=2).effects))
    sample, rays, noise = found.sample, found.rays, found.noise
    total = np.eye(3)
    for i in range(3):
        slopes, errors = [], []
        for locus in np.unique(sample.locus):
            clean = found.found.on & (found.found.ray == i) & (sample.locus == locus)
            m, mean = sample.members[:, clean].astype(float), sample.effect[clean]
            if not clean.any():
                continue
            sums = np.mean([(m[k, :, [i]].T * m[h]).sum(0) for k in range(5) for h in range(5) if k != h], axis=0)
            if sums[i] <= 0.1 * (mean[:, i] ** 2).sum():
                continue
            slope = sums / sums[i]
            error = (noise ** 2 + slope ** 2 * noise[i] ** 2) / sums[i] + 0.01 * (mean[:, i] ** 4).sum() / sums[i] ** 2
            slopes.append(slope)
            errors.append(error + np.maximum(rays.tau[i], 1e-3) ** 2)
        total[i] = np.average(slopes, axis=0, weights=1 / np.array(errors))
    expected = np.eye(3) - np.linalg.inv(total) @ np.diag(1 / np.diag(np.linalg.inv(total)))
    assert np.allclose(network.fit(None, assignment=found).matrix, expected, atol=1e-12)


def test_the_sandwich_agrees_with_the_jackknife_over_loci():
    found = assign(linear_sem.dataset(linear_sem.simulate(4, n_loci=80, seed=3).effects))
    total, direct, _ = estimate(found)
    off = ~np.eye(4, dtype=bool)
    without = []
    for locus in range(80):
        kept = found.sample.locus != locus
        sample = found.sample._replace(effect=found.sample.effect[kept], members=found.sample.members[:, kept],
                                       locus=found.sample.locus[kept])
        rest = replace(found, sample=sample, found=found.found._replace(ray=found.found.ray[kept],
                                                                        on=found.found.on[kept]))
        without.append([part.value[off] for part in estimate(rest)[:2]])
    for k, part in enumerate((total, direct)):
        values = np.array(without)[:, k]
        jackknife = np.sqrt(79 / 80 * ((values - values.mean(0)) ** 2).sum(0))
        assert np.allclose(part.se_loci[off], jackknife, rtol=0.08)


def test_intervals_hold_edges_and_zeros():
    """Without errors that all members share, which no interval knows of: 68 of 72 truths are expected."""
    held, error = 0, []
    for scenario in ("acyclic", "cyclic", "hidden"):
        for seed in (1, 2):
            simulated = linear_sem.simulate(4, n_loci=100, seed=seed, noise=0.02, **linear_sem.SCENARIOS[scenario])
            table = network.fit(linear_sem.dataset(simulated.effects)).direct
            truth = simulated.direct[~np.eye(4, dtype=bool)]
            held += ((table["ci_low"] <= truth) & (truth <= table["ci_high"])).sum()
            error.append(table["direct_std"] - simulated.standardised[~np.eye(4, dtype=bool)])
    assert held >= 62
    assert np.sqrt(np.mean(np.square(error))) < 0.035


def test_verdicts_of_a_chain_with_a_hidden_common_cause(of_chain):
    verdict = of_chain.verdicts.set_index(["exposure", "outcome"])["verdict"]
    expected = {("A", "B"): "direct effect", ("B", "C"): "direct effect", ("A", "C"): "indirect effect (through B)",
                ("B", "D"): "possibly a hidden common cause", ("D", "B"): "possibly a hidden common cause"}
    assert dict(verdict) == {pair: expected.get(pair, "no effect beyond the minimum") for pair in verdict.index}
    assert of_chain.verdicts["reason"].str.len().gt(10).all()
    assert np.abs(of_chain.total["total"] - [0.8, 0.56, 0, 0, 0.7, 0, 0, 0, 0, 0, 0, 0]).max() < 0.03


def test_the_graph_holds_the_edges_and_both_tables(of_chain):
    graph = of_chain.graph()
    assert isinstance(graph, nx.DiGraph) and set(graph.edges) == {("A", "B"), ("B", "C")}
    assert graph.edges["A", "B"]["direct"] == pytest.approx(0.8, abs=0.03)
    assert graph.nodes["A"]["cause"] is True and graph.nodes["C"]["in_degree"] == 1
    assert of_chain.graph(every_pair=True).number_of_edges() == 12
    assert "".join(nx.generate_graphml(graph)).count("<node") == 4


def test_a_loop_is_named():
    simulated = linear_sem.simulate(4, seed=21, cyclic=True, hidden=0, n_loci=120)
    fitted = network.fit(linear_sem.dataset(simulated.effects))
    strong = nx.DiGraph([(f"m{i}", f"m{j}") for i, j in np.argwhere(np.abs(simulated.standardised) > 0.12)])
    loops = {mark: scc for scc in nx.strongly_connected_components(strong) if len(scc) > 1 for mark in scc}
    named = fitted.marks.set_index("mark")["loop"]
    assert loops and {mark: set(loop.split(",")) for mark, loop in named.items() if loop} == loops


def test_copies_and_marks_without_mutants_are_named_not_fitted():
    two = linear_sem.simulate(2, n_loci=60, seed=5, pleiotropy=0).effects
    a, b = two[..., :1], two[..., 1:]
    fitted = network.fit(linear_sem.dataset(np.concatenate([a, b, 3 * b, 0 * a], -1), list("ABCN")))
    table = fitted.verdicts.set_index(["exposure", "outcome"])
    kept, copy = ("B", "C") if fitted.marks.set_index("mark").loc["B", "cause"] else ("C", "B")
    assert table.loc[(copy, kept), "verdict"] == f"cannot be told: {copy} and {kept} are near copies"
    assert table.loc[(kept, copy), "verdict"] == f"cannot be told: {kept} and {copy} are near copies"
    assert table.loc[("N", "A"), "verdict"] == "cannot be told: no mutant acts on N alone"
    assert table.loc[("N", "A"), "reason"] == "no mutant moves it"
    rows = fitted.direct.set_index("exposure").loc[["N", copy]]
    assert rows[["direct", "se", "pvalue", "total_implied"]].isna().to_numpy().all()
    assert fitted.marks.set_index("mark").loc[copy, "twins"] == kept


def test_no_mark_has_mutants_of_its_own():
    """Every mutant moves both marks in the same proportion: a table of reasons, without a number."""
    effects = linear_sem.simulate(1, n_loci=30, seed=5).effects
    fitted = network.fit(linear_sem.dataset(np.concatenate([effects, -2 * effects], -1)))
    assert fitted.verdicts["verdict"].str.contains("near copies").all()


def test_inspre_finds_the_edges_and_has_no_errors():
    simulated = linear_sem.simulate(6, seed=4, n_loci=60)
    fitted = network.fit(linear_sem.dataset(simulated.effects), method="inspre")
    truth = simulated.standardised[~np.eye(6, dtype=bool)]
    assert fitted.direct["se"].isna().all() and fitted.sparse.direct.shape == (20, 6, 6)
    assert np.sqrt(np.mean((fitted.direct["direct_std"] - truth) ** 2)) < 0.1


@pytest.mark.parametrize("options, message", [
    ({"method": "lasso"}, "not known"), ({"alpha": 1}, "alpha"), ({"min_effect": -1}, "network_min_effect"),
])
def test_bad_options_are_one_clear_message(options, message):
    with pytest.raises(InputError, match=message):
        network.fit(linear_sem.dataset(linear_sem.simulate(2, n_loci=10, seed=1).effects), **options)


@pytest.mark.parametrize("sorted_at_once", [1, 7, 50])
def test_qvalues_in_parts_are_those_of_all(monkeypatch, sorted_at_once):
    """With ties, and without tests."""
    rng = np.random.default_rng(sorted_at_once)
    for n in (0, 1, 6, 300):
        p = np.where(rng.random(n) < 0.3, rng.integers(0, 4, n) / 3, rng.random(n) ** 2)
        p[rng.random(n) < 0.2] = np.nan
        whole = qvalues(p)
        with monkeypatch.context() as patch:
            patch.setattr(significance, "SORTED", sorted_at_once)
            np.testing.assert_array_equal(qvalues(p), whole)
        tested = p[np.isfinite(p)]
        slow = [min([1, *(other * len(tested) / np.sum(tested <= other) for other in tested if other >= each)])
                for each in tested]
        np.testing.assert_allclose(whole[np.isfinite(p)], slow, rtol=1e-14)


def test_qvalues_are_those_of_benjamini_and_hochberg():
    from statsmodels.stats.multitest import multipletests

    p = np.random.default_rng(0).random(30) ** 3
    q = qvalues(np.append(p, np.nan))
    assert np.allclose(q[:-1], multipletests(p, method="fdr_bh")[1]) and np.isnan(q[-1])


def test_a_minimum_effect_of_zero_is_the_usual_test():
    value, se, df = np.array([0.3, -0.1, 0.0]), np.array([0.1, 0.1, 0.1]), np.array([5.0, 5.0, np.inf])
    from scipy import stats

    df_ = np.where(np.isinf(df), 1e9, df)
    assert np.allclose(beyond_pvalue(value, se, df_, 0), 2 * stats.t.sf(np.abs(value) / se, df_))
    assert (beyond_pvalue(value, se, df_, 0.05) >= beyond_pvalue(value, se, df_, 0)).all()


def test_conditional_f_is_that_without_the_outcome():
    total = total_of_direct(linear_sem.network(5, 6, np.random.default_rng(1))[0])
    f = np.arange(1.0, 6) * 100
    expected = np.empty((5, 5))
    for j in range(5):
        rest = np.arange(5) != j
        expected[rest, j] = f[rest] / np.maximum(np.diag(np.linalg.inv(total[np.ix_(rest, rest)])), 1)
    off = ~np.eye(5, dtype=bool)
    assert np.allclose(conditional_f(total, f, np.arange(5))[off], expected[off])


def test_posterior_means_shrink_zeros_and_keep_effects():
    rng = np.random.default_rng(2)
    truth = np.where(rng.random(400) < 0.1, rng.normal(0, 0.5, 400), 0)
    observed = truth + rng.normal(0, 0.05, 400)
    shrunk = posterior_mean(observed, np.full(400, 0.05))
    assert np.mean((shrunk - truth) ** 2) < 0.4 * np.mean((observed - truth) ** 2)
    assert np.isnan(posterior_mean(np.array([np.nan]), np.array([1.0]))).all()


def test_totals_and_direct_effects_are_each_others_inverse():
    graph = linear_sem.network(8, 12, np.random.default_rng(3), cyclic=True)[0]
    assert np.allclose(direct_of_total(total_of_direct(graph)), graph, atol=1e-14)


@pytest.mark.parametrize("causes", [[0, 2, 5, 6], [3], [], list(range(7))])
def test_rows_of_causes_give_what_whole_matrices_do_where_the_others_act_on_nothing(causes):
    """Inverse, direct effects, their changes and variances, and F, against matrices of all marks, the slow way."""
    rng, n, causes = np.random.default_rng(6), 7, np.array(causes, int)
    whole, variance, change = np.eye(n), np.zeros((n, n)), np.zeros((n, n))
    for i in causes:
        whole[i], variance[i], change[i] = rng.normal(0, 0.3, n), rng.gamma(1, 0.1, n), rng.normal(0, 1e-6, n)
        whole[i, i], variance[i, i], change[i, i] = 1, 0, 0
    inverse, total = np.linalg.inv(whole), whole[causes]
    expected = np.eye(n) - inverse / np.diag(inverse)
    np.testing.assert_allclose(direct_of_total(total, causes), expected[causes], rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(inverse_of_total(total, causes), inverse[causes], rtol=1e-12, atol=1e-15)
    changed = np.linalg.inv(whole + change)
    moved = change_of_direct(inverse[causes], causes, np.arange(len(causes))[::2], change[causes][::2])
    rest = change_of_direct(inverse[causes], causes, np.arange(len(causes))[1::2], change[causes][1::2])
    np.testing.assert_allclose(moved + rest, (np.eye(n) - changed / np.diag(changed) - expected)[causes], atol=1e-10)
    # moved one by one, each effect says how the variance follows
    slow = np.zeros((n, n))
    for k, j in np.argwhere(variance > 0):
        one = np.zeros((n, n))
        one[k, j] = 1e-6
        other = np.linalg.inv(whole + one)
        slow += ((np.eye(n) - other / np.diag(other) - expected) / 1e-6) ** 2 * variance[k, j]
    np.testing.assert_allclose(variance_of_direct(total, variance[causes], causes), slow[causes], rtol=1e-4, atol=1e-9)
    f, others = rng.gamma(2, 50, n), ~np.eye(n, dtype=bool)[causes]
    slow = np.array([[f[i] / max(np.linalg.inv(np.delete(np.delete(whole, j, 0), j, 1))[i - (j < i), i - (j < i)], 1)
                      if i != j else 0 for j in range(n)] for i in causes]).reshape(-1, n)
    np.testing.assert_allclose(conditional_f(total, f[causes], causes)[others], slow[others], rtol=1e-9)


def test_a_member_that_hardly_moves_at_a_locus_has_errors_all_the_same():
    """As a network whose rectifiers are all off there, or nearly: its slope at that locus is 0/0, or noise."""
    effects = linear_sem.simulate(n_loci=40, seed=3).effects
    whole = network.fit(linear_sem.dataset(effects)).direct
    for strength in (0, 1e-4):
        effects[5, 2] *= strength
        table = network.fit(linear_sem.dataset(effects)).direct
        np.testing.assert_allclose(table["direct"], whole["direct"], atol=0.05)
        np.testing.assert_allclose(table["se"], whole["se"], rtol=0.5)
        effects = linear_sem.simulate(n_loci=40, seed=3).effects
