"""Operations on rows as a program: instructions, weights side by side, and places for results and reference values."""

from dataclasses import dataclass

import numpy as np

from . import graph as g
from .activations import ACTIVATIONS
from .instructions import SLEEPY_CHANNELS, Instruction, Kind, as_table
from .kernels import LANE, RELU, ROWS, VECTOR, column_blocks
from .normal import Normal

_SINKS = {"average": Kind.SUM, "sum": Kind.SUM, "max": Kind.MAX, "softmax_mean": Kind.SOFTMAX_MEAN,
          "log_sum_exp": Kind.LOG_SUM_EXP}
SINKS = (g.Summary, g.Attend, g.Flatten)  # what takes rows to a vector
OVERRUN = ROWS  # rows that a block may write or read beyond a window, times the stride


@dataclass(frozen=True, eq=False)
class Sink:
    """A vector that leaves the rows.

    Attributes
    ----------
    operation : int
        Row of the program.
    source : str
        Node whose rows it takes.
    layer : Summary, Attend or Flatten
    column : int
        First column among the sums, but of a Flatten.
    width : int
        How many values it has.
    """

    operation: int
    source: str
    layer: object
    column: int
    width: int


@dataclass(frozen=True, eq=False)
class Program:
    """What the interpreter needs of a graph.

    Attributes
    ----------
    table : (instruction,) INSTRUCTION
    weights : (n,) float32
    sinks : dict of str to Sink
        By the name of the vector node.
    saved : dict of (str, tuple of str) to int
        (kind, nodes) to the offset of what is kept of these nodes' reference values, side by side.
    can_sleep : dict of int to (str, (width, in, out) float32)
        Convolutions by their row of the table that dormant.py may shorten: the node before ReLU, and the weights.
    z_size, buffer_size, sum_columns, n_taps, n_work : int
    """

    table: np.ndarray
    weights: np.ndarray
    sinks: dict
    saved: dict
    can_sleep: dict
    z_size: int
    buffer_size: int
    sum_columns: int
    n_taps: int
    n_work: int

    @property
    def needed(self) -> set[str]:
        """Nodes with positions whose values for the reference are needed."""
        return {name for _, names in self.saved for name in names} | {name for name, _ in self.can_sleep.values()}


