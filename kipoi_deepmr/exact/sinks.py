"""The compiled instructions by which differences leave the rows: summaries over positions, and rows as they are."""

import math

import numpy as np

from ..compiled import compiled_fast as compiled
from ..compiled import compiled_inline
from .instructions import Inputs, Kind, Results, Scratch
from .kernels import float_of_bits
from .rows import copy

LARGEST_EXPONENT = np.float32(80)
SMALLEST_SUM = 1e-20  # of exponentials of values less the reference's largest; below, float32 has lost them


@compiled_inline
def sink(r: np.record, a: int, b: int, base: int, i: int, inputs: Inputs, scratch: Scratch, results: Results) -> None:
    """What leaves the rows: differences of a summary, or the changed rows [a, b) themselves."""
    source, kind, real = inputs.program[r.x], r.kind, r.real
    z, buffer, work = inputs.z, scratch.buffers, scratch.work
    channels, x = source.channels, base + source.slot + r.first_channel
    if kind == Kind.ROWS_OUT:
        rows = results.rows[i]
        rows[r.column:r.column + r.n_values] = 0
        for t in range(a, b):
            copy(rows[r.column + (t - r.first_row) * real:][:real], buffer[x + t * channels:][:real])
        return
    out = results.sums[i, r.column:r.column + real]
    if kind == Kind.SUM:
        out[:] = 0
        d = buffer[x + a * channels:]
        for t in range(b - a):
            for j in range(real):
                out[j] += d[np.uint64(t * channels + j)]
    elif kind == Kind.ATTEND:
        _attend_sink(r, a, b, x, channels, z[r.z2:], buffer, out)
    elif kind == Kind.MAX:
        _max_sink(r, a, b, x, channels, z, buffer, out)
    else:
        _softmax_sink(r, a, b, x, channels, z, buffer, work, out)


@compiled
def _max_sink(r, a, b, x, channels, z, buffer, out):
    """z2 holds maxima of the rows before each row, then (n_rows + 1 rows on) of each row and those after it."""
    real = r.real
    before, after = z[r.z2 + a * real:][:real], z[r.z2 + (r.n_rows + 1 + b) * real:][:real]
    old = z[r.z2 + (r.n_rows + 1) * real:][:real]
    for j in range(real):
        out[j] = max(before[j], after[j])
    for t in range(a, b):
        d, v = buffer[x + t * channels:][:real], z[r.z + t * channels:][:real]
        for j in range(real):
            out[j] = max(out[j], v[j] + d[j])
    for j in range(real):
        out[j] -= old[j]


@compiled
def _attend_sink(r, a, b, x, channels, z, buffer, out):
    """z holds logits less their largest, values, and running sums of e, the logits' exp, and of e times value.

    The reference's own mean is made of the same sums as the mutant's, so that what does not change cancels.
    """
    real, values, sums, running = r.real, r.n_rows * r.real, 2 * r.n_rows * r.real, (r.n_rows + 1) * r.real
    for j in range(real):
        before, after = sums + a * real + j, sums + running + b * real + j
        total = old_total = float(z[before]) + float(z[after])
        mean = old_mean = float(z[before + 2 * running]) + float(z[after + 2 * running])
        highest = 0.0
        for t in range(a, b):
            at, row = t * real + j, x + t * channels + j
            old, value = float(z[at]), float(z[values + at])
            new = old + float(buffer[row])
            highest = max(highest, new)
            old_e = math.exp(old)
            old_total += old_e
            old_mean += old_e * value
            e = math.exp(min(new, LARGEST_EXPONENT))
            total += e
            mean += e * (value + float(buffer[row + real]))
        if highest >= LARGEST_EXPONENT or total < SMALLEST_SUM:
            total, mean = _attend_all_rows(r, a, b, j, x, channels, z, buffer)
        out[j] = mean / total - old_mean / old_total


