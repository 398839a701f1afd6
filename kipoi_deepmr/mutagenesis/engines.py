"""Which engine predicts a model's mutants: `--engine`; chosen for each model, and why."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np

from ..errors import InputError
from ..loci import Loci
from ..models import Ensemble, Model, batches
from ..models.host import saturation
from ..models.host.session import DEFAULT_BATCH_SIZE
from ..options import ENGINES
from . import agreement, approximate, exact_engine
from .unusable import Unusable

NAIVE, EXACT = "naive", "exact"
# By name what makes an engine: (model, probes, quiet, marks used) to a function like `Model.mutants`, one like
# `ModelEngine.changed` or None where the model itself must predict other mutants, and why it may be used, in a few
# words. It raises Unusable where it cannot be trusted. probes: see `_probes`.
MAKERS = {EXACT: exact_engine.make, **approximate.MAKERS}
AUTO = {EXACT: exact_engine.make_if_faster}  # what `auto` tries, in this order, before naive
assert {"auto", *MAKERS, NAIVE} == set(ENGINES)
AS_ASKED = "as asked"
SEED = 2
BYTES_OF_SEQUENCES = 1 << 26  # given to a model at a time
MOST_TOGETHER = 32  # loci that an engine takes at once for speed


class Choice(NamedTuple):
    """What predicts the mutants of a model.

    Attributes
    ----------
    model, engine : str
        Their names.
    why : str
        Why this engine.
    batch_size : int or None
        Of the naive engine: as given, or as `models.batches` measures it.
    """

    model: str
    engine: str
    why: str
    batch_size: int | None = None


class ModelEngine(NamedTuple):
    """How the mutants of one of an ensemble's models are predicted.

    Attributes
    ----------
    mutants : callable
        As `Model.mutants`.
    mutants_at : callable or None
        The same for some positions alone, its third argument, where the engine can do that.
    mutants_of : callable or None
        The same for several sequences (n, L), all in a row, where the engine can do that.
    predict : callable or None
        Of the naive engine: as `Model.predict`.
    changed : callable
        From a sequence (L,), mutants of several bases (n, L) and the number of the dataloader's item or None to the
        predictions (replicates, 1 + n, marks) of the sequence and of these.
    is_apart : bool
        Whether another process does the work.
    """

    mutants: Callable
    mutants_at: Callable | None
    mutants_of: Callable | None
    predict: Callable | None
    changed: Callable
    is_apart: bool

    @property
    def is_naive(self) -> bool:
        """Whether each mutant is predicted as a whole."""
        return self.predict is not None


@dataclass(frozen=True)
class Engines:
    """Engines chosen for an ensemble; they predict its mutants.

    Attributes
    ----------
    ensemble : Ensemble
    asked : str
        The engine asked for: one of `ENGINES`.
    choices : tuple of Choice
        One for each model, those of a stack one by one.
    by_model : tuple of ModelEngine
        One for each of the ensemble's models.
    agreement : dict or None
        Of engines that approximate, what `agreement.measure` found on a sample of loci.
    """

    ensemble: Ensemble
    asked: str
    choices: tuple[Choice, ...]
    by_model: tuple[ModelEngine, ...]
    agreement: dict | None = None

    def mutants(self, sequence: np.ndarray, item: int | None = None,
                positions: np.ndarray | None = None) -> np.ndarray:
        """Predictions of every member of a sequence and its single mutants.

        Parameters
        ----------
        sequence : (L,) uint8
        item : int, optional
            As for `Ensemble.predict`.
        positions : (P,) array of int, optional
            Mutated positions from 0, ascending; all L by default.

        Returns
        -------
        (members, 1 + 3 P, marks) float32 or float64
            The sequence itself first, then its mutants in the order of `mutagenesis.saturation_mutants`.
        """
        if positions is None:
            calls = [partial(engine.mutants, sequence, item) for engine in self.by_model]
            return self.ensemble.answers(1 + 3 * len(sequence), calls, self._apart)
        calls = [partial(_mutants_at, engine, sequence, item, positions) for engine in self.by_model]
        return self.ensemble.answers(1 + 3 * len(positions), calls, self._apart)

    def mutants_of(self, sequences: np.ndarray) -> np.ndarray:
        """`mutants` of several sequences of one length, which engines take together where that saves time.

        Parameters
        ----------
        sequences : (n, L) uint8

        Returns
        -------
        (n, members, 1 + 3 L, marks) float32 or float64
        """
        n, n_rows = len(sequences), 1 + 3 * sequences.shape[1]
        if n == 1:
            return self.mutants(sequences[0])[None]
        calls = [partial(_in_a_row, engine, sequences) for engine in self.by_model]
        found = self.ensemble.answers(n * n_rows, calls, self._apart)
        return found.reshape(len(found), n, n_rows, -1).swapaxes(0, 1)

    def changed(self, sequence: np.ndarray, mutants: np.ndarray, item: int | None = None) -> np.ndarray:
        """Predictions of every member of a sequence and of mutants of several bases.

        Parameters
        ----------
        sequence : (L,) uint8
        mutants : (n, L) uint8
        item : int, optional
            As for `Ensemble.predict`.

        Returns
        -------
        (members, 1 + n, marks) float32 or float64
        """
        calls = [partial(engine.changed, sequence, mutants, item) for engine in self.by_model]
        return self.ensemble.answers(1 + len(mutants), calls, self._apart)

    def n_together(self, length: int) -> int:
        """How many loci `mutants_of` takes best at once: those whose mutants fill a batch, or many short ones."""
        batch = (self.ensemble.batch_size or DEFAULT_BATCH_SIZE) // (1 + 3 * length)
        is_short = length < exact_engine.LONG and any(engine.mutants_of for engine in self.by_model)
        return max(1, batch, MOST_TOGETHER if is_short else 1)

    @property
    def _apart(self):
        return [engine.is_apart for engine in self.by_model]

    @property
    def setting(self) -> str | list[str]:
        """The engines as a setting of a run: one name, or one for each model where they differ."""
        names = [choice.engine for choice in self.choices]
        return names[0] if len(set(names)) == 1 else names

    def to_json(self) -> dict:
        """What run.json and a store hold: the engine asked for, for each model the one used, and why; agreement."""
        found = {"engines": {"asked": self.asked, "used": [choice._asdict() for choice in self.choices]}}
        return {**found, "approximation": self.agreement} if self.agreement else found

    def notes(self) -> list[str]:
        """A line about models that are predicted naively though nobody asked for it, and one about split networks."""
        refused = [choice for choice in self.choices if choice.engine == NAIVE and choice.why != AS_ASKED]
        split = [choice for choice in self.choices if choice.why.startswith(exact_engine.SPLIT)]
        return [f"engine {choices[0].engine} for {choices[0].model}"
                f"{f' and {len(choices) - 1} more' if len(choices) > 1 else ''}: {choices[0].why}"
                for choices in (refused, split) if choices]


def choose(ensemble: Ensemble, engine: str = "auto", loci: Loci | None = None, quiet: bool = True,
           tried: Callable[[int, int], object] | None = None) -> Engines:
    """Choose the engine of each model of an ensemble.

    Parameters
    ----------
    ensemble : Ensemble
    engine : str
        One of `options.ENGINES`; auto takes the exact one where it can be trusted.
    loci : Loci, optional
        The first one is among the sequences that engines are tried on; on a sample of them approximations are compared
        with exact effects.
    quiet : bool
        Do not tell that machine code is compiled.
    tried : callable, optional
        Called whenever the engine of a model, or of a part of a stack, is chosen, with its number from 1 and how many
        there are.

    Raises
    ------
    InputError
        The engine asked for by name cannot be used for a model, or a network of this process has changed.
    """
    ensemble.check_unchanged()
    probes = _probes(ensemble, loci)

    n_parts = sum(len(model.parts) or 1 for model in ensemble.models)

    def chosen_of(part, number, used):
        found = _sized(part, _chosen(part, engine, probes, quiet, used), ensemble.batch_size, batches.batch_size)
        if tried:
            tried(number + 1, n_parts)
        return found

    chosen = _engines(ensemble, engine, chosen_of)
    if loci is None or not any(choice.engine in approximate.MAKERS for choice in chosen.choices):
        return chosen
    measured = agreement.measure(choose(ensemble, "auto", loci, quiet), chosen, loci, ensemble.marks)
    return Engines(ensemble, engine, chosen.choices, chosen.by_model, {"engine": chosen.setting, **measured})


def again(ensemble: Ensemble, choices: Sequence[tuple[str, int | None]]) -> Engines:
    """The engines that were chosen elsewhere for the same models.

    Parameters
    ----------
    ensemble : Ensemble
    choices : sequence of (str, int or None)
        Engine and batch size of each model, as `Engines.choices` has them.

    Raises
    ------
    InputError
        One of them cannot be used here.
    """
    probes = _probes(ensemble, None)
    return _engines(ensemble, "auto", lambda part, number, used: _sized(
        part, _chosen(part, choices[number][0], probes, True, used), choices[number][1], batches.batch_size))


def naive(ensemble: Ensemble) -> Engines:
    """The naive engine for all models, in batches of the ensemble's size."""
    return _engines(ensemble, NAIVE, lambda part, *_: (
        part.mutants, None, Choice(part.describe().name, NAIVE, AS_ASKED)))


