"""Bases as bytes."""

import numpy as np

from kipoi_deepmr import dna


def test_encode_decode():
    assert dna.decode(dna.encode("acGTn")) == "ACGTN"


def test_reverse_complement_of_known_sequences():
    assert dna.decode(dna.reverse_complement(dna.encode("AACGTN"))) == "NACGTT"
    assert dna.decode(dna.complement(dna.encode("ACGTRYKM"))) == "TGCAYRMK"
    two = np.stack([dna.encode("AAC"), dna.encode("TTG")])
    assert [dna.decode(s) for s in dna.reverse_complement(two)] == ["GTT", "CAA"]


def test_ambiguous():
    assert dna.is_ambiguous(dna.encode("ACGTNR")).tolist() == [False] * 4 + [True] * 2


def test_one_hot_follows_the_alphabet():
    sequence = dna.encode("ACGT")[None]
    assert (dna.one_hot(sequence)[0] == np.eye(4)).all()
    assert (dna.one_hot(sequence, "AGCT")[0] == np.eye(4)[[0, 2, 1, 3]]).all()


def test_one_hot_round_trip_and_what_is_not_one_hot():
    rng = np.random.default_rng(0)
    sequences = rng.choice(dna.BASES, (5, 30))
    for alphabet in ("ACGT", "AGCT"):
        assert (dna.from_one_hot(dna.one_hot(sequences, alphabet), alphabet) == sequences).all()
    odd = np.array([[0.25] * 4, [0] * 4, [0, 2, 0, 0], [0, 1, 1, 0], [0, 0, 0, 1]])
    assert dna.decode(dna.from_one_hot(odd)) == "NNNNT"
