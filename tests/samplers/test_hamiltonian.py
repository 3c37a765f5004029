"""Proof 5: the leapfrog keeps volume and undoes itself; and NUTS is its own slow, plain version."""

import math

import pytest
import torch

from ganedu.samplers import NUTS, Hamiltonian, MetropolisHastings, run
from ganedu.samplers.base import GradPoint, evaluate_with_grad
from ganedu.samplers.diagnostics import autocorrelation, ess
from ganedu.samplers.hamiltonian import kinetic, leapfrog
from ganedu.samplers.nuts import open_subtrees
from ganedu.targets import StandardNormal


class Bent:
    """A banana: its curvature changes from place to place."""

    def log_prob(self, z):
        return -0.5 * (z[:, 0] ** 2 + 4.0 * (z[:, 1] - z[:, 0] ** 2).square())


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def trajectory(z, momentum, step, n):
    state = evaluate_with_grad(Bent(), z)
    for _ in range(n):
        state, momentum = leapfrog(Bent(), state, momentum, step)
    return state, momentum


def test_turned_round_a_trajectory_goes_back_to_where_it_came_from():
    z, momentum = torch.randn(2, 50, 2, generator=rng(), dtype=torch.float64)
    state, end = trajectory(z, momentum, 0.1, 25)
    back, start = trajectory(state.z, -end, 0.1, 25)
    assert (state.z - z).norm(dim=-1).min() > 1e-3
    assert torch.allclose(back.z, z, atol=1e-9) and torch.allclose(-start, momentum, atol=1e-9)


def test_the_leapfrog_keeps_volume():
    """det of the Jacobian of (z, p) -> (z', p'), by central differences, is 1; Euler's is not."""

    def jacobian(step):
        point = torch.tensor([0.4, -0.3, 0.7, 0.2], dtype=torch.float64)
        columns = []
        for i in range(4):
            ends = []
            for sign in (1.0, -1.0):
                moved = point.clone()
                moved[i] += sign * 1e-5
                ends.append(step(moved))
            columns.append((ends[0] - ends[1]) / 2e-5)
        return torch.linalg.det(torch.stack(columns, dim=1))

    def leap(point):
        state, momentum = trajectory(point[None, :2], point[None, 2:], 0.2, 5)
        return torch.cat([state.z[0], momentum[0]])

    def euler(point):
        z, p = point[None, :2], point[None, 2:]
        for _ in range(5):
            z, p = z + 0.2 * p, p + 0.2 * evaluate_with_grad(Bent(), z).grad
        return torch.cat([z[0], p[0]])

    assert abs(float(jacobian(leap)) - 1) < 1e-7
    assert abs(float(jacobian(euler)) - 1) > 0.1


def test_its_error_in_energy_falls_with_the_square_of_the_step():
    z, momentum = 0.5 * torch.randn(2, 50, 2, generator=rng(1), dtype=torch.float64)

    def error(step):
        state, end = trajectory(z, momentum, step, round(0.8 / step))
        energy = kinetic(end) - state.log_prob - (kinetic(momentum) - Bent().log_prob(z))
        return float(energy.abs().mean())

    assert math.log(error(0.02) / error(0.01), 2) == pytest.approx(2.0, abs=0.1)


def test_on_a_unit_gaussian_the_energy_error_is_the_closed_one():
    """On N(0, 1) the leapfrog keeps (1 - ε²/4) z² + p², its shadow energy, exactly."""
    normal, step = StandardNormal(1, torch.float64), 0.9
    z, momentum = torch.randn(2, 100, 1, generator=rng(2), dtype=torch.float64)
    state = evaluate_with_grad(normal, z)
    shadow = (1 - step**2 / 4) * z**2 + momentum**2
    for _ in range(7):
        state, momentum = leapfrog(normal, state, momentum, step)
    assert torch.allclose((1 - step**2 / 4) * state.z**2 + momentum**2, shadow, atol=1e-12)


def test_a_step_beyond_what_is_stable_is_rejected_and_counted_as_divergent():
    target = StandardNormal(3, torch.float64)
    start = target.sample(50, rng())
    trace = run(MetropolisHastings(Hamiltonian(2.5, 40)), target, start, 5, rng=rng())
    assert trace.accept_rate.max() == 0 and torch.equal(trace.last.z, start)
    assert trace.divergences.min() == 5
    nuts = run(NUTS(40.0), target, start, 5, rng=rng())
    assert nuts.divergences.min() > 0 and torch.isfinite(nuts.z).all()
    assert run(NUTS(0.5), target, start, 5, rng=rng()).divergences.max() == 0


