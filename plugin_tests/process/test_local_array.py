"""Local effects as an array: the same numbers as the table, in bounded memory, resumed, damaged, read by all."""

import base64
import json
import os
import re
import shutil
import signal
import subprocess
import sys

import numpy as np
import pandas as pd
import pysam
import pytest
from report_pages import held
from wide_case import make_store

from kipoi_deepmr import effects_store, mr, pipeline
from kipoi_deepmr.cli import main
from kipoi_deepmr.effects_store import record
from kipoi_deepmr.errors import InputError
from kipoi_deepmr.mr import wide

METHODS = ("ivw", "egger")
FLOAT32 = ("estimate", "se", "estimate_1", "estimate_2", "estimate_3")


def read(path):
    return pd.read_csv(path, sep="\t", keep_default_na=False, na_values=["NA"])


def estimate(store, path, **options):
    return pipeline.estimate(store, str(path), method=METHODS, **options)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return make_store(tmp_path_factory.mktemp("wide"), n_marks=7, n_loci=10, length=8)


@pytest.fixture(scope="module")
def narrow(store, tmp_path_factory):
    path = tmp_path_factory.mktemp("narrow") / "local.tsv"
    estimate(store, path)
    return path


@pytest.fixture
def small(monkeypatch):
    """Arrays of several blocks, of several groups of exposures each."""
    monkeypatch.setattr(effects_store.local_effects, "BLOCK_PAIRS", 4 * 98)
    monkeypatch.setattr(effects_store.local_effects, "CHUNK_PAIRS", 60)
    monkeypatch.setattr(wide, "GROUP_FITS", 30)
    monkeypatch.setattr(wide, "VIEW_BYTES", 8 * 24 * 7 * 3)


@pytest.mark.parametrize("compiled", [False, True])
def test_the_array_has_the_numbers_of_the_table(store, narrow, tmp_path, small, monkeypatch, compiled):
    """float32 of every number, to the last bit, whatever the blocks and the groups, in arrays and compiled loops."""
    if compiled:
        monkeypatch.setattr(mr.pairs, "COMPILED_FROM", 0)
        narrow = tmp_path / "all.tsv"
        estimate(store, narrow, vcf="none")
    estimate(store, tmp_path / "local.tsv", tables="none", vcf="none")
    local = effects_store.LocalEffects(str(tmp_path / "local.estimates.zarr"))
    assert len(local.groups()) == 4 and local.shape.block == 4
    expected, found = read(narrow), mr.rows(local)
    for name in ("chrom", "start", "end", "strand", "locus", "exposure", "outcome", "method", "n_instruments"):
        assert expected[name].tolist() == found[name].tolist()
    for name in FLOAT32:
        np.testing.assert_array_equal(expected[name].astype(np.float32), found[name].astype(np.float32))
    np.testing.assert_allclose(found["pvalue"], expected["pvalue"], rtol=1e-4, atol=1e-300)
    for end in ("ci_low", "ci_high"):
        np.testing.assert_allclose(found[end], expected[end], rtol=1e-5, atol=1e-6)
    assert expected["note"].fillna("").tolist() == found["note"].tolist() and (found["note"] != "").any()
    assert (tmp_path / "local.tsv").read_text().count("\n") == 1  # the header


@pytest.mark.parametrize("compiled", [False, True])
def test_all_pairs_and_some_pairs_give_the_rows_of_the_whole_table(store, narrow, tmp_path, small, monkeypatch,
                                                                   compiled):
    """Several loci at a time or one alone, in arrays and compiled loops."""
    if compiled:
        monkeypatch.setattr(mr.pairs, "COMPILED_FROM", 0)
        (tmp_path / "narrow").mkdir()
        narrow = tmp_path / "narrow" / "local.tsv"
        estimate(store, narrow)
    estimate(store, tmp_path / "all.tsv", tables="all", vcf="none", diagnostics="none")
    monkeypatch.setattr(wide, "GROUP_FITS", 10 ** 6)  # then as many loci at a time as are read
    estimate(store, tmp_path / "at_once.tsv", tables="all", vcf="none", diagnostics="none")
    assert (tmp_path / "all.tsv").read_bytes() == (tmp_path / "at_once.tsv").read_bytes() == narrow.read_bytes()
    whole = narrow.read_text().splitlines()
    estimate(store, tmp_path / "local.tsv", tables="effects", vcf="none")
    some = (tmp_path / "local.tsv").read_text().splitlines()
    assert some[0] == whole[0] and 1 < len(some) < len(whole) and set(some) <= set(whole)
    assert some == [line for line in whole if line in set(some)]
    diagnosed = [set((folder / "local.diagnostics.tsv").read_text().splitlines()) for folder in (tmp_path,
                                                                                              narrow.parent)]
    assert diagnosed[0] < diagnosed[1]


