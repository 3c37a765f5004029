"""BBVI reaches the exact posterior of every example and the maximum of the likelihood."""

import pytest
import torch
from torch.distributions import MultivariateNormal

from ganedu.likelihood import (
    CholeskyGaussian,
    LinearGaussian,
    bbvi,
    fit_linear_gaussian,
    reinforce,
    reinforce_with_baseline,
    reparameterised,
)
from ganedu.likelihood.gradients import Gradient
from ganedu.targets import StandardNormal


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def double(*values):
    return torch.tensor(values, dtype=torch.float64)


TRUTH = LinearGaussian(double([1.5], [-1.0], [0.8]), double(0.5, -1.0, 2.0), torch.tensor(-0.5).double())
X = TRUTH.sample(60, rng(1))
START = [double([1.0], [0.0], [0.0]), torch.zeros(3).double(), torch.zeros(()).double()]


def log_joint(x, z, theta):
    weight, bias, log_std = theta
    noise = (x - z @ weight.T - bias) / log_std.exp()
    d, columns = z.shape[-1], x.shape[-1]
    return StandardNormal(d).log_prob(z) + StandardNormal(columns).log_prob(noise) - columns * log_std


def mean_over_pixels(x, z, theta):
    """Planted: what a loss averaged over pixels makes of it."""
    prior = StandardNormal(1).log_prob(z)
    return prior + (log_joint(x, z, theta) - prior) / 3


def everyone_the_same(log_joint, x, family, parameters, noise):
    """Planted: one λ for all examples."""
    gradient = reparameterised(log_joint, x, family, parameters, noise)
    return Gradient(gradient.mean.mean(0).expand(len(x), -1), gradient.variance)


def errors(fit):
    """How far θ is from the maximum (covariance and mean of x), and each q from the posterior under that θ,
    in its standard deviations."""
    best, (weight, bias, log_std) = fit_linear_gaussian(X, 1).requires_grad_(False), fit.theta
    w, variance = best.weight, float((2 * best.log_std).exp())
    covariance = weight @ weight.T + (2 * log_std).exp() * torch.eye(3)
    eye = torch.eye(3, dtype=torch.float64)
    gain = weight.T @ torch.linalg.inv(weight @ weight.T + (2 * log_std).exp() * eye)
    mean, std = (X - bias) @ gain.T, (1 - gain @ weight).sqrt()
    return {
        "covariance": float((covariance - w @ w.T - variance * eye).abs().max()),
        "bias": float((bias - best.bias).abs().max()),
        "mean": float(((fit.q.mean - mean) / std).abs().max()),
        "std": float((fit.q.std / std - 1).abs().max()),
    }


@pytest.mark.slow
@pytest.mark.parametrize("estimator", [reparameterised, reinforce_with_baseline])
def test_it_reaches_every_posterior_and_the_maximum_of_the_likelihood(estimator):
    """To 0.2, where the noise of the last steps leaves a standard deviation of 0.03 in each mean (the
    largest of all errors over three seeds is 0.071). The ELBO then is the likelihood's maximum, to
    0.01 nats."""
    fit = bbvi(log_joint, X, START, 1, rng(), steps=500, inner=5, draws=16, estimator=estimator)
    assert max(errors(fit).values()) < 0.2
    assert abs(float(fit.elbo[-1]) - float(fit_linear_gaussian(X, 1).log_prob(X).mean().detach())) < 0.01


@pytest.mark.slow
@pytest.mark.parametrize(
    ("wrong", "estimator"), [(mean_over_pixels, reparameterised), (log_joint, everyone_the_same)]
)
def test_the_same_test_rejects(wrong, estimator):
    fit = bbvi(wrong, X, START, 1, rng(), steps=500, inner=5, draws=16, estimator=estimator)
    assert max(errors(fit).values()) > 0.9


