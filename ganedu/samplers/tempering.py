"""Parallel tempering: flatter copies of the target cross where it cannot, and hand down what they find."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from ganedu.samplers.base import (
    Info,
    Kernel,
    State,
    check_count,
    leaves,
    own_generators,
    rebuild,
    require_tilted,
    uniform_like,
)
from ganedu.samplers.tempered import Tempered
from ganedu.targets import Tilted

# The weight is log_prob's share of β, and its rounding error that of log_prob over β.
SMALLEST = 0.001


class Ladder(NamedTuple):
    """The chain at β = 1, and a kernel's state for all temperatures with leaves (chains, rungs, ...)."""

    z: Tensor
    log_prob: Tensor
    rungs: State


@dataclass(frozen=True)
class Tempering:
    """Replica exchange (Swendsen and Wang 1986; Geyer 1991) on prior × weight^β.

    ``betas`` fall from 1 to a number above 0. A step is ``n_moves`` steps of ``kernel`` at each
    temperature, then neighbours i and i + 1, all pairs of one parity, swap their points with
    probability min(1, exp((β_i - β_{i+1})(d_{i+1} - d_i))), d the log weight. Swapped points are
    evaluated anew. What it reports is the last move at β = 1. It is as exact as ``kernel`` is.
    """

    kernel: Kernel
    betas: tuple[float, ...] = (1.0, 0.6, 0.35, 0.15)
    n_moves: int = 3

    def __post_init__(self) -> None:
        betas = tuple(self.betas)
        falling = all(a > b >= SMALLEST for a, b in zip(betas, betas[1:], strict=False))
        if len(betas) < 2 or betas[0] != 1.0 or not falling:
            raise ValueError(
                f"betas: expected two or more, falling from 1 to at least {SMALLEST}, got {betas}"
            )
        check_count("n_moves", self.n_moves)

    @property
    def adjusted(self) -> bool:
        return self.kernel.adjusted

    def init(self, target: Tilted, z: Tensor) -> Ladder:
        require_tilted(target, "Tempering")
        every = z[:, None].expand(-1, len(self.betas), -1).flatten(0, 1)
        return self._ladder(self.kernel.init(self._tempered(target, z), every), len(z))

    def step(self, target: Tilted, state: Ladder, rng: torch.Generator) -> tuple[Ladder, Info]:
        chains, rungs = len(state.z), len(self.betas)
        tempered = self._tempered(target, state.z)
        flat = _map(lambda leaf: leaf.flatten(0, 1), state.rungs)
        for move in own_generators(self.n_moves, rng):
            flat, info = self.kernel.step(tempered, flat, move)
        log_weight = (flat.log_prob - target.prior.log_prob(flat.z)) / tempered.beta
        order = self._swapped(log_weight.reshape(chains, rungs), rng)
        z = flat.z.reshape(chains, rungs, -1).take_along_dim(order[:, :, None], 1)
        new = self._ladder(self.kernel.init(tempered, z.flatten(0, 1)), chains)
        coldest = Info(*(None if part is None else part.reshape(chains, rungs)[:, 0] for part in info))
        return new, coldest

    def _swapped(self, log_weight: Tensor, rng: torch.Generator) -> Tensor:
        """(chains, rungs): which rung's point each rung gets."""
        beta = torch.tensor(self.betas, dtype=log_weight.dtype, device=log_weight.device)
        log_alpha = swap_log_alpha(log_weight, beta)
        parity = (uniform_like(log_weight[:, :1], rng) <= 0.5).long()
        pair = torch.arange(len(self.betas) - 1, device=beta.device)
        swap = (uniform_like(log_alpha, rng).log() <= log_alpha) & (pair % 2 == parity)
        rung = torch.arange(len(self.betas), device=beta.device)
        return rung + pad(swap.long(), (0, 1)) - pad(swap.long(), (1, 0))

    def _tempered(self, target: Tilted, z: Tensor) -> Tempered:
        return Tempered(target, torch.tensor(self.betas, dtype=z.dtype, device=z.device).repeat(len(z)))

    def _ladder(self, flat: State, chains: int) -> Ladder:
        rungs = _map(lambda leaf: leaf.unflatten(0, (chains, len(self.betas))), flat)
        return Ladder(flat.z.unflatten(0, (chains, -1))[:, 0], rungs.log_prob[:, 0], rungs)


def swap_log_alpha(log_weight: Tensor, beta: Tensor) -> Tensor:
    """Log of p_i(z_j) p_j(z_i) / (p_i(z_i) p_j(z_j)) for neighbours j = i + 1: log_weight (chains, rungs),
    beta (rungs,) -> (chains, rungs - 1). The prior and every constant cancel."""
    return (beta[:-1] - beta[1:]) * log_weight.diff(dim=1)


def _map(function, state: State) -> State:
    return rebuild(state, map(function, leaves(state)))
