"""The simulation of graphs: graphs, activities and true effects against slow, obvious versions; scores by hand."""

import itertools
import json
import math

import numpy as np
import pandas as pd
import pytest

from kipoi_deepmr.errors import InputError
from kipoi_deepmr.options import GRAPHS, LABELS
from kipoi_deepmr.plots import graph_figure
from kipoi_deepmr.simulation import graph_activity, graph_scores, graph_truth, graphs, sequences
from kipoi_deepmr.simulation.binding import BACKGROUND
from kipoi_deepmr.simulation.designs import read_design
from kipoi_deepmr.simulation.graph_rounds import GraphDesign
from kipoi_deepmr.simulation.rounds import Design

CASES = [(kind, n, hidden) for kind in graphs.GRAPHS for n, hidden in ((4, 0), (4, 1), (9, 2))]


def drawn(kind, n, hidden, seed=1):
    return graphs.draw_graph(kind, n, hidden, np.random.default_rng(seed))


def edges_of(graph):
    names = graph.names
    return {names[i] + names[j] for i, j in zip(*np.nonzero(graph.direct[:graph.n_marks]), strict=True)}


@pytest.mark.parametrize("kind, edges", [
    ("chain", "AB BC CD"), ("fork", "AB AC AD"), ("collider", "AD BD CD"), ("cycle", "AB BC CD DA"),
    ("mediator", "AD AB AC BD CD")])
def test_the_edges_of_four_marks(kind, edges):
    assert edges_of(drawn(kind, 4, 0)) == edges_of(drawn(kind, 4, 2)) == set(edges.split())


@pytest.mark.parametrize("kind, n, hidden", CASES)
def test_graphs_have_edges_that_can_be_seen_and_die_out(kind, n, hidden):
    graph = drawn(kind, n, hidden)
    marks, causes = graph.direct[:n, :n], graph.direct[n:]
    assert graph.direct.shape == (n + hidden, n + hidden) and (graph.direct[:, n:] == 0).all()
    assert (np.diag(marks) == 0).all() and graphs.radius(marks) <= graphs.LARGEST_RADIUS + 1e-12
    assert ((causes != 0).sum(axis=1) == (2 if n < 6 else 3)).all()
    assert (np.abs(causes[causes != 0]) >= graphs.HIDDEN_EDGE[0]).all()
    if kind != "cycle":
        assert (np.abs(marks[marks != 0]) >= graphs.EDGE[0]).all()
    np.testing.assert_array_equal(drawn(kind, n, hidden).direct, graph.direct)
    assert (drawn(kind, n, hidden, 2).direct != graph.direct).any()


def test_random_graphs_are_acyclic_and_have_an_edge_and_a_half_a_mark():
    for seed in range(20):
        marks = drawn("random", 10, 0, seed).direct
        assert (marks != 0).sum() == 15 and np.abs(np.linalg.matrix_power((marks != 0).astype(float), 10)).max() == 0


def reached_from(direct, i):
    """Marks to which a path leads, one step at a time."""
    seen, todo = set(), [i]
    while todo:
        for j in np.flatnonzero(direct[todo.pop()]):
            if j not in seen:
                seen.add(j)
                todo.append(j)
    return seen - {i}


@pytest.mark.parametrize("kind, n, hidden", CASES)
def test_total_effects_are_what_comes_of_moving_one_input(kind, n, hidden):
    """A unit added to one mark's input goes round until nothing moves any more."""
    direct = drawn(kind, n, hidden).direct
    totals, acts = graphs.total_effects(direct), graphs.acts_on(direct)
    for i in range(len(direct)):
        moved, added = np.zeros(len(direct)), np.eye(len(direct))[i]
        for _ in range(200):
            moved, added = moved + added, added @ direct
        np.testing.assert_allclose(totals[i], moved / moved[i], atol=1e-10)
        assert set(np.flatnonzero(acts[i])) == reached_from(direct, i)


@pytest.mark.parametrize("arguments, said", [
    (("mediator", 2, 0), "--marks 2: --graph mediator needs at least 3"), (("chain", 1, 0), "--marks 1"),
    (("fork", 2, 1), "--hidden 1: a hidden cause needs at least 3 marks")])
