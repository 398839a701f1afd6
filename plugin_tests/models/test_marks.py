"""A model's output as marks: every form, summary and scale against formulas written out, and what is said of them."""

import math

import numpy as np
import pytest
from kipoi.specs import ModelSchema

from kipoi_deepmr.models.host.errors import ModelError
from kipoi_deepmr.models.host.marks import find_marks

N = 6
rng = np.random.default_rng(0)


def schema(targets):
    """What kipoi makes of a model.yaml's targets."""
    return ModelSchema.from_config({"inputs": {"shape": "(9, 4)", "doc": ""}, "targets": targets}).targets


def array(shape, **more):
    return {"shape": str(shape), "doc": "", **more}


def marks_of(targets, predicted, **options):
    """Marks, and what they read, which is always of one form."""
    marks = find_marks(schema(targets), predicted, N, **options)
    read = marks.read(predicted, N)
    assert read.dtype in (np.float32, np.float64) and read.flags.c_contiguous and read.shape == (N, len(marks.names))
    return marks, read


VALUES = rng.normal(size=(N, 3))
COLUMNS = [VALUES[:, i:i + 1] for i in range(3)]
LABELS = ["H3K4me1", "H3K4me3", "DNase"]


@pytest.mark.parametrize("targets, predicted, names", [
    (array("(3,)"), VALUES, ("mark_0", "mark_1", "mark_2")),
    (array("(3,)", column_labels=LABELS), VALUES, tuple(LABELS)),
    (array("(None,)"), VALUES.astype(np.float32), ("mark_0", "mark_1", "mark_2")),
    (array("(1, 3)"), VALUES[:, None], ("mark_0", "mark_1", "mark_2")),
    (array("(3, 1)", column_labels=LABELS), VALUES[:, :, None], tuple(LABELS)),
    (array("(1, 1, 3)"), VALUES[:, None, None], ("mark_0", "mark_1", "mark_2")),
    ([array("(1,)", name=f"cpg/{k}") for k in "abc"], COLUMNS, ("cpg/a", "cpg/b", "cpg/c")),  # DeepCpG
    ([array("(1,)")] * 3, COLUMNS, ("mark_0", "mark_1", "mark_2")),
    ([array("(1,)")] * 3, tuple(c[:, 0] for c in COLUMNS), ("mark_0", "mark_1", "mark_2")),
    (array("(3,)", column_labels=LABELS), COLUMNS, tuple(LABELS)),
    ([array("(3,)")], [VALUES], ("mark_0", "mark_1", "mark_2")),
    ({k: array("(1,)") for k in "xyz"}, dict(zip("xyz", COLUMNS, strict=True)), ("x", "y", "z")),
    ({k: array("(1,)") for k in "xyz"}, COLUMNS, ("x", "y", "z")),  # a Keras model with several outputs
    ({"preds": array("(3,)")}, {"preds": VALUES}, ("mark_0", "mark_1", "mark_2")),
    ({"a": {"b": array("(1,)"), "c": array("(2,)")}}, {"a": {"b": COLUMNS[0], "c": VALUES[:, 1:]}},
     ("a/b", "a/c/mark_0", "a/c/mark_1")),
    ({"a": array("(1,)"), "b": array("(2,)", column_labels=["u", "v"])}, {"a": COLUMNS[0], "b": VALUES[:, 1:]},
     ("a", "b/u", "b/v")),
])
def test_forms_of_one_number_a_mark(targets, predicted, names):
    marks, read = marks_of(targets, predicted)
    assert marks.names == names and marks.notes == []
    np.testing.assert_array_equal(read, VALUES.astype(read.dtype))


@pytest.mark.parametrize("predicted", [VALUES[:, 0], VALUES[:, :1], list(VALUES[:, 0])])
def test_one_number_a_sequence(predicted):
    marks, read = marks_of(array("(1,)"), predicted)
    assert marks.names == ("mark_0",)
    np.testing.assert_array_equal(read[:, 0], VALUES[:, 0])


PROFILES = {name: rng.gamma(2, size=(N, 50, 2)).astype(np.float32) for name in ("Oct4", "Sox2", "Nanog")}
PROFILE_TARGETS = {name: array("(50, 2)") for name in PROFILES}


