"""Keras layers, of all its versions, as layers of a graph.

A layer is known by its class name; whatever in its settings would change the result and is not understood is refused.
"""

import base64
from collections.abc import Callable
from functools import partial

import numpy as np

from . import graph as g
from .activations import KERAS
from .building import Builder
from .errors import NotANumber, UnknownLayer
from .keras_config import Call, filled
from .keras_ops import KINDS, Operation
from .keras_rest import plan_of
from .rest import Rest

# what is the same in Keras 2 under another name
RENAMED = {
    "Convolution1D": "Conv1D", "Convolution2D": "Conv2D", "AtrousConvolution1D": "Conv1D", "AtrousConv1D": "Conv1D",
    "Deconvolution2D": "Conv2DTranspose", "GlobalAvgPool1D": "GlobalAveragePooling1D", "MaxPool1D": "MaxPooling1D",
    "AvgPool1D": "AveragePooling1D", "GlobalMaxPool1D": "GlobalMaxPooling1D", "MaxPool2D": "MaxPooling2D",
    "AvgPool2D": "AveragePooling2D", "GlobalAvgPool2D": "GlobalAveragePooling2D",
    "GlobalMaxPool2D": "GlobalMaxPooling2D", "Convolution1DTranspose": "Conv1DTranspose",
    "Convolution2DTranspose": "Conv2DTranspose", "SyncBatchNormalization": "BatchNormalization",
    "SeparableConvolution1D": "SeparableConv1D",
}
OLD_SETTINGS = {
    "nb_filter": "filters", "filter_length": "kernel_size", "subsample_length": "strides", "subsample": "strides",
    "border_mode": "padding", "atrous_rate": "dilation_rate", "output_dim": "units", "bias": "use_bias",
    "pool_length": "pool_size", "stride": "strides", "p": "rate", "length": "size",
}
IDENTITIES = ("Dropout", "SpatialDropout1D", "SpatialDropout2D", "AlphaDropout", "GaussianDropout", "GaussianNoise",
              "ActivityRegularization")
JOINS = {"Add": g.Add, "Multiply": g.Multiply, "Concatenate": g.Concatenate}
# what Theano computes as TensorFlow does, and what it does with kernels turned round
CONVOLUTIONS = ("Conv1D", "Conv2D")
THEANO = ("Dense", "TimeDistributedDense", "BatchNormalization", "Activation", "LeakyReLU", "ELU", "PReLU",
          "ThresholdedReLU", "MaxPooling1D", "MaxPooling2D", "AveragePooling1D", "AveragePooling2D",
          "GlobalMaxPooling1D", "GlobalAveragePooling1D", "GlobalMaxPooling2D", "GlobalAveragePooling2D", "Flatten",
          "Reshape", "Permute", "Cropping1D", "ZeroPadding1D", "UpSampling1D", "Merge", "Lambda", *JOINS, *IDENTITIES)
# the bytecode of `return x`, the first argument, in Python 2.7, 3.4-3.5, 3.6-3.10
RETURNS_ITS_ARGUMENT = (b"|\x00\x00S", b"|\x00S\x00")


def build(calls: list[Call], outputs: dict[str, tuple], weights_of: Callable[[tuple], list[np.ndarray]],
          sequence_input: str | None = None, constants: dict | None = None, alphabet: str = "ACGT",
          keras_version: str = "2", rest: Callable | None = None, is_theano: bool = False) -> g.Graph:
    """Graph of a Keras model.

    Parameters
    ----------
    calls, outputs
        From keras_config.calls.
    weights_of : callable
        Path of a layer to the list of its weights.
    sequence_input : str, optional
        Which input takes the sequence; by default the first.
    constants : dict of str to array, optional
        What the other inputs are held at, for one sequence; a number fills the input.
    alphabet : str
    keras_version : str
    rest : callable, optional
        `HostedModel.rest` of whoever has the model; with it, layers that are not known become the graph's `rest`.
    is_theano : bool
        Whether the weights were saved with Theano, whose convolutions go through their kernels backwards.

    Returns
    -------
    Graph

    Raises
    ------
    UnknownLayer
    """
    inputs = [call.name for call in calls if call.class_name == "InputLayer"]
    constants, sequence_input = constants or {}, sequence_input or inputs[0]
    builder, tensors, unknown, why = Builder(alphabet), {}, [], None
    for call in calls:
        if call.class_name == "InputLayer":
            tensors[call.key] = _input(builder, call, _modern(call, keras_version), sequence_input, constants)
            continue
        if any(np.isnan(weight).any() for weight in weights_of(call.path) if weight.dtype.kind == "f"):
            raise NotANumber(f"layer {call.name} ({call.class_name})")
        try:
            if not all(key in tensors for key in call.inputs):
                raise UnknownLayer(f"layer {call.name} takes what an unknown layer gives")
            made = _tried(builder, call, tensors, weights_of, keras_version, is_theano)
            for number, tensor in enumerate(made if isinstance(made, list) else [made]):
                tensors[(*call.key[:2], number)] = tensor
        except UnknownLayer as error:
            if rest is None:
                raise
            unknown.append(call)
            why = why or str(error)
    if rest is not None:
        why = _leave_gates(builder, calls, outputs, tensors, unknown, why)
    known = {name: tensors[key] for name, key in outputs.items() if key in tensors}
    if not unknown:
        return builder.graph(known)
    given = dict.fromkeys(key for call in unknown for key in call.inputs if key in tensors)
    wanted = {name: key for name, key in outputs.items() if key not in tensors}
    compute = partial(rest, plan_of(unknown, list(given), list(wanted.values())))
    after = Rest(tuple(tensors[key] for key in given), tuple(wanted), compute, False, why)
    return builder.split(known, after, outputs)


