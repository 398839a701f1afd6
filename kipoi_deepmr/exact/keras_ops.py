"""What Keras writes for `x + 1`, `x[:, 5:]` or `ops.mean(x, 1)` between its layers, as layers of a graph."""

from collections.abc import Sequence

import numpy as np

from . import graph as g
from .building import Builder
from .errors import UnknownLayer
from .rest import Tensor

# classes of Keras 3 and functions of TensorFlow, as tf_keras names them, by what they do
ACTIVATIONS = {
    "relu": ("Relu", "nn.relu"), "sigmoid": ("Sigmoid", "math.sigmoid", "nn.sigmoid"),
    "tanh": ("Tanh", "math.tanh", "nn.tanh"), "exponential": ("Exp", "math.exp"), "log": ("Log", "math.log"),
    "square": ("Square", "math.square"), "sqrt": ("Sqrt", "math.sqrt"), "abs": ("Absolute", "Abs", "math.abs"),
    "softplus": ("Softplus", "math.softplus", "nn.softplus"), "swish": ("Silu", "nn.silu"),
    "softsign": ("Softsign", "nn.softsign"), "selu": ("Selu", "nn.selu"), "mish": ("Mish",), "sin": ("Sin", "math.sin"),
    "cos": ("Cos", "math.cos"), "erf": ("Erf", "math.erf"), "expm1": ("Expm1", "math.expm1"),
    "log1p": ("Log1p", "math.log1p"), "rsqrt": ("Rsqrt", "math.rsqrt"),
    "reciprocal": ("Reciprocal", "math.reciprocal"),
}
REDUCTIONS = {"average": ("Mean", "math.reduce_mean"), "sum": ("Sum", "math.reduce_sum"),
              "max": ("Max", "math.reduce_max"), "log_sum_exp": ("Logsumexp", "math.reduce_logsumexp")}
OTHERS = {
    "add": ("Add", "__operators__.add", "math.add"), "subtract": ("Subtract", "__operators__.sub", "math.subtract"),
    "multiply": ("Multiply", "__operators__.mul", "math.multiply"),
    "divide": ("Divide", "TrueDivide", "__operators__.truediv", "math.truediv", "math.divide"),
    "negative": ("Negative", "__operators__.neg", "math.negative"),
    "maximum": ("Maximum", "math.maximum"), "minimum": ("Minimum", "math.minimum"),
    "item": ("GetItem", "__operators__.getitem"), "flip": ("Flip", "reverse"),
    "concatenate": ("Concatenate", "concat"), "expand": ("ExpandDims", "expand_dims"),
    "squeeze": ("Squeeze", "squeeze", "compat.v1.squeeze"), "reshape": ("Reshape", "reshape"),
    "transpose": ("Transpose", "transpose", "compat.v1.transpose"), "swapaxes": ("Swapaxes",),
    "matmul": ("Matmul", "linalg.matmul"), "einsum": ("Einsum",), "softmax": ("Softmax", "nn.softmax"),
    "gelu": ("Gelu", "nn.gelu"), "elu": ("Elu", "nn.elu"), "leaky_relu": ("LeakyRelu", "nn.leaky_relu"),
    "clip": ("Clip", "clip_by_value"), "power": ("Power", "math.pow"), "split": ("Split", "split"),
    "stack": ("Stack", "stack"), "repeat": ("Repeat", "repeat"), "tile": ("Tile", "tile"), "roll": ("Roll", "roll"),
    "take": ("Take", "compat.v1.gather"), "pad": ("Pad", "compat.v1.pad"), "glu": ("Glu",),
    "variance": ("Var", "math.reduce_variance"), "deviation": ("Std", "math.reduce_std"),
    "least": ("Min", "math.reduce_min"), "hard_sigmoid": ("HardSigmoid",),
}
KINDS = {name: kind for table in (ACTIVATIONS, REDUCTIONS, OTHERS) for kind, names in table.items() for name in names}