def slow_summary(values, summary):
    """One number from a list of positions, by loops."""
    values = [float(value) for value in values]
    total = math.fsum(values)
    return {"sum": total, "mean": total / len(values), "max": max(values),
            "log_sum": math.log(total), "profile_mean": math.fsum(v * v for v in values) / total}[summary]


@pytest.mark.parametrize("window", [None, (10, 13), (49, 50), [0, 50]])
@pytest.mark.parametrize("summary", [None, "sum", "mean", "max", "log_sum", "profile_mean"])
def test_profiles_of_bpnet(summary, window):
    """One mark a dict entry, the mean over strands of each strand's summary; by default the paper's log counts."""
    marks, read = marks_of(PROFILE_TARGETS, PROFILES, summary=summary, window=window)
    start, end = window or (0, 50)
    expected = [[np.mean([slow_summary(profile[i, start:end, strand], summary or "log_sum") for strand in (0, 1)])
                 for profile in PROFILES.values()] for i in range(N)]
    np.testing.assert_allclose(read, expected, rtol=2e-7)
    assert marks.names == tuple(PROFILES) and "averaged over strands" in marks.description
    assert (f"positions {start} to {end}" in marks.description) == (window is not None and summary != "profile_mean")


@pytest.mark.parametrize("window", [None, (2, 7)])
@pytest.mark.parametrize("summary", [None, "max", "log_sum"])
@pytest.mark.parametrize("wrapped", [lambda x: x, lambda x: [x], lambda x: {"tracks": x}])
def test_bins_of_basenji(summary, window, wrapped):
    """(n, positions, T) has T marks, by default their sums."""
    bins = rng.gamma(2, size=(N, 8, 5))
    marks, read = marks_of(array("(8, 5)"), wrapped(bins), summary=summary, window=window,
                           layout="positions,marks")
    start, end = window or (0, 8)
    expected = [[slow_summary(bins[i, start:end, t], summary or "sum") for t in range(5)] for i in range(N)]
    np.testing.assert_allclose(read, expected, rtol=2e-7)
    assert marks.names == tuple(f"mark_{t}" for t in range(5)) and "strands" not in marks.description


def test_several_binned_outputs_keep_their_tracks():
    """Many tracks under one key (human, mouse) are marks, not strands to be averaged."""
    bins = {"human": rng.random((N, 8, 4)), "mouse": rng.random((N, 8, 3))}
    marks, read = marks_of({"human": array("(8, 4)"), "mouse": array("(8, 3)")}, bins,
                           layout="positions,marks")
    np.testing.assert_allclose(read, np.concatenate([b.sum(1) for b in bins.values()], 1), rtol=1e-6)
    assert marks.names[3:5] == ("human/mark_3", "mouse/mark_0")


def test_labels_tell_which_axis_holds_marks():
    bins = rng.random((N, 3, 8))
    for options in ({"targets": array("(3, 8)", column_labels=LABELS)},
                    {"targets": array("(3, 8)"), "names": LABELS}):
        marks, read = marks_of(predicted=bins, **options)
        np.testing.assert_allclose(read, bins.sum(2), rtol=1e-6)
        assert marks.names == tuple(LABELS)


def test_positions_or_marks():
    """(n, P) holds P marks, unless a summary or window is asked for and no labels name them."""
    values = rng.random((N, 20))
    assert len(marks_of(array("(20,)"), values)[0].names) == 20
    marks, read = marks_of(array("(20,)"), values, window=(3, 5))
    np.testing.assert_allclose(read[:, 0], values[:, 3:5].sum(1), rtol=1e-6)
    assert marks.names == ("mark_0",) and marks.description.endswith("1 mark; sum over positions 3 to 5")
    np.testing.assert_allclose(marks_of(array("(20,)"), values, summary="max")[1][:, 0], values.max(1), rtol=1e-6)
    with pytest.raises(ModelError, match=r"--mark_summary max: the model's output \(3,\) has no positions"):
        marks_of(array("(3,)", column_labels=LABELS), VALUES, summary="max")
    with pytest.raises(ModelError, match="--mark_window: the model's output .* has no positions"):
        marks_of(array("(1,)"), VALUES[:, :1], window=(0, 1))


