"""Fits over all loci and ordered pairs of marks, batched over loci and outcomes."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Optional

import numba
import numpy as np
import pandas as pd

from ..errors import InputError, nearest
from .all_pairs import closed_form
from .fit import bind, takes
from .instruments import NOT_PREDICTED, InstrumentRule, each_block, not_predicted, rule_for
from .overlap import psi_of_members
from .result import MRResult
from .uncertainty import cross_fitted, from_members, need_members, wants_members

NUMBERS = ("n_instruments", "estimate", "se", "ci_low", "ci_high", "pvalue", "intercept", "intercept_se",
           "intercept_pvalue", "q", "q_pvalue", "i2", "i2_gx", "f_statistic", "phi", "tau2", "note")
COMPILED_FROM = 500_000  # fits of one method: compiling takes seconds, in which arrays give so many


def fit_pairs(effects, exposures=None, outcomes=None, method="egger", instruments="pooled", instrument_z=3.0,
              se_shrinkage="none", uncertainty="instrument", alpha=0.05, **options):
    """Local causal effects: one fit per locus, ordered pair of marks and method.

    Parameters
    ----------
    effects : xarray.Dataset
        With `effect` and `effect_se` (locus, variant, mark), in memory or opened from disk; read in blocks of loci.
    exposures, outcomes : sequences of str, optional
        Marks; all by default. A mark is not paired with itself.
    method : str or sequence of str
        Names in `METHODS`.
    instruments : {"pooled", "own"}
    instrument_z : float
        As `rule` and `z` of `rule_for`.
    se_shrinkage : {"none", "moderated"}
        Whether standard errors are moderated over all mutants before anything is done with them; see
        `moderation.moderation_for`.
    uncertainty : {"instrument", "members", "combined", "cross_fitted"}
        Where standard errors, intervals and p-values come from: the estimator, the spread of the estimates from each
        member's own effects, or both; see `uncertainty.from_members`. cross_fitted: as members, but each member's
        instruments are chosen and weighted by the others, and the estimate is the mean of the members'; see
        `uncertainty.cross_fitted`. All but the first need `member_effect`, the last of three members or more.
    alpha : float
        Intervals cover 1 - alpha.
    **options
        Options of the methods; each goes to the methods that accept it. `psi="members"`: the correlation that
        `psi_of_members` finds, for each pair of marks.

    Returns
    -------
    pandas.DataFrame
        In the order of loci, exposures, outcomes, methods, with columns chrom, start, end, strand, locus, exposure,
        outcome, method and those of `NUMBERS`, fields of `MRResult`. A pair that cannot be fitted at a locus is a row
        of NaN with the reason in `note`, which is empty otherwise.

    Raises
    ------
    InputError
        An unknown mark, method, rule or option, one named twice, or no pair of two different marks.
    """
    methods = [method] if isinstance(method, str) else list(method)

    def make_rule():
        return rule_for(effects, instruments, instrument_z, se_shrinkage)

    return pd.concat(_tables(effects, exposures, outcomes, methods, make_rule, uncertainty, alpha, options),
                     ignore_index=True)


def iter_pairs(effects, exposures=None, outcomes=None, methods=("egger",), rule=None, uncertainty="instrument",
               alpha=0.05, map_blocks=each_block, **options):
    """Local causal effects as `fit_pairs` gives them, one table per block of loci.

    Parameters
    ----------
    rule : InstrumentRule, optional
        That of `rule_for(effects)` by default.
    map_blocks : callable
        As `each_block`: where blocks are fitted.
    effects, exposures, outcomes, methods, uncertainty, alpha, **options
        As for `fit_pairs`.

    Returns
    -------
    iterator of pandas.DataFrame

    Raises
    ------
    InputError
        As for `fit_pairs`; raised by the call itself, before the first table.
    """
    return _tables(effects, exposures, outcomes, list(methods), lambda: rule or rule_for(effects), uncertainty, alpha,
                   options, map_blocks)


def check_pairs(marks, exposures=None, outcomes=None, methods=("egger",), /, **options):
    """What is to be fitted, or why it cannot be.

    Parameters
    ----------
    marks : sequence of str
    exposures, outcomes, methods, **options
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
    marks = [str(m) for m in marks]
    exposures, outcomes = _indices("exposure", exposures, marks), _indices("outcome", outcomes, marks)
    pairs = {x: [y for y in outcomes if y != x] for x in exposures}
    if not any(pairs.values()):
        raise InputError(f"no pair of two different marks: {', '.join(marks[x] for x in exposures)}")
    if not methods or len(set(methods)) < len(methods):
        raise InputError(f"methods must be named, each once: {', '.join(methods)}")
    return pairs, bind(methods, options)