def _leave_gates(builder, calls, outputs, tensors, unknown, why):
    """Move to `unknown` the calls whose results change at all positions, where it or an output takes these as they are;
    a sentence about the first unknown layer."""
    taken = {*outputs.values(), *(key for call in unknown for key in call.inputs)}
    for call in reversed(calls):
        if call.key in taken and call.key in tensors and builder.is_gated(tensors[call.key]):
            del tensors[call.key]
            unknown.append(call)
            taken.update(call.inputs)
            why = why or f"{builder.gates.why} of layer {call.name}"
    unknown.sort(key=calls.index)
    return why


def _input(builder, call, config, sequence_input, constants):
    """The sequence, or what another input is held at."""
    shape = tuple((config.get("batch_shape") or config["batch_input_shape"])[1:])
    if call.name == sequence_input:
        return builder.sequence(call.name, shape)
    if call.name in constants:
        return builder.constant(call.name, shape, constants[call.name])
    raise UnknownLayer(f"input {call.name} is not the sequence, and what it is held at is not given")


def _tried(*arguments):
    """`_called`, where settings and arguments may be of any form."""
    try:
        return _called(*arguments)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        call = arguments[1]
        raise UnknownLayer(f"layer {call.name} is of class {call.class_name}, set or called in a way that the exact "
                           f"engine does not know ({error})") from error


def _called(builder, call, tensors, weights_of, keras_version, is_theano):
    """What a layer gives, or an operation that is no layer."""
    config, args = _modern(call, keras_version), filled(call.args, tensors)
    if call.class_name in ("TFOpLambda", "SlicingOpLambda"):
        kind, settings = config["function"], filled(call.kwargs, tensors)
        return Operation(builder, call.name, kind, settings).apply(args)
    if keras_version.startswith("3") and "trainable" not in config and call.class_name in KINDS:
        return Operation(builder, call.name, call.class_name, {**config, **filled(call.kwargs, tensors)}).apply(args)
    layer = _Layer(builder, call.name, RENAMED.get(call.class_name, call.class_name), config, weights_of(call.path),
                   keras_version, is_theano)
    return layer.apply([tensors[key] for key in call.inputs])


def _modern(call, keras_version):
    """A layer's settings by the names of Keras 2."""
    config = dict(call.config)
    if keras_version.startswith("1") or keras_version == "":
        config = {OLD_SETTINGS.get(name, name): value for name, value in config.items()}
        if "nb_row" in config:
            config["kernel_size"] = [config["nb_row"], config["nb_col"]]
        if "dim_ordering" in config:
            config["data_format"] = "channels_first" if config["dim_ordering"] == "th" else "channels_last"
    return config


