"""Instrument rules, and fits over all loci and pairs, against loops."""

import numpy as np
import pandas as pd
import pytest
from finished_runs import effects_of
from hypothesis import given
from hypothesis import strategies as st
from mr_problems import MARKS, made_data, made_loci
from profiles import fewer

from kipoi_deepmr import effects_store, instruments, mr
from kipoi_deepmr.effects_store import blocks
from kipoi_deepmr.errors import InputError
from kipoi_deepmr.mr import pairs
from kipoi_deepmr.mr.block import Block
from kipoi_deepmr.mr.estimators.closed_form import has_closed_form
from kipoi_deepmr.mr.fit import bind

PAPER = {"preset": "paper"}  # which needs no member's effects
COLUMNS = ["chrom", "start", "end", "strand", "locus", "exposure", "outcome", "method", "n_instruments", "estimate",
           "se", "ci_low", "ci_high", "pvalue", "intercept", "intercept_se", "intercept_pvalue", "q", "q_pvalue",
           "i2", "i2_gx", "f_statistic", "phi", "tau2", "note"]


@pytest.fixture(scope="module")
def effects():
    return effects_store.dataset(made_loci(7, 20), MARKS, ["m1", "m2"], made_data(7, 20, 3))


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 8 * 60 * 3 * 2)  # two loci


def test_pooled_rule_against_loops(effects, small_blocks):
    rule = instruments.rule_for(effects, "pooled", 2.0)
    effect = effects["effect"].values.astype(float)
    ours = rule.mask(effect, effects["effect_se"].values)
    for t in range(3):
        pool = [effect[i, v, t] for i in range(7) for v in range(60)]
        np.testing.assert_allclose([rule.mean[t], rule.sd[t]], [np.mean(pool), np.std(pool)], rtol=1e-12)
        for i in range(7):
            for v in range(60):
                z = abs(effect[i, v, t] - np.mean(pool)) / np.std(pool)
                assert ours[i, v, t] == (z >= 2.0)
    assert ours.any() and not ours.all() and not ours[-1].any()


def test_pooled_rule_does_not_cancel(small_blocks):
    """Effects far from 0: the sum of squares minus the squared sum would leave 4 digits."""
    data = made_data(7, 20, 3)
    data["effect"] = data["effect"].astype(float) + 1e6
    effects = effects_store.dataset(made_loci(7, 20), MARKS, ["m1", "m2"], data)
    rule = instruments.rule_for(effects)
    np.testing.assert_allclose(rule.sd, data["effect"].std((0, 1)), rtol=1e-10)
    np.testing.assert_allclose(rule.mean, data["effect"].mean((0, 1)), rtol=1e-12)


def test_own_rule():
    effect = np.array([[3.0], [-3.0], [2.9], [0.0], [5.0], [5.0], [5.0]])
    effect_se = np.array([[1.0], [1.0], [1.0], [0.0], [0.0], [np.nan], [np.inf]])
    rule = instruments.InstrumentRule("own", 3.0)
    assert rule.mask(effect, effect_se)[:, 0].tolist() == [True, True, False, False, False, False, False]
    assert not instruments.InstrumentRule("own", 0.0).mask(effect, effect_se)[3:].any()


def test_a_mark_that_does_not_vary_has_no_instruments():
    rule = instruments.InstrumentRule("pooled", 3.0, np.zeros(2), np.array([0.0, 1.0]))
    assert rule.mask(np.array([[0.0, 0.0], [1.0, 4.0]]), np.ones((2, 2))).tolist() == [[False, False], [False, True]]


def test_rules_that_cannot_be(effects):
    with pytest.raises(InputError, match='did you mean "pooled"'):
        instruments.rule_for(effects, "poold")
    for z in (-1.0, np.nan, np.inf):
        with pytest.raises(InputError, match="z must be a number"):
            instruments.rule_for(effects, "pooled", z)
    with pytest.raises(InputError, match="for 2 marks, the effects have 3"):
        next(mr.iter_pairs(effects, PAPER, rule=instruments.InstrumentRule("pooled", 3.0, np.zeros(2), np.ones(2))))
    broken = effects.copy(deep=True)
    broken["effect"][3, 4, 1] = np.nan
    with pytest.raises(InputError, match="effects on Sox2 are not finite"):
        instruments.rule_for(broken)


