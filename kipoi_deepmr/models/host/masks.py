"""MC-dropout: a trained network thinned by dropout masks that are drawn once and then held fixed.

A mask has no batch axis: every sequence of every batch meets the same one, so that a mutant and its reference go
through the same thinned network and differ by the mutation alone. Thinned networks as an ensemble: Gal & Ghahramani,
ICML 2016, "Dropout as a Bayesian approximation".
"""

from contextlib import ExitStack, contextmanager

import numpy as np

from . import keras_masks, torch_masks
from .errors import ModelError

# A Kipoi model holds its network as an attribute, or several in a list or dict that is one
SEARCH_DEPTH = 3
KERAS, TORCH = "keras", "torch"


def dropout_masks(model, n_masks, seed):
    """Masks for the dropout layers of a loaded Kipoi model.

    Parameters
    ----------
    model : Kipoi model
        Its network, Keras 1 to 3 or PyTorch, is found among its attributes. The dropout inside recurrent and attention
        layers, and what a network's code drops without a layer, stays off.
    n_masks : int
    seed : int
        Not negative. Masks depend on it, on their number and on the layers' order and shapes, and on nothing else.

    Returns
    -------
    DropoutMasks

    Raises
    ------
    ModelError
        The network is of no framework that we know, has no dropout layer, or has one that cannot be held fixed.
    """
    networks = networks_of(model)
    keras, torch = ([network for network in networks if kind_of(network) == kind] for kind in (KERAS, TORCH))
    if not networks:
        raise ModelError("--mc_dropout needs a Keras or PyTorch network, and the model holds neither")
    parts = keras_masks.dropouts(keras) + torch_masks.dropouts(torch)
    if not any(part.rates for part in parts):
        raise ModelError("--mc_dropout: the model has no dropout layer")
    return DropoutMasks(parts, n_masks, seed)


class DropoutMasks:
    """The masks of one model; see `dropout_masks`.

    Attributes
    ----------
    names : list of str
        dropout1, dropout2 ...
    """

    def __init__(self, parts, n_masks, seed):
        self._parts = parts
        self._seed = seed
        self.names = [f"dropout{k + 1}" for k in range(n_masks)]

    @contextmanager
    def use(self, k):
        """Within this context the model predicts with mask `k` (from 0); afterwards without dropout, as before."""
        first = 0
        with ExitStack() as entered:
            for part in self._parts:
                entered.enter_context(part.masked(self._drawer(k, first)))
                first += len(part.rates)
            yield

    @property
    def torch_modules(self):
        """The dropout modules of PyTorch networks, in the order of their numbers."""
        return [module for part in self._parts for module in getattr(part, "modules", [])]

    def arrays(self, k):
        """Mask `k` by layers, as far as the model has predicted with masks: list of (name, array in full).

        The names are those of Keras's layers, and of `torch_masks.mask_name`.

        Raises
        ------
        ModelError
            The dropout layers are those of networks of two kinds.
        """
        if len(self._parts) != 1:
            raise ModelError("its dropout layers are those of networks of two kinds")
        return self._parts[0].arrays(self._drawer(k, 0))

    def _drawer(self, k, first):
        def draw(layer, rate, shape):
            """Inverted dropout: 0 with probability `rate`, else 1 / (1 - rate)."""
            # RandomState's stream is the same in every numpy, Generator's may change
            random = np.random.RandomState([self._seed % 2**32, self._seed // 2**32 % 2**32, k, first + layer])
            return (random.random_sample(shape) >= rate).astype(np.float32) / np.float32(1 - rate)

        return draw


def networks_of(held, depth=SEARCH_DEPTH):
    """Keras and PyTorch networks in a Kipoi model or another object, each once."""
    if keras_masks.is_network(held) or torch_masks.is_network(held):
        return [held]
    if depth == 0 or isinstance(held, type):
        return []
    inner = held.values() if isinstance(held, dict) else held if isinstance(held, (list, tuple)) else \
        getattr(held, "__dict__", {}).values()
    found = {}
    for value in list(inner):
        for network in networks_of(value, depth - 1):
            found[id(network)] = network
    return list(found.values())


def kind_of(network):
    """The framework of a network."""
    return TORCH if torch_masks.is_network(network) else KERAS
