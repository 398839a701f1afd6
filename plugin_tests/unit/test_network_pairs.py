"""Tables, verdicts and files of a network are made of arrays, some rows at a time: those of the slow, obvious way."""

from dataclasses import replace

import linear_sem
import networkx as nx
import numpy as np
import pandas as pd
import pytest

from kipoi_deepmr import network
from kipoi_deepmr.instruments import assign
from kipoi_deepmr.instruments.rows import Rows
from kipoi_deepmr.network import pairs as pairs_module
from kipoi_deepmr.network import posterior
from kipoi_deepmr.network.companions import Companions, copies, explained, shared_loci
from kipoi_deepmr.network.estimate import Estimate, conditional_f, estimate
from kipoi_deepmr.network.posterior import posterior_mean
from kipoi_deepmr.network.significance import beyond_pvalue, qvalues
from kipoi_deepmr.network.verdicts import Judgement
from kipoi_deepmr.output.network_files import write_pairs
from kipoi_deepmr.output.tables import read_parquet
from kipoi_deepmr.pipeline.network import Judged

MARKS = list("ABCDEFGN")


@pytest.fixture(scope="module")
def assignment():
    """Of six marks with hidden causes, a near copy of one of them, and a mark that nothing moves."""
    effects = linear_sem.simulate(6, n_loci=40, seed=7, hidden=2).effects
    rest = linear_sem.simulate(6, n_loci=40, seed=7, hidden=2).effects[..., :1]
    return assign(linear_sem.dataset(np.concatenate([effects, 2 * rest, 0 * rest], -1), MARKS))


@pytest.fixture(scope="module")
def fitted(assignment):
    return network.fit(None, assignment=assignment)


@pytest.fixture
def few_rows(monkeypatch):
    monkeypatch.setattr(pairs_module, "ROWS", 9)
    monkeypatch.setattr(posterior, "ROWS", 5)


def of_all_marks(causes):
    """A function that gives arrays (cause, mark), or some of these, a row of NaN for each mark that is no cause."""
    def whole(values):
        if np.ndim(values) != 2:
            return [whole(each) for each in values]
        every = np.full((len(MARKS), len(MARKS)), np.nan)
        every[causes] = values
        return every

    return whole


def slow_table(assignment):
    """Columns of network.tsv, one pair after the other."""
    with np.errstate(all="ignore"):
        total, direct, strength = estimate(assignment)
        causes = np.flatnonzero(assignment.causes)
        f = conditional_f(np.where(np.isfinite(total.value), total.value, np.eye(len(MARKS))[causes]),
                          strength.f[causes], causes)
    total, direct = (Estimate(*map(of_all_marks(causes), each)) for each in (total._replace(by_member=[]), direct))
    f = of_all_marks(causes)(f)
    near, by, (both, either) = copies(assignment), explained(assignment), shared_loci(assignment)
    rows = []
    for i, x in enumerate(MARKS):
        for j, y in enumerate(MARKS):
            if i == j:
                continue
            moved = assignment.sd > 0
            unit = assignment.sd[j] / assignment.sd[i] if moved[i] and moved[j] else np.nan
            note = [f"no mutant moves {x if not moved[i] else y}"] if not (moved[i] and moved[j]) else [] if (
                assignment.causes[i]) else ["no instruments of its own" + ": other marks explain it" * bool(by[i])]
            note += ["near copies"] * bool(near[i, j])
            row = {"exposure": x, "outcome": y, "direct": direct.value[i, j] * unit, "se": direct.se[i, j] * unit,
                   "direct_std": direct.value[i, j], "se_loci": direct.se_loci[i, j] * unit,
                   "se_members": direct.se_members[i, j] * unit, "df": direct.df[i, j],
                   "total_implied": total.value[i, j] * unit, "n_instruments": strength.n_instruments[i],
                   "n_loci": strength.n_loci[i], "f_conditional": f[i, j], "note": "; ".join(note)}
            row["shared_share"] = both[i, j] / either[i, j] if either[i, j] else np.nan
            row.update({f"direct_{k + 1}": g[i, j] * unit for k, g in enumerate(direct.by_member)})
            rows.append({**row, "unit": unit})
    table = pd.DataFrame(rows)
    value, se, df, unit = (table[name].to_numpy() for name in ("direct_std", "se", "df", "unit"))
    beyond = beyond_pvalue(value, se / unit, df, 0.05)
    return table.assign(qvalue_min_effect=qvalues(beyond), posterior_mean=posterior_mean(value, se / unit) * unit)


