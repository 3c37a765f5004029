"""Importance sampling: draws from one law, weighted so that they stand for another.

One number y = 1 was observed, z plus noise N(0, 1), and z ~ N(0, 1) before: then z given y is
N(1/2, 1/2), and the density of y is that of N(0, 2) at 1, log Z = -1.52.

>>> import torch
>>> from torch.distributions import Normal
>>> from ganedu.samplers import importance_sampling
>>> from ganedu.targets import StandardNormal, Tilted
>>> def log_likelihood(z):
...     return Normal(z[:, 0], 1.0).log_prob(torch.tensor(1.0))
>>> posterior, rng = Tilted(StandardNormal(1), log_likelihood), torch.Generator().manual_seed(0)
>>> draws = importance_sampling(posterior, posterior.prior, 100_000, rng)
>>> f"log Z = {draws.log_evidence:.1f}, error {draws.log_evidence_error:.3f}"
'log Z = -1.5, error 0.002'
>>> mean, error = draws.expectation(lambda z: z)
>>> f"E[z | y] = {mean.item():.1f}, error {error.item():.3f}"
'E[z | y] = 0.5, error 0.002'
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ganedu.samplers.base import check_count
from ganedu.samplers.independence import Law, check_law
from ganedu.samplers.pareto import pareto_k
from ganedu.samplers.resampling import check_log_weight, systematic
from ganedu.targets import Target


class Estimate(NamedTuple):
    """A mean and its standard error, of the shape of what was averaged."""

    mean: Tensor
    error: Tensor


@dataclass(frozen=True)
class Weighted:
    """Independent draws z (n, d) and the logs (n,) of their weights target(z) / law(z).

    The weights need no normalisation: their mean estimates Z, the integral of the target. Sums
    are taken in float64 of weights divided by the largest, so that no weight overflows.

    Raises ValueError for log weights that are NaN or inf, or all -inf.
    """

    z: Tensor
    log_weight: Tensor

    def __post_init__(self) -> None:
        check_log_weight(self.log_weight)

    def __len__(self) -> int:
        return len(self.z)

    @property
    def weight(self) -> Tensor:
        """Weights (n,) that sum to one, float64."""
        return self.log_weight.double().softmax(0)

    @property
    def ess(self) -> float:
        """Kish's effective sample size (Σw)² / Σw²: so many equal weights vary a mean as little.

        It sees only the weights it has: where the law misses a part of the target altogether, no
        weight is large and this is too good.
        """
        return effective_sample_size(self.log_weight)

    @property
    def pareto_k(self) -> float:
        """Above 0.7 a few weights decide, and neither means nor errors nor ``ess`` can be trusted."""
        return pareto_k(self.log_weight)

    @property
    def log_evidence(self) -> float:
        """log of the mean weight. E[mean weight] = Z; its log is below log Z on average (Jensen)."""
        return float(log_mean_exp(self.log_weight))

    @property
    def log_evidence_error(self) -> float:
        """Standard error of ``log_evidence``: by the delta method, sd(w) / (√n mean(w))."""
        return relative_error(self.weight)

    def expectation(self, f: Callable[[Tensor], Tensor]) -> Estimate:
        """E[f(z)] under the target, for f from (n, d) to (n,) or (n, k).

        The mean is Σ w f for weights that sum to one, the error √(Σ w² (f - mean)²) by the delta
        method for the ratio of Σ w f and Σ w (Owen 2013, sec. 9.2). f is not asked for its value
        where the weight is zero.
        """
        alive = self.weight > 0
        weight, value = self.weight[alive], f(self.z[alive]).double()
        mean = torch.tensordot(weight, value, 1)
        return Estimate(mean, torch.tensordot(weight.square(), (value - mean).square(), 1).sqrt())

    def resample(self, n: int, rng: torch.Generator) -> Tensor:
        """Draws (n, d) of equal weight: the target's, as far as the weights go; copies of one another."""
        return self.z[systematic(self.log_weight, n, rng)]


def importance_sampling(target: Target, law: Law, n: int, rng: torch.Generator) -> Weighted:
    """n draws from ``law``, weighted by target / law.

    ``law`` is anything with ``sample`` and a normalised ``log_prob``: the target's prior, or a
    flow trained towards the target (neural importance sampling, Müller et al. 2019). It must have
    mass wherever the target has, and tails no lighter: else the weights have no variance, and
    neither ``ess`` nor the errors mean anything; ``pareto_k`` tells.

    Raises ValueError for a count below 1 and for weights that are NaN or inf, or all zero.
    """
    check_count("n", n)
    check_law(law)
    with torch.no_grad():
        z = law.sample(n, rng)
        return Weighted(z, target.log_prob(z) - law.log_prob(z))


def effective_sample_size(log_weight: Tensor) -> float:
    """Kish's (Σw)² / Σw², from 1 to n, of log weights (n,)."""
    return 1.0 / float(log_weight.double().softmax(0).square().sum())


def log_mean_exp(log_weight: Tensor) -> Tensor:
    """log (1/n) Σ exp log_weight, float64."""
    return log_weight.double().logsumexp(0) - math.log(len(log_weight))


def relative_error(weight: Tensor) -> float:
    """Standard error over mean, of the mean of n weights (n,) given as shares of their sum."""
    n = len(weight)
    if n == 1:
        return math.inf
    return math.sqrt(float((weight - 1.0 / n).square().sum()) * n / (n - 1))