def looped(effects, exposures, outcomes, methods, rule, options):
    """The table of `fit_pairs` by loops over `fit`."""
    effect, effect_se = (effects[name].values.astype(float) for name in ("effect", "effect_se"))
    mask, rows = rule.mask(effect, effect_se), []
    for i in range(len(effect)):
        for exposure in exposures:
            for outcome in outcomes:
                for method in methods if exposure != outcome else ():
                    x, y = MARKS.index(exposure), MARKS.index(outcome)
                    chosen = mask[i, :, x]
                    r = mr.fit(effect[i, chosen, x], effect_se[i, chosen, x], effect[i, chosen, y],
                               effect_se[i, chosen, y], method=method, **options[method])
                    place = [effects[name].values[i] for name in ("chrom", "start", "end", "strand", "name")]
                    rows.append([*place, exposure, outcome, method, *(getattr(r, c) for c in COLUMNS[8:])])
    return pd.DataFrame(rows, columns=COLUMNS)


@pytest.mark.parametrize("rule,z", [("pooled", 2.0), ("own", 3.0), ("pooled", 0.0), ("pooled", 50.0)])
@pytest.mark.parametrize("exposures,outcomes", [(None, None), (["Nanog", "Oct4"], ["Sox2", "Oct4"]), ("Sox2", None)])
def test_fit_pairs_against_loops(effects, small_blocks, rule, z, exposures, outcomes):
    methods = ["ivw", "egger", "wald_mean"]
    ours = mr.fit_pairs(effects, exposures, outcomes, methods, rule, z, alpha=0.1, weights="delta", distribution="t")
    assert list(ours.columns) == COLUMNS
    options = {"ivw": {"alpha": 0.1, "weights": "delta"}, "egger": {"alpha": 0.1, "distribution": "t"},
               "wald_mean": {"alpha": 0.1}}
    expected = looped(effects, ["Sox2"] if exposures == "Sox2" else exposures or MARKS, outcomes or MARKS, methods,
                      instruments.rule_for(effects, rule, z), options)
    pd.testing.assert_frame_equal(ours, expected, rtol=1e-10, check_dtype=False)
    assert ours["n_instruments"].dtype == np.int64 and ours["start"].dtype == np.int64


def test_a_pair_without_instruments_is_a_row_with_a_reason(effects):
    table = mr.fit_pairs(effects, instrument_z=2.0)
    last = table[table["locus"] == "peak6"]
    assert len(last) == 6 and (last["note"] == "0 instruments, needs 3").all() and last["estimate"].isna().all()
    assert (last["n_instruments"] == 0).all()
    fine = table[table["note"] == ""]
    assert len(fine) and fine["estimate"].notna().all()


def test_tables_come_block_by_block(effects, small_blocks):
    rule = instruments.rule_for(effects, z=2.0)
    tables = list(mr.iter_pairs(effects, {**PAPER, "method": "ivw", "min_instruments": 1}, rule))
    assert [len(t) for t in tables] == [12, 12, 12, 6]
    whole = mr.fit_pairs(effects, method="ivw", instrument_z=2.0)
    pd.testing.assert_frame_equal(pd.concat(tables, ignore_index=True), whole)


def test_a_store_on_disk_gives_the_same_table(effects, small_blocks, tmp_path):
    loci, data = made_loci(7, 20), made_data(7, 20, 3)
    writer = effects_store.Writer(str(tmp_path / "effects.zarr"), loci, MARKS, ["m1", "m2"], {}, keep_members=False)
    for block in writer.blocks():
        writer.write(block, {name: values[block] for name, values in data.items()})
    writer.close()
    opened = effects_store.open_effects(str(tmp_path / "effects.zarr"))
    methods = ["ivw", "egger", "wald_mean", "divw"]
    pd.testing.assert_frame_equal(mr.fit_pairs(opened, method=methods, instrument_z=2.0),
                                  mr.fit_pairs(effects, method=methods, instrument_z=2.0))


