"""The inner kernel of a convolution, for the vector registers of this machine.

A block of ROWS output rows and WIDTH output channels stays in registers while all taps and input channels are added
to it: what LLVM does not find by itself. It is written as LLVM's code, which numba compiles in like any other, so that
no compiler is needed. Input channels that are zero in all rows of the block are stepped over.
"""

from collections.abc import Callable

from llvmlite import ir
from numba import types
from numba.core import cgutils, config
from numba.core.codegen import get_host_cpu_features
from numba.extending import intrinsic

FLOAT, BYTE, WORD, INT = ir.FloatType(), ir.IntType(8), ir.IntType(64), ir.IntType(32)
LINEAR, RELU, RELU_OF_SUM, PLAIN, PLAIN_RELU = range(5)
ONTO = 8  # added to one of these: onto what y holds
LANE = 16  # channels are padded to a multiple of it
ROWS = 3  # of a block: one row of each of a place's mutants


def _vector_and_lanes():
    """Floats in a vector register, and the most lanes of a column block, of which registers just hold `ROWS` rows."""
    features = config.CPU_FEATURES if config.CPU_FEATURES is not None else get_host_cpu_features()  # as numba does
    features = features.split(",")
    if "+avx512f" in features:
        return 16, 8
    if "+avx" in features:
        return 8, 2
    return 4, 1


VECTOR, MOST_LANES = _vector_and_lanes()


