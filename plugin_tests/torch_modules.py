"""Modules of PyTorch of which more than one test makes networks; skips tests where there is no PyTorch."""

import pytest

nn = pytest.importorskip("torch").nn


class Function(nn.Module):
    """A module from a function, as the zoo's `Lambda` layers."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)
