"""What is left of a Keras network after a cut, in plain values for the process that has it."""

from collections.abc import Sequence

import numpy as np

from .keras_config import Call, Result


def plan_of(calls: Sequence[Call], known: Sequence[tuple], wanted: Sequence[tuple]) -> dict:
    """The plan of a `models.host.keras_rest.KerasRest`.

    Parameters
    ----------
    calls : list of keras_config.Call
        Each after its inputs.
    known, wanted : list of tuple
        Keys of the tensors that are given, and of those that are returned.
    """
    numbers = {key: number for number, key in enumerate(known)}
    taken = [*(key for call in calls for key in call.inputs), *wanted]
    plan = []
    for call in calls:
        results = [key for key in dict.fromkeys(taken) if key[:2] == call.key[:2] and key not in numbers]
        numbers.update({key: len(numbers) + i for i, key in enumerate(results)})
        plan.append((call, results))
    return {"calls": [{"path": list(call.path), "args": _list(call.args, numbers),
                       "kwargs": {name: _plain(value, numbers) for name, value in call.kwargs.items()},
                       "results": [[key[2], numbers[key]] for key in results]} for call, results in plan],
            "n_known": len(known), "wanted": [numbers[key] for key in wanted]}


def _list(values, numbers):
    return [_plain(value, numbers) for value in values]


def _plain(value, numbers):
    if isinstance(value, Result):
        return {"tensor": numbers[value.key]}
    if isinstance(value, slice):
        return {"slice": [value.start, value.stop, value.step]}
    if value is Ellipsis:
        return {"ellipsis": None}
    if isinstance(value, tuple):
        return {"tuple": _list(value, numbers)}
    if isinstance(value, list):
        return _list(value, numbers)
    if isinstance(value, dict):
        return {"dict": {name: _plain(each, numbers) for name, each in value.items()}}
    return {"array": [value.tolist(), str(value.dtype)]} if isinstance(value, np.ndarray) else value
