"""Where a run has regions, effects by direct instruments and by regions are compared: files, summary and report."""


import numpy as np
import pandas as pd
import pytest
from finished_runs import dataset_of
from report_pages import held

from kipoi_deepmr import effects_store, mr, pipeline
from kipoi_deepmr.cli import main
from kipoi_deepmr.output.tables import EXACT
from kipoi_deepmr.pipeline import aggregation
from kipoi_deepmr.report import write_report

N_LOCI, LENGTH = 24, 30
PLACES = {"A": (2, 8), "B": (16, 22)}  # of the motifs, on the strand that the model sees
QUICK = ["--diagnostics", "none", "--vcf", "none"]


def store_of(folder, n_members=4):
    """Effects in which bases of A's motif act on A, those of B's on B, and B follows A by 0.5; its regions in a BED."""
    rng = np.random.default_rng(5)
    own = 0.003 * rng.normal(size=(N_LOCI, LENGTH, 3, 2))
    for mark, (start, end) in enumerate(PLACES.values()):
        own[:, start:end, :, mark] += rng.choice([-1, 1], (N_LOCI, end - start, 3)) * rng.uniform(0.5, 2, (
            N_LOCI, end - start, 3))
    true = own.reshape(N_LOCI, 3 * LENGTH, 2) @ np.array([[1, 0.5], [0, 1]])
    members = true[:, None] * (1 + 0.02 * rng.normal(size=(N_LOCI, n_members, 3 * LENGTH, 2)))
    members += 0.01 * rng.normal(size=members.shape)
    effects = dataset_of(members, list(PLACES), rng.choice(np.frombuffer(b"ACGT", np.uint8), (N_LOCI, LENGTH)))
    folder.mkdir(parents=True, exist_ok=True)
    effects.to_zarr(str(folder / "effects.zarr"), zarr_format=2)
    lines = []
    for start, end, strand in zip(*(effects[name].values for name in ("start", "end", "strand")), strict=True):
        for mark, (first, last) in PLACES.items():
            at = (start + first, start + last) if strand == "+" else (end - last, end - first)
            lines.append(f"chr1\t{at[0]}\t{at[1]}\t{mark}\n")
    (folder / "sites.bed").write_text("".join(lines))
    return str(folder / "effects.zarr"), str(folder / "sites.bed")


def read(path):
    return pd.read_csv(path, sep="\t", **EXACT)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rules")
    store, sites = store_of(folder)
    words = ["run", "--effects", store, "--instrument_regions", sites, *QUICK, "-q", "-o", str(folder / "OUT")]
    assert main(words) == 0
    return folder / "OUT", store, sites


def test_both_rules_find_the_effect_and_agree(run):
    out, store, sites = run
    table = read(out / "rules.tsv").set_index(["exposure", "outcome"])
    local = {rule: read(out / name) for rule, name in (("direct", "local.tsv"), ("regions", "local_regions.tsv"))}
    assert table["n_loci"].min() == N_LOCI
    for pair, truth in ((("A", "B"), 0.5), (("B", "A"), 0.0)):
        row = table.loc[pair]
        assert abs(row["direct"] - truth) < 0.03 and abs(row["regions"] - truth) < 0.03
        assert row["ci_low"] < 0 < row["ci_high"] and row["difference"] == row["direct"] - row["regions"]
        both = [each[(each["exposure"] == pair[0]) & (each["outcome"] == pair[1])]["estimate"].reset_index(drop=True)
                for each in local.values()]
        assert row["spearman"] == pytest.approx(both[0].corr(both[1], method="spearman"))
    np.testing.assert_array_equal(table["direct"], read(out / "global.tsv")["estimate"])


def test_the_second_table_is_that_of_its_rule(run, tmp_path):
    out, store, sites = run
    assert main(["estimate", store, "--instruments", "regions", "--instrument_regions", sites, *QUICK, "-q", "-o",
                 str(tmp_path / "a.tsv")]) == 0
    assert (tmp_path / "a.tsv").read_bytes() == (out / "local_regions.tsv").read_bytes()
    assert (tmp_path / "a.direct.tsv").read_bytes() == (out / "local.tsv").read_bytes()
    assert main(["aggregate", str(tmp_path / "a.tsv"), "-q", "-o", str(tmp_path / "g.tsv")]) == 0
    pd.testing.assert_frame_equal(read(tmp_path / "g.rules.tsv"), read(out / "rules.tsv"))