class Watched:
    """A Dataset that counts the loci taken at once, and refuses to give a variable whole."""

    def __init__(self, effects):
        self._effects, self.sizes, self.attrs, self.largest = effects, effects.sizes, effects.attrs, 0
        self.coords = effects.coords

    def __contains__(self, name):
        return name in self._effects

    def __getitem__(self, name):
        variable = self._effects[name]
        if name not in ("effect", "effect_se"):
            return variable
        watched = self

        class Sliced:
            attrs = variable.attrs

            def __getitem__(self, block):
                watched.largest = max(watched.largest, block.stop - block.start)
                return variable[block]

        return Sliced()


def test_effects_are_never_read_whole(effects, small_blocks):
    watched = Watched(effects)
    pd.testing.assert_frame_equal(mr.fit_pairs(watched), mr.fit_pairs(effects))
    assert watched.largest == 2


@pytest.mark.parametrize("arguments,message", [
    ({"exposures": ["Oct5"]}, 'unknown exposure \'Oct5\'; did you mean "Oct4"'),
    ({"outcomes": ["Sox2", "nanog"]}, 'unknown outcome \'nanog\'; did you mean "Nanog"'),
    ({"method": "iwv"}, 'method: \'iwv\' is not known; did you mean "ivw"'),
    ({"method": ["ivw", "ivw"]}, "'ivw' is named twice"),
    ({"method": []}, "is an empty list"),
    ({"exposures": ["Sox2"], "outcomes": ["Sox2"]}, "no pair of two different marks: Sox2"),
    ({"exposures": ["Sox2", "Sox2"]}, "named twice"),
    ({"instruments": "ownn"}, 'did you mean "own"'),
    ({"method": "egger", "model": "fixed"}, "no option 'model' for egger"),
    ({"method": ["egger", "ivw"], "modle": "fixed"}, 'did you mean "model"'),
    ({"method": "ivw", "model": "fixd"}, 'did you mean "fixed"'),
    ({"alpha": 2.0}, "alpha must be between 0 and 1"),
])
def test_bad_arguments_are_refused_before_the_effects_are_read(effects, arguments, message):
    watched = Watched(effects)
    with pytest.raises(InputError, match=message):
        mr.fit_pairs(watched, **arguments)
    assert watched.largest == 0


def test_iter_pairs_refuses_in_the_call_itself(effects):
    with pytest.raises(InputError, match="unknown exposure"):
        mr.iter_pairs(effects, {"exposures": ["x"]})


@pytest.fixture
def compiled(monkeypatch):
    """Compiled loops even for few fits, and nothing else: the estimators themselves must not be asked."""
    monkeypatch.setattr(pairs, "COMPILED_FROM", 1)
    monkeypatch.setattr(Block, "of_pairs", None)


SPECIAL = [0.0, -0.0, 1e-300, 1e300, np.nan, np.inf, -np.inf, -1.0]


@pytest.mark.parametrize("options", [
    {"ivw": {}, "egger": {}, "wald_mean": {}},
    {"ivw_additive": {}, "egger_additive": {}},
    {"ivw_additive": {"alpha": 0.2}, "egger_additive": {"distribution": "t", "alpha": 0.2}},
    {"ivw": {"model": "fixed", "alpha": 0.2}, "egger": {"distribution": "t", "alpha": 0.2},
     "wald_mean": {"alpha": 0.2}},
    {"ivw": {"model": "random"}},
])
@pytest.mark.parametrize("share", [0.0, 0.002, 0.02])
def test_compiled_fits_of_all_pairs_against_loops(share, options, compiled):
    """Numbers that no weight may be made of, among the others: same estimates, and the same reasons for none."""
    data, rng = made_data(7, 20, 3, seed=4), np.random.default_rng(5)
    for name in ("effect", "effect_se"):
        data[name] = data[name].astype(float)
        spoilt = rng.random(data[name].shape) < share
        data[name][spoilt] = rng.choice(SPECIAL, spoilt.sum())
    effects = effects_store.dataset(made_loci(7, 20), MARKS, ["m1", "m2"], data)
    methods, given = list(options), {k: v for each in options.values() for k, v in each.items()}
    ours = mr.fit_pairs(effects, method=methods, instruments="own", instrument_z=4.0, **given)
    with np.errstate(all="ignore"):
        expected = looped(effects, MARKS, MARKS, methods, instruments.rule_for(effects, "own", 4.0), options)
    pd.testing.assert_frame_equal(ours, expected, rtol=1e-9, check_dtype=False)
    assert ours["note"].nunique() > (3 if share else 1) and (ours["note"] == "").sum() >= 5


