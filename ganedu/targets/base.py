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


def tilted(target: Target) -> Tilted:
    """``target``, which has ``dim`` and ``dtype``, as a prior N(0, I) and what is left: the same law,
    open to kernels that need the two apart.

    Raises ValueError for a target without them.
    """
    if not (hasattr(target, "dim") and hasattr(target, "dtype")):
        raise ValueError(f"target: expected one with dim and dtype, got {type(target).__name__}")
    prior = StandardNormal(target.dim, target.dtype)
    return Tilted(prior, lambda z: target.log_prob(z) - prior.log_prob(z))


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


def check_points(z: Tensor, dim: int) -> None:
    """Raise ValueError for what is not a batch of points of R^dim."""
    if z.ndim != 2 or z.shape[1] != dim:
        raise ValueError(f"z: expected shape (chains, {dim}), got {tuple(z.shape)}")


def check_positive(name: str, value: float, at_most: float = math.inf) -> None:
    """Raise ValueError for a number that is not finite, not positive or too large."""
    if not (math.isfinite(value) and 0 < value <= at_most):
        limit = "" if math.isinf(at_most) else f" of at most {at_most:g}"
        raise ValueError(f"{name}: expected a positive number{limit}, got {value}")


def check_dim(dim: int, at_least: int) -> None:
    """Raise ValueError for what is no int of at least ``at_least``."""
    if not isinstance(dim, int) or dim < at_least:
        raise ValueError(f"dim: expected an int of at least {at_least}, got {dim!r}")
