"""Energies, and ways to fit one whose normaliser is out of reach (seed slide 003, EBGAN's "Motivation").

An energy E maps x (n, ...) to (n,), lower where the model expects data; q(x) ∝ exp(-E(x)) where it is to be a
law. The slide lists what keeps it from being low everywhere. Here are, by the slide's numbers:

    1  it cannot be: ``PCA``, ``KMeans`` (their codes are too small)
    3  it is pushed up at chosen places: ``ratio_matching`` (bits flipped), ``gans.EBGAN`` (fakes)
    4  it is made flat and curved upward at the data: ``score_matching``
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ganedu.samplers.base import check_count

Energy = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class PCA:
    """E(x) = |WᵀW (x - mean) - (x - mean)|², the squared distance from a plane: mean (d,), W (k, d) with
    orthonormal rows.

    The slide leaves the mean out, which is right for data of mean 0.
    """

    mean: Tensor
    components: Tensor

    @classmethod
    def fit(cls, x: Tensor, k: int) -> "PCA":
        """The plane of dimension k with the least mean energy on x (n, d), floats. ValueError for another x
        and for k > n or d."""
        _check_rows(x)
        check_count("k", k)
        if k > min(x.shape):
            raise ValueError(f"k: expected at most {min(x.shape)} for x of shape {tuple(x.shape)}, got {k}")
        mean = x.mean(0)
        return cls(mean, torch.linalg.svd(x - mean, full_matrices=False).Vh[:k])

    def __call__(self, x: Tensor) -> Tensor:
        x = x - self.mean
        return (x @ self.components.T @ self.components - x).square().sum(-1)


@dataclass(frozen=True)
class KMeans:
    """E(x) = min over j of |x - centre_j|²: a code with a single 1. ``centres`` (k, d)."""

    centres: Tensor

    @classmethod
    def fit(cls, x: Tensor, k: int, rng: torch.Generator, n_steps: int = 100) -> "KMeans":
        """Lloyd's steps from k rows of x (n, d), until none moves a centre or there were ``n_steps``.

        A local minimum of the mean energy. A centre that no row is nearest to stays. ValueError for an x that
        is not (n, d), of floats, and for k > n.
        """
        _check_rows(x)
        check_count("k", k)
        if k > len(x):
            raise ValueError(f"k: expected at most {len(x)} for as many rows of x, got {k}")
        centres = x[torch.randperm(len(x), generator=rng, device=rng.device)[:k].to(x.device)]
        for _ in range(n_steps):
            # Differences, as far from the origin products have no digits left for the distances.
            nearest = torch.cdist(x, centres, compute_mode="donot_use_mm_for_euclid_dist").argmin(1)
            member = torch.nn.functional.one_hot(nearest, k).to(x.dtype)
            count = member.sum(0)[:, None]
            moved = torch.where(count > 0, member.T @ x / count.clamp(min=1), centres)
            if torch.equal(moved, centres):
                break
            centres = moved
        return cls(centres)

    def __call__(self, x: Tensor) -> Tensor:
        return (x[:, None] - self.centres).square().sum(-1).amin(1)


def score_matching(energy: Energy, x: Tensor) -> Tensor:
    """1/2 |∇E|² - ΔE at x (n, d), (n,), whose mean over P is 1/2 E_P |∇log p - ∇log q|² and a constant.

    Hyvärinen (2005), theorem 1: flat, and curved upward, at the data. P needs a smooth density on all of R^d,
    and E two derivatives: a ReLU network has ΔE = 0 almost everywhere. d backward passes.

    Raises ValueError where x is not (n, d), of floats, and for energies that are not (n,) or (n, 1).
    """
    _check_rows(x)
    x = x if x.requires_grad else x.detach().requires_grad_()
    (slope,) = torch.autograd.grad(_values(energy, x).sum(), x, create_graph=True)
    curvature = torch.zeros_like(slope[:, 0])
    for i in range(x.shape[1]):
        if slope.requires_grad:  # a linear energy has none, and says so by having no graph
            (row,) = torch.autograd.grad(slope[:, i].sum(), x, create_graph=True, materialize_grads=True)
            curvature = curvature + row[:, i]
    return 0.5 * slope.square().sum(1) - curvature


def ratio_matching(energy: Energy, x: Tensor) -> Tensor:
    """Σ_i sigmoid(E(x) - E(x with bit i flipped))² for bits x (n, d) of 0 and 1, (n,).

    Hyvärinen (2007): its mean over P is, up to a constant, that of the squared differences between P's and
    q's odds of x and of each neighbour, squashed to [0, 1]. The normaliser cancels in the odds. What seed
    slide 002 calls ratio matching fits p/q between two laws, and is another thing.

    Raises ValueError where x is not of zeros and ones, and for energies that are not (n,) or (n, 1).
    """
    if x.ndim != 2:
        raise ValueError(f"x: expected zeros and ones of shape (n, d), got shape {tuple(x.shape)}")
    if not (bits := (x == 0) | (x == 1)).all():
        raise ValueError(f"x: expected zeros and ones, got {float(x[~bits][0]):.6g} among them")
    n, d = x.shape
    flips = torch.eye(d, dtype=x.dtype, device=x.device)
    neighbours = (x[:, None] - flips).abs().reshape(n * d, d)
    here, there = _values(energy, x), _values(energy, neighbours)
    return torch.sigmoid(here[:, None] - there.reshape(n, d)).square().sum(1)


def _check_rows(x: Tensor) -> None:
    if x.ndim != 2 or not x.is_floating_point():
        raise ValueError(f"x: expected floats of shape (n, d), got {x.dtype} of shape {tuple(x.shape)}")


def _values(energy: Energy, x: Tensor) -> Tensor:
    """(n,): others would be broadcast, or summed, to something wrong."""
    value = energy(x)
    if value.shape not in {(len(x),), (len(x), 1)}:
        raise ValueError(f"energy: expected values of shape ({len(x)},), got {tuple(value.shape)}")
    return value.reshape(len(x))
