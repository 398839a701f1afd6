"""From the model options to an ensemble."""

from .. import options as o
from ..errors import InputError
from ..models import Ensemble
from ..models.environments import interpreters
from ..models.patterns import matching_models
from ..models.stack import stacks_of

# Options that go to each model under the same name
PASSED_ON = ("seq_input", "seq_layout", "alphabet", "mark_summary", "mark_window", "scale", "mc_dropout", "augment",
             "worker_timeout")


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
    return Ensemble.from_kipoi(
        models, options.source, marks=options.marks, batch_size=options.batch_size, jobs=options.jobs,
        member_columns=options.member_columns, pythons=interpreters(models, options.python, options.env),
        settings=_settings(options, loci.seed), stacks=stacks, dataloader_args=dataloader_args,
        intervals_file=loci.intervals_file, fasta_file=loci.fasta_file, strict=strict)


def _settings(options, seed):
    settings = {name: value for name, value in options.to_json().items() if name in PASSED_ON}
    settings["mark_groups"] = options.mark_groups
    settings["mark_names"] = options.mark_names and _read_names(options.mark_names)
    settings["seed"] = seed if options.mc_dropout else None
    if settings["scale"] == o.ModelOptions.default_of("scale"):
        settings["scale"] = None
    return {name: value for name, value in settings.items() if value is not None}


def _read_names(path):
    """The lines of a file of names."""
    try:
        with open(path, encoding="utf-8-sig") as file:
            names = [line.strip() for line in file]
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not a text file ({error})") from error
    while names and not names[-1]:
        names.pop()
    if not names or "" in names:
        where = f"line {names.index('') + 1} is empty" if names else "the file is empty"
        raise InputError(f"{path}: {where}; --mark_names takes a file of one name a line")
    return names
