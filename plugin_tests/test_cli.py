"""The command line: the real `kipoi postproc deepmr`, its output and its errors."""

import json
import os
import shutil
import subprocess
import sys

import pandas as pd
import pysam
import pytest
from conftest import member_weights, write_model

from kipoi_deepmr.cli import main


def kipoi(*arguments, cwd=None):
    """The real command in a process of its own."""
    return subprocess.run([sys.executable, "-m", "kipoi", "postproc", "deepmr", *arguments], cwd=cwd, timeout=300,
                          capture_output=True, text=True)


@pytest.fixture
def loci(bed_file, genome_file):
    return ["--intervals_file", bed_file, "--fasta_file", genome_file]


def refused(capsys, argv):
    """Run a command that must be refused; its one message."""
    assert main([str(a) for a in argv]) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1 and "Traceback" not in said.err
    return said.err


def test_the_main_job_on_the_real_example(cooperativity, tmp_path):
    folders, arguments = cooperativity
    command = ["run", *folders, "--source", "dir", "--dataloader_args", json.dumps(arguments), "--method",
               "egger,ivw,wald_mean", "--instrument_z", "2", "--n_loci", "15", "--seed", "3", "-o"]
    done = kipoi(*command, "OUT", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "loci: 15 used, 0 dropped" in done.stdout and "GATA" in done.stdout and "locus/s" in done.stderr
    out = tmp_path / "OUT"
    names = {"effects.zarr", "instruments.vcf.gz", "instruments.vcf.gz.tbi", "local.tsv", "global.tsv", "global.png",
             "run.json"}
    assert {p.name for p in out.iterdir()} == names
    assert len(pd.read_csv(out / "local.tsv", sep="\t")) == 15 * 2 * 3
    assert (out / "global.png").read_bytes().startswith(b"\x89PNG")
    with pysam.VariantFile(str(out / "instruments.vcf.gz")) as vcf:
        records = list(vcf)
        assert records and all(r.info["LOCUS"].startswith("locus") for r in records)
    if shutil.which("bcftools"):
        viewed = subprocess.run(["bcftools", "view", "-H", out / "instruments.vcf.gz"], capture_output=True, text=True)
        assert viewed.stderr == "" and viewed.stdout.count("\n") == len(records)

    again = kipoi(*command, "OUT2", "--quiet", cwd=tmp_path)
    assert (again.returncode, again.stdout) == (0, "") and "locus/s" not in again.stderr
    stages = [["predict", *command[1:10], "--n_loci", "15", "--seed", "3", "-o", "S/effects.zarr"],
              ["estimate", "S/effects.zarr", *command[10:14], "-o", "S/local.tsv"],
              ["aggregate", "S/local.tsv", "-o", "S/global.tsv"]]
    for stage in stages:
        done = kipoi(*stage, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    for name in ("local.tsv", "global.tsv", "instruments.vcf.gz"):
        one, two, alone = ((tmp_path / folder / name).read_bytes() for folder in ("OUT", "OUT2", "S"))
        assert one == two == alone


def test_errors_reach_the_shell_as_exit_code_2(models, loci, tmp_path):
    done = kipoi("run", models[0], "--source", "dir", *loci, "-o", str(tmp_path / "out"))
    assert done.returncode == 2 and not (tmp_path / "out").exists()
    assert done.stderr.splitlines()[-1].startswith("kipoi deepmr: error: one model alone gives no standard errors")


def test_run_from_bed_and_fasta(models, loci, tmp_path, capsys):
    assert main(["run", *models, "--source", "dir", *loci, "--instrument_z", "1", "--method", "ivw", "-o",
                 str(tmp_path / "out")]) == 0
    out = capsys.readouterr().out
    assert "loci: 9 used, 0 dropped, of 9" in out and "global effects" in out and "run.json" in out
    told = json.loads((tmp_path / "out" / "run.json").read_text())
    assert told["arguments"]["seed"] == 42 and told["command"][1] == "run" and told["intervals_sha256"]


def test_dropped_loci_are_told(models, genome_file, tmp_path, capsys):
    (tmp_path / "x.bed").write_text("".join(f"chr1\t{s}\t{s + 12}\n" for s in (0, 0, 20, 200, 399)) + "1\t0\t12\n")
    assert main(["predict", *models, "--source", "dir", "--intervals_file", str(tmp_path / "x.bed"), "--fasta_file",
                 genome_file, "-q", "-o", str(tmp_path / "e.zarr")]) == 0
    assert main(["predict", *models, "--source", "dir", "--intervals_file", str(tmp_path / "x.bed"), "--fasta_file",
                 genome_file, "-o", str(tmp_path / "e.zarr")]) == 0
    out = capsys.readouterr().out
    assert "loci: 2 used, 4 dropped, of 6" in out
    assert '1 dropped: its contig is in the FASTA only with another "chr" prefix: 1:0-12' in out


def test_member_columns(tmp_path, loci, capsys):
    model = write_model(tmp_path / "m", member_weights(n_marks=4)[0], ["A_rep1", "A_rep2", "B_rep1", "B_rep2"])
    assert main(["run", model, "--source", "dir", "--member_columns", "r1=0,2", "r2=1,3", *loci, "--method", "ivw",
                 "--instrument_z", "1", "-o", str(tmp_path / "out")]) == 0
    assert list(pd.read_csv(tmp_path / "out" / "global.tsv", sep="\t")["exposure"]) == ["A", "B"]


@pytest.mark.parametrize("options, said", [
    (["--marks", "A,Bb"], 'no mark "Bb"'),
    (["--exposures", "Aa"], "unknown exposure 'Aa'"),
    (["--method", "eggar"], "did you mean \"egger\""),
    (["--member_columns", "r1=0", "r1=1"], "two members of the same name"),
    (["--member_columns", "r1=0", "r2=1"], "columns of one model"),
    (["--marks", "A"], "one mark only"),
    (["--source", "nowhere"], "--source nowhere: unknown"),
    (["--fasta_file", "none.fa"], "none.fa: no such FASTA file"),
    (["--intervals_file", "none.bed"], "none.bed: no such BED file"),
    (["--dataloader_args", '{"intervals_file": "x.bed"}'], "give one"),
])
def test_bad_input_is_one_message(models, loci, tmp_path, capsys, options, said):
    message = refused(capsys, ["run", *models, "--source", "dir", *loci, "-o", tmp_path / "out", *options])
    assert said in message
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content, said", [
    ("chr1\t0\t12\nchr1\tx\t12\n", "line 2: start and end must be whole numbers"),
    ("", "the BED file is empty"), ("chr1\t0\t13\n", "13 bases long, but the model takes 12"),
    ("chr1\t0\t11\n", "11 bases long, but the model takes 12"), ("1\t0\t12\n", 'another "chr" prefix'),
])
def test_bad_bed(models, genome_file, tmp_path, capsys, content, said):
    (tmp_path / "x.bed").write_text(content)
    given = json.dumps({"intervals_file": str(tmp_path / "x.bed"), "fasta_file": genome_file})
    ours = ["--intervals_file", tmp_path / "x.bed", "--fasta_file", genome_file]
    for loci in (ours, ["--dataloader_args", given]):
        assert said in refused(capsys, ["run", *models, "--source", "dir", *loci, "-o", tmp_path / "out"])
        assert not (tmp_path / "out").exists()


