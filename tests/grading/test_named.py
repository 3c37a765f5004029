"""Named log densities against other ways to write them: values and gradients."""

import math

import pytest
import torch
from scipy import integrate
from torch.distributions import Categorical, Independent, MixtureSameFamily, MultivariateNormal, Normal

from ganedu.grading.guest.named import Named

RNG = torch.Generator().manual_seed(5)


def normal(*shape):
    return torch.randn(*shape, generator=RNG, dtype=torch.float64)


ROOT, MEAN, MEANS = normal(3, 3), normal(3), normal(4, 3)
COVARIANCE = ROOT @ ROOT.T + 0.1 * torch.eye(3).double()
WEIGHTS, STD = torch.tensor([0.1, 0.2, 0.3, 0.4]).double(), torch.tensor([0.2, 0.5, 1.0, 3.0]).double()


def banana(x):
    given = Normal(0.5 * (x[:, 0] ** 2 - 4), 1.0)
    return Normal(0.0, 2.0).log_prob(x[:, 0]) + given.log_prob(x[:, 1])


CASES = {
    "standard_normal": ({}, lambda x: Independent(Normal(torch.zeros(3).double(), 1.0), 1).log_prob(x)),
    "gaussian": (
        {"mean": MEAN, "covariance": COVARIANCE},
        lambda x: MultivariateNormal(MEAN, COVARIANCE).log_prob(x),
    ),
    "banana": ({"std": 2.0, "curvature": 0.5}, banana),
    "ring": ({"radius": 2.0, "width": 0.3}, lambda x: -((x.square().sum(1).sqrt() - 2.0) ** 2) / 0.18),
    "mixture": (
        {"weights": WEIGHTS, "means": MEANS, "std": STD},
        lambda x: MixtureSameFamily(
            Categorical(WEIGHTS), Independent(Normal(MEANS, STD[:, None].expand(4, 3)), 1)
        ).log_prob(x),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_named_density_is_the_one_of_torch_and_so_is_its_gradient(name):
    parameters, other = CASES[name]
    x = (2 * normal(7, 2 if name == "banana" else 3)).requires_grad_()
    ours, theirs = Named(name, **parameters)(x), other(x)
    assert ours.shape == (7,)
    torch.testing.assert_close(ours, theirs)
    gradients = [torch.autograd.grad(value.sum(), x)[0] for value in (ours, theirs)]
    torch.testing.assert_close(*gradients)
    single = Named(name, **{k: v.float() if torch.is_tensor(v) else v for k, v in parameters.items()})
    assert single(x.float()).dtype == torch.float32


def test_the_banana_integrates_to_one():
    target = Named("banana", std=1.5, curvature=0.4)

    def density(second, first):
        return math.exp(float(target(torch.tensor([[first, second]], dtype=torch.float64))))

    total, _ = integrate.dblquad(
        density, -7, 7, lambda x: 0.4 * x**2 - 8, lambda x: 0.4 * x**2 + 7, epsabs=1e-4
    )
    assert abs(total - 1) < 1e-3


def test_an_energy_is_a_log_density_upside_down():
    density, x = Named("gaussian", mean=MEAN, covariance=COVARIANCE), normal(5, 3)
    assert torch.equal(Named("negative", function=density)(x), -density(x))
