"""The slow, obvious version of exact/: every mutant as a whole, layer by layer, position by position, in float64.

And layers drawn at random, to try both on.
"""

import numpy as np
from scipy import special

from kipoi_deepmr import dna
from kipoi_deepmr.exact import graph as g
from kipoi_deepmr.mutagenesis import saturation_mutants


def mutants(graph, sequence):
    """Outputs of the reference and all its mutants, flattened: (1 + 3 L, n)."""
    return outputs(graph, np.concatenate([sequence[None], saturation_mutants(sequence)[0]]))


def outputs(graph, sequences):
    """Outputs of sequences (n, L), flattened: (n, output)."""
    values = {}
    for node in graph.nodes:
        values[node.name] = layer_value(node.layer, [values[name] for name in node.inputs],
                                        dna.one_hot(sequences, graph.alphabet, np.float64))
    return np.concatenate([values[name].reshape(len(sequences), -1) for name in graph.outputs], axis=1)


def layer_value(layer, inputs, one_hot):
    """Values (mutant, ...) of a layer."""
    if isinstance(layer, g.Sequence):
        return one_hot
    if isinstance(layer, g.Constant):
        shape = [len(one_hot[0]) if n is None else n for n in layer.shape]
        return np.broadcast_to(layer.value, (len(one_hot), *shape)).astype(np.float64)
    x = inputs[0]
    if isinstance(layer, g.Add):
        return sum(inputs)
    if isinstance(layer, g.Multiply):
        return np.prod(np.broadcast_arrays(*inputs), axis=0)
    if isinstance(layer, g.Concatenate):
        return np.concatenate(inputs, axis=-1)
    if isinstance(layer, g.Dropout):
        return x
    if isinstance(layer, g.Scale):
        return x * layer.scale + layer.shift
    if isinstance(layer, g.Dense):
        return x @ layer.weight.astype(np.float64) + layer.bias
    if isinstance(layer, g.GroupedDense):
        groups, n_in, n_out = layer.weight.shape
        return np.concatenate([x[:, i * n_in:(i + 1) * n_in] @ layer.weight[i].astype(np.float64)
                               for i in range(groups)], axis=1) + layer.bias
    if isinstance(layer, g.Reverse):
        return x[:, ::-1]
    if isinstance(layer, g.Activation):
        return activated(layer, x)
    if isinstance(layer, g.Softmax):
        e = np.exp(x).reshape(*x.shape[:-1], -1, layer.size or x.shape[-1], layer.inner)
        return (e / e.sum(-2, keepdims=True)).reshape(x.shape)
    if isinstance(layer, g.Flatten):
        return (x.swapaxes(1, 2) if layer.channels_first else x).reshape(len(x), -1)
    if isinstance(layer, g.Summary):
        return summarized(layer.kind, x)
    if isinstance(layer, g.Attend):
        e, n = np.exp(x - x.max(1, keepdims=True)), x.shape[2] // 2
        return (e[:, :, :n] * x[:, :, n:]).sum(1) / e[:, :, :n].sum(1)
    return rows(layer, x)


