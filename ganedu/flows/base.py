"""What every flow is made of: invertible maps that report the logarithm of their volume change.

>>> flow = Flow(StandardNormal(2), [Affine(2), Affine(2)])
>>> x = flow.sample(3, torch.Generator().manual_seed(0))
>>> flow.log_prob(x).shape
torch.Size([3])
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ganedu.targets import StandardNormal


class Transform(nn.Module):
    """An invertible map x = f(z), a row at a time. z is where the base lives, x where the data do.

    Both directions return the logarithm of the absolute value of the determinant of their own
    Jacobian, (n,); ``inverse`` of ``forward`` gives its input back, and the two log determinants
    add up to zero.
    """

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """z (n, ...) -> (x (n, ...), log |det dx/dz| (n,))."""
        raise NotImplementedError

    def inverse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (n, ...) -> (z (n, ...), log |det dz/dx| (n,))."""
        raise NotImplementedError


class Flow(nn.Module):
    """x = f_K(... f_1(z)) with z from ``base``, and its density by the change of variables

        log p(x) = log base(z) + log |det dz/dx|,    z = f_1^-1(... f_K^-1(x))

    (Rezende and Mohamed 2015; seed slide 001, "Normalizing Flows"). A flow is a law like any
    other: it proposes in ``samplers.Independence`` and in importance sampling. In float64 both
    the transforms and the base have to be.
    """

    def __init__(self, base: StandardNormal, transforms: Sequence[Transform]):
        super().__init__()
        self.base = base
        self.transforms = nn.ModuleList(transforms)

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """z (n, d) -> (x (n, ...), log |det dx/dz| (n,))."""
        total = z.new_zeros(len(z))
        for transform in self.transforms:
            z, log_det = transform(z)
            total = total + log_det
        return z, total

    def inverse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (n, ...) -> (z (n, d), log |det dz/dx| (n,))."""
        total = x.new_zeros(len(x))
        for transform in reversed(self.transforms):
            x, log_det = transform.inverse(x)
            total = total + log_det
        return x, total

    def log_prob(self, x: Tensor) -> Tensor:
        """x (n, ...) -> (n,), in nats; normalised."""
        z, log_det = self.inverse(x)
        return self.base.log_prob(z) + log_det

    def rsample(self, n: int, rng: torch.Generator) -> Tensor:
        """n draws, through which gradients reach the parameters."""
        return self.rsample_and_log_prob(n, rng)[0]

    def rsample_and_log_prob(self, n: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """n draws and their log density (n,) from one pass, without inverting anything."""
        z = self.base.sample(n, rng)
        x, log_det = self(z)
        return x, self.base.log_prob(z) - log_det

    @torch.no_grad()
    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        """n draws without a graph, on the device of ``rng``."""
        return self.rsample(n, rng)
