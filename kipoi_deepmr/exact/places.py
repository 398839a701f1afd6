"""Where mutants change a sequence: places of three mutants each, which the compiled code takes together."""

import numpy as np

from ..errors import InputError
from .instructions import Places

NEAR = 8  # bases between the ends of two mutants that may share a place


def single_places(bases: np.ndarray, positions: np.ndarray | None = None) -> Places:
    """The three single mutants of each position, or of some, of several sequences.

    Parameters
    ----------
    bases : (sequence, L) uint8
        Sequences as numbers of their letters, as `instructions.Inputs` has them.
    positions : array of int, optional
        Ascending.

    Raises
    ------
    InputError
        `positions` are not ascending positions of the sequence.
    """
    length = bases.shape[1]
    positions = np.arange(length) if positions is None else np.asarray(positions, np.int64).reshape(-1)
    if not len(positions) or (np.diff(positions) <= 0).any() or positions[0] < 0 or positions[-1] >= length:
        raise InputError(f"mutated positions must ascend from 0 to {length - 1} at most, but they are {positions}")
    others = np.arange(3, dtype=np.uint8) + (np.arange(3) >= bases[:, positions, None])
    return Places(positions, positions + 1, others.astype(np.uint8)[..., None])


def places_of(bases: np.ndarray, mutants: np.ndarray) -> tuple[Places, np.ndarray]:
    """Mutants by the stretches that they change.

    Parameters
    ----------
    bases : (L,) uint8
    mutants : (n, L) uint8

    Returns
    -------
    places : Places
        Of one sequence. Filled up with the sequence itself where fewer than three mutants share a place.
    rows : (n,) int64
        Where each mutant is among those of the places: three times the place, plus its number there.
    """
    differs = mutants != bases
    starts = differs.argmax(1)
    stops = np.where(differs.any(1), mutants.shape[1] - differs[:, ::-1].argmax(1), 1)
    order = np.lexsort((stops, starts))
    rows, groups = np.empty(len(order), np.int64), []
    for mutant in order.tolist():
        start, stop = int(starts[mutant]), int(stops[mutant])
        if not groups or len(groups[-1][2]) == 3 or start > groups[-1][1] + NEAR:
            groups.append([start, stop, []])
        group = groups[-1]
        rows[mutant] = 3 * (len(groups) - 1) + len(group[2])
        group[1] = max(group[1], stop)
        group[2].append(mutant)
    starts, stops = (np.array([group[end] for group in groups], np.int64) for end in (0, 1))
    letters = np.zeros((1, len(groups), 3, int((stops - starts).max())), np.uint8)
    for place, (start, stop, numbers) in enumerate(groups):
        letters[0, place, :, :stop - start] = bases[start:stop]
        letters[0, place, :len(numbers), :stop - start] = mutants[numbers, start:stop]
    return Places(starts, stops, letters), rows


def runs(places: Places) -> list[tuple[int, int]]:
    """Places [first, last) without a gap between the stretches of one and the next."""
    cuts = np.flatnonzero(places.starts[1:] > places.stops[:-1]) + 1
    return list(zip([0, *cuts.tolist()], [*cuts.tolist(), len(places.starts)], strict=True))
