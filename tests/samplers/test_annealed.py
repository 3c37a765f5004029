"""Annealed importance sampling: E[mean weight] = Z whatever the kernel mixes, and wrong orders miss it."""

import math
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch.distributions import Normal

from ganedu.rng import draw_seed, generator
from ganedu.samplers import (
    CrankNicolson,
    EllipticalSlice,
    Independence,
    Langevin,
    MetropolisHastings,
    RandomWalk,
    run,
)
from ganedu.samplers.annealed import Annealed, annealed_importance_sampling
from ganedu.samplers.importance import importance_sampling
from ganedu.samplers.tempered import Tempered
from ganedu.targets import StandardNormal, Tilted
from tests.samplers.kernels import NoProposalRatio, PriorDropped
from tests.tractable import Observed

BETAS = (0.0, 0.05, 0.15, 0.35, 0.65, 1.0)
KERNEL = MetropolisHastings(Langevin(0.4))
POSTERIOR = Observed([1.5, -1.0], noise=0.5)
PRIOR, LOG_Z, MEAN, SECOND = POSTERIOR.prior, POSTERIOR.log_z, POSTERIOR.mean, POSTERIOR.second


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def by_hand(kernel, n, seed, error=None):
    """Neal's algorithm in the order of his section 2, or with one of the errors that are easily made."""
    z = POSTERIOR.prior.sample(n, generator(seed, 0))
    log_weight = torch.zeros(n, dtype=torch.float64)
    for t, (before, beta) in enumerate(pairwise(BETAS), start=1):
        moved = z
        if beta < 1.0:
            target = Tempered(POSTERIOR, before if error == "kernel one beta behind" else beta)
            state, _ = kernel.step(target, kernel.init(target, z), generator(seed, t, 0))
            moved = state.z
        weighed = moved if error == "weight after the move" else z
        share = BETAS[min(t + 1, 5)] - beta if error == "betas shifted by one" else beta - before
        log_weight = log_weight + share * POSTERIOR.log_weight(weighed)
        z = moved
    return Annealed(z, log_weight, BETAS, torch.empty(0), seed)


def worst(draws):
    """How many standard errors Z itself (not its log) or a moment of the target is off, at most."""
    weight = (draws.log_weight - LOG_Z).exp()
    z = (weight.mean() - 1) / (weight.std() / math.sqrt(len(weight)))
    mean, error = draws.expectation(lambda z: torch.cat([z, z.square()], 1))
    moments = (mean - torch.cat([MEAN, SECOND])) / error
    return torch.cat([z.reshape(1), moments]).abs().max()


N = 200_000  # |z| < 5.5 for the five of ``worst``: by luck once in five million runs


@pytest.mark.parametrize(
    "kernel",
    [
        KERNEL,
        MetropolisHastings(RandomWalk(0.5)),
        MetropolisHastings(RandomWalk(1e-6)),
        MetropolisHastings(CrankNicolson(0.5)),
        MetropolisHastings(Independence()),
        EllipticalSlice(),
        lambda beta: MetropolisHastings(Langevin(0.5 / (0.5 + beta))),
    ],
    ids=lambda kernel: "a function of beta" if not hasattr(kernel, "step") else str(kernel),
)
def test_the_mean_weight_is_z_and_weighted_means_are_the_targets_however_the_kernel_mixes(kernel):
    draws = annealed_importance_sampling(POSTERIOR, kernel, BETAS, N, rng())
    assert worst(draws) < 5.5
    assert draws.accept_rate.shape == (4,) and ((draws.accept_rate > 0) & (draws.accept_rate <= 1)).all()


@pytest.mark.parametrize(
    "error", ["weight after the move", "betas shifted by one", "kernel one beta behind"], ids=str
)
def test_the_same_test_rejects_a_wrong_order(error):
    assert worst(by_hand(KERNEL, N, seed=3, error=error)) > 8


