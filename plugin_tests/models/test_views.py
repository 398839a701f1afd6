"""Reverse-complement and shift views of sequences."""

import numpy as np
import pytest
from conftest import LENGTH, member_weights, write_model

from kipoi_deepmr import dna
from kipoi_deepmr.errors import InputError
from kipoi_deepmr.models.host.errors import ModelError
from kipoi_deepmr.models.host.saturation import saturation_mutants
from kipoi_deepmr.models.host.views import parse_views
from kipoi_deepmr.models.kipoi_model import KipoiModel

SEQUENCES = np.stack([dna.encode("AACGTN"), dna.encode("GGTTCA")])


def seen(text):
    """Name to the first sequence, for every view."""
    return {view.name: dna.decode(view.apply(SEQUENCES)[0]) for view in parse_views(text.split(","))}


def test_no_view_is_the_sequence():
    view, = parse_views([])
    assert view.name == "" and (view.apply(SEQUENCES) == SEQUENCES).all()


def test_reverse_complement():
    assert seen("rc") == {"": "AACGTN", "rc": "NACGTT"}
    assert (parse_views(["rc"])[1].apply(SEQUENCES) == dna.reverse_complement(SEQUENCES)).all()


@pytest.mark.parametrize("text, expected", [
    ("shift=2", {"": "AACGTN", "shift+2": "NNAACG"}),
    ("shift=-1", {"": "AACGTN", "shift-1": "ACGTNN"}),
    ("shift=-1:1", {"": "AACGTN", "shift-1": "ACGTNN", "shift+1": "NAACGT"}),
    ("shift=2:3", {"": "AACGTN", "shift+2": "NNAACG", "shift+3": "NNNAAC"}),
    ("shift=-4:4:4", {"": "AACGTN", "shift-4": "TNNNNN", "shift+4": "NNNNAA"}),
])
def test_shifts(text, expected):
    assert seen(text) == expected and list(seen(text)) == list(expected)


def test_combinations_multiply():
    assert seen("shift=-1:1,rc") == {
        "": "AACGTN", "shift-1": "ACGTNN", "shift+1": "NAACGT",
        "rc": "NACGTT", "rc,shift-1": "ACGTTN", "rc,shift+1": "NNACGT"}


def test_every_ambiguous_letter_has_its_complement():
    letters = np.frombuffer(b"ACGTRYKMBVDHSWN", dtype=np.uint8)[None]
    assert (parse_views(["rc"])[1].apply(letters) == dna.reverse_complement(letters)).all()


def test_sequences_are_left_as_they_are():
    before = SEQUENCES.copy()
    for view in parse_views(["rc", "shift=-3:3"]):
        view.apply(SEQUENCES)
    assert (before == SEQUENCES).all()


@pytest.mark.parametrize("texts", [["x"], ["rc", "rc"], ["shift"], ["shift="], ["shift=a"], ["shift=3:1"], ["shift=0"],
                                   ["shift=1:2:0"], ["shift=1:2:3:4"], ["shift=1", "shift=2"], ["shift=1\n"], [""]])
def test_what_is_not_understood(texts):
    with pytest.raises(ModelError, match="--augment"):
        parse_views(texts)


def test_a_shift_out_of_the_sequence():
    with pytest.raises(ModelError, match="leaves nothing of a sequence of 6 bases"):
        parse_views(["shift=6"])[1].apply(SEQUENCES)


def test_effects_in_each_view(tmp_path):
    """Of a sum of weights: those of the mirrored position and the other strand's letter, or of the shifted position."""
    weights = member_weights()[0]
    sequence = dna.encode("ACGTTGCAACGT")
    member = KipoiModel(write_model(tmp_path / "m", weights), "dir", {"augment": ["rc", "shift=2"]})
    assert member.describe().replicates == ("", "shift+2", "rc", "rc,shift+2")
    predicted = member.mutants(sequence)
    effects = predicted[:, 1:] - predicted[:, :1]
    _, ref, alt = saturation_mutants(sequence)
    letters = {ord(letter): number for number, letter in enumerate("ACGT")}
    other = {ord(letter): number for number, letter in enumerate("TGCA")}
    for variant, (before, after) in enumerate(zip(ref, alt, strict=True)):
        position = variant // 3
        for k, (place, number) in enumerate([(position, letters), (position + 2, letters), (11 - position, other),
                                             (13 - position, other)]):
            expected = weights[place, number[after]] - weights[place, number[before]] if place < LENGTH else 0
            np.testing.assert_allclose(effects[k, variant], expected, rtol=1e-5, atol=1e-5 if place < LENGTH else 0)


SIDE_INPUT = '''
import numpy as np
from kipoi.model import BaseModel


class Side(BaseModel):
    def predict_on_batch(self, x):
        return x["seq"].sum(1)[:, :2] + x["distance"]
'''
SIDE_YAML = '''
defined_as: model.Side
args: {}
default_dataloader: {defined_as: kipoiseq.dataloaders.SeqIntervalDl}
info: {authors: [{name: test}], doc: test}
schema:
  inputs: {seq: {shape: "(12, 4)", doc: dna}, distance: {shape: "(1,)", doc: side input}}
  targets: {shape: "(2,)", doc: marks}
'''


def test_side_inputs_do_not_allow_views(tmp_path):
    (tmp_path / "model.py").write_text(SIDE_INPUT)
    (tmp_path / "model.yaml").write_text(SIDE_YAML)
    assert KipoiModel(str(tmp_path), "dir").describe().needs_item
    with pytest.raises(InputError, match='--augment is for models that take DNA alone; this one takes .*"distance"'):
        KipoiModel(str(tmp_path), "dir", {"augment": ["rc"]})
