"""Modes and high-quality share where both are known."""

import math
import sys

import pytest
import torch
from scipy.stats import binom

from ganedu.data.mixtures import GaussianMixture, grid, mixture_1d, ring
from ganedu.metrics.modes import modes
from ganedu.rng import generator

FALSE_FAIL = 1e-6


@pytest.mark.parametrize("radius", [1.0, 2.0, 3.0, 4.0])
@pytest.mark.parametrize("mixture", [ring(), grid()], ids=["ring", "grid"])
def test_draws_of_the_mixture_have_the_share_that_the_radius_says(mixture, radius):
    """1 - exp(-r²/2) in the plane: |noise|² is χ² with two degrees of freedom. 20,000 draws, binomial
    tails."""
    n, k = 20_000, len(mixture.means)
    found = modes(mixture.sample(n, generator(0)), mixture, radius)
    expect = 1 - math.exp(-(radius**2) / 2)
    hits = round(found.high_quality * n)
    assert binom.ppf(FALSE_FAIL / 2, n, expect) <= hits <= binom.isf(FALSE_FAIL / 2, n, expect)
    assert (found.captured, found.total) == (k, k)
    each = (found.occupancy * n).round()
    rate = FALSE_FAIL / (2 * k)
    assert (each >= binom.ppf(rate, n, expect / k)).all() and (each <= binom.isf(rate, n, expect / k)).all()
    assert 0 <= found.kl < 0.01  # its mean is about (k - 1) / 2n, 0.0006 for 25


@pytest.mark.parametrize("radius", [1.0, 2.0, 3.0])
def test_the_same_bound_rejects_modes_a_tenth_too_wide(radius):
    wide = GaussianMixture(grid().means, 1.1 * grid().std, grid().weights)
    hits = round(modes(wide.sample(20_000, generator(0)), grid(), radius).high_quality * 20_000)
    assert hits < binom.ppf(FALSE_FAIL / 2, 20_000, 1 - math.exp(-(radius**2) / 2))


def test_by_hand():
    """Two modes on a line, widths 1 and 0.1, and points on both sides of each edge."""
    mixture = mixture_1d([0.0, 10.0], [1.0, 0.1], [0.25, 0.75])
    x = torch.tensor([[0.0], [2.9], [3.1], [-3.0], [10.29], [10.31], [9.8], [4.99], [5.01]]).double()
    found = modes(x, mixture)
    assert found.captured == 2 and found.high_quality == pytest.approx(5 / 9)
    torch.testing.assert_close(found.occupancy, torch.tensor([3 / 9, 2 / 9]).double())
    assert found.kl == pytest.approx(0.6 * math.log(0.6 / 0.25) + 0.4 * math.log(0.4 / 0.75))
    assert modes(x, mixture, at_least=3).captured == 1
    assert modes(x, mixture, radius=5.2).high_quality == pytest.approx(8 / 9)  # 5.01 is nearer to 10


def test_lost_modes_are_counted_and_show_in_the_kl():
    mixture = ring(8)
    kept = GaussianMixture(mixture.means[:2], mixture.std[:2], torch.full((2,), 0.5))
    found = modes(kept.sample(4000, generator(0)), mixture)
    assert found.captured == 2 and found.kl == pytest.approx(math.log(4), abs=0.01)
    assert found.high_quality == pytest.approx(0.9889, abs=0.01)


def test_a_generator_that_diverged_has_nothing():
    mixture = grid()
    broken = torch.full((10, 2), math.nan)
    assert modes(broken, mixture)[:3] == (0, 25, 0.0) and modes(broken, mixture).kl == math.inf
    far = torch.full((10, 2), math.inf)
    assert modes(far, mixture).high_quality == 0
    half = torch.cat([broken, mixture.means[:10]])
    assert modes(half, mixture)[:3] == (10, 25, 0.5)


def test_parts_make_no_difference(monkeypatch):
    x = grid().sample(1000, generator(0))
    whole = modes(x, grid())
    monkeypatch.setattr(sys.modules[modes.__module__], "POINTS", 7)
    assert modes(x, grid())[:3] == whole[:3]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: modes(torch.zeros(3, 3), grid()), r"x: expected shape \(n, 2\), n > 0, got \(3, 3\)"),
        (lambda: modes(torch.zeros(0, 2), grid()), r"x: expected shape \(n, 2\), n > 0, got \(0, 2\)"),
        (lambda: modes(torch.zeros(3, 2), grid(), 0.0), "radius: expected a positive"),
        (
            lambda: modes(torch.zeros(3, 2), grid(), at_least=0),
            "at_least: expected an int of at least 1, got 0",
        ),
    ],
)
def test_what_makes_no_sense_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
