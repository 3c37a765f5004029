"""ELBO surgery adds up, and in one dimension it is quadrature's."""

import math

import pytest
import torch
from torch import nn

from ganedu.likelihood import (
    VAE,
    CholeskyGaussian,
    DiagonalGaussian,
    FixedStd,
    active_units,
    activity,
    aggregate,
    evidence_bounds,
    log_aggregate,
    mean_kl_per_dim,
    mlp_vae,
    surgery,
)
from tests.likelihood.memory import largest


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(shape, generator=rng(seed), dtype=torch.float64)


class Constant(nn.Module):
    """An encoder that knows the parameters of q for its n examples."""

    def __init__(self, parameters):
        super().__init__()
        self.parameters_of_q = parameters

    def forward(self, x):
        return self.parameters_of_q


def model_with(parameters, dim):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return VAE(Constant(parameters), nn.Linear(dim, 3).double(), dim, FixedStd(1.0), DiagonalGaussian)


def by_quadrature(q):
    """(I(x; z), KL(q(z) || p(z))) of n Gaussians on the line, from their definitions."""
    z = torch.linspace(-12, 12, 8001, dtype=torch.float64)
    each = torch.distributions.Normal(q.mean, q.std).log_prob(z)  # (n, grid)
    marginal = each.logsumexp(0) - math.log(len(each))
    prior = torch.distributions.Normal(0, 1).log_prob(z)
    information = (each.exp() * (each - marginal)).sum(1).mean() * 0.003
    return float(information), float((marginal.exp() * (marginal - prior)).sum() * 0.003)


def test_information_and_marginal_kl_are_those_of_quadrature():
    """Means over 200 replicates of 40 examples with 10 draws each, to 5 standard errors. Power: the two
    swapped, and q(z) without log n."""
    parameters = torch.cat([1.5 * normal(40, 1), 0.3 * normal(40, 1, seed=1) - 0.7], 1)
    model, x = model_with(parameters, 1), normal(40, 3, seed=2)
    information, marginal_kl = by_quadrature(DiagonalGaussian.of(parameters))
    found = [surgery(model, x, rng(seed), draws=10) for seed in range(200)]
    values = torch.tensor([[f.mutual_information, f.marginal_kl] for f in found])
    error = values.std(0) / math.sqrt(200)
    assert ((values.mean(0) - torch.tensor([information, marginal_kl])).abs() < 5 * error).all()
    for wrong in ([marginal_kl, information], [information - math.log(40), marginal_kl + math.log(40)]):
        assert ((values.mean(0) - torch.tensor(wrong)).abs() > 5 * error).all()
    assert 0.5 < information < math.log(40)
    kl = float(DiagonalGaussian.of(parameters).kl().mean())
    assert information + marginal_kl == pytest.approx(kl, abs=1e-9)
    assert found[0].kl == pytest.approx(kl)


def test_the_parts_add_up_to_the_elbo():
    """Of 30 examples with 400 draws: against ``evidence_bounds`` to 5 standard errors of both."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = mlp_vae((6,), hidden=8, latent_dim=2, head=FixedStd(0.7)).double().requires_grad_(False)
    x = normal(30, 6)
    found = surgery(model, x, rng(), draws=400)
    expected = evidence_bounds(model.log_joint, x, model.posterior(x), 4000, rng(1))
    error = float(expected.elbo_error.square().sum().sqrt()) / 30 * math.sqrt(1 + 4000 / 400)
    assert abs(found.elbo - float(expected.elbo.mean())) < 5 * error
    assert found.elbo == found.reconstruction - found.kl


def test_a_collapsed_posterior_has_no_information_no_kl_and_no_active_unit():
    model, x = model_with(torch.zeros(20, 4, dtype=torch.float64), 2), normal(20, 3)
    found = surgery(model, x, rng())
    assert found.kl == 0
    assert abs(found.mutual_information) < 1e-12 and abs(found.marginal_kl) < 1e-12
    assert active_units(model.posterior(x)) == 0


def test_information_cannot_pass_log_n():
    """Posteriors that do not overlap tell which of the n examples it was, and no more."""
    apart = torch.cat([100.0 * torch.arange(16).double()[:, None], torch.full((16, 1), -5.0).double()], 1)
    assert surgery(model_with(apart, 1), normal(16, 3), rng()).mutual_information == pytest.approx(
        math.log(16)
    )


@pytest.mark.parametrize("family", [DiagonalGaussian, CholeskyGaussian])
@pytest.mark.parametrize("rows", [1, 3, 100])
def test_the_aggregate_is_the_mixture_of_torch_however_few_rows_are_looked_at(family, rows, monkeypatch):
    monkeypatch.setattr(aggregate, "ENTRIES", 10 * rows)
    q = family.of(normal(5, family.size(2)))
    tril = q.scale_tril if family is CholeskyGaussian else q.std.diag_embed()
    parts = torch.distributions.MultivariateNormal(q.mean, scale_tril=tril)
    even = torch.distributions.Categorical(torch.ones(5, dtype=torch.float64))
    mixture = torch.distributions.MixtureSameFamily(even, parts)
    z = normal(7, 2, seed=1)
    torch.testing.assert_close(log_aggregate(q, z), mixture.log_prob(z))


def test_units_are_active_whose_mean_moves_with_x():
    means = torch.stack(
        [normal(1000), 0.05 * normal(1000, seed=1), 0.3 * normal(1000, seed=2), torch.zeros(1000)], 1
    )
    q = DiagonalGaussian(means, torch.zeros(1000, 4, dtype=torch.float64))
    torch.testing.assert_close(activity(q), torch.tensor([1, 0.0025, 0.09, 0]).double(), rtol=0.3, atol=0)
    assert active_units(q) == 2


def test_the_kl_by_dimension_adds_up_for_a_diagonal_q_and_is_less_for_a_correlated_one():
    """What is missing is the total correlation of z given x, KL(q || product of its marginals) >= 0."""
    q = DiagonalGaussian.of(normal(5, 6))
    assert float(mean_kl_per_dim(q).sum()) == pytest.approx(float(q.kl().mean()))
    full = CholeskyGaussian.of(normal(5, 9))
    covariance = full.scale_tril @ full.scale_tril.mT
    correlation = 0.5 * (covariance.diagonal(dim1=1, dim2=2).log().sum(1) - covariance.logdet())
    missing = float(full.kl().mean() - mean_kl_per_dim(full).sum())
    assert missing == pytest.approx(float(correlation.mean())) and missing > 0.1


def test_bad_counts_are_named():
    model, x = model_with(torch.zeros(4, 2, dtype=torch.float64), 1), normal(4, 3)
    with pytest.raises(ValueError, match="draws: expected an int of at least 1, got 0"):
        surgery(model, x, rng(), draws=0)
    with pytest.raises(ValueError, match="q: expected at least one example, got none"):
        log_aggregate(DiagonalGaussian.of(torch.zeros(0, 2)), torch.zeros(3, 1))


@pytest.mark.parametrize("family", [DiagonalGaussian, CholeskyGaussian])
def test_the_aggregate_of_many_examples_needs_little_memory(family):
    """Of 1,000 examples in 20 dimensions: no step of it takes more than 2²⁰ numbers, which a d x d matrix
    for each pair of a row and an example would."""
    q, z = family.of(0.1 * normal(1000, family.size(20))), normal(120, 20, seed=1)
    assert largest(lambda: log_aggregate(q, z)) <= 8 * 2**20
    # Power: all rows at a time take 2.4 million numbers.
    assert largest(lambda: q.log_prob(z[:, None].expand(-1, 1000, -1))) > 8 * 2**20
