"""A Kipoi model's own dataloader: what it takes, and its items by number."""

import inspect
import json

import numpy as np

from .errors import ItemError, ModelError, model_code


def defaults(model):
    """Default arguments of a model's dataloader, those set in its model.yaml included."""
    if model.default_dataloader is None:
        return {}
    from kipoi_utils.utils import default_kwargs

    return default_kwargs(model.default_dataloader)


def describe(model):
    """What the driver needs to check arguments: None for a model without a dataloader.

    Returns
    -------
    dict
        `arguments`: for each, whether it is optional; `defaults`: those that JSON can hold; `is_kipoiseq`.
    """
    if model.default_dataloader is None:
        return None
    arguments = {name: bool(argument.optional) for name, argument in model.default_dataloader.args.items()}
    plain = {name: value for name, value in defaults(model).items() if _is_json(value)}
    return {"arguments": arguments, "defaults": plain, "is_kipoiseq": _is_kipoiseq(model.default_dataloader)}


def _is_json(value):
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return True


def _is_kipoiseq(dataloader):
    try:
        from kipoiseq.dataloaders import SeqIntervalDl, StringSeqIntervalDl
    except ImportError:  # a model's own Python need not have it
        return False
    return inspect.isclass(dataloader) and issubclass(dataloader, (SeqIntervalDl, StringSeqIntervalDl))


class Items:
    """The items of an opened dataloader; the one used last is kept.

    Parameters
    ----------
    model : Kipoi model
    name : str
        Of the model, for messages.
    arguments : dict

    Raises
    ------
    ModelError
        The dataloader cannot be opened.
    """

    def __init__(self, model, name, arguments):
        self._name = name
        self._last = (None, None)
        with model_code(f"the dataloader of model {name} cannot be opened"):
            self._items = _open(model, arguments)

    def __len__(self):
        return len(self._items)

    def inputs(self, number):
        """The model's input at one item, without batch axis."""
        return self._item(number)["inputs"]

    def ranges(self, number):
        """Where one item lies: dict of chr, start, end, strand, id.

        Raises
        ------
        ModelError
            The dataloader does not say.
        """
        ranges = self._item(number).get("metadata", {}).get("ranges")
        if ranges is None:
            raise ModelError(f"the dataloader of model {self._name} gives no metadata.ranges: loci without a place in "
                             "the genome cannot be used")
        texts = {key: str(np.asarray(ranges.get(key, ""))) for key in ("chr", "strand", "id")}
        return dict(texts, start=int(ranges["start"]), end=int(ranges["end"]))

    def _item(self, number):
        if self._last[0] != number:
            with model_code("the dataloader fails on it", ItemError):
                self._last = (number, self._items[number])
        return self._last[1]


def _open(model, arguments):
    """The dataset itself if it can be indexed, else a list of all that it gives."""
    from kipoi.data import Dataset
    from kipoi_utils.data_utils import get_dataset_item, get_dataset_lens

    dataset = model.default_dataloader(**arguments)
    if isinstance(dataset, Dataset):
        len(dataset)
        return dataset
    return [get_dataset_item(batch, i) for batch in dataset.batch_iter()
            for i in range(get_dataset_lens(batch, require_numpy=True)[0])]
