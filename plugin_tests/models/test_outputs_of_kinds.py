"""Mutants of every kind in what a run writes: a VCF record put into the genome gives back the effect in it."""

import shutil
import subprocess
from collections import Counter
from urllib.parse import unquote

import numpy as np
import pysam
import pytest
from mixed_kinds import CONTIG, LENGTH, MARKS, PLACES, run_of_kinds, weights
from report_pages import held

from kipoi_deepmr import dna, pipeline
from kipoi_deepmr.cli import main
from kipoi_deepmr.effects_store import StoredMutants, open_effects
from kipoi_deepmr.loci import Loci, Selection
from kipoi_deepmr.output.stored_loci import index_of
from kipoi_deepmr.pipeline.mutants import planned
from kipoi_deepmr.variants import LocusIndex

PLACE = {name: (start, strand) for start, strand, name in PLACES}
KINDS = "single,windows:5:4,deletions:3:2,deletions:14:1"


@pytest.fixture(scope="module")
def spelled(tmp_path_factory):
    """A run in which each window is replaced once, so that the VCF spells it."""
    return run_of_kinds(tmp_path_factory.mktemp("spelled"), KINDS, mutant_draws=1, vcf="all", report=True)


@pytest.fixture(scope="module")
def of_all_kinds(tmp_path_factory):
    """A run in which a region has the bases of a window."""
    folder = tmp_path_factory.mktemp("all")
    rows = [(start + first, start + first + n) for start, _, _ in PLACES for first, n in ((8, 8), (3, 4))]
    (folder / "regions.bed").write_text("".join(f"c1\t{first}\t{last}\t{mark}\n"
                                                for (first, last), mark in zip(rows, "AB" * len(PLACES), strict=True)))
    return run_of_kinds(folder, "single,windows:8,regions,deletions:3", mutant_draws=3, vcf="all",
                        instrument_regions=str(folder / "regions.bed"))


@pytest.fixture(scope="module")
def averaged(tmp_path_factory):
    """A run without single mutants."""
    return run_of_kinds(tmp_path_factory.mktemp("averaged"), "windows:5:4", mutant_draws=3, vcf="all", report=True)


def records(path):
    with pysam.VariantFile(str(path)) as file:
        return list(file)


def predicted(bases, strand):
    """Predictions (member, mark) of bases of the forward strand."""
    seen = dna.encode(bases)
    return np.einsum("la,klam->km", dna.one_hot((dna.reverse_complement(seen) if strand == "-" else seen)[None])[0],
                     weights())


def effect_of(record):
    """Mean over members of what the model says of the genome with a record's ALT in it, less what it says without."""
    start, strand = PLACE[unquote(record.info["LOCUS"])]
    changed = CONTIG[:record.start] + record.alts[0] + CONTIG[record.start + len(record.ref):]
    n_gone = len(CONTIG) - len(changed)
    in_locus = record.pos - start if strand == "+" else start + LENGTH - record.pos - n_gone  # of what is gone
    is_left = (2 * in_locus + n_gone < LENGTH) == (strand == "+")  # the side of the genome from which bases come in
    begin = start - n_gone if n_gone and is_left else start
    window = changed[begin:begin + LENGTH]
    assert len(window) == LENGTH and begin >= 0
    return (predicted(window, strand) - predicted(CONTIG[start:start + LENGTH], strand)).mean(0)


def test_each_record_in_the_genome_gives_its_effect(spelled):
    found = records(spelled / "instruments.vcf.gz")
    for record in found:
        assert CONTIG[record.start:record.stop] == record.ref and record.ref != record.alts[0]
        np.testing.assert_allclose([record.info[f"EFFECT_{mark}"] for mark in MARKS], effect_of(record), rtol=1e-4,
                                   atol=1e-5)
    kinds = {kind: sum(record.info["KIND"] == kind for record in found) for kind in ("single", "windows", "deletions")}
    effects = open_effects(str(spelled / "effects.zarr"))
    lengths = effects["length"].values
    there = {kind: int((lengths[:, effects["kind"].values == kind] > 0).sum()) for kind in kinds}
    assert kinds == there and min(there.values()) >= 30
    assert [record.pos for record in found] == sorted(record.pos for record in found)


