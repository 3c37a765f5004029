"""Langevin moves with the two knobs of seed slide 004: a step that decays, and chains that repel."""

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from ganedu.samplers.base import GradPoint, Info, check_positive, evaluate_with_grad, moved, normal_like
from ganedu.targets import Target

EPSILON = 1e-8  # the seed's: chains that all coincide have no mean distance to divide by


class Timed(NamedTuple):
    """A point with its gradient, and the number of steps ``t`` (chains,) that led to it."""

    z: Tensor
    log_prob: Tensor
    grad: Tensor
    t: Tensor


@dataclass(frozen=True)
class TunedLangevin:
    """z' = z + (τ_t/2) (∇log p(z) + λ n ∇(-1/m)) + √τ_t ξ, τ_t = step_size (1 + t)^-decay.

    m is the mean distance between the n chains, λ = ``diversity``. The seed adds λ/m to the energy of
    every chain and differentiates the sum; hence the n, without which the term would fade as chains
    are added. Its force is about λ/m², with m about √(2d) at the prior: a λ far below 2d does nothing.
    As τ goes to 0 its law is not the product of n times p but ∝ Π p(z_i) e^{-λ n / m}: the
    one kernel here in which chains see each other, by design.

    A decay alone is harmless: steps that go to 0 take the bias along, if their sum is unbounded
    (decay at most 1; Durmus and Moulines 2017), though ever more slowly. Both at 0: ``Langevin``.
    The step's number is in the state, so that a step remains a function of its arguments.

    Raises ValueError for numbers that are negative or not finite, and, where there is a diversity
    term, for a single chain.
    """

    step_size: float
    decay: float = 0.0
    diversity: float = 0.0
    adjusted: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_positive("step_size", self.step_size)
        for name in ("decay", "diversity"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"{name}: expected a number of at least 0, got {value}")

    def init(self, target: Target, z: Tensor) -> Timed:
        if self.diversity and len(z) < 2:
            raise ValueError(f"diversity: expected two chains or more, got {len(z)}")
        point = evaluate_with_grad(target, z)
        return Timed(*point, t=torch.zeros_like(point.log_prob))

    def step(self, target: Target, state: Timed, rng: torch.Generator) -> tuple[Timed, Info]:
        """Always moves, unless the move leaves the numbers that floats can hold; time passes for all."""
        step_size = (self.step_size * (1.0 + state.t) ** -self.decay)[:, None]
        drift = state.grad + self.diversity * repulsion(state.z) if self.diversity else state.grad
        noise = step_size.sqrt() * normal_like(state.z, rng)
        new = evaluate_with_grad(target, state.z + 0.5 * step_size * drift + noise)
        point, info = moved(new, GradPoint(state.z, state.log_prob, state.grad))
        return Timed(*point, t=state.t + 1.0), info


def mean_distance(z: Tensor) -> Tensor:
    """The mean of |z_i - z_j| over all pairs of z (n, d), a scalar."""
    return torch.pdist(z).mean()


def repulsion(z: Tensor) -> Tensor:
    """n times the gradient of -1 / (m + ε) by each of the points z (n, d), m their mean distance.

    ∂m/∂z_i = 2 / (n (n - 1)) Σ_j (z_i - z_j) / |z_i - z_j|. Needs n² numbers.
    """
    # Not by the expansion of (a - b)², which loses the distance of points that are close.
    apart = torch.cdist(z, z, compute_mode="donot_use_mm_for_euclid_dist")
    inverse = torch.where(apart > 0, 1.0 / apart, torch.zeros_like(apart))
    away = z * inverse.sum(1, keepdim=True) - inverse @ z
    n = len(z)
    mean = apart.sum() / (n * (n - 1))
    return 2.0 / (n - 1) * away / (mean + EPSILON).square()
