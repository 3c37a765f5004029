"""Resampling copies each draw n w_i times on average, and its three schemes differ as they should."""

import math

import pytest
import torch

from ganedu.samplers.resampling import check_log_weight, invert, multinomial, stratified, systematic

REPEATS, N = 4000, 10
LOG_WEIGHT = torch.tensor([-1.0, 0.3, -0.2, -4.0, 1.1, -math.inf, 0.0, -2.2], dtype=torch.float64)
WEIGHT = LOG_WEIGHT.softmax(0)


def counts(scheme):
    """Copies (REPEATS, 8) of each draw."""
    rng = torch.Generator().manual_seed(0)
    return torch.stack([scheme(LOG_WEIGHT, N, rng).bincount(minlength=8) for _ in range(REPEATS)]).double()


def strata_variance():
    """Of copies under ``stratified``: the sum of p (1 - p), p the share of draw i in each interval."""
    edges = torch.cat([torch.zeros(1), WEIGHT.cumsum(0)])
    low, high = torch.arange(N)[:, None] / N, torch.arange(1, N + 1)[:, None] / N
    share = (torch.minimum(edges[1:], high) - torch.maximum(edges[:-1], low)).clamp_min(0) * N
    return (share * (1 - share)).sum(0)


VARIANCE = {
    multinomial: N * WEIGHT * (1 - WEIGHT),
    stratified: strata_variance(),
    systematic: (N * WEIGHT).frac() * (1 - (N * WEIGHT).frac()),
}


def z_scores(copies, variance):
    """Of the mean copies of each draw that has a weight."""
    z = (copies.mean(0) - N * WEIGHT) / (variance / REPEATS).sqrt()
    return z[WEIGHT > 0].abs()


@pytest.mark.parametrize("scheme", VARIANCE, ids=lambda scheme: scheme.__name__)
def test_copies_are_n_times_the_weight_on_average(scheme):
    """|z| < 6 for 7 means: all but normal at 4,000 repeats, so they fail by luck once in 10⁷."""
    copies = counts(scheme)
    assert (copies.sum(1) == N).all() and (copies[:, 5] == 0).all()
    assert z_scores(copies, VARIANCE[scheme]).max() < 6
    # The variance as well, to 6 standard errors: which of the three it is.
    deviation = (copies - N * WEIGHT).square()
    error = deviation.std(0) / math.sqrt(REPEATS)
    assert ((deviation.mean(0) - VARIANCE[scheme]).abs() <= 6 * error + 1e-12).all()


def test_the_same_test_rejects_positions_without_an_offset():
    """Power: intervals' middles in place of a random offset round n w the same way each time."""

    def middles(log_weight, n, rng):
        return invert(log_weight, (torch.arange(n, dtype=torch.float64) + 0.5) / n)

    assert z_scores(counts(middles), VARIANCE[systematic]).max() > 12


def test_systematic_copies_are_n_w_rounded_down_or_up():
    copies = counts(systematic)
    assert (copies >= (N * WEIGHT).floor()).all() and (copies <= (N * WEIGHT).ceil()).all()


def test_stratified_has_no_more_variance_than_multinomial_and_no_less_than_systematic_in_sum():
    assert (VARIANCE[stratified] <= VARIANCE[multinomial] + 1e-12).all()
    assert VARIANCE[systematic].sum() < VARIANCE[stratified].sum()


def test_equal_weights_are_left_alone():
    for scheme in (stratified, systematic):
        index = scheme(torch.zeros(1000), 1000, torch.Generator().manual_seed(0))
        assert torch.equal(index, torch.arange(1000))


def test_positions_at_the_very_ends_find_draws_that_have_weight():
    log_weight = torch.tensor([-math.inf, 0.0, 0.0, -math.inf])
    assert invert(log_weight, torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64)).tolist() == [1, 2, 2]


def test_a_million_float32_weights_lose_none_of_their_mass():
    n = 1_000_000
    index = systematic(torch.zeros(n) - 50.0, n, torch.Generator().manual_seed(0))
    assert torch.equal(index, torch.arange(n))


@pytest.mark.parametrize(
    ("log_weight", "message"),
    [
        (torch.zeros(2, 2), r"log_weight: expected a tensor \(n,\), n > 0, got shape \(2, 2\)"),
        (torch.zeros(0), "n > 0"),
        (torch.tensor([0.0, math.nan, math.inf]), "got NaN or inf in 2 of 3"),
        (torch.full((4,), -math.inf), "expected a weight above zero, got -inf in all 4"),
    ],
)
def test_weights_that_are_none_are_named(log_weight, message):
    with pytest.raises(ValueError, match=message):
        check_log_weight(log_weight)
    with pytest.raises(ValueError, match=message):
        systematic(log_weight, 5, torch.Generator())
