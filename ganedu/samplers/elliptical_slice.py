"""Elliptical slice sampling: no step size, no rejection, for a target with prior N(0, I)."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ganedu.samplers.base import Info, Point, evaluate, gaussian_prior, normal_like, select, uniform_like
from ganedu.targets import Tilted

MOST = 200  # about as many halvings: an angle that small no longer moves a point in any float


@dataclass(frozen=True)
class EllipticalSlice:
    """A point on the ellipse through z and a draw ν of the prior, above a level of the weight.

    z'(θ) = z cos θ + ν sin θ has the prior's law for every θ; a level d(z) + log u is drawn, θ from
    a whole turn, and the bracket shrinks towards θ = 0 until d(z'(θ)) is above the level (Murray,
    Adams and MacKay 2010, fig. 2). Chains that are done wait for the others.
    """

    adjusted: ClassVar[bool] = True

    def init(self, target: Tilted, z: Tensor) -> Point:
        gaussian_prior(target, "EllipticalSlice")
        return evaluate(target, z)

    def step(self, target: Tilted, state: Point, rng: torch.Generator) -> tuple[Point, Info]:
        nu = normal_like(state.z, rng)
        weight = state.log_prob - target.prior.log_prob(state.z)
        level = weight + uniform_like(weight, rng).log()
        angle = 2.0 * math.pi * uniform_like(weight, rng)
        low, high = angle - 2.0 * math.pi, angle
        new, done = state, torch.zeros_like(level, dtype=torch.bool)
        for _ in range(MOST):
            z = state.z * angle.cos()[:, None] + nu * angle.sin()[:, None]
            there = evaluate(target, z)
            above = torch.isfinite(there.log_prob) & (there.log_prob - target.prior.log_prob(z) > level)
            new = select(above & ~done, there, new)
            done = done | above
            if done.all():
                break
            low, high = torch.where(angle < 0, angle, low), torch.where(angle < 0, high, angle)
            angle = torch.lerp(low, high, uniform_like(weight, rng))
        return new, Info(done, torch.zeros_like(level))
