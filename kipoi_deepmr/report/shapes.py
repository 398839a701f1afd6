"""What the page shows of the shapes of the strongest direct effects: their curves, words, slopes and states."""

import numpy as np
import pandas as pd

from .. import shape
from ..display import counted
from ..inference import interval
from ..instruments.moments import moments
from ..network.verdicts import DIRECT
from ..options import LEAST_TO_CROSS_FIT, ShapeOptions
from ..shape.words import INDEPENDENT
from .numbers import rounded

MOST = 12  # pairs
MOST_PARTNERS = 6  # other marks with a direct effect on the outcome, whose levels are compared
MOST_POINTS = 600  # of a pair, on the page
MOST_SECONDS = 60.0  # roughly, for all pairs: beyond it fewer loci are read
# Seconds of a processor, roughly: a locus of so many marks cubed, and a number of a member's effects
OF_MARKS, OF_NUMBER = 3e-10, 1e-7
ALPHA = 0.05
PAIR = ["exposure", "outcome"]


def seconds(sizes):
    """Roughly how long the shapes take; `sizes` are those of the effects' dimensions."""
    if sizes["member"] < LEAST_TO_CROSS_FIT:
        return 0.0
    return min(MOST_SECONDS, sizes["locus"] * _seconds_of_locus(sizes))


def _seconds_of_locus(sizes):
    return OF_MARKS * sizes["mark"] ** 3 + OF_NUMBER * sizes["mark"] * sizes["member"] * sizes["variant"]


def chosen(run, pairs):
    """The strongest of some pairs whose verdict is a direct effect, as names.

    Parameters
    ----------
    run : FinishedRun
    pairs : list of (exposure, outcome)
    """
    direct = run.strongest[run.strongest["verdict"] == DIRECT]
    shown = set(pairs)
    return [pair for pair in direct[PAIR].itertuples(index=False, name=None) if pair in shown][:MOST]


def shapes(run, pairs, local, loci, map_blocks=None):
    """Shapes of the strongest direct effects among some pairs.

    Parameters
    ----------
    run : FinishedRun
    pairs : list of (exposure, outcome)
    local, loci : pandas.DataFrame
        As for `contents.of_pairs`.
    map_blocks : callable, optional
        As `kipoi_deepmr.effects_store.each_block`: where blocks of loci are read.

    Returns
    -------
    found : dict of int to dict
        JSON values by number of the pair: `word`, `turn`, `full`, `n_loci`, `n_instruments`, `pvalue`,
        `pvalue_min_bend`; `slopes`, three of [estimate, low, high], at the reference, half and full ablation; `curve`
        and `points` by columns; `states`, those on which the effect depends; `levels`, all that were compared.
    note : str
        Why there are none, or what to know of them; may be empty.
    """
    wanted = chosen(run, pairs)
    effects = run.effects
    if not wanted or effects is None:
        return {}, ""
    if "member_effect" not in effects or effects.sizes["member"] < LEAST_TO_CROSS_FIT:
        return {}, f"Shapes need the effects of each of {LEAST_TO_CROSS_FIT} members or more."
    marks = [str(mark) for mark in effects["mark"].values]
    numbers = [(marks.index(x), marks.index(y)) for x, y in wanted]
    at = _numbers_in_store(effects, loci)
    blocks, notes = _blocks(effects.sizes, local, wanted, at)
    gathered = shape.gather_several(effects, run.rule, numbers, map_blocks, blocks)
    sd, found, lacking = moments(effects)[1], {}, 0
    for pair, number, folds in zip(wanted, numbers, gathered, strict=True):
        ablating = shape.ablating(folds) if len(folds.loci) else folds
        if not len(ablating.loci):
            lacking += 1
            continue
        least = shape.least_slope(sd, *number)
        states = [*number, *(marks.index(mark) for mark in _partners(run, *pair))]
        result = shape.ShapeResult(
            *pair, shape.curve_of(ablating, ShapeOptions.default_of("min_bend"), least),
            shape.dependences(folds, shape.levels(effects, states, number, folds), least), None, folds, [])
        found[pairs.index(pair)] = _told(result, {number: row for row, number in enumerate(at)})
    if lacking:
        notes.append(f"{counted(lacking, 'other direct effect')} among the {len(wanted)} strongest "
                     f"{'has' if lacking == 1 else 'have'} no shape: no locus{' of these' if blocks else ''} has the "
                     "instruments that a curve needs.")
    return found, " ".join(notes)


