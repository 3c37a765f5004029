"""Resampling: from n weighted draws to equally weighted ones, with E[copies of i] = n w_i.

All three turn n uniform positions on [0, 1) into indices by the inverse of the cumulative weights,
and differ in how the positions spread (Douc, Cappé and Moulines 2005): ``multinomial`` draws them
independently; ``stratified`` one in each interval [i/n, (i+1)/n), which never has more variance;
``systematic`` the same offset in every interval, so that i is copied floor(n w_i) or ceil(n w_i)
times. The index comes back sorted, but from ``multinomial``.
"""

import torch
from torch import Tensor


def multinomial(log_weight: Tensor, n: int, rng: torch.Generator) -> Tensor:
    """Indices (n,) of draws of log weights (m,), each independent of the others."""
    return invert(log_weight, uniform(n, rng))


def stratified(log_weight: Tensor, n: int, rng: torch.Generator) -> Tensor:
    """Indices (n,), one from each nth part of the mass (Kitagawa 1996)."""
    return invert(log_weight, (intervals(n, rng) + uniform(n, rng)) / n)


def systematic(log_weight: Tensor, n: int, rng: torch.Generator) -> Tensor:
    """Indices (n,) at equal distances in the mass, from one random offset (Carpenter et al. 1999)."""
    return invert(log_weight, (intervals(n, rng) + uniform(1, rng)) / n)


def uniform(n: int, rng: torch.Generator) -> Tensor:
    return torch.rand(n, generator=rng, device=rng.device, dtype=torch.float64)


def intervals(n: int, rng: torch.Generator) -> Tensor:
    return torch.arange(n, device=rng.device, dtype=torch.float64)


def invert(log_weight: Tensor, position: Tensor) -> Tensor:
    """The draw at each position (n,) of the mass: the first i with w_1 + ... + w_i > position.

    In float64: a sum of a million float32 weights is off by more than a weight. A draw of weight
    zero adds nothing to the sum, and so is never the first.
    """
    mass = check_log_weight(log_weight).double().softmax(0).cumsum(0)
    below_one = 1.0 - 2.0**-53  # the last position may have been rounded up to 1
    return torch.searchsorted(mass / mass[-1], position.clamp(max=below_one), right=True)


def check_log_weight(log_weight: Tensor) -> Tensor:
    """The log weights (m,) as they came: -inf is a weight of zero, but NaN and inf are none.

    Raises ValueError for these, and where every weight is zero.
    """
    if log_weight.ndim != 1 or len(log_weight) == 0:
        raise ValueError(f"log_weight: expected a tensor (n,), n > 0, got shape {tuple(log_weight.shape)}")
    unknown = int((log_weight.isnan() | log_weight.isposinf()).sum())
    if unknown:
        raise ValueError(
            f"log_weight: expected numbers below inf, got NaN or inf in {unknown} of {len(log_weight)}"
        )
    if log_weight.isneginf().all():
        raise ValueError(f"log_weight: expected a weight above zero, got -inf in all {len(log_weight)}")
    return log_weight
