"""Hamiltonian moves: a momentum is drawn, and both follow the equations of motion for a while."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ganedu.samplers.base import (
    GradPoint,
    check_count,
    check_positive,
    evaluate_with_grad,
    normal_like,
    uniform_like,
)
from ganedu.targets import Target


def leapfrog(
    target: Target, state: GradPoint, momentum: Tensor, step_size: float | Tensor
) -> tuple[GradPoint, Tensor]:
    """One step of Störmer and Verlet's scheme: half a kick, a drift, half a kick.

    ``momentum`` (chains, d); ``step_size`` a number, or (chains, 1) where directions differ. It keeps
    volume, and undoes itself when the momentum is turned round: the Jacobian of a whole trajectory is
    1, and its way back as likely as its way there.
    """
    momentum = momentum + 0.5 * step_size * state.grad
    state = evaluate_with_grad(target, state.z + step_size * momentum)
    return state, momentum + 0.5 * step_size * state.grad


def kinetic(momentum: Tensor) -> Tensor:
    """½ |p|² (chains,): -log of its density N(0, I), but for a constant."""
    return 0.5 * momentum.square().sum(-1)


@dataclass(frozen=True)
class Hamiltonian:
    """The proposal of HMC (Duane et al. 1987; Neal 2011): ``n_leapfrog`` steps of size ``step_size``.

    In ``MetropolisHastings`` it is exact. With one leapfrog step it is MALA with τ = step_size².

    Where all coordinates have one spread s, as after preconditioning, they swing in step: a trajectory of
    length n_leapfrog * step_size = π s / 2 forgets where it began, one of π s ends on the other side, and
    one of 2π s where it was. ``jitter`` j in [0, 1) draws each chain's step size from step_size (1 ± j),
    and so keeps long trajectories out of that trap (Neal 2011, sec. 3.2).
    """

    step_size: float
    n_leapfrog: int = 10
    jitter: float = 0.0
    target_accept: ClassVar[float] = 0.8  # above the 0.651 of the limit, as in Stan: it costs little

    def __post_init__(self) -> None:
        check_positive("step_size", self.step_size)
        check_count("n_leapfrog", self.n_leapfrog)
        if not 0.0 <= self.jitter < 1.0:
            raise ValueError(f"jitter: expected a number from 0 to below 1, got {self.jitter}")

    def init(self, target: Target, z: Tensor) -> GradPoint:
        return evaluate_with_grad(target, z)

    def propose(self, target: Target, state: GradPoint, rng: torch.Generator) -> tuple[GradPoint, Tensor]:
        """(the end of the trajectory, the kinetic energy that was lost on the way)."""
        momentum = normal_like(state.z, rng)
        before, step_size = kinetic(momentum), self.step_size
        if self.jitter:
            step_size = step_size * (1.0 + self.jitter * (2.0 * uniform_like(before, rng) - 1.0))[:, None]
        for _ in range(self.n_leapfrog):
            state, momentum = leapfrog(target, state, momentum, step_size)
        return state, before - kinetic(momentum)
