"""Optimal transport between samples, exactly: on the line by sorting, elsewhere by a linear program.

    W_p(P, Q)^p = inf E |x - y|^p over the joint laws of x and y with marginals P and Q

(Villani 2009, def. 6.1; seed slide 002, "Optimal transport"). For parallel lines, P = (0, Z) and
Q = (θ, Z), W_1 is |θ|: the seed slide "Optimal transport vs f-Divergence" writes θ, which is no distance
where it is negative. Smoothed transport: ``sinkhorn.py``; the dual by a critic: ``kantorovich.py``.

Points that weigh the same need no weights; others have ``x_weights`` (n,), ``y_weights`` (m,), which
sum to 1.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ganedu.divergences.samples import as_rows, check_pair, distribution, full_precision, precision
from ganedu.samplers.base import check_count

PIVOTS = 100_000_000  # of the network simplex: never met where it converges


def cost_1d(
    x: Tensor,
    y: Tensor,
    p: float = 1.0,
    x_weights: Tensor | None = None,
    y_weights: Tensor | None = None,
) -> Tensor:
    """W_p^p on the line, for x (..., n) and y (..., m) -> (...): for p = 1 the distance W_1 itself.

    Points lie along the last axis: x (n,), not (n, 1), which would be n laws of one point each.

    The optimal plan keeps the order: W_p^p = ∫₀¹ |F⁻¹(u) - G⁻¹(u)|^p du of the quantile functions, which
    are steps (Santambrogio 2015, prop. 2.17). Differentiable in x and y.

    Raises ValueError for p < 1, where keeping the order is not optimal, no points, other leading axes, or
    weights that are no distribution.
    """
    check_power(p)
    if x.ndim < 1 or x.shape[:-1] != y.shape[:-1] or not x.shape[-1] or not y.shape[-1]:
        got = f"{tuple(x.shape)} and {tuple(y.shape)}"
        raise ValueError(f"x, y: expected shapes (..., n) and (..., m), n, m > 0, got {got}")
    n, m = x.shape[-1], y.shape[-1]
    x, x_order = x.sort(-1)
    y, y_order = y.sort(-1)
    if not x.is_floating_point() or not y.is_floating_point():  # whole numbers have no means
        x, y = x.double(), y.double()
    dtype = precision(x, y)
    x, y = x.to(dtype), y.to(dtype)
    if n == m and x_weights is None and y_weights is None:
        return (x - y).abs().pow(p).mean(-1)
    x_cdf = _cdf(distribution("x_weights", x_weights, n, x.device)[x_order])
    y_cdf = _cdf(distribution("y_weights", y_weights, m, y.device)[y_order])
    # Between two neighbouring levels both quantile functions are constant: the first point whose running
    # sum reaches the upper one.
    levels = torch.cat([x_cdf, y_cdf], -1).sort(-1).values
    widths = torch.diff(levels, prepend=torch.zeros_like(levels[..., :1]))
    x = x.gather(-1, torch.searchsorted(x_cdf, levels).clamp_max(n - 1))
    y = y.gather(-1, torch.searchsorted(y_cdf, levels).clamp_max(m - 1))
    return ((x - y).abs().pow(p) * widths).sum(-1).to(x.dtype)


def _cdf(weights: Tensor) -> Tensor:
    """Running sums (..., n) that end at 1 exactly: or the last level, past rounding, would be carried by a
    last point of weight 0, at whatever distance that is."""
    sums = weights.cumsum(-1)
    return sums / sums[..., -1:]


def random_directions(count: int, dim: int, rng: torch.Generator) -> Tensor:
    """(count, dim), uniform on the unit sphere, in double precision."""
    check_count("count", count)
    check_count("dim", dim)
    draws = torch.randn(count, dim, generator=rng, device=rng.device, dtype=torch.float64)
    return draws / draws.norm(dim=1, keepdim=True)


def sliced_cost(
    x: Tensor,
    y: Tensor,
    directions: Tensor,
    p: float = 2.0,
    x_weights: Tensor | None = None,
    y_weights: Tensor | None = None,
) -> Tensor:
    """Sliced W_p^p: the mean of ``cost_1d`` of x (n, d) and y (m, d) along ``directions`` (l, d), a scalar.

    Of random directions it is an unbiased estimate of the mean over the sphere (Rabin et al.
    2012; Bonneel et al. 2015), and at most W_p^p. Along one direction a shift by s counts |⟨s, direction⟩|^p,
    so for p = 2 a shift costs |s|² / d. Differentiable in x and y.

    Raises ValueError for directions that are not of unit length, samples of two spaces, and as ``cost_1d``.
    """
    check_pair(x, y)
    if directions.ndim != 2 or directions.shape[1:] != x.shape[1:] or not len(directions):
        got = tuple(directions.shape)
        raise ValueError(f"directions: expected shape (l, {x.shape[1]}), l > 0, got {got}")
    length = directions.norm(dim=1)
    if not ((length - 1.0).abs() < 1e-3).all():
        least, most = float(length.min()), float(length.max())
        raise ValueError(f"directions: expected unit vectors, got lengths from {least:.3g} to {most:.3g}")
    x, y = as_rows(x, y)
    lines = directions.to(x).mT
    with full_precision(x):
        x, y = (x @ lines).mT, (y @ lines).mT
    return cost_1d(x, y, p, x_weights, y_weights).mean()


def distance_cost(x: Tensor, y: Tensor, p: float = 1.0) -> Tensor:
    """|x_i - y_j|^p, (n, m), for x (n, ...) and y (m, ...): by differences, so that nothing cancels.

    Differentiable, with gradient 0 where two points coincide. Raises ValueError for p < 1 or samples of
    two spaces.
    """
    check_power(p)
    check_pair(x, y)
    return torch.cdist(*as_rows(x, y), compute_mode="donot_use_mm_for_euclid_dist").pow(p)


class Plan(NamedTuple):
    """``cost``: a scalar, E c(x, y) under ``plan`` (n, m), which sums to the weights along either axis."""

    cost: Tensor
    plan: Tensor


def optimal_plan(cost: Tensor, x_weights: Tensor | None = None, y_weights: Tensor | None = None) -> Plan:
    """The optimal plan for costs (n, m), by the network simplex of POT (Bonneel et al. 2011).

    The time grows with n³ log n: half a second for n = 2,000 in the plane. Costs are told apart to some 1e-13
    of the largest one: of two clusters a million of their widths apart W_2 is off by 0.2%. By the envelope
    theorem the gradient of ``cost`` in the costs is the plan (where the plan is unique).

    Raises ValueError for costs that are not finite or weights that are no distribution, RuntimeError
    where the simplex gives up, and ImportError without POT.
    """
    check_cost(cost)
    try:
        import ot
    except ImportError as error:
        raise ImportError("exact transport needs POT: pip install 'ganedu[metrics]'") from error
    a = distribution("x_weights", x_weights, cost.shape[0], cost.device)
    b = distribution("y_weights", y_weights, cost.shape[1], cost.device)
    # Without the points of weight 0: their costs may be so large that the simplex takes all others for 0.
    rows, columns = a.nonzero(), b.nonzero()[:, 0]
    arrays = (part.detach().cpu().double().numpy() for part in (a[a > 0], b[b > 0], cost[rows, columns]))
    carried, log = ot.emd(*arrays, numItermax=PIVOTS, log=True)
    if log["warning"] is not None:
        raise RuntimeError(f"exact transport: POT says {log['warning']!r}")
    plan = torch.zeros(cost.shape, dtype=torch.float64, device=cost.device)
    plan[rows, columns] = torch.from_numpy(carried).to(cost.device)
    return Plan((plan * cost).sum().to(torch.promote_types(cost.dtype, torch.float32)), plan)


def wasserstein(
    x: Tensor,
    y: Tensor,
    p: float = 1.0,
    x_weights: Tensor | None = None,
    y_weights: Tensor | None = None,
) -> float:
    """W_p of the samples x (n, d) and y (m, d), by ``optimal_plan`` in double precision, in the units of x.

    As an estimate of W_p(P, Q) it is too high, and in d > 2p by the order of n^(-1/d) (Weed and Bach 2019):
    compare only at equal n, beside the value of two samples of P.

    Raises ValueError for points that are not finite, and as ``distance_cost`` and ``optimal_plan`` do.
    """
    check_power(p)
    check_pair(x, y, finite=True)
    a = distribution("x_weights", x_weights, len(x), x.device)
    b = distribution("y_weights", y_weights, len(y), y.device)
    apart = distance_cost(x[a > 0].double(), y[b > 0].double())
    most = float(apart.max())
    if most == 0.0:
        return 0.0
    # In units of the largest, or a large power has no digits left.
    plan = optimal_plan((apart / most).pow(p), a[a > 0], b[b > 0])
    return most * float(plan.cost) ** (1.0 / p)


def check_cost(cost: Tensor) -> None:
    if cost.ndim != 2 or not cost.numel():
        raise ValueError(f"cost: expected finite numbers (n, m), got shape {tuple(cost.shape)}")
    if not cost.isfinite().all():
        raise ValueError("cost: expected finite numbers (n, m), got NaN or infinity among them")


def check_power(p: float) -> None:
    if not 1.0 <= p < math.inf:
        raise ValueError(f"p: expected a finite number of at least 1, got {p}")
