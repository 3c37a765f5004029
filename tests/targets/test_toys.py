"""Toys: densities against torch and scipy, their integral against one, draws against both.

Every comparison of draws with a law is by the Dvoretzky-Kiefer-Wolfowitz bound of tests/laws.py: a
right law fails falsely once in a million, over all comparisons of a test together.
"""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch.distributions import Categorical, Independent, MixtureSameFamily, MultivariateNormal, Normal

from ganedu.targets import (
    Banana,
    Funnel,
    Gaussian,
    Ring,
    far_modes,
    ill_conditioned_gaussian,
    twenty_five_gaussians,
)
from tests.laws import gaussian_marginals, normal_cdf, worst

DOUBLE = torch.float64
N = 100_000


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=rng(seed), dtype=DOUBLE)


def gaussian(dim: int, seed: int = 5) -> Gaussian:
    factor = normal(dim, dim, seed=seed)
    return Gaussian(normal(dim, seed=seed + 1), factor @ factor.T + 0.1 * torch.eye(dim, dtype=DOUBLE))


# Densities.


@pytest.mark.parametrize("target", [gaussian(1), gaussian(4), ill_conditioned_gaussian(30, DOUBLE)])
def test_a_gaussian_has_the_density_of_torchs(target):
    z = target.mean + normal(50, target.dim, seed=2)
    expected = MultivariateNormal(target.mean, target.cov).log_prob(z)
    assert torch.allclose(target.log_prob(z), expected, rtol=1e-9)


def test_the_ill_conditioned_gaussian_has_neals_deviations_and_no_axis_gives_it_away():
    target = ill_conditioned_gaussian(100, DOUBLE)
    deviations = torch.linalg.eigvalsh(target.cov).sqrt()
    assert torch.allclose(deviations, torch.arange(1, 101, dtype=DOUBLE) / 100, atol=1e-12)
    along_axes = target.cov.diagonal()
    assert along_axes.max() / along_axes.min() < 3
    # What a diagonal mass matrix leaves of the condition number 10⁴:
    scaled = target.cov / torch.outer(along_axes.sqrt(), along_axes.sqrt())
    left = torch.linalg.eigvalsh(scaled)
    assert left[-1] / left[0] > 5_000


def test_the_banana_is_a_gaussian_bent():
    z = 5 * normal(50, 4)
    x = z.clone()
    x[:, 1] += 0.2 * (z[:, 0] ** 2 - 9.0)
    expected = Normal(0.0, torch.tensor([3.0, 1.0, 1.0, 1.0], dtype=DOUBLE)).log_prob(x).sum(-1)
    assert torch.allclose(Banana(4, scale=3.0, bend=0.2).log_prob(z), expected, rtol=1e-12)


def test_the_funnel_is_a_normal_law_of_the_logarithm_of_a_variance():
    z = 3 * normal(50, 5)
    v, x = z[:, :1], z[:, 1:]
    expected = Normal(0.0, 2.0).log_prob(v)[:, 0] + Normal(0.0, (v / 2).exp()).log_prob(x).sum(-1)
    assert torch.allclose(Funnel(5, scale=2.0).log_prob(z), expected, rtol=1e-12)


@pytest.mark.parametrize(("radius", "width"), [(2.0, 0.1), (1.0, 0.6)])
def test_the_ring_is_a_cut_normal_law_of_the_squared_distance(radius, width):
    """An area element is π d|z|² over all angles, so that |z|² has π times the density of z."""
    z, std = normal(50, 2), 2 * radius * width
    law = stats.truncnorm(-(radius**2) / std, math.inf, radius**2, std)
    expected = torch.from_numpy(law.logpdf(z.square().sum(-1).numpy())) - math.log(math.pi)
    assert torch.allclose(Ring(radius, width).log_prob(z), expected, rtol=1e-9)


@pytest.mark.parametrize("target", [far_modes(3, dtype=DOUBLE), twenty_five_gaussians(dtype=DOUBLE)])
def test_mixtures_have_the_density_of_torchs(target):
    parts = Independent(Normal(target.means, target.std[:, None].expand_as(target.means)), 1)
    z = target.means[0] + normal(50, target.dim)
    expected = MixtureSameFamily(Categorical(target.weights), parts).log_prob(z)
    assert torch.allclose(target.log_prob(z), expected, rtol=1e-9)


def test_the_far_modes_are_as_far_apart_as_was_asked():
    target = far_modes(7, distance=12.0, dtype=DOUBLE)
    assert math.isclose(float((target.means[1] - target.means[0]).norm()), 12.0, rel_tol=1e-12)


# Integrals and draws, in the plane: one grid for both.

