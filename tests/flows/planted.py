"""Flows with an error each, of the kinds that are made: test_power.py has them rejected."""

import torch

from ganedu.flows import (
    ActNorm,
    Affine,
    Coupling,
    LULinear,
    Multiscale,
    Permutation,
    Planar,
    Radial,
    RationalQuadratic,
    ScaleShift,
)
from ganedu.flows.autoregressive import MADE, MaskedLinear
from ganedu.flows.linear import triangles
from ganedu.flows.spline import _log_slope


class WrongSign(ScaleShift):
    """The log determinant of the other direction."""

    def forward(self, z, raw):
        x, log_slope = super().forward(z, raw)
        return x, -log_slope

    def inverse(self, x, raw):
        z, log_slope = super().inverse(x, raw)
        return z, -log_slope


class ShiftAfterScale(ScaleShift):
    """z = e^s (x + t), not e^s x + t."""

    def inverse(self, x, raw):
        z, log_slope = super().inverse(x, raw)
        return z + raw[:, 0] * (log_slope.exp() - 1), log_slope


class OneSlope(Coupling):
    """The log slope of the first moved coordinate alone, not their sum."""

    def _move(self, z, direction):
        return super()._move(z, lambda b, raw: _first(direction(b, raw)))


def _first(moved):
    b, log_slope = moved
    return b, log_slope[:, :1]


class LeakyMADE(MADE):
    """Output i sees x_i as well: degrees compared by >= at the end."""

    def __init__(self, dim, hidden, size):
        super().__init__(dim, hidden, size)
        inputs = torch.arange(1, dim + 1)
        below = torch.linspace(1, dim, hidden[-1]).round()
        hidden_layers = [layer for layer in self if isinstance(layer, MaskedLinear)][:-1]
        hidden_layers[0].mask.copy_(below[:, None] >= inputs)
        self[-1].mask.copy_(inputs.repeat(size)[:, None] >= below)


class FlatEnds(RationalQuadratic):
    """The spline ends with slope 1/2 and meets the identity at an angle."""

    def _knots(self, raw):
        knots = super()._knots(raw)
        knots[:, 2, 0] = knots[:, 2, -1] = 0.5
        return knots


class SwappedSlopes(RationalQuadratic):
    """The slopes at the two ends of a bin exchanged, in the log determinant alone."""

    def inverse(self, x, raw):
        z, _ = super().inverse(x, raw)
        inner = x.clamp(-self.bound, self.bound)
        x0, width, _, height, left, right = self._bin(inner, raw, axis=0)
        return self._or_identity(x, z, _log_slope((inner - x0) / width, height / width, right, left))


class Clamped(RationalQuadratic):
    """What lies beyond the ends is folded onto them."""

    def forward(self, z, raw):
        return super().forward(z.clamp(-self.bound, self.bound), raw)


class NotInverted(Permutation):
    def inverse(self, x):
        return self.forward(x)


class OnePixel(ActNorm):
    """Σ s, not H W Σ s."""

    def _log_det(self, z):
        return super()._log_det(z[:, :, :1, :1])


class LowerOnly(LULinear):
    """The diagonal's logarithm taken for the diagonal."""

    def _log_det(self, z):
        return self.lu.diagonal().exp().sum().expand(len(z))


class SwappedParts(Multiscale):
    """The two parts of z in the other order on the way back."""

    def inverse(self, x):
        z, log_det = super().inverse(x)
        return z.roll(1, 1), log_det


class NoNewton(Planar):
    """The right inverse, but what bisection found is taken for a constant."""

    def inverse(self, x):
        a = (super().inverse(x)[0] @ self.w).detach()
        (u, least), bump = self._u(), (a + self.b).tanh()
        return x - bump[:, None] * u, -self._slope(bump, least).log()


class OneRadius(Radial):
    """1 + β h across, as often as there are dimensions, and nothing along."""

    def _stretch(self, r, alpha, total):
        stretch, _ = super()._stretch(r, alpha, total)
        return stretch, len(self.centre) * stretch.log()


class BatchNorm(Affine):
    """Divides by the batch's own deviation: rows hang together."""

    def forward(self, z):
        x, log_det = super().forward(z)
        return x * (1 + 1e-3 * z.std()), log_det


class NoNumber(Affine):
    """A log determinant that is not a number."""

    def forward(self, z):
        x, log_det = super().forward(z)
        return x, log_det * torch.nan


class NoNumberInOne(Affine):
    """A second coordinate that is not a number, beside a first that is right."""

    def forward(self, z):
        x, log_det = super().forward(z)
        return x * x.new_tensor([1.0, torch.nan]), log_det


class Rounded(LULinear):
    """A product with the point itself, left to autocast."""

    def forward(self, z):
        lower, upper = triangles(self.lu)
        return z @ (lower @ upper).T + self.shift, self._log_det(z)


class RoundedSlopes(Coupling):
    """Log slopes of bfloat16 under autocast, as the network made them."""

    def inverse(self, x):
        z, log_det = super().inverse(x)
        return z, log_det.to(self.net(x[:, :1]).dtype)


class Unused(Affine):
    """A parameter that does nothing."""

    def __init__(self, dim):
        super().__init__(dim)
        self.extra = torch.nn.Parameter(torch.zeros(dim))

    def forward(self, z):
        x, log_det = super().forward(z)
        return x + 0 * self.extra, log_det

    def inverse(self, x):
        z, log_det = super().inverse(x)
        return z + 0 * self.extra, log_det
