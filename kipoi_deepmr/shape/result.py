"""The shape of one effect as tables: over all loci, at each locus, the points of the curve, and the state."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from .. import display
from ..inference import interval
from .curve import Curve, curve_of
from .folds import Folds
from .state import Covariate, Dependence
from .words import UNKNOWN

ALPHA = 0.05
PLACE = ("chrom", "start", "end", "strand", "name")
AT = ("reference", "half", "full")


@dataclass(frozen=True, eq=False)
class ShapeResult:
    """The shape of the effect of an exposure on an outcome.

    Attributes
    ----------
    exposure, outcome : str
    curve : Curve
        Over all loci that can be used, by the instruments that are `ablating`.
    dependences : list of Dependence
        How the effect depends on levels and distances.
    loci : pandas.DataFrame or None
        The same numbers at each locus, if they were asked for.
    folds : Folds
        The instruments, on both sides of the reference.
    covariates : list of Covariate
        Of `dependences`.
    """

    exposure: str
    outcome: str
    curve: Curve
    dependences: list[Dependence]
    loci: pd.DataFrame | None
    folds: Folds
    covariates: list[Covariate]

    @property
    def table(self):
        """One row: the curve over all loci (pandas.DataFrame)."""
        return pd.DataFrame([{"exposure": self.exposure, "outcome": self.outcome, "n_loci": self.curve.n_loci,
                              **_numbers(self.curve)}])

    @property
    def curve_table(self):
        """Points of the curve with 95 % intervals (pandas.DataFrame)."""
        low, high = interval(self.curve.y, self.curve.se, ALPHA, self.curve.df)
        return pd.DataFrame({"exposure": self.exposure, "outcome": self.outcome, "x": self.curve.x, "y": self.curve.y,
                             "ci_low": low, "ci_high": high})

    @property
    def state_table(self):
        """A row for each covariate (pandas.DataFrame)."""
        table = pd.DataFrame(self.dependences, columns=Dependence._fields)
        table.insert(0, "exposure", self.exposure)
        table.insert(1, "outcome", self.outcome)
        return table

    @property
    def points(self):
        """Instruments with their mean effects on both marks by the members left out (pandas.DataFrame)."""
        folds = self.folds
        table = pd.DataFrame({"locus": folds.locus, "variant": folds.variant, "x": folds.exposure, "y": folds.outcome})
        return table.groupby(["locus", "variant"])[["x", "y"]].mean().reset_index()

    @property
    def _title(self):
        pair = f"{self.exposure} → {self.outcome}"
        return display.on_one_line(f"{pair}: {self.curve.shape.word} ({display.of_loci(self.curve.n_loci)})")

    def _rows(self):
        """Where, and the slope there with its interval, as texts."""
        numbers = _numbers(self.curve)
        for name in AT:
            slope, low, high = (numbers[f"slope_{name}{ending}"] for ending in ("", "_ci_low", "_ci_high"))
            yield f"slope, {name}", f"{slope:.3g} [{low:.3g}, {high:.3g}]"

    def __repr__(self):
        return display.as_text(f"Shape: {self._title}", [": ".join(row) for row in self._rows()])

    def _repr_html_(self):
        return display.as_html(self._title, ("where", "slope [95 % interval]"), list(self._rows()))


def loci_table(effects, folds, names, min_bend, min_slope, shown=iter):
    """The `loci` of a `ShapeResult`: one row each, in the order of the Dataset.

    Parameters
    ----------
    effects : xarray.Dataset
    folds : Folds
        Those of the curve.
    names : (exposure, outcome)
    min_bend, min_slope : float
        As for `curve_of`.
    shown : callable
        Passes the numbers of loci on, and shows how far they are.

    Returns
    -------
    pandas.DataFrame
    """
    place = pd.DataFrame({name: effects[name].values for name in PLACE}).rename(columns={"name": "locus"})
    rank = {number: k for k, number in enumerate(folds.loci)}
    rows = []
    for number, note in enumerate(shown(folds.note)):
        of_locus = _nothing() if note else _numbers(curve_of(folds.of_locus(rank[number]), min_bend, min_slope))
        rows.append({"exposure": names[0], "outcome": names[1], **of_locus, "note": note})
    return pd.concat([place, pd.DataFrame(rows)], axis=1)


def _numbers(curve):
    low, high = interval(curve.slopes, curve.slopes_se, ALPHA, curve.slopes_df)
    numbers = {"n_instruments": curve.n_instruments, "full_ablation": curve.full}
    for name, *values in zip(AT, curve.slopes, low, high, strict=True):
        numbers.update(zip((f"slope_{name}", f"slope_{name}_ci_low", f"slope_{name}_ci_high"), values, strict=True))
    return {**numbers, "pvalue": curve.pvalue, "pvalue_min_bend": curve.pvalue_min_bend, "shape": curve.shape.word,
            "turn": curve.shape.turn}


def _nothing():
    numbers = [f"slope_{name}{ending}" for name in AT for ending in ("", "_ci_low", "_ci_high")]
    return {"n_instruments": 0.0, **dict.fromkeys(
        ("full_ablation", *numbers, "pvalue", "pvalue_min_bend", "turn"), np.nan), "shape": UNKNOWN}
