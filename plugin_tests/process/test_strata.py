"""Strata and covariates of loci, on tables of known effects and on a model in which spacing matters by construction."""

import shutil

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from spacing_model import Spacing, effect_at, loci_and_motifs

from kipoi_deepmr import meta, mr, mutagenesis, strata
from kipoi_deepmr.cli import main
from kipoi_deepmr.errors import InputError
from kipoi_deepmr.models import Ensemble
from kipoi_deepmr.output import tables
from kipoi_deepmr.runs import tables as reading

needs_bedtools = pytest.mark.skipif(not shutil.which("bedtools"), reason="needs the program bedtools")


def local_table(n=60, seed=0):
    """Two pairs: the effect of A on B is 1 at even loci and 2 at odd ones, that of B on A is 0."""
    rng = np.random.default_rng(seed)
    number = np.repeat(np.arange(n), 2)
    exposure = np.tile(["A", "B"], n)
    effect = np.where(exposure == "A", 1.0 + number % 2, 0.0) + 0.1 * rng.normal(size=2 * n)
    return pd.DataFrame({"chrom": "chr1", "start": 100 * number, "end": 100 * number + 50, "strand": "+",
                         "locus": [f"l{i}" for i in number], "exposure": exposure,
                         "outcome": np.where(exposure == "A", "B", "A"), "method": "ivw", "n_instruments": 5,
                         "estimate": effect, "se": 0.1})


def written(local, path):
    """The table as `estimate` writes it."""
    for name in (*reading.LOCAL_NUMBERS, "note"):
        local = local if name in local else local.assign(**{name: "" if name == "note" else np.nan})
    tables.write_tsv(str(path), [local])
    return str(path)


