"""What an engine needs to know of a model: its network, and how its answers follow from it."""

from collections.abc import Callable
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
    modules : list
        The networks themselves, where the model is in this process.
    recorded : callable
        The calls of its only PyTorch network, wherever it is; see `HostedModel.recorded`.
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
    modules: list
    recorded: Callable
    files: dict
    input: str | None
    shape: tuple | None
    letters: str
    marks: Marks
    outputs: Callable
    views: list
    masks: list


def internals_of(host: HostedModel | Worker, modules: list) -> Internals:
    """The internals of a `host.session.HostedModel` or of a `worker.Worker`.

    Parameters
    ----------
    host : HostedModel or Worker
    modules : list
        As for `Internals`.

    Raises
    ------
    ModelError
        Its dropout masks cannot be told apart by layers.
    """
    values = host.describe()["internals"]
    shape = values["shape"] and tuple(values["shape"])
    views = [View(*view) for view in values["views"]]
    masks = [host.masks_of(number) for number in range(values["n_masks"])]
    return Internals(values["networks"], modules, host.recorded, values["files"], values["input"], shape,
                     values["letters"], Marks.from_json(values["marks"]), host.outputs, views, masks)
