"""`interaction`: models of which it is known how two motifs combine, from predictions to files; what cannot be done."""

import shutil

import numpy as np
import pandas as pd
import pytest
from commands import refused
from motif_pairs import MARKS, N_LOCI, REGIONS, ensemble_of, loci_with_motifs, write_bed

import kipoi_deepmr
from kipoi_deepmr import pipeline
from kipoi_deepmr.cli import main
from kipoi_deepmr.loci import Selection
from kipoi_deepmr.pipeline.mutants import planned


@pytest.fixture(scope="module")
def ensemble():
    return ensemble_of(MARKS)


@pytest.fixture(scope="module")
def loci():
    return loci_with_motifs()


@pytest.fixture(scope="module")
def bed(tmp_path_factory):
    return write_bed(tmp_path_factory.mktemp("bed") / "motifs.bed", MARKS)


@pytest.fixture(scope="module")
def store(ensemble, loci, bed, tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "e.zarr"
    selection = planned(Selection(loci, {}, N_LOCI), MARKS, instrument_regions=bed, **REGIONS)
    pipeline.predict(ensemble, selection, str(path), quiet=True)
    return path


def read(path):
    return pd.read_csv(path, sep="\t")


@pytest.mark.main_job
def test_files_and_what_is_printed(store, tmp_path, capsys):
    assert main(["interaction", str(store), "-o", str(tmp_path / "i.tsv")]) == 0
    said = capsys.readouterr().out
    assert said.startswith("interactions of two regions:\n") and said.count("\n") == 7 and "cooperative" in said
    assert {path.name for path in tmp_path.iterdir()} == {"i.tsv", "i.loci.tsv", "i.png"}
    table, local = read(tmp_path / "i.tsv"), read(tmp_path / "i.loci.tsv")
    assert table[["exposure", "exposure_2", "outcome"]].values.tolist() == [["A", "B", mark] for mark in MARKS]
    assert (table["n_loci"] == N_LOCI).all() and (table["scale"] == "identity").all()
    assert table["verdict"].tolist() == ["independent", "independent", "cooperative", "redundant", "independent"]
    assert table["model"].tolist()[2] == "multiplicative"  # what is left of each is multiplied
    np.testing.assert_allclose(table["interaction"], table["effect_both"] - table["effect"] - table["effect_2"])
    assert ((table["interaction_ci_low"] <= table["interaction"])
            & (table["interaction"] <= table["interaction_ci_high"])).all()
    assert len(local) == 5 * N_LOCI and local["locus"].nunique() == N_LOCI
    np.testing.assert_allclose(local.groupby("outcome")["effect_both"].mean()[list(MARKS)], table["effect_both"])
    assert (tmp_path / "i.png").read_bytes().startswith(b"\x89PNG")


def test_some_pairs_a_stream_and_parquet(store, tmp_path, capfdbinary, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["interaction", str(store), "--outcomes", "OR,AND", "--min_interaction", "0.5", "-q"]
    assert main([*words, "-o", "i.tsv"]) == 0 and main([*words, "-o", "-"]) == 0
    assert capfdbinary.readouterr().out == (tmp_path / "i.tsv").read_bytes()
    assert read("i.tsv")["outcome"].tolist() == ["OR", "AND"]
    pytest.importorskip("pyarrow")
    assert main([*words, "-o", "p.parquet"]) == 0
    pd.testing.assert_frame_equal(pd.read_parquet("p.loci.parquet"), read("i.loci.tsv"), check_dtype=False, rtol=1e-12)


def test_a_run_in_python_and_its_folder(ensemble, loci, bed, tmp_path):
    result = kipoi_deepmr.run(ensemble, loci, tmp_path / "OUT", instrument_regions=bed, instruments="regions",
                              method="ivw", network="none", report=False, quiet=True, **REGIONS)
    found = result.interaction(outcomes=["AND"])
    assert main(["interaction", str(tmp_path / "OUT"), "--outcomes", "AND", "-q", "-o", str(tmp_path / "i.tsv")]) == 0
    table = read(tmp_path / "i.tsv")
    assert table["verdict"].tolist() == found.table["verdict"].tolist() == ["cooperative"]
    np.testing.assert_allclose(table["interaction"], found.table["interaction"], rtol=1e-12)
    assert "A, B → AND: cooperative" in repr(found)


def test_what_cannot_be_done_is_one_message(ensemble, loci, bed, store, tmp_path, capsys):
    out = tmp_path / "i.tsv"
    for words, message in ((["--outcomes", "Q"], "unknown outcome 'Q'"), (["--exposures", "A,q"], "unknown exposure"),
                           (["--exposures", "A"], "no locus has two regions of --exposures A")):
        assert message in refused(capsys, ["interaction", store, *words, "-o", out])
    single = tmp_path / "single.zarr"
    pipeline.predict(ensemble, Selection(loci[:2], {}, 2), str(single), quiet=True)
    said = refused(capsys, ["interaction", single, "-o", out])
    assert str(single) in said and "--mutants regions,pairs and --instrument_regions BED" in said
    selection = planned(Selection(loci[:2], {}, 2), MARKS, instrument_regions=bed, **REGIONS)
    pipeline.predict(ensemble, selection, str(tmp_path / "summary.zarr"), keep="summary", quiet=True)
    assert "(--keep summary)" in refused(capsys, ["interaction", tmp_path / "summary.zarr", "-o", out])
    assert "no such effects store" in refused(capsys, ["interaction", tmp_path / "none", "-o", out])
    copy = shutil.copytree(store, tmp_path / "damaged.zarr")
    chunk = next(path for path in sorted((copy / "member_effect").iterdir()) if path.name[0].isdigit())
    chunk.write_bytes(chunk.read_bytes()[:-1] + b"?")
    assert "damaged since it was written" in refused(capsys, ["interaction", copy, "-o", out])
    (tmp_path / "i.png").write_text("mine")
    assert "i.png" in refused(capsys, ["interaction", store, "-o", out])
    assert not out.exists() and (tmp_path / "i.png").read_text() == "mine"
