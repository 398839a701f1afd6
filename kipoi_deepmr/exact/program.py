"""A normal graph as a program for the interpreter in propagate.py.

Only differences are computed, so that biases and shifts vanish and scales go into the weights of convolutions. A
convolution takes its activation and a residual sum with it. Only rows are in the program: vectors are for heads.py.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from . import graph as g
from . import propagate as p
from .errors import UnknownLayer
from .kernels import LANE, LINEAR, RELU, RELU_OF_SUM, VECTOR, column_blocks

SINKS = {"average": p.SUM, "sum": p.SUM, "max": p.MAX, "softmax_mean": p.SOFTMAX_MEAN, "log_sum_exp": p.LOG_SUM_EXP}
OVERRUN = p.STEP  # rows that a block may write or read beyond a window, times the stride


@dataclass(eq=False)
class _Operation:
    """One operation on rows while the program is put together."""

    name: str  # of the node whose difference it computes
    kind: int
    inputs: list
    layer: object = None
    weight: np.ndarray | None = None  # (width, in, out) of a convolution, scales included
    activation: object = None
    activation_of: str | None = None  # the node whose reference value the activation is applied to
    mode: int = LINEAR
    low: int = 0
    high: int = 0
    margin: int = OVERRUN
    parts: dict = field(default_factory=dict)  # nodes that were merged into this one: name to first channel


@dataclass(frozen=True, eq=False)
class Sink:
    """A vector that leaves the rows.

    Attributes
    ----------
    operation : int
        Row of the program.
    source : str
        Node whose rows it takes.
    layer : Summary or Flatten
    column : int
        First column among the sums, of a Summary.
    width : int
        Its channels.
    """

    operation: int
    source: str
    layer: object
    column: int
    width: int


@dataclass(frozen=True, eq=False)
class Program:
    """See propagate.COLUMNS.

    Attributes
    ----------
    table : (operation, column) int64
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


def build(normal):
    """Program for a normal graph.

    Raises
    ------
    UnknownLayer
        An operation on rows that the interpreter does not have.
    """
    consumers = _consumers(normal)
    operations = _operations(normal, consumers)
    _bound(normal, operations)
    return _assemble(normal, _merged(normal, operations))


def _consumers(normal):
    """Names of the nodes that take each node, an output counted as one more."""
    consumers = {name: [] for name in normal.nodes}
    for node in normal.nodes.values():
        for name in node.inputs:
            consumers[name].append(node.name)
    for name in normal.outputs:
        consumers[name].append("")
    return consumers


def _operations(normal, consumers):
    """Operations that the vectors need, in order, by the node that each computes."""
    found = {}
    wanted = {node.inputs[0] for node in normal.nodes.values() if isinstance(node.layer, (g.Summary, g.Flatten))
              and not isinstance(normal.nodes[node.inputs[0]].layer, g.Constant)}
    for name in reversed(normal.nodes):
        if name in wanted:
            found[name] = _match(name, normal, consumers)
            if found[name].kind != p.LOOKUP:
                wanted.update(found[name].inputs)
    return dict(reversed(found.items()))


