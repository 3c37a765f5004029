"""Gaussian mixtures: data whose density, distribution function and modes are known."""

import itertools
import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.special import ndtr


@dataclass(frozen=True)
class GaussianMixture:
    """sum_k weights_k N(means_k, std_k^2 I) on R^d.

    ``means`` (k, d) are the modes (exactly so where the components do not overlap), ``std``
    (k,) and ``weights`` (k,). Raises ValueError where the shapes do not agree, a std is not
    positive, or the weights are no distribution.
    """

    means: Tensor
    std: Tensor
    weights: Tensor

    def __post_init__(self) -> None:
        if self.means.ndim != 2 or not len(self.means):
            raise ValueError(f"means: expected shape (k, d), got {tuple(self.means.shape)}")
        for name in ("std", "weights"):
            if getattr(self, name).shape != self.means.shape[:1]:
                got = tuple(getattr(self, name).shape)
                raise ValueError(f"{name}: expected shape ({len(self.means)},), got {got}")
        if not (self.std > 0).all():
            raise ValueError(f"std: expected positive numbers, got {self.std.tolist()}")
        if not (self.weights >= 0).all() or not math.isclose(float(self.weights.sum()), 1.0, abs_tol=1e-6):
            raise ValueError(f"weights: expected a distribution, got {self.weights.tolist()}")

    @property
    def dim(self) -> int:
        """d, and with ``dtype`` what a target of a sampler tells of itself."""
        return self.means.shape[1]

    @property
    def dtype(self) -> torch.dtype:
        return self.means.dtype

    def log_prob(self, x: Tensor) -> Tensor:
        """x (n, d) -> log density (n,), in nats, on the device and in the precision of ``x``."""
        if x.ndim != 2 or x.shape[1] != self.dim:
            raise ValueError(f"x: expected shape (n, {self.dim}), got {tuple(x.shape)}")
        means, std, weights = (part.to(x) for part in (self.means, self.std, self.weights))
        square = ((x[:, None] - means) / std[:, None]).square().sum(-1)
        log_normal = -0.5 * square - self.dim * (std.log() + 0.5 * math.log(2 * math.pi))
        return torch.logsumexp(weights.log() + log_normal, dim=1)

    def cdf(self, x: Tensor, axis: int = 0) -> Tensor:
        """x (n,) -> P(X_axis <= x): the distribution function, for d > 1 of one coordinate."""
        if x.ndim != 1:
            raise ValueError(f"x: expected shape (n,), got {tuple(x.shape)}")
        return ndtr((x[:, None] - self.means[:, axis]) / self.std) @ self.weights

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        """(n, d) on the device of ``rng``, in the precision of ``means``."""
        means, std, weights = (part.to(rng.device) for part in (self.means, self.std, self.weights))
        k = torch.multinomial(weights, n, replacement=True, generator=rng)
        noise = torch.randn(n, means.shape[1], generator=rng, device=rng.device, dtype=means.dtype)
        return means[k] + std[k, None] * noise


def ring(k: int = 8, radius: float = 2.0, std: float = 0.02) -> GaussianMixture:
    """k Gaussians on a circle; the defaults are those of Metz et al. (2017), unrolled GANs."""
    angle = 2 * math.pi * torch.arange(k) / k  # not linspace(0, 2 pi, k), which has k - 1 modes
    return _uniform(radius * torch.stack([angle.cos(), angle.sin()], dim=1), std)


def grid(std: float = 0.05) -> GaussianMixture:
    """25 Gaussians with means {-2, ..., 2}^2, not rescaled (Azadi et al. 2019; seed slide 000)."""
    side = [-2.0, -1.0, 0.0, 1.0, 2.0]
    return _uniform(torch.tensor(list(itertools.product(side, side))), std)


def mixture_1d(means: list[float], std: list[float], weights: list[float]) -> GaussianMixture:
    """A mixture on the line, in double precision: what f-GAN's table 2 fits, say."""
    parts = (torch.tensor(part, dtype=torch.float64) for part in (means, std, weights))
    means, std, weights = parts
    return GaussianMixture(means[:, None], std, weights)


def _uniform(means: Tensor, std: float) -> GaussianMixture:
    k = len(means)
    return GaussianMixture(means, torch.full((k,), std), torch.full((k,), 1.0 / k))
