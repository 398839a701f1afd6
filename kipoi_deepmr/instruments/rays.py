"""Rays: the directions in which mutants of one mark move all marks, at each locus and over all loci.

Mutants that act directly on mark i alone move the marks in proportion: they lie on a line through the origin of the
space of marks, whose slopes are the total effects of i. A hidden common cause has such a ray as well. A ray's slopes at
a locus are drawn towards its slopes over all loci, by as much as these vary between loci: tau, which is estimated.
"""

from typing import NamedTuple

import numpy as np

from ..threads import mapped
from .rows import Rows

CUT = 4.0  # a mutant lies on a ray if no mark is off it by more than so many of its errors
SLACK = 0.1  # how far, relative to its size, a mutant may be off by the curvature of effects
SIZE = 3.0  # standard deviations by which a typical strong mutant moves its own mark
LEAST_LOCI = 5
LEAST_TAU, FIRST_TAU = 1e-3, 0.3
LEAST_NOISE = 2e-3
ALL_RAYS = 12  # of so few rays each is tried for each mutant
NEAR_LARGEST = 0.4  # of more, those of marks that it moves by this share of what it moves most,
MOST_TRIED = 24  # and of these marks the ones that it moves most
FEW_MARKS = 40  # of more, rays are fitted and scored in compiled loops, and the search takes short cuts
MARKS = 64  # whose effects are copied at a time
MOST_LOCAL = 50_000_000  # numbers that slopes by locus may take; beyond it loci have the slopes of all loci


class Rays(NamedTuple):
    """The rays of all marks, and of hidden causes after them.

    Attributes
    ----------
    mark : (ray,) int
        The mark in units of whose effect the slopes are: for the first rays the mark itself, for a hidden cause the
        mark that it moves most.
    active : (ray,) bool
        False for marks without mutants of their own.
    slope, tau : (active ray, mark) float64
        Median over loci, and how much loci differ from it (standard deviation).
    local : LocalSlopes, or None
        Slopes at each locus and their posterior variances; None if there are too many.
    n_loci : (ray,) int
        Loci with mutants on the ray.
    surprise : float
        How unlikely the loci's slopes are: -2 log density of the hierarchy, from which starts are chosen.
    """

    mark: np.ndarray
    active: np.ndarray
    slope: np.ndarray
    tau: np.ndarray
    local: "LocalSlopes"
    n_loci: np.ndarray
    surprise: float

    @property
    def rows(self):
        """Which rays are active: those that have a row of slopes."""
        return Rows.of(self.active)

    def at(self, row, locus):
        """The place of each locus in two (place, mark) arrays, slopes of a ray and their variances; these arrays."""
        if self.local is None:
            return np.zeros_like(locus), self.slope[[row]], np.maximum(self.tau[[row]], LEAST_TAU) ** 2
        return self.local.at(row, locus)


class LocalSlopes(NamedTuple):
    """Slopes of active rays at each locus: where one has no mutants, those over all loci, so that these are kept once.

    Attributes
    ----------
    centre, prior : (active ray, mark) float32
        Slopes over all loci, and the variance of a locus' slopes about them.
    loci : list of (locus of the ray,) int arrays, ascending
    slope, variance : list of (locus of the ray, mark) float32 arrays
    """

    centre: np.ndarray
    prior: np.ndarray
    loci: list
    slope: list
    variance: list

    def at(self, row, locus):
        """As `Rays.at`: the slopes over all loci come last."""
        loci = self.loci[row]
        place = np.searchsorted(loci, locus)
        known = place < len(loci)
        known[known] = loci[place[known]] == locus[known]
        return (np.where(known, place, len(loci)), np.concatenate([self.slope[row], self.centre[[row]]]),
                np.concatenate([self.variance[row], self.prior[[row]]]))

    def at_locus(self, locus):
        """Slopes of all active rays at one locus: (active ray, mark)."""
        slope = self.centre.copy()
        for row, loci in enumerate(self.loci):
            place = np.searchsorted(loci, locus)
            if place < len(loci) and loci[place] == locus:
                slope[row] = self.slope[row][place]
        return slope


