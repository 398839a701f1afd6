"""Several members as one deep ensemble: which marks they share, and all their predictions at once."""

import fnmatch
import json
import os
import re
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import combinations
from typing import NamedTuple

import numpy as np
from joblib import cpu_count

from ..errors import InputError, nearest
from ..loci import read_bed
from .dataloader import arguments_for_bed
from .host import saturation
from .kipoi_member import KipoiMember
from .member import Member
from .stack import stacked

ONE_MODEL = (
    "one model alone gives no standard errors: DeepMR takes the spread of an effect over the members of an ensemble as "
    "its standard error. Name replicates of the model (MODEL MODEL ...), or the replicate columns of this one with "
    "--member_columns NAME=COLUMN,COLUMN NAME=COLUMN,COLUMN; --mc_dropout and --augment make members of one model, too"
)
ONE_MARK = "one mark only ({}): a causal effect needs an exposure and an outcome"
_SHARED_STATE = ("; if their framework keeps state that all models of a process share, as TensorFlow 1 does, give each "
                 "model a process of its own with --python")


class Ensemble:
    """Members that predict the same marks from the same input.

    Where a model gives several answers to one sequence (dropout masks, augmented views), each of them is a member.

    Parameters
    ----------
    members : sequence of Member
        Two or more; or one, with `member_columns` or with several answers to one sequence.
    marks : sequence of str, optional
        Those to use, in this order, by name, glob or number from 0; by default all that the members share.
    member_columns : dict of str to sequence, optional
        Makes several members of one: for each member's name, the columns (labels, or numbers from 0) of the model's
        output that are its marks, in the same order for each. Marks are named by what the labels have in common.
    jobs : int, optional
        How many of the members that have a process of their own compute at once; by default all.
    strict : bool
        Refuse one member only, and one mark only.

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
    needs_item : bool
        Whether loci must come from the models' own dataloader, since they take more than DNA.
    described : tuple of Description
        Of the models, in order.
    settings : dict
        JSON values: the options given by which models become members and outputs marks.
    recipe : dict or None
        Arguments of `from_kipoi` (JSON values) that make the same ensemble in another process.
    batch_size : int or None
        Most sequences in one call of a model, where that was given.
    members : tuple of Member
        The models.
    functions : list of callable
        What predicts each model's mutants: by default its own `mutants`.
    engines : list
        The same as `mutagenesis.engines.choose` tells it; empty if not chosen.
    approximation : dict or None
        What `mutagenesis.agreement.told` found of engines that approximate.

    Raises
    ------
    InputError
        One member only, members that disagree, that are the same model twice or that answer alike, or a mark that is
        unknown.
    """

    def __init__(self, members, marks=None, member_columns=None, jobs=None, strict=True):
        self._members: tuple[Member, ...] = tuple(members)
        n_apart = sum(member.own_process for member in self._members)
        self._pool = ThreadPoolExecutor(jobs or n_apart) if n_apart else None
        self.settings, self.recipe, self.batch_size = {}, None, None
        self.use_engines([member.mutants for member in self._members])
        self.described = described = tuple(member.describe() for member in self._members)
        for each in described:
            if not each.marks:
                raise InputError(f"model {each.name} takes more than DNA of a fixed length{_in_brackets(each.layout)}: "
                                 "it must see loci before anything else; give them by --dataloader_args")
        if member_columns:
            self.settings["member_columns"] = {name: list(map(str, cs)) for name, cs in member_columns.items()}
            self.names, shared, views = _members_of_columns(described, member_columns)
        else:
            self.names, shared, views = _members_of_models(described, strict)
        chosen = _chosen(shared, marks)
        self.marks = tuple(shared[i] for i in chosen)
        if strict and len(chosen) < 2:
            raise InputError(f"{described[0].name}: {ONE_MARK.format(self.marks[0])}")
        self._views = [view._replace(columns=[view.columns[i] for i in chosen]) for view in views]
        self.length, self.alphabet = described[0].length, described[0].alphabet
        self.checksums = tuple(d.checksum for d in described)
        self.needs_item = any(d.needs_item for d in described)
        _check_answers(self._members, described)

    @classmethod
    def from_kipoi(cls, models, source="kipoi", *, marks=None, member_columns=None, batch_size=None, pythons=None,
                   jobs=None, settings=None, dataloader_args=None, intervals_file=None, fasta_file=None, stacks=None,
                   strict=True):
        """An ensemble of Kipoi models, each in this process or in its own Python.

        Parameters
        ----------
        models : sequence of str
            Names in `source`, or directories when the source is `dir`.
        source : str
        marks, member_columns, jobs, strict
            As for `Ensemble`.
        batch_size : int, optional
            Most sequences in one call of a model.
        pythons : sequence of str or None, optional
            Interpreter of each model, as `environments.interpreters` finds them; None is this process.
        settings : dict, optional
            As for `KipoiMember`.
        dataloader_args, intervals_file, fasta_file
            Where loci will come from, as for `kipoi_deepmr.pipeline.select_loci`: some models must see one before they
            can tell their marks, others take the length of the intervals.
        stacks : list, optional
            As `stack.stacks_of` gives them, if several models make one member; `models` are all of theirs in a row.
        """
        recipe = {key: value for key, value in locals().items() if key != "cls"}
        deciding = {key: value for key, value in (settings or {}).items() if key != "worker_timeout"}
        deciding = json.loads(json.dumps(deciding))
        settings = {**({"batch_size": batch_size} if batch_size else {}), **(settings or {})}
        if intervals_file:
            first = read_bed(intervals_file)[0]
            settings.setdefault("length", first.end - first.start)
        members = load_members(models, source, settings, pythons, jobs)
        try:
            _show_loci(members, dataloader_args, intervals_file, fasta_file)
            ensemble = cls(stacked(stacks, members) if stacks else members, marks, member_columns, jobs, strict)
        except BaseException:
            close_all(members)
            raise
        ensemble.batch_size = batch_size
        ensemble.settings.update(deciding)
        ensemble.recipe = recipe
        return ensemble

    @property
    def members(self):
        return self._members

    def use_engines(self, functions, told=()):
        """Predict mutants by other functions than the members' own `mutants`.

        Parameters
        ----------
        functions : sequence of callable
            One for each model, with the arguments and results of `Member.mutants`.
        told : sequence
            Becomes `engines`.
        """
        self.functions, self.engines, self.approximation = list(functions), list(told), None

    def predict(self, sequences, item=None):
        """Predictions of every member.

        Parameters
        ----------
        sequences : (n, L) uint8
            One byte per base, upper case.
        item : int, optional
            Number of the dataloader's item that they belong to, if the members need it.

        Returns
        -------
        (members, n, marks) float32

        Raises
        ------
        InputError
            A model fails; then the processes of all are ended.
        """
        return self.answers(len(sequences), [member.predict for member in self._members], sequences, item)

    def mutants(self, sequence, item=None):
        """Predictions of every member of a sequence and all its single mutants.

        Parameters
        ----------
        sequence : (L,) uint8
        item : int, optional
            As for `predict`.

        Returns
        -------
        (members, 1 + 3 L, marks) float32
            The sequence itself first, then its mutants in the order of `mutagenesis.saturation_mutants`.
        """
        return self.answers(1 + 3 * len(sequence), self.functions, sequence, item)

    def mutants_of(self, sequences):
        """`mutants` of several sequences of one length; models that predict each mutant as a whole get all in a row.

        Parameters
        ----------
        sequences : (n, L) uint8

        Returns
        -------
        (n, members, 1 + 3 L, marks) float32
        """
        n, n_rows = len(sequences), 1 + 3 * sequences.shape[1]
        if n == 1:
            return self.mutants(sequences[0])[None]
        mutants = np.concatenate([saturation.rows(sequence, 0, n_rows) for sequence in sequences])
        functions = [partial(member.predict, mutants) if is_naive else partial(_one_by_one, function, sequences)
                     for function, member, is_naive in zip(self.functions, self._members, self.is_naive, strict=True)]
        found = self.answers(n * n_rows, functions)
        return found.reshape(len(found), n, n_rows, -1).swapaxes(0, 1)

    @property
    def is_naive(self):
        """For each model whether its mutants are predicted by its own `mutants`: list of bool."""
        return [function == member.mutants for function, member in zip(self.functions, self._members, strict=True)]

    def answers(self, n, functions, *arguments):
        """What one function for each model answers, as `predict` puts it together: (members, n, marks) float32.

        Where the function is None, the numbers are zeros.
        """
        predicted = np.zeros((len(self._views), n, len(self.marks)), dtype=np.float32)

        def answer(index):
            answers = functions[index](*arguments) if functions[index] else None
            for k, view in enumerate(self._views):
                if view.member == index and answers is not None:
                    predicted[k] = answers[view.replicate][:, view.columns]

        apart = [index for index, member in enumerate(self._members)
                 if member.own_process and _is_method_of(member, functions[index])]
        try:
            pending = [self._pool.submit(answer, index) for index in apart]
            for index in range(len(self._members)):
                if index not in apart:
                    answer(index)
            for done in pending:
                done.result()
        except BaseException:
            self.close()
            raise
        return predicted

    def dataloader(self, arguments, genome=None):
        """The loci of the first model's own dataloader; opens that of the others too if they need its items.

        Returns
        -------
        DataloaderSource
        """
        return _open_dataloader(self._members, arguments, genome)

    def bed(self, intervals_file, fasta_file):
        """The loci of a BED and a FASTA file as the models' own dataloader gives them.

        Returns
        -------
        DataloaderSource
        """
        return self.dataloader(arguments_for_bed(self._members[0], intervals_file, fasta_file))

    def close(self):
        """End the members' processes."""
        if self._pool:
            self._pool.shutdown(wait=False, cancel_futures=True)
        close_all(self._members)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def _one_by_one(function, sequences):
    """Mutants of several sequences in a row, from a function of one."""
    return np.concatenate([function(sequence) for sequence in sequences], axis=1)


