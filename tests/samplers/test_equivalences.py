"""Proof 3: kernels that are the same one, under the same random numbers; and their limits."""

import math

import pytest
import torch

from ganedu.samplers import (
    ISIR,
    Barker,
    CrankNicolson,
    CrankNicolsonLangevin,
    Hamiltonian,
    Independence,
    Langevin,
    MetropolisHastings,
    Preconditioned,
    RandomWalk,
    run,
)
from ganedu.samplers.base import evaluate, uniform_like
from ganedu.samplers.metropolis_hastings import log_acceptance
from ganedu.targets import StandardNormal, Tilted
from tests.samplers.contract import Correlated

MH = MetropolisHastings
TARGET = Correlated()


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def starts(n=60):
    return torch.randn(n, 2, generator=rng(9), dtype=torch.float64)


def assert_same(one, other, steps=40, **options):
    a, b = (run(kernel, TARGET, starts(), steps, rng=rng(3)) for kernel in (one, other))
    assert torch.allclose(a.z, b.z, **options)
    assert torch.equal(a.accept_rate, b.accept_rate) and 0 < float(a.accept_rate.mean()) < 1


@pytest.mark.parametrize("step", [0.3, 0.9])
def test_mala_is_hamiltonian_with_one_leapfrog_step(step):
    assert_same(MH(Langevin(step**2)), MH(Hamiltonian(step, n_leapfrog=1)), atol=1e-10)


def test_crank_nicolson_with_the_longest_step_is_independence_from_the_prior():
    a = run(MH(CrankNicolson(1.0)), TARGET, starts(), 40, rng=rng(3))
    b = run(MH(Independence()), TARGET, starts(), 40, rng=rng(3))
    assert torch.allclose(a.z, b.z)


def test_crank_nicolson_langevin_without_a_weight_never_rejects():
    prior = Tilted(StandardNormal(2, torch.float64), lambda z: 0.0 * z[:, 0])
    for kernel in (CrankNicolson(0.7), CrankNicolsonLangevin(0.7)):
        assert run(MH(kernel), prior, starts(), 50, rng=rng()).accept_rate.min() == 1
    assert run(MH(Langevin(0.7**2)), prior, starts(), 50, rng=rng()).accept_rate.mean() < 1


def test_crank_nicolson_langevin_with_a_short_step_is_mala():
    """Their means differ by β⁴/8 ∇log p and no more: by a factor 10⁴ where β falls by 10."""

    def difference(beta):
        moves = []
        for proposal in (CrankNicolsonLangevin(beta), Langevin(beta**2)):
            state = proposal.init(TARGET, starts())
            moves.append(proposal.propose(TARGET, state, rng(5))[0].z - state.z)
        return float((moves[0] - moves[1]).abs().max())

    assert 9_000 < difference(0.1) / difference(0.01) < 11_000
    steepest = Langevin(1.0).init(TARGET, starts()).grad.abs().max()
    assert math.isclose(difference(0.1), 0.1**4 / 8 * float(steepest), rel_tol=0.01)


def test_barker_on_a_flat_target_is_a_random_walk():
    class Flat:
        def log_prob(self, z):
            return 0.0 * z.sum(-1)

    kernel = Barker(0.5)
    state = kernel.init(Flat(), starts(20_000))
    new, ratio = kernel.propose(Flat(), state, rng())
    assert torch.equal(ratio, torch.zeros_like(ratio))
    step = (new.z - state.z) / math.sqrt(0.5)
    assert abs(float(step.mean())) < 5 / math.sqrt(step.numel())
    assert abs(float(step.var()) - 1) < 5 * math.sqrt(2 / step.numel())


def test_isir_with_two_particles_is_independence_with_barkers_acceptance():
    """w' / (w + w') in place of min(1, w' / w), with the same draws and the same uniforms."""
    kernel, law = ISIR(2), TARGET.prior
    state = kernel.init(TARGET, starts())
    for step in range(30):
        old, generator = state, rng(step)
        state, info = kernel.step(TARGET, old, rng(step))
        new = evaluate(TARGET, law.sample(len(old.z), generator))
        gain = TARGET.log_weight(new.z) - TARGET.log_weight(old.z)
        accepted = uniform_like(gain, generator) <= torch.sigmoid(gain)
        assert torch.equal(accepted, info.accepted)
        assert torch.equal(state.z, torch.where(accepted[:, None], new.z, old.z))
        assert torch.allclose(info.log_alpha, torch.nn.functional.logsigmoid(gain))


def test_a_symmetric_proposal_gives_metropolis_rule():
    old, new = torch.randn(2, 100, generator=rng(), dtype=torch.float64)
    expected = torch.minimum(torch.ones_like(old), new.exp() / old.exp()).log()
    assert torch.allclose(log_acceptance(old, new, torch.zeros(100)), expected)


def test_preconditioning_is_the_same_move_on_other_coordinates():
    """Scales s turn z + √τ ξ into z + √τ s ξ, and Langevin's drift into τ/2 s² ∇."""
    scale = torch.tensor([0.5, 3.0], dtype=torch.float64)
    kernel = Preconditioned(Langevin(0.2), scale)
    state = kernel.init(TARGET, starts())
    new, _ = kernel.step(TARGET, state, rng(1))
    noise = torch.randn(60, 2, generator=rng(1), dtype=torch.float64)
    grad = Langevin(0.2).init(TARGET, state.z).grad
    assert torch.allclose(new.z, state.z + 0.1 * scale**2 * grad + math.sqrt(0.2) * scale * noise, atol=1e-12)


@pytest.mark.parametrize(
    "proposal",
    [RandomWalk, Langevin, Barker, CrankNicolson, CrankNicolsonLangevin, lambda h: Hamiltonian(h, 3)],
)
def test_acceptance_goes_to_one_as_the_step_goes_to_zero(proposal):
    start = TARGET.sample(2000, rng())
    rates = [
        float(run(MH(proposal(step)), TARGET, start, 5, rng=rng()).accept_rate.mean())
        for step in (0.99, 0.1, 1e-5)
    ]
    assert rates == sorted(rates) and rates[0] < 0.99 and rates[-1] > 0.99


def test_an_independence_proposal_from_the_target_itself_is_always_accepted():
    kernel = MH(Independence(TARGET.exact))
    assert run(kernel, TARGET, starts(), 30, rng=rng()).accept_rate.min() == 1