def test_graphs_that_cannot_be_are_refused(arguments, said):
    with pytest.raises(InputError, match=said):
        graphs.check_graph(*arguments)


# Activities


def slow_own(bases, pwm):
    """What one motif adds, one base at a time: bound half of the time at 1 below an instance's mean score."""
    threshold = sum(p * math.log(p / q) for row in pwm for p, q in zip(row, BACKGROUND, strict=True)) - 1
    nowhere = 1.0
    for offset in range(len(bases) - len(pwm) + 1):
        score = sum(math.log(row[bases[offset + k]] / BACKGROUND[bases[offset + k]]) for k, row in enumerate(pwm))
        nowhere *= 1 - 1 / (1 + math.exp(threshold - score))
    return graph_activity.OWN * (1 - nowhere)


def small_case(kind="mediator", hidden=1, n=6, seed=3):
    graph, rng = drawn(kind, 4, hidden), np.random.default_rng(seed)
    pwms = graph_activity.motifs_of(graph.names)
    return graph, pwms, sequences.sample_sequences(n, pwms, rng, graph_activity.length_of(len(pwms)))


def test_own_inputs_agree_with_the_slow_version():
    graph, pwms, drawn_ones = small_case()
    slow = [[slow_own(bases, pwm) for pwm in pwms.values()] for bases in drawn_ones.bases]
    np.testing.assert_allclose(graph_activity.own_input(drawn_ones.bases, pwms), slow, rtol=1e-9)


def test_motifs_are_distinct_and_move_their_mark_both_ways():
    """An instance is bound more often than not, and of the mutants of instances some add and most take away."""
    graph, pwms, drawn_ones = small_case(n=500)
    words = [pwm.argmax(axis=1) for pwm in graph_activity.motifs_of(range(12)).values()]
    assert min((a != b).sum() for a, b in itertools.combinations(words, 2)) >= graph_activity.LEAST_DISTANCE
    own = graph_activity.own_input(drawn_ones.bases, pwms)
    held = drawn_ones.starts >= 0
    for i, pwm in enumerate(pwms.values()):
        assert own[held[:, i], i].mean() > 6 and own[~held[:, i], i].mean() < 1
        mutants = sequences.motif_mutants(drawn_ones.bases[held[:, i]], drawn_ones.starts[held[:, i], i], len(pwm))
        moved = graph_activity.own_input(mutants.reshape(-1, mutants.shape[-1]), {"this": pwm})
        moved = moved.reshape(held[:, i].sum(), -1) - own[held[:, i], i, None]
        assert (moved < -1).mean() > 0.2 and (moved > 1).mean() > 0.01


def test_packed_motifs_do_not_overlap_and_stand_everywhere():
    """Three motifs in so little space that there are 60 arrangements: all are drawn."""
    widths = np.array([8, 8, 5])
    starts = sequences.pack_starts(30_000, widths, np.random.default_rng(1), 23)
    for i, j in itertools.permutations(range(3), 2):
        assert ((starts[:, i] + widths[i] <= starts[:, j]) | (starts[:, j] + widths[j] <= starts[:, i])).all()
    assert starts.min() == 0 and (starts + widths).max() == 23
    patterns, counts = np.unique(starts, axis=0, return_counts=True)
    assert len(patterns) == 6 * 10


@pytest.mark.parametrize("kind", ["random", "cycle"])
def test_a_saturating_activity_is_the_fixed_point_and_a_linear_one_its_limit(kind, monkeypatch):
    graph = drawn(kind, 7, 1)
    own = np.random.default_rng(4).uniform(0, graph_activity.OWN, (50, 8))
    reached = graph_activity.activity(own, graph.direct, "saturating")
    top = graph_activity.CEILING
    np.testing.assert_allclose(reached, top * np.tanh((own + reached @ graph.direct) / top), atol=1e-9)
    monkeypatch.setattr(graph_activity, "CEILING", 1e6)
    np.testing.assert_allclose(graph_activity.activity(own, graph.direct, "saturating"),
                               graph_activity.activity(own, graph.direct, "linear"), atol=1e-6)


