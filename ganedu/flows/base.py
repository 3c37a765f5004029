"""What every flow is made of: invertible maps that report the logarithm of their volume change.

>>> import torch
>>> from ganedu.flows import Affine, Flow
>>> from ganedu.targets import StandardNormal
>>> flow = Flow(StandardNormal(2), [Affine(2), Affine(2)])
>>> x = flow.sample(3, torch.Generator().manual_seed(0))
>>> flow.log_prob(x).shape
torch.Size([3])
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from ganedu.targets import StandardNormal


class Transform(nn.Module):
    """An invertible map x = f(z), a row at a time. z is where the base lives, x where the data do.

    Both directions return the logarithm of the absolute value of the determinant of their own
    Jacobian, (n,); ``inverse`` of ``forward`` gives its input back, and the two log determinants
    add up to zero. ``shape`` is that of a row of x, where it differs from that of a row of z.
    """

    shape: tuple[int, ...] | None = None

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """z (n, ...) -> (x (n, ...), log |det dx/dz| (n,))."""
        raise NotImplementedError

    def inverse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (n, ...) -> (z (n, ...), log |det dz/dx| (n,))."""
        raise NotImplementedError

    def draw(self, z: Tensor) -> Tensor:
        """x of ``forward`` alone, for a transform whose log determinant is dear."""
        return self(z)[0]


class Inverted(Transform):
    """``transform`` run backwards. What is cheap in one direction becomes cheap in the other: an
    inverted masked autoregressive flow is an inverse autoregressive flow."""

    def __init__(self, transform: Transform):
        super().__init__()
        self.transform = transform

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        return self.transform.inverse(z)

    def inverse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.transform(x)


def forward_through(transforms: Iterable[Transform], z: Tensor) -> tuple[Tensor, Tensor]:
    """f_K(... f_1(z)) for ``transforms`` f_1, ..., f_K, and the sum (n,) of their log determinants."""
    total = z.new_zeros(len(z))
    for transform in transforms:
        z, log_det = transform(z)
        total = total + log_det
    return z, total


def inverse_through(transforms: Sequence[Transform], x: Tensor) -> tuple[Tensor, Tensor]:
    """f_1^-1(... f_K^-1(x)) for ``transforms`` f_1, ..., f_K, and the sum (n,) of their log determinants."""
    total = x.new_zeros(len(x))
    for transform in reversed(transforms):
        x, log_det = transform.inverse(x)
        total = total + log_det
    return x, total


def exactly(z: Tensor) -> torch.autocast:
    """``with exactly(z):`` no autocast. A network that tells a transform how to move may round its numbers
    to bfloat16; a matrix that multiplies the point itself may not: the density would be another point's."""
    return torch.autocast(z.device.type, enabled=False)


class Flow(nn.Module):
    """x = f_K(... f_1(z)) with z from ``base``, and its density by the change of variables

        log p(x) = log base(z) + log |det dz/dx|,    z = f_1^-1(... f_K^-1(x))

    (Rezende and Mohamed 2015; seed slide 001, "Normalizing Flows"). A flow is a law like any
    other: it proposes in ``samplers.Independence`` and in importance sampling.

    ``shape`` is that of a row of x. ``flow.double()`` and ``flow.to(...)`` change the precision of
    the base's draws together with that of the parameters.

    Raises ValueError for z or x whose rows do not have the shape expected, or not the flow's precision.
    """

    def __init__(self, base: StandardNormal, transforms: Sequence[Transform]):
        super().__init__()
        self.base = base
        self.transforms = nn.ModuleList(transforms)
        self.shape: tuple[int, ...] = (base.dim,)
        for transform in self.transforms:
            self.shape = transform.shape or self.shape

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """z (n, d) -> (x (n, ...), log |det dx/dz| (n,))."""
        _check_rows("z", z, (self.base.dim,), self.base.dtype)
        return forward_through(self.transforms, z)

    def inverse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (n, ...) -> (z (n, d), log |det dz/dx| (n,))."""
        _check_rows("x", x, self.shape, self.base.dtype)
        return inverse_through(self.transforms, x)

    def log_prob(self, x: Tensor) -> Tensor:
        """x (n, ...) -> (n,), in nats; normalised."""
        z, log_det = self.inverse(x)
        return self.base.log_prob(z) + log_det

    def rsample(self, n: int, rng: torch.Generator) -> Tensor:
        """n draws, through which gradients reach the parameters."""
        x = self.base.sample(n, rng)
        for transform in self.transforms:
            x = transform.draw(x)
        return x

    def rsample_and_log_prob(self, n: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """n draws and their log density (n,) from one pass, without inverting anything."""
        z = self.base.sample(n, rng)
        x, log_det = self(z)
        return x, self.base.log_prob(z) - log_det

    @torch.no_grad()
    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        """n draws without a graph, on the device of ``rng``."""
        return self.rsample(n, rng)

    def _apply(self, fn, recurse=True):
        # What .double(), .to() and the like call: the base is no module, and has to follow.
        self.base = replace(self.base, dtype=fn(torch.empty(0, dtype=self.base.dtype)).dtype)
        return super()._apply(fn, recurse)


def _check_rows(name: str, value: Tensor, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    if tuple(value.shape[1:]) != shape:
        expected = ", ".join(map(str, shape))
        raise ValueError(f"{name}: expected shape (n, {expected}), got {tuple(value.shape)}")
    if value.dtype != dtype:
        raise ValueError(f"{name}: expected {dtype}, as the flow is, got {value.dtype}; convert one of them")
