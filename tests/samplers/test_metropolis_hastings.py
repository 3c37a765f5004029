"""What kernels do where numbers end."""

import math

import pytest
import torch

from ganedu.samplers import (
    ISIR,
    NUTS,
    EllipticalSlice,
    Hamiltonian,
    Independence,
    Langevin,
    MetropolisHastings,
    RandomWalk,
    Slice,
    run,
)
from ganedu.samplers.base import leaves
from ganedu.samplers.metropolis_hastings import log_acceptance
from ganedu.targets import StandardNormal, Tilted


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


def test_a_uniform_of_zero_accepts_nothing_that_is_hopeless(monkeypatch):
    """torch.rand is exactly 0 once in 2^24 in float32; log 0 would be below every log α."""
    monkeypatch.setattr(torch, "rand", lambda *shape, **options: torch.zeros(*shape))
    target = StandardNormal(1)
    for kernel in (MetropolisHastings(RandomWalk(1e6)), Slice(1000.0, max_steps=1)):
        state = kernel.init(target, torch.zeros(50, 1))
        new, _ = kernel.step(target, state, torch.Generator().manual_seed(0))
        assert new.log_prob.min() > -30


@pytest.mark.parametrize(
    "kernel", [Slice(1.0), EllipticalSlice(), MetropolisHastings(RandomWalk(1.0))], ids=str
)
def test_a_density_of_infinity_is_no_place_to_go(kernel):
    target = Tilted(StandardNormal(1), lambda z: torch.where(z[:, 0] > 0.5, torch.inf, 0.0))
    trace = run(kernel, target, torch.zeros(200, 1), 20, rng=torch.Generator().manual_seed(0))
    assert torch.isfinite(trace.log_prob).all() and (trace.z <= 0.5).all()


@pytest.mark.parametrize(
    "kernel",
    [NUTS(0.3), Slice(1.0), EllipticalSlice(), MetropolisHastings(Langevin(0.3)), ISIR(3)],
    ids=lambda kernel: type(kernel).__name__,
)
def test_a_target_in_double_precision_leaves_the_chains_in_theirs(kernel):
    shift = torch.ones(1, dtype=torch.float64)
    target = Tilted(StandardNormal(2), lambda z: -(z - shift).square().sum(-1))
    last = run(kernel, target, torch.zeros(5, 2), 4, rng=torch.Generator().manual_seed(0)).last
    assert {leaf.dtype for leaf in leaves(last)} == {torch.float32}


def test_isir_stays_where_its_law_cannot_go():
    class Right:
        """Half a normal law: no density left of 0."""

        def sample(self, n, rng):
            return torch.randn(n, 1, generator=rng).abs()

        def log_prob(self, z):
            return torch.where(z[:, 0] >= 0, StandardNormal(1).log_prob(z), -torch.inf)

    kernel = ISIR(4, Right())
    state = kernel.init(StandardNormal(1), torch.full((50, 1), -0.1))
    new, info = kernel.step(StandardNormal(1), state, torch.Generator().manual_seed(0))
    assert torch.equal(new.z, state.z) and not info.accepted.any() and (info.log_alpha == -torch.inf).all()


def test_a_trained_law_leaves_no_graph():
    class Flow(torch.nn.Linear):
        def sample(self, n, rng):
            return self(torch.randn(n, 2, generator=rng))

        def log_prob(self, z):
            return -self(z).square().sum(-1)

    for kernel in (MetropolisHastings(Independence(Flow(2, 2))), ISIR(3, Flow(2, 2))):
        state = kernel.init(StandardNormal(2), torch.zeros(4, 2))
        new, info = kernel.step(StandardNormal(2), state, torch.Generator().manual_seed(0))
        assert not (info.log_alpha.requires_grad or new.z.requires_grad)


def test_only_integrators_diverge():
    class Box:
        def log_prob(self, z):
            return torch.where(z.abs().amax(-1) < 1, 0.0, -torch.inf)

    walk = run(MetropolisHastings(RandomWalk(1.0)), Box(), torch.zeros(20, 2), 50, rng=torch.Generator())
    assert walk.divergences.max() == 0 and walk.n_leapfrog.max() == 0
    hmc = run(
        MetropolisHastings(Hamiltonian(0.1, 3)),
        StandardNormal(2),
        torch.zeros(4, 2),
        5,
        rng=torch.Generator(),
    )
    assert (hmc.n_leapfrog == 15).all()
