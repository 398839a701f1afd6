"""The causal network of an ensemble: direct effects of all ordered pairs of marks, as tables and as a graph."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from ..errors import InputError
from ..inference import check_alpha, check_choice, interval, two_sided_pvalue
from ..instruments import Assignment, assign
from . import inspre
from .companions import copies, explained, shared_share
from .estimate import Estimate, conditional_f, estimate
from .graph import graph_of, marks_table
from .posterior import posterior_mean
from .significance import FALSE_DISCOVERY_RATE, beyond_pvalue, qvalues
from .verdicts import verdicts

METHODS = ("direct", "inspre")
MIN_EFFECT = 0.05  # networks leak a little everywhere: whether an effect is not exactly 0 is no question
NO_INSTRUMENTS = "no instruments of its own"
FOLDS, TRAINED = 5, 0.8
MOST_WEIGHT = 50.0


@dataclass(frozen=True, eq=False)
class Network:
    """Direct and total effects of all ordered pairs of marks.

    Attributes
    ----------
    direct : pandas.DataFrame
        A row an ordered pair, the columns of network.tsv (docs/network.md): direct effect in units of the marks and
        standardised, errors, intervals, p-values, the total effect that it implies, and what it was estimated from.
    total : pandas.DataFrame
        A row an ordered pair: total effect, errors, interval, p-value, and tau, how much it differs between loci.
    instruments : kipoi_deepmr.instruments.Assignment
        On which mark each mutant acts.
    sparse : kipoi_deepmr.network.inspre.Path, optional
        With the method inspre, all fits along the path.
    min_effect, alpha : float
    """

    direct: pd.DataFrame
    total: pd.DataFrame
    instruments: Assignment
    min_effect: float
    alpha: float
    sparse: inspre.Path = None

    @cached_property
    def marks(self):
        """A row a mark, the columns of network_marks.tsv: cause or not and why, own mutants, copies, loop, degrees."""
        return marks_table(self)

    @cached_property
    def verdicts(self):
        """A row an ordered pair: verdict and reason (`kipoi_deepmr.network.verdicts`)."""
        return verdicts(self)

    @property
    def matrix(self):
        """Standardised direct effects G (cause, outcome); NaN for causes without instruments, 0 on the diagonal."""
        n_marks = len(self.instruments.marks)
        g = np.zeros((n_marks, n_marks))
        g[~np.eye(n_marks, dtype=bool)] = self.direct["direct_std"]
        return g

    @property
    def is_edge(self):
        """(pair,) bool: direct effects that are beyond the minimum, at a false discovery rate of 0.05."""
        if self.sparse is not None:
            return (self.direct["direct_std"].abs() > self.min_effect).to_numpy()
        return (self.direct["qvalue_min_effect"] < FALSE_DISCOVERY_RATE).to_numpy()

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
        sparse, direct = _sparse(assignment, total)
    pairs = _Pairs(assignment, alpha)
    totals = pairs.total_table(total, strength)
    return Network(pairs.direct_table(direct, total, totals, strength, min_effect), totals, assignment, min_effect,
                   alpha, sparse)


class _Pairs:
    """Arrays (cause, outcome) as columns of a table whose rows are ordered pairs."""

    def __init__(self, assignment, alpha):
        self.assignment, self.alpha = assignment, alpha
        n_marks = len(assignment.marks)
        self.exposure, self.outcome = np.nonzero(~np.eye(n_marks, dtype=bool))
        sd = np.where(assignment.sd > 0, assignment.sd, np.nan)
        self.unit = sd[self.outcome] / sd[self.exposure]

    def of(self, matrix):
        return matrix[self.exposure, self.outcome]

    def names(self):
        marks = np.array(self.assignment.marks, dtype=object)
        return {"exposure": marks[self.exposure], "outcome": marks[self.outcome]}

    def total_table(self, total, strength):
        value, se, df = (self.of(part) for part in (total.value, total.se, total.df))
        low, high = interval(value, se, self.alpha, df)
        return pd.DataFrame({
            **self.names(), "total": value * self.unit, "se": se * self.unit, "ci_low": low * self.unit,
            "ci_high": high * self.unit, "pvalue": two_sided_pvalue(value, se, df), "total_std": value, "df": df,
            "tau": np.where(np.isfinite(value), self.of(self.assignment.rays.tau), np.nan) * self.unit,
            "n_loci": strength.n_loci[self.exposure],
        })

    def direct_table(self, direct, total, totals, strength, min_effect):
        value, se, df = (self.of(part) for part in (direct.value, direct.se, direct.df))
        low, high = interval(value, se, self.alpha, df)
        pvalue, beyond = two_sided_pvalue(value, se, df), beyond_pvalue(value, se, df, min_effect)
        f = conditional_f(np.where(np.isfinite(total.value), total.value, np.eye(len(total.value))), strength.f)
        return pd.DataFrame({
            **self.names(), "direct": value * self.unit, "se": se * self.unit, "ci_low": low * self.unit,
            "ci_high": high * self.unit, "pvalue": pvalue, "qvalue": qvalues(pvalue), "direct_std": value,
            "pvalue_min_effect": beyond, "qvalue_min_effect": qvalues(beyond),
            "posterior_mean": posterior_mean(value, se) * self.unit,
            "se_loci": self.of(direct.se_loci) * self.unit, "se_members": self.of(direct.se_members) * self.unit,
            "df": df, "total_implied": totals["total"], "total_ci_low": totals["ci_low"],
            "total_ci_high": totals["ci_high"], "n_instruments": strength.n_instruments[self.exposure],
            "n_loci": strength.n_loci[self.exposure], "f_conditional": self.of(f),
            "shared_share": self.of(shared_share(self.assignment)), "note": self._notes(),
            **{f"direct_{k + 1}": self.of(g) * self.unit for k, g in enumerate(direct.by_member)},
        })

    def _notes(self):
        causes, moved, names = self.assignment.causes, self.assignment.sd > 0, self.assignment.marks
        copy, by = copies(self.assignment), explained(self.assignment)
        notes = np.full(len(self.exposure), "", object)
        usable = causes & moved
        for pair in np.flatnonzero(~usable[self.exposure] | ~moved[self.outcome] | self.of(copy)):
            i, j, note = self.exposure[pair], self.outcome[pair], []
            if not moved[i] or not moved[j]:
                note.append(f"no mutant moves {names[i] if not moved[i] else names[j]}")
            elif not causes[i]:
                note.append(NO_INSTRUMENTS if not by[i] else f"{NO_INSTRUMENTS}: other marks explain it")
            if copy[i, j]:
                note.append("near copies")
            notes[pair] = "; ".join(note)
        return notes


def _sparse(assignment, total):
    """inspre on the total effects of marks with instruments: its path and the effects at the least test error."""
    causes = np.flatnonzero(assignment.causes)
    if len(causes) < 2:
        raise InputError("inspre needs at least two marks with mutants of their own; "
                         f"there {'is' if len(causes) == 1 else 'are'} {len(causes)}: use --network direct")
    square = np.ix_(causes, causes)
    value, se = total.value[square].copy(), total.se[square].copy()
    np.fill_diagonal(value, 1)
    np.fill_diagonal(se, 0)
    masks = np.random.default_rng(0).random((FOLDS, len(causes), len(causes))) < TRAINED
    fits = inspre.path(value, inspre.weights(se, MOST_WEIGHT), masks=masks)
    g = np.full_like(total.value, np.nan)
    g[square] = fits.direct[fits.best]
    np.fill_diagonal(g, np.nan)
    nothing = np.full_like(g, np.nan)
    return fits, Estimate(g, nothing, nothing, nothing, np.tile(nothing, (len(total.by_member), 1, 1)), nothing)
