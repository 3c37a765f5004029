"""The test of laws that all others use: it passes right laws, and what is not a number never passes."""

import pytest
import torch

from tests.laws import normal_cdf, worst

NORMAL = normal_cdf(0.0, 1.0)


def draws(n=2000):
    return torch.randn(n, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_right_laws_pass_and_shifted_ones_do_not():
    x = draws()
    assert worst({"first": (x[:, 0], NORMAL), "second": (x[:, 1], NORMAL)})[0] < 1
    ratio, name = worst({"first": (x[:, 0], NORMAL), "second": (x[:, 1] + 0.2, NORMAL)})
    assert ratio > 1 and name == "second"


@pytest.mark.parametrize("rows", [slice(0, 1), slice(None)], ids=["one", "all"])
def test_draws_that_are_not_numbers_are_rejected(rows):
    x = draws()
    x[rows, 1] = torch.nan
    ratio, name = worst({"first": (x[:, 0], NORMAL), "second": (x[:, 1], NORMAL)})
    assert ratio > 1 and name == "second"
    # As where a CDF of steps compares, and has a number for what is none.
    assert worst({"second": (x[:, 1], lambda x: (x > 0).double())})[0] > 1


def test_a_cdf_that_is_not_a_number_is_rejected():
    x = draws()[:, 0]
    assert worst({"first": (x, lambda x: NORMAL(x).where(x < 3, torch.nan)), "second": (x, NORMAL)})[0] > 1
