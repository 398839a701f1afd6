"""Outputs of a split graph: from the activations at the cut through its `rest`, and as they are asked for."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from . import graph as g
from .reference import apply, evaluate, summarised


class AfterCut:
    """What a split graph computes of the activations at its cut.

    Parameters
    ----------
    graph : Graph
        With a `rest`.
    outputs : list of engine.Output
    length : int

    Attributes
    ----------
    before : Graph
        What comes before the cut.
    cut : list of str
        Nodes whose values are needed of it.
    """

    def __init__(self, graph: g.Graph, outputs: Sequence, length: int):
        self._rest, self._outputs, after = graph.rest, outputs, set(graph.rest.outputs)
        self._nodes = []
        for node in graph.nodes:
            if after.intersection(node.inputs):
                after.add(node.name)
                self._nodes.append(node)
        known = [output.name for output in outputs if output.name not in after]
        known += [name for node in self._nodes for name in node.inputs if name not in after]
        self.cut = list(dict.fromkeys([tensor.node for tensor in graph.rest.inputs] + known))
        self.before = replace(graph, nodes=tuple(node for node in graph.nodes if node.name not in after),
                              outputs=tuple(self.cut), rest=None)
        shapes = g.shapes(self.before.ancestors(self.cut), length)
        self._shapes = {name: shapes[name] for name in self.cut}

    def __call__(self, flat: np.ndarray) -> np.ndarray:
        """Columns of the outputs for a batch.

        Parameters
        ----------
        flat : (n, values) array
            Of the nodes of `cut`, one after the other, position by position.

        Returns
        -------
        (n, columns) float64
        """
        ends = np.cumsum([np.prod(shape) for shape in self._shapes.values()])
        parts = np.split(flat, ends[:-1], axis=1)
        values = {name: part.reshape(-1, *shape) for (name, shape), part in zip(self._shapes.items(), parts,
                                                                                strict=True)}
        values.update(self._rest.values(values))
        for node in self._nodes:
            values[node.name] = apply(node.layer, [values[name] for name in node.inputs])
        return np.concatenate([_columns(values[output.name].astype(np.float64), output) for output in self._outputs],
                              axis=1)


def _columns(value, output):
    if value.ndim == 3 and output.window:
        value = value[:, output.window[0]:output.window[1]]
    if value.ndim == 3 and output.summary:
        return summarised(output.summary, value)
    return value.reshape(len(value), -1)


def outputs_of(graph: g.Graph, one_hot: np.ndarray) -> dict[str, np.ndarray]:
    """All outputs of a graph for some sequences.

    Parameters
    ----------
    graph : Graph
    one_hot : (n, L, 4) array
        Letters in the order of the graph's alphabet.

    Returns
    -------
    dict of str to (n, ...) float64 array
        (n, positions, channels), or (n, k).
    """
    at_cut = [tensor.node for tensor in graph.rest.inputs] if graph.rest else []
    wanted = [*graph.outputs, *at_cut]
    needed = graph.ancestors(wanted)
    shapes = g.shapes(needed, one_hot.shape[1])
    found = [evaluate(needed, shapes, each, wanted) for each in one_hot]
    values = {name: np.stack([each[name] for each in found]) for name in wanted if name in shapes}
    if graph.rest:
        values.update(graph.rest.values(values))
    return {name: values[name].astype(np.float64) for name in graph.outputs}