def _match(name, normal, consumers):
    """The operation that computes a node, with the nodes before it that it can take in."""
    node, nodes = normal.nodes[name], normal.nodes

    def alone(other):
        return len(consumers[other]) == 1

    def core(other):
        """Whether a node is a convolution, scaled or not, that only we use; then it needs no operation of its own."""
        layer, inputs = nodes[other].layer, nodes[other].inputs
        return alone(other) and (isinstance(layer, g.Conv) or _per_channel(layer, normal.shapes[other])
                                 and not _folds_forward(other, nodes, consumers) and isinstance(
                                     nodes[inputs[0]].layer, g.Conv) and alone(inputs[0]))

    layer = node.layer
    if isinstance(layer, g.Add) and node.inputs[0] != node.inputs[1]:
        for end, residual in (node.inputs, node.inputs[::-1]):
            is_relu = alone(end) and isinstance(nodes[end].layer, g.Activation) and nodes[end].layer.kind == "relu"
            before = nodes[end].inputs[0] if is_relu else end
            found = _conv(name, before, normal, consumers) if core(before) else None
            if found is not None and found.kind == p.CONV:
                return replace(found, inputs=[*found.inputs, residual], mode=RELU if is_relu else LINEAR,
                               activation_of=before if is_relu else None)
    if isinstance(layer, g.Activation):
        source = node.inputs[0]
        found = None
        if core(source):
            found = _conv(name, source, normal, consumers)
        elif isinstance(nodes[source].layer, g.Add) and alone(source):
            inner = _match(source, normal, consumers)
            found = replace(inner, name=name) if inner.kind == p.CONV and inner.mode == LINEAR else None
        if found is not None:
            is_relu = layer.kind == "relu" and found.kind == p.CONV
            return replace(found, activation=None if is_relu else layer, activation_of=source,
                           mode=(RELU_OF_SUM if len(found.inputs) > 1 else RELU) if is_relu else LINEAR)
        return _Operation(name, p.ACT, [source], layer, activation=layer, activation_of=source)
    if isinstance(layer, g.Conv) or core(name) or (
            _per_channel(layer, normal.shapes[name]) and isinstance(nodes[node.inputs[0]].layer, g.Conv)
            and alone(node.inputs[0])):
        return _conv(name, name, normal, consumers)
    return _Operation(name, _kind(node, normal), list(node.inputs), layer)


def _per_channel(layer, shape):
    return isinstance(layer, g.Scale) and np.size(layer.scale) in (1, shape[-1]) and np.shape(layer.scale) in (
        (), (1,), (shape[-1],), (1, shape[-1]))


def _folds_forward(name, nodes, consumers):
    """Whether a scale can go into the weights of all that use it."""
    return all(other and isinstance(nodes[other].layer, g.Conv) for other in consumers[name])


def _scaled_source(name, normal, consumers):
    """(node, scale) such that node's difference times scale is the difference of the node of that name."""
    layer, scale = normal.nodes[name].layer, np.float32(1)
    if _per_channel(layer, normal.shapes[name]) and _folds_forward(name, normal.nodes, consumers):
        name, scale = normal.nodes[name].inputs[0], np.asarray(layer.scale, np.float32).reshape(-1)
    return name, scale


def _conv(name, end, normal, consumers):
    """The convolution that ends in node `end` (itself, or the scale after it), as the operation of node `name`."""
    node, after = normal.nodes[end], np.float32(1)
    if isinstance(node.layer, g.Scale):
        after = np.asarray(node.layer.scale, np.float32).reshape(-1)
        node = normal.nodes[node.inputs[0]]
    source, before = _scaled_source(node.inputs[0], normal, consumers)
    weight = node.layer.weight * np.broadcast_to(before, node.layer.weight.shape[1:2])[:, None] * after
    is_first = isinstance(normal.nodes[source].layer, g.Sequence)
    return _Operation(name, p.LOOKUP if is_first else p.CONV, [source], node.layer, weight)


def _kind(node, normal):
    layer, shape = node.layer, normal.shapes[node.name]
    if isinstance(layer, g.Scale):
        return p.SCALE if _per_channel(layer, shape) else p.SCALE_ROWS
    if isinstance(layer, g.Pool):
        return p.MAX_POOL if layer.kind == "max" else p.AVERAGE_POOL
    kinds = {g.Sequence: p.BASE, g.Add: p.ADD, g.Multiply: p.MULTIPLY, g.Concatenate: p.CONCATENATE, g.Crop: p.CROP,
             g.Repeat: p.REPEAT, g.Spread: p.SPREAD, g.Softmax: p.SOFTMAX}
    if type(layer) not in kinds:
        raise UnknownLayer(f"layer {node.name} ({type(layer).__name__}) does not work on rows")
    return kinds[type(layer)]


