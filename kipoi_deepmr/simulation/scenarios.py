"""The four scenarios of confounding, what is drawn once a round, and training data."""

from typing import NamedTuple

import numpy as np

from .. import options
from .binding import CONFOUNDER, MARKS, Parameters, affinities, anscombe, binding_probability, load_pwms, soft_or
from .sequences import hold_out, sample_sequences, with_mutated_copies

N_TRAINING = 10_000


class Scenario(NamedTuple):
    """Whether a confounder that the sequence shows (SOX2's motif), and one that it does not, act on both marks."""

    shown: bool
    hidden: bool


SCENARIOS = {"none": Scenario(False, False), "sequence": Scenario(True, False), "independent": Scenario(False, True),
             "both": Scenario(True, True)}
assert set(SCENARIOS) == set(options.SCENARIOS)


class Strengths(NamedTuple):
    """Of confounding, as `Parameters` has them; and gamma, if it is not to be drawn."""

    eta: float = 20.0
    nu: float = 30.0
    tau: float = 25.0
    gamma: float | None = None

    def times(self, factor):
        """Confounders so many times as strong."""
        return self._replace(eta=factor * self.eta, nu=factor * self.nu, tau=factor * self.tau)


PAPER_STRENGTHS = Strengths()


def draw_parameters(rng, scenario=SCENARIOS["none"], strengths=PAPER_STRENGTHS):
    """alpha ~ N(100, 3); gamma ~ an even mixture of N(10, 0.5) and N(1, 0.5), cut at 0; the rest is fixed."""
    alpha = float(rng.normal(100, 3))
    gamma = float(max(0, rng.normal(rng.choice([10, 1]), 0.5)))
    shown, hidden = scenario
    return Parameters(alpha, gamma if strengths.gamma is None else strengths.gamma, strengths.eta * shown,
                      strengths.nu * shown, strengths.tau * hidden)


def pwms_of(scenario):
    """PWMs of the factors whose motifs the scenario's sequences hold."""
    return load_pwms((*MARKS, CONFOUNDER) if scenario.shown else MARKS)


def draw_labels(bases, pwms, parameters, rng):
    """(n, 2) float32 Anscombe-transformed Poisson counts, the hidden confounder on in half of the sequences."""
    hidden = rng.random(len(bases)) < 0.5 if parameters.tau else 0.0
    return anscombe(rng.poisson(affinities(bases, pwms, parameters, hidden))).astype(np.float32)


def draw_confounder_labels(bases, pwms, parameters, rng):
    """(n, 1) float32 Anscombe-transformed Poisson counts of SOX2, whose mean is 1 + alpha q."""
    mean = 1 + parameters.alpha * soft_or(binding_probability(bases, pwms[CONFOUNDER]))
    return anscombe(rng.poisson(mean[:, None])).astype(np.float32)


def training_data(pwms, parameters, rng, n=N_TRAINING, confounder_mark=False):
    """Bases and noisy labels for training and for validation: ``(train, train_labels), (valid, valid_labels)``.

    n sequences, and a copy of a quarter of them with one base changed and a label of its own. With `confounder_mark` a
    third column of labels, SOX2's; it is drawn last, so that all else is what it is without.
    """
    bases, copied = with_mutated_copies(sample_sequences(n, pwms, rng), pwms, rng)
    labels = draw_labels(bases, pwms, parameters, rng)
    valid = hold_out(n, copied, rng)
    if confounder_mark:
        labels = np.concatenate([labels, draw_confounder_labels(bases, pwms, parameters, rng)], axis=1)
    return (bases[~valid], labels[~valid]), (bases[valid], labels[valid])
