"""The linear-Gaussian model is what its formulas say: by quadrature, conditioning and perturbation."""

import math
from functools import partial

import pytest
import torch
from sklearn.decomposition import PCA

from ganedu.likelihood import LinearGaussian, fit_linear_gaussian, log_weight
from tests.laws import gaussian_marginals, worst


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(shape, generator=rng(seed), dtype=torch.float64)


def model(d, columns=4):
    return LinearGaussian(normal(columns, d), normal(columns, seed=1), torch.tensor(-0.3).double())


def test_evidence_and_posterior_are_those_of_quadrature():
    one = model(1).requires_grad_(False)
    x, z = one.sample(3, rng(2)), torch.linspace(-10, 10, 4001, dtype=torch.float64)
    joint = one.log_joint(x, z[:, None, None].expand(-1, 3, 1)).exp() * 0.005
    torch.testing.assert_close(joint.sum(0).log(), one.log_prob(x), rtol=1e-10, atol=0)
    weight = joint / joint.sum(0)
    mean = (weight * z[:, None]).sum(0)
    posterior = one.posterior(x)
    torch.testing.assert_close(posterior.mean[:, 0], mean)
    variance = (weight * (z[:, None] - mean).square()).sum(0)
    torch.testing.assert_close(posterior.std[:, 0], variance.sqrt())


@pytest.mark.parametrize("d", [1, 2, 3])
def test_joint_over_posterior_is_the_evidence_at_every_z(d):
    one = model(d).requires_grad_(False)
    x = one.sample(5, rng(2))
    found = log_weight(one.log_joint, x, one.posterior(x), 3 * normal(7, 5, d, seed=3))
    torch.testing.assert_close(found, one.log_prob(x).expand(7, -1))


def test_one_draw_of_z_is_k_draws_of_one():
    one, z = model(2), normal(3, 5, 2)
    x = one.sample(5, rng())
    torch.testing.assert_close(one.log_joint(x, z), torch.stack([one.log_joint(x, row) for row in z]))


def test_draws_have_the_mean_and_covariance_of_the_evidence():
    one = model(2).requires_grad_(False)
    covariance = one.weight @ one.weight.T + math.exp(-0.6) * torch.eye(4, dtype=torch.float64)
    x = one.sample(20_000, rng(2))
    assert worst(gaussian_marginals(x, one.bias, covariance))[0] < 1
    assert worst(gaussian_marginals(x, one.bias, 1.2 * covariance))[0] > 1


@pytest.mark.parametrize("d", [1, 2])
def test_the_fit_is_a_maximum_and_is_scikit_learns(d):
    """Its gradient vanishes, every neighbour is worse, and PCA's own score agrees once its covariance is
    divided by n and not by n - 1."""
    x = model(2).sample(40, rng(2))
    best = fit_linear_gaussian(x, d)
    best.log_prob(x).mean().backward()
    for value in best.parameters():
        assert value.grad.abs().max() < 1e-10
    top = float(best.log_prob(x).mean().detach())
    for seed in range(20):
        moved = [value.detach() + 0.05 * normal(*value.shape, seed=seed) for value in best.parameters()]
        assert float(LinearGaussian(*moved).log_prob(x).mean().detach()) < top
    pca = PCA(d).fit((x * math.sqrt(39 / 40)).numpy())
    assert float((2 * best.log_std).exp().detach()) == pytest.approx(pca.noise_variance_)
    covariance = best.weight @ best.weight.T + (2 * best.log_std).exp() * torch.eye(4)
    torch.testing.assert_close(covariance.detach(), torch.from_numpy(pca.get_covariance()))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("seed", range(20))
def test_data_without_noise_are_refused_whatever_their_rounding(seed, dtype):
    """Zero eigenvalues come out a little above zero or below it. Noise of a hundredth is noise enough: its
    deviation, from 50 x 6 numbers, is known to 4%, and here to 30%."""
    flat = (normal(50, 1, seed=seed) * normal(6, seed=100 + seed)).to(dtype)
    with pytest.raises(ValueError, match="x: expected noise beyond 1 dimensions, got none"):
        fit_linear_gaussian(flat, 1)
    noisy = fit_linear_gaussian(flat + 0.01 * normal(50, 6, seed=200 + seed).to(dtype), 1)
    assert float(noisy.log_std.exp().detach()) == pytest.approx(0.01, rel=0.3)


THREE = LinearGaussian(torch.eye(3, 2), torch.zeros(3), torch.zeros(()))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: fit_linear_gaussian(torch.zeros(9, 3), 3),
            r"dim: expected less than the columns of x \(n, D\), got 3",
        ),
        (
            lambda: fit_linear_gaussian(torch.zeros(9, 3, dtype=torch.uint8), 1),
            "x: expected floats, got torch.uint8",
        ),
        *(
            (partial(call, torch.zeros(shape)), r"x: expected shape \(n, 3\), got ")
            for call in (THREE.log_prob, THREE.posterior, partial(THREE.log_joint, z=torch.zeros(4, 2)))
            for shape in ((4, 1), (3,), (4, 2))
        ),
        (lambda: fit_linear_gaussian(torch.zeros(9, 3), 0), "dim: expected an int of at least 1, got 0"),
        (
            lambda: fit_linear_gaussian(torch.zeros(9, 3), 1),
            "x: expected noise beyond 1 dimensions, got none",
        ),
        (
            lambda: LinearGaussian(torch.zeros(3, 2), torch.zeros(2), torch.zeros(())),
            r"bias: expected shape \(3,\), got \(2,\)",
        ),
        (
            lambda: LinearGaussian(torch.zeros(3, 2), torch.zeros(3), torch.zeros(3)),
            r"log_std: expected shape \(\), got \(3,\)",
        ),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
