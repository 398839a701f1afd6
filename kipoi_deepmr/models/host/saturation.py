"""Which mutants: all single-nucleotide ones of a sequence."""

import numpy as np

BASES = np.frombuffer(b"ACGT", dtype=np.uint8)


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
    n_variants = 3 * len(sequence)
    return rows(sequence, 1, 1 + n_variants), np.repeat(sequence, 3), alternative_bases(sequence)


def alternative_bases(sequence):
    """The base that each mutant holds at its mutation: (3 L,) uint8."""
    return np.broadcast_to(BASES, (len(sequence), 4))[BASES != sequence[:, None]]


def rows(sequence, start, stop):
    """Rows [start, stop) of the 1 + 3 L sequences that are the reference and then its mutants.

    Returns
    -------
    (stop - start, L) uint8
    """
    return some_rows(sequence, np.arange(start, stop))


def some_rows(sequence, numbers):
    """`rows` of some numbers, an ascending array: (numbers, L) uint8."""
    made = np.tile(sequence, (len(numbers), 1))
    mutants = np.flatnonzero(numbers > 0)
    variants = numbers[mutants] - 1
    made[mutants, variants // 3] = alternative_bases(sequence)[variants]
    return made
