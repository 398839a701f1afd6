"""Effects of mutants where the outcome follows the exposure along a known curve, as an ensemble's members see them."""

from typing import NamedTuple

import numpy as np

MARKS = ["X", "Y", "M"]
CURVES = {
    "linear": lambda lost, partner: -lost,
    "saturating": lambda lost, partner: -np.maximum(lost - 0.5, 0) * 2,  # the reference is far above what is needed
    "threshold": lambda lost, partner: -(1 - np.exp(-3 * lost)) / (1 - np.exp(-3)),  # what is left is not enough
    "and": lambda lost, partner: -partner * lost,
}


class Known(NamedTuple):
    """Members' effects (locus, member, variant, mark) and their predictions of the references (locus, member, mark)."""

    effects: np.ndarray
    reference: np.ndarray


def simulate(curve, n_loci=60, n_members=5, seed=0, noise=0.05, shared=0.3, slopes=0.2, leak=0.02, pleiotropy=0.03,
             n_other=30):
    """Simulate an ensemble.

    Parameters
    ----------
    curve : str
        One of `CURVES`.
    n_loci, n_members, seed : int
    noise : float
        Standard deviation of a member's errors of an effect; those of outcome and exposure are correlated by 0.8.
    shared : float
        Share of their variance that all members have in common.
    slopes : float
        Relative standard deviation of the effect between loci; it grows with the size of a locus's motif.
    leak : float
        Standard deviation of each member's own bend, which all loci have.
    pleiotropy : float
        Standard deviation of what mutants of the exposure do to the outcome directly.
    n_other : int
        Mutants of each locus that act on the third mark alone.
    """
    rng = np.random.default_rng(seed)
    size = rng.lognormal(0, 0.3, (n_loci, 1))
    lost = np.repeat(rng.beta(0.8, 1.0, (n_loci, 10)), 3, axis=1) * rng.uniform(0.5, 1, (n_loci, 30))
    lost[:, ::10] *= -0.2
    partner = rng.uniform(0, 1, (n_loci, 1))
    steep = 1 + slopes * (rng.normal(size=(n_loci, 1)) + (size - 1) / 0.3)
    y = steep * size * CURVES[curve](lost, partner) + pleiotropy * rng.normal(size=lost.shape)
    other = np.zeros((n_loci, n_other, 3))
    other[..., 2] = rng.normal(0, 0.5, (n_loci, n_other))
    true = np.concatenate([np.stack([-size * lost, y, np.zeros_like(y)], -1), other], 1)

    def error(scale):
        both = rng.normal(size=true.shape[:2])
        each = rng.normal(size=true.shape)
        return scale * np.stack([both, 0.8 * both + 0.6 * each[..., 1], each[..., 2]], -1)

    common = error(noise * np.sqrt(shared))
    levels = np.stack([2 + size[:, 0], 3 + partner[:, 0] * size[:, 0], 4 + 2 * partner[:, 0]], -1)
    effects = np.empty((n_loci, n_members, *true.shape[1:]))
    for k in range(n_members):
        of_member = true + common + error(noise * np.sqrt(1 - shared))
        of_member[..., 1] += leak * rng.normal() * true[..., 0] ** 2
        effects[:, k] = of_member
    return Known(effects, levels[:, None] + 0.1 * rng.normal(size=(n_loci, n_members, 3)))
