"""What a member of an ensemble is: all that the rest of the code knows of a model."""

from typing import NamedTuple, Protocol

import numpy as np


class Description(NamedTuple):
    """What a member says of itself.

    Attributes
    ----------
    name : str
        As the user wrote it.
    marks : tuple of str
        Names of the numbers that it predicts, in order.
    length : int
        Bases in a sequence.
    alphabet : str
        Letters that a sequence may hold.
    checksum : str
        SHA-256 over all that its predictions depend on.
    """

    name: str
    marks: tuple
    length: int
    alphabet: str
    checksum: str


class Member(Protocol):
    """Anything that can describe itself and predict."""

    def describe(self) -> Description:
        """What the member predicts, and from what."""

    def predict(self, sequences: np.ndarray) -> np.ndarray:
        """Marks of sequences given as one byte per base: (n, L) uint8 to (n, marks) float."""
