"""What stages take is said before they begin, from the real numbers, and refused where it does not fit."""

import re
import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest
from wide_case import make_store

from kipoi_deepmr import effects_store, mr, pipeline
from kipoi_deepmr.errors import InputError
from kipoi_deepmr.instruments import answers, rule_for, rules
from kipoi_deepmr.mr import wide
from kipoi_deepmr.options import EstimateOptions
from kipoi_deepmr.pipeline import announcement, seconds, sizes, timed
from kipoi_deepmr.pipeline.sampled import Sampled, sampled

METHODS = ("ivw", "egger")
EVERY = Sampled(share=1.0, of_pairs=1.0, causes=1.0, crowded=0.0, of_mutants=1.0, served=15.0)
RATES = timed.Rates(**dict.fromkeys(timed.Rates._fields, 1e-6))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return make_store(tmp_path_factory.mktemp("announced"), n_marks=60, n_loci=20, length=20)


@pytest.fixture(scope="module")
def estimated(store, tmp_path_factory):
    path = tmp_path_factory.mktemp("estimated") / "local.tsv"
    pipeline.estimate(store, str(path), method="ivw", tables="none", vcf="none")
    return str(path)


def test_sizes_are_said_and_what_cannot_be_held_is_refused(tmp_path):
    options = EstimateOptions(method=METHODS, tables="effects", vcf="none")
    marks, shape = [f"m{i}" for i in range(5000)], {"locus": 50, "member": 5, "variant": 300, "mark": 5000}
    few, found = (sizes.sizes_of(options, marks, shape, known=known, rates=RATES) for known in (None, EVERY))
    assert found.files["local.zarr"] / 20 < few.files["local.zarr"] < found.files["local.zarr"] / 12  # 300 mutants
    assert found.counts[1:4] == (5000 * 4999, 50 * 2 * 5000 * 4999, 2 * 5 * 50 * 2 * 5000 * 4999)
    assert 0.7 < found.files["local.zarr"] / (50 * 2 * 5000 ** 2 * (4 + 4 + 4 + 2 + 2 + 5 * 4)) < 1  # compressed
    assert "24,995,000 pairs" in found.text and f"local.zarr {found.files['local.zarr'] / 1e9:.1f} GB" in found.text
    assert re.search(r"\ntime after the predictions, about: network \d.*, estimate \d.*, aggregate \d.*, report \d"
                     r".* \(of one processor", found.text)
    with pytest.raises(InputError, match="GB of disk .*are free; take fewer pairs .--exposures, --outcomes"):
        sizes.check_sizes(found._replace(files={"local.zarr": 10 ** 18}), str(tmp_path / "OUT" / "x"))
    huge = {**found.memory, "network": 10 ** 15}
    with pytest.raises(InputError, match="of memory .network most of it., and this machine has .*; run without the "
                                         "network .--network none., take fewer pairs"):
        sizes.check_sizes(found._replace(files={}, memory=huge), str(tmp_path))
    without = sizes.sizes_of(options.replace(method="ivw"), marks, shape, ("estimate", "aggregate", "report"),
                             known=EVERY, rates=RATES)
    assert without.most_memory < found.most_memory and "network" not in without.seconds.of_stage
    for loci in (50, 5000):
        assert sizes.memory_of_network({**shape, "locus": loci}) < 4e9  # however many marks have mutants of their own


@pytest.mark.parametrize("n_marks, n_loci, length", [(1500, 6, 10), (300, 40, 25)])
def test_the_memory_of_a_network_is_that_of_pairs_whose_exposure_has_mutants_of_its_own(n_marks, n_loci, length,
                                                                                        tmp_path):
    """Of 1,500 marks none has, of 300 half; a single array of numbers of 1,500 x 1,500 takes more than is kept."""
    effects = effects_store.open_effects(make_store(tmp_path, n_marks, n_loci, length))
    pipeline.judge(effects.isel(mark=slice(50)))  # compiles loops
    tracemalloc.start()
    try:
        found = pipeline.judge(effects).network
        assert len(found.judgement.code) == n_marks * (n_marks - 1)
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    causes = found.instruments.causes.mean()
    said, beside = (of(effects.sizes, causes) - sizes.NETWORK for of in (sizes.memory_of_network, sizes.memory_beside))
    assert 0.5 * said < peak < 1.4 * said and 0.5 * beside < kept < 1.2 * beside