def rows(layer, x):
    """Layers that change positions: each output row on its own."""
    n = g.shape_of(layer, [x.shape[1:]])[0]
    if isinstance(layer, g.Crop):
        return np.stack([row(x, t + layer.before) for t in range(n)], axis=1)
    if isinstance(layer, g.Repeat):
        return np.stack([x[:, t // layer.times] for t in range(n)], axis=1)
    if isinstance(layer, g.Fold):
        parts = [np.split(x[:, k::layer.times], x.shape[2] // layer.inner, axis=2) for k in range(layer.times)]
        return np.concatenate([piece for outer in zip(*parts, strict=True) for piece in outer], axis=2)
    if isinstance(layer, g.Unfold):
        parts = np.split(x, x.shape[2] // layer.inner, axis=2)
        return np.stack([np.concatenate([each[:, t // layer.times] for each in parts[t % layer.times::layer.times]],
                                        axis=1) for t in range(n)], axis=1)
    if isinstance(layer, g.ConvTranspose):
        before = g.cropped(layer, x.shape[1])[0]
        out = np.zeros((len(x), n, layer.weight.shape[2])) + layer.bias
        for u in range(x.shape[1]):
            for k, weight in enumerate(layer.weight):
                if 0 <= u * layer.stride + k - before < n:
                    out[:, u * layer.stride + k - before] += x[:, u] @ weight.astype(np.float64)
        return out
    before = g.padded(layer, x.shape[1])[0]
    if isinstance(layer, g.Conv):
        return np.stack([layer.bias + sum(
            row(x, t * layer.stride + k * layer.dilation - before) @ weight.astype(np.float64)
            for k, weight in enumerate(layer.weight)) for t in range(n)], axis=1)
    assert isinstance(layer, g.Pool)
    out = []
    for t in range(n):
        all_rows = [t * layer.stride - before + k * layer.dilation for k in range(layer.size)]
        inside = [x[:, u] for u in all_rows if 0 <= u < x.shape[1]]
        total = np.max(inside, axis=0) if layer.kind == "max" else np.sum(inside, axis=0)
        out.append(total / (1 if layer.kind == "max" else layer.size if layer.count_padding else len(inside)))
    return np.stack(out, axis=1)


def row(x, t):
    """Row t, zeros outside."""
    return x[:, t] if 0 <= t < x.shape[1] else np.zeros_like(x[:, 0])


def summarized(kind, x):
    e = np.exp(x - x.max(1, keepdims=True))
    if kind == "softmax_mean":
        return (x * e / e.sum(1, keepdims=True)).sum(1)
    return {"average": x.mean(1), "sum": x.sum(1), "max": x.max(1), "log_sum_exp": x.max(1) + np.log(e.sum(1))}[kind]


def activated(layer, x):
    a, b = layer.alpha, layer.beta
    softplus = np.log(1 + np.exp(x))
    sigmoid = 1 / (1 + np.exp(-x))
    return {
        "linear": x, "relu": x * (x > 0), "leaky_relu": np.where(x > 0, x, a * x),
        "elu": np.where(x > 0, x, a * (np.exp(x) - 1)),
        "selu": 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * (np.exp(x) - 1)),
        "gelu": x * (1 + special.erf(x / np.sqrt(2))) / 2,
        "gelu_tanh": x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
        "exponential": np.exp(x), "softplus": softplus, "softsign": x / (1 + np.abs(x)), "sigmoid": sigmoid,
        "hard_sigmoid": np.minimum(np.maximum(a * x + b, 0), 1), "tanh": np.tanh(x), "swish": x * sigmoid,
        "mish": x * np.tanh(softplus), "clip": np.minimum(np.maximum(x, a), b), "abs": np.abs(x), "square": x * x,
        "log": np.log(np.where(x > 0, x, 1)), "sqrt": np.sqrt(np.where(x > 0, x, 0)),
        "threshold": np.where(x > a, x, b), "reciprocal": 1 / np.where(x == 0, 1, x),
        "rsqrt": np.where(x > 0, x, 1)**-0.5, "power": np.where(x > 0, x, 1)**a, "sin": np.sin(x), "cos": np.cos(x),
        "erf": special.erf(x), "expm1": np.exp(x) - 1, "log1p": np.log(1 + np.where(x > -1, x, 0)),
    }[layer.kind]


def layers_with(rng):
    """A list of nodes that begins with the sequence, a function that adds one, and one that draws a convolution."""
    nodes = [g.Node("seq", g.Sequence())]

    def add(layer, *inputs):
        nodes.append(g.Node(f"n{len(nodes)}", layer, inputs or (nodes[-1].name,)))
        return nodes[-1].name

    def conv(width, n_in, n_out, dilation=1):
        weight = rng.normal(size=(width, n_in, n_out)) / np.sqrt(width * n_in)
        return g.Conv(weight.astype(np.float32), rng.normal(size=n_out).astype(np.float32), 1, dilation, "same")

    return nodes, add, conv
