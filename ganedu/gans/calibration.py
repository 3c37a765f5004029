"""Calibration: from what D says to a log density ratio that may be believed.

D is trained as a classifier and is over-confident; the samplers' target p_t ∝ p0 exp d, p0 the prior of the
latents and d its logit, takes it at its word. A calibration is fitted on held-out real images and as
many fakes (Turner et al. 2019, sec. 4.1) and maps raw logits to calibrated ones. Both classes count the
same, whatever their numbers: the ratio wanted is p/q, of the data and the generator's law, not that of the
sample sizes.
"""

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn.functional import softplus

from ganedu.data.images import Images
from ganedu.gans.pair import GAN


class Calibration(Protocol):
    """Raw logits (B,) -> calibrated logits (B,), non-decreasing."""

    differentiable: bool
    ceiling: float

    def __call__(self, logit: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class Identity:
    """Takes D at its word."""

    differentiable: ClassVar[bool] = True
    ceiling: ClassVar[float] = math.inf

    def __call__(self, logit: Tensor) -> Tensor:
        return logit


@dataclass(frozen=True)
class Logistic:
    """c - softplus(c - (scale * logit + offset)), c the ceiling; plain Platt scaling for c = inf.

    Why a ceiling: D is a density ratio only near its training data. Left unbounded, p0 exp d of
    a real GAN is dominated by adversarial latents, and the better a chain mixes, the more of it
    ends in garbage. The soft minimum keeps d below what real images reach and its gradient
    continuous.
    """

    scale: float
    offset: float = 0.0
    ceiling: float = math.inf
    differentiable: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not (self.scale > 0 and math.isfinite(self.scale) and math.isfinite(self.offset)):
            raise ValueError(
                f"scale, offset: expected scale > 0 and both finite, got {self.scale}, {self.offset}"
            )
        if not self.ceiling > -math.inf:  # so that NaN is refused too
            raise ValueError(f"ceiling: expected a number or +infinity, got {self.ceiling}")

    def __call__(self, logit: Tensor) -> Tensor:
        logit = self.uncapped(logit)
        return logit if math.isinf(self.ceiling) else self.ceiling - softplus(self.ceiling - logit)

    def uncapped(self, logit: Tensor) -> Tensor:
        """Without the ceiling: the scale on which outliers are counted."""
        return self.scale * logit + self.offset

    def without_ceiling(self) -> "Logistic":
        """The same scale and offset, unbounded."""
        return Logistic(self.scale, self.offset)


@dataclass(frozen=True)
class Isotonic:
    """A non-decreasing map by linear interpolation between ``knots`` (k,) and ``values`` (k,).

    For samplers that need no gradient (DRS, MH-GAN): it is flat almost everywhere. Raises ValueError for
    knots that do not rise, and values that fall.
    """

    knots: Tensor
    values: Tensor
    differentiable: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.knots.ndim != 1 or self.knots.shape != self.values.shape or not len(self.knots):
            got = f"{tuple(self.knots.shape)} and {tuple(self.values.shape)}"
            raise ValueError(f"knots, values: expected shapes (k,) and (k,), k > 0, got {got}")
        if not (self.knots.diff() > 0).all():
            raise ValueError("knots: expected each to be larger than the one before")
        if not (self.values.diff() >= 0).all():
            raise ValueError("values: expected none to be smaller than the one before")

    @property
    def ceiling(self) -> float:
        """The largest value: an upper bound that is attained."""
        return float(self.values[-1])

    def __call__(self, logit: Tensor) -> Tensor:
        knots, values = self.knots.to(logit.device), self.values.to(logit.device)
        if len(knots) == 1:
            return values.to(logit).expand_as(logit)
        x = logit.detach().to(knots.dtype)  # in the knots' precision, in which no two of them collide
        right = torch.searchsorted(knots, x.contiguous()).clamp(1, len(knots) - 1)
        span = knots[right] - knots[right - 1]
        share = ((x - knots[right - 1]) / span).clamp(0.0, 1.0)
        return torch.lerp(values[right - 1], values[right], share).to(logit.dtype)


def held_out_logits(
    gan: GAN, held_out: Images | Tensor, rng: torch.Generator, batch_size: int = 500
) -> tuple[Tensor, Tensor]:
    """D's raw logits (n,) on ``held_out``, which it was not trained on, and on as many fakes, on the CPU.

    ``held_out`` are ``Images`` or rows (n, ...) as D takes them. ValueError for a GAN that is not frozen.
    """
    gan.check_frozen()
    if isinstance(held_out, Tensor):
        batches = (x.to(rng.device) for x in held_out.split(batch_size))
    else:
        batches = (x for x, _ in held_out.batches(batch_size, device=rng.device))
    with torch.no_grad():
        real = torch.cat([gan.logit(x).cpu() for x in batches])
        z = gan.prior(len(held_out), rng)
        fake = torch.cat([gan.logit(gan.generator(part)).cpu() for part in z.split(batch_size)])
    return real, fake


def fit_logistic(real: Tensor, fake: Tensor, ceiling_quantile: float | None = 0.9) -> Logistic:
    """Platt's scaling of held-out logits ``real`` (n,) and ``fake`` (m,), by Newton's method.

    The ceiling is the given quantile of the calibrated logit over ``real``; None leaves it out.

    Raises ValueError where the logits are not finite, where they separate the classes (no finite
    scale is best), or where D ranks fakes above real images; and for a quantile that is none.
    """
    if ceiling_quantile is not None and not 0.0 <= ceiling_quantile <= 1.0:
        raise ValueError(f"ceiling_quantile: expected a number from 0 to 1, got {ceiling_quantile}")
    x, is_real, weight = _balanced(real, fake)
    if x.min() == x.max():
        raise ValueError("real, fake: expected logits that differ, got the same one for all")
    if real.max() <= fake.min():
        raise ValueError("real, fake: the discriminator ranks every fake above every real image")
    if real.min() >= fake.max():
        raise ValueError("real, fake: the logits separate the classes, so no finite scale fits them best")
    # Standardised, so that Newton's start is good whatever D's scale is.
    centre, spread = x.mean(), x.std().clamp_min(1e-12)
    design = torch.stack([(x - centre) / spread, torch.ones_like(x)], dim=1)
    theta = torch.zeros(2, dtype=x.dtype)
    sign = 1.0 - 2.0 * is_real

    def loss(theta: Tensor) -> float:
        return float(weight @ softplus(sign * (design @ theta)))

    for _ in range(2000):
        p = torch.sigmoid(design @ theta)
        slope = design.T @ (weight * (p - is_real))
        curvature = (design * (weight * p * (1.0 - p))[:, None]).T @ design
        step = torch.linalg.solve(curvature + 1e-12 * torch.eye(2, dtype=x.dtype), slope)
        if step.abs().max() < 1e-10 * theta.abs().max().clamp_min(1.0):
            break
        # Halved until it descends, but for rounding, which would stop the last ones.
        share, at_most = 1.0, loss(theta) * (1.0 + 1e-12)
        while share > 1e-9 and loss(theta - share * step) > at_most:
            share *= 0.5
        theta = theta - share * step
    else:
        raise ValueError("real, fake: the logits all but separate the classes; no scale fits them best")
    scale = float(theta[0] / spread)
    offset = float(theta[1] - theta[0] * centre / spread)
    if scale <= 0:
        raise ValueError(f"real, fake: the discriminator ranks fakes above real images (scale {scale:.3g})")
    if ceiling_quantile is None:
        return Logistic(scale, offset)
    return Logistic(scale, offset, float(torch.quantile(scale * real.double() + offset, ceiling_quantile)))


def fit_isotonic(real: Tensor, fake: Tensor) -> Isotonic:
    """Isotonic regression of 'is real' on held-out logits, as logits.

    Probabilities are clipped to [1/(n+2), 1 - 1/(n+2)], n the number of logits: a bin in which
    every image is real is no proof that the ratio is infinite.
    """
    from sklearn.isotonic import IsotonicRegression

    x, is_real, weight = _balanced(real, fake)
    fit = IsotonicRegression(out_of_bounds="clip").fit(x.numpy(), is_real.numpy(), weight.numpy())
    edge = 1.0 / (len(x) + 2)
    p = torch.from_numpy(fit.y_thresholds_).double().clamp(edge, 1.0 - edge)
    return Isotonic(torch.from_numpy(fit.X_thresholds_).double(), torch.logit(p))


class Reliability(NamedTuple):
    """Per bin: mean predicted probability, observed share of real images, number of images."""

    predicted: Tensor
    observed: Tensor
    count: Tensor


def reliability_curve(calibration: Calibration, real: Tensor, fake: Tensor, bins: int = 10) -> Reliability:
    """Does it happen as often as it says? On the diagonal, if the calibration is right.

    ``bins`` equal intervals of the predicted probability; empty ones are left out. Raises ValueError for no
    bins, and logits that are not finite.
    """
    if bins < 1:
        raise ValueError(f"bins: expected at least 1, got {bins}")
    x, is_real, weight = _balanced(real, fake)
    p = torch.sigmoid(calibration(x))
    index = (p * bins).long().clamp_max(bins - 1)

    def total(values: Tensor) -> Tensor:
        return torch.zeros(bins, dtype=x.dtype).index_add_(0, index, values)

    mass, count = total(weight), total(torch.ones_like(x))
    full = count > 0
    return Reliability(
        (total(weight * p) / mass)[full], (total(weight * is_real) / mass)[full], count[full].long()
    )


def _balanced(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(logits, 1 for real, weights that give each class one half), float64 on the CPU."""
    for name, logits in (("real", real), ("fake", fake)):
        if logits.ndim != 1 or len(logits) == 0:
            raise ValueError(f"{name}: expected logits of shape (n,), n > 0, got {tuple(logits.shape)}")
        if not torch.isfinite(logits).all():
            raise ValueError(f"{name}: expected finite logits, got NaN or infinity")
    real, fake = real.detach().double().cpu(), fake.detach().double().cpu()
    is_real = torch.cat([torch.ones_like(real), torch.zeros_like(fake)])
    weight = torch.cat([torch.full_like(real, 0.5 / len(real)), torch.full_like(fake, 0.5 / len(fake))])
    return torch.cat([real, fake]), is_real, weight
