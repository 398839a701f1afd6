"""Fits over all loci and ordered pairs of marks, batched over loci and outcomes."""

from dataclasses import dataclass, fields, replace
from functools import cached_property, partial
from typing import NamedTuple

import numpy as np
import pandas as pd

from ..effects_store import each_block, locus_blocks
from ..instruments.moderation import with_se_shrinkage
from ..instruments.rules import rule_for
from ..methods import ALL_MEMBERS, COVARIATES
from ..options import CROSS_FITTED, EstimateOptions
from ..threads import mapped, n_threads
from . import notes
from .block import Block, LeaveOut
from .estimators.closed_form import closed_form, has_closed_form
from .fit import bind
from .kernels.sums import Layout
from .overlap import psi_of_members
from .result import MRResult
from .uncertainty import cross_fitted, from_members, moderation_of_spread

NUMBERS = ("n_instruments", "estimate", "se", "ci_low", "ci_high", "pvalue", "intercept", "intercept_se",
           "intercept_pvalue", "q", "q_pvalue", "i2", "i2_gx", "f_statistic", "phi", "tau2", "note")
HELD_FITS = 500_000  # of all methods, held until the members' spread is known; of more, all are made twice
COMPILED_FROM = 500_000  # fits of one method: compiling takes seconds, in which arrays give so many


def fit_pairs(effects, exposures=None, outcomes=None, method="egger", instruments=None, instrument_z=None,
              se_shrinkage=None, uncertainty=None, spread_shrinkage=None, steiger=None, adjust=None, alpha=0.05,
              instrument_regions=None, **method_args):
    """Local causal effects: one fit per locus, ordered pair of marks and method.

    What is None is as in the paper (`EstimateOptions(preset="paper")`), but for the method; `kipoi_deepmr.pipeline`
    has the command's defaults.

    Parameters
    ----------
    effects : xarray.Dataset
        With `effect` and `effect_se` (locus, variant, mark), in memory or opened from disk; read in blocks of loci.
    exposures, outcomes : sequences of str, optional
        Marks; all by default. A mark is not paired with itself.
    method : str or sequence of str
        Names in `METHODS`.
    instruments : {"pooled", "own", "direct", "regions"}
    instrument_z : float
        As `rule` and `z` of `rule_for`.
    se_shrinkage : {"none", "moderated", "trend"}
        Whether standard errors are moderated over all mutants before anything is done with them; see
        `instruments.moderated`.
    uncertainty : {"instrument", "members", "combined", "cross_fitted", "ensemble"}
        Where standard errors, intervals and p-values come from: the estimator, the spread of the estimates from each
        member's own effects, or both; see `uncertainty.from_members`. cross_fitted: as members, but each member's
        instruments are chosen and weighted by the others, and the estimate is the mean of the members'; see
        `uncertainty.cross_fitted`. ensemble: as cross_fitted, with the error of the members' mean instead of that of
        one member. All but the first need `member_effect`, the last two of three members or more.
    spread_shrinkage : {"moderated", "none"}
        Of the members' spread at a locus: drawn towards what the pair has at all loci, or as it is. Moderation takes
        every fit twice; see `uncertainty.moderation_of_spread`.
    steiger : bool
        Whether an instrument must move the exposure more than the outcome, each in that mark's standard deviations, to
        serve for the pair; as for `rule_for`.
    adjust : str or sequence of str, optional
        Marks that the multivariable methods, and no others, hold fixed; "all" for all marks. A pair's covariates are
        these without its exposure and outcome, and its instruments are theirs too (with Steiger's filter those that
        move the covariate more than the outcome). A pair that has none left is fitted without covariates.
    alpha : float
        Intervals cover 1 - alpha.
    instrument_regions : str, optional
        A BED file for the rule regions; see `instruments.regions.read_regions`.
    **method_args
        Options of the methods; each goes to the methods that accept it. `psi="members"`: the correlation that
        `psi_of_members` finds, for each pair of marks.

    Returns
    -------
    pandas.DataFrame
        In the order of loci, exposures, outcomes, methods, with columns chrom, start, end, strand, locus, exposure,
        outcome, method and those of `NUMBERS`, fields of `MRResult`; then, if uncertainty is not instrument,
        estimate_1 to estimate_K, what each member's own effects give. A pair that cannot be fitted at a locus is a row
        of NaN with the reason in `note`, which is empty otherwise.

    Raises
    ------
    InputError
        An unknown mark, method, rule or option, one named twice, no pair of two different marks, or one of
        multivariable methods and marks to adjust for without the other.
    """
    options = EstimateOptions(
        preset="paper", min_instruments=1, exposures=exposures, outcomes=outcomes, method=method,
        instruments=instruments, instrument_z=instrument_z, se_shrinkage=se_shrinkage, uncertainty=uncertainty,
        spread_shrinkage=spread_shrinkage, steiger=steiger, adjust=adjust, method_args=method_args,
        instrument_regions=instrument_regions)

    def prepare():
        viewed = with_se_shrinkage(effects, options.se_shrinkage)
        return viewed, rule_for(viewed, options.instruments, options.instrument_z, steiger=options.steiger,
                                regions=options.instrument_regions)

    return pd.concat(_tables(effects, options, prepare, alpha), ignore_index=True)


