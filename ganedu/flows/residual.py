"""Planar and radial flows: a bump across a plane or around a point (Rezende and Mohamed 2015, sec. 4.1).

Both are x = z + something bounded, with as few parameters as a flow can have; lectures draw them,
nobody fits images with them.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganedu.flows.base import Transform, exactly
from ganedu.targets.base import check_dim

UNIT = math.log(math.expm1(1.0))  # softplus is 1 there


class Planar(Transform):
    """x = z + û tanh(w·z + b) (eq. 10), with log det = log(1 + w·û (1 - tanh²)) (eq. 12).

    û is u with its part along w changed so that w·û > -1, without which the map folds (appendix
    A.1; its softplus is shifted here, so that u = 0 is the identity). The inverse has no formula:
    w·x = a + w·û tanh(a + b) increases in a = w·z, and bisection finds a. First and second derivatives
    of the inverse are right, third ones are not.
    """

    def __init__(self, dim: int):
        super().__init__()
        check_dim(dim, 1)
        self.w = nn.Parameter(torch.randn(dim) / dim**0.5)
        self.u = nn.Parameter(0.1 * torch.randn(dim))
        self.b = nn.Parameter(torch.zeros(()))

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        with exactly(z):
            u, least = self._u()
            bump = (z @ self.w + self.b).tanh()
            return z + bump[:, None] * u, self._slope(bump, least).log()

    def inverse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        with exactly(x):
            u, least = self._u()
            y, wu = x @ self.w, least - 1
            with torch.no_grad():
                a = bisect(lambda a: a + wu * (a + self.b).tanh() - y, y - wu.abs(), y + wu.abs())
                slope = self._slope((a + self.b).tanh(), least)
            # Steps of Newton for derivatives alone, of which each makes one more right: a is as right as it
            # gets, and a rounding over a slope near zero would be a long step.
            for _ in range(2):
                off = a + wu * (a + self.b).tanh() - y
                a = a - (off - off.detach()) / slope
            bump = (a + self.b).tanh()
            return x - bump[:, None] * u, -self._slope(bump, least).log()

    def _u(self) -> tuple[Tensor, Tensor]:
        """û (dim,), and 1 + w·û, which is above zero before it is rounded to a sum of 1 and w·û."""
        wu = self.w @ self.u
        least = F.softplus(wu + UNIT)
        return self.u + (least - 1 - wu) * self.w / self.w.square().sum(), least

    def _slope(self, bump: Tensor, least: Tensor) -> Tensor:
        """1 + w·û (1 - tanh²), as a sum of what is positive."""
        return bump.square() + least * (1 - bump.square())


class Radial(Transform):
    """x = z + β h(r) (z - c), h(r) = 1 / (α + r), r = |z - c| (eq. 14), α > 0 and β > -α, without
    which the map folds (appendix A.2).

    |x - c| = r + β r / (α + r) is a quadratic equation in r, so the inverse needs no iteration.
    """

    def __init__(self, dim: int):
        super().__init__()
        check_dim(dim, 1)
        self.centre = nn.Parameter(torch.randn(dim))
        self.log_alpha = nn.Parameter(torch.zeros(()))
        self.raw_beta = nn.Parameter(0.1 * torch.randn(()))

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        alpha, total = self._alpha_total()
        offset = z - self.centre
        stretch, log_det = self._stretch(offset.norm(dim=1), alpha, total)
        return self.centre + stretch[:, None] * offset, log_det

    def inverse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        alpha, total = self._alpha_total()
        offset = x - self.centre
        y = offset.norm(dim=1)
        # r² - q r - α y = 0 with q = y - α - β; two forms of its root, so that nothing cancels.
        q = y - total
        root = (q.square() + 4 * alpha * y).sqrt()
        r = torch.where(q > 0, 0.5 * (q + root), 2 * alpha * y / (root + q.abs()))
        stretch, log_det = self._stretch(r, alpha, total)
        return self.centre + offset / stretch[:, None], -log_det

    def _alpha_total(self) -> tuple[Tensor, Tensor]:
        """α and α + β, both positive: 1 and 1, so that β = 0, where the raw numbers are zero."""
        return self.log_alpha.exp(), F.softplus(self.raw_beta + UNIT)

    def _stretch(self, r: Tensor, alpha: Tensor, total: Tensor) -> tuple[Tensor, Tensor]:
        """1 + β h (n,), by which offsets from the centre grow, and log det (n,); with α + β instead of β
        they are made of positive numbers alone."""
        stretch = (total + r) / (alpha + r)
        # Across the radius 1 + β h, dim - 1 times; along it 1 + β h + β h' r = 1 + α β h².
        along = (r.square() + 2 * alpha * r + alpha * total) / (alpha + r).square()
        return stretch, (len(self.centre) - 1) * stretch.log() + along.log()


def bisect(f: Callable[[Tensor], Tensor], low: Tensor, high: Tensor) -> Tensor:
    """Where an increasing f is zero, between ``low`` and ``high``, in each element.

    Sixty halvings: the bracket is then narrower than a float64 can tell.
    """
    for _ in range(60):
        middle = 0.5 * (low + high)
        below = f(middle) < 0
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    return 0.5 * (low + high)
