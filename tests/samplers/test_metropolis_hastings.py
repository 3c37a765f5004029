"""Proofs 2 and 3: detailed balance without random numbers, and acceptance in its limits."""

import math

import pytest
import torch
from torch.distributions import Normal

from ganedu.samplers import Independence, Langevin, MetropolisHastings, run
from ganedu.samplers.base import Point, evaluate_with_grad
from ganedu.samplers.metropolis_hastings import log_acceptance
from ganedu.targets import StandardNormal
from tests.samplers.kernels import Chosen


class Table:
    """A target on the points 0 .. k-1, written as z of shape (B, 1)."""

    def __init__(self, log_p):
        self.log_p = log_p

    def log_prob(self, z):
        return self.log_p[z[:, 0].round().long()] + 0.0 * z[:, 0]


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
def test_detailed_balance_holds_exactly_on_a_finite_space(seed):
    rng = torch.Generator().manual_seed(seed)
    log_p = torch.randn(6, generator=rng, dtype=torch.float64).mul(3).log_softmax(0)
    log_q = torch.randn(6, 6, generator=rng, dtype=torch.float64).log_softmax(1)
    p = transition_matrix(log_p, log_q)
    flow = log_p.exp()[:, None] * p
    assert torch.allclose(flow, flow.T, atol=1e-15)
    assert torch.allclose(log_p.exp() @ p, log_p.exp(), atol=1e-15)
    # Power: with the proposal ratio left out, the same check fails.
    wrong = log_acceptance(log_p[:, None], log_p[None, :], torch.zeros(6, 6)).exp() * log_q.exp()
    flow = log_p.exp()[:, None] * wrong
    assert not torch.allclose(flow, flow.T, atol=1e-4)


def test_a_symmetric_proposal_gives_metropolis_rule():
    old, new = torch.randn(2, 100, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = torch.minimum(torch.ones_like(old), new.exp() / old.exp()).log()
    assert torch.allclose(log_acceptance(old, new, torch.zeros(100)), expected)


@pytest.mark.parametrize("d", [-200.0, 200.0])
def test_acceptance_is_finite_where_densities_are_extreme(d):
    log_alpha = log_acceptance(torch.tensor([0.0]), torch.tensor([d]), torch.tensor([0.0]))
    assert log_alpha.item() == min(0.0, d)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_proposal_that_is_not_finite_is_never_accepted(bad):
    assert log_acceptance(torch.tensor([0.0]), torch.tensor([bad]), torch.tensor([0.0])).item() == -math.inf


def test_a_proposal_with_an_unknown_gradient_is_never_accepted():
    class Cliff:
        def log_prob(self, z):  # finite everywhere, gradient infinite left of 0
            return -z.clamp_min(0.0).sqrt().sum(-1) * 0.1

    kernel = MetropolisHastings(Langevin(1.0))
    start = torch.ones(1000, 1)
    state, _ = kernel.step(Cliff(), kernel.init(Cliff(), start), torch.Generator().manual_seed(0))
    assert torch.isfinite(state.grad).all() and torch.isfinite(state.z).all()
    assert 0 < (state.z != start).float().mean() < 1


def test_langevins_ratio_is_that_of_its_two_normal_densities():
    class Banana:
        def log_prob(self, z):
            return -0.5 * (z[:, 0] ** 2 + (z[:, 1] - z[:, 0] ** 2) ** 2)

    tau = 0.3
    kernel = Langevin(tau)
    rng = torch.Generator().manual_seed(4)
    state = kernel.init(Banana(), torch.randn(50, 2, generator=rng, dtype=torch.float64))
    new, ratio = kernel.propose(Banana(), state, rng)

    def log_q(to, given):
        """The gradient by hand: independent of autograd and of the kernel's cache."""
        a, b = given.unbind(-1)
        grad = torch.stack([-a + 2 * a * (b - a**2), -(b - a**2)], dim=-1)
        return Normal(given + tau / 2 * grad, math.sqrt(tau)).log_prob(to).sum(-1)

    assert torch.allclose(ratio, log_q(state.z, new.z) - log_q(new.z, state.z), atol=1e-12)


def test_acceptance_goes_to_one_as_the_step_goes_to_zero():
    target = StandardNormal(5, torch.float64)
    rng = torch.Generator().manual_seed(0)
    start = target.sample(2000, rng)
    rates = [
        float(run(MetropolisHastings(Langevin(tau)), target, start, 5, rng=rng).accept_rate.mean())
        for tau in (1.0, 0.1, 0.001)
    ]
    assert rates == sorted(rates) and rates[0] < 0.97 and rates[-1] > 0.999


def test_every_cached_value_belongs_to_its_point():
    """Proof 4, after accepted and rejected moves alike."""

    class Quartic:
        def log_prob(self, z):
            return -(z**4).sum(-1)

    for kernel in (MetropolisHastings(Langevin(0.4)), Langevin(0.05)):
        state = kernel.init(Quartic(), torch.randn(500, 3, generator=torch.Generator().manual_seed(0)))
        for step in range(5):
            state, _ = kernel.step(Quartic(), state, torch.Generator().manual_seed(step))
            fresh = evaluate_with_grad(Quartic(), state.z)
            assert torch.equal(state.log_prob, fresh.log_prob)
            assert torch.equal(state.grad, fresh.grad)
    kernel = MetropolisHastings(Independence(StandardNormal(3)))
    state, _ = kernel.step(Quartic(), kernel.init(Quartic(), torch.zeros(500, 3)), torch.Generator())
    assert isinstance(state, Point) and torch.equal(state.log_prob, Quartic().log_prob(state.z))
