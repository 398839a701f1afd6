"""Graphs from PyTorch modules, by way of a record of the calls that they make; see `models.host.torch_graph`."""

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from ..models.host import torch_graph, torch_masks
from ..models.host.errors import ModelError
from ..models.host.torch_graph import BATCH
from ..models.host.torch_rest import TorchRest, results_in
from . import graph as g
from .activations import TORCH
from .building import Builder
from .errors import NotANumber, UnknownLayer
from .rest import Rest, Tensor

BATCH_OF_REST = 32  # sequences that what the engine does not know is recorded for

# operations by ATen's names without overload
SAME = ("dropout", "alpha_dropout", "feature_dropout", "contiguous", "clone", "alias", "detach", "to", "_to_copy",
        "identity", "type_as", "float")
RESHAPES = ("view", "reshape", "flatten", "squeeze", "unsqueeze", "unflatten", "_unsafe_view")


class Call(NamedTuple):
    """One recorded call; see `torch_graph.record`."""

    name: str
    op: str
    target: str
    args: list
    kwargs: dict
    shape: list | None
    dropout: int | None


def read_torch(module: object, shape: tuple[int, ...], alphabet: str = "ACGT", split: bool = False) -> g.Graph:
    """Graph of a PyTorch module, as it predicts (in `eval` mode).

    Parameters
    ----------
    module : torch.nn.Module
    shape : tuple of int
        Of one sequence as the module takes it, without the batch axis: (4, L), (4, 1, L), (L, 4) ...
    alphabet : str
        Order of the letters along the one-hot axis.
    split : bool
        Let PyTorch compute what follows the operations that are known: the graph's `rest`.

    Returns
    -------
    Graph
        Its outputs bear the keys of the dict that the module returns, or `output`, or `output0`, `output1` ...

    Raises
    ------
    UnknownLayer
    """
    try:
        recorded, arrays = torch_graph.record(module, shape, batch=BATCH_OF_REST if split else BATCH)
    except ModelError as error:
        raise UnknownLayer(str(error)) from error
    rests = []

    def rest(plan, given, _):
        if not rests:
            rests.append(TorchRest(recorded, arrays, plan["known"], plan["wanted"], _device(module)))
        return rests[0](given)

    return read_recorded(recorded, arrays, shape, alphabet, rest if split else None)


def _device(module):
    weight = next(module.parameters(), None)
    return "cpu" if weight is None else weight.device


def read_recorded(recorded: dict, arrays: list[np.ndarray], shape: tuple[int, ...], alphabet: str = "ACGT",
                  rest: Callable | None = None) -> g.Graph:
    """Graph of a PyTorch module that was recorded in any process.

    Parameters
    ----------
    recorded, arrays
        As `torch_graph.record` returns them.
    shape, alphabet
        As for `read_torch`.
    rest : callable, optional
        `HostedModel.rest` of whoever has the module; with it, what is not known becomes the graph's `rest`.

    Returns
    -------
    Graph
        Its dropout layers bear the numbers of their modules, for `Graph.with_masks`.

    Raises
    ------
    UnknownLayer
    """
    return _Reader(recorded, arrays, shape, alphabet, rest).graph()


