"""The ordered pairs of a network: numbers as arrays (cause, outcome), of which rows of tables are made when asked for.

A table of all pairs of 919 marks takes ten times the memory of the arrays, so that nothing inside a run asks for one.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from ..inference import interval, two_sided_pvalue
from .companions import Companions, companions_of
from .estimate import Estimate, Strength, conditional_f
from .posterior import posterior_mean
from .significance import FALSE_DISCOVERY_RATE, beyond_pvalue, qvalues

NO_INSTRUMENTS = "no instruments of its own"
ROWS = 50_000  # that are made at a time


class Total(NamedTuple):
    """Total effects (cause, outcome), standardised: their errors, degrees of freedom, and tau, how much loci differ."""

    value: np.ndarray
    se: np.ndarray
    df: np.ndarray
    tau: np.ndarray


class OfAll(NamedTuple):
    """What needs all pairs at once, (pair,) arrays: q-values of direct effects, against 0 and against the minimum;
    posterior means, standardised; and which total effects are beyond the minimum."""

    qvalue: np.ndarray
    qvalue_min_effect: np.ndarray
    posterior: np.ndarray
    has_total: np.ndarray


@dataclass(frozen=True, eq=False)
class Pairs:
    """All ordered pairs of marks. Rows are numbered by exposure, then outcome.

    Attributes
    ----------
    marks : tuple of str
    causes : (mark,) bool
    sd : (mark,) float64
    total : Total
    direct : Estimate
    f : (mark, mark) float64
        F of a cause given the other causes of an outcome.
    strength : Strength
    companions : Companions
    of_all : OfAll
    alpha, min_effect : float
    """

    marks: tuple
    causes: np.ndarray
    sd: np.ndarray
    total: Total
    direct: Estimate
    f: np.ndarray
    strength: Strength
    companions: Companions
    of_all: OfAll
    alpha: float
    min_effect: float

    @classmethod
    def of(cls, assignment, total, direct, strength, alpha, min_effect):
        """From the estimates of an assignment."""
        n_marks = len(assignment.marks)
        f = conditional_f(np.where(np.isfinite(total.value), total.value, np.eye(n_marks)), strength.f)
        tau = np.where(np.isfinite(total.value), assignment.rays.tau[:n_marks], np.nan)
        total = Total(total.value, total.se, total.df, tau)
        return cls(assignment.marks, assignment.causes, assignment.sd, total, direct, f, strength,
                   companions_of(assignment), _of_all(total, direct, min_effect), alpha, min_effect)

    def __len__(self):
        return len(self.marks) * (len(self.marks) - 1)

    def at(self, rows):
        """Numbers of exposure and outcome of some rows: two (row,) int arrays."""
        return _at(rows, len(self.marks))

    def rows_of(self, exposure, outcome):
        """Numbers of the rows of pairs of marks, given by their numbers."""
        return exposure * (len(self.marks) - 1) + outcome - (outcome > exposure)

    def pieces(self):
        """Numbers of all rows, `ROWS` at a time: (row,) int arrays."""
        return _pieces(len(self.marks))

    @property
    def is_beyond(self):
        """(pair,) bool: direct effects that are beyond the minimum, at a false discovery rate of 0.05."""
        return self.of_all.qvalue_min_effect < FALSE_DISCOVERY_RATE

    def names(self, rows):
        """Exposure and outcome of some rows, as columns."""
        marks, (i, j) = np.array(self.marks, dtype=object), self.at(rows)
        return {"exposure": marks[i], "outcome": marks[j]}

    def direct_std(self, rows):
        """Standardised direct effects of some rows."""
        return self.direct.value[self.at(rows)]

    def shared_share(self, rows):
        """Of the loci with mutants of either mark, the share with mutants that act on both at once, of some rows."""
        both, either = (counts[self.at(rows)] for counts in (self.companions.both, self.companions.either))
        return np.where(either > 0, both / np.maximum(either, 1), np.nan)

    def total_columns(self, rows):
        """Columns of the table of total effects, without the names."""
        at, unit = self.at(rows), self.unit(rows)
        value, se, df, tau = (part[at] for part in self.total)
        with np.errstate(all="ignore"):
            low, high = interval(value, se, self.alpha, df)
            return {"total": value * unit, "se": se * unit, "ci_low": low * unit, "ci_high": high * unit,
                    "pvalue": two_sided_pvalue(value, se, df), "total_std": value, "df": df, "tau": tau * unit,
                    "n_loci": self.strength.n_loci[at[0]]}

    def total_table(self, rows):
        """Rows of the table of total effects."""
        return pd.DataFrame({**self.names(rows), **self.total_columns(rows)})

    def direct_table(self, rows):
        """Rows of the table of direct effects (docs/network.md)."""
        at, unit, direct = self.at(rows), self.unit(rows), self.direct
        value, se, df = _errors_at(direct, at)
        total = self.total_columns(rows)
        with np.errstate(all="ignore"):
            low, high = interval(value, se, self.alpha, df)
            return pd.DataFrame({
                **self.names(rows), "direct": value * unit, "se": se * unit, "ci_low": low * unit,
                "ci_high": high * unit, "pvalue": two_sided_pvalue(value, se, df), "qvalue": self.of_all.qvalue[rows],
                "direct_std": value, "pvalue_min_effect": beyond_pvalue(value, se, df, self.min_effect),
                "qvalue_min_effect": self.of_all.qvalue_min_effect[rows],
                "posterior_mean": self.of_all.posterior[rows] * unit, "se_loci": direct.se_loci[at] * unit,
                "se_members": direct.se_members[at] * unit, "df": df, "total_implied": total["total"],
                "total_ci_low": total["ci_low"], "total_ci_high": total["ci_high"],
                "n_instruments": self.strength.n_instruments[at[0]], "n_loci": self.strength.n_loci[at[0]],
                "f_conditional": self.f[at], "shared_share": self.shared_share(rows), "note": self._notes(*at),
                **{f"direct_{k + 1}": g[at] * unit for k, g in enumerate(direct.by_member)},
            })

    def unit(self, rows):
        """Units of outcome per unit of exposure of a standardised effect of 1, of some rows."""
        sd, (i, j) = np.where(self.sd > 0, self.sd, np.nan), self.at(rows)
        return sd[j] / sd[i]

    def _notes(self, i, j):
        moved, names = self.sd > 0, np.array(self.marks, dtype=object)
        unmoved = np.array([f"no mutant moves {name}" for name in names], object)
        without = np.where(self.causes, "", np.where(self.companions.explained,
                                                     f"{NO_INSTRUMENTS}: other marks explain it", NO_INSTRUMENTS))
        notes = np.where(~moved[i], unmoved[i], np.where(~moved[j], unmoved[j], without.astype(object)[i]))
        copies = self.companions.copy[i, j]
        notes[copies] = [f"{note}; near copies" if note else "near copies" for note in notes[copies]]
        return notes


def _at(rows, n_marks):
    exposure, outcome = np.divmod(rows, n_marks - 1)
    return exposure, outcome + (outcome >= exposure)


def _pieces(n_marks):
    n = n_marks * (n_marks - 1)
    return (np.arange(first, min(first + ROWS, n)) for first in range(0, n, ROWS))


def _errors_at(estimate, at):
    """Value, standard error of all errors together, and degrees of freedom of some pairs."""
    value, loci, members, background, df = (part[at] for part in (
        estimate.value, estimate.se_loci, estimate.se_members, estimate.se_background, estimate.df))
    return value, np.sqrt(loci ** 2 + members ** 2 + background ** 2), df


def _of_all(total, direct, min_effect):
    n_marks = len(total.value)
    pvalue, beyond, value, error, of_total = np.empty((5, n_marks * (n_marks - 1)))
    with np.errstate(all="ignore"):
        for rows in _pieces(n_marks):
            at = _at(rows, n_marks)
            value[rows], error[rows], df = _errors_at(direct, at)
            pvalue[rows] = two_sided_pvalue(value[rows], error[rows], df)
            beyond[rows] = beyond_pvalue(value[rows], error[rows], df, min_effect)
            of_total[rows] = beyond_pvalue(total.value[at], total.se[at], total.df[at], min_effect)
        return OfAll(qvalues(pvalue), qvalues(beyond), posterior_mean(value, error),
                     qvalues(of_total) < FALSE_DISCOVERY_RATE)