def test_a_mean_over_draws_has_an_end(averaged):
    found = records(averaged / "instruments.vcf.gz")
    effects = open_effects(str(averaged / "effects.zarr"))
    stored = {}
    for i, (start, strand, name) in enumerate(PLACES):
        for v, (p, n) in enumerate(zip(effects["position"].values[i], effects["length"].values[i], strict=True)):
            first = start + p if strand == "+" else start + LENGTH - p - n
            stored[name, int(first), int(n)] = effects["effect"].values[i, v]
    for record in found:
        n = record.info["SVLEN"][0]
        first = record.stop - n
        assert record.alts == ("<ABLATED>",) and record.info["DRAWS"] == 3 and record.info["KIND"] == "windows"
        assert (record.pos, record.ref) == ((first, CONTIG[first - 1]) if first else (1, CONTIG[0]))
        np.testing.assert_array_equal([record.info[f"EFFECT_{mark}"] for mark in MARKS],
                                      stored.pop((unquote(record.info["LOCUS"]), first, n)))
    assert not stored and len(found) == 5 * 6
    with pysam.VariantFile(str(averaged / "instruments.vcf.gz")) as file:
        assert "ABLATED" in str(file.header) and len(list(file.fetch("c1", 176, 200))) == 6


@pytest.mark.skipif(not shutil.which("bcftools"), reason="bcftools is not installed")
@pytest.mark.parametrize("name", ["spelled", "averaged"])
def test_bcftools_reads_them_and_finds_ref_in_the_genome(name, request):
    folder = request.getfixturevalue(name)
    path = str(folder / "instruments.vcf.gz")
    done = subprocess.run(["bcftools", "norm", "-c", "e", "-f", str(folder.parent / "genome.fa"), path],
                          capture_output=True, text=True)
    assert done.returncode == 0 and "REF" not in done.stderr and "rror" not in done.stderr
    part = subprocess.run(["bcftools", "view", "-H", "-r", "c1:178-180", path], capture_output=True, text=True,
                          check=True)
    assert 0 < len(part.stdout.splitlines()) < len(records(path)) and part.stderr == ""


def annotated(folder, path, tmp_path):
    pipeline.annotate(str(folder), str(path), str(tmp_path / "annotated.vcf"))
    return records(tmp_path / "annotated.vcf")


def genome_of(record):
    return CONTIG[:record.start] + record.alts[0] + CONTIG[record.stop:]


@pytest.mark.parametrize("name", ["spelled", "averaged", "of_all_kinds"])
def test_annotate_finds_each_mutant_of_the_run_in_its_own_vcf(name, request, tmp_path):
    """Of loci that overlap, of deletions that are the same, of windows and regions of the same bases its own."""
    folder = request.getfixturevalue(name)
    ours, kinds = records(folder / "instruments.vcf.gz"), Counter()
    for record, before in zip(annotated(folder, folder / "instruments.vcf.gz", tmp_path), ours, strict=True):
        assert record.info["DEEPMR_STATUS"] == ("predicted",) and record.info["DEEPMR_LOCUS"] == before.info["LOCUS"]
        assert [record.info[f"DEEPMR_EFFECT_{mark}"][0] for mark in MARKS] == [
            before.info[f"EFFECT_{mark}"] for mark in MARKS]
        assert (record.info["DEEPMR_INSTRUMENT"] != (".",)) == (list(before.filter) == ["PASS"])
        kinds[before.info["KIND"]] += 1
    effects = open_effects(str(folder / "effects.zarr"))
    assert kinds == Counter(np.broadcast_to(effects["kind"].values, effects["length"].shape)[
        effects["length"].values > 0].tolist())


