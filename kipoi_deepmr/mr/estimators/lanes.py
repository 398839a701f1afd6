"""Where the kernel densities of eight samples are highest, all at once: one sample in each lane of a vector register.

The same points as those of mode.py, which finds them one by one. At points as far apart as each other a normal kernel
follows from two numbers, by which it and its own growth are multiplied: so no table is read, and lanes need no common
grid. What LLVM does not find by itself is written as LLVM's code.
"""

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ...compiled import compiled, compiled_fast

LANES = 8
GRID = 512  # points of R's density()
CUT, MARGIN = 3, 4  # bandwidths that its grid reaches beyond the ratios, and its convolution beyond the grid
MAD = 1.4826  # makes the median absolute deviation that of a normal distribution's standard deviation
APART = 1 / 4  # bandwidths between the coarse density's points
WIDEST = 36  # bandwidths between the outermost ratios, beyond which a lane is left out: far kernels would be 0
MOST_POINTS = int(WIDEST / APART) + 6  # and most bins near the highest points, beyond which a lane is left out, too

# Of a lane: where its ratios' grid and that of the results begin, the bandwidth, a bin's width, the ratios' span and a
# bin's width in bandwidths, the bin of the first result, bins from result to result, and these in the ratios' unit
GRIDS = np.dtype([(name, np.float64) for name in ("low", "start", "width", "step", "span", "unit", "offset", "slope",
                                                  "apart")])
_VECTOR, _WORD = ir.VectorType(ir.DoubleType(), LANES), ir.IntType(64)


def _pointer(builder, address):
    return builder.inttoptr(address, _VECTOR.as_pointer())


def _load(builder, pointer, row):
    return builder.load(builder.gep(pointer, [row]), align=8)


@intrinsic
def _sort_lanes(typingctx, rows, pairs, n_pairs):
    """Rows of lanes in ascending order, by the comparators of a sorting network; addresses."""
    def codegen(context, builder, signature, arguments):
        rows, pairs, n_pairs = arguments
        rows, pairs = _pointer(builder, rows), builder.inttoptr(pairs, _WORD.as_pointer())
        with cgutils.for_range(builder, n_pairs) as loop:
            at = builder.mul(loop.index, _WORD(2))
            low, high = (builder.load(builder.gep(pairs, [builder.add(at, _WORD(k))])) for k in (0, 1))
            a, b = _load(builder, rows, low), _load(builder, rows, high)
            is_less = builder.fcmp_ordered("<", a, b)
            builder.store(builder.select(is_less, a, b), builder.gep(rows, [low]), align=8)
            builder.store(builder.select(is_less, b, a), builder.gep(rows, [high]), align=8)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), codegen


@intrinsic
def _add_two_kernels(typingctx, sums, n, kernel, growth, fall, before, after):
    """sums[i] += before K(i) + after K(i - 1) for i below n, of two ratios in every lane; addresses.

    `kernel` is K(-1), `growth` K(0) / K(-1), and each growth is the one before times `fall`. All but sums and fall have
    two rows. Of one ratio alone, each step would wait for the one before.
    """
    def codegen(context, builder, signature, arguments):
        sums, n = _pointer(builder, arguments[0]), arguments[1]
        fall = _load(builder, _pointer(builder, arguments[4]), _WORD(0))
        fma = cgutils.get_or_insert_function(builder.module, ir.FunctionType(_VECTOR, [_VECTOR] * 3),
                                             f"llvm.fmuladd.v{LANES}f64")
        ratios = []
        for row in range(2):
            first, growth, before, after = (_load(builder, _pointer(builder, arguments[k]), _WORD(row))
                                            for k in (2, 3, 5, 6))
            state = [cgutils.alloca_once_value(builder, value) for value in (
                first, builder.fmul(first, growth), builder.fmul(growth, fall))]
            ratios.append((before, after, *state))
        with cgutils.for_range(builder, n) as loop:
            total = _load(builder, sums, loop.index)
            for before, after, last, now, factor in ratios:
                value = builder.load(now)
                total = builder.call(fma, [before, value, total])
                total = builder.call(fma, [after, builder.load(last), total])
                builder.store(value, last)
                builder.store(builder.fmul(value, builder.load(factor)), now)
                builder.store(builder.fmul(builder.load(factor), fall), factor)
            builder.store(total, builder.gep(sums, [loop.index]), align=8)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 7), codegen


@intrinsic
def _double_of_bits(typingctx, bits):
    def codegen(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.DoubleType())

    return types.float64(types.int64), codegen


