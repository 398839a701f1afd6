"""What the page shows of a run: every global effect, and the local ones of as many pairs as a page can hold."""

import shlex

import numpy as np
import pandas as pd

from ..network.significance import FALSE_DISCOVERY_RATE
from ..network.verdicts import DIRECT
from . import glance
from .genome import ASSEMBLIES, assembly_of
from .graph import graph
from .groups import groups_of
from .heat import heat
from .lights import bits_of, colour_of, sentences
from .numbers import rounded

MAX_PAIRS = 60  # whose local effects the page holds
MAX_LOCAL_ROWS = 300_000  # a row takes some 60 bytes before it is compressed
MAX_GLOBAL_ROWS = 30_000  # of all methods; beyond them the page lists the strongest pairs
WIDE_LOCAL_ROWS = 60_000  # on such a page
MAX_RULES = 2_000
GLOBAL_NUMBERS = ("n_loci", "estimate", "se", "ci_low", "ci_high", "pvalue", "qvalue", "tau", "i2", "q_pvalue",
                  "pi_low", "pi_high")
RULE_NUMBERS = ("n_loci", "direct", "regions", "difference", "ci_low", "ci_high", "pvalue", "spearman")
LOCAL_NUMBERS = ("estimate", "se", "ci_low", "ci_high", "pvalue", "intercept", "q_pvalue")
PAIR = ["exposure", "outcome"]


def chosen_pairs(run):
    """Ordered pairs whose local effects the page shows: all, or as many as it can hold.

    Of many marks, the largest effects are often of pairs that cannot be told, and the network's arrows none of them. So
    most places are for effects that are believed.

    Parameters
    ----------
    run : FinishedRun

    Returns
    -------
    list of (exposure, outcome)
        All, the strongest first (`meta.order`); or else the strongest effects that are believed, then the strongest
        others.
    """
    n_loci = max(1, int(run.settings.get("loci", 1)))
    most = WIDE_LOCAL_ROWS if is_wide(run) else MAX_LOCAL_ROWS
    n = int(np.clip(most // (n_loci * len(run.methods)), 1, MAX_PAIRS))
    table = run.strongest
    if len(run.of_first_method) > n:
        verdict = table["verdict"].fillna("")
        believed = table[verdict.map({text: glance.is_believed(text) for text in verdict.unique()}).astype(bool)]
        believed = believed.head(n - n // 4)
        table = pd.concat([believed, table.drop(believed.index)])
    return list(table[PAIR].head(n).itertuples(index=False, name=None))


def is_wide(run):
    """Whether the run has more pairs than the page lists."""
    return run.global_.n_rows > MAX_GLOBAL_ROWS


def listed(run):
    """Rows of the first method's table of global effects that the page lists: all, or as many as it can hold.

    Of more, all direct effects come before the strongest others, since the table begins with these alone.

    Parameters
    ----------
    run : FinishedRun

    Returns
    -------
    pandas.DataFrame
        The strongest first.
    """
    table = run.strongest
    if not is_wide(run):
        return table
    others_last = np.argsort((table["verdict"] != DIRECT).to_numpy(), kind="stable")
    return table.iloc[np.sort(others_last[:MAX_GLOBAL_ROWS // len(run.methods)])]


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
    first = run.of_first_method
    marks = list(dict.fromkeys([*run.settings.get("marks", []), *first["exposure"].unique(),
                                *first["outcome"].unique()]))
    number = {mark: i for i, mark in enumerate(marks)}
    return {
        "facts": glance.facts(run),
        "sentences": glance.sentences(run.strongest, run.shares_of_red, run.direct_effects, first),
        "no_verdicts": str(run.strongest["reason"].iloc[0]) if first["verdict"].isna().all() else "",
        "marks": marks, "methods": run.methods, "groups": groups_of(run, marks),
        "network": graph(run, number), "heat": heat(run), "effects": _effects(run, number), "rules": _rules(run),
        "pairs": [[number[x], number[y]] for x, y in pairs],
        "false_discovery_rate": FALSE_DISCOVERY_RATE, "flags": sentences(),
        "lights": _lights(run, number, pairs), "assembly": assembly_of(run), "assemblies": list(ASSEMBLIES),
        "command": _command(run), "provenance": _provenance(run), "dropped": run.told.get("dropped") or {},
    }


def _effects(run, number):
    """Global effects of all methods by pair, the strongest first."""
    table = listed(run)
    of_pair = pd.MultiIndex.from_frame(table[PAIR])
    verdict, names = pd.factorize(table["verdict"].fillna(""))
    out = {**{role: table[role].map(number).tolist() for role in PAIR}, "verdict": verdict.tolist(),
           "verdicts": names.tolist(), "reason": table["reason"].fillna("").tolist(),
           "standardised": rounded(table["standardised"], 4), "methods": {}}
    for method in run.methods:
        rows = run.global_.of_method(method).set_index(PAIR).reindex(of_pair)
        out["methods"][method] = {name: rounded(rows[name], 5) for name in GLOBAL_NUMBERS if name in rows}
    return out


def _rules(run):
    """Global effects by two instrument rules, the largest difference for its error first; None if not compared."""
    if run.rules is None:
        return None
    table = run.rules.sort_values("pvalue", kind="stable").head(MAX_RULES)
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


def _command(run):
    """A line for a shell that repeats the run; empty for a run from Python."""
    told = run.told
    program, *words = map(str, told.get("command") or [""])
    if not words:
        return ""
    folder = told.get("directory")
    line = f"{program} {shlex.join(words)}"  # the program may be two words, kipoi deepmr
    return f"cd {shlex.quote(str(folder))} && {line}" if folder else line


def _provenance(run):
    """Rows (name, text) of what the run was made of."""
    told, settings = run.told, dict(run.settings)
    models = settings.pop("models", [])
    rows = [("started", told.get("started")), ("finished", told.get("finished")),
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
