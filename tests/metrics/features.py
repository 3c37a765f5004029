"""A feature network small enough for tests, ours and torchmetrics' at once."""

import torch
from torch import nn

from ganedu.data import to_float


class Features(nn.Module):
    """Images (n, 3, 8, 8) -> (n, 6), with BatchNorm as a real network has it."""

    num_features = 6  # what torchmetrics asks for

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 6, 8), nn.BatchNorm2d(6), nn.Flatten())

    def features(self, x):
        return self.body(x)

    def forward(self, x):  # torchmetrics hands over bytes
        return self.features(to_float(x) if x.dtype == torch.uint8 else x)
