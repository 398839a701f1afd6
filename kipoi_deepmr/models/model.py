"""What a model is: all that the rest of the code knows of one."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..errors import InputError
from .host import saturation


class Description(NamedTuple):
    """What a model says of itself.

    Attributes
    ----------
    name : str
        As the user wrote it.
    marks : tuple of str
        Names of the numbers that it predicts, in order; empty while it needs to see a locus first.
    length : int or None
        Bases in a sequence; None if it takes any number.
    alphabet : str
        Letters that a sequence may hold.
    checksum : str
        SHA-256 over all that its predictions depend on.
    replicates : tuple of str
        Names of its answers to one sequence (dropout masks, augmented views); one answer has no name.
    needs_item : bool
        Whether it takes more than DNA, so that predictions need the number of a dataloader's item.
    layout, outputs, framework : str
        How DNA goes in, what the marks are, which framework computes them; for people.
    notes : tuple of str
        What a user should know about its marks.
    dataloader : dict or None
        What its own dataloader takes; see `host.items.describe`.
    versions : dict of str
        Of the packages that its predictions depend on.
    internals : dict or None
        How its answers follow from its network; see `internals.Internals`.
    item : int or None
        Number of the dataloader's item that goes with random sequences, where it needs one.
    precision : str or None
        Type of number in which it answers (the least precise of its outputs), such as float32 or bfloat16; None if
        it does not say.
    """

    name: str
    marks: tuple[str, ...]
    length: int | None
    alphabet: str
    checksum: str
    replicates: tuple[str, ...] = ("",)
    needs_item: bool = False
    layout: str = ""
    outputs: str = ""
    framework: str = ""
    notes: tuple[str, ...] = ()
    dataloader: dict | None = None
    versions: dict = {}
    internals: dict | None = None
    item: int | None = None
    precision: str | None = None


class Model(ABC):
    """Anything that describes itself and predicts. A subclass must define `describe` and `predict`.

    Attributes
    ----------
    own_process : bool
        Whether it computes in a process of its own, so that several may be asked at once.
    parts : sequence of Model
        Those whose marks it has side by side; empty if it is of one piece.
    """

    own_process: bool = False
    parts: Sequence["Model"] = ()

    @abstractmethod
    def describe(self) -> Description:
        """What the model predicts, and from what."""

    @abstractmethod
    def predict(self, sequences: np.ndarray, item: int | None = None) -> np.ndarray:
        """Marks of sequences.

        Parameters
        ----------
        sequences : (n, L) uint8
            One byte per base, upper case.
        item : int, optional
            Number of the dataloader's item that the sequences belong to, if the model needs it.

        Returns
        -------
        (replicates, n, marks) float
            In the precision in which the model answers.
        """

    def mutants(self, sequence: np.ndarray, item: int | None = None) -> np.ndarray:
        """Marks of a sequence and then of all its single mutants: (L,) uint8 to (replicates, 1 + 3 L, marks) float."""
        return self.predict(saturation.rows(sequence, 0, 1 + 3 * len(sequence)), item)

    def probe(self, again: bool = False) -> np.ndarray | None:
        """Marks of a few random sequences: as first predicted, or predicted again; None if it has no such test."""
        return None

    def close(self) -> None:  # noqa: B027  most models have started nothing
        """End what it has started."""


def checked(answer: np.ndarray, described: Description, n: int) -> np.ndarray:
    """What a model's `predict` returned for n sequences, as an array.

    Raises
    ------
    InputError
        It returned nothing, no numbers, or numbers of another shape.
    """
    expected = (len(described.replicates), n, len(described.marks))
    if answer is None:
        raise InputError(f"model {described.name}: predict returned nothing, not an array of the shape {expected} "
                         "(replicates, sequences, marks)")
    answer = np.asarray(answer)
    if answer.shape != expected or answer.dtype.kind not in "biuf":
        raise InputError(f"model {described.name}: predict returned an array of the type {answer.dtype} and the shape "
                         f"{answer.shape}, not numbers of the shape {expected} (replicates, sequences, marks)")
    return answer
