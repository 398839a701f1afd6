"""Profiles with log counts: which arrays make a pair, the default mark, totals, windows, against loops; and errors."""

import itertools
import math

import numpy as np
import pytest
from kipoi.specs import ModelSchema

from kipoi_deepmr.models.host.columns import arrays_of
from kipoi_deepmr.models.host.errors import ModelError
from kipoi_deepmr.models.host.marks import Marks, find_marks

N, LENGTH = 5, 60
rng = np.random.default_rng(0)


def array(**more):
    return {"shape": "(None,)", "doc": "", **more}


def marks_of(predicted, targets=None, **options):
    """Marks, which read the same after a way through JSON, and what they read."""
    targets = ModelSchema.from_config({"inputs": {"shape": "(9, 4)", "doc": ""}, "targets": targets or array()}).targets
    marks = find_marks(targets, predicted, N, **options)
    again = Marks.from_json(marks.to_json())
    np.testing.assert_array_equal(again.read(predicted, N), marks.read(predicted, N))
    assert again.names == marks.names and again.description == marks.description
    return marks, marks.read(predicted, N)


def logits(*shape):
    return rng.normal(size=(N, *shape)).astype(np.float32)


P1, P2, P3, C1, C2, C3 = (logits(1, LENGTH), logits(2, LENGTH), logits(3, LENGTH), logits(1), logits(2), logits(3))
NAMES = ["CTCF", "SPI1", "GATA1"]
COUNTS = {name: C3[:, k:k + 1] for k, name in enumerate(NAMES)}


@pytest.mark.parametrize("predicted, targets, names, expected", [
    ((P1, C1), None, ["mark_0"], C1),  # bpnet-lite, one strand
    ((P2, C1), None, ["mark_0"], C1),  # bpnet-lite with two strands, ProCapNet
    ([P1[:, 0], C1], None, ["mark_0"], C1),  # ChromBPNet
    ([P1[:, 0], C1[:, 0]], None, ["mark_0"], C1),
    ((P2, C1), array(column_labels=["CTCF"]), ["CTCF"], C1),
    ((P2, C1), [array(name="profile", column_labels=["+", "-"]), array(name="counts")], ["counts"], C1),
    ({"logits_profile_predictions": P1[:, 0], "logcount_predictions": C1}, None, ["logcount_predictions"], C1),
    ({"profile": P2, "logcounts": C1}, {"profile": array(), "logcounts": array(column_labels=["CTCF"])}, ["CTCF"], C1),
    ((C1, P2), None, ["mark_0"], C1),
    ((P3, C3), None, ["mark_0", "mark_1", "mark_2"], C3),  # channel-first tasks
    ((P3.swapaxes(1, 2), C3), array(column_labels=NAMES), NAMES, C3),  # channel-last
    ((P2.swapaxes(1, 2), C2), array(column_labels=["a", "b"]), ["a", "b"], C2),
    ((logits(3, 2, LENGTH), C3), array(column_labels=NAMES), NAMES, C3),  # tasks, strands, positions
    ((logits(LENGTH, 3, 2), C3), None, ["mark_0", "mark_1", "mark_2"], C3),
    ([logits(LENGTH, k) for k in (1, 2, 4)] + list(COUNTS.values()), None, ["mark_0", "mark_1", "mark_2"],
     C3),  # BPReveal
    ({**{f"profile_{name}": logits(LENGTH, 2) for name in NAMES},
      **{f"logcounts_{name}": COUNTS[name] for name in reversed(NAMES)}}, None, NAMES, C3),
    ({name: (logits(LENGTH, 2), COUNTS[name]) for name in NAMES}, None, NAMES, C3),
    ({name: {"profile": logits(LENGTH, 2), "counts": np.repeat(COUNTS[name], 2, 1)} for name in NAMES}, None, NAMES,
     C3),  # bpnet's own heads: counts of both strands
])
def test_the_log_counts_are_the_marks(predicted, targets, names, expected):
    for summary in (None, "counts"):
        marks, read = marks_of(predicted, targets, summary=summary)
        assert list(marks.names) == names and "log counts, without the profile" in marks.description
        np.testing.assert_array_equal(read, expected)


