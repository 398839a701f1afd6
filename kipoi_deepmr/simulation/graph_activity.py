"""From sequences to the marks of a causal graph: motifs, each mark's own input, and what the graph makes of it."""

import numpy as np

from .binding import BACKGROUND, binding_probability, soft_or

WIDTH = 8
SHORTEST, SPACE = 64, 12  # bases of a sequence, and bases for each motif
# probability of the consensus base, position by position: a core that decides, flanks that modulate
CONSENSUS = np.array([0.75, 0.9, 0.97, 0.97, 0.97, 0.95, 0.85, 0.7])
LEAST_DISTANCE = 5  # bases in which two consensus words differ, at least
WORDS_SEED = 20
OWN = 10.0  # what a motif that is certainly bound adds to its mark
CEILING = 15.0  # of an activity that saturates
NOISE = 0.5  # standard deviation of a label's noise
# rounds of fixed-point iteration: a round shrinks the error by the graph's spectral radius, 0.7 at most
ROUNDS = 100


def length_of(n_motifs):
    """Bases of a sequence with so many motifs."""
    return max(SHORTEST, SPACE * n_motifs)


def motifs_of(names):
    """PWMs, each (WIDTH, 4), of consensus words that are far from each other; the same for the same number of names."""
    rng, words = np.random.default_rng(WORDS_SEED), []
    while len(words) < len(names):
        word = rng.integers(0, 4, WIDTH)
        if all((word != other).sum() >= LEAST_DISTANCE for other in words):
            words.append(word)
    return {name: np.where(np.eye(4)[word] > 0, CONSENSUS[:, None], (1 - CONSENSUS[:, None]) / 3)
            for name, word in zip(names, words, strict=True)}


def _threshold(pwm):
    """Score at which a motif is bound half of the time: what an instance drawn from the PWM scores on average, less 1.

    So an instance is bound more often than not and hardly one is saturated: single mutants move it both ways.
    """
    return float((pwm * np.log(pwm / BACKGROUND)).sum()) - 1


def own_input(bases, pwms):
    """(n, motif) what each mark's and hidden cause's own motif adds, between 0 and `OWN`."""
    return OWN * np.stack([soft_or(binding_probability(bases, pwm, _threshold(pwm))) for pwm in pwms.values()], axis=-1)


def activity(own, direct, labels):
    """What a graph makes of own inputs.

    Linear: ``y = own (I - direct)^-1``. Saturating: the fixed point of ``y = f(own + y direct)`` with
    ``f(u) = CEILING tanh(u / CEILING)``; there is one, as the spectral radius of ``|direct|`` is below 1 and f is
    nowhere steeper than 1.

    Parameters
    ----------
    own : (..., n) array
    direct : (n, n) array
    labels : {"linear", "saturating"}

    Returns
    -------
    (..., n) array
    """
    if labels == "linear":
        return own @ np.linalg.inv(np.eye(len(direct)) - direct)
    reached = np.zeros_like(own)
    for _ in range(ROUNDS):
        reached = saturate(own + reached @ direct)
    return reached


def saturate(inputs):
    """The activity that an input reaches in the saturating model."""
    return CEILING * np.tanh(inputs / CEILING)


def draw_labels(bases, pwms, graph, labels, rng):
    """(n, mark) float32 noisy activities of the marks; those of hidden causes are not among them."""
    exact = activity(own_input(bases, pwms), graph.direct, labels)[:, :graph.n_marks]
    return (exact + rng.normal(0, NOISE, exact.shape)).astype(np.float32)
