"""`--instruments variants`: the mutants that a VCF holds, alone or in a run, against loops and by hand."""

import json
import os
import shutil

import numpy as np
import pandas as pd
import pysam
import pytest
from commands import refused
from finished_runs import PLAIN, effects_of, write_run
from vcf_files import COMPLEMENT, forward, line, snvs, write

from kipoi_deepmr import instruments, mr, pipeline
from kipoi_deepmr.cli import main
from kipoi_deepmr.errors import InputError
from kipoi_deepmr.loci import Loci, Locus
from kipoi_deepmr.output.natural_variants import natural_variants
from kipoi_deepmr.output.stored_loci import index_of
from kipoi_deepmr.runs.finished import FinishedRun
from kipoi_deepmr.variants import LocusIndex


@pytest.fixture(scope="module")
def effects():
    return effects_of(["A", "B"])


@pytest.fixture
def loci(bed_file, genome_file):
    return Loci.from_bed(bed_file, genome_file)


def chosen_snvs(effects, n, seed=0):
    """Some SNVs of all loci, as (POS, REF, ALT)."""
    every = [v for i in range(effects.sizes["locus"]) for v in snvs(effects, i)]
    return [every[i] for i in np.random.default_rng(seed).choice(len(every), n, replace=False)]


def is_natural(effects, named):
    """(locus, variant) bool, by a loop over mutants."""
    named, found = set(named), np.zeros(effects["effect"].shape[:2], bool)
    for locus in range(len(found)):
        minus = effects["strand"][locus] == "-"
        for variant in range(found.shape[1]):
            position = int(effects["position"][variant])
            position = int(effects["end"][locus]) - 1 - position if minus else int(effects["start"][locus]) + position
            letters = [str(effects[name].values[locus, variant]) for name in ("ref_base", "alt_base")]
            ref, alt = (COMPLEMENT[x] for x in letters) if minus else letters
            found[locus, variant] = (position + 1, ref, alt) in named
    return found


def test_mutants_are_those_of_a_loop(effects, tmp_path):
    named = chosen_snvs(effects, 200)
    found = natural_variants(write(tmp_path / "in.vcf", [line(*v) for v in named]), index_of(effects))
    expected = np.flatnonzero(is_natural(effects, named))
    np.testing.assert_array_equal(found.mutants, expected)
    assert found.counts == {"alleles": 200, "usable": 200} and len(expected) == 200


def test_what_is_left_out_is_counted(effects, tmp_path):
    r = forward(effects, 0)
    others = [x for x in "ACGT" if x != r[4]]
    body = [line(5, r[4], ",".join(others)), line(5, r[4].lower(), others[0].lower()), line(5, others[0], r[4]),
            line(5, r[4], "<DEL>"), line(5, r[4], "*"), line(5, r[4] + r[5], r[4]), line(5, r[4], "."),
            line(5, r[4] + r[5], r[4] + COMPLEMENT[r[5]]), line(60, "A", "C"), line(5, r[4], others[0], chrom="1"),
            line(30, r[29] + "A", r[29] + "C")]
    found = natural_variants(write(tmp_path / "in.vcf.gz", body), index_of(effects))
    assert found.counts == {"alleles": 13, "usable": 4, "duplicate": 1, "indel": 1, "no_alt": 1, "other_prefix": 1,
                            "outside": 2, "ref_mismatch": 1, "spanning_deletion": 1, "symbolic": 1}
    assert len(found.mutants) == 4


def test_a_variant_in_several_loci_is_a_mutant_of_each(tmp_path):
    g = np.random.default_rng(2).choice(np.frombuffer(b"ACGT", np.uint8), 40)
    complement = np.frombuffer(b"TGCA", np.uint8)[["ACGT".index(chr(x)) for x in g]]
    places = [(0, "+"), (5, "-"), (5, "+"), (30, "+")]
    loci = Loci.from_list([Locus("c", s, s + 10, strand, f"l{i}", (g if strand == "+" else complement[::1])[s:s + 10][
        ::1 if strand == "+" else -1]) for i, (s, strand) in enumerate(places)])
    ref = chr(g[7])
    alt = next(x for x in "ACGT" if x != ref)
    found = natural_variants(write(tmp_path / "in.vcf", [line(8, ref, alt, chrom="c")]), LocusIndex.of_loci(loci))
    plain, turned = "ACGT".replace(ref, "").index(alt), "ACGT".replace(COMPLEMENT[ref], "").index(COMPLEMENT[alt])
    assert found.mutants.tolist() == [3 * 7 + plain, 30 + 3 * 7 + turned, 60 + 3 * 2 + plain]
    assert found.counts == {"alleles": 1, "usable": 1}


