"""Global causal effects from local ones (step 7), over all loci and within strata."""

import os
from typing import NamedTuple

import pandas as pd

from .. import meta, strata
from ..files import replacing
from ..options import AggregateOptions, StrataOptions
from ..output import tables
from ..plots import global_effects_figure, strata_figure
from .disk import disk_full_told


class StrataResult(NamedTuple):
    """Tables as written to strata.tsv (None if no covariate makes strata) and strata_tests.tsv, and what to know."""

    strata: pd.DataFrame | None
    tests: pd.DataFrame
    notes: list


def aggregate(local_path, global_path, options=None, **changes):
    """Global causal effects from a table of local ones (step 7).

    Writes the table, and beside it the figure, under the same name ending in .png.

    Parameters
    ----------
    local_path, global_path : str
    options : AggregateOptions, optional
    **changes
        Options by name, in place of those.

    Returns
    -------
    pandas.DataFrame
        The table written.
    """
    options = AggregateOptions.of(options, **changes)
    table = meta.aggregate(tables.read_estimates(local_path), tau2_method=options.tau2_method)
    table = table.astype(dict.fromkeys(("exposure", "outcome", "method"), str))
    with disk_full_told(lambda: f"{local_path} is kept; free some space and start again"):
        tables.write_tsv(global_path, [table])
        with replacing(os.path.splitext(global_path)[0] + ".png") as temporary:
            global_effects_figure(table).savefig(temporary, format="png", dpi=150)
    return table


def stratify(local_path, global_path, options=None, **changes):
    """Global causal effects within strata of loci, the tests between them, and meta-regressions.

    Writes strata.tsv, strata_tests.tsv and strata.png beside the global table.

    Parameters
    ----------
    local_path, global_path : str
    options : StrataOptions, optional
    **changes
        Options by name, in place of those.

    Returns
    -------
    StrataResult
    """
    options, local = StrataOptions.of(options, **changes), tables.read_local(local_path)
    bins, tau2_method = options.bins, options.tau2_method
    covariates = [*(strata.from_table(options.strata, local, bins) if options.strata else []),
                  *([strata.from_motifs(options.motifs, local, bins or strata.SPACING_BINS)] if options.motifs else []),
                  *(strata.from_annotation(path, local) for path in options.annotate or ())]
    within, tests = [], []
    for one in covariates:
        table = None if one.stratum is None else meta.aggregate_strata(local, one.stratum, tau2_method)
        if table is not None:
            within.append(table.assign(covariate=one.name))
        tests.append(meta.compare_strata(local, table, one.value, tau2_method).assign(covariate=one.name))
    result = StrataResult(*(pd.concat(each, ignore_index=True).set_index("covariate").reset_index() if each else None
                            for each in (within, tests)), [f"{one.name}: {one.note}" for one in covariates if one.note])
    _write_strata(os.path.dirname(global_path), result)
    return result


def _write_strata(folder, result):
    tables.write_tsv(os.path.join(folder, "strata_tests.tsv"), [result.tests])
    if result.strata is not None:
        tables.write_tsv(os.path.join(folder, "strata.tsv"), [result.strata])
        with replacing(os.path.join(folder, "strata.png")) as temporary:
            strata_figure(result.strata).savefig(temporary, format="png", dpi=150)
