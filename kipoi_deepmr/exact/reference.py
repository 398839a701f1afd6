"""Values of nodes in float64: of all for reference sequences, of vectors for a batch of mutants."""

import math
from collections.abc import Collection, Iterable

import numpy as np
from scipy import special

from . import graph as g
from .activations import in_float64

LARGE = 1 << 16  # weights; a dense layer of more is multiplied in float32
WINDOW_BYTES = 1 << 19  # of a convolution's windows that are multiplied at once


def evaluate(nodes: Iterable[g.Node], shapes: dict[str, tuple], one_hot: np.ndarray | None,
             keep: Collection[str] | None = None) -> dict[str, np.ndarray]:
    """Values of nodes for one sequence, or for several.

    Parameters
    ----------
    nodes : list of Node
        Each after its inputs.
    shapes : dict of str to tuple
    one_hot : (..., L, 4)
    keep : collection of str, optional
        Nodes whose values are wanted, all by default; others are held only until their last use, since all those of a
        deep network on a long sequence are gigabytes.

    Returns
    -------
    dict of str to float64 array
        (..., rows, channels) or (..., n); of what does not depend on the sequence, as of one.
    """
    nodes, values = list(nodes), {}
    last = {name: number for number, node in enumerate(nodes) for name in (*node.inputs, node.name)}
    for number, node in enumerate(nodes):
        if isinstance(node.layer, g.Sequence):
            values[node.name] = np.asarray(one_hot, np.float64)
        elif isinstance(node.layer, g.Constant):
            values[node.name] = np.broadcast_to(np.asarray(node.layer.value, np.float64), shapes[node.name])
        else:
            values[node.name] = apply(node.layer, [values[name] for name in node.inputs])
        if keep is not None:
            for name in {*node.inputs, node.name}:
                if last[name] == number and name not in keep:
                    del values[name]
    return values


def apply(layer: object, inputs: list[np.ndarray]) -> np.ndarray:
    """Value of a layer, for one input or a batch: of rows (..., positions, channels), of vectors (..., n)."""
    x = inputs[0]
    if isinstance(layer, (g.Add, g.Multiply)):
        function = np.add if isinstance(layer, g.Add) else np.multiply
        for other in inputs[1:]:
            x = function(x, other)
        return x
    if isinstance(layer, g.Concatenate):
        lead = np.broadcast_shapes(*(x.shape[:-1] for x in inputs))
        return np.concatenate([np.broadcast_to(x, (*lead, x.shape[-1])) for x in inputs], axis=-1)
    return _APPLY[type(layer)](layer, x)


def _dense(layer, x):
    if layer.weight.dtype == np.float32 and layer.weight.size > LARGE:
        return times(x.astype(np.float32), layer.weight).astype(np.float64) + layer.bias
    return times(x, layer.weight.astype(np.float64, copy=False)) + layer.bias


