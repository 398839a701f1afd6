"""What a run gives in Python: tables, effects, the network, figures and the page."""

import os
from dataclasses import dataclass, field
from functools import cached_property
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from .. import display, effects_store, plots
from ..errors import InputError
from ..meta.order import strongest_first
from ..network import Network
from ..options import InteractionOptions, ShapeOptions
from ..report import write_report
from ..runs.finished import FinishedRun
from ..runs.outputs import DIAGNOSTICS, STORE, stored
from ..runs.tables import read_table
from .interaction import interactions_of
from .shape import shape_of_run

PAIR = ["exposure", "outcome"]


@dataclass(frozen=True, eq=False, repr=False)
class Result:
    """What `kipoi_deepmr.run` found.

    Attributes
    ----------
    folder : str
        That of the run; a temporary one, which is removed with this object, if no output was named.
    local : pandas.DataFrame
        The causal effect at each locus, for each ordered pair and method: the columns of local.tsv (docs/output.md). Of
        many marks it holds the pairs that matter; see `local_array`.
    global_effects : pandas.DataFrame
        The causal effect of each ordered pair over all loci, with a verdict: the columns of global.tsv. Of more than
        2 million rows those of the 30,000 strongest pairs; `attrs["pairs"]` says how many there are.
    network : Network or None
        The network of direct effects, as `kipoi_deepmr.network.fit` gives it; None if none could be inferred.
    dropped : dict of str to list of str
        Names of the loci that could not be used, by reason.
    agreement : dict or None
        Of approximated effects with exact ones; None if all are exact.
    """

    folder: str
    local: pd.DataFrame
    global_effects: pd.DataFrame
    network: Network | None
    dropped: dict
    agreement: dict | None = None
    _told: dict = field(kw_only=True)  # run.json
    _temporary: TemporaryDirectory | None = field(default=None, kw_only=True)

    @cached_property
    def effects(self):
        """The effects of all mutants (xarray.Dataset): in memory, or read as needed if an output folder was named."""
        effects = effects_store.open_effects(self._file(STORE))
        effects_store.check_chunks(self._file(STORE))
        return effects.load() if self._temporary else effects

    @cached_property
    def local_array(self):
        """The local effects of all pairs, where they are too many for a table; None where `local` has all."""
        return FinishedRun(self.folder).local_array

    @cached_property
    def diagnostics(self):
        """What speaks against the estimate of each locus and pair (pandas.DataFrame); None if the run made none."""
        if not os.path.isfile(self._file(DIAGNOSTICS[0])):
            return None
        table = read_table(self._file(DIAGNOSTICS[0]), ("chrom", "strand", "locus", *PAIR, "red", "note"),
                           ("start", "end"))
        return table.fillna({"red": "", "note": ""})

    @cached_property
    def diagnostics_by_pair(self):
        """The share of loci at which each diagnostic is red (pandas.DataFrame); None if the run made none."""
        return FinishedRun(self.folder).shares_of_red

    @cached_property
    def network_table(self):
        """The columns of network.tsv, verdict and reason: a row an ordered pair; None without a network."""
        return None if self.network is None else self.network.direct.merge(self.network.verdicts, on=PAIR)

    def heatmap(self, ax=None):
        """The effects of all pairs as a heat map: direct effects, or global ones if there is no network.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional

        Returns
        -------
        matplotlib.axes.Axes
        """
        if self.network is not None:
            return plots.plot_heatmap(self.network.drawn, ax=ax)
        table = self.global_effects
        if "pairs" in table.attrs:  # not all
            table = FinishedRun(self.folder).of_first_method.assign(method=table["method"].iloc[0])
        return plots.plot_global_heatmap(table, ax=ax)

    def plot_network(self, ax=None):
        """The network as a graph.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        InputError
            There is no network; the message says why.
        """
        if self.network is None:
            raise InputError(self._no_verdicts)
        return plots.plot_network(self.network.drawn, ax=ax)

    def shape(self, exposure, outcome, **options):
        """The shape of one effect: a curve with its test against a line, and whether it depends on the locus.

        Parameters
        ----------
        exposure, outcome : str
        **options
            Those of `ShapeOptions`: `state`, `motifs`, `min_bend`.

        Returns
        -------
        kipoi_deepmr.shape.ShapeResult
            `kipoi_deepmr.plots.shape_figure` draws it.

        Raises
        ------
        InputError
            There are no such marks, or too few members or instruments.
        """
        return shape_of_run(FinishedRun(self.folder), ShapeOptions(exposure=exposure, outcome=outcome, **options))

    def interaction(self, **options):
        """Whether the effects of two regions add up, for each two regions of a locus that were replaced together.

        Parameters
        ----------
        **options
            Those of `InteractionOptions`: `exposures`, `outcomes`, `min_interaction`.

        Returns
        -------
        kipoi_deepmr.shape.InteractionResult
            `kipoi_deepmr.plots.interaction_figure` draws it.

        Raises
        ------
        InputError
            The run has no pairs of regions, or there are no such marks or too few members.
        """
        return interactions_of(self.folder, InteractionOptions(**options))

    def report(self, path=None):
        """Write report.html: verdicts, charts and tables in one page that works offline.

        Parameters
        ----------
        path : str, optional
            By default report.html in the folder of the run.

        Returns
        -------
        str
            Path of the page.

        Raises
        ------
        InputError
            It cannot be written there.
        """
        return write_report(self.folder, path)

    def _file(self, name):
        return stored(os.path.join(self.folder, name))

    @property
    def _title(self):
        settings, used = self._told["settings"], self._told.get("engines", {}).get("used", [])
        engines = dict.fromkeys(choice["engine"] for choice in used)
        n_dropped = sum(map(len, self.dropped.values()))
        return ", ".join([display.of_loci(settings["loci"]), *([f"{n_dropped:,} dropped"] if n_dropped else []),
                          display.counted(len(settings["members"]), "member"),
                          display.counted(len(settings["marks"]), "mark"), f"engine {' and '.join(engines)}"])

    @property
    def _strongest(self):
        """A row of the table of global effects for each pair, the strongest first."""
        return self.global_effects.loc[strongest_first(self.global_effects)].drop_duplicates(PAIR)

    @property
    def _no_verdicts(self):
        """Why there are no verdicts; empty if there are."""
        table = self.global_effects
        return "" if table["verdict"].notna().any() else str(table["reason"].iloc[0])

    def _rows(self):
        """Pair, verdict, standardised effect, global effect and reason of the strongest pairs, as texts."""
        for row in self._strongest.head(display.MAX_ROWS).itertuples():
            verdict = "" if pd.isna(row.verdict) else row.verdict
            yield (f"{row.exposure} → {row.outcome}", verdict,
                   f"1 sd of {row.exposure} moves {row.outcome} by {_number(row.standardised)} sd",
                   f"{_number(row.estimate)} [{_number(row.ci_low)}, {_number(row.ci_high)}] by {row.method}",
                   "" if pd.isna(row.reason) or not verdict else row.reason)

    def __repr__(self):
        lines = [display.on_one_line(f"{pair}: {verdict or 'no verdict'}; {moves}; {effect}")
                 for pair, verdict, moves, effect, _ in self._rows()]
        return display.as_text(f"Result: {self._title}" + self._after_title, lines, len(self._strongest))

    def _repr_html_(self):
        header = ("effect", "verdict", "size", "global effect [95 % interval]", "why")
        notes = [self._no_verdicts] if self._no_verdicts else []
        return display.as_html(self._title, header, list(self._rows()), notes, len(self._strongest))

    @property
    def _after_title(self):
        return f"\n  no verdicts: {display.on_one_line(self._no_verdicts)}" if self._no_verdicts else ""


def _number(value):
    return "NA" if not np.isfinite(value) else f"{value:.3g}"