@pytest.mark.parametrize("tables", ["all", "effects"])
def test_exposures_and_outcomes_by_pattern_are_those_of_these_names(store, tmp_path, tables, caplog):
    """The same bytes, whatever chose the marks, in the order in which they are written."""
    chosen = {"pattern": {"exposures": ["mark5", "mark[0-2]"], "outcomes": ["mark[56]"]},
              "names": {"exposures": ["mark5", "mark0", "mark1", "mark2"], "outcomes": ["mark5", "mark6"]}}
    for folder, roles in chosen.items():
        (tmp_path / folder).mkdir()
        estimate(store, tmp_path / folder / "local.tsv", tables=tables, diagnostics="none", **roles)
        assert tables == "all" or f"of {4 * 2 - 1} pairs" in caplog.messages[-1]
    one, other = (sorted(path.relative_to(tmp_path / folder) for path in (tmp_path / folder).rglob("*")
                         if path.is_file() and path.name != ".zattrs") for folder in chosen)
    assert one == other and "local.vcf.gz" in map(str, one)
    for name in one:
        assert (tmp_path / "pattern" / name).read_bytes() == (tmp_path / "names" / name).read_bytes(), name
    with pytest.raises(InputError, match=r"unknown exposure 'mark\[89\]\*'"):
        estimate(store, tmp_path / "none.tsv", exposures=["mark1", "mark[89]*"])


