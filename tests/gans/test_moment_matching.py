"""Moment matching beside sums over a finite space, loops, and what it is to end at."""

import itertools
import math

import pytest
import torch
from torch import nn

from ganedu.divergences.mmd import RBF, Features
from ganedu.gans import minimax
from ganedu.gans.moment_matching import FeatureMatching, MomentMatching, feature_matching
from ganedu.rng import generator
from tests.gans.tables import FAKE, NOISE, REAL, P, Q


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


FEATURES = torch.tensor([[1.0, 0.0], [-2.0, 3.0], [0.5, 1.5]], dtype=torch.float64)


def test_on_a_finite_space_it_is_a_quadratic_form():
    features = feature_matching(lambda x: FEATURES[x], REAL, FAKE)
    assert float(features) == pytest.approx(float(((P - Q) @ FEATURES).square().sum()), abs=1e-12)


def explicit(x):
    """φ of the kernel (x·y + 1)² in the plane."""
    a, b = x.unbind(1)
    root = 2**0.5
    return torch.stack([a * a, b * b, root * a * b, root * a, root * b, torch.ones_like(a)], 1)


def by_loops(x, y):
    """Seed slide 002's three sums of (x·y + 1)²; its first line has N for M under the fakes."""
    n, m = len(x), len(y)

    def k(u, v):
        return (float(u @ v) + 1) ** 2

    real = sum(k(u, v) for u in x for v in x) / n**2
    cross = sum(k(u, v) for u in x for v in y) / (n * m)
    return real - 2 * cross + sum(k(u, v) for u in y for v in y) / m**2


def test_the_features_and_their_kernel_give_the_same():
    real, fake = normal(5, 2), 0.5 + normal(7, 2, seed=1)
    expected = by_loops(real, fake)
    assert float(feature_matching(explicit, real, fake)) == pytest.approx(expected, abs=1e-10)
    game = MomentMatching(Features(explicit), latent_dim=2)
    loss = game.loss("generator", {"generator": nn.Identity()}, real, fake)
    assert float(loss) == pytest.approx(math.sqrt(expected), abs=1e-10)
    # Power: the slide's 1/N over M fakes, the mean of squares for the square of means.
    as_printed = (explicit(real).mean(0) - explicit(fake).sum(0) / 5).square().sum()
    squares = (explicit(real).square().mean(0) - explicit(fake).square().mean(0)).sum()
    for wrong in (float(as_printed), float(squares)):
        assert abs(wrong / expected - 1) > 0.01


def test_over_batches_the_loss_is_too_large_by_the_covariances_over_their_sizes():
    """All 9 batches of two reals against all 27 of three fakes, by their probabilities."""
    mean = 0.0
    for real in itertools.product(range(3), repeat=2):
        for fake in itertools.product(range(3), repeat=3):
            chance = float(P[list(real)].prod() * Q[list(fake)].prod())
            loss = feature_matching(lambda x: FEATURES[x], torch.tensor(real), torch.tensor(fake))
            mean += chance * float(loss)

    def spread(weights):
        centred = FEATURES - weights @ FEATURES
        return float(weights @ centred.square().sum(1))

    exact = float(((P - Q) @ FEATURES).square().sum())
    assert mean == pytest.approx(exact + spread(P) / 2 + spread(Q) / 3, abs=1e-12)


def test_the_gradient_moves_the_mean_of_fakes_to_that_of_data():
    real, fake = normal(6, 3), normal(4, 3, seed=1).requires_grad_()
    (gradient,) = torch.autograd.grad(feature_matching(lambda x: x, real, fake), fake)
    expected = 2 * (fake.detach().mean(0) - real.mean(0)) / 4
    torch.testing.assert_close(gradient, expected.expand(4, 3))


def test_features_of_any_shape_count_all_their_numbers():
    real, fake = normal(6, 2, 3, 3), normal(4, 2, 3, 3, seed=1)
    whole = feature_matching(lambda x: x, real, fake)
    torch.testing.assert_close(whole, feature_matching(lambda x: x.flatten(1), real, fake))
    assert feature_matching(lambda x: x.bfloat16(), real, fake).dtype == torch.float32


