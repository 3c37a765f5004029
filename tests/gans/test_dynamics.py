"""The small games of lecture 6: fields beside autograd of their values, steps beside theorems."""

import math

import pytest
import torch

from ganedu.gans import dynamics as games
from ganedu.gans import minimax, non_saturating, wasserstein
from ganedu.gans.penalties import r1, r2
from tests.gans.tables import Formula


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


POINTS = 1.5 * normal(40, 2)
START = torch.tensor([1.0, 0.5], dtype=torch.float64)
ZERO = torch.zeros(2, dtype=torch.float64)

VALUES = {
    "xy": (games.bilinear, lambda x, y: x * y),
    "saddle": (games.saddle(0.3), lambda x, y: x * y + 0.15 * (x**2 - y**2)),
    "cubic": (games.cubic(), lambda x, y: x * y**2),
    "cubic, delta": (games.cubic(0.3), lambda x, y: x * y**2 + 0.15 * (x**2 - y**2)),
    "minimax": (games.dirac_minimax, lambda x, y: math.log(0.5) - torch.log1p((x * y).exp())),
    "Wasserstein": (games.dirac_wasserstein, lambda x, y: -x * y),
    "minimax, R1": (
        games.with_r1(games.dirac_minimax, 0.4),
        lambda x, y: -torch.log1p((x * y).exp()) - 0.2 * y**2,
    ),
}


@pytest.mark.parametrize("name", VALUES)
def test_a_field_is_downhill_for_x_and_uphill_for_y(name):
    field, value = VALUES[name]
    x, y = (column.clone().requires_grad_() for column in POINTS.unbind(1))
    by_x, by_y = torch.autograd.grad(value(x, y).sum(), [x, y])
    torch.testing.assert_close(field(POINTS), torch.stack([-by_x, by_y], 1))
    torch.testing.assert_close(field(POINTS.reshape(4, 10, 2)).reshape(-1, 2), field(POINTS))
    if name != "xy":  # Power: the other's field is not this one's.
        assert (field(POINTS) - games.bilinear(POINTS)).abs().max() > 0.1


@pytest.mark.parametrize(
    ("objective", "field"),
    [
        (minimax, games.dirac_minimax),
        (non_saturating, games.dirac_non_saturating),
        (wasserstein, games.dirac_wasserstein),
    ],
)
@pytest.mark.parametrize("gamma", [0.0, 0.6])
def test_dirac_fields_are_those_of_the_librarys_own_losses(objective, field, gamma):
    """Data at 0, one fake at x, the critic y s: gradients of the two losses, and of R1 or R2."""
    field = games.with_r1(field, gamma) if gamma else field
    for z in POINTS[:8]:
        for penalty in (r1, r2):
            x, y = (value.clone().requires_grad_() for value in z)
            critic = Formula(lambda s, y=y: y * s)
            real = torch.zeros(1, dtype=torch.float64)
            loss = objective.critic_loss(critic, real, x.detach()[None])
            if gamma:
                loss = loss + gamma * penalty(critic, real, x.detach()[None])
            (by_y,) = torch.autograd.grad(loss, y)
            (by_x,) = torch.autograd.grad(objective.generator_loss(critic, x[None]), x)
            torch.testing.assert_close(field(z), -torch.stack([by_x, by_y]), rtol=1e-12, atol=1e-12)


def pair(real, imaginary=0.0):
    return [complex(real, -imaginary), complex(real, imaginary)]


def root(gamma, a):
    """Mescheder et al. (2018): λ = -γ/2 ± sqrt(γ²/4 - a²)."""
    inside = gamma**2 / 4 - a**2
    if inside < 0:
        return pair(-gamma / 2, math.sqrt(-inside))
    return [-gamma / 2 - math.sqrt(inside), -gamma / 2 + math.sqrt(inside)]