def test_options_beyond_the_closed_form_are_fitted_one_by_one():
    assert [has_closed_form(e) for e in (
        *bind(["ivw"], {"weights": "delta"}), *bind(["ivw"], {"weights": "simple"}), *bind(["egger_robust"], {}))
            ] == [False, True, False]


def test_pairs_do_not_depend_on_what_else_is_fitted(effects, compiled):
    """One pair alone, some, and all give the same bits."""
    methods = ["egger", "egger_additive"]
    whole = mr.fit_pairs(effects, method=methods, instrument_z=2.0)
    for exposures, outcomes in ((["Sox2"], ["Nanog"]), (["Nanog", "Sox2"], ["Oct4", "Sox2"])):
        part = mr.fit_pairs(effects, exposures, outcomes, methods, instrument_z=2.0)
        key = ["locus", "exposure", "outcome", "method"]
        pd.testing.assert_frame_equal(part, part[key].merge(whole, on=key)[part.columns], check_exact=True)


@pytest.fixture(scope="module")
def compiled_for_all():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pairs, "COMPILED_FROM", 1)
        yield


@given(seed=st.integers(0, 10**6), factor=st.sampled_from([1e-3, 0.5, -1.0, 1e5]))
@fewer(10)
def test_scaling_an_outcome_scales_its_estimates(compiled_for_all, seed, factor):
    data = made_data(3, 20, 3, seed)
    plain = effects_store.dataset(made_loci(3, 20), MARKS, ["m1", "m2"], data)
    other = plain.copy(deep=True)
    for name in ("effect", "effect_se"):
        other[name] = other[name].astype(float)
    other["effect"][..., 1] *= factor
    other["effect_se"][..., 1] *= abs(factor)
    before, after = (mr.fit_pairs(e, "Oct4", "Sox2", ["ivw", "egger", "wald_mean"], "own", 3.0) for e in (plain, other))
    for name, scale in (("estimate", factor), ("se", abs(factor)), ("intercept", factor), ("pvalue", 1), ("q", 1),
                        ("i2_gx", 1), ("f_statistic", 1)):
        np.testing.assert_allclose(after[name], before[name] * scale, rtol=1e-6, atol=1e-9 * abs(scale))


@pytest.mark.parametrize("uncertainty", ["instrument", "cross_fitted"])
def test_pairs_with_too_few_instruments_have_no_estimate(uncertainty):
    effects = effects_of(["A", "B", "C"], n_members=4)
    chosen = {"method": ["ivw", "egger"], "instruments": "pooled", "uncertainty": uncertainty}
    plain, least = (pd.concat(mr.iter_pairs(effects, {**chosen, "min_instruments": n},
                                            instruments.rule_for(effects, z=1.5))) for n in (1, 12))
    few = plain["n_instruments"] < 12
    assert 0.1 < few.mean() < 0.9
    assert least.loc[few, "estimate"].isna().all() and least.loc[few, "ci_low"].isna().all()
    own = [name for name in least if name.startswith("estimate_")]
    assert bool(own) == (uncertainty == "cross_fitted") and least.loc[few, own].isna().all(axis=None)
    told = plain.loc[few & (plain["note"] == ""), "n_instruments"]
    assert (least.loc[told.index, "note"] == [f"{n} instrument{'s' * (n != 1)}, needs 12" for n in told]).all()
    if uncertainty == "instrument":  # else the spread of a locus is drawn towards that of others
        pd.testing.assert_frame_equal(plain[~few], least[~few])
    np.testing.assert_array_equal(plain.loc[~few, "estimate"], least.loc[~few, "estimate"])
