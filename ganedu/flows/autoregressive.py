"""Autoregressive maps: coordinate i moves as coordinates 1, ..., i - 1 tell it."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganedu.flows.base import Transform
from ganedu.flows.conditioners import near_zero
from ganedu.flows.univariate import ScaleShift, Univariate
from ganedu.targets.base import check_dim


class MaskedLinear(nn.Linear):
    """A linear layer without the connections where ``mask`` (outputs, inputs) is zero."""

    def __init__(self, mask: Tensor):
        super().__init__(mask.shape[1], mask.shape[0])
        self.register_buffer("mask", mask.to(self.weight.dtype), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.mask, self.bias)


class MADE(nn.Sequential):
    """x (n, dim) -> (n, size * dim), where output i of each block of dim sees x_1, ..., x_{i-1} alone
    (Germain et al. 2015, sec. 4). Its last layer starts small, but for the first ``shifts`` blocks.

    Every unit has a degree: inputs 1, ..., dim, hidden units evenly 1, ..., dim - 1. A hidden unit
    sees what has its degree or less, an output what has less.
    """

    def __init__(self, dim: int, hidden: Sequence[int], size: int, shifts: int = 0):
        check_dim(dim, 1)
        inputs = torch.arange(1, dim + 1)
        degrees = [inputs, *(torch.linspace(1, max(dim - 1, 1), width).round() for width in hidden)]
        layers: list[nn.Module] = []
        for below, above in zip(degrees, degrees[1:], strict=False):
            layers += [MaskedLinear(above[:, None] >= below), nn.ReLU()]
        output = MaskedLinear(inputs.repeat(size)[:, None] > degrees[-1])
        super().__init__(*layers, output)
        near_zero(self, shifts * dim)


class Autoregressive(Transform):
    """x_i = f(z_i; net(x_1, ..., x_{i-1})): MAF, the masked autoregressive flow of Papamakarios et
    al. (2017), sec. 3.1.

    z from x takes one pass of ``net``, a ``MADE``; x from z takes dim, one coordinate after the
    other. ``Inverted`` it is an inverse autoregressive flow (Kingma et al. 2016), which draws in one
    pass. The Jacobian is triangular in both directions.
    """

    def __init__(self, net: nn.Module, univariate: Univariate | None = None):
        super().__init__()
        self.net = net
        self.univariate = univariate or ScaleShift()

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        x, total = torch.zeros_like(z), z.new_zeros(len(z))
        for i in range(z.shape[1]):
            x_i, log_slope = self.univariate.forward(z[:, i : i + 1], self._raw(x)[:, :, i : i + 1])
            x = torch.cat([x[:, :i], x_i, x[:, i + 1 :]], 1)
            total = total + log_slope[:, 0]
        return x, total

    def inverse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z, log_slope = self.univariate.inverse(x, self._raw(x))
        return z, log_slope.sum(1)

    def _raw(self, x: Tensor) -> Tensor:
        raw = self.net(x).to(x.dtype)  # from bfloat16, in which sums of log slopes lose their digits
        return raw.unflatten(1, (self.univariate.size, x.shape[1]))
