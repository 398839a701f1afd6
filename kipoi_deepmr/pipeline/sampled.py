"""How many effects will have an estimate, and from how many instruments: roughly, from a few loci."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy import special

from ..instruments import rule_for, with_se_shrinkage
from ..instruments.search import LEAST_MUTANTS
from ..methods import METHODS
from ..mr.block import Block, LeaveOut

SAMPLED, SAMPLE_BYTES = 4, 64_000_000  # loci that are read
INSTRUMENTS = 0.05  # of the mutants, if nothing is known


class Sampled(NamedTuple):
    """What is known of effects before all of them are read.

    Attributes
    ----------
    share : float
        Of pairs and loci that have an estimate.
    of_pairs : float
        Of pairs that have one at some locus.
    causes : float
        Of marks that have instruments of their own in the network.
    instruments : float
        Of an estimate, on average.
    """

    share: float
    of_pairs: float
    causes: float
    instruments: float


def most(options, sizes):
    """The most that there can be: a `Sampled`; `sizes` are those of the effects' dimensions."""
    share = min(1.0, sizes["variant"] / sizes["mark"]) if options.instruments == "direct" else 1.0
    return Sampled(share, 1.0, 1.0, INSTRUMENTS * sizes["variant"])


def sampled(effects, options):
    """`Sampled` from a few loci.

    Parameters
    ----------
    effects : xarray.Dataset
    options : EstimateOptions

    Returns
    -------
    Sampled
        For the rule direct, and of the network, as if a mutant acted on the mark that it moves most, in standard
        deviations, since who acts on what is not known yet.
    """
    n_loci, marks = effects.sizes["locus"], effects["mark"].values.tolist()
    n_sampled = int(np.clip(SAMPLE_BYTES // (4 * effects.sizes["variant"] * len(marks)), 1, min(SAMPLED, n_loci)))
    loci = np.unique(np.linspace(0, n_loci - 1, n_sampled).astype(int))
    sample = with_se_shrinkage(effects.isel(locus=loci).load(), options.se_shrinkage, quiet=True)
    if not np.isfinite(sample["effect"].values).any():  # all sampled loci are lost
        return most(options, effects.sizes)
    rule = rule_for(sample, {"direct": "own", "regions": "own", "variants": "pooled"}.get(
        options.instruments, options.instruments), options.instrument_z)
    block = Block.read(sample, slice(0, len(loci)), rule, options.is_cross_fitted)
    views = [block]
    if options.is_cross_fitted:
        leave_out = LeaveOut.of(sample, rule)
        views = [leave_out.without(block, k) for k in range(effects.sizes["member"])]
    # marks with enough mutants in all, as if by chance
    largest = _of_largest(views[0])
    of_mark = largest.instruments.mask.sum() / len(loci) * n_loci / len(marks)
    causes = float(special.pdtrc(LEAST_MUTANTS - 1, of_mark))
    share_of_marks = 1.0
    if options.instruments == "direct":
        views, share_of_marks = [_of_largest(view) for view in views], causes
    fewest = min(max(options.min_instruments, METHODS[name].fewest) for name in options.method)
    counts = np.array([view.instruments.mask.sum(1) for view in views])
    chosen = (counts >= fewest).all(0) & np.isin(marks, options.exposures or marks)
    of_locus = float(chosen[:, np.isin(marks, options.exposures or marks)].mean())
    return Sampled(share_of_marks * of_locus, share_of_marks * (1 - (1 - of_locus) ** n_loci), causes,
                   float(counts.mean(0)[chosen].mean()) if chosen.any() else 0.0)


def _of_largest(block):
    """The block, where only the mark that a mutant moves most has it as an instrument."""
    with np.errstate(all="ignore"):
        size = np.nan_to_num(np.abs(block.effect) / np.nanstd(block.effect, axis=(0, 1)), posinf=0)
    chosen = block.instruments.mask & (size == size.max(-1, keepdims=True))
    return replace(block, instruments=block.instruments._replace(mask=chosen))
