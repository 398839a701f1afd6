"""The VCF of instruments: positions and letters worked by hand, and files that bcftools and pysam read."""

import os
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pysam
import pytest
from vcf_case import CONTIGS, KEYS, LENGTH, LOCI, MARKS, METHODS, Case, columns, text

from kipoi_deepmr.effects_store import Writer, open_effects
from kipoi_deepmr.errors import InputError
from kipoi_deepmr.instruments.rules import InstrumentRule
from kipoi_deepmr.loci import Genome
from kipoi_deepmr.mr.pairs import fit_pairs
from kipoi_deepmr.output import vcf


@pytest.fixture
def case(tmp_path):
    made = Case(tmp_path)
    yield made
    made.genome.close()


def records(path):
    with pysam.VariantFile(path) as file:
        return list(file)


def test_positions_and_letters_by_hand(tmp_path):
    # c2 is ACGTTGCA...: the plus locus 4-6 is TG, at 1-based 5 and 6; the model sees the minus locus 6-8 (CA) as TG:
    # its T stands on the A at 8, its G on the C at 7
    case = Case(tmp_path, [("c2", 4, "+", "p"), ("c2", 6, "-", "m")], length=2)
    path, count = case.write(which="all")
    found = [(c[0], c[1], c[3], c[4]) for c in columns(path)]
    assert found == [
        ("c2", "5", "T", "A"), ("c2", "5", "T", "C"), ("c2", "5", "T", "G"),
        ("c2", "6", "G", "A"), ("c2", "6", "G", "C"), ("c2", "6", "G", "T"),
        ("c2", "7", "C", "A"), ("c2", "7", "C", "G"), ("c2", "7", "C", "T"),
        ("c2", "8", "A", "C"), ("c2", "8", "A", "G"), ("c2", "8", "A", "T"),
    ]
    # T>A as the model sees the minus locus (variant 0) is A>T at 8; G>T (variant 5) is C>A at 7
    effect = case.effects["effect"].values
    minus = {(r.pos, r.alts[0]): r.info["EFFECT_1mark"] for r in records(path) if r.info["LOCUS"] == "m"}
    assert minus[8, "T"] == effect[1, 0, 2]
    assert minus[7, "A"] == effect[1, 5, 2]
    assert count == 12


def test_every_value_survives_a_round_trip_through_pysam(case):
    case.effects["effect"][0, 0, :3] = [1e-30, 123456.789, -1 / 3]
    path, _ = case.write(which="all")
    variants = {}
    for record in records(path):
        key = (record.chrom, record.pos, record.alts[0], record.info["LOCUS"], record.info["LOCUS_STRAND"])
        variants[key] = record
    mask, local = case.mask(), case.local
    causal = local[["estimate", "se"]].to_numpy().reshape(len(LOCI), len(case.pairs), 2, 2)
    seen = 0
    for i, (chrom, start, strand, name) in enumerate(LOCI):
        encoded = name.replace("%", "%25").replace(";", "%3B").replace(" ", "%20")
        for v in range(3 * LENGTH):
            position = start + v // 3 if strand == "+" else start + LENGTH - 1 - v // 3
            letter = str(case.effects["alt_base"].values[i, v])
            forward = letter if strand == "+" else {"A": "T", "C": "G", "G": "C", "T": "A"}[letter]
            record = variants[chrom, position + 1, forward, encoded, strand]
            assert record.ref == CONTIGS[chrom][position]
            for m, key in enumerate(KEYS):
                assert record.info[f"EFFECT_{key}"] == case.effects["effect"].values[i, v, m]
                assert record.info[f"SE_{key}"] == case.effects["effect_se"].values[i, v, m]
            served = [p for p, (x, _) in enumerate(case.pairs) if mask[i, v, MARKS.index(x)]]
            seen += bool(served)
            assert_pairs(record, [case.pairs[p] for p in served], causal[i, served])
    assert len(variants) == len(LOCI) * 3 * LENGTH
    assert 0 < seen < len(variants)


def assert_pairs(record, pairs, causal):
    """The record is an instrument of these pairs, with causal effects (pair, method, 2)."""
    assert list(record.filter) == (["PASS"] if pairs else [])
    assert ("PAIRS" in record.info) == ("CE_ivw" in record.info) == bool(pairs)
    if not pairs:
        return
    assert [tuple(unquote(side) for side in p.split(">")) for p in record.info["PAIRS"]] == pairs
    assert record.info["CE_egger"] == (None,) * len(pairs)
    # float64 through nine digits to float32: the last bit may differ
    assert record.info["CE_ivw"] == pytest.approx(causal[:, 1, 0], rel=1.2e-7)
    assert record.info["CE_SE_egger"] == pytest.approx(causal[:, 0, 1], rel=1.2e-7)
    assert record.info["CE_SE_ivw"] == pytest.approx(causal[:, 1, 1], rel=1.2e-7)


def test_instruments_are_the_passing_records_of_all(case):
    chosen, n_chosen = case.write()
    every, n_every = case.write("all.vcf.gz", which="all")
    assert n_every == len(LOCI) * 3 * LENGTH == len(columns(every))
    assert n_chosen == case.mask()[:, :, :3].any(axis=2).sum() == len(columns(chosen))
    assert 0 < n_chosen < n_every
    assert [c for c in columns(every) if c[6] == "PASS"] == columns(chosen)


