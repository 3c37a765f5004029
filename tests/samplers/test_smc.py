"""SMC finds its own temperatures and step sizes, and replicates confirm Z, the law and the errors.

Draws of one run are not independent, so that laws are compared over replicate runs: the mean of R
independent estimates against its own spread.
"""

import importlib
import math
from dataclasses import replace

import pytest
import torch
from torch.distributions import Normal

from ganedu.samplers import (
    NUTS,
    Barker,
    CrankNicolson,
    CrankNicolsonLangevin,
    EllipticalSlice,
    Hamiltonian,
    Independence,
    Langevin,
    MetropolisHastings,
    RandomWalk,
    run,
)
from ganedu.samplers.smc import next_beta, smc
from ganedu.samplers.tempered import Tempered
from ganedu.targets import TARGETS, LatentTarget, StandardNormal, Tilted, references, tilted
from tests.samplers.kernels import NoProposalRatio, PriorDropped
from tests.tractable import Observed, affine_gan

module = importlib.import_module("ganedu.samplers.smc")
POSTERIOR = Observed([1.5, -1.0], noise=0.2)
PRIOR, LOG_Z, MEAN, STD = POSTERIOR.prior, POSTERIOR.log_z, POSTERIOR.mean, POSTERIOR.std
MALA = MetropolisHastings(Langevin(1.0))


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def estimates(population):
    """log Z, and how much of each coordinate lies below nine quantiles of its exact law: (1 + 18,)."""
    quantiles = Normal(0.0, 1.0).icdf(torch.linspace(0.1, 0.9, 9, dtype=torch.float64))
    below = (population.z - MEAN)[:, :, None] / STD < quantiles
    return torch.cat([torch.tensor([population.log_evidence]), below.double().mean(0).flatten()])


EXACT = torch.cat([torch.tensor([LOG_Z]), torch.linspace(0.1, 0.9, 9, dtype=torch.float64).repeat(2)])


def worst(kernel, n=1000, replicates=40, n_moves=5):
    """How many standard errors of their own the means of replicates are off, at most.

    log Z has the bias of a log, half its variance, and SMC's estimates have one of order 1/n beside a
    spread of order 1/√n: with 40 replicates of 1,000 draws a tenth of a standard error or so.
    """
    found = torch.stack(
        [estimates(smc(POSTERIOR, kernel, n, rng(seed), n_moves)) for seed in range(replicates)]
    )
    exact = EXACT.clone()
    exact[0] -= 0.5 * found[:, 0].var()
    return ((found.mean(0) - exact) / (found.std(0) / math.sqrt(replicates))).abs().max()


# Student's t with 39 degrees of freedom is above 7 in size once in 5 * 10⁷; 19 comparisons together fail
# by luck once in two million runs.
BOUND = 7.0


@pytest.mark.parametrize(
    "kernel",
    [
        MALA,
        MetropolisHastings(RandomWalk(1.0)),
        MetropolisHastings(Barker(1.0)),
        MetropolisHastings(CrankNicolson(1.0)),
        MetropolisHastings(CrankNicolsonLangevin(1.0)),
        lambda beta: MetropolisHastings(Langevin(0.05 / (0.05 + beta))),
    ],
    ids=lambda kernel: (
        "a function of beta" if not hasattr(kernel, "step") else type(kernel.proposal).__name__
    ),
)
def test_evidence_and_law_are_those_of_the_closed_form(kernel):
    assert worst(kernel) < BOUND


@pytest.mark.slow
@pytest.mark.parametrize(
    "kernel", [EllipticalSlice(), MetropolisHastings(Hamiltonian(0.5, 5)), NUTS(0.5, 5)], ids=str
)
def test_kernels_of_many_evaluations_give_the_closed_form_too(kernel):
    assert worst(kernel, n_moves=2) < BOUND


@pytest.mark.parametrize("kernel", [PriorDropped(Langevin(1.0)), MetropolisHastings(NoProposalRatio(1.0))])
def test_the_same_test_rejects_a_kernel_that_changes_its_target(kernel):
    assert worst(kernel) > 2 * BOUND


@pytest.mark.parametrize("beta", [lambda b: 0.8 * b, lambda b: b**2], ids=["a fifth short", "squared"])
def test_the_same_test_rejects_moves_at_another_temperature(monkeypatch, beta):
    monkeypatch.setattr(module, "Tempered", lambda target, b: Tempered(target, beta(b)))
    assert worst(MALA) > 2 * BOUND


