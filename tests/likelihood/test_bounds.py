"""ELBO, IWAE-k, naive Monte Carlo and the gap against closed forms and quadrature.

Comparisons are to 5 standard errors, as the course promises. Seeds are fixed: a test that passes passes
always. Were they drawn anew, one comparison would fail by luck once in 1.7 million runs, and the test
with the most of them, 30, once in 58,000.
"""

import math

import pytest
import torch
from torch.distributions import MultivariateNormal, kl_divergence

from ganedu.likelihood import (
    CholeskyGaussian,
    DiagonalGaussian,
    LinearGaussian,
    bounds,
    bounds_of,
    elbo,
    evidence_bounds,
    iwae,
    log_weight,
    naive,
)
from tests.likelihood.gaussian import Known
from tests.likelihood.memory import largest


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(shape, generator=rng(seed), dtype=torch.float64)


MODEL = LinearGaussian(normal(5, 2), normal(5, seed=1), torch.tensor(-0.4, dtype=torch.float64))
MODEL.requires_grad_(False)
X = MODEL.sample(3, rng(2))
BEST = MODEL.posterior(X)
OFF = 0.3 * normal(3, 5, seed=3)
PARAMETERS = {  # near the posterior, and not it
    DiagonalGaussian: torch.cat([BEST.mean, BEST.std.log()], 1) + OFF[:, :4],
    CholeskyGaussian: torch.cat([BEST.mean, BEST.std.log(), BEST.scale_tril[:, 1:, 0]], 1) + OFF,
}
FAMILIES = list(PARAMETERS)


def exact(q):
    """(log p(x), KL(q || p(z|x))) of each x from torch's Gaussians and the joint law of (z, x) alone."""
    w, noise = MODEL.weight, (2 * MODEL.log_std).exp() * torch.eye(5, dtype=torch.float64)
    evidence = MultivariateNormal(MODEL.bias, w @ w.T + noise)
    gain = w.T @ torch.linalg.inv(w @ w.T + noise)  # conditioning z on x in their joint Gaussian
    cov = torch.eye(2, dtype=torch.float64) - gain @ w
    posterior = MultivariateNormal((X - MODEL.bias) @ gain.T, (cov + cov.T) / 2)
    covariance = (
        q.scale_tril @ q.scale_tril.mT if hasattr(q, "scale_tril") else (2 * q.log_std).exp().diag_embed()
    )
    return evidence.log_prob(X), kl_divergence(MultivariateNormal(q.mean, covariance), posterior)


def z_score(values, expected):
    """How many of its standard errors the mean over the first axis is off, the worst of all columns."""
    return float(((values.mean(0) - expected) / values.std(0) * math.sqrt(len(values))).abs().max())


def analytic(q, noise):
    return elbo(MODEL.log_likelihood, X, q, noise)


def monte_carlo(q, noise):
    return log_weight(MODEL.log_joint, X, q, noise)


@pytest.mark.parametrize("estimate", [analytic, monte_carlo])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_elbo_is_below_log_p_by_the_kl_to_the_posterior(family, estimate):
    q = family.of(PARAMETERS[family])
    log_p, kl = exact(q)
    values = estimate(q, normal(40_000, 3, 2, seed=4))
    assert z_score(values, log_p - kl) < 5
    assert (kl > 0.1).all()


WRONG = {
    "mean over pixels": lambda q, noise: MODEL.log_likelihood(X, q.rsample(noise)) / 5 - q.kl(),
    "mean over latents": lambda q, noise: MODEL.log_likelihood(X, q.rsample(noise)) - q.kl() / 2,
    "plus KL": lambda q, noise: MODEL.log_likelihood(X, q.rsample(noise)) + q.kl(),
    "no entropy": lambda q, noise: MODEL.log_joint(X, q.rsample(noise)),
    "plus log q": lambda q, noise: MODEL.log_joint(X, q.rsample(noise)) + q.log_prob(q.rsample(noise)),
    "draws of the prior": lambda q, noise: MODEL.log_likelihood(X, noise) - q.kl(),
    "noise of half the width": lambda q, noise: analytic(q, noise / 2),
    "beta of 1.05": lambda q, noise: elbo(MODEL.log_likelihood, X, q, noise, beta=1.05),
}


