"""The calibration file and the table of observed values: written, read, refused in one line."""

import json

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kipoi_deepmr import calibration
from kipoi_deepmr.calibration import Calibration, Quantiles, Scaling, observed_at_loci, observed_of_sequences
from kipoi_deepmr.calibration.fit import Counts
from kipoi_deepmr.errors import InputError
from kipoi_deepmr.loci import Loci, Locus, Selection

MODELS = {"models": ["abc", "def"], "members": ["1", "2"], "marks": ["A", "B"], "ddof": 1, "scale": "log"}
COUNTS = {"A": Counts(90, 5, 2), "B": Counts(97, 0, 0)}
LINE = Quantiles(np.array([-2.0, 0.1, 2.0]), np.array([-5.0, 0.25, 1e10 / 3]))


def one_of(recalibration="quantile"):
    moves = {"A": LINE, "B": LINE} if recalibration == "quantile" else {"A": Scaling(1 / 3), "B": Scaling(2.0)}
    return Calibration(recalibration, 1, moves, COUNTS, MODELS)


def refused(function, *arguments):
    """The one line with which a function refuses."""
    with pytest.raises(InputError) as error:
        function(*arguments)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("recalibration", ["quantile", "scale"])
def test_what_is_written_is_read(tmp_path, recalibration):
    path, made = str(tmp_path / "c.json"), one_of(recalibration)
    calibration.write(path, made, {"command": ["x"], "measured": []})
    found = calibration.read(path)
    assert (found.recalibration, found.ddof, found.counts, found.settings) == (recalibration, 1, COUNTS, MODELS)
    for mark, move in made.moves.items():
        x = np.linspace(-4, 4, 33)
        assert np.array_equal(found.moves[mark](x), move(x))
    assert json.loads((tmp_path / "c.json").read_text())["format_version"] == 1
    before = calibration.identity(path)
    calibration.write(path, made, {"command": ["y"]})
    assert calibration.identity(path)["sha256"] != before["sha256"] and before["recalibration"] == recalibration


def test_files_that_are_none(tmp_path):
    path = tmp_path / "c.json"
    for content, said in ((b"", "JSON"), (b"\xff\xfe", "JSON"), (b"[1]", "not a calibration file of DeepMR"),
                          (b"{}", "not a calibration file of DeepMR"), (b"[" * 100_000, "JSON"), (b"{\"a\": ", "JSON"),
                          (b'{"format": "kipoi_deepmr effects"}', "not a calibration file of DeepMR"),
                          (b'{"format": "kipoi_deepmr calibration", "format_version": 2}', "format version 2; this")):
        path.write_bytes(content)
        assert said in refused(calibration.read, str(path))
    assert "no such calibration file" in refused(calibration.read, str(tmp_path))


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
                    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
                    max_leaves=8)
PLACES = [("recalibration",), ("settings",), ("settings", "ddof"), ("settings", "members"), ("marks",), ("marks", "A"),
          ("marks", "A", "score"), ("marks", "A", "deviation"), ("marks", "A", "used"), ("marks", "A", "score", 1),
          ("marks", "B", "deviation", 0), ("marks", "A", "factor"), ("format_version",), ("format",)]


@given(st.sampled_from(PLACES), JSON, st.sampled_from(["quantile", "scale"]))
@example(("marks", "A", "score", 1), 10**400, "quantile")
@example(("marks", "A", "factor"), 10**400, "scale")
@example(("marks", "A", "deviation"), [1, 1, True], "quantile")
@example(("settings", "ddof"), True, "quantile")
@example(("format_version",), True, "quantile")
def test_broken_files_are_refused_in_one_line_or_usable(tmp_path_factory, place, value, recalibration):
    """Whatever stands in one place of the file: either one line, or a calibration that moves numbers to numbers."""
    path = str(tmp_path_factory.getbasetemp() / "fuzzed.json")
    calibration.write(path, one_of(recalibration))
    content = json.loads(open(path).read())
    inner = content
    for key in place[:-1]:
        inner = inner.get(key, {}) if isinstance(key, str) else inner[key]
    inner[place[-1]] = value
    with open(path, "w") as file:
        json.dump(content, file)
    try:
        found = calibration.read(path)
    except InputError as error:
        assert "\n" not in str(error) and len(str(error)) < 700
        return
    moved = [move(np.array([-1.0, 0.0, 1.0])) for move in found.moves.values()]
    assert np.isfinite(moved).all() and (np.diff(moved) >= 0).all()
    try:
        calibration.check(found, MODELS, path)
    except InputError as error:
        assert "\n" not in str(error)


@given(st.data())
def test_cut_and_garbled_files(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "garbled.json"
    calibration.write(str(path), one_of())
    whole = path.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 2))
    garbled = data.draw(st.booleans())
    path.write_bytes(whole[:at] + (data.draw(st.binary(max_size=3)) + whole[at + 1:] if garbled else b""))
    try:
        assert isinstance(calibration.read(str(path)), Calibration) and garbled
    except InputError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("change, said", [
    ({"models": ["abc", "other"]}, "not a calibration of the models of the effects (models: "),
    ({"members": ["1", "3"]}, 'members: ["1", "2"] -> ["1", "3"]'), ({"scale": None}, 'scale: "log" -> null'),
    ({"mark_window": [1, 5]}, "mark_window: null -> [1, 5]"), ({"marks": ["A", "C"]}, "mark C is not in"),
    ({"ddof": 0}, "calibrate with --ddof 0"),
])
def test_another_models_calibration_is_refused(change, said):
    assert said in refused(calibration.check, one_of(), {**MODELS, **change}, "c.json")