def test_the_same_test_rejects_weights_that_were_not_resampled_by(monkeypatch):
    def unweighted(log_weight, n, rng):
        return torch.randint(len(log_weight), (n,), generator=rng)

    monkeypatch.setattr(module, "systematic", unweighted)
    assert worst(MALA) > 2 * BOUND


def test_each_temperature_leaves_the_effective_size_that_was_asked_for():
    for ratio in (0.3, 0.5, 0.9):
        population = smc(POSTERIOR, MALA, 500, rng(), ess_ratio=ratio)
        betas, ess = population.betas, torch.tensor(population.ess)
        assert betas[0] == 0.0 and betas[-1] == 1.0 and list(betas) == sorted(set(betas))
        assert len(ess) == len(population.accept_rate) == len(betas) - 1 > 2
        torch.testing.assert_close(ess[:-1], torch.full_like(ess[:-1], ratio * 500), rtol=1e-6, atol=0)
        assert ess[-1] >= ratio * 500


@pytest.mark.parametrize("start", [0.0, 0.25])
def test_the_next_beta_is_that_of_a_closed_form(start):
    """For log weights ±a, half each, ESS / n = (1 + 1 / cosh 2δa) / 2 at δ = β - start."""
    log_weight = torch.tensor([3.0, -3.0], dtype=torch.float64).repeat(50)
    expected = start + math.acosh(1 / (2 * 0.75 - 1)) / 6
    assert next_beta(log_weight, start, 0.75) == pytest.approx(expected, abs=1e-12)
    # Draws of weight zero are left out of what is asked for.
    dead = torch.cat([log_weight, torch.full((300,), -math.inf)])
    assert next_beta(dead, start, 0.75) == pytest.approx(expected, abs=1e-12)
    assert next_beta(0.01 * log_weight, start, 0.75) == 1.0
    assert start < next_beta(1e30 * log_weight, start, 0.75) < start + 1e-14


def far_modes(z):
    """A quarter of the mass at -2 and the rest at 2, forty widths of 0.1 apart, times a slope."""
    left, right = (Normal(mode, 0.1).log_prob(z[:, 0]) for mode in (-2.0, 2.0))
    return torch.logaddexp(left + math.log(0.25), right + math.log(0.75)) + 0.3 * z[:, 0].sin()


def quadrature():
    """(log Z, the share of the mass on the right) of ``far_modes`` under N(0, 1)."""
    x = torch.linspace(-8, 8, 400_001, dtype=torch.float64)
    density = (Normal(0.0, 1.0).log_prob(x) + far_modes(x[:, None])).exp()
    z = torch.trapezoid(density, x)
    return float(z.log()), float(torch.trapezoid(density * (x > 0), x) / z)


@pytest.mark.slow
def test_far_modes_are_found_in_proportion_where_a_chain_stays_in_one():
    """Nothing crosses between the modes when they are narrow: all hangs on ancestors, and the stated
    errors know it. Spreads of 200 replicates are known to 5%, and compared to 30%."""
    log_z, right = quadrature()
    target = Tilted(StandardNormal(1, torch.float64), far_modes)
    populations = [smc(target, MALA, 1000, rng(seed), n_moves=2) for seed in range(200)]
    shares = [population.expectation(lambda z: z[:, 0] > 0) for population in populations]
    mean, error = (torch.stack(part) for part in zip(*shares, strict=True))
    evidence = torch.tensor([population.log_evidence for population in populations])
    assert abs(mean.mean() - right) < 6 * mean.std() / math.sqrt(200)
    assert abs(evidence.mean() + evidence.var() / 2 - log_z) < 6 * evidence.std() / math.sqrt(200)
    stated = torch.tensor([population.log_evidence_error for population in populations]).mean()
    assert abs(error.mean() / mean.std() - 1) < 0.3 and abs(stated / evidence.std() - 1) < 0.3
    # Power: √(p (1 - p) / n), as if the draws were independent, fails the same comparison.
    assert abs(math.sqrt(right * (1 - right) / 1000) / mean.std() - 1) > 0.3
    start = torch.full((100, 1), -2.0, dtype=torch.float64)
    assert (run(MetropolisHastings(Langevin(0.01)), target, start, 500, rng=rng()).z < 0).all()


