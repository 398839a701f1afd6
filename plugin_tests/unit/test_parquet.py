"""Tables as Parquet: the same rows as in TSV, by every command, and read by every stage."""

import os
import sys

import numpy as np
import pandas as pd
import pytest
from finished_runs import chain_effects
from report_pages import held

from kipoi_deepmr import effects_store, pipeline
from kipoi_deepmr import options as o
from kipoi_deepmr.cli.main import main
from kipoi_deepmr.errors import InputError
from kipoi_deepmr.output import tables
from kipoi_deepmr.runs import outputs
from kipoi_deepmr.runs import tables as reading

WORDS = ("-q", "--vcf", "none")
FEW = (*WORDS, "--preset", "quick")
TEXT = ("exposure", "outcome", "mark", "method", "locus", "chrom", "strand", "red", "note", "verdict", "reason",
        "cause")


def pyarrow():
    return pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("effects") / "effects.zarr")
    chain_effects(n_loci=12).to_zarr(path, zarr_format=2)
    return path


@pytest.fixture(scope="module")
def folders(store, tmp_path_factory):
    """Folders of the same run with tables of each format."""
    pyarrow()
    root = tmp_path_factory.mktemp("runs")
    for name in o.FORMATS:
        assert main(["run", "--effects", store, "-o", str(root / name), "--format", name, *WORDS]) == 0
    return root


def same(folder, other):
    """Compare the tables of two folders, by the readers of the stages that follow; how many there are."""
    names = sorted(name for name in os.listdir(folder) if name.endswith(tables.TSV))
    twins = [tables.in_format_of(name, tables.PARQUET) for name in names]
    assert twins == sorted(name for name in os.listdir(other) if name.endswith(tables.PARQUET))
    assert not any(name.endswith(tables.TSV) for name in os.listdir(other))
    for name, twin in zip(names, twins, strict=True):
        text = [column for column in TEXT if column in pd.read_csv(os.path.join(folder, name), sep="\t", nrows=0)]
        one, two = (reading.read_table(os.path.join(where, which), text, ()) for where, which in (
            (folder, name), (other, twin)))
        pd.testing.assert_frame_equal(one, two, check_exact=True, check_dtype=False)
    return len(names)


def test_run_writes_the_same_rows(folders):
    assert same(folders / "tsv", folders / "parquet") >= 6
    pages = [held(folders / name / "report.html") for name in o.FORMATS]
    for page in pages:
        assert page["data"].pop("provenance") and page["data"].pop("command") is not None
    assert len(pages[0]) > 3 and pages[0] == pages[1]


def test_stages_write_the_same_rows(store, folders, tmp_path):
    for name in o.FORMATS:
        (tmp_path / name).mkdir()
        local, global_, network = (str(tmp_path / name / f"{stage}.{name}") for stage in ("a", "b", "c"))
        assert main(["estimate", store, "-o", local, *WORDS]) == 0
        assert main(["aggregate", local, "--effects", store, "-o", global_, "-q"]) == 0
        assert main(["network", store, "-o", network, "--format", name, "-q"]) == 0
        assert main(["table", local, "--exposure", "A", "-o", str(tmp_path / name / f"d.{name}"), "-q"]) == 0
    assert same(tmp_path / "tsv", tmp_path / "parquet") >= 8
    assert set(reading.read_local(str(tmp_path / "parquet" / "d.parquet"))["exposure"]) == {"A"}


def test_later_stages_read_it(folders, tmp_path, capsys):
    parts, out = [], folders / "parquet"
    for name in o.FORMATS:
        assert main(["table", str(folders / name), "--outcome", "B"]) == 0
        parts.append(capsys.readouterr().out)
    assert parts[0] == parts[1] and parts[0].count("\n") > 12
    strata = tmp_path / "strata.tsv"
    strata.write_text("locus\thalf\n" + "".join(f"locus{i}\t{'ab'[i % 2]}\n" for i in range(12)))
    assert main(["aggregate", str(out / "local.parquet"), "-o", str(tmp_path / "g.parquet"), "--strata", str(strata),
                 "-q"]) == 0
    for words in (["heatmap", str(out)], ["network", str(out)], ["global", str(out / "global.parquet")],
                  ["spacing", str(tmp_path / "g.strata.parquet")],
                  ["local", str(out), "--locus", "locus0", "--exposure", "A", "--outcome", "B"]):
        assert main(["plot", *words, "-o", str(tmp_path / f"{words[0]}.png"), "-q"]) == 0


