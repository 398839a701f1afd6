"""Instruments among mutants of several kinds: regions, pooled and Steiger's rules, diagnostics by kind."""

import numpy as np
import pytest
from mixed_kinds import LENGTH, REGIONS, cooperative_effects, mixed_effects, planned_loci, write_regions

from kipoi_deepmr import instruments, mr
from kipoi_deepmr.cli.local_summary import of_kinds
from kipoi_deepmr.effects_store import StoredMutants
from kipoi_deepmr.errors import InputError
from kipoi_deepmr.instruments import assign
from kipoi_deepmr.instruments.moments import moments, moments_of_kinds
from kipoi_deepmr.instruments.regions import read_regions
from kipoi_deepmr.instruments.sample import sample
from kipoi_deepmr.mr.block import Block
from kipoi_deepmr.mr.diagnostics.table import COLUMNS, RED
from kipoi_deepmr.output.natural_variants import natural_of_loci, natural_of_store
from kipoi_deepmr.output.tables import write_table


@pytest.fixture(scope="module")
def effects():
    mutated = np.ones((3, LENGTH), bool)
    mutated[0, 20:] = False  # so that some singles and a window are missing
    return mixed_effects("single,windows:4,deletions:3,regions", mutated=mutated)


@pytest.fixture(scope="module")
def regions(tmp_path_factory):
    return write_regions(tmp_path_factory.mktemp("regions"))


def slow_regions(effects):
    """Base by base: all bases of a mutant in regions of the mark, none in those of the other."""
    found = np.zeros((3, effects.sizes["variant"], 2), bool)
    for locus in range(3):
        covered = [{base for first, last, mark in REGIONS[locus] if mark == wanted for base in range(first, last)}
                   for wanted in (0, 1)]
        for variant in range(effects.sizes["variant"]):
            first, n = (int(effects[name].values[locus, variant]) for name in ("position", "length"))
            bases = set(range(first, first + n))
            for mark in (0, 1):
                found[locus, variant, mark] = bool(bases) and bases <= covered[mark] and not bases & covered[1 - mark]
    return found


@pytest.mark.parametrize("kinds", ["single,windows:4,deletions:3,regions", "single,windows:4", "windows:2:1"])
def test_regions_against_a_slow_version(kinds, regions):
    effects = mixed_effects(kinds)
    found, expected = read_regions(regions, effects, ["A", "B"]), slow_regions(effects)
    np.testing.assert_array_equal(found.of_block(slice(0, 3)), expected)
    np.testing.assert_array_equal(found.of_block([2, 0]), expected[[2, 0]])
    of_kind = StoredMutants(effects).of_kind
    assert all(expected[:, of_kind == kind].any() for kind in range(of_kind.max()))  # of deletions some lie in none
    assert found.stretches.shape[1] == (3 if "regions" in kinds else 1)


def test_a_rule_by_regions_leaves_out_mutants_that_a_locus_lacks(effects, regions):
    rule = instruments.rule_for(effects, "regions", 0.0, regions=regions)
    effect, se = effects["effect"].values, effects["effect_se"].values
    chosen = rule.mask(effect, se, slice(0, 3))
    np.testing.assert_array_equal(chosen, slow_regions(effects) & np.isfinite(effect))
    ablated = StoredMutants(effects).kind == "regions"
    assert chosen[0, ablated].tolist() == [[True, False], [False, True]]
    assert not chosen[1, ablated].any()  # these two overlap
    np.testing.assert_array_equal(rule.mask(effect[1], se[1], 1), chosen[1])


def test_moments_of_kinds_against_loops(effects):
    mean, sd = moments_of_kinds(effects)
    kind, effect = StoredMutants(effects).kind, effects["effect"].values.astype(float)
    assert mean.shape == sd.shape == (4, 2)
    for k, name in enumerate(StoredMutants(effects).kinds):
        for mark in (0, 1):
            pool = [effect[i, v, mark] for i in range(3) for v in np.flatnonzero(kind == name)
                    if effects["length"].values[i, v]]
            np.testing.assert_allclose([mean[k, mark], sd[k, mark]], [np.mean(pool), np.std(pool)], rtol=1e-12)
    only = effects.isel(variant=kind == "single")
    np.testing.assert_array_equal(moments_of_kinds(only), np.array(moments(only))[:, None])


