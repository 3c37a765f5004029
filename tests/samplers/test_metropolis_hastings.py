"""The acceptance where numbers end."""

import math

import pytest
import torch

from ganedu.samplers import Langevin, MetropolisHastings
from ganedu.samplers.metropolis_hastings import log_acceptance


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
