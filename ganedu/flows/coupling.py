"""Coupling: half of the coordinates stay as they are and tell how the other half moves."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ganedu.flows.base import Transform
from ganedu.flows.univariate import ScaleShift, Univariate


class Coupling(Transform):
    """x_a = z_a,  x_b = f(z_b; net(z_a))  (Dinh et al. 2015 and 2017; seed slide 001).

    The Jacobian is triangular, with the slopes of f on its diagonal; ``net`` is never inverted and
    may be anything. a and b are the two halves of axis 1, of vectors (n, d) or images (n, C, H, W);
    a is the first and has the odd one more, unless ``flipped``. ``net`` maps a (n, d_a, ...) to
    (n, univariate.size * d_b, ...): the first d_b numbers are the first parameter of all
    coordinates of b.
    """

    def __init__(self, net: nn.Module, univariate: Univariate | None = None, flipped: bool = False):
        super().__init__()
        self.net = net
        self.univariate = univariate or ScaleShift()
        self.flipped = flipped

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        return self._move(z, self.univariate.forward)

    def inverse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self._move(x, self.univariate.inverse)

    def _move(self, z: Tensor, direction: Callable) -> tuple[Tensor, Tensor]:
        first, second = z.tensor_split(2, 1)
        a, b = (second, first) if self.flipped else (first, second)
        raw = self.net(a).to(a.dtype)  # from bfloat16, in which sums of log slopes lose their digits
        b, log_slope = direction(b, raw.unflatten(1, (self.univariate.size, b.shape[1])))
        halves = (b, a) if self.flipped else (a, b)
        return torch.cat(halves, 1), log_slope.flatten(1).sum(1)
