"""How a VCF spells mutants, worked by hand; variants of several bases found among those of a run."""

from itertools import combinations

import numpy as np
import pytest

from kipoi_deepmr.effects_store.mutants import OnContig
from kipoi_deepmr.output.vcf_alleles import alleles_of
from kipoi_deepmr.variants import Hints, LocusIndex, keys_of

#         0123456789
CONTIG = "ACGRTTGACC"


def spelled(position, ref, alt, first=0, length=None):
    columns = [position], [len(ref) if length is None else length], [ref], [alt]
    found = alleles_of(OnContig(*map(np.array, columns)), CONTIG[first:], first)
    return int(found.position[0]) + 1, str(found.ref[0]), str(found.alt[0]), bool(found.is_there[0])


@pytest.mark.parametrize(("mutant", "expected"), [
    ((4, "T", "A"), (5, "T", "A", True)),
    ((4, "TTG", "TAG"), (5, "TTG", "TAG", True)),  # as it was predicted, shared ends and all
    ((5, "TG", ""), (5, "TTG", "T", True)),  # with the base before it
    ((4, "TT", ""), (4, "ATT", "A", True)),  # R in the FASTA: VCF 4.3 has A, the first of A and G
    ((0, "AC", ""), (1, "ACG", "G", True)),  # at a contig's start the base after it
    ((6, "GAC", "*"), (6, "T", "<ABLATED>", True)), ((0, "AC", "*"), (1, "A", "<ABLATED>", True)),
    ((4, "TT", "TT"), (5, "TT", "TT", False))])  # replaced by what stood there
@pytest.mark.parametrize("first", [0, 3])
def test_mutants_are_spelled(mutant, expected, first):
    if first < mutant[0]:
        assert spelled(*mutant, first=first) == expected


def test_a_mutant_that_the_locus_lacks_has_no_record():
    assert not spelled(4, "", "*", length=0)[3] and not spelled(4, "", "", length=0)[3]


def index_of(mutants, sequence="GATTTACATTACCCA", start=100, strand="+", lost=False):
    """One locus with these mutants: (number, position in it, ref, alt); a deletion's alt is empty."""
    seen = np.frombuffer(sequence.encode(), np.uint8)
    keys = keys_of([(v, start + p, ref, alt) for v, p, ref, alt in mutants], sequence.encode(), start)
    return LocusIndex(["c"], [start], [strand], len(sequence), lambda locus: seen, [lost], has_single=False,
                      others=lambda locus: {None: keys})


def found(index, position, ref, alt, info=""):
    hints = Hints.of(info.encode(), position - 1, [alt.encode()])
    allele, = index.place("c", position - 1, ref.encode(), [alt.encode()], hints).alleles
    return allele.kind, allele.mutant


def test_every_spelling_of_a_deletion_finds_it():
    """Every record that makes the same genome, also one whose first letters lie before the locus."""
    sequence, n_records = "GATTTACATTACCCA", 0
    genome, shift = f"CCG{sequence}ATTG", 3
    for place, last in combinations(range(len(sequence) + 1), 2):
        n = last - place
        if n > 3:
            continue
        index = index_of([(7, place, sequence[place:place + n], "")])
        made = genome[:shift + place] + genome[shift + place + n:]
        for start, end in combinations(range(len(genome) + 1), 2):
            alt = made[start:end - n]
            if alt and genome[:start] + alt + genome[end:] == made:
                placed = index.place("c", 100 - shift + start, genome[start:end].encode(), [alt.encode()])
                assert placed is None or placed.alleles[0].mutant == 7
                n_records += placed is not None
    assert n_records > 1000


def test_other_changes_are_not_found():
    index = index_of([(3, 2, "TTTA", "TCCA"), (5, 6, "CAT", ""), (6, 11, "CCC", "CCC")])
    assert found(index, 103, "TTTA", "TCCA") == found(index, 104, "TT", "CC") == ("mnv", 3)
    assert found(index, 104, "TT", "CG") == ("mnv", -1) and found(index, 103, "TTTA", "GCCA") == ("mnv", -1)
    assert found(index, 106, "ACAT", "A") == ("indel", 5) and found(index, 106, "ACATT", "A") == ("indel", -1)
    assert found(index, 106, "A", "ACAT") == ("indel", -1) and found(index, 104, "T", "C") == ("no_single", -1)
    assert found(index_of([(3, 2, "TTTA", "TCCA")], lost=True), 104, "TT", "CC") == ("not_finite", -1)
    assert found(index, 104, "AA", "CC") == ("ref_mismatch", -1)


