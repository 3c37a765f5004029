"""Monotone rational-quadratic splines (Durkan et al. 2019, Neural Spline Flows, sec. 3.1)."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ganedu.flows.univariate import LOG_SLOPE, softclip
from ganedu.samplers.base import check_count
from ganedu.targets.base import check_positive


@dataclass(frozen=True)
class RationalQuadratic:
    """z = g(x), an increasing spline of ``bins`` pieces on [-bound, bound], the identity outside.

    g goes through knots (x_k, z_k) with slopes δ_k; between two of them it is a quotient of two
    quadratics. Its slope is 1 at both ends, so that the density has no jump there. Raw numbers: K
    widths and K heights, of which the softmax is taken, and K - 1 logarithms of slopes; bins differ
    by a factor of 1000 at most.

    The quotient runs from x to z, as in the paper: that is the direction that training takes. The
    other one solves a quadratic equation (appendix A).

    Raises ValueError for fewer than two bins and a bound that is not positive.
    """

    bins: int = 8
    bound: float = 5.0
    shifts: ClassVar[int] = 0

    def __post_init__(self) -> None:
        check_count("bins", self.bins, at_least=2)
        check_positive("bound", self.bound)

    @property
    def size(self) -> int:
        return 3 * self.bins - 1

    def forward(self, z: Tensor, raw: Tensor) -> tuple[Tensor, Tensor]:
        # Outside, the spline is not asked: where() would pass on the NaN of its gradient.
        inner = z.clamp(-self.bound, self.bound)
        x0, width, z0, height, left, right = self._bin(inner, raw, axis=1)
        ratio = height / width
        share = (inner - z0) / height
        # a t² + b t - c = 0 for t = ξ / (1 - ξ), with a and c not below zero. In ξ itself, as in the paper,
        # terms cancel near a steep end: in float32 the root leaves the bin, or there is none.
        a, b, c = ratio * (1 - share), left * (1 - share) - right * share, ratio * share
        root = (b.square() + 4 * a * c).sqrt()
        above, below = torch.where(b > 0, 2 * c, root - b), torch.where(b > 0, root + b, 2 * a)
        xi = above / (above + below)
        log_slope = -_log_slope(xi, ratio, left, right)
        return self._or_identity(z, x0 + width * xi, log_slope)

    def inverse(self, x: Tensor, raw: Tensor) -> tuple[Tensor, Tensor]:
        inner = x.clamp(-self.bound, self.bound)
        x0, width, z0, height, left, right = self._bin(inner, raw, axis=0)
        ratio = height / width
        xi = (inner - x0) / width
        both = xi * (1 - xi)
        quotient = (ratio * xi.square() + left * both) / (ratio + (left + right - 2 * ratio) * both)  # eq. 4
        return self._or_identity(x, z0 + height * quotient, _log_slope(xi, ratio, left, right))

    def _bin(self, value: Tensor, raw: Tensor, axis: int) -> tuple[Tensor, ...]:
        """Of the bin that holds ``value`` (n, d, ...) on the x (axis 0) or z (axis 1) side: its lower
        corner, width, height, and the slopes at its ends. In the paper x0, w, y0, h, δ_k, δ_{k+1}."""
        knots = self._knots(raw)
        k = (value[:, None] >= knots[:, axis, 1:-1]).sum(1)[:, None, None].expand(-1, 3, *[-1] * value.ndim)
        x0, z0, left = knots.gather(2, k)[:, :, 0].unbind(1)
        x1, z1, right = knots.gather(2, k + 1)[:, :, 0].unbind(1)
        return x0, x1 - x0, z0, z1 - z0, left, right

    def _knots(self, raw: Tensor) -> Tensor:
        """raw (n, size, d, ...) -> (n, 3, bins + 1, d, ...): x_k, z_k and δ_k. The last knot is where it
        should be, not where a sum of shares rounds to."""
        shares = softclip(raw[:, : 2 * self.bins], LOG_SLOPE / 2).unflatten(1, (2, self.bins)).softmax(2)
        inner = self.bound * (2 * shares[:, :, :-1].cumsum(2) - 1)
        corner = torch.full_like(inner[:, :, :1], self.bound)
        slopes = softclip(raw[:, 2 * self.bins :], LOG_SLOPE).exp()[:, None]
        one = torch.ones_like(slopes[:, :, :1])
        return torch.cat([torch.cat([-corner, inner, corner], 2), torch.cat([one, slopes, one], 2)], 1)

    def _or_identity(self, value: Tensor, inside: Tensor, log_slope: Tensor) -> tuple[Tensor, Tensor]:
        within = value.abs() <= self.bound
        return torch.where(within, inside, value), torch.where(within, log_slope, 0.0)


def _log_slope(xi: Tensor, ratio: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """log g'(x) at the share ξ of a bin (eq. 5)."""
    both = xi * (1 - xi)
    numerator = right * xi.square() + 2 * ratio * both + left * (1 - xi).square()
    denominator = ratio + (left + right - 2 * ratio) * both
    return 2 * ratio.log() + numerator.log() - 2 * denominator.log()