def test_a_mark_without_an_outcome_makes_no_instrument(case):
    case.exposures, case.outcomes = [MARKS[0], MARKS[1]], [MARKS[1]]
    path, count = case.write()
    assert count == case.mask()[:, :, 0].sum()
    assert {r.info["PAIRS"] for r in records(path)} == {("H3K27ac%20(rep%201)>a%3Bb%3Dc%2Cd",)}


def test_the_pooled_rule_serves_too(case):
    effect = case.effects["effect"].values
    case.rule = InstrumentRule("pooled", 1.5, effect.mean((0, 1)), effect.std((0, 1)))
    assert case.write()[1] == case.mask()[:, :, :3].any(axis=2).sum() > 0


def test_causal_effects_are_those_of_the_local_table(case):
    local = fit_pairs(case.effects, case.exposures, case.outcomes, METHODS, "own", 2.0)
    path, _ = case.write(local=local)
    expected = {(row.locus, row.strand, row.exposure, row.outcome): row.estimate
                for row in local[local["method"] == "ivw"].itertuples()}
    for record in records(path):
        assert len(record.info["PAIRS"]) == len(record.info["CE_ivw"])
        for pair, estimate in zip(record.info["PAIRS"], record.info["CE_ivw"], strict=True):
            x, y = (unquote(side) for side in pair.split(">"))
            true = expected[unquote(record.info["LOCUS"]), record.info["LOCUS_STRAND"], x, y]
            assert estimate == pytest.approx(true, rel=1.2e-7) if true == true else estimate is None


def test_records_are_sorted_by_contig_position_locus_and_alt(tmp_path):
    rng = np.random.default_rng(3)
    contigs = {name: "".join(rng.choice(list("ACGT"), size=60)) for name in ("z", "b", "m")}
    places = [(str(rng.choice(list(contigs))), int(rng.integers(0, 56)), str(rng.choice(["+", "-"])), f"n{i}")
              for i in range(60)]
    case = Case(tmp_path, places, contigs)
    path, count = case.write(which="all")
    names = list(case.loci.name)
    keys = [(list(contigs).index(r.chrom), r.pos, names.index(r.info["LOCUS"]), r.alts[0]) for r in records(path)]
    assert keys == sorted(keys)
    assert len(set(keys)) == count == 60 * 3 * LENGTH


def test_header(case):
    path, _ = case.write()
    lines = text(path).splitlines()
    assert lines[0] == "##fileformat=VCFv4.3"
    assert lines[-1 - len(columns(path))] == "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"
    assert [line for line in lines if line.startswith("##contig")] == [
        "##contig=<ID=c2,length=22>", "##contig=<ID=c1,length=12>"]
    with pysam.VariantFile(path) as file:
        info = file.header.info
        assert set(info) == {"LOCUS", "LOCUS_STRAND", "PAIRS", *(s + k for k in KEYS for s in ("EFFECT_", "SE_")),
                             *(s + m for m in METHODS for s in ("CE_", "CE_SE_"))}
        for key, mark in zip(KEYS, MARKS, strict=True):
            escaped = mark.replace("\\", "\\\\").replace('"', '\\"')
            assert info[f"EFFECT_{key}"].description.endswith("; mark: " + escaped)
            assert (info[f"SE_{key}"].type, info[f"SE_{key}"].number) == ("Float", 1)
        assert (info["PAIRS"].type, info["PAIRS"].number, info["CE_ivw"].type) == ("String", ".", "Float")


def test_keys_are_valid_and_unique():
    names = ["a b", "a_b", "a-b", "a_b_2", "é", "1", "x.y"]
    keys = vcf.info_keys(names)
    assert keys == ["a_b_3", "a_b", "a_b_4", "a_b_2", "_", "1", "x.y"]


def test_names_are_encoded_so_that_nothing_splits_them():
    name = "a:b;c=d%e,f g\th\ni>j é"
    encoded = vcf.encoded(name)
    assert encoded == "a%3Ab%3Bc%3Dd%25e%2Cf%20g%09h%0Ai%3Ej%20é"
    assert unquote(encoded) == name


def test_two_writes_are_identical(case):
    first, _ = case.write("1.vcf.gz")
    second, _ = case.write("2.vcf.gz")
    for suffix in ("", ".tbi"):
        with open(first + suffix, "rb") as one, open(second + suffix, "rb") as other:
            assert one.read() == other.read()


def test_a_file_is_replaced_and_nothing_else_stays(case):
    case.write(which="all")
    path, count = case.write()
    assert len(columns(path)) == count
    assert sorted(os.listdir(case.folder)) == ["genome.fa", "genome.fa.fai", "out.vcf.gz", "out.vcf.gz.tbi"]


