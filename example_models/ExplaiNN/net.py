"""ExplaiNN (Novakovsky et al., 2023): one small network for each of 100 filters, a linear layer over them; logits."""
import torch
from torch import nn


class Exp(nn.Module):
    def forward(self, x):
        return torch.exp(x)


class Column(nn.Module):
    def forward(self, x):
        return x.unsqueeze(-1)


class ExplaiNN(nn.Module):
    def __init__(self, units=100, length=200, classes=3, width=19):
        super().__init__()
        self.units = units
        pooled = (length - width + 1) // 7
        self.linears = nn.Sequential(
            nn.Conv1d(4 * units, units, width, groups=units), nn.BatchNorm1d(units), Exp(), nn.MaxPool1d(7, 7),
            nn.Flatten(), Column(), nn.Conv1d(pooled * units, 100 * units, 1, groups=units),
            nn.BatchNorm1d(100 * units), nn.ReLU(), nn.Dropout(0.3), nn.Conv1d(100 * units, units, 1, groups=units),
            nn.BatchNorm1d(units), nn.ReLU(), nn.Flatten())
        self.final = nn.Linear(units, classes)

    def forward(self, x):
        return self.final(self.linears(x.repeat(1, self.units, 1)))
