"""Two regions of a locus, replaced one at a time and both together: their effects at each locus, by pair of marks."""

from functools import partial
from typing import NamedTuple

import numpy as np

from ..effects_store import StoredMutants, each_block
from ..loci.mutants import PAIRS, REGIONS

NO_PAIRS = ("these effects have no pairs of regions; predict them with --mutants regions,pairs and "
            "--instrument_regions BED")
NEARLY_ZERO = 0.05  # of the reference


class RegionPairs(NamedTuple):
    """The effects of regions of two marks, at the loci that have both.

    Attributes
    ----------
    first, second : int
        Numbers of the marks whose regions they are; of the same mark, the first region lies before the second.
    loci : (n,) int
        Numbers in the Dataset.
    n_pairs : (n,) int
        Pairs of such regions at each locus; what follows is their mean.
    effects : (n, member, 3, outcome) float64
        Without the first region, without the second, and without both.
    product : (n, member, outcome) float64
        What a multiplicative model adds to the sum of the first two: their product over the reference. NaN where the
        reference is not positive, or another prediction below 0 by more than `NEARLY_ZERO` of it.
    """

    first: int
    second: int
    loci: np.ndarray
    n_pairs: np.ndarray
    effects: np.ndarray
    product: np.ndarray


def has_pairs(effects):
    """Whether a Dataset of effects has mutants of two regions at once."""
    return PAIRS in StoredMutants(effects).kinds


def count_pairs(effects):
    """How many loci have a pair of regions, by the numbers of the two marks: dict of (first, second) to int.

    Reads where regions are, and no effects.
    """
    pairs = np.flatnonzero(StoredMutants(effects).kind == PAIRS)
    there = effects["length"].values[:, pairs] > 0
    marks = np.stack([effects[name].values[:, pairs] for name in ("target", "target_2")], -1)
    found = {}
    for locus in range(len(there)):
        for both in np.unique(np.sort(marks[locus, there[locus]], -1), axis=0).tolist():
            found[tuple(both)] = found.get(tuple(both), 0) + 1
    return found


def gather_pairs(effects, exposures, outcomes, map_blocks=each_block):
    """All pairs of regions of a Dataset of effects, by the two marks.

    Parameters
    ----------
    effects : xarray.Dataset
        With pairs and with `member_effect` (see `effects_store.open_effects`).
    exposures, outcomes : sequence of int
        Numbers of the marks whose regions are compared, and of those on which they act.
    map_blocks : callable, optional
        As `each_block`, which is the default.

    Returns
    -------
    list of RegionPairs
        Loci without predictions are left out.
    """
    found = {}
    for of_block in map_blocks(partial(_of_block, exposures=set(exposures), outcomes=list(outcomes)), effects):
        for marks, rows in of_block.items():
            found.setdefault(marks, []).extend(rows)
    return [RegionPairs(*marks, *(np.array(column) for column in zip(*rows, strict=True)))
            for marks, rows in sorted(found.items())]


def _of_block(effects, block, exposures, outcomes):
    """Rows of `RegionPairs` of a block of loci, by pair of marks."""
    kind = StoredMutants(effects).kind
    regions, pairs = np.flatnonzero(kind == REGIONS), np.flatnonzero(kind == PAIRS)
    begin = int(min(regions[0], pairs[0]))
    numbers = np.arange(effects.sizes["locus"])[block]
    places = [np.stack([effects[f"{name}{end}"][block].values for name in ("target", "position", "length")], 2)
              for end in ("", "_2")]
    read = effects["member_effect"].isel(locus=block, variant=slice(begin, None), mark=outcomes)
    members = read.values.astype(np.float64)
    references = effects["reference"].isel(locus=block, mark=outcomes).values.astype(np.float64)
    found = {}
    for row, number in enumerate(numbers.tolist()):
        alone = {tuple(places[0][row, v]): v for v in regions.tolist()}
        of_locus = {}
        for v in pairs[places[0][row, pairs, 2] > 0].tolist():
            both = sorted(tuple(place[row, v].tolist()) for place in places)
            marks = tuple(target for target, *_ in both)
            if exposures.issuperset(marks):
                of_locus.setdefault(marks, []).append([*(alone[place] - begin for place in both), v - begin])
        for marks, variants in of_locus.items():
            each = members[row][:, np.array(variants)]  # (member, pair, 3, outcome)
            if np.isfinite(each).all():
                product = _products(each, references[row][:, None])
                found.setdefault(marks, []).append((number, len(variants), each.mean(1), product.mean(1)))
    return found


def _products(each, reference):
    """What the multiplicative model adds, (member, pair, outcome); NaN where predictions are no amounts."""
    positive = (reference > 0) & (each >= -(1 + NEARLY_ZERO) * reference[:, :, None]).all(2)
    return np.divide(each[:, :, 0] * each[:, :, 1], reference, out=np.full(positive.shape, np.nan), where=positive)
