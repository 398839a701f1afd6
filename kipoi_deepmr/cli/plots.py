"""`plot`: from tables and run folders to figures."""

import os

import numpy as np
from matplotlib.figure import Figure

from .. import dna
from ..display import shortened
from ..effects_store import StoredMutants
from ..errors import InputError, listed, nearest
from ..loci.mutants import SINGLE
from ..models.mark_table import read_mark_table
from ..options import HeatmapFigureOptions, StyleOptions
from ..plots import (
    Spans,
    check_path,
    forest_figure,
    global_effects_figure,
    heatmap_figure,
    heights_of,
    network_figure,
    plot_global_heatmap,
    plot_local_scatter,
    save,
    simulation_figure,
    strata_figure,
    styled,
    tracks_figure,
)
from ..runs import manifest
from ..runs.finished import FinishedRun
from ..runs.global_effects import strongest_rows
from ..runs.outputs import NETWORK, RUN_JSON, STAGES, stored, writing
from ..runs.tables import VERDICT, read_in_pieces, read_lean, read_table

PAIR = ("exposure", "outcome")
GLOBAL, STRATA = STAGES["aggregate"].main, "strata.tsv"  # in a run's folder
NO_VALUE = "(none)"  # of a mark, in a column of the table of marks
LETTERS = 20  # of a name in a title or beside an axis
_TEXT_OF_STRATA = ("covariate", "stratum", *PAIR, "method")


def figure_of(arguments):
    """Draw the figure that parsed arguments describe, and write it."""
    extension = check_path(arguments.output)
    how = StyleOptions.among(arguments)
    with writing("plot", arguments.output, [getattr(arguments, "table", None)]) as files, \
            styled(how.style, how.width) as width:
        save(FIGURES[arguments.figure](arguments, width), files.path, extension)


def _global(arguments, width):
    table = strongest_rows(_table_of(arguments.table, GLOBAL), ("estimate", "se", "ci_low", "ci_high"))
    return global_effects_figure(_of("method", arguments.method, table) if arguments.method else table, width)


def _network(arguments, width):
    return network_figure(_direct(_table_of(arguments.table, NETWORK[0])), width)


def _heatmap(arguments, width):
    path = _table_of(arguments.table, NETWORK[0], GLOBAL)
    try:
        direct = _direct(path)
        if arguments.method:
            raise InputError(f"--method {arguments.method}: a network has no methods; give the table of global effects")
        return heatmap_figure(direct, groups=_groups(arguments, direct), width=width)
    except InputError as error:
        if "direct_std" not in str(error):
            raise
    method, table = _of_method(arguments, path, PAIR, ("standardised",))
    return plot_global_heatmap(table, method, groups=_groups(arguments, table), width=width).figure


def _groups(arguments, pairs):
    """The group of each mark of a table of pairs; None if no colours are wanted."""
    options = HeatmapFigureOptions.among(arguments)
    if not options.color_by:
        return None
    marks, columns = dict.fromkeys([*pairs["exposure"].unique(), *pairs["outcome"].unique()]), _columns(arguments.table)
    if not options.mark_table:
        return _of_run(arguments.table, columns, options.color_by, marks)
    table = read_mark_table(options.mark_table)
    groups = dict(zip(table.names, table.values(options.color_by, "--color_by"), strict=True))
    for mark in marks:
        if mark not in groups:
            known = "; leave out --mark_table, since the run knows the columns of its marks" if columns else ""
            raise InputError(f"{options.mark_table}: no row is called {listed([mark])}, which is a mark of "
                             f"{arguments.table}{known or nearest(mark, table.names)}")
    return groups


def _columns(path):
    """What the table of marks of a run says, by column and mark; empty without; of the run that a path belongs to."""
    folder = path if os.path.isdir(path) else os.path.dirname(path)
    return manifest.read(folder).get("mark_columns") or {} if os.path.isfile(os.path.join(folder, RUN_JSON)) else {}


def _of_run(path, columns, column, marks):
    if not columns:
        raise InputError(f"--color_by {column}: {path} was not made with a table of marks; give one by --mark_table")
    if column not in columns:
        raise InputError(f'{path}: --color_by: the marks of the run have no column "{column}"'
                         + nearest(column, columns))
    return {mark: columns[column].get(mark, NO_VALUE) for mark in marks}


def _table_of(path, *names):
    """A table: the one that the path names, or of a run's folder the first of some names that is there."""
    if not os.path.isdir(path):
        return path
    tables = [stored(os.path.join(path, name)) for name in names]
    return next((table for table in tables if os.path.isfile(table)), tables[0])


