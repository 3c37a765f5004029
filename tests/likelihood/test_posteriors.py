"""Both Gaussians are torch.distributions' own, and their draws have the law that they say."""

import math

import pytest
import torch
from torch.distributions import Independent, MultivariateNormal, Normal, kl_divergence

from ganedu.likelihood import CholeskyGaussian, DiagonalGaussian, LogVariance
from ganedu.likelihood.posteriors import kl_per_dim
from tests.laws import gaussian_marginals, worst
from tests.likelihood.memory import largest

FAMILIES = [DiagonalGaussian, CholeskyGaussian]


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def oracle(q):
    """The same n Gaussians from torch."""
    if isinstance(q, DiagonalGaussian):
        return Independent(Normal(q.mean, q.log_std.exp()), 1)
    return MultivariateNormal(q.mean, scale_tril=q.scale_tril)


def standard(q):
    d = q.mean.shape[-1]
    zero, one = torch.zeros(d, dtype=torch.float64), torch.ones(d, dtype=torch.float64)
    return (
        Independent(Normal(zero, one), 1)
        if isinstance(q, DiagonalGaussian)
        else MultivariateNormal(zero, scale_tril=one.diag())
    )


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("d", [1, 2, 5])
def test_density_entropy_and_kl_are_those_of_torch(family, d):
    q = family.of(normal(4, family.size(d)))
    expected = oracle(q)
    for z in (normal(4, d, seed=1), normal(3, 4, d, seed=2)):
        torch.testing.assert_close(q.log_prob(z), expected.log_prob(z), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(q.entropy(), expected.entropy(), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(q.kl(), kl_divergence(expected, standard(q)), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_kl_is_the_mean_of_the_log_ratio_over_draws(family):
    """To 5 standard errors for each of 3 Gaussians: by luck once in 580,000 runs. Power: the other sign
    of the entropy, and KL(p || q), are further off."""
    q = family.of(0.5 * normal(3, family.size(3), seed=3))
    z = q.rsample(normal(40_000, 3, 3, seed=4))
    ratio = q.log_prob(z) - standard(q).log_prob(z)
    error = ratio.std(0) / math.sqrt(len(z))
    assert ((ratio.mean(0) - q.kl()).abs() < 5 * error).all()
    for wrong in (q.kl() + 2 * q.entropy(), kl_divergence(standard(q), oracle(q))):
        assert ((ratio.mean(0) - wrong).abs() > 5 * error).any()


@pytest.mark.parametrize("family", FAMILIES)
def test_draws_have_the_law_of_mean_and_covariance(family):
    """Every coordinate and 8 directions by the DKW test. Power: Lᵀ for L and std² for std are rejected."""
    q = family.of(0.7 * normal(1, family.size(3), seed=5))
    noise = normal(20_000, 1, 3, seed=6)
    z = q.rsample(noise)[:, 0]
    cov = (
        q.log_std.mul(2).exp().diag_embed() if family is DiagonalGaussian else q.scale_tril @ q.scale_tril.mT
    )
    assert worst(gaussian_marginals(z, q.mean[0], cov[0]))[0] < 1
    if family is DiagonalGaussian:
        wrong = DiagonalGaussian(q.mean, 2 * q.log_std).rsample(noise)
    else:
        wrong = CholeskyGaussian(q.mean, q.scale_tril.mT).rsample(noise)
    assert worst(gaussian_marginals(wrong[:, 0], q.mean[0], cov[0]))[0] > 1
    torch.testing.assert_close(q.std, cov.diagonal(dim1=-2, dim2=-1).sqrt())


@pytest.mark.parametrize("family", FAMILIES)
def test_k_draws_are_those_one_by_one(family):
    q, noise = family.of(normal(4, family.size(2))), normal(3, 4, 2, seed=1)
    torch.testing.assert_close(q.rsample(noise), torch.stack([q.rsample(row) for row in noise]))
    torch.testing.assert_close(q.log_prob(noise), torch.stack([q.log_prob(row) for row in noise]))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_gradient_through_a_draw_reaches_every_parameter(family):
    parameters = normal(4, family.size(3)).requires_grad_()
    assert torch.autograd.gradcheck(lambda p: family.of(p).rsample(normal(2, 4, 3, seed=1)), parameters)
    family.of(parameters).rsample(normal(4, 3, seed=1)).square().sum().backward()
    assert (parameters.grad != 0).all()


def test_the_triangle_is_filled_by_rows_under_a_positive_diagonal():
    q = CholeskyGaussian.of(torch.tensor([[1.0, 2.0, 3.0, 0.0, math.log(2), math.log(3), 4.0, 5.0, 6.0]]))
    assert q.mean.tolist() == [[1, 2, 3]]
    torch.testing.assert_close(q.scale_tril, torch.tensor([[[1.0, 0, 0], [4, 2, 0], [5, 6, 3]]]))


def test_a_triangle_that_is_diagonal_is_the_diagonal_gaussian():
    parameters = normal(4, 6)
    diagonal = DiagonalGaussian.of(parameters)
    full = CholeskyGaussian.of(torch.cat([parameters, torch.zeros(4, 3, dtype=torch.float64)], 1))
    z = normal(4, 3, seed=1)
    for a, b in zip((diagonal, full), (full, diagonal), strict=True):
        torch.testing.assert_close(a.rsample(z), b.rsample(z))
        torch.testing.assert_close(a.log_prob(z), b.log_prob(z))
        torch.testing.assert_close(a.kl(), b.kl())
        torch.testing.assert_close(a.entropy(), b.entropy())


def test_an_encoder_puts_out_log_variances():
    mean, variance = normal(4, 3), torch.tensor([0.25, 1.0, 9.0], dtype=torch.float64).expand(4, -1)
    q, z = LogVariance.of(torch.cat([mean, variance.log()], 1)), normal(4, 3, seed=1)
    expected = MultivariateNormal(mean, variance.diag_embed())
    torch.testing.assert_close(q.log_prob(z), expected.log_prob(z))
    torch.testing.assert_close(q.std.square(), variance)
    with pytest.raises(ValueError, match="parameters: expected an even number"):
        LogVariance.of(normal(4, 5))


@pytest.mark.parametrize("log_std", [1e-8, -1e-6, 1e-4])
def test_near_the_prior_the_kl_keeps_its_digits(log_std):
    """½ (e^2s - 1) - s = s² + (2/3) s³ + (1/3) s⁴ + ... Power: ½ (e^2s - 1 - 2s) loses half of them."""
    exact = log_std**2 * (1 + 2 / 3 * log_std + 1 / 3 * log_std**2)
    s = torch.tensor([log_std], dtype=torch.float64)
    assert float(kl_per_dim(torch.zeros_like(s), s)) == pytest.approx(exact, rel=1e-7, abs=0)
    if abs(log_std) < 1e-5:
        assert float(0.5 * ((2 * s).exp() - 1 - 2 * s)) != pytest.approx(exact, rel=1e-7, abs=0)


@pytest.mark.parametrize("family", FAMILIES)
def test_near_the_prior_the_kl_of_a_posterior_keeps_its_digits_in_single_precision(family):
    """Log-diagonals near 1e-4 in 20 dimensions, against the series of ½ (e^2s - 1) - s in double precision.
    Power: ½ (mean² + L² - 1) - log L of the same numbers is off by more than a tenth."""
    parameters = torch.zeros(1000, family.size(20))
    parameters[:, 20:40] = 1e-4 * normal(1000, 20).float()
    q, s = family.of(parameters), parameters[:, 20:40].double()
    exact = (s.square() * (1 + 2 / 3 * s + 1 / 3 * s.square())).sum(1)
    torch.testing.assert_close(q.kl().double(), exact, rtol=5e-3, atol=0)
    tril = q.scale_tril if family is CholeskyGaussian else q.std.diag_embed()
    lossy = 0.5 * (tril.square().sum(-1) - 1).sum(-1) - tril.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    assert ((lossy.double() - exact).abs() > 0.1 * exact).any()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_deviation_too_small_for_single_precision_has_a_kl_and_an_entropy(family):
    parameters = torch.zeros(1, family.size(1))
    parameters[:, 1] = -110.0
    q = family.of(parameters)
    assert float(q.kl()) == pytest.approx(109.5)
    assert float(q.entropy()) == pytest.approx(-110 + 0.5 * math.log(2 * math.pi * math.e), rel=1e-6)


def test_many_draws_share_the_triangles():
    """200 draws of 50 Gaussians on R^20: copies of L would take 20 times as much memory as the draws."""
    q, z = CholeskyGaussian.of(0.1 * normal(50, 230)), normal(200, 50, 20, seed=1)
    for compute in (q.log_prob, q.rsample):
        assert largest(lambda compute=compute: compute(z)) <= 8 * z.numel()
    assert largest(lambda: q.scale_tril.repeat(200, 1, 1, 1)) == 20 * 8 * z.numel()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: DiagonalGaussian.of(torch.zeros(2, 5)),
            "parameters: expected an even number of columns, got 5",
        ),
        (
            lambda: CholeskyGaussian.of(torch.zeros(2, 4)),
            "parameters: expected 2 d .* columns for some d, got 4",
        ),
        (
            lambda: DiagonalGaussian(torch.zeros(2, 3), torch.zeros(3)),
            r"log_std: expected shape \(2, 3\), got",
        ),
        (
            lambda: CholeskyGaussian(torch.zeros(2, 3), torch.zeros(2, 3)),
            r"scale_tril: expected shape \(2, 3, 3",
        ),
        (
            lambda: DiagonalGaussian.of(torch.zeros(2, 6)).rsample(torch.zeros(2, 1)),
            r"noise: expected shape \(2, 3\) or \(k, 2, 3\), got \(2, 1\)",
        ),
        (
            lambda: CholeskyGaussian.of(torch.zeros(2, 5)).log_prob(torch.zeros(2, 5, 2)),
            r"z: expected shape \(2,",
        ),
    ],
)
def test_bad_shapes_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
