"""Estimation from the command line: what it writes, what reads it, what it refuses."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from finished_runs import PLAIN_WORDS
from mr_problems import MARKS, made_data, made_loci
from report_pages import held
from vcf_files import info, line, records, snvs, write

from kipoi_deepmr import effects_store, mr
from kipoi_deepmr.cli import main
from kipoi_deepmr.output.tables import EXACT
from kipoi_deepmr.runs.finished import FinishedRun


def test_help_and_package_do_not_wait_for_numba():
    code = ("import sys, kipoi_deepmr; from kipoi_deepmr.cli.parser import make_parser; make_parser('x'); "
            "sys.exit('numba' in sys.modules)")
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


@pytest.mark.parametrize("choice,files", [
    ("none", set()), ("quick", {"local.diagnostics.tsv", "local.diagnostics_by_pair.tsv"}),
    ("all", {"local.diagnostics.tsv", "local.diagnostics_by_pair.tsv"})])
def test_what_estimate_writes(tmp_path, choice, files):
    effects = effects_store.dataset(made_loci(7, 20), MARKS, ["m1", "m2"], made_data(7, 20, 3))
    effects.to_zarr(tmp_path / "effects.zarr", zarr_format=2)
    out = tmp_path / "out"
    out.mkdir()
    assert main(["estimate", str(tmp_path / "effects.zarr"), *PLAIN_WORDS, "--vcf", "none", "--instrument_z", "2",
                 "--diagnostics", choice, "-q", "-o", str(out / "local.tsv")]) == 0
    assert {p.name for p in out.iterdir()} == files | {"local.tsv"}
    if files:
        written = pd.read_csv(out / "local.diagnostics.tsv", sep="\t", keep_default_na=False, na_values=["NA"],
                              **EXACT)
        expected = mr.diagnose_pairs(effects, instrument_z=2.0, n_draws=1000 if choice == "all" else 0)
        numbers = [c for c in expected.columns[7:] if c not in ("red", "note")]
        np.testing.assert_array_equal(written[numbers].to_numpy(float), expected[numbers].to_numpy(float))
        assert written["presso_pvalue"].notna().any() == (choice == "all")
        shares = pd.read_csv(out / "local.diagnostics_by_pair.tsv", sep="\t", **EXACT)
        pd.testing.assert_frame_equal(shares, mr.share_of_red([mr.count_red(expected)]), check_dtype=False)


def test_stores_without_members_are_refused(tmp_path, capsys):
    effects = effects_store.dataset(made_loci(7, 20), MARKS, ["m1", "m2"], made_data(7, 20, 3))
    effects.to_zarr(tmp_path / "effects.zarr", zarr_format=2)
    assert main(["estimate", str(tmp_path / "effects.zarr"), "--vcf", "none", "--uncertainty", "members", "-o",
                 str(tmp_path / "local.tsv")]) == 2
    assert "--keep members" in capsys.readouterr().err and not (tmp_path / "local.tsv").exists()


def test_marks_to_adjust_for(tmp_path, models, genome_file, bed_file, capsys):
    store, local = str(tmp_path / "out" / "effects.zarr"), str(tmp_path / "out" / "local.tsv")
    own = [*PLAIN_WORDS, "--instruments", "own", "--instrument_z", "1", "--vcf", "none", "-q"]
    loci = ["--intervals_file", bed_file]
    assert main(["run", *models, "--source", "dir", *loci, "--fasta_file", genome_file, *own, "--method",
                     "mvmr_ivw,ivw", "--adjust", "C", "-o", str(tmp_path / "out")]) == 0
    assert json.loads((tmp_path / "out" / "run.json").read_text())["settings"]["adjust"] == ["C"]
    told = ["estimate", store, *own, "-o", local]
    before = Path(local).read_text()
    assert main([*told, "--method", "mvmr_ivw,ivw", "--adjust", "C"]) == 0
    assert Path(local).read_text() == before
    ours = pd.read_csv(local, sep="\t", **EXACT)
    theirs = mr.fit_pairs(effects_store.open_effects(store), method=["mvmr_ivw", "ivw"], instruments="own",
                          instrument_z=1, adjust=["C"])
    for name in ("n_instruments", "estimate", "se", "f_statistic"):
        np.testing.assert_array_equal(ours[name], theirs[name])
    capsys.readouterr()
    assert main([*told, "--method", "ivw", "--adjust", "C"]) == 2
    assert "is for the methods mvmr_ivw and mvmr_egger" in capsys.readouterr().err
    assert main([*told, "--method", "mvmr_ivw", "--adjust", "CC"]) == 2
    assert "unknown mark to adjust for 'CC'" in capsys.readouterr().err


@pytest.fixture
def run(tmp_path, models, bed_file, genome_file):
    """A run of the toy models with the filter, from the command line."""
    given = [*PLAIN_WORDS, "--method", "ivw,egger", "--instrument_z", "0.5", "--fasta_file", genome_file, "-q"]
    assert main(["run", *models, "--source", "dir", "--intervals_file", bed_file, *given, "--steiger", "-o",
                 str(tmp_path / "OUT")]) == 0
    return tmp_path / "OUT", given


def test_a_run_with_steigers_filter_and_what_reads_it(run, tmp_path):
    out, given = run
    effects = effects_store.open_effects(str(out / "effects.zarr")).load()
    local, told = pd.read_csv(out / "local.tsv", sep="\t"), json.loads((out / "run.json").read_text())
    assert told["settings"]["steiger"] is True
    expected = mr.fit_pairs(effects, method=["ivw", "egger"], instrument_z=0.5, steiger=True)
    np.testing.assert_allclose(local["estimate"], expected["estimate"], rtol=1e-12)
    assert local["n_instruments"].tolist() == expected["n_instruments"].tolist()
    plain = mr.fit_pairs(effects, method=["ivw", "egger"], instrument_z=0.5)
    assert 0 < local["n_instruments"].sum() < plain["n_instruments"].sum()

    finished = FinishedRun(str(out))
    instruments = [finished.effects_at(i)[2] for i in range(effects.sizes["locus"])]
    counts = local[local["method"] == "ivw"].set_index(["locus", "exposure", "outcome"])["n_instruments"]
    assert counts.to_dict() == {
        (str(name), "ABC"[x], "ABC"[y]): instruments[i].of_pairs(x, y).sum()
        for i, name in enumerate(effects["name"].values) for x in range(3) for y in range(3) if x != y}

    with gzip.open(out / "instruments.vcf.gz", "rt") as file:
        served = [dict(field.partition("=")[::2] for field in row.split("\t")[7].split(";"))
                  for row in file if row[0] != "#"]
    of_vcf = pd.Series([(v["LOCUS"], *pair.split(">")) for v in served for pair in v["PAIRS"].split(",")])
    assert of_vcf.value_counts().to_dict() == counts[counts > 0].to_dict()
    assert all(len(v["CE_ivw"].split(",")) == len(v["PAIRS"].split(",")) for v in served)

    page = held(out / "report.html")
    detail, name = page["locus-0"], page["data"]["loci"]["locus"][0]
    for x, y in (("A", "B"), ("B", "A")):
        assert len(detail["instruments"][x][y]) == len(detail["without"][x][y]["estimate"]) == counts[name, x, y]

    path = write(tmp_path / "in.vcf", [line(*v) for v in snvs(effects, 0, range(effects.sizes["variant"] // 3))])
    assert main(["annotate", str(out), "--input_vcf", path, "--causal_effects", "instruments", "-q", "-o",
                 str(tmp_path / "out.vcf")]) == 0
    annotated = [info(columns) for columns in records(tmp_path / "out.vcf")]
    found = pd.Series([pair for v in annotated for pair in v.get("PAIRS", [])]).value_counts().to_dict()
    here = counts[effects["name"].values[0]]
    assert found == {f"{x}>{y}": n for (x, y), n in here.items() if n}
    for v in annotated:
        assert v["INSTRUMENT"] == ["&".join(dict.fromkeys(p[0] for p in v.get("PAIRS", []))) or "."]

    assert main(["estimate", str(out / "effects.zarr"), *given, "-o", str(tmp_path / "plain.tsv")]) == 0
    again = pd.read_csv(tmp_path / "plain.tsv", sep="\t")
    assert again["n_instruments"].tolist() == plain["n_instruments"].tolist()
