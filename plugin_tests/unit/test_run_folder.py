"""The folder of a run: taken over, refused or emptied; its names, its checksums, and what stages may write there."""

import json
import os
import shutil

import numpy as np
import pytest
from finished_runs import write_run

from kipoi_deepmr.errors import InputError
from kipoi_deepmr.files import locked
from kipoi_deepmr.runs import manifest
from kipoi_deepmr.runs.finished import FinishedRun
from kipoi_deepmr.runs.folder import RunFolder, copy_store, run_folder
from kipoi_deepmr.runs.outputs import OUTPUTS, STAGES, Target, array_of, is_ours, writing


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made") / "OUT"
    write_run(folder)
    return folder


@pytest.fixture
def run(made, tmp_path):
    shutil.copytree(made, tmp_path / "OUT")
    return tmp_path / "OUT"


def test_new_folder_and_the_same_effects_again(tmp_path):
    out = str(tmp_path / "a" / "b")
    first = RunFolder(out, {"marks": ("A", "B"), "z": 2}, {"marks": ("A", "B")})
    assert not first.holds_effects
    first.begin({"started": "now"})
    assert manifest.read(out) == {"settings": {"marks": ["A", "B"], "z": 2}, "effects": {"marks": ["A", "B"]},
                                  "started": "now", "finished": None, "files": {}}
    assert RunFolder(out, {"marks": ["A", "B"], "z": 3}, {"marks": ["A", "B"]}).holds_effects


def test_effects_of_other_settings_are_refused_unless_overwritten(tmp_path):
    out = str(tmp_path / "out")
    RunFolder(out, {"ddof": 1}, {"ddof": 1}).begin({})
    with pytest.raises(InputError) as refused:
        RunFolder(out, {"ddof": 0}, {"ddof": 0})
    said = str(refused.value)
    assert "ddof: 1 -> 0" in said and "--overwrite" in said and f"run --effects {out}/effects.zarr -o NEW" in said
    assert not RunFolder(out, {"ddof": 0}, {"ddof": 0}, overwrite=True).holds_effects
    assert names(tmp_path / "out") == []


@pytest.mark.parametrize("finished, kept", [(None, True), ("yesterday", False)])
def test_overwriting_resumes_its_own_unfinished_run_and_replaces_a_finished_one(tmp_path, finished, kept):
    out = str(tmp_path / "out")
    RunFolder(out, {"ddof": 1}, {"ddof": 1}).finish({}, finished)
    assert RunFolder(out, {"ddof": 1}, {"ddof": 1}, overwrite=True).holds_effects == kept


def test_foreign_folders_are_left_alone(tmp_path):
    (tmp_path / "thesis.doc").write_text("precious")
    with pytest.raises(InputError, match="holds no DeepMR run"):
        RunFolder(str(tmp_path), {}, {})
    RunFolder(str(tmp_path), {}, {}, overwrite=True).discard()
    assert (tmp_path / "thesis.doc").read_text() == "precious"


def test_folder_that_cannot_be(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="a file of that name"):
        RunFolder(str(tmp_path / "file"), {}, {})
    with pytest.raises(InputError, match="cannot be made"):
        RunFolder(str(tmp_path / "file" / "below"), {}, {})


def test_discard_removes_only_a_folder_of_its_own(tmp_path):
    RunFolder(str(tmp_path / "new"), {}, {}).discard()
    assert not (tmp_path / "new").exists()
    (tmp_path / "old").mkdir()
    RunFolder(str(tmp_path / "old"), {}, {}).discard()
    assert (tmp_path / "old").exists()


def test_a_run_that_takes_effects_over_and_fails_leaves_what_was_there(run):
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    told = json.loads((run / "run.json").read_text())
    folder = RunFolder(str(run), {**told["settings"], "instrument_z": 9}, told["effects"])
    folder.begin({})
    folder.discard()
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_one_command_writes_to_a_folder_at_a_time(run):
    with run_folder(str(run), {}, json.loads((run / "run.json").read_text())["effects"]):
        for path, stage in (("report.html", "report"), ("local.tsv", "estimate"), ("global.tsv", "aggregate")):
            with pytest.raises(InputError, match="another command is writing there"), \
                    writing(stage, Target(stage, str(run / path))):
                pass
        with writing("plot", str(run / "my.png")) as files:
            open(files.path, "w").close()
    assert (run / "my.png").exists() and not [name for name in names(run) if name.startswith(".")]


def test_versions_name_what_is_not_installed(monkeypatch):
    monkeypatch.setattr(manifest, "PACKAGES", ("numpy", "no-such-package"))
    assert manifest.versions()["numpy"] == np.__version__ and manifest.versions()["no-such-package"] is None


# ---- pieces of a run