EIGENVALUES = {
    "xy": (games.bilinear, pair(0, 1)),
    "saddle": (games.saddle(0.3), pair(-0.3, 1)),
    "cubic": (games.cubic(0.3), pair(-0.3)),
    "minimax": (games.dirac_minimax, pair(0, 0.5)),
    "non-saturating": (games.dirac_non_saturating, pair(0, 0.5)),
    "Wasserstein": (games.dirac_wasserstein, pair(0, 1)),
    "R1, slow": (games.with_r1(games.dirac_non_saturating, 0.3), root(0.3, 0.5)),
    "R1, minimax": (games.with_r1(games.dirac_minimax, 0.3), root(0.3, 0.5)),
    "R1, critical": (games.with_r1(games.dirac_minimax, 1.0), pair(-0.5)),
    "R1, overdamped": (games.with_r1(games.dirac_non_saturating, 3.0), root(3.0, 0.5)),
    "R1, Wasserstein": (games.with_r1(games.dirac_wasserstein, 1.0), root(1.0, 1.0)),
    "consensus": (games.with_consensus(games.dirac_non_saturating, 0.8), pair(-0.8 / 4, 0.5)),
    "consensus, minimax": (games.with_consensus(games.dirac_minimax, 0.8), pair(-0.8 / 4, 0.5)),
    "consensus, xy": (games.with_consensus(games.bilinear, 0.8), pair(-0.8, 1)),
}


@pytest.mark.parametrize("name", EIGENVALUES)
def test_the_equilibrium_has_the_eigenvalues_of_the_paper(name):
    field, expected = EIGENVALUES[name]
    torch.testing.assert_close(field(ZERO), ZERO)
    found = sorted(games.eigenvalues(field).tolist(), key=lambda v: (round(v.real, 6), v.imag))
    # A double root is known to the square root of the rounding.
    assert found == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize("name", VALUES)
def test_the_jacobian_is_that_of_differences(name):
    field, _ = VALUES[name]
    columns = [(field(START + h) - field(START - h)) / 2e-5 for h in 1e-5 * torch.eye(2).double()]
    torch.testing.assert_close(games.jacobian(field, START), torch.stack(columns, 1), atol=1e-8, rtol=0)


def test_consensus_is_the_field_less_the_gradient_of_half_its_square():
    field = games.dirac_non_saturating
    z = POINTS.clone().requires_grad_()
    (pull,) = torch.autograd.grad(0.5 * field(z).square().sum(), z)
    expected = field(POINTS) - 0.7 * pull
    torch.testing.assert_close(games.with_consensus(field, 0.7)(POINTS), expected)
    # Power: J v in the place of Jᵀ v.
    forward = torch.stack([games.jacobian(field, p) @ field(p) for p in POINTS])
    assert (field(POINTS) - 0.7 * forward - expected).abs().max() > 0.1


@pytest.mark.parametrize("step_size", [0.01, 0.3, 2.0])
def test_simultaneous_steps_on_xy_grow_by_the_root_of_one_plus_the_step_squared(step_size):
    """Seed slide 003 has them "enter a stable orbit"."""
    radius = games.play(games.bilinear, START, step_size, 50).norm(dim=-1)
    torch.testing.assert_close(radius[1:] / radius[:-1], torch.full((50,), 1 + step_size**2).double().sqrt())


@pytest.mark.parametrize("step_size", [0.1, 1.0, 1.9])
def test_alternating_steps_on_xy_stay_on_an_ellipse(step_size):
    """x² + y² + η x y is kept, so that the radius stays within the root of (2 + η)/(2 - η) of the first."""
    way = games.play(games.bilinear, START, step_size, 2000, games.alternating)
    x, y = way.unbind(-1)
    kept = x.square() + y.square() + step_size * x * y
    torch.testing.assert_close(kept, kept[:1].expand_as(kept), rtol=1e-9, atol=0)
    spread = math.sqrt((2 + step_size) / (2 - step_size))
    assert way.norm(dim=-1).max() / way.norm(dim=-1).min() <= spread + 1e-9
    away = games.play(games.bilinear, START, step_size, 500)
    assert away[-1].norm() > 2 * spread * START.norm()


def test_alternating_steps_of_two_are_too_long():
    """At η = 2 the map has the double eigenvalue -1 and grows in a line; beyond it, geometrically."""
    way = games.play(games.bilinear, START, 2.01, 200, games.alternating).norm(dim=-1)
    assert way[-1] > 1e6


