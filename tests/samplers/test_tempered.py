"""A tempered target is prior × weight^β, row by row, with the gradient that autograd finds."""

import math

import pytest
import torch

from ganedu.gans.calibration import fit_isotonic
from ganedu.samplers import Langevin, MetropolisHastings
from ganedu.samplers.tempered import Tempered
from ganedu.targets import LatentTarget, StandardNormal, Tilted, log_prob_and_grad
from tests.tractable import affine_gan

PRIOR = StandardNormal(3, torch.float64)


def log_weight(z):
    return -(z**4).sum(-1) + z[:, 0] * z[:, 1]


TARGET = Tilted(PRIOR, log_weight)


def points(n=5):
    return torch.randn(n, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def by_hand(z, beta):
    """The density and its gradient as autograd finds it from one formula."""
    z = z.clone().requires_grad_()
    value = -0.5 * (z.square().sum(-1) + 3 * math.log(2 * math.pi)) + beta * log_weight(z)
    (grad,) = torch.autograd.grad(value.sum(), z)
    return value.detach(), grad


@pytest.mark.parametrize("beta", [0.0, 0.3, 1.0, torch.tensor([0.0, 0.2, 0.5, 1.0, 1.7])], ids=str)
def test_it_is_the_prior_times_the_weight_to_the_power_beta(beta):
    z = points()
    target = Tempered(TARGET, beta)
    value, grad = by_hand(z, beta)
    torch.testing.assert_close(target.log_prob(z), value)
    torch.testing.assert_close(log_prob_and_grad(target, z)[0], value)
    torch.testing.assert_close(log_prob_and_grad(target, z)[1], grad)
    assert target.prior is PRIOR


def test_tempered_twice_the_powers_multiply():
    twice = Tempered(Tempered(TARGET, 0.4), 0.5)
    for value, expected in zip(log_prob_and_grad(twice, points()), by_hand(points(), 0.2), strict=True):
        torch.testing.assert_close(value, expected)


def test_the_gradient_is_the_targets_own_in_chunks():
    exact = affine_gan(3, seed=1)
    z = points(7)
    whole, chunks = (LatentTarget(exact.gan, batch_size=size) for size in (None, 2))
    beta = torch.linspace(0, 1, 7, dtype=torch.float64)
    expected = log_prob_and_grad(Tempered(whole, beta), z)
    rows = []
    exact.gan.generator.register_forward_hook(lambda module, inputs, output: rows.append(len(output)))
    for a, b in zip(log_prob_and_grad(Tempered(chunks, beta), z), expected, strict=True):
        torch.testing.assert_close(a, b)
    assert max(rows) == 2
    rng = torch.Generator().manual_seed(0)
    real, fake = torch.randn(2, 50, generator=rng) + torch.tensor([[0.5], [-0.5]])
    isotonic = LatentTarget(exact.gan, fit_isotonic(real, fake))
    with pytest.raises(ValueError, match="calibration: expected a differentiable one"):
        log_prob_and_grad(Tempered(isotonic, 0.5), z)


def test_at_beta_zero_a_weight_of_zero_counts_for_nothing():
    hard = Tilted(PRIOR, lambda z: torch.where(z[:, 0] > 0, 0.0, -math.inf))
    z = points()
    beta = torch.tensor([0.0, 0.0, 0.0, 0.5, 0.5])
    value = Tempered(hard, beta).log_prob(z)
    assert torch.equal(value[:3], PRIOR.log_prob(z)[:3])
    assert torch.equal(torch.isinf(value[3:]), z[3:, 0] <= 0)


def test_a_float_beta_keeps_the_dtype_of_the_rows():
    target = Tempered(Tilted(StandardNormal(3), log_weight), torch.tensor([0.5, 1.0], dtype=torch.float64))
    value, grad = log_prob_and_grad(target, torch.zeros(2, 3))
    assert value.dtype == grad.dtype == target.log_prob(torch.zeros(2, 3)).dtype == torch.float32


def test_a_row_moves_as_it_would_if_every_row_had_its_beta():
    kernel, z = MetropolisHastings(Langevin(0.3)), points()
    beta = torch.tensor([0.1, 0.3, 0.5, 0.7, 1.0])

    def moved(target):
        state, _ = kernel.step(target, kernel.init(target, z), torch.Generator().manual_seed(4))
        return state.z

    rows = moved(Tempered(TARGET, beta))
    for i, b in enumerate(beta):
        torch.testing.assert_close(rows[i], moved(Tempered(TARGET, float(b)))[i], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((PRIOR, 0.5), "target: expected a Tilted"),
        ((TARGET, -0.1), "beta: expected finite numbers of at least 0, got -0.1"),
        ((TARGET, math.nan), "beta: expected finite numbers"),
        ((TARGET, torch.tensor([0.5, math.inf])), "beta: expected finite numbers"),
        ((TARGET, torch.ones(2, 2)), r"beta: expected a number or a tensor \(B,\), got shape \(2, 2\)"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        Tempered(*arguments)


def test_rows_without_a_beta_are_refused():
    with pytest.raises(ValueError, match="z: expected as many rows as beta, 2, got 5"):
        Tempered(TARGET, torch.ones(2)).log_prob(points())
