"""Likelihoods: what is drawn, what is lost, and that bytes cost the bits they should."""

import math

import pytest
import torch
from torch.distributions import Normal

from ganedu.flows import (
    Affine,
    DequantisedLogLikelihood,
    Flow,
    Logit,
    NegativeLogLikelihood,
    bits_per_dimension,
    glow,
    real_nvp,
)
from ganedu.targets import StandardNormal
from tests.flows.proofs import rng

F64 = torch.float64


def test_the_negative_log_likelihood_is_that():
    flow, x = Flow(StandardNormal(2), [Affine(2)]), torch.randn(6, 2, generator=rng())
    (rows,) = NegativeLogLikelihood().draw(x, rng())
    assert rows is x
    exact = -Normal(0.0, 1.0).log_prob(x).sum(1)
    torch.testing.assert_close(NegativeLogLikelihood().loss(flow, rows), exact)


class Uniform(torch.nn.Module):
    """The density 1 on [0, 1]^D."""

    def log_prob(self, x):
        return torch.where(((x >= 0) & (x <= 1)).flatten(1).all(1), 0.0, -torch.inf)


def test_a_uniform_density_costs_eight_bits_a_byte():
    pixels = torch.randint(256, (5, 3, 4, 4), generator=rng(), dtype=torch.uint8)
    objective = DequantisedLogLikelihood()
    loss = objective.loss(Uniform(), *objective.draw(pixels, rng()))
    torch.testing.assert_close(bits_per_dimension(loss, 48), torch.full((5,), 8.0))


def test_noise_stays_within_its_byte_and_comes_from_the_generator():
    pixels = torch.arange(256, dtype=torch.uint8).repeat(400)[:, None]
    (x,) = DequantisedLogLikelihood().draw(pixels, rng(3))
    assert x.dtype == torch.float32
    noise = 256 * x.double() - pixels
    # float32 keeps 255 + u to 1.5e-5: half of that past the end, at most.
    assert noise.min() >= 0 and noise.max() <= 1 + 1e-5
    # Mean and variance of a uniform from 102,400 draws, within six standard errors.
    assert abs(float(noise.mean()) - 1 / 2) < 6 * math.sqrt(1 / 12 / len(noise))
    assert abs(float(noise.var()) - 1 / 12) < 6 * math.sqrt(1 / 180 / len(noise))
    assert torch.equal(x, DequantisedLogLikelihood().draw(pixels, rng(3))[0])
    assert not torch.equal(x, DequantisedLogLikelihood().draw(pixels, rng(4))[0])


def test_the_bound_on_a_byte_is_above_the_exact_cost_and_close_to_it():
    """One byte under a logit-normal density: P(b) is a difference of Gaussian CDFs. The mean of the
    loss over u, by quadrature, must exceed -log P(b), and by little: the density bends little within
    1/256."""
    flow = Flow(StandardNormal(1), [Affine(1), Logit(0.05)]).double()
    with torch.no_grad():
        flow.transforms[0].log_scale.fill_(0.3)
        flow.transforms[0].shift.fill_(-0.8)

    def cdf(x):
        share = torch.as_tensor(0.05 + 0.9 * x, dtype=F64)
        return Normal(-0.8, math.exp(0.3)).cdf(share.logit())

    u = (torch.arange(2000, dtype=F64) + 0.5) / 2000
    for byte in (0, 60, 200, 255):
        exact = -float((cdf((byte + 1) / 256) - cdf(byte / 256)).log())
        loss = float(DequantisedLogLikelihood().loss(flow, ((byte + u) / 256)[:, None]).mean().detach())
        assert exact < loss < exact + 1e-3
        # Power: without D log 256 it is far off.
        assert abs(loss - math.log(256.0) - exact) > 1


def test_losses_of_rows_do_not_depend_on_their_batch():
    """Several processes draw the whole batch, and take their rows of it."""
    torch.manual_seed(0)
    flow = glow((1, 4, 4), levels=1, steps=1, width=4)
    pixels = torch.randint(256, (6, 1, 4, 4), generator=rng(), dtype=torch.uint8)
    objective = DequantisedLogLikelihood()
    rows = objective.draw(pixels, rng(1))
    whole = objective.loss(flow, *rows)
    parts = [objective.loss(flow, *(row[part] for row in rows)) for part in (slice(0, 3), slice(3, 6))]
    torch.testing.assert_close(torch.cat(parts), whole, rtol=1e-6, atol=1e-5)


def test_floats_are_no_bytes():
    with pytest.raises(ValueError, match=r"x: expected bytes \(uint8\), got torch.float32"):
        DequantisedLogLikelihood().draw(torch.zeros(2, 1, 4, 4), rng())


@pytest.mark.slow
def test_training_reaches_the_entropy_of_a_known_law():
    """A banana, x = (a, b + a²) of standard normals a and b, whose negative log-likelihood under its
    own density is 1 + log 2π = 2.838. Six standard errors of 20,000 held-out draws are 0.042; 400
    steps may leave 0.05 nats to be learnt."""
    torch.manual_seed(0)
    flow, generator = real_nvp(2, 4, (32,)), rng(1)

    def banana(n):
        x = torch.randn(n, 2, generator=generator)
        return torch.stack([x[:, 0], x[:, 1] + x[:, 0].square()], 1)

    optimiser = torch.optim.Adam(flow.parameters(), 5e-3)
    objective, held_out = NegativeLogLikelihood(), banana(20_000)
    entropy = 1 + math.log(2 * math.pi)
    assert objective.loss(flow, held_out).mean() > entropy + 0.5
    for _ in range(400):
        optimiser.zero_grad()
        objective.loss(flow, *objective.draw(banana(256), generator)).mean().backward()
        optimiser.step()
    assert (objective.loss(flow, held_out).mean() - entropy).abs() < 0.042 + 0.05