class _Layer:
    """One call of a layer: `apply` adds it to the builder's graph."""

    def __init__(self, builder, name, kind, config, weights, keras_version, is_theano=False):
        self.builder, self.name, self.kind, self.config = builder, name, kind, config
        self.weights, self.is_keras1 = weights, keras_version.startswith("1")
        self.is_keras3, self.is_theano = keras_version.startswith("3"), is_theano

    def apply(self, inputs):
        method = self.METHODS.get(self.kind)
        if method is None:
            raise self.unknown()
        if self.is_theano and self.kind not in THEANO and (self.kind not in CONVOLUTIONS or self._pads_otherwise()):
            raise self.unknown(" saved with Theano")
        return method(self, inputs)

    def unknown(self, what=""):
        return UnknownLayer(f"layer {self.name} is of class {self.kind}{what}, which the exact engine does not know")

    def _pads_otherwise(self):
        """Whether Theano pads a convolution in another way than TensorFlow: `same` of even widths or with strides."""
        n = 2 if "2D" in self.kind else 1
        widths, strides = self.numbers("kernel_size", n), self.numbers("strides", n)
        return self.padding() == "same" and (any(width % 2 == 0 for width in widths) or set(strides) != {1})

    # settings

    def numbers(self, setting, n, default=1):
        value = self.config.get(setting, default)
        value = list(value) if isinstance(value, (list, tuple)) else [value] * n
        return [int(v) for v in value]

    def channel_axis(self):
        return 0 if self.config.get("data_format") == "channels_first" else -1

    def padding(self):
        padding = self.config.get("padding", "valid")
        if padding not in ("same", "valid", "causal"):
            raise self.unknown(f" with padding {padding}")
        return padding

    def inner(self):
        """Name of the layer's core where an activation follows, which bears the layer's own name."""
        return f"{self.name}/linear" if self.activation_name() not in (None, "linear") else self.name

    def activation_name(self):
        return self.config.get("activation")

    def activated(self, x):
        kind = self.activation_name()
        return x if kind in (None, "linear") else self.activation(kind, x)

    def activation(self, kind, x):
        if isinstance(kind, dict):
            raise self.unknown(f" with activation {kind.get('class_name')}")
        if kind == "softmax":
            return self.builder.softmax(self.name, x, -1)
        if kind == "hard_sigmoid":
            return self.builder.same(self.name, g.Activation(kind, 1 / 6 if self.is_keras3 else 0.2, 0.5), x)
        if kind not in KERAS:
            raise self.unknown(f" with activation {kind}")
        return self.builder.same(self.name, g.Activation(*KERAS[kind]), x)

    def bias(self, n_before):
        return self.weights[n_before] if self.config.get("use_bias", True) else None

    # layers

    def conv(self, inputs):
        n = 2 if "2D" in self.kind else 1
        kernel = self.weights[0]
        if self.is_keras1:
            kernel = self._keras1_kernel(kernel, n)
        if self.is_theano:
            kernel = np.flip(kernel, tuple(range(n)))
        x = self.builder.conv(self.inner(), inputs[0], kernel, self.bias(1), self.channel_axis(),
                              self.numbers("strides", n), self.numbers("dilation_rate", n), self.padding(),
                              int(self.config.get("groups", 1)))
        return self.activated(x)

    def _keras1_kernel(self, kernel, n):
        """Keras 1 kept (width, 1, in, out), (out, in, width, 1) when very old, and (out, in, ...) under `th`."""
        if n == 1 and kernel.ndim == 4:
            width = self.numbers("kernel_size", 1)[0]
            if kernel.shape[:2] != (width, 1) or kernel.shape[3] != self.config["filters"]:
                kernel = kernel.transpose(2, 3, 1, 0)
            return kernel[:, 0]
        return kernel.transpose(2, 3, 1, 0) if self.channel_axis() == 0 and kernel.ndim == 4 else kernel

    def separable(self, inputs):
        depthwise, pointwise = self.weights[:2]
        grouped = depthwise.reshape(len(depthwise), 1, -1)
        x = self.builder.conv(f"{self.name}/depthwise", inputs[0], grouped, None, self.channel_axis(),
                              self.numbers("strides", 1), self.numbers("dilation_rate", 1), self.padding(),
                              depthwise.shape[1])
        x = self.builder.conv(self.inner(), x, pointwise, self.bias(2), self.channel_axis(), [1], [1], "valid")
        return self.activated(x)

    def depthwise(self, inputs):
        kernel = self.weights[0]
        x = self.builder.conv(self.inner(), inputs[0], kernel.reshape(len(kernel), 1, -1), self.bias(1),
                              self.channel_axis(), self.numbers("strides", 1), self.numbers("dilation_rate", 1),
                              self.padding(), kernel.shape[1])
        return self.activated(x)

    def conv_transpose(self, inputs):
        n = 2 if "2D" in self.kind else 1
        if set(self.numbers("dilation_rate", n)) != {1} or self.config.get("output_padding") not in (None, [None]):
            raise self.unknown(" with dilation or output padding")
        x = self.builder.conv_transpose(self.inner(), inputs[0], np.swapaxes(self.weights[0], -1, -2), self.bias(1),
                                        self.channel_axis(), self.numbers("strides", n), self.padding())
        return self.activated(x)

    def dense(self, inputs):
        return self.activated(self.builder.dense(self.inner(), inputs[0], self.weights[0], self.bias(1)))

    def batch_norm(self, inputs):
        axis = self.config.get("axis", -1)
        axis = axis[0] if isinstance(axis, (list, tuple)) else axis
        if self.is_keras1 and self.config.get("mode", 0) != 0:
            raise self.unknown(f" in mode {self.config['mode']}")
        weights = list(self.weights)
        gamma = weights.pop(0) if self.config.get("scale", True) else 1.0
        beta = weights.pop(0) if self.config.get("center", True) else 0.0
        return self.builder.batch_norm(self.name, inputs[0], axis - 1 if axis > 0 else axis, gamma, beta, *weights,
                                       self.config.get("epsilon", 1e-3))

    def rescaling(self, inputs):
        layer = g.Scale(np.float32(self.config["scale"]), np.float32(self.config.get("offset", 0)))
        return self.builder.same(self.name, layer, inputs[0])

    def activation_layer(self, inputs):
        return self.activation(self.config["activation"], inputs[0])

    def relu(self, inputs):
        top, slope = self.config.get("max_value"), float(self.config.get("negative_slope") or 0)
        if float(self.config.get("threshold") or 0) != 0 or top is not None and slope != 0:
            raise self.unknown(" with a threshold or several limits")
        layer = (g.Activation("clip", 0.0, float(top)) if top is not None
                 else g.Activation("leaky_relu", slope) if slope else g.Activation("relu"))
        return self.builder.same(self.name, layer, inputs[0])

    def leaky_relu(self, inputs):
        slope = self.config.get("negative_slope", self.config.get("alpha", 0.3))
        return self.builder.same(self.name, g.Activation("leaky_relu", float(np.asarray(_plain(slope)))), inputs[0])

    def thresholded_relu(self, inputs):
        theta = float(np.asarray(_plain(self.config.get("theta", 1.0))))
        return self.builder.same(self.name, g.Activation("threshold", theta, 0.0), inputs[0])

    def prelu(self, inputs):
        return self.builder.prelu(self.name, inputs[0], self.weights[0])

    def layer_norm(self, inputs):
        axis = self.config.get("axis", -1)
        is_centred = self.kind == "LayerNormalization" and not self.config.get("rms_scaling")
        return self.normalised(inputs[0], self.axes(axis, inputs[0]), is_centred)

    def axes(self, axis, x):
        """Keras' axes as those of a tensor without the batch axis."""
        axes = axis if isinstance(axis, (list, tuple)) else [axis]
        if any(each == 0 or each < -x.ndim for each in axes):
            raise self.unknown(" along the batch")
        return sorted(each - 1 if each > 0 else each + x.ndim for each in axes)

    def normalised(self, x, axes, is_centred, groups=1, channel_axis=None):
        """A norm, then gamma and beta along `axes`, or along one axis of channels."""
        epsilon = self.config.get("epsilon", 1e-3 if is_centred else 1e-6)
        y = self.builder.normalised(f"{self.name}/normal", x, axes, epsilon, groups, channel_axis, is_centred)
        weights, along = list(self.weights), axes if channel_axis is None else [channel_axis]
        at_axes = [weight.reshape([-1 if axis in along else 1 for axis in range(x.ndim)]) if len(along) == 1 else
                   weight.reshape([weight.shape[along.index(axis)] if axis in along else 1 for axis in range(x.ndim)])
                   for weight in weights]
        gamma = at_axes.pop(0) if at_axes and self.config.get("scale", True) else 1.0
        return self.builder.affine(self.name, y, gamma, at_axes.pop(0) if at_axes else 0.0)

    def group_norm(self, inputs):
        (x,) = inputs
        (axis,) = self.axes(self.config.get("axis", -1), x)
        if axis == x.at:
            raise self.unknown(" in groups of positions")
        n = x.rest[x.axis_in_rest(axis)]
        groups = self.config.get("groups", 32)
        groups = n if groups == -1 else groups
        if groups == n:
            return self.normalised(x, [each for each in range(x.ndim) if each != axis], True, 1, axis)
        return self.normalised(x, list(range(x.ndim)), True, groups, axis)

    def unit_norm(self, inputs):
        (x,), y = inputs, inputs[0]
        square = self.builder.same(f"{self.name}/square", g.Activation("square"), x)
        for axis in self.axes(self.config.get("axis", -1), x):
            square = self.builder.over(f"{self.name}/sum", square, "sum", axis, keep_axes=True)
        square = self.builder.same(f"{self.name}/least", g.Activation("clip", 1e-12, np.inf), square)
        over = self.builder.same(f"{self.name}/over", g.Activation("rsqrt"), square)
        return self.builder.join(self.name, g.Multiply(), [y, over])

    def dot(self, inputs):
        x, y = inputs
        axes = self.config["axes"]
        axes = axes if isinstance(axes, (list, tuple)) else [axes, axes]
        ((first,), (second,)) = (self.axes(axis, each) for axis, each in zip(axes, inputs, strict=True))
        if self.config.get("normalize"):
            raise self.unknown(" with lengths of 1")
        letters, others = "abc"[:x.ndim], "fgh"[:y.ndim]
        others = others.replace(others[second], letters[first])
        out = (letters + others).replace(letters[first], "")
        return self.builder.einsum(self.name, (letters, x), (others, y), out)

    def repeat_vector(self, inputs):
        return self.builder.spread(self.name, self.builder.with_axis(inputs[0], 0), 0, int(self.config["n"]))

    def time_distributed(self, inputs):
        inner = self.config["layer"]
        kind = inner["class_name"]
        if kind not in ("Dense", "Activation", *IDENTITIES):
            raise self.unknown(f" around {kind}")
        layer = _Layer(self.builder, self.name, kind, inner["config"], self.weights, "2")
        layer.is_keras1, layer.is_keras3 = self.is_keras1, self.is_keras3
        return layer.apply(inputs)

    def elu(self, inputs):
        alpha = float(np.asarray(_plain(self.config.get("alpha", 1.0))))
        return self.builder.same(self.name, g.Activation("elu", alpha), inputs[0])

    def softmax(self, inputs):
        axes = self.axes(self.config.get("axis", -1), inputs[0])
        if len(axes) > 1:
            raise self.unknown(" over several axes")
        return self.builder.softmax(self.name, inputs[0], axes[0])

    def pool(self, inputs):
        if self.is_theano and self.padding() == "same":
            raise self.unknown(" saved with Theano, with padding same")
        n = 2 if "2D" in self.kind else 1
        kind = "max" if self.kind.startswith("Max") else "average"
        sizes = self.numbers("pool_size", n, 2)
        strides = sizes if self.config.get("strides") is None else self.numbers("strides", n)
        return self.builder.pool(self.name, inputs[0], kind, self.channel_axis(), sizes, strides, self.padding())

    def global_pool(self, inputs):
        kind = "max" if "Max" in self.kind else "average"
        (x,) = inputs
        axis = x.axis_in_rest(self.channel_axis())
        if any(size != 1 for i, size in enumerate(x.rest) if i != axis) or x.at == self.channel_axis() % x.ndim:
            raise self.unknown(" over more than positions")
        x = self.builder.summary(self.name, x, kind, bool(self.config.get("keepdims")))
        return x if self.config.get("keepdims") else x._replace(rest=(int(np.prod(x.rest)),))

    def flatten(self, inputs):
        if self.config.get("data_format") == "channels_first" and inputs[0].ndim > 1:
            raise self.unknown(" with channels first")
        return self.builder.flatten(self.name, inputs[0])

    def reshape(self, inputs):
        return self.builder.reshape(self.name, inputs[0], tuple(self.config["target_shape"]))

    def permute(self, inputs):
        return self.builder.permute(self.name, inputs[0], [axis - 1 for axis in self.config["dims"]])

    def cropping(self, inputs):
        before, after = self.numbers("cropping", 2)
        return self._cropped(inputs[0], before, after)

    def zero_padding(self, inputs):
        before, after = self.numbers("padding", 2)
        return self._cropped(inputs[0], -before, -after)

    def _cropped(self, x, before, after):
        if x.at != (0 if self.channel_axis() else 1):
            raise self.unknown(" along another axis than positions")
        return self.builder.same(self.name, g.Crop(before, after), x)

    def upsampling(self, inputs):
        if inputs[0].at is None and inputs[0].rest[0] == 1:
            return self.builder.spread(self.name, inputs[0], 0, self.numbers("size", 1, 2)[0])
        return self.builder.same(self.name, g.Repeat(self.numbers("size", 1, 2)[0]), inputs[0])

    def join(self, inputs):
        if self.kind == "Concatenate":
            axis = self.config.get("axis", self.config.get("concat_axis", -1))
            return self.builder.concatenate(self.name, inputs, axis - 1 if axis > 0 else axis)
        if len(inputs) < 2:
            raise self.unknown(" with a number")
        return self.builder.join(self.name, JOINS[self.kind](), self.of_one_rank(inputs))

    def of_one_rank(self, inputs):
        """Inputs with as many axes; Keras adds those that miss after the batch."""
        most, result = max(x.ndim for x in inputs), []
        for x in inputs:
            while x.ndim < most:
                x = self.builder.with_axis(x, 0)
            result.append(x)
        return result

    def extreme(self, inputs):
        return self.builder.extreme(self.name, inputs, 1 if self.kind == "Maximum" else -1)

    def average(self, inputs):
        x = self.builder.join(f"{self.name}/sum", g.Add(), inputs)
        return self.builder.same(self.name, g.Scale(np.float32(1 / len(inputs)), np.float32(0)), x)

    def subtract(self, inputs):
        minus = self.builder.same(f"{self.name}/minus", g.Scale(np.float32(-1), np.float32(0)), inputs[1])
        return self.builder.join(self.name, g.Add(), [inputs[0], minus])

    def merge(self, inputs):
        mode = self.config.get("mode")
        self.kind = {"sum": "Add", "mul": "Multiply", "concat": "Concatenate"}.get(mode)
        if self.kind is None:
            self.kind = "Merge"
            raise self.unknown(f" in mode {mode}")
        return self.join(inputs)

    def dropout(self, inputs):
        (x,) = inputs
        mask = g.Mask(self.config.get("name", self.name), x.at or 0)  # by the layer's own name, wherever it lies
        return self.builder.same(self.name, g.Dropout(mask), x)

    def lambda_(self, inputs):
        """Only one that returns its argument, as bpnet's names of outputs do; its bytecode is looked at, never run."""
        function = self.config.get("function")
        code = function[0] if isinstance(function, (list, tuple)) else function
        if isinstance(code, dict):
            code = code.get("config", {}).get("code")
        try:
            code = base64.b64decode(code)
        except (TypeError, ValueError):
            raise self.unknown() from None
        if not any(_is_whole_code(code, short) for short in RETURNS_ITS_ARGUMENT):
            raise self.unknown(" with a function of its own")
        return self.dropout(inputs)

    METHODS = {
        "Conv1D": conv, "Conv2D": conv, "SeparableConv1D": separable, "DepthwiseConv1D": depthwise,
        "Conv1DTranspose": conv_transpose, "Conv2DTranspose": conv_transpose, "Dense": dense, "TimeDistributedDense":
        dense, "BatchNormalization": batch_norm, "Rescaling": rescaling, "Activation": activation_layer, "ReLU": relu,
        "LeakyReLU": leaky_relu, "ELU": elu, "Softmax": softmax, "MaxPooling1D": pool, "MaxPooling2D": pool,
        "AveragePooling1D": pool, "AveragePooling2D": pool, "GlobalMaxPooling1D": global_pool,
        "GlobalAveragePooling1D": global_pool, "GlobalMaxPooling2D": global_pool,
        "GlobalAveragePooling2D": global_pool, "Flatten": flatten, "Reshape": reshape, "Permute": permute,
        "Cropping1D": cropping, "ZeroPadding1D": zero_padding, "UpSampling1D": upsampling, "Add": join,
        "Multiply": join, "Concatenate": join, "Average": average, "Subtract": subtract, "Merge": merge,
        "Maximum": extreme, "Minimum": extreme, "PReLU": prelu, "ThresholdedReLU": thresholded_relu,
        "LayerNormalization": layer_norm, "RMSNormalization": layer_norm, "GroupNormalization": group_norm,
        "UnitNormalization": unit_norm, "Dot": dot, "RepeatVector": repeat_vector, "TimeDistributed": time_distributed,
        "Lambda": lambda_,
        **dict.fromkeys(IDENTITIES, dropout),
    }


def _is_whole_code(code, short):
    """Whether marshalled code holds `short` as a whole bytes object: its length, then itself."""
    return len(short).to_bytes(4, "little") + short in code


def _plain(value):
    """A number that Keras may have written as {"class_name": "__numpy__", "config": {"value": ...}}, or shorter."""
    while isinstance(value, dict):
        value = value.get("config", value).get("value")
    return value
