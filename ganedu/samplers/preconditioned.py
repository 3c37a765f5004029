"""Preconditioning: any kernel, on coordinates that have about the same spread."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ganedu.samplers.base import Info, Kernel, State
from ganedu.targets import Target, log_prob_and_grad


class Whitened(NamedTuple):
    """A kernel's state at u = z / scale, with the z (chains, d) that is meant."""

    z: Tensor
    inner: State

    @property
    def log_prob(self) -> Tensor:
        """Of the target at z, (chains,)."""
        return self.inner.log_prob


@dataclass(frozen=True, eq=False)
class Scaled:
    """A target as a function of u = z / scale. The constant Jacobian is left out."""

    target: Target
    scale: Tensor

    def log_prob(self, u: Tensor) -> Tensor:
        """u (B, d) -> (B,)."""
        return self.target.log_prob(self.scale * u)

    def log_prob_and_grad(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """As ``targets.log_prob_and_grad``."""
        value, grad = log_prob_and_grad(self.target, self.scale * u)
        return value, self.scale * grad


@dataclass(frozen=True, eq=False)
class Preconditioned:
    """``kernel`` on u = z / scale, ``scale`` (d,): about the standard deviation of each coordinate.

    For Hamiltonian kernels that is the diagonal mass matrix with M⁻¹ = scale²; for random walks and
    Langevin moves a proposal with covariance τ scale². One wrapper, so that the kernels stay the
    formulas of the textbook.

    Raises ValueError for scales that are not positive and finite, and on the first step where the
    kernel asks for a ``Tilted`` target: a prior of N(0, I) is lost under a change of scale.
    """

    kernel: Kernel
    scale: Tensor

    def __post_init__(self) -> None:
        if self.scale.ndim != 1 or not (torch.isfinite(self.scale) & (self.scale > 0)).all():
            raise ValueError(f"scale: expected positive numbers of shape (d,), got {self.scale}")

    @property
    def adjusted(self) -> bool:
        return self.kernel.adjusted

    def init(self, target: Target, z: Tensor) -> Whitened:
        """Raises ValueError where ``scale`` is not of z's dimension."""
        if self.scale.shape != z.shape[1:]:
            raise ValueError(f"scale: expected shape {tuple(z.shape[1:])}, got {tuple(self.scale.shape)}")
        scale = self.scale.to(z)
        return self._whitened(self.kernel.init(Scaled(target, scale), z.detach() / scale), scale)

    def step(self, target: Target, state: Whitened, rng: torch.Generator) -> tuple[Whitened, Info]:
        scale = self.scale.to(state.z)
        inner, info = self.kernel.step(Scaled(target, scale), state.inner, rng)
        return self._whitened(inner, scale), info

    def _whitened(self, inner: State, scale: Tensor) -> Whitened:
        return Whitened(scale * inner.z, inner)
