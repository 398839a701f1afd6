"""How a model's output follows from its graph's: found by value, among what models are known to do.

A model's class may do more than its network: BPNet's returns softmax(profile) exp(counts). What it does is not read
from its code. For a few sequences its arrays are compared with what each known way of reading the graph gives.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import special

from ..exact import Output, graph
from ..models.host.axes import MARKS, POSITIONS, STRANDS
from ..models.host.errors import ModelError
from ..models.host.marks import Marks
from ..models.host.pairs import Expected
from ..models.host.summaries import SUMMARIES
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
    """How columns of a model's output follow from its graph.

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
    """How the columns of a model's output follow from its graph.

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
        One for each of `marks.readers`.

    Raises
    ------
    Unusable
        An array is none of the known functions of the graph's outputs.
    """
    found = []
    for reader, names in marks.named_readers():
        with np.errstate(all="ignore"):  # functions are tried where they are not defined, too
            reading = (_expected if isinstance(reader, Expected) else _of_array)(reader, names, arrays, values)
        if not reading:
            called = f' "{reader.name}"' if reader.name else ""
            raise Unusable(f"its output{called} is computed from its network's in a way that is not known")
        found.append(reading)
    return found


def _of_array(leaf, names, arrays, values):
    """The reading of columns of one array; outputs of its name, then of its number, are tried first."""
    array = arrays[leaf.number]
    nearest = sorted(values, key=lambda name: (not leaf.name or leaf.name not in name,
                                               list(values).index(name) != leaf.number))
    ordered = {name: values[name] for name in nearest}
    direct = _direct(leaf, names, array, ordered)
    return direct or (_profile(leaf, array, ordered) if leaf.summary else _columns(leaf, names, array, ordered))


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
    numbers = np.arange(np.prod(shape)).reshape(1, *shape)
    is_by_position = leaf.summary and len(shape) == 2 and np.array_equal(
        leaf.canonical(turn(numbers).reshape(1, *leaf.shape)).reshape(numbers.shape), numbers)
    if not is_by_position or kind == "softmax" and not np.array_equal(turn(numbers), numbers):
        return Reading([Output(name)], [], lambda parts: leaf.of_array(
            function(turn(parts[0].reshape(-1, *shape))).reshape(-1, *leaf.shape), names))
    window = leaf.window or (0, shape[0])
    if kind == "identity":
        return _summary(leaf, name, window)
    by_strand = (-1, leaf.size(MARKS), leaf.size(STRANDS))
    return Reading([Output(name, None, window)], [], lambda parts: leaf.of_positions(
        function(parts[0].reshape(len(parts[0]), -1, shape[1])).reshape(len(parts[0]), *by_strand), names))


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
        total, *squares = (_by_strand(leaf, part) for part in parts)
        if SUMMARIES[summary][1] and (total <= 0).any():
            raise ModelError(f"--mark_summary {summary}: the sum over positions must be positive")
        if summary == "profile_mean":
            return (squares[0] / total).mean(2)
        if summary == "log_sum":
            return np.log(total).mean(2)
        return (total / (window[1] - window[0] if summary == "mean" else 1)).mean(2)

    return Reading(wanted, nodes, columns)


def _by_strand(reader, numbers):
    """Of one number for each mark and strand those of the marks that are columns: (n, marks, strands)."""
    n_marks = reader.size(MARKS)
    by_strand = numbers.reshape(len(numbers), n_marks, -1)
    return by_strand if reader.tracks is None else by_strand[:, reader.tracks]


def _profile(leaf, array, values):
    """An array that is softmax(profile) over positions, times a function of counts: BPNet's expected counts."""
    positions = leaf.canonical(array)
    positions = positions.reshape(*positions.shape[:2], -1)
    for name, value in values.items():
        if value.shape != positions.shape:
            continue
        shares = special.softmax(value, axis=1)
        if _distance(shares, positions) < TOLERANCE:
            return _spread(leaf, name, None)
        for other, counts in values.items():
            if counts.ndim == 2 and counts.shape[1] in (1, value.shape[2]):
                for kind, (expected, _) in COUNTS.items():
                    if _distance(shares * expected(counts)[:, None], positions) < TOLERANCE:
                        return _spread(leaf, name, (other, kind))
    return None