BOXES = {  # a target, a wrong one, and where all but 1e-12 of the mass lies
    "gaussian": (gaussian(2), Gaussian(gaussian(2).mean, 1.2 * gaussian(2).cov), (-40, 40), (-40, 40), 800),
    "banana": (Banana(dtype=DOUBLE), Banana(bend=0.033, dtype=DOUBLE), (-75, 75), (-175, 15), 900),
    "ring": (Ring(dtype=DOUBLE), Ring(radius=2.05, dtype=DOUBLE), (-4, 4), (-4, 4), 500),
    "cut ring": (Ring(1.0, 0.6, DOUBLE), Ring(1.0, 0.8, DOUBLE), (-5, 5), (-5, 5), 500),
    "far modes": (far_modes(dtype=DOUBLE), far_modes(distance=10.2, dtype=DOUBLE), (-12, 12), (-12, 12), 500),
    "grid": (twenty_five_gaussians(dtype=DOUBLE), twenty_five_gaussians(0.08, DOUBLE), (-3, 3), (-3, 3), 500),
}


def on_grid(log_prob, first, second, n):
    """The density on a grid, (n + 1, n + 1), its two axes, and the area of a cell."""
    axes = [torch.linspace(*ends, n + 1, dtype=DOUBLE) for ends in (first, second)]
    z = torch.cartesian_prod(*axes)
    return log_prob(z).exp().reshape(n + 1, n + 1), axes, math.prod(float(a[1] - a[0]) for a in axes)


def marginal_cdf(density, axes, along):
    """The distribution function of one coordinate: trapezoids, and straight lines between the nodes.

    Off by less than 5e-4 in all of these, a twentieth of the bound for 100,000 draws.
    """
    marginal = density.sum(1 - along)
    below = torch.cat([torch.zeros(1), 0.5 * (marginal[1:] + marginal[:-1]).cumsum(0)]) / marginal.sum()
    nodes = axes[along].numpy()
    return lambda x: torch.from_numpy(np.interp(x.numpy(), nodes, below.numpy()))


@pytest.mark.parametrize("name", BOXES)
def test_densities_integrate_to_one_and_draws_have_their_marginals(name):
    target, wrong, first, second, n = BOXES[name]
    density, axes, area = on_grid(target.log_prob, first, second, n)
    assert math.isclose(float(density.sum()) * area, 1.0, abs_tol=1e-9)
    cdfs = [marginal_cdf(density, axes, along) for along in (0, 1)]

    def compare(source):
        draws = source.sample(N, rng(1))
        return worst({f"coordinate {i}": (draws[:, i], cdf) for i, cdf in enumerate(cdfs)})

    assert compare(target)[0] < 1, compare(target)
    assert compare(wrong)[0] > 1  # power: a parameter that is off


# Draws, through a map to a law that is known.


def test_draws_of_a_gaussian_have_its_law():
    target = gaussian(5)
    draws = target.sample(N, rng(2))
    assert worst(gaussian_marginals(draws, target.mean, target.cov))[0] < 1
    # Power: the factor's transpose, which has another covariance.
    wrong = target.mean + normal(N, 5, seed=2) @ torch.linalg.cholesky(target.cov)
    assert worst(gaussian_marginals(wrong, target.mean, target.cov))[0] > 1


def test_draws_of_a_banana_bend_back_to_a_gaussian():
    def straight(z, bend):
        x = z.clone()
        x[:, 0] /= 3.0
        x[:, 1] += bend * (z[:, 0] ** 2 - 9.0)
        return gaussian_marginals(x, torch.zeros(5, dtype=DOUBLE), torch.eye(5, dtype=DOUBLE))

    draws = Banana(5, scale=3.0, bend=0.2, dtype=DOUBLE).sample(N, rng(3))
    assert worst(straight(draws, 0.2))[0] < 1
    assert worst(straight(draws, -0.2))[0] > 1  # power: bent the other way


def test_draws_of_a_funnel_scale_back_to_a_gaussian():
    def scaled(z, power):
        x = torch.cat([z[:, :1] / 2.0, z[:, 1:] * (power * z[:, :1]).exp()], dim=1)
        return gaussian_marginals(x, torch.zeros(5, dtype=DOUBLE), torch.eye(5, dtype=DOUBLE))

    draws = Funnel(5, scale=2.0, dtype=DOUBLE).sample(N, rng(4))
    assert worst(scaled(draws, -0.5))[0] < 1
    assert worst(scaled(draws, -1.0))[0] > 1  # power: e^v taken for the standard deviation


