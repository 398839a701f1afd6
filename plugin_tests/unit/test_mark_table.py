"""The table of a model's outputs: names, filters and groups, against pandas; and every way in which it can be wrong."""

import fnmatch
import gzip

import pandas as pd
import pytest

from kipoi_deepmr.errors import InputError
from kipoi_deepmr.models.mark_table import read_mark_table
from kipoi_deepmr.models.settings import columns_of_marks, naming_of
from kipoi_deepmr.options import ModelOptions

ROWS = [("CTCF_K562", "ChIP", "K562", ""), ("ATAC_K562", "ATAC", "K562", "x"), ("ATAC_T", "ATAC", "T cell, CD4", ""),
        ("a=b", "DNase", "T cell, CD4", ""), ("2", "DNase", "HepG2", "")]
HEADER = ("name", "assay", "cell type", "lab")
NAMES = [row[0] for row in ROWS]


def text_of(rows, header=HEADER):
    return "".join("\t".join(row) + "\n" for row in (header, *rows))


@pytest.fixture
def named(tmp_path):
    """Writes a table and says what the options make of it: marks, names and groups."""
    def named(text=None, **options):
        path = tmp_path / "tracks.tsv"
        path.write_text(text_of(ROWS) if text is None else text)
        marks, settings = naming_of(ModelOptions(models=["m"], mark_table=str(path), **options))
        return marks, settings["mark_names"], settings.get("mark_groups")

    return named


def test_names_alone(named):
    assert named() == (None, NAMES, None)
    assert named(marks=["ATAC*", 0]) == (("ATAC*", "0"), NAMES, None)  # these are left to the model


@pytest.mark.parametrize("text", [
    text_of(ROWS).replace("\n", "\r\n") + "\t\t\t\r\n\r\n", "\ufeff" + text_of(ROWS),
    text_of(ROWS).replace("T cell, CD4", '"T cell, CD4"'), text_of(ROWS).replace("\tK562\t", "\t K562 \t")])
def test_tables_of_spreadsheets(named, text):
    assert named(text, marks="cell type=K562,cell type=T cell* CD4".split(",")) == (tuple(NAMES[:4]), NAMES, None)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be"])
def test_text_as_spreadsheets_encode_it(tmp_path, encoding):
    """ "Unicode text" of Excel is UTF-16 with a mark of its byte order."""
    text = "\ufeff" + text_of([("é中", *ROWS[0][1:])]).replace("\n", "\r\n")
    (tmp_path / "t.tsv").write_bytes(text.encode(encoding))
    assert read_mark_table(str(tmp_path / "t.tsv")).names == ["é中"]


@pytest.mark.parametrize("content", [gzip.compress(b"name\na\n"), b"\xff\xfe\x00", b"name\n\xff", b"PK\x03\x04\xe9"])
def test_files_that_are_no_text_are_refused_with_a_way_out(tmp_path, content):
    (tmp_path / "t.tsv").write_bytes(content)
    with pytest.raises(InputError, match=r"t.tsv: --mark_table takes .*; unpack it, or save it as text with tabs"):
        read_mark_table(str(tmp_path / "t.tsv"))


@pytest.mark.parametrize("order", [[0, 1, 2, 3, 4], [3, 0, 4, 2, 1]])
def test_the_column_index_orders_the_rows(named, order):
    text = text_of([(str(k), *ROWS[k]) for k in order], ("index", *HEADER))
    assert named(text, mark_groups_by="assay") == (None, NAMES, {
        "ChIP": ["CTCF_K562"], "ATAC": ["ATAC_K562", "ATAC_T"], "DNase": ["a=b", "2"]})


@pytest.mark.parametrize("words", [
    ["assay=ATAC"], ["assay=DNase", "cell type=K562"], ["assay=ATAC", "cell type=K562"], ["assay=A*"],
    ["assay=[AC]*", "cell type=T cell?*"]])
def test_filters_choose_the_union_as_pandas_does(named, words):
    table = pd.DataFrame(ROWS, columns=HEADER)
    expected = []
    for column, pattern in (word.split("=") for word in words):
        rows = table[table[column].map(lambda value, pattern=pattern: fnmatch.fnmatchcase(value, pattern))]
        expected += [name for name in rows["name"] if name not in expected]
    assert expected and named(marks=words)[0] == tuple(expected)


@pytest.mark.parametrize("words, expected", [
    (["assay=ATAC", "CTCF*"], ["ATAC_K562", "ATAC_T", "CTCF_K562"]),
    (["0", "assay=ChIP", "assay=ATAC"], ["CTCF_K562", "ATAC_K562", "ATAC_T"]),
    (["2", "assay=ChIP"], ["2", "CTCF_K562"]),  # a name goes before a number
    (["a=b", "assay=ChIP"], ["a=b", "CTCF_K562"])])  # and before a filter
def test_filters_and_names_together(named, words, expected):
    assert named(marks=words)[0] == tuple(expected)


def test_a_value_goes_before_a_pattern(named):
    rows = [("a", "x*"), ("b", "xy")]
    assert named(text_of(rows, ("name", "assay")), marks="assay=x*")[0] == ("a",)


