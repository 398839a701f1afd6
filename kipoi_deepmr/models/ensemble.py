"""Several models as one deep ensemble: which marks they share, and all their members' predictions at once."""

import logging
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import Any

import numpy as np

from .. import display
from ..errors import InputError
from ..files import escaped
from ..loci import Genome, read_bed
from ..threads import n_threads
from . import fitness
from .dataloader import DataloaderSource, arguments_for_bed
from .in_memory import models_of
from .kipoi_model import KipoiModel
from .members import members_of
from .model import Description, Model, checked
from .recipe import Recipe
from .stack import stacked

log = logging.getLogger(__name__)

ONE_MARK = ("one mark only ({}): a causal effect needs an exposure and an outcome. --stack A=MODEL B=MODEL makes one "
            "model of several; --mark_windows A=START:END B=START:END makes two marks of one profile")


class Ensemble:
    """Models whose answers are members that predict the same marks from the same input. It cannot be changed.

    Where a model gives several answers to one sequence (dropout masks, augmented views), each of them is a member.

    Parameters
    ----------
    models : sequence of Model
        Two or more; or one, with `member_columns` or with several answers to one sequence.
    marks : sequence of str, optional
        Those to use, in this order, by name, glob or number from 0; by default all that the models share.
    member_columns : dict of str to sequence, optional
        Makes several members of one model: for each member's name, the columns (labels, or numbers from 0) of the
        model's output that are its marks, in the same order for each. Marks are named by what the labels have in
        common.
    jobs : int, optional
        How many of the models that have a process of their own compute at once; by default all.
    strict : bool
        Refuse one member only, one mark only, and models that are not fit; see `problems`.
    batch_size : int, optional
        Most sequences in one call of a model.
    settings : dict, optional
        JSON values: the options by which models become members and outputs marks.
    recipe : Recipe, optional
        What the models were made from.

    Attributes
    ----------
    models : tuple of Model
    names : tuple of str
        Of the members.
    marks : tuple of str
    length : int
        Bases in a sequence.
    alphabet : str
        Letters that a sequence may hold.
    checksums : tuple of str
        Of the models, in order.
    needs_item : bool
        Whether loci must come from the models' own dataloader, since they take more than DNA.
    described : tuple of Description
        Of the models, in order.
    settings : mapping
    recipe : Recipe or None
        What makes the same ensemble in another process; None if it was made of other than Kipoi models.
    batch_size : int or None
    problems : tuple of str
        Why models are not fit to be members, see `fitness.problems`; always empty if `strict`.
    warnings : tuple of str
        What may make effects coarse, see `fitness.coarseness`.

    Raises
    ------
    InputError
        One member only, models that disagree, that are the same twice, or that are not fit; or a mark that is unknown.
    """

    _is_complete = False

    def __init__(self, models: Sequence[Model], marks: Sequence | None = None, member_columns: Mapping | None = None,
                 jobs: int | None = None, strict: bool = True, *, batch_size: int | None = None,
                 settings: Mapping | None = None, recipe: Recipe | None = None):
        self.models: tuple[Model, ...] = tuple(models)
        for model in self.models:
            if not isinstance(model, Model):
                raise InputError(f"{model!r:.100} is no model: its class must derive from kipoi_deepmr.models.Model "
                                 "and define describe and predict")
        n_apart = sum(model.own_process for model in self.models)
        self._pool = ThreadPoolExecutor(jobs or n_apart) if n_apart else None
        self.described: tuple[Description, ...] = tuple(_readable(model.describe())
                                                         for model in self.models)
        for each in self.described:
            if not each.marks:
                raise InputError(f"model {each.name} takes more than DNA of a fixed length{_in_brackets(each.layout)}: "
                                 "it must see loci before anything else; give them by --dataloader_args")
        self.names, self.marks, self._columns = members_of(self.described, marks, member_columns, strict)
        if strict and len(self.marks) < 2:
            raise InputError(f"{self.described[0].name}: {ONE_MARK.format(self.marks[0])}")
        columns = {name: list(map(str, each)) for name, each in (member_columns or {}).items()}
        self.settings: Mapping[str, Any] = MappingProxyType(
            {**({"member_columns": columns} if columns else {}), **(settings or {})})
        self.recipe, self.batch_size = recipe, batch_size
        self.length, self.alphabet = self.described[0].length, self.described[0].alphabet
        self.checksums = tuple(each.checksum for each in self.described)
        self.needs_item = any(each.needs_item for each in self.described)
        self.problems, self.warnings = fitness.examine(self)
        if strict and self.problems:
            raise InputError(self.problems[0])
        for warning in self.warnings:
            log.warning("%s", warning)
        self._is_complete = True

    def __setattr__(self, name, value):
        if self._is_complete:
            raise AttributeError(f"an Ensemble cannot be changed ({name}); make another one")
        super().__setattr__(name, value)

    @classmethod
    def from_kipoi(cls, models: Sequence[str], source: str | None = None, *, marks: Sequence | None = None,
                   member_columns: Mapping | None = None, batch_size: int | None = None,
                   pythons: Sequence | None = None, jobs: int | None = None, settings: Mapping | None = None,
                   dataloader_args: Mapping | None = None, intervals_file: str | None = None,
                   fasta_file: str | None = None, stacks: Sequence | None = None, strict: bool = True) -> "Ensemble":
        """An ensemble of Kipoi models, each in this process or in its own Python.

        Parameters
        ----------
        models : sequence of str
            Names in `source`; Kipoi directories or files of networks when the source is `dir`.
        source : str, optional
            By default `dir` for paths that exist, else `kipoi`; see `patterns.source_of`.
        marks, member_columns, batch_size, jobs, strict
            As for `Ensemble`.
        pythons : sequence of str or None, optional
            Interpreter of each model, as `environments.interpreters` finds them; None is this process.
        settings : dict, optional
            As for `KipoiModel`.
        dataloader_args, intervals_file, fasta_file
            Where loci will come from, as for `kipoi_deepmr.pipeline.select_loci`: some models must see one before they
            can tell their marks, others take the length of the intervals.
        stacks : list, optional
            As `stack.stacks_of` gives them, if several models are stacked into one; `models` are all of theirs in a
            row.
        """
        return cls.from_recipe(Recipe.of(
            models, source, marks=marks, member_columns=member_columns, batch_size=batch_size, pythons=pythons,
            jobs=jobs, settings=settings, dataloader_args=dataloader_args, intervals_file=intervals_file,
            fasta_file=fasta_file, stacks=stacks, strict=strict))

    @classmethod
    def from_recipe(cls, recipe: Recipe) -> "Ensemble":
        """The ensemble that a recipe makes: the one way by which Kipoi models are loaded, in every process."""
        settings = {**({"batch_size": recipe.batch_size} if recipe.batch_size else {}), **(recipe.settings or {})}
        if recipe.intervals_file:
            sizes = {interval.size for interval in read_bed(recipe.intervals_file, below_zero=True)}
            if len(sizes) == 1:
                settings["interval_length"] = sizes.pop()
        models_choose = not recipe.stacks and not recipe.member_columns
        if recipe.marks or recipe.member_columns:
            # of a stack and of members' columns, marks are chosen later: what each model gives is wanted as it is
            settings["marks"] = recipe.marks if models_choose else ["*"]
        models = load_models(recipe, settings)
        try:
            _show_loci(models, recipe.dataloader_args, recipe.intervals_file, recipe.fasta_file)
            deciding = {key: value for key, value in (recipe.settings or {}).items()
                        if key not in ("worker_timeout", "module")}
            return cls(stacked(recipe.stacks, models) if recipe.stacks else models,
                       None if models_choose else recipe.marks,
                       recipe.member_columns, recipe.jobs, recipe.strict, batch_size=recipe.batch_size,
                       settings=deciding, recipe=recipe)
        except BaseException:
            close_all(models)
            raise

    @classmethod
    def from_torch(cls, networks: Sequence | Mapping, *, length: int, marks: Sequence | Mapping | None = None,
                   layout: str = "4,L", names: Sequence[str] | None = None, member_columns: Mapping | None = None,
                   seed: int = 42, strict: bool = True, **options: Any) -> "Ensemble":
        """An ensemble of PyTorch modules of this process, each a member.

        Modules are asked in `eval` mode, without gradients, on the device and in the precision that they are in.
        Nothing of them is changed. They exist in this process alone, so that a cluster's workers cannot have them:
        save them and name the files for that.

        Parameters
        ----------
        networks : sequence of torch.nn.Module, or dict of str to torch.nn.Module
            Replicates of one network that were trained apart. The keys of a dict are the members' names. One alone
            makes members by `member_columns`, `mc_dropout` or `augment`.
        length : int
            Bases in a sequence.
        marks : sequence of str, or dict of str to (int, str or list), optional
            Names of all outputs, in order. Or the outputs to use: for each mark the number (from 0) or name of its
            output, or a list of them, whose mean it is.
        layout : str
            Axes of the input for one sequence, L for positions and 4 for letters, such as ``"4,L"``, ``"L,4"`` or
            ``"4,1,L"``.
        names : sequence of str, optional
            Of the members; by default member1, member2, ...
        member_columns, strict
            As for `Ensemble`.
        seed : int
            Of the dropout masks of `mc_dropout`.
        **options
            Of `kipoi_deepmr.options.ModelOptions`: batch_size, alphabet, mark_summary, mark_window, mark_windows,
            mark_layout, scale, mc_dropout, augment.

        Returns
        -------
        Ensemble

        Raises
        ------
        InputError
            An object is of another class, it fails for sequences of this length and layout, or its outputs are not
            what `marks` names; or as `Ensemble`.
        """
        return cls._in_memory("torch", networks, marks, member_columns, strict, length=length, layout=layout,
                              names=names, seed=seed, options=options)

    @classmethod
    def from_keras(cls, networks: Sequence | Mapping, *, length: int | None = None,
                   marks: Sequence | Mapping | None = None, layout: str | None = None,
                   names: Sequence[str] | None = None, member_columns: Mapping | None = None, seed: int = 42,
                   strict: bool = True, **options: Any) -> "Ensemble":
        """An ensemble of Keras 3 or tf_keras models of this process, each a member; see `from_torch`.

        Parameters
        ----------
        networks : sequence of Keras models, or dict of str to Keras model
        length, layout : optional
            By default those of the models' inputs.
        marks, names, member_columns, seed, strict, **options
            As for `from_torch`; also `seq_input`, for models of several inputs.

        Returns
        -------
        Ensemble

        Raises
        ------
        InputError
            As `from_torch`.
        """
        return cls._in_memory("keras", networks, marks, member_columns, strict, length=length, layout=layout,
                              names=names, seed=seed, options=options)

    @classmethod
    def from_function(cls, functions: Sequence | Mapping, *, length: int, marks: Sequence | Mapping | None = None,
                      names: Sequence[str] | None = None, member_columns: Mapping | None = None, seed: int = 42,
                      strict: bool = True, **options: Any) -> "Ensemble":
        """An ensemble of functions, each a member; see `from_torch`.

        Parameters
        ----------
        functions : sequence of callable, or dict of str to callable
            Each takes one-hot sequences, a float32 array of (n, length, 4) with the letters in the order ACGT, and
            gives their marks, (n, marks). It must give the same numbers each time, whatever else is in the batch.
        length, marks, names, member_columns, seed, strict, **options
            As for `from_torch`.

        Returns
        -------
        Ensemble

        Raises
        ------
        InputError
            As `from_torch`.
        """
        return cls._in_memory("function", functions, marks, member_columns, strict, length=length, layout="L,4",
                              names=names, seed=seed, options=options)

    @classmethod
    def _in_memory(cls, kind, networks, marks, member_columns, strict, **how):
        models, settings, batch_size = models_of(kind, networks, marks=marks, every=bool(member_columns), **how)
        return cls(models, None, member_columns, strict=strict, batch_size=batch_size, settings=settings)

    def columns_used(self, number: int) -> list[int]:
        """Which of a model's marks, by its number and theirs, are any member's; the others count for nothing."""
        return sorted({column for member in self._columns if member.model == number for column in member.columns})

    def predict(self, sequences: np.ndarray, item: int | None = None) -> np.ndarray:
        """Predictions of every member.

        Parameters
        ----------
        sequences : (n, L) uint8
            One byte per base, upper case.
        item : int, optional
            Number of the dataloader's item that they belong to, if the models need it.

        Returns
        -------
        (members, n, marks) float32 or float64
            In the most precise of the types in which the models answer.

        Raises
        ------
        InputError
            A model fails, or returns nothing or numbers of another shape; then the processes of all are ended.
        """
        return self.answers(len(sequences), [lambda model=model: model.predict(sequences, item)
                                             for model in self.models])

    def answers(self, n: int, calls: Sequence[Callable], apart: Sequence[bool] | None = None) -> np.ndarray:
        """What one function for each model answers, as `predict` puts it together: (members, n, marks).

        Parameters
        ----------
        n : int
            Sequences that each answers.
        calls : sequence of callable
            Without arguments; each gives (replicates, n, marks of the model).
        apart
            As for `ask`.
        """
        answers = _Answers(self.described, self._columns, n, len(self.marks))
        self.ask(calls, answers.add, apart)
        return answers.numbers

    def ask(self, calls: Sequence[Callable | None], take: Callable, apart: Sequence[bool] | None = None) -> None:
        """Call one function for each model, and `take(number of the model, what it returned)` for each.

        Parameters
        ----------
        calls : sequence of callable or None
            None for a model that is not asked.
        take : callable
        apart : sequence of bool, optional
            Which of the functions wait for another process, so that they are called at the same time; by default those
            of models with a process of their own.
        """
        apart = [model.own_process for model in self.models] if apart is None else apart
        asked = [number for number, call in enumerate(calls) if call is not None]

        def answer(number):
            take(number, calls[number]())

        try:
            pending = [self._pool.submit(answer, number) for number in asked if apart[number]]
            for number in asked:
                if not apart[number]:
                    answer(number)
            for done in pending:
                done.result()
        except BaseException:
            self.close()
            raise

    def check_unchanged(self) -> None:
        """Raise `InputError` where a network of this process has changed since the ensemble was made."""
        for model, described in zip(self.models, self.described, strict=True):
            if isinstance(model, KipoiModel) and model.has_changed():
                raise InputError(f"{described.name} has changed since the ensemble was made, as training does: make "
                                 "the ensemble again")

    def dataloader(self, arguments: Mapping, genome: Genome | None = None,
                   resize: str | None = None) -> DataloaderSource:
        """The loci of the first model's own dataloader; opens that of the others too if they need its items."""
        return _open_dataloader(self.models, arguments, genome, resize)

    def bed(self, intervals_file: str, fasta_file: str, resize: str | None = None) -> DataloaderSource:
        """The loci of a BED and a FASTA file as the models' own dataloader gives them."""
        return self.dataloader(arguments_for_bed(self.models[0], intervals_file, fasta_file), resize=resize)

    def close(self) -> None:
        """End the models' processes."""
        if self._pool:
            self._pool.shutdown(wait=False, cancel_futures=True)
        close_all(self.models)

    def __repr__(self) -> str:
        return display.as_text(f"Ensemble: {self._title}", [f"{name}: {text}" for name, text in self._facts()])

    def _repr_html_(self) -> str:
        return display.as_html(self._title, ("", ""), self._facts())

    @property
    def _title(self):
        length = f"of {self.length:,} bases" if self.length else "of any length"
        return (f"{display.counted(len(self.names), 'member')} and {display.counted(len(self.marks), 'mark')}, "
                f"sequences {length}")

    def _facts(self):
        """What a user should see of it: pairs of what and a text."""
        first = self.described[0]
        facts = [("members", display.listed(self.names)), ("marks", display.listed(self.marks)),
                 ("input", first.layout), ("output", first.outputs), ("run by", first.framework),
                 *(("not fit", problem) for problem in self.problems), *(("note", note) for note in first.notes)]
        return [(what, display.on_one_line(text)) for what, text in facts if text]

    def __enter__(self) -> "Ensemble":
        return self

    def __exit__(self, *_) -> None:
        self.close()


