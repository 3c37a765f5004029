"""Metropolis-Hastings: any proposal that knows its own ratio becomes exact."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ganedu.samplers.base import DIVERGENT, Info, Proposal, State, select, uniform_like
from ganedu.targets import Target


def log_acceptance(old: Tensor, new: Tensor, log_q_ratio: Tensor) -> Tensor:
    """log min(1, p(z') q(z|z') / (p(z) q(z'|z))), (chains,), from log densities (Hastings 1970).

    ``log_q_ratio`` is log q(z|z') - log q(z'|z). A proposal that is not finite has probability
    zero: NaN compares false with everything, which some codes take for "accept".
    """
    log_alpha = (new - old + log_q_ratio).clamp(max=0.0)
    possible = torch.isfinite(new) & ~torch.isnan(log_alpha)
    return log_alpha.masked_fill(~possible, -math.inf)


@dataclass(frozen=True)
class MetropolisHastings:
    """Accept or reject each chain's proposal on its own, so that the target is invariant."""

    proposal: Proposal
    adjusted: ClassVar[bool] = True

    def init(self, target: Target, z: Tensor) -> State:
        return self.proposal.init(target, z)

    def step(self, target: Target, state: State, rng: torch.Generator) -> tuple[State, Info]:
        new, log_q_ratio = self.proposal.propose(target, state, rng)
        log_alpha = log_acceptance(state.log_prob, new.log_prob, log_q_ratio)
        accepted = uniform_like(log_alpha, rng).log() <= log_alpha
        info = Info(accepted, log_alpha)
        if n_leapfrog := getattr(self.proposal, "n_leapfrog", None):
            info = Info(accepted, log_alpha, log_alpha < DIVERGENT, torch.full_like(log_alpha, n_leapfrog))
        return select(accepted, new, state), info
