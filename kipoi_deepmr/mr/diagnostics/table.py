"""Diagnostics of each locus and pair: what speaks against the estimate, as numbers and as flags."""

from functools import partial

import numpy as np
import pandas as pd

from ...effects_store import StoredMutants, each_block, predicted_mutants
from ...instruments.moderation import with_se_shrinkage
from ...instruments.rules import rule_for
from ...options import EstimateOptions
from ...threads import mapped
from .. import notes
from ..block import Block
from ..estimators.regression import egger, ivw
from ..pairs import place_columns
from .influence import leave_one_out
from .kinds import means_over_instruments, of_kinds, sums_over_instruments
from .linearity import linearity
from .presso import presso
from .steiger import r2_of_mutants, steiger
from .strength import strength

WEAK = 10.0  # F below which an instrument is called weak

MORE = 1.1  # times: by this much an instrument must move the outcome more than the exposure to count

# subject, then flag: when it is red. Each compares NaN to something and is then False: what is not known is not red.
GROUPS = {
    "direction": {
        "direction": lambda c: c["r2_outcome"] >= c["r2_exposure"],
        "shared": lambda c: c["shared_share"] > 0.5,
    },
    "pleiotropy": {
        "heterogeneity": lambda c: c["q_pvalue"] < 0.05,
        "egger_heterogeneity": lambda c: c["rucker_q_pvalue"] < 0.05,
        "pleiotropy": lambda c: c["intercept_pvalue"] < 0.05,
        "presso": lambda c: c["presso_pvalue"] < 0.05,
        "outliers": lambda c: c["n_outliers"] > 0,
        "nonlinear": lambda c: c["quadratic_pvalue"] < 0.05,
    },
    "strength": {
        "dilution": lambda c: c["i2_gx"] < 0.9,
        "weak": lambda c: (c["f_statistic"] < WEAK) | (c["weak_share"] > 0.5),
        "influence": lambda c: c["n_influential"] > 0,
    },
}
RED = {flag: is_red for group in GROUPS.values() for flag, is_red in group.items()}


def red_of(rule, n_members):
    """The functions of `RED` as a rule asks for them.

    The rules direct and regions let weak instruments in on purpose, and who acts on what is decided by the mean over
    members: strength is judged by the error of that mean.
    """
    if rule.rule not in ("direct", "regions"):
        return RED
    return {**RED, "weak": lambda c: n_members * c["f_statistic"] < WEAK,
            "dilution": lambda c: 1 - (1 - c["i2_gx"]) / n_members < 0.9}


COLUMNS = ("n_instruments", "q", "q_pvalue", "i2", "rucker_q", "rucker_q_pvalue", "intercept", "intercept_se",
           "intercept_pvalue", "i2_gx", "f_statistic", "weak_share", "presso_rss", "presso_pvalue", "n_outliers",
           "outlier_pvalue", "loo_low", "loo_high", "n_influential", "quadratic", "quadratic_se", "quadratic_pvalue",
           "r2_exposure", "r2_outcome", "steiger_pvalue", "shared_share", "red", "note")


def diagnose(bx, sx, by, sy, mask=None, n_draws=1000, seed=42):
    """Diagnostics of MR problems, from their instruments.

    Parameters
    ----------
    bx, sx, by, sy, mask
        As for the estimators: arrays of shape (..., V).
    n_draws : int
        Of MR-PRESSO's global test; 0 leaves it out.
    seed : int

    Returns
    -------
    dict of (...) arrays
        The names of `COLUMNS` but r2_exposure, r2_outcome, steiger_pvalue and shared_share, for which instruments are
        not enough, and `red`.
    """
    origin, line = ivw(bx, sx, by, sy, mask), egger(bx, sx, by, sy, mask, distribution="t")
    f_statistic, i2_gx = strength(bx, sx, sy, mask)
    left_out = leave_one_out(bx, sx, by, sy, mask).estimate
    test = presso(bx, sx, by, sy, mask, n_draws=n_draws, seed=seed)
    curve = linearity(bx, sx, by, sy, mask)
    solved = origin.note == ""
    with np.errstate(all="ignore"):
        chosen = np.broadcast_to(True if mask is None else mask, np.shape(left_out))
        weak = np.broadcast_to(np.square(np.divide(bx, sx)) < WEAK, chosen.shape)
        far = np.abs(left_out - np.asarray(origin.estimate)[..., None]) > np.asarray(origin.se)[..., None]
        known = np.isfinite(left_out).any(-1)
        tested = np.isfinite(test.outlier_pvalue).any(-1)
        columns = {
            "n_instruments": origin.n_instruments, "q": origin.q, "q_pvalue": origin.q_pvalue, "i2": origin.i2,
            "rucker_q": line.q, "rucker_q_pvalue": line.q_pvalue, "intercept": line.intercept,
            "intercept_se": line.intercept_se, "intercept_pvalue": line.intercept_pvalue, "i2_gx": i2_gx,
            "f_statistic": f_statistic, "weak_share": (weak & chosen).sum(-1) / chosen.sum(-1),
            "presso_rss": test.rss, "presso_pvalue": test.pvalue,
            "n_outliers": np.where(tested, (test.outlier_pvalue < 0.05).sum(-1), np.nan),
            "outlier_pvalue": np.where(tested, np.where(np.isnan(test.outlier_pvalue), 1, test.outlier_pvalue).min(
                -1, initial=1.0), np.nan),
            "loo_low": np.where(known, np.where(np.isnan(left_out), np.inf, left_out).min(-1, initial=np.inf), np.nan),
            "loo_high": np.where(known, np.where(np.isnan(left_out), -np.inf, left_out).max(-1, initial=-np.inf),
                                 np.nan),
            "n_influential": np.where(known, far.sum(-1), np.nan),
            "quadratic": curve.quadratic, "quadratic_se": curve.se, "quadratic_pvalue": curve.pvalue,
        }
    columns = {name: values if name == "n_instruments" else np.where(solved, values, np.nan)
               for name, values in columns.items()}
    return {**columns, "note": origin.note}