@pytest.mark.parametrize("name", WRONG)
def test_the_same_test_rejects(name):
    q = DiagonalGaussian.of(PARAMETERS[DiagonalGaussian])
    log_p, kl = exact(q)
    assert z_score(WRONG[name](q, normal(40_000, 3, 2, seed=4)), log_p - kl) > 5


@pytest.mark.parametrize("estimate", [analytic, monte_carlo])
def test_the_gap_closes_where_q_is_the_posterior(estimate):
    """The Monte Carlo ELBO then has no variance at all; that with the KL in closed form still has."""
    q = MODEL.posterior(X)
    log_p, _ = exact(q)
    values = estimate(q, normal(40_000, 3, 2, seed=4))
    assert z_score(values, log_p) < 5 if estimate is analytic else (values - log_p).abs().max() < 1e-10
    assert bool((values.std(0) > 0.5).all()) == (estimate is analytic)


@pytest.mark.parametrize("beta", [0.5, 4.0])
def test_beta_weighs_the_kl_alone(beta):
    q, noise = DiagonalGaussian.of(PARAMETERS[DiagonalGaussian]), normal(7, 3, 2, seed=4)
    values = elbo(MODEL.log_likelihood, X, q, noise, beta)
    torch.testing.assert_close(values, analytic(q, noise) - (beta - 1) * q.kl())


KNOWN = Known()
NEAR = Known(mu=0.6, sigma=0.65)


def one(known, n, k, seed=0):
    """n independent IWAE-k of one example."""
    q = DiagonalGaussian.of(known.parameters(n))
    return iwae(known.log_joint, torch.zeros(n, 1), q, normal(k, n, 1, seed=seed))


@pytest.mark.parametrize("known", [KNOWN, NEAR], ids=["far", "near"])
@pytest.mark.parametrize("k", [1, 2, 5, 50])
def test_the_mean_of_iwae_is_that_of_quadrature(known, k):
    values = one(known, 20_000, k)
    assert z_score(values, known.iwae(k)) < 5
    # Power: log (k + 1) in the place of log k, and the mean of the logs.
    assert z_score(values, known.iwae(k) + math.log((k + 1) / k)) > 5
    assert k == 1 or z_score(values, known.iwae(1)) > 5


def test_quadrature_is_right_where_there_is_a_closed_form():
    """IWAE-1 is the ELBO; IWAE-2 by a grid in two dimensions; and IWAE-k rises to log p(x)."""
    for known in (KNOWN, NEAR):
        assert known.iwae(1) == pytest.approx(known.log_prob - known.kl_to_posterior, abs=1e-9)
        a, b, c = known.abc
        eps = torch.linspace(-9, 9, 1501, dtype=torch.float64)
        density = (-0.5 * eps.square()).exp() / math.sqrt(2 * math.pi) * 0.012
        log_w = a + b * eps + c * eps.square()
        both = torch.logaddexp(log_w[:, None], log_w) - math.log(2)
        assert known.iwae(2) == pytest.approx(float(density @ both @ density), abs=1e-7)
        bounds = [known.iwae(k) for k in (1, 2, 5, 50, 500, 5000)]
        assert bounds == sorted(bounds) and bounds[-1] < known.log_prob
    assert NEAR.iwae(5000) == pytest.approx(NEAR.log_prob, abs=1e-4)


def test_the_gap_of_iwae_falls_as_half_the_relative_variance_over_k():
    """log p(x) - IWAE-k ~ Var(w) / (2 k p(x)²) (Maddison et al. 2017, prop. 1; Domke and Sheldon 2018)."""
    k = 4000
    assert 2 * k * (NEAR.log_prob - NEAR.iwae(k)) == pytest.approx(NEAR.relative_variance, rel=1e-2)


def test_all_bounds_from_the_same_draws_are_ordered_and_right():
    q = DiagonalGaussian.of(PARAMETERS[DiagonalGaussian])
    log_p, kl = exact(q)
    found = evidence_bounds(MODEL.log_joint, X, q, 100_000, rng())
    assert ((found.elbo - (log_p - kl)).abs() < 5 * found.elbo_error).all()
    assert ((found.iwae - log_p).abs() < 5 * found.relative_error).all()
    assert (found.relative_error < 0.05).all() and (found.elbo_error < 0.01).all()
    error = (found.elbo_error.square() + found.relative_error.square()).sqrt()
    assert ((found.gap - kl).abs() < 5 * error).all() and (found.gap > 5 * error).all()
    # Power: the bounds of another x.
    assert ((found.iwae - log_p.roll(1)).abs() > 5 * found.relative_error).all()
    for k in (1, 2, 7):
        few = evidence_bounds(MODEL.log_joint, X, q, k, rng())
        assert (few.gap >= 0).all() and (k > 1 or (few.gap.abs() < 1e-12).all())


