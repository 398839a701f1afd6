"""Where DNA goes into a model's input: against an encoding by loops, and what is decided from which evidence."""

import itertools
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kipoi.specs import ModelSchema
from kipoiseq.transforms import ReorderedOneHot

from kipoi_deepmr import dna
from kipoi_deepmr.models.host.errors import ModelError
from kipoi_deepmr.models.host.layout import ItemNeeded, find_layout

LENGTH = 30
TEXT = "ACGTTGCAAGGCTTNACCGATCGGATTACA"
FORMS = {"L,4": (LENGTH, 4), "4,L": (4, LENGTH), "4,L,1": (4, LENGTH, 1), "4,1,L": (4, 1, LENGTH),
         "1,L,4": (1, LENGTH, 4), "L,4,1": (LENGTH, 4, 1), "L,1,4": (LENGTH, 1, 4), "1,4,L": (1, 4, LENGTH)}


def schema(inputs):
    """What kipoi makes of a model.yaml's inputs."""
    return ModelSchema.from_config({"inputs": inputs, "targets": {"shape": "(1,)", "doc": ""}}).inputs


def array(shape, **more):
    return {"shape": str(shape), "doc": "", **more}


def slow_one_hot(text, form, alphabet):
    """One base after the other; letters that are not in the alphabet set nothing."""
    axes = form.split(",")
    encoded = np.zeros([len(text) if axis == "L" else int(axis) for axis in axes], dtype=np.float32)
    for position, base in enumerate(text):
        if base in alphabet:
            encoded[tuple({"L": position, "1": 0, "4": alphabet.index(base)}[axis] for axis in axes)] = 1
    return encoded


def sequences(n, length=LENGTH, seed=0):
    return dna.BASES[np.random.default_rng(seed).integers(0, 4, (n, length))]


@given(st.sampled_from(sorted(FORMS)), st.permutations("ACGT"), st.lists(st.text("ACGTN", min_size=9, max_size=9),
                                                                         min_size=1, max_size=4))
def test_encoding_equals_loops_over_bases(form, alphabet, texts):
    alphabet = "".join(alphabet)
    layout = find_layout(schema(array(tuple(9 if a == "L" else int(a) for a in form.split(",")))),
                         {"alphabet": list(alphabet)})
    encoded = layout.encode(np.stack([dna.encode(text) for text in texts]))
    assert (layout.alphabet, layout.length, encoded.dtype) == (alphabet, 9, np.float32)
    assert encoded.flags.c_contiguous
    np.testing.assert_array_equal(encoded, [slow_one_hot(text, form, alphabet) for text in texts])
    for one, text in zip(encoded, texts, strict=True):
        assert dna.decode(layout.decode(one)) == text


@pytest.mark.parametrize("alphabet_axis, dummy_axis", [(1, None), (0, None), (0, 1), (0, 2), (2, 0), (1, 2), (2, 1)])
@pytest.mark.parametrize("alphabet", ["ACGT", "AGCT"])
@pytest.mark.parametrize("known", ["schema", "values", "neither"])
def test_same_arrays_as_kipoiseq(alphabet_axis, dummy_axis, alphabet, known):
    """Whether the shape comes from the schema, from an item, or from the dataloader's arguments alone."""
    theirs = ReorderedOneHot(alphabet, dtype="np.float32", alphabet_axis=alphabet_axis, dummy_axis=dummy_axis)
    shape = theirs.get_output_shape(LENGTH)
    told = {"alphabet": alphabet, "alphabet_axis": alphabet_axis, "dummy_axis": dummy_axis, "auto_resize_len": LENGTH}
    given = {"schema": {"schema": schema(array(shape)), "defaults": {"alphabet": alphabet}},
             "values": {"schema": schema(array("(None,)")), "defaults": {"alphabet": alphabet},
                        "inputs": theirs(TEXT)},
             "neither": {"schema": schema(array("(None, None)")), "defaults": told}}[known]
    layout = find_layout(**given)
    encoded = layout.encode(dna.encode(TEXT)[None])[0]
    expected = theirs(TEXT)
    expected[expected == 0.25] = 0  # kipoiseq's N
    np.testing.assert_array_equal(encoded, expected)
    assert dna.decode(layout.decode(theirs(TEXT))) == TEXT
    assert layout.length == LENGTH


