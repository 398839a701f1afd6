"""Whatever stands in a file or on the command line: it is read, or refused with the error that a user understands."""

import gzip
import shutil

import numpy as np
import pytest
from conftest import write_model
from finished_runs import write_run
from hypothesis import example, given
from hypothesis import strategies as st
from profiles import fewer

from kipoi_deepmr import mr, strata
from kipoi_deepmr.cli import parser
from kipoi_deepmr.errors import InputError
from kipoi_deepmr.loci import read_bed
from kipoi_deepmr.models.mark_table import read_mark_table
from kipoi_deepmr.models.patterns import matching_models
from kipoi_deepmr.options import EstimateOptions
from kipoi_deepmr.runs import tables as reading
from kipoi_deepmr.runs.finished import FinishedRun
from kipoi_deepmr.runs.tables import read_table

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
CELL = TEXT | st.integers().map(str) | st.floats().map(str) | st.sampled_from(
    ["chr1", "A", "B", "+", "-", ".", "NA", "", "track", "#", "1e400", "-0", "9" * 400, "locus1", "\ufeff", '"', "\r"])
TABLE = st.lists(st.lists(CELL, max_size=8).map("\t".join), max_size=8).map("\n".join)
FILE = st.binary(max_size=300) | TABLE.map(str.encode) | TABLE.map(lambda text: gzip.compress(text.encode()))


def refused(read, *arguments, **options):
    """Whether reading ends with an InputError; anything else that is raised fails the test."""
    try:
        read(*arguments, **options)
    except InputError as error:
        assert "\n" not in str(error)
        return True
    return False


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


@given(FILE, st.sampled_from(["x.bed", "x.bed.gz"]))
@example(b"chr1\t1\t2\n\xff\xfe", "x.bed")
@example(b"chr1\t1\t" + b"9" * 5000, "x.bed")
def test_bed(folder, content, name):
    (folder / name).write_bytes(content)
    if not refused(read_bed, str(folder / name)):
        assert all(0 <= i.start < i.end and i.strand in "+-." for i in read_bed(str(folder / name)))


@given(FILE | TABLE.map(lambda text: f"index\tname\tassay\n{text}".encode()))
@example(b"name\tassay\na\t\"x\ny\"\n")
@example(b"index\tname\n" + b"9" * 5000 + b"\ta\n")
@example("index\tname\n\u00b2\ta\n".encode())
def test_mark_table(folder, content):
    path = folder / "marks.tsv"
    path.write_bytes(content)
    if not refused(read_mark_table, str(path)):
        table = read_mark_table(str(path))
        assert table.names and all(table.names) and len(set(table.names)) == len(table.names)
        assert table.numbers_of(table.names) == list(range(len(table.names)))


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("run") / "OUT"
    write_run(path)
    return path


@pytest.fixture(scope="module")
def local(run_folder):
    return reading.read_local(str(run_folder / "local.tsv"))


@given(FILE)
@fewer(4)
@example(b"chr1\t0\t10\tA\nchr1\t20\t30\tB\n")
@example(b"chr1\t1\t99999999999999999999\tA\n")
@example("chr 1\t1\t9\tA\nchr\u00e9\t1\t9\tB\n".encode())
@example(b"#\t1\t9\tA\n")
def test_motifs_and_annotation(folder, local, content):
    if not shutil.which("bedtools"):
        pytest.skip("needs bedtools")
    (folder / "m.bed").write_bytes(content)
    refused(strata.from_motifs, str(folder / "m.bed"), local)
    refused(strata.from_annotation, str(folder / "m.bed"), local)


COVARIATES = st.lists(st.tuples(st.sampled_from([f"locus{i}" for i in range(8)]) | CELL, CELL, CELL), max_size=6).map(
    lambda rows: "\n".join(["locus\tx\tq", *("\t".join(row) for row in rows)]).encode())


@given(FILE | COVARIATES, st.none() | st.lists(st.floats(), max_size=4))
@example(b'"\n"', None)
@example(b"locus\tx\nlocus1\t1\nlocus2\t1e400\n", [0.0, 1.0])
@example(b"locus\tlocus\nlocus1\tlocus1\n", None)
@example(b"locus\tx\n\"locus1\t1\n", None)
def test_strata_tables(folder, local, content, bins):
    (folder / "strata.tsv").write_bytes(content)
    refused(strata.from_table, str(folder / "strata.tsv"), local, bins)