def _engines(ensemble, asked, chosen):
    """The engines of an ensemble by `chosen(part of a model, its number, its marks used)`, as `_chosen` gives them."""
    by_model, choices = [], []
    for number, model in enumerate(ensemble.models):
        parts = list(model.parts) or [model]
        used = _used(ensemble.columns_used(number), [len(part.describe().marks) for part in parts])
        made = [chosen(part, len(choices) + k, used[k]) for k, part in enumerate(parts)]
        choices += [choice for *_, choice in made]
        by_model.append(_of_model(model, parts, made))
    return Engines(ensemble, asked, tuple(choices), tuple(by_model))


def _used(columns, sizes):
    """Marks that are used of each part of a model, from those of the model and the number of marks of each part."""
    first = np.cumsum([0, *sizes])
    return [[column - start for column in columns if start <= column < start + size]
            for start, size in zip(first, sizes, strict=False)]


def _of_model(model, parts, made):
    """The `ModelEngine` of a model from the mutants and choices of its parts."""
    functions, changed, choices = zip(*made, strict=True)
    is_naive = all(choice.engine == NAIVE for choice in choices)
    predicts = [_predict(part, choice) for part, choice in zip(parts, choices, strict=True)]
    predict = _side_by_side(predicts) if is_naive else None
    is_apart = model.own_process and all(map(_is_apart, choices))
    is_exact = all(choice.engine == EXACT for choice in choices)
    mutants = _side_by_side(functions)
    others = _side_by_side([each or partial(_each_as_a_whole, whole) for each, whole in zip(changed, predicts,
                                                                                            strict=True)])
    return ModelEngine(mutants, *(2 * [mutants if is_exact else None]), predict, others, is_apart)