def _bound(normal, operations):
    """Which rows of each operation's result are needed: from the vectors back to the sequence."""
    needs = {name: [] for name in operations}
    for node in normal.nodes.values():
        if isinstance(node.layer, (g.Summary, g.Flatten)) and node.inputs[0] in needs:
            needs[node.inputs[0]].append((0, normal.shapes[node.inputs[0]][0]))
    for operation in reversed(operations.values()):
        rows = normal.shapes[operation.name][0]
        operation.low = max(0, min(low for low, _ in needs[operation.name]))
        operation.high = min(rows, max(high for _, high in needs[operation.name]))
        operation.high = max(operation.low, operation.high)
        for i, name in enumerate(operation.inputs):
            if name not in operations:  # the sequence, for a lookup
                continue
            same = i == 1 or operation.kind in (p.ADD, p.MULTIPLY, p.CONCATENATE)
            needs[name].append((operation.low, operation.high) if same else _needed(operation, normal))
            source = operations[name]
            if operation.kind == p.CONV and i == 0:
                source.margin = max(source.margin, OVERRUN * operation.layer.stride)


def _needed(operation, normal):
    """Rows of its input that an operation needs."""
    low, high, layer = operation.low, operation.high, operation.layer
    if operation.kind in (p.CONV, p.LOOKUP, p.MAX_POOL, p.AVERAGE_POOL):
        before = g.padded(layer, normal.shapes[operation.inputs[0]][0])[0]
        span = layer.size if isinstance(layer, g.Pool) else (len(layer.weight) - 1) * layer.dilation + 1
        return low * layer.stride - before, (high - 1) * layer.stride - before + span
    if operation.kind == p.CROP:
        return low + layer.before, high + layer.before
    if operation.kind in (p.REPEAT, p.SPREAD):
        return low // layer.times, -(-high // layer.times)
    return low, high


def _merged(normal, operations):
    """Convolutions of the same input that only vectors use, as one: BPNet's heads, of two channels each."""
    used = {name for operation in operations.values() for name in operation.inputs}
    groups, order = {}, []
    for operation in operations.values():
        layer = operation.layer
        key = operation.name
        if operation.kind == p.CONV and len(operation.inputs) == 1 and operation.mode == LINEAR \
                and operation.activation is None and operation.name not in used:
            rows = normal.shapes[operation.inputs[0]][0]
            key = (operation.inputs[0], len(layer.weight), layer.stride, layer.dilation, g.padded(layer, rows),
                   operation.low, operation.high)
        if key not in groups:
            order.append(key)
        groups.setdefault(key, []).append(operation)
    merged = (_merge(groups[key]) for key in order)
    return [_narrow(normal, operation) if operation.name not in used and operation.kind == p.CONV
            and operation.mode == LINEAR and len(operation.inputs) == 1 and operation.activation is None
            else operation for operation in merged]


def _merge(operations):
    first = operations[0]
    if len(operations) > 1:
        channels = np.cumsum([0] + [operation.weight.shape[2] for operation in operations[:-1]])
        first = replace(first, weight=np.concatenate([operation.weight for operation in operations], axis=2),
                        parts={operation.name: int(c) for operation, c in zip(operations, channels, strict=True)})
    return first


def _narrow(normal, operation):
    """Few output channels for many taps would waste registers: all taps of an input row at once, then sums of these.

    In one row of the new kernel's output lie what the input row adds to each of the output rows that it reaches.
    """
    width, n_in, n_out = operation.weight.shape
    before, after = g.padded(operation.layer, normal.shapes[operation.inputs[0]][0])
    if (n_out > LANE // 2 or width < 8 or operation.layer.stride > 1 or operation.layer.dilation > 1
            or not 0 <= before < width or not 0 <= after < width):
        return operation
    weight = operation.weight[::-1].transpose(1, 0, 2).reshape(1, n_in, width * n_out)
    return replace(operation, kind=p.NARROW, weight=weight, margin=width + OVERRUN)


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