def _expected(reader, names, arrays, values):
    """Counts that a profile and its log counts expect at each position, both as they are in the graph."""
    if reader.are_shares:
        return None
    profile, counts = (_output_of(leaf, arrays[leaf.number], values) for leaf in (reader.profile, reader.counts))
    if profile is None or counts is None:
        return None
    if values[profile].ndim == 3:
        return _spread(reader, profile, (counts, "exp"), reader.is_joint)

    # positions that the network itself puts into one row, which the engine does not summarise
    def columns(parts):
        given = {leaf.number: part.reshape(-1, *leaf.shape)
                 for leaf, part in zip((reader.profile, reader.counts), parts, strict=True)}
        return reader.read(given, names)

    return Reading([Output(profile), Output(counts)], [], columns)


def _output_of(leaf, array, values):
    """The output whose numbers are those of an array, in the order of the leaf's positions, marks and strands."""
    flat = leaf.canonical(array).reshape(len(array), -1)
    for name, value in values.items():
        if value[0].size == flat[0].size and _distance(value.reshape(flat.shape), flat) < TOLERANCE:
            return name
    return None


def _spread(reader, profile, counts, is_joint=False):
    """Columns that summarise softmax(profile) times counts; log_sum_exp and max of profiles are all that they need.

    With z = log_sum_exp of the profile over all positions, w over the window: the sum is counts exp(w - z), the maximum
    counts exp(max - z), and the mean weighted by the profile itself counts exp(log_sum_exp(2 profile) - w - z). Where
    strands are counted together (`is_joint`), all of these are over the strands, too.
    """
    window, summary = reader.window, reader.summary
    wanted, nodes = {"counts": Output(counts[0])} if counts else {}, []
    if window:
        wanted["w"] = Output(profile, "log_sum_exp", window)
    if window or summary in ("max", "profile_mean") or not counts:
        wanted["z"] = Output(profile, "log_sum_exp")
    if summary == "max":
        wanted["max"] = Output(profile, "max", window)
    if summary == "profile_mean":
        nodes = [graph.Node(f"{profile}/twice", graph.Scale(np.float32(2), np.float32(0)), (profile,))]
        wanted["twice"] = Output(nodes[0].name, "log_sum_exp", window)
    n_counted = window[1] - window[0] if window else reader.size(POSITIONS)
    n_tracks = reader.size(MARKS) * reader.size(STRANDS)

    def log_of(name, part):
        if name == "counts":
            log = COUNTS[counts[1]][1](part)
            return _by_strand(reader, np.broadcast_to(log, (len(log), n_tracks)) if log.shape[1] == 1 else log)
        log = _by_strand(reader, part)
        over = np.max if name == "max" else special.logsumexp
        return over(log, axis=2, keepdims=True) if is_joint else log

    def columns(parts):
        part = {name: log_of(name, part) for name, part in zip(wanted, parts, strict=True)}
        z = part.get("z", 0.0)
        w = part.get("w", z)
        log = part["max"] - z if "max" in part else part["twice"] - w - z if "twice" in part else w - z
        if counts:
            log = (log + part["counts"])[:, :, :1 if is_joint else None]
        if summary == "log_sum":
            return log.mean(2)
        n_in_sum = n_counted * (reader.size(STRANDS) if is_joint else 1)
        return (np.exp(log) / (n_in_sum if summary == "mean" else 1)).mean(2)

    return Reading(list(wanted.values()), nodes, columns)


def _columns(leaf, names, array, values):
    """An array without positions, each of whose columns is a function of one number of the graph."""
    given = leaf.of_array(array, names)
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
