"""From the local table to the global one: a random-effects meta-analysis over loci for each pair and method."""

from functools import partial
from itertools import chain

import numpy as np
import pandas as pd

from ..errors import InputError, listed
from ..inference import check_alpha, check_choice
from ..tabular import to_numbers
from ..threads import mapped
from .members import OF_MEMBER, members_global_effects, with_members
from .pooled import CI, PREDICTION, numbers_of
from .studies import UNWEIGHTABLE, read_studies
from .tau2 import TAU2_METHODS

KEYS = ["exposure", "outcome", "method"]
FOUND = ["n_loci", "estimate", "se", "ci_low", "ci_high", "pvalue", "tau", "tau2", "i2", "q", "q_pvalue", "pi_low",
         "pi_high"]
GLOBAL_COLUMNS = [*KEYS, *FOUND, "se_loci", "se_members"]
EMPTY = pd.DataFrame({name: pd.Series(dtype=str if name in KEYS else np.int64 if name == "n_loci" else np.float64)
                      for name in GLOBAL_COLUMNS})

# Elements of the (loci, pairs) arrays that are analysed at a time: 16 MB each, a few seconds.
PADDED_ELEMENTS = 2_000_000


def aggregate(local, tau2_method="REML", ci="wald", prediction="t_k1", alpha=0.05):
    """Global causal effects: one random-effects meta-analysis over loci for each exposure, outcome and method.

    Rows of `local` whose estimate or standard error is missing, or whose standard error is not a positive number, are
    not used; those with a number that cannot be weighted are counted in `result.attrs["notes"]`. For the method
    `wald_mean`, `se` is the standard deviation of the ratios, as in the paper's baseline.

    A meta-analysis takes the loci's errors for independent, while all loci share the errors of the same few members.
    Where the local table has every member's estimates, each member has a global estimate, by the ensemble's weights.
    Their standard deviation (ddof = 1), with t's K - 1 degrees of freedom, is added to the standard error of the
    meta-analysis, with Satterthwaite's degrees of freedom. It is not divided by sqrt(K), as little as that of local
    estimates (`kipoi_deepmr.mr.uncertainty.from_members`): what members have in common does not show in it.

    Parameters
    ----------
    local : pandas.DataFrame
        The local table: one row a locus, exposure, outcome and method; of its columns these are read: exposure,
        outcome, method, estimate, se, and estimate_1 to estimate_K if it has them.
    tau2_method, ci, prediction, alpha
        As in `random_effects`.

    Returns
    -------
    pandas.DataFrame
        Columns GLOBAL_COLUMNS, one row an (exposure, outcome, method), in order of first appearance: se_loci is the
        standard error of the meta-analysis, se_members the members' spread (NaN if the local table has none), se both.
        A pair without a usable locus has n_loci 0 and NaN.

    Raises
    ------
    InputError
        If a column is missing or holds something that is not a number, an option is unknown, or an estimate lacks
        some of its members'.

    References
    ----------
    Malina S, Cizin D, Knowles DA (2022). Deep Mendelian randomization. PLoS Comput Biol 18(10): e1009880; R's
    meta::metagen.
    """
    _check_columns(local)
    codes, groups = _groups(local)
    effects, ses = _numeric(local, "estimate"), _numeric(local, "se")
    own = [_numeric(local, name) for name in local.filter(regex=OF_MEMBER).columns]
    order = np.argsort(codes, kind="stable")
    counts = np.bincount(codes, minlength=len(groups))

    def pieces():
        for first, last in _slices(counts):
            place = _Places(codes, order, counts, first, last)
            yield [lambda place=place, keys=groups.iloc[first:last]: (
                keys, place.columns(effects), place.columns(ses), map(place.columns, own if len(own) > 1 else []))]

    return aggregate_pieces(pieces(), tau2_method, ci, prediction, alpha)


def aggregate_pieces(pieces, tau2_method="REML", ci="wald", prediction="t_k1", alpha=0.05):
    """Global causal effects from arrays of local ones, some pairs at a time.

    Parameters
    ----------
    pieces : iterable of lists of callables
        Those of a list are called in threads. Each gives keys, estimates, ses and members. keys: a pandas.DataFrame
        with columns exposure, outcome and method, one row an analysis; estimates and ses: (locus, analysis) arrays,
        NaN where a locus has none; members: an iterator of such arrays of each member, or of none.
    tau2_method, ci, prediction, alpha
        As in `random_effects`.

    Returns
    -------
    pandas.DataFrame
        As `aggregate` gives it.

    Raises
    ------
    InputError
        As `aggregate`.
    """
    found = list(chain.from_iterable(iter_pooled(pieces, tau2_method, ci, prediction, alpha)))
    table = pd.concat([each for each, _ in found], ignore_index=True) if found else EMPTY.copy()
    table.attrs["notes"] = [note for _, notes in found for note in notes]
    return table


