"""What the page says first: of what run it is, which marks act on which, and what speaks against it."""

import math
from collections import Counter

import pandas as pd

from ..display import counted, of_loci
from ..network.verdicts import DIRECT, HIDDEN, INDIRECT, NONE
from .lights import AMBER_TO

MOST_SENTENCES = 10
NAMES_SHOWN = 3
FAR = 0.5  # of the direct effect
PAIR = ["exposure", "outcome"]
BEFORE_MARK, AFTER_MARK = INDIRECT.split("{m}")


def facts(run):
    """What the run is of: models, members, loci, marks, preset, date.

    Parameters
    ----------
    run : FinishedRun

    Returns
    -------
    list of (str, str)
        Name and text of each.
    """
    recipe, settings = run.told.get("recipe") or {}, run.settings
    members = settings.get("members") or []
    n_members = len(members) if isinstance(members, (list, tuple)) else int(members)
    names = ["/".join(str(model).split("/")[-2:]) for model in recipe.get("models") or []]
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    dropped = sum(map(len, (run.told.get("dropped") or {}).values()))
    n_loci = settings.get("loci") or (0 if run.effects is None else run.effects.sizes["locus"])
    first = run.of_first_method
    n_marks = len(settings.get("marks") or set(first["exposure"].unique()) | set(first["outcome"].unique()))
    rows = [("Models", f"{', '.join(names[:NAMES_SHOWN])}{more}"), ("Members", f"{n_members:,}" if n_members else ""),
            ("Loci", f"{int(n_loci):,}" + (f" ({dropped:,} dropped)" if dropped else "") if n_loci else ""),
            ("Marks", f"{n_marks:,}"), ("Preset", str(settings.get("preset") or "")),
            ("Date", str(run.told.get("finished") or "").partition("T")[0])]
    return [row for row in rows if row[1]]


def sentences(table, shares_of_red=None, direct=None, every=None):
    """What acts on what, the strongest first, possible common causes, how much is left, and what speaks against it.

    A direct effect is that of the network, with the other marks held fixed; where the total effect is far from it, the
    sentence says so.

    Parameters
    ----------
    table : pandas.DataFrame
        Global effects of one method with their verdicts, the strongest first.
    shares_of_red : pandas.DataFrame, optional
        diagnostics_by_pair.tsv.
    direct : pandas.DataFrame, optional
        network.tsv.
    every : pandas.DataFrame, optional
        Columns exposure, outcome and verdict of all pairs, if `table` holds the strongest alone.

    Returns
    -------
    list of str
        Ten at most; empty if there are no verdicts.
    """
    every = table if every is None else every
    if every["verdict"].isna().all():
        return []
    n_of = every["verdict"].value_counts()
    spoken = [verdict for verdict in n_of.index if verdict == HIDDEN or is_believed(verdict)]
    rest = Counter({"show no effect beyond the minimum": int(n_of.get(NONE, 0))})
    rest["cannot be told"] = int(n_of.drop(spoken).sum()) - rest["show no effect beyond the minimum"]
    rest = +rest
    told = _told(_with_sizes(table[table["verdict"].isin(spoken)], direct))
    against = _against(every[every["verdict"].isin([verdict for verdict in spoken if verdict != HIDDEN])],
                       shares_of_red)
    room = MOST_SENTENCES - len(rest) - len(against)
    if len(told) > room:
        told = told[:room - 1]
        rest["with an effect or a possible hidden cause are in the table"] = \
            int(n_of[spoken].sum()) - sum(n_pairs for _, n_pairs in told)
    return [*(text for text, _ in told), *against,
            *(f"{counted(n, 'other ordered pair' if told else 'ordered pair')} {_agreeing(what, n)}."
              for what, n in rest.items())]


