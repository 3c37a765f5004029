"""What nearest neighbours tell of a generator: precision, recall, density, coverage, and copies.

Points are rows, (n, d): a plane's, or the features of images (``kernel_distance.image_features``). Distances
are computed in blocks of 8 MiB: 10,000 points on either side take some tens of megabytes.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from ganedu.samplers.base import check_count

ENTRIES = 2**20  # distances at once: 8 MiB in double precision, a few times
EDGE = 2**-48  # of |x|² + |y|², what their distance is rounded by: this near the edge of a ball is in it


class PRDC(NamedTuple):
    """``precision`` and ``recall`` (Kynkäänniemi et al. 2019), in [0, 1]; ``density``, with mean 1 for draws
    of the same law and no upper bound, and ``coverage``, in [0, 1] (Naeem et al. 2020)."""

    precision: float
    recall: float
    density: float
    coverage: float


def prdc(real: Tensor, fake: Tensor, k: int = 5) -> PRDC:
    """Of real (n, d) and fake (m, d) points. Around each point lies a ball that reaches to its k-th
    neighbour of its own kind; what is on the edge is inside.

    precision: how many fakes lie in a ball of a real one. recall: how many real ones in a ball of a fake one.
    density: in how many real balls a fake one lies, on average, over k. coverage: how many real balls have a
    fake one inside. For draws of one law the mean of coverage is 1 - Π_{i<k} (n-1-i) / (n+m-1-i) (Naeem et
    al. 2020), about 1 - 2^-k for n = m, not 1. All depend on n, m and k: compare only at equal ones.

    Raises ValueError for k >= n or m, points of two spaces, or points that are not finite.
    """
    _check("real", real)
    _check("fake", fake, real)
    check_count("k", k)
    for name, points in (("real", real), ("fake", fake)):
        if len(points) <= k:
            raise ValueError(f"{name}: expected more than k = {k} points, got {len(points)}")
    fake, real = _together(fake, real)  # around the real ones: a fake may be anywhere
    # An edge for every pair: one for all would be as wide as the farthest fake says.
    real_edge, fake_edge = (EDGE * points.square().sum(1) for points in (real, fake))
    real_radius, fake_radius = _kth(real, k) + real_edge, _kth(fake, k) + fake_edge

    # Of each fake one: how many balls of real ones it is in.
    balls = torch.zeros(len(fake), dtype=torch.float64, device=real.device)
    recalled = covered = 0
    for rows, square in _blocks(real, fake):
        inside = square - fake_edge <= real_radius[rows, None]
        balls += inside.sum(0)
        covered += int(inside.any(1).sum())
        recalled += int((square - real_edge[rows, None] <= fake_radius).any(1).sum())
    return PRDC(
        precision=float((balls > 0).double().mean()),
        recall=recalled / len(real),
        density=float(balls.mean()) / k,
        coverage=covered / len(real),
    )


def nearest(x: Tensor, y: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    """Of each x (n, d) the k nearest y (m, d): distances (n, k), ascending, float64, and indices (n, k).

    Candidates come from |x|² + |y|² - 2⟨x, y⟩; their distances are computed anew from the differences, so
    that a copy is at distance 0 exactly. Two y that are as far, to 1e-6 of the spread of the points, may
    be taken for one another.

    Raises ValueError for k > m, points of two spaces, or points that are not finite.
    """
    _check("x", x)
    _check("y", y, x)
    check_count("k", k)
    if k > len(y):
        raise ValueError(f"y: expected at least k = {k} points, got {len(y)}")
    x, y = _together(x, y)
    distances = x.new_empty(len(x), k)
    indices = torch.empty(len(x), k, dtype=torch.long, device=x.device)
    for rows, square in _blocks(x, y):
        index = square.topk(k, dim=1, largest=False).indices
        per_rank = [(x[rows] - y[index[:, rank]]).norm(dim=1) for rank in range(k)]
        distances[rows], order = torch.stack(per_rank, 1).sort(dim=1, stable=True)
        indices[rows] = index.gather(1, order)
    return distances, indices


class Memorisation(NamedTuple):
    """``distance`` (n,) of each fake to the nearest training point, ``index`` (n,) which one that is;
    ``held_out_distance`` (m,) the same of points that were not trained on. ``closer``: the share of pairs in
    which the fake is the nearer one, ties half: 1/2 where the fakes are like new data. ``z``: by how many
    standard errors that is above 1/2; N(0, 1) for fakes that have the law of the held-out points."""

    distance: Tensor
    index: Tensor
    held_out_distance: Tensor
    closer: float
    z: float


def memorisation(fake: Tensor, train: Tensor, held_out: Tensor) -> Memorisation:
    """Are fakes (n, d) nearer to the training points than new points (m, d) of the data are?

    Near alone means nothing: with enough training data every new point is near one. So held-out points
    are the yardstick, and Mann and Whitney's statistic compares the two sets of distances (Meehan et al.
    2020, sec. 3, without their cells; their sign is the other). ``z`` far above 0 says that the fakes are
    copies; far below, that fakes lie off the data. Look at the pairs with the least ``distance``.

    Raises ValueError for no points, points of two spaces, or points that are not finite.
    """
    distance, index = (part[:, 0] for part in nearest(fake, train))
    held_out_distance = nearest(held_out, train)[0][:, 0]
    n, m = len(distance), len(held_out_distance)
    reference = held_out_distance.sort().values
    nearer = torch.searchsorted(reference, distance, right=True)  # held-out ones that are not farther
    strictly = torch.searchsorted(reference, distance, right=False)
    closer = 1.0 - float((nearer + strictly).double().mean()) / (2.0 * m)
    z = (closer - 0.5) / _mann_whitney_error(torch.cat([distance, held_out_distance]), n)
    return Memorisation(distance, index, held_out_distance, closer, z)


def _mann_whitney_error(values: Tensor, n: int) -> float:
    """The standard error of Mann and Whitney's share for n of the ``values`` (n + m,) against the others, if
    all are of one law; ties make it smaller (Lehmann 1975, ch. 1). Infinite where all are equal."""
    total, m = len(values), len(values) - n
    ties = values.unique(return_counts=True)[1].double()
    tied = float((ties**3 - ties).sum()) / (total * (total - 1))
    return math.sqrt((total + 1 - tied) / (12.0 * n * m)) or math.inf


def _kth(points: Tensor, k: int) -> Tensor:
    """Squared distance of each point to its k-th neighbour, (n,)."""
    # Filled in place: small results kept one by one between large blocks would keep those from being reused.
    radii = points.new_empty(len(points))
    for rows, square in _blocks(points, points):
        own = torch.arange(rows.start, rows.start + len(square), device=square.device)
        square[torch.arange(len(square), device=square.device), own] = math.inf
        radii[rows] = square.kthvalue(k, dim=1).values
    return radii


def _blocks(x: Tensor, y: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Which rows of x, and their squared distances to all y."""
    size = max(1, ENTRIES // len(y))
    of_y = y.square().sum(1)
    for start in range(0, len(x), size):
        part = x[start : start + size]
        square = torch.addmm(of_y + part.square().sum(1, keepdim=True), part, y.mT, alpha=-2.0)
        yield slice(start, start + size), square.clamp_min_(0.0)


def _together(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """In double precision, around the median of y, so that little cancels in products: one y may be far."""
    x, y = x.detach().double(), y.detach().double()
    centre = y.median(0).values
    return x - centre, y - centre


def _check(name: str, points: Tensor, other: Tensor | None = None) -> None:
    if points.ndim != 2 or not len(points):
        raise ValueError(f"{name}: expected shape (n, d), n > 0, got {tuple(points.shape)}")
    if other is not None and points.shape[1] != other.shape[1]:
        raise ValueError(f"{name}: expected points of dimension {other.shape[1]}, got {points.shape[1]}")
    if not points.isfinite().all():
        raise ValueError(f"{name}: expected finite numbers, got NaN or infinity")
