"""How a model's output follows from its graph's: found by value, among what models are known to do.

A model's class may do more than its network: BPNet's returns softmax(profile) exp(counts). What it does is not read
from its code. For a few sequences its arrays are compared with what each known way of reading the graph gives.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import special

from ..exact import Output, graph
from ..models.host.errors import ModelError
from ..models.host.marks import Marks
from ..models.host.summaries import SUMMARIES, summarised
from .unusable import Unusable

TOLERANCE = 1e-4  # of the largest value of an array: what float32 may differ by

# What a class may apply to an output: number by number, or softmax over the last axis
FUNCTIONS = {
    "identity": lambda x: x, "sigmoid": special.expit, "exp": np.exp, "log": np.log, "log1p": np.log1p,
    "expm1": np.expm1, "softplus": lambda x: np.logaddexp(x, 0), "relu": lambda x: np.maximum(x, 0), "tanh": np.tanh,
    "logit": special.logit, "minus": np.negative, "softmax": lambda x: special.softmax(x, axis=-1),
}
# What it may do with counts before it spreads them over a profile's probabilities, and the logarithm of that
COUNTS = {"exp": (np.exp, lambda c: c), "identity": (lambda c: c, np.log),
          "expm1": (np.expm1, lambda c: np.log(np.expm1(c)))}


class Reading(NamedTuple):
    """How one array of a model's output becomes columns.

    Attributes
    ----------
    wanted : list of exact.Output
    nodes : list of graph.Node
        To be added to the graph for them.
    columns : callable
        What the engine gives for each of `wanted`, (n, k) float64, to (n, columns) float64.
    """

    wanted: list[Output]
    nodes: list[graph.Node]
    columns: Callable


def find_readings(read_graph: graph.Graph, values: dict[str, np.ndarray], marks: Marks,
                  arrays: list[np.ndarray]) -> list[Reading]:
    """How each array of a model's output follows from its graph.

    Parameters
    ----------
    read_graph : exact.Graph
    values : dict of str to (n, ...) float64 array
        Its outputs for n sequences.
    marks : models.host.marks.Marks
    arrays : list of (n, ...) array
        What the model returned for them.

    Returns
    -------
    list of Reading

    Raises
    ------
    Unusable
        An array is none of the known functions of the graph's outputs.
    """
    found = []
    for number, ((leaf, names), array) in enumerate(zip(marks.named_leaves(), arrays, strict=True)):
        nearest = sorted(values, key=lambda name: (not leaf.name or leaf.name not in name,
                                                   list(values).index(name) != number))
        ordered = {name: values[name] for name in nearest}
        with np.errstate(all="ignore"):  # functions are tried where they are not defined, too
            reading = _direct(leaf, names, array, ordered) or (_profile if leaf.summary else _columns)(
                leaf, array, ordered)
        if not reading:
            called = f' "{leaf.name}"' if leaf.name else ""
            raise Unusable(f"its output{called} is computed from its network's in a way that is not known")
        found.append(reading)
    return found


def _direct(leaf, names, array, values):
    """An array that is a function of one output."""
    for name, value in values.items():
        if value[0].size != array[0].size:
            continue
        for turn in (lambda x: x, lambda x: x.swapaxes(1, 2))[:value.ndim - 1]:
            for kind, function in FUNCTIONS.items():
                if _distance(function(turn(value)).reshape(array.shape), array) < TOLERANCE:
                    return _read_directly(leaf, names, name, value.shape[1:], turn, kind)
    return None


def _read_directly(leaf, names, name, shape, turn, kind):
    """Columns of an array that is a function of an output of this shape, turned so that marks are the first axis."""
    function = FUNCTIONS[kind]
    if not leaf.summary:
        return Reading([Output(name)], [], lambda parts: function(turn(parts[0].reshape(-1, *shape))).reshape(
            len(parts[0]), -1))
    numbers = np.arange(np.prod(shape)).reshape(1, *shape)
    is_by_position = len(shape) == 2 and np.array_equal(
        leaf.positions(turn(numbers).reshape(1, *leaf.shape)).reshape(numbers.shape), numbers)
    if not is_by_position or kind == "softmax" and not np.array_equal(turn(numbers), numbers):
        return Reading([Output(name)], [], lambda parts: leaf.read(
            function(turn(parts[0].reshape(-1, *shape))).reshape(-1, *leaf.shape), names))
    window = (leaf.window.start, leaf.window.stop) if leaf.window else (0, shape[0])
    if kind == "identity":
        return _summary(leaf, name, window)
    return Reading([Output(name, None, window)], [], lambda parts: leaf.joined(summarised(
        function(parts[0].reshape(len(parts[0]), -1, shape[1])), leaf.summary, names)))


def _summary(leaf, name, window):
    """Columns that summarise the positions of an output as it is."""
    nodes, summary = [], leaf.summary
    if summary == "max":
        return Reading([Output(name, "max", window)], [], lambda parts: leaf.joined(parts[0]))
    wanted = [Output(name, "sum", window)]
    if summary == "profile_mean":
        nodes = [graph.Node(f"{name}/square", graph.Activation("square"), (name,))]
        wanted.append(Output(nodes[0].name, "sum", window))

    def columns(parts):
        total = parts[0]
        if summary == "profile_mean":
            return leaf.joined(parts[1] / total)
        if SUMMARIES[summary][1] and (total <= 0).any():
            raise ModelError(f"--mark_summary {summary}: the sum over positions must be positive")
        if summary == "log_sum":
            return leaf.joined(np.log(total))
        return leaf.joined(total / (window[1] - window[0] if summary == "mean" else 1))

    return Reading(wanted, nodes, columns)


def _profile(leaf, array, values):
    """An array that is softmax(profile) over positions, times a function of counts: BPNet's expected counts."""
    positions = leaf.positions(array)
    positions = positions if positions.ndim == 3 else positions[..., None]
    for name, value in values.items():
        if value.shape != positions.shape:
            continue
        shares = special.softmax(value, axis=1)
        if _distance(shares, positions) < TOLERANCE:
            return _spread(leaf, name, None, value.shape[1:])
        for other, counts in values.items():
            if counts.ndim == 2 and counts.shape[1] in (1, value.shape[2]):
                for kind, (expected, _) in COUNTS.items():
                    if _distance(shares * expected(counts)[:, None], positions) < TOLERANCE:
                        return _spread(leaf, name, (other, kind), value.shape[1:])
    return None


