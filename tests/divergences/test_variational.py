"""The bound from samples: its mean where the critic is known, and that none is above the divergence."""

import math

import pytest
import torch

from ganedu.divergences import F_DIVERGENCES, Gaussian, f_divergence, gaussian_f_divergence, variational_bound
from ganedu.rng import generator

N = 50_000
P, Q = (0.0, 1.0), (0.4, 1.0)  # as wide as each other, so that r⁴, the variance of a χ², has a mean


def log_density(x, law):
    return torch.distributions.Normal(*law).log_prob(x)


def draws(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    noise = torch.randn(2, N, generator=generator(seed), dtype=torch.float64)
    return P[0] + P[1] * noise[0], Q[0] + Q[1] * noise[1]


def best_output(divergence, x) -> torch.Tensor:
    """v with g(v) = f'(p/q), by bisection."""
    slope = divergence.df((log_density(x, P) - log_density(x, Q)).exp())
    low, high = torch.full_like(x, -60.0), torch.full_like(x, 60.0)
    for _ in range(60):
        middle = (low + high) / 2
        below = divergence.activation(middle) < slope
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    return high


def error(divergence, v_real, v_fake) -> float:
    """Five standard errors of the bound, which a right one leaves with probability 6e-7."""
    real, fake = divergence.activation(v_real), divergence.dual(v_fake)
    return 5 * math.sqrt(float(real.var() / N + fake.var() / N))


@pytest.mark.parametrize("name", F_DIVERGENCES)
def test_at_the_best_critic_it_estimates_the_divergence_and_at_another_less(name):
    divergence = F_DIVERGENCES[name]
    exact = float(f_divergence(divergence, lambda x: log_density(x, P), lambda x: log_density(x, Q), -30, 30))
    real, fake = draws(seed=3)
    v_real, v_fake = best_output(divergence, real), best_output(divergence, fake)
    found = variational_bound(divergence, v_real, v_fake)
    assert found.shape == () and abs(float(found) - exact) < error(divergence, v_real, v_fake)
    # Power: real and fake exchanged, and a critic that is 0.6 off.
    exchanged = variational_bound(divergence, v_fake, v_real)
    assert abs(float(exchanged) - exact) > error(divergence, v_fake, v_real)
    worse = variational_bound(divergence, v_real - 0.6, v_fake - 0.6)
    if name != "total variation":  # whose best v are ±60, and 0.6 is nothing to them
        assert float(worse) < exact - error(divergence, v_real - 0.6, v_fake - 0.6)


def test_a_constant_critic_gives_the_best_constant_of_no_information():
    """Where P = Q the best T is f'(1), and the bound is f(1): 0, and -log 4 for a GAN. Half-way between the
    means p is q. Another constant gives less; of total variation, whose T are equal there, as much."""
    for name, divergence in F_DIVERGENCES.items():
        v = best_output(divergence, torch.full((1,), 0.2, dtype=torch.float64))
        expected = -math.log(4) if name == "GAN" else 0.0
        assert float(variational_bound(divergence, v, v)) == pytest.approx(expected, abs=1e-12), name
        for other in (v - 0.5, v + 0.5):
            found = float(variational_bound(divergence, other, other))
            assert found < expected - 0.01 or name == "total variation", name


def test_the_value_of_a_gan_is_that_of_its_discriminator():
    """E_P log D + E_Q log(1 - D), D = sigmoid(v) (Goodfellow et al. 2014, eq. 1)."""
    v_real, v_fake = torch.randn(2, 50, generator=generator(1), dtype=torch.float64)
    expected = v_real.sigmoid().log().mean() + (1 - v_fake.sigmoid()).log().mean()
    torch.testing.assert_close(variational_bound(F_DIVERGENCES["GAN"], v_real, v_fake), expected)


def test_a_linear_critic_learns_the_kl_of_shifted_gaussians():
    """T* = 1 + log p/q is linear in x for equal widths; by gradient steps on draws, to 5 standard errors."""
    noise = torch.randn(2, N, generator=generator(2), dtype=torch.float64)
    real, fake = noise[0] + 0.5, noise[1]
    at = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    search = torch.optim.LBFGS([at], max_iter=50, line_search_fn="strong_wolfe")

    def loss():
        search.zero_grad()
        value = -variational_bound(F_DIVERGENCES["KL"], at[0] + at[1] * real, at[0] + at[1] * fake)
        value.backward()
        return value

    search.step(loss)
    exact = gaussian_f_divergence(
        F_DIVERGENCES["KL"],
        *(Gaussian(torch.tensor([m]), torch.ones(1, 1)) for m in (0.5, 0.0)),
    )
    v_real, v_fake = (at[0] + at[1] * x for x in (real, fake))
    found = float(variational_bound(F_DIVERGENCES["KL"], v_real, v_fake).detach())
    assert abs(found - float(exact)) < error(F_DIVERGENCES["KL"], v_real.detach(), v_fake.detach())
    assert at.tolist() == pytest.approx([1 - 0.125, 0.5], abs=0.03)


@pytest.mark.parametrize("name", ["v_real", "v_fake"])
def test_no_draws_give_no_bound(name):
    v = {"v_real": torch.zeros(3), "v_fake": torch.zeros(3)} | {name: torch.zeros(0, 2)}
    with pytest.raises(ValueError, match=rf"{name}: expected at least one value, got shape \(0, 2\)"):
        variational_bound(F_DIVERGENCES["KL"], **v)


@pytest.mark.parametrize("name", ["KL", "GAN"])
def test_means_of_bfloat16_are_those_of_float32(name):
    noise = torch.randn(2, 4000, generator=generator(0), dtype=torch.float64)
    v_real, v_fake = (1 + 0.1 * noise).bfloat16()
    found = variational_bound(F_DIVERGENCES[name], v_real, v_fake)
    a, b = v_real.double(), v_fake.double()
    real, fake = (a, (b - 1).exp()) if name == "KL" else (-(-a).exp().log1p(), b.exp().log1p())
    assert found.dtype == torch.float32
    assert float(found) == pytest.approx(float(real.mean() - fake.mean()), abs=1e-5)