def test_a_table_made_of_pieces_is_that_of_pairs_one_by_one(assignment, few_rows):
    made, slow = network.fit(None, assignment=assignment).direct, slow_table(assignment)
    for name in slow.columns.drop("unit"):
        if pd.api.types.is_numeric_dtype(slow[name]):
            np.testing.assert_allclose(made[name], slow[name], rtol=1e-9, err_msg=name)
        else:
            assert made[name].tolist() == slow[name].tolist(), name
    assert made["note"].str.contains("near copies").any() and made["note"].str.contains("no mutant moves N").any()


def test_the_table_does_not_depend_on_how_many_rows_are_made_at_a_time(assignment, fitted, few_rows):
    for name in ("direct", "total", "verdicts", "marks"):
        pd.testing.assert_frame_equal(getattr(network.fit(None, assignment=assignment), name), getattr(fitted, name),
                                      check_exact=True)


def test_the_bytes_written_in_pieces_are_those_of_the_table_as_a_whole(fitted, tmp_path, few_rows):
    write_pairs(fitted, str(tmp_path / "a.tsv"))
    table = fitted.direct
    whole = table.assign(note=table["note"].replace("", "NA")).to_csv(sep="\t", index=False, na_rep="NA",
                                                                      lineterminator="\n")
    assert (tmp_path / "a.tsv").read_text() == whole


def test_parquet_written_in_pieces_has_texts_where_a_piece_has_no_note(fitted, tmp_path, monkeypatch):
    pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    monkeypatch.setattr(pairs_module, "ROWS", 5)
    write_pairs(fitted, str(tmp_path / "a.parquet"))
    text, expected = ["exposure", "outcome", "note"], fitted.direct
    table = pd.concat(read_parquet(str(tmp_path / "a.parquet"), list(expected), text, 1000))
    assert (expected["note"] == "").iloc[:5].all()
    pd.testing.assert_frame_equal(table.drop(columns=text), expected.drop(columns=text))
    for name in text:
        assert table[name].fillna("").tolist() == expected[name].tolist()


def slow_verdict(net, row, edges, graph):
    """Verdict and reason of one pair, as docs/network.md has them."""
    pairs, names = net.pairs, net.pairs.marks
    (i,), (j,) = pairs.marks_at(np.array([row]))
    x, y, least = names[i], names[j], pairs.min_effect
    copy, both, either = pairs.companions.copy, pairs.companions.both, pairs.companions.either
    (direct,), n = pairs.direct_std(np.array([row])), pairs.strength.n_loci[i]
    m = y if copy[i, j] else names[copy[i].argmax()]
    if i not in pairs.rows.numbers:
        if copy[i].any():
            return f"cannot be told: {x} and {m} are near copies", f"effects on {x} and {m} are correlated above 0.95"
        return f"cannot be told: no mutant acts on {x} alone", net.instruments.reason_text(i)
    if copy[i].any() and edges[row]:
        return (f"cannot be told: {x} and {m} are near copies",
                f"effects on {x} and {m} are correlated above 0.95, and only {x} has mutants of its own")
    many = either[i, j] > 0 and both[i, j] / either[i, j] >= 0.3
    shared = f"{both[i, j]} of {either[i, j]} loci have mutants that act on both {x} and {y}"
    if edges[row]:
        if many and both[i, j] > n:
            return "possibly a hidden common cause", f"{shared}, and only {n} have mutants of {x} alone"
        return "direct effect", f"{direct:.3g} standard deviations per standard deviation, {n} loci"
    k = pairs.rows.numbers.tolist().index(i)
    if pairs.of_all.has_total[k, j] and nx.has_path(graph, i, j):
        through = nx.dijkstra_path(graph, i, j, weight="length")[1:-1]
        unit = pairs.sd[j] / pairs.sd[i]
        return (f"indirect effect (through {', '.join(names[k] for k in through)})",
                f"total effect {pairs.total.value[k, j] * unit:.3g}, direct effect {direct * unit:.3g}, {n} loci")
    if many:
        return ("possibly a hidden common cause",
                f"{shared}; mutants of {x} alone show no direct effect beyond the minimum")
    effect = f"direct effect {direct:.3g} standard deviations"
    if abs(direct) > least:
        loci = f"{n} locus" if n == 1 else f"{n} loci"
        return ("no effect beyond the minimum",
                f"{effect}: larger than the minimum {least:g}, but not clearly so with {loci} and "
                f"{len(pairs.direct.by_member)} members")
    return "no effect beyond the minimum", f"{effect}, minimum {least:g}, {n} loci"


