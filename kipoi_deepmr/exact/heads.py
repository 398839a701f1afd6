"""What follows the rows: vectors, for a batch of mutants at once, by BLAS."""

import numpy as np

from . import graph as g
from .assembly import OVERRUN, Program
from .normal import Normal
from .reference import apply, times


class Heads:
    """The vector nodes of a normal graph, for one program."""

    def __init__(self, normal: Normal, program: Program):
        self._normal, self._program = normal, program
        self._nodes = [node for node in normal.nodes.values() if not normal.is_rows(node.name)]
        through = {name: [node for node in self._nodes if name in node.inputs] for name in program.sinks}
        self._skipped = {name for name, users in through.items() if isinstance(program.sinks[name].layer, g.Flatten)
                         and name not in normal.outputs and all(isinstance(user.layer, g.Dense) for user in users)}
        self._weights = {node.name: self._by_rows(node) for node in self._nodes
                         if isinstance(node.layer, g.Dense) and node.inputs[0] in self._skipped}

    def _by_rows(self, node):
        """Weights of a dense layer after Flatten as (rows, channels, out)."""
        rows, channels = self._normal.shapes[self._normal.nodes[node.inputs[0]].inputs[0]]
        weight, n_out = np.asarray(node.layer.weight, np.float32), node.layer.weight.shape[1]
        if self._normal.nodes[node.inputs[0]].layer.channels_first:
            return np.ascontiguousarray(weight.reshape(channels, rows, n_out).transpose(1, 0, 2))
        return weight.reshape(rows, channels, n_out)

    def outputs(self, reference: dict[str, np.ndarray], sums: np.ndarray, rows: np.ndarray,
                spans: dict[int, tuple[int, int, int]]) -> np.ndarray:
        """Values of the outputs of a batch of mutants of each of some sequences.

        Parameters
        ----------
        reference : dict of str to float64 array
            Values of all nodes for the reference sequences, (sequence, ...).
        sums : (sequence, mutant, column) float64
            Differences of summaries.
        rows : (sequence, mutant, column) float32
            Differences of flattened rows.
        spans : dict of int to (int, int, int)
            By a sink's row of the program: its first column in `rows`, and the rows [first, last) that it holds.

        Returns
        -------
        (sequence, mutant, output) float64
        """
        values = {}
        for node in self._nodes:
            if isinstance(node.layer, g.Constant):
                values[node.name] = reference[node.name]
            elif node.name in self._program.sinks:
                if node.name not in self._skipped:
                    values[node.name] = reference[node.name][..., None, :] + self._sink(node, sums, rows, spans)
            elif node.name in self._weights:
                values[node.name] = reference[node.name][..., None, :] + self._changed(node, rows, spans)
            else:
                values[node.name] = apply(node.layer, [values[name] for name in node.inputs])
        return np.concatenate([np.broadcast_to(values[name], (*sums.shape[:2], values[name].shape[-1]))
                               for name in self._normal.outputs], axis=-1)

    def _sink(self, node, sums, rows, spans):
        """Differences of a vector that leaves the rows."""
        sink = self._program.sinks[node.name]
        if not isinstance(sink.layer, g.Flatten):
            change = sums[..., sink.column:sink.column + sink.width]
            is_average = isinstance(sink.layer, g.Summary) and sink.layer.kind == "average"
            return change / self._normal.shapes[sink.source][0] if is_average else change
        column, first, last = spans[sink.operation]
        shape, lead = self._normal.shapes[sink.source], rows.shape[:-1]
        change = np.zeros((*lead, *shape))
        change[..., first:last, :] = rows[..., column:column + (last - first) * shape[1]].reshape(*lead, -1, shape[1])
        return apply(sink.layer, [change])

    def _changed(self, node, rows, spans):
        """Differences of a dense layer after Flatten, from the rows that changed."""
        sink = self._program.sinks[node.inputs[0]]
        column, first, last = spans[sink.operation]
        weight = self._weights[node.name]
        weight = weight[first:last].reshape(-1, weight.shape[2])
        return times(rows[..., column:column + len(weight)], weight)


def saved_values(program: Program, normal: Normal, values: dict[str, np.ndarray], n: int) -> np.ndarray:
    """The values of n references as the interpreter takes them: (n, size) float32, see program.Program.saved."""
    z = np.zeros((n, program.z_size), np.float32)
    ends = sorted([*program.saved.values(), program.z_size])
    for (kind, names), offset in program.saved.items():
        value = np.concatenate([np.broadcast_to(values[name], (n, *normal.shapes[name])) for name in names], axis=-1)
        size = ends[ends.index(offset) + 1] - offset
        if kind in ("rows", "centred"):
            length, real = value.shape[1:]
            channels = size // (length + OVERRUN)
            place = z[:, offset:offset + length * channels].reshape(n, length, channels)
            place[..., :real] = value if kind == "rows" else value - value.max(1, keepdims=True)
        else:
            parts = (_running_maxima(value) if kind == "max" else _attended(value) if kind == "attend"
                     else _running_sums(value - value.max(1, keepdims=True)))
            z[:, offset:offset + size] = np.concatenate([part.reshape(n, -1) for part in parts], axis=1)
    return z


def _running_maxima(value):
    """Maxima of the rows before each row, and from each row on; before the first and after the last -inf."""
    nothing = np.full_like(value[:, :1], -np.inf)
    return [np.concatenate([nothing, np.maximum.accumulate(value, 1)], axis=1),
            np.concatenate([np.maximum.accumulate(value[:, ::-1], 1)[:, ::-1], nothing], axis=1)]


def _attended(value):
    """Of an `Attend`: the logits less their largest, the values, and running sums of exp(logits) and of that times the
    values."""
    logits, values = np.split(value, 2, axis=-1)
    logits = logits - logits.max(1, keepdims=True)
    return [logits, values, *_running_sums(logits, values)]


def _running_sums(value, weighted=None):
    """Sums of e = exp(value), then of e * weighted (or value), of the rows before each row and from each row on."""
    sums, nothing = [], np.zeros_like(value[:, :1])
    for each in (np.exp(value), np.exp(value) * (value if weighted is None else weighted)):
        sums += [np.concatenate([nothing, each.cumsum(1)], axis=1),
                 np.concatenate([each[:, ::-1].cumsum(1)[:, ::-1], nothing], axis=1)]
    return sums
