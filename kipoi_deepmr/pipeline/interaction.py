"""The interactions of the regions of a store of effects: their tables and their figure."""

from .. import effects_store
from .. import shape as shapes
from ..errors import InputError
from ..options import InteractionOptions
from ..output.tables import write_table
from ..plots import interaction_figure, save
from ..runs.outputs import writing
from .chosen import ROLES, numbers_of
from .estimation import members_of
from .network import effects_of, store_of
from .progress import working


def interaction(path, output, options=None, *, quiet=True, **changes):
    """The interaction of each two regions that a store has mutants of, on each outcome.

    Writes the table of pairs, and beside it, under its name, `.loci.tsv` and `.png`.

    Parameters
    ----------
    path : str
        A store of effects, or the folder of a run.
    output : str
        Where the table goes. `-`, a pipe or a device gets the table alone.
    options : InteractionOptions, optional
    quiet : bool
        Do not show that it works.
    **changes
        Options by name, in place of those.

    Returns
    -------
    kipoi_deepmr.shape.InteractionResult

    Raises
    ------
    InputError
        The store has no pairs of regions, not the effects of two members, or no such mark; or a file must not be
        replaced.
    DiskFull
    """
    options = InteractionOptions.of(options, **changes)
    with writing("interaction", output, [path]) as files:
        found = interactions_of(path, options, quiet=quiet)
        write_table(files.path, [found.table])
        if not files.alone:
            write_table(files.beside("loci"), [found.loci])
            save(interaction_figure(found), files.beside("figure"), dpi=150)
    return found


def interactions_of(path, options, *, quiet=True):
    """The `InteractionResult` of a store, or of a run's; options and errors are those of `interaction`."""
    effects = effects_of(*store_of(path), pairs=True)
    if not shapes.has_pairs(effects):
        raise InputError(f"{path}: {shapes.NO_PAIRS}")
    n_members, keep = members_of(effects)
    if keep != "members" or n_members < shapes.LEAST_MEMBERS:
        raise InputError(f"{path}: an interaction needs the effects of each of {shapes.LEAST_MEMBERS} members or more; "
                         f"here are {f'those of {n_members}' if keep == 'members' else 'none (--keep summary)'}")
    marks = [str(mark) for mark in effects["mark"].values]
    exposures, outcomes = (numbers_of(role, getattr(options, f"{role}s"), marks) for role in ROLES)
    with working("interaction", quiet) as doing:
        found = shapes.interactions_in(effects, exposures, outcomes, options.min_interaction,
                                       doing.counted(effects_store.each_block))
    if found is None:
        raise InputError(f"{path}: no locus has two regions of {_named(options.exposures)} that were replaced "
                         "together; two regions that overlap make no pair")
    return found


def _named(marks):
    return "--exposures " + ",".join(marks) if marks else "any marks"