def test_many_rows_alone_make_an_array(store, narrow, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(pipeline.sizes, "MOST_ROWS", 839)
    estimate(store, tmp_path / "a.tsv", vcf="none")
    assert (tmp_path / "a.estimates.zarr").is_dir() and "of 42 pairs beyond the minimum effect" in caplog.text
    estimate(store, tmp_path / "b.tsv", vcf="none", tables="all")
    assert (tmp_path / "b.tsv").read_bytes() == narrow.read_bytes()
    monkeypatch.setattr(pipeline.sizes, "MOST_ROWS", 840)
    estimate(store, tmp_path / "a.tsv", vcf="none")
    assert not (tmp_path / "a.estimates.zarr").exists() and (tmp_path / "a.tsv").read_bytes() == narrow.read_bytes()


def test_global_effects_from_array_and_table(store, narrow, tmp_path, small):
    """As far as float32 goes (I^2 is a small difference of large numbers), and else but for the order of sums."""
    estimate(store, tmp_path / "local.tsv", tables="none", vcf="none")
    found = pipeline.aggregate(str(tmp_path / "local.tsv"), str(tmp_path / "global.tsv"), effects_path=store)
    expected = pipeline.aggregate(str(narrow), str(tmp_path / "narrow.tsv"), effects_path=store)
    pd.testing.assert_frame_equal(found, expected, rtol=1e-4, atol=1e-5)
    rounded = read(narrow)
    for name in FLOAT32:
        rounded[name] = rounded[name].astype(np.float32).astype(np.float64)
    rounded.to_csv(tmp_path / "rounded.tsv", sep="\t", index=False, na_rep="NA")
    same = pipeline.aggregate(str(tmp_path / "rounded.tsv"), str(tmp_path / "same.tsv"), effects_path=store)
    pd.testing.assert_frame_equal(found, same, rtol=1e-11, atol=1e-11)


def test_strata_from_array_and_table(store, narrow, tmp_path, small):
    table = pd.DataFrame({"locus": [f"locus{i}" for i in range(10)], "half": ["a", "b"] * 5, "x": range(10)})
    table.to_csv(tmp_path / "c.tsv", sep="\t", index=False)
    estimate(store, tmp_path / "local.tsv", tables="none", vcf="none")
    found, expected = (pipeline.stratify(str(path), strata=str(tmp_path / "c.tsv"))
                       for path in (tmp_path / "local.tsv", narrow))
    assert found.notes == expected.notes
    for name in ("strata", "tests"):
        pd.testing.assert_frame_equal(getattr(found, name), getattr(expected, name), rtol=1e-3, atol=1e-4)


def test_the_vcf_tells_of_direct_pairs_alone(store, tmp_path, small):
    estimate(store, tmp_path / "local.tsv", tables="effects")
    verdicts = pipeline.judge(effects_store.open_effects(store)).network.verdicts
    direct = {f"{x}>{y}" for x, y in verdicts.loc[verdicts["verdict"] == "direct effect", ["exposure", "outcome"]
                                                  ].itertuples(index=False)}
    local = effects_store.LocalEffects(str(tmp_path / "local.estimates.zarr"))
    found = mr.rows(local).set_index(["locus", "exposure", "outcome", "method"])
    seen = set()
    with pysam.VariantFile(str(tmp_path / "local.vcf.gz")) as file:
        for entry in file:
            info = entry.info
            assert info["MARKS"] == (info["ACTS_ON"],) and not any(key.startswith("EFFECT_") for key in info)
            for pair, value in zip(info.get("PAIRS", ()), info.get("CE_ivw", ()), strict=True):
                assert pair.startswith(f"{info['ACTS_ON']}>")
                seen.add(pair)
                expected = found.loc[(info["LOCUS"], *pair.split(">"), "ivw"), "estimate"]
                assert (value is None and np.isnan(expected)) or value == pytest.approx(expected, rel=1e-6)
    assert seen and seen <= direct


def test_blocks_that_are_there_are_not_made_again(store, tmp_path, small, monkeypatch):
    """A command that was killed after a block, and a chunk that was damaged, which is named."""
    estimate(store, tmp_path / "fresh.tsv", tables="none", vcf="none")
    fresh = contents(tmp_path / "fresh.estimates.zarr")
    array = tmp_path / "local.estimates.zarr"
    shutil.copytree(tmp_path / "fresh.estimates.zarr", f"{array}.partial")
    head, first, *_ = record.read(f"{array}.partial")[0]
    record.write(f"{array}.partial", [head, first])
    (tmp_path / "local.tsv").write_text("")
    with pytest.raises(InputError, match="an unfinished array of local effects, of which .*local.tsv may be a part"):
        pipeline.aggregate(str(tmp_path / "local.tsv"), str(tmp_path / "global.tsv"))
    (tmp_path / "local.tsv").unlink()
    made = counted(monkeypatch)
    estimate(store, tmp_path / "local.tsv", tables="none", vcf="none")
    assert made == [4, 8] and contents(array) == fresh
    chunk = next(array.glob("se/0.1.*"))
    chunk.write_bytes(chunk.read_bytes()[:-1] + b"x")
    with pytest.raises(InputError, match=f"{chunk.name}: damaged since it was written.*estimates that block"):
        mr.rows(effects_store.LocalEffects(str(array)))
    assert len(mr.rows(effects_store.LocalEffects(str(array)), slice(0, 4))) == 4 * 84  # of another block
    made.clear()
    estimate(store, tmp_path / "local.tsv", tables="none", vcf="none")
    assert made == [4] and contents(array) == fresh
    shutil.copytree(array, tmp_path / "copy.zarr")
    (tmp_path / "copy.zarr" / record.RECORD).unlink()
    with pytest.raises(InputError, match="without its record"):
        effects_store.LocalEffects(str(tmp_path / "copy.zarr"))
    made.clear()
    estimate(store, tmp_path / "local.tsv", tables="none", vcf="none", instrument_z=2.5)
    assert made == [0, 4, 8] and contents(array) != fresh


def counted(monkeypatch):
    """First loci of the blocks that are written from now on."""
    made, write = [], wide.write_block

    def noted(path, shape, first, *rest):
        made.append(first)
        return write(path, shape, first, *rest)

    monkeypatch.setattr(wide, "write_block", noted)
    return made


def contents(folder):
    return {os.path.relpath(os.path.join(where, name), folder): (open(os.path.join(where, name), "rb").read())
            for where, _, names in os.walk(folder) for name in names}


def test_a_run_whose_local_effects_are_an_array_and_its_report(store, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("kipoi_deepmr.pipeline.progress.SECONDS", 0.001)
    monkeypatch.setattr("kipoi_deepmr.report.contents.MAX_GLOBAL_ROWS", 20)
    monkeypatch.setattr("kipoi_deepmr.report.contents.MAX_PAIRS", 5)
    out = tmp_path / "OUT"
    for _ in range(2):  # the second takes the folder over
        pipeline.run_again(store, str(out), estimate_options={"tables": "effects", "method": METHODS}, quiet=False)
        lines = capsys.readouterr().err
        assert lines.count("time after the predictions, at most a minute") == lines.count("time after") == 1
        stages = ("estimate: members' spread", "estimate", "local.tsv", "diagnostics", "VCF")
        for stage in ("network", *stages[:0 if _ else None], "aggregate", "aggregate: verdicts and files", "report"):
            assert re.search(f"^{stage}(, block .*)?: ", lines, re.MULTILINE), stage
        # a part of that of all pairs, where these are not there already
        assert ("local.tsv: members' spread" in lines) == bool(_)
        assert {"local.zarr", "local.tsv", "global.tsv", "report.html"} <= set(os.listdir(out))
        assert "local.zarr/completed.jsonl" in json.loads((out / "run.json").read_text())["files"]
    data = held(out / "report.html")["data"]
    table = read(out / "global.tsv")
    assert len(METHODS) * len(data["effects"]["exposure"]) < len(table) == 84
    matrix = data["heat"]
    cells = np.frombuffer(base64.b64decode(matrix["cells"]), np.int8).reshape(7, 7)
    effect = table[table["method"] == "ivw"].set_index(["exposure", "outcome"])["standardised"]
    for i, x in enumerate(matrix["marks"]):
        for j, y in enumerate(matrix["marks"]):
            if x != y and np.isfinite(effect[x, y]) and abs(effect[x, y]) < matrix["most"]:
                assert cells[i, j] / 127 * matrix["most"] == pytest.approx(effect[x, y], abs=matrix["most"] / 250)
    assert "local.zarr has all" in " ".join(data["left_out"])


@pytest.mark.parametrize("tables", ["all", "none"])
def test_any_part_is_printed(store, tmp_path, small, capsys, tables):
    estimate(store, tmp_path / "local.tsv", tables=tables, vcf="none")
    assert main(["table", str(tmp_path / "local.tsv"), "--exposure", "mark3", "--outcome", "mark[0-2],mark5", "--locus",
                 "locus8,locus9"]) == 0
    lines = capsys.readouterr().out.splitlines()
    found = [line.split("\t")[4:8] for line in lines[1:]]
    assert found == [[locus, "mark3", outcome, method] for locus in ("locus8", "locus9")
                     for outcome in ("mark0", "mark1", "mark2", "mark5") for method in METHODS]
    assert main(["table", str(tmp_path / "local.tsv"), "--exposure", "mrk3"]) == 2
    assert "unknown exposure 'mrk3'" in capsys.readouterr().err


def test_a_vcf_annotated_by_a_run_whose_local_effects_are_an_array(store, tmp_path):
    out = tmp_path / "OUT"
    pipeline.run_again(store, str(out), estimate_options={"tables": "none", "method": METHODS, "vcf": "none"},
                       report=False)
    effects = effects_store.open_effects(store)
    ref, alt = (effects[name].values[3] for name in ("ref_base", "alt_base"))
    lines = [f"chr1\t{3 * 8 + v // 3 + 1}\t.\t{ref[v]}\t{alt[v]}\t.\t.\t." for v in range(24)]
    header = ["##fileformat=VCFv4.3", "##contig=<ID=chr1,length=80>", "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"]
    (tmp_path / "in.vcf").write_text("\n".join([*header, *lines]) + "\n")
    pipeline.annotate(str(out), str(tmp_path / "in.vcf"), str(tmp_path / "out.vcf"))
    direct = read(out / "global.tsv").query("verdict == 'direct effect' and method == 'ivw'")
    pairs = [f"{x}>{y}" for x, y in zip(direct["exposure"], direct["outcome"], strict=True)]
    local = mr.rows(effects_store.LocalEffects(str(out / "local.zarr"))).query("locus == 'locus3' and method == 'ivw'")
    local = local.set_index(["exposure", "outcome"])["estimate"]
    with pysam.VariantFile(str(tmp_path / "out.vcf")) as file:
        for v, entry in enumerate(file):
            info = entry.info
            assert list(info["DEEPMR_PAIRS"]) == pairs
            for pair, value in zip(pairs, info["DEEPMR_CE_ivw"], strict=True):
                expected = local[tuple(pair.split(">"))]
                assert (value is None and np.isnan(expected)) or value == pytest.approx(expected, rel=1e-6)
            names, values = (info[f"DEEPMR_{key}"][0].split("&") for key in ("MARKS", "EFFECT"))
            of_mark = dict(zip(effects["mark"].values.tolist(), effects["effect"].values[3, v].tolist(), strict=True))
            assert len(names) == 7
            assert info["DEEPMR_INSTRUMENT"][0] == (info["DEEPMR_ACTS_ON"][0] or None)
            assert [float(x) for x in values] == pytest.approx([of_mark[name] for name in names], rel=1e-6)


KILLED = """
import os, signal, sys
from kipoi_deepmr import effects_store, pipeline
from kipoi_deepmr.mr import wide
store, path, where, n = sys.argv[1:]
effects_store.local_effects.BLOCK_PAIRS = 4 * 98
module, name = {"spread": (wide, "_moderation"), "block": (wide, "write_block"),
                "vcf": (pipeline.estimation, "write_brief_vcf")}[where]
function, left = getattr(module, name), int(n)
def killed(*arguments, **options):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return function(*arguments, **options)
setattr(module, name, killed)
pipeline.estimate(store, path, method=("ivw", "egger"), tables="effects")
"""


@pytest.mark.parametrize("where, n, blocks", [("spread", 0, [0, 4, 8]), ("block", 2, [8]), ("vcf", 0, [])])
def test_a_killed_command_goes_on_to_the_same_bytes(store, tmp_path, monkeypatch, where, n, blocks):
    monkeypatch.setattr(effects_store.local_effects, "BLOCK_PAIRS", 4 * 98)
    done = subprocess.run([sys.executable, "-c", KILLED, store, tmp_path / "local.tsv", where, str(n)], check=False)
    assert done.returncode == -signal.SIGKILL and not (tmp_path / "local.tsv").exists()
    made = counted(monkeypatch)
    estimate(store, tmp_path / "local.tsv", tables="effects")
    assert made == blocks
    estimate(store, tmp_path / "fresh.tsv", tables="effects")
    for ending in ("tsv", "vcf.gz", "diagnostics.tsv", "diagnostics_by_pair.tsv"):
        assert (tmp_path / f"local.{ending}").read_bytes() == (tmp_path / f"fresh.{ending}").read_bytes()
    assert contents(tmp_path / "local.estimates.zarr") == contents(tmp_path / "fresh.estimates.zarr")
    assert not [name for name in os.listdir(tmp_path) if name.endswith(".partial") or name.startswith(".")]


KILLED_AGGREGATE = """
import os, signal, sys
from kipoi_deepmr import mr, pipeline
from kipoi_deepmr.meta import order
from kipoi_deepmr.pipeline import many_pairs, stratification
local, path, store, covariates, where = sys.argv[1:]
if where != "pooling of few":
    order.MOST_ROWS = many_pairs.ROWS = stratification.MOST_PAIRS = stratification.ROWS = 1
def killed_after(n, function):
    def passed_on(*arguments):
        for number, piece in enumerate(function(*arguments)):
            if number == n:
                os.kill(os.getpid(), signal.SIGKILL)
            yield piece
    return passed_on
if where.startswith("pooling"):
    mr.pieces = killed_after(1, mr.pieces)
if where == "writing":
    many_pairs.ManyPairs.judged = killed_after(3, many_pairs.ManyPairs.judged)
if where == "strata":
    stratification.ManyStrata.pieces = killed_after(2, stratification.ManyStrata.pieces)
pipeline.aggregate(local, path, effects_path=store, strata=pipeline.stratify(local, strata=covariates))
"""


@pytest.mark.parametrize("where", ["pooling of few", "pooling of many", "writing", "strata", "nowhere"])
def test_a_killed_aggregate_leaves_nothing_and_gives_the_same_bytes(store, tmp_path, small, where):
    estimate(store, tmp_path / "local.tsv", tables="none", vcf="none")
    table = pd.DataFrame({"locus": [f"locus{i}" for i in range(10)], "half": ["a", "b"] * 5})
    table.to_csv(tmp_path / "c.tsv", sep="\t", index=False)
    local, covariates, before = str(tmp_path / "local.tsv"), str(tmp_path / "c.tsv"), contents(tmp_path)
    done = subprocess.run([sys.executable, "-c", KILLED_AGGREGATE, local, tmp_path / "global.tsv", store, covariates,
                           where], check=False)
    if where != "nowhere":
        assert done.returncode == -signal.SIGKILL and {
            name: text for name, text in contents(tmp_path).items() if not name.startswith(".")} == before
    for name in ("global.tsv", "fresh.tsv"):
        pipeline.aggregate(local, str(tmp_path / name), effects_path=store,
                           strata=pipeline.stratify(local, strata=covariates))
    for ending in ("tsv", "strata.tsv", "strata_tests.tsv"):
        assert (tmp_path / f"global.{ending}").read_bytes() == (tmp_path / f"fresh.{ending}").read_bytes()
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".")]