@pytest.mark.parametrize("rule, loci", [("own", 20), ("direct", 20), ("direct", 6)])
def test_bytes_that_are_announced_are_those_that_are_used(tmp_path_factory, tmp_path, rule, loci):
    """Within 20 %, whether there are estimates of all pairs or of hardly any."""
    folder = tmp_path_factory.getbasetemp() / f"announced{loci}"
    if not folder.exists():
        folder.mkdir()
        make_store(folder, n_marks=60, n_loci=loci, length=20)
    store, options = str(folder / "effects.zarr"), EstimateOptions(method="ivw", instruments=rule, tables="none",
                                                                   vcf="none")
    effects = effects_store.open_effects(store)
    said = sizes.sizes_of(options, effects["mark"].values.tolist(), effects.sizes, known=sampled(effects, options))
    pipeline.estimate(store, str(tmp_path / "local.tsv"), options)
    used = sum(path.stat().st_size for path in (tmp_path / "local.estimates.zarr").glob("[demnrs]*/*.*.*.*"))
    assert abs(said.files["local.zarr"] - used) < 0.2 * used


@pytest.mark.parametrize("compiled, method", [(True, "ivw"), (False, "ivw"), (False, "median_simple")])
def test_steps_that_are_timed_are_those_of_the_stage(store, tmp_path, monkeypatch, compiled, method):
    """By a clock that stands still but for the steps of a trial and of the whole estimation, where a fit takes as long
    as another, and a step's first call far longer: what is announced is what the whole took."""
    monkeypatch.setattr(mr.pairs, "COMPILED_FROM", 0 if compiled else 10 ** 9)
    monkeypatch.setattr(timed, "COMPILED_FROM", 0 if compiled else 10 ** 9)
    now, loaded = 0.0, set()

    def clocked(name, plan_of, block_of):
        function = getattr(wide, name)

        def call(*arguments):
            nonlocal now
            block = block_of(arguments)
            now += 1e-4 * sum(map(len, plan_of(arguments).pairs.values())) * (block.stop - block.start)
            now += 100 * (name not in loaded)
            loaded.add(name)
            return function(*arguments)
        monkeypatch.setattr(wide, name, call)

    clocked("_spreads_of_views", lambda given: given[3], lambda given: given[2])
    clocked("_fill_part", lambda given: given[5], lambda given: given[4])
    monkeypatch.setattr(timed, "time", SimpleNamespace(process_time=lambda: now))
    monkeypatch.setattr(timed, "slowness", lambda: 0.0)
    effects = effects_store.open_effects(store)
    options = EstimateOptions(method=method, tables="none", vcf="none", exposures=[f"mark{i}" for i in range(20)])
    said = announcement.expected(options, effects["mark"].values.tolist(), effects.sizes, store, effects=effects)
    now = 0.0
    pipeline.estimate(store, str(tmp_path / "local.tsv"), options)
    assert now == pytest.approx(2e-4 * said.counts.rows)
    assert said.seconds.of_stage["estimate"] == pytest.approx(now, rel=0.02)


def test_exposures_that_are_tried_have_as_many_instruments_as_all(store):
    """Whether a few pairs are tried or many."""
    effects = effects_store.open_effects(store)
    options = EstimateOptions(method="ivw", instruments="own")
    trial = mr.Trial(effects, options, rule_for(effects, "own", z=12.0), compiled=False)
    trial.view()
    n_instruments = trial._views[0].instruments.mask.sum((0, 1))
    assert n_instruments.std() > 0.3 * n_instruments.mean()
    for n, exposures in (5, 5), (12, 5), (59 * 8, 8), (60 * 59, 60):
        pairs = trial.some(n, 5)
        assert len(pairs) == exposures and 0.8 * n <= sum(map(len, pairs.values())) <= n
        assert all(set(outcomes) <= set(range(60)) - {x} for x, outcomes in pairs.items())
        assert n_instruments[list(pairs)].mean() == pytest.approx(n_instruments.mean(), rel=0.15)


