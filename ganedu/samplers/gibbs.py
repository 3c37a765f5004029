"""Gibbs sampling: each coordinate in turn, from its law given the others."""

from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from ganedu.samplers.base import Info, Point, evaluate


class Conditional(Protocol):
    """A target that can be drawn from one coordinate at a time."""

    def log_prob(self, z: Tensor) -> Tensor: ...

    def conditional(self, i: int, z: Tensor, rng: torch.Generator) -> Tensor:
        """Draws (B,) of coordinate ``i`` given the other coordinates of z (B, d)."""


@dataclass(frozen=True)
class Gibbs:
    """One sweep over the coordinates (Geman and Geman 1984). Never rejects, and asks the target for
    its conditionals; a sweep in a fixed order is invariant, though not reversible."""

    adjusted: ClassVar[bool] = True

    def init(self, target: Conditional, z: Tensor) -> Point:
        if not hasattr(target, "conditional"):
            raise ValueError(
                f"target: Gibbs needs a method conditional(i, z, rng), which {type(target).__name__} lacks"
            )
        return evaluate(target, z)

    def step(self, target: Conditional, state: Point, rng: torch.Generator) -> tuple[Point, Info]:
        z = state.z
        for i in range(z.shape[1]):
            z = torch.cat([z[:, :i], target.conditional(i, z, rng)[:, None], z[:, i + 1 :]], dim=1)
        new = evaluate(target, z)
        return new, Info(torch.ones_like(new.log_prob, dtype=torch.bool), torch.zeros_like(new.log_prob))
