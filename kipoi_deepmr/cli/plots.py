"""`plot`: from tables and run folders to figures."""

import os

from ..errors import InputError, listed, nearest
from ..models.mark_table import read_mark_table
from ..options import HeatmapFigureOptions
from ..plots import (
    check_path,
    global_effects_figure,
    heatmap_figure,
    heights_of,
    network_figure,
    plot_global_heatmap,
    plot_local_scatter,
    save,
    simulation_figure,
    strata_figure,
    tracks_figure,
)
from ..runs.finished import FinishedRun
from ..runs.outputs import NETWORK, stored, writing
from ..runs.tables import read_table

PAIR = ("exposure", "outcome")


def figure_of(arguments):
    """Draw the figure that parsed arguments describe, and write it."""
    extension = check_path(arguments.output)
    with writing("plot", arguments.output, [getattr(arguments, "table", None)]) as files:
        save(FIGURES[arguments.figure](arguments), files.path, extension)


def _global(arguments):
    table = read_table(arguments.table, (*PAIR, "method"), ("estimate", "se", "ci_low", "ci_high"))
    return global_effects_figure(_of("method", arguments.method, table) if arguments.method else table)


def _network(arguments):
    return network_figure(_direct(_table_of(arguments.table)))


def _heatmap(arguments):
    path = _table_of(arguments.table)
    try:
        direct = _direct(path)
        return heatmap_figure(direct, groups=_groups(arguments, direct))
    except InputError as error:
        if "direct_std" not in str(error):
            raise
    table = read_table(path, (*PAIR, "method"), ("standardised",))
    method = arguments.method or table["method"].iloc[0]
    return plot_global_heatmap(_of("method", method, table), method, groups=_groups(arguments, table)).figure


def _groups(arguments, pairs):
    """The group of each mark of a table of pairs; None if no colours are wanted."""
    options = HeatmapFigureOptions.among(arguments)
    if not options.color_by:
        return None
    table = read_mark_table(options.mark_table)
    groups = dict(zip(table.names, table.values(options.color_by, "--color_by"), strict=True))
    for mark in dict.fromkeys([*pairs["exposure"], *pairs["outcome"]]):
        if mark not in groups:
            raise InputError(f"{options.mark_table}: no row is called {listed([mark])}, which is a mark of "
                             f"{arguments.table}{nearest(mark, table.names)}")
    return groups


def _table_of(path):
    """The table of a network: itself, or that of a run's folder."""
    return stored(os.path.join(path, NETWORK[0])) if os.path.isdir(path) else path


def _direct(path):
    return read_table(path, PAIR, ("direct_std", "qvalue_min_effect"))


def _simulation(arguments):
    return simulation_figure(read_table(arguments.table, ("scenario",), ("true_effect", "estimate", "se", "tau",
                                                                         "coverage")))


def _spacing(arguments):
    table = read_table(arguments.table, ("covariate", "stratum", *PAIR, "method"), ("estimate", "se"))
    covariate = arguments.covariate or table["covariate"].iloc[0]
    table = _of("covariate", covariate, table)
    method = arguments.method or table["method"].iloc[0]
    return strata_figure(_of("method", method, table))


def _local(arguments):
    run, index, marks = _locus(arguments)
    effect, se, instruments = run.effects_at(index)
    x, y = marks
    chosen = instruments.of_pairs(x, y)
    if not chosen.any():
        raise InputError(f"locus {arguments.locus} has no instrument for {arguments.exposure} on {arguments.outcome}")
    local = run.local_of([(arguments.exposure, arguments.outcome)])
    place = {name: run.effects[name].values[index] for name in ("chrom", "start")}
    fits = local[(local["locus"] == arguments.locus) & (local["chrom"] == place["chrom"])
                 & (local["start"] == place["start"])]
    ax = plot_local_scatter(effect[chosen, x], se[chosen, x], effect[chosen, y], se[chosen, y], fits)
    ax.set_xlabel(f"effect on {arguments.exposure}", parse_math=False)
    ax.set_ylabel(f"effect on {arguments.outcome}", parse_math=False)
    ax.set_title(arguments.locus, fontsize="medium", parse_math=False)
    return ax.figure


def _tracks(arguments):
    run, index, marks = _locus(arguments)
    effect, _, instruments = run.effects_at(index)
    sequence = "".join(run.effects["ref_base"].values[index, ::3].tolist())
    start, end = arguments.window or (0, len(sequence))
    if end > len(sequence):
        raise InputError(f"--window {start}:{end}: the locus has {len(sequence)} bases")
    positions = sorted({v // 3 for v in instruments.of_pairs(*marks).nonzero()[0] if start <= v // 3 < end})
    names = run.effects["mark"].values
    return tracks_figure(sequence[start:end], {str(names[m]): heights_of(effect[:, m])[start:end] for m in marks},
                         [position - start for position in positions], start)


FIGURES = {"global": _global, "network": _network, "heatmap": _heatmap,
           "simulation": _simulation, "spacing": _spacing, "local": _local, "tracks": _tracks}


def _of(column, value, table):
    found = table[table[column] == value]
    if found.empty:
        raise InputError(f"no {column} {value!r} in the table{nearest(value, dict.fromkeys(table[column]))}")
    return found


def _locus(arguments):
    """The run, the number of the locus, and those of exposure and outcome."""
    run = FinishedRun(arguments.folder)
    index = run.locus_index(arguments.locus)
    names = run.effects["mark"].values.tolist()
    for role in PAIR:
        if getattr(arguments, role) not in names:
            raise InputError(f"unknown {role} {getattr(arguments, role)!r}{nearest(getattr(arguments, role), names)}")
    return run, index, [names.index(getattr(arguments, role)) for role in PAIR]
