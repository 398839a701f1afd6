"""From the options by which models are read to the settings of a hosted model."""

from ..errors import InputError
from ..options import ModelOptions
from .mark_table import read_mark_table

# Options that go to each model under the same name
PASSED_ON = ("seq_input", "seq_layout", "alphabet", "mark_summary", "mark_window", "mark_windows", "mark_layout",
             "scale", "mc_dropout", "augment", "worker_timeout", "module", "module_args", "length")


def settings_of(options: ModelOptions, seed: int = 42) -> dict:
    """Settings of `host.session.HostedModel`, without those at their default and those of `naming_of`.

    Parameters
    ----------
    options : ModelOptions
    seed : int
        Of dropout masks.
    """
    settings = {name: value for name, value in options.to_json().items() if name in PASSED_ON}
    settings["seed"] = seed if options.mc_dropout else None
    if settings["scale"] == ModelOptions.default_of("scale"):
        settings["scale"] = None
    return {name: value for name, value in settings.items() if value is not None}


def naming_of(options: ModelOptions) -> tuple[tuple[str, ...] | None, dict]:
    """Which marks are used, and the settings of their names and groups; `--mark_table` is resolved into these.

    Parameters
    ----------
    options : ModelOptions

    Returns
    -------
    marks : tuple of str or None
        As for `Ensemble`.
    settings : dict
        `mark_names` and `mark_groups` of `host.session.HostedModel`, if there are any.

    Raises
    ------
    InputError
        The file of names or the table is not as it must be, or has no such column, value or mark.
    OSError
        It cannot be read.
    """
    marks, names, groups = options.marks, None, options.mark_groups
    if options.mark_table:
        marks, names, groups = _of_table(options, read_mark_table(options.mark_table))
    elif options.mark_names:
        names = _read_names(options.mark_names)
    return marks, {name: value for name, value in (("mark_names", names), ("mark_groups", groups)) if value}


def columns_of_marks(options: ModelOptions) -> dict[str, dict[str, str]]:
    """What `--mark_table` says of each mark, by column; empty without a table. Raises as `naming_of`."""
    if not options.mark_table:
        return {}
    table = read_mark_table(options.mark_table)
    return table.described(_of_table(options, table)[2])


def _of_table(options, table):
    """Marks, names and groups."""
    words = options.marks or ()
    filters = [word for word in words if table.is_filter(word)]
    if options.mark_groups_by:
        if filters and len(filters) < len(words):
            raise InputError("--marks: with --mark_groups_by, either filters choose the outputs that are averaged, as "
                             f"{filters[0]} does, or names choose groups; give one or the other")
        numbers = table.numbers_of(filters) if filters else range(len(table.names))
        return None if filters else options.marks, table.names, table.groups(options.mark_groups_by, numbers)
    if filters and options.mark_groups:
        raise InputError(f"--marks {filters[0]} chooses outputs, but --mark_groups replaces them by groups: use "
                         "--mark_groups_by, or choose groups by their names")
    marks = tuple(table.names[k] for k in table.numbers_of(words)) if filters else options.marks
    return marks, table.names, options.mark_groups


def of_mark_table(error: InputError, options: ModelOptions) -> InputError:
    """An error of a model; one about the names of its outputs says that they come from the table."""
    named = "--mark_names: "
    if not (options.mark_table and named in str(error)):
        return error
    return type(error)(str(error).replace(named, f"--mark_table {options.mark_table}: ")
                       + "; the table needs a row for each output, in the model's order or with a column index")


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
