"""What is printed at the end: loci used and dropped, instruments, the strongest effects."""

import os

import numpy as np

from ..output.manifest import OUTPUTS

MAX_ROWS = 20
NAMES_SHOWN = 3


def of_loci(selection):
    """Loci used, and those dropped with reasons and names."""
    n_dropped = sum(map(len, selection.dropped.values()))
    lines = [f"loci: {len(selection.loci)} used, {n_dropped} dropped, of {selection.n_candidates}"]
    for reason, names in selection.dropped.items():
        more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
        lines.append(f"  {len(names)} dropped: {reason}: {', '.join(names[:NAMES_SHOWN])}{more}")
    return "\n".join(lines)


def of_local(local):
    """Per ordered pair and method: instruments at a locus and loci with an estimate."""
    rows = []
    for (exposure, outcome, method), group in local.groupby(["exposure", "outcome", "method"], sort=False):
        counts = group["n_instruments"]
        rows.append((exposure, outcome, method, f"{counts.median():.0f} ({counts.min()}-{counts.max()})",
                     f"{group['estimate'].notna().sum()} of {len(group)}"))
    header = ("exposure", "outcome", "method", "instruments a locus: median (range)", "loci estimated")
    return _table(header, rows, "pairs")


def of_global(table):
    """Global effects, the strongest first."""
    strength = (table["estimate"] / table["se"]).abs().fillna(-1)
    rows = []
    for row in table.loc[strength.sort_values(ascending=False, kind="stable").index].itertuples():
        interval = f"{_number(row.estimate)} [{_number(row.ci_low)}, {_number(row.ci_high)}]"
        rows.append((row.exposure, row.outcome, row.method, str(row.n_loci), interval, _number(row.pvalue),
                     _number(row.tau)))
    header = ("exposure", "outcome", "method", "loci", "global effect [95 % interval]", "p", "tau")
    return "\n".join([_table(header, rows, "global effects, strongest first"), *table.attrs.get("notes", [])])


def of_files(folder):
    """What the folder holds now."""
    names = [name for name in OUTPUTS if os.path.exists(os.path.join(folder, name))]
    return f"written to {folder}: {', '.join(names)}"


def _number(value):
    return "NA" if np.isnan(value) else f"{value:.3g}"


def _table(header, rows, title):
    shown = [header, *rows[:MAX_ROWS]]
    widths = [max(len(row[i]) for row in shown) for i in range(len(header))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in shown]
    more = [f"  and {len(rows) - MAX_ROWS} more"] if len(rows) > MAX_ROWS else []
    return "\n".join([f"{title}:", *("  " + line for line in lines), *more])
