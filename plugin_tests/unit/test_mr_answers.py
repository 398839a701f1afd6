"""What the rule direct says of a mutant is computed once: the same answers, and the same files, as without."""

import pickle

import numpy as np
import pytest
from wide_case import make_store

from kipoi_deepmr import effects_store, instruments, mr, pipeline
from kipoi_deepmr.effects_store import blocks
from kipoi_deepmr.instruments import answers, rays, rules, search
from kipoi_deepmr.mr import wide
from kipoi_deepmr.mr.block import Block, LeaveOut

N_LOCI, N_MEMBERS, Z = 12, 4, 20.0  # members choose differently by so large a Z


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return make_store(tmp_path_factory.mktemp("answers"), n_marks=6, n_loci=N_LOCI, length=10, n_members=N_MEMBERS)


@pytest.fixture(scope="module")
def viewed(store):
    return instruments.moderated(effects_store.open_effects(store), trend=True)


def masks(effects, rule, block):
    """What all members and all but each one say of a block: (view, locus, variant, mark) bool."""
    read, leave_out = Block.read(effects, block, rule, with_members=True), LeaveOut.of(effects, rule)
    views = [read, *(leave_out.without(read, k) for k in range(N_MEMBERS))]
    return np.stack([view.instruments.mask for view in views])


@pytest.fixture(scope="module")
def plain(viewed):
    return instruments.rule_for(viewed, "direct", Z, steiger=True)


def test_answers_are_those_that_are_computed(viewed, plain):
    """Of each view, whatever the blocks and their order; then again without what they were computed from."""
    expected, rule = masks(viewed, plain, slice(0, N_LOCI)), plain.remembering(viewed.sizes)
    assert (expected.any((1, 2)).all() and len({each.tobytes() for each in expected}) == 1 + N_MEMBERS
            and plain.answers is None)
    for begin, end in ((5, 8), (0, 3), (2, 6), (6, 12), (0, 12)):
        np.testing.assert_array_equal(masks(viewed, rule, slice(begin, end)), expected[:, begin:end])
    nothing = np.zeros(expected.shape[1:])
    for view, each in ((rule, expected[0]), *((rule.without_member(k), expected[1 + k]) for k in range(N_MEMBERS))):
        for loci in (slice(0, N_LOCI), np.array([7, 1]), [3]):
            found = view.instruments(nothing[loci], nothing[loci], loci)
            np.testing.assert_array_equal(found.mask, each[loci])
            assert found.size.shape == each[loci].shape  # Steiger's filter goes by the effects
        np.testing.assert_array_equal(view.mask(nothing[4], nothing[4], 4), each[4])


@pytest.fixture(scope="module")
def of_many_marks(tmp_path_factory):
    """The rule of 60 marks at 24 loci, and effects of mutants, half of which act on two marks; some loci have one."""
    folder, rng = tmp_path_factory.mktemp("marks"), np.random.default_rng(0)
    effects = effects_store.open_effects(make_store(folder, n_marks=60, n_loci=24, n_members=3))
    rule = instruments.rule_for(effects, "direct", 1.0)
    effect = effects["effect"].values.astype(np.float64)
    effect += rng.permuted(effect, axis=1) * (rng.random((*effect.shape[:2], 1)) < 0.5)
    locus, variant = np.nonzero(rng.random(effect.shape[:2]) < rng.choice([0.04, 0.3, 0.6], (24, 1)))
    assert 1 in np.bincount(locus) and rule.direct.assignment.causes.sum() > 20
    return rule.direct, effect[locus, variant], locus


@pytest.mark.parametrize("with_local", [True, False])
def test_no_digit_depends_on_which_loci_are_read_together(of_many_marks, with_local):
    """Scores and actions in all loci, in blocks cut at random, and in loci alone; with slopes by locus and without."""
    direct, effect, locus = of_many_marks
    if not with_local:
        without = direct.assignment.rays._replace(local=None)
        direct = rules.replace(direct, assignment=rules.replace(direct.assignment, rays=without))
    assignment, rng = direct.assignment, np.random.default_rng(1)
    se = np.broadcast_to(2 * assignment.noise * assignment.sd, effect.shape)

    def said(rows):
        of = effect[rows] / assignment.sd, locus[rows], assignment.rays, assignment.noise
        return *rays.score(*of)[1:], *search.direct_action(*of), *direct.acts(effect[rows], se[rows], locus[rows])

    whole = said(slice(None))
    acts_on, clean = whole[-2:]
    assert clean.sum() > 20 and (acts_on[~clean] >= 0).sum() > 20
    for cut in (np.arange(1, 24), *(np.sort(rng.choice(np.arange(1, 24), n, replace=False)) for n in (1, 5, 12))):
        parts = zip(*map(said, np.split(np.arange(len(locus)), np.searchsorted(locus, cut))), strict=True)
        for each, values in zip(whole, parts, strict=True):
            assert each.tobytes() == np.concatenate(values).tobytes()
    for k in rng.choice(len(locus), 40, replace=False):  # alone its action may have another last digit
        alone = direct.acts(effect[[k]], se[[k]], locus[[k]])
        assert (alone.acts_on[0], alone.clean[0]) == (acts_on[k], clean[k])


