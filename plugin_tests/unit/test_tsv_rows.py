"""Rows that Arrow writes: the bytes of pandas, for every kind of number and of text, or none at all."""

import io

import numpy as np
import pandas as pd
import pytest

from kipoi_deepmr.output import tables, tsv_rows

pytest.importorskip("pyarrow", reason="pyarrow is not installed")
NUMBERS = [0.0, -0.0, 1.0, -80.0, 1e-4, 9.999999999999999e-05, 1e-5, 1e-6, 1e-7, 1e-9, 1.5e-10, 1e-10, 9e-11, 1e10,
           580103341624.7545, 1e15, 1e16, 123456789012345680.0, 9007199254740993.0, 5e-324, 1.7976931348623157e308,
           np.inf, -np.inf, np.nan, 0.1 + 0.2]


def numbers(n):
    """Of every size, with those that are written in special ways."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=n) * 10.0 ** rng.uniform(-22, 22, n)
    return np.concatenate([NUMBERS, values, rng.integers(-2**60, 2**60, n) / 1.0, rng.integers(-99, 99, n) / 1.0])


def of_pandas(table):
    return table.to_csv(sep="\t", index=False, header=False, na_rep="NA", lineterminator="\n").encode()


@pytest.fixture
def table(monkeypatch):
    monkeypatch.setattr(tsv_rows, "FEWEST", 0)
    values = numbers(3_000)
    n = len(values)
    names = np.array(["GATA", "Ü →", "nan", "NA", "a'b", "=1", "", "x y "], object)[np.arange(n) % 8]
    return pd.DataFrame({"value": values, "count": np.arange(n) - 5, "small": np.arange(n, dtype=np.uint16),
                         "name": names, "category": pd.Categorical(names), "missing": np.nan,
                         "some": pd.Series(names).where(np.arange(n) % 3 > 0)})


def test_the_bytes_are_those_of_pandas(table):
    table = table.drop(columns="small")  # not one of those that Arrow writes
    out = io.BytesIO()
    assert tsv_rows.written(table, out, "NA")
    lines, expected = out.getvalue().splitlines(), of_pandas(table).splitlines()
    assert len(lines) == len(expected) > 9_000
    assert [pair for pair in zip(lines, expected, strict=True) if pair[0] != pair[1]] == []


@pytest.mark.parametrize("odd", ['quo"te', "tab\tbed", "new\nline", 3, True, "half \ud83d"])
def test_what_arrow_would_write_otherwise_is_left_to_pandas(table, odd):
    out = io.BytesIO()
    one = pd.Series([*table["name"].iloc[1:], odd], dtype=object)
    assert not tsv_rows.written(table.assign(name=one), out, "NA") and not out.getvalue()


def test_a_table_of_both_kinds_of_pieces(table, tmp_path, monkeypatch):
    pieces = [table[:4_000], table[4_000:5_000].assign(name='quo"te'), table[5_000:]]
    tables.write_tsv(str(tmp_path / "arrow.tsv"), pieces)
    monkeypatch.setattr(tsv_rows, "FEWEST", np.inf)
    tables.write_tsv(str(tmp_path / "pandas.tsv"), pieces)
    assert (tmp_path / "arrow.tsv").read_bytes() == (tmp_path / "pandas.tsv").read_bytes()
    assert (tmp_path / "arrow.tsv").read_text().startswith("value\tcount\t")


@pytest.mark.parametrize("ending", ["tsv", "parquet"])
def test_categories_are_written_as_their_names(table, tmp_path, ending):
    table = table.drop(columns="category")
    for name, of_text in (("text", table), ("category", table.astype({"name": "category"}))):
        tables.write_table(str(tmp_path / f"{name}.{ending}"), [of_text[:5_000], of_text[5_000:]])
    assert (tmp_path / f"text.{ending}").read_bytes() == (tmp_path / f"category.{ending}").read_bytes()
