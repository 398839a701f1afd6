"""Global causal effects from local ones (step 7), over all loci."""

import contextlib
import os
import tempfile

from .. import effects_store, meta, mr
from ..errors import InputError
from ..files import is_stream
from ..meta import order
from ..options import AggregateOptions, NetworkOptions
from ..output import tables
from ..plots import global_effects_figure, save, strata_figure
from ..runs.manifest import array_of_table
from ..runs.outputs import ARRAY_BY_RULE, BY_RULE, RULES, Target, writing
from ..runs.tables import read_estimates
from .announcement import announce_aggregate
from .many_pairs import ManyPairs
from .network import effects_beside, judge_known, write_files
from .progress import progress, working

ROWS_COMPARED = 500_000  # local effects by each rule that are held at a time
MOST_COMPARED = 2_000  # rows of a comparison that are held


def aggregate(local_path, global_path, options=None, *, effects_path=None, network_options=None, judged=None,
              strata=None, inputs=(), quiet=True, **changes):
    """Global causal effects from a table of local ones, or from the array beside it (step 7).

    Writes the table, and beside it, under its name, the figure, `.png`; with strata `.strata.tsv`,
    `.strata_tests.tsv` and `.strata.png`; with a network `.network.tsv`, `.network_marks.tsv`, `.network.graphml`,
    `.network.json` and `.network.png`; where `estimate` left local effects by a second instrument rule, `.rules.tsv`,
    which compares the two. In the folder of a run they have the names that `run` gives them. What an earlier command
    left of them and this one does not make is removed.

    Parameters
    ----------
    local_path : str
        The table, or the array. If `estimate` wrote an array beside the table, the array is read: it holds all pairs.
    global_path : str
        Where the table goes. `-`, a pipe or a device gets the table alone.
    options : AggregateOptions, optional
    effects_path : str, optional
        The store that the table was estimated from; by default effects.zarr beside it, if there is one. Without,
        standardised effects and verdicts are missing.
    network_options : NetworkOptions or dict, optional
    judged : Judged, optional
        The network and the verdicts, if they are known already, as `judge` gives them.
    strata : StrataResult or ManyStrata, optional
        As `stratify` gives it.
    quiet : bool
        No progress bar.
    inputs : sequence of str
        Further files that must not be replaced.
    **changes
        Options by name, in place of those.

    Returns
    -------
    pandas.DataFrame
        The table written; of more than 2 million rows those of the 30,000 strongest pairs, and how many pairs there
        are in `attrs["pairs"]`.

    Raises
    ------
    InputError
        The table of local effects cannot be read, or a file must not be replaced.
    DiskFull
    """
    options = AggregateOptions.of(options, **changes)
    if strata and is_stream(global_path):
        raise InputError(f"-o {global_path}: tables of strata stand beside that of global effects, and a stream has no "
                         "place for them; give a name")
    with writing("aggregate", global_path, [local_path, effects_path, *inputs],
                 f"{local_path} is kept; free some space and start again") as files, \
            contextlib.ExitStack() as opened:
        local, effects = _array_of(local_path), None if judged else effects_beside(local_path, effects_path)
        if local is not None and judged is None:
            wanted = NetworkOptions.of(network_options).network != "none"
            announce_aggregate(local, effects, global_path, network=wanted, quiet=quiet)
        pooled = opened.enter_context(_many_pairs(local, files.folder)) if _is_many(local) else None
        table = _aggregated(local_path, local, pooled, options.tau2_method, quiet)
        judged = judged or judge_known(effects, network_options, quiet)
        with working("aggregate: verdicts and files", quiet):
            table = (write_judged(files.path, table, judged) if pooled is None else
                     _written_by_piece(files, pooled, judged))
            if not files.alone:
                save(global_effects_figure(table), files.beside("global.png"), dpi=150)
                if judged.network:
                    write_files(judged.network, files.beside)
                table.attrs["rules"] = _write_rules(files, local_path, local, options.tau2_method)
            if strata:
                _write_strata(files, strata)
    return table


