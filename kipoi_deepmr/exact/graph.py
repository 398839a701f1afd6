"""A sequence model as a small graph of layers, with weights as arrays.

A node's value is either rows, an array (positions, channels), or a vector (n,). All that runs a graph works without a
batch axis: one sequence at a time.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from .errors import UnknownLayer
from .rest import Rest

SUMMARIES = ("average", "sum", "max", "softmax_mean", "log_sum_exp")


@dataclass(frozen=True, eq=False)
class Sequence:
    """The one-hot sequence itself: rows (L, 4), letters in the order of the graph's alphabet."""


@dataclass(frozen=True, eq=False)
class Constant:
    """An input that does not depend on the sequence: `value` broadcast to `shape`, (n,) or (positions, channels).

    None positions are as many as the sequence has.
    """

    value: np.ndarray
    shape: tuple


@dataclass(frozen=True, eq=False)
class Conv:
    """Correlation along positions: weight (width, in, out), bias (out,).

    padding is "same" or "causal", as Keras understands them, "valid", or (rows of zeros before, and after).
    """

    weight: np.ndarray
    bias: np.ndarray
    stride: int = 1
    dilation: int = 1
    padding: str | tuple = "valid"


@dataclass(frozen=True, eq=False)
class ConvTranspose:
    """Transposed convolution: row t of the input adds x[t] @ weight[k] to row t * stride + k of the full output.

    crop is "same" or "valid", as Keras understands them, or (rows cut off before, and after; negative: added).
    """

    weight: np.ndarray
    bias: np.ndarray
    stride: int = 1
    crop: str | tuple = "valid"


@dataclass(frozen=True, eq=False)
class Scale:
    """scale * x + shift, of any shape that broadcasts to the input's: batch normalisation, a dropout mask."""

    scale: np.ndarray
    shift: np.ndarray


class Mask(NamedTuple):
    """Which mask a dropout layer takes: its name, and which axis of the array is that of positions."""

    name: str
    at: int


@dataclass(frozen=True, eq=False)
class Dropout:
    """Identity, or where a mask is given (`Graph.with_masks`) the mask times the input.

    Without a `mask` of another name it takes the one that bears the name of its node, with positions first.
    """

    mask: Mask | None = None


@dataclass(frozen=True, eq=False)
class Activation:
    """One of activations.ACTIVATIONS, element by element.

    alpha and beta are leaky_relu's and elu's slope (alpha), hard_sigmoid's slope and offset, clip's limits,
    threshold's limit and what replaces values up to it, power's exponent (alpha).
    """

    kind: str
    alpha: float = 0.0
    beta: float = 0.0


@dataclass(frozen=True, eq=False)
class Softmax:
    """Over the channels of each row, or over a vector.

    Where there is a `size`, over every group of so many: those are `inner` channels apart, as the middle one of three
    axes (groups, size, inner) is.
    """

    size: int | None = None
    inner: int = 1


@dataclass(frozen=True, eq=False)
class Pool:
    """Max or average of windows of rows. padding as in `Conv`; an average counts padded rows only if told so."""

    kind: str
    size: int
    stride: int
    padding: str | tuple = "valid"
    count_padding: bool = False
    dilation: int = 1


@dataclass(frozen=True, eq=False)
class Summary:
    """Rows to a vector, channel by channel over all positions: one of `SUMMARIES`.

    softmax_mean is the sum of softmax(x) * x (BPNet's profile-weighted logit), log_sum_exp the log of the sum of
    exp(x).
    """

    kind: str


@dataclass(frozen=True, eq=False)
class Attend:
    """Rows to a vector: the second half of the channels, each averaged over positions with the weights that the softmax
    over positions of its partner in the first half gives."""


@dataclass(frozen=True, eq=False)
class Flatten:
    """Rows to a vector, row by row, or channel by channel (what PyTorch's flatten makes of channels-first)."""

    channels_first: bool = False


@dataclass(frozen=True, eq=False)
class Dense:
    """x @ weight + bias, on vectors; weight (in, out)."""

    weight: np.ndarray
    bias: np.ndarray