def _direct(path):
    return read_lean(path, PAIR, ("direct_std", "qvalue_min_effect"))


def _of_method(arguments, path, text, numbers):
    """A method, by default the first one, and the rows of a table that are its."""
    text = *text, "method"
    first = next(read_in_pieces(path, text, numbers, ()))["method"]
    method = arguments.method or (first.iloc[0] if len(first) else "")
    table = read_lean(path, text, numbers, VERDICT, {"method": method})
    return method, table if len(table) else _of("method", method, read_lean(path, ("method",), ()))


def _simulation(arguments, width):
    return simulation_figure(read_table(arguments.table, ("scenario",), ("true_effect", "estimate", "se", "tau",
                                                                         "coverage")), width)


def _spacing(arguments, width):
    table = read_lean(_table_of(arguments.table, STRATA), _TEXT_OF_STRATA, ("estimate", "se"))
    covariate = arguments.covariate or table["covariate"].iloc[0]
    table = _of("covariate", covariate, table)
    method = arguments.method or table["method"].iloc[0]
    return strata_figure(_of("method", method, table).astype(dict.fromkeys(_TEXT_OF_STRATA, str)), width)


def _local(arguments, width):
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
    ax = Figure(figsize=(width, 0.9 * width), layout="constrained").add_subplot()
    plot_local_scatter(effect[chosen, x], se[chosen, x], effect[chosen, y], se[chosen, y], fits, ax)
    short = shortened((arguments.exposure, arguments.outcome, arguments.locus), LETTERS)
    ax.set_xlabel(f"effect on {short[arguments.exposure]}", parse_math=False)
    ax.set_ylabel(f"effect on {short[arguments.outcome]}", parse_math=False)
    ax.set_title(short[arguments.locus], fontsize="medium", parse_math=False)
    return ax.figure


def _tracks(arguments, width):
    run, index, marks = _locus(arguments)
    effect, _, instruments = run.effects_at(index)
    mutants = StoredMutants(run.effects)
    sequence = dna.decode(mutants.sequences([index])[0])
    start, end = arguments.window or (0, len(sequence))
    if end > len(sequence):
        raise InputError(f"--window {start}:{end}: the locus has {len(sequence)} bases")
    chosen = instruments.of_pairs(*marks)
    positions = mutants.single_positions(np.flatnonzero(chosen))
    positions = positions[(positions >= start) & (positions < end)]
    names = {str(run.effects["mark"].values[m]): m for m in marks}
    letters = {name: heights_of(effect[:mutants.n_single, m])[start:end] for name, m in names.items()}
    return tracks_figure(sequence[start:end], letters if mutants.n_single else {}, positions - start, start, width,
                         _spans(mutants, index, effect, names, chosen, start, end))


def _spans(mutants, index, effect, marks, chosen, start, end):
    """`Spans` of a locus's mutants of several bases between two positions, by their kind."""
    position, length = (each[0] for each in mutants.places([index]))
    drawn = (length > 0) & (position < end) & (position + length > start)
    numbers = {kind: np.flatnonzero(drawn & (mutants.kind == kind)) for kind in mutants.kinds if kind != SINGLE}
    return {kind: Spans(position[v], length[v], {mark: -effect[v, m] for mark, m in marks.items()}, chosen[v])
            for kind, v in numbers.items()}


def _forest(arguments, width):
    run = FinishedRun(arguments.folder)
    pair = _pair(arguments, run.effects["mark"].values.tolist())
    method = arguments.method or run.methods[0]
    local, overall = (_of("method", method, table) for table in (run.local_of([pair]), run.global_of([pair])))
    overall = overall.iloc[0]
    figure = forest_figure(local, overall, width)
    short = shortened(pair, LETTERS)
    figure.suptitle(f"{short[pair[0]]} → {short[pair[1]]}, {method}", parse_math=False, fontsize="medium")
    return figure


FIGURES = {"global": _global, "network": _network, "heatmap": _heatmap,
           "simulation": _simulation, "spacing": _spacing, "forest": _forest, "local": _local, "tracks": _tracks}


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
    return run, index, [names.index(mark) for mark in _pair(arguments, names)]


def _pair(arguments, names):
    """Exposure and outcome, which are marks of the run."""
    for role in PAIR:
        if getattr(arguments, role) not in names:
            raise InputError(f"unknown {role} {getattr(arguments, role)!r}{nearest(getattr(arguments, role), names)}")
    if arguments.exposure == arguments.outcome:
        raise InputError(f"exposure and outcome are the same mark, {arguments.exposure}")
    return arguments.exposure, arguments.outcome
