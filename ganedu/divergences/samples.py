"""What is asked of two samples, and of the weights of their points."""

import torch
from torch import Tensor


def check_pair(
    x: Tensor, y: Tensor, at_least: int = 1, names: tuple[str, str] = ("x", "y"), finite: bool = False
) -> None:
    """Raise ValueError unless x (n, ...) and y (m, ...) are points of one space, ``at_least`` of each, and
    ``finite`` ones if so asked. ``names`` are those that the caller has for them."""
    for name, points in zip(names, (x, y), strict=True):
        if not isinstance(points, Tensor):
            got = type(points).__name__
            raise ValueError(f"{name}: expected a tensor, got {got}; give torch.as_tensor({name})")
        if points.ndim < 2 or len(points) < at_least:
            got = tuple(points.shape)
            hint = f"; for points on a line give {name}[:, None]" if points.ndim == 1 else ""
            raise ValueError(
                f"{name}: expected at least {at_least} points, shape (n, d), got shape {got}{hint}"
            )
        if finite and not points.isfinite().all():
            raise ValueError(f"{name}: expected finite points, got NaN or infinity among them")
    if x.shape[1:] != y.shape[1:]:
        space, got = tuple(x.shape[1:]), tuple(y.shape[1:])
        raise ValueError(f"{names[1]}: expected points of shape {space}, got {got}")


def precision(x: Tensor, y: Tensor) -> torch.dtype:
    """That of the finer of the two, at least float32."""
    return torch.promote_types(torch.promote_types(x.dtype, y.dtype), torch.float32)


def as_rows(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """x (n, d) and y (m, d), flattened, in their ``precision``."""
    dtype = precision(x, y)
    return x.flatten(1).to(dtype), y.flatten(1).to(dtype)


def at_least_float32(values: Tensor) -> Tensor:
    """At least float32: a mean of bfloat16 has two digits, and what a critic says of P and of Q cancels."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def column(name: str, values: Tensor) -> Tensor:
    """(n,) or (n, 1) -> (n,), at least in float32. ValueError for another shape, and for n = 0."""
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1 or not len(values):
        got = tuple(values.shape)
        raise ValueError(f"{name}: expected values (n,) or (n, 1), n > 0, got shape {got}")
    return at_least_float32(values)


def full_precision(x: Tensor) -> torch.autocast:
    """A context in which products are what their factors' precision gives, in a training in bfloat16 too:
    sums of products that cancel, as in a distance, would be left with two digits, or none."""
    return torch.autocast(x.device.type, enabled=False)


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