@pytest.mark.parametrize("leaf", range(64))
def test_the_points_kept_are_where_the_subtrees_that_end_here_began(leaf):
    """By hand: the subtree of 2^k leaves that ends at leaf began at leaf + 1 - 2^k, and was kept as
    the number of ones in that number's half; nothing kept since has the same place."""
    first, last = open_subtrees(leaf)
    began = [leaf + 1 - 2**k for k in range(1, 7) if (leaf + 1) % 2**k == 0]
    assert [open_subtrees(start)[1] for start in began] == list(range(last, first - 1, -1))
    for start in began:
        place = open_subtrees(start)[1]
        assert all(open_subtrees(other)[1] != place for other in range(start + 2, leaf + 1, 2))


def plain_nuts(z, step, max_depth, rng):
    """One step of one chain, with lists and no cleverness: every doubling is walked, then every
    complete subtree of it is checked from its own points. Returns (z, leapfrog steps)."""
    start = (evaluate_with_grad(Bent(), z[None]), torch.randn(1, 2, generator=rng, dtype=torch.float64))
    energy = kinetic(start[1]) - start[0].log_prob
    path, choice, log_total, leaps = [start], start[0].z, torch.zeros(1, dtype=torch.float64), 0

    def turns(points):
        p, q = points[0][1][0], points[-1][1][0]
        middle = sum(momentum[0] for _, momentum in points) - 0.5 * (p + q)
        return float(middle @ p) <= 0 or float(middle @ q) <= 0

    for depth in range(max_depth):
        forward = 1 - float(torch.rand(1, generator=rng, dtype=torch.float64)) <= 0.5
        uniform = 1 - torch.rand(2**depth + 1, 1, generator=rng, dtype=torch.float64)
        new, edge = [], path[-1] if forward else path[0]
        chosen, log_sum, stopped = None, torch.tensor([-math.inf], dtype=torch.float64), False
        for leaf in range(2**depth):
            edge = leapfrog(Bent(), *edge, step if forward else -step)
            leaps += 1
            new.append(edge)
            log_weight = energy - kinetic(edge[1]) + edge[0].log_prob
            log_sum = torch.logaddexp(log_sum, log_weight)
            if float(uniform[leaf].log()) < float(log_weight - log_sum):
                chosen = edge[0].z
            sizes = [2**k for k in range(1, depth + 1) if (leaf + 1) % 2**k == 0]
            if any(turns(new[-size:]) for size in sizes):
                stopped = True
                break
        if stopped:
            break
        if float(uniform[-1].log()) < float(log_sum - log_total):
            choice = chosen
        log_total = torch.logaddexp(log_total, log_sum)
        path = path + new if forward else new[::-1] + path
        if turns(path):
            break
    return choice[0], leaps


@pytest.mark.parametrize("seed", range(40))
def test_nuts_is_its_plain_version(seed):
    z = torch.randn(2, generator=rng(100 + seed), dtype=torch.float64)
    kernel = NUTS(0.15, max_depth=6)
    new, info = kernel.step(Bent(), kernel.init(Bent(), z[None]), rng(seed))
    plain, leaps = plain_nuts(z, 0.15, 6, rng(seed))
    assert torch.allclose(new.z[0], plain, atol=1e-12)
    assert int(info.n_leapfrog) == leaps
    assert isinstance(new, GradPoint) and bool(info.accepted) == (not torch.equal(new.z[0], z))


def test_nuts_chains_have_trees_of_their_own():
    kernel = NUTS(0.1)
    state = kernel.init(Bent(), torch.randn(200, 2, generator=rng(), dtype=torch.float64))
    _, info = kernel.step(Bent(), state, rng(1))
    assert info.n_leapfrog.min() < 0.3 * info.n_leapfrog.max()
    assert (info.n_leapfrog <= 2**10 - 1).all() and not info.divergent.any()


def test_a_long_trajectory_that_comes_back_is_cured_by_jitter():
    """On N(0, I) a trajectory of a whole period ends where it began. Steps drawn from ε (1 ± j) turn by
    2π (1 ± j), and leave a correlation of sin(2πj) / (2πj) between neighbours: none at j = 1/2."""
    target = StandardNormal(4, torch.float64)
    start, n = target.sample(64, rng()), 20
    step_size = 2.0 * math.sin(math.pi / n)  # a leapfrog turns by 2 arcsin(ε/2): n of them, once round
    traces = {
        jitter: run(MetropolisHastings(Hamiltonian(step_size, n, jitter)), target, start, 200, rng=rng(1))
        for jitter in (0.0, 0.2, 0.5)
    }
    assert float((traces[0.0].z - start).abs().max()) < 1e-8
    assert float(ess(traces[0.5].z).min()) > 0.8 * 200 * 64
    correlation = float(autocorrelation(traces[0.2].z)[1].mean())
    assert correlation == pytest.approx(math.sin(0.4 * math.pi) / (0.4 * math.pi), abs=0.03)
