"""`shape`: its files, its table alone on standard output, and one message for what cannot be done."""

import shutil

import numpy as np
import pandas as pd
import pytest
from commands import refused
from finished_runs import dataset_of, write_run
from known_curves import MARKS, simulate

from kipoi_deepmr.cli import main

PAIR = ["--exposure", "X", "--outcome", "Y"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder, known = tmp_path_factory.mktemp("shape") / "OUT", simulate("and", n_loci=24, seed=1)
    letters = np.frombuffer(b"ACGT", np.uint8)[np.random.default_rng(0).integers(4, size=(24, 20))]
    effects = dataset_of(known.effects, MARKS, letters)
    effects["reference"].values[:] = known.reference
    write_run(folder, effects=effects, instrument_z=0.3)
    return folder


def read(path):
    return pd.read_csv(path, sep="\t")


@pytest.mark.main_job
def test_files_and_what_is_printed(run, tmp_path, capsys):
    bed = tmp_path / "motifs.bed"
    motifs = [(100 * i + first, 100 * i + first + 4, mark)
              for i in range(24) for first, mark in ((1, "X"), (8 + i % 7, "Y"))]
    bed.write_text("".join(f"chr1\t{start}\t{end}\t{mark}\n" for start, end, mark in motifs))
    assert main(["shape", str(run), *PAIR, "--state", "X,M", "--motifs", str(bed), "-o", str(tmp_path / "s.tsv")]) == 0
    said = capsys.readouterr().out
    assert said.startswith("X -> Y: linear (24 loci, ") and "cooperative (AND)" in said and said.count("\n") <= 20
    assert {path.name for path in tmp_path.iterdir()} == {"motifs.bed", "s.tsv", "s.loci.tsv", "s.curve.tsv",
                                                          "s.state.tsv", "s.png"}
    table, loci, curve, state = (read(tmp_path / f"s{end}.tsv") for end in ("", ".loci", ".curve", ".state"))
    assert len(table) == 1 and table.loc[0, "shape"] == "linear" and table.loc[0, "n_loci"] == 24
    low, high = (table.loc[0, f"slope_reference_ci_{end}"] for end in ("low", "high"))
    assert low < table.loc[0, "slope_reference"] < high
    assert loci["locus"].tolist() == [f"locus{i}" for i in range(24)] and loci["note"].isna().all()
    assert curve["x"].is_monotonic_increasing and (curve["ci_low"] <= curve["y"]).all()
    assert state["covariate"].tolist() == ["X", "M", "motif_distance"]
    assert state["verdict"].tolist()[1] == "cooperative (AND)" and state.loc[2, "n_loci"] == 24
    assert (tmp_path / "s.png").read_bytes().startswith(b"\x89PNG")


def test_the_table_alone_on_standard_output_and_parquet(run, tmp_path, capfdbinary, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["shape", str(run), *PAIR, "-q", "-o", "s.tsv"]) == 0
    assert main(["shape", str(run), *PAIR, "-q", "-o", "-"]) == 0
    assert capfdbinary.readouterr().out == (tmp_path / "s.tsv").read_bytes()
    pytest.importorskip("pyarrow")
    assert main(["shape", str(run), *PAIR, "-q", "-o", "p.parquet"]) == 0
    pd.testing.assert_frame_equal(pd.read_parquet("p.loci.parquet"), read("s.loci.tsv"), check_dtype=False, rtol=1e-12)


def test_what_cannot_be_done_is_one_message(run, tmp_path, capsys):
    out = tmp_path / "s.tsv"
    cases = [
        (["--exposure", "Q", "--outcome", "Y"], "unknown exposure 'Q'"),
        (["--exposure", "X", "--outcome", "X"], "name two marks"),
        ([*PAIR, "--state", "X,Q"], "unknown mark of --state 'Q'"),
        ([*PAIR, "--motifs", str(tmp_path / "no.bed")], "no such BED file"),
        ([*PAIR, "--min_bend", "-1"], "min_bend"),
        (["--exposure", "X"], "--outcome"),
    ]
    for words, message in cases:
        if words == ["--exposure", "X"] or "-1" in words:
            with pytest.raises(SystemExit):
                main(["shape", str(run), *words, "-o", str(out)])
            assert message in capsys.readouterr().err
        else:
            assert message in refused(capsys, ["shape", run, *words, "-o", out])
    assert str(tmp_path / "none") in refused(capsys, ["shape", tmp_path / "none", *PAIR, "-o", out])
    assert not out.exists()


def test_runs_without_members_or_instruments_are_refused(run, tmp_path, capsys):
    out = tmp_path / "s.tsv"
    few = simulate("linear", n_loci=6, n_members=2)
    letters = np.full((6, 20), ord("A"), np.uint8)
    write_run(tmp_path / "TWO", effects=dataset_of(few.effects, MARKS, letters))
    assert "3 members or more; here are those of 2" in refused(capsys, ["shape", tmp_path / "TWO", *PAIR, "-o", out])
    none = simulate("linear", n_loci=6).effects
    none[..., 0] *= np.random.default_rng(0).choice([-1, 1], none.shape[:-1])
    write_run(tmp_path / "NONE", effects=dataset_of(none, MARKS, letters))
    said = refused(capsys, ["shape", tmp_path / "NONE", *PAIR, "-o", out])
    assert "no locus has the instruments" in said and "(" in said
    shutil.copytree(run, tmp_path / "COPY")
    shutil.rmtree(tmp_path / "COPY" / "effects.zarr")
    assert "effects.zarr" in refused(capsys, ["shape", tmp_path / "COPY", *PAIR, "-o", out])
    assert not out.exists()
