"""Ex²MCMC on a GAN: its law is the data's, and every pass that it makes is counted."""

import pytest
import torch
from torch import nn

from ganedu.gans import GAN
from ganedu.nets import MLP
from ganedu.rng import generator
from ganedu.samplers import Ex2, Langevin, MetropolisHastings
from ganedu.samplers.gan import ex2, rep_gan
from tests.laws import gaussian_marginals, worst
from tests.samplers.kernels import NoProposalRatio
from tests.tractable import affine_gan

N = 20_000


def rejection(case, draws):
    return worst(gaussian_marginals(draws.x, case.mean, case.cov))[0]


@pytest.mark.parametrize(("dim", "seed"), [(2, 0), (10, 2)])
def test_it_draws_from_the_data(dim, seed):
    case = affine_gan(dim, seed)
    draws = ex2(case.gan, N, n_particles=4, n_moves=2, steps=15, step_size=0.5, rng=generator(0))
    assert rejection(case, draws) < 1 and draws.law == "exact"
    # Power: the same, with moves that take their proposal for symmetric.
    wrong = Ex2(MetropolisHastings(NoProposalRatio(1.2)), 4, 2)
    assert rejection(case, rep_gan(case.gan, N, kernel=wrong, steps=15, rng=generator(0))) > 1.2


def test_it_is_rep_gan_with_that_kernel_draw_by_draw():
    gan = affine_gan(3, 1).gan
    kernel = Ex2(MetropolisHastings(Langevin(0.3)), 5, 2)
    a = ex2(gan, 30, n_particles=5, n_moves=2, step_size=0.3, steps=10, rng=generator(1))
    b = rep_gan(gan, 30, kernel=kernel, steps=10, rng=generator(1))
    assert torch.equal(a.z, b.z) and a.evaluations == b.evaluations


class Counting(nn.Module):
    """A discriminator that counts the images it sees."""

    seen = 0

    def forward(self, x):
        Counting.seen += len(x)
        return x.sum(-1)


def test_a_step_costs_as_many_passes_as_particles_and_moves():
    steps, n, tried = 7, 6, 2 * 6
    Counting.seen = 0
    gan = GAN(MLP(2, 3), Counting(), 2).frozen()
    evaluations = ex2(gan, n, n_particles=10, n_moves=3, steps=steps, rng=generator(0)).evaluations
    assert evaluations == (Counting.seen - tried, (1 + (1 + 3) * steps) * n)
    assert evaluations.forward == (1 + (10 + 3) * steps) * n


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(n_particles=1), "n_particles: expected an int of at least 2, got 1"),
        (dict(n_moves=0), "n_moves: expected an int of at least 1, got 0"),
    ],
)
def test_bad_options_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        ex2(affine_gan(2, 0).gan, 5, **arguments, steps=3, rng=generator(0))
