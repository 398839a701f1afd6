"""Recorded calls of a PyTorch module made by PyTorch, from the activations that the calls before them gave."""

import operator
import re
from collections.abc import Callable, Sequence

import numpy as np

from .errors import UnknownLayer


def torch_rest(calls: Sequence, known: Sequence[str], wanted: Sequence[str], arrays: Sequence[np.ndarray], batch: int,
               device: object) -> Callable:
    """What `rest.Rest.compute` is.

    Parameters
    ----------
    calls : list of torch_module.Call
        Each after those whose results it takes.
    known, wanted : list of str
        Names of the calls whose results are given, and of those whose results are returned.
    arrays : list of array
        Of the record.
    batch : int
        How many sequences it was made for.
    device : torch.device or str

    Raises
    ------
    UnknownLayer
        A call is none of ATen's, or takes what cannot be made from its text.
    """
    import torch

    held = [torch.from_numpy(np.ascontiguousarray(array)).to(device) for array in arrays]
    made = [(call.name, _function(call), _argument(call.args, held), _argument(call.kwargs, held)) for call in calls]

    def run(given):
        values = {name: torch.from_numpy(array).to(device) for name, array in zip(known, given, strict=True)}
        for name, function, args, kwargs in made:
            values[name] = function(*(arg(values) for arg in args), **{key: arg(values) for key, arg in kwargs.items()})
        return [values[name].float().cpu().numpy() for name in wanted]

    def compute(given):
        parts, n = [], len(given[0])
        with torch.no_grad():
            for first in range(0, n, batch):
                rows = np.minimum(np.arange(first, first + batch), n - 1)  # the last batch is filled up with its last
                parts.append([part[:n - first] for part in run([array[rows] for array in given])])
        return [np.concatenate(each) for each in zip(*parts, strict=True)]

    return compute


def results_in(value: object) -> set[str]:
    """Names of the calls whose results are in recorded arguments."""
    if isinstance(value, dict) and "call" in value:
        return {value["call"]}
    each = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else []
    return set().union(*map(results_in, each))


def _function(call):
    """The operation of ATen that a call names, or the choice of one of several results."""
    import torch

    if call.op == "getitem":
        return operator.getitem
    found = re.fullmatch(r"aten(?:\.|::)(\w+)(?:\.(\w+))?", call.target)
    packet = found and getattr(torch.ops.aten, found[1], None)
    if packet is None or found[2] and not hasattr(packet, found[2]):
        raise UnknownLayer(f"operation {call.name} ({call.target}) is none of PyTorch's own")
    return getattr(packet, found[2]) if found[2] else packet


def _argument(value, held):
    """Recorded arguments as functions from the results of calls to what a call takes; of lists and dicts, each."""
    if isinstance(value, dict) and not {"call", "array", "text"} & value.keys():
        return {key: _one(each, held) for key, each in value.items()}
    return [_one(each, held) for each in value]


def _one(value, held):
    if isinstance(value, list):
        parts = [_one(each, held) for each in value]
        return lambda values: [part(values) for part in parts]
    if not isinstance(value, dict):
        return lambda values: value
    if "call" in value:
        return lambda values: values[value["call"]]
    if "array" in value:
        array = held[value["array"]].long() if value["whole"] else held[value["array"]]
        return lambda values: array
    made = _of_text(value["text"])
    return lambda values: made


def _of_text(text):
    """A type, layout or device of PyTorch from how it prints."""
    import torch

    name = text.removeprefix("torch.")
    named = getattr(torch, name, None) if name.isidentifier() else None
    if isinstance(named, (torch.dtype, torch.layout, torch.memory_format)):
        return named
    if name.split(":")[0] in ("cpu", "cuda", "mps"):
        return torch.device(name)
    raise UnknownLayer(f"a call takes {text}, which cannot be made again")
