"""Which mutants: all single-nucleotide ones of a sequence."""

import numpy as np

from .. import dna


def saturation_mutants(sequence):
    """All 3 L single-nucleotide mutants of a sequence.

    Variants run over positions, and at each over the three other letters in the order ACGT.

    Parameters
    ----------
    sequence : (L,) uint8
        Upper-case A, C, G, T.

    Returns
    -------
    mutants : (3 L, L) uint8
    ref_base, alt_base : (3 L,) uint8
        The base before and after each mutation.
    """
    length = len(sequence)
    others = dna.BASES != sequence[:, None]
    alt_base = np.broadcast_to(dna.BASES, (length, 4))[others]
    mutants = np.tile(sequence, (3 * length, 1))
    mutants[np.arange(3 * length), np.repeat(np.arange(length), 3)] = alt_base
    return mutants, np.repeat(sequence, 3), alt_base