def test_annotate_tells_of_nothing_else(spelled, averaged, tmp_path):
    window = next(record for record in records(spelled / "instruments.vcf.gz") if record.info["KIND"] == "windows")
    lines = ["##fileformat=VCFv4.3", "##contig=<ID=c1,length=200>", "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"]
    other = window.alts[0][:-1] + next(base for base in "ACGT" if base not in (window.alts[0][-1], window.ref[-1]))
    rows = [(window.pos, window.ref, other),  # other bases than those predicted
            (45, CONTIG[44:50], CONTIG[44]),  # a deletion of five
            (45, CONTIG[44], CONTIG[44] + "ACG"), (60, CONTIG[59], "ACGT".replace(CONTIG[59], "")[0])]
    (tmp_path / "in.vcf").write_text("\n".join(
        [*lines, *(f"c1\t{pos}\t.\t{ref}\t{alt}\t.\t.\t." for pos, ref, alt in sorted(rows))]) + "\n")
    for folder, last in ((spelled, "predicted"), (averaged, "no_single")):
        found = {(record.pos, record.alts[0]): record.info["DEEPMR_STATUS"][0]
                 for record in annotated(folder, tmp_path / "in.vcf", tmp_path)}
        assert [found[pos, alt] for pos, _, alt in rows] == ["mnv", "indel", "indel", last]
        (tmp_path / "annotated.vcf").rename(tmp_path / "last.vcf")
    assert "the run has no single mutants" in (tmp_path / "last.vcf").read_text()


def test_the_report_holds_mutants_of_every_kind(spelled, averaged):
    for folder, n_letters in ((spelled, LENGTH), (averaged, 0)):
        effects, blocks = open_effects(str(folder / "effects.zarr")), held(folder / "report.html")
        mutants = StoredMutants(effects)
        details = {name: block for name, block in blocks.items() if name.startswith("locus-")}
        assert details
        for number, detail in enumerate(details[f"locus-{i}"] for i in range(len(details))):
            other, length = detail["others"], effects["length"].values[number]
            variants = np.array(other["variant"])
            assert variants.tolist() == np.flatnonzero((mutants.kind != "single") & (length > 0)).tolist()
            assert other["position"] == effects["position"].values[number, variants].tolist()
            assert other["length"] == length[variants].tolist()
            assert other["kind"] == mutants.kind[variants].tolist()
            assert other["alt"] == effects["alt_base"].values[number, variants].tolist()
            assert other["draws"] == effects["draws"].values[variants].tolist()
            for m, mark in enumerate(MARKS):
                np.testing.assert_allclose(other["loss"][mark], -effects["effect"].values[number, variants, m], 1e-2)
                assert len(detail["track"][mark]) == n_letters
            assert detail["sequence"] == "".join(effects["sequence"].values[number])


def test_tracks_have_features_as_wide_as_the_mutants(spelled, averaged, tmp_path):
    for folder, has_bases in ((spelled, True), (averaged, False)):
        made = tmp_path / folder.parent.name
        counts = pipeline.tracks(str(folder), str(made)).counts
        effects = open_effects(str(folder / "effects.zarr"))
        wide, length = effects["kind"].values != "single", effects["length"].values
        assert counts.wide == (length[:, wide] > 0).sum() and (counts.bases > 0) == has_bases
        assert (made / "A.effects.bedGraph").exists() == has_bases
        assert (b".effects." in (made / "igv_session.xml").read_bytes()) == has_bases
        rows = [line.split("\t") for line in (made / "B.mutants.bed").read_text().splitlines()]
        expected = []
        for i, (start, strand, name) in enumerate(PLACES):
            for v in np.flatnonzero(wide & (length[i] > 0)):
                p, n = int(effects["position"].values[i, v]), int(length[i, v])
                first = start + p if strand == "+" else start + LENGTH - p - n
                expected.append((first, first + n, name, str(effects["kind"].values[v]),
                                 float(f"{effects['effect'].values[i, v, 1]:.9g}")))
        found = [(int(r[1]), int(r[2]), *unquote(r[3]).rsplit(":", 1), float(r[9])) for r in rows]
        assert sorted(found) == sorted(expected) and [row[:2] for row in found] == sorted(row[:2] for row in found)
        instruments = [line.split("\t") for line in (made / "A.instruments.bed").read_text().splitlines()]
        assert len({int(end) - int(start) for _, start, end, *_ in instruments}) == (4 if has_bases else 1)


