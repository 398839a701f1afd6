"""What is left of a network after the layers that are differenced: its own framework computes it, for many at once."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..errors import ModelFailed
from .errors import UnknownLayer


class Tensor(NamedTuple):
    """A node's value as the framework sees it, without the batch axis.

    Attributes
    ----------
    node : str
    rest : tuple of int
        Sizes of all axes but that of positions.
    at : int or None
        Which axis is that of positions; None: a vector.
    """

    node: str
    rest: tuple
    at: int | None

    @property
    def ndim(self) -> int:
        return len(self.rest) + (self.at is not None)

    def axis_in_rest(self, axis: int) -> int:
        """Index in `rest` of one of the framework's axes."""
        axis %= self.ndim
        return axis if self.at is None or axis < self.at else axis - 1

    def in_axes(self, value: np.ndarray) -> np.ndarray:
        """A batch of values, (n, positions, channels) or (n, k), as float32 in the framework's axes."""
        value = np.ascontiguousarray(value, np.float32)
        lead = value.shape[:1] if self.at is None else value.shape[:2]
        value = value.reshape(*lead, *((-1,) if self.rest == (None,) else self.rest))
        return value if self.at is None else np.ascontiguousarray(np.moveaxis(value, 1, 1 + self.at))


@dataclass(frozen=True, eq=False)
class Rest:
    """Layers that are no graph's, from the activations that a graph gives to the network's outputs.

    Attributes
    ----------
    inputs : tuple of Tensor
        Values of the graph that it takes.
    outputs : tuple of str
        Those of the network's outputs that it computes.
    compute : callable
        List of (n, ...) float32 arrays, as the framework has them, and `mask` to the list of `outputs`, (n, ...) each.
    by_channel : bool
        Whether channels come before positions in an output of two axes.
    why : str
        A sentence about the first layer that is in no graph.
    mask : int or None
        Number of the dropout mask with which the layers compute; None: without dropout.
    """

    inputs: tuple[Tensor, ...]
    outputs: tuple[str, ...]
    compute: Callable
    by_channel: bool
    why: str
    mask: int | None = None

    def values(self, activations: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Outputs for a batch: (n, positions, channels), or (n, k).

        Parameters
        ----------
        activations : dict of str to array
            By the names of the inputs' nodes: (n, positions, channels) or (n, k).

        Raises
        ------
        UnknownLayer
            The layers fail.
        ModelFailed
            The process that has them does.
        """
        try:
            results = self.compute([tensor.in_axes(activations[tensor.node]) for tensor in self.inputs], self.mask)
        except ModelFailed:
            raise
        except Exception as error:  # whatever a framework raises: the model is predicted as a whole then
            raise UnknownLayer(f"{self.why}, and from there on it fails: {str(error).partition(chr(10))[0]}") from error
        return {name: self._as_rows(np.asarray(value)) for name, value in zip(self.outputs, results, strict=True)}

    def _as_rows(self, value):
        if value.ndim != 3:
            return value.reshape(len(value), -1)
        return value.swapaxes(1, 2) if self.by_channel else value

