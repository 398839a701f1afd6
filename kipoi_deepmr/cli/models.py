"""From the model options to an ensemble."""

from .. import options as o
from ..errors import InputError
from ..models import Ensemble
from ..models.environments import interpreters
from ..models.patterns import matching_models
from ..models.settings import naming_of, of_mark_table, settings_of
from ..models.stack import stacks_of


def load_ensemble(arguments, dataloader_args=None, strict=True):
    """The ensemble that parsed arguments describe.

    Parameters
    ----------
    arguments : argparse.Namespace
    dataloader_args : dict, optional
    strict : bool
        As for `Ensemble`.

    Raises
    ------
    InputError
    """
    options, loci = o.ModelOptions.among(arguments), o.LociOptions.among(arguments)
    stacks = stacks_of(options.models, options.source) if options.stack else None
    models = [model for stack in stacks for _, model in stack] if stacks else \
        matching_models(options.models, options.source)
    marks, naming = naming_of(options)
    try:
        return Ensemble.from_kipoi(
            models, options.source, marks=marks, batch_size=options.batch_size, jobs=options.jobs,
            member_columns=options.member_columns, pythons=interpreters(models, options.python, options.env),
            settings={**settings_of(options, loci.seed), **naming}, stacks=stacks, dataloader_args=dataloader_args,
            intervals_file=loci.intervals_file, fasta_file=loci.fasta_file, strict=strict)
    except InputError as error:
        raise of_mark_table(error, options) from error