def test_stated_errors_are_the_spread_of_replicates():
    """Of 4,000 replicates, whose spread is known to 1.1% (relative_error: to more, the weights' tails);
    to 10%. Power: half as many draws spread more than that."""
    n, k = 4000, 400
    q = DiagonalGaussian.of(NEAR.parameters(n))
    found = evidence_bounds(NEAR.log_joint, torch.zeros(n, 1), q, k, rng())
    for value, error in ((found.elbo, found.elbo_error), (found.iwae, found.relative_error)):
        ratio = float(error.mean() / value.std())
        assert abs(ratio - 1) < 0.1 and abs(math.sqrt(2) * ratio - 1) > 0.1


def test_naive_monte_carlo_is_unbiased_and_its_error_is_the_chi_squared_to_the_prior():
    """E w² / (E w)² - 1 for q = p(z) is χ²(posterior || prior), known for Gaussians.

    k = 400,000 and 5 standard errors of log p(x); the relative error to 5%.
    """
    k = 400_000
    found = naive(MODEL.log_joint, X, 2, k, rng())
    log_p, _ = exact(DiagonalGaussian.of(PARAMETERS[DiagonalGaussian]))
    assert ((found.iwae - log_p).abs() < 5 * found.relative_error).all()
    posterior = MODEL.posterior(X)
    # ∫ N(z; m, S)² / N(z; 0, I) dz = |S|^-1 |2 S⁻¹ - I|^-1/2 exp(mᵀ (2 I - S)⁻¹ m), by completing the square.
    s, eye = posterior.scale_tril[0] @ posterior.scale_tril[0].T, torch.eye(2, dtype=torch.float64)
    exponent = torch.einsum("ni,ij,nj->n", posterior.mean, torch.linalg.inv(2 * eye - s), posterior.mean)
    volume = torch.linalg.det(s) * torch.linalg.det(2 * torch.linalg.inv(s) - eye).sqrt()
    chi = exponent.exp() / volume - 1
    torch.testing.assert_close(found.relative_error, (chi / k).sqrt(), rtol=0.05, atol=0)
    # Where q is the posterior the weights are all p(x).
    at_best = evidence_bounds(MODEL.log_joint, X, posterior, 100, rng())
    assert (at_best.relative_error < 1e-10).all() and (found.relative_error > 1e-3).all()


def test_naive_monte_carlo_overestimates_nothing_and_its_log_underestimates():
    """exp(iwae) has mean p(x), to 5 standard errors of 20,000 replicates, and the log has less."""
    n = 20_000
    x = X[:1].expand(n, -1)
    found = naive(MODEL.log_joint, x, 2, 50, rng())
    log_p, _ = exact(DiagonalGaussian.of(PARAMETERS[DiagonalGaussian]))
    assert z_score((found.iwae - log_p[0]).exp(), 1.0) < 5
    assert found.iwae.mean() < log_p[0] - 5 * float(found.iwae.std()) / math.sqrt(n)


@pytest.mark.parametrize("k", [1, 10, 37])
def test_no_more_rows_than_said_are_looked_at_in_one_go(k):
    seen = []

    def log_joint(x, z):
        seen.append(len(z))
        return MODEL.log_joint(x, z)

    evidence_bounds(log_joint, X, MODEL.posterior(X), k, rng(), rows=30)
    assert sum(seen) == k and max(seen) <= 10
    seen.clear()
    evidence_bounds(log_joint, X, MODEL.posterior(X), k, rng(), rows=2)
    assert seen == [1] * k


def test_log_weights_of_minus_two_thousand_nats_do_not_underflow():
    q = DiagonalGaussian.of(KNOWN.parameters(2).float())
    low = evidence_bounds(lambda x, z: KNOWN.log_joint(x, z) - 2000, torch.zeros(2, 1), q, 50, rng())
    high = evidence_bounds(KNOWN.log_joint, torch.zeros(2, 1), q, 50, rng())
    torch.testing.assert_close(low.iwae + 2000, high.iwae, rtol=0, atol=1e-3)
    torch.testing.assert_close(low.relative_error, high.relative_error, rtol=1e-2, atol=0)


