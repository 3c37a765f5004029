"""The level of the permutation test, exactly and over replicates, and its power."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.stats import binom

from ganedu.divergences.mmd import RBF, Features, mmd2_biased, mmd2_unbiased
from ganedu.divergences.two_sample import permutation_test
from ganedu.rng import generator

FALSE_FAIL = 1e-6


def normal(*shape, seed=0):
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


def test_the_statistic_and_the_null_are_the_unbiased_mmd_of_relabelled_points():
    """With 3 and 2 points there are 10 relabellings: the null is made of their values, equally often."""
    x, y = normal(3, 2), normal(2, 2, seed=1) + 0.5
    found = permutation_test(x, y, RBF(), 5000, generator(2))
    assert found.statistic == pytest.approx(float(mmd2_unbiased(x, y, RBF())), rel=1e-10)
    pooled, values = torch.cat([x, y]), []
    for mine in itertools.combinations(range(5), 3):
        others = [i for i in range(5) if i not in mine]
        values.append(mmd2_unbiased(pooled[list(mine)], pooled[others], RBF()))
    values = torch.stack(values).sort().values
    nearest = (found.null[:, None] - values).abs().min(1)
    assert nearest.values.max() < 1e-12
    # Each of 10 has probability 1/10, so binomial tails give the rate of false failures, shared by 20.
    counts = torch.bincount(nearest.indices, minlength=10).tolist()
    low, high = binom.ppf(FALSE_FAIL / 20, 5000, 0.1), binom.isf(FALSE_FAIL / 20, 5000, 0.1)
    assert all(low <= count <= high for count in counts), counts
    # and p is what all relabellings say, to the same tails.
    share = float((values >= found.statistic - 1e-12).double().mean())
    hits = round(found.p_value * 5001) - 1
    assert binom.ppf(FALSE_FAIL / 2, 5000, share) <= hits <= binom.isf(FALSE_FAIL / 2, 5000, share)


COUNT, PERMUTATIONS = 2000, 19
LEVELS = (0.05, 0.25, 0.5)  # multiples of 1/20, where the level is attained


def p_values(test):
    """COUNT tests of equal laws, 8 points against 5 of an exponential law: nothing Gaussian about it."""
    draws = torch.empty(COUNT, 13, 1, dtype=torch.float64).exponential_(generator=generator(3))
    rng = generator(4)
    return torch.tensor([test(points[:8], points[8:], rng) for points in draws])


def worst_level(p):
    """How near the numbers of p <= α come to what binomials allow, at 1e-6 for all levels; above 1 fails.
    A p below 1/20 is impossible: it would be a test of level 0 that rejects."""
    if (p < 1 / (1 + PERMUTATIONS) - 1e-9).any():
        return math.inf
    ratios = []
    for level in LEVELS:
        hits, mean = int((p <= level + 1e-9).sum()), COUNT * level
        rate = FALSE_FAIL / (2 * len(LEVELS))
        edge = binom.isf(rate, COUNT, level) if hits > mean else binom.ppf(rate, COUNT, level)
        ratios.append((hits - mean) / (edge - mean))
    return max(ratios)


def test_the_level_is_exact():
    p = p_values(lambda x, y, rng: permutation_test(x, y, RBF(), PERMUTATIONS, rng).p_value)
    assert worst_level(p) < 1
    assert p.min() == pytest.approx(1 / 20) and p.max() == 1


def without_one(x, y, rng):
    found = permutation_test(x, y, RBF(), PERMUTATIONS, rng)
    return float((found.null >= found.statistic - 1e-12).double().mean())


def another_statistic(x, y, rng):
    """The biased one, which is larger, among relabellings of the unbiased one."""
    found = permutation_test(x, y, RBF(), PERMUTATIONS, rng)
    return (1 + int((found.null >= float(mmd2_biased(x, y, RBF()))).sum())) / (1 + PERMUTATIONS)


def normal_null(x, y, rng):
    """As if relabellings were Gaussian: their law has a long right tail."""
    found = permutation_test(x, y, RBF(), PERMUTATIONS, rng)
    z = (found.statistic - float(found.null.mean())) / float(found.null.std())
    return max(1 / 20, 0.5 * math.erfc(z / math.sqrt(2)))


@pytest.mark.parametrize("wrong", [without_one, another_statistic, normal_null])
def test_the_same_bound_rejects(wrong):
    assert worst_level(p_values(wrong)) > 1


def test_ties_do_not_make_it_liberal():
    """On a law with atoms p is too large rather than too small: P(p <= α) <= α."""
    draws = torch.randint(2, (COUNT, 13, 1), generator=generator(5)).double()
    rng = generator(6)
    p = torch.tensor(
        [permutation_test(part[:8], part[8:], Features(), PERMUTATIONS, rng).p_value for part in draws]
    )
    for level in LEVELS:
        assert (p <= level + 1e-9).sum() <= binom.isf(FALSE_FAIL / 3, COUNT, level)


def test_a_planted_shift_is_found_and_a_wrong_kernel_is_blind():
    """100 against 80 points in the plane, one coordinate shifted by 1.5; 999 permutations.

    All of 20 replicates have the least p there is: the statistic, about 0.25, is far above the largest of
    999 relabellings, about 0.05. The dot product sees no difference of widths.
    """
    for seed in range(20):
        x, y = normal(100, 2, seed=10 + seed), normal(80, 2, seed=50 + seed)
        shifted = permutation_test(x, y + torch.tensor([1.5, 0.0]), RBF((1.0,)), 999, generator(seed))
        assert shifted.p_value == pytest.approx(1 / 1000)
        assert shifted.statistic > 1.5 * shifted.null.max()
    wide = 2 * y
    assert permutation_test(x, wide, RBF((1.0,)), 999, generator(1)).p_value == pytest.approx(1 / 1000)
    assert permutation_test(x, wide - wide.mean(0) + x.mean(0), Features(), 999, generator(1)).p_value > 0.99


def test_it_needs_points_and_permutations():
    x = normal(4, 2)
    with pytest.raises(ValueError, match="permutations: expected an int of at least 1, got 0"):
        permutation_test(x, x, RBF(), 0, generator(0))
    with pytest.raises(ValueError, match="y: expected at least 2 points"):
        permutation_test(x, x[:1], RBF(), 9, generator(0))


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_a_number_that_is_none_is_no_evidence(broken):
    """With a NaN no relabelling is "as large": p would be the least there is."""
    x = normal(4, 2)
    x[1, 0] = broken
    with pytest.raises(ValueError, match="x, y: expected points with finite kernel values, got NaN"):
        permutation_test(x, normal(5, 2, seed=1), RBF(), 99, generator(0))


def test_relabellings_are_the_generators_in_double_precision_and_without_a_graph():
    x, y = normal(30, 2).float().requires_grad_(), normal(25, 2, seed=1).float()
    one, again = (permutation_test(x, y, RBF(), 50, generator(3)) for _ in range(2))
    assert torch.equal(one.null, again.null)
    assert not torch.equal(one.null, permutation_test(x, y, RBF(), 50, generator(4)).null)
    assert one.null.dtype == torch.float64 and not one.null.requires_grad


@pytest.mark.parametrize("seed", range(6))
def test_values_that_are_equal_but_for_rounding_are_ties(seed):
    """On a lattice many of the 252 relabellings share a value: those of at least the observed one count, to
    binomial tails of 1e-6 over 20,000 draws of them."""
    z = torch.randint(5, (10, 2), generator=generator(seed)).double()
    kernel = np.exp(-0.5 * ((z[:, None] - z).numpy() ** 2).sum(-1) / 0.49)
    np.fill_diagonal(kernel, 0.0)
    values = []
    for mine in itertools.combinations(range(10), 5):
        one = np.isin(np.arange(10), mine)
        within = kernel[np.ix_(one, one)].sum() / 20 + kernel[np.ix_(~one, ~one)].sum() / 20
        values.append(within - 2 * kernel[np.ix_(one, ~one)].sum() / 25)
    share = (np.array(values) >= values[0] - 1e-9).mean()
    found = permutation_test(z[:5], z[5:], RBF((0.7,)), 20_000, generator(0))
    hits = round(found.p_value * 20_001) - 1
    low, high = binom.ppf(FALSE_FAIL / 2, 20_000, share), binom.isf(FALSE_FAIL / 2, 20_000, share)
    assert low <= hits <= high