def times(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """x @ weight for x of (..., n), as one product of matrices."""
    return (x.reshape(-1, x.shape[-1]) @ weight).reshape(*x.shape[:-1], -1)


def _grouped_dense(layer, x):
    groups, n_in, _ = layer.weight.shape
    parts = x.reshape(-1, groups, n_in).swapaxes(0, 1) @ layer.weight.astype(np.float64)
    return parts.swapaxes(0, 1).reshape(*x.shape[:-1], -1) + layer.bias


def _extended(x, before, after, fill=0.0):
    """Rows with `before` and `after` rows of `fill` added, or cut off where negative."""
    x = x[..., max(-before, 0):x.shape[-2] - max(-after, 0), :]
    if before <= 0 and after <= 0:
        return x
    before, rows = max(before, 0), x.shape[-2]
    out = np.full((*x.shape[:-2], before + rows + max(after, 0), x.shape[-1]), fill)
    out[..., before:before + rows, :] = x
    return out


def _conv(layer, x):
    weight = layer.weight.astype(np.float64, copy=False)
    width, n_in, n_out = weight.shape
    lead, n_before = x.shape[:-2], x.shape[-2]
    x = np.ascontiguousarray(_extended(x, *g.padded(layer, n_before)))
    rows = (x.shape[-2] - (width - 1) * layer.dilation - 1) // layer.stride + 1
    row = x.strides[-2]
    windows = np.ndarray((*lead, rows, width, n_in), x.dtype, x, 0, (
        *x.strides[:-2], row * layer.stride, row * layer.dilation, x.itemsize))
    weight, out = weight.reshape(-1, n_out), np.empty((*lead, rows, n_out))
    step = max(WINDOW_BYTES // (8 * width * n_in * math.prod(lead)), 1)
    for start in range(0, rows, step):  # copies of windows that stay in the cache
        block = windows[..., start:start + step, :, :]
        out[..., start:start + step, :] = times(block.reshape(*lead, -1, width * n_in), weight)
    out += layer.bias
    return out


def _conv_transpose(layer, x):
    width, step, rows = len(layer.weight), layer.stride, x.shape[-2]
    full = np.zeros((*x.shape[:-2], (rows - 1) * step + width, layer.weight.shape[2]))
    for k, weight in enumerate(layer.weight):
        full[..., k:k + (rows - 1) * step + 1:step, :] += x @ weight.astype(np.float64)
    before, after = g.cropped(layer, rows)
    return _extended(full, -before, -after) + layer.bias


def _pool(layer, x):
    rows = x.shape[-2]
    before, after = g.padded(layer, rows)
    windows = np.lib.stride_tricks.sliding_window_view(
        _extended(x, before, after, -np.inf if layer.kind == "max" else 0.0), g.span_of(layer), axis=-2)
    windows = windows[..., ::layer.stride, :, ::layer.dilation]
    if layer.kind == "max":
        return windows.max(-1)
    if layer.count_padding:
        return windows.mean(-1)
    inside = np.arange(windows.shape[-3])[:, None] * layer.stride - before + np.arange(layer.size) * layer.dilation
    return windows.sum(-1) / ((inside >= 0) & (inside < rows)).sum(1)[:, None]


def summarised(kind: str, x: np.ndarray) -> np.ndarray:
    """One of graph.SUMMARIES over the last axis but one, that of positions."""
    if kind == "softmax_mean":
        return (special.softmax(x, axis=-2) * x).sum(-2)
    if kind == "log_sum_exp":
        return special.logsumexp(x, axis=-2)
    return {"average": x.mean, "sum": x.sum, "max": x.max}[kind](-2)


def _flattened(layer, x):
    return (x.swapaxes(-1, -2) if layer.channels_first else x).reshape(*x.shape[:-2], -1)


def _spread(layer, x):
    out = np.zeros((*x.shape[:-2], (x.shape[-2] - 1) * layer.times + 1, x.shape[-1]))
    out[..., ::layer.times, :] = x
    return out


def _softmax(layer, x):
    if layer.size is None:
        return special.softmax(x, axis=-1)
    return special.softmax(x.reshape(*x.shape[:-1], -1, layer.size, layer.inner), axis=-2).reshape(x.shape)


def _attend(layer, x):
    logits, values = np.split(x, 2, axis=-1)
    return (special.softmax(logits, axis=-2) * values).sum(-2)


def _fold(layer, x):
    *lead, rows, channels = x.shape
    parts = x.reshape(*lead, rows // layer.times, layer.times, channels // layer.inner, layer.inner)
    return parts.swapaxes(-3, -2).reshape(*lead, rows // layer.times, layer.times * channels)


def _unfold(layer, x):
    *lead, rows, channels = x.shape
    parts = x.reshape(*lead, rows, -1, layer.times, layer.inner)
    return parts.swapaxes(-3, -2).reshape(*lead, rows * layer.times, channels // layer.times)


_APPLY = {
    g.Conv: _conv,
    g.ConvTranspose: _conv_transpose,
    g.Scale: lambda layer, x: x * layer.scale + layer.shift,
    g.Dropout: lambda layer, x: x,
    g.Activation: lambda layer, x: in_float64(layer.kind, x, layer.alpha, layer.beta),
    g.Softmax: _softmax,
    g.Attend: _attend,
    g.Fold: _fold,
    g.Unfold: _unfold,
    g.Pool: _pool,
    g.Summary: lambda layer, x: summarised(layer.kind, x),
    g.Flatten: _flattened,
    g.Dense: _dense,
    g.GroupedDense: _grouped_dense,
    g.Reverse: lambda layer, x: x[..., ::-1, :],
    g.Crop: lambda layer, x: _extended(x, -layer.before, -layer.after),
    g.Repeat: lambda layer, x: x.repeat(layer.times, axis=-2),
    g.Spread: _spread,
}
