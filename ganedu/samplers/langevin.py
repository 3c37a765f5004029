"""Langevin moves: z' = z + (τ/2) ∇log p(z) + √τ ξ, ξ ~ N(0, I)."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ganedu.samplers.base import GradPoint, Info, check_positive, evaluate_with_grad, moved, normal_like
from ganedu.targets import Target


@dataclass(frozen=True)
class Langevin:
    """The unadjusted Langevin algorithm, and the proposal of MALA (Roberts and Tweedie 1996).

    On its own it is biased: on N(0, 1) its law is N(0, 1/(1 - τ/4)). Wrapped in
    ``MetropolisHastings`` it is exact. On a GAN's latent target the two are DDLS (Che et al.
    2020; seed slide 004) and REP-GAN (Wang et al. 2021, sec. 3.3; seed slide 000).

    ``step_size`` is τ. Other texts write z + ε ∇ + √(2ε) ξ: then τ = 2ε.
    """

    step_size: float
    adjusted: ClassVar[bool] = False
    target_accept: ClassVar[float] = 0.574  # of MALA in high dimension (Roberts and Rosenthal 1998)

    def __post_init__(self) -> None:
        check_positive("step_size", self.step_size)

    def init(self, target: Target, z: Tensor) -> GradPoint:
        return evaluate_with_grad(target, z)

    def step(self, target: Target, state: GradPoint, rng: torch.Generator) -> tuple[GradPoint, Info]:
        """Always moves, unless the move leaves the numbers that floats can hold."""
        new, _ = self.propose(target, state, rng)
        return moved(new, state)

    def propose(self, target: Target, state: GradPoint, rng: torch.Generator) -> tuple[GradPoint, Tensor]:
        """(the proposed point, log q(z|z') - log q(z'|z)). One gradient: that of z is cached."""
        noise = normal_like(state.z, rng)
        new = evaluate_with_grad(target, self.mean(state) + math.sqrt(self.step_size) * noise)
        back = (state.z - self.mean(new)).square().sum(-1) / self.step_size
        return new, 0.5 * (noise.square().sum(-1) - back)

    def mean(self, state: GradPoint) -> Tensor:
        """E[z' | z] (chains, d)."""
        return state.z + 0.5 * self.step_size * state.grad