def diagnose_pairs(effects, exposures=None, outcomes=None, instruments=None, instrument_z=None, se_shrinkage=None,
                   steiger=None, n_draws=1000, seed=42, instrument_regions=None):
    """Diagnostics of every locus and ordered pair of marks.

    Parameters
    ----------
    effects, exposures, outcomes, instruments, instrument_z, se_shrinkage, steiger, instrument_regions
        As for `fit_pairs`.
    n_draws, seed
        As for `diagnose`.

    Returns
    -------
    pandas.DataFrame
        In the order of loci, exposures, outcomes, with columns chrom, start, end, strand, locus, exposure, outcome and
        `COLUMNS`; where mutants are of several kinds, those of `of_kinds` before `red`. `red` lists, with commas
        between them, the flags of `RED` that are up.

    Raises
    ------
    InputError
        As for `fit_pairs`.
    """
    options = EstimateOptions(preset="paper", exposures=exposures, outcomes=outcomes, instruments=instruments,
                              instrument_z=instrument_z, se_shrinkage=se_shrinkage, steiger=steiger,
                              instrument_regions=instrument_regions)
    options.pairs(effects["mark"].values)
    effects = with_se_shrinkage(effects, options.se_shrinkage)
    rule = rule_for(effects, options.instruments, options.instrument_z, steiger=options.steiger,
                    regions=options.instrument_regions)
    return pd.concat(iter_diagnostics(effects, options, rule, n_draws, seed), ignore_index=True)


def iter_diagnostics(effects, options, rule, n_draws=1000, seed=42, map_blocks=each_block, pairs=None):
    """Diagnostics as `diagnose_pairs` gives them, one table per block of loci.

    `options` are `EstimateOptions`, `rule` is that of `rule_for`, `map_blocks` as `effects_store.each_block`, `pairs`
    those of `options.pairs` or some of them.
    """
    pairs = options.pairs(effects["mark"].values) if pairs is None else pairs
    return map_blocks(partial(_table_of_block, pairs=pairs, rule=rule, n_draws=n_draws, seed=seed), effects)


def _table_of_block(effects, block, pairs, rule, n_draws, seed):
    columns = _block(effects, block, pairs, rule, n_draws, seed)
    place = place_columns(effects, block, pairs)
    by_kind = [name for name in columns if name not in COLUMNS]
    return pd.DataFrame({**place, **{name: columns[name].ravel() for name in (*COLUMNS[:-2], *by_kind, *COLUMNS[-2:])}})


def count_red(table):
    """How often each flag is red: one row per ordered pair, with the number of loci and of loci with an estimate.

    Parameters
    ----------
    table : pandas.DataFrame
        As `iter_diagnostics` gives it.

    Returns
    -------
    pandas.DataFrame
        Columns exposure, outcome, n_loci (with an IVW estimate) and the names of `RED`, all counts; where mutants are
        of several kinds also n_rows, and sums over instruments of each.
    """
    estimated = table["note"] == ""
    flags = table["red"].str.get_dummies(",").reindex(columns=list(RED), fill_value=0)
    counted = table[["exposure", "outcome"]].assign(n_loci=estimated).join(flags.mul(estimated, axis=0))
    by_kind = sums_over_instruments(table)
    if len(by_kind.columns):
        counted = counted.assign(n_rows=1).join(by_kind)
    return counted.groupby(["exposure", "outcome"], sort=False).sum().reset_index()


