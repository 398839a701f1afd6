"""Only some positions mutated: which, and that all that follows sees the other mutants as missing."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from mr_problems import effects_with_members

from kipoi_deepmr import loci, mr, network
from kipoi_deepmr.errors import InputError
from kipoi_deepmr.loci import BedSource, Genome, Mutated, read_bed, select

FIRST, LAST = 5, 17  # of 20 positions


@pytest.fixture
def source(genome_file, tmp_path):
    """Loci of 12 bases, one on each strand at [20, 32), one at [60, 72)."""
    (tmp_path / "x.bed").write_text("chr1\t20\t32\ta\t0\t+\nchr1\t20\t32\tb\t0\t-\nchr1\t60\t72\tc\t0\t+\n")
    path = str(tmp_path / "x.bed")
    with Genome(genome_file) as genome:
        yield BedSource(read_bed(path), genome, 12, path)


def test_positions_of_a_range_are_those_that_the_model_sees(source):
    chosen = select(source, mutated=Mutated("2:5")).loci
    assert [chosen.positions_of(k).tolist() for k in range(3)] == [[2, 3, 4]] * 3
    assert select(source, mutated=Mutated("0:12")).loci.positions_of(1) is None
    for text in ("5:5", "6:2", "3:13"):
        with pytest.raises(InputError, match=f"--mutate {text}: a locus has 12 positions"):
            select(source, mutated=Mutated(text))


def test_positions_of_a_bed_file_are_those_of_the_genome(source, tmp_path):
    rows = [(21, 23), (0, 21), (22, 24), (31, 40), (32, 60), (100, 200)]  # slow: base by base
    (tmp_path / "m.bed").write_text("".join(f"chr1\t{start}\t{end}\n" for start, end in rows) + "chr2\t60\t70\n")
    selection = select(source, mutated=Mutated(str(tmp_path / "m.bed")))
    inside = [any(start <= base < end for start, end in rows) for base in range(20, 32)]
    assert selection.loci.mutated.tolist() == [inside, inside[::-1]]
    assert selection.dropped == {loci.NOT_MUTATED: ["c"]}
    (tmp_path / "m.bed").write_text("chr9\t1\t2\n")
    with pytest.raises(InputError, match="none of the 3 loci can be used: 3 none of its positions is to be mutated"):
        select(source, mutated=Mutated(str(tmp_path / "m.bed")))


@pytest.fixture(scope="module")
def both():
    """Effects of which some positions are missing, and those without them, as if there were no others."""
    whole = effects_with_members(n_loci=8)
    few = whole.isel(variant=slice(3 * FIRST, 3 * LAST))
    inside = xr.DataArray(np.isin(np.arange(60), np.arange(3 * FIRST, 3 * LAST)), dims="variant")
    missing = whole.assign({name: whole[name].where(inside).transpose(*whole[name].dims)
                            for name in ("effect", "effect_se", "member_effect")})
    return missing, few


OPTIONS = [{"instruments": rule, "se_shrinkage": shrinkage, "uncertainty": uncertainty, "steiger": steiger}
           for rule, shrinkage, uncertainty, steiger in [
               ("own", "none", "instrument", False), ("own", "moderated", "members", False),
               ("pooled", "none", "instrument", True), ("direct", "trend", "ensemble", False),
               ("own", "trend", "cross_fitted", False)]]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: "-".join(map(str, o.values())))
def test_missing_mutants_are_as_if_they_were_not_there(both, options):
    """Neither lost nor effects of 0; sums over more places may differ in the last digits."""
    methods = ["ivw", "egger", "median_weighted", "raps"]
    found = [mr.fit_pairs(effects, method=methods, instrument_z=1.0, **options) for effects in both]
    assert found[1]["estimate"].notna().sum() > 50
    pd.testing.assert_frame_equal(*found, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("rule", ["own", "direct"])
def test_diagnostics_of_missing_mutants(both, rule):
    found = [mr.diagnose_pairs(effects, instruments=rule, instrument_z=1.0, n_draws=20) for effects in both]
    assert found[1]["steiger_pvalue"].notna().any()
    pd.testing.assert_frame_equal(*found, rtol=1e-6, atol=1e-9)


def test_the_network_of_missing_mutants(both):
    missing, few = (network.fit(effects) for effects in both)
    pd.testing.assert_frame_equal(missing.direct, few.direct, rtol=1e-6, atol=1e-9)
    pd.testing.assert_frame_equal(missing.marks, few.marks)
