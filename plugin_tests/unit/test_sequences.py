"""Sequences of Python as loci: a list, a dict, a table; what cannot be one is named."""

import pandas as pd
import pytest

from kipoi_deepmr import dna
from kipoi_deepmr.errors import InputError
from kipoi_deepmr.loci import Loci


def test_a_list_a_dict_and_a_table():
    listed = Loci.from_sequences(["ACGT", "aaCC"])
    assert listed.name.tolist() == listed.chrom.tolist() == ["sequence1", "sequence2"]
    assert listed.start.tolist() == [0, 0] and listed.end.tolist() == [4, 4] and listed.strand.tolist() == ["+", "+"]
    assert list(map(dna.decode, listed.sequences)) == ["ACGT", "AACC"]
    named = Loci.from_sequences({"enhancer 1": "ACGT", "<b>": "AACC"})
    assert named.name.tolist() == ["enhancer 1", "<b>"] and named.chrom.tolist() == ["sequence1", "sequence2"]
    place = {"chrom": ["chr1", "chr2"], "start": [10, 20], "end": [14, 24], "strand": ["+", "-"]}
    table = Loci.from_sequences(pd.DataFrame({"sequence": ["ACGT", "AACC"], **place}))
    assert table.name.tolist() == ["chr1:10-14:+", "chr2:20-24:-"] and table.start.tolist() == [10, 20]
    assert list(map(dna.decode, table.sequences)) == ["ACGT", "AACC"]


def test_ambiguous_sequences_are_dropped_and_named():
    with pytest.warns(UserWarning, match="1 of 3 loci dropped: .*ambiguous letters: b"):
        loci = Loci.from_sequences({"a": "ACGT", "b": "ACGN", "c": "TTTT"})
    assert loci.name.tolist() == ["a", "c"] and list(loci.dropped.values()) == [["b"]] and loci[:1].dropped == {}
    assert repr(loci).splitlines()[0] == "Loci: 2 loci of 4 bases, 1 dropped"


@pytest.mark.parametrize("sequences, message", [
    ([], "there is no sequence"),
    ("ACGT", "a single text is no list of sequences"),
    (3, "a list, a dict or a table is needed, not a int"),
    (["ACGT", 3], "sequence 'sequence2' is no text, but 3"),
    ({"a": "ACGT", "b": "ACG"}, "sequence 'b' has 3 bases, but 'a' has 4"),
    ({"a": "ACG!"}, "sequence 'a': '!' at position 3 is no letter of DNA$"),
    ({"a": "ACGU"}, r"'U' at position 3 is no letter of DNA \(RNA: replace U by T\)"),
    ({"a": "ACG\u00e9"}, "at position 3 is no letter of DNA"),
    ({"a": "NNNN"}, "none of the 1 loci can be used"),
    (pd.DataFrame({"seq": ["ACGT"]}), "the table has no column sequence, but seq"),
    (pd.DataFrame({"sequence": ["ACGT"], "chrom": ["chr1"]}), "the table has chrom: a place is"),
    (pd.DataFrame({"sequence": ["ACGT", "TTTT"], "name": ["a", "a"]}), "sequence 'a' is there twice"),
    (pd.DataFrame({"sequence": ["ACGT"], "chrom": ["1"], "start": [0], "end": [5], "strand": ["+"]}),
     "has 4 bases, but its place is 1:0-5"),
    (pd.DataFrame({"sequence": ["ACGT"], "chrom": ["1"], "start": ["x"], "end": [5], "strand": ["+"]}),
     "start and end must be whole numbers"),
    (pd.DataFrame({"sequence": ["ACGT"], "chrom": ["1"], "start": [1], "end": [5], "strand": ["."]}),
     "the strand must be"),
])
def test_what_cannot_be_a_sequence_is_named(sequences, message):
    with pytest.raises(InputError, match=message):
        Loci.from_sequences(sequences)