def test_a_store_on_disk_gives_the_same_file_whatever_the_block(case, monkeypatch):
    path = str(case.folder / "effects.zarr")
    writer = Writer(path, case.loci, MARKS, ["m1", "m2"], {}, keep_members=False)
    for block in writer.blocks():
        names = ("effect", "effect_se", "reference", "ref_base", "alt_base")
        writer.write(block, {name: case.effects[name].values[block] for name in names})
    writer.close()
    memory, _ = case.write("memory.vcf.gz", which="all")
    for size in (1, 2 * 8 * 3 * LENGTH * len(MARKS), vcf.BLOCK_BYTES):
        monkeypatch.setattr(vcf, "BLOCK_BYTES", size)
        disk, _ = case.write("disk.vcf.gz", which="all", effects=open_effects(path))
        assert text(disk) == text(memory)


def test_the_tabix_index_answers(case):
    path, _ = case.write(which="all")
    with pysam.VariantFile(path) as file:
        found = [(r.pos, r.info["LOCUS"]) for r in file.fetch("c2", 4, 5)]  # the base at 5: two loci begin there
    assert found == [(5, "plus")] * 6
    with pysam.TabixFile(path) as file:
        assert file.contigs == ["c2", "c1"]
        assert len(list(file.fetch("c1"))) == 3 * LENGTH


def test_no_instrument_gives_a_valid_empty_file(case):
    case.rule = InstrumentRule("own", 1e9)
    path, count = case.write()
    assert count == 0 and records(path) == []
    with pysam.VariantFile(path) as file:
        assert list(file.header.contigs) == ["c2", "c1"]
        assert list(file.fetch("c1")) == []


def test_no_pair_gives_effects_alone(case):
    case.exposures = case.outcomes = [MARKS[0]]
    assert case.write()[1] == 0
    path, count = case.write("all.vcf.gz", which="all")
    assert count == len(LOCI) * 3 * LENGTH
    assert all(c[6] == "." and "PAIRS" not in c[7] for c in columns(path))


def test_values_that_are_not_numbers_are_missing(case):
    case.effects["effect_se"][2, 0, 0] = np.nan
    case.effects["name"].values[2] = "nano"
    path, _ = case.write(which="all")
    values = [r.info[f"SE_{KEYS[0]}"] for r in records(path) if r.info["LOCUS"] == "nano"]
    assert values.count(None) == 1
    assert len(values) == 3 * LENGTH


def test_another_fasta_is_refused_and_leaves_no_file(case, tmp_path):
    # c2 of the other genome has A, not T, at 0-based 4, which loci 2 (+) and 3 (-) cover
    other = tmp_path / "other.fa"
    other.write_text(f">c2\n{CONTIGS['c2'][:4]}A{CONTIGS['c2'][5:]}\n>c1\n{CONTIGS['c1']}\n")
    with Genome(str(other)) as genome, pytest.raises(InputError) as caught:
        case.write(genome=genome)
    message = str(caught.value)
    for part in ("other.fa", "locus plus", "c2:5 ", "the FASTA has A", "predicted from T"):
        assert part in message
    assert not [name for name in os.listdir(tmp_path) if ".vcf" in name]


@pytest.mark.parametrize("contigs, words", [
    ({"c2": CONTIGS["c2"]}, "locus late (c1) lies on a contig that it lacks"),
    ({**CONTIGS, "c2": CONTIGS["c2"][:9]}, "locus minus; 100% (c2) ends after it, at 11"),
])
def test_loci_outside_the_fasta_are_refused(case, tmp_path, contigs, words):
    other = tmp_path / "other.fa"
    other.write_text("".join(f">{name}\n{sequence}\n" for name, sequence in contigs.items()))
    with Genome(str(other)) as genome, pytest.raises(InputError) as caught:
        case.write(genome=genome)
    assert words in str(caught.value)
    assert not [name for name in os.listdir(tmp_path) if ".vcf" in name]


def test_positions_that_a_tabix_index_cannot_hold_are_refused(case, monkeypatch):
    assert vcf.TABIX_LIMIT == 2**29
    monkeypatch.setattr(vcf, "TABIX_LIMIT", 10)
    with pytest.raises(InputError, match="locus minus; 100% .c2. ends at 11, .* no position beyond 10"):
        case.write()


def test_a_failure_keeps_the_earlier_file(case):
    path, _ = case.write()
    before = text(path)

    class Broken(InstrumentRule):
        def mask(self, effect, effect_se, loci=None):
            raise RuntimeError("no instruments today")

    with pytest.raises(RuntimeError, match="no instruments today"):
        case.write(rule=Broken("own", 2.0))
    assert text(path) == before
    assert not [name for name in os.listdir(case.folder) if "partial" in name]


def test_arguments_are_checked(case):
    with pytest.raises(InputError, match=r"must end in \.vcf\.gz"):
        case.write("out.vcf")
    with pytest.raises(ValueError, match="which must be"):
        case.write(which="some")
    with pytest.raises(ValueError, match="one row per exposure"):
        case.write(local=case.local.iloc[1:])
    with pytest.raises(ValueError, match="one row per exposure"):
        case.write(outcomes=MARKS[:2])
    with pytest.raises(ValueError, match="order of the loci"):
        half = len(case.local) // 2
        case.write(local=pd.concat([case.local[half:], case.local[:half]]))
