"""How long the steps of each stage take here: the stage's own functions, timed on a few loci and pairs."""

import math
import os
import tempfile
import time
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd

from .. import effects_store, meta, mr
from ..effects_store.blocks import loci_of_block
from ..instruments import Assignment, InstrumentRule, moderation_for, moderation_of, with_se_shrinkage
from ..instruments.assignment import REASONS, SHARED
from ..instruments.rays import LEAST_NOISE, LEAST_TAU, MOST_LOCAL, LocalSlopes, Rays
from ..instruments.rules import Direct
from ..meta.members import OF_MEMBER
from ..mr.block import Block
from ..mr.pairs import COMPILED_FROM, fits_of, holds_fits, members_fitted, moderates
from ..mr.wide import GROUP_FITS
from ..output import tables
from ..runs.tables import read_estimates
from ..threads import limited
from .sampled import of_largest, rule_of

LEAST, LONGEST = 0.4, 1.0  # seconds: a step is made longer until it takes so much
LONGER = 16  # times as much, at most, in the next try
FEWEST = 5  # pairs in arrays to begin with, of as many exposures
DRAWN = 500_000  # local effects that are pooled, and spreads that are moderated
MOST_ROWS = 20_000  # of a table of local effects, or of diagnostics
FEWER_ROWS, ROWS = 2_000, 40_000  # of a global table, whose difference is what rows take
REFERENCE = 0.034  # seconds of `slowness` on the machine whose constants are in seconds.py (AMD EPYC, 2.6 GHz, idle)


class Rates(NamedTuple):
    """Seconds of one processor.

    Attributes
    ----------
    shrink, view, again : float
        Of a locus: to moderate its standard errors, to look at it as each member does, and to look at it once more.
    spread, effect : float
        Of a local effect: when the members' spread is measured, and when it goes to the array.
    moderated : float
        Of a pair and method, to moderate its spread over all loci.
    row, diagnosed : float
        Of a row of the local table and of the diagnostics.
    row_locus, diagnosed_locus : float
        Of a locus in each, whatever the pairs.
    read : float
        Of a local effect, when `aggregate` reads it.
    pooled, judged : float
        Of a row of the global table: to pool it over all loci, and to judge and write it.
    slow : float
        How many times longer this machine takes than the one whose constants are used for all else.
    """

    shrink: float
    view: float
    again: float
    spread: float
    effect: float
    moderated: float
    row: float
    diagnosed: float
    row_locus: float
    diagnosed_locus: float
    read: float
    pooled: float
    judged: float
    slow: float


def timed(sample, options, sizes, counts, known, parquet):
    """Time the steps of estimation and of what follows.

    Parameters
    ----------
    sample : xarray.Dataset
        A few loci of the effects, in memory, or simulated ones.
    options : EstimateOptions
    sizes : dict of str to int
        Of the dimensions of all effects.
    counts : Counts
    known : Sampled
    parquet : bool
        Whether tables are Parquet.

    Returns
    -------
    Rates
    """
    with limited(1), tempfile.TemporaryDirectory() as folder, np.errstate(all="ignore"):
        with_se_shrinkage(sample.isel(locus=[0]), options.se_shrinkage, quiet=True)
        shrink, viewed = _seconds(lambda: with_se_shrinkage(sample, options.se_shrinkage, quiet=True))
        rule = _rule_of(viewed, options, sizes["locus"])
        trial, rule, of_views = _of_views(viewed, options, rule, sizes)
        return timed_alone()._replace(shrink=shrink / viewed.sizes["locus"], **of_views,
                                      **_of_diagnostics(trial, options, rule, sizes, counts),
                                      **_of_fits(trial, options, sizes, counts, known, folder, parquet))


def timed_of_array(local, of_pairs, parquet):
    """`Rates` of what follows estimation, from an array of local effects; those of estimation are 0.

    Parameters
    ----------
    local : LocalEffects
    of_pairs : float
        Of pairs that have an estimate at some locus.
    parquet : bool
    """
    with limited(1), tempfile.TemporaryDirectory() as folder, np.errstate(all="ignore"):
        return timed_alone()._replace(**_of_pieces(local, of_pairs, local.n_loci, folder, parquet))


def timed_alone():
    """`Rates` of stages whose steps are not timed: how slow this machine is, and nothing else."""
    return Rates(**{**dict.fromkeys(Rates._fields, 0.0), "slow": slowness()})


def _seconds(function):
    """Seconds of one processor that a call takes, and what it gives."""
    begun = time.process_time()
    found = function()
    return time.process_time() - begun, found


