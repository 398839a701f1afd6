"""A run with direct instruments: the VCF, the report and `annotate` say on which mark each mutant acts."""

import numpy as np
import pandas as pd
import pysam
import pytest
from finished_runs import effects_of
from vcf_files import info, line, records, snvs, write

from kipoi_deepmr import instruments, pipeline
from kipoi_deepmr.runs.finished import FinishedRun
from kipoi_deepmr.runs.folder import RunFolder

MARKS, COMPLEMENT = ["A", "B"], dict(zip("ACGT", "TGCA", strict=True))
OPTIONS = {"method": ["egger"], "instruments": "direct", "instrument_z": 1.0, "se_shrinkage": "trend",
           "uncertainty": "ensemble"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Folder and effects: B follows A by 0.5; half of the mutants act on A, half on B, some on both."""
    folder = tmp_path_factory.mktemp("direct") / "OUT"
    folder.mkdir()
    effects = effects_of(MARKS, n_loci=12, n_members=5)
    rng, shape = np.random.default_rng(3), (12, 90)
    acts = np.exp(rng.normal(size=(*shape, 2))) * (rng.random((*shape, 1)) < 0.7)
    acts[:, :45, 1], acts[:, 50:, 0] = 0.0, 0.0
    members = acts[:, None] * (1 + 0.05 * rng.normal(size=(12, 5, 90, 2))) + 0.01 * rng.normal(size=(12, 5, 90, 2))
    members[..., 1] += 0.5 * members[..., 0]
    for name, values in (("member_effect", members), ("effect", members.mean(1)),
                         ("effect_se", members.std(1, ddof=1))):
        effects[name] = effects[name].dims, values.astype(np.float32), effects[name].attrs
    contig = np.full(1200, "A")
    for locus in range(12):
        letters = effects["ref_base"][locus].values[::3]
        forward = letters if effects["strand"][locus] == "+" else [COMPLEMENT[x] for x in letters[::-1]]
        contig[100 * locus:100 * locus + 30] = forward
    fasta = folder.parent / "genome.fa"
    fasta.write_text(">chr1\n" + "".join(contig) + "\n")
    effects.to_zarr(str(folder / "effects.zarr"), zarr_format=2)
    predicted = {"models": ["abc"], "marks": MARKS, "loci": 12}
    made = RunFolder(str(folder), {**predicted, **OPTIONS}, predicted, made=True)
    pipeline.estimate(made.file("effects.zarr"), made.target("estimate"), vcf="all", fasta_file=str(fasta), **OPTIONS)
    pipeline.aggregate(made.file("local.tsv"), made.target("aggregate"))
    made.finish({"command": ["run"], "dropped": {}, "versions": {}}, "2026-01-01T00:00:00+00:00")
    return folder, effects


def test_the_vcf_says_on_which_mark_a_mutant_acts(run):
    folder, effects = run
    view = instruments.moderated(effects, trend=True)
    rule = instruments.rule_for(view, "direct", 1.0)
    arrays = effects["effect"].values, view["effect_se"].values
    expected, mask = {}, rule.mask(*arrays, slice(0, 12))
    for locus in range(12):
        acts = rule.acts(arrays[0][locus], arrays[1][locus], locus)
        for variant in range(90):
            on = MARKS[acts.acts_on[variant]] if acts.acts_on[variant] >= 0 else None
            clean = bool(acts.clean[variant])
            pairs = tuple(f"{x}>{y}" for i, (x, y) in enumerate((("A", "B"), ("B", "A"))) if mask[locus, variant, i])
            expected[locus, variant] = on, clean, pairs
    with pysam.VariantFile(str(folder / "instruments.vcf.gz")) as file:
        found = list(file)
    assert len(found) == 12 * 90
    for record in found:
        locus = int(record.info["LOCUS"].removeprefix("locus"))
        minus = effects["strand"].values[locus] == "-"
        offset = record.pos - 1 - 100 * locus
        alt = COMPLEMENT[record.alts[0]] if minus else record.alts[0]
        variant, = np.flatnonzero((effects["position"].values == (29 - offset if minus else offset))
                                  & (effects["alt_base"].values[locus] == alt))
        on, clean, pairs = expected[locus, variant]
        assert record.info.get("ACTS_ON") == on and record.info["PLEIOTROPIC"] == (on is not None and not clean)
        assert record.info.get("PAIRS", ()) == pairs and not (pairs and not clean)
    kinds = [(on, clean) for on, clean, _ in expected.values()]
    assert all(kinds.count(kind) > 10 for kind in (("A", True), ("B", True), (None, False)))


def test_annotate_says_it_too(run, tmp_path):
    folder, effects = run
    path = write(tmp_path / "in.vcf", [line(*v) for v in snvs(effects, 2)])
    pipeline.annotate(str(folder), path, str(tmp_path / "out.vcf"))
    finished = FinishedRun(str(folder))
    effect, se, _ = finished.effects_at(2)
    acts = finished.rule.acts(effect, se, 2)
    counts = pd.Series(acts.acts_on).map({-1: ".", 0: "A", 1: "B"}).value_counts()
    found = pd.Series([info(columns)["ACTS_ON"][0] for columns in records(tmp_path / "out.vcf")]).value_counts()
    assert found.to_dict() == counts.to_dict() and len(found) == 3


def test_both_directions_are_told_apart(run):
    table = pd.read_csv(run[0] / "global.tsv", sep="\t").set_index("exposure")
    assert abs(table.loc["A", "estimate"] - 0.5) < 0.05 and table.loc["A", "pvalue"] < 1e-3
    assert abs(table.loc["B", "estimate"]) < 0.05