def test_text_as_kipoiseq_gives_it():
    for inputs in (None, np.array(TEXT)):
        layout = find_layout(schema(array("()")), {"auto_resize_len": None}, inputs)
        assert layout.encode(sequences(3)).tolist() == [dna.decode(s) for s in sequences(3)]
        assert (layout.length, layout.description) == (None, "input (): text")
    assert dna.decode(layout.decode(np.array("acgNRu"))) == "ACGNNT"
    assert find_layout(schema(array("()")), {"auto_resize_len": 51}).length == 51
    assert find_layout(schema(array("(1,)")), {}, np.array([TEXT])).encode(sequences(3)).shape == (3, 1)
    for shape, encoded in (("(None,)", (3,)), ("(1,)", (3, 1)), ("()", (3,))):
        assert find_layout(schema(array(shape)), {}, seq_layout="string").encode(sequences(3)).shape == encoded
    with pytest.raises(ModelError, match="none of the model's inputs is DNA"):
        find_layout(schema(array((LENGTH, 4))), {}, slow_one_hot(TEXT, "L,4", "ACGT"), seq_layout="string")


def test_square_shapes_need_evidence():
    square = schema(array((4, 4)))
    with pytest.raises(ItemNeeded, match=r"input \(4, 4\) is ambiguous; .*--seq_layout its axes"):
        find_layout(square, {})
    assert "on axis 0" in find_layout(square, {"alphabet_axis": 0}).description
    assert "on axis 0" in find_layout(square, {}, seq_layout="4,L").description
    acca = slow_one_hot("ACCA", "4,L", "ACGT")  # two letters at one row: the values show which axis holds letters
    assert "on axis 0" in find_layout(square, {}, acca).description
    with pytest.raises(ModelError, match="is ambiguous"):
        find_layout(square, {}, np.eye(4))


def test_values_overrule_the_schema():
    layout = find_layout(schema(array((LENGTH, 4))), {"alphabet_axis": 1}, slow_one_hot(TEXT, "4,1,L", "ACGT"))
    assert layout.encode(sequences(2)).shape == (2, 4, 1, LENGTH)
    assert layout.description == "input (4, 1, 30): letters ACGT on axis 0, float32 (its schema says (30, 4))"
    longer = find_layout(schema(array((20, 4))), {}, slow_one_hot(TEXT, "L,4", "ACGT"))
    assert longer.length == LENGTH


def test_an_item_cut_off_at_a_contig_end_does_not_set_the_length():
    """Kipoiseq gives such arrays without complaint."""
    with pytest.raises(ModelError, match="has 28 bases in the item, but the schema says 30"):
        find_layout(schema(array((LENGTH, 4))), {}, slow_one_hot(TEXT[:28], "L,4", "ACGT"))
    with pytest.raises(ModelError, match=r"none of the model.s inputs is DNA: input \(0, 4\)"):
        find_layout(schema(array((LENGTH, 4))), {}, np.zeros((0, 4)), seq_layout="L,4")
    assert find_layout(schema(array((LENGTH, 4))), {}, slow_one_hot(TEXT[:28], "L,4", "ACGT"),
                       seq_layout="L,4").length == 28


def test_variable_length():
    for inputs in (None, slow_one_hot(TEXT, "L,4", "ACGT")):
        layout = find_layout(schema(array("(None, 4)")), {}, inputs)
        assert layout.length is None
        assert [layout.encode(sequences(2, length)).shape for length in (7, 50)] == [(2, 7, 4), (2, 50, 4)]
    assert find_layout(schema(array("(None, 4)")), {"auto_resize_len": 31}).length == 31
    assert "on axis 0" in find_layout(schema(array("(4, None)")), {}).description


@pytest.mark.parametrize("said, values, expected", [
    (None, np.float64, np.float32), (None, np.float16, np.float16), (None, np.uint8, np.uint8),
    (None, bool, bool), ("np.float64", np.float32, np.float64), ("float32", np.uint8, np.float32),
    (np.int64, np.float32, np.int64)])
def test_dtype(said, values, expected):
    one_hot = slow_one_hot(TEXT, "L,4", "ACGT")
    layout = find_layout(schema(array((LENGTH, 4))), {"dtype": said}, one_hot.astype(values))
    encoded = layout.encode(dna.encode(TEXT)[None])
    assert encoded.dtype == expected and np.dtype(expected).name in layout.description
    np.testing.assert_array_equal(encoded[0], one_hot)


