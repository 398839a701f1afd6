"""The shape of one effect of a finished run: its tables and its figure."""

import numpy as np
import pandas as pd

from .. import effects_store, strata
from .. import shape as shapes
from ..display import counted, listed
from ..errors import InputError
from ..instruments.moments import moments
from ..options import LEAST_TO_CROSS_FIT, ShapeOptions, indices_of
from ..output.tables import write_table
from ..plots import save, shape_figure
from ..runs.finished import FinishedRun
from ..runs.outputs import writing
from .estimation import members_of
from .progress import progress, working


def shape(folder, output, options=None, *, quiet=True, **changes):
    """The shape of the effect of one mark on another, over the instruments of a finished run.

    Writes the table of the curve over all loci, and beside it, under its name, `.loci.tsv`, `.curve.tsv`, `.state.tsv`
    and `.png`.

    Parameters
    ----------
    folder : str
        That of a run.
    output : str
        Where the table goes. `-`, a pipe or a device gets the table alone.
    options : ShapeOptions, optional
    quiet : bool
        Do not show that it works.
    **changes
        Options by name, in place of those.

    Returns
    -------
    kipoi_deepmr.shape.ShapeResult

    Raises
    ------
    InputError
        The run has no such pair, not every member's effects of three members or more, or no locus with enough
        instruments; or a file must not be replaced.
    DiskFull
    """
    options = ShapeOptions.of(options, **changes)
    with writing("shape", output, [folder, options.motifs]) as files:
        found = shape_of_run(FinishedRun(folder), options, quiet=quiet)
        write_table(files.path, [found.table])
        if not files.alone:
            for key, table in (("loci", found.loci), ("curve", found.curve_table), ("state", found.state_table)):
                write_table(files.beside(key), [table])
            save(shape_figure(found), files.beside("figure"), dpi=150)
    return found


def shape_of_run(run, options, *, quiet=True):
    """The `ShapeResult` of one pair of a `FinishedRun`; options and errors are those of `shape`."""
    effects = run.effects
    if effects is None:
        raise InputError(f"{run.path}: effects.zarr is missing, which this needs")
    marks = [str(mark) for mark in effects["mark"].values]
    (x,), (y,) = (indices_of(role, [getattr(options, role)], marks) for role in ("exposure", "outcome"))
    if x == y:
        raise InputError(f"--exposure and --outcome are both {marks[x]}: name two marks")
    state = [x, y] if options.state is None else indices_of("mark of --state", options.state, marks)
    n_members, keep = members_of(effects)
    if keep != "members" or n_members < LEAST_TO_CROSS_FIT:
        raise InputError(f"{run.path}: a shape needs the effects of each of {LEAST_TO_CROSS_FIT} members or more; here "
                         f"are {f'those of {n_members}' if keep == 'members' else 'none (--keep summary)'}")
    with working("shape", quiet) as doing:
        rule, sd = run.rule, moments(effects)[1]
        folds = shapes.gather(effects, rule, x, y, doing.counted(effects_store.each_block))
        ablating = shapes.ablating(folds) if len(folds.loci) else folds
        if not len(ablating.loci):
            raise InputError(f"{run.path}: no locus has the instruments that the curve of {marks[x]} -> {marks[y]} "
                             f"needs: {_reasons(ablating.note)}")
        min_slope = shapes.least_slope(sd, x, y)
        curve = shapes.curve_of(ablating, options.min_bend, min_slope)
        covariates = _covariates(effects, folds, state, (x, y), options.motifs)
        dependences = shapes.dependences(folds, covariates, min_slope)
    loci = shapes.loci_table(effects, ablating, (marks[x], marks[y]), options.min_bend, min_slope,
                             progress("shape: loci", len(folds.note), quiet))
    return shapes.ShapeResult(marks[x], marks[y], curve, dependences, loci, folds, covariates)


def _reasons(notes):
    """Why loci cannot be used, with how many."""
    names, counts = np.unique([str(note) for note in notes if note], return_counts=True)
    return listed([f"{name} ({counted(count, 'locus', 'loci')})" for name, count in zip(names, counts, strict=True)])


def _covariates(effects, folds, state, pair, motifs):
    found, marks = shapes.levels(effects, state, pair, folds), effects["mark"].values
    if motifs:
        rows = pd.DataFrame({"locus" if name == "name" else name: effects[name].values[folds.loci]
                             for name in ("chrom", "start", "end", "strand", "name")})
        rows = rows.assign(exposure=str(marks[pair[0]]), outcome=str(marks[pair[1]]))
        distance = strata.from_motifs(motifs, rows)
        found.append(shapes.Covariate(distance.name, np.tile(distance.value, (folds.n_folds, 1))))
    return found
