"""Transport on the line, sliced and exact: against scipy, POT, closed forms and each other."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment, linprog
from scipy.stats import wasserstein_distance

from ganedu.divergences.transport import (
    cost_1d,
    distance_cost,
    optimal_plan,
    random_directions,
    sliced_cost,
    wasserstein,
)
from ganedu.rng import generator

ot = pytest.importorskip("ot", reason="extra ganedu[metrics] is not installed")


def normal(*shape, seed=0):
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


def weights(n, seed):
    """A distribution with a zero in it."""
    raw = torch.rand(n, generator=generator(seed), dtype=torch.float64)
    raw[n // 2] = 0.0
    return raw / raw.sum()


def program(cost, a, b):
    """The linear program itself, by scipy's solver: min <plan, cost> with both marginals given."""
    n, m = cost.shape
    rows, columns = np.kron(np.eye(n), np.ones(m)), np.kron(np.ones(n), np.eye(m))
    found = linprog(cost.ravel(), A_eq=np.vstack([rows, columns]), b_eq=np.concatenate([a, b]))
    return found.fun


CASES = {  # x, y and their weights
    "equal sizes": (normal(40), normal(40, seed=1) + 0.5, None, None),
    "two sizes": (normal(40), normal(27, seed=1) + 0.5, None, None),
    "weights": (normal(40), normal(27, seed=1) + 0.5, weights(40, 2), weights(27, 3)),
    "one side's weights": (normal(30), normal(30, seed=1), weights(30, 2), None),
    "ties": (normal(40).round(), normal(25, seed=1).round(), None, weights(25, 3)),
    "one point": (normal(1), normal(9, seed=1), None, None),
}


@pytest.mark.parametrize("name", CASES)
def test_w1_on_the_line_is_scipys(name):
    x, y, a, b = CASES[name]
    expect = wasserstein_distance(x, y, a, b)
    assert float(cost_1d(x, y, 1.0, a, b)) == pytest.approx(expect, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0, 3.0])
@pytest.mark.parametrize("name", CASES)
def test_on_the_line_sorting_solves_the_linear_program(name, p):
    x, y, a, b = CASES[name]
    of = [
        torch.full((len(v),), 1 / len(v), dtype=torch.float64) if w is None else w
        for v, w in ((x, a), (y, b))
    ]
    expect = program((x[:, None] - y).abs().pow(p).numpy(), *(w.double().numpy() for w in of))
    assert float(cost_1d(x, y, p, a, b)) == pytest.approx(expect, rel=1e-6, abs=1e-9)
    assert float(optimal_plan(distance_cost(x[:, None], y[:, None], p), a, b).cost) == pytest.approx(
        expect, rel=1e-6
    )


def test_many_lines_at_once_are_each_alone():
    x, y, a, b = normal(4, 3, 11), normal(4, 3, 7, seed=1), weights(11, 2), weights(7, 3)
    for of in ((None, None), (a, b)):
        found = cost_1d(x, y, 2.0, *of)
        alone = torch.stack([cost_1d(x[i, j], y[i, j], 2.0, *of) for i in range(4) for j in range(3)])
        torch.testing.assert_close(found, alone.view(4, 3))
    assert torch.autograd.gradcheck(lambda x, y: cost_1d(x, y, 2.0, a, b), (x.requires_grad_(), y))


def test_gaussians_on_the_line_are_as_far_as_their_means_and_widths():
    """W_2² = (m - m')² + (s - s')², W_1 of a shift is the shift; quantiles at (i + ½)/n, n = 20,000, which
    leave out tails worth less than 1e-3."""
    u = (torch.arange(20_000, dtype=torch.float64) + 0.5) / 20_000
    z = torch.special.ndtri(u)
    assert float(
        cost_1d(z, 1.5 + 2 * z[torch.randperm(20_000, generator=generator(0))], 2.0)
    ) == pytest.approx(1.5**2 + 1.0, abs=1e-3)
    assert float(cost_1d(z, z[::2] - 0.7)) == pytest.approx(0.7, abs=1e-3)