def slow(profile, counts, summary, start=0, end=LENGTH):
    """A summary of softmax(profile) exp(counts), one sequence; profile (strands, positions), which counts go over."""
    top = max(float(x) for strand in profile for x in strand)
    powers = [[math.exp(float(x) - top) for x in strand] for strand in profile]
    total = sum(map(sum, powers))
    expected = [power / total * math.exp(float(counts)) for strand in powers for power in strand[start:end]]
    total = sum(expected)
    return {"total": total, "sum": total, "log_sum": math.log(total), "max": max(expected),
            "mean": total / len(expected), "profile_mean": sum(y * y for y in expected) / total}[summary]


SUMMARIES = ("total", "sum", "log_sum", "max", "mean", "profile_mean")


@pytest.mark.parametrize("summary, window", list(itertools.product(SUMMARIES, (None, (7, 20)))))
def test_summaries_of_expected_counts(summary, window):
    start, end = window or (0, LENGTH)
    together = [[slow(P2[i], C1[i, 0], summary, start, end)] for i in range(N)]
    apart = [[slow(P3[i, k:k + 1], C3[i, k], summary, start, end) for k in range(3)] for i in range(N)]
    strands = [[np.mean([slow(P2[i, s:s + 1], C2[i, s], summary, start, end) for s in (0, 1)])] for i in range(N)]
    for predicted, expected in (((P2, C1), together), ((P2.swapaxes(1, 2), C1), together), ((P3, C3), apart),
                                ((P3.swapaxes(1, 2), C3), apart), ({"a/profile": P2, "a/counts": C2}, strands)):
        marks, read = marks_of(predicted, summary=summary, window=window)
        np.testing.assert_allclose(read, expected, rtol=1e-6)
        assert "of softmax(profile) x exp(counts)" in marks.description
    if window:
        np.testing.assert_allclose(marks_of((P2, C1), window=window)[1],
                                   marks_of((P2, C1), window=window, summary="log_sum")[1])


def test_the_total_of_all_positions_is_what_the_counts_say():
    np.testing.assert_allclose(marks_of((P3, C3), summary="total")[1], np.exp(C3), rtol=1e-5)
    np.testing.assert_allclose(marks_of((P2, C1), summary="log_sum")[1], C1, rtol=1e-5, atol=1e-6)


def test_a_profile_that_is_softmaxed_already():
    shares = np.exp(P2) / np.exp(P2).sum((1, 2), keepdims=True)
    read = marks_of({"profile": shares, "logcounts": C1}, summary="total", window=(3, 9))[1]
    np.testing.assert_allclose(read, marks_of((P2, C1), summary="total", window=(3, 9))[1], rtol=1e-5)


@pytest.mark.parametrize("summary, window, is_joint", list(itertools.product(
    SUMMARIES, (None, (7, 20)), (True, False))))