def test_scalars_beside_positions():
    """APARENT: one proportion, and a value for each position."""
    both = {"prop": VALUES[:, :1], "sites": rng.random((N, 20))}
    targets = {"prop": array("(1,)"), "sites": array("(20,)")}
    assert len(marks_of(targets, both)[0].names) == 21
    marks, read = marks_of(targets, both, summary="sum", window=(5, 9))
    assert marks.names == ("prop", "sites")
    np.testing.assert_allclose(read, np.stack([VALUES[:, 0], both["sites"][:, 5:9].sum(1)], 1), rtol=1e-6)


@pytest.mark.parametrize("window", [(0, 51), (-1, 3), (5, 5), (7, 3), (50, 51)])
def test_windows_outside_the_output(window):
    with pytest.raises(ModelError, match=f"--mark_window {window[0]}:{window[1]}: the output has positions 0 to 50"):
        marks_of(PROFILE_TARGETS, PROFILES, window=window)


def test_log_sum_keeps_its_digits():
    """Effects are small differences of large sums: adding up float32 in float32 loses them."""
    profile = rng.gamma(2, size=(N, 100_000, 2)).astype(np.float32)
    _, read = marks_of({"a": array("(100000, 2)")}, {"a": profile})
    expected = np.log(profile.sum(1, dtype=np.float64)).mean(1)
    np.testing.assert_allclose(read[:, 0], expected, atol=1e-6)
    assert abs(np.log(profile.sum(1)).mean(1) - expected).max() > 2e-6


def test_log_sum_needs_a_positive_sum():
    zero = dict(PROFILES, Sox2=PROFILES["Sox2"].copy())
    zero["Sox2"][3, :, 1] = 0
    with pytest.raises(ModelError, match="--mark_summary log_sum: .* positive, but that of mark Sox2 is 0"):
        marks_of(PROFILE_TARGETS, zero)
    bins = rng.random((N, 8, 3))
    bins[2, :, 1] *= -1
    with pytest.raises(ModelError, match="--mark_summary profile_mean: .* positive, but that of mark H3K4me3 is -"):
        marks_of(array("(8, 3)"), bins, summary="profile_mean", names=LABELS)


def test_numbers_below_zero_are_not_summed_unless_asked():
    """The sum of a profile's logits means nothing."""
    negative = {name: profile - 5 for name, profile in PROFILES.items()}
    with pytest.raises(ModelError, match=r'output "Oct4" \(50, 2\) \(positions, strands\) holds numbers below 0'):
        marks_of(PROFILE_TARGETS, negative)
    with pytest.raises(ModelError, match=r"output \(2, 60\) \(marks, positions\) .* --mark_summary sum, mean or max"):
        marks_of(array("(2, 60)"), rng.normal(size=(N, 2, 60)), window=(3, 9))
    marks, read = marks_of(PROFILE_TARGETS, negative, summary="sum")
    assert "; sum over positions, averaged" in marks.description
    np.testing.assert_allclose(read[:, 0], negative["Oct4"].sum(1).mean(1), rtol=1e-5)


UNIT = rng.random((N, 3))


@pytest.mark.parametrize("scale, formula", [
    ("identity", lambda x: x), ("logit", lambda x: math.log(x / (1 - x))), ("log", math.log), ("log1p", math.log1p),
    ("anscombe", lambda x: 2 * math.sqrt(x + 3 / 8))])
def test_scales(scale, formula):
    marks, read = marks_of(array("(3,)"), UNIT, scale=scale)
    np.testing.assert_allclose(read, [[formula(x) for x in row] for row in UNIT], rtol=2e-7)
    assert ("scale: " in marks.description) == (scale != "identity")


def test_scale_comes_after_the_summary_and_before_groups():
    _, read = marks_of(PROFILE_TARGETS, PROFILES, summary="sum", scale="log", groups={"g": ["Oct4", "Sox2"]})
    expected = np.mean([np.log(PROFILES[name].sum(1, dtype=float).mean(-1)) for name in ("Oct4", "Sox2")], 0)
    np.testing.assert_allclose(read[:, 0], expected, rtol=1e-6)