@pytest.mark.parametrize("few", [2, 10])
def test_rows_are_timed_beyond_what_loci_and_blocks_take(monkeypatch, few):
    """By a clock: 2 seconds a locus, 0.7 a pair and block of 40 loci, 0.01 a row."""
    now = 0.0

    def trial_of(n_loci):
        return SimpleNamespace(effects=SimpleNamespace(sizes={"locus": n_loci}), first=trial_of,
                               some=lambda n, exposures: range(n))

    def step(some, pairs):
        nonlocal now
        n_loci, n_pairs = some.effects.sizes["locus"], len(pairs)
        now += 2 * n_loci + 0.7 * n_pairs + 0.01 * n_loci * n_pairs
        return range(n_loci * n_pairs)

    monkeypatch.setattr(timed, "time", SimpleNamespace(process_time=lambda: now))
    monkeypatch.setattr(timed, "LEAST", 1000.0)
    monkeypatch.setattr(timed, "loci_of_block", lambda sizes: 40)
    of_locus, row, _ = timed._beyond_one(step, trial_of(few), EstimateOptions(tables="effects"), {"locus": 400},
                                         400 * 150, SimpleNamespace(wide=True))
    assert of_locus == pytest.approx(2 + 0.7 / few + 0.01)
    assert row == pytest.approx(0.01 + 0.7 / 40)


def test_what_is_computed_once_is_announced_once(store, tmp_path, monkeypatch):
    """By a clock that stands still but while the rule direct looks at a locus, which it does for each view of it."""
    now, own = 0.0, rules.Direct.own

    def clocked(direct, effect, effect_se, locus, z):
        nonlocal now
        now += len(np.unique(locus))
        return own(direct, effect, effect_se, locus, z)
    monkeypatch.setattr(rules.Direct, "own", clocked)
    monkeypatch.setattr(timed, "time", SimpleNamespace(process_time=lambda: now))
    monkeypatch.setattr(timed, "slowness", lambda: 0.0)
    monkeypatch.setattr(announcement, "SHORT_FITS", 0)
    effects = effects_store.open_effects(store)
    options = EstimateOptions(method="ivw", instruments="direct", tables="effects", exposures=["mark0", "mark1"],
                              diagnostics="none", vcf="none")
    for most in (answers.MOST_BYTES, 0):
        monkeypatch.setattr(answers, "MOST_BYTES", most)
        said = announcement.expected(options, effects["mark"].values.tolist(), effects.sizes, store, effects=effects)
        now = 0.0
        pipeline.estimate(store, str(tmp_path / f"{most}.tsv"), options)
        of_views = (1 + effects.sizes["member"]) * effects.sizes["locus"]
        assert now == of_views * (1 if most else 3)
        assert said.seconds.of_stage["estimate"] == pytest.approx(now, rel=0.02)


@pytest.mark.parametrize("predicted", [True, False])
@pytest.mark.parametrize("chosen", [
    {"instruments": "direct", "method": METHODS}, {"instruments": "pooled", "steiger": True},
    {"uncertainty": "instrument", "diagnostics": "all"}, {"uncertainty": "combined", "method": "egger_simex"},
    {"spread_shrinkage": "none", "method": "ivw", "method_args": {"psi": "members"}}, {"se_shrinkage": "none"},
    {"method": "mvmr_ivw", "adjust": ["mark0", "mark1"], "exposures": ["mark2", "mark3"]}])
def test_whatever_is_asked_for_can_be_timed(predicted, chosen, store, monkeypatch):
    """Before predictions from simulated effects."""
    monkeypatch.setattr(announcement, "SHORT_FITS", 0)
    for name, least in ("LEAST", 0.02), ("LONGEST", 0.02), ("ROWS", 4_000):
        monkeypatch.setattr(timed, name, least)
    effects = effects_store.open_effects(store).isel(locus=slice(8), mark=slice(8))
    options = EstimateOptions(**{"tables": "none", **chosen})
    said = announcement.expected(options, effects["mark"].values.tolist(), dict(effects.sizes), store,
                                 effects=effects if predicted else None)
    assert list(said.seconds.of_stage) == list(sizes.STAGES)
    assert all(0 < taken < 100 for taken in said.seconds.of_stage.values())
    assert 0 <= said.seconds.shared < sum(said.seconds.of_stage.values())


