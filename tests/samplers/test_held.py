"""Coordinates held fixed: they never move, and the others follow the exact conditional law."""

import pytest
import torch
from torch.distributions import MultivariateNormal

from ganedu.gans import GAN
from ganedu.rng import generator
from ganedu.samplers import (
    ISIR,
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
    Slice,
    Tempering,
)
from ganedu.samplers.gan import ddls, rep_gan
from ganedu.samplers.gan.held import Held
from ganedu.targets import LatentTarget, StandardNormal, Tilted, log_prob_and_grad
from tests.laws import gaussian_marginals, worst
from tests.tractable import Affine, AffineGAN, Optimal, affine_gan

N, HELD, FREE = 20_000, [0, 2], [1]
KERNELS = {
    "random walk": MetropolisHastings(RandomWalk(1.5)),
    "MALA": MetropolisHastings(Langevin(0.8)),
    "Barker": MetropolisHastings(Barker(0.8)),
    "pCN": MetropolisHastings(CrankNicolson(0.7)),
    "pCN-Langevin": MetropolisHastings(CrankNicolsonLangevin(0.7)),
    "HMC": MetropolisHastings(Hamiltonian(0.4, 3)),
    "independence": MetropolisHastings(Independence()),
    "NUTS": NUTS(0.6, max_depth=4),
    "elliptical slice": EllipticalSlice(),
    "slice": Slice(2.0),
}


def correlated_gan():
    """Data in which what is held says much about what is free, as its prior does not."""
    matrix = torch.tensor([[1.0, 0.2, 0.0], [0.0, 0.8, 0.3], [0.1, 0.0, 1.2]], dtype=torch.float64)
    shift = torch.tensor([0.5, 0.0, -0.5], dtype=torch.float64)
    latent_mean = torch.tensor([0.3, -0.4, 0.2], dtype=torch.float64)
    latent_cov = torch.tensor([[0.9, 0.5, 0.1], [0.5, 0.8, -0.3], [0.1, -0.3, 0.9]], dtype=torch.float64)
    mean, cov = matrix @ latent_mean + shift, matrix @ latent_cov @ matrix.T
    model = MultivariateNormal(shift, matrix @ matrix.T, validate_args=False)
    data = MultivariateNormal(mean, (cov + cov.T) / 2, validate_args=False)
    return AffineGAN(GAN(Affine(matrix, shift), Optimal(data, model), 3).frozen(), mean, cov)


def latent_law(case):
    """p_t = N(mean, cov) in the latent space."""
    inverse = torch.linalg.inv(case.gan.generator.matrix)
    return inverse @ (case.mean - case.gan.generator.shift), inverse @ case.cov @ inverse.T


def held_law(case):
    """Of the whole point: N(0, I) for what is held, p_t's conditional for the rest."""
    mean, cov = latent_law(case)
    gain = cov[FREE][:, HELD] @ torch.linalg.inv(cov[HELD][:, HELD])
    whole_mean, whole_cov = torch.zeros(3, dtype=torch.float64), torch.eye(3, dtype=torch.float64)
    whole_mean[FREE] = mean[FREE] - gain @ mean[HELD]
    cross = cov[FREE][:, FREE] - gain @ cov[HELD][:, FREE]
    for a, i in enumerate(FREE):
        whole_cov[i, HELD] = whole_cov[HELD, i] = gain[a]
        for b, j in enumerate(FREE):
            whole_cov[i, j] = cross[a, b] + gain[a] @ gain[b]
    return whole_mean, whole_cov


def rejection(case, z):
    return worst(gaussian_marginals(z, *held_law(case)))[0]


@pytest.mark.parametrize("name", KERNELS)
def test_the_free_coordinates_follow_their_conditional_law_and_the_others_never_move(name):
    case = correlated_gan()
    draws = rep_gan(case.gan, N, kernel=KERNELS[name], held=HELD, steps=40, rng=generator(1))
    assert torch.equal(draws.z[:, HELD], case.gan.prior(N, generator(1))[:, HELD])
    assert rejection(case, draws.z) < 1
    assert draws.law == "biased: held coordinates keep the prior's law"
    assert torch.allclose(draws.x, case.gan.generator(draws.z))


