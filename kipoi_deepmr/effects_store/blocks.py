"""Blocks of loci: how much of a Dataset of effects is held in memory at a time."""

import numpy as np

BLOCK_BYTES = 16_000_000  # of effects in float64 held at a time


def loci_of_block(sizes):
    """How many loci's effects fit in `BLOCK_BYTES`; `sizes` are those of the effects' dimensions."""
    return max(1, BLOCK_BYTES // (8 * max(1, sizes["variant"] * sizes["mark"])))


def locus_blocks(effects):
    """Slices of loci whose effects fit in `BLOCK_BYTES`."""
    n_loci, block = effects.sizes["locus"], loci_of_block(effects.sizes)
    return [slice(i, min(i + block, n_loci)) for i in range(0, n_loci, block)]


def each_block(function, effects, blocks=None):
    """What `function(effects, block)` gives for each block of loci (`locus_blocks`), in order: an iterator."""
    return (function(effects, block) for block in (locus_blocks(effects) if blocks is None else blocks))


def predicted_mutants(effect):
    """Which mutants have effects: not those of lost loci, and of positions that were not mutated.

    (locus, variant, mark) to (locus, variant).
    """
    return ~np.isnan(effect).all(-1)


def not_predicted(effect):
    """Which loci have no effects, since a model's predictions were not finite: (locus, variant, mark) to (locus,)."""
    return np.isnan(effect).all((1, 2))
