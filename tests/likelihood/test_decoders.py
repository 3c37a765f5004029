"""A head's laws are normalised, are torch's own, and their log-likelihood is a sum over pixels."""

import math
from itertools import product

import pytest
import torch
from torch import distributions

from ganedu.likelihood import Bernoulli, BernoulliHead, FixedStd, Gaussian, LearnedStd, SharedStd


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_the_probabilities_of_all_binary_images_add_up_to_one():
    images = torch.tensor(list(product([0.0, 1.0], repeat=6)), dtype=torch.float64).reshape(-1, 1, 2, 3)
    law = BernoulliHead()(normal(1, 1, 2, 3).expand(len(images), -1, -1, -1))
    assert float(law.log_prob(images).exp().sum()) == pytest.approx(1, abs=1e-12)
    # Power: with the mean over the pixels in the place of the sum they do not.
    assert float((law.log_prob(images) / 6).exp().sum()) > 10


def test_log_probabilities_are_those_of_torch():
    logits, x = 5 * normal(4, 2, 3, 3), (normal(4, 2, 3, 3, seed=1) > 0).double()
    expected = distributions.Bernoulli(logits=logits).log_prob(x).sum((1, 2, 3))
    torch.testing.assert_close(Bernoulli(logits).log_prob(x), expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(Bernoulli(logits).mean, 1 / (1 + (-logits).exp()))


def test_a_sure_decoder_has_finite_losses_and_gradients():
    """At a logit of ±200 the sigmoid is 0 or 1 in float32, and the log of it -inf or 0."""
    logits = torch.tensor([[200.0, -200.0], [200.0, -200.0]], requires_grad=True)
    value = Bernoulli(logits).log_prob(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
    assert value.tolist() == [0.0, -400.0]
    value.sum().backward()
    assert logits.grad.tolist() == [[0, 0], [-1, 1]]


HEADS = {
    "fixed": (FixedStd(0.3), normal(5, 2, 3, 3)),
    "shared": (SharedStd().double(), normal(5, 2, 3, 3)),
    "own": (LearnedStd(0.05), normal(5, 4, 3, 3)),
}


@pytest.mark.parametrize("name", HEADS)
def test_gaussian_log_densities_are_those_of_torch(name):
    head, parameters = HEADS[name]
    std = {
        "fixed": torch.tensor(0.3, dtype=torch.float64),
        "shared": torch.tensor(1.0, dtype=torch.float64),
        "own": 0.05 + (1 + parameters[:, 2:].exp()).log(),
    }[name]
    x = normal(5, 2, 3, 3, seed=1)
    expected = distributions.Normal(parameters[:, :2], std).log_prob(x).sum((1, 2, 3))
    torch.testing.assert_close(head(parameters).log_prob(x), expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(head(parameters).mean, parameters[:, :2])


def test_a_gaussian_density_of_two_pixels_integrates_to_one():
    law = LearnedStd(0.05)(normal(1, 4))
    grid = torch.linspace(-12, 12, 1201, dtype=torch.float64)
    points = torch.cartesian_prod(grid, grid)
    each = Gaussian(law.mean.expand(len(points), -1), law.log_std.expand(len(points), -1))
    assert float(each.log_prob(points).exp().sum()) * 0.02**2 == pytest.approx(1, abs=1e-6)


def test_the_shared_deviation_of_maximum_likelihood_is_the_root_mean_squared_error():
    head, mean, x = SharedStd().double(), normal(50, 7), 3 * normal(50, 7, seed=1)
    with torch.no_grad():
        head.log_std.fill_(0.5 * (x - mean).square().mean().log())
    (gradient,) = torch.autograd.grad(head(mean).log_prob(x).sum(), head.log_std)
    assert abs(float(gradient)) < 1e-9
    assert [name for name, _ in head.named_parameters()] == ["log_std"]


def test_no_learnt_deviation_is_below_the_least():
    law = LearnedStd(0.05)(torch.full((1, 2), -1e4))
    assert float(law.log_std.exp()) == pytest.approx(0.05)


def test_draws_have_mean_and_deviation_of_the_law():
    """To 5.5 standard errors of 200,000 draws in six comparisons: by luck once in four million runs."""
    n, rng = 200_000, torch.Generator().manual_seed(0)
    p = torch.tensor([0.1, 0.8], dtype=torch.float64)
    binary = Bernoulli(p.logit().expand(n, -1)).sample(rng)
    assert set(binary.unique().tolist()) == {0, 1}
    assert ((binary.mean(0) - p).abs() < 5.5 * (p * (1 - p) / n).sqrt()).all()
    mean, std = torch.tensor([1.0, -2.0]).double(), torch.tensor([0.2, 3.0]).double()
    x = Gaussian(mean.expand(n, -1), std.log().expand(n, -1)).sample(rng)
    assert ((x.mean(0) - mean).abs() < 5.5 * std / math.sqrt(n)).all()
    assert ((x.std(0) / std - 1).abs() < 5.5 / math.sqrt(2 * n)).all()


def test_a_draw_carries_no_graph():
    logits = normal(2, 3).requires_grad_()
    rng = torch.Generator().manual_seed(0)
    assert not Bernoulli(logits).sample(rng).requires_grad
    assert not Gaussian(logits, logits).sample(rng).requires_grad


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Bernoulli(torch.zeros(2, 4)).log_prob(torch.full((2, 4), 0.5)), "x: expected binary pixels"),
        (
            lambda: Bernoulli(torch.zeros(2, 4)).log_prob(torch.zeros(2, 1)),
            r"x: expected shape \(2, 4\), got \(2, 1",
        ),
        (lambda: Gaussian(torch.zeros(2, 4), torch.zeros(())).log_prob(torch.zeros(4)), "x: expected shape"),
        (lambda: FixedStd(0.0), "std: expected a positive number, got 0"),
        (lambda: LearnedStd(-1.0), "least: expected a positive number, got -1"),
        (
            lambda: LearnedStd(0.1)(torch.zeros(2, 3)),
            "parameters: expected an even number of channels, got 3",
        ),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