@st.composite
def damage(draw):
    """A function of bytes that changes, removes or inserts some."""
    steps = draw(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 20), st.binary(max_size=8) | CELL.map(str.encode)),
                          min_size=1, max_size=3))

    def apply(content):
        for where, n, new in steps:
            at = int(where * len(content))
            content = content[:at] + new + content[at + n:]
        return content

    return apply


@given(damage() | FILE.map(lambda content: lambda _: content))
@example(lambda whole: whole.replace(b"locus1\t", b"locus1\t\t", 1))
@example(lambda whole: whole.replace(b"start", b"chrom", 1))
@example(lambda whole: whole.replace(b"\t0.", b"\t1e999", 1))
def test_local_tables(folder, run_folder, apply):
    path = folder / "local.tsv"
    path.write_bytes(apply((run_folder / "local.tsv").read_bytes()))
    if not refused(reading.read_local, str(path)):
        assert len(reading.read_estimates(str(path)))


@given(damage() | FILE.map(lambda content: lambda _: content))
def test_global_tables(folder, run_folder, apply):
    path = folder / "global.tsv"
    path.write_bytes(apply((run_folder / "global.tsv").read_bytes()))
    refused(read_table, str(path), ("exposure", "outcome", "method"), ("n_loci", "estimate", "se"))


@given(st.sampled_from(["run.json", "local.tsv", "global.tsv", "diagnostics.tsv"]), damage())
@fewer(4)
def test_folders_of_runs(folder, run_folder, name, apply):
    copy = folder / "OUT"
    shutil.copytree(run_folder, copy, dirs_exist_ok=True)
    (copy / name).write_bytes(apply((run_folder / name).read_bytes()))

    def read():
        run = FinishedRun(str(copy))
        run.local_of([("A", "B")])
        run.diagnostics_of([("A", "B")])

    refused(read)


WORDS = st.sampled_from(["egger", "A,B", "1", "0:5", "model=fixed", "alpha=0.01", "x=[1", "x=1,2", "a/*", "nan", "-1",
                         "A=x,y", "1e999", "x=" + "[" * 10_000, "9" * 5000])
OPTIONS = ("--method_args", "--method", "--exposures", "--instrument_z", "--mark_groups", "--mark_window", "--augment",
           "--member_columns", "--mc_dropout", "--dask_resources", "--n_loci", "--seed", "--batch_size")


@given(st.lists(st.tuples(st.sampled_from(OPTIONS), WORDS | TEXT), max_size=3))
def test_options(given_options):
    words = [f"{option}={text}" for option, text in given_options]
    try:
        parser.make_parser("x").parse_args(["run", "m", "-o", "OUT", *words])
    except SystemExit as ended:
        assert ended.code == 2


@given(WORDS | TEXT)
def test_bins(text):
    try:
        given_bins = parser.make_parser("x").parse_args(["aggregate", "l.tsv", "-o", "g.tsv", f"--bins={text}"]).bins
    except SystemExit as ended:
        assert ended.code == 2
    else:
        refused(strata.binned, np.arange(3.0), given_bins)


NAMES = st.sampled_from(["alpha", "model", "psi", "penalized", "distribution", "n_draws", "seed", "phi", "methods",
                         "exposures", "rule", "effects", "map_blocks", "uncertainty", "weighting"]) | TEXT
JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
                    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2), max_leaves=4)


@given(st.lists(st.sampled_from([*mr.METHODS]), min_size=1, max_size=3), st.dictionaries(NAMES, JSON, max_size=2))
@example(["egger"], {"methods": 1})
@example(["ivw"], {"alpha": [0.1]})
@example(["median_weighted"], {"n_draws": 1e999})
def test_options_of_methods(local, methods, options):
    refused(lambda: mr.check_pairs(["A", "B"], EstimateOptions(method=methods, method_args=options)))


@given(st.lists(st.text(st.sampled_from("ab*?[]!-0/.=,\\")) | TEXT, max_size=3))
def test_patterns_of_models(folder, monkeypatch_cwd, patterns):
    refused(matching_models, patterns, "dir")


@pytest.fixture(scope="module")
def monkeypatch_cwd(folder):
    for name in "ab":
        write_model(folder / name, np.zeros((12, 4, 3)))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield
