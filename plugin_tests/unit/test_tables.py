"""TSV tables."""

import numpy as np
import pandas as pd
import pytest

from kipoi_deepmr.errors import InputError
from kipoi_deepmr.output import tables
from kipoi_deepmr.runs import tables as reading

COLUMNS = ["chrom", "start", "end", "strand", "locus", "exposure", "outcome", "method", "n_instruments", "estimate",
           "se", "ci_low", "ci_high", "pvalue", "intercept", "intercept_se", "intercept_pvalue", "q", "q_pvalue",
           "note"]


@pytest.fixture
def local():
    rows = [["chr1", 5, 17, "+", "NA", 'quo"te', "B", "ivw", 3, 0.1 + 0.2, 1 / 3, *[1e-300] * 8, ""],
            ["chr1", 5, 17, "-", "nan", "B", "A", "ivw", 0, *[np.nan] * 10, "0 instruments, needs 1"]]
    return pd.DataFrame(rows, columns=COLUMNS)


def test_round_trip_in_full_precision(tmp_path, local):
    path = str(tmp_path / "local.tsv")
    tables.write_tsv(path, [local[:1], local[1:]])
    pd.testing.assert_frame_equal(reading.read_local(path), local, check_exact=True)
    lines = open(path).read().splitlines()
    assert len(lines) == 3 and lines[0].split("\t") == COLUMNS
    assert lines[1].endswith("\tNA") and lines[2].count("\tNA") == 10
    assert "0.30000000000000004" in lines[1]


def test_nothing_is_left_when_writing_fails(tmp_path, local):
    def pieces():
        yield local
        raise InputError("no")

    with pytest.raises(InputError):
        tables.write_tsv(str(tmp_path / "local.tsv"), pieces())
    assert list(tmp_path.iterdir()) == []


def test_bad_number_names_line_and_column(tmp_path, local):
    path = str(tmp_path / "local.tsv")
    tables.write_tsv(path, [local])
    text = open(path).read().replace("0.30000000000000004", "abc")
    open(path, "w").write(text)
    with pytest.raises(InputError, match='line 2: estimate must be a number or NA, not "abc"'):
        reading.read_local(path)


@pytest.mark.parametrize("text, said", [("", "not a table"), ("a\tb\n1\t2\n", "no column chrom"),
                                        ("a\tb\n1\t2\t3\t4\n1\n1\t2\t3\t4\t5\n", "not a table")])
def test_other_files_are_refused(tmp_path, text, said):
    (tmp_path / "x.tsv").write_text(text)
    with pytest.raises(InputError, match=said):
        reading.read_local(str(tmp_path / "x.tsv"))


def test_table_without_rows(tmp_path):
    (tmp_path / "x.tsv").write_text("\t".join(COLUMNS) + "\n")
    with pytest.raises(InputError, match="x.tsv: the table of local effects holds no rows"):
        reading.read_local(str(tmp_path / "x.tsv"))


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        reading.read_local(str(tmp_path / "x.tsv"))


@pytest.mark.parametrize("read", [reading.read_local, reading.read_estimates])
def test_a_row_that_stands_twice_is_refused_with_its_line(tmp_path, local, read, monkeypatch):
    monkeypatch.setattr(reading, "ROWS_AT_A_TIME", 2)  # the two lie in different pieces
    path = str(tmp_path / "local.tsv")
    again = local[:1].assign(estimate=9.0, locus="other", end=18)
    tables.write_tsv(path, [local, local.assign(method="egger"), again])
    with pytest.raises(InputError, match=r'local.tsv, line 6: quo"te -> B by ivw at chr1:5 \(\+\) stands in line 2'):
        read(path)


NAMES = ["=1+1", "+x", "-x", "@SUM(A1)", "'=1+1", "''@", "'", "-", "+", "A", "'quoted'", "a=b", "\t=1", "NA?"]


@pytest.mark.parametrize("safe", [False, True])
def test_names_survive_whether_a_spreadsheet_may_compute_them_or_not(tmp_path, local, safe):
    table = pd.concat([local[:1].assign(exposure=name, outcome=name, locus=name) for name in NAMES], ignore_index=True)
    path = str(tmp_path / "local.tsv")
    with tables.safe_cells(safe):
        tables.write_tsv(path, [table[:5], table[5:]])
    pd.testing.assert_frame_equal(reading.read_local(path), table, check_exact=True)
    assert reading.read_estimates(path)["exposure"].tolist() == NAMES
    cells = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)["exposure"].tolist()
    computed = [name for name in cells if name[0] in "=+-@\t" and len(name) > 1]
    assert computed == ([] if safe else ["=1+1", "+x", "-x", "@SUM(A1)", "\t=1"])
    assert pd.read_csv(path, sep="\t", **tables.EXACT)["estimate"].tolist() == table["estimate"].tolist()