class _Answers:
    """Members' marks, filled model by model; as wide a type as the widest of the answers."""

    def __init__(self, described, columns, n, n_marks):
        self._described, self._columns, self._lock = described, columns, threading.Lock()
        self.numbers = np.zeros((len(columns), n, n_marks), np.float32)

    def add(self, number, answer):
        """Take the answer of one model."""
        answer = checked(answer, self._described[number], self.numbers.shape[1])
        with self._lock:
            self.numbers = self.numbers.astype(np.result_type(self.numbers, answer), copy=False)
            for k, member in enumerate(self._columns):
                if member.model == number:
                    self.numbers[k] = answer[member.replicate][:, member.columns]


def load_models(recipe: Recipe, settings: Mapping) -> list[KipoiModel]:
    """The Kipoi models of a recipe; those with a process of their own are loaded at once, sharing the threads."""
    for name, model in zip(recipe.names, recipe.models, strict=True):
        if recipe.source == "dir" and not os.path.exists(model):  # before others, which may take minutes to load
            raise InputError(f"{name}: no such file or folder")
    pythons = recipe.pythons or [None] * len(recipe.models)
    n_apart = sum(python is not None for python in pythons)
    jobs = min(recipe.jobs or n_apart, n_apart)
    threads = max(1, n_threads() // jobs) if jobs else None
    models = []
    try:
        for name, model, python in zip(recipe.names, recipe.models, pythons, strict=True):
            models.append(KipoiModel(model, recipe.source, settings, python, threads, wait=False, name=name))
        for model in models:
            model.load()
    except BaseException:
        close_all(models)
        raise
    return models


def close_all(models: Sequence[Model]) -> None:
    """End the processes of models."""
    for model in models:
        model.close()


def _show_loci(models, dataloader_args, intervals_file, fasta_file):
    """Open the dataloader of models that have no marks before they see a locus."""
    if all(model.describe().marks for model in models):
        return
    if intervals_file and fasta_file:
        dataloader_args = arguments_for_bed(models[0], intervals_file, fasta_file)
    if dataloader_args:
        _open_dataloader(models, dataloader_args).close()


def _open_dataloader(models, arguments, genome=None, resize=None):
    first, *others = models
    source = first.dataloader(arguments, genome, resize)
    try:
        for other in others:
            described = other.describe()
            if described.needs_item or not described.marks:
                if other.open_loci(source.arguments) != len(source):
                    raise InputError(f"the dataloaders of {first.describe().name} and {described.name} give different "
                                     "numbers of loci")
    except BaseException:
        source.close()
        raise
    return source


def _readable(described):
    """A description whose names any file and terminal can hold."""
    several = {name: tuple(map(escaped, getattr(described, name))) for name in ("marks", "replicates", "notes")}
    return described._replace(name=escaped(described.name), **several)


def _in_brackets(text):
    return f" ({text})" if text else ""