def _pad(channels):
    return -(-channels // LANE) * LANE


class _Tape:
    """Arrays one after the other, and where each begins."""

    def __init__(self):
        self.parts, self.size = [], 0

    def add(self, array):
        array = np.ascontiguousarray(array, np.float32).reshape(-1)
        self.parts.append(array)
        self.size += array.size
        return self.size - array.size


class _Saved:
    """What is kept of the reference pass, and where."""

    def __init__(self, normal):
        self.normal, self.offsets, self.size = normal, {}, 0

    def rows(self, name, channels):
        return self.place(("rows", (name,)), (self.normal.shapes[name][0] + OVERRUN) * channels)

    def place(self, key, size):
        if key not in self.offsets:
            self.offsets[key] = self.size
            self.size += size
        return self.offsets[key]


def assemble(normal: Normal, operations: list) -> Program:
    """The program of operations on rows, in their order.

    Parameters
    ----------
    normal : Normal
    operations : list of program.Operation
    """
    weights, saved = _Tape(), _Saved(normal)
    weights.add([0, 0])  # alpha and beta of an activation without
    where, table, can_sleep = {}, [], {}
    for operation in operations:
        names = tuple(operation.parts or [operation.name])
        real = sum(normal.shapes[name][1] for name in names)
        where.update({name: (len(table), operation.parts.get(name, 0), names) for name in names})
        row = Instruction(operation.kind, *_inputs(operation, where), real=real,
                          channels=real if operation.kind == Kind.NARROW else _pad(real),
                          n_rows=normal.shapes[operation.name][0], low=operation.low, high=operation.high,
                          margin=operation.margin, mode=operation.mode)
        _parameters(row, operation, normal, weights, saved)
        if (operation.kind == Kind.CONV and operation.mode == RELU and VECTOR == LANE
                and row.channels == SLEEPY_CHANNELS):
            can_sleep[len(table)] = (operation.activation_of, operation.weight)
        table.append(row)
    sinks, columns = _sinks(normal, where, table, saved)
    buffer_size = _place(table)
    n_taps = max([1, *(row.width for row in table)])
    n_work = max([1, *(_work(row) for row in table)])
    if can_sleep:
        n_work = max(n_work, *(row.n_rows for row in table))
    return Program(as_table(table), np.concatenate(weights.parts), sinks, saved.offsets, can_sleep, saved.size,
                   buffer_size, columns, n_taps, n_work)


def _inputs(operation, where):
    """Rows of the table that an operation takes; the sequence, which a lookup takes, is none."""
    return [where[name][0] if name in where else -1 for name in operation.inputs]


def _work(row):
    """Floats of working space that an operation needs."""
    if row.kind == Kind.NARROW:
        return ROWS * _pad(row.width * row.real)
    is_softmax = row.kind in (Kind.SOFTMAX_MEAN, Kind.LOG_SUM_EXP)
    return 2 * row.n_rows * _pad(row.real) if is_softmax else 0


def _parameters(row, operation, normal, weights, saved):
    """Fill in what depends on the kind of operation."""
    layer, kind, channels = operation.layer, operation.kind, row.channels
    source = operation.inputs[0] if operation.inputs else None
    if kind in (Kind.CONV, Kind.NARROW, Kind.LOOKUP, Kind.MAX_POOL, Kind.AVERAGE_POOL):
        row.stride, row.before = layer.stride, g.padded(layer, normal.shapes[source][0])[0]
        row.width = layer.size if isinstance(layer, g.Pool) else len(layer.weight)
        row.dilation = layer.dilation
    if kind in (Kind.CONV, Kind.NARROW, Kind.LOOKUP):
        row.weight = weights.add(packed(operation.weight, kind != Kind.LOOKUP))
    elif kind == Kind.MAX_POOL:
        row.z, row.z2 = saved.rows(source, channels), saved.rows(operation.name, channels)
    elif kind == Kind.AVERAGE_POOL:
        row.count_padding = int(layer.count_padding)
    elif kind == Kind.MULTIPLY:
        row.z, row.z2 = (saved.rows(name, channels) for name in operation.inputs)
    elif kind == Kind.SOFTMAX:
        row.z = saved.rows(source, channels)
        row.times, row.inner = layer.size or row.real, layer.inner
    elif kind in (Kind.SCALE, Kind.SCALE_ROWS):
        shape = (1 if kind == Kind.SCALE else row.n_rows, row.real)
        scale = np.broadcast_to(np.asarray(layer.scale, np.float32), shape)
        row.weight = weights.add(np.pad(scale, ((0, 0), (0, channels - row.real))))
    elif kind == Kind.CROP:
        row.before = layer.before
    elif kind in (Kind.REPEAT, Kind.SPREAD):
        row.times = layer.times
    elif kind in (Kind.FOLD, Kind.UNFOLD):
        row.times, row.inner = layer.times, layer.inner
    if operation.activation_of is not None:
        row.z = saved.rows(operation.activation_of, channels)
    activation = operation.activation
    if activation is not None:
        row.activation = ACTIVATIONS.index(activation.kind)
        row.alpha = weights.add([activation.alpha, activation.beta])


def packed(weight: np.ndarray, in_blocks: bool) -> np.ndarray:
    """Weights with channels padded: in column blocks (block, width, in, block's out) for `conv_block`; else for the
    lookup, (in, width from the last, out)."""
    _, n_in, n_out = weight.shape
    if not in_blocks:
        return np.pad(weight[::-1].swapaxes(0, 1), ((0, 0), (0, 0), (0, _pad(n_out) - n_out)))
    weight = np.pad(weight, ((0, 0), (0, _pad(n_in) - n_in), (0, _pad(n_out) - n_out)))
    ends = np.cumsum(column_blocks(weight.shape[2]))
    return np.concatenate([block.reshape(-1) for block in np.split(weight, ends[:-1], axis=2)])


def _sinks(normal, where, table, saved):
    """One operation for each kind of summary of an operation's rows, and one for each rows that are flattened."""
    sinks, known, column = {}, {}, 0
    for node in normal.nodes.values():
        layer = node.layer
        if not isinstance(layer, SINKS) or node.inputs[0] not in where:
            continue
        source = node.inputs[0]
        operation, first, names = where[source]
        is_flat, is_summary = isinstance(layer, g.Flatten), isinstance(layer, g.Summary)
        kind = Kind.ROWS_OUT if is_flat else _SINKS[layer.kind] if is_summary else Kind.ATTEND
        key = (operation, kind, 0 if is_summary else first)
        if key not in known:
            made = table[operation]
            real = made.real if is_summary else normal.shapes[source][1] if is_flat else normal.shapes[node.name][0]
            row = Instruction(kind, operation, real=real, n_rows=made.n_rows, high=made.n_rows, column=column,
                              first_channel=0 if is_summary else first)
            _keep_for(row, kind, names if is_summary else (source,), made.channels, saved)
            table.append(row)
            known[key] = (len(table) - 1, column)
            column += 0 if is_flat else real
        number, start = known[key]
        start += first if is_summary else 0
        sinks[node.name] = Sink(number, source, layer, start, normal.shapes[node.name][0])
    return sinks, column


def _keep_for(row, kind, names, channels, saved):
    """Reference values that a sink needs: see heads.saved_values."""
    rows, real = row.n_rows, row.real
    running = (rows + 1) * real
    if kind == Kind.MAX:
        row.z = saved.place(("rows", names), (rows + OVERRUN) * channels)
        row.z2 = saved.place(("max", names), 2 * running)
    elif kind in (Kind.SOFTMAX_MEAN, Kind.LOG_SUM_EXP):
        row.z = saved.place(("centred", names), (rows + OVERRUN) * channels)
        row.z2 = saved.place(("softmax", names), 4 * running)
    elif kind == Kind.ATTEND:
        row.z2 = saved.place(("attend", names), 2 * rows * real + 4 * running)


def _place(table):
    """Give every operation's result a slot that no later result takes before it was last used; the buffer's size."""
    last_use = {}
    for q, row in enumerate(table):
        last_use.update({x: q for x in (row.x, row.x2) if x >= 0})
    free, sizes, slot_of = [], [], {}
    for q, row in enumerate(table):
        if row.kind >= Kind.SUM:
            continue
        size = (row.n_rows + 2 * row.margin) * row.channels
        slot = free.pop() if free else len(sizes)
        sizes[slot:slot + 1] = [max(size, sizes[slot] if slot < len(sizes) else 0)]
        slot_of[q] = slot
        for other in {row.x, row.x2} - {-1}:
            if last_use[other] == q:
                free.append(slot_of[other])
    starts = np.concatenate([[0], np.cumsum(sizes)])
    for q, slot in slot_of.items():
        table[q].slot = starts[slot] + table[q].margin * table[q].channels
    return int(starts[-1])