@pytest.mark.parametrize("kernel", [PriorDropped(Langevin(0.4)), MetropolisHastings(NoProposalRatio(0.4))])
def test_the_same_test_rejects_a_kernel_that_changes_its_target(kernel):
    assert worst(annealed_importance_sampling(POSTERIOR, kernel, BETAS, N, rng())) > 8


def test_it_is_the_algorithm_written_out_bit_for_bit():
    draws = annealed_importance_sampling(POSTERIOR, KERNEL, BETAS, 50, rng())
    slow = by_hand(KERNEL, 50, draws.seed)
    assert torch.equal(draws.z, slow.z) and torch.equal(draws.log_weight, slow.log_weight)


def test_with_one_temperature_it_is_importance_sampling_from_the_prior():
    draws = annealed_importance_sampling(POSTERIOR, KERNEL, (0.0, 1.0), 1000, rng())
    plain = importance_sampling(POSTERIOR, PRIOR, 1000, generator(draw_seed(rng()), 0))
    assert torch.equal(draws.z, plain.z)
    torch.testing.assert_close(draws.log_weight, plain.log_weight, rtol=0, atol=1e-12)


def test_more_temperatures_and_more_moves_make_the_weights_more_equal():
    def ess(steps, n_moves):
        betas = torch.linspace(0, 1, steps + 1).square().tolist()
        return annealed_importance_sampling(POSTERIOR, KERNEL, betas, 2000, rng(), n_moves).ess / 2000

    shares = [ess(1, 1), ess(5, 1), ess(50, 1), ess(50, 4)]
    assert shares == sorted(shares) and shares[0] < 0.25 and shares[-1] > 0.75


def test_a_chain_does_not_depend_on_the_others():
    class Nudged(StandardNormal):
        def sample(self, n, rng):
            z = super().sample(n, rng)
            z[4] = 2.5
            return z

    def chains(prior):
        target = Tilted(prior, POSTERIOR.log_weight)
        return annealed_importance_sampling(target, KERNEL, BETAS, 9, rng(), n_moves=3)

    a, b = chains(PRIOR), chains(Nudged(2, torch.float64))
    others = [i for i in range(9) if i != 4]
    assert torch.equal(a.z[others], b.z[others]) and torch.equal(a.log_weight[others], b.log_weight[others])
    assert not torch.equal(a.log_weight[4], b.log_weight[4])


def test_the_same_rng_gives_the_same_draws_and_torchs_own_is_left_alone():
    state = torch.get_rng_state()
    a, b = (annealed_importance_sampling(POSTERIOR, KERNEL, BETAS, 20, rng()) for _ in range(2))
    assert torch.equal(a.z, b.z) and torch.equal(a.log_weight, b.log_weight) and a.seed == b.seed
    assert torch.equal(torch.get_rng_state(), state)


def far_modes(z):
    """A quarter of the mass at -2 and the rest at 2, twenty widths of 0.2 apart, times a slope."""
    left, right = (Normal(mode, 0.2).log_prob(z[:, 0]) for mode in (-2.0, 2.0))
    return torch.logaddexp(left + math.log(0.25), right + math.log(0.75)) + 0.3 * z[:, 0].sin()


def quadrature():
    """(Z, the share of the mass on the right) of ``far_modes`` under N(0, 1)."""
    x = torch.linspace(-8, 8, 400_001, dtype=torch.float64)
    density = (Normal(0.0, 1.0).log_prob(x) + far_modes(x[:, None])).exp()
    z = torch.trapezoid(density, x)
    return float(z), float(torch.trapezoid(density * (x > 0), x) / z)