def test_labels_are_the_activities_of_marks_with_noise():
    graph, pwms, drawn_ones = small_case(n=1)
    bases = np.repeat(drawn_ones.bases, 8000, axis=0)
    labels = graph_activity.draw_labels(bases, pwms, graph, "saturating", np.random.default_rng(5))
    exact = graph_activity.activity(graph_activity.own_input(drawn_ones.bases, pwms), graph.direct, "saturating")[0]
    assert labels.shape == (8000, 4) and labels.dtype == np.float32
    np.testing.assert_allclose(labels.mean(axis=0), exact[:4], atol=0.03)
    np.testing.assert_allclose(labels.std(axis=0), graph_activity.NOISE, rtol=0.05)


# True effects


def slow_truth(bases, start, i, pwms, graph, labels):
    """Slopes of total, visible and direct changes of all marks, one mutant after the other."""
    own, reference = (np.array(v) for v in ([slow_own(bases, pwm) for pwm in pwms.values()], None))
    reference = graph_activity.activity(own, graph.direct, labels)
    sums, squares = np.zeros((3, len(own))), np.zeros(3)
    largest = 0.0
    for position, base in itertools.product(range(start, start + graph_activity.WIDTH), range(4)):
        if base == bases[position]:
            continue
        mutant = bases.copy()
        mutant[position] = base
        mutated = np.array([slow_own(mutant, pwm) for pwm in pwms.values()])
        alone = own.copy()
        alone[i] = mutated[i]
        total, visible = (graph_activity.activity(x, graph.direct, labels) - reference for x in (alone, mutated))
        held = reference.copy()
        held[i] += total[i]
        inputs = own + held @ graph.direct
        direct = (inputs if labels == "linear" else graph_activity.saturate(inputs)) - reference
        for k, (x, y) in enumerate(((total[i], total), (visible[i], visible), (total[i], direct))):
            sums[k] += x * y
            squares[k] += x * x
        largest = max(largest, abs(total[i]))
    return sums / squares[:, None], largest


@pytest.mark.parametrize("kind", ["mediator", "cycle"])
@pytest.mark.parametrize("labels", LABELS)
def test_true_effects_agree_with_the_slow_version(kind, labels):
    graph, pwms, drawn_ones = small_case(kind)
    table = graph_truth.local_truth(drawn_ones, pwms, graph, labels).set_index(["locus", "exposure", "outcome"])
    expected = 0
    for n, i in itertools.product(range(6), range(4)):
        if drawn_ones.starts[n, i] < 0:
            continue
        slopes, largest = slow_truth(drawn_ones.bases[n], drawn_ones.starts[n, i], i, pwms, graph, labels)
        for j in set(range(4)) - {i} if largest >= 1 else ():
            row = table.loc[(f"locus{n + 1:04d}", "ABCD"[i], "ABCD"[j])]
            np.testing.assert_allclose(row.to_numpy(float), slopes[:, j], rtol=1e-7, atol=1e-9)
            expected += 1
    assert expected == len(table) > 15


def test_true_effects_of_the_linear_model_are_the_graphs():
    graph, pwms, drawn_ones = small_case("cycle", n=60)
    local = graph_truth.local_truth(drawn_ones, pwms, graph, "linear")
    table = graph_truth.global_truth(local, graph)
    assert len(table) == 12 and (table["n_loci"] > 10).all() and table["hidden"].sum() == 2
    np.testing.assert_allclose(table["true_direct"], table["weight"], atol=1e-12)
    np.testing.assert_allclose(table["true_total"], table["weight_total"], atol=1e-12)
    assert table["edge"].sum() == 4 and table["acts"].all()
    saturated = graph_truth.global_truth(graph_truth.local_truth(drawn_ones, pwms, graph, "saturating"), graph)
    edge = table["edge"]
    ratio = saturated["true_direct"][edge] / table["weight"][edge]
    assert ((ratio > 0.4) & (ratio < 0.95)).all() and (saturated["true_direct"][~edge] == 0).all()


def test_a_mark_without_a_motif_has_no_true_effect():
    graph, pwms, drawn_ones = small_case(n=20)
    drawn_ones.starts[:, 1] = -1
    table = graph_truth.global_truth(graph_truth.local_truth(drawn_ones, pwms, graph, "linear"), graph)
    of_b = table["exposure"] == "B"
    assert (table.loc[of_b, "n_loci"] == 0).all() and table.loc[of_b, "true_direct"].isna().all()
    assert table.loc[~of_b, "true_total"].notna().all()


