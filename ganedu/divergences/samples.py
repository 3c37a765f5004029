"""What is asked of two samples, and of the weights of their points."""

import torch
from torch import Tensor


def check_pair(x: Tensor, y: Tensor, at_least: int = 1) -> None:
    """Raise ValueError unless x (n, ...) and y (m, ...) are points of one space, ``at_least`` of each."""
    for name, points in (("x", x), ("y", y)):
        if points.ndim < 2 or len(points) < at_least:
            got = tuple(points.shape)
            raise ValueError(f"{name}: expected at least {at_least} points, shape (n, d), got shape {got}")
    if x.shape[1:] != y.shape[1:]:
        raise ValueError(f"y: expected points of shape {tuple(x.shape[1:])}, got {tuple(y.shape[1:])}")


def distribution(name: str, weights: Tensor | None, n: int, device: torch.device) -> Tensor:
    """``weights`` (n,) in double precision, by default 1/n each, divided by their sum.

    Raises ValueError for another shape, a negative weight, or a sum that differs from 1 by more than
    rounding (1e-5).
    """
    if weights is None:
        return torch.full((n,), 1.0 / n, dtype=torch.float64, device=device)
    if weights.shape != (n,):
        raise ValueError(f"{name}: expected shape ({n},), got {tuple(weights.shape)}")
    weights = weights.double()
    total = float(weights.detach().sum())
    if not (weights >= 0).all() or not abs(total - 1.0) <= 1e-5:  # so that NaN is refused too
        low = float(weights.detach().min())
        raise ValueError(f"{name}: expected a distribution, got the sum {total:.6g} and the least {low:.3g}")
    return weights / weights.sum()
