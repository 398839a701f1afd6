"""Activations: the one list of them, each in float64 for the reference and compiled for the differences of mutants.

To add one: here its name in `ActivationKind`, its function in `_IN_FLOAT64`, its branch in `activate` and its names in
Keras and PyTorch; and in plugin_tests/exact_naive.py the slow version that all of this is compared with.
"""

import math
from enum import IntEnum

import numpy as np
from scipy import special

from ..compiled import compiled_fast as compiled


class ActivationKind(IntEnum):
    """An activation as the compiled code knows it; a graph has its name in lower case (`ACTIVATIONS`)."""

    LINEAR = 0
    RELU = 1
    LEAKY_RELU = 2
    ELU = 3
    SELU = 4
    GELU = 5
    GELU_TANH = 6
    EXPONENTIAL = 7
    SOFTPLUS = 8
    SOFTSIGN = 9
    SIGMOID = 10
    HARD_SIGMOID = 11
    TANH = 12
    SWISH = 13
    MISH = 14
    CLIP = 15
    ABS = 16
    SQUARE = 17
    LOG = 18
    SQRT = 19
    THRESHOLD = 20
    RECIPROCAL = 21
    RSQRT = 22
    POWER = 23
    SIN = 24
    COS = 25
    ERF = 26
    EXPM1 = 27
    LOG1P = 28


ACTIVATIONS = tuple(kind.name.lower() for kind in ActivationKind)

# names in Keras to ours, with alpha and beta; those whose settings decide are in keras_layers.py
KERAS = {
    "linear": ("linear",), "relu": ("relu",), "relu6": ("clip", 0.0, 6.0), "elu": ("elu", 1.0), "selu": ("selu",),
    "exponential": ("exponential",), "exp": ("exponential",), "softplus": ("softplus",), "softsign": ("softsign",),
    "sigmoid": ("sigmoid",), "tanh": ("tanh",), "swish": ("swish",), "silu": ("swish",), "mish": ("mish",),
    "gelu": ("gelu",), "leaky_relu": ("leaky_relu", 0.2), "celu": ("elu", 1.0), "hard_tanh": ("clip", -1.0, 1.0),
}
# operations of ATen to ours; those with settings are methods of torch_module's reader
TORCH = {
    "relu": ("relu",), "relu6": ("clip", 0.0, 6.0), "sigmoid": ("sigmoid",), "tanh": ("tanh",), "exp": ("exponential",),
    "silu": ("swish",), "mish": ("mish",), "selu": ("selu",), "abs": ("abs",), "log": ("log",), "sqrt": ("sqrt",),
    "square": ("square",), "reciprocal": ("reciprocal",), "rsqrt": ("rsqrt",), "sin": ("sin",), "cos": ("cos",),
    "erf": ("erf",), "special_erf": ("erf",), "expm1": ("expm1",), "special_expm1": ("expm1",), "log1p": ("log1p",),
    "special_log1p": ("log1p",), "softsign": ("softsign",),
}


def in_float64(name: str, x: np.ndarray, alpha: float = 0.0, beta: float = 0.0) -> np.ndarray:
    """An activation of `ACTIVATIONS` in float64.

    Parameters
    ----------
    name : str
    x : float64 array
    alpha, beta : float
        See graph.Activation.
    """
    return _IN_FLOAT64[name](x, alpha, beta)