POINTS, OTHERS = normal(60, 3), 0.8 * normal(45, 3, seed=1) + 0.3


@pytest.mark.parametrize("p", [1.0, 2.0])
def test_the_exact_cost_is_that_of_the_linear_program_and_of_the_assignment(p):
    a, b = weights(60, 2), weights(45, 3)
    cost = distance_cost(POINTS, OTHERS, p)
    found = optimal_plan(cost, a, b)
    assert float(found.cost) == pytest.approx(program(cost.numpy(), a.numpy(), b.numpy()), rel=1e-8)
    torch.testing.assert_close(found.plan.sum(1), a)
    torch.testing.assert_close(found.plan.sum(0), b)
    assert (found.plan >= 0).all()
    square = cost[:45]
    rows, columns = linear_sum_assignment(square)
    assert float(optimal_plan(square).cost) == pytest.approx(float(square[rows, columns].mean()), rel=1e-12)
    root = float(square[rows, columns].mean()) ** (1 / p)
    assert wasserstein(POINTS[:45], OTHERS, p) == pytest.approx(root, rel=1e-12)
    # Power: pairs in the order of the rows are dearer.
    assert float(square.diagonal().mean()) > 1.1 * float(optimal_plan(square).cost)


def test_the_gradient_of_the_exact_cost_is_that_of_differences():
    x, y = POINTS[:7].clone().requires_grad_(), OTHERS[:5].clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda x, y: optimal_plan(distance_cost(x, y, 2.0)).cost, (x, y))
    assert torch.autograd.gradcheck(lambda x, y: optimal_plan(distance_cost(x, y, 1.0)).cost, (x, y))


def test_where_points_meet_the_gradient_is_zero_and_not_nan():
    x = POINTS[:3].clone().requires_grad_()
    (slope,) = torch.autograd.grad(distance_cost(x, x.detach()).diagonal().sum(), x)
    assert torch.equal(slope, torch.zeros_like(x))


@pytest.mark.parametrize("theta", [-2.0, -0.3, 0.7, 3.0])
def test_parallel_lines_are_as_far_as_they_look(theta):
    """(0, Z) and (θ, Z) at the same places: W_1 = |θ|, W_2² = θ², and θ where the seed slide says so only
    for θ >= 0. Far apart or near, with 40 draws each, W_1 of the samples lies between |θ| and |θ| + W_1 of
    the Zs."""
    z = torch.rand(2, 40, generator=generator(0), dtype=torch.float64)
    line = [torch.stack([torch.full_like(z[0], at), z[0]], 1) for at in (0.0, theta)]
    assert wasserstein(*line) == pytest.approx(abs(theta), rel=1e-12)
    assert wasserstein(*line, p=2.0) == pytest.approx(abs(theta), rel=1e-12)
    drawn = torch.stack([torch.full_like(z[1], theta), z[1]], 1)
    assert abs(theta) < wasserstein(line[0], drawn) < abs(theta) + float(cost_1d(z[0], z[1]))


@pytest.mark.parametrize("p", [1.0, 2.0])
def test_sliced_costs_are_pots(p):
    lines = random_directions(50, 3, generator(5))
    a, b = weights(60, 2), weights(45, 3)
    for of in ((None, None), (a, b)):
        found = float(sliced_cost(POINTS, OTHERS, lines, p, *of))
        arrays = [None if w is None else w.numpy() for w in of]
        theirs = ot.sliced_wasserstein_distance(
            POINTS.numpy(), OTHERS.numpy(), *arrays, p=p, projections=lines.numpy().T
        )
        assert found == pytest.approx(theirs**p, rel=1e-8)
        assert found < float(optimal_plan(distance_cost(POINTS, OTHERS, p), *of).cost)