def test_one_draw_says_nothing_of_its_error():
    found = evidence_bounds(MODEL.log_joint, X, MODEL.posterior(X), 1, rng())
    assert found.elbo_error.isinf().all() and found.relative_error.isinf().all()


def test_gradients_of_the_bounds_are_those_of_the_closed_form():
    """d ELBO / dλ = -d KL(q || posterior) / dλ, by autograd through torch's formula; 5 standard errors."""
    parameters = PARAMETERS[CholeskyGaussian].clone().requires_grad_()
    _, kl = exact(CholeskyGaussian.of(parameters))
    (expected,) = torch.autograd.grad(-kl.sum(), parameters)
    rows = parameters.detach().expand(4000, -1, -1).reshape(-1, 5).requires_grad_()
    for estimate in (
        lambda q, noise: elbo(MODEL.log_likelihood, X.repeat(4000, 1), q, noise),
        lambda q, noise: log_weight(MODEL.log_joint, X.repeat(4000, 1), q, noise),
    ):
        value = estimate(CholeskyGaussian.of(rows), normal(12_000, 2, seed=5))
        (each,) = torch.autograd.grad(value.sum(), rows)
        assert z_score(each.reshape(4000, 3, 5), expected) < 5
        assert z_score(each.reshape(4000, 3, 5), 0 * expected) > 5


def test_bounds_of_some_examples_at_a_time_are_those_of_each(monkeypatch):
    log_w = 3 * normal(7, 10)
    each = [bounds_of(log_w[:, [i]]) for i in range(10)]
    monkeypatch.setattr(bounds, "WEIGHTS", 7 * 3)
    for name, values in bounds_of(log_w)._asdict().items():
        torch.testing.assert_close(values, torch.cat([getattr(one, name) for one in each]))
    expected = torch.special.logsumexp(log_w, 0) - math.log(7)
    torch.testing.assert_close(bounds_of(log_w).iwae, expected)


def test_beside_the_log_weights_bounds_need_little_memory():
    """Of 3 million log weights at most 2²⁰ are worked on at a time."""
    log_w = normal(1000, 3000)
    assert largest(lambda: bounds_of(log_w)) <= 8 * 2**20
    assert largest(lambda: log_w.softmax(0)) > 8 * 2**20


def test_no_examples_have_no_bounds():
    q = DiagonalGaussian.of(torch.zeros(0, 4))
    with pytest.raises(ValueError, match="x: expected at least one example, got none"):
        evidence_bounds(MODEL.log_joint, X[:0], q, 5, rng())


@pytest.mark.parametrize(("k", "rows", "name"), [(0, 10, "k"), (2, 0, "rows"), (2.0, 10, "k")])
def test_bad_counts_are_named(k, rows, name):
    with pytest.raises(ValueError, match=f"{name}: expected an int of at least 1"):
        evidence_bounds(MODEL.log_joint, X, MODEL.posterior(X), k, rng(), rows)


@pytest.mark.parametrize(
    "wrong", [lambda z: z.sum(), lambda z: z.sum(-1, keepdim=True), lambda z: z.sum(-1)[0]]
)
def test_a_density_of_another_shape_is_not_broadcast(wrong):
    q, x = DiagonalGaussian.of(torch.zeros(5, 4)), torch.zeros(5, 2)
    draws = torch.zeros(5, 5, 2)
    with pytest.raises(ValueError, match=r"log_likelihood: expected shape \(5, 5\), got"):
        elbo(lambda x, z: wrong(z), x, q, draws)
    for bound in (iwae, log_weight):
        with pytest.raises(ValueError, match=r"log_joint: expected shape \(5, 5\), got"):
            bound(lambda x, z: wrong(z), x, q, draws)


def test_noise_without_draws_is_refused_by_iwae():
    """The mean of the weights would be over examples."""
    q = DiagonalGaussian(torch.zeros(3, 2).double(), torch.zeros(3, 2).double())
    with pytest.raises(ValueError, match=r"noise: expected shape \('k', 3, 2\), got \(3, 2\); one draw is n"):
        iwae(MODEL.log_joint, X, q, normal(3, 2))
