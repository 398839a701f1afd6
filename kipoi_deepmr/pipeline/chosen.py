"""Marks and loci that names and patterns choose."""

from ..errors import InputError, nearest
from ..models.host.naming import matching

ROLES = ("exposure", "outcome")


def numbers_of(what, patterns, known):
    """Numbers of the names that some names and patterns choose, in the order in which these are written.

    Parameters
    ----------
    what : str
        What is chosen, for a message, such as "exposure".
    patterns : sequence of str or None
        None chooses all. A name of exactly this text goes before those that a pattern fits.
    known : list of str

    Raises
    ------
    InputError
        One of them fits no name.
    """
    if patterns is None:
        return list(range(len(known)))
    chosen = {}
    for pattern in patterns:
        fits = matching(known, pattern)
        if not fits:
            raise InputError(f"unknown {what} {pattern!r}{_quotes(patterns, known) or nearest(pattern, known)}")
        chosen.update(dict.fromkeys(fits))
    return list(chosen)


def _quotes(patterns, known):
    """A hint where several words are a name that holds commas."""
    words = ",".join(patterns)
    name = next((name for name in known if "," in name and name.replace(", ", ",") in words), None)
    return name and f"""; a name with a comma stands in double quotes: '"{name}"'"""


def with_names(options, marks):
    """Options of which `exposures` and `outcomes` name marks, where they may be patterns.

    Parameters
    ----------
    options : EstimateOptions
    marks : sequence of str

    Returns
    -------
    EstimateOptions
        The same object if nothing changes.

    Raises
    ------
    InputError
        A name or pattern fits no mark.
    """
    marks, names = [str(mark) for mark in marks], {}
    for role in ROLES:
        patterns = getattr(options, f"{role}s")
        if patterns:
            names[f"{role}s"] = tuple(marks[i] for i in numbers_of(role, patterns, marks))
    changed = {role: those for role, those in names.items() if those != getattr(options, role)}
    return options.replace(**changed) if changed else options
