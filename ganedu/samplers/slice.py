"""Slice sampling along a random line: a uniform draw from where the density is above a level."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ganedu.samplers.base import (
    Info,
    Point,
    check_count,
    check_positive,
    evaluate,
    normal_like,
    select,
    uniform_like,
)
from ganedu.targets import Target

MOST = 200  # see elliptical_slice.py


@dataclass(frozen=True)
class Slice:
    """Stepping out and shrinkage (Neal 2003, figs. 3 and 5) along a uniformly random direction.

    ``width`` is the first guess at the slice's length, in units of z; ``max_steps`` bounds how many
    widths the bracket may grow to. A poor width costs evaluations, never exactness.
    """

    width: float = 1.0
    max_steps: int = 32
    adjusted: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_positive("width", self.width)
        check_count("max_steps", self.max_steps)

    def init(self, target: Target, z: Tensor) -> Point:
        return evaluate(target, z)

    def step(self, target: Target, state: Point, rng: torch.Generator) -> tuple[Point, Info]:
        line = normal_like(state.z, rng)
        line = line / line.norm(dim=-1, keepdim=True)
        level = state.log_prob + uniform_like(state.log_prob, rng).log()

        def at(t: Tensor) -> Point:
            return evaluate(target, state.z + t[:, None] * line)

        low, high = self._step_out(at, level, rng)
        new, done = state, torch.zeros_like(level, dtype=torch.bool)
        for _ in range(MOST):
            t = torch.lerp(low, high, uniform_like(level, rng))
            there = at(t)
            above = torch.isfinite(there.log_prob) & (there.log_prob > level)
            new = select(above & ~done, there, new)
            done = done | above
            if done.all():
                break
            low, high = torch.where(t < 0, t, low), torch.where(t < 0, high, t)
        return new, Info(done, torch.zeros_like(level))

    def _step_out(self, at, level: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """The bracket's ends, each (chains,). All randomness is drawn before the loop, so that how
        long a chain takes here moves nobody's later numbers."""
        low = -self.width * uniform_like(level, rng)
        high = low + self.width
        left = (self.max_steps * (1.0 - uniform_like(level, rng))).floor()
        right = self.max_steps - 1 - left
        for _ in range(self.max_steps - 1):
            down = (left > 0) & (at(low).log_prob > level)
            up = (right > 0) & (at(high).log_prob > level)
            if not (down | up).any():
                break
            low, high = low - self.width * down, high + self.width * up
            # An end that has left the slice stays where it is, though the slice may go on beyond.
            left, right = (left - 1).where(down, 0), (right - 1).where(up, 0)
        return low, high
