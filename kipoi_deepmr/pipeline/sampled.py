"""How many effects will have an estimate, and from how many instruments: roughly, from a few loci."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy import special

from .. import effects_store
from ..instruments import rule_for, with_se_shrinkage
from ..instruments.moments import population
from ..instruments.rays import MOST_TRIED, NEAR_LARGEST
from ..instruments.sample import BACKGROUNDS, DENSE, LEAST_Z, MOST_BYTES, MOST_Z, standardise
from ..instruments.search import LEAST_MUTANTS, LEAST_SHARE_OF_DENSE
from ..loci import Loci, Locus
from ..methods import METHODS
from ..mr.block import Block, LeaveOut

SAMPLED, SAMPLED_FOR_CAUSES, SAMPLE_BYTES = 4, 16, 64_000_000  # loci that are read: so many if they fit,
SAMPLED_NUMBERS = 500_000  # or, of few marks, as many as have so many effects


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
    crowded : float
        Mutants from which the network is inferred that move many marks about as much, so that it takes long to find on
        which they act.
    of_mutants : float
        Of mutants that are instruments of some mark.
    served : float
        Marks of which such a mutant is an instrument, on average.
    """

    share: float
    of_pairs: float
    causes: float
    crowded: float
    of_mutants: float
    served: float


def most(options, sizes):
    """The most that there can be: a `Sampled`; `sizes` are those of the effects' dimensions."""
    share = min(1.0, sizes["variant"] / sizes["mark"]) if options.instruments == "direct" else 1.0
    return Sampled(share, 1.0, 1.0, 0.0, 1.0, 1.0 if options.instruments == "direct" else sizes["mark"])


