"""From the model options to an ensemble."""

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
    stacks = stacks_of(arguments.models, arguments.source) if arguments.stack else None
    models = [model for stack in stacks for _, model in stack] if stacks else \
        matching_models(arguments.models, arguments.source)
    return Ensemble.from_kipoi(
        models, arguments.source, marks=arguments.marks, batch_size=arguments.batch_size, jobs=arguments.jobs,
        member_columns=_dict_of("--member_columns", "members", arguments.member_columns),
        pythons=interpreters(models, arguments.python, arguments.env), settings=_settings(arguments), stacks=stacks,
        dataloader_args=dataloader_args, intervals_file=arguments.intervals_file, fasta_file=arguments.fasta_file,
        strict=strict)


def _settings(arguments):
    settings = {name: getattr(arguments, name) for name in PASSED_ON}
    settings["mark_groups"] = _dict_of("--mark_groups", "groups", arguments.mark_groups)
    settings["mark_names"] = arguments.mark_names and _read_names(arguments.mark_names)
    settings["seed"] = arguments.seed if arguments.mc_dropout else None
    if settings["scale"] == "identity":
        settings["scale"] = None
    return {name: value for name, value in settings.items() if value is not None}


def _dict_of(option, what, items):
    """A dict of NAME=COLUMN,COLUMN items; None without any."""
    for name, _ in items or []:
        if [other for other, _ in items].count(name) > 1:
            raise InputError(f"{option}: two {what} of the same name ({name})")
    return dict(items) if items else None


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
