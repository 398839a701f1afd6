"""The shipped example with mutants of several bases, from the command to VCF, annotation, tracks and report."""

import gzip

import pysam
from report_pages import held

from kipoi_deepmr.cli import main


def test_the_example_with_windows_and_deletions(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["example", "-o", "EX"]) == 0
    words = ["run", "EX/1", "EX/2", "EX/3", "--source", "dir", "--intervals_file", "EX/test_loci.bed", "--fasta_file",
             "EX/test_loci.fa", "--n_loci", "6", "--diagnostics", "none", "--engine", "naive"]
    assert main([*words, "--mutants", "single,windows:8,deletions:3", "--vcf", "all", "-o", "OUT"]) == 0
    assert "13 windows a locus, each by 10 sequences" in capsys.readouterr().err
    with pysam.VariantFile("OUT/instruments.vcf.gz") as file:
        records = list(file)
    kinds = [record.info["KIND"] for record in records]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {"single": 1800, "windows": 78, "deletions": 204}
    assert all(record.info["SVLEN"] == (8,) and record.stop - record.pos == 8 for record in records
               if record.alts == ("<ABLATED>",))
    with pysam.FastaFile("EX/test_loci.fa") as genome:
        assert all(genome.fetch(record.chrom, record.start, record.start + len(record.ref)) == record.ref
                   for record in records)
    assert main(["annotate", "OUT", "--input_vcf", "OUT/instruments.vcf.gz", "-o", "annotated.vcf.gz"]) == 0
    with gzip.open("annotated.vcf.gz", "rt") as file:
        statuses = [line.split("DEEPMR_STATUS=")[1].split(";")[0] for line in file if "\tLOCUS=" in line
                    and "DEEPMR_STATUS" in line]
    assert statuses == ["predicted"] * 2082
    assert main(["tracks", "OUT", "-o", "TRACKS"]) == 0 and "282 mutants of several bases" in capsys.readouterr().out
    details = [block for name, block in held("OUT/report.html").items() if name.startswith("locus-")]
    assert details and all(len(detail["others"]["variant"]) == 47 for detail in details)