@pytest.mark.parametrize("steiger", [False, True])
def test_each_kind_is_measured_by_its_own_moments(effects, steiger):
    rule = instruments.rule_for(effects, "pooled", 1.5, steiger=steiger)
    effect, kind = effects["effect"].values.astype(float), StoredMutants(effects).kind
    found = rule.instruments(effect, effects["effect_se"].values)
    for name in ("single", "windows", "deletions"):
        alone = instruments.rule_for(effects.isel(variant=kind == name), "pooled", 1.5, steiger=steiger)
        expected = alone.instruments(effect[:, kind == name], effects["effect_se"].values[:, kind == name])
        np.testing.assert_array_equal(found.mask[:, kind == name], expected.mask)
        if steiger:
            np.testing.assert_array_equal(found.size[:, kind == name], expected.size)
    assert found.mask[:, kind == "single"].any() and found.mask[:, kind == "windows"].any()
    if steiger:
        at = int(np.flatnonzero(kind == "windows")[1])
        np.testing.assert_array_equal(rule.size(effect[1, at], at), found.size[1, at])


def test_ablated_regions_are_measured_by_single_mutants(effects):
    rule = instruments.rule_for(effects, "pooled", 1.5)
    kind, effect = StoredMutants(effects).kind, effects["effect"].values.astype(float)
    single, ablated = effect[:, kind == "single"], effect[:, kind == "regions"]
    known = single[np.isfinite(single).all(-1)]
    with np.errstate(invalid="ignore"):
        expected = np.abs(ablated - known.mean(0)) >= 1.5 * known.std(0)
    np.testing.assert_array_equal(rule.mask(effect, None)[:, kind == "regions"], expected)
    assert expected.any()


def test_natural_variants_need_single_mutants():
    windows = mixed_effects("windows:4")
    with pytest.raises(InputError, match="needs single mutants, and here are only windows: predict with single"):
        instruments.rule_for(windows, "variants", variants=np.array([0]))
    with pytest.raises(InputError, match="needs single mutants"):
        natural_of_store("no.vcf", windows)
    for kinds, message in (("windows:4", "needs single mutants"), ("regions", "no.vcf"), ("single,pairs", "no.vcf")):
        with pytest.raises(InputError, match=message):
            natural_of_loci("no.vcf", planned_loci(kinds))


def test_a_block_of_mixed_kinds_gives_estimators_all_of_them(effects):
    block = Block.read(effects, slice(0, 3), instruments.rule_for(effects, "own", 0.0))
    np.testing.assert_array_equal(block.of_pairs(0, [1]).mask.sum(-1)[:, 0], (effects["length"].values > 0).sum(1))


def test_the_unit_of_effects_is_that_of_single_mutants(effects):
    only = effects.isel(variant=StoredMutants(effects).kind == "single")
    np.testing.assert_array_equal(moments(effects), moments(only))


@pytest.fixture(scope="module")
def cooperative():
    return {kinds: cooperative_effects(kinds) for kinds in ("single,windows:4", "windows:4", "windows:4:2")}


def test_strong_single_mutants_are_the_same_whatever_other_kinds_are_there(cooperative):
    mixed = cooperative["single,windows:4"]
    kind = StoredMutants(mixed).kind
    both, alone = (sample(each) for each in (mixed, mixed.isel(variant=kind == "single")))
    n_windows = both.effect.shape[0] - alone.effect.shape[0]
    assert n_windows > 40 and (both.sd == alone.sd).all() and both.n_mutants == alone.n_mutants
    rows = {row.tobytes() for row in both.effect}
    assert all(row.tobytes() in rows for row in alone.effect)


@pytest.mark.parametrize("kinds", ["single,windows:4", "windows:4", "windows:4:2"])
def test_who_acts_on_whom_is_found_from_windows_of_which_half_are_strong(kinds, cooperative):
    """B's windows move B by hardly 2 sd, since its sd is that of windows; without them A's would be taken for B's."""
    found = assign(cooperative[kinds])
    assert found.causes.all()
    assert found.rays.slope[0, 1] * found.sd[1] / found.sd[0] > 0.4  # A's effect on B
    assert abs(found.rays.slope[1, 0]) < 0.05


@pytest.mark.parametrize("steiger", [False, True])
def test_diagnostics_by_kind_against_loops(effects, steiger):
    rule = instruments.rule_for(effects, "own", 3.0, steiger=steiger)
    table = mr.diagnose_pairs(effects, instruments="own", instrument_z=3.0, steiger=steiger, se_shrinkage="none",
                              n_draws=0)
    effect, se = (effects[name].values.astype(float) for name in ("effect", "effect_se"))
    found, kinds = rule.instruments(effect, se), StoredMutants(effects)
    size = np.abs(effect) / np.sqrt(np.nanmean(effect ** 2, axis=1, keepdims=True))
    for row, (locus, x, y) in zip(table.itertuples(), [(i, x, 1 - x) for i in range(3) for x in (0, 1)], strict=True):
        for kind in kinds.kinds:
            chosen = [v for v in np.flatnonzero(kinds.kind == kind) if found.of_pairs(x, y)[locus, v]]
            numbers = 2 * [np.nan] if not chosen else [
                np.mean([(effect[locus, v, x] / se[locus, v, x]) ** 2 for v in chosen]),
                np.mean([size[locus, v, y] > 1.1 * size[locus, v, x] for v in chosen])]
            assert getattr(row, f"n_instruments_{kind}") == len(chosen)
            np.testing.assert_allclose([getattr(row, f"{name}_{kind}") for name in ("f_statistic", "shared_share")],
                                       numbers, rtol=1e-10)
    of_kinds = [name for name in table.columns if name.startswith("n_instruments_")]
    assert (table[of_kinds].sum(axis=1) == table["n_instruments"]).all() and (table[of_kinds].sum() > 0).all()
    assert table.columns[-2:].tolist() == ["red", "note"]


