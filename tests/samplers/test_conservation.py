"""Proof 1: started from exact draws, a right kernel does not change the law; a wrong one does.

200,000 chains take 20 steps, and every marginal is compared by the DKW bound at false-fail 1e-6
over all comparisons together. (One step of 20,000 chains has no power: a reused gradient passes.)
"""

import pytest
import torch

from ganedu.samplers import Independence, Langevin, MetropolisHastings, run
from ganedu.targets import StandardNormal, Tilted
from tests.laws import gaussian_marginals, worst
from tests.samplers.kernels import NoProposalRatio, OldGradient, PriorDropped, VarianceAsDeviation

CHAINS, STEPS = 200_000, 20
MEAN = torch.tensor([0.8, -0.5], dtype=torch.float64)
COV = torch.tensor([[0.7, 0.25], [0.25, 0.5]], dtype=torch.float64)
PRIOR = StandardNormal(2, torch.float64)


ROOT = torch.linalg.cholesky(torch.linalg.inv(COV))


def log_weight(z):
    return 0.5 * (z.square() - ((z - MEAN) @ ROOT).square()).sum(-1)


TARGET = Tilted(PRIOR, log_weight)  # = N(MEAN, COV)


def exact(rng):
    """Draws (CHAINS, 2) from the target."""
    return MEAN + torch.randn(CHAINS, 2, generator=rng, dtype=torch.float64) @ torch.linalg.cholesky(COV).T


def rejection(kernel, steps=STEPS):
    """The largest DKW ratio after ``steps``; above 1 the law has changed."""
    rng = torch.Generator().manual_seed(1)
    # In blocks that fit the cache: several times faster than 200,000 at once.
    last = [run(kernel, TARGET, start, steps, steps - 1, 1, rng).last.z for start in exact(rng).split(10_000)]
    return worst(gaussian_marginals(torch.cat(last), MEAN, COV))[0]


@pytest.mark.parametrize(
    "kernel",
    [
        MetropolisHastings(Langevin(0.05)),
        MetropolisHastings(Langevin(0.5)),
        MetropolisHastings(Langevin(1.5)),
        MetropolisHastings(Independence(PRIOR)),
    ],
    ids=str,
)
def test_an_adjusted_kernel_conserves_its_target(kernel):
    assert kernel.adjusted
    assert rejection(kernel) < 1


@pytest.mark.parametrize(
    "kernel",
    [
        MetropolisHastings(OldGradient(0.5)),
        MetropolisHastings(NoProposalRatio(0.5)),
        MetropolisHastings(VarianceAsDeviation(0.5)),
        PriorDropped(Langevin(0.5)),
        Langevin(0.5),
    ],
    ids=lambda kernel: f"{type(kernel).__name__}-{type(getattr(kernel, 'proposal', kernel)).__name__}",
)
def test_a_planted_error_at_step_one_half_is_rejected(kernel):
    assert rejection(kernel) > 1.5


def test_the_bound_leaves_room_for_exact_draws():
    """The bound is not so tight that luck decides: exact draws reach about half of it."""
    draws = exact(torch.Generator().manual_seed(3))
    assert worst(gaussian_marginals(draws, MEAN, COV))[0] < 0.8
