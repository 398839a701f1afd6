"""Two instrument rules on the same loci: how far their global effects differ."""

import numpy as np
import pandas as pd

from ..errors import InputError
from ..inference import added, interval, two_sided_pvalue
from .members import OF_MEMBER, members_global_effects
from .table import KEYS, aggregate

ESTIMATE = ["estimate", "ci_low", "ci_high"]


def compare_rules(tables, tau2_method="REML", alpha=0.05):
    """Global effects by two instrument rules, and their difference.

    The difference is that of the two global effects. Loci and members are the same on both sides, so its standard
    error is not that of two independent numbers: that between loci comes from each locus's part in the difference
    (sandwich, with the weights of the meta-analyses held fixed), that of the members from the difference that each
    member has.

    Parameters
    ----------
    tables : dict of str to pandas.DataFrame
        By rule, two local tables of the same rows: locus, exposure, outcome and method.
    tau2_method : str
        As in `aggregate`.
    alpha : float

    Returns
    -------
    pandas.DataFrame
        One row an (exposure, outcome, method): n_loci with an estimate by both; for each rule its effect, under the
        rule's name, and its interval; difference, se, ci_low, ci_high, pvalue; spearman, the rank correlation of both
        local effects over loci.

    Raises
    ------
    InputError
        The tables do not have the same rows, or as `aggregate`.
    """
    keys = [table[KEYS].astype(str).reset_index(drop=True) for table in tables.values()]
    if not keys[0].equals(keys[1]):
        raise InputError("the two tables of local effects do not have the same rows: they were not made together")
    found = [aggregate(table, tau2_method=tau2_method, alpha=alpha) for table in tables.values()]
    group = keys[0].groupby(KEYS, sort=False).ngroup().to_numpy()
    sides = [_parts(table, of_rule, group) for table, of_rule in zip(tables.values(), found, strict=True)]
    parts, members = zip(*sides, strict=True)
    both = pd.DataFrame({rule: np.where(np.isfinite(parts).all(0), table["estimate"], np.nan)
                         for rule, table in tables.items()})
    out = found[0][KEYS].assign(n_loci=both.notna().all(axis=1).groupby(group).sum().to_numpy())
    for rule, of_rule in zip(tables, found, strict=True):
        out[[rule, f"{rule}_ci_low", f"{rule}_ci_high"]] = of_rule[ESTIMATE].to_numpy()
    first, second = tables
    out["difference"] = out[first] - out[second]
    n = np.bincount(group, np.isfinite(parts).any(0), len(out))
    part = np.nan_to_num(parts[0]) - np.nan_to_num(parts[1])
    with np.errstate(all="ignore"):
        se, df = np.sqrt(n / (n - 1) * np.bincount(group, part ** 2, len(out))), n - 1
        if members[0] is not None:
            se, df = added(se, df, (members[0] - members[1]).std(axis=1, ddof=1), members[0].shape[1] - 1.0)
        low, high = interval(out["difference"].to_numpy(), se, alpha, df)
        pvalue = two_sided_pvalue(out["difference"].to_numpy(), se, df)
        spearman = both.groupby(group).apply(lambda pair: pair[first].corr(pair[second], method="spearman"))
    return out.assign(se=se, ci_low=low, ci_high=high, pvalue=pvalue, spearman=spearman.to_numpy(np.float64))


def _parts(table, found, group):
    """Each row's part in its global effect (NaN if it has none), and members' global effects (group, member)."""
    estimate, se = (table[name].to_numpy(np.float64) for name in ("estimate", "se"))
    used = np.isfinite(estimate) & np.isfinite(se) & (se > 0)
    tau2, mean = (np.nan_to_num(found[name].to_numpy(np.float64))[group] for name in ("tau2", "estimate"))
    weight = np.where(used, 1 / (np.where(used, se, 1.0) ** 2 + tau2), 0.0)
    with np.errstate(invalid="ignore"):
        share = weight / np.bincount(group, weight, len(found))[group]
    own = list(table.filter(regex=OF_MEMBER))
    members = members_global_effects((_columns(table[name].to_numpy(np.float64), group) for name in own),
                                     _columns(np.where(used, se, np.nan), group),
                                     found["tau2"].to_numpy()) if len(own) > 1 else None
    return np.where(used, share * (estimate - mean), np.nan), members


def _columns(values, group):
    """Values of rows as columns, one a group."""
    row = pd.Series(group).groupby(group).cumcount().to_numpy()
    padded = np.full((row.max(initial=-1) + 1, group.max(initial=-1) + 1), np.nan)
    padded[row, group] = values
    return padded