def test_annotate_reads_it(folders, tmp_path):
    effects = effects_store.open_effects(str(folders / "tsv" / "effects.zarr"))
    ref, alt = (effects[name].values[0, 30] for name in ("ref_base", "alt_base"))
    (tmp_path / "in.vcf").write_text(f"##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
                                     f"chr1\t11\t.\t{ref}\t{alt}\t.\t.\t.\n")
    records = []
    for name in o.FORMATS:
        pipeline.annotate(str(folders / name), str(tmp_path / "in.vcf"), str(tmp_path / f"{name}.vcf"))
        records.append([line for line in (tmp_path / f"{name}.vcf").read_text().splitlines() if line[0] != "#"])
    assert records[0] == records[1] and len(records[0]) == 1 and "LOCUS=locus0" in records[0][0]


def test_the_name_sets_the_format_whatever_run_json_says_of_a_run_without_format(store, tmp_path):
    pyarrow()
    out = tmp_path / "run"
    assert main(["run", "--effects", store, "-o", str(out), "--no_report", *FEW]) == 0
    path = str(tmp_path / "a.parquet")
    assert main(["network", str(out), "--config", str(out / "run.json"), "--network", "direct", "-o", path, "-q"]) == 0
    assert outputs.is_ours(path)


def test_beside_an_array(store, tmp_path):
    """Of very many pairs the table has few or none; what follows reads the array."""
    pyarrow()
    found = []
    for name in o.FORMATS:
        local, global_ = (str(tmp_path / f"{stage}_{name}.{name}") for stage in ("local", "global"))
        assert main(["estimate", store, "-o", local, "--tables", "none", *WORDS]) == 0
        assert main(["aggregate", local, "-o", global_, "-q"]) == 0
        found.append(reading.read_table(global_, ("exposure", "outcome", "method"), ("estimate",)))
        with pytest.raises(InputError, match="holds no rows"):
            reading.read_local(local)
    pd.testing.assert_frame_equal(*found, check_exact=True, check_dtype=False)


def test_a_run_in_the_other_format_leaves_no_table_of_the_first(store, tmp_path):
    pyarrow()
    out = tmp_path / "run"
    for name, ending in (("tsv", ".tsv"), ("parquet", ".parquet"), ("tsv", ".tsv")):
        assert main(["run", "--effects", store, "-o", str(out), "--format", name, "--no_report", *FEW]) == 0
        found = {os.path.splitext(each)[1] for each in os.listdir(out)} & {".tsv", ".parquet"}
        assert found == {ending}


def test_row_groups_and_exact_values(tmp_path, monkeypatch):
    module = pyarrow()
    monkeypatch.setattr(tables, "ROWS_OF_GROUP", 5)
    path = str(tmp_path / "a.parquet")
    pieces = [pd.DataFrame({"exposure": ["=A", "'=B", "NA"], "outcome": pd.Categorical(["x", "y", "x"]),
                            "estimate": [0.1 + 0.2, np.nan, np.inf], "n": [1, 2, 3], "note": ["", "why", ""]})] * 4
    with tables.safe_cells():
        tables.write_table(path, iter(pieces))
    file = module.ParquetFile(path)
    assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [6, 6]
    assert [str(field.type) for field in file.schema_arrow] == ["string", "string", "double", "int64", "string"]
    assert file.read()["note"].null_count == 8 and file.read()["estimate"].null_count == 4
    found = pd.concat(tables.read_parquet(path, ["exposure", "estimate"], ["exposure"], 5))
    assert found["exposure"].tolist() == ["=A", "'=B", "NA"] * 4 and found.index.tolist() == list(range(12))
    np.testing.assert_array_equal(found["estimate"], [0.1 + 0.2, np.nan, np.inf] * 4)