REVERSED = [{"first": array((LENGTH, 4)), "first_rc": array((LENGTH, 4))},
            {"seq": array((LENGTH, 4)), "x": array((LENGTH, 4), doc="Reverse-complemented DNA sequence")}]


@pytest.mark.parametrize("alphabet", ["ACGT", "AGCT", "CATG"])
@pytest.mark.parametrize("form", ["L,4", "4,1,L"])
def test_reverse_complement_input_is_rebuilt(form, alphabet):
    """As DeepMEL takes it: [x, reverse complement of x], found by the values, whatever the names say."""
    item = [slow_one_hot(text, form, alphabet)
            for text in (TEXT, dna.decode(dna.reverse_complement(dna.encode(TEXT))))]
    both = schema([array(FORMS[form], name="a"), array(FORMS[form], name="b")])
    layout = find_layout(both, {"alphabet": alphabet}, item)
    forward, reverse = layout.encode(sequences(5))
    for sequence, one, other in zip(sequences(5), forward, reverse, strict=True):
        np.testing.assert_array_equal(one, slow_one_hot(dna.decode(sequence), form, alphabet))
        np.testing.assert_array_equal(other, slow_one_hot(dna.decode(dna.reverse_complement(sequence)), form, alphabet))
    assert not layout.needs_item and layout.description.endswith("the reverse complement of it")
    np.testing.assert_array_equal(layout.decode(item), dna.encode(TEXT))


@pytest.mark.parametrize("described", [*REVERSED, [dict(entry, name=name) for name, entry in REVERSED[0].items()],
                                       list(REVERSED[1].values()), dict(reversed(REVERSED[0].items()))])
def test_reverse_complement_input_by_name_or_doc(described):
    layout = find_layout(schema(described), {})
    encoded = layout.encode(sequences(2))
    one, other = [value for _, value in sorted(encoded.items())] if isinstance(encoded, dict) else encoded
    np.testing.assert_array_equal(one[:, ::-1, ::-1], other)
    np.testing.assert_array_equal(one, dna.one_hot(sequences(2)))


def test_two_dna_inputs_without_evidence():
    both = schema({"a": array((LENGTH, 4)), "b": array((LENGTH, 4))})
    with pytest.raises(ItemNeeded, match=r'several inputs may be DNA: input "a" \(30, 4\), input "b".*--seq_input'):
        find_layout(both, {})
    for named in ({"a": array((LENGTH, 4)), "b_rc": array((20, 4))}, {"a_rc": array((9, 4)), "b_rc": array((9, 4))},
                  {"a": array((9, 4)), "b": array((9, 4), doc="the same, reversed")}):
        with pytest.raises(ItemNeeded, match="several inputs may be DNA"):
            find_layout(schema(named), {})
    encoded = find_layout(both, {}, seq_input=["b", "a=rc"]).encode(sequences(2))
    np.testing.assert_array_equal(encoded["a"], encoded["b"][:, ::-1, ::-1])
    np.testing.assert_array_equal(encoded["b"], dna.one_hot(sequences(2)))
    only = find_layout(both, {}, seq_input="b")
    assert only.needs_item and only.description.endswith('input "a" held fixed')


def test_what_the_user_says_against_the_values():
    x, other = slow_one_hot(TEXT, "L,4", "ACGT"), slow_one_hot(TEXT[1:] + "A", "L,4", "ACGT")
    both = schema([array((LENGTH, 4)), array((LENGTH, 4))])
    with pytest.raises(ModelError, match='"1" is DNA too, but not the reverse complement of input "0"'):
        find_layout(both, {}, [x, x], seq_input=["0", "1=rc"])
    with pytest.raises(ModelError, match='"1" is DNA too, but neither the same nor the reverse complement'):
        find_layout(both, {}, [x, other])
    assert find_layout(both, {}, [x, x]).description.endswith("the same")
    with pytest.raises(ModelError, match=r"--seq_input c: .* the model's inputs are 0, 1"):
        find_layout(both, {}, seq_input="c")
    with pytest.raises(ModelError, match="one input must take the sequence itself"):
        find_layout(both, {}, seq_input="0=rc")
    with pytest.raises(ModelError, match=r'input "0" \(30, 4\) holds no DNA in the item; .* --seq_layout'):
        find_layout(both, {}, [x, x], seq_layout="4,L", seq_input="0")