def test_the_models_calibration_is_accepted():
    """For fewer marks, other loci, and whatever else the effects' settings tell."""
    calibration.check(one_of(), {**MODELS, "marks": ["B"], "loci": 3, "loci_sha256": "x", "keep": "members",
                                 "engine": "exact"}, "c.json")


# Observed values


def table(tmp_path, text):
    path = tmp_path / "observed.tsv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def selection(names, dropped=()):
    sequence = np.frombuffer(b"ACGT", np.uint8)
    loci = Loci.from_list([Locus("chr1", 10 * i, 10 * i + 4, "+", name, sequence, i) for i, name in enumerate(names)])
    return Selection(loci, {"too short": list(dropped)} if dropped else {}, len(names) + len(dropped))


def test_values_at_loci(tmp_path):
    path = table(tmp_path, "B\tlocus\tmore\tA\n1\tl2\tx\t-2.5e1\nNA\tl9\tx\t1\n\tl1\tx\t0.1\n")
    key, names, values = calibration.read_observed(path, ["A", "B"])
    assert (key, names.tolist()) == ("locus", ["l2", "l9", "l1"])
    found = observed_at_loci(path, names, values, selection(["l1", "l2", "l3"], ["l4", "l5"]))
    assert np.array_equal(found.values, [[0.1, np.nan], [-25, 1]], equal_nan=True)
    assert found.item.tolist() == [0, 1] and found.sequences.shape == (2, 4)
    assert found.left_out == {"too short": 2, f"loci without a row in {path}": 1, f"rows of {path} without a locus": 1}


def test_values_of_sequences(tmp_path):
    path = table(tmp_path, "sequence\tA\nacgt\t1\nACNT\t2\nGGGG\tnan\n")
    key, names, values = calibration.read_observed(path, ["A"])
    found = observed_of_sequences(path, names, values, 4)
    assert key == "sequence" and [s.tobytes() for s in found.sequences] == [b"ACGT", b"GGGG"]
    assert np.array_equal(found.values[:, 0], [1, np.nan], equal_nan=True)
    assert list(found.left_out.values()) == [1] and found.item.tolist() == [-1, -1]


@pytest.mark.parametrize("text, said", [
    ("", "not a table of observed values"), (b"\xff\xfe\x00", "not a table of observed values"),
    ("locus\tA\n", "it holds no rows"), ("name\tA\nx\t1\n", "has a column locus, or one sequence; it has: name, A"),
    ("locus\tsequence\tA\nx\tACGT\t1\n", "has a column locus, or one sequence"),
    ("locus\ta1\nx\t1\n", 'no column A; did you mean "a1"?; --marks'), ("locus\nx\n", "no column A; --marks leaves"),
    ("locus\tA\nx\t1\nx\t2\n", "line 3: locus x is named twice"), ("locus\tA\nx\t1\n\t2\n", "line 3 has no locus"),
    ("locus\tA\nx\t1\ny\tbig\n", 'line 3: A must be a finite number or NA, not "big"'),
    ("locus\tA\nx\tinf\n", 'not "inf"'), ("locus\tA\nx\t1e300\n", 'not "1e300"'), ("locus\tA\nx\t1,5\n", 'not "1,5"'),
    ("locus\tA\nx\t1\t2\n", "not a table of observed values"),
])
def test_tables_that_are_refused(tmp_path, text, said):
    assert said in refused(calibration.read_observed, table(tmp_path, text), ["A"])


def test_no_table(tmp_path):
    assert "no such file" in refused(calibration.read_observed, str(tmp_path / "none.tsv"), ["A"])


def test_loci_and_sequences_that_do_not_fit():
    values = np.ones((2, 1))
    for name, length in (("ACG", 3), ("ACGTÄ", 5), ("", 0)):
        said = refused(observed_of_sequences, "o.tsv", np.array(["ACGT", name]), values, 4)
        assert f"o.tsv, line 3: the sequence {name!r} is {length} letters long, but the model takes 4" in said
    assert "no sequence is made" in refused(observed_of_sequences, "o.tsv", np.array(["ACGN"]), values[:1], 4)
    names = np.array(["l1", "l8"])
    assert "two loci are named l1" in refused(observed_at_loci, "o.tsv", names, values, selection(["l1", "l1"]))
    assert "names no locus that is used, such as l2" in refused(observed_at_loci, "o.tsv", names, values,
                                                               selection(["l2"]))


@given(st.text(alphabet="locusA\t\n1.eN\"'-,;", max_size=60))
def test_any_table_is_read_or_refused(tmp_path_factory, text):
    path = table(tmp_path_factory.getbasetemp(), "locus\tA\n" + text)
    try:
        key, names, values = calibration.read_observed(path, ["A"])
    except InputError as error:
        assert "\n" not in str(error)
        return
    assert len(names) == len(values) == len(set(names.tolist())) > 0 and not np.isinf(values).any()