class Scores(NamedTuple):
    """How well each active ray describes each mutant.

    Attributes
    ----------
    rays : Rows
        Which rays have a column.
    deviance : (mutant, active ray) float32
        -2 log density but for a constant; infinite for rays that were not tried.
    distance : (mutant, active ray) float32
        Largest distance of any mark from the ray, in its errors.
    """

    rays: Rows
    deviance: np.ndarray
    distance: np.ndarray

    def best(self):
        """For each mutant the best ray, and whether it lies on it; the best of those it lies on, if it lies on any."""
        best, found = np.empty(len(self.deviance), int), np.empty(len(self.deviance), bool)
        for rows in pieces(len(best)):
            on = np.where(self.distance[rows] <= CUT, self.deviance[rows], np.inf)
            found[rows] = np.isfinite(on).any(1)
            best[rows] = np.where(found[rows], self._least(on), self._least(self.deviance[rows]))
        return best, found

    def best_among(self, rays):
        """For each mutant the best of some rays, (ray,) bool; -1 where none of them was tried."""
        chosen = rays[self.rays.numbers]
        return np.concatenate([np.zeros(0, int), *(self._least(np.where(chosen, self.deviance[rows], np.inf))
                                                   for rows in pieces(len(self.deviance)))])

    def _least(self, deviance):
        """The ray of the least deviance of each mutant; -1 where all are infinite."""
        if not len(self.rays.numbers):
            return np.full(len(deviance), -1)
        return np.where(np.isfinite(deviance.min(1)), self.rays.numbers[deviance.argmin(1)], -1)


def noise_of(sample):
    """Standard error of the mean over members of a typical strong mutant, by mark; (mark,) float64.

    The median over mutants whose members differ at all: real models leave marks exactly alone.
    """
    (n_members, _, n_marks), typical = sample.members.shape, []
    for some in pieces(n_marks, MARKS):
        effect = sample.effect[:, some]
        squares = np.zeros(effect.shape)
        for member in sample.members:
            squares += (member[:, some] - effect) ** 2
        squares[squares == 0] = np.nan
        with np.errstate(all="ignore"):
            typical += [np.nanmedian(c) if np.isfinite(c).any() else 0.0 for c in squares.T]
    return np.maximum(np.sqrt(np.array(typical) / (n_members - 1) / n_members), LEAST_NOISE)


def pieces(n, size=2000):
    """Slices of `size`, one after the other, of n rows: what is computed of all mutants and marks at once is large."""
    return [slice(first, min(first + size, n)) for first in range(0, n, size)]


