"""Functions of the logarithm that stay finite, and keep their gradients, where the plain formula does not."""

import math

import torch
from torch import Tensor
from torch.nn.functional import softplus

LOG_2 = math.log(2.0)
FAR = 20.0  # where e^-2x is below the rounding of float64


def log_lambert_w(s: Tensor) -> Tensor:
    """log W(e^s), the root y of e^y + y = s (Lambert's W solves w e^w = z; here z = e^s).

    Newton's method on a convex increasing function, from a point right of the root: it falls to the root
    and never past it. Six steps leave no more than rounding, in float64, for every s. The last two are
    differentiated, which makes three derivatives exact: dy/ds = 1 / (1 + e^y), and so on.
    """
    with torch.no_grad():
        y = torch.where(s > 1, s.clamp(min=1).log(), s.clamp(max=0))
        for _ in range(4):
            y = _newton(y, s)
    return _newton(_newton(y, s), s)


def _newton(y: Tensor, s: Tensor) -> Tensor:
    w = y.exp()
    return y - (w + y - s) / (1 + w)


def log_softplus(x: Tensor) -> Tensor:
    """log log(1 + e^x), which is x - e^x / 2 where x is far below 0 and softplus underflows."""
    near = softplus(x.clamp(min=-FAR)).log()
    return torch.where(x < -FAR, x - x.clamp(max=0).exp() / 2, near)


def log1mexp(x: Tensor) -> Tensor:
    """log(1 - e^-x), x > 0 (Mächler 2012)."""
    far = torch.log1p(-(-x.clamp(min=LOG_2)).exp())  # clamped, as a NaN here would spoil the other's gradient
    return torch.where(x < LOG_2, (-torch.expm1(-x)).log(), far)


def expm1(x: Tensor) -> Tensor:
    """e^x - 1. torch's own takes its slope for the value + 1, which has no digits far below 0."""
    return torch.where(x.abs() < 1, torch.expm1(x.clamp(-1, 1)), x.exp() - 1)


def box_cox(u: Tensor, power: float, base: int = 0) -> Tensor:
    """(u^(base + power) - u^base) / power, u >= 0: near u^base log u where ``power`` is near 0 (Box and Cox
    1964, with base 0)."""
    x = power * u.where(u != 0, 1).log()  # not of 0, as a NaN in its slope would spoil the other's
    near = u**base * torch.expm1(x.clamp(-1, 1))
    return near.where((x.abs() < 1) & (u != 0), u ** (base + power) - u**base) / power


def inside_or_inf(inside: Tensor, value: Tensor) -> Tensor:
    """f* is inf outside its domain."""
    return value.where(inside, math.inf)
