"""Toy sets: densities against quadrature and scipy, samples against their own distribution.

Statistical tests here use the Dvoretzky-Kiefer-Wolfowitz bound: with n draws the empirical
distribution function leaves the true one by more than sqrt(log(2 k / 1e-6) / 2n) in one of k
comparisons with probability at most 1e-6.
"""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from ganedu.data import GaussianMixture, grid, mixture_1d, ring, swiss_roll, two_moons
from ganedu.rng import generator

N = 20_000
FALSE_FAIL = 1e-6


def distance(draws: torch.Tensor, cdf) -> float:
    """sup |F_n - F| over one coordinate (n,)."""
    draws = draws.double().sort().values
    f = cdf(draws)
    steps = torch.arange(len(draws) + 1, dtype=torch.float64) / len(draws)
    return float(torch.maximum(steps[1:] - f, f - steps[:-1]).max())


def bound(comparisons: int) -> float:
    return math.sqrt(math.log(2 * comparisons / FALSE_FAIL) / (2 * N))


def double(mixture: GaussianMixture) -> GaussianMixture:
    return GaussianMixture(mixture.means.double(), mixture.std.double(), mixture.weights.double())


FGAN = mixture_1d([-1.0, 2.0], [0.255, 1.415], [0.33, 0.67])


@settings(max_examples=25, deadline=None)
@given(
    means=st.lists(st.floats(-3, 3), min_size=2, max_size=2),
    std=st.lists(st.floats(0.1, 2), min_size=2, max_size=2),
    share=st.floats(0.01, 0.99),
    x=st.floats(-5, 5),
)
def test_density_and_distribution_function_are_scipys(means, std, share, x):
    mixture = mixture_1d(means, std, [share, 1 - share])
    parts = [stats.norm(*pair) for pair in zip(means, std, strict=True)]
    density = share * parts[0].pdf(x) + (1 - share) * parts[1].pdf(x)
    below = share * parts[0].cdf(x) + (1 - share) * parts[1].cdf(x)
    at = torch.tensor([x], dtype=torch.float64)
    assert mixture.log_prob(at[:, None]).exp().item() == pytest.approx(density, rel=1e-9)
    assert mixture.cdf(at).item() == pytest.approx(below, rel=1e-9, abs=1e-12)


def test_the_density_of_the_ring_integrates_to_one():
    mixture = double(ring(std=0.2))

    def density(y, x):
        return mixture.log_prob(torch.tensor([[x, y]], dtype=torch.float64)).exp().item()

    # A trapezoid on a smooth function that vanishes at the edge converges faster than any power.
    side = torch.linspace(-4, 4, 401, dtype=torch.float64)
    values = mixture.log_prob(torch.cartesian_prod(side, side)).exp().view(401, 401)
    assert float(values.sum()) * 0.02**2 == pytest.approx(1.0, abs=1e-9)
    assert density(0.0, 2.0) == pytest.approx(1 / (8 * 2 * math.pi * 0.04), rel=1e-6)


def test_a_marginal_distribution_function_is_the_integral_of_the_density():
    mixture = GaussianMixture(
        torch.tensor([[0.0, 3.0], [1.0, -2.0]], dtype=torch.float64),
        torch.tensor([0.5, 1.0], dtype=torch.float64),
        torch.tensor([0.3, 0.7], dtype=torch.float64),
    )

    def density(x, y):
        return mixture.log_prob(torch.tensor([[x, y]], dtype=torch.float64)).exp().item()

    expect, _ = integrate.dblquad(density, -8, -1.5, -6, 8, epsabs=1e-7)
    assert mixture.cdf(torch.tensor([-1.5], dtype=torch.float64), axis=1).item() == pytest.approx(
        expect, abs=1e-6
    )


@pytest.mark.parametrize("mixture", [FGAN, ring(), grid()], ids=["f-GAN", "ring", "grid"])
def test_draws_follow_the_distribution_function(mixture):
    mixture = double(mixture)
    draws = mixture.sample(N, generator(3))
    axes = range(mixture.means.shape[1])
    for axis in axes:
        assert distance(draws[:, axis], lambda x, axis=axis: mixture.cdf(x, axis)) < bound(2)


