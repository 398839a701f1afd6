"""Differences of mutants from the reference, carried through the rows of a graph: the compiled interpreter.

A program (see program.py) is a table, one row of integers an operation; the columns are named below. An operation's
result is the difference that one mutation makes to a node's value, and lives in a slot of a buffer: only a window of
its rows [first, last) changes at all. Rows just outside the window are kept at zero, since blocks of rows overrun it.
"""

import math

import numpy as np

from ..compiled import compiled_fast as compiled
from .kernels import LANE, LINEAR, PLAIN, PLAIN_RELU, ROWS, VECTOR, WIDTHS, conv_block, float_of_bits

OPERATIONS = ("base", "lookup", "conv", "narrow", "act", "scale", "scale_rows", "add", "multiply", "concatenate",
              "max_pool", "average_pool", "crop", "repeat", "spread", "softmax",
              "sum", "max", "softmax_mean", "log_sum_exp", "rows")
(BASE, LOOKUP, CONV, NARROW, ACT, SCALE, SCALE_ROWS, ADD, MULTIPLY, CONCATENATE, MAX_POOL, AVERAGE_POOL, CROP,
 REPEAT, SPREAD, SOFTMAX, SUM, MAX, SOFTMAX_MEAN, LOG_SUM_EXP, ROWS_OUT) = range(len(OPERATIONS))
FIRST_SINK = SUM

# columns of the program: inputs are rows of the program, `slot` is where the result's row 0 lies in the buffer;
# `low` and `high` bound the rows that are needed; `z` and `z2` are offsets of reference values; `channels` is padded,
# `real` is not; `column` is a sink's first column of the results; `awake` and what follows: see dormant.py
COLUMNS = ("op", "x", "x2", "slot", "channels", "real", "rows", "low", "high", "width", "stride", "dilation", "before",
           "weight", "z", "z2", "activation", "alpha", "mode", "margin", "column", "first_channel",
           "awake", "awake_weight", "bound", "places")
(OP, X, X2, SLOT, CHANNELS, REAL, N_ROWS, LOW, HIGH, WIDTH, STRIDE, DILATION, BEFORE,
 WEIGHT, Z, Z2, ACTIVATION, ALPHA, MODE, MARGIN, COLUMN, FIRST_CHANNEL,
 AWAKE, AWAKE_WEIGHT, BOUND, PLACES) = range(len(COLUMNS))
STEP = ROWS[-1]
AWAKE_CHANNELS, SLEEPY_CHANNELS = 32, 64  # of a convolution that may be shortened: see dormant.py
LARGEST_EXPONENT = np.float32(80)

_BLOCKS = {(rows, width): conv_block(rows, width) for width in (64, 32, 16) if width in WIDTHS for rows in ROWS}
_wide1, _wide2, _wide4, _wide6 = (_BLOCKS.get((rows, 64), _BLOCKS[rows, 16]) for rows in ROWS)
_half1, _half2, _half4, _half6 = (_BLOCKS.get((rows, 32), _BLOCKS[rows, 16]) for rows in ROWS)
_lane1, _lane2, _lane4, _lane6 = (_BLOCKS[rows, 16] for rows in ROWS)
_awake6 = conv_block(STEP, AWAKE_CHANNELS, 4) if VECTOR == LANE else _lane6
WIDEST, NEXT = WIDTHS[0], WIDTHS[1] if len(WIDTHS) > 1 else WIDTHS[0]


@compiled
def _wide(n, taps, n_taps, groups, table, column, mode):
    if n > 4:
        _wide6(taps, n_taps, groups, table, column, mode)
    elif n > 2:
        _wide4(taps, n_taps, groups, table, column, mode)
    elif n == 2:
        _wide2(taps, n_taps, groups, table, column, mode)
    else:
        _wide1(taps, n_taps, groups, table, column, mode)


@compiled
def _half(n, taps, n_taps, groups, table, column, mode):
    if n > 4:
        _half6(taps, n_taps, groups, table, column, mode)
    elif n > 2:
        _half4(taps, n_taps, groups, table, column, mode)
    elif n == 2:
        _half2(taps, n_taps, groups, table, column, mode)
    else:
        _half1(taps, n_taps, groups, table, column, mode)


