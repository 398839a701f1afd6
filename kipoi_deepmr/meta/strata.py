"""Global effects within strata of loci, the test between strata, and meta-regression on a covariate, pair by pair."""

import numpy as np
import pandas as pd

from ..errors import InputError
from ..inference import chi2_pvalue
from .regression import meta_regression
from .table import GLOBAL_COLUMNS, KEYS, aggregate

TEST_COLUMNS = ("n_loci", "n_strata", "q_between", "q_between_df", "q_between_pvalue", "slope", "slope_se",
                "slope_ci_low", "slope_ci_high", "slope_pvalue", "r2", "note")


def aggregate_strata(local, stratum, tau2_method="REML"):
    """Global effects within strata: one random-effects meta-analysis for each pair, method and stratum.

    Parameters
    ----------
    local : pandas.DataFrame
        As for `aggregate`.
    stratum : pandas.Categorical, or array
        The stratum of each row; missing: the row is not used.
    tau2_method : str
        As for `aggregate`; every stratum has a variance of its own.

    Returns
    -------
    pandas.DataFrame
        Column stratum and `GLOBAL_COLUMNS`: for each pair and method one row a stratum, in the order of the
        categories; n_loci is 0 where there is no usable locus.

    Raises
    ------
    InputError
        As for `aggregate`.
    """
    stratum = pd.Categorical(stratum)
    groups = local[KEYS].astype(str).drop_duplicates(ignore_index=True)
    tables = []
    for level in stratum.categories:
        rows = local[stratum == level]
        found = aggregate(rows.astype(dict.fromkeys(KEYS, str)), tau2_method=tau2_method)
        whole = groups.merge(found, on=KEYS, how="left").assign(stratum=level)
        tables.append(whole.assign(n_loci=whole["n_loci"].fillna(0).astype(np.int64)))
    if not tables:
        raise InputError("no row has a stratum")
    order = np.arange(len(groups) * len(tables)).reshape(len(tables), -1).T.ravel()
    joined = pd.concat(tables, ignore_index=True).iloc[order].reset_index(drop=True)
    return joined[["stratum", *GLOBAL_COLUMNS]].infer_objects()  # no column of numbers is one of objects where all lack


def between_strata(strata):
    """Whether effects differ between strata: Q of the strata's random-effects means about their weighted mean.

    Parameters
    ----------
    strata : pandas.DataFrame
        As `aggregate_strata` gives it.

    Returns
    -------
    pandas.DataFrame
        For each pair and method, in order: exposure, outcome, method, n_strata (with an estimate), q_between,
        q_between_df, q_between_pvalue; NaN with fewer than two strata.

    References
    ----------
    Borenstein et al. (2009), Introduction to Meta-Analysis, ch. 19; R's meta::metagen(subgroup = ), random effects
    with separate tau^2.
    """
    weight = 1 / strata["se_loci"] ** 2  # the members' errors are the same in all strata
    usable = strata["estimate"].notna() & np.isfinite(weight)
    parts = strata[KEYS].assign(n_strata=usable, w=weight.where(usable, 0.0),
                                wy=(weight * strata["estimate"]).where(usable, 0.0))
    groups = parts.groupby(KEYS, sort=False)
    mean = groups["wy"].transform("sum") / groups["w"].transform("sum").replace(0, np.nan)
    parts["q_between"] = (parts["w"] * (strata["estimate"] - mean) ** 2).where(usable, 0.0)
    table = parts.groupby(KEYS, sort=False)[["n_strata", "q_between"]].sum().reset_index()
    df = (table["n_strata"] - 1.0).where(table["n_strata"] > 1)
    q = table["q_between"].where(df.notna())
    return table.assign(q_between=q, q_between_df=df, q_between_pvalue=chi2_pvalue(q.to_numpy(), df.to_numpy()))


def regress(local, value, tau2_method="REML"):
    """Meta-regression of local effects on one covariate, for each pair and method.

    Parameters
    ----------
    local : pandas.DataFrame
        As for `aggregate`.
    value : (n,) array
        The covariate of each row, NaN where it is missing.
    tau2_method : str

    Returns
    -------
    pandas.DataFrame
        For each pair and method, in order: exposure, outcome, method, n_loci used, slope (change of the effect per
        unit of the covariate) with slope_se, slope_ci_low, slope_ci_high, slope_pvalue, r2 (share of tau^2 that the
        covariate explains), and a note where there is no slope.

    References
    ----------
    As `meta_regression`.
    """
    rows = []
    for keys, group in local.assign(value=np.asarray(value, np.float64)).groupby(KEYS, sort=False, observed=True):
        rows.append(dict(zip(KEYS, keys, strict=True)) | _slope(group, tau2_method))
    return pd.DataFrame(rows)


def _slope(group, tau2_method):
    known = group[group["value"].notna() & group["estimate"].notna()]
    try:
        fit = meta_regression(known["estimate"], known["se"], known["value"], tau2_method, tau2_ci=None)
    except InputError as error:  # a covariate that is the same everywhere
        return {"n_loci": len(known), "note": str(error)}
    return {"n_loci": fit.n_studies, "slope": fit.estimate[1], "slope_se": fit.se[1], "slope_ci_low": fit.ci_low[1],
            "slope_ci_high": fit.ci_high[1], "slope_pvalue": fit.pvalue[1], "r2": fit.r2, "note": fit.note}


def compare_strata(local, strata=None, value=None, tau2_method="REML"):
    """What is known of the difference between strata and of the trend, for each pair and method.

    Parameters
    ----------
    local : pandas.DataFrame
    strata : pandas.DataFrame, optional
        As `aggregate_strata` gives it.
    value : (n,) array, optional
        As for `regress`.
    tau2_method : str

    Returns
    -------
    pandas.DataFrame
        exposure, outcome, method and `TEST_COLUMNS`; NaN where there are no strata, whose n_strata is 0, or no number
        behind them.
    """
    parts = []
    if strata is not None:
        n_loci = strata.groupby(KEYS, sort=False)["n_loci"].sum().reset_index()
        parts.append(n_loci.merge(between_strata(strata), on=KEYS))
    if value is not None:
        slopes = regress(local.astype(dict.fromkeys(KEYS, str)), value, tau2_method)
        parts.append(slopes.drop(columns="n_loci") if parts else slopes)
    table = parts[0] if len(parts) == 1 else parts[0].merge(parts[1], on=KEYS)
    table = table.reindex(columns=[*KEYS, *TEST_COLUMNS])
    n_strata = table["n_strata"].fillna(0).astype(np.int64)  # a whole number in every part of a table
    return table.assign(n_strata=n_strata, note=table["note"].astype(object).fillna(""))
