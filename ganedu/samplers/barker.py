"""Barker's proposal: a random walk that turns each coordinate's step towards higher density."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from ganedu.samplers.base import GradPoint, check_positive, evaluate_with_grad, normal_like, uniform_like
from ganedu.targets import Target


@dataclass(frozen=True)
class Barker:
    """z'_i = z_i + b_i w_i, w ~ N(0, τ I), b_i = +1 with probability σ(w_i ∂_i log p(z)), else -1.

    Each coordinate has density 2 N(w_i; 0, τ) σ(w_i ∂_i log p(z)) (Livingstone and Zanella 2022, sec.
    3). The gradient decides a direction only, never a length: where it is huge a Langevin proposal
    is thrown far away, and this one is not. ``step_size`` is τ.
    """

    step_size: float
    target_accept: ClassVar[float] = 0.4

    def __post_init__(self) -> None:
        check_positive("step_size", self.step_size)

    def init(self, target: Target, z: Tensor) -> GradPoint:
        return evaluate_with_grad(target, z)

    def propose(self, target: Target, state: GradPoint, rng: torch.Generator) -> tuple[GradPoint, Tensor]:
        """(the proposed point, log q(z|z') - log q(z'|z))."""
        w = math.sqrt(self.step_size) * normal_like(state.z, rng)
        step = torch.where(uniform_like(w, rng) <= torch.sigmoid(w * state.grad), w, -w)
        new = evaluate_with_grad(target, state.z + step)
        return new, (logsigmoid(-step * new.grad) - logsigmoid(step * state.grad)).sum(-1)