def test_a_replacement_of_which_one_base_is_new_is_that_single_mutant():
    assert found(index_of([(4, 2, "TTTA", "TTCA")]), 105, "T", "C") == ("snv", 4)


def test_the_locus_that_has_the_mutant_comes_first():
    """Of two that overlap, of which the second has its centre nearer."""
    sequence, starts = b"GATTTACATTACCCAGATC", [100, 102]
    keys = keys_of([(2, 110, "ACC", "")], sequence[:15], 100)
    for others, locus, mutant in (([keys, {}], 0, 2), ([{}, {}], 1, -1), ([keys, keys], 1, 2)):
        index = LocusIndex(["c"] * 2, starts, ["+"] * 2, 15, others=[{None: each} for each in others].__getitem__,
                           sequence=lambda i: np.frombuffer(sequence[starts[i] - 100:][:15], np.uint8))
        placed = index.place("c", 109, b"TACC", [b"T"])
        assert (placed.locus, placed.alleles[0].mutant) == (locus, mutant)


@pytest.mark.parametrize(("position", "ref", "alt", "info", "expected"), [
    (102, "A", "<ABLATED>", "END=106;SVLEN=4", ("not_ablated", 3)),  # TTTA
    (102, "A", "<ABLATED>", "SVLEN=4", ("not_ablated", 3)), (102, "A", "<ABLATED>", "END=106", ("not_ablated", 3)),
    (102, "C", "<ABLATED>", "END=106;SVLEN=4", ("ref_mismatch", -1)),
    (102, "A", "<ABLATED>", "END=107;SVLEN=5", ("not_ablated", -1)), (102, "A", "<ABLATED>", "", ("not_ablated", -1)),
    (102, "A", "<ABLATED>", "END=many;SVLEN=", ("not_ablated", -1)),
    (102, "A", "<ABLATED>", "END=9;SVLEN=4", ("not_ablated", -1)),
    (100, "N", "<ABLATED>", "END=102;SVLEN=2", ("not_ablated", 4)),  # the base before lies outside the locus
    (106, "A", "<DEL>", "END=109;SVLEN=-3", ("indel", 5)), (106, "A", "<DEL>", "SVTYPE=DEL;END=109", ("indel", 5)),
    (106, "A", "<DEL>", "END=110;SVLEN=-4", ("indel", -1)), (106, "A", "<DEL>", "", ("symbolic", -1)),
    (106, "A", "<DEL>", "IMPRECISE;END=109", ("symbolic", -1)), (106, "A", "<DEL>", "END=4000", ("symbolic", -1)),
    (106, "A", "<DUP>", "END=109;SVLEN=3", ("symbolic", -1))])
def test_symbolic_alleles_are_the_mutants_of_their_places(position, ref, alt, info, expected):
    index = index_of([(3, 2, "TTTA", "*"), (4, 0, "GA", "*"), (5, 6, "CAT", "")], start=100)
    assert found(index, position, ref, alt, info) == expected


def test_info_says_which_of_several_mutants_it_is():
    """Of a window and a region of the same bases, and of two loci."""
    windows, regions = (keys_of([(number, 102, "TTTA", "*")], b"GATTTACA", 100) for number in (1, 2))
    others = {None: {**regions, **windows}, "windows": windows, "regions": regions}
    index = LocusIndex(["c"] * 2, [100, 101], ["+"] * 2, 8, names=["one", "a;b"], has_single=False,
                       sequence=lambda i: np.frombuffer(b"GATTTACAT"[i:i + 8], np.uint8), others=lambda locus: others)
    for kind, number in (("windows", 1), ("regions", 2), ("pairs", 1)):
        for locus, name in ((0, "one"), (1, "a%3Bb")):
            info = f"LOCUS={name};KIND={kind};END=106;SVLEN=4".encode()
            placed = index.place("c", 101, b"A", [b"<ABLATED>"], Hints.of(info, 101, [b"<ABLATED>"]))
            assert (placed.locus, placed.n_loci, placed.alleles[0].mutant) == (locus, 2, number)


def test_a_kind_of_mutants_that_others_mean_otherwise_is_no_hint():
    """INFO of other programs may hold KIND, too: the locus is the one that has the mutant all the same."""
    seen = np.frombuffer(b"GATTTACATTACCCA", np.uint8)
    index = LocusIndex(["c"] * 2, [100, 104], ["+"] * 2, len(seen), lambda locus: seen,
                       is_mutated=lambda locus, base: locus == 0)
    for info in (b"", b"KIND=single", b"KIND=benign", b"KIND=1;END=4"):  # 110 is nearer to the middle of the second
        assert index.place("c", 110, b"A", [b"G"], Hints.of(info, 110, [b"G"])).locus == 0, info