@pytest.mark.parametrize("text", ["L;4", "4", "L,L", "L,3", "2,L,4", "4,L,5", ""])
def test_malformed_layouts(text):
    with pytest.raises(ModelError, match="--seq_layout .*: give the axes in order"):
        find_layout(schema(array((LENGTH, 4))), {}, seq_layout=text)


@pytest.mark.parametrize("alphabet", ["ACG", "ACGG", "ACGTN", "XYZW"])
def test_malformed_alphabets(alphabet):
    with pytest.raises(ModelError, match=f"--alphabet {alphabet}: the letters A, C, G, T"):
        find_layout(schema(array((LENGTH, 4))), {}, alphabet=alphabet)
    with pytest.raises(ModelError, match=f"the dataloader's alphabet {alphabet}: "):
        find_layout(schema(array((LENGTH, 4))), {"alphabet": alphabet})
    assert find_layout(schema(array((LENGTH, 4))), {"alphabet": "AGCT"}, alphabet="acgu").alphabet == "ACGT"


def signals_item(first, n_signals=2, rc=False, seed=3):
    """DNA in four channels from `first` on, among signals; and its reverse complement, as FactorNet takes it."""
    rng = np.random.default_rng(seed)
    signals = rng.normal(size=(LENGTH, n_signals)).astype(np.float32)
    one = np.concatenate([signals[:, :first], slow_one_hot(TEXT, "L,4", "ACGT"), signals[:, first:]], 1)
    other = np.concatenate([signals[::-1, :first], slow_one_hot(TEXT, "L,4", "ACGT")[::-1, ::-1],
                            signals[::-1, first:]], 1)
    return [one, other, rng.normal(size=5)] if rc else one


@pytest.mark.parametrize("first", [0, 1, 2])
def test_signal_channels_are_held(first):
    item = signals_item(first)
    layout = find_layout(schema(array((LENGTH, 6))), {}, item)
    assert layout.needs_item and f"channels {first}-{first + 3} of axis 1, the others held fixed" in layout.description
    encoded = layout.encode(sequences(4), item)
    own = slice(first, first + 4)
    np.testing.assert_array_equal(encoded[..., own], dna.one_hot(sequences(4)))
    np.testing.assert_array_equal(np.delete(encoded, own, -1), np.stack([np.delete(item, own, -1)] * 4))
    assert dna.decode(layout.decode(item)) == TEXT


def test_signal_channels_with_their_reverse_complement():
    item = signals_item(0, rc=True)
    described = schema([array((LENGTH, 6), name="seq"), array((LENGTH, 6), name="seq_rc"), array((5,), name="meta")])
    with pytest.raises(ItemNeeded):
        find_layout(described, {})
    for layout in (find_layout(described, {}, item), find_layout(described, {}, seq_layout="L,6")):
        one, other, meta = layout.encode(sequences(4), item)
        np.testing.assert_array_equal(one[..., :4], dna.one_hot(sequences(4)))
        np.testing.assert_array_equal(other[..., :4], dna.one_hot(sequences(4))[:, ::-1, ::-1])
        for array_, own in ((one, item[0]), (other, item[1])):
            np.testing.assert_array_equal(array_[..., 4:], np.stack([own[..., 4:]] * 4))
        np.testing.assert_array_equal(meta, np.stack([item[2]] * 4))
    again = layout.encode(dna.encode(TEXT)[None], item)
    for array_, own in zip(again, item, strict=True):
        np.testing.assert_array_equal(array_[0], np.where(own == 0.25, 0, own) if own is not item[2] else own)
    with pytest.raises(ModelError, match="takes more than DNA .* --dataloader_args"):
        layout.encode(sequences(4))


def test_one_channel_of_zeros_hides_no_dna():
    item = np.concatenate([slow_one_hot(TEXT, "L,4", "ACGT"), np.zeros((LENGTH, 1))], 1)
    assert "channels 0-3 of axis 1" in find_layout(schema(array((LENGTH, 5))), {}, item).description
    assert "channels 0-3 of axis 0" in find_layout(schema(array((5, LENGTH))), {}, item.T).description


