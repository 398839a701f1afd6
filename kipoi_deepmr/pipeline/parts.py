"""Any part of the local effects of a run or an estimation, as rows of a table."""

import os

import numpy as np

from .. import effects_store, mr
from ..options import PartOptions
from ..runs.manifest import array_of_table
from ..runs.outputs import STAGES, stored
from ..runs.tables import pieces_of
from .chosen import numbers_of

ROWS_AT_A_TIME = 500_000


def parts(path, options=None, **changes):
    """Rows of the local table: those of some exposures, outcomes and loci.

    Parameters
    ----------
    path : str
        The folder of a run, a table of local effects, or an array of them.
    options : PartOptions, optional
    **changes
        Options by name, in place of those.

    Yields
    ------
    pandas.DataFrame
        One piece after the other, at least one.

    Raises
    ------
    InputError
        There are no such effects, or a name or pattern fits none of the marks or loci.
    """
    options = PartOptions.of(options, **changes)
    main = stored(os.path.join(path, STAGES["estimate"].main))
    table = main if os.path.isfile(main) else path
    array = array_of_table(table)
    return _of_table(table, options) if array is None else _of_array(effects_store.LocalEffects(array), options)


def _of_array(local, options):
    exposures, outcomes, loci = (_chosen(role, getattr(options, role), known) for role, known in (
        ("exposure", local.exposures), ("outcome", local.outcomes), ("locus", local.locus("name").tolist())))
    of_exposure = len(outcomes) * len(local.methods)
    step = max(1, ROWS_AT_A_TIME // (len(exposures) * of_exposure))
    of_locus = effects_store.blocks_of(len(exposures), max(1, ROWS_AT_A_TIME // of_exposure))
    return (mr.rows(local, loci[i:i + step], exposures[some], outcomes)
            for i in range(0, len(loci), step) for some in of_locus)


def _chosen(role, patterns, known):
    """Numbers of the names that some patterns fit, in the order of the names."""
    return np.sort(numbers_of(role, patterns, known))


def _of_table(path, options):
    columns = {role: set() for role in ("exposure", "outcome", "locus")}
    for piece in pieces_of(path):
        for role, names in columns.items():
            names.update(piece[role].unique())
    chosen = {}
    for role, names in columns.items():
        known = sorted(names)
        chosen[role] = {known[i] for i in _chosen(role, getattr(options, role), known)}
    for piece in pieces_of(path):
        yield piece[np.logical_and.reduce([piece[role].isin(names) for role, names in chosen.items()])]
