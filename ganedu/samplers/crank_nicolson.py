"""Crank-Nicolson moves: reversible under the prior N(0, I), so that only the weight is left to judge.

Both leave N(0, I) as it is at any step size and in any dimension: on a GAN's latent target with a
flat discriminator nothing is rejected, but for rounding. A Langevin move of that length is not so lucky.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ganedu.samplers.base import (
    GradPoint,
    Point,
    check_positive,
    evaluate,
    evaluate_with_grad,
    gaussian_prior,
    normal_like,
)
from ganedu.targets import Tilted


@dataclass(frozen=True)
class CrankNicolson:
    """pCN: z' = √(1 - β²) z + β ξ (Cotter et al. 2013, eq. 1.2), on a target with prior N(0, I).

    Accepted with min(1, e^{d' - d}), d the log weight. ``step_size`` is β in (0, 1]; at 1 it is the
    independence proposal from the prior.
    """

    step_size: float
    target_accept: ClassVar[float] = 0.234
    largest: ClassVar[float] = 1.0

    def __post_init__(self) -> None:
        check_positive("step_size", self.step_size, self.largest)

    def init(self, target: Tilted, z: Tensor) -> Point:
        gaussian_prior(target, "CrankNicolson")
        return evaluate(target, z)

    def propose(self, target: Tilted, state: Point, rng: torch.Generator) -> tuple[Point, Tensor]:
        """(the proposed point, log p0(z) - log p0(z')): p0(z) q(z'|z) = p0(z') q(z|z')."""
        rho = math.sqrt(1.0 - self.step_size**2)
        new = evaluate(target, rho * state.z + self.step_size * normal_like(state.z, rng))
        return new, target.prior.log_prob(state.z) - target.prior.log_prob(new.z)


@dataclass(frozen=True)
class CrankNicolsonLangevin:
    """pCNL: z' = ρ z + (1 - ρ) ∇d(z) + β ξ, ρ = √(1 - β²) (Cotter et al. 2013, eq. 4.6).

    Langevin's drift for the weight alone, the prior being taken care of exactly. As ∇d = ∇log p + z it
    is z + (1 - ρ) ∇log p + β ξ, and so MALA with τ = β² but for a drift longer by β⁴/8 ∇log p.
    ``step_size`` is β in (0, 1].
    """

    step_size: float
    target_accept: ClassVar[float] = 0.574
    largest: ClassVar[float] = 1.0

    def __post_init__(self) -> None:
        check_positive("step_size", self.step_size, self.largest)

    def init(self, target: Tilted, z: Tensor) -> GradPoint:
        gaussian_prior(target, "CrankNicolsonLangevin")
        return evaluate_with_grad(target, z)

    def propose(self, target: Tilted, state: GradPoint, rng: torch.Generator) -> tuple[GradPoint, Tensor]:
        """(the proposed point, log q(z|z') - log q(z'|z))."""
        noise = normal_like(state.z, rng)
        new = evaluate_with_grad(target, self.mean(state) + self.step_size * noise)
        back = (state.z - self.mean(new)).square().sum(-1) / self.step_size**2
        return new, 0.5 * (noise.square().sum(-1) - back)

    def mean(self, state: GradPoint) -> Tensor:
        """E[z' | z] (chains, d)."""
        return state.z + (1.0 - math.sqrt(1.0 - self.step_size**2)) * state.grad