@dataclass(frozen=True, eq=False)
class GroupedDense:
    """Vectors in equal pieces, x[group] @ weight[group] + bias; weight (groups, in, out), bias (groups * out,)."""

    weight: np.ndarray
    bias: np.ndarray


@dataclass(frozen=True, eq=False)
class Add:
    """Sum of the inputs."""


@dataclass(frozen=True, eq=False)
class Multiply:
    """Product of the inputs."""


@dataclass(frozen=True, eq=False)
class Concatenate:
    """The inputs' channels, or the vectors, one after the other."""


@dataclass(frozen=True, eq=False)
class Crop:
    """Rows without the first `before` and the last `after`; negative numbers add rows of zeros."""

    before: int
    after: int


@dataclass(frozen=True, eq=False)
class Reverse:
    """Rows in the opposite order."""


@dataclass(frozen=True, eq=False)
class Repeat:
    """Every row `times` times in a row (upsampling)."""

    times: int


@dataclass(frozen=True, eq=False)
class Spread:
    """`times` - 1 rows of zeros after every row but the last: what a transposed convolution's stride is."""

    times: int


@dataclass(frozen=True, eq=False)
class Fold:
    """Each `times` rows to one: channels (outer, inner) become (outer, times, inner)."""

    times: int
    inner: int


@dataclass(frozen=True, eq=False)
class Unfold:
    """Each row to `times`, what `Fold` undoes: channels (outer, times, inner) become (outer, inner)."""

    times: int
    inner: int


@dataclass(frozen=True, eq=False)
class Node:
    """A layer, its name, and the names of the nodes that it takes."""

    name: str
    layer: object
    inputs: tuple = ()


@dataclass(frozen=True, eq=False)
class Graph:
    """Nodes, each after its inputs, and the names of those that are outputs.

    Attributes
    ----------
    nodes : tuple of Node
    outputs : tuple of str
    length : int or None
        Of the sequences that the model takes; None if any.
    alphabet : str
        Order of the letters along the one-hot axis.
    rest : Rest or None
        What computes the outputs that are no nodes.
    """

    nodes: tuple
    outputs: tuple
    length: int | None = None
    alphabet: str = "ACGT"
    rest: Rest | None = None

    def __getitem__(self, name: str) -> Node:
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(name)

    def with_masks(self, masks: dict[str, np.ndarray], length: int | None = None, number: int | None = None) -> "Graph":
        """The same graph with dropout masks held fixed.

        Parameters
        ----------
        masks : dict of str to array
            By the name of a dropout node, or of the mask that it asks for: what its input is multiplied by,
            1 / (1 - rate) where kept and 0 where not.
        length : int, optional
            Of sequences, where the graph takes any.
        number : int, optional
            Of these masks, by which the graph's rest knows them.

        Raises
        ------
        KeyError
            No dropout node asks for such a mask, and there is no rest that may.
        ValueError
            A mask is of another size than its node.
        """
        known, nodes, left = shapes(self.nodes, length or self.length), [], set(masks)
        for node in self.nodes:
            if isinstance(node.layer, Dropout):
                name, at = node.layer.mask or (node.name, 0)
                if name in masks:
                    left.discard(name)
                    mask = np.moveaxis(np.asarray(masks[name], np.float32), at, 0).reshape(known[node.name])
                    node = replace(node, layer=Scale(mask, np.float32(0)))
            nodes.append(node)
        if left and not self.rest:
            raise KeyError(min(left))
        return replace(self, nodes=tuple(nodes), rest=self.rest and replace(self.rest, mask=number))

    def ancestors(self, names: Iterable[str]) -> list[Node]:
        """The nodes that those of the given names need, themselves included, in order."""
        needed, nodes = set(names), []
        for node in reversed(self.nodes):
            if node.name in needed:
                needed.update(node.inputs)
                nodes.append(node)
        return nodes[::-1]


def span_of(layer: Conv | Pool) -> int:
    """Rows from the first to the last that one row of a `Conv`'s or `Pool`'s result is made of."""
    size = layer.weight.shape[0] if isinstance(layer, Conv) else layer.size
    return (size - 1) * layer.dilation + 1