def test_far_modes_are_found_in_proportion_where_a_chain_stays_in_one():
    z, right = quadrature()
    target = Tilted(StandardNormal(1, torch.float64), far_modes)
    betas = torch.linspace(0, 1, 61).pow(2).tolist()
    draws = annealed_importance_sampling(
        target, lambda beta: MetropolisHastings(RandomWalk(0.1 / (0.1 + beta))), betas, 20_000, rng()
    )
    mean, error = draws.expectation(lambda z: z[:, 0] > 0)
    assert abs(mean - right) < 5.5 * error and error < 0.02
    assert abs(draws.log_evidence - math.log(z)) < 5.5 * draws.log_evidence_error
    assert draws.log_evidence_error < 0.02
    start = torch.full((100, 1), -2.0, dtype=torch.float64)
    trace = run(MetropolisHastings(Langevin(0.03)), target, start, 500, rng=rng())
    assert (trace.z < 0).all() and trace.accept_rate.mean() > 0.5


def test_weights_of_zero_stay_zero_and_count():
    half = Tilted(PRIOR, lambda z: torch.where(z[:, 0] > 0, POSTERIOR.log_weight(z), -math.inf))
    draws = annealed_importance_sampling(half, KERNEL, BETAS, 100_000, rng())
    dead = draws.log_weight.isneginf()
    assert 0.4 < dead.double().mean() < 0.6 and draws.z.isfinite().all()
    # Z of the first coordinate times P(it is above 0 | it was observed).
    share = Normal(MEAN[0], POSTERIOR.std).cdf(torch.tensor(0.0)).neg().log1p()
    assert abs(draws.log_evidence - LOG_Z - share) < 5.5 * draws.log_evidence_error


def test_float32_targets_keep_their_dtype_and_weights_are_summed_in_float64():
    target = Tilted(StandardNormal(2), lambda z: -z.abs().sum(-1))
    draws = annealed_importance_sampling(target, KERNEL, BETAS, 10, rng())
    assert draws.z.dtype == torch.float32 and draws.log_weight.dtype == torch.float64


@pytest.mark.gpu
def test_on_a_gpu_all_stays_there_and_the_law_is_the_same():
    a, b = (
        annealed_importance_sampling(POSTERIOR, KERNEL, BETAS, N, torch.Generator("cuda").manual_seed(0))
        for _ in range(2)
    )
    assert a.z.is_cuda and a.log_weight.is_cuda and a.accept_rate.is_cuda
    assert torch.equal(a.z, b.z) and torch.equal(a.log_weight, b.log_weight)
    assert worst(replace(a, z=a.z.cpu(), log_weight=a.log_weight.cpu())) < 5.5


def test_the_progress_bar_says_what_it_is_told(capsys):
    annealed_importance_sampling(POSTERIOR, KERNEL, BETAS, 10, rng(), progress="annealing")
    shown = capsys.readouterr().err
    assert "annealing" in shown and "acceptance=" in shown and "ess=" in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(target=PRIOR), "target: annealed importance sampling needs the prior and the weight apart"),
        (dict(kernel=Langevin(0.1)), "kernel: expected one that leaves its target invariant, got Langevin"),
        (dict(kernel=RandomWalk(0.1)), "kernel: expected one with a step, or a function.*got RandomWalk"),
        (dict(kernel=lambda beta: Langevin(0.1)), "leaves its target invariant"),
        (dict(betas=(0.0, 0.5)), r"betas: .*rise from 0 to 1, got \(0.0, 0.5\)"),
        (dict(betas=(0.5, 1.0)), "rise from 0 to 1"),
        (dict(betas=(0.0, 0.5, 0.5, 1.0)), "rise from 0 to 1"),
        (dict(betas=torch.linspace(0, 2, 30)), "got 30 from 0.0 to 2.0"),
        (dict(betas=(0.0, math.nan, 1.0)), "rise from 0 to 1"),
        (dict(n=0), "n: expected an int of at least 1, got 0"),
        (dict(n_moves=0), "n_moves: expected an int of at least 1, got 0"),
        (dict(target=Tilted(PRIOR, lambda z: z[:, 0].sqrt())), "log_weight: .*got NaN or inf in"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    good = dict(target=POSTERIOR, kernel=KERNEL, betas=BETAS, n=10)
    with pytest.raises(ValueError, match=message):
        annealed_importance_sampling(**{**good, **arguments}, rng=rng())
