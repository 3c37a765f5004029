"""Weighted draws give Z and means in closed form, with errors that replicates confirm."""

import math

import pytest
import torch
from torch.distributions import MultivariateNormal, Normal, Pareto

from ganedu.samplers.importance import Weighted, importance_sampling
from ganedu.samplers.pareto import pareto_k
from ganedu.targets import StandardNormal, Tilted
from tests.tractable import Observed

POSTERIOR = Observed([1.0, -0.5], noise=0.8)
PRIOR, LOG_Z, MEAN, SECOND = POSTERIOR.prior, POSTERIOR.log_z, POSTERIOR.mean, POSTERIOR.second


class Gaussian:
    """Stands for a trained flow: a law near the posterior. ``wrong`` is added to its log density."""

    def __init__(self, wrong=0.0):
        self.law = MultivariateNormal(MEAN + 0.1, 0.6 * torch.eye(2, dtype=torch.float64))
        self.wrong = wrong

    def sample(self, n, rng):
        noise = torch.randn(n, 2, generator=rng, dtype=torch.float64)
        return self.law.mean + noise @ self.law.scale_tril.T

    def log_prob(self, z):
        return self.law.log_prob(z) + self.wrong * (z[:, 0] > self.law.mean[0])


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def z_scores(draws):
    """How many of its own standard errors each estimate is off: log Z, two means, two second moments."""
    mean, error = draws.expectation(lambda z: torch.cat([z, z.square()], 1))
    off = (mean - torch.cat([MEAN, SECOND])) / error
    return torch.cat([off, torch.tensor([(draws.log_evidence - LOG_Z) / draws.log_evidence_error])]).abs()


@pytest.mark.parametrize("law", [PRIOR, Gaussian()], ids=["prior", "gaussian"])
def test_evidence_and_moments_are_those_of_the_closed_form(law):
    """|z| < 5.5 for five estimates from 200,000 draws: by luck once in five million runs."""
    draws = importance_sampling(POSTERIOR, law, 200_000, rng())
    assert z_scores(draws).max() < 5.5
    assert draws.log_evidence_error < 0.01


def test_the_same_test_rejects_a_law_whose_density_is_off_by_three_percent_on_one_side():
    draws = importance_sampling(POSTERIOR, Gaussian(wrong=0.03), 200_000, rng())
    assert z_scores(draws).max() > 6.5


def test_stated_errors_are_the_spread_of_replicates():
    """To 10% with 2,000 replicates, whose own spread is known to 1.6%: six standard errors."""
    replicates = [importance_sampling(POSTERIOR, PRIOR, 500, rng(seed)) for seed in range(2000)]
    log_z = torch.tensor([draws.log_evidence for draws in replicates])
    stated = torch.tensor([draws.log_evidence_error for draws in replicates])
    assert abs(float(stated.mean() / log_z.std()) - 1) < 0.1
    estimates = [draws.expectation(lambda z: z) for draws in replicates]
    spread = torch.stack([mean for mean, _ in estimates]).std(0)
    stated = torch.stack([error for _, error in estimates]).mean(0)
    assert ((stated / spread - 1).abs() < 0.1).all()
    # Power: the error of as many draws of the posterior itself fails the same comparison.
    naive = math.sqrt(POSTERIOR.std**2 / 500)
    assert ((naive / spread - 1).abs() > 0.1).all()


def test_ess_of_a_shift_is_n_exp_of_minus_its_square():
    """Σw² / (Σw)² tends to E[w²] / n, and E[w²] = e^{m²} for N(m, 1) seen from N(0, 1)."""
    shifted = Tilted(StandardNormal(1, torch.float64), lambda z: 0.5 * z[:, 0] - 0.125)
    draws = importance_sampling(shifted, shifted.prior, 400_000, rng())
    assert abs(draws.ess / 400_000 / math.exp(-0.25) - 1) < 0.01


def test_ess_counts_equal_weights():
    z = torch.zeros(6, 1)
    assert Weighted(z, torch.full((6,), -800.0)).ess == pytest.approx(6)
    assert Weighted(z, torch.tensor([0.0, 0.0, 0.0, -math.inf, -math.inf, -math.inf])).ess == pytest.approx(3)
    assert Weighted(z, torch.tensor([0.0, -900, -900, -900, -900, -900])).ess == pytest.approx(1)


@pytest.mark.parametrize("shift", [-1e5, 1e5])
def test_a_constant_in_the_log_weight_moves_the_evidence_and_nothing_else(shift):
    draws = importance_sampling(POSTERIOR, PRIOR, 1000, rng())
    moved = Weighted(draws.z, draws.log_weight + shift)
    assert moved.log_evidence - shift == pytest.approx(draws.log_evidence, abs=1e-9)
    assert moved.ess == pytest.approx(draws.ess)
    assert moved.log_evidence_error == pytest.approx(draws.log_evidence_error)
    torch.testing.assert_close(moved.expectation(lambda z: z), draws.expectation(lambda z: z))


