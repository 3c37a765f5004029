"""Are two samples of one law? A test whose level holds for every law and every sample size."""

from typing import NamedTuple

import torch
from torch import Tensor

from ganedu.divergences.mmd import Kernel
from ganedu.divergences.samples import check_pair
from ganedu.samplers.base import check_count


class TwoSampleTest(NamedTuple):
    """``statistic``: the unbiased MMD²; ``null`` (permutations,): what it is after relabelling, float64."""

    statistic: float
    p_value: float
    null: Tensor


@torch.no_grad()
def permutation_test(
    x: Tensor, y: Tensor, kernel: Kernel, permutations: int, rng: torch.Generator
) -> TwoSampleTest:
    """Test of P = Q by the unbiased MMD² of x (n, d) and y (m, d), n, m >= 2.

    If P = Q the labels x and y are arbitrary: relabelling at random gives draws of the statistic under
    the null, among which the observed one has a uniform rank. So with p = (1 + how many are as large)
    / (1 + permutations), P(p <= α) <= α exactly, for any kernel and law, with equality for laws without
    atoms where α (1 + permutations) is an integer (Phipson and Smyth 2010; the 1 counts the observed
    labels: without it p = 0 would come up too often). p is never below 1 / (1 + permutations).

    Every relabelling uses the same (n + m)² kernel values, summed in double precision.

    Raises ValueError for a count below 1, less than two points on a side, samples of two spaces, and kernel
    values that are not finite: with a NaN in it no relabelling would be as large, and p the least there is.
    """
    check_pair(x, y, at_least=2)
    check_count("permutations", permutations)
    n, m = len(x), len(y)
    pooled = torch.cat([x, y])
    gram = kernel.gram(pooled, pooled).double().fill_diagonal_(0.0)
    if not gram.isfinite().all():
        raise ValueError("x, y: expected points with finite kernel values, got NaN or infinity among them")
    shuffled = torch.rand(permutations, n + m, generator=rng, device=rng.device).argsort(1) < n
    observed = torch.arange(n + m, device=rng.device)[None] < n
    is_x = torch.cat([observed, shuffled]).to(gram)  # the observed labels go the same way: ties stay ties

    within_x = (is_x @ gram * is_x).sum(1)
    across = is_x @ gram.sum(1) - within_x
    within_y = gram.sum() - within_x - 2.0 * across
    values = within_x / (n * (n - 1)) + within_y / (m * (m - 1)) - 2.0 * across / (n * m)

    statistic, null = values[0], values[1:]
    slack = 1e-12 * gram.abs().max()  # what sums in another order may differ by
    as_large = int((null >= statistic - slack).sum())
    return TwoSampleTest(float(statistic), (1 + as_large) / (1 + permutations), null)