def drawn_network(fitted, seed):
    """The network with causes, companions and significance drawn at random, so that every verdict occurs."""
    rng, n = np.random.default_rng(seed), len(MARKS)
    copy = np.triu(rng.random((n, n)) < 0.08, 1)
    both = rng.integers(0, 12, (n, n)).astype(np.int32)
    companions = Companions(copy | copy.T, rng.random(n) < 0.5, both, both + rng.integers(0, 25, (n, n), np.int32))
    pairs, rows = fitted.pairs, Rows.of(rng.random(n) < 0.8)
    shape = len(rows.numbers), n
    value = np.where(np.eye(n, dtype=bool)[rows.numbers], np.nan, rng.normal(0, 0.1, shape))
    of_all = pairs.of_all._replace(qvalue_min_effect=np.where(rng.random(shape) < 0.15, 0.01, 0.5),
                                   has_total=rng.random(shape) < 0.4)
    pairs = replace(pairs, rows=rows, companions=companions, of_all=of_all,
                    direct=pairs.direct._replace(value=value), total=pairs.total._replace(value=2 * value),
                    strength=pairs.strength._replace(n_loci=rng.integers(1, 9, n)), sd=rng.uniform(1, 2, n))
    return replace(fitted, pairs=pairs)


def test_verdicts_by_code_are_those_of_pairs_one_by_one(fitted, few_rows):
    seen = set()
    for seed in range(20):
        net = drawn_network(fitted, seed)
        edges, graph = net.is_edge, nx.empty_graph(len(MARKS), create_using=nx.DiGraph)
        for row in np.flatnonzero(edges).tolist():
            (i,), (j,) = (each.tolist() for each in net.pairs.marks_at(np.array([row])))
            graph.add_edge(i, j, length=1 / abs(net.pairs.direct_std(np.array([row]))[0]))
        expected = [slow_verdict(net, row, edges, graph) for row in range(len(net.pairs))]
        table = net.verdicts
        assert list(zip(table["verdict"], table["reason"], strict=True)) == expected
        seen |= set(Judgement.of(net).code.tolist())
        numbers = net.judgement.numbers
        assert sum(numbers.values()) == len(expected)
        assert all(number == table["verdict"].str.startswith(kind).sum() for kind, number in numbers.items())
        assert net.judgement.n_not_clear == table["reason"].str.contains("but not clearly").sum()
    assert seen == set(range(9))


def test_verdicts_of_a_table_are_those_of_its_pairs(fitted):
    """In any order, with pairs twice, and with a mark that the network does not know."""
    table = fitted.direct[["exposure", "outcome"]].assign(method="ivw", estimate=1.0, pvalue=0.5)
    table = pd.concat([table.sample(30, random_state=1), table[:3], table[:2].assign(outcome="unknown")])
    judged = Judged(dict.fromkeys(MARKS, 2.0), fitted, "").of_table(table)
    expected = table.merge(fitted.verdicts, "left", ["exposure", "outcome"])
    pd.testing.assert_frame_equal(judged[["exposure", "outcome", "verdict", "reason"]],
                                  expected[["exposure", "outcome", "verdict", "reason"]])
    assert judged["verdict"].isna().sum() == 2


def test_a_distribution_from_some_of_the_effects_shrinks_all(monkeypatch):
    rng = np.random.default_rng(4)
    effect = np.where(rng.random(5000) < 0.1, rng.normal(0, 0.5, 5000), 0) + rng.normal(0, 0.05, 5000)
    whole = posterior_mean(effect, np.full(5000, 0.05))
    monkeypatch.setattr(posterior, "MOST", 1000)
    some = posterior_mean(effect, np.full(5000, 0.05))
    assert len(some) == 5000 and 0 < np.abs(some - whole).max() < 0.05
