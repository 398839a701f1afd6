"""`--config`: what a file says is what the command line would say, and the command line wins."""

import json
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
    return vars(config.parse(make_parser("kipoi deepmr"), [str(word) for word in argv]))


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
])
def test_a_wrong_file_is_refused_by_name_and_key(tmp_path, content, said):
    path = written(tmp_path, content)
    message = refused("run", "m", "-o", "OUT", "--config", path)
    assert message.startswith(path) and said in message and "\n" not in message


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
