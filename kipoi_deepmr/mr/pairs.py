"""Fits over all loci and ordered pairs of marks, batched over loci and outcomes."""

import numpy as np
import pandas as pd

from ..errors import InputError, nearest
from .fit import bind
from .instruments import locus_blocks, rule_for

NUMBERS = ("n_instruments", "estimate", "se", "ci_low", "ci_high", "pvalue", "intercept", "intercept_se",
           "intercept_pvalue", "q", "q_pvalue", "note")


def fit_pairs(effects, exposures=None, outcomes=None, method="egger", instruments="pooled", instrument_z=3.0,
              alpha=0.05, **options):
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
    alpha : float
        Intervals cover 1 - alpha.
    **options
        Options of the methods; each goes to the methods that accept it.

    Returns
    -------
    pandas.DataFrame
        In the order of loci, exposures, outcomes, methods, with columns chrom, start, end, strand, locus, exposure,
        outcome, method, n_instruments, estimate, se, ci_low, ci_high, pvalue, intercept, intercept_se,
        intercept_pvalue, q, q_pvalue, note. A pair that cannot be fitted at a locus is a row of NaN with the reason in
        `note`, which is empty otherwise.

    Raises
    ------
    InputError
        An unknown mark, method, rule or option, one named twice, or no pair of two different marks.
    """
    methods = [method] if isinstance(method, str) else list(method)

    def make_rule():
        return rule_for(effects, instruments, instrument_z)

    return pd.concat(_tables(effects, exposures, outcomes, methods, make_rule, alpha, options), ignore_index=True)


def iter_pairs(effects, exposures=None, outcomes=None, methods=("egger",), rule=None, alpha=0.05, **options):
    """Local causal effects as `fit_pairs` gives them, one table per block of loci.

    Parameters
    ----------
    rule : InstrumentRule, optional
        That of `rule_for(effects)` by default.
    effects, exposures, outcomes, methods, alpha, **options
        As for `fit_pairs`.

    Returns
    -------
    iterator of pandas.DataFrame

    Raises
    ------
    InputError
        As for `fit_pairs`; raised by the call itself, before the first table.
    """
    return _tables(effects, exposures, outcomes, list(methods), lambda: rule or rule_for(effects), alpha, options)


def check_pairs(marks, exposures=None, outcomes=None, methods=("egger",), **options):
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


def _tables(effects, exposures, outcomes, methods, make_rule, alpha, options):
    pairs, estimators = check_pairs(effects["mark"].values, exposures, outcomes, methods, alpha=alpha, **options)
    rule = make_rule()
    return (_table(effects, block, pairs, methods, _fit_block(effects, block, pairs, estimators, rule))
            for block in locus_blocks(effects))


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


def _fit_block(effects, block, pairs, estimators, rule):
    """Arrays (locus, pair, method) by the names of `NUMBERS`; `pairs` holds the outcomes of each exposure."""
    effect, effect_se = (effects[name][block].values.astype(np.float64) for name in ("effect", "effect_se"))
    mask = rule.mask(effect, effect_se)
    shape = (len(effect), sum(map(len, pairs.values())), len(estimators))
    numbers = {name: np.empty(shape) for name in NUMBERS}
    numbers["n_instruments"], numbers["note"] = np.empty(shape, np.int64), np.empty(shape, object)
    first = 0
    for exposure, outcomes in pairs.items():
        data = _instruments_first(effect, effect_se, mask[..., exposure], exposure, outcomes)
        here = slice(first, first + len(outcomes))
        for m, estimator in enumerate(estimators):
            result = estimator(*data)
            for name in NUMBERS:
                numbers[name][:, here, m] = getattr(result, name)
        first = here.stop
    return numbers


def _instruments_first(effect, effect_se, mask, exposure, outcomes):
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
    counts = mask.sum(1)
    filled = np.arange(counts.max()) < counts[:, None]
    variant = np.zeros(filled.shape, np.intp)
    variant[filled] = np.nonzero(mask)[1]
    locus = np.arange(len(mask))[:, None]
    b, s = effect[locus, variant], effect_se[locus, variant]
    bx, sx = b[..., exposure][:, None], s[..., exposure][:, None]
    by, sy = (np.moveaxis(values[..., outcomes], 2, 1) for values in (b, s))
    return bx, sx, by, sy, filled[:, None]


def _table(effects, block, pairs, methods, numbers):
    n_loci, n_pairs, n_methods = numbers["note"].shape
    locus = np.repeat(np.arange(n_loci), n_pairs * n_methods)
    pair = np.tile(np.repeat(np.arange(n_pairs), n_methods), n_loci)
    marks = effects["mark"].values.tolist()
    columns = {name: pd.Index(effects[name][block].values.tolist()).take(locus)
               for name in ("chrom", "start", "end", "strand")}
    columns["locus"] = pd.Index(effects["name"][block].values.tolist()).take(locus)
    columns["exposure"] = pd.Index([marks[x] for x, outcomes in pairs.items() for _ in outcomes]).take(pair)
    columns["outcome"] = pd.Index([marks[y] for outcomes in pairs.values() for y in outcomes]).take(pair)
    columns["method"] = pd.Index(methods).take(np.tile(np.arange(n_methods), n_loci * n_pairs))
    return pd.DataFrame({**columns, **{name: numbers[name].ravel() for name in NUMBERS}})