class _Reader:
    """Walks the recorded calls; every value is a Tensor of the graph, a numpy array or a plain Python value.

    `node` is the call that is being read, `shapes` the shapes of the results by the calls' names, `rest` the calls that
    are not known by their names, where `compute` computes these; `why` is about the first.
    """

    def __init__(self, recorded, arrays, shape, alphabet, compute=None):
        self.recorded, self.arrays, self.builder = recorded, arrays, Builder(alphabet)
        name, self.batch = recorded["input"], recorded["batch"]
        self.values = {name: self.builder.sequence(name, tuple(shape))}
        self.shapes = {name: (self.batch, *shape)}
        self.node, self.rest, self.why, self.compute = None, {}, None, compute

    def graph(self):
        for call in self.recorded["calls"]:
            self.node = Call(**call)
            self.shapes[self.node.name] = self.node.shape
            if any(np.isnan(self.arrays[number]).any() for number in _arrays_in([self.node.args, self.node.kwargs])
                   if number < len(self.arrays)):
                raise NotANumber(f"operation {self.node.name} ({self.node.target})")
            try:
                self.values[self.node.name] = self.call(self.node)
            except UnknownLayer as error:
                if self.compute is None:
                    raise
                self.rest[self.node.name] = self.node
                self.why = self.why or str(error)
        known = {name: self.value(value) for name, value in self.recorded["outputs"]
                 if not results_in(value) & self.rest.keys()}
        if not all(isinstance(tensor, Tensor) for tensor in known.values()):
            raise UnknownLayer("an output of the module does not depend on the sequence")
        return self.split(known) if self.rest else self.builder.graph(known)

    def split(self, known):
        """The graph of what is known, and the rest; `known` are the outputs of the graph."""
        taken = {name for call in self.rest.values() for name in results_in([call.args, call.kwargs])}
        cut = {name: self.values[name] for name in self.values if name in taken}
        outputs = dict(self.recorded["outputs"])
        wanted = {name: value["call"] for name, value in outputs.items() if name not in known}
        plan = {"batch": self.batch, "known": list(cut), "wanted": list(wanted.values())}
        rest = Rest(tuple(cut.values()), tuple(wanted), partial(self.compute, plan), True, self.why)
        return self.builder.split(known, rest, tuple(outputs))

    def call(self, node):
        name = node.op
        if results_in([node.args, node.kwargs]) & self.rest.keys():
            raise self.unknown(" after one that")
        arguments = [self.value(argument) for argument in node.args]
        named = {key: self.value(argument) for key, argument in node.kwargs.items()}
        if name == "getitem":
            if isinstance(arguments[0], list):
                return arguments[0][arguments[1]]
            if arguments[1] != 0:
                raise self.unknown(" of a second result")
            return arguments[0]
        x = arguments[0] if arguments else None
        if node.dropout is not None:
            return self.builder.same(node.name, g.Dropout(self.mask(x)), x)
        if name in SAME:
            return x
        if name in RESHAPES:
            return self.builder.reshape(node.name, x, self.new_shape())
        if name in TORCH:
            return self.builder.same(node.name, g.Activation(*TORCH[name]), x)
        method = None if name.endswith("_") else getattr(self, f"_{name}", None)
        if method is None:
            raise self.unknown()
        try:
            return method(*arguments, **named)
        except UnknownLayer:
            raise
        except (TypeError, ValueError, IndexError) as error:  # arguments that the method does not have or cannot use
            raise self.unknown(f" as it is called here ({error})") from error

    def value(self, argument):
        """An argument as `torch_graph.record` describes it."""
        if isinstance(argument, list):
            return [self.value(item) for item in argument]
        if not isinstance(argument, dict):
            return argument
        if "call" in argument:
            return self.values[argument["call"]]
        if "array" in argument:
            if argument["array"] >= len(self.arrays):
                raise UnknownLayer("the record of the module names an array that is not there")
            array = self.arrays[argument["array"]]
            return array.astype(np.int64) if argument["whole"] else array
        return argument["text"]

    def mask(self, x):
        """The mask of a dropout call."""
        return g.Mask(torch_masks.mask_name(self.node.dropout, self.node.shape[1:]), x.at or 0)

    def unknown(self, what=""):
        return UnknownLayer(f"operation {self.node.name} ({self.node.target}){what} is not known to the exact engine")

    def new_shape(self):
        shape = self.node.shape
        if not shape or shape[0] != self.batch:
            raise self.unknown(f" to shape {shape}")
        return tuple(shape[1:])

    def shape_of(self, argument):
        """Shape of the result of a call, with its batch axis, from what stands for it in `node.args`."""
        return self.shapes[argument["call"]]

    def axis(self, axis, x):
        """One of PyTorch's axes as one of a tensor without the batch axis."""
        axis = axis - 1 if axis > 0 else axis + x.ndim
        if axis < 0 or axis >= x.ndim:
            raise self.unknown(" along the batch axis")
        return axis

    # operations, by ATen's names and with ATen's arguments

    def _conv1d(self, x, weight, bias=None, stride=(1,), padding=(0,), dilation=(1,), groups=1):
        kernel = np.moveaxis(weight, (0, 1), (-1, -2))
        n = kernel.ndim - 2
        pads = padding if isinstance(padding, str) else [(p, p) for p in _several(padding, n)]
        return self.builder.conv(self.node.name, x, kernel, bias, 0, _several(stride, n), _several(dilation, n),
                                 pads, groups)

    _conv2d = _conv1d

    def _conv_transpose1d(self, x, weight, bias=None, stride=(1,), padding=(0,), output_padding=(0,), groups=1,
                          dilation=(1,)):
        if groups != 1 or set(dilation) != {1}:
            raise self.unknown(" in groups or with dilation")
        kernel = np.moveaxis(weight, (0, 1), (-2, -1))
        n = kernel.ndim - 2
        crop = [(p, p - extra) for p, extra in zip(_several(padding, n), _several(output_padding, n), strict=True)]
        return self.builder.conv_transpose(self.node.name, x, kernel, bias, 0, _several(stride, n), crop)

    def _linear(self, x, weight, bias=None):
        return self.builder.dense(self.node.name, x, weight.T, bias)

    def _batch_norm(self, x, weight, bias, mean, variance, training, momentum, epsilon, *_):
        if training:
            raise self.unknown(" in training mode")
        gamma, beta = 1.0 if weight is None else weight, 0.0 if bias is None else bias
        return self.builder.batch_norm(self.node.name, x, 0, gamma, beta, mean, variance, epsilon)

    def _elu(self, x, alpha=1.0, scale=1.0, input_scale=1.0):
        if scale != 1 or input_scale != 1:
            raise self.unknown(" with scales")
        return self.activation(x, "elu", alpha)

    def _leaky_relu(self, x, slope=0.01):
        return self.activation(x, "leaky_relu", slope)

    def _celu(self, x, alpha=1.0):
        if alpha != 1:
            raise self.unknown(f" with alpha {alpha}")
        return self.activation(x, "elu", 1.0)

    def _hardsigmoid(self, x):
        return self.activation(x, "hard_sigmoid", 1 / 6, 0.5)

    def _prelu(self, x, slope):
        if slope.size > 1 and x.at is not None and x.at != 1:
            raise self.unknown(" with slopes along another axis than the first")
        return self.builder.prelu(self.node.name, x, slope)

    def _layer_norm(self, x, shape, weight=None, bias=None, epsilon=1e-5, *_):
        if len(shape) > 1:
            raise self.unknown(" over several axes")
        if x.at == x.ndim - 1:
            raise self.unknown(" over positions")
        gamma, beta = 1.0 if weight is None else weight, 0.0 if bias is None else bias
        return self.builder.layer_norm(self.node.name, x, -1, gamma, beta, epsilon)

    def _maximum(self, x, y):
        return self.extreme(x, y, 1)

    def _minimum(self, x, y):
        return self.extreme(x, y, -1)

    def extreme(self, x, y, sign):
        if not isinstance(x, Tensor) or not isinstance(y, Tensor):
            raise self.unknown(" with a constant")
        return self.builder.extreme(self.node.name, [x, y], sign)

    def _gelu(self, x, approximate="none"):
        return self.activation(x, "gelu" if approximate == "none" else "gelu_tanh")

    def _softplus(self, x, beta=1.0, threshold=20.0):
        if beta != 1:
            raise self.unknown(f" with beta {beta}")
        return self.activation(x, "softplus")

    def _hardtanh(self, x, low=-1.0, high=1.0):
        return self.activation(x, "clip", low, high)

    def _clamp(self, x, low=None, high=None):
        return self.activation(x, "clip", -np.inf if low is None else low, np.inf if high is None else high)

    def _threshold(self, x, threshold, value):
        return self.activation(x, "threshold", threshold, value)

    def _pow(self, x, exponent):
        if exponent != 2:
            raise self.unknown(f" with exponent {exponent}")
        return self.activation(x, "square")

    def activation(self, x, kind, alpha=0.0, beta=0.0):
        return self.builder.same(self.node.name, g.Activation(kind, float(alpha), float(beta)), x)

    def _softmax(self, x, axis, *_):
        axis = self.axis(axis, x)
        if axis == x.at or any(n not in (1, None) for i, n in enumerate(x.rest) if i != x.axis_in_rest(axis)):
            raise self.unknown(" along another axis than the channels")
        return self.builder.same(self.node.name, g.Softmax(), x)

    def _max_pool1d(self, x, size, stride=(), padding=(0,), dilation=(1,), ceil_mode=False):
        if set(dilation if isinstance(dilation, (list, tuple)) else [dilation]) != {1}:
            raise self.unknown(" with dilation")
        return self.pool(x, "max", size, stride, padding, ceil_mode)

    _max_pool2d = _max_pool1d

    def _avg_pool1d(self, x, size, stride=(), padding=(0,), ceil_mode=False, count_include_pad=True, divisor=None):
        if divisor is not None:
            raise self.unknown(" with a divisor")
        return self.pool(x, "average", size, stride, padding, ceil_mode, count_include_pad)

    _avg_pool2d = _avg_pool1d

    def pool(self, x, kind, size, stride, padding, ceil_mode, count_padding=False):
        if ceil_mode:
            raise self.unknown(" with ceil_mode")
        n = x.ndim - 1
        pads = [(p, p) for p in _several(padding, n)]
        return self.builder.pool(self.node.name, x, kind, 0, _several(size, n), _several(stride or size, n), pads,
                                 count_padding)

    def _adaptive_avg_pool1d(self, x, size):
        return self.pool_all(x, size, "average")

    def _adaptive_max_pool1d(self, x, size):
        return self.pool_all(x, size, "max")

    _adaptive_avg_pool2d, _adaptive_max_pool2d = _adaptive_avg_pool1d, _adaptive_max_pool1d

    def pool_all(self, x, size, kind):
        if set(size) != {1} or any(n != 1 for n in x.rest[1:]):
            raise self.unknown(f" to size {size}")
        return self.builder.summary(self.node.name, x, kind, keep_axes=True)

    def _mean(self, x, axes=None, keepdim=False, **_):
        return self.over_positions(x, axes, keepdim, "average")

    def _sum(self, x, axes=None, keepdim=False, **_):
        return self.over_positions(x, axes, keepdim, "sum")

    def _amax(self, x, axes=(), keepdim=False):
        return self.over_positions(x, axes, keepdim, "max")

    def _max(self, x, axis=None, keepdim=False):
        return self.over_positions(x, axis, keepdim, "max")

    def _logsumexp(self, x, axes, keepdim=False):
        return self.over_positions(x, axes, keepdim, "log_sum_exp")

    def over_positions(self, x, axes, keepdim, kind):
        axes = axes if isinstance(axes, (list, tuple)) else [axes]
        if axes == [None] or not axes:
            raise self.unknown(" over all axes")
        for at in sorted({self.axis(axis, x) for axis in axes}, reverse=True):
            x = (self.builder.summary(self.node.name, x, kind, keep_axes=keepdim) if at == x.at
                 else self.builder.over_channels(self.node.name, x, kind, at, keep_axes=keepdim))
        return x

    def _permute(self, x, order):
        if order[0] != 0:
            raise self.unknown(" of the batch axis")
        return self.builder.permute(self.node.name, x, [self.axis(axis, x) for axis in order[1:]])

    def _transpose(self, x, first, second):
        order = list(range(x.ndim))
        first, second = self.axis(first, x), self.axis(second, x)
        order[first], order[second] = order[second], order[first]
        return self.builder.permute(self.node.name, x, order)

    def _cat(self, tensors, axis=0):
        if not all(isinstance(tensor, Tensor) for tensor in tensors):
            raise self.unknown(" of constants")
        return self.builder.concatenate(self.node.name, tensors, self.axis(axis, tensors[0]))

    def _add(self, x, y, alpha=1):
        if isinstance(x, Tensor) and isinstance(y, Tensor):
            return self.builder.join(self.node.name, g.Add(), [x, self.scaled(y, alpha, "scaled")])
        return self.shifted(x, y, alpha) if isinstance(x, Tensor) else self.shifted(y, x, 1)

    def _sub(self, x, y, alpha=1):
        if isinstance(x, Tensor) and isinstance(y, Tensor):
            return self.builder.join(self.node.name, g.Add(), [x, self.scaled(y, -alpha, "minus")])
        if isinstance(x, Tensor):
            return self.shifted(x, y, -alpha)
        return self.shifted(self.scaled(y, -alpha, "minus"), x, 1)

    def _rsub(self, x, y, alpha=1):
        return self._sub(y, x, alpha)

    def _mul(self, x, y):
        if isinstance(x, Tensor) and isinstance(y, Tensor):
            return self.builder.join(self.node.name, g.Multiply(), [x, y])
        x, y = (x, y) if isinstance(x, Tensor) else (y, x)
        return self.scale_and_shift(x, y, 0.0)

    def _div(self, x, y):
        if not isinstance(x, Tensor) or isinstance(y, Tensor):
            raise self.unknown(" by what depends on the sequence")
        return self.scale_and_shift(x, 1 / np.asarray(y, np.float64), 0.0)

    def _neg(self, x):
        return self.scaled(x, -1, "minus")

    def scaled(self, x, factor, what):
        layer = g.Scale(np.float32(factor), np.float32(0))
        return x if factor == 1 else self.builder.same(f"{self.node.name}/{what}", layer, x)

    def shifted(self, x, y, factor):
        return self.scale_and_shift(x, 1.0, np.asarray(y) * factor)

    def scale_and_shift(self, x, scale, shift):
        """Numbers, or arrays along the channels only."""
        parts = []
        for value in (scale, shift):
            value = np.asarray(value, np.float32)
            if value.size > 1:
                full = value.reshape((1,) * (x.ndim - value.ndim) + value.shape) if value.ndim <= x.ndim else value[0]
                if full.ndim != x.ndim or x.at is not None and full.shape[x.at] != 1:
                    raise self.unknown(" with an array along positions")
                value = np.broadcast_to(full if x.at is None else full.squeeze(x.at), x.rest).reshape(-1)
            parts.append(value.reshape(-1) if value.size > 1 else value.reshape(()))
        return self.builder.same(self.node.name, g.Scale(*parts), x)

    def _slice(self, x, axis=0, start=0, end=None, step=1):
        if axis == 0 and start in (0, None) and (end is None or end >= self.batch) and step == 1:
            return x
        length = self.shape_of(self.node.args[0])[axis]
        start, end, _ = slice(start, end).indices(length)
        if (start, end) == (0, length) and step == 1:
            return x
        at = self.axis(axis, x)
        if at == x.at:
            return self.builder.cut(self.node.name, x, start, end, step, length)
        return self.builder.take(self.node.name, x, at, range(start, end, step))

    def _select(self, x, axis, index):
        """One entry along an axis, which vanishes."""
        at = self.axis(axis, x)
        length = self.shape_of(self.node.args[0])[axis]
        if at != x.at:
            x = self.builder.take(self.node.name, x, at, [index % length])
            return self.builder.without(x, at)
        x = self.builder.cut(self.node.name, x, index % length, index % length + 1, 1, length)
        return Tensor(self.builder.add(f"{self.node.name}/flat", g.Flatten(), [x]), x.rest or (1,), None)

    def _split(self, x, size, axis=0):
        at, length = self.axis(axis, x), self.shape_of(self.node.args[0])[axis]
        sizes = size if isinstance(size, list) else [size] * (length // size) + [length % size] * (length % size > 0)
        starts = np.cumsum([0, *sizes]).tolist()
        if at == x.at:
            return [self.builder.cut(self.node.name, x, *ends, 1, length) for ends in pairwise(starts)]
        return [self.builder.take(self.node.name, x, at, range(*ends)) for ends in pairwise(starts)]

    _split_with_sizes = _split

    def _chunk(self, x, n, axis=0):
        return self._split(x, -(-self.shape_of(self.node.args[0])[axis] // n), axis)

    def _flip(self, x, axes):
        for axis in axes:
            at, length = self.axis(axis, x), self.shape_of(self.node.args[0])[axis]
            x = (self.builder.same(self.node.name, g.Reverse(), x) if at == x.at
                 else self.builder.take(self.node.name, x, at, range(length)[::-1]))
        return x

    def _repeat(self, x, times):
        if len(times) != x.ndim + 1 or times[0] != 1 or x.at is not None and times[1 + x.at] != 1:
            raise self.unknown(" along the batch or along positions")
        for at, n in enumerate(times[1:]):
            if n > 1:
                x = self.builder.take(self.node.name, x, at, np.tile(range(x.rest[x.axis_in_rest(at)]), n))
        return x

    def _repeat_interleave(self, x, times, axis=None, **_):
        if axis is None or not isinstance(times, int):
            raise self.unknown(" by several numbers")
        at = self.axis(axis, x)
        if at == x.at:
            return self.builder.same(self.node.name, g.Repeat(times), x)
        return self.builder.take(self.node.name, x, at, np.repeat(range(x.rest[x.axis_in_rest(at)]), times))

    def _pad(self, x, pads, mode="constant", value=None):
        if mode != "constant" or value not in (None, 0) or x.at != x.ndim - 1 or any(pads[2:]):
            raise self.unknown(" other than with zeros along the last axis")
        return self.builder.same(self.node.name, g.Crop(-pads[0], -pads[1]), x)

    _constant_pad_nd = _pad


def _arrays_in(value):
    """Numbers of the arrays in recorded arguments."""
    if isinstance(value, dict) and "array" in value:
        return [value["array"]]
    each = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return [number for part in each for number in _arrays_in(part)]


def _several(value, n):
    value = list(value) if isinstance(value, (list, tuple)) else [value]
    return value * n if len(value) == 1 else value