@pytest.mark.slow
def test_stated_errors_are_the_spread_of_replicates_where_moves_mix():
    populations = [smc(POSTERIOR, MALA, 300, rng(seed)) for seed in range(200)]
    evidence = torch.tensor([population.log_evidence for population in populations])
    stated = torch.tensor([population.log_evidence_error for population in populations]).mean()
    assert abs(stated / evidence.std() - 1) < 0.3
    means, errors = zip(*(population.expectation(lambda z: z) for population in populations), strict=True)
    assert ((torch.stack(errors).mean(0) / torch.stack(means).std(0) - 1).abs() < 0.3).all()


def test_one_family_alone_states_no_error():
    stuck = smc(POSTERIOR, MALA, 20, rng())
    alone = replace(stuck, ancestor=torch.full((20,), 3))
    assert alone.expectation(lambda z: z).error.isposinf().all()
    # Two families of ten whose means are a apart: the standard error of a mean of two is a / 2.
    two = replace(
        stuck, z=torch.zeros(20, 1).index_fill(0, torch.arange(10), 3.0), ancestor=torch.arange(20) // 10
    )
    assert two.expectation(lambda z: z[:, 0]).error == pytest.approx(1.5)


def moments_off(name, kernel):
    """How many standard errors log Z and the means are off the reference values, at most."""
    exact, target = references(name), tilted(TARGETS[name](dtype=torch.float64))
    population = smc(target, kernel, 1000, rng(), n_moves=10)
    mean, error = population.expectation(lambda z: z)
    off = (mean - exact.mean) / (error.square() + exact.mean_error.square()).sqrt()
    evidence = (population.log_evidence - exact.log_evidence) / population.log_evidence_error
    return max(float(off.abs().max()), abs(evidence))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ring", "far_modes", "bayesian_linear", "logistic_regression"])
def test_evidence_and_means_of_the_reference_targets(name):
    """Nearly Student's t of as many degrees of freedom as ancestors, about 100: 33 comparisons are all
    below 7 but once in ten million runs."""
    assert moments_off(name, MALA) < 7


@pytest.mark.slow
def test_the_same_test_rejects_a_kernel_that_changes_the_regression():
    assert moments_off("logistic_regression", MetropolisHastings(NoProposalRatio(1.0))) > 14


def test_on_a_gan_with_the_optimal_discriminator_z_is_one_and_images_have_the_moments_of_the_data():
    """E over the prior of p_d / p_g at G(z) is 1. 21 comparisons of hundreds of ancestors at |z| < 7."""
    exact = affine_gan(10, seed=2)
    target = LatentTarget(exact.gan, batch_size=300)
    population = smc(target, MetropolisHastings(CrankNicolsonLangevin(0.5)), 2000, rng())
    assert abs(population.log_evidence) < 7 * population.log_evidence_error < 0.5

    def centred(z):
        x = target.images(z) - exact.mean
        return torch.cat([x, x.square()], 1)

    mean, error = population.expectation(centred)
    expected = torch.cat([torch.zeros(10), exact.cov.diagonal()])
    assert ((mean - expected).abs() < 7 * error).all() and (error[:10] < 0.1).all()


def test_where_nothing_moves_few_ancestors_are_left_and_the_error_is_large():
    stuck = smc(POSTERIOR, lambda beta: MetropolisHastings(RandomWalk(1e-12)), 500, rng())
    mixed = smc(POSTERIOR, MALA, 500, rng())
    assert len(stuck.ancestor.unique()) < len(mixed.ancestor.unique()) / 3
    assert stuck.log_evidence_error > 2 * mixed.log_evidence_error
    torch.testing.assert_close(
        stuck.z, PRIOR.sample(500, module.generator(stuck.seed, 0))[stuck.ancestor], atol=1e-4, rtol=0
    )


@pytest.mark.parametrize("start", [1e-2, 1.0, 1e2])
def test_the_step_size_comes_to_the_same_from_wherever_it_starts(start):
    population = smc(POSTERIOR, MetropolisHastings(Langevin(start)), 2000, rng(), n_moves=10)
    assert abs(population.accept_rate[-1] - Langevin.target_accept) < 0.15
    # Of the posterior's variance; on N(0, I) in two dimensions 57% are accepted at a τ of about 2.8.
    assert 1.5 < population.kernel.proposal.step_size / STD**2 < 4.5