@pytest.mark.parametrize(("radius", "width"), [(2.0, 0.1), (1.0, 0.6)])
def test_draws_of_a_ring_have_its_distance_and_any_angle(radius, width):
    def polar(z, width):
        std = 2 * radius * width
        law = stats.truncnorm(-(radius**2) / std, math.inf, radius**2, std)
        return {
            "distance": (z.square().sum(-1), lambda x: torch.from_numpy(law.cdf(x.numpy()))),
            "angle": (torch.atan2(z[:, 1], z[:, 0]), lambda x: (x + math.pi) / (2 * math.pi)),
        }

    draws = Ring(radius, width, DOUBLE).sample(N, rng(5))
    assert worst(polar(draws, width))[0] < 1
    assert worst(polar(draws, 1.1 * width))[0] > 1


def test_the_two_modes_have_a_third_and_two_thirds():
    target = far_modes(4, dtype=DOUBLE)
    side = target.sample(N, rng(6)).sum(-1) / 2.0  # along the diagonal

    def cdf(wide):
        parts = normal_cdf(-5.0, 1.0), normal_cdf(5.0, 0.5)
        return lambda x: wide * parts[0](x) + (1 - wide) * parts[1](x)

    assert worst({"diagonal": (side, cdf(1 / 3))})[0] < 1
    assert worst({"diagonal": (side, cdf(1 / 2))})[0] > 1


# The conditionals of a Gaussian.


def test_a_conditional_is_that_of_the_partitioned_covariance():
    """m_i + C_io C_oo⁻¹ (z_o - m_o) and C_ii - C_io C_oo⁻¹ C_oi, from the covariance, not the precision."""
    target = gaussian(4)
    mean, cov = target.mean, target.cov
    z = target.sample(N, rng(7))
    pairs, unconditional = {}, {}
    for i in range(4):
        rest = [j for j in range(4) if j != i]
        weights = torch.linalg.solve(cov[rest][:, rest], cov[rest, i])
        centre = mean[i] + (z[:, rest] - mean[rest]) @ weights
        std = (cov[i, i] - cov[i, rest] @ weights).sqrt()
        draws = target.conditional(i, z, rng(8 + i))
        assert draws.shape == (N,)
        pairs[f"coordinate {i}"] = ((draws - centre) / std, normal_cdf(0.0, 1.0))
        marginal = mean[i] + cov[i, i].sqrt() * normal(N, seed=8 + i)
        unconditional[f"coordinate {i}"] = ((marginal - centre) / std, normal_cdf(0.0, 1.0))
    assert worst(pairs)[0] < 1
    assert worst(unconditional)[0] > 1  # power: the marginal law in place of the conditional


def test_a_conditional_forgets_the_coordinate_that_it_draws():
    target, z = gaussian(3), normal(6, 3)
    other = z.clone()
    other[:, 1] += 7.0
    first, second = (target.conditional(1, at, rng(9)) for at in (z, other))
    assert torch.allclose(first, second, rtol=1e-9)
    other[0, 2] += 1.0
    moved = target.conditional(1, other, rng(9))
    assert abs(moved[0] - second[0]) > 1e-3 and torch.equal(moved[1:], second[1:])


# Bad arguments.

EYE = torch.eye(2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Gaussian(EYE, EYE), r"mean: expected finite numbers of shape \(d,\), got shape \(2, 2\)"),
        (lambda: Gaussian(torch.zeros(3), EYE), r"cov: expected shape \(3, 3\), got \(2, 2\)"),
        (lambda: Gaussian(torch.zeros(2), -EYE), "cov: expected a symmetric and positive definite"),
        (lambda: Gaussian(torch.zeros(2), EYE + EYE.roll(1, 0).tril()), "cov: expected a symmetric"),
        (lambda: Gaussian(torch.zeros(2), math.nan * EYE), "cov: expected a symmetric"),
        (lambda: Banana(1), "dim: expected an int of at least 2, got 1"),
        (lambda: Banana(scale=0.0), "scale: expected a positive number, got 0.0"),
        (lambda: Banana(bend=math.nan), "bend: expected a positive number, got nan"),
        (lambda: Funnel(2.0), "dim: expected an int of at least 2, got 2.0"),
        (lambda: Funnel(scale=-1.0), "scale: expected a positive number, got -1.0"),
        (lambda: Ring(radius=math.inf), "radius: expected a positive number, got inf"),
        (lambda: Ring(width=0.0), "width: expected a positive number, got 0.0"),
        (lambda: far_modes(0), "dim: expected an int of at least 1, got 0"),
        (lambda: far_modes(distance=-1.0), "distance: expected a positive number, got -1.0"),
        (lambda: twenty_five_gaussians(0.0), "std: expected a positive number, got 0.0"),
        (lambda: ill_conditioned_gaussian(1), "dim: expected an int of at least 2, got 1"),
    ],
)
def test_bad_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
