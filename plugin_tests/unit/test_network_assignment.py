"""On which mark each mutant acts: against simulated mutants whose marks are known; any order and units."""

import linear_sem
import numpy as np
import pytest

from kipoi_deepmr.effects_store import blocks
from kipoi_deepmr.errors import InputError
from kipoi_deepmr.instruments import assign, rays, search
from kipoi_deepmr.instruments.sample import Sample, sample


def strong_and_true(simulated):
    """Which mutants move a mark by 2 sd, on how many marks each acts directly, and on which most."""
    mean = simulated.effects.mean(1)
    strong = (np.abs(mean) >= 2 * mean.std((0, 1))).any(-1)
    size = np.abs(simulated.action)
    return strong, (size > 0.05 * size.max(-1, keepdims=True)).sum(-1), size.argmax(-1)


@pytest.mark.parametrize("scenario", linear_sem.SCENARIOS)
def test_strong_mutants_are_assigned_to_the_mark_on_which_they_act(scenario):
    n_marks = 10 if scenario == "3 hidden" else 4
    simulated = linear_sem.simulate(n_marks, seed=4001, **linear_sem.SCENARIOS[scenario])
    effects = linear_sem.dataset(simulated.effects)
    acts = assign(effects).of_block(effects["effect"].values, slice(0, 200))
    strong, n_hits, true = strong_and_true(simulated)
    single = strong & (n_hits == 1) & (true < n_marks)
    assert (acts.acts_on == true)[single & acts.clean].mean() > 0.99
    assert acts.clean[single].mean() > 0.97
    if (true >= n_marks).any():
        assert acts.clean[strong & (true >= n_marks)].mean() < 0.15


def test_slopes_that_differ_between_loci_are_followed():
    """Two marks that act on each other, by amounts between 0 and 0.9 that each locus has of its own."""
    rng = np.random.default_rng(3)
    n_loci, n_members = 60, 5
    action = np.zeros((n_loci, 300, 2))
    action[:, :24, 0], action[:, 24:48, 1] = (-rng.lognormal(0, 0.6, (n_loci, 24)) for _ in range(2))
    slopes = rng.uniform(0, 0.9, (n_loci, 2))
    total = np.broadcast_to(np.eye(2), (n_loci, 2, 2)).copy()
    total[:, 0, 1], total[:, 1, 0] = slopes.T
    members = (action @ total)[:, None] * rng.normal(1, 0.05, (n_loci, n_members, 1, 1))
    members += rng.normal(0, 0.02, members.shape)
    found = assign(linear_sem.dataset(members))
    assert found.causes.all()
    for i, j in ((0, 1), (1, 0)):
        assert np.corrcoef([found.rays.local.at_locus(k)[i, j] for k in range(n_loci)], slopes[:, i])[0, 1] > 0.98
        assert found.rays.tau[i, j] > 0.15


def test_blocks_order_and_units_change_nothing():
    effects = linear_sem.simulate(4, n_loci=60, seed=7, hidden=1).effects
    whole = assign(linear_sem.dataset(effects))
    mean = linear_sem.dataset(effects)["effect"].values
    acts = whole.of_block(mean, slice(0, 60))
    for loci in (slice(0, 13), slice(13, 60), np.array([59, 3, 3])):
        part = whole.of_block(mean[loci], loci)
        assert np.array_equal(part.acts_on, acts.acts_on[loci]) and np.array_equal(part.clean, acts.clean[loci])
    locus, member, mark = (np.random.default_rng(k).permutation(n) for k, n in enumerate((60, 5, 4)))
    changed = effects[locus][:, member][..., mark] * np.array([1e-3, -7, 1, 1e4])
    other = assign(linear_sem.dataset(changed))
    assert np.allclose(other.rays.slope[:4, :] * np.sign([1, -1, 1, 1]) * np.sign([1, -1, 1, 1])[:, None],
                       whole.rays.slope[mark][:, mark], atol=1e-3)
    again = other.of_block(linear_sem.dataset(changed)["effect"].values, slice(0, 60))
    back = np.where(again.acts_on >= 0, mark[again.acts_on], -1)
    assert (back == acts.acts_on[locus]).mean() > 0.999 and (again.clean == acts.clean[locus]).mean() > 0.999


