"""The compiled instructions that work row by row: each takes the differences of its inputs to that of its result."""

import math

import numpy as np

from ..compiled import compiled as compiled_to_the_letter
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
        elif kind == Kind.FOLD or kind == Kind.UNFOLD:
            _fold_row(r, t, y, source, xa, xb, base, buffer)
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
                _softmax_row(r, x, z[r.z + t * channels:], y)
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
    channels, rows = r.channels, 0
    is_max = r.kind == Kind.MAX_POOL
    y[:] = -np.inf if is_max else 0
    for k in range(r.width):
        u = t * r.stride - r.before + k * r.dilation
        if u < 0 or u >= source.n_rows:
            continue
        rows += 1
        inside = u >= xa and u < xb
        d = buffer[base + source.slot + u * channels:][:channels]
        if is_max:
            _raise(y, z[r.z + u * channels:][:channels], z[r.z2 + t * channels:][:channels], d, inside)
        elif inside:
            for j in range(channels):
                y[j] += d[j]
    if not is_max:
        share = np.float32(1) / np.float32(r.width if r.count_padding else rows)
        for j in range(channels):
            y[j] *= share


@compiled_to_the_letter
def _raise(y, x, old, d, inside):
    """y = max(y, x + d - old), by x - old first: that of the row which held the maximum is 0, and d is not rounded."""
    if inside:
        for j in range(len(y)):
            y[j] = max(y[j], (x[j] - old[j]) + d[j])
    else:
        for j in range(len(y)):
            y[j] = max(y[j], x[j] - old[j])


@compiled
def _fold_row(r, t, y, source, xa, xb, base, buffer):
    """One row of several, or a part of one: pieces of `inner` channels."""
    y[:] = 0
    inner, times = r.inner, r.times
    is_fold = r.kind == Kind.FOLD
    for k in range(times if is_fold else 1):
        u = t * times + k if is_fold else t // times
        if u >= xa and u < xb:
            x = buffer[base + source.slot + u * source.channels:][:source.real]
            for outer in range((source.real if is_fold else r.real) // inner):
                many, one = (outer * times + (k if is_fold else t % times)) * inner, outer * inner
                for j in range(inner):
                    if is_fold:
                        y[many + j] = x[one + j]
                    else:
                        y[one + j] = x[many + j]


@compiled
def _softmax_row(r, d, x, y):
    """Softmax of every group of `times` channels, `inner` apart, in float64."""
    y[:] = 0
    size = r.times * r.inner
    for first in range(r.real // size * r.inner):
        begin = first // r.inner * size + first % r.inner
        top_before = top = -np.inf
        for j in range(begin, begin + size, r.inner):
            top_before, top = max(top_before, float(x[j])), max(top, float(x[j]) + float(d[j]))
        total_before = total = 0.0
        for j in range(begin, begin + size, r.inner):
            total_before += math.exp(float(x[j]) - top_before)
            total += math.exp(float(x[j]) + float(d[j]) - top)
        for j in range(begin, begin + size, r.inner):
            before = math.exp(float(x[j]) - top_before) / total_before
            y[j] = math.exp(float(x[j]) + float(d[j]) - top) / total - before


@compiled_inline
def activation(r: np.record, at: int, z_at: int, n: int, inputs: Inputs, buffer: np.ndarray) -> None:
    """From the difference before an activation to that after it, in place.

    In float64 but for ReLU: the difference of two values near each other would be their rounding otherwise.
    """
    weights, y, x = inputs.weights, buffer[at:][:n], inputs.z[z_at:][:n]
    kind = r.activation
    if kind == ActivationKind.RELU:
        for j in range(n):
            y[j] = max(y[j], -x[j]) + min(x[j], np.float32(0))
        return
    alpha, beta = float(weights[r.alpha]), float(weights[r.alpha + 1])
    for j in range(n):
        if y[j] != 0:
            before = float(x[j])
            after = before + float(y[j])
            y[j] = activate(kind, after, alpha, beta) - activate(kind, before, alpha, beta)
