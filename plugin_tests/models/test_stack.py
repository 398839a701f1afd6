"""Single-task models stacked into one multi-task model."""

import numpy as np
import pytest
from conftest import LENGTH, member_weights, write_model

from kipoi_deepmr import dna
from kipoi_deepmr.errors import InputError
from kipoi_deepmr.models.host.saturation import saturation_mutants
from kipoi_deepmr.models.kipoi_model import KipoiModel
from kipoi_deepmr.models.stack import StackedModel, stacks_of

SEQUENCE = dna.encode("ACGTTGCAACGT")
WEIGHTS = member_weights(n_members=3)


@pytest.fixture
def single(tmp_path):
    """Folders GATA/1..3 and TAL1/1..3 of single-task models, and pair, of two marks."""
    for k, weights in enumerate(WEIGHTS, 1):
        write_model(tmp_path / "GATA" / str(k), weights[..., :1], ["score"])
        write_model(tmp_path / "TAL1" / str(k), weights[..., 1:2], ["score"])
    write_model(tmp_path / "pair", WEIGHTS[0][..., 1:], ["B", "C"])
    return tmp_path


def stacked(*parts, **settings):
    return StackedModel("stack1", [(mark, KipoiModel(str(model), "dir", settings)) for mark, model in parts])


def test_marks_are_those_of_the_parts_in_order(single):
    stack = stacked(("TAL1", single / "TAL1/1"), (None, single / "pair"), ("GATA", single / "GATA/1"))
    described = stack.describe()
    assert (described.name, described.marks, described.length) == ("stack1", ("TAL1", "B", "C", "GATA"), LENGTH)
    assert "4 marks" in described.outputs
    weights = WEIGHTS[0][..., [1, 1, 2, 0]]
    mutants, _, _ = saturation_mutants(SEQUENCE)
    expected = np.einsum("nla,lam->nm", dna.one_hot(np.concatenate([SEQUENCE[None], mutants])), weights)
    np.testing.assert_allclose(stack.mutants(SEQUENCE), expected[None], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(stack.predict(mutants), expected[None, 1:], rtol=1e-5, atol=1e-5)
    assert stack.probe().shape == (1, 4, 4) and (stack.probe() == stack.probe(again=True)).all()


@pytest.mark.parametrize("parts, marks", [
    ([(None, "GATA/1"), (None, "TAL1/2")], ("1", "2")),
    ([("X", "pair"), ("Y", "TAL1/1")], ("X/B", "X/C", "Y")),
    ([(None, "pair"), (None, "other")], ("pair/B", "pair/C", "other/B", "other/D")),
    ([("P", "pair"), (None, "other")], ("P/B", "P/C", "B", "D")),
])
def test_names_of_marks(single, parts, marks):
    write_model(single / "other", WEIGHTS[1][..., :2], ["B", "D"])
    assert stacked(*((mark, single / model) for mark, model in parts)).describe().marks == marks


def test_the_replicates_are_those_of_each_part(single):
    stack = stacked(("GATA", single / "GATA/1"), ("TAL1", single / "TAL1/1"), augment=["rc"])
    assert stack.describe().replicates == ("", "rc")
    alone = KipoiModel(str(single / "TAL1/1"), "dir", {"augment": ["rc"]}).predict(SEQUENCE[None])
    np.testing.assert_array_equal(stack.predict(SEQUENCE[None])[..., 1:], alone)


def test_checksums_tell_stacks_apart(single):
    def checksum(*parts):
        return stacked(*((mark, single / model) for mark, model in parts)).describe().checksum

    one = checksum(("A", "GATA/1"), ("B", "TAL1/1"))
    assert one == checksum(("A", "GATA/1"), ("B", "TAL1/1"))
    assert len({one, checksum(("A", "GATA/1"), ("B", "TAL1/2")), checksum(("B", "TAL1/1"), ("A", "GATA/1")),
                checksum(("A", "TAL1/1"), ("B", "GATA/1"))}) == 4


def test_what_cannot_be_stacked(single):
    write_model(single / "long", member_weights(length=20)[0][..., :1], ["score"])
    with pytest.raises(InputError, match="sequence length of .*GATA/1 is 12 and that of .*long is 20"):
        stacked(("A", single / "GATA/1"), ("B", single / "long"))
    with pytest.raises(InputError, match="two marks are called 1; name them"):
        stacked((None, single / "GATA/1"), (None, single / "TAL1/1"))
    write_model(single / "copy", WEIGHTS[0][..., :1], ["score"])
    with pytest.raises(InputError, match="GATA/1 and .*copy are the same model"):
        stacked(("A", single / "GATA/1"), ("B", single / "copy"))


def test_which_models_make_a_stack(single, monkeypatch):
    monkeypatch.chdir(single)
    assert stacks_of(["GATA=GATA/1", "TAL1=TAL1/1", "pair"], "dir") == [
        [("GATA", "GATA/1"), ("TAL1", "TAL1/1"), (None, "pair")]]
    assert stacks_of(["GATA/*"], "dir") == [[(None, "GATA/1"), (None, "GATA/2"), (None, "GATA/3")]]
    expected = [[("G", f"GATA/{k}"), ("T", f"TAL1/{k}")] for k in (1, 2, 3)]
    assert stacks_of(["G=GATA/*", "T=TAL1/1,TAL1/2,TAL1/3"], "dir") == expected


@pytest.mark.parametrize("texts, said", [
    (["G=GATA/*", "T=TAL1/1"], "every mark needs as many models, one for each member: G has 3, T has 1"),
    (["G=GATA/1", "G=TAL1/1"], "mark G is named twice"),
    (["=GATA/1", "T=TAL1/1"], "not of the form MARK=MODEL,MODEL"),
    (["G=GATA/1,", "T=TAL1/1"], "not of the form MARK=MODEL,MODEL"),
    (["G=GATA/9*", "T=TAL1/1"], "no model matches GATA/9*"),
    (["G=GATA/1,GATA/1"], "GATA/1 is named twice"),
])
def test_wrong_stacks(single, monkeypatch, texts, said):
    monkeypatch.chdir(single)
    with pytest.raises(InputError) as raised:
        stacks_of(texts, "dir")
    assert said in str(raised.value)
