"""Proof 2: detailed balance, computed exactly, without random numbers.

On a finite space the whole transition matrix follows from the kernel's own acceptance. On R² each
proposal's ratio is compared with densities written down anew, by torch.distributions.
"""

import itertools
import math

import pytest
import torch
from torch.distributions import MultivariateNormal, Normal

from ganedu.samplers import (
    Barker,
    CrankNicolson,
    CrankNicolsonLangevin,
    Independence,
    Langevin,
    MetropolisHastings,
    RandomWalk,
)
from ganedu.samplers.isir import shares
from ganedu.samplers.metropolis_hastings import log_acceptance
from ganedu.samplers.tempering import swap_log_alpha
from ganedu.targets import StandardNormal, Tilted
from tests.samplers.kernels import Chosen


class Table:
    """A target on the points 0 .. k-1, written as z of shape (B, 1)."""

    def __init__(self, log_p):
        self.log_p = log_p

    def log_prob(self, z):
        return self.log_p[z[:, 0].round().long()] + 0.0 * z[:, 0]


def law(k, seed, spread=3.0):
    normal = torch.randn(k, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return normal.mul(spread).log_softmax(0)


def balanced(p, matrix, atol=1e-15, rtol=0.0):
    flow = p[:, None] * matrix
    return torch.allclose(flow, flow.T, atol=atol, rtol=0.0)


def transition_matrix(log_p, log_q):
    """The exact P of MetropolisHastings with proposal matrix q, from the kernel's own log α."""
    k = len(log_p)
    here, there = (i.reshape(-1, 1).double() for i in torch.meshgrid(*[torch.arange(k)] * 2, indexing="ij"))
    kernel = MetropolisHastings(Chosen(there, (log_q.T - log_q).reshape(-1)))
    target = Table(log_p)
    _, info = kernel.step(target, kernel.init(target, here), torch.Generator())
    moves = (log_q + info.log_alpha.reshape(k, k)).exp()
    moves.fill_diagonal_(0.0)
    return moves + torch.diag(1.0 - moves.sum(1))


@pytest.mark.parametrize("seed", range(5))
def test_metropolis_hastings_on_a_finite_space(seed):
    log_p = law(6, seed)
    log_q = torch.stack([law(6, 10 * seed + row, 1.0) for row in range(6)])
    matrix = transition_matrix(log_p, log_q)
    assert balanced(log_p.exp(), matrix)
    assert torch.allclose(log_p.exp() @ matrix, log_p.exp(), atol=1e-15, rtol=0.0)
    # Power: with the proposal ratio left out, the same check fails.
    wrong = log_acceptance(log_p[:, None], log_p[None, :], torch.zeros(6, 6)).exp() * log_q.exp()
    assert not balanced(log_p.exp(), wrong, atol=1e-4)


@pytest.mark.parametrize("particles", [2, 3, 4])
def test_isir_on_a_finite_space(particles):
    """All k^(N-1) sets of fresh particles, each with its probability, and the kernel's own shares."""
    k, log_p, log_q = 4, law(4, 0), law(4, 1, 1.0)

    def matrix(log_weight_of):
        moves = torch.zeros(k, k, dtype=torch.float64)
        for here in range(k):
            for drawn in itertools.product(range(k), repeat=particles - 1):
                points = torch.tensor([*drawn, here])
                probability = log_q[points[:-1]].sum().exp()
                share = shares(log_p[points], log_weight_of(points))
                moves[here].index_add_(0, points, probability * share)
        return moves

    right = matrix(lambda points: log_q[points])
    assert torch.allclose(right.sum(1), torch.ones(k, dtype=torch.float64))
    assert balanced(log_p.exp(), right)
    assert not balanced(log_p.exp(), matrix(lambda points: 0.0 * log_q[points]), atol=1e-4)


def test_swaps_of_tempering_on_a_finite_space():
    """Two temperatures on k points: the product law p1(i) p2(j) ∝ prior² w^β1 w^β2, and i, j swap."""
    k, beta = 5, torch.tensor([1.0, 0.3], dtype=torch.float64)
    prior, weight = law(k, 2, 1.0), law(k, 3)
    pairs = torch.cartesian_prod(torch.arange(k), torch.arange(k))
    log_joint = (prior[pairs] + beta * weight[pairs]).sum(1)
    alpha = swap_log_alpha(weight[pairs], beta)[:, 0].clamp(max=0.0)
    swapped = pairs[:, 1] * k + pairs[:, 0]
    flow = log_joint + alpha
    assert torch.allclose(flow, flow[swapped], atol=1e-14, rtol=0.0)
    wrong = log_joint + swap_log_alpha(weight[pairs], beta.flip(0))[:, 0].clamp(max=0.0)
    assert not torch.allclose(wrong, wrong[swapped], atol=1e-2)


def bent(z):
    """A weight with a gradient that is written down below."""
    return -0.5 * (z[:, 1] - z[:, 0] ** 2).square() + z[:, 0]


def bent_gradient(z):
    a, b = z.unbind(-1)
    return torch.stack([2 * a * (b - a**2) + 1, -(b - a**2)], dim=-1)


TARGET = Tilted(StandardNormal(2, torch.float64), bent)
WIDE = Normal(torch.tensor(0.3, dtype=torch.float64), 2.0)


class WideLaw:
    @staticmethod
    def sample(n, rng):
        return 0.3 + 2.0 * torch.randn(n, 2, generator=rng, dtype=torch.float64)

    @staticmethod
    def log_prob(z):
        return WIDE.log_prob(z).sum(-1)


def gaussian(mean, variance):
    return lambda to, given: Normal(mean(given), math.sqrt(variance)).log_prob(to).sum(-1)


def barker_log_q(to, given, tau=0.5):
    w, grad = to - given, bent_gradient(given) - given
    return (math.log(2.0) + Normal(0.0, math.sqrt(tau)).log_prob(w) - (1 + (-w * grad).exp()).log()).sum(-1)


RHO = math.sqrt(1 - 0.6**2)
PROPOSALS = {
    "random walk": (RandomWalk(0.5), gaussian(lambda z: z, 0.5)),
    "independence": (Independence(WideLaw), lambda to, given: WideLaw.log_prob(to)),
    "langevin": (Langevin(0.3), gaussian(lambda z: z + 0.15 * (bent_gradient(z) - z), 0.3)),
    "barker": (Barker(0.5), barker_log_q),
    "crank-nicolson": (CrankNicolson(0.6), gaussian(lambda z: RHO * z, 0.36)),
    "crank-nicolson-langevin": (
        CrankNicolsonLangevin(0.6),
        gaussian(lambda z: RHO * z + (1 - RHO) * bent_gradient(z), 0.36),
    ),
}


@pytest.mark.parametrize("name", PROPOSALS)
def test_a_proposal_reports_the_ratio_of_its_two_densities(name):
    """And p(z) q(z'|z) α(z, z') is symmetric in z and z'."""
    proposal, log_q = PROPOSALS[name]
    rng = torch.Generator().manual_seed(4)
    state = proposal.init(TARGET, torch.randn(200, 2, generator=rng, dtype=torch.float64))
    new, ratio = proposal.propose(TARGET, state, rng)
    there, back = log_q(new.z, state.z), log_q(state.z, new.z)
    assert torch.allclose(ratio, back - there, atol=1e-12, rtol=1e-14)
    forwards = state.log_prob + there + log_acceptance(state.log_prob, new.log_prob, ratio)
    backwards = new.log_prob + back + log_acceptance(new.log_prob, state.log_prob, -ratio)
    assert torch.allclose(forwards, backwards, atol=1e-12, rtol=1e-14)
    assert not torch.allclose(there, back, atol=0.1) or name == "random walk"


def test_crank_nicolson_is_reversible_under_the_prior():
    """p0(z) q(z'|z) is symmetric, so that α has the weight alone."""
    prior = MultivariateNormal(torch.zeros(2), torch.eye(2))
    z, to = torch.randn(2, 50, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    log_q = PROPOSALS["crank-nicolson"][1]
    assert torch.allclose(prior.log_prob(z) + log_q(to, z), prior.log_prob(to) + log_q(z, to), atol=1e-10)
