"""What an ensemble of Kipoi models is made from, as plain JSON values that any process understands."""

import dataclasses
import json
import os
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import InputError
from .environments import interpreter_path
from .patterns import source_of


@dataclass(frozen=True)
class Recipe:
    """Arguments of `Ensemble.from_kipoi`, with absolute paths. run.json holds it; equal recipes make equal ensembles.

    Attributes
    ----------
    models : list of str
        Names in `source`; absolute paths where that is `dir`.
    names : list of str
        The same as the user wrote them.
    source, marks, member_columns, batch_size, pythons, jobs, settings, dataloader_args, intervals_file, fasta_file
        As for `Ensemble.from_kipoi`.
    stacks : list of list of (str or None), optional
        Names of the marks of each stack, as in `stack.stacks_of`, one for each of its models.
    strict : bool
        As for `Ensemble`.
    """

    models: list
    names: list
    source: str
    marks: list | None = None
    member_columns: dict | None = None
    batch_size: int | None = None
    pythons: list | None = None
    jobs: int | None = None
    settings: dict | None = None
    dataloader_args: dict | None = None
    intervals_file: str | None = None
    fasta_file: str | None = None
    stacks: list | None = None
    strict: bool = True

    @classmethod
    def of(cls, models: Sequence[str], source: str | None = None, *, stacks: Sequence | None = None,
           **arguments: Any) -> "Recipe":
        """The recipe of arguments as a user gives them, relative to this process's folder.

        Raises
        ------
        InputError
            A value is none of JSON's.
        """
        names = [str(model) for model in models]
        source = source_of(names, source)
        for key in ("intervals_file", "fasta_file", "dataloader_args"):
            arguments[key] = _absolute(arguments[key])
        arguments["pythons"] = arguments["pythons"] and [python and interpreter_path(python)
                                                         for python in arguments["pythons"]]
        settings = arguments.get("settings") or {}
        if settings.get("module"):
            arguments["settings"] = {**settings, "module": _absolute_module(settings["module"])}
        arguments["stacks"] = stacks and [[mark for mark, _ in stack] for stack in stacks]
        folders = [os.path.abspath(name) if source == "dir" else name for name in names]
        return cls(**_as_json({"models": folders, "names": names, "source": source, **arguments}))

    def of_models(self, models: Sequence[str], pythons: Sequence[str | None], module: str | None = None) -> "Recipe":
        """This recipe for models, interpreters and a class of others: as many as it has, of its source."""
        folders = [os.path.abspath(name) if self.source == "dir" else name for name in models]
        settings = {key: value for key, value in (self.settings or {}).items() if key != "module"}
        settings.update({"module": _absolute_module(module)} if module else {})
        return dataclasses.replace(self, models=folders, names=list(models), pythons=list(pythons), settings=settings)

    @property
    def module(self) -> str | None:
        """Where the networks' class is: FILE.py:CLASS, or PACKAGE.MODULE:CLASS."""
        return (self.settings or {}).get("module")

    def to_json(self) -> dict:
        """The recipe as JSON values."""
        return _as_json(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, values: Mapping) -> "Recipe":
        """The recipe that `to_json` gave.

        Raises
        ------
        InputError
            The values are not those of a recipe.
        """
        try:
            recipe = cls(**_as_json(dict(values)))
        except (TypeError, ValueError) as error:
            raise InputError(f"this is not the recipe of an ensemble: {error}") from error
        for field in dataclasses.fields(cls):
            kinds, value = typing.get_type_hints(cls)[field.name], getattr(recipe, field.name)
            if not isinstance(value, kinds):
                raise InputError(f"this is not the recipe of an ensemble: {field.name} is {value!r:.40}")
        for name in ("models", "names"):
            if not all(isinstance(text, str) for text in getattr(recipe, name)):
                raise InputError(f"this is not the recipe of an ensemble: {name} are not texts")
        return recipe


def _absolute(value):
    """A path, or the paths among arguments, as another folder has them: texts that name an existing file."""
    if isinstance(value, str | os.PathLike):
        return os.path.abspath(value) if os.path.exists(value) else os.fspath(value)
    if isinstance(value, Mapping):
        return {key: _absolute(one) for key, one in value.items()}
    return [_absolute(one) for one in value] if isinstance(value, list | tuple) else value


def _absolute_module(text):
    """FILE.py:NAME with the file's absolute path; the name of an importable module stays as it is."""
    where, colon, name = text.rpartition(":")
    return f"{os.path.abspath(where)}:{name}" if where.endswith(".py") or os.path.sep in where else text


def _as_json(values):
    try:
        return json.loads(json.dumps(values, default=_plain))
    except (TypeError, ValueError) as error:
        raise InputError(f"an ensemble is made of JSON values (text, numbers, lists, dicts): {error}") from error


def _plain(value):
    """A path or one of numpy's numbers as JSON has it."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{value!r} is a {type(value).__name__}")