def _partners(run, exposure, outcome):
    """Other marks with a direct effect on the outcome, the strongest first."""
    direct = run.strongest[(run.strongest["verdict"] == DIRECT) & (run.strongest["outcome"] == outcome)]
    return [mark for mark in direct["exposure"] if mark != exposure][:MOST_PARTNERS]


def _numbers_in_store(effects, loci):
    """Number in the store of each of the page's loci; -1 for one that it lacks."""
    places = zip(*(effects[name].values.tolist() for name in ("name", "chrom", "start", "end", "strand")), strict=True)
    number = {place: i for i, place in enumerate(places)}
    return [number.get(place, -1) for place in loci.itertuples(index=False, name=None)]


def _blocks(sizes, local, wanted, at):
    """Blocks of loci to read, and sentences if they are not all: None where there is time for all.

    Of many, those at which most of the pairs have an estimate.
    """
    n = max(1, int(MOST_SECONDS / _seconds_of_locus(sizes)))
    if n >= sizes["locus"]:
        return None, []
    shown = local[pd.MultiIndex.from_frame(local[PAIR]).isin(wanted) & local["estimate"].notna()]
    known = [(-count, at[row]) for row, count in shown["number"].value_counts().items() if at[row] >= 0]
    chosen_loci = sorted(number for _, number in sorted(known)[:n])
    return [slice(i, i + 1) for i in chosen_loci], [
        f"Shapes are those at {counted(len(chosen_loci), 'locus', 'loci')} of {sizes['locus']:,}, at which most of "
        "these pairs have an estimate; kipoi deepmr shape takes all."]


def _told(result, row_of):
    """JSON values of one pair's shape; `row_of` has the page's number of each locus in the store."""
    curve = result.curve
    low, high = interval(curve.slopes, curve.slopes_se, ALPHA, curve.slopes_df)
    points, ends = result.points, result.curve_table
    points = points.iloc[np.unique(np.linspace(0, len(points) - 1, MOST_POINTS).astype(int))]
    loci = [row_of.get(int(result.folds.loci[locus])) for locus in points["locus"]]
    number = rounded([curve.shape.turn, curve.full, curve.pvalue, curve.pvalue_min_bend])
    return {
        "word": curve.shape.word, **dict(zip(("turn", "full", "pvalue", "pvalue_min_bend"), number, strict=True)),
        "n_loci": curve.n_loci, "n_instruments": round(curve.n_instruments), "n_points": len(result.points),
        "slopes": [rounded(each) for each in zip(curve.slopes, low, high, strict=True)],
        "curve": {name: rounded(ends[name]) for name in ("x", "y", "ci_low", "ci_high")},
        "points": {"x": rounded(points["x"], 3), "y": rounded(points["y"], 3), "locus": loci},
        "levels": [row.covariate for row in result.dependences],
        "states": [{"level": row.covariate, "verdict": row.verdict, "pvalue": rounded([row.pvalue_adjusted])[0],
                    "low": rounded([row.low, row.effect_low, row.effect_low_ci_low, row.effect_low_ci_high]),
                    "high": rounded([row.high, row.effect_high, row.effect_high_ci_low, row.effect_high_ci_high])}
                   for row in result.dependences if row.pvalue_adjusted < ALPHA and row.verdict != INDEPENDENT],
    }
