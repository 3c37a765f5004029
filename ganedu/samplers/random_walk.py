"""The random walk of Metropolis: z' = z + √τ ξ, ξ ~ N(0, I)."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ganedu.samplers.base import Point, check_positive, evaluate, normal_like
from ganedu.targets import Target


@dataclass(frozen=True)
class RandomWalk:
    """A symmetric proposal (Metropolis et al. 1953): the way back is as likely as the way there.

    ``step_size`` is τ, the variance of each coordinate. About 2.38² / d times the target's variance
    is best, at which 23% of the proposals are accepted (Roberts, Gelman and Gilks 1997).
    """

    step_size: float
    target_accept: ClassVar[float] = 0.234

    def __post_init__(self) -> None:
        check_positive("step_size", self.step_size)

    def init(self, target: Target, z: Tensor) -> Point:
        return evaluate(target, z)

    def propose(self, target: Target, state: Point, rng: torch.Generator) -> tuple[Point, Tensor]:
        """(the proposed point, 0)."""
        new = evaluate(target, state.z + math.sqrt(self.step_size) * normal_like(state.z, rng))
        return new, torch.zeros_like(new.log_prob)