def test_an_array_of_another_run_is_not_read_beside_the_table_of_this_one(store, tmp_path, capsys):
    """Nor is the table alone, which holds some pairs; what `estimate` wrote over both is read."""
    runs = {name: tmp_path / name for name in ("one", "two")}
    for name, rule in (("one", "own"), ("two", "pooled")):
        pipeline.run_again(store, str(runs[name]), report=False, estimate_options={
            "instruments": rule, "method": "ivw", "tables": "effects", "diagnostics": "none"})
    array, table, out = runs["one"] / "local.zarr", str(runs["one"] / "local.tsv"), str(tmp_path / "global.tsv")
    commands = (["table", str(runs["one"])], ["table", table], ["aggregate", table, "-o", out, "-q"])
    for words in commands:
        assert main(words) == 0
    shutil.move(array, tmp_path / "kept")
    for words in commands:
        assert main(words) == 2
        assert "local.zarr of this run is missing, and local.tsv holds only a part" in capsys.readouterr().err
    shutil.copytree(runs["two"] / "local.zarr", array)
    for words in commands:
        assert main(words) == 2
        assert "local.zarr is not what the run wrote beside local.tsv" in capsys.readouterr().err
    bed = tmp_path / "in.bed"
    bed.write_text("chr1\t0\t1000\n")
    assert main(["aggregate", table, "--annotate", str(bed), "-o", out, "-q"]) == 2
    pipeline.estimate(store, table, instruments="pooled", method="ivw", tables="effects")
    for words in commands:
        assert main(words) == 0


def test_why_a_table_holds_no_pairs(store, tmp_path, caplog):
    """Of a run without a network, and of effects that give none."""
    pipeline.run_again(store, str(tmp_path / "OUT"), estimate_options={"tables": "effects", "instruments": "own"},
                       network_options={"network": "none"}, report=False)
    assert "no pairs, since nothing says which ones matter: no network was inferred (--network none)" in caplog.text
    pair = make_store(tmp_path, n_marks=3, n_loci=2, n_members=2)
    estimate(pair, tmp_path / "local.tsv", tables="effects", vcf="none")
    assert "which ones matter: no network: it takes every member's effects" in caplog.text
