"""What the page says first: of what run it is, and in a few sentences which marks act on which."""

from collections import Counter

from ..display import counted, of_loci
from ..meta.order import strongest_first
from ..network.verdicts import DIRECT, HIDDEN, INDIRECT, NONE

MOST_SENTENCES = 10
NAMES_SHOWN = 3
BEFORE_MARK, AFTER_MARK = INDIRECT.split("{m}")


def facts(run):
    """What the run is of: models, loci, marks, options, date.

    Parameters
    ----------
    run : FinishedRun

    Returns
    -------
    str
    """
    recipe, settings = run.told.get("recipe") or {}, run.settings
    members = settings.get("members") or []
    names = ["/".join(str(model).split("/")[-2:]) for model in recipe.get("models") or []]
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    dropped = sum(map(len, (run.told.get("dropped") or {}).values()))
    parts = [f"models {', '.join(names[:NAMES_SHOWN])}{more}" if names else "",
             counted(len(members) if isinstance(members, (list, tuple)) else int(members), "member") if members else "",
             counted(len(settings.get("marks") or []), "mark"),
             of_loci(int(settings.get("loci") or 0)) + (f" ({dropped} dropped)" if dropped else ""),
             f"preset {settings['preset']}" if settings.get("preset") else "",
             str(run.told.get("finished") or "").partition("T")[0]]
    return ", ".join(filter(None, parts))


def sentences(table):
    """What acts on what, the strongest first, and how much is left.

    Parameters
    ----------
    table : pandas.DataFrame
        Global effects of one method, with their verdicts.

    Returns
    -------
    list of str
        Empty if there are no verdicts.
    """
    if table["verdict"].isna().all():
        return []
    told, rest, hidden = [], Counter(), set()
    for row in table.loc[strongest_first(table)].itertuples():
        text = _sentence(row, hidden)
        if text and len(told) < MOST_SENTENCES:
            told.append(text)
        elif text is None:
            rest["show no effect beyond the minimum" if row.verdict == NONE else "cannot be told"] += 1
        elif text:
            rest["with an effect or a possible hidden cause are in the table"] += 1
    return [*told, *(f"{counted(n, 'other ordered pair' if told else 'ordered pair')} {_agreeing(what, n)}."
                     for what, n in rest.items())]


def _sentence(row, hidden):
    """The sentence of a pair; empty for the second direction of a hidden cause, None for a pair that gets none."""
    x, y = row.exposure, row.outcome
    does = "lowers" if row.estimate < 0 else "raises"
    size = f"{row.estimate:.3g} per unit, {abs(row.standardised):.2g} standard deviations per standard deviation"
    if row.verdict == DIRECT:
        return f"{x} {does} {y} directly: {size}."
    if row.verdict.startswith(BEFORE_MARK):
        through = row.verdict.removeprefix(BEFORE_MARK).removesuffix(AFTER_MARK)
        return f"{x} {does} {y} through {through}, not directly: {size}."
    if row.verdict == HIDDEN:
        if frozenset((x, y)) in hidden:
            return ""
        hidden.add(frozenset((x, y)))
        return f"{x} and {y} may have a common cause that is no mark of the model."
    return None


def _agreeing(what, n):
    if n != 1:
        return what
    return what.replace("show", "shows", 1).replace(" are ", " is ", 1)
