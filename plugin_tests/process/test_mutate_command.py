"""`run --mutate`: cost, messages, resumption, and what is written of mutants that were not predicted."""

import json
import re

import numpy as np
import pandas as pd
import pysam
import pytest
from conftest import LENGTH, MARKS, member_weights, write_model

from kipoi_deepmr.cli import main
from kipoi_deepmr.effects_store import open_effects


@pytest.fixture
def given(models, bed_file, genome_file):
    return [*models, "--source", "dir", "--intervals_file", bed_file, "--fasta_file", genome_file]


def test_a_run_that_mutates_some_positions(given, tmp_path, capsys):
    (tmp_path / "m.bed").write_text("chr1\t12\t17\nchr1\t30\t200\n")  # the first locus, on +, lies at [10, 22)
    out = str(tmp_path / "out")
    words = ["run", *given, "--preset", "paper", "--instruments", "own", "--method", "ivw",
             "--instrument_z", "1", "--vcf", "all", "--mutate", "-o", out]
    words.insert(-2, str(tmp_path / "m.bed"))
    assert main(words) == 0
    assert "--mutate: 5 to 12 of the 12 positions of a locus are mutated" in capsys.readouterr().err
    effects = open_effects(f"{out}/effects.zarr")
    known = np.isfinite(effects["effect"].values[..., 0])
    assert known[0].nonzero()[0].tolist() == list(range(6, 21)) and known[1:].all()
    assert np.isfinite(effects["reference"].values).all() and json.load(open(f"{out}/run.json"))["dropped"] == {}
    local = pd.read_csv(f"{out}/local.tsv", sep="\t")
    assert local["estimate"].notna().sum() > 20 and not local["note"].astype(str).str.contains("finite").any()
    with pysam.VariantFile(f"{out}/instruments.vcf.gz") as vcf:
        positions = [record.pos for record in vcf if record.info["LOCUS"] == "locus0"]
    assert sorted(set(positions)) == [13, 14, 15, 16, 17] and len(positions) == 15
    (tmp_path / "v.vcf").write_text("##fileformat=VCFv4.3\n##contig=<ID=chr1>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER"
                                    "\tINFO\n" + "".join(
        f"chr1\t{start + 1}\t.\t{ref}\t{'ACGT'['ACGT'.index(ref) - 1]}\t.\t.\t.\n" for start, ref in (
            (10 + offset, effects["ref_base"].values[0, 3 * offset]) for offset in (1, 3))))
    assert main(["annotate", out, "-q", "--input_vcf", str(tmp_path / "v.vcf"), "-o", str(tmp_path / "o.vcf")]) == 0
    assert [line.split("STATUS=")[1].split(";")[0] for line in open(tmp_path / "o.vcf") if line[0] != "#"] == [
        "not_mutated", "predicted"]
    capsys.readouterr()
    assert main([*words[:-4], "--mutate", "2:7", "-o", out]) == 2  # other effects are never mixed with these
    assert "run --effects" in capsys.readouterr().err


@pytest.mark.parametrize("mutate, most", [("0:6", 0.75), ("m.bed", 0.9)])
def test_the_disk_that_is_announced_is_that_of_these_positions(tmp_path, monkeypatch, capsys, mutate, most):
    """It stays an upper limit, also where every fourth position is mutated."""
    monkeypatch.chdir(tmp_path)
    length, n_loci = 200, 30
    models = [write_model(tmp_path / str(k), w) for k, w in enumerate(member_weights(4, length=length))]
    (tmp_path / "g.fa").write_text(">chr1\n" + "".join(np.random.default_rng(3).choice(list("ACGT"), 6000)) + "\n")
    (tmp_path / "l.bed").write_text("".join(f"chr1\t{k * length}\t{(k + 1) * length}\n" for k in range(n_loci)))
    (tmp_path / "m.bed").write_text("".join(f"chr1\t{k}\t{k + 1}\n" for k in range(0, 6000, 4)))
    words = ["predict", *models, "--source", "dir", "--intervals_file", "l.bed", "--fasta_file", "g.fa"]
    said = []
    for name, more in (("all.zarr", []), ("some.zarr", ["--mutate", mutate])):
        assert main([*words, *more, "-o", name]) == 0
        number, unit = re.search(r"disk: at most ([\d.]+) (kB|MB)", capsys.readouterr().err).groups()
        said.append(float(number) / {"kB": 1000, "MB": 1}[unit])
    taken = sum(p.stat().st_size for p in (tmp_path / "some.zarr").rglob("*") if p.is_file()) / 1e6
    assert taken - 0.05 <= said[1] < most * said[0]


def test_check_counts_the_mutants_of_these_positions(given, capsys):
    assert main(["check", *given, "--mutate", "2:7"]) == 0
    assert "15 mutants a locus" in capsys.readouterr().out
    assert main(["check", *given, "--mutate", "2:13"]) == 2
    assert f"a locus has {LENGTH} positions" in capsys.readouterr().err and len(MARKS) == 3
