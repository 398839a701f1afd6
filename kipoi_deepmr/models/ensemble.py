"""Several members as one deep ensemble: which marks they share, and all their predictions at once."""

import os
import re

import numpy as np

from ..errors import InputError, nearest
from .kipoi_member import KipoiMember
from .member import Member

ONE_MODEL = (
    "one model alone gives no standard errors: DeepMR takes the spread of an effect over the members of an ensemble as "
    "its standard error. Name replicates of the model (MODEL MODEL ...), or the replicate columns of this one with "
    "--member_columns NAME=COLUMN,COLUMN NAME=COLUMN,COLUMN"
)


class Ensemble:
    """Members that predict the same marks from the same input.

    Parameters
    ----------
    members : sequence of Member
        Two or more; or one, with `member_columns`.
    marks : sequence of str, optional
        Those to use, in this order; by default all that the members share.
    member_columns : dict of str to sequence, optional
        Makes several members of one: for each member's name, the columns (labels, or numbers from 0) of the model's
        output that are its marks, in the same order for each. Marks are named by what the labels have in common.

    Attributes
    ----------
    names : tuple of str
        Of the members.
    marks : tuple of str
    length : int
        Bases in a sequence.
    alphabet : str
        Letters that a sequence may hold.
    checksums : tuple of str
        Of the models, in order; one for each model given.

    Raises
    ------
    InputError
        One member only, members that disagree, that are the same model twice, or a mark that is unknown.
    """

    def __init__(self, members, marks=None, member_columns=None):
        self._members: tuple[Member, ...] = tuple(members)
        described = [member.describe() for member in self._members]
        if member_columns:
            self.names, shared, views = _members_of_columns(described, member_columns)
        else:
            self.names, shared, views = _members_of_models(described)
        chosen = _chosen(shared, marks)
        self.marks = tuple(shared[i] for i in chosen)
        if len(chosen) < 2:
            raise InputError(f"{described[0].name}: one mark only ({self.marks[0]}): "
                             "a causal effect needs an exposure and an outcome")
        self._views = [(member, [columns[i] for i in chosen]) for member, columns in views]
        self.length, self.alphabet = described[0].length, described[0].alphabet
        self.checksums = tuple(d.checksum for d in described)

    @classmethod
    def from_kipoi(cls, models, source="kipoi", *, marks=None, member_columns=None, batch_size=512):
        """An ensemble of Kipoi models, all loaded into this process.

        Parameters
        ----------
        models : sequence of str
            Names in `source`, or directories when the source is `dir`.
        source : str
        marks, member_columns
            As for `Ensemble`.
        batch_size : int
            Most sequences in one call of a model.
        """
        if len(models) == 1 and not member_columns:
            raise InputError(ONE_MODEL)
        return cls([KipoiMember(model, source, batch_size) for model in models], marks, member_columns)

    def predict(self, sequences):
        """Predictions of every member.

        Parameters
        ----------
        sequences : (n, L) uint8
            One byte per base, upper case.

        Returns
        -------
        (members, n, marks) float32
        """
        predicted = np.empty((len(self._views), len(sequences), len(self.marks)), dtype=np.float32)
        for index, member in enumerate(self._members):
            outputs = member.predict(sequences)
            for k, (owner, columns) in enumerate(self._views):
                if owner == index:
                    predicted[k] = outputs[:, columns]
        return predicted

    def dataloader(self, arguments, genome=None):
        """The loci of the first model's own dataloader; see `KipoiMember.dataloader`."""
        return self._members[0].dataloader(arguments, genome)


def _members_of_models(described):
    """Names, shared marks and (member, columns) where every model is one member."""
    if len(described) < 2:
        raise InputError(ONE_MODEL)
    first = described[0]
    for other in described[1:]:
        _check_agreement(first, other)
    seen = {}
    for d in described:
        if d.checksum in seen:
            raise InputError(f"models {seen[d.checksum]} and {d.name} are the same model (same files): "
                             "an ensemble needs members trained apart")
        seen[d.checksum] = d.name
    names = [os.path.basename(os.path.normpath(d.name)) for d in described]
    if len(set(names)) < len(names):
        names = [d.name for d in described]
    return tuple(names), first.marks, [(i, range(len(first.marks))) for i in range(len(described))]


def _check_agreement(first, other):
    for what, mine, theirs in (("marks", ", ".join(first.marks), ", ".join(other.marks)),
                               ("sequence length", first.length, other.length),
                               ("alphabet", first.alphabet, other.alphabet)):
        if mine != theirs:
            raise InputError(f"members must declare the same marks and input, but the {what} of {first.name} "
                             f"is {mine} and that of {other.name} is {theirs}")


def _members_of_columns(described, member_columns):
    """Names, shared marks and (member, columns) where each member is one model seen through its own columns."""
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
    marks = _shared_names([[labels[c] for c in chosen] for chosen in zip(*columns.values())])
    return tuple(columns), marks, [(0, chosen) for chosen in columns.values()]


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


def _chosen(shared, marks):
    """Indices of the marks asked for."""
    if marks is None:
        return list(range(len(shared)))
    for mark in marks:
        if mark not in shared:
            raise InputError(f'--marks: the model has no mark "{mark}"' + nearest(mark, shared))
        if list(marks).count(mark) > 1:
            raise InputError(f'--marks: "{mark}" is named twice')
    return [shared.index(mark) for mark in marks]