@dataclass(frozen=True, eq=False)
class Plan:
    """What is fitted in each block: outcomes of each exposure, estimators, and how errors are found.

    `psi` (mark, mark) is the measured correlation of an exposure's and an outcome's errors, or None. `compiled` says
    whether there are enough fits for compiled loops.
    """

    pairs: dict
    estimators: list
    rule: InstrumentRule
    uncertainty: str
    alpha: float
    psi: Optional[np.ndarray]
    wants_members: bool
    compiled: bool


def _tables(effects, exposures, outcomes, methods, make_rule, uncertainty, alpha, options, map_blocks=each_block):
    measured = options.get("psi") == "members"
    known = {**options, "psi": 0.0} if measured else options
    pairs, estimators = check_pairs(effects["mark"].values, exposures, outcomes, methods, alpha=alpha, **known)
    wanting = wants_members(dict(zip(methods, estimators)), uncertainty, options.get("psi", 0.0))
    need_members(effects, wanting, uncertainty)
    rule = make_rule()
    psi = psi_of_members(effects, rule) if measured else None
    n_fits = effects.sizes["locus"] * sum(map(len, pairs.values())) * (
        1 if uncertainty == "instrument" else effects.sizes["member"] + 1)
    plan = Plan(pairs, estimators, rule, uncertainty, alpha, psi, bool(wanting), n_fits >= COMPILED_FROM)
    return map_blocks(partial(_table_of_block, methods=methods, plan=plan), effects)


def _table_of_block(effects, block, methods, plan):
    return _table(effects, block, plan.pairs, methods, _fit_block(effects, block, plan))


def _indices(role, names, marks):
    if names is None:
        return list(range(len(marks)))
    names = [names] if isinstance(names, str) else list(names)
    for name in names:
        if name not in marks:
            raise InputError(f"unknown {role} {name!r}{nearest(name, marks)}")
        if names.count(name) > 1:
            raise InputError(f"{role} {name!r} is named twice")
    return [marks.index(name) for name in names]


def _fit_block(effects, block, plan):
    """MRResults of arrays (locus, pair), one an estimator."""
    effect, effect_se = (effects[name][block].values.astype(np.float64) for name in ("effect", "effect_se"))
    lost, mask = not_predicted(effect), plan.rule.mask(effect, effect_se, block)
    if plan.rule.moderation:
        effect_se = plan.rule.moderation.moderated(effect_se)
    members = effects["member_effect"][block].values if plan.wants_members else None
    if plan.uncertainty == "cross_fitted":
        results = _cross_fit(members.astype(np.float64), block, plan)
    else:
        results = [_fit_whole(effect, effect_se, mask, members, plan, estimator) for estimator in plan.estimators]
    return [replace(result, note=np.where(lost[:, None], NOT_PREDICTED, result.note)) for result in results]


def _fit_whole(effect, effect_se, mask, members, plan, estimator):
    """One estimator's MRResult of arrays (locus, pair), with intervals from where they are to come."""
    result = _fit_all(effect, effect_se, mask, members, plan, estimator)
    if plan.uncertainty == "instrument":
        return result
    own = [_fit_all(members[:, k].astype(np.float64), effect_se, mask, members, plan, estimator)
           for k in range(members.shape[1])]
    return from_members(result, own, plan.uncertainty, plan.alpha)


def _cross_fit(members, block, plan):
    """MRResults of arrays (locus, pair), one an estimator: every member fitted over what the others chose."""
    rule, fits = plan.rule, []
    if rule.moderation:
        rule = replace(rule, moderation=replace(rule.moderation, df=rule.moderation.df - 1))
    for k in range(members.shape[1]):
        others = np.delete(members, k, axis=1)
        effect, effect_se = others.mean(1), others.std(1, ddof=1)
        mask = rule.mask(effect, effect_se, block)
        if rule.moderation:
            effect_se = rule.moderation.moderated(effect_se)
        fits.append([_fit_all(members[:, k], effect_se, mask, others, plan, estimator)
                     for estimator in plan.estimators])
    return [cross_fitted(of_one, plan.alpha) for of_one in zip(*fits)]


