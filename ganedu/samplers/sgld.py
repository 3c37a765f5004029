"""Stochastic gradient Langevin dynamics: a step costs a mini-batch, and the law has a bias."""

import math
from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from ganedu.samplers.base import GradPoint, Info, check_count, check_positive, moved, normal_like
from ganedu.targets import Target


class Divisible(Protocol):
    """A posterior over ``size`` observations that can be estimated from a few of them."""

    size: int

    def log_prob(self, z: Tensor, batch: Tensor | None = None) -> Tensor:
        """z (B, d) -> (B,); with ``batch`` (B, m), row indices for each chain, an unbiased estimate."""


@dataclass(frozen=True)
class StochasticLangevin:
    """SGLD (Welling and Teh 2011): ``Langevin`` with the gradient of ``batch_size`` observations.

    Each chain draws its own, with replacement. Biased twice: by the step, and by the noise of the
    gradient, which adds τ² V / 4 a step to the variance, V that of the estimated gradient. Both vanish
    with τ. ``log_prob`` in the state is the mini-batch's estimate, not the density.
    """

    step_size: float
    batch_size: int
    adjusted: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_positive("step_size", self.step_size)
        check_count("batch_size", self.batch_size)

    def init(self, target: Divisible, z: Tensor) -> GradPoint:
        """Starts with the full gradient: no generator is at hand here."""
        if not hasattr(target, "size"):
            raise ValueError(
                f"target: SGLD needs one with size and log_prob(z, batch), got {type(target).__name__}"
            )
        return _estimate(target, z, None)

    def step(self, target: Divisible, state: GradPoint, rng: torch.Generator) -> tuple[GradPoint, Info]:
        drift = 0.5 * self.step_size * state.grad
        z = state.z + drift + math.sqrt(self.step_size) * normal_like(state.z, rng)
        shape = (len(z), self.batch_size)
        new = _estimate(target, z, torch.randint(target.size, shape, generator=rng, device=z.device))
        return moved(new, state)


def _estimate(target: Target, z: Tensor, batch: Tensor | None) -> GradPoint:
    """The point at ``z`` with the estimates that ``batch`` gives."""
    with torch.enable_grad():
        z = z.detach().requires_grad_()
        value = target.log_prob(z, batch)
        (grad,) = torch.autograd.grad(value.sum(), z)
    return GradPoint(z.detach(), value.detach(), grad)