def _seconds_again(function):
    """As `_seconds`, of the second call: what is compiled or loaded once counts for nothing."""
    function()
    return _seconds(function)


def _least_seconds(function):
    """Seconds of one processor that a call takes, the least of two where it is short, since other work slows it."""
    taken, _ = _seconds(function)
    return taken if taken > LEAST else min(taken, _seconds(function)[0])


def _of_views(viewed, options, rule, sizes):
    """A `Trial` of some loci, the rule, which remembers what it says of them, and rates of the views."""
    compiled, few = _is_compiled(options, sizes), viewed.sizes["locus"]

    def first_view():
        remembering = rule.remembering(sizes)
        trial = mr.Trial(viewed, options, remembering, compiled)
        taken, _ = _seconds(trial.view)
        return taken, trial, remembering

    mr.Trial(viewed, options, rule, compiled).first(1).view()
    taken, trial, remembering = first_view()
    if taken <= LEAST:
        taken = min(taken, first_view()[0])
    again = _least_seconds(trial.view) if remembering.answers else taken
    return trial, remembering, {"view": taken / few, "again": again / few}


def _grown(step, trial, n_pairs, compiled):
    """As many loci, and pairs, as take long enough to be timed: a `Trial`, pairs, seconds, and what `step` gives.

    Of compiled loops, a locus takes as many pairs as the estimation holds at a time, since larger arrays take longer a
    number. Arrays share work between loci, so that all loci come before more pairs, and may take longer.
    """
    n_loci, n = 1, min(n_pairs, GROUP_FITS if compiled else FEWEST)
    few = trial.effects.sizes["locus"]
    step(trial.first(1), trial.some(1))  # what is loaded once counts for nothing
    while True:
        some, pairs = trial.first(n_loci), trial.some(n, FEWEST)
        taken, found = _seconds(partial(step, some, pairs))
        least = LEAST if compiled or n_loci == few else LONGEST
        if taken >= least or (n_loci == few and (compiled or n == n_pairs)):
            return some, pairs, taken, found
        times = min(LONGER, 1.2 * least / max(taken, 1e-4))
        if n_loci < few:
            n_loci = min(few, math.ceil(n_loci * times))
        else:
            n = min(n_pairs, math.ceil(n * times))


def _is_compiled(options, sizes):
    return fits_of(sizes, options.n_pairs(sizes["mark"]), options) >= COMPILED_FROM


