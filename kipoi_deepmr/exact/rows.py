"""The compiled instructions that work row by row: each takes the differences of its inputs to that of its result."""

import math

import numpy as np

from ..compiled import compiled_fast as compiled
from ..compiled import compiled_inline
from .activations import ActivationKind, activate
from .instructions import Inputs, Kind, Mutant


@compiled
def clear(buffer: np.ndarray, start: int, n: int) -> None:
    """Set n floats from `start` to zero."""
    for i in range(start, start + n):
        buffer[np.uint64(i)] = 0


@compiled
def copy(y: np.ndarray, x: np.ndarray) -> None:
    """y = x, in place."""
    for j in range(len(y)):
        y[j] = x[j]


@compiled_inline
def base_difference(r: np.record, a: int, b: int, mutant: Mutant, inputs: Inputs, buffer: np.ndarray) -> None:
    """Rows [a, b) of the one-hot sequence itself: -1 at the old letter, 1 at the new."""
    y0 = mutant.base + r.slot
    clear(buffer, y0 + a * r.channels, (b - a) * r.channels)
    for u in range(a, b):
        y = y0 + u * r.channels
        buffer[y + inputs.letters[inputs.bases[u]]] -= 1
        buffer[y + inputs.letters[mutant.letters[u - mutant.start]]] += 1


@compiled_inline
def whole_rows(r: np.record, a: int, b: int, mutant: Mutant, inputs: Inputs, buffer: np.ndarray) -> None:
    """Rows [a, b) of the instructions that take a row, or a few, to a row."""
    program, weights, z = inputs.program, inputs.weights, inputs.z
    base, first, last = mutant.base, mutant.first, mutant.last
    kind, channels, source = r.kind, r.channels, program[r.x]
    xa, xb = first[r.x], last[r.x]
    for t in range(a, b):
        y = buffer[base + r.slot + t * channels:][:channels]
        if kind == Kind.CROP or kind == Kind.REPEAT or kind == Kind.SPREAD or kind == Kind.REVERSE:
            u = t + r.before if kind == Kind.CROP else r.n_rows - 1 - t if kind == Kind.REVERSE else t // r.times
            if u >= xa and u < xb and (kind != Kind.SPREAD or u * r.times == t):
                copy(y, buffer[base + source.slot + u * channels:][:channels])
            else:
                y[:] = 0
        elif kind == Kind.CONCATENATE:
            other = program[r.x2]
            y[source.real:] = 0
            _copy_row(y[:source.real], source, t, xa, xb, base, buffer)
            _copy_row(y[source.real:r.real], other, t, first[r.x2], last[r.x2], base, buffer)
        elif kind == Kind.MAX_POOL or kind == Kind.AVERAGE_POOL:
            _pool_row(r, t, y, source, xa, xb, base, z, buffer)
        elif kind == Kind.ADD:
            _copy_row(y, source, t, xa, xb, base, buffer)
            if t >= first[r.x2] and t < last[r.x2]:
                x = buffer[base + program[r.x2].slot + t * channels:][:channels]
                for j in range(channels):
                    y[j] += x[j]
        elif kind == Kind.MULTIPLY:
            _multiply_row(r, t, y, program, first, last, base, z, buffer)
        else:
            x = buffer[base + source.slot + t * channels:][:channels]
            if kind == Kind.SOFTMAX:
                _softmax_row(x[:r.real], z[r.z + t * channels:][:r.real], z[r.z2 + t * channels:][:r.real], y)
            elif kind == Kind.ACT:
                copy(y, x)
            else:
                scale = weights[r.weight + (t * channels if kind == Kind.SCALE_ROWS else 0):][:channels]
                for j in range(channels):
                    y[j] = scale[j] * x[j]


@compiled
def _copy_row(y, source, t, xa, xb, base, buffer):
    if t >= xa and t < xb:
        copy(y, buffer[base + source.slot + t * source.channels:][:len(y)])
    else:
        y[:] = 0


@compiled
def _multiply_row(r, t, y, program, first, last, base, z, buffer):
    """(u + du) (v + dv) - u v."""
    channels = r.channels
    has_u = t >= first[r.x] and t < last[r.x]
    has_v = t >= first[r.x2] and t < last[r.x2]
    u, v = z[r.z + t * channels:][:channels], z[r.z2 + t * channels:][:channels]
    du = buffer[base + program[r.x].slot + t * channels:][:channels]
    dv = buffer[base + program[r.x2].slot + t * channels:][:channels]
    for j in range(channels):
        e = du[j] if has_u else np.float32(0)
        f = dv[j] if has_v else np.float32(0)
        y[j] = e * v[j] + u[j] * f + e * f


@compiled
def _pool_row(r, t, y, source, xa, xb, base, z, buffer):
    """One row of a pooling: of max, the new maximum less the old; of average, the share of the changed rows."""
    channels = r.channels
    begin = t * r.stride - r.before
    u0, u1 = max(begin, 0), min(begin + r.width, source.n_rows)
    if r.kind == Kind.MAX_POOL:
        y[:] = -np.inf
    else:
        y[:] = 0
    for u in range(u0, u1):
        inside = u >= xa and u < xb
        d = buffer[base + source.slot + u * channels:][:channels]
        if r.kind == Kind.MAX_POOL:
            x = z[r.z + u * channels:][:channels]
            if inside:
                for j in range(channels):
                    y[j] = max(y[j], x[j] + d[j])
            else:
                for j in range(channels):
                    y[j] = max(y[j], x[j])
        elif inside:
            for j in range(channels):
                y[j] += d[j]
    if r.kind == Kind.MAX_POOL:
        old = z[r.z2 + t * channels:][:channels]
        for j in range(channels):
            y[j] -= old[j]
    else:
        share = np.float32(1) / np.float32(r.width if r.count_padding else u1 - u0)
        for j in range(channels):
            y[j] *= share


@compiled
def _softmax_row(d, x, old, y):
    top = -np.inf
    for j in range(len(d)):
        top = max(top, x[j] + d[j])
    total = 0.0
    for j in range(len(d)):
        total += math.exp(x[j] + d[j] - top)
    y[:] = 0
    for j in range(len(d)):
        y[j] = math.exp(x[j] + d[j] - top) / total - old[j]


@compiled_inline
def activation(r: np.record, at: int, z_at: int, n: int, inputs: Inputs, buffer: np.ndarray) -> None:
    """From the difference before an activation to that after it, in place."""
    weights, y, x = inputs.weights, buffer[at:][:n], inputs.z[z_at:][:n]
    kind = r.activation
    if kind == ActivationKind.RELU:
        for j in range(n):
            y[j] = max(y[j], -x[j]) + min(x[j], np.float32(0))
        return
    alpha, beta = weights[r.alpha], weights[r.alpha + 1]
    for j in range(n):
        if y[j] != 0:
            y[j] = np.float32(activate(kind, x[j] + y[j], alpha, beta) - activate(kind, x[j], alpha, beta))
