"""Toy targets whose law is known: normalised densities, and exact draws to hold a sampler against.

Each has ``dim``, ``dtype`` (of what ``sample`` returns), ``log_prob(z)`` for z (B, dim) on any device
and in any precision, and ``sample(n, rng)`` on the device of ``rng``. What makes each of them hard is
in its docstring; their moments: ``ganedu.targets.references(name)``.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ganedu.data.mixtures import GaussianMixture, grid
from ganedu.targets.base import check_dim, check_points, check_positive

LOG_2PI = math.log(2.0 * math.pi)


class Gaussian:
    """N(mean, cov), mean (d,) and cov (d, d), in their precision and on their device.

    Raises ValueError for shapes that do not agree and for a matrix that is no covariance.
    """

    def __init__(self, mean: Tensor, cov: Tensor):
        if mean.ndim != 1 or not len(mean) or not mean.isfinite().all():
            raise ValueError(f"mean: expected finite numbers of shape (d,), got shape {tuple(mean.shape)}")
        if cov.shape != (len(mean), len(mean)):
            raise ValueError(f"cov: expected shape {(len(mean), len(mean))}, got {tuple(cov.shape)}")
        factor, failed = torch.linalg.cholesky_ex(cov.double())
        if failed or not torch.allclose(cov, cov.T):
            raise ValueError("cov: expected a symmetric and positive definite matrix, got another")
        self.mean, self.cov = mean, cov
        self.dim, self.dtype = len(mean), mean.dtype
        # Inverted once, in double precision: a step then costs a product, not the solution of a system.
        whiten = torch.linalg.solve_triangular(factor, torch.eye(self.dim).to(factor), upper=False)
        self._factor, self._whiten = factor.to(mean), whiten.to(mean)
        self._precision = (whiten.T @ whiten).to(mean)
        self._log_norm = float(whiten.diagonal().log().sum()) - 0.5 * self.dim * LOG_2PI

    def log_prob(self, z: Tensor) -> Tensor:
        """z (B, d) -> (B,), normalised."""
        check_points(z, self.dim)
        white = (z - self.mean.to(z)) @ self._whiten.to(z).T
        return self._log_norm - 0.5 * white.square().sum(-1)

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        """(n, d) exact draws."""
        noise = torch.randn(n, self.dim, generator=rng, device=rng.device, dtype=self.dtype)
        return self.mean.to(noise) + noise @ self._factor.to(noise).T

    def conditional(self, i: int, z: Tensor, rng: torch.Generator) -> Tensor:
        """Exact draws (B,) of coordinate ``i`` given the others of z (B, d), for Gibbs.

        With Λ = cov⁻¹: N(m_i - Σ_{j≠i} Λ_ij (z_j - m_j) / Λ_ii, 1 / Λ_ii) (Bishop 2006, eq. 2.73).
        """
        check_points(z, self.dim)
        row, mean = self._precision[i].to(z), self.mean.to(z)
        # The sum over all j, less the i-th term, is the sum over the others.
        shift = (z - mean) @ row / row[i] - (z[:, i] - mean[i])
        noise = torch.randn(len(z), generator=rng, device=z.device, dtype=z.dtype)
        return mean[i] - shift + noise / row[i].sqrt()


def ill_conditioned_gaussian(dim: int = 100, dtype: torch.dtype = torch.float32) -> Gaussian:
    """N(0, Q diag(s²) Qᵀ) with s = 1/dim, 2/dim, ..., 1: for dim = 100 the standard deviations of Neal
    (2011, sec. 5.3.3.4), whose covariance has a condition number of 10⁴.

    Neal's directions are the axes, which a diagonal mass matrix undoes. Here Q is the cosine
    transform, which gives all coordinates nearly the same variance: that of a smooth random curve.
    """
    check_dim(dim, at_least=2)
    i = torch.arange(dim, dtype=torch.float64)
    cosines = math.sqrt(2.0 / dim) * torch.cos(math.pi * (i[:, None] + 0.5) * i / dim)
    cosines[:, 0] /= math.sqrt(2.0)
    turned = cosines * torch.arange(dim, 0, -1) / dim  # the slowest wave has standard deviation 1
    return Gaussian(torch.zeros(dim, dtype=dtype), (turned @ turned.T).to(dtype))


@dataclass(frozen=True)
class Banana:
    """N(0, diag(scale², 1, ..., 1)) bent along a parabola: the second coordinate becomes
    x₂ - bend (x₁² - scale²) (Haario et al. 1999, sec. 3, with the mean moved to 0).

    The map keeps volumes, so the density needs no Jacobian. Narrow and curved: what moves far along
    a straight line leaves it.
    """

    dim: int = 2
    scale: float = 10.0
    bend: float = 0.03
    dtype: torch.dtype = torch.float32

    def __post_init__(self) -> None:
        check_dim(self.dim, at_least=2)
        check_positive("scale", self.scale)
        check_positive("bend", self.bend)

    def log_prob(self, z: Tensor) -> Tensor:
        """z (B, dim) -> (B,), normalised."""
        check_points(z, self.dim)
        first, second = z[:, 0], z[:, 1] + self.bend * (z[:, 0].square() - self.scale**2)
        square = (first / self.scale).square() + second.square() + z[:, 2:].square().sum(-1)
        return -0.5 * (square + self.dim * LOG_2PI) - math.log(self.scale)

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        """(n, dim) exact draws."""
        x = torch.randn(n, self.dim, generator=rng, device=rng.device, dtype=self.dtype)
        first = self.scale * x[:, :1]
        second = x[:, 1:2] - self.bend * (first.square() - self.scale**2)
        return torch.cat([first, second, x[:, 2:]], dim=1)


@dataclass(frozen=True)
class Funnel:
    """v ~ N(0, scale²), then x_1, ..., x_{dim-1} ~ N(0, e^v); z = (v, x) (Neal 2003, sec. 8).

    No step size suits the neck and the mouth. Judge a sampler by its v: var x = e^{scale²/2} is
    right, but ruled by draws so rare that no run estimates it.
    """

    dim: int = 10
    scale: float = 3.0
    dtype: torch.dtype = torch.float32

    def __post_init__(self) -> None:
        check_dim(self.dim, at_least=2)
        check_positive("scale", self.scale)

    def log_prob(self, z: Tensor) -> Tensor:
        """z (B, dim) -> (B,), normalised."""
        check_points(z, self.dim)
        v, x = z[:, 0], z[:, 1:]
        log_v = -0.5 * (v / self.scale).square() - math.log(self.scale)
        # x times e^{-v/2} before it is squared: e^{-v} alone overflows sooner.
        log_x = -0.5 * ((x * (-0.5 * v[:, None]).exp()).square().sum(-1) + (self.dim - 1) * v)
        return log_v + log_x - 0.5 * self.dim * LOG_2PI

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        """(n, dim) exact draws."""
        noise = torch.randn(n, self.dim, generator=rng, device=rng.device, dtype=self.dtype)
        v = self.scale * noise[:, :1]
        return torch.cat([v, noise[:, 1:] * (0.5 * v).exp()], dim=1)


@dataclass(frozen=True)
class Ring:
    """A smooth ring in the plane: |z|² is N(radius², (2 radius width)²) given that it is positive, the
    angle uniform, so that |z| varies by about ``width``.

    log p is a polynomial, without the kink at 0 that a normal law for |z| has. Easy across, slow around.
    """

    radius: float = 2.0
    width: float = 0.1
    dtype: torch.dtype = torch.float32
    dim: ClassVar[int] = 2

    def __post_init__(self) -> None:
        check_positive("radius", self.radius)
        check_positive("width", self.width)

    def log_prob(self, z: Tensor) -> Tensor:
        """z (B, 2) -> (B,), normalised: an area element is half d|z|² times that of the angle."""
        check_points(z, 2)
        excess = (z.square().sum(-1) - self.radius**2) / self._std
        log_norm = math.log(math.pi * self._std * self._positive) + 0.5 * LOG_2PI
        return -0.5 * excess.square() - log_norm

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        """(n, 2) exact draws, by the inverse distribution function of |z|²."""
        uniform = torch.rand(2, n, generator=rng, device=rng.device, dtype=torch.float64)
        # 1 - U lies in (0, 1], where the quantile is finite, and the largest gives |z| = 0.
        square = self.radius**2 - self._std * torch.special.ndtri((1.0 - uniform[0]) * self._positive)
        length, angle = square.clamp(min=0.0).sqrt(), 2.0 * math.pi * uniform[1]
        return (length * torch.stack([angle.cos(), angle.sin()])).T.to(self.dtype)

    @property
    def _std(self) -> float:
        """Of |z|² before it is cut at 0."""
        return 2.0 * self.radius * self.width

    @property
    def _positive(self) -> float:
        """P(|z|² > 0) before it is cut."""
        return 0.5 * math.erfc(-(self.radius**2) / self._std / math.sqrt(2.0))


def far_modes(dim: int = 2, distance: float = 10.0, dtype: torch.dtype = torch.float32) -> GaussianMixture:
    """A third of the mass in a wide mode (standard deviation 1), two thirds in a narrow one (½), their
    centres ``distance`` apart, on either side of 0 along the diagonal.

    Nothing local crosses between them: a chain reports the mode that it started in, as if it were all.
    """
    check_dim(dim, at_least=1)
    check_positive("distance", distance)
    centre = torch.full((dim,), 0.5 * distance / math.sqrt(dim), dtype=dtype)
    weights = torch.tensor([1 / 3, 2 / 3], dtype=dtype)
    return GaussianMixture(torch.stack([-centre, centre]), torch.tensor([1.0, 0.5], dtype=dtype), weights)


def twenty_five_gaussians(std: float = 0.05, dtype: torch.dtype = torch.float32) -> GaussianMixture:
    """The grid of ``ganedu.data``, as a target (Azadi et al. 2019; seed slide 000)."""
    check_positive("std", std)
    means = grid().means.to(dtype)
    return GaussianMixture(means, torch.full((25,), std, dtype=dtype), torch.full((25,), 1 / 25, dtype=dtype))