@compiled
def _lane(n, taps, n_taps, groups, table, column, mode):
    if n > 4:
        _lane6(taps, n_taps, groups, table, column, mode)
    elif n > 2:
        _lane4(taps, n_taps, groups, table, column, mode)
    elif n == 2:
        _lane2(taps, n_taps, groups, table, column, mode)
    else:
        _lane1(taps, n_taps, groups, table, column, mode)


@compiled
def windows(program, position, first, last):
    """Changed rows [first, last) of every operation's result, for a mutation at a position."""
    for q in range(len(program)):
        r = program[q]
        op = r[OP]
        if op == BASE:
            a, b = position, position + 1
        elif op == LOOKUP:
            a, b = position, position + 1
        else:
            a, b = first[r[X]], last[r[X]]
        if op == LOOKUP or op == CONV or op == NARROW or op == MAX_POOL or op == AVERAGE_POOL:
            if a < b:
                a = -((-(a + r[BEFORE] - (r[WIDTH] - 1) * r[DILATION])) // r[STRIDE])
                b = (b - 1 + r[BEFORE]) // r[STRIDE] + 1
        elif op == CROP:
            a, b = a - r[BEFORE], b - r[BEFORE]
        elif op == REPEAT:
            a, b = a * r[STRIDE], b * r[STRIDE]
        elif op == SPREAD:
            a, b = a * r[STRIDE], (b - 1) * r[STRIDE] + 1
        if r[X2] >= 0:
            a2, b2 = first[r[X2]], last[r[X2]]
            if a2 < b2:
                a, b = (min(a, a2), max(b, b2)) if a < b else (a2, b2)
        a, b = max(a, r[LOW]), min(b, r[HIGH])
        if a >= b:
            a, b = 0, 0
        first[q], last[q] = a, b


@compiled
def hulls(program, start, stop, first, last):
    """Rows [first, last) of every operation's result that a mutation at some position from start to stop changes."""
    a, b = np.empty_like(first), np.empty_like(last)
    first[:], last[:] = 0, 0
    for position in range(start, stop):
        windows(program, position, a, b)
        for q in range(len(program)):
            if a[q] < b[q]:
                first[q] = min(first[q], a[q]) if first[q] < last[q] else a[q]
                last[q] = max(last[q], b[q])


@compiled
def propagate(start, stop, bases, program, weights, z, buffers, firsts, lasts, taps, table, work, base_rows, sums,
              rows):
    """Differences of all mutants of the positions from start to stop in all sinks.

    Parameters
    ----------
    start, stop : int
    bases : (L,) uint8
        Numbers of the letters, 0 to 3 by the letters' alphabetical order.
    program : (operation, column) int64
    weights, z : float32
        Weights, and the reference's values.
    buffers : (group * 3 * buffer,) float32
        Room for the mutants that go through an operation together: the three of each of so many positions.
    firsts, lasts : (group, operation) int64
    taps : (2 * the widest kernel,) int64
    table : (STEP, 4) int64
    work : (program's n_work,) float32
    base_rows : (4,) int64
        Channel of each letter.
    sums : (3 * (stop - start), column) float64
        Filled, in the order of mutagenesis.saturation_mutants: differences of summaries.
    rows : (3 * (stop - start), column) float32
        Filled: differences of flattened rows, of which each sink says in the program where they begin.
    """
    size = len(buffers) // (3 * len(firsts))
    for begin in range(start, stop, len(firsts)):
        n = min(len(firsts), stop - begin)
        for p in range(n):
            windows(program, begin + p, firsts[p], lasts[p])
        for q in range(len(program)):
            r = program[q]
            if r[OP] == CONV and r[AWAKE] > 0:
                for p in range(n):
                    _conv_awake(q, r, 3 * p * size, size, program, weights, z, buffers, firsts[p], lasts[p], taps,
                                table, work)
            elif r[OP] == CONV:
                _conv(q, r, n, size, program, weights, z, buffers, firsts, lasts, taps, table)
            for p in range(n):
                first, last = firsts[p], lasts[p]
                old = bases[begin + p]
                for m in range(3):
                    i, base = 3 * (begin + p - start) + m, (3 * p + m) * size
                    if r[OP] >= FIRST_SINK:
                        _sink(r, first[q], last[q], base, i, program, z, buffers, work, sums, rows)
                    elif first[q] < last[q]:
                        new = m + 1 if m >= old else m
                        _step(q, r, base, begin + p, base_rows[old], base_rows[new], program, weights, z, buffers,
                              first, last, table, taps, work)


@compiled
def _step(q, r, base, position, old, new, program, weights, z, buffer, first, last, table, taps, work):
    """One operation for one mutant, or what is left of it after `_conv`; base is where the mutant's buffer begins."""
    op, a, b = r[OP], first[q], last[q]
    y = base + r[SLOT]
    if op == BASE:
        _base(r, y + a * r[CHANNELS], buffer, old, new)
    elif op == LOOKUP:
        _lookup(r, a, b, y, position, old, new, weights, buffer)
    elif op == NARROW:
        _narrow(r, first[r[X]], last[r[X]], base, program, weights, buffer, table, taps, work)
    elif op != CONV:
        _plain(r, a, b, base, program, weights, z, buffer, first, last)
    if r[ACTIVATION] >= 0:
        _activation(r, y + a * r[CHANNELS], r[Z] + a * r[CHANNELS], (b - a) * r[CHANNELS], weights, z, buffer)
    margin = r[MARGIN] * r[CHANNELS]
    _clear(buffer, y + a * r[CHANNELS] - margin, margin)
    _clear(buffer, y + b * r[CHANNELS], margin)


@compiled
def _clear(buffer, start, n):
    for i in range(start, start + n):
        buffer[np.uint64(i)] = 0


@compiled
def _base(r, y, buffer, old, new):
    _clear(buffer, y, r[CHANNELS])
    buffer[y + old] = -1
    buffer[y + new] = 1


@compiled
def _lookup(r, a, b, y0, position, old, new, weights, buffer):
    """The first convolution: the mutation moves each output by the difference of two columns of the kernel.

    For each letter the taps lie in the order of the rows that they move, the last tap first.
    """
    channels, width, reach = r[CHANNELS], r[WIDTH], position + r[BEFORE]
    to = r[WEIGHT] + new * width * channels
    of = r[WEIGHT] + old * width * channels
    if r[STRIDE] == 1 and r[DILATION] == 1:
        skip, n = (a - (reach - width + 1)) * channels, (b - a) * channels
        y, after, before = buffer[y0 + a * channels:][:n], weights[to + skip:][:n], weights[of + skip:][:n]
        for j in range(n):
            y[j] = after[j] - before[j]
        return
    _clear(buffer, y0 + a * channels, (b - a) * channels)
    for k in range(width):
        at = reach - k * r[DILATION]
        t, row = at // r[STRIDE], (width - 1 - k) * channels
        if at % r[STRIDE] == 0 and t >= a and t < b:
            y, after, before = buffer[y0 + t * channels:], weights[to + row:], weights[of + row:]
            for j in range(channels):
                y[j] = after[j] - before[j]


@compiled
def _conv(q, r, n, size, program, weights, z, buffers, firsts, lasts, taps, table):
    """Convolution of differences, all positions of the group for one block of weights before the next block.

    A position's three mutants share blocks of rows: of fewer rows each, fewer taps hit nothing.
    """
    source = program[r[X]]
    groups, channels = source[CHANNELS] // LANE, r[CHANNELS]
    column, block, step = 0, r[WEIGHT], STEP // 3
    while column < channels:
        left = channels - column
        width = WIDEST if left >= WIDEST else (NEXT if left >= NEXT else LANE)
        for p in range(n):
            for t in range(firsts[p, q], lasts[p, q], step):
                rows = min(step, lasts[p, q] - t)
                n_taps = _taps(r, source, t, rows, firsts[p, r[X]], lasts[p, r[X]], weights.ctypes.data + block * 4,
                               width, taps)
                mode, residual = r[MODE], 0
                if r[X2] >= 0 and t + rows > firsts[p, r[X2]] and t < lasts[p, r[X2]]:
                    residual = program[r[X2], SLOT]
                else:
                    mode = PLAIN if mode == LINEAR else PLAIN_RELU
                filled = 0
                for u in range(t, t + rows):
                    for m in range(3):
                        at = buffers.ctypes.data + (3 * p + m) * size * 4
                        table[filled, 0] = at + (source[SLOT] + u * r[STRIDE] * source[CHANNELS]) * 4
                        table[filled, 1] = z.ctypes.data + (r[Z] + u * channels) * 4
                        table[filled, 2] = at + (residual + u * channels) * 4
                        table[filled, 3] = at + (r[SLOT] + u * channels) * 4
                        filled += 1
                _run(width, filled, taps.ctypes.data, n_taps, groups, table, column * 4, mode)
        column += width
        block += width * r[WIDTH] * source[CHANNELS]


@compiled
def _conv_awake(q, r, base, size, program, weights, z, buffers, first, last, taps, table, work):
    """Convolution of one position's three mutants that leaves out channels which no change can wake: see dormant.py."""
    source, x, norms = program[r[X]], r[X], work
    _square_norms(source, first[x], last[x], base, size, buffers, norms)
    groups = source[CHANNELS] // LANE
    for a in range(first[q], last[q], STEP // 3):
        rows = min(STEP // 3, last[q] - a)
        is_asleep = 3 * rows == STEP
        for t in range(a, a + rows):
            total = np.float32(0)
            for k in range(r[WIDTH]):
                u = t * r[STRIDE] + k * r[DILATION] - r[BEFORE]
                if u >= first[x] and u < last[x]:
                    total += norms[u]
            is_asleep = is_asleep and total <= z[r[BOUND] + t]
        width = AWAKE_CHANNELS if is_asleep else SLEEPY_CHANNELS
        at_z = r[AWAKE] if is_asleep else r[Z]
        block = z.ctypes.data + r[AWAKE_WEIGHT] * 4 if is_asleep else weights.ctypes.data + r[WEIGHT] * 4
        mode, residual, filled = PLAIN_RELU, 0, 0
        if r[X2] >= 0 and a + rows > first[r[X2]] and a < last[r[X2]]:
            mode, residual = r[MODE], program[r[X2], SLOT]
        for t in range(a, a + rows):
            for m in range(3):
                at = buffers.ctypes.data + (base + m * size) * 4
                table[filled, 0] = at + (source[SLOT] + t * r[STRIDE] * source[CHANNELS]) * 4
                table[filled, 1] = z.ctypes.data + (at_z + t * width) * 4
                table[filled, 2] = at + (residual + t * SLEEPY_CHANNELS) * 4
                table[filled, 3] = at + (r[SLOT] + t * SLEEPY_CHANNELS) * 4
                filled += 1
        n_taps = _taps(r, source, a, rows, first[x], last[x], block, width, taps)
        if is_asleep:
            _awake6(taps.ctypes.data, n_taps, groups, table.ctypes.data, z.ctypes.data + r[PLACES] * 4, mode)
        else:
            _run(width, filled, taps.ctypes.data, n_taps, groups, table, 0, mode)


@compiled
def _square_norms(source, a, b, base, size, buffers, norms):
    """Largest square norm of each changed row among the three mutants."""
    channels = source[CHANNELS]
    for u in range(a, b):
        norms[u] = 0
        for m in range(3):
            x = buffers[base + m * size + source[SLOT] + u * channels:][:channels]
            total = np.float32(0)
            for j in range(channels):
                total += x[j] * x[j]
            norms[u] = max(norms[u], total)


@compiled
def _taps(r, source, t, rows, xa, xb, block, width, taps):
    """Fill in the taps of a block of output rows that reach changed rows [xa, xb); how many."""
    n_taps, row = 0, source[CHANNELS] * 4
    for k in range(r[WIDTH]):
        offset = k * r[DILATION] - r[BEFORE]
        u = t * r[STRIDE] + offset
        if u < xb and u + (rows - 1) * r[STRIDE] >= xa:
            taps[2 * n_taps], taps[2 * n_taps + 1] = offset * row, block + k * row * width
            n_taps += 1
    return n_taps


@compiled
def _run(width, rows, taps, n_taps, groups, table, column, mode):
    """The kernel for a block; there is none of 3 or 5 rows, then the last row is computed twice."""
    if rows == 3 or rows == 5:
        table[rows] = table[rows - 1]
    if width == WIDEST:
        _wide(rows, taps, n_taps, groups, table.ctypes.data, column, mode)
    elif width == NEXT:
        _half(rows, taps, n_taps, groups, table.ctypes.data, column, mode)
    else:
        _lane(rows, taps, n_taps, groups, table.ctypes.data, column, mode)


@compiled
def _narrow(r, xa, xb, base, program, weights, buffer, table, taps, work):
    """A convolution to few channels: see program._narrow."""
    source, real = program[r[X]], r[REAL]
    n = r[WIDTH] * real
    padded = (n + LANE - 1) // LANE * LANE
    reach = r[BEFORE] - r[WIDTH] + 1  # from an input row to the first output row that it adds to
    if xa < xb:
        _clear(buffer, base + r[SLOT] + (xa + reach) * real, (xb - xa - reach + r[BEFORE]) * real)
    for u in range(xa, xb, STEP):
        rows = min(STEP, xb - u)
        for i in range(rows):
            table[i, 0] = buffer.ctypes.data + (base + source[SLOT] + (u + i) * source[CHANNELS]) * 4
            table[i, 3] = work.ctypes.data + i * padded * 4
        column, block = 0, weights.ctypes.data + r[WEIGHT] * 4
        while column < padded:
            left = padded - column
            width = WIDEST if left >= WIDEST else (NEXT if left >= NEXT else LANE)
            taps[0], taps[1] = 0, block
            _run(width, rows, taps.ctypes.data, 1, source[CHANNELS] // LANE, table, column * 4, PLAIN)
            column += width
            block += width * source[CHANNELS] * 4
        for i in range(rows):
            y, part = buffer[base + r[SLOT] + (u + i + reach) * real:][:n], work[i * padded:][:n]
            for j in range(n):
                y[j] += part[j]


@compiled
def _plain(r, a, b, base, program, weights, z, buffer, first, last):
    """The operations that take whole rows."""
    op, channels, source = r[OP], r[CHANNELS], program[r[X]]
    xa, xb = first[r[X]], last[r[X]]
    for t in range(a, b):
        y = buffer[base + r[SLOT] + t * channels:][:channels]
        if op == CROP or op == REPEAT or op == SPREAD:
            u = t + r[BEFORE] if op == CROP else t // r[STRIDE]
            if u >= xa and u < xb and (op != SPREAD or u * r[STRIDE] == t):
                _copy(y, buffer[base + source[SLOT] + u * channels:][:channels])
            else:
                y[:] = 0
        elif op == CONCATENATE:
            other = program[r[X2]]
            y[source[REAL]:] = 0
            _copy_row(y[:source[REAL]], source, t, xa, xb, base, buffer)
            _copy_row(y[source[REAL]:r[REAL]], other, t, first[r[X2]], last[r[X2]], base, buffer)
        elif op == MAX_POOL or op == AVERAGE_POOL:
            _pool_row(r, t, y, source, xa, xb, base, z, buffer)
        elif op == ADD:
            _copy_row(y, source, t, xa, xb, base, buffer)
            if t >= first[r[X2]] and t < last[r[X2]]:
                x = buffer[base + program[r[X2], SLOT] + t * channels:][:channels]
                for j in range(channels):
                    y[j] += x[j]
        elif op == MULTIPLY:
            _multiply_row(r, t, y, program, first, last, base, z, buffer)
        else:
            x = buffer[base + source[SLOT] + t * channels:][:channels]
            if op == SOFTMAX:
                _softmax_row(x[:r[REAL]], z[r[Z] + t * channels:][:r[REAL]], z[r[Z2] + t * channels:][:r[REAL]], y)
            elif op == ACT:
                _copy(y, x)
            else:
                scale = weights[r[WEIGHT] + (t * channels if op == SCALE_ROWS else 0):][:channels]
                for j in range(channels):
                    y[j] = scale[j] * x[j]


@compiled
def _copy(y, x):
    for j in range(len(y)):
        y[j] = x[j]


@compiled
def _copy_row(y, source, t, xa, xb, base, buffer):
    if t >= xa and t < xb:
        _copy(y, buffer[base + source[SLOT] + t * source[CHANNELS]:][:len(y)])
    else:
        y[:] = 0


@compiled
def _multiply_row(r, t, y, program, first, last, base, z, buffer):
    """(u + du) (v + dv) - u v."""
    channels = r[CHANNELS]
    has_u = t >= first[r[X]] and t < last[r[X]]
    has_v = t >= first[r[X2]] and t < last[r[X2]]
    u, v = z[r[Z] + t * channels:][:channels], z[r[Z2] + t * channels:][:channels]
    du = buffer[base + program[r[X], SLOT] + t * channels:][:channels]
    dv = buffer[base + program[r[X2], SLOT] + t * channels:][:channels]
    for j in range(channels):
        e = du[j] if has_u else np.float32(0)
        f = dv[j] if has_v else np.float32(0)
        y[j] = e * v[j] + u[j] * f + e * f


@compiled
def _pool_row(r, t, y, source, xa, xb, base, z, buffer):
    """One row of a pooling: of max, the new maximum less the old; of average, the share of the changed rows."""
    channels = r[CHANNELS]
    begin = t * r[STRIDE] - r[BEFORE]
    u0, u1 = max(begin, 0), min(begin + r[WIDTH], source[N_ROWS])
    if r[OP] == MAX_POOL:
        y[:] = -np.inf
    else:
        y[:] = 0
    for u in range(u0, u1):
        inside = u >= xa and u < xb
        d = buffer[base + source[SLOT] + u * channels:][:channels]
        if r[OP] == MAX_POOL:
            x = z[r[Z] + u * channels:][:channels]
            if inside:
                for j in range(channels):
                    y[j] = max(y[j], x[j] + d[j])
            else:
                for j in range(channels):
                    y[j] = max(y[j], x[j])
        elif inside:
            for j in range(channels):
                y[j] += d[j]
    if r[OP] == MAX_POOL:
        old = z[r[Z2] + t * channels:][:channels]
        for j in range(channels):
            y[j] -= old[j]
    else:
        share = np.float32(1) / np.float32(r[WIDTH] if r[MODE] else u1 - u0)
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


@compiled
def _activation(r, at, z_at, n, weights, z, buffer):
    y, x = buffer[at:][:n], z[z_at:][:n]
    kind = r[ACTIVATION]
    if kind == 1:
        for j in range(n):
            y[j] = max(y[j], -x[j]) + min(x[j], np.float32(0))
        return
    alpha, beta = weights[r[ALPHA]], weights[r[ALPHA] + 1]
    for j in range(n):
        if y[j] != 0:
            y[j] = np.float32(activate(kind, x[j] + y[j], alpha, beta) - activate(kind, x[j], alpha, beta))


@compiled
def activate(kind, x, alpha, beta):
    """An activation by its number in graph.ACTIVATIONS."""
    if kind == 1:
        return max(x, np.float32(0))
    if kind == 2:
        return x if x > 0 else alpha * x
    if kind == 3:
        return x if x > 0 else alpha * np.float32(math.expm1(x))
    if kind == 4:
        return np.float32(1.0507009873554805) * (x if x > 0 else np.float32(1.6732632423543772 * math.expm1(x)))
    if kind == 5:
        return np.float32(0.5 * x * (1 + math.erf(x * 0.7071067811865476)))
    if kind == 6:
        return np.float32(0.5 * x * (1 + math.tanh(0.7978845608028654 * (x + 0.044715 * x * x * x))))
    if kind == 7:
        return np.float32(math.exp(x))
    if kind == 8:
        return np.float32(math.log1p(math.exp(-abs(x))) + max(x, 0))
    if kind == 9:
        return x / (1 + abs(x))
    if kind == 10:
        return np.float32(1 / (1 + math.exp(-x)))
    if kind == 11:
        return min(max(alpha * x + beta, np.float32(0)), np.float32(1))
    if kind == 12:
        return np.float32(math.tanh(x))
    if kind == 13:
        return np.float32(x / (1 + math.exp(-x)))
    if kind == 14:
        return np.float32(x * math.tanh(math.log1p(math.exp(-abs(x))) + max(x, 0)))
    if kind == 15:
        return min(max(x, alpha), beta)
    if kind == 16:
        return abs(x)
    if kind == 17:
        return x * x
    if kind == 18:
        return np.float32(math.log(x))
    if kind == 19:
        return np.float32(math.sqrt(x))
    if kind == 20:
        return x if x > alpha else beta
    return x


@compiled
def _sink(r, a, b, base, i, program, z, buffer, work, sums, all_rows):
    """What leaves the rows: differences of a summary, or the changed rows themselves."""
    source, op, real = program[r[X]], r[OP], r[REAL]
    channels, x = source[CHANNELS], base + source[SLOT] + r[FIRST_CHANNEL]
    if op == ROWS_OUT:
        rows = all_rows[i]
        rows[r[COLUMN]:r[COLUMN] + r[MARGIN]] = 0
        for t in range(a, b):
            _copy(rows[r[COLUMN] + (t - r[BEFORE]) * real:][:real], buffer[x + t * channels:][:real])
        return
    out = sums[i, r[COLUMN]:r[COLUMN] + real]
    if op == SUM:
        out[:] = 0
        d = buffer[x + a * channels:]
        for t in range(b - a):
            for j in range(real):
                out[j] += d[np.uint64(t * channels + j)]
    elif op == MAX:
        _max_sink(r, a, b, x, channels, z, buffer, out)
    else:
        _softmax_sink(r, a, b, x, channels, z, buffer, work, out)


@compiled
def _max_sink(r, a, b, x, channels, z, buffer, out):
    """z2 holds maxima of the rows before each row, then (n_rows + 1 rows on) of each row and those after it."""
    real = r[REAL]
    before, after = z[r[Z2] + a * real:][:real], z[r[Z2] + (r[N_ROWS] + 1 + b) * real:][:real]
    old = z[r[Z2] + (r[N_ROWS] + 1) * real:][:real]
    for j in range(real):
        out[j] = max(before[j], after[j])
    for t in range(a, b):
        d, v = buffer[x + t * channels:][:real], z[r[Z] + t * channels:][:real]
        for j in range(real):
            out[j] = max(out[j], v[j] + d[j])
    for j in range(real):
        out[j] -= old[j]


@compiled
def _softmax_sink(r, a, b, x, channels, z, buffer, work, out):
    """z holds values less their largest; z2 sums of e, their exp, and of e times value, before each row and from each
    row on: nothing is ever subtracted from a sum."""
    real, running, n = r[REAL], (r[N_ROWS] + 1) * r[REAL], (b - a) * channels
    value, e = work[:n], work[n:2 * n]
    old, d = z[r[Z] + a * channels:][:n], buffer[x + a * channels:][:n]
    highest = np.float32(0)
    for i in range(n):
        value[i] = old[i] + d[i]
        highest = max(highest, value[i])
    if highest < LARGEST_EXPONENT:
        for i in range(n):
            e[i] = fast_exp(value[i])
    for j in range(real):
        before, after = r[Z2] + a * real + j, r[Z2] + running + b * real + j
        total = float(z[before]) + float(z[after])
        mean = float(z[before + 2 * running]) + float(z[after + 2 * running])
        for i in range(j, n, channels):
            weight = float(e[i]) if highest < LARGEST_EXPONENT else math.exp(float(value[i]))
            total += weight
            mean += weight * value[i]
        all_rows = r[Z2] + running + j
        if r[OP] == SOFTMAX_MEAN:
            out[j] = mean / total - float(z[all_rows + 2 * running]) / float(z[all_rows])
        else:
            out[j] = math.log(total) - math.log(float(z[all_rows]))


@compiled
def fast_exp(x):
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