def test_short_work_is_not_timed(store, monkeypatch):
    monkeypatch.setattr(announcement, "timed", None)
    effects = effects_store.open_effects(store).isel(locus=slice(2), mark=slice(4))
    said = announcement.expected(EstimateOptions(method="ivw"), effects["mark"].values.tolist(), effects.sizes, store,
                                 effects=effects)
    assert "\ntime after the predictions, at most a minute\n" in said.text and said.counts.rows == 24


def test_several_processors_share_some_of_the_work(monkeypatch):
    said = seconds.Seconds({"network": 10.0, "estimate": 30.0}, 20.0)
    for threads, text in (1, "about: network 10 s, estimate 30 s (of one processor)"), (
            4, "about: network 10 s, estimate 30 s (of one processor; 25 s in all with the 4 here)"):
        monkeypatch.setattr(seconds, "n_threads", lambda n=threads: n)
        assert said.text == text


def test_stages_that_run_alone_announce_and_refuse(store, estimated, tmp_path, monkeypatch, caplog, capsys):
    """`aggregate` of an array, and `network` of as many pairs and loci as make one."""
    monkeypatch.setattr(announcement, "MOST_ROWS", 20 * 60 * 59 - 1)
    pipeline.aggregate(estimated, str(tmp_path / "global.tsv"), effects_path=store, quiet=False)
    lines = caplog.text
    assert re.search(r"3,540 pairs, 70,800 local effects: about \d.* of memory\n", lines)
    assert re.search(r"time, about: network .*, aggregate \d.* \(of one processor", lines) and "fits" not in lines
    said = float(re.search(r"global.tsv (\d.\d) MB", lines)[1])
    assert abs(said - (tmp_path / "global.tsv").stat().st_size / 1e6) < 0.2 * said + 0.05
    caplog.clear()
    pipeline.network(store, str(tmp_path / "network.tsv"), quiet=False)
    said = float(re.search(r"3,540 pairs: about .* of memory\n.*\n.*network.tsv (\d.\d) MB", caplog.text)[1])
    assert abs(said - (tmp_path / "network.tsv").stat().st_size / 1e6) < 0.2 * said + 0.05
    monkeypatch.setattr(announcement, "MOST_ROWS", 20 * 60 * 59)
    caplog.clear()
    pipeline.network(store, str(tmp_path / "network.tsv"), quiet=False)
    assert "of memory" not in caplog.text
    monkeypatch.setattr(sizes, "memory_of_machine", lambda: 10 ** 6)
    for stage in (lambda: pipeline.aggregate(estimated, str(tmp_path / "b.tsv"), effects_path=store),
                  lambda: pipeline.network(store, str(tmp_path / "b.tsv"))):
        with pytest.raises(InputError, match="take.* about .* of memory.*, and this machine has 1.0 MB; "):
            stage()
    monkeypatch.setattr(sizes, "memory_of_machine", lambda: 10 ** 12)
    monkeypatch.setattr(sizes, "SURE_FROM", 0)
    monkeypatch.setattr(sizes, "free_bytes", lambda path: 1000)
    with pytest.raises(InputError, match="--format parquet, or another disk"):
        pipeline.aggregate(estimated, str(tmp_path / "b.tsv"))
    assert not (tmp_path / "b.tsv").exists()


def test_the_report_of_a_large_run_announces_and_refuses(store, tmp_path, monkeypatch, caplog):
    out = tmp_path / "OUT"
    pipeline.run_again(store, str(out), estimate_options={"tables": "none", "vcf": "none", "method": "ivw"},
                       network_options={"network": "none"})
    announcement.announce_report(str(out))
    assert re.search(r"^time, about: report \d", caplog.text, re.MULTILINE)
    said = float(re.search(r"report.html (\d.\d) MB", caplog.text)[1])
    assert abs(said - (out / "report.html").stat().st_size / 1e6) < 0.4 * said
    monkeypatch.setattr(sizes, "memory_of_machine", lambda: 10 ** 6)
    with pytest.raises(InputError, match="of memory .report most of it."):
        announcement.announce_report(str(out))
