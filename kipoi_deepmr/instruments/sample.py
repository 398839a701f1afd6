"""The mutants that move a mark strongly: those from which the causal network is inferred, gathered block by block."""

from functools import partial
from typing import NamedTuple

import numpy as np

from ..effects_store import StoredMutants, each_block
from ..errors import InputError
from .moments import moments, population
from .rays import pieces

LEAST_Z, MOST_Z = 2.0, 3.5  # a mutant counts if it lies so many standard deviations from the mean, for some mark:
BACKGROUNDS = 4.0  # as many times a typical mutant's effect, within these bounds
# Without single mutants the sd is that of windows, of which many are strong, so that none lies 2 sd from the mean: at
# most this share of the distance that one in a hundred has.
OF_STRONGEST, STRONGEST, LEAST_OF_SEVERAL = 0.5, 0.01, 0.5
# Most mutants move a mark if its typical effect, without the members' errors, is this share of a standard deviation or
# more; it is 0.05 to 0.5 in models that see motifs.
DENSE = 0.7
EDGES = np.logspace(-4, 2, 601)  # of the histogram from which a typical effect is read
LEAST_MEMBERS = 3
MOST_BYTES = 400_000_000  # of members' effects that are held; beyond it the weakest mutants are left out


class Sample(NamedTuple):
    """Strong mutants of all loci, in the order of the loci.

    Attributes
    ----------
    effect : (mutant, mark) float64
        Mean over members, in standard deviations of the mark's effects over the mutants of all loci, the single ones
        where there are any.
    members : (member, mutant, mark) float32, or as they are stored
        The same of each member.
    locus : (mutant,) int64
        Number of the locus.
    sd : (mark,) float64
        The unit, in that of the mark; 0 where nothing moves the mark, whose effects are then 0 here.
    n_loci : int
        Of the Dataset.
    background : (mark,) float64
        How much a typical mutant, strong or not, moves each mark, in standard deviations.
    dense : (mark,) bool
        Marks that most mutants move.
    n_mutants : int
        Of these of the Dataset, strong or not.
    """

    effect: np.ndarray
    members: np.ndarray
    locus: np.ndarray
    sd: np.ndarray
    n_loci: int
    background: np.ndarray
    dense: np.ndarray
    n_mutants: int


def sample(effects, map_blocks=None, most_bytes=MOST_BYTES):
    """Gather the strong mutants of a Dataset of effects.

    Parameters
    ----------
    effects : xarray.Dataset
        With `effect` and `member_effect`: read twice, block by block.
    map_blocks : callable, optional
        As `kipoi_deepmr.effects_store.each_block`, which is the default: where blocks are read.
    most_bytes : int
        What members' effects may take in memory. If there are more strong mutants, the strongest of each mark stay.

    Returns
    -------
    Sample

    Raises
    ------
    InputError
        Fewer than two marks or three members, no members' effects, effects that are all zero or not finite.
    """
    check(effects)
    mean, sd = moments(effects, map_blocks)
    marks = effects["mark"].values
    if not np.isfinite(sd).all():
        bad = ", ".join(map(str, marks[~np.isfinite(sd)][:5]))
        raise InputError(f"effects on {bad} are not finite numbers: predict them again")
    if not (sd > 0).any():
        raise InputError("all effects are zero: no mutant moves any mark, so there is nothing to infer a network from")
    sizes, errors = np.zeros((2, len(sd), len(EDGES) + 1), np.int64)
    gathered, known = _Strongest(most_bytes, effects), population(effects)
    least_z = LEAST_Z if StoredMutants(effects).n_single else LEAST_OF_SEVERAL
    strong = partial(_strong, mean=mean, sd=sd, known=known, least=least_z)
    for counts, *part in (map_blocks or each_block)(strong, effects):
        sizes += counts[0]
        errors += counts[1]
        gathered.add(*part)
    background = 1.4826 * median(sizes)
    dense = background ** 2 - median(errors) ** 2 >= DENSE ** 2
    # where few mutants move a mark, 2 sd are far above the background; where its spread is that of errors, they are not
    least = np.clip(BACKGROUNDS * background, LEAST_Z, MOST_Z)
    if least_z < LEAST_Z:
        least = np.maximum(np.minimum(least, OF_STRONGEST * quantile(sizes, 1 - STRONGEST)), least_z)
    members, locus = gathered.beyond(least)
    del gathered
    return Sample(members.mean(0, dtype=np.float64), members, locus, sd, effects.sizes["locus"], background,
                  dense, int(sizes[0].sum()))


def median(histogram):
    """Medians of the marks whose histograms these are: 1.4826 times that of distances is the standard deviation of most
    mutants, since strong mutants are few."""
    return quantile(histogram, 0.5)


def quantile(histogram, share):
    """Quantiles of the marks whose histograms these are."""
    reached = histogram.cumsum(1) >= histogram.sum(1, keepdims=True) * share
    return np.append(EDGES, EDGES[-1])[reached.argmax(1)]


