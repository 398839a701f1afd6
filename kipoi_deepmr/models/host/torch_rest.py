"""Recorded calls of a PyTorch network made by PyTorch, from the activations that the calls before them gave."""

import operator
import re

import numpy as np

from .errors import ModelError
from .torch_masks import mask_name


class TorchRest:
    """What is left of a network after a cut.

    Parameters
    ----------
    recorded, arrays
        From `torch_graph.record`.
    known, wanted : list of str
        Names of the calls whose results are given, and of those whose results are returned.
    device : torch.device or str

    Raises
    ------
    ModelError
        A call is none of ATen's, or takes what cannot be made from its text.
    """

    def __init__(self, recorded, arrays, known, wanted, device):
        import torch

        held = [torch.from_numpy(np.ascontiguousarray(array)).to(device) for array in arrays]
        self._known, self._wanted, self._device = known, wanted, device
        self._batch = recorded["batch"]
        self._calls = [_Call(call, held) for call in _between(recorded["calls"], known, wanted)]

    def __call__(self, arrays, masks=None):
        """The results wanted for a batch of any size.

        Parameters
        ----------
        arrays : list of (n, ...) float32 array
        masks : dict of str to array, optional
            Dropout masks by `torch_masks.mask_name`.

        Returns
        -------
        list of (n, ...) float32 array
        """
        import torch

        parts, n = [], len(arrays[0])
        masks = {name: torch.from_numpy(np.array(mask)).to(self._device) for name, mask in (masks or {}).items()}
        with torch.no_grad():
            for first in range(0, n, self._batch):
                rows = np.minimum(np.arange(first, first + self._batch), n - 1)  # the last one fills up the last batch
                parts.append([part[:n - first] for part in self._run([array[rows] for array in arrays], masks)])
        return [np.concatenate(each) for each in zip(*parts)]

    def _run(self, arrays, masks):
        import torch

        values = {name: torch.from_numpy(array).to(self._device) for name, array in zip(self._known, arrays)}
        for call in self._calls:
            values[call.name] = call.result(values, masks)
        return [values[name].float().cpu().numpy() for name in self._wanted]


class _Call:
    """A call that can be made."""

    def __init__(self, call, held):
        self.name = call["name"]
        self._function, self._args, self._kwargs = _function(call), _filler(call["args"], held), {
            key: _filler(value, held) for key, value in call["kwargs"].items()}
        self._mask = call["dropout"] is not None and mask_name(call["dropout"], call["shape"][1:])

    def result(self, values, masks):
        args = self._args(values)
        if self._mask and masks:
            return args[0] * masks[self._mask]
        return self._function(*args, **{key: fill(values) for key, fill in self._kwargs.items()})


def results_in(value):
    """Names of the calls whose results are in recorded arguments."""
    if isinstance(value, dict) and "call" in value:
        return {value["call"]}
    each = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else []
    return set().union(*map(results_in, each))


def _between(calls, known, wanted):
    """The calls that lead from known results to those wanted, in order."""
    needed, found = set(wanted) - set(known), []
    for call in reversed(calls):
        if call["name"] in needed:
            found.append(call)
            needed |= results_in([call["args"], call["kwargs"]]) - set(known)
    return found[::-1]


def _function(call):
    """The operation of ATen that a call names, or the choice of one of several results."""
    import torch

    if call["op"] == "getitem":
        return operator.getitem
    found = re.match(r"aten(?:\.|::)(\w+)(?:\.(\w+))?$", call["target"])
    packet = found and getattr(torch.ops.aten, found.group(1), None)
    if packet is None or found.group(2) and not hasattr(packet, found.group(2)):
        raise ModelError("operation {} ({}) is none of PyTorch's own".format(call["name"], call["target"]))
    return getattr(packet, found.group(2)) if found.group(2) else packet


def _filler(value, held):
    """A recorded argument as a function from the results of calls to what a call takes."""
    if isinstance(value, list):
        parts = [_filler(each, held) for each in value]
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

    name = text[len("torch."):] if text.startswith("torch.") else text
    named = getattr(torch, name, None) if name.isidentifier() else None
    if isinstance(named, (torch.dtype, torch.layout, torch.memory_format)):
        return named
    if name.split(":")[0] in ("cpu", "cuda", "mps"):
        return torch.device(name)
    raise ModelError(f"a call takes {text}, which cannot be made again")
