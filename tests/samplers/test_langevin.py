"""Proof 6: unadjusted Langevin fails against its target, and passes against its own law."""

import math

import pytest
import torch

from ganedu.samplers import Langevin, run
from ganedu.targets import StandardNormal
from tests.laws import normal_cdf, worst

NORMAL = StandardNormal(1, torch.float64)


def draws(tau, steps):
    rng = torch.Generator().manual_seed(5)
    blocks = NORMAL.sample(200_000, rng).split(20_000)
    return torch.cat([run(Langevin(tau), NORMAL, z, steps, steps - 1, 1, rng).last.z[:, 0] for z in blocks])


def test_one_step_from_a_unit_gaussian_has_variance_one_plus_quarter_step_squared():
    z = draws(0.5, 1)
    assert worst({"own": (z, normal_cdf(0.0, math.sqrt(1 + 0.5**2 / 4)))})[0] < 1
    assert worst({"target": (z, normal_cdf(0.0, 1.0))})[0] > 1


@pytest.mark.parametrize("tau", [0.25, 1.0])
def test_its_limit_on_a_unit_gaussian_has_variance_one_over_one_minus_quarter_step(tau):
    z = draws(tau, 60)
    assert worst({"own": (z, normal_cdf(0.0, math.sqrt(1 / (1 - tau / 4))))})[0] < 1
    assert worst({"target": (z, normal_cdf(0.0, 1.0))})[0] > 1


def test_it_stays_put_where_floats_end():
    class Explosive:
        def log_prob(self, z):
            return (z**4).sum(-1)

    trace = run(Langevin(1.0), Explosive(), torch.full((10, 1), 3.0), 50, rng=torch.Generator())
    assert torch.isfinite(trace.z).all()
    assert trace.accept_rate.max() < 1


@pytest.mark.parametrize("step_size", [0.0, -0.1, math.nan, math.inf])
def test_a_step_that_makes_no_sense_is_refused(step_size):
    with pytest.raises(ValueError, match="step_size: expected a positive number, got"):
        Langevin(step_size)
