"""A normal graph as operations on rows, from which assembly.py makes the program that propagate.py runs.

Only differences are computed, so that biases and shifts vanish and scales go into the weights of convolutions. A
convolution takes its activation and a residual sum with it. Only rows are in the program: vectors are for heads.py.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from . import graph as g
from .assembly import OVERRUN, SINKS, Program, assemble
from .errors import UnknownLayer
from .instructions import Kind
from .kernels import LANE, LINEAR, RELU, RELU_OF_SUM
from .normal import Normal

_KINDS = {g.Sequence: Kind.BASE, g.Add: Kind.ADD, g.Multiply: Kind.MULTIPLY, g.Concatenate: Kind.CONCATENATE,
          g.Crop: Kind.CROP, g.Repeat: Kind.REPEAT, g.Spread: Kind.SPREAD, g.Softmax: Kind.SOFTMAX,
          g.Reverse: Kind.REVERSE, g.Fold: Kind.FOLD, g.Unfold: Kind.UNFOLD}


@dataclass(eq=False)
class Operation:
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


def build(normal: Normal) -> Program:
    """Program for a normal graph.

    Raises
    ------
    UnknownLayer
        An operation on rows that the interpreter does not have.
    """
    consumers = _consumers(normal)
    operations = _operations(normal, consumers)
    _bound(normal, operations)
    return assemble(normal, _merged(normal, operations))


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
    operations = {}
    needed = {node.inputs[0] for node in normal.nodes.values() if isinstance(node.layer, SINKS)
              and not isinstance(normal.nodes[node.inputs[0]].layer, g.Constant)}
    for name in reversed(normal.nodes):
        if name in needed:
            operations[name] = _match(name, normal, consumers)
            if operations[name].kind != Kind.LOOKUP:
                needed.update(operations[name].inputs)
    return dict(reversed(operations.items()))


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
            operation = _conv(name, before, normal, consumers) if core(before) else None
            if operation is not None and operation.kind == Kind.CONV:
                return replace(operation, inputs=[*operation.inputs, residual], mode=RELU if is_relu else LINEAR,
                               activation_of=before if is_relu else None)
    if isinstance(layer, g.Activation):
        source = node.inputs[0]
        operation = None
        if core(source):
            operation = _conv(name, source, normal, consumers)
        elif isinstance(nodes[source].layer, g.Add) and alone(source):
            inner = _match(source, normal, consumers)
            operation = replace(inner, name=name) if inner.kind == Kind.CONV and inner.mode == LINEAR else None
        if operation is not None:
            is_relu = layer.kind == "relu" and operation.kind == Kind.CONV
            return replace(operation, activation=None if is_relu else layer, activation_of=source,
                           mode=(RELU_OF_SUM if len(operation.inputs) > 1 else RELU) if is_relu else LINEAR)
        return Operation(name, Kind.ACT, [source], layer, activation=layer, activation_of=source)
    if isinstance(layer, g.Conv) or core(name) or (
            _per_channel(layer, normal.shapes[name]) and isinstance(nodes[node.inputs[0]].layer, g.Conv)
            and alone(node.inputs[0])):
        return _conv(name, name, normal, consumers)
    return Operation(name, _kind(node, normal), list(node.inputs), layer)


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
    return Operation(name, Kind.LOOKUP if is_first else Kind.CONV, [source], node.layer, weight)


def _kind(node, normal):
    layer, shape = node.layer, normal.shapes[node.name]
    if isinstance(layer, g.Scale):
        return Kind.SCALE if _per_channel(layer, shape) else Kind.SCALE_ROWS
    if isinstance(layer, g.Pool):
        return Kind.MAX_POOL if layer.kind == "max" else Kind.AVERAGE_POOL
    if type(layer) not in _KINDS:
        raise UnknownLayer(f"layer {node.name} ({type(layer).__name__}) does not work on rows")
    return _KINDS[type(layer)]


def _bound(normal, operations):
    """Which rows of each operation's result are needed: from the vectors back to the sequence."""
    needs = {name: [] for name in operations}
    for node in normal.nodes.values():
        if isinstance(node.layer, SINKS) and node.inputs[0] in needs:
            needs[node.inputs[0]].append((0, normal.shapes[node.inputs[0]][0]))
    for operation in reversed(operations.values()):
        rows = normal.shapes[operation.name][0]
        operation.low = max(0, min(low for low, _ in needs[operation.name]))
        operation.high = min(rows, max(high for _, high in needs[operation.name]))
        operation.high = max(operation.low, operation.high)
        for i, name in enumerate(operation.inputs):
            if name not in operations:  # the sequence, for a lookup
                continue
            same = i == 1 or operation.kind in (Kind.ADD, Kind.MULTIPLY, Kind.CONCATENATE)
            needs[name].append((operation.low, operation.high) if same else _needed(operation, normal))
            source = operations[name]
            if operation.kind == Kind.CONV and i == 0:
                source.margin = max(source.margin, OVERRUN * operation.layer.stride)


def _needed(operation, normal):
    """Rows of its input that an operation needs."""
    low, high, layer = operation.low, operation.high, operation.layer
    if operation.kind in (Kind.CONV, Kind.LOOKUP, Kind.MAX_POOL, Kind.AVERAGE_POOL):
        before = g.padded(layer, normal.shapes[operation.inputs[0]][0])[0]
        return low * layer.stride - before, (high - 1) * layer.stride - before + g.span_of(layer)
    if operation.kind == Kind.CROP:
        return low + layer.before, high + layer.before
    if operation.kind == Kind.REVERSE:
        rows = normal.shapes[operation.name][0]
        return rows - high, rows - low
    if operation.kind == Kind.FOLD:
        return low * layer.times, high * layer.times
    if operation.kind in (Kind.REPEAT, Kind.SPREAD, Kind.UNFOLD):
        return low // layer.times, -(-high // layer.times)
    return low, high


def _merged(normal, operations):
    """Convolutions of the same input that only vectors use, as one: BPNet's heads, of two channels each."""
    used = {name for operation in operations.values() for name in operation.inputs}
    groups, order = {}, []
    for operation in operations.values():
        layer = operation.layer
        key = operation.name
        if operation.kind == Kind.CONV and len(operation.inputs) == 1 and operation.mode == LINEAR \
                and operation.activation is None and operation.name not in used:
            rows = normal.shapes[operation.inputs[0]][0]
            key = (operation.inputs[0], len(layer.weight), layer.stride, layer.dilation, g.padded(layer, rows),
                   operation.low, operation.high)
        if key not in groups:
            order.append(key)
        groups.setdefault(key, []).append(operation)
    merged = (_merge(groups[key]) for key in order)
    return [_narrow(normal, operation) if operation.name not in used and operation.kind == Kind.CONV
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
    return replace(operation, kind=Kind.NARROW, weight=weight, margin=width + OVERRUN)
