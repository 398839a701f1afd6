"""Convolutions of differences: rows through the kernels that kernels.py emits, as many at once as registers hold."""

import numpy as np

from ..compiled import compiled_fast as compiled
from ..compiled import compiled_inline
from .instructions import AWAKE_CHANNELS, SLEEPY_CHANNELS, STEP, Inputs, Mutant, Scratch
from .kernels import LANE, LINEAR, PLAIN, PLAIN_RELU, ROWS, VECTOR, WIDTHS, conv_block
from .rows import clear

_BLOCKS = {(rows, width): conv_block(rows, width) for width in (64, 32, 16) if width in WIDTHS for rows in ROWS}
_wide1, _wide2, _wide4, _wide6 = (_BLOCKS.get((rows, 64), _BLOCKS[rows, 16]) for rows in ROWS)
_half1, _half2, _half4, _half6 = (_BLOCKS.get((rows, 32), _BLOCKS[rows, 16]) for rows in ROWS)
_lane1, _lane2, _lane4, _lane6 = (_BLOCKS[rows, 16] for rows in ROWS)
_awake6 = conv_block(STEP, AWAKE_CHANNELS, 4) if VECTOR == LANE else _lane6
WIDEST, NEXT = WIDTHS[0], WIDTHS[1] if len(WIDTHS) > 1 else WIDTHS[0]


@compiled
def _wide(n, taps, n_taps, groups, addresses, column, mode):
    if n > 4:
        _wide6(taps, n_taps, groups, addresses, column, mode)
    elif n > 2:
        _wide4(taps, n_taps, groups, addresses, column, mode)
    elif n == 2:
        _wide2(taps, n_taps, groups, addresses, column, mode)
    else:
        _wide1(taps, n_taps, groups, addresses, column, mode)


@compiled
def _half(n, taps, n_taps, groups, addresses, column, mode):
    if n > 4:
        _half6(taps, n_taps, groups, addresses, column, mode)
    elif n > 2:
        _half4(taps, n_taps, groups, addresses, column, mode)
    elif n == 2:
        _half2(taps, n_taps, groups, addresses, column, mode)
    else:
        _half1(taps, n_taps, groups, addresses, column, mode)


@compiled
def _lane(n, taps, n_taps, groups, addresses, column, mode):
    if n > 4:
        _lane6(taps, n_taps, groups, addresses, column, mode)
    elif n > 2:
        _lane4(taps, n_taps, groups, addresses, column, mode)
    elif n == 2:
        _lane2(taps, n_taps, groups, addresses, column, mode)
    else:
        _lane1(taps, n_taps, groups, addresses, column, mode)


@compiled_inline
def lookup(r: np.record, a: int, b: int, mutant: Mutant, inputs: Inputs, buffer: np.ndarray) -> None:
    """The first convolution: a changed base moves each output by the difference of two columns of the kernel.

    For each letter the taps lie in the order of the rows that they move, the last tap first.
    """
    channels, width, weights, y0 = r.channels, r.width, inputs.weights, mutant.base + r.slot
    is_plain = r.stride == 1 and r.dilation == 1
    if not is_plain or mutant.stop - mutant.start > 1:
        clear(buffer, y0 + a * channels, (b - a) * channels)
    for u in range(mutant.start, mutant.stop):
        old, new, reach = inputs.bases[u], mutant.letters[u - mutant.start], u + r.before
        if new == old and mutant.stop - mutant.start > 1:
            continue
        to = r.weight + inputs.letters[new] * width * channels
        of = r.weight + inputs.letters[old] * width * channels
        if not is_plain:
            _add_taps(r, a, b, reach, to, of, weights, buffer[y0:])
            continue
        t, end = max(a, reach - width + 1), min(b, reach + 1)
        skip, n = (t - (reach - width + 1)) * channels, max(0, end - t) * channels
        y, after, before = buffer[y0 + t * channels:][:n], weights[to + skip:][:n], weights[of + skip:][:n]
        if mutant.stop - mutant.start == 1:
            for j in range(n):
                y[j] = after[j] - before[j]
        else:
            for j in range(n):
                y[j] += after[j] - before[j]


