"""Rows that no output sees, between the rows that one does: what a dilated convolution before few outputs steps over.

Of a network for one position whose last layers have dilation 25 (SpliceAI), every 25th row of these layers counts.
Such layers are replaced by the same on every 25th row: their dilation is 1 then, and the step the stride of the
convolution before them.
"""

from collections.abc import Sequence
from dataclasses import replace
from math import gcd, lcm

import numpy as np

from . import graph as g

PLAIN = (g.Scale, g.Activation, g.Softmax, g.Add, g.Multiply, g.Concatenate)  # whose row t is made of rows t


def thinned(nodes: list[g.Node], shapes: dict[str, tuple], outputs: Sequence[str]) -> list[g.Node]:
    """The nodes of a normal graph with rows that are needed only; changes `shapes` with them.

    Parameters
    ----------
    nodes : list of Node
        Each after its inputs.
    shapes : dict of str to tuple
    outputs : tuple of str

    Returns
    -------
    list of Node
    """
    steps = _steps(nodes, shapes, outputs)
    result = []
    for node in nodes:
        step, phase = steps.get(node.name, (1, 0))
        layer = node.layer
        if len(shapes[node.name]) == 2 and not isinstance(layer, (g.Constant, g.Sequence)):
            n_out = len(range(phase, shapes[node.name][0], step))
            inputs = [steps.get(name, (1, 0)) for name in node.inputs]
            if isinstance(layer, g.Conv) and max(step, inputs[0][0]) > 1:
                layer = _conv(layer, len(range(inputs[0][1], _length(node, shapes), inputs[0][0])),
                              g.padded(layer, _length(node, shapes))[0], step, phase, *inputs[0], n_out)
            elif isinstance(layer, PLAIN + (g.Crop,)) and step > 1 or any(each != (1, 0) for each in inputs):
                node, layer = _plain(node, layer, step, phase, inputs, n_out, shapes, result)
        result.append(replace(node, layer=layer))
    for name, (step, phase) in steps.items():
        if name in shapes and len(shapes[name]) == 2:
            shapes[name] = len(range(phase, shapes[name][0], step)), shapes[name][1]
    return result


def _length(node, shapes):
    return shapes[node.inputs[0]][0]


def _steps(nodes, shapes, outputs):
    """(step, phase) of the rows that are needed, by node; those of other nodes than rows are not there."""
    needs = {}  # step 0: one row

    def need(name, step, phase):
        if name in needs:
            step, phase = gcd(needs[name][0], step, abs(needs[name][1] - phase)), phase
        needs[name] = step, phase % step if step else phase

    for node in reversed(nodes):
        if len(shapes[node.name]) == 1:
            for name in node.inputs:
                if len(shapes[name]) == 2:
                    need(name, 1 if shapes[name][0] > 1 else 0, 0)
            continue
        if node.name in outputs:
            need(node.name, 1, 0)
        step, phase = needs[node.name]
        layer = node.layer
        if isinstance(layer, g.Conv) and layer.stride == 1:
            dilation = layer.dilation if len(layer.weight) > 1 else 0
            need(node.inputs[0], gcd(step, dilation), phase - g.padded(layer, _length(node, shapes))[0])
        elif isinstance(layer, g.Crop):
            need(node.inputs[0], step, phase + layer.before)
        elif isinstance(layer, PLAIN):
            for name in node.inputs:
                need(name, step, phase)
        else:
            needs[node.name] = 1, 0
            for name in node.inputs:
                need(name, 1, 0)
    return _settled(nodes, needs)


def _settled(nodes, needs):
    """Where one row is needed, it is taken as one of those that its input's step gives."""
    steps = {}
    for node in nodes:
        if node.name not in needs:
            continue
        step, phase = needs[node.name]
        if step == 0:
            step = lcm(*(steps[name][0] for name in node.inputs if name in steps))
            phase = phase % step
        if isinstance(node.layer, (g.Sequence, g.Constant)):
            step, phase = 1, 0
        steps[node.name] = step, phase
    return steps


def _conv(layer, n_in, before, step, phase, step_in, phase_in, n_out):
    """The convolution from every step_in-th row to every step-th."""
    stride, dilation = step // step_in, max(1, layer.dilation // step_in)
    first = -((phase - before - phase_in) // step_in)
    span = (len(layer.weight) - 1) * dilation + 1
    after = (n_out - 1) * stride + span - first - n_in
    return replace(layer, stride=stride, dilation=dilation, padding=(first, after))


def _plain(node, layer, step, phase, inputs, n_out, shapes, result):
    """A layer on rows, with those of its inputs that it does not need left out before it."""
    names = []
    for name, (step_in, phase_in) in zip(node.inputs, inputs, strict=True):
        rows = len(range(phase_in, shapes[name][0], step_in))
        start = phase + (layer.before if isinstance(layer, g.Crop) else 0) - phase_in
        names.append(_taken(f"{node.name}/{name}", name, rows, start // step_in, step // step_in, n_out, shapes,
                            result))
    if isinstance(layer, g.Crop):
        layer = g.Crop(0, 0)
    if isinstance(layer, g.Scale):
        layer = g.Scale(*(value[phase::step] if np.ndim(value) == 2 and len(value) > 1 else value
                          for value in (layer.scale, layer.shift)))
    return replace(node, inputs=tuple(names)), layer


def _taken(prefix, name, rows, start, step, n_out, shapes, result):
    """Rows start, start + step ... of a node: n_out of them."""
    channels = shapes[name][1]
    end = start + (n_out - 1) * step + 1
    if start or end != rows:
        result.append(g.Node(f"{prefix}/cut", g.Crop(start, rows - end), (name,)))
        name, shapes[f"{prefix}/cut"] = f"{prefix}/cut", (end - start, channels)
    if step > 1:
        result.append(g.Node(f"{prefix}/thin", g.Pool("average", 1, step), (name,)))
        name, shapes[f"{prefix}/thin"] = f"{prefix}/thin", (n_out, channels)
    return name