def test_the_same_test_rejects_planted_errors():
    case = correlated_gan()
    kernel, options = KERNELS["MALA"], dict(steps=40, rng=generator(1))
    # p_t itself, in which the held coordinates would have moved.
    assert rejection(case, rep_gan(case.gan, N, kernel=kernel, **options).z) > 2

    class Zeroed(Held):
        """The weight at a point whose held coordinates are not the chain's."""

        def _log_weight(self, free):
            return self.target.log_weight(self.whole(free).index_fill(1, torch.tensor(HELD), 0.0))

    start = case.gan.prior(N, generator(1))
    target = Zeroed(LatentTarget(case.gan), start, HELD)
    state = MetropolisHastings(RandomWalk(1.5)).init(target, start[:, FREE])
    for t in range(40):
        state, _ = MetropolisHastings(RandomWalk(1.5)).step(target, state, generator(2, t))
    assert rejection(case, target.whole(state.z)) > 2


def test_its_density_is_the_targets_and_its_gradient_the_free_part_of_it():
    target = LatentTarget(affine_gan(3, 2).gan)
    z, free = torch.randn(2, 50, 3, generator=generator(1), dtype=torch.float64)
    on = Held(target, z, HELD)
    whole = torch.stack([z[:, 0], free[:, 1], z[:, 2]], dim=1)
    assert torch.equal(on.whole(free[:, FREE]), whole)
    value, grad = log_prob_and_grad(on, free[:, FREE])
    held = -0.5 * (z[:, HELD].square().sum(-1) + 2 * torch.log(torch.tensor(2 * torch.pi)))
    assert torch.allclose(value, target.log_prob(whole) - held, atol=1e-6)
    assert torch.allclose(value, on.log_prob(free[:, FREE]), atol=1e-6)
    leaf = free[:, FREE].clone().requires_grad_()
    (expected,) = torch.autograd.grad(on.log_prob(leaf).sum(), leaf)
    assert torch.allclose(grad, expected)


def test_a_trace_has_whole_points():
    gan = affine_gan(3, 2).gan
    draws = ddls(gan, 5, held=[1], steps=9, burn_in=3, thin=2, trace=True, rng=generator(0))
    assert draws.trace.z.shape == (3, 5, 3) and torch.equal(draws.trace.z[-1], draws.z)
    assert torch.equal(draws.trace.last.z, draws.z)
    assert (draws.trace.z[:, :, 1] == gan.prior(5, generator(0))[:, 1]).all()
    assert draws.law == "biased: no proposal is rejected; held coordinates keep the prior's law"


def test_chunks_change_no_draw_and_evaluations_are_counted():
    gan = affine_gan(3, 2).gan
    whole, parts = (rep_gan(gan, 11, held=[2], steps=8, batch_size=b, rng=generator(0)) for b in (None, 4))
    assert torch.allclose(whole.z, parts.z) and whole.evaluations == parts.evaluations == (99, 99)


@pytest.mark.parametrize("kernel", [ISIR(4), Tempering(MetropolisHastings(Langevin(0.1)))])
def test_a_kernel_with_several_points_a_chain_is_refused(kernel):
    with pytest.raises(ValueError, match="z: expected one row for each of the 5 chains"):
        rep_gan(affine_gan(3, 2).gan, 5, kernel=kernel, held=[0], steps=3, rng=generator(0))


@pytest.mark.parametrize("held", [[3], [-1], [0, 0], [0, 1, 2], [0.5], "a"])
@pytest.mark.parametrize("sampler", [ddls, rep_gan])
def test_coordinates_that_make_no_sense_are_named(sampler, held):
    with pytest.raises(ValueError, match="held: expected distinct ints from 0 to 2, not all"):
        sampler(affine_gan(3, 2).gan, 5, held=held, steps=3, rng=generator(0))


def test_another_prior_is_refused():
    class Uniform(StandardNormal):
        pass

    Held(Tilted(Uniform(3), lambda z: z.sum(-1)), torch.zeros(2, 3), [0])  # a normal by another name
    with pytest.raises(ValueError, match=r"coordinates held fixed needs the prior N\(0, I\)"):
        Held(Tilted(object(), lambda z: z.sum(-1)), torch.zeros(2, 3), [0])
