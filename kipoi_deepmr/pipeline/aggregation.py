"""Global causal effects from local ones (step 7), over all loci and within strata."""

import os
from typing import NamedTuple

import pandas as pd

from .. import meta, strata
from ..files import replacing
from ..output import tables
from ..plots import global_effects_figure, strata_figure
from .disk import disk_full_told


class StrataResult(NamedTuple):
    """Tables as written to strata.tsv (None if no covariate makes strata) and strata_tests.tsv, and what to know."""

    strata: pd.DataFrame | None
    tests: pd.DataFrame
    notes: list


def aggregate(local_path, global_path, *, tau2_method="REML"):
    """Global causal effects from a table of local ones (step 7).

    Writes the table, and beside it the figure, under the same name ending in .png.

    Parameters
    ----------
    local_path, global_path : str
    tau2_method : str
        Estimator of the variance between loci; see `kipoi_deepmr.meta.random_effects`.

    Returns
    -------
    pandas.DataFrame
        The table written.
    """
    table = meta.aggregate(tables.read_estimates(local_path), tau2_method=tau2_method)
    table = table.astype(dict.fromkeys(("exposure", "outcome", "method"), str))
    with disk_full_told(lambda: f"{local_path} is kept; free some space and start again"):
        tables.write_tsv(global_path, [table])
        with replacing(os.path.splitext(global_path)[0] + ".png") as temporary:
            global_effects_figure(table).savefig(temporary, format="png", dpi=150)
    return table


def stratify(local_path, global_path, *, covariates=None, motifs=None, annotations=(), bins=None, tau2_method="REML"):
    """Global causal effects within strata of loci, the tests between them, and meta-regressions.

    Writes strata.tsv, strata_tests.tsv and strata.png beside the global table.

    Parameters
    ----------
    local_path, global_path : str
    covariates : str, optional
        Table of loci's covariates; see `kipoi_deepmr.strata.from_table`.
    motifs : str, optional
        BED of motif instances; see `kipoi_deepmr.strata.from_motifs`.
    annotations : sequence of str
        BED files; see `kipoi_deepmr.strata.from_annotation`.
    bins : sequence of float, optional
        For numbers of `covariates`, and for distances in place of `kipoi_deepmr.strata.SPACING_BINS`.
    tau2_method : str

    Returns
    -------
    StrataResult
    """
    local = tables.read_local(local_path)
    found = [*(strata.from_table(covariates, local, bins) if covariates else []),
             *([strata.from_motifs(motifs, local, bins or strata.SPACING_BINS)] if motifs else []),
             *(strata.from_annotation(path, local) for path in annotations)]
    within, tests = [], []
    for one in found:
        table = None if one.stratum is None else meta.aggregate_strata(local, one.stratum, tau2_method)
        if table is not None:
            within.append(table.assign(covariate=one.name))
        tests.append(meta.compare_strata(local, table, one.value, tau2_method).assign(covariate=one.name))
    result = StrataResult(*(pd.concat(each, ignore_index=True).set_index("covariate").reset_index() if each else None
                            for each in (within, tests)), [f"{one.name}: {one.note}" for one in found if one.note])
    _write_strata(os.path.dirname(global_path), result)
    return result


def _write_strata(folder, result):
    tables.write_tsv(os.path.join(folder, "strata_tests.tsv"), [result.tests])
    if result.strata is not None:
        tables.write_tsv(os.path.join(folder, "strata.tsv"), [result.strata])
        with replacing(os.path.join(folder, "strata.png")) as temporary:
            strata_figure(result.strata).savefig(temporary, format="png", dpi=150)
