"""Random numbers of which hidden checks make their cases: float64, from the check's own generator."""

import torch
from torch import Tensor


def normal(rng: torch.Generator, *shape: int) -> Tensor:
    """Draws of N(0, 1), of this shape."""
    return torch.randn(*shape, generator=rng, dtype=torch.float64)


def uniform(rng: torch.Generator, low: float, high: float, *shape: int) -> Tensor | float:
    """Draws between ``low`` and ``high``, of this shape; without one, a number."""
    drawn = low + (high - low) * torch.rand(shape, generator=rng, dtype=torch.float64)
    return drawn if shape else drawn.item()