def test_the_same_test_rejects_a_missing_mode_and_a_wrong_width():
    draws = double(grid()).sample(N, generator(3))
    lost = draws[(draws - torch.tensor([2.0, 2.0])).norm(dim=1) > 1][:, 0]
    wide = double(grid(std=0.1))
    planted = distance(draws[:, 0], wide.cdf), distance(lost, double(grid()).cdf) * math.sqrt(len(lost) / N)
    assert min(planted) > bound(2)


def test_the_ring_has_eight_different_modes_on_a_circle():
    means = ring().means
    assert len(torch.unique(means.mul(1e4).round(), dim=0)) == 8
    torch.testing.assert_close(means.norm(dim=1), torch.full((8,), 2.0))
    assert torch.pdist(means).min().item() == pytest.approx(4 * math.sin(math.pi / 8), rel=1e-6)


def test_the_grid_has_the_25_published_modes():
    assert {tuple(mean) for mean in grid().means.tolist()} == {
        (x, y) for x in range(-2, 3) for y in range(-2, 3)
    }
    assert grid().std.unique().tolist() == pytest.approx([0.05])


@pytest.mark.parametrize("sample", [ring().sample, swiss_roll, two_moons], ids=["ring", "roll", "moons"])
def test_draws_depend_on_the_generator_alone(sample):
    torch.manual_seed(0)
    first = sample(50, generator(1))
    torch.manual_seed(1)
    assert torch.equal(first, sample(50, generator(1)))
    assert not torch.equal(first, sample(50, generator(2)))
    assert first.shape == (50, 2) and first.dtype == torch.float32
    rng = generator(1)
    assert not torch.equal(sample(50, rng), sample(50, rng)), "the generator moves on"


def test_the_swiss_roll_is_a_spiral_of_one_and_a_half_turns():
    draws = swiss_roll(5000, generator(0)).double() * 7.5
    t = torch.linspace(1.5 * math.pi, 4.5 * math.pi, 4000, dtype=torch.float64)
    curve = torch.stack([t * t.cos(), t * t.sin()], dim=1)
    off = torch.cdist(draws, curve).min(dim=1).values
    # The distance across the curve is |N(0, 0.25^2)|: mean 0.1995, standard error 0.0021.
    assert off.mean().item() == pytest.approx(0.25 * math.sqrt(2 / math.pi), abs=5 * 0.0021 + 0.002)
    assert 1.8 < swiss_roll(5000, generator(0)).abs().max() < 2.1


def test_the_two_moons_are_two_half_circles():
    draws = two_moons(5000, generator(0)).double()
    upper, lower = draws.norm(dim=1), (draws - torch.tensor([1.0, 0.5])).norm(dim=1)
    off = torch.minimum((upper - 1).abs(), (lower - 1).abs())
    assert off.max() < 0.05 * 6
    assert off.mean().item() == pytest.approx(0.05 * math.sqrt(2 / math.pi), rel=0.1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: mixture_1d([0.0, 1.0], [1.0], [0.5, 0.5]), r"std: expected shape \(2,\), got \(1,\)"),
        (lambda: mixture_1d([0.0], [0.0], [1.0]), "std: expected positive"),
        (lambda: mixture_1d([0.0], [math.nan], [1.0]), "std: expected positive"),
        (lambda: mixture_1d([0.0, 1.0], [1.0, 1.0], [0.5, 0.6]), "weights: expected a distribution"),
        (lambda: mixture_1d([0.0, 1.0], [1.0, 1.0], [1.5, -0.5]), "weights: expected a distribution"),
        (lambda: GaussianMixture(torch.zeros(3), torch.ones(3), torch.ones(3) / 3), "means: expected shape"),
        (lambda: ring().log_prob(torch.zeros(4, 3)), r"x: expected shape \(n, 2\), got \(4, 3\)"),
        (lambda: FGAN.cdf(torch.zeros(4, 1)), r"x: expected shape \(n,\), got \(4, 1\)"),
    ],
)
def test_bad_input_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