@compiled_fast
def _exp(x):
    """exp of numbers between -700 and 700, in place, to 3e-16 of it: without a call, so that LLVM does many at once."""
    for i in range(x.size):
        n = np.floor(x[i] * 1.4426950408889634 + 0.5)
        r = x[i] - n * 0.693145751953125 - n * 1.42860682030941723212e-6
        y = 1 / 6227020800
        y = y * r + 1 / 479001600
        y = y * r + 1 / 39916800
        y = y * r + 1 / 3628800
        y = y * r + 1 / 362880
        y = y * r + 1 / 40320
        y = y * r + 1 / 5040
        y = y * r + 1 / 720
        y = y * r + 1 / 120
        y = y * r + 1 / 24
        y = y * r + 1 / 6
        y = y * r + 0.5
        y = (y * r + 1) * r + 1
        x[i] = y * _double_of_bits((np.int64(n) + 1023) << 52)


@compiled
def comparators(n: int) -> np.ndarray:
    """Pairs of places of a sorting network for n numbers: (pairs, 2) int64, Batcher's odd-even merge sort."""
    stages = 0  # of merging; the k-th compares each place at most k times
    while 1 << stages < n:
        stages += 1
    pairs = np.empty((n * stages * (stages + 1) // 4 + 1, 2), np.int64)
    count, p = 0, 1
    while p < n:
        k = p
        while k >= 1:
            for j in range(k % p, n - k, 2 * k):
                for i in range(min(k, n - j - k)):
                    if (i + j) // (2 * p) == (i + j + k) // (2 * p):
                        pairs[count, 0], pairs[count, 1] = i + j, i + j + k
                        count += 1
            k //= 2
        p *= 2
    return pairs[:count]


@compiled
def highest_of_lanes(sample: np.ndarray, w: np.ndarray, phi: float, pairs: np.ndarray, work: np.ndarray,
                     density: np.ndarray, modes: np.ndarray) -> None:
    """Modes of eight samples, as mode._highest has them; NaN of those that it must find.

    Parameters
    ----------
    sample : (n, LANES) float64
    w : (n,) float64
    phi : float
    pairs : (pairs, 2) int64
        Of `comparators`.
    work : (4, more than n, LANES) float64
    density : (MOST_POINTS, LANES) float64
    modes : (LANES,) float64
        Filled.
    """
    grids, ends = np.empty(LANES, GRIDS), np.zeros((LANES, 2), np.int64)
    _set_grids(sample, phi, pairs, work[0], grids, modes)
    n_points = _coarse_density(sample, w, work, grids, modes, density)
    total, n_bins = w.sum(), 0
    for m in range(LANES):
        if modes[m] == 0:
            n_near = _near_highest(density[:n_points, m], total, grids[m], ends[m])
            if n_near > MOST_POINTS:
                modes[m] = np.nan
            else:
                n_bins = max(n_bins, n_near)
    _fine_density(sample, w, work, grids, modes, ends, density[:n_bins])
    for m in range(LANES):
        if modes[m] == 0:
            grid, a, b = grids[m], ends[m, 0], ends[m, 1]
            first = int(grid.offset + a * grid.slope)
            where = highest_point(density[:, m], first, a, b, grid.offset, grid.slope)[1]
            modes[m] = grid.start + where * grid.apart


@compiled
def _set_grids(sample, phi, pairs, ordered, grids, modes):
    """Each lane's bandwidth and grid as in mode._highest; modes 0, NaN of a lane that is left out."""
    n = len(sample)
    ordered = ordered[:n]
    ordered[:] = sample
    _sort_lanes(ordered.ctypes.data, pairs.ctypes.data, len(pairs))
    lowest, highest, deviation = ordered[0].copy(), ordered[n - 1].copy(), np.empty(LANES)
    middle = 0.5 * (ordered[(n - 1) // 2] + ordered[n // 2])
    for m in range(LANES):
        mean = square = 0.0
        for j in range(n):
            mean += sample[j, m]
        mean /= n
        for j in range(n):
            square += (sample[j, m] - mean) ** 2
        deviation[m] = np.sqrt(square / (n - 1))
    for j in range(n):
        for m in range(LANES):
            ordered[j, m] = abs(sample[j, m] - middle[m])
    _sort_lanes(ordered.ctypes.data, pairs.ctypes.data, len(pairs))
    for m in range(LANES):
        mad = MAD * 0.5 * (ordered[(n - 1) // 2, m] + ordered[n // 2, m])
        spread = min(deviation[m], mad)
        width = phi * 0.9 * spread / n ** 0.2
        start, end = lowest[m] - CUT * width, highest[m] + CUT * width
        low, high = start - MARGIN * width, end + MARGIN * width
        step, span = (high - low) / (GRID - 1), (highest[m] - lowest[m]) / width
        is_known = (np.isfinite(deviation[m]) and spread > 1e-15 * max(abs(lowest[m]), abs(highest[m]))
                    and width > 0 and 0 < step < np.inf and span <= WIDEST)
        modes[m] = 0.0 if is_known else np.nan
        if is_known:
            grid = grids[m]
            grid.low, grid.start, grid.width, grid.step, grid.span = low, start, width, step, span
            grid.unit = step * (2 * GRID - 2) / (2 * GRID - 1) / width
            grid.offset, grid.slope = MARGIN * width / step, (end - start) / (high - low)
            grid.apart = (end - start) / (GRID - 1)


@compiled
def _coarse_density(sample, w, work, grids, modes, density):
    """The density itself, `APART` bandwidths from point to point, the second point at the lowest ratio; how many."""
    kernel, growth, before, after, fall = work[0], work[1], work[2], work[3], np.full(LANES, -APART * APART)
    n, n_points = len(sample), 0
    for m in range(LANES):
        if modes[m] == 0:
            n_points = max(n_points, int(grids[m].span / APART) + 4)
    for m in range(LANES):
        grid = grids[m]
        for j in range(n):
            # from the ratio to the point before the first
            far = (grid.start - sample[j, m]) / grid.width + CUT - 2 * APART if modes[m] == 0 else 0.0
            kernel[j, m], growth[j, m] = -0.5 * far * far, -APART * (far + 0.5 * APART)
            before[j, m], after[j, m] = w[j], 0.0
    _add_kernels(density[:n_points], n, kernel, growth, fall, before, after)
    return n_points


@compiled
def _near_highest(density, total, grid, ends):
    """Points of R's grid, first and last, around all coarse points that may be highest; how many bins these need.

    Between two coarse points the density rises above them by no more than its curvature allows; R's differs from it by
    what binning and interpolation do.
    """
    near = 0.625 * grid.unit ** 2
    least = density.max() - total * (0.125 * APART ** 2 + 0.5 * APART * np.sqrt(2 * near) + near)
    a, b = 0, len(density) - 1
    while density[a] < least:
        a += 1
    while density[b] < least:
        b -= 1
    bandwidths = grid.width / grid.apart
    ends[0] = max(int((CUT + APART * (a - 1.5)) * bandwidths), 0)
    ends[1] = min(int((CUT + APART * (b - 0.5)) * bandwidths) + 1, GRID - 1)
    return int(grid.offset + ends[1] * grid.slope) - int(grid.offset + ends[0] * grid.slope) + 2


@compiled
def _fine_density(sample, w, work, grids, modes, ends, density):
    """R's density at its bins from that of the first point on: each ratio is shared by the two bins beside it."""
    kernel, growth, before, after, fall = work[0], work[1], work[2], work[3], np.zeros(LANES)
    n = len(sample)
    for m in range(LANES):
        grid = grids[m]
        if modes[m] != 0:
            kernel[:n, m] = growth[:n, m] = before[:n, m] = after[:n, m] = 0.0
            continue
        fall[m] = -grid.unit ** 2
        first = int(grid.offset + ends[m, 0] * grid.slope)
        for j in range(n):
            place = (sample[j, m] - grid.low) / grid.step
            left = min(int(place), GRID - 2)
            far = first - 1 - left
            kernel[j, m], growth[j, m] = -0.5 * (grid.unit * far) ** 2, -grid.unit ** 2 * (far + 0.5)
            before[j, m], after[j, m] = w[j] * (left + 1 - place), w[j] * (place - left)
    _add_kernels(density, n, kernel, growth, fall, before, after)


@compiled
def _add_kernels(density, n, kernel, growth, fall, before, after):
    """Sums of n kernels from their logarithms."""
    density[:] = 0.0
    _exp(kernel[:n].reshape(-1))
    _exp(growth[:n].reshape(-1))
    _exp(fall)
    for m in range(LANES):
        kernel[n, m] = growth[n, m] = before[n, m] = after[n, m] = 0.0
    for j in range(0, n, 2):
        _add_two_kernels(density.ctypes.data, len(density), kernel[j].ctypes.data, growth[j].ctypes.data,
                         fall.ctypes.data, before[j].ctypes.data, after[j].ctypes.data)


@compiled
def highest_point(density: np.ndarray, first: int, a: int, b: int, offset: float, slope: float) -> tuple[float, int]:
    """Value and number of the highest of the grid's points a to b; `density` begins with bin `first`."""
    best, where = -1.0, a
    for point in range(a, b + 1):
        place = offset + point * slope
        left = min(int(place), GRID - 2)
        below = density[left - first]
        value = below + (density[left - first + 1] - below) * (place - left)
        if value > best:
            best, where = value, point
    return best, where
