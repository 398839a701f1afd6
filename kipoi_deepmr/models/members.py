"""Which numbers in the models' answers are which member's marks."""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ..errors import InputError, nearest
from .host.errors import ModelError
from .host.naming import chosen_marks
from .model import Description
from .patterns import short_name

ONE_MODEL = (
    "one model alone gives no standard errors: DeepMR takes the spread of an effect over the members of an ensemble as "
    "its standard error. Name replicates of the model (MODEL MODEL ...), or the replicate columns of this one with "
    "--member_columns NAME=COLUMN,COLUMN NAME=COLUMN,COLUMN; --mc_dropout and --augment make members of one model, too"
)


class MemberColumns(NamedTuple):
    """Where a member's marks stand: number of its model, of that model's answer to a sequence, and of the columns."""

    model: int
    replicate: int
    columns: list[int]


class Members(NamedTuple):
    """Names of the members, the marks that all of them have, and where each member's stand."""

    names: tuple[str, ...]
    marks: tuple[str, ...]
    columns: list[MemberColumns]


def members_of(described: Sequence[Description], marks: Sequence | None = None, member_columns: Mapping | None = None,
               strict: bool = True) -> Members:
    """Which members the models make, and which marks they have.

    Parameters
    ----------
    described : sequence of Description
        Of the models.
    marks, member_columns, strict
        As for `Ensemble`.

    Raises
    ------
    InputError
        One member only, models that disagree or are the same twice, or a mark or column that is unknown.
    """
    if member_columns:
        found = _members_of_columns(described, member_columns)
    else:
        found = _members_of_models(described, strict)
    chosen = _chosen_marks(found.marks, marks)
    return Members(found.names, tuple(found.marks[i] for i in chosen),
                   [each._replace(columns=[each.columns[i] for i in chosen]) for each in found.columns])


def _members_of_models(described, strict):
    """Every answer of every model is one member."""
    if strict and sum(len(d.replicates) for d in described) < 2:
        raise InputError(ONE_MODEL)
    first = described[0]
    for other in described[1:]:
        _check_agreement(first, other)
    seen = {}
    for d in described:
        if d.checksum in seen:
            raise InputError(f"models {seen[d.checksum]} and {d.name} are the same model (same files or weights): "
                             "an ensemble needs members trained apart")
        seen[d.checksum] = d.name
    names = [short_name(d.name) for d in described]
    if len(set(names)) < len(names):
        names = [d.name for d in described]
    all_columns = list(range(len(first.marks)))
    named = [(_joined(name, replicate), MemberColumns(i, k, all_columns))
             for i, (name, d) in enumerate(zip(names, described, strict=True))
             for k, replicate in enumerate(d.replicates)]
    return Members(tuple(name for name, _ in named), first.marks, [columns for _, columns in named])


def _joined(name, replicate):
    return f"{name}:{replicate}" if replicate else name


def _check_agreement(first, other):
    for what, mine, theirs in (("marks", ", ".join(first.marks), ", ".join(other.marks)),
                               ("sequence length", first.length, other.length),
                               ("alphabet", first.alphabet, other.alphabet)):
        if mine != theirs:
            raise InputError(f"models must declare the same marks and input, but the {what} of {first.name} "
                             f"is {mine} and that of {other.name} is {theirs}")


def _members_of_columns(described, member_columns):
    """Each member is one model seen through its own columns."""
    if len(described) != 1:
        raise InputError(f"--member_columns makes members of the columns of one model, but {len(described)} are given")
    if len(member_columns) < 2:
        raise InputError("--member_columns names one member; " + ONE_MODEL)
    labels = described[0].marks
    columns = {name: [_column(c, labels, name) for c in chosen] for name, chosen in member_columns.items()}
    sizes = {name: len(chosen) for name, chosen in columns.items()}
    if len(set(sizes.values())) > 1:
        raise InputError("--member_columns: every member needs as many columns: "
                         + ", ".join(f"{name} has {size}" for name, size in sizes.items()))
    used = [column for chosen in columns.values() for column in chosen]
    for column in used:
        if used.count(column) > 1:
            raise InputError(f"--member_columns: column {column} ({labels[column]}) is named twice")
    marks = _shared_names([[labels[c] for c in chosen] for chosen in zip(*columns.values(), strict=True)])
    named = [(_joined(name, replicate), MemberColumns(0, k, chosen))
             for name, chosen in columns.items() for k, replicate in enumerate(described[0].replicates)]
    return Members(tuple(name for name, _ in named), marks, [each for _, each in named])


def _column(column, labels, member):
    """Number of a column given by label or number."""
    if column in labels:
        return labels.index(column)
    if str(column).isdecimal() and int(column) < len(labels):
        return int(column)
    raise InputError(f'--member_columns: member {member}: no column "{column}" among {len(labels)} (from 0)'
                     + nearest(column, labels))


def _shared_names(labels_of_marks):
    """Name each mark by the words that its members' labels share (K562_rep1, K562_rep2: K562)."""
    names = []
    for labels in labels_of_marks:
        words = [re.split(r"[^0-9A-Za-z]+", label) for label in labels]
        names.append("_".join(w for w in words[0] if all(w in other for other in words[1:])))
    if len(set(names)) == len(names) and all(names):
        return tuple(names)
    return tuple(labels[0] for labels in labels_of_marks)


def _chosen_marks(shared, marks):
    """Indices of the marks asked for by name, glob or number."""
    if marks is None:
        return list(range(len(shared)))
    try:
        return chosen_marks(shared, marks, nearest)
    except ModelError as error:
        raise InputError(str(error)) from error
