"""Which mutants of a locus are predicted: single bases, and by a plan windows, regions, deletions and pairs.

A mutant of several bases is a stretch that is replaced. What replaces it depends on nothing but the plan's seed, the
locus and the stretch, so that a killed run goes on with the same sequences, and the two halves of a pair are those of
its regions.
"""

import re
import zlib
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations
from typing import NamedTuple

import numpy as np

from .. import dna
from ..errors import InputError, nearest
from ..options import REPLACEMENTS

SINGLE, WINDOWS, REGIONS, DELETIONS, PAIRS = NAMES = ("single", "windows", "regions", "deletions", "pairs")
FORMS = ("single", "windows:W[:STEP]", "regions", "deletions:W[:STEP]", "pairs")
BACKGROUND, DINUCLEOTIDE = REPLACEMENTS
REPLACED = (WINDOWS, REGIONS, PAIRS)  # whose effects are means over draws
AVERAGED = "*"  # the letters of a mutant that is a mean over draws
SEQUENCES_AT_ONCE = 2048
_SIZES = re.compile(r"[0-9]+(:[0-9]+)?")


class Kind(NamedTuple):
    """A kind of mutant: its name, and for windows and deletions their width and the step between them in bases."""

    name: str
    width: int = 0
    step: int = 0

    def __str__(self):
        sizes = (self.width, self.step) if self.step != self.width else (self.width,)
        return ":".join(map(str, (self.name, *sizes))) if self.width else self.name


def parse_mutants(text):
    """Kinds of mutants from such as `single,windows:8,deletions:3:1`: tuple of Kind, in the order of `NAMES`.

    Raises
    ------
    InputError
        One is unknown or malformed, or stands twice.
    """
    kinds = [_kind(part.strip(), text) for part in text.split(",")]
    if len(set(kinds)) < len(kinds):
        raise InputError(f"--mutants {text}: {next(str(kind) for kind in kinds if kinds.count(kind) > 1)} stands twice")
    return tuple(sorted(kinds, key=lambda kind: (NAMES.index(kind.name), kind.width, kind.step)))


def has_kind(kinds: tuple, *names: str) -> bool:
    """Whether one of some names is among kinds of mutants."""
    return any(kind.name in names for kind in kinds)


def _kind(part, text):
    name, _, sizes = part.partition(":")
    if name not in NAMES:
        raise InputError(f"--mutants {text}: {name!r} is no kind of mutant{nearest(name, FORMS)}")
    if name not in (WINDOWS, DELETIONS):
        if sizes:
            raise InputError(f"--mutants {text}: {name} takes no number, but {part!r} gives one")
        return Kind(name)
    numbers = [int(number) for number in sizes.split(":")] if _SIZES.fullmatch(sizes) else []
    if not numbers or min(numbers) < 1:
        raise InputError(f"--mutants {text}: {part!r} should be {FORMS[NAMES.index(name)]}, where W and STEP are "
                         "numbers of bases from 1")
    return Kind(name, numbers[0], numbers[-1])


class Mutants(NamedTuple):
    """The mutants of a locus, single ones first, then in the order of the plan's kinds: (variant,) arrays.

    Attributes
    ----------
    kind : str
    position, length : int32
        The stretch that changes: its first base in the locus as the model sees it, from 0, and its bases. length is 0
        where the locus has no such mutant.
    position_2, length_2 : int32
        The second stretch of a pair; else 0.
    target, target_2 : int32
        Number of the mark whose region it is; else -1.
    """

    kind: np.ndarray
    position: np.ndarray
    length: np.ndarray
    position_2: np.ndarray
    length_2: np.ndarray
    target: np.ndarray
    target_2: np.ndarray