def test_diagnostics_by_pair_are_means_over_all_instruments(effects):
    table = mr.diagnose_pairs(effects, instruments="own", instrument_z=3.0, n_draws=0)
    pieces = [mr.count_red(piece) for _, piece in table.groupby("locus", sort=False)]
    shares = mr.share_of_red(pieces).set_index(["exposure", "outcome"])
    for pair, rows in table.groupby(["exposure", "outcome"], sort=False):
        for kind in StoredMutants(effects).kinds:
            n = rows[f"n_instruments_{kind}"]
            np.testing.assert_allclose(shares.loc[pair, f"n_instruments_{kind}"], n.mean(), rtol=1e-12)
            for name in (f"f_statistic_{kind}", f"shared_share_{kind}"):
                np.testing.assert_allclose(shares.loc[pair, name], (rows[name] * n).sum() / n.sum(), rtol=1e-12)


def test_tables_of_single_mutants_have_no_columns_by_kind(effects):
    table = mr.diagnose_pairs(effects.isel(variant=StoredMutants(effects).kind == "single"), n_draws=0)
    assert table.columns[-len(COLUMNS):].tolist() == list(COLUMNS)
    assert mr.share_of_red([mr.count_red(table)]).columns.tolist() == ["exposure", "outcome", "n_loci", *RED]


def test_what_is_printed_of_kinds(effects, tmp_path):
    table = mr.diagnose_pairs(effects, instruments="own", instrument_z=3.0, n_draws=0)
    shares = mr.share_of_red([mr.count_red(table)])
    path = tmp_path / "diagnostics_by_pair.tsv"
    write_table(str(path), [shares])
    head, rows = (lambda part: (part.head, part.rows))(of_kinds(str(path)))
    assert head[0] == "instruments by kind of mutants, of 2 pairs:"
    single = shares.iloc[0]
    assert rows[0].split() == ["A", "B", "single", f"{single['n_instruments_single']:.3g}",
                               f"{single['f_statistic_single']:.3g}", f"{single['shared_share_single']:.2f}"]
    assert [row.split()[2] for row in rows] == 2 * StoredMutants(effects).kinds
    write_table(str(path), [shares[["exposure", "outcome", "n_loci", *RED]]])
    assert of_kinds(str(path)) is None and of_kinds(str(tmp_path / "none.tsv")) is None


def test_the_trend_of_standard_errors_is_that_of_single_mutants(effects):
    single = StoredMutants(effects).kind == "single"
    found, alone = (instruments.moderation_for(each, trend=True) for each in (effects, effects.isel(variant=single)))
    np.testing.assert_array_equal(found.trend.slope, alone.trend.slope)
    np.testing.assert_array_equal(found.prior_df, alone.prior_df)
    view = instruments.moderated(effects, trend=True)["effect_se"].values
    np.testing.assert_array_equal(view[:, single], found.moderated(*(
        effects[name].values[:, single] for name in ("effect_se", "effect"))))


@pytest.mark.parametrize("moderated", [False, True])
def test_the_rule_direct_says_the_same_of_a_mutant_alone(cooperative, moderated):
    effects = cooperative["single,windows:4"]
    effects = instruments.moderated(effects, trend=True) if moderated else effects
    rule = instruments.rule_for(effects, "direct", 1.0)
    effect, se = (effects[name].values.astype(float) for name in ("effect", "effect_se"))
    mask, kind = rule.mask(effect, se, slice(0, 40)), StoredMutants(effects).kind
    acts = rule.acts(effect[3], se[3], 3)
    for variant in (30, 125, 128):
        one = slice(variant, variant + 1)
        assert [each[0] for each in rule.acts(effect[3, one], se[3, one], 3)] == [each[variant] for each in acts]
    np.testing.assert_array_equal(rule.mask(effect[3], se[3], 3), mask[3])
    at_a, at_b = [4], [16, 28]
    windows, first = kind == "windows", effects["position"].values[0]
    for places, mark in ((at_a, 0), (at_b, 1)):
        inside = windows & np.isin(first, [place + step for place in places for step in (0, 4)])
        assert mask[:, inside, mark].mean() > 0.8 and not mask[:, inside, 1 - mark].any()
