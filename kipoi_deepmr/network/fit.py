"""The causal network of an ensemble: direct effects of all ordered pairs of marks, as tables and as a graph."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ..errors import InputError
from ..inference import check_alpha, check_choice
from ..instruments import Assignment, assign
from . import inspre
from .estimate import Estimate, estimate
from .graph import graph_of, marks_table
from .pairs import Pairs
from .verdicts import Judgement, verdicts

METHODS = ("direct", "inspre")
MIN_EFFECT = 0.05  # networks leak a little everywhere: whether an effect is not exactly 0 is no question
FOLDS, TRAINED = 5, 0.8
MOST_WEIGHT = 50.0


@dataclass(frozen=True, eq=False)
class Network:
    """Direct and total effects of all ordered pairs of marks.

    The tables `direct`, `total` and `verdicts` are made each time they are asked for, and not kept: with many marks
    they take ten times the memory of what they are made from.

    Attributes
    ----------
    pairs : kipoi_deepmr.network.pairs.Pairs
        The numbers of all pairs, as arrays.
    instruments : kipoi_deepmr.instruments.Assignment
        On which mark each mutant acts; without the sample of strong mutants.
    strength : (mark,) float64
        Median size of each mark's own mutants, in standard deviations.
    sparse : kipoi_deepmr.network.inspre.Path, optional
        With the method inspre, all fits along the path.
    """

    pairs: Pairs
    instruments: Assignment
    strength: np.ndarray
    sparse: inspre.Path = None

    @property
    def min_effect(self):
        """Direct effects up to this size, standardised, count as none."""
        return self.pairs.min_effect

    @property
    def alpha(self):
        """Intervals hold the truth with probability 1 - alpha."""
        return self.pairs.alpha

    @property
    def direct(self):
        """A row an ordered pair, the columns of network.tsv (docs/network.md), as a pandas.DataFrame.

        The direct effect in units of the marks and standardised, errors, intervals, p-values, the total effect that it
        implies, and what it was estimated from.
        """
        return self.pairs.direct_table(np.arange(len(self.pairs)))

    @property
    def drawn(self):
        """The columns of `direct` that a figure of the network draws."""
        return self.pairs.drawn()

    @property
    def total(self):
        """A row an ordered pair: total effect, errors, interval, p-value, and tau, how much it differs between loci."""
        return self.pairs.total_table(np.arange(len(self.pairs)))

    @cached_property
    def marks(self):
        """A row a mark, the columns of network_marks.tsv: cause or not and why, own mutants, copies, loop, degrees."""
        return marks_table(self)

    @property
    def verdicts(self):
        """A row an ordered pair: verdict and reason (`kipoi_deepmr.network.verdicts`)."""
        return verdicts(self)

    @cached_property
    def judgement(self):
        """Which verdict each pair has, without the texts (`kipoi_deepmr.network.verdicts.Judgement`)."""
        return Judgement.of(self)

    @property
    def matrix(self):
        """Standardised direct effects G (cause, outcome); NaN for causes without instruments, 0 on the diagonal."""
        n_marks = len(self.pairs.marks)
        g = np.full((n_marks, n_marks), np.nan)
        g[self.pairs.rows.numbers] = self.pairs.direct.value
        np.fill_diagonal(g, 0)
        return g

    @property
    def is_edge(self):
        """(pair,) bool: direct effects that are beyond the minimum, at a false discovery rate of 0.05."""
        if self.sparse is not None:
            return self.pairs.of_every(np.abs(self.pairs.direct.value) > self.min_effect, False)
        return self.pairs.is_beyond

    def graph(self, every_pair=False):
        """The network as a networkx.DiGraph, with the columns of both tables as attributes.

        Parameters
        ----------
        every_pair : bool
            Whether all pairs with an estimate are edges, not only those beyond the minimum effect.

        Returns
        -------
        networkx.DiGraph
        """
        return graph_of(self, every_pair)


def fit(effects, method="direct", min_effect=MIN_EFFECT, alpha=0.05, map_blocks=None, assignment=None):
    """Infer the causal network of the marks of an ensemble.

    Parameters
    ----------
    effects : xarray.Dataset
        With the effects of at least three members (`member_effect`), of at least two marks.
    method : {"direct", "inspre"}
        direct: from the total effects of mutants that act on one mark alone. inspre: a sparse network near these total
        effects, with a penalty chosen by cross-validation; it has no standard errors.
    min_effect : float
        Direct effects up to this size, in standard deviations of the outcome per standard deviation of the exposure,
        count as none.
    alpha : float
        Intervals hold the truth with probability 1 - alpha.
    map_blocks : callable, optional
        As `kipoi_deepmr.effects_store.each_block`, which is the default: where blocks of loci are read.
    assignment : kipoi_deepmr.instruments.Assignment, optional
        If it is known already.

    Returns
    -------
    Network

    Raises
    ------
    InputError
        Fewer than two marks or three members, no members' effects, effects that are all zero or not finite, an unknown
        method, or a min_effect or alpha out of range.

    References
    ----------
    docs/network.md
    """
    check_choice("network", method, METHODS)
    check_alpha(alpha)
    if not 0 <= min_effect < np.inf:
        raise InputError(f"network_min_effect must be a number of at least 0, not {min_effect!r}")
    assignment = assignment or assign(effects, map_blocks)
    with np.errstate(all="ignore"):  # an effect without errors has a p-value of 0, one that is not known has none
        return _fitted(assignment, method, min_effect, alpha)


def _fitted(assignment, method, min_effect, alpha):
    total, direct, strength = estimate(assignment)
    sparse = None
    if method == "inspre":
        sparse, direct = _sparse(assignment, total, direct)
    pairs = Pairs.of(assignment, total, direct, strength, alpha, min_effect)
    return Network(pairs, replace(assignment, sample=None, found=None), _strength(assignment), sparse)


def _strength(assignment):
    """Median size of the strong mutants of each mark; NaN for a mark without any."""
    sample, (on, ray) = assignment.sample, (assignment.found.on, assignment.found.ray)
    own = [np.flatnonzero(on & (ray == i)) for i in range(len(assignment.marks))]
    return np.array([np.median(np.abs(sample.effect[mutants, i])) if len(mutants) else np.nan
                     for i, mutants in enumerate(own)])


def _sparse(assignment, total, direct):
    """inspre on the total effects of marks with instruments: its path and the effects at the least test error."""
    causes = np.flatnonzero(assignment.causes)
    if len(causes) < 2:
        raise InputError("inspre needs at least two marks with mutants of their own; "
                         f"there {'is' if len(causes) == 1 else 'are'} {len(causes)}: use --network direct")
    value, se = total.value[:, causes], total.se[:, causes]
    np.fill_diagonal(value, 1)
    np.fill_diagonal(se, 0)
    masks = np.random.default_rng(0).random((FOLDS, len(causes), len(causes))) < TRAINED
    fits = inspre.path(value, inspre.weights(se, MOST_WEIGHT), masks=masks)
    g = np.full_like(total.value, np.nan)
    g[:, causes] = np.where(np.eye(len(causes), dtype=bool), np.nan, fits.direct[fits.best])
    nothing = np.full_like(g, np.nan)
    return fits, Estimate(g, nothing, nothing, nothing, np.broadcast_to(nothing, direct.by_member.shape), nothing)