def test_empty_fasta(models, bed_file, tmp_path, capsys):
    (tmp_path / "empty.fa").write_text("")
    message = refused(capsys, ["run", *models, "--source", "dir", "--intervals_file", bed_file, "--fasta_file",
                               tmp_path / "empty.fa", "-o", tmp_path / "out"])
    assert "the FASTA file is empty" in message


def test_output_that_holds_something_else(models, loci, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    command = ["run", *models, "--source", "dir", *loci, "-o"]
    assert "holds no DeepMR run" in refused(capsys, [*command, tmp_path / "out"])
    assert "cannot be made" in refused(capsys, [*command, tmp_path / "out" / "notes.txt" / "x"])
    assert main([*command, str(tmp_path / "run"), "-q"]) == 0
    assert "instruments: \"pooled\" -> \"own\"" in refused(capsys, [*command, tmp_path / "run", "--instruments", "own"])
    assert main([*command, str(tmp_path / "run"), "-q", "--instruments", "own", "--overwrite"]) == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_output_that_cannot_be_written(models, loci, tmp_path, capsys):
    (tmp_path / "out").mkdir(mode=0o555)
    assert "cannot be written" in refused(capsys, ["run", *models, "--source", "dir", *loci, "-o", tmp_path / "out"])


def test_stages_on_wrong_files(tmp_path, capsys):
    (tmp_path / "x.tsv").write_text("a\tb\n")
    assert "no such effects store" in refused(capsys, ["estimate", tmp_path / "e.zarr", "-o", tmp_path / "l.tsv"])
    message = refused(capsys, ["aggregate", tmp_path / "x.tsv", "-o", tmp_path / "g.tsv"])
    assert "not a table of local effects" in message
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.tsv"]


def test_tables_into_a_folder_that_is_not_there(models, loci, tmp_path, capsys):
    assert main(["predict", *models, "--source", "dir", *loci, "-q", "-o", str(tmp_path / "e.zarr")]) == 0
    message = refused(capsys, ["estimate", tmp_path / "e.zarr", "-o", tmp_path / "no" / "l.tsv"])
    assert "No such file or directory" in message and "l.tsv" in message


@pytest.mark.parametrize("argv", [
    ["run"], ["nonsense"], ["run", "m", "-o", "x", "--n_loci", "0"], ["run", "m", "-o", "x", "--seed", "-1"],
    ["run", "m", "-o", "x", "--instrument_z", "nan"], ["run", "m", "-o", "x", "--marks", "A,,B"],
    ["run", "m", "-o", "x", "--member_columns", "0,1"], ["run", "m"],
])
def test_wrong_usage_exits_with_2(argv, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(argv)
    assert stopped.value.code == 2 and "usage:" in capsys.readouterr().err


def test_options_offer_what_there_is():
    from kipoi_deepmr import mr
    from kipoi_deepmr.cli import parser
    from kipoi_deepmr.meta.tau2 import TAU2_METHODS

    assert set(parser.METHODS) == set(mr.METHODS) and set(parser.TAU2_METHODS) == set(TAU2_METHODS)


def test_an_internal_error_is_one_line(models, loci, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("kipoi_deepmr.pipeline.run", lambda *a, **k: 1 / 0)
    command = ["run", *models, "--source", "dir", *loci, "-o", str(tmp_path / "out")]
    assert main(command) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert main([*command, "--debug"]) == 1
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_ctrl_c(models, loci, tmp_path, capsys, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("kipoi_deepmr.pipeline.run", interrupted)
    assert main(["run", *models, "--source", "dir", *loci, "-o", str(tmp_path / "out")]) == 130
    assert "interrupted" in capsys.readouterr().err
