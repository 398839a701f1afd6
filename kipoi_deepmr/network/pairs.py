"""The ordered pairs of a network: numbers as arrays, of which rows of tables are made when asked for.

Only pairs whose exposure has mutants of its own have numbers: arrays (cause, mark), which hardly grow with marks that
can only be outcomes. A table of all pairs takes much more memory, so that nothing inside a run asks for one.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from ..inference import interval, two_sided_pvalue
from ..instruments.rays import pieces
from ..instruments.rows import Rows
from .companions import Companions, companions_of
from .estimate import CAUSES, Estimate, Strength, conditional_f, together
from .posterior import posterior_mean
from .significance import FALSE_DISCOVERY_RATE, beyond_pvalue, qvalues

NO_INSTRUMENTS = "no instruments of its own"
ROWS = 50_000  # that are made at a time


class Total(NamedTuple):
    """Total effects (cause, mark), standardised: their errors, degrees of freedom, and tau, how much loci differ."""

    value: np.ndarray
    se: np.ndarray
    df: np.ndarray
    tau: np.ndarray


class OfAll(NamedTuple):
    """What needs all pairs at once, (cause, mark) arrays: q-values of direct effects, against 0 and against the
    minimum; posterior means, standardised; and which total effects are beyond the minimum."""

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
    rows : Rows
        Which marks have a row in arrays (cause, mark): those with instruments of their own.
    sd : (mark,) float64
    total : Total
    direct : Estimate
    f : (cause, mark) float64
        F of a cause given the other causes of an outcome.
    strength : Strength
    companions : Companions
    of_all : OfAll
    alpha, min_effect : float
    """

    marks: tuple
    rows: Rows
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
        rows, known = assignment.rows, np.isfinite(total.value)
        itself = rows.numbers[:, None] == np.arange(len(assignment.marks))
        f = conditional_f(np.where(known, total.value, itself), strength.f[rows.numbers], rows.numbers)
        total = Total(total.value, total.se, total.df, np.where(known, assignment.rays.tau[:len(known)], np.nan))
        return cls(assignment.marks, rows, assignment.sd, total, direct, f, strength, companions_of(assignment),
                   _of_all(total, direct, min_effect), alpha, min_effect)

    def __len__(self):
        return len(self.marks) * (len(self.marks) - 1)

    def marks_at(self, rows):
        """Numbers of exposure and outcome of some rows: two (row,) int arrays."""
        exposure, outcome = np.divmod(rows, len(self.marks) - 1)
        return exposure, outcome + (outcome >= exposure)

    def rows_of(self, exposure, outcome):
        """Numbers of the rows of pairs of marks, given by their numbers."""
        return exposure * (len(self.marks) - 1) + outcome - (outcome > exposure)

    def pieces(self, exposures=None):
        """Numbers of the rows of some exposures, by default of all, `ROWS` at a time: (row,) int arrays."""
        n = len(self.marks) - 1
        exposures = np.arange(len(self.marks)) if exposures is None else exposures
        for first in range(0, len(exposures) * n, ROWS):
            number, outcome = np.divmod(np.arange(first, min(first + ROWS, len(exposures) * n)), n)
            yield exposures[number] * n + outcome

    def at(self, values, rows, missing=np.nan):
        """Values (cause, mark) of some rows; `missing` where the exposure has no instruments."""
        return self.rows.at(values, *self.marks_at(rows), missing)

    def of_every(self, values, missing=np.nan):
        """`at` of all rows, in less time and memory: (pair,) array."""
        n, causes = len(self.marks), self.rows.numbers
        every = np.full((n, n - 1), missing, values.dtype)
        every[causes] = values[causes[:, None] != np.arange(n)].reshape(-1, n - 1)
        return every.ravel()

    @property
    def is_beyond(self):
        """(pair,) bool: direct effects that are beyond the minimum, at a false discovery rate of 0.05."""
        return self.of_every(self.of_all.qvalue_min_effect < FALSE_DISCOVERY_RATE, False)

    def names(self, rows):
        """Exposure and outcome of some rows, as columns."""
        marks, (i, j) = np.array(self.marks, dtype=object), self.marks_at(rows)
        return {"exposure": marks[i], "outcome": marks[j]}

    def drawn(self):
        """What a figure of the network draws, a row for each pair, with the names as categories."""
        n = len(self.marks)
        of_pairs = np.indices((n, n), np.int32)[:, ~np.eye(n, dtype=bool)]
        names = {role: pd.Categorical.from_codes(each, self.marks)
                 for role, each in zip(("exposure", "outcome"), of_pairs, strict=True)}
        return pd.DataFrame({**names, "direct_std": self.of_every(self.direct.value),
                             "qvalue_min_effect": self.of_every(self.of_all.qvalue_min_effect)}, copy=False)

    def direct_std(self, rows):
        """Standardised direct effects of some rows."""
        return self.at(self.direct.value, rows)

    def shared_share(self, rows):
        """Of the loci with mutants of either mark, the share with mutants that act on both at once, of some rows."""
        both, either = (counts[self.marks_at(rows)] for counts in (self.companions.both, self.companions.either))
        return np.where(either > 0, both / np.maximum(either, 1), np.nan)

    def total_columns(self, rows):
        """Columns of the table of total effects, without the names."""
        unit, (value, se, df, tau) = self.unit(rows), (self.at(part, rows) for part in self.total)
        with np.errstate(all="ignore"):
            low, high = interval(value, se, self.alpha, df)
            return {"total": value * unit, "se": se * unit, "ci_low": low * unit, "ci_high": high * unit,
                    "pvalue": two_sided_pvalue(value, se, df), "total_std": value, "df": df, "tau": tau * unit,
                    "n_loci": self.strength.n_loci[self.marks_at(rows)[0]]}

    def total_table(self, rows):
        """Rows of the table of total effects."""
        return pd.DataFrame({**self.names(rows), **self.total_columns(rows)})

    def direct_table(self, rows):
        """Rows of the table of direct effects (docs/network.md)."""
        marks, unit, direct, total = self.marks_at(rows), self.unit(rows), self.direct, self.total_columns(rows)
        value, loci, members, background, df = (self.at(part, rows) for part in (
            direct.value, direct.se_loci, direct.se_members, direct.se_background, direct.df))
        se = together(loci, members, background)
        qvalue, qvalue_min_effect, posterior = (self.at(part, rows) for part in self.of_all[:3])
        with np.errstate(all="ignore"):
            low, high = interval(value, se, self.alpha, df)
            return pd.DataFrame({
                **self.names(rows), "direct": value * unit, "se": se * unit, "ci_low": low * unit,
                "ci_high": high * unit, "pvalue": two_sided_pvalue(value, se, df), "qvalue": qvalue,
                "direct_std": value, "pvalue_min_effect": beyond_pvalue(value, se, df, self.min_effect),
                "qvalue_min_effect": qvalue_min_effect, "posterior_mean": posterior * unit,
                "se_loci": loci * unit, "se_members": members * unit, "df": df, "total_implied": total["total"],
                "total_ci_low": total["ci_low"], "total_ci_high": total["ci_high"],
                "n_instruments": self.strength.n_instruments[marks[0]], "n_loci": total["n_loci"],
                "f_conditional": self.at(self.f, rows), "shared_share": self.shared_share(rows),
                "note": self._notes(*marks),
                **{f"direct_{k + 1}": self.at(g, rows) * unit for k, g in enumerate(direct.by_member)},
            })

    def unit(self, rows):
        """Units of outcome per unit of exposure of a standardised effect of 1, of some rows."""
        sd, (i, j) = np.where(self.sd > 0, self.sd, np.nan), self.marks_at(rows)
        return sd[j] / sd[i]

    def _notes(self, i, j):
        moved, names = self.sd > 0, np.array(self.marks, dtype=object)
        unmoved = np.array([f"no mutant moves {name}" for name in names], object)
        without = np.where(self.rows.place >= 0, "", np.where(self.companions.explained,
                                                     f"{NO_INSTRUMENTS}: other marks explain it", NO_INSTRUMENTS))
        notes = np.where(~moved[i], unmoved[i], np.where(~moved[j], unmoved[j], without.astype(object)[i]))
        copies = self.companions.copy[i, j]
        notes[copies] = [f"{note}; near copies" if note else "near copies" for note in notes[copies]]
        return notes


def _of_all(total, direct, min_effect):
    error, (pvalue, beyond, of_total) = direct.se, np.empty((3, *direct.value.shape))
    for some in pieces(len(pvalue), CAUSES):
        value, df = direct.value[some], direct.df[some]
        pvalue[some] = two_sided_pvalue(value, error[some], df)
        beyond[some] = beyond_pvalue(value, error[some], df, min_effect)
        of_total[some] = beyond_pvalue(total.value[some], total.se[some], total.df[some], min_effect)
    return OfAll(_of_each(qvalues, pvalue), _of_each(qvalues, beyond), _of_each(posterior_mean, direct.value, error),
                 _of_each(qvalues, of_total) < FALSE_DISCOVERY_RATE)


def _of_each(function, *values):
    """What a function of (n,) arrays gives for arrays (cause, mark)."""
    return function(*map(np.ravel, values)).reshape(values[0].shape)
