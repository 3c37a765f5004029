"""The knobs of seed slide 004: a decaying step size follows its formula, and chains that repel spread."""

import math

import pytest
import torch

from ganedu.gans import GAN
from ganedu.nets import MLP
from ganedu.rng import draw_seed, generator
from ganedu.samplers import Langevin, run
from ganedu.samplers.gan import ddls
from ganedu.samplers.gan.tuned import TunedLangevin, mean_distance, repulsion
from ganedu.targets import StandardNormal
from tests.tractable import affine_gan


class Slope:
    """exp(a·z): the gradient is ``a`` everywhere."""

    a = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)

    def log_prob(self, z):
        return z @ self.a


def test_step_t_has_size_step_size_times_one_plus_t_to_the_minus_decay():
    z = torch.zeros(4, 3, dtype=torch.float64)
    trace = run(TunedLangevin(0.3, decay=0.7), Slope(), z, 30, rng=generator(1))
    seed = draw_seed(generator(1))
    for t, (old, new) in enumerate(zip([z, *trace.z[:-1]], trace.z, strict=True)):
        tau = 0.3 / (1 + t) ** 0.7
        noise = torch.randn(4, 3, generator=generator(seed, t), dtype=z.dtype)
        assert torch.allclose(new, old + tau / 2 * Slope.a + math.sqrt(tau) * noise, rtol=0, atol=1e-12)
    assert torch.equal(trace.last.t, torch.full((4,), 30.0, dtype=z.dtype))


def test_time_passes_for_a_chain_that_cannot_move():
    class Edge:
        def log_prob(self, z):
            return torch.where(z[:, 0] == 0.0, 0.0 * z[:, 0], torch.nan)

    state = TunedLangevin(0.1, decay=1.0).init(Edge(), torch.zeros(2, 1))
    new, info = TunedLangevin(0.1, decay=1.0).step(Edge(), state, generator(0))
    assert torch.equal(new.z, state.z) and (new.t == 1).all() and not info.accepted.any()


def test_without_either_knob_it_is_langevin():
    z = torch.randn(6, 2, generator=generator(0), dtype=torch.float64)
    target = StandardNormal(2, torch.float64)
    a, b = (run(kernel, target, z, 20, rng=generator(1)) for kernel in (TunedLangevin(0.2), Langevin(0.2)))
    assert torch.allclose(a.z, b.z, rtol=0, atol=1e-13)


def test_a_decay_takes_the_bias_of_unadjusted_langevin_along():
    """On N(0, 1) a step maps the variance v to (1 - τ/2)² v + τ: for τ that decays, towards 1."""
    z = torch.randn(100_000, 1, generator=generator(0), dtype=torch.float64)
    end = run(TunedLangevin(1.0, decay=0.5), StandardNormal(1), z, 60, 59, rng=generator(1)).last.z
    variance = 1.0
    for t in range(60):
        tau = (1 + t) ** -0.5
        variance = (1 - tau / 2) ** 2 * variance + tau
    assert variance < 1.05 < 1 / (1 - 1 / 4)
    # Five standard errors of the variance of n normal draws; a chance below 6e-7.
    assert abs(float(end.var()) / variance - 1) < 5 * math.sqrt(2 / 100_000)


def test_the_diversity_term_is_the_gradient_that_autograd_takes_of_the_seeds_code():
    zs = torch.randn(9, 4, generator=generator(2), dtype=torch.float64).requires_grad_()
    energy = torch.zeros(9, dtype=torch.float64)
    energy = energy + 0.7 / (torch.mean(torch.pdist(zs, p=2)) + 1e-8)  # one term a chain, as there
    (gradient,) = torch.autograd.grad(energy.sum(), zs)
    assert torch.allclose(0.7 * repulsion(zs.detach()), -gradient, rtol=1e-10)


def test_the_diversity_term_is_the_finite_difference_of_the_mean_distance():
    z = torch.randn(6, 3, generator=generator(3), dtype=torch.float64)
    step, expected = 1e-6, torch.empty_like(z)
    for i in range(6):
        for j in range(3):
            there, back = z.clone(), z.clone()
            there[i, j] += step
            back[i, j] -= step
            expected[i, j] = 6 * (1 / mean_distance(back) - 1 / mean_distance(there)) / (2 * step)
    assert torch.allclose(repulsion(z), expected, rtol=0, atol=1e-7)


def test_chains_at_one_point_do_not_repel_into_nothing():
    assert torch.equal(repulsion(torch.ones(5, 3)), torch.zeros(5, 3))
    pair = torch.tensor([[1.0, 1.0], [1.0, 1.0], [2.0, 1.0]])
    assert torch.isfinite(repulsion(pair)).all()


def mlp_gan():
    torch.manual_seed(0)
    return GAN(MLP(4, 32, 5), MLP(5, 32, 1), 4).frozen()


def test_the_more_diversity_the_further_apart_the_chains():
    spread = [
        float(mean_distance(ddls(mlp_gan(), 64, steps=60, step_size=0.1, diversity=d, rng=generator(4)).z))
        for d in (0.0, 1.0, 5.0)
    ]
    assert spread[0] < spread[1] < spread[2] and spread[2] > 1.1 * spread[0]


def test_only_the_diversity_term_makes_chains_see_each_other():
    target, z = StandardNormal(2), torch.randn(5, 2, generator=generator(0))
    other = z.clone()
    other[4] = 3.0
    for diversity, apart in ((0.0, True), (2.0, False)):
        kernel = TunedLangevin(0.1, decay=0.3, diversity=diversity)
        a, b = (run(kernel, target, start, 10, rng=generator(1)).z[:, :4] for start in (z, other))
        assert torch.equal(a, b) is apart


@pytest.mark.parametrize("options", [dict(decay=0.5), dict(diversity=2.0), dict(decay=0.5, diversity=2.0)])
def test_chunks_change_no_draw_and_the_law_says_what_it_is(options):
    whole, parts = (
        ddls(mlp_gan(), 23, steps=10, batch_size=b, rng=generator(0), **options) for b in (None, 7)
    )
    assert torch.allclose(whole.z, parts.z, atol=1e-5)
    assert whole.evaluations == parts.evaluations == (23 * 11, 23 * 11)
    assert ("diversity" in whole.law) == ("diversity" in options) and whole.law.startswith("biased: ")


@pytest.mark.parametrize(
    ("n", "arguments", "message"),
    [
        (5, dict(decay=-1.0), "decay: expected a number of at least 0, got -1.0"),
        (5, dict(diversity=math.nan), "diversity: expected a number of at least 0, got nan"),
        (5, dict(step_size=0.0, decay=1.0), "step_size: expected a positive number, got 0.0"),
        (1, dict(diversity=1.0), "diversity: expected two chains or more, got 1"),
    ],
)
def test_bad_options_are_named(n, arguments, message):
    with pytest.raises(ValueError, match=message):
        ddls(affine_gan(2, 0).gan, n, steps=3, **arguments, rng=generator(0))
