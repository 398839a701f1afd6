"""Networks as users write them, whose weights stand in files: sums over positions of the weight of the base there."""

import numpy as np
import torch


class Sums(torch.nn.Module):
    """PyTorch: `axes` are those of the input and of the weights (position, letter, mark)."""

    def __init__(self, axes, shape=(12, 4, 3)):
        super().__init__()
        self.w = torch.nn.Parameter(torch.zeros(shape))
        self.axes = axes

    def forward(self, x):
        return torch.einsum(self.axes, x, self.w)


class SumsByMark(Sums):
    """A dict with an output for each mark."""

    def forward(self, x):
        y = torch.einsum(self.axes, x, self.w)
        return {"A": y[:, :1], "B": y[:, 1:2], "C": y[:, 2:]}


def keras_sums(length):
    """Keras, of the same weights as one dense layer."""
    import keras

    return keras.Sequential([keras.Input((length, 4)), keras.layers.Flatten(),
                             keras.layers.Dense(3, use_bias=False, name="sums")])


def with_weights(network, weights):
    """A PyTorch network with the weights of a member (strand, position, letter, mark)."""
    with torch.no_grad():
        network.w.copy_(torch.tensor(weights[0].astype(np.float32)))
    return network.eval()