def _assemble(normal, operations):
    weights, saved = _Tape(), _Saved(normal)
    none = weights.add([0, 0])
    where, table, can_sleep = {}, [], {}
    for operation in operations:
        row = np.full(len(p.COLUMNS), -1, np.int64)
        names = tuple(operation.parts or [operation.name])
        real = sum(normal.shapes[name][1] for name in names)
        where.update({name: (len(table), operation.parts.get(name, 0), names) for name in names})
        row[[p.OP, p.REAL, p.LOW, p.HIGH, p.MODE, p.MARGIN, p.ALPHA, p.Z]] = (
            operation.kind, real, operation.low, operation.high, operation.mode, operation.margin, none, 0)
        row[p.CHANNELS] = real if operation.kind == p.NARROW else _pad(real)
        row[p.N_ROWS] = normal.shapes[operation.name][0]
        for column, name in zip((p.X, p.X2), operation.inputs, strict=False):
            if name in where:
                row[column] = where[name][0]
        _parameters(row, operation, normal, weights, saved)
        if (operation.kind == p.CONV and operation.mode == RELU and VECTOR == LANE
                and row[p.CHANNELS] == p.SLEEPY_CHANNELS):
            can_sleep[len(table)] = (operation.activation_of, operation.weight)
        table.append(row)
    sinks, columns = _sinks(normal, where, table, saved)
    buffer_size = _place(table)
    n_taps = max([1, *(row[p.WIDTH] for row in table)])
    n_work = max([1, *(_work(row) for row in table)])
    if can_sleep:
        n_work = max(n_work, *(row[p.N_ROWS] for row in table))
    return Program(np.array(table), np.concatenate(weights.parts), sinks, saved.offsets, can_sleep, int(saved.size),
                   buffer_size, int(columns), int(n_taps), int(n_work))


def _work(row):
    """Floats of working space that an operation needs."""
    if row[p.OP] == p.NARROW:
        return p.STEP * _pad(row[p.WIDTH] * row[p.REAL])
    is_softmax = row[p.OP] in (p.SOFTMAX_MEAN, p.LOG_SUM_EXP)
    return 2 * row[p.N_ROWS] * _pad(row[p.REAL]) if is_softmax else 0


def _parameters(row, operation, normal, weights, saved):
    """Fill in what depends on the kind of operation."""
    layer, kind, channels = operation.layer, operation.kind, row[p.CHANNELS]
    row[[p.WIDTH, p.STRIDE, p.DILATION, p.BEFORE]] = 1, 1, 1, 0
    source = operation.inputs[0] if operation.inputs else None
    if kind in (p.CONV, p.NARROW, p.LOOKUP, p.MAX_POOL, p.AVERAGE_POOL):
        row[p.STRIDE], row[p.BEFORE] = layer.stride, g.padded(layer, normal.shapes[source][0])[0]
        row[p.WIDTH] = layer.size if isinstance(layer, g.Pool) else len(layer.weight)
    if kind in (p.CONV, p.NARROW, p.LOOKUP):
        row[p.DILATION] = layer.dilation
        row[p.WEIGHT] = weights.add(packed(operation.weight, kind != p.LOOKUP))
    elif kind == p.MAX_POOL:
        row[p.Z], row[p.Z2] = saved.rows(source, channels), saved.rows(operation.name, channels)
    elif kind == p.AVERAGE_POOL:
        row[p.MODE] = layer.count_padding
    elif kind == p.MULTIPLY:
        row[p.Z], row[p.Z2] = (saved.rows(name, channels) for name in operation.inputs)
    elif kind == p.SOFTMAX:
        row[p.Z], row[p.Z2] = saved.rows(source, channels), saved.rows(operation.name, channels)
    elif kind in (p.SCALE, p.SCALE_ROWS):
        shape = (1 if kind == p.SCALE else row[p.N_ROWS], row[p.REAL])
        scale = np.broadcast_to(np.asarray(layer.scale, np.float32), shape)
        row[p.WEIGHT] = weights.add(np.pad(scale, ((0, 0), (0, channels - row[p.REAL]))))
    elif kind == p.CROP:
        row[p.BEFORE] = layer.before
    elif kind in (p.REPEAT, p.SPREAD):
        row[p.STRIDE] = layer.times
    if operation.activation_of is not None:
        row[p.Z] = saved.rows(operation.activation_of, channels)
    activation = operation.activation
    if activation is not None:
        row[p.ACTIVATION] = g.ACTIVATIONS.index(activation.kind)
        row[p.ALPHA] = weights.add([activation.alpha, activation.beta])