def test_logit_of_certainties_is_clipped_and_said():
    marks, read = marks_of(array("(1,)"), np.array([0, 1, 0.5, 1e-9, 1 - 1e-9, 0.2])[:, None], scale="logit")
    bound = math.log(1e-6 / (1 - 1e-6))
    np.testing.assert_allclose(read[:, 0], [bound, -bound, 0, bound, -bound, math.log(0.25)], atol=1e-6)
    assert "clipped to [1e-06, 1 - 1e-06]" in marks.description


@pytest.mark.parametrize("scale, value, said", [
    ("log", -0.5, "above 0"), ("log", 0.0, "above 0"), ("log1p", -1.0, "above -1"),
    ("logit", 1.25, "at least 0 and at most 1"), ("logit", -0.25, "at least 0"), ("anscombe", -0.5, "at least -0.375")])
def test_values_outside_the_domain_of_a_scale(scale, value, said):
    values = UNIT.copy()
    values[4, 2] = value
    with pytest.raises(ModelError, match=f"--scale {scale}: mark DNase is {value:g}, but it must be {said}"):
        marks_of(array("(3,)", column_labels=LABELS), values, scale=scale)


REPLICATES = [f"{cell}_{construct}_rep{k}" for cell in ("K562", "HepG2") for construct in ("minP", "SV40p")
              for k in (1, 2)]


@pytest.mark.parametrize("texts, columns", [
    (["K562_*"], [0, 1, 2, 3]), (["*_rep1"], [0, 2, 4, 6]), (["0", 7], [0, 7]), (["HepG2_minP_rep2"], [5]),
    (["*_minP_*", "1"], [0, 1, 4, 5])])
def test_groups(texts, columns):
    values = rng.normal(size=(N, 8))
    marks, read = marks_of(array("(8,)", column_labels=REPLICATES), values, groups={"g": texts, "all": ["*"]})
    assert marks.names == ("g", "all") and f"g of {len(columns)}, all of 8" in marks.description
    np.testing.assert_allclose(read, np.stack([values[:, columns].mean(1), values.mean(1)], 1), atol=1e-6)


def test_a_label_that_is_a_number_goes_before_the_number():
    _, read = marks_of(array("(3,)", column_labels=["2", "1", "0"]), VALUES, groups={"g": ["2"]})
    np.testing.assert_array_equal(read[:, 0], VALUES[:, 0])


@pytest.mark.parametrize("text", ["A549_*", "8", "k562_*", "-1"])
def test_groups_of_absent_columns(text):
    with pytest.raises(ModelError, match=r"--mark_groups g: no column .* among 8: K562_minP_rep1"):
        marks_of(array("(8,)", column_labels=REPLICATES), rng.normal(size=(N, 8)), groups={"g": [text]})


def test_names_given_by_the_user():
    assert marks_of(array("(3,)", column_labels=LABELS), VALUES, names=["a", "b", "c"])[0].names == ("a", "b", "c")
    assert marks_of(PROFILE_TARGETS, PROFILES, names=["a", "b", "c"])[0].names == ("a", "b", "c")
    with pytest.raises(ModelError, match=r"--mark_names: 2 names for 3 marks.* output \(3,\) has; --mark_layout"):
        marks_of(array("(3,)"), VALUES, names=["a", "b"])
    with pytest.raises(ModelError, match="--mark_names: 3 names for 3 marks.*; a is there twice"):
        marks_of(array("(3,)"), VALUES, names=["a", "b", "a"])


@pytest.mark.parametrize("schema, values, own", [
    (array("(3,)", column_labels=LABELS), VALUES, LABELS),
    (PROFILE_TARGETS, PROFILES, list(marks_of(PROFILE_TARGETS, PROFILES)[0].names))])
def test_the_models_own_names_in_another_order_are_refused(schema, values, own):
    assert marks_of(schema, values, names=own)[0].names == tuple(own)
    with pytest.raises(ModelError, match=f"own names in another order: output 1 is {own[1]}, not {own[2]}"):
        marks_of(schema, values, names=[own[0], own[2], own[1]])


