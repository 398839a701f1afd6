"""`annotate`: values against the store, records kept as they were, and VCF files of every odd kind."""

import gzip
import json
import os
import re
import shutil
import subprocess
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pysam
import pytest
from commands import refused
from conftest import LENGTH, member_weights
from finished_runs import PLAIN, PLAIN_WORDS, seal, write_run
from vcf_files import COLUMNS, COMPLEMENT, META, forward, info, line, lines, records, snvs, write

from kipoi_deepmr import calibration, dna, effects_store, pipeline
from kipoi_deepmr.calibration.fit import Counts
from kipoi_deepmr.cli import main
from kipoi_deepmr.output import annotated_vcf
from kipoi_deepmr.runs.finished import FinishedRun
from kipoi_deepmr.variants import Allele, LocusIndex, classify

MARKS = ("A&B", "C d", "x>y")
KEYS = ("A_B", "C_d", "x_y")

needs_bcftools = pytest.mark.skipif(not shutil.which("bcftools"), reason="bcftools is not installed")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Folder and effects of a run of 8 loci of 30 bases at 0, 100, ... of chr1, the odd ones on the - strand."""
    folder = tmp_path_factory.mktemp("annotate") / "OUT"
    effects = write_run(folder, MARKS, "none")
    return folder, effects


def annotate(run, path, output, **options):
    return pipeline.annotate(str(run[0]), str(path), str(output), **options)


def numbers(values):
    return [np.nan if v == "." else float(v) for v in values]


@pytest.mark.main_job
def test_effects_are_those_of_the_store(run, tmp_path):
    folder, effects = run
    path = write(tmp_path / "in.vcf", [line(*v) for i in range(8) for v in snvs(effects, i)])
    result = annotate(run, path, tmp_path / "out.vcf.gz")
    found = records(tmp_path / "out.vcf.gz")
    mask = FinishedRun(str(folder)).rule.mask(effects["effect"].values, effects["effect_se"].values)
    n_instruments = 0
    for columns in found:
        told, locus = info(columns), int(columns[1]) // 100
        minus = effects["strand"][locus] == "-"
        offset = int(columns[1]) - 1 - 100 * locus
        ref, alt = (COMPLEMENT[x] if minus else x for x in columns[3:5])
        at = np.flatnonzero((effects["position"].values == (29 - offset if minus else offset))
                            & (effects["alt_base"][locus].values == alt))
        assert len(at) == 1 and effects["ref_base"].values[locus, at[0]] == ref
        assert told["LOCUS"] == [f"locus{locus}"] and told["STATUS"] == ["predicted"]
        assert told["LOCUS_STRAND"] == ["-" if minus else "+"]
        for mark, key in enumerate(KEYS):
            assert np.float32(told[f"EFFECT_{key}"][0]) == effects["effect"].values[locus, at[0], mark]
            assert np.float32(told[f"SE_{key}"][0]) == effects["effect_se"].values[locus, at[0], mark]
        expected = [MARKS[j] for j in np.flatnonzero(mask[locus, at[0]])]
        assert [unquote(x) for x in told["INSTRUMENT"][0].split("&")] == (expected or ["."])
        n_instruments += bool(expected)
    assert len(found) == 8 * 90 == result.counts["annotated"] == result.alleles["predicted"]
    assert 0 < n_instruments == result.counts["instruments"] == mask.any(2).sum() < 8 * 90


def check_causal(told, pairs, folder, locus):
    local, global_ = (pd.read_csv(folder / name, sep="\t").set_index(["exposure", "outcome", "method"])
                      for name in ("local.tsv", "global.tsv"))
    local = local[local["locus"] == locus]
    assert [tuple(unquote(side) for side in pair.split(">")) for pair in told["PAIRS"]] == pairs
    for method in ("ivw", "egger"):
        at = [(*pair, method) for pair in pairs]
        for key, column, table in (("CE", "estimate", local), ("CE_SE", "se", local), ("GLOBAL", "estimate", global_),
                                   ("GLOBAL_SE", "se", global_)):
            np.testing.assert_allclose(numbers(told[f"{key}_{method}"]), table.loc[at, column], rtol=1e-8)


def test_causal_effects_are_those_of_the_tables(run, tmp_path):
    folder, effects = run
    path = write(tmp_path / "in.vcf", [line(*v) for v in snvs(effects, 3)])
    annotate(run, path, tmp_path / "all.vcf")
    every = [(x, y) for x in MARKS for y in MARKS if x != y]
    check_causal(info(records(tmp_path / "all.vcf")[0]), every, folder, "locus3")
    annotate(run, path, tmp_path / "few.vcf", causal_effects="instruments")
    seen = set()
    for columns in records(tmp_path / "few.vcf"):
        told = info(columns)
        exposures = [unquote(x) for x in told["INSTRUMENT"][0].split("&")]
        pairs = [pair for pair in every if pair[0] in exposures]
        seen.add(len(pairs))
        if pairs:
            check_causal(told, pairs, folder, "locus3")
        else:
            assert not {"PAIRS", "CE_ivw", "GLOBAL_ivw"} & set(told)
    assert {0, 6} <= seen


def test_what_is_not_ours_stays_as_it_is(run, tmp_path):
    """Numbers of ten digits, tags that no header declares, odd spaces, sample columns: byte for byte."""
    pos, ref, alt = snvs(run[1], 0, [12])[0]
    kept = [f"chr1\t{pos}\trs1;x\t{ref}\t{alt}\t1.234567891\tq10;zz\tAF=0.123456789;UNKNOWN=a b;DB\tGT:XX\t0/1:é\t./.",
            "chr9\t77\t.\tA\t<DEL>\t.\t.\t.\tGT\t1|0\t1/1",
            f"chr1\t{pos}\t.\t{ref}\t{alt}\t.\t.\t.\tGT\t1\t0",
            f"chr1\t{pos}\t.\t{ref}\t{alt}\t.\t.\tDB;\tGT\t1\t0"]
    columns = COLUMNS + "\tFORMAT\ts 1\ts2"
    path = write(tmp_path / "in.vcf", kept, [*META, "##odd line"], columns)
    annotate(run, path, tmp_path / "out.vcf")
    found = lines(tmp_path / "out.vcf")
    assert found[:len(META) + 1] == [*META, "##odd line"] and columns in found
    body = found[found.index(columns) + 1:]
    for before, after in zip(kept, body, strict=True):
        old, new = before.split("\t"), after.split("\t")
        assert new[:7] + new[8:] == old[:7] + old[8:]
        stem = {".": "", "DB;": "DB;"}.get(old[7], old[7] + ";")
        assert (new[7] == old[7]) if old[0] == "chr9" else new[7].startswith(stem + "DEEPMR_LOCUS=locus0;")


ODD_ALLELES = {
    # REF and ALTs as offsets and letters at locus 0, whose letters are r[0], r[1], ...: what becomes of each
    "mnv": (lambda r: (5, r[5] + r[6], COMPLEMENT[r[5]] + COMPLEMENT[r[6]]), "mnv"),
    "snv written long": (lambda r: (5, r[5] + r[6], r[5] + COMPLEMENT[r[6]]), "predicted"),
    "deletion": (lambda r: (5, r[5] + r[6], r[5]), "indel"),
    "insertion": (lambda r: (5, r[5], r[5] + "ACG"), "indel"),
    "symbolic": (lambda r: (5, r[5], "<DEL>"), "symbolic"),
    "gvcf": (lambda r: (5, r[5], "<NON_REF>"), "symbolic"),
    "spanning": (lambda r: (5, r[5], "*"), "spanning_deletion"),
    "breakend": (lambda r: (5, r[5], f"{r[5]}[chr2:7["), "breakend"),
    "single breakend": (lambda r: (5, r[5], f"{r[5]}."), "breakend"),
    "iupac": (lambda r: (5, r[5], "R"), "ambiguous"),
    "none": (lambda r: (5, r[5], "."), "no_alt"),
    "same": (lambda r: (5, r[5], r[5].lower()), "same_as_ref"),
    "lower case": (lambda r: (5, r[5].lower(), COMPLEMENT[r[5]].lower()), "predicted"),
    "other REF": (lambda r: (5, COMPLEMENT[r[5]], r[5]), "ref_mismatch"),
    "no REF": (lambda r: (5, "", "A"), "ref_mismatch"),
    "N in REF": (lambda r: (5, "N", "A"), "ref_mismatch"),
    "other REF of an indel": (lambda r: (5, COMPLEMENT[r[5]], COMPLEMENT[r[5]] + "A"), "ref_mismatch"),
    "deletes what is after": (lambda r: (29, r[29] + "ACGT", r[29]), "outside"),
    "inserts after the end": (lambda r: (29, r[29], r[29] + "ACGT"), "outside"),
}


@pytest.mark.parametrize("case", ODD_ALLELES)
def test_what_becomes_of_an_allele(run, tmp_path, case):
    make, status = ODD_ALLELES[case]
    offset, ref, alt = make(forward(run[1], 0))
    path = write(tmp_path / "in.vcf", [line(offset + 1, ref, alt)])
    result = annotate(run, path, tmp_path / "out.vcf")
    told = info(records(tmp_path / "out.vcf")[0])
    assert told["STATUS"] == [status] and result.alleles == {status: 1} and result.counts["inside"] == 1
    assert ("EFFECT_C_d" in told) == (status == "predicted")


def test_alleles_of_one_record_are_told_one_by_one(run, tmp_path):
    r, effects = forward(run[1], 2), run[1]
    first, second = [x for x in "ACGT" if x != r[4]][:2]
    path = write(tmp_path / "in.vcf", [line(205, r[4], f"{first},<DEL>,{r[4]}A,*,{second}", "AF=0.1,0.2,0.3,0.4,0.5")])
    result = annotate(run, path, tmp_path / "out.vcf")
    told = info(records(tmp_path / "out.vcf")[0])
    assert told["STATUS"] == ["predicted", "symbolic", "indel", "spanning_deletion", "predicted"]
    alone = [effects["effect"].values[2, 12 + "ACGT".replace(r[4], "").index(x), 0] for x in (first, second)]
    np.testing.assert_array_equal(np.float32(numbers(told["EFFECT_A_B"])), [alone[0], np.nan, np.nan, np.nan, alone[1]])
    assert all(len(told[key]) == 5 for key in told if key.startswith(("EFFECT", "SE", "INSTRUMENT")))
    assert result.alleles == {"predicted": 2, "symbolic": 1, "indel": 1, "spanning_deletion": 1}


@pytest.mark.parametrize("ref, alt, expected", [
    (b"A", b"C", ("snv", 0, b"A", b"C")), (b"CAT", b"CGT", ("snv", 1, b"A", b"G")),
    (b"CA", b"C", ("indel", 1, b"A", b"")), (b"C", b"CAA", ("indel", 1, b"", b"AA")),
    (b"AAAA", b"AA", ("indel", 0, b"AA", b"")), (b"AAA", b"A", ("indel", 1, b"AA", b"")),
    (b"GCG", b"GG", ("indel", 1, b"C", b"")),
    (b"AC", b"GT", ("mnv", 0, b"AC", b"GT")), (b"ACGT", b"AGCT", ("mnv", 1, b"CG", b"GC")),
    (b"AC", b"AC", ("same_as_ref", 0, b"AC", b"AC")), (b"AC", b"G", ("indel", 0, b"AC", b"G")),
])
def test_classify(ref, alt, expected):
    assert classify(ref, alt) == expected


def test_a_record_goes_to_the_locus_whose_centre_is_nearest():
    """Against a loop over all loci, with ties, both strands and loci without predictions."""
    rng = np.random.default_rng(5)
    n, length = 60, 11
    chrom, start = rng.choice(["a", "b"], n), rng.integers(0, 80, n)
    lost = rng.random(n) < 0.2
    genome = {c: rng.choice(np.frombuffer(b"ACGT", np.uint8), 200) for c in "ab"}
    index = LocusIndex(chrom, start, ["+"] * n, length, lambda i: genome[chrom[i]][start[i]:start[i] + length], lost)
    n_several = 0
    for contig in "abz":
        for position in range(100):
            holding = [i for i in range(n) if chrom[i] == contig and start[i] <= position < start[i] + length]
            ref = bytes(genome[contig][position:position + 1]) if contig != "z" else b"A"
            placed = index.place(contig, position, ref, [b"<X>"])
            if not holding:
                assert placed is None
                continue
            best = min(holding, key=lambda i: (lost[i], abs(start[i] + (length - 1) / 2 - position), i))
            assert (placed.locus, placed.n_loci) == (best, len(holding))
            assert index.is_ref(best, position, ref) and not index.is_ref(best, position, b"N")
            n_several += len(holding) > 1
    assert n_several > 50


def test_a_single_mutant_goes_to_the_nearest_locus_that_mutated_its_base():
    """Against a loop over all loci; indels need no mutant, and keep the nearest locus."""
    rng = np.random.default_rng(6)
    n, length = 40, 11
    start, strand, lost = rng.integers(0, 60, n), rng.choice(["+", "-"], n), rng.random(n) < 0.2
    mutated = rng.random((n, length)) < 0.3  # as the model sees the locus
    genome = rng.choice(np.frombuffer(b"ACGT", np.uint8), 100)

    def sequence(locus):
        bases = genome[start[locus]:start[locus] + length]
        return dna.reverse_complement(bases) if strand[locus] == "-" else bases

    index = LocusIndex(["c"] * n, start, strand, length, sequence, lost, lambda i, position: mutated[i, position])
    n_other = 0
    for position in range(75):
        holding = [i for i in range(n) if start[i] <= position < start[i] + length]
        if not holding:
            continue

        def far(i, position=position):
            return abs(start[i] + (length - 1) / 2 - position)

        def skipped(i, position=position):
            offset = position - start[i]
            return not mutated[i, length - 1 - offset if strand[i] == "-" else offset]

        nearest = min(holding, key=lambda i: (lost[i], far(i), i))
        best = min(holding, key=lambda i: (lost[i], skipped(i), far(i), i))
        ref = bytes(genome[position:position + 1])
        alt = b"ACGT".replace(ref, b"")[:1]
        assert index.place("c", position, ref, [alt]).locus == best
        assert index.place("c", position, ref, [b"<X>", alt]).locus == best
        assert index.place("c", position, ref, [b"<X>"]).locus == nearest
        n_other += best != nearest
    assert n_other > 20


def test_a_locus_without_predictions(tmp_path):
    """Alone it says so; beside one with predictions it steps back, however near."""
    folder = tmp_path / "OUT"
    effects = write_run(folder, ("A", "B"), "none")
    store = effects_store.open_effects(str(folder / "effects.zarr")).load()
    for name in ("effect", "effect_se", "reference", "member_effect"):
        store[name].values[2] = np.nan
    store["start"].values[3], store["end"].values[3] = 210, 240
    store["ref_base"].values[3] = "A"  # T on the forward strand
    store["alt_base"].values[3] = np.tile(list("CGT"), store.sizes["variant"] // 3)
    store.to_zarr(str(folder / "effects.zarr"), mode="w", zarr_format=2)
    pipeline.estimate(str(folder / "effects.zarr"), str(folder / "local.tsv"), vcf="none", instrument_z=1.5,
                      method=["ivw", "egger"], diagnostics="none", **PLAIN)
    seal(folder)
    letters = forward(effects, 2)
    path = write(tmp_path / "in.vcf", [line(205, letters[4], COMPLEMENT[letters[4]]), line(216, "T", "A")])
    result = annotate((folder, store), path, tmp_path / "out.vcf")
    alone, both = (info(x) for x in records(tmp_path / "out.vcf"))
    assert (alone["LOCUS"], alone["STATUS"]) == (["locus2"], ["not_finite"]) and "EFFECT_A" not in alone
    assert (both["LOCUS"], both["STATUS"]) == (["locus3"], ["predicted"])
    assert result.counts["several"] == 1 and result.alleles == {"not_finite": 1, "predicted": 1}


@pytest.mark.parametrize("name", ["in.vcf", "in.vcf.gz", "in.vcf.bgz", "in.bcf"])
def test_kinds_of_input(run, tmp_path, name):
    body = [line(*v, "AF=0.5") for v in snvs(run[1], 1)]
    path = write(tmp_path / name, body)
    result = annotate(run, path, tmp_path / "out.vcf")
    expected = write(tmp_path / "plain.vcf", body)
    annotate(run, expected, tmp_path / "expected.vcf")
    assert records(tmp_path / "out.vcf") == records(tmp_path / "expected.vcf") and result.counts["annotated"] == 90


def test_a_pipe_is_read(run, tmp_path):
    path = write(tmp_path / "in.vcf.bgz", [line(*v) for v in snvs(run[1], 1)])
    out, into = os.pipe()
    with open(path, "rb") as file, open(out, "rb"):
        source = subprocess.Popen(["cat"], stdin=file, stdout=into)
        os.close(into)
        result = annotate(run, f"/dev/fd/{out}", tmp_path / "out.vcf")
        source.wait()
    assert result.counts["annotated"] == 90


def test_output_is_indexed_where_it_is_sorted(run, tmp_path, monkeypatch):
    body = [line(*v) for i in (0, 4) for v in snvs(run[1], i)]
    out = tmp_path / "out.vcf.gz"
    assert annotate(run, write(tmp_path / "in.vcf", body), out).notes == []
    with pysam.VariantFile(str(out)) as file:
        assert [r.pos for r in file.fetch("chr1", 401, 402)] == [402] * 3
    result = annotate(run, write(tmp_path / "in.vcf", body[::-1]), out)
    assert result.notes == ["no index: the records are not sorted (`bcftools sort`)"]
    assert [x[1] for x in records(out)] == [x.split("\t")[1] for x in body[::-1]]
    assert sorted(os.listdir(tmp_path)) == ["in.vcf", "out.vcf.gz"]
    monkeypatch.setattr(annotated_vcf, "TABIX_LIMIT", 100)
    annotate(run, write(tmp_path / "in.vcf", body), out)
    assert sorted(os.listdir(tmp_path)) == ["in.vcf", "out.vcf.gz", "out.vcf.gz.csi"]


def test_to_standard_output(run, tmp_path, capfdbinary):
    path = write(tmp_path / "in.vcf", [line(*v) for v in snvs(run[1], 1)])
    assert main(["annotate", str(run[0]), "--input_vcf", path, "-o", "-"]) == 0
    captured = capfdbinary.readouterr()
    assert captured.out.startswith(b"##fileformat=VCFv4.3\n") and captured.out.count(b"\n") > 90
    assert b"records: 90, 90 in loci" in captured.err
    annotate(run, path, tmp_path / "out.vcf")
    assert captured.out == (tmp_path / "out.vcf").read_bytes()


def test_contigs_of_another_prefix(run, tmp_path, capsys):
    other = [line(pos, ref, alt, chrom="1") for pos, ref, alt in snvs(run[1], 0)]
    path = write(tmp_path / "in.vcf", other)
    message = refused(capsys, ["annotate", run[0], "--input_vcf", path, "-o", tmp_path / "out.vcf.gz"])
    assert "90 records lie on contigs" in message and "--rename-chrs" in message
    path = write(tmp_path / "both.vcf", other + [line(*snvs(run[1], 0)[0])])
    result = annotate(run, path, tmp_path / "out.vcf")
    assert result.counts["other_prefix"] == 90 and "only with another chr prefix" in result.notes[0]
    path = write(tmp_path / "none.vcf", [line(1, "A", "C", chrom="NC_000001.11")])
    assert annotate(run, path, tmp_path / "out.vcf").notes == [
        "no record is in a locus of the run, whose loci are on chr1"]


GOOD = "\n".join([*META, COLUMNS, line(1, "A", "C")]) + "\n"
REFUSED = {
    "nothing in it": (b"", "the file is empty"),
    "gzip of nothing": (gzip.compress(b""), "the file is empty"),
    "no VCF": (b"chr1\t1\t2\n", "must begin with ##fileformat=VCF"),
    "no line of columns": (b"##fileformat=VCFv4.2\nchr1\t1\t.\tA\tC\t.\t.\t.\n", "line 2: the header must end with"),
    "blanks in the line of columns": (b"##fileformat=VCFv4.2\n#CHROM POS ID REF ALT QUAL FILTER INFO\n",
                                      "parted by tabs"),
    "blanks between columns": (GOOD.encode() + b"chr1 1 . A C . . .\n", "line 9: 1 columns, and the header has 8"),
    "a column too few": (GOOD.encode() + b"chr1\t1\t.\tA\tC\t.\t.\n", "line 9: 7 columns"),
    "a column too many": (GOOD.encode() + b"chr1\t1\t.\tA\tC\t.\t.\t.\tGT\n", "line 9: 9 columns"),
    "POS is no number": (GOOD.encode() + line("1e3", "A", "C").encode() + b"\n", "line 9: POS must be a whole number"),
    "negative POS": (GOOD.encode() + line(-1, "A", "C").encode() + b"\n", "POS must be a whole number, not '-1'"),
    "gzip cut off": (gzip.compress((GOOD + (line(1, "A", "C") + "\n") * 50).encode())[:-12],
                     "cut off or damaged after line"),
    "gzip damaged": (gzip.compress(GOOD.encode(), mtime=0)[:60] + b"xxxx" + gzip.compress(GOOD.encode())[64:],
                     "cut off or damaged after line"),
    "binary": (bytes(range(256)), "must begin with ##fileformat=VCF"),
    "annotated before": (GOOD.replace("ID=DB", "ID=DEEPMR_STATUS").encode(), "annotated before"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_files_that_are_refused(run, tmp_path, capsys, what):
    content, expected = REFUSED[what]
    (tmp_path / "in.vcf").write_bytes(content)
    (tmp_path / "out.vcf.gz").write_bytes(b"of before")
    message = refused(capsys, ["annotate", run[0], "--input_vcf", tmp_path / "in.vcf", "-o", tmp_path / "out.vcf.gz"])
    assert "in.vcf" in message and re.search(expected, message)
    assert sorted(os.listdir(tmp_path)) == ["in.vcf", "out.vcf.gz"]
    assert (tmp_path / "out.vcf.gz").read_bytes() == b"of before"


@pytest.mark.parametrize("cut", [28, 40, 5000])
def test_a_bgzf_file_that_is_cut_off(run, tmp_path, capsys, cut):
    """28 bytes: only the block that marks the end is missing, and every line is there."""
    path = write(tmp_path / "in.vcf.bgz", [line(*v) for i in range(8) for v in snvs(run[1], i)] * 20)
    whole = (tmp_path / "in.vcf.bgz").read_bytes()
    assert len(whole) > 10_000
    (tmp_path / "in.vcf.bgz").write_bytes(whole[:-cut])
    message = refused(capsys, ["annotate", run[0], "--input_vcf", path, "-o", tmp_path / "out.vcf.gz"])
    assert "cut off" in message and sorted(os.listdir(tmp_path)) == ["in.vcf.bgz"]


def test_a_bcf_file_that_is_cut_off(run, tmp_path, capsys):
    path = write(tmp_path / "in.bcf", [line(*v) for i in range(8) for v in snvs(run[1], i)] * 20)
    content = (tmp_path / "in.bcf").read_bytes()
    (tmp_path / "in.bcf").write_bytes(content[:len(content) // 2])
    message = refused(capsys, ["annotate", run[0], "--input_vcf", path, "-o", tmp_path / "out.vcf.gz"])
    assert "in.bcf" in message and not (tmp_path / "out.vcf.gz").exists()


@pytest.mark.parametrize("what", ["no contigs", "CRLF", "byte order mark", "blank lines", "version 4.1",
                                  "no last line end"])
def test_odd_files_that_are_read(run, tmp_path, what):
    body = [line(*v) for v in snvs(run[1], 1)]
    path = tmp_path / "in.vcf"
    meta = {"no contigs": [x for x in META if "contig" not in x], "version 4.1": ["##fileformat=VCFv4.1", *META[1:]]}
    write(path, [*body, "", ""] if what == "blank lines" else body, meta.get(what, META),
          end="\r\n" if what == "CRLF" else "\n")
    if what == "byte order mark":
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    if what == "no last line end":
        path.write_bytes(path.read_bytes().rstrip(b"\n"))
    result = annotate(run, path, tmp_path / "out.vcf")
    content = (tmp_path / "out.vcf").read_bytes()
    assert result.counts["annotated"] == 90 == len(records(tmp_path / "out.vcf"))
    assert content.startswith(b"##fileformat") and b"\r" not in content and b"\n\n" not in content
    assert result.notes == (["line ends of Windows (CR LF) became LF"] if what == "CRLF" else [])


def test_records_named_twice_are_told_twice(run, tmp_path):
    body = [line(*snvs(run[1], 1)[0])] * 2
    annotate(run, write(tmp_path / "in.vcf", body), tmp_path / "out.vcf")
    first, second = records(tmp_path / "out.vcf")
    assert first == second and info(first)["STATUS"] == ["predicted"]


def test_no_records(run, tmp_path):
    result = annotate(run, write(tmp_path / "in.vcf", []), tmp_path / "out.vcf.gz")
    assert result.counts["records"] == 0 and result.notes == [] and records(tmp_path / "out.vcf.gz") == []


def test_the_header_is_valid(run, tmp_path):
    annotate(run, write(tmp_path / "in.vcf", []), tmp_path / "out.vcf")
    keys = [re.match(r"##INFO=<ID=([A-Za-z_][0-9A-Za-z_.]*),Number=(A|1|0|\.),Type=(Float|String|Flag),Description=\"",
                     x)[1] for x in lines(tmp_path / "out.vcf") if x.startswith("##INFO")]
    assert len(keys) == len(set(keys)) == 2 + 3 + 6 + 1 + 1 + 8
    with pysam.VariantFile(str(tmp_path / "out.vcf")) as file:
        assert set(file.header.info) == set(keys)
        assert file.header.info["DEEPMR_SE_x_y"].description.endswith("mark: x>y")


def test_marks_that_part_values_are_encoded(run, tmp_path):
    annotate(run, write(tmp_path / "in.vcf", [line(*v) for v in snvs(run[1], 1)]), tmp_path / "out.vcf")
    shown = {x for columns in records(tmp_path / "out.vcf") for x in info(columns)["INSTRUMENT"][0].split("&")}
    assert shown == {".", "A%26B", "C%20d", "x%3Ey"}


@needs_bcftools
@pytest.mark.parametrize("contigs", [True, False])
def test_bcftools_reads_it(run, tmp_path, contigs):
    body = [line(*v, "AF=0.1") for i in range(8) for v in snvs(run[1], i)] + [line(2000, "A", "<DEL>", "AF=1")]
    meta = META if contigs else [x for x in META if "contig" not in x]
    annotate(run, write(tmp_path / "in.vcf", body, meta), tmp_path / "out.vcf.gz")
    viewed = ["bcftools", "view", "-H", tmp_path / "out.vcf.gz"]
    done = subprocess.run(viewed, capture_output=True, text=True, check=True)
    assert done.stderr == "" and len(done.stdout.splitlines()) == len(body)
    query = ["bcftools", "query", "-r", "chr1:401-430", "-i", 'DEEPMR_STATUS="predicted" && ABS(DEEPMR_EFFECT_C_d)>2',
             "-f", "%POS\t%DEEPMR_EFFECT_C_d\n", tmp_path / "out.vcf.gz"]
    found = subprocess.run(query, capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(found) == (np.abs(run[1]["effect"].values[4, :, 1]) > 2).sum() > 0
    if contigs:
        subprocess.run(["bcftools", "view", "-Ob", "-o", tmp_path / "o.bcf", tmp_path / "out.vcf.gz"], check=True)
        again = subprocess.run(["bcftools", "view", "-H", tmp_path / "o.bcf"], capture_output=True, text=True)
        assert again.stdout == done.stdout


@pytest.mark.skipif(not shutil.which("vcf-validator"), reason="vcftools is not installed")
def test_vcf_validator_finds_nothing_wrong(run, tmp_path):
    body = [line(*v, "AF=0.1") for i in range(8) for v in snvs(run[1], i)]
    r = forward(run[1], 0)
    body += [line(101, forward(run[1], 1)[0], "<DEL>,*,N", "AF=0.1,0.2,0.3"), line(1, r[0] + r[1], r[0], "AF=0.5")]
    body.sort(key=lambda x: int(x.split("\t")[1]))
    annotate(run, write(tmp_path / "in.vcf", body, ["##fileformat=VCFv4.2", "##reference=x", *META[1:]]),
             tmp_path / "out.vcf.gz")
    done = subprocess.run(["vcf-validator", tmp_path / "out.vcf.gz"], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_too_many_pairs_for_every_record(run, tmp_path, capsys, monkeypatch):
    from kipoi_deepmr.output import causal_text

    path = write(tmp_path / "in.vcf", [line(*v) for v in snvs(run[1], 1)])
    monkeypatch.setattr(causal_text, "MOST_PAIRS", 5)
    message = refused(capsys, ["annotate", run[0], "--input_vcf", path, "-o", tmp_path / "out.vcf"])
    assert "6 pairs" in message and "--causal_effects instruments" in message
    assert main(["annotate", str(run[0]), "--input_vcf", path, "--causal_effects", "instruments", "-q", "-o",
                 str(tmp_path / "out.vcf")]) == 0


def test_wrong_folders_and_names(run, tmp_path, capsys):
    path = write(tmp_path / "in.vcf", [])
    assert "not a run folder" in refused(capsys, ["annotate", tmp_path, "--input_vcf", path, "-o", tmp_path / "o.vcf"])
    assert "no such VCF" in refused(capsys, ["annotate", run[0], "--input_vcf", tmp_path / "x", "-o",
                                             tmp_path / "o.vcf"])
    assert "must end in .vcf.gz or .vcf" in refused(capsys, ["annotate", run[0], "--input_vcf", path, "-o",
                                                             tmp_path / "o.bcf"])
    copy = tmp_path / "OUT"
    shutil.copytree(run[0], copy)
    text = (copy / "local.tsv").read_text().splitlines(keepends=True)
    (copy / "local.tsv").write_text("".join(text[:-1]))
    assert "local.tsv is not what the run wrote" in refused(capsys, ["annotate", copy, "--input_vcf", path, "-o",
                                                                     tmp_path / "o.vcf"])
    seal(copy)
    assert "local.tsv is not the table of the run" in refused(capsys, ["annotate", copy, "--input_vcf", path, "-o",
                                                                       tmp_path / "o.vcf"])
    shutil.rmtree(copy / "effects.zarr")
    assert "effects.zarr is missing" in refused(capsys, ["annotate", copy, "--input_vcf", path, "-o",
                                                         tmp_path / "o.vcf"])
    assert sorted(os.listdir(tmp_path)) == ["OUT", "in.vcf"]


def test_what_cannot_be_written(run, tmp_path, capsys):
    path = write(tmp_path / "in.vcf", [])
    message = refused(capsys, ["annotate", run[0], "--input_vcf", path, "-o", tmp_path / "no" / "out.vcf"])
    assert f"there is no folder {tmp_path}/no" in message


def test_few_effects_are_held_at_a_time(run, tmp_path, monkeypatch):
    """Loci read anew for each record give the same file."""
    from kipoi_deepmr.output import stored_loci

    path = write(tmp_path / "in.vcf", [line(*v) for k in range(30) for i in (7, 0, 3) for v in snvs(run[1], i, [k])])
    annotate(run, path, tmp_path / "held.vcf")
    monkeypatch.setattr(stored_loci, "HELD_BYTES", 1)
    monkeypatch.setattr(effects_store, "loci_per_block", lambda *sizes: 1)
    monkeypatch.setattr(annotated_vcf, "BATCH", 7)
    monkeypatch.setattr(annotated_vcf, "BATCH_BYTES", 100)
    annotate(run, path, tmp_path / "out.vcf")
    assert (tmp_path / "out.vcf").read_bytes() == (tmp_path / "held.vcf").read_bytes()


class Model:
    """A run of the toy models, whose predictions of any sequence are sums of weights."""

    def __init__(self, folder, models, bed, fasta):
        self.out, self.fasta = folder / "OUT", fasta
        self.predicting = ["--predict_indels", "--models", *models, "--source", "dir"]
        assert main(["run", *models, "--source", "dir", "--intervals_file", bed, "--fasta_file", fasta, *PLAIN_WORDS,
                     "--method", "ivw", "--instrument_z", "1", "--no_report", "-q", "-o", str(self.out)]) == 0
        self.effects = effects_store.open_effects(str(self.out / "effects.zarr")).load()
        self.chr1 = "".join(open(fasta).read().split(">chr2")[0].split("\n")[1:]).upper()

    def predicted(self, window, strand):
        if strand == "-":
            window = "".join(COMPLEMENT[x] for x in reversed(window))
        one_hot = np.eye(4)[["ACGT".index(x) for x in window]]
        return np.einsum("la,klam->km", one_hot, member_weights())

    def expected(self, locus, window):
        strand, start = str(self.effects["strand"].values[locus]), int(self.effects["start"][locus])
        member = self.predicted(window, strand) - self.predicted(self.chr1[start:start + LENGTH], strand)
        return member.mean(0), member.std(0, ddof=1)


@pytest.fixture
def model(tmp_path, models, bed_file, genome_file):
    return Model(tmp_path, models, bed_file, genome_file)


def indels(model, locus):
    """(POS, REF, ALT, window) in a locus of 12 bases: which bases of the FASTA come in or go out, by hand."""
    g, s = model.chr1, int(model.effects["start"][locus])
    other = "".join(COMPLEMENT[x] for x in g[s + 3:s + 5])
    return [
        # left of the centre the right side stays: a deletion of 2 takes in two bases on the left
        (s + 3, g[s + 2:s + 5], g[s + 2], g[s - 2:s + 3] + g[s + 5:s + 12]),
        # an insertion of 2 pushes two out on the left
        (s + 3, g[s + 2], g[s + 2] + "CA", g[s + 2] + "CA" + g[s + 3:s + 12]),
        # right of the centre the left side stays
        (s + 9, g[s + 8:s + 11], g[s + 8], g[s:s + 9] + g[s + 11:s + 14]),
        (s + 9, g[s + 8], g[s + 8] + "CA", g[s:s + 9] + "CA" + g[s + 9]),
        (s + 4, g[s + 3:s + 5], other, g[s:s + 3] + other + g[s + 5:s + 12]),
    ]


@pytest.mark.parametrize("locus", [1, 2])  # of the - and the + strand
def test_indels_are_predicted_in_windows_that_hold_them(model, tmp_path, locus):
    cases = indels(model, locus)
    path = write(tmp_path / "in.vcf", [line(pos, ref, alt) for pos, ref, alt, _ in cases])
    assert main(["annotate", str(model.out), "--input_vcf", path, *model.predicting, "-q", "-o",
                 str(tmp_path / "out.vcf")]) == 0
    found = [info(x) for x in records(tmp_path / "out.vcf")]
    for (_, ref, alt, window), told in zip(cases, found, strict=True):
        assert classify(ref.encode(), alt.encode())[0] in ("indel", "mnv") and len(window) == LENGTH
        assert told["STATUS"] == ["predicted"] and told["INSTRUMENT"] == ["."]
        mean, sd = model.expected(locus, window)
        np.testing.assert_allclose([float(told[f"EFFECT_{m}"][0]) for m in "ABC"], mean, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose([float(told[f"SE_{m}"][0]) for m in "ABC"], sd, rtol=1e-4, atol=1e-5)


def test_windows_that_cannot_be_made():
    """Loci of 12 bases on a contig of 30 with N at 20."""
    genome = b"ACGTTGCAAGTCCATGACGTNCATGGCATC"
    index = LocusIndex(["c"] * 3, [0, 8, 18], ["+"] * 3, 12, lambda i: np.frombuffer(genome, np.uint8)[12:])

    def fetch(start, end):
        return genome[start:end] if 0 <= start and end <= len(genome) else None

    def window(locus, first, ref, alt):
        return index.window(locus, Allele("indel", first, ref, alt, -1), fetch)

    assert window(0, 8, genome[8:10], b"") == genome[:8] + genome[10:14]
    assert window(0, 2, genome[2:4], b"") == "no_window"  # it would begin before the contig
    assert window(2, 26, genome[26:28], b"") == "no_window"  # after its end
    assert window(1, 15, genome[15:17], b"") == "no_window"  # N comes in
    assert window(0, 3, b"", b"ACG") == b"ACG" + genome[3:12]
    assert window(0, 3, b"", b"ACGT") == "too_long"
    assert window(0, 8, genome[8:9], b"AAAAA") == "too_long"
    assert window(0, 8, b"TT", b"") == "ref_mismatch"
    # a deletion from before the locus, and one over all of it
    assert index.window(1, Allele("indel", 6, genome[6:10], b"", -1), fetch) == genome[4:6] + genome[10:20]
    whole = Allele("indel", 7, genome[7:20], b"", -1)
    assert index.window(1, whole, lambda start, end: b"A" * max(0, end - start)) == "ref_mismatch"


def test_indels_at_the_ends_are_counted(model, tmp_path, capsys):
    """The first locus begins at 10: a deletion of 11 bases left of its centre would need one before the contig."""
    g = model.chr1
    path = write(tmp_path / "in.vcf", [line(4, g[3:15], g[3]), line(12, g[11], g[11] + "ACGTACGTACGT")])
    argv = ["annotate", str(model.out), "--input_vcf", path, *model.predicting, "-o", str(tmp_path / "out.vcf")]
    assert main(argv) == 0
    assert [info(x)["STATUS"] for x in records(tmp_path / "out.vcf")] == [["no_window"], ["too_long"]]
    told = capsys.readouterr().out
    assert "1 not predicted: no_window: the window with ALT runs over the contig's end" in told
    assert "1 not predicted: too_long" in told


def test_what_indels_need(model, tmp_path, capsys, monkeypatch):
    pos, ref, alt, _ = indels(model, 2)[0]
    path, out = write(tmp_path / "in.vcf", [line(pos, ref, alt)]), tmp_path / "out.vcf"
    argv = ["annotate", model.out, "--input_vcf", path, "-o", out]
    assert "--fasta_file goes with --predict_indels" in refused(capsys, [*argv, "--fasta_file", model.fasta])
    other = tmp_path / "other.fa"
    # the locus's last base is another; the deleted ones and those around agree
    last = int(model.effects["end"][2]) - 1
    changed = model.chr1[:last] + COMPLEMENT[model.chr1[last]] + model.chr1[last + 1:]
    other.write_text(f">chr1\n{changed}\n")
    assert "not the FASTA that the effects were predicted from" in refused(
        capsys, [*argv, *model.predicting, "--fasta_file", other])
    told = json.loads((model.out / "run.json").read_text())
    for change, words in (({"recipe": None}, "holds no recipe of its models"),
                          ({"recipe": {**told["recipe"], "models": 3}}, "not the recipe of an ensemble: models is 3"),
                          ({"recipe": {**told["recipe"], "nonsense": 1}}, "not the recipe of an ensemble"),
                          ({"settings": {**told["settings"], "models": ["x"]}}, "the models are not those of the run")):
        (model.out / "run.json").write_text(json.dumps({**told, **change}))
        assert words in refused(capsys, [*argv, *model.predicting])
    (model.out / "run.json").write_text(json.dumps(told))
    assert not out.exists()
    monkeypatch.chdir(model.out)
    assert main([str(a) for a in [*argv, *model.predicting, "-q"]]) == 0


def test_a_folder_does_not_say_whose_code_runs(model, tmp_path, capsys):
    """A folder from others names models and a Python of theirs: neither is run, nor by its run.json as --config."""
    pos, ref, alt, _ = indels(model, 2)[0]
    path, out, trap = write(tmp_path / "in.vcf", [line(pos, ref, alt)]), tmp_path / "out.vcf", tmp_path / "sprung"
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\ntouch {trap}\n")
    python.chmod(0o755)
    foreign = tmp_path / "foreign"
    shutil.copytree(model.predicting[2], foreign)
    (foreign / "model.py").write_text(f"open({str(trap)!r}, 'w')\n")
    argv = ["annotate", model.out, "--input_vcf", path, "-o", out]
    told = json.loads((model.out / "run.json").read_text())
    theirs = [str(foreign)] * len(told["recipe"]["models"])
    for recipe in ({"pythons": [str(python)] * len(theirs)}, {"models": theirs}):
        told["arguments"].update(models=theirs, python=[str(python)])
        (model.out / "run.json").write_text(json.dumps({**told, "recipe": {**told["recipe"], **recipe}}))
        assert "name the models with --models" in refused(capsys, [*argv, "--predict_indels"])
        assert "name the models with --models" in refused(
            capsys, [*argv, "--predict_indels", "--config", model.out / "run.json"])
        if "models" in recipe:
            assert main([str(a) for a in [*argv, *model.predicting, "-q"]]) == 0
        else:
            assert "ran in a Python of their own; say --python" in refused(capsys, [*argv, *model.predicting])
        assert "names 1 models of the source dir" in refused(capsys, [*argv, *model.predicting[:3], "--source", "dir"])
    assert not trap.exists()


def test_indels_of_a_calibrated_run(model, tmp_path):
    """Scaling the spread of mark B by 3 leaves effects and the other standard errors as they are."""
    counts = Counts(100, 0, 0)
    moves = {mark: calibration.Scaling(3.0 if mark == "B" else 1.0) for mark in "ABC"}
    fitted = calibration.Calibration("scale", 1, moves, dict.fromkeys("ABC", counts), model.effects.attrs["settings"])
    calibration.write(str(tmp_path / "c.json"), fitted)
    assert main(["estimate", str(model.out / "effects.zarr"), *PLAIN_WORDS, "--method", "ivw", "--instrument_z", "1",
                 "--vcf", "none", "--calibration", str(tmp_path / "c.json"), "-q", "-o",
                 str(model.out / "local.tsv")]) == 0
    seal(model.out)
    pos, ref, alt, window = indels(model, 2)[0]
    snv = snvs(model.effects, 2, [5])[0]
    path = write(tmp_path / "in.vcf", [line(pos, ref, alt), line(*snv)])
    assert main(["annotate", str(model.out), "--input_vcf", path, *model.predicting, "-q", "-o",
                 str(tmp_path / "out.vcf")]) == 0
    of_indel, of_snv = (info(x) for x in records(tmp_path / "out.vcf"))
    at = 15 + "ACGT".replace(snv[1], "").index(snv[2])
    stored = [model.effects[name].values[2, at] for name in ("effect", "effect_se")]
    for told, (mean, sd) in ((of_indel, model.expected(2, window)), (of_snv, stored)):
        np.testing.assert_allclose([float(told[f"EFFECT_{m}"][0]) for m in "ABC"], mean, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose([float(told[f"SE_{m}"][0]) for m in "ABC"], sd * np.array([1, 3, 1]), rtol=1e-4,
                                   atol=1e-5)


def test_a_full_disk_keeps_the_file_of_before(run, tmp_path, capsys):
    if os.geteuid():
        pytest.skip("only root may mount")
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("no tmpfs can be mounted here")
    try:
        (disk / "out.vcf.gz").write_bytes(b"of before")
        rng = np.random.default_rng(0)
        body = [line(2000 + i, "A", "C", "X=" + rng.bytes(300).hex()) for i in range(2000)]
        path = write(tmp_path / "in.vcf", body)
        assert main(["annotate", str(run[0]), "--input_vcf", path, "-o", str(disk / "out.vcf.gz")]) == 1
        assert "No space left on device; no VCF is written" in capsys.readouterr().err
        assert os.listdir(disk) == ["out.vcf.gz"] and (disk / "out.vcf.gz").read_bytes() == b"of before"
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


def test_without_its_models_a_run_tells_of_no_indel(model, tmp_path):
    pos, ref, alt, _ = indels(model, 2)[0]
    path = write(tmp_path / "in.vcf", [line(pos, ref, alt)])
    assert annotate((model.out, None), path, tmp_path / "out.vcf").alleles == {"indel": 1}
