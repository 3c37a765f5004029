"""What a target is, the prior of every GAN here, and the gradient of a log density."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


class Target(Protocol):
    """An unnormalised log density."""

    def log_prob(self, z: Tensor) -> Tensor:
        """z (B, d) -> (B,)."""


@dataclass(frozen=True)
class StandardNormal:
    """N(0, I) in ``dim`` dimensions: the prior of every GAN here."""

    dim: int
    dtype: torch.dtype = torch.float32

    def log_prob(self, z: Tensor) -> Tensor:
        """z (B, dim) -> (B,), normalised."""
        return -0.5 * (z.square().sum(-1) + self.dim * math.log(2.0 * math.pi))

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        """(n, dim) on the device of ``rng``."""
        return torch.randn(n, self.dim, generator=rng, device=rng.device, dtype=self.dtype)


class Tilted:
    """p_t(z) ∝ prior(z) exp log_weight(z), for kernels that need the two apart.

    ``prior`` has ``log_prob`` and ``sample``; ``log_weight`` maps z (B, d) to (B,).
    """

    def __init__(self, prior: StandardNormal, log_weight: Callable[[Tensor], Tensor]):
        self.prior = prior
        self.log_weight = log_weight

    def log_prob(self, z: Tensor) -> Tensor:
        """z (B, d) -> (B,), unnormalised."""
        return self.prior.log_prob(z) + self.log_weight(z)


def log_prob_and_grad(target: Target, z: Tensor) -> tuple[Tensor, Tensor]:
    """(log density (B,), its gradient (B, d)) at z (B, d), both without a graph.

    One backward pass for all rows: row i of the density must depend on row i of z alone.
    """
    own = getattr(target, "log_prob_and_grad", None)
    return own(z) if own else by_autograd(target.log_prob, z)


def by_autograd(log_prob: Callable[[Tensor], Tensor], z: Tensor) -> tuple[Tensor, Tensor]:
    """``log_prob_and_grad`` of a function z (B, d) -> (B,)."""
    with torch.enable_grad():
        z = z.detach().requires_grad_()
        value = log_prob(z)
        (grad,) = torch.autograd.grad(value.sum(), z)
    return value.detach(), grad
