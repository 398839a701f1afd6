"""How many marks will have mutants of their own, from a few loci: against all loci, counted one by one."""

import linear_sem
import numpy as np
import pytest
from wide_case import make_store

from kipoi_deepmr import effects_store
from kipoi_deepmr.options import EstimateOptions
from kipoi_deepmr.pipeline import sampled


def share_and_effects(weights, n_loci, n_variants, seed):
    """The share of marks on which ten mutants or more act, and effects on all marks; a mark's mutants are drawn by its
    weight."""
    rng, n_marks = np.random.default_rng(seed), len(weights)
    acts_on = rng.choice(n_marks, (n_loci, n_variants), p=weights / weights.sum())
    size = rng.choice([-1, 1], acts_on.shape) * rng.uniform(0.5, 2, acts_on.shape)
    effects = rng.normal(0, 0.01, (n_loci, 3, n_variants, n_marks)).astype(np.float32)
    effects += np.where(acts_on[..., None] == np.arange(n_marks), size[..., None], 0)[:, None]
    return np.mean(np.bincount(acts_on.ravel(), minlength=n_marks) >= 10), linear_sem.dataset(effects)


@pytest.mark.parametrize("shape, n_loci", [(None, 20), (None, 60), (0.3, 60), (0.3, 200), (1.0, 60)])
def test_the_share_of_causes_is_that_of_all_loci(shape, n_loci):
    """Whether all marks have as many mutants, or a few have most of them."""
    rng = np.random.default_rng(1)
    weights = np.ones(150) if shape is None else rng.gamma(shape, 1, 150)
    true, effects = share_and_effects(weights, n_loci, 30, seed=2)
    if shape == 0.3:
        assert 0.2 < true < 0.8  # on average each mark has enough
    assert abs(sampled.of_network(effects)[0] - true) < 0.12


def test_effects_that_are_all_lost_say_nothing():
    effects = linear_sem.dataset(np.full((4, 3, 12, 5), np.nan))
    assert sampled.of_network(effects)[0] == 1.0


def test_effects_without_their_members_are_sampled_alike(tmp_path):
    effects = effects_store.open_effects(make_store(tmp_path, n_marks=6, n_loci=10, length=8))
    options = EstimateOptions(uncertainty="instrument")
    assert sampled.sampled(effects.drop_vars("member_effect"), options) == sampled.sampled(effects, options)


def test_mutants_that_move_all_marks_are_crowded_and_make_no_causes():
    rng = np.random.default_rng(3)
    size = rng.gamma(1, 1, (20, 1, 60, 1)) * rng.normal(size=(20, 1, 60, 150))
    causes, crowded = sampled.of_network(linear_sem.dataset(size + rng.normal(0, 0.05, (20, 3, 60, 150))))
    assert causes < 0.05 and 300 < crowded < 1200
    _, few = share_and_effects(np.ones(50), 20, 60, seed=3)
    assert sampled.of_network(few)[1] == 0