@compiled
def _add_taps(r, a, b, reach, to, of, weights, y):
    """What one changed base adds to rows [a, b) of a convolution with strides or dilation."""
    channels = r.channels
    for k in range(r.width):
        at = reach - k * r.dilation
        t, row = at // r.stride, (r.width - 1 - k) * channels
        if at % r.stride == 0 and t >= a and t < b:
            moved, after, before = y[t * channels:], weights[to + row:], weights[of + row:]
            for j in range(channels):
                moved[j] += after[j] - before[j]


@compiled
def conv(q: int, n: int, size: int, inputs: Inputs, scratch: Scratch) -> None:
    """Convolution of differences, all places of the group for one block of weights before the next block.

    A place's three mutants share blocks of rows: of fewer rows each, fewer taps hit nothing.
    """
    program, weights, z = inputs.program, inputs.weights, inputs.z
    buffers, firsts, lasts, taps, addresses = (scratch.buffers, scratch.firsts, scratch.lasts, scratch.taps,
                                               scratch.addresses)
    r = program[q]
    source = program[r.x]
    groups, channels = source.channels // LANE, r.channels
    column, block, step = 0, r.weight, STEP // 3
    while column < channels:
        left = channels - column
        width = WIDEST if left >= WIDEST else (NEXT if left >= NEXT else LANE)
        for p in range(n):
            for t in range(firsts[p, q], lasts[p, q], step):
                rows = min(step, lasts[p, q] - t)
                n_taps = _taps(r, source, t, rows, firsts[p, r.x], lasts[p, r.x], weights.ctypes.data + block * 4,
                               width, taps)
                mode, residual = r.mode, 0
                if r.x2 >= 0 and t + rows > firsts[p, r.x2] and t < lasts[p, r.x2]:
                    residual = program[r.x2].slot
                else:
                    mode = PLAIN if mode == LINEAR else PLAIN_RELU
                filled = 0
                for u in range(t, t + rows):
                    for m in range(3):
                        at = buffers.ctypes.data + (3 * p + m) * size * 4
                        addresses[filled].x = at + (source.slot + u * r.stride * source.channels) * 4
                        addresses[filled].z = z.ctypes.data + (r.z + u * channels) * 4
                        addresses[filled].residual = at + (residual + u * channels) * 4
                        addresses[filled].y = at + (r.slot + u * channels) * 4
                        filled += 1
                _run(width, filled, taps.ctypes.data, n_taps, groups, addresses, column * 4, mode)
        column += width
        block += width * r.width * source.channels


