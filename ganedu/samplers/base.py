"""What every kernel is made of: states, their selection, and what a step reports.

A kernel has ``init(target, z) -> State`` and ``step(target, state, rng) -> (State, Info)``.
Both are pure: a state is a NamedTuple of tensors with the chain axis first, nothing is changed
in place, and all randomness comes from ``rng`` in full (chains, ...) blocks, so that no chain
depends on how another one fares. What is cached in a state belongs to the point beside it.
"""

from typing import NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor

from ganedu.targets import Target, log_prob_and_grad


class Point(NamedTuple):
    """Positions (chains, d) and the log density there (chains,)."""

    z: Tensor
    log_prob: Tensor


class GradPoint(NamedTuple):
    """A point with the gradient of its log density (chains, d)."""

    z: Tensor
    log_prob: Tensor
    grad: Tensor


State = TypeVar("State", Point, GradPoint)


class Info(NamedTuple):
    """Per chain: was the proposal taken, and the log of the probability that it would be."""

    accepted: Tensor
    log_alpha: Tensor


class Kernel(Protocol):
    """A Markov transition. ``adjusted`` says whether it leaves its target invariant."""

    adjusted: bool

    def init(self, target: Target, z: Tensor) -> Point | GradPoint: ...

    def step(self, target: Target, state: State, rng: torch.Generator) -> tuple[State, Info]: ...


class Proposal(Protocol):
    """A move that can say how much likelier its way back is: log q(z|z') - log q(z'|z)."""

    def init(self, target: Target, z: Tensor) -> Point | GradPoint: ...

    def propose(self, target: Target, state: State, rng: torch.Generator) -> tuple[State, Tensor]: ...


def evaluate(target: Target, z: Tensor) -> Point:
    """The point at ``z``, without a graph."""
    z = z.detach()
    with torch.no_grad():
        return Point(z, target.log_prob(z))


def evaluate_with_grad(target: Target, z: Tensor) -> GradPoint:
    """The point at ``z`` with its gradient, without a graph."""
    z = z.detach()
    return GradPoint(z, *log_prob_and_grad(target, z))


def select(mask: Tensor, new: State, old: State) -> State:
    """Chain by chain: ``new`` where ``mask`` (chains,) is true, ``old`` elsewhere."""
    return type(old)(
        *(torch.where(mask.reshape(-1, *[1] * (a.ndim - 1)), a, b) for a, b in zip(new, old, strict=True))
    )


def normal_like(z: Tensor, rng: torch.Generator) -> Tensor:
    """N(0, I) in the shape of ``z``."""
    return torch.randn(z.shape, generator=rng, device=z.device, dtype=z.dtype)
