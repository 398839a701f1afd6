"""Whether another engine predicts as the model does: the reference and a sample of mutants, and their effects."""

from collections.abc import Callable, Sequence

import numpy as np

from .. import dna
from ..models import Model
from ..models.host import saturation
from .unusable import Unusable

PREDICTIONS = 1e-4  # of the mark's largest prediction: what predictions may differ by
EFFECTS = 1e-3  # of the mark's largest effect: the same for effects; float32 alone costs BPNet's 5e-4 to 9e-4
ROUNDING = 1e-5  # of the largest prediction: float32 through some tens of layers, where effects are smaller than that


WIDE = 8  # bases of the mutants of several that are tried


def check(model: Model, mutants: Callable, changed: Callable, probes: list, used: Sequence[int]) -> None:
    """Raise `Unusable` unless an engine predicts what a model does, where it is tried.

    Parameters
    ----------
    model : Model
    mutants : callable
        As `Model.mutants`, with the mutated positions as a third argument; it returns the mutants of these alone.
    changed : callable
        As `ModelEngine.changed`.
    probes : list of ((L,) uint8, int or None)
        Sequences, each with the number of its dataloader's item.
    used : sequence of int
        The marks that are compared.

    Raises
    ------
    Unusable
        Predictions or effects differ by too much; the message names the mark.
    """
    expected, found = [], []
    for sequence, item in probes:
        positions = sample(len(sequence))
        rows = [0, *(1 + 3 * position + k for position in positions for k in range(3))]
        wide = with_windows(sequence, positions)
        tried = np.concatenate([*(saturation.rows(sequence, row, row + 1) for row in rows), wide])
        expected.append(model.predict(tried, item)[..., used])
        found.append(np.concatenate([mutants(sequence, item, positions), changed(sequence, wide, item)[:, 1:]],
                                    axis=1)[..., used])
    marks, rounding = [model.describe().marks[k] for k in used], ROUNDING
    if not marks:
        return
    if not any(np.array_equal(each.astype(np.float32), each, equal_nan=True) for each in expected):
        rounding = 0.0  # the model computes in float64: small effects beside large numbers are no rounding
    expected, found = (np.stack(each).astype(np.float64) for each in (expected, found))  # (probe, replicate, row, mark)
    for some in (np.arange(len(rows)), np.r_[0, len(rows):expected.shape[2]]):
        _compare(expected[:, :, some], found[:, :, some], rounding, marks)


def _compare(expected, found, rounding, marks):
    """Raise `Unusable` unless numbers agree: (probe, replicate, row, mark), the sequence itself first."""
    effects, ours = (each[:, :, 1:] - each[:, :, :1] for each in (expected, found))
    size, size_of_effects = (np.abs(each).max((0, 1, 2)) for each in (expected, effects))
    allowed = EFFECTS * size_of_effects
    _refuse(_largest(found - expected), PREDICTIONS * size + allowed, size, marks, "predictions")
    _refuse(_largest(ours - effects), rounding * size + allowed, size_of_effects, marks, "effects")


def sample(length: int) -> list[int]:
    """The first, the last and some positions between."""
    wanted = [0, 1, length // 4, length // 2, length * 3 // 4, length - 2, length - 1]
    return np.unique(np.clip(wanted, 0, length - 1)).tolist()


def with_windows(sequence: np.ndarray, positions: Sequence[int]) -> np.ndarray:
    """A sequence with its complement in a window of `WIDE` bases that begins at a position: (positions, L) uint8."""
    made = np.repeat(sequence[None], len(positions), axis=0)
    for mutant, position in zip(made, positions, strict=True):
        mutant[position:position + WIDE] = dna.complement(mutant[position:position + WIDE])
    return made


def _largest(differences):
    return np.nan_to_num(np.abs(differences), nan=np.inf).max((0, 1, 2))


def _refuse(differing, allowed, size, marks, what):
    """Raise `Unusable` for the mark that is furthest beyond what is allowed."""
    if (differing <= allowed).all():
        return
    mark = int(np.argmax(differing / np.maximum(allowed, np.finfo(np.float32).tiny)))
    share = differing[mark] / max(size[mark], np.finfo(np.float32).tiny)
    raise Unusable(f"its {what} differ from the graph's by {share:.1e} of the largest (mark {marks[mark]})")
