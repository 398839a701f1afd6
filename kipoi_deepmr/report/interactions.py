"""What the page shows of pairs of regions: whether their effects add up, with figures of the clearest."""

import os
from datetime import datetime

import numpy as np
import pandas as pd

from .. import shape
from ..display import counted
from ..effects_store import each_block
from ..errors import InputError
from ..options import InteractionOptions
from ..output.tables import in_format_of
from ..runs.outputs import INTERACTIONS, STAGES
from ..runs.tables import read_in_pieces
from .numbers import rounded

MOST_ROWS = 2_000  # on the page; more are not computed for it
MOST_NUMBERS = 5_000_000  # effects of members that are read for it
MOST_FIGURES = 12
MOST_POINTS = 600  # of a figure
REGIONS = ["exposure", "exposure_2", "outcome"]
TEXT = (*REGIONS, "scale", "model", "verdict")
MEANS = [f"{name}{end}" for name in ("effect", "effect_2", "effect_both", "interaction")
         for end in ("", "_ci_low", "_ci_high")]
NUMBERS = ("n_loci", *MEANS, "qvalue_beyond")
OF_LOCUS = ("effect", "effect_2", "effect_both")
COMMAND = f"kipoi deepmr interaction FOLDER -o FOLDER/{INTERACTIONS}"


def interactions(run, map_blocks=each_block):
    """Pairs of regions and what they do to each outcome, the clearest first.

    They are those of the table that `interaction` wrote into the run's folder, since it may have options of its own;
    or else are computed from the effects, if they have pairs and there is time.

    Parameters
    ----------
    run : FinishedRun
    map_blocks : callable, optional
        As `kipoi_deepmr.effects_store.each_block`, which is the default.

    Returns
    -------
    told : dict
        Of JSON values: `source`, `note` and, if the run has interactions, `scale` and the columns of `TEXT` and
        `NUMBERS`. All are empty for a run without pairs.
    figures : dict of int to dict
        JSON values by number of the row: effects at loci, by columns.
    """
    path, note = _written(run)
    if path:
        table, n = _strongest(path)
        return _told(table, n, os.path.basename(path), note, _local_of(path, table.head(MOST_FIGURES)))
    effects = run.effects_with_pairs
    why_not = "" if effects is None else _why_not(effects)
    if effects is None or why_not:
        return {"note": why_not or note}, {}
    found = shape.interactions_in(effects, *[range(effects.sizes["mark"])] * 2,
                                  InteractionOptions.default_of("min_interaction"), map_blocks)
    if found is None:
        return {"note": note}, {}
    table = found.table
    return _told(table.iloc[shape.clearest_first(table)], len(table), "", note, found.loci)


def _written(run):
    """The table in the run's folder, and what to say of one that is older than the run."""
    path, began = run.interactions_path, run.told.get("started")
    if path and began and os.path.getmtime(path) < datetime.fromisoformat(began).timestamp():
        return None, f"{os.path.basename(path)} is older than this run and is not shown: repeat {COMMAND}."
    return path, ""


def _why_not(effects):
    """Why interactions cannot be computed here; empty if they can."""
    n_members = effects.sizes["member"]
    if "member_effect" not in effects or n_members < shape.LEAST_MEMBERS:
        return f"Whether regions act together needs the effects of each of {shape.LEAST_MEMBERS} members or more."
    found, n_marks = shape.count_pairs(effects), effects.sizes["mark"]
    n = len(found) * n_marks
    if n <= MOST_ROWS and sum(found.values()) * n_members * n_marks <= MOST_NUMBERS:
        return ""
    return (f"{counted(len(found), 'pair')} of regions on {n_marks:,} outcomes take too long for the page. To see them "
            f"here, run {COMMAND}, if need be with --outcomes, and then kipoi deepmr report.")


def _strongest(path):
    """The clearest rows of a table, in order, and how many it has."""
    n, held = 0, pd.DataFrame()
    for piece in read_in_pieces(path, TEXT, NUMBERS, ()):
        n += len(piece)
        held = pd.concat([held, piece], ignore_index=True)
        held = held.iloc[shape.clearest_first(held)[:MOST_ROWS]]
    if not n:
        raise InputError(f"{path}: the table holds no rows")
    return held, n


def _local_of(path, table):
    """Effects at loci of some rows, from the file beside a table; no row if it is not there."""
    beside = os.path.splitext(path)[0] + in_format_of(STAGES["interaction"].beside["loci"], path)
    if not os.path.isfile(beside):
        return pd.DataFrame(columns=["locus", *REGIONS, *OF_LOCUS])
    wanted = pd.MultiIndex.from_frame(table[REGIONS])
    return pd.concat([piece[pd.MultiIndex.from_frame(piece[REGIONS]).isin(wanted)]
                      for piece in read_in_pieces(beside, ("locus", *REGIONS), OF_LOCUS, ())], ignore_index=True)


def _told(table, n, source, note, local):
    shown = table.head(MOST_ROWS)
    if n > len(shown):
        note = f"The {len(shown):,} clearest of {n:,} are listed. {note}".strip()
    told = {"note": note, "source": source, "scale": str(shown["scale"].iloc[0]),
            **{name: shown[name].tolist() for name in TEXT if name != "scale"},
            **{name: rounded(shown[name]) for name in NUMBERS}}
    clearest, local = shown.head(MOST_FIGURES), dict(iter(local.groupby(REGIONS, sort=False)))
    keys = clearest[REGIONS].itertuples(index=False, name=None)
    return told, {number: _points(local[key]) for number, (key, effect) in
                  enumerate(zip(keys, clearest["effect_both"], strict=True)) if key in local and np.isfinite(effect)}


def _points(rows):
    """Effects at some loci, evenly chosen in the order of what both together do."""
    rows = rows.iloc[np.argsort(rows["effect_both"].to_numpy(), kind="stable")]
    shown = rows.iloc[np.unique(np.linspace(0, len(rows) - 1, MOST_POINTS).astype(int))]
    return {"n": len(rows), "locus": shown["locus"].astype(str).tolist(),
            "sum": rounded(shown["effect"] + shown["effect_2"]), "both": rounded(shown["effect_both"])}
