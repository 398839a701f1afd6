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
}
REDUCTIONS = {"average": ("Mean", "math.reduce_mean"), "sum": ("Sum", "math.reduce_sum"),
              "max": ("Max", "math.reduce_max")}
OTHERS = {
    "add": ("Add", "__operators__.add", "math.add"), "subtract": ("Subtract", "__operators__.sub", "math.subtract"),
    "multiply": ("Multiply", "__operators__.mul", "math.multiply"),
    "divide": ("Divide", "TrueDivide", "__operators__.truediv", "math.truediv", "math.divide"),
    "negative": ("Negative", "__operators__.neg", "math.negative"),
    "maximum": ("Maximum", "math.maximum"), "minimum": ("Minimum", "math.minimum"),
    "item": ("GetItem", "__operators__.getitem"), "flip": ("Flip", "reverse"),
    "concatenate": ("Concatenate", "concat"), "expand": ("ExpandDims", "expand_dims"),
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
        named = [self.settings[name] for name in ("x2", "y") if self.settings.get(name) is not None]
        if kind in ACTIVATIONS:
            return self.builder.same(self.name, g.Activation(kind), args[0])
        if kind in REDUCTIONS:
            return self.reduced(args[0], kind, *args[1:2])
        return getattr(self, f"_{kind}")(*args, *named)

    def unknown(self, what=""):
        return UnknownLayer(f"operation {self.name} is {self.kind}{what}, which the exact engine does not know")

    def reduced(self, x, kind, axes=None):
        axes = self.settings.get("axis") if axes is None else axes
        axes = axes if isinstance(axes, (list, tuple)) else [axes]
        keep = bool(self.settings.get("keepdims"))
        if axes == [None] or any(axis == 0 or axis < -x.ndim for axis in axes):
            raise self.unknown(" over the batch")
        for axis in sorted({axis - 1 if axis > 0 else axis + x.ndim for axis in axes}, reverse=True):
            x = (self.builder.summary(self.name, x, kind, keep_axes=keep) if axis == x.at
                 else self.builder.over_channels(self.name, x, kind, axis, keep_axes=keep))
        return x

    def _add(self, x, y):
        return self.both(x, y, g.Add(), lambda value: g.Scale(np.float32(1), value))

    def _multiply(self, x, y):
        return self.both(x, y, g.Multiply(), lambda value: g.Scale(value, np.float32(0)))

    def _subtract(self, x, y):
        return self._add(x, self._negative(y) if isinstance(y, Tensor) else -np.asarray(y, np.float32))

    def _divide(self, x, y):
        if isinstance(y, Tensor):
            raise self.unknown(" by what depends on the sequence")
        return self._multiply(x, 1 / np.asarray(y, np.float64))

    def _negative(self, x):
        return self.builder.same(f"{self.name}/minus", g.Scale(np.float32(-1), np.float32(0)), x)

    def _maximum(self, x, y):
        return self.extreme(x, y, 1)

    def _minimum(self, x, y):
        return self.extreme(x, y, -1)

    def extreme(self, x, y, sign):
        if not isinstance(x, Tensor) or not isinstance(y, Tensor):
            raise self.unknown(" with a number")
        return self.builder.extreme(self.name, [x, y], sign)

    def both(self, x, y, join, scale):
        """Of two tensors, or of one and a number."""
        if isinstance(x, Tensor) and isinstance(y, Tensor):
            return self.builder.join(self.name, join, [x, y])
        x, y = (x, y) if isinstance(x, Tensor) else (y, x)
        if not isinstance(x, Tensor) or np.size(y) != 1:
            raise self.unknown(" with an array")
        return self.builder.same(self.name, scale(np.asarray(y, np.float32).reshape(())), x)

    def _item(self, x, index=None):
        """x[:, 5:-5, ::-1]; each axis by a slice."""
        index = self.settings.get("slice_spec") if index is None else index
        index = index if isinstance(index, (list, tuple)) else [index]
        if not all(isinstance(each, slice) for each in index) or index[0] != slice(None) or len(index) > x.ndim + 1:
            raise self.unknown(" by something else than slices")
        for axis, each in enumerate(index[1:]):
            if each != slice(None):
                x = self.sliced(x, axis, each)
        return x

    def sliced(self, x, axis, piece):
        if axis != x.at:
            return self.builder.take(self.name, x, axis, range(x.rest[x.axis_in_rest(axis)])[piece])
        step = piece.step or 1
        if step == -1 and piece.start is piece.stop is None:
            return self.builder.same(self.name, g.Reverse(), x)
        start, stop = piece.start or 0, piece.stop or 0
        if step != 1 or start < 0 or stop > 0:  # how many positions there are is not known here
            raise self.unknown(" of positions from their end, or up to one of them")
        return self.builder.same(self.name, g.Crop(start, -stop), x)

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
        if x.at is not None and axis <= x.at:
            return Tensor(x.node, (*x.rest[:axis], 1, *x.rest[axis:]), x.at + 1)
        at = axis if x.at is None else axis - 1
        return x._replace(rest=(*x.rest[:at], 1, *x.rest[at:]))
