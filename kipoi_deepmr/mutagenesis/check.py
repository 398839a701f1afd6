"""What `check` measures: whether members and marks are fit for DeepMR, and what a run would cost."""

import time
from functools import partial
from typing import NamedTuple

import numpy as np

from ..models.ensemble import ONE_MARK
from ..models.host import saturation
from ..models.host.session import DEFAULT_BATCH_SIZE
from ..models.members import ONE_MODEL
from .engines import Engines

N_RANDOM = 8  # sequences that show whether an output depends on its input
SECONDS = 2.0  # of repeated predictions, at least one
LONG = 10.0  # seconds of the predictions of a batch, beyond which a few sequences must show the speed
FEW = 16  # positions whose mutants are predicted first
SEED = 1


class Measured(NamedTuple):
    """Fitness and cost of an ensemble.

    Attributes
    ----------
    reference : (members, marks) array
        Predictions of the sequence.
    mutants_per_second : float
        Each through all members.
    mutants_per_locus : int
    problems : list of str
        Why the ensemble is not fit for DeepMR; empty if it is.
    """

    reference: np.ndarray
    mutants_per_second: float
    mutants_per_locus: int
    problems: list[str]

    def seconds(self, n_loci: int) -> float:
        """Seconds that `predict` takes on so many loci."""
        return n_loci * self.mutants_per_locus / self.mutants_per_second


def random_sequences(n: int, length: int) -> np.ndarray:
    """Random bases, the same each time: (n, length) uint8."""
    return saturation.BASES[np.random.default_rng(SEED).integers(0, 4, (n, length))]


def measure(engines: Engines, sequence: np.ndarray, item: int | None = None) -> Measured:
    """Predict a sequence, random ones and, with the clock running, mutants by the engines that were chosen.

    Parameters
    ----------
    engines : Engines
        Of an ensemble of one or more members and marks.
    sequence : (L,) uint8
    item : int, optional
        Number of the dataloader's item that it belongs to, if the models need it.
    """
    ensemble = engines.ensemble
    n_mutants = max(1, min(ensemble.batch_size or DEFAULT_BATCH_SIZE, 1 + 3 * len(sequence)) - 1 - N_RANDOM)
    # in one call, since models may be compiled anew for each number of sequences
    sequences = np.concatenate([sequence[None], random_sequences(N_RANDOM, len(sequence)),
                                saturation.rows(sequence, 1, 1 + n_mutants)])
    few = sequences[:1 + N_RANDOM]
    start = time.perf_counter()
    different = ensemble.predict(few, item)
    if (time.perf_counter() - start) / len(few) * len(sequences) > LONG:
        sequences = few
    else:
        ensemble.predict(sequences, item)
    seconds = _seconds(engines, sequence, sequences, item)
    return Measured(different[:, 0], 3 * len(sequence) / seconds, 3 * len(sequence), _problems(ensemble, different))


def _seconds(engines, sequence, sequences, item):
    """What a locus takes: its mutants where an engine predicts them, else its share of sequences of the same length.

    The ensemble has predicted these before, so that it is compiled.
    """
    n, total, each = 1 + 3 * len(sequence), 0.0, engines.by_model
    apart = [engine.is_apart for engine in each]
    whole = [None if engine.is_naive or engine.mutants_at else partial(engine.mutants, sequence, item)
             for engine in each]
    if any(whole):
        total += _timed(lambda: engines.ensemble.ask(whole, _drop, apart))
    in_part = [engine.mutants_at for engine in each]
    if any(in_part):
        total += _of_positions(len(sequence), lambda positions: engines.ensemble.ask(
            [at and partial(at, sequence, item, positions) for at in in_part], _drop, apart))
    predictions = [partial(engine.predict, sequences, item) if engine.is_naive else None for engine in each]
    if any(predictions):
        total += _timed(lambda: engines.ensemble.ask(predictions, _drop, apart)) * n / len(sequences)
    return total


def _of_positions(length, call):
    """Seconds for the mutants of all positions, from those of a few and of as many as a while allows, in the middle."""
    few = min(FEW, length)
    seconds_of_few = _once(call, length, few)
    many = int(min(length, max(2 * few, few * SECONDS / max(seconds_of_few, 1e-9))))
    seconds = _once(call, length, many)
    if many == length:
        return seconds
    return seconds + (length - many) * max(seconds - seconds_of_few, 0.0) / (many - few)


def _once(call, length, n):
    """Seconds for the mutants of n positions in the middle."""
    first = (length - n) // 2
    start = time.perf_counter()
    call(list(range(first, first + n)))
    return time.perf_counter() - start


def _drop(number, answer):
    """Take an answer whose numbers are not needed."""


def _timed(call):
    """Seconds that a call takes, repeated for a while."""
    start, n_done = time.perf_counter(), 0
    while n_done == 0 or time.perf_counter() - start < SECONDS:
        call()
        n_done += 1
    return (time.perf_counter() - start) / n_done


def _problems(ensemble, predicted):
    """Why not, from predictions (members, sequences, marks)."""
    found = list(ensemble.problems)
    if len(ensemble.names) < 2:
        found.append(ONE_MODEL)
    if len(ensemble.marks) < 2:
        found.append(ONE_MARK.format(ensemble.marks[0]))
    finite = np.isfinite(predicted)
    if not finite.all():
        member, _, mark = np.argwhere(~finite)[0]
        found.append(f"member {ensemble.names[member]} predicts {predicted[~finite][0]} for mark "
                     f"{ensemble.marks[mark]}: every prediction must be a finite number")
    varies = (predicted != predicted[:, :1]).any((0, 1))
    if not varies.any():
        found.append("its outputs do not depend on the sequence: they are the same for "
                     f"{predicted.shape[1]} different ones")
    elif varies.sum() < 2 <= len(varies):
        found.append(f"only {ensemble.marks[int(varies.argmax())]} depends on the sequence: all other marks are the "
                     f"same for {predicted.shape[1]} different ones")
    return found
