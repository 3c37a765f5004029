"""The maximum mean discrepancy: how far apart two laws are in the features of a kernel.

    MMD(P, Q) = sup of E_P f - E_Q f over the f of norm at most 1 in the kernel's space,
    MMD² = E k(x, x') - 2 E k(x, y) + E k(y, y'),    x, x' from P and y, y' from Q, independent

(Gretton et al. 2012, eq. 1 and lemma 6). Seed slide 002, "MMD", gives the second line for MMD itself:
it is MMD², and the supremum above is its root.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ganedu.divergences.samples import as_rows, check_pair, full_precision, precision
from ganedu.samplers.base import check_count


class Kernel(Protocol):
    """A positive definite k that can be differentiated, twice. Values are in the precision of the points, at
    least float32, under autocast too; or in double precision, where they are large and cancel."""

    def gram(self, x: Tensor, y: Tensor) -> Tensor:
        """Every k(x_i, y_j), (n, m), for x (n, ...) and y (m, ...)."""

    def pairs(self, x: Tensor, y: Tensor) -> Tensor:
        """k(x_i, y_i), (n,), for x and y (n, ...)."""


class Radial(Kernel):
    """A kernel of |x - y|² alone, ``of(square)``, elementwise."""

    def of(self, square: Tensor) -> Tensor:
        raise NotImplementedError

    def gram(self, x: Tensor, y: Tensor) -> Tensor:
        return self.of(squared_distances(x, y))

    def pairs(self, x: Tensor, y: Tensor) -> Tensor:
        x, y = as_rows(x, y)
        return self.of((x - y).square().sum(1))


@dataclass(frozen=True)
class RBF(Radial):
    """Σ_σ exp(-|x - y|² / 2σ²); the widths are those of Li et al. (2017), MMD GAN, for features of
    their size. Raises ValueError for a width that is not positive."""

    sigmas: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0, 16.0)

    def __post_init__(self) -> None:
        _check_positive("sigmas", self.sigmas)

    def of(self, square: Tensor) -> Tensor:
        return sum((square / (-2.0 * sigma**2)).exp() for sigma in self.sigmas)


@dataclass(frozen=True)
class RationalQuadratic(Radial):
    """Σ_α (1 + |x - y|² / 2α)^-α (Bińkowski et al. 2018, with other α): tails so heavy that far points
    still feel one another. Raises ValueError for an α that is not positive."""

    alphas: tuple[float, ...] = (0.1, 1.0, 10.0)

    def __post_init__(self) -> None:
        _check_positive("alphas", self.alphas)

    def of(self, square: Tensor) -> Tensor:
        return sum((-alpha * torch.log1p(square / (2.0 * alpha))).exp() for alpha in self.alphas)


@dataclass(frozen=True)
class Features(Kernel):
    """k(x, y) = ⟨φ(x), φ(y)⟩ for a given map φ, (n, ...) -> (n, ...): MMD² = |E_P φ - E_Q φ|².

    Without φ it is the dot product of all numbers, whose MMD sees the means and nothing else. In double
    precision: MMD² does not depend on where the origin is, but these products do.
    """

    phi: Callable[[Tensor], Tensor] = torch.nn.Identity()

    def gram(self, x: Tensor, y: Tensor) -> Tensor:
        x, y = as_rows(self.phi(x), self.phi(y))
        return _products(x.double(), y.double())

    def pairs(self, x: Tensor, y: Tensor) -> Tensor:
        x, y = as_rows(self.phi(x), self.phi(y))
        return (x.double() * y.double()).sum(1)


@dataclass(frozen=True)
class Polynomial(Kernel):
    """(⟨x, y⟩ / d + 1)^degree; with degree 3 that of the kernel distance (Bińkowski et al. 2018): it
    compares the moments up to the third. In double precision: values are large and cancel. Raises
    ValueError for a degree that is no positive whole number, with which it is no kernel."""

    degree: int = 3

    def __post_init__(self) -> None:
        check_count("degree", self.degree)

    def gram(self, x: Tensor, y: Tensor) -> Tensor:
        x, y = as_rows(x, y)
        return (_products(x.double(), y.double()) / x.shape[1] + 1.0) ** self.degree

    def pairs(self, x: Tensor, y: Tensor) -> Tensor:
        x, y = as_rows(x, y)
        return ((x.double() * y.double()).mean(1) + 1.0) ** self.degree


@dataclass(frozen=True)
class Sum(Kernel):
    """The sum of kernels, whose MMD² is the sum of theirs: ``Sum((RationalQuadratic(), Features()))`` is
    what MMD-GANs use (Bińkowski et al. 2018), and separates the means at any distance. Raises ValueError for
    a sum of none."""

    kernels: tuple[Kernel, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.kernels, tuple) or not self.kernels:
            raise ValueError(f"kernels: expected a tuple of at least one, got {self.kernels!r}")

    def gram(self, x: Tensor, y: Tensor) -> Tensor:
        return sum(kernel.gram(x, y) for kernel in self.kernels)

    def pairs(self, x: Tensor, y: Tensor) -> Tensor:
        return sum(kernel.pairs(x, y) for kernel in self.kernels)


def squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """|x_i - y_j|², (n, m), by |x|² + |y|² - 2⟨x, y⟩, which needs no (n, m, d) of memory.

    What cancels there is kept small: the origin is moved into the points first, and all is in double
    precision but the result. The error is of the order of that rounding times the square of their spread.
    """
    x, y = as_rows(x, y)
    dtype = x.dtype
    x, y = x.double(), y.double()
    centre = x.detach().mean(0)
    x, y = x - centre, y - centre
    square = x.square().sum(-1)[:, None] + y.square().sum(-1) - 2.0 * _products(x, y)
    return square.clamp_min(0.0).to(dtype)


def _products(x: Tensor, y: Tensor) -> Tensor:
    with full_precision(x):
        return x @ y.mT


def mmd2_biased(x: Tensor, y: Tensor, kernel: Kernel) -> Tensor:
    """MMD² between the samples themselves, a scalar, never negative (Gretton et al. 2012, eq. 5).

    x (n, d), y (m, d). As an estimate it is too high, by (E k(x, x) - E k(x, x')) / n and the same of y:
    each point meets itself (seed slide 002, "Moment matching", says so of its formula, which is this one
    but for a 1/N before Σφ(G(z)) that should be 1/M).

    Raises ValueError for an empty sample, or samples of two spaces.
    """
    check_pair(x, y)
    within = kernel.gram(x, x).mean() + kernel.gram(y, y).mean()
    return (within - 2.0 * kernel.gram(x, y).mean()).to(precision(x, y))


def mmd2_unbiased(x: Tensor, y: Tensor, kernel: Kernel) -> Tensor:
    """The U-statistic, a scalar with mean MMD², negative about half the time where P = Q (Gretton et al.
    2012, eq. 3, and for two sizes n, m >= 2). x (n, d), y (m, d).

    Raises ValueError for less than two points on a side, or samples of two spaces.
    """
    check_pair(x, y, at_least=2)
    within = _off_diagonal_mean(kernel.gram(x, x)) + _off_diagonal_mean(kernel.gram(y, y))
    return (within - 2.0 * kernel.gram(x, y).mean()).to(precision(x, y))


def linear_terms(x: Tensor, y: Tensor, kernel: Kernel) -> Tensor:
    """(n // 2,) independent terms with mean MMD² (Gretton et al. 2012, lemma 14), x and y (n, d).

    Each comes of two points of either side: the cost is n and not n². With an odd n the last
    points are not used. The standard error of the mean is that of independent numbers.

    Raises ValueError for less than two points, or other sizes.
    """
    check_pair(x, y, at_least=2)
    if len(x) != len(y):
        raise ValueError(f"y: expected as many points as x, {len(x)}, got {len(y)}")
    even = len(x) // 2 * 2
    x1, x2, y1, y2 = x[0:even:2], x[1:even:2], y[0:even:2], y[1:even:2]
    within = kernel.pairs(x1, x2) + kernel.pairs(y1, y2)
    return (within - kernel.pairs(x1, y2) - kernel.pairs(x2, y1)).to(precision(x, y))


def mmd2_linear(x: Tensor, y: Tensor, kernel: Kernel) -> Tensor:
    """Mean of ``linear_terms``, a scalar: unbiased, in linear time, with more variance."""
    return linear_terms(x, y, kernel).mean()


def witness(t: Tensor, x: Tensor, y: Tensor, kernel: Kernel) -> Tensor:
    """mean_i k(x_i, t) - mean_j k(y_j, t) at t (l, d), (l,): the f that attains the supremum, times the
    MMD of the samples (Gretton et al. 2012, sec. 2.3). Its mean over x less that over y is
    ``mmd2_biased``.

    Raises ValueError for an empty sample, or points of two spaces.
    """
    check_pair(x, y)
    check_pair(x, t, names=("x", "t"))
    return (kernel.gram(x, t).mean(0) - kernel.gram(y, t).mean(0)).to(precision(x, y))


def _off_diagonal_mean(gram: Tensor) -> Tensor:
    n = len(gram)
    return (gram.sum() - gram.diagonal().sum()) / (n * (n - 1))


def _check_positive(name: str, values: tuple[float, ...]) -> None:
    if not isinstance(values, tuple | list) or not values or not all(value > 0 for value in values):
        raise ValueError(f"{name}: expected positive numbers, as a tuple, got {values}")
