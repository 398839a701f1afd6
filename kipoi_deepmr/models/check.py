"""What `check` measures: whether members and marks are fit for DeepMR, and what a run would cost."""

import time
from typing import NamedTuple

import numpy as np

from .ensemble import ONE_MARK, ONE_MODEL
from .host import saturation
from .host.session import DEFAULT_BATCH_SIZE

N_RANDOM = 8  # sequences that show whether an output depends on its input
SECONDS = 2.0  # of repeated predictions, at least one
SEED = 1


class Measured(NamedTuple):
    """What was found.

    Attributes
    ----------
    reference : (members, marks) float32
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
    problems: list

    def hours(self, n_loci):
        """Hours that `predict` takes on so many loci."""
        return n_loci * self.mutants_per_locus / self.mutants_per_second / 3600


def random_sequences(n, length):
    """Random bases, the same each time: (n, length) uint8."""
    return saturation.BASES[np.random.default_rng(SEED).integers(0, 4, (n, length))]


def measure(ensemble, sequence, item=None, batch_size=None):
    """Predict a sequence, random ones and, with the clock running, mutants by the engines that the ensemble uses.

    Parameters
    ----------
    ensemble : Ensemble
        Of one or more members and marks.
    sequence : (L,) uint8
    item : int, optional
        Number of the dataloader's item that it belongs to, if the members need it.
    batch_size : int, optional
        Most sequences in one call of a model.

    Returns
    -------
    Measured
    """
    n_mutants = max(1, min(batch_size or DEFAULT_BATCH_SIZE, 1 + 3 * len(sequence)) - 1 - N_RANDOM)
    # in one call, since models may be compiled anew for each number of sequences
    sequences = np.concatenate([sequence[None], random_sequences(N_RANDOM, len(sequence)),
                                saturation.rows(sequence, 1, 1 + n_mutants)])
    different = ensemble.predict(sequences, item)[:, :1 + N_RANDOM]
    seconds = _seconds(ensemble, sequence, sequences, item)
    return Measured(different[:, 0], 3 * len(sequence) / seconds, 3 * len(sequence), _problems(ensemble, different))


def _seconds(ensemble, sequence, sequences, item):
    """What a locus takes: its mutants where an engine predicts them, else its share of sequences of the same length.

    The ensemble has predicted these before, so that it is compiled.
    """
    n, is_naive, total = 1 + 3 * len(sequence), ensemble.is_naive, 0.0
    if not all(is_naive):
        functions = [None if naive else function for function, naive in zip(ensemble.functions, is_naive, strict=True)]
        total += _timed(lambda: ensemble.answers(n, functions, sequence, item))
    if any(is_naive):
        functions = [member.predict if naive else None
                     for member, naive in zip(ensemble.members, is_naive, strict=True)]
        total += _timed(lambda: ensemble.answers(len(sequences), functions, sequences, item)) * n / len(sequences)
    return total


def _timed(call):
    """Seconds that a call takes, repeated for a while."""
    start, n_done = time.perf_counter(), 0
    while n_done == 0 or time.perf_counter() - start < SECONDS:
        call()
        n_done += 1
    return (time.perf_counter() - start) / n_done


def _problems(ensemble, predicted):
    """Why not, from predictions (members, sequences, marks)."""
    found = []
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
