"""Laws in the plane that flows are tried on: known densities, and exact draws."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

LEVELS = 2**20  # places of a draw along each side of a square, none of them on an edge


@dataclass(frozen=True)
class Rings:
    """Concentric circles, all with the same mass, and noise N(0, std² I) around them; with the defaults
    about those of FFJORD (Grathwohl et al. 2019), whose noise is scikit-learn's.

    Raises ValueError for radii or a std that are not positive.
    """

    radii: tuple[float, ...] = (0.75, 1.5, 2.25, 3.0)
    std: float = 0.08
    dtype: torch.dtype = torch.float32
    dim: ClassVar[int] = 2

    def __post_init__(self) -> None:
        if not self.radii or not all(0 < radius < math.inf for radius in self.radii):
            raise ValueError(f"radii: expected positive numbers, got {self.radii}")
        if not 0 < self.std < math.inf:
            raise ValueError(f"std: expected a positive number, got {self.std}")

    def log_prob(self, x: Tensor) -> Tensor:
        """x (n, 2) -> log density (n,), in nats.

        A circle of radius R, convolved with the noise, has the density
        e^{-(r² + R²) / 2 std²} I0(r R / std²) / (2π std²) at distance r, where I0 is Bessel's function:
        the mean over the circle of the normal density. torch's i0e has e^{-r R / std²} in it already.
        """
        check_plane(x)
        radii, variance = torch.tensor(self.radii).to(x), self.std**2
        r = x.norm(dim=1, keepdim=True)
        log_mean = torch.special.i0e(r * radii / variance).log() - 0.5 * (r - radii).square() / variance
        return torch.logsumexp(log_mean, 1) - math.log(2 * math.pi * variance * len(self.radii))

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        """(n, 2) on the device of ``rng``."""
        ring = torch.randint(len(self.radii), (n, 1), generator=rng, device=rng.device)
        angle = 2 * math.pi * torch.rand(n, 1, generator=rng, device=rng.device, dtype=self.dtype)
        noise = torch.randn(n, 2, generator=rng, device=rng.device, dtype=self.dtype)
        radius = torch.tensor(self.radii).to(noise)[ring]
        return radius * torch.cat([angle.cos(), angle.sin()], 1) + self.std * noise


@dataclass(frozen=True)
class Checkerboard:
    """Uniform on eight of the sixteen unit squares of [-2, 2]²: those that touch (0, 0) along the
    diagonal, and every second one from there. Its entropy is log 8.

    Flows are continuous and have to be steep here: no log likelihood of theirs reaches -log 8.
    """

    dtype: torch.dtype = torch.float32
    dim: ClassVar[int] = 2

    def log_prob(self, x: Tensor) -> Tensor:
        """x (n, 2) -> (n,): -log 8 on the black squares, -inf elsewhere."""
        check_plane(x)
        square = x.floor()
        black = ((square >= -2) & (square < 2)).all(1) & (square.sum(1) % 2 == 0)
        return x.new_full((len(x),), -math.log(8.0)).masked_fill(~black, -math.inf)

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        """(n, 2) on the device of ``rng``, at 2²⁰ places along each side of a square, so that none is
        rounded onto an edge."""
        place = torch.randint(LEVELS, (n, 2), generator=rng, device=rng.device).to(self.dtype)
        column = torch.randint(4, (n,), generator=rng, device=rng.device)
        row = 2 * torch.randint(2, (n,), generator=rng, device=rng.device) + column % 2
        return torch.stack([column, row], 1) - 2 + (place + 0.5) / LEVELS


def check_plane(x: Tensor) -> None:
    """Raise ValueError for what are no points of the plane."""
    if x.ndim != 2 or x.shape[1] != 2:
        raise ValueError(f"x: expected shape (n, 2), got {tuple(x.shape)}")