@pytest.mark.parametrize("name", ["spelled", "averaged"])
def test_plot_tracks_draws_spans(name, request, tmp_path):
    folder = request.getfixturevalue(name)
    assert main(["plot", "tracks", str(folder), "--locus", "over", "--exposure", "A", "--outcome", "B",
                 "-o", str(tmp_path / "tracks.svg")]) == 0
    text = (tmp_path / "tracks.svg").read_text()
    assert text.count("windows") >= 2 and ("deletions" in text) == (name == "spelled")


def test_pairs_are_left_out_of_the_vcf_and_one_line_says_so(tmp_path, caplog):
    bed = tmp_path / "regions.bed"
    bed.write_text("c1\t52\t57\tA\nc1\t60\t66\tB\n")
    folder = run_of_kinds(tmp_path, "single,pairs", mutant_draws=2, vcf="all", instruments="regions",
                          instrument_regions=str(bed))
    assert sum("--mutants pairs are left out" in message for message in caplog.messages) == 1
    kinds = {record.info["KIND"] for record in records(folder / "instruments.vcf.gz")}
    assert kinds == {"single", "regions"}


def test_natural_variants_are_the_same_before_and_after_predicting(tmp_path):
    """Known by number before there is a store, and of a store; windows and pairs are none of them."""
    vcf, bed = tmp_path / "in.vcf", tmp_path / "regions.bed"
    rows = [f"c1\t{p + 1}\t.\t{CONTIG[p]}\t{'ACGT'.replace(CONTIG[p], '')[p % 3]}\t.\t.\t." for p in range(0, 200, 2)]
    vcf.write_text("\n".join(["##fileformat=VCFv4.3", "##contig=<ID=c1,length=200>",
                              "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO", *rows]) + "\n")
    natural = {"instruments": "variants", "input_vcf": str(vcf), "method": ["ivw"], "instrument_z": 0.5,
               "se_shrinkage": "none", "min_instruments": 1, "vcf": "all"}
    folder = run_of_kinds(tmp_path, "single,windows:5:4", **natural)
    pipeline.estimate(str(folder / "effects.zarr"), str(tmp_path / "local.tsv"), diagnostics="none",
                      fasta_file=str(tmp_path / "genome.fa"), **natural)
    assert (tmp_path / "local.tsv").read_bytes() == (folder / "local.tsv").read_bytes()
    passed = [record for record in records(folder / "instruments.vcf.gz") if list(record.filter) == ["PASS"]]
    named = {(int(row.split("\t")[1]), *row.split("\t")[3:5]) for row in rows}
    assert {(record.pos, record.ref, record.alts[0]) for record in passed} <= named
    assert len(passed) > 20 and {record.info["KIND"] for record in passed} == {"single"}
    bed.write_text("c1\t52\t57\tA\nc1\t60\t66\tB\n")
    loci = Loci.from_bed(str(tmp_path / "loci.bed"), str(tmp_path / "genome.fa"))
    planned_loci = planned(Selection(loci, {}, len(loci), str(tmp_path / "genome.fa")), list(MARKS),
                           mutants="regions,pairs",
                           instrument_regions=str(bed)).loci
    with_pairs = run_of_kinds(tmp_path / "pairs", "regions,pairs", instruments="regions",
                              instrument_regions=str(bed))
    ours, stored = LocusIndex.of_loci(planned_loci), index_of(open_effects(str(with_pairs / "effects.zarr")))
    assert ours.n_variants == stored.n_variants and ours.has_single and stored.has_single
    for locus in range(len(planned_loci)):
        for position in range(LENGTH):
            assert bool(ours.is_mutated(locus, position)) == bool(stored.is_mutated(locus, position))
