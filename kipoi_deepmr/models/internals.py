"""What an engine needs to know of a model: its network, and how its answers follow from it."""

import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from .host.marks import Marks
from .host.session import HostedModel
from .host.views import View
from .worker import Worker


class Internals(NamedTuple):
    """A model's network, in memory or as files.

    Attributes
    ----------
    networks : list of str
        The frameworks of the networks that the model holds: `masks.TORCH` or `masks.KERAS`.
    recorded : callable
        What its only network computes, wherever it is; see `HostedModel.recorded`.
    rest : callable
        A part of what that network computes; see `HostedModel.rest`.
    cpu_seconds : callable
        CPU time that this process and the model's have taken, since some moment.
    files : dict of str to str
        The files among the model's arguments: absolute paths by the arguments' names.
    input : str or None
        Name of the model's input, where that is one-hot DNA and nothing else.
    shape : tuple or None
        Of that input for one sequence.
    letters : str
        Order of the bases along its axis of letters.
    marks : Marks
        How the arrays that the model returns become marks.
    outputs : callable
        Sequences (n, L) uint8 to these arrays, (n, ...) float32 each, without dropout masks and views.
    views : list of View
    masks : list of list of (str, array)
        For each dropout mask the layers' names and what their input is multiplied by; empty without masks.
    """

    networks: list
    recorded: Callable
    rest: Callable
    cpu_seconds: Callable
    files: dict
    input: str | None
    shape: tuple | None
    letters: str
    marks: Marks
    outputs: Callable
    views: list
    masks: list


def internals_of(host: HostedModel | Worker) -> Internals:
    """The internals of a `host.session.HostedModel` or of a `worker.Worker`.

    Raises
    ------
    ModelError
        Its dropout masks cannot be told apart by layers.
    """
    values = host.describe()["internals"]
    shape = values["shape"] and tuple(values["shape"])
    views = [View(*view) for view in values["views"]]
    masks = [host.masks_of(number) for number in range(values["n_masks"])]
    return Internals(values["networks"], host.recorded, host.rest, partial(_cpu_seconds, host), values["files"],
                     values["input"], shape, values["letters"], Marks.from_json(values["marks"]), host.outputs, views,
                     masks)


def _cpu_seconds(host):
    return time.process_time() + (host.cpu_seconds() if isinstance(host, Worker) else 0)
