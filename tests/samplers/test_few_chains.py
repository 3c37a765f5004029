"""Many images from few chains: the data's law, at a fraction of the passes."""

import math

import pytest
import torch

from ganedu.samplers import CrankNicolsonLangevin, Langevin, MetropolisHastings
from ganedu.samplers.gan import rep_gan
from ganedu.samplers.gan.draws import thinned
from tests.samplers.kernels import OldGradient
from tests.tractable import affine_gan

N = 20_000
MH = MetropolisHastings


def rng():
    return torch.Generator().manual_seed(0)


def z_scores(case, draws, worth):
    """Of mean and variance of x along the axes; ``worth`` bounds from below what the draws are worth."""
    x, variance = draws.x.double(), case.cov.diagonal()
    mean = (x.mean(0) - case.mean) / (variance / worth).sqrt()
    spread = (x.var(0) / variance - 1) / math.sqrt(2 / worth)
    return torch.cat([mean, spread]).abs().max()


@pytest.mark.parametrize("kernel", [None, MH(CrankNicolsonLangevin(0.3))], ids=["mala", "pcn-langevin"])
def test_they_are_draws_from_the_data(kernel):
    """Within 5 standard errors of draws worth N/2; one in a million falsely, for all eight numbers 5e-6."""
    case = affine_gan(2, 0)
    draws = rep_gan(case.gan, N, kernel=kernel, chains=64, steps=100, rng=rng())
    assert draws.x.shape == (N, 2) and draws.law == "exact"
    assert z_scores(case, draws, N / 2) < 5.5
    many = rep_gan(case.gan, 200, steps=640, rng=rng())
    assert draws.evaluations.gradient / N < 0.01 * many.evaluations.gradient / 200
    # Power: the acceptance with the old gradient.
    wrong = rep_gan(case.gan, N, kernel=MH(OldGradient(1.2)), chains=64, steps=100, rng=rng())
    assert z_scores(case, wrong, N / 2) > 5.5


def test_unadjusted_chains_say_so_and_what_does_not_go_together_is_refused():
    case = affine_gan(2, 0)
    draws = rep_gan(case.gan, 500, kernel=Langevin(0.1), chains=16, steps=50, trace=True, rng=rng())
    assert draws.law == "biased: no proposal is rejected" and draws.trace.z.shape[1:] == (16, 2)
    for arguments in (dict(held=[0]), dict(burn_in=5), dict(thin=2)):
        with pytest.raises(ValueError, match="chains: expected neither held, burn_in nor thin beside it"):
            rep_gan(case.gan, 10, chains=4, rng=rng(), **arguments)
    with pytest.raises(ValueError, match="n: expected a positive int, got 0"):
        rep_gan(case.gan, 10, chains=0, rng=rng())


@pytest.mark.parametrize(("steps", "chains", "n"), [(125, 16, 500), (3125, 64, 50_000)])
def test_draws_are_thinned_along_each_chain_and_every_chain_gives_as_many(steps, chains, n):
    """A stride over (steps, chains) flattened takes neighbours: 500 of 125 x 16 are 4 whole chains."""
    step, chain = torch.meshgrid(torch.arange(steps), torch.arange(chains), indexing="ij")
    kept = torch.stack([chain, step], -1)
    taken = thinned(kept, n)
    assert len(taken.unique(dim=0)) == n
    shares = taken[:, 0].bincount(minlength=chains)
    assert shares.max() - shares.min() <= 1
    apart = taken[:, 1].diff()[taken[:, 0].diff() == 0]
    assert apart.min() >= steps * chains // n and apart.max() <= steps * chains // n + 1
    # Power: the stride that was taken once.
    old = kept.flatten(0, 1)[torch.linspace(0, steps * chains - 1, n).round().long()]
    shares = old[:, 0].bincount(minlength=chains)
    assert shares.max() - shares.min() > 1
