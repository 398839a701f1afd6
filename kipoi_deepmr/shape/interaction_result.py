"""Interactions of two regions as tables: over all loci, and at each locus."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from .. import display
from .interaction import UNKNOWN, Interaction, at_each_locus
from .result import PLACE


@dataclass(frozen=True, eq=False)
class InteractionResult:
    """The interactions of all pairs of regions of a store of effects.

    Attributes
    ----------
    interactions : list of Interaction
    table : pandas.DataFrame
        A row for each of them.
    loci : pandas.DataFrame
        The effects at each locus: those of each region alone, of both, and the interaction with the standard error
        that the members give it.
    scale : str
        On which effects add up: identity is that of the model's own outputs.
    """

    interactions: list[Interaction]
    loci: pd.DataFrame
    scale: str

    @property
    def table(self):
        """A row for each pair of marks and outcome (pandas.DataFrame)."""
        table = pd.DataFrame(self.interactions, columns=Interaction._fields)
        table.insert(3, "scale", self.scale)
        return table

    def ordered(self):
        """The interactions in the order in which they are shown: those with a verdict, the clearest first."""
        return sorted(self.interactions, key=lambda row: (
            row.verdict == UNKNOWN or not np.isfinite(row.qvalue_beyond), np.nan_to_num(row.qvalue_beyond, nan=1)))

    @property
    def _title(self):
        return f"Interactions: {display.counted(len(self.interactions), 'pair of regions and outcome', PAIRS)}"

    def _rows(self):
        """Pair, outcome, verdict and size, as texts."""
        for row in self.ordered():
            yield (f"{row.exposure}, {row.exposure_2} → {row.outcome}", row.verdict,
                   f"{row.interaction:.3g} [{row.interaction_ci_low:.3g}, {row.interaction_ci_high:.3g}]", row.model)

    def __repr__(self):
        return display.as_text(self._title, [display.on_one_line(": ".join(row)) for row in self._rows()])

    def _repr_html_(self):
        header = ("regions → outcome", "verdict", "interaction [95 % interval]", "model")
        return display.as_html(self._title, header, list(self._rows()))


PAIRS = "pairs of regions and outcomes"


def pairs_table(effects, pairs, outcomes):
    """The `loci` of an `InteractionResult`.

    Parameters
    ----------
    effects : xarray.Dataset
    pairs : list of RegionPairs
    outcomes : sequence of int
        Numbers of the outcomes that `pairs` have.

    Returns
    -------
    pandas.DataFrame
    """
    marks = effects["mark"].values.astype(str)
    place = pd.DataFrame({name: effects[name].values for name in PLACE}).rename(columns={"name": "locus"})
    tables = [place.iloc[pair.loci].assign(exposure=marks[pair.first], exposure_2=marks[pair.second],
                                           outcome=marks[outcome], n_pairs=pair.n_pairs,
                                           **_numbers(pair.effects[..., k]))
              for pair in pairs for k, outcome in enumerate(outcomes)]
    return pd.concat(tables, ignore_index=True)


def _numbers(values):
    """Effects (locus, member, 3) as columns."""
    names = ("effect", "effect_2", "effect_both", "interaction", "interaction_se")
    return dict(zip(names, (*values.mean(1).T, *at_each_locus(values)), strict=True))