def iter_pairs(effects, options, rule=None, alpha=0.05, map_blocks=each_block):
    """Local causal effects as `fit_pairs` gives them, one table per block of loci.

    Parameters
    ----------
    effects : xarray.Dataset
        As for `fit_pairs`; with standard errors as they are to be.
    options : EstimateOptions or dict
    rule : InstrumentRule, optional
        That of `rule_for(effects)` by default.
    alpha : float
        As for `fit_pairs`.
    map_blocks : callable
        As `each_block`: where blocks are fitted.

    Returns
    -------
    iterator of pandas.DataFrame

    Raises
    ------
    InputError
        As for `fit_pairs`; raised by the call itself, before the first table.
    """
    return _tables(effects, EstimateOptions.of(options), lambda: (effects, rule or rule_for(effects)), alpha,
                   map_blocks)


def check_pairs(marks, options, alpha=0.05):
    """What is to be fitted, or why it cannot be.

    Parameters
    ----------
    marks : sequence of str
    options : EstimatorOptions
    alpha : float
        As for `fit_pairs`.

    Returns
    -------
    pairs : dict of int to list of int
        Outcomes of each exposure, as indices of `marks`.
    estimators : list of callables
        As `bind` gives them, one a method.

    Raises
    ------
    InputError
        As for `fit_pairs`.
    """
    measured = {"psi": 0.0} if options.psi_is_measured else {}  # what is measured later is bound as 0 until then
    return options.pairs(marks), bind(options.method, {"alpha": alpha, **options.method_args, **measured})


@dataclass(frozen=True, eq=False)
class Plan:
    """What is fitted in each block: outcomes of each exposure, estimators, and how errors are found.

    `leave_out` has the instrument rule, and what takes its place when a member is left out. `psi` (mark, mark) is the
    measured correlation of an exposure's and an outcome's errors, or None. `compiled` says whether there are enough
    fits for compiled loops, `spreads` has a moderation of the members' spread for each estimator, if they are
    moderated, `adjust` the marks that multivariable estimators hold fixed, `min_instruments` how many instruments a
    pair must have at a locus.
    """

    pairs: dict
    estimators: list
    leave_out: LeaveOut
    uncertainty: str
    alpha: float
    psi: np.ndarray | None
    wants_members: bool
    compiled: bool
    spreads: tuple = ()
    adjust: tuple = ()
    min_instruments: int = 1

    @cached_property
    def layout(self):
        """The pairs as arrays."""
        return Layout(self.pairs)


class Fitted(NamedTuple):
    """What is fitted in a block, before the members' spread is known.

    `lost` (locus,) says which loci have no predictions; `whole` has an `MRResult` of the ensemble's effects for each
    estimator, or None when cross-fitting, `members` a list with one for each member.
    """

    lost: np.ndarray
    whole: list
    members: list


class Fit(NamedTuple):
    """One estimator's result, and the members' own estimates (member, locus, pair) if that is what its errors are."""

    result: MRResult
    by_member: np.ndarray | None = None


def _tables(effects, options, prepare, alpha, map_blocks=each_block):
    marks = effects["mark"].values.tolist()
    options.check(marks, effects.sizes["member"], "members" if "member_effect" in effects else "summary")
    check_pairs(marks, options, alpha)
    effects, rule = prepare()
    plan = plan_of(effects, options, rule, alpha)
    pairs = plan.pairs
    if not moderates(options):
        return map_blocks(partial(_table_of_block, methods=options.method, plan=plan), effects)
    fitted = None
    if holds_fits(effects.sizes, _n_pairs(pairs), options):
        fitted = list(map_blocks(partial(_fit_block, plan=plan), effects))
    spreads = (spreads_of(finished(of_block, plan)) for of_block in fitted) if fitted else map_blocks(
        partial(_spreads_of_block, plan=plan), effects)
    plan = replace(plan, spreads=_moderations(effects, plan, spreads))
    if not fitted:
        return map_blocks(partial(_table_of_block, methods=options.method, plan=plan), effects)
    return (table_of_fits(effects, block, pairs, options.method, finished(of_block, plan))
            for block, of_block in zip(locus_blocks(effects), fitted, strict=True))


