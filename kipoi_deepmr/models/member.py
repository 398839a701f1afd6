"""What a member of an ensemble is: all that the rest of the code knows of a model."""

from typing import NamedTuple, Protocol

import numpy as np

from .host import saturation


class Description(NamedTuple):
    """What a member says of itself.

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
        What its own dataloader takes; see `host.loader.describe`.
    versions : dict of str
        Of the packages that its predictions depend on.
    network : dict or None
        What tells how its answers follow from its network; see `network.Network`.
    """

    name: str
    marks: tuple
    length: int | None
    alphabet: str
    checksum: str
    replicates: tuple = ("",)
    needs_item: bool = False
    layout: str = ""
    outputs: str = ""
    framework: str = ""
    notes: tuple = ()
    dataloader: dict | None = None
    versions: dict = {}
    network: dict | None = None


class Member(Protocol):
    """Anything that can describe itself and predict; what is not abstract here need not be written anew.

    Attributes
    ----------
    own_process : bool
        Whether it computes in a process of its own, so that several may be asked at once.
    parts : sequence of Member
        Those whose marks it has side by side; empty if it is of one piece.
    """

    own_process: bool = False
    parts: tuple = ()

    def describe(self) -> Description:
        """What the member predicts, and from what."""

    def predict(self, sequences: np.ndarray, item: int | None = None) -> np.ndarray:
        """Marks of sequences given as one byte per base: (n, L) uint8 to (replicates, n, marks) float.

        `item` is the number of the dataloader's item that the sequences belong to.
        """

    def mutants(self, sequence: np.ndarray, item: int | None = None) -> np.ndarray:
        """Marks of a sequence and then of all its single mutants: (L,) uint8 to (replicates, 1 + 3 L, marks) float."""
        return self.predict(saturation.rows(sequence, 0, 1 + 3 * len(sequence)), item)

    def probe(self, again: bool = False) -> np.ndarray | None:
        """Marks of a few random sequences: as first predicted, or predicted again; None if it has no such test."""
        return None

    def close(self) -> None:
        """End what it has started."""
