"""Mutants of several bases: which they are, and by which sequences they are predicted."""

from collections import Counter

import numpy as np
import pytest

from kipoi_deepmr import dna
from kipoi_deepmr.errors import InputError
from kipoi_deepmr.loci import BedSource, Genome, Kind, Loci, Plan, Selection, parse_mutants, read_bed, select
from kipoi_deepmr.loci.mutants import shuffled
from kipoi_deepmr.pipeline.mutants import NO_MUTANT, planned
from kipoi_deepmr.variants import Allele, LocusIndex

L, MARKS = 30, ["A", "B"]


def random_loci(n=3, length=L, seed=0):
    rng = np.random.default_rng(seed)
    return Loci.from_sequences([dna.decode(rng.choice(dna.BASES, length)) for _ in range(n)])


def plan_of(text, n=3, regions=(), n_draws=4, replacement="background", seed=1, flanks=None):
    """`regions`: (first, last, mark) of every locus."""
    regions = np.array([list(regions)] * n, np.int32).reshape(n, -1, 3)
    return Plan(parse_mutants(text), n_draws, replacement, seed, regions,
                np.zeros((n, 2, 0), np.uint8) if flanks is None else flanks)


@pytest.mark.parametrize(("text", "said"), [
    ("windows8", "'windows8' is no kind of mutant; did you mean"), ("", "'' is no kind"), ("single,", "'' is no kind"),
    ("windows", "should be windows:W[:STEP]"),
    ("windows:", "should be windows:W[:STEP]"), ("windows:0", "numbers of bases from 1"),
    ("windows:8:0", "numbers of bases from 1"), ("windows:-1", "should be windows"),
    ("windows:1:2:3", "should be windows"),
    ("deletions:x", "should be deletions:W[:STEP]"), ("windows:²", "should be windows"),
    ("regions:3", "regions takes no number, but 'regions:3' gives one"), ("single,single", "single stands twice"),
    ("windows:8,windows:8:8", "windows:8 stands twice")])
def test_kinds_that_are_none(text, said):
    with pytest.raises(InputError) as raised:
        parse_mutants(text)
    assert str(raised.value).startswith(f"--mutants {text}: ") and said in str(raised.value)


def test_kinds_are_in_one_order():
    kinds = parse_mutants("pairs, windows:8:2,deletions:3,single,windows:4")
    assert kinds == (Kind("single"), Kind("windows", 4, 4), Kind("windows", 8, 2), Kind("deletions", 3, 3),
                     Kind("pairs"))
    assert list(map(str, kinds)) == ["single", "windows:4", "windows:8:2", "deletions:3", "pairs"]
    assert parse_mutants("deletions:3,windows:8:2,single,pairs,windows:4") == kinds


def test_windows_cover_the_locus():
    table = plan_of("windows:8:3,windows:30").table(0, np.ones(L, bool))
    assert table.position.tolist() == [0, 3, 6, 9, 12, 15, 18, 21, 22, 0]
    assert table.length.tolist() == [8] * 9 + [30] and set(table.kind) == {"windows"}


def test_single_mutants_come_first_and_are_those_of_regions_alone_unless_asked_for():
    regions = [(2, 5, 0), (4, 6, 1), (-1, -1, -1)]
    of_regions, every = (plan_of(text, regions=regions).table(0, np.ones(L, bool))
                         for text in ("regions", "single,regions"))
    assert of_regions.position[:3 * L].tolist() == every.position[:3 * L].tolist() == np.repeat(range(L), 3).tolist()
    assert of_regions.length[:3 * L].reshape(L, 3)[:, 0].tolist() == [int(2 <= i < 6) for i in range(L)]
    assert (every.length[:3 * L] == 1).all()
    assert of_regions.length[3 * L:].tolist() == [3, 2, 0] and of_regions.target[3 * L:].tolist() == [0, 1, -1]


def test_every_base_of_a_mutant_must_be_one_to_mutate():
    mutated = np.ones(L, bool)
    mutated[10] = False
    table = plan_of("windows:5:1,pairs", regions=[(0, 4, 0), (8, 12, 1), (20, 22, 1)]).table(0, mutated)
    windows, regions, pairs = (table.kind == kind for kind in ("windows", "regions", "pairs"))
    assert table.length[windows].tolist() == [0 if start <= 10 < start + 5 else 5 for start in range(L - 4)]
    assert table.length[regions].tolist() == [4, 0, 2]
    assert list(zip(table.length[pairs], table.length_2[pairs], strict=True)) == [(0, 0), (4, 2), (0, 0)]


