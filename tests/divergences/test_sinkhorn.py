"""Smoothed transport against POT, the closed form of Gaussians, a linear program, and differences."""

import math

import numpy as np
import pytest
import torch

from ganedu.divergences.sinkhorn import sinkhorn, sinkhorn_divergence
from ganedu.divergences.transport import distance_cost, optimal_plan
from ganedu.rng import generator

ot = pytest.importorskip("ot", reason="extra ganedu[metrics] is not installed")


def normal(*shape, seed=0):
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


X, Y = normal(30, 2), 0.7 * normal(22, 2, seed=1) + 0.5
A = torch.softmax(normal(30, seed=2), 0)
B = torch.softmax(normal(22, seed=3), 0)
COST = distance_cost(X, Y, 2.0)


@pytest.mark.parametrize("epsilon", [0.05, 0.5, 5.0])
@pytest.mark.parametrize("of", [(None, None), (A, B)], ids=["uniform", "weights"])
def test_the_plan_is_pots_and_has_the_marginals(epsilon, of):
    found = sinkhorn(COST, epsilon, *of, tolerance=1e-10)
    a, b = (
        torch.full((n,), 1 / n, dtype=torch.float64) if w is None else w
        for n, w in zip((30, 22), of, strict=True)
    )
    theirs = ot.sinkhorn(
        a.numpy(), b.numpy(), COST.numpy(), epsilon, method="sinkhorn_log", stopThr=1e-12, numItermax=100_000
    )
    np.testing.assert_allclose(found.plan, theirs, rtol=1e-6, atol=1e-10)
    marginals = (found.plan.sum(1) - a).abs().sum(), (found.plan.sum(0) - b).abs().sum()
    assert float(sum(marginals)) == pytest.approx(found.error, abs=1e-13)
    # The value by its definition, the first line of the module, from POT's plan.
    kl = (theirs * np.log(theirs / np.outer(a, b))).sum()
    assert float(found.value) == pytest.approx(float((theirs * COST.numpy()).sum() + epsilon * kl), rel=1e-9)


def test_without_enough_iterations_it_does_not_pretend():
    with pytest.raises(RuntimeError, match="after 3 iterations the marginals miss the weights by .* 1e-09"):
        sinkhorn(COST, 0.02, tolerance=1e-9, max_iterations=3)


@pytest.mark.parametrize("tolerance", [1e-2, 1e-4, 1e-8])
def test_the_stated_error_is_that_of_the_plan(tolerance):
    found = sinkhorn(COST, 0.05, tolerance=tolerance)
    missed = [(found.plan.sum(axis) - 1 / n).abs().sum() for axis, n in ((1, 30), (0, 22))]
    assert float(sum(missed)) == pytest.approx(found.error, abs=1e-13)
    assert found.error <= tolerance
    # The value of unconverged potentials is a lower bound, off by less than the marginals' error says.
    best = float(sinkhorn(COST, 0.05, tolerance=1e-12).value)
    assert best - 10 * tolerance <= float(found.value) <= best + 1e-12


def test_it_lies_between_exact_transport_and_that_plus_the_entropy():
    """OT <= OT_ε <= OT + ε log min(n, m), for KL(plan || P ⊗ Q) is at most the entropy of either marginal.
    With c / ε up to 20,000, where exp(-c / ε) is 0 in any float."""
    best = float(optimal_plan(COST).cost)
    for epsilon in (1.0, 0.1, 0.01, 1e-3):
        found = float(sinkhorn(COST, epsilon, tolerance=1e-4, max_iterations=100_000).value)
        assert best - 1e-4 <= found <= best + epsilon * math.log(22)
    assert float(COST.max()) / 1e-3 > 5_000


def closed_form(delta, s, t, epsilon):
    """OT_ε of N(0, s²) and N(δ, t²) on the line for cost |x - y|² (Janati et al. 2020, thm. 1, ε = 2 σ²)."""
    half = epsilon / 2
    d = math.sqrt(4 * s**2 * t**2 + half**2)
    return delta**2 + s**2 + t**2 - d + half * (1 - math.log(2 * half)) + half * math.log(d + half)