class RayFits:
    """Fits rays to a sample and scores them: a ray whose mutants are those of the time before is not fitted again.

    Attributes
    ----------
    sample : kipoi_deepmr.instruments.sample.Sample
    noise : (mark,) float64
    outlying : (mutant,) float64
        -2 log density of mutants that lie on no ray, but for a constant.
    """

    def __init__(self, sample):
        self.sample, self.noise = sample, noise_of(sample)
        self._fits, self._columns = {}, {}  # by ray: the last fit; mutants tried on it, and how it describes them
        self._candidates = _Candidates(sample.effect)
        self.outlying = np.concatenate([(np.log(SIZE ** 2) + sample.effect[rows] ** 2 / SIZE ** 2).sum(1)
                                        for rows in pieces(len(sample.effect))] or [np.zeros(0)])

    def rays(self, mark, active, ray, on, most_tau=None):
        """Slopes of all rays from the mutants that lie on them.

        Parameters
        ----------
        mark, active : (ray,) arrays
            As `Rays` has them.
        ray : (mutant,) int
            The ray of each mutant, -1 for none.
        on : (mutant,) bool
            Whether it counts.
        most_tau : float, optional
            A bound on tau.

        Returns
        -------
        Rays
        """
        n_rays, n_marks = len(mark), self.sample.effect.shape[1]
        with_local = self.sample.n_loci * n_rays * n_marks <= MOST_LOCAL

        def fit_of(r):
            of = mark[r], most_tau, n_rays <= ALL_RAYS
            return self._fit(r, of, np.flatnonzero(on & (ray == r)), with_local)

        numbers, n_loci = np.flatnonzero(active), np.zeros(n_rays, int)
        fits = list(_of_each(fit_of, numbers, n_marks))
        n_loci[numbers] = [len(fit.loci) for fit in fits]
        slope, tau, prior = (np.array(values).reshape(-1, n_marks) for values in (
            [fit.slope for fit in fits], [fit.tau for fit in fits], [fit.prior for fit in fits]))
        local = None
        if with_local:
            prior[np.arange(len(numbers)), mark[numbers]] = 0
            local = LocalSlopes(slope.astype(np.float32), prior.astype(np.float32), [fit.loci for fit in fits],
                                [fit.local for fit in fits], [fit.variance for fit in fits])
        return Rays(mark, active, slope, tau, local, n_loci, sum(fit.surprise for fit in fits))

    def n_loci(self, ray, on, n_rays):
        """(ray,) At how many loci mutants lie on each of n rays; parameters are those of `rays`."""
        counted, n = on & (ray >= 0), self.sample.n_loci
        return np.bincount(np.unique(ray[counted] * n + self.sample.locus[counted]) // n, minlength=n_rays)

    def scores(self, rays):
        """How well the rays that were fitted last describe the sample's mutants: `Scores`."""
        return _filled(_Columns(self.sample.effect, self.sample.locus, rays, self.noise, self._candidates),
                       self._columns)

    def _fit(self, r, of, mutants, with_local):
        known = self._fits.get(r)
        if known and known.of == of and np.array_equal(known.mutants, mutants) and (
                known.local is not None or not with_local):
            return known
        self._columns.pop(r, None)
        fit = _fit_ray(self.sample, self.noise, of, mutants)
        self._fits[r] = fit = fit if with_local else fit._replace(local=None, variance=None)
        return fit


class _Fit(NamedTuple):
    """One ray: its mark, bound of tau and whether all rays are tried; its slopes over all loci and where it has any."""

    of: tuple
    mutants: np.ndarray
    loci: np.ndarray
    slope: np.ndarray
    tau: np.ndarray
    prior: np.ndarray
    local: np.ndarray
    variance: np.ndarray
    surprise: float


def _fit_ray(sample, noise, of, mutants):
    (mark, most_tau, _), n_marks = of, sample.effect.shape[1]
    slope, tau = np.zeros((2, n_marks))
    slope[mark] = 1
    loci, own, error = slopes_by_locus(sample, noise, mark, mutants)
    if not len(loci):
        return _Fit(of, mutants, loci, slope, tau, tau, own.astype(np.float32), error.astype(np.float32), 0.0)
    slope, tau = centre_and_tau(own, error, most_tau)
    slope[mark], tau[mark] = 1, 0
    prior = np.maximum(tau, LEAST_TAU) ** 2
    posterior = 1 / (1 / error + 1 / prior)
    drawn = (own / error + slope / prior) * posterior
    others = np.arange(len(slope)) != mark
    surprise = (np.minimum((drawn - slope) ** 2 / prior, 9) + np.log(prior / posterior))[:, others].sum()
    drawn, posterior = drawn.astype(np.float32), posterior.astype(np.float32)
    drawn[:, mark], posterior[:, mark] = 1, 0
    return _Fit(of, mutants, loci, slope, tau, prior, drawn, posterior, surprise)


def slopes_by_locus(sample, noise, mark, mutants):
    """Slopes of mutants on one mark, by locus: of products between different members.

    Products of a member with itself would be biased by its errors (attenuation), and those of the mean over members
    with itself by the errors' share 1 / K.

    Parameters
    ----------
    sample, noise
    mark : int
    mutants : (n,) int
        Ascending.

    Returns
    -------
    loci : (locus,) int
        Those where mutants move the mark in more than one member alike.
    slope, variance : (locus, mark) float64
    """
    if not len(mutants):
        return np.zeros(0, int), *np.zeros((2, 0, sample.effect.shape[1]))
    size = sample.effect[mutants, mark]
    starts = np.flatnonzero(np.diff(sample.locus[mutants], prepend=-1))
    loci = sample.locus[mutants][starts]
    if sample.effect.shape[1] > FEW_MARKS:
        from .ray_loops import products  # imports numba
    else:
        products = _products_of_few
    sums = products(sample.effect, sample.members, mutants, starts, mark)
    square, fourth = np.add.reduceat(np.stack([size ** 2, size ** 4], 1), starts).T
    usable = sums[:, mark] > 0.1 * square
    sums, fourth, loci = sums[usable], fourth[usable], loci[usable]
    strength = sums[:, [mark]]
    slope = sums / strength
    variance = (noise ** 2 + noise[mark] ** 2 * slope ** 2) / strength + SLACK ** 2 * fourth[:, None] / strength ** 2
    return loci, slope, variance


def _products_of_few(effect, members, mutants, starts, mark):
    """What `ray_loops.products` computes."""
    n_members, x = len(members), effect[mutants]
    products = x[:, [mark]] * x * n_members ** 2
    for member in members:
        m = member[mutants].astype(np.float64)
        products -= m[:, [mark]] * m
    return np.add.reduceat(products / (n_members * (n_members - 1)), starts)


def centre_and_tau(slope, variance, most_tau=None, rounds=5):
    """Weighted median over loci and a robust tau, so that a hidden cause's mutants at some loci count little.

    Parameters
    ----------
    slope, variance : (locus, mark) float64
    most_tau : float, optional

    Returns
    -------
    centre, tau : (mark,) float64
    """
    if slope.shape[1] > FEW_MARKS:
        from .ray_loops import centres  # imports numba

        centre, tau = centres(slope, variance, FIRST_TAU, rounds)
    else:
        centre, tau = _centres_of_few(slope, variance, rounds)
    if len(slope) < 3:
        tau[:] = 0
    return centre, tau if most_tau is None else np.minimum(tau, most_tau)


def _centres_of_few(slope, variance, rounds):
    tau = np.full(slope.shape[1], FIRST_TAU)
    by_slope, by_variance = (np.argsort(v, axis=0) for v in (slope, variance))
    for _ in range(rounds):
        weight = 1 / (variance + tau ** 2)
        centre = weighted_median(slope, weight, by_slope)
        spread = 1.4826 * weighted_median(np.abs(slope - centre), weight)
        tau = np.sqrt(np.maximum(spread ** 2 - weighted_median(variance, weight, by_variance), 0))
    return centre, tau


def weighted_median(values, weights, order=None):
    """Of each column: (n, mark) arrays to (mark,); `order` is that of the values, if it is known."""
    order = np.argsort(values, axis=0) if order is None else order
    reached = np.cumsum(np.take_along_axis(weights, order, 0), axis=0)
    place = (reached < reached[-1] / 2).sum(0)
    return np.take_along_axis(values, np.take_along_axis(order, place[None], 0), 0)[0]


def score(effect, locus, rays, noise):
    """How well rays describe mutants.

    Parameters
    ----------
    effect : (mutant, mark) float64
        In standard deviations.
    locus : (mutant,) int
    rays : Rays
    noise : (mark,) or (mutant, mark) float64

    Returns
    -------
    Scores

    Notes
    -----
    A mutant that moves the ray's mark by c lies at c times its slopes, with an error of variance
    `noise_j^2 + slope_j^2 noise_i^2 + c^2 (SLACK^2 + variance of the slope)` in mark j.
    """
    return _filled(_Columns(effect, locus, rays, noise, _Candidates(effect)), {})


def _filled(columns, known):
    """`Scores` of all active rays; `known` has what is known of some by ray, and gets what is computed."""
    rays, rows = columns.rays, columns.rays.rows
    numbers = rows.numbers
    deviance, distance = np.full((2, len(columns.effect), len(numbers)), np.inf, np.float32)
    columns.candidates.begin(rays)

    def completed(row):
        tried = columns.candidates.of(rays.mark[numbers[row]])
        return tried, columns.completed(row, tried, known.get(numbers[row]))

    of_each = _of_each(completed, np.arange(len(numbers)), columns.effect.shape[1])
    for row, (tried, column) in enumerate(of_each):
        known[numbers[row]] = column
        mutants, *values = column
        if len(mutants) > len(tried):
            values = [each[np.searchsorted(mutants, tried)] for each in values]
        deviance[tried, row], distance[tried, row] = values
    return Scores(rows, deviance, distance)


def _of_each(function, rays, n_marks):
    """What a function gives for each ray; of many marks in threads."""
    return mapped(function, rays) if n_marks > FEW_MARKS else map(function, rays)


class _Columns:
    """How well single rays, by their rows, describe mutants."""

    def __init__(self, effect, locus, rays, noise, candidates):
        self.effect, self.locus, self.rays, self.noise, self.candidates = effect, locus, rays, noise, candidates
        self.marks = rays.mark[rays.active]

    def completed(self, row, tried, known):
        """Mutants, their deviance and distance: those of `known`, and those tried that were not among them."""
        if known is None:
            return tried, *self.of(row, tried)
        new = np.setdiff1d(tried, known[0], assume_unique=True)
        if not len(new):
            return known
        parts = [np.concatenate(pair) for pair in zip(known, (new, *self.of(row, new)), strict=True)]
        order = np.argsort(parts[0])
        return tuple(part[order] for part in parts)

    def of(self, row, tried):
        """Deviance and distance of some mutants from a ray."""
        i, (place, *slopes) = self.marks[row], self.rays.at(row, self.locus[tried])
        if self.effect.shape[1] > FEW_MARKS:
            from .ray_loops import scores  # imports numba

            return scores(self.effect, tried, place, np.atleast_2d(self.noise), *slopes, i, SLACK, SIZE)
        x, own = self.effect[tried], self.noise if self.noise.ndim == 1 else self.noise[tried]
        slope, variance = (values[place] for values in slopes)
        c = x[:, [i]]
        error = own ** 2 + slope ** 2 * own[..., i:i + 1] ** 2 + c ** 2 * (SLACK ** 2 + variance)
        off = (x - c * slope) ** 2 / error
        off[:, i], error[:, i] = 0, SIZE ** 2
        deviance = off.sum(1) + np.log(error).sum(1) + c[:, 0] ** 2 / SIZE ** 2
        return deviance.astype(np.float32), np.sqrt(off.max(1, initial=0)).astype(np.float32)


class _Candidates:
    """Which mutants are tried on which rays: with few rays all are; of many rays see `NEAR_LARGEST`, `MOST_TRIED`."""

    def __init__(self, effect):
        self._effect, self._near, self._crowded = effect, None, None
        self._all, self._least, self._by_mark = True, None, {}

    def begin(self, rays):
        """What is asked for from now on is about these rays."""
        self._all = len(rays.mark) <= ALL_RAYS
        if self._all:
            return
        if self._near is None:
            self._find_crowded()
        if self._least is None or len(self._crowded):
            self._least, self._by_mark = self._least_of(np.unique(rays.mark[rays.active])), {}

    def of(self, mark):
        """The mutants that are tried on a ray of a mark."""
        if self._all:
            return np.arange(len(self._effect))
        if mark not in self._by_mark:
            self._by_mark[mark] = np.flatnonzero(np.abs(self._effect[:, mark]) >= self._least)
        return self._by_mark[mark]

    def _find_crowded(self):
        """Mutants that move many marks about as much: which of these have rays decides on which they are tried."""
        self._near, many = np.empty(len(self._effect)), [np.zeros(0, int)]
        for rows in pieces(len(self._effect)):
            size = np.abs(self._effect[rows])
            self._near[rows] = NEAR_LARGEST * size.max(1)
            many.append(rows.start + np.flatnonzero((size >= self._near[rows, None]).sum(1) > MOST_TRIED))
        self._crowded = np.concatenate(many)

    def _least_of(self, marks):
        """(mutant,) How much a mutant moves a mark at least, of marks with rays, where it is tried on its ray."""
        least = self._near.copy()
        if len(marks) > MOST_TRIED:
            for some in pieces(len(self._crowded)):
                rows = self._crowded[some]
                size = np.abs(self._effect[np.ix_(rows, marks)])
                least[rows] = np.maximum(least[rows], np.partition(size, -MOST_TRIED, axis=1)[:, -MOST_TRIED])
        return least

