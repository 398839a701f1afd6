"""How readers put a graph together: tensors of any axes as rows of positions and channels, or as vectors.

Frameworks lay out one sequence as (L, 4), (4, L), (4, 1, L), (L, 4, 1) and so on. Here one axis is that of positions
and all others together are the channels, in their order; two-dimensional convolutions whose kernel does not run along
two real axes thus become one-dimensional ones.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from . import graph as g
from .errors import UnknownLayer
from .rest import Rest, Tensor


class Builder:
    """Collects nodes; every method adds one layer and returns its tensor."""

    def __init__(self, alphabet: str = "ACGT"):
        self.nodes, self.alphabet, self.length, self._names = [], alphabet, None, set()
        self._fixed = set()  # names of nodes that do not depend on the sequence
        self._matrices = {}  # of nodes that choose channels

    def graph(self, outputs: dict[str, Tensor]) -> g.Graph:
        """The graph, whose outputs bear the names given: dict of name to Tensor."""
        for name, tensor in outputs.items():
            if name != tensor.node:
                if name in self._names:
                    raise UnknownLayer(f"output {name} bears the name of another layer")
                self.add(name, g.Dropout(), [tensor])
        return g.Graph(tuple(self.nodes), tuple(outputs), self.length, self.alphabet)

    def split(self, outputs: dict[str, Tensor], rest: Rest, names: Sequence[str]) -> g.Graph:
        """The graph of what comes before `rest`; `outputs` are those that are known, `names` all in their order.

        Raises
        ------
        UnknownLayer
            Nothing but the sequence comes before.
        """
        layers = {node.name: node.layer for node in self.nodes}
        if all(isinstance(layers[tensor.node], (g.Sequence, g.Constant)) for tensor in rest.inputs):
            raise UnknownLayer(rest.why)
        return replace(self.graph(outputs), outputs=tuple(names), rest=rest)

    def add(self, name: str, layer: object, inputs: Sequence[Tensor]) -> str:
        """A node, whose name gets a number if it is taken; its name."""
        unique, n = name, 1
        while unique in self._names:
            unique, n = f"{name}:{n}", n + 1
        self._names.add(unique)
        if isinstance(layer, g.Constant) or inputs and all(tensor.node in self._fixed for tensor in inputs):
            self._fixed.add(unique)
        self.nodes.append(g.Node(unique, layer, tuple(tensor.node for tensor in inputs)))
        return unique

    def sequence(self, name: str, shape: tuple) -> Tensor:
        """The one-hot sequence in an input of this shape: the letters' axis has 4 entries, the longest is positions."""
        letters = [axis for axis, n in enumerate(shape) if n == 4]
        long = [axis for axis, n in enumerate(shape) if n is None or n > 4]
        if len(letters) + len(long) != 2 or len(letters) != 1 or any(n != 1 for axis, n in enumerate(shape)
                                                                   if axis not in letters + long):
            raise UnknownLayer(f"input {name} of shape {shape} is not one one-hot sequence")
        self.length = shape[long[0]]
        rest = tuple(n for axis, n in enumerate(shape) if axis != long[0])
        return Tensor(self.add(name, g.Sequence(), []), rest, long[0])

    def constant(self, name: str, shape: tuple, value: ArrayLike) -> Tensor:
        """An input held fixed; of shape (n,) or (positions, channels)."""
        if len(shape) > 2:
            raise UnknownLayer(f"input {name} of shape {shape} cannot be held fixed")
        node = self.add(name, g.Constant(np.asarray(value, np.float32), tuple(shape)), [])
        return Tensor(node, shape[-1:], 0 if len(shape) == 2 else None)

    def same(self, name: str, layer: object, x: Tensor) -> Tensor:
        """A layer that keeps every axis."""
        return x._replace(node=self.add(name, layer, [x]))

    def join(self, name: str, layer: g.Add | g.Multiply, inputs: Sequence[Tensor]) -> Tensor:
        """Sum or product."""
        ranks = {x.ndim for x in inputs}
        first = max(inputs, key=lambda x: np.prod([n or 0 for n in x.rest]))
        if len(ranks) > 1 or len({x.at for x in inputs}) > 1:
            raise UnknownLayer(f"layer {name} joins tensors whose axes differ")
        if len({x.rest for x in inputs if x.node not in self._fixed and None not in x.rest}) > 1:
            raise UnknownLayer(f"layer {name} joins tensors of different sizes")
        return first._replace(node=self.add(name, layer, inputs))

    def concatenate(self, name: str, inputs: Sequence[Tensor], axis: int) -> Tensor:
        """Along channels, where no other axis but positions is longer than 1."""
        first = inputs[0]
        if len(inputs) == 1:
            return first
        if first.at is not None and axis % first.ndim == first.at:
            raise UnknownLayer(f"layer {name} concatenates along positions")
        index = first.axis_in_rest(axis)
        if len({x.at for x in inputs}) > 1 or any(
                n > 1 for x in inputs for i, n in enumerate(x.rest) if i != index):
            raise UnknownLayer(f"layer {name} concatenates tensors of several channel axes")
        if first.at is not None and any(x.node in self._fixed for x in inputs):
            raise UnknownLayer(f"layer {name} concatenates rows with a constant")
        rest = (None,)
        if not any(x.rest == rest for x in inputs):
            rest = tuple(sum(x.rest[i] for x in inputs) if i == index else n for i, n in enumerate(first.rest))
        return Tensor(self.add(name, g.Concatenate(), inputs), rest, first.at)

    def choose(self, name: str, x: Tensor, channels: np.ndarray) -> str:
        """A node of some of a tensor's channels, in any order and as often as they are named."""
        n = self.n_channels(name, x)
        matrix = (np.arange(n)[:, None] == channels).astype(np.float32)
        node = self.add(name, _mix(x, matrix, np.zeros(len(channels))), [x])
        self._matrices[node] = matrix
        return node

    def n_channels(self, name: str, x: Tensor) -> int:
        """How many channels a tensor has, all axes but positions together."""
        if None in x.rest:
            raise UnknownLayer(f"layer {name} takes part of what was flattened")
        return int(np.prod(x.rest))

    def take(self, name: str, x: Tensor, axis: int, indices: Sequence[int]) -> Tensor:
        """Some entries along one axis of channels, in any order and as often as they are named."""
        at = x.axis_in_rest(axis)
        numbers = np.arange(self.n_channels(name, x)).reshape(x.rest).take(indices, at)
        return x._replace(node=self.choose(name, x, numbers.reshape(-1)), rest=numbers.shape)

    def cut(self, name: str, x: Tensor, start: int, stop: int, step: int, length: int) -> Tensor:
        """Positions [start, stop) of `length`, every step-th; step -1 is the whole sequence turned round."""
        if step == -1 and abs(stop - start) == length:
            return self.same(name, g.Reverse(), x)
        if step < 1 or stop <= start:
            raise UnknownLayer(f"layer {name} takes positions from {start} to {stop} in steps of {step}")
        if (start, stop) != (0, length):
            x = self.same(name if step == 1 else f"{name}/cut", g.Crop(start, length - stop), x)
        return x if step == 1 else self.same(name, g.Pool("average", 1, step), x)

    def scale(self, name: str, x: Tensor, scale: ArrayLike, shift: ArrayLike, axis: int) -> Tensor:
        """scale * x + shift along one axis of channels."""
        if x.at is not None and axis % x.ndim == x.at:
            raise UnknownLayer(f"layer {name} scales positions")
        if x.rest == (None,):
            spread = (np.asarray(v, np.float32) for v in (scale, shift))
            return self.same(name, g.Scale(*spread), x)
        shape = [1] * len(x.rest)
        shape[x.axis_in_rest(axis)] = -1
        spread = [np.broadcast_to(np.reshape(v, shape), x.rest).reshape(-1).astype(np.float32) for v in (scale, shift)]
        return self.same(name, g.Scale(*spread), x)

    def batch_norm(self, name: str, x: Tensor, axis: int, gamma: ArrayLike, beta: ArrayLike, mean: ArrayLike,
                   variance: ArrayLike, epsilon: float) -> Tensor:
        """gamma * (x - mean) / sqrt(variance + epsilon) + beta along one axis of channels."""
        scale = np.asarray(gamma, np.float64) / np.sqrt(np.asarray(variance, np.float64) + epsilon)
        return self.scale(name, x, scale, beta - mean * scale, axis)

    def layer_norm(self, name: str, x: Tensor, axis: int, gamma: ArrayLike, beta: ArrayLike, epsilon: float) -> Tensor:
        """gamma * (x - mean) / sqrt(variance + epsilon) + beta over the channels of each position, or of a vector.

        Of layers that the engine has: mean and variance are one dense layer each, the root goes through its logarithm.
        """
        n = int(np.prod(x.rest)) if None not in x.rest else 0
        if x.at is not None and axis % x.ndim == x.at or not n or x.rest[x.axis_in_rest(axis)] != n:
            raise UnknownLayer(f"layer {name} normalises over another axis than the channels")
        centred = self.same(f"{name}/centred", _mix(x, np.eye(n) - 1 / n, np.zeros(n)), x)
        y = self.same(f"{name}/square", g.Activation("square"), centred)
        y = self.same(f"{name}/variance", _mix(x, np.full((n, n), 1 / n), np.full(n, epsilon)), y)
        y = self.same(f"{name}/log", g.Activation("log"), y)
        y = self.same(f"{name}/half", g.Scale(np.float32(-0.5), np.float32(0)), y)
        y = self.same(f"{name}/over", g.Activation("exponential"), y)
        y = self.join(f"{name}/normal", g.Multiply(), [centred, y])
        return self.same(name, g.Scale(*(np.broadcast_to(np.asarray(v, np.float32), n) for v in (gamma, beta))), y)

    def prelu(self, name: str, x: Tensor, slope: ArrayLike) -> Tensor:
        """relu(x) - slope * relu(-x); slope is one number, one a channel, or (positions, channels)."""
        slope = np.asarray(slope, np.float32)
        slope = slope.reshape(()) if slope.size == 1 else slope.reshape(-1, slope.shape[-1]) if x.at == 0 else slope
        if slope.size > 1 and (x.ndim > 2 or x.rest[-1] != slope.shape[-1] or slope.ndim > x.ndim):
            raise UnknownLayer(f"layer {name} has slopes along other axes than positions and channels")
        below = self.same(f"{name}/minus", g.Scale(np.float32(-1), np.float32(0)), x)
        below = self.same(f"{name}/below", g.Activation("relu"), below)
        below = self.same(f"{name}/sloped", g.Scale(-slope, np.float32(0)), below)
        return self.join(name, g.Add(), [self.same(f"{name}/above", g.Activation("relu"), x), below])

    def extreme(self, name: str, inputs: Sequence[Tensor], sign: int) -> Tensor:
        """The largest of several inputs (sign 1) or the smallest (-1), a pair at a time: x + relu(y - x)."""
        total, *others = inputs
        for i, x in enumerate(others):
            last = i == len(others) - 1
            minus = self.same(f"{name}/minus{i}", g.Scale(np.float32(-1), np.float32(0)), x if sign < 0 else total)
            rise = self.join(f"{name}/rise{i}", g.Add(), [minus, total if sign < 0 else x])
            rise = self.same(f"{name}/relu{i}", g.Activation("relu"), rise)
            if sign < 0:
                rise = self.same(f"{name}/fall{i}", g.Scale(np.float32(-1), np.float32(0)), rise)
            total = self.join(name if last else f"{name}/{i}", g.Add(), [total, rise])
        return total

    def dense(self, name: str, x: Tensor, weight: np.ndarray, bias: ArrayLike | None) -> Tensor:
        """x @ weight + bias along the last axis."""
        n_in, n_out = weight.shape
        if (x.at is not None and x.at == x.ndim - 1) or x.rest != (None,) and (
                x.rest[-1] != n_in or np.prod(x.rest) != n_in):
            raise UnknownLayer(f"layer {name} is dense along an axis other than the channels")
        weight, bias = np.asarray(weight, np.float32), _bias(bias, n_out)
        layer = g.Dense(weight, bias) if x.at is None else g.Conv(weight[None], bias)
        return x._replace(node=self.add(name, layer, [x]), rest=(*x.rest[:-1], n_out))

    def conv(self, name: str, x: Tensor, kernel: ArrayLike, bias: ArrayLike | None, channel_axis: int,
             strides: Sequence[int], dilations: Sequence[int], padding: str | Sequence, groups: int = 1) -> Tensor:
        """Convolution; kernel (spatial axes ..., in / groups, out), the others one entry a spatial axis.

        padding is a name, as in graph.Conv, or one (before, after) a spatial axis.
        """
        if x.at is None and set(np.shape(kernel)[:-2]) == {1}:
            return self._at_one_position(name, x, np.asarray(kernel, np.float32), bias, channel_axis, groups)
        along, across, first = self._spatial(name, x, channel_axis)
        kernel = _ungrouped(np.asarray(kernel, np.float32), groups)
        bias = _bias(bias, kernel.shape[-1])
        pads = [padding] * len(strides) if isinstance(padding, str) else padding
        if across is None:
            weight, rest = kernel, (kernel.shape[-1],)
            if kernel.shape[-2] != x.rest[0]:
                raise UnknownLayer(f"layer {name} has a kernel for {kernel.shape[-2]} channels, its input {x.rest[0]}")
        else:
            size = x.rest[0 if first else 1]
            kernel = np.moveaxis(kernel, across, 1)
            weight, n_out = _across(name, kernel, size, strides[across], dilations[across], pads[across], first)
            rest = (n_out, kernel.shape[-1]) if first else (kernel.shape[-1], n_out)
            bias = np.repeat(bias[None], n_out, 0).reshape(-1) if first else np.repeat(bias, n_out)
        layer = g.Conv(weight, bias, strides[along], dilations[along], pads[along])
        return Tensor(self._conv(name, layer, x), rest, x.at)

    def _at_one_position(self, name, x, kernel, bias, channel_axis, groups):
        """A convolution of width 1 on what has a single position: a dense layer, in groups."""
        *_, n_in, n_out = kernel.shape
        sizes = [n for axis, n in enumerate(x.rest) if axis != channel_axis % x.ndim]
        if set(sizes) - {1} or x.rest[channel_axis % x.ndim] not in (None, groups * n_in):
            raise UnknownLayer(f"layer {name} does not run along the sequence")
        weight = kernel.reshape(n_in, groups, n_out // groups).swapaxes(0, 1)
        layer = g.GroupedDense(np.ascontiguousarray(weight), _bias(bias, n_out))
        if groups == 1:
            layer = g.Dense(layer.weight[0], layer.bias)
        rest = tuple(n_out if axis == channel_axis % x.ndim else 1 for axis in range(x.ndim))
        return Tensor(self.add(name, layer, [x]), rest, None)

    def _conv(self, name, layer, x):
        """A convolution's node. What only chooses channels before it goes into its weights, a reversal behind it."""
        nodes, turned = {node.name: node for node in self.nodes}, False
        while True:
            before = nodes[x.node]
            if x.node in self._matrices:
                layer = replace(layer, weight=self._matrices[x.node] @ layer.weight)
            elif isinstance(before.layer, g.Reverse) and layer.stride == 1:
                before_first, after_last = g.padded(layer, 1)
                layer = replace(layer, weight=layer.weight[::-1], padding=(after_last, before_first))
                turned = not turned
            else:
                break
            x = x._replace(node=before.inputs[0])
        if not turned:
            return self.add(name, layer, [x])
        node = self.add(f"{name}/turned", layer, [x])
        return self.add(name, g.Reverse(), [x._replace(node=node)])

    def conv_transpose(self, name: str, x: Tensor, kernel: ArrayLike, bias: ArrayLike | None, channel_axis: int,
                       strides: Sequence[int], crop: str | Sequence) -> Tensor:
        """Transposed convolution; kernel (spatial axes ..., in, out); crop as in graph.ConvTranspose."""
        along, across, first = self._spatial(name, x, channel_axis)
        kernel, bias = np.asarray(kernel, np.float32), _bias(bias, kernel.shape[-1])
        if across is not None:
            if x.rest[0 if first else 1] != 1 or kernel.shape[across] != 1:
                raise UnknownLayer(f"layer {name} is a transposed convolution along two axes")
            kernel = np.take(kernel, 0, across)
        rest = tuple(kernel.shape[-1] if i == x.axis_in_rest(channel_axis) else n for i, n in enumerate(x.rest))
        layer = g.ConvTranspose(kernel, bias, strides[along], crop if isinstance(crop, str) else crop[along])
        return Tensor(self.add(name, layer, [x]), rest, x.at)

    def pool(self, name: str, x: Tensor, kind: str, channel_axis: int, sizes: Sequence[int], strides: Sequence[int],
             padding: str | Sequence, count_padding: bool = False) -> Tensor:
        """Maximum or average of windows of positions; settings are one entry a spatial axis."""
        along, across, first = self._spatial(name, x, channel_axis)
        pads = [padding] * len(sizes) if isinstance(padding, str) else padding
        if across is not None and (sizes[across] != 1 or strides[across] != 1):
            x = self._pool_across(f"{name}/across", x, kind, 0 if first else 1, sizes[across], strides[across],
                                  pads[across])
        layer = g.Pool(kind, sizes[along], strides[along], pads[along], count_padding)
        return self.same(name, layer, x)

    def _pool_across(self, name, x, kind, at, size, stride, padding):
        """Windows along an axis of channels: their first entries, their second ones and so on, as one."""
        n_windows = (x.rest[at] - size) // stride + 1
        if padding not in ("valid", (0, 0)) and (padding != "same" or x.rest[at] % stride or size != stride):
            raise UnknownLayer(f"layer {name} pools with padding along an axis other than positions")
        axis = at if x.at is None or at < x.at else at + 1
        parts = [self.take(f"{name}{k}", x, axis, range(k, k + n_windows * stride, stride)) for k in range(size)]
        if len(parts) == 1:
            return parts[0]
        if kind == "max":
            return self.extreme(name, parts, 1)
        total = self.join(f"{name}/sum", g.Add(), parts)
        return self.same(name, g.Scale(np.float32(1 / size), np.float32(0)), total)

    def over_channels(self, name: str, x: Tensor, kind: str, axis: int, keep_axes: bool = False) -> Tensor:
        """Average, sum or max over one axis of channels."""
        at = x.axis_in_rest(axis)
        size = x.rest[at]
        if size is None or kind not in ("average", "sum", "max"):
            raise UnknownLayer(f"layer {name} takes a {kind} over channels")
        if kind == "max":
            x = self._pool_across(name, x, kind, at, size, size, "valid")
        else:
            numbers = np.arange(self.n_channels(name, x)).reshape(x.rest)
            kept = np.moveaxis(numbers, at, 0).reshape(size, -1)
            weight = np.zeros((numbers.size, kept.shape[1]))
            weight[kept, np.arange(kept.shape[1])] = 1 / size if kind == "average" else 1
            node = self.add(name, _mix(x, weight, np.zeros(kept.shape[1])), [x])
            x = x._replace(node=node, rest=(*x.rest[:at], 1, *x.rest[at + 1:]))
        return x if keep_axes else self.without(x, axis)

    def without(self, x: Tensor, axis: int) -> Tensor:
        """A tensor without one of its axes, of size 1."""
        at, axis = x.axis_in_rest(axis), axis % x.ndim
        rest = x.rest[:at] + x.rest[at + 1:]
        return x._replace(rest=rest or (1,)) if x.at is None else Tensor(x.node, rest, x.at - (axis < x.at))

    def summary(self, name: str, x: Tensor, kind: str, keep_axes: bool = False) -> Tensor:
        """All positions to one."""
        if x.at is None:
            raise UnknownLayer(f"layer {name} pools over positions that its input does not have")
        node = self.add(name, g.Summary(kind), [x])
        if keep_axes:
            return Tensor(node, (*x.rest[:x.at], 1, *x.rest[x.at:]), None)
        return Tensor(node, x.rest, None)

    def flatten(self, name: str, x: Tensor) -> Tensor:
        """All axes to one, in their order."""
        if x.at is None:
            return x if x.ndim == 1 else x._replace(rest=(None if None in x.rest else int(np.prod(x.rest)),))
        before, after = np.prod(x.rest[:x.at]), np.prod(x.rest[x.at:])
        if before > 1 and after > 1:
            raise UnknownLayer(f"layer {name} flattens positions between two axes of channels")
        return Tensor(self.add(name, g.Flatten(channels_first=bool(before > 1)), [x]), (None,), None)

    def reshape(self, name: str, x: Tensor, shape: Sequence[int | None]) -> Tensor:
        """Axes of size 1 added or removed, or all axes to one; None or -1 in `shape` is as long as it must be."""
        shape = tuple(None if n == -1 else n for n in shape)
        if len(shape) == 1:
            return self.flatten(name, x)
        real = [n for n in x.rest if n != 1]
        if x.at is None and None not in shape and (x.rest.count(None) or np.prod(shape) == np.prod(x.rest)):
            return x._replace(rest=shape)
        if x.at is None:
            if [n for n in shape if n not in (1, None)] in (real, []) and (None not in shape or len(real) < 2):
                return x._replace(rest=tuple(real[0] if n is None and real else n or 1 for n in shape))
            raise UnknownLayer(f"layer {name} reshapes a vector to {shape}")
        at = _position_axis(shape, x)
        if at is None:
            raise UnknownLayer(f"layer {name} reshapes positions and channels to {shape}")
        sizes = shape[:at] + shape[at + 1:]
        missing = int(np.prod(x.rest)) // int(np.prod([n for n in sizes if n is not None]))
        return Tensor(x.node, tuple(missing if n is None else n for n in sizes), at)

    def permute(self, name: str, x: Tensor, order: Sequence[int]) -> Tensor:
        """Axes in another order: order[i] is the old axis that becomes axis i."""
        if x.at is None and x.rest == (None,):
            return x
        axes = [x.axis_in_rest(axis) for axis in order if axis != x.at]
        rest, at = tuple(x.rest[axis] for axis in axes), None if x.at is None else list(order).index(x.at)
        if [axis for axis in axes if x.rest[axis] != 1] == [i for i, n in enumerate(x.rest) if n != 1]:
            return Tensor(x.node, rest, at)
        numbers = np.arange(self.n_channels(name, x)).reshape(x.rest).transpose(axes)
        return Tensor(self.choose(name, x, numbers.reshape(-1)), rest, at)

    def _spatial(self, name, x, channel_axis):
        """Which spatial axis is that of positions, which the other one, and whether that comes before the channels."""
        if x.at is None or x.ndim not in (2, 3) or channel_axis % x.ndim == x.at:
            raise UnknownLayer(f"layer {name} does not run along the sequence")
        axes = [axis for axis in range(x.ndim) if axis != channel_axis % x.ndim]
        other = [i for i, axis in enumerate(axes) if axis != x.at]
        return axes.index(x.at), other[0] if other else None, x.axis_in_rest(channel_axis) != 0


def _position_axis(shape, x):
    """Which axis of a new shape is that of positions: as many channels before it as in the old one, and after."""
    before, after = (int(np.prod(part)) for part in (x.rest[:x.at], x.rest[x.at:]))
    for at in range(len(shape)):
        parts = shape[:at], shape[at + 1:]
        fits = [np.prod(part) == n if None not in part else n % np.prod([m or 1 for m in part]) == 0
                for part, n in zip(parts, (before, after), strict=True)]
        if all(fits) and shape[at] != 1 and not (shape[at] is None and any(None in part for part in parts)):
            return at
    return None


def _mix(x, weight, bias):
    """A dense layer over all channels of rows, or of a vector."""
    weight, bias = weight.astype(np.float32), bias.astype(np.float32)
    return g.Dense(weight, bias) if x.at is None else g.Conv(weight[None], bias)


def _bias(bias, n):
    return np.zeros(n, np.float32) if bias is None else np.asarray(bias, np.float32)


def _ungrouped(kernel, groups):
    """Kernel (..., in, out) of a convolution in groups, with zeros between the groups."""
    if groups == 1:
        return kernel
    *spatial, n_in, n_out = kernel.shape
    full = np.zeros((*spatial, groups, n_in, groups, n_out // groups), np.float32)
    for group in range(groups):
        full[..., group, :, group, :] = kernel.reshape(*spatial, n_in, groups, -1)[..., group, :]
    return full.reshape(*spatial, groups * n_in, n_out)


def _across(name, kernel, size, stride, dilation, padding, first):
    """Kernel (width, height, in, out) on an axis of `size` entries across the sequence as one on channels.

    Returns its weight and how many entries the axis has after it.
    """
    width, height, n_in, n_out = kernel.shape
    span = (height - 1) * dilation + 1
    if isinstance(padding, str):
        total = max((-(-size // stride) - 1) * stride + span - size, 0) if padding == "same" else 0
        padding = total // 2, total - total // 2
    after = (size + sum(padding) - span) // stride + 1
    if after < 1:
        raise UnknownLayer(f"layer {name} is wider than its input")
    weight = np.zeros((width, size, n_in, after, n_out), np.float32)
    for out in range(after):
        for k in range(height):
            row = out * stride + k * dilation - padding[0]
            if 0 <= row < size:
                weight[:, row, :, out] = kernel[:, k]
    if not first:
        weight = weight.transpose(0, 2, 1, 4, 3)
    return np.ascontiguousarray(weight.reshape(width, size * n_in, after * n_out)), after
