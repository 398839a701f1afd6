"""What a worker may answer to a request: the form of the value, the types and shapes of arrays, how many parts."""

import math
from collections.abc import Callable

from .host.frames import FrameError
from .host.session import BATCHES, N_PROBES
from .model import Description

FLOATS = ("<f4", "<f8")
MOST_BASES = 1 << 26  # of one item of a dataloader
DESCRIBED = {"name": (str,), "length": (int, type(None)), "alphabet": (str,), "checksum": (str,),
             "needs_item": (bool,), "layout": (str,), "outputs": (str,), "framework": (str,),
             "dataloader": (dict, type(None)), "versions": (dict,), "internals": (dict, type(None)),
             "item": (int, type(None)), "precision": (str, type(None)), "marks": (list,), "replicates": (list,),
             "notes": (list,)}
assert set(DESCRIBED) == set(Description._fields)
KERAS_RECORD = {"class_name": (str,), "config": (dict, list), "version": (str,), "backend": (str,), "layers": (list,)}
RECORDED = {"batch": (int,), "input": (str,), "calls": (list,), "outputs": (list,)}
CALL = {"name": (str,), "op": (str,), "target": (str,), "args": (list,), "kwargs": (dict,),
        "shape": (list, type(None)), "dropout": (int, type(None))}


class Answer:
    """The answer to one request, checked as its frames come, before memory is taken for their arrays.

    Parameters
    ----------
    request : int
        Number of the request.
    is_value : callable
        Whether a JSON value is one that answers it.
    are_arrays : callable
        Whether a list of (dtype, shape) is one that answers it.
    most_parts : int
        Times the time limit that the whole answer may take.
    """

    def __init__(self, request: int, is_value: Callable[[object], bool] = lambda value: value is None,
                 are_arrays: Callable[[list], bool] = lambda listed: not listed, most_parts: int = 1):
        self.most_parts = most_parts
        self._request, self._is_value, self._are_arrays = request, is_value, are_arrays
        self._n_parts = 0

    def check(self, header: dict, listed: list) -> None:
        """Raise `FrameError` unless a frame with this header and this list of arrays may come next."""
        kind, number, part = (header.get(name) for name in ("reply", "number", "part"))
        if (number, part) != (self._request, self._n_parts):
            raise FrameError(f"it answered part {part!r:.20} of request {number!r:.20}, and part {self._n_parts} of "
                             f"request {self._request} comes next")
        self._n_parts += 1
        if kind == "error":
            if listed or not all(isinstance(header.get(name), str) for name in ("kind", "message")):
                raise FrameError("its error has another form")
        elif kind not in ("part", "done") or not self._fits(listed, kind == "done"):
            raise FrameError(f"it answered {listed!r:.100}, which are no arrays that the request asks for")
        elif kind == "done" and not self._is_value(header.get("value")):
            raise FrameError(f"it answered {header.get('value')!r:.100}, which is not what the request asks for")

    def _fits(self, listed: list, is_last: bool) -> bool:
        return is_last and self._are_arrays(listed)


class Predictions(Answer):
    """(replicates, n, marks) numbers of one type, in parts along n.

    Parameters
    ----------
    request : int
    described : dict
        The model's description.
    n : int
    batch_size : int
        Most sequences in one part, and so in one time limit.
    """

    def __init__(self, request: int, described: dict, n: int, batch_size: int):
        super().__init__(request, most_parts=math.ceil(n / batch_size))
        self._replicates, self._marks = len(described["replicates"]), len(described["marks"])
        self._left, self._dtype = n, None

    def _fits(self, listed: list, is_last: bool) -> bool:
        if len(listed) != 1:
            return False
        (dtype, shape), = listed
        self._dtype = self._dtype or dtype
        if dtype not in FLOATS or dtype != self._dtype or len(shape) != 3:
            return False
        replicates, n, marks = shape
        self._left -= n
        ends_here = self._left == 0
        return (replicates, marks) == (self._replicates, self._marks) and n > 0 and self._left >= 0 and (
            ends_here == is_last)