class TwoHeaded(nn.Module):
    def features(self, x):
        return explicit(x)

    def forward(self, x):
        return x.sum(1)


def test_feature_matching_as_a_game_leaves_the_critic_its_objective():
    game = FeatureMatching(minimax, latent_dim=2)
    nets = {"critic": TwoHeaded(), "generator": nn.Identity()}
    x, z, mixing = game.draw(normal(6, 2), torch.Generator().manual_seed(0))
    critic = game.loss("critic", nets, x, z, mixing)
    assert float(critic) == pytest.approx(float(minimax.critic_loss(TwoHeaded(), x, z)))
    generator = game.loss("generator", nets, x, z, mixing)
    assert float(generator) == pytest.approx(by_loops(x, z), abs=1e-10)


def test_the_loss_of_moment_matching_is_the_mmd_of_two_gaussians():
    """N(0, 1) and N(1, 1) under exp(-d²/2): 2/√3 (1 - e^(-1/6)), its root; 2,000 points of equal weight."""
    points = NOISE[5::10, None]
    loss = MomentMatching(RBF((1.0,)), 1).loss("generator", {"generator": nn.Identity()}, points, 1 + points)
    expected = 2 / math.sqrt(3) * (1 - math.exp(-1 / 6))
    assert float(loss) == pytest.approx(math.sqrt(expected), rel=1e-3)
    assert abs(float(loss) / expected - 1) > 0.1  # power: MMD² for MMD


def test_where_fakes_are_the_data_the_loss_has_no_gradient_that_is_not_a_number():
    x = normal(5, 1).requires_grad_()
    loss = MomentMatching(RBF(), 1).loss("generator", {"generator": nn.Identity()}, x.detach(), x)
    (gradient,) = torch.autograd.grad(loss, x)
    assert gradient.isfinite().all() and loss < 1e-5


def test_a_generator_alone_learns_the_mean_and_the_width():
    """x = a + b z to N(2, 0.5²), both on grids of equal weight: the MMD is 0 there and nowhere else."""
    z = NOISE[100::200, None]
    generator = nn.Linear(1, 1).double()
    with torch.no_grad():
        generator.weight.fill_(1.0)
        generator.bias.fill_(0.0)
    game = MomentMatching(RBF((0.5, 1.0, 2.0)), 1)
    steps = torch.optim.Adam(generator.parameters(), 0.05)
    for step in range(400):
        steps.param_groups[0]["lr"] = 0.05 * (1 - step / 400)
        steps.zero_grad()
        game.loss("generator", {"generator": generator}, 2 + 0.5 * z, z).backward()
        steps.step()
    assert float(generator.bias.detach()) == pytest.approx(2, abs=0.01)
    assert abs(float(generator.weight.detach())) == pytest.approx(0.5, abs=0.01)


def test_latents_come_with_the_batch_and_bad_sizes_are_refused():
    x, z = MomentMatching(RBF(), 3).draw(normal(6, 2), torch.Generator().manual_seed(0))
    assert z.shape == (6, 3) and z.dtype == x.dtype
    with pytest.raises(ValueError, match="latent_dim: expected an int of at least 1, got 0"):
        MomentMatching(RBF(), 0)


def test_the_generator_learns_through_the_features():
    """φ = x: the loss is |mean x - mean z - a|², its slope by a -2 (mean x - mean z - a), by hand."""

    class Shift(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Parameter(torch.tensor([0.5, -1.0], dtype=torch.float64))

        def forward(self, z):
            return z + self.a

    class Features(nn.Module):
        def features(self, x):
            return x

    nets, game = {"critic": Features(), "generator": Shift()}, FeatureMatching(minimax, 2)
    x, z, mixing = game.draw(torch.randn(6, 2, generator=generator(0), dtype=torch.float64), generator(1))
    game.loss("generator", nets, x, z, mixing).backward()
    expect = -2 * (x.mean(0) - z.mean(0) - nets["generator"].a.detach())
    torch.testing.assert_close(nets["generator"].a.grad, expect)