@pytest.mark.parametrize("epsilon", [0.3, 2.0, 20.0])
def test_gaussians_on_a_grid_have_the_closed_form(epsilon):
    """121 places 0.1 apart: an analytic density on a grid that fine has errors far below 1e-6."""
    grid = torch.linspace(-6, 6, 121, dtype=torch.float64)[:, None]
    laws = [torch.softmax(-0.5 * ((grid[:, 0] - m) / s) ** 2, 0) for m, s in ((0.0, 0.8), (0.6, 0.5))]
    cost = distance_cost(grid, grid, 2.0)
    found = sinkhorn(cost, epsilon, *laws, tolerance=1e-10)
    expect = closed_form(0.6, 0.8, 0.5, epsilon)
    assert float(found.value) == pytest.approx(expect, abs=1e-6)
    debiased = expect - 0.5 * (closed_form(0, 0.8, 0.8, epsilon) + closed_form(0, 0.5, 0.5, epsilon))
    divergence = sinkhorn_divergence(grid, grid, epsilon, 2.0, *laws, tolerance=1e-10)
    assert float(divergence) == pytest.approx(debiased, abs=1e-6)
    # Power: entropy without the product measure, or half the ε, is something else.
    assert abs(closed_form(0.6, 0.8, 0.5, epsilon / 2) - expect) > 1e-3


def test_the_divergence_goes_from_exact_transport_to_the_distance_of_means():
    x, y = X[:20], Y[:20]
    w2 = float(optimal_plan(distance_cost(x, y, 2.0)).cost)
    near = float(sinkhorn_divergence(x, y, 3e-3, tolerance=1e-4, max_iterations=100_000))
    assert near == pytest.approx(w2, rel=0.02)
    means = float((x.mean(0) - y.mean(0)).square().sum())
    assert float(sinkhorn_divergence(x, y, 1e5, tolerance=1e-12)) == pytest.approx(means, rel=1e-3)
    assert means < 0.9 * w2


@pytest.mark.parametrize("p", [1.0, 2.0])
def test_the_divergence_is_zero_on_equal_laws_and_positive_elsewhere(p):
    """The same law as other rows too; OT_ε alone prefers a shrunken copy, the divergence does not."""
    twice = torch.cat([X, X])
    assert abs(float(sinkhorn_divergence(X, X[torch.randperm(30, generator=generator(1))], 0.5, p))) < 1e-6
    assert abs(float(sinkhorn_divergence(X, twice, 0.5, p))) < 1e-6
    shrunk = X.mean(0) + 0.8 * (X - X.mean(0))
    assert sinkhorn_divergence(X, shrunk, 0.5, p) > 1e-3
    biased = [sinkhorn(distance_cost(X, z, p), 2.0).value for z in (X, shrunk)]
    assert biased[1] < biased[0]


def test_the_gradient_in_the_costs_is_the_plan_and_in_the_weights_the_potential():
    cost, a = COST.clone().requires_grad_(), A.clone().requires_grad_()
    found = sinkhorn(cost, 0.3, a, B, tolerance=1e-12)
    by_cost, by_weight = torch.autograd.grad(found.value, (cost, a))
    torch.testing.assert_close(by_cost, found.plan)
    # Differences along directions that keep the sum of the weights.
    for seed in range(3):
        change = normal(30, seed=seed)
        change = (change - change.mean()) * 1e-5
        ends = [float(sinkhorn(COST, 0.3, A + s * change, B, tolerance=1e-12).value) for s in (1, -1)]
        assert float(by_weight @ change) * 2 == pytest.approx(ends[0] - ends[1], rel=1e-5)


@pytest.mark.parametrize("p", [1.0, 2.0])
def test_the_gradient_in_the_points_is_that_of_differences(p):
    x, y = X[:6].clone().requires_grad_(), Y[:5].clone().requires_grad_()

    def value(x, y):
        return sinkhorn_divergence(x, y, 0.5, p, tolerance=1e-13)

    assert torch.autograd.gradcheck(value, (x, y), eps=1e-5, atol=1e-6)