def test_repeated_labels_are_made_different():
    marks, _ = marks_of(array("(6,)", column_labels=["a", "a", "b", "a.1", "a", "b"]), rng.normal(size=(N, 6)))
    assert marks.names == ("a", "a.2", "b", "a.1", "a.3", "b.1")
    assert marks.notes == ["column_labels repeats names; made different: a.2, a.3, b.1"]


@pytest.mark.parametrize("targets, predicted, said", [
    (array("(2,)", column_labels=["a", "b"]), VALUES, r"column_labels names 2 columns, but the output \(3,\) has 3: "),
    (array("(2,)", column_labels=["a", "b"]), COLUMNS, r"names 2 columns, but the output of 3 arrays \(1,\) has 3: "),
    ({"x": array("(3,)"), "y": array("(8, 3)", column_labels=["a", "b"])}, {"x": VALUES, "y": rng.random((N, 12, 3))},
     r'names 2 columns, but the output "y" \(12, 3\) has 3: .*--mark_names FILE; --mark_layout'),
])
def test_labels_that_do_not_fit_are_an_error(targets, predicted, said):
    with pytest.raises(ModelError, match=said):
        marks_of(targets, predicted)
    names = list("abcdef" if isinstance(predicted, dict) else "abc")
    assert list(marks_of(targets, predicted, names=names)[0].names) == names


def test_notes_on_marks_that_tell_nothing_of_their_own():
    values = rng.normal(size=(N, 6))
    values[:, 1], values[:, 3], values[:, 4], values[2, 5] = 0.5, values[:, 0], values[:, 0], np.nan
    marks, read = marks_of(array("(6,)"), values)
    assert marks.notes == ["NaN for some sequences: mark_5", f"the same for all {N} sequences tried: mark_1",
                           "identical: mark_0 = mark_3 = mark_4"]
    assert np.isnan(read).sum() == 1
    assert find_marks(schema(array("(3,)")), VALUES[:1], 1).notes == []  # one sequence shows nothing


def test_notes_on_classes_of_one_choice():
    """CpGenie's methylated and unmethylated, DeepLiver's zonation: one follows from the others."""
    softmax = np.exp(VALUES) / np.exp(VALUES).sum(1, keepdims=True)
    for predicted in (softmax, softmax.astype(np.float32)):
        assert marks_of(array("(3,)"), predicted)[0].notes == [
            "all columns add up to 1: they are classes of one choice, and each follows from the others"]


@pytest.mark.parametrize("predicted, said", [
    (np.zeros((N + 1, 3)), rf"shape \(7, 3\) for {N} sequences"), (np.float64(3), rf"shape \(\) for {N} sequences"),
    (np.array(["a"] * N), "holds <U1, not numbers"), (rng.random((N, 2, 3, 4)), r"shape \(2, 3, 4\) for each sequence"),
    ({"a": VALUES, "b": VALUES[:2]}, '"b" has shape'), ([], "returned nothing"), (None, "returned nothing")])
def test_outputs_that_cannot_be_read(predicted, said):
    with pytest.raises(ModelError, match=f"the model.*{said}"):
        find_marks(schema(array("(3,)")), predicted, N)


@pytest.mark.parametrize("later", [VALUES[:, :2], {"a": VALUES}, [VALUES], VALUES[:, None]])
def test_an_output_that_changes_its_form(later):
    marks, _ = marks_of(array("(3,)"), VALUES)
    with pytest.raises(ModelError, match="has changed its form, from"):
        marks.read(later, N)
    with pytest.raises(ModelError, match="for 5 sequences"):
        marks.read(VALUES, 5)


def test_tensors_and_whole_numbers_are_read():
    torch = pytest.importorskip("torch")
    np.testing.assert_array_equal(marks_of(array("(3,)"), torch.from_numpy(VALUES))[1], VALUES)
    assert marks_of(array("(3,)"), np.arange(N * 3).reshape(N, 3))[1][1].tolist() == [3, 4, 5]
    assert marks_of(array("(3,)"), VALUES > 0)[1][0].tolist() == (VALUES[0] > 0).astype(float).tolist()


def test_unknown_summaries_and_scales():
    with pytest.raises(ModelError, match="the summaries are sum, mean, max, .*, the scales identity, logit"):
        marks_of(array("(3,)"), VALUES, scale="cube")
