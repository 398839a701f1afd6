"""How readers put a graph together: tensors of any axes as rows of positions and channels, or as vectors.

Frameworks lay out one sequence as (L, 4), (4, L), (4, 1, L), (L, 4, 1) and so on. Here one axis is that of positions
and all others together are the channels, in their order; two-dimensional convolutions whose kernel does not run along
two real axes thus become one-dimensional ones.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

from . import graph as g
from .errors import UnknownLayer
from .gates import Gates, Term
from .rest import Rest, Tensor

LONG = 1 << 14  # positions of a sequence of any length while shapes are worked out
MOST_PIECES = 64  # of positions that are put together in another order
MOST_WEIGHTS = 1 << 24  # of a dense layer that only chooses, sums or centres channels


class Builder:
    """Collects nodes; every method adds one layer and returns its tensor."""

    def __init__(self, alphabet: str = "ACGT"):
        self.nodes, self.alphabet, self.length, self._names = [], alphabet, None, set()
        self._fixed = set()  # names of nodes that do not depend on the sequence
        self._renamed = {}  # nodes, since an output bears the name
        self._matrices = {}  # of nodes that choose channels
        self._shapes = {}  # of nodes, as far as they are known before a sequence comes
        self.gates = Gates(self)

    def graph(self, outputs: dict[str, Tensor], others: Sequence[str] = ()) -> g.Graph:
        """The graph, whose outputs bear the names of a dict of Tensors; no node bears one of the `others`."""
        for name, tensor in outputs.items():
            if tensor.node in self.gates:
                raise UnknownLayer(f"{self.gates.why} of output {name}")
        new = {name for name, tensor in outputs.items() if name != tensor.node} | set(others) - set(outputs)
        self._make_room(new & self._names)
        for name, tensor in outputs.items():
            if name != tensor.node:
                self.add_node(name, g.Dropout(), [self._renamed.get(tensor.node, tensor.node)])
        return g.Graph(tuple(self.nodes), tuple(outputs), self.length, self.alphabet)

    def _make_room(self, taken):
        """Give other names to the nodes that bear those of outputs."""
        self._renamed = {name: self._unused(f"{name}/layer") for name in taken}
        self.nodes = [g.Node(self._renamed.get(node.name, node.name), node.layer, tuple(
            self._renamed.get(each, each) for each in node.inputs)) for node in self.nodes]
        self._shapes = {self._renamed.get(name, name): shape for name, shape in self._shapes.items()}
        self._fixed = {self._renamed.get(name, name) for name in self._fixed}
        self._names = self._names - taken | set(self._renamed.values())

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
        graph = self.graph(outputs, names)
        inputs = tuple(x._replace(node=self._renamed.get(x.node, x.node)) for x in rest.inputs)
        return replace(graph, outputs=tuple(names), rest=replace(rest, inputs=inputs))

    def is_gated(self, value: object) -> bool:
        """Whether a tensor, or one in a list, is among `gates`."""
        if isinstance(value, list):
            return any(map(self.is_gated, value))
        return isinstance(value, Tensor) and value.node in self.gates

    def add(self, name: str, layer: object, inputs: Sequence[Tensor]) -> str:
        """A node, whose name gets a number if it is taken; its name."""
        names = [tensor.node for tensor in inputs]
        if not any(each in self.gates for each in names):
            return self.add_node(name, layer, names)
        name = self._unused(name)
        if self.gates.add(name, layer, names):
            self._names.add(name)
        return name

    def add_node(self, name: str, layer: object, inputs: Sequence[str]) -> str:
        """`add` of nodes that are in the graph, by their names."""
        name = self._unused(name)
        self._names.add(name)
        if isinstance(layer, g.Constant) or inputs and all(each in self._fixed for each in inputs):
            self._fixed.add(name)
        if all(each in self._shapes for each in inputs):
            try:
                known = [self._shapes[each] for each in inputs]
                self._shapes[name] = g.shape_of(layer, known, self.length or LONG)
            except (ValueError, IndexError) as error:
                if self.length is not None:
                    raise UnknownLayer(f"layer {name} does not fit its input: {error}") from error
        self.nodes.append(g.Node(name, layer, tuple(inputs)))
        return name

    def _unused(self, name):
        unique, n = name, 1
        while unique in self._names:
            unique, n = f"{name}:{n}", n + 1
        return unique

    def shape(self, node: str) -> tuple[int, ...]:
        """Shape of a node's value; of its positions' number only if the graph takes one length (`positions`)."""
        if node not in self._shapes:
            raise UnknownLayer(f"the size of {node} is not known")
        return self._shapes[node]

    def positions(self, name: str, node: str) -> int:
        """How many positions a node has, which layer `name` depends on."""
        if self.length is None:
            raise UnknownLayer(f"layer {name} depends on the length of the sequence, which the model does not say")
        return self.shape(self.gates.positions.get(node, node))[0]

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
        """Sum or product; axes of size 1 are repeated."""
        ranks, at = {x.ndim for x in inputs}, {x.at for x in inputs}
        first = max(inputs, key=lambda x: np.prod([n or 0 for n in x.rest]))
        if len(ranks) > 1 or len(at - {None}) > 1:
            raise UnknownLayer(f"layer {name} joins tensors whose axes differ")
        if len(at) > 1:
            return self._with_vectors(name, layer, inputs, *(at - {None}))
        moving = {x.rest for x in inputs if x.node not in self._fixed and None not in x.rest}
        if len(moving) > 1:
            inputs = self._broadcast(name, inputs)
            first = inputs[0]
        return first._replace(node=self.add(name, layer, inputs))

    def _broadcast(self, name, inputs):
        """Tensors whose channel axes are repeated to the same sizes."""
        try:
            rest = np.broadcast_shapes(*(x.rest for x in inputs))
        except (ValueError, TypeError):
            raise UnknownLayer(f"layer {name} joins tensors of different sizes") from None
        result = []
        for x in inputs:
            if x.rest != rest:
                numbers = np.broadcast_to(np.arange(self.n_channels(name, x)).reshape(x.rest), rest)
                x = x._replace(node=self.choose(f"{name}/repeated", x, numbers.reshape(-1)), rest=rest)
            result.append(x)
        return result

    def _with_vectors(self, name, layer, inputs, at):
        """Rows joined with vectors, which have one position: each mutation changes all rows."""
        if any(x.at is None and (None in x.rest or x.rest[at] != 1) for x in inputs):
            raise UnknownLayer(f"layer {name} joins tensors whose axes differ")
        inputs = self._broadcast(name, [self.without(x, at) if x.at is None else x for x in inputs])
        rows = next(x for x in inputs if x.at is not None)
        if rows.node not in self.gates:
            like = rows.node
            rows = rows._replace(node=self._unused(f"{name}/rows"))
            self._names.add(rows.node)
            self.gates.begin(rows.node, [Term(self.n_channels(name, rows), rows=like)], like)
            inputs = [rows if x.node == like else x for x in inputs]
        return rows._replace(node=self.add(name, layer, inputs))

    def concatenate(self, name: str, inputs: Sequence[Tensor], axis: int) -> Tensor:
        """Along positions or along channels."""
        first = inputs[0]
        if len(inputs) == 1:
            return first
        if first.at is not None and axis % first.ndim == first.at:
            return self.end_to_end(name, inputs)
        index = first.axis_in_rest(axis)
        if len({(x.at, x.rest[:index], x.rest[index + 1:]) for x in inputs}) > 1:
            raise UnknownLayer(f"layer {name} concatenates tensors whose axes differ")
        if first.at is not None and any(x.node in self._fixed for x in inputs):
            raise UnknownLayer(f"layer {name} concatenates rows with a constant")
        if any(x.rest == (None,) for x in inputs):
            return Tensor(self.add(name, g.Concatenate(), inputs), (None,), first.at)
        ends = np.cumsum([0] + [self.n_channels(name, x) for x in inputs])
        numbers = np.concatenate([np.arange(*ends).reshape(x.rest) for x, ends in zip(inputs, pairwise(ends),
                                                                                      strict=True)], index)
        x = Tensor(self.add(name, g.Concatenate(), inputs), numbers.shape, first.at)
        return x._replace(node=self.choose(f"{name}/order", x, numbers.reshape(-1)))

    def choose(self, name: str, x: Tensor, channels: np.ndarray) -> str:
        """A node of some of a tensor's channels, in any order and as often as they are named."""
        n = self.n_channels(name, x)
        if len(channels) == n and (channels == np.arange(n)).all():
            return x.node
        if n * len(channels) > MOST_WEIGHTS:
            raise UnknownLayer(f"layer {name} chooses from {n} values")
        matrix = (np.arange(n)[:, None] == channels).astype(np.float32)
        node = self.add(name, _mix(x, matrix, np.zeros(len(channels))), [x])
        if node not in self.gates:
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
        """Positions [start, stop) of `length`, every step-th, as a range has them: also backwards."""
        chosen = range(start, stop, step)
        if not chosen:
            raise UnknownLayer(f"layer {name} takes positions from {start} to {stop} in steps of {step}")
        if step < 0:
            x = self.same(f"{name}/turned", g.Reverse(), x)
            start, stop, step = length - 1 - chosen[0], length - chosen[-1], -step
        if (start, stop) != (0, length):
            x = self.same(name if step == 1 else f"{name}/cut", g.Crop(start, length - stop), x)
        return x if step == 1 else self.same(name, g.Pool("average", 1, step), x)

    def end_to_end(self, name: str, inputs: Sequence[Tensor]) -> Tensor:
        """Tensors one after the other along positions: each between rows of zeros, and their sum."""
        if len({(x.at, x.rest) for x in inputs}) > 1:
            raise UnknownLayer(f"layer {name} concatenates tensors whose axes differ")
        ends = np.cumsum([0] + [self.positions(name, x.node) for x in inputs]).tolist()
        parts = [self.same(f"{name}/part", g.Crop(-start, stop - ends[-1]), x)
                 for x, (start, stop) in zip(inputs, pairwise(ends), strict=True)]
        return self.join(name, g.Add(), parts)

    def positions_at(self, name: str, x: Tensor, indices: Sequence[int]) -> Tensor:
        """Some positions, in any order and as often as they are named."""
        indices, runs = [int(i) for i in indices], []
        for i in indices:
            if runs and len(runs[-1]) == 1 and i != runs[-1][0] or len(runs and runs[-1]) > 1 and (
                    i - runs[-1][-1] == runs[-1][1] - runs[-1][0]):
                runs[-1].append(i)
            else:
                runs.append([i])
        if len(runs) > MOST_PIECES:
            raise UnknownLayer(f"layer {name} takes positions in no order")
        length, parts = self.positions(name, x.node), []
        for run in runs:
            step = run[1] - run[0] if len(run) > 1 else 1
            parts.append(self.cut(f"{name}/piece", x, run[0], run[-1] + (1 if step > 0 else -1), step, length))
        return parts[0] if len(parts) == 1 else self.end_to_end(name, parts)

    def spread(self, name: str, x: Tensor, axis: int, times: int) -> Tensor:
        """An axis of size 1 repeated; a vector's may become that of positions, if some node has as many."""
        if x.at is None and self.length is not None:
            for node, shape in self._shapes.items():
                if len(shape) == 2 and shape[0] == times and node not in self._fixed:
                    return self.everywhere(name, self.without(x, axis), axis, node)
        return self.take(name, x, axis, [0] * times)

    def everywhere(self, name: str, x: Tensor, axis: int, like: str) -> Tensor:
        """A vector as rows which are all the same, as many as node `like` has."""
        node = self._unused(name)
        self._names.add(node)
        self.gates.begin(node, [Term(self.n_channels(name, x), gate=x.node)], like)
        return Tensor(node, x.rest, axis)

    def einsum(self, name: str, first: tuple, second: tuple, out: str) -> Tensor:
        """Sum of products of two tensors, or of a tensor and an array.

        Parameters
        ----------
        first, second : (str, Tensor or array)
            A letter an axis, without that of the batch.
        out : str
            Letters of the result.
        """
        if not isinstance(first[1], Tensor):
            first, second = second, first
        (letters, x), (others, y) = first, second
        if not isinstance(y, Tensor) and (x.at is None or letters[x.at] not in others):
            return self._mixed(name, letters, x, others, y, out)
        if len(set(letters)) < len(letters) or len(set(others)) < len(others):
            raise UnknownLayer(f"layer {name} takes a diagonal")
        every = letters + "".join(each for each in others if each not in letters)
        x = self._in_order(f"{name}/order", x, letters, every)
        if isinstance(y, Tensor):
            product = self.join(f"{name}/product", g.Multiply(), [x, self._in_order(f"{name}/order", y, others, every)])
        else:
            y = np.einsum(f"{others}->{''.join(sorted(others, key=every.index))}", y)
            y = y.reshape(_sizes(y, others, every))
            product = self.affine(f"{name}/product", x, y, 0.0)
        for axis in reversed(range(len(every))):
            if every[axis] not in out:
                product = self.over(f"{name}/sum", product, "sum", axis)
        left = "".join(each for each in every if each in out)
        return self.permute(name, product, [left.index(each) for each in out])

    def _in_order(self, name, x, letters, every):
        """A tensor's axes in the order of `every`, with those that it does not have."""
        x = self.permute(name, x, [letters.index(each) for each in every if each in letters])
        for axis, letter in enumerate(every):
            if letter not in letters:
                x = self.with_axis(x, axis)
        return x

    def _mixed(self, name, letters, x, others, array, out):
        """`einsum` with an array that has no axis of positions: a dense layer over the channels."""
        position = letters[x.at] if x.at is not None else ""
        if position and position not in out:
            x = self.over(f"{name}/sum", x, "sum", x.at)
            letters, position = letters.replace(position, ""), ""
        n = self.n_channels(name, x)
        channels, results = letters.replace(position, ""), out.replace(position, "")
        if n * int(np.prod(x.rest)) > MOST_WEIGHTS:
            raise UnknownLayer(f"layer {name} mixes {n} values")
        eye = np.eye(n).reshape(n, *x.rest)
        matrix = np.einsum(f"Z{channels},{others}->Z{results}", eye, np.asarray(array, np.float64))
        rest = matrix.shape[1:]
        node = self.add(name, _mix(x, matrix.reshape(n, -1), np.zeros(matrix.size // n)), [x])
        return Tensor(node, rest or (1,), out.index(position) if position else None)

    def log_sum_exp(self, name: str, x: Tensor, axis: int) -> Tensor:
        """Over one axis of channels, which is kept: by the largest value, so that no exponential is too large."""
        top = self.over_channels(f"{name}/top", x, "max", axis, keep_axes=True)
        minus = self.same(f"{name}/minus", g.Scale(np.float32(-1), np.float32(0)), top)
        e = self.same(f"{name}/exp", g.Activation("exponential"), self.join(f"{name}/less", g.Add(), [x, minus]))
        total = self.over_channels(f"{name}/sum", e, "sum", axis, keep_axes=True)
        return self.join(name, g.Add(), [top, self.same(f"{name}/log", g.Activation("log"), total)])

    def adaptive_pool(self, name: str, x: Tensor, kind: str, n: int) -> Tensor:
        """To n positions, as PyTorch chooses the windows."""
        length = self.positions(name, x.node)
        if n == 1:
            return self.summary(name, x, kind, keep_axes=True)
        if length % n == 0:
            return self.same(name, g.Pool(kind, length // n, length // n), x)
        if n > MOST_PIECES:
            raise UnknownLayer(f"layer {name} pools {length} positions to {n}")
        parts = []
        for i in range(n):
            start, stop = i * length // n, -(-(i + 1) * length // n)
            piece = self.cut(f"{name}/piece", x, start, stop, 1, length)
            parts.append(self.same(f"{name}/pooled", g.Pool(kind, stop - start, 1), piece))
        return self.end_to_end(name, parts)

    def affine(self, name: str, x: Tensor, scale: ArrayLike, shift: ArrayLike) -> Tensor:
        """scale * x + shift, each a number or an array that broadcasts to the axes of one sequence."""
        arrays = [np.asarray(value, np.float32) for value in (scale, shift)]
        sizes = [array.shape for array in arrays if array.size > 1]
        if x.rest == (None,) and x.at is None:
            return self.same(name, g.Scale(*(array.reshape(-1) if array.size > 1 else array.reshape(())
                                             for array in arrays)), x)
        at, full = x.at, list(x.rest)
        if at is not None:
            full.insert(at, 1)
        for size in sizes:
            size = (1,) * (x.ndim - len(size)) + size
            if len(size) != x.ndim:
                raise UnknownLayer(f"layer {name} takes an array of more axes than its input")
            full = [n if m == 1 or axis == at else m for axis, (n, m) in enumerate(zip(full, size, strict=True))]
        rest = tuple(n for axis, n in enumerate(full) if axis != at)
        if rest != x.rest:
            x = self._broadcast(name, [x, x._replace(rest=rest)])[0] if len(rest) == len(x.rest) else x
        parts = []
        for array in arrays:
            if array.size > 1:
                array = array.reshape((1,) * (x.ndim - array.ndim) + array.shape)
                array = array if at is None else np.moveaxis(array, at, 0)
                lead = array.shape[:1] if at is not None else ()
                array = np.broadcast_to(array, (*lead, *rest)).reshape(*lead, -1)
                array = array[0] if lead == (1,) else array
            parts.append(array if array.size > 1 else array.reshape(()))
        if any(part.ndim == 2 and len(part) != self.positions(name, x.node) for part in parts):
            raise UnknownLayer(f"layer {name} takes an array of another length than its input")
        return self.same(name, g.Scale(*parts), x)

    def constant_like(self, name: str, x: Tensor, value: np.ndarray) -> Tensor:
        """An array with the axes of one sequence, as a tensor with the positions of x."""
        array = np.moveaxis(np.asarray(value, np.float32), x.at, 0) if x.at is not None else np.asarray(value)
        flat = array.reshape(len(array), -1) if x.at is not None else array.reshape(-1).astype(np.float32)
        if x.at is None:
            return Tensor(self.add_node(name, g.Constant(flat, flat.shape), []), array.shape, None)
        if len(flat) != self.positions(name, x.node) or x.node in self.gates:
            raise UnknownLayer(f"layer {name} takes an array of another length than its input")
        zeros = np.zeros((1, self.n_channels(name, x), flat.shape[1]), np.float32)
        node = self.add_node(f"{name}/zeros", g.Conv(zeros, zeros[0, 0]), [x.node])
        return Tensor(self.add_node(name, g.Scale(np.float32(1), flat), [node]), array.shape[1:], x.at)

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

    def normalised(self, name: str, x: Tensor, axes: Sequence[int], epsilon: float, groups: int = 1,
                   channel_axis: int | None = None, is_centred: bool = True) -> Tensor:
        """(x - mean) / sqrt(variance + epsilon) over some axes, or without a mean x / sqrt(mean square + epsilon).

        groups: of `channel_axis`, each normalised by itself.
        """
        n, axes = self.n_channels(name, x), {axis % x.ndim for axis in axes}
        if n * n > MOST_WEIGHTS:
            raise UnknownLayer(f"layer {name} normalises {n} values")
        together = np.arange(n).reshape(x.rest)
        if groups > 1:
            at = x.axis_in_rest(channel_axis)
            size = x.rest[at] // groups
            split = together.reshape(*x.rest[:at], groups, size, *x.rest[at + 1:])
            over = at + 1, *(i if i < at else i + 1 for i in (x.axis_in_rest(a) for a in axes - {x.at}) if i != at)
            together = np.broadcast_to(split.min(over, keepdims=True), split.shape).reshape(-1)
        else:
            over = tuple(x.axis_in_rest(axis) for axis in axes - {x.at})
            together = np.broadcast_to(together.min(over, keepdims=True), x.rest).reshape(-1)
        share = together[:, None] == together
        share = share / share.sum(0)
        if x.at in axes:
            return self._normalised_everywhere(name, x, share, epsilon, is_centred)
        if is_centred:
            x = self.same(f"{name}/centred", _mix(x, np.eye(n) - share, np.zeros(n)), x)
        y = self.same(f"{name}/square", g.Activation("square"), x)
        y = self.same(f"{name}/variance", _mix(x, share, np.full(n, epsilon)), y)
        return self.join(name, g.Multiply(), [x, self.same(f"{name}/over", g.Activation("rsqrt"), y)])

    def _normalised_everywhere(self, name, x, share, epsilon, is_centred):
        """Over positions too; share: (channel, channel) by which means of channels become those of groups."""
        at, n = x.at, len(share)
        mean, square = self.means(name, x)
        square = self.same(f"{name}/mean_square", g.Dense(share.astype(np.float32), np.full(n, epsilon)), square)
        if is_centred:
            mean = self.same(f"{name}/mean", g.Dense(-share.astype(np.float32), np.zeros(n)), mean)
            square = self._less_square(f"{name}/variance", square, mean)
        over = self.same(f"{name}/over", g.Activation("rsqrt"), square)
        shifted = self.join(f"{name}/centred", g.Add(), [x, self.with_axis(mean, at)]) if is_centred else x
        return self.join(name, g.Multiply(), [shifted, self.with_axis(over, at)])

    def means(self, name: str, x: Tensor) -> tuple[Tensor, Tensor]:
        """Means over positions of a tensor and of its square."""
        square = self.join(f"{name}/square", g.Multiply(), [x, x])
        return self.summary(f"{name}/mean", x, "average"), self.summary(f"{name}/mean", square, "average")

    def _less_square(self, name, square, mean):
        minus = self.same(f"{name}/minus", g.Scale(np.float32(-1), np.float32(0)), self.join(
            f"{name}/of_mean", g.Multiply(), [mean, mean]))
        return self.join(name, g.Add(), [square, minus])

    def variance(self, name: str, x: Tensor, axes: Sequence[int], keep_axes: bool, less: int = 0) -> Tensor:
        """Variance over some axes, with n - less in its denominator."""
        axes, n, parts = sorted({axis % x.ndim for axis in axes}, reverse=True), 1, []
        for axis in axes:
            n *= self.positions(name, x.node) if axis == x.at else x.rest[x.axis_in_rest(axis)]
        for y in (x, self.join(f"{name}/square", g.Multiply(), [x, x])):
            for axis in axes:
                y = self.over(f"{name}/mean", y, "average", axis, keep_axes)
            parts.append(y)
        y = self._less_square(f"{name}/less", parts[1], parts[0])
        return self.same(name, g.Scale(np.float32(n / (n - less)), np.float32(0)), y)

    def over(self, name: str, x: Tensor, kind: str, axis: int, keep_axes: bool = False) -> Tensor:
        """Average, sum, max or another summary over one axis, of positions or of channels."""
        if axis % x.ndim == x.at:
            return self.summary(name, x, kind, keep_axes)
        return self.over_channels(name, x, kind, axis, keep_axes)

    def softmax(self, name: str, x: Tensor, axis: int) -> Tensor:
        """Along one axis."""
        if x.rest == (None,) and x.at is None:
            return self.same(name, g.Softmax(), x)
        if axis % x.ndim == x.at:
            node = self._unused(name)
            if x.node in self.gates:
                raise UnknownLayer(f"layer {name} is a softmax over positions, all of which a gate before it changes")
            self._names.add(node)
            self.gates.begin(node, [Term(self.n_channels(name, x), logits=x.node)], x.node)
            return x._replace(node=node)
        at = x.axis_in_rest(axis)
        size, n = x.rest[at], self.n_channels(name, x)
        inner = int(np.prod(x.rest[at + 1:]))
        return self.same(name, g.Softmax() if size == n else g.Softmax(size, inner), x)

    def with_axis(self, x: Tensor, axis: int) -> Tensor:
        """A tensor with one more axis, of size 1."""
        if x.at is not None and axis <= x.at:
            return Tensor(x.node, (*x.rest[:axis], 1, *x.rest[axis:]), x.at + 1)
        at = axis if x.at is None else axis - 1
        if None in x.rest:
            x = x._replace(rest=(self.shape(x.node)[-1],))
        return x._replace(rest=(*x.rest[:at], 1, *x.rest[at:]))

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
        if len(x.rest) > 1 and x.at != x.ndim - 1 and x.rest[-1] == n_in and n_in != np.prod(x.rest):
            lead = "fghij"[:x.ndim - 1]
            y = self.einsum(f"{name}/weighted", (f"{lead}a", x), ("ab", weight), f"{lead}b")
            return y if bias is None else self.affine(name, y, 1.0, bias)
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
        while x.node in nodes:
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
                       strides: Sequence[int], crop: str | Sequence, groups: int = 1) -> Tensor:
        """Transposed convolution; kernel (spatial axes ..., in, out / groups); crop as in graph.ConvTranspose."""
        along, across, first = self._spatial(name, x, channel_axis)
        kernel = np.asarray(kernel, np.float32)
        if groups > 1:
            *spatial, n_in, n_out = kernel.shape
            by_group = np.moveaxis(kernel.reshape(*spatial, groups, n_in // groups, n_out), -3, -2)
            kernel = _ungrouped(by_group.reshape(*spatial, n_in // groups, groups * n_out), groups)
        bias = _bias(bias, kernel.shape[-1])
        if across is not None:
            if x.rest[0 if first else 1] != 1 or kernel.shape[across] != 1:
                raise UnknownLayer(f"layer {name} is a transposed convolution along two axes")
            kernel = np.take(kernel, 0, across)
        rest = tuple(kernel.shape[-1] if i == x.axis_in_rest(channel_axis) else n for i, n in enumerate(x.rest))
        layer = g.ConvTranspose(kernel, bias, strides[along], crop if isinstance(crop, str) else crop[along])
        return Tensor(self.add(name, layer, [x]), rest, x.at)

    def pool(self, name: str, x: Tensor, kind: str, channel_axis: int, sizes: Sequence[int], strides: Sequence[int],
             padding: str | Sequence, count_padding: bool = False, dilations: Sequence[int] = (1, 1)) -> Tensor:
        """Maximum or average of windows of positions; settings are one entry a spatial axis."""
        along, across, first = self._spatial(name, x, channel_axis)
        pads = [padding] * len(sizes) if isinstance(padding, str) else padding
        if across is not None and (sizes[across] != 1 or strides[across] != 1):
            x = self._pool_across(f"{name}/across", x, kind, 0 if first else 1, sizes[across], strides[across],
                                  pads[across])
        if across is not None and dilations[across] != 1:
            raise UnknownLayer(f"layer {name} pools with dilation along an axis other than positions")
        layer = g.Pool(kind, sizes[along], strides[along], pads[along], count_padding, dilations[along])
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
        node = self.add(name, g.Flatten(channels_first=bool(before > 1)), [x])
        is_known = self.length is not None and node in self._shapes
        return Tensor(node, self._shapes[node] if is_known else (None,), None)

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
            return self._folded(name, x, shape)
        sizes = shape[:at] + shape[at + 1:]
        missing = int(np.prod(x.rest)) // int(np.prod([n for n in sizes if n is not None]))
        return Tensor(x.node, tuple(missing if n is None else n for n in sizes), at)

    def _folded(self, name, x, shape):
        """Positions in pieces, each piece one position with more channels, or the reverse."""
        length, inner = self.positions(name, x.node), int(np.prod(x.rest[x.at:]))
        total = length * self.n_channels(name, x)
        missing = total // max(1, int(np.prod([n for n in shape if n is not None])))
        shape = tuple(missing if n is None else n for n in shape)
        outer, best = total // (length * inner), None
        for at, n in enumerate(shape):
            if np.prod(shape[:at]) != outer or n < 2 or np.prod(shape) != total:
                continue
            if length % n == 0:
                times = length // n
                layer = g.Fold(times, inner)
            elif n % length == 0 and inner % (n // length) == 0:
                times = n // length
                layer = g.Unfold(times, inner // times)
            else:
                continue
            if best is None or times < best[0]:
                best = times, layer, at
        if best is None:
            raise UnknownLayer(f"layer {name} reshapes positions and channels to {shape}")
        _, layer, at = best
        return Tensor(self.add(name, layer, [x]), shape[:at] + shape[at + 1:], at)

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


def _sizes(array, letters, every):
    """Sizes of an array's axes in the order of `every`, 1 for those that it does not have."""
    sizes = dict(zip(sorted(letters, key=every.index), array.shape, strict=True))
    return [sizes.get(letter, 1) for letter in every]


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