def test_regions_that_share_a_base_are_no_pair():
    table = plan_of("pairs", regions=[(0, 4, 0), (3, 8, 1), (8, 10, 0)]).table(0, np.ones(L, bool))
    pairs = table.kind == "pairs"
    places = list(zip(*(column[pairs].tolist() for column in table[1:]), strict=True))
    assert [place for place in places if place[1]] == [(0, 4, 8, 2, 0, 0), (3, 5, 8, 2, 1, 0)]


def made_by(plan, loci, number=0):
    """Sequences of each variant: dict of the variant's number to (draws, L)."""
    sequence, mutants = loci.sequences[number], plan.table(number, loci.mutated[number])
    return mutants, {int(v): made.reshape(len(variants), draws, -1)[k]
                     for variants, draws, made in plan.sequences(number, sequence, mutants)
                     for k, v in enumerate(variants)}


def test_nothing_changes_outside_the_stretch_and_a_pair_is_its_two_regions():
    loci, regions = random_loci(), [(3, 9, 0), (15, 20, 1)]
    mutants, made = made_by(plan_of("windows:8,pairs", regions=regions, n_draws=6), loci, 1)
    single, pair = made[4], made[6]
    assert (mutants.kind[list(made)] == ["windows"] * 4 + ["regions"] * 2 + ["pairs"]).all()
    for variant, sequences in made.items():
        inside = np.zeros(L, bool)
        for first, n in ((mutants.position, mutants.length), (mutants.position_2, mutants.length_2)):
            inside[first[variant]:first[variant] + n[variant]] = True
        assert (sequences[:, ~inside] == loci.sequences[1][~inside]).all()
        assert len({bytes(each) for each in sequences}) > 1
    assert (pair[:, 3:9] == single[:, 3:9]).all() and (pair[:, 15:20] == made[5][:, 15:20]).all()


def test_the_same_locus_has_the_same_mutants_in_any_block_and_others_by_another_seed():
    loci, plan = random_loci(), plan_of("single,windows:8")
    _, alone = made_by(plan[2:3], loci[2:3])
    _, among = made_by(plan, loci, 2)
    _, other = made_by(plan_of("single,windows:8", seed=2), loci, 2)
    assert alone.keys() == among.keys() == other.keys()
    assert all((alone[v] == among[v]).all() for v in among) and any((other[v] != among[v]).any() for v in among)


def test_background_bases_are_drawn_as_often_as_the_locus_has_them():
    loci = Loci.from_sequences(["A" * 6 + "C" * 3 + "G" + "A" * 20])
    _, made = made_by(plan_of("windows:30", n=1, n_draws=2000), loci)
    counts = Counter(dna.decode(made[0].ravel()))
    for base, share in (("A", 26 / 30), ("C", 3 / 30), ("G", 1 / 30)):
        assert counts[base] / 60_000 == pytest.approx(share, abs=0.01)
    assert counts["T"] == 0


def neighbours(bases):
    return Counter(zip(bases[:-1].tolist(), bases[1:].tolist(), strict=True))


@pytest.mark.parametrize("text", ["A", "AC", "AAAA", "ACGT", "ACACAC", "GATTACAGATTACA", "AACCAACCGGTTA"])
def test_a_shuffle_keeps_the_ends_and_the_neighbours(text):
    bases, rng = dna.encode(text), np.random.default_rng(0)
    for _ in range(50):
        found = shuffled(bases, rng)
        assert (found[0], found[-1]) == (bases[0], bases[-1]) and neighbours(found) == neighbours(bases)