def test_a_shift_costs_its_square_over_the_dimension():
    """|s|² / d on average over the sphere: 20,000 directions, to 5 standard errors (one false alarm in 1.7
    million). Directions from a cube instead of a ball are off by more."""
    shift = torch.tensor([3.0, 0.0, 0.0, 0.0]).double()
    x = normal(20, 4)
    rng = generator(6)
    lines = random_directions(20_000, 4, rng)
    torch.testing.assert_close(lines.norm(dim=1), torch.ones(20_000).double())
    per_line = (lines @ shift).square()
    error = 5 * float(per_line.std()) / math.sqrt(20_000)
    assert abs(float(sliced_cost(x, x + shift, lines)) - 9 / 4) < error
    # Along few given lines it is exact.
    few = torch.eye(4).double()[:2]
    assert float(sliced_cost(x, x + shift, few)) == pytest.approx(4.5)
    # The fourth moment tells a cube from a ball: E cos⁴ = 3 / (d (d + 2)) on the sphere.
    cube = 2 * torch.rand(20_000, 4, generator=rng, dtype=torch.float64) - 1
    cube = cube / cube.norm(dim=1, keepdim=True)
    quartic = [part[:, 0].pow(4) for part in (lines, cube)]
    scores = [float((q.mean() - 0.125) / q.std() * math.sqrt(20_000)) for q in quartic]
    assert abs(scores[0]) < 5 < abs(scores[1])


def test_images_are_as_far_as_their_numbers_in_a_row():
    x, y = POINTS[:6].reshape(6, 3, 1, 1), OTHERS[:4].reshape(4, 3, 1, 1)
    assert wasserstein(x, y) == wasserstein(POINTS[:6], OTHERS[:4])
    assert torch.equal(distance_cost(x, y), distance_cost(POINTS[:6], OTHERS[:4]))
    assert distance_cost(POINTS.float(), OTHERS).dtype == torch.float64
    lines = random_directions(3, 3, generator(5)).float()
    torch.testing.assert_close(
        sliced_cost(POINTS.float(), OTHERS, lines), sliced_cost(POINTS, OTHERS, lines), rtol=1e-5, atol=0
    )


def test_sliced_costs_have_gradients():
    lines = random_directions(5, 3, generator(5))
    x, y = POINTS[:6].clone().requires_grad_(), OTHERS[:4].clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda x, y: sliced_cost(x, y, lines), (x, y))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: cost_1d(normal(3), normal(3), 0.5), "p: expected a finite number of at least 1, got 0.5"),
        (lambda: cost_1d(normal(2, 3), normal(3, 3)), r"x, y: expected shapes .*\(2, 3\) and \(3, 3\)"),
        (lambda: cost_1d(normal(0), normal(3)), r"n, m > 0, got \(0,\) and \(3,\)"),
        (
            lambda: cost_1d(normal(3), normal(3), 1, torch.ones(3)),
            "x_weights: expected a distribution, got the sum 3",
        ),
        (
            lambda: cost_1d(normal(3), normal(2), 1, None, torch.ones(3) / 3),
            r"y_weights: expected shape \(2,\)",
        ),
        (lambda: optimal_plan(normal(2, 2), torch.tensor([1.5, -0.5])), "x_weights: .* the least -0.5"),
        (lambda: optimal_plan(torch.full((2, 2), math.nan)), "cost: .*, got NaN or infinity among them"),
        (lambda: wasserstein(normal(3, 2), normal(3, 1)), r"y: expected points of shape \(2,\), got \(1,\)"),
        (
            lambda: sliced_cost(POINTS, OTHERS, normal(4, 2)),
            r"directions: expected shape \(l, 3\), l > 0, got \(4, 2\)",
        ),
        (lambda: sliced_cost(POINTS, OTHERS, 2 * torch.eye(3)), "directions: expected unit vectors"),
        (
            lambda: sliced_cost(POINTS, OTHERS, torch.eye(3) + torch.eye(3)[:, :1] * torch.eye(3)),
            "directions: expected unit vectors, got lengths from 1 to 2",
        ),
        (lambda: random_directions(0, 3, generator(0)), "count: expected an int of at least 1, got 0"),
    ],
)
def test_what_is_no_distribution_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_without_pot_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ot", None)
    with pytest.raises(ImportError, match=r"exact transport needs POT: pip install 'ganedu\[metrics\]'"):
        optimal_plan(normal(2, 2).square())