def _of_fits(trial, options, sizes, counts, known, folder, parquet):
    """Rates of what is fitted, and of what `aggregate` does with it."""
    twice, compiled, n_loci = moderates(options), _is_compiled(options, sizes), sizes["locus"]
    rates, moderation = dict.fromkeys(("spread", "moderated", "effect"), 0.0), ()
    if twice and (counts.wide or not holds_fits(sizes, counts.pairs, options)):
        some, pairs, taken, spreads = _grown(mr.Trial.spreads, trial, counts.pairs, compiled)
        chosen = spreads[..., :max(1, DRAWN // n_loci)]
        rates["spread"] = taken / spreads.size
        rates["moderated"] = _seconds_again(lambda: trial.moderation(chosen, n_loci))[0] / chosen[0].size
        moderation = some.moderation(spreads, len(spreads))
    elif counts.wide:
        some, pairs, *_ = _grown(partial(_filled, options, sizes, ()), trial, counts.pairs, compiled)
    if counts.wide:
        _in_array(trial.first(1), options, sizes, trial.some(1), (), folder)
        rates["effect"], local = _in_array(some, options, sizes, pairs, moderation, folder)
        rates.update(_of_pieces(local, known.of_pairs, n_loci, folder, parquet))
    if counts.in_table:
        rates.update(_of_table(trial, options, sizes, counts, known, folder, parquet))
    return rates


def _filled(options, sizes, moderation, some, pairs):
    """Pairs at some loci in the arrays of a block, and their `Shape`."""
    marks = some.effects["mark"].values.tolist()
    shape = effects_store.Shape(options.method, some.effects.sizes["locus"], [marks[x] for x in pairs],
                                options.outcomes or marks, members_fitted(sizes, options))
    shape.block = shape.sizes["locus"]
    return some.fill(pairs, moderation, shape), shape


def _in_array(some, options, sizes, pairs, moderation, folder):
    """Seconds of a local effect until it is in an array, and the array."""
    filled, (data, shape) = _seconds(partial(_filled, options, sizes, moderation, some, pairs))
    path = os.path.join(folder, "local.zarr")
    writer = effects_store.LocalWriter(path, shape, some.effects, {"pairs": len(pairs)}, {})
    written, entry = _seconds(lambda: effects_store.write_block(path, shape, 0, data, []))
    writer.add(entry)
    n_pairs, cells = sum(map(len, pairs.values())), len(pairs) * len(shape.outcomes)
    return (filled / n_pairs + written / cells) / (shape.block * len(shape.methods)), effects_store.LocalEffects(path)


def _of_table(trial, options, sizes, counts, known, folder, parquet):
    """Rates of the local table, and of what `aggregate` does with it where there is no array."""
    path, twice = _in(folder, "local", parquet), moderates(options)

    def rows(some, pairs):
        shape = some.effects.sizes["locus"], len(options.method), sum(map(len, pairs.values()))
        spreads = np.random.default_rng(0).gamma(2.0, size=shape)
        table = some.table(pairs, some.moderation(spreads, len(spreads)) if twice else ())
        tables.write_table(path, [table])
        return table

    of_locus, row, table = _beyond_one(rows, trial, options, sizes, counts.in_table // len(options.method), counts)
    rates = {"row": row, "row_locus": of_locus}
    if counts.wide:
        return rates
    read, _ = _seconds_again(lambda: read_estimates(path))
    return {**rates, "read": read / len(table),
            **_of_aggregate(*_arrays(table), sizes["locus"], known.of_pairs, folder, parquet)}


def _of_diagnostics(trial, options, rule, sizes, counts):
    """Rates of the diagnostics."""
    if not counts.diagnosed:
        return {}
    draws = {} if options.diagnostics == "all" else {"n_draws": 0}

    def rows(some, pairs):
        return pd.concat(mr.iter_diagnostics(some.effects, options, rule, pairs=pairs, **draws))

    of_locus, row, _ = _beyond_one(rows, trial, options, sizes, counts.diagnosed, counts)
    return {"diagnosed": row, "diagnosed_locus": of_locus}


def _beyond_one(step, trial, options, sizes, n_rows, counts):
    """Seconds of a locus with one pair, of a further row, and the table that `step` gives.

    A table of the pairs that matter has about one of each exposure, and the loci of a block share some of its work.
    """
    n_pairs, few = max(1, n_rows // sizes["locus"]), trial.effects.sizes["locus"]

    def seconds(n_loci, n):
        pairs = trial.some(n, n if counts.wide and options.tables == "effects" else FEWEST)
        return _seconds(partial(step, trial.first(n_loci), pairs))

    seconds(1, 1)
    begun, table = seconds(few, 1)
    if begun > LEAST / 4:
        few = max(min(2, few), int(few * LEAST / 4 / begun))
        begun, table = seconds(few, 1)
    n, of_one, beyond = 1, len(table), 0.0
    while n < n_pairs and beyond < LEAST / 2 and len(table) < MOST_ROWS:
        times = LEAST * (n - 1) / max(beyond, 1e-4) / n if n > 1 else LEAST / max(begun, 1e-4)
        n = min(n_pairs, math.ceil(n * np.clip(times, 3, 4 * LONGER if n > 1 else LONGER)))
        taken, table = seconds(few, n)
        beyond = max(taken - begun, taken / 10)
    row, together = beyond / max(1, len(table) - of_one), min(sizes["locus"], loci_of_block(sizes))
    if together > few > 1 and n > 1:
        least = seconds(1, n)[0] - seconds(1, 1)[0]
        each = min(row, max(0.0, beyond - least) * few / (few - 1) / (len(table) - of_one))
        row = each + (row - each) * few / together
    return begun / few, row, table


def _of_pieces(local, of_pairs, n_loci, folder, parquet):
    """Rates of what follows an array of local effects, from its first block of loci and group of exposures."""
    def read(local):
        return next(mr.pieces(local, slice(local.shape.block)))[0]()

    again = effects_store.LocalEffects(local.path)
    read(local)
    taken, (keys, *arrays, members) = _seconds(partial(read, again))
    arrays += list(members)
    n_read = arrays[0].shape[0] * local.shape.group * len(local.outcomes) * len(local.methods)
    return {"read": taken / n_read, **_of_aggregate(keys, arrays, n_loci, of_pairs, folder, parquet)}


def _arrays(table):
    """Keys of a local table, and estimates, standard errors and members' estimates of its first loci."""
    columns = ["estimate", "se", *table.filter(regex=OF_MEMBER).columns]
    keys = table.groupby(list(meta.KEYS), sort=False).ngroup()
    n = keys.max() + 1
    return table[list(meta.KEYS)].head(n), [table[name].to_numpy(np.float64).reshape(-1, n) for name in columns]


def _of_aggregate(keys, arrays, n_loci, of_pairs, folder, parquet):
    """Rates of the global table, as if these loci and pairs came again and again."""
    loci = np.arange(n_loci)[:, None] % len(arrays[0])
    rows = np.arange(max(1, DRAWN // n_loci)) % len(keys)
    keys, (estimate, se, *members) = keys.iloc[rows], [each[loci, rows] for each in arrays]
    taken, found = _seconds_again(lambda: meta.aggregate_pieces([[lambda: (keys, estimate, se, iter(members))]]))
    return {"pooled": taken / len(found), "judged": _of_judged(found, of_pairs, folder, parquet)}


def _of_judged(found, of_pairs, folder, parquet):
    """Seconds of a row of the global table that is judged and written, with a reason as long as a verdict's.

    Its numbers are drawn by chance, where a share of pairs has an estimate, since few loci say little of all.
    """
    from .aggregation import write_judged  # which imports this module
    from .network import PAIR, Judged

    path, rng = _in(folder, "global", parquet), np.random.default_rng(0)
    judged = Judged(dict.fromkeys(found[PAIR].to_numpy().ravel(), 1.0), None, REASONS[SHARED])
    rows = found.iloc[np.arange(ROWS) % len(found)].reset_index(drop=True)
    for name in rows.columns[rows.dtypes == np.float64]:
        rows[name] = np.where(rng.random(ROWS) < of_pairs, rng.random(ROWS), np.nan)

    def seconds(n):
        return _least_seconds(lambda: write_judged(path, rows[:n], judged))

    seconds(1)
    fewer, more = seconds(FEWER_ROWS), seconds(ROWS)
    return max(more - fewer, 0.0) / (ROWS - FEWER_ROWS)


def _in(folder, name, parquet):
    return os.path.join(folder, name + (tables.PARQUET if parquet else tables.TSV))


def _rule_of(viewed, options, n_loci):
    """The rule of the options; for direct, as if each mutant acted on the mark that it moves most."""
    rule = rule_of(viewed, options)
    if options.instruments != "direct":
        return rule
    assignment = _as_if_of_largest(Block.read(viewed, slice(0, viewed.sizes["locus"]), rule),
                                   viewed["mark"].values, n_loci)
    moderation = None if moderation_of(viewed) else moderation_for(viewed, True, quiet=True)
    return InstrumentRule("direct", options.instrument_z, scale=rule.scale,
                          direct=Direct(assignment, viewed.sizes["member"], moderation))


def _as_if_of_largest(block, marks, n_loci):
    """An `Assignment` as of so many loci, with rays through the mutants that move each mark most."""
    sd = np.nan_to_num(np.nanstd(block.effect, axis=(0, 1)))
    unit = np.where(sd > 0, sd, 1.0)
    effect = np.nan_to_num(block.effect / unit).reshape(-1, len(sd))
    own = of_largest(block).instruments.mask.reshape(effect.shape)
    noise = np.maximum(np.nan_to_num(np.nanmedian(block.effect_se / unit, axis=(0, 1))), LEAST_NOISE)
    sums = np.where(own, effect, 0.0).T @ effect
    active = own.any(0)
    slope = sums[active] / np.diag(sums)[active, None]
    tau, local = np.full_like(slope, LEAST_TAU), None
    if n_loci * len(sd) ** 2 <= MOST_LOCAL:
        none = [np.zeros(0, int)] * len(slope), *([np.zeros((0, len(sd)), np.float32)] * len(slope) for _ in range(2))
        local = LocalSlopes(slope.astype(np.float32), tau.astype(np.float32) ** 2, *none)
    rays = Rays(np.arange(len(sd)), active, slope, tau, local, np.full(len(sd), n_loci), 0.0)
    return Assignment(tuple(marks), sd, noise, rays, ("",) * len(sd), None, None)


def slowness():
    """How many times longer this machine takes than the one whose constants are in seconds.py."""
    def work():
        numbers = np.random.default_rng(0).standard_normal(400_000)
        np.sort(numbers)
        np.exp(numbers).sum()
        return len("\t".join(map(repr, numbers[:20_000].tolist())))

    return min(_seconds(work)[0] for _ in range(3)) / REFERENCE
