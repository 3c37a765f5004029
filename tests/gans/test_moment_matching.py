"""Moment matching beside sums over a finite space, loops, and the two losses beside each other."""

import itertools

import pytest
import torch

from ganedu.gans.moment_matching import feature_matching, kernel_matching
from tests.gans.tables import FAKE, REAL, P, Q


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


TABLE = torch.tensor([[1.0, 0.5, 0.1], [0.5, 2.0, -0.3], [0.1, -0.3, 1.5]], dtype=torch.float64)
FEATURES = torch.tensor([[1.0, 0.0], [-2.0, 3.0], [0.5, 1.5]], dtype=torch.float64)


def test_on_a_finite_space_both_are_their_quadratic_forms():
    gap = P - Q
    kernel = kernel_matching(lambda x, y: TABLE[x][:, y], REAL, FAKE)
    assert float(kernel) == pytest.approx(float(gap @ TABLE @ gap), abs=1e-12)
    features = feature_matching(lambda x: FEATURES[x], REAL, FAKE)
    assert float(features) == pytest.approx(float((gap @ FEATURES).square().sum()), abs=1e-12)


def explicit(x):
    """φ of the kernel (x·y + 1)² in the plane."""
    a, b = x.unbind(1)
    root = 2**0.5
    return torch.stack([a * a, b * b, root * a * b, root * a, root * b, torch.ones_like(a)], 1)


def polynomial(x, y):
    return (x @ y.T + 1) ** 2


def by_loops(x, y):
    """Seed slide 002's three sums, with M where it has N under the middle one's fakes."""
    n, m = len(x), len(y)
    real = sum(float(polynomial(x[[i]], x[[j]])) for i in range(n) for j in range(n)) / n**2
    cross = sum(float(polynomial(x[[i]], y[[j]])) for i in range(n) for j in range(m)) / (n * m)
    fake = sum(float(polynomial(y[[i]], y[[j]])) for i in range(m) for j in range(m)) / m**2
    return real - 2 * cross + fake


def test_the_kernel_is_the_features_and_both_are_loops():
    real, fake = normal(5, 2), 0.5 + normal(7, 2, seed=1)
    expected = by_loops(real, fake)
    assert float(kernel_matching(polynomial, real, fake)) == pytest.approx(expected, abs=1e-10)
    assert float(feature_matching(explicit, real, fake)) == pytest.approx(expected, abs=1e-10)
    # Power: the slide's 1/N over M fakes, the mean of squares for the square of means, one cross term.
    as_printed = (explicit(real).mean(0) - explicit(fake).sum(0) / 5).square().sum()
    squares = (explicit(real).square().mean(0) - explicit(fake).square().mean(0)).sum()
    once = expected + float(polynomial(real, fake).mean())
    for wrong in (float(as_printed), float(squares), once):
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