def test_all_shuffles_are_as_likely():
    """Every order with the same neighbours: those of AACAGA by trying all 4^6 texts."""
    bases, rng = dna.encode("AACAGA"), np.random.default_rng(1)
    texts = [np.array([dna.BASES[i // 4**k % 4] for k in range(6)]) for i in range(4**6)]
    expected = {dna.decode(text) for text in texts if neighbours(text) == neighbours(bases) and text[0] == bases[0]}
    counts = Counter(dna.decode(shuffled(bases, rng)) for _ in range(6000))
    assert set(counts) == expected
    assert np.ptp(list(counts.values())) < 6 * np.sqrt(6000 / len(expected))


@pytest.fixture
def selection(genome_file, tmp_path):
    """Loci of 12 bases on either strand, and one at the contig's start."""
    (tmp_path / "x.bed").write_text("chr1\t20\t32\ta\t0\t+\nchr1\t20\t32\tb\t0\t-\nchr1\t0\t12\tc\t0\t+\n")
    path = str(tmp_path / "x.bed")
    with Genome(genome_file) as genome:
        found = select(BedSource(read_bed(path), genome, 12, path))
    return Selection(found.loci, found.dropped, found.n_candidates, genome_file)


def test_a_deletion_is_refilled_as_that_of_a_vcf_is(selection, genome_file):
    chosen = planned(selection, MARKS, mutants="deletions:3:1")
    index = LocusIndex.of_loci(chosen.loci)
    with Genome(genome_file) as genome:
        def fetch(start, end):
            return genome.fetch("chr1", start, end).tobytes() if start >= 0 else None

        for number in range(2):
            mutants, made = made_by(chosen.loci.plan, chosen.loci, number)
            assert (mutants.length == 3).all() and len(made) == 10
            for variant, sequences in made.items():
                position = int(mutants.position[variant])
                start = 20 + (position if number == 0 else 12 - position - 3)
                if position in (4, 5):
                    continue  # in the middle, on which side of it the deletion lies is a matter of taste
                ref = fetch(start, start + 3)
                window = index.window(number, Allele("indel", start, ref, b"", -1), fetch)
                assert sequences.tobytes() == window
    mutants, _ = made_by(chosen.loci.plan, chosen.loci, 2)
    assert mutants.length.tolist() == [0] * 5 + [3] * 5
    assert chosen.notes[-1].startswith("--mutants: 5 deletions are left out: outside --mutate, or the genome")


def test_what_is_asked_for_is_told(selection):
    notes = planned(selection, MARKS, mutants="single,windows:5").notes
    assert notes == ("--mutants: 36 single mutants a locus", "--mutants: 3 windows a locus, each by 10 sequences")
    assert planned(selection, MARKS) is selection and planned(selection, MARKS, mutants="single") is selection


def test_regions_of_a_file(selection, tmp_path):
    (tmp_path / "r.bed").write_text("chr1\t22\t26\tA\nchr1\t30\t34\tB\nchr1\t28\t29\tB\nchr1\t28\t29\tX\n")
    chosen = planned(selection, MARKS, mutants="pairs", instrument_regions=str(tmp_path / "r.bed"))
    assert chosen.loci.name.tolist() == ["a", "b"] and chosen.dropped == {NO_MUTANT: ["c"]}
    assert chosen.loci.plan.regions.tolist() == [[[2, 6, 0], [8, 9, 1]], [[3, 4, 1], [6, 10, 0]]]
    assert chosen.notes == (
        f"{tmp_path}/r.bed: 1 of 4 regions name no mark: X",
        f"{tmp_path}/r.bed: 2 regions at the ends of loci are not replaced, since a part of them lies outside",
        "--mutants: 2 regions a locus, each by 10 sequences",
        "--mutants: 1 pairs of regions a locus, each by 10 sequences")


@pytest.mark.parametrize(("asked", "said"), [
    ({"mutants": "windows:13"}, "--mutants windows:13: a locus has 12 bases, and one of the windows must be no longer"),
    ({"mutants": "deletions:12"}, "a locus has 12 bases, and one of the deletions must be shorter"),
    ({"mutants": "regions"}, "--mutants regions needs the regions: --instrument_regions FILE"),
    ({"mutants": "single,pairs"}, "--mutants single,pairs needs the regions"),
    ({"mutants": "pairs", "bed": "chr1\t40\t50\tA\n"}, "no region of a mark lies in a locus"),
    ({"mutants": "pairs", "bed": "chr1\t10\t50\tA\n"}, "no region of a mark lies wholly in a locus"),
    ({"mutants": "regions", "bed": "chr1\t22\t26\tZ\n"}, "no region is named as a mark (A, B)"),
    ({"mutants": "windows:3", "mutant_draws": 0}, "mutant_draws"),
    ({"mutants": "windows:3", "mutant_bases": "N"}, "mutant_bases")])
def test_bad_input_has_one_message(selection, tmp_path, asked, said):
    if "bed" in asked:
        (tmp_path / "r.bed").write_text(asked.pop("bed"))
        asked["instrument_regions"] = str(tmp_path / "r.bed")
    with pytest.raises(InputError) as raised:
        planned(selection, MARKS, **asked)
    assert said in str(raised.value)


def test_deletions_need_a_genome():
    loci = random_loci()
    with pytest.raises(InputError, match="--mutants deletions needs --fasta_file"):
        planned(Selection(loci, {}, 3), MARKS, mutants="deletions:2")
