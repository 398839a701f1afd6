"""What the page shows of a run: every global effect, and the local ones of as many pairs as a page can hold."""

import shlex

import numpy as np
import pandas as pd

from ..meta.order import strongest_first
from ..network.significance import FALSE_DISCOVERY_RATE
from . import glance
from .lights import bits_of, colour_of, sentences
from .matrix import matrix
from .numbers import rounded

MAX_PAIRS = 60  # whose local effects the page holds
MAX_VERDICTS = 2_000
MAX_LOCAL_ROWS = 300_000  # a row takes some 60 bytes
MAX_GLOBAL_ROWS = 30_000  # of all methods; beyond them the page has the strongest, and a heat map of single bytes
WIDE_LOCAL_ROWS = 60_000  # on such a page
GLOBAL_NUMBERS = ("n_loci", "estimate", "se", "ci_low", "ci_high", "pvalue", "qvalue", "tau", "i2", "q_pvalue",
                  "pi_low", "pi_high")
RULE_NUMBERS = ("n_loci", "direct", "regions", "difference", "ci_low", "ci_high", "pvalue", "spearman")
LOCAL_NUMBERS = ("estimate", "se", "ci_low", "ci_high", "pvalue", "intercept", "q_pvalue")
PAIR = ["exposure", "outcome"]


