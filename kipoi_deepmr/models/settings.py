"""From the options by which models are read to the settings of a hosted model."""

from ..errors import InputError
from ..options import ModelOptions

# Options that go to each model under the same name
PASSED_ON = ("seq_input", "seq_layout", "alphabet", "mark_summary", "mark_window", "mark_windows", "mark_layout",
             "scale", "mc_dropout", "augment", "worker_timeout", "module", "module_args", "length")


def settings_of(options: ModelOptions, seed: int = 42) -> dict:
    """Settings of `host.session.HostedModel`, without those at their default.

    Parameters
    ----------
    options : ModelOptions
    seed : int
        Of dropout masks.

    Raises
    ------
    InputError
        The file of names cannot be read.
    """
    settings = {name: value for name, value in options.to_json().items() if name in PASSED_ON}
    settings["mark_groups"] = options.mark_groups
    settings["mark_names"] = options.mark_names and _read_names(options.mark_names)
    settings["seed"] = seed if options.mc_dropout else None
    if settings["scale"] == ModelOptions.default_of("scale"):
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