def _fit_all(effect, effect_se, mask, members, plan, estimator):
    """One estimator's MRResult of arrays (locus, pair)."""
    all_at_once = plan.compiled and closed_form(estimator)
    if all_at_once:
        parts = np.array_split(np.arange(len(effect)), min(numba.get_num_threads(), len(effect)))
        with ThreadPoolExecutor(len(parts)) as threads:
            done = threads.map(lambda i: all_at_once(effect[i[0]:i[-1] + 1], effect_se[i[0]:i[-1] + 1],
                                                     mask[i[0]:i[-1] + 1], plan.pairs), parts)
            return _joined(list(done), axis=0)
    return _joined([result for exposure, outcomes in plan.pairs.items() if outcomes for result in
                    _fit_exposure(effect, effect_se, mask, members, plan, estimator, exposure, outcomes)], axis=1)


def _fit_exposure(effect, effect_se, mask, members, plan, estimator, exposure, outcomes):
    """MRResults of arrays (locus, outcome) of one exposure: of all outcomes, or one by one if each has its own psi."""
    mask = mask[..., exposure]
    if plan.psi is None or not takes(estimator, "psi"):
        data = instruments_first(effect, effect_se, mask, exposure, outcomes)
        yield estimator(*data, **_members_of_instruments(members, mask, exposure, outcomes, estimator))
        return
    for outcome in outcomes:
        psi = np.nan_to_num(plan.psi[exposure, outcome])
        yield partial(estimator, psi=psi)(*instruments_first(effect, effect_se, mask, exposure, [outcome]))


def _members_of_instruments(members, mask, exposure, outcomes, estimator):
    """Members' effects (locus, 1 or outcome, member, n) that an estimator takes, as `instruments_first` orders them."""
    if not takes(estimator, "by_members"):
        return {}
    variant, _ = _chosen(mask)
    locus, member = np.arange(len(mask))[:, None, None], np.arange(members.shape[1])[:, None]
    chosen = members[locus, member, variant[:, None]].astype(np.float64)
    data = {"by_members": np.moveaxis(chosen[..., outcomes], 3, 1)}
    return {**data, "bx_members": chosen[:, None, ..., exposure]} if takes(estimator, "bx_members") else data


def _joined(results, axis):
    return MRResult(**{field.name: np.concatenate([getattr(r, field.name) for r in results], axis)
                       for field in fields(MRResult)})


def instruments_first(effect, effect_se, mask, exposure, outcomes):
    """One exposure's bx, sx, by, sy and mask, cut to its instruments and padded to the locus that has most of them.

    A locus has tens of instruments among thousands of variants: this is what makes all pairs of many marks feasible.

    Parameters
    ----------
    effect, effect_se : (locus, variant, mark) arrays
    mask : (locus, variant) bool
    exposure : int
    outcomes : list of int

    Returns
    -------
    bx, sx : (locus, 1, n) arrays
    by, sy : (locus, outcome, n) arrays
    mask : (locus, 1, n) bool
    """
    variant, filled = _chosen(mask)
    locus = np.arange(len(mask))[:, None]
    b, s = effect[locus, variant], effect_se[locus, variant]
    bx, sx = b[..., exposure][:, None], s[..., exposure][:, None]
    by, sy = (np.ascontiguousarray(np.moveaxis(values[..., outcomes], 2, 1)) for values in (b, s))
    return bx, sx, by, sy, filled[:, None]


def _chosen(mask):
    """Each locus's instruments (locus, n), padded with 0, and which places hold one."""
    counts = mask.sum(1)
    filled = np.arange(counts.max()) < counts[:, None]
    variant = np.zeros(filled.shape, np.intp)
    variant[filled] = np.nonzero(mask)[1]
    return variant, filled


def _table(effects, block, pairs, methods, results):
    place = place_columns(effects, block, pairs, len(methods))
    method = pd.Index(methods).take(np.tile(np.arange(len(methods)), results[0].note.size))
    numbers = {name: np.stack([getattr(r, name) for r in results], axis=-1).ravel() for name in NUMBERS}
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
