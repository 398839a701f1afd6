"""Interactions of two regions as tables: over all loci, and at each locus."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from .. import display
from ..effects_store import each_block
from ..instruments.moments import moments
from ..network import MIN_EFFECT
from .interaction import UNKNOWN, Interaction, at_each_locus, interactions
from .region_pairs import gather_pairs
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
        return [self.interactions[i] for i in clearest_first(self.table)]

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


def clearest_first(table):
    """Numbers of the rows of a table of interactions: those with a verdict first, the clearest before others."""
    beyond = table["qvalue_beyond"].to_numpy(np.float64)
    last = (table["verdict"] == UNKNOWN).to_numpy() | ~np.isfinite(beyond)
    return np.lexsort((np.nan_to_num(beyond, nan=1), last))


def interactions_in(effects, exposures, outcomes, min_interaction=0.2, map_blocks=each_block):
    """The interactions of all pairs of regions of a Dataset of effects.

    Parameters
    ----------
    effects : xarray.Dataset
        As for `gather_pairs`.
    exposures, outcomes : sequence of int
        Numbers of the marks whose regions are compared, and of those on which they act.
    min_interaction : float
        As for `interactions`; the least effect that counts is that of the network.
    map_blocks : callable, optional
        As `each_block`, which is the default.

    Returns
    -------
    InteractionResult or None
        None where no locus has two such regions.
    """
    pairs = gather_pairs(effects, exposures, outcomes, map_blocks)
    if not pairs:
        return None
    marks = [str(mark) for mark in effects["mark"].values]
    least = MIN_EFFECT * moments(effects, map_blocks)[1][list(outcomes)]
    return InteractionResult(interactions(pairs, marks, outcomes, min_interaction, least),
                             pairs_table(effects, pairs, outcomes),
                             effects.attrs.get("settings", {}).get("scale") or "identity")


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
