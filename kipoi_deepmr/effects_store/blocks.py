"""Blocks of loci: how much of a Dataset of effects is held in memory at a time."""

import numpy as np

BLOCK_BYTES = 16_000_000  # of effects in float64 held at a time


def locus_blocks(effects):
    """Slices of loci whose effects fit in `BLOCK_BYTES`."""
    sizes = effects.sizes
    block = max(1, BLOCK_BYTES // (8 * max(1, sizes["variant"] * sizes["mark"])))
    return [slice(i, min(i + block, sizes["locus"])) for i in range(0, sizes["locus"], block)]


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