def chosen_pairs(run):
    """Ordered pairs whose local effects the page shows: all, or the strongest (`meta.order`).

    Parameters
    ----------
    run : FinishedRun

    Returns
    -------
    list of (exposure, outcome)
        The strongest first.
    """
    first = run.of_first_method
    n_loci = max(1, int(run.settings.get("loci", 1)))
    most = WIDE_LOCAL_ROWS if is_wide(run) else MAX_LOCAL_ROWS
    n = int(np.clip(most // (n_loci * len(run.methods)), 1, MAX_PAIRS))
    return list(first.loc[strongest_first(first)[:n], PAIR].itertuples(index=False, name=None))


def is_wide(run):
    """Whether the run has more pairs than the page lists."""
    return len(run.global_) > MAX_GLOBAL_ROWS


def listed_of(run):
    """How many pairs of each method the page of such a run lists."""
    return MAX_GLOBAL_ROWS // len(run.methods)


def _listed(run, pairs):
    """The global effects that the page lists: all, or those of the strongest pairs of each method, and of `pairs`."""
    table = run.global_
    if not is_wide(run):
        return table
    strongest = table.loc[strongest_first(table)].groupby("method", sort=False).head(listed_of(run)).index
    chosen = pd.MultiIndex.from_frame(table[PAIR]).isin(pairs) | table.index.isin(strongest)
    return table[chosen]


def verdicts(run):
    """The verdict of every pair, the strongest first, by columns of JSON values.

    Parameters
    ----------
    run : FinishedRun

    Returns
    -------
    dict
        exposure and outcome by name, verdict, standardised, qvalue and reason; or `none`, why there are no verdicts.
    """
    first = run.of_first_method
    if first["verdict"].isna().all():
        return {"none": str(first["reason"].iloc[0])}
    first = first.loc[strongest_first(first)[:MAX_VERDICTS]]
    return {**{name: first[name].fillna("").tolist() for name in (*PAIR, "verdict", "reason")},
            **{name: rounded(first[name], 6) for name in ("standardised", "qvalue")}}


def overview(run, pairs):
    """What the page needs from the start.

    Parameters
    ----------
    run : FinishedRun
    pairs : list of (exposure, outcome)
        Those of `chosen_pairs`.

    Returns
    -------
    dict
        Of JSON values: marks and methods by name, everything else by their numbers, tables by columns.
    """
    table = _listed(run, pairs)
    marks = list(dict.fromkeys([*run.settings.get("marks", []), *table["exposure"], *table["outcome"]]))
    number = {mark: i for i, mark in enumerate(marks)}
    columns = {name: rounded(table[name], 6) for name in GLOBAL_NUMBERS if name in table}
    return {
        "glance": {"facts": glance.facts(run), "sentences": glance.sentences(run.of_first_method)},
        "verdicts": verdicts(run), "rules": _rules(run), "marks": marks, "methods": run.methods,
        "pairs": [[number[x], number[y]] for x, y in pairs],
        "false_discovery_rate": FALSE_DISCOVERY_RATE, "flags": sentences(),
        "global": {**{role: table[role].map(number).tolist() for role in PAIR},
                   "method": table["method"].map(run.methods.index).tolist(), **columns},
        "lights": _lights(run, number, pairs), "matrix": matrix(run) if is_wide(run) else None,
        "provenance": _provenance(run), "dropped": run.told.get("dropped") or {},
    }


def _rules(run):
    """Global effects by two instrument rules, the largest difference for its error first; None if not compared."""
    if run.rules is None:
        return None
    table = run.rules.sort_values("pvalue", kind="stable").head(MAX_VERDICTS)
    return {**{name: table[name].tolist() for name in (*PAIR, "method")},
            **{name: rounded(table[name], 6) for name in RULE_NUMBERS}}


def _lights(run, number, pairs):
    """Shares of red loci and their colours, by pair; None if the run made no diagnostics."""
    table = run.shares_of_red
    if table is None:
        return None
    table = table[pd.MultiIndex.from_frame(table[PAIR]).isin(pairs)]
    presso_tested = run.settings.get("diagnostics") == "all"
    flags = [flag["name"] for flag in sentences()]
    shares = {flag: table[flag].to_numpy(np.float64) if flag in table else np.full(len(table), np.nan)
              for flag in flags}
    return {
        **{role: table[role].map(number).tolist() for role in PAIR}, "n_loci": rounded(table["n_loci"]),
        "share": {flag: rounded(values, 3) for flag, values in shares.items()},
        "colour": {flag: [colour_of(v, presso_tested or flag != "presso") for v in values]
                   for flag, values in shares.items()},
    }


def _provenance(run):
    """Rows (name, text) of what the run was made of."""
    told, settings = run.told, dict(run.settings)
    models = settings.pop("models", [])
    rows = [("command", shlex.join(map(str, told.get("command") or []))), ("in folder", told.get("directory")),
            ("started", told.get("started")), ("finished", told.get("finished")),
            ("SHA-256 of the BED file", told.get("intervals_sha256")), ("genome", told.get("fasta_file"))]
    rows += [(f"SHA-256 of model {i}", checksum) for i, checksum in enumerate(models, 1)]
    rows += [(name, _told(value)) for name, value in settings.items() if name != "marks"]
    rows += [(f"version of {name}", version) for name, version in (told.get("versions") or {}).items()]
    return [[name, str(value)] for name, value in rows if value not in (None, "")]


def _told(value):
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return ", ".join(f"{k}={v}" for k, v in value.items()) if isinstance(value, dict) else value


def loci_of(local):
    """Loci of a table of local effects, in order: columns locus, chrom, start, end, strand.

    Two loci may bear one name, so that all five columns tell them apart.
    """
    return local[["locus", "chrom", "start", "end", "strand"]].drop_duplicates(ignore_index=True)


def numbered(table, loci):
    """A table of local effects or diagnostics with the column `number`: which row of `loci` each row belongs to."""
    number = pd.Series(np.arange(len(loci)), index=pd.MultiIndex.from_frame(loci))
    return table.assign(number=number.reindex(pd.MultiIndex.from_frame(table[list(loci)])).to_numpy())


def of_pairs(run, pairs, local, loci):
    """Local effects of each pair.

    Parameters
    ----------
    run : FinishedRun
    pairs : list of (exposure, outcome)
    local : pandas.DataFrame
        Their rows of local.tsv, as `numbered` gives them.
    loci : pandas.DataFrame
        As `loci_of` gives them.

    Returns
    -------
    list of dict
        One a pair, of JSON values: `locus` (numbers of rows of `loci`), `n` instruments, `red` flags as bits, and the
        numbers of each method, by columns.
    """
    diagnostics = run.diagnostics_of(pairs)
    red = None if diagnostics is None else _by_pair(numbered(diagnostics, loci))
    by_pair = _by_pair(local)
    return [_of_pair(by_pair.get(pair, local.iloc[:0]), None if red is None else red.get(pair), run.methods)
            for pair in pairs]


def _by_pair(table):
    return dict(iter(table.groupby(PAIR, sort=False)))


def _of_pair(rows, diagnostics, methods):
    by_method = {method: rows[rows["method"] == method].set_index("number") for method in methods}
    order = next(iter(by_method.values())).index
    out = {"locus": [int(i) for i in order], "methods": {}}
    for method, table in by_method.items():
        table = table.reindex(order)
        out["methods"][method] = {name: rounded(table[name]) for name in LOCAL_NUMBERS if name in table}
        out["n"] = [int(n) for n in table["n_instruments"].fillna(0)]
        out["note"] = table["note"].fillna("").tolist() if "note" not in out else out["note"]
    if diagnostics is not None:
        red = diagnostics.set_index("number")["red"].reindex(order).fillna("")
        out["red"] = [bits_of(flags) for flags in red]
    return out