def test_groups_by_a_column(named):
    table = pd.DataFrame(ROWS, columns=HEADER)
    expected = {value: list(rows["name"]) for value, rows in table.groupby("cell type", sort=False)}
    assert named(mark_groups_by="cell type") == (None, NAMES, expected)
    assert named(mark_groups_by="cell type", marks=["K*", "HepG2"]) == (("K*", "HepG2"), NAMES, expected)
    assert named(mark_groups_by="cell type", marks="assay=ATAC") == (
        None, NAMES, {"K562": ["ATAC_K562"], "T cell, CD4": ["ATAC_T"]})


@pytest.mark.parametrize("options, said", [
    ({"marks": "asay=ATAC"}, ': --marks asay=ATAC: the table has no column "asay"; did you mean "assay"?'),
    ({"marks": "assay=ATCA"}, ': --marks assay=ATCA: column assay has no value "ATCA"; did you mean "ATAC"?'),
    ({"marks": ["assay=ATAC", "CTCF_K526"]}, 'the model has no mark "CTCF_K526"; did you mean "CTCF_K562"?'),
    ({"marks": "lab=x"}, ", line 2: column lab is empty, but --marks lab=x uses it; write a value such as none"),
    ({"mark_groups_by": "celltype"}, '--mark_groups_by: the table has no column "celltype"; did you mean "cell type"?'),
    ({"mark_groups_by": "lab"}, ", line 2: column lab is empty, but --mark_groups_by uses it"),
    ({"mark_groups_by": "assay", "marks": ["assay=ATAC", "K562"]}, "give one or the other"),
    ({"mark_groups": {"x": "ATAC*"}, "marks": "assay=ATAC"}, "use --mark_groups_by, or choose groups by their names"),
])
def test_unknown_columns_and_values(named, options, said):
    with pytest.raises(InputError) as error:
        named(**options)
    assert said in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("text, said", [
    ("", "tracks.tsv: the file is empty"),
    ("name\n\n", "tracks.tsv: there are no rows below the header"),
    ("Name\tassay\na\tb\n", "tracks.tsv, line 1: the header has no column name, only Name, assay; call the column"),
    ("name,assay\na,b\n", "line 1: the header has no column name, only name,assay;"),
    ("name\t\na\tb\n", "line 1: column 2 has no name; give it one"),
    ("name\tx\tx\na\tb\tc\n", "line 1: two columns are called x; rename one"),
    ("name\tassay\na\tb\nc\n", "line 3: there are 1 cells in this row and 2 in the header"),
    ("name\tassay\na\tb\n\nc\td\n", "line 3: there are 0 cells in this row and 2 in the header"),
    ("name\tassay\na\tb\n\td\n", "line 3: column name is empty; every output needs a name"),
    ("name\na\nb\na\n", "line 4: name a is on line 2 already; each output needs its own"),
    ("index\tname\n1\ta\n2\tb\n", "line 3: index '2' is not one of 0 to 1; outputs count from 0"),
    ("index\tname\n0\ta\n0\tb\n", "line 3: index 0 is on line 2 already"),
    ("index\tname\n00\ta\n\tb\n", "line 2: index '00' is not one of 0 to 1"),
    ('name\tassay\na\t"b\nc"\n', "line 3: a cell in quotes holds a tab or a line break; take it out"),
    ('name\tassay\na\t"b\nc\n', "takes a tab-separated text file (unexpected end of data)"),
])
def test_bad_tables_are_named_by_file_and_line(named, text, said):
    with pytest.raises(InputError) as error:
        named(text)
    assert said in str(error.value) and "tracks.tsv" in str(error.value) and "\n" not in str(error.value)


def test_a_file_that_is_no_text(tmp_path):
    (tmp_path / "x.tsv").write_bytes(b"name\n\xff\xfe\n")
    with pytest.raises(InputError, match=r"x.tsv: --mark_table takes a tab-separated text file"):
        read_mark_table(str(tmp_path / "x.tsv"))


def test_what_a_table_says_of_marks_and_of_groups(tmp_path):
    """Of a group, what all its outputs have in common; empty cells say nothing."""
    path = tmp_path / "tracks.tsv"
    path.write_text(text_of([(str(4 - k), *row) for k, row in enumerate(ROWS)], ("index", *HEADER)))
    assert columns_of_marks(ModelOptions(models=["m"])) == {}
    table = pd.DataFrame(ROWS, columns=HEADER).set_index("name")
    assert columns_of_marks(ModelOptions(models=["m"], mark_table=str(path))) == {
        column: table[column][table[column] != ""].to_dict() for column in HEADER[1:]}
    found = columns_of_marks(ModelOptions(models=["m"], mark_table=str(path), mark_groups_by="cell type"))
    assert found == {"cell type": {name: name for name in set(table["cell type"])},
                     "assay": {"HepG2": "DNase"}}


@pytest.mark.parametrize(("word", "mark"), [("kind=x[1]*", "A"), ("kind=x[12] a", "B"), ("kind=x[1] a", "A"),
                                            ("kind=b=x=1", "A"), ("b=x=1", None)])
def test_brackets_of_values_and_equals_signs_of_columns(named, word, mark):
    """A bracket is the value's if there is such a value, else a pattern's; the longest column goes first."""
    text = text_of([("A", "x[1] a", "1"), ("B", "x2 a", "2")], ("name", "kind", "kind=b=x"))
    if mark is None:
        with pytest.raises(InputError, match='the table has no column "b"'):
            named(text, marks=word)
    else:
        assert named(text, marks=word)[0] == (mark,)