def test_points_that_follow_the_divergence_arrive():
    """Gradient flow of 22 points onto 22 others: the exact cost goes to 0. Along OT_ε alone they
    shrink towards the middle, and it stays."""
    left = []
    for debiased in (True, False):
        x = normal(22, 2, seed=7).requires_grad_()
        for _ in range(40):
            if debiased:
                loss = sinkhorn_divergence(x, Y, 0.3, tolerance=1e-3)
            else:
                loss = sinkhorn(distance_cost(x, Y, 2.0), 0.3, tolerance=1e-3).value
            (slope,) = torch.autograd.grad(loss, x)
            x = (x - 22 * 0.5 * slope).detach().requires_grad_()
        left.append(float(optimal_plan(distance_cost(x.detach(), Y, 2.0)).cost))
    assert left[0] < 0.02 and left[1] > 5 * left[0]


def test_a_zero_weight_is_a_point_that_is_not_there():
    a = torch.cat([A, torch.zeros(1).double()])
    x = torch.cat([X, torch.full((1, 2), 9.0).double()])
    with_zero = sinkhorn(distance_cost(x, Y, 2.0), 0.3, a, B, tolerance=1e-10)
    without = sinkhorn(COST, 0.3, A, B, tolerance=1e-10)
    torch.testing.assert_close(with_zero.value, without.value)
    assert with_zero.f.isfinite().all() and with_zero.plan[-1].sum() == 0


def test_single_precision_in_single_precision_out():
    found = sinkhorn(COST.float(), 0.01, tolerance=1e-6, max_iterations=100_000)
    assert found.value.dtype == torch.float32 and found.plan.dtype == torch.float64
    assert found.error <= 1e-6


@pytest.mark.parametrize("epsilon", [0.5, 0.02])
@pytest.mark.parametrize("of", [(None, None), (A, B)], ids=["uniform", "weights"])
def test_the_divergence_takes_off_the_cost_of_each_sample_to_itself(epsilon, of):
    """Against f and g in turns (``sinkhorn``), which for the samples themselves and ε = 0.02 miss the weights
    by 6e-5 to 1e-4 after 3,000 iterations; their one potential has 1e-8 after 11 to 14."""
    stop = {"tolerance": 1e-8 if epsilon > 0.1 else 2e-3, "max_iterations": 20_000}
    across = sinkhorn(COST, epsilon, *of, tolerance=1e-8).value
    within = [
        sinkhorn(distance_cost(z, z, 2.0), epsilon, w, w, **stop).value
        for z, w in zip((X, Y), of, strict=True)
    ]
    found = sinkhorn_divergence(X, Y, epsilon, 2.0, *of, tolerance=1e-8, max_iterations=2000)
    assert float(found) == pytest.approx(
        float(across - 0.5 * sum(within)), abs=1e-6 if epsilon > 0.1 else 1e-3
    )


def test_a_sample_to_itself_arrives_where_turns_do_not():
    x = normal(80, 2)
    cost = distance_cost(x, x, 2.0)
    with pytest.raises(RuntimeError, match="after 2000 iterations the marginals miss the weights"):
        sinkhorn(cost, 0.03, max_iterations=2000)
    shifted = x + torch.tensor([3.0, 0.0])
    # W_2² of a shift is its square, whatever the law; S_ε of one too, as OT_ε of it is OT_ε(x, x) and 9.
    found = float(sinkhorn_divergence(x, shifted, 3.0, max_iterations=2000))
    assert found == pytest.approx(9.0, abs=1e-5)
    assert float(sinkhorn_divergence(x, 0.5 * normal(60, 2, seed=1), 0.03, max_iterations=2000)) > 0.1