def test_the_manifest_has_a_checksum_of_each_table_and_of_the_store(made):
    files = manifest.read(str(made))["files"]
    assert set(files) == {"local.tsv", "diagnostics.tsv", "diagnostics_by_pair.tsv", "global.tsv", "network.tsv",
                          "network_marks.tsv", "network.graphml", "network.json"}
    FinishedRun(str(made))


@pytest.mark.parametrize("name", ["local.tsv", "global.tsv", "diagnostics.tsv", "diagnostics_by_pair.tsv"])
@pytest.mark.parametrize("change", ["other", "gone"])
def test_a_piece_of_another_command_is_named(run, name, change):
    if change == "gone":
        (run / name).unlink()
    else:
        (run / name).write_text((run / name).read_text() + "\n")
    with pytest.raises(InputError) as refused:
        FinishedRun(str(run))
    said = str(refused.value)
    assert name in said and ("missing" in said if change == "gone" else "another command" in said)
    assert not [other for other in STAGES["estimate"].beside if other != name and f" {other} " in said]


def test_an_unfinished_run_is_named(run):
    told = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**told, "finished": None}))
    with pytest.raises(InputError, match="not finished; repeat its command"):
        FinishedRun(str(run))


@pytest.mark.parametrize("content", ["{}", "[]", "null", '{"settings": {}}', "{", '{"settings": [], "effects": {}}'])
def test_a_manifest_that_is_none(run, content):
    (run / "run.json").write_text(content)
    with pytest.raises(InputError, match="run.json: cannot be read"):
        FinishedRun(str(run))


# ---- names and rights of a stage

def write(stage, path, *keys, **options):
    with writing(stage, str(path), **options) as files:
        open(files.path, "w").close()
        for key in keys:
            with open(files.beside(key), "w") as out:
                out.write("exposure\toutcome\n")


def test_side_files_belong_to_their_table(tmp_path):
    for name in ("a", "b.c"):
        write("estimate", tmp_path / f"{name}.tsv", "diagnostics.tsv", "diagnostics_by_pair.tsv")
    assert names(tmp_path) == ["a.diagnostics.tsv", "a.diagnostics_by_pair.tsv", "a.tsv", "b.c.diagnostics.tsv",
                               "b.c.diagnostics_by_pair.tsv", "b.c.tsv"]


def test_in_the_folder_of_a_run_the_plain_names_stay(run, tmp_path):
    before = names(run)
    write("estimate", run / "local.tsv", "diagnostics.tsv")
    assert set(names(run)) == set(before) - {"diagnostics_by_pair.tsv"}
    write("estimate", run / "other.tsv", "diagnostics.tsv")
    assert "other.diagnostics.tsv" in names(run)


def test_what_is_not_made_is_not_left_standing(tmp_path):
    write("estimate", tmp_path / "a.tsv", "diagnostics.tsv", "diagnostics_by_pair.tsv")
    write("estimate", tmp_path / "other.tsv", "diagnostics.tsv")
    write("estimate", tmp_path / "a.tsv")
    assert names(tmp_path) == ["a.tsv", "other.diagnostics.tsv", "other.tsv"]


def test_a_failure_removes_and_replaces_nothing(tmp_path):
    write("estimate", tmp_path / "a.tsv", "diagnostics.tsv")
    with pytest.raises(RuntimeError), writing("estimate", str(tmp_path / "a.tsv")) as files:
        open(files.path, "w").close()
        raise RuntimeError
    assert names(tmp_path) == ["a.diagnostics.tsv", "a.tsv"]


@pytest.mark.parametrize("stage", list(STAGES))
def test_no_file_of_another_origin_is_replaced_beside_the_main_one(tmp_path, stage):
    main = str(tmp_path / ("a.vcf.gz" if stage == "annotate" else "a.tsv"))
    for key, path in Target(stage, main).beside.items():
        if path.endswith((".tbi", ".csi")):
            continue
        with open(path, "wb") as file:
            file.write(b"mine")
        with pytest.raises(InputError, match="which DeepMR did not write"):
            write(stage, main, key)
        assert names(tmp_path) == [os.path.basename(path)]
        os.remove(path)


def test_a_calibration_of_the_user_is_not_taken_for_a_copy(tmp_path):
    path = tmp_path / "a.calibration.json"
    path.write_text('{"format": "kipoi_deepmr calibration"}')
    assert not is_ours(str(path))
    path.write_text('{"copied_from": "x", "format": "kipoi_deepmr calibration"}')
    assert is_ours(str(path))