def test_side_inputs_are_held_with_their_dtype():
    described = {"seq": array((LENGTH, 4), special_type="DNASeq"),
                 **{f"dist{k}": array((1, 10)) for k in range(8)}, "strand": array("()")}
    item = {"seq": slow_one_hot(TEXT, "L,4", "ACGT"),
            **{f"dist{k}": np.full((1, 10), k, dtype=np.float64) for k in range(8)}, "strand": np.array("+")}
    for inputs in (None, item):
        layout = find_layout(schema(described), {}, inputs)
        encoded = layout.encode(sequences(3), item)
        np.testing.assert_array_equal(encoded["seq"], dna.one_hot(sequences(3)))
        assert list(encoded) == list(item) and encoded["dist3"].dtype == np.float64
        np.testing.assert_array_equal(encoded["dist3"], np.full((3, 1, 10), 3))
        assert encoded["strand"].tolist() == ["+"] * 3
        assert layout.description.startswith(
            'input "seq" (30, 4): letters ACGT on axis 1, float32; input "dist0", input "dist1"')
    with pytest.raises(ModelError, match="the dataloader gives inputs seq, but seq, dist0"):
        layout.encode(sequences(3), {"seq": item["seq"]})


def test_batches_as_kipoi_collates_items():
    """Lists, dicts, numbers and texts come in the very form in which kipoi's batches have them."""
    from kipoi_utils.data_utils import numpy_collate

    item = {"dna": slow_one_hot(TEXT, "L,4", "ACGT"), "more": [np.arange(3.), 7, "text"]}
    described = schema({"dna": array((LENGTH, 4))})
    layout = find_layout(described, {}, item)
    theirs, ours = numpy_collate([item, item]), layout.encode(np.stack([dna.encode(TEXT)] * 2), item)
    for one, other in ((theirs["dna"], ours["dna"]), *zip(theirs["more"], ours["more"], strict=True)):
        np.testing.assert_array_equal(one, other)
        assert one.dtype == other.dtype


@pytest.mark.parametrize("structure", [lambda x: x, lambda x: [x], lambda x: {"dna": x}, lambda x: {"a": {"b": x}}])
def test_structures_of_one(structure):
    """An array, a list of one (DeepFlyBrain) and a dict of one (DeepCpG), also where the schema has another form."""
    item = structure(slow_one_hot(TEXT, "L,4", "ACGT"))
    for described in (array((LENGTH, 4)), [array((LENGTH, 4))], {"dna": array((LENGTH, 4))}):
        layout = find_layout(schema(described), {}, item)
        encoded = layout.encode(dna.encode(TEXT)[None])
        assert str(encoded) == str(structure(slow_one_hot(TEXT, "L,4", "ACGT")[None]))
        assert dna.decode(layout.decode(item)) == TEXT and layout.length == LENGTH and not layout.needs_item


@pytest.mark.parametrize("described, item", [
    (array((LENGTH, 5)), np.random.default_rng(0).normal(size=(LENGTH, 5))),  # histone marks
    (array((LENGTH, 4)), np.random.default_rng(0).random((LENGTH, 4))),
    ({"x": array((10,)), "y": array((3, 4, 5))}, {"x": np.zeros(10), "y": np.ones((3, 4, 5))}),
    (array("()"), np.array("ENSG00000139618"))])
def test_models_without_dna(described, item):
    with pytest.raises(ModelError, match=r"none of the model's inputs is DNA: input .*--seq_input"):
        find_layout(schema(described), {}, item)


def test_encoding_is_never_what_takes_the_time():
    """2,000 sequences of 1,000 bases a second are ten times what a large model does."""
    thousand = sequences(512, 1000)
    for form in ("L,4", "4,L", "4,1,L", "string"):
        layout = find_layout(schema(array("(None,)")), {"auto_resize_len": 1000}, seq_layout=form)
        seconds = []
        for _ in range(3):
            start = time.process_time()
            layout.encode(thousand)
            seconds.append(time.process_time() - start)
        assert len(thousand) / min(seconds) > 2000


def test_every_permutation_of_letters_differs():
    """A wrong letter order is never without consequences."""
    encoded = {alphabet: find_layout(schema(array((LENGTH, 4))), {}, alphabet="".join(alphabet)).encode(sequences(1))
               for alphabet in itertools.permutations("ACGT")}
    assert len({one.tobytes() for one in encoded.values()}) == 24