def test_the_divergence_of_single_precision_points_is_not_lost_in_its_three_costs():
    """Costs of 1e4 against a divergence of 0.01: to 1e-4 of what the same points give in double precision."""
    x = 100 * X.float()
    y = x + torch.tensor([0.1, 0.0])
    exact = float(sinkhorn_divergence(x.double(), y.double(), 2e4, tolerance=1e-9))
    found = sinkhorn_divergence(x, y, 2e4, tolerance=1e-9)
    assert found.dtype == torch.float32 and exact == pytest.approx(0.01, rel=0.5)
    assert float(found) == pytest.approx(exact, rel=1e-4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sinkhorn(COST, 0.0), "epsilon: expected a positive number, got 0.0"),
        (lambda: sinkhorn(COST, math.nan), "epsilon: expected a positive number, got nan"),
        (lambda: sinkhorn(COST[0], 1.0), r"cost: expected finite numbers \(n, m\), got shape \(22,\)"),
        (lambda: sinkhorn(COST * math.inf, 1.0), "cost: expected finite numbers"),
        (lambda: sinkhorn(COST, 1.0, B), r"x_weights: expected shape \(30,\), got \(22,\)"),
        (lambda: sinkhorn_divergence(X, Y, 1.0, 0.5), "p: expected a finite number of at least 1, got 0.5"),
    ],
)
def test_what_is_no_problem_of_transport_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("epsilon", [0.1, 0.05])
@pytest.mark.parametrize("n", [20, 50])
def test_of_a_sample_and_itself_or_nearly_itself_it_is_next_to_nothing(n, epsilon):
    """There iterations in plain turns take longer than anywhere: tens of thousands."""
    x = torch.randn(n, 2, generator=generator(n), dtype=torch.float64)
    assert abs(float(sinkhorn_divergence(x, x, epsilon))) < 1e-6
    y = x + 1e-3 * torch.randn(n, 2, generator=generator(1), dtype=torch.float64)
    # For the small ε points move to their own neighbours, and the divergence is at most that transport.
    assert -1e-6 < float(sinkhorn_divergence(x, y, epsilon)) < float((x - y).square().sum(1).mean()) + 1e-6


def test_a_tolerance_that_is_none_is_refused():
    for tolerance in (0.0, -1.0, math.nan):
        with pytest.raises(ValueError, match="tolerance: expected a positive number"):
            sinkhorn(COST, 0.1, tolerance=tolerance)
    with pytest.raises(RuntimeError, match="the marginals miss the weights by"):
        sinkhorn(COST, 1e-310)


@pytest.mark.parametrize("far", [20.0, 1000.0])
def test_a_point_of_weight_0_counts_for_nothing_on_either_side(far):
    more, a = torch.cat([X, X.new_full((1, 2), far)]), torch.cat([A, A.new_zeros(1)])
    exact = float(sinkhorn_divergence(X, Y, 0.5, 2.0, A, B))
    assert float(sinkhorn_divergence(more, Y, 0.5, 2.0, a, B)) == pytest.approx(exact, rel=1e-9)
    assert float(sinkhorn_divergence(Y, more, 0.5, 2.0, B, a)) == pytest.approx(exact, rel=1e-5)
    found = sinkhorn(distance_cost(more, Y, 2.0), 0.5, a, B)
    assert found.plan.isfinite().all() and not found.plan[30].any()


def test_the_gradient_in_the_weights_of_y_is_that_of_differences():
    cost, b = distance_cost(normal(6, 2), normal(5, 2, seed=1), 2.0), normal(5, seed=3).softmax(0)
    b.requires_grad_()
    (slope,) = torch.autograd.grad(sinkhorn(cost, 0.3, None, b, tolerance=1e-12).value, b)
    change = torch.tensor([1, -2, 0.5, 0.3, 0.2]).double() * 1e-5
    change -= change.mean()
    up, down = (float(sinkhorn(cost, 0.3, None, b.detach() + s * change, 1e-12).value) for s in (1, -1))
    assert float(slope @ change) * 2 == pytest.approx(up - down, rel=1e-5)


def test_the_plan_and_the_potentials_carry_no_graph():
    found = sinkhorn(COST.clone().requires_grad_(), 0.3)
    assert found.value.requires_grad and not any(p.requires_grad for p in (found.plan, found.f, found.g))


def test_as_many_iterations_as_are_needed_are_enough():
    needed = sinkhorn(COST, 0.3).iterations
    assert sinkhorn(COST, 0.3, max_iterations=needed).iterations == needed > 1
    with pytest.raises(RuntimeError, match=f"after {needed - 1} iterations"):
        sinkhorn(COST, 0.3, max_iterations=needed - 1)


def test_an_infinite_epsilon_and_points_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="epsilon: expected a positive number, got inf"):
        sinkhorn(COST, math.inf)
    with pytest.raises(ValueError, match="x: expected finite points, got NaN or inf"):
        sinkhorn_divergence(X * math.inf, Y, 0.5)
