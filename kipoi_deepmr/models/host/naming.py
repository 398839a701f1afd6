"""Names of the columns of an output, and which of them, from which positions, are marks."""

import fnmatch
from collections import Counter

from .axes import BOTH_WAYS, MOST_GUESSED, POSITIONS
from .columns import checked_window, form
from .errors import ModelError

MOST_LISTED = 5  # names in a message


def column_names(readers, cores, labels_of_each, options, labels, shapes):
    """Names of all columns, all different; how many of them are made up; and notes on names that were changed.

    Parameters
    ----------
    readers : list of columns.Leaf or pairs.Expected
    cores : list of str
        What each is called; empty if nothing.
    labels_of_each : list of list of str
        Their column_labels.
    options : marks.MarkOptions
    labels : list of str
        Those of a schema that describes the whole output as one array.
    shapes : list of tuple
        Of the arrays of the output.

    Returns
    -------
    list of str, int, list of str

    Raises
    ------
    ModelError
        Names or labels do not fit the columns.
    """
    n_columns = sum(reader.n_columns for reader in readers)
    if options.names:
        _check_names(options.names, n_columns, shapes)
        _check_order(options.names, _own_names(readers, cores, labels_of_each, labels)[0])
        return list(options.names), 0, []
    return _own_names(readers, cores, labels_of_each, labels)


def _own_names(readers, cores, labels_of_each, labels):
    """`column_names` by the model alone."""
    n_columns = sum(reader.n_columns for reader in readers)
    if len(readers) > 1 and labels and len(labels) == n_columns:
        names, notes = _different(labels)
        return names, 0, notes
    names, n_made_up = [], 0
    for reader, core, own in zip(readers, cores, labels_of_each):
        own = own or (labels if len(readers) == 1 else [])
        found, made_up = _names_of(reader, core, own, len(names), len(readers) == 1)
        names += found
        n_made_up += made_up
    names, notes = _different(names)
    return names, n_made_up, notes


def _check_names(names, n_columns, shapes):
    repeated = [name for name, times in Counter(names).items() if times > 1]
    if len(names) != n_columns or repeated:
        raise ModelError("--mark_names: {} names for {} marks, which the output {} has{}".format(
            len(names), n_columns, form(shapes), f"; {repeated[0]} is there twice" if repeated else
            "; --mark_layout says which axis holds them"))


def _check_order(names, own):
    """Names that are the model's own in another order would give each mark another one's numbers."""
    if list(names) != own and sorted(names) == sorted(own):
        number = [name == mine for name, mine in zip(names, own)].index(False)
        raise ModelError(f"--mark_names: these are the model's own names in another order: output {number} is "
                         f"{own[number]}, not {names[number]}")


def _names_of(reader, core, labels, first, is_only):
    """Names of one array's columns, and how many are made up; `first` is the number of its first column."""
    n = reader.n_columns
    if n == 1 and core:
        return [core], 0
    names, n_made_up = labels, 0
    if len(labels) != n:
        names, n_made_up = [f"mark_{k + (0 if core and not is_only else first)}" for k in range(n)], n
    if core and not is_only:
        names = [f"{core}/{name}" for name in names]
    return names, n_made_up


def _different(names):
    """Names of which none is there twice, and notes on those that were changed."""
    unique = _made_unique(names)
    changed = [name for name, before in zip(unique, names) if name != before]
    return unique, [f"column_labels repeats names; made different: {listed(changed)}"] if changed else []


def _made_unique(names):
    """The second and later ones of equal names get .1, .2, ... (as pandas does with columns of a file)."""
    given, unique = set(names), {}
    for name in names:
        changed, number = name, 0
        while changed in unique or number and changed in given:
            number += 1
            changed = f"{name}.{number}"
        unique[changed] = name
    return list(unique)


def check_labels(labels, sizes, name, shapes):
    """Raise `ModelError` unless column_labels name the columns of their array, or its strands.

    Parameters
    ----------
    labels : list of str
    sizes : iterable of int
        How many there may be.
    name : str
        Of the array.
    shapes : list of tuple
        Of all arrays of the output.
    """
    if labels and len(labels) not in sizes:
        called = f' "{name}"' if name else ""
        raise ModelError(f"column_labels names {len(labels)} columns, but the output{called} {form(shapes)} has "
                         f"{next(iter(sizes))}: mend column_labels in model.yaml, or name the columns by --mark_names "
                         "FILE; --mark_layout says which axis holds them")


