"""`--config`: what a file says is what the command line would say, and the command line wins."""

import json
import os
import subprocess
import sys

import pandas as pd
import pytest
import yaml

from kipoi_deepmr.cli import config, main
from kipoi_deepmr.cli.parser import make_parser
from kipoi_deepmr.errors import InputError


def written(folder, content, name="run.yaml"):
    path = folder / name
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False))
    return str(path)


def parsed(*argv):
    said = vars(config.parse(make_parser("kipoi deepmr"), [str(word) for word in argv]))
    return {name: value for name, value in said.items() if name != "from_file"}


def refused(*argv):
    with pytest.raises(InputError) as error:
        parsed(*argv)
    return str(error.value)


@pytest.mark.parametrize("options, words", [
    ({"method": ["ivw", "egger"], "n_loci": 5, "instrument_z": 2}, "--method ivw,egger --n_loci 5 --instrument_z 2"),
    ({"method": "ivw", "marks": [0, "B*"]}, "--method ivw --marks 0,B*"),
    ({"mark_window": [4, 6], "overwrite": True, "no_report": False}, "--mark_window 4:6 --overwrite"),
    ({"mark_window": "4:6", "dask-scheduler-file": "x.json"}, "--mark_window 4:6 --dask_scheduler_file x.json"),
    ({"method_args": {"model": "fixed", "penalized": True, "alpha": 0.01}},
     "--method_args model=fixed penalized=true alpha=0.01"),
    ({"mark_windows": {"X": [4, 6], "Y": "A@-3:+3"}}, "--mark_windows X=4:6 Y=A@-3:+3"),
    ({"exposures": ["A,1", "B"], "mark_groups": {"X": ["A,1", "B"]}}, '--exposures "A,1",B --mark_groups X="A,1",B'),
    ({"mark_groups": {"X": ["A", 1], "Y": "C"}}, "--mark_groups X=A,1 Y=C"),
    ({"member_columns": ["r1=0,2", "r2=1,3"]}, "--member_columns r1=0,2 r2=1,3"),
    ({"python": "/usr/bin/python3", "vcf": None}, "--python /usr/bin/python3"),
    ({"dataloader_args": {"intervals_file": "x.bed"}}, """--dataloader_args {"intervals_file":\u00a0"x.bed"}"""),
], ids=lambda value: value if isinstance(value, str) else "")
def test_a_file_says_what_the_command_line_says(tmp_path, options, words):
    path = written(tmp_path, {"models": ["m/1", "m/2"], "output": "OUT", **options})
    plain = parsed("run", "m/1", "m/2", "-o", "OUT", *(word.replace("\u00a0", " ") for word in words.split(" ")))
    assert parsed("run", "--config", path) == {**plain, "config": path}
    as_json = written(tmp_path, json.dumps({"models": ["m/1", "m/2"], "output": "OUT", **options}), "run.json")
    assert parsed("run", f"--config={as_json}") == {**plain, "config": as_json}


@pytest.mark.parametrize("place", [0, 1, 2])
def test_the_command_line_wins_wherever_the_file_stands(tmp_path, place):
    given = {"models": ["a"], "seed": 1, "dask": "local:2", "quiet": True, "output": "x", "mark_groups": {"X": "A"}}
    path = written(tmp_path, given)
    words = [["m/1", "m/2"], ["--seed", "42", "-v"], ["--dask_scheduler_file", "s.json", "-o", "y"]]
    words.insert(place + 1, ["--config", path])
    found = parsed("run", *sum(words, []))
    assert (found["models"], found["seed"], found["output"]) == (["m/1", "m/2"], 42, "y")
    assert (found["dask"], found["dask_scheduler_file"]) == (None, "s.json")
    assert (found["quiet"], found["verbose"]) == (False, True)
    assert found["mark_groups"] == [("X", ("A",))]


