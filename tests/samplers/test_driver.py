"""The driver keeps what it says, and a chain depends on its own start and the seed alone."""

import pytest
import torch

from ganedu.samplers import Independence, Langevin, MetropolisHastings, run
from ganedu.targets import StandardNormal, Tilted

TARGET = Tilted(StandardNormal(3), lambda z: -z.abs().sum(-1))
KERNELS = [
    Langevin(0.3),
    MetropolisHastings(Langevin(0.3)),
    MetropolisHastings(Independence(TARGET.prior)),
]


def rng():
    return torch.Generator().manual_seed(11)


@pytest.mark.parametrize("kernel", KERNELS, ids=str)
def test_changing_one_start_leaves_the_other_chains_bit_for_bit(kernel):
    z = torch.randn(7, 3, generator=rng())
    other = z.clone()
    other[4] = 2.5
    a, b = run(kernel, TARGET, z, 40, rng=rng()), run(kernel, TARGET, other, 40, rng=rng())
    same = [i for i in range(7) if i != 4]
    assert torch.equal(a.z[:, same], b.z[:, same])
    assert not torch.equal(a.z[:2, 4], b.z[:2, 4]) or isinstance(kernel, MetropolisHastings)


@pytest.mark.parametrize("kernel", KERNELS, ids=str)
def test_the_same_seed_gives_the_same_run_and_leaves_the_start_alone(kernel):
    z = torch.randn(5, 3, generator=rng())
    before = z.clone()
    global_state = torch.get_rng_state()
    a, b = run(kernel, TARGET, z, 10, rng=rng()), run(kernel, TARGET, z, 10, rng=rng())
    assert torch.equal(a.z, b.z) and torch.equal(z, before)
    assert torch.equal(torch.get_rng_state(), global_state)


def test_a_start_that_carries_a_graph_leaves_none_in_the_trace():
    trace = run(KERNELS[1], TARGET, torch.zeros(2, 3, requires_grad=True), 5, rng=rng())
    assert not trace.z.requires_grad and trace.last.z.grad_fn is None


def test_a_start_without_a_gradient_is_refused_by_kernels_that_need_one():
    class Edge:
        def log_prob(self, z):
            return -(0.0 * z).sqrt().sum(-1)

    with pytest.raises(ValueError, match="gradient.*got 2 of 2"):
        run(KERNELS[1], Edge(), torch.zeros(2, 3), 5, rng=rng())


def test_burn_in_and_thinning_keep_the_states_they_name():
    z = torch.zeros(2, 3)
    every = run(KERNELS[1], TARGET, z, 20, rng=rng())
    some = run(KERNELS[1], TARGET, z, 20, burn_in=5, thin=4, rng=rng())
    assert every.z.shape == (20, 2, 3) and len(some) == 3
    assert torch.equal(some.z, every.z[[8, 12, 16]])
    assert torch.equal(some.log_prob, every.log_prob[[8, 12, 16]])
    assert torch.equal(every.last.z, every.z[-1])


def test_accept_rate_counts_moves_chain_by_chain():
    trace = run(KERNELS[1], TARGET, torch.zeros(4, 3), 200, rng=rng())
    moved = (trace.z[1:] != trace.z[:-1]).any(-1).float().sum(0)
    first = (trace.z[0] != 0).any(-1).float()
    assert torch.allclose(trace.accept_rate * 200, moved + first)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(z=torch.zeros(3)), r"z: expected starts of shape \(chains, dim\).*got \(3,\)"),
        (dict(z=torch.zeros(0, 3)), "chains > 0"),
        (dict(steps=0), "steps: expected an int of at least 1, got 0"),
        (dict(burn_in=-1), "burn_in: expected an int of at least 0"),
        (dict(thin=0), "thin: expected an int of at least 1"),
        (dict(burn_in=10), r"expected burn_in \+ thin <= steps, got 10 \+ 1 > 10"),
        (dict(z=torch.full((2, 3), torch.nan)), "finite log density .*got 2 of 2"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    good = dict(z=torch.zeros(2, 3), steps=10)
    with pytest.raises(ValueError, match=message):
        run(KERNELS[1], TARGET, **{**good, **arguments}, rng=rng())