def is_description(value: object) -> bool:
    """Whether a value is what `HostedModel.describe` returns."""
    return _has(value, DESCRIBED) and len(value["replicates"]) > 0 and all(
        isinstance(text, str) for name in ("marks", "replicates", "notes") for text in value[name])


def is_opened(value: object) -> bool:
    """Whether a value answers `open_loci`."""
    return isinstance(value, dict) and _is_count(value.get("n_items")) and is_description(value.get("description"))


def are_ranges(value: object) -> bool:
    """Whether a value says where an item of a dataloader lies."""
    return isinstance(value, dict) and all(
        isinstance(value.get(name), str) for name in ("chr", "strand", "id")) and all(
        type(value.get(name)) is int for name in ("start", "end"))


def is_batch_size(value: object) -> bool:
    """Whether a value answers `measure_batch`."""
    return value in BATCHES


def are_names(value: object) -> bool:
    """Whether a value is a list of names."""
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def is_recorded(value: object) -> bool:
    """Whether a value is the record of a network; see `HostedModel.recorded`."""
    return _is_keras_record(value) if isinstance(value, dict) and "config" in value else _is_torch_record(value)


def _is_keras_record(value):
    return _has(value, KERAS_RECORD) and all(
        isinstance(entry, list) and len(entry) == 2 and are_names(entry[0]) and _is_count(entry[1])
        for entry in value["layers"])


def _is_torch_record(value):
    if not _has(value, RECORDED):
        return False
    known = {value["input"]}
    for call in value["calls"]:
        if not _is_call(call, known):
            return False
        known.add(call["name"])
    return all(isinstance(output, list) and len(output) == 2 and isinstance(output[0], str)
               and _is_argument(output[1], known) for output in value["outputs"])


def _is_call(call, known):
    """Whether a value is one call whose arguments are results of the calls known, arrays or plain values."""
    return _has(call, CALL) and all(map(_is_count, call["shape"] or [])) and all(
        _is_argument(argument, known) for argument in [*call["args"], *call["kwargs"].values()])


def _has(value, kinds):
    """Whether a value is a dict with these keys, and values of these kinds."""
    return isinstance(value, dict) and set(value) == set(kinds) and all(
        isinstance(value[name], of) for name, of in kinds.items())


def _is_argument(value, known):
    if isinstance(value, list):
        return all(_is_argument(item, known) for item in value)
    if not isinstance(value, dict):
        return value is None or isinstance(value, (bool, int, float, str))
    if set(value) == {"call"}:
        return isinstance(value["call"], str) and value["call"] in known
    if set(value) == {"array", "whole"}:
        return _is_count(value["array"]) and isinstance(value["whole"], bool)
    return set(value) == {"text"} and isinstance(value["text"], str)


def is_sequence(listed: list) -> bool:
    """Whether there is one array, of bases."""
    return len(listed) == 1 and listed[0][0] == "|u1" and len(listed[0][1]) == 1 and listed[0][1][0] <= MOST_BASES


def are_probed(described: dict) -> Callable[[list], bool]:
    """A test whether there is at most one array, of predictions of a few sequences."""
    def are_arrays(listed: list) -> bool:
        return not listed or len(listed) == 1 and listed[0][0] in FLOATS and len(listed[0][1]) == 3 and (
            listed[0][1][0] == len(described["replicates"]) and listed[0][1][1] <= N_PROBES
            and listed[0][1][2] == len(described["marks"]))
    return are_arrays


def are_floats(n: int | None = None, many: int | None = None) -> Callable[[list], bool]:
    """A test whether arrays are numbers: with `n` rows each, and as `many`, where these are given."""
    def are_arrays(listed: list) -> bool:
        return many in (None, len(listed)) and all(
            dtype in FLOATS and (n is None or shape[:1] == [n]) for dtype, shape in listed)
    return are_arrays


def is_number(value: object) -> bool:
    """Whether a value is a number that is not negative."""
    return type(value) in (int, float) and value >= 0


def _is_count(value: object) -> bool:
    return type(value) is int and value >= 0