def test_a_full_triangle_finds_a_correlated_posterior_from_a_fixed_model():
    """Two latent dimensions that explain the same pixels: the posterior's correlation is -0.8, which the
    diagonal family cannot have. θ starts at the truth, and its step is too small to leave it."""
    weight = double([1.0, 0.9], [0.9, 1.0], [1.0, 1.0])
    model = LinearGaussian(weight, double(0, 0, 0), torch.zeros(()).double()).requires_grad_(False)
    x, theta = model.sample(5, rng(3)), [weight, double(0, 0, 0), torch.zeros(()).double()]
    posterior = model.posterior(x)
    fit = bbvi(
        log_joint,
        x,
        theta,
        2,
        rng(),
        steps=40,
        inner=20,
        draws=50,
        theta_step_size=1e-9,
        family=CholeskyGaussian,
    )
    assert (fit.q.mean - posterior.mean).abs().max() < 0.1
    covariance, expected = (q.scale_tril[0] @ q.scale_tril[0].T for q in (fit.q, posterior))
    assert (covariance - expected).abs().max() < 0.05
    assert expected[0, 1] / expected.diagonal().prod().sqrt() < -0.6


@pytest.mark.parametrize("estimator", [reinforce, reinforce_with_baseline, reparameterised])
def test_one_step_is_the_slides(estimator):
    """λ + γ ∇λ ELBO for each example, then θ + γ ∇θ ELBO at the new λ, with the same noise by hand."""
    fit = bbvi(
        log_joint,
        X,
        START,
        1,
        rng(),
        steps=1,
        inner=1,
        draws=6,
        step_size=0.2,
        theta_step_size=0.3,
        estimator=estimator,
    )
    again = rng()
    noise, second = (torch.randn(6, 60, 1, generator=again, dtype=torch.float64) for _ in range(2))
    weight, bias, log_std = START
    # At q = N(0, 1), z = ε; every gradient below is by hand.
    residual = X - noise * weight[:, 0] - bias
    slope = -noise + residual @ weight
    f = log_joint(X, noise, START) - StandardNormal(1).log_prob(noise)
    score = torch.cat([noise, noise.square() - 1], -1)
    if estimator is reparameterised:
        gradient = torch.cat([slope, slope * noise + 1], -1).mean(0)
    elif estimator is reinforce:
        gradient = (f[..., None] * score).mean(0)
    else:
        each = []
        for i in range(6):
            others = [j for j in range(6) if j != i]
            baseline = (f[others][..., None] * score[others] ** 2).sum(0) / (score[others] ** 2).sum(0)
            each.append((f[i][:, None] - baseline) * score[i])
        gradient = torch.stack(each).mean(0)
    mean, log_sigma = (0.2 * gradient).split(1, -1)
    torch.testing.assert_close(fit.q.mean, mean)
    torch.testing.assert_close(fit.q.log_std, log_sigma)

    z = mean + log_sigma.exp() * second
    residual = X - z * weight[:, 0] - bias
    torch.testing.assert_close(fit.theta[1], 0.3 * residual.mean((0, 1)))
    torch.testing.assert_close(fit.theta[0], weight + 0.3 * (residual * z).mean((0, 1))[:, None])
    torch.testing.assert_close(fit.theta[2], 0.3 * (residual.square().sum(-1).mean() - 3))
    q = MultivariateNormal(mean, (2 * log_sigma).exp()[..., None])
    torch.testing.assert_close(fit.elbo[0], (log_joint(X, z, START) - q.log_prob(z)).mean())


def test_what_is_given_is_not_changed():
    before = [value.clone() for value in START]
    bbvi(log_joint, X, START, 1, rng(), steps=2, inner=1, draws=2)
    for value, old in zip(START, before, strict=True):
        assert torch.equal(value, old) and not value.requires_grad


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps: expected an int of at least 1, got 0"),
        ({"inner": 0}, "inner: expected an int of at least 1, got 0"),
        ({"draws": 1}, "draws: expected an int of at least 2, got 1"),
        ({"step_size": 0.0}, "step_size: expected a positive number, got 0"),
        ({"theta_step_size": -1.0}, "theta_step_size: expected a positive number, got -1"),
        ({"theta_step_size": 1e300, "steps": 5}, "step_size: too large, λ or θ is not finite after step"),
    ],
)
def test_bad_arguments_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        bbvi(log_joint, X, START, 1, rng(), **{"steps": 2, **options})