def test_one_file_for_all_stages(tmp_path):
    path = written(tmp_path, {"models": ["m"], "method": "ivw", "tau2_method": "DL", "n_loci": 3})
    assert parsed("predict", "--config", path, "-o", "e.zarr")["n_loci"] == 3
    assert parsed("estimate", "e.zarr", "--config", path, "-o", "l.tsv")["method"] == ("ivw",)
    assert parsed("aggregate", "--config", path, "l.tsv", "-o", "g.tsv")["tau2_method"] == "DL"
    path = written(tmp_path, {"locus": 12, "exposure": "A", "outcome": "B"})
    assert parsed("plot", "local", "OUT", "--config", path, "-o", "x.png")["locus"] == "12"


def test_what_is_still_missing_is_told(tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        parsed("predict", "--config", written(tmp_path, {"n_loci": 3}))
    assert stopped.value.code == 2 and "required: MODEL, -o/--output" in capsys.readouterr().err


@pytest.mark.parametrize("content, said", [
    ({"n_locis": 3}, "unknown option 'n_locis'; did you mean \"n_loci\"?"),
    ({"n_loci": "many"}, "n_loci: 'many' must be a whole number of at least 1"),
    ({"n_loci": 0}, "n_loci: '0' must be a whole number of at least 1"),
    ({"method": [["ivw"]]}, "method: ['ivw'] is not a value"),
    ({"method_args": "fixed"}, "'fixed' is not of the form NAME=VALUE"),
    ({"vcf": "al"}, "vcf: 'al' is not one of its values; did you mean \"all\"?"),
    ({"overwrite": "yes please"}, "overwrite: is true or false, not 'yes please'"),
    ({"source": ["dir", "kipoi"]}, "source: ['dir', 'kipoi'] is not a value"),
    ("marks: [NO, SI]", "marks: YAML reads yes, no, on, off"),
    ("mark_window: 40:50", "mark_window: '2450' is not of the form START:END"),  # YAML 1.1's sexagesimal numbers
    ({"models": []}, "models: an empty list"),
    ({"dask": "local:2", "dask_scheduler_file": "x"}, "dask and dask_scheduler_file exclude each other"),
    ("a: [1\nb: 2", "line 2: neither YAML nor JSON"),
    ("a: !!python/object/apply:os.system ['true']", "neither YAML nor JSON (could not determine a constructor"),
    ("", "holds no options"), ("- 1", "holds no options"), ("x\x00", "neither YAML nor JSON"),
    ("seed: 1\nn_loci: 2\nseed: 3", "line 3: 'seed' is there twice"),
    ('{"seed": 1, "seed": 2}', "'seed' is there twice"),
    ("n_loci: 1\nn-loci: 2", "n_loci is there twice, with - and with _"),
    ("a: &a [x]\n" + "".join(f"a{k}: &a{k} [{', '.join([f'*a{k - 1}' if k else '*a'] * 9)}]\n" for k in range(9)),
     "more than 10,000 values"),
    ("marks: &a [*a]", "line 1: an alias within what it stands for"),
    ("marks: [2020-01-01]", "line 1: YAML reads this as a date; write text in quotes"),
    ("marks: 2020-13-45", "YAML reads this as a date"),
    ("marks: !!binary aGk=", "YAML reads this as binary data"),
    ("marks: !!set {A, B}", "YAML reads this as a set"),
    ("seed: &a {n: 1}\nmarks: {<<: *a}", "YAML reads this as a merge of mappings"),
    ('marks: "\\ud83d"', "has half a character"), ('{"marks": "\\ud83d"}', "has half a character"),
    ('{"\\ud83d": 1}', "has half a character"),
    ("marks: " + "[" * 20_000, "lists or mappings within each other without end"),
    ('{"marks": ' + "[" * 100_000, "lists or mappings within each other without end"),
    ("seed: " + "9" * 5000, "neither YAML nor JSON"),
    ("? [a, b]\n: 1", "neither YAML nor JSON"),
])
def test_a_wrong_file_is_refused_by_name_and_key(tmp_path, content, said):
    path = written(tmp_path, content)
    message = refused("run", "m", "-o", "OUT", "--config", path)
    assert message.startswith(path) and said in message and "\n" not in message


@pytest.mark.parametrize("key, value", [("output", "OUT"), ("overwrite", True), ("python", "/bin/x"), ("env", "e")])
def test_what_only_the_users_own_words_may_set(tmp_path, key, value):
    """Which program runs, and what is replaced."""
    own = {"models": ["m"], "output": "OUT", "n_loci": 3} | {key: value}
    path = tmp_path / "run.yaml"
    assert parsed("run", "--config", written(tmp_path, own))["n_loci"] == 3
    path.chmod(0o666)
    without_output = [] if key == "output" else ["-o", "X"]
    assert refused("run", "--config", path, *without_output) == (
        f"{path}: {key} is not taken from a file that every user can write; say --{key} on the command line")
    if key != "overwrite":
        words = parsed("run", "--config", path, "-o", "X", f"--{key}", "mine")
        assert words["n_loci"] == 3


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
def test_what_a_file_of_another_user_may_not_set(tmp_path):
    path = written(tmp_path, {"models": ["m"], "python": "/bin/x"})
    os.chown(path, 12345, 12345)
    assert "python is not taken from a file of another user" in refused("run", "--config", path, "-o", "X")


def test_the_record_of_a_run_names_no_program_and_no_output(tmp_path):
    record = {"settings": {}, "arguments": {"models": ["m"], "n_loci": 3, "output": "OUT", "overwrite": True}}
    path = written(tmp_path, json.dumps(record), "run.json")
    words = parsed("run", "--config", path, "-o", "X")
    assert (words["models"], words["n_loci"], words["output"], words["overwrite"]) == (["m"], 3, "X", None)
    record["arguments"]["python"] = ["/bin/x"]
    path = written(tmp_path, json.dumps(record), "run.json")
    assert "python is not taken from the record of a run; say --python" in refused("run", "--config", path, "-o", "X")
    assert parsed("run", "--config", path, "-o", "X", "--python", "mine")["python"] == ["mine"]
    assert parsed("annotate", "OUT", "--config", path, "-o", "X", "--input_vcf", "x")["models"] is None


def test_files_that_cannot_be_read(tmp_path, capsys):
    assert main(["run", "--config", str(tmp_path / "no.yaml")]) == 2
    assert "no.yaml: No such file" in capsys.readouterr().err
    (tmp_path / "x.yaml").write_bytes(b"\xff\xfe\x00")
    assert "x.yaml: not a text file" in refused("run", "--config", tmp_path / "x.yaml")


def test_a_finished_run_is_a_config(models, bed_file, genome_file, tmp_path):
    """Through the real command, with options of every form; run.json's own run and variations of it."""
    def kipoi(*arguments):
        return subprocess.run([sys.executable, "-m", "kipoi", "postproc", "deepmr", *arguments], cwd=tmp_path,
                              capture_output=True, text=True, timeout=300)

    done = kipoi("run", *models, "--source", "dir", "--dataloader_args", f"intervals_file={bed_file}",
                 f"fasta_file={genome_file}", "--mark_groups", "X=A,B", "C=2", "--method", "ivw,egger",
                 "--instrument_z", "1", "--method_args", "model=fixed", "--marks", "X,C", "--no_report", "-o", "OUT")
    assert done.returncode == 0, done.stderr
    again = kipoi("run", "--config", "OUT/run.json", "-o", "OUT2", "-q")
    assert (again.returncode, again.stdout) == (0, ""), again.stderr
    for name in ("local.tsv", "global.tsv", "instruments.vcf.gz"):
        assert (tmp_path / "OUT" / name).read_bytes() == (tmp_path / "OUT2" / name).read_bytes()
    arguments = [json.loads((tmp_path / out / "run.json").read_text())["arguments"] for out in ("OUT", "OUT2")]
    assert {**arguments[0], "output": "OUT2"} == arguments[1]

    assert main(["estimate", str(tmp_path / "OUT" / "effects.zarr"), "--config", str(tmp_path / "OUT" / "run.json"),
                 "--method", "wald_mean", "--method_args", "alpha=0.1", "-o",
                 str(tmp_path / "l.tsv")]) == 0
    assert set(pd.read_csv(tmp_path / "l.tsv", sep="\t")["method"]) == {"wald_mean"}
    with pytest.raises(SystemExit):  # run's folder is not estimate's table
        main(["estimate", "x.zarr", "--config", str(tmp_path / "OUT" / "run.json")])
