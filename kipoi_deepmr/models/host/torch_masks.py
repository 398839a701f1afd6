"""Dropout modules of PyTorch networks, with masks held fixed."""

from contextlib import contextmanager

import numpy as np

from .errors import ModelError

ELEMENTS = ("Dropout",)
CHANNELS = ("Dropout1d", "Dropout2d", "Dropout3d")


def is_network(value):
    """Whether a value is a PyTorch module."""
    return any(kind.__name__ == "Module" and kind.__module__.split(".")[0] == "torch" for kind in type(value).__mro__)


def dropouts(networks):
    """The `TorchDropouts` of networks, as a list of one, or of none without networks."""
    return [TorchDropouts(networks)] if networks else []


class TorchDropouts:
    """The dropout modules of some networks.

    Attributes
    ----------
    rates : list of float
        One for each module that drops anything.
    modules : list of torch.nn.Module
        These modules.
    """

    def __init__(self, networks):
        self._networks = networks
        found = {id(module): module for network in networks for module in network.modules() if _drops(module)}
        self.modules = list(found.values())
        self.rates = [module.p for module in self.modules]
        self._shapes = set()  # (number of the module, shape) of all masks used
        for network in networks:
            network.eval()

    @contextmanager
    def masked(self, draw):
        """Within this context the modules multiply by the masks that `draw(number, rate, shape)` gives."""
        batch = _Batch()
        hooks = [network.register_forward_pre_hook(batch.begin) for network in self._networks]
        hooks += [module.register_forward_hook(_Multiply(number, draw, batch, self._shapes))
                  for number, module in enumerate(self.modules)]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def arrays(self, draw):
        """Masks as `masked` uses them: list of (name, array), by `mask_name`."""
        masks = []
        for number, shape in sorted(self._shapes):
            module = self.modules[number]
            mask = draw(number, module.p, _noise_shape(module, shape))
            masks.append((mask_name(number, shape), np.ascontiguousarray(np.broadcast_to(mask, shape))))
        return masks


def mask_name(number, shape):
    """Name of the mask of a module, by its number, for results of a shape (the batch axis left out)."""
    return f"dropout {number} of {tuple(shape)}"


class _Batch:
    """How many sequences the network is being given."""

    size = None

    def begin(self, _, arguments):
        self.size = _first_size(arguments)


class _Multiply:
    """The hook of one module; keeps its masks, one for each shape, on the device where they are used."""

    def __init__(self, number, draw, batch, shapes):
        self._number, self._draw, self._batch, self._shapes = number, draw, batch, shapes
        self._masks = {}

    def __call__(self, module, _, output):
        import torch

        if self._batch.size not in (None, output.shape[0]):
            raise ModelError(f"--mc_dropout: {module} is given {tuple(output.shape)}, whose first axis is not that of "
                             f"the {self._batch.size} sequences")
        shape = tuple(output.shape[1:])
        if shape not in self._masks:
            self._shapes.add((self._number, shape))
            mask = self._draw(self._number, module.p, _noise_shape(module, shape))
            self._masks[shape] = torch.from_numpy(mask).to(output)
        return output * self._masks[shape]


def _drops(module):
    kind = _kind(module)
    if kind is None and "Dropout" in type(module).__name__ and getattr(module, "p", 0):
        raise ModelError(f"--mc_dropout: the dropout of a layer {type(module).__name__} cannot be held fixed")
    return kind is not None and 0 < module.p < 1


def _kind(module):
    names = [kind.__name__ for kind in type(module).__mro__ if kind.__module__.split(".")[0] == "torch"]
    return next((name for name in names if name in ELEMENTS + CHANNELS), None)


def _noise_shape(module, shape):
    """Shape of a mask, without the batch axis: what is dropped together shares one number."""
    return shape if _kind(module) in ELEMENTS else shape[:1] + (1,) * (len(shape) - 1)


def _first_size(value):
    """First axis of the first tensor in (nested) arguments; None if there is none."""
    if hasattr(value, "shape"):
        return value.shape[0]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    return next((size for size in map(_first_size, inner) if size is not None), None)