def _spread(leaf, profile, counts, shape):
    """Columns that summarise softmax(profile) times counts; log_sum_exp and max of profiles are all that they need.

    With z = log_sum_exp of the profile over all positions, w over the window: the sum is counts exp(w - z), the maximum
    counts exp(max - z), and the mean weighted by the profile itself counts exp(log_sum_exp(2 profile) - w - z).
    """
    window = leaf.window and (leaf.window.start, leaf.window.stop)
    wanted, nodes = {"counts": Output(counts[0])} if counts else {}, []
    if window:
        wanted["w"] = Output(profile, "log_sum_exp", window)
    if window or leaf.summary in ("max", "profile_mean") or not counts:
        wanted["z"] = Output(profile, "log_sum_exp")
    if leaf.summary == "max":
        wanted["max"] = Output(profile, "max", window)
    if leaf.summary == "profile_mean":
        nodes = [graph.Node(f"{profile}/twice", graph.Scale(np.float32(2), np.float32(0)), (profile,))]
        wanted["twice"] = Output(nodes[0].name, "log_sum_exp", window)
    n_counted = window[1] - window[0] if window else shape[0]

    def columns(parts):
        part = dict(zip(wanted, parts, strict=True))
        z = part.get("z", 0.0)
        w = part.get("w", z)
        log = part["max"] - z if "max" in part else part["twice"] - w - z if "twice" in part else w - z
        if counts:
            log = log + COUNTS[counts[1]][1](part["counts"])
        log = np.broadcast_to(log, (len(parts[0]), shape[1]))
        if leaf.summary == "log_sum":
            return leaf.joined(log)
        return leaf.joined(np.exp(log) / (n_counted if leaf.summary == "mean" else 1))

    return Reading(list(wanted.values()), nodes, columns)


def _columns(leaf, array, values):
    """An array without positions, each of whose columns is a function of one number of the graph."""
    given = array.reshape(len(array), -1)
    candidates, sources = _numbers(values)
    chosen = []
    for column in given.T:
        best = min(((_distances(function(candidates), column), function) for kind, function in FUNCTIONS.items()
                    if kind != "softmax"), key=lambda pair: pair[0].min())
        if best[0].min() > TOLERANCE:
            return None
        chosen.append((sources[int(best[0].argmin())], best[1]))
    wanted = list(dict.fromkeys((name, summary) for (name, summary, _), _ in chosen))

    def columns(parts):
        part = dict(zip(wanted, parts, strict=True))
        return np.stack([function(part[name, summary].mean(1) if column is None else part[name, summary][:, column])
                         for (name, summary, column), function in chosen], axis=1)

    return Reading([Output(*key) for key in wanted], [], columns)


def _numbers(values):
    """All numbers of the graph's outputs: (n, m), and for each the output, the summary and the column (None: mean)."""
    candidates, sources = [], []
    for name, value in values.items():
        for summary, numbers in [(None, value)] if value.ndim == 2 else _summaries(value):
            candidates.append(numbers)
            sources += [(name, summary, column) for column in range(numbers.shape[1])]
            if numbers.shape[1] > 1:
                candidates.append(numbers.mean(1, keepdims=True))
                sources.append((name, summary, None))
    return np.concatenate(candidates, axis=1), sources


def _summaries(value):
    total = special.logsumexp(value, axis=1)
    return [("average", value.mean(1)), ("sum", value.sum(1)), ("max", value.max(1)), ("log_sum_exp", total),
            ("softmax_mean", (special.softmax(value, axis=1) * value).sum(1))]


def _distance(found, given):
    """Largest difference of two arrays over the largest number; infinite where one is not finite."""
    return float(_distances(found.reshape(-1, 1), given.reshape(-1))[0])


def _distances(found, given):
    """`_distance` of each column of (n, m) from (n,)."""
    with np.errstate(invalid="ignore"):
        distance = np.abs(found - given[:, None]).max(0) / max(np.abs(given).max(), 1e-30)
    return np.where(np.isfinite(distance), distance, np.inf)
