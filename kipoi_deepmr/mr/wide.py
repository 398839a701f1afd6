"""Fits of many pairs in bounded memory: exposures in groups, results to an array on disk instead of a table."""

import os
import tempfile
from copy import copy
from dataclasses import replace
from functools import cached_property, partial
from itertools import chain

import numpy as np
import pandas as pd

from ..effects_store import blocks_of, each_block, write_block
from ..effects_store.local_effects import LARGEST_COUNT
from ..inference import interval, two_sided_pvalue
from ..instruments.moderation import Moderation
from ..threads import mapped
from . import notes
from .estimators.closed_form import has_closed_form
from .kernels.gather import gathered
from .pairs import NUMBERS, finished, fit_views, moderates, plan_of, spreads_of, table_of_fits, views_of_block
from .uncertainty import moderation_of_spread

GROUP_FITS = 125_000  # pairs whose results at a locus are held at a time by a thread, of every member
WRITTEN = 4_000_000  # bytes at a time, between which a signal is heeded
PIECE_FITS = 500_000  # local effects that a thread pools at a time
VIEW_BYTES = 16_000_000  # of one block's effects in float64; each member's view of it takes as much again


class Estimation:
    """The estimation of all pairs of some effects: what is fitted, and where.

    Parameters
    ----------
    effects : xarray.Dataset
        With standard errors as they are to be.
    options : EstimateOptions
    rule : InstrumentRule
    shape : Shape
        Of the array.
    map_blocks : callable
        As `effects_store.each_block`.
    folder : str
        Where a temporary file may lie.
    """

    def __init__(self, effects, options, rule, shape, map_blocks=each_block, folder=None):
        self.effects, self.options, self.shape = effects, options, shape
        self._rule, self._map_blocks, self._folder = rule, map_blocks, folder

    @cached_property
    def plan(self):
        """What is fitted (`Plan`). It is made when it is needed: measured correlations take a pass over all loci."""
        plan = plan_of(self.effects, self.options, self._rule)
        return replace(plan, pairs=_arrays(plan.pairs))

    def of_pairs(self, pairs):
        """The estimation of some of its pairs, with the moderation of their spread, if there is one.

        The way of computing stays that of all pairs, and so does every digit.

        Parameters
        ----------
        pairs : dict of int to list of int
            Outcomes of each exposure, in the order of all.

        Returns
        -------
        Estimation
        """
        some = copy(self)
        numbers = _numbers(self.plan.pairs, pairs) if self.plan.spreads else None
        some.plan = replace(self.plan, pairs=_arrays(pairs),
                            spreads=tuple(_of_pairs(each, numbers) for each in self.plan.spreads))
        return some

    def moderate(self, shown=iter):
        """Measure the members' spread at all loci and moderate it, if the options ask for that and it is not done."""
        if not moderates(self.options) or self.plan.spreads:
            return
        n_pairs = sum(map(len, self.plan.pairs.values()))
        blocks = blocks_of(self.effects.sizes["locus"], self.shape.block)
        with tempfile.TemporaryFile(dir=self._folder) as file:
            pieces = self._map_blocks(partial(_spreads_of_block, plan=_lean(self.plan)), self.effects, blocks)
            for piece in shown(pieces):  # (locus, estimator, pair)
                values = memoryview(np.ascontiguousarray(piece)).cast("B")
                for first in range(0, len(values), WRITTEN):  # a busy disk takes seconds for hundreds of megabytes
                    file.write(values[first:first + WRITTEN])
            file.flush()
            sizes = self.effects.sizes["locus"], len(self.plan.estimators), n_pairs
            self.plan = replace(self.plan, spreads=tuple(
                _moderation(file, sizes, number, self.effects.sizes["member"])
                for number in range(len(self.plan.estimators))))

    def write(self, writer, shown=iter):
        """Fit all blocks that an array still lacks, and write them."""
        function = partial(_write_block, path=os.path.abspath(writer.path), shape=writer.shape, plan=_lean(self.plan))
        for entry in shown(self._map_blocks(function, self.effects, writer.blocks)):
            writer.add(entry)

    def tables(self):
        """The local table of the pairs, a piece of whole loci after the other."""
        few = sum(map(len, self.plan.pairs.values())) * self.shape.block < GROUP_FITS
        size = self.shape.block if few else 1
        function = partial(_tables_of_block, methods=self.options.method, plan=self.plan)
        for pieces in self._map_blocks(function, self.effects, blocks_of(self.effects.sizes["locus"], size)):
            yield from pieces