@compiled
def _attend_all_rows(r, a, b, j, x, channels, z, buffer):
    """Of a channel whose largest logit is far from the reference's: the sum of the exponentials of the logits less
    that one, and of these times the values."""
    real, values, shift, total, mean = r.real, r.n_rows * r.real, -np.inf, 0.0, 0.0
    for is_sum in (False, True):
        for t in range(r.n_rows):
            logit, value = float(z[t * real + j]), float(z[values + t * real + j])
            if a <= t < b:
                logit += float(buffer[x + t * channels + j])
                value += float(buffer[x + t * channels + real + j])
            if is_sum:
                total += math.exp(logit - shift)
                mean += math.exp(logit - shift) * value
            else:
                shift = max(shift, logit)
    return total, mean


@compiled
def _softmax_sink(r, a, b, x, channels, z, buffer, work, out):
    """z holds values less their largest; z2 sums of e, their exp, and of e times value, before each row and from each
    row on: nothing is ever subtracted from a sum."""
    real, running, n = r.real, (r.n_rows + 1) * r.real, (b - a) * channels
    value, e = work[:n], work[n:2 * n]
    old, d = z[r.z + a * channels:][:n], buffer[x + a * channels:][:n]
    highest = np.float32(0)
    for i in range(n):
        value[i] = old[i] + d[i]
        highest = max(highest, value[i])
    if highest < LARGEST_EXPONENT:
        for i in range(n):
            e[i] = fast_exp(value[i])
    for j in range(real):
        before, after = r.z2 + a * real + j, r.z2 + running + b * real + j
        total = float(z[before]) + float(z[after])
        mean = float(z[before + 2 * running]) + float(z[after + 2 * running])
        if highest < LARGEST_EXPONENT:
            for i in range(j, n, channels):
                total += float(e[i])
                mean += float(e[i]) * value[i]
        shift = 0.0
        if highest >= LARGEST_EXPONENT or total < SMALLEST_SUM:
            shift, total, mean = _softmax_of_all_rows(r, a, b, j, z[r.z:], channels, value)
        all_rows = r.z2 + running + j
        if r.kind == Kind.SOFTMAX_MEAN:
            out[j] = mean / total - float(z[all_rows + 2 * running]) / float(z[all_rows])
        else:
            out[j] = math.log(total) + shift - math.log(float(z[all_rows]))


@compiled
def _softmax_of_all_rows(r, a, b, j, old, channels, value):
    """Of a channel whose largest value is far from the reference's: that value, the sum of the exponentials of the
    values less it, and of these times the value."""
    shift = -np.inf
    for t in range(r.n_rows):
        v = value[(t - a) * channels + j] if a <= t < b else old[t * channels + j]
        shift = max(shift, float(v))
    total = mean = 0.0
    for t in range(r.n_rows):
        v = float(value[(t - a) * channels + j] if a <= t < b else old[t * channels + j])
        weight = math.exp(v - shift)
        total += weight
        mean += weight * v
    return shift, total, mean


@compiled
def fast_exp(x: np.float32) -> np.float32:
    """exp of a float32 below `LARGEST_EXPONENT`, to 2e-7 of it (0 far below), without a call, so that LLVM can do many.

    Cephes' polynomial, Moshier SL (1989), Methods and Programs for Mathematical Functions.
    """
    x = max(x, np.float32(-87))
    n = np.floor(x * np.float32(1.44269504088896341) + np.float32(0.5))
    x = x - n * np.float32(0.693359375) - n * np.float32(-2.12194440e-4)
    y = np.float32(1.9875691500e-4)
    y = y * x + np.float32(1.3981999507e-3)
    y = y * x + np.float32(8.3334519073e-3)
    y = y * x + np.float32(4.1665795894e-2)
    y = y * x + np.float32(1.6666665459e-1)
    y = y * x + np.float32(5.0000001201e-1)
    y = y * x * x + x + np.float32(1)
    return y * float_of_bits(np.int32((np.int32(n) + np.int32(127)) << np.int32(23)))