def test_marks_that_others_explain_and_marks_that_nothing_moves_are_no_causes():
    """C is 0.7 A + 0.5 B at every locus, and D is never moved: mutants act on A and B alone."""
    rng = np.random.default_rng(5)
    action = linear_sem.actions(2, 60, rng, np.full(2, 0.6), np.ones(2), 0, 60)
    ab = action[:, None] * rng.normal(1, 0.1, (60, 5, 1, 2)) + rng.normal(0, 0.02, (60, 5, action.shape[1], 2))
    c = ab @ np.array([[0.7], [0.5]])
    found = assign(linear_sem.dataset(np.concatenate([c, ab, np.zeros_like(c)], -1), ["C", "A", "B", "D"]))
    assert list(found.causes) == [False, True, True, False]
    assert found.reason == ("shared", "own", "own", "nothing moves it")


@pytest.mark.parametrize("change, message", [
    (lambda e: e[..., :1], "at least two marks"),
    (lambda e: e[:, :2], "at least 3 members"),
    (lambda e: 0 * e, "all effects are zero"),
    (lambda e: np.where(np.arange(e.shape[-1]) == 1, np.nan, e), "not finite"),
])
def test_bad_input_is_one_clear_message(change, message):
    effects = linear_sem.simulate(3, n_loci=10, seed=1).effects
    with pytest.raises(InputError, match=message):
        assign(linear_sem.dataset(change(effects)))


def test_without_members_effects():
    with pytest.raises(InputError, match="keep members"):
        assign(linear_sem.dataset(linear_sem.simulate(3, n_loci=10, seed=1).effects).drop_vars("member_effect"))


def dense_effects(seed, n_loci=300, length=40, n_members=4):
    """Effects of networks in which every mutant acts on all three marks: each is a sum over the sequence of one filter
    without a motif; then A acts on B, and B on C."""
    rng = np.random.default_rng(seed)
    filters = rng.normal(size=(1, 3, 6, 4)) + 0.01 * rng.normal(size=(n_members, 3, 6, 4))
    total = np.linalg.inv(np.eye(3) - np.diag([0.8, 0.7], 1))
    sequences = rng.integers(0, 4, (n_loci, length))

    def predicted(sequence):
        windows = np.lib.stride_tricks.sliding_window_view(sequence, 6)
        scores = sum(filters[:, :, k, windows[:, k]] for k in range(6))
        return np.tanh(scores - 1).mean(-1) * 20 @ total

    members = np.empty((n_loci, n_members, 3 * length, 3))
    for locus, sequence in enumerate(sequences):
        reference = predicted(sequence)
        for i in range(length):
            for j, base in enumerate(b for b in range(4) if b != sequence[i]):
                mutant = sequence.copy()
                mutant[i] = base
                members[locus, :, 3 * i + j] = predicted(mutant) - reference
    return linear_sem.dataset(members)


@pytest.mark.parametrize("seed", [0, 1, 4])
def test_where_every_mutant_acts_on_all_marks_nothing_is_told(seed, monkeypatch):
    effects = dense_effects(seed)
    found = assign(effects)
    assert not found.causes.any() and "dense" in found.reason
    for name in ("LEAST_MUTANTS", "LEAST_SHARE_OF_DENSE"):
        monkeypatch.setattr(search, name, 1e-9)
    assert assign(effects).causes.any(), "the case does not test it"


@pytest.mark.parametrize("at_each_locus, enough", [(1, False), (2, True)])
def test_few_mutants_are_no_evidence(at_each_locus, enough):
    """Eight loci with one or two strong mutants of A, which acts on B; slopes may differ between loci."""
    rng = np.random.default_rng(0)
    effects = 0.02 * rng.normal(size=(8, 4, 60, 2))
    own = rng.normal(3, 0.3, (8, 1, at_each_locus))
    effects[..., :at_each_locus, 0] += own
    effects[..., :at_each_locus, 1] += 0.8 * own
    found = assign(linear_sem.dataset(effects))
    assert found.causes.any() == enough and (enough or "few" in found.reason)