class Trial:
    """A few loci of an estimation in memory, whose steps can be timed one by one.

    Parameters
    ----------
    effects : xarray.Dataset
        The few loci, with standard errors as they are to be.
    options : EstimateOptions
    rule : InstrumentRule
    compiled : bool
        Whether the whole estimation runs in compiled loops.
    """

    def __init__(self, effects, options, rule, compiled):
        self.effects, self._options = effects, options
        self._plan = replace(plan_of(effects, options, rule), compiled=compiled)
        self._block, self._views = slice(0, effects.sizes["locus"]), ()

    def view(self):
        """Read the loci, and look at them as each member does."""
        self._views = _views(self.effects, self._block, self._plan)

    def first(self, n_loci):
        """The trial of the first loci alone."""
        few, loci = copy(self), slice(0, n_loci)
        few.effects, few._block = self.effects.isel(locus=loci), loci
        if self._views:
            block, views = self._views
            few._views = block.part(loci), [view.part(loci) for view in views]
        return few

    def some(self, n, least_exposures=1):
        """About `n` pairs, at most, of exposures with few instruments, with many and between: dict of int to list of
        int.

        The fewer pairs, the fewer outcomes of each exposure, so that there are `least_exposures`.
        """
        block, _ = self._views
        exposures = [exposure for exposure, outcomes in self._plan.pairs.items() if len(outcomes)]
        exposures = sorted(exposures, key=block.instruments.mask.sum((0, 1)).__getitem__)
        width = max(len(self._plan.pairs[exposure]) for exposure in exposures)
        k = min(n, len(exposures), max(least_exposures, n // width))
        chosen = [exposures[i] for i in np.arange(k) * len(exposures) // k + len(exposures) // (2 * k)]
        return {exposure: self._plan.pairs[exposure][:max(1, n // k)] for exposure in sorted(chosen)}

    def spreads(self, pairs):
        """The members' spread (locus, estimator, pair)."""
        plan = _lean(self._of(pairs))
        return _spreads_of_views(*self._views, self._block, plan, sum(map(len, pairs.values())))

    def moderation(self, spreads, n_loci):
        """Moderation of spreads (locus, estimator, pair), as if of so many loci: one an estimator."""
        rows = np.arange(n_loci) % len(spreads)
        return tuple(moderation_of_spread(spreads[rows, number], self.effects.sizes["member"])
                     for number in range(spreads.shape[1]))

    def fill(self, pairs, moderation, shape):
        """The arrays of a block."""
        plan, data = _lean(self._of(pairs, moderation)), _empty(shape, self._block.stop)
        _fill_part(data, {"": 0}, _Cells(shape, self.effects), self._block, self._block, plan, *self._views)
        return data

    def table(self, pairs, moderation):
        """Rows of the local table."""
        plan = self._of(pairs, moderation)
        fits = finished(fit_views(*self._views, plan), plan)
        return table_of_fits(self.effects, self._block, plan.pairs, self._options.method, fits)

    def _of(self, pairs, moderation=()):
        first = slice(sum(map(len, pairs.values())))
        return replace(self._plan, pairs=_arrays(pairs), spreads=tuple(_of_pairs(each, first) for each in moderation))


def _lean(plan):
    """The plan for estimates and standard errors alone: p-values and intervals take most of the time."""
    quick = [estimator.with_options(alpha=None) if plan.compiled and has_closed_form(estimator) else estimator
             for estimator in plan.estimators]
    return replace(plan, alpha=None, estimators=quick)


def _moderation(file, sizes, estimator, n_members):
    """`moderation_of_spread` of one estimator's spreads (locus, estimator, pair) in a file, many pairs at a time."""
    n_loci, n_estimators, n_pairs = sizes
    step, parts = max(1, 1_000_000 // n_loci), []
    for first in range(0, n_pairs, step):
        spreads = np.empty((n_loci, min(step, n_pairs - first)))
        for locus, row in enumerate(spreads):  # read, not mapped: pages of a map count as memory of the process
            file.seek(8 * ((locus * n_estimators + estimator) * n_pairs + first))
            file.readinto(row)
        parts.append(moderation_of_spread(spreads, n_members))
    return Moderation(parts[0].df, *(np.concatenate([getattr(part, name) for part in parts])
                                     for name in ("prior_df", "prior_variance")))


def _arrays(pairs):
    return {x: np.array(outcomes, np.int32) for x, outcomes in pairs.items()}


def _numbers(every, some):
    """Numbers of some pairs among all, both dict of int to outcomes, in the order of all."""
    chosen = [np.isin(outcomes, some.get(x, [])) for x, outcomes in every.items()]
    return np.flatnonzero(np.concatenate(chosen))


def _of_pairs(moderation, numbers):
    return replace(moderation, prior_df=moderation.prior_df[numbers], prior_variance=moderation.prior_variance[numbers])


def _parts(effects, block):
    """Slices of a block of loci that are read at a time."""
    size = max(1, VIEW_BYTES // (8 * effects.sizes["variant"] * effects.sizes["mark"]))
    return [slice(block.start + each.start, block.start + each.stop)
            for each in blocks_of(block.stop - block.start, size)]


def _groups(plan, n_loci):
    """Groups of exposures: numbers of their pairs (a slice), and outcomes of each."""
    first, group, n = 0, {}, 0
    for exposure, outcomes in plan.pairs.items():
        if group and (n + len(outcomes)) * n_loci > GROUP_FITS:
            yield slice(first, first + n), group
            first, group, n = first + n, {}, 0
        group[exposure] = outcomes
        n += len(outcomes)
    if n:
        yield slice(first, first + n), group


def _of_group(plan, pairs, group):
    """The plan for a group."""
    return replace(plan, pairs=group, spreads=tuple(_of_pairs(each, pairs) for each in plan.spreads))


def _views(effects, loci, plan):
    """A block and its views; without members' effects, if no estimator needs them."""
    block, views = views_of_block(effects, loci, plan)
    if any(estimator.method.needs_members for estimator in plan.estimators):
        return block, list(views)
    return replace(block, members=None), [replace(view, members=None) for view in views]


def _each_group(work, effects, loci, plan):
    """What `work` gives for each group of exposures at some loci, in order; computed in threads.

    `work` takes the numbers of these loci in the Dataset and of the pairs (slices), the plan of the pairs, and a `Fit`
    of arrays (locus, pair) for each estimator. Compiled loops get one locus at a time; arrays get all, since a sum's
    last digit depends on how far it is padded.
    """
    return _each_group_of_views(work, *_views(effects, loci, plan), loci, plan)


def _each_group_of_views(work, block, views, loci, plan):
    def of_group(here, pairs, group):
        group, of_block = _of_group(plan, pairs, group), slice(here.start - loci.start, here.stop - loci.start)
        fitted = fit_views(block.part(of_block), [view.part(of_block) for view in views], group, texts=[""])
        return work(here, pairs, group, finished(fitted, group))

    at_once = [slice(i, i + 1) for i in range(loci.start, loci.stop)] if plan.compiled else [loci]
    tasks = [(here, *group) for here in at_once for group in _groups(plan, here.stop - here.start)]
    return mapped(of_group, *zip(*tasks, strict=True)) if tasks else []


def _spreads_of_block(effects, block, plan):
    """The members' spread (locus, estimator, pair)."""
    n_pairs = sum(map(len, plan.pairs.values()))
    spreads = np.empty((block.stop - block.start, len(plan.estimators), n_pairs))
    for part in _parts(effects, block):
        spreads[_within(block, part)] = _spreads_of_views(*_views(effects, part, plan), part, plan, n_pairs)
    return spreads


def _spreads_of_views(block, views, loci, plan, n_pairs):
    spreads = np.empty((loci.stop - loci.start, len(plan.estimators), n_pairs))

    def keep(here, pairs, group, fits):
        spreads[_within(loci, here), :, pairs] = np.moveaxis(spreads_of(fits), 0, 1)

    _each_group_of_views(keep, block, views, loci, plan)
    return spreads


def _tables_of_block(effects, block, methods, plan):
    """Tables of a block of loci, whole loci each."""
    return [_table_of_part(effects, part, methods, plan) for part in _parts(effects, block)]


def _table_of_part(effects, part, methods, plan):
    if part.stop - part.start == 1:
        def as_table(_, pairs, group, fits):
            return table_of_fits(effects, part, group.pairs, methods, fits)

        return pd.concat(_each_group(as_table, effects, part, plan), ignore_index=True)
    block, views = views_of_block(effects, part, plan)
    return table_of_fits(effects, part, plan.pairs, methods, finished(fit_views(block, views, plan), plan))


def _write_block(effects, block, path, shape, plan):
    """Fit a block of loci and write it; gives what the record says of it."""
    data, number_of = _empty(shape, block.stop - block.start), {"": 0}
    cells = _Cells(shape, effects)
    for part in _parts(effects, block):
        _fill_part(data, number_of, cells, block, part, plan, *_views(effects, part, plan))
    return write_block(path, shape, block.start, data, [text for text in number_of if text])


def _fill_part(data, number_of, cells, block, part, plan, *views):
    """Fit a part of a block of loci, into the arrays of the block."""
    def fill(loci, pairs, group, fits):
        chosen = _within(block, loci), cells.of_pairs(group.layout)
        return [(method, *chosen, _fill(data, (method, *chosen), fit)) for method, fit in enumerate(fits)]

    for method, loci, chosen, texts in chain(*_each_group_of_views(fill, *views, part, plan)):
        for reason in data["reason"][method, loci]:
            _renumber(reason.reshape(-1), chosen, texts, number_of)


def _within(block, loci):
    return slice(loci.start - block.start, loci.stop - block.start)


def _empty(shape, n_loci):
    data = {}
    for variable in shape.variables:
        sizes = tuple(n_loci if d == "locus" else shape.sizes[d] for d in variable.dims)
        data[variable.name] = np.full(sizes, np.nan if variable.dtype == "float32" else 0, variable.dtype)
    return data


class _Cells:
    """Where pairs of marks stand among the cells (exposure, outcome) of an array."""

    def __init__(self, shape, effects):
        marks = [str(mark) for mark in effects["mark"].values]
        numbers = ({name: i for i, name in enumerate(names)} for names in (shape.exposures, shape.outcomes))
        self._row, self._column = (np.array([number.get(mark, -1) for mark in marks], np.intp) for number in numbers)
        self._n_columns = len(shape.outcomes)

    def of_pairs(self, layout):
        """Numbers of the cells of the pairs."""
        return self._row[layout.exposure] * self._n_columns + self._column[layout.outcome]


def _fill(data, place, fit):
    """Put the `Fit` of one method at some loci into the arrays of a block; the texts whose numbers stand for notes."""
    (method, loci, cells), result = place, fit.result
    if isinstance(result.note, notes.Coded):
        codes, texts = result.note.codes, result.note.texts
    else:
        codes, texts = pd.factorize(result.note.ravel())
        codes = codes.reshape(result.note.shape)
    with np.errstate(over="ignore"):
        values = {"estimate": result.estimate, "se": result.se, "df": result.df,
                  "n_instruments": np.minimum(result.n_instruments, LARGEST_COUNT)}
        targets = [(data[name][method, loci], each) for name, each in {**values, "reason": codes}.items()]
        if fit.by_member is not None:
            targets += zip(data["member_estimate"][method, :, loci], fit.by_member, strict=True)
        for target, of_loci in targets:
            for cells_of_locus, each in zip(target.reshape(len(target), -1), of_loci, strict=True):
                cells_of_locus[cells] = each
    return texts


def _renumber(reason, cells, texts, number_of):
    """Replace numbers of `texts`, in some cells, by those that the texts have in the whole block."""
    codes = reason[cells]
    used = np.flatnonzero(np.bincount(codes, minlength=len(texts)))
    numbers = np.zeros(len(texts), np.uint16)
    for code in used:
        numbers[code] = number_of.setdefault(texts[code], len(number_of))
    if (numbers[used] != used).any():
        reason[cells] = numbers[codes]


def empty_table(n_members):
    """A local table without rows."""
    columns = ("chrom", "start", "end", "strand", "locus", "exposure", "outcome", "method", *NUMBERS)
    return pd.DataFrame(columns=[*columns, *(f"estimate_{k}" for k in range(1, n_members + 1))])


def pieces(local, loci=slice(None)):
    """Local effects of all pairs as arrays, as `meta.aggregate_pieces` takes them.

    Parameters
    ----------
    local : LocalEffects

    Yields
    ------
    list of callables
        Of a group of exposures, which is held as it is read. Each gives of some pairs: a pandas.DataFrame with columns
        exposure, outcome, method, a row a meta-analysis; estimates and standard errors, (locus, row) float64; an
        iterator of every member's estimates, alike, of nothing if the array has none.
    """
    known = [pd.CategoricalDtype(names) for names in (local.exposures, local.outcomes, local.methods)]
    for group in local.groups():
        held = [(local.read(name, loci, group)[:, None], 0) for name in ("estimate", "se")]
        if local.n_members:
            members = local.read("member_estimate", loci, group)
            held += [(members, number) for number in range(local.n_members)]
        cells = [side.astype(np.int32) for side in np.nonzero(local.is_pair(group))]
        width = max(1, PIECE_FITS // max(1, len(local.methods) * held[0][0].shape[2]))
        yield [partial(_piece, held, known, group.start, [side[i:i + width] for side in cells])
               for i in range(0, len(cells[0]), width)]


def _piece(held, known, first, cells):
    """What `pieces` gives of some cells (numbers of exposures, from the first one held, and of outcomes)."""
    n_methods = len(known[-1].categories)
    exposure, outcome = (side.repeat(n_methods) for side in cells)
    method = np.tile(np.arange(n_methods, dtype=np.int32), len(cells[0]))
    codes = zip(("exposure", "outcome", "method"), (exposure + first, outcome, method), known, strict=True)
    keys = pd.DataFrame({role: pd.Categorical.from_codes(code, dtype=names, validate=False)
                         for role, code, names in codes})

    def flat(of_members):
        """Numbers of one member, (locus, pair and method)."""
        return gathered(*of_members, method, exposure, outcome).T

    return keys, flat(held[0]), flat(held[1]), map(flat, held[2:])


def rows(local, loci=slice(None), exposures=slice(None), outcomes=slice(None), members=True):
    """A part of an array of local effects as rows of the local table.

    Parameters
    ----------
    local : LocalEffects
    loci, exposures, outcomes : slices or sequences of int
        Numbers in the array.
    members : bool
        Whether every member's estimates are among the columns.

    Returns
    -------
    pandas.DataFrame
        Columns chrom, start, end, strand, locus, exposure, outcome, method, n_instruments, estimate, se, ci_low,
        ci_high, pvalue, note, and estimate_1 to estimate_K if the array has them; in the order of loci, exposures,
        outcomes, methods.
    """
    numbers = np.arange(local.n_loci)[loci]
    names = [np.array(side, object)[chosen] for side, chosen in ((local.exposures, exposures),
                                                                 (local.outcomes, outcomes))]
    x, y = np.nonzero(names[0][:, None] != names[1])

    def column(name, member=None):
        values = local.read(name, loci, exposures, outcomes, member)[:, :, x, y]
        return np.moveaxis(values, 0, 2).ravel()

    n_methods, n_cells = len(local.methods), len(x) * len(local.methods)
    locus = np.repeat(numbers, n_cells)
    table = {name: local.locus("name" if name == "locus" else name)[locus]
             for name in ("chrom", "start", "end", "strand", "locus")}
    table.update((role, np.tile(np.repeat(side[cell], n_methods), len(numbers)))
                 for role, side, cell in zip(("exposure", "outcome"), names, (x, y), strict=True))
    table["method"] = np.tile(np.array(local.methods, object), len(numbers) * len(x))
    estimate, se, df = (column(name).astype(np.float64) for name in ("estimate", "se", "df"))
    low, high = interval(estimate, se, local.attrs["alpha"], df)
    table.update(n_instruments=column("n_instruments").astype(np.int64), estimate=estimate, se=se, ci_low=low,
                 ci_high=high, pvalue=two_sided_pvalue(estimate, se, df))
    reasons = local.reasons(local.read("reason", loci, exposures, outcomes)[:, :, x, y], numbers)
    table["note"] = np.moveaxis(reasons, 0, 2).ravel()
    for member in range(local.n_members if members else 0):
        table[f"estimate_{member + 1}"] = column("member_estimate", member).astype(np.float64)
    return pd.DataFrame(table)