def _with_sizes(table, direct):
    """With `size`, `low` and `high` in standard deviations: of the direct effect where that is the verdict."""
    unit = (table["standardised"] / table["estimate"]).abs()
    sizes = {"size": table["standardised"], "low": table["ci_low"] * unit, "high": table["ci_high"] * unit}
    if direct is not None:
        of_pair = direct.set_index(PAIR).reindex(pd.MultiIndex.from_frame(table[PAIR]))
        known = (table["verdict"] == DIRECT).to_numpy() & of_pair["direct_std"].notna().to_numpy()
        unit = (of_pair["direct_std"] / of_pair["direct"]).abs()
        for name, values in (("size", of_pair["direct_std"]), ("low", of_pair["ci_low"] * unit),
                             ("high", of_pair["ci_high"] * unit)):
            sizes[name] = sizes[name].mask(known, values.to_numpy())
    table = table.assign(**sizes)
    return table.loc[table["size"].abs().sort_values(ascending=False, kind="stable").index]


def _told(table):
    """Sentences on the strongest pairs, one more than there is room for at most, and how many pairs each is about."""
    is_hidden = table["verdict"] == HIDDEN
    hidden = set(table.loc[is_hidden, PAIR].itertuples(index=False, name=None))
    told, seen = [], set()
    for row in pd.concat([table[~is_hidden], table[is_hidden]]).itertuples():
        if len(told) > MOST_SENTENCES:
            break
        if row.verdict != HIDDEN:
            told.append((_of_effect(row), 1))
        elif (row.outcome, row.exposure) not in seen:
            seen.add((row.exposure, row.outcome))
            told.append((f"{row.exposure} and {row.outcome} may have a common cause that is no mark of the model.",
                         1 + ((row.outcome, row.exposure) in hidden)))
    return told


def _of_effect(row):
    """The sentence of a pair with an effect."""
    x, y, does = row.exposure, row.outcome, "lowers" if row.size < 0 else "raises"
    if row.verdict == DIRECT:
        far = abs(row.standardised - row.size) > FAR * abs(row.size)
        total = f"; in total, through other marks too, the effect is {row.standardised:.2g}" if far else ""
        return f"{x} {does} {y} directly {_size(row)}{total}."
    through = row.verdict.removeprefix(BEFORE_MARK).removesuffix(AFTER_MARK)
    return f"{x} {does} {y} through {through}, not directly, {_size(row)}."


def is_believed(verdict):
    """Whether a verdict says that there is an effect, direct or not."""
    return verdict == DIRECT or verdict.startswith(BEFORE_MARK)


def _size(row):
    """How strong an effect is, in standard deviations, with its interval where that is known."""
    size = f"by {abs(row.size):.2g}"
    if not (math.isfinite(row.low) and math.isfinite(row.high)):
        return size
    low, high = (-row.high, -row.low) if row.size < 0 else (row.low, row.high)
    return f"{size} ({low:.2g} to {high:.2g}; {of_loci(int(row.n_loci))})"


def _against(believed, shares_of_red):
    """A sentence on the diagnostics that are red for effects that are believed; none without diagnostics."""
    if shares_of_red is None:
        return []
    table = believed[PAIR].merge(shares_of_red, on=PAIR).drop(columns=[*PAIR, "n_loci"])
    if table.empty:
        return []
    red = table.select_dtypes("number") > AMBER_TO
    n = int(red.any(axis=1).sum())
    if not n:
        return [f"No diagnostic is red for {'any of these effects' if len(table) > 1 else 'this effect'}."]
    of = "this effect" if len(table) == 1 else "both effects" if n == len(table) == 2 else \
        f"all {n:,} effects" if n == len(table) else f"{n:,} of these {len(table):,} effects"
    flags = red.sum().sort_values(ascending=False, kind="stable")
    named = ", ".join(str(name).replace("_", " ") for name in flags[flags > 0].index[:NAMES_SHOWN])
    return [f"Look closer at {of}: diagnostics are red at more than a third of the loci ({named})."]


def _agreeing(what, n):
    if n != 1:
        return what
    return what.replace("show", "shows", 1).replace(" are ", " is ", 1)
