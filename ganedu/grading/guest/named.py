"""Functions that both sides of the border know: a check sends a name and parameters, never code."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def affine(z: Tensor, *, weight: Tensor, bias: Tensor) -> Tensor:
    """z (B, d) -> z weight + bias (B, k), weight (d, k), bias (k,)."""
    return z @ weight + bias


def tanh_mlp(z: Tensor, *, w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor) -> Tensor:
    """z (B, d) -> tanh(z w1 + b1) w2 + b2 (B, k), w1 (d, h), w2 (h, k)."""
    return torch.tanh(z @ w1 + b1) @ w2 + b2


def linear_logit(x: Tensor, *, weight: Tensor, bias: Tensor | float = 0.0) -> Tensor:
    """x (B, ...) -> x·weight + bias (B,), weight (k,) with k the size of one flattened x."""
    return x.flatten(1) @ weight + bias


def quadratic(x: Tensor, *, matrix: Tensor, weight: Tensor, bias: Tensor | float = 0.0) -> Tensor:
    """x (B, k) -> xᵀ matrix x + x·weight + bias (B,), without a factor one half."""
    return torch.einsum("bi,ij,bj->b", x, matrix, x) + x @ weight + bias


def constant(x: Tensor, *, value: Tensor | float) -> Tensor:
    """x (B, ...) -> value, B times."""
    return torch.zeros_like(x.flatten(1)[:, 0]) + value


def batch_coupled(x: Tensor, *, weight: Tensor, bias: Tensor | float = 0.0) -> Tensor:
    """A logit with BatchNorm's vice: x (B, k) -> (x - mean over the batch)·weight + bias (B,)."""
    return (x - x.mean(0, keepdim=True)).flatten(1) @ weight + bias


def walled(x: Tensor, *, logit: Callable[[Tensor], Tensor], radius: float) -> Tensor:
    """`logit` inside the ball of `radius`, NaN outside: a log density that breaks down far away."""
    return torch.where(x.flatten(1).norm(dim=1) <= radius, logit(x), torch.nan)


def standard_normal(x: Tensor) -> Tensor:
    """log N(x; 0, I): x (B, d) -> (B,)."""
    return -(x.square().sum(1) + x.shape[1] * math.log(2 * math.pi)) / 2


def gaussian(x: Tensor, *, mean: Tensor, covariance: Tensor) -> Tensor:
    """log N(x; mean, covariance): x (B, d), mean (d,), covariance (d, d) -> (B,)."""
    root = torch.linalg.cholesky(covariance)
    whitened = torch.linalg.solve_triangular(root, (x - mean).T, upper=False).T
    return standard_normal(whitened) - root.diagonal().log().sum()


def banana(x: Tensor, *, std: Tensor | float, curvature: Tensor | float) -> Tensor:
    """x (B, 2) -> (B,): log N(x1; 0, std²) + log N(x2; curvature (x1² - std²), 1)."""
    first, second = x[:, 0] / std, x[:, 1] - curvature * (x[:, 0].square() - std**2)
    return standard_normal(torch.stack([first, second], 1)) - torch.as_tensor(std, dtype=x.dtype).log()


def ring(x: Tensor, *, radius: Tensor | float, width: Tensor | float) -> Tensor:
    """x (B, d) -> -(‖x‖ - radius)² / (2 width²) (B,): a log density without its normaliser."""
    return -((x.norm(dim=1) - radius) / width).square() / 2


def mixture(x: Tensor, *, weights: Tensor, means: Tensor, std: Tensor, bias: Tensor | float = 0.0) -> Tensor:
    """x (B, d) -> log Σ_k weights_k N(x; means_k, std_k² I) + bias (B,); weights, std (K,), means (K, d)."""
    apart = ((x[:, None] - means) / std[:, None]).flatten(0, 1)
    parts = standard_normal(apart).unflatten(0, (len(x), -1)) - x.shape[1] * std.log()
    return torch.logsumexp(weights.log() + parts, 1) + bias


def negative(x: Tensor, *, function: Callable[[Tensor], Tensor]) -> Tensor:
    """x -> -function(x): an energy from a log density."""
    return -function(x)


REGISTRY: dict[str, Callable[..., Tensor]] = {
    "affine": affine,
    "tanh_mlp": tanh_mlp,
    "linear_logit": linear_logit,
    "quadratic_logit": quadratic,
    "latent_quadratic": quadratic,
    "constant": constant,
    "batch_coupled": batch_coupled,
    "walled": walled,
    "standard_normal": standard_normal,
    "gaussian": gaussian,
    "banana": banana,
    "ring": ring,
    "mixture": mixture,
    "negative": negative,
}


class Named:
    """A function of the registry with its parameters: callable here, and sent over the border as data.

    >>> generator = Named("affine", weight=torch.eye(2), bias=torch.zeros(2))
    >>> student.call("latent_log_prob", z=z, generator=generator, logit=Named("constant", value=0.0))

    Raises ValueError for a name that is not in the registry. A parameter may itself be a `Named`.
    """

    def __init__(self, name: str, **parameters: Any):
        if name not in REGISTRY:
            raise ValueError(f"name: got {name!r}, expected one of {', '.join(REGISTRY)}")
        self.name, self.parameters = name, parameters

    def __call__(self, x: Tensor) -> Tensor:
        return REGISTRY[self.name](x, **self.parameters)