def plan_of(effects, options, rule, alpha=0.05):
    """What is fitted to some effects with some options (`Plan`), before the members' spread is known."""
    marks = effects["mark"].values.tolist()
    pairs, estimators = check_pairs(marks, options, alpha)
    psi = psi_of_members(effects, rule) if options.psi_is_measured else None
    return Plan(pairs, estimators, LeaveOut.of(effects, rule), options.uncertainty, alpha, psi,
                bool(options.needs_members()), fits_of(effects.sizes, _n_pairs(pairs), options) >= COMPILED_FROM,
                adjust=tuple(options.held_fixed(marks)), min_instruments=options.min_instruments)


def fits_of(sizes, n_pairs, options):
    """How many fits one method takes: `sizes` are those of the effects' dimensions."""
    return sizes["locus"] * n_pairs * (1 + members_fitted(sizes, options))


def holds_fits(sizes, n_pairs, options):
    """Whether a table of so many pairs holds its fits until the members' spread is known, and makes none twice."""
    return fits_of(sizes, n_pairs, options) * len(options.method) <= HELD_FITS


def _n_pairs(pairs):
    return sum(map(len, pairs.values()))


def members_fitted(sizes, options):
    """How many members have fits of their own; 0 where intervals come from the instruments alone."""
    return sizes["member"] if options.uncertainty != "instrument" else 0


def moderates(options):
    """Whether the members' spread is moderated, for which every fit is made twice."""
    return options.uncertainty != "instrument" and options.spread_shrinkage == "moderated"


def _table_of_block(effects, block, methods, plan):
    return table_of_fits(effects, block, plan.pairs, methods, finished(_fit_block(effects, block, plan), plan))


def _moderations(effects, plan, spreads):
    """Moderation of the members' spread for each estimator, from spreads (estimator, locus, pair) block by block."""
    every = np.empty((len(plan.estimators), effects.sizes["locus"], sum(map(len, plan.pairs.values()))))
    done = 0
    for of_block in spreads:
        every[:, done:done + of_block.shape[1]] = of_block
        done += of_block.shape[1]
    return tuple(moderation_of_spread(of_one, effects.sizes["member"]) for of_one in every)


def _spreads_of_block(effects, block, plan):
    return spreads_of(finished(_fit_block(effects, block, plan), plan))


def spreads_of(fits):
    """The members' spread (estimator, locus, pair), of a `Fit` for each estimator."""
    return np.stack([fit.by_member.std(0, ddof=1) for fit in fits])


def _fit_block(effects, loci, plan):
    """The `Fitted` of a block."""
    return fit_views(*views_of_block(effects, loci, plan), plan)


def views_of_block(effects, loci, plan):
    """A block, and how it looks to each member (an iterator): over what the others chose, or over what all chose."""
    block = Block.read(effects, loci, plan.leave_out.rule, plan.wants_members)
    n_members = 0 if plan.uncertainty == "instrument" else block.members.shape[1]
    of_member = partial(plan.leave_out.without, block) if plan.uncertainty in CROSS_FITTED else block.of_member
    return block, map(of_member, range(n_members))


def fit_views(block, views, plan, texts=None):
    """The `Fitted` of a block and its views, as `views_of_block` gives them.

    With `texts` (list of str) compiled loops give notes as numbers of these.
    """
    whole = [None if plan.uncertainty in CROSS_FITTED else _fit_all(block, plan, estimator, texts)
             for estimator in plan.estimators]
    by_member = [[_fit_all(each, plan, estimator, texts) for estimator in plan.estimators] for each in views]
    return Fitted(block.lost, whole, [[each[number] for each in by_member] for number in range(len(plan.estimators))])


def finished(fitted, plan):
    """A `Fit` of arrays (locus, pair) for each estimator, with intervals from where they are to come."""
    fits = [_fit_of(whole, members, plan, plan.spreads[number] if plan.spreads else None)
            for number, (whole, members) in enumerate(zip(fitted.whole, fitted.members, strict=True))]
    if fitted.lost.any():
        for fit in fits:
            fit.result.note[fitted.lost] = notes.NOT_PREDICTED
    return [_with_enough(fit, plan.min_instruments) for fit in fits]


def _fit_of(whole, members, plan, spread):
    """The `Fit` of one estimator; `spread` is the moderation of the members' spread, if it is moderated."""
    if plan.uncertainty == "instrument":
        return Fit(whole)
    if plan.uncertainty in CROSS_FITTED:
        result = cross_fitted(members, plan.alpha, spread, plan.uncertainty == "ensemble")
    else:
        result = from_members(whole, members, plan.uncertainty, plan.alpha, spread)
    return _with_members(result, members)