def packed(weight, in_blocks):
    """Weights with channels padded: in column blocks (block, width, in, block's out) for `conv_block`; else for the
    lookup, (in, width from the last, out)."""
    _, n_in, n_out = weight.shape
    if not in_blocks:
        return np.pad(weight[::-1].swapaxes(0, 1), ((0, 0), (0, 0), (0, _pad(n_out) - n_out)))
    weight = np.pad(weight, ((0, 0), (0, _pad(n_in) - n_in), (0, _pad(n_out) - n_out)))
    blocks = [weight[:, :, first:first + width].reshape(-1) for first, width in column_blocks(weight.shape[2])]
    return np.concatenate(blocks)


def _sinks(normal, where, table, saved):
    """One operation for each kind of summary of an operation's rows, and one for each rows that are flattened."""
    sinks, known, column = {}, {}, 0
    for node in normal.nodes.values():
        layer = node.layer
        if not isinstance(layer, (g.Summary, g.Flatten)) or node.inputs[0] not in where:
            continue
        source = node.inputs[0]
        operation, first, names = where[source]
        is_flat = isinstance(layer, g.Flatten)
        kind = p.ROWS_OUT if is_flat else SINKS[layer.kind]
        key = (operation, kind, first if is_flat else 0)
        if key not in known:
            row, made = np.zeros(len(p.COLUMNS), np.int64), table[operation]
            real = normal.shapes[source][1] if is_flat else made[p.REAL]
            row[[p.OP, p.X, p.X2, p.REAL, p.N_ROWS, p.HIGH, p.COLUMN, p.FIRST_CHANNEL]] = (
                kind, operation, -1, real, made[p.N_ROWS], made[p.N_ROWS], column, first if is_flat else 0)
            _keep_for(row, kind, names, made[p.CHANNELS], saved)
            table.append(row)
            known[key] = (len(table) - 1, column)
            column += 0 if is_flat else real
        found, start = known[key]
        sinks[node.name] = Sink(found, source, layer, start + (0 if is_flat else first), normal.shapes[source][1])
    return sinks, column


def _keep_for(row, kind, names, channels, saved):
    """Reference values that a sink needs: see heads.saved_values."""
    rows, real = row[p.N_ROWS], row[p.REAL]
    running = (rows + 1) * real
    if kind == p.MAX:
        row[p.Z] = saved.place(("rows", names), (rows + OVERRUN) * channels)
        row[p.Z2] = saved.place(("max", names), 2 * running)
    elif kind in (p.SOFTMAX_MEAN, p.LOG_SUM_EXP):
        row[p.Z] = saved.place(("centred", names), (rows + OVERRUN) * channels)
        row[p.Z2] = saved.place(("softmax", names), 4 * running)


def _place(table):
    """Give every operation's result a slot that no later result takes before it was last used; the buffer's size."""
    last_use = {}
    for q, row in enumerate(table):
        last_use.update({int(row[c]): q for c in (p.X, p.X2) if row[c] >= 0})
    free, sizes, slot_of = [], [], {}
    for q, row in enumerate(table):
        if row[p.OP] >= p.FIRST_SINK:
            continue
        size = int((row[p.N_ROWS] + 2 * row[p.MARGIN]) * row[p.CHANNELS])
        slot = free.pop() if free else len(sizes)
        sizes[slot:slot + 1] = [max(size, sizes[slot] if slot < len(sizes) else 0)]
        slot_of[q] = slot
        for other in {int(row[p.X]), int(row[p.X2])} - {-1}:
            if last_use[other] == q:
                free.append(slot_of[other])
    starts = np.concatenate([[0], np.cumsum(sizes)])
    for q, slot in slot_of.items():
        table[q][p.SLOT] = starts[slot] + table[q][p.MARGIN] * table[q][p.CHANNELS]
    return int(starts[-1])
