"""Iterated sampling importance resampling, alone and with local moves in between (Ex²MCMC)."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ganedu.samplers.base import (
    Info,
    Kernel,
    Point,
    State,
    check_count,
    evaluate,
    own_generators,
    uniform_like,
)
from ganedu.samplers.independence import Law, check_law, law_or_prior
from ganedu.targets import Target


@dataclass(frozen=True)
class ISIR:
    """One of ``n_particles`` points, the current one and fresh draws of a law, by importance weight.

    (Tjelmeland 2004; Andrieu, Lee and Vihola 2018.) Without a law the prior of a ``Tilted`` target
    proposes. With two particles it is the independence proposal under Barker's acceptance
    w' / (w + w').
    """

    n_particles: int = 10
    law: Law | None = None
    adjusted: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_count("n_particles", self.n_particles, at_least=2)
        check_law(self.law)

    def init(self, target: Target, z: Tensor) -> Point:
        law_or_prior(self.law, target)
        return evaluate(target, z)

    def step(self, target: Target, state: Point, rng: torch.Generator) -> tuple[Point, Info]:
        law, (chains, dim), fresh = law_or_prior(self.law, target), state.z.shape, self.n_particles - 1
        with torch.no_grad():
            drawn = evaluate(target, law.sample(fresh * chains, rng).to(state.z))
        # The particles of one chain in a column; its present point is the last of them.
        z = torch.cat([drawn.z.reshape(fresh, chains, dim), state.z[None]])
        log_prob = torch.cat([drawn.log_prob.reshape(fresh, chains), state.log_prob[None]])
        with torch.no_grad():
            log_q = law.log_prob(z.flatten(0, 1)).reshape(fresh + 1, chains)
        share = shares(log_prob, log_q)
        chosen = (uniform_like(state.log_prob, rng) > share.cumsum(0)[:-1]).sum(0)
        column = torch.arange(chains, device=z.device)
        moved = chosen != fresh
        return Point(z[chosen, column], log_prob[chosen, column]), Info(moved, (-share[-1]).log1p())


def shares(log_prob: Tensor, log_q: Tensor) -> Tensor:
    """The probability of each particle, p / q over their sum: all of shape (particles, chains).

    A point where the law has no density, which only the start of a chain can be, outweighs all others.
    """
    log_weight = (log_prob - log_q).clamp(max=torch.finfo(log_prob.dtype).max)
    possible = torch.isfinite(log_prob) & ~torch.isnan(log_weight)
    return log_weight.masked_fill(~possible, -torch.inf).softmax(0)


@dataclass(frozen=True)
class Ex2:
    """Ex²MCMC (Samsonov et al. 2022, algorithm 2): ``ISIR``, then ``n_moves`` steps of a local kernel.

    The first explores, the second exploits. The local kernel starts anew where the first one ended:
    a gradient kept from before would belong to another point, and bias the chain. It reports whether
    either moved, and the local kernel's mean acceptance. It is as exact as its local kernel is.
    """

    kernel: Kernel
    n_particles: int = 10
    n_moves: int = 3
    law: Law | None = None

    def __post_init__(self) -> None:
        check_count("n_moves", self.n_moves)
        ISIR(self.n_particles, self.law)  # which checks the two

    @property
    def adjusted(self) -> bool:
        return self.kernel.adjusted

    def init(self, target: Target, z: Tensor) -> State:
        law_or_prior(self.law, target)
        return self.kernel.init(target, z)

    def step(self, target: Target, state: State, rng: torch.Generator) -> tuple[State, Info]:
        point, info = ISIR(self.n_particles, self.law).step(target, Point(state.z, state.log_prob), rng)
        state, accepted, alpha = self.kernel.init(target, point.z), info.accepted, 0.0
        for move in own_generators(self.n_moves, rng):
            state, info = self.kernel.step(target, state, move)
            accepted, alpha = accepted | info.accepted, alpha + info.log_alpha.exp()
        return state, Info(accepted, (alpha / self.n_moves).log())
