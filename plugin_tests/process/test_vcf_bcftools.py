"""bcftools reads the VCF of instruments."""

import os
import shutil
import subprocess

import pytest
from vcf_case import Case, columns

from kipoi_deepmr.instruments.rules import InstrumentRule

pytestmark = pytest.mark.skipif(not shutil.which("bcftools"), reason="bcftools is not installed")


@pytest.fixture
def case(tmp_path):
    made = Case(tmp_path)
    yield made
    made.genome.close()


def bcftools(*arguments):
    done = subprocess.run(["bcftools", *arguments], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize("which", ["instruments", "all"])
def test_bcftools_reads_indexes_and_queries(case, which):
    path, count = case.write(which=which)
    viewed = bcftools("view", "-H", path).splitlines()
    assert len(viewed) == count
    assert [line.split("\t")[:7] for line in viewed] == [c[:7] for c in columns(path)]
    bcftools("index", "-f", "-t", path)
    region = bcftools("query", "-r", "c2:7-9", "-f", "%POS %REF %INFO/LOCUS_STRAND\n", path).splitlines()
    expected = [c for c in columns(path) if c[0] == "c2" and 7 <= int(c[1]) <= 9]
    assert [line.split()[:2] for line in region] == [[c[1], c[3]] for c in expected]
    assert len(region) > 0


def test_bcftools_agrees_that_ref_is_the_fasta(case):
    path, _ = case.write(which="all")
    done = subprocess.run(["bcftools", "norm", "--check-ref", "e", "-f", case.genome.path, "-o", os.devnull, path],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_bcftools_picks_the_instruments_from_all(case):
    chosen, _ = case.write()
    every, _ = case.write("all.vcf.gz", which="all")
    assert bcftools("view", "-H", "-f", "PASS", every) == bcftools("view", "-H", chosen)


def test_bcftools_reads_an_empty_file(case):
    case.rule = InstrumentRule("own", 1e9)
    path, _ = case.write()
    assert bcftools("view", "-H", path) == ""
    bcftools("index", "-f", "-t", path)