def test_slopes_of_many_marks_have_the_centre_and_spread_of_few():
    rng = np.random.default_rng(5)
    for n_loci in (1, 2, 3, 40):
        slope, variance = rng.normal(0.3, 0.2, (n_loci, 60)), rng.gamma(1, 0.02, (n_loci, 60)) + 1e-6
        slope[:n_loci // 2, :9] = 0
        few = [rays.centre_and_tau(slope[:, k:k + 20], variance[:, k:k + 20]) for k in (0, 20, 40)]
        for all_at_once, parts in zip(rays.centre_and_tau(slope, variance), zip(*few, strict=True), strict=True):
            np.testing.assert_allclose(all_at_once, np.concatenate(parts), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("locally", [True, False])
def test_rays_of_many_marks_are_those_of_few(locally, monkeypatch):
    """Slopes, deviances and distances from the compiled loops are those from arrays, to rounding."""
    if not locally:
        monkeypatch.setattr(rays, "MOST_LOCAL", 0)
    rng = np.random.default_rng(3)
    effect, marks = rng.normal(size=(400, 61)) * rng.gamma(1, 1, (400, 1)), np.arange(61)
    effect[7] = 0
    members = (effect + rng.normal(0, 0.1, (4, 400, 61))).astype(np.float32)
    gathered = Sample(members.mean(0, dtype=np.float64), members, np.repeat(np.arange(20), 20), np.ones(61), 20,
                      np.full(61, 0.3), np.zeros(61, bool), 1000)

    def found():
        fits = rays.RayFits(gathered)
        fitted = fits.rays(marks, marks != 5, np.abs(effect).argmax(1), np.ones(400, bool))
        scores = [fits.scores(fitted), *(rays.score(effect, gathered.locus, fitted, noise) for noise in (
            fits.noise, rng.uniform(0.05, 0.1, effect.shape)))]
        return [fitted.slope, fitted.tau, *(values for each in scores for values in (each.deviance, each.distance))]

    rng = np.random.default_rng(4)
    of_many = found()
    monkeypatch.setattr(rays, "FEW_MARKS", 61)
    rng = np.random.default_rng(4)
    assert np.isfinite(of_many[2]).any()
    for many, few in zip(of_many, found(), strict=True):
        np.testing.assert_allclose(many, few, rtol=3e-6, atol=1e-5)


def test_a_ray_has_slopes_of_its_own_where_it_has_mutants_and_those_over_all_loci_elsewhere():
    """All rays at all loci, the slow way: slopes drawn towards the common ones, locus by locus."""
    gathered = sample(linear_sem.dataset(linear_sem.simulate(4, n_loci=30, seed=9).effects))
    fits, ray = rays.RayFits(gathered), np.abs(gathered.effect).argmax(1)
    on = np.random.default_rng(0).random(len(ray)) < 0.15
    fitted = fits.rays(np.arange(4), np.array([True, False, True, True]), ray, on)
    n_drawn = 0
    for row, i in enumerate((0, 2, 3)):
        slope, variance = np.tile(fitted.slope[row], (30, 1)), np.tile(np.maximum(fitted.tau[row], 1e-3) ** 2, (30, 1))
        loci, own, error = rays.slopes_by_locus(gathered, fits.noise, i, np.flatnonzero(on & (ray == i)))
        assert fits.n_loci(ray, on, 4)[i] == len(np.unique(gathered.locus[on & (ray == i)]))
        prior = variance[loci]
        variance[loci] = 1 / (1 / error + 1 / prior)
        slope[loci] = (own / error + slope[loci] / prior) * variance[loci]
        n_drawn += len(loci)
        slope[:, i], variance[:, i] = 1, 0
        place, *known = fitted.at(row, np.arange(30))
        np.testing.assert_allclose(known[0][place], slope, rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(known[1][place], variance, rtol=1e-6, atol=1e-12)
        np.testing.assert_array_equal([fitted.local.at_locus(k)[row] for k in range(30)], known[0][place])
    assert 0 < n_drawn < 90


def test_strong_mutants_and_their_actions_do_not_depend_on_how_many_are_taken_at_a_time(monkeypatch):
    effects = linear_sem.dataset(linear_sem.simulate(6, n_loci=40, seed=8, hidden=1).effects)
    whole = assign(effects)
    monkeypatch.setattr(rays.pieces, "__defaults__", (13,))
    monkeypatch.setattr(rays, "MARKS", 2)
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 8 * 9 * 6 * effects.sizes["variant"])
    parts = assign(effects)
    assert len(parts.sample.locus) > 100
    for name in ("effect", "members", "locus", "background"):
        np.testing.assert_array_equal(getattr(parts.sample, name), getattr(whole.sample, name))
    np.testing.assert_allclose(parts.noise, whole.noise)
    np.testing.assert_array_equal(parts.found.ray, whole.found.ray)
    np.testing.assert_allclose(parts.found.criterion, whole.found.criterion)
    np.testing.assert_allclose(parts.strong_actions.share, whole.strong_actions.share)
    expected = search.direct_action(whole.sample.effect, whole.sample.locus, whole.rays, whole.noise)[1] > rays.CUT
    np.testing.assert_array_equal(parts.strong_actions.hit, expected)


@pytest.mark.parametrize("n_kept", [1, 7, 150])
def test_where_memory_is_short_the_strongest_mutants_of_each_mark_stay(n_kept, monkeypatch):
    """As many of each mark, however many are read at a time, the first of equally strong ones first."""
    simulated = linear_sem.simulate(4, n_loci=30, seed=6).effects
    simulated[20:25] = simulated[:5]
    effects = linear_sem.dataset(simulated)
    whole = sample(effects)
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 8 * 4 * 4 * effects.sizes["variant"])
    few = sample(effects, most_bytes=n_kept * 5 * 4 * effects["member_effect"].dtype.itemsize)
    effect = effects["effect"].values.astype(np.float64).reshape(-1, 4)
    z = (np.abs(effect - effect.mean(0)) / effect.std(0)).astype(np.float32)
    size, mark = z.max(1), z.argmax(1)
    rank = [sum((mark == mark[k]) & ((size > size[k]) | (size == size[k]) & (np.arange(len(z)) < k)))
            for k in range(len(z))]
    strongest = np.sort(sorted(range(len(z)), key=lambda k: (rank[k], -size[k], k))[:n_kept])
    least = np.clip(4 * whole.background, 2, 3.5)
    expected = strongest[(z[strongest] >= least).any(1)]
    np.testing.assert_array_equal(few.locus, expected // effects.sizes["variant"])
    np.testing.assert_allclose(few.effect, effect[expected] / whole.sd, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(few.members.mean(0), few.effect, rtol=1e-5, atol=1e-6)


def test_what_is_known_of_how_rays_describe_mutants_is_completed_as_marks_lose_theirs(monkeypatch):
    """Every score is that of rays that are scored anew, whichever marks have rays, and few are tried."""
    monkeypatch.setattr(rays, "MOST_TRIED", 3)
    rng = np.random.default_rng(2)
    effect = rng.normal(size=(400, 15))
    gathered = Sample(effect, effect + rng.normal(0, 0.1, (4, 400, 15)), np.repeat(np.arange(20), 20), np.ones(15), 20,
                      np.full(15, 0.3), np.zeros(15, bool), 1000)
    fits, ray = rays.RayFits(gathered), np.abs(effect).argmax(1)
    for without in ([], [3], [3, 4, 9], [9], list(range(11))):
        active = ~np.isin(np.arange(15), without)
        fitted = fits.rays(np.arange(15), active, ray, np.ones(400, bool))
        known, anew = fits.scores(fitted), rays.score(effect, gathered.locus, fitted, fits.noise)
        assert np.array_equal(known.deviance, anew.deviance) and np.array_equal(known.distance, anew.distance)
        for row, tried in zip(np.abs(effect), np.isfinite(known.deviance), strict=True):
            largest = np.sort(row[active])[::-1][:3]
            assert set(row[active][tried]) == {size for size in largest if size >= 0.4 * row.max()}


def test_of_many_marks_those_that_others_explain_lose_their_rays_together():
    """Fifty marks, every second of which is moved by the one before alone."""
    rng = np.random.default_rng(0)
    own = np.zeros((30, 100, 50))
    acts = 2 * rng.integers(25, size=(30, 100))
    np.put_along_axis(own, acts[..., None], rng.normal(0, 1, (30, 100, 1)), 2)
    own[..., 1::2] = 0.8 * own[..., ::2]
    members = own[:, None] * rng.normal(1, 0.05, (30, 5, 1, 1)) + rng.normal(0, 0.02, (30, 5, 100, 50))
    noisy = rng.normal(0, 0.3, (30, 5, 100, 25)) * (rng.random((30, 1, 100, 1)) < 0.05)
    members[..., 1::2] += noisy.mean(1, keepdims=True)
    found = assign(linear_sem.dataset(members))
    assert found.causes[::2].all() and not found.causes[1::2].any()
    order = rng.permutation(50)
    again = assign(linear_sem.dataset(members[..., order]))
    assert np.array_equal(again.causes, found.causes[order])