def test_the_rule_is_pooled_and_natural(effects, tmp_path):
    named = chosen_snvs(effects, 300)
    natural = is_natural(effects, named)
    mutants = np.flatnonzero(natural)
    values, se = effects["effect"].values, effects["effect_se"].values
    for z in (0.0, 1.0, 2.5):
        rule = instruments.rule_for(effects, "variants", z, variants=mutants)
        expected = instruments.rule_for(effects, "pooled", z).mask(values, se) & natural[..., None]
        np.testing.assert_array_equal(rule.mask(values, se, slice(0, 8)), expected)
        np.testing.assert_array_equal(rule.mask(values[2:5], se[2:5], slice(2, 5)), expected[2:5])
        np.testing.assert_array_equal(rule.mask(values[[6, 1]], se[[6, 1]], np.array([6, 1])), expected[[6, 1]])
        np.testing.assert_array_equal(rule.mask(values[3], se[3], 3), expected[3])
        assert expected.any() == (z < 10) and (z or expected.sum() == 2 * len(mutants))


def test_the_rule_and_its_variants_go_together(effects):
    with pytest.raises(InputError, match="goes with the variants of a VCF"):
        instruments.rule_for(effects, "variants")
    with pytest.raises(InputError, match="goes with the variants of a VCF"):
        instruments.rule_for(effects, "own", variants=np.array([1]))


def test_estimate_uses_no_other_instruments(tmp_path):
    folder = tmp_path / "OUT"
    effects = write_run(folder, ("A", "B"), "none")
    named = chosen_snvs(effects, 250)
    path = write(tmp_path / "in.vcf", [line(*v) for v in named])
    table = pipeline.estimate(str(folder / "effects.zarr"), str(tmp_path / "local.tsv"), method=["ivw", "egger"],
                              instruments="variants", instrument_z=1.0, input_vcf=str(path), vcf="none",
                              **PLAIN)
    rule = instruments.rule_for(effects, "pooled", 1.0)
    mask = rule.mask(effects["effect"].values, effects["effect_se"].values) & is_natural(effects, named)[..., None]
    counts = table[table["method"] == "ivw"].set_index(["locus", "exposure"])["n_instruments"]
    for locus in range(8):
        for j, mark in enumerate("AB"):
            assert counts[f"locus{locus}", mark].item() == mask[locus, :, j].sum()
    fitted = mr.fit(*(effects[name].values[0, mask[0, :, 0], j].astype(float)
                      for j in (0, 1) for name in ("effect", "effect_se")), "ivw")
    first = table[(table["locus"] == "locus0") & (table["exposure"] == "A") & (table["method"] == "ivw")]
    np.testing.assert_allclose(first["estimate"], fitted.estimate, rtol=1e-12)
    diagnosed = pd.read_csv(tmp_path / "local.diagnostics.tsv", sep="\t")
    assert diagnosed.set_index(["locus", "exposure"]).loc[("locus0", "A"), "n_instruments"] == mask[0, :, 0].sum()


class Case:
    """A run of the toy models on natural variants, from the command line."""

    def __init__(self, folder, models, bed, fasta):
        loci = Loci.from_bed(bed, fasta)
        rng = np.random.default_rng(0)
        self.body = []
        for i in range(len(loci)):
            sequence = loci.sequences[i] if loci.strand[i] == "+" else np.frombuffer(
                "".join(COMPLEMENT[chr(x)] for x in loci.sequences[i][::-1]).encode(), np.uint8)
            for k in rng.choice(12, 9, replace=False):
                ref = chr(sequence[k])
                alt = str(rng.choice([x for x in "ACGT" if x != ref]))
                self.body.append(line(int(loci.start[i]) + int(k) + 1, ref, alt))
        self.path = write(folder / "in.vcf.bgz", [*self.body, line(300, "A", "<DEL>")])
        self.argv = ["run", *models, "--source", "dir", "--intervals_file", bed, "--fasta_file", fasta, "--method",
                     "ivw", "--instruments", "variants", "--instrument_z", "0", "--input_vcf", self.path]
        self.out = folder / "OUT"


@pytest.fixture
def case(tmp_path, models, bed_file, genome_file):
    return Case(tmp_path, models, bed_file, genome_file)


def test_a_run(case, tmp_path, capsys):
    assert main([*case.argv, "-o", str(case.out)]) == 0
    told = capsys.readouterr().out
    assert "variants: 82 alleles in" in told and "81 are mutants of the loci" in told
    assert "1 left out: outside: outside the loci" in told
    with pysam.VariantFile(str(case.out / "instruments.vcf.gz")) as file:
        assert [line(r.pos, r.ref, r.alts[0]) for r in file] == sorted(case.body, key=lambda x: int(x.split("\t")[1]))
    content = json.loads((case.out / "run.json").read_text())
    assert content["input_vcf"] == case.path and len(content["settings"]["input_vcf_sha256"]) == 64
    assert content["natural_variants"] == {"alleles": 82, "usable": 81, "outside": 1}
    assert (case.out / "report.html").exists()
    local = pd.read_csv(case.out / "local.tsv", sep="\t")
    assert (local["n_instruments"] == 9).all() and local["estimate"].notna().all()