def test_slopes_of_expected_counts(summary, window, is_joint):
    """Against differences."""
    predicted = (P2.astype(float), C1.astype(float)) if is_joint else (P3.astype(float), C3.astype(float))
    marks = find_marks(None, predicted, N, summary=summary, window=window)
    for mark in range(len(marks.names)):
        slopes = marks.slopes(predicted, N, mark)
        for number, place in ((0, (0, 8)), (0, (1, 30)), (0, (1, 10)), (1, (0,)), (1, (len(marks.names) - 1,))):
            moved = [[one.copy() for one in predicted] for _ in range(2)]
            for sign, each in zip((1, -1), moved, strict=True):
                each[number][(slice(None), *place)] += sign * 1e-5
            by_differences = (marks.values(moved[0], N) - marks.values(moved[1], N))[:, mark] / 2e-5
            np.testing.assert_allclose(slopes[number][(slice(None), *place)], by_differences, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("predicted", [
    {"prop": C1, "sites": np.abs(logits(20))}, {"x": logits(3), "y": logits(3)},
    {"x": C1, "tracks": np.abs(logits(LENGTH, 12))},  # one number beside many tracks
])
def test_what_is_no_pair(predicted):
    assert "log counts" not in find_marks(None, predicted, N).description


def test_shares_beside_a_number_that_is_no_count():
    """APARENT: a proportion, and the probability of a cut at each position."""
    cuts = np.exp(logits(LENGTH)) / np.exp(logits(LENGTH)).sum(1, keepdims=True)
    cuts /= cuts.sum(1, keepdims=True)
    with pytest.raises(ModelError, match=r"of arrays \(1,\), \(60,\) would make 61 marks, 60 of them without a name"):
        marks_of({"prop": C1, "cuts": cuts})
    marks, read = marks_of({"prop": C1, "cuts": cuts}, window=(3, 5))
    assert marks.names == ("prop", "cuts")
    np.testing.assert_allclose(read[:, 1], cuts[:, 3:5].sum(1), rtol=1e-6)


@pytest.mark.parametrize("options", [
    {"marks": ["*"]}, {"marks": ["3", "7"]}, {"names": [f"n{k}" for k in range(LENGTH)]},
    {"groups": {"a": ["1", "2"]}}, {"summary": "sum"}, {"window": (1, 2), "summary": "mean"}])
def test_many_numbers_without_a_name_need_an_option(options):
    with pytest.raises(ModelError, match=r"output \(60,\) would make 60 marks.*--mark_names.*--marks.*--mark_summary"):
        marks_of(logits(LENGTH))
    marks_of(logits(LENGTH), **options)


def test_summaries_that_only_pairs_have():
    with pytest.raises(ModelError, match=r"--mark_summary total is for models .* this one's output is \(60, 3\)"):
        marks_of(np.abs(logits(LENGTH, 3)), summary="total")


@pytest.mark.parametrize("shape, layout, expected", [
    ((8, 5), "positions,marks", lambda x: x.sum(1)), ((8, 5), "marks,positions", lambda x: x.sum(2)),
    ((5, 5), "marks,positions", lambda x: x.sum(2)), ((1, 9), "positions", lambda x: x.sum(2)),
    ((3, 2, 9), "marks,strands,positions", lambda x: x.sum(3).mean(2)),
    ((9, 2, 3), "positions,strands,marks", lambda x: x.sum(1).mean(1))])
def test_axes_that_the_user_names(shape, layout, expected):
    values = np.abs(logits(*shape))
    np.testing.assert_allclose(marks_of(values, layout=layout)[1], expected(values), rtol=1e-6)


@pytest.mark.parametrize("values, options, said", [
    (np.abs(logits(8, 5)), {}, r"output has shape \(8, 5\) .* not clear which axis holds marks: give --mark_layout"),
    (np.abs(logits(64, 900)), {"marks": ["3"]}, r"output has shape \(64, 900\) .* not clear which axis holds marks"),
    (np.abs(logits(3, 2, 9)), {}, r"shape \(3, 2, 9\) .*--mark_layout, such as marks,strands,positions"),
    (C3, {"layout": "marks"}, "--mark_layout marks: name the axes"),
    (C3, {"layout": "positions,letters"}, "--mark_layout positions,letters: name the axes")])
def test_axes_that_are_not_clear(values, options, said):
    with pytest.raises(ModelError, match=said):
        marks_of(values, **options)


def test_the_shorter_axis_holds_the_marks():
    values = np.abs(P3)
    for each in (values, values.swapaxes(1, 2)):
        np.testing.assert_allclose(marks_of(each)[1], values.sum(2), rtol=1e-6)


SITES = {"shape": "(3, 60)", "doc": "", "column_labels": ["neither", "acceptor", "donor"]}


def test_a_window_for_each_mark():
    values = np.abs(P3)
    windows = {"acceptor": "10:20", "late": "acceptor@-5:+7", "donor": "0:60", "last": "2@+29:30"}
    marks, read = marks_of(values, SITES, windows=windows)
    assert marks.names == tuple(windows) and "late: sum over positions 25 to 37;" in marks.description
    expected = [values[:, 1, 10:20], values[:, 1, 25:37], values[:, 2], values[:, 2, 59:60]]
    np.testing.assert_allclose(read, np.stack([one.sum(1) for one in expected], 1), rtol=1e-6)
    chosen, read_chosen = marks_of(values, SITES, windows=windows, marks=["last", "acceptor"], summary="max")
    assert chosen.names == ("last", "acceptor")
    np.testing.assert_allclose(read_chosen, np.stack([expected[3].max(1), expected[0].max(1)], 1), rtol=1e-6)
    for mark in range(2):
        changed = values.copy()
        changed[:, [0, 2][mark]] += 1  # of another track
        assert np.array_equal(chosen.read(changed, N)[:, 1 - mark], read_chosen[:, 1 - mark]) == (mark == 0)


def test_two_windows_of_one_track():
    windows = {"left": "0:30", "right": "+0:+30"}
    _, read = marks_of(np.abs(P1), array(), windows=windows, layout="positions")
    values = np.abs(P1)[:, 0]
    np.testing.assert_allclose(read, np.stack([values[:, :30].sum(1), values[:, 30:].sum(1)], 1), rtol=1e-6)
    _, read = marks_of((P2, C1), windows=windows)
    np.testing.assert_allclose(np.exp(read).sum(1), np.exp(C1[:, 0]), rtol=1e-5)


@pytest.mark.parametrize("windows, said", [
    ({"a": "0:5"}, 'windows a: the model has no output "a" among 3: neither, acceptor, donor; say which as a=OUTPUT'),
    ({"donor": "50:61"}, "--mark_windows donor 50:61: the output has positions 0 to 60"),
    ({"donor": "-31:0"}, "--mark_windows donor -1:30: the output has positions"),
    ({"donor": "5"}, "5 is not of the form"), ({"x": "3@0:5"}, 'no output "3"')])
def test_windows_that_do_not_fit(windows, said):
    with pytest.raises(ModelError, match=said):
        marks_of(np.abs(P3), SITES, windows=windows)


def test_windows_exclude_a_window():
    with pytest.raises(ModelError, match="--mark_window and --mark_windows exclude each other"):
        marks_of(np.abs(P3), SITES, windows={"donor": "1:5"}, window=(1, 2))
    with pytest.raises(ModelError, match="--mark_windows mark_0: the output of mark_0 has no positions"):
        marks_of(C3, array(column_labels=["mark_0", "b", "c"]), windows={"mark_0": "0:1"})


def test_chosen_marks_are_all_that_is_read():
    """What is left out may be outside the domain of a scale or summary, or make notes."""
    values = np.abs(P3)
    values[:, 0] = 0
    marks, read = marks_of(values, SITES, marks=["donor", "acceptor"], summary="log_sum")
    assert marks.names == ("donor", "acceptor") and not marks.notes
    np.testing.assert_allclose(read, np.log(values[:, [2, 1]].sum(2)), rtol=1e-5)
    with pytest.raises(ModelError, match="that of mark neither is 0"):
        marks_of(values, SITES, summary="log_sum")
    marks, read = marks_of(C3, array(column_labels=NAMES), marks=["2", "CTCF"])
    assert marks.names == ("GATA1", "CTCF") and read.dtype == np.float32
    np.testing.assert_array_equal(read, C3[:, [2, 0]])
    marks, read = marks_of(C3, array(column_labels=NAMES), groups={"x": ["CTCF", "SPI1"], "y": ["GATA1"]}, marks=["y"])
    assert marks.names == ("y",)
    np.testing.assert_array_equal(read, C3[:, [2]])
    with pytest.raises(ModelError, match='--marks: the model has no mark "Z"; there are: CTCF, SPI1, GATA1'):
        marks_of(C3, array(column_labels=NAMES), marks=["Z"])


def test_marks_of_several_arrays_in_any_order():
    predicted = {"a": C1, "b": C3}
    marks, read = marks_of(predicted, marks=["b/mark_2", "a", "b/mark_0"])
    np.testing.assert_array_equal(read, np.stack([C3[:, 2], C1[:, 0], C3[:, 0]], 1))
    slopes = marks.slopes(predicted, N, 0)
    assert slopes[1][0].tolist() == [0, 0, 1] and not slopes[0].any()
    assert [one.shape for _, one, _, _ in arrays_of(predicted, N)] == [(N, 1), (N, 3)]
