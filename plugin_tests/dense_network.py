"""A network with as many edges as wanted, of arrays that are drawn at random: nothing is simulated or fitted."""

import numpy as np

from kipoi_deepmr.instruments import Assignment
from kipoi_deepmr.instruments.assignment import FEW, OWN
from kipoi_deepmr.instruments.rays import Rays
from kipoi_deepmr.instruments.rows import Rows
from kipoi_deepmr.network.companions import Companions
from kipoi_deepmr.network.estimate import Estimate, Strength
from kipoi_deepmr.network.fit import Network
from kipoi_deepmr.network.pairs import OfAll, Pairs, Total


def dense_network(marks, share=0.3, seed=0, n_members=3, missing=0.0, outcomes_only=0):
    """A Network of some marks.

    Parameters
    ----------
    marks : sequence of str
    share : float
        Of pairs, how many are edges.
    missing : float
        Of errors and other numbers that an edge may lack, how many are NaN.
    outcomes_only : int
        How many marks have no mutants of their own, the last ones.
    """
    rng, n, marks = np.random.default_rng(seed), len(marks), tuple(marks)
    causes = np.arange(n) < n - outcomes_only
    rows = Rows.of(causes)
    itself, shape = np.eye(n, dtype=bool)[causes], (causes.sum(), n)

    def drawn(low, high, lacks=missing):
        return np.where(itself | (rng.random(shape) < lacks), np.nan, rng.uniform(low, high, shape))

    value = drawn(0.06, 0.5, 0) * rng.choice([-1, 1], shape)
    by_member = np.array([value + drawn(-0.05, 0.05) for _ in range(n_members)])
    direct = Estimate(value, *(drawn(0.01, 0.05) for _ in range(3)), by_member, drawn(3, 20))
    total = Total(1.5 * value, drawn(0.01, 0.05), drawn(3, 20), drawn(0, 0.1))
    is_edge = ~itself & (rng.random(shape) < share)
    of_all = OfAll(drawn(0, 0.2), np.where(is_edge, 0.01, 0.5), drawn(-0.5, 0.5), rng.random(shape) < 0.7)
    both, copy = rng.integers(0, 5, (n, n)), np.triu(rng.random((n, n)) < 0.1, 1)
    companions = Companions(copy | copy.T, rng.random(n) < 0.5, both, both + 30)
    sd = rng.uniform(1, 2, n)
    strength = Strength(**{name: rng.integers(20, 200, n) for name in Strength._fields})
    pairs = Pairs(marks, rows, sd, total, direct, drawn(10, 100), strength, companions, of_all, 0.05, 0.05)
    rays = Rays(**dict.fromkeys(Rays._fields))._replace(active=causes)
    reason = tuple(np.where(causes, OWN, FEW).tolist())
    return Network(pairs, Assignment(marks, sd, None, rays, reason, None, None), rng.uniform(1, 2, n))
