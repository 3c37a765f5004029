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


def inside_or_inf(inside: Tensor, value: Tensor) -> Tensor:
    """f* is inf outside its domain."""
    return value.where(inside, math.inf)