class View(NamedTuple):
    """A member as part of a model's answer: number of the model, of its answer to a sequence, and its columns."""

    member: int
    replicate: int
    columns: list


def _is_method_of(member, function):
    """Whether a function is a member's own method, or that with arguments held."""
    return getattr(getattr(function, "func", function), "__self__", None) is member


def load_members(models, source, settings, pythons=None, jobs=None):
    """Kipoi models as members; those with a process of their own are loaded at once, sharing this machine's cores.

    Returns
    -------
    list of KipoiMember
    """
    pythons = pythons or [None] * len(models)
    n_apart = sum(python is not None for python in pythons)
    jobs = min(jobs or n_apart, n_apart)
    threads = max(1, cpu_count() // jobs) if jobs else None
    members = []
    try:
        for model, python in zip(models, pythons, strict=True):
            members.append(KipoiMember(model, source, settings, python, threads, wait=False))
        for member in members:
            member.load()
    except BaseException:
        close_all(members)
        raise
    return members


def close_all(members):
    """End the processes of members."""
    for member in members:
        member.close()


def _show_loci(members, dataloader_args, intervals_file, fasta_file):
    """Open the dataloader of members that have no marks before they see a locus."""
    if all(member.describe().marks for member in members):
        return
    if intervals_file and fasta_file:
        dataloader_args = arguments_for_bed(members[0], intervals_file, fasta_file)
    if dataloader_args:
        _open_dataloader(members, dataloader_args)


def _open_dataloader(members, arguments, genome=None):
    first, *others = members
    source = first.dataloader(arguments, genome)
    for other in others:
        described = other.describe()
        if described.needs_item or not described.marks:
            if other.open_loci(source.arguments) != len(source):
                raise InputError(f"the dataloaders of {first.describe().name} and {described.name} give different "
                                 "numbers of loci")
    return source


def _in_brackets(text):
    return f" ({text})" if text else ""


def _members_of_models(described, strict):
    """Names, shared marks and views where every answer of every model is one member."""
    if strict and sum(len(d.replicates) for d in described) < 2:
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
    all_columns = list(range(len(first.marks)))
    named = [(_joined(name, replicate), View(i, k, all_columns))
             for i, (name, d) in enumerate(zip(names, described, strict=True))
             for k, replicate in enumerate(d.replicates)]
    return tuple(name for name, _ in named), first.marks, [view for _, view in named]


def _joined(name, replicate):
    return f"{name}:{replicate}" if replicate else name


def _check_agreement(first, other):
    for what, mine, theirs in (("marks", ", ".join(first.marks), ", ".join(other.marks)),
                               ("sequence length", first.length, other.length),
                               ("alphabet", first.alphabet, other.alphabet)):
        if mine != theirs:
            raise InputError(f"members must declare the same marks and input, but the {what} of {first.name} "
                             f"is {mine} and that of {other.name} is {theirs}")


def _members_of_columns(described, member_columns):
    """Names, shared marks and views where each member is one model seen through its own columns."""
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
    named = [(_joined(name, replicate), View(0, k, chosen))
             for name, chosen in columns.items() for k, replicate in enumerate(described[0].replicates)]
    return tuple(name for name, _ in named), marks, [view for _, view in named]


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
    """Indices of the marks asked for by name, glob or number."""
    if marks is None:
        return list(range(len(shared)))
    chosen = []
    for mark in map(str, marks):
        if mark in shared or mark.isdecimal() and int(mark) < len(shared):
            found = [shared.index(mark) if mark in shared else int(mark)]
            if found[0] in chosen:
                raise InputError(f'--marks: "{shared[found[0]]}" is named twice')
        else:
            found = [i for i, name in enumerate(shared) if fnmatch.fnmatchcase(name, mark)]
        if not found:
            raise InputError(f'--marks: the model has no mark "{mark}"' + nearest(mark, shared))
        chosen += [i for i in found if i not in chosen]
    return chosen


def _check_answers(members, described):
    """Each member, asked again now that all are loaded, must answer as before, and not as another one does."""
    answers = []
    for member, d in zip(members, described, strict=True):
        first, again = member.probe(), member.probe(again=True)
        answers.append(again)
        if first is not None and not _is_close(first, again):
            _explain_change(member, d.name, again)
    for i, j in combinations(range(len(members)), 2):
        if answers[i] is not None and np.array_equal(answers[i], answers[j], equal_nan=True) and _varies(answers[i]):
            state = "" if members[i].own_process or members[j].own_process else _SHARED_STATE
            raise InputError(f"members {described[i].name} and {described[j].name} give exactly the same answers: an "
                             f"ensemble needs members trained apart{state}")


def _explain_change(member, name, again):
    if not _is_close(again, member.probe(again=True)):
        raise InputError(f"model {name} answers the same sequence differently each time: it draws random numbers when "
                         "it predicts, which would pass for effects of mutations")
    raise InputError(f"loading other members changed what {name} predicts{_SHARED_STATE}")


def _is_close(first, again):
    """Whether two answers are the same but for the rounding of a framework that adds in no fixed order."""
    return np.allclose(first, again, rtol=1e-3, atol=1e-3 * np.abs(np.nan_to_num(first)).max(), equal_nan=True)


def _varies(answer):
    return not np.array_equal(answer, np.broadcast_to(answer[:, :1], answer.shape), equal_nan=True)