def test_a_step_size_stays_within_what_its_move_allows():
    flat = Tilted(PRIOR, lambda z: 0.01 * z[:, 0])
    population = smc(flat, MetropolisHastings(CrankNicolson(0.9)), 100, rng())
    assert population.kernel.proposal.step_size == CrankNicolson.largest


@pytest.mark.parametrize("kernel", [MetropolisHastings(Independence()), EllipticalSlice()], ids=str)
def test_a_kernel_without_a_step_size_stays_as_it_is(kernel):
    assert smc(POSTERIOR, kernel, 200, rng()).kernel is kernel


def test_a_function_of_beta_is_used_as_it_is():
    asked = []

    def kernel(beta):
        asked.append(beta)
        return MetropolisHastings(Langevin(0.1 + beta))

    population = smc(POSTERIOR, kernel, 200, rng())
    assert tuple(asked) == population.betas[1:]
    assert population.kernel == MetropolisHastings(Langevin(1.1))


def test_draws_of_weight_zero_have_no_descendants():
    half = Tilted(PRIOR, lambda z: torch.where(z[:, 0] > 0.5, POSTERIOR.log_weight(z), -math.inf))
    population = smc(half, MALA, 2000, rng())
    assert (population.z[:, 0] > 0.5).all()
    ancestors = PRIOR.sample(2000, module.generator(population.seed, 0))[population.ancestor]
    assert (ancestors[:, 0] > 0.5).all()
    share = Normal(MEAN[0], STD).cdf(torch.tensor(0.5)).neg().log1p()
    assert abs(population.log_evidence - LOG_Z - share) < 6 * population.log_evidence_error


def test_the_same_rng_gives_the_same_population_and_torchs_own_is_left_alone():
    state = torch.get_rng_state()
    a, b = smc(POSTERIOR, MALA, 50, rng()), smc(POSTERIOR, MALA, 50, rng())
    assert torch.equal(a.z, b.z) and a.log_evidence == b.log_evidence and a.betas == b.betas
    assert len(a) == 50 and torch.equal(torch.get_rng_state(), state)


def test_float32_targets_keep_their_dtype():
    target = Tilted(StandardNormal(2), lambda z: -z.abs().sum(-1))
    assert smc(target, MALA, 50, rng()).z.dtype == torch.float32


@pytest.mark.gpu
def test_on_a_gpu_all_stays_there_and_the_law_is_the_same():
    """|z| < 7 for log Z and two means, of about as many degrees of freedom as there are ancestors."""
    population = smc(POSTERIOR, MALA, 20_000, torch.Generator("cuda").manual_seed(0))
    assert population.z.is_cuda and population.ancestor.is_cuda
    mean, error = population.expectation(lambda z: z)
    assert ((mean - MEAN.cuda()).abs() < 7 * error).all()
    assert abs(population.log_evidence - LOG_Z) < 7 * population.log_evidence_error < 0.5


def test_the_progress_bar_says_what_it_is_told(capsys):
    smc(POSTERIOR, MALA, 50, rng(), progress="moving")
    shown = capsys.readouterr().err
    assert "moving" in shown and "beta=1" in shown and "acceptance=" in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(target=PRIOR), "target: smc needs the prior and the weight apart"),
        (dict(kernel=Langevin(0.1)), "kernel: expected one that leaves its target invariant, got Langevin"),
        (dict(kernel=RandomWalk(0.1)), "kernel: expected one with a step, or a function.*got RandomWalk"),
        (dict(n=0), "n: expected an int of at least 1, got 0"),
        (dict(n_moves=0), "n_moves: expected an int of at least 1, got 0"),
        (dict(ess_ratio=1.0), "ess_ratio: expected a number between 0 and 1, got 1.0"),
        (dict(target=Tilted(PRIOR, lambda z: z[:, 0].sqrt())), "log_weight: .*got NaN or inf in"),
        (dict(target=Tilted(PRIOR, lambda z: z[:, 0] - math.inf)), "log_weight: .*got -inf in all 10"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        smc(**{**dict(target=POSTERIOR, kernel=MALA, n=10), **arguments}, rng=rng())
