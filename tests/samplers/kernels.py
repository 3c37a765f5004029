"""Planted errors: kernels that look right, for the tests to reject."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ganedu.samplers import (
    ISIR,
    NUTS,
    Barker,
    CrankNicolson,
    CrankNicolsonLangevin,
    EllipticalSlice,
    Ex2,
    Hamiltonian,
    Independence,
    Langevin,
    MetropolisHastings,
    RandomWalk,
    Slice,
    Tempering,
)
from ganedu.samplers.base import GradPoint, Info, Point, evaluate, evaluate_with_grad, normal_like, select
from ganedu.samplers.hamiltonian import kinetic
from ganedu.samplers.metropolis_hastings import log_acceptance
from ganedu.targets import Tilted
from tests.samplers.contract import COV, MEAN, Correlated


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


class Drifting(RandomWalk):
    """A drift, and still "symmetric"."""

    def propose(self, target, state, rng):
        new = evaluate(target, state.z + 0.2 + math.sqrt(self.step_size) * normal_like(state.z, rng))
        return new, torch.zeros_like(new.log_prob)


class NoLawRatio(Independence):
    """α from the density alone, though the proposals are not uniform."""

    def propose(self, target, state, rng):
        new, ratio = super().propose(target, state, rng)
        return new, torch.zeros_like(ratio)


class BarkerAsRandomWalk(Barker):
    """Barker's move without its ratio."""

    def propose(self, target, state, rng):
        new, ratio = super().propose(target, state, rng)
        return new, torch.zeros_like(ratio)


class PriorTwice(CrankNicolson):
    """α with the prior's ratio, which the move has paid already."""

    def propose(self, target, state, rng):
        new, ratio = super().propose(target, state, rng)
        return new, torch.zeros_like(ratio)


class WholeGradient(CrankNicolsonLangevin):
    """The way back drifts along ∇log p where the way there drifted along ∇d."""

    def propose(self, target, state, rng):
        noise = normal_like(state.z, rng)
        new = evaluate_with_grad(target, self.mean(state) + self.step_size * noise)
        rho = math.sqrt(1.0 - self.step_size**2)
        back = state.z - rho * new.z - (1.0 - rho) * new.grad
        ratio = noise.square().sum(-1) - back.square().sum(-1) / self.step_size**2
        return new, 0.5 * ratio


class PotentialOnly(Hamiltonian):
    """Judged by the density alone, as if the momentum had no energy."""

    def propose(self, target, state, rng):
        new, ratio = super().propose(target, state, rng)
        return new, torch.zeros_like(ratio)


class Euler(Hamiltonian):
    """Euler's scheme in place of the leapfrog: it neither keeps volume nor comes back."""

    def propose(self, target, state, rng):
        momentum = normal_like(state.z, rng)
        before = kinetic(momentum)
        for _ in range(self.n_leapfrog):
            z, momentum = state.z + self.step_size * momentum, momentum + self.step_size * state.grad
            state = evaluate_with_grad(target, z)
        return state, before - kinetic(momentum)


class LastPoint(NUTS):
    """Every new half of the trajectory is taken, whatever its weight."""

    def _walk(self, target, edge, forward, energy, active, depth, uniform):
        walk = super()._walk(target, edge, forward, energy, active, depth, uniform)
        return walk._replace(tree=walk.tree._replace(choice=walk.edge.point))


class LevelOfDensity(EllipticalSlice):
    """The level is one of the density, so that the prior counts twice."""

    def init(self, target, z):
        return super().init(Doubled(target), z)

    def step(self, target, state, rng):
        return super().step(Doubled(target), state, rng)


class Doubled(Tilted):
    """prior² × weight, as if it were prior × weight."""

    def __init__(self, target):
        super().__init__(target.prior, lambda z: target.log_weight(z) + target.prior.log_prob(z))


class LowLevel(Slice):
    """The level is half of what it should be."""

    def step(self, target, state, rng):
        return super().step(target, Point(state.z, state.log_prob - math.log(2.0)), rng)


class Unconditional(Correlated):
    """Conditionals that forget what the other coordinate says."""

    def __init__(self):
        super().__init__()
        self.conditional = lambda i, z, rng: MEAN[i] + COV[i, i].sqrt() * normal_like(z[:, i], rng)


class DensityAsWeight(ISIR):
    """Particles weighed by their density, as if they came from nowhere."""

    def step(self, target, state, rng):
        class Flat:
            sample = staticmethod(target.prior.sample)

            @staticmethod
            def log_prob(z):
                return torch.zeros_like(z[:, 0])

        return ISIR(self.n_particles, Flat()).step(target, state, rng)


class StaleGradient(Ex2):
    """The gradient from before the global move goes on to the local one."""

    def step(self, target, state, rng):
        global_move = ISIR(self.n_particles, self.law)
        point, info = global_move.step(target, Point(state.z, state.log_prob), rng)
        state = state._replace(z=point.z, log_prob=point.log_prob)
        for _ in range(self.n_moves):
            state, info = self.kernel.step(target, state, rng)
        return state, info


class AlwaysSwaps(Tempering):
    """Neighbours swap whatever they weigh."""

    def _swapped(self, log_weight, rng):
        return super()._swapped(torch.zeros_like(log_weight), rng)


class NeverFrozen(RandomWalk):
    """Adaptation that goes on: the step size depends on where the chain is."""

    def propose(self, target, state, rng):
        far = state.z.square().sum(-1, keepdim=True) > 1.0
        step_size = self.step_size * torch.where(far, 3.0, 0.1)
        new = evaluate(target, state.z + step_size.sqrt() * normal_like(state.z, rng))
        return new, torch.zeros_like(new.log_prob)


@dataclass(frozen=True)
class Chosen:
    """A proposal whose z' is given in advance: makes a kernel's α visible pair by pair."""

    to: Tensor
    log_ratio: Tensor
    init = staticmethod(evaluate_with_grad)

    def propose(self, target, state: GradPoint, rng):
        return evaluate_with_grad(target, self.to), self.log_ratio