def test_whole_numbers_are_points_like_others():
    x, y = torch.tensor([0, 1, 5]), torch.tensor([0, 2])
    assert float(cost_1d(x, y)) == pytest.approx(wasserstein_distance(x.numpy(), y.numpy()), abs=1e-12)
    cost = torch.tensor([[0, 2], [1, 1], [5, 3]])
    assert float(optimal_plan(cost).cost) == pytest.approx(float(optimal_plan(cost.double()).cost), abs=1e-6)


def test_a_large_power_keeps_its_digits_and_an_infinite_one_is_refused():
    """W_p of two single points is their distance; of n it is the bottleneck's at most, and n^(-1/p) of it."""
    assert wasserstein(torch.zeros(1, 2), torch.tensor([[0.3, 0.4]]), p=1000.0) == pytest.approx(0.5)
    x, y = normal(6, 2, seed=1), normal(6, 2, seed=2)
    apart = distance_cost(x, y).numpy()
    orders = itertools.permutations(range(6))
    bottleneck = min(max(apart[i, j] for i, j in enumerate(order)) for order in orders)
    assert 6 ** (-1 / 50) * bottleneck <= wasserstein(x, y, p=50.0) <= bottleneck
    assert wasserstein(x, x, p=3.0) == 0.0
    for call in (wasserstein, lambda x, y, p: cost_1d(x[:, 0], y[:, 0], p)):
        with pytest.raises(ValueError, match="p: expected a finite number of at least 1, got inf"):
            call(x, y, p=math.inf)


@pytest.mark.parametrize("power", [1.0, 2.0, 3.0])
def test_points_of_weight_0_count_for_nothing_however_far_they_are(power):
    """Ten times 0.1 is 1 - 1e-16 in a running sum, and the rest of 1 went to the last point."""
    x = torch.tensor([0.0] * 10 + [1e9], dtype=torch.float64)
    weights = torch.tensor([0.1] * 10 + [0.0], dtype=torch.float64)
    assert float(cost_1d(x, torch.zeros(1, dtype=torch.float64), power, weights)) == 0.0
    for seed in range(20):
        x, y, weights = (
            normal(50, seed=seed),
            normal(30, seed=seed + 100),
            torch.rand(50, generator=generator(seed)),
        )
        weights[:5] = 0.0
        weights = weights.double() / weights.double().sum()
        far = torch.cat([x[:5] + 1e9, x[5:]])
        expected = cost_1d(x[5:], y, power, weights[5:])
        torch.testing.assert_close(cost_1d(far, y, power, weights), expected, rtol=1e-10, atol=0.0)


def test_weights_are_those_of_their_own_side():
    x, y = normal(30), normal(30, seed=1) + 0.5
    a, b = weights(30, 2), weights(30, 3)
    theirs = wasserstein_distance(x, y, a, b)
    assert wasserstein(x[:, None], y[:, None], 1.0, a, b) == pytest.approx(theirs, rel=1e-9)
    theirs = wasserstein_distance(x, y, None, b)
    assert float(cost_1d(x, y, 1.0, None, b)) == pytest.approx(theirs, rel=1e-9)


@pytest.mark.parametrize("far", [20.0, 1e6, 1e12])
def test_a_point_of_weight_0_counts_for_nothing_however_far(far):
    x, y = normal(30, 1), normal(20, 1, seed=1) + 0.5
    more, a = torch.cat([x, x.new_full((1, 1), far)]), torch.cat([x.new_full((30,), 1 / 30), x.new_zeros(1)])
    exact = wasserstein_distance(x[:, 0], y[:, 0])
    assert wasserstein(more, y, 1.0, a) == pytest.approx(exact, rel=1e-12)
    assert wasserstein(more, y, 3.0, a) == pytest.approx(float(cost_1d(x[:, 0], y[:, 0], 3.0)) ** (1 / 3))
    found = optimal_plan(distance_cost(more, y, 3.0), a)
    assert float(found.cost) == pytest.approx(float(cost_1d(x[:, 0], y[:, 0], 3.0)))
    assert found.plan.shape == (31, 20) and not found.plan[30].any()