_IN_FLOAT64 = {
    "linear": lambda x, a, b: x,
    "relu": lambda x, a, b: np.maximum(x, 0),
    "leaky_relu": lambda x, a, b: np.where(x > 0, x, a * x),
    "elu": lambda x, a, b: np.where(x > 0, x, a * np.expm1(np.minimum(x, 0))),
    "selu": lambda x, a, b: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(np.minimum(x, 0))),
    "gelu": lambda x, a, b: x * special.ndtr(x),
    "gelu_tanh": lambda x, a, b: 0.5 * x * (1 + np.tanh(0.7978845608028654 * (x + 0.044715 * x**3))),
    "exponential": lambda x, a, b: np.exp(x),
    "softplus": lambda x, a, b: np.logaddexp(x, 0),
    "softsign": lambda x, a, b: x / (1 + np.abs(x)),
    "sigmoid": lambda x, a, b: special.expit(x),
    "hard_sigmoid": lambda x, a, b: np.clip(a * x + b, 0, 1),
    "tanh": lambda x, a, b: np.tanh(x),
    "swish": lambda x, a, b: x * special.expit(x),
    "mish": lambda x, a, b: x * np.tanh(np.logaddexp(x, 0)),
    "clip": lambda x, a, b: np.clip(x, a, b),
    "abs": lambda x, a, b: np.abs(x),
    "square": lambda x, a, b: x * x,
    "log": lambda x, a, b: np.log(x),
    "sqrt": lambda x, a, b: np.sqrt(x),
    "threshold": lambda x, a, b: np.where(x > a, x, b),
    "reciprocal": lambda x, a, b: 1 / x,
    "rsqrt": lambda x, a, b: 1 / np.sqrt(x),
    "power": lambda x, a, b: np.power(x, a),
    "sin": lambda x, a, b: np.sin(x),
    "cos": lambda x, a, b: np.cos(x),
    "erf": lambda x, a, b: special.erf(x),
    "expm1": lambda x, a, b: np.expm1(x),
    "log1p": lambda x, a, b: np.log1p(x),
}


@compiled
def activate(kind: int, x: float, alpha: float, beta: float) -> float:
    """An activation in the compiled code, `kind` being an `ActivationKind`."""
    if kind == ActivationKind.RELU:
        return max(x, 0.0)
    if kind == ActivationKind.LEAKY_RELU:
        return x if x > 0 else alpha * x
    if kind == ActivationKind.ELU:
        return x if x > 0 else alpha * math.expm1(x)
    if kind == ActivationKind.SELU:
        return 1.0507009873554805 * (x if x > 0 else 1.6732632423543772 * math.expm1(x))
    if kind == ActivationKind.GELU:
        return 0.5 * x * (1 + math.erf(x * 0.7071067811865476))
    if kind == ActivationKind.GELU_TANH:
        return 0.5 * x * (1 + math.tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)))
    if kind == ActivationKind.EXPONENTIAL:
        return math.exp(x)
    if kind == ActivationKind.SOFTPLUS:
        return math.log1p(math.exp(-abs(x))) + max(x, 0.0)
    if kind == ActivationKind.SOFTSIGN:
        return x / (1 + abs(x))
    if kind == ActivationKind.SIGMOID:
        return 1 / (1 + math.exp(-x))
    if kind == ActivationKind.HARD_SIGMOID:
        return min(max(alpha * x + beta, 0.0), 1.0)
    if kind == ActivationKind.TANH:
        return math.tanh(x)
    if kind == ActivationKind.SWISH:
        return x / (1 + math.exp(-x))
    if kind == ActivationKind.MISH:
        return x * math.tanh(math.log1p(math.exp(-abs(x))) + max(x, 0.0))
    if kind == ActivationKind.CLIP:
        return min(max(x, alpha), beta)
    if kind == ActivationKind.ABS:
        return abs(x)
    if kind == ActivationKind.SQUARE:
        return x * x
    if kind == ActivationKind.LOG:
        return math.log(x)
    if kind == ActivationKind.SQRT:
        return math.sqrt(x)
    if kind == ActivationKind.THRESHOLD:
        return x if x > alpha else beta
    if kind == ActivationKind.RECIPROCAL:
        return 1 / x
    if kind == ActivationKind.RSQRT:
        return 1 / math.sqrt(x)
    if kind == ActivationKind.POWER:
        return x**alpha
    if kind == ActivationKind.SIN:
        return math.sin(x)
    if kind == ActivationKind.COS:
        return math.cos(x)
    if kind == ActivationKind.ERF:
        return math.erf(x)
    if kind == ActivationKind.EXPM1:
        return math.expm1(x)
    if kind == ActivationKind.LOG1P:
        return math.log1p(x)
    return x
