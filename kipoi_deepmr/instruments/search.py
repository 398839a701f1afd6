"""The search for rays: which mutants lie on which, which marks have mutants of their own, which causes are hidden.

Rays and the mutants on them are found by turns (as k-means finds clusters) from several starts. Then a mark whose
mutants other rays describe as well loses its ray; a mark may get one back from mutants that no ray describes; and those
that lie on a ray which is no mark's get that of a hidden cause.
"""

from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from .direct_effects import direct_of_total
from .rays import CUT, FEW_MARKS, LEAST_LOCI, MARKS, SLACK, RayFits, Rays, Scores, pieces, weighted_median

ROUNDS = 25
CHANGED = 1e-3  # share of mutants that may still change their ray at the end
NARROW_ROUNDS, NARROW_TAU = 4, 0.02  # a start in which all loci have nearly the same slopes
# With more than `FEW_MARKS` there is one start, few turns, and rays that may go are tested together
TURNS_OF_MANY = 6
TURNS_OF_TRIAL = 2  # without rays that may go: where every mutant moves all marks, hundreds of trials never settle
APART = 0.05  # of such rays none has more than this share of its mutants on another
DESCRIBED = 0.3  # share of a ray's mutants on another one from which the ray is put to the test
LOST = 0.25  # share of a ray's mutants that no other may describe without it, for it to go
OUTLIERS = 0.05  # share of mutants on no ray, before any is seen
MOST_HIDDEN = 3
LEAST_SEEDS = 20
# Mutants on a mark's ray: any few of as many loci lie on one, since slopes may differ between loci. Of a mark that most
# mutants move, those that it is moved by most lie near one, whatever else they do: the tail of a cloud.
LEAST_MUTANTS, LEAST_SHARE_OF_DENSE = 10, 0.003
HIDDEN_WIDTH = 0.3
LEAST_SECOND = 0.2  # a hidden cause moves a second mark by at least this share of what it moves most
KEPT_BYTES = 100_000_000  # of direct effects at loci
TIE = 0.5  # how much a mark that most mutants move counts against its being upstream


class Found(NamedTuple):
    """Rays, and the mutants on them.

    Attributes
    ----------
    rays : Rays
    noise : (mark,) float64
    ray : (mutant,) int
        The ray that describes each mutant best; -1 if it was tried on none.
    on : (mutant,) bool
        Whether it lies on it.
    scores : Scores
        None when the search has ended.
    criterion : float
        -2 log density a mutant; the start with the least is chosen.
    too_few : tuple of int
        Marks whose ray went because too few mutants lay on it.
    """

    rays: Rays
    noise: np.ndarray
    ray: np.ndarray
    on: np.ndarray
    scores: Scores
    criterion: float
    too_few: tuple = ()

    @property
    def counts(self):
        """Mutants on each ray."""
        return np.bincount(self.ray[self.on], minlength=len(self.rays.mark))

    def shared(self):
        """Of each ray's mutants, the share that lies on another one as well."""
        also, column = self.on.copy(), self.scores.rays.place[self.ray]
        for rows in pieces(len(also)):
            distance = self.scores.distance[rows].copy()
            distance[np.arange(len(distance)), column[rows]] = np.inf
            also[rows] &= distance.min(1) <= CUT
        return np.bincount(self.ray[also], minlength=len(self.rays.mark)) / np.maximum(self.counts, 1)


def search(sample):
    """Find rays and the mutants on them; `Found` of the best start."""
    fits, found = RayFits(sample), []
    for ray in _starts(sample, fits.noise):
        for narrow in (0, NARROW_ROUNDS):
            if sample.effect.shape[1] > FEW_MARKS and found:
                continue
            found.append(_from_start(fits, ray, narrow))
    return _with_enough(fits, min(found, key=lambda f: f.criterion))


