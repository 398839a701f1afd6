"""Convolutions of differences: rows through the kernels that kernels.py emits, as many at once as registers hold."""

import numpy as np

from ..compiled import compiled_fast as compiled
from ..compiled import compiled_inline
from .instructions import AWAKE_CHANNELS, SLEEPY_CHANNELS, Inputs, Mutant, Scratch
from .kernels import LANE, LINEAR, MOST_LANES, ONTO, PLAIN, PLAIN_RELU, ROWS, VECTOR, conv_block, slide_block
from .rows import clear

CHUNK_BYTES = 1 << 18  # of weights that rows share before the next taps: what the second-level cache keeps
SLIDES, SLIDE_CHANNELS = (3, 5, 7), 2 * LANE
_slide3, _slide5, _slide7 = (slide_block(width) for width in SLIDES)
_BLOCKS = [conv_block(ROWS, LANE * min(lanes, MOST_LANES)) for lanes in range(1, 9)]
_block1, _block2, _block3, _block4, _block5, _block6, _block7, _block8 = _BLOCKS
_awake = conv_block(ROWS, AWAKE_CHANNELS, 4) if VECTOR == LANE else _block1


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

    A block is one row of each of a place's three mutants: the fewer rows, the more channels are zero in all of them.
    """
    r = inputs.program[q]
    if VECTOR == LANE and r.channels <= SLIDE_CHANNELS and r.stride == r.dilation == 1 and r.width in SLIDES:
        for p in range(n):
            for column in range(0, r.channels, LANE):
                _slide(q, p, size, column, inputs, scratch)
        return
    n_in, column, block = inputs.program[r.x].channels, 0, inputs.weights.ctypes.data + r.weight * 4
    while column < r.channels:
        width = _width(r.channels - column)
        step = CHUNK_BYTES // (4 * width * n_in)
        if step >= r.width:
            _all_taps(q, n, size, column, block, width, inputs, scratch)
        else:
            for k in range(0, r.width, max(1, step)):
                _some_taps(q, n, k, min(k + max(1, step), r.width), size, column, block, width, inputs, scratch)
        column += width
        block += width * r.width * n_in * 4


@compiled
def _all_taps(q, n, size, column, block, width, inputs, scratch):
    """All rows of the places' mutants, for one block of columns."""
    program, z = inputs.program, inputs.z
    buffers, firsts, lasts, taps, addresses = (scratch.buffers, scratch.firsts, scratch.lasts, scratch.taps,
                                               scratch.addresses)
    r = program[q]
    source, channels = program[r.x], r.channels
    groups = source.channels // LANE
    for p in range(n):
        for t in range(firsts[p, q], lasts[p, q]):
            n_taps = _taps(r, source, t, 0, r.width, firsts[p, r.x], lasts[p, r.x], block, width, taps)
            mode, residual = r.mode, 0
            if r.x2 >= 0 and t >= firsts[p, r.x2] and t < lasts[p, r.x2]:
                residual = program[r.x2].slot
            else:
                mode = PLAIN if mode == LINEAR else PLAIN_RELU
            for m in range(ROWS):
                at = buffers.ctypes.data + (ROWS * p + m) * size * 4
                addresses[m].x = at + (source.slot + t * r.stride * source.channels) * 4
                addresses[m].z = z.ctypes.data + (r.z + t * channels) * 4
                addresses[m].residual = at + (residual + t * channels) * 4
                addresses[m].y = at + (r.slot + t * channels) * 4
            _run(width, taps.ctypes.data, n_taps, groups, addresses.ctypes.data, column * 4, mode)