# Scores


def direct_table():
    """Truth A -> B 0.5, B -> A 0, A -> C and C -> A unknown to the estimate, B -> C -0.4, C -> B 0."""
    acts = [True, False, True, False, True, False]
    truth = pd.DataFrame({"exposure": list("ABACBC"), "outcome": list("BACACB"), "edge": acts, "acts": acts,
                          "true_direct": [0.5, 0, 0.3, 0, -0.4, 0], "true_total": [0.5, 0, 0.1, 0, -0.4, 0]})
    direct = pd.DataFrame({"exposure": list("ABBC"), "outcome": list("BACB"), "direct": [0.6, 0.1, 0.4, 0.15],
                           "se": 0.1, "ci_low": [0.4, -0.1, 0.2, 0.1], "ci_high": [0.8, 0.3, 0.6, 0.2],
                           "pvalue_min_effect": [0.001, 0.2, 0.001, 0.01], "qvalue_min_effect": [0.01, 0.3, 0.01, 0.02],
                           "posterior_mean": [0.5, 0.0, 0.4, 0.0], "total_implied": [0.6, 0.1, 0.4, 0.0],
                           "total_ci_low": [0.55, -0.1, 0.2, 0.1],
                           "total_ci_high": [0.8, 0.3, 0.6, 0.2]})
    return direct, truth


def test_scores_of_edges_by_hand():
    edges = graph_scores.score_edges(*direct_table())
    assert edges["called"].tolist() == [True, False, False, False, True, True]
    np.testing.assert_array_equal(edges["in_ci"], [1, 1, np.nan, np.nan, 0, 0])
    table = graph_scores.summarise_edges(edges.assign(scenario="linear", round=1))
    row = table.iloc[0]
    assert (row["rounds"], row["edges"], row["zeros"]) == (1, 3, 3)
    assert row["precision"] == pytest.approx(2 / 3) and row["recall"] == pytest.approx(2 / 3) and row["sign"] == 0.5
    assert row["rmse"] == pytest.approx(math.sqrt((0.1**2 + 0.1**2 + 0.8**2 + 0.15**2) / 4))
    assert row["rmse_posterior"] == pytest.approx(math.sqrt((0 + 0 + 0.8**2 + 0) / 4))
    assert (row["coverage_edges"], row["coverage_zeros"], row["untold"]) == (0.5, 0.5, pytest.approx(1 / 3))
    assert (row["coverage_totals"], row["coverage_total_zeros"]) == (0.0, 0.5)


def test_nothing_called_is_no_precision():
    direct, truth = direct_table()
    row = graph_scores.summarise_edges(graph_scores.score_edges(direct.assign(qvalue_min_effect=1.0), truth).assign(
        scenario="linear", round=1)).iloc[0]
    assert np.isnan(row["precision"]) and row["recall"] == 0 and np.isnan(row["sign"])


def test_designs_are_read_back():
    for design in (GraphDesign("cycle", 5, 1, seed=3), Design(seed=2)):
        again = read_design(json.loads(json.dumps(design.as_json())))
        assert again.as_json() == design.as_json() and type(again) is type(design)


def test_the_options_name_the_graphs_that_there_are():
    assert GRAPHS == tuple(graphs.GRAPHS)


def test_the_figure_of_a_graph_has_a_point_for_each_pair_with_an_estimate():
    direct, truth = direct_table()
    edges = graph_scores.score_edges(direct, truth)
    left, right = graph_figure(pd.concat([edges.assign(scenario="linear"), edges.assign(scenario="saturating")])).axes
    assert (left.get_title(), right.get_title()) == ("linear", "saturating")
    zeros, true_ones = (container.lines[0].get_xydata().tolist() for container in left.containers)
    assert zeros == [[0.0, 0.1], [0.0, 0.15]] and true_ones == [[0.5, 0.6], [-0.4, 0.4]]
    bars = [segment.tolist() for segment in left.containers[1].lines[2][0].get_segments()]
    np.testing.assert_allclose(bars, [[[0.5, 0.4], [0.5, 0.8]], [[-0.4, 0.2], [-0.4, 0.6]]])
