"""Planted errors: kernels that look right, for the tests to reject."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ganedu.samplers import Langevin, MetropolisHastings
from ganedu.samplers.base import GradPoint, Info, evaluate_with_grad, normal_like, select
from ganedu.samplers.metropolis_hastings import log_acceptance


class OldGradient(Langevin):
    """The way back uses the gradient of the point it came from."""

    def propose(self, target, state, rng):
        noise = normal_like(state.z, rng)
        new = evaluate_with_grad(target, self.mean(state) + math.sqrt(self.step_size) * noise)
        back = new.z + 0.5 * self.step_size * state.grad
        ratio = noise.square().sum(-1) - (state.z - back).square().sum(-1) / self.step_size
        return new, 0.5 * ratio


class VarianceAsDeviation(Langevin):
    """log q with variance τ² where the noise has variance τ."""

    def propose(self, target, state, rng):
        new, ratio = super().propose(target, state, rng)
        return new, ratio / self.step_size


class NoProposalRatio(Langevin):
    """As if the proposal were symmetric."""

    def propose(self, target, state, rng):
        new, ratio = super().propose(target, state, rng)
        return new, torch.zeros_like(ratio)


@dataclass(frozen=True)
class PriorDropped(MetropolisHastings):
    """α from d alone, though the proposal is not the prior."""

    def step(self, target, state, rng):
        new, ratio = self.proposal.propose(target, state, rng)
        old_d, new_d = target.log_weight(state.z), target.log_weight(new.z)
        log_alpha = log_acceptance(old_d, new_d, ratio)
        accepted = torch.rand(log_alpha.shape, generator=rng).log() < log_alpha
        return select(accepted, new, state), Info(accepted, log_alpha)


@dataclass(frozen=True)
class Chosen:
    """A proposal whose z' is given in advance: makes a kernel's α visible pair by pair."""

    to: Tensor
    log_ratio: Tensor
    init = staticmethod(evaluate_with_grad)

    def propose(self, target, state: GradPoint, rng):
        return evaluate_with_grad(target, self.to), self.log_ratio
