"""How long the steps of each stage take here: the stage's own functions, timed on a few loci and pairs."""

import os
import tempfile
import time
from functools import partial
from typing import NamedTuple

import numpy as np

from .. import effects_store, meta, mr
from ..instruments import Assignment, InstrumentRule, moderation_for, moderation_of, with_se_shrinkage
from ..instruments.rays import LEAST_NOISE, LEAST_TAU, MOST_LOCAL, LocalSlopes, Rays
from ..instruments.rules import Direct
from ..meta.members import OF_MEMBER
from ..mr.block import Block
from ..mr.pairs import COMPILED_FROM, fits_of, members_fitted, moderates
from ..network.verdicts import DIRECT
from ..output import tables
from ..threads import limited
from .sampled import of_largest, rule_of

LEAST = 0.15  # seconds: a step is made longer until it takes so much
LOCI_OF_LOOPS, FEWEST = 10, 20  # of compiled loops; pairs in arrays, where those of an exposure share some work
LONGER = 16  # times as many pairs, at most, in the next step
DRAWN = 250_000  # local effects that are pooled, and spreads that are moderated
ROWS, FEW_DIAGNOSED, DIAGNOSED = 2_000, 5, 200  # of tables, and pairs at two loci
REFERENCE = 0.034  # seconds of `slowness` on the machine whose constants are in seconds.py (AMD EPYC, 2.6 GHz, idle)


class Rates(NamedTuple):
    """Seconds of one processor.

    Attributes
    ----------
    shrink, view : float
        Of a locus: to moderate its standard errors, and to look at it as each member does, every time it is read.
    spread, effect : float
        Of a local effect: when the members' spread is measured, and when it goes to the array.
    moderated : float
        Of a pair and method, to moderate its spread over all loci.
    row, diagnosed : float
        Of a row of the local table and of the diagnostics.
    read : float
        Of a local effect, when `aggregate` reads it.
    pooled, judged : float
        Of a row of the global table: to pool it over all loci, and to judge and write it.
    slow : float
        How many times longer this machine takes than the one whose constants are used for all else.
    """

    shrink: float
    view: float
    spread: float
    effect: float
    moderated: float
    row: float
    diagnosed: float
    read: float
    pooled: float
    judged: float
    slow: float


def timed(sample, options, sizes, wide, parquet):
    """Time the steps of estimation and of what follows.

    Parameters
    ----------
    sample : xarray.Dataset
        A few loci of the effects, in memory, or simulated ones.
    options : EstimateOptions
    sizes : dict of str to int
        Of the dimensions of all effects.
    wide, parquet : bool
        Whether local effects go to an array, and whether tables are Parquet.

    Returns
    -------
    Rates
    """
    with limited(1), tempfile.TemporaryDirectory() as folder, np.errstate(all="ignore"):
        shrink, viewed = _seconds_again(lambda: with_se_shrinkage(sample, options.se_shrinkage, quiet=True))
        if _is_compiled(options, sizes):  # loops take one locus at a time, arrays all
            viewed = viewed.isel(locus=slice(LOCI_OF_LOOPS))
        few = viewed.sizes["locus"]
        rule = _rule_of(viewed, options, sizes["locus"])
        trial = mr.Trial(viewed, options, rule, _is_compiled(options, sizes))
        view, _ = _seconds_again(trial.view)
        diagnosed = _of_diagnostics(viewed, options, rule, trial)
        return Rates(shrink / sample.sizes["locus"], view / few, diagnosed=diagnosed,
                     slow=slowness(), **_of_fits(trial, options, sizes, wide, folder, parquet))


def timed_of_array(local, parquet):
    """`Rates` of what follows estimation, from an array of local effects; those of estimation are 0.

    Parameters
    ----------
    local : LocalEffects
    parquet : bool
    """
    with limited(1), tempfile.TemporaryDirectory() as folder, np.errstate(all="ignore"):
        return timed_alone()._replace(**_of_pieces(local, local.n_loci, folder, parquet))


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


def _grown(step, most, compiled):
    """How many pairs take long enough to be timed, seconds of each, and what `step` gives for so many.

    Compiled loops take one locus at a time, whatever the pairs: what one pair takes is not counted for each.
    """
    n, begun = (1, _seconds_again(partial(step, 1))[0]) if compiled else (min(FEWEST, most), 0.0)
    while True:
        taken, found = _seconds(partial(step, n))
        if compiled and taken - begun >= LEAST:  # most of it may be machine code that was made or loaded
            taken, found = _seconds(partial(step, n))
        if taken - begun >= LEAST or n >= most:
            return n, _beyond(taken, begun) / n, found
        n = int(min(most, max(n + 1, n * min(LONGER, 1.5 * LEAST / max(taken - begun, 1e-4)))))


def _beyond(taken, begun):
    """Seconds beyond those of one pair, at least a tenth of all."""
    return max(taken - begun, taken / 10)


def _is_compiled(options, sizes):
    return fits_of(sizes, options.n_pairs(sizes["mark"]), options) >= COMPILED_FROM


