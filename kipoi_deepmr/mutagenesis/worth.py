"""Whether the mutants of a split network take less work than predicting each as a whole: measured, briefly."""

from collections.abc import Callable

import numpy as np

from ..models import Model
from ..models.host import saturation

FEW, MANY = 2, 22  # positions; the difference is what the mutants of a locus take, without what is done once
CLEAR = 0.1  # CPU-seconds that naive takes for many positions; where it takes less, twice as many are tried
ENOUGH = 0.9  # of naive's time: from there on a split is not worth its while
REPEATS = 3
LEAST = 1e-9  # seconds: less than any clock tells


def time_by_naive(model: Model, mutants_at: Callable, sequence: np.ndarray, item: int | None,
                  cpu_seconds: Callable) -> float:
    """CPU time of an engine for a mutant, over that of predicting it.

    Parameters
    ----------
    model : Model
    mutants_at : callable
        (sequence, item, positions) to the mutants of these.
    sequence : (L,) uint8
    item : int or None
    cpu_seconds : callable
        CPU time that all who work have taken, since some moment.
    """
    def by_engine(positions):
        mutants_at(sequence, item, positions)

    def predicted(positions):
        rows = (1 + 3 * positions[:, None] + np.arange(3)).ravel()
        model.predict(saturation.some_rows(sequence, rows), item)

    length, n = len(sequence), min(MANY, len(sequence))
    while n < length and _seconds(predicted, _middle(n, length), cpu_seconds, 1) < CLEAR:
        n = min(2 * n, length)
    positions = _middle(n, length), _middle(max(1, min(FEW, n - 1)), length)
    (ours, ours_few), (naive, naive_few) = ([_seconds(each, some, cpu_seconds) for some in positions]
                                            for each in (by_engine, predicted))
    if naive <= naive_few:  # too little work to tell what one more position takes
        return ours / max(naive, LEAST)
    return max(ours - ours_few, 0.0) / (naive - naive_few)


def _middle(n, length):
    return np.arange(n) + (length - n) // 2


def _seconds(call, positions, cpu_seconds, repeats=REPEATS):
    """The least of several calls: the first may compile."""
    found = []
    for _ in range(repeats):
        start = cpu_seconds()
        call(positions)
        found.append(cpu_seconds() - start)
    return min(found)
