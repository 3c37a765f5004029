"""What every kernel is made of: states, their selection, and what a step reports.

A kernel has ``init(target, z) -> State`` and ``step(target, state, rng) -> (State, Info)``.
Both are pure: a state is a NamedTuple of tensors with the chain axis first (or of such tuples),
with at least ``z`` and ``log_prob``; nothing is changed in place, and all randomness comes from
``rng`` in full (chains, ...) blocks, so that no chain depends on how another one fares. What is
cached in a state belongs to the point beside it.
"""

from collections.abc import Iterator
from numbers import Integral
from typing import Any, NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor

from ganedu.rng import draw_seed, generator
from ganedu.targets import StandardNormal, Target, Tilted, log_prob_and_grad
from ganedu.targets.base import check_positive as check_positive  # for kernels

DIVERGENT = -1000.0  # a log acceptance below it: not a bad proposal but an integration that failed


class Point(NamedTuple):
    """Positions (chains, d) and the log density there (chains,)."""

    z: Tensor
    log_prob: Tensor


class GradPoint(NamedTuple):
    """A point with the gradient of its log density (chains, d)."""

    z: Tensor
    log_prob: Tensor
    grad: Tensor


State = TypeVar("State", bound=tuple)


class Info(NamedTuple):
    """Per chain, all of shape (chains,): was the proposal taken, and the log of the probability
    that it would be; did the integration fail, and how many leapfrog steps did it take (None where
    a kernel has no such thing)."""

    accepted: Tensor
    log_alpha: Tensor
    divergent: Tensor | None = None
    n_leapfrog: Tensor | None = None


class Kernel(Protocol):
    """A Markov transition. ``adjusted`` says whether it leaves its target invariant."""

    adjusted: bool

    def init(self, target: Target, z: Tensor) -> State: ...

    def step(self, target: Target, state: State, rng: torch.Generator) -> tuple[State, Info]: ...


def innermost(kernel: Kernel) -> Any:
    """The move that a kernel makes in the end: its proposal, or that of the kernel that it wraps."""
    inner = getattr(kernel, "proposal", None) or getattr(kernel, "kernel", None)
    return kernel if inner is None else innermost(inner)


class Proposal(Protocol):
    """A move that can say how much likelier its way back is: log q(z|z') - log q(z'|z)."""

    def init(self, target: Target, z: Tensor) -> State: ...

    def propose(self, target: Target, state: State, rng: torch.Generator) -> tuple[State, Tensor]: ...


def evaluate(target: Target, z: Tensor) -> Point:
    """The point at ``z``, without a graph, in the precision of ``z``."""
    z = z.detach()
    with torch.no_grad():
        return Point(z, target.log_prob(z).to(z.dtype))


def evaluate_with_grad(target: Target, z: Tensor) -> GradPoint:
    """The point at ``z`` with its gradient, without a graph, in the precision of ``z``."""
    z = z.detach()
    log_prob, grad = log_prob_and_grad(target, z)
    return GradPoint(z, log_prob.to(z.dtype), grad.to(z.dtype))


def select(mask: Tensor, new: State, old: State) -> State:
    """Chain by chain: ``new`` where ``mask`` (chains,) is true, ``old`` elsewhere."""
    if isinstance(old, Tensor):
        return torch.where(mask.reshape(-1, *[1] * (old.ndim - 1)), new, old)
    return type(old)(*(select(mask, a, b) for a, b in zip(new, old, strict=True)))


def moved(new: State, old: State) -> tuple[State, Info]:
    """The step of a kernel that never rejects: ``new``, but for chains whose density or gradient there is
    beyond what floats hold."""
    finite = torch.isfinite(new.log_prob) & torch.isfinite(new.grad).all(-1)
    log_alpha = torch.zeros_like(new.log_prob).masked_fill(~finite, -torch.inf)
    return select(finite, new, old), Info(finite, log_alpha)


def leaves(state: State) -> Iterator[Tensor]:
    """The tensors of a state, in the order of its fields."""
    for part in state:
        yield from (part,) if isinstance(part, Tensor) else leaves(part)


def rebuild(state: State, tensors: Iterator[Tensor]) -> State:
    """A state of the same form, made of the next of ``tensors``."""
    return type(state)(
        *(next(tensors) if isinstance(part, Tensor) else rebuild(part, tensors) for part in state)
    )


def normal_like(z: Tensor, rng: torch.Generator) -> Tensor:
    """N(0, I) in the shape of ``z``."""
    return torch.randn(z.shape, generator=rng, device=z.device, dtype=z.dtype)


def uniform_like(log_prob: Tensor, rng: torch.Generator) -> Tensor:
    """U(0, 1] in the shape of ``log_prob``.

    Not torch's [0, 1): in float32 that is exactly 0 once in 2^24, and log 0 < log α accepts anything.
    """
    return 1.0 - torch.rand(log_prob.shape, generator=rng, device=log_prob.device, dtype=log_prob.dtype)


def own_generators(n: int, rng: torch.Generator) -> Iterator[torch.Generator]:
    """One generator for each of n steps within a step, all made before the first: an inner kernel may draw
    as many numbers as its slowest chain needs, and moves nobody's later ones."""
    seed = draw_seed(rng)
    return (generator(seed, i, device=rng.device) for i in range(n))


def require_tilted(target: Target, kernel: str) -> Tilted:
    """``target``, if it has a prior and a weight. ValueError, in the name of ``kernel``, otherwise."""
    if not isinstance(target, Tilted):
        raise ValueError(
            f"target: {kernel} needs the prior and the weight apart, as Tilted(prior, log_weight) "
            f"has them, got {type(target).__name__}"
        )
    return target


def gaussian_prior(target: Target, kernel: str) -> StandardNormal:
    """The prior of ``target``, if it is N(0, I). ValueError, in the name of ``kernel``, otherwise."""
    prior = require_tilted(target, kernel).prior
    if not isinstance(prior, StandardNormal):
        raise ValueError(f"target: {kernel} needs the prior N(0, I), got {type(prior).__name__}")
    return prior


def check_count(name: str, value: int, at_least: int = 1) -> None:
    """Raise ValueError for what is no int of at least ``at_least``."""
    if not isinstance(value, Integral) or value < at_least:
        raise ValueError(f"{name}: expected an int of at least {at_least}, got {value!r}")