def iter_pooled(pieces, tau2_method="REML", ci="wald", prediction="t_k1", alpha=0.05):
    """`aggregate_pieces`, a piece at a time.

    Parameters
    ----------
    pieces, tau2_method, ci, prediction, alpha
        As for `aggregate_pieces`.

    Yields
    ------
    list of (pandas.DataFrame, list of str)
        For each list of `pieces`, the tables of its pieces and their notes.

    Raises
    ------
    InputError
        As `aggregate`.
    """
    check_choice("tau2_method", tau2_method, TAU2_METHODS)
    check_choice("ci", ci, CI)
    check_choice("prediction", prediction, PREDICTION)
    check_alpha(alpha)
    pooled = partial(_pooled, tau2_method=tau2_method, ci=ci, prediction=prediction, alpha=alpha)
    for some in pieces:
        yield mapped(pooled, some)


def _pooled(piece, tau2_method, ci, prediction, alpha):
    """The global table of one piece, and its notes."""
    keys, estimates, ses, members = piece()
    studies = read_studies(estimates, ses)
    found = numbers_of(studies, tau2_method, ci, None, prediction, None, alpha)
    table = {name: found["n_studies" if name == "n_loci" else name] for name in FOUND if name != "tau"}
    table["tau"] = np.sqrt(table["tau2"])
    by_member = members_global_effects(members, np.where(studies.usable, studies.ses, np.nan), table["tau2"])
    if by_member is None:
        table.update(se_loci=table["se"], se_members=np.full(len(keys), np.nan))
    else:
        table = with_members(table, by_member, ci, prediction, alpha)
    keys = keys.reset_index(drop=True)
    notes = [f"{' '.join(str(keys.at[i, key]) for key in KEYS)}: {studies.n_excluded[i]} loci {UNWEIGHTABLE} not used"
             for i in np.flatnonzero(studies.n_excluded)]
    return keys.assign(**table)[GLOBAL_COLUMNS], notes


def _check_columns(local):
    missing = [name for name in [*KEYS, "estimate", "se"] if name not in local.columns]
    if missing:
        raise InputError(f"the local table has no column {', '.join(missing)}; it has: {listed(local)}")


def _numeric(local, name):
    """Column as floats; InputError names the first value that is no number, and its row."""
    column = local[name]
    values = to_numbers(column).to_numpy(dtype=np.float64, na_value=np.nan)
    bad = np.flatnonzero(np.isnan(values) & column.notna().to_numpy())
    if len(bad):
        row = bad[0]
        raise InputError(f'column {name} of the local table, data row {row + 1}: "{column.iloc[row]}" is not a number')
    return values


def _groups(local):
    """Number of each row's group in order of first appearance, and the groups' keys."""
    for name in KEYS:
        empty = np.flatnonzero(local[name].isna().to_numpy())
        if len(empty):
            raise InputError(f"column {name} of the local table, data row {empty[0] + 1}: empty")
    codes = local.groupby(KEYS, sort=False, observed=True).ngroup().to_numpy()
    _, first = np.unique(codes, return_index=True)
    groups = local.iloc[np.sort(first)][KEYS].reset_index(drop=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first, kind="stable")] = np.arange(len(first))
    return rank[codes], groups


def _slices(counts):
    """Runs of groups whose padded arrays stay within PADDED_ELEMENTS."""
    first = 0
    while first < len(counts):
        last, longest = first, 0
        while last < len(counts):
            longest = max(longest, counts[last])
            if last > first and longest * (last + 1 - first) > PADDED_ELEMENTS:
                break
            last += 1
        yield first, last
        first = last


class _Places:
    """Where the rows of groups first to last stand in NaN-padded columns, one a group."""

    def __init__(self, codes, order, counts, first, last):
        ends = np.concatenate([[0], np.cumsum(counts)])
        self._rows = order[ends[first] : ends[last]]
        self._column = codes[self._rows] - first
        self._place = np.arange(len(self._rows)) - (ends[first:last] - ends[first])[self._column]
        self._shape = (int(counts[first:last].max(initial=0)), last - first)

    def columns(self, values):
        """Values of the rows as columns."""
        padded = np.full(self._shape, np.nan)
        padded[self._place, self._column] = values[self._rows]
        return padded
