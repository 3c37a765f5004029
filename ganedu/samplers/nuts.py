"""The no-U-turn sampler: Hamiltonian trajectories that stop when they begin to come back.

Batched and without recursion: in every doubling all chains walk the same 2^depth leapfrog steps, each
in its own direction from its own edge, and a chain that is done waits. The checks that a recursive
tree makes on the way up need, at leaf n, the points at which the subtrees that end in n began; those
are kept by the number of ones in n's binary digits (Phan et al. 2019; Lao and Dillon 2019).
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from ganedu.samplers.base import (
    DIVERGENT,
    GradPoint,
    Info,
    check_count,
    check_positive,
    evaluate_with_grad,
    normal_like,
    select,
    uniform_like,
)
from ganedu.samplers.hamiltonian import kinetic, leapfrog
from ganedu.targets import Target


class Edge(NamedTuple):
    """An end of the trajectory: its point and its momentum (chains, d)."""

    point: GradPoint
    momentum: Tensor


class Tree(NamedTuple):
    """A piece of trajectory. ``log_weight`` (chains,) sums e^{-energy} over its points, relative to the
    start; ``momentum`` (chains, d) is the sum over its points; ``choice`` is one of them, drawn by weight."""

    choice: GradPoint
    log_weight: Tensor
    momentum: Tensor


class Walk(NamedTuple):
    """What a doubling found: the new piece, its outer end, which chains may not use it, and statistics."""

    tree: Tree
    edge: Edge
    turned: Tensor
    divergent: Tensor
    alpha: Tensor
    leaves: Tensor


@dataclass(frozen=True)
class NUTS:
    """Multinomial NUTS (Hoffman and Gelman 2014; Betancourt 2017, app. A) with mass matrix I.

    ``max_depth`` bounds a trajectory to 2^max_depth - 1 leapfrog steps. Its ``log_alpha`` is the log of
    the mean acceptance over the trajectory, as dual averaging wants it; ``accepted`` says whether the
    chain moved, ``divergent`` whether the energy was lost, ``n_leapfrog`` how many steps the chain took.
    """

    step_size: float
    max_depth: int = 10
    adjusted: ClassVar[bool] = True
    target_accept: ClassVar[float] = 0.8

    def __post_init__(self) -> None:
        check_positive("step_size", self.step_size)
        check_count("max_depth", self.max_depth)

    def init(self, target: Target, z: Tensor) -> GradPoint:
        return evaluate_with_grad(target, z)

    def step(self, target: Target, state: GradPoint, rng: torch.Generator) -> tuple[GradPoint, Info]:
        start = Edge(state, normal_like(state.z, rng))
        energy = kinetic(start.momentum) - state.log_prob
        zero = torch.zeros_like(state.log_prob)
        tree, back, front = Tree(state, zero, start.momentum), start, start
        active, moved = zero == 0, zero != 0
        divergent, alpha, n_leapfrog = moved, zero, zero
        for depth in range(self.max_depth):
            forward = uniform_like(zero, rng) <= 0.5
            # All numbers of a doubling at once: how early others stop in it moves nobody's later ones.
            uniform = uniform_like(zero.expand(2**depth + 1, -1), rng)
            walk = self._walk(target, select(forward, front, back), forward, energy, active, depth, uniform)
            divergent, alpha = divergent | walk.divergent, alpha + walk.alpha
            n_leapfrog = n_leapfrog + walk.leaves

            usable = active & ~walk.turned & ~walk.divergent
            # The new half is preferred to the old one, which makes for longer moves.
            taken = usable & (uniform[-1].log() <= walk.tree.log_weight - tree.log_weight)
            choice, moved = select(taken, walk.tree.choice, tree.choice), moved | taken
            front = select(usable & forward, walk.edge, front)
            back = select(usable & ~forward, walk.edge, back)
            log_weight = torch.logaddexp(tree.log_weight, walk.tree.log_weight)
            joined = Tree(choice, log_weight, tree.momentum + walk.tree.momentum)
            tree = select(usable, joined, tree)
            active = usable & ~turns(back.momentum, front.momentum, tree.momentum)
            if not active.any():
                break
        log_alpha = (alpha / n_leapfrog).log()
        return tree.choice, Info(moved, log_alpha, divergent, n_leapfrog)

    def _walk(
        self,
        target: Target,
        edge: Edge,
        forward: Tensor,
        energy: Tensor,
        active: Tensor,
        depth: int,
        uniform: Tensor,
    ) -> Walk:
        """2^depth leapfrog steps outwards from ``edge``, for the chains that are ``active``."""
        step_size = self.step_size * torch.where(forward, 1.0, -1.0).to(energy)[:, None]
        zero = torch.zeros_like(energy)
        tree = Tree(edge.point, zero - torch.inf, torch.zeros_like(edge.momentum))
        turned = divergent = zero != 0
        alpha = leaves = zero
        began: dict[int, tuple[Tensor, Tensor]] = {}
        for leaf in range(2**depth):
            running = active & ~turned & ~divergent
            if not running.any():
                break
            edge = select(running, Edge(*leapfrog(target, *edge, step_size)), edge)
            log_weight = energy - kinetic(edge.momentum) + edge.point.log_prob
            log_weight = torch.where(torch.isfinite(log_weight), log_weight, -torch.inf)
            divergent = divergent | (running & (log_weight < DIVERGENT))
            alpha = alpha + torch.where(running, log_weight.clamp(max=0.0).exp(), 0.0)
            leaves = leaves + running

            total = torch.logaddexp(tree.log_weight, log_weight)
            chosen = running & (uniform[leaf].log() <= log_weight - total)
            grown = Tree(select(chosen, edge.point, tree.choice), total, tree.momentum + edge.momentum)
            tree = select(running, grown, tree)
            first, last = open_subtrees(leaf)
            if leaf % 2 == 0:
                began[last] = (edge.momentum, tree.momentum - edge.momentum)
            else:
                for ones in range(last, first - 1, -1):
                    momentum, before = began[ones]
                    turned = turned | (running & turns(momentum, edge.momentum, tree.momentum - before))
        return Walk(tree, edge, turned, divergent, alpha, leaves)


def turns(one: Tensor, other: Tensor, total: Tensor) -> Tensor:
    """Has a piece with momenta ``one`` and ``other`` at its ends, and ``total`` over all its points, begun
    to come back? (chains,) (Betancourt 2017, app. A.4, each end counted half)."""
    middle = total - 0.5 * (one + other)
    return ((middle * one).sum(-1) <= 0) | ((middle * other).sum(-1) <= 0)


def open_subtrees(leaf: int) -> tuple[int, int]:
    """(first, last): which kept points the check at ``leaf`` needs; an even leaf is kept as ``last``.

    >>> from ganedu.samplers.nuts import open_subtrees
    >>> open_subtrees(7)  # leaves 0-7, 4-7 and 6-7 are complete subtrees that end at 7
    (0, 2)
    """
    last = (leaf >> 1).bit_count()
    ending = (~leaf & (leaf + 1)).bit_length() - 1  # ones at the end of its binary digits
    return last - ending + 1, last