@pytest.mark.parametrize("way", ["same", "relative", "symlink", "hardlink", "index"])
def test_an_output_that_is_an_input_is_refused(tmp_path, monkeypatch, way):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.tsv").write_text("precious")
    (tmp_path / "in.tsv.fai").write_text("precious")
    if way == "symlink":
        os.symlink("in.tsv", "out.tsv")
    elif way == "hardlink":
        os.link("in.tsv", "out.tsv")
    output = {"same": str(tmp_path / "in.tsv"), "relative": "./in.tsv", "index": "in.tsv.fai"}.get(way, "out.tsv")
    with pytest.raises(InputError, match="also an input"):
        write("aggregate", output, inputs=[str(tmp_path / "in.tsv"), None])
    assert (tmp_path / "in.tsv").read_text() == (tmp_path / "in.tsv.fai").read_text() == "precious"
    write("aggregate", tmp_path / "b.tsv", inputs=[str(tmp_path / "in.tsv")])


def test_a_file_beside_the_main_one_that_is_an_input_is_refused(tmp_path):
    (tmp_path / "a.strata.tsv").write_text("exposure\toutcome\n")
    with pytest.raises(InputError, match="a.strata.tsv: this output is also an input"):
        write("aggregate", tmp_path / "a.tsv", inputs=[str(tmp_path / "a.strata.tsv")])


@pytest.mark.parametrize("stage, name", [("aggregate", "run.json"), ("aggregate", "local.tsv"),
                                         ("aggregate", "diagnostics.tsv"), ("estimate", "global.tsv"),
                                         ("calibrate", "run.json"), ("annotate", "instruments.vcf.gz"),
                                         ("aggregate", "effects.zarr/.zgroup"), ("plot", "effects.zarr/effect/x.png"),
                                         ("plot", "report.html")])
def test_files_of_a_run_that_another_stage_made_are_refused(run, stage, name):
    (run / "instruments.vcf.gz").write_text("")
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    with pytest.raises(InputError, match="belongs to the run|lies in the store"):
        write(stage, run / name)
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_a_file_beside_a_table_is_refused(tmp_path):
    header = "exposure\toutcome\n"
    for name in ("a.tsv", "a.diagnostics.tsv"):
        (tmp_path / name).write_text(header)
    with pytest.raises(InputError, match="belongs to .*a.tsv"):
        write("aggregate", tmp_path / "a.diagnostics.tsv")


@pytest.mark.parametrize("stage", ["estimate", "aggregate", "network", "table", "shape", "interaction"])
@pytest.mark.parametrize("ending", [".tsv.gz", ".gz", ".tsv.bz2", ".zip"])
def test_a_table_whose_name_says_that_it_is_packed_is_refused(tmp_path, stage, ending):
    """Readers would try to unpack it."""
    with pytest.raises(InputError, match=r"give -o \S*/a.parquet, which is smaller, or -o \S*/a.tsv$"):
        write(stage, tmp_path / f"a{ending}")
    assert not any(tmp_path.iterdir())


def test_a_folder_in_place_of_local_effects_is_refused(tmp_path):
    with pytest.raises(InputError, match="and no array of local effects; give a table or an array in it$"):
        array_of(str(tmp_path))
    (tmp_path / "local.parquet").write_text("")
    with pytest.raises(InputError, match="such as .*local.parquet$"):
        array_of(str(tmp_path))


def test_a_figure_of_the_main_files_own_name_is_refused(tmp_path):
    with pytest.raises(InputError, match="another file of that name beside it"):
        write("calibrate", tmp_path / "a.png")


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match="there is no folder"):
        write("aggregate", tmp_path / "none" / "a.tsv")
    assert not names(tmp_path)


def test_beside_a_stream_nothing_is_written(tmp_path):
    target = Target("estimate", "/dev/stdout")
    assert target.alone and target.paths == ["/dev/stdout"]


def test_every_file_beside_a_table_is_locked(tmp_path):
    with locked(str(tmp_path / "a.png")), pytest.raises(InputError, match="a.png: another command is writing there"):
        write("aggregate", tmp_path / "a.tsv")
    assert not names(tmp_path)


def test_a_second_name_of_a_store(made, tmp_path):
    """Its chunks are shared, so that it takes no disk; what may change is its own."""
    copy_store(str(made / "effects.zarr"), str(tmp_path / "copy"))
    for path in (made / "effects.zarr").rglob("*"):
        if path.is_file():
            twin = tmp_path / "copy" / path.relative_to(made / "effects.zarr")
            assert twin.read_bytes() == path.read_bytes()
            assert os.path.samefile(twin, path) == path.name[:1].isdigit()


def test_the_outputs_of_a_run_are_those_of_its_stages():
    assert {"local.tsv", "global.tsv", "instruments.vcf.gz.tbi", "strata.png", "report.html", "run.json"} < set(OUTPUTS)
    assert len(set(OUTPUTS)) == len(OUTPUTS)