def test_it_goes_when_it_is_asked_for_no_more(run, tmp_path):
    _, store, sites = run
    words = ["estimate", store, *QUICK, "-q", "-o", str(tmp_path / "a.tsv")]
    assert main([*words, "--instrument_regions", sites]) == 0 and (tmp_path / "a.regions.tsv").exists()
    assert main(words) == 0 and not (tmp_path / "a.regions.tsv").exists()


def test_the_summary_and_the_report_show_it(run, tmp_path, capsys):
    out, store, sites = run
    assert main(["aggregate", str(out / "local.tsv"), "-o", str(tmp_path / "g.tsv")]) == 0
    said = capsys.readouterr().out
    assert "instruments that the effects show against those of your regions" in said and "Spearman over loci" in said
    (out.parent / "sites.bed").rename(tmp_path / "moved.bed")  # which the rule direct does not need
    try:
        rules = held(write_report(str(out)))["data"]["rules"]
    finally:
        (tmp_path / "moved.bed").rename(out.parent / "sites.bed")
    table = read(out / "rules.tsv").set_index(["exposure", "outcome"])
    for i, pair in enumerate(zip(rules["exposure"], rules["outcome"], strict=True)):
        assert rules["difference"][i] == pytest.approx(table.loc[pair, "difference"], rel=1e-5)
    assert rules["pvalue"] == sorted(rules["pvalue"])


def test_two_members_have_nothing_to_compare_with(tmp_path, capsys):
    store, sites = store_of(tmp_path / "two", n_members=2)
    words = ["estimate", store, "--instrument_regions", sites, *QUICK, "-q", "-o", str(tmp_path / "a.tsv")]
    assert main([*words, "--instruments", "regions"]) == 0
    assert not (tmp_path / "a.direct.tsv").exists()
    assert main(words) == 2 and "--instrument_regions goes with --instruments direct or" in capsys.readouterr().err


def test_regions_with_a_rule_that_is_not_compared(run, tmp_path, capsys):
    _, store, sites = run
    assert main(["estimate", store, "--instruments", "pooled", "--instrument_regions", sites, "-o",
                 str(tmp_path / "a.tsv")]) == 2
    assert "direct or regions, not pooled" in capsys.readouterr().err


def test_two_rules_are_compared_from_arrays_as_from_tables(run, tmp_path, monkeypatch):
    """Some exposures at a time; numbers as far as float32 goes, and the array is that of its rule."""
    monkeypatch.setattr(aggregation, "ROWS_COMPARED", 1)  # an exposure at a time
    out, store, sites = run
    words = ["run", "--effects", store, "--instrument_regions", sites, "--tables", "none", *QUICK, "-q", "-o"]
    assert main([*words, str(tmp_path / "OUT")]) == 0
    assert "local_regions.zarr/completed.jsonl" in (tmp_path / "OUT" / "run.json").read_text()
    assert not (tmp_path / "OUT" / "local_regions.tsv").exists()
    pd.testing.assert_frame_equal(read(tmp_path / "OUT" / "rules.tsv"), read(out / "rules.tsv"), rtol=2e-4, atol=1e-5)
    array = mr.rows(effects_store.LocalEffects(str(tmp_path / "OUT" / "local_regions.zarr")))
    table = read(out / "local_regions.tsv")
    np.testing.assert_array_equal(array["estimate"].astype(np.float32), table["estimate"].astype(np.float32))
    assert held(tmp_path / "OUT" / "report.html")["data"]["rules"]["exposure"] == ["A", "B"] or \
        held(tmp_path / "OUT" / "report.html")["data"]["rules"]["exposure"] == ["B", "A"]
    monkeypatch.setattr(aggregation, "MOST_COMPARED", 1)
    table = pipeline.aggregate(str(tmp_path / "OUT" / "local.tsv"), str(tmp_path / "g.tsv"))
    rules = read(tmp_path / "g.rules.tsv")
    assert len(rules) == 2 and [each["pvalue"] for each in table.attrs["rules"]] == [rules["pvalue"].min()]
    assert main([word for word in words if word not in ("--instrument_regions", sites)] + [
        str(tmp_path / "OUT"), "--overwrite"]) == 0
    assert not (tmp_path / "OUT" / "local_regions.zarr").exists()