def test_each_stratum_is_a_meta_analysis_of_its_loci():
    local = local_table()
    stratum = np.where(local["start"] // 100 % 2, "odd", "even")
    found = meta.aggregate_strata(local, pd.Categorical(stratum, ["odd", "even", "none"]))
    assert found["stratum"].tolist() == ["odd", "even", "none"] * 2 and found["n_loci"].tolist() == [30, 30, 0] * 2
    for level in ("odd", "even"):
        alone = meta.aggregate(local[stratum == level])
        pd.testing.assert_frame_equal(found[found["stratum"] == level].drop(columns="stratum").reset_index(drop=True),
                                      alone, check_dtype=False)
    assert found["estimate"].round(1).tolist()[:2] == [2.0, 1.0] and np.isnan(found["estimate"][2])


def test_q_between():
    """By its formula, from the strata's means; and two strata give the square of their z test."""
    found = meta.aggregate_strata(local_table(), np.where(local_table()["start"] // 100 % 2, "odd", "even"))
    tested = meta.between_strata(found)
    assert tested["n_strata"].tolist() == [2, 2] and tested["q_between_df"].tolist() == [1, 1]
    for row, (_, of_pair) in zip(tested.itertuples(), found.groupby(["exposure"], sort=False), strict=True):
        (a, b), (sa, sb) = of_pair["estimate"], of_pair["se"]
        z = (a - b) / np.hypot(sa, sb)
        assert row.q_between == pytest.approx(z ** 2, rel=1e-10)
        assert row.q_between_pvalue == pytest.approx(2 * stats.norm.sf(abs(z)), rel=1e-8)
    assert tested["q_between_pvalue"][0] < 1e-20 and tested["q_between_pvalue"][1] > 0.01


def test_one_stratum_is_no_test():
    tested = meta.between_strata(meta.aggregate_strata(local_table(), np.full(120, "all")))
    assert tested[["q_between", "q_between_df", "q_between_pvalue"]].isna().all(axis=None)


def test_no_estimate_anywhere_is_no_test():
    local = local_table().assign(estimate=np.nan, se=np.nan)
    stratum = pd.Categorical(np.where(local["start"] // 100 % 2, "odd", "even"), ["odd", "even", "none"])
    tested = meta.between_strata(meta.aggregate_strata(local, stratum))
    assert tested["n_strata"].tolist() == [0, 0] and tested["q_between"].isna().all()


def test_q_between_holds_its_level():
    """Without a difference, p < 0.05 in 5 % of 400 analyses of 3 strata, give or take 3 binomial standard errors."""
    rng = np.random.default_rng(5)
    k, n = 400, 30
    local = pd.DataFrame({"exposure": np.repeat([f"x{i}" for i in range(k)], n), "outcome": "y", "method": "ivw",
                          "estimate": 0.1 * rng.normal(size=k * n), "se": 0.1})
    found = meta.between_strata(meta.aggregate_strata(local, np.tile(["a", "b", "c"], k * n // 3), "DL"))
    assert abs((found["q_between_pvalue"] < 0.05).mean() - 0.05) < 3 * np.sqrt(0.05 * 0.95 / k)


def test_slopes_are_meta_regressions():
    local = local_table()
    value = np.linspace(0, 50, len(local)) + 7 * (local["start"] // 100 % 2)
    found = meta.regress(local, value)
    alone = meta.meta_regression(local["estimate"][::2], local["se"][::2], value[::2])
    assert found["slope"][0] == alone.estimate[1] and found["slope_se"][0] == alone.se[1]
    assert found["n_loci"].tolist() == [60, 60] and found["r2"][0] == alone.r2
    flat = meta.compare_strata(local, value=np.ones(len(local)))
    assert flat["slope"].isna().all() and flat["note"].str.contains("same in every usable study").all()


def test_bins():
    cut = strata.binned([0, 0.5, 35, 36, 1000, 1001, np.nan], strata.SPACING_BINS)
    assert list(cut.categories) == ["(0, 35]", "(35, 70]", "(70, 150]", "(150, 1000]"]
    assert cut.codes.tolist() == [-1, 0, 0, 1, 3, -1, -1]
    for bins in ([5], [1, 1], [3, 2]):
        with pytest.raises(InputError, match="growing numbers"):
            strata.binned([1], bins)


@needs_bedtools
def test_distances_are_those_of_all_pairs_of_sites(tmp_path):
    """Against a double loop over sites that lie in the locus as a whole."""
    rng = np.random.default_rng(2)
    local = local_table(20)
    sites = [("chr1", int(s), int(s) + int(rng.integers(4, 12)), rng.choice(["A", "B", "C"]))
             for s in rng.integers(0, 2000, 150)] + [("chr2", 5, 10, "A")]
    (tmp_path / "m.bed").write_text("".join("\t".join(map(str, site)) + "\n" for site in sites))
    found = strata.from_motifs(str(tmp_path / "m.bed"), local)
    expected = []
    for row in local.itertuples():
        inside = [s for s in sites if s[0] == row.chrom and s[1] >= row.start and s[2] <= row.end]
        centres = [[(s[1] + s[2]) / 2 for s in inside if s[3] == mark] for mark in (row.exposure, row.outcome)]
        expected.append(min((abs(a - b) for a in centres[0] for b in centres[1]), default=np.nan))
    assert 0 < np.isfinite(expected).sum() < len(expected)
    assert np.array_equal(found.value, expected, equal_nan=True)
    assert found.stratum.codes.tolist() == strata.binned(expected, strata.SPACING_BINS).codes.tolist()
    assert len(found.loci) == np.isfinite(expected[::2]).sum()
    assert found.note.startswith(f"{strata.N_LOCI} of 20 loci have motif instances of both marks")
    assert found.note.endswith("ignored, since they are no marks: C")


@needs_bedtools
def test_annotation(tmp_path):
    (tmp_path / "enh.bed").write_text("chr1\t149\t200\nchr1\t230\t240\nchr1\t350\t400\nchr2\t0\t50\n")
    found = strata.from_annotation(str(tmp_path / "enh.bed"), local_table(5))
    assert found.name == "enh" and found.note == "2 of 5 loci are in enh"
    assert list(found.stratum)[::2] == ["out", "in", "in", "out", "out"] == list(found.stratum)[1::2]


@needs_bedtools
def test_no_motif_in_any_locus(tmp_path):
    (tmp_path / "m.bed").write_text("chr9\t1\t9\tA\n")
    found = strata.from_motifs(str(tmp_path / "m.bed"), local_table(5))
    assert np.isnan(found.value).all() and not found.loci


def test_table_of_covariates(tmp_path):
    path = tmp_path / "c.tsv"
    path.write_text("locus\tclass\tgc\nl0\tx\t0.5\nl2\ty\tNA\nother\tx\t1\n")
    classes, gc = strata.from_table(str(path), local_table(3), bins=(0, 1))
    assert list(classes.stratum.codes) == [0, 0, -1, -1, 1, 1] and classes.value is None
    assert np.array_equal(gc.value, [0.5, 0.5, *[np.nan] * 4], equal_nan=True) and gc.name == "gc"
    assert classes.note == f"1 loci are not in {path}"
    assert strata.from_table(str(path), local_table(3))[1].stratum is None
    path.write_text("locus\texposure\tx\nl0\tA\t1\nl0\tB\t2\n")
    one, = strata.from_table(str(path), local_table(2))
    assert np.array_equal(one.value, [1, 2, np.nan, np.nan], equal_nan=True)


@pytest.mark.parametrize("text, said", [
    ("locus\tx\nl0\ta\nl0\tb\n", "line 3: l0 is named twice"), ("locus\tx\nL0\ta\n", "names no locus"),
    ("locus\nl0\n", "at least one more"), ("name\tx\nl0\t1\n", "a column locus"), ("", "not a table of covariates"),
])
def test_bad_tables_are_one_line(tmp_path, capsys, text, said):
    (tmp_path / "c.tsv").write_text(text)
    local = written(local_table(4), tmp_path / "local.tsv")
    assert main(["aggregate", local, "--strata", str(tmp_path / "c.tsv"), "-o", str(tmp_path / "global.tsv")]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1
    assert {p.name for p in tmp_path.iterdir()} == {"c.tsv", "local.tsv"}


@needs_bedtools
@pytest.mark.parametrize("options, said", [
    (["--motifs", "m.bed"], "names no mark, but 'a'; did you mean"), (["--annotate", "none.bed"], "none.bed"),
    (["--motifs", "m.bed", "--bins", "5,1"], "growing numbers"), (["--bins", "0,1"], "--bins goes with"),
])
def test_bad_options_are_one_line(tmp_path, capsys, monkeypatch, options, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.bed").write_text(f"chr1\t5\t9\t{'A' if '--bins' in options else 'a'}\n")
    local = written(local_table(4), tmp_path / "local.tsv")
    assert main(["aggregate", local, *options, "-o", "global.tsv"]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1 and not (tmp_path / "global.tsv").exists()


@needs_bedtools
@pytest.mark.parametrize("depends", [True, False])
def test_spacing_that_matters_is_recovered(tmp_path, capsys, monkeypatch, depends):
    """A hundred loci of a closed-form model: effects within bins, their difference and the trend are the true ones."""
    monkeypatch.chdir(tmp_path)
    loci, motifs, distances = loci_and_motifs(100)
    (tmp_path / "motifs.bed").write_text(motifs)
    members = [Spacing(k, depends) for k in range(5)]
    effects = mutagenesis.saturate(Ensemble(members), loci)
    written(mr.fit_pairs(effects, method="ivw", instrument_z=2.0), tmp_path / "local.tsv")
    assert main(["aggregate", "local.tsv", "--motifs", "motifs.bed", "-o", "global.tsv"]) == 0
    assert "motif_distance: 100 of 100 loci have motif instances" in capsys.readouterr().out
    within = pd.read_csv("global.strata.tsv", sep="\t").query("exposure == 'X'").set_index("stratum")
    tested = pd.read_csv("global.strata_tests.tsv", sep="\t").query("exposure == 'X'").iloc[0]
    true = effect_at(distances if depends else np.full(100, 40.0)) * np.mean([member.factor for member in members])
    cut = strata.binned(distances, strata.SPACING_BINS)
    assert within["n_loci"].tolist() == [(cut == level).sum() for level in cut.categories]
    for level in ("(0, 35]", "(35, 70]", "(70, 150]"):
        assert within.loc[level, "estimate"] == pytest.approx(true[cut == level].mean(), rel=0.005)
    if depends:
        expected = np.polyfit(distances, true, 1)[0]
        assert tested["q_between_pvalue"] < 1e-20 and tested["slope_pvalue"] < 1e-20
        assert tested["slope"] == pytest.approx(expected, rel=0.1) and tested["r2"] > 0.7
    else:
        assert tested["q_between_pvalue"] > 0.05 and tested["slope_pvalue"] > 0.05
    assert (tmp_path / "global.strata.png").read_bytes().startswith(b"\x89PNG") and (tmp_path / "global.tsv").exists()
    assert main(["plot", "spacing", "global.strata.tsv", "-o", "s1.pdf"]) == 0