def test_where_the_weight_is_zero_f_is_not_asked():
    half = Tilted(PRIOR, lambda z: torch.where(z[:, 0] > 0, 0.0, -math.inf).double())
    draws = importance_sampling(half, PRIOR, 100_000, rng())
    # The share of draws on one side is binomial: six standard deviations.
    assert abs(math.exp(draws.log_evidence) - 0.5) < 6 * 0.5 / math.sqrt(100_000)
    mean, error = draws.expectation(lambda z: z[:, 0].log())
    # E log |z| = -(γ + log 2) / 2 for z ~ N(0, 1).
    assert abs(mean - (-0.5772156649 - math.log(2)) / 2) < 6 * error and error < 0.01


def test_resampled_draws_have_the_means_of_the_weights():
    """Systematic positions are within 1/n of an even spread, so that over draws sorted by z the mean of
    what rises with z from -1 to 1 is off by 2/n at most (Koksma)."""
    draws = importance_sampling(POSTERIOR, PRIOR, 5000, rng())
    order = draws.z[:, 0].sort().indices
    draws = Weighted(draws.z[order], draws.log_weight[order])
    again = draws.resample(2000, rng(1))
    assert again.shape == (2000, 2)
    exact = draws.expectation(lambda z: z[:, 0].clamp(-1, 1)).mean
    assert abs(again[:, 0].clamp(-1, 1).mean() - exact) < 2 / 2000


@pytest.mark.parametrize("shape", [0.1, 0.4, 0.7, 1.2])
def test_pareto_k_is_arviz_own(shape):
    arviz = pytest.importorskip("arviz")
    uniform = torch.rand(3000, generator=rng(), dtype=torch.float64)
    log_weight = Pareto(1.0, 1 / shape).icdf(uniform).log() - 40.0
    assert pareto_k(log_weight) == pytest.approx(float(arviz.psislw(log_weight.numpy())[1]), abs=1e-9)
    few = log_weight[:30]
    assert pareto_k(few) == pytest.approx(float(arviz.psislw(few.numpy())[1]), abs=1e-9)


@pytest.mark.parametrize("scale", [0.5, 0.8, 0.95])
def test_too_narrow_a_law_has_the_tail_of_the_closed_form(scale):
    """w = p/q of N(0, 1) over N(0, s²) has P(w > t) ~ t^(-1/(1 - s²)) but for a log: k = 1 - s².

    k̂ from the 3,000 largest of 10⁶ has standard error (1 + k)/√3000 < 0.032; the log adds a bias.
    """
    x = scale * torch.randn(1_000_000, generator=rng(), dtype=torch.float64)
    log_weight = Normal(0.0, 1.0).log_prob(x) - Normal(0.0, scale).log_prob(x)
    assert abs(pareto_k(log_weight) - (1 - scale**2)) < 0.25


@pytest.mark.parametrize("log_weight", [torch.zeros(100), torch.zeros(1), torch.randn(10)])
def test_without_a_tail_there_is_no_k(log_weight):
    assert Weighted(torch.zeros(len(log_weight), 1), log_weight).pareto_k == math.inf


def test_a_law_with_parameters_leaves_no_graph():
    class Learnt(Gaussian):
        shift = torch.zeros(2, dtype=torch.float64, requires_grad=True)

        def sample(self, n, rng):
            return super().sample(n, rng) + self.shift

    draws = importance_sampling(POSTERIOR, Learnt(), 10, rng())
    assert not draws.z.requires_grad and not draws.log_weight.requires_grad


@pytest.mark.gpu
def test_on_a_gpu_draws_stay_there_and_sums_are_those_of_a_cpu():
    draws = importance_sampling(POSTERIOR, PRIOR, 10_000, torch.Generator("cuda").manual_seed(0))
    assert draws.z.is_cuda and draws.log_weight.is_cuda
    assert draws.resample(100, torch.Generator("cuda").manual_seed(1)).is_cuda
    here = Weighted(draws.z.cpu(), draws.log_weight.cpu())
    for name in ("ess", "pareto_k", "log_evidence", "log_evidence_error"):
        assert getattr(draws, name) == pytest.approx(getattr(here, name), rel=1e-9)
    there = draws.expectation(lambda z: z.square())
    for a, b in zip(there, here.expectation(lambda z: z.square()), strict=True):
        torch.testing.assert_close(a.cpu(), b)


def test_one_draw_says_nothing_of_its_error():
    assert importance_sampling(POSTERIOR, PRIOR, 1, rng()).log_evidence_error == math.inf


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((POSTERIOR, PRIOR, 0), "n: expected an int of at least 1, got 0"),
        ((POSTERIOR, POSTERIOR.log_weight, 5), "law: expected an object with sample and log_prob"),
        ((Tilted(PRIOR, lambda z: z[:, 0] * math.nan), PRIOR, 5), "log_weight: .*got NaN or inf in 5 of 5"),
        ((Tilted(PRIOR, lambda z: z[:, 0] - math.inf), PRIOR, 5), "log_weight: .*got -inf in all 5"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        importance_sampling(*arguments, rng())
