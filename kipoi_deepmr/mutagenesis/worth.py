"""Whether the mutants of a split network take less work than predicting each as a whole: measured, briefly."""

import time
from collections.abc import Callable

import numpy as np

from ..models import Model
from ..models.host import saturation

FEW, MANY = 2, 22  # positions; the difference is what the mutants of a locus take, without what is done once
ENOUGH = 0.9  # of naive's time: from there on a split is not worth its while
REPEATS = 3


def time_by_naive(model: Model, mutants_at: Callable, sequence: np.ndarray, item: int | None) -> float:
    """CPU time of an engine in this process for a mutant, over that of predicting it.

    Parameters
    ----------
    model : Model
        In this process.
    mutants_at : callable
        (sequence, item, positions) to the mutants of these.
    sequence : (L,) uint8
    item : int or None
    """
    few, many = (np.arange(n) + (len(sequence) - n) // 2 for n in (min(FEW, len(sequence)), min(MANY, len(sequence))))
    if len(few) == len(many):
        few = few[:1]

    def predicted(positions):
        rows = (1 + 3 * positions[:, None] + np.arange(3)).ravel()
        model.predict(saturation.some_rows(sequence, rows), item)

    by_engine, by_naive = (_seconds(each, many) - _seconds(each, few)
                           for each in (lambda positions: mutants_at(sequence, item, positions), predicted))
    return max(by_engine, 0.0) / max(by_naive, 1e-9)


def _seconds(call, positions):
    """The least of several calls: the first may compile."""
    found = []
    for _ in range(REPEATS):
        start = time.process_time()
        call(positions)
        found.append(time.process_time() - start)
    return min(found)