@pytest.mark.parametrize("words, said", [
    (["-o", "a.tsv", "--format", "parquet"], "-o a.tsv: --format parquet does not go with this name; give -o NAME"),
    (["-o", "a.parquet", "--format", "tsv"], "-o a.parquet: --format tsv does not go"),
    (["-o", "-", "--format", "parquet"], "-o -: --format parquet needs a file; give -o NAME.parquet")])
def test_format_and_name_must_agree(store, tmp_path, monkeypatch, capsys, words, said):
    pyarrow()
    monkeypatch.chdir(tmp_path)
    for command in ("estimate", "network"):
        assert main([command, store, *words]) == 2
        assert said in capsys.readouterr().err
    assert os.listdir(tmp_path) == []


def test_tables_of_one_stem_are_refused(store, tmp_path, capsys):
    pyarrow()
    assert main(["estimate", store, "-o", str(tmp_path / "a.tsv"), *FEW]) == 0
    before = sorted(os.listdir(tmp_path))
    assert main(["estimate", store, "-o", str(tmp_path / "a.parquet"), *FEW]) == 2
    assert f"have the names of those beside {tmp_path / 'a.tsv'}" in capsys.readouterr().err
    assert sorted(os.listdir(tmp_path)) == before


def test_only_our_files_are_replaced(store, tmp_path, capsys):
    module = pyarrow()
    import pyarrow as arrow

    other = str(tmp_path / "a.diagnostics.parquet")
    module.write_table(arrow.table({"exposure": ["A"], "outcome": ["B"]}), other)
    assert not outputs.is_ours(other)
    assert main(["estimate", store, "-o", str(tmp_path / "a.parquet"), *FEW, "--diagnostics", "quick"]) == 2
    assert "DeepMR did not write" in capsys.readouterr().err
    os.remove(other)
    for _ in range(2):
        assert main(["estimate", store, "-o", str(tmp_path / "a.parquet"), *FEW, "--diagnostics", "quick"]) == 0
    assert outputs.is_ours(other)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"chrom\tstart\n"])
def test_what_is_no_parquet_is_refused(tmp_path, content):
    pyarrow()
    path = tmp_path / "a.parquet"
    path.write_bytes(content)
    for read in (reading.read_estimates, lambda path: reading.read_table(path, (), ())):
        with pytest.raises(InputError, match="a.parquet: cannot be read as Parquet"):
            read(str(path))


def test_columns_and_rows_are_checked(tmp_path):
    pyarrow()
    path = str(tmp_path / "a.parquet")
    tables.write_table(path, [pd.DataFrame({"exposure": ["A"], "estimate": ["much"]})])
    with pytest.raises(InputError, match="no column outcome"):
        reading.read_table(path, ("exposure", "outcome"), ())
    with pytest.raises(InputError, match="cannot be read as a table"):
        reading.read_table(path, ("exposure",), ("estimate",))
    tables.write_table(path, [pd.DataFrame({"exposure": ["A"], "estimate": [1.0]})[:0]])
    with pytest.raises(InputError, match="holds no rows"):
        reading.read_table(path, ("exposure",), ("estimate",))


def test_without_pyarrow_one_line_before_anything(store, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    path = str(tmp_path / "a.parquet")
    for words in (["estimate", store, "-o", path], ["network", store, "-o", path], ["table", store, "-o", path],
                  ["aggregate", store, "-o", path], ["run", "no_model", "-o", str(tmp_path / "run"), "--format",
                                                     "parquet"]):
        assert main(words) == 2
        error = capsys.readouterr().err
        assert "Parquet needs pyarrow, which is not installed: pip install pyarrow" in error and error.count("\n") == 1
    assert os.listdir(tmp_path) == []
