"""Generators without an adversary: fakes get the moments of data (seed slide 002, "Moment matching").

Both losses are |E_P φ - E_Q φ|², with features φ written down, or hidden in a kernel <φ(x), φ(y)>.
"""

from collections.abc import Callable

import torch
from torch import Tensor

Kernel = Callable[[Tensor, Tensor], Tensor]  # x (n, ...), y (m, ...) -> (n, m)
Features = Callable[[Tensor], Tensor]  # x (n, ...) -> (n, ...)


def feature_matching(features: Features, real: Tensor, fake: Tensor) -> Tensor:
    """|mean φ(real) - mean φ(fake)|², a scalar (Salimans et al. 2016, sec. 3.1).

    There φ is a hidden layer of the critic, which goes on being trained as a classifier. Over batches of n
    and m it is too large by tr Cov_P φ / n + tr Cov_Q φ / m on average.
    """
    gap = _at_least_float32(features(real)).mean(0) - _at_least_float32(features(fake)).mean(0)
    return gap.square().sum()


def kernel_matching(kernel: Kernel, real: Tensor, fake: Tensor) -> Tensor:
    """The same by its kernel, a scalar: mean k(x, x') - 2 mean k(x, y) + mean k(y, y'), pairs of a sample
    with itself included, and so as biased (generative moment matching networks, Li et al. 2015; seed slide
    002, whose first line divides the sum over M fakes by N).

    Li et al. train by its root, whose gradient does not die on the way.
    """
    return (
        _at_least_float32(kernel(real, real)).mean()
        - 2.0 * _at_least_float32(kernel(real, fake)).mean()
        + _at_least_float32(kernel(fake, fake)).mean()
    )


def _at_least_float32(values: Tensor) -> Tensor:
    return values.to(torch.promote_types(values.dtype, torch.float32))
