"""Effects of two regions, each replaced alone and both together, that combine in a known way, as members see them."""

import numpy as np

from kipoi_deepmr.shape import RegionPairs

REFERENCE = 1.6
TRUTHS = {  # effects without the first region, without the second, without both; each alone costs `a` or `b`
    "additive": lambda a, b: (a, b, a + b),
    "multiplicative": lambda a, b: (a, b, a + b + a * b / REFERENCE),
    "and": lambda a, b: (a, a, a),
    "or": lambda a, b: (0 * a, 0 * a, a),
    "nothing": lambda a, b: (0 * a, 0 * a, 0 * a),
}


def simulate(truth, n_loci=40, n_members=5, seed=0, noise=0.1, shared=0.3, leak=0.05, differ=0.3):
    """The `RegionPairs` of marks 0 and 1, with one outcome.

    Parameters
    ----------
    truth : str
        One of `TRUTHS`.
    n_loci, n_members, seed : int
    noise : float
        Standard deviation of a member's errors of an effect; each region alone costs about 1 and 0.8.
    shared : float
        Share of their variance that all members have in common.
    leak : float
        Standard deviation of each member's own interaction, which all loci have, as a share of the two effects.
    differ : float
        Standard deviation of the logarithm of effects between loci.
    """
    rng = np.random.default_rng(seed)
    a, b = -np.exp(rng.normal(0, differ, (2, n_loci))) * np.array([[1.0], [0.8]])
    true = np.stack(TRUTHS[truth](a, b), -1)[:, None]
    effects = true + noise * (np.sqrt(shared) * rng.normal(size=(n_loci, 1, 3))
                              + np.sqrt(1 - shared) * rng.normal(size=(n_loci, n_members, 3)))
    if truth != "nothing":
        effects[..., 2] += leak * rng.normal(size=n_members) * (a + b)[:, None]
    product = effects[..., 0] * effects[..., 1] / REFERENCE
    return RegionPairs(0, 1, np.arange(n_loci), np.ones(n_loci, int), effects[..., None], product[..., None])
