"""The exact engine for a model: its graph, how its marks follow from that, and whether both can be trusted."""

import logging
import math
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from .. import dna
from ..errors import InputError
from ..exact import Engine, UnknownLayer, outputs_of
from ..models import Description, Model
from ..models.host.errors import ModelError
from ..models.internals import Internals
from ..threads import n_threads
from . import trust, worth
from .graphs import graph_of
from .readings import find_readings
from .unusable import Unusable

N_PROBES = 4  # sequences that show how a model's output follows from its graph's
MOST_BYTES = 1 << 30  # of the outputs of all mutants of a sequence
LONG = 200  # bases from which on a second thread pays
SEED = 3
SPLIT = "split"  # how the reason of a split network begins


def make(model: Model, probes: list, quiet: bool, used: list,
         must_be_faster: bool = False) -> tuple[Callable, Callable, str]:
    """What `engines.MAKERS` asks for, once the mutants have shown that they are those of the model.

    Parameters
    ----------
    model : Model
    probes : list of ((L,) uint8, int or None)
    quiet : bool
        Do not tell that machine code is compiled.
    used : list of int
        The marks that must agree.
    must_be_faster : bool
        Refuse a split network that takes as long as predicting every mutant.

    Returns
    -------
    callable, callable, str

    Raises
    ------
    Unusable
    """
    described = model.describe()
    if described.internals is None or not probes:
        raise Unusable("it takes more than one-hot DNA" if described.needs_item else "it is no network that is known")
    try:
        internals = model.internals()
    except ModelError as error:
        raise Unusable(str(error)) from error
    if any(view.shift for view in internals.views):
        raise Unusable("its shifted views hold unknown bases")
    engine = ExactEngine(described, internals, len(probes[0][0]))
    try:
        with _telling(not quiet):
            trust.check(model, engine.mutants, engine.changed, probes, used)
    except UnknownLayer as error:
        raise Unusable(str(error)) from error
    why = f"it predicts what the model does, within {trust.PREDICTIONS:g} of the largest prediction"
    if not engine.unknown:
        return engine.mutants, engine.changed, why
    taken = worth.time_by_naive(model, engine.mutants, *probes[0], internals.cpu_seconds)
    if must_be_faster and taken > worth.ENOUGH:
        raise Unusable(f"{engine.unknown}, and to split the network there takes {taken:.1f} times as long")
    why = (f"{SPLIT} at what is not known, which the model itself computes ({engine.unknown}): {taken:.2f} of naive's "
           f"time; {why}")
    return _naming(described.name, engine.mutants), _naming(described.name, engine.changed), why


def _naming(name, function):
    """The function, which names the model where what that itself computes fails."""
    def named(*arguments):
        try:
            return function(*arguments)
        except UnknownLayer as error:
            raise InputError(f"model {name}: {error}") from error
    return named


def make_if_faster(model: Model, probes: list, quiet: bool, used: list) -> tuple[Callable, Callable, str]:
    """`make`, which refuses a split network that takes as long as predicting every mutant."""
    return make(model, probes, quiet, used, must_be_faster=True)