def _of_fits(trial, options, sizes, wide, folder, parquet):
    """Rates of what is fitted, and a few rows of the local table."""
    n_pairs, n_loci, few = options.n_pairs(sizes["mark"]), sizes["locus"], trial.effects.sizes["locus"]
    each_locus, compiled = few * len(options.method), _is_compiled(options, sizes)
    moderation, rates = (), dict.fromkeys(("spread", "moderated", "effect"), 0.0)
    if moderates(options):
        n, each, spreads = _grown(lambda n: trial.spreads(trial.some(n)), n_pairs, compiled)
        chosen = spreads[..., :max(1, DRAWN // n_loci)]
        rates["spread"] = each / each_locus
        rates["moderated"] = _seconds_again(lambda: trial.moderation(chosen, n_loci))[0] / chosen[0].size
        moderation = trial.moderation(spreads, few)
    else:
        n, *_ = _grown(lambda n: trial.table(trial.some(n), ()), n_pairs, compiled)
    some = trial.some(min(n, max(1, ROWS // each_locus)))
    taken, table = _seconds_again(lambda: trial.table(some, moderation))
    written, _ = _seconds_again(lambda: tables.write_table(_in(folder, "local", parquet), [table]))
    rates["row"] = (taken + written) / len(table)
    if not wide:
        return {**rates, "read": 0.0, **_of_aggregate(*_arrays(table), n_loci, folder, parquet)}
    pairs = trial.some(n)
    taken, local = _in_array(trial, options, sizes, pairs, moderation, folder)
    return {**rates, "effect": taken / (n * each_locus), **_of_pieces(local, n_loci, folder, parquet)}


def _in_array(trial, options, sizes, pairs, moderation, folder):
    """Seconds that pairs take until they are in an array, and the array."""
    marks = trial.effects["mark"].values.tolist()
    shape = effects_store.Shape(options.method, trial.effects.sizes["locus"], [marks[x] for x in pairs],
                                options.outcomes or marks, members_fitted(sizes, options))
    shape.block = shape.sizes["locus"]
    path = os.path.join(folder, "local.zarr")
    writer = effects_store.LocalWriter(path, shape, trial.effects, {}, {})
    filled, data = _seconds_again(lambda: trial.fill(pairs, moderation, shape))
    if _is_compiled(options, sizes) and sum(map(len, pairs.values())) > 1:  # as in _grown
        filled = _beyond(filled, _seconds(lambda: trial.fill(trial.some(1), moderation, shape))[0])
    written, entry = _seconds(lambda: effects_store.write_block(path, shape, 0, data, []))
    writer.add(entry)
    share = sum(map(len, pairs.values())) / (len(pairs) * len(shape.outcomes))
    return filled + written * min(1.0, share), effects_store.LocalEffects(path)


def _of_diagnostics(viewed, options, rule, trial):
    """Seconds of a row of the diagnostics, without what their loci take, whatever the pairs."""
    if options.diagnostics == "none":
        return 0.0
    few, draws = viewed.isel(locus=slice(2)), {} if options.diagnostics == "all" else {"n_draws": 0}

    def rows(n):
        return sum(map(len, mr.iter_diagnostics(few, options, rule, pairs=trial.some(n), **draws)))

    begun, _ = _seconds_again(partial(rows, 1))
    for n in FEW_DIAGNOSED, DIAGNOSED:
        taken, n_rows = _seconds_again(partial(rows, n))
        if taken - begun >= LEAST:
            break
    return _beyond(taken, begun) / n_rows


def _of_pieces(local, n_loci, folder, parquet):
    """Rates of what follows an array of local effects, from its first block of loci and group of exposures."""
    def read():
        return next(mr.pieces(local, slice(local.shape.block)))[0]()

    taken, (keys, *arrays, members) = _seconds_again(read)
    arrays += list(members)
    n_read = arrays[0].shape[0] * local.shape.group * len(local.outcomes) * len(local.methods)
    return {"read": taken / n_read, **_of_aggregate(keys, arrays, n_loci, folder, parquet)}


def _arrays(table):
    """Keys of a local table, and estimates, standard errors and members' estimates of its first loci."""
    columns = ["estimate", "se", *table.filter(regex=OF_MEMBER).columns]
    keys = table.groupby(list(meta.KEYS), sort=False).ngroup()
    n = keys.max() + 1
    return table[list(meta.KEYS)].head(n), [table[name].to_numpy(np.float64).reshape(-1, n) for name in columns]


def _of_aggregate(keys, arrays, n_loci, folder, parquet):
    """Rates of the global table, as if these loci and pairs came again and again."""
    loci = np.arange(n_loci)[:, None] % len(arrays[0])
    rows = np.arange(max(1, DRAWN // n_loci)) % len(keys)
    keys, (estimate, se, *members) = keys.iloc[rows], [each[loci, rows] for each in arrays]
    taken, found = _seconds_again(lambda: meta.aggregate_pieces([[lambda: (keys, estimate, se, iter(members))]]))
    return {"pooled": taken / len(found), "judged": _of_judged(found, folder, parquet)}


def _of_judged(found, folder, parquet):
    """Seconds of a row of the global table that is judged and written; without its verdict, which takes little."""
    from .network import PAIR, Judged  # which imports this module

    rows = found.iloc[np.arange(ROWS) % len(found)]
    judged, path = Judged(dict.fromkeys(rows[PAIR].to_numpy().ravel(), 1.0), None, ""), _in(folder, "global", parquet)
    taken, _ = _seconds_again(lambda: tables.write_table(path, [judged.of_table(rows).assign(verdict=DIRECT)]))
    return taken / ROWS


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