@dataclass(frozen=True, eq=False)
class Plan:
    """The mutants of n loci of one length.

    Attributes
    ----------
    kinds : tuple of Kind
    n_draws : int
        Replacements over which the effect of a window or region is averaged.
    replacement : {"background", "dinucleotide"}
        What replaces it: bases drawn as often as the locus has them, or a shuffle of its own bases that keeps its ends
        and how often each two of them are neighbours.
    seed : int
    regions : (n, most, 3) int32
        First position, last (one after the end) and mark of the regions that lie in each locus, as the model sees it;
        -1 after them.
    flanks : (n, 2, widest deletion) uint8
        Bases before and after each locus as the model sees it, by which a deletion is refilled; 0 where there are none.
    """

    kinds: tuple
    n_draws: int
    replacement: str
    seed: int
    regions: np.ndarray
    flanks: np.ndarray

    def __getitem__(self, index):
        """The plan of some loci, a slice or an array of indices; they have as many variants as before."""
        return replace(self, regions=self.regions[index], flanks=self.flanks[index])

    def has(self, *names):
        """Whether one of some kinds is there."""
        return has_kind(self.kinds, *names)

    @property
    def has_single(self):
        """Whether the first variants are single mutants, three a position."""
        return self.has(SINGLE, REGIONS)

    @property
    def columns(self):
        """Fields of `Mutants` that tell something, beside kind."""
        second = self.has(PAIRS)
        return ("position", "length", *(("position_2", "length_2") if second else ()),
                *(("target",) if self.has(REGIONS, PAIRS) else ()), *(("target_2",) if second else ()))

    @property
    def longest(self):
        """Most bases that a mutant replaces, but for pairs."""
        regions = self.regions[..., 1] - self.regions[..., 0]
        return max(1, *(kind.width for kind in self.kinds), *regions.max(initial=0, keepdims=True).ravel().tolist())

    def draws_of(self, mutants):
        """Replacements over which the effect of each mutant is averaged: (variant,) int64."""
        return np.where(np.isin(mutants.kind, REPLACED), self.n_draws, 1)

    def to_json(self):
        """What decides the mutants, but for regions, as settings of a run."""
        return {"mutants": ",".join(map(str, self.kinds)), "mutant_draws": self.n_draws,
                "mutant_bases": self.replacement, "mutant_seed": self.seed}

    def table(self, number, mutated):
        """The mutants of a locus by its number; `mutated` (L,) bool tells which positions may change."""
        length = len(mutated)
        parts = [self._singles(number, mutated)] if self.has_single else []
        parts += [_stretches(kind, _starts(kind, length)) for kind in self.kinds if kind.width]
        regions = self.regions[number]
        ablated = _table(REGIONS, regions[:, 0], regions[:, 1] - regions[:, 0], target=regions[:, 2])
        if self.has(REGIONS, PAIRS):
            parts.append(ablated)
        if self.has(PAIRS):
            parts.append(_pairs(ablated))
        whole = Mutants(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
        n_before = np.r_[0, np.cumsum(mutated)]
        there = whole.length > 0
        for position, n in ((whole.position, whole.length), (whole.position_2, whole.length_2)):
            there &= n_before[position + n] - n_before[position] == n
        if self.has(DELETIONS):
            there &= (whole.kind != DELETIONS) | self._refilled(number, whole, length)
        return whole._replace(position=np.maximum(whole.position, 0), position_2=np.maximum(whole.position_2, 0),
                              length=np.where(there, whole.length, 0), length_2=np.where(there, whole.length_2, 0))

    def _singles(self, number, mutated):
        """Single mutants of all positions, or of those in regions."""
        if self.has(SINGLE):
            return single_mutants(mutated)
        edges = np.zeros(len(mutated) + 1, np.int64)
        first, last, mark = self.regions[number].T
        np.add.at(edges, first[mark >= 0], 1)
        np.add.at(edges, last[mark >= 0], -1)
        return single_mutants(mutated & (edges.cumsum()[:-1] > 0))

    def _refilled(self, number, mutants, length):
        """Whether the locus has, on the side that a deletion is refilled from, as many bases as it takes."""
        known = (self.flanks[number] != 0) & ~dna.is_ambiguous(self.flanks[number])
        left, right = known[0, ::-1].cumprod().sum(), known[1].cumprod().sum()
        return mutants.length <= np.where(_is_left(mutants.position, mutants.length, length), left, right)

    def sequences(self, number, sequence, mutants):
        """The mutants of a locus that are no single ones, as sequences.

        Parameters
        ----------
        number : int
            Of the locus.
        sequence : (L,) uint8
        mutants : Mutants
            As `table` gives them.

        Yields
        ------
        variants : (k,) int
            Their numbers.
        draws : int
            Sequences of each.
        made : (k draws, L) uint8
        """
        for names, n_draws, make in ((REPLACED, self.n_draws, self._replaced),
                                     ((DELETIONS,), 1, partial(self._deleted, *self.flanks[number]))):
            variants = np.flatnonzero(np.isin(mutants.kind, names) & (mutants.length > 0))
            step = max(1, SEQUENCES_AT_ONCE // n_draws)
            for first in range(0, len(variants), step):
                some = variants[first:first + step]
                yield some, n_draws, np.concatenate([make(sequence, mutants, variant) for variant in some.tolist()])

    def _deleted(self, before, after, sequence, mutants, variant):
        start, n = int(mutants.position[variant]), int(mutants.length[variant])
        left = [before[len(before) - n:]] if _is_left(start, n, len(sequence)) else []
        right = [] if left else [after[:n]]
        return np.concatenate([*left, sequence[:start], sequence[start + n:], *right])[None]

    def _replaced(self, sequence, mutants, variant):
        made = np.repeat(sequence[None], self.n_draws, axis=0)
        for start, n in ((mutants.position[variant], mutants.length[variant]),
                         (mutants.position_2[variant], mutants.length_2[variant])):
            if n:
                made[:, start:start + n] = self._draws(sequence, int(start), int(n))
        return made

    def _draws(self, sequence, start, n):
        """What replaces a stretch: (draws, n) uint8."""
        rng = np.random.default_rng([self.seed, zlib.crc32(sequence.tobytes()), start, n])
        if self.replacement == DINUCLEOTIDE:
            return np.stack([shuffled(sequence[start:start + n], rng) for _ in range(self.n_draws)])
        shares = np.bincount(np.searchsorted(dna.BASES, sequence), minlength=4) / len(sequence)
        return rng.choice(dna.BASES, (self.n_draws, n), p=shares)

    def letters(self, sequence, mutants):
        """Bases before and after each mutant that is no single one: two lists of str.

        Both are empty where the locus has no such mutant, and for pairs. Those after it are empty for a deletion, and
        `AVERAGED` for a mean over draws.
        """
        ref, alt, text = [], [], dna.decode(sequence)
        for kind, start, n in zip(mutants.kind, mutants.position.tolist(), mutants.length.tolist(), strict=True):
            if kind != SINGLE:
                replaced = kind in (WINDOWS, REGIONS) and n > 0
                ref.append("" if kind == PAIRS else text[start:start + n])
                alt.append("" if not replaced else AVERAGED if self.n_draws > 1 else
                           dna.decode(self._draws(sequence, start, n)[0]))
        return ref, alt


def shuffled(bases: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A random order of bases in which each two are neighbours as often as before; the ends stay.

    Parameters
    ----------
    bases : (n,) uint8
    rng : numpy.random.Generator

    References
    ----------
    Altschul SF, Erickson BW (1985). Mol Biol Evol 2: 526-538. Kandel D, Matias Y, Unger R, Winkler P (1996). Discrete
    Appl Math 71: 171-185: a random tree of last exits, and all other exits in random order.
    """
    end = int(bases[-1])
    exits = {base: bases[1:][bases[:-1] == base] for base in np.unique(bases[:-1]).tolist()}
    orders = {base: rng.permutation(after) for base, after in exits.items()}
    while not all(_leads_to(end, base, orders) for base in orders):  # by the last exits, else some bases stay behind
        orders = {base: rng.permutation(after) for base, after in exits.items()}
    made, unused = [bases[0]], {base: iter(order) for base, order in orders.items()}
    while len(made) < len(bases):
        made.append(next(unused[int(made[-1])]))
    return np.array(made, np.uint8)


def _leads_to(end, base, orders):
    """Whether the last exit of each base, from one to the next, leads to the end."""
    for _ in orders:
        if base == end:
            return True
        base = int(orders[base][-1])
    return base == end


def single_mutants(mutated: np.ndarray) -> Mutants:
    """All single mutants of a locus; `mutated` (L,) bool tells which positions may change."""
    return _table(SINGLE, np.repeat(np.arange(len(mutated)), 3), np.repeat(mutated, 3))


def _starts(kind, length):
    """Where windows or deletions begin: each step, and once more so that the last bases are covered."""
    starts = np.arange(0, length - kind.width + 1, kind.step)
    return starts if starts[-1] + kind.width == length else np.r_[starts, length - kind.width]


def _stretches(kind, starts):
    return _table(kind.name, starts, np.full(len(starts), kind.width))


def _table(name, position, length, position_2=None, length_2=None, target=None, target_2=None):
    """`Mutants` of one kind; what is not given is 0, or no mark."""
    n = len(position)
    columns = [np.zeros(n) if column is None else column for column in (position, length, position_2, length_2)]
    targets = [np.full(n, -1) if column is None else column for column in (target, target_2)]
    return Mutants(np.full(n, name), *(np.asarray(column, np.int32) for column in (*columns, *targets)))


def _pairs(ablated):
    """Each two of a locus's regions, together; of those that share a base, or are not there, none."""
    a, b = np.array(list(combinations(range(len(ablated.kind)), 2)), np.intp).reshape(-1, 2).T
    first, second = (Mutants(*(column[each] for column in ablated)) for each in (a, b))
    apart = (first.position + first.length <= second.position) | (second.position + second.length <= first.position)
    both = apart & (first.length > 0) & (second.length > 0)
    return _table(PAIRS, first.position, np.where(both, first.length, 0), second.position,
                  np.where(both, second.length, 0), first.target, second.target)


def _is_left(start, n, length):
    """Whether a deletion lies left of the locus's centre and is refilled from there, so that the centre stays."""
    return 2 * start + n < length
