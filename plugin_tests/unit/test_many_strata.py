"""Strata of many pairs, made while they are written: the bytes of those held as a whole, and what is held of them."""

import numpy as np
import pandas as pd
import pytest
from wide_case import make_array, make_store

from kipoi_deepmr import effects_store, pipeline
from kipoi_deepmr.cli import summary
from kipoi_deepmr.errors import InputError
from kipoi_deepmr.pipeline import stratification

METHODS = ("ivw", "egger")
TABLES = ("strata.tsv", "strata_tests.tsv")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Local effects of two methods as an array of several groups of exposures, and covariates of loci and pairs."""
    folder = make_array(tmp_path_factory.mktemp("many"), 6, METHODS)
    loci = [f"locus{i}" for i in range(9)]
    of_loci = pd.DataFrame({"locus": loci, "half": ["a", "b", None] * 3, "x": range(9)})
    of_loci.to_csv(folder / "loci.tsv", sep="\t", index=False)
    names = [f"mark{i}" for i in range(6)]
    pairs = [(locus, x, y) for locus in loci for x in names[:2] for y in names if x != y]
    of_pairs = pd.DataFrame(pairs, columns=["locus", "exposure", "outcome"])
    of_pairs["side"] = np.where(of_pairs["exposure"] == "mark0", "a", np.where(of_pairs.index % 2, "b", "c"))
    of_pairs.to_csv(folder / "pairs.tsv", sep="\t", index=False)
    return folder


@pytest.fixture
def few_at_once(monkeypatch):
    """60 pairs and methods are too many, and come one exposure at a time."""
    monkeypatch.setattr(stratification, "MOST_PAIRS", 50)
    monkeypatch.setattr(stratification, "ROWS", 1)
    monkeypatch.setattr(stratification, "MAX_PAIRS", 5)
    monkeypatch.setattr(stratification, "MOST_TESTS", 12)


@pytest.mark.parametrize("covariates, bins", [("loci", (0, 3, 9)), ("loci", None), ("pairs", None)])
@pytest.mark.parametrize("ending", ["tsv", "parquet"])
def test_the_bytes_are_those_of_the_tables_held_as_a_whole(folder, tmp_path, request, ending, covariates, bins):
    if ending == "parquet":
        pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    local = str(folder / "local.tsv")

    def made(name):
        found = pipeline.stratify(local, strata=str(folder / f"{covariates}.tsv"), bins=bins)
        pipeline.aggregate(local, str(tmp_path / f"{name}.{ending}"), strata=found, network_options={"network": "none"})
        return found

    whole = made("whole")
    request.getfixturevalue("few_at_once")
    many = made("many")
    assert isinstance(many, pipeline.ManyStrata) and many.notes == whole.notes and len(many.notes) > 0
    for table in TABLES:
        name = table.replace(".tsv", f".{ending}")
        assert (tmp_path / f"whole.{name}").read_bytes() == (tmp_path / f"many.{name}").read_bytes()
    expected = _strongest(whole.strata, 5)
    pd.testing.assert_frame_equal(many.strata, expected)
    assert many.strata.attrs["pairs"] == 30 and many.tests.attrs["rows"] == len(whole.tests)
    assert str(summary.of_strata(whole)).splitlines()[:8] == str(summary.of_strata(many)).splitlines()[:8]


def _strongest(table, n):
    """The rows of the pairs with the largest |estimate / se| in any stratum, of each covariate and method."""
    kept = []
    for _, part in table.groupby(["covariate", "method"], sort=False):
        size = {}
        for row in part.itertuples():
            z = abs(row.estimate / row.se)
            size[row.exposure, row.outcome] = max(size.get((row.exposure, row.outcome), -1), -1 if np.isnan(z) else z)
        chosen = sorted(size, key=size.get, reverse=True)[:n]
        kept += [row.Index for row in part.itertuples() if (row.exposure, row.outcome) in chosen]
    return table.loc[sorted(kept)].reset_index(drop=True)


def test_strata_of_some_pairs_are_those_of_a_table_of_local_effects(folder, tmp_path):
    """Exposures that the covariates do not name have the same strata, all of them empty."""
    store = str(folder / "effects.zarr")
    pipeline.estimate(store, str(tmp_path / "local.tsv"), method=METHODS, tables="all", vcf="none")
    array, table = (pipeline.stratify(str(each / "local.tsv"), strata=str(folder / "pairs.tsv"))
                    for each in (folder, tmp_path))
    assert array.notes == table.notes
    for name in ("strata", "tests"):
        pd.testing.assert_frame_equal(getattr(array, name), getattr(table, name), rtol=1e-3, atol=1e-4)
    assert array.strata.groupby(["exposure", "outcome", "method"]).size().eq(3).all()


def test_covariates_that_name_nothing_are_refused_before_anything_is_pooled(folder, tmp_path, few_at_once):
    (tmp_path / "c.tsv").write_text("locus\texposure\toutcome\tside\nlocus1\tmark1\tmark9\ta\n")
    with pytest.raises(InputError, match="names no locus and exposure and outcome of the local table, such as locus0"):
        pipeline.stratify(str(folder / "local.tsv"), strata=str(tmp_path / "c.tsv"))


@pytest.fixture(scope="module")
def of_two_sides(tmp_path_factory):
    """Local effects of two exposures on two other marks, as an array."""
    folder = tmp_path_factory.mktemp("sides")
    store = make_store(folder, n_marks=4, n_loci=10, length=8)
    pipeline.estimate(store, str(folder / "local.tsv"), tables="none", vcf="none", exposures=["mark0", "mark1"],
                      outcomes=["mark2", "mark3"])
    return str(folder / "local.tsv")


@pytest.mark.parametrize("option", ["strata", "motifs"])
def test_a_part_knows_the_marks_and_the_kind_of_strata_of_all(of_two_sides, tmp_path, monkeypatch, option):
    """Other marks' motifs are no strangers; true and false are strata, whether all pairs of a part have them or not."""
    path = tmp_path / option
    motifs = pd.DataFrame({"chrom": "chr1", "start": [1, 4, 5], "end": [3, 6, 7], "name": ["mark0", "mark1", "mark2"]})
    rows = [(f"locus{i}", "mark0", y, i % 2 == 0) for i in range(10) for y in ("mark2", "mark3")]
    covariates = pd.DataFrame(rows, columns=["locus", "exposure", "outcome", "open"])
    (motifs if option == "motifs" else covariates).to_csv(path, sep="\t", index=False, header=option == "strata")
    whole = pipeline.stratify(of_two_sides, **{option: str(path)})
    monkeypatch.setattr(stratification, "ROWS", 1)
    by_exposure = pipeline.stratify(of_two_sides, **{option: str(path)})
    assert by_exposure.notes == whole.notes and not any("ignored" in note for note in whole.notes)
    for name in ("strata", "tests"):
        pd.testing.assert_frame_equal(getattr(by_exposure, name), getattr(whole, name))
    if option == "strata":
        assert whole.strata["stratum"].tolist() == ["False", "True"] * 4


def test_an_exposure_without_a_pair_is_passed_over(folder, tmp_path, few_at_once, monkeypatch):
    """The only outcome is the first exposure, which is read by itself."""
    local = str(tmp_path / "local.tsv")
    for name in ("BLOCK_PAIRS", "CHUNK_PAIRS"):
        monkeypatch.setattr(effects_store.local_effects, name, 1)
    pipeline.estimate(str(folder / "effects.zarr"), local, tables="none", vcf="none", exposures=["mark0", "mark1"],
                      outcomes=["mark0"])
    (tmp_path / "m.bed").write_text("chr1\t1\t3\tmark0\nchr1\t4\t6\tmark1\n")
    table = pipeline.aggregate(local, str(tmp_path / "global.tsv"), quiet=False)  # which times the steps, too
    tests = pipeline.stratify(local, strata=str(folder / "loci.tsv"), motifs=str(tmp_path / "m.bed")).tests
    assert table["exposure"].tolist() == ["mark1"] and tests["exposure"].tolist() == ["mark1"] * 3
