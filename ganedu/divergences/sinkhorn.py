"""Optimal transport, smoothed by entropy: Sinkhorn's iterations in log space.

    OT_ε(P, Q) = min over plans of  E c(x, y) + ε KL(plan || P ⊗ Q)
               = max over f, g of   E_P f + E_Q g - ε (E_{P⊗Q} exp((f + g - c) / ε) - 1)

(Cuturi 2013; in this form Feydy et al. 2019). Each iteration maximises the second line in g, then
in f, and goes a little further. Where c / ε is in the hundreds exp(-c / ε) is 0 in floats, and nothing but
logarithms will do.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ganedu.divergences.samples import check_pair, distribution, precision
from ganedu.divergences.transport import check_cost, distance_cost

PLAIN, RELAXED = 20, 100  # iterations of a cycle: to see how fast it goes, and over-relaxed
SLOWEST = 0.99999  # rate that over-relaxation is made for


class Sinkhorn(NamedTuple):
    """``value``: OT_ε, a scalar, differentiable in the costs and the weights. ``plan`` (n, m), ``f`` (n,) and
    ``g`` (m,), in double precision and without gradients; f and g are determined up to a constant.
    ``error``: by how much the marginals of the plan miss the weights, summed over all points."""

    value: Tensor
    plan: Tensor
    f: Tensor
    g: Tensor
    error: float
    iterations: int


def sinkhorn(
    cost: Tensor,
    epsilon: float,
    x_weights: Tensor | None = None,
    y_weights: Tensor | None = None,
    tolerance: float = 1e-6,
    max_iterations: int = 10_000,
) -> Sinkhorn:
    """OT_ε for costs (n, m), iterated until ``error`` <= ``tolerance``; weights are 1/n and 1/m by default.

    ``epsilon`` has the units of the cost. The first iterations have a larger one, halved each time, which
    starts the last ones near their end. Works in double precision.

    The gradient of ``value`` is that of the second line above with f and g fixed, which at their maximum is
    the right one (the envelope theorem): ``plan`` in the costs, f in the weights of x (up to a constant,
    which moves no distribution). Nothing is differentiated through the iterations; there is no second
    derivative.

    Raises ValueError for an epsilon or a tolerance that is not positive, costs that are not finite, or
    weights that are no distribution; RuntimeError where ``max_iterations`` do not suffice.
    """
    if not 0 < epsilon < math.inf:
        raise ValueError(f"epsilon: expected a positive number, got {epsilon}")
    if not 0 < tolerance < math.inf:
        raise ValueError(f"tolerance: expected a positive number, got {tolerance}")
    check_cost(cost)
    a = distribution("x_weights", x_weights, cost.shape[0], cost.device)
    b = distribution("y_weights", y_weights, cost.shape[1], cost.device)
    c = cost.double()
    fixed = (part.detach() for part in (c, a, b))
    f, g, error, iterations = _potentials(*fixed, epsilon, tolerance, max_iterations)
    _check_arrived(error, iterations, tolerance)
    value, plan = _dual(c, a, b, f, g, epsilon)
    return Sinkhorn(
        value.to(torch.promote_types(cost.dtype, torch.float32)), plan.detach(), f, g, error, iterations
    )


def sinkhorn_divergence(
    x: Tensor,
    y: Tensor,
    epsilon: float,
    p: float = 2.0,
    x_weights: Tensor | None = None,
    y_weights: Tensor | None = None,
    tolerance: float = 1e-6,
    max_iterations: int = 10_000,
) -> Tensor:
    """S_ε = OT_ε(x, y) - OT_ε(x, x) / 2 - OT_ε(y, y) / 2 with cost |x - y|^p, a scalar.

    x (n, d), y (m, d) (Feydy et al. 2019). OT_ε alone, as a function of y, is smallest for a y that
    is narrower than x. S_ε is 0 where they are equal, and positive elsewhere for p = 1, 2 (theorem 1). It
    goes from W_p^p for ε -> 0 to, for p = 2, the squared distance of the means for ε -> ∞. Differentiable in
    x and y, once. Three costs cancel in it: they are in double precision, S_ε in that of the points.

    Raises ValueError for points that are not finite, and as ``sinkhorn`` and ``transport.distance_cost`` do.
    """
    check_pair(x, y, finite=True)
    stop = {"tolerance": tolerance, "max_iterations": max_iterations}
    dtype = precision(x, y)
    x, y = x.double(), y.double()
    across = sinkhorn(distance_cost(x, y, p), epsilon, x_weights, y_weights, **stop)
    within_x = _to_itself(distance_cost(x, x, p), epsilon, "x_weights", x_weights, **stop)
    within_y = _to_itself(distance_cost(y, y, p), epsilon, "y_weights", y_weights, **stop)
    return (across.value - 0.5 * (within_x + within_y)).to(dtype)


def _dual(c: Tensor, a: Tensor, b: Tensor, f: Tensor, g: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
    """The second line of the module at f and g, and the plan that they make: 0 where a weight is, whatever
    the potentials of a far point would make of it."""
    weight, height = a[:, None] * b, (f[:, None] + g - c) / epsilon
    plan = weight * height.masked_fill(weight == 0, -math.inf).exp()
    return a @ f + b @ g - epsilon * (plan.sum() - 1.0), plan


def _check_arrived(error: float, iterations: int, tolerance: float) -> None:
    if not error <= tolerance:  # so that NaN is refused too
        raise RuntimeError(
            f"sinkhorn: after {iterations} iterations the marginals miss the weights by {error:.3g}, "
            f"more than {tolerance:.3g}; raise epsilon, tolerance or max_iterations"
        )


def _to_itself(
    cost: Tensor, epsilon: float, name: str, weights: Tensor | None, tolerance: float, max_iterations: int
) -> Tensor:
    """OT_ε of a sample to itself, whose two potentials are one: f goes half the way to its own soft minimum
    (Feydy et al. 2019, sec. 3). In turns f and g agree late: for 80 normal points
    in the plane, ε = 0.1 and a tolerance of 1e-6 after 1,680 iterations, and this one after 14."""
    a = distribution(name, weights, len(cost), cost.device)
    f, error, iterations = _own_potential(cost.detach(), a.detach(), epsilon, tolerance, max_iterations)
    _check_arrived(error, iterations, tolerance)
    return _dual(cost, a, a, f, f, epsilon)[0]


@torch.no_grad()
def _own_potential(
    cost: Tensor, a: Tensor, epsilon: float, tolerance: float, max_iterations: int
) -> tuple[Tensor, float, int]:
    """f (n,), the L1 error of either marginal, and how many iterations it took."""
    log_a, f, error = a.log(), torch.zeros_like(a), math.inf
    smoothing = max(float(cost.max()), epsilon)
    while smoothing > epsilon:
        f = 0.5 * (f + _soft_minimum(cost - f, log_a, smoothing))
        smoothing = max(0.5 * smoothing, epsilon)
    for iteration in range(1, max_iterations + 1):
        # The rows of the plan, and its columns, sum to a exp((f - next) / ε).
        following = _soft_minimum(cost - f, log_a, epsilon)
        error = float((a * torch.expm1((f - following) / epsilon)).abs().sum())
        if error <= tolerance:
            return f, error, iteration
        f = 0.5 * (f + following)
    return f, error, max_iterations


@torch.no_grad()
def _potentials(
    cost: Tensor, a: Tensor, b: Tensor, epsilon: float, tolerance: float, max_iterations: int
) -> tuple[Tensor, Tensor, float, int]:
    """f (n,), g (m,), the L1 error of the marginals, and how many iterations it took.

    In turns, and over-relaxed: each goes ``relaxation`` times as far as its soft minimum asks (Thibault et
    al. 2021, as successive over-relaxation of a linear system). At the end errors of plain turns shrink by a
    factor λ an iteration, of which 2 / (1 + √(1 - λ)) makes the best; so λ is looked at anew in every cycle.
    For 50 normal points on either side, ε = 0.1 and a tolerance of 1e-6 after 840 iterations, in plain
    turns not after 10,000.
    """
    log_a, log_b = a.log(), b.log()
    g = torch.zeros_like(b)
    smoothing = max(float(cost.max()), epsilon)
    while smoothing > epsilon:
        f = _soft_minimum(cost - g, log_b, smoothing)
        g = _soft_minimum(cost.T - f, log_a, smoothing)
        smoothing = max(0.5 * smoothing, epsilon)
    f = _soft_minimum(cost - g, log_b, epsilon)
    error, relaxation, early = math.inf, 1.0, 0.0
    for iteration in range(1, max_iterations + 1):
        phase = iteration % (PLAIN + RELAXED)
        if phase == 0:
            relaxation = 1.0
        g = g + relaxation * (_soft_minimum(cost.T - f, log_a, epsilon) - g)
        # The rows of the plan sum to a exp((f - next) / ε); its columns are right after a plain turn.
        change = _soft_minimum(cost - g, log_b, epsilon) - f
        error = float((a * torch.expm1(-change / epsilon)).abs().sum())
        if error <= tolerance and relaxation > 1.0:
            missed = g - _soft_minimum(cost.T - f, log_a, epsilon)
            error += float((b * torch.expm1(missed / epsilon)).abs().sum())
        if error <= tolerance:
            return f, g, error, iteration
        size = float((change - change.mean()).norm())  # a constant is nothing: g takes it back
        if phase == PLAIN // 2:
            early = size
        if phase == PLAIN and early > 0.0:
            rate = min((size / early) ** (2.0 / PLAIN), SLOWEST)
            relaxation = 2.0 / (1.0 + math.sqrt(1.0 - rate))
        f = f + relaxation * change
    return f, g, error, max_iterations


def _soft_minimum(values: Tensor, log_weights: Tensor, epsilon: float) -> Tensor:
    """-ε log Σ_j w_j exp(-v_ij / ε), (n,): the least of a row of values (n, m) as ε -> 0."""
    return -epsilon * torch.logsumexp(log_weights - values / epsilon, 1)