def _with_enough(fits, found):
    """Take the ray from marks with too few mutants on it, first from the one with the fewest."""
    sample, too_few = fits.sample, ()
    least = np.where(sample.dense, max(LEAST_MUTANTS, LEAST_SHARE_OF_DENSE * sample.n_mutants), LEAST_MUTANTS)
    while True:
        share = np.where(found.rays.active, found.counts, np.inf)[:len(least)] / least
        few = np.argsort(share, kind="stable")[:(share < 1).sum()].tolist()
        if not few:
            return found._replace(too_few=too_few, scores=None)
        few = few[:-(-len(few) // 2) if len(least) > FEW_MARKS else 1]
        active = found.rays.active.copy()
        active[few] = False
        found, too_few = _by_turns(fits, found.rays.mark, active, found.ray, found.on), (*too_few, *few)


def _starts(sample, noise):
    """First guesses of each mutant's ray: of the marks that it moves most, the one that fewest move; the very most."""
    effect, first, very_most = sample.effect, *np.zeros((2, len(sample.effect)), int)
    moved = sum((np.abs(effect[rows]) > 5 * noise).sum(0) for rows in pieces(len(effect)))
    for rows in pieces(len(effect)):
        size = np.abs(effect[rows])
        near = size >= 0.7 * size.max(1, keepdims=True)
        first[rows], very_most[rows] = np.where(near, moved, len(effect) + 1).argmin(1), size.argmax(1)
    return first, very_most


def _from_start(fits, ray, narrow):
    active = fits.sample.sd > 0
    found = _by_turns(fits, np.arange(len(active)), active, ray, np.ones(len(ray), bool), narrow)
    found = _without_needless(fits, found, narrow)
    found = _turned_round(fits, found)
    found = _readmitted(fits, found)
    return _with_hidden(fits, found)


def _by_turns(fits, mark, active, ray, on, narrow=0, turns_of_many=TURNS_OF_MANY):
    """Rays from mutants and mutants from rays, until hardly any mutant changes."""
    for turn in range(turns_of_many if fits.sample.effect.shape[1] > FEW_MARKS else ROUNDS):
        active = active & (fits.n_loci(ray, on, len(mark)) >= LEAST_LOCI)
        rays = fits.rays(mark, active, ray, on, NARROW_TAU if turn < narrow else None)
        few = active & (rays.n_loci < LEAST_LOCI)  # of a locus where members disagree there are no slopes
        if few.any():
            active = active & ~few
            rays = fits.rays(mark, active, ray, on, NARROW_TAU if turn < narrow else None)
        scores = None  # which is large
        scores = fits.scores(rays)
        new_ray, new_on = scores.best()
        changed = ((new_ray != ray) & (new_on | on) | (new_on != on)).sum()
        ray, on = new_ray, new_on
        if not active.any() or (changed <= CHANGED * len(ray) and turn > narrow):
            break
    return Found(rays, fits.noise, ray, on, scores, _criterion(fits.outlying, ray, on, scores, rays))


def _criterion(outlying, ray, on, scores, rays):
    outlier, mutants = outlying - 2 * np.log(OUTLIERS), np.flatnonzero(on)
    described = np.full(len(ray), np.inf)
    described[mutants] = scores.deviance[mutants, scores.rays.place[ray[mutants]]]
    return (np.minimum(described, outlier).sum() + rays.surprise) / max(1, len(ray))


def _without_needless(fits, found, narrow):
    """Take the ray from marks whose mutants others describe: first from the one most clearly downstream."""
    breadth = _breadth(fits.sample)
    needed = np.zeros(len(found.rays.mark), bool)
    while found.rays.active.sum() > 1:
        tested = found.rays.active & ~needed & (found.shared() > DESCRIBED)
        if not tested.any():
            break
        rows = np.flatnonzero(tested)
        rows = rows[np.argsort(-_downstream(breadth, found.rays, rows).max(1), kind="stable")]
        together = rows[:1] if fits.sample.effect.shape[1] <= FEW_MARKS else _apart(found, rows)
        new, needed_now = _without(fits, found, together, narrow)
        if len(needed_now) and len(needed_now) < len(together):
            needed[needed_now] = True
            new, needed_now = _without(fits, found, np.setdiff1d(together, needed_now), narrow)
        if len(needed_now):
            needed[needed_now] = True
        else:
            found, needed = new, np.zeros_like(needed)
    return found


def _without(fits, found, rays, narrow):
    """`Found` without some rays; of these, the ones without which too many of their mutants lie on no ray."""
    active, mine = found.rays.active.copy(), found.on & np.isin(found.ray, rays)
    active[rays] = False
    ray = np.where(mine, found.scores.best_among(active), found.ray)
    new = _by_turns(fits, found.rays.mark, active, ray, np.ones(len(mine), bool), narrow, TURNS_OF_TRIAL)
    if new.criterion < found.criterion or found.on.sum() - new.on.sum() < LOST * mine.sum():
        return new, np.zeros(0, int)
    lost = np.bincount(found.ray[mine & ~new.on], minlength=len(active))[rays]
    needed = rays[lost >= LOST * found.counts[rays]]
    return new, needed if len(needed) else rays


def _apart(found, rays):
    """The first of these rays, and those after it whose mutants lie on none of the ones before, nor the reverse."""
    near, columns = found.scores.distance <= CUT, found.scores.rays.place[rays]
    share = np.stack([near[found.on & (found.ray == r)][:, columns].mean(0) for r in rays])
    overlap, chosen = (share > APART) | (share.T > APART), []
    for k in range(len(rays)):
        if not overlap[k, chosen].any():
            chosen.append(k)
    return rays[chosen]


def _downstream(breadth, rays, numbers):
    """(number, mark): above 0 if one of the rays of these numbers is another mark's rather than its own.

    A mark moves the marks on which it acts by less than itself, in standard deviations, since these have other causes
    too; and fewer mutants move it, so that its breadth, the mean size of effects on it, is less.
    """
    with np.errstate(divide="ignore"):
        size = np.log(np.abs(rays.slope[rays.rows.place[numbers]]))
    mark = rays.mark[numbers]
    size[np.arange(len(numbers)), mark] = -np.inf
    return size - TIE * (breadth - breadth[mark][:, None])


def _breadth(sample):
    """(mark,) How much mutants move each mark on average."""
    return np.concatenate([np.abs(sample.effect[:, some]).sum(0) for some in pieces(sample.effect.shape[1], MARKS)]
                          ) / max(1, len(sample.effect))


def _turned_round(fits, found):
    """A ray belongs to the mark that its mutants move most: give it to that one if it has none."""
    breadth, moved = _breadth(fits.sample), fits.sample.sd > 0
    for r in np.flatnonzero(found.rays.active):
        downstream = _downstream(breadth, found.rays, [r])[0]
        k = downstream.argmax()
        if downstream[k] <= 0 or found.rays.active[k] or not found.rays.active[r] or not moved[k]:
            continue
        active = found.rays.active.copy()
        active[r], active[k] = False, True
        new = _by_turns(fits, found.rays.mark, active, np.where(found.ray == r, k, found.ray), found.on)
        mine = (found.on & (found.ray == r)).sum()
        if new.rays.active[k] and found.on.sum() - new.on.sum() < LOST * mine:
            found = new
    return found


def _readmitted(fits, found):
    """Give a ray to marks on which mutants act that lie on no ray, and that act on nothing else."""
    sample, alone = fits.sample, None
    tried = found.rays.active | ~(sample.sd > 0)
    while not tried.all():
        if alone is None:
            hit = np.zeros(sample.effect.shape, bool)
            for rows, _, z in direct_actions(sample, found.rays, found.noise):
                hit[rows] = z > CUT
            alone = hit & (hit.sum(1) == 1)[:, None] & ~found.on[:, None]
            seeds = alone.sum(0)
            seeds[[i for i in np.flatnonzero(seeds) if len(np.unique(sample.locus[alone[:, i]])) < LEAST_LOCI]] = 0
        seeds = np.where(tried, 0, seeds)
        if not seeds.any():
            break
        i = seeds.argmax()
        tried[i] = True
        active = found.rays.active.copy()
        active[i] = True
        new = _by_turns(fits, found.rays.mark, active, np.where(alone[:, i], i, found.ray),
                        found.on | alone[:, i])
        if new.rays.active[i] and new.shared()[i] < 0.5 and new.criterion < found.criterion:
            found, alone = new, None
    return found


def _with_hidden(fits, found):
    """Give rays to hidden causes, from mutants that lie on no mark's ray but on a common one."""
    for _ in range(MOST_HIDDEN):
        i, seeds = _hidden_seeds(fits.sample, found)
        if i is None:
            break
        new_ray = len(found.rays.mark)
        ray, on = found.ray.copy(), found.on.copy()
        ray[seeds], on[seeds] = new_ray, True
        new = _by_turns(fits, np.append(found.rays.mark, i), np.append(found.rays.active, True), ray, on)
        if not (new.rays.active[new_ray] and new.criterion < found.criterion and new.shared()[new_ray] < 0.5
                and np.sort(np.abs(new.rays.slope[-1]))[-2] >= LEAST_SECOND
                and np.array_equal(new.rays.active[:-1], found.rays.active)):
            break
        found = new
    return found


def _hidden_seeds(sample, found):
    """The mark that a hidden cause moves most, and its mutants: of those on no ray, most of one direction."""
    effect, off = sample.effect, np.flatnonzero(~found.on)
    best = None, np.zeros(0, int)
    if len(off) < LEAST_SEEDS:
        return best
    largest = np.abs(effect[off]).argmax(1)
    for i in np.unique(largest):
        mine = off[largest == i]
        ratio = effect[mine] / effect[mine, i][:, None]
        weight = np.broadcast_to(effect[mine, i][:, None] ** 2, ratio.shape)
        near = mine[(np.abs(ratio - weighted_median(ratio, weight)) <= HIDDEN_WIDTH).all(1)]
        if len(np.unique(sample.locus[near])) >= LEAST_LOCI and len(near) > len(best[1]):
            best = i, near
    return best


def direct_of_rays(rays):
    """A function of a locus: direct effects (cause, mark) there, of all loci for None. It keeps some of the last.

    Every member's view of a locus needs them, and an inverse of many marks takes longest of all.
    """
    causes = np.flatnonzero(rays.active[:rays.slope.shape[1]])

    @lru_cache(max(1, KEPT_BYTES // max(1, 8 * rays.slope.size)))
    def direct_at(locus):
        total = rays.slope if locus is None else rays.local.at_locus(locus).astype(np.float64)
        return direct_of_total(total[:len(causes)], causes)

    return direct_at


def direct_actions(sample, rays, noise):
    """`direct_action` of the strong mutants of some loci at a time: rows, actions, their sizes over their errors."""
    direct_at, ends = direct_of_rays(rays), np.append(np.flatnonzero(np.diff(sample.locus)) + 1, len(sample.locus))
    last = ends[np.unique(np.searchsorted(ends, [rows.stop for rows in pieces(len(sample.locus))]))]
    # the sample is always cut alike; where all loci have the same direct effects, one product of many rows is fastest
    locus = np.zeros_like(sample.locus) if rays.local is None else sample.locus
    for first, end in pairwise([0, *last]):
        rows = slice(first, end)
        yield rows, *direct_action(sample.effect[rows], locus[rows], rays, noise, direct_at)


def direct_action(effect, locus, rays, noise, direct_at=None):
    """What mutants do to each mark directly: `a = d (I - G)` with the direct effects G of their locus.

    Parameters
    ----------
    effect : (mutant, mark) float64
        In standard deviations.
    locus : (mutant,) int
        Ascending.
    rays, noise
    direct_at : callable, optional
        That of `direct_of_rays`, if there is one.

    Returns
    -------
    action : (mutant, mark) float64
    z : (mutant, mark) float64
        Its size over its error.

    Notes
    -----
    Each locus has a product of its own, also where all loci have the same direct effects: the last digit of a product
    of matrices depends on how many rows they have, and an answer must not depend on which loci are read together.
    """
    action, explained = np.empty_like(effect), np.empty_like(effect)
    direct_at = direct_at or direct_of_rays(rays)
    of_causes = np.ascontiguousarray(effect[:, rays.active[:effect.shape[1]]])  # so that all loci are multiplied alike
    at, squares = None, None
    for rows in (slice(a, b) for a, b in pairwise([*np.flatnonzero(np.diff(locus, prepend=-1)), len(locus)])):
        direct = direct_at(None if rays.local is None else int(locus[rows.start]))
        if direct is not at:
            at, squares = direct, direct ** 2
        action[rows] = effect[rows] - of_causes[rows] @ direct
        explained[rows] = of_causes[rows] ** 2 @ squares
    return action, np.abs(action) / np.sqrt(noise ** 2 + SLACK ** 2 * explained)
