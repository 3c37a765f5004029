"""Rings and checkerboard: densities against quadrature, draws against scipy's laws by the DKW bound."""

import math

import pytest
import torch
from scipy import integrate, stats

from ganedu.data import Checkerboard, Rings
from ganedu.rng import generator
from tests.laws import worst

N = 20_000
RINGS, BOARD = Rings(dtype=torch.float64), Checkerboard(dtype=torch.float64)


def uniform_cdf(low, high):
    return lambda x: ((x - low) / (high - low)).clamp(0, 1)


def midpoints(low, high, n):
    side = low + (high - low) * (torch.arange(n, dtype=torch.float64) + 0.5) / n
    return torch.cartesian_prod(side, side), ((high - low) / n) ** 2


@pytest.mark.parametrize("point", [(0.0, 0.0), (0.7, 0.1), (1.0, -1.2), (3.1, 0.4), (0.02, 2.4)])
def test_the_density_of_the_rings_is_the_mean_of_normals_along_them(point):
    def normal(angle, radius):
        square = (point[0] - radius * math.cos(angle)) ** 2 + (point[1] - radius * math.sin(angle)) ** 2
        return math.exp(-0.5 * square / RINGS.std**2) / (2 * math.pi * RINGS.std**2)

    at = math.atan2(point[1], point[0])
    means = [
        integrate.quad(normal, at - math.pi, at + math.pi, (radius,), points=[at], epsabs=0, epsrel=1e-10)[0]
        for radius in RINGS.radii
    ]
    expect = math.log(sum(means) / (2 * math.pi * len(means)))
    found = RINGS.log_prob(torch.tensor([point], dtype=torch.float64)).item()
    assert found == pytest.approx(expect, abs=1e-8)


@pytest.mark.parametrize(("law", "half", "n"), [(RINGS, 3.8, 400), (BOARD, 2.5, 400)], ids=["rings", "board"])
def test_the_density_integrates_to_one(law, half, n):
    x, area = midpoints(-half, half, n)
    assert float(law.log_prob(x).exp().sum()) * area == pytest.approx(1.0, abs=1e-6)


def ring_laws(draws):
    """|x| is a mixture of Rice laws, and the angle uniform."""

    def radius_cdf(r):
        parts = [stats.rice(radius / RINGS.std, scale=RINGS.std).cdf(r.numpy()) for radius in RINGS.radii]
        return torch.from_numpy(sum(parts) / len(parts))

    angle = torch.atan2(draws[:, 1], draws[:, 0])
    return {
        "radius": (draws.norm(dim=1), radius_cdf),
        "angle": (angle, uniform_cdf(-math.pi, math.pi)),
        "angle of the outer half": (angle[draws.norm(dim=1) > 1.875], uniform_cdf(-math.pi, math.pi)),
    }


def test_draws_of_the_rings_have_their_law():
    assert worst(ring_laws(RINGS.sample(N, generator(0))))[0] < 1


@pytest.mark.parametrize(
    "wrong",
    [Rings(std=0.11), Rings(radii=(1.5, 2.25, 3.0)), Rings(radii=(0.75, 1.5, 2.25, 2.95))],
    ids=["wider", "a ring lost", "a ring moved"],
)
def test_the_same_test_rejects_other_rings(wrong):
    assert worst(ring_laws(wrong.sample(N, generator(0)).double()))[0] > 1


def board_laws(draws):
    """Coordinates are uniform; so is the place within a square; and half of the mass is above the middle
    of every column."""
    laws = {f"coordinate {i}": (draws[:, i], uniform_cdf(-2, 2)) for i in range(2)}
    laws |= {f"place {i}": (draws[:, i] % 1, uniform_cdf(0, 1)) for i in range(2)}
    for column in range(-2, 2):
        inside = draws[draws[:, 0].floor() == column]
        laws[f"column {column}"] = (inside[:, 1] - column % 2, lambda y: board_column(y))
    return laws


def board_column(y):
    """The distribution function of y on [-2, -1] and [0, 1], half of the mass on each."""
    return 0.5 * (y + 2).clamp(0, 1) + 0.5 * y.clamp(0, 1)


def test_draws_of_the_checkerboard_have_their_law():
    draws = BOARD.sample(N, generator(1))
    assert worst(board_laws(draws))[0] < 1
    assert torch.equal(BOARD.log_prob(draws), torch.full((N,), -math.log(8.0), dtype=torch.float64))


def test_the_same_test_rejects_another_board():
    draws = BOARD.sample(N, generator(1))
    turned, shrunk = draws * torch.tensor([-1.0, 1.0]), 0.95 * draws
    assert worst(board_laws(turned))[0] > 1 and worst(board_laws(shrunk))[0] > 1
    assert BOARD.log_prob(turned).eq(-math.inf).all()


def test_single_precision_draws_no_point_off_the_board():
    draws = Checkerboard().sample(200_000, generator(2))
    assert draws.dtype == torch.float32 and Checkerboard().log_prob(draws).isfinite().all()
    corner = torch.tensor([[2.0, 2.0], [-2.1, -2.1], [0.5, 0.5], [0.5, -0.5]])
    assert BOARD.log_prob(corner).isfinite().tolist() == [False, False, True, False]


@pytest.mark.parametrize("law", [Rings(), Checkerboard()], ids=["rings", "board"])
def test_draws_depend_on_the_generator_alone(law):
    torch.manual_seed(0)
    first = law.sample(50, generator(1))
    torch.manual_seed(1)
    assert torch.equal(first, law.sample(50, generator(1)))
    assert first.shape == (50, 2) and first.dtype == law.log_prob(first).dtype == torch.float32


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Rings(radii=()), "radii: expected positive numbers"),
        (lambda: Rings(radii=(1.0, -1.0)), "radii: expected positive numbers"),
        (lambda: Rings(std=math.nan), "std: expected a positive number, got nan"),
        (lambda: RINGS.log_prob(torch.zeros(3, 1)), r"x: expected shape \(n, 2\), got \(3, 1\)"),
        (lambda: BOARD.log_prob(torch.zeros(3)), r"x: expected shape \(n, 2\), got \(3,\)"),
    ],
)
def test_bad_input_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.gpu
@pytest.mark.parametrize("law", [RINGS, BOARD], ids=["rings", "board"])
def test_on_a_gpu_the_density_is_that_of_a_cpu(law):
    draws = law.sample(1000, torch.Generator("cuda").manual_seed(0))
    assert draws.is_cuda
    torch.testing.assert_close(law.log_prob(draws).cpu(), law.log_prob(draws.cpu()))