def test_directions_are_the_generators():
    one, again = (random_directions(4, 3, generator(7)) for _ in range(2))
    assert torch.equal(one, again) and not torch.equal(one, random_directions(4, 3, generator(8)))


def test_the_finer_precision_is_that_of_the_result_on_every_path():
    for n in (5, 4):
        x, y = normal(5), normal(n, seed=1)
        assert cost_1d(x, y.float()).dtype == cost_1d(x.float(), y).dtype == torch.float64
        assert cost_1d(x.float(), y.float()).dtype == torch.float32
        assert cost_1d(x.bfloat16(), y.bfloat16()).dtype == torch.float32
        found = optimal_plan(distance_cost(x.float()[:, None], y.float()[:, None]))
        assert found.cost.dtype == torch.float32 and found.plan.dtype == torch.float64
    x, y = (1 + normal(999)).bfloat16(), (1.05 + normal(999, seed=1)).bfloat16()
    assert float(cost_1d(x, y)) == pytest.approx(wasserstein_distance(x.double(), y.double()), rel=1e-5)
    x, y = torch.tensor([[0.1], [0.7]]), torch.tensor([[1.3], [2.9]])
    assert wasserstein(x, y) == pytest.approx(float((y.double() - x.double()).mean()), rel=1e-13)


def test_slices_are_taken_in_full_precision_under_autocast():
    x, y = normal(40, 3).float() + 20, normal(40, 3, seed=1).float() + 20.1
    exact = np.mean([wasserstein_distance(x[:, i], y[:, i]) for i in range(3)])
    with torch.autocast("cpu", torch.bfloat16):
        found = sliced_cost(x, y, torch.eye(3), 1.0)
    assert found.dtype == torch.float32 and float(found) == pytest.approx(exact, rel=1e-5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: wasserstein(normal(4, 2), normal(4, 2) * math.nan), "y: expected finite points, got NaN"),
        (lambda: wasserstein(normal(4, 2) * math.nan, normal(4, 2)), "x: expected finite points, got NaN"),
        (
            lambda: optimal_plan(normal(2, 3).square(), None, normal(2).softmax(0)),
            r"y_weights: expected shape \(3,\), got \(2,\)",
        ),
        (lambda: cost_1d(normal(3), normal(0)), "n, m > 0"),
        (
            lambda: sliced_cost(normal(4, 3), normal(4, 3), torch.zeros(0, 3)),
            r"directions: expected shape \(l, 3\), l > 0, got \(0, 3\)",
        ),
        (
            lambda: sliced_cost(normal(4, 3), normal(4, 3), torch.full((2, 3), math.nan)),
            "directions: expected unit vectors",
        ),
        (
            lambda: cost_1d(normal(3), normal(2), 1.0, torch.tensor([0.5, 0.3, 0.201])),
            "x_weights: expected a distribution, got the sum 1.001",
        ),
    ],
)
def test_what_can_not_be_transported_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_weights_whose_sum_is_off_by_rounding_are_divided_by_it():
    a = torch.tensor([0.5, 0.3, 0.2]).double() * (1 + 8e-6)
    assert float(optimal_plan(normal(3, 2).square(), a).plan.sum()) == pytest.approx(1.0, abs=1e-14)


@pytest.mark.filterwarnings("ignore")
def test_a_simplex_that_gives_up_says_so(monkeypatch):
    monkeypatch.setattr("ganedu.divergences.transport.PIVOTS", 1)
    with pytest.raises(RuntimeError, match="exact transport: POT says"):
        optimal_plan(distance_cost(normal(30, 2), normal(30, 2, seed=1)))