def share_of_red(counts):
    """One row per ordered pair: at how many loci there is an estimate, and at what share of them each flag is red.

    Parameters
    ----------
    counts : iterable of pandas.DataFrame
        As `count_red` gives them.

    Returns
    -------
    pandas.DataFrame
        Columns exposure, outcome, n_loci and the names of `RED`; NaN for a pair without estimates. Where mutants are of
        several kinds, of each kind instruments a locus, their mean F and the share that moves the outcome more.
    """
    total = pd.concat(counts).groupby(["exposure", "outcome"], sort=False).sum().reset_index()
    n_loci = total["n_loci"].astype(np.int64)
    shares = total.assign(n_loci=n_loci, **{flag: total[flag] / n_loci.where(n_loci > 0) for flag in RED})
    if "n_rows" not in total:
        return shares
    by_kind = means_over_instruments(total, total["n_rows"])
    return shares.drop(columns=["n_rows", *by_kind.columns]).join(by_kind)


def _block(effects, loci, pairs, rule, n_draws, seed):
    block = Block.read(effects, loci, rule)

    def of_exposure(exposure):
        return diagnose(*block.of_pairs(exposure, pairs[exposure]), n_draws=n_draws, seed=seed)

    each = mapped(of_exposure, pairs)
    columns = {name: np.concatenate([one[name] for one in each], axis=1) for name in each[0]}
    size = _size(block.effect)
    columns.update(_from_all_mutants(block.effect, size, block.instruments, pairs))
    columns.update(of_kinds(block, size, pairs, StoredMutants(effects), MORE))
    columns["red"] = _flags(columns, red_of(rule, effects.sizes["member"]))
    columns["note"] = np.where(block.lost[:, None], notes.NOT_PREDICTED, columns["note"])
    return columns


def _size(effect):
    """How much mutants move each mark, in units of the root mean square over the locus's mutants."""
    known = predicted_mutants(effect)
    with np.errstate(all="ignore"):
        root = np.sqrt(np.square(np.where(known[..., None], effect, 0.0)).sum(1, keepdims=True)
                       / known.sum(1)[:, None, None])
        return np.abs(effect) / np.where(root > 0, root, 1.0)


def _from_all_mutants(effect, size, instruments, pairs):
    """What takes the locus's other mutants too: Steiger's test, and instruments that move the outcome more."""
    known = predicted_mutants(effect)
    count, more, r2_exposure, r2_outcome = (
        _of_exposures if instruments.size is None else _of_each_pair)(effect, size, instruments, pairs)
    n, some = known.sum(1)[:, None] + 1, count > 0
    shared = np.divide(more, count, out=np.zeros(count.shape), where=some)
    numbers = {"r2_exposure": r2_exposure, "r2_outcome": r2_outcome,
               "steiger_pvalue": steiger(r2_exposure, r2_outcome, n, n)[1], "shared_share": shared}
    return {name: np.where(some, values, np.nan) for name, values in numbers.items()}


def _of_exposures(effect, size, instruments, pairs):
    """How many instruments each pair has, how many of them move the outcome more, and what they explain of either mark.

    All pairs of an exposure have the same instruments. Arrays (locus, pair).
    """
    outcome = [y for outcomes in pairs.values() for y in outcomes]
    exposure = [x for x, outcomes in pairs.items() for _ in outcomes]
    more = [((size[..., outcomes] > MORE * size[..., [x]]) & instruments.mask[..., [x]]).sum(1)
            for x, outcomes in pairs.items() if outcomes]
    r2 = r2_of_mutants(effect, instruments.mask)
    return (instruments.mask.sum(1)[:, exposure].astype(np.float64), np.concatenate(more, 1).astype(np.float64),
            r2[:, exposure, exposure], r2[:, exposure, outcome])


def _of_each_pair(effect, size, instruments, pairs):
    """As `_of_exposures`, for pairs with instruments of their own."""
    found = []
    for exposure, outcomes in pairs.items():
        for outcome in outcomes:
            chosen = instruments.of_pairs(exposure, outcome)
            r2 = r2_of_mutants(effect[..., [exposure, outcome]], chosen[..., None])
            more = chosen & (size[..., outcome] > MORE * size[..., exposure])
            found.append([chosen.sum(1), more.sum(1), r2[:, 0, 0], r2[:, 0, 1]])
    return np.moveaxis(np.array(found, np.float64), 0, 2)


def _flags(columns, red):
    """The names of the red flags, with commas between them."""
    codes = sum((is_red(columns).astype(np.int64) << bit) for bit, is_red in enumerate(red.values()))
    found, index = np.unique(codes, return_inverse=True)
    names = [",".join(flag for bit, flag in enumerate(RED) if code >> bit & 1) for code in found]
    return np.array(names, dtype=object)[index].reshape(codes.shape)
