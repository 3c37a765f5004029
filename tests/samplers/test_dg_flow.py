"""The discriminator gradient flow against its divergences, differentiated, and its own Gaussian law."""

import pytest
import torch
from torch.nn.functional import logsigmoid

from ganedu.rng import draw_seed, generator
from ganedu.samplers import Langevin, run
from ganedu.samplers.gan import dg_flow
from ganedu.targets import LatentTarget, StandardNormal, Tilted
from tests.laws import gaussian_marginals, worst
from tests.tractable import affine_gan

# f of Ansari et al., table 1, in r = p_G / p_data: what the names stand for, and nothing derived.
DIVERGENCES = {
    "KL": lambda r: r * r.log(),
    "JS": lambda r: r * r.log() - (r + 1) * ((r + 1) / 2).log(),
    "log D": lambda r: (r + 1) * (r + 1).log() - 2 * torch.log(torch.tensor(2.0)),
}
SLOPES = {"KL": torch.ones_like, "log D": lambda d: torch.sigmoid(-d), "JS": torch.sigmoid}
ETA, GAMMA = 0.2, 0.3


def one_step(gan, f):
    """(where it starts, where one step leads, the noise of the step)."""
    source = generator(3)
    start = gan.prior(200, source)
    noise = torch.randn(start.shape, generator=generator(draw_seed(source), 0), dtype=start.dtype)
    draws = dg_flow(gan, 200, f=f, step_size=ETA, noise=GAMMA, steps=1, rng=generator(3))
    return start, draws.z, (2 * ETA * GAMMA) ** 0.5 * noise


@pytest.mark.parametrize("f", DIVERGENCES)
def test_a_step_descends_the_derivative_of_the_divergence(f):
    gan = affine_gan(3, 0).gan
    start, end, noise = one_step(gan, f)
    z = start.clone().requires_grad_()
    ratio = (-gan.logit(gan.generator(z))).exp()
    (first,) = torch.autograd.grad(DIVERGENCES[f](ratio).sum(), ratio, create_graph=True)
    (gradient,) = torch.autograd.grad(first.sum(), z)
    assert torch.allclose(end, start - ETA * gradient + noise, rtol=0, atol=1e-9)


@pytest.mark.parametrize("f", DIVERGENCES)
def test_a_step_is_the_gradient_of_the_logit_times_the_papers_slope(f):
    gan = affine_gan(3, 1).gan
    start, end, noise = one_step(gan, f)
    z = start.clone().requires_grad_()
    logit = gan.logit(gan.generator(z))
    (gradient,) = torch.autograd.grad(logit.sum(), z)
    slope = SLOPES[f](logit.detach())[:, None]
    assert torch.allclose(end, start + ETA * slope * gradient + noise, rtol=0, atol=1e-9)
    others = [SLOPES[g](logit.detach())[:, None] for g in SLOPES if g != f]
    for wrong in others:
        assert not torch.allclose(end, start + ETA * wrong * gradient + noise, rtol=0, atol=1e-3)


N, STEPS = 200_000, 12


def law_after(case, eta, gamma, steps):
    """With d quadratic a step is z' = M z + c + noise: a Gaussian stays one."""
    inverse = torch.linalg.inv(case.gan.generator.matrix)
    cov_t = inverse @ case.cov @ inverse.T
    mean_t = inverse @ (case.mean - case.gan.generator.shift)
    eye = torch.eye(len(mean_t), dtype=torch.float64)
    precision = torch.linalg.inv(cov_t)
    # ∇d = ∇ log N(mean_t, cov_t) - ∇ log N(0, I)
    matrix, shift = eye + eta * (eye - precision), eta * precision @ mean_t
    mean, cov = torch.zeros_like(mean_t), eye
    for _ in range(steps):
        mean, cov = matrix @ mean + shift, matrix @ cov @ matrix.T + 2 * eta * gamma * eye
    return mean, cov


def rejection(case, z):
    return worst(gaussian_marginals(z, *law_after(case, ETA, GAMMA, STEPS)))[0]


def test_after_some_steps_it_has_the_gaussian_law_of_the_linear_recursion():
    case = affine_gan(2, 0)
    draws = dg_flow(case.gan, N, step_size=ETA, noise=GAMMA, steps=STEPS, rng=generator(4))
    assert rejection(case, draws.z) < 1
    assert draws.accept_rate == 1.0 and draws.law.startswith("biased: ")


PLANTED = {
    "a prior term": lambda d: Tilted(StandardNormal(2, torch.float64), lambda z: d(z) / GAMMA),
    "noise of half the variance": lambda d: Weighted(lambda z: 2 * d(z) / GAMMA),
    "the slope of another divergence": lambda d: Weighted(lambda z: logsigmoid(d(z)) / GAMMA),
}


class Weighted:
    """exp of any function."""

    def __init__(self, log_prob):
        self.log_prob = log_prob


@pytest.mark.parametrize("name", PLANTED)
def test_the_same_test_rejects_planted_errors(name):
    case = affine_gan(2, 0)
    target = PLANTED[name](LatentTarget(case.gan).log_weight)
    tau = ETA * GAMMA if "half" in name else 2 * ETA * GAMMA
    z = run(Langevin(tau), target, case.gan.prior(N, generator(4)), STEPS, STEPS - 1, rng=generator(5)).last.z
    assert rejection(case, z) > 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(f="Pearson"), "f: expected one of KL, log D, JS, got 'Pearson'"),
        (dict(noise=0.0), "noise: expected a positive number, got 0.0"),
        (dict(step_size=-1.0), "step_size: expected a positive number, got -1.0"),
    ],
)
def test_bad_options_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        dg_flow(affine_gan(2, 0).gan, 5, **arguments, rng=generator(0))