class Operation:
    """One operation: `apply` adds it to the builder's graph.

    Parameters
    ----------
    builder : Builder
    name : str
    kind : str
        Class of Keras 3, or function of TensorFlow.
    settings : dict
        Of the class, and named arguments of the call.
    """

    def __init__(self, builder: Builder, name: str, kind: str, settings: dict):
        self.builder, self.name, self.kind, self.settings = builder, name, kind, settings

    def apply(self, args: Sequence) -> Tensor:
        """The result, from what it is called with: tensors, numbers, and so on.

        Raises
        ------
        UnknownLayer
        """
        kind = KINDS.get(self.kind)
        if kind is None or not args:
            raise self.unknown()
        named = [self.settings[name] for name in ("x2", "y", "b") if self.settings.get(name) is not None]
        if self.settings.get("initial") is not None:
            raise self.unknown(" with a first value")
        if kind in ACTIVATIONS:
            return self.builder.same(self.name, g.Activation(kind), args[0])
        if kind in REDUCTIONS:
            return self.reduced(args[0], kind, *args[1:2])
        return getattr(self, f"_{kind}")(*args, *named)

    def unknown(self, what=""):
        return UnknownLayer(f"operation {self.name} is {self.kind}{what}, which the exact engine does not know")

    def reduced(self, x, kind, axes=None):
        keep = bool(self.settings.get("keepdims"))
        for axis in sorted(self.axes(x, axes), reverse=True):
            if kind == "log_sum_exp" and axis != x.at:
                x = self.builder.log_sum_exp(self.name, x, axis)
                x = x if keep else self.builder.without(x, axis)
            else:
                x = self.builder.over(self.name, x, kind, axis, keep)
        return x

    def axes(self, x, axes=None):
        """Keras' axes as those of a tensor without the batch axis."""
        axes = self.settings.get("axis") if axes is None else axes
        axes = axes if isinstance(axes, (list, tuple)) else [axes]
        if any(axis is None or axis == 0 or axis < -x.ndim for axis in axes):
            raise self.unknown(" over the batch")
        return {self.axis(axis, x) for axis in axes}

    def axis(self, axis, x):
        if axis == 0 or axis < -x.ndim:
            raise self.unknown(" along the batch")
        return axis - 1 if axis > 0 else axis + x.ndim

    def option(self, args, number, *names, default=None):
        """An argument of a call, by its number or name."""
        found = [self.settings[name] for name in names if self.settings.get(name) is not None]
        return args[number] if len(args) > number else found[0] if found else default

    def same(self, x, kind, alpha=0.0, beta=0.0, name=None):
        return self.builder.same(name or self.name, g.Activation(kind, float(alpha), float(beta)), x)

    def _least(self, x, axes=None):
        least = self.reduced(self._negative(x), "max", axes)
        return self.builder.same(self.name, g.Scale(np.float32(-1), np.float32(0)), least)

    def _variance(self, x, axes=None):
        return self.builder.variance(self.name, x, self.axes(x, axes), bool(self.settings.get("keepdims")))

    def _deviation(self, x, axes=None):
        return self.same(self.same(self._variance(x, axes), "relu", name=f"{self.name}/positive"), "sqrt")

    def _gelu(self, x, *args):
        is_tanh = self.option([x, *args], 1, "approximate", default=False)
        return self.same(x, "gelu_tanh" if is_tanh else "gelu")

    def _elu(self, x, *args):
        return self.same(x, "elu", self.option([x, *args], 1, "alpha", default=1.0))

    def _leaky_relu(self, x, *args):
        return self.same(x, "leaky_relu", self.option([x, *args], 1, "negative_slope", "alpha", default=0.2))

    def _hard_sigmoid(self, x):
        return self.same(x, "hard_sigmoid", 1 / 6, 0.5)

    def _clip(self, x, *args):
        low = self.option([x, *args], 1, "x_min", "clip_value_min")
        return self.same(x, "clip", low, self.option([x, *args], 2, "x_max", "clip_value_max"))

    def _power(self, x, y):
        if not isinstance(x, Tensor) or isinstance(y, Tensor) or np.size(y) != 1:
            raise self.unknown(" with an exponent that is not one number")
        y = float(np.reshape(y, ()))
        return self.same(x, "square") if y == 2 else self.same(x, "power", y)

    def _softmax(self, x, *args):
        return self.builder.softmax(self.name, x, self.axis(self.option([x, *args], 1, "axis", default=-1), x))

    def _glu(self, x, *args):
        axis = self.axis(self.option([x, *args], 1, "axis", default=-1), x)
        if axis == x.at:
            raise self.unknown(" along positions")
        n = x.rest[x.axis_in_rest(axis)] // 2
        halves = [self.builder.take(f"{self.name}/half", x, axis, range(k * n, (k + 1) * n)) for k in range(2)]
        return self.builder.join(self.name, g.Multiply(), [halves[0], self.same(halves[1], "sigmoid",
                                                                                name=f"{self.name}/gate")])

    def _matmul(self, x, y):
        if self.settings.get("transpose_b") or self.settings.get("adjoint_a") or self.settings.get("adjoint_b"):
            raise self.unknown(" with a second transpose")
        if self.settings.get("transpose_a"):
            x = self.builder.permute(f"{self.name}/turned", x, [*range(x.ndim - 2), x.ndim - 1, x.ndim - 2])
        if isinstance(x, Tensor) and isinstance(y, Tensor) and x.ndim == y.ndim == 2:
            return self.builder.einsum(self.name, ("ab", x), ("bc", y), "ac")
        if isinstance(x, Tensor) and not isinstance(y, Tensor) and np.ndim(y) == 2:
            lead = "fgh"[:x.ndim - 1]
            return self.builder.einsum(self.name, (f"{lead}b", x), ("bc", np.asarray(y, np.float32)), f"{lead}c")
        raise self.unknown(" of these axes")

    def _einsum(self, x, y=None):
        equation = str(self.settings.get("subscripts", "")).replace(" ", "")
        if y is None or "." in equation or equation.count(",") != 1 or "->" not in equation:
            raise self.unknown(f" of {equation}")
        inputs, out = equation.split("->")
        parts = []
        for letters, value in zip(inputs.split(","), (x, y), strict=True):
            if isinstance(value, Tensor) != letters.startswith(out[:1]):
                raise self.unknown(f" of {equation}")
            parts.append((letters.removeprefix(out[:1]), value if isinstance(value, Tensor) else np.asarray(value)))
        return self.builder.einsum(self.name, *parts, out[1:])

    def _reshape(self, x, *args):
        shape = self.option([x, *args], 1, "newshape", "shape")
        if shape[0] not in (-1, None):
            raise self.unknown(" of the batch")
        if -1 in shape[1:]:
            raise self.unknown(" to several sizes that are not known")
        return self.builder.reshape(self.name, x, tuple(shape[1:]))

    def _transpose(self, x, *args):
        order = self.option([x, *args], 1, "axes", "perm")
        if order is None or order[0] != 0:
            raise self.unknown(" of the batch")
        return self.builder.permute(self.name, x, [axis - 1 for axis in order[1:]])

    def _swapaxes(self, x, *args):
        first, second = (self.axis(self.option([x, *args], k, f"axis{k}"), x) for k in (1, 2))
        order = list(range(x.ndim))
        order[first], order[second] = second, first
        return self.builder.permute(self.name, x, order)

    def _squeeze(self, x, *args):
        axis = self.axis(self.option([x, *args], 1, "axis"), x)
        if axis == x.at:
            raise self.unknown(" of positions")
        return self.builder.without(x, axis)

    def _split(self, x, *args):
        n = self.option([x, *args], 1, "indices_or_sections", "num_or_size_splits")
        axis = self.axis(self.option([x, *args], 2, "axis", default=0), x)
        if not isinstance(n, int) or axis == x.at:
            raise self.unknown(" along positions, or in unequal pieces")
        size = x.rest[x.axis_in_rest(axis)] // n
        return [self.builder.take(f"{self.name}{k}", x, axis, range(k * size, (k + 1) * size)) for k in range(n)]

    def _stack(self, tensors, *args):
        axis = self.option([tensors, *args], 1, "axis", default=0)
        axis = axis - 1 if axis > 0 else axis + tensors[0].ndim + 1
        if axis < 0 or not all(isinstance(x, Tensor) for x in tensors):
            raise self.unknown(" along the batch, or of constants")
        return self.builder.concatenate(self.name, [self.builder.with_axis(x, axis) for x in tensors], axis)

    def _repeat(self, x, *args):
        times, axis = self.option([x, *args], 1, "repeats"), self.option([x, *args], 2, "axis")
        if not isinstance(times, int) or axis is None:
            raise self.unknown(" by several numbers")
        axis = self.axis(axis, x)
        if axis == x.at:
            return self.builder.same(self.name, g.Repeat(times), x)
        n = x.rest[x.axis_in_rest(axis)]
        return self.builder.spread(self.name, x, axis, times) if n == 1 else self.builder.take(
            self.name, x, axis, np.repeat(range(n), times))

    def _tile(self, x, *args):
        times = self.option([x, *args], 1, "repeats", "multiples")
        if len(times) != x.ndim + 1 or times[0] != 1:
            raise self.unknown(" along the batch")
        for axis, n in enumerate(times[1:]):
            if n > 1 and axis == x.at:
                x = self.builder.end_to_end(self.name, [x] * n)
            elif n > 1 and x.rest[x.axis_in_rest(axis)] == 1:
                x = self.builder.spread(self.name, x, axis, n)
            elif n > 1:
                x = self.builder.take(self.name, x, axis, np.tile(range(x.rest[x.axis_in_rest(axis)]), n))
        return x

    def _roll(self, x, *args):
        shift, axis = self.option([x, *args], 1, "shift"), self.option([x, *args], 2, "axis")
        if not isinstance(shift, int) or not isinstance(axis, int):
            raise self.unknown(" along several axes")
        axis = self.axis(axis, x)
        length = self.builder.positions(self.name, x.node) if axis == x.at else x.rest[x.axis_in_rest(axis)]
        return self.chosen(x, axis, np.roll(np.arange(length), shift))

    def _take(self, x, *args):
        indices, axis = self.option([x, *args], 1, "indices"), self.option([x, *args], 2, "axis")
        if axis is None or np.ndim(indices) != 1 or self.settings.get("batch_dims"):
            raise self.unknown(" by other indices than a list")
        axis = self.axis(axis, x)
        length = self.builder.positions(self.name, x.node) if axis == x.at else x.rest[x.axis_in_rest(axis)]
        return self.chosen(x, axis, np.asarray(indices) % length)

    def chosen(self, x, axis, indices):
        if axis == x.at:
            return self.builder.positions_at(self.name, x, indices)
        return self.builder.take(self.name, x, axis, indices)

    def _pad(self, x, *args):
        pads = self.option([x, *args], 1, "pad_width", "paddings")
        others = [pair for axis, pair in enumerate(pads[1:]) if axis != x.at]
        if str(self.settings.get("mode", "constant")).lower() != "constant" or self.settings.get(
                "constant_values") not in (None, 0) or any(map(any, [pads[0], *others])) or x.at is None:
            raise self.unknown(" other than with zeros along positions")
        before, after = pads[1 + x.at]
        return self.builder.same(self.name, g.Crop(-before, -after), x)

    def _add(self, x, y):
        return self.both(x, y, g.Add(), lambda value: g.Scale(np.float32(1), value))

    def _multiply(self, x, y):
        return self.both(x, y, g.Multiply(), lambda value: g.Scale(value, np.float32(0)))

    def _subtract(self, x, y):
        return self._add(x, self._negative(y) if isinstance(y, Tensor) else -np.asarray(y, np.float32))

    def _divide(self, x, y):
        if isinstance(y, Tensor):
            return self._multiply(x, self.same(y, "reciprocal", name=f"{self.name}/over"))
        return self._multiply(x, 1 / np.asarray(y, np.float64))

    def _negative(self, x):
        return self.builder.same(f"{self.name}/minus", g.Scale(np.float32(-1), np.float32(0)), x)

    def _maximum(self, x, y):
        return self.extreme(x, y, 1)

    def _minimum(self, x, y):
        return self.extreme(x, y, -1)

    def extreme(self, x, y, sign):
        if isinstance(x, Tensor) and isinstance(y, Tensor):
            return self.builder.extreme(self.name, [x, y], sign)
        x, y = (x, y) if isinstance(x, Tensor) else (y, x)
        if np.size(y) != 1:
            raise self.unknown(" with an array")
        limit = float(np.reshape(y, ()))
        return self.same(x, "clip", *((limit, np.inf) if sign > 0 else (-np.inf, limit)))

    def both(self, x, y, join, scale):
        """Of two tensors, or of one and a number."""
        if isinstance(x, Tensor) and isinstance(y, Tensor):
            return self.builder.join(self.name, join, [x, y])
        x, y = (x, y) if isinstance(x, Tensor) else (y, x)
        y = np.asarray(y, np.float32)
        if y.ndim > x.ndim:
            if len(y) > 1 or y.ndim > x.ndim + 1:
                raise self.unknown(" with an array along the batch")
            y = y[0]
        layer = scale(y)
        return self.builder.affine(self.name, x, layer.scale, layer.shift)

    def _item(self, x, index=None):
        """x[:, 5:-5, ::-1]; each axis by a slice or a number, and new axes."""
        index = self.settings.get("slice_spec") if index is None else index
        index = list(index) if isinstance(index, (list, tuple)) else [index]
        if any(map(_is_ellipsis, index)):
            at = next(i for i, each in enumerate(index) if _is_ellipsis(each))
            others = sum(each is not None for each in index) - 1
            index[at:at + 1] = [slice(None)] * (x.ndim + 1 - others)
        if not all(each is None or isinstance(each, (slice, int)) for each in index) or index[0] != slice(None):
            raise self.unknown(" by something else than slices and numbers")
        axis = 0
        for each in index[1:]:
            if each is None:
                x, axis = self.builder.with_axis(x, axis), axis + 1
            elif isinstance(each, int):
                x = self.one(x, axis, each)
            else:
                x, axis = x if each == slice(None) else self.sliced(x, axis, each), axis + 1
        return x

    def one(self, x, axis, index):
        """One entry along an axis, which vanishes."""
        if axis != x.at:
            n = x.rest[x.axis_in_rest(axis)]
            return self.builder.without(self.builder.take(self.name, x, axis, [index % n]), axis)
        length = self.builder.positions(self.name, x.node)
        x = self.builder.cut(self.name, x, index % length, index % length + 1, 1, length)
        return Tensor(self.builder.add(f"{self.name}/flat", g.Flatten(), [x]), x.rest or (1,), None)

    def sliced(self, x, axis, piece):
        if axis != x.at:
            return self.builder.take(self.name, x, axis, range(x.rest[x.axis_in_rest(axis)])[piece])
        step = piece.step or 1
        if step == -1 and piece.start is piece.stop is None:
            return self.builder.same(self.name, g.Reverse(), x)
        start, stop = piece.start or 0, piece.stop or 0
        if step == 1 and start >= 0 >= stop:  # however many positions there are
            return self.builder.same(self.name, g.Crop(start, -stop), x)
        length = self.builder.positions(self.name, x.node)
        return self.builder.cut(self.name, x, *piece.indices(length), length)

    def _flip(self, x, axes=None):
        axes = self.settings.get("axis") if axes is None else axes
        for axis in axes if isinstance(axes, (list, tuple)) else [axes]:
            if not axis:
                raise self.unknown(" along the batch")
            axis = axis - 1 if axis > 0 else axis + x.ndim
            x = self.sliced(x, axis, slice(None, None, -1))
        return x

    def _concatenate(self, tensors, axis=None):
        axis = self.settings.get("axis", -1) if axis is None else axis
        if not all(isinstance(x, Tensor) for x in tensors):
            raise self.unknown(" of constants")
        return self.builder.concatenate(self.name, tensors, axis - 1 if axis > 0 else axis)

    def _expand(self, x, axis=None):
        axis = self.settings.get("axis") if axis is None else axis
        axis = axis - 1 if axis > 0 else axis + x.ndim + 1
        if axis < 0:
            raise self.unknown(" along the batch")
        return self.builder.with_axis(x, axis)


def _is_ellipsis(index):
    """Of tf_keras a dictionary stands for it."""
    return index is Ellipsis or isinstance(index, dict) and "ellipsis" in str(index.get("class_name"))