def _with_enough(fit, fewest):
    """The fit without the pairs and loci that have fewer instruments."""
    result = fit.result
    few = (result.n_instruments < fewest) & (result.note == "")
    if not few.any():
        return fit
    note = result.note.copy()
    for n in np.unique(result.n_instruments[few]).tolist():
        note[few & (result.n_instruments == n)] = notes.too_few(n, fewest)
    numbers = {name: np.where(few, np.nan, values) for name, values in vars(result).items()
               if name not in ("note", "n_instruments")}
    by_member = None if fit.by_member is None else np.where(few, np.nan, fit.by_member)
    return Fit(replace(result, note=note, **numbers), by_member)


def _with_members(result, own):
    """A `Fit`: members' estimates beside a result, NaN where it has none."""
    by_member = np.stack([fit.estimate for fit in own])
    return Fit(result, np.where(np.isfinite(result.estimate), by_member, np.nan))


def _fit_all(block, plan, estimator, texts=None):
    """One estimator's MRResult of arrays (locus, pair)."""
    if plan.compiled and has_closed_form(estimator):
        n_loci = len(block.effect)
        numbers = np.array_split(np.arange(n_loci), min(n_threads(), n_loci))
        parts = [slice(each[0], each[-1] + 1) for each in numbers]
        return _joined(mapped(lambda part: closed_form(estimator, block.part(part), plan.layout, texts), parts), axis=0)
    each = (_fit_exposure(block, plan, estimator, exposure, outcomes)
            for exposure, outcomes in plan.pairs.items() if len(outcomes))
    return _joined([result for results in each for result in results], axis=1)


def _fit_exposure(block, plan, estimator, exposure, outcomes):
    """MRResults of arrays (locus, outcome) of one exposure: of all outcomes, or one by one if each has what is its own.
    """
    if COVARIATES in estimator.method.needs:
        for outcome in outcomes:
            covariates = [mark for mark in plan.adjust if mark not in (exposure, outcome)]
            yield estimator(**block.adjusted_pair(exposure, outcome, covariates))
        return
    if plan.psi is None or not estimator.method.takes_psi:
        yield estimator(*block.of_pairs(exposure, outcomes), **_members_of(block, exposure, outcomes, estimator))
        return
    for outcome in outcomes:
        psi = np.nan_to_num(plan.psi[exposure, outcome])
        yield estimator.with_options(psi=psi)(*block.of_pairs(exposure, [outcome]))


def _members_of(block, exposure, outcomes, estimator):
    """Members' effects that an estimator needs."""
    if not estimator.method.needs_members:
        return {}
    of_exposure, of_outcomes = block.members_of_pairs(exposure, outcomes)
    both = ALL_MEMBERS in estimator.method.needs
    return {"by_members": of_outcomes, **({"bx_members": of_exposure} if both else {})}


def _joined(results, axis):
    if len(results) == 1:
        return results[0]
    return MRResult(**{field.name: np.concatenate([getattr(r, field.name) for r in results], axis)
                       for field in fields(MRResult)})


def table_of_fits(effects, block, pairs, methods, fits):
    """Results of a block of loci, arrays (locus, pair) of each method, as rows of the local table."""
    place = place_columns(effects, block, pairs, len(methods))
    method = pd.Index(methods).take(np.tile(np.arange(len(methods)), fits[0].result.estimate.size))
    numbers = {name: np.stack([getattr(fit.result, name) for fit in fits], axis=-1).ravel() for name in NUMBERS}
    if fits[0].by_member is not None:
        by_member = np.stack([fit.by_member for fit in fits], axis=-1)
        numbers.update((f"estimate_{k}", of_one.ravel()) for k, of_one in enumerate(by_member, 1))
    return pd.DataFrame({**place, "method": method, **numbers})


def place_columns(effects, block, pairs, repeats=1):
    """Columns chrom, start, end, strand, locus, exposure and outcome of a block of loci and all pairs.

    Parameters
    ----------
    effects : xarray.Dataset
    block : slice
    pairs : dict of int to list of int
    repeats : int
        Rows of each locus and pair.

    Returns
    -------
    dict of str to pandas.Index
    """
    n_loci, n_pairs = len(effects["name"][block]), sum(map(len, pairs.values()))
    locus = np.repeat(np.arange(n_loci), n_pairs * repeats)
    pair = np.tile(np.repeat(np.arange(n_pairs), repeats), n_loci)
    marks = effects["mark"].values.tolist()
    columns = {name: pd.Index(effects[name][block].values.tolist()).take(locus)
               for name in ("chrom", "start", "end", "strand")}
    columns["locus"] = pd.Index(effects["name"][block].values.tolist()).take(locus)
    columns["exposure"] = pd.Index([marks[x] for x, outcomes in pairs.items() for _ in outcomes]).take(pair)
    columns["outcome"] = pd.Index([marks[y] for outcomes in pairs.values() for y in outcomes]).take(pair)
    return columns