def column_blocks(channels: int) -> list[int]:
    """Widths of the column blocks of a padded number of channels: as few as can be, as even as can be."""
    lanes, blocks = channels // LANE, []
    while lanes:
        left = -(-lanes // MOST_LANES)
        blocks.append(-(-lanes // left) * LANE)
        lanes -= blocks[-1] // LANE
    return blocks


def conv_block(rows: int, width: int, spread: int = 0) -> Callable:
    """Intrinsic: differences of a block of a convolution's output.

    conv_block(taps, n_taps, groups, table, column, mode), addresses and offsets in bytes: taps are pairs of int64
    (offset of the input row, address of the tap's weights (16 * groups, width)); the table has four addresses for each
    of `rows` rows: its input (to which the taps' offsets are added), its reference value z, what is added to it
    (residual), and where it goes (y); to the last three the offset of the column block is added.
    y becomes d + residual (LINEAR), relu's difference of d at z, plus residual (RELU), or that of d + residual at z
    (RELU_OF_SUM), where d is the convolution of the input's difference. PLAIN and PLAIN_RELU take no residual.

    With `spread`, for AVX-512, two vectors and RELU or PLAIN_RELU only, y has more channels: `spread` vectors; `column`
    is the address of as many vectors of int32, the channel that goes to each place, -1 for none.
    """
    vector = ir.VectorType(FLOAT, VECTOR)
    n_vectors = width // VECTOR

    @intrinsic
    def block(typingctx, taps, n_taps, groups, table, column, mode):
        def codegen(context, builder, signature, arguments):
            _Emit(builder, vector, rows, n_vectors).block(*arguments, spread)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 6), codegen

    return block


def slide_block(width: int) -> Callable:
    """Intrinsic: a convolution of `width` taps to one vector of channels, over all rows of three mutants.

    slide_block(table, weights, tap, channel, groups, n_rows, x_row, y_row, begin, end, mode), addresses and sizes in
    bytes: the table is that of `conv_block` for the first input row and the first output row that it reaches; weights
    lie `tap` apart by taps and `channel` by input channels; rows of x and y are x_row and y_row long. Of the n_rows +
    width - 1 output rows those from begin to end are stored. Each input row is read once and added to all rows that it
    reaches, whose sums stay in registers, so that few channels use them all.
    """
    vector = ir.VectorType(FLOAT, VECTOR)

    @intrinsic
    def block(typingctx, table, weights, tap, channel, groups, n_rows, x_row, y_row, begin, end, mode):
        def codegen(context, builder, signature, arguments):
            _Emit(builder, vector, ROWS, width).slide(*arguments)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 11), codegen

    return block


class _Emit:
    """Writes one block's code."""

    def __init__(self, builder, vector, rows, n_vectors):
        self.b, self.vector, self.rows, self.n_vectors = builder, vector, rows, n_vectors
        self.zero = ir.Constant(vector, [0.0] * VECTOR)
        self.multiply_add = self._function(f"llvm.fmuladd.v{VECTOR}f32", vector, [vector] * 3)
        self.sums = [[cgutils.alloca_once(builder, vector) for _ in range(n_vectors)] for _ in range(rows)]
        self.channel_step = _word(4 * VECTOR * n_vectors)  # bytes from one input channel's weights to the next's
        self.weight_offsets = [_word(4 * VECTOR * j) for j in range(n_vectors)]

    def _function(self, name, result, arguments):
        return cgutils.get_or_insert_function(self.b.module, ir.FunctionType(result, arguments), name)

    def pointer(self, address):
        return self.b.inttoptr(address, BYTE.as_pointer())

    def load(self, pointer, offset):
        at = self.b.bitcast(self.b.gep(pointer, [offset]), self.vector.as_pointer())
        return self.b.load(at, align=4)

    def store(self, value, pointer, offset):
        at = self.b.bitcast(self.b.gep(pointer, [offset]), self.vector.as_pointer())
        self.b.store(value, at, align=4)

    def cells(self):
        for row in range(self.rows):
            for j in range(self.n_vectors):
                yield row, j, self.sums[row][j]

    def block(self, taps, n_taps, groups, table, column, mode, spread):
        b = self.b
        shift = _word(0) if spread else column
        z, residual, y = ([self.pointer(b.add(address, shift)) for address in self.addresses(table, i)]
                          for i in (1, 2, 3))
        for _, _, total in self.cells():
            b.store(self.zero, total)
        if not spread:
            self.add_if(b.icmp_signed(">=", mode, _word(ONTO)), y)
            mode = b.and_(mode, _word(ONTO - 1))
        x_rows = [self.pointer(address) for address in self.addresses(table, 0)]
        taps = b.inttoptr(taps, WORD.as_pointer())
        with cgutils.for_range(b, n_taps) as loop:
            at = b.mul(loop.index, _word(2))
            offset = b.load(b.gep(taps, [at]))
            weight = self.pointer(b.load(b.gep(taps, [b.add(at, _word(1))])))
            self.tap([b.gep(x, [offset]) for x in x_rows], weight, groups)
        if spread:
            self.relu(z)
            self.spread(self.pointer(column), residual, y, spread, self.is_any(mode, RELU))
            return
        self.finish(z, residual, y, mode)

    def finish(self, z, residual, y, mode):
        """Store the sums, after what the mode says."""
        b = self.b
        self.add_if(self.is_any(mode, LINEAR, RELU_OF_SUM), residual)
        with b.if_then(self.is_any(mode, RELU, RELU_OF_SUM, PLAIN_RELU)):
            self.relu(z)
        self.add_if(self.is_any(mode, RELU), residual)
        for row, j, total in self.cells():
            self.store(b.load(total), y[row], _word(4 * VECTOR * j))

    def slide(self, table, weights, tap, channel, groups, n_rows, x_row, y_row, begin, end, mode):
        """At each input row the sums of tap k are those of the output row k before the newest."""
        b, width, last = self.b, self.n_vectors, _Emit(self.b, self.vector, self.rows, 1)
        self.channel_step, self.weight_offsets = channel, [b.mul(tap, _word(k)) for k in range(width)]
        for _, _, total in self.cells():
            b.store(self.zero, total)
        x, z, residual, y = ([self.pointer(address) for address in self.addresses(table, i)] for i in range(4))
        weights = self.pointer(weights)
        with cgutils.for_range(b, b.add(n_rows, _word(width - 1))) as loop:
            with b.if_then(b.icmp_signed("<", loop.index, n_rows)):
                at = b.mul(loop.index, x_row)
                self.tap([b.gep(row, [at]) for row in x], weights, groups)
            is_stored = b.and_(b.icmp_signed(">=", loop.index, begin), b.icmp_signed("<", loop.index, end))
            with b.if_then(is_stored):
                at = b.mul(loop.index, y_row)
                for row in range(self.rows):
                    b.store(b.load(self.sums[row][-1]), last.sums[row][0])
                last.finish(*([b.gep(row, [at]) for row in rows] for rows in (z, residual, y)), mode)
            for row in self.sums:
                for k in range(width - 1, 0, -1):
                    b.store(b.load(row[k - 1]), row[k])
                b.store(self.zero, row[0])

    def addresses(self, table, column):
        pointer = self.b.inttoptr(table, WORD.as_pointer())
        return [self.b.load(self.b.gep(pointer, [_word(4 * row + column)])) for row in range(self.rows)]

    def is_any(self, mode, *modes):
        is_one = ir.IntType(1)(0)
        for value in modes:
            is_one = self.b.or_(is_one, self.b.icmp_signed("==", mode, _word(value)))
        return is_one

    def tap(self, x_rows, weight, groups):
        """Add one tap, in sets of 64 input channels while there are so many, then in sets of 16."""
        b = self.b
        sets = b.udiv(groups, _word(4))
        with cgutils.for_range(b, sets) as loop:
            self.channels(x_rows, weight, b.mul(loop.index, _word(64)), 64)
        first = b.mul(sets, _word(4))
        with cgutils.for_range(b, b.sub(groups, first)) as loop:
            self.channels(x_rows, weight, b.mul(b.add(first, loop.index), _word(16)), 16)

    def channels(self, x_rows, weight, first, count):
        """Add those of `count` input channels that are not zero in all rows."""
        b, bits = self.b, ir.IntType(VECTOR)
        x_rows = [b.gep(x, [b.mul(first, _word(4))]) for x in x_rows]
        weight = b.gep(weight, [b.mul(first, self.channel_step)])
        mask = _word(0)
        for s in range(count // VECTOR):
            some = None
            for x in x_rows:
                is_some = b.bitcast(b.fcmp_unordered("!=", self.load(x, _word(4 * VECTOR * s)), self.zero), bits)
                some = is_some if some is None else b.or_(some, is_some)
            mask = b.or_(mask, b.shl(b.zext(some, WORD), _word(VECTOR * s)))
        left = cgutils.alloca_once(b, WORD)
        b.store(mask, left)
        head, body, end = (b.function.append_basic_block(name) for name in ("head", "body", "end"))
        b.branch(head)
        b.position_at_end(head)
        now = b.load(left)
        b.cbranch(b.icmp_unsigned("!=", now, _word(0)), body, end)
        b.position_at_end(body)
        lowest = b.call(self._function("llvm.cttz.i64", WORD, [WORD, ir.IntType(1)]), [now, ir.IntType(1)(1)])
        b.store(b.and_(now, b.sub(now, _word(1))), left)
        self.channel(x_rows, weight, lowest)
        b.branch(head)
        b.position_at_end(end)

    def channel(self, x_rows, weight, channel):
        b = self.b
        start = b.mul(channel, self.channel_step)
        weights = [self.load(weight, b.add(start, offset)) for offset in self.weight_offsets]
        offset = b.mul(channel, _word(4))
        for row, x in enumerate(x_rows):
            # keeps the scheduler from loading all rows' values first, for which there are no registers
            b.asm(ir.FunctionType(ir.VoidType(), []), "", "~{memory}", [], True)
            value = b.load(b.bitcast(b.gep(x, [offset]), FLOAT.as_pointer()), align=4)
            undefined = ir.Constant(self.vector, ir.Undefined)
            spread = b.shuffle_vector(b.insert_element(undefined, value, INT(0)), undefined,
                                      ir.Constant(ir.VectorType(INT, VECTOR), [0] * VECTOR))
            for j in range(self.n_vectors):
                total = self.sums[row][j]
                b.store(b.call(self.multiply_add, [spread, weights[j], b.load(total)]), total)

    def relu(self, z):
        """relu(z + d) - relu(z) = max(d, -z) + min(z, 0): without rounding where z > 0."""
        b = self.b
        for row, j, total in self.cells():
            at = self.load(z[row], _word(4 * VECTOR * j))
            rise, floor = b.load(total), b.fsub(self.zero, at)
            rise = b.select(b.fcmp_ordered(">", rise, floor), rise, floor)
            b.store(b.fadd(rise, b.select(b.fcmp_ordered("<", at, self.zero), at, self.zero)), total)

    def spread(self, places, residual, y, n_vectors, is_added):
        """Store the sums at their places, the residual added, zero elsewhere."""
        b, places_type = self.b, ir.VectorType(INT, VECTOR)
        permute = self._function("llvm.x86.avx512.vpermi2var.ps.512", self.vector,
                                 [self.vector, places_type, self.vector])
        sums = [[b.load(total) for total in row] for row in self.sums]
        for j in range(n_vectors):
            at = _word(4 * VECTOR * j)
            place = b.load(b.bitcast(b.gep(places, [at]), places_type.as_pointer()), align=4)
            is_taken = b.icmp_signed(">=", place, ir.Constant(places_type, [0] * VECTOR))
            spread_rows = [b.select(is_taken, b.call(permute, [row[0], place, row[1]]), self.zero) for row in sums]
            with b.if_else(is_added) as (then, otherwise):
                with then:
                    for row, value in enumerate(spread_rows):
                        self.store(b.fadd(value, self.load(residual[row], at)), y[row], at)
                with otherwise:
                    for row, value in enumerate(spread_rows):
                        self.store(value, y[row], at)

    def add_if(self, condition, pointers):
        with self.b.if_then(condition):
            for row, j, total in self.cells():
                self.b.store(self.b.fadd(self.b.load(total), self.load(pointers[row], _word(4 * VECTOR * j))), total)


def _word(value):
    return ir.Constant(WORD, value)


@intrinsic
def float_of_bits(typingctx, bits):
    """The float32 that an int32's bits spell."""
    def codegen(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], FLOAT)

    return types.float32(types.int32), codegen
