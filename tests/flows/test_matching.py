"""Flow matching: what the regression finds, in closed form between Gaussians, and optimal pairs by force."""

import itertools
import math
import sys

import pytest
import torch
from torch import Tensor, nn

from ganedu.flows.base import Flow
from ganedu.flows.continuous import CNF, Velocity
from ganedu.flows.matching import FlowMatching, OTFlowMatching, partners
from ganedu.rng import generator
from ganedu.targets import StandardNormal
from tests.flows.fields import GAUSSIANS
from tests.laws import worst

N = 200_000
PLAIN, PAIRED = FlowMatching(sigma=GAUSSIANS.sigma), OTFlowMatching(sigma=GAUSSIANS.sigma)


def data(n: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    """Draws of N(mean, std²) of ``GAUSSIANS``."""
    noise = torch.randn(n, 2, generator=generator(seed), dtype=torch.float64)
    return (GAUSSIANS.mean + GAUSSIANS.std * noise).to(dtype)


def moment_errors(t: Tensor, x_t: Tensor, u: Tensor) -> Tensor:
    """E[(u - v(t, x_t)) φ(t, x_t)], v the velocity in closed form, in standard errors: 18 numbers.

    That all of them are zero says E[u | t, x_t] = v, as far as the φ see.
    """
    off = u - GAUSSIANS(t, x_t)
    t = t[:, None].expand_as(x_t)
    tests = [
        torch.ones_like(x_t),
        x_t,
        t,
        t * x_t,
        x_t.square() - 1,
        (3 * x_t).sin(),
        x_t.flip(1),
        t.square(),
    ]
    tests.append((math.pi * t).sin() * x_t)
    products = torch.cat([off * test for test in tests], dim=1)
    return (products.mean(0) / (products.std(0) / math.sqrt(len(products)))).abs()


def test_the_target_of_the_regression_has_the_marginal_velocity_as_its_mean():
    """Six standard errors for 18 means: by luck once in 10⁷ runs."""
    x, x0, t = PLAIN.draw(data(N), generator(1))
    assert moment_errors(t, *PLAIN.path(x, x0, t)).max() < 6


def test_the_same_test_rejects_a_planted_error():
    x, x0, t = PLAIN.draw(data(N), generator(1))
    x_t, u = PLAIN.path(x, x0, t)
    planted = {
        "time reversed": (1 - t, x_t, u),
        "u without (1 - sigma)": (t, x_t, x - x0),
        "wrong way": (t, x_t, -u),
        "pairs exchanged after x_t": (t, x_t, x.flip(0) - (1 - PLAIN.sigma) * x0),
        "x_t without sigma": (t, t[:, None] * x + (1 - t[:, None]) * x0, u),
    }
    found = {name: float(moment_errors(*rows).max()) for name, rows in planted.items()}
    assert min(found.values()) > 20, found


@pytest.mark.parametrize("objective", [PLAIN, PAIRED], ids=["plain", "paired"])
def test_times_are_uniform_and_both_ends_have_their_laws(objective):
    """The DKW bound, 10⁻⁶ for all together. Paired noise is still N(0, I): pairing only permutes."""
    parts = [objective.draw(rows, generator(2, i)) for i, rows in enumerate(data(5120).split(256))]
    x, x0, t, *_ = (torch.cat(part) for part in zip(*parts, strict=True))
    laws = {"t": (t, lambda t: t.clamp(0, 1))}
    laws |= {f"x0 {i}": (x0[:, i], torch.special.ndtr) for i in range(2)}
    assert torch.equal(x, data(5120))
    assert worst(laws)[0] < 1
    assert worst({"t not uniform": (t.square(), lambda t: t.clamp(0, 1))})[0] > 1


def test_paths_begin_at_the_noise_end_at_the_data_and_move_at_u():
    x, x0, t = PLAIN.draw(data(100), generator(3))
    _, _, _, noise = PAIRED.draw(data(100), generator(3))
    zero, one, step = torch.zeros_like(t), torch.ones_like(t), 1e-6
    for objective, rows, begin, end in (
        (PLAIN, (), x0, x + 0.1 * x0),
        (PAIRED, (noise,), x0 + 0.1 * noise, x + 0.1 * noise),
    ):
        torch.testing.assert_close(objective.path(x, x0, zero, *rows)[0], begin)
        torch.testing.assert_close(objective.path(x, x0, one, *rows)[0], end)
        x_t, u = objective.path(x, x0, t, *rows)
        later, _ = objective.path(x, x0, t + step, *rows)
        torch.testing.assert_close((later - x_t) / step, u, rtol=0, atol=1e-7)


@pytest.mark.parametrize("sigma", [0.0, 0.5, 0.9])
def test_paired_paths_divide_the_variance_of_gaussian_data_by_1_plus_sigma_squared(sigma):
    """The velocity is the regression of u on x_t, by least squares over exact pairs x1 = mean + std x0, on
    which both depend linearly; its flow multiplies the variance of N(0, I) by the exponential of twice the
    integral of the slope (midpoint rule). 100,000 pairs leave 0.63 percent at most; six times that are
    allowed. Without the factor the variances would be 25 and 81 percent off."""
    n, steps = 100_000, 50
    x0, noise = (torch.randn(n, 2, generator=generator(9, i), dtype=torch.float64) for i in range(2))
    x1, variance = GAUSSIANS.mean + GAUSSIANS.std * x0, torch.ones(2, dtype=torch.float64)
    objective = OTFlowMatching(sigma=sigma)
    for step in range(steps):
        t = torch.full((n,), (step + 0.5) / steps, dtype=torch.float64)
        x_t, u = objective.path(x1, x0, t, noise)
        x_t, u = x_t - x_t.mean(0), u - u.mean(0)
        variance *= (2 * (x_t * u).mean(0) / x_t.square().mean(0) / steps).exp()
    smeared = GAUSSIANS.std.square() + sigma**2
    torch.testing.assert_close(variance, smeared / (1 + sigma**2), rtol=0.038, atol=0)


@pytest.mark.parametrize("n", [1, 2, 5, 6])
def test_pairs_are_the_best_of_all_permutations(n):
    x1, x0 = data(n), data(n, seed=1)

    def cost(order) -> float:
        return float((x1 - x0[list(order)]).square().sum())

    best = min(itertools.permutations(range(n)), key=cost)
    assert torch.equal(partners(x1, x0), x0[list(best)])


def test_optimal_pairs_cost_less_and_leave_less_to_guess():
    """Independent pairs cost E|x1 - x0|² = |mean|² + Σ (1 + std²) = 7.34 (six standard errors); optimal
    ones of two Gaussians |mean|² + Σ (1 - std)² = 2.74 (Wasserstein), more for batches of 256."""
    rows = [PAIRED.draw(batch, generator(4, i)) for i, batch in enumerate(data(25_600).split(256))]
    x, x0, t, noise = (torch.cat(part) for part in zip(*rows, strict=True))
    paired = (x - x0).square().sum(-1).mean()
    costs = (x - x0.roll(128, 0)).square().sum(-1)  # partners of other rows: independent pairs
    assert abs(float(costs.mean()) - 7.34) < 6 * float(costs.std()) / math.sqrt(len(costs))
    assert 2.74 < float(paired) < 3.1
    # The loss at the best field is the variance of u given x_t: straight paths that never cross leave none.
    assert float(paired) < 0.5 * float(costs.mean())


def test_the_loss_is_the_squared_distance_from_the_field_of_the_flow():
    flow = Flow(StandardNormal(2, torch.float64), [CNF(GAUSSIANS)])
    for objective in (PLAIN, PAIRED):
        rows = objective.draw(data(50), generator(5))
        x_t, u = objective.path(*rows)
        by_hand = [((GAUSSIANS(rows[2][i], x_t[i : i + 1])[0] - u[i]) ** 2).sum() for i in range(50)]
        torch.testing.assert_close(objective.loss(flow, *rows), torch.stack(by_hand))


def test_draws_depend_on_the_generator_alone_and_every_parameter_learns():
    torch.manual_seed(0)
    flow = Flow(StandardNormal(2), [CNF(Velocity(2))])
    x = data(64, dtype=torch.float32)
    for objective in (PLAIN, PAIRED):
        first = objective.draw(x, generator(6))
        torch.manual_seed(1)
        assert all(map(torch.equal, first, objective.draw(x, generator(6))))
        assert {len(rows) for rows in first} == {64} and {rows.dtype for rows in first} == {torch.float32}
        flow.zero_grad()
        objective.loss(flow, *first).mean().backward()
        assert all(parameter.grad.abs().max() > 0 for parameter in flow.parameters())


def trained(objective, batch: int, steps: int = 2000) -> Flow:
    torch.manual_seed(0)
    flow = Flow(StandardNormal(2), [CNF(Velocity(2))])
    optimiser = torch.optim.Adam(flow.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for step in range(steps):
        rows = objective.draw(data(batch, seed=step + 10, dtype=torch.float32), generator(7, step))
        optimiser.zero_grad()
        objective.loss(flow, *rows).mean().backward()
        optimiser.step()
        schedule.step()
    return flow


@pytest.mark.slow
@pytest.mark.parametrize(("objective", "batch"), [(PLAIN, 256), (PAIRED, 64)], ids=["plain", "paired"])
def test_a_learnt_flow_between_gaussians_has_their_density(objective, batch):
    """KL(data, smeared by sigma || flow) below 0.01 nats, over 20,000 draws of the former; the same
    field with its sign reversed is further off."""
    flow = trained(objective, batch)
    field = flow.transforms[0].velocity
    astray = Flow(flow.base, [CNF(lambda t, x: -field(t, x))])
    noise = torch.randn(20_000, 2, generator=generator(8), dtype=torch.float64)
    x = data(20_000, seed=1) + GAUSSIANS.sigma * noise
    with torch.no_grad():
        kl, planted = (
            float((GAUSSIANS.end.log_prob(x).sum(-1) - model.log_prob(x.float())).mean())
            for model in (flow, astray)
        )
    assert abs(kl) < 0.01
    assert planted > 0.05


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: FlowMatching(sigma=1.0), r"sigma: expected a number in \[0, 1\), got 1.0"),
        (lambda: OTFlowMatching(sigma=-0.1), r"sigma: expected a number in \[0, 1\), got -0.1"),
        (
            lambda: PLAIN.loss(Flow(StandardNormal(2), []), *PLAIN.draw(data(2), generator(0))),
            "model: expected a Flow of one CNF",
        ),
        (lambda: PLAIN.loss(nn.Linear(2, 2), *PLAIN.draw(data(2), generator(0))), "model: expected a Flow"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_without_scipy_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    with pytest.raises(ImportError, match=r"pip install 'ganedu\[flows\]'"):
        PAIRED.draw(data(3), generator(0))


@pytest.mark.gpu
def test_on_a_gpu_pairs_are_those_of_a_cpu():
    x1, x0 = data(50), data(50, seed=1)
    there = partners(x1.cuda(), x0.cuda())
    assert there.is_cuda and torch.equal(there.cpu(), partners(x1, x0))
    assert all(rows.is_cuda for rows in PAIRED.draw(x1.cuda(), torch.Generator("cuda").manual_seed(0)))