@compiled
def _slide(q, p, size, column, inputs, scratch):
    """All rows of a place's three mutants, for one vector of columns; rows without a residual need no residual sum."""
    program, buffers, addresses = inputs.program, scratch.buffers, scratch.addresses
    r = program[q]
    source, x = program[r.x], r.x
    first, last, xa, xb = scratch.firsts[p, q], scratch.lasts[p, q], scratch.firsts[p, x], scratch.lasts[p, x]
    t, stop, y_row = xa + r.before - r.width + 1, first, r.channels * 4
    weights = inputs.weights.ctypes.data + (r.weight + column) * 4
    while stop < last:
        start, mode, residual = stop, r.mode, 0
        stop = last
        if r.x2 >= 0:
            a, b = scratch.firsts[p, r.x2], scratch.lasts[p, r.x2]
            stop = min(last, a if start < a else b if start < b else last)
            if a <= start < b:
                residual = program[r.x2].slot
        if residual == 0:
            mode = PLAIN if mode == LINEAR else PLAIN_RELU
        for m in range(ROWS):
            at = buffers.ctypes.data + (ROWS * p + m) * size * 4
            addresses[m].x = at + (source.slot + xa * source.channels) * 4
            addresses[m].z = inputs.z.ctypes.data + (r.z + t * r.channels + column) * 4
            addresses[m].residual = at + (residual + t * r.channels + column) * 4
            addresses[m].y = at + (r.slot + t * r.channels + column) * 4
        _slide_any(r.width, addresses.ctypes.data, weights, source.channels * r.channels * 4, y_row,
                   source.channels // LANE, xb - xa, source.channels * 4, y_row, start - t, stop - t, mode)


@compiled
def _slide_any(width, table, weights, tap, channel, groups, n_rows, x_row, y_row, begin, end, mode):
    if width == 3:
        _slide3(table, weights, tap, channel, groups, n_rows, x_row, y_row, begin, end, mode)
    elif width == 5:
        _slide5(table, weights, tap, channel, groups, n_rows, x_row, y_row, begin, end, mode)
    else:
        _slide7(table, weights, tap, channel, groups, n_rows, x_row, y_row, begin, end, mode)


@compiled
def _some_taps(q, n, k, end, size, column, block, width, inputs, scratch):
    """Taps k to end of all rows of the places' mutants, for one block of columns."""
    for p in range(n):
        for t in range(scratch.firsts[p, q], scratch.lasts[p, q]):
            _add_taps_to_row(q, p, t, k, end, size, column, block, width, inputs, scratch)


@compiled
def _add_taps_to_row(q, p, t, k, end, size, column, block, width, inputs, scratch):
    """Taps k to end of one row: onto what earlier taps gave, and with activation and residual if they are the last."""
    program, z, buffers, addresses = inputs.program, inputs.z, scratch.buffers, scratch.addresses
    r = program[q]
    source = program[r.x]
    xa, xb = scratch.firsts[p, r.x], scratch.lasts[p, r.x]
    n_taps = _taps(r, source, t, k, end, xa, xb, block, width, scratch.taps)
    mode, residual, onto = r.mode, 0, 0
    if r.x2 >= 0 and t >= scratch.firsts[p, r.x2] and t < scratch.lasts[p, r.x2]:
        residual = program[r.x2].slot
    else:
        mode = PLAIN if mode == LINEAR else PLAIN_RELU
    if n_taps == 0 and (k > 0 or _reaches(r, t, xa, xb)):
        return
    u = t * r.stride - r.before
    if n_taps > 0 and end < r.width and u + end * r.dilation < xb:
        mode = PLAIN
    if n_taps > 0 and k > 0 and u + (k - 1) * r.dilation >= xa:
        onto = ONTO
    for m in range(ROWS):
        at = buffers.ctypes.data + (ROWS * p + m) * size * 4
        addresses[m].x = at + (source.slot + t * r.stride * source.channels) * 4
        addresses[m].z = z.ctypes.data + (r.z + t * r.channels) * 4
        addresses[m].residual = at + (residual + t * r.channels) * 4
        addresses[m].y = at + (r.slot + t * r.channels) * 4
    _run(width, scratch.taps.ctypes.data, n_taps, source.channels // LANE, addresses.ctypes.data, column * 4,
         mode + onto)


@compiled
def _reaches(r, t, xa, xb):
    """Whether some tap of output row t reaches changed rows [xa, xb)."""
    for k in range(r.width):
        u = t * r.stride + k * r.dilation - r.before
        if u >= xa and u < xb:
            return True
    return False


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
    for t in range(first[q], last[q]):
        total = np.float32(0)
        for k in range(r.width):
            u = t * r.stride + k * r.dilation - r.before
            if u >= first[x] and u < last[x]:
                total += norms[u]
        is_asleep = total <= z[r.bound + t]
        width = AWAKE_CHANNELS if is_asleep else SLEEPY_CHANNELS
        at_z = r.awake if is_asleep else r.z
        block = z.ctypes.data + r.awake_weight * 4 if is_asleep else weights.ctypes.data + r.weight * 4
        mode, residual = PLAIN_RELU, 0
        if r.x2 >= 0 and t >= first[r.x2] and t < last[r.x2]:
            mode, residual = r.mode, program[r.x2].slot
        for m in range(ROWS):
            at = buffers.ctypes.data + (base + m * size) * 4
            addresses[m].x = at + (source.slot + t * r.stride * source.channels) * 4
            addresses[m].z = z.ctypes.data + (at_z + t * width) * 4
            addresses[m].residual = at + (residual + t * SLEEPY_CHANNELS) * 4
            addresses[m].y = at + (r.slot + t * SLEEPY_CHANNELS) * 4
        n_taps = _taps(r, source, t, 0, r.width, first[x], last[x], block, width, taps)
        if is_asleep:
            _awake(taps.ctypes.data, n_taps, groups, addresses.ctypes.data, z.ctypes.data + r.places * 4, mode)
        else:
            _run(width, taps.ctypes.data, n_taps, groups, addresses.ctypes.data, 0, mode)


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
def _taps(r, source, t, begin, end, xa, xb, block, width, taps):
    """Fill in those of the taps from begin to end of an output row that reach changed rows [xa, xb); how many."""
    n_taps, row = 0, source.channels * 4
    for k in range(begin, end):
        offset = k * r.dilation - r.before
        u = t * r.stride + offset
        if u >= xa and u < xb:
            taps[n_taps].offset, taps[n_taps].weights = offset * row, block + k * row * width
            n_taps += 1
    return n_taps


@compiled
def _width(channels):
    """Width of the next column block, as kernels.column_blocks has it."""
    lanes = channels // LANE
    blocks = (lanes + MOST_LANES - 1) // MOST_LANES
    return (lanes + blocks - 1) // blocks * LANE


@compiled
def _run(width, taps, n_taps, groups, addresses, column, mode):
    """The kernel for a block of rows."""
    lanes = width // LANE
    if lanes <= 4:
        if lanes == 4:
            _block4(taps, n_taps, groups, addresses, column, mode)
        elif lanes == 3:
            _block3(taps, n_taps, groups, addresses, column, mode)
        elif lanes == 2:
            _block2(taps, n_taps, groups, addresses, column, mode)
        else:
            _block1(taps, n_taps, groups, addresses, column, mode)
    elif lanes == 8:
        _block8(taps, n_taps, groups, addresses, column, mode)
    elif lanes == 7:
        _block7(taps, n_taps, groups, addresses, column, mode)
    elif lanes == 6:
        _block6(taps, n_taps, groups, addresses, column, mode)
    else:
        _block5(taps, n_taps, groups, addresses, column, mode)


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
    for u in range(xa, xb, ROWS):
        rows = min(ROWS, xb - u)
        for i in range(ROWS):
            row = min(i, rows - 1)
            addresses[i].x = buffer.ctypes.data + (base + source.slot + (u + row) * source.channels) * 4
            addresses[i].y = work.ctypes.data + row * padded * 4
        column, block = 0, weights.ctypes.data + r.weight * 4
        while column < padded:
            width = _width(padded - column)
            taps[0].offset, taps[0].weights = 0, block
            _run(width, taps.ctypes.data, 1, source.channels // LANE, addresses.ctypes.data, column * 4, PLAIN)
            column += width
            block += width * source.channels * 4
        for i in range(rows):
            y, part = buffer[base + r.slot + (u + i + reach) * real:][:n], work[i * padded:][:n]
            for j in range(n):
                y[j] += part[j]