def check(effects):
    """Raise InputError unless a Dataset has what direct effects are inferred from."""
    if effects.sizes["mark"] < 2:
        raise InputError(f"a network needs at least two marks; there is {effects.sizes['mark']}")
    if "member_effect" not in effects:
        raise InputError("direct effects need the effects of every member, which this store does not hold: "
                         "predict with --keep members, or use --network none")
    if effects.sizes["member"] < LEAST_MEMBERS:
        raise InputError(f"direct effects need at least {LEAST_MEMBERS} members, of which there are "
                         f"{effects.sizes['member']}; use instruments by region, or --network none")


def standardise(values, sd):
    """Values (..., mark) in standard deviations; 0 for a mark that nothing moves."""
    return np.where(sd > 0, values / np.where(sd > 0, sd, 1.0), 0.0)


def _strong(effects, block, mean, sd, known, least):
    """Histograms of the distances from the mean and of the mean's errors, of the variants `known`; distance, members'
    effects and locus of mutants that may be strong: `least` from the mean or more.

    A block is sized for the mean over members, and every member's effects are read here: some of its loci at a time.
    """
    size = max(1, (block.stop - block.start) // effects.sizes["member"])
    counts, parts = 0, []
    for first in range(block.start, block.stop, size):
        of_part, *part = _strong_of(effects, slice(first, min(first + size, block.stop)), mean, sd, known, least)
        counts += of_part  # which is large for many marks
        parts.append(part)
    return counts, *map(np.concatenate, zip(*parts, strict=True))


def _strong_of(effects, block, mean, sd, known, least):
    effect = effects["effect"][block].values.astype(np.float64)
    every = effects["member_effect"][block].values
    z = np.abs(standardise(effect - mean, sd)).astype(np.float32)
    error = standardise(every.std(1, ddof=1) / np.sqrt(every.shape[1]), sd)
    finite = np.isfinite(z[:, known]).all(-1)
    counts = [_histograms(values[:, known][finite]) for values in (z, error)]
    with np.errstate(invalid="ignore"):
        locus, mutant = np.nonzero((z >= least).any(-1))
    members = every[locus, :, mutant]
    standardised = standardise(members, sd).astype(members.dtype)
    finite = np.isfinite(standardised).all((1, 2))
    locus, mutant = locus[finite], mutant[finite]
    return np.array(counts), z[locus, mutant], standardised[finite], block.start + locus


def _ranks(z):
    """Of mutants at distances (mutant, mark), the rank of each among those that move the same mark most: 0 for the
    strongest."""
    size, mark = z.max(1), z.argmax(1)
    order, rank = np.lexsort((-size, mark)), np.empty(len(z), int)
    number = np.bincount(mark, minlength=z.shape[1])
    rank[order] = np.arange(len(z)) - np.repeat(np.cumsum(number) - number, number)
    return rank


def _histograms(values):
    """Of (mutant, mark), the number of values between two `EDGES` by mark."""
    n_marks, n_bins = values.shape[1], len(EDGES) + 1
    place = np.searchsorted(EDGES, values) + n_bins * np.arange(n_marks)
    return np.bincount(place.ravel(), minlength=n_marks * n_bins).reshape(n_marks, n_bins)


class _Strongest:
    """Keeps the strongest mutants whose effects fit in memory: of those that move each mark most, as many as of others.

    The strongest of all would be those of a few marks, and the other marks would have none of their own.
    In arrays made once: parts that come and go leave holes, which the process never gives back.
    """

    def __init__(self, most_bytes, effects):
        sizes, dtype = effects.sizes, effects["member_effect"].dtype
        self._most = max(1, int(most_bytes // (sizes["member"] * sizes["mark"] * dtype.itemsize)))
        self._room = min(sizes["locus"] * sizes["variant"], self._most + max(1, self._most // 2))
        self._n, self._locus = 0, np.empty(self._room, np.int64)
        self._z = np.empty((self._room, sizes["mark"]), np.float32)
        self._members = np.empty((self._room, sizes["member"], sizes["mark"]), dtype)

    def add(self, z, members, locus):
        """Take mutants: distances (mutant, mark), members' effects (mutant, member, mark) and loci."""
        first = 0
        while first < len(locus):
            if self._n == self._room:
                self._leave_out_weak()
            taken = slice(first, min(len(locus), first + self._room - self._n))
            here = slice(self._n, self._n + taken.stop - first)
            self._z[here], self._members[here], self._locus[here] = z[taken], members[taken], locus[taken]
            first, self._n = taken.stop, here.stop

    def beyond(self, least):
        """Members' effects (member, mutant, mark) and loci of the strongest mutants: at least `least` (mark,) from the
        mean for some mark. Only once."""
        self._leave_out_weak()
        self._keep(np.concatenate([np.zeros(0, bool), *((self._z[rows] >= least).any(1) for rows in pieces(self._n))]))
        self._z = None
        return np.ascontiguousarray(np.swapaxes(self._members[:self._n], 0, 1)), self._locus[:self._n].copy()

    def _leave_out_weak(self):
        if self._n > self._most:
            z, kept = self._z[:self._n], np.zeros(self._n, bool)
            kept[np.lexsort((-z.max(1), _ranks(z)))[:self._most]] = True
            self._keep(kept)

    def _keep(self, kept):
        chosen = np.flatnonzero(kept)
        for values in (self._z, self._members, self._locus):
            for rows in pieces(len(chosen)):  # no row moves behind one that is still to move
                values[rows] = values[chosen[rows]]
        self._n = len(chosen)