def _array_of(local_path):
    """The array of local effects, None if there is only a table."""
    path = array_of_table(local_path)
    return None if path is None else effects_store.LocalEffects(path)


def _is_many(local):
    """Whether the global effects of an array are too many to be held as a table."""
    return local is not None and len(local.methods) * local.n_pairs > order.MOST_ROWS


@contextlib.contextmanager
def _many_pairs(local, folder):
    with tempfile.TemporaryFile(dir=folder) as file:
        yield ManyPairs(file, local)


def write_judged(path, table, judged):
    """Write a global table with its verdicts; the table as written."""
    notes = table.attrs.get("notes", [])
    table = judged.of_table(_as_text(table))
    table.attrs["notes"] = notes
    tables.write_table(path, [table])
    return table


def _as_text(table):
    return table.astype(dict.fromkeys(meta.KEYS, str))


def _written_by_piece(files, pooled, judged):
    """Write a table of very many pairs with its verdicts; the rows of the strongest pairs."""
    strongest = order.Strongest(most_rows=0)  # there are too many, so that none but the strongest need be held

    def noted():
        for piece in pooled.judged(judged):
            strongest.add(piece, pooled.n_methods)
            yield piece

    tables.write_table(files.path, noted())
    table = _as_text(strongest.table())
    table.attrs.update(notes=pooled.notes, pairs=strongest.n_rows // pooled.n_methods)
    return table


def _write_rules(files, local_path, local, tau2_method):
    """Compare the instrument rules that there are local effects by; the rows of the table written, [] without.

    Of arrays, some exposures at a time, and of very many rows those with the smallest p-values.
    """
    beside, names = Target("estimate", local_path).beside, BY_RULE if local is None else ARRAY_BY_RULE
    other = next((rule for rule, name in names.items() if os.path.exists(beside.get(name, ""))), None)
    if other is None:
        return []
    if local is None:
        paths = {rule: beside[names[rule]] if rule == other else local_path for rule in names}
        pieces = [meta.compare_rules({rule: read_estimates(path) for rule, path in paths.items()}, tau2_method)]
    else:
        second = effects_store.LocalEffects(beside[names[other]])
        pieces = _compared({rule: second if rule == other else local for rule in names}, tau2_method)
    smallest = order.Smallest(MOST_COMPARED, ["pvalue"])

    def noted():
        for piece in pieces:
            yield piece
            smallest.add(piece)

    tables.write_table(files.beside(RULES), noted())
    return smallest.table().to_dict("records")


def _compared(arrays, tau2_method):
    """Tables of two rules compared, of some exposures after the other."""
    for group in next(iter(arrays.values())).groups(ROWS_COMPARED):
        yield meta.compare_rules({rule: mr.rows(local, exposures=group) for rule, local in arrays.items()}, tau2_method)


def _aggregated(local_path, local, pooled, tau2_method, quiet):
    """Global effects from the array of local effects, or from the table without one; None if `pooled` gets them."""
    if local is None:
        with working("aggregate", quiet):
            return meta.aggregate(read_estimates(local_path), tau2_method=tau2_method)
    pieces = progress("aggregate", len(local.groups()), quiet)(mr.pieces(local))
    if pooled is None:
        return meta.aggregate_pieces(pieces, tau2_method=tau2_method)
    for some in meta.iter_pooled(pieces, tau2_method):
        for table, notes in some:
            pooled.add(table, notes)
    return None


def _write_strata(files, result):
    """Write both tables piece by piece, and the figure."""
    with contextlib.ExitStack() as opened:
        add_tests = opened.enter_context(tables.table_writer(files.beside("strata_tests.tsv")))
        add_strata = None
        for within, tests in result.pieces():
            add_tests(tests)
            if within is not None:
                add_strata = add_strata or opened.enter_context(tables.table_writer(files.beside("strata.tsv")))
                add_strata(within)
    if result.strata is not None:
        save(strata_figure(result.strata), files.beside("strata.png"), dpi=150)
