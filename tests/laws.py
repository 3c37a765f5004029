"""One test for "these draws have that law", with its false-fail rate: Dvoretzky-Kiefer-Wolfowitz.

For n draws P(sup |F_n - F| > ε) <= 2 exp(-2 n ε²), whatever F is (Massart 1990), so a bound over
m comparisons together at rate δ is ε = sqrt(log(2 m / δ) / (2 n)).
"""

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

FALSE_FAIL = 1e-6
Cdf = Callable[[Tensor], Tensor]


def distance(draws: Tensor, cdf: Cdf) -> float:
    """sup |F_n - F| of draws (n,); infinite where a draw or its F is not a number."""
    draws = draws.double().sort().values
    n = len(draws)
    exact = cdf(draws)
    steps = torch.arange(n + 1, dtype=torch.float64) / n
    if draws.isnan().any() or exact.isnan().any():
        return math.inf  # which Python's max, unlike NaN, does not pass over
    return float(torch.maximum(steps[1:] - exact, exact - steps[:-1]).max())


def bound(n: int, comparisons: int) -> float:
    """The distance that ``comparisons`` right laws together exceed with probability 1e-6 at most."""
    return math.sqrt(math.log(2 * comparisons / FALSE_FAIL) / (2 * n))


def worst(pairs: Mapping[str, tuple[Tensor, Cdf]], tests: int = 1) -> tuple[float, str]:
    """The largest distance over its bound, and whose it is; above 1 the law is rejected.

    ``tests``: how many such comparisons share the false-fail rate.
    """
    ratios = {
        name: distance(draws, cdf) / bound(len(draws), tests * len(pairs))
        for name, (draws, cdf) in pairs.items()
    }
    name = max(ratios, key=ratios.get)
    return ratios[name], name


def normal_cdf(mean: float, std: float) -> Cdf:
    return lambda x: torch.special.ndtr((x - mean) / std)


def gaussian_marginals(
    draws: Tensor, mean: Tensor, cov: Tensor, projections: int = 8
) -> dict[str, tuple[Tensor, Cdf]]:
    """Every coordinate, and ``projections`` random directions, of draws (n, d) from N(mean, cov)."""
    d = len(mean)
    directions = torch.randn(projections, d, generator=torch.Generator().manual_seed(12), dtype=torch.float64)
    lines = torch.cat([torch.eye(d, dtype=torch.float64), directions])
    return {
        f"direction {i}": (
            draws.double() @ line,
            normal_cdf(float(line @ mean), math.sqrt(float(line @ cov @ line))),
        )
        for i, line in enumerate(lines)
    }