def test_another_process_begins_without_answers_and_keeps_its_own(viewed, plain):
    rule, other = plain.remembering(viewed.sizes), plain.remembering(viewed.sizes)
    expected = masks(viewed, rule, slice(0, N_LOCI))
    sent, loci = pickle.dumps(rule), slice(0, 3)
    there = pickle.loads(sent)
    assert there.answers.mask(loci, 6) is None
    np.testing.assert_array_equal(masks(viewed, there, loci), expected[:, loci])
    again = pickle.loads(sent)
    for k in range(N_MEMBERS):
        np.testing.assert_array_equal(again.without_member(k).answers.mask(loci, 6), expected[1 + k, loci])
    assert again.answers.mask(slice(0, 4), 6) is None
    assert pickle.loads(pickle.dumps(other)).answers.mask(loci, 6) is None
    assert pickle.loads(sent).answers.mask(loci, 6) is None  # only those of the last estimation are kept
    np.testing.assert_array_equal(masks(viewed, there, slice(0, 6)), expected[:, :6])  # by a thread still at work


def test_what_is_not_kept(viewed, plain, monkeypatch):
    """Answers of too many mutants, and those of rules that compute nothing."""
    n_bytes = 2 * (1 + N_MEMBERS) * N_LOCI * viewed.sizes["variant"]
    for most, kept in ((n_bytes, True), (n_bytes - 1, False)):
        monkeypatch.setattr(answers, "MOST_BYTES", most)
        assert (plain.remembering(viewed.sizes).answers is not None) == kept
    own = instruments.InstrumentRule("own", 1.0)
    assert own.remembering(viewed.sizes) is own


def measured_again(fits, pairs):
    """The estimation of some pairs whose spread is measured anew."""
    some = mr.Estimation(fits.effects, fits.options, fits._rule, fits.shape, fits._map_blocks, fits._folder)
    some.plan = wide.replace(some.plan, pairs=wide._arrays(pairs))
    return some


@pytest.mark.parametrize("compiled, options", [
    (True, {}), (True, {"tables": "effects"}), (False, {"tables": "effects", "uncertainty": "members"}),
    (False, {"tables": "effects", "steiger": True, "se_shrinkage": "none", "vcf": "all"})])
def test_the_files_are_the_same_bytes(store, tmp_path, monkeypatch, compiled, options):
    """As a table and as an array, in blocks of a few loci; again where the array is there already."""
    monkeypatch.setattr(mr.pairs, "COMPILED_FROM", 0 if compiled else 10 ** 9)
    monkeypatch.setattr(mr.pairs, "HELD_FITS", 0)
    monkeypatch.setattr(effects_store.local_effects, "BLOCK_PAIRS", 4 * 36)
    monkeypatch.setattr(wide, "VIEW_BYTES", 8 * 30 * 6 * 3)
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 8 * 30 * 6 * 5)
    counts, own = [], rules.Direct.own
    monkeypatch.setattr(rules.Direct, "own", lambda *given: counts.append(given[0].n_members) or own(*given))
    made = {}
    for name in ("kept", "again", "computed"):
        folder = tmp_path / name.replace("again", "kept")
        folder.mkdir(exist_ok=True)
        if name == "computed":
            monkeypatch.setattr(answers, "MOST_BYTES", 0)
            monkeypatch.setattr(wide.Estimation, "of_pairs", measured_again)
        counts.clear()
        pipeline.estimate(store, str(folder / "local.tsv"), instruments="direct", instrument_z=Z, method=["ivw"],
                          **options)
        made[name] = contents(folder), len(counts)
    (kept, n_kept), (again, n_again), (computed, n_computed) = made.values()
    assert kept == again == computed and kept["local.vcf.gz"]
    assert kept["local.tsv"].count(b"\n") > N_LOCI and n_again <= n_kept < n_computed / 2


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*")
            if path.is_file() and path.name != "record.json"}