def test_alternating_is_the_critic_first():
    """One step by hand: y = 0.5 + 0.1 · 1, and then x = 1 - 0.1 · 0.6."""
    after = games.alternating(games.bilinear, START, 0.1)
    assert after.tolist() == pytest.approx([0.94, 0.6])
    assert games.simultaneous(games.bilinear, START, 0.1).tolist() == pytest.approx([0.95, 0.6])


def test_in_continuous_time_xy_orbits():
    times = torch.linspace(0, 4 * math.pi, 9, dtype=torch.float64)
    way = games.flow(games.bilinear, START, times)
    c, s = times.cos(), times.sin()
    expected = torch.stack([c * START[0] - s * START[1], s * START[0] + c * START[1]], -1)
    torch.testing.assert_close(way, expected, rtol=0, atol=1e-6)


def test_in_continuous_time_the_saddle_is_a_spiral():
    times = torch.linspace(0, 5, 11, dtype=torch.float64)
    radius = games.flow(games.saddle(0.3), START, times).norm(dim=-1)
    torch.testing.assert_close(radius, START.norm() * (-0.3 * times).exp(), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("delta", [0.0, 0.3])
def test_in_continuous_time_the_cubic_game_loses_2x2_plus_y2_at_a_known_rate(delta):
    times = torch.linspace(0, 12, 13, dtype=torch.float64)
    way = games.flow(games.cubic(delta), torch.stack([START, 2 * START]), times)
    kept = (way.square() * torch.tensor([2.0, 1.0])).sum(-1)
    expected = kept[0] * (-2 * delta * times).exp()[:, None]
    torch.testing.assert_close(kept, expected, rtol=1e-5, atol=1e-8)
    if delta == 0:  # it ends on the line y = 0 at x = -sqrt(Q/2), and not at 0
        torch.testing.assert_close(way[-1, :, 0], -(kept[0] / 2).sqrt(), rtol=1e-4, atol=0)


def test_in_continuous_time_the_dirac_gan_runs_round_a_level_of_its_own():
    """x² + y² is kept by the minimax game, whose players are equally fast at every point."""
    times = torch.linspace(0, 30, 31, dtype=torch.float64)
    radius = games.flow(games.dirac_minimax, START, times).norm(dim=-1)
    torch.testing.assert_close(radius, radius[:1].expand_as(radius), rtol=1e-6, atol=0)


DAMPED = {
    "R1": games.with_r1(games.dirac_non_saturating, 0.5),
    "R1, Wasserstein": games.with_r1(games.dirac_wasserstein, 0.5),
    "consensus": games.with_consensus(games.dirac_non_saturating, 1.0),
}


@pytest.mark.parametrize("update", [games.simultaneous, games.alternating])
@pytest.mark.parametrize("name", DAMPED)
def test_with_r1_or_consensus_the_dirac_gan_comes_to_rest(name, update):
    assert games.play(DAMPED[name], START, 0.2, 1000, update)[-1].norm() < 1e-6


@pytest.mark.parametrize("field", [games.dirac_minimax, games.dirac_wasserstein])
def test_without_them_it_does_not(field):
    way = games.play(field, START, 0.2, 1000)
    assert way[-1].norm() > START.norm()
    assert games.play(field, START, 0.2, 1000, games.alternating)[-500:].norm(dim=-1).min() > 0.8


@pytest.mark.parametrize("step_size", [0.05, 0.2])
def test_the_non_saturating_dirac_gan_circles_at_the_root_of_twice_the_step(step_size):
    """To 3%, that being the next order; from within and from without."""
    starts = torch.stack([0.2 * START, 0.8 * START])
    way = games.play(games.dirac_non_saturating, starts, step_size, 10_000)
    radius = way[-200:].norm(dim=-1)
    torch.testing.assert_close(radius, torch.full_like(radius, math.sqrt(2 * step_size)), rtol=0.03, atol=0)


def test_in_continuous_time_the_non_saturating_dirac_gan_comes_in_like_the_root_of_eight_over_t():
    turns = 4 * math.pi * torch.tensor([0.0, 5.0, 10.0], dtype=torch.float64)
    radius = games.flow(games.dirac_non_saturating, 0.1 * START, turns).norm(dim=-1)
    gained = radius[1:] ** -2 - radius[0] ** -2
    torch.testing.assert_close(gained, turns[1:] / 8, rtol=1e-2, atol=0)


def test_steps_near_the_equilibrium_contract_as_the_eigenvalues_say():
    """Per step by |1 + η λ|, over 200 steps from a point 1e-6 away."""
    field, eta = games.with_r1(games.dirac_non_saturating, 0.3), 0.1
    way = games.play(field, 1e-6 * START, eta, 400)
    expected = abs(1 + eta * complex(games.eigenvalues(field)[0]))
    found = float(way[-1].norm() / way[200].norm()) ** (1 / 200)
    assert found == pytest.approx(expected, abs=3e-3) and expected < 0.99


def square(field, z):
    """J = ½ |v|²."""
    return 0.5 * field(z).square().sum(-1)


@pytest.mark.parametrize("delta", [0.1, 0.5, 1.0, 3.0])
def test_the_rate_of_the_f_gan_theorem_is_tight_on_the_saddle(delta):
    """L is the norm of J's Hessian, by autograd. The rate with 2L that the slide before prints is loose."""
    field = games.saddle(delta)
    hessian = torch.autograd.functional.hessian(lambda z: square(field, z), START)
    smooth = float(torch.linalg.eigvalsh(hessian).max())
    assert smooth == pytest.approx(1 + delta**2)
    way = square(field, games.play(field, POINTS, delta / smooth, 10))
    ratio = (way[1:] / way[:-1]).flatten()
    torch.testing.assert_close(ratio, torch.full_like(ratio, 1 - delta**2 / smooth))
    assert (ratio < 1 - delta**2 / (2 * smooth) - 1e-3).all()
    # Tight: a little more is not had.
    assert (ratio > 1 - 1.01 * delta**2 / smooth).all()


def test_no_strongly_convex_concave_quadratic_is_slower_than_the_rate():
    """F = ½ xᵀ A x + xᵀ B y - ½ yᵀ C y in 3 + 2 dimensions, A and C at least delta; 200 games, seed 0.

    v = M z, J = ½ |M z|², L = the largest eigenvalue of MᵀM, and a step of delta/L.
    """
    worst = -math.inf
    for seed in range(200):
        draw = normal(5, 5, seed=seed)
        a, c, b = draw[:3, :3], draw[3:, 3:], draw[:3, 3:]
        delta = 0.05 + 0.1 * (seed % 7)
        a = a @ a.T + delta * torch.eye(3)
        c = c @ c.T + delta * torch.eye(2)
        m = torch.cat([torch.cat([-a, -b], 1), torch.cat([b.T, -c], 1)])
        smooth = float(torch.linalg.matrix_norm(m, 2)) ** 2
        step = torch.eye(5) + delta / smooth * m
        # The largest J(z') / J(z) over all z: M commutes with the step.
        shrink = float(torch.linalg.matrix_norm(step, 2)) ** 2
        worst = max(worst, shrink - (1 - delta**2 / smooth))
    assert worst <= 1e-12


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: games.play(games.bilinear, START, 0.0, 5), "step_size: expected a positive number"),
        (lambda: games.play(games.bilinear, START, 0.1, 0), "n_steps: expected an int of at least 1"),
        (lambda: games.with_r1(games.bilinear, 0.0), "gamma: expected a positive number"),
        (lambda: games.with_consensus(games.bilinear, -1.0), "gamma: expected a positive number"),
        (lambda: games.jacobian(games.bilinear, POINTS), r"z: expected one point of shape \(2,\)"),
    ],
)
def test_what_is_no_game_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_eigenvalues_elsewhere_than_at_rest():
    """x y²: the Jacobian of (-y², 2xy) is ((0, -2y), (2y, 2x)); at x = 1, y = 2 λ² - 2λ + 16 = 0."""
    found = games.eigenvalues(games.cubic(), torch.tensor([1.0, 2.0], dtype=torch.float64))
    for value in found.tolist():
        assert abs(value**2 - 2 * value + 16) < 1e-9