def check_made_up(n_made_up, n_columns, shapes, options):
    """Raise `ModelError` for more marks without names than anybody can want, unless an option chose them."""
    if n_made_up > MOST_GUESSED and not (options.marks or options.groups or options.windows):
        raise ModelError(
            f"the model's output {form(shapes)} would make {n_columns} marks, {n_made_up} of them without a name "
            "(mark_0, mark_1, ...). If they are marks, name them (column_labels in model.yaml, or --mark_names FILE) "
            "or choose some (--marks 0,3,7; --marks '*' for all). If they are positions, say what becomes of them "
            f"(--mark_summary sum, --mark_window START:END). {BOTH_WAYS} says which axis is which")


def in_windows(windows, readers, columns):
    """Readers of one column each, from some positions alone, for `--mark_windows`; with the marks' names.

    Parameters
    ----------
    windows : dict of str to str
        By mark, as `parse_window` takes them.
    readers : list of columns.Leaf or pairs.Expected
    columns : list of str
        Names of all their columns.

    Raises
    ------
    ModelError
        A window names no column, or positions that there are not.
    """
    return [_in_window(name, text, readers, columns) for name, text in windows.items()], list(windows)


def _in_window(mark, text, readers, columns):
    option = f"--mark_windows {mark}"
    track, start, end, is_relative = parse_window(text)
    number = _track(track, mark, columns, option)
    for reader in readers:
        if number < reader.n_columns:
            break
        number -= reader.n_columns
    if not reader.has_positions:
        raise ModelError(f"{option}: the output of {columns[number]} has no positions")
    middle = reader.size(POSITIONS) // 2 if is_relative else 0
    return reader.windowed(number, checked_window(
        option, (start + middle, end + middle), reader, "; with a sign they count from its middle, as in -10:+11"))


def _track(track, mark, columns, option):
    """Number of the column that a mark is read from."""
    if track is None:
        if mark in columns or len(columns) > 1:
            track = mark
        else:
            return 0
    if track not in columns and not (track.isdigit() and int(track) < len(columns)):
        raise ModelError(f'{option}: the model has no output "{track}" among {len(columns)}: {listed(columns)}; say '
                         f"which as {mark}=OUTPUT@START:END")
    return columns.index(track) if track in columns else int(track)


def parse_window(text):
    """`[OUTPUT@]START:END` as (output or None, start, end, whether they are relative to the middle).

    Raises
    ------
    ModelError
        It is of another form.
    """
    track, _, span = text.rpartition("@")
    ends = span.split(":")
    try:
        start, end = map(int, ends)
    except ValueError:
        raise ModelError(f"--mark_windows: {text} is not of the form [OUTPUT@]START:END") from None
    return track or None, start, end, any(end[:1] in "+-" for end in ends)


def columns_of_groups(groups, columns):
    """Numbers of the columns of each group, given by label, glob or number."""
    return {name: sorted({number for text in texts for number in _matching(text, columns, name)})
            for name, texts in groups.items()}


def _matching(text, columns, group):
    text = str(text)
    if text in columns:
        return [columns.index(text)]
    if text.isdigit() and int(text) < len(columns):
        return [int(text)]
    found = matching(columns, text)
    if not found:
        raise ModelError(f"--mark_groups {group}: no column {text} among {len(columns)}: {listed(columns)}")
    return found


def there_are(name, known):
    """The names that are known, for a message about one that is not."""
    return f"; there are: {listed(known)}"


def are_names(marks, columns, n_made_up):
    """Whether the marks asked for name the columns of an output that names none of its own: one for each."""
    return bool(marks) and n_made_up == len(columns) == len(marks) == len(set(marks)) and not any(
        mark in columns or mark.isdigit() or set("*?[") & set(mark) for mark in marks)


def matching(names, pattern):
    """Numbers of the names that a pattern fits.

    A name of exactly this text goes first, then names that hold its brackets, then what `fnmatch` makes of these.
    """
    found = [i for i, name in enumerate(names) if name == pattern]
    for read_as in (pattern.replace("[", "[[]"), pattern):
        found = found or [i for i, name in enumerate(names) if fnmatch.fnmatchcase(name, read_as)]
    return found


def chosen_marks(names, marks, hint=there_are):
    """Numbers of the marks asked for by name, glob or number, in their order; `hint` is added to what is unknown.

    Raises
    ------
    ModelError
        There is no such mark, or it is named twice.
    """
    chosen = []
    for mark in map(str, marks):
        if mark in names or mark.isdigit() and int(mark) < len(names):
            found = [names.index(mark) if mark in names else int(mark)]
            if found[0] in chosen:
                raise ModelError(f'--marks: "{names[found[0]]}" is named twice')
        else:
            found = matching(names, mark)
        if not found:
            raise ModelError(f'--marks: the model has no mark "{mark}"{hint(mark, names)}')
        chosen += [i for i in found if i not in chosen]
    return chosen


def listed(names):
    """The first of some names, and how many more there are."""
    rest = len(names) - MOST_LISTED
    return ", ".join(names[:MOST_LISTED]) + (f" and {rest} more" if rest > 0 else "")
