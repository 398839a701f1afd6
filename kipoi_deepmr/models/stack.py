"""Several models of few marks as one model of many: `--stack`."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from ..errors import InputError
from ..loci import Genome
from .dataloader import DataloaderSource
from .model import Description, Model
from .patterns import matching_models, short_name

MOST_SHOWN = 3  # ways in which models of a stack are read, in a description


def stacks_of(texts: Sequence[str], source: str | None = None) -> list[list[tuple[str | None, str]]]:
    """Which models make up each stack.

    Parameters
    ----------
    texts : sequence of str
        `MODEL`, whose marks keep their own names (a single one takes the model's); or `MARK=MODEL`, which names it.
        `MARK=MODEL,MODEL,...`, or a pattern in its place, gives as many stacks: the k-th models of all marks make the
        k-th, and each is a model of an ensemble.
    source : str

    Returns
    -------
    list of list of (str or None, str)
        For each stack the names of marks, None where not given, and the models.

    Raises
    ------
    InputError
        A pattern matches nothing, a mark is named twice, or marks have different numbers of models.
    """
    parts = [part for text in texts for part in _parts(text, source)]
    marks = [mark for mark, _ in parts if mark is not None]
    for mark in marks:
        if marks.count(mark) > 1:
            raise InputError(f"--stack: mark {mark} is named twice")
    if len({len(models) for _, models in parts}) > 1:
        counts = ", ".join(f"{mark or models[0]} has {len(models)}" for mark, models in parts)
        raise InputError(f"--stack: every mark needs as many models, one for each member: {counts}")
    return [[(mark, models[k]) for mark, models in parts] for k in range(len(parts[0][1]))]


def _parts(text, source):
    """(mark, its models) of one text; every model without a mark is a part of its own."""
    mark, equals, models = text.partition("=")
    if not equals:
        return [(None, [model]) for model in matching_models([text], source)]
    if not mark or not all(models.split(",")):
        raise InputError(f"--stack: {text!r} is not of the form MARK=MODEL,MODEL")
    return [(mark, matching_models(models.split(","), source))]


def stacked(stacks: Sequence[Sequence[str | None]], models: Sequence[Model]) -> list["StackedModel"]:
    """Models as stacks: `stacks` holds for each the names of its marks, `models` those of all stacks in a row."""
    rest = iter(models)
    return [StackedModel(f"stack{k}", [(mark, next(rest)) for mark in stack]) for k, stack in enumerate(stacks, 1)]


class StackedModel(Model):
    """Models with the same input as one with the marks of all.

    Parameters
    ----------
    name : str
        Of the stack.
    parts : sequence of (str or None, Model)
        With the name of its mark, or of what comes before its marks' names if it has several.

    Raises
    ------
    InputError
        The parts take different input, give marks of the same name or different replicates, or need more than DNA.
    """

    def __init__(self, name: str, parts: Sequence[tuple[str | None, Model]]):
        self._name = name
        self.parts = [model for _, model in parts]
        self.own_process = any(model.own_process for model in self.parts)
        described = [model.describe() for model in self.parts]
        for other in described:
            _check_usable(other)
            _check_agreement(described[0], other)
        _check_different(described)
        self._marks = _marks([mark for mark, _ in parts], described)

    def describe(self) -> Description:
        """See `Model.describe`."""
        described = [model.describe() for model in self.parts]
        digest = hashlib.sha256("\n".join([*self._marks, *(d.checksum for d in described)]).encode())
        notes = tuple(f"{d.name}: {note}" for d in described for note in d.notes)
        frameworks = "; ".join(dict.fromkeys(d.framework for d in described))
        read = list(dict.fromkeys(d.outputs for d in described if d.outputs))
        more = f"; and {len(read) - MOST_SHOWN} more" if len(read) > MOST_SHOWN else ""
        outputs = f"{len(described)} models stacked: {len(self._marks)} marks" + "".join(
            f"; {text}" for text in read[:MOST_SHOWN]) + more
        precisions = {d.precision for d in described}
        return described[0]._replace(name=self._name, marks=self._marks, checksum=digest.hexdigest(), notes=notes,
                                     framework=frameworks, outputs=outputs,
                                     precision=precisions.pop() if len(precisions) == 1 else None)

    def predict(self, sequences: np.ndarray, item: int | None = None) -> np.ndarray:
        """See `Model.predict`."""
        return np.concatenate([model.predict(sequences) for model in self.parts], axis=-1)

    def mutants(self, sequence: np.ndarray, item: int | None = None) -> np.ndarray:
        """See `Model.mutants`."""
        return np.concatenate([model.mutants(sequence) for model in self.parts], axis=-1)

    def probe(self, again: bool = False) -> np.ndarray | None:
        """See `Model.probe`."""
        probes = [model.probe(again) for model in self.parts]
        return None if any(probe is None for probe in probes) else np.concatenate(probes, axis=-1)

    def dataloader(self, arguments: Mapping, genome: Genome | None = None,
                   resize: str | None = None) -> DataloaderSource:
        """The loci of the first model's own dataloader; see `KipoiModel.dataloader`."""
        return self.parts[0].dataloader(arguments, genome, resize)

    def close(self) -> None:
        """See `Model.close`."""
        for model in self.parts:
            model.close()


def _check_usable(described: Description):
    if described.needs_item or not described.marks:
        raise InputError(f"--stack: model {described.name} must see its dataloader's loci to predict; "
                         "models that take DNA of a fixed length alone can be stacked")


def _check_agreement(first, other):
    for what, mine, theirs in (("sequence length", first.length, other.length),
                               ("alphabet", first.alphabet, other.alphabet),
                               ("dropout masks or views", ", ".join(first.replicates), ", ".join(other.replicates))):
        if mine != theirs:
            raise InputError(f"--stack: models must take the same input, but the {what} of {first.name} is {mine} "
                             f"and that of {other.name} is {theirs}")


def _check_different(described):
    seen = {}
    for d in described:
        if d.checksum in seen:
            raise InputError(f"--stack: models {seen[d.checksum]} and {d.name} are the same model (same files)")
        seen[d.checksum] = d.name


def _marks(given, described):
    """Names of all marks."""
    names = [name for mark, d in zip(given, described, strict=True) for name in _names(mark, d)]
    if len(set(names)) < len(names):
        # models of the same marks: their own names tell them apart
        names = [name for mark, d in zip(given, described, strict=True)
                 for name in _names(mark or short_name(d.name), d)]
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        raise InputError(f"--stack: two marks are called {twice[0]}; name them, as in A=MODEL B=MODEL")
    return tuple(names)


def _names(mark, described):
    if len(described.marks) == 1:
        return [mark or short_name(described.name)]
    return [f"{mark}/{label}" if mark else label for label in described.marks]