@compiled
def conv_awake(q: int, p: int, size: int, inputs: Inputs, scratch: Scratch) -> None:
    """Convolution of one place's three mutants that leaves out channels which no change can wake: see dormant.py."""
    program, weights, z = inputs.program, inputs.weights, inputs.z
    buffers, first, last, taps, addresses = (scratch.buffers, scratch.firsts[p], scratch.lasts[p], scratch.taps,
                                             scratch.addresses)
    r, base, norms = program[q], 3 * p * size, scratch.work
    source, x = program[r.x], r.x
    _square_norms(source, first[x], last[x], base, size, buffers, norms)
    groups = source.channels // LANE
    for a in range(first[q], last[q], STEP // 3):
        rows = min(STEP // 3, last[q] - a)
        is_asleep = 3 * rows == STEP
        for t in range(a, a + rows):
            total = np.float32(0)
            for k in range(r.width):
                u = t * r.stride + k * r.dilation - r.before
                if u >= first[x] and u < last[x]:
                    total += norms[u]
            is_asleep = is_asleep and total <= z[r.bound + t]
        width = AWAKE_CHANNELS if is_asleep else SLEEPY_CHANNELS
        at_z = r.awake if is_asleep else r.z
        block = z.ctypes.data + r.awake_weight * 4 if is_asleep else weights.ctypes.data + r.weight * 4
        mode, residual, filled = PLAIN_RELU, 0, 0
        if r.x2 >= 0 and a + rows > first[r.x2] and a < last[r.x2]:
            mode, residual = r.mode, program[r.x2].slot
        for t in range(a, a + rows):
            for m in range(3):
                at = buffers.ctypes.data + (base + m * size) * 4
                addresses[filled].x = at + (source.slot + t * r.stride * source.channels) * 4
                addresses[filled].z = z.ctypes.data + (at_z + t * width) * 4
                addresses[filled].residual = at + (residual + t * SLEEPY_CHANNELS) * 4
                addresses[filled].y = at + (r.slot + t * SLEEPY_CHANNELS) * 4
                filled += 1
        n_taps = _taps(r, source, a, rows, first[x], last[x], block, width, taps)
        if is_asleep:
            _awake6(taps.ctypes.data, n_taps, groups, addresses.ctypes.data, z.ctypes.data + r.places * 4, mode)
        else:
            _run(width, filled, taps.ctypes.data, n_taps, groups, addresses, 0, mode)


@compiled
def _square_norms(source, a, b, base, size, buffers, norms):
    """Largest square norm of each changed row among the three mutants."""
    channels = source.channels
    for u in range(a, b):
        norms[u] = 0
        for m in range(3):
            x = buffers[base + m * size + source.slot + u * channels:][:channels]
            total = np.float32(0)
            for j in range(channels):
                total += x[j] * x[j]
            norms[u] = max(norms[u], total)


@compiled
def _taps(r, source, t, rows, xa, xb, block, width, taps):
    """Fill in the taps of a block of output rows that reach changed rows [xa, xb); how many."""
    n_taps, row = 0, source.channels * 4
    for k in range(r.width):
        offset = k * r.dilation - r.before
        u = t * r.stride + offset
        if u < xb and u + (rows - 1) * r.stride >= xa:
            taps[n_taps].offset, taps[n_taps].weights = offset * row, block + k * row * width
            n_taps += 1
    return n_taps


@compiled
def _run(width, rows, taps, n_taps, groups, addresses, column, mode):
    """The kernel for a block; there is none of 3 or 5 rows, then the last row is computed twice."""
    if rows == 3 or rows == 5:
        addresses[rows] = addresses[rows - 1]
    if width == WIDEST:
        _wide(rows, taps, n_taps, groups, addresses.ctypes.data, column, mode)
    elif width == NEXT:
        _half(rows, taps, n_taps, groups, addresses.ctypes.data, column, mode)
    else:
        _lane(rows, taps, n_taps, groups, addresses.ctypes.data, column, mode)


@compiled
def narrow(r: np.record, mutant: Mutant, inputs: Inputs, scratch: Scratch) -> None:
    """A convolution to few channels: see program._narrow."""
    weights, buffer, base = inputs.weights, scratch.buffers, mutant.base
    taps, addresses, work = scratch.taps, scratch.addresses, scratch.work
    xa, xb = mutant.first[r.x], mutant.last[r.x]
    source, real = inputs.program[r.x], r.real
    n = r.width * real
    padded = (n + LANE - 1) // LANE * LANE
    reach = r.before - r.width + 1  # from an input row to the first output row that it adds to
    if xa < xb:
        clear(buffer, base + r.slot + (xa + reach) * real, (xb - xa - reach + r.before) * real)
    for u in range(xa, xb, STEP):
        rows = min(STEP, xb - u)
        for i in range(rows):
            addresses[i].x = buffer.ctypes.data + (base + source.slot + (u + i) * source.channels) * 4
            addresses[i].y = work.ctypes.data + i * padded * 4
        column, block = 0, weights.ctypes.data + r.weight * 4
        while column < padded:
            left = padded - column
            width = WIDEST if left >= WIDEST else (NEXT if left >= NEXT else LANE)
            taps[0].offset, taps[0].weights = 0, block
            _run(width, rows, taps.ctypes.data, 1, source.channels // LANE, addresses, column * 4, PLAIN)
            column += width
            block += width * source.channels * 4
        for i in range(rows):
            y, part = buffer[base + r.slot + (u + i + reach) * real:][:n], work[i * padded:][:n]
            for j in range(n):
                y[j] += part[j]