class ExactEngine:
    """Predicts all mutants of a sequence as a model does, by the differences that they make.

    Parameters
    ----------
    described : Description
    internals : Internals
    length : int
        Of sequences.

    Attributes
    ----------
    unknown : str
        A sentence about the first layer that the network itself computes, with all that follows; empty if none does.

    Raises
    ------
    Unusable
        The network is not known, or how the model's output follows from it.
    """

    def __init__(self, described: Description, internals: Internals, length: int):
        self._name, self._marks, self._views = described.name, internals.marks, internals.views
        graph = graph_of(internals)
        self.unknown = graph.rest.why if graph.rest else ""
        if graph.length not in (None, length):
            raise Unusable(f"its network takes {graph.length} bases, not {length}")
        sequences = dna.BASES[np.random.default_rng(SEED).integers(0, 4, (N_PROBES, length))]
        try:
            values = outputs_of(graph, dna.one_hot(sequences, graph.alphabet))
            self._readings = find_readings(graph, values, internals.marks, internals.outputs(sequences))
            nodes = {node.name: node for reading in self._readings for node in reading.nodes}
            graph = replace(graph, nodes=(*graph.nodes, *nodes.values()))
            self._wanted = list(dict.fromkeys(output for reading in self._readings for output in reading.wanted))
            self._sizes = _sizes({name: value.shape[1:] for name, value in values.items()}, nodes, self._wanted, length)
            graphs = _masked(graph, internals.masks, length)
            self._engines = [Engine(each, self._wanted, threads(length)) for each in graphs]
        except (UnknownLayer, ModelError) as error:
            raise Unusable(str(error)) from error

    def mutants(self, sequence: np.ndarray, item: int | None = None,
                positions: Sequence[int] | None = None) -> np.ndarray:
        """See `Model.mutants`; with `positions`, ascending, the mutants of these alone. Of several
        sequences, (n, L), all in a row.

        Raises
        ------
        UnknownLayer
            What the network itself computes fails.
        """
        replicates, sequences = [], np.atleast_2d(sequence)
        for engine in self._engines:
            for view in self._views:
                seen = positions
                if view.reverse and positions is not None:
                    seen = [sequences.shape[1] - 1 - position for position in reversed(positions)]
                numbers = engine.mutants_of(view.apply(sequences), seen)
                marks = self._marks_of(numbers.reshape(-1, numbers.shape[-1])).reshape(*numbers.shape[:2], -1)
                if view.reverse:  # mutants come in the opposite order
                    marks = np.concatenate([marks[:, :1], marks[:, :0:-1]], axis=1)
                replicates.append(marks.reshape(-1, marks.shape[-1]))
        return np.stack(replicates)

    def changed(self, sequence: np.ndarray, mutants: np.ndarray, item: int | None = None) -> np.ndarray:
        """See `engines.ModelEngine.changed`."""
        return np.stack([self._marks_of(engine.changed(view.apply(sequence[None])[0], view.apply(mutants)))
                         for engine in self._engines for view in self._views])

    def _marks_of(self, numbers):
        """Marks from what the engine gives."""
        parts = np.split(numbers.astype(np.float64), np.cumsum(self._sizes)[:-1], axis=1)
        by_output = dict(zip(self._wanted, parts, strict=True))
        columns = [reading.columns([by_output[output] for output in reading.wanted]) for reading in self._readings]
        try:
            return self._marks.of_columns(np.concatenate(columns, axis=1))
        except ModelError as error:
            raise InputError(f"model {self._name}: {error}") from error


def threads(length: int) -> int:
    """Most threads over positions: one for short sequences, else two or more, whether or not there are so many."""
    return 1 if length < LONG else max(2, n_threads())


def _sizes(shapes_of, nodes, wanted, length):
    """How many numbers the engine gives for each output wanted, from the outputs' shapes; `nodes` keep those."""
    known, sizes = {**shapes_of, **{name: shapes_of[node.inputs[0]] for name, node in nodes.items()}}, []
    for output in wanted:
        shape = known[output.name]
        if len(shape) == 2 and output.window:
            shape = (output.window[1] - output.window[0], shape[1])
        sizes.append(shape[-1] if output.summary else math.prod(shape))
    if 12 * sum(sizes) * (1 + 3 * length) > MOST_BYTES:
        raise Unusable(f"its {sum(sizes):,} outputs of all mutants would take too much memory")
    return sizes


def _masked(graph, masks, length):
    """The graph, or with dropout masks one for each."""
    if not masks:
        return [graph]
    try:
        return [graph.with_masks(dict(mask), length, number) for number, mask in enumerate(masks)]
    except (KeyError, ValueError) as error:
        raise Unusable(f"its dropout layers are not those of its graph ({error})") from error


@contextmanager
def _telling(is_told):
    """Within this context the exact engine says that it is compiled, or not."""
    logger = logging.getLogger("kipoi_deepmr")
    if is_told:
        yield
        return

    def refuse(record):
        return False

    logger.addFilter(refuse)
    try:
        yield
    finally:
        logger.removeFilter(refuse)
