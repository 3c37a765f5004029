"""SGLD's own law: on a Gaussian posterior the variance follows in closed form from step and batch."""

import math

import pytest
import torch

from ganedu.samplers import StochasticLangevin, run
from ganedu.targets import StandardNormal
from tests.samplers.contract import TwoObservations

CHAINS, STEPS = 200_000, 60


def variance(tau, batch_size):
    """z' = (1 - τ/2) z + τ/2 ȳ + √τ ξ with ȳ the mean of ``batch_size`` draws of ±1."""
    return (tau + tau**2 / (4 * batch_size)) / (1 - (1 - tau / 2) ** 2)


def z_score(found, expected):
    """Standard errors between a sample's variance and the expected one, from its own fourth moment."""
    squares = (found - found.mean()).square()
    return float((squares.mean() - expected) / squares.std()) * math.sqrt(len(found))


@pytest.mark.parametrize("tau", [0.3, 1.0])
@pytest.mark.parametrize("batch_size", [1, 3])
def test_its_variance_is_wider_by_the_step_and_by_the_noise_of_the_gradient(tau, batch_size):
    """Within 5 standard errors (false-fail 6e-7); the law without the gradient's noise is 5 away."""
    rng = torch.Generator().manual_seed(0)
    start = StandardNormal(1, torch.float64).sample(CHAINS, rng)
    kernel = StochasticLangevin(tau, batch_size)
    last = run(kernel, TwoObservations(), start, STEPS, STEPS - 1, rng=rng).last.z[:, 0]
    assert abs(z_score(last, variance(tau, batch_size))) < 5
    assert z_score(last, 1 / (1 - tau / 4)) > 5


def test_a_mini_batch_is_each_chains_own():
    start = torch.zeros(2000, 1, dtype=torch.float64)
    kernel = StochasticLangevin(1e-12, 1)
    state, _ = kernel.step(
        TwoObservations(), kernel.init(TwoObservations(), start), torch.Generator().manual_seed(0)
    )
    assert set(state.grad[:, 0].round().tolist()) == {-1.0, 1.0}


def test_a_target_without_mini_batches_is_refused():
    with pytest.raises(ValueError, match="target: SGLD needs one with size and log_prob.*StandardNormal"):
        run(StochasticLangevin(0.1, 2), StandardNormal(1), torch.zeros(3, 1), 5)