def _each_as_a_whole(predict, sequence, mutants, item):
    """`ModelEngine.changed` by a model's predictions; mutants go to it in pieces."""
    sequences, step = np.concatenate([sequence[None], mutants]), max(1, BYTES_OF_SEQUENCES // len(sequence))
    return np.concatenate([predict(sequences[first:first + step], item) for first in range(0, len(sequences), step)],
                          axis=1)


def _is_apart(choice):
    """Whether a model's own process does the work of its engine, most of it at least."""
    return choice.engine in (NAIVE, *approximate.MAKERS) or choice.why.startswith(exact_engine.SPLIT)


def _predict(part, choice):
    return partial(part.predict, batch_size=choice.batch_size) if choice.batch_size else part.predict


def _sized(part, chosen, batch_size, measured):
    """What `_chosen` gives, with the batch size of a naive one: as given, else as `measured` for it."""
    mutants, changed, choice = chosen
    if choice.engine != NAIVE or not hasattr(part, "measure_batch"):
        return chosen
    batch_size = batch_size or measured(part)
    return partial(mutants, batch_size=batch_size), changed, choice._replace(batch_size=batch_size)


def _chosen(part: Model, engine, probes, quiet, used):
    """What predicts the single mutants of a model or of a part of a stack, what others, and the choice of it."""
    name = part.describe().name
    refused = AS_ASKED
    makers = AUTO if engine == "auto" else {engine: MAKERS[engine]} if engine != NAIVE else {}
    for candidate, make in makers.items():
        try:
            mutants, changed, why = make(part, probes, quiet, used)
            return mutants, changed, Choice(name, candidate, why)
        except Unusable as error:
            refused = str(error)
            if engine != "auto":
                raise InputError(f"--engine {engine}: model {name}: {refused}") from error
    return part.mutants, None, Choice(name, NAIVE, refused)


def _side_by_side(functions):
    """What the parts of a stack give, side by side; a single function as it is."""
    if len(functions) == 1:
        return functions[0]
    return lambda *arguments: np.concatenate([f(*arguments) for f in functions], axis=-1)


def _mutants_at(engine, sequence, item, positions):
    """A sequence and the mutants of some positions, as `ModelEngine.mutants` gives those of all."""
    if engine.mutants_at:
        return engine.mutants_at(sequence, item, positions)
    rows = np.r_[0, (1 + 3 * positions[:, None] + np.arange(3)).ravel()]
    if not engine.is_naive:
        return engine.mutants(sequence, item)[:, rows]
    step = max(1, BYTES_OF_SEQUENCES // len(sequence))
    return np.concatenate([engine.predict(saturation.some_rows(sequence, rows[first:first + step]), item)
                           for first in range(0, len(rows), step)], axis=1)


def _in_a_row(engine, sequences):
    """Mutants of several sequences in a row."""
    if engine.mutants_of:
        return engine.mutants_of(sequences)
    if engine.is_naive:
        n_rows = 1 + 3 * sequences.shape[1]
        return engine.predict(np.concatenate([saturation.rows(sequence, 0, n_rows) for sequence in sequences]))
    return np.concatenate([engine.mutants(sequence) for sequence in sequences], axis=1)


def _probes(ensemble, loci):
    """Sequences to try engines on, each with the number of its dataloader's item: a random one, and the first locus."""
    tried = []
    if ensemble.length and not ensemble.needs_item:
        tried.append((saturation.BASES[np.random.default_rng(SEED).integers(0, 4, ensemble.length)], None))
    if loci is not None:
        tried.append((loci.sequences[0], loci.item_of(0)))
    return tried