def sample_of(effects):
    """A few loci of effects, in memory: an xarray.Dataset."""
    n_loci, of_locus = effects.sizes["locus"], effects.sizes["variant"] * effects.sizes["mark"]
    n_sampled = max(SAMPLED, min(n_loci, SAMPLED_NUMBERS // of_locus))
    return effects.isel(locus=_some_loci(effects.sizes, n_sampled)).load()


def _some_loci(sizes, most_loci):
    """Numbers of loci all over the Dataset, as many as may be read."""
    n = int(np.clip(SAMPLE_BYTES // (4 * sizes["variant"] * sizes["mark"]), 1, min(most_loci, sizes["locus"])))
    return np.unique(np.linspace(0, sizes["locus"] - 1, n).astype(int))


def simulated(sizes, marks, keeps_members=True):
    """A few loci as a model may predict them, when nothing is predicted yet: an xarray.Dataset.

    Members differ by chance alone, so that some mutants are instruments of each mark.

    Parameters
    ----------
    sizes : dict of str to int
        Of the dimensions locus, member, variant and mark.
    marks : sequence of str
    keeps_members : bool
        Whether every member's effects are stored.
    """
    length = -(-sizes["variant"] // 3)  # as if all mutants were single
    n_loci = int(np.clip(SAMPLED_NUMBERS // (3 * length * len(marks)), 1, sizes["locus"]))
    n_members, rng = sizes["member"], np.random.default_rng(0)
    members = rng.standard_normal((n_loci, n_members, 3 * length, len(marks)), np.float32)
    data = {"effect": members.mean(1), "effect_se": members.std(1, ddof=min(1, n_members - 1)),
            "reference": np.zeros((n_loci, n_members, len(marks)), np.float32),
            **dict.fromkeys(("ref_base", "alt_base"), np.full((n_loci, 3 * length), "A")),
            **({"member_effect": members} if keeps_members else {})}
    sequence = np.full(length, ord("A"), np.uint8)
    loci = Loci.from_list([Locus("chr1", i * length, (i + 1) * length, "+", f"locus{i}", sequence)
                           for i in range(n_loci)])
    return effects_store.dataset(loci, marks, [f"member{k}" for k in range(n_members)], data)


def rule_of(sample, options):
    """The instrument rule of some loci, or one that is like it where it takes more than these loci."""
    name = {"direct": "own", "regions": "own", "variants": "pooled"}.get(options.instruments, options.instruments)
    return rule_for(sample, name, options.instrument_z, steiger=options.steiger)


def sampled(effects, options, sample=None):
    """`Sampled` from a few loci.

    Parameters
    ----------
    effects : xarray.Dataset
    options : EstimateOptions
    sample : xarray.Dataset, optional
        A few loci of these, in memory, if they are read already.

    Returns
    -------
    Sampled
        For the rule direct, and of the network, as if a mutant acted on the mark that it moves most, in standard
        deviations, since who acts on what is not known yet.
    """
    n_loci, marks = effects.sizes["locus"], effects["mark"].values.tolist()
    sample = sample_of(effects) if sample is None else sample
    sample = with_se_shrinkage(sample, options.se_shrinkage, quiet=True)
    n_sampled = sample.sizes["locus"]
    if not np.isfinite(sample["effect"].values).any():  # all sampled loci are lost
        return most(options, effects.sizes)
    rule = rule_of(sample, options)
    block = Block.read(sample, slice(0, n_sampled), rule, options.is_cross_fitted)
    views = [block]
    if options.is_cross_fitted:
        leave_out = LeaveOut.of(sample, rule)
        views = [leave_out.without(block, k) for k in range(effects.sizes["member"])]
    causes, crowded = of_network(effects)
    share_of_marks = 1.0
    if options.instruments == "direct":
        views, share_of_marks = [of_largest(view) for view in views], causes
    fewest = min(max(options.min_instruments, METHODS[name].fewest) for name in options.method)
    counts = np.array([view.instruments.mask.sum(1) for view in views])
    chosen = (counts >= fewest).all(0) & np.isin(marks, options.exposures or marks)
    of_locus = float(chosen[:, np.isin(marks, options.exposures or marks)].mean())
    of_mutant = views[0].instruments.mask.sum(-1)
    return Sampled(share_of_marks * of_locus, share_of_marks * (1 - (1 - of_locus) ** n_loci), causes, crowded,
                   float((of_mutant > 0).mean()), float(of_mutant[of_mutant > 0].mean()) if of_mutant.any() else 0.0)


def of_network(effects):
    """`Sampled.causes` and `Sampled.crowded`, as if each mutant acted on the mark that it moves most.

    Some marks have more mutants than others: how many each gets in all is taken to be negative binomial, as many as at
    the loci that are read on average, and spread as much.
    """
    loci = _some_loci(effects.sizes, SAMPLED_FOR_CAUSES)
    effect = effects["effect"][loci].values[:, population(effects)].reshape(-1, effects.sizes["mark"])
    effect = effect[np.isfinite(effect).all(1)]
    if not len(effect):
        return 1.0, 0.0
    n_mutants, sd = len(effect) * effects.sizes["locus"] / len(loci), effect.std(0)
    z = np.abs(standardise(effect - effect.mean(0), sd))
    background = 1.4826 * np.median(z, 0)
    strong = (z >= np.clip(BACKGROUNDS * background, LEAST_Z, MOST_Z)).any(1)
    size = np.abs(standardise(effect[strong], sd))
    least = max(LEAST_MUTANTS, int(LEAST_SHARE_OF_DENSE * n_mutants * (np.median(background) >= DENSE)))
    crowded = ((size >= NEAR_LARGEST * size.max(1, keepdims=True)).sum(1) > MOST_TRIED).sum() / len(effect)
    dtype = effects["member_effect" if "member_effect" in effects else "effect"].dtype
    held = MOST_BYTES // (dtype.itemsize * effects.sizes["member"] * effects.sizes["mark"])
    return (_share_with(least, np.bincount(size.argmax(1), minlength=len(sd)), effects.sizes["locus"] / len(loci)),
            min(crowded * n_mutants, held))


def most_causes(sizes):
    """How many marks can have mutants of their own: as many as the strong mutants that are held are enough for.

    `sizes` are those of the effects' dimensions; mutants are held in float16 at least.
    """
    held = min(sizes["locus"] * sizes["variant"], MOST_BYTES // (2 * max(1, sizes["member"]) * sizes["mark"]))
    return min(sizes["mark"], held / LEAST_MUTANTS)


def _share_with(least, number, times):
    """Of marks with so many mutants where some loci were read, the share with `least` at so many times as many loci."""
    by_chance = number.mean() * (1 + 2 * np.sqrt(2 / len(number)))  # variance of numbers that differ by chance alone
    in_all = number.mean() * times
    if number.var() <= by_chance:
        return float(special.pdtrc(least - 1, in_all))
    shape = number.mean() ** 2 / (number.var() - number.mean())
    return float(special.betainc(least, shape, in_all / (in_all + shape)))


def of_largest(block):
    """The block, where only the mark that a mutant moves most has it as an instrument."""
    with np.errstate(all="ignore"):
        size = np.nan_to_num(np.abs(block.effect) / np.nanstd(block.effect, axis=(0, 1)), posinf=0)
    chosen = block.instruments.mask & (size == size.max(-1, keepdims=True))
    return replace(block, instruments=block.instruments._replace(mask=chosen))
