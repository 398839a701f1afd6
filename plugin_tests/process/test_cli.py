"""The command line: the real `kipoi postproc deepmr`, its output and its errors."""

import gc
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pysam
import pytest
from commands import refused
from conftest import LENGTH, member_weights, write_model
from finished_runs import PLAIN_WORDS

from kipoi_deepmr.cli import main
from kipoi_deepmr.cli.tables import MAX_LINES
from kipoi_deepmr.effects_store import open_effects


def kipoi(*arguments, cwd=None):
    """The real command in a process of its own."""
    return subprocess.run([sys.executable, "-m", "kipoi", "postproc", "deepmr", *arguments], cwd=cwd, timeout=300,
                          capture_output=True, text=True)


@pytest.fixture
def loci(bed_file, genome_file):
    return ["--intervals_file", bed_file, "--fasta_file", genome_file]


@pytest.mark.main_job
def test_the_main_job_on_the_real_example(cooperativity, tmp_path):
    folders, arguments = cooperativity
    command = ["run", *folders, "--source", "dir", "--dataloader_args", json.dumps(arguments), "--method",
               "egger,ivw,wald_mean", "--instrument_z", "2", "--n_loci", "15", "--seed", "3", "-o"]
    done = kipoi(*command, "OUT", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "loci: 15 used, 0 dropped" in done.stdout and "GATA" in done.stdout and "\r" not in done.stderr
    out = tmp_path / "OUT"
    names = {"effects.zarr", "instruments.vcf.gz", "instruments.vcf.gz.tbi", "local.tsv", "diagnostics.tsv",
             "diagnostics_by_pair.tsv", "global.tsv", "global.png", "run.json", "report.html", "network.tsv",
             "network_marks.tsv", "network.graphml", "network.json", "network.png"}
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
    for name, by_table in (("local.tsv", "local.tsv"), ("global.tsv", "global.tsv"),
                           ("instruments.vcf.gz", "local.vcf.gz")):
        one, two = ((tmp_path / folder / name).read_bytes() for folder in ("OUT", "OUT2"))
        assert one == two == (tmp_path / "S" / by_table).read_bytes()


def test_errors_reach_the_shell_as_exit_code_2(models, loci, tmp_path):
    done = kipoi("run", models[0], "--source", "dir", *loci, "-o", str(tmp_path / "out"))
    assert done.returncode == 2 and not (tmp_path / "out").exists()
    assert done.stderr.splitlines()[-1].startswith("kipoi deepmr: error: one model alone gives no standard errors")


@pytest.mark.main_job
def test_run_from_bed_and_fasta(models, loci, tmp_path, capsys):
    assert main(["run", *models, "--source", "dir", *loci, "--instrument_z", "1", "--method", "ivw", "-o",
                 str(tmp_path / "out")]) == 0
    out = capsys.readouterr().out
    assert "loci: 9 used, 0 dropped, of 9" in out and out.startswith("verdicts on ") and "start with" in out
    assert len(out.splitlines()) <= MAX_LINES
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


def written(tmp_path, models, loci, *options, name="out"):
    """Marks and members in the store that `predict` writes with these options."""
    path = str(tmp_path / name)
    assert main(["predict", *map(str, models), "--source", "dir", *loci, "-o", path, *options]) == 0
    store = open_effects(path)
    return list(store["mark"].values), list(store["member"].values), store


def test_a_pattern_of_models(models, loci, tmp_path):
    pattern = os.path.join(os.path.dirname(models[0]), "*")
    assert written(tmp_path, [pattern], loci)[1] == ["0", "1", "2"]


def test_marks_are_renamed_chosen_and_averaged(models, loci, tmp_path):
    names = tmp_path / "names.txt"
    names.write_text("one\ntwo\nthree\n\n")
    options = ["--mark_names", str(names), "--mark_groups", "mean=one,2", "t=t*", "first=0", "--marks", "first,m*"]
    marks, _, grouped = written(tmp_path, models, loci, *options)
    assert marks == ["first", "mean"]
    plain = written(tmp_path, models, loci, name="plain")[2]
    grouped, plain = grouped["effect"].values, plain["effect"].values
    np.testing.assert_allclose(grouped[..., 0], plain[..., 0], atol=1e-5)
    np.testing.assert_allclose(grouped[..., 1], plain[..., [0, 2]].mean(-1), atol=1e-5)


MARK_TABLE = "assay\tname\tindex\nATAC\ttwo\t1\nDNase\tthree\t2\nATAC\tone\t0\n"


@pytest.mark.parametrize("options, same", [
    ([], ["--mark_names", "names.txt"]),
    (["--marks", "assay=DN*,assay=ATAC"], ["--mark_names", "names.txt", "--marks", "three,one,two"]),
    (["--mark_groups_by", "assay"], ["--mark_names", "names.txt", "--mark_groups", "ATAC=one,two", "DNase=three"])])
def test_a_table_of_marks_does_what_names_and_groups_do(models, loci, tmp_path, options, same):
    (tmp_path / "names.txt").write_text("one\ntwo\nthree\n")
    (tmp_path / "marks.tsv").write_text(MARK_TABLE)
    same = [str(tmp_path / word) if word == "names.txt" else word for word in same]
    marks, _, store = written(tmp_path, models, loci, "--mark_table", str(tmp_path / "marks.tsv"), *options)
    expected, _, plain = written(tmp_path, models, loci, *same, name="plain")
    assert marks == expected
    np.testing.assert_array_equal(store["member_effect"].values, plain["member_effect"].values)
    assert set(marks) & set(store.attrs["mark_columns"]["assay"]) == set(marks) and "mark_columns" not in plain.attrs


@pytest.mark.parametrize("content, options, said", [
    ("name\na\nb\n", [], "marks.tsv: 2 names for 3 marks"),
    ("name\nB\nA\nC\n", [], "marks.tsv: these are the model's own names in another order: output 0 is A, not B"),
    (MARK_TABLE, ["--marks", "assay=ATCA"], 'column assay has no value "ATCA"; did you mean "ATAC"?'),
    (None, [], "marks.tsv: No such file")])
def test_a_bad_table_of_marks(models, loci, tmp_path, capsys, content, options, said):
    if content is not None:
        (tmp_path / "marks.tsv").write_text(content)
    message = refused(capsys, ["run", *models, "--source", "dir", *loci, "-o", tmp_path / "out", "--mark_table",
                               tmp_path / "marks.tsv", *options])
    assert said in message and not (tmp_path / "out").exists()


def test_views_as_members(models, loci, tmp_path, capsys):
    members = written(tmp_path, models[:1], loci, "--augment", "rc,shift=-1:1")[1]
    assert members == ["0", "0:shift-1", "0:shift+1", "0:rc", "0:rc,shift-1", "0:rc,shift+1"]
    assert "caution: members that differ by augmented views show only a part" in capsys.readouterr().out
    written(tmp_path, models, loci, name="deep")
    assert "caution" not in capsys.readouterr().out


def test_single_task_models_stacked(loci, tmp_path):
    for k, weights in enumerate(member_weights()):
        for number, mark in enumerate(("GATA", "TAL1")):
            write_model(tmp_path / mark / str(k), weights[..., number:number + 1], ["score"])
    texts = [f"{mark}={tmp_path / mark}/*" for mark in ("TAL1", "GATA")]
    marks, members, store = written(tmp_path, texts, loci, "--stack")
    assert (marks, members) == (["TAL1", "GATA"], ["stack1", "stack2", "stack3"])
    both = [write_model(tmp_path / "both" / str(k), w[..., [1, 0]], ["TAL1", "GATA"])
            for k, w in enumerate(member_weights())]
    plain = written(tmp_path, both, loci, name="plain")[2]
    np.testing.assert_allclose(store["member_effect"], plain["member_effect"], atol=1e-5)


def test_other_options_are_another_run(models, loci, tmp_path, capsys):
    command = ["predict", *models, "--source", "dir", *loci, "-q", "-o", str(tmp_path / "e.zarr")]
    options = ["--augment", "rc", "--mark_groups", "X=A", "Y=B,C"]
    assert main([*command, *options]) == 0 and main([*command, *options]) == 0
    assert 'augment: ["rc"] -> null' in refused(capsys, [*command, *options[2:]])
    assert '"Y": ["B"]' in refused(capsys, [*command, *options[:-1], "Y=B"])
    assert main([*command, *options, "--batch_size", "7", "--jobs", "1"]) == 0


KERAS_YAML = """
type: keras
args: {{weights: model.keras}}
default_dataloader: {{defined_as: kipoiseq.dataloaders.SeqIntervalDl}}
info: {{authors: [{{name: test}}], doc: test}}
schema:
  inputs: {{shape: "({length}, 4)", doc: dna}}
  targets: {{shape: "(2,)", doc: marks, column_labels: [A, B]}}
"""


def test_dropout_masks_as_members(loci, tmp_path, capsys):
    import keras

    keras.utils.set_random_seed(1)
    layers = keras.layers
    network = keras.Sequential([layers.Input((LENGTH, 4)), layers.Conv1D(8, 3, activation="relu"), layers.Flatten(),
                                layers.Dropout(0.3), layers.Dense(2)])
    (tmp_path / "m").mkdir()
    network.save(tmp_path / "m" / "model.keras")
    (tmp_path / "m" / "model.yaml").write_text(KERAS_YAML.format(length=LENGTH))
    options = ["--mc_dropout", "4", "--n_loci", "2", "--seed"]
    _, members, one = written(tmp_path, [tmp_path / "m"], loci, *options, "1")
    assert members == [f"m:dropout{k}" for k in (1, 2, 3, 4)]
    assert "caution: members that differ by dropout masks" in capsys.readouterr().out
    again = written(tmp_path, [tmp_path / "m"], loci, *options, "1", "--batch_size", "5", name="again")[2]
    np.testing.assert_allclose(one["member_effect"], again["member_effect"], atol=1e-5)
    assert (one["effect_se"].values > 1e-3).any()
    capsys.readouterr()
    assert "seed: 1 -> 2" in refused(capsys, ["predict", tmp_path / "m", "--source", "dir", *loci, *options, "2", "-o",
                                              tmp_path / "out"])


@pytest.mark.parametrize("content, said", [
    ("", "the file is empty"), ("a\n\nb\nc\n", "line 2 is empty"), ("a\nb\n", "2 names for 3 marks"),
    ("a\nb\na\n", "a is there twice")])
def test_bad_names_of_marks(models, loci, tmp_path, capsys, content, said):
    (tmp_path / "names.txt").write_text(content)
    assert said in refused(capsys, ["predict", *models, "--source", "dir", *loci, "-o", tmp_path / "out",
                                    "--mark_names", tmp_path / "names.txt"])


@pytest.mark.parametrize("options, said", [
    (["--marks", "A,Bb"], 'no mark "Bb"'),
    (["--exposures", "Aa"], "unknown exposure 'Aa'"),
    (["--member_columns", "r1=0", "r1=1"], "member_columns: r1 is named twice"),
    (["--mark_groups", "X=0", "X=1"], "mark_groups: X is named twice"),
    (["--mark_groups", "X=0", "Y=7"], "--mark_groups Y: no column 7"),
    (["--mark_names", "none.txt"], "none.txt: No such file"),
    (["--mark_window", "0:4"], "has no positions"),
    (["--scale", "log"], "--scale log: mark"),
    (["--augment", "rc,flip"], '"flip" is not understood'),
    (["--mc_dropout", "5"], "holds neither"),
    (["--stack"], "one model alone"),
    (["--stack", "--augment", "rc", "--marks", "A"], 'did you mean "2/A"?'),
    (["--python", "nowhere"], "--python nowhere: no such program"),
    (["--env", "nowhere"], "--env nowhere"),
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
    ("", "the BED file is empty"), ("1\t0\t12\n", 'another "chr" prefix'),
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
    assert "ddof: 1 -> 0" in refused(capsys, [*command, tmp_path / "run", "--ddof", "0"])
    assert main([*command, str(tmp_path / "run"), "-q", "--ddof", "0", "--overwrite"]) == 0


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
    assert "there is no folder" in message and "l.tsv" in message


@pytest.mark.parametrize("argv", [
    ["run"], ["nonsense"], ["run", "m", "-o", "x", "--method", "eggar"],
    ["run", "m", "-o", "x", "--n_loci", "0"], ["run", "m", "-o", "x", "--seed", "-1"],
    ["run", "m", "-o", "x", "--instrument_z", "nan"], ["run", "m", "-o", "x", "--marks", "A,,B"],
    ["run", "m", "-o", "x", "--member_columns", "0,1"], ["run", "m"], ["run", "m", "-o", "x", "--mark_groups", "A="],
    ["run", "m", "-o", "x", "--mark_window", "5"], ["run", "m", "-o", "x", "--mark_window", "5:5"],
    ["run", "m", "-o", "x", "--mark_summary", "median"], ["run", "m", "-o", "x", "--mc_dropout", "0"],
    ["simulate", "-o", "x", "--eta", "nan"], ["simulate", "-o", "x", "--gamma", "-1"],
    ["simulate", "-o", "x", "--tau", "1e30"],
])
def test_wrong_usage_exits_with_2(argv, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(argv)
    assert stopped.value.code == 2 and "usage:" in capsys.readouterr().err


def test_an_internal_error_is_one_line(models, loci, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("kipoi_deepmr.pipeline.run", lambda *a, **k: 1 / 0)
    command = ["run", *models, "--source", "dir", *loci, "-o", str(tmp_path / "out")]
    assert main(command) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert main([*command, "--debug"]) == 1
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_ctrl_c(models, loci, tmp_path, capsys, monkeypatch):
    """And Python does not look for cycles among all objects as it ends, which takes seconds on a busy machine."""
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("kipoi_deepmr.pipeline.run", interrupted)
    assert main(["run", *models, "--source", "dir", *loci, "-o", str(tmp_path / "out")]) == 130
    assert "interrupted" in capsys.readouterr().err and gc.get_freeze_count() > 1000
    gc.unfreeze()


def test_options_of_the_estimators(models, bed_file, genome_file, tmp_path, capsys):
    arguments = ["run", *models, "--source", "dir", "--intervals_file", bed_file, "--fasta_file", genome_file,
                 *PLAIN_WORDS, "--instrument_z", "1", "--method", "ivw,egger", "-q", "-o"]
    one, other = str(tmp_path / "one"), str(tmp_path / "other")
    assert main([*arguments, one]) == 0
    assert main([*arguments, other, "--method_args", "model=fixed", "distribution=t", "alpha=0.01"]) == 0
    first, second = (pd.read_csv(os.path.join(out, "local.tsv"), sep="\t") for out in (one, other))
    assert (second["estimate"].dropna() == first["estimate"].dropna()).all()
    assert (second["se"] <= first["se"])[first["method"] == "ivw"].all()
    assert main([*arguments, one, "--method_args", "model=fixed"]) == 0  # from the effects that are there
    again = pd.read_csv(os.path.join(one, "local.tsv"), sep="\t")
    assert (again["se"] <= first["se"])[first["method"] == "ivw"].all() and not again["se"].equals(first["se"])
    for wrong, said in (("model=other", "model='other' is not known"), ("penalized=1", "penalized is true or false"),
                        ("nothing=1", "no option 'nothing'"), ("alpha=x", "alpha")):
        assert main([*arguments, str(tmp_path / "wrong"), "--method_args", wrong]) == 2
        assert said in capsys.readouterr().err and not (tmp_path / "wrong").exists()