def padded(layer: Conv | Pool, length: int) -> tuple[int, int]:
    """(before, after): rows of zeros that a `Conv` or `Pool` adds at either end of an input of this length."""
    if not isinstance(layer.padding, str):
        return layer.padding
    span = span_of(layer)
    if layer.padding == "valid":
        return 0, 0
    if layer.padding == "causal":
        return span - 1, 0
    total = max((-(-length // layer.stride) - 1) * layer.stride + span - length, 0)
    return total // 2, total - total // 2


def cropped(layer: ConvTranspose, length: int) -> tuple[int, int]:
    """(before, after): rows that a `ConvTranspose` cuts off either end of its full output."""
    if not isinstance(layer.crop, str):
        return layer.crop
    width, stride = layer.weight.shape[0], layer.stride
    full = (length - 1) * stride + width
    if layer.crop == "valid":
        return 0, full - (length * stride + max(width - stride, 0))
    before = max(width - stride, 0) // 2
    return before, full - length * stride - before


def shapes(nodes: Iterable[Node], length: int | None) -> dict[str, tuple]:
    """Shape of every node's value, by name, for a sequence of this length.

    Raises
    ------
    UnknownLayer
        The layers do not fit together at this length.
    """
    known = {}
    for node in nodes:
        try:
            known[node.name] = shape_of(node.layer, [known[name] for name in node.inputs], length)
        except (ValueError, IndexError) as error:
            raise UnknownLayer(f"layer {node.name} does not fit its input: {error}") from error
    return known


def shape_of(layer: object, inputs: list[tuple], length: int | None = None) -> tuple:
    """Shape of a layer's value, from those of its inputs."""
    if isinstance(layer, Sequence):
        return length, 4
    if isinstance(layer, Constant):
        return tuple(length if n is None else n for n in layer.shape)
    if isinstance(layer, (Add, Multiply)):
        return np.broadcast_shapes(*inputs)
    if isinstance(layer, Concatenate):
        if len({shape[:-1] for shape in inputs}) > 1:
            raise ValueError(f"inputs of shapes {inputs}")
        return *inputs[0][:-1], sum(shape[-1] for shape in inputs)
    shape = inputs[0]
    if isinstance(layer, (Scale, Dropout, Activation, Softmax)):
        return shape
    if isinstance(layer, Dense):
        _must(len(shape) == 1 and shape[0] == layer.weight.shape[0], shape)
        return layer.weight.shape[1],
    if isinstance(layer, GroupedDense):
        groups, n_in, n_out = layer.weight.shape
        _must(shape == (groups * n_in,), shape)
        return groups * n_out,
    _must(len(shape) == 2, shape)
    if isinstance(layer, Flatten):
        return shape[0] * shape[1],
    if isinstance(layer, Summary):
        return shape[1],
    if isinstance(layer, Attend):
        _must(shape[1] % 2 == 0, shape)
        return shape[1] // 2,
    return _rows_shape(layer, *shape)


def _rows_shape(layer, rows, channels):
    if isinstance(layer, (Conv, Pool)):
        if isinstance(layer, Conv):
            _must(channels == layer.weight.shape[1], (rows, channels))
            channels = layer.weight.shape[2]
        rows = (rows + sum(padded(layer, rows)) - span_of(layer)) // layer.stride + 1
    elif isinstance(layer, ConvTranspose):
        _must(channels == layer.weight.shape[1], (rows, channels))
        full = (rows - 1) * layer.stride + layer.weight.shape[0]
        rows, channels = full - sum(cropped(layer, rows)), layer.weight.shape[2]
    elif isinstance(layer, Crop):
        rows -= layer.before + layer.after
    elif isinstance(layer, Repeat):
        rows *= layer.times
    elif isinstance(layer, Spread):
        rows = (rows - 1) * layer.times + 1
    elif isinstance(layer, Fold):
        _must(rows % layer.times == 0 and channels % layer.inner == 0, (rows, channels))
        rows, channels = rows // layer.times, channels * layer.times
    elif isinstance(layer, Unfold):
        _must(channels % (layer.times * layer.inner) == 0, (rows, channels))
        rows, channels = rows * layer.times, channels // layer.times
    _must(rows > 0, (rows, channels))
    return rows, channels


def _must(fits, shape):
    if not fits:
        raise ValueError(f"shape {shape}")
