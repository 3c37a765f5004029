"""Critics on finite spaces, where every mean is exact, and networks that are a formula.

P and Q live on {0, 1, 2}; ``REAL`` and ``FAKE`` hold each point as often as its eighths say.
"""

import math

import torch
from torch import nn

P = torch.tensor([1.0, 2.0, 5.0], dtype=torch.float64) / 8
Q = torch.tensor([3.0, 4.0, 1.0], dtype=torch.float64) / 8
REAL = torch.arange(3).repeat_interleave((8 * P).long())
FAKE = torch.arange(3).repeat_interleave((8 * Q).long())
N = 20_000
# Midpoints of N equally likely pieces of N(0, 1): a mean over them is an integral, to about 1e-4.
NOISE = math.sqrt(2) * torch.special.erfinv((2 * torch.arange(N, dtype=torch.float64) + 1) / N - 1)


class Table(nn.Module):
    """A critic on a finite space: any function at all."""

    def __init__(self, values):
        super().__init__()
        self.values = torch.as_tensor(values, dtype=torch.float64).clone()

    def forward(self, x):
        return self.values[x]


class Formula(nn.Module):
    """A critic that is a function written down."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def slope(loss, at):
    """d loss(x) / dx at the number ``at``, by autograd."""
    x = torch.tensor(at, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(loss(x), x)
    return float(gradient)
