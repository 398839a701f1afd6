"""A graph in normal form for one sequence length: fewer kinds of layer, nothing that does not do anything."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from . import graph as g
from .errors import UnknownLayer
from .reference import LARGE, evaluate
from .thinning import thinned


@dataclass(frozen=True, eq=False)
class Normal:
    """What `normalise` returns.

    Attributes
    ----------
    nodes : dict of str to Node
        By name, each after its inputs. What does not depend on the sequence is a `Constant`.
    shapes : dict of str to tuple
    outputs : tuple of str
        The nodes that hold the outputs asked for, in that order.
    """

    nodes: dict
    shapes: dict
    outputs: tuple

    def is_rows(self, name: str) -> bool:
        """Whether a node's value changes with the sequence and has positions."""
        return len(self.shapes[name]) == 2 and not isinstance(self.nodes[name].layer, g.Constant)


def normalise(graph: g.Graph, outputs: Sequence[str], length: int) -> Normal:
    """The part of a graph that some outputs need, in normal form.

    Transposed convolutions become convolutions (of spread rows, where strided), sums and products with constants become
    `Scale`, sums and products of several inputs a chain of two, and identities vanish.

    Raises
    ------
    UnknownLayer
        A sum, product or concatenation mixes what the engine keeps apart: rows with vectors, or different shapes.
    """
    needed = graph.ancestors(outputs)
    shapes = g.shapes(needed, length)
    nodes, names = {}, {}  # names: of a node of the graph to that of the node which holds its value here

    def add(node):
        nodes[node.name] = node
        shapes[node.name] = g.shape_of(node.layer, [shapes[name] for name in node.inputs], length)

    for node in needed:
        inputs = tuple(names[name] for name in node.inputs)
        names[node.name] = node.name
        constant = [isinstance(nodes[name].layer, g.Constant) for name in inputs]
        if inputs and all(constant):
            parts = [nodes[name] for name in inputs]
            value = evaluate([*parts, replace(node, inputs=inputs)], shapes, None)[node.name]
            add(g.Node(node.name, g.Constant(value, value.shape)))
        elif _is_identity(node.layer):
            names[node.name] = inputs[0]
        elif isinstance(node.layer, (g.Add, g.Multiply)):
            names[node.name] = _join(node, inputs, constant, nodes, shapes, add)
        elif isinstance(node.layer, g.Concatenate):
            _concatenate(node, inputs, constant, shapes, add)
        elif isinstance(node.layer, g.ConvTranspose):
            _transpose(node, inputs[0], shapes, add)
        elif (isinstance(node.layer, g.Dense) and isinstance(nodes[inputs[0]].layer, g.Flatten)
                and node.layer.weight.size <= LARGE):
            _dense_on_rows(node, nodes[inputs[0]], shapes, add)
        else:
            add(g.Node(node.name, _in_float64(node.layer), inputs))
    outputs = tuple(names[name] for name in outputs)
    needed = g.Graph(tuple(nodes.values()), outputs).ancestors(outputs)
    needed = thinned(needed, shapes, outputs)
    return Normal({node.name: node for node in needed}, shapes, outputs)


def _in_float64(layer):
    """The layer with its weights in the precision that they are multiplied in, once and for all."""
    if isinstance(layer, g.Conv) or isinstance(layer, g.Dense) and layer.weight.size <= LARGE:
        return replace(layer, weight=layer.weight.astype(np.float64))
    return layer


def _is_identity(layer):
    return (isinstance(layer, g.Dropout) or isinstance(layer, g.Activation) and layer.kind == "linear"
            or isinstance(layer, g.Crop) and layer.before == layer.after == 0
            or isinstance(layer, g.Repeat) and layer.times == 1)


def _join(node, inputs, constant, nodes, shapes, add):
    """Sum or product of any number of inputs, with the constants among them as one `Scale` at the end."""
    is_sum, shape = isinstance(node.layer, g.Add), shapes[node.name]
    moving = [name for name, fixed in zip(inputs, constant, strict=True) if not fixed]
    fixed = [nodes[name].layer.value for name, fixed in zip(inputs, constant, strict=True) if fixed]
    if len({len(shapes[name]) for name in inputs}) > 1 or any(shapes[name] != shape for name in moving):
        raise UnknownLayer(f"layer {node.name} joins values of shapes {[shapes[name] for name in inputs]}")
    total = moving[0]
    for i, name in enumerate(moving[1:]):
        is_last = i == len(moving) - 2 and not fixed
        joined = g.Node(node.name if is_last else f"{node.name}/{i}", node.layer, (total, name))
        add(joined)
        total = joined.name
    if fixed:
        value = sum(fixed) if is_sum else np.prod(fixed, axis=0) if len(fixed) > 1 else fixed[0]
        value = np.asarray(value, np.float32)
        add(g.Node(node.name, g.Scale(np.float32(1), value) if is_sum else g.Scale(value, np.float32(0)), (total,)))
        total = node.name
    return total


def _concatenate(node, inputs, constant, shapes, add):
    if len(shapes[node.name]) == 1:
        add(replace(node, inputs=inputs))
        return
    if any(constant):
        raise UnknownLayer(f"layer {node.name} concatenates rows with a constant")
    total = inputs[0]
    for i, name in enumerate(inputs[1:]):
        last = i == len(inputs) - 2
        add(g.Node(node.name if last else f"{node.name}/{i}", node.layer, (total, name)))
        total = node.name if last else f"{node.name}/{i}"


def _dense_on_rows(node, flatten, shapes, add):
    """A small dense layer after Flatten is a convolution as wide as its input, whose taps are the changed rows."""
    (source,), weight = flatten.inputs, node.layer.weight.astype(np.float64)
    rows, channels = shapes[source]
    kernel = (weight.reshape(channels, rows, -1).swapaxes(0, 1) if flatten.layer.channels_first
              else weight.reshape(rows, channels, -1))
    add(g.Node(f"{node.name}/rows", g.Conv(kernel, node.layer.bias), (source,)))
    add(g.Node(node.name, g.Summary("sum"), (f"{node.name}/rows",)))


def _transpose(node, source, shapes, add):
    """Spread rows correlated with the kernel turned round."""
    layer = node.layer
    before, after = g.cropped(layer, shapes[source][0])
    if layer.stride > 1:
        add(g.Node(f"{node.name}/spread", g.Spread(layer.stride), (source,)))
        source = f"{node.name}/spread"
    reach = len(layer.weight) - 1
    padding = (reach - before, reach - after)
    weight = np.ascontiguousarray(layer.weight[::-1], np.float64)
    add(g.Node(node.name, g.Conv(weight, layer.bias, padding=padding), (source,)))
