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

MOST_WINDOW = 64  # entries of a window that becomes an axis
BATCH_OF_REST = 32  # sequences that what the engine does not know is recorded for

# operations by ATen's names without overload
PRECISE = ("torch.float32", "torch.float64", "torch.strided", "torch.contiguous_format", "torch.preserve_format")
IMPRECISE = (*range(6), 11, 15)  # PyTorch's numbers of types other than float32 and float64, as a trace has them
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
        if self.compute is not None:
            self.leave_gates()
        known = {name: self.value(value) for name, value in self.recorded["outputs"]
                 if not results_in(value) & self.rest.keys()}
        if not all(isinstance(tensor, Tensor) for tensor in known.values()):
            raise UnknownLayer("an output of the module does not depend on the sequence")
        return self.split(known) if self.rest else self.builder.graph(known)

    def leave_gates(self):
        """Leave to PyTorch the calls whose results change at all positions, where it takes these as they are."""
        outputs = {name for _, value in self.recorded["outputs"] for name in results_in(value)}
        taken = outputs.union(*(results_in([call.args, call.kwargs]) for call in self.rest.values()))
        for described in reversed(self.recorded["calls"]):
            call = Call(**described)
            if call.name in taken and call.name not in self.rest and self.builder.is_gated(self.values[call.name]):
                self.rest[call.name] = call
                del self.values[call.name]
                self.why = self.why or f"{self.builder.gates.why} of operation {call.name}"
                taken |= results_in([call.args, call.kwargs])
        self.rest = {each["name"]: self.rest[each["name"]] for each in self.recorded["calls"]
                     if each["name"] in self.rest}

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
            if name in ("to", "_to_copy") and self.is_rounded(node):
                raise self.unknown(" to another type than float32")
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

    @staticmethod
    def is_rounded(node):
        """Whether a call makes float16 or whole numbers of its input."""
        texts = [value["text"] for value in [*node.args, *node.kwargs.values()] if isinstance(value, dict)
                 and "text" in value]
        number = node.args[1] if len(node.args) > 1 else None
        return (any(text.startswith("torch.") and text not in PRECISE for text in texts)
                or isinstance(number, int) and not isinstance(number, bool) and number in IMPRECISE)

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
        kernel = np.moveaxis(weight, (0, 1), (-2, -1))
        n = kernel.ndim - 2
        for axis, step in enumerate(_several(dilation, n)):
            spaced = np.zeros((*kernel.shape[:axis], (kernel.shape[axis] - 1) * step + 1, *kernel.shape[axis + 1:]))
            spaced[(slice(None),) * axis + (slice(None, None, step),)] = kernel
            kernel = spaced
        crop = [(p, p - extra) for p, extra in zip(_several(padding, n), _several(output_padding, n), strict=True)]
        return self.builder.conv_transpose(self.node.name, x, kernel, bias, 0, _several(stride, n), crop, groups)

    _conv_transpose2d = _conv_transpose1d

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
        """max(x, 0) + min(alpha (exp(x / alpha) - 1), 0)."""
        below = self.builder.same(f"{self.node.name}/below", g.Activation("clip", -np.inf, 0.0), x)
        below = self.builder.same(f"{self.node.name}/exp", g.Activation("expm1"), self.scaled(below, 1 / alpha, "in"))
        above = self.builder.same(f"{self.node.name}/above", g.Activation("relu"), x)
        return self.builder.join(self.node.name, g.Add(), [above, self.scaled(below, alpha, "out")])

    def _rrelu(self, x, lower=0.125, upper=1 / 3, *_):
        return self.activation(x, "leaky_relu", (lower + upper) / 2)

    def _hardswish(self, x):
        gate = self.builder.same(f"{self.node.name}/gate", g.Activation("hard_sigmoid", 1 / 6, 0.5), x)
        return self.builder.join(self.node.name, g.Multiply(), [x, gate])

    def _log_sigmoid(self, x):
        y = self.builder.same(f"{self.node.name}/softplus", g.Activation("softplus"), self.scaled(x, -1, "minus"))
        return self.builder.same(self.node.name, g.Scale(np.float32(-1), np.float32(0)), y)

    def _softshrink(self, x, limit=0.5):
        inside = self.builder.same(f"{self.node.name}/inside", g.Activation("clip", -limit, limit), x)
        return self.builder.join(self.node.name, g.Add(), [x, self.scaled(inside, -1, "minus")])

    def _hardshrink(self, x, limit=0.5):
        parts = [self.builder.same(f"{self.node.name}/outside", g.Activation("threshold", limit, 0.0), side)
                 for side in (x, self.scaled(x, -1, "minus"))]
        return self.builder.join(self.node.name, g.Add(), [parts[0], self.scaled(parts[1], -1, "minus")])

    def _glu(self, x, axis=-1):
        value, gate = self._chunk(x, 2, axis)
        gate = self.builder.same(f"{self.node.name}/gate", g.Activation("sigmoid"), gate)
        return self.builder.join(self.node.name, g.Multiply(), [value, gate])

    def _hardsigmoid(self, x):
        return self.activation(x, "hard_sigmoid", 1 / 6, 0.5)

    def _prelu(self, x, slope):
        if slope.size > 1 and x.at is not None and x.at != 1:
            raise self.unknown(" with slopes along another axis than the first")
        return self.builder.prelu(self.node.name, x, slope)

    def _layer_norm(self, x, shape, weight=None, bias=None, epsilon=1e-5, *_):
        return self.normalised(x, range(x.ndim - len(shape), x.ndim), weight, bias, epsilon)

    def _rms_norm(self, x, shape, weight=None, epsilon=None):
        epsilon = np.finfo(np.float32).eps if epsilon is None else epsilon
        return self.normalised(x, range(x.ndim - len(shape), x.ndim), weight, None, epsilon, is_centred=False)

    def _group_norm(self, x, groups, weight=None, bias=None, epsilon=1e-5, *_):
        return self.normalised(x, range(x.ndim), _along_first(weight, x), _along_first(bias, x), epsilon, groups=groups,
                               channel_axis=0)

    def _instance_norm(self, x, weight, bias, mean, variance, of_input, momentum, epsilon, *_):
        if not of_input:
            return self._batch_norm(x, weight, bias, mean, variance, False, momentum, epsilon)
        return self.normalised(x, range(1, x.ndim), _along_first(weight, x), _along_first(bias, x), epsilon)

    def normalised(self, x, axes, weight, bias, epsilon, **settings):
        x = self.builder.normalised(f"{self.node.name}/normal", x, list(axes), epsilon, **settings)
        return self.builder.affine(self.node.name, x, 1.0 if weight is None else weight, 0.0 if bias is None else bias)

    def _maximum(self, x, y):
        return self.extreme(x, y, 1)

    def _minimum(self, x, y):
        return self.extreme(x, y, -1)

    def extreme(self, x, y, sign):
        if isinstance(x, Tensor) and isinstance(y, Tensor):
            return self.builder.extreme(self.node.name, [x, y], sign)
        x, y = (x, y) if isinstance(x, Tensor) else (y, x)
        if np.size(y) == 1:
            limits = (float(np.reshape(y, ())), np.inf) if sign > 0 else (-np.inf, float(np.reshape(y, ())))
            return self.activation(x, "clip", *limits)
        rise = self.builder.affine(f"{self.node.name}/rise", x, -sign, sign * self.one_sequence(y, x))
        rise = self.builder.same(f"{self.node.name}/relu", g.Activation("relu"), rise)
        return self.builder.join(self.node.name, g.Add(), [x, self.scaled(rise, sign, "scaled")])

    def _gelu(self, x, approximate="none"):
        return self.activation(x, "gelu" if approximate == "none" else "gelu_tanh")

    def _softplus(self, x, beta=1.0, threshold=20.0):
        y = self.builder.same(f"{self.node.name}/softplus", g.Activation("softplus"), self.scaled(x, beta, "in"))
        return self.builder.same(self.node.name, g.Scale(np.float32(1 / beta), np.float32(0)), y)

    def _hardtanh(self, x, low=-1.0, high=1.0):
        return self.activation(x, "clip", low, high)

    def _clamp(self, x, low=None, high=None):
        return self.activation(x, "clip", -np.inf if low is None else low, np.inf if high is None else high)

    def _threshold(self, x, threshold, value):
        return self.activation(x, "threshold", threshold, value)

    def _clamp_min(self, x, low):
        return self._clamp(x, low)

    def _clamp_max(self, x, high):
        return self._clamp(x, None, high)

    def _pow(self, x, exponent):
        if not isinstance(x, Tensor) or not isinstance(exponent, (int, float)):
            raise self.unknown(" with an exponent that is not one number")
        return self.activation(x, "square") if exponent == 2 else self.activation(x, "power", exponent)

    def activation(self, x, kind, alpha=0.0, beta=0.0):
        return self.builder.same(self.node.name, g.Activation(kind, float(alpha), float(beta)), x)

    def _softmax(self, x, axis, *_):
        return self.builder.softmax(self.node.name, x, self.axis(axis, x))

    def _log_softmax(self, x, axis, *_):
        at = self.axis(axis, x)
        total = (self.builder.summary(f"{self.node.name}/lse", x, "log_sum_exp", keep_axes=True) if at == x.at
                 else self.builder.log_sum_exp(f"{self.node.name}/lse", x, at))
        return self.builder.join(self.node.name, g.Add(), [x, self.scaled(total, -1, "minus")])

    def _max_pool1d(self, x, size, stride=(), padding=(0,), dilation=(1,), ceil_mode=False):
        return self.pool(x, "max", size, stride, padding, dilation, ceil_mode)

    _max_pool2d = _max_pool1d

    def _max_pool1d_with_indices(self, *args, **kwargs):
        return [self._max_pool1d(*args, **kwargs), None]

    _max_pool2d_with_indices = _max_pool1d_with_indices

    def _avg_pool1d(self, x, size, stride=(), padding=(0,), ceil_mode=False, count_include_pad=True, divisor=None):
        if divisor is None:
            return self.pool(x, "average", size, stride, padding, (1,), ceil_mode, count_include_pad)
        y = self.pool(x, "average", size, stride, padding, (1,), ceil_mode, True, is_clipped=False)
        return self.scaled(y, np.prod(_several(size, x.ndim - 1)) / divisor, "divided")

    _avg_pool2d = _avg_pool1d

    def pool(self, x, kind, size, stride, padding, dilation, ceil_mode, count_padding=False, is_clipped=True):
        n = x.ndim - 1
        sizes, strides, steps = _several(size, n), _several(stride or size, n), _several(dilation, n)
        pads = [(p, p) for p in _several(padding, n)]
        if not ceil_mode:
            return self.builder.pool(self.node.name, x, kind, 0, sizes, strides, pads, count_padding, steps)
        before = self.shape_of(self.node.args[0])[2:]
        spans = [(size - 1) * step + 1 for size, step in zip(sizes, steps, strict=True)]
        after = [p + max(0, (out - 1) * stride + span - length - 2 * p) for out, stride, span, length, (p, _) in zip(
            self.node.shape[2:], strides, spans, before, pads, strict=True)]
        y = self.builder.pool(f"{self.node.name}/all", x, kind, 0, sizes, strides,
                              [(p, q) for (p, _), q in zip(pads, after, strict=True)], count_padding, steps)
        if not count_padding or not is_clipped:
            return y
        axis = x.at - 1  # a window that reaches beyond the padding is averaged over what it holds of it
        starts = np.arange(self.node.shape[2 + axis]) * strides[axis] - pads[axis][0]
        inside = np.minimum(starts + sizes[axis], before[axis] + pads[axis][0]) - starts
        return self.builder.affine(self.node.name, y, (sizes[axis] / inside).reshape([-1] + [1] * (n - 1 - axis)), 0.0)

    def _adaptive_avg_pool1d(self, x, size):
        return self.pool_all(x, size, "average")

    def _adaptive_max_pool1d(self, x, size):
        return self.pool_all(x, size, "max")

    _adaptive_avg_pool2d, _adaptive_max_pool2d = _adaptive_avg_pool1d, _adaptive_max_pool1d

    def pool_all(self, x, size, kind):
        size = _several(size, x.ndim - 1)
        if x.at in (None, 0):
            raise self.unknown(" over other axes than positions")
        for axis in range(1, x.ndim):
            n, now = size[axis - 1], None if axis == x.at else x.rest[x.axis_in_rest(axis)]
            if axis != x.at and n == 1:
                x = self.builder.over_channels(f"{self.node.name}/across", x, kind, axis, keep_axes=True)
            elif axis != x.at and n != now:
                raise self.unknown(f" to size {size}")
        return self.builder.adaptive_pool(self.node.name, x, kind, size[x.at - 1])

    def _mean(self, x, axes=None, keepdim=False, **_):
        return self.over_axes(x, axes, keepdim, "average")

    def _sum(self, x, axes=None, keepdim=False, **_):
        return self.over_axes(x, axes, keepdim, "sum")

    def _amax(self, x, axes=(), keepdim=False):
        return self.over_axes(x, axes, keepdim, "max")

    def _max(self, x, axis=None, keepdim=False):
        return self.over_axes(x, axis, keepdim, "max")

    def _amin(self, x, axes=(), keepdim=False):
        return self.scaled(self.over_axes(self.scaled(x, -1, "minus"), axes, keepdim, "max"), -1, "least")

    def _min(self, x, axis=None, keepdim=False):
        return self._amin(x, axis, keepdim)

    def _logsumexp(self, x, axes, keepdim=False):
        axes = axes if isinstance(axes, (list, tuple)) else [axes]
        if len(axes) == 1 and self.axis(axes[0], x) != x.at:
            x, at = self.builder.log_sum_exp(self.node.name, x, self.axis(axes[0], x)), self.axis(axes[0], x)
            return x if keepdim else self.builder.without(x, at)
        return self.over_axes(x, axes, keepdim, "log_sum_exp")

    def _linalg_vector_norm(self, x, order=2, axes=None, keepdim=False, **_):
        if order == 1:
            return self.over_axes(self.builder.same(f"{self.node.name}/abs", g.Activation("abs"), x), axes, keepdim,
                                  "sum")
        if order != 2:
            raise self.unknown(f" of order {order}")
        square = self.builder.same(f"{self.node.name}/square", g.Activation("square"), x)
        return self.activation(self.over_axes(square, axes, keepdim, "sum"), "sqrt")

    def _norm(self, x, order=2, axes=None, keepdim=False, **_):
        return self._linalg_vector_norm(x, order, axes, keepdim)

    def _var(self, x, axes=None, unbiased=True, keepdim=False, correction=None):
        less = int(unbiased) if correction is None else correction
        return self.builder.variance(self.node.name, x, self.axes(axes, x), keepdim, less)

    def _std(self, *args, **kwargs):
        x = self.builder.same(f"{self.node.name}/positive", g.Activation("relu"), self._var(*args, **kwargs))
        return self.activation(x, "sqrt")

    def axes(self, axes, x):
        axes = axes if isinstance(axes, (list, tuple)) else [axes]
        if axes == [None] or not axes:
            raise self.unknown(" over all axes")
        return sorted({self.axis(axis, x) for axis in axes}, reverse=True)

    def over_axes(self, x, axes, keepdim, kind):
        for at in self.axes(axes, x):
            x = self.builder.over(self.node.name, x, kind, at, keepdim)
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

    _swapaxes = _swapdims = _transpose

    def _movedim(self, x, sources, targets):
        sources, targets = ([self.axis(axis, x) for axis in _several(axes, 1)] for axes in (sources, targets))
        order = [axis for axis in range(x.ndim) if axis not in sources]
        for target, source in sorted(zip(targets, sources, strict=True)):
            order.insert(target, source)
        return self.builder.permute(self.node.name, x, order)

    _moveaxis = _movedim

    def _cat(self, tensors, axis=0):
        first = next(tensor for tensor in tensors if isinstance(tensor, Tensor))
        tensors = [tensor if isinstance(tensor, Tensor) else self.builder.constant_like(
            f"{self.node.name}/constant", first, self.one_sequence(tensor, first)) for tensor in tensors]
        return self.builder.concatenate(self.node.name, tensors, self.axis(axis, first))

    def _stack(self, tensors, axis=0):
        if not all(isinstance(tensor, Tensor) for tensor in tensors):
            raise self.unknown(" of constants")
        axis = axis - 1 if axis > 0 else axis + tensors[0].ndim + 1
        if axis < 0:
            raise self.unknown(" along the batch axis")
        return self.builder.concatenate(self.node.name, [self.builder.with_axis(x, axis) for x in tensors], axis)

    def one_sequence(self, array, x):
        """A constant without the batch axis that it may have."""
        array = np.asarray(array)
        if array.ndim > x.ndim:
            if array.ndim > x.ndim + 1 or (array != array[:1]).any():
                raise self.unknown(" with an array that differs along the batch")
            array = array[0]
        return array

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

    def _div(self, x, y, rounding_mode=None):
        if rounding_mode is not None:
            raise self.unknown(" that rounds")
        if isinstance(y, Tensor):
            return self._mul(x, self.builder.same(f"{self.node.name}/over", g.Activation("reciprocal"), y))
        return self.scale_and_shift(x, 1 / np.asarray(y, np.float64), 0.0)

    def _neg(self, x):
        return self.scaled(x, -1, "minus")

    def scaled(self, x, factor, what):
        layer = g.Scale(np.float32(factor), np.float32(0))
        return x if factor == 1 else self.builder.same(f"{self.node.name}/{what}", layer, x)

    def shifted(self, x, y, factor):
        return self.scale_and_shift(x, 1.0, np.asarray(y) * factor)

    def scale_and_shift(self, x, scale, shift):
        """Numbers, or arrays."""
        return self.builder.affine(self.node.name, x, self.one_sequence(scale, x), self.one_sequence(shift, x))

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

    def _narrow(self, x, axis, start, size):
        return self._slice(x, axis, start, start + size)

    def _unbind(self, x, axis=0):
        return [self._select(x, axis, i) for i in range(self.shape_of(self.node.args[0])[axis])]

    def _index_select(self, x, axis, indices):
        at = self.axis(axis, x)
        length = self.shape_of(self.node.args[0])[axis]
        indices = [int(i) % length for i in np.reshape(indices, -1)]
        if at == x.at:
            return self.builder.positions_at(self.node.name, x, indices)
        return self.builder.take(self.node.name, x, at, indices)

    def _index(self, x, indices):
        chosen = [axis for axis, each in enumerate(indices) if each is not None]
        if len(chosen) != 1 or isinstance(indices[chosen[0]], Tensor) or np.ndim(indices[chosen[0]]) != 1 or (
                len(indices[chosen[0]]) != self.node.shape[chosen[0]]):
            raise self.unknown(" by several indices")
        return self._index_select(x, chosen[0], indices[chosen[0]])

    def _roll(self, x, shifts, axes=()):
        for shift, axis in zip(_several(shifts, 1), _several(axes, 1), strict=True):
            length = self.shape_of(self.node.args[0])[axis]
            x = self._index_select(x, axis, np.roll(np.arange(length), shift))
        return x

    def _flip(self, x, axes):
        for axis in axes:
            at, length = self.axis(axis, x), self.shape_of(self.node.args[0])[axis]
            x = (self.builder.same(self.node.name, g.Reverse(), x) if at == x.at
                 else self.builder.take(self.node.name, x, at, range(length)[::-1]))
        return x

    def _fliplr(self, x):
        return self._flip(x, [1])

    def _channel_shuffle(self, x, groups):
        order = np.arange(x.rest[0]).reshape(groups, -1).T.reshape(-1)
        return self.builder.take(self.node.name, x, 0, order)

    def _unfold(self, x, axis, size, step):
        """Windows along positions, whose entries are a new axis at the end."""
        at, length = self.axis(axis, x), self.shape_of(self.node.args[0])[axis]
        if at != x.at or size > MOST_WINDOW:
            raise self.unknown(" along channels, or to long windows")
        last = (length - size) // step * step + 1
        parts = [self.builder.cut(f"{self.node.name}/piece", x, k, k + last, step, length) for k in range(size)]
        parts = [self.builder.with_axis(part, x.ndim) for part in parts]
        return self.builder.concatenate(self.node.name, parts, x.ndim)

    def _upsample_nearest1d(self, x, *_):
        times, left = divmod(self.node.shape[-1], self.shape_of(self.node.args[0])[-1])
        if left or x.at != x.ndim - 1:
            raise self.unknown(" by a factor that is not whole")
        return self.builder.same(self.node.name, g.Repeat(times), x)

    def _expand(self, x, sizes, **_):
        sizes = list(sizes)
        if len(sizes) != x.ndim + 1 or sizes[0] not in (-1, self.batch):
            raise self.unknown(" to more axes")
        for at, n in enumerate(sizes[1:]):
            now = None if at == x.at else x.rest[x.axis_in_rest(at)]
            if now == 1 and n > 1:
                x = self.builder.spread(f"{self.node.name}", x, at, n)
        return x

    def _expand_as(self, x, other):
        return self._expand(x, self.node.shape)

    def _repeat(self, x, times):
        if len(times) != x.ndim + 1 or times[0] != 1:
            raise self.unknown(" along the batch or to more axes")
        for at, n in enumerate(times[1:]):
            if n > 1 and at == x.at:
                x = self.builder.end_to_end(self.node.name, [x] * n)
            elif n > 1 and x.rest[x.axis_in_rest(at)] == 1:
                x = self.builder.spread(self.node.name, x, at, n)
            elif n > 1:
                x = self.builder.take(self.node.name, x, at, np.tile(range(x.rest[x.axis_in_rest(at)]), n))
        return x

    _tile = _repeat

    def _repeat_interleave(self, x, times, axis=None, **_):
        if axis is None or not isinstance(times, int):
            raise self.unknown(" by several numbers")
        at = self.axis(axis, x)
        if at == x.at:
            return self.builder.same(self.node.name, g.Repeat(times), x)
        return self.builder.take(self.node.name, x, at, np.repeat(range(x.rest[x.axis_in_rest(at)]), times))

    def _pad(self, x, pads, mode="constant", value=None):
        value = 0.0 if value is None else value
        for number, (before, after) in enumerate(zip(pads[::2], pads[1::2], strict=True)):
            at, axis = x.ndim - 1 - number, len(self.shape_of(self.node.args[0])) - 1 - number
            length = self.shape_of(self.node.args[0])[axis]
            if before == after == 0:
                continue
            if axis == 0 or mode != "constant" and min(before, after) < 0:
                raise self.unknown(" along the batch")
            if mode != "constant":
                numbers = np.pad(np.arange(length), (before, after), {"reflect": "reflect", "replicate": "edge",
                                                                      "circular": "wrap"}[mode])
                x = self._index_select(x, axis, numbers)
            elif at != x.at:
                x = self.pad_channels(x, at, before, after, value)
            else:
                x = self.builder.same(f"{self.node.name}/zeros", g.Crop(-before, -after), x)
                if value:
                    outside = np.pad(np.zeros(max(0, length + min(before, 0) + min(after, 0))),
                                     (max(before, 0), max(after, 0)), constant_values=value)
                    x = self.builder.affine(self.node.name, x, 1.0, outside.reshape([-1] + [1] * (x.ndim - 1 - at)))
        return x

    def pad_channels(self, x, at, before, after, value):
        n = x.rest[x.axis_in_rest(at)]
        if min(before, after) < 0:
            return self.builder.take(self.node.name, x, at, range(-min(before, 0), n + min(after, 0)))
        numbers = [0] * before + list(range(n)) + [0] * after
        x = self.builder.take(f"{self.node.name}/wide", x, at, numbers)
        inside = np.pad(np.ones(n), (before, after)).reshape([-1] + [1] * (x.ndim - 1 - at))
        return self.builder.affine(self.node.name, x, inside, value * (1 - inside))

    def _reflection_pad1d(self, x, pads):
        return self._pad(x, pads, "reflect")

    def _replication_pad1d(self, x, pads):
        return self._pad(x, pads, "replicate")

    def _matmul(self, x, y):
        letters = "fghij"
        ranks = [value.ndim if isinstance(value, Tensor) else np.ndim(value) for value in (x, y)]
        values = [value if isinstance(value, Tensor) else self.one_sequence(value, other) if isinstance(
            other, Tensor) and rank > 2 else value for value, other, rank in zip((x, y), (y, x), ranks, strict=True)]
        ranks = [value.ndim for value in values]
        if any(isinstance(value, Tensor) and rank < 2 for value, rank in zip(values, ranks, strict=True)):
            if isinstance(values[0], Tensor) and ranks[0] == 1 and ranks[1] == 2 and not isinstance(y, Tensor):
                return self.builder.einsum(self.node.name, ("a", values[0]), ("ac", values[1]), "c")
            raise self.unknown(" of vectors")
        lead = letters[:max(ranks) - 2]
        first = (lead[len(lead) - (ranks[0] - 2):] + "ab")[-ranks[0]:] if ranks[0] > 1 else "b"
        second = lead[len(lead) - (ranks[1] - 2):] + "bc" if ranks[1] > 1 else "b"
        out = lead + ("a" if ranks[0] > 1 else "") + ("c" if ranks[1] > 1 else "")
        return self.builder.einsum(self.node.name, (first, values[0]), (second, values[1]), out)

    _bmm = _mm = _matmul

    def _einsum(self, equation, values, **_):
        if len(values) != 2 or "." in equation or "->" not in equation:
            raise self.unknown(f" of {equation}")
        inputs, out = equation.replace(" ", "").split("->")
        batch, parts = out[:1], []
        for letters, value in zip(inputs.split(","), values, strict=True):
            if isinstance(value, Tensor) != letters.startswith(batch):
                raise self.unknown(f" of {equation}")
            parts.append((letters.removeprefix(batch), value))
        return self.builder.einsum(self.node.name, *parts, out[1:])

    _constant_pad_nd = _pad


def _arrays_in(value):
    """Numbers of the arrays in recorded arguments."""
    if isinstance(value, dict) and "array" in value:
        return [value["array"]]
    each = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return [number for part in each for number in _arrays_in(part)]


def _along_first(array, x):
    """An array along the first axis, the channels', of as many axes as a tensor."""
    return None if array is None else array.reshape([-1] + [1] * (x.ndim - 1))


def _several(value, n):
    value = list(value) if isinstance(value, (list, tuple)) else [value]
    return value * n if len(value) == 1 else value