def test_a_run_is_known_by_its_variants(case, tmp_path, capsys):
    assert main([*case.argv, "-q", "--no_report", "-o", str(case.out)]) == 0
    copy = shutil.copy(case.path, tmp_path / "copy.bgz")
    assert main([*case.argv[:-1], str(copy), "-q", "--no_report", "-o", str(case.out)]) == 0
    fewer = write(tmp_path / "fewer.vcf", case.body[:-1])
    assert main([*case.argv[:-1], str(fewer), "-q", "--no_report", "-o", str(case.out)]) == 0
    assert len(FinishedRun(str(case.out))._natural_variants()) == 80
    assert main([*case.argv[:-1], str(copy), "-q", "--no_report", "-o", str(case.out)]) == 0
    mask = FinishedRun(str(case.out)).effects_at(0)[2].mask
    assert mask.sum() == 9 * 3
    write(copy, case.body[:-1])
    with pytest.raises(InputError, match="copy.bgz: the VCF of the run's natural variants is missing or has changed"):
        FinishedRun(str(case.out)).effects_at(0)


def test_estimate_on_a_store_is_the_same(case, tmp_path, capsys):
    assert main([*case.argv, "-q", "--no_report", "-o", str(case.out)]) == 0
    argv = ["estimate", str(case.out / "effects.zarr"), "--method", "ivw", "--instrument_z", "0", "--instruments",
            "variants", "--input_vcf", case.path, "-o", str(tmp_path / "local.tsv")]
    assert main(argv) == 0
    assert "81 are mutants of the loci" in capsys.readouterr().out
    assert (tmp_path / "local.tsv").read_bytes() == (case.out / "local.tsv").read_bytes()


def test_annotate_tells_which_are_instruments(case, tmp_path):
    assert main([*case.argv, "-q", "--no_report", "-o", str(case.out)]) == 0
    every = [line(*v) for v in snvs(FinishedRun(str(case.out)).effects, 0, range(12))]
    result = pipeline.annotate(str(case.out), write(tmp_path / "every.vcf", every), str(tmp_path / "out.vcf"))
    assert result.alleles == {"predicted": 36} and result.counts["instruments"] == 9


def test_what_is_refused(case, tmp_path, capsys):
    out = ["-o", case.out]
    assert "--instruments variants needs" in refused(capsys, [*case.argv[:-2], *out])
    own = [x if x != "variants" else "own" for x in case.argv]
    assert "--input_vcf goes with --instruments variants" in refused(capsys, [*own, *out])
    none = write(tmp_path / "none.vcf", [line(300, "A", "C"), line(15, "A", "<DEL>")])
    message = refused(capsys, [*case.argv[:-1], none, *out])
    assert "none of its 2 alleles is a mutant of a locus: 1 outside, 1 symbolic" in message
    other = write(tmp_path / "other.vcf", [x.removeprefix("chr") for x in case.body])
    message = refused(capsys, [*case.argv[:-1], other, *out])
    assert "81 other_prefix" in message and "--rename-chrs" in message
    empty = write(tmp_path / "empty.vcf", [])
    assert "the file holds no records" in refused(capsys, [*case.argv[:-1], empty, *out])
    assert "no such VCF file" in refused(capsys, [*case.argv[:-1], tmp_path / "gone.vcf", *out])
    (tmp_path / "cut.bgz").write_bytes(open(case.path, "rb").read()[:-28])
    assert "cut off" in refused(capsys, [*case.argv[:-1], tmp_path / "cut.bgz", *out])
    assert not case.out.exists() and "OUT" not in os.listdir(tmp_path)


def test_too_few_are_a_note_as_ever(case, tmp_path):
    one = write(tmp_path / "one.vcf", case.body[:1])
    argv = [x if x != "ivw" else "ivw,egger" for x in case.argv[:-1]]
    assert main([*argv, one, "-q", "--no_report", "-o", str(case.out)]) == 0
    local = pd.read_csv(case.out / "local.tsv", sep="\t", keep_default_na=False)
    first = local[local["locus"] == local["locus"].iloc[0]]
    assert set(local["n_instruments"]) == {0, 1} and (first[first["method"] == "ivw"]["note"] == "NA").all()
    assert (local[local["n_instruments"] == 0]["note"] != "NA").all()
    assert (first[first["method"] == "egger"]["note"] != "NA").all()
